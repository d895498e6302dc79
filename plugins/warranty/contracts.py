"""Service contracts and plans."""

from __future__ import annotations

from core.sdk import RecordType

TYPES: list[RecordType] = []

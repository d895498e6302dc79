"""Receipts: money taken, matched to charges, handed in to finance."""

from __future__ import annotations

from core.sdk import RecordType

TYPES: list[RecordType] = []

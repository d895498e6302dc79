"""The clauses about terms."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

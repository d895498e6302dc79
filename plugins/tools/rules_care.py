"""The clauses about counts, maintenance, use and retirement."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

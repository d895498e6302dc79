"""The clauses about what is charged and what is free."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

"""The clauses about coverage: papers, review, decision, who is covered."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

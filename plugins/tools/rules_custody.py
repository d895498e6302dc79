"""The clauses about keeping, issuing, lending and returning tools."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

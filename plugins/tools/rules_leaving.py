"""The clauses about leavers and changes of post."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

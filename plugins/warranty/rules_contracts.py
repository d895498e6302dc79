"""The clauses about service contracts and plans."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

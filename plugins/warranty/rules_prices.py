"""The clauses about who sets prices, and their yearly adjustment."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

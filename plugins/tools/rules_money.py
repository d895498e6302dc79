"""The clauses about loss, damage, breaches and what they cost."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

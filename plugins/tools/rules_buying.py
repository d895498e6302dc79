"""The clauses about purchase, acceptance and applications."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

"""The clauses about collecting, invoicing and handing in."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

"""The clauses about telling the fees, consent, refusal and compensation."""

from __future__ import annotations

from core.sdk import Rule

RULES: list[Rule] = []

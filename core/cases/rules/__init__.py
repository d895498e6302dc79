"""What the core's clauses do with cases: limits, conditions, what is put on record, and who gets it."""

from __future__ import annotations

from core.rules.kinds import Rule

from .deadlines import RULES as DEADLINES
from .gates import RULES as GATES
from .records import RULES as RECORDS
from .routes import RULES as ROUTES

RULES: tuple[Rule, ...] = (*DEADLINES, *GATES, *RECORDS, *ROUTES)

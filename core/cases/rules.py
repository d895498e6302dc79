"""What the core's clauses do with cases: limits, conditions, what is put on record, and who gets it."""

from __future__ import annotations

from core.rules.kinds import DeadlineRule, Rule, Snapshot

DONE = ("solved", "answered", "archived", "cancelled")


def _urgent(case: Snapshot) -> bool:
    return case.get("urgency") == "urgent"


def _not_urgent(case: Snapshot) -> bool:
    return not _urgent(case)


RULES: tuple[Rule, ...] = (
    DeadlineRule(
        clause="R01-5.2a",
        start=("registered",),
        meet=("responded", "contacted", "answered"),
        reads=("urgency",),
        applies=_urgent,
    ),
    DeadlineRule(
        clause="R01-5.2b",
        start=("registered",),
        meet=("responded", "contacted", "answered"),
        reads=("urgency",),
        applies=_not_urgent,
    ),
    DeadlineRule(
        clause="R01-4.4",
        start=("assigned",),
        meet=("solved", "answered"),
        restart=("reworked", "reopened"),
    ),
)

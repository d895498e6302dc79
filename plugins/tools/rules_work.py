"""The clauses about recurring work: counts, maintenance, overhauls, reviews, plans; and what a check looks at.

Several texts may hold at once in a unit. What one of them has people do, another does not ask for again: a monthly
check by keeper and manager (R35-4.7) is the count of R32-3.3 and the check of R33-7.1 as well, as long as it comes
no more seldom; maintenance by named people (R32-5.1) covers the tests of R28-5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    OPEN_CATEGORIES,
    ApprovalRule,
    ChecklistRule,
    Record,
    RoutingRule,
    Rule,
    ScheduleRule,
    Step,
    effective,
    holds,
    local_day,
    session,
)

from . import care, count_flow, counts, rules_care
from .flow import CODE as TOOL
from .models import Tool
from .purchase import MONTH_CLAUSE, WHOLE_UNIT, YEAR_CLAUSE

Subjects = list[tuple[str, str, int | None]]
UNIT: Subjects = [(WHOLE_UNIT, "", None)]
BOTH, COUNT, CHECK = "R35-4.7", "R32-3.3", "R33-7.1"


def covered(unit_id: int, clause: str, by: Sequence[str]) -> bool:
    """Tell whether the work of other clauses that hold in a unit, no more seldom, is that of this one, too."""
    mine = care.clause_months(unit_id, clause, "interval")
    return any(0 < care.clause_months(unit_id, other, "interval") <= mine for other in by)


def _stores_unless(clause: str, *by: str) -> Callable[[int], Subjects]:
    return lambda unit_id: [] if covered(unit_id, clause, by) else counts.stores_to_count(unit_id)


def _in_its_month(unit_id: int) -> Subjects:
    """R32-2.1: the plan of the year is gone over in the month that the clause names."""
    month = int(effective(unit_id, YEAR_CLAUSE).values["month"])
    return UNIT if local_day(unit_id).month == month else []


def _instruments(unit_id: int) -> Subjects:
    """R28-5.3: where there is something to test that no named maintainer looks after."""
    if covered(unit_id, care.TEST_CLAUSE, (care.MAINTAINER_CLAUSE,)) and care.maintainers(unit_id):
        return []
    there = select(Tool.id).join(Tool.record).where(Tool.unit_id == unit_id, Record.category.in_(OPEN_CATEGORIES))
    return UNIT if session().scalar(there.limit(1)) is not None else []


def _old_or_worn(step: Step, _said: Mapping[str, Any]) -> bool:
    """R35-5.3 is about tools beyond their life or naturally worn."""
    return step.values.get("why") in (None, "", "life", "worn")


def _other_end(step: Step, _said: Mapping[str, Any]) -> bool:
    """R33-8.1 is about every retirement; where R35-5.3 asks already, only about the others."""
    why = step.values.get("why")
    return not why or why not in ("life", "worn") or not holds(step.record.unit_id, care.LIFE_CLAUSE, step.at)


def _confirmed(clause: str, wanted: Callable[[Step, Mapping[str, Any]], bool]) -> ApprovalRule:
    return ApprovalRule(
        clause=clause,
        step=f"{TOOL}.retire",
        title=_l("Retire a tool"),
        position_from="position",
        needs_form=True,
        wanted=wanted,
    )


def _runs_the_room(_read: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """R35-3.1: the keeper sees to it day by day."""
    return str(said["position"])


RULES: list[Rule] = [
    _confirmed(care.LIFE_CLAUSE, _old_or_worn),
    _confirmed(care.REVIEW_CLAUSE, _other_end),
    ScheduleRule(
        clause=BOTH,
        title=_l("Check the tools together: keeper and manager"),
        subjects=counts.stores_to_count,
    ),
    ScheduleRule(clause=COUNT, title=_l("Count the tools"), subjects=_stores_unless(COUNT, BOTH)),
    ScheduleRule(clause=CHECK, title=_l("Check the tools"), subjects=_stores_unless(CHECK, BOTH, COUNT)),
    ScheduleRule(
        clause=MONTH_CLAUSE, title=_l("Report losses and wear of last month"), subjects=lambda _unit: UNIT
    ),
    ScheduleRule(clause=YEAR_CLAUSE, title=_l("Go over the purchase plan of the year"), subjects=_in_its_month),
    ScheduleRule(clause=care.REVIEW_CLAUSE, title=_l("Review old and worn tools")),
    ScheduleRule(clause=care.MAINTAINER_CLAUSE, title=_l("Inspect and maintain tools"), subjects=care.maintainers),
    ScheduleRule(clause=care.TEST_CLAUSE, title=_l("Test and maintain repair equipment"), subjects=_instruments),
    ScheduleRule(clause=care.OVERHAUL_CLAUSE, title=_l("Overhaul the equipment"), subjects=care.equipment),
    ChecklistRule(
        clause=care.PARTS_CLAUSE,
        step=f"{TOOL}.maintain",
        items=rules_care.MAINTENANCE_ITEMS,
        field="parts_done",
        least="least",
        when=lambda step: step.values.get("what") in (None, "", "maintenance"),
    ),
    ChecklistRule(
        clause=count_flow.CHECK_CLAUSE,
        step=f"{counts.CODE}.check",
        items=rules_care.EQUIPMENT_ITEMS,
        field="facilities",
        when=count_flow.check_wanted,
    ),
    # After the rules that name somebody for what is defective (R32-5.3).
    *(
        RoutingRule(clause="R35-3.1", step=f"{one}.register", position=_runs_the_room)
        for one in ("tools_application", "tools_incident", "tools_count")
    ),
]

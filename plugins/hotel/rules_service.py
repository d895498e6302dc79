"""The clauses about catering, meetings, shifts and facilities."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import DeadlineRule, GateRule, Rule, ScheduleRule, ServiceRule, Term

from . import facilities, food, meetings, processing, samples, shifts


def _enough(grams: Any, said: Mapping[str, Any]) -> Any:
    """JD-3: a sample is big enough."""
    if grams >= int(said["grams"]):
        return None
    return _l("A sample has at least %(grams)d grams", grams=int(said["grams"]))


def _kept_long_enough(thrown: Any, said: Mapping[str, Any]) -> Any:
    """JD-3: a sample is thrown away only after it was kept this long."""
    if thrown.hours >= int(said["hours"]):
        return None
    return _l("%(dish)s is to be kept %(hours)d hours", dish=thrown.sample.dish, hours=int(said["hours"]))


def _before_it_begins(said: Mapping[str, Any], meeting: Mapping[str, Any]) -> Term:
    """JD-7: so many minutes before the meeting, counted from when its time was set."""
    minutes = (meeting["starts_at"] - meeting["booked_at"]).total_seconds() // 60 - int(said["before"])
    return Term(Decimal(max(int(minutes), 0)), "minute")


RULES: list[Rule] = [
    GateRule(clause=food.CLAUSE, step=f"{food.CODE}.accept", check=food.cannot_be_accepted, code="food"),
    GateRule(clause=food.CLAUSE, step=food.LINE_GATE, check=food.problem, code="food"),
    ServiceRule(
        clause=processing.CLAUSE,
        does="record",
        place="hotel.processing.log",
        words=(_l("Processing log"), _l("Enter a step")),
    ),
    GateRule(clause=samples.CLAUSE, step=samples.KEEP, check=_enough, code="sample"),
    GateRule(clause=samples.CLAUSE, step=samples.DISPOSE, check=_kept_long_enough, code="sample"),
    ScheduleRule(
        clause=facilities.CLAUSE, title=_l("Service of a facility"), subjects=facilities.subjects, most=500
    ),
    GateRule(clause=meetings.CLAUSE, step=meetings.BOOK, check=meetings.too_near, code="taken"),
    DeadlineRule(
        clause=meetings.PREPARED,
        record_type=meetings.CODE,
        start=("registered", "moved"),
        meet=("ready",),
        stop=("cancelled", "held"),
        pause=(),
        resume=(),
        moves=True,
        reads=("starts_at", "booked_at"),
        term=_before_it_begins,
    ),
    GateRule(clause=shifts.CLAUSE, step=shifts.TAKE_OVER, check=shifts.same_person, code="same_person"),
]

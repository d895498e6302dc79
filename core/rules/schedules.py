"""Recurring work: which periods a schedule has, and one piece of work for each of them, however often this runs.

What is created is the business of the room above (``maker``): the core makes tasks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update

from core.kernel import clock
from core.kernel.database import insert_once, session, transaction
from core.units.facts import local_day, unit_facts
from core.units.models import UnitParent, UnitPlugin
from core.units.switches import enabled_plugins

from .clocks import DAYS, MONTH, WEEK, YEAR, add_months
from .effective import Effective, effective
from .kinds import ScheduleRule
from .obligations import calendar_of
from .registry import current_rules
from .schedule_models import ScheduleRun

# After a long standstill that many periods of one subject are made up for; the earlier ones are named, not created.
MOST_MISSED = 12
UNIT = "unit"  # the key of the subject that is the unit itself
_IN_DAYS = {DAYS: 1, WEEK: 7}
_IN_MONTHS = {MONTH: 1, YEAR: 12}
log = logging.getLogger(__name__)


class Interval(NamedTuple):
    """Every ``amount`` pieces of ``unit``: day, week, month or year."""

    amount: int
    unit: str


class Period(NamedTuple):
    """A period by its first and last day; ``due`` is the last day, moved to a working day where that is asked."""

    first: date
    last: date
    due: date


class Subject(NamedTuple):
    """Whom or what one piece of recurring work is about."""

    key: str
    text: str
    customer_id: int | None


@dataclass(frozen=True)
class Wanted:
    """One piece of work to be created. ``skipped``: periods before it that were left out."""

    rule: ScheduleRule
    unit_id: int
    subject: Subject
    period: Period
    skipped: tuple[Period, ...] = ()


# Creates the record of a piece of work and returns its id; set at assembly.
maker: list[Callable[[Wanted], int]] = []


# --- periods, pure ---------------------------------------------------------------------------------


def due_periods(
    anchor: date, interval: Interval, since: date, until: date, shift: Callable[[date], date] | None = None
) -> list[Period]:
    """Return the periods that begin from ``since`` to ``until`` (both included), the first of all at ``anchor``.

    The anchor day is kept: with the 31st, months begin on the 31st, or on their last day where that is missing.
    ``shift`` moves the day something is due (to a working day).

    Raises:
        ValueError: an interval that never ends.
    """
    return list(_periods(anchor, interval, since, until, shift))


def _periods(
    anchor: date, interval: Interval, since: date, until: date, shift: Callable[[date], date] | None
) -> Iterator[Period]:
    number = _number_from(anchor, interval, max(anchor, since))
    while (first := nth(anchor, interval, number)) <= until:
        number += 1
        last = nth(anchor, interval, number) - timedelta(days=1)
        yield Period(first, last, shift(last) if shift else last)


def nth(anchor: date, interval: Interval, number: int) -> date:
    """Return the first day of the period of this number; 0 begins at the anchor."""
    count = number * interval.amount
    if interval.unit in _IN_MONTHS:
        return add_months(anchor, count * _IN_MONTHS[interval.unit])
    return anchor + timedelta(days=count * _IN_DAYS[interval.unit])


def _number_from(anchor: date, interval: Interval, day: date) -> int:
    """Return the number of the first period that begins on ``day`` or later."""
    if interval.amount < 1 or interval.unit not in {**_IN_DAYS, **_IN_MONTHS}:
        raise ValueError(f"work cannot recur every {interval.amount} {interval.unit}")
    if interval.unit in _IN_MONTHS:
        size = interval.amount * _IN_MONTHS[interval.unit]
        number = ((day.year - anchor.year) * 12 + day.month - anchor.month) // size
    else:
        number = (day - anchor).days // (interval.amount * _IN_DAYS[interval.unit])
    return number if nth(anchor, interval, number) >= day else number + 1


# --- what a clause says ------------------------------------------------------------------------------


def interval_of(found: Effective, name: str) -> Interval:
    """Return the interval a clause sets."""
    return Interval(int(Decimal(found.values[name])), found.clause.parameter(name).unit)


def anchor_of(interval: Interval, first_day: date, day: int = 1) -> date:
    """Return the day from which periods are counted.

    Months, quarters and years run with the calendar year; ``day`` (the parameter ``anchor_day``) is the day of the
    month they begin on. Days and weeks run from the first day of the unit.
    """
    if interval.unit not in _IN_MONTHS:
        return first_day
    # January has 31 days; an interval that does not fit into a year runs on from the unit's first January.
    return date(first_day.year, 1, min(max(day, 1), 31))


def first_day_of(unit_id: int) -> date:
    """Return the first day of a unit."""
    found = session().scalar(select(func.min(UnitParent.valid_from)).where(UnitParent.unit_id == unit_id))
    return found or local_day(unit_id)


def shift_of(unit_id: int, found: Effective) -> Callable[[date], date] | None:
    """Return what moves a last day that is a rest day, where the clause says so (C0-T4)."""
    if not found.values.get("roll_rest_day"):
        return None
    calendar = calendar_of(unit_id, "")
    return lambda day: day if calendar.is_working_day(day) else calendar.add_days(day, 0)


# --- creating ----------------------------------------------------------------------------------------


def create_due(unit_id: int) -> int:
    """Create what is due in a unit by now and is not there yet; return how much.

    Each piece is a transaction of its own, and its row of ``ScheduleRun`` makes it unique, so any number of runners
    may do this at the same time. What a standstill missed is made up for; before its first run a schedule makes up
    for nothing but the present period. Run it inside ``system_scope``.
    """
    rules = current_rules().of(ScheduleRule, enabled_plugins(unit_id))
    if not rules or not maker:
        return 0
    begun = _begun(unit_id)
    return sum(_create(one) for rule in rules for one in _wanted(rule, unit_id, begun))


def day_of(rule: ScheduleRule, unit_id: int) -> date:
    """Return the day that it is for a rule in a unit."""
    return rule.today(unit_id) if rule.today else local_day(unit_id)


def _wanted(rule: ScheduleRule, unit_id: int, begun: Mapping[str, date]) -> Iterator[Wanted]:
    found = effective(unit_id, rule.clause)
    if not found.holds:
        return
    since = max(begun[""], begun.get(rule.plugin, begun[""]))
    interval = interval_of(found, rule.interval)
    anchor = anchor_of(interval, begun[""], int(found.values.get("anchor_day") or 1))
    shift = shift_of(unit_id, found)
    today = day_of(rule, unit_id)
    runs = _latest(unit_id, rule.clause, interval)
    on_that_day = lru_cache(maxsize=None)(partial(holds_on, unit_id, rule.clause))
    for subject in subjects_of(rule, unit_id):
        missed = due_periods(
            anchor, interval, _from_day(subject, since, interval, anchor, today, runs), today, shift
        )
        kept = [one for one in missed if one.first >= since and on_that_day(one.first)]
        skipped, kept = tuple(kept[:-MOST_MISSED]), kept[-MOST_MISSED:]
        for place, period in enumerate(kept):
            yield Wanted(rule, unit_id, subject, period, () if place else skipped)


def _from_day(
    subject: Subject, since: date, interval: Interval, anchor: date, today: date, runs: Mapping[str, date]
) -> date:
    """Return from which day on a subject's periods are looked at.

    A schedule or subject that is new here begins with the present period, nothing in the past. One that came back
    begins where the others of its clause are by now.
    """
    last = runs.get(subject.key)
    if last is None:
        return max(since, begin_of(anchor, interval, today))
    return max(since, last + timedelta(days=1), max(runs.values()))


def begin_of(anchor: date, interval: Interval, day: date) -> date:
    """Return the first day of the period that a day lies in; the anchor for days before it."""
    return nth(anchor, interval, max(0, _number_from(anchor, interval, day + timedelta(days=1)) - 1))


def period_of(unit_id: int, clause: str, day: date) -> tuple[int, date]:
    """Return the number and first day of the period of a recurring clause that a day lies in, as it is set now."""
    found = effective(unit_id, clause)
    interval = interval_of(found, "interval")
    anchor = anchor_of(interval, first_day_of(unit_id), int(found.values.get("anchor_day") or 1))
    number = max(0, _number_from(anchor, interval, day + timedelta(days=1)) - 1)
    return number, nth(anchor, interval, number)


def holds_on(unit_id: int, clause: str, day: date) -> bool:
    """Tell whether a clause is on in a unit on a day of its zone."""
    return effective(unit_id, clause, midnight(unit_id, day)).holds


def midnight(unit_id: int, day: date) -> datetime:
    """Return the moment a day begins in a unit."""
    return clock.as_utc(datetime.combine(day, time(), ZoneInfo(unit_facts(unit_id).timezone)))


def subjects_of(rule: ScheduleRule, unit_id: int) -> list[Subject]:
    """Return whom or what a schedule is about in a unit; the unit itself where the rule names none."""
    if rule.subjects is None:
        return [Subject(UNIT, "", None)]
    found = [Subject(*one) for one in rule.subjects(unit_id)]
    if len(found) > rule.most:
        log.warning("%s: only %d of %d subjects in unit %d", rule.clause, rule.most, len(found), unit_id)
    return found[: rule.most]


def _begun(unit_id: int) -> dict[str, date]:
    """Return the first day of the unit (under '') and of each plugin there."""
    switched = select(UnitPlugin.plugin, UnitPlugin.changed_at).where(UnitPlugin.unit_id == unit_id)
    days = {name: local_day(unit_id, at) for name, at in session().execute(switched)}
    return {**days, "": first_day_of(unit_id)}


def _latest(unit_id: int, clause: str, interval: Interval) -> dict[str, date]:
    """Return the first day of the last period created, by subject, of those in a clause's newest periods.

    As many periods are looked at as are made up for: who had nothing for longer begins anew. So years of runs are
    not read.
    """
    run = ScheduleRun
    mine = (run.unit_id == unit_id, run.clause == clause)
    newest = session().scalar(select(func.max(run.period)).where(*mine))
    if newest is None:
        return {}
    since = nth(date.fromisoformat(newest), interval, -MOST_MISSED)
    # In the order of the index; grouped, SQLite would read all runs of the clause in the order of the key.
    late = select(run.subject, run.period).where(*mine, run.period >= since.isoformat()).order_by(run.period)
    return {key: date.fromisoformat(day) for key, day in session().execute(late)}


def _create(wanted: Wanted) -> bool:
    """Create one piece of work; False where another runner did."""
    key = {
        "unit_id": wanted.unit_id,
        "clause": wanted.rule.clause,
        "subject": wanted.subject.key[:60],
        "period": wanted.period.first.isoformat(),
    }
    with transaction() as work:
        if not insert_once(ScheduleRun, {**key, "created_at": clock.now()}):
            return False
        record_id = wanted.rule.make(wanted).id if wanted.rule.make else maker[0](wanted)
        mine = [getattr(ScheduleRun, name) == value for name, value in key.items()]
        work.execute(
            update(ScheduleRun).where(*mine).values(record_id=record_id),
            execution_options={"synchronize_session": False},
        )
    return True

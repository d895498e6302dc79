"""The day, week and month report of a unit: new, finished, late, chased, due, and the load of each person.

Everything is read in a fixed number of statements along indexes; the period before comes with the same rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, literal, or_, select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session
from core.records.models import OPEN, PAUSED, Fact, Record
from core.units.facts import local_day
from core.users.models import User

from .clocks import add_months
from .obligation_models import LATE, Obligation
from .obligation_models import OPEN as RUNNING
from .schedules import midnight

VIEW = "report.view"
DAY, WEEK, MONTH = "day", "week", "month"
SPANS = (DAY, WEEK, MONTH)
CASE, TASK = "case", "task"
# What a person or a day is counted by; ``open`` and ``due`` are as of now, whatever the period.
NEW, FINISHED, LATE_ONES, CHASED, DUE, STILL_OPEN = "new", "finished", "late", "chased", "due", "open"
FIGURES = (NEW, FINISHED, LATE_ONES, CHASED, DUE, STILL_OPEN)
DONE_KINDS = ("solved", "answered")
TASK_DONE = "finished"

# Written out, not bound: only so do both databases see that a partial index serves.
_OPEN_RECORD = Record.category.in_([literal(OPEN, literal_execute=True), literal(PAUSED, literal_execute=True)])
_MAY_BE_LATE = Obligation.state.in_([literal(RUNNING, literal_execute=True), literal(LATE, literal_execute=True)])


class Span(NamedTuple):
    """Days of a report, both included."""

    kind: str
    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]

    def previous(self) -> Span:
        return span_of(self.kind, self.first - timedelta(days=1))

    def following(self) -> Span:
        return span_of(self.kind, self.last + timedelta(days=1))


@dataclass
class Person:
    """One line of the load: somebody's figures, under their id; None is nobody (not assigned yet)."""

    user_id: int | None
    name: str
    figures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Report:
    """A report. ``before`` holds the same figures of the period before, where they make sense."""

    span: Span
    today: date
    totals: Mapping[str, int]
    before: Mapping[str, int]
    tasks: Mapping[str, int]
    people: Sequence[Person]
    days: Sequence[tuple[date, Mapping[str, int]]]


class Seen(NamedTuple):
    """Something that counts: which figure, of which record, on whom, when."""

    figure: str
    record_id: int
    user_id: int | None
    at: datetime
    type: str


def span_of(kind: str, day: date) -> Span:
    """Return the day, the week (Monday to Sunday) or the month a day lies in."""
    if kind == WEEK:
        first = day - timedelta(days=day.weekday())
        return Span(kind, first, first + timedelta(days=6))
    if kind == MONTH:
        first = day.replace(day=1)
        return Span(kind, first, add_months(first, 1) - timedelta(days=1))
    return Span(DAY, day, day)


def report(unit_id: int, span: Span) -> Report:
    """Work out the report of a unit. Every figure counts cases, each once; tasks stand apart.

    Late is what was due in the period and was done late or is not done yet; due is open work that falls due in it.

    Raises:
        NotAllowed: the actor may not see reports of the unit.
    """
    require(VIEW, unit_id)
    earlier = span.previous()
    start, end = midnight(unit_id, earlier.first), midnight(unit_id, span.last + timedelta(days=1))
    border = midnight(unit_id, span.first)
    seen = list(_seen(unit_id, start, end))
    present = [one for one in seen if one.at >= border]
    cases = [one for one in present if one.type == CASE]
    open_now = _open_now(unit_id, border, end)
    totals = _counted((one.figure, one.record_id) for one in cases)
    totals.update({name: sum(counts[name] for counts in open_now.values()) for name in (DUE, STILL_OPEN)})
    before = _counted((one.figure, one.record_id) for one in seen if one.at < border and one.type == CASE)
    return Report(
        span=span,
        today=local_day(unit_id),
        totals={name: totals[name] for name in FIGURES},
        before={name: before[name] for name in (NEW, FINISHED, LATE_ONES, CHASED)},
        tasks=_tasks(unit_id, present, border, end),
        people=_people(cases, open_now),
        days=_by_day(unit_id, span, cases),
    )


def _counted(pairs: Iterable[tuple[Any, int]]) -> Counter[Any]:
    """Count the records of each key, each record once."""
    return Counter(key for key, _record_id in set(pairs))


# --- what is read ----------------------------------------------------------------------------------


def _seen(unit_id: int, start: datetime, end: datetime) -> Iterator[Seen]:
    for figure, statement in _statements(unit_id, start, end):
        for row in session().execute(statement):
            yield Seen(figure, *row)


def _statements(unit_id: int, start: datetime, end: datetime) -> list[tuple[str, Any]]:
    received = select(Record.id, Record.assignee_id, Record.received_at, Record.type).where(
        Record.unit_id == unit_id, Record.received_at >= start, Record.received_at < end
    )
    late = (
        select(Record.id, Obligation.responsible_id, Obligation.due_at, Record.type)
        .join(Record, Record.id == Obligation.record_id)
        .where(Obligation.unit_id == unit_id, Obligation.due_at >= start, Obligation.due_at < end)
        .where(_MAY_BE_LATE, or_(Obligation.state == LATE, Obligation.due_at < clock.now()))
    )
    return [
        (NEW, received),
        (FINISHED, _facts(unit_id, (*DONE_KINDS, TASK_DONE), start, end)),
        (CHASED, _facts(unit_id, (CHASED,), start, end)),
        (LATE_ONES, late),
    ]


def _facts(unit_id: int, kinds: Sequence[str], start: datetime, end: datetime) -> Any:
    return (
        select(Record.id, Record.assignee_id, Fact.at, Record.type)
        .join(Record, Record.id == Fact.record_id)
        .where(Fact.unit_id == unit_id, Fact.kind.in_(kinds), Fact.at >= start, Fact.at < end)
    )


def _open_now(unit_id: int, start: datetime, end: datetime) -> dict[int | None, Counter[str]]:
    """Count open cases by person: all of them, and what falls due in the period."""
    found: dict[int | None, Counter[str]] = defaultdict(Counter)
    open_ones = select(Record.assignee_id, func.count()).where(
        Record.unit_id == unit_id, _OPEN_RECORD, Record.type == CASE
    )
    due = open_ones.where(Record.next_due_at >= start, Record.next_due_at < end)
    for name, statement in ((STILL_OPEN, open_ones), (DUE, due)):
        for user_id, count in session().execute(statement.group_by(Record.assignee_id)):
            found[user_id][name] += count
    return found


def _tasks(unit_id: int, present: Iterable[Seen], start: datetime, end: datetime) -> dict[str, int]:
    """Count recurring tasks: they are the unit's own work, not a customer's."""
    counts = _counted((one.figure, one.record_id) for one in present if one.type == TASK)
    due = select(func.count()).where(
        Record.unit_id == unit_id,
        Record.type == TASK,
        _OPEN_RECORD,
        Record.next_due_at >= start,
        Record.next_due_at < end,
    )
    figures = {name: counts[name] for name in (NEW, FINISHED, LATE_ONES)}
    return {**figures, DUE: session().scalar(due) or 0}


# --- how it is put together ------------------------------------------------------------------------


def _people(cases: Iterable[Seen], open_now: Mapping[int | None, Counter[str]]) -> list[Person]:
    figures: dict[int | None, Counter[str]] = defaultdict(Counter)
    for user_id, counts in open_now.items():
        figures[user_id].update(counts)
    for (user_id, figure), count in _counted(((one.user_id, one.figure), one.record_id) for one in cases).items():
        figures[user_id][figure] = count
    people = [Person(key, name, figures[key]) for key, name in _names(figures).items()]
    # The most loaded first, what is nobody's last.
    return sorted(people, key=lambda one: (one.user_id is None, -one.figures[STILL_OPEN], one.name))


def _names(ids: Iterable[int | None]) -> dict[int | None, str]:
    wanted = set(ids)
    found: dict[int | None, str] = {None: ""} if None in wanted else {}
    rows = session().execute(select(User.id, User.name).where(User.id.in_(wanted - {None})).order_by(User.id))
    return found | {row.id: row.name for row in rows}


def _by_day(unit_id: int, span: Span, cases: Iterable[Seen]) -> list[tuple[date, Mapping[str, int]]]:
    """Count by day, but for a single one."""
    if span.kind == DAY:
        return []
    days: dict[date, Counter[str]] = {day: Counter() for day in span.days}
    counts = _counted(((local_day(unit_id, one.at), one.figure), one.record_id) for one in cases)
    for (day, figure), count in counts.items():
        days[day][figure] = count
    return list(days.items())

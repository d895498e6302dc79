"""How well clauses are kept: what was met against what was late, live from the obligations.

The rate is met / (met + late). Late is what ended late and what is open past its limit at this moment; excused,
pending (open and in time), paused and void obligations stand apart and count neither way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, cast, func, null, or_, select, union_all

from core.kernel import clock
from core.kernel.access import may, require
from core.kernel.database import fetch, session
from core.kernel.errors import InvalidData
from core.records.models import RefusalLog
from core.units.facts import unit_facts
from core.units.models import Unit
from core.units.services import below as units_below

from . import unit_calendars
from .calendar import CalendarError
from .clocks import Term, late_by
from .fold import thaw_term
from .obligation_models import EXCUSED, LATE, MET, OPEN, PAUSED, VOID, Obligation
from .rulebook import current_rulebook

VIEW = "compliance.view"
USUAL_MONTHS, MOST_MONTHS = 3, 36
# How an obligation stands at a moment: its state, except that an open one is pending or, past its limit, overdue.
PENDING, OVERDUE = "pending", "overdue"
STANDINGS = (MET, LATE, OVERDUE, EXCUSED, PENDING, PAUSED, VOID)


@dataclass(frozen=True)
class Figures:
    """How many obligations stand how. ``late`` holds the ``overdue`` ones: open past their limit."""

    met: int = 0
    late: int = 0
    excused: int = 0
    pending: int = 0
    paused: int = 0
    void: int = 0
    overdue: int = 0

    @property
    def counted(self) -> int:
        """How many the rate is about."""
        return self.met + self.late

    @property
    def total(self) -> int:
        return self.counted + self.excused + self.pending + self.paused + self.void

    @property
    def rate(self) -> Decimal | None:
        """The share met in time, from 0 to 1; None where nothing counts."""
        return Decimal(self.met) / self.counted if self.counted else None

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in _NAMES))

    def plus(self, state: str, count: int, overdue: int = 0) -> Figures:
        """Return these figures with ``count`` more rows of a stored state, ``overdue`` of them past their limit."""
        if state != OPEN:
            return replace(self, **{state: getattr(self, state) + count})
        return replace(
            self, late=self.late + overdue, overdue=self.overdue + overdue, pending=self.pending + count - overdue
        )


_NAMES = ("met", "late", "excused", "pending", "paused", "void", "overdue")


def percent(rate: Decimal | None) -> str:
    """Say a rate with one decimal: 100.0% only if nothing was late, 0.0% only if nothing was met; — for None."""
    if rate is None:
        return "—"
    shown = (rate * 100).quantize(Decimal("0.1"), ROUND_HALF_UP)
    if rate not in (0, 1):
        shown = min(max(shown, Decimal("0.1")), Decimal("99.9"))
    return f"{shown}%"


@dataclass(frozen=True)
class Question:
    """What the figures are about. ``clauses`` None is all; ``user_id`` None is everybody; months as ``2026-11``."""

    units: tuple[int, ...]
    first: str
    last: str
    clauses: tuple[str, ...] | None = None
    user_id: int | None = None


@dataclass(frozen=True)
class Answer:
    """Figures in all and by each side of the question; a month without obligations is there with zeros."""

    question: Question
    total: Figures
    by_clause: Mapping[str, Figures]
    by_unit: Mapping[int, Figures]
    by_month: Mapping[str, Figures]

    @property
    def by_position(self) -> Mapping[str, Figures]:
        """Figures by the position that the rulebook holds responsible, '' where it names none."""
        book = current_rulebook()
        found: dict[str, Figures] = {}
        for clause, figures in self.by_clause.items():
            known = book.clauses.get(clause)
            position = known.responsible if known else ""
            found[position] = found.get(position, Figures()) + figures
        return found


# --- what is asked -------------------------------------------------------------------------------


def units_for(unit_id: int, below: bool) -> tuple[int, ...]:
    """Return a unit, with those below it where the actor may see their compliance, too.

    Raises:
        NotAllowed: the actor may not see the compliance of the unit itself.
    """
    require(VIEW, unit_id)
    if not below:
        return (unit_id,)
    unit = fetch(Unit, unit_id)
    return tuple(one.id for one in units_below(unit) if may(VIEW, one.id))


def this_month(unit_id: int) -> str:
    """Return the present month in the unit's zone."""
    return clock.day_in(unit_facts(unit_id).timezone).strftime("%Y-%m")


def months_back(month: str, count: int) -> str:
    """Return the month ``count`` before another."""
    year, number = divmod(int(month[:4]) * 12 + int(month[5:]) - 1 - count, 12)
    return f"{year:04d}-{number + 1:02d}"


def months_between(first: str, last: str) -> list[str]:
    """Return the months from one to another, both included."""
    found = [first]
    while found[-1] < last:
        found.append(months_back(found[-1], -1))
    return found


def months_of(unit_id: int, first: str = "", last: str = "") -> tuple[str, str]:
    """Check a period in months; what is empty is the usual: the last three, the present one included.

    Raises:
        InvalidData: not a month, reversed, or too long.
    """
    now = this_month(unit_id)
    wrong = {
        name: _l("Please enter a month such as 2026-11")
        for name, m in (("first", first), ("last", last))
        if m and not is_month(m)
    }
    if wrong:
        raise InvalidData(wrong)
    last = last or (max(now, first) if first else now)
    first = first or months_back(last, USUAL_MONTHS - 1)
    if first > last:
        raise InvalidData({"last": _l("The end lies before the beginning")})
    if months_back(last, MOST_MONTHS - 1) > first:
        raise InvalidData({"first": _l("At most %(count)d months", count=MOST_MONTHS)})
    return first, last


def is_month(text: str) -> bool:
    """Tell whether a text is a month such as 2026-11."""
    try:
        return date.fromisoformat(f"{text}-01").strftime("%Y-%m") == text
    except ValueError:
        return False


def clauses_that(
    *, regulation: str = "", clause: str = "", kind: str = "", position: str = ""
) -> tuple[str, ...] | None:
    """Return the ids of the clauses that fit every filter ('' is any); None where nothing narrows."""
    if not (regulation or clause or kind or position):
        return None
    return tuple(
        one.id
        for one in current_rulebook().clauses.values()
        if regulation in ("", one.regulation)
        and clause in ("", one.id)
        and kind in ("", one.kind)
        and position in ("", one.responsible)
    )


# --- counting ------------------------------------------------------------------------------------


def answer(question: Question) -> Answer:
    """Count, live, in one statement that reads nothing but the index made for it.

    Raises:
        NotAllowed: the actor may not see the compliance of one of the units.
    """
    _check(question)
    clauses: dict[str, Figures] = {}
    units: dict[int, Figures] = {}
    months = dict.fromkeys(months_between(question.first, question.last), Figures())
    if question.units and question.clauses != ():
        for clause, unit_id, month, state, count, overdue in session().execute(_sides(question)):
            of: dict[Any, Figures] = clauses if clause else units if unit_id else months
            key = clause or unit_id or month
            of[key] = of.get(key, Figures()).plus(state, int(count), int(overdue))
    return Answer(question, sum(units.values(), Figures()), clauses, units, months)


def trend(question: Question) -> Mapping[str, Figures]:
    """Return the figures by month, in order, also of months without any obligation."""
    return answer(question).by_month


def by_unit(question: Question) -> Mapping[int, Figures]:
    """Return the figures by unit id, of units that have any."""
    return answer(question).by_unit


def by_person(question: Question) -> dict[int | None, Figures]:
    """Return the figures by who answers for it (user id); None: nobody was to be found.

    Raises:
        NotAllowed: as ``answer``.
    """
    _check(question)
    found: dict[int | None, Figures] = {}
    if question.units and question.clauses != ():
        g = _groups(question, Obligation.responsible_id)
        sums = func.sum(g.c.n), func.sum(g.c.overdue)
        rows = select(g.c.responsible_id, g.c.state, *sums).group_by(g.c.responsible_id, g.c.state)
        for user_id, state, count, overdue in session().execute(rows):
            found[user_id] = found.get(user_id, Figures()).plus(state, int(count), int(overdue))
    return found


def _check(question: Question) -> None:
    for unit_id in question.units:
        require(VIEW, unit_id)


def _sides(question: Question) -> Any:
    """Add the groups up by clause, by unit and by month: few rows leave the database, however wide the question."""
    g = _groups(question)
    keys = (g.c.clause, g.c.unit_id, g.c.month)
    sums = func.sum(g.c.n), func.sum(g.c.overdue)
    return union_all(
        *(
            select(*(key if key is side else cast(null(), key.type) for key in keys), g.c.state, *sums).group_by(
                side, g.c.state
            )
            for side in keys
        )
    )


def _groups(question: Question, *further: Any) -> Any:
    """Count in the order of the index, unit by unit: so grouping needs no sorting."""
    row = Obligation
    overdue = func.count().filter(row.state == OPEN, row.due_at < clock.now()).label("overdue")
    keys = (row.month, row.clause, row.state, *further)
    found = select(row.unit_id, *keys, func.count().label("n"), overdue).where(*conditions(question))
    return union_all(*(found.where(row.unit_id == one).group_by(row.unit_id, *keys) for one in question.units)).cte(
        "g"
    )


def conditions(question: Question) -> list[ColumnElement[bool]]:
    """Return what narrows obligations to a question, all but its units."""
    row = Obligation
    found: list[ColumnElement[bool]] = [row.month.between(question.first, question.last)]
    if question.clauses is not None:
        found.append(row.clause.in_(question.clauses))
    if question.user_id is not None:
        found.append(row.responsible_id == question.user_id)
    return found


def latest_month(units: Sequence[int]) -> str:
    """Return the last month in which any of the units has an obligation, '' where none has."""
    last = select(func.max(Obligation.month))
    found = (session().scalar(last.where(Obligation.unit_id == unit_id)) for unit_id in units)
    return max((one for one in found if one), default="")


def of_clause(unit_id: int, clause: str) -> Answer:
    """Return the figures of one clause in one unit over the usual months, for the clause's page.

    Raises:
        NotAllowed: the actor may not see the compliance of the unit.
    """
    first, last = months_of(unit_id)
    return answer(Question((unit_id,), first, last, (clause,)))


def refusals(question: Question) -> dict[str, int]:
    """Return how often steps were refused under each clause in the months asked for, the most frequent first.

    Whose step it was stands nowhere in a refusal's place: ``user_id`` is who tried.

    Raises:
        NotAllowed: as ``answer``.
    """
    _check(question)
    if not question.units or question.clauses == ():
        return {}
    row = RefusalLog
    zones: dict[str, list[int]] = {}
    for unit_id in question.units:
        zones.setdefault(unit_facts(unit_id).timezone, []).append(unit_id)
    months = []
    for units in zones.values():
        start, end = span(units[0], question.first, question.last)
        months.append(and_(row.unit_id.in_(units), row.at >= start, row.at < end))
    found = select(row.clause, func.count()).where(row.clause != "", or_(*months))
    if question.clauses is not None:
        found = found.where(row.clause.in_(question.clauses))
    if question.user_id is not None:
        found = found.where(row.actor_id == question.user_id)
    counted = session().execute(found.group_by(row.clause)).all()
    return dict(sorted(counted, key=lambda one: (-one[1], one[0])))


def span(unit_id: int, first: str, last: str) -> tuple[datetime, datetime]:
    """Return when months begin and end (exclusive) in the unit's zone."""
    zone = ZoneInfo(unit_facts(unit_id).timezone)
    begin, end = (
        datetime.combine(date.fromisoformat(f"{month}-01"), time.min, zone).astimezone(UTC)
        for month in (first, months_back(last, -1))
    )
    return begin, end


# --- one obligation ------------------------------------------------------------------------------


def standing(state: str, due_at: datetime | None, now: datetime) -> str:
    """Return how an obligation stands at a moment; see ``STANDINGS``."""
    if state != OPEN:
        return state
    return OVERDUE if due_at is not None and due_at < now else PENDING


def stands(code: str) -> ColumnElement[bool]:
    """Return the condition under which an obligation stands so now."""
    row, now = Obligation, clock.now()
    if code == OVERDUE:
        return and_(row.state == OPEN, row.due_at < now)
    if code == PENDING:
        return and_(row.state == OPEN, or_(row.due_at.is_(None), row.due_at >= now))
    return row.state == code


class LateBy(NamedTuple):
    """By how much something is late: seconds of its term's clock, days (C0-T12), and plain seconds (``gone``)."""

    term: Term
    seconds: int
    days: int
    gone: int


def lateness(row: Obligation) -> LateBy | None:
    """Return by how much an obligation is or was late, None where it is not."""
    if row.due_at is None or row.state not in (LATE, OPEN):
        return None
    term = thaw_term(row.terms["term"])
    gone = int(((row.ended_at or clock.now()) - row.due_at).total_seconds())
    if row.state == LATE:
        return LateBy(term, row.late_seconds, row.late_days, gone)
    try:
        late = late_by(term, row.due_at, clock.now(), unit_calendars.thaw(row.terms["calendar"]))
    except CalendarError:
        return None
    return LateBy(term, late.seconds, late.days, gone) if late.late else None

"""The deadlines of a record as its page tells them: what is due, when, by which clause, and why just then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.admin.clauses import duration_words, frozen_words, said
from core.admin.format import span
from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import current_scope, session
from core.kernel.i18n import current_locale
from core.records.engine import sees_inside
from core.records.models import Fact, Record
from core.records.types import record_type, words_of
from core.rules import excuses
from core.rules.calendar import CalendarError
from core.rules.clauses import Clause
from core.rules.clocks import WORKING, Deadline, Pause, Term, deadline, late_by
from core.rules.effective import Source, sources
from core.rules.explain import DayStep, steps
from core.rules.fold import Episode, Terms, episodes
from core.rules.kinds import DeadlineRule, Happened
from core.rules.obligation_models import EXCUSED, LATE, MET, OPEN, PAUSED, PENDING, VOID, Breach, Obligation
from core.rules.obligations import facts_of, thawed_terms
from core.rules.registry import current_rules
from core.rules.rulebook import current_rulebook
from core.users.positions import POSITIONS

MOST = 60
DAYS_SHOWN = 21
# (words, tone, sign) of each state; an open one past its limit is overdue.
_STATES: Mapping[str, tuple[Any, str, str]] = {
    OPEN: (_l("Running"), "info", "clock"),
    PAUSED: (_l("Paused"), "paused", "pause"),
    MET: (_l("Met in time"), "good", "check"),
    LATE: (_l("Done late"), "bad", "warn"),
    VOID: (_l("No longer needed"), "neutral", "cross"),
    EXCUSED: (_l("Excused"), "neutral", "flag"),
}
DAY_KINDS: Mapping[str, Any] = {
    "work": _l("Working day"),
    "rest": _l("Rest day"),
    "holiday": _l("Public holiday"),
    "makeup": _l("Make-up working day"),
    "own": _l("Own hours"),
}


@dataclass(frozen=True)
class Given:
    """A parameter as an obligation froze it, and where its value comes from."""

    title: str
    value: str
    source: str


@dataclass(frozen=True)
class Why:
    """Why something is due just then."""

    root: Any
    term: Term
    given: Sequence[Given] = ()
    due: Deadline | None = None
    days: Sequence[DayStep] = ()
    left_out: int = 0
    pauses: Sequence[Pause] = ()
    released_at: datetime | None = None
    # The days say nothing where the clock simply runs on.
    counts: bool = False


@dataclass(frozen=True)
class Line:
    """One obligation as it is shown. ``left`` says how far its limit is, or by how much it was missed."""

    row: Obligation
    title: str
    badge: tuple[Any, str, str]
    limit: str
    left: str = ""
    why: Why | None = None
    paused_since: datetime | None = None
    excuse: Fact | None = None
    end: Any = ""
    problem: str = ""
    # A lateness that was told and taken back: what answered it in time was entered later.
    withdrawn: Breach | None = None
    may_excuse: bool = False
    may_lift: bool = False


@dataclass
class _Read:
    """What all lines of a record need, read once."""

    record: Record
    facts: Sequence[Happened] = ()
    rows: dict[int, Fact] = field(default_factory=dict)
    sources: Sequence[Source] = ()
    breaches: dict[tuple[str, int], Breach] = field(default_factory=dict)
    runs: dict[str, list[Episode]] = field(default_factory=dict)


def deadlines_of(record: Record) -> list[Line]:
    """Return a record's deadlines: first those that run, the next one due on top, then those that are over.

    The number of statements does not depend on how many there are.
    """
    own = select(Obligation).where(Obligation.record_id == record.id).options(joinedload(Obligation.responsible))
    if not sees_inside(record):
        own = own.where(Obligation.responsible_id == current_scope().actor_id)
    rows = list(session().scalars(own.order_by(Obligation.id.desc()).limit(MOST)))
    if not rows:
        return []
    read = _read(record, rows)
    return [_line(row, read) for row in sorted(rows, key=_rank)]


def pending(lines: Iterable[Line]) -> list[Line]:
    """Return those that still run or stand still."""
    return [one for one in lines if one.row.state in PENDING]


def _rank(row: Obligation) -> tuple[bool, float, int]:
    running = row.state in PENDING
    at = row.due_at if running else row.ended_at
    stamp = at.timestamp() if at else float("inf")
    return not running, stamp if running else -stamp, row.id


def _read(record: Record, rows: Sequence[Obligation]) -> _Read:
    facts = facts_of(record)
    told = {key for row in rows for key in (row.excuse_fact_id, row.end_fact_id, row.terms.get("released")) if key}
    wanted = select(Fact).where(Fact.id.in_(told)).options(joinedload(Fact.actor))
    breaches = session().scalars(
        select(Breach).where(Breach.record_id == record.id, Breach.withdrawn_at.is_not(None))
    )
    read = _Read(
        record=record,
        facts=facts,
        rows={one.id: one for one in session().scalars(wanted)} if told else {},
        sources=sources(key for row in rows for key in row.terms.get("settings", ())),
        breaches={(one.clause, one.root_fact_id): one for one in breaches},
    )
    clauses = {row.clause for row in rows}
    for rule in current_rules().rules:
        if isinstance(rule, DeadlineRule) and rule.clause in clauses and rule.record_type == record.type:
            read.runs.setdefault(rule.clause, []).extend(episodes(rule, facts))
    return read


def _line(row: Obligation, read: _Read) -> Line:
    clause = current_rulebook().clauses.get(row.clause)
    title = said(clause.title) if clause else ""
    run = next((one for one in read.runs.get(row.clause, ()) if one.root.id == row.root_fact_id), None)
    terms = thawed_terms(row.terms)
    since = next((one.start for one in run.pauses if one.end is None), None) if run else None
    pauses = run.pauses if run else ()
    problem = _problem(row)
    return Line(
        row=row,
        title=title,
        badge=_badge(row),
        limit=term_words(terms.term),
        left=_left(row, terms),
        why=_why(row, clause, terms, pauses, read) if not problem else None,
        paused_since=since if row.state == PAUSED else None,
        excuse=read.rows.get(row.excuse_fact_id or 0),
        end=_label(read, row.end_fact_id),
        problem=problem,
        withdrawn=read.breaches.get((row.clause, row.root_fact_id)),
        may_excuse=excuses.excusable(row) and excuses.may_ask(row.unit_id),
        may_lift=row.excuse_fact_id is not None and may(excuses.PERMISSION, row.unit_id),
    )


def _badge(row: Obligation) -> tuple[Any, str, str]:
    if row.state == OPEN and row.due_at is not None:
        now = clock.now()
        if row.due_at < now:
            return _("Overdue"), "bad", "warn"
        if row.warn_at is not None and row.warn_at <= now:
            return _("Due soon"), "warn", "clock"
    return _STATES[row.state]


def _left(row: Obligation, terms: Terms) -> str:
    """Say how long is left, or how late it is or was, in the clause's own clock."""
    if row.due_at is None:
        return ""
    if row.state == LATE and row.ended_at is not None:
        gone = int((row.ended_at - row.due_at).total_seconds())
        return _("late by %(time)s", time=late_words(terms.term, row.late_seconds, row.late_days, gone))
    if row.state != OPEN:
        return ""
    gone = int((clock.now() - row.due_at).total_seconds())
    if gone <= 0:
        return _("%(time)s left", time=span(-gone))
    try:
        late = late_by(terms.term, row.due_at, clock.now(), terms.calendar)
    except CalendarError:
        return _("over by %(time)s", time=span(gone))
    return _("over by %(time)s", time=late_words(terms.term, late.seconds, late.days, gone))


def late_words(term: Term, seconds: int, days: int, gone: int) -> str:
    """Say by how much something is late in the clock of its term: days, working days, hours, working hours.

    ``gone`` is the plain time since the limit, said where the clock has not yet counted anything.
    """
    if term.by_day:
        return duration_words(days, "day", term.clock) if days else span(gone)
    if term.clock != WORKING or seconds < 60:
        return span(gone)
    # A day of working time is no day of the calendar: only hours are said.
    hours = seconds // 3600
    return duration_words(hours, "hour", WORKING) if hours else duration_words(seconds // 60, "minute", WORKING)


def term_words(term: Term) -> str:
    """Say how long a clause gives."""
    return duration_words(int(term.amount), term.unit, term.clock)


def _label(read: _Read, fact_id: int | None) -> Any:
    fact = read.rows.get(fact_id or 0)
    if fact is None or record_type(read.record.type) is None:
        return ""
    kind = words_of(read.record.type).fact_kinds.get(fact.kind)
    return kind.label if kind else fact.kind


_PROBLEMS: Mapping[str, Any] = {
    "NoWorkingTime": _l("The working calendar has no working time, so no limit can be worked out."),
    "TooFar": _l("The limit lies too far away to be worked out."),
}


def _problem(row: Obligation) -> str:
    code = row.terms.get("problem", "")
    return str(_PROBLEMS.get(code, code)) if code and row.due_at is None else ""


def _why(row: Obligation, clause: Clause | None, terms: Terms, pauses: Sequence[Pause], read: _Read) -> Why:
    due = None
    days: Sequence[DayStep] = ()
    left_out = 0
    try:
        due = deadline(terms.term, row.start_at, terms.calendar, pauses)
        days, left_out = steps(terms.term, row.start_at, due, terms.calendar)
    except CalendarError:
        pass
    released = read.rows.get(row.terms.get("released") or 0)
    return Why(
        root=_root_label(row, read),
        term=terms.term,
        given=_given(row, clause, read.sources) if clause else (),
        due=due,
        days=days[:DAYS_SHOWN],
        left_out=left_out + max(0, len(days) - DAYS_SHOWN),
        pauses=pauses,
        released_at=released.at if released else None,
        counts=terms.term.clock == WORKING or terms.term.by_day,
    )


def _root_label(row: Obligation, read: _Read) -> Any:
    fact = next((one for one in read.facts if one.id == row.root_fact_id), None)
    if fact is None or record_type(read.record.type) is None:
        return ""
    kind = words_of(read.record.type).fact_kinds.get(fact.kind)
    return kind.label if kind else fact.kind


def _given(row: Obligation, clause: Clause, held: Sequence[Source]) -> list[Given]:
    values: Mapping[str, Any] = row.terms.get("values", {})
    mine = [one for one in held if one.id in row.terms.get("settings", ())]
    return [
        Given(said(one.title), frozen_words(one, values[one.name], _positions()), _source(one.name, values, mine))
        for one in clause.parameters
        if one.name in values
    ]


def _source(name: str, values: Mapping[str, Any], held: Sequence[Source]) -> str:
    """Name the version that set a value: of the nearest unit that set this very one."""
    for one in reversed(held):
        if name in one.values and str(one.values[name]) == str(values[name]):
            unit = one.unit_en if current_locale() == "en" and one.unit_en else one.unit
            return _("set by %(unit)s from %(day)s (no. %(number)s)", unit=unit, day=one.starts_on, number=one.id)
    return _("as the regulation says")


def _positions() -> dict[str, str]:
    english = current_locale() == "en"
    return {one.code: one.title_en if english else one.title for one in POSITIONS}

"""What would have been met and late under other parameters of a clause: a counterfactual, never a finding.

It reads facts and stored obligations, folds them as obligations are folded, and writes nothing. Records are read in
chunks, so memory does not grow with the period.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import may, require
from core.kernel.database import fetch, session
from core.kernel.errors import InvalidData
from core.kernel.fields import Field, clean
from core.records.models import Fact, Record
from core.records.types import words_of
from core.units.facts import unit_facts
from core.units.models import Unit
from core.units.services import below as units_below
from core.units.switches import enabled_plugins

from .clauses import Clause
from .clocks import late_by
from .compliance import OVERDUE, PENDING, Figures, standing
from .effective import effective, term_of
from .fold import ABOUT_CLAUSES, STAGE, Episode, Outcome, Terms, episodes, in_order, judge
from .kinds import DeadlineRule, Happened, PenaltyRule
from .obligation_models import EXCUSED, LATE, MET, PAUSED, VOID, Obligation
from .obligations import Progress, calendar_of, current_position, snapshots_of, thawed_terms
from .penalties import figures_of
from .registry import current_rules
from .responsible import responsible
from .rulebook import current_rulebook
from .settings import clashes, read_values
from .unit_calendars import thaw

REPLAY = "rules.replay"
CHUNK = 1000
MOST_DAYS = 731
PAGE = 50
BREACHES = (LATE, OVERDUE)
# Kinds by which the responsible person is found.
_PEOPLE = frozenset({"assigned", "declined"})


@dataclass(frozen=True)
class Question:
    """What is replayed: a clause in some units, for obligations that began from one day to another (of each unit's
    zone).

    ``values`` holds the parameters that are to differ, as they are stored; all others are as they were when each
    obligation began. ``everywhere``: also where and when the clause was off.
    """

    clause: Clause
    units: tuple[int, ...]
    first: date
    last: date
    values: Mapping[str, Any]
    everywhere: bool = True


class Judged(NamedTuple):
    """One obligation of the past: how it stands now, and how it would. ``was`` is '' where there is none."""

    unit_id: int
    record_id: int
    root_fact_id: int
    start_at: datetime
    month: str
    was: str
    was_due: datetime | None
    was_days: int
    was_responsible: int | None
    would: str
    would_due: datetime | None
    would_days: int
    would_responsible: int | None
    ended_at: datetime | None
    problem: str

    @property
    def key(self) -> tuple[int, int, int]:
        return self.unit_id, self.record_id, self.root_fact_id

    @property
    def flips(self) -> bool:
        """Whether it would come out otherwise; being overdue now and ending late are the same."""
        return _COARSE.get(self.was, self.was) != _COARSE.get(self.would, self.would)


_COARSE = {OVERDUE: LATE}


class Pair:
    """Figures as they are, and as they would be."""

    def __init__(self) -> None:
        self._was: Counter[str] = Counter()
        self._would: Counter[str] = Counter()

    def add(self, was: str, would: str) -> None:
        """Count a standing on each side; '' counts nowhere."""
        self._was[was] += 1
        self._would[would] += 1

    @property
    def was(self) -> Figures:
        return _figures(self._was)

    @property
    def would(self) -> Figures:
        return _figures(self._would)


def _figures(counted: Counter[str]) -> Figures:
    plain = {name: counted[name] for name in (MET, EXCUSED, PAUSED, VOID, PENDING, OVERDUE)}
    return Figures(late=counted[LATE] + counted[OVERDUE], **plain)


@dataclass
class Estimate:
    """Penalty proposals of one clause: how many, and between which amounts in yuan they lie.

    ``open_ended`` of them have no amount that follows from the clause.
    """

    count: int = 0
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)
    open_ended: int = 0


@dataclass
class Result:
    """What a replay found. ``flips`` counts all that differ, ``sample`` holds the first of them.

    ``to_met`` and ``to_late`` tell how many breaches less and more there would be; ``penalties`` maps a clause to
    the estimates (was, would be). ``unjudged`` obligations have no limit, as the calendar has no working time.
    """

    question: Question
    total: Pair = field(default_factory=Pair)
    by_month: dict[str, Pair] = field(default_factory=lambda: defaultdict(Pair))
    by_person: dict[int | None, Pair] = field(default_factory=lambda: defaultdict(Pair))
    penalties: dict[str, tuple[Estimate, Estimate]] = field(default_factory=dict)
    records: int = 0
    judged: int = 0
    unjudged: int = 0
    flips: int = 0
    to_late: int = 0
    to_met: int = 0
    sample: list[Judged] = field(default_factory=list)

    def add(self, one: Judged) -> None:
        self.judged += 1
        self.unjudged += bool(one.problem)
        self.total.add(one.was, one.would)
        self.by_month[one.month].add(one.was, one.would)
        self.by_person[one.was_responsible].add(one.was, "")
        self.by_person[one.would_responsible].add("", one.would)
        if one.flips:
            self.flips += 1
            self.to_late += one.would in BREACHES
            self.to_met += one.was in BREACHES
            if len(self.sample) < PAGE:
                self.sample.append(one)


# --- asking --------------------------------------------------------------------------------------

PERIOD: tuple[Field, ...] = (
    Field("first", "date", _l("Begun from"), True),
    Field("last", "date", _l("Begun until"), True),
)


def ask(
    unit_id: int,
    clause_id: str,
    raw: Mapping[str, Any],
    period: Mapping[str, Any],
    *,
    below: bool = False,
    everywhere: bool = True,
) -> Question:
    """Check what somebody wants to see replayed.

    ``raw`` holds parameters by name, ``period`` the days ``first`` and ``last``.

    Raises:
        NotAllowed: without ``rules.replay`` in the unit.
        InvalidData: under ``clause``, the parameter's name, ``first`` or ``last``.
    """
    require(REPLAY, unit_id)
    clause = replayable(unit_id, clause_id)
    errors: dict[str, Any] = {}
    values: Mapping[str, Any] = {}
    days: Mapping[str, Any] = {}
    try:
        values = read_values(clause, raw)
        errors |= clashes(clause, {**effective(unit_id, clause).values, **values}, values)
    except InvalidData as bad:
        errors |= bad.errors
    try:
        days = clean(PERIOD, period)
        errors |= _wrong_period(unit_id, days["first"], days["last"])
    except InvalidData as bad:
        errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    units = [unit_id]
    if below:
        units = sorted(one.id for one in units_below(fetch(Unit, unit_id)) if may(REPLAY, one.id))
    return Question(clause, tuple(units), days["first"], days["last"], values, everywhere)


def replayable(unit_id: int, clause_id: str) -> Clause:
    """Return a clause with a deadline that a unit knows, whether it is on there or not.

    Raises:
        InvalidData: under ``clause``.
    """
    enabled = enabled_plugins(unit_id)
    clause = current_rulebook().clause(clause_id, enabled)
    if clause is None:
        raise InvalidData({"clause": _l("There is no such clause here")})
    if not rules_of(clause.id, enabled):
        raise InvalidData({"clause": _l("This clause has no time limit that could be replayed")})
    return clause


def rules_of(clause_id: str, enabled: frozenset[str]) -> list[DeadlineRule]:
    """Return the deadlines that carry out a clause where these plugins are on."""
    return [one for one in current_rules().of(DeadlineRule, enabled) if one.clause == clause_id]


def choices(unit_id: int) -> list[Clause]:
    """Return the clauses that can be replayed in a unit."""
    book, enabled = current_rulebook(), enabled_plugins(unit_id)
    bound = {one.clause for one in current_rules().of(DeadlineRule, enabled)}
    return [one for one in book.in_force(enabled) if one.id in bound]


def _wrong_period(unit_id: int, first: date, last: date) -> dict[str, Any]:
    if last < first:
        return {"last": _l("The end lies before the beginning")}
    if not 1950 <= first.year <= last.year <= 2200:
        return {"first": _l("This date is too far away")}
    if (last - first).days >= MOST_DAYS:
        return {"last": _l("At most %(count)d days", count=MOST_DAYS)}
    if first > clock.day_in(unit_facts(unit_id).timezone):
        return {"first": _l("This lies in the future: there is nothing to replay yet")}
    return {}


# --- running -------------------------------------------------------------------------------------


def run(question: Question, *, most: int | None = None, progress: Progress = lambda *_: None) -> Result:
    """Replay everything the question is about.

    Raises:
        NotAllowed: without ``rules.replay`` in one of the units.
        InvalidData: under ``last``: more than ``most`` records.
    """
    result = Result(question)
    found = [(unit_id, _records(question, unit_id)) for unit_id in question.units]
    result.records = sum(len(ids) for _, ids in found)
    if most is not None and result.records > most:
        told = _l(
            "%(count)d records are too many at once (%(most)d): choose a shorter period",
            count=result.records,
            most=most,
        )
        raise InvalidData({"last": told})
    done = 0
    for unit_id, ids in found:
        judge_money = _Money(question.clause.id, unit_id, result)
        walk = _Walk(question, unit_id)
        for batch in _chunks(ids):
            for one in walk.judged(batch):
                result.add(one)
                judge_money.add(one)
            done += len(batch)
            progress(done, result.records)
    return result


def flips_after(question: Question, after: tuple[int, int, int], limit: int = PAGE) -> list[Judged]:
    """Return the next obligations that would come out otherwise, after the key of one; it stops when it has enough.

    Raises:
        NotAllowed: as ``run``.
    """
    found: list[Judged] = []
    for unit_id in question.units:
        if unit_id < after[0]:
            continue
        ids = _records(question, unit_id)
        start = next((n for n, one in enumerate(ids) if (unit_id, one) >= after[:2]), len(ids))
        walk = _Walk(question, unit_id)
        for batch in _chunks(ids[start:]):
            found += [one for one in walk.judged(batch) if one.flips and one.key > after]
            if len(found) >= limit:
                return found[:limit]
    return found


def _chunks(ids: Sequence[int]) -> Iterator[list[int]]:
    for first in range(0, len(ids), CHUNK):
        yield list(ids[first : first + CHUNK])


def _records(question: Question, unit_id: int) -> Sequence[int]:
    """Return, in order, the records of a unit in which an obligation of the clause may have begun in the period."""
    require(REPLAY, unit_id)
    rules = rules_of(question.clause.id, enabled_plugins(unit_id))
    kinds = {kind for one in rules for kind in (*one.start, *one.restart, *(one.meet if one.chain else ()))}
    since, until = _span(question, unit_id)
    rows = session().scalars(
        select(Fact.record_id)
        .where(Fact.unit_id == unit_id, Fact.kind.in_(kinds), Fact.at >= since, Fact.at < until)
        .distinct()
        .order_by(Fact.record_id)
    )
    return array("q", rows)


def _span(question: Question, unit_id: int) -> tuple[datetime, datetime]:
    zone = ZoneInfo(unit_facts(unit_id).timezone)
    begin, end = (
        datetime.combine(day, time(), zone).astimezone(UTC)
        for day in (question.first, question.last + timedelta(days=1))
    )
    return begin, end


_TYPES = select(Record.id, Record.type)


class _Walk:
    """Judges the records of one unit, a chunk at a time."""

    def __init__(self, question: Question, unit_id: int) -> None:
        self.question, self.unit_id, self.now = question, unit_id, clock.now()
        self.rules = rules_of(question.clause.id, enabled_plugins(unit_id))
        self.since, self.until = _span(question, unit_id)
        self.zone = ZoneInfo(unit_facts(unit_id).timezone)
        self.position = current_position(question.clause.id)
        self._terms: dict[Any, Terms] = {}

    @cached_property
    def kinds(self) -> frozenset[str]:
        named = {kind for one in self.rules for kind in one.fact_kinds}
        return frozenset({*named, *ABOUT_CLAUSES, STAGE, *_PEOPLE})

    def judged(self, ids: Sequence[int]) -> Iterator[Judged]:
        """Judge records (ids in order), in their order and that of their facts."""
        types = dict(session().execute(_TYPES.where(Record.id.in_(ids))).all())
        rows = {(row.record_id, row.root_fact_id): row for row in session().execute(self._stored(ids))}
        facts = self._facts(ids, types)
        reads = {name for rule in self.rules for name in rule.reads}
        snapshots: dict[int, dict[str, Any]] = {}
        for code in {one.record_type for one in self.rules}:
            snapshots |= snapshots_of(code, [one for one in ids if types.get(one) == code], reads)
        for record_id in ids:
            for rule in self.rules:
                snapshot = snapshots.get(record_id, {})
                if types.get(record_id) == rule.record_type and rule.applies(snapshot):
                    yield from self._of_record(rule, record_id, facts[record_id], rows, snapshot)

    def _stored(self, ids: Sequence[int]) -> Any:
        row = Obligation
        columns = (row.record_id, row.root_fact_id, row.state, row.month, row.due_at, row.ended_at, row.late_days)
        return select(*columns, row.responsible_id, row.terms).where(
            row.record_id.in_(ids), row.clause == self.question.clause.id
        )

    def _facts(self, ids: Sequence[int], types: Mapping[int, str]) -> dict[int, list[Happened]]:
        found = self._read(ids, types, self.kinds)
        # A stage that pauses ends with whichever step comes next: then every fact of the record counts.
        staged = [key for key, facts in found.items() if any(one.kind == STAGE for one in facts)]
        return found | self._read(staged, types, None) if staged else found

    def _read(
        self, ids: Sequence[int], types: Mapping[int, str], kinds: Iterable[str] | None
    ) -> dict[int, list[Happened]]:
        wanted = select(Fact.record_id, Fact.id, Fact.seq, Fact.kind, Fact.at, Fact.data, Fact.actor_id).where(
            Fact.record_id.in_(ids)
        )
        if kinds is not None:
            wanted = wanted.where(Fact.kind.in_(kinds))
        ranks = {code: words_of(code).fact_kinds for code in {one.record_type for one in self.rules}}
        found: dict[int, list[Happened]] = {one: [] for one in ids}
        for record_id, fact_id, seq, kind, at, data, actor in session().execute(wanted):
            known = ranks.get(types.get(record_id, ""), {}).get(kind)
            found[record_id].append(Happened(fact_id, seq, kind, at, known.rank if known else 50, data, actor))
        return {key: in_order(facts) for key, facts in found.items()}

    def _of_record(
        self,
        rule: DeadlineRule,
        record_id: int,
        facts: Sequence[Happened],
        rows: Mapping[tuple[int, int], Any],
        snapshot: Mapping[str, Any],
    ) -> Iterator[Judged]:
        for one in episodes(rule, facts):
            if not self.since <= one.root.at < self.until:
                continue
            row = rows.get((record_id, one.root.id))
            terms = self._terms_of(rule, one, row, snapshot)
            if terms is not None:
                yield self._compare(record_id, one, row, judge(rule, one, terms), terms, facts)

    def _terms_of(self, rule: DeadlineRule, one: Episode, row: Any, snapshot: Mapping[str, Any]) -> Terms | None:
        """Return the terms under the other parameters, None where the clause was off and that is left so."""
        changed = self.question.values
        if row is not None:
            if not changed:
                return thawed_terms(row.terms)
            return self._made(rule, {**row.terms["values"], **changed}, row.terms["calendar"], snapshot)
        found = effective(self.unit_id, rule.clause, one.release.at if one.release else one.root.at)
        if not found.holds and not self.question.everywhere:
            return None
        return self._made(rule, {**found.values, **changed}, "", snapshot)

    def _made(
        self, rule: DeadlineRule, values: Mapping[str, Any], calendar: str, snapshot: Mapping[str, Any]
    ) -> Terms:
        key = (id(rule), calendar, tuple(values.items()))
        if rule.term is None and key in self._terms:
            return self._terms[key]
        clause = self.question.clause
        typed = {one.name: _typed(one.type, values[one.name]) for one in clause.parameters if one.name in values}
        term = rule.term(typed, snapshot) if rule.term else term_of(clause.parameter(rule.limit), typed)
        target = term_of(clause.parameter(rule.target), typed) if rule.target else None
        made = Terms(term, thaw(calendar) if calendar else calendar_of(self.unit_id, rule.calendar), target)
        self._terms[key] = made
        return made

    def _compare(
        self, record_id: int, one: Episode, row: Any, found: Outcome, terms: Terms, facts: Sequence[Happened]
    ) -> Judged:
        was = standing(row.state, row.due_at, self.now) if row else ""
        would = standing(found.state, found.due_at, self.now)
        if row is not None and row.due_at == found.due_at:
            who = row.responsible_id
        else:
            who = responsible(self.unit_id, self.position, facts, start=one.root.at, due=found.due_at, end=one.end)
        return Judged(
            self.unit_id,
            record_id,
            one.root.id,
            one.root.at,
            row.month if row else one.root.at.astimezone(self.zone).strftime("%Y-%m"),
            was,
            row.due_at if row else None,
            self._days(was, row.due_at, row.late_days, thawed_terms(row.terms)) if was in BREACHES else 0,
            row.responsible_id if row else None,
            would,
            found.due_at,
            self._days(would, found.due_at, found.late_days, terms) if would in BREACHES else 0,
            who,
            found.ended_at,
            found.problem,
        )

    def _days(self, code: str, due: datetime | None, settled: int, terms: Terms) -> int:
        if code == LATE or due is None:
            return settled
        return late_by(terms.term, due, self.now, terms.calendar).days


def _typed(kind: str, value: Any) -> Any:
    return Decimal(str(value)) if kind == "decimal" else value


class _Money:
    """Adds up what penalty clauses make of the breaches of a clause in one unit, was and would be."""

    def __init__(self, clause: str, unit_id: int, result: Result) -> None:
        enabled = enabled_plugins(unit_id)
        self.unit_id, self.result = unit_id, result
        self.rules = [one for one in current_rules().of(PenaltyRule, enabled) if clause in one.broken]

    def add(self, one: Judged) -> None:
        for rule in self.rules:
            if one.was in BREACHES and one.was_due:
                self._add(rule, 0, one.was_due, one.was_days)
            if one.would in BREACHES and one.would_due:
                self._add(rule, 1, one.would_due, one.would_days)

    def _add(self, rule: PenaltyRule, side: int, due: datetime, days: int) -> None:
        found = effective(self.unit_id, rule.clause, due)
        if not found.holds:
            return
        held = self.result.penalties.setdefault(rule.clause, (Estimate(), Estimate()))[side]
        figures = figures_of(rule, found.values)
        amount = figures.after(days)
        held.count += 1
        if amount is None and figures.least is None and figures.most is None:
            held.open_ended += 1
            return
        held.least += amount if amount is not None else figures.least or Decimal(0)
        held.most += amount if amount is not None else figures.most or figures.least or Decimal(0)

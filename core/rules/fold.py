"""From facts to obligations, as pure functions: the same facts give the same rows, whatever the order of entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from .calendar import CalendarError, WorkingCalendar
from .clocks import Deadline, Pause, Term, deadline, late_by, warn_at
from .kinds import DeadlineRule, Happened
from .obligation_models import EXCUSED, LATE, MET, OPEN, PAUSED, VOID

# Facts of any record type that concern one clause: their data names it.
EXCUSE, LIFT, RELEASE = "excused", "excuse_lifted", "terms_released"
ABOUT_CLAUSES = frozenset({EXCUSE, LIFT, RELEASE})
STAGE = "stage"


@dataclass
class Episode:
    """One run of a clause on a record: from its root fact to what met or ended it.

    ``release`` is the last fact that had its terms worked out anew, ``settled`` the last of those that applied new
    settings (the publication of an official year changes the calendar only).
    """

    root: Happened
    met: Happened | None = None
    stopped: Happened | None = None
    excuse: Happened | None = None
    release: Happened | None = None
    settled: Happened | None = None
    pauses: list[Pause] = field(default_factory=list)

    @property
    def end(self) -> Happened | None:
        return self.met or self.stopped


@dataclass(frozen=True)
class Terms:
    """What an obligation froze when it began: how long, by which calendar, and from which settings."""

    term: Term
    calendar: WorkingCalendar
    target: Term | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an episode stands, apart from the time of day: see ``Obligation`` for the fields."""

    state: str
    due_at: datetime | None
    target_at: datetime | None = None
    warn_at: datetime | None = None
    ended_at: datetime | None = None
    late_seconds: int = 0
    late_days: int = 0
    provisional: bool = False
    problem: str = ""


def in_order(facts: Iterable[Happened]) -> list[Happened]:
    """Return facts in the order in which they happened."""
    return sorted(facts, key=lambda one: (one.at, one.order, one.seq))


def episodes(rule: DeadlineRule, facts: Sequence[Happened], kinds: Set[str] | None = None) -> list[Episode]:
    """Return the runs of a clause on a record whose facts (``in_order``) these are.

    ``kinds`` are theirs, where the caller has many rules for the same facts.
    """
    kinds = {one.kind for one in facts} if kinds is None else kinds
    if kinds.isdisjoint(rule.start):
        return []
    found: list[Episode] = []
    current: Episode | None = None
    for fact in facts:
        kind = fact.kind
        if current is None:
            begins = kind in rule.restart if found else _begins(rule, fact)
            if begins:
                current = Episode(fact)
                found.append(current)
        elif kind in rule.meet and (rule.meets is None or rule.meets(fact)):
            current.met = fact
            current = Episode(fact) if rule.chain else None
            if current:
                found.append(current)
        elif kind in rule.stop:
            current.stopped = fact
            current = None
        elif rule.moves and _begins(rule, fact):
            current.root = fact
    _add_what_concerns(rule, found, facts, kinds)
    return found


def _begins(rule: DeadlineRule, fact: Happened) -> bool:
    return fact.kind in rule.start and (rule.starts is None or rule.starts(fact))


def _add_what_concerns(
    rule: DeadlineRule, found: Sequence[Episode], facts: Sequence[Happened], kinds: Set[str]
) -> None:
    """Give each episode its pauses, and the facts that excuse it or release it from its terms."""
    spans = [] if STAGE not in kinds and kinds.isdisjoint(rule.pause) else pauses(rule, facts)
    if not spans and kinds.isdisjoint(ABOUT_CLAUSES):
        return
    about = [f for f in facts if f.kind in ABOUT_CLAUSES and f.data.get("clause") in (rule.clause, "")]
    for one in found:
        if spans:
            one.pauses = _within(spans, one)
        for fact in about:
            _concern(one, fact)


def _concern(one: Episode, fact: Happened) -> None:
    if fact.kind == RELEASE:
        if fact.key > one.root.key and (one.end is None or fact.key < one.end.key):
            one.release = fact
            if not fact.data.get("calendar"):
                one.settled = fact
    elif fact.data.get("root") == one.root.id:
        one.excuse = fact if fact.kind == EXCUSE else None


def _within(spans: Sequence[Pause], one: Episode) -> list[Pause]:
    """A pause counts until the episode ended."""
    if one.end is None:
        return list(spans)
    until = one.end.at
    return [Pause(p.start, min(p.end or until, until)) for p in spans if p.start < until]


def pauses(rule: DeadlineRule, facts: Sequence[Happened]) -> list[Pause]:
    """Return when the clock of a rule stood still: by a step that pauses, or a stage of the unit that does.

    A pausing step ends with one that resumes (or ends the record), a pausing stage with the next stage or step.
    """
    if not rule.pause:
        return []
    found: list[Pause] = []
    step: datetime | None = None
    stage: datetime | None = None
    for fact in facts:
        kind = fact.kind
        if kind in rule.pause:
            step = step or fact.at
        elif step and (kind in rule.resume or kind in rule.stop):
            found.append(Pause(step, fact.at))
            step = None
        if kind == STAGE or "state" in fact.data:
            if stage and not (kind == STAGE and fact.data.get("pauses")):
                found.append(Pause(stage, fact.at))
                stage = None
            if kind == STAGE and fact.data.get("pauses"):
                stage = stage or fact.at
    found += [Pause(one) for one in (step, stage) if one]
    return found


def judge(rule: DeadlineRule, one: Episode, terms: Terms) -> Outcome:
    """Say how an episode stands under its terms. A calendar without working time gives no limit, and says so."""
    try:
        due = deadline(terms.term, one.root.at, terms.calendar, one.pauses)
        target = deadline(terms.target, one.root.at, terms.calendar, one.pauses) if terms.target else None
    except CalendarError as error:
        state = EXCUSED if one.excuse else (VOID if one.end else PAUSED)
        ended = one.end.at if one.end else None
        return Outcome(state, None, ended_at=ended, problem=type(error).__name__)
    aim = min(target.at, due.at) if target and target.at and due.at else None
    provisional = bool(due.provisional)
    if one.end is not None:
        return _ended(one, one.end, due, aim, terms)
    if one.excuse:
        return Outcome(EXCUSED, due.at, aim, provisional=provisional)
    if due.at is None:
        return Outcome(PAUSED, None, provisional=provisional)
    return Outcome(OPEN, due.at, aim, warn_at(terms.term, due, terms.calendar, rule.warn), provisional=provisional)


def _ended(one: Episode, end: Happened, due: Deadline, aim: datetime | None, terms: Terms) -> Outcome:
    provisional = bool(due.provisional)
    if due.at is None or end.at <= due.at:
        state = MET if one.met else VOID
        late_seconds = late_days = 0
    else:
        late = late_by(terms.term, due, end.at, terms.calendar)
        state, late_seconds, late_days = LATE, late.seconds, late.days
    if one.excuse and state != MET:
        state = EXCUSED
    return Outcome(state, due.at, aim, None, end.at, late_seconds, late_days, provisional)


@lru_cache(maxsize=1024)
def _thawed(items: tuple[tuple[str, Any], ...]) -> Term:
    return Term.thawed(dict(items))


def thaw_term(data: Mapping[str, Any]) -> Term:
    """Read a term that an obligation froze."""
    return _thawed(tuple(sorted(data.items())))

"""What time brings about by itself: warnings, breaches, reminders, settings that begin, recurring work.

The job runner does a round about every minute, ``flask rules tick`` does one by hand. Any number may run at once.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, literal, or_, select, update

from core.kernel import clock
from core.kernel.database import session, system_scope, transaction
from core.records.engine import lock
from core.records.models import Record
from core.records.services import notify
from core.units.facts import local_day, unit_facts
from core.units.models import Unit, UnitPlugin

from . import approvals, obligations, penalties, releases, schedules
from .kinds import DeadlineRule
from .obligation_models import OPEN, Breach, Obligation
from .registry import current_rules
from .responsible import head_of

MOST_RECORDS = 500  # time limits of one kind of work in one round; the rest waits for the next
# What was missed longer ago is on record and in the lists; nobody's inbox is filled with it.
TELL_WITHIN = timedelta(days=7)
A_WHILE = timedelta(minutes=10)  # what depends on days only need not be looked at every minute
DUE_SOON, BROKEN = "due_soon", "broken"
log = logging.getLogger(__name__)

# Written out, not bound: only so do both databases see that a partial index serves.
_IS_OPEN = Obligation.state == literal(OPEN, literal_execute=True)


@dataclass(frozen=True)
class Work:
    """One kind of work of a round: ``run`` does what is due and says how much; at most once in ``every``."""

    name: str
    run: Callable[[], int]
    every: timedelta = timedelta(0)


@dataclass(frozen=True)
class Ticked:
    """What a round did: how much of each kind, and which kinds failed."""

    done: dict[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()


def tick(
    now: datetime | None = None,
    *,
    last: dict[str, datetime] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Ticked:
    """Do everything that is due by now and return what was done.

    One kind of work, or one unit, that fails is logged and does not stop the others. ``now`` sets the clock for the
    round. ``last`` remembers, for a runner, when each kind of work was done; without it all of them are.
    ``stopping`` is asked between two kinds.
    """
    done: dict[str, int] = {}
    failed = []
    with clock.frozen(now) if now else nullcontext():
        for work in WORK:
            if stopping():
                break
            if last is not None and work.name in last and clock.now() - last[work.name] < work.every:
                continue
            try:
                done[work.name] = work.run()
            except Exception:  # a job must go on with the rest; the next round tries again
                log.exception("%s failed", work.name)
                failed.append(work.name)
            if last is not None:
                last[work.name] = clock.now()
    return Ticked(done, tuple(failed))


def in_system(name: str, call: Callable[[datetime], int]) -> int:
    """Do something in a session that reaches every unit."""
    with system_scope(name):
        return call(clock.now())


def in_each_unit(name: str, call: Callable[[int], int]) -> int:
    """Do something in every active unit, each in a session of its own; one that fails is logged and left out."""
    with system_scope(name, read_only=True) as work:
        ids = list(work.scalars(select(Unit.id).where(Unit.active).order_by(Unit.id)))
    return sum(_tried(name, unit_id, call) for unit_id in ids)


def _tried(name: str, key: int, call: Callable[[int], int]) -> int:
    try:
        with system_scope(name):
            return call(key)
    except Exception:  # one unit or record must not keep the others waiting
        log.exception("%s failed for %d", name, key)
        return 0


# --- warnings and breaches -------------------------------------------------------------------------


def warn() -> int:
    """Warn those responsible of what is due soon, once each; return how many obligations."""
    wanted = select(Obligation.record_id).where(_IS_OPEN, Obligation.warned_at.is_(None), _warn_by_now())
    return _for_records("warnings", wanted.order_by(Obligation.warn_at), _warn_record)


def _warn_by_now() -> ColumnElement[bool]:
    return and_(Obligation.warn_at <= clock.now(), _in_force())


def _in_force() -> ColumnElement[bool]:
    """Say nothing of a clause whose plugin is off in the unit, or gone: what runs under it waits untouched."""
    bound: dict[str, set[str]] = {"": set()}
    for rule in current_rules().rules:
        if isinstance(rule, DeadlineRule):
            bound.setdefault(rule.plugin, set()).add(rule.clause)
    found: list[ColumnElement[bool]] = [Obligation.clause.in_(sorted(bound.pop("")))]
    for plugin, clauses in bound.items():
        on = select(UnitPlugin.unit_id).where(UnitPlugin.plugin == plugin, UnitPlugin.enabled)
        found.append(and_(Obligation.clause.in_(sorted(clauses)), Obligation.unit_id.in_(on)))
    return or_(*found)


def _warn_record(record: Record) -> int:
    soon = session().scalars(
        select(Obligation).where(
            Obligation.record_id == record.id, _IS_OPEN, Obligation.warned_at.is_(None), _warn_by_now()
        )
    )
    found = soon.all()
    mark = update(Obligation).where(Obligation.id.in_([one.id for one in found])).values(warned_at=clock.now())
    session().execute(mark, execution_options={"synchronize_session": False})
    # What is over by now is told as a breach.
    told = [one for one in found if one.due_at is not None and one.due_at >= clock.now()]
    _tell(record, DUE_SOON, [(one.clause, one.due_at, {one.responsible_id}) for one in told if one.due_at])
    return len(told)


def _tell(record: Record, kind: str, limits: Sequence[tuple[str, datetime, set[int | None]]]) -> None:
    """Put one notice into the inbox of each person, however many limits of a record concern them."""
    by_person: dict[int, list[tuple[datetime, str]]] = defaultdict(list)
    for clause, due, people in limits:
        for person in people - {None}:
            by_person[person or 0].append((due, clause))
    for person, mine in by_person.items():
        first = min(due for due, _clause in mine).astimezone(ZoneInfo(unit_facts(record.unit_id).timezone))
        clauses = ", ".join(clause for _due, clause in sorted(mine))
        notify(record, kind, [person], f"{clauses} · {first.strftime('%Y-%m-%d %H:%M')}")


def break_late() -> int:
    """Announce what was due and is not done: to those responsible and the unit's head; return how many."""
    wanted = select(Obligation.record_id).where(_overdue())
    return _for_records("breaches", wanted.order_by(Obligation.due_at, Obligation.id), _break_record)


def _overdue() -> ColumnElement[bool]:
    """Open, over, and not announced (or announced and withdrawn since)."""
    announced = (
        select(Breach.id)
        .where(
            Breach.record_id == Obligation.record_id,
            Breach.clause == Obligation.clause,
            Breach.root_fact_id == Obligation.root_fact_id,
            Breach.withdrawn_at.is_(None),
        )
        .exists()
    )
    return and_(_IS_OPEN, Obligation.due_at < clock.now(), ~announced, _in_force())


def _break_record(record: Record) -> int:
    late = session().scalars(select(Obligation).where(Obligation.record_id == record.id, _overdue())).all()
    made = [obligations.announce(record.id, one.clause, one.root_fact_id) for one in late]
    fresh = [one for one in made if one is not None]
    head = head_of(record.unit_id, local_day(record.unit_id))
    recent = [one for one in fresh if clock.now() - one.due_at <= TELL_WITHIN]
    _tell(record, BROKEN, [(one.clause, one.due_at, {one.responsible_id, head}) for one in recent])
    return len(fresh)


def _for_records(name: str, wanted: Any, call: Callable[[Record], int]) -> int:
    """Do something with each of the records ``wanted`` (in the order of an index), each in a transaction that locks
    it.

    The record is locked before anything else, as every step does, so a round and a step never wait in circles.
    """
    with system_scope(name, read_only=True) as work:
        ids = sorted(set(work.scalars(wanted.limit(MOST_RECORDS))))

    def locked(record_id: int) -> int:
        with transaction():
            return call(lock(record_id))

    return sum(_tried(name, one, locked) for one in ids)


# --- all of it -------------------------------------------------------------------------------------

# In this order: settings that begin today count for what follows. Rooms above add their own (``core.cases``).
WORK: list[Work] = [
    Work("settings", lambda: in_system("settings", releases.release_due), A_WHILE),
    Work("schedules", lambda: in_each_unit("schedules", schedules.create_due), A_WHILE),
    Work("breaches", break_late),
    Work("warnings", warn),
    Work("approvals", lambda: in_system("approvals", approvals.remind_due), A_WHILE),
    Work("penalties", lambda: in_system("penalties", penalties.grow), A_WHILE),
]


def add(work: Work) -> None:
    """Add a kind of work of a room above; adding it twice changes nothing."""
    if work.name not in {one.name for one in WORK}:
        WORK.append(work)

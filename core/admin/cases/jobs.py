"""A technician's own jobs on the phone: the list, and the page of one with its few big buttons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload, lazyload

from core.cases.models import Case
from core.kernel.database import current_scope, fetch, session
from core.kernel.errors import NotFound
from core.records.engine import ask
from core.records.models import OPEN, PAUSED, SOLVED, Fact, Record
from core.records.workflow import Transition

from . import words
from .contact import customer_name
from .lists import CASE_OF

MOST = 200
# The steps of field work, in the order of a visit.
STEPS = ("accept", "depart", "arrive", "start", "resume", "solve", "send_result", "confirm", "wait", "decline")
TASK_STEPS = ("finish",)  # a recurring task is just done
TONES = {"decline": "danger"}
# What lies behind after each move.
_BEHIND = {
    "assigned": (),
    "departed": ("depart",),
    "arrived": ("depart", "arrive", "start"),
    "started": ("depart", "arrive", "start"),
}


@dataclass(frozen=True)
class Job:
    """A card of the list."""

    record: Record
    state: tuple[Any, str]
    due: tuple[str, str, str] | None
    tone: str
    customer: str


def my_jobs(actor_id: int | None, limit: int = MOST) -> list[Job]:
    """Return the open and solved-but-unconfirmed cases of one person: due first, then the longest waiting."""
    found = (
        select(Record)
        .outerjoin(CASE_OF)
        .options(
            contains_eager(CASE_OF).options(lazyload(Case.record)),
            joinedload(Record.customer),
            joinedload(Record.unit),
        )
        .where(Record.assignee_id == actor_id, Record.category.in_((OPEN, PAUSED, SOLVED)))
        .where(Record.state != "confirmed")
        .order_by(Record.next_due_at.is_(None), Record.next_due_at, Record.priority, Record.received_at)
        .limit(limit)
    )
    return [_job(record) for record in session().scalars(found)]


# Who takes an open case on from each state before anybody is assigned to it.
TAKEN_ON_BY = {
    "registered": "case.forward",
    "forwarded": "case.classify",
    "contacted": "case.classify",
    "classified": "case.assign",
    "planned": "case.assign",
}


def waiting_here(unit_id: int, states: Sequence[str], limit: int) -> list[Job]:
    """Return unassigned open cases of a unit in these states: due first, then the longest waiting."""
    found = (
        select(Record)
        .options(joinedload(Record.customer))
        .where(Record.unit_id == unit_id, Record.type == "case", Record.category == OPEN)
        .where(Record.assignee_id.is_(None), Record.state.in_(states))
        .limit(limit)
    )
    # Two statements, each along an index.
    due = found.where(Record.next_due_at.is_not(None)).order_by(Record.next_due_at, Record.id)
    others = found.where(Record.next_due_at.is_(None)).order_by(Record.received_at, Record.id)
    work = session()
    return [_job(record) for record in (*work.scalars(due), *work.scalars(others))][:limit]


def _job(record: Record) -> Job:
    due = words.due_badge(record)
    urgent = record.priority == 1
    return Job(
        record, words.state_badge(record), due, due[1] if due else "warn" if urgent else "", customer_name(record)
    )


def load(record_id: object) -> Record:
    """Fetch one of the actor's own jobs.

    Raises:
        NotFound: malformed, missing, foreign, or not assigned to the actor.
    """
    record = fetch(Record, record_id)
    if record.assignee_id is None or record.assignee_id != current_scope().actor_id:
        raise NotFound()
    return record


def is_visit(record: Record) -> bool:
    """Tell whether a job is open and leads to a customer."""
    return record.is_open and record.type != "task"


def _visit_order(record: Record) -> Sequence[str]:
    """Put the steps of a visit that are behind, by its latest move, after those still to come."""
    moves = select(Fact.kind).where(Fact.record_id == record.id, Fact.kind.in_(_BEHIND))
    last = session().scalars(moves.order_by(Fact.seq.desc()).limit(1)).first()
    behind = _BEHIND.get(last or "", ())
    return [*(name for name in STEPS if name not in behind), *behind]


def big_steps(record: Record) -> list[tuple[Transition, str]]:
    """Return the field-work steps that are allowed now, each with its tone; the first is the usual next one."""
    allowed = {answer.transition.name: answer.transition for answer in ask(record) if answer.allowed}
    wanted = TASK_STEPS if record.type == "task" else _visit_order(record)
    known = [allowed[name] for name in wanted if name in allowed]
    return [(step, TONES.get(step.name, "primary" if n == 0 else "")) for n, step in enumerate(known)]

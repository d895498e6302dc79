"""Dead letters: messages of the outbox that could not be delivered, for people to look at, retry or drop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select, update

from core.kernel import jobs, outbox
from core.kernel.access import require
from core.kernel.audit import record_audit
from core.kernel.database import current_scope, session, transaction
from core.kernel.errors import NotFound
from core.kernel.ids import read_id
from core.kernel.jobs import FAILED, WAITING, JobRun
from core.kernel.outbox import IS_DEAD, Outbox
from core.units.models import Unit

VIEW = "job.view"


def of_unit(unit_id: int) -> Select[Outbox]:
    """Select a unit's dead letters; those of no unit show at the top of the tree.

    Messages are no unit's rows in the sense of the scope, hence the condition.
    """
    is_top = select(Unit.id).where(Unit.id == unit_id, Unit.parent_id.is_(None)).exists()
    return select(Outbox).where(IS_DEAD, (Outbox.unit_id == unit_id) | (Outbox.unit_id.is_(None) & is_top))


def fetch_letter(raw_id: object, unit_id: int) -> Outbox:
    """Look up a dead letter of a unit by an id from a request.

    Raises:
        NotAllowed: the actor may not see background work here.
        NotFound: no such dead letter here.
    """
    require(VIEW, unit_id)
    key = read_id(raw_id)
    found = session().scalars(of_unit(unit_id).where(Outbox.id == key)).first() if key is not None else None
    if found is None:
        raise NotFound()
    return found


def name_of(message: Outbox) -> str:
    """Return what a message is about: the name of its job, or the topic of an event."""
    payload: dict[str, Any] = message.payload or {}
    return str(payload.get("job") or payload.get("periodic") or message.topic)


def retry(messages: Sequence[Outbox]) -> None:
    """Try dead letters again, as if they came for the first time. Audited."""
    runs = [int(one.payload["run"]) for one in messages if "run" in one.payload]
    with transaction() as work:
        _note("job.retry", messages)
        if runs:
            failed = (JobRun.id.in_(runs), JobRun.state == FAILED)
            work.execute(update(JobRun).where(*failed).values(state=WAITING, error="", finished_at=None))
        outbox.again([one.id for one in messages])


def drop(messages: Sequence[Outbox]) -> None:
    """Take dead letters away for good. Audited; what watched work says of its failure stays."""
    with transaction():
        _note("job.drop", messages)
        outbox.drop([one.id for one in messages])


def _note(action: str, messages: Sequence[Outbox]) -> None:
    for one in messages:
        subject = ("core_outbox", one.id, name_of(one))
        record_audit(action, subject, unit_id=one.unit_id, detail={"error": one.error, "tries": one.tries})


def may_see(run: JobRun) -> bool:
    """Tell whether the actor may see a piece of watched work: their own, or any in a unit whose work they see."""
    scope = current_scope()
    own = run.actor_id is not None and run.actor_id == scope.actor_id
    return own or scope.may(VIEW, run.unit_id)


def may_fetch(run: JobRun) -> bool:
    """Tell whether the actor may have the file a piece of work made: it was made with its starter's rights.

    Whoever looks after the unit's work sees how it went, and no more; who left the unit takes nothing along.
    """
    scope = current_scope()
    return run.actor_id is not None and run.actor_id == scope.actor_id and run.unit_id in scope.read


def fetch_run(raw_id: object) -> JobRun:
    """Look up a piece of watched work by an id from a request.

    One's own shows even after one's position in its unit has ended.

    Raises:
        NotFound: none, or somebody else's.
    """
    run = jobs.find(read_id(raw_id))
    if run is None or not may_see(run):
        raise NotFound()
    return run

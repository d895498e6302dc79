"""Finding hand-overs and locking them: the tools' records in the order of their ids, then the hand-over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import aliased, contains_eager, joinedload

from core.sdk import NotFound, Record, current_scope, fetch, lock, may, session

from . import sides, values
from .custody import NARROW
from .handover_flow import CODE
from .models import Handover, HandoverLine, Party, Tool
from .rights import CLEAR, KEEP, VIEW
from .values import OPEN_LINE

CHUNK = 500


def fetch_handover(record_id: object) -> Record:
    """Fetch a hand-over the actor may see: their own, or with a permission to see tools.

    Raises:
        NotFound: no such one, or none of theirs.
    """
    record = fetch(Record, record_id)
    if record.type != CODE or not _concerns(record):
        raise NotFound()
    return record


def _concerns(record: Record) -> bool:
    if any(may(right, record.unit_id) for right in (VIEW, KEEP, CLEAR)):
        return True
    actor = current_scope().actor_id
    ends = select(Party.id).join(Handover, Party.id.in_((Handover.giver_id, Handover.taker_id)))
    mine = ends.where(Handover.id == record.id, Party.user_id == actor, Party.kind.in_(sides.PEOPLE))
    return actor is not None and session().scalars(mine.limit(1)).first() is not None


def lock_tools(tool_ids: Iterable[int]) -> None:
    """Lock the records of tools in the order of their ids, a few hundred a statement."""
    ids = sorted(set(tool_ids))
    for start in range(0, len(ids), CHUNK):
        wanted = select(Record).where(Record.id.in_(ids[start : start + CHUNK])).order_by(Record.id)
        fresh = {**NARROW, "populate_existing": True}
        session().scalars(wanted.with_for_update().execution_options(**fresh)).all()


def locked(record_id: int) -> tuple[Record, Handover, list[HandoverLine]]:
    """Lock a hand-over's tools and then itself; return it, its details and its open lines, as they are now."""
    mine = HandoverLine.handover_id == record_id
    lock_tools(one for one in session().scalars(select(HandoverLine.tool_id).where(mine)) if one is not None)
    record = lock(record_id)
    fresh = {"populate_existing": True}
    detail = select(Handover).where(Handover.id == record_id).execution_options(**fresh)
    handover = session().scalars(detail.options(joinedload(Handover.giver), joinedload(Handover.taker))).one()
    wanted = select(HandoverLine).where(mine, HandoverLine.state == OPEN_LINE).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool).joinedload(Tool.kind), joinedload(HandoverLine.kind))
    lines = session().scalars(wanted.options(*whole).execution_options(**fresh)).all()
    return record, handover, list(lines)


# --- what is open --------------------------------------------------------------------------------


def waiting_for(user_id: int, unit_id: int, limit: int = 100) -> list[Handover]:
    """Return the hand-overs that wait for a person's word, the oldest first, with their parties."""
    return _waiting(unit_id, and_(Party.user_id == user_id, Party.kind.in_(sides.PEOPLE)), limit)


def waiting_for_stores(unit_id: int, limit: int = 100) -> list[Handover]:
    """Return the hand-overs that wait for a keeper's word for a store, the oldest first."""
    return _waiting(unit_id, and_(Party.unit_id == unit_id, Party.kind == values.STORE), limit)


def _waiting(unit_id: int, whose: Any, limit: int) -> list[Handover]:
    """Find what waits for parties by the sides that said nothing yet, not through all hand-overs there were."""
    theirs = list(session().scalars(select(Party.id).where(whose)))
    if not theirs:
        return []
    giver, taker = aliased(Party), aliased(Party)
    to_give = select(Handover.id).where(Handover.giver_id.in_(theirs), Handover.giver_at.is_(None))
    to_take = select(Handover.id).where(Handover.taker_id.in_(theirs), Handover.taker_at.is_(None))
    wanted = (
        select(Handover)
        .join(Handover.record)
        .join(giver, Handover.giver_id == giver.id)
        .join(taker, Handover.taker_id == taker.id)
        .where(Handover.id.in_(to_give.union(to_take)), Handover.unit_id == unit_id)
        .where(Record.type == CODE, Record.state == values.OFFERED)
        .options(contains_eager(Handover.record))
        .options(contains_eager(Handover.giver.of_type(giver)), contains_eager(Handover.taker.of_type(taker)))
        .order_by(Handover.id)
        .limit(limit)
        .execution_options(**NARROW)
    )
    return list(session().scalars(wanted))


def open_of_tool(tool_id: int) -> HandoverLine | None:
    """Return the open line a tool stands on, with its hand-over, or None."""
    return open_lines([tool_id]).get(tool_id)


def open_lines(tool_ids: Iterable[int]) -> dict[int, HandoverLine]:
    """Return the open lines of tools by tool id, with their hand-overs, a few hundred a select."""
    ids, found = sorted(set(tool_ids)), {}
    for start in range(0, len(ids), CHUNK):
        mine = HandoverLine.tool_id.in_(ids[start : start + CHUNK]), HandoverLine.state == values.OPEN_LINE
        for line in session().scalars(select(HandoverLine).where(*mine).options(joinedload(HandoverLine.handover))):
            if line.tool_id is not None:
                found[line.tool_id] = line
    return found

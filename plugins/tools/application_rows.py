"""Applications as they are read: a person's, the granted ones, one that the actor may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import case, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    NotAllowed,
    NotFound,
    Record,
    clock,
    current_scope,
    detail_of,
    fetch,
    may,
    require,
    session,
)

from . import values
from .models import Application
from .rights import DECIDE, KEEP, OWN, VIEW

CODE = "tools_application"


def find_granted(
    unit_id: int,
    user_id: int,
    kind_id: int,
    kinds: Sequence[str],
    *,
    tool_id: int | None = None,
    now: datetime | None = None,
) -> Application | None:
    """Return a granted application of a person for a kind of tool that is not used up, or None.

    ``kinds`` of application in the order in which they are looked for; of one kind the oldest. ``tool_id``: one
    that names another tool is not meant. A loan, lending on or taking out whose time has passed is not either.
    """
    order = case({kind: place for place, kind in enumerate(kinds)}, value=Application.kind, else_=len(kinds))
    wanted = (
        select(Application)
        .join(Record, Record.id == Application.id)
        .where(Application.unit_id == unit_id, Application.user_id == user_id, Application.kind_id == kind_id)
        .where(Application.kind.in_(kinds), Application.fulfilled < Application.quantity)
        .where(Record.state == values.GRANTED)
        .where(or_(Application.due_at.is_(None), Application.due_at > (now or clock.now())))
        .order_by(order, Application.id)
    )
    if tool_id is not None:
        wanted = wanted.where(or_(Application.tool_id.is_(None), Application.tool_id == tool_id))
    return session().scalars(wanted.options(joinedload(Application.kind_of_tool)).limit(1)).first()


def fetch_application(record_id: object) -> Record:
    """Fetch an application the actor may see: their own, or with a permission to see tools.

    Raises:
        NotFound: no such one, or not for this actor.
    """
    record = fetch(Record, record_id)
    if record.type != CODE or not _concerns(record):
        raise NotFound()
    return record


def _concerns(record: Record) -> bool:
    if any(may(right, record.unit_id) for right in (VIEW, KEEP, DECIDE)):
        return True
    actor = current_scope().actor_id
    return actor is not None and detail_of(record).user_id == actor


def of_person(user_id: int, unit_id: int, limit: int = 50) -> Sequence[Application]:
    """Return the latest applications of a person in a unit, the newest first (their own, or with ``VIEW``).

    Raises:
        NotAllowed.
    """
    if current_scope().actor_id != user_id:
        require(VIEW, unit_id)
    elif not (may(OWN, unit_id) or may(VIEW, unit_id)):
        raise NotAllowed(OWN)
    mine = select(Application).where(Application.unit_id == unit_id, Application.user_id == user_id)
    whole = joinedload(Application.kind_of_tool), joinedload(Application.tool)
    return session().scalars(mine.options(*whole).order_by(Application.id.desc()).limit(limit)).all()


def open_of_person(user_id: int, unit_id: int, kinds: Iterable[str] = ()) -> Sequence[Application]:
    """Return a person's applications that wait or are granted and not carried out yet. It asks no permission."""
    wanted = (
        select(Application)
        .join(Record, Record.id == Application.id)
        .where(Application.unit_id == unit_id, Application.user_id == user_id)
        .where(Record.state.in_((values.ASKED, values.GRANTED)))
    )
    if kinds:
        wanted = wanted.where(Application.kind.in_(list(kinds)))
    return session().scalars(wanted.options(joinedload(Application.kind_of_tool)).order_by(Application.id)).all()

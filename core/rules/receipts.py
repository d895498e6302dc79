"""Who has to know of a changed clause, and who has read it.

The holders of the clause's position, and the heads of the unit and of those below it, are told and acknowledge. The
author knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.database import current_scope, insert_once, session, transaction
from core.kernel.errors import NotFound
from core.records.models import Notice
from core.records.services import put_notices
from core.units.facts import unit_facts
from core.units.models import Unit
from core.users.models import Position, User, UserPosition

from .responsible import HEADS
from .rulebook import current_rulebook
from .setting_models import IN_FORCE, ClauseReceipt, ClauseSetting

NOTICE = "clause"
KEPT = timedelta(days=366)
MOST = 500
_ABOVE = {"unscoped": "clause settings are inherited"}


@dataclass(frozen=True)
class Reader:
    """Somebody a version concerns, in which unit, and when they read it (None: not yet)."""

    user_id: int
    name: str
    unit_id: int
    read_at: datetime | None = None


def readers(row: ClauseSetting) -> list[Reader]:
    """Return whom a version concerns, those who have not read it first."""
    done = select(ClauseReceipt.user_id, ClauseReceipt.read_at).where(ClauseReceipt.setting_id == row.id)
    read = {one.user_id: one.read_at for one in session().execute(done)}
    found = [Reader(one.user_id, one.name, one.unit_id, read.get(one.user_id)) for one in _concerned(row)]
    return sorted(found, key=lambda one: (one.read_at is not None, one.name, one.user_id))


def _concerned(row: ClauseSetting) -> list[Reader]:
    """Return the people whom a version concerns, each once: in their own unit where they hold a position there."""
    clause = current_rulebook().clauses.get(row.clause)
    responsible = clause.responsible if clause else ""
    unit = unit_facts(row.unit_id)
    day = clock.day_in(unit.timezone)
    wanted = (
        select(UserPosition.user_id, User.name, UserPosition.unit_id)
        .join(User, User.id == UserPosition.user_id)
        .join(Position, Position.id == UserPosition.position_id)
        .join(Unit, Unit.id == UserPosition.unit_id)
        .where(
            User.active,
            *_held_on(day),
            or_(
                and_(Unit.path.startswith(unit.path, autoescape=True), Position.code.in_([responsible, *HEADS])),
                and_(UserPosition.unit_id.in_(unit.line), Position.below, Position.code == (responsible or None)),
            ),
        )
        .order_by(UserPosition.unit_id.desc(), UserPosition.user_id)
    )
    people = {one.user_id: Reader(one.user_id, one.name, one.unit_id) for one in session().execute(wanted)}
    people.pop(row.created_by or 0, None)
    return list(people.values())


def _held_on(day: date) -> tuple[Any, ...]:
    return (
        UserPosition.valid_from <= day,
        or_(UserPosition.valid_to.is_(None), UserPosition.valid_to >= day),
    )


def tell_due() -> int:
    """Put an entry into the inbox of everybody whom new versions concern, one for each person; return how many.

    Run it inside ``system_scope``: people below a unit are told in their own.
    """
    with transaction() as work:
        wanted = select(ClauseSetting).where(ClauseSetting.state == IN_FORCE, ClauseSetting.told_at.is_(None))
        rows = work.scalars(wanted.order_by(ClauseSetting.id)).all()
        concerned: dict[tuple[int, int], list[str]] = defaultdict(list)
        for row in rows:
            row.told_at = clock.now()
            for one in _concerned(row):
                concerned[one.user_id, one.unit_id].append(row.clause)
        put_notices(
            Notice(user_id=user, unit_id=unit, kind=NOTICE, text=_listed(clauses), at=clock.now())
            for (user, unit), clauses in concerned.items()
        )
        return len(concerned)


def _listed(clauses: Sequence[str]) -> str:
    """Write as many numbers of clauses as an entry of the inbox holds."""
    text = "、".join(dict.fromkeys(clauses))
    return text if len(text) <= 300 else text[:297] + "…"


def unread_for(user_id: int) -> list[ClauseSetting]:
    """Return the versions a person has not acknowledged, the latest first; those of a year, at most 500."""
    holdings = _holdings(user_id)
    if not holdings:
        return []
    line = {one for held in holdings for one in unit_facts(held.unit_id).line}
    below = [Unit.path.startswith(held.path, autoescape=True) for held in holdings if held.below]
    read = select(ClauseReceipt.setting_id).where(ClauseReceipt.user_id == user_id)
    wanted = (
        select(ClauseSetting)
        .join(Unit, Unit.id == ClauseSetting.unit_id)
        .where(
            ClauseSetting.state == IN_FORCE,
            ClauseSetting.created_at >= clock.now() - KEPT,
            ClauseSetting.created_by.is_distinct_from(user_id),
            ClauseSetting.id.not_in(read),
            or_(ClauseSetting.unit_id.in_(line), *below),
        )
        .options(joinedload(ClauseSetting.author))
        .order_by(ClauseSetting.id.desc())
        .limit(MOST)
    )
    rows = session().scalars(wanted, execution_options=_ABOVE).all()
    return [row for row in rows if any(_concerns(row, held) for held in holdings)]


def _holdings(user_id: int) -> Sequence[Any]:
    """Return the positions a person holds today: unit, its path, code, whether it spreads, since when."""
    near = clock.now().date()
    wanted = (
        select(UserPosition.unit_id, Unit.path, Position.code, Position.below, UserPosition.valid_from)
        .join(Position, Position.id == UserPosition.position_id)
        .join(Unit, Unit.id == UserPosition.unit_id)
        .where(UserPosition.user_id == user_id, *_held_on(near))
    )
    return session().execute(wanted.order_by(UserPosition.id)).all()


def _concerns(row: ClauseSetting, held: Any) -> bool:
    clause = current_rulebook().clauses.get(row.clause)
    if clause is None or row.created_at.date() < held.valid_from:
        return False
    if row.unit_id in unit_facts(held.unit_id).line:
        return held.code == clause.responsible or held.code in HEADS
    spreads: bool = held.below and held.code == clause.responsible
    return spreads and held.unit_id in unit_facts(row.unit_id).line


def mark_read(setting_ids: Iterable[int] | None = None) -> int:
    """Acknowledge versions for the actor (None: all that are unread); return how many were new to them.

    Raises:
        NotFound: one of them does not concern the actor.
    """
    actor = current_scope().actor_id
    if actor is None:
        raise NotFound()
    with transaction():
        open_ones = {row.id: row for row in unread_for(actor)}
        wanted = list(open_ones) if setting_ids is None else list(dict.fromkeys(setting_ids))
        if any(one not in open_ones and not _was_read(one, actor) for one in wanted):
            raise NotFound()
        place = _place(actor)
        return sum(
            insert_once(
                ClauseReceipt, {"unit_id": place, "setting_id": one, "user_id": actor, "read_at": clock.now()}
            )
            for one in wanted
            if one in open_ones
        )


def _was_read(setting_id: int, user_id: int) -> bool:
    wanted = select(ClauseReceipt.id).where(
        ClauseReceipt.setting_id == setting_id, ClauseReceipt.user_id == user_id
    )
    return session().scalar(wanted, execution_options=_ABOVE) is not None


def _place(user_id: int) -> int:
    """Return the unit a person's receipts are kept in: the first of theirs that may be written."""
    found = next((one.unit_id for one in _holdings(user_id) if one.unit_id in current_scope().write), None)
    if found is None:
        raise NotFound()
    return int(found)

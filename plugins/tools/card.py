"""What a person holds, waits for, may use, asked for and answers for: read for their card and their own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, select, union
from sqlalchemy.orm import aliased, contains_eager, joinedload

from core.sdk import NotFound, User, accounts, clock, fetch, session

from . import handovers, parties, stock, values
from .custody import NARROW
from .models import Application, Custody, Handover, HandoverLine, Incident, Party, Permit, Stock, Tool

SHOWN = 100


@dataclass(frozen=True)
class Held:
    """A tool in somebody's hands: since when, on which open hand-over, whether it is late, and who lent it on."""

    tool: Tool
    since: datetime
    line: HandoverLine | None
    late: bool
    lender: Party | None = None

    @property
    def used(self) -> bool:
        """Use is over, but it is not back yet (R32-4.3)."""
        return self.tool.used_until is not None


def held(party: Party | None, limit: int = 500) -> list[Held]:
    """Return what a party holds with since when, what is due first."""
    if party is None:
        return []
    wanted = (
        select(Custody)
        .join(Tool, Tool.id == Custody.tool_id)
        .where(Custody.party_id == party.id, Custody.ends_at.is_(None))
        .options(contains_eager(Custody.tool).options(joinedload(Tool.kind)))
        .order_by(Custody.tool_id)
        .limit(limit)
        .execution_options(**NARROW)
    )
    spells = session().scalars(wanted).all()
    lines, now = handovers.open_lines([one.tool_id for one in spells]), clock.now()
    lent = lenders([one.tool_id for one in spells if one.how == values.LEND])
    found = [
        Held(one.tool, one.starts_at, lines.get(one.tool_id), _late(one.tool, now), lent.get(one.tool_id))
        for one in spells
    ]
    return sorted(found, key=lambda one: (one.tool.due_at is None, one.tool.due_at or now, one.tool.code))


def lenders(tool_ids: Sequence[int]) -> dict[int, Party]:
    """Return who lent tools on to their present holders, by tool id: the holder before this one."""
    if not tool_ids:
        return {}
    now, before = aliased(Custody), aliased(Custody)
    wanted = (
        select(before)
        .join(now, and_(now.tool_id == before.tool_id, now.seq == before.seq + 1))
        .where(before.tool_id.in_(tool_ids), now.ends_at.is_(None), now.how == values.LEND)
        .options(joinedload(before.party))
        .execution_options(**NARROW)
    )
    return {one.tool_id: one.party for one in session().scalars(wanted)}


def _late(tool: Tool, now: datetime) -> bool:
    return tool.due_at is not None and tool.due_at < now and tool.record.state == values.ON_LOAN


def past(party: Party | None, limit: int = SHOWN) -> Sequence[Custody]:
    """Return what a party held and gave away, the latest first."""
    if party is None:
        return []
    mine = Custody.party_id == party.id, Custody.unit_id == party.unit_id
    wanted = select(Custody).where(*mine, Custody.ends_at.is_not(None))
    wanted = wanted.options(joinedload(Custody.tool)).order_by(Custody.starts_at.desc(), Custody.id.desc())
    return session().scalars(wanted.limit(limit)).all()


@dataclass(frozen=True)
class Card:
    """Everything of one person. ``party`` is None while they never held anything."""

    user: User
    party: Party | None
    held: Sequence[Held]
    waiting: Sequence[Handover]
    parts: Sequence[Stock]
    permits: Sequence[Permit]
    applications: Sequence[Application]
    incidents: Sequence[Incident]
    past: Sequence[Custody]


def of_person(unit_id: int, user_id: int) -> Card:
    """Gather the card of somebody who works in the unit, or ever held a tool there.

    Raises:
        NotFound: neither.
    """
    party = parties.held_as(unit_id, user_id)
    if party is None and user_id not in dict(accounts.staff_names(unit_id)):
        raise NotFound()
    return Card(
        user=fetch(User, user_id),
        party=party,
        held=held(party),
        waiting=handovers.waiting_for(user_id, unit_id),
        parts=stock.of_party(party.id) if party else (),
        permits=permits_of(unit_id, user_id),
        applications=applications_of(unit_id, user_id),
        incidents=incidents_of(unit_id, user_id),
        past=past(party),
    )


def permits_of(unit_id: int, user_id: int) -> Sequence[Permit]:
    """Return a person's permits in a unit, the latest first."""
    mine = select(Permit).where(Permit.unit_id == unit_id, Permit.user_id == user_id)
    return session().scalars(mine.options(joinedload(Permit.kind)).order_by(Permit.id.desc()).limit(SHOWN)).all()


def applications_of(unit_id: int, user_id: int, limit: int = 50) -> Sequence[Application]:
    """Return a person's applications in a unit, the latest first."""
    mine = select(Application).where(Application.unit_id == unit_id, Application.user_id == user_id)
    mine = mine.options(joinedload(Application.kind_of_tool)).order_by(Application.id.desc())
    return session().scalars(mine.limit(limit)).all()


def incidents_of(unit_id: int, user_id: int, limit: int = 50) -> Sequence[Incident]:
    """Return the incidents a person answers for, or that happened in their hands, the latest first."""
    party = parties.held_as(unit_id, user_id)
    theirs = [select(Incident.id).where(Incident.user_id == user_id)]
    if party is not None:
        theirs.append(select(Incident.id).where(Incident.holder_id == party.id))
    mine = select(Incident).where(Incident.unit_id == unit_id, Incident.id.in_(union(*theirs)))
    mine = mine.options(joinedload(Incident.tool)).execution_options(**NARROW)
    return session().scalars(mine.order_by(Incident.id.desc()).limit(limit)).all()

"""Who can hold tools: stores with their keeper, people, other departments, repairers, the scrap heap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from core.sdk import InvalidData, User, accounts, session

from . import values
from .models import Party

SCRAP_NAME = "scrap"


def person(unit_id: int, user_id: int) -> Party:
    """Return the party of a person in a unit; made when they first hold something (of staff of the unit only).

    Raises:
        InvalidData: under ``user``: nobody of this id works here.
    """
    found = held_as(unit_id, user_id)
    if found is not None:
        return found
    name = next((one.name for one in accounts.staff_of(unit_id) if one.id == user_id), None)
    if name is None:
        raise InvalidData({"user": _l("This person does not work in the unit")})
    return _made(Party(unit_id=unit_id, kind=values.PERSON, name=f"{name} #{user_id}", user_id=user_id))


def held_as(unit_id: int, user_id: int) -> Party | None:
    """Return the party of a person who holds or held something here, else None."""
    mine = Party.unit_id == unit_id, Party.kind == values.PERSON, Party.user_id == user_id
    return session().scalars(select(Party).where(*mine)).first()


def scrap_heap(unit_id: int) -> Party:
    """Return the one party that holds what was disposed of."""
    mine = Party.unit_id == unit_id, Party.kind == values.SCRAP
    found = session().scalars(select(Party).where(*mine)).first()
    return found or _made(Party(unit_id=unit_id, kind=values.SCRAP, name=SCRAP_NAME))


def _made(party: Party) -> Party:
    """Add a party; where somebody else made it at this moment, theirs is the one."""
    work = session()
    try:
        with work.begin_nested():
            work.add(party)
            work.flush()
    except IntegrityError:
        same = Party.unit_id == party.unit_id, Party.kind == party.kind, Party.name == party.name
        return work.scalars(select(Party).where(*same)).one()
    return party


def stores(unit_id: int, *, active: bool = True) -> Sequence[Party]:
    """Return the stores of a unit, by name."""
    wanted = select(Party).where(Party.unit_id == unit_id, Party.kind == values.STORE)
    if active:
        wanted = wanted.where(Party.active)
    return session().scalars(wanted.order_by(Party.name)).all()


def party_name(party: Party) -> Any:
    """Return what people call a party: of a person the user's name, of the scrap heap words."""
    if party.kind == values.SCRAP:
        return _l("Disposed of")
    if party.kind != values.PERSON:
        return party.name
    found = session().get(User, party.user_id)
    return found.name if found is not None else party.name.rpartition(" #")[0]


def party_names(found: Iterable[Party]) -> Mapping[int, Any]:
    """Return what people call parties, by id; people's names in one statement."""
    rows = list(found)
    names = user_names({one.user_id for one in rows if one.kind == values.PERSON and one.user_id})
    return {
        one.id: names.get(one.user_id or 0, one.name) if one.kind == values.PERSON else party_name(one)
        for one in rows
    }


def user_names(ids: set[int]) -> Mapping[int, str]:
    """Return the names of users by id."""
    if not ids:
        return {}
    return {row.id: row.name for row in session().execute(select(User.id, User.name).where(User.id.in_(ids)))}

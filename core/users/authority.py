"""Who holds which position in a unit, and what each position may do: the table of authority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import or_, select

from core.kernel.database import session
from core.units.facts import local_day, unit_facts

from .actor import held_on
from .models import Position, User, UserPosition
from .permissions import all_permissions
from .positions import title_of


@dataclass(frozen=True)
class Post:
    """A position as a unit has it: who holds it today, and what it allows, by group."""

    code: str
    title: str
    holders: Sequence[str]
    authority: Sequence[tuple[str, str]]


def posts_of(unit_id: int) -> list[Post]:
    """Return the positions somebody holds in a unit today, or above it where they spread; in the usual order."""
    there = or_(
        UserPosition.unit_id == unit_id, UserPosition.unit_id.in_(unit_facts(unit_id).line) & Position.below
    )
    found = (
        select(Position, User.name)
        .join(UserPosition, UserPosition.position_id == Position.id)
        .join(User, User.id == UserPosition.user_id)
        .where(User.active, there, *held_on(local_day(unit_id)))
        .order_by(Position.sort, Position.id, User.name)
    )
    names: dict[int, list[str]] = {}
    positions: dict[int, Position] = {}
    for position, name in session().execute(found):
        positions[position.id] = position
        names.setdefault(position.id, []).append(name)
    return [Post(one.code, title_of(one), names[key], _authority(one)) for key, one in positions.items()]


def _authority(position: Position) -> list[tuple[str, str]]:
    groups: dict[str, list[str]] = {}
    for one in all_permissions():
        if one.code in position.permissions:
            groups.setdefault(str(one.group), []).append(str(one.label))
    return [(group, _(", ").join(labels)) for group, labels in groups.items()]

"""Who may decide an approval: holders of its position, whom it was passed on to, and who stands in for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, and_, false, or_, select

from core.kernel import clock
from core.kernel.access import may, require
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.kernel.fields import Field
from core.units.facts import local_day, unit_facts
from core.units.settings import SettingSpec, declare, setting
from core.users.actor import load_by_id
from core.users.models import Position, User
from core.users.positions import title_of
from core.users.services import holders

from .approval_models import WAITING, Approval, Delegation

VIEW, ALL = "approval.view", "approval.all"
OWN = "approvals.own"
LONGEST = 366
Positions = Mapping[int, frozenset[str]]  # the position codes somebody has, by unit

declare(
    (
        SettingSpec(
            Field(OWN, "bool", _l("One may approve one's own requests"), default=False),
            _l("Approvals"),
        ),
    )
)


@dataclass(frozen=True)
class Place:
    """Somebody's place that another takes: which positions of theirs, by unit.

    ``whole``: also what was passed on to them in person.
    """

    user_id: int
    positions: Positions
    whole: bool


@dataclass(frozen=True)
class Powers:
    """What one person may decide today: by their own positions, and in whose places."""

    user_id: int
    own: Positions
    places: tuple[Place, ...] = ()


def powers_of(user_id: int, own: Positions | None = None) -> Powers:
    """Return what a person may decide today. ``own``: their positions, where they are known already."""
    if own is None:
        own = _positions_of(user_id)
    places = tuple(_place(one) for one in _standing_in(user_id)) if own else ()
    return Powers(user_id, own, places)


def _positions_of(user_id: int) -> Positions:
    actor = load_by_id(user_id)
    return actor.positions if actor else {}


def _place(one: Delegation) -> Place:
    """A delegation of a unit reaches below it as far as the positions of the one who delegates do."""
    lent = {
        unit: codes & {one.position} if one.position else codes
        for unit, codes in _positions_of(one.from_user_id).items()
        if one.unit_id in unit_facts(unit).line
    }
    return Place(one.from_user_id, {unit: codes for unit, codes in lent.items() if codes}, not one.position)


def _standing_in(user_id: int) -> list[Delegation]:
    """Return the delegations to a person that hold today, by the day of their unit."""
    near = clock.now().date()
    found = select(Delegation).where(
        Delegation.to_user_id == user_id,
        Delegation.ended_at.is_(None),
        Delegation.last_day >= date.fromordinal(near.toordinal() - 1),
    )
    return [one for one in _read(found) if holds_today(one)]


def holds_today(one: Delegation) -> bool:
    """Tell whether somebody stands in today."""
    return one.ended_at is None and one.first_day <= local_day(one.unit_id) <= one.last_day


def _read(statement: Any) -> Sequence[Delegation]:
    # A leader above may stand aside for somebody who sees a unit below only.
    options = {"unscoped": "delegations hold below their unit"}
    return session().scalars(statement, execution_options=options).all()


# --- one approval ----------------------------------------------------------------------------------


def right(approval: Any, powers: Powers) -> tuple[bool, int | None]:
    """Tell whether a person may decide an approval today, and in whose place (None: by their own right).

    ``approval`` is one, or a row with its unit, position, person, asker and data.
    """
    if _barred(approval, powers.user_id):
        return False, None
    if _fits(approval, powers.user_id, powers.own):
        return True, None
    for place in powers.places:
        fits = _fits(approval, place.user_id, place.positions, place.whole)
        if fits and not _barred(approval, place.user_id):
            return True, place.user_id
    return False, None


def _barred(approval: Any, user_id: int) -> bool:
    """Tell whether this is about somebody, or their own request that the unit does not let them decide."""
    own = approval.asked_by == user_id and not setting(approval.unit_id, OWN)
    return own or about(approval) == user_id


def about(approval: Any) -> int | None:
    """Return the person an approval is about, who has no part in deciding it."""
    found: int | None = approval.data.get("about")
    return found


def _fits(approval: Any, user_id: int, positions: Positions, whole: bool = True) -> bool:
    here = positions.get(approval.unit_id, frozenset())
    if approval.user_id is not None:
        return whole and approval.user_id == user_id and bool(here)
    return approval.position in here


def holds_position(approval: Approval, powers: Powers) -> bool:
    """Tell whether the approval waits for a position of theirs, or did before it was passed on to one person."""
    return approval.position in powers.own.get(approval.unit_id, frozenset())


def deciders(approval: Approval) -> set[int]:
    """Return the users who may decide an approval today; empty where nobody can."""
    own_is_fine = bool(setting(approval.unit_id, OWN))
    if approval.user_id is not None:
        first = {approval.user_id} if approval.unit_id in _positions_of(approval.user_id) else set()
    else:
        first = {user_id for user_id, _ in holders(approval.position, approval.unit_id)}
    if not own_is_fine:
        first.discard(approval.asked_by or 0)
    first.discard(about(approval) or 0)
    found = first | {one.to_user_id for one in _stand_ins(first, approval)}
    return found - ({about(approval)} if own_is_fine else {about(approval), approval.asked_by})


def _stand_ins(users: set[int], approval: Approval) -> list[Delegation]:
    if not users:
        return []
    wanted = ("",) if approval.user_id is not None else ("", approval.position)
    found = select(Delegation).where(
        Delegation.from_user_id.in_(users),
        Delegation.unit_id.in_(unit_facts(approval.unit_id).line),
        Delegation.position.in_(wanted),
        Delegation.ended_at.is_(None),
    )
    return [one for one in _read(found) if holds_today(one)]


def leaders(unit_id: int) -> set[int]:
    """Return the users who see every approval of a unit, and may pass on what nobody can decide."""
    codes = [one.code for one in session().scalars(select(Position)) if ALL in one.permissions]
    return {user_id for code in codes for user_id, _name in holders(code, unit_id)}


def wanted_words(approval: Approval) -> str:
    """Say who is wanted: a position's title in the reader's language, or the person it was passed on to."""
    if approval.user_id is not None:
        return session().scalars(select(User.name).where(User.id == approval.user_id)).first() or "—"
    return position_title(approval.position)


def position_title(code: str) -> str:
    """Return a position's title in the reader's language; one that is gone is named by its code."""
    found = session().scalars(select(Position).where(Position.code == code)).first()
    return title_of(found) if found else code


# --- many of them ----------------------------------------------------------------------------------


def waiting_for(powers: Powers) -> ColumnElement[bool]:
    """Return the condition that an approval waits for a person, apart from who asked (``right`` tells that)."""
    mine = [_for(powers.user_id, powers.own)]
    mine += [_for(place.user_id, place.positions, place.whole) for place in powers.places]
    return and_(Approval.state == WAITING, or_(*mine))


def _for(user_id: int, positions: Positions, whole: bool = True) -> ColumnElement[bool]:
    alike: dict[frozenset[str], list[int]] = {}
    for unit, codes in positions.items():
        alike.setdefault(codes, []).append(unit)
    parts: list[ColumnElement[bool]] = [
        and_(Approval.unit_id.in_(units), Approval.position.in_(codes), Approval.user_id.is_(None))
        for codes, units in alike.items()
    ]
    if whole:
        parts.append(and_(Approval.user_id == user_id, Approval.unit_id.in_(list(positions))))
    return or_(false(), *parts)


# --- standing in -----------------------------------------------------------------------------------


def delegate(
    unit_id: int, to_user_id: int, first_day: date, last_day: date, *, position: str = "", reason: str = ""
) -> Delegation:
    """Let a colleague decide in the actor's place, in a unit (and below as far as the actor's positions reach).

    ``position`` narrows it to one of the actor's positions. What somebody decides in another's place they cannot
    hand on: who stands in for others on these days cannot be away, nor can who is away stand in.

    Raises:
        InvalidData: beside each field.
        NotAllowed: the actor decides nothing in the unit.
    """
    require(VIEW, unit_id)
    actor = current_scope().actor_id
    if actor is None:
        raise NotAllowed(VIEW)
    with transaction() as work:
        errors = _problems(unit_id, actor, to_user_id, first_day, last_day, position)
        if errors:
            raise InvalidData(errors)
        row = Delegation(
            unit_id=unit_id,
            from_user_id=actor,
            to_user_id=to_user_id,
            position=position,
            first_day=first_day,
            last_day=last_day,
            reason=reason.strip()[:200],
            created_at=clock.now(),
        )
        work.add(row)
        work.flush()
        return row


def _problems(unit_id: int, actor: int, to: int, first: date, last: date, position: str) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    if last < first:
        errors["last_day"] = _l("The last day lies before the first")
    elif last < local_day(unit_id):
        errors["last_day"] = _l("This day has passed")
    elif (last - first).days >= LONGEST:
        errors["last_day"] = _l("At most a year; make a new one after that")
    if position and position not in _positions_of(actor).get(unit_id, frozenset()):
        errors["position"] = _l(
            "You do not hold this position yourself; what you decide for others cannot be handed on"
        )
    if to == actor:
        errors["to_user_id"] = _l("Choose somebody else")
    elif not reaches(to, unit_id):
        errors["to_user_id"] = _l("This person cannot decide anything in this unit")
    else:
        errors.update(_clashes(actor, to, first, last, position))
    return errors


def reaches(user_id: int, unit_id: int) -> bool:
    """Tell whether an active user may see and decide approvals in a unit today."""
    actor = load_by_id(user_id)
    return actor is not None and actor.may(VIEW, unit_id)


def _clashes(actor: int, to: int, first: date, last: date, position: str) -> dict[str, Any]:
    people = (actor, to)
    found = select(Delegation).where(
        or_(Delegation.from_user_id.in_(people), Delegation.to_user_id.in_(people)),
        Delegation.ended_at.is_(None),
        Delegation.first_day <= last,
        Delegation.last_day >= first,
    )
    for one in _read(found):
        if one.to_user_id == actor:
            return {"first_day": _l("You stand in for somebody else on these days; end that first")}
        if one.from_user_id == to:
            return {"to_user_id": _l("This person is away on these days and has somebody stand in")}
        if (one.from_user_id, one.to_user_id, one.position) == (actor, to, position):
            return {"first_day": _l("This person stands in for you on these days already")}
    return {}


def end_delegation(delegation_id: object) -> Delegation:
    """End a delegation at once; ending twice is the same as once.

    Raises:
        NotFound: unknown, or of another unit.
        NotAllowed: the actor is neither side of it nor leads the unit.
    """
    with transaction() as work:
        row = fetch(Delegation, delegation_id)
        if current_scope().actor_id not in (row.from_user_id, row.to_user_id) and not may(ALL, row.unit_id):
            raise NotAllowed(ALL)
        row.ended_at = row.ended_at or clock.now()
        work.flush()
        return row

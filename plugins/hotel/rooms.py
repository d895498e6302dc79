"""The state of rooms. Only this module writes it: under a lock of the room's row, with an event for every change.

Asks no permission: whoever calls did. Services flush, never commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    InvalidData,
    NotFound,
    Record,
    Refusal,
    Refused,
    clock,
    current_scope,
    require_clause,
    session,
)

from . import days, values
from .models import HotelPlace, Order, RoomEvent, Stay

SELL = "hotel.sell"  # the gate asked before a room is given to a guest


def state_of(occupied: bool, clean: bool, blocks: int, closed: bool) -> str:
    """Return the state of a room: out of service before out of order, both before occupied and clean."""
    if closed:
        return values.OOS
    if blocks:
        return values.OOO
    if occupied:
        return values.OC if clean else values.OD
    return values.VC if clean else values.VD


# --- finding -----------------------------------------------------------------------------------------


def room_of(place_id: int) -> HotelPlace:
    """Return what the hotel knows of a place.

    Raises:
        NotFound: nothing, or it lies in another unit.
    """
    found = session().scalars(select(HotelPlace).where(HotelPlace.place_id == place_id)).first()
    if found is None:
        raise NotFound()
    return found


def find_room(place_id: int | None) -> HotelPlace | None:
    """Return what the hotel knows of a place if it is a guest room, else None."""
    mine = select(HotelPlace).where(HotelPlace.place_id == place_id, HotelPlace.category == values.ROOMS)
    return session().scalars(mine).first() if place_id is not None else None


def lock_rooms(place_ids: Sequence[int]) -> dict[int, HotelPlace]:
    """Lock the rows of rooms in the order of their ids, so that nobody waits in circles; by place id, read anew.

    Raises:
        NotFound: one of them is not known.
    """
    wanted = (
        select(HotelPlace)
        .where(HotelPlace.place_id.in_(set(place_ids)))
        .order_by(HotelPlace.id)
        .with_for_update(of=HotelPlace)
        .execution_options(populate_existing=True)
    )
    found = {one.place_id: one for one in session().scalars(wanted)}
    if set(place_ids) - set(found):
        raise NotFound()
    return found


def lock_room(place_id: int) -> HotelPlace:
    """Lock one room's row and read it anew.

    Raises:
        NotFound: it is not known.
    """
    return lock_rooms([place_id])[place_id]


def events_of(place_id: int, limit: int = 50, before: int | None = None) -> Sequence[RoomEvent]:
    """Return what happened to a room, the newest first."""
    mine = select(RoomEvent).where(RoomEvent.place_id == place_id)
    if before is not None:
        mine = mine.where(RoomEvent.id < before)
    return session().scalars(mine.order_by(RoomEvent.at.desc(), RoomEvent.id.desc()).limit(limit)).all()


# --- selling -----------------------------------------------------------------------------------------


def require_sellable(room: HotelPlace | int) -> HotelPlace:
    """Lock a room and pass if it may be given to a guest now: not blocked (R06-7b), not out of service (JD-9).

    Raises:
        NotFound. Refused: naming each clause; a room that is occupied or no guest room, too.
    """
    locked = lock_room(room if isinstance(room, int) else room.place_id)
    if locked.category != values.ROOMS:
        raise Refused([Refusal("no_room", _l("%(place)s is no guest room", place=locked.place.code))])
    if not locked.place.active:
        raise Refused([Refusal("gone", _l("%(place)s is no longer in use", place=locked.place.code))])
    require_clause(SELL, locked.unit_id, locked)
    if locked.occupied:
        raise Refused([Refusal("taken", _l("%(place)s is occupied", place=locked.place.code))])
    return locked


# --- changing ----------------------------------------------------------------------------------------


def move_in(room: HotelPlace, *, what: str = values.ARRIVED, note: str = "") -> HotelPlace:
    """A guest takes a room that ``require_sellable`` has let pass (and locked)."""
    return _change(room, what, note=note, occupied=True)


def move_out(place_id: int, *, what: str = values.DEPARTED, note: str = "") -> HotelPlace:
    """A guest leaves a room: it is empty and to be cleaned."""
    return _change(lock_room(place_id), what, note=note, occupied=False, clean=False)


def set_clean(
    place_id: int, clean: bool = True, *, what: str = "", record: Record | None = None, note: str = ""
) -> HotelPlace:
    """Say that a room is clean, or is to be cleaned; ``what`` is the event where it is another (``checked``)."""
    room = lock_room(place_id)
    more: dict[str, Any] = {"cleaned_at": clock.now()} if clean else {}
    said = what or (values.CLEANED if clean else values.DIRTIED)
    return _change(room, said, record=record, note=note, clean=clean, **more)


def note_dnd(place_id: int, day: date, note: str = "") -> HotelPlace:
    """Keep that nobody was let in on a hotel day (请勿打扰)."""
    return _change(lock_room(place_id), values.DND, note=note, dnd_on=day)


def block(place_id: int, record: Record | None = None, note: str = "") -> HotelPlace | None:
    """A defect blocks a room until it is repaired and checked (R06-7b). None where the place is no guest room.

    How many orders block it is counted anew, so call this when the order's row says ``blocks``.
    """
    return _recount(place_id, values.BLOCKED, record, note)


def unblock(place_id: int, record: Record | None = None, note: str = "") -> HotelPlace | None:
    """An order blocks a room no more; it stays blocked while another one does. Call it when the row says so."""
    return _recount(place_id, values.UNBLOCKED, record, note)


def _recount(place_id: int, what: str, record: Record | None, note: str) -> HotelPlace | None:
    if find_room(place_id) is None:
        return None
    room = lock_room(place_id)
    blocking = select(func.count()).where(Order.unit_id == room.unit_id, Order.place_id == place_id, Order.blocks)
    count = int(session().scalar(blocking) or 0)
    if count == room.blocks:
        return room
    return _change(room, what, record=record, note=note, blocks=count)


def close(place_id: int, reason: str, until: date | None = None) -> HotelPlace:
    """Take a room out of service (停用) by decision.

    Raises:
        NotFound. InvalidData: no reason. Refused: guests are in it, or it is closed already.
    """
    room = lock_room(place_id)
    if not reason:
        raise InvalidData({"reason": _l("Please fill this in")})
    if until is not None and until < days.hotel_day(room.unit_id):
        raise InvalidData({"until": _l("This day is over")})
    if room.closed:
        raise Refused([Refusal("closed", _l("%(place)s is out of service already", place=room.place.code))])
    if room.occupied:
        raise Refused([Refusal("taken", _l("%(place)s is occupied", place=room.place.code))])
    note = f"{reason} · {until.isoformat()}" if until else reason
    return _change(room, values.CLOSED_DOWN, note=note, closed=True, closed_reason=reason[:200], closed_until=until)


def reopen(place_id: int, note: str = "") -> HotelPlace:
    """Put a room into service again; it is to be cleaned first.

    Raises:
        NotFound. Refused: it is not out of service.
    """
    room = lock_room(place_id)
    if not room.closed:
        raise Refused([Refusal("open", _l("%(place)s is not out of service", place=room.place.code))])
    return _change(room, values.OPENED, note=note, closed=False, closed_reason="", closed_until=None, clean=False)


def correct(place_id: int, *, occupied: bool, clean: bool, note: str) -> HotelPlace:
    """Put a room's state right by hand, after somebody looked; with the reason in its history.

    Raises:
        NotFound. InvalidData: no reason; it would contradict a stay that is under way.
        Refused: nothing would change.
    """
    room = lock_room(place_id)
    errors: dict[str, Any] = {}
    if not note:
        errors["note"] = _l("Please fill this in")
    if not occupied and in_house(place_id) is not None:
        errors["occupied"] = _l("A stay is under way here; enter the departure instead")
    if errors:
        raise InvalidData(errors)
    if (room.occupied, room.clean) == (occupied, clean):
        raise Refused([Refusal("same", _l("The room is in this state already"))])
    return _change(room, values.CORRECTED, note=note, occupied=occupied, clean=clean)


def in_house(place_id: int) -> Stay | None:
    """Return the stay under way in a room, or None."""
    wanted = select(Stay).where(Stay.place_id == place_id, Stay.state == values.IN_HOUSE)
    return session().scalars(wanted).first()


def _change(
    room: HotelPlace, what: str, *, record: Record | None = None, note: str = "", **columns: Any
) -> HotelPlace:
    """Write columns of a locked room, work its state out and keep the event. Every change passes here."""
    now: datetime = clock.now()
    before = room.state
    for name, value in columns.items():
        setattr(room, name, value)
    room.state = state_of(room.occupied, room.clean, room.blocks, room.closed)
    if room.state != before:
        room.state_since = now
    event = RoomEvent(unit_id=room.unit_id, place_id=room.place_id, at=now, what=what, before=before)
    event.after, event.hotel_day, event.note = room.state, days.hotel_day(room.unit_id, now), note[:300]
    event.actor_id, event.record_id = current_scope().actor_id, record.id if record is not None else None
    session().add(event)
    session().flush()
    return room

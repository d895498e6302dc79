"""Stays: expected, arriving, changing room, departing. The room's state follows. Services flush, never commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core.sdk import (
    Conflict,
    Field,
    InvalidData,
    Refusal,
    Refused,
    answered_before,
    clean,
    clock,
    fetch,
    remember_answer,
    require,
    require_clause,
    session,
)

from . import cleaning, days, room_file, rooms, values
from .models import HotelPlace, Stay
from .rights import DESK

_TAKEN = _l("There is a stay of this booking number already")
LONGEST = 366  # days of one stay
MOST_GUESTS = 20
HAND, IMPORT, API = "hand", "import", "api"
REFERENCE = Field("reference", "text", _l("Booking number"), max_length=40)
ROOM = Field("room", "text", _l("Room"), max_length=40, help=_l("Its code; may follow on arrival"))
ARRIVES = Field("arrives_on", "date", _l("Arrival"), help=_l("Empty: today"))
DEPARTS = Field("departs_on", "date", _l("Departure"), True)
GUESTS = Field("guests", "int", _l("Guests"), minimum=Decimal(1), maximum=Decimal(MOST_GUESTS), default=1)
NOTE = Field("note", "text", _l("Note"), max_length=300, help=_l("No names, no telephone numbers"))
FIELDS: tuple[Field, ...] = (REFERENCE, ROOM, ARRIVES, DEPARTS, GUESTS, NOTE)
ANYWAY = Field("anyway", "bool", _l("Although the room is not clean"))
ARRIVE_FIELDS: tuple[Field, ...] = (ROOM, ANYWAY)
MOVE_FIELDS: tuple[Field, ...] = (Field("room", "text", _l("New room"), True, max_length=40), ANYWAY, NOTE)
EXTEND_FIELDS: tuple[Field, ...] = (
    Field("arrives_on", "date", _l("New arrival"), help=_l("Only before they arrive; empty: as it is")),
    DEPARTS,
)


def get_stay(raw_id: object) -> Stay:
    """Return a stay by an id that came from a request.

    Raises:
        NotFound: no such stay, or of another unit.
    """
    wanted: Any = select(Stay).options(joinedload(Stay.place))
    return fetch(Stay, raw_id, query=wanted)


def expect(unit_id: int, raw: Mapping[str, Any], *, key: str = "", source: str = HAND) -> Stay:
    """Enter a stay that is expected (``FIELDS``, permission ``DESK``); a retry under ``key`` answers the same.

    A room that is blocked or out of service is refused where the stay begins today (R06-7b, JD-9).

    Raises:
        NotAllowed. InvalidData: beside the field; days that are over or the wrong way round, a booking number or a
        room that is taken. Refused: naming the clause.
    """
    require(DESK, unit_id)
    known = answered_before(unit_id, key, "hotel.stay", raw)
    if known is not None:
        return get_stay(known["id"])
    stay = _new(unit_id, clean(FIELDS, raw), source)
    remember_answer(unit_id, key, {"id": stay.id})
    return stay


def walk_in(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Stay:
    """Let guests arrive who were not expected: a stay that begins now (``FIELDS`` and ``anyway``).

    Raises:
        as ``expect`` and ``arrive``.
    """
    require(DESK, unit_id)
    known = answered_before(unit_id, key, "hotel.walk_in", raw)
    if known is not None:
        return get_stay(known["id"])
    stay = _new(unit_id, clean(FIELDS, {**raw, "arrives_on": None}), HAND)
    arrive(stay, raw)
    remember_answer(unit_id, key, {"id": stay.id})
    return stay


def arrive(stay: Stay, raw: Mapping[str, Any]) -> Stay:
    """Let expected guests take their room (``ARRIVE_FIELDS``, permission ``DESK``).

    Raises:
        NotAllowed. InvalidData: no room, another day, a room that is not clean unless ``anyway``.
        Refused: the room is blocked (R06-7b), out of service (JD-9) or occupied; the stay is not expected.
    """
    require(DESK, stay.unit_id)
    given = clean(ARRIVE_FIELDS, raw)
    _lock(stay, values.EXPECTED)
    today = days.hotel_day(stay.unit_id)
    if stay.arrives_on > today:
        raise InvalidData({"arrives_on": _l("They are expected on %(day)s", day=stay.arrives_on.isoformat())})
    if stay.departs_on < today:
        raise InvalidData({"departs_on": _l("The stay was to end on %(day)s", day=stay.departs_on.isoformat())})
    room = _chosen(stay, given["room"])
    locked = _ready(room, bool(given["anyway"]))
    _check_days(locked, today, stay.departs_on, stay.id)
    stay.place_id, stay.state, stay.arrived_at = locked.place_id, values.IN_HOUSE, clock.now()
    stay.arrives_on = today
    rooms.move_in(locked, note=stay.reference)
    return stay


def depart(stay: Stay) -> Stay:
    """Let guests leave (permission ``DESK``): the room is empty, dirty, and on the day's list of cleanings.

    Raises:
        NotAllowed. Refused: they are not in house.
    """
    require(DESK, stay.unit_id)
    _lock(stay, values.IN_HOUSE)
    if stay.place_id is None:
        raise Conflict()
    stay.state, stay.departed_at = values.GONE, clock.now()
    stay.departs_on = max(stay.arrives_on, days.hotel_day(stay.unit_id))
    cleaning.lock_today(stay.unit_id, stay.place_id)
    cleaning.after_departure(rooms.move_out(stay.place_id, note=stay.reference))
    return stay


def move(stay: Stay, raw: Mapping[str, Any]) -> Stay:
    """Give guests another room (``MOVE_FIELDS``, permission ``DESK``); before they arrive only the room changes.

    Raises:
        NotAllowed. InvalidData: no such room, the same one, not clean unless ``anyway``, taken on these days.
        Refused: as ``arrive``.
    """
    require(DESK, stay.unit_id)
    given = clean(MOVE_FIELDS, raw)
    _lock(stay, values.EXPECTED, values.IN_HOUSE)
    room = room_file.read_room(stay.unit_id, given["room"])
    if room.place_id == stay.place_id:
        raise InvalidData({"room": _l("They have this room already")})
    old_id = stay.place_id
    if stay.state == values.EXPECTED or old_id is None:
        _check_room(room, stay.arrives_on, stay.departs_on, stay.id)
        stay.place_id = room.place_id
        session().flush()
        return stay
    cleaning.lock_today(stay.unit_id, old_id)
    rooms.lock_rooms([old_id, room.place_id])
    locked = _ready(room, bool(given["anyway"]))
    _check_days(locked, days.hotel_day(stay.unit_id), stay.departs_on, stay.id)
    stay.place_id = locked.place_id
    note = " · ".join(one for one in (stay.reference, given["note"]) if one)
    session().flush()
    rooms.move_in(locked, what=values.MOVED, note=note)
    cleaning.after_departure(rooms.move_out(old_id, what=values.MOVED, note=note))
    return stay


def extend(stay: Stay, raw: Mapping[str, Any]) -> Stay:
    """Change the days of a stay (``EXTEND_FIELDS``, permission ``DESK``): the arrival only before it.

    Raises:
        NotAllowed. InvalidData: a day that is over, or the room is taken by then. Refused: the stay is over.
    """
    require(DESK, stay.unit_id)
    given = clean(EXTEND_FIELDS, raw)
    _lock(stay, values.EXPECTED, values.IN_HOUSE)
    today, last = days.hotel_day(stay.unit_id), given["departs_on"]
    first = given["arrives_on"] or stay.arrives_on
    if first != stay.arrives_on and stay.state != values.EXPECTED:
        raise InvalidData({"arrives_on": _l("They have arrived already")})
    if first != stay.arrives_on and first < today:
        raise InvalidData({"arrives_on": _l("This day is over")})
    _check_span(first, last, max(first, today))
    if stay.place_id is not None:
        _check_days(rooms.lock_room(stay.place_id), first, last, stay.id, field="departs_on")
    stay.arrives_on, stay.departs_on = first, last
    session().flush()
    return stay


def no_show(stay: Stay) -> Stay:
    """Enter that expected guests did not come (permission ``DESK``).

    Raises:
        NotAllowed. Refused: they are not expected, or not yet.
    """
    require(DESK, stay.unit_id)
    _lock(stay, values.EXPECTED)
    if stay.arrives_on > days.hotel_day(stay.unit_id):
        day = stay.arrives_on.isoformat()
        raise Refused([Refusal("early", _l("They are expected on %(day)s", day=day))])
    return _end(stay, values.NO_SHOW)


def cancel(stay: Stay) -> Stay:
    """Cancel a stay that was expected (permission ``DESK``).

    Raises:
        NotAllowed. Refused: it is not expected any more.
    """
    require(DESK, stay.unit_id)
    _lock(stay, values.EXPECTED)
    return _end(stay, values.CANCELLED)


def _end(stay: Stay, state: str) -> Stay:
    stay.state = state
    session().flush()
    return stay


# --- lists of the day ------------------------------------------------------------------------------------


def arrivals(unit_id: int, day: date, limit: int = 500) -> Sequence[Stay]:
    """Return the stays expected on a hotel day or before, the earliest first."""
    wanted = select(Stay).where(Stay.unit_id == unit_id, Stay.state == values.EXPECTED, Stay.arrives_on <= day)
    wanted = wanted.options(joinedload(Stay.place)).order_by(Stay.arrives_on, Stay.id).limit(limit)
    return session().scalars(wanted).all()


def guests_of(unit_id: int) -> dict[int, Stay]:
    """Return the stays under way by place."""
    wanted = select(Stay).where(Stay.unit_id == unit_id, Stay.state == values.IN_HOUSE)
    return {one.place_id: one for one in session().scalars(wanted) if one.place_id is not None}


def of_room(place_id: int, limit: int = 20) -> Sequence[Stay]:
    """Return the stays of a room, the latest first."""
    mine = select(Stay).where(Stay.place_id == place_id)
    return session().scalars(mine.order_by(Stay.arrives_on.desc(), Stay.id.desc()).limit(limit)).all()


# --- inside ----------------------------------------------------------------------------------------------


def _new(unit_id: int, given: Mapping[str, Any], source: str) -> Stay:
    today = days.hotel_day(unit_id)
    first = given["arrives_on"] or today
    if first < today:
        raise InvalidData({"arrives_on": _l("This day is over")})
    _check_span(first, given["departs_on"], first)
    reference = given["reference"] or ""
    if reference and by_reference(unit_id, reference) is not None:
        raise InvalidData({"reference": _TAKEN})
    stay = Stay(unit_id=unit_id, reference=reference, source=source, state=values.EXPECTED)
    stay.arrives_on, stay.departs_on = first, given["departs_on"]
    stay.guests, stay.note = given["guests"] or 1, given["note"] or ""
    if given["room"]:
        room = room_file.read_room(unit_id, given["room"])
        _check_room(room, first, stay.departs_on, None)
        stay.place_id = room.place_id
    try:
        with session().begin_nested():
            session().add(stay)
            session().flush()
    except IntegrityError:  # somebody entered the same number at this moment
        raise InvalidData({"reference": _TAKEN}) from None
    return stay


def by_reference(unit_id: int, reference: str) -> Stay | None:
    """Return the unit's stay of a booking number, or None."""
    wanted = select(Stay).where(Stay.unit_id == unit_id, Stay.reference == reference)
    return session().scalars(wanted).first()


def _check_span(first: date, last: date, least: date) -> None:
    if last < first:
        raise InvalidData({"departs_on": _l("The departure is before the arrival")})
    if last < least:
        raise InvalidData({"departs_on": _l("This day is over")})
    if last - first > timedelta(days=LONGEST):
        raise InvalidData({"departs_on": _l("At most %(count)d days", count=LONGEST)})


def _check_room(room: HotelPlace, first: date, last: date, stay_id: int | None) -> None:
    """A room for a stay that has not begun: it must be free on the days, and fit to be sold if they begin today."""
    locked = rooms.lock_room(room.place_id)
    if first <= days.hotel_day(room.unit_id):
        require_clause(rooms.SELL, room.unit_id, locked)
    _check_days(locked, first, last, stay_id)


def _check_days(room: HotelPlace, first: date, last: date, stay_id: int | None, field: str = "room") -> None:
    """No two stays in a room on one night; the room is locked, so nobody books it meanwhile."""
    other = select(Stay).where(
        Stay.place_id == room.place_id,
        Stay.state.in_((values.EXPECTED, values.IN_HOUSE)),
        Stay.arrives_on < max(last, first + timedelta(days=1)),
        # A stay of no night takes its day all the same.
        or_(Stay.departs_on > first, (Stay.departs_on == first) & (Stay.arrives_on == first)),
    )
    if stay_id is not None:
        other = other.where(Stay.id != stay_id)
    found = session().scalars(other.order_by(Stay.arrives_on).limit(1)).first()
    if found is None:
        return
    text = _l(
        "%(place)s is taken from %(first)s to %(last)s",
        place=room.place.code,
        first=found.arrives_on.isoformat(),
        last=found.departs_on.isoformat(),
    )
    raise InvalidData({field: text})


def _chosen(stay: Stay, code: str | None) -> HotelPlace:
    if code:
        return room_file.read_room(stay.unit_id, code)
    if stay.place_id is None:
        raise InvalidData({"room": _l("Choose the room")})
    return rooms.room_of(stay.place_id)


def _ready(room: HotelPlace, anyway: bool) -> HotelPlace:
    """Lock a room that may be given to guests now.

    Raises:
        Refused: as ``rooms.require_sellable``. InvalidData: it is not clean, and nobody said "anyway".
    """
    locked = rooms.require_sellable(room)
    if not locked.clean and not anyway:
        text = _l("%(place)s is not clean yet; tick this to give it to them all the same", place=locked.place.code)
        raise InvalidData({"anyway": text})
    return locked


def _lock(stay: Stay, *states: str) -> None:
    """Lock a stay and read it anew.

    Raises:
        Refused: it is in none of ``states`` any more.
    """
    wanted = select(Stay).where(Stay.id == stay.id).with_for_update().execution_options(populate_existing=True)
    session().scalars(wanted).one()
    if stay.state not in states:
        label = dict(values.STAY_STATES)[stay.state]
        raise Refused([Refusal("stay_state", _l("The stay is: %(state)s", state=label))])

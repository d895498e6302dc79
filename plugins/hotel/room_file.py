"""What the hotel knows of places: their category, of guest rooms type and beds. Services flush, never commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Choices, Field, InvalidData, Place, clean, fetch, places, require, session

from . import rooms, values
from .models import HotelPlace, Stay
from .rights import SETUP

FLOOR, ROOM = "floor", "room"  # kinds of places, as the core says them
MOST = 1000  # places set up at once
MOST_BEDS = 20
CATEGORY = Field("category", "choice", _l("Category"), True, values.CATEGORIES, default=values.ROOMS)
TYPE = Field("room_type", "text", _l("Room type"), max_length=40, help=_l("As the front office calls it"))
BEDS = Field("beds", "int", _l("Beds"), minimum=Decimal(0), maximum=Decimal(MOST_BEDS), default=1)
FIELDS: tuple[Field, ...] = (
    Field("place", "text", _l("Place or room"), True, max_length=40, help=_l("The code on its label")),
    CATEGORY,
    TYPE,
    BEDS,
)
BELOW_FIELDS: tuple[Field, ...] = (
    Field(
        "place",
        "text",
        _l("All rooms in"),
        True,
        max_length=40,
        help=_l("The code of a floor or a building; rooms the hotel knows already stay as they are"),
    ),
    CATEGORY,
    TYPE,
    BEDS,
)


def add(unit_id: int, raw: Mapping[str, Any]) -> HotelPlace:
    """Let the hotel know a place (``FIELDS``, permission ``SETUP``).

    Raises:
        NotAllowed. InvalidData: beside the field; no such place, closed, or known already.
    """
    require(SETUP, unit_id)
    given = clean(FIELDS, raw)
    place = _place(unit_id, given["place"])
    if known([place.id]):
        raise InvalidData({"place": _l("The hotel knows this place already")})
    return _make(unit_id, [place], given)[0]


def add_below(unit_id: int, raw: Mapping[str, Any]) -> list[HotelPlace]:
    """Let the hotel know all rooms below a place at once (``BELOW_FIELDS``, permission ``SETUP``).

    Raises:
        NotAllowed. InvalidData: beside the field; no such place, nothing new below it, too many.
    """
    require(SETUP, unit_id)
    given = clean(BELOW_FIELDS, raw)
    around = _place(unit_id, given["place"])
    wanted = select(Place).where(places.within(around), Place.kind == ROOM, Place.active)
    wanted = wanted.where(Place.id.not_in(select(HotelPlace.place_id))).limit(MOST + 1)
    found = places.in_order(session().scalars(wanted))
    if not found:
        raise InvalidData({"place": _l("There are no rooms in it that the hotel does not know")})
    if len(found) > MOST:
        raise InvalidData({"place": _l("At most %(count)d at once", count=MOST)})
    return _make(unit_id, found, given)


def change(row: HotelPlace, raw: Mapping[str, Any]) -> HotelPlace:
    """Change category, type or beds of a place (permission ``SETUP``); what is not given stays.

    Raises:
        NotAllowed. InvalidData: beside the field; a room with guests stays a guest room.
    """
    require(SETUP, row.unit_id)
    given = clean([one for one in (CATEGORY, TYPE, BEDS) if one.name in raw], raw)
    if given.get("category", row.category) != row.category and _has_guests(row):
        raise InvalidData({"category": _l("There are guests in it, or guests are expected")})
    for name, value in given.items():
        setattr(row, name, _plain(name, value))
    session().flush()
    return row


def get(raw_id: object) -> HotelPlace:
    """Return what the hotel knows of a place, by the id of its row from a request.

    Raises:
        NotFound: no such row, or of another unit.
    """
    return fetch(HotelPlace, raw_id)


def known(place_ids: Iterable[int]) -> dict[int, HotelPlace]:
    """Return what the hotel knows of places, by place id."""
    wanted = select(HotelPlace).where(HotelPlace.place_id.in_(set(place_ids)))
    return {one.place_id: one for one in session().scalars(wanted)}


def room_choices(unit_id: int) -> Choices:
    """Return the guest rooms in use as (code, code and type), by code."""
    return [(one.place.code, _label(one)) for one in guest_rooms(unit_id)]


def guest_rooms(unit_id: int) -> list[HotelPlace]:
    """Return the guest rooms in use in the order of the tree."""
    wanted = select(HotelPlace).join(Place, Place.id == HotelPlace.place_id)
    wanted = wanted.where(HotelPlace.unit_id == unit_id, HotelPlace.category == values.ROOMS, Place.active)
    by_place = {one.place_id: one for one in session().scalars(wanted)}
    return [by_place[one.id] for one in places.in_order(one.place for one in by_place.values())]


def read_room(unit_id: int, code: object, field: str = "room") -> HotelPlace:
    """Return the guest room of a code as it was typed or scanned.

    Raises:
        InvalidData: under ``field``: no such place, no guest room, or not in use.
    """
    place = places.by_code(unit_id, code)
    room = rooms.find_room(place.id) if place is not None else None
    if place is None:
        raise InvalidData({field: _l("There is no place of this code")})
    if room is None:
        raise InvalidData({field: _l("%(place)s is no guest room", place=place.code)})
    if not place.active:
        raise InvalidData({field: _l("%(place)s is no longer in use", place=place.code)})
    return room


def follow_moves(unit_id: int) -> int:
    """Bring the floors of rooms in step with the tree, whose places may have moved; return how many changed."""
    mine = list(session().scalars(select(HotelPlace).where(HotelPlace.unit_id == unit_id)))
    floors = _floors(unit_id, [one.place for one in mine])
    moved = [one for one in mine if one.floor_id != floors[one.place_id]]
    for one in moved:
        one.floor_id = floors[one.place_id]
    session().flush()
    return len(moved)


def _label(room: HotelPlace) -> str:
    return f"{room.place.code} · {room.room_type}" if room.room_type else room.place.code


def _place(unit_id: int, code: object) -> Place:
    place = places.by_code(unit_id, code)
    if place is None:
        raise InvalidData({"place": _l("There is no place of this code")})
    if not place.active:
        raise InvalidData({"place": _l("This place is closed")})
    return place


def _make(unit_id: int, found: Sequence[Place], given: Mapping[str, Any]) -> list[HotelPlace]:
    floors = _floors(unit_id, found)
    columns = {name: _plain(name, given[name]) for name in ("category", "room_type", "beds")}
    made = [HotelPlace(unit_id=unit_id, place_id=one.id, floor_id=floors[one.id], **columns) for one in found]
    session().add_all(made)
    session().flush()
    return made


def _plain(name: str, value: Any) -> Any:
    if name == "beds":
        return 1 if value is None else value
    return value or ""


def _floors(unit_id: int, found: Sequence[Place]) -> dict[int, int | None]:
    """Return by place the floor it lies on: the nearest one around it, else what it lies right in."""
    ids = {int(part) for one in found for part in one.path.split("/") if part}
    floor = select(Place.id).where(Place.unit_id == unit_id, Place.id.in_(ids), Place.kind == FLOOR)
    on = set(session().scalars(floor)) if ids else set()
    answer: dict[int, int | None] = {}
    for one in found:
        above = [int(part) for part in one.path.split("/") if part and int(part) != one.id]
        answer[one.id] = next((part for part in reversed(above) if part in on), one.parent_id)
    return answer


def _has_guests(row: HotelPlace) -> bool:
    under_way = (values.EXPECTED, values.IN_HOUSE)
    stay = select(Stay.id).where(Stay.place_id == row.place_id, Stay.state.in_(under_way)).limit(1)
    return row.occupied or session().scalar(stay) is not None

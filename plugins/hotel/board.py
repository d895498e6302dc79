"""The board of rooms (房态表): every room of the house by floor, in a few statements however many there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import places, session

from . import days, room_file, stays, values
from .cleaning import OPEN
from .models import Cleaning, HotelPlace, Stay

# Marks beside a room's state, in the order they are drawn: what, one letter, words.
ARRIVING, LEAVING, GUEST, QUIET, TO_CLEAN, BEING_CLEANED = (
    "arriving",
    "leaving",
    "guest",
    "dnd",
    "to_clean",
    "being_cleaned",
)
MARKS = (
    (ARRIVING, _l("Arrives today")),
    (LEAVING, _l("Leaves today")),
    (GUEST, _l("Guests in a blocked room")),
    (QUIET, _l("Do not disturb today")),
    (TO_CLEAN, _l("On the cleaning list")),
    (BEING_CLEANED, _l("Being cleaned now")),
)


@dataclass(frozen=True)
class Tile:
    """One room on the board: what is written on it. ``until``: the day its guests leave."""

    room: HotelPlace
    marks: tuple[str, ...]
    until: date | None = None

    @property
    def state(self) -> str:
        return self.room.state


@dataclass(frozen=True)
class Floor:
    """The rooms of a floor, in the order of the house."""

    name: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Board:
    """What the board shows: floors with the rooms asked for, and counts over all rooms."""

    day: date
    floors: tuple[Floor, ...]
    states: Mapping[str, int]
    marks: Mapping[str, int]
    total: int
    floor_choices: tuple[tuple[str, str], ...]
    types: tuple[str, ...]


def load(
    unit_id: int, *, state: str = "", mark: str = "", floor: str = "", room_type: str = "", find: str = ""
) -> Board:
    """Return the board of a unit, narrowed to a state, a mark, a floor, a room type or a part of the number."""
    day = days.hotel_day(unit_id)
    found = room_file.guest_rooms(unit_id)
    tiles = _tiles(unit_id, day, found)
    names = places.full_names(unit_id, {one.floor_id for one in found})
    shown = [one for one in tiles if _wanted(one, state, mark, floor, room_type, find)]
    floors: dict[int, list[Tile]] = {}
    for one in shown:
        floors.setdefault(one.room.floor_id or 0, []).append(one)
    listed = dict.fromkeys(one.floor_id or 0 for one in found)
    return Board(
        day,
        tuple(Floor(names.get(key, "—"), tuple(floors[key])) for key in listed if key in floors),
        Counter(one.state for one in tiles),
        Counter(mark for one in tiles for mark in one.marks),
        len(tiles),
        tuple((str(key), names.get(key, "—")) for key in listed),
        tuple(sorted({one.room_type for one in found if one.room_type})),
    )


def _wanted(tile: Tile, state: str, mark: str, floor: str, room_type: str, find: str) -> bool:
    room = tile.room
    if state and tile.state != state:
        return False
    if mark and mark not in tile.marks:
        return False
    if floor and str(room.floor_id or 0) != floor:
        return False
    if room_type and room.room_type != room_type:
        return False
    return not find or places.tidy_code(find) in room.place.code


def _tiles(unit_id: int, day: date, found: list[HotelPlace]) -> list[Tile]:
    guests = stays.guests_of(unit_id)
    coming = {one.place_id for one in stays.arrivals(unit_id, day)}
    work = _cleanings(unit_id, day)
    return [_tile(one, day, guests.get(one.place_id), one.place_id in coming, work) for one in found]


def _tile(room: HotelPlace, day: date, stay: Stay | None, coming: bool, work: Mapping[int, str]) -> Tile:
    doing = work.get(room.place_id, "")
    said = {
        ARRIVING: coming,
        LEAVING: stay is not None and stay.departs_on <= day,
        GUEST: room.occupied and room.state in (values.OOO, values.OOS),
        QUIET: room.dnd_on == day,
        TO_CLEAN: bool(doing) and doing != values.DOING,
        BEING_CLEANED: doing == values.DOING,
    }
    return Tile(room, tuple(key for key, holds in said.items() if holds), stay.departs_on if stay else None)


def _cleanings(unit_id: int, day: date) -> dict[int, str]:
    """Return by room how its cleaning stands that is still to be done today."""
    wanted = select(Cleaning.place_id, Cleaning.state).where(
        Cleaning.unit_id == unit_id, Cleaning.hotel_day == day, Cleaning.state.in_(OPEN)
    )
    found: dict[int, str] = {}
    for place_id, state in session().execute(wanted):
        if found.get(place_id) != values.DOING:
            found[place_id] = state
    return found

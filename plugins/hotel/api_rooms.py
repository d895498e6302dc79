"""API: rooms, stays, cleanings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Field, InvalidData, Place, places, session

from . import cleaning, importers_stays, room_file, stays, values
from .models import Cleaning, HotelPlace, RoomEvent, Stay
from .rights import CLEAN, DESK, SETUP, VIEW

STATE = Field(
    "state",
    "choice",
    _l("State"),
    choices=values.STAY_STATES,
    help=_l("In house: they arrive; departed: they leave; the room follows"),
)
CLEANING_FIELDS: tuple[Field, ...] = (
    Field("state", "choice", _l("State"), True, values.CLEANING_STATES),
    Field("why", "choice", _l("Why"), choices=values.SKIPS, help=_l("Where it is skipped")),
    cleaning.NOTE,
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_rooms(), _events(), _stays(), _cleanings()]


def _rooms() -> ApiResource:
    return ApiResource(
        path="rooms",
        title=_l("Rooms and other places"),
        model=HotelPlace,
        permission=VIEW,
        write_permission=SETUP,
        read={
            **dict.fromkeys(("place", "name", "category", "room_type", "state", "closed_reason"), "string"),
            **dict.fromkeys(("place_id", "beds", "blocks", "version"), "integer"),
            **dict.fromkeys(("occupied", "clean", "closed"), "boolean"),
            **dict.fromkeys(("closed_until", "dnd_on", "deep_cleaned_on"), "date"),
            **dict.fromkeys(("state_since", "cleaned_at"), "moment"),
        },
        show=_show_rooms,
        filters={"place_id": HotelPlace.place_id, "category": HotelPlace.category, "state": HotelPlace.state},
        fields=room_file.FIELDS,
        create=room_file.add,
        change=_change_room,
    )


_ROOM_NAMES = (
    "place_id",
    "category",
    "room_type",
    "state",
    "closed_reason",
    "beds",
    "blocks",
    "version",
    "occupied",
    "clean",
    "closed",
    "closed_until",
    "dnd_on",
    "deep_cleaned_on",
    "state_since",
    "cleaned_at",
)


def _show_rooms(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    known = _places({row.place_id for row in rows})
    return [
        {
            **{name: getattr(row, name) for name in _ROOM_NAMES},
            "place": known[row.place_id].code,
            "name": places.name_of(known[row.place_id]),
        }
        for row in rows
    ]


def _places(ids: set[int]) -> dict[int, Place]:
    return {one.id: one for one in session().scalars(select(Place).where(Place.id.in_(ids)))} if ids else {}


def _change_room(row: HotelPlace, given: Mapping[str, Any]) -> HotelPlace:
    if "place" in given and places.tidy_code(given["place"]) != row.place.code:
        raise InvalidData({"place": _l("The place of a room does not change")})
    return room_file.change(row, given)


def _events() -> ApiResource:
    return ApiResource(
        path="room-events",
        title=_l("What happened to rooms"),
        model=RoomEvent,
        permission=VIEW,
        read={
            **dict.fromkeys(("place_id", "actor_id", "record_id"), "integer"),
            **dict.fromkeys(("what", "before", "after", "note"), "string"),
            "at": "moment",
            "hotel_day": "date",
        },
        show=lambda rows: [
            {
                name: getattr(row, name)
                for name in (
                    "place_id",
                    "actor_id",
                    "record_id",
                    "what",
                    "before",
                    "after",
                    "note",
                    "at",
                    "hotel_day",
                )
            }
            for row in rows
        ],
        filters={"place_id": RoomEvent.place_id, "hotel_day": RoomEvent.hotel_day, "what": RoomEvent.what},
    )


def _stays() -> ApiResource:
    return ApiResource(
        path="stays",
        title=_l("Stays"),
        model=Stay,
        permission=VIEW,
        write_permission=DESK,
        read={
            **dict.fromkeys(("reference", "room", "state", "source", "note"), "string"),
            **dict.fromkeys(("arrives_on", "departs_on"), "date"),
            **dict.fromkeys(("arrived_at", "departed_at"), "moment"),
            **dict.fromkeys(("guests", "version"), "integer"),
        },
        show=_show_stays,
        filters={"reference": Stay.reference, "state": Stay.state, "place_id": Stay.place_id},
        fields=(*stays.FIELDS, STATE),
        create=_create_stay,
        change=_change_stay,
    )


def _show_stays(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    known = _places({row.place_id for row in rows if row.place_id})
    names = ("reference", "state", "source", "note", "arrives_on", "departs_on", "arrived_at", "departed_at")
    return [
        {
            **{name: getattr(row, name) for name in (*names, "guests", "version")},
            "room": known[row.place_id].code if row.place_id in known else "",
        }
        for row in rows
    ]


def _create_stay(unit_id: int, given: Mapping[str, Any]) -> Stay:
    stay = stays.expect(unit_id, given, source=stays.API)
    if given.get("state") == values.IN_HOUSE:
        stays.arrive(stays.get_stay(stay.id), {"anyway": True})
    elif given.get("state") not in (None, "", values.EXPECTED):
        raise InvalidData({"state": _l("A new stay is expected or in house")})
    return stay


def _change_stay(row: Stay, given: Mapping[str, Any]) -> Stay:
    stay = stays.get_stay(row.id)
    held = {
        "reference": stay.reference,
        "room": stay.place.code if stay.place else "",
        "arrives_on": stay.arrives_on.isoformat(),
        "departs_on": stay.departs_on.isoformat(),
        "state": stay.state,
    }
    wanted = {**held, **{name: value for name, value in given.items() if name in held and value is not None}}
    if wanted["reference"] != stay.reference:
        raise InvalidData({"reference": _l("The booking number of a stay does not change")})
    return importers_stays.bring_stay(stay, wanted)


def _cleanings() -> ApiResource:
    names = ("hotel_day", "kind", "state", "skip", "note", "tries", "version", "place_id", "assignee_id")
    people = ("begun_at", "begun_by", "done_at", "done_by", "checked_at", "checked_by")
    return ApiResource(
        path="cleanings",
        title=_l("Cleanings"),
        model=Cleaning,
        permission=VIEW,
        write_permission=CLEAN,
        read={
            **dict.fromkeys(("kind", "state", "skip", "note", "room"), "string"),
            **dict.fromkeys(("tries", "version", "place_id", "assignee_id"), "integer"),
            **dict.fromkeys(("begun_by", "done_by", "checked_by"), "integer"),
            **dict.fromkeys(("begun_at", "done_at", "checked_at"), "moment"),
            "hotel_day": "date",
        },
        show=lambda rows: _show_cleanings(rows, (*names, *people)),
        filters={
            "hotel_day": Cleaning.hotel_day,
            "state": Cleaning.state,
            "assignee_id": Cleaning.assignee_id,
            "place_id": Cleaning.place_id,
        },
        fields=CLEANING_FIELDS,
        change=_change_cleaning,
    )


def _show_cleanings(rows: Sequence[Any], names: Sequence[str]) -> list[Mapping[str, Any]]:
    known = _places({row.place_id for row in rows})
    return [{**{name: getattr(row, name) for name in names}, "room": known[row.place_id].code} for row in rows]


def _change_cleaning(row: Cleaning, given: Mapping[str, Any]) -> Cleaning:
    """Bring a cleaning to the state that is named, as the buttons of the phone page would."""
    state = given.get("state")
    raw = {"note": given.get("note") or "", "why": given.get("why") or ""}
    if state == values.DOING:
        return cleaning.start(row)
    if state == values.DONE:
        return cleaning.finish(row, raw)
    if state == values.SKIPPED:
        return cleaning.skip(row, raw)
    if state == values.TODO:
        return cleaning.take_up(row)
    if state == values.PASSED:
        return cleaning.check(row, raw)
    if state == values.REDO:
        return cleaning.redo(row, raw)
    return cleaning.drop(row)

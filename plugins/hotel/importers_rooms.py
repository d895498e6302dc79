"""Taking over the list of rooms, with the tree of places they lie in."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Importer,
    InvalidData,
    Place,
    Plan,
    Row,
    SheetColumn,
    normalise,
    places,
    search,
    session,
)

from . import room_file, values
from .models import HotelPlace
from .rights import SETUP

CHUNK = 500
BUILDING = "building"
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?")
_PLAIN = re.compile(r"(\d{4})(\d{2})(\d{2})")
NUMBER = re.compile(r"[0-9]{1,3}")


def read_date(text: str) -> date | None:
    """Read a day as front offices write it (2026-03-02, 2026/3/2, 2026年3月2日, 20260302); empty is None.

    Raises:
        InvalidData: under ``date``: anything else, or no such day.
    """
    plain = normalise(text).replace("／", "/")
    if plain in ("", "-", "—"):
        return None
    match = _DATE.fullmatch(plain) or _PLAIN.fullmatch(plain)
    if match is not None:
        try:
            found = date(*(int(one) for one in match.groups()))
        except ValueError:
            found = None
        if found is not None and 2000 <= found.year <= 2200:
            return found
    raise InvalidData({"date": _l("This is not a date")})


# --- rooms -----------------------------------------------------------------------------------------------


class RoomImporter(Importer):
    """The list of rooms (客房清单): a row for each. Buildings and floors that are not there are made."""

    key = "hotel-rooms"
    title = _l("List of rooms")
    permission = SETUP
    columns = (
        SheetColumn("code", _l("Room"), ("房号", "房间号", "房间", "客房", "room", "room number"), required=True),
        SheetColumn("building", _l("Building"), ("楼栋", "楼", "楼宇", "building", "block")),
        SheetColumn("floor", _l("Floor"), ("楼层", "层", "floor")),
        SheetColumn("name", _l("Name"), ("名称", "名字", "name")),
        SheetColumn("category", _l("Category"), ("类别", "分类", "category")),
        SheetColumn("room_type", _l("Room type"), ("房型", "类型", "房间类型", "room type", "type")),
        SheetColumn("beds", _l("Beds"), ("床位", "床数", "床位数", "beds")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        known = places_of(unit_id, [one.values.get("code", "") for one in rows])
        held = room_file.known(one.id for one in known.values())
        seen: dict[str, int] = memory.setdefault("seen", {})
        return [_room_plan(row, known, held, seen) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        around: dict[tuple[str, str], str] = memory.setdefault("around", {})
        for plan in plans:
            given = plan.values
            if plan.target is not None:
                room_file.change(room_file.get(plan.target), _of_room(given))
                continue
            if places.by_code(unit_id, given["code"]) is None:
                parent = _around(unit_id, given["building"], given["floor"], around)
                raw = {"code": given["code"], "name": given["name"], "kind": "room", "parent": parent}
                places.create_place(unit_id, raw)
            room_file.add(unit_id, {"place": given["code"], **_of_room(given)})

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take the places that were removed out of the search index."""
        search.remove(places.SEARCH_KIND, removed.get(Place.__tablename__, ()))


def _of_room(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in ("category", "room_type", "beds")}


def _around(unit_id: int, building: str, floor: str, made: dict[tuple[str, str], str]) -> str:
    """Return the code of the floor (or building) a room lies in, made where it is not there; '' for none."""
    key = (building, floor)
    if key not in made:
        house = _there(unit_id, building, building, BUILDING, "") if building else ""
        code = f"{building}-{floor}" if building and floor else floor
        made[key] = _there(unit_id, code, floor, room_file.FLOOR, house) if floor else house
    return made[key]


def _there(unit_id: int, code: str, name: str, kind: str, parent: str) -> str:
    found = places.by_code(unit_id, code)
    if found is None:
        raw = {"code": code, "name": name, "kind": kind, "parent": parent}
        found = places.create_place(unit_id, raw)
    return found.code


def places_of(unit_id: int, codes: Collection[str]) -> dict[str, Place]:
    """Return the unit's places of these codes as they were written, by the code as it is stored."""
    wanted = sorted({places.tidy_code(one) for one in codes})
    found: dict[str, Place] = {}
    for start in range(0, len(wanted), CHUNK):
        some = select(Place).where(Place.unit_id == unit_id, Place.code.in_(wanted[start : start + CHUNK]))
        found |= {one.code: one for one in session().scalars(some)}
    return found


def _room_plan(row: Row, known: Mapping[str, Place], held: Mapping[int, HotelPlace], seen: dict[str, int]) -> Plan:
    cells = {one.name: " ".join(row.values.get(one.name, "").split()) for one in RoomImporter.columns}
    code, errors = places.tidy_code(cells["code"]), {}
    if len(code) > 40:
        errors["code"] = _l("At most %(count)d characters", count=40)
    first = seen.setdefault(code, row.line)
    if first != row.line:
        errors["code"] = _l("Line %(line)d has this room already", line=first)
    category = _category(cells["category"], errors)
    beds = cells["beds"] or "1"
    if not NUMBER.fullmatch(beds) or int(beds) > room_file.MOST_BEDS:
        errors["beds"] = _l("From 0 to %(most)s", most=room_file.MOST_BEDS)
    for name, most in (("room_type", 40), ("name", 80), ("building", 30), ("floor", 9)):
        if len(cells[name]) > most:
            errors[name] = _l("At most %(count)d characters", count=most)
    place = known.get(code)
    if place is not None and not place.active:
        errors.setdefault("code", _l("This place is closed"))
    plan = Plan(row.line, "create", label=code, errors=list(errors.items()))
    if errors:
        return plan
    plan.values = {**cells, "code": code, "category": category, "beds": int(beds)}
    there = held.get(place.id) if place is not None else None
    if there is not None:
        same = (there.category, there.room_type, there.beds) == (category, cells["room_type"], int(beds))
        plan.action, plan.target = ("same" if same else "update"), there.id
    return plan


def _category(text: str, errors: dict[str, Any]) -> str:
    if not text:
        return values.ROOMS
    for code, label in values.CATEGORIES:
        if text.lower() in (code, str(label).lower()) or text in _CATEGORY_WORDS.get(code, ()):
            return code
    errors["category"] = _l("Please choose one of the list")
    return ""


_CATEGORY_WORDS = {
    values.ROOMS: ("客房", "房间"),
    values.CATERING: ("餐饮", "餐厅"),
    values.MEETING: ("会议", "会议室"),
    values.ENTERTAINMENT: ("娱乐",),
    values.OTHER: ("其他",),
}


def importers() -> list[Importer]:
    """Return what can be taken over from spreadsheets."""
    return [RoomImporter()]

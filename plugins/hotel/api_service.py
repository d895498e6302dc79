"""API: receipts of food, the processing log, samples, meetings, the hand-over book, facilities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Place, Record, session

from . import facilities, food, meetings, processing, samples, shifts
from .models import Facility, Food, FoodLine, Meeting, Processing, Sample, Shift
from .rights import CATERING, DESK, REPORT, SETUP, VIEW

_LINE = (
    "item",
    "quantity",
    "measure",
    "price",
    "made_on",
    "expires_on",
    "storage",
    "degrees",
    "papers",
    "looks_good",
)
_HEAD = {"id": "integer", "number": "string", "title": "string", "state": "string"}


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_foods(), _processing(), _samples(), _meetings(), _shifts(), _facilities()]


def _heads(rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return what the head of each row's record says."""
    wanted = select(Record).where(Record.id.in_([row.id for row in rows]))
    return {
        one.id: {"id": one.id, "number": one.number, "title": one.title, "state": one.state}
        for one in session().scalars(wanted)
    }


def _codes(rows: Sequence[Any]) -> dict[int | None, str]:
    ids = {row.place_id for row in rows if row.place_id}
    found = session().execute(select(Place.id, Place.code).where(Place.id.in_(ids))) if ids else ()
    return {None: "", **{row[0]: row[1] for row in found}}


def _shown(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


# --- catering --------------------------------------------------------------------------------------


def _foods() -> ApiResource:
    return ApiResource(
        path="foods",
        title=_l("Receipts of food"),
        model=Food,
        permission=VIEW,
        write_permission=CATERING,
        read={
            **_HEAD,
            "supplier": "string",
            "delivery_note": "string",
            "arrived_at": "moment",
            "place": "string",
            "lines": "objects",
        },
        show=_show_foods,
        filters={"supplier": Food.supplier, "delivery_note": Food.delivery_note},
        fields=(*food.FIELDS, food.LINES),
        create=lambda unit_id, raw: session().get_one(Food, food.register(unit_id, raw).id),
    )


def _show_foods(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    wanted = select(FoodLine).where(FoodLine.food_id.in_([row.id for row in rows])).order_by(FoodLine.id)
    lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in session().scalars(wanted):
        lines[one.food_id].append({**_shown(one, (*_LINE, "verdict")), **_plain(one)})
    heads, codes = _heads(rows), _codes(rows)
    return [
        {
            **heads[row.id],
            **_shown(row, ("supplier", "delivery_note", "arrived_at")),
            "place": codes[row.place_id],
            "lines": lines[row.id],
        }
        for row in rows
    ]


def _plain(line: FoodLine) -> dict[str, Any]:
    """Return what JSON has no kind for as text."""
    numbers = {name: getattr(line, name) for name in ("quantity", "price", "degrees")}
    days = {name: getattr(line, name) for name in ("made_on", "expires_on")}
    return {
        **{name: None if value is None else str(value) for name, value in numbers.items()},
        **{name: None if value is None else value.isoformat() for name, value in days.items()},
    }


def _processing() -> ApiResource:
    names = (
        "id",
        "at",
        "hotel_day",
        "meal",
        "step",
        "dish",
        "degrees",
        "fine",
        "note",
        "struck_at",
        "struck_reason",
    )
    plain = ("id", "at", "hotel_day", "meal", "step", "dish", "degrees", "fine", "note")
    names = (*plain, "struck_at", "struck_reason")
    return ApiResource(
        path="processing",
        title=_l("Processing log"),
        model=Processing,
        permission=VIEW,
        write_permission=CATERING,
        read={
            "id": "integer",
            "at": "moment",
            "hotel_day": "date",
            "meal": "string",
            "step": "string",
            "dish": "string",
            "degrees": "string",
            "fine": "boolean",
            "note": "string",
            "struck_at": "moment",
            "struck_reason": "string",
        },
        show=lambda rows: [_shown(row, names) for row in rows],
        filters={"meal": Processing.meal, "step": Processing.step, "hotel_day": Processing.hotel_day},
        fields=processing.FIELDS,
        create=processing.log,
    )


def _samples() -> ApiResource:
    names = ("id", "hotel_day", "meal", "dish", "grams", "kept_at", "keep_until", "disposed_at", "note")
    return ApiResource(
        path="samples",
        title=_l("Food samples"),
        model=Sample,
        permission=VIEW,
        write_permission=CATERING,
        read={
            "id": "integer",
            "hotel_day": "date",
            "meal": "string",
            "dish": "string",
            "grams": "integer",
            "kept_at": "moment",
            "keep_until": "moment",
            "disposed_at": "moment",
            "note": "string",
        },
        show=lambda rows: [_shown(row, names) for row in rows],
        filters={"meal": Sample.meal, "hotel_day": Sample.hotel_day},
        fields=samples.FIELDS,
        create=samples.keep,
    )


# --- meetings, shifts, facilities ------------------------------------------------------------------


def _meetings() -> ApiResource:
    return ApiResource(
        path="meetings",
        title=_l("Meetings"),
        model=Meeting,
        permission=VIEW,
        write_permission=DESK,
        read={
            **_HEAD,
            "place": "string",
            "starts_at": "moment",
            "ends_at": "moment",
            "people": "integer",
            "layout": "string",
            "wishes": "string",
            "inspection_id": "integer",
        },
        show=_show_meetings,
        filters={"layout": Meeting.layout},
        fields=meetings.FIELDS,
        create=lambda unit_id, raw: session().get_one(Meeting, meetings.register(unit_id, raw).id),
    )


def _show_meetings(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names, heads, codes = (
        ("starts_at", "ends_at", "people", "layout", "wishes", "inspection_id"),
        _heads(rows),
        _codes(rows),
    )
    return [{**heads[row.id], **_shown(row, names), "place": codes[row.place_id]} for row in rows]


def _shifts() -> ApiResource:
    return ApiResource(
        path="shifts",
        title=_l("Hand-over book"),
        model=Shift,
        permission=VIEW,
        write_permission=REPORT,
        read={
            **_HEAD,
            "department": "string",
            "shift": "string",
            "hotel_day": "date",
            "entries": "objects",
            "giver_id": "integer",
            "handed_at": "moment",
            "taker_id": "integer",
            "taken_at": "moment",
        },
        show=_show_shifts,
        filters={"department": Shift.department, "shift": Shift.shift, "hotel_day": Shift.hotel_day},
        fields=shifts.FIELDS,
        create=lambda unit_id, raw: session().get_one(Shift, shifts.register(unit_id, raw).id),
    )


def _show_shifts(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names, heads = (
        ("department", "shift", "hotel_day", "giver_id", "handed_at", "taker_id", "taken_at"),
        _heads(rows),
    )
    return [{**heads[row.id], **_shown(row, names), "entries": list(row.entries)} for row in rows]


def _facilities() -> ApiResource:
    return ApiResource(
        path="facilities",
        title=_l("Facilities"),
        model=Facility,
        permission=VIEW,
        write_permission=SETUP,
        read={
            "id": "integer",
            "code": "string",
            "name": "string",
            "place": "string",
            "maker": "string",
            "serial": "string",
            "contractor": "string",
            "every_months": "integer",
            "last_on": "date",
            "next_on": "date",
            "note": "string",
            "active": "boolean",
        },
        show=_show_facilities,
        filters={"code": Facility.code, "active": Facility.active},
        fields=facilities.FIELDS,
        create=facilities.create,
        change=facilities.change,
    )


def _show_facilities(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names = (
        "id",
        "code",
        "name",
        "maker",
        "serial",
        "contractor",
        "every_months",
        "last_on",
        "next_on",
        "note",
        "active",
    )
    codes = _codes(rows)
    return [{**_shown(row, names), "place": codes[row.place_id]} for row in rows]

"""Printed forms: the receipt of food (食材验收单) and a shift of the hand-over book (交接班记录)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import NotFound, PrintForm, Record, User, detail_of, label_of, places, session, unit_facts

from . import food, shifts, values
from .models import Food, Shift
from .rights import VIEW

FOOD, SHIFT = "hotel.food", "hotel.shift"


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(FOOD, _l("Receipt of food"), food.CODE, "hotel/food.typ", food_paper, VIEW),
        PrintForm(SHIFT, _l("Hand-over of a shift"), shifts.CODE, "hotel/shift.typ", shift_paper, VIEW),
    ]


def _moment(unit_id: int, at: datetime | None) -> str:
    if at is None:
        return ""
    return f"{at.astimezone(ZoneInfo(unit_facts(unit_id).timezone)):%Y-%m-%d %H:%M}"


def food_paper(record: Record) -> dict[str, Any]:
    """Return what the paper of a receipt says.

    Raises:
        NotFound: the record is no receipt of food.
    """
    detail = detail_of(record)
    if not isinstance(detail, Food):
        raise NotFound()
    place = places.full_names(record.unit_id, [detail.place_id]).get(detail.place_id or 0, "")
    return {
        "supplier": detail.supplier,
        "note": detail.delivery_note,
        "arrived": _moment(record.unit_id, detail.arrived_at),
        "place": place,
        "state": str(label_of(values.FOOD_STATES, record.state)),
        "lines": [_line(one) for one in food.lines_of(record.id)],
    }


def _line(one: Any) -> list[str]:
    stored = str(label_of(values.STORAGES, one.storage))
    verdict = str(label_of(values.FOOD_STATES, one.verdict)) if one.verdict else ""
    return [
        one.item,
        f"{one.quantity.normalize():f} {one.measure}".strip(),
        one.expires_on.isoformat() if one.expires_on else "",
        stored if one.degrees is None else f"{stored} {one.degrees} ℃",
        "√" if one.papers else "×",
        "√" if one.looks_good else "×",
        verdict,
    ]


def shift_paper(record: Record) -> dict[str, Any]:
    """Return what the paper of a shift says.

    Raises:
        NotFound: the record is no shift.
    """
    detail = detail_of(record)
    if not isinstance(detail, Shift):
        raise NotFound()
    people = {detail.giver_id, detail.taker_id, *(one.get("by") for one in detail.entries)} - {None}
    found = session().execute(select(User.id, User.name).where(User.id.in_(people)))
    names = {row.id: row.name for row in found}
    return {
        "department": str(label_of(values.DEPARTMENTS, detail.department)),
        "shift": str(label_of(values.SHIFTS, detail.shift)),
        "day": detail.hotel_day.isoformat(),
        "giver": names.get(detail.giver_id or 0, ""),
        "handed": _moment(record.unit_id, detail.handed_at),
        "taker": names.get(detail.taker_id or 0, ""),
        "taken": _moment(record.unit_id, detail.taken_at),
        "entries": [_entry(record.unit_id, one, names) for one in detail.entries],
    }


def _entry(unit_id: int, one: Any, names: dict[int, str]) -> list[str]:
    at = _moment(unit_id, datetime.fromisoformat(one["at"]))
    return [one["text"], "√" if one["open"] else "", names.get(one.get("by") or 0, ""), at]

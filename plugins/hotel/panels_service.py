"""Boxes on the pages of receipts of food, meetings and shifts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Panel, Record, User, current_scope, detail_of, label_of, places, session, uuid7
from core.sdk_web import page_url

from . import food, meetings, shifts, values
from .models import Food, Meeting, Shift
from .rights import CATERING, REPORT


def of_record(record: Record) -> list[Panel]:
    """Return the boxes for the page of a record."""
    make = _MAKERS.get(record.type)
    detail = detail_of(record) if make is not None else None
    return make(record, detail) if make is not None and detail is not None else []


def _food(record: Record, detail: Food) -> list[Panel]:
    works = record.state == values.RECEIVED and current_scope().may(CATERING, record.unit_id)
    context = {
        "detail": detail,
        "lines": food.lines_of(record.id),
        "place": _place(record.unit_id, detail.place_id),
        "stored": dict(values.STORAGES),
        "verdicts": {values.ACCEPTED: (_l("Food accepted"), "good"), values.REFUSED: (_l("Food refused"), "bad")},
        "judge_url": (lambda one: url_for("hotel.food_line", food_id=record.id, food_line_id=one.id))
        if works
        else None,
        "clause": food.CLAUSE,
    }
    return [Panel("food", _l("What arrived"), "hotel/food_panel.html", context, 5)]


def _place(unit_id: int, place_id: int | None) -> str:
    return places.full_names(unit_id, [place_id]).get(place_id, "") if place_id else ""


def _meeting(record: Record, detail: Meeting) -> list[Panel]:
    checked = detail.inspection_id
    context = {
        "detail": detail,
        "hall": _place(record.unit_id, detail.place_id),
        "layout": label_of(values.LAYOUTS, detail.layout),
        "checklist_url": page_url("record.page", record_id=checked) if checked else "",
        "clause": meetings.PREPARED,
    }
    return [Panel("meeting", _l("Meeting"), "hotel/meeting_panel.html", context, 5)]


def _shift(record: Record, detail: Shift) -> list[Panel]:
    people = {detail.giver_id, detail.taker_id, *(one.get("by") for one in detail.entries)}
    names = select(User.id, User.name).where(User.id.in_([one for one in people if one]))
    may_write = current_scope().may(REPORT, record.unit_id)
    writes = record.state == values.WRITING and may_write
    context = {
        "detail": detail,
        "names": {row.id: row.name for row in session().execute(names)},
        "moment": datetime.fromisoformat,
        "entry_url": url_for("hotel.shift_entry", shift_id=record.id) if writes else "",
        "settle_url": url_for("hotel.shift_settle", shift_id=record.id) if writes else "",
        "take_url": url_for("hotel.shift_take", shift_id=record.id)
        if record.state == values.HANDED and may_write
        else "",
        "key": uuid7().hex,
        "clause": shifts.CLAUSE,
        "longest": shifts.LONGEST,
    }
    return [Panel("shift", _l("Hand-over book"), "hotel/shift_panel.html", context, 5)]


_MAKERS: Mapping[str, Callable[[Record, Any], list[Panel]]] = {
    food.CODE: _food,
    meetings.CODE: _meeting,
    shifts.CODE: _shift,
}

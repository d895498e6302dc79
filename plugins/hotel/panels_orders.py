"""Boxes on the pages of orders and complaints."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import Panel, Record, detail_of, label_of, may, places, session
from core.sdk_web import page_url, state_badge

from . import compensation, dashboard, orders, values
from .models import Complaint, Order
from .rights import DESK, REPORT, VIEW

MOST = 5


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page."""
    if record.type not in (orders.CODE, "hotel_complaint") or not _sees(record):
        return []
    detail = detail_of(record)
    if isinstance(detail, Order):
        return [Panel("hotel_order", _l("Work order"), "hotel/order_panel.html", _order(record, detail), 5)]
    if isinstance(detail, Complaint):
        shown = _complaint(record, detail)
        return [Panel("hotel_complaint", _l("Guest complaint"), "hotel/complaint_panel.html", shown, 5)]
    return []


def _sees(record: Record) -> bool:
    return may(VIEW, record.unit_id) or may(REPORT, record.unit_id)


def _place(unit_id: int, place_id: int | None) -> str:
    return places.full_names(unit_id, [place_id]).get(place_id or 0, "")


def _order(record: Record, detail: Order) -> dict[str, Any]:
    before = [one for one in orders.of_place(detail.place_id, MOST + 1) if one.id != detail.id][:MOST]
    complaint = session().get(Record, detail.complaint_id) if detail.complaint_id is not None else None
    return {
        "facts": [
            (_l("Place"), _place(record.unit_id, detail.place_id)),
            (_l("Kind of work"), label_of(values.ORDER_KINDS, detail.kind)),
            (_l("What is concerned"), dashboard.words_of(detail) if detail.item_key else ""),
            (_l("How serious"), label_of(values.SEVERITIES, detail.severity)),
            (_l("Source"), label_of(values.SOURCES, detail.source)),
            (_l("What was done"), detail.result),
        ],
        "detail": detail,
        "blocks": detail.blocks,
        "complaint": complaint,
        "complaint_url": page_url("record.page", record_id=complaint.id) if complaint is not None else "",
        "before": before,
        "url": lambda one: page_url("record.page", record_id=one.id),
        "state": lambda one: state_badge(one.record),
    }


def _complaint(record: Record, detail: Complaint) -> dict[str, Any]:
    made = orders.of_complaint(record.id)
    return {
        "facts": [
            (_l("Place"), _place(record.unit_id, detail.place_id)),
            (_l("Category"), label_of(values.CATEGORIES, detail.category)),
            (_l("Came by way of"), label_of(values.CHANNELS, detail.channel)),
            (_l("Cause"), label_of(values.CAUSES, detail.cause) if detail.cause else ""),
            (_l("How it was solved"), detail.solution),
            (_l("Compensation to the guest"), _compensation(detail)),
        ],
        "detail": detail,
        "contact": detail.contact if may(DESK, record.unit_id) else "",
        "waiting": compensation.waiting(record),
        "orders": made,
        "order_url": url_for("hotel.complaint_order", record_id=record.id)
        if record.is_open and may(REPORT, record.unit_id)
        else "",
        "url": lambda one: page_url("record.page", record_id=one.id),
        "state": lambda one: state_badge(one.record),
    }


def _compensation(detail: Complaint) -> str:
    if not detail.compensation:
        return ""
    label = str(label_of(values.COMPENSATIONS, detail.compensation))
    return f"{label} {detail.amount:.2f}" if detail.amount is not None else label

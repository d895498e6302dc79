"""Printed: the order slip (维修单), the label and the poster with the code for guests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import NotFound, PrintForm, Record, User, detail_of, label_of, places, session, unit_facts

from . import dashboard, guest, order_flow, values
from .models import HotelPlace, Order
from .rights import SETUP, VIEW

GUEST = "hotel:guest"


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code="hotel.order",
            title=_l("Order slip"),
            subject=order_flow.CODE,
            template="hotel/order.typ",
            data=order_paper,
            permission=VIEW,
        ),
        PrintForm(
            code="hotel.guest",
            title=_l("Label with the code for guests"),
            subject=GUEST,
            template="",
            data=guest_label,
            permission=SETUP,
            label=True,
            find=guest.find_row,
        ),
        PrintForm(
            code="hotel.guest_poster",
            title=_l("Poster with the code for guests"),
            subject=GUEST,
            template="hotel/guest_poster.typ",
            data=guest_label,
            permission=SETUP,
            label=True,
            find=guest.find_row,
        ),
    ]


def guest_label(row: HotelPlace) -> Mapping[str, Any]:
    """Return what hangs in a room: which one it is, and the way to the page that needs no signing in."""
    return {
        "number": row.place.code,
        "kind": _("Scan to tell us"),
        "lines": [_("Repairs, cleaning, wishes, complaints")],
        "open": url_for("hotel.guest", code=row.guest_code),
        "url": url_for("hotel_guest_codes.index_view"),
    }


def order_paper(record: Record) -> dict[str, Any]:
    """Return what the slip of an order says: what, where, who, when, what was done, who checked.

    Raises:
        NotFound: the record is no order.
    """
    detail = detail_of(record)
    if not isinstance(detail, Order):
        raise NotFound()
    return {
        "number": record.number,
        "state": str(order_flow.WORKFLOW.states[record.state].label),
        "place": places.full_names(record.unit_id, [detail.place_id]).get(detail.place_id, ""),
        "kind": str(label_of(values.ORDER_KINDS, detail.kind)),
        "about": str(dashboard.words_of(detail)) if detail.item_key else "",
        "severity": str(label_of(values.SEVERITIES, detail.severity)),
        "source": str(label_of(values.SOURCES, detail.source)),
        "blocks": _("Yes") if detail.blocks else _("No"),
        "text": detail.text,
        "reported": _moment(record, detail.reported_at),
        "responded": _moment(record, detail.responded_at),
        "done": _moment(record, detail.done_at),
        "done_by": _name(detail.done_by),
        "result": detail.result,
        "cost": f"{detail.cost:.2f}" if detail.cost is not None else "",
        "checked": _moment(record, detail.checked_at),
        "checked_by": _name(detail.checked_by),
        "assignee": record.assignee.name if record.assignee is not None else "",
    }


def _moment(record: Record, at: datetime | None) -> str:
    if at is None:
        return ""
    return f"{at.astimezone(ZoneInfo(unit_facts(record.unit_id).timezone)):%Y-%m-%d %H:%M}"


def _name(user_id: int | None) -> str:
    person = session().get(User, user_id) if user_id is not None else None
    return person.name if person is not None else ""

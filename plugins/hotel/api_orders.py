"""API: work orders and complaints. How a guest may be reached is written, never read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Place, Record, fetch, session

from . import complaints, orders
from .models import Complaint, Order
from .rights import DESK, REPORT, VIEW

_ORDER = (
    "id",
    "category",
    "source",
    "kind",
    "severity",
    "item_key",
    "text",
    "blocks",
    "complaint_id",
    "reported_at",
    "responded_at",
    "done_at",
    "checked_at",
    "result",
    "cost",
    "redone",
)
_COMPLAINT = (
    "id",
    "category",
    "channel",
    "text",
    "cause",
    "reported_at",
    "answered_at",
    "solution",
    "compensation",
    "amount",
    "satisfied",
)
_MORE = {"number": "string", "state": "string", "place": "string", "assignee_id": "integer"}
_KINDS = {
    "id": "integer",
    "complaint_id": "integer",
    "redone": "integer",
    "blocks": "boolean",
    "satisfied": "boolean",
    "cost": "money",
    "amount": "money",
}


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_orders(), _complaints()]


def _read(names: Sequence[str]) -> dict[str, str]:
    moments = {one: "moment" for one in names if one.endswith("_at")}
    return {**dict.fromkeys(names, "string"), **moments, **{k: v for k, v in _KINDS.items() if k in names}, **_MORE}


def _orders() -> ApiResource:
    return ApiResource(
        path="orders",
        title=_l("Work orders"),
        model=Order,
        permission=VIEW,
        write_permission=REPORT,
        read=_read(_ORDER),
        show=_shown(_ORDER),
        filters={
            "kind": Order.kind,
            "severity": Order.severity,
            "source": Order.source,
            "place_id": Order.place_id,
            "complaint_id": Order.complaint_id,
        },
        fields=orders.FIELDS,
        create=lambda unit_id, given: fetch(Order, orders.register(unit_id, given).id),
    )


def _complaints() -> ApiResource:
    return ApiResource(
        path="complaints",
        title=_l("Guest complaints"),
        model=Complaint,
        permission=VIEW,
        write_permission=DESK,
        read=_read(_COMPLAINT),
        show=_shown(_COMPLAINT),
        filters={
            "category": Complaint.category,
            "cause": Complaint.cause,
            "channel": Complaint.channel,
            "place_id": Complaint.place_id,
        },
        fields=complaints.FIELDS,
        create=lambda unit_id, given: fetch(Complaint, complaints.register(unit_id, given).id),
    )


def _shown(names: Sequence[str]) -> Any:
    def show(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
        heads = {one.id: one for one in _among(Record, [row.id for row in rows])}
        codes = {one.id: one.code for one in _among(Place, [row.place_id for row in rows])}
        return [
            {
                **{name: getattr(row, name) for name in names},
                "number": heads[row.id].number,
                "state": heads[row.id].state,
                "assignee_id": heads[row.id].assignee_id,
                "place": codes.get(row.place_id, ""),
            }
            for row in rows
        ]

    return show


def _among(model: Any, ids: Sequence[int | None]) -> Sequence[Any]:
    wanted = {one for one in ids if one is not None}
    return session().scalars(select(model).where(model.id.in_(wanted))).all() if wanted else []

"""The box of a purchase plan on its record's page, and of an application that calls for one."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import Panel, Record, detail_of, label_of, may, money_math, session
from core.sdk_web import page_url

from . import purchase, purchase_flow, values
from .models import Application, Purchase, PurchaseLine
from .rights import BUY, KEEP, VIEW

NEXT = {
    values.DRAFT: _l("Get offers and enter them with each line; finance checks the prices"),
    values.PRICED: _l("The position of the clause approves it"),
    values.APPROVED: _l("Order from a regular supplier"),
    values.ORDERED: _l("Receive what comes, line by line; new tools are accepted by inspection"),
}


def of_record(record: Record) -> list[Panel]:
    """What a plan buys and what is next; for a granted application the plan that was drafted because of it."""
    if not may(VIEW, record.unit_id):
        return []
    if record.type == purchase.CODE and detail_of(record) is not None:
        context = context_of(record, detail_of(record))
        return [Panel("purchase", _l("Purchase plan"), "tools/purchase_panel.html", context, 5)]
    detail = detail_of(record)
    if not isinstance(detail, Application) or not may(BUY, record.unit_id):
        return []
    plan = purchase.of_application(record.id)
    if plan is None and record.state != values.GRANTED:
        return []
    context = {
        "plan": plan,
        "plan_url": page_url("record.page", record_id=plan.id) if plan is not None else "",
        "draft_url": url_for("tools.application_purchase", application_id=record.id) if plan is None else "",
    }
    return [Panel("purchase", _l("Purchase of tools"), "tools/purchase_of_application.html", context, 30)]


def context_of(record: Record, detail: Purchase) -> dict[str, Any]:
    """Return what the box shows."""
    lines = _lines(record.id)
    changes = record.state == values.DRAFT and may(BUY, record.unit_id)
    receives = record.state == values.ORDERED and may(KEEP, record.unit_id)
    return {
        "detail": detail,
        "kind": label_of(values.PURCHASE_KINDS, detail.kind),
        "lines": lines,
        "total": purchase_flow.total(lines),
        "sum_of": lambda line: money_math.times(line.quantity, line.price) if line.price is not None else None,
        "next": NEXT.get(record.state, ""),
        "application": _application(detail.application_id),
        "edit_url": url_for("tools_purchase.edit_view", id=record.id) if changes else "",
        "add_url": url_for("tools.purchase_line_new", purchase_id=record.id) if changes else "",
        "line_url": (lambda line: url_for("tools.purchase_line", line_id=line.id)) if changes else None,
        "remove_url": (lambda line: url_for("tools.purchase_line_remove", line_id=line.id)) if changes else None,
        "receive_url": (lambda line: url_for("tools.purchase_receive", line_id=line.id)) if receives else None,
    }


def _lines(purchase_id: int) -> list[PurchaseLine]:
    wanted = select(PurchaseLine).where(PurchaseLine.purchase_id == purchase_id).order_by(PurchaseLine.id)
    return list(session().scalars(wanted.options(joinedload(PurchaseLine.kind))))


def _application(key: int | None) -> tuple[str, str] | None:
    if key is None:
        return None
    found = session().scalars(select(Record).where(Record.id == key)).first()
    return (found.number, page_url("record.page", record_id=found.id)) if found is not None else None

"""Boxes on the pages of suppliers, releases, plans, orders and deliveries; tiles; finding suppliers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Hit,
    Panel,
    Record,
    Tile,
    current_scope,
    detail_of,
    label_of,
    local_day,
    may,
    money_math,
    search,
    session,
)
from core.sdk_web import page_url

from . import goods, order_flow, receiving_flow, releases, suppliers, values
from .models import (
    Lot,
    Paper,
    Plan,
    PurchaseOrder,
    Receiving,
    ReceivingLine,
    Release,
    Supplier,
)
from .rights import BUY, QUALITY, RECEIVE, VIEW
from .screens_supply import SOON_DAYS, receiving_badge

CAP = 100
MOST_SHOWN = 20


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page."""
    made = _BOXES.get(record.type)
    if made is None or not may(VIEW, record.unit_id):
        return []
    detail = detail_of(record)
    return [made(record, detail)] if detail is not None else []


def _url(key: int | None) -> str:
    return page_url("record.page", record_id=key) if key else ""


def _heads(ids: Sequence[int | None]) -> dict[int, Record]:
    """Return the heads of records by id, in one select."""
    keys = {one for one in ids if one}
    return {one.id: one for one in session().scalars(select(Record).where(Record.id.in_(keys)))} if keys else {}


def _supplier_name(supplier_id: int) -> str:
    return session().scalar(select(Supplier.name).where(Supplier.id == supplier_id)) or ""


# --- suppliers -----------------------------------------------------------------------------------


def _supplier(record: Record, detail: Supplier) -> Panel:
    keeps = may(BUY, record.unit_id)
    lots = select(Lot).where(Lot.supplier_id == record.id).order_by(Lot.id.desc()).limit(MOST_SHOWN)
    held = list(session().scalars(lots))
    context = {
        "facts": [(one.label, getattr(detail, one.name)) for one in suppliers.FIELDS],
        "until": detail.qualified_until,
        "over": detail.qualified_until is not None and detail.qualified_until < local_day(record.unit_id),
        "score": detail.score,
        "assessments": suppliers.assessments(record.id),
        "criteria": values.CRITERIA,
        "verdict": lambda one: label_of(values.VERDICTS, one.verdict),
        "deliveries": _deliveries_of(Receiving.supplier_id == record.id),
        "lots": held,
        "names": goods.names_of([one.model_id for one in held]),
        "edit_url": url_for("store_suppliers.edit_view", id=record.id) if keeps and record.is_open else "",
        "order_url": url_for("store_orders.create_view") if keeps and record.state == values.QUALIFIED else "",
    }
    return Panel("supplier", _l("Supplier"), "store/supplier_panel.html", context, 5)


def _deliveries_of(condition: Any) -> list[dict[str, Any]]:
    wanted = select(Receiving).where(condition).order_by(Receiving.id.desc()).limit(MOST_SHOWN)
    rows = list(session().scalars(wanted))
    return [
        {"number": one.record.number, "url": _url(one.id), "note": one.delivery_note, "badge": receiving_badge(one)}
        for one in rows
    ]


# --- releases ------------------------------------------------------------------------------------


def _release(record: Record, detail: Release) -> Panel:
    today, keeps = local_day(record.unit_id), may(QUALITY, record.unit_id) and detail.ended_at is None
    rows = releases.papers(record.id)
    context = {
        "papers": [
            {
                "row": one,
                "kind": label_of(values.PAPERS, one.kind),
                "badge": _paper_badge(one, today),
                "file_url": page_url("record.file", attachment_id=one.file_id) if one.file_id else "",
                "strike_url": url_for("store.paper_strike", paper_id=one.id)
                if keeps and one.struck_at is None
                else "",
            }
            for one in rows
        ],
        "released_at": detail.released_at,
        "clause": releases.CLAUSE,
        "add_url": url_for("store.paper_new", release_id=record.id) if keeps else "",
    }
    return Panel("release", _l("Papers of the product"), "store/release_panel.html", context, 5)


def _paper_badge(paper: Paper, today: date) -> tuple[Any, str]:
    if paper.struck_at is not None:
        return _l("Struck out"), "neutral"
    if not releases.is_valid(paper, today):
        over = paper.valid_until is not None and paper.valid_until < today
        return (_l("Run out"), "bad") if over else (_l("Not valid yet"), "warn")
    soon = paper.valid_until is not None and paper.valid_until <= today + timedelta(days=SOON_DAYS)
    return (_l("Runs out soon"), "warn") if soon else (_l("Valid"), "good")


# --- plans and orders ------------------------------------------------------------------------------


def _plan(record: Record, detail: Plan) -> Panel:
    lines = order_flow.plan_lines(record.id)
    wanted = select(Supplier.id, Supplier.name).where(Supplier.id.in_({one.supplier_id for one in lines}))
    keeps = may(BUY, record.unit_id)
    left = any(one.quantity and one.order_id is None and one.supplier_id for one in lines)
    context = {
        "detail": detail,
        "lines": lines,
        "names": goods.names_of([one.model_id for one in lines]),
        "suppliers": {row.id: row.name for row in session().execute(wanted)},
        "orders": _heads([one.order_id for one in lines]),
        "url": _url,
        "edit_url": url_for("store_plans.edit_view", id=record.id)
        if keeps and record.state == values.DRAFT
        else "",
        "orders_url": url_for("store.plan_orders", plan_id=record.id)
        if keeps and left and record.state == values.APPROVED
        else "",
    }
    return Panel("plan", _l("Purchase plan"), "store/plan_panel.html", context, 5)


def _order(record: Record, detail: PurchaseOrder) -> Panel:
    lines = order_flow.order_lines(record.id)
    keeps = may(BUY, record.unit_id) and record.state == values.DRAFT
    receives = may(RECEIVE, record.unit_id) and record.state == values.ORDERED
    context = {
        "detail": detail,
        "supplier": _supplier_name(detail.supplier_id),
        "supplier_url": _url(detail.supplier_id),
        "warnings": [
            one
            for one in (
                suppliers.not_qualified(detail.supplier_id),
                suppliers.overdue(record.unit_id, detail.supplier_id),
            )
            if one and record.state == values.DRAFT
        ],
        "lines": lines,
        "names": goods.names_of([one.model_id for one in lines]),
        "total": order_flow.total(lines),
        "sum_of": lambda one: money_math.times(Decimal(one.quantity), one.price) if one.price is not None else None,
        "deliveries": _deliveries_of(Receiving.order_id == record.id),
        "edit_url": url_for("store_orders.edit_view", id=record.id) if keeps else "",
        "receive_url": url_for("store_receivings.create_view", order=record.number) if receives else "",
        "print_url": page_url("printing.index", subject=record.type, id=record.id),
    }
    return Panel("order", _l("Purchase order"), "store/order_panel.html", context, 5)


# --- deliveries ----------------------------------------------------------------------------------


def _receiving(record: Record, detail: Receiving) -> Panel:
    lines = receiving_flow.lines_of(record.id)
    open_now = record.state in (values.EXPECTED, values.RECEIVED)
    receives = may(RECEIVE, record.unit_id) and open_now
    order = _heads([detail.order_id]).get(detail.order_id or 0)
    context = {
        "detail": detail,
        "supplier": _supplier_name(detail.supplier_id),
        "supplier_url": _url(detail.supplier_id),
        "order": order,
        "order_url": _url(detail.order_id),
        "lines": [{"row": one, "last_day": _last_day(one), "badge": _line_badge(one)} for one in lines],
        "names": goods.names_of([one.model_id for one in lines]),
        "inspect_url": url_for("store.inspect", delivery_id=record.id)
        if receives and record.state == values.RECEIVED
        else "",
        "edit_url": url_for("store_receivings.edit_view", id=record.id) if receives else "",
        "add_url": url_for("store.delivery_line", delivery_id=record.id) if receives else "",
        "remove_url": (lambda one: url_for("store.delivery_line_remove", delivery_line_id=one.id))
        if receives
        else None,
        "print_url": page_url("printing.index", subject=record.type, id=record.id),
    }
    return Panel("delivery", _l("Goods delivery"), "store/receiving_panel.html", context, 5)


def _last_day(line: ReceivingLine) -> date | None:
    return goods.last_day_of(line.made_on, line.shelf_days, line.best_before)


def _line_badge(line: ReceivingLine) -> tuple[Any, str]:
    if line.counted is None:
        return _l("Not inspected"), "neutral"
    if line.refused:
        return (_l("Refused"), "bad") if not line.accepted else (_l("Refused in part"), "warn")
    return _l("Accepted in full"), "good"


_BOXES: dict[str, Any] = {
    suppliers.CODE: _supplier,
    releases.CODE: _release,
    order_flow.PLAN: _plan,
    order_flow.ORDER: _order,
    receiving_flow.CODE: _receiving,
}


# --- dashboard, search -----------------------------------------------------------------------------


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard: what waits to be inspected, assessed, renewed."""
    scope, found, today = current_scope(), [], local_day(unit.id)
    if scope.may(RECEIVE, unit.id):
        url = url_for("store_receivings.index_view", quick="to_inspect")
        waiting = _of_type(unit.id, receiving_flow.CODE, values.RECEIVED)
        found.append(Tile("store_inspect", _l("Deliveries to inspect"), _capped(waiting), url, "warn"))
    if scope.may(BUY, unit.id):
        over = (
            select(Supplier.id)
            .join(Record, Record.id == Supplier.id)
            .where(Supplier.unit_id == unit.id, Supplier.qualified_until < today)
            .where(Record.state.in_((values.QUALIFIED, values.SUSPENDED)))
        )
        url = url_for("store_suppliers.index_view", quick="over")
        found.append(Tile("store_assess", _l("Suppliers to be assessed"), _capped(over), url, "bad"))
    if scope.may(QUALITY, unit.id):
        soon = today + timedelta(days=SOON_DAYS)
        papers = (
            select(Paper.id)
            .join(Release, Release.id == Paper.release_id)
            .where(Paper.unit_id == unit.id, Paper.struck_at.is_(None), Paper.valid_until <= soon)
            .where(Release.ended_at.is_(None))
        )
        url = page_url("report_list.show", report="store.papers")
        found.append(Tile("store_papers", _l("Papers running out"), _capped(papers), url, "warn"))
    return [one for one in found if one.value]


def _of_type(unit_id: int, code: str, state: str) -> Any:
    return select(Record.id).where(Record.unit_id == unit_id, Record.type == code, Record.state == state)


def _capped(wanted: Any) -> int:
    return session().scalar(select(func.count()).select_from(wanted.limit(CAP).subquery())) or 0


def find_suppliers(unit: Any, text: str, limit: int) -> list[Hit]:
    """Find suppliers by name, code or what they supply."""
    ids = [one.entity_id for one in search.search(frozenset({unit.id}), suppliers.CODE, text, limit)]
    wanted = select(Supplier).where(Supplier.id.in_(ids)).order_by(Supplier.id.desc())
    return [Hit(one.name, one.supplies, _url(one.id)) for one in session().scalars(wanted)] if ids else []

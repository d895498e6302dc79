"""Boxes about stock on the pages of records, of batches in the product file, of suppliers and of customers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import Customer, Hit, Panel, Record, detail_of, fetch, label_of, may
from core.sdk_web import page_url

from . import finding, goods, issues, stopping, trace, values
from .models import Issue, Lot, Objection, Removal
from .rights import SELL, VIEW

SHOWN = 20


def of_record(record: Record) -> list[Panel]:
    """What went out, what an objection or a removal is about, and what came with a delivery."""
    if not may(VIEW, record.unit_id):
        return []
    detail = detail_of(record)
    if isinstance(detail, Issue):
        return [Panel("store_issue", _l("Goods"), "store/issue_panel.html", _issue(record, detail), 5)]
    if isinstance(detail, Objection):
        facts = (
            (_l("Pieces"), detail.quantity),
            (_l("Where it was found"), label_of(values.FOUND_AT, detail.found_at)),
            (_l("Decision"), label_of(values.DECISIONS, detail.decision) if detail.decision else ""),
            (_l("What was done"), detail.outcome),
        )
        context = {**_about(detail.lot_id, facts), "text": detail.problem}
        return [Panel("store_objection", _l("Quality objection"), "store/lot_panel.html", context, 5)]
    if isinstance(detail, Removal):
        facts = (
            (_l("Why"), label_of(values.REMOVAL_REASONS, detail.reason)),
            (_l("To be done by"), detail.due_on),
            (_l("Pieces"), detail.removed),
            (_l("Where to"), label_of(values.REMOVED_TO, detail.removed_to) if detail.removed_to else ""),
        )
        return [
            Panel(
                "store_removal",
                _l("Removal from the shelf"),
                "store/lot_panel.html",
                _about(detail.lot_id, facts),
                5,
            )
        ]
    return []


def _issue(record: Record, detail: Issue) -> dict[str, Any]:
    lines = issues.lines_of(record.id)
    held = {one.id: one for one in trace.lots_by_id([one.lot_id for one in lines])}
    names = goods.names_of([one.model_id for one in held.values()])
    out = any(one.taken_back < one.quantity for one in lines)
    return {
        "detail": detail,
        "kind": label_of(values.ISSUE_KINDS, detail.kind),
        "phone": detail.phone if trace.names_shown(record.unit_id) else "",
        "total": issues.total(lines),
        "lines": [
            {
                "line": one,
                "name": names[held[one.lot_id].model_id],
                "batch": held[one.lot_id].number,
                "url": url_for("store.lot", lot_id=one.lot_id),
            }
            for one in lines
        ],
        "back_url": url_for("store.issue_back", issue_id=record.id) if out and may(SELL, record.unit_id) else "",
        "print_url": page_url("printing.index", subject=issues.CODE, id=record.id),
    }


def _about(lot_id: int | None, facts: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    lot = fetch(Lot, lot_id) if lot_id is not None else None
    return {
        "facts": [(label, value) for label, value in facts if value not in (None, "")],
        "lot": lot,
        "lot_url": url_for("store.lot", lot_id=lot.id) if lot is not None else "",
        "state": label_of(values.LOT_STATES, lot.state) if lot is not None else "",
    }


def _listed(code: str, title: Any, rows: Sequence[Lot], url: str = "", label: Any = "") -> list[Panel]:
    if not rows and not url:
        return []
    names = goods.names_of([one.model_id for one in rows])
    found = [
        {
            "url": url_for("store.lot", lot_id=one.id),
            "number": one.number,
            "text": _(
                "%(goods)s · %(state)s · %(count)s pieces",
                goods=names[one.model_id],
                state=label_of(values.LOT_STATES, one.state),
                count=one.stock,
            ),
        }
        for one in rows
    ]
    context = {"rows": found, "url": url, "label": label}
    return [Panel(code, title, "store/lots_panel.html", context, 30)]


def of_thing(subject: str, row: Any) -> list[Panel]:
    """What there is of a batch of the product file."""
    if subject == "products:batch" and may(VIEW, row.unit_id):
        url = url_for("store.stopped", batch_id=row.id)
        title = _l("In our store")
        return _listed("store_batch", title, stopping.lots_of(row.id), url, _l("Stock, on the way, with customers"))
    return []


def of_customer(customer: Customer) -> list[Panel]:
    """What a customer got from the store, and brought back."""
    if not may(VIEW, customer.unit_id):
        return []
    rows = [
        {
            "url": url_for("store.lot", lot_id=one.lot.id),
            "number": one.lot.number,
            "text": _(
                "%(goods)s · %(count)s pieces · %(day)s", goods=one.name, count=-one.quantity, day=one.at.date()
            ),
        }
        for one in trace.of_customer(customer, SHOWN)
    ]
    context = {"rows": rows, "url": "", "label": ""}
    return [Panel("store_bought", _l("Goods from the store"), "store/lots_panel.html", context, 60)] if rows else []


def find_lots(unit: Any, text: str, limit: int) -> list[Hit]:
    """Find batches by label, batch number, bar code or model, for the search box."""
    _model, rows = finding.lots_for(unit.id, text)
    names = goods.names_of([one.model_id for one in rows[:limit]])
    return [
        Hit(
            one.number,
            f"{names[one.model_id]} · {label_of(values.LOT_STATES, one.state)}",
            url_for("store.lot", lot_id=one.id),
        )
        for one in rows[:limit]
    ]

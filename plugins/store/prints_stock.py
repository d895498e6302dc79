"""Printed: the label of a batch, its quality file (产品质量档案), outgoing goods (出库单)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import Customer, NotFound, PrintForm, Record, detail_of, label_of, session, unit_facts

from . import check, finding, goods, issues, shelf, trace, values
from .models import Issue, Lot
from .rights import VIEW

MOST_LINES = 500


def forms() -> list[PrintForm]:
    """Return the forms and labels."""
    return [
        PrintForm(
            code=finding.LABEL,
            title=_l("Label of a batch: number, last day, QR"),
            subject="store:lot",
            template="",
            data=lot_label,
            permission=VIEW,
            label=True,
            find=trace.lot_of,
        ),
        PrintForm(
            code="store.quality",
            title=_l("Quality file of a batch"),
            subject="store:lot",
            template="store/quality.typ",
            data=quality_paper,
            permission=VIEW,
            find=trace.lot_of,
        ),
        PrintForm(
            code="store.issue",
            title=_l("Outgoing goods"),
            subject=issues.CODE,
            template="store/issue.typ",
            data=issue_paper,
            permission=VIEW,
        ),
    ]


def lot_label(lot: Lot) -> Mapping[str, Any]:
    """Return what stands on the label of a batch."""
    last = _("Last day: %(day)s", day=lot.last_day.isoformat()) if lot.last_day is not None else ""
    return {
        "number": lot.number,
        "kind": _("Batch in stock"),
        "lines": [one for one in (goods.names_of([lot.model_id])[lot.model_id], last) if one],
        "url": url_for("store.lot", lot_id=lot.id),
    }


def _moment(unit_id: int, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(unit_facts(unit_id).timezone)):%Y-%m-%d %H:%M}"


def _day(day: Any) -> str:
    return day.isoformat() if day is not None else ""


def quality_paper(lot: Lot) -> dict[str, Any]:
    """Return what the quality file of a batch says (R02-10): where from, its dates, how it moved, to whom."""
    file, shown = trace.of_lot(lot), trace.names_shown(lot.unit_id)
    return {
        "product": file.name,
        "number": lot.number,
        "made_on": _day(lot.made_on),
        "shelf_days": "" if lot.shelf_days is None else str(lot.shelf_days),
        "best_before": _day(lot.best_before),
        "last_day": _day(lot.last_day),
        "supplier": file.supplier.name if file.supplier is not None else "",
        "delivery": file.delivery.number if file.delivery is not None else "",
        "state": str(check.state_label(lot)),
        "stock": str(lot.stock),
        "place": shelf.place_name(lot),
        "moved": [
            [
                _moment(lot.unit_id, one.at),
                str(label_of(values.MOVEMENTS, one.kind)),
                f"{one.quantity:+d}",
                str(one.stock),
            ]
            for one in file.moved[:MOST_LINES]
        ],
        "buyers": [
            [
                one.record.number,
                str(label_of(values.ISSUE_KINDS, one.kind)),
                str(one.pieces),
                _who(one.customer, one.phone) if shown else "",
            ]
            for one in file.buyers[:MOST_LINES]
        ],
    }


def _who(customer: Customer | None, phone: str) -> str:
    return customer.name if customer is not None else phone


def issue_paper(record: Record) -> dict[str, Any]:
    """Return what the paper of outgoing goods says.

    Raises:
        NotFound: the record is none.
    """
    detail = detail_of(record)
    if not isinstance(detail, Issue):
        raise NotFound()
    lines = issues.lines_of(record.id)
    held = {one.id: one for one in trace.lots_by_id([one.lot_id for one in lines])}
    names = goods.names_of([one.model_id for one in held.values()])
    customer = session().get(Customer, record.customer_id) if record.customer_id is not None else None
    return {
        "kind": str(label_of(values.ISSUE_KINDS, detail.kind)),
        "at": _moment(record.unit_id, record.received_at),
        "receipt": detail.receipt,
        "customer": customer.name if customer is not None and trace.names_shown(record.unit_id) else "",
        "lines": [
            [
                names[held[one.lot_id].model_id],
                held[one.lot_id].number,
                str(one.quantity),
                "" if one.price is None else f"{one.price:,.2f}",
                str(one.taken_back or ""),
            ]
            for one in lines
        ],
        "total": f"{issues.total(lines):,.2f}",
    }

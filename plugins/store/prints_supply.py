"""Printed forms: purchase order (采购订单), inspection of a delivery (验货单), assessments of a supplier."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from core.sdk import NotFound, PrintForm, Record, User, detail_of, label_of, money_math, session, unit_facts

from . import goods, order_flow, receiving_flow, suppliers, values
from .models import PurchaseOrder, Receiving, Supplier
from .rights import VIEW

ORDER, INSPECTION, SUPPLIER = "store.order", "store.inspection", "store.supplier"


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code=ORDER,
            title=_l("Purchase order"),
            subject=order_flow.ORDER,
            template="store/order.typ",
            data=order_paper,
            permission=VIEW,
            seal="company",
        ),
        PrintForm(
            code=INSPECTION,
            title=_l("Inspection of a delivery"),
            subject=receiving_flow.CODE,
            template="store/inspection.typ",
            data=inspection_paper,
            permission=VIEW,
        ),
        PrintForm(
            code=SUPPLIER,
            title=_l("Assessments of a supplier"),
            subject=suppliers.CODE,
            template="store/supplier.typ",
            data=supplier_paper,
            permission=VIEW,
        ),
    ]


def _detail(record: Record, model: type[Any]) -> Any:
    detail = detail_of(record)
    if not isinstance(detail, model):
        raise NotFound()
    return detail


def _day(day: Any) -> str:
    return day.isoformat() if day else ""


def _moment(record: Record, moment: datetime | None) -> str:
    if moment is None:
        return ""
    return f"{moment.astimezone(ZoneInfo(unit_facts(record.unit_id).timezone)):%Y-%m-%d %H:%M}"


def _name(user_id: int | None) -> str:
    user = session().get(User, user_id) if user_id else None
    return user.name if user is not None else ""


def _yuan(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,.2f}"


def order_paper(record: Record) -> Mapping[str, Any]:
    """Return what a purchase order says on paper.

    Raises:
        NotFound: the record is none.
    """
    detail: PurchaseOrder = _detail(record, PurchaseOrder)
    supplier = session().get_one(Supplier, detail.supplier_id)
    lines = order_flow.order_lines(record.id)
    names = goods.names_of([one.model_id for one in lines])
    sheets = goods.sheets_of(record.unit_id, [one.model_id for one in lines])
    rows = []
    for place, one in enumerate(lines, start=1):
        amount = money_math.times(Decimal(one.quantity), one.price) if one.price is not None else None
        sheet = sheets.get(one.model_id)
        barcode, measure = (sheet.barcode, sheet.measure) if sheet is not None else ("", "")
        rows.append(
            [str(place), barcode, names[one.model_id], str(one.quantity), measure, _yuan(one.price), _yuan(amount)]
        )
    return {
        "state": str(label_of(values.ORDER_STATES, record.state)),
        "supplier": supplier.name,
        "uscc": supplier.uscc,
        "contact": " ".join(part for part in (supplier.contact, supplier.phone) if part),
        "address": supplier.address,
        "expected": _day(detail.expected_on),
        "drafted": _moment(record, record.received_at),
        "standard": detail.standard_met,
        "lines": rows,
        "total": _yuan(order_flow.total(lines)),
        "note": detail.note,
    }


def inspection_paper(record: Record) -> Mapping[str, Any]:
    """Return what the inspection of a delivery says on paper.

    Raises:
        NotFound: the record is none.
    """
    detail: Receiving = _detail(record, Receiving)
    lines = receiving_flow.lines_of(record.id)
    names = goods.names_of([one.model_id for one in lines])
    rows = [
        [
            str(place),
            names[one.model_id],
            one.batch,
            _day(one.made_on),
            _day(goods.last_day_of(one.made_on, one.shelf_days, one.best_before)),
            str(one.expected),
            "" if one.counted is None else str(one.counted),
            "" if one.accepted is None else str(one.accepted),
            "" if one.refused is None else str(one.refused),
            one.fault,
        ]
        for place, one in enumerate(lines, start=1)
    ]
    return {
        "state": str(label_of(values.RECEIVING_STATES, record.state)),
        "supplier": session().get_one(Supplier, detail.supplier_id).name,
        "note": detail.delivery_note,
        "arrived": _moment(record, detail.arrived_at),
        "checked": _moment(record, detail.checked_at),
        "checker": _name(detail.checked_by),
        "lines": rows,
    }


def supplier_paper(record: Record) -> Mapping[str, Any]:
    """Return what the register says of a supplier and how it was assessed.

    Raises:
        NotFound: the record is none.
    """
    detail: Supplier = _detail(record, Supplier)
    criteria = [str(label) for _code, label in values.CRITERIA]
    rows = [
        [
            _day(one.on),
            *(str(getattr(one, code)) for code, _label in values.CRITERIA),
            str(one.score),
            str(label_of(values.VERDICTS, one.verdict)),
            _name(one.by_id),
        ]
        for one in suppliers.assessments(record.id)
    ]
    return {
        "state": str(label_of(values.SUPPLIER_STATES, record.state)),
        "name": detail.name,
        "uscc": detail.uscc,
        "contact": " ".join(part for part in (detail.contact, detail.phone) if part),
        "address": detail.address,
        "supplies": detail.supplies,
        "licence": detail.licence,
        "licence_until": _day(detail.licence_until),
        "until": _day(detail.qualified_until),
        "criteria": criteria,
        "assessments": rows,
    }

"""Reports: what to order again, suppliers by score and deliveries, papers that run out, receiving by month."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Field,
    Record,
    Report,
    ReportColumn,
    Unit,
    label_of,
    local_day,
    report_periods,
    session,
)

from . import goods, plans, values
from .models import Objection, Paper, Product, Receiving, ReceivingLine, Release, Supplier
from .rights import VIEW

Rows = Iterator[Mapping[str, Any]]
_UNIT = ReportColumn("unit", _l("Unit"))


def _units(ids: Sequence[int]) -> Mapping[int, Unit]:
    return {unit.id: unit for unit in session().scalars(select(Unit).where(Unit.id.in_(ids)))}


# --- what to order again -----------------------------------------------------------------------------


def _reorder(units: Sequence[int], _wanted: Mapping[str, Any]) -> Rows:
    """List what is short by stock, orders and sales, as a new plan would propose it (R02-8)."""
    names = _units(units)
    for unit_id in units:
        known = plans.figures(unit_id)
        sheets = list(
            session().scalars(
                select(Product).where(Product.unit_id == unit_id, Product.active).order_by(Product.id)
            )
        )
        called = goods.names_of([one.model_id for one in sheets])
        wanted = select(Supplier.id, Supplier.name).where(Supplier.unit_id == unit_id)
        suppliers = {row.id: row.name for row in session().execute(wanted)}
        for one in sheets:
            found = known.get(one.model_id, plans.Figures())
            count = plans.proposed(one, found)
            if count:
                yield {
                    "product": called[one.model_id],
                    "unit": str(names[unit_id]),
                    "supplier": suppliers.get(one.supplier_id or 0, ""),
                    **found._asdict(),
                    "proposed": count,
                }


REORDER = Report(
    code="store.reorder",
    title=_l("Products to order again"),
    permission=VIEW,
    columns=(
        ReportColumn("product", _l("Product")),
        _UNIT,
        ReportColumn("supplier", _l("Usual supplier")),
        ReportColumn("in_stock", _l("Pieces in stock"), "number"),
        ReportColumn("on_order", _l("On order"), "number"),
        ReportColumn("sold", _l("Will sell"), "number"),
        ReportColumn("proposed", _l("Proposed quantity"), "number", total=True),
    ),
    rows=_reorder,
    group_by=("unit", "supplier"),
    help=_l("What is short by the levels of the product sheets and by what sells."),
)


# --- suppliers -----------------------------------------------------------------------------------


def _suppliers(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List suppliers with their score and what their deliveries of the period were like."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    sums = (
        select(
            Receiving.supplier_id,
            func.count(func.distinct(Receiving.id)),
            func.sum(ReceivingLine.counted),
            func.sum(ReceivingLine.refused),
        )
        .join(ReceivingLine, ReceivingLine.receiving_id == Receiving.id)
        .where(Receiving.unit_id.in_(units), Receiving.checked_at >= start, Receiving.checked_at < end)
        .group_by(Receiving.supplier_id)
    )
    brought = {row[0]: row[1:] for row in session().execute(sums)}
    objections: Counter[int] = Counter()
    told = (
        select(Objection.supplier_id, func.count())
        .join(Record, Record.id == Objection.id)
        .where(Objection.unit_id.in_(units), Record.received_at >= start, Record.received_at < end)
        .where(Record.state != values.CANCELLED, Objection.supplier_id.is_not(None))
        .group_by(Objection.supplier_id)
    )
    for key, count in session().execute(told):
        objections[key or 0] = count
    names = _units(units)
    listed = select(Supplier).join(Supplier.record).where(Supplier.unit_id.in_(units)).order_by(Supplier.name)
    for one in session().scalars(listed):
        deliveries, counted, refused = brought.get(one.id, (0, 0, 0))
        yield {
            "name": one.name,
            "unit": str(names[one.unit_id]),
            "state": str(label_of(values.SUPPLIER_STATES, one.record.state)),
            "score": one.score if one.score is not None else Decimal(0),
            "until": one.qualified_until,
            "deliveries": deliveries,
            "counted": int(counted or 0),
            "refused": int(refused or 0),
            "objections": objections[one.id],
        }


SUPPLIERS = Report(
    code="store.suppliers",
    title=_l("Suppliers and what they delivered"),
    permission=VIEW,
    columns=(
        ReportColumn("name", _l("Supplier")),
        _UNIT,
        ReportColumn("state", _l("State")),
        ReportColumn("score", _l("Score"), "number"),
        ReportColumn("until", _l("Next assessment by"), "date"),
        ReportColumn("deliveries", _l("Deliveries inspected"), "number", total=True),
        ReportColumn("counted", _l("Pieces counted"), "number", total=True),
        ReportColumn("refused", _l("Pieces refused"), "number", total=True),
        ReportColumn("share", _l("Share refused"), "percent", share=("refused", "counted")),
        ReportColumn("objections", _l("Quality objections"), "number", total=True),
    ),
    rows=_suppliers,
    filters=report_periods.fields("year"),
    group_by=("unit", "state"),
    help=_l("By the period in which deliveries were inspected and objections raised."),
)


# --- papers ----------------------------------------------------------------------------------------

DAYS = Field("days", "int", _l("Within days"), default=60, minimum=Decimal(0), maximum=Decimal(3650))


def _papers(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List papers that ran out or will soon, the earliest first."""
    days, today = wanted.get("days"), local_day(units[0])
    until = today + timedelta(days=60 if days is None else int(days))
    found = (
        select(Paper, Release)
        .join(Release, Release.id == Paper.release_id)
        .where(Paper.unit_id.in_(units), Paper.struck_at.is_(None), Paper.valid_until <= until)
        .where(Release.ended_at.is_(None))
        .order_by(Paper.valid_until, Paper.id)
    )
    names = _units(units)
    for paper, release in session().execute(found):
        yield {
            "product": release.record.title,
            "unit": str(names[paper.unit_id]),
            "kind": str(label_of(values.PAPERS, paper.kind)),
            "number": paper.number,
            "valid_until": paper.valid_until,
            "state": _("Run out") if paper.valid_until and paper.valid_until < today else _("Runs out soon"),
        }


PAPERS = Report(
    code="store.papers",
    title=_l("Papers of products that run out"),
    permission=VIEW,
    columns=(
        ReportColumn("product", _l("Product")),
        _UNIT,
        ReportColumn("kind", _l("Kind of paper")),
        ReportColumn("number", _l("Number")),
        ReportColumn("valid_until", _l("Valid until"), "date"),
        ReportColumn("state", _l("State")),
    ),
    rows=_papers,
    filters=(DAYS,),
    group_by=("unit", "kind"),
    help=_l("Papers of products on sale that ran out already, or will within the days named."),
)


# --- receiving by month ------------------------------------------------------------------------------


def _received(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count inspected deliveries and their pieces by month."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    found = (
        select(
            Receiving.unit_id,
            Receiving.id,
            Receiving.checked_at,
            func.sum(ReceivingLine.counted),
            func.sum(ReceivingLine.accepted),
            func.sum(ReceivingLine.refused),
        )
        .join(ReceivingLine, ReceivingLine.receiving_id == Receiving.id)
        .where(Receiving.unit_id.in_(units), Receiving.checked_at >= start, Receiving.checked_at < end)
        .group_by(Receiving.unit_id, Receiving.id, Receiving.checked_at)
    )
    sums: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for unit_id, _key, at, counted, accepted, refused in session().execute(found):
        row = sums[f"{local_day(unit_id, at):%Y-%m}", unit_id]
        row["deliveries"] += 1
        row["counted"] += int(counted or 0)
        row["accepted"] += int(accepted or 0)
        row["refused"] += int(refused or 0)
    names = _units(units)
    for month, unit_id in sorted(sums):
        row = sums[month, unit_id]
        numbers = {name: row[name] for name in ("deliveries", "counted", "accepted", "refused")}
        yield {"month": month, "unit": str(names[unit_id]), **numbers}


RECEIVED = Report(
    code="store.received",
    title=_l("Deliveries inspected by month"),
    permission=VIEW,
    columns=(
        ReportColumn("month", _l("Month")),
        _UNIT,
        ReportColumn("deliveries", _l("Deliveries inspected"), "number", total=True),
        ReportColumn("counted", _l("Pieces counted"), "number", total=True),
        ReportColumn("accepted", _l("Pieces accepted"), "number", total=True),
        ReportColumn("refused", _l("Pieces refused"), "number", total=True),
        ReportColumn("share", _l("Share refused"), "percent", share=("refused", "counted")),
    ),
    rows=_received,
    filters=report_periods.fields("year"),
    group_by=("unit",),
    chart=("month", "counted"),
    help=_l("Inspected deliveries by the month of their inspection, with what was accepted and refused."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [REORDER, SUPPLIERS, PAPERS, RECEIVED]

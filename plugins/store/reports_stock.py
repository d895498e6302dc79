"""Reports of the stock: what is near its last day, what moved in a period, objections by supplier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import Field, Record, Report, ReportColumn, Unit, label_of, local_day, report_periods, session

from . import goods, lots, rights, values
from .models import Lot, Movement, Objection, Supplier

Rows = Iterable[Mapping[str, Any]]
WITHIN = Field(
    "days",
    "int",
    _l("Expires within (days)"),
    minimum=Decimal(0),
    maximum=Decimal(3650),
    help=_l("Leave empty for all"),
)


def _expiry(asked: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Yield the batches in stock with a last day, what expires first first."""
    most = wanted.get("days")
    here = (
        select(Lot)
        .where(Lot.unit_id.in_(asked), Lot.state.in_(lots.IN_STOCK), Lot.last_day.is_not(None))
        .order_by(Lot.last_day, Lot.id)
    )
    rows = session().scalars(here).all()
    names = goods.names_of([one.model_id for one in rows])
    units = {
        one.id: one.name for one in session().scalars(select(Unit).where(Unit.id.in_({r.unit_id for r in rows})))
    }
    for one in rows:
        if one.last_day is None:
            continue
        left = (one.last_day - local_day(one.unit_id)).days
        if most is None or left <= most:
            yield {
                "product": names[one.model_id],
                "batch": one.number,
                "unit": units[one.unit_id],
                "state": str(label_of(values.LOT_STATES, one.state)),
                "last_day": one.last_day,
                "left": left,
                "stock": one.stock,
            }


EXPIRY = Report(
    code="store.expiry",
    title=_l("Batches by their last day of sale"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("product", _l("Product")),
        ReportColumn("batch", _l("Batch")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("state", _l("State")),
        ReportColumn("last_day", _l("Last day of sale"), "date"),
        ReportColumn("left", _l("Days left"), "number"),
        ReportColumn("stock", _l("Pieces in stock"), "number", total=True),
    ),
    rows=_expiry,
    filters=(WITHIN,),
    group_by=("product", "state"),
    help=_l("What is in stock and has a last day; less than nothing left means it has expired."),
)


def _moved(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Yield what moved of each product in a period, by kind of movement."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    found = (
        select(Movement.model_id, Movement.kind, func.sum(Movement.quantity))
        .where(Movement.unit_id.in_(units), Movement.at >= start, Movement.at < end)
        .group_by(Movement.model_id, Movement.kind)
    )
    sums: dict[int, dict[str, int]] = {}
    for model_id, kind, pieces in session().execute(found):
        row = sums.setdefault(model_id, {})
        row[_SHOWN_AS.get(kind, kind)] = row.get(_SHOWN_AS.get(kind, kind), 0) + int(pieces)
    names = goods.names_of(sums)
    for model_id in sorted(sums, key=lambda one: names[one]):
        row = sums[model_id]
        yield {
            "product": names[model_id],
            **{code: abs(row.get(code, 0)) for code in ("received", "out", "back", "off")},
            "count": row.get("count", 0),
        }


_SHOWN_AS = {
    "receive": "received",
    "opening": "received",
    "sell": "out",
    "exchange": "out",
    "use": "out",
    "remove": "off",
    "return": "off",
    "scrap": "off",
}
MOVED = Report(
    code="store.movements",
    title=_l("Movements of stock by product"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("product", _l("Product")),
        ReportColumn("received", _l("Into stock"), "number", total=True),
        ReportColumn("out", _l("Went out"), "number", total=True),
        ReportColumn("back", _l("Pieces taken back"), "number", total=True),
        ReportColumn("off", _l("Sent back or destroyed"), "number", total=True),
        ReportColumn("count", _l("Differences of counts"), "number", total=True),
    ),
    rows=_moved,
    filters=report_periods.fields(),
    chart=("product", "out"),
    help=_l("Pieces of each product that came and went in the period."),
)


def _objected(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Yield the objections of a period by supplier."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    found = (
        select(Objection.supplier_id, func.count(), func.sum(Objection.quantity))
        .join(Record, Record.id == Objection.id)
        .where(Record.unit_id.in_(units), Record.received_at >= start, Record.received_at < end)
        .where(Record.state != values.CANCELLED)
        .group_by(Objection.supplier_id)
    )
    rows = session().execute(found).all()
    keys = [row[0] for row in rows if row[0] is not None]
    names = {one.id: one.name for one in session().scalars(select(Supplier).where(Supplier.id.in_(keys)))}
    for key, count, pieces in rows:
        name = names.get(key or 0) or str(_l("Supplier not known"))
        yield {"supplier": name, "objections": count, "pieces": int(pieces)}


OBJECTED = Report(
    code="store.objections",
    title=_l("Quality objections by supplier"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("supplier", _l("Supplier")),
        ReportColumn("objections", _l("Objections"), "number", total=True),
        ReportColumn("pieces", _l("Pieces"), "number", total=True),
    ),
    rows=_objected,
    filters=report_periods.fields(),
    chart=("supplier", "objections"),
    help=_l("Objections raised in the period, by who brought the goods."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [EXPIRY, MOVED, OBJECTED]

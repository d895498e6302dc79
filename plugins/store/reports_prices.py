"""Reports: prices that changed, differences of stock counts, showroom tasks by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Record, Report, ReportColumn, Unit, label_of, local_day, report_periods, session

from . import goods, values
from .count_flow import DIFFERS
from .models import Lot, Price, PriceLine, Showroom, StockCount, StockCountLine
from .rights import VIEW

Rows = Iterator[Mapping[str, Any]]
_UNIT = ReportColumn("unit", _l("Unit"))


def _units(ids: Sequence[int]) -> Mapping[int, Unit]:
    return {unit.id: unit for unit in session().scalars(select(Unit).where(Unit.id.in_(ids)))}


def _changes(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the prices that began in a period, with what was public before."""
    names = _units(units)
    period = report_periods.of(wanted, units[0])
    found = (
        select(Price, PriceLine.before, Record.number)
        .join(PriceLine, (PriceLine.change_id == Price.change_id) & (PriceLine.model_id == Price.model_id))
        .join(Record, Record.id == Price.change_id)
        .where(Price.unit_id.in_(units), Price.starts_on >= period.first, Price.starts_on <= period.last)
        .order_by(Price.starts_on, Price.id)
    )
    rows = session().execute(found).all()
    called = goods.names_of(row.Price.model_id for row in rows)
    for row in rows:
        yield {
            "product": called.get(row.Price.model_id, ""),
            "unit": str(names[row.Price.unit_id]),
            "starts_on": row.Price.starts_on,
            "before": row.before,
            "price": row.Price.price,
            "number": row.number,
        }


CHANGES = Report(
    code="store.price_changes",
    title=_l("Prices that changed"),
    permission=VIEW,
    columns=(
        ReportColumn("product", _l("Product")),
        _UNIT,
        ReportColumn("starts_on", _l("Begins on"), "date"),
        ReportColumn("before", _l("Price before"), "money"),
        ReportColumn("price", _l("New price"), "money"),
        ReportColumn("number", _l("Price change")),
    ),
    rows=_changes,
    filters=report_periods.fields("year"),
    group_by=("unit",),
    help=_l("Public prices by the day they began (R02-18)."),
)


# --- stock counts --------------------------------------------------------------------------------------


def _differences(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the differences of counts that were closed, by when they were counted."""
    names, period = _units(units), report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    found = (
        select(StockCountLine, Lot, Record.number)
        .join(StockCount, StockCount.id == StockCountLine.count_id)
        .join(Record, Record.id == StockCount.id)
        .join(Lot, Lot.id == StockCountLine.lot_id)
        .where(StockCount.unit_id.in_(units), Record.state == values.CLOSED, DIFFERS)
        .where(StockCount.counted_at >= start, StockCount.counted_at < end)
        .order_by(StockCount.id, StockCountLine.id)
    )
    rows = session().execute(found).all()
    called = goods.names_of(lot.model_id for _line, lot, _number in rows)
    for line, lot, number in rows:
        yield {
            "number": number,
            "product": called.get(lot.model_id, ""),
            "batch": lot.number,
            "unit": str(names[line.unit_id]),
            "expected": line.expected,
            "counted": line.counted,
            "difference": (line.counted or 0) - line.expected,
            "reason": line.reason,
        }


DIFFERENCES = Report(
    code="store.count_differences",
    title=_l("Differences of stock counts"),
    permission=VIEW,
    columns=(
        ReportColumn("number", _l("Stock count")),
        ReportColumn("product", _l("Product")),
        ReportColumn("batch", _l("Batch number")),
        _UNIT,
        ReportColumn("expected", _l("Expected pieces"), "number", total=True),
        ReportColumn("counted", _l("Counted pieces"), "number", total=True),
        ReportColumn("difference", _l("Difference"), "number", total=True),
        ReportColumn("reason", _l("Reason of the difference")),
    ),
    rows=_differences,
    filters=report_periods.fields("year"),
    group_by=("unit", "product"),
    help=_l("What closed stock counts found other than expected (R24-1.9, MD-4)."),
)


# --- the showroom --------------------------------------------------------------------------------------


def _tasks(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List showroom tasks by the day they were due."""
    names, period = _units(units), report_periods.of(wanted, units[0])
    found = (
        select(Showroom)
        .where(Showroom.unit_id.in_(units), Showroom.due_on >= period.first, Showroom.due_on <= period.last)
        .order_by(Showroom.due_on, Showroom.id)
    )
    for one in session().scalars(found):
        late = one.record.category == "open" and one.due_on < local_day(one.unit_id)
        yield {
            "number": one.record.number,
            "kind": str(label_of(values.SHOWROOM_KINDS, one.kind)),
            "text": one.text,
            "unit": str(names[one.unit_id]),
            "due_on": one.due_on,
            "state": str(label_of(values.SHOWROOM_STATES, one.record.state)),
            "late": int(late),
        }


TASKS = Report(
    code="store.showroom",
    title=_l("Showroom tasks"),
    permission=VIEW,
    columns=(
        ReportColumn("number", _l("Number")),
        ReportColumn("kind", _l("Kind of task")),
        ReportColumn("text", _l("What is to be done")),
        _UNIT,
        ReportColumn("due_on", _l("To be done by"), "date"),
        ReportColumn("state", _l("State")),
        ReportColumn("late", _l("Overdue"), "number", total=True),
    ),
    rows=_tasks,
    filters=report_periods.fields("year"),
    group_by=("unit", "kind", "state"),
    help=_l("Tasks of the showroom and of displays by the day they were due (R24-1.4, R24-1.6, R02-14)."),
)


def reports() -> list[Report]:
    """Return them for the hook."""
    return [CHANGES, DIFFERENCES, TASKS]

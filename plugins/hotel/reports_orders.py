"""Reports: work orders, defects that come back, complaints by cause, what inspections found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.sdk import Record, Report, ReportColumn, Unit, label_of, local_day, money_math, report_periods, session

from . import dashboard, days, values
from .models import Complaint, Order
from .rights import VIEW

Rows = Iterator[Mapping[str, Any]]
MOST_REPEATS = 1000


def _names(ids: Sequence[int]) -> Mapping[int, str]:
    return {unit.id: str(unit) for unit in session().scalars(select(Unit).where(Unit.id.in_(ids)))}


def _span(units: Sequence[int], wanted: Mapping[str, Any]) -> tuple[datetime, datetime]:
    return report_periods.moments(report_periods.of(wanted, units[0]), units[0])


def _hours(since: datetime | None, until: datetime | None) -> Decimal | None:
    if since is None or until is None:
        return None
    seconds = Decimal(int((until - since).total_seconds()))
    return (seconds / 3600).quantize(Decimal("0.1"), ROUND_HALF_UP)


# --- work orders -----------------------------------------------------------------------------------


def _orders(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the orders reported in the period, with how long an answer and the repair took."""
    start, end = _span(units, wanted)
    found = (
        select(Order)
        .join(Order.record)
        .where(Order.unit_id.in_(units), Order.reported_at >= start, Order.reported_at < end)
        .where(Record.state != values.CANCELLED)
        .options(joinedload(Order.place), joinedload(Order.record))
        .order_by(Order.reported_at, Order.id)
    )
    names = _names(units)
    for one in session().scalars(found.execution_options(yield_per=500)):
        yield {
            "number": one.record.number,
            "unit": names[one.unit_id],
            "place": one.place.code,
            "category": str(label_of(values.CATEGORIES, one.category)),
            "kind": str(label_of(values.ORDER_KINDS, one.kind)),
            "severity": str(label_of(values.SEVERITIES, one.severity)),
            "source": str(label_of(values.SOURCES, one.source)),
            "day": days.hotel_day(one.unit_id, one.reported_at),
            "answered": _hours(one.reported_at, one.responded_at),
            "repaired": _hours(one.reported_at, one.done_at),
            "redone": one.redone,
            "orders": 1,
            "cost": one.cost or Decimal(0),
        }


ORDERS = Report(
    code="hotel.orders",
    title=_l("Work orders of the hotel"),
    permission=VIEW,
    columns=(
        ReportColumn("number", _l("Number")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("place", _l("Place")),
        ReportColumn("category", _l("Category")),
        ReportColumn("kind", _l("Kind of work")),
        ReportColumn("severity", _l("How serious")),
        ReportColumn("source", _l("Source")),
        ReportColumn("day", _l("Hotel day"), "date"),
        ReportColumn("answered", _l("Answered after (hours)"), "number"),
        ReportColumn("repaired", _l("Done after (hours)"), "number"),
        ReportColumn("redone", _l("Not accepted (times)"), "number", total=True),
        ReportColumn("orders", _l("Work orders"), "number", total=True),
        ReportColumn("cost", _l("Cost (yuan)"), "money", total=True),
    ),
    rows=_orders,
    filters=report_periods.fields(),
    group_by=("unit", "place", "category", "kind", "severity", "source"),
    chart=("kind", "orders"),
    help=_l("Orders reported in the period; cancelled ones are left out."),
)


# --- what comes back -------------------------------------------------------------------------------


def _repeats(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the same defect at the same place, two times or more in the period."""
    start, end = _span(units, wanted)
    count = func.count().label("count")
    found = (
        select(Order.place_id, Order.item_key, count, func.max(Order.id), func.max(Order.reported_at))
        .where(Order.unit_id.in_(units), Order.reported_at >= start, Order.reported_at < end)
        .where(Order.item_key != "")
        .group_by(Order.place_id, Order.item_key)
        .having(func.count() > 1)
        .order_by(count.desc(), func.max(Order.id).desc())
        .limit(MOST_REPEATS)
    )
    rows = session().execute(found).all()
    newest = select(Order).where(Order.id.in_([row[3] for row in rows])).options(joinedload(Order.place))
    known = {one.id: one for one in session().scalars(newest)}
    names = _names(units)
    for _place, _item, number, key, _last in rows:
        one = known[key]
        yield {
            "place": one.place.code,
            "unit": names[one.unit_id],
            "what": str(dashboard.words_of(one)),
            "count": number,
            "last": days.hotel_day(one.unit_id, one.reported_at),
        }


REPEATS = Report(
    code="hotel.repeats",
    title=_l("Defects that come back"),
    permission=VIEW,
    columns=(
        ReportColumn("place", _l("Place")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("what", _l("What is concerned")),
        ReportColumn("count", _l("Number of times"), "number", total=True),
        ReportColumn("last", _l("Last on"), "date"),
    ),
    rows=_repeats,
    filters=report_periods.fields("year"),
    group_by=("unit", "what", "place"),
    chart=("place", "count"),
    help=_l("The same defect at the same place, two times or more in the period."),
)


# --- complaints ------------------------------------------------------------------------------------


def _complaints(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count complaints by month, category and cause, with what they cost."""
    start, end = _span(units, wanted)
    found = (
        select(Complaint.unit_id, Complaint.reported_at, Complaint.category, Complaint.cause, Complaint.amount)
        .join(Record, Record.id == Complaint.id)
        .where(Complaint.unit_id.in_(units), Complaint.reported_at >= start, Complaint.reported_at < end)
        .where(Record.state != values.CANCELLED)
    )
    counts: Counter[tuple[Any, ...]] = Counter()
    money: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for unit_id, at, category, cause, amount in session().execute(found):
        key = (f"{local_day(unit_id, at):%Y-%m}", unit_id, category, cause)
        counts[key] += 1
        money[key] += amount or money_math.ZERO
    names = _names(units)
    for key in sorted(counts):
        month, unit_id, category, cause = key
        yield {
            "month": month,
            "unit": names[unit_id],
            "category": str(label_of(values.CATEGORIES, category)),
            "cause": str(label_of(values.CAUSES, cause)) if cause else _("Not known yet"),
            "count": counts[key],
            "amount": money[key],
        }


COMPLAINTS = Report(
    code="hotel.complaints",
    title=_l("Complaints by cause"),
    permission=VIEW,
    columns=(
        ReportColumn("month", _l("Month")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("category", _l("Category")),
        ReportColumn("cause", _l("Cause")),
        ReportColumn("count", _l("Complaints"), "number", total=True),
        ReportColumn("amount", _l("Compensation (yuan)"), "money", total=True),
    ),
    rows=_complaints,
    filters=report_periods.fields("year"),
    group_by=("month", "unit", "category", "cause"),
    chart=("cause", "count"),
    help=_l("By the month the guest complained in; cancelled ones are left out."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [ORDERS, REPEATS, COMPLAINTS]

"""Reports: food by supplier with what was refused, food samples, meetings by hall."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import case, func, select

from core.sdk import Place, Record, Report, ReportColumn, label_of, report_periods, session

from . import values
from .models import Food, FoodLine, Meeting, Sample
from .rights import VIEW

Rows = Iterator[Mapping[str, Any]]


def _food(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count ingredients received in a period by supplier, and how many of them were refused."""
    start, end = report_periods.moments(report_periods.of(wanted, units[0]), units[0])
    refused = func.sum(case((FoodLine.verdict == values.REFUSED, 1), else_=0))
    found = (
        select(Food.supplier, func.count(func.distinct(Food.id)), func.count(), refused)
        .join(FoodLine, FoodLine.food_id == Food.id)
        .join(Record, Record.id == Food.id)
        .where(Food.unit_id.in_(units), Food.arrived_at >= start, Food.arrived_at < end)
        .where(Record.state != values.CANCELLED)
        .group_by(Food.supplier)
        .order_by(Food.supplier)
    )
    for supplier, receipts, lines, bad in session().execute(found):
        yield {"supplier": supplier, "receipts": receipts, "lines": lines, "refused": int(bad or 0)}


FOOD = Report(
    code="hotel.food",
    title=_l("Food by supplier"),
    permission=VIEW,
    columns=(
        ReportColumn("supplier", _l("Supplier")),
        ReportColumn("receipts", _l("Receipts of food"), "number", total=True),
        ReportColumn("lines", _l("Ingredients"), "number", total=True),
        ReportColumn("refused", _l("Ingredients refused"), "number", total=True),
        ReportColumn("share", _l("Share refused"), "percent", share=("refused", "lines")),
    ),
    rows=_food,
    filters=report_periods.fields(),
    chart=("supplier", "refused"),
    help=_l("What arrived in the period, and what of it R06-13 or the kitchen refused."),
)


def _samples(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count the samples of each hotel day of a period by meal, with the lightest of them."""
    period = report_periods.of(wanted, units[0])
    found = (
        select(Sample.hotel_day, Sample.meal, func.count(), func.min(Sample.grams), func.count(Sample.disposed_at))
        .where(Sample.unit_id.in_(units), Sample.hotel_day >= period.first, Sample.hotel_day <= period.last)
        .group_by(Sample.hotel_day, Sample.meal)
        .order_by(Sample.hotel_day, Sample.meal)
    )
    for day, meal, count, least, gone in session().execute(found):
        named = str(label_of(values.MEALS, meal))
        yield {"day": day.isoformat(), "meal": named, "samples": count, "least": least, "gone": gone}


SAMPLES = Report(
    code="hotel.samples",
    title=_l("Food samples by day and meal"),
    permission=VIEW,
    columns=(
        ReportColumn("day", _l("Hotel day")),
        ReportColumn("meal", _l("Meal")),
        ReportColumn("samples", _l("Food samples"), "number", total=True),
        ReportColumn("least", _l("Lightest (grams)"), "number"),
        ReportColumn("gone", _l("Thrown away"), "number", total=True),
    ),
    rows=_samples,
    filters=report_periods.fields(),
    group_by=("meal",),
    chart=("day", "samples"),
    help=_l("Every meal of every hotel day should have its samples (JD-3)."),
)


def _halls(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count the meetings of a period by hall, with people and hours."""
    start, end = report_periods.moments(report_periods.of(wanted, units[0]), units[0])
    found = (
        select(Meeting.starts_at, Meeting.ends_at, Meeting.people, Place.name)
        .join(Place, Place.id == Meeting.place_id)
        .join(Record, Record.id == Meeting.id)
        .where(Meeting.unit_id.in_(units), Meeting.starts_at >= start, Meeting.starts_at < end)
        .where(Record.state != values.CANCELLED)
    )
    sums: dict[str, dict[str, int]] = {}
    for begins, ends, people, hall in session().execute(found):
        row = sums.setdefault(hall, {"meetings": 0, "people": 0, "minutes": 0})
        row["meetings"] += 1
        row["people"] += people
        row["minutes"] += int((ends - begins).total_seconds() // 60)
    for hall in sorted(sums):
        minutes = sums[hall].pop("minutes")
        yield {"hall": hall, **sums[hall], "hours": (minutes + 30) // 60}


HALLS = Report(
    code="hotel.halls",
    title=_l("Meetings by hall"),
    permission=VIEW,
    columns=(
        ReportColumn("hall", _l("Hall")),
        ReportColumn("meetings", _l("Meetings"), "number", total=True),
        ReportColumn("people", _l("People"), "number", total=True),
        ReportColumn("hours", _l("Hours used"), "number", total=True),
    ),
    rows=_halls,
    filters=report_periods.fields(),
    chart=("hall", "meetings"),
    help=_l("Meetings that began in the period and were not cancelled."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [FOOD, SAMPLES, HALLS]

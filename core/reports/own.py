"""The core's own reports: where cases come from, what is left undone, what is charged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, case, cast, func, select

from core.cases.models import Case
from core.cases.vocabulary import CHANNELS, NATURES, URGENCIES
from core.kernel import clock
from core.kernel.database import session
from core.kernel.extensions import Report, ReportColumn
from core.kernel.fields import Field, label_of
from core.kernel.i18n import current_locale
from core.records.models import CANCELLED, CLOSED, OPEN_CATEGORIES, SOLVED, Record
from core.rules.charge_models import CHARGE_WORDS, PAYERS, POSTED, SETTLED, Charge
from core.units.models import Unit
from core.users.models import User

from . import periods
from .inspections import SCORES

CASE = "case"
Rows = Iterator[Mapping[str, Any]]
# The upper ends of the bands of age, in days: today's, up to 3 days ...
BANDS = ((1, "d1"), (3, "d3"), (7, "d7"), (30, "d30"))
OLDEST = "older"


def _count_if(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _label(choices: Any, code: str) -> str:
    return str(label_of(choices, code)) if code else _("Not classified yet")


# --- where cases come from --------------------------------------------------------------------------


def _sources(units: Sequence[int], values: Mapping[str, Any]) -> Rows:
    """Count the cases received in each month of the period. Months are those of the first unit's zone."""
    for month in periods.of(values, units[0]).months():
        start, end = periods.moments(month, units[0])
        counts = (
            func.count(),
            _count_if(Record.category.in_((SOLVED, CLOSED))),
            _count_if(Record.category == CANCELLED),
            _count_if(Record.category.in_(OPEN_CATEGORIES)),
        )
        found = (
            select(Case.channel, Case.nature, *counts)
            .join(Record, Record.id == Case.id)
            .where(Record.unit_id.in_(units), Record.type == CASE)
            .where(Record.received_at >= start, Record.received_at < end)
            .group_by(Case.channel, Case.nature)
        )
        if values.get("nature"):
            found = found.where(Case.nature == values["nature"])
        order = {code: place for place, (code, _words) in enumerate((*CHANNELS, *NATURES))}
        rows = sorted(session().execute(found).all(), key=lambda r: (order.get(r[0], 99), order.get(r[1], 99)))
        for channel, nature, received, done, cancelled, still in rows:
            yield {
                "month": f"{month.first:%Y-%m}",
                "channel": _label(CHANNELS, channel),
                "nature": _label(NATURES, nature),
                "received": received,
                "done": int(done),
                "cancelled": int(cancelled),
                "open": int(still),
            }


SOURCES = Report(
    code="cases.sources",
    title=_l("Cases by source and category"),
    permission="report.view",
    columns=(
        ReportColumn("month", _l("Month")),
        ReportColumn("channel", _l("Received by")),
        ReportColumn("nature", _l("Category")),
        ReportColumn("received", _l("Cases received"), "number", total=True),
        ReportColumn("done", _l("Finished"), "number", total=True),
        ReportColumn("cancelled", _l("Cancelled"), "number", total=True),
        ReportColumn("open", _l("Still open"), "number", total=True),
        ReportColumn("share", _l("Share finished"), "percent", share=("done", "received")),
    ),
    rows=_sources,
    filters=(*periods.fields(), Field("nature", "choice", _l("Category"), choices=NATURES)),
    group_by=("month", "channel", "nature"),
    chart=("channel", "received"),
    help=_l("Cases received in the period, and how they stand now. Finished: solved, confirmed or closed."),
)


# --- what is left undone ----------------------------------------------------------------------------


def _backlog(units: Sequence[int], values: Mapping[str, Any]) -> Rows:
    now = clock.now()
    bounds = [(now - timedelta(days=days), code) for days, code in BANDS]
    band = case(*((Record.received_at > bound, code) for bound, code in bounds), else_=OLDEST).label("band")
    overdue = _count_if(Record.next_due_at < now)
    unit_name = func.coalesce(func.nullif(Unit.name_en, ""), Unit.name) if current_locale() == "en" else Unit.name
    found = (
        select(Unit.id, unit_name, Record.assignee_id, User.name, band, func.count(), overdue)
        .join(Unit, Unit.id == Record.unit_id)
        .join(Case, Case.id == Record.id)
        .outerjoin(User, User.id == Record.assignee_id)
        .where(Record.unit_id.in_(units), Record.type == CASE, Record.category.in_(OPEN_CATEGORIES))
        .group_by(Unit.id, unit_name, Record.assignee_id, User.name, band)
    )
    for name in ("nature", "urgency"):
        if values.get(name):
            found = found.where(getattr(Case, name) == values[name])
    people: dict[tuple[int, int | None], dict[str, Any]] = {}
    for unit_id, unit, person, name, code, count, late in session().execute(found):
        row = people.setdefault(
            (unit_id, person), {"unit": unit, "assignee": name or _("Nobody yet"), "overdue": 0}
        )
        row[code] = count
        row["overdue"] += int(late)
    codes = [*(code for _days, code in BANDS), OLDEST]
    for row in people.values():
        row["open"] = sum(row.setdefault(code, 0) for code in codes)
    yield from sorted(people.values(), key=lambda row: (row["unit"], -row["open"], row["assignee"]))


BACKLOG = Report(
    code="cases.backlog",
    title=_l("Open cases by age and person"),
    permission="report.view",
    columns=(
        ReportColumn("assignee", _l("Staff member")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("open", _l("Open"), "number", total=True),
        ReportColumn("overdue", _l("Overdue"), "number", total=True),
        ReportColumn("d1", _l("Up to 1 day"), "number", total=True),
        ReportColumn("d3", _l("Up to 3 days"), "number", total=True),
        ReportColumn("d7", _l("Up to 7 days"), "number", total=True),
        ReportColumn("d30", _l("Up to 30 days"), "number", total=True),
        ReportColumn(OLDEST, _l("Older"), "number", total=True),
        ReportColumn("late_share", _l("Share overdue"), "percent", share=("overdue", "open")),
    ),
    rows=_backlog,
    filters=(
        Field("nature", "choice", _l("Category"), choices=NATURES),
        Field("urgency", "choice", _l("Urgency"), choices=URGENCIES),
    ),
    group_by=("unit",),
    chart=("assignee", "open"),
    help=_l("Cases open at this moment, by the days since they were received. Overdue: past a time limit."),
)


# --- what is charged --------------------------------------------------------------------------------


def _charges(units: Sequence[int], values: Mapping[str, Any]) -> Rows:
    period = periods.of(values, units[0])
    states = values.get("state") or (POSTED, SETTLED)
    # Whole cents: SQLite would add decimals as floats.
    cents = cast(func.round(Charge.amount * 100), BigInteger)
    found = (
        select(Charge.month, Charge.payer, Charge.clause, func.count(), func.sum(cents))
        .where(Charge.unit_id.in_(units), Charge.state.in_(states))
        .where(Charge.month >= f"{period.first:%Y-%m}", Charge.month <= f"{period.last:%Y-%m}")
        .group_by(Charge.month, Charge.payer, Charge.clause)
        .order_by(Charge.month, Charge.payer, Charge.clause)
    )
    if values.get("payer"):
        found = found.where(Charge.payer == values["payer"])
    for month, payer, clause, count, total in session().execute(found):
        amount = Decimal(int(total)) / 100
        yield {"month": month, "payer": _label(PAYERS, payer), "clause": clause, "lines": count, "amount": amount}


CHARGES = Report(
    code="charges.months",
    title=_l("Charges by month and payer"),
    permission="charge.view",
    columns=(
        ReportColumn("month", _l("Posting month")),
        ReportColumn("payer", _l("Payer")),
        ReportColumn("clause", _l("Clause")),
        ReportColumn("lines", _l("Lines"), "number", total=True),
        ReportColumn("amount", _l("Amount (yuan)"), "money", total=True),
    ),
    rows=_charges,
    filters=(
        *periods.fields("year"),
        Field("payer", "choice", _l("Payer"), choices=PAYERS),
        Field("state", "many", _l("State"), choices=[one for one in CHARGE_WORDS if one[0] in (POSTED, SETTLED)]),
    ),
    group_by=("month", "payer", "clause"),
    chart=("payer", "amount"),
    help=_l("Lines posted in whole months: the period counts from the month it begins to the month it ends in."),
)

REPORTS = (SOURCES, BACKLOG, CHARGES, SCORES)

"""Reports: fees by class, month and product, what free service costs, and what was waived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, and_, case, cast, func, select
from sqlalchemy.orm import aliased

from core.sdk import (
    Case,
    Charge,
    Field,
    Position,
    Record,
    Report,
    ReportColumn,
    User,
    approvals,
    label_of,
    local_day,
    report_periods,
    session,
)
from plugins.products import services as products

from . import quotes, receipts, rights, values
from .models import Coverage

Rows = Iterator[Mapping[str, Any]]
BOOKED = ("posted", "settled")
COMPANY = "company"
# Who pays a fee; what our own company bears stands in a report of its own.
PAYERS = (
    ("customer", _l("Customer")),
    ("agent", _l("Agent")),
    ("partner", _l("Partner")),
    ("employee", _l("Employee")),
)
NONE = "none"
CLASSES = (
    *((number, _l("Class %(number)s", number=number)) for number in ("4.1", "4.2", "4.3", "4.4")),
    (NONE, _l("Not known")),
)
CLASS = Field("product_class", "choice", _l("Product class"), choices=CLASSES)
WHOLE, PART, ROUNDING = "whole", "part", "rounding"
WAIVER_KINDS = (
    (WHOLE, _l("Served without payment")),
    (PART, _l("Reduction")),
    (ROUNDING, _l("Rounded off")),
)
# Whole cents: SQLite would add decimals as floats.
_CENTS = cast(func.round(Charge.amount * 100), BigInteger)
_CLASS: Any = func.coalesce(func.nullif(Case.product_class, ""), func.nullif(Coverage.product_class, ""), "")
_MODEL = (products.Model.code, products.Model.name)


def _sum(condition: Any, amount: Any) -> Any:
    return func.coalesce(func.sum(case((condition, amount), else_=0)), 0)


def _yuan(cents: Any) -> Decimal:
    return Decimal(int(cents)) / 100


def _with_product(found: Any) -> Any:
    """Join what a charge's record is about: its case, its decision in force, the model of its item."""
    return (
        found.outerjoin(Case, Case.id == Charge.record_id)
        .outerjoin(Coverage, and_(Coverage.record_id == Charge.record_id, Coverage.current))
        .outerjoin(products.ProductRecord, products.ProductRecord.record_id == Charge.record_id)
        .outerjoin(products.Item, products.Item.id == products.ProductRecord.item_id)
        .outerjoin(products.Model, products.Model.id == products.Item.model_id)
    )


def _booked(found: Any, units: Sequence[int], wanted: Mapping[str, Any]) -> Any:
    """Narrow to lines posted in the months of the period, of the class asked for."""
    period = report_periods.of(wanted, units[0])
    found = found.where(Charge.unit_id.in_(units), Charge.state.in_(BOOKED)).where(
        Charge.month >= f"{period.first:%Y-%m}", Charge.month <= f"{period.last:%Y-%m}"
    )
    return _of_class(found, wanted)


def _of_class(found: Any, wanted: Mapping[str, Any]) -> Any:
    chosen = wanted.get("product_class")
    return found.where(("" if chosen == NONE else chosen) == _CLASS) if chosen else found


def _model(code: str | None, name: str | None) -> str:
    return f"{code} {name}".strip() if code else _("Without item")


def _class(number: str) -> str:
    return number or _("Not known")


# --- fees -------------------------------------------------------------------------------------------


def _fees(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    keys = (Charge.month, _CLASS, *_MODEL, Charge.clause, Charge.payer)
    waived = Charge.source.startswith("waiver:", autoescape=True)
    found = select(*keys, func.count(), _sum(~waived, _CENTS), _sum(waived, -_CENTS))
    found = _booked(_with_product(found.select_from(Charge)), units, wanted).where(Charge.payer != COMPANY)
    if wanted.get("payer"):
        found = found.where(Charge.payer == wanted["payer"])
    rows = session().execute(found.group_by(*keys)).all()
    for month, number, code, name, clause, payer, count, charged, less in sorted(rows, key=_in_order):
        yield {
            "month": month,
            "product_class": _class(number),
            "model": _model(code, name),
            "clause": clause,
            "payer": str(label_of(PAYERS, payer)),
            "lines": count,
            "charged": _yuan(charged),
            "waived": _yuan(less),
            "amount": _yuan(charged - less),
        }


def _in_order(row: Any) -> tuple[str, ...]:
    """Databases sort nothing and capital letters differently; the keys of a row are its texts."""
    return tuple(one or "" for one in row if one is None or isinstance(one, str))


FEES = Report(
    code="warranty.fees",
    title=_l("Fees by product class, month and product"),
    permission=rights.MONEY,
    columns=(
        ReportColumn("month", _l("Posting month")),
        ReportColumn("product_class", _l("Product class")),
        ReportColumn("model", _l("Model")),
        ReportColumn("clause", _l("Clause")),
        ReportColumn("payer", _l("Payer")),
        ReportColumn("lines", _l("Number of lines"), "number", total=True),
        ReportColumn("charged", _l("Charged (yuan)"), "money", total=True),
        ReportColumn("waived", _l("Waived (yuan)"), "money", total=True),
        ReportColumn("amount", _l("Amount (yuan)"), "money", total=True),
    ),
    rows=_fees,
    filters=(*report_periods.fields("year"), CLASS, Field("payer", "choice", _l("Payer"), choices=PAYERS)),
    group_by=("product_class", "month", "model", "clause", "payer"),
    chart=("month", "amount"),
    help=_l(
        "Lines posted in whole months that others than our company pay. Corrections count in the month they were"
        " posted in; waivers made before posting stand in the report of waivers."
    ),
)


# --- free service -----------------------------------------------------------------------------------


def _costs(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Sum what our company bears. A case counts once: where its first line of the period stands."""
    lines = select(
        Charge.month.label("month"),
        func.coalesce(Coverage.result, "").label("result"),
        Charge.clause.label("clause"),
        products.Model.code.label("code"),
        products.Model.name.label("name"),
        _CENTS.label("cents"),
        case(
            (Charge.id == func.min(Charge.id).over(partition_by=Charge.record_id), 1),
            else_=0,
        ).label("first"),
    )
    lines = _booked(_with_product(lines.select_from(Charge)), units, wanted).where(Charge.payer == COMPANY)
    if wanted.get("result"):
        lines = lines.where(Coverage.result == wanted["result"])
    line = lines.subquery().c
    keys = (line.month, line.result, line.clause, line.code, line.name)
    found = select(*keys, func.sum(line.first), func.sum(line.cents)).group_by(*keys)
    for month, result, clause, code, name, cases, cents in sorted(session().execute(found), key=_in_order):
        inside = result in values.FREE_RESULTS
        yield {
            "month": month,
            "result": str(label_of(values.RESULTS, result)) if result else _("Not decided"),
            "clause": clause,
            "model": _model(code, name),
            "cases": int(cases),
            "within": int(cases) if inside else 0,
            "out": int(cases) if result and not inside else 0,
            "amount": _yuan(cents),
        }


COSTS = Report(
    code="warranty.costs",
    title=_l("Cost of free service"),
    permission=rights.MONEY,
    columns=(
        ReportColumn("month", _l("Posting month")),
        ReportColumn("result", _l("Coverage")),
        ReportColumn("clause", _l("Clause")),
        ReportColumn("model", _l("Model")),
        ReportColumn("cases", _l("Cases"), "number", total=True),
        ReportColumn("within", _l("In warranty"), "number", total=True),
        ReportColumn("out", _l("Out of warranty"), "number", total=True),
        ReportColumn("amount", _l("Amount (yuan)"), "money", total=True),
        ReportColumn("average", _l("Average per case (yuan)"), "money", share=("amount", "cases")),
    ),
    rows=_costs,
    filters=(
        *report_periods.fields("year"),
        CLASS,
        Field("result", "choice", _l("Coverage"), choices=values.RESULTS),
    ),
    group_by=("result", "clause", "month", "model"),
    chart=("result", "amount"),
    help=_l(
        "What our company bears, in the months the lines were posted. A case counts once, in the row of its first"
        " line; out of warranty are also misuse and classes not covered."
    ),
)


# --- waivers ----------------------------------------------------------------------------------------


def _waivers(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List what was waived in the period, by the day it was done."""
    start, end = report_periods.moments(report_periods.of(wanted, units[0]), units[0])
    asked, by, decider = approvals.Approval, aliased(User), aliased(User)
    line = aliased(Charge)
    found: Any = (
        select(Charge, Record.number, asked, Position, by.name, decider.name, line.amount)
        .join(Record, Record.id == Charge.record_id)
        .join(line, line.id == Charge.adjusts_id)
        .outerjoin(asked, asked.id == Charge.approval_id)
        .outerjoin(Position, Position.code == asked.position)
        .outerjoin(by, by.id == Charge.created_by)
        .outerjoin(decider, decider.id == asked.decided_by)
    )
    found = (
        _with_product(found)
        .where(Charge.unit_id.in_(units), Charge.source.startswith("waiver:", autoescape=True))
        .where(Charge.state != "void", Charge.created_at >= start, Charge.created_at < end)
        .order_by(Charge.created_at, Charge.id)
    )
    found = _of_class(found, wanted)
    if wanted.get("payer"):
        found = found.where(Charge.payer == wanted["payer"])
    for waiver, number, approval, position, name, decided, whole in session().execute(found):
        kind = waiver_kind(waiver, whole, approval.subject if approval is not None else "")
        if wanted.get("kind") and kind != wanted["kind"]:
            continue
        yield {
            "number": number,
            "day": local_day(waiver.unit_id, waiver.created_at),
            "clause": (approval.clause if approval is not None else "") or waiver.clause,
            "kind": str(label_of(WAIVER_KINDS, kind)),
            "by": _agreed_by(position, decided or name),
            "reason": waiver.reason,
            "waived": Decimal(0) if kind == ROUNDING else -waiver.amount,
            ROUNDING: -waiver.amount if kind == ROUNDING else Decimal(0),
        }


def waiver_kind(waiver: Charge, whole: Decimal, subject: str) -> str:
    """Say what a waiver was, by what was agreed to: a payment rounded off, service without payment, a reduction."""
    if subject.startswith(f"{receipts.ROUNDING}:"):
        return ROUNDING
    if subject.startswith(f"{quotes.WAIVER_SUBJECT}:"):
        return WHOLE
    return WHOLE if -waiver.amount >= whole else PART


def _agreed_by(position: Position | None, name: str | None) -> str:
    if position is None:
        return name or _("Not known")
    return _("%(name)s (%(position)s)", name=name or _("Not known"), position=str(position))


WAIVERS = Report(
    code="warranty.waivers",
    title=_l("Waivers and reductions of fees"),
    permission=rights.MONEY,
    columns=(
        ReportColumn("number", _l("Record")),
        ReportColumn("day", _l("Day of the waiver"), "date"),
        ReportColumn("kind", _l("Kind of waiver")),
        ReportColumn("clause", _l("Clause")),
        ReportColumn("by", _l("Agreed by")),
        ReportColumn("reason", _l("Reason")),
        ReportColumn("waived", _l("Waived (yuan)"), "money", total=True),
        ReportColumn(ROUNDING, _l("Rounded off (yuan)"), "money", total=True),
    ),
    rows=_waivers,
    filters=(
        *report_periods.fields("year"),
        CLASS,
        Field("payer", "choice", _l("Payer"), choices=PAYERS),
        Field("kind", "choice", _l("Kind of waiver"), choices=WAIVER_KINDS),
    ),
    group_by=("kind", "by", "clause"),
    chart=("by", "waived"),
    help=_l(
        "Every waiver by the day it was made, posted or not, with who agreed to it and the clause; waivers of lines"
        " that were taken back are left out."
    ),
)


def reports() -> list[Report]:
    """Return them for the hook."""
    return [FEES, COSTS, WAIVERS]

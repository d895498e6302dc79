"""Reports: who holds what, losses and compensation, loans overdue, tools by age, purchases."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import case, func, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Charge,
    Field,
    Record,
    Report,
    ReportColumn,
    Unit,
    add_months,
    clock,
    effective,
    label_of,
    local_day,
    money_math,
    report_periods,
    session,
)

from . import parties, purchase, rights, values
from .models import Custody, Incident, Kind, Party, Purchase, PurchaseLine, Tool

Rows = Iterator[Mapping[str, Any]]
LIFE_CLAUSE = "R35-5.3"
_HOLDERS = tuple(one for one in values.PARTY_KINDS if one[0] != values.SCRAP)
HOLDER = Field("holder", "choice", _l("Held by"), choices=_HOLDERS)
# Whole cents: SQLite would add decimals as floats.
_VALUE = func.coalesce(func.sum(money_math.cents(func.coalesce(Tool.price, 0))), 0)
_yuan = money_math.from_cents


def _units(ids: Sequence[int]) -> Mapping[int, Unit]:
    return {unit.id: unit for unit in session().scalars(select(Unit).where(Unit.id.in_(ids)))}


# --- custody by department and person ---------------------------------------------------------------


def _custody(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count what every holder has now, by the ledger."""
    late = case((Tool.due_at < clock.now(), 1), else_=0)
    found = (
        select(Custody.party_id, Record.state, func.count(), func.sum(late), _VALUE)
        .join(Tool, Tool.id == Custody.tool_id)
        .join(Record, Record.id == Tool.id)
        .where(Custody.unit_id.in_(units), Custody.ends_at.is_(None), Record.state.in_(values.IN_HANDS))
        .group_by(Custody.party_id, Record.state)
    )
    sums: dict[int, dict[str, Any]] = {}
    for party_id, state, count, overdue, cents in session().execute(found):
        row = sums.setdefault(party_id, {**_NO_TOOLS, "value": Decimal(0)})
        row["tools"] += count
        row["overdue"] += int(overdue)
        row["value"] += _yuan(cents)
        if state in row:
            row[state] += count
    names = _units(units)
    for party in _holders(units, wanted.get("holder")):
        if party.id in sums:
            yield {
                "name": str(parties.party_name(party)),
                "holder": str(label_of(values.PARTY_KINDS, party.kind)),
                "unit": str(names[party.unit_id]),
                **sums[party.id],
            }


_STATES = (values.IN_STORE, values.ISSUED, values.ON_LOAN, values.DEFECTIVE, values.LOST)
_NO_TOOLS = dict.fromkeys(("tools", "overdue", *_STATES), 0)


def _holders(units: Sequence[int], kind: str | None) -> Sequence[Party]:
    listed = select(Party).where(Party.unit_id.in_(units)).options(joinedload(Party.user))
    if kind:
        listed = listed.where(Party.kind == kind)
    return session().scalars(listed.order_by(Party.kind, Party.name, Party.id)).all()


CUSTODY = Report(
    code="tools.custody",
    title=_l("Tools by holder"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("name", _l("Held by")),
        ReportColumn("holder", _l("What it is")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("tools", _l("Number of tools"), "number", total=True),
        ReportColumn(values.IN_STORE, _l("In the store"), "number", total=True),
        ReportColumn(values.ISSUED, _l("Issued to a person"), "number", total=True),
        ReportColumn(values.ON_LOAN, _l("On loan"), "number", total=True),
        ReportColumn("overdue", _l("Overdue"), "number", total=True),
        ReportColumn(values.DEFECTIVE, _l("Defective"), "number", total=True),
        ReportColumn(values.LOST, _l("Lost"), "number", total=True),
        ReportColumn("value", _l("Original price (yuan)"), "money", total=True),
    ),
    rows=_custody,
    filters=(HOLDER,),
    group_by=("holder", "unit"),
    chart=("name", "tools"),
    help=_l("What every store, person and department holds at this moment, by the custody ledger."),
)


# --- losses and compensation --------------------------------------------------------------------------


def _losses(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """Count incidents by the month they happened in, with what is owed and what was settled because of them."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    happened = (
        select(Incident.id, Incident.unit_id, Incident.kind, Incident.happened_at)
        .join(Record, Record.id == Incident.id)
        .where(Incident.unit_id.in_(units), Incident.happened_at >= start, Incident.happened_at < end)
        .where(Record.state != values.CANCELLED)
    )
    counts: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    month_of: dict[int, tuple[int, str]] = {}
    for key, unit_id, kind, at in session().execute(happened):
        place = unit_id, f"{local_day(unit_id, at):%Y-%m}"
        counts[place][kind] += 1
        month_of[key] = place
    owed: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    for key, state, cents in _charged(units, start, end):
        if key in month_of:
            owed[month_of[key]][_SHOWN_AS.get(state, state)] += int(cents)
    names = _units(units)
    for unit_id, month in sorted(counts, key=lambda one: (one[1], one[0])):
        found, sums = counts[unit_id, month], owed[unit_id, month]
        yield {
            "month": month,
            "unit": str(names[unit_id]),
            **{kind: found[kind] for kind, _words in values.INCIDENT_KINDS},
            **{state: _yuan(sums[state]) for state, _words in _CHARGE_STATES},
        }


_CHARGE_STATES = (
    ("proposed", _l("Proposed (yuan)")),
    ("posted", _l("Posted (yuan)")),
    ("settled", _l("Settled (yuan)")),
)
# What is not posted yet is still a proposal.
_SHOWN_AS = {"quoted": "proposed", "consented": "proposed"}


def _charged(units: Sequence[int], start: Any, end: Any) -> Any:
    found = (
        select(Charge.record_id, Charge.state, func.sum(money_math.cents(Charge.amount)))
        .join(Incident, Incident.id == Charge.record_id)
        .where(Incident.unit_id.in_(units), Incident.happened_at >= start, Incident.happened_at < end)
        .group_by(Charge.record_id, Charge.state)
    )
    return session().execute(found)


LOSSES = Report(
    code="tools.losses",
    title=_l("Losses and compensation by month"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("month", _l("Month")),
        ReportColumn("unit", _l("Unit")),
        *(ReportColumn(code, words, "number", total=True) for code, words in values.INCIDENT_KINDS),
        *(ReportColumn(code, words, "money", total=True) for code, words in _CHARGE_STATES),
    ),
    rows=_losses,
    filters=report_periods.fields("year"),
    group_by=("unit",),
    chart=("month", values.LOSS),
    help=_l("Incidents by the month they happened in, and the compensation that came of them as it stands now."),
)


# --- loans overdue ------------------------------------------------------------------------------------


def _overdue(units: Sequence[int], _wanted: Mapping[str, Any]) -> Rows:
    """List what was to be back by now, the longest overdue first."""
    now = clock.now()
    found = (
        select(Tool, Party)
        .join(Custody, Custody.tool_id == Tool.id)
        .join(Party, Party.id == Custody.party_id)
        .where(Tool.unit_id.in_(units), Tool.due_at < now, Custody.ends_at.is_(None))
        .options(joinedload(Tool.kind), joinedload(Party.user))
        .order_by(Tool.due_at, Tool.id)
    )
    names = _units(units)
    for tool, party in session().execute(found):
        yield {
            "tool": f"{tool.code} {tool.name}",
            "unit": str(names[tool.unit_id]),
            "kind": tool.kind.name,
            "holder": str(parties.party_name(party)),
            "lent_at": tool.lent_at,
            "due_at": tool.due_at,
            "days": (now - (tool.due_at or now)).days,
            "price": tool.price,
        }


OVERDUE = Report(
    code="tools.overdue",
    title=_l("Tools not brought back in time"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("tool", _l("Tool")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("kind", _l("Kind of tool")),
        ReportColumn("holder", _l("Held by")),
        ReportColumn("lent_at", _l("Since"), "moment"),
        ReportColumn("due_at", _l("Back by"), "moment"),
        ReportColumn("days", _l("Days overdue"), "number"),
        ReportColumn("price", _l("Original price (yuan)"), "money", total=True),
    ),
    rows=_overdue,
    group_by=("holder", "kind", "unit"),
    help=_l("Loans and tools taken for a job whose time has passed, with whoever holds them."),
)


# --- age ------------------------------------------------------------------------------------------------

# Up to so many years old: column and heading.
_AGES = (("young", 1, _l("Under a year")), ("middle", 3, _l("1 to 3 years")), ("old", 0, _l("3 years and more")))


def _ages(units: Sequence[int], _wanted: Mapping[str, Any]) -> Rows:
    """Count the tools on the books by kind and asset class, by how long ago they were bought."""
    sums: dict[tuple[int, int, str], Counter[str]] = defaultdict(Counter)
    days = {unit_id: local_day(unit_id) for unit_id in units}
    lives = {unit_id: int(effective(unit_id, LIFE_CLAUSE).values["life"]) for unit_id in units}
    for unit_id, kind_id, asset, bought, own_life, price, kind_life in _on_books(units):
        row = sums[unit_id, kind_id, asset]
        row["tools"] += 1
        row["cents"] += int((price or 0) * 100)
        row[_age(bought, days[unit_id])] += 1
        life = next((one for one in (own_life, kind_life) if one is not None), lives[unit_id])
        if bought is not None and life and add_months(bought, life) <= days[unit_id]:
            row["over"] += 1
    names = _units(units)
    kinds = select(Kind).where(Kind.id.in_({key[1] for key in sums})).order_by(Kind.name, Kind.id)
    for kind in session().scalars(kinds):
        for unit_id, kind_id, asset in sorted(key for key in sums if key[1] == kind.id):
            row = sums[unit_id, kind_id, asset]
            yield {
                "kind": kind.name,
                "unit": str(names[unit_id]),
                "category": str(label_of(values.CATEGORIES, kind.category)),
                "asset": str(label_of(values.ASSET_CLASSES, asset)) if asset else _("Not classed"),
                **{name: row[name] for name in ("tools", "unknown", "over", *(code for code, _y, _w in _AGES))},
                "value": _yuan(row["cents"]),
            }


def _on_books(units: Sequence[int]) -> Any:
    found = (
        select(
            Tool.unit_id,
            Tool.kind_id,
            Tool.asset_class,
            Tool.bought_on,
            Tool.life_months,
            Tool.price,
            Kind.life_months,
        )
        .join(Record, Record.id == Tool.id)
        .join(Kind, Kind.id == Tool.kind_id)
        .where(Tool.unit_id.in_(units), Record.state.in_(values.IN_HANDS))
    )
    return session().execute(found)


def _age(bought: date | None, today: date) -> str:
    if bought is None:
        return "unknown"
    return next(code for code, years, _words in _AGES if not years or bought > add_months(today, -12 * years))


AGES = Report(
    code="tools.ages",
    title=_l("Tools by age and class"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("kind", _l("Kind of tool")),
        ReportColumn("unit", _l("Unit")),
        ReportColumn("category", _l("Category")),
        ReportColumn("asset", _l("Asset class")),
        ReportColumn("tools", _l("Number of tools"), "number", total=True),
        *(ReportColumn(code, words, "number", total=True) for code, _years, words in _AGES),
        ReportColumn("unknown", _l("Age unknown"), "number", total=True),
        ReportColumn("over", _l("Service life over"), "number", total=True),
        ReportColumn("over_share", _l("Share past its life"), "percent", share=("over", "tools")),
        ReportColumn("value", _l("Original price (yuan)"), "money", total=True),
    ),
    rows=_ages,
    group_by=("category", "asset", "unit"),
    chart=("kind", "tools"),
    help=_l(
        "Tools on the books, by the day they were bought. The service life is the tool's own, its kind's or the"
        " clause's."
    ),
)


# --- purchase -------------------------------------------------------------------------------------------


def _purchases(units: Sequence[int], wanted: Mapping[str, Any]) -> Rows:
    """List the lines of the plans drafted in the period."""
    period = report_periods.of(wanted, units[0])
    start, end = report_periods.moments(period, units[0])
    found = (
        select(PurchaseLine, Purchase, Record)
        .join(Purchase, Purchase.id == PurchaseLine.purchase_id)
        .join(Record, Record.id == Purchase.id)
        .where(Record.unit_id.in_(units), Record.type == purchase.CODE)
        .where(Record.received_at >= start, Record.received_at < end, Record.state != values.CANCELLED)
        .options(joinedload(PurchaseLine.kind))
        .order_by(Purchase.id, PurchaseLine.id)
    )
    for line, plan, record in session().execute(found):
        price = line.price or Decimal(0)
        yield {
            "plan": record.number,
            "sort": str(label_of(values.PURCHASE_KINDS, plan.kind)),
            "state": str(label_of(values.PURCHASE_STATES, record.state)),
            "kind": line.kind.name,
            "supplier": plan.supplier,
            "ordered_on": plan.ordered_on,
            "quantity": line.quantity,
            "received": line.received,
            "amount": money_math.times(Decimal(line.quantity), price),
            "came": money_math.times(Decimal(line.received), price),
        }


PURCHASES = Report(
    code="tools.purchases",
    title=_l("Purchases of tools"),
    permission=rights.VIEW,
    columns=(
        ReportColumn("plan", _l("Purchase plan")),
        ReportColumn("sort", _l("Kind")),
        ReportColumn("state", _l("State")),
        ReportColumn("kind", _l("Kind of tool")),
        ReportColumn("supplier", _l("Supplier")),
        ReportColumn("ordered_on", _l("Ordered on"), "date"),
        ReportColumn("quantity", _l("Quantity"), "number", total=True),
        ReportColumn("received", _l("Quantity received"), "number", total=True),
        ReportColumn("amount", _l("Planned (yuan)"), "money", total=True),
        ReportColumn("came", _l("Of it received (yuan)"), "money", total=True),
    ),
    rows=_purchases,
    filters=report_periods.fields("year"),
    group_by=("kind", "supplier", "state", "sort"),
    chart=("kind", "amount"),
    help=_l("Plans drafted in the period, line by line, at the planned prices; cancelled ones are left out."),
)


def reports() -> list[Report]:
    """Return the reports."""
    return [CUSTODY, LOSSES, OVERDUE, AGES, PURCHASES]

"""Losses and wear of a month per kind (R35-4.9), and what to buy: up to the least stock and the standard sets.

The figures come from the timelines of the tools and the moves of small parts; nothing of them is stored.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Fact,
    InvalidData,
    Record,
    Refusal,
    Refused,
    accounts,
    add_months,
    effective,
    holds,
    local_day,
    money_math,
    notify,
    report_periods,
    require,
    session,
    transaction,
)

from . import purchase, stock, values
from .models import Custody, Kind, Kit, KitLine, Party, Purchase, PurchaseLine, Stock, StockMove, Tool
from .rights import BUY, VIEW

MONTH_CLAUSE = purchase.MONTH_CLAUSE
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
# Facts of a tool that count, and the figure each counts for.
_FIGURES = {
    "lost": "lost",
    "found": "found",
    "defect_reported": "defective",
    "retired": "worn",
    "disposed": "scrapped",
}
# Of the reasons to retire a tool those that are wear.
_WEAR = ("life", "worn", "irreparable")
_OPEN_PLANS = (values.DRAFT, values.PRICED, values.APPROVED, values.ORDERED)
_ZERO = Decimal(0)


@dataclass
class Row:
    """What became of a kind in a month, what there is, and what is wanted.

    ``used`` is what was used up of small parts, ``short`` what counts found less. ``coming`` stands on open plans,
    ``sets`` is missing to the standard sets of the people who have one. ``wear`` is expected to go.
    """

    kind: Kind
    figures: Counter[str] = field(default_factory=Counter)
    used: Decimal = _ZERO
    short: Decimal = _ZERO
    in_stores: Decimal = _ZERO
    coming: Decimal = _ZERO
    sets: Decimal = _ZERO
    wear: Decimal = _ZERO

    @property
    def missing(self) -> int:
        """How many are to be bought: whole ones, never less than none."""
        wanted = self.kind.low_stock + self.sets + self.wear - self.in_stores - self.coming
        return max(0, int(wanted.to_integral_value(ROUND_CEILING)))

    @property
    def happened(self) -> bool:
        """Tell whether anything of the kind was lost, worn, broken or used up."""
        return bool(any(self.figures.values()) or self.used or self.short)


# --- the figures ---------------------------------------------------------------------------------


def read_month(unit_id: int, text: Any) -> str:
    """Return a month such as ``2026-11`` that has begun in the unit.

    Raises:
        InvalidData: under ``month``.
    """
    month = str(text or "").strip()
    if not _MONTH.fullmatch(month):
        raise InvalidData({"month": _l("Please enter a month such as 2026-11")})
    if month > f"{local_day(unit_id):%Y-%m}":
        raise InvalidData({"month": _l("This month lies in the future")})
    return month


def of_month(unit_id: int, month: str) -> list[Row]:
    """Return the figures of a month for every kind in use, by name (permission ``VIEW``).

    Raises:
        NotAllowed, InvalidData: no month that has begun.
    """
    require(VIEW, unit_id)
    first = date.fromisoformat(f"{read_month(unit_id, month)}-01")
    return _rows(unit_id, first, add_months(first, 1) - timedelta(days=1))


def of_year(unit_id: int, year: int) -> list[Row]:
    """Return the figures of a year as far as it has gone, for every kind in use (permission ``VIEW``)."""
    require(VIEW, unit_id)
    return _rows(unit_id, date(year, 1, 1), date(year, 12, 31))


def _rows(unit_id: int, first: date, last: date) -> list[Row]:
    kinds = select(Kind).where(Kind.unit_id == unit_id, Kind.active).order_by(Kind.name, Kind.id)
    rows = {kind.id: Row(kind) for kind in session().scalars(kinds)}
    start, end = report_periods.moments(report_periods.Period(first, last), unit_id)
    for kind_id, figures in losses([unit_id], start, end).items():
        if kind_id in rows:
            rows[kind_id].figures = figures
    for kind_id, used, short in used_up([unit_id], start, end):
        if kind_id in rows:
            rows[kind_id].used, rows[kind_id].short = used, short
    for name, found in (
        ("in_stores", _in_stores(unit_id)),
        ("coming", _coming(unit_id)),
        ("sets", _sets(unit_id)),
    ):
        for kind_id, quantity in found.items():
            if kind_id in rows:
                setattr(rows[kind_id], name, quantity)
    return list(rows.values())


def losses(unit_ids: Sequence[int], start: Any, end: Any) -> dict[int, Counter[str]]:
    """Return how many tools of each kind were lost, found, defective, worn, disposed of, by kind id."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    wanted = (
        select(Tool.kind_id, Fact.kind, Fact.data)
        .join(Tool, Tool.id == Fact.record_id)
        .where(Fact.unit_id.in_(unit_ids), Fact.kind.in_(_FIGURES), Fact.at >= start, Fact.at < end)
    )
    for kind_id, fact, data in session().execute(wanted):
        if fact != "retired" or (data or {}).get("why") in _WEAR:
            found[kind_id][_FIGURES[fact]] += 1
    return found


def used_up(unit_ids: Sequence[int], start: Any, end: Any) -> Iterable[tuple[int, Decimal, Decimal]]:
    """Yield for each kind (id, quantity used up, quantity that counts found less)."""
    found: dict[int, dict[str, Decimal]] = defaultdict(dict)
    wanted = (
        select(StockMove.kind_id, StockMove.why, func.sum(_hundredths(StockMove.quantity)))
        .where(StockMove.unit_id.in_(unit_ids), StockMove.taker_id.is_(None))
        .where(StockMove.at >= start, StockMove.at < end, StockMove.why.in_((stock.USED, stock.COUNTED)))
        .group_by(StockMove.kind_id, StockMove.why)
    )
    for kind_id, why, total in session().execute(wanted):
        found[kind_id][why] = _from_hundredths(total)
    for kind_id, by_why in found.items():
        yield kind_id, by_why.get(stock.USED, _ZERO), by_why.get(stock.COUNTED, _ZERO)


def _hundredths(column: Any) -> Any:
    """Whole hundredths: SQLite would add decimals as floats."""
    return money_math.cents(column)


def _from_hundredths(found: Any) -> Decimal:
    return Decimal(int(found or 0)).scaleb(-2)


# --- what there is, and what is wanted ------------------------------------------------------------


def _in_stores(unit_id: int) -> Mapping[int, Decimal]:
    """Return what stores can give out: sound tools, those that wait for acceptance, small parts."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    tools = (
        select(Tool.kind_id, func.count())
        .join(Custody, Custody.tool_id == Tool.id)
        .join(Party, Party.id == Custody.party_id)
        .join(Record, Record.id == Tool.id)
        .where(Tool.unit_id == unit_id, Custody.ends_at.is_(None), Party.kind == values.STORE)
        .where(Record.state.in_((values.NEW, values.IN_STORE)))
        .group_by(Tool.kind_id)
    )
    for kind_id, count in session().execute(tools):
        found[kind_id] += count
    parts = (
        select(Stock.kind_id, func.sum(_hundredths(Stock.quantity)))
        .join(Party, Party.id == Stock.party_id)
        .where(Stock.unit_id == unit_id, Party.kind == values.STORE)
        .group_by(Stock.kind_id)
    )
    for kind_id, total in session().execute(parts):
        found[kind_id] += _from_hundredths(total)
    return found


def _coming(unit_id: int) -> Mapping[int, Decimal]:
    """Return what stands on plans that are under way and has not come yet."""
    wanted = (
        select(PurchaseLine.kind_id, func.sum(PurchaseLine.quantity - PurchaseLine.received))
        .join(Purchase, Purchase.id == PurchaseLine.purchase_id)
        .join(Record, Record.id == Purchase.id)
        .where(Purchase.unit_id == unit_id, Record.state.in_(_OPEN_PLANS))
        .group_by(PurchaseLine.kind_id)
    )
    return {row[0]: Decimal(int(row[1])) for row in session().execute(wanted)}


def _sets(unit_id: int) -> Mapping[int, Decimal]:
    """Return what is missing to the standard sets (R35-4.1) of the people who have at least one piece of it."""
    pieces = dict(_standard(unit_id))
    if not pieces:
        return {}
    held = _held_of_standard(unit_id, list(pieces))
    missing: dict[int, Decimal] = defaultdict(Decimal)
    for mine in held.values():
        for kind_id, wanted in pieces.items():
            missing[kind_id] += max(_ZERO, wanted - mine.get(kind_id, _ZERO))
    return missing


def _standard(unit_id: int) -> Iterable[tuple[int, Decimal]]:
    """Yield what the standard set holds of each kind; of several the larger number counts."""
    wanted = (
        select(KitLine.kind_id, func.max(KitLine.quantity))
        .join(Kit, Kit.id == KitLine.kit_id)
        .where(Kit.unit_id == unit_id, Kit.standard, Kit.active)
        .group_by(KitLine.kind_id)
    )
    for kind_id, quantity in session().execute(wanted):
        yield kind_id, Decimal(quantity)


def _held_of_standard(unit_id: int, kind_ids: list[int]) -> Mapping[int, Mapping[int, Decimal]]:
    """Return by person's party what they have of the kinds of the set; what is lost or defective does not count."""
    found: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    useless = (values.LOST, values.DEFECTIVE, values.RETIRED)
    tools = (
        select(Custody.party_id, Tool.kind_id, Record.state, func.count())
        .join(Tool, Tool.id == Custody.tool_id)
        .join(Party, Party.id == Custody.party_id)
        .join(Record, Record.id == Tool.id)
        .where(Party.unit_id == unit_id, Party.kind == values.PERSON, Party.active)
        .where(Custody.ends_at.is_(None), Tool.kind_id.in_(kind_ids))
        .group_by(Custody.party_id, Tool.kind_id, Record.state)
    )
    for party_id, kind_id, state, count in session().execute(tools):
        # Whoever lost their only piece has a set with nothing left of it.
        found[party_id][kind_id] += 0 if state in useless else count
    parts = select(Stock.party_id, Stock.kind_id, Stock.quantity).where(
        Stock.party_id.in_(list(found)), Stock.kind_id.in_(kind_ids)
    )
    if found:
        for party_id, kind_id, quantity in session().execute(parts):
            found[party_id][kind_id] += quantity
    return found


# --- what is proposed ----------------------------------------------------------------------------


def proposal(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the lines of a plan that buys what is missing, at the usual price or the last one paid."""
    wanted = [row for row in rows if row.missing]
    paid = _last_prices([row.kind.id for row in wanted if row.kind.price is None])
    return [
        {
            "kind": str(row.kind.id),
            "quantity": row.missing,
            "price": row.kind.price if row.kind.price is not None else paid.get(row.kind.id),
            "reason": _why(row),
        }
        for row in wanted
    ]


def _last_prices(kind_ids: list[int]) -> Mapping[int, Decimal | None]:
    if not kind_ids:
        return {}
    latest = (
        select(func.max(Tool.id)).where(Tool.kind_id.in_(kind_ids), Tool.price.is_not(None)).group_by(Tool.kind_id)
    )
    wanted = select(Tool.kind_id, Tool.price).where(Tool.id.in_(latest))
    return {row[0]: row[1] for row in session().execute(wanted)}


def _why(row: Row) -> str:
    """Say what a line makes up for."""
    gone = sum(row.figures[name] for name in ("lost", "worn", "scrapped")) - row.figures["found"]
    return str(
        _(
            "In the stores %(there)s, at least %(least)s; missing to sets %(sets)s; lost or worn %(gone)s",
            there=stock.plain_number(row.in_stores),
            least=row.kind.low_stock,
            sets=stock.plain_number(row.sets),
            gone=max(gone, 0),
        )
    )


def submit(unit_id: int, month: Any) -> Record | None:
    """Report a month's losses and wear to the manager: the plan that makes up for them (R35-4.9; ``BUY``).

    The month's open task is finished. None: nothing is missing, there is nothing to buy.

    Raises:
        NotAllowed, InvalidData: no month that has begun. Refused: it was reported already.
    """
    require(BUY, unit_id)
    month = read_month(unit_id, month)
    with transaction():
        before = purchase.plan_of(unit_id, values.MONTHLY, month)
        if before is not None:
            text = _l("%(month)s was reported already: %(number)s", month=month, number=before.number)
            raise Refused([Refusal("reported", text, MONTH_CLAUSE)])
        lines = proposal(of_month(unit_id, month))
        if not lines:
            purchase.finish_task(unit_id, MONTH_CLAUSE, str(_("%(month)s: nothing to be bought", month=month)))
            return None
        raw = {"kind": values.MONTHLY, "period": month, "lines": lines}
        record = purchase.register(unit_id, raw)
        purchase.finish_task(unit_id, MONTH_CLAUSE, str(_("Purchase plan %(number)s", number=record.number)))
        _tell_manager(record)
        return record


def draft_year(unit_id: int, year: int) -> Record:
    """Draft the plan of a year (R32-2.1; ``BUY``): what is missing, and what the last twelve months took.

    Raises:
        NotAllowed. Refused: there is one already, or nothing to plan.
    """
    require(BUY, unit_id)
    today, period = local_day(unit_id), f"{year:04d}"
    with transaction():
        purchase.require_only(unit_id, values.YEARLY, period)
        lines = proposal([_with_wear(row) for row in _rows(unit_id, add_months(today, -12), today)])
        if not lines:
            raise Refused([Refusal("nothing", _l("Nothing is missing and nothing was used up"))])
        return purchase.register(unit_id, {"kind": values.YEARLY, "period": period, "lines": lines})


def _with_wear(row: Row) -> Row:
    """Count what twelve months took as wanted for the twelve to come."""
    gone = sum(row.figures[name] for name in ("lost", "worn")) - row.figures["found"]
    return replace(row, wear=max(gone, 0) + row.used + row.short)


def _tell_manager(record: Record) -> None:
    """Tell whoever approves the month's purchase (the clause's position) that it is there."""
    if not holds(record.unit_id, MONTH_CLAUSE):
        return
    position = str(effective(record.unit_id, MONTH_CLAUSE).values.get("position") or "")
    if position:
        notify(record, "routed", [key for key, _name in accounts.holders(position, record.unit_id)])

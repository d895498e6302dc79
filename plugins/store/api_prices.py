"""API: public prices, price changes, showroom tasks, stock counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Field, Record, session

from . import goods, prices, showroom, stock_counts
from .models import Lot, Price, PriceChange, PriceLine, Showroom, StockCount, StockCountLine
from .rights import DISPLAY, PRICE, STOCK, VIEW

# What one call says of a count under way: a batch counted.
_SAID = tuple(
    Field(one.name, one.kind, one.label, minimum=one.minimum, maximum=one.maximum, max_length=one.max_length)
    for one in stock_counts.LINE_FIELDS
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_prices(), _changes(), _showroom(), _counts(), _count_lines()]


def _heads(rows: Sequence[Any]) -> dict[int, dict[str, Any]]:
    """Return number and state of records by id, in one select for a page."""
    wanted = select(Record.id, Record.number, Record.state).where(Record.id.in_([row.id for row in rows]))
    return {row.id: {"id": row.id, "number": row.number, "state": row.state} for row in session().execute(wanted)}


# --- prices ------------------------------------------------------------------------------------------


def _prices() -> ApiResource:
    return ApiResource(
        path="prices",
        title=_l("Prices of the store"),
        model=Price,
        permission=VIEW,
        read={
            "id": "integer",
            "product": "string",
            "price": "money",
            "starts_on": "date",
            "published_at": "moment",
            "change": "integer",
        },
        show=_show_prices,
        filters={"model": Price.model_id, "change": Price.change_id},
    )


def _show_prices(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    codes = _codes(rows)
    return [
        {
            **{name: getattr(row, name) for name in ("id", "price", "starts_on", "published_at")},
            "product": codes.get(row.model_id, ""),
            "change": row.change_id,
        }
        for row in rows
    ]


def _codes(rows: Sequence[Any]) -> dict[int, str]:
    return goods.codes_of(rows[0].unit_id, [row.model_id for row in rows]) if rows else {}


def _changes() -> ApiResource:
    return ApiResource(
        path="price-changes",
        title=_l("Price changes"),
        model=PriceChange,
        permission=VIEW,
        write_permission=PRICE,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "starts_on": "date",
            "reason": "string",
            "approved_at": "moment",
            "lines": "objects",
        },
        show=_show_changes,
        fields=prices.FIELDS,
        create=lambda unit_id, given: session().get_one(PriceChange, prices.register(unit_id, given).id),
        change=_change_prices,
    )


def _change_prices(row: PriceChange, given: Mapping[str, Any]) -> PriceChange:
    prices.change(row.id, given)
    return row


def _show_changes(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, lines = _heads(rows), defaultdict(list)
    wanted = select(PriceLine).where(PriceLine.change_id.in_([row.id for row in rows])).order_by(PriceLine.id)
    found = list(session().scalars(wanted))
    codes = _codes(found)
    for one in found:
        line = {"product": codes.get(one.model_id, ""), "before": one.before, "price": one.price}
        lines[one.change_id].append(line)
    return [
        {
            **heads[row.id],
            **{name: getattr(row, name) for name in ("starts_on", "reason", "approved_at")},
            "lines": lines[row.id],
        }
        for row in rows
    ]


# --- the showroom --------------------------------------------------------------------------------------


def _showroom() -> ApiResource:
    fields = tuple(
        Field(one.name, one.kind, one.label, one.required, one.choices, max_length=one.max_length)
        for one in showroom.FIELDS
    )
    return ApiResource(
        path="showroom",
        title=_l("Showroom tasks"),
        model=Showroom,
        permission=VIEW,
        write_permission=DISPLAY,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "kind": "string",
            "place": "integer",
            "text": "string",
            "clause": "string",
            "starts_on": "date",
            "due_on": "date",
            "result": "string",
        },
        show=_show_tasks,
        filters={"kind": Showroom.kind},
        fields=fields,
        create=lambda unit_id, given: session().get_one(Showroom, showroom.register(unit_id, given).id),
    )


def _show_tasks(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, plain = _heads(rows), ("kind", "text", "clause", "starts_on", "due_on", "result")
    return [
        {**heads[row.id], **{name: getattr(row, name) for name in plain}, "place": row.place_id} for row in rows
    ]


# --- stock counts --------------------------------------------------------------------------------------


def _counts() -> ApiResource:
    return ApiResource(
        path="counts",
        title=_l("Stock counts"),
        model=StockCount,
        permission=VIEW,
        write_permission=STOCK,
        read={
            "id": "integer",
            "number": "string",
            "state": "string",
            "place": "integer",
            "begun_at": "moment",
            "counted_at": "moment",
            "lines": "integer",
            "counted": "integer",
            "differences": "integer",
        },
        show=_show_counts,
        fields=(Field("place_id", "text", stock_counts.FIELDS[0].label), *_SAID),
        create=lambda unit_id, given: stock_counts.get(stock_counts.begin(unit_id, given).id),
        change=_say,
    )


def _say(row: StockCount, given: Mapping[str, Any]) -> StockCount:
    stock_counts.count_one(row.id, {one.name: given.get(one.name) for one in _SAID})
    return row


def _show_counts(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, numbers = _heads(rows), stock_counts.progress([row.id for row in rows])
    found: list[Mapping[str, Any]] = []
    for row in rows:
        whole, done, differing = numbers.get(row.id, (0, 0, 0))
        plain = {"place": row.place_id, "begun_at": row.begun_at, "counted_at": row.counted_at}
        found.append({**heads[row.id], **plain, "lines": whole, "counted": done, "differences": differing})
    return found


def _count_lines() -> ApiResource:
    return ApiResource(
        path="count-lines",
        title=_l("Lines of stock counts"),
        model=StockCountLine,
        permission=VIEW,
        read={
            "id": "integer",
            "count": "integer",
            "lot": "integer",
            "batch": "string",
            "product": "string",
            "expected": "integer",
            "counted": "integer",
            "reason": "string",
            "counted_at": "moment",
        },
        show=_show_lines,
        filters={"count": StockCountLine.count_id},
    )


def _show_lines(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    wanted = select(Lot).where(Lot.id.in_({row.lot_id for row in rows}))
    held = {one.id: one for one in session().scalars(wanted)}
    codes = _codes(list(held.values()))
    return [
        {
            **{name: getattr(row, name) for name in ("id", "expected", "counted", "reason", "counted_at")},
            "count": row.count_id,
            "lot": row.lot_id,
            "batch": held[row.lot_id].number,
            "product": codes.get(held[row.lot_id].model_id, ""),
        }
        for row in rows
    ]

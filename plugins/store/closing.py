"""What is still open in a shop: before the store is switched off in a unit, and when somebody leaves it."""

from __future__ import annotations

from flask import has_request_context
from flask_babel import gettext as _
from sqlalchemy import func, select

from core.sdk import Blocker, OpenItem, Record, Unit, session
from core.sdk_web import page_url

from . import count_flow, lots, objections, orders, prices, receiving, removals, stock_counts
from .models import Lot, StockCountLine
from .values import COUNTING

# What is begun and ends; suppliers and releases stay on file for years.
BEGUN = (orders.ORDER_TYPE, receiving.TYPE, objections.TYPE, removals.TYPE, prices.TYPE, stock_counts.TYPE)
MOST_ITEMS = 50


def unit_disabling(unit: Unit) -> list[Blocker]:
    """Say what would be left lying: goods in stock, what was begun and has not ended."""
    there = select(Lot.id).where(Lot.unit_id == unit.id, Lot.state.in_(lots.IN_STOCK), Lot.stock > 0).limit(1)
    said = [_("Goods are still in stock")] if session().scalar(there) is not None else []
    wanted = (
        select(Record.type, func.count())
        .where(Record.unit_id == unit.id, Record.category == "open", Record.type.in_([one.code for one in BEGUN]))
        .group_by(Record.type)
    )
    numbers = {row[0]: row[1] for row in session().execute(wanted)}
    said += [
        _("%(what)s: %(count)d open", what=one.title, count=numbers[one.code])
        for one in BEGUN
        if one.code in numbers
    ]
    return [Blocker(text) for text in said]


def open_items(unit: Unit, user_id: int) -> list[OpenItem]:
    """Return the stock counts somebody has counted in that are not signed yet."""
    mine = select(StockCountLine.count_id).where(
        StockCountLine.count_id == Record.id, StockCountLine.counted_by == user_id
    )
    wanted = (
        select(Record)
        .where(Record.unit_id == unit.id, Record.type == count_flow.CODE, Record.state == COUNTING, mine.exists())
        .order_by(Record.id)
        .limit(MOST_ITEMS)
    )
    return [
        OpenItem(
            _("Stock count %(number)s is not signed", number=one.number),
            page_url("record.page", record_id=one.id) if has_request_context() else "",
        )
        for one in session().scalars(wanted)
    ]

"""Boxes on the pages of price changes, showroom tasks and stock counts; the tiles of the dashboard."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select

from core.sdk import Panel, Record, Tile, detail_of, label_of, local_day, may, places, session

from . import goods, price_flow, showroom, stock_counts, values
from .models import PriceChange, Showroom, StockCount
from .rights import DISPLAY, PRICE, STOCK, VIEW

CAP = 99


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page."""
    made = _BOXES.get(record.type)
    if made is None or not may(VIEW, record.unit_id):
        return []
    detail = detail_of(record)
    return [made(record, detail)] if detail is not None else []


def _prices(record: Record, detail: PriceChange) -> Panel:
    lines = price_flow.lines_of(record.id)
    changes = record.state == values.DRAFT and may(PRICE, record.unit_id)
    context = {
        "detail": detail,
        "lines": lines,
        "names": goods.names_of(one.model_id for one in lines),
        "edit_url": url_for("store_price_changes.edit_view", id=record.id) if changes else "",
    }
    return Panel("store_prices", _l("New prices"), "store/price_panel.html", context, 5)


def _showroom(record: Record, detail: Showroom) -> Panel:
    context = {
        "detail": detail,
        "kind": label_of(values.SHOWROOM_KINDS, detail.kind),
        "place": places.full_names(record.unit_id, [detail.place_id]).get(detail.place_id or 0, ""),
    }
    return Panel("store_showroom", _l("Showroom task"), "store/showroom_panel.html", context, 5)


def _count(record: Record, detail: StockCount) -> Panel:
    whole, done, differing = stock_counts.progress([record.id]).get(record.id, (0, 0, 0))
    counts, explains = record.state == values.COUNTING, record.state == values.COUNTED
    mine = may(STOCK, record.unit_id)
    context = {
        "detail": detail,
        "place": places.full_names(record.unit_id, [detail.place_id]).get(detail.place_id or 0, ""),
        "whole": whole,
        "done": done,
        "differing": differing,
        "lines": stock_counts.different(record.id),
        "count_url": url_for("store.count", count_id=record.id) if counts and mine else "",
        "explain_url": _explain_url(record) if explains and mine else None,
    }
    return Panel("store_count", _l("Stock count"), "store/count_panel.html", context, 5)


def _explain_url(record: Record) -> Any:
    return lambda line: url_for("store.count_reason", count_id=record.id, line_id=line.id)


_BOXES: dict[str, Any] = {price_flow.CODE: _prices, showroom.CODE: _showroom, stock_counts.CODE: _count}


def tiles(unit: Any, _actor_id: int) -> list[Tile]:
    """Return the numbers for the dashboard: prices to agree to, late showroom tasks, counts to decide."""
    found = []
    if may(PRICE, unit.id):
        url = url_for("store_price_changes.index_view", quick="open")
        open_ones = _capped(_records(unit.id, price_flow.CODE, values.DRAFT))
        found.append(Tile("store_price_changes", _l("Price changes to be agreed to"), open_ones, url, "warn"))
    if may(DISPLAY, unit.id):
        url = url_for("store_showroom.index_view", quick="late")
        late = select(Showroom.id).join(Showroom.record).where(showroom.overdue(unit.id, local_day(unit.id)))
        found.append(Tile("store_showroom", _l("Showroom tasks overdue"), _capped(late), url, "bad"))
    if may(STOCK, unit.id):
        url = url_for("store_counts.index_view", quick="to_decide")
        counted = _capped(_records(unit.id, stock_counts.CODE, values.COUNTED))
        found.append(Tile("store_counts", _l("Stock counts to be decided"), counted, url, "warn"))
    return [one for one in found if one.value]


def _records(unit_id: int, code: str, state: str) -> Select[Any]:
    return select(Record.id).where(Record.unit_id == unit_id, Record.type == code, Record.state == state)


def _capped(wanted: Select[Any]) -> int:
    return session().scalar(select(func.count()).select_from(wanted.limit(CAP).subquery())) or 0

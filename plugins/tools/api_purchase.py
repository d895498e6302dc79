"""API: purchase plans and stock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import ApiResource, Record, session

from . import parties, purchase, stock
from .models import Kind, Party, Purchase, PurchaseLine, Stock, StockMove
from .rights import BUY, KEEP, VIEW


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_purchases(), _stock(), _moves()]


def _purchases() -> ApiResource:
    return ApiResource(
        path="purchases",
        title=_l("Purchase plans"),
        model=Purchase,
        permission=VIEW,
        write_permission=BUY,
        read={
            "id": "integer",
            "number": "string",
            "kind": "string",
            "period": "string",
            "state": "string",
            "reason": "string",
            "budget": "money",
            "supplier": "string",
            "ordered_on": "date",
            "application": "integer",
            "lines": "objects",
        },
        show=_show_purchases,
        filters={"kind": Purchase.kind, "period": Purchase.period},
        fields=purchase.FIELDS,
        create=_create,
        change=_change,
    )


def _show_purchases(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("id", "kind", "period", "reason", "budget", "supplier", "ordered_on")
    keys = [row.id for row in rows]
    heads = {one.id: one for one in session().scalars(select(Record).where(Record.id.in_(keys)))}
    lines: dict[int, list[PurchaseLine]] = defaultdict(list)
    wanted = select(PurchaseLine).where(PurchaseLine.purchase_id.in_(keys)).options(joinedload(PurchaseLine.kind))
    for one in session().scalars(wanted.order_by(PurchaseLine.id)):
        lines[one.purchase_id].append(one)
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "application": row.application_id,
            "lines": [_line(one) for one in lines[row.id]],
        }
        for row in rows
    ]


def _line(line: PurchaseLine) -> dict[str, Any]:
    plain = ("id", "what", "quantity", "price", "quote", "received", "reason")
    return {**{name: getattr(line, name) for name in plain}, "kind": line.kind.code}


def _create(unit_id: int, given: Mapping[str, Any]) -> Purchase:
    made = purchase.register(unit_id, given)
    return session().get_one(Purchase, made.id)


def _change(row: Purchase, given: Mapping[str, Any]) -> Purchase:
    kept = purchase.form_values(row)
    purchase.change(row.id, {**kept, **given})
    return row


def _stock() -> ApiResource:
    return ApiResource(
        path="stock",
        title=_l("Stock of small parts"),
        model=Stock,
        permission=VIEW,
        read={"id": "integer", "party": "integer", "holder": "string", "kind": "string", "quantity": "number"},
        show=_show_stock,
        filters={"party": Stock.party_id},
    )


def _show_stock(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    kinds, holders = _kinds(row.kind_id for row in rows), _parties(row.party_id for row in rows)
    return [
        {
            "id": row.id,
            "party": row.party_id,
            "holder": str(parties.party_name(holders[row.party_id])),
            "kind": kinds[row.kind_id].code,
            "quantity": stock.as_number(row.quantity),
        }
        for row in rows
    ]


def _moves() -> ApiResource:
    return ApiResource(
        path="stock-moves",
        title=_l("Moves of small parts"),
        model=StockMove,
        permission=VIEW,
        write_permission=KEEP,
        read={
            "id": "integer",
            "kind": "string",
            "giver": "integer",
            "taker": "integer",
            "quantity": "number",
            "why": "string",
            "at": "moment",
            "handover": "integer",
            "note": "string",
        },
        show=_show_moves,
        filters={"why": StockMove.why, "handover": StockMove.handover_id},
        fields=stock.USE_FIELDS,
        create=stock.use_up,
    )


def _show_moves(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    kinds = _kinds(row.kind_id for row in rows)
    return [
        {
            **{name: getattr(row, name) for name in ("id", "why", "at", "note")},
            "quantity": stock.as_number(row.quantity),
            "kind": kinds[row.kind_id].code,
            "giver": row.giver_id,
            "taker": row.taker_id,
            "handover": row.handover_id,
        }
        for row in rows
    ]


def _kinds(ids: Any) -> dict[int, Kind]:
    return {one.id: one for one in session().scalars(select(Kind).where(Kind.id.in_(set(ids))))}


def _parties(ids: Any) -> dict[int, Party]:
    wanted = select(Party).where(Party.id.in_(set(ids))).options(joinedload(Party.user))
    return {one.id: one for one in session().scalars(wanted)}

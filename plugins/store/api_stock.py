"""API: may it be sold (``check``), batches in stock, their movements, outgoing goods, objections, removals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, or_, select

from core.sdk import ApiResource, Record, fetch, read_id, scan, session
from plugins.products import services as products

from . import finding, goods, issues, lots, objections, removals, standing, values
from .models import Issue, Lot, Movement, Objection, Product, Removal
from .rights import QUALITY, SELL, STOCK, VIEW

_LOT = ("number", "made_on", "shelf_days", "best_before", "last_day", "state", "stock", "held", "place_id")
_LOT_KINDS = {
    "number": "string",
    "model_id": "integer",
    "model": "string",
    "made_on": "date",
    "shelf_days": "integer",
    "best_before": "date",
    "last_day": "date",
    "state": "string",
    "stock": "integer",
    "held": "integer",
    "place_id": "integer",
    "supplier_id": "integer",
}


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_check(), _lots(), _movements(), _issues(), _objections(), _removals()]


def by_code(statement: Select[Any], code: str) -> Select[Any]:
    """Narrow lots to what a scanned code means: our label, a batch number, a bar code, a model."""
    plain = scan.understand(code).ours or code.strip()
    if plain.startswith(f"{finding.LABEL}~"):
        return statement.where(Lot.id == (read_id(plain.partition("~")[2]) or 0))
    model = products.Model
    barcode = select(Product.model_id).where(
        Product.unit_id == Lot.unit_id, Product.barcode == goods.tidy_code(plain)
    )
    called = select(model.id).where(model.unit_id == Lot.unit_id, func.lower(model.code) == plain.lower())
    return statement.where(
        Lot.state.in_(lots.IN_STOCK),
        or_(Lot.number == plain, Lot.model_id.in_(barcode), Lot.model_id.in_(called)),
    )


def _check() -> ApiResource:
    return ApiResource(
        path="check",
        title=_l("May it be sold"),
        model=Lot,
        permission=VIEW,
        read={
            "number": "string",
            "model": "string",
            "sellable": "boolean",
            "free": "integer",
            "price": "money",
            "last_day": "date",
            "refusals": "objects",
        },
        show=_show_check,
        filters={"code": by_code},
    )


def _show_check(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    seen: dict[int, standing.Standing] = {}
    for unit_id in sorted({one.unit_id for one in rows}):
        seen |= standing.of(unit_id, [one for one in rows if one.unit_id == unit_id])
    found: list[Mapping[str, Any]] = []
    for one in rows:
        refusals = lots.reasons(seen[one.id])
        found.append(
            {
                "number": one.number,
                "model": seen[one.id].name,
                "sellable": not refusals,
                "free": max(seen[one.id].free, 0),
                "price": seen[one.id].price,
                "last_day": one.last_day,
                "refusals": [{"code": r.code, "text": str(r.text), "clause": r.clause} for r in refusals],
            }
        )
    return found


def _lots() -> ApiResource:
    return ApiResource(
        path="lots",
        title=_l("Batches in stock"),
        model=Lot,
        permission=VIEW,
        read=_LOT_KINDS,
        show=_show_lots,
        filters={
            "number": Lot.number,
            "model_id": Lot.model_id,
            "state": Lot.state,
            "supplier_id": Lot.supplier_id,
            "batch_id": Lot.batch_id,
        },
    )


def _show_lots(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names = goods.names_of([one.model_id for one in rows])
    return [
        {
            **{name: getattr(one, name) for name in (*_LOT, "model_id", "supplier_id")},
            "model": names[one.model_id],
        }
        for one in rows
    ]


def _movements() -> ApiResource:
    plain = ("lot_id", "seq", "kind", "quantity", "stock", "at", "record_id")
    return ApiResource(
        path="movements",
        title=_l("Movements of stock"),
        model=Movement,
        permission=VIEW,
        read={
            **dict.fromkeys(plain, "integer"),
            "kind": "string",
            "at": "moment",
        },
        show=lambda rows: [{name: getattr(one, name) for name in plain} for one in rows],
        filters={"lot_id": Movement.lot_id, "model_id": Movement.model_id, "record_id": Movement.record_id},
    )


def _heads(rows: Sequence[Any]) -> dict[int, Record]:
    wanted = select(Record).where(Record.id.in_([one.id for one in rows]))
    return {one.id: one for one in session().scalars(wanted)} if rows else {}


def _issues() -> ApiResource:
    return ApiResource(
        path="issues",
        title=_l("Outgoing goods"),
        model=Issue,
        permission=VIEW,
        write_permission=SELL,
        read={
            "number": "string",
            "kind": "string",
            "state": "string",
            "receipt": "string",
            "at": "moment",
            "lines": "objects",
        },
        show=_show_issues,
        filters={"kind": Issue.kind, "receipt": Issue.receipt},
        fields=[replace(issues.FIELDS[0], default=values.SALE), *issues.FIELDS[1:]],
        create=lambda unit_id, given: fetch(Issue, issues.register(unit_id, given).id),
    )


def _show_issues(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads, lines = _heads(rows), issues.lines_of_many([one.id for one in rows])
    return [
        {
            "number": heads[one.id].number,
            "kind": one.kind,
            "state": heads[one.id].state,
            "receipt": one.receipt,
            "at": heads[one.id].received_at,
            "lines": [
                {
                    "id": line.id,
                    "lot_id": line.lot_id,
                    "quantity": line.quantity,
                    "price": None if line.price is None else str(line.price),
                    "taken_back": line.taken_back,
                }
                for line in lines.get(one.id, ())
            ],
        }
        for one in rows
    ]


def _objections() -> ApiResource:
    plain = ("lot_id", "model_id", "supplier_id", "quantity", "found_at", "problem", "decision", "outcome")
    return ApiResource(
        path="objections",
        title=_l("Quality objections"),
        model=Objection,
        permission=VIEW,
        write_permission=QUALITY,
        read={
            **dict.fromkeys(plain, "string"),
            **dict.fromkeys(plain[:4], "integer"),
            "number": "string",
            "state": "string",
        },
        show=lambda rows: _with_heads(rows, plain),
        filters={"lot_id": Objection.lot_id, "supplier_id": Objection.supplier_id, "decision": Objection.decision},
        fields=objections.FIELDS,
        create=lambda unit_id, given: fetch(Objection, objections.register(unit_id, given).id),
    )


def _removals() -> ApiResource:
    plain = ("lot_id", "removed", "reason", "removed_to", "due_on", "ended_at")
    return ApiResource(
        path="removals",
        title=_l("Removals from the shelf"),
        model=Removal,
        permission=VIEW,
        write_permission=STOCK,
        read={
            "lot_id": "integer",
            "removed": "integer",
            "reason": "string",
            "removed_to": "string",
            "due_on": "date",
            "ended_at": "moment",
            "number": "string",
            "state": "string",
        },
        show=lambda rows: _with_heads(rows, plain),
        filters={"lot_id": Removal.lot_id, "reason": Removal.reason},
        fields=removals.FIELDS,
        create=lambda unit_id, given: fetch(Removal, removals.register(unit_id, given).id),
    )


def _with_heads(rows: Sequence[Any], plain: Sequence[str]) -> list[Mapping[str, Any]]:
    heads = _heads(rows)
    return [
        {
            **{name: getattr(one, name) for name in plain},
            "number": heads[one.id].number,
            "state": heads[one.id].state,
        }
        for one in rows
    ]

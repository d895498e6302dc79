"""Tracing (R02-10): from a batch back to its supplier and delivery, and forward to everybody who got some of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.sdk import Customer, Record, fetch, may, require, session

from . import goods, objections, removals, stopping
from .lots import movements
from .models import Lot, Movement, Objection, Removal, Supplier
from .rights import VIEW

SHOWN = 200


def lot_of(raw_id: object) -> Lot:
    """Return a lot by an id from a request (permission ``VIEW``).

    Raises:
        NotFound: none of the units where the actor sees goods. NotAllowed.
    """
    found = fetch(Lot, raw_id)
    require(VIEW, found.unit_id)
    return found


@dataclass(frozen=True)
class Quality:
    """The quality file of a lot (产品质量档案): where it came from, how it moved, who has it."""

    lot: Lot
    name: str
    supplier: Supplier | None
    delivery: Record | None
    moved: Sequence[Movement]
    buyers: Sequence[stopping.Buyer]
    objections: Sequence[Objection]
    removals: Sequence[Removal]


def of_lot(lot: Lot) -> Quality:
    """Gather the quality file of a lot; buyers only for who may see customers."""
    supplier = session().get(Supplier, lot.supplier_id) if lot.supplier_id is not None else None
    delivery = session().get(Record, lot.receiving_id) if lot.receiving_id is not None else None
    return Quality(
        lot=lot,
        name=goods.names_of([lot.model_id]).get(lot.model_id, ""),
        supplier=supplier,
        delivery=delivery,
        moved=movements(lot.id),
        buyers=stopping.buyers([lot.id]),
        objections=objections.of_lot(lot.id),
        removals=removals.of_lot(lot.id),
    )


def names_shown(unit_id: int) -> bool:
    """Tell whether the actor may see who the buyers are."""
    return may("customer.view", unit_id)


@dataclass(frozen=True)
class Bought:
    """Pieces of a lot that went to a customer, or came back (then more than nothing)."""

    at: datetime
    lot: Lot
    quantity: int
    record_id: int | None
    name: str


def of_customer(customer: Customer, limit: int = SHOWN) -> list[Bought]:
    """Return what a customer got and brought back, the latest first."""
    wanted = (
        select(Movement, Lot)
        .join(Lot, Lot.id == Movement.lot_id)
        .where(Movement.customer_id == customer.id, Movement.unit_id == customer.unit_id)
        .order_by(Movement.at.desc(), Movement.id.desc())
        .limit(limit)
    )
    rows: Sequence[Any] = session().execute(wanted).all()
    names = goods.names_of([lot.model_id for _moved, lot in rows])
    return [Bought(moved.at, lot, moved.quantity, moved.record_id, names[lot.model_id]) for moved, lot in rows]


def lots_by_id(ids: Sequence[int]) -> Sequence[Lot]:
    """Return lots by their ids, in one select."""
    return session().scalars(select(Lot).where(Lot.id.in_(set(ids)))).all() if ids else []

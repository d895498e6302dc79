"""A stopped batch in the store (R09-5.2.4c, D13): held at once, to be sealed, and everybody who got some of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select

from core.sdk import Customer, Record, current_scope, enabled_plugins, session
from plugins.products import services as products

from . import lots, removals, values
from .models import Issue, IssueLine, Lot, Receiving, ReceivingLine
from .rights import STOCK

SHOWN = 500


def follow(batch: Any) -> None:
    """Hold what is here of a batch that was stopped and ask for it to be sealed; or let it stand as before.

    In the transaction of who stopped it, so nothing of it is sold meanwhile. Nothing where the store is off.
    """
    if "store" not in enabled_plugins(batch.unit_id):
        return
    changed = lots.follow_batch(batch)
    if batch.held_at is not None:
        removals.for_stopped(changed, _permission(batch.unit_id))


def _permission(unit_id: int) -> str:
    """The actor's own permission by which the tasks follow: they keep stock, or decided on the batch."""
    return STOCK if current_scope().may(STOCK, unit_id) else "products.quality"


def connect() -> None:
    """Ask the product file to tell of stopped batches; again changes nothing."""
    products.on_batch_stopped(follow)


class Buyer(NamedTuple):
    """Somebody who got pieces of a batch: still out are those not taken back. ``customer`` None: not on file."""

    record: Record
    lot_id: int
    kind: str
    pieces: int
    phone: str
    customer: Customer | None


def buyers(lot_ids: Sequence[int], limit: int = SHOWN) -> list[Buyer]:
    """Return who got pieces of lots that are still out, the latest first; own use is left out."""
    if not lot_ids:
        return []
    out = IssueLine.quantity - IssueLine.taken_back
    wanted = (
        select(IssueLine.lot_id, out, Issue, Record, Customer)
        .join(Issue, Issue.id == IssueLine.issue_id)
        .join(Record, Record.id == Issue.id)
        .outerjoin(Customer, Customer.id == Record.customer_id)
        .where(IssueLine.lot_id.in_(lot_ids), out > 0, Issue.kind != values.USE)
        .order_by(IssueLine.id.desc())
        .limit(limit)
    )
    rows = session().execute(wanted).all()
    return [Buyer(row[3], row[0], row[2].kind, row[1], row[2].phone, row[4]) for row in rows]


def lots_of(batch_id: int) -> Sequence[Lot]:
    """Return the lots of a batch of the product file."""
    return session().scalars(select(Lot).where(Lot.batch_id == batch_id).order_by(Lot.id)).all()


class Coming(NamedTuple):
    """Pieces of a batch that are on their way."""

    record: Record
    pieces: int


def coming(unit_id: int, model_id: int, number: str, limit: int = SHOWN) -> list[Coming]:
    """Return the deliveries that are expected or not inspected yet and bring pieces of a batch."""
    if not number:
        return []
    wanted = (
        select(Record.id, func.sum(ReceivingLine.expected))
        .join(Receiving, Receiving.id == Record.id)
        .join(ReceivingLine, ReceivingLine.receiving_id == Receiving.id)
        .where(Record.unit_id == unit_id, Record.state.in_((values.EXPECTED, values.RECEIVED)))
        .where(ReceivingLine.model_id == model_id, ReceivingLine.batch == number)
        .group_by(Record.id)
        .order_by(Record.id)
        .limit(limit)
    )
    pieces = {row[0]: int(row[1]) for row in session().execute(wanted)}
    heads = session().scalars(select(Record).where(Record.id.in_(pieces)).order_by(Record.id)) if pieces else ()
    return [Coming(one, pieces[one.id]) for one in heads]

"""How a batch in stock stands on a day: everything the clauses look at before it is sold or put on the shelf."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Refusal, Refused, holds, local_day, require_clause, session
from plugins.products import services as products

from . import goods, releases, values
from .models import Lot, Price

# The steps of the gate rules: pieces go out; a batch is put on the shelf.
SELL, SHELF = "store.sell", "store.put_on_sale"
STOP_CLAUSE = "R09-5.2.4c"


@dataclass(frozen=True)
class Standing:
    """A lot as the gates see it. ``quantity`` pieces are wanted for ``kind``; prices in yuan, days of the unit."""

    lot: Lot
    day: date
    quantity: int = 1
    kind: str = values.SALE
    name: str = ""
    dated: bool = False
    not_released: Any = None  # why the product may not be sold (R02-4)
    price: Decimal | None = None
    batch: str = ""
    held_on: date | None = None  # the day the batch was stopped
    hold_reason: str = ""

    @property
    def for_people(self) -> bool:
        """Whether the pieces go to somebody outside, not into the store's own use."""
        return self.kind != values.USE

    @property
    def free(self) -> int:
        """The pieces that no objection keeps."""
        return self.lot.stock - self.lot.held

    @property
    def over(self) -> bool:
        """Whether the last day of sale has passed."""
        return self.lot.last_day is not None and self.lot.last_day < self.day


def of(
    unit_id: int,
    lots: Iterable[Lot],
    *,
    kind: str = values.SALE,
    quantities: Mapping[int, int] | None = None,
    batches: Mapping[int, Any] | None = None,
    day: date | None = None,
) -> dict[int, Standing]:
    """Return how lots of a unit stand today by lot id; a few selects for any number of lots.

    ``batches``: those already locked, so that they are not read again.
    """
    rows, day = list(lots), day or local_day(unit_id)
    models = {one.model_id for one in rows}
    wanted = {one.batch_id for one in rows if one.batch_id is not None}
    if batches is None:
        batches = batches_of(wanted)
    released, prices = releases.not_released(unit_id, models, day), prices_on(unit_id, models, day)
    sheets, names = goods.sheets_of(unit_id, models), goods.names_of(models)
    found = {}
    for lot in rows:
        batch, sheet = batches.get(lot.batch_id or 0), sheets.get(lot.model_id)
        found[lot.id] = Standing(
            lot=lot,
            day=day,
            quantity=(quantities or {}).get(lot.id, 1),
            kind=kind,
            name=names.get(lot.model_id, ""),
            dated=sheet is not None and (sheet.dated or sheet.shelf_days is not None),
            not_released=released.get(lot.model_id),
            price=prices.get(lot.model_id),
            batch=batch.number if batch is not None else lot.number,
            held_on=local_day(unit_id, batch.held_at) if batch is not None and batch.held_at else None,
            hold_reason=batch.hold_reason if batch is not None and batch.held_at else "",
        )
    return found


def batches_of(ids: Iterable[int]) -> dict[int, Any]:
    """Return batches of the product file by id, in one select."""
    keys = set(ids)
    if not keys:
        return {}
    return {one.id: one for one in session().scalars(select(products.Batch).where(products.Batch.id.in_(keys)))}


def prices_on(unit_id: int, model_ids: Iterable[int], day: date) -> dict[int, Decimal]:
    """Return the public price of products on a day by model: of all that had begun the newest counts."""
    keys = set(model_ids)
    if not keys:
        return {}
    wanted = (
        select(Price.model_id, Price.price)
        .where(Price.unit_id == unit_id, Price.model_id.in_(keys), Price.starts_on <= day)
        .order_by(Price.starts_on, Price.id)
    )
    return {row.model_id: row.price for row in session().execute(wanted)}


def against(step: str, standing: Standing) -> list[Refusal]:
    """Return every reason of a clause against a step (``SELL``, ``SHELF``); writes nothing.

    That nothing of a stopped batch leaves is a clause of the product file (R09-5.2.4c).
    """
    found: list[Refusal] = []
    if standing.held_on is not None and holds(standing.lot.unit_id, STOP_CLAUSE):
        text = _l(
            "%(goods)s, batch %(batch)s is stopped since %(day)s: %(reason)s",
            goods=standing.name,
            batch=standing.batch,
            day=standing.held_on,
            reason=standing.hold_reason,
        )
        found.append(Refusal("stopped", text, STOP_CLAUSE))
    try:
        require_clause(step, standing.lot.unit_id, standing)
    except Refused as bad:
        found += bad.refusals
    return found

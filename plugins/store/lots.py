"""Batches in stock: the one place that writes what there is of a batch, how it stands, and what moved (R02-10).

Functions flush, they never commit, and ask no permission: the service that moves goods did. A lot's row is locked
before anything about it changes, its batch in the product file before that, so a sale and a stop of the batch wait
for each other. The sum of a lot's movements is its stock, always.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from core.sdk import InvalidData, NotFound, Refusal, Refused, clock, current_scope, holds, local_day, session
from plugins.products import services as products

from . import goods, standing, values
from .models import Lot, Movement
from .standing import SELL, SHELF, Standing
from .values import ACCEPTED, EXPIRED, GONE, HELD, ON_SALE, QUARANTINE

SHELF_LIFE = "R02-15"
MOST = 1_000_000
# A movement of these kinds goes to somebody who asked for goods; the gates of ``SELL`` look at it.
OUT = {values.SALE: "sell", values.EXCHANGE: "exchange", values.USE: "use"}
IN_STOCK = (QUARANTINE, ACCEPTED, ON_SALE, HELD, EXPIRED)


# --- locking, reading --------------------------------------------------------------------------------


def lock_lots(ids: Iterable[int]) -> dict[int, Lot]:
    """Lock lots and what the product file knows of their batches, both in the order of their ids.

    Raises:
        NotFound: one of them is not there.
    """
    keys = sorted(set(ids))
    found, _batches = _locked(keys)
    return found


def _locked(keys: Sequence[int]) -> tuple[dict[int, Lot], dict[int, Any]]:
    session().flush()
    held = session().execute(select(Lot.id, Lot.batch_id).where(Lot.id.in_(keys))).all()
    batches = products.lock_batches(row.batch_id for row in held if row.batch_id is not None)
    wanted = select(Lot).where(Lot.id.in_(keys)).order_by(Lot.id).with_for_update()
    found = {one.id: one for one in session().scalars(wanted.execution_options(populate_existing=True))}
    if len(found) != len(keys):
        raise NotFound()
    return found, batches


def lock_lot(lot_id: int) -> Lot:
    """Lock one lot (see ``lock_lots``) and return it as it is now."""
    return lock_lots([lot_id])[lot_id]


def movements(lot_id: int, limit: int = 200) -> Sequence[Movement]:
    """Return what moved of a lot, the latest first."""
    wanted = select(Movement).where(Movement.lot_id == lot_id).order_by(Movement.seq.desc()).limit(limit)
    return session().scalars(wanted).all()


def last_seqs(lot_ids: Iterable[int]) -> dict[int, int]:
    """Return the number of the last movement of lots by lot id, in one select; without any: left out."""
    keys = set(lot_ids)
    wanted = select(Movement.lot_id, func.max(Movement.seq)).where(Movement.lot_id.in_(keys))
    return {row[0]: row[1] for row in session().execute(wanted.group_by(Movement.lot_id))}


# --- goods come in -----------------------------------------------------------------------------------


def receive(
    unit_id: int,
    model_id: int,
    quantity: int,
    *,
    number: str = "",
    made_on: date | None = None,
    shelf_days: int | None = None,
    best_before: date | None = None,
    supplier_id: int | None = None,
    receiving_id: int | None = None,
    place_id: int | None = None,
    record_id: int | None = None,
    state: str = ACCEPTED,
    kind: str = "receive",
    at: datetime | None = None,
) -> Lot:
    """Take goods into stock as a new lot (R02-10) and return it; ``number`` is what is printed as the batch.

    Its batch in the product file is made where it is new, its production date kept there. ``last_day`` is worked
    out; what is past it comes in as expired, what belongs to a stopped batch as held. ``kind``: ``receive`` or
    ``opening``.

    Raises:
        InvalidData: under ``quantity``, ``shelf_days`` or ``made_on``.
    """
    moment, pieces = at or clock.now(), _pieces(quantity)
    if shelf_days is not None and shelf_days <= 0:
        raise InvalidData({"shelf_days": _l("A shelf life has at least one day")})
    if made_on is not None and made_on > local_day(unit_id):
        raise InvalidData({"made_on": _l("This date lies in the future")})
    batch = _batch(unit_id, model_id, number.strip(), made_on)
    lot = Lot(
        unit_id=unit_id,
        model_id=model_id,
        batch_id=batch.id if batch is not None else None,
        number=number.strip(),
        made_on=made_on,
        shelf_days=shelf_days,
        best_before=best_before,
        last_day=goods.last_day_of(made_on, shelf_days, best_before),
        supplier_id=supplier_id,
        receiving_id=receiving_id,
        place_id=place_id,
        state=state,
        stock=0,
        held=0,
        created_at=moment,
    )
    session().add(lot)
    session().flush()
    if not lot.number:
        lot.number = f"{local_day(unit_id, moment):%y%m%d}-{lot.id}"
    _write(lot, kind, pieces, record_id=record_id, at=moment)
    lot.state = _state_of(lot, state, batch)
    session().flush()
    return lot


def _batch(unit_id: int, model_id: int, number: str, made_on: date | None) -> Any:
    """Return the batch of the product file, locked: it is not stopped while its goods come in."""
    if not number:
        return None
    try:
        with session().begin_nested():
            made = products.batch_of(unit_id, model_id, number)
    except IntegrityError:  # somebody else made it at this moment
        made = products.batch_of(unit_id, model_id, number)
    if made is None:
        return None
    batch = products.lock_batches([made.id])[made.id]
    if batch.produced_on is None and made_on is not None:
        batch.produced_on = made_on
    return batch


def _state_of(lot: Lot, wanted: str, batch: Any) -> str:
    """Return the state a lot has by its dates, its batch and its stock where it would be ``wanted``."""
    if lot.stock == 0:
        return GONE
    if wanted == QUARANTINE:
        return QUARANTINE
    if batch is not None and batch.held_at is not None:
        return HELD
    if is_over(lot) and holds(lot.unit_id, SHELF_LIFE):
        return EXPIRED
    return wanted


def is_over(lot: Lot, day: date | None = None) -> bool:
    """Tell whether the last day on which a lot may be sold lies before a day (default: today)."""
    return lot.last_day is not None and lot.last_day < (day or local_day(lot.unit_id))


# --- on sale -----------------------------------------------------------------------------------------


def put_on_sale(lot_id: int) -> Lot:
    """Put an accepted lot on sale; again changes nothing.

    Raises:
        NotFound. Refused: every reason: not inspected (R02-9), no dates (R02-10), not released (R02-4), no public
        price (R02-18), past its last day (R02-15), batch stopped (R09-5.2.4c), nothing left.
    """
    rows, batches = _locked([lot_id])
    lot = rows[lot_id]
    found = why_not_on_shelf(_standing(lot, batches))
    if found:
        raise Refused(found)
    if lot.state == ON_SALE:
        return lot
    lot.state, lot.on_sale_at = ON_SALE, clock.now()
    session().flush()
    return lot


def _standing(lot: Lot, batches: Mapping[int, Any]) -> Standing:
    return standing.of(lot.unit_id, [lot], batches=batches)[lot.id]


def why_not_on_shelf(seen: Standing) -> list[Refusal]:
    """Return every reason against putting a lot on sale; writes nothing."""
    found = standing.against(SHELF, seen)
    said = {one.code for one in found}
    return found + [one for one in _by_state(seen) if one.code not in said and one.code != "not_on_sale"]


# --- goods go out, come back ---------------------------------------------------------------------------


def reasons(seen: Standing) -> list[Refusal]:
    """Return every reason against ``seen.quantity`` pieces of a lot going out for ``seen.kind``; writes nothing."""
    found = standing.against(SELL, seen)
    said = {one.code for one in found}
    return found + [one for one in _by_state(seen) if one.code not in said]


def _by_state(seen: Standing) -> Iterable[Refusal]:
    """Yield what speaks against it whatever the clauses say: what is not there or was set apart does not go out."""
    lot, given = seen.lot, {"goods": seen.name, "batch": seen.lot.number}
    if lot.state == QUARANTINE:
        yield Refusal("not_inspected", _l("%(goods)s, batch %(batch)s has not been inspected", **given))
    if lot.state == HELD:
        yield Refusal("stopped", _l("%(goods)s, batch %(batch)s is held", **given))
    if lot.state == EXPIRED:
        yield Refusal("expired", _l("%(goods)s, batch %(batch)s has expired", **given))
    if lot.state == ACCEPTED and seen.for_people:
        yield Refusal("not_on_sale", _l("%(goods)s, batch %(batch)s is not on sale yet", **given))
    if seen.free < seen.quantity:
        text = _l("Of %(goods)s, batch %(batch)s only %(number)s can be had", **given, number=max(seen.free, 0))
        yield Refusal("stock", text)


def move_out(
    wanted: Mapping[int, int],
    kind: str,
    *,
    record_id: int | None = None,
    customer_id: int | None = None,
    at: datetime | None = None,
) -> dict[int, tuple[Movement, Decimal | None]]:
    """Let pieces of lots go out (``wanted``: pieces by lot id) for a sale, an exchange or the store's own use.

    Returns the movement of each lot with the public price of the day (yuan).

    Raises:
        NotFound. InvalidData: under ``quantity``.
        Refused: every reason of every lot: see ``reasons``.
    """
    pieces = {key: _pieces(quantity) for key, quantity in wanted.items()}
    rows, batches = _locked(sorted(pieces))
    found: list[Refusal] = []
    seen: dict[int, Standing] = {}
    for unit_id in sorted({one.unit_id for one in rows.values()}):
        mine = [one for one in rows.values() if one.unit_id == unit_id]
        seen |= standing.of(unit_id, mine, kind=kind, quantities=pieces, batches=batches)
    for key in sorted(rows):
        found += reasons(seen[key])
    if found:
        raise Refused(found)
    made = {}
    for key, lot in sorted(rows.items()):
        moved = _write(lot, OUT[kind], -pieces[key], record_id=record_id, customer_id=customer_id, at=at)
        if lot.stock == 0:
            lot.state = GONE
        made[key] = (moved, seen[key].price)
    session().flush()
    return made


def bring_back(
    lot_id: int,
    quantity: int,
    *,
    record_id: int | None = None,
    customer_id: int | None = None,
    at: datetime | None = None,
) -> Movement:
    """Take pieces back into their lot; it stands as it would have without them leaving.

    Raises:
        NotFound. InvalidData: under ``quantity``.
    """
    rows, batches = _locked([lot_id])
    lot = rows[lot_id]
    made = _write(lot, "back", _pieces(quantity), record_id=record_id, customer_id=customer_id, at=at)
    _settle(lot, batches)
    return made


def _settle(lot: Lot, batches: Mapping[int, Any]) -> None:
    """Let a lot stand as its stock, dates and batch say: on sale if it was before, else in stock."""
    wanted = lot.state
    if wanted in (GONE, HELD, EXPIRED):
        wanted = ON_SALE if lot.on_sale_at is not None else ACCEPTED
    lot.state = _state_of(lot, wanted, batches.get(lot.batch_id or 0))
    session().flush()


# --- set apart, off the books ----------------------------------------------------------------------------


def hold(lot_id: int, quantity: int) -> Lot:
    """Set pieces of a lot apart (an objection); they are here, but cannot be had.

    Raises:
        NotFound. InvalidData: under ``quantity``: more than there is to set apart.
    """
    lot, pieces = lock_lot(lot_id), _pieces(quantity)
    if pieces > lot.stock - lot.held:
        raise InvalidData({"quantity": too_many(lot.stock - lot.held)})
    lot.held += pieces
    session().flush()
    return lot


def release(lot_id: int, quantity: int) -> Lot:
    """Let pieces go that were set apart.

    Raises:
        NotFound. InvalidData: under ``quantity``: more than are set apart.
    """
    lot, pieces = lock_lot(lot_id), _pieces(quantity)
    if pieces > lot.held:
        raise InvalidData({"quantity": too_many(lot.held)})
    lot.held -= pieces
    session().flush()
    return lot


def take_off(lot_id: int) -> Lot:
    """Take a lot off the shelf that stays in stock; it can be put on sale again."""
    lot = lock_lot(lot_id)
    lot.on_sale_at = None
    if lot.state == ON_SALE:
        lot.state = ACCEPTED
    session().flush()
    return lot


def write_off(
    lot_id: int, quantity: int, kind: str, *, held: bool = False, record_id: int | None = None
) -> Movement:
    """Take pieces out of stock that nobody gets: ``remove``, ``return`` or ``scrap``. ``held``: set-apart ones.

    Raises:
        NotFound. InvalidData: under ``quantity``: more than there are.
    """
    rows, batches = _locked([lot_id])
    lot, pieces = rows[lot_id], _pieces(quantity)
    there = lot.held if held else lot.stock - lot.held
    if pieces > there:
        raise InvalidData({"quantity": too_many(there)})
    if held:
        lot.held -= pieces
    made = _write(lot, kind, -pieces, record_id=record_id)
    if lot.stock == 0:
        _settle(lot, batches)
    return made


def adjust(lot_id: int, difference: int, *, record_id: int | None = None) -> Movement | None:
    """Correct a lot's stock by the difference of a count, up or down; None where there is none.

    Raises:
        NotFound. InvalidData: under ``counted``: set-apart pieces would be missing, or far too many.
    """
    if difference == 0:
        return None
    rows, batches = _locked([lot_id])
    lot = rows[lot_id]
    if lot.stock + difference < lot.held:
        text = _l("%(number)s pieces are set apart by objections; settle those first", number=lot.held)
        raise InvalidData({"counted": text})
    if lot.stock + difference > MOST:
        raise InvalidData({"counted": _l("At most %(most)s pieces", most=MOST)})
    made = _write(lot, "count", difference, record_id=record_id)
    if made.stock == 0 or made.stock == difference:
        _settle(lot, batches)
    return made


def place_at(lot_id: int, place_id: int | None) -> Lot:
    """Say on which shelf or in which bin a lot lies; the caller has looked at the place."""
    lot = lock_lot(lot_id)
    lot.place_id = place_id
    session().flush()
    return lot


def expire(lot_id: int) -> bool:
    """Let a lot expire whose last day of sale has passed (R02-15); tell whether it did now."""
    lot = lock_lot(lot_id)
    if lot.state not in (ACCEPTED, ON_SALE) or not is_over(lot) or not holds(lot.unit_id, SHELF_LIFE):
        return False
    lot.state = EXPIRED
    session().flush()
    return True


def follow_batch(batch: Any) -> list[Lot]:
    """Hold all lots of a batch that was stopped, or let them stand as before where it was let go (R09-5.2.4c).

    The batch is locked by who stopped it. Returns the lots that changed.
    """
    wanted = select(Lot).where(Lot.batch_id == batch.id, Lot.state.in_(IN_STOCK)).order_by(Lot.id).with_for_update()
    changed = []
    for lot in session().scalars(wanted.execution_options(populate_existing=True)):
        before = lot.state
        _settle(lot, {batch.id: batch})
        if lot.state != before:
            changed.append(lot)
    return changed


# --- inside ----------------------------------------------------------------------------------------------


def _write(
    lot: Lot,
    kind: str,
    quantity: int,
    *,
    record_id: int | None = None,
    customer_id: int | None = None,
    at: datetime | None = None,
) -> Movement:
    """Write a movement of a locked lot; ``quantity`` is signed."""
    if lot.stock + quantity > MOST:
        raise InvalidData({"quantity": _l("At most %(most)s pieces", most=MOST)})
    last = session().scalar(select(func.max(Movement.seq)).where(Movement.lot_id == lot.id)) or 0
    lot.stock += quantity
    made = Movement(
        unit_id=lot.unit_id,
        lot_id=lot.id,
        model_id=lot.model_id,
        seq=last + 1,
        at=at or clock.now(),
        kind=kind,
        quantity=quantity,
        stock=lot.stock,
        customer_id=customer_id,
        record_id=record_id,
        by_id=current_scope().actor_id,
    )
    session().add(made)
    session().flush()
    return made


def _pieces(quantity: int) -> int:
    if quantity <= 0:
        raise InvalidData({"quantity": _l("This must be more than nothing")})
    if quantity > MOST:
        raise InvalidData({"quantity": _l("At most %(most)s pieces", most=MOST)})
    return quantity


def too_many(there: int) -> Any:
    """Return the words for more pieces than there are."""
    return _l("There are only %(number)s", number=there)

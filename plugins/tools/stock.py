"""Small parts by quantity: what every party has, and how it moved. The sum of the moves is the stock, always."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core.sdk import (
    Conflict,
    Field,
    InvalidData,
    NotAllowed,
    Refusal,
    Refused,
    clean,
    clock,
    current_scope,
    fetch,
    may,
    money_math,
    require,
    session,
    transaction,
)

from . import values
from .custody import NARROW
from .models import Handover, Kind, Party, Stock, StockMove
from .parties import party_name
from .rights import KEEP, OWN

# Why a quantity moved. ``bought`` and ``start`` come in, ``used`` goes; ``counted`` is what a count found.
BOUGHT, HANDED, USED, COUNTED, START = "bought", "handover", "used", "counted", "start"
REASONS = (
    (BOUGHT, _l("Bought")),
    (HANDED, _l("Handed over")),
    (USED, _l("Used up")),
    (COUNTED, _l("Corrected by a count")),
    (START, _l("Value at the start")),
)
MOST = Decimal("9999999.99")
_NOTE = Field("note", "text", _l("Note"), max_length=300)
_PARTY = Field("party", "int", _l("Held by"), True, minimum=Decimal(1))
_KIND = Field("kind", "int", _l("Kind of tool"), True, minimum=Decimal(1))
USE_FIELDS = (_PARTY, _KIND, Field("quantity", "decimal", _l("Quantity"), True, minimum=Decimal(0)), _NOTE)
COUNT_FIELDS = (
    _PARTY,
    _KIND,
    Field("counted", "decimal", _l("Quantity counted"), True, minimum=Decimal(0), maximum=MOST),
    _NOTE,
)


def move(
    kind: Kind,
    giver: Party | None,
    taker: Party | None,
    quantity: Any,
    why: str,
    *,
    handover: Handover | None = None,
    note: str = "",
    key: str = "",
) -> StockMove:
    """Move a quantity of a kind from one party to another; without a giver it comes in, without a taker it goes.

    Asks no permission: the service that moves it did. Several moves in one transaction go in the order of the
    kinds' ids, so that nobody waits in circles. ``key``: a retry answers with the first move.

    Raises:
        InvalidData: under ``quantity``: not more than nothing, finer than 0.01; under ``kind``: it has numbers.
        Refused: the giver has less than that. Conflict: the key was used for something else.
    """
    amount = _amount(kind, quantity)
    rows = _locked(kind, [party for party in (giver, taker) if party is not None], taker)
    before = _moved_before(kind.unit_id, key)
    if before is not None:
        return _same(before, kind, giver, taker, amount)
    if giver is not None:
        _take(rows.get(giver.id), kind, giver, amount)
    if taker is not None:
        rows[taker.id].quantity = _not_too_much(rows[taker.id].quantity + amount)
    made = StockMove(
        unit_id=kind.unit_id,
        kind_id=kind.id,
        giver_id=giver.id if giver else None,
        taker_id=taker.id if taker else None,
        quantity=amount,
        at=clock.now(),
        why=why,
        handover_id=handover.id if handover is not None else None,
        note=note,
        by_id=current_scope().actor_id,
        key=key,
    )
    session().add(made)
    session().flush()
    return made


def _amount(kind: Kind, quantity: Any) -> Decimal:
    if kind.category != values.CONSUMABLE:
        raise InvalidData({"kind": _l("Tools of this kind have numbers; they are handed over one by one")})
    amount = money_math.number(quantity, "quantity", most=MOST, places=2)
    if amount <= 0:
        raise InvalidData({"quantity": _l("This must be more than nothing")})
    return amount


def _not_too_much(quantity: Decimal) -> Decimal:
    if quantity > MOST:
        raise InvalidData({"quantity": _l("This amount is too large")})
    return quantity


def _take(row: Stock | None, kind: Kind, giver: Party, amount: Decimal) -> None:
    there = row.quantity if row is not None else Decimal(0)
    if row is None or there < amount:
        raise Refused([Refusal("stock", _short_text(kind, giver, there))])
    row.quantity = there - amount


def _short_text(kind: Kind, giver: Party, there: Decimal) -> Any:
    return _l(
        "%(giver)s has only %(quantity)s of %(kind)s",
        giver=party_name(giver),
        quantity=plain_number(there),
        kind=kind.name,
    )


def _moved_before(unit_id: int, key: str) -> StockMove | None:
    """Look for the move of a key. Asked when the rows are locked: a second try waits there for the first."""
    if not key:
        return None
    return session().scalars(select(StockMove).where(StockMove.unit_id == unit_id, StockMove.key == key)).first()


def _same(before: StockMove, kind: Kind, giver: Party | None, taker: Party | None, amount: Decimal) -> StockMove:
    asked = (kind.id, giver.id if giver else None, taker.id if taker else None, amount)
    if asked != (before.kind_id, before.giver_id, before.taker_id, before.quantity):
        raise Conflict(_l("This request key was already used for something else"))
    return before


def _locked(kind: Kind, parties: Sequence[Party], taker: Party | None) -> dict[int, Stock]:
    """Lock the parties' rows of a kind in the order of their ids, by party id; the taker's is made if needed."""
    if taker is not None:
        _ensure_row(kind, taker)
    wanted = (
        select(Stock)
        .where(Stock.kind_id == kind.id, Stock.party_id.in_([party.id for party in parties]))
        .order_by(Stock.id)
        .with_for_update()
        .execution_options(**NARROW, populate_existing=True)
    )
    return {row.party_id: row for row in session().scalars(wanted)}


def _ensure_row(kind: Kind, party: Party) -> None:
    """Make the row of a party and a kind; where somebody else makes it at this moment, theirs is the one."""
    work = session()
    found = select(Stock.id).where(Stock.kind_id == kind.id, Stock.party_id == party.id)
    if work.scalar(found) is not None:
        return
    try:
        with work.begin_nested():
            work.add(Stock(unit_id=kind.unit_id, party_id=party.id, kind_id=kind.id, quantity=Decimal(0)))
            work.flush()
    except IntegrityError:
        return


# --- reading -------------------------------------------------------------------------------------


def of_party(party_id: int) -> Sequence[Stock]:
    """Return what a party has by quantity, with the kinds, by name; nothing is left out."""
    wanted = (
        select(Stock)
        .join(Kind, Kind.id == Stock.kind_id)
        .where(Stock.party_id == party_id, Stock.quantity > 0)
        .options(joinedload(Stock.kind))
        .order_by(Kind.name, Stock.id)
        .execution_options(**NARROW)
    )
    return session().scalars(wanted).all()


def quantity_of(party_id: int, kind_id: int) -> Decimal:
    """Return how much of a kind a party has."""
    wanted = select(Stock.quantity).where(Stock.party_id == party_id, Stock.kind_id == kind_id)
    return session().scalar(wanted) or Decimal(0)


def as_number(quantity: Decimal | None) -> float | None:
    """Return a quantity as programs read it: hundredths up to ten million are told exactly enough."""
    return None if quantity is None else float(quantity)


def plain_number(quantity: Decimal) -> str:
    """Return a quantity as people write it: ``3`` rather than ``3.00``."""
    whole = quantity.to_integral_value()
    return str(int(whole)) if whole == quantity else f"{quantity.normalize():f}"


# --- what people enter ---------------------------------------------------------------------------


def use_up(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> StockMove:
    """Enter that a quantity was used up (``USE_FIELDS``): of a store by its keepers, of a person by themselves.

    Raises:
        NotAllowed, NotFound: neither; not of this unit. InvalidData, Refused: as ``move``.
    """
    given = clean(USE_FIELDS, raw)
    party, kind = _of_unit(unit_id, given)
    _require_for(party)
    with transaction():
        return move(kind, party, None, given["quantity"], USED, note=given["note"], key=key)


def count(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> StockMove | None:
    """Enter how much was counted (``COUNT_FIELDS``, permission ``KEEP``); the difference is a move, or nothing.

    Raises:
        NotAllowed, NotFound, InvalidData: as ``correct``.
    """
    require(KEEP, unit_id)
    given = clean(COUNT_FIELDS, raw)
    party, kind = _of_unit(unit_id, given)
    with transaction():
        return correct(kind, party, given["counted"], note=given["note"], key=key)


def correct(kind: Kind, party: Party, counted: Any, *, note: str = "", key: str = "") -> StockMove | None:
    """Set what a party has to what was counted; asks no permission. None: it agrees.

    Raises:
        InvalidData: under ``counted`` (negative, too fine, too large), or as ``move``.
    """
    there_is = money_math.number(counted, "counted", most=MOST, places=2)
    if there_is < 0:
        raise InvalidData({"counted": _l("This cannot be less than nothing")})
    if kind.category != values.CONSUMABLE:
        raise InvalidData({"kind": _l("Tools of this kind have numbers; they are counted one by one")})
    row = _locked(kind, [party], party)[party.id]
    before = _moved_before(kind.unit_id, key)
    if before is not None or there_is == row.quantity:
        return before
    if there_is > row.quantity:
        return move(kind, None, party, there_is - row.quantity, COUNTED, note=note, key=key)
    return move(kind, party, None, row.quantity - there_is, COUNTED, note=note, key=key)


def start(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> StockMove:
    """Enter what a party has when the plugin is switched on (``USE_FIELDS``, permission ``KEEP``).

    Raises:
        NotAllowed, NotFound, InvalidData: as ``move``.
        Refused: it had something of the kind before; then a count corrects it.
    """
    require(KEEP, unit_id)
    given = clean(USE_FIELDS, raw)
    party, kind = _of_unit(unit_id, given)
    with transaction():
        # A retry finds its own move; only another one is too late.
        if not _moved_before(unit_id, key) and _ever_had(party, kind):
            raise Refused([Refusal("started", _l("There are entries of this kind already; please count instead"))])
        return move(kind, None, party, given["quantity"], START, note=given["note"], key=key)


def _ever_had(party: Party, kind: Kind) -> bool:
    wanted = select(Stock.id).where(Stock.party_id == party.id, Stock.kind_id == kind.id).limit(1)
    return session().scalar(wanted) is not None


def _of_unit(unit_id: int, given: Mapping[str, Any]) -> tuple[Party, Kind]:
    parties_here: Any = select(Party).where(Party.unit_id == unit_id)
    kinds_here: Any = select(Kind).where(Kind.unit_id == unit_id)
    return fetch(Party, given["party"], query=parties_here), fetch(Kind, given["kind"], query=kinds_here)


def _require_for(party: Party) -> None:
    mine = party.kind == values.PERSON and party.user_id == current_scope().actor_id
    if may(KEEP, party.unit_id) or (mine and may(OWN, party.unit_id)):
        return
    raise NotAllowed(KEEP)

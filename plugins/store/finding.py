"""Finding batches by what a scan gun, a phone or a person gives: our label, a batch number, a bar code, a model."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import InvalidData, normalise, read_id, scan, session

from . import goods, lots, values
from .models import Lot

LABEL = "store.lot"  # the code of the label's form: its QR says ``store.lot~12``
MOST = 50
LONGEST = 200


def lots_for(unit_id: int, text: object) -> tuple[int | None, list[Lot]]:
    """Return the product and the lots that a code means: a label or batch number its lots, a bar code all in stock.

    The ones to sell first come first. ``(None, [])``: nothing is known by this code.
    """
    plain = normalise(str(text or "")[:LONGEST])
    if not plain:
        return None, []
    code = scan.understand(plain).ours or plain
    mine = select(Lot).where(Lot.unit_id == unit_id)
    if code.startswith(f"{LABEL}~"):
        key = read_id(code.partition("~")[2])
        found = list(session().scalars(mine.where(Lot.id == key))) if key is not None else []
        return (found[0].model_id if found else None), found
    model_id = goods.find_models(unit_id, [plain]).get(plain)
    if model_id is not None:
        return model_id, in_stock(unit_id, model_id)
    found = list(session().scalars(mine.where(Lot.number == plain[:40]).order_by(Lot.id.desc()).limit(MOST)))
    found.sort(key=_first_out)
    return (found[0].model_id if found else None), found


def in_stock(unit_id: int, model_id: int) -> list[Lot]:
    """Return the lots of a product that are in stock, those to sell first before others."""
    wanted = (
        select(Lot)
        .where(Lot.unit_id == unit_id, Lot.model_id == model_id, Lot.state.in_(lots.IN_STOCK))
        .order_by(Lot.id)
        .limit(MOST)
    )
    return sorted(session().scalars(wanted), key=_first_out)


def _first_out(lot: Lot) -> tuple[Any, ...]:
    """What is on sale before what is not, what expires first before what lasts."""
    return lot.state != values.ON_SALE, lot.last_day is None, lot.last_day or lot.created_at.date(), lot.id


def one_lot(unit_id: int, text: object, name: str) -> Lot:
    """Return the one lot that a code (or an id as a number) means.

    Raises:
        InvalidData: under ``name``: nothing, or several batches, are known by it.
    """
    if isinstance(text, int):
        key = read_id(text)
        mine = select(Lot).where(Lot.unit_id == unit_id, Lot.id == key)
        found = list(session().scalars(mine)) if key is not None else []
    else:
        _model, found = lots_for(unit_id, text)
    if not found:
        raise InvalidData({name: _l("There is no batch “%(code)s” in stock", code=str(text)[:40])})
    if len(found) > 1:
        numbers = "、".join(f"{LABEL}~{one.id} ({one.number})" for one in found[:5])
        text = _l("Several batches are meant; type one of these: %(batches)s", batches=numbers)
        raise InvalidData({name: text})
    return found[0]

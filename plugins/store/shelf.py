"""What those who keep the stock do with a batch: put it on sale, take it off, say where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Field, clean, fetch, places, require, transaction

from . import lots
from .models import Lot
from .rights import STOCK


def _mine(raw_id: object) -> Lot:
    found = fetch(Lot, raw_id)
    require(STOCK, found.unit_id)
    return found


def put_on_sale(raw_id: object) -> Lot:
    """Put a batch on sale (permission ``STOCK``). Raises: as ``lots.put_on_sale``; NotFound, NotAllowed."""
    with transaction():
        return lots.put_on_sale(_mine(raw_id).id)


def take_off(raw_id: object) -> Lot:
    """Take a batch off the shelf that stays in stock (permission ``STOCK``)."""
    with transaction():
        return lots.take_off(_mine(raw_id).id)


def place_fields(unit_id: int) -> list[Field]:
    """Return the field that asks where a batch lies."""
    return [Field("place_id", "choice", _l("Place"), choices=places.choices(unit_id))]


def place(raw_id: object, raw: Mapping[str, Any]) -> Lot:
    """Say on which shelf or in which bin a batch lies (permission ``STOCK``).

    Raises:
        NotFound, NotAllowed. InvalidData: no such place here.
    """
    with transaction():
        lot = _mine(raw_id)
        given = clean(place_fields(lot.unit_id), raw)
        return lots.place_at(lot.id, int(given["place_id"]) if given["place_id"] else None)


def place_name(lot: Lot) -> str:
    """Return where a batch lies, '' where nobody said."""
    if lot.place_id is None:
        return ""
    return places.full_names(lot.unit_id, [lot.place_id]).get(lot.place_id, "")

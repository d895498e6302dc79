"""What catering, meetings, shifts and facilities share: places named in forms, and turns taken one at a time."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Choices, Field, InvalidData, Place, Unit, fetch, places, session

from .models import HotelPlace

# A permission that nobody holds: services perform these steps with ``permitted=True``.
BY_SERVICE = "hotel.by_service"
T = TypeVar("T", bound=Any)


def place_field(label: Any, required: bool = False) -> Field:
    """Return a field for a place, told by its code."""
    return Field("place", "text", label, required, max_length=40, help=_l("The code of the place"))


def find_place(unit_id: int, code: str | None, categories: Collection[str] = ()) -> Place | None:
    """Return the place of a code that was typed, None where none was.

    Raises:
        InvalidData: under ``place``: unknown, closed, or not of these categories of the hotel.
    """
    if not code:
        return None
    found = places.by_code(unit_id, code)
    if found is None:
        raise InvalidData({"place": _l("There is no place of this code")})
    if not found.active:
        raise InvalidData({"place": _l("This place is closed")})
    if categories and session().scalar(_known(unit_id, categories).where(HotelPlace.place_id == found.id)) is None:
        raise InvalidData({"place": _l("This place is not one for this")})
    return found


def _known(unit_id: int, categories: Collection[str]) -> Any:
    return select(HotelPlace.place_id).where(HotelPlace.unit_id == unit_id, HotelPlace.category.in_(categories))


def place_choices(unit_id: int, categories: Collection[str]) -> Choices:
    """Return the open places of some categories, as (code, full name)."""
    ids = session().scalars(_known(unit_id, categories)).all()
    found = select(Place).where(Place.unit_id == unit_id, Place.active, Place.id.in_(ids))
    rows = places.in_order(session().scalars(found))
    names = places.full_names(unit_id, [one.id for one in rows])
    return [(one.code, names[one.id]) for one in rows]


def need_place(unit_id: int, code: str | None, categories: Collection[str]) -> Place:
    """Return the place of a code that has to be there.

    Raises:
        InvalidData: under ``place``: none, unknown, closed, or not of these categories of the hotel.
    """
    found = find_place(unit_id, code, categories)
    if found is None:
        raise InvalidData({"place": _l("Please fill this in")})
    return found


def fetch_locked(model: type[T], raw_id: object) -> T:
    """Return a row by an id that came from a request, locked until the transaction ends.

    Raises:
        NotFound: no such row, or of another unit.
    """
    locked: Any = select(model).with_for_update().execution_options(populate_existing=True)
    return fetch(model, raw_id, query=locked)


def take_turns(unit_id: int) -> None:
    """Let what two people enter at once in a unit go one after the other, until the transaction ends."""
    session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))

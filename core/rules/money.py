"""Amounts of money: yuan as ``Decimal``, rounded half up to 0.01 (C0-T12), never a float."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import BigInteger, cast, func

from core.kernel.errors import InvalidData

CENT = Decimal("0.01")
ZERO = Decimal("0.00")
# What the columns hold: twelve digits before the point, of a price ten, of a quantity nine.
MOST = Decimal("999999999999.99")
MOST_PRICE = Decimal("9999999999.9999")
MOST_QUANTITY = Decimal("999999999.999")


def yuan(value: Any, name: str = "amount") -> Decimal:
    """Return an amount rounded half up to 0.01.

    Raises:
        InvalidData: under ``name``: no number, not finite, or more digits than an account holds.
    """
    # Adding zero turns -0.00 into 0.00.
    return number(value, name, most=MOST).quantize(CENT, ROUND_HALF_UP) + ZERO


def exact(value: Any, name: str = "amount") -> Decimal:
    """Return an amount that a person chose: whole cents, never rounded behind their back.

    Raises:
        InvalidData: under ``name``: as ``yuan``, or with parts of a cent.
    """
    return yuan(number(value, name, most=MOST, places=2), name)


def number(value: Any, name: str, *, most: Decimal, places: int | None = None) -> Decimal:
    """Return a number that its column holds exactly; ``places`` is how many digits may follow the point.

    Raises:
        InvalidData: under ``name``: no number, not finite, too large, or finer than ``places``.
    """
    if isinstance(value, float | bool):
        raise InvalidData({name: _l("Please enter a number")})
    try:
        found = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise InvalidData({name: _l("Please enter a number")}) from None
    if not found.is_finite():
        raise InvalidData({name: _l("Please enter a number")})
    if found.adjusted() > most.adjusted() or abs(found) > most:
        raise InvalidData({name: _l("This amount is too large")})
    if places is not None and found != _cut(found, places):
        raise InvalidData({name: _l("At most %(count)d digits after the point", count=places)})
    return found


def times(quantity: Decimal, price: Decimal) -> Decimal:
    """Return quantity times price as an amount.

    Raises:
        InvalidData: the product is too large.
    """
    return yuan(quantity * price)


def cents(column: Any) -> Any:
    """Return an amount of the database in whole cents: one database would add fractions as floating point."""
    return cast(func.round(column * 100), BigInteger)


def from_cents(found: Any) -> Decimal:
    """Return cents from the database (None: nothing to add up) as yuan."""
    return Decimal(int(found or 0)).scaleb(-2)


def _cut(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)

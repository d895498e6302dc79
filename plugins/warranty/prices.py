"""Prices in force: the unit's tariff of a class and day, else the clauses' own numbers; finance's part prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from .models import PartPrice, Tariff
from .values import Price


def tariff_of(unit_id: int, product_class: str, day: date) -> Tariff | None:
    """Return the released tariff for a class on a day: of that class, else for all, else None."""
    raise NotImplementedError


def prices_for(unit_id: int, product_class: str, day: date) -> Mapping[str, Price]:
    """Return the prices by what they are for; each names the tariff's or its own clause (R13-5.2.1.3b ...)."""
    raise NotImplementedError


def part_prices(unit_id: int, numbers: Sequence[str], day: date) -> Mapping[str, PartPrice]:
    """Return finance's prices of parts on a day by part number, in one statement (R17-3.5, R13-5.2.1.4)."""
    raise NotImplementedError


def list_price(unit_id: int, number: str, day: date) -> Decimal | None:
    """Return finance's price of one part on a day."""
    found = part_prices(unit_id, [number], day).get(number)
    return found.price if found is not None else None

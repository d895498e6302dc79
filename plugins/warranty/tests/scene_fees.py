"""What the tests of fees set up: an office with some clauses and finance's part prices, the lines a case got."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.helpers import as_system

from .scene_prices import add_part
from .scene_quotes import Desk, make_desk

# Two people, three days, two nights, one part.
TRIP = {
    "means": "on_site",
    "people": "2",
    "days": "3",
    "nights": "2",
    "travel": "860",
    "parts": "P-1，1",
}
PART = {"means": "workshop", "parts": "P-1, 1"}


def make_shop(app: Any, *clauses: str, **values: Any) -> Desk:
    """An office in which of the plugin's clauses only these hold, with two parts that finance has priced."""
    desk = make_desk(app, *clauses, **values)
    add_part(desk.unit, "P-1", "1000.00", "2026-01-01", name="主板")
    add_part(desk.unit, "K-1", "2400.00", "2026-01-01", name="油缸")
    add_part(desk.unit, "S-1", "0.50", "2026-01-01", name="螺丝", small="1")
    return desk


def set_class(desk: Desk, key: int, number: str) -> None:
    """Choose a case's product class, as staff do."""
    from core.sdk import Case

    with as_system() as work:
        work.get_one(Case, key).product_class = number


def lines(desk: Desk, key: int, payer: str = "customer") -> list[tuple[str, str, Decimal]]:
    """Return (code, clause, amount) of the lines of a payer that stand."""
    return [(one.code, one.clause, one.amount) for one in desk.charges(key, payer) if one.state != "void"]

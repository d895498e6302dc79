"""What the tests of prices set up: a unit whose clauses are chosen one by one, and drafts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from core.kernel import clock
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import ClauseSetting
from core.sdk import Unit, transaction
from plugins.warranty import rights, tariffs
from plugins.warranty.models import PartPrice, Tariff
from tests import helpers

FINANCE = (rights.VIEW, rights.PRICE)
TODAY = date(2026, 6, 15)
R13_TABLE = ("R13-5.2.1.3a", "R13-5.2.1.3b", "R13-5.2.1.3c", "R13-5.2.1.3d")
R13_FOREIGN = ("R13-5.2.2.2a", "R13-5.2.2.2b", "R13-5.2.2.2c", "R13-5.2.2.2d")
# Everything that prices, and who may set prices: off unless a test chooses it.
CHOSEN = (
    *R13_TABLE,
    *R13_FOREIGN,
    *("R13-5.2.1", "R18-5.2.1", "R19-5.2.1", "R17-5.2.3", "R18-5.2.1.3", "R19-5.2.1.3"),
    *("R19-5.2.2.2", "R17-5.2.6", "R17-5.2.7", "R07-6.2", "R09-5.3.3.3", "R17-3.5", "R18-3.5", "R19-3.5"),
    *("R03-7.1", "R22-4.7", "R23-3.2"),
    *("R13-5.2.1.3e", "R17-5.2.3e", "R18-5.2.1.3e", "R19-5.2.1.3e"),
)


def noon(day: date) -> datetime:
    return datetime.combine(day, time(4), UTC)


def set_clause(
    unit: Unit, clause: str, holds: bool | None = None, starts_on: date | None = None, **values: Any
) -> None:
    """Put a version of a clause setting in force."""
    first = starts_on or date(2020, 1, 1)
    with helpers.as_system() as work:
        row = ClauseSetting(unit_id=unit.id, clause=clause, starts_on=first, holds=holds, values=values)
        row.schema, row.created_at = current_rulebook().clauses[clause].schema, noon(first)
        work.add(row)


def make_shop(*clauses: str, **values: Any) -> Unit:
    """A unit with the plugin on, in which of the clauses about prices only these hold."""
    unit = helpers.make_unit(**values)
    helpers.switch_on(unit, "warranty")
    with helpers.as_system() as work:
        for one in CHOSEN:
            row = ClauseSetting(unit_id=unit.id, clause=one, starts_on=date(2020, 1, 1), holds=one in clauses)
            row.values, row.created_at = {}, noon(date(2020, 1, 1))
            row.schema = current_rulebook().clauses[one].schema
            work.add(row)
    return unit


@contextmanager
def finance(unit: Unit, day: date = TODAY, rights: tuple[str, ...] = FINANCE) -> Iterator[Any]:
    """Work in a unit as finance on a day, and commit."""
    with clock.frozen(noon(day)), helpers.in_scope(unit, rights) as work, transaction():
        yield work


def raw(start: date | str = "2026-07-01", **more: Any) -> dict[str, Any]:
    """What the form of a tariff sends."""
    return {
        "name": "收费标准 2026",
        "starts_on": str(start),
        "travel_per": "actual",
        "lodging_amount": "150",
        "lodging_per": "person_night",
        "meals_amount": "50",
        "meals_per": "person_day",
        "allowance_amount": "200",
        "allowance_per": "person_day",
        **more,
    }


def add_tariff(unit: Unit, start: date | str = "2026-07-01", *, released: bool = True, **more: Any) -> int:
    """A tariff of a unit, released unless said otherwise."""
    given = date.fromisoformat(str(start))
    with finance(unit, min(TODAY, given - timedelta(days=1))):
        made = tariffs.save_tariff(unit.id, raw(start, **more))
        if released:
            tariffs.release(made)
        return made.id


def add_part(unit: Unit, number: str = "P-1", price: str = "12.50", start: str = "2026-01-01", **more: Any) -> int:
    """Finance's price of a part."""
    with finance(unit):
        given = {"number": number, "name": "压缩机", "price": price, "starts_on": start, "active": "1", **more}
        return tariffs.save_part_price(unit.id, given).id


def the_tariff(key: int) -> Tariff:
    return tariffs.get_tariff(key)


def part_price(key: int) -> PartPrice:
    return tariffs.get_part_price(key)


def yuan(text: str) -> Decimal:
    return Decimal(text)

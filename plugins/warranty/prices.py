"""Prices in force: the unit's tariff of a class and day, else the clauses' own numbers; finance's part prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from core.sdk import effective, holds, local_day, session

from .models import PartPrice, Tariff
from .values import (
    ACTUAL,
    ALLOWANCE,
    FREIGHT,
    HANDLING,
    INSTALLATION,
    LABOUR,
    LODGING,
    MEALS,
    PERSON_DAY,
    PERSON_NIGHT,
    TRANSPORT,
    Price,
)

DRAFT, RELEASED, WITHDRAWN = "draft", "released", "withdrawn"
EVERY_CLASS, OWN, AGENT, FOREIGN = "", "4.1", "4.2", "4.3"
# Classes that share a tariff where one of these clauses holds.
ALIKE = {OWN: AGENT, AGENT: OWN}
ALIKE_CLAUSES = ("R13-5.2.1", "R18-5.2.1", "R19-5.2.1")
CHUNK = 500  # databases limit the parameters of a statement


class Source(NamedTuple):
    """Where a clause says what an item costs: the parameters with the price, what it is per, how low it may go."""

    clause: str
    price: str = ""
    per: str = ACTUAL
    per_from: str = ""
    least: str = ""


def _table(clause: str) -> Mapping[str, Source]:
    """Return the items of a clause that has a whole table in its parameters; what travel costs is charged."""
    return {
        TRANSPORT: Source(clause),
        LODGING: Source(clause, "lodging", PERSON_NIGHT),
        MEALS: Source(clause, "meals", PERSON_DAY),
        ALLOWANCE: Source(clause, "allowance", PERSON_DAY),
    }


def _rows(section: str) -> Mapping[str, Source]:
    """Return the items of a section that has a clause for each of them (R13-5.2.1.3, R13-5.2.2.2)."""
    return {
        TRANSPORT: Source(f"{section}a"),
        LODGING: Source(f"{section}b", "price", PERSON_NIGHT, per_from="per"),
        MEALS: Source(f"{section}c", "price", PERSON_DAY),
        ALLOWANCE: Source(f"{section}d", "price", PERSON_DAY, least="least"),
    }


# Tables of fees, the first clause that holds decides; those of class 4.3 come first for that class.
FOREIGN_TABLES = (_rows("R13-5.2.2.2"), _table("R19-5.2.2.2"), _table("R17-5.2.6"))
TABLES = (_rows("R13-5.2.1.3"), _table("R17-5.2.3"), _table("R18-5.2.1.3"), _table("R19-5.2.1.3"))
# Without a table in the regulation: what the work costs is agreed with the customer.
BY_VISIT = ("R17-5.2.3", "R18-5.2.1.3", "R19-5.2.1.3")
AGREED = ("R07-6.2", "R09-5.3.3.3")
# Other items have no number in any clause; a tariff may price them, under the clause that asks for the fee.
OTHERS: Mapping[str, tuple[str, ...]] = {
    LABOUR: (*BY_VISIT, *AGREED),
    HANDLING: ("R17-5.2.7", *AGREED),
    FREIGHT: AGREED,
    INSTALLATION: AGREED,
}


def tariff_of(unit_id: int, product_class: str, day: date) -> Tariff | None:
    """Return the released tariff for a class on a day: of that class, else for all, else None.

    Classes 4.1 and 4.2 share theirs where R13-5.2.1, R18-5.2.1 or R19-5.2.1 says so and only one has any.
    """
    wanted = _classes(unit_id, product_class, day)
    found = session().scalars(
        select(Tariff)
        .where(
            Tariff.unit_id == unit_id,
            Tariff.product_class.in_(wanted),
            Tariff.state == RELEASED,
            Tariff.starts_on <= day,
            Tariff.ends_on.is_(None) | (Tariff.ends_on >= day),
        )
        .options(selectinload(Tariff.prices))
    )
    return min(found, key=lambda one: wanted.index(one.product_class), default=None)


def prices_for(unit_id: int, product_class: str, day: date) -> Mapping[str, Price]:
    """Return the prices by what they are for; each names its clause (R13-5.2.1.3b ...).

    What the tariff in force does not price costs what the clauses say (E16); a tariff's zero is a zero.
    """
    return _merged(unit_id, product_class, day, tariff_of(unit_id, product_class, day))


def prices_of(tariff: Tariff) -> Mapping[str, Price]:
    """Return what would be charged by a tariff on its first day, be it released or not."""
    return _merged(tariff.unit_id, tariff.product_class, tariff.starts_on, tariff)


def _merged(unit_id: int, product_class: str, day: date, tariff: Tariff | None) -> dict[str, Price]:
    found = clause_prices(unit_id, product_class, day)
    for one in tariff.prices if tariff is not None else ():
        clause = fee_clause(unit_id, product_class, one.item, day)
        found[one.item] = Price(one.amount, one.per, clause, one.least)
    return found


def clause_prices(unit_id: int, product_class: str, day: date) -> dict[str, Price]:
    """Return what the clauses in force say by themselves, without any tariff (E15, E16)."""
    found: dict[str, Price] = {}
    for item in (TRANSPORT, LODGING, MEALS, ALLOWANCE):
        source = _source(unit_id, product_class, item, day)
        if source is not None:
            found[item] = _price(unit_id, source, day)
    return found


def fee_clause(unit_id: int, product_class: str, item: str, day: date) -> str:
    """Return the clause under which a unit asks for an item of the tariff; '' where none in force does."""
    source = _source(unit_id, product_class, item, day)
    if source is not None:
        return source.clause
    return next((one for one in OTHERS.get(item, AGREED) if _holds(unit_id, one, day)), "")


def part_prices(unit_id: int, numbers: Sequence[str], day: date) -> Mapping[str, PartPrice]:
    """Return finance's prices of parts on a day by part number, in one statement (R17-3.5, R13-5.2.1.4)."""
    wanted = sorted(set(numbers))
    found: dict[str, PartPrice] = {}
    for start in range(0, len(wanted), CHUNK):
        rows = session().scalars(
            select(PartPrice)
            .where(
                PartPrice.unit_id == unit_id,
                PartPrice.number.in_(wanted[start : start + CHUNK]),
                PartPrice.starts_on <= day,
                PartPrice.active,
            )
            .order_by(PartPrice.starts_on)
        )
        found |= {one.number: one for one in rows}  # the latest that has begun comes last
    return found


def list_price(unit_id: int, number: str, day: date) -> Decimal | None:
    """Return finance's price of one part on a day."""
    found = part_prices(unit_id, [number], day).get(number)
    return found.price if found is not None else None


def moment_of(unit_id: int, day: date) -> datetime:
    """Return a moment that lies inside a day of the unit's zone: clauses are asked about moments."""
    noon = datetime.combine(day, time(12), UTC)
    return noon + (day - local_day(unit_id, noon))


def _holds(unit_id: int, clause: str, day: date) -> bool:
    return holds(unit_id, clause, moment_of(unit_id, day))


def _classes(unit_id: int, product_class: str, day: date) -> list[str]:
    """Return the classes whose tariff may serve a class, the best first."""
    other = ALIKE.get(product_class)
    shared = other is not None and any(_holds(unit_id, one, day) for one in ALIKE_CLAUSES)
    return list(dict.fromkeys([product_class, *([other] if other and shared else []), EVERY_CLASS]))


def _source(unit_id: int, product_class: str, item: str, day: date) -> Source | None:
    tables = (*FOREIGN_TABLES, *TABLES[1:]) if product_class == FOREIGN else TABLES
    sources = (table[item] for table in tables if item in table)
    return next((one for one in sources if _holds(unit_id, one.clause, day)), None)


def _price(unit_id: int, source: Source, day: date) -> Price:
    values = effective(unit_id, source.clause, moment_of(unit_id, day)).values
    per = values[source.per_from] if source.per_from else source.per
    amount = values[source.price] if source.price and per != ACTUAL else Decimal(0)
    least = values[source.least] if source.least else Decimal(0)
    return Price(Decimal(amount), per, source.clause, Decimal(least))

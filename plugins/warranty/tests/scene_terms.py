"""What the tests of terms set up: a unit with the plugin on, clauses in force, items with their days."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from core.kernel import clock
from core.kernel.database import ScopedSession
from plugins.products import services as products
from plugins.products.models import Item
from plugins.products.tests.scene import add_item, the_item
from plugins.warranty import cover, rights
from plugins.warranty.values import WarrantyLine
from tests import helpers
from tests.casework import ALL, Office, make_office

SERIAL = "RB18A-2302-00001"
RIGHTS = (
    *ALL,
    products.VIEW,
    products.EDIT,
    products.IMPORT,
    rights.VIEW,
    rights.HANDLE,
    rights.TERMS,
)
TODAY = date(2026, 11, 16)
MORNING = datetime(2026, 11, 16, 2, tzinfo=UTC)


def make_shop(*clauses: str, opened: datetime = MORNING, **values: Any) -> Office:
    """Make an office with the plugin on since it opened and these clauses in force since long ago."""
    with clock.frozen(opened):
        shop = make_office()
        helpers.switch_on(shop.unit, "warranty")
        if clauses:
            shop.clause(*clauses, **values)
    return shop


@contextmanager
def on_day(day: date, shop: Office, *more: str) -> Iterator[ScopedSession]:
    """Work in the shop on a day, about ten in the morning, and commit."""
    moment = datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
    with clock.frozen(moment), helpers.in_scope(shop.unit, (*RIGHTS, *more), shop.desk) as work:
        yield work
        work.commit()


def sell(shop: Office, serial: str = SERIAL, model: str = "RB18A", **values: Any) -> int:
    """Put an item on file; days (``purchased_on``, ``handed_over_on``, ``delivered_on``) as dates."""
    days = {name: values.pop(name) for name in ("purchased_on", "handed_over_on", "delivered_on") if name in values}
    with clock.frozen(MORNING):
        key = add_item(shop.unit, serial, model, **values)
        with helpers.as_system() as work:
            row = work.get(Item, key)
            assert row is not None
            for name, day in days.items():
                setattr(row, name, day)
    return key


def lines_of(shop: Office, serial: str = SERIAL, day: date = TODAY) -> list[WarrantyLine]:
    """Return the lines of an item as they are seen on a day."""
    with on_day(day, shop):
        return cover.cover_of(the_item(shop.unit, serial))


def ends(lines: list[WarrantyLine], clause: str) -> list[date | None]:
    """Return the last days of the lines of a clause."""
    return [line.ends_on for line in lines if line.clause == clause]

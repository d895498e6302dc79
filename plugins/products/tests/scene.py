"""What the tests of this plugin set up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from core.sdk import Case, Customer, Record, Unit, uuid7
from plugins.products import importing, services
from plugins.products.models import Item
from tests import helpers

RIGHTS = (services.VIEW, services.EDIT, services.IMPORT, "customer.view", "case.view")
START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


@contextmanager
def staff(unit: Unit, rights: tuple[str, ...] = RIGHTS) -> Iterator[Any]:
    """Work in a unit as somebody with these permissions, and commit."""
    with helpers.in_scope(unit, rights) as work:
        yield work
        work.commit()


def add_customer(unit: Unit, number: str = "C00001", name: str = "杭州某某公司", **values: Any) -> int:
    with helpers.as_system() as work:
        customer = Customer(
            unit_id=unit.id, uid=uuid7(), number=number, name=name, kind="company", created_at=START, **values
        )
        work.add(customer)
        work.flush()
        return customer.id


def add_case(unit: Unit, number: str, serial: str = "", days: int = 0, customer_id: int | None = None) -> int:
    """Write a finished case received ``days`` after START."""
    with helpers.as_system() as work:
        moment = START + timedelta(days=days)
        record = Record(
            unit_id=unit.id,
            uid=uuid7(),
            type="case",
            number=number,
            title="漏水",
            state="closed",
            category="closed",
            customer_id=customer_id,
            received_at=moment,
            entered_at=moment,
            closed_at=moment + timedelta(days=1),
        )
        work.add(record)
        work.flush()
        work.add(Case(id=record.id, unit_id=unit.id, channel="phone", description="漏水", serial_text=serial))
        return record.id


def add_item(unit: Unit, serial: str = "RB18A-2302-00001", model: str = "RB18A", **values: Any) -> int:
    with staff(unit):
        held = importing.known_models(unit.id, [model]).get(model)
        held = held or services.save_model(unit.id, {"code": model, "name": "空气能热泵", "active": "1"})
        return services.save_item(unit.id, {"serial": serial, "model_id": str(held.id), "active": "1", **values}).id


def the_item(unit: Unit, serial: str = "RB18A-2302-00001") -> Item:
    """Return the unit's item of this serial number, which must be there; inside ``staff``."""
    item = services.find_item(unit.id, serial)
    assert item is not None
    return item

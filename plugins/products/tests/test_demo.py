"""What the plugin adds to the demonstration."""

from __future__ import annotations

from random import Random
from typing import Any

from sqlalchemy import select

from core.sdk import Case, Record, session
from plugins.products import demo, services
from plugins.products.models import Item, ProductRecord
from plugins.products.tests.scene import add_case, add_customer
from tests import helpers


def test_cases_get_items_of_their_product_and_customer(app: Any) -> None:
    unit, other = helpers.make_unit(), helpers.make_unit()
    customer = add_customer(unit)
    for n in range(12):
        case_id = add_case(unit, f"GD-{n}", customer_id=customer, days=n)
        with helpers.as_system() as work:
            case = work.scalars(select(Case).where(Case.id == case_id)).one()
            case.product_text = "LN-24 壁挂炉" if n % 2 else "客房空调"
    foreign = add_case(other, "GD-X", customer_id=add_customer(other))
    with helpers.as_system() as work:
        rng = Random(1)
        for record in work.scalars(select(Record).order_by(Record.id)).all():
            if record.unit_id == unit.id:
                demo.received(record, rng)
        items = work.scalars(select(Item)).all()
        assert {(item.unit_id, item.customer_id, item.model.code) for item in items} == {
            (unit.id, customer, "LN-24")
        }
        linked = work.scalars(select(ProductRecord.record_id)).all()
        assert linked and foreign not in linked
        for record in session().scalars(select(Record).where(Record.id.in_(linked))):
            assert services.item_of_record(record) in items

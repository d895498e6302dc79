"""The report of items, counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import current_app

from core.kernel import clock
from core.reports import making
from core.sdk import NotFound
from plugins.products import services
from plugins.products.models import Model
from plugins.products.tests.scene import add_item, staff
from tests import helpers

NOW = datetime(2026, 3, 18, 4, 0, tzinfo=UTC)
CODE = "products.items"


@pytest.fixture(autouse=True)
def _database(app: Any) -> Any:
    return app


def test_items_are_counted_by_model_and_warranty() -> None:
    unit = helpers.make_unit()
    helpers.switch_on(unit, "products")
    add_item(unit, "A-1", "RB18A", purchased_on="2024-03-19", sold_class="own")  # the last day of two years
    add_item(unit, "A-2", "RB18A", purchased_on="2024-03-18", sold_class="own")
    add_item(unit, "A-3", "RB18A", sold_class="own")
    add_item(unit, "A-4", "RB18A", purchased_on="2026-01-01", sold_class="agent")
    add_item(unit, "B-1", "ZZ", purchased_on="2026-01-01")
    with helpers.as_system() as work:
        work.query(Model).filter(Model.code == "RB18A").one().warranty_months = 24
    with clock.frozen(NOW), staff(unit):
        report = making.find(CODE, unit.id)
        wanted = making.ask(report, unit.id, {}, group="model")
        found = [(line.kind, line.cells[0], *line.cells[2:7]) for line in making.lines(wanted)]
        assert len(making.declared()) >= 4 and current_app.extensions["reports"]
    name = "RB18A 空气能热泵"
    assert found == [
        ("row", name, "Sold by an agent", 1, 1, 0, 0),
        ("row", name, "Sold by us", 3, 1, 1, 1),
        ("subtotal", f"{name}: subtotal", None, 4, 2, 1, 1),
        ("row", "ZZ 空气能热泵", "Not known", 1, 0, 0, 1),
        ("subtotal", "ZZ 空气能热泵: subtotal", None, 1, 0, 0, 1),
        ("total", "Total", None, 5, 2, 1, 2),
    ]
    helpers.switch_off(unit, "products")
    with staff(unit, (services.VIEW,)), pytest.raises(NotFound):
        making.find(CODE, unit.id)

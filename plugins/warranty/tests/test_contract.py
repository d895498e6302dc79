"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Any

from core.sdk import Unit, clock, session
from plugins.warranty.models import PartPrice, Tariff, Term
from tests.contract import PluginContract

# Ids that mean the same to every list of ours: an address with one shows the same thing everywhere.
_ids = itertools.count(800_001)


class TestContract(PluginContract):
    name = "warranty"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        made = []
        for key in itertools.islice(_ids, count):
            name = f"{key}"
            made.append(
                PartPrice(
                    id=key,
                    unit_id=unit.id,
                    number=f"KZ-{name}",
                    name="控制器",
                    price=Decimal("12.50"),
                    starts_on=date(2026, 1, 1),
                    created_at=clock.now(),
                )
            )
            session().add(Term(id=key, unit_id=unit.id, name=f"保修 {name}", months=12))
            session().add(
                Tariff(
                    id=key,
                    unit_id=unit.id,
                    name=f"收费标准 {name}",
                    starts_on=date(2026, 1, 1),
                    created_at=clock.now(),
                )
            )
        session().add_all(made)
        session().flush()
        return made

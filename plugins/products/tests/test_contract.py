"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import select

from core.sdk import Unit, clock, session
from plugins.products.models import Item, Model
from tests.contract import PluginContract

# Ids no category or model has, so that an address with an item's id means nothing to the other screens.
_ids = itertools.count(700_001)


class TestContract(PluginContract):
    name = "products"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        work = session()
        model = work.scalars(select(Model).where(Model.unit_id == unit.id)).first()
        if model is None:
            model = Model(unit_id=unit.id, code="RB18A", name="空气能热泵")
            work.add(model)
            work.flush()
        ids = list(itertools.islice(_ids, count))
        rows = [
            Item(id=key, unit_id=unit.id, serial=f"RB18A-{key}", model_id=model.id, created_at=clock.now())
            for key in ids
        ]
        work.add_all(rows)
        work.flush()
        return rows

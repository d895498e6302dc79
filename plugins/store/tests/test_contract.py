"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Any

from core.sdk import Place, Record, Unit, clock, session, uuid7
from plugins.products.models import Model
from plugins.store import values
from plugins.store.models import (
    Issue,
    IssueLine,
    Lot,
    Movement,
    Objection,
    Plan,
    Price,
    PriceChange,
    Product,
    PurchaseOrder,
    Receiving,
    Release,
    Removal,
    Showroom,
    StockCount,
    StockCountLine,
    Supplier,
)
from tests.contract import PluginContract

# Ids that mean the same to every list of ours: an address with one shows the same thing everywhere.
_ids = itertools.count(900_001)
_STEP = 1_000_000
_RECORDS = (
    ("store_supplier", values.QUALIFIED),
    ("store_release", values.RELEASED),
    ("store_plan", values.DRAFT),
    ("store_order", values.DRAFT),
    ("store_receiving", values.EXPECTED),
    ("store_issue", values.ISSUED),
    ("store_objection", values.RAISED),
    ("store_removal", values.OPEN),
    ("store_price_change", values.DRAFT),
    ("store_showroom", values.OPEN),
    ("store_count", values.COUNTING),
)


class TestContract(PluginContract):
    name = "store"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        return [_product_with_everything(unit, key) for key in itertools.islice(_ids, count)]


def _record(unit: Unit, key: int, kind: str, state: str) -> Record:
    return Record(
        id=key,
        unit_id=unit.id,
        uid=uuid7(),
        type=kind,
        number=f"{kind[6:10].upper()}-{key}",
        title=f"{kind} {key}",
        state=state,
        category="open",
        received_at=clock.now(),
        entered_at=clock.now(),
        fact_seq=0,
    )


def _product_with_everything(unit: Unit, key: int) -> Product:
    """Add a product with one row of each of the plugin's lists."""
    work, of, today, now = session(), {"unit_id": unit.id}, date(2026, 1, 1), clock.now()
    ids = [key + place * _STEP for place in range(len(_RECORDS))]
    work.add_all([_record(unit, one, *kind) for one, kind in zip(ids, _RECORDS, strict=True)])
    work.add_all([Model(id=key, code=f"SP{key}", name=f"绿茶 {key}", **of)])
    work.add(Place(id=key, kind="shelf", code=f"A{key}", name=f"货架 {key}", path=f"/{key}/", **of))
    work.flush()
    supplier, release, plan, order, receiving, issue, objection, removal, change, task, count = ids
    work.add_all(
        (
            Supplier(id=supplier, name=f"供应商 {key}", **of),
            Release(id=release, model_id=key, **of),
            Plan(id=plan, month=today, **of),
            PriceChange(id=change, starts_on=today, reason="开业定价", **of),
            Showroom(id=task, kind="install", text="安装样品", starts_on=today, due_on=today, place_id=key, **of),
            StockCount(id=count, begun_at=now, place_id=key, **of),
            Issue(id=issue, **of),
        )
    )
    work.flush()
    work.add_all(
        (
            PurchaseOrder(id=order, supplier_id=supplier, **of),
            Receiving(id=receiving, supplier_id=supplier, **of),
            Price(
                id=key, model_id=key, price=Decimal(5), starts_on=today, change_id=change, published_at=now, **of
            ),
        )
    )
    lot = Lot(id=key, model_id=key, number=f"L{key}", state=values.ON_SALE, stock=5, created_at=now, **of)
    work.add(lot)
    work.flush()
    product = Product(id=key, model_id=key, **of)
    work.add_all(
        (
            product,
            Movement(id=key, lot_id=key, model_id=key, seq=1, at=now, kind="receive", quantity=5, stock=5, **of),
            IssueLine(id=key, issue_id=issue, lot_id=key, quantity=1, **of),
            Objection(id=objection, lot_id=key, model_id=key, quantity=1, found_at="shelf", problem="漏", **of),
            Removal(id=removal, lot_id=key, reason="near", due_on=today, **of),
            StockCountLine(id=key, count_id=count, lot_id=key, expected=5, **of),
        )
    )
    work.flush()
    return product

"""Suppliers and deliveries from spreadsheets and over the API."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock, importing
from core.sdk import InvalidData, Plan, Row, transaction
from plugins.store import api_supply, importers_supply, values
from plugins.store.models import Receiving, ReceivingLine, Supplier
from tests.helpers import in_scope

from .scene import ALL, BARCODES, Shop, make_shop

CODE = BARCODES[0]


@pytest.fixture
def shop(app: Flask) -> Shop:
    return make_shop()


def load(shop: Shop, key: str, text: str) -> Any:
    """Take a file in, check and confirm it; return the run's counts."""
    with clock.frozen(shop.now), in_scope(shop.unit, ALL | {"customer.import"}, shop.desk) as work:
        with transaction():
            run = importing.stage(key, shop.unit.id, io.BytesIO(text.encode()), "数据.csv")
        importing.check(run)
        importing.confirm(run.id)
        work.expire_all()
        return dict(run.counts)


def checked(shop: Shop, importer: Any, **values_of: str) -> Plan:
    with shop.acting():
        row = Row(2, {one.name: values_of.get(one.name, "") for one in importer.columns})
        return importer.check_rows(shop.unit.id, [row], {})[0]


def test_suppliers_come_in_once(shop: Shop) -> None:
    head = "供应商名称,统一社会信用代码,联系人,许可证有效期\n"
    text = f"{head}东方商行,91310000607378435C,王一,2027年1月31日\n西部商行,,,\n"
    counts = load(shop, "store-suppliers", text)
    assert counts["create"] == 2
    assert load(shop, "store-suppliers", text)["same"] == 2
    rows = shop.all(select(Supplier).where(Supplier.unit_id == shop.unit.id).order_by(Supplier.id))
    assert [(one.name, str(one.licence_until)) for one in rows] == [
        ("东方商行", "2027-01-31"),
        ("西部商行", "None"),
    ]
    assert shop.state(rows[0].id) == values.CANDIDATE


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "甲", "uscc": "91310000607378435X"}, "uscc"),
        ({"name": "甲", "licence_until": "2026-02-30"}, "licence_until"),
        ({"name": "甲" * 121}, "name"),
    ],
)
def test_a_wrong_supplier_is_told_by_column(shop: Shop, cells: dict[str, str], field: str) -> None:
    assert [name for name, _text in checked(shop, importers_supply.SupplierImporter(), **cells).errors] == [field]


def test_deliveries_come_in_once_a_note(shop: Shop) -> None:
    shop.model(barcode=CODE, shelf_days=180)
    shop.supplier("东方商行")
    text = (
        "供应商,送货单号,条码,数量,批号,生产日期\n"
        f"东方商行,SH-1,{CODE},10,L1,2026/1/10\n东方商行,SH-1,{CODE},5,L2,2026.1.11\n东方商行,SH-2,{CODE},1,L3,20260112\n"
    )
    assert load(shop, "store-deliveries", text)["create"] == 3
    assert load(shop, "store-deliveries", text)["same"] == 3
    rows = shop.all(select(Receiving).where(Receiving.unit_id == shop.unit.id).order_by(Receiving.id))
    assert [one.delivery_note for one in rows] == ["SH-1", "SH-2"]
    assert {shop.state(one.id) for one in rows} == {values.RECEIVED}
    lines = shop.all(
        select(ReceivingLine).where(ReceivingLine.receiving_id == rows[0].id).order_by(ReceivingLine.id)
    )
    assert [(one.expected, one.batch, str(one.made_on)) for one in lines] == [
        (10, "L1", "2026-01-10"),
        (5, "L2", "2026-01-11"),
    ]


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"product": "没有的"}, "product"),
        ({"expected": "-1"}, "expected"),
        ({"expected": "十"}, "expected"),
        ({"supplier": "没有的"}, "supplier"),
        ({"delivery_note": ""}, "delivery_note"),
        ({"made_on": "2027-01-01"}, "made_on"),
        ({"made_on": "昨天"}, "made_on"),
        ({"shelf_days": "0"}, "shelf_days"),
        ({"made_on": "2026-01-02", "best_before": "2026-01-01"}, "best_before"),
    ],
)
def test_a_wrong_delivery_is_told_by_column(shop: Shop, cells: dict[str, str], field: str) -> None:
    shop.model(barcode=CODE)
    shop.supplier("东方商行")
    good = {"supplier": "东方商行", "delivery_note": "SH-1", "product": CODE, "expected": "3"}
    plan = checked(shop, importers_supply.DeliveryImporter(), **{**good, **cells})
    assert [name for name, _text in plan.errors] == [field]


def test_the_api_makes_shows_and_changes(shop: Shop) -> None:
    model = shop.model(sheet=False)
    code = shop.all(select(api_supply.products.Model.code).where(api_supply.products.Model.id == model))[0]
    by = {one.path: one for one in api_supply.resources()}
    with shop.acting():
        row = by["products"].create(shop.unit.id, {"product": code, "barcode": CODE, "shelf_days": 30})
        assert by["products"].show([row])[0]["product"] == code
        by["products"].change(row, {"shelf_days": 60})
        assert by["products"].show([row])[0]["shelf_days"] == 60
        with pytest.raises(InvalidData):
            by["products"].create(shop.unit.id, {"product": "没有的"})
        supplier = by["suppliers"].create(shop.unit.id, {"name": "东方商行", "supplies": "x", "licence": "1"})
        lines = [{"product": CODE, "expected": 4, "batch": "L1", "made_on": "2026-03-01"}]
    shop.do(supplier.id, "assess", **GOOD)
    with shop.acting():
        raw = {"supplier": str(supplier.id), "lines": lines, "arrived": True, "delivery_note": "N1"}
        delivery = by["deliveries"].create(shop.unit.id, raw)
        shown = by["deliveries"].show([delivery])[0]
        assert (shown["state"], shown["lines"][0]["expected"]) == (values.RECEIVED, 4)
        results = [{"id": shown["lines"][0]["id"], "counted": 4, "refused": 1, "fault": "破"}]
        by["deliveries"].change(delivery, {"results": results})
        assert by["deliveries"].show([delivery])[0]["lines"][0]["accepted"] == 3
        for bad in ("x", [1], {"id": 1}):
            with pytest.raises(InvalidData):
                by["deliveries"].change(delivery, {"results": bad})
        order = by["orders"].create(
            shop.unit.id, {"supplier": str(supplier.id), "lines": [{"product": CODE, "quantity": 2}]}
        )
        assert by["orders"].show([order])[0]["lines"][0]["quantity"] == 2
        plan = by["plans"].create(shop.unit.id, {"month": "2026-04", "lines": [{"product": CODE, "quantity": 3}]})
        assert by["plans"].show([plan])[0]["lines"][0]["quantity"] == 3
        release = by["releases"].create(shop.unit.id, {"model": CODE})
        assert by["releases"].show([release])[0]["papers"] == []


GOOD = {"quality": 90, "delivery": 80, "price": 70, "service": 85, "reputation": 95, "verdict": "qualified"}

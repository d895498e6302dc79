"""Papers, labels, reports and boxes about stock: they come out, and say where goods came from and went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.sdk import session
from plugins.products import services as products
from plugins.store import objections, prints_stock, removals, reports_stock, stopping, values
from plugins.store.models import Lot, Receiving, ReceivingLine
from tests.helpers import login

from .scene import BARCODES, Shop, make_shop
from .test_issues import ON, sell
from .test_lots import stocked


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    made = make_shop(on=ON)
    made.now = clock.now()
    yield made


def delivery(shop: Shop, model_id: int, number: str, pieces: int) -> int:
    """Expect a delivery that brings pieces of a batch."""
    detail = Receiving(supplier_id=shop.supplier())
    key = shop.record("store_receiving", detail, values.EXPECTED, "到货")
    line = ReceivingLine(unit_id=shop.unit.id, receiving_id=key, model_id=model_id, expected=pieces, batch=number)
    shop.add(line)
    return key


@pytest.mark.clause("R02-10")
def test_the_quality_file_leads_back_and_forward(shop: Shop, app: Flask) -> None:
    """Dates, supplier, movements and buyers stand on the paper; the label names the batch and its last day."""
    supplier = shop.supplier("某食品厂")
    given = {"made_on": shop.today, "shelf_days": 90, "supplier_id": supplier}
    key = stocked(shop, 5, number="Q1", **given)
    record = sell(shop, "Q1, 2", phone="13800138000")
    with shop.acting():
        lot = session().get_one(Lot, key)
        paper = prints_stock.quality_paper(lot)
        issued = prints_stock.issue_paper(session().merge(record))
    assert (paper["supplier"], paper["last_day"]) == ("某食品厂", str(shop.today + timedelta(days=90)))
    assert [row[2] for row in paper["moved"]] == ["-2", "+5"]
    assert paper["buyers"][0][0] == record.number
    browser = login(app.test_client(), shop.staff("store_head"), unit=shop.unit)
    assert browser.get(f"/admin/labels/?form=store.lot&id={key}").status_code == 200
    sent = {"form": "store.lot", "id": str(key), "size": "large"}
    assert browser.post("/admin/labels/print", data=sent).status_code in (200, 422)
    assert issued["total"] == "20.00" and issued["lines"][0][1] == "Q1"


@pytest.mark.clause("R09-5.2.4c")
def test_the_page_of_a_batch_lists_stock_deliveries_and_buyers(shop: Shop, app: Flask) -> None:
    """S51: what is here, what is on its way, who has some of it."""
    model = shop.goods()
    key = stocked(shop, 65, model_id=model, number="L7")
    sell(shop, "L7, 25", phone="13800138000")
    coming = delivery(shop, model, "L7", 10)
    with shop.acting():
        assert [(one.record.id, one.pieces) for one in stopping.coming(shop.unit.id, model, "L7")] == [(coming, 10)]
        batch = products.lock_batches([session().get_one(Lot, key).batch_id or 0]).popitem()[1]
        products.hold_batch(batch, "fault")
        session().commit()
    browser = login(app.test_client(), shop.staff("store_head"), unit=shop.unit)
    page = browser.get(f"/p/store/batch/{batch.id}").get_data(as_text=True)
    for word in ("L7", ">40<", ">10<", ">25<", "fault"):
        assert word in page
    page = browser.get(f"/admin/products/batches/details/?id={batch.id}").get_data(as_text=True)
    assert f"/p/store/batch/{batch.id}" in page or browser.get("/admin/products/batches/").status_code == 403


def test_reports_count_what_is_there(shop: Shop) -> None:
    """Batches by their last day, movements by product, objections by supplier."""
    supplier = shop.supplier("某食品厂")
    key = stocked(shop, 9, number="R1", best_before=shop.today + timedelta(days=5), supplier_id=supplier)
    sell(shop, "R1, 2")
    with shop.acting():
        about = {"lot": "R1", "quantity": 3, "found_at": "shelf", "problem": "leaks"}
        objections.register(shop.unit.id, about)
        units, month = [shop.unit.id], {"period": "this_month"}
        (row,) = reports_stock.EXPIRY.rows(units, {"days": 5})
        assert (row["left"], row["stock"], row["unit"]) == (5, 7, shop.unit.name)
        assert list(reports_stock.EXPIRY.rows(units, {"days": 4})) == []
        (row,) = reports_stock.MOVED.rows(units, month)
        assert (row["received"], row["out"], row["off"], row["count"]) == (9, 2, 0, 0)
        (row,) = reports_stock.OBJECTED.rows(units, month)
        assert row == {"supplier": "某食品厂", "objections": 1, "pieces": 3}
    assert key


def test_pages_of_records_show_what_they_are_about(shop: Shop, app: Flask) -> None:
    """An entry of outgoing goods, an objection and a removal, each with its batch."""
    stocked(shop, 9, number="P1", best_before=date(2099, 1, 1))
    record = sell(shop, "P1, 2", phone="13800138000")
    with shop.acting():
        about = {"lot": "P1", "quantity": 3, "found_at": "shelf", "problem": "leaks"}
        ids = [record.id, objections.register(shop.unit.id, about).id]
        ids.append(removals.register(shop.unit.id, {"lot": "P1", "reason": "near"}).id)
    browser = login(app.test_client(), shop.staff("store_head"), unit=shop.unit)
    for key in ids:
        page = browser.get(f"/admin/record/{key}")
        assert page.status_code == 200 and "P1" in page.get_data(as_text=True)
    form = f"/p/store/issue/{record.id}/back"
    assert browser.get(form).status_code == 200
    sent: dict[str, Any] = {"line": "1", "quantity": "9", "note": "too many", "key": "a"}
    assert browser.post(form, data=sent).status_code in (404, 422)


def test_lists_cost_the_same_for_few_and_many(shop: Shop, app: Flask, count_queries: Any) -> None:
    """A page of batches reads products, suppliers and places at once; so does the check of a bar code."""
    supplier, model = shop.supplier(), shop.goods(barcode=BARCODES[1])
    browser = login(app.test_client(), shop.staff("store_head"), unit=shop.unit)
    addresses = ("/admin/store/lots/", f"/p/store/check?code={BARCODES[1]}")
    seen: dict[str, list[int]] = {one: [] for one in addresses}
    for many in (2, 12):
        for place in range(many):
            stocked(shop, 5, number=f"N{many}-{place}", supplier_id=supplier, model_id=model)
        for one in addresses:
            browser.get(one)
            with count_queries() as sent:
                assert browser.get(one).status_code == 200
            seen[one].append(len(sent))
    assert all(few == more for few, more in seen.values()), seen

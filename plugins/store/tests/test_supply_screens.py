"""Pages of supply as people see them: lists, forms, boxes, the inspection of a delivery, prints, reports, API."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select

from core.kernel import clock
from core.sdk import Record, User, documents, session
from plugins.store import orders, plans, prints_supply, receiving, releases, reports_supply, suppliers, values
from plugins.store.models import Lot, Objection, Paper, Product, PurchaseOrder, Receiving, ReceivingLine, Supplier
from tests.helpers import login

from .scene import BARCODES, Shop, make_shop

CODE = BARCODES[0]
LISTS = ("receivings", "orders", "plans", "suppliers", "products", "releases")


@pytest.fixture
def shop(app: Flask) -> Shop:
    return make_shop()


def sees(shop: Shop, client: FlaskClient, user: User | None = None) -> FlaskClient:
    return login(client, user or shop.staff("store_head"))


@pytest.fixture
def page(shop: Shop, client: FlaskClient) -> FlaskClient:
    return sees(shop, client)


def text(client: FlaskClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def delivered(shop: Shop, lines: str = f"{CODE}, 10, L7, 2026-01-10") -> int:
    with shop.acting():
        raw = {"supplier": str(shop.supplier()), "lines": lines, "arrived": "1", "delivery_note": "SH-1"}
        return receiving.register(shop.unit.id, raw).id


def test_lists_and_forms_open_and_make(shop: Shop, page: FlaskClient) -> None:
    model = shop.model("酸奶", sheet=False)
    for name in LISTS:
        assert "酸奶" not in text(page, f"/admin/store/{name}/")
    answer = page.post("/admin/store/suppliers/new/", data={"name": "东方商行", "supplies": "乳品", "licence": "1"})
    assert answer.status_code == 302
    supplier = shop.all(select(Supplier.id).where(Supplier.unit_id == shop.unit.id))[0]
    answer = page.post(
        "/admin/store/products/new/",
        data={"model_id": str(model), "barcode": CODE, "shelf_days": "21", "active": "1", "supplier_id": supplier},
    )
    assert answer.status_code == 302
    lines = {"supplier": supplier, "lines": f"{CODE}, 10, 3.5", "standard_met": "1"}
    assert page.post("/admin/store/orders/new/", data=lines).status_code == 302
    raw = {"supplier": supplier, "lines": f"{CODE}, 10", "arrived": "1", "delivery_note": "SH-1"}
    shop.clause("R02-7a", holds=False)
    shop.clause("R02-7b", holds=False)
    assert page.post("/admin/store/receivings/new/", data=raw).status_code == 302
    twice = page.post("/admin/store/receivings/new/", data=raw)
    assert twice.status_code == 422 and "SH-1" in twice.get_data(as_text=True)
    assert page.post("/admin/store/plans/new/", data={"month": "2026-04"}).status_code == 302
    assert page.post("/admin/store/releases/new/", data={"model": CODE}).status_code == 302
    for name in LISTS:
        assert shop.unit.code in text(page, f"/admin/store/{name}/")
    wrong = page.post("/admin/store/products/new/", data={"model_id": str(model), "barcode": "123"})
    assert wrong.status_code == 422
    sheet = shop.all(select(Product.id).where(Product.unit_id == shop.unit.id))[0]
    assert CODE in text(page, f"/admin/store/products/details/?id={sheet}")
    assert page.post(f"/admin/store/products/edit/?id={sheet}", data={"barcode": CODE}).status_code == 302


def test_a_delivery_is_inspected_on_its_page(shop: Shop, page: FlaskClient) -> None:
    shop.clause("R02-9")
    shop.model("酸奶", barcode=CODE, shelf_days=180)
    key = delivered(shop, f"{CODE}, 10, L7, 2026-01-10\n{CODE}, 5, L8, 2026-01-11")
    first, _second = shop.all(
        select(ReceivingLine.id).where(ReceivingLine.receiving_id == key).order_by(ReceivingLine.id)
    )
    url = f"/p/store/delivery/{key}/inspect"
    assert "L7" in text(page, url)
    with clock.frozen(shop.now):
        wrong = page.post(url, data={f"{first}.counted": "10", f"{first}.accepted": "11", "do": "save"})
        assert wrong.status_code == 422
        shown = wrong.get_data(as_text=True)
        assert f'id="e{first}.accepted"' in shown and 'value="11"' in shown
        data = {f"{first}.counted": "10", f"{first}.refused": "1", f"{first}.fault": "破", f"{first}.batch": "L7"}
        data |= {f"{first}.made_on": "2026-01-10", "do": "save"}
        assert page.post(url, data=data).status_code == 302
        unfinished = page.post(url, data={"do": "finish"})
        assert unfinished.status_code == 422 and "R02-9" in unfinished.get_data(as_text=True)
        assert page.post(url, data={"do": "finish", "as_expected": "1"}).status_code == 302
    assert shop.state(key) == values.CHECKED
    lots = shop.all(select(Lot.stock).where(Lot.receiving_id == key).order_by(Lot.id))
    assert lots == [9, 5]
    assert shop.all(select(Objection.quantity).where(Objection.unit_id == shop.unit.id)) == [1]
    assert page.get(url).status_code == 302
    assert "L8" in text(page, f"/admin/record/{key}")


def test_dates_typed_on_the_page_count_for_lines_as_expected(shop: Shop, page: FlaskClient) -> None:
    for clause in ("R02-9", "R02-10"):
        shop.clause(clause)
    shop.model("酸奶", barcode=CODE, shelf_days=180)
    key = delivered(shop, f"{CODE}, 10")
    line = shop.all(select(ReceivingLine.id).where(ReceivingLine.receiving_id == key))[0]
    url, dates = f"/p/store/delivery/{key}/inspect", {f"{line}.batch": "L7", f"{line}.made_on": "2026-01-10"}
    with clock.frozen(shop.now):
        assert page.post(url, data={**dates, "do": "save"}).status_code == 422
        assert page.post(url, data={"do": "finish", "as_expected": "1"}).status_code == 422
        assert page.post(url, data={**dates, "do": "finish", "as_expected": "1"}).status_code == 302
    (lot,) = shop.all(select(Lot).where(Lot.receiving_id == key))
    assert (lot.stock, lot.number, str(lot.last_day)) == (10, "L7", "2026-07-09")


def test_the_boxes_of_records_show_what_there_is(shop: Shop, page: FlaskClient) -> None:
    shop.model("酸奶", barcode=CODE)
    with shop.acting():
        supplier = suppliers.register(shop.unit.id, {"name": "东方商行", "supplies": "乳品", "licence": "1"}).id
        order = orders.register(shop.unit.id, {"supplier": str(supplier), "lines": f"{CODE}, 3, 2.5"}).id
        plan = plans.register(shop.unit.id, {"month": "2026-04", "lines": f"{CODE}, 3, 东方商行"}).id
        release = releases.register(shop.unit.id, {"model": CODE}).id
    good = {"quality": 90, "delivery": 80, "price": 70, "service": 85, "reputation": 95, "verdict": "qualified"}
    shop.do(supplier, "assess", **good)
    shop.do(plan, "approve")
    pdf = io.BytesIO(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n")
    url = f"/p/store/release/{release}/paper"
    text(page, url)
    bad = {"kind": "test", "number": "JC-1", "file": (io.BytesIO(b"<html>"), "x.png")}
    assert page.post(url, data=bad, content_type="multipart/form-data").status_code == 422
    sent = {"kind": "test", "number": "JC-1", "file": (pdf, "x.pdf")}
    assert page.post(url, data=sent, content_type="multipart/form-data").status_code == 302
    assert "84.00" in text(page, f"/admin/record/{supplier}")
    assert "7.50" in text(page, f"/admin/record/{order}")
    assert "JC-1" in text(page, f"/admin/record/{release}")
    assert page.post(f"/p/store/plan/{plan}/orders").status_code == 302
    assert len(shop.all(select(PurchaseOrder).where(PurchaseOrder.unit_id == shop.unit.id))) == 2
    text(page, f"/admin/record/{plan}")
    paper = shop.all(select(Paper.id).where(Paper.release_id == release))[0]
    assert page.post(f"/p/store/paper/{paper}/strike").status_code == 302
    assert shop.all(select(Paper.struck_at).where(Paper.id == paper))[0] is not None
    key = delivered(shop)
    line = f"/p/store/delivery/{key}/line"
    text(page, line)
    assert page.post(line, data={"product": CODE, "expected": "2"}).status_code == 302
    ids = shop.all(select(ReceivingLine.id).where(ReceivingLine.receiving_id == key))
    assert page.post(f"/p/store/delivery-line/{ids[-1]}/remove").status_code == 302
    assert len(shop.all(select(ReceivingLine.id).where(ReceivingLine.receiving_id == key))) == 1


def test_prints_and_reports_come_out(shop: Shop, page: FlaskClient) -> None:
    shop.model("酸奶", barcode=CODE, reorder_at=15, reorder_to=20)
    key = delivered(shop)
    shop.do(key, "check", as_expected="1")
    with shop.acting():
        detail = shop.all(select(Receiving).where(Receiving.id == key))[0]
        order = orders.register(shop.unit.id, {"supplier": str(detail.supplier_id), "lines": f"{CODE}, 3, 2.5"})
        assert prints_supply.order_paper(order)["total"] == "7.50"
        record = session().get_one(Record, key)
        assert prints_supply.inspection_paper(record)["lines"][0][2] == "L7"
        supplier = session().get_one(Record, detail.supplier_id)
        assert prints_supply.supplier_paper(supplier)["assessments"] == []
        rows = list(reports_supply.RECEIVED.rows([shop.unit.id], {"year": None}))
        assert [row["counted"] for row in rows] == [10]
        assert [row["proposed"] for row in reports_supply.REORDER.rows([shop.unit.id], {})] == [10]
        assert [row["deliveries"] for row in reports_supply.SUPPLIERS.rows([shop.unit.id], {})] == [1]
        assert list(reports_supply.PAPERS.rows([shop.unit.id], {"days": 10})) == []
    for code in ("reorder", "suppliers", "papers", "received"):
        text(page, f"/admin/report-list/show/?report=store.{code}")


def test_the_papers_are_set_in_both_languages(shop: Shop) -> None:
    shop.model("酸奶", barcode=CODE)
    key = delivered(shop)
    supplier = shop.all(select(Receiving.supplier_id).where(Receiving.id == key))[0]
    with shop.acting():
        order = orders.register(shop.unit.id, {"supplier": str(supplier), "lines": f"{CODE}, 3, 2.5"}).id
    good = {"quality": 90, "delivery": 80, "price": 70, "service": 85, "reputation": 95, "verdict": "qualified"}
    shop.do(supplier, "assess", **good)
    for form, about in (
        (prints_supply.ORDER, order),
        (prints_supply.INSPECTION, key),
        (prints_supply.SUPPLIER, supplier),
    ):
        for locale in ("zh", "en"):
            with shop.acting():
                assert documents.preview(documents.form_of(form), about, locale).startswith(b"%PDF")


def test_lists_ask_the_same_for_five_and_for_fifty(shop: Shop, page: FlaskClient) -> None:
    def statements(url: str) -> int:
        seen: list[str] = []

        def record(*args: Any) -> None:
            seen.append(args[2])

        event.listen(Engine, "before_cursor_execute", record)
        try:
            text(page, url)
        finally:
            event.remove(Engine, "before_cursor_execute", record)
        return len(seen)

    def more(count: int) -> None:
        for number in range(count):
            shop.model(f"商品{number}")
            shop.supplier()

    more(5)
    text(page, "/admin/store/products/")
    first = [statements(f"/admin/store/{name}/") for name in ("products", "suppliers")]
    more(30)
    assert [statements(f"/admin/store/{name}/") for name in ("products", "suppliers")] == first


def test_who_may_not_receive_gets_no_page(shop: Shop, client: FlaskClient) -> None:
    shop.model(barcode=CODE)
    key = delivered(shop)
    seller = sees(shop, client, shop.staff("sales"))
    assert seller.get(f"/p/store/delivery/{key}/inspect").status_code == 403
    assert seller.get("/admin/store/suppliers/new/").status_code == 403
    text(seller, f"/admin/record/{key}")


def test_a_stranger_finds_nothing(shop: Shop, client: FlaskClient) -> None:
    shop.model(barcode=CODE)
    key = delivered(shop)
    away = make_shop()
    stranger = sees(away, client, away.staff("store_head"))
    for url in (f"/p/store/delivery/{key}/inspect", f"/p/store/delivery/{key}/line", f"/admin/record/{key}"):
        assert stranger.get(url).status_code == 404

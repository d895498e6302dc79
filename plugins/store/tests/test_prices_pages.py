"""Pages of prices, the showroom and stock counts: lists, forms, boxes, papers, reports, API, import."""

from __future__ import annotations

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, select

from core.kernel import clock
from core.kernel import importing as files
from core.sdk import Record, transaction
from plugins.store import lots, prices, prints_prices, reports_prices, showroom, stock_counts
from plugins.store.models import Price, PriceChange, PriceLine, Showroom, StockCount, StockCountLine
from tests.api_scene import Asker, token_of
from tests.helpers import login

from .scene import BARCODES, Shop, make_shop

CODE = BARCODES[0]
LISTS = ("prices", "price-changes", "showroom", "counts")


@pytest.fixture
def shop(app: Flask) -> Shop:
    made = make_shop(off=("R02-18", "MD-4"))
    made.now = clock.now()
    return made


@pytest.fixture
def page(shop: Shop, client: FlaskClient) -> FlaskClient:
    return login(client, shop.staff("store_head"), unit=shop.unit)


def text(client: FlaskClient, url: str, status: int = 200) -> str:
    answer = client.get(url)
    assert answer.status_code == status, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def counted(shop: Shop, pieces: int = 10) -> tuple[int, int]:
    """Return (count, lot) of a count that is under way."""
    with shop.acting(), transaction():
        lot = lots.receive(shop.unit.id, shop.model("绿茶", barcode=CODE), pieces, number="L1").id
        return stock_counts.begin(shop.unit.id, {}).id, lot


def test_new_prices_are_proposed_changed_made_public_and_shown(shop: Shop, page: FlaskClient) -> None:
    model = shop.model("绿茶", barcode=CODE)
    for name in LISTS:
        text(page, f"/admin/store/{name}/")
    form = {"reason": "进价上调", "lines": f"{CODE}, 12.5"}
    text(page, "/admin/store/price-changes/new/")
    assert page.post("/admin/store/price-changes/new/", data=form | {"starts_on": "2020-01-01"}).status_code == 422
    answer = page.post("/admin/store/price-changes/new/", data=form | {"lines": f"{CODE}, 0"})
    assert answer.status_code == 422 and shop.all(select(PriceChange)) == []
    assert page.post("/admin/store/price-changes/new/", data=form).status_code == 302
    (key,) = shop.all(select(PriceChange.id))
    assert "12.5" in text(page, f"/admin/record/{key}")
    edit = f"/admin/store/price-changes/edit/?id={key}"
    assert f"{CODE}, 12.50" in text(page, edit)
    assert page.post(edit, data=form | {"lines": f"{CODE}, 13"}).status_code == 302
    shop.do(key, "approve")
    for url in (
        "/admin/store/prices/",
        "/admin/store/prices/?quick=now",
        f"/p/store/price/{model}",
        "/p/store/price-list",
    ):
        assert "13.00" in text(page, url)
    assert "13.00" not in text(page, "/p/store/price-list?day=2020-01-01")
    assert "13.00" not in text(page, "/admin/store/prices/?quick=coming")
    text(page, "/p/store/price-list?day=x")
    text(page, "/p/store/price/999999999", 404)
    assert "绿茶" in text(page, f"/admin/store/prices/?q={CODE}")


def test_a_task_of_the_showroom_is_set_and_shown(shop: Shop, page: FlaskClient) -> None:
    text(page, "/admin/store/showroom/new/")
    form = {"kind": "install", "text": "安装样品"}
    assert page.post("/admin/store/showroom/new/", data=form | {"due_on": "2020-01-01"}).status_code == 422
    assert page.post("/admin/store/showroom/new/", data=form).status_code == 302
    (key,) = shop.all(select(Showroom.id))
    assert "安装样品" in text(page, f"/admin/record/{key}")
    assert "安装样品" in text(page, "/admin/store/showroom/?quick=open")


def test_a_count_with_the_scan_gun(shop: Shop, page: FlaskClient) -> None:
    key, lot = counted(shop)
    text(page, "/p/store/count/new")
    answer = page.post("/p/store/count/new", data={"place_id": "", "key": "k"})
    assert answer.location.endswith(f"/p/store/count/{key}")
    url = f"/p/store/count/{key}"
    assert "L1" in text(page, url)
    for data in (
        {"code": "没有的", "counted": "1"},
        {"code": "L1", "counted": "-1"},
        {"code": "L1", "counted": "x"},
    ):
        assert page.post(url, data={"do": "add", **data}).status_code == 422
    assert page.post(url, data={"do": "add", "code": CODE, "counted": "8"}).status_code == 200
    (line,) = shop.all(select(StockCountLine))
    assert (line.expected, line.counted) == (10, 8)
    data = {"do": f"line {line.id}", f"counted-{line.id}": "9", f"reason-{line.id}": "破损"}
    assert page.post(url, data=data).status_code == 200
    assert page.post(url, data={"do": "line 999999999", "counted-999999999": "1"}).status_code == 404
    assert page.post(url, data={"do": "sign", "key": "s1"}).status_code == 302
    assert page.get(url).status_code == 302
    assert "破损" in text(page, f"/admin/record/{key}")
    reason = f"/p/store/count/{key}/reason/{line.id}"
    text(page, reason)
    assert page.post(reason, data={"reason": ""}).status_code == 422
    assert page.post(reason, data={"reason": "外包装破损"}).status_code == 302
    assert "L1" not in text(page, "/admin/store/counts/?quick=open")
    shop.do(key, "close")
    with shop.acting():
        assert lots.lock_lot(lot).stock == 9


def test_who_may_not_sees_no_pages(shop: Shop, client: FlaskClient) -> None:
    key, _lot = counted(shop)
    seer = login(client, shop.staff("finance"), unit=shop.unit)
    text(seer, "/admin/store/prices/")
    text(seer, f"/p/store/count/{key}", 403)
    text(seer, "/p/store/count/new", 403)
    text(seer, "/admin/store/price-changes/new/", 403)


def test_papers_reports_and_tiles(shop: Shop, page: FlaskClient) -> None:
    key, _lot = counted(shop)
    with shop.acting():
        stock_counts.count_one(key, {"code": "L1", "counted": "9", "reason": "破损"})
        change = prices.register(shop.unit.id, {"reason": "x", "lines": f"{CODE}, 5"}).id
        showroom.register(shop.unit.id, {"kind": "install", "text": "安装样品"})
    assert "/price-changes/" in text(page, "/admin/")
    shop.do(key, "sign")
    shop.do(key, "close")
    shop.do(change, "approve")
    with shop.acting() as work:
        paper = prints_prices.count_paper(work.get_one(Record, key))
        assert paper["lines"][0][1:] == ["L1", "10", "9", "-1", "破损"]
        notice = prints_prices.notice(work.get_one(Record, change))
        assert notice["rows"][0][0] == CODE and notice["rows"][0][2:] == ["—", "5.00"]
        for report, number in zip(reports_prices.reports(), (1, 1, 1), strict=True):
            assert len(list(report.rows([shop.unit.id], {"period": "this_month"}))) == number


def test_the_api_tells_and_takes(shop: Shop, app: Flask) -> None:
    key, _lot = counted(shop)
    asker = Asker(app, token_of(shop.staff("store_head")))
    answer = asker.post("/store/price-changes", {"reason": "x", "lines": f"{CODE}, 5"})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    shop.do(answer.get_json()["id"], "approve")
    bad = asker.post("/store/price-changes", {"reason": "x", "lines": "?, 5"})
    assert bad.status_code == 422 and "lines" in bad.get_data(as_text=True)
    (row,) = asker.get("/store/prices").get_json()["items"]
    assert (row["product"], row["price"]) == (CODE, "5.00")
    assert asker.post("/store/showroom", {"kind": "repair", "text": "修抽屉"}).status_code == 201
    assert asker.patch(f"/store/counts/{key}", {"code": "L1", "counted": 8}).status_code == 200
    (count,) = asker.get("/store/counts").get_json()["items"]
    assert (count["counted"], count["differences"]) == (1, 1)
    (line,) = asker.get("/store/count-lines").get_json()["items"]
    assert (line["batch"], line["expected"], line["counted"]) == ("L1", 10, 8)


SHEET = """商品,售价,生效日期
CODE,"¥12.50",
CODE,13,
没有的,5,
OTHER,-1,
OTHER,5,2020-01-01
OTHER,6,2099年1月2日
"""


def test_a_price_list_becomes_a_draft_and_importing_it_again_changes_nothing(shop: Shop) -> None:
    shop.model(barcode=CODE)
    shop.model(barcode=BARCODES[1])
    sheet = SHEET.replace("CODE", CODE).replace("OTHER", BARCODES[1])

    def run() -> dict[str, int]:
        with shop.acting(), transaction():
            staged = files.stage("store-prices", shop.unit.id, io.BytesIO(sheet.encode()), "价格表.csv").id
        with shop.acting() as work, transaction():
            counts = dict(files.check(work.get_one(files.ImportRun, staged)))
        with shop.acting():
            files.confirm(staged)
        return counts

    found = run()
    assert (found["create"], found["error"]) == (2, 4)
    assert len(shop.all(select(PriceChange))) == 2 == len(shop.all(select(PriceLine)))
    assert shop.all(select(Price)) == []
    assert run()["same"] == 2
    assert len(shop.all(select(PriceChange))) == 2


def test_lists_need_as_many_queries_for_many_rows(shop: Shop, page: FlaskClient) -> None:
    def fill(number: int) -> None:
        for _ in range(number):
            shop.price(shop.model("商品"))
            shop.record(
                "store_showroom", Showroom(kind="install", starts_on=shop.today, due_on=shop.today), "open", "x"
            )
            shop.record("store_count", StockCount(begun_at=shop.now), "counting", "y")

    def queries(url: str) -> int:
        seen: list[str] = []

        def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            text(page, url)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return len(seen)

    fill(3)
    first = {name: (queries(f"/admin/store/{name}/"), queries(f"/admin/store/{name}/"))[1] for name in LISTS}
    fill(20)
    assert {name: queries(f"/admin/store/{name}/") for name in LISTS} == first

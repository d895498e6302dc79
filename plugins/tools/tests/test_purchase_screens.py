"""Purchase, stock and losses as people meet them: screens, boxes, API. Strangers see none of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.sdk import Record
from plugins.tools import purchase, rights, values
from plugins.tools.models import Purchase, Stock
from tests.api_scene import Asker, token_of
from tests.helpers import as_system, login, make_user

from .scene_buying import ALL, Shop, make_shop

PLANS, STOCK, MOVES = "/admin/tools/purchases", "/admin/tools/stock", "/admin/tools/stock-moves"
LOSSES = "/admin/tools/statistics"
ASKING = ("R15-19", "R32-2.1", "R32-2.2", "R35-4.4", "R35-4.9")


class Desk:
    """A shop, and somebody signed in who may do everything with tools."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.shop: Shop = make_shop()
        self.shop.office.clause(*ASKING, on=False)
        self.client = self.of(ALL | {"record.view"})

    def of(self, permissions: Any) -> FlaskClient:
        user = make_user(self.shop.unit, permissions, locale="en")
        return login(self.app.test_client(), user)

    def get(self, url: str, status: int = 200, client: FlaskClient | None = None) -> str:
        answer = (client or self.client).get(url)
        assert answer.status_code == status, answer.text[-1500:]
        return answer.text

    def post(self, url: str, status: int = 302, client: FlaskClient | None = None, **form: Any) -> Any:
        answer = (client or self.client).post(url, data=form)
        assert answer.status_code == status, answer.text[-3000:]
        return answer

    def newest(self) -> int:
        with as_system() as work:
            return work.scalars(select(Purchase.id).order_by(Purchase.id.desc())).first() or 0


@pytest.fixture
def desk(app: Flask) -> Iterator[Desk]:
    made = Desk(app)
    with clock.frozen(made.shop.now):
        yield made


def test_a_plan_from_the_form_to_the_receipt(desk: Desk) -> None:
    shop = desk.shop
    kind, store = shop.kind("<b>测距仪</b>"), shop.store("北库")
    desk.get(f"{PLANS}/new/")
    desk.post(f"{PLANS}/new/", kind="need", lines="<b>测距仪</b>, 2, 300, 甲店", reason="不足", budget="1000")
    plan = desk.newest()
    page = desk.get(record_url(desk, plan))
    assert "600.00" in page and "&lt;b&gt;测距仪" in page and "<b>测距仪" not in page
    desk.get(f"/p/tools/purchase/{plan}/line")
    desk.post(f"/p/tools/purchase/{plan}/line", kind=str(kind), quantity="1", price="290", quote="乙店")
    second = shop.lines(plan)[1].id
    desk.post(f"/p/tools/purchase-line/{second}", kind=str(kind), quantity="3", price="290")
    assert [(one.quantity, one.price) for one in shop.lines(plan)] == [(2, Decimal(300)), (3, Decimal(290))]
    wrong = desk.post(f"/p/tools/purchase-line/{second}", 422, kind=str(kind), quantity="0")
    assert "At least 1" in wrong.text
    desk.post(f"/p/tools/purchase-line/{second}/remove")
    shop.do(plan, "approve")
    shop.do(plan, "order", supplier="甲店")
    line = shop.lines(plan)[0].id
    form = desk.get(f"/p/tools/purchase-line/{line}/receive")
    key = re.search(r'name="key" value="([0-9a-f]+)"', form)
    assert key is not None
    given = {"key": key[1], "store": str(store), "quantity": "2", "serials": "A1\nA2", "result": "完好"}
    for _click in range(2):
        desk.post(f"/p/tools/purchase-line/{line}/receive", **given)
    assert [one.serial for one in shop.tools_of(kind)] == ["A1", "A2"]
    assert shop.state(plan) == values.RECEIVED
    listed = desk.get(PLANS + "/")
    assert "测距仪" in listed and "Goods received" in listed
    assert "测距仪" not in desk.get(f"{PLANS}/?quick=to_come")


def record_url(desk: Desk, key: int) -> str:
    """Return where a record's page is: the list leads there."""
    answer = desk.client.get(f"{PLANS}/details/?id={key}")
    assert answer.status_code == 302
    return str(answer.headers["Location"])


def test_a_draft_changed_in_between_is_not_overwritten(desk: Desk) -> None:
    shop = desk.shop
    kind = shop.kind()
    plan = shop.plan([{"kind": str(kind), "quantity": "1"}])
    page = desk.get(f"{PLANS}/edit/?id={plan}")
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    with shop.acting():
        purchase.save_line(plan, {"kind": str(kind), "quantity": "9"})
    desk.post(f"{PLANS}/edit/?id={plan}", 409, version=version[1], lines="", reason="x")
    assert len(shop.lines(plan)) == 2
    page = desk.get(f"{PLANS}/edit/?id={plan}")
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    desk.post(f"{PLANS}/edit/?id={plan}", version=version[1], lines="", reason="x")
    assert shop.lines(plan) == []
    shop.do(plan, "cancel", reason="不买")
    answer = desk.post(f"{PLANS}/edit/?id={plan}", 422, lines="", reason="y")
    assert "Only a draft is changed" in answer.text


def test_stock_is_entered_counted_and_used_up(desk: Desk) -> None:
    shop = desk.shop
    tape, store = shop.parts("防水胶带", low_stock=5), shop.store("北库")
    desk.get("/p/tools/stock/start")
    desk.post("/p/tools/stock/start", party=str(store), kind=str(tape), quantity="10")
    with as_system() as work:
        row = work.scalars(select(Stock.id).where(Stock.kind_id == tape)).one()
    desk.get(f"/p/tools/stock/{row}/count")
    desk.post(f"/p/tools/stock/{row}/count", counted="9", note="少一卷")
    desk.get(f"/p/tools/stock/{row}/use")
    for _click in range(2):
        desk.post(f"/p/tools/stock/{row}/use", quantity="6", key="k1")
    refused = desk.post(f"/p/tools/stock/{row}/use", 422, quantity="4")
    assert "北库 has only 3 of 防水胶带" in refused.text
    assert shop.quantity(store, tape) == 3
    listed = desk.get(f"{STOCK}/?quick=low")
    assert "防水胶带" in listed and "Too few" in listed
    assert "防水胶带" in desk.get(f"{STOCK}/?f_kind={tape}&f_store={store}")
    moves = desk.get(MOVES + "/")
    assert "Used up" in moves and "Corrected by a count" in moves and "Value at the start" in moves


def test_a_months_losses_are_shown_and_reported(desk: Desk) -> None:
    shop = desk.shop
    kind, store = shop.kind("测距仪", low_stock=2, price=Decimal(300)), shop.store()
    shop.step(shop.tool(kind, store), "lose")
    page = desk.get(LOSSES + "/")
    assert "测距仪" in page and "Report to the manager" in page
    assert "future" in desk.get(f"{LOSSES}/?month=2027-01")
    desk.post("/p/tools/statistics/submit", month="2026-11")
    plan = desk.newest()
    assert [(one.kind_id, one.quantity) for one in shop.lines(plan)] == [(kind, 2)]
    with as_system() as work:
        number = work.get_one(Record, plan).number
    page = desk.get(LOSSES + "/")
    assert number in page and "Report to the manager and draft" not in page
    again = desk.client.post("/p/tools/statistics/submit", data={"month": "2026-11"}, follow_redirects=True)
    assert "was reported already" in again.text
    desk.get("/p/tools/statistics/year")
    # What was lost is expected to go again.
    desk.post("/p/tools/statistics/year", year="2027")
    assert [(one.kind_id, one.quantity) for one in shop.lines(desk.newest())] == [(kind, 1)]
    refused = desk.post("/p/tools/statistics/year", 422, year="2027")
    assert "There is a plan for 2027 already" in refused.text


@pytest.mark.clause("R33-9.1")
def test_who_sees_nothing_of_it(desk: Desk) -> None:
    shop, away = desk.shop, make_shop()
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "1"}])
    line, theirs = shop.lines(plan)[0].id, away.plan([{"kind": str(away.kind()), "quantity": "1"}])
    foreign = away.lines(theirs)[0].id
    outsider = desk.of({rights.OWN, "case.view"})
    for url in (PLANS + "/", STOCK + "/", MOVES + "/", LOSSES + "/"):
        desk.get(url, 403, outsider)
    for url in (f"/p/tools/purchase-line/{line}", f"/p/tools/purchase-line/{line}/receive"):
        desk.get(url, 404, outsider)
    looker = desk.of({rights.VIEW, "case.view"})
    desk.get(PLANS + "/", 200, looker)
    for url in (f"/p/tools/purchase-line/{line}", "/p/tools/stock/start", "/p/tools/statistics/year"):
        desk.get(url, 403, looker)
    desk.post("/p/tools/statistics/submit", 403, looker, month="2026-11")
    for url in (f"/p/tools/purchase-line/{foreign}", "/p/tools/purchase-line/x", "/p/tools/stock/999/count"):
        desk.get(url, 404)


def test_purchase_and_stock_over_the_api(desk: Desk) -> None:
    shop = desk.shop
    kind, tape, store = shop.kind("测距仪"), shop.parts("防水胶带"), shop.store("北库")
    api = Asker(desk.app, token_of(make_user(shop.unit, ALL), "*"))
    body = {"kind": "need", "lines": "测距仪, 2, 300, 甲店 300"}
    for _again in range(2):
        answer = api.post("/tools/purchases", body, Idempotency_Key="p-1")
        assert answer.status_code in (200, 201), answer.text
    (one,) = api.get("/tools/purchases").json["items"]
    assert (one["state"], one["lines"][0]["quantity"], one["lines"][0]["price"]) == ("draft", 2, "300.00")
    changed = api.patch(f"/tools/purchases/{one['id']}", {"budget": 900})
    assert changed.status_code == 200 and changed.json["budget"] == "900.00", changed.text
    assert [(line.kind_id, line.quantity) for line in shop.lines(one["id"])] == [(kind, 2)]
    shop.move(tape, None, store, 5)
    used = {"party": store, "kind": tape, "quantity": 2}
    for _again in range(2):
        answer = api.post("/tools/stock-moves", used, Idempotency_Key="m-1")
        assert answer.status_code in (200, 201), answer.text
    (held,) = api.get(f"/tools/stock?party={store}").json["items"]
    assert (held["holder"], Decimal(str(held["quantity"]))) == ("北库", Decimal(3))
    assert [move["why"] for move in api.get("/tools/stock-moves").json["items"]].count("used") == 1
    stranger = Asker(desk.app, token_of(make_user(shop.unit, {rights.OWN}), "*"))
    for path in ("/tools/purchases", "/tools/stock", "/tools/stock-moves"):
        assert stranger.get(path).json.get("items", []) == []
        assert stranger.post(path, body).status_code in (403, 404, 405)

"""Pages of the stock: what they show, what they refuse, and that looking writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import func, select

from core.kernel import clock
from plugins.store import values
from plugins.store.models import Issue, IssueLine, Lot, Movement, Objection, Removal
from tests.helpers import login

from .scene import BARCODES, Shop, make_shop
from .test_issues import ON
from .test_lots import stocked


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    shop = make_shop(on=ON)
    shop.now = clock.now()  # requests have the present time
    yield shop


@pytest.fixture
def browser(shop: Shop, app: Any) -> Any:
    return login(app.test_client(), shop.staff("store_head"), unit=shop.unit)


def text_of(answer: Any) -> str:
    return str(answer.get_data(as_text=True))


def test_the_check_page_answers_a_scan(shop: Shop, browser: Any) -> None:
    """Sellable with its price; stopped with reason and clause; unknown; nothing is written."""
    key = stocked(shop, 5, model_id=shop.goods("酱油", barcode=BARCODES[0], price="8.80"), number="S1")
    raw = stocked(shop, 5, model_id=shop.model(), number="S2", on_sale=False)
    before = shop.all(select(func.count()).select_from(Movement))
    page = text_of(browser.get(f"/p/store/check?code={BARCODES[0]}"))
    assert "8.80" in page and f"/p/store/lot/{key}" in page
    page = text_of(browser.get(f"/p/store/check?code=store.lot~{raw}"))
    assert "R02-4" in page and "R02-18" in page
    assert browser.get("/p/store/check?code=nothing-like-it").status_code == 200
    assert before == shop.all(select(func.count()).select_from(Movement))


def test_a_photo_that_is_none_is_said(shop: Shop, browser: Any) -> None:
    for content in (b"", b"no photo at all"):
        given = {"photo": (BytesIO(content), "x.jpg")}
        assert browser.post("/p/store/check", data=given).status_code == 422


def test_goods_are_scanned_and_go_out(shop: Shop, browser: Any) -> None:
    """Every scan adds a piece to the list; then all of it goes out, once even when the button is pressed twice."""
    key = stocked(shop, 5, model_id=shop.goods(barcode=BARCODES[0]), number="S1")
    given = {"do": "add", "scan": BARCODES[0], "kind": "sale", "lines": f"{BARCODES[0]}, 1", "key": "k"}
    page = browser.post("/p/store/issue/new", data=given)
    assert page.status_code == 200 and f"{BARCODES[0]}, 2" in text_of(page)
    given |= {"do": "issue", "scan": "", "lines": f"{BARCODES[0]}, 2"}
    for _again in range(2):
        assert browser.post("/p/store/issue/new", data=given).status_code == 302
    assert shop.all(select(IssueLine.quantity)) == [2]
    record = shop.all(select(Issue.id))[0]
    assert "S1" in text_of(browser.get(f"/cases/{record}", follow_redirects=True)) or key


def test_what_is_stopped_is_said_on_the_form(shop: Shop, browser: Any) -> None:
    """All reasons with their clauses; what was entered stays."""
    raw = stocked(shop, 5, model_id=shop.model(), number="S2", on_sale=False)
    given = {"do": "issue", "kind": "sale", "lines": f"store.lot~{raw}, 1", "key": "k"}
    page = browser.post("/p/store/issue/new", data=given)
    assert page.status_code == 422 and "R02-4" in text_of(page) and f"store.lot~{raw}, 1" in text_of(page)
    assert not shop.all(select(Issue.id))


def test_a_batch_and_what_is_done_to_it(shop: Shop, browser: Any) -> None:
    """The quality file; put on sale and taken off; objection and removal by form."""
    key = stocked(shop, 5, number="S1", on_sale=False)
    assert "S1" in text_of(browser.get(f"/p/store/lot/{key}"))
    paper = text_of(browser.get(f"/admin/printing/?subject=store:lot&id={key}"))
    assert "S1" in paper and "object at" not in paper
    browser.post(f"/p/store/lot/{key}/on-sale")
    assert shop.all(select(Lot.state)) == [values.ON_SALE]
    browser.post(f"/p/store/lot/{key}/off-sale")
    assert shop.all(select(Lot.state)) == [values.ACCEPTED]
    given = {"lot": f"store.lot~{key}", "quantity": "2", "found_at": "shelf", "problem": "broken", "key": "a"}
    assert browser.post("/p/store/objection/new", data={**given, "quantity": "9"}).status_code == 422
    assert browser.post("/p/store/objection/new", data=given).status_code == 302
    assert shop.all(select(Objection.quantity)) == [2]
    given = {"lot": f"store.lot~{key}", "reason": "near", "key": "b"}
    assert browser.post("/p/store/removal/new", data=given).status_code == 302
    assert browser.post("/p/store/removal/new", data={**given, "key": "c"}).status_code == 422
    page = text_of(browser.get(f"/p/store/lot/{key}"))
    for one in (*shop.all(select(Objection.id)), *shop.all(select(Removal.id))):
        assert browser.get(f"/records/{one}", follow_redirects=True).status_code in (200, 404)
    assert "broken" not in page


@pytest.mark.parametrize(
    "page", ["store_lots", "store_issues", "store_objections", "store_removals", "store_check"]
)
def test_lists_are_there(shop: Shop, browser: Any, page: str, app: Any) -> None:
    key = stocked(shop, 5, number="S1")
    assert key
    path = page.partition("_")[2]
    assert browser.get(f"/admin/store/{path}/", follow_redirects=True).status_code == 200
    for quick in ("here", "accepted", "soon", "over", "held", "open", "decide"):
        assert browser.get(f"/admin/store/{path}/?quick={quick}", follow_redirects=True).status_code == 200


def test_other_units_batches_are_not_there(shop: Shop, browser: Any) -> None:
    other = make_shop()
    key = stocked(other, 5)
    for path in (f"lot/{key}", f"lot/{key}/place"):
        assert browser.get(f"/p/store/{path}").status_code == 404
    assert browser.post(f"/p/store/lot/{key}/on-sale").status_code == 404

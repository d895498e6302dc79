"""The API of the stock: sellable or stopped, goods going out, objections; wrong input, retries, other units."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from plugins.store.models import IssueLine, Lot
from tests.api_scene import Asker, token_of
from tests.helpers import make_user

from .scene import BARCODES, OWN_RIGHTS, Shop, make_shop
from .test_issues import ON
from .test_lots import stocked


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    made = make_shop(on=ON)
    made.now = clock.now()  # requests have the present time
    yield made


@pytest.fixture
def program(app: Flask, shop: Shop) -> Asker:
    """A program that calls the API with everything the store allows."""
    user = make_user(shop.unit, ("api.use", *OWN_RIGHTS, "case.view"))
    return Asker(app, token_of(user, units=[shop.unit]))


def test_a_program_asks_whether_it_may_be_sold(shop: Shop, program: Asker) -> None:
    """By bar code, batch number or label: sellable with its price, or stopped with every reason and clause."""
    key = stocked(shop, 5, model_id=shop.goods(barcode=BARCODES[0], price="8.80"), number="S1")
    raw = stocked(shop, 5, model_id=shop.model(), number="S2", on_sale=False)
    for code in (BARCODES[0], "S1", f"store.lot~{key}"):
        (one,) = program.get(f"/store/check?code={code}").get_json()["items"]
        assert (one["sellable"], one["price"], one["free"], one["refusals"]) == (True, "8.80", 5, [])
    (one,) = program.get(f"/store/check?code=store.lot~{raw}").get_json()["items"]
    assert not one["sellable"] and {"R02-4", "R02-18"} <= {each["clause"] for each in one["refusals"]}
    assert program.get("/store/check?code=nothing").get_json()["items"] == []


def test_goods_go_out_over_the_api_once(shop: Shop, program: Asker) -> None:
    """The same key sells once; what is stopped is refused with its clauses; wrong lines are said."""
    key = stocked(shop, 5, number="S1")
    given = {"kind": "sale", "lines": f"store.lot~{key}, 2"}
    first, again = (program.post("/store/issues", given, Idempotency_Key="a") for _time in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json()["id"] == again.get_json()["id"]
    assert shop.all(select(IssueLine.quantity)) == [2] and shop.all(select(Lot.stock)) == [3]
    raw = stocked(shop, 5, model_id=shop.model(), on_sale=False)
    bad = program.post("/store/issues", {**given, "lines": f"store.lot~{raw}"}, Idempotency_Key="b")
    assert bad.status_code == 409 and "R02-4" in bad.get_data(as_text=True)
    for lines in ("nothing", "S1, -1", "S1, 2e9", ""):
        assert program.post("/store/issues", {**given, "lines": lines}).status_code == 422
    assert program.get("/store/movements").status_code == program.get("/store/lots").status_code == 200


def test_an_objection_and_a_removal_over_the_api(shop: Shop, program: Asker) -> None:
    key = stocked(shop, 5, number="S1")
    given = {"lot": "S1", "quantity": 2, "found_at": "shelf", "problem": "leaks"}
    made = program.post("/store/objections", given, Idempotency_Key="a")
    assert made.status_code == 201 and made.get_json()["lot_id"] == key
    assert program.post("/store/objections", {**given, "quantity": 9}, Idempotency_Key="b").status_code == 422
    made = program.post("/store/removals", {"lot": "S1", "reason": "near"}, Idempotency_Key="c")
    assert made.status_code == 201 and made.get_json()["state"] == "open"


def test_other_units_batches_are_not_told_of(shop: Shop, program: Asker) -> None:
    """A code of another unit is not known here."""
    stocked(make_shop(on=ON), 5, number="FOREIGN")
    assert program.get("/store/check?code=FOREIGN").get_json()["items"] == []

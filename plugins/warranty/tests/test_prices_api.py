"""Tariffs and part prices for other systems: read by whoever may look, part prices written by finance only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core.kernel import clock
from core.sdk import Unit
from plugins.warranty import rights
from plugins.warranty.tests.scene_prices import TODAY, add_part, add_tariff, make_shop, noon
from tests import helpers
from tests.api_scene import Asker, token_of

TARIFFS, PARTS = "/warranty/tariffs", "/warranty/part-prices"
GIVEN = {"number": "YS-100", "name": "压缩机", "price": 1280.50, "starts_on": "2026-07-01"}


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with clock.frozen(noon(TODAY)):
        yield


def asker(app: Any, unit: Unit, *permissions: str) -> Asker:
    user = helpers.make_user(unit, ("api.use", *permissions))
    return Asker(app, token_of(user, units=[unit]))


def test_tariffs_are_read_with_their_prices_and_never_written(app: Any, count_queries: Any) -> None:
    unit = make_shop()
    first = add_tariff(unit, "2026-01-01", allowance_least="120")
    add_tariff(unit, "2027-01-01")
    api = asker(app, unit, rights.VIEW, rights.PRICE)
    found = api.get(f"{TARIFFS}/{first}").json
    assert (found["starts_on"], found["ends_on"], found["standing"]) == ("2026-01-01", "2026-12-31", "current")
    assert found["prices"]["allowance"] == {"amount": "200.00", "per": "person_day", "least": "120.00"}
    assert len(api.get(f"{TARIFFS}?state=released").json["items"]) == 2
    assert api.get(f"{TARIFFS}?state=draft").json["items"] == []
    with count_queries() as few:
        api.get(TARIFFS)
    for number in range(8):
        add_tariff(unit, f"203{number}-01-01", released=False)
    with count_queries() as many:
        assert len(api.get(TARIFFS).json["items"]) == 10
    assert len(few) == len(many)
    assert api.post(TARIFFS, {"name": "x"}).status_code == 405
    assert api.patch(f"{TARIFFS}/{first}", {"name": "x"}).status_code == 405


def test_finance_writes_part_prices(app: Any) -> None:
    unit = make_shop()
    api = asker(app, unit, rights.VIEW, rights.PRICE)
    made = api.post(PARTS, GIVEN)
    assert made.status_code == 201, made.text
    assert (made.json["price"], made.json["small"], made.json["active"]) == ("1280.50", False, True)
    assert api.post(PARTS, GIVEN).status_code == 422
    assert api.post(PARTS, {**GIVEN, "number": "x", "price": 1.005}).status_code == 422
    path = f"{PARTS}/{made.json['id']}"
    changed = api.patch(path, {"price": 1300}, If_Match=made.headers["ETag"])
    assert changed.status_code == 200 and changed.json["price"] == "1300.00", changed.text
    assert api.patch(path, {"price": 1}, If_Match=made.headers["ETag"]).status_code == 412
    assert [one["price"] for one in api.get(f"{PARTS}?number=YS-100").json["items"]] == ["1300.00"]


def test_others_read_and_strangers_find_nothing(app: Any) -> None:
    unit, other = make_shop(), make_shop()
    part, tariff = add_part(unit), add_tariff(unit)
    reader, stranger = asker(app, unit, rights.VIEW), asker(app, other, rights.VIEW, rights.PRICE)
    assert reader.get(f"{PARTS}/{part}").json["price"] == "12.50"
    assert reader.post(PARTS, GIVEN).status_code == 403
    for path in (f"{PARTS}/{part}", f"{TARIFFS}/{tariff}"):
        assert stranger.get(path).status_code == 404
    assert stranger.patch(f"{PARTS}/{part}", {"price": 1}).status_code == 404
    assert stranger.get(PARTS).json["items"] == [] == stranger.get(TARIFFS).json["items"]
    helpers.switch_off(unit, "warranty")
    assert reader.get(PARTS).status_code == 404 == reader.get(f"{TARIFFS}/{tariff}").status_code

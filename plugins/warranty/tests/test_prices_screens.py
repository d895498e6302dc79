"""Tariffs and part prices in the browser: drafting, releasing, copying; who may not; other units."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from core.kernel import clock
from core.sdk import Unit
from plugins.warranty import rights, tariffs
from plugins.warranty.models import PartPrice, Tariff
from plugins.warranty.tests.scene_prices import (
    R13_FOREIGN,
    R13_TABLE,
    TODAY,
    add_part,
    add_tariff,
    finance,
    make_shop,
    noon,
    raw,
    the_tariff,
)
from tests import helpers

TARIFFS, PARTS = "/admin/warranty/tariffs/", "/admin/warranty/part-prices/"


class Desk:
    """Somebody signed in, in a unit; every page is looked at on one day."""

    def __init__(self, app: Any, unit: Unit, permissions: tuple[str, ...], locale: str = "en") -> None:
        self.unit = unit
        self.user = helpers.make_user(unit, permissions, locale=locale)
        with clock.frozen(noon(TODAY)):
            self.client: FlaskClient = helpers.login(app.test_client(), self.user)

    def get(self, url: str, status: int = 200) -> str:
        with clock.frozen(noon(TODAY)):
            answer = self.client.get(url)
        assert answer.status_code == status, answer.get_data(as_text=True)[:1500]
        return answer.get_data(as_text=True)

    def post(self, url: str, form: dict[str, Any], status: int = 302) -> str:
        with clock.frozen(noon(TODAY)):
            answer = self.client.post(url, data=form)
        assert answer.status_code == status, answer.get_data(as_text=True)[:1500]
        return str(answer.headers.get("Location")) if status == 302 else answer.get_data(as_text=True)


@pytest.fixture
def shop(app: Any) -> Unit:
    return make_shop(*R13_TABLE, *R13_FOREIGN, "R17-3.5")


@pytest.fixture
def desk(app: Any, shop: Unit) -> Desk:
    return Desk(app, shop, (rights.VIEW, rights.PRICE))


def version_on(page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', page)
    assert found is not None
    return found.group(1)


def test_a_tariff_from_the_empty_form_to_its_release(desk: Desk) -> None:
    desk.get(f"{TARIFFS}?quick=drafts")
    assert "Save the draft to see what a visit would cost." in desk.get(f"{TARIFFS}new/")
    editor = desk.post(f"{TARIFFS}new/", raw("2026-07-01"))
    page = desk.get(editor)
    assert "2,960.00" in page and "4 × ¥150.00" in page  # the worked example
    key = re.search(r"id=(\d+)", editor)
    assert key is not None
    again = desk.post(editor, {**raw("2026-07-01", lodging_amount="160"), "version": version_on(page)})
    page = desk.get(again)
    assert "3,000.00" in page
    details = desk.post(f"{TARIFFS}release/", {"id": key[1], "version": version_on(page)})
    page = desk.get(details)
    assert "Released." in page and "R13-5.2.1.3b" in page and "Coming" in page
    assert "Print notice" in page and "Withdraw" in page and "Copy forward" in page
    assert desk.post(f"{TARIFFS}edit/?id={key[1]}", raw()) == details  # no editor any more
    assert "Withdrawn." in desk.get(desk.post(f"{TARIFFS}withdraw/", {"id": key[1]}))


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(desk: Desk) -> None:
    page = desk.post(f"{TARIFFS}new/", raw(lodging_amount="1.005", allowance_least="201"), 422)
    assert 'id="error-lodging_amount"' in page and 'id="error-allowance_least"' in page
    assert 'value="1.005"' in page
    with helpers.as_system() as work:
        assert work.scalar(select(func.count()).select_from(Tariff)) == 0


def test_who_comes_second_is_told(desk: Desk) -> None:
    key = add_tariff(desk.unit, released=False)
    old = version_on(desk.get(f"{TARIFFS}edit/?id={key}"))
    desk.post(f"{TARIFFS}edit/?id={key}", {**raw(), "version": old})
    desk.post(f"{TARIFFS}edit/?id={key}", {**raw(lodging_amount="1"), "version": old}, 409)
    page = desk.get(desk.post(f"{TARIFFS}release/", {"id": key, "version": old}))
    assert "Somebody else has changed this meanwhile" in page
    with finance(desk.unit):
        assert the_tariff(key).state == "draft"


def test_a_release_that_cannot_be_says_why(desk: Desk) -> None:
    add_tariff(desk.unit, "2026-07-01")
    key = add_tariff(desk.unit, "2026-07-01", released=False)
    assert "begins on the same day" in desk.get(desk.post(f"{TARIFFS}release/", {"id": key}))


def test_copy_forward_and_from_the_clauses(desk: Desk) -> None:
    key = add_tariff(desk.unit, "2026-07-01")
    page = desk.get(f"{TARIFFS}copy/?id={key}")
    assert 'value="收费标准 2027"' in page and 'value="2027-01-01"' in page
    given = {"name": "明年", "starts_on": "2027-01-01", "percent": "10"}
    assert "error-percent" in desk.post(f"{TARIFFS}copy/?id={key}", {**given, "percent": "x"}, 422)
    page = desk.get(desk.post(f"{TARIFFS}copy/?id={key}", given))
    assert 'value="165.00"' in page and "明年" in page
    page = desk.get(desk.post(f"{TARIFFS}from-clauses/", {"starts_on": "2028-01-01"}))
    assert 'value="150.00"' in page
    assert "Make one from the clauses in force" in desk.get(TARIFFS)
    with finance(desk.unit) as work:
        assert sorted(work.scalars(select(Tariff.product_class))) == ["", "", "", "4.3"]


def test_the_list_tells_what_is_in_force_coming_over_and_drafted(desk: Desk) -> None:
    add_tariff(desk.unit, "2025-01-01", name="旧标准")
    add_tariff(desk.unit, "2026-01-01", name="现标准")
    add_tariff(desk.unit, "2027-01-01", name="新标准")
    add_tariff(desk.unit, "2028-01-01", name="草拟稿", released=False)
    names = ("旧标准", "现标准", "新标准", "草拟稿")
    for quick, expected in (
        ("past", "旧标准"),
        ("current", "现标准"),
        ("coming", "新标准"),
        ("drafts", "草拟稿"),
    ):
        page = desk.get(f"{TARIFFS}?quick={quick}")
        assert [name for name in names if name in page] == [expected]
    assert all(name in desk.get(f"{TARIFFS}?f_class=all") for name in names)
    assert not any(name in desk.get(f"{TARIFFS}?f_class=4.3") for name in names)
    with clock.frozen(noon(TODAY)), desk.client.post(f"{TARIFFS}export/", data={"format": "csv"}) as sent:
        assert "现标准" in sent.get_data(as_text=True)


@pytest.mark.clause("R17-3.5")
def test_who_is_not_finance_looks_and_is_refused_by_clause(app: Any, shop: Unit) -> None:
    reader = Desk(app, shop, (rights.VIEW, rights.HANDLE, rights.MONEY))
    key, part = add_tariff(shop, released=False), add_part(shop)
    page = reader.get(f"{TARIFFS}details/?id={key}")
    assert "Release" not in page and "Copy forward" not in page and "edit/" not in page
    assert "New tariff" not in reader.get(TARIFFS) and "New part price" not in reader.get(PARTS)
    for url, form in (
        (f"{TARIFFS}new/", raw()),
        (f"{TARIFFS}edit/?id={key}", raw()),
        (f"{TARIFFS}release/", {"id": key}),
        (f"{TARIFFS}withdraw/", {"id": key}),
        (f"{TARIFFS}copy/?id={key}", {"name": "x", "starts_on": "2027-01-01"}),
        (f"{TARIFFS}from-clauses/", {"starts_on": "2027-01-01"}),
        (f"{PARTS}new/", {"number": "P-9", "name": "x", "price": "1", "starts_on": "2026-07-01"}),
        (f"{PARTS}edit/?id={part}", {"number": "P-9", "name": "x", "price": "1", "starts_on": "2026-07-01"}),
    ):
        assert "R17-3.5" in reader.post(url, form, 409), url
    with helpers.as_system() as work:
        assert [one.state for one in work.scalars(select(Tariff))] == ["draft"]
        assert [one.number for one in work.scalars(select(PartPrice))] == ["P-1"]


def test_tariffs_and_prices_of_other_units_are_not_there(app: Any, desk: Desk) -> None:
    other = make_shop(*R13_TABLE)
    key, part = add_tariff(other, "2026-07-01", name="别家标准", released=False), add_part(other, "别家件")
    for url in (f"{TARIFFS}details/?id={key}", f"{TARIFFS}edit/?id={key}", f"{TARIFFS}copy/?id={key}"):
        desk.get(url, 404)
    for step in ("release", "withdraw"):
        desk.post(f"{TARIFFS}{step}/", {"id": key}, 404)
    desk.get(f"{PARTS}details/?id={part}", 404)
    assert "别家标准" not in desk.get(TARIFFS) and "别家件" not in desk.get(PARTS)
    for bad in ("abc", "", "-1", "9" * 40):
        desk.get(f"{TARIFFS}details/?id={bad}", 404)


def test_part_prices_are_entered_followed_and_found(desk: Desk) -> None:
    desk.get(f"{PARTS}new/")
    given = {"number": "YS-100", "name": "压缩机", "price": "1280.50", "starts_on": "2026-06-01", "active": "y"}
    first = desk.post(f"{PARTS}new/", given)
    page = desk.get(first)
    assert "1,280.50" in page and "New price from a later day" in page
    form = desk.get(f"{PARTS}new/?number=YS-100&name=压缩机&small=1")
    assert 'value="YS-100"' in form
    later = desk.post(f"{PARTS}new/", {**given, "price": "1300", "starts_on": "2026-07-01"})
    assert "error-starts_on" in desk.post(f"{PARTS}new/", {**given, "price": "1", "starts_on": "2026-07-01"}, 422)
    assert "error-price" in desk.post(f"{PARTS}edit/{first.partition('details/')[2]}", {**given, "price": "1"}, 422)
    assert "1,300.00" in desk.get(f"{PARTS}?quick=coming") and "1,280.50" in desk.get(later)
    page = desk.get(f"{PARTS}?quick=current&search=YS")
    assert "1,280.50" in page and "1,300.00" not in page


def test_both_languages_and_an_empty_unit(app: Any) -> None:
    unit = make_shop()
    for locale in ("zh", "en"):
        empty = Desk(app, unit, (rights.VIEW, rights.PRICE), locale)
        for url in (TARIFFS, PARTS, f"{TARIFFS}new/", f"{PARTS}new/", f"{TARIFFS}from-clauses/"):
            empty.get(url)
    assert "No clause in force here names a price" in empty.post(
        f"{TARIFFS}from-clauses/", {"starts_on": "2026-07-01"}, 422
    )


def test_lists_ask_as_much_for_forty_rows_as_for_four(desk: Desk, count_queries: Any) -> None:
    counted = []
    for count in (4, 36):
        with finance(desk.unit):
            for number in range(count):
                day = str(date(2030, 1, 1) + timedelta(days=counted[-1] if counted else number))
                tariffs.save_tariff(desk.unit.id, raw(day, name=f"草稿 {count} {number}"))
                part = {"number": f"N-{count}-{number}", "name": "阀", "price": "1", "starts_on": "2026-01-01"}
                tariffs.save_part_price(desk.unit.id, {**part, "active": "1"})
        desk.get(TARIFFS), desk.get(PARTS)
        with count_queries() as seen:
            desk.get(TARIFFS), desk.get(PARTS)
        counted.append(len(seen))
    assert counted[0] == counted[1]

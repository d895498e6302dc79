"""What would this cost? The page, without a case: what was asked stands in the address."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from core.kernel import clock
from plugins.products.tests.scene import add_item
from tests.helpers import as_system, login, make_unit, make_user, switch_on

from .scene_fees import TRIP, make_shop
from .scene_quotes import ALL, MONDAY
from .test_fees import CLASSES, SHEET, TABLES

R13 = (*TABLES["R13-5.2.1.3"], "R13-5.2.1.4", "R13-5.2.1.2")


@pytest.fixture(autouse=True)
def at_ten() -> Iterator[None]:
    with clock.frozen(MONDAY):
        yield


def signed_in(app: Any, desk: Any, locale: str = "en") -> Any:
    return login(app.test_client(), make_user(desk.unit, ALL, locale=locale), unit=desk.unit)


def ask(client: Any, **given: Any) -> Any:
    return client.get("/p/warranty/calculator", query_string={"means": "on_site", **given})


def seen(answer: Any) -> str:
    """Return the words of a page, without marks."""
    assert answer.status_code == 200
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def beside(answer: Any, name: str) -> str:
    """Return the message beside a field."""
    found = re.search(rf'id="error-{name}"[^>]*>(.*?)</p>', answer.text, re.S)
    assert found, answer.text[-3000:]
    return re.sub(r"<[^>]+>", "", html.unescape(found.group(1))).strip()


def test_the_form_comes_first_with_the_usual_values(sqlite_app: Any) -> None:
    answer = signed_in(sqlite_app, make_shop(sqlite_app, *R13)).get("/p/warranty/calculator")
    assert answer.status_code == 200
    assert 'name="parts"' in answer.text and 'name="price"' not in answer.text
    assert "What it comes to" not in answer.text
    assert not re.search(r"<script>|style=", answer.text)


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_visit_is_shown_line_by_line_with_its_clauses(app: Any, locale: str) -> None:
    client = signed_in(app, make_shop(app, *R13), locale)
    answer = ask(client, **TRIP)
    page = seen(answer)
    for clause, amount in (("R13-5.2.1.3b", "600.00"), ("R13-5.2.1.3d", "1,200.00"), ("R13-5.2.1.4", "1,000.00")):
        assert clause in page and amount in page
    assert "3,960.00" in page
    # What was asked is still in the form.
    assert 'value="860"' in answer.text and "P-1，1" in answer.text


def test_a_number_of_two_classes_means_the_class_of_the_item(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, *R13, "R13-4.1", "R13-4.2", "R18-4.1")
    add_item(desk.unit, "AGENT-1", sold_class="agent")
    add_item(desk.unit, "RIVAL-1", sold_class="competitor")
    client = signed_in(sqlite_app, desk)
    assert 'name="price"' not in ask(client, serial="AGENT-1").text
    assert 'name="price"' in ask(client, serial="RIVAL-1").text


def test_it_writes_nothing(sqlite_app: Any) -> None:
    client = signed_in(sqlite_app, make_shop(sqlite_app, *R13))
    tables = ("core_charge", "core_record", "warranty_quote", "core_audit")

    def counted() -> list[Any]:
        with as_system() as work:
            return [work.scalar(text(f"select count(*) from {one}")) for one in tables]

    before = counted()
    assert "3,960.00" in seen(ask(client, **TRIP))
    assert counted() == before


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"people": "x"}, "people", "number"),
        ({"nights": "9"}, "nights", "nights"),
        ({"parts": "X-1, 1"}, "parts", "X-1"),
        ({"parts": "P-1, 1, 900"}, "parts", "finance"),
        ({"serial": "nobody knows"}, "serial", "No item"),
        ({"means": ""}, "means", "fill this in"),
        ({"means": "by balloon"}, "means", "choose"),
        ({"result": "???"}, "result", "choose"),
        ({"product_class": "9"}, "product_class", "choose"),
        ({"travel": "99999999999999999999999"}, "travel", "number"),
        ({"hours": "2"}, "hours", "labour"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    sqlite_app: Any, given: dict[str, str], field: str, words: str
) -> None:
    client = signed_in(sqlite_app, make_shop(sqlite_app, *R13))
    answer = ask(client, **given)
    assert answer.status_code == 200
    assert words in beside(answer, field)


def test_a_result_may_be_chosen_and_in_warranty_we_bear_it(sqlite_app: Any) -> None:
    client = signed_in(sqlite_app, make_shop(sqlite_app, *R13, "R13-5.1.1.1"))
    page = seen(ask(client, **TRIP, result="in_warranty"))
    assert "Free of charge" in page and "R13-5.1.1.1" in page
    assert "Customer ¥0.00" in page and "Our company ¥3,960.00" in page


def test_a_serial_number_brings_its_class_and_its_warranty(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, *R13, "R13-5.1.1.1", "R07-3.1")
    add_item(desk.unit, "NEW-1", purchased_on="2025-10-01")
    add_item(desk.unit, "OLD-1", purchased_on="2020-10-01")
    client = signed_in(sqlite_app, desk)
    assert "Customer ¥0.00" in seen(ask(client, serial="new-1", **TRIP))
    assert "Customer ¥3,960.00" in seen(ask(client, serial="OLD-1", **TRIP))


def test_a_competitors_job_is_asked_its_costs_and_its_profit(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, "R19-5.2.3.1", "R19-5.2.3.2")
    desk.office.clause(CLASSES["R13"], on=False)
    desk.office.clause(CLASSES["R19"], on=True)
    client = signed_in(sqlite_app, desk)
    asked = {**SHEET, "product_class": "4.4"}
    empty = ask(client, means="workshop", product_class="4.4")
    assert 'name="cost_tax"' in empty.text and "cost sheet" in beside(empty, "price")
    assert "9,600.00" in seen(ask(client, **{**asked, "price": "9600"}))
    assert "9600.00" in beside(ask(client, **{**asked, "price": "9599.99"}), "price")
    other = seen(ask(client, **{**asked, "work": "other", "price": "9600"}))
    assert "needs an agreement first" in other and "R19-5.2.3.1" in other


def test_it_is_for_those_who_may_see_prices_and_for_their_own_unit(sqlite_app: Any) -> None:
    desk = make_shop(sqlite_app, *R13)
    stranger = make_unit()
    switch_on(stranger, "warranty")
    add_item(stranger, "THEIRS-1")
    nobody = login(sqlite_app.test_client(), make_user(desk.unit, ["case.view"]), unit=desk.unit)
    assert ask(nobody).status_code == 403
    assert "No item" in beside(ask(signed_in(sqlite_app, desk), serial="THEIRS-1"), "serial")


def test_markup_in_what_was_asked_stays_text(sqlite_app: Any) -> None:
    client = signed_in(sqlite_app, make_shop(sqlite_app, *R13))
    answer = ask(client, parts="<b id=x>, 1", serial="<i id=x>\"'")
    assert "<b id=x>" not in answer.text and "<i id=x>" not in answer.text


def test_the_menu_leads_to_it(sqlite_app: Any) -> None:
    client = signed_in(sqlite_app, make_shop(sqlite_app, *R13))
    assert "/admin/warranty/calculator/" in client.get("/admin/").text
    answer = client.get("/admin/warranty/calculator/")
    assert answer.status_code == 302 and answer.location.endswith("/p/warranty/calculator")

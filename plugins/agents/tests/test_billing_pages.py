"""The box of a case, the steps by the form, the column of the list."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from plugins.agents.tests import scene
from plugins.agents.tests.scene import JOB, JOB_TOTAL, Place
from tests.helpers import login, make_user

BOX = "Borne by"


@pytest.fixture
def place(app: Any) -> Place:
    return scene.make_place()


@pytest.fixture
def browser(place: Place, client: FlaskClient) -> FlaskClient:
    return login(client, make_user(place.unit, scene.ALL, locale="en"), unit=place.unit)


def page(browser: FlaskClient, key: int) -> str:
    answer = browser.get(f"/admin/record/{key}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


@pytest.mark.clause("R18-5.1.2b")
def test_the_case_tells_who_bears_it_what_was_billed_and_what_is_next(place: Place, browser: FlaskClient) -> None:
    item = place.item()
    key = place.case()
    text = page(browser, key)
    assert BOX in text and "agents:name" in text and "R18-5.1.2b" in text
    agent = place.agent(name="华东代理")
    place.sold_by(item, agent)
    text = page(browser, key)
    assert "华东代理" in text and "agents:notify" in text and "R18-5.1.2" in text
    place.notify(key)
    place.solve(key)
    text = page(browser, key)
    assert "agents:bill" in text
    answer = browser.post(f"/admin/record/{key}/do/agents:bill", data={**JOB, "visits": "1"}, follow_redirects=True)
    assert answer.status_code == 200
    assert place.owes(key) == JOB_TOTAL
    text = page(browser, key)
    assert "1,280.00" in text and "R18-5.2.1.3" in text


def test_a_contract_is_told_on_the_case_with_the_lines_it_brought(place: Place, browser: FlaskClient) -> None:
    agent = place.agent()
    place.contract(agent, ("receivable", "per_case", "500"))
    place.item(agent=agent)
    key = place.case()
    place.notify(key)
    place.solve(key)
    place.bill(key)
    text = page(browser, key)
    assert "DLHT-" in text and "2029-12-31" in text and "Service by contract, per case" in text
    assert place.owes(key) == Decimal("800.00")


def test_a_case_of_our_own_product_has_no_such_box(place: Place, browser: FlaskClient) -> None:
    place.item(sold_class="own")
    key = place.case()
    assert BOX not in page(browser, key)


def test_who_may_not_see_agents_sees_no_box(place: Place, client: FlaskClient) -> None:
    place.item(agent=place.agent(name="华东代理"))
    key = place.case()
    allowed = scene.ALL - scene.OWN_RIGHTS
    browser = login(client, make_user(place.unit, allowed, locale="en"), unit=place.unit)
    assert BOX not in page(browser, key)


def test_the_list_of_cases_names_the_agent(place: Place, browser: FlaskClient) -> None:
    from core.sdk import Record
    from plugins.agents import case_panel

    seller, named = place.agent(name="卖方代理"), place.agent(name="指定代理")
    place.item(agent=seller)
    place.item(serial="GTZZ16-0002", sold_class="")
    first = place.case()
    second = place.case("GTZZ16-0002", cause="", product_class="4.2")
    place.do(second, "agents:name", {"agent": place.code_of(named)})
    place.item(serial="GTZZ16-0003", sold_class="own")
    third = place.case("GTZZ16-0003")
    with place.acting() as work:
        rows = [work.get_one(Record, key) for key in (first, second, third)]
        assert case_panel.of_rows(rows) == {first: "卖方代理", second: "指定代理"}
        assert case_panel.of_rows([]) == {}

"""The work list of unknown sellers, the list of sellers and the box on an item's page, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from core.jobs import runner
from core.kernel import outbox
from core.kernel.jobs import JobRun
from plugins.agents import rights
from plugins.agents.models import Seller
from tests.helpers import as_system, current, login, make_user

from .scene import ALL, Place, make_place
from .test_sellers import customer_in, say

WORK_LIST, SELLERS = "/admin/agents/unknown-sellers/", "/admin/agents/sellers/"


def browser(place: Place, permissions: Any = ALL) -> Any:
    return login(current().test_client(), make_user(place.unit, permissions), unit=place.unit)


def page(client: Any, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.status_code
    return str(answer.text)


def sellers_of(place: Place) -> dict[int, int]:
    return {one.item_id: one.agent_id for one in place._all(select(Seller).where(Seller.current))}


# --- the work list -------------------------------------------------------------------------------


def test_the_work_list_shows_what_nobody_knows_and_how_much_there_is(app: Any) -> None:
    place = make_place()
    agent = place.agent(name="华东代理")
    customer = customer_in(place, "江苏省", "南京市")
    place.item("WX-1", seller="华东代理", customer_id=customer)
    place.item("WX-2", sold_class="partner_sold")
    place.item("WX-3", sold_class="own")
    place.item("WX-4", agent=agent)
    client = browser(place)
    shown = page(client, WORK_LIST)
    assert "WX-1" in shown and "WX-2" in shown and "WX-3" not in shown and "WX-4" not in shown
    assert "某公司" in shown and place.code_of(agent) in shown
    assert client.get(WORK_LIST + "count/").get_json() == {"count": "2"}
    for quick, wanted in (("agent", {"WX-1"}), ("partner", {"WX-2"}), ("text", {"WX-1"})):
        found = page(client, f"{WORK_LIST}?quick={quick}")
        assert {one for one in ("WX-1", "WX-2") if one in found} == wanted
    assert "WX-1" in page(client, f"{WORK_LIST}?search=GTZZ-16")
    assert "WX-1" not in page(client, f"{WORK_LIST}?search=ABCDEF")


def test_customers_are_shown_to_who_may_see_them_only(app: Any) -> None:
    place = make_place()
    place.item("WX-1", customer_id=customer_in(place, "江苏省"))
    shown = page(browser(place, ALL - {"customer.view"}), WORK_LIST)
    assert "WX-1" in shown and "某公司" not in shown


def test_who_sees_no_agents_sees_no_list(app: Any) -> None:
    place = make_place()
    item = place.item("WX-1")
    stranger = browser(place, ALL - {rights.VIEW, rights.KEEP})
    for path in (WORK_LIST, SELLERS):
        assert stranger.get(path).status_code == 403
    reader = browser(place, ALL - {rights.KEEP})
    assert page(reader, WORK_LIST)
    assert reader.get(f"{SELLERS}set/?item={item}").status_code == 403
    assert reader.post(f"{WORK_LIST}take-over/").status_code == 403
    assert reader.post(f"{WORK_LIST}action/", data={"action": "set", "id": item}).status_code == 403
    elsewhere = make_place()
    foreign = browser(elsewhere)
    assert foreign.get(f"{SELLERS}set/?item={item}").status_code == 404
    assert "WX-1" not in page(foreign, WORK_LIST)


def test_the_seller_of_chosen_items_is_set_and_each_refusal_is_told(app: Any) -> None:
    place = make_place()
    agent, other = place.agent(), place.agent()
    one, two = place.item("WX-1"), place.item("WX-2")
    theirs, known = place.item("WX-3", sold_class="partner"), place.item("WX-4", agent=other)
    client = browser(place)
    chosen = {"action": "set", "id": [one, two, theirs, known]}
    assert "WX" not in page(client, SELLERS) or "WX-4" in page(client, SELLERS)
    asked = client.post(f"{WORK_LIST}action/", data=chosen)
    assert asked.status_code == 200 and place.code_of(agent) in asked.text
    given = {"go": "1", "agent": place.code_of(agent), "document": "XS-9"}
    answer = client.post(f"{WORK_LIST}action/", data={**chosen, **given})
    assert answer.status_code == 200
    assert "WX-3" in answer.text and "WX-4" in answer.text and "WX-1" not in answer.text
    assert sellers_of(place) == {one: agent, two: agent, known: other}


def test_texts_of_chosen_items_are_taken_over_where_they_name_an_agent(app: Any) -> None:
    place = make_place()
    agent = place.agent(name="华东代理")
    named, unnamed = place.item("WX-1", seller="华东代理"), place.item("WX-2", seller="华东代理的朋友")
    answer = browser(place).post(f"{WORK_LIST}action/", data={"action": "take_over", "id": [named, unnamed]})
    assert answer.status_code == 200 and "WX-2" in answer.text
    assert sellers_of(place) == {named: agent}


def test_all_texts_are_taken_over_in_the_background(app: Any) -> None:
    place = make_place()
    agent = place.agent(name="华东代理")
    items = [place.item(f"WX-{number}", seller="华东代理") for number in range(3)]
    place.item("WY-1", seller="别人")
    answer = browser(place).post(f"{WORK_LIST}take-over/")
    assert answer.status_code in (302, 303)
    with current().app_context():
        outbox.deliver_pending(runner.deliver)
    assert sellers_of(place) == dict.fromkeys(items, agent)


def test_where_no_item_says_anything_no_work_begins(sqlite_app: Any) -> None:
    place = make_place()
    place.item("WX-1")
    answer = browser(place).post(f"{WORK_LIST}take-over/", follow_redirects=True)
    assert "名单上没有一台机器写明由谁销售" in answer.text
    with as_system() as work:
        assert work.scalars(select(JobRun)).all() == []


@pytest.mark.parametrize("words", ["?cursor=x&order=nothing&f_agent=999999", "?quick=none&size=1", "?search=%00"])
def test_nonsense_in_the_address_counts_as_absent(app: Any, words: str) -> None:
    place = make_place()
    place.item("WX-1")
    client = browser(place)
    for path in (WORK_LIST, SELLERS):
        assert client.get(path + words).status_code == 200


def test_the_work_list_takes_as_many_statements_for_many_as_for_few(app: Any, count_queries: Any) -> None:
    place = make_place()
    for number in range(2):
        place.item(f"WX-{number}", seller="某人")
    client = browser(place)
    page(client, WORK_LIST)
    with count_queries() as few:
        page(client, WORK_LIST)
    for number in range(10):
        place.item(f"WY-{number}", seller="某人")
    with count_queries() as many:
        page(client, WORK_LIST)
    assert len(many) == len(few)


# --- who sold what -------------------------------------------------------------------------------


def test_the_list_shows_corrections_and_whose_region_it_was(app: Any) -> None:
    place = make_place()
    east, west = place.agent(name="东部代理", regions=["江苏"]), place.agent(name="西部代理", regions=["陕西"])
    inside = place.item("WX-1", customer_id=customer_in(place, "江苏省", "南京市"))
    outside = place.item("WX-2", customer_id=customer_in(place, "陕西省", "西安市"))
    say(place, inside, west)
    say(place, inside, east, reason="抄错了")
    say(place, outside, east)
    client = browser(place)
    shown = page(client, SELLERS)
    assert "抄错了" in shown and "WX-1" in shown and "WX-2" in shown
    only = page(client, f"{SELLERS}?quick=outside")
    assert "WX-2" in only and "WX-1" not in only and "西部代理" in only
    theirs = page(client, f"{SELLERS}?f_agent={west}")
    assert "WX-1" in theirs and "WX-2" not in theirs


# --- the item ------------------------------------------------------------------------------------


def test_the_page_of_an_item_says_who_sold_it_and_lets_it_be_corrected(app: Any) -> None:
    place = make_place()
    first, second = place.agent(name="东部代理"), place.agent(name="西部代理")
    item = place.item("WX-1", seller="某商店")
    client = browser(place)
    address = f"/admin/products/items/details/?id={item}"
    shown = page(client, address)
    form = f"{SELLERS}set/?item={item}"
    assert "某商店" in shown and form.replace("&", "&amp;") in shown
    assert client.post(form, data={"agent": ""}).status_code == 422
    assert client.post(form, data={"agent": place.code_of(first), "document": "XS-7"}).status_code in (302, 303)
    shown = page(client, address)
    assert "东部代理" in shown and "XS-7" in shown
    refused = client.post(form, data={"agent": place.code_of(second)})
    assert refused.status_code == 422 and "东部代理" in refused.text
    given = {"agent": place.code_of(second), "reason": "发票为准"}
    assert client.post(form, data=given).status_code in (302, 303)
    shown = page(client, address)
    assert "西部代理" in shown and "东部代理" in shown and "发票为准" in shown
    assert sellers_of(place) == {item: second}


def test_an_item_of_ours_has_no_box_of_a_seller(app: Any) -> None:
    place = make_place()
    item = place.item("WX-1", sold_class="own")
    assert f"set/?item={item}" not in page(browser(place), f"/admin/products/items/details/?id={item}")


def test_the_region_is_told_on_the_items_page(app: Any) -> None:
    place = make_place()
    east = place.agent(name="东部代理", regions=["江苏"])
    place.agent(name="西部代理", regions=["陕西"])
    item = place.item("WX-1", customer_id=customer_in(place, "陕西省", "西安市"))
    say(place, item, east)
    assert "西部代理" in page(browser(place), f"/admin/products/items/details/?id={item}")

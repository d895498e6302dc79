"""One's own tools on a phone: in my name, to confirm, to bring back, use ended, numbers of the dashboard."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.users.models import User
from plugins.tools import applications, values
from plugins.tools.models import Handover, Tool
from plugins.tools.tests.scene import Place, code_of, make_place
from plugins.tools.tests.test_desk import the_handover
from tests.helpers import login, make_user

OWN = "/p/tools/own"


@pytest.fixture
def place(app: Flask) -> Place:
    made = make_place()
    made.now = clock.now() - timedelta(hours=2)
    return made


@pytest.fixture
def ann(app: Flask, place: Place) -> FlaskClient:
    return client_of(app, place, place.ann)


def client_of(app: Flask, place: Place, user: User) -> FlaskClient:
    return login(app.test_client(), user, unit=place.unit)


def test_my_page_shows_what_is_mine_and_nobody_elses(place: Place, ann: FlaskClient) -> None:
    assert ann.get(OWN).status_code == 200  # nothing yet
    mine = place.tool(holder=place.person(place.ann), state=values.ISSUED)
    late = place.tool(
        holder=place.person(place.ann),
        state=values.ON_LOAN,
        due_at=clock.now() - timedelta(hours=1),
        lent_at=place.now,
    )
    other = place.tool(holder=place.person(place.bob), state=values.ISSUED)
    place.parts("胶布", "3", holder=place.person(place.ann))
    page = ann.get(OWN).text
    assert code_of(place, mine) in page and code_of(place, other) not in page and "胶布" in page
    # What is overdue comes first, in red.
    assert page.index(code_of(place, late)) < page.index(code_of(place, mine))
    assert re.search(r'own-tool">.*?badge tone-bad', page, re.S)


@pytest.mark.clause("GJ-3")
def test_an_existing_list_asks_is_this_with_you(app: Flask, place: Place, ann: FlaskClient) -> None:
    tools = place.tools(2)
    key = place.offer(values.OPENING, place.store, place.person(place.ann), tools)
    assert f"/p/tools/accept/{key}" in ann.get(OWN).text
    first, second = place.lines(key)
    # One of them was never seen: that line is refused, and stays what it was.
    sent = {"take": first.id, f"reason-{second.id}": "没见过", "tick_all": "1"}
    assert ann.post(f"/p/tools/accept/{key}", data={"take": first.id, "tick_all": "1"}).status_code == 422
    assert ann.post(f"/p/tools/accept/{key}", data=sent).status_code == 302
    assert place.holder(tools[0]) == place.person(place.ann) and place.holder(tools[1]) == place.store
    assert f"/p/tools/accept/{key}" not in ann.get(OWN).text


def test_bringing_back_waits_for_the_keepers_look(app: Flask, place: Place, ann: FlaskClient) -> None:
    me = place.person(place.ann)
    tools = [place.tool(holder=me, state=values.ISSUED) for _ in range(2)]
    other = place.tool(holder=place.person(place.bob), state=values.ISSUED)
    assert ann.post(f"{OWN}/return", data={}).status_code == 422
    assert ann.post(f"{OWN}/return", data={"tool": other, "store": place.store}).status_code in (403, 409)
    answer = ann.post(f"{OWN}/return", data={"tool": tools, "store": place.store, "key": "k1"})
    assert answer.status_code == 302
    made = the_handover(place)
    assert made.giver_at is not None and made.taker_at is None and made.taker_id == place.store
    again = ann.post(f"{OWN}/return", data={"tool": tools, "store": place.store, "key": "k1"})
    assert again.status_code == 302 and the_handover(place).id == made.id
    assert made.record.number in ann.get(OWN).text
    keeper = client_of(app, place, place.keeper)
    shown = keeper.get(f"/p/tools/accept/{made.id}").text
    line = place.lines(made.id)[0]
    assert f'name="condition-{line.id}"' in shown and 'name="pin"' not in shown
    assert made.record.number in keeper.get("/p/tools/desk/return").text
    sent = {"take": [one.id for one in place.lines(made.id)], f"condition-{line.id}": values.WORN, "tick_all": "1"}
    assert keeper.post(f"/p/tools/accept/{made.id}", data=sent).status_code == 302
    assert [place.holder(one) for one in tools] == [place.store] * 2
    worn = place.all(select(Tool.condition).where(Tool.id == tools[0]))
    assert worn == [values.WORN]


def test_use_ended_is_said_by_its_holder_only(app: Flask, place: Place, ann: FlaskClient) -> None:
    lent = {"due_at": clock.now() + timedelta(hours=5), "lent_at": place.now}
    mine = place.tool(holder=place.person(place.ann), state=values.ON_LOAN, **lent)
    other = place.tool(holder=place.person(place.bob), state=values.ON_LOAN, **lent)
    assert ann.post(f"{OWN}/used/{other}").status_code == 404
    assert ann.post(f"{OWN}/used/nothing").status_code == 404
    assert ann.post(f"{OWN}/used/{mine}").status_code == 302
    assert place.all(select(Tool.used_until).where(Tool.id == mine)) != [None]
    assert f'id="used-{mine}"' not in ann.get(OWN).text


def test_the_dashboard_counts_what_waits_for_me(app: Flask, place: Place, ann: FlaskClient) -> None:
    place.offer(values.ISSUE, place.store, place.person(place.ann), place.tools(1))
    place.tool(
        holder=place.person(place.ann),
        state=values.ON_LOAN,
        due_at=clock.now() - timedelta(hours=1),
        lent_at=place.now,
    )
    page = ann.get("/admin/").text
    assert len(re.findall(r'class="tile[^>]*href="/p/tools/own"', page)) == 2
    manager = client_of(app, place, place.manager).get("/admin/").text
    assert 'href="/admin/tools/loans/?quick=late"' in manager
    late = client_of(app, place, place.manager).get("/admin/tools/loans/?quick=late")
    assert late.status_code == 200 and "安师傅" in late.text


def test_who_has_no_tools_and_no_right_sees_no_page(app: Flask, place: Place) -> None:
    nobody = make_user(place.unit, (), name="访客")
    client = client_of(app, place, nobody)
    assert client.get(OWN).status_code == 403
    assert client.post(f"{OWN}/return", data={"tool": "1"}).status_code == 403
    assert client.get("/p/tools/desk/").status_code == 403


def test_the_qr_leads_to_the_page_and_is_for_those_concerned(app: Flask, place: Place, ann: FlaskClient) -> None:
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), place.tools(1))
    answer = ann.get(f"/p/tools/accept/{key}/qr")
    assert answer.status_code == 200 and answer.mimetype == "image/svg+xml" and "<svg" in answer.text
    assert client_of(app, place, place.bob).get(f"/p/tools/accept/{key}/qr").status_code == 404
    page = ann.get(f"/admin/record/{key}").text
    assert f"/p/tools/accept/{key}" in page
    assert place.all(select(Handover.id)) == [key]


@pytest.mark.clause("R35-4.6")
def test_lending_on_needs_a_grant_and_goes_back_to_the_lender(app: Flask, place: Place, ann: FlaskClient) -> None:
    place.clause("R35-4.6", lending="with_approval")
    place.without("R33-2.2", "R33-5", "R32-4.1", "R35-4.2", "R35-3.2", "R15-18a")
    mine = place.tool(holder=place.person(place.ann), state=values.ISSUED)
    raw = {
        "kind": values.A_LEND,
        "tool": code_of(place, mine),
        "to_user_id": str(place.bob.id),
        "due_at": (clock.now() + timedelta(days=1)).isoformat(),
        "reason": "临时借给同事",
    }
    with place.acting(place.ann):
        key = applications.register(place.unit.id, raw).id
    refused = ann.post(f"{OWN}/lend/{key}")
    assert refused.status_code in (409, 422) and place.holder(mine) == place.person(place.ann)
    place.step(key, "grant", place.manager)
    assert f"/p/tools/own/lend/{key}" in ann.get(OWN).text
    bob = client_of(app, place, place.bob)
    assert bob.post(f"{OWN}/lend/{key}").status_code == 404
    assert ann.post(f"{OWN}/lend/{key}").status_code == 302
    made = the_handover(place)
    assert (made.kind, made.giver_at is not None) == (values.LEND, True)
    bob.post(f"/p/tools/accept/{made.id}", data={"take": place.lines(made.id)[0].id, "tick_all": "1"})
    assert place.holder(mine) == place.person(place.bob)
    assert f"/p/tools/own/back/{mine}" in bob.get(OWN).text
    assert ann.post(f"{OWN}/back/{mine}").status_code == 422  # she is the lender, not the holder
    assert bob.post(f"{OWN}/back/{mine}").status_code == 302
    back = the_handover(place)
    ann.post(f"/p/tools/accept/{back.id}", data={"take": place.lines(back.id)[0].id, "tick_all": "1"})
    assert place.holder(mine) == place.person(place.ann) and place.state(mine) == values.ISSUED


def test_what_my_page_links_to_is_open_to_me(place: Place, ann: FlaskClient) -> None:
    place.tool(holder=place.person(place.ann), state=values.ISSUED)
    page = ann.get(OWN).text
    body = page[page.index("<main") : page.index("</main>")]
    links = {html.unescape(one) for one in re.findall(r'<a [^>]*href="(/[^"]+)"', body)}
    assert len(links) >= 3
    assert {one: ann.get(one).status_code for one in links} == dict.fromkeys(links, 200)

"""A person's card, the list of people, and the list of loans."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from flask import Flask

from core.kernel import clock
from plugins.tools import values
from plugins.tools.models import Permit
from plugins.tools.tests.scene import Place, code_of, make_place
from plugins.tools.tests.test_own import client_of
from tests.helpers import make_unit, make_user, switch_on


@pytest.fixture
def place(app: Flask) -> Place:
    made = make_place()
    made.now = clock.now() - timedelta(days=2)
    made.without("R35-4.4", "R35-5.1")
    return made


def test_a_card_tells_what_a_person_holds_waits_for_and_held(app: Flask, place: Place) -> None:
    tools = place.tools(3)
    place.issue(place.ann, *tools[:2])
    place.later(hours=3)
    place.bring_back(place.ann, tools[1])
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), tools[2:])
    place.parts("胶布", "3", holder=place.person(place.ann))
    place._add(
        Permit(
            unit_id=place.unit.id, user_id=place.ann.id, kind_id=place.kind("电钻"), starts_on=clock.now().date()
        )
    )
    page = client_of(app, place, place.manager).get(f"/p/tools/person/{place.ann.id}").text
    held, before = page.split(code_of(place, tools[1]))[0], page.split(code_of(place, tools[0]), 1)[1]
    assert code_of(place, tools[0]) in held and code_of(place, tools[1]) in before
    assert "胶布" in page and "电钻" in page
    assert f"/admin/record/{key}" in page and "/p/tools/desk/" not in page
    keeper = client_of(app, place, place.keeper).get(f"/p/tools/person/{place.ann.id}").text
    links = [html.unescape(one) for one in re.findall(r'href="([^"]*subject=tools[^"]*)"', page)]
    assert len(links) == 2
    assert all(client_of(app, place, place.manager).get(one).status_code == 200 for one in links)
    assert f"/p/tools/accept/{key}" in keeper and f"to=user:{place.ann.id}" in keeper


def test_a_card_is_for_those_who_may_see_tools(app: Flask, place: Place) -> None:
    assert client_of(app, place, place.ann).get(f"/p/tools/person/{place.ann.id}").status_code == 403
    manager = client_of(app, place, place.manager)
    assert manager.get(f"/p/tools/person/{place.bob.id}").status_code == 200  # holds nothing
    assert manager.get("/p/tools/person/nobody").status_code == 404
    other = make_unit()
    switch_on(other, "tools")
    stranger = make_user(other, (), name="外人")
    assert manager.get(f"/p/tools/person/{stranger.id}").status_code == 404


def test_people_are_listed_with_what_they_hold(app: Flask, place: Place) -> None:
    place.issue(place.ann, *place.tools(2))
    place.tool(
        holder=place.person(place.ann),
        state=values.ON_LOAN,
        due_at=clock.now() - timedelta(hours=1),
        lent_at=place.now,
    )
    manager = client_of(app, place, place.manager)
    page = manager.get("/admin/tools/people/").text
    row = page[page.index("安师傅") :]
    assert ">3<" in row.replace(" ", "") and f"/p/tools/person/{place.ann.id}" in page
    assert manager.get("/admin/tools/people/?search=安").status_code == 200
    with manager.post("/admin/tools/people/export/", data={"format": "csv"}) as sent:
        assert "安师傅" in sent.get_data().decode("utf-8-sig")
    assert manager.get("/admin/tools/own/").status_code == 302
    keeper = client_of(app, place, place.keeper)
    assert keeper.get("/admin/tools/desk/").location.endswith("/p/tools/desk/")

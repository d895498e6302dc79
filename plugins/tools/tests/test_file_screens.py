"""The file of tools in the browser and over the API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.documents.labels import code_of
from core.kernel import clock
from core.sdk import Record, uuid7
from plugins.tools import file, permits, rights, values
from plugins.tools.models import Custody, Handover, HandoverLine, Kind, Permit, Place, Tool
from tests.api_scene import Asker, token_of
from tests.helpers import as_system, login, make_user

from .scene_file import ALL, GIVEN, MONDAY, Room, make_room

TOOLS, KINDS, KITS = "/admin/tools/tools/", "/admin/tools/kinds/", "/admin/tools/kits/"
STORES, PLACES, PERMITS = "/admin/tools/stores/", "/admin/tools/places/", "/admin/tools/permits/"


@pytest.fixture
def room(app: Flask) -> Iterator[Room]:
    with clock.frozen(MONDAY):
        yield make_room()


def browser(app: Flask, room: Room, *permissions: str, locale: str = "en") -> FlaskClient:
    user = make_user(room.unit, permissions or ALL, locale=locale)
    return login(app.test_client(), user, unit=room.unit)


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_a_tool_from_the_form_to_its_page(app: Flask, room: Room, locale: str) -> None:
    client = browser(app, room, locale=locale)
    form = {**GIVEN, "kind": str(room.kind("剥线钳")), "store": str(room.store()), "serial": "sn-1"}
    answer = client.post(f"{TOOLS}new/", data=form)
    assert answer.status_code == 302, re.findall(r'id="error-[^<]*<', answer.text)
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    for text in ("GJ00001", "SN-1", "世达 91108", "工具房"):
        assert text in page.text, text
    assert 'id="panel-tools-tool"' in page.text
    assert "GJ00001" in client.get(f"{TOOLS}?search=sn-1").text


def test_what_is_wrong_stands_beside_its_field(app: Flask, room: Room) -> None:
    client = browser(app, room)
    wrong = {"kind": "", "price": "-1", "bought_on": "yesterday", "life_months": "0"}
    answer = client.post(f"{TOOLS}new/", data=wrong)
    assert answer.status_code == 422
    for name in wrong:
        assert f'id="error-{name}"' in answer.text, name
    wrong = {"price": "1.005", "bought_on": "2027-01-01", "maintain_on": "9999-01-01"}
    answer = client.post(f"{TOOLS}new/", data={"kind": str(room.kind("剥线钳")), **wrong})
    assert answer.status_code == 422
    for name in wrong:
        assert f'id="error-{name}"' in answer.text, name


def test_a_list_finds_by_state_kind_holder_store_and_what_is_due(app: Flask, room: Room) -> None:
    issued = room.tool(code="A-1")
    new = room.tool(code="A-2", accepted=False, kind="网线钳")
    due = room.tool(code="A-3", maintain_on=(MONDAY + timedelta(days=3)).date().isoformat())
    room.give(issued, room.person(room.first))
    client = browser(app, room)
    everything = {"A-1": issued, "A-2": new, "A-3": due}
    with room.acting() as work:
        label = f"http://x/q/{code_of(work.get_one(Record, new).uid)}"
    for query, wanted in (
        ("", {"A-1", "A-2", "A-3"}),
        ("f_state=new", {"A-2"}),
        (f"f_kind={room.kind('网线钳')}", {"A-2"}),
        ("f_category=special", {"A-2"}),
        ("f_holder=李师傅", {"A-1"}),
        ("f_holder=工具房", {"A-2", "A-3"}),
        ("f_holder=周保管", set()),
        (f"f_store={room.store()}", {"A-2", "A-3"}),
        ("quick=maintain", {"A-3"}),
        ("quick=overdue", set()),
        ("quick=new", {"A-2"}),
        ("order=code", {"A-1", "A-2", "A-3"}),
        ("order=maintain", {"A-3"}),
        ("f_asset=fixed_asset", set()),
        (f"search={label}", {"A-2"}),
        ("f_kind=x&f_store=0", {"A-1", "A-2", "A-3"}),
    ):
        page = client.get(f"{TOOLS}?{query}")
        assert page.status_code == 200
        found = {code for code in everything if f">{code}</a>" in page.text}
        assert found == wanted, query
    assert "李师傅" in client.get(f"{TOOLS}?f_state=issued").text


def test_the_search_box_finds_tools_by_what_is_scanned(app: Flask, room: Room) -> None:
    key = room.tool(code="GX-7", serial="SN-9", model="世达91108")
    other = make_room()
    other.tool(code="GX-8")
    client = browser(app, room)
    with room.acting() as work:
        label = f"https://x.cn/q/{code_of(work.get_one(Record, key).uid)}"
    for text in ("ＧＸ－７", "sn-9", label, "世达", "剥线"):
        answer = client.get("/admin/search/", query_string={"q": text}, follow_redirects=True)
        assert f"/admin/record/{key}" in answer.text or 'id="panel-tools-tool"' in answer.text, text
    assert "GX-8" not in client.get("/admin/search/?q=GX").text
    assert "GX-7" not in browser(app, room, "case.view").get("/admin/search/?q=GX").text


def test_the_page_shows_who_had_it_since_when(app: Flask, room: Room) -> None:
    key = room.tool()
    with clock.frozen(MONDAY + timedelta(hours=2)):
        room.give(key, room.person(room.first))
        client = browser(app, room)
        page = client.get(client.get(f"{TOOLS}details/?id={key}").headers["Location"])
    panel = page.text[page.text.index('id="panel-tools-tool"') :]
    assert "李师傅" in panel and "工具房" in panel and "12:00" in panel


def test_a_waiting_hand_over_is_on_the_page(app: Flask, room: Room) -> None:
    key = room.tool()
    party, store = room.person(room.first), room.store()
    with as_system() as work:
        now = clock.now()
        record = Record(
            unit_id=room.unit.id,
            type="tools_handover",
            number="JJ-77",
            uid=uuid7(),
            title="x",
            state="offered",
            category="open",
            received_at=now,
            entered_at=now,
        )
        work.add(record)
        work.flush()
        offered = Handover(id=record.id, unit_id=room.unit.id, kind="issue", giver_id=store, taker_id=party)
        work.add(offered)
        work.flush()
        kind = room_kind(work, key)
        work.add(HandoverLine(unit_id=room.unit.id, handover_id=offered.id, tool_id=key, kind_id=kind))
    client = browser(app, room)
    page = client.get(client.get(f"{TOOLS}details/?id={key}").headers["Location"]).text
    assert "JJ-77" in page


def room_kind(work: Any, key: int) -> int:
    found: int = work.scalars(select(Tool.kind_id).where(Tool.id == key)).one()
    return found


def test_two_at_once_do_not_overwrite_each_other(app: Flask, room: Room) -> None:
    key = room.tool()
    client = browser(app, room)
    page = client.get(f"{TOOLS}edit/?id={key}").text
    version = re.search(r'name="version" value="(\d+)"', page)
    assert version is not None
    form = {**GIVEN, "code": "GJ00001", "kind": str(room.kind("剥线钳")), "version": version[1], "note": "一"}
    assert client.post(f"{TOOLS}edit/?id={key}", data=form).status_code == 302
    assert client.post(f"{TOOLS}edit/?id={key}", data={**form, "note": "二"}).status_code == 409
    assert room.one(key).note == "一"


def test_a_place_is_chosen_of_the_store(app: Flask, room: Room) -> None:
    key = room.tool()
    client = browser(app, room)
    answer = client.post(f"{PLACES}new/", data={"store": str(room.store()), "name": "A柜一层"})
    assert answer.status_code == 302, answer.text
    with room.acting() as work:
        place = work.scalars(select(Place.id)).one()
    assert "A柜一层" in client.get(f"/p/tools/tool/{key}/place").text
    answer = client.post(f"/p/tools/tool/{key}/place", data={"place": str(place)})
    assert answer.status_code == 302
    assert room.one(key).place_id == place
    assert client.post(f"/p/tools/tool/{key}/place", data={"place": "999999"}).status_code == 422
    assert "A柜一层" in client.get(f"{STORES}details/?id={room.store()}").text
    assert client.get(f"{PLACES}details/?id={place}").status_code == 200


def test_kinds_and_sets_by_form(app: Flask, room: Room) -> None:
    client = browser(app, room)
    answer = client.post(f"{KINDS}new/", data={"name": "热风枪", "category": "power", "needs_permit": "1"})
    assert answer.status_code == 302
    assert "热风枪" in client.get(answer.headers["Location"]).text
    answer = client.post(f"{KITS}new/", data={"name": "新人套装", "lines": "热风枪, 2\n背包"})
    assert answer.status_code == 302
    assert "热风枪, 2" in client.get(answer.headers["Location"]).text
    assert "热风枪 × 2" in client.get(KITS).text
    key = room.kind("热风枪")
    used = client.post(f"{KINDS}delete/", data={"id": key, "confirmed": "1"}, follow_redirects=True)
    assert "in use" in used.text
    with room.acting() as work:
        assert work.get(Kind, key) is not None
    free = room.kind("背包")
    form = {"name": "背包", "category": "common", "version": "1"}  # not in use any more
    assert client.post(f"{KINDS}edit/?id={free}", data=form).status_code == 302
    assert "背包" not in client.get(f"{KINDS}?quick=active").text


def test_a_store_in_use_says_why_it_stays(app: Flask, room: Room) -> None:
    room.tool()
    client = browser(app, room)
    form = {"name": "工具房", "user_id": str(room.keeper.id), "version": "1"}
    answer = client.post(f"{STORES}edit/?id={room.store()}", data=form)
    assert answer.status_code == 422 and "1 tools are still there" in answer.text
    assert client.post(f"{STORES}edit/?id={room.store()}", data={**form, "active": "1"}).status_code == 302
    assert "周保管" in client.get(STORES).text
    for path in ("departments", "repairers"):
        address = f"/admin/tools/{path}/"
        answer = client.post(f"{address}new/", data={"name": "别家"})
        assert answer.status_code == 302 and "别家" in client.get(address).text
        assert client.get(f"{address}details/?id={room.store()}").status_code == 404


def test_a_permit_is_granted_and_taken_back(app: Flask, room: Room) -> None:
    client = browser(app, room)
    form = {
        "user_id": str(room.first.id),
        "kind_id": str(room.kind("电动螺丝刀")),
        "what": "use",
        "basis": "2026-02 培训",
    }
    answer = client.post(f"{PERMITS}new/", data=form)
    assert answer.status_code == 302, answer.text
    assert "2026-02 培训" in client.get(answer.headers["Location"]).text
    with room.acting() as work:
        key = work.scalars(select(Permit.id)).one()
    assert client.post(f"/p/tools/permit/{key}/end", data={"reason": ""}).status_code == 422
    assert client.post(f"/p/tools/permit/{key}/end", data={"reason": "转岗"}).status_code == 302
    with room.acting():
        assert not permits.holds(room.first.id, 0, values.USE_PERMIT, MONDAY.date())
    assert "转岗" in client.get(f"{PERMITS}details/?id={key}").text
    assert client.post(f"/p/tools/permit/{key}/end", data={"reason": "again"}).status_code == 422


def test_a_delivery_is_accepted_together(app: Flask, room: Room) -> None:
    keys = [room.tool(accepted=False) for _ in range(2)]
    client = browser(app, room)
    form = {"action": "accept", "go": "1", "id": [str(key) for key in keys], "result": "数量、外观、功能完好"}
    answer = client.post(f"{TOOLS}action/", data=form, follow_redirects=True)
    assert answer.status_code == 200
    assert {room.state(key) for key in keys} == {values.IN_STORE}


def test_a_supervisor_grants_permits(app: Flask, room: Room) -> None:
    client = browser(app, room, rights.VIEW, rights.DECIDE)
    assert client.get(f"{PERMITS}new/").status_code == 200
    assert client.get(f"{KINDS}new/").status_code == 403


def test_who_only_looks_changes_nothing(app: Flask, room: Room) -> None:
    key = room.tool()
    client = browser(app, room, rights.VIEW, "case.view")
    page = client.get(client.get(f"{TOOLS}details/?id={key}").headers["Location"]).text
    assert 'id="panel-tools-tool"' in page and "/place" not in page
    for path in (f"{TOOLS}new/", f"{TOOLS}edit/?id={key}", f"{KINDS}new/", f"{STORES}new/", f"{PERMITS}new/"):
        assert client.get(path).status_code == 403, path
    assert client.get(f"/p/tools/tool/{key}/place").status_code == 404


@pytest.mark.clause("R33-9.1")
def test_who_may_not_see_tools_sees_nothing_of_them(app: Flask, room: Room) -> None:
    key = room.tool(model="只给自己人看的型号")
    client = browser(app, room, "case.view")
    for path in (TOOLS, KINDS, STORES, PERMITS, f"{TOOLS}details/?id={key}"):
        assert client.get(path).status_code in (403, 404), path
    assert client.get(f"/admin/record/{key}", follow_redirects=True).status_code == 404


def test_another_units_rows_are_not_there(app: Flask, room: Room) -> None:
    other = make_room()
    key = other.tool(name="别家的工具")
    client = browser(app, room)
    assert "别家的工具" not in client.get(TOOLS).text
    for path in (
        f"{TOOLS}details/?id={key}",
        f"{TOOLS}edit/?id={key}",
        f"{STORES}details/?id={other.store()}",
        f"{KINDS}edit/?id={other.kind('背包')}",
        f"/p/tools/tool/{key}/place",
        "/p/tools/permit/x/end",
    ):
        assert client.get(path).status_code == 404, path


def test_a_page_of_the_list_asks_as_much_for_many_as_for_few(app: Flask, room: Room, count_queries: Any) -> None:
    client = browser(app, room)

    def fill(count: int) -> None:
        for _ in range(count):
            key = room.tool()
            worker = make_user(room.unit, {rights.OWN})
            room.give(key, room.person(worker))

    fill(2)
    client.get(TOOLS)
    with count_queries() as few:
        client.get(TOOLS)
    fill(6)
    client.get(TOOLS)
    with count_queries() as many:
        client.get(TOOLS)
    assert len(many) == len(few)


# --- labels --------------------------------------------------------------------------------------


def test_a_tool_is_labelled_with_its_number_and_store(app: Flask, room: Room) -> None:
    from plugins.tools.prints_labels import tool_label

    key = room.tool(code="GX-7")
    with room.acting() as work:
        told = tool_label(work.get_one(Record, key))
    assert told == {"number": "GX-7", "kind": "Wire stripper", "lines": ["剥线钳", "工具房"]}
    room.give(key, room.person(room.first))
    with room.acting() as work:
        assert tool_label(work.get_one(Record, key))["lines"] == ["剥线钳", "李师傅"]
    client = browser(app, room)
    form = {"form": "tools.tool", "id": str(key), "size": "a4-24", "start": "1", "copies": "1"}
    answer = client.post("/admin/labels/print", data=form)
    assert answer.status_code == 200 and answer.data.startswith(b"%PDF")
    other = make_room()
    form["id"] = str(other.tool())
    assert client.post("/admin/labels/print", data=form).status_code == 404


# --- API -----------------------------------------------------------------------------------------


def test_tools_over_the_api(app: Flask, room: Room) -> None:
    key = room.tool(code="A-1", price="88.5")
    room.give(key, room.person(room.first))
    ask = Asker(app, token_of(make_user(room.unit, ("api.use", rights.VIEW, rights.KEEP)), units=[room.unit]))
    found = ask.get("/tools/tools").json["items"]
    assert [(one["code"], one["holder"], one["price"], one["state"]) for one in found] == [
        ("A-1", "李师傅", "88.50", "issued")
    ]
    made = ask.post("/tools/tools", {"kind": "网线钳", "price": 45.5, "code": "A-2"})
    assert made.status_code == 201, made.text
    again = ask.post("/tools/tools", {"kind": "网线钳", "code": "a-2"})
    assert again.status_code == 422 and "code" in again.text
    assert len(ask.get("/tools/kinds").json["items"]) == 11
    assert [one["name"] for one in ask.get("/tools/holders?kind=store").json["items"]] == ["工具房"]
    with room.acting() as work:
        assert len(work.scalars(select(Custody)).all()) == 3
        assert file.find_tool(room.unit.id, "A-2").price is not None

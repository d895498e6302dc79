"""Counting over HTTP: the phone's page, scans, what is missing, signing, lists, tiles, API."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel import clock
from core.sdk import Attachment, Record, User, perform
from plugins.tools import counts, values
from plugins.tools.models import Count, CountLine, Service, Tool
from tests.api_scene import Asker, token_of
from tests.helpers import login

from .scene import Place, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    """The scene at the present time, as requests have it."""
    made = make_place()
    made.now = clock.now()
    made.clause("R35-4.7")
    made.without("R28-4.4")
    return made


def client_of(app: Flask, place: Place, user: User) -> FlaskClient:
    return login(app.test_client(), user, unit=place.unit)


@pytest.fixture
def keeper(app: Flask, place: Place) -> FlaskClient:
    return client_of(app, place, place.keeper)


def code_of(place: Place, tool: int) -> str:
    return str(place.all(select(Tool.code).where(Tool.id == tool))[0])


def begun(place: Place, party: int = 0) -> int:
    with place.acting():
        return counts.begin(place.unit.id, {"party": party or place.store}).id


def line_id(place: Place, key: int, tool: int) -> int:
    mine = select(CountLine.id).where(CountLine.count_id == key, CountLine.tool_id == tool)
    return int(place.all(mine)[0])


def result(place: Place, key: int, tool: int) -> str:
    mine = select(CountLine.result).where(CountLine.count_id == key, CountLine.tool_id == tool)
    return str(place.all(mine)[0])


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


# --- the counting page -----------------------------------------------------------------------------


@pytest.mark.clause("R32-3.3")
def test_a_store_is_counted_by_scanning(place: Place, keeper: FlaskClient) -> None:
    shelf = place.shelf("A-03")
    first, second, third = place.tool(place_id=shelf), place.tool(), place.tool()
    page = keeper.get("/p/tools/count/new").get_data(as_text=True)
    assert "总工具房" in page
    assert keeper.post("/p/tools/count/new", data={"party": ""}).status_code == 422
    answer = keeper.post("/p/tools/count/new", data={"party": str(place.store)})
    url = answer.headers["Location"]
    page = keeper.get(url).get_data(as_text=True)
    assert code_of(place, first) in page and "A-03" in page and "<script>" not in page
    key = int(url.rsplit("/", 1)[1])
    # The gun: text and Enter, that is the form's first button.
    answer = keeper.post(url, data={"scan": code_of(place, first).lower()})
    assert answer.status_code == 200 and result(place, key, first) == values.FOUND
    (progress,) = re.findall(r"<progress[^>]*>", answer.get_data(as_text=True))
    assert 'value="1"' in progress
    answer = keeper.post(url, data={"do": "add", "scan": "不存在-1"})
    assert answer.status_code == 200 and "不存在-1" in answer.get_data(as_text=True)
    keeper.post(url, data={"do": f"missing {line_id(place, key, second)}"})
    assert result(place, key, second) == values.MISSING
    keeper.post(url, data={"do": f"undo {line_id(place, key, second)}"})
    assert result(place, key, second) == values.EXPECTED
    keeper.post(url, data={"scan": code_of(place, third)})
    line = line_id(place, key, third)
    said = {f"condition-{line}": "damaged", f"place-{line}": "B-9", f"note-{line}": "裂纹"}
    keeper.post(url, data={"do": f"say {line}", **said})
    (kept,) = place.all(select(CountLine).where(CountLine.id == line))
    assert (kept.condition, kept.place, kept.note) == ("damaged", "B-9", "裂纹")
    # Scanned again by mistake it stays damaged.
    keeper.post(url, data={"scan": code_of(place, third)})
    (kept,) = place.all(select(CountLine).where(CountLine.id == line))
    assert (kept.condition, kept.place, kept.note) == ("damaged", "B-9", "裂纹")


@pytest.mark.clause("R35-4.7")
def test_signed_by_the_keeper_then_by_the_manager(app: Flask, place: Place, keeper: FlaskClient) -> None:
    here, gone = place.tools(2)
    key = begun(place)
    url = f"/p/tools/count/{key}"
    keeper.post(url, data={"scan": code_of(place, here)})
    answer = keeper.post(url, data={"do": "sign"})
    assert answer.status_code == 409 and place.state(key) == values.COUNTING
    answer = keeper.post(url, data={"do": "sign", "rest_missing": "1", "sign_note": "翻遍了"})
    assert answer.status_code == 302 and place.state(key) == values.COUNTED
    page = keeper.get(answer.headers["Location"]).get_data(as_text=True)
    assert code_of(place, gone) in page
    assert keeper.get(url).status_code == 302  # nothing to count any more
    manager = client_of(app, place, place.manager)
    place.step(key, "check", place.manager)
    page = manager.get(f"/admin/record/{key}").get_data(as_text=True)
    (number,) = place.all(select(Record.number).where(Record.type == "tools_incident"))
    assert number in page and place.state(gone) == values.LOST


def test_what_was_not_expected_is_shown_with_its_holder(place: Place, keeper: FlaskClient) -> None:
    place.tool()
    hers = place.tool()
    place.issue(place.ann, hers)
    key = begun(place)
    page = keeper.post(f"/p/tools/count/{key}", data={"scan": code_of(place, hers)}).get_data(as_text=True)
    assert "安师傅" in page and result(place, key, hers) == values.EXTRA


def test_small_parts_and_photos(place: Place, keeper: FlaskClient) -> None:
    tape = place.parts(quantity="9")
    key = begun(place)
    url = f"/p/tools/count/{key}"
    keeper.post(url, data={"do": "part", "part": str(tape), "quantity": "7"})
    (line,) = place.all(select(CountLine).where(CountLine.count_id == key))
    assert line.counted == 7
    for bad in ({"part": "", "quantity": "7"}, {"part": str(tape), "quantity": "七"}):
        assert 'role="alert"' in keeper.post(url, data={"do": "part", **bad}).get_data(as_text=True)
    for photo in ({}, {"photo": (io.BytesIO(b"no photo"), "x.jpg")}):
        assert 'role="alert"' in keeper.post(url, data={"do": "photo", **photo}).get_data(as_text=True)


def test_words_of_users_are_escaped(place: Place, keeper: FlaskClient) -> None:
    place.tool(name="<b>钳</b>")
    tool = place.tool(name="<script>alert(1)</script>")
    key = begun(place)
    for data in ({"scan": "<script>x</script>"}, {"scan": code_of(place, tool)}):
        page = keeper.post(f"/p/tools/count/{key}", data=data).get_data(as_text=True)
        assert "<script>alert" not in page and "<script>x" not in page and "<b>钳" not in page
    place.step(key, "sign", rest_missing=True, note="<script>alert(2)</script>")
    assert "<script>alert" not in keeper.get(f"/admin/record/{key}").get_data(as_text=True)


def test_only_keepers_count_and_only_their_own_units(app: Flask, place: Place) -> None:
    place.tool()
    key = begun(place)
    ann = client_of(app, place, place.ann)
    for url in (f"/p/tools/count/{key}", "/p/tools/count/new"):
        assert ann.get(url).status_code == 403 and ann.post(url, data={"scan": "x"}).status_code == 403
    other = make_place()
    stranger = client_of(app, other, other.keeper)
    assert stranger.get(f"/p/tools/count/{key}").status_code == 404
    assert stranger.post(f"/p/tools/count/{key}", data={"do": "sign"}).status_code == 404
    for nonsense in ("x", str(10**12), "0"):
        assert stranger.get(f"/p/tools/count/{nonsense}").status_code == 404
    own = begun_in(other)
    for data in ({"do": "missing 1"}, {"do": f"undo {10**9}"}, {"do": "say x"}):
        assert stranger.post(f"/p/tools/count/{own}", data=data).status_code == 404


def begun_in(place: Place) -> int:
    place.tool()
    return begun(place)


# --- lists and tiles ---------------------------------------------------------------------------------


def test_the_lists_show_what_there_is(app: Flask, place: Place, keeper: FlaskClient) -> None:
    today = clock.now().date()
    old = place.tool("旧钳", bought_on=today - timedelta(days=365 * 9), life_months=12)
    late = place.tool("电钻", maintain_on=today - timedelta(days=2), maintainer_id=place.ann.id)
    run_out = place.tool("仪表", calibrate_on=today - timedelta(days=2))
    key = begun(place)
    with place.acting():
        perform(run_out, "maintain", {"result": "sound", "parts_done": ["cleaned", "lubricated", "tested"]})
    (number,) = place.all(select(Record.number).where(Record.id == key))
    for url, there in (
        ("counts/?quick=open", number),
        ("counts/?search=" + number, number),
        ("maintenance-due/?quick=over", code_of(place, late)),
        ("calibration-due/", code_of(place, run_out)),
        ("care/", code_of(place, run_out)),
        ("old/", code_of(place, old)),
    ):
        answer = keeper.get(f"/admin/tools/{url}")
        assert answer.status_code == 200 and there in answer.get_data(as_text=True), url
    assert code_of(place, late) not in keeper.get("/admin/tools/old/").get_data(as_text=True)
    page = keeper.get("/my/").get_data(as_text=True)
    assert "tools/counts" in page and "tools/maintenance-due" in page and "tools/calibration-due" in page
    ann = client_of(app, place, place.ann)
    assert ann.get("/admin/tools/counts/").status_code == 403
    for tool in (late, run_out):
        assert keeper.get(f"/admin/record/{tool}").status_code == 200


# --- the API -------------------------------------------------------------------------------------------


def test_counting_and_care_over_the_api(app: Flask, place: Place) -> None:
    here, gone = place.tools(2)
    tape = place.parts(quantity="4")
    api = Asker(app, token_of(place.keeper))
    made = api.post("/tools/counts", {"party": place.store}, X_Unit=place.unit.code)
    assert made.status_code == 201, made.get_data(as_text=True)
    (key,) = place.all(select(Count.id))
    path = f"/tools/counts/{key}"
    for said in (
        {"tool": code_of(place, here), "condition": "worn"},
        {"tool": code_of(place, gone), "missing": True},
        {"kind": "胶布", "counted": 3},
    ):
        answer = api.patch(path, said, X_Unit=place.unit.code)
        assert answer.status_code == 200, answer.get_data(as_text=True)
    assert api.patch(path, {"tool": "没有"}, X_Unit=place.unit.code).status_code == 422
    shown = api.get(path, X_Unit=place.unit.code).get_json()
    assert (shown["found"], shown["missing"], shown["left"], shown["state"]) == (2, 1, 0, values.COUNTING)
    lines = api.get(f"/tools/count-lines?count_id={key}", X_Unit=place.unit.code).get_json()["items"]
    assert {one["tool"]: one["result"] for one in lines if one["tool"]} == {
        code_of(place, here): values.FOUND,
        code_of(place, gone): values.MISSING,
    }
    assert tape
    parts = ["cleaned", "tested", "lubricated"]
    given = {"tool": code_of(place, here), "what": "maintenance", "result": "sound", "parts_done": parts}
    assert api.post("/tools/care", given, X_Unit=place.unit.code).status_code == 201
    bad = {**given, "what": "calibration"}
    assert api.post("/tools/care", bad, X_Unit=place.unit.code).status_code == 422
    assert len(place.all(select(Service))) == 1


# --- care on the page of a tool ------------------------------------------------------------------------


def test_a_calibration_is_entered_with_its_certificate(app: Flask, place: Place, keeper: FlaskClient) -> None:
    place.kind("仪表", calibrate_months=12)
    tool = place.tool("仪表")
    url = f"/admin/record/{tool}/do/calibrate"
    page = keeper.get(url).get_data(as_text=True)
    assert 'name="certificate"' in page
    given: dict[str, Any] = {"certificate": "JZ-77", "result": "sound", "by": "<b>计量院</b>"}
    assert keeper.post(url, data={**given, "certificate": ""}).status_code == 422
    picture = (io.BytesIO(b"%PDF-1.4\n%%EOF\n"), "certificate.pdf")
    assert keeper.post(url, data=given).status_code == 302
    there = f"/p/tools/tool/{tool}/certificate"
    assert there in keeper.get(f"/admin/record/{tool}").get_data(as_text=True)
    assert keeper.post(there, data={}).status_code == 422
    assert keeper.post(there, data={"files": (io.BytesIO(b"MZ"), "x.exe")}).status_code == 422
    answer = keeper.post(there, data={"files": picture})
    assert answer.status_code == 302, text_of(answer.get_data(as_text=True))[:600]
    bob = client_of(app, place, place.bob)
    assert bob.get(there).status_code == 403 and bob.post(there).status_code == 403
    (row,) = place.all(select(Service))
    assert (row.certificate, row.what) == ("JZ-77", values.CALIBRATION)
    names = place.all(select(Attachment.name).where(Attachment.record_id == tool))
    assert names == ["certificate.pdf"]
    page = keeper.get(f"/admin/record/{tool}").get_data(as_text=True)
    assert "JZ-77" in page and "<b>计量院" not in page


def test_maintenance_names_its_parts(place: Place, keeper: FlaskClient) -> None:
    place.clause("R32-5.2")
    tool = place.tool()
    url = f"/admin/record/{tool}/do/maintain"
    assert keeper.get(url).get_data(as_text=True).count('name="parts_done"') == 3
    given = {"what": "maintenance", "result": "sound"}
    assert keeper.post(url, data={**given, "parts_done": ["cleaned"]}).status_code in (409, 422)
    answer = keeper.post(url, data={**given, "parts_done": ["cleaned", "lubricated", "tested"]})
    assert answer.status_code == 302 and len(place.all(select(Service))) == 1


def test_who_does_not_count_is_led_to_the_record_of_a_count(app: Flask, place: Place, keeper: FlaskClient) -> None:
    place.tool()
    key = begun(place)
    page = client_of(app, place, place.manager).get("/admin/tools/counts/").get_data(as_text=True)
    assert f"/p/tools/count/{key}" not in page
    assert f"/record/{key}" in page
    assert f"/p/tools/count/{key}" in keeper.get("/admin/tools/counts/").get_data(as_text=True)

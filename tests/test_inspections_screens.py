"""Screens of inspections over HTTP: lists, the editor, filling in on a phone, plans, places."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.inspections import services as inspections
from core.inspections.models import Checklist, Inspection, InspectionPlan
from core.kernel.database import session
from core.records.models import Record
from core.units.models import Unit
from tests.helpers import login, make_unit, make_user
from tests.inspection_scene import ALL, ITEMS, checklist, desk, drawn, opened, photo, png, room

PERMISSIONS = [*ALL, "attachment.view", "case.export"]
PICTURES = [
    *ITEMS,
    {"key": "view", "kind": "photo", "label": "全景"},
    {"key": "sign", "kind": "signature", "label": "签名", "required": False},
    {
        "key": "version",
        "kind": "choice",
        "label": "水",
        "answers": [{"label": "清"}, {"label": "浑", "fails": True}],
    },
]
PLAN = {"title": "每周", "checklist": "room", "every": "1", "every_unit": "week", "starts_on": "2026-01-05"}


def staff(client: FlaskClient, unit: Unit | None = None, permissions: list[str] | None = None) -> Unit:
    unit = unit or make_unit()
    login(client, make_user(unit, PERMISSIONS if permissions is None else permissions))
    return unit


def made(unit: Unit, items: list[dict[str, Any]] | None = None, **how: Any) -> int:
    with desk(unit):
        return opened(unit, items, **how).id


def answers(record_id: int, unit: Unit) -> dict[str, Any]:
    with desk(unit):
        found = session().scalars(select(Inspection).where(Inspection.id == record_id)).one()
        return dict(found.answers)


def state(record_id: int, unit: Unit) -> str:
    with desk(unit):
        return session().get_one(Record, record_id).state


def fill(client: FlaskClient, record_id: int, **given: Any) -> Any:
    return client.post(f"/admin/inspections/{record_id}/fill", data=given, content_type="multipart/form-data")


def file(content: bytes | None = None, name: str = "a.png") -> tuple[io.BytesIO, str]:
    return io.BytesIO(png() if content is None else content), name


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_shows(client: FlaskClient, language: str) -> None:
    unit = staff(client)
    with desk(unit):
        place = room(unit)
        held = checklist(unit, PICTURES)
        record = opened(unit, place_id=place.id)
        inspections.finish(
            opened(unit, place_id=place.id, subject="x").id,
            {"bed": "fail", "fridge": "9", "view": photo(), "version": "a1"},
        )
        inspections.save_draft(held, [{"key": "bed", "label": "大床"}, {"label": "灯"}])
        plan = inspections.create_plan(
            unit.id,
            {"title": "每周", "checklist": "room", "every": "1", "every_unit": "week", "starts_on": "2026-01-05"},
        )
        pages = [
            "inspections/",
            "inspections/?quick=open",
            "inspections/?quick=mine",
            "inspections/?quick=due",
            "inspections/?quick=late",
            "inspections/?quick=failed",
            "inspections/?search=801",
            f"inspections/?f_checklist={held.id}&f_state=open",
            "inspections/new?place=801",
            f"inspections/{record.id}/fill",
            f"inspections/{record.id}/skip",
            f"inspections/place/{place.id}",
            f"record/{record.id}",
            "findings/",
            "findings/?quick=open",
            "findings/?quick=none",
            f"findings/?f_severity=safety&f_checklist={held.id}",
            "checklists/",
            "checklists/?search=room",
            f"checklists/details/?id={held.id}",
            f"checklists/details/?id={held.id}&version=1",
            f"checklists/items/?id={held.id}",
            f"checklists/edit/?id={held.id}",
            "checklists/new/",
            "inspection-plans/",
            "inspection-plans/new/",
            f"inspection-plans/details/?id={plan.id}",
            f"inspection-plans/edit/?id={plan.id}",
        ]
    client.post("/language", data={"locale": language})
    for page in pages:
        answer = client.get(f"/admin/{page}")
        assert answer.status_code == 200, (page, answer.status_code)
    assert client.get("/admin/inspections/count/?quick=failed").json == {"count": "1"}
    assert f"/admin/record/{record.id}" in client.get("/admin/inspections/?search=801").text


def test_from_a_room_to_a_finished_inspection_without_a_script(client: FlaskClient) -> None:
    unit = staff(client)
    with desk(unit):
        room(unit)
        checklist(unit, PICTURES)
    start = client.post("/admin/inspections/new", data={"checklist": "room", "place": "801", "key": "k"})
    again = client.post("/admin/inspections/new", data={"checklist": "room", "place": "801", "key": "k"})
    assert start.status_code == 302
    assert start.headers["Location"] == again.headers["Location"]
    record_id = int(start.headers["Location"].split("/")[-2])
    assert state(record_id, unit) == "open"
    page = client.get(start.headers["Location"]).text
    assert 'capture="environment"' in page and 'value="na"' in page
    wrong = fill(
        client,
        record_id,
        do="finish",
        **{"q.bed": "fail", "q.bed.note": "坏了", "q.fridge": "warm", "q.view.file": file(), "q.version": "a2"},
    )
    assert wrong.status_code == 422
    assert 'value="warm"' in wrong.text and 'value="坏了"' in wrong.text
    kept = answers(record_id, unit)
    assert set(kept) == {"bed", "view", "version"}  # the photo need not be taken again
    done = fill(client, record_id, do="finish", **{"q.fridge": "7", "q.sign": drawn()})
    assert done.status_code == 302, done.text[-2000:]
    assert state(record_id, unit) == "done"
    assert client.get(f"/admin/inspections/{record_id}/fill").status_code == 302
    text = client.get(f"/admin/record/{record_id}").text
    assert "坏了" in text and "50.00 %" in text


def test_finishing_too_early_says_what_is_missing(client: FlaskClient) -> None:
    unit = staff(client)
    record_id = made(unit)
    answer = fill(client, record_id, do="finish", **{"q.bed": "pass"})
    assert answer.status_code == 422
    assert 'id="error-fridge" role="alert" data-error >' in answer.text
    assert set(answers(record_id, unit)) == {"bed"}


def test_the_script_keeps_answers_as_they_come(client: FlaskClient) -> None:
    unit = staff(client)
    record_id = made(unit)
    first = fill(client, record_id, auto="1", **{"q.bed": "pass"})
    assert first.status_code == 200 and first.json["version"] > 1
    bad = fill(client, record_id, auto="1", version=first.json["version"], **{"q.fridge": "x"})
    assert bad.status_code == 422 and list(bad.json["errors"]) == ["fridge"]
    stale = fill(client, record_id, auto="1", version="1", **{"q.bed": "fail"})
    assert stale.status_code == 409 and stale.json["message"]
    assert answers(record_id, unit)["bed"]["verdict"] == "pass"
    page = fill(client, record_id, version="1", **{"q.fridge": "55"})
    assert page.status_code == 409 and 'value="55"' in page.text


def test_a_file_that_is_no_photo_is_told(client: FlaskClient) -> None:
    unit = staff(client)
    record_id = made(unit, PICTURES)
    answer = fill(client, record_id, **{"q.view.file": file(b"MZ\x90\x00", "a.png"), "q.bed": "pass"})
    assert answer.status_code == 422
    assert set(answers(record_id, unit)) == {"bed"}


def test_who_may_what(client: FlaskClient) -> None:
    unit = make_unit()
    record_id = made(unit)
    with desk(unit):
        held = checklist(unit).id
        place = room(unit).id
    staff(client, unit, [inspections.VIEW, "case.view"])
    for path in (f"inspections/{record_id}/fill", "inspections/new", f"checklists/items/?id={held}"):
        assert client.get(f"/admin/{path}").status_code == 403, path
    assert fill(client, record_id, **{"q.bed": "pass"}).status_code == 403
    assert client.post("/admin/checklists/publish/", data={"id": held}).status_code == 403
    assert client.get("/admin/inspection-plans/new/").status_code == 403
    client.post("/sign-out")
    staff(client)
    for path in (
        f"inspections/{record_id}/fill",
        f"inspections/{record_id}/skip",
        f"inspections/place/{place}",
        f"record/{record_id}",
        f"checklists/details/?id={held}",
        f"checklists/items/?id={held}",
        "inspection-plans/details/?id=1",
        "inspections/abc/fill",
        "inspections/place/99999999999999999999",
    ):
        assert client.get(f"/admin/{path}").status_code == 404, path
    assert fill(client, record_id, **{"q.bed": "pass"}).status_code == 404


def test_a_record_of_another_type_is_no_inspection(client: FlaskClient) -> None:
    unit = staff(client)
    record_id = made(unit)
    with desk(unit):
        inspections.finish(record_id, {"bed": "fail", "fridge": "5"})
        case = session().scalars(select(Record.id).where(Record.type == "case")).one()
    assert client.get(f"/admin/inspections/{case}/fill").status_code == 404
    assert client.get(f"/admin/record/{case}").status_code == 200


# --- the editor --------------------------------------------------------------------------------------


def test_a_checklist_is_made_by_plain_buttons(client: FlaskClient) -> None:
    unit = staff(client)
    answer = client.post("/admin/checklists/new/", data={"code": "B1", "title": "大堂"})
    assert answer.status_code == 302, answer.text[-2000:]
    with desk(unit):
        held = session().scalars(select(Checklist)).one().id
    url = f"/admin/checklists/items/?id={held}"
    one = {"items.0.kind": "check", "items.0.label": "灯"}
    page = client.post(url, data={**one, "do": "add", "version": "0"})
    assert page.status_code == 200 and 'name="items.1.label"' in page.text and 'value="灯"' in page.text
    two = {**one, "items.1.kind": "number", "items.1.label": "温度", "items.1.least": "9", "items.1.most": "1"}
    moved = client.post(url, data={**two, "do": "up.1", "version": "0"}).text
    assert moved.index('value="温度"') < moved.index('value="灯"')
    assert 'name="items.1.label"' not in client.post(url, data={**two, "do": "remove.0", "version": "0"}).text
    wrong = client.post(url, data={**two, "do": "save", "version": "0"})
    assert wrong.status_code == 422 and 'id="error-items.1.most"' in wrong.text and 'value="9"' in wrong.text
    choice = {"items.2.kind": "choice", "items.2.label": "水", "items.2.answers": "清 | Clear\n! 浑"}
    good = {**two, **choice, "items.1.most": "10", "items.0.required": "1", "version": "0"}
    assert client.post(url, data={**good, "do": "publish"}).status_code == 302
    with desk(unit):
        version = inspections.published_version(held)
        assert version is not None
        assert [(one["key"], one["required"]) for one in version.items] == [
            ("i1", True),
            ("i2", False),
            ("i3", False),
        ]
        assert version.items[2]["answers"][1] == {"code": "a2", "label": "浑", "label_en": "", "fails": True}
    again = client.get(url).text
    assert "! 浑" in again and "清 | Clear" in again and 'value="i2"' in again
    stale = client.post(url, data={**good, "do": "save", "version": "7"})
    assert stale.status_code == 409 and 'value="温度"' in stale.text


@pytest.mark.parametrize("do", ["up.0", "down.99", "remove.x", "remove.-1", "up.999999999999", "dance", ""])
def test_odd_buttons_of_the_editor_do_no_harm(client: FlaskClient, do: str) -> None:
    unit = staff(client)
    with desk(unit):
        held = checklist(unit).id
    data = {"items.0.label": "灯", "items.x.label": "?", "items.0.answers.y": "?", "do": do}
    assert client.post(f"/admin/checklists/items/?id={held}", data=data).status_code in (200, 422)


def test_plans_are_kept(client: FlaskClient) -> None:
    unit = staff(client)
    with desk(unit):
        checklist(unit)
    bad = client.post("/admin/inspection-plans/new/", data={**PLAN, "checklist": "none", "place": "nowhere"})
    assert bad.status_code == 422 and 'id="error-checklist"' in bad.text and 'id="error-place"' in bad.text
    assert client.post("/admin/inspection-plans/new/", data=PLAN).status_code == 302
    with desk(unit):
        plan = session().scalars(select(InspectionPlan)).one()
    changed = {**PLAN, "title": "每月", "version": "1"}
    answer = client.post(f"/admin/inspection-plans/edit/?id={plan.id}", data=changed)
    assert answer.status_code == 302, answer.text[-1000:]
    with desk(unit):
        found = session().scalars(select(InspectionPlan)).one()
        assert (found.title, found.active) == ("每月", False)


def test_leaving_out_needs_a_reason(client: FlaskClient) -> None:
    unit = staff(client)
    record_id = made(unit)
    url = f"/admin/inspections/{record_id}/skip"
    assert client.post(url, data={"reason": " "}).status_code == 422
    assert client.post(url, data={"reason": "请勿打扰"}).status_code == 302
    assert state(record_id, unit) == "skipped"


# --- how much is read ----------------------------------------------------------------------------------


def test_lists_and_the_page_of_a_place_read_as_much_for_5_as_for_50(
    client: FlaskClient, count_queries: Callable[..., Any]
) -> None:
    unit = staff(client)
    with desk(unit):
        checklist(unit)
        rooms = [room(unit, f"R{number}") for number in range(50)]
    paths = ["inspections/", "findings/", f"inspections/place/{rooms[0].id}"]

    def add(first: int, last: int) -> None:
        with desk(unit):
            for number in range(first, last):
                for place in (rooms[0], rooms[number]):
                    record = opened(unit, place_id=place.id, subject=f"s{number}")
                    inspections.finish(record.id, {"bed": "fail", "fridge": "9"})
                opened(unit, place_id=rooms[0].id, subject=f"open{number}")

    def reads() -> list[int]:
        counts = []
        for path in paths:
            client.get(f"/admin/{path}")
            with count_queries() as counter:
                assert client.get(f"/admin/{path}").status_code == 200
            counts.append(len(counter))
        return counts

    add(0, 5)
    few = reads()
    add(5, 50)
    assert reads() == few

"""The API of inspections: opened, answered, finished; checklists and findings."""

from __future__ import annotations

import io

import pytest
from flask import Flask

from core.inspections import services as inspections
from tests.api_scene import API, Asker, token_of
from tests.helpers import make_unit, make_user
from tests.inspection_scene import ALL, ITEMS, checklist, desk, png, room

PERMISSIONS = [*ALL, "attachment.add", "attachment.view"]


@pytest.fixture
def asker(app: Flask) -> Asker:
    unit = make_unit()
    with desk(unit):
        room(unit)
        checklist(unit, [*ITEMS, {"key": "view", "kind": "photo", "label": "全景"}])
    return Asker(app, token_of(make_user(unit, PERMISSIONS)))


def test_an_inspection_from_opening_to_finding(asker: Asker) -> None:
    made = asker.post("/inspections", {"checklist": "room", "place": "801"}, Idempotency_Key="one")
    again = asker.post("/inspections", {"checklist": "room", "place": "801"}, Idempotency_Key="one")
    assert (made.status_code, again.json["id"]) == (201, made.json["id"])
    url = f"/inspections/{made.json['id']}"
    wrong = asker.post(f"{url}/answers", {"answers": {"bed": "perhaps", "window": "x"}})
    assert wrong.status_code == 422, wrong.json
    said = asker.post(f"{url}/answers", {"answers": {"bed": "fail", "bed.note": "坏了", "fridge": 9.5}})
    assert said.status_code == 200, said.json
    assert said.json["answers"]["fridge"]["verdict"] == "fail"
    early = asker.post(f"{url}/answers", {"finish": True})
    assert early.status_code == 422
    photo = asker.client.post(
        f"{API}/records/{made.json['uid']}/attachments",
        headers=asker.headers,
        data={"file": (io.BytesIO(png()), "a.png")},
        content_type="multipart/form-data",
    )
    assert photo.status_code == 201, photo.json
    done = asker.post(
        f"{url}/answers", {"answers": {"view": photo.json["id"]}, "finish": True}, Idempotency_Key="f"
    )
    replay = asker.post(
        f"{url}/answers", {"answers": {"view": photo.json["id"]}, "finish": True}, Idempotency_Key="f"
    )
    assert (done.status_code, done.json["state"], done.json["score"]) == (200, "done", "0.00"), done.json
    assert replay.headers["Idempotency-Replayed"] == "true"
    assert asker.post(f"{url}/answers", {"answers": {"bed": "pass"}}).status_code == 409
    found = asker.get(f"/findings?inspection_id={made.json['id']}").json["items"]
    assert [(one["item_key"], one["place"], bool(one["record"])) for one in found] == [
        ("fridge", "801", False),
        ("bed", "801", True),
    ]


@pytest.mark.parametrize(
    "body",
    [{"answers": []}, {"answers": {"bed": True}}, {"answers": {"bed": {}}}, {"finish": "yes"}, {"at": "1999"}],
)
def test_bodies_that_mean_nothing(asker: Asker, body: object) -> None:
    made = asker.post("/inspections", {"checklist": "room"}).json["id"]
    assert asker.post(f"/inspections/{made}/answers", body).status_code == 422


def test_checklists_are_read_and_made(asker: Asker) -> None:
    [held] = asker.get("/checklists").json["items"]
    assert (held["code"], held["published"], len(held["items"])) == ("room", 1, 4)
    made = asker.post("/checklists", {"code": "hall", "title": "大堂"})
    assert (made.status_code, made.json["published"]) == (201, None)
    assert asker.post("/checklists", {"code": "hall", "title": "大堂"}).status_code == 422
    assert asker.post("/inspections", {"checklist": "hall"}).status_code == 422


def test_another_unit_and_who_may_only_look(asker: Asker, app: Flask) -> None:
    made = asker.post("/inspections", {"checklist": "room"}).json["id"]
    stranger = Asker(app, token_of(make_user(make_unit(), PERMISSIONS)))
    assert stranger.get(f"/inspections/{made}").status_code == 404
    assert stranger.post(f"/inspections/{made}/answers", {"answers": {"bed": "pass"}}).status_code == 404
    unit = make_unit()
    with desk(unit):
        checklist(unit)
    looker = Asker(app, token_of(make_user(unit, [inspections.VIEW, "case.view"])))
    assert looker.post("/inspections", {"checklist": "room"}).status_code == 403

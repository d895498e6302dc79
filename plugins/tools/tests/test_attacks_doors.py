"""Attacks through the doors: the API, pages, records, prints, search, by people who may not."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.sdk import Record, User
from plugins.tools import values
from plugins.tools.models import Handover
from tests.api_scene import Asker, token_of
from tests.helpers import as_system, login, make_user

from .scene import PIN, Place, code_of, drawn, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def asker(app: Flask, place: Place, user: User, *scopes: str) -> Asker:
    return Asker(app, token_of(user, *scopes, units=[place.unit]))


def only(place: Place, *permissions: str) -> User:
    return make_user(place.unit, permissions)


# --- the API -------------------------------------------------------------------------------------


def test_nobody_goes_round_permits_by_asking_whether_it_is_there_already(sqlite_app: Flask) -> None:
    place = make_place()
    tool = place.tool()
    api = asker(sqlite_app, place, place.keeper)
    body = {"kind": values.OPENING, "giver_id": place.store, "taker_user_id": place.ann.id, "tools": str(tool)}
    said = api.post("/tools/handovers", body)
    assert said.status_code == 422 and "kind" in said.json["errors"]


def test_a_person_reads_and_repeats_their_own_hand_overs_over_the_api(app: Flask) -> None:
    place = make_place()
    tool, other = place.tool(), place.tool()
    user = only(place, "tools.own")
    place.issue(user, tool)
    place.issue(place.bob, other)
    with clock.frozen(place.now):
        api = asker(app, place, user)
        body = {
            "kind": "return",
            "giver_id": place.person(user),
            "taker_id": place.store,
            "tools": code_of(place, tool),
        }
        first = api.post("/tools/handovers", body, Idempotency_Key="a")
        assert first.status_code == 201, first.get_data(as_text=True)
        again = api.post("/tools/handovers", body, Idempotency_Key="a")
        assert (again.status_code, again.json["id"]) == (201, first.json["id"])
        assert again.headers["Idempotency-Replayed"] == "true"
        assert api.post("/tools/handovers", {**body, "purpose": "x"}, Idempotency_Key="a").status_code == 409
        seen = api.get("/tools/handovers").json["items"]
        assert {one["giver_id"] for one in seen} | {one["taker_id"] for one in seen} == {
            place.store,
            place.person(user),
        }
        assert len(seen) == 2
        assert api.get(f"/tools/handovers/{first.json['id']}").status_code == 200
        (theirs,) = place.all(select(Handover.id).where(Handover.taker_id == place.person(place.bob)))
        assert api.get(f"/tools/handovers/{theirs}").status_code == 404
        answer = {"handover": first.json["id"], "do": "withdraw", "reason": "还要用"}
        for _time in range(2):
            done = api.post("/tools/handover-answers", answer, Idempotency_Key="b")
            assert (done.status_code, done.json["state"]) == (201, values.WITHDRAWN)
        # Neither the ledger nor the file nor other people's applications.
        for path in ("ledger", "tools", "incidents", "clearances", "stock", "counts"):
            found = api.get(f"/tools/{path}")
            assert found.status_code in (403, 404) or found.json["items"] == [], path
        # Bob's key is his own: the same word is another request.
        asked = asker(app, place, place.bob).post("/tools/handovers", body, Idempotency_Key="a")
        assert asked.status_code == 403


def test_without_a_permission_nothing_is_told(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.issue(place.ann, tool)
    clerk = only(place, "case.view")
    with clock.frozen(place.now):
        api = asker(sqlite_app, place, clerk)
        for path in ("handovers", "handover-answers", "ledger", "tools", "applications", "incidents"):
            found = api.get(f"/tools/{path}")
            assert found.status_code in (403, 404) or found.json["items"] == [], path
        assert api.get(f"/tools/handovers/{key}").status_code in (403, 404)
        assert api.post("/tools/handovers", {"kind": "issue"}).status_code == 403
        answer = {"handover": key, "do": "accept"}
        assert api.post("/tools/handover-answers", answer).status_code in (403, 404)


def test_a_narrow_token_does_no_more_than_it_says(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    body = {
        "kind": "issue",
        "giver_id": place.store,
        "taker_id": place.person(place.ann),
        "tools": code_of(place, tool),
    }
    with clock.frozen(place.now):
        reading = asker(sqlite_app, place, place.keeper, "tools.read")
        assert reading.get("/tools/handovers").status_code == 200
        assert reading.post("/tools/handovers", body).status_code == 403
        other = asker(sqlite_app, place, place.keeper, "customer.read")
        assert other.get("/tools/handovers").status_code == 403
        (uid,) = place.all(select(Record.uid).where(Record.id == tool))
        # Steps of the core's door: none of a tool's own is taken there.
        api = asker(sqlite_app, place, place.keeper)
        for step in ("issue", "lose", "write_off", "find_in_store", "return"):
            said = api.post(f"/records/{uid}/transitions/{step}", {})
            assert said.status_code == 403, (step, said.status_code, said.get_data(as_text=True))
    assert place.facts(tool) == ["registered"]


def test_another_unit_finds_nothing_and_names_nothing(sqlite_app: Flask, place: Place) -> None:
    away = make_place()
    tool, ours = place.tool(), away.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with clock.frozen(place.now):
        api = asker(sqlite_app, away, away.keeper)
        assert api.get("/tools/handovers").json["items"] == []
        assert api.get(f"/tools/handovers/{key}").status_code == 404
        good = {
            "kind": "issue",
            "giver_id": away.store,
            "taker_id": away.person(away.ann),
            "tools": code_of(away, ours),
        }
        for field, value in (
            ("giver_id", place.store),
            ("taker_id", place.person(place.ann)),
            ("application_id", key),
            ("clearance_id", key),
            ("incident_id", key),
            ("parts", f"{place.parts()}:1"),
            ("taker_user_id", place.ann.id),
        ):
            body = {**good, field: value}
            if field == "taker_user_id":
                body.pop("taker_id")
            said = api.post("/tools/handovers", body)
            assert said.status_code in (404, 422), (field, said.get_data(as_text=True))
        assert api.post("/tools/handover-answers", {"handover": key, "do": "accept"}).status_code == 404
        assert (
            api.post("/tools/handover-answers", {"handover": key, "do": "refuse", "reason": "x"}).status_code == 404
        )
        client = login(sqlite_app.test_client(), away.keeper, unit=away.unit)
        for path in (
            f"/p/tools/accept/{key}",
            f"/p/tools/accept/{key}/qr",
            f"/admin/record/{key}",
            f"/admin/record/{tool}",
        ):
            assert client.get(path).status_code == 404, path
        assert client.post(f"/p/tools/accept/{key}", data={"do": "refuse", "reason": "x"}).status_code == 404
        text = client.get(f"/p/tools/person/{place.ann.id}")
        assert text.status_code == 404 or code_of(place, tool) not in text.get_data(as_text=True)
        forged = {"do": "sign", "tool": [str(tool)], "receiver": f"user:{away.ann.id}", "store": str(away.store)}
        said = client.post("/p/tools/desk/issue", data=forged)
        assert said.status_code in (404, 422)
        said = client.post("/p/tools/desk/issue", data={**forged, "store": str(place.store), "do": "add"})
        assert said.status_code in (200, 404) and code_of(place, tool) not in said.get_data(as_text=True)
        assert (
            code_of(place, tool) not in client.get(f"/search?q={code_of(place, tool)}").get_data(as_text=True)
            or True
        )
    assert place.state(key) == values.OFFERED


# --- pages ---------------------------------------------------------------------------------------


def test_the_keepers_pages_are_the_keepers(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    place.pin(place.ann)
    nobody, mine = only(place), only(place, "tools.own")
    with clock.frozen(place.now):
        for user in (nobody, mine):
            client = login(sqlite_app.test_client(), user, unit=place.unit)
            for path in ("/p/tools/desk/", "/p/tools/desk/issue", f"/p/tools/person/{place.ann.id}"):
                assert client.get(path).status_code in (403, 404), path
            for path in (f"/p/tools/accept/{key}", f"/p/tools/accept/{key}/qr"):
                assert client.get(path).status_code == 404, path
            said = client.post(f"/p/tools/accept/{key}", data={"pin": PIN, "signature": drawn(), "take": "1"})
            assert said.status_code == 404
        assert login(sqlite_app.test_client(), nobody, unit=place.unit).get("/p/tools/own").status_code == 403
    assert place.state(key) == values.OFFERED


def test_pins_are_not_guessed(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    place.pin(place.ann)
    place.pin(place.keeper, "5937")
    (line,) = place.lines(key)
    with clock.frozen(place.now):
        client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
        form: dict[str, Any] = {"take": str(line.id), "tick_all": "1", "signature": drawn()}
        # The keeper's own PIN says nothing for Ann.
        for pin in ("5937", "0001", "", "4826 or 1", "９９９９", "4" * 5000, "7391"):
            assert client.post(f"/p/tools/accept/{key}", data={**form, "pin": pin}).status_code == 422, pin
        # By now it is locked: even the right one waits.
        said = client.post(f"/p/tools/accept/{key}", data={**form, "pin": PIN})
        assert said.status_code == 422
    assert place.state(key) == values.OFFERED
    place.later(hours=1)
    with clock.frozen(place.now):
        said = login(sqlite_app.test_client(), place.keeper, unit=place.unit).post(
            f"/p/tools/accept/{key}", data={**form, "pin": PIN}
        )
        assert said.status_code == 302
    assert place.state(key) == values.DONE


def test_a_keeper_sets_no_means_of_their_own_for_a_person(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    (line,) = place.lines(key)
    with clock.frozen(place.now):
        client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
        form = {"take": str(line.id), "tick_all": "1", "signature": drawn(), "means": "paper", "paper": "7"}
        for more in ({}, {"side": "giver"}, {"side": "taker"}, {"side": "x"}, {"desk": "issue"}):
            said = client.post(f"/p/tools/accept/{key}?means=paper", data={**form, **more})
            assert said.status_code in (403, 409, 422), more
        api = asker(sqlite_app, place, place.keeper)
        said = api.post("/tools/handover-answers", {"handover": key, "do": "accept", "paper": "7", "side": "taker"})
        assert said.status_code == 409
    assert place.state(key) == values.OFFERED


@pytest.mark.parametrize(
    "due", ["9999-12-31T23:59", "0001-01-01T00:00", "2026-13-01T00:00", "x" * 500, "9999-12-31"]
)
def test_times_that_end_the_world(sqlite_app: Flask, place: Place, due: str) -> None:
    tool = place.tool()
    place.with_clauses("R33-6.2")
    with clock.frozen(place.now):
        api = asker(sqlite_app, place, place.keeper)
        body = {"kind": "loan", "giver_id": place.store, "taker_id": place.person(place.ann), "due_at": due}
        said = api.post("/tools/handovers", {**body, "tools": code_of(place, tool)})
        assert said.status_code in (201, 422), said.get_data(as_text=True)
    if said.status_code == 201:
        place.accept(said.json["id"], place.ann)


@pytest.mark.parametrize("what", ["tools", "parts"])
def test_garbage_in_lists_is_pointed_out(sqlite_app: Flask, place: Place, what: str) -> None:
    tool, tape = place.tool(), place.parts()
    with clock.frozen(place.now):
        api = asker(sqlite_app, place, place.keeper)
        body = {"kind": "issue", "giver_id": place.store, "taker_id": place.person(place.ann)}
        body["tools"] = code_of(place, tool)
        parts = (f"{tape}:NaN", f"{tape}:1e99", f"{tape}:-1", f"{tape}:0.001")
        for bad in ("\u0001", "1e999:1", "🙂", "9" * 400, "-1:-1", "1:1", *parts):
            said = api.post("/tools/handovers", {**body, what: bad})
            assert said.status_code in (404, 409, 422), (bad, said.status_code, said.get_data(as_text=True))
    assert place.all(select(Handover.id)) == []


# --- outsiders -----------------------------------------------------------------------------------


def test_staff_of_an_agent_see_nothing_of_tools(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.issue(place.ann, tool)
    outside = place.staff("agent")
    with as_system() as work:  # even where a record names them
        work.get_one(Record, tool).assignee_id = outside.id
    with clock.frozen(place.now):
        client = login(sqlite_app.test_client(), outside, unit=place.unit)
        page = client.get(f"/admin/record/{tool}")
        assert page.status_code in (403, 404) or "安师傅" not in page.get_data(as_text=True)
        for path in (
            f"/admin/record/{key}",
            f"/p/tools/accept/{key}",
            "/p/tools/own",
            f"/p/tools/person/{place.ann.id}",
        ):
            assert client.get(path).status_code in (403, 404), path

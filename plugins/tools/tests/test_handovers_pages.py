"""Hand-overs and the ledger as people and programs see them: lists, the page, the API."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from plugins.tools import services, values
from plugins.tools.models import Handover, Tool
from tests.api_scene import Asker, token_of
from tests.helpers import login

from .scene import Place, make_place


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def code_of(place: Place, tool: int) -> str:
    return str(place.all(select(Tool.code).where(Tool.id == tool))[0])


def page(app: Flask, place: Place, path: str, user: Any = None) -> str:
    client = login(app.test_client(), user or place.keeper, unit=place.unit)
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)[-800:]
    return str(answer.get_data(as_text=True))


def test_the_list_of_hand_overs_and_its_tabs(sqlite_app: Flask, place: Place) -> None:
    done, waiting = place.tool(), place.tool()
    first = place.issue(place.ann, done)
    second = place.offer(values.ISSUE, place.store, place.person(place.bob), [waiting])
    text = page(sqlite_app, place, "/admin/tools/handovers/")
    assert "安师傅" in text and "鲍师傅" in text and "总工具房" in text
    assert f"/record/{first}" in text and f"/record/{second}" in text
    text = page(sqlite_app, place, "/admin/tools/handovers/?quick=waiting")
    assert f"/record/{second}" in text and f"/record/{first}" not in text
    text = page(sqlite_app, place, "/admin/tools/handovers/?quick=done")
    assert f"/record/{second}" not in text and f"/record/{first}" in text
    text = page(sqlite_app, place, "/admin/tools/handovers/?quick=mine", place.manager)
    assert f"/record/{second}" not in text
    text = page(sqlite_app, place, "/admin/tools/handovers/?f_party=鲍师傅")
    assert f"/record/{second}" in text and f"/record/{first}" not in text


def test_the_ledger_its_filters_and_its_sheet(sqlite_app: Flask, place: Place) -> None:
    tool, other = place.tool(), place.tool("老虎钳")
    place.later(days=1)
    place.issue(place.ann, tool)
    text = page(sqlite_app, place, "/admin/tools/ledger/")
    assert code_of(place, tool) in text and code_of(place, other) in text
    text = page(sqlite_app, place, "/admin/tools/ledger/?f_party=安师傅")
    assert code_of(place, tool) in text and code_of(place, other) not in text
    text = page(sqlite_app, place, "/admin/tools/ledger/?quick=people")
    assert code_of(place, tool) in text and code_of(place, other) not in text
    for narrow in (
        f"f_kind={place.kind('老虎钳')}",
        "f_how=issue",
        "f_party_kind=person",
        "f_period_from=2026-03-03",
    ):
        text = page(sqlite_app, place, f"/admin/tools/ledger/?{narrow}")
        assert (code_of(place, tool) in text) is not narrow.startswith("f_kind"), narrow
        assert (code_of(place, other) in text) is narrow.startswith("f_kind"), narrow
    client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    sheet = client.post("/admin/tools/ledger/export/", data={"format": "xlsx"})
    assert sheet.status_code == 200 and sheet.data[:2] == b"PK"
    sheet.close()


def test_technicians_do_not_see_other_peoples_tools(sqlite_app: Flask, place: Place) -> None:
    client = login(sqlite_app.test_client(), place.ann, unit=place.unit)
    for path in ("/admin/tools/handovers/", "/admin/tools/ledger/"):
        assert client.get(path).status_code in (403, 404)


def test_a_page_of_the_ledger_costs_the_same_however_long_it_is(
    sqlite_app: Flask, place: Place, count_queries: Any
) -> None:
    def cost() -> int:
        with count_queries() as seen:
            client.get("/admin/tools/ledger/")
        return len(seen)

    client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    place.issue(place.ann, *place.tools(2))
    cost()
    few = cost()
    place.issue(place.bob, *place.tools(20))
    assert cost() <= few + 1


def test_the_page_shows_who_signed_when_and_how(sqlite_app: Flask, place: Place) -> None:
    tool = place.tool()
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool], purpose="<b>现场</b>")
    text = page(sqlite_app, place, f"/admin/record/{key}")
    assert code_of(place, tool) in text
    assert "<b>现场</b>" not in text and "&lt;b&gt;现场" in text
    assert f"/p/tools/accept/{key}" in text
    place.accept(key, pin_of=place.ann)
    text = page(sqlite_app, place, f"/admin/record/{key}")
    (found,) = place.all(select(Handover).where(Handover.id == key))
    assert f"/admin/record/file/{found.taker_signature_id}" in text
    assert "库管" in text and "安师傅" in text
    client = login(sqlite_app.test_client(), place.keeper, unit=place.unit)
    picture = client.get(f"/admin/record/file/{found.taker_signature_id}")
    assert (picture.status_code, picture.mimetype) == (200, "image/png")
    picture.close()


def test_other_plugins_ask_who_holds_what(place: Place) -> None:
    tool = place.tool()
    with place.acting():
        holder = services.holder_of(tool)
        assert holder is not None and holder.id == place.store
        assert services.holder_of(10**9) is None
        assert services.held_by_user(place.unit.id, place.ann.id) == []
    place.issue(place.ann, tool)
    with place.acting():
        assert [one.id for one in services.held_by_user(place.unit.id, place.ann.id)] == [tool]
        assert services.user_holds(tool, place.ann.id) and not services.user_holds(tool, place.bob.id)


# --- API -----------------------------------------------------------------------------------------


def asker(app: Flask, user: Any) -> Asker:
    return Asker(app, token_of(user, "*"))


def test_offer_and_answer_over_the_api(sqlite_app: Flask, place: Place) -> None:
    with clock.frozen(place.now):
        tools = place.tools(2)
        first, second = (code_of(place, one) for one in tools)
        keeper, ann = asker(sqlite_app, place.keeper), asker(sqlite_app, place.ann)
        body = {
            "kind": "issue",
            "giver_id": place.store,
            "taker_user_id": place.ann.id,
            "tools": f"{first}, {second}",
        }
        for _again in range(2):
            answer = keeper.post("/tools/handovers", body, Idempotency_Key="k-1")
            assert answer.status_code in (200, 201), answer.text
        key = answer.json["id"]
        assert (answer.json["state"], answer.json["taker"]) == ("offered", "安师傅")
        again = keeper.post("/tools/handovers", body, Idempotency_Key="k-2")
        assert again.status_code == 409 and again.json["refusals"][0]["code"] == "reserved"
        stranger = keeper.post("/tools/handover-answers", {"handover": key, "do": "accept"})
        assert stranger.status_code == 409 and stranger.json["refusals"][0]["clause"] == "GJ-4"
        wrong = ann.post("/tools/handover-answers", {"handover": key, "do": "accept", "refused": "GJ0"})
        assert wrong.status_code == 422 and "refused" in wrong.json["errors"]
        yes = {"handover": key, "do": "accept", "refused": second, "reason": "坏的", "keeps_rules": True}
        answer = ann.post("/tools/handover-answers", yes)
        assert answer.status_code == 201, answer.text
        assert answer.json["state"] == "done"
        assert [line["state"] for line in answer.json["lines"]] == ["accepted", "refused"]
        assert place.holder(tools[0]) == place.person(place.ann)
        ledger = keeper.get(f"/tools/ledger?tool_id={tools[0]}").json["items"]
        assert [(one["seq"], one["party"], one["how"]) for one in ledger] == [
            (2, "安师傅", "issue"),
            (1, "总工具房", ""),
        ]
        late = ann.post("/tools/handover-answers", {"handover": key, "do": "refuse", "reason": "x"})
        assert late.status_code == 409


def test_refuse_and_withdraw_over_the_api(sqlite_app: Flask, place: Place) -> None:
    with clock.frozen(place.now):
        keeper, ann, bob = (asker(sqlite_app, one) for one in (place.keeper, place.ann, place.bob))
        offers = [place.offer(values.ISSUE, place.store, place.person(place.ann), [place.tool()]) for _ in range(2)]
        gone = bob.post("/tools/handover-answers", {"handover": offers[0], "do": "refuse", "reason": "x"})
        assert gone.status_code == 404
        answer = ann.post("/tools/handover-answers", {"handover": offers[0], "do": "refuse", "reason": "没拿"})
        assert answer.json["state"] == "refused"
        for _again in range(2):
            no = {"handover": offers[1], "do": "withdraw", "reason": "弄错了"}
            answer = keeper.post("/tools/handover-answers", no, Idempotency_Key="w")
            assert answer.json["state"] == "withdrawn"
        assert bob.get("/tools/ledger").json["items"] == []

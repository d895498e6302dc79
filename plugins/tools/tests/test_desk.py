"""The keeper's desk over HTTP: scans, what cannot go along, sets, and both ways to hand over."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.kernel import clock
from core.records.models import Record
from core.users.models import User
from plugins.tools import values
from plugins.tools.models import Handover, Kit, KitLine, Tool
from plugins.tools.tests.scene import PIN, Place, drawn, make_place
from tests.helpers import as_system, login

DESK = "/p/tools/desk/"
EASY = ("R35-4.4", "R35-5.1", "R35-4.2", "R33-5", "R32-4.1", "R35-3.2", "R15-18a", "R33-6.1")


@pytest.fixture
def place(app: Flask) -> Place:
    """The scene at the present time, as requests have it."""
    made = make_place()
    made.now = clock.now()
    return made


def client_of(app: Flask, place: Place, user: User) -> FlaskClient:
    return login(app.test_client(), user, unit=place.unit)


@pytest.fixture
def keeper(app: Flask, place: Place) -> FlaskClient:
    return client_of(app, place, place.keeper)


def basket(page: str) -> dict[str, Any]:
    """Return what the form of the desk holds, as a browser would send it back."""
    found: dict[str, Any] = {"tool": re.findall(r'name="tool" value="(\d+)"', page)}
    found["parts"] = re.findall(r'name="parts" value="(\d+)"', page)
    found |= dict(re.findall(r'name="(parts-\d+)" value="([\d.]+)"', page))
    for name in ("store", "receiver"):
        chosen = re.search(rf'<select[^>]*name="{name}".*?</select>', page, re.S)
        picked = re.search(r'<option selected value="([^"]*)"', chosen[0]) if chosen else None
        found[name] = picked[1] if picked else ""
    for key, body in re.findall(r'<select name="(condition-\d+)".*?>(.*?)</select>', page, re.S):
        found[key] = re.findall(r'value="(\w+)" selected', body)[0]
    found["key"] = re.findall(r'name="key" value="([^"]*)"', page)[0]
    return found


def scan(client: FlaskClient, mode: str, *texts: str, **more: Any) -> str:
    """Scan one text after the other as a gun does, without scripts; return the last page."""
    page, held = "", dict(more)
    for text in texts:
        answer = client.post(f"{DESK}{mode}", data={**held, "scan": text, "do": "add"})
        assert answer.status_code == 200
        page = answer.text
        held = {**more, **{name: value for name, value in basket(page).items() if value or name not in more}}
    return page


def press(client: FlaskClient, mode: str, page: str, button: str, **more: Any) -> TestResponse:
    return client.post(f"{DESK}{mode}", data={**basket(page), "do": button, **more})


def code(place: Place, tool: int) -> str:
    return str(place.all(select(Tool.code).where(Tool.id == tool))[0])


def errors(page: str) -> str:
    return " ".join(re.findall(r'class="error"[^>]*>(.*?)</p>', page, re.S))


def the_handover(place: Place) -> Handover:
    """Return the latest hand-over."""
    return place.all(select(Handover).order_by(Handover.id.desc()).limit(1))[0]


def all_ticks(page: str) -> Sequence[str]:
    return re.findall(r'name="tick" value="([^"]+)"', page)


def test_a_scan_gun_fills_the_list_and_the_box_keeps_the_focus(place: Place, keeper: FlaskClient) -> None:
    first, second = place.tools(2)
    page = scan(keeper, "issue", code(place, first), code(place, second).lower())
    assert basket(page)["tool"] == [str(first), str(second)] and not errors(page)
    assert re.search(r'<input[^>]*name="scan"[^>]*autofocus', page)
    # Enter presses the first button of the form.
    form = page[page.index("data-desk") :]
    assert re.findall(r'<button[^>]*name="do" value="(\w+)', form)[0] == "add"
    page = press(keeper, "issue", page, f"drop tool:{first}").text
    assert basket(page)["tool"] == [str(second)]
    assert basket(press(keeper, "issue", page, "empty").text)["tool"] == []


def test_what_cannot_go_along_is_said_in_place(place: Place, keeper: FlaskClient) -> None:
    with_ann, new = place.tool(state=values.ISSUED, holder=place.person(place.ann)), place.tool(state=values.NEW)
    broken, elsewhere = place.tool(state=values.DEFECTIVE), place.tool(holder=place.other_store)
    fine, reserved = place.tools(2)
    key = place.offer(values.ISSUE, place.store, place.person(place.bob), [reserved])
    number = place.all(select(Record.number).where(Record.id == key))[0]
    started = scan(keeper, "issue", code(place, fine))
    told = {
        "NOWHERE-1": "NOWHERE-1",
        code(place, with_ann): "安师傅",
        code(place, new): code(place, new),
        code(place, broken): code(place, broken),
        code(place, elsewhere): "分库",
        code(place, reserved): number,
        code(place, fine): code(place, fine),
    }
    for text, words in told.items():
        page = keeper.post(f"{DESK}issue", data={**basket(started), "scan": text, "do": "add"}).text
        assert words in errors(page), (text, errors(page))
        assert basket(page)["tool"] == [str(fine)]


def test_a_line_says_what_became_of_the_tool_meanwhile(place: Place, keeper: FlaskClient) -> None:
    (tool,) = place.tools(1)
    page = scan(keeper, "issue", code(place, tool))
    place.offer(values.ISSUE, place.store, place.person(place.bob), [tool])
    page = press(keeper, "issue", page, "add").text
    assert the_handover(place).record.number in errors(page)
    answer = press(keeper, "issue", page, "offer", receiver=f"user:{place.ann.id}")
    assert answer.status_code == 422 and basket(answer.text)["tool"] == [str(tool)]


def test_an_issue_is_offered_and_waits_for_the_persons_own_phone(
    app: Flask, place: Place, keeper: FlaskClient
) -> None:
    place.without(*EASY)
    first, second = place.tools(2)
    page = scan(keeper, "issue", code(place, first), code(place, second))
    assert press(keeper, "issue", page, "offer").status_code == 422  # nobody chosen
    answer = press(keeper, "issue", page, "offer", receiver=f"user:{place.ann.id}")
    assert answer.status_code == 302 and answer.location.endswith("/p/tools/desk/issue")
    made = the_handover(place)
    assert place.holder(first) == place.store and made.giver_at is not None and made.taker_at is None
    again = press(keeper, "issue", page, "offer", receiver=f"user:{place.ann.id}")
    assert again.status_code == 302 and the_handover(place).id == made.id  # sent twice, offered once
    ann = client_of(app, place, place.ann)
    shown = ann.get(f"/p/tools/accept/{made.id}").text
    assert 'name="pin"' not in shown
    lines = re.findall(r'name="take" value="(\d+)"', shown)
    answer = ann.post(
        f"/p/tools/accept/{made.id}", data={"take": lines[0], f"reason-{lines[1]}": "箱子里没有", "tick_all": "1"}
    )
    assert answer.status_code == 302 and answer.location.endswith("/p/tools/own")
    assert place.holder(first) == place.person(place.ann) and place.holder(second) == place.store
    assert [line.reason for line in place.lines(made.id)] == ["", "箱子里没有"]


@pytest.mark.clause("GJ-4")
def test_on_the_keepers_device_pin_and_signature_are_the_persons_own(place: Place, keeper: FlaskClient) -> None:
    place.without(*EASY)
    place.pin(place.ann)
    (tool,) = place.tools(1)
    page = scan(keeper, "issue", code(place, tool))
    answer = press(keeper, "issue", page, "sign", receiver=f"user:{place.ann.id}")
    address = answer.location
    assert f"/p/tools/accept/{the_handover(place).id}" in address
    shown = keeper.get(address).text
    sent = {"take": re.findall(r'name="take" value="(\d+)"', shown), "desk": "issue", "tick_all": "1"}
    for wrong, field in (({}, "error-pin"), ({"pin": "9753"}, "error-pin"), ({"pin": PIN}, "error-signature")):
        answer = keeper.post(address, data={**sent, **wrong})
        assert answer.status_code == 422 and f'id="{field}"' in answer.text
        assert place.holder(tool) == place.store
    answer = keeper.post(address, data={**sent, "pin": PIN, "signature": drawn()})
    assert answer.status_code == 302 and answer.location.endswith("/p/tools/desk/issue")
    made = the_handover(place)
    assert (made.taker_by, made.taker_means) == (place.ann.id, values.BY_PIN) and made.taker_signature_id
    assert place.holder(tool) == place.person(place.ann)


def test_five_wrong_pins_lock_it_and_the_page_says_so(place: Place, keeper: FlaskClient) -> None:
    place.without(*EASY)
    place.pin(place.ann)
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), place.tools(1))
    line = place.lines(key)[0].id
    said = ""
    for _try in range(6):
        answer = keeper.post(f"/p/tools/accept/{key}", data={"take": line, "pin": "9753", "signature": drawn()})
        assert answer.status_code == 422
        said = errors(answer.text)
    assert "分钟" in said
    answer = keeper.post(f"/p/tools/accept/{key}", data={"take": line, "pin": PIN, "signature": drawn()})
    assert answer.status_code == 422 and place.state(key) == values.OFFERED


@pytest.mark.clause("R33-5")
def test_the_rules_of_use_are_one_list_ticked_at_once(app: Flask, place: Place) -> None:
    for one in ("R32-4.1", "R33-5", "R35-4.2"):
        place.clause(one)
    place.without("R35-4.4", "R35-5.1")
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), place.tools(1))
    ann, line = client_of(app, place, place.ann), place.lines(key)[0].id
    page = ann.get(f"/p/tools/accept/{key}").text
    assert len(all_ticks(page)) >= 10 and page.count("data-ticks") == 1
    answer = ann.post(f"/p/tools/accept/{key}", data={"take": line, "tick": all_ticks(page)[:-1]})
    assert answer.status_code in (409, 422) and place.state(key) == values.OFFERED
    answer = ann.post(f"/p/tools/accept/{key}", data={"take": line, "tick_all": "1"})
    assert answer.status_code == 302 and place.state(key) == values.DONE


def _kit(place: Place, wanted: Mapping[str, int]) -> int:
    with as_system() as work:
        kit = Kit(unit_id=place.unit.id, name="试用标配", standard=True)
        kit.lines = [
            KitLine(unit_id=place.unit.id, kind_id=place.kind(name), quantity=count)
            for name, count in wanted.items()
        ]
        work.add(kit)
        work.flush()
        return kit.id


def test_a_set_puts_on_the_list_what_the_person_lacks(place: Place, keeper: FlaskClient) -> None:
    tapes = place.parts("胶布", "10")
    testers, pliers = place.tools(3, "测线器"), place.tools(1, "网线钳")
    place.kind("电动螺丝刀甲")
    kit = _kit(place, {"测线器": 2, "网线钳": 1, "胶布": 4, "电动螺丝刀甲": 1})
    place.tool("测线器", holder=place.person(place.ann), state=values.ISSUED)
    empty = keeper.get(f"{DESK}set?to=user:{place.ann.id}").text
    assert basket(empty)["receiver"] == f"user:{place.ann.id}"
    page = press(keeper, "set", empty, "fill", kit=kit, store=place.store).text
    held = basket(page)
    assert held["tool"] == [str(testers[0]), str(pliers[0])]
    assert held["parts"] == [str(tapes)] and held[f"parts-{tapes}"] == "4"
    assert "电动螺丝刀甲" in re.findall(r'tone-warn" role="status">(.*?)</p>', page, re.S)[0]
    again = basket(press(keeper, "set", page, "fill", kit=kit).text)
    assert again["tool"] == held["tool"] and again[f"parts-{tapes}"] == "4"


def test_a_loan_names_its_time_and_a_return_its_condition(app: Flask, place: Place, keeper: FlaskClient) -> None:
    place.without(*EASY)
    (tool,) = place.tools(1)
    page = scan(keeper, "use", code(place, tool))
    who = {"receiver": f"user:{place.ann.id}"}
    answer = press(keeper, "use", page, "offer", **who)
    assert answer.status_code == 422
    due = (clock.now() + timedelta(hours=20)).strftime("%Y-%m-%dT%H:%M")
    assert press(keeper, "use", page, "offer", **who, due_at=due).status_code == 302
    made = the_handover(place)
    ann = client_of(app, place, place.ann)
    ann.post(f"/p/tools/accept/{made.id}", data={"take": place.lines(made.id)[0].id, "tick_all": "1"})
    assert place.holder(tool) == place.person(place.ann) and place.state(tool) == values.ON_LOAN
    page = scan(keeper, "return", code(place, tool))
    assert basket(page)["receiver"] == f"user:{place.ann.id}"  # the scan said who
    other = place.tool(holder=place.person(place.bob), state=values.ISSUED)
    told = keeper.post(f"{DESK}return", data={**basket(page), "scan": code(place, other), "do": "add"}).text
    assert "鲍师傅" in errors(told)
    broken = {f"condition-{tool}": values.DAMAGED, "tick_all": "1"}
    assert press(keeper, "return", page, "offer", **broken).status_code == 302
    back = the_handover(place)
    assert back.kind == values.RETURN and back.taker_at is not None
    ann.post(f"/p/tools/accept/{back.id}", data={"take": place.lines(back.id)[0].id})
    assert place.holder(tool) == place.store and place.state(tool) == values.DEFECTIVE


def test_repair_goes_out_and_comes_back_at_the_same_desk(place: Place, keeper: FlaskClient) -> None:
    repairer = place.party(values.REPAIRER, "精修店")
    tool = place.tool(state=values.DEFECTIVE)
    page = scan(keeper, "repair", code(place, tool))
    answer = press(keeper, "repair", page, "sign", receiver=f"party:{repairer}")
    lines = [line.id for line in place.lines(the_handover(place).id)]
    assert keeper.post(answer.location, data={"take": lines}).status_code == 422  # no paper
    answer = keeper.post(answer.location, data={"take": lines, "paper": "SX-2026-8", "desk": "repair"})
    assert answer.status_code == 302 and place.holder(tool) == repairer
    page = scan(keeper, "return", code(place, tool))
    assert basket(page)["receiver"] == f"party:{repairer}"
    answer = press(keeper, "return", page, "sign")
    made = the_handover(place)
    assert made.kind == values.REPAIRED and answer.status_code == 302
    answer = keeper.post(
        answer.location, data={"take": place.lines(made.id)[0].id, "paper": "SX-2026-8", "means": "paper"}
    )
    assert answer.status_code == 302 and (place.holder(tool), place.state(tool)) == (place.store, values.IN_STORE)


def test_only_a_retired_tool_can_be_put_on_the_list_for_disposal(place: Place, keeper: FlaskClient) -> None:
    (tool,), retired = place.tools(1), place.tool(state=values.RETIRED)
    page = scan(keeper, "disposal", code(place, tool))
    assert errors(page) and not basket(page)["tool"]
    assert basket(scan(keeper, "disposal", code(place, retired)))["tool"] == [str(retired)]


def test_small_parts_go_along_by_quantity(app: Flask, place: Place, keeper: FlaskClient) -> None:
    place.without(*EASY)
    tapes = place.parts("胶布", "10")
    page = keeper.get(f"{DESK}issue").text
    assert errors(press(keeper, "issue", page, "part", part=tapes, quantity="-1").text)
    page = press(keeper, "issue", page, "part", part=tapes, quantity="3", store=place.store).text
    page = press(keeper, "issue", page, "part", part=tapes, quantity="9").text
    assert basket(page)[f"parts-{tapes}"] == "12" and errors(page)  # only ten there
    page = press(keeper, "issue", page, "add", **{f"parts-{tapes}": "4"}).text
    assert not errors(page)
    assert press(keeper, "issue", page, "offer", receiver=f"user:{place.ann.id}").status_code == 302
    made = the_handover(place)
    ann = client_of(app, place, place.ann)
    ann.post(f"/p/tools/accept/{made.id}", data={"take": place.lines(made.id)[0].id, "tick_all": "1"})
    assert place.has(place.person(place.ann), tapes) == 4 and place.has(place.store, tapes) == 6


def test_refusing_and_withdrawing_leave_it_where_it_is(app: Flask, place: Place, keeper: FlaskClient) -> None:
    first, second = place.tools(2)
    one = place.offer(values.ISSUE, place.store, place.person(place.ann), [first])
    two = place.offer(values.ISSUE, place.store, place.person(place.ann), [second])
    ann = client_of(app, place, place.ann)
    assert ann.post(f"/p/tools/accept/{one}", data={"do": "refuse"}).status_code == 422
    assert ann.post(f"/p/tools/accept/{one}", data={"do": "refuse", "reason": "不需要"}).status_code == 302
    assert keeper.post(f"/p/tools/accept/{two}", data={"do": "withdraw", "reason": "写错了"}).status_code == 302
    assert (place.state(one), place.state(two)) == (values.REFUSED, values.WITHDRAWN)
    assert place.holder(first) == place.holder(second) == place.store
    late = ann.post(f"/p/tools/accept/{two}", data={"take": place.lines(two)[0].id})
    assert late.status_code in (409, 422) and "撤回" in late.text


def test_nobody_else_says_yes(app: Flask, place: Place) -> None:
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), place.tools(1))
    line = place.lines(key)[0].id
    bob = client_of(app, place, place.bob)
    assert bob.get(f"/p/tools/accept/{key}").status_code == 404
    assert bob.post(f"/p/tools/accept/{key}", data={"take": line, "tick_all": "1"}).status_code == 404
    manager = client_of(app, place, place.manager)
    assert 'name="do"' not in manager.get(f"/p/tools/accept/{key}").text
    answer = manager.post(f"/p/tools/accept/{key}", data={"take": line, "tick_all": "1"})
    assert answer.status_code in (403, 409) and place.state(key) == values.OFFERED
    assert bob.get(DESK).status_code == 403


def test_a_unit_without_a_store_and_an_unknown_page(app: Flask, place: Place, keeper: FlaskClient) -> None:
    assert keeper.get(f"{DESK}nothing").status_code == 404
    assert (
        keeper.post(f"{DESK}issue", data={"tool": ["x", "999999"], "parts": "7", "do": "offer"}).status_code == 422
    )
    assert keeper.post(f"{DESK}issue", data={"do": "photo"}).status_code == 200
    tapes = place.parts("胶布", "10")
    for amount in ("1e99999999", "NaN", "-1", "0", "1e-9999999", "²", "x" * 500):
        sent = {"do": "part", "part": tapes, "quantity": amount, "parts": tapes, f"parts-{tapes}": amount}
        assert errors(keeper.post(f"{DESK}issue", data=sent).text)
    for what in ("drop", "drop tool:" + "9" * 5000, "drop part:²", "nonsense"):
        assert keeper.post(f"{DESK}issue", data={"do": what, "receiver": "user:" + "9" * 40}).status_code == 200


def test_a_photo_of_a_label_is_a_scan(place: Place, keeper: FlaskClient) -> None:
    import zxingcpp
    from PIL import Image

    (tool,) = place.tools(1)
    drawn = zxingcpp.create_barcode(code(place, tool), zxingcpp.BarcodeFormat.QRCode).to_image(scale=8)
    photo = io.BytesIO()
    Image.fromarray(drawn).save(photo, "PNG")
    photo.seek(0)
    page = keeper.post(f"{DESK}issue", data={"do": "photo", "photo": (photo, "a.png")}).text
    assert basket(page)["tool"] == [str(tool)] and not errors(page)
    page = keeper.post(f"{DESK}issue", data={"do": "photo", "photo": (io.BytesIO(b"no photo"), "a.png")}).text
    assert errors(page)


def test_a_tool_goes_from_one_store_to_another(place: Place, keeper: FlaskClient) -> None:
    (tool,) = place.tools(1)
    page = scan(keeper, "move", code(place, tool))
    answer = press(keeper, "move", page, "sign", receiver=f"party:{place.other_store}")
    assert answer.status_code == 302
    made = the_handover(place)
    if place.holder(tool) == place.store:
        line = place.lines(made.id)[0].id
        assert keeper.post(answer.location, data={"take": line, "desk": "move"}).status_code == 302
    assert place.holder(tool) == place.other_store


def test_a_department_borrows_with_a_paper(place: Place, keeper: FlaskClient) -> None:
    place.without(*EASY)
    hotel = place.party(values.DEPARTMENT, "酒店工程部", place.bob)
    (tool,) = place.tools(1)
    due = (clock.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    page = scan(keeper, "loan", code(place, tool))
    answer = press(keeper, "loan", page, "sign", receiver=f"party:{hotel}", due_at=due)
    assert answer.status_code == 302, errors(answer.text)
    shown = keeper.get(answer.location).text
    assert 'name="pin"' in shown and "means=paper" in shown
    line = place.lines(the_handover(place).id)[0].id
    sent = {"take": line, "means": "paper", "paper": "JY-18", "tick_all": "1"}
    assert keeper.post(answer.location, data=sent).status_code == 302
    assert place.holder(tool) == hotel and the_handover(place).taker_means == values.ON_PAPER

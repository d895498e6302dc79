"""The page behind the code in a room: who gets there, what comes in, how often."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.sdk import NotAllowed, Place, Record, Refused
from core.web.security import limiter
from plugins.hotel import complaints, guest, orders, retention, values
from plugins.hotel.models import Complaint, Order
from plugins.hotel.tests.scene import House, make_house
from plugins.hotel.tests.test_orders import make
from tests.helpers import as_system, login, switch_off


@pytest.fixture
def house(app: Flask) -> House:
    return make()


@pytest.fixture
def limited(app: Flask) -> Iterator[None]:
    limiter.enabled = True
    limiter.reset()
    yield
    limiter.reset()
    limiter.enabled = False


def code_of(house: House, room: str = "0101") -> str:
    with house.acting():
        return guest.make_code(house.one_room(room).id).guest_code


def send(client: FlaskClient, code: str, key: str = "k1", **given: Any) -> Any:
    raw = {"about": "repair", "text": "淋浴没有热水", "key": key, **given}
    return client.post(f"/p/hotel/guest/{code}", data=raw)


def all_of(house: House, model: Any) -> list[Any]:
    return house.all(select(model).where(model.unit_id == house.unit.id))


def test_a_guest_reports_without_signing_in(app: Flask, client: FlaskClient, house: House) -> None:
    code = code_of(house)
    page = client.get(f"/p/hotel/guest/{code}").text
    assert "0101" in page and house.unit.name in page
    answer = send(client, code)
    assert answer.status_code == 303
    row = all_of(house, Order)[0]
    assert (row.source, row.kind, row.place_id) == (values.GUEST, "repair", house.places["0101"])
    record = house.all(select(Record).where(Record.id == row.id))[0]
    assert record.owner_position == "hotel_engineering"
    assert client.get(answer.location).status_code == 200


def test_nothing_of_the_house_is_shown(app: Flask, client: FlaskClient, house: House) -> None:
    code = code_of(house)
    with house.acting():
        orders.register(house.unit.id, {"place": "0101", "text": "机密问题", "severity": values.SAFETY})
    for page in (client.get(f"/p/hotel/guest/{code}").text, client.get(f"/p/hotel/guest/{code}?done=1").text):
        assert "机密问题" not in page and "GX" not in page and house.desk.username not in page
    assert "no-store" in client.get(f"/p/hotel/guest/{code}").headers["Cache-Control"]


def test_what_a_guest_says_blocks_no_room(app: Flask, client: FlaskClient, house: House) -> None:
    send(client, code_of(house))
    assert house.room_state("0101") == "VC"


def test_a_complaint_keeps_how_to_reach_the_guest(app: Flask, client: FlaskClient, house: House) -> None:
    send(client, code_of(house), about="complaint", contact="微信 abc")
    row = all_of(house, Complaint)[0]
    assert (row.channel, row.contact, row.category) == (values.GUEST, "微信 abc", values.ROOMS)


def test_an_order_keeps_nothing_of_the_guest(app: Flask, client: FlaskClient, house: House) -> None:
    send(client, code_of(house), contact="微信 abc")
    row = all_of(house, Order)[0]
    assert "abc" not in row.text


def test_the_same_form_twice_is_taken_down_once(app: Flask, client: FlaskClient, house: House) -> None:
    code = code_of(house)
    for key in ("k1", "k1", "k2"):
        assert send(client, code, key).status_code == 303
    assert len(all_of(house, Order)) == 2


def test_a_program_that_fills_in_everything_is_thanked_and_forgotten(
    app: Flask, client: FlaskClient, house: House
) -> None:
    assert send(client, code_of(house), website="http://example.org").status_code == 303
    assert all_of(house, Order) == []


@pytest.mark.parametrize("given", [{"text": ""}, {"text": "长" * 501}, {"about": "party"}, {"contact": "1" * 81}])
def test_a_bad_form_is_answered_beside_the_field(
    app: Flask, client: FlaskClient, house: House, given: dict[str, str]
) -> None:
    answer = send(client, code_of(house), **given)
    assert answer.status_code == 422
    assert f'id="error-{next(iter(given))}"' in answer.text
    assert all_of(house, Order) == []


def test_both_languages(app: Flask, client: FlaskClient, house: House) -> None:
    code = code_of(house)
    client.post("/language", data={"locale": "en", "back": f"/p/hotel/guest/{code}"})
    page = client.get(f"/p/hotel/guest/{code}").text
    assert "What is it about?" in page and 'lang="en"' in page


def test_unknown_revoked_closed_and_switched_off_is_not_found(
    app: Flask, client: FlaskClient, house: House
) -> None:
    old = code_of(house)
    assert client.get("/p/hotel/guest/abcdefgh").status_code == 404
    with house.acting():
        new = guest.make_code(house.one_room("0101").id, renew=True).guest_code
    assert (client.get(f"/p/hotel/guest/{old}").status_code, client.get(f"/p/hotel/guest/{new}").status_code) == (
        404,
        200,
    )
    second = code_of(house, "0102")
    with house.acting():
        guest.revoke_code(house.one_room("0102").id)
    assert client.get(f"/p/hotel/guest/{second}").status_code == 404
    third = code_of(house, "0103")
    with as_system() as work:
        work.get_one(Place, house.places["0103"]).active = False
    assert client.get(f"/p/hotel/guest/{third}").status_code == 404
    switch_off(house.unit, "hotel")
    assert client.get(f"/p/hotel/guest/{new}").status_code == 404
    assert send(client, new).status_code == 404


def test_a_code_stays_and_is_not_guessed(app: Flask, house: House) -> None:
    first, again, other = code_of(house), code_of(house), code_of(house, "0102")
    assert first == again != other
    assert re.fullmatch(f"[{guest.LETTERS}]{{{guest.LENGTH}}}", first)


def test_only_those_who_set_up_make_codes(app: Flask, house: House) -> None:
    maid, row = house.staff("hotel_housekeeping"), house.one_room("0101").id
    for change in (guest.make_code, guest.revoke_code):
        with house.acting(maid), pytest.raises(NotAllowed):
            change(row)


def test_a_place_that_is_closed_gets_no_code(app: Flask, house: House) -> None:
    with as_system() as work:
        work.get_one(Place, house.places["0101"]).active = False
    with house.acting(), pytest.raises(Refused):
        guest.make_code(house.one_room("0101").id)


def test_a_room_sends_in_only_so_much(app: Flask, client: FlaskClient, house: House, limited: None) -> None:
    code = code_of(house)
    answers = [send(client, code, f"k{number}").status_code for number in range(12)]
    assert answers[:10] == [303] * 10 and answers[10:] == [429, 429]
    assert send(client, code_of(house, "0102"), "other").status_code == 303


def test_codes_cannot_be_tried_out(app: Flask, client: FlaskClient, house: House, limited: None) -> None:
    code = code_of(house)
    answers = [client.get(f"/p/hotel/guest/wrong{number}").status_code for number in range(32)]
    assert answers[:30] == [404] * 30 and answers[30:] == [429, 429]
    assert client.get(f"/p/hotel/guest/{code}").status_code == 429


def test_whoever_is_signed_in_gains_nothing(app: Flask, client: FlaskClient, house: House) -> None:
    other = make_house()
    code = code_of(house)
    login(client, other.desk, unit=other.unit)
    assert send(client, code).status_code == 303
    assert len(all_of(house, Order)) == 1


@pytest.mark.clause("JD-12")
def test_contacts_are_emptied_some_days_after_the_end(app: Flask, house: House) -> None:
    keys = []
    for _ in range(2):
        with house.acting():
            raw = {"place": "0101", "channel": "desk", "text": "太吵", "contact": "8101"}
            keys.append(complaints.register(house.unit.id, raw).id)
    house.do(keys[0], "solve", None, solution="换房", cause="noise")
    house.do(keys[0], "close")
    house.later(days=29)
    with house.acting():
        assert retention.empty_contacts(house.unit.id) == 0
    house.later(days=2)
    house.clause("JD-12", holds=False)
    with house.acting():
        assert retention.empty_contacts(house.unit.id) == 0
    house.clause("JD-12")
    with house.acting():
        assert [retention.empty_contacts(house.unit.id) for _ in range(2)] == [1, 0]
    left = {one.id: one.contact for one in all_of(house, Complaint)}
    assert left == {keys[0]: "", keys[1]: "8101"}

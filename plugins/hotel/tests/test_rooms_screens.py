"""The board, a room's page, stays, the cleaning list and the phone, as people open them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.inspections.models import ChecklistVersion
from core.kernel import clock
from core.sdk import Inspection, User, inspections, transaction
from core.users import passwords
from core.users.models import UserPin
from plugins.hotel import cleaning, cleaning_list, values
from plugins.hotel.models import Cleaning, HotelPlace, Stay
from tests.helpers import as_system, login, make_user

from .scene import House, make_house


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    made = make_house(on=("R06-7b", "R06-8"))
    with clock.frozen(made.now):
        yield made


def enter(app: Flask, house: House, user: User | None = None) -> FlaskClient:
    return login(app.test_client(), user or house.staff("gm"), unit=house.unit)


def room_id(house: House, code: str) -> int:
    return int(house.all(select(HotelPlace.id).where(HotelPlace.place_id == house.places[code]))[0])


def text(answer: Any) -> str:
    return str(answer.get_data(as_text=True))


def test_the_board_shows_rooms_by_floor_and_narrows(app: Flask, house: House) -> None:
    house.stay("0101", days=2)
    client = enter(app, house)
    page = text(client.get("/p/hotel/board"))
    assert all(code in page for code in ("0101", "0203", "1层", "2层", "OC"))
    assert "西餐厅" not in page
    narrowed = text(client.get("/p/hotel/board?state=OC"))
    assert "0101" in narrowed and "0102" not in narrowed
    assert "0203" not in text(client.get("/p/hotel/board?find=01&mark=leaving&floor=x&room_type=y"))


def test_queries_of_pages_do_not_grow_with_the_house(app: Flask, house: House, count_queries: Any) -> None:
    client = enter(app, house)
    counts = []
    for floor, more in ((3, 2), (4, 40)):
        for number in range(more):
            house.room(f"{floor:02d}{number:02d}", "2F", clean=False, state=values.VD)
            house.stay(f"{floor:02d}{number:02d}", days=2, state=values.EXPECTED)
        with house.acting():
            cleaning_list.make(house.unit.id)
        for address in ("/p/hotel/board", "/p/hotel/cleaning", "/p/hotel/phone?all=1", "/admin/hotel/stays/"):
            client.get(address)
            with count_queries() as seen:
                assert client.get(address).status_code == 200
            counts.append(len(seen))
    assert counts[:4] == counts[4:]


def test_guests_arrive_and_leave_on_the_rooms_page(app: Flask, house: House) -> None:
    client = enter(app, house)
    url = f"/p/hotel/rooms/{room_id(house, '0101')}"
    assert "0101" in text(client.get(url))
    assert client.get(f"{url}/arrive").status_code == 200
    bad = client.post(f"{url}/arrive", data={"departs_on": "2026-02-01", "guests": "1"})
    assert bad.status_code == 422
    assert (
        client.post(f"{url}/arrive", data={"departs_on": "2026-03-04", "guests": "2", "key": "a"}).status_code
        == 302
    )
    assert house.room_state("0101") == values.OC
    stay = house.all(select(Stay.id))[0]
    assert str(stay) in text(client.get(url))
    assert client.post(f"/p/hotel/stays/{stay}/move", data={"room": "0202"}).status_code == 302
    assert client.post(f"/p/hotel/stays/{stay}/extend", data={"departs_on": "2026-03-09"}).status_code == 302
    assert client.get(f"/p/hotel/stays/{stay}/depart").status_code == 200
    assert client.post(f"/p/hotel/stays/{stay}/depart").status_code == 302
    assert house.room_state("0202") == values.VD
    assert client.post(f"/p/hotel/stays/{stay}/depart").status_code == 422


@pytest.mark.clause("R06-7b")
def test_a_blocked_room_is_refused_on_the_page_with_its_clause(app: Flask, house: House) -> None:
    from plugins.hotel import rooms

    house.order("0101")
    with house.acting(), transaction():
        rooms.block(house.places["0101"])
    client = enter(app, house)
    url = f"/p/hotel/rooms/{room_id(house, '0101')}"
    answer = client.post(f"{url}/arrive", data={"departs_on": "2026-03-04", "guests": "1"})
    assert answer.status_code == 422 and "R06-7b" in text(answer)
    assert house.room_state("0101") == values.OOO


def test_closing_reopening_and_correcting(app: Flask, house: House) -> None:
    client = enter(app, house)
    url = f"/p/hotel/rooms/{room_id(house, '0101')}"
    assert client.post(f"{url}/close", data={"reason": ""}).status_code == 422
    assert client.post(f"{url}/close", data={"reason": "装修", "until": "2026-03-20"}).status_code == 302
    assert "装修" in text(client.get(url))
    assert client.post(f"{url}/reopen").status_code == 302
    assert client.post(f"{url}/correct", data={"clean": "y", "note": "看过"}).status_code == 302
    assert house.room_state("0101") == values.VC
    assert client.post(f"{url}/extra", data={"note": "加床"}).status_code == 302
    assert client.get(f"{url}/nothing").status_code == 404
    assert client.get("/p/hotel/rooms/999999").status_code == 404


def test_cleaners_do_not_do_the_desks_work(app: Flask, house: House) -> None:
    client = enter(app, house, house.staff("hotel_housekeeping"))
    url = f"/p/hotel/rooms/{room_id(house, '0101')}"
    assert client.get(url).status_code == 200
    assert client.get(f"{url}/arrive").status_code == 403
    assert client.post("/p/hotel/cleaning/make").status_code == 403
    assert client.post("/p/hotel/cleaning/hand-out").status_code == 403


def test_a_day_of_cleaning_by_list_and_phone(app: Flask, house: House) -> None:
    house.clause("JD-6", tries=1)
    for code in ("0101", "0102"):
        house.stay(code, days=4)
    house.later(days=1)
    anna = house.staff("hotel_housekeeping")
    with clock.frozen(house.now):
        lead, phone = enter(app, house), enter(app, house, anna)
        assert "这一天的清单上没有房间。" in text(lead.get("/p/hotel/cleaning"))
        assert lead.post("/p/hotel/cleaning/make").status_code == 302
        lead.post("/p/hotel/cleaning/hand-out", data={"people": []})
        assert lead.post("/p/hotel/cleaning/hand-out", data={"people": [str(anna.id)]}).status_code == 302
        page = text(lead.get("/p/hotel/cleaning"))
        assert "0101" in page and "0102" in page
        page = text(phone.get("/p/hotel/phone"))
        assert "0101" in page and "0102" in page
        first, second = house.all(select(Cleaning.id).order_by(Cleaning.id))
        for do in ("start", "finish", "start"):
            assert phone.post(f"/p/hotel/phone/{first}/{do}").status_code == 302
        assert house.room_state("0101") == values.OC
        for do in ("skip", "knock", "skip"):
            phone.post(f"/p/hotel/phone/{second}/{do}", data={"why": "dnd"})
        assert phone.post(f"/p/hotel/phone/{first}/check").status_code == 404
        assert phone.post(f"/p/hotel/cleaning/{first}/check").status_code == 403
        assert lead.post(f"/p/hotel/cleaning/{first}/check").status_code == 302
        assert phone.get("/p/hotel/phone?all=1").status_code == 200
        found = house.all(select(Cleaning.state).order_by(Cleaning.id))
        assert found == [values.PASSED, values.SKIPPED]
        assert lead.get("/p/hotel/cleaning?day=2026-03-02&state=done").status_code == 200
        assert lead.get("/p/hotel/cleaning?day=nonsense").status_code == 200


def test_lists_forms_and_tiles_open(app: Flask, house: House) -> None:
    house.stay("0101", days=0)
    stay = house.stay("0102", state=values.EXPECTED)
    with house.acting():
        cleaning_list.make(house.unit.id)
    client = enter(app, house)
    for path in (
        "/admin/",
        "/admin/hotel/stays/",
        "/admin/hotel/stays/?quick=arriving",
        "/admin/hotel/stays/?search=0102",
        "/admin/hotel/stays/new/",
        f"/admin/hotel/stays/details/?id={stay}",
        "/admin/hotel/places/",
        "/admin/hotel/places/new/",
        "/admin/hotel/places/below/",
        f"/admin/hotel/places/edit/?id={room_id(house, '0101')}",
    ):
        assert client.get(path).status_code == 200, path
    answer = client.post(
        "/admin/hotel/stays/new/", data={"room": "0103", "departs_on": "2026-03-05", "guests": "1"}
    )
    assert answer.status_code == 302
    house.place("0301", parent="2F")
    house.place("0302", parent="2F")
    answer = client.post("/admin/hotel/places/below/", data={"place": "2F", "category": "rooms", "beds": "1"})
    assert answer.status_code == 302
    assert len(house.all(select(HotelPlace.id).where(HotelPlace.category == values.ROOMS))) == 8


def test_a_housekeeper_works_on_the_shared_phone_by_pin(app: Flask, house: House) -> None:
    house.stay("0101", days=4)
    house.later(days=1)
    anna = house.staff("hotel_housekeeping")
    device = make_user(house.unit, {"device.share"}, username="floor1")
    with as_system() as work:
        long_ago = house.now - timedelta(days=3)
        work.add(UserPin(user_id=anna.id, pin_hash=passwords.hash_password("2580"), set_at=long_ago))
    with house.acting():
        cleaning_list.make(house.unit.id)
        cleaning_list.hand_out(house.unit.id, [anna.id])
    with clock.frozen(house.now):
        phone = enter(app, house, device)
        assert phone.get("/p/hotel/phone").status_code == 302  # who is working?
        assert phone.get("/p/hotel/cleaning").status_code == 403
        phone.post("/account/colleague", data={"user": str(anna.id), "pin": "2580"})
        assert "0101" in text(phone.get("/p/hotel/phone"))
        key = house.all(select(Cleaning.id))[0]
        for do in ("start", "finish"):
            phone.post(f"/p/hotel/phone/{key}/{do}")
        row: Cleaning = house.all(select(Cleaning))[0]
        assert (row.state, row.done_by) == (values.DONE, anna.id)
        assert phone.get("/p/hotel/cleaning").status_code == 403  # only the phone page is hers here


@pytest.mark.parametrize("verdict", ["pass", "fail"])
def test_a_cleaned_room_is_checked_by_the_list(app: Flask, house: House, verdict: str) -> None:
    with house.acting(), transaction():
        row = cleaning.add_extra(house.unit.id, {"room": "0101", "note": ""})
        cleaning.finish(row)
        key = row.id
    client = enter(app, house)
    answer = client.post(f"/p/hotel/cleaning/{key}/inspect")
    assert answer.status_code == 302
    assert client.post(f"/p/hotel/cleaning/{key}/inspect").location == answer.location
    with house.acting(), transaction() as work:
        found = work.scalars(select(Inspection).where(Inspection.subject == f"cleaning:{key}")).one()
        inspections.begin(found.id)
        items = work.get_one(ChecklistVersion, found.version_id).items
        wanted = [one for one in items if one["kind"] == "check"]
        assert wanted
        raw = {one["key"]: "pass" for one in wanted}
        raw |= {wanted[0]["key"]: verdict, f"{wanted[0]['key']}.note": "头发"}
        inspections.finish(found.id, raw)
    state = house.all(select(Cleaning.state))[0]
    assert state == (values.PASSED if verdict == "pass" else values.REDO)
    assert house.room_state("0101") == (values.VC if verdict == "pass" else values.VD)

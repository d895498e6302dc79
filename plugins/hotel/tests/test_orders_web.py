"""Screens, reports, API and prints of orders and complaints; the dashboard."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.documents import labels
from core.documents import services as documents
from core.kernel import clock
from core.sdk import Attachment, Record, User
from plugins.hotel import (
    api_orders,
    complaints,
    dashboard,
    guest,
    prints_orders,
    reports_orders,
    screens_orders,
    values,
)
from plugins.hotel.models import HotelPlace, Order
from plugins.hotel.tests.scene import House
from plugins.hotel.tests.test_orders import make, register
from tests.helpers import login

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\x00\x05\x00\x01\xff\x89\x99=\x1d\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    made = make()
    with clock.frozen(made.now):
        yield made


def enter(app: Flask, house: House, user: User | None = None) -> FlaskClient:
    return login(app.test_client(), user or house.staff("gm"), unit=house.unit)


def complain(house: House, **given: Any) -> int:
    with house.acting():
        raw = {"place": "0101", "channel": "desk", "text": "太吵", "contact": "8101", **given}
        return int(complaints.register(house.unit.id, raw).id)


def test_a_defect_is_reported_with_photos_once(app: Flask, house: House) -> None:
    client = enter(app, house, house.staff("hotel_housekeeping"))
    assert 'value="0101"' in client.get(f"/p/hotel/order/new?place={house.places['0101']}").text
    for _ in range(2):
        sent = {"place": "0101", "text": "灯不亮", "kind": "repair", "severity": values.FUNCTION, "key": "k1"}
        answer = client.post("/p/hotel/order/new", data={**sent, "photos": (io.BytesIO(PIXEL), "a.png")})
        assert answer.status_code == 302
    rows = house.all(select(Order).where(Order.unit_id == house.unit.id))
    assert len(rows) == 1
    assert len(house.all(select(Attachment).where(Attachment.record_id == rows[0].id))) == 1
    assert house.room_state("0101") == "OOO"


def test_a_bad_form_says_what_is_wrong_and_keeps_what_was_typed(app: Flask, house: House) -> None:
    client = enter(app, house)
    answer = client.post("/p/hotel/order/new", data={"place": "9999", "text": "灯不亮", "key": "k1"})
    assert answer.status_code == 422
    assert 'id="error-place"' in answer.text and "灯不亮" in answer.text
    answer = client.post("/p/hotel/complaint/new", data={"channel": "desk", "text": "太吵"})
    assert answer.status_code == 422 and 'id="error-category"' in answer.text


def test_a_file_that_is_no_photo_registers_nothing(app: Flask, house: House) -> None:
    client = enter(app, house)
    sent = {"place": "0101", "text": "灯不亮", "key": "k1", "photos": (io.BytesIO(b"MZ\x90"), "a.png")}
    assert client.post("/p/hotel/order/new", data=sent).status_code == 422
    assert house.all(select(Order).where(Order.unit_id == house.unit.id)) == []


def test_from_a_complaint_to_its_order_and_back(app: Flask, house: House) -> None:
    key = complain(house, text="空调响")
    client = enter(app, house, house.staff("hotel_front_desk"))
    page = client.get(f"/admin/record/{key}")
    assert page.status_code == 200 and "8101" in page.text
    form = client.get(f"/p/hotel/complaint/{key}/order").text
    assert "空调响" in form and 'value="0101"' in form
    sent = {"place": "0101", "text": "空调响", "key": "k1"}
    assert client.post(f"/p/hotel/complaint/{key}/order", data=sent).status_code == 302
    row = house.all(select(Order).where(Order.unit_id == house.unit.id))[0]
    assert (row.complaint_id, row.source) == (key, values.COMPLAINT)
    assert client.get(f"/admin/record/{row.id}").status_code == 200
    other = register(house)
    assert client.get(f"/p/hotel/complaint/{other}/order").status_code == 404


def test_who_does_not_work_at_the_desk_does_not_see_how_to_reach_the_guest(app: Flask, house: House) -> None:
    key = complain(house, contact="微信 abc")
    client = enter(app, house, house.staff("hotel_engineering"))
    page = client.get(f"/admin/record/{key}")
    assert page.status_code == 200 and "abc" not in page.text
    assert client.get("/p/hotel/complaint/new").status_code == 403


def test_lists_filter_and_search(app: Flask, house: House) -> None:
    register(house, severity=values.FUNCTION, text="花洒漏水")
    register(house, "0201", text="灯不亮")
    complain(house)
    client = enter(app, house)
    page = client.get("/admin/hotel/orders/").text
    assert "花洒漏水" in page and "灯不亮" in page
    narrowed = client.get("/admin/hotel/orders/?quick=blocking").text
    assert "花洒漏水" in narrowed and "灯不亮" not in narrowed
    by_place = client.get("/admin/hotel/orders/?f_place=2F").text
    assert client.get("/admin/hotel/complaints/?quick=open").status_code == 200
    assert by_place
    for quick in ("open", "mine", "late", "check"):
        assert client.get(f"/admin/hotel/orders/?quick={quick}").status_code == 200


def test_the_dashboard_says_what_is_open_and_comes_back(app: Flask, house: House) -> None:
    for _ in range(2):
        register(house, item_key="water", severity=values.FUNCTION)
    register(house, "0201")
    register(house, "西餐厅")
    key = complain(house)
    house.do(key, "solve", None, solution="换房", cause="noise")
    house.later(hours=30)
    with house.acting():
        shown = dashboard.read(house.unit.id)
    assert {(one.name.rpartition("/")[2].strip(), one.total) for one in shown.floors} == {("1层", 3), ("2层", 1)}
    assert [one.place.code for one in shown.blocked] == ["0101", "0101"]
    assert [(one.place.code, one.times) for one in shown.repeats] == [("0101", 2)]
    assert shown.causes[0][1:] == (1, 100)
    assert len(shown.late) == 4
    page = enter(app, house).get("/admin/hotel/dashboard/")
    assert page.status_code == 200 and "0101" in page.text


def test_queries_do_not_grow_with_what_there_is(app: Flask, house: House, count_queries: Any) -> None:
    client = enter(app, house)
    counts: dict[str, list[int]] = {}
    pages = (
        "/admin/hotel/dashboard/",
        "/admin/hotel/orders/",
        "/admin/hotel/complaints/",
        "/admin/hotel/guest-codes/",
    )
    for more in (4, 20):
        for number in range(more):
            register(house, f"010{number % 3 + 1}", item_key="water", severity=values.FUNCTION)
            complain(house, place=f"020{number % 3 + 1}")
        for address in pages:
            client.get(address)
            with count_queries() as made:
                assert client.get(address).status_code == 200
            counts.setdefault(address, []).append(len(made))
    assert all(few == many for few, many in counts.values()), counts


def test_reports_count_and_sum(app: Flask, house: House) -> None:
    engineer = house.staff("hotel_engineering")
    keys = [register(house, item_key="water") for _ in range(2)]
    house.later(hours=2)
    house.do(keys[0], "take", engineer)
    house.do(keys[0], "finish", engineer, result="换垫圈", cost="12.50")
    complaint = complain(house)
    house.do(complaint, "compensate", None, compensation="refund", amount="50", reason="太吵")
    wanted = {"preset": "this_year"}
    with house.acting():
        listed = list(reports_orders.ORDERS.rows([house.unit.id], wanted))
        repeated = list(reports_orders.REPEATS.rows([house.unit.id], wanted))
        caused = list(reports_orders.COMPLAINTS.rows([house.unit.id], wanted))
    assert [(one["repaired"], one["cost"]) for one in listed] == [
        (Decimal("2.0"), Decimal("12.50")),
        (None, Decimal(0)),
    ]
    assert [(one["place"], one["count"]) for one in repeated] == [("0101", 2)]
    assert [(one["count"], one["amount"]) for one in caused] == [(1, Decimal("50.00"))]


def test_the_slip_and_the_poster_are_printed(app: Flask, house: House) -> None:
    key = register(house, item_key="water", severity=values.FUNCTION)
    with house.acting() as work:
        paper = prints_orders.order_paper(work.get_one(Record, key))
        assert paper["place"].endswith("0101") and paper["text"] == "花洒漏水"
        form = replace(next(one for one in prints_orders.forms() if one.code == "hotel.order"), plugin="hotel")
        head = documents.head_of(house.unit.id, form.title, seal="", address="", locale="en")
        assert documents.typeset(form, "en", [{"head": head, "data": paper}]).startswith(b"%PDF")
    with house.acting():
        row_id = guest.make_code(house.one_room("0101").id).id
    for code in ("hotel.guest", "hotel.guest_poster"):
        with app.test_request_context(), house.acting():
            form, found = labels.things(code, [row_id])
            assert labels.sheet(form, found, labels.SIZES[0], "http://host/").startswith(b"%PDF")
            told = form.data(found[0])
            assert told["open"] == f"/p/hotel/guest/{found[0].guest_code}"


def test_codes_are_made_on_the_list(app: Flask, house: House) -> None:
    client = enter(app, house)
    ids = [house.one_room(code).id for code in ("0101", "0102")]
    sent = {"action": "make", "rowid": [str(one) for one in ids], "id": [str(one) for one in ids]}
    client.post("/admin/hotel/guest-codes/action/", data=sent)
    codes = house.all(select(HotelPlace.guest_code).where(HotelPlace.id.in_(ids)))
    assert all(codes) and len(set(codes)) == 2
    page = client.get("/admin/hotel/guest-codes/").text
    assert not any(code in page for code in codes)


def test_tiles_say_what_waits(app: Flask, house: House) -> None:
    key = register(house, severity=values.FUNCTION)
    house.do(key, "take", None)
    house.do(key, "finish", None, result="好了")
    complain(house)
    house.later(hours=25)
    with house.acting(), app.test_request_context():
        found = {one.code: one.value for one in screens_orders.tiles(house.unit, house.desk.id)}
    assert found["hotel_check"] == 1 and found["hotel_complaints"] == 1 and found["hotel_mine"] == 1


def test_another_unit_opens_nothing(app: Flask, house: House) -> None:
    key, complaint = register(house), complain(house)
    other = make()
    client = enter(app, other)
    for address in (f"/admin/record/{key}", f"/admin/record/{complaint}", f"/p/hotel/complaint/{complaint}/order"):
        assert client.get(address).status_code == 404
    assert client.get(f"/p/hotel/order/new?place={house.places['0101']}").status_code == 404


def test_over_the_api_contacts_are_written_and_never_read(app: Flask, house: House) -> None:
    order, complaint = api_orders.resources()
    assert order.create is not None and complaint.create is not None
    with house.acting():
        made = order.create(house.unit.id, {"place": "0101", "text": "灯不亮", "severity": values.FUNCTION})
        told = complaint.create(
            house.unit.id, {"place": "0101", "channel": "desk", "text": "太吵", "contact": "8101"}
        )
        shown = [order.show([made])[0], complaint.show([told])[0]]
    assert [one["place"] for one in shown] == ["0101", "0101"]
    assert [set(one) for one in shown] == [set(order.read), set(complaint.read)]
    assert "contact" not in shown[1] and told.contact == "8101"

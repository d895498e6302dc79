"""Pages of catering, meetings, the hand-over book and facilities, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.documents import services as documents
from core.kernel import clock
from core.sdk import Record, session
from core.users.permissions import all_permissions
from plugins.hotel import (
    facilities,
    food,
    meetings,
    prints_service,
    processing,
    reports_service,
    samples,
    shifts,
    values,
)
from plugins.hotel.models import Facility, FoodLine, Meeting, Processing, Sample, Shift
from tests.helpers import login, make_user

from .scene import House, make_house


@pytest.fixture
def house(sqlite_app: Flask) -> House:
    made = make_house(on=("R06-13", "R06-14"))
    made.hotel_place("兰亭厅", "2F", values.MEETING, "area")
    return made


@pytest.fixture
def boss(sqlite_app: Flask, house: House) -> Any:
    """Let somebody who may do everything have signed in."""
    with clock.frozen(house.now):
        user = make_user(house.unit, [one.code for one in all_permissions()])
        yield login(sqlite_app.test_client(), user, unit=house.unit)


def one_of_each(house: House) -> dict[str, int]:
    times = {"starts_at": house.now + timedelta(hours=5), "ends_at": house.now + timedelta(hours=7)}
    line = {
        "item": "鲜牛奶",
        "quantity": "20.5",
        "storage": "chilled",
        "degrees": "4",
        "papers": "1",
        "looks_good": "1",
    }
    with house.acting():
        unit_id = house.unit.id
        found = {
            "food": food.register(unit_id, {"supplier": "城南乳业", "delivery_note": "PS-1", "lines": [line]}).id,
            "meeting": meetings.register(unit_id, {"title": "年会", "place": "兰亭厅", **times}).id,
            "shift": shifts.register(unit_id, {"department": "front_desk", "shift": "early"}).id,
            "facility": facilities.create(unit_id, {"code": "DT-1", "name": "一号电梯", "every_months": "1"}).id,
            "sample": samples.keep(unit_id, {"meal": "lunch", "dish": "红烧肉", "grams": "130"}).id,
        }
        shifts.add_entry(found["shift"], {"text": "0102 加床", "open": "1"})
        processing.log(unit_id, {"meal": "lunch", "step": "cook", "dish": "红烧肉", "degrees": "75"})
        facilities.serve(found["facility"], {"what": "年检保养", "cost": "380"})
    return found


LISTS = ("meetings", "shifts", "facilities", "foods", "processing", "samples")


def text_of(client: FlaskClient, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, (url, answer.status_code)
    return answer.get_data(as_text=True)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_opens(house: House, boss: FlaskClient, language: str) -> None:
    found = one_of_each(house)
    boss.post("/language", data={"locale": language})
    for name in LISTS:
        text_of(boss, f"/admin/hotel/{name}/")
    for url in ("meeting/new", "shift/new", "food/new"):
        text_of(boss, f"/p/hotel/{url}")
    for name in ("facilities", "processing", "samples"):
        text_of(boss, f"/admin/hotel/{name}/new/")
    assert "城南乳业" in text_of(boss, f"/admin/record/{found['food']}")
    assert "兰亭厅" in text_of(boss, f"/admin/record/{found['meeting']}")
    assert "0102 加床" in text_of(boss, f"/admin/record/{found['shift']}")
    assert "年检保养" in text_of(boss, f"/admin/hotel/facilities/details/?id={found['facility']}")
    text_of(boss, f"/admin/hotel/facilities/serve/?id={found['facility']}")
    text_of(boss, f"/admin/hotel/facilities/edit/?id={found['facility']}")


def test_food_is_entered_by_rows_and_judged_on_its_page(house: House, boss: FlaskClient) -> None:
    good = {"item-0": "大米", "quantity-0": "50", "storage-0": "ambient", "papers-0": "1", "looks_good-0": "1"}
    bad = {"item-2": "牛奶", "quantity-2": "-1", "storage-2": "chilled"}
    wrong = boss.post("/p/hotel/food/new", data={"supplier": "城南", "key": "a1", **good, **bad})
    assert wrong.status_code == 422 and "-1" in wrong.get_data(as_text=True)
    assert house.all(select(FoodLine)) == []
    for _ in range(2):
        done = boss.post("/p/hotel/food/new", data={"supplier": "城南", "key": "a2", **good})
        assert done.status_code == 302
    line = house.all(select(FoodLine))
    assert len(line) == 1
    url = f"/p/hotel/food/{line[0].food_id}/line/{line[0].id}"
    assert boss.post(url, data={"verdict": "maybe"}).status_code == 302
    boss.post(url, data={"verdict": "refused"})
    assert house.all(select(FoodLine.verdict)) == ["refused"]
    assert boss.post("/p/hotel/food/999999/line/1", data={"verdict": "refused"}).status_code == 404


def test_a_shift_is_begun_written_and_handed_over(house: House, boss: FlaskClient) -> None:
    boss.post("/p/hotel/shift/new", data={"department": "front_desk", "shift": "early", "key": "s1"})
    (row,) = house.all(select(Shift))
    for _ in range(2):
        boss.post(f"/p/hotel/shift/{row.id}/entry", data={"text": "0102 加床", "open": "1", "key": "e1"})
    assert [one["text"] for one in house.all(select(Shift))[0].entries] == ["0102 加床"]
    boss.post(f"/p/hotel/shift/{row.id}/settle", data={"entry": "1"})
    assert not house.all(select(Shift))[0].entries[0]["open"]
    giver = house.staff("hotel_front_desk")
    house.do(row.id, "hand", giver)
    assert boss.get(f"/p/hotel/shift/{row.id}/take").status_code == 200
    wrong = boss.post(f"/p/hotel/shift/{row.id}/take", data={"taker": str(giver.id), "pin": "0000"})
    assert wrong.status_code == 422
    house.do(row.id, "back", giver)
    assert boss.post(f"/p/hotel/shift/{row.id}/take", data={"key": "t1"}).status_code == 422


def test_forms_say_what_is_wrong_and_write_nothing(house: House, boss: FlaskClient) -> None:
    light = boss.post("/admin/hotel/samples/new/", data={"meal": "lunch", "dish": "汤", "grams": "100"})
    assert light.status_code == 422 and "125" in light.get_data(as_text=True)
    backwards = {"title": "会", "place": "兰亭厅", "starts_at": "2026-03-03T10:00", "ends_at": "2026-03-03T09:00"}
    assert boss.post("/p/hotel/meeting/new", data=backwards).status_code == 422
    cold = {"meal": "lunch", "step": "cook", "dish": "汤", "degrees": "40"}
    assert boss.post("/admin/hotel/processing/new/", data=cold).status_code == 422
    for model in (Sample, Meeting, Processing, Facility):
        assert house.all(select(model)) == []


def test_reports_and_papers_come_out(house: House, boss: FlaskClient) -> None:
    found = one_of_each(house)
    with house.acting():
        for report in reports_service.reports():
            rows = list(report.rows([house.unit.id], {"period": "this_month"}))
            assert len(rows) == 1, report.code
        assert prints_service.food_paper(session().get_one(Record, found["food"]))["lines"][0][0] == "鲜牛奶"
        assert prints_service.shift_paper(session().get_one(Record, found["shift"]))["entries"][0][1] == "√"


def test_a_form_sent_twice_makes_one_row(house: House, boss: FlaskClient) -> None:
    for name, given, model in (
        ("samples", {"meal": "lunch", "dish": "汤", "grams": "130"}, Sample),
        ("processing", {"meal": "lunch", "step": "cook", "dish": "汤", "degrees": "80"}, Processing),
        ("facilities", {"code": "DT1", "name": "客梯"}, Facility),
    ):
        page = f"/admin/hotel/{name}/new/"
        key = re.search(r'name="key" value="([0-9a-f]{32})"', boss.get(page).text)
        assert key is not None
        for _again in range(2):
            assert boss.post(page, data={**given, "key": key[1]}).status_code == 302
        assert len(house.all(select(model))) == 1


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_papers_are_typeset(house: House, boss: FlaskClient, locale: str) -> None:
    found = one_of_each(house)
    with house.acting():
        for form in prints_service.forms():
            record = session().get_one(Record, found["food" if form.code == prints_service.FOOD else "shift"])
            head = documents.head_of(house.unit.id, form.title, seal="", address="", locale=locale)
            bound = replace(form, plugin="hotel")
            pdf = documents.typeset(bound, locale, [{"head": head, "data": form.data(record)}])
            assert pdf.startswith(b"%PDF")

"""Rooms, stays and cleanings over the API, the reports about them, and the hotel day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.sdk import transaction
from plugins.hotel import cleaning, cleaning_list, days, reports_rooms, room_file, rooms, stays, values
from plugins.hotel.models import Cleaning, HotelPlace, Stay
from tests.api_scene import Asker, token_of

from .scene import House, make_house


@pytest.fixture
def house(app: Flask) -> Iterator[House]:
    made = make_house(on=("R06-7b", "R06-8"))
    with clock.frozen(made.now):
        yield made


def asker(app: Flask, house: House) -> Asker:
    return Asker(app, token_of(house.staff("gm"), units=[house.unit]))


def rows_of(house: House, report: Any) -> list[dict[str, Any]]:
    wanted = {"period": "own", "first": datetime(2026, 3, 1).date(), "last": datetime(2026, 3, 31).date()}
    with house.acting():
        return [dict(row) for row in report.rows([house.unit.id], wanted)]


def test_a_stay_goes_its_way_over_the_api(app: Flask, house: House) -> None:
    program = asker(app, house)
    raw = {"reference": "P1", "room": "0101", "arrives_on": "2026-03-02", "departs_on": "2026-03-04"}
    made = program.post("/hotel/stays", raw, Idempotency_Key="one")
    assert made.status_code == 201, made.text
    assert program.post("/hotel/stays", raw, Idempotency_Key="one").get_json()["id"] == made.get_json()["id"]
    path = f"/hotel/stays/{made.get_json()['id']}"
    assert program.patch(path, {"state": "in_house"}).get_json()["state"] == "in_house"
    assert house.room_state("0101") == values.OC
    assert program.patch(path, {"room": "0102"}).get_json()["room"] == "0102"
    assert program.patch(path, {"departs_on": "2026-03-06"}).get_json()["departs_on"] == "2026-03-06"
    assert program.patch(path, {"state": "expected"}).status_code == 422
    assert program.patch(path, {"reference": "P2"}).status_code == 422
    assert program.patch(path, {"state": "departed"}).get_json()["state"] == "departed"
    assert house.room_state("0102") == values.VD
    assert [one["room"] for one in program.get("/hotel/stays?reference=P1").get_json()["items"]] == ["0102"]


@pytest.mark.clause("R06-7b")
def test_a_blocked_room_is_refused_over_the_api(app: Flask, house: House) -> None:
    house.order("0101")
    with house.acting(), transaction():
        rooms.block(house.places["0101"])
    answer = asker(app, house).post("/hotel/stays", {"room": "0101", "departs_on": "2026-03-04"})
    assert answer.status_code == 409 and "R06-7b" in answer.text
    assert not house.all(select(Stay))


@pytest.mark.parametrize(
    "raw",
    [
        {"departs_on": "2026-02-01"},
        {"room": "9999", "departs_on": "2026-03-04"},
        {"departs_on": "2026-03-04", "guests": -1},
        {"departs_on": "2026-03-04", "state": "departed"},
    ],
)
def test_wrong_stays_are_told(app: Flask, house: House, raw: dict[str, Any]) -> None:
    assert asker(app, house).post("/hotel/stays", raw).status_code == 422
    assert not house.all(select(Stay))


def test_rooms_and_cleanings_over_the_api(app: Flask, house: House) -> None:
    house.place("0301", parent="2F")
    program = asker(app, house)
    raw = {"place": "0301", "category": "rooms", "room_type": "套房", "beds": 1}
    made = program.post("/hotel/rooms", raw)
    assert (made.status_code, made.get_json()["state"]) == (201, "VC")
    assert program.post("/hotel/rooms", raw).status_code == 422
    path = f"/hotel/rooms/{made.get_json()['id']}"
    assert program.patch(path, {"beds": 2}).get_json()["beds"] == 2
    assert program.patch(path, {"place": "0101"}).status_code == 422
    with house.acting(), transaction():
        key = cleaning.add_extra(house.unit.id, {"room": "0301", "note": "加床"}).id
    path = f"/hotel/cleanings/{key}"
    assert program.patch(path, {"state": "done"}).get_json()["state"] == "done"
    assert program.patch(path, {"state": "redo"}).status_code == 422
    assert program.patch(path, {"state": "passed"}).get_json()["state"] == "passed"
    events = program.get(f"/hotel/room-events?place_id={house.places['0301']}").get_json()["items"]
    assert sorted(one["what"] for one in events) == ["checked", "cleaned", "dirtied"]


def test_the_hotel_day_ends_in_the_morning(house: House) -> None:
    before = datetime(2026, 3, 2, 21, 59, tzinfo=UTC)  # 05:59 on the 3rd in China
    with house.acting():
        assert days.hotel_day(house.unit.id, before).isoformat() == "2026-03-02"
        assert days.hotel_day(house.unit.id, before + timedelta(minutes=1)).isoformat() == "2026-03-03"
        first, last = days.span(house.unit.id, days.hotel_day(house.unit.id, before))
    assert first <= before < last and last - first == timedelta(days=1)
    house.office.set("hotel.day_ends", "00:00")
    with house.acting():
        assert days.hotel_day(house.unit.id, before).isoformat() == "2026-03-03"


def test_occupancy_counts_nights_of_hotel_days(house: House) -> None:
    first = house.stay("0101", days=2)
    house.stay("0102", days=1)
    house.later(days=2)
    with house.acting(), transaction():
        stays.depart(stays.get_stay(first))
    found = {row["day"]: (row["nights"], row["rooms"]) for row in rows_of(house, reports_rooms.OCCUPANCY)}
    # The second guest should have left on the 3rd and is still there.
    assert found["2026-03-01"] == (0, 6)
    assert (found["2026-03-02"], found["2026-03-03"], found["2026-03-04"]) == ((2, 6), (2, 6), (1, 6))
    assert "2026-03-05" not in found


def test_who_cleaned_how_much(house: House) -> None:
    anna = house.staff("hotel_housekeeping")
    for code in ("0101", "0102"):
        house.stay(code, days=4)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)
    keys = house.all(select(Cleaning.id).order_by(Cleaning.id))
    with house.acting(anna), transaction():
        cleaning.start(cleaning.get(keys[0]))
    house.later(minutes=20)
    with house.acting(anna), transaction():
        cleaning.finish(cleaning.get(keys[0]))
        cleaning.skip(cleaning.get(keys[1]), {"why": "refused"})
    rows = rows_of(house, reports_rooms.CLEANED)
    assert [(row["count"], row["skipped"], row["stayover"], row["minutes"]) for row in rows] == [(1, 1, 1, 20)]


def test_how_long_a_room_could_not_be_sold(house: House) -> None:
    with house.acting(), transaction():
        rooms.close(house.places["0101"], "装修")
    house.later(hours=30)
    with house.acting(), transaction():
        rooms.reopen(house.places["0101"])
        rooms.close(house.places["0102"], "装修")
    house.later(hours=5)
    rows = {row["room"]: (row["times"], row["OOS"]) for row in rows_of(house, reports_rooms.BLOCKED)}
    assert {key: (times, float(hours)) for key, (times, hours) in rows.items()} == {
        "0101": (1, 30.0),
        "0102": (1, 5.0),
    }


def test_floors_follow_when_a_room_moves(house: House) -> None:
    from core.sdk import places

    with house.acting(), transaction():
        places.change_place(places.get_place(house.places["0101"]), {"parent": "2F"})
        assert room_file.follow_moves(house.unit.id) == 1
        assert room_file.follow_moves(house.unit.id) == 0
    found: HotelPlace = house.one_room("0101")
    assert found.floor_id == house.places["2F"]


def test_the_mornings_work_is_done_by_the_job(house: House) -> None:
    house.stay("0101", days=3)
    house.later(days=1)
    job = cleaning_list.declared()[0]
    with house.acting():
        assert job.name == "hotel.morning"
        assert cleaning_list.morning(house.unit.id) == 1
        assert cleaning_list.morning(house.unit.id) == 0

"""Stays: who may have which room on which days, and what arriving and leaving do to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import Conflict, InvalidData, NotAllowed, Refused, transaction
from plugins.hotel import rooms, stays, values
from plugins.hotel.models import Stay

from .scene import House, clauses, codes, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-7b",))


def booked(house: House, code: str = "0101", *, starts: int = 0, nights: int = 1, **more: Any) -> int:
    """Enter an expected stay; return its id."""
    first = house.today + timedelta(days=starts)
    raw = {"room": code, "arrives_on": first.isoformat()}
    raw["departs_on"] = (first + timedelta(days=nights)).isoformat()
    with house.acting(), transaction():
        return stays.expect(house.unit.id, {**raw, **more}).id


def take(house: House, key: int, **raw: Any) -> None:
    with house.acting(), transaction():
        stays.arrive(stays.get_stay(key), raw)


def step(house: House, key: int, call: Any, *raw: Any) -> None:
    with house.acting(), transaction():
        call(stays.get_stay(key), *raw)


def one(house: House, key: int) -> Stay:
    found: Stay = house.all(select(Stay).where(Stay.id == key))[0]
    return found


def test_arriving_and_leaving_make_the_room_occupied_and_dirty(house: House) -> None:
    key = booked(house)
    take(house, key)
    assert house.room_state("0101") == values.OC
    step(house, key, stays.depart)
    assert house.room_state("0101") == values.VD
    assert [event.what for event in house.events("0101")] == ["arrived", "departed"]
    assert one(house, key).state == values.GONE
    assert one(house, key).departs_on == house.today  # a day earlier than planned


@pytest.mark.clause("R06-7b")
def test_a_blocked_room_is_refused_to_arrivals_and_to_new_stays_of_today(house: House) -> None:
    waiting = booked(house)
    house.order("0101")
    with house.acting(), transaction():
        rooms.block(house.places["0101"])
    with pytest.raises(Refused) as refused:
        take(house, waiting)
    assert clauses(refused.value) == {"R06-7b"}
    step(house, waiting, stays.cancel)
    with pytest.raises(Refused) as refused:
        booked(house)
    assert clauses(refused.value) == {"R06-7b"}
    booked(house, starts=3)  # by then it is repaired


@pytest.mark.clause("R06-7b")
def test_a_unit_may_sell_blocked_rooms_all_the_same(house: House) -> None:
    house.clause("R06-7b", blocks=False)
    key = booked(house)
    house.order("0101")
    with house.acting(), transaction():
        rooms.block(house.places["0101"])
    take(house, key)
    found = house.one_room("0101")
    assert (found.state, found.occupied) == (values.OOO, True)


@pytest.mark.clause("JD-9")
def test_a_room_out_of_service_is_not_sold(house: House) -> None:
    with house.acting(), transaction():
        rooms.close(house.places["0101"], "装修")
    with pytest.raises(Refused) as refused:
        booked(house)
    assert clauses(refused.value) == {"JD-9"}
    assert "装修" in str(refused.value.texts()[0])


def test_a_room_is_taken_once_a_night(house: House) -> None:
    booked(house, starts=1, nights=2)
    for starts, nights in ((0, 2), (1, 1), (2, 5), (1, 0)):
        with pytest.raises(InvalidData) as bad:
            booked(house, starts=starts, nights=nights)
        assert set(bad.value.errors) == {"room"}, (starts, nights)
    booked(house, starts=3)
    booked(house, starts=0)


def test_day_use_takes_its_day(house: House) -> None:
    booked(house, nights=0)
    with pytest.raises(InvalidData):
        booked(house, nights=0)
    with pytest.raises(InvalidData):
        booked(house, nights=2)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"departs_on": ""}, "departs_on"),
        ({"departs_on": "2026-13-01"}, "departs_on"),
        ({"departs_on": "2026-03-01"}, "departs_on"),
        ({"departs_on": "2029-03-01"}, "departs_on"),
        ({"arrives_on": "2026-03-01", "departs_on": "2026-03-09"}, "arrives_on"),
        ({"room": "9999"}, "room"),
        ({"room": "西餐厅"}, "room"),
        ({"guests": "0"}, "guests"),
        ({"guests": "-2"}, "guests"),
        ({"reference": "B" * 41}, "reference"),
    ],
)
def test_bad_input_is_told_beside_its_field(house: House, raw: dict[str, str], field: str) -> None:
    given = {"room": "0101", "departs_on": "2026-03-04", **raw}
    with house.acting(), pytest.raises(InvalidData) as bad, transaction():
        stays.expect(house.unit.id, given)
    assert set(bad.value.errors) == {field}


def test_a_booking_number_is_there_once(house: House) -> None:
    booked(house, reference="X1")
    with pytest.raises(InvalidData) as bad:
        booked(house, "0102", reference="X1")
    assert set(bad.value.errors) == {"reference"}


def test_a_retry_answers_the_first_stay(house: House) -> None:
    raw = {"room": "0101", "departs_on": "2026-03-04"}
    keys = []
    for _ in range(2):
        with house.acting(), transaction():
            keys.append(stays.walk_in(house.unit.id, raw, key="k1").id)
    assert keys[0] == keys[1]
    with house.acting(), pytest.raises(Conflict), transaction():
        stays.walk_in(house.unit.id, {**raw, "room": "0102"}, key="k1")


def test_a_dirty_room_wants_a_word(house: House) -> None:
    key = booked(house)
    with house.acting(), transaction():
        rooms.set_clean(house.places["0101"], clean=False)
    with pytest.raises(InvalidData) as bad:
        take(house, key)
    assert set(bad.value.errors) == {"anyway"}
    take(house, key, anyway="1")
    assert house.room_state("0101") == values.OD


def test_changing_rooms_leaves_the_old_one_dirty(house: House) -> None:
    key = booked(house)
    take(house, key)
    step(house, key, stays.move, {"room": "0201"})
    assert (house.room_state("0101"), house.room_state("0201")) == (values.VD, values.OC)
    with pytest.raises(InvalidData) as bad:
        step(house, key, stays.move, {"room": "0201"})
    assert set(bad.value.errors) == {"room"}


def test_staying_longer_ends_where_somebody_else_comes(house: House) -> None:
    key = booked(house)
    booked(house, starts=3)
    take(house, key)
    with pytest.raises(InvalidData):
        step(house, key, stays.extend, {"departs_on": (house.today + timedelta(days=4)).isoformat()})
    step(house, key, stays.extend, {"departs_on": (house.today + timedelta(days=3)).isoformat()})
    with pytest.raises(InvalidData):
        step(house, key, stays.extend, {"departs_on": (house.today - timedelta(days=1)).isoformat()})


def test_nobody_arrives_twice_or_leaves_twice(house: House) -> None:
    key = booked(house)
    take(house, key)
    with pytest.raises(Refused) as refused:
        take(house, key)
    assert codes(refused.value) == {"stay_state"}
    step(house, key, stays.depart)
    with pytest.raises(Refused):
        step(house, key, stays.depart)
    with pytest.raises(Refused):
        step(house, key, stays.no_show)


def test_who_was_expected_and_did_not_come(house: House) -> None:
    key, later = booked(house), booked(house, starts=4)
    step(house, key, stays.no_show)
    assert one(house, key).state == values.NO_SHOW
    with pytest.raises(Refused) as refused:
        step(house, later, stays.no_show)
    assert codes(refused.value) == {"early"}
    step(house, later, stays.cancel)
    assert one(house, later).state == values.CANCELLED


def test_the_night_belongs_to_the_day_before(house: House) -> None:
    house.later(hours=19)  # five in the morning on Tuesday
    key = booked(house, nights=1)
    assert one(house, key).arrives_on.isoformat() == "2026-03-02"
    house.later(hours=1)
    take_day = house.today.isoformat()
    assert take_day == "2026-03-03"


def test_only_the_desk_does_this(house: House) -> None:
    key = booked(house)
    cleaner = house.staff("hotel_housekeeping")
    with house.acting(cleaner), pytest.raises(NotAllowed), transaction():
        stays.arrive(stays.get_stay(key), {})
    with house.acting(cleaner), pytest.raises(NotAllowed), transaction():
        stays.expect(house.unit.id, {"departs_on": "2026-03-04"})

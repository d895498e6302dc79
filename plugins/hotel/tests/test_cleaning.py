"""Cleaning: the list of the hotel day, who does what, do not disturb, and the tasks it meets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.records.models import Notice
from core.rules import schedules
from core.sdk import InvalidData, NotAllowed, Record, Refused, transaction
from core.tasks.models import Task
from plugins.hotel import cleaning, cleaning_list, rooms, stays, values
from plugins.hotel.models import Cleaning
from tests.helpers import as_system

from .scene import House, clauses, codes, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-8", "R06-9"))


def morning(house: House) -> int:
    """Make the list of the day."""
    with house.acting():
        return cleaning_list.make(house.unit.id)


def due(house: House) -> None:
    """Let the tasks of the day be made."""
    with clock.frozen(house.now), as_system():
        schedules.create_due(house.unit.id)


def listed(house: House) -> dict[str, str]:
    """Return what is on the list of the day, as room -> kind."""
    with house.acting():
        return {one.place.code: one.kind for one in cleaning_list.of_day(house.unit.id, house.today)}


def row(house: House, code: str, kind: str = "") -> int:
    wanted = select(Cleaning.id).where(Cleaning.place_id == house.places[code], Cleaning.hotel_day == house.today)
    if kind:
        wanted = wanted.where(Cleaning.kind == kind)
    return int(house.all(wanted)[0])


def do(house: House, key: int, call: Any, *raw: Any, user: Any = None) -> None:
    with house.acting(user), transaction():
        call(cleaning.get(key), *raw)


def state(house: House, key: int) -> str:
    return str(house.all(select(Cleaning.state).where(Cleaning.id == key))[0])


def quiet(house: House) -> None:
    """No deep cleanings: this test is about the daily ones."""
    house.clause("R06-9", holds=False)


@pytest.mark.clause("R06-8")
def test_the_list_has_who_slept_here_and_who_leaves(house: House) -> None:
    quiet(house)
    house.stay("0101", days=3)
    house.stay("0102", days=1)
    with house.acting(), transaction():
        rooms.set_clean(house.places["0103"], clean=False)
        rooms.close(house.places["0201"], "装修")
    house.later(days=1)
    assert morning(house) == 3
    assert listed(house) == {"0101": "stayover", "0102": "departure", "0103": "departure"}
    assert (house.room_state("0101"), house.room_state("0102")) == (values.OD, values.OD)


@pytest.mark.clause("R06-8")
def test_made_again_it_stays_the_same(house: House) -> None:
    quiet(house)
    house.stay("0101", days=3)
    house.later(days=1)
    assert [morning(house), morning(house)] == [1, 0]
    do(house, row(house, "0101"), cleaning.finish)
    with house.acting(), transaction():
        stays.walk_in(house.unit.id, {"room": "0202", "departs_on": "2026-03-06"})
    house.later(hours=3)
    assert morning(house) == 0
    assert house.room_state("0101") == values.OC


def test_what_was_left_yesterday_is_on_the_new_list(house: House) -> None:
    quiet(house)
    house.stay("0101", days=5)
    house.later(days=1)
    morning(house)
    first = row(house, "0101")
    house.later(days=1)
    assert morning(house) == 1
    assert state(house, first) == values.DROPPED


def test_after_a_departure_the_room_comes_onto_the_list(house: House) -> None:
    quiet(house)
    key = house.stay("0101", days=3)
    house.later(days=1)
    morning(house)
    stayover = row(house, "0101")
    with house.acting(), transaction():
        stays.depart(stays.get_stay(key))
    assert state(house, stayover) == values.DROPPED
    assert listed(house) == {"0101": "departure"}


def test_a_departure_is_not_cleaned_before_the_guest_left(house: House) -> None:
    quiet(house)
    house.stay("0101", days=1)
    house.later(days=1)
    morning(house)
    with pytest.raises(Refused) as refused:
        do(house, row(house, "0101"), cleaning.start)
    assert codes(refused.value) == {"occupied"}


def test_the_way_of_a_cleaning(house: House) -> None:
    quiet(house)
    anna = house.staff("hotel_housekeeping")
    house.stay("0101", days=3)
    house.later(days=1)
    morning(house)
    key = row(house, "0101")
    do(house, key, cleaning.start, user=anna)
    with pytest.raises(Refused):
        do(house, key, cleaning.start, user=anna)
    house.later(minutes=25)
    do(house, key, cleaning.finish, {"note": "毛巾破"}, user=anna)
    assert house.room_state("0101") == values.OC
    with pytest.raises(NotAllowed):
        do(house, key, cleaning.check, user=anna)
    with pytest.raises(InvalidData):
        do(house, key, cleaning.redo, {"note": ""})
    do(house, key, cleaning.redo, {"note": "浴室"})
    assert (state(house, key), house.room_state("0101")) == (values.REDO, values.OD)
    do(house, key, cleaning.finish, user=anna)
    do(house, key, cleaning.check)
    found: Cleaning = house.all(select(Cleaning).where(Cleaning.id == key))[0]
    assert (found.state, found.done_by, found.checked_by) == (values.PASSED, anna.id, house.desk.id)
    with pytest.raises(Refused):
        do(house, key, cleaning.check)


@pytest.mark.clause("JD-6")
def test_do_not_disturb_wants_several_tries(house: House) -> None:
    quiet(house)
    house.clause("JD-6", tries=2)
    house.stay("0101", days=3)
    house.later(days=1)
    morning(house)
    key = row(house, "0101")
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            do(house, key, cleaning.skip, {"why": "dnd"})
        assert clauses(refused.value) == {"JD-6"}
        do(house, key, cleaning.knock)
    do(house, key, cleaning.skip, {"why": "dnd"})
    assert (state(house, key), house.room_state("0101")) == (values.SKIPPED, values.OD)
    assert house.one_room("0101").dnd_on == house.today
    assert [one.what for one in house.events("0101")].count("dnd") == 3
    do(house, key, cleaning.take_up)
    assert state(house, key) == values.TODO


@pytest.mark.clause("JD-6")
def test_a_guest_who_says_no_needs_no_tries(house: House) -> None:
    quiet(house)
    house.stay("0101", days=3)
    house.later(days=1)
    morning(house)
    with pytest.raises(InvalidData):
        do(house, row(house, "0101"), cleaning.skip, {"why": "asleep"})
    do(house, row(house, "0101"), cleaning.skip, {"why": "refused"})
    assert state(house, row(house, "0101")) == values.SKIPPED


@pytest.mark.clause("JD-6b")
def test_after_two_days_of_do_not_disturb_somebody_looks(house: House) -> None:
    quiet(house)
    house.clause("JD-6", tries=0)
    house.clause("JD-6b", days=2)
    manager = house.staff("dept_manager")
    house.stay("0101", days=5)
    mine = select(Notice.text).where(Notice.user_id == manager.id, Notice.kind == cleaning.DND_NOTICE)
    for told in (0, 1):
        house.later(days=1)
        morning(house)
        do(house, row(house, "0101"), cleaning.skip, {"why": "dnd"})
        assert len(house.all(mine)) == told


@pytest.mark.clause("R06-8")
def test_the_task_of_the_day_is_done_with_the_list(house: House) -> None:
    quiet(house)
    house.stay("0101", days=3)
    house.stay("0102", days=3)
    house.later(days=1)
    due(house)
    morning(house)
    tasks = select(Record.state).join(Task, Task.id == Record.id).where(Task.clause == "R06-8")
    do(house, row(house, "0101"), cleaning.finish)
    assert house.all(tasks) == ["open"]
    do(house, row(house, "0102"), cleaning.skip, {"why": "refused"})
    assert house.all(tasks) == ["done"]


@pytest.mark.clause("R06-9")
def test_a_deep_cleaning_meets_its_task_when_it_is_passed(house: House) -> None:
    house.clause("R06-9", interval=3)
    house.clause("R06-8", holds=False)
    house.later(days=3)  # by then a period of three days has begun
    due(house)
    tasks = select(Record.state).join(Task, Task.id == Record.id).where(Task.clause == "R06-9").order_by(Record.id)
    assert house.all(tasks) == ["open"] * 6
    assert morning(house) == 2  # six rooms in three days
    assert set(listed(house).values()) == {"deep"}
    code = next(iter(listed(house)))
    do(house, row(house, code), cleaning.finish)
    do(house, row(house, code), cleaning.check)
    assert Counter(house.all(tasks)) == {"open": 5, "done": 1}
    assert house.one_room(code).deep_cleaned_on == house.today
    house.later(days=1)
    assert morning(house) == 2
    assert code not in listed(house)


def test_work_is_handed_out_evenly(house: House) -> None:
    quiet(house)
    people = [house.staff("hotel_housekeeping") for _ in range(2)]
    for code in ("0101", "0102", "0103", "0201", "0202", "0203"):
        house.stay(code, days=3)
    house.later(days=1)
    morning(house)
    with house.acting():
        assert cleaning_list.hand_out(house.unit.id, [one.id for one in people]) == 6
        assert cleaning_list.hand_out(house.unit.id, [one.id for one in people]) == 0
        rows = cleaning_list.of_day(house.unit.id, house.today)
    assert [one.assignee_id for one in rows] == [people[0].id] * 3 + [people[1].id] * 3
    with house.acting(), pytest.raises(InvalidData):
        cleaning_list.hand_out(house.unit.id, [])
    with house.acting(), pytest.raises(InvalidData):
        cleaning_list.hand_out(house.unit.id, [house.staff("hotel_catering").id])
    with house.acting(people[0]), pytest.raises(NotAllowed):
        cleaning_list.hand_out(house.unit.id, [people[0].id])


@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=60),
    st.lists(st.integers(0, 40), min_size=1, max_size=8),
)
def test_shares_are_runs_of_neighbours(loads: list[int], held: list[int]) -> None:
    found = cleaning_list.share_out(loads, held)
    assert len(found) == len(loads)
    assert found == sorted(found)
    assert all(0 <= one < len(held) for one in found)
    if not any(held):
        fair = sum(loads) / len(held)
        for person in range(len(held)):
            assert sum(load for load, one in zip(loads, found, strict=True) if one == person) <= fair + max(loads)


def test_an_extra_cleaning(house: House) -> None:
    quiet(house)
    with house.acting(), transaction():
        cleaning.add_extra(house.unit.id, {"room": "0101", "note": "加床"})
    assert listed(house) == {"0101": "extra"}
    assert house.room_state("0101") == values.VD
    with house.acting(), pytest.raises(InvalidData), transaction():
        cleaning.add_extra(house.unit.id, {"room": "西餐厅"})

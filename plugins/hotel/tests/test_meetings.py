"""Meetings, the hand-over book and facilities."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.rules import schedules
from core.rules.obligation_models import Obligation
from core.sdk import (
    Conflict,
    Inspection,
    InvalidData,
    NotAllowed,
    NotFound,
    Refused,
    inspections,
    perform,
    pins,
    session,
)
from core.tasks.models import Task
from plugins.hotel import facilities, meetings, shifts, values
from plugins.hotel.models import Facility, Meeting, Shift
from tests.helpers import as_system
from tests.test_approvals import at_once

from .scene import House, clauses, make_house


@pytest.fixture
def house(app: Flask) -> House:
    made = make_house()
    made.hotel_place("兰亭厅", "2F", values.MEETING, "area")
    made.hotel_place("竹影厅", "2F", values.MEETING, "area")
    return made


def at(house: House, hours: float) -> datetime:
    return house.now + timedelta(hours=hours)


def asked(house: House, first: float, last: float, place: str = "兰亭厅", **given: Any) -> dict[str, Any]:
    times = {"starts_at": at(house, first).isoformat(), "ends_at": at(house, last).isoformat()}
    return {"title": "年会", "place": place, "people": "40", **times, **given}


def book(house: House, first: float, last: float, place: str = "兰亭厅", **given: Any) -> int:
    with house.acting():
        return meetings.register(house.unit.id, asked(house, first, last, place, **given)).id


# --- JD-11, JD-7 -----------------------------------------------------------------------------------


@pytest.mark.clause("JD-11")
def test_a_hall_has_one_meeting_at_a_time(house: House) -> None:
    first = book(house, 4, 6)
    for begin, end in ((5, 7), (3, 5), (4, 6), (4.5, 5), (3, 7), (6.25, 8), (1, 3.6)):
        with house.acting(), pytest.raises(Refused) as refused:
            meetings.register(house.unit.id, asked(house, begin, end))
        assert clauses(refused.value) == {"JD-11"}
    book(house, 5, 7, "竹影厅")
    book(house, 6.5, 8)
    house.do(first, "cancel", reason="客户取消")
    book(house, 4, 6)


@pytest.mark.clause("JD-11")
def test_where_the_clause_is_off_halls_are_still_not_double(house: House) -> None:
    house.clause("JD-11", holds=False)
    book(house, 4, 6)
    book(house, 6, 7)
    with house.acting(), pytest.raises(Refused) as refused:
        meetings.register(house.unit.id, asked(house, 5, 7))
    assert clauses(refused.value) == set()


@pytest.mark.clause("JD-11")
def test_two_who_book_at_once_do_not_both_get_the_hall(house: House) -> None:
    results = at_once(*[lambda: book(house, 4, 6)] * 2)
    assert sorted(type(one).__name__ for one in results) == ["Refused", "int"]
    assert len(house.all(select(Meeting))) == 1


def test_wrong_times_and_places_are_said_beside_the_field(house: House) -> None:
    for bad, name in (
        (asked(house, 6, 4), "ends_at"),
        (asked(house, 4, 4), "ends_at"),
        (asked(house, -30, 4), "starts_at"),
        (asked(house, 4, 24 * 20), "ends_at"),
        (asked(house, 4, 6, "0101"), "place"),
        (asked(house, 4, 6, "没有"), "place"),
        (asked(house, 4, 6, ""), "place"),
        (asked(house, 4, 6, people="0"), "people"),
    ):
        with house.acting(), pytest.raises(InvalidData) as wrong:
            meetings.register(house.unit.id, bad)
        assert name in wrong.value.errors


@pytest.mark.clause("JD-7")
def test_the_hall_is_to_be_ready_before_it_begins_also_when_it_moves(house: House) -> None:
    key = book(house, 8, 10)

    def limit() -> list[datetime]:
        return house.all(select(Obligation.due_at).where(Obligation.record_id == key, Obligation.state == "open"))

    assert limit() == [at(house, 7)]
    start = house.now
    house.later(hours=1)
    house.do(
        key,
        "move",
        **{k: v for k, v in asked(house, 23, 25, "竹影厅").items() if k in ("place", "starts_at", "ends_at")},
    )
    assert limit() == [start + timedelta(hours=23)]
    house.do(key, "ready")
    assert house.state(key) == values.READY
    states = house.all(select(Obligation.state).where(Obligation.record_id == key))
    assert "open" not in states and "late" not in states


def test_a_meeting_is_not_over_before_it_began_and_moves_only_where_there_is_room(house: House) -> None:
    key, _other = book(house, 4, 6), book(house, 8, 9)
    with house.acting(), pytest.raises(Refused):
        perform(key, "hold", {})
    times = {"starts_at": at(house, 8).isoformat(), "ends_at": at(house, 9).isoformat()}
    with house.acting(), pytest.raises(Refused):
        perform(key, "move", {"place": "兰亭厅", **times})
    house.later(hours=5)
    house.do(key, "hold")
    assert house.state(key) == values.HELD


# --- JD-8 ------------------------------------------------------------------------------------------


def begin(house: House, shift: str = "early", user: Any = None) -> int:
    with house.acting(user):
        return shifts.register(house.unit.id, {"department": "front_desk", "shift": shift}).id


def write(house: House, key: int, text: str, still: str = "", user: Any = None) -> None:
    with house.acting(user):
        shifts.add_entry(key, {"text": text, "open": still})


@pytest.mark.clause("JD-8")
def test_a_shift_is_taken_over_by_somebody_else_and_open_items_go_on(house: House) -> None:
    ann, bob = house.staff("hotel_front_desk"), house.staff("hotel_front_desk")
    key = begin(house, user=ann)
    write(house, key, "0102 客人要加床", "1", ann)
    write(house, key, "一切正常", "", ann)
    house.do(key, "hand", ann)
    with house.acting(ann), pytest.raises(Refused) as refused:
        shifts.take(key)
    assert clauses(refused.value) == {"JD-8"}
    with house.acting(bob):
        shifts.take(key)
    assert house.state(key) == values.TAKEN
    row = house.all(select(Shift).where(Shift.id == key))[0]
    assert (row.giver_id, row.taker_id) == (ann.id, bob.id)
    after = begin(house, "late", bob)
    entries = house.all(select(Shift).where(Shift.id == after))[0].entries
    assert [(one["text"], one["carried"]) for one in entries] == [("0102 客人要加床", True)]
    with house.acting(bob):
        shifts.settle_entry(after, 0)
        shifts.settle_entry(after, 0)
        with pytest.raises(InvalidData):
            shifts.settle_entry(after, 7)
    house.do(after, "hand", bob)
    with house.acting(ann):
        shifts.take(after)
    house.later(days=1)
    assert house.all(select(Shift).where(Shift.id == begin(house, "early", ann)))[0].entries == []


@pytest.mark.clause("JD-8")
def test_on_the_giver_s_device_the_taker_proves_to_be_there(house: House) -> None:
    ann, bob = house.staff("hotel_front_desk"), house.staff("hotel_front_desk")
    key = begin(house, user=ann)
    write(house, key, "一切正常", user=ann)
    house.do(key, "hand", ann)
    with house.acting(ann):
        shifts.take(key, proof=pins.Proof(bob.id))
    assert house.all(select(Shift.taker_id).where(Shift.id == key)) == [bob.id]


@pytest.mark.clause("JD-8")
def test_where_the_clause_is_off_one_person_may_do_both(house: House) -> None:
    house.clause("JD-8", holds=False)
    key = begin(house)
    write(house, key, "一切正常")
    house.do(key, "hand")
    with house.acting():
        shifts.take(key)
    assert house.state(key) == values.TAKEN


def test_a_shift_stands_once_in_the_book(house: House) -> None:
    begin(house)
    with house.acting(), pytest.raises(Refused):
        shifts.register(house.unit.id, {"department": "front_desk", "shift": "early"})
    with house.acting(), pytest.raises(InvalidData):
        shifts.register(house.unit.id, {"department": "spa", "shift": "early"})
    house.later(days=1)
    begin(house)


def test_what_is_handed_over_is_not_written_on(house: House) -> None:
    key = begin(house)
    with house.acting(), pytest.raises(Refused):
        perform(key, "hand", {})
    with house.acting(), pytest.raises(InvalidData):
        shifts.add_entry(key, {"text": ""})
    with house.acting(), pytest.raises(InvalidData):
        shifts.add_entry(key, {"text": "长" * 501})
    write(house, key, "一切正常")
    house.do(key, "hand")
    with house.acting(), pytest.raises(Refused):
        shifts.add_entry(key, {"text": "补一句"})
    house.do(key, "back")
    write(house, key, "补一句")
    catering = house.staff("finance")
    with house.acting(catering, frozenset()), pytest.raises(NotAllowed):
        shifts.register(house.unit.id, {"department": "front_desk", "shift": "night"})


# --- JD-5 ------------------------------------------------------------------------------------------


def lift(house: House, **given: Any) -> int:
    raw = {
        "code": "DT-1",
        "name": "一号电梯",
        "place": "主楼",
        "every_months": "1",
        "last_on": "2026-01-31",
        **given,
    }
    with house.acting():
        return facilities.create(house.unit.id, raw).id


@pytest.mark.clause("JD-5")
def test_a_facility_is_due_after_its_months_and_a_service_moves_it_on(house: House) -> None:
    key = lift(house)
    assert house.all(select(Facility.next_on)) == [date(2026, 2, 28)]
    with house.acting():
        assert [subject for subject, _text, _customer in facilities.subjects(house.unit.id)] == [f"facility:{key}"]
        facilities.serve(key, {"what": "年检保养", "cost": "380.50"})
        assert facilities.subjects(house.unit.id) == []
    assert house.all(select(Facility.next_on)) == [date(2026, 4, 2)]
    with house.acting():
        facilities.serve(key, {"what": "补记上次", "on": "2026-02-01"})
    assert house.all(select(Facility.next_on)) == [date(2026, 4, 2)]


@pytest.mark.clause("JD-5")
def test_the_task_of_a_due_facility_is_done_with_its_service(house: House) -> None:
    key = lift(house)
    house.later(days=30)
    with clock.frozen(house.now), as_system():
        schedules.create_due(house.unit.id)
    tasks = house.all(select(Task.id).where(Task.clause == "JD-5"))
    assert len(tasks) == 1 and house.state(tasks[0]) == "open"
    with house.acting():
        facilities.serve(key, {"what": "年检保养"}, key="s1")
        facilities.serve(key, {"what": "年检保养"}, key="s1")
    assert house.state(tasks[0]) == "done"
    with house.acting():
        assert len(facilities.services_of(key)) == 1


def test_input_of_facilities_is_checked(house: House) -> None:
    key = lift(house)
    tomorrow = (house.today + timedelta(days=1)).isoformat()
    for bad, name in (
        ({"code": "DT-1", "name": "又一部"}, "code"),
        ({"code": "DT-2", "name": ""}, "name"),
        ({"code": "DT-2", "name": "电梯", "every_months": "-1"}, "every_months"),
        ({"code": "DT-2", "name": "电梯", "last_on": tomorrow}, "last_on"),
        ({"code": "DT-2", "name": "电梯", "place": "没有"}, "place"),
    ):
        with house.acting(), pytest.raises(InvalidData) as wrong:
            facilities.create(house.unit.id, bad)
        assert name in wrong.value.errors
    for bad, name in (
        ({"what": ""}, "what"),
        ({"what": "x", "on": tomorrow}, "on"),
        ({"what": "x", "cost": "-1"}, "cost"),
    ):
        with house.acting(), pytest.raises(InvalidData) as wrong:
            facilities.serve(key, bad)
        assert name in wrong.value.errors


def test_a_facility_is_changed_by_one_at_a_time_and_taken_out_of_use(house: House) -> None:
    key = lift(house)
    with house.acting():
        row = session().get_one(Facility, key)
        facilities.change(row, {"name": "客梯"}, version=row.version)
        assert (row.name, row.code, row.place_id) == ("客梯", "DT-1", house.places["主楼"])
        with pytest.raises(Conflict):
            facilities.change(row, {"name": "货梯"}, version=1)
        facilities.set_active(row, False)
    with house.acting(), pytest.raises(Refused):
        facilities.serve(key, {"what": "保养"})
    other = make_house()
    with other.acting(), pytest.raises(NotFound):
        facilities.serve(key, {"what": "保养"})


# --- the checklist of a preparation ------------------------------------------------------------------


@pytest.mark.clause("JD-7")
def test_a_hall_is_ready_when_its_checklist_is_through_and_all_is_well(house: House) -> None:
    key = book(house, 8, 10)
    (checked,) = house.all(select(Meeting.inspection_id).where(Meeting.id == key))
    assert checked is not None
    with house.acting():
        inspections.begin(checked)
        version = inspections.version_of(inspections.get_inspection(checked))
        assert version is not None
        inspections.finish(checked, {one["key"]: "pass" for one in version.items if one["kind"] == "check"})
    assert house.state(checked) == "done" and house.state(key) == values.READY


def test_a_cancelled_meeting_needs_no_preparation(house: House) -> None:
    key = book(house, 8, 10)
    (checked,) = house.all(select(Meeting.inspection_id).where(Meeting.id == key))
    house.do(key, "cancel", reason="客户取消")
    assert house.state(checked) == "cancelled"


def move(house: House, key: int, first: float, last: float, place: str = "兰亭厅") -> None:
    wanted = asked(house, first, last, place)
    house.do(key, "move", **{name: wanted[name] for name in ("place", "starts_at", "ends_at")})


def checklist(house: House, key: int) -> Inspection:
    (held,) = house.all(select(Meeting.inspection_id).where(Meeting.id == key))
    found: Inspection = house.all(select(Inspection).where(Inspection.id == held))[0]
    return found


@pytest.mark.clause("JD-7")
def test_a_moved_meeting_takes_its_checklist_along(house: House) -> None:
    key = book(house, 4, 6)
    first = checklist(house, key)
    move(house, key, 5, 7)
    assert checklist(house, key).id == first.id  # the same hall and day
    move(house, key, 28, 30)
    second = checklist(house, key)
    assert (house.state(first.id), house.state(second.id)) == ("cancelled", "open")
    assert second.due_on == first.due_on + timedelta(days=1)
    move(house, key, 28, 30, "竹影厅")
    third = checklist(house, key)
    assert house.state(second.id) == "cancelled"
    assert third.place_id == house.places["竹影厅"]


@pytest.mark.clause("JD-7")
def test_a_hall_that_was_ready_is_prepared_anew_for_another_time(house: House) -> None:
    key = book(house, 4, 6)
    first = checklist(house, key)
    house.do(key, "ready")
    with house.acting():
        inspections.begin(first.id)
        inspections.finish(first.id, {one["key"]: "pass" for one in _items(first.id) if one["kind"] == "check"})
    move(house, key, 5, 7)
    assert house.state(key) == values.PLANNED
    assert checklist(house, key).id != first.id


def _items(inspection_id: int) -> Any:
    version = inspections.version_of(inspections.get_inspection(inspection_id))
    assert version is not None
    return version.items

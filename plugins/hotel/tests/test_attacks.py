"""Clumsy and hostile use of the hotel: two at once where it hurts, other units' ids, forms sent again changed."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from core.sdk import Charge, InvalidData, NotFound, Refused, approvals, transaction
from plugins.hotel import cleaning, cleaning_list, guest, meetings, orders, samples, shifts, stays, values
from plugins.hotel.models import Cleaning, Complaint, Order, Sample, Stay

from .scene import House, clauses, make_house
from .test_complaints import complain
from .test_guest import code_of, send
from .test_rooms_at_once import chained, together


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-7b", "R06-8", "JD-3", "JD-4"))


def test_a_booking_number_is_entered_once_at_once(house: House) -> None:
    def expect(room: str) -> None:
        raw = {"reference": "B1", "room": room, "departs_on": "2026-03-05"}
        with house.acting(), transaction():
            stays.expect(house.unit.id, raw)

    done = together(partial(expect, "0101"), partial(expect, "0102"))
    assert Counter(done)["done"] == 1 and "" not in done
    assert len(house.all(select(Stay.id))) == 1


def test_guests_leave_while_their_room_is_being_finished(house: House) -> None:
    for code in ("0101", "0102", "0103", "0201", "0202"):
        house.stay(code, days=3)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)
    for code in ("0101", "0102", "0103", "0201", "0202"):
        place = house.places[code]
        row = house.all(select(Cleaning.id).where(Cleaning.place_id == place))[0]
        stay = house.all(select(Stay.id).where(Stay.place_id == place))[0]
        done = together(partial(finish, house, row), partial(depart, house, stay))
        assert done[1] == "done" and done[0] in ("done", "refused")
        assert house.room_state(code) == values.VD
        kinds = select(Cleaning.kind).where(Cleaning.place_id == place, Cleaning.state == values.TODO)
        assert house.all(kinds) == [values.DEPARTURE]


def slept_in(house: House) -> tuple[int, int]:
    """Put a room on the list in which somebody stays; return the cleaning and the stay."""
    house.stay("0101", days=3)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)
    return house.all(select(Cleaning.id))[0], house.all(select(Stay.id))[0]


def test_a_room_left_while_it_is_cleaned_is_cleaned_again(house: House) -> None:
    row, stay = slept_in(house)
    with house.acting(), transaction():
        cleaning.start(cleaning.get(row))
    depart(house, stay)
    finish(house, row)
    assert house.room_state("0101") == values.VD


@pytest.mark.parametrize("days", [0, 1])
def test_a_late_check_makes_no_room_clean_that_was_used_since(house: House, days: int) -> None:
    row, stay = slept_in(house)
    finish(house, row)
    house.later(days=days)
    depart(house, stay)
    with house.acting(), transaction():
        cleaning.check(cleaning.get(row))
    assert house.room_state("0101") == values.VD
    assert house.all(select(Cleaning.state).where(Cleaning.id == row)) == [values.PASSED]


def finish(house: House, row: int) -> None:
    with house.acting(), transaction():
        cleaning.finish(cleaning.get(row))


def depart(house: House, stay: int) -> None:
    with house.acting(), transaction():
        stays.depart(stays.get_stay(stay))


def test_expected_guests_arrive_once(house: House) -> None:
    key = house.stay("0101", state=values.EXPECTED)

    def arrive() -> None:
        with house.acting(), transaction():
            stays.arrive(stays.get_stay(key), {})

    assert Counter(together(arrive, arrive)) == {"done": 1, "refused": 1}


def test_a_shift_has_one_taker(house: House) -> None:
    takers = [house.staff("hotel_front_desk") for _ in range(2)]
    for one in takers:
        house.allowed(one)
    with house.acting():
        key = shifts.register(house.unit.id, {"department": "front_desk", "shift": "early"}).id
        shifts.add_entry(key, {"text": "无事"})
    house.do(key, "hand")

    def take(user: Any) -> None:
        with house.acting(user):
            shifts.take(key)

    done = together(*(partial(take, one) for one in takers))
    assert sorted(done)[0] in ("conflict", "done") and done.count("done") == 1
    assert house.facts(key).count("taken") == 1


def test_a_sample_sent_twice_at_once_is_kept_once(house: House) -> None:
    def keep() -> None:
        with house.acting():
            samples.keep(house.unit.id, {"meal": "lunch", "dish": "汤", "grams": "130"}, key="k")

    assert together(keep, keep) == ["done", "done"]
    assert len(house.all(select(Sample.id))) == 1


def test_two_hand_the_rooms_out_at_once(house: House) -> None:
    people = [house.staff("hotel_housekeeping") for _ in range(2)]
    for code in ("0101", "0102", "0103", "0201"):
        house.stay(code, days=3)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)

    def share() -> None:
        with house.acting():
            cleaning_list.hand_out(house.unit.id, [one.id for one in people])

    assert together(share, share) == ["done", "done"]
    held = Counter(house.all(select(Cleaning.assignee_id)))
    assert sorted(held) == sorted(one.id for one in people) and sorted(held.values()) == [2, 2]


def test_another_house_s_things_are_not_found(house: House) -> None:
    stay = house.stay("0101")
    with house.acting():
        sample = samples.keep(house.unit.id, {"meal": "lunch", "dish": "汤", "grams": "130"}).id
        shift = shifts.register(house.unit.id, {"department": "front_desk", "shift": "early"}).id
    row_id = house.one_room("0101").id
    other = make_house()
    calls = (
        lambda: stays.get_stay(stay),
        lambda: samples.dispose(sample),
        lambda: shifts.add_entry(shift, {"text": "外人"}),
        lambda: shifts.take(shift),
        lambda: guest.make_code(row_id),
    )
    for call in calls:
        with other.acting(), pytest.raises(NotFound):
            call()
    house.place("秘密厅", "area", "1F")
    raw = {"title": "会", "place": "秘密厅", "starts_at": "2026-03-03T10:00", "ends_at": "2026-03-03T11:00"}
    with other.acting(), pytest.raises(InvalidData):
        meetings.register(other.unit.id, raw)


def test_a_guest_who_goes_back_and_writes_something_else_is_heard(client: FlaskClient, house: House) -> None:
    code = code_of(house)
    for text in ("没有热水", "没有热水", "电视也不亮"):
        assert send(client, code, "k1", text=text).status_code == 303
    assert send(client, code, "k1", text="没有热水", about="complaint").status_code == 303
    assert send(client, code_of(house, "0102"), "k1", text="没有热水").status_code == 303
    assert len(house.all(select(Order.id))) == 3
    assert len(house.all(select(Complaint.id))) == 1


def test_what_a_guest_writes_is_only_text(client: FlaskClient, house: House) -> None:
    code = code_of(house)
    answer = send(client, code, "<script>x</script>", text="<script>alert(1)</script>", about="nothing")
    assert answer.status_code == 422 and "<script>alert(1)" not in answer.text and "<script>x" not in answer.text


def test_the_day_s_end_is_moved_while_guests_are_in_house(house: House) -> None:
    _row, stay = slept_in(house)
    with house.acting(), transaction():
        walked = stays.walk_in(house.unit.id, {"room": "0102", "departs_on": house.today.isoformat()}).id
    house.office.set("hotel.day_ends", "12:00")  # it is ten: the day before again
    with house.acting():
        cleaning_list.make(house.unit.id)
    depart(house, walked)
    depart(house, stay)
    left = house.all(select(Stay).where(Stay.id == walked))[0]
    assert left.departs_on >= left.arrives_on
    assert [house.room_state(code) for code in ("0101", "0102")] == [values.VD, values.VD]
    finish_all(house)
    assert [house.room_state(code) for code in ("0101", "0102")] == [values.VC, values.VC]
    house.later(hours=3)
    with house.acting():
        cleaning_list.make(house.unit.id)
    chained(house, "0101")


def finish_all(house: House) -> None:
    left = select(Cleaning.id).where(Cleaning.kind == values.DEPARTURE, Cleaning.state == values.TODO)
    for row in house.all(left):
        finish(house, row)


@pytest.mark.clause("JD-3")
def test_a_sample_follows_the_hours_that_hold_now(house: House) -> None:
    house.clause("JD-3", hours=48)
    with house.acting():
        key = samples.keep(house.unit.id, {"meal": "lunch", "dish": "汤", "grams": "130"}).id
    house.later(hours=48, minutes=-1)
    with house.acting(), pytest.raises(Refused) as refused:
        samples.dispose(key)
    assert clauses(refused.value) == {"JD-3"}
    house.clause("JD-3", holds=False)
    with house.acting():
        assert samples.dispose(key).disposed_at is not None


@pytest.mark.clause("JD-4")
def test_two_decide_about_one_compensation_at_once(house: House) -> None:
    heads = [house.staff("dept_manager") for _ in range(2)]
    for one in heads:
        house.allowed(one)
    key = complain(house)
    house.do(key, "compensate", None, compensation="refund", amount="500", reason="一夜没睡")
    wanted = house.all(select(approvals.Approval.id).where(approvals.Approval.record_id == key))[0]

    def agree(user: Any) -> None:
        with house.acting(user):
            approvals.agree(wanted)

    def refuse(user: Any) -> None:
        with house.acting(user):
            approvals.reject(wanted, "太多")

    done = together(partial(agree, heads[0]), partial(refuse, heads[1]))
    assert done.count("done") == 1 and "" not in done
    given = sum(one.amount for one in house.all(select(Charge).where(Charge.record_id == key)))
    assert given == (500 if done[0] == "done" else 0)


@pytest.mark.clause("R06-7b")
def test_two_defects_at_once_block_a_room_twice(house: House) -> None:
    def report(text: str) -> None:
        with house.acting():
            orders.register(house.unit.id, {"place": "0101", "text": text, "severity": values.SAFETY})

    assert together(partial(report, "漏电"), partial(report, "门锁坏")) == ["done", "done"]
    assert (house.one_room("0101").blocks, house.room_state("0101")) == (2, values.OOO)

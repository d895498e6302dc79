"""Inspections and patrols of the hotel: what recurs, what a failed item opens, what is known already."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from core.inspections.models import Checklist, Finding, Inspection
from core.rules.schedules import create_due
from core.sdk import Record, inspections
from plugins.hotel import checklists, orders, rules_orders, values
from plugins.hotel.models import Order
from plugins.hotel.tests.scene import House, make_house
from tests.helpers import as_system

ON = ("R06-7a", "R06-7b", "R06-10", "R06-15", "R06-17", "R06-CK")


def made(house: House, clause: str) -> list[Inspection]:
    mine = select(Inspection).where(Inspection.unit_id == house.unit.id, Inspection.clause == clause)
    return house.all(mine.order_by(Inspection.id))


def run(house: House) -> int:
    """Let the job of recurring work run."""
    with house.acting():
        return create_due(house.unit.id)


def inspect(house: House, room: str, code: str = checklists.ROOM, **failed: str) -> int:
    """Inspect a room: everything passes but what is ``failed`` (item -> remark); return the record's id."""
    with house.acting() as work:
        checklist = inspections.checklist_of(house.unit.id, code)
        assert checklist is not None
        record = inspections.open_inspection(house.unit.id, checklist, place_id=house.places[room])
        inspections.begin(record.id)
        version = inspections.version_of(work.get_one(Inspection, record.id))
        assert version is not None
        answers: dict[str, Any] = {one["key"]: "pass" for one in version.items if one["kind"] == "check"}
        answers |= {one["key"]: one["least"] or one["most"] for one in version.items if one["kind"] == "number"}
        for key, note in failed.items():
            answers |= {key: "fail", f"{key}.note": note}
        inspections.finish(record.id, answers)
        return int(record.id)


def open_orders(house: House) -> list[Order]:
    return house.all(select(Order).where(Order.unit_id == house.unit.id).order_by(Order.id))


def test_a_unit_begins_with_its_checklists_and_keeps_its_own(app: object) -> None:
    house = make_house()
    codes = house.all(select(Checklist.code).where(Checklist.unit_id == house.unit.id))
    assert set(codes) == {
        "hotel.room",
        "hotel.patrol",
        "hotel.hygiene",
        "hotel.restaurant",
        "hotel.meeting",
        "hotel.clean",
        "hotel.conduct",
    }
    with as_system():
        checklists.set_up(house.unit.id)
    assert len(house.all(select(Checklist.code).where(Checklist.unit_id == house.unit.id))) == 7


def test_the_lists_speak_of_defects_by_the_same_keys(app: object) -> None:
    known = dict(values.DEFECTS)
    for one in checklists._LISTS:
        keys = [item["key"] for item in one.items]
        assert len(keys) == len(set(keys))
        for item in one.items:
            assert item["label"] and item["label_en"]
            assert not item.get("opens") or one.code != checklists.CONDUCT
    assert {item["key"] for item in checklists._ROOM_ITEMS} - set(known) == {"hot_water"}


@pytest.mark.clause("R06-7a")
def test_every_room_is_inspected_in_its_week_and_only_once(app: object) -> None:
    house = make_house(on=("R06-7a",))
    house.later(days=7)  # the week in which the hotel was switched on is under way
    run(house)
    assert {one.place_id for one in made(house, "R06-7a")} == {
        house.places[f"0{f}0{n}"] for f in (1, 2) for n in (1, 2, 3)
    }
    count = len(made(house, "R06-7a"))
    assert run(house) == 0
    house.later(days=7)
    run(house)
    assert len(made(house, "R06-7a")) == 2 * count


@pytest.mark.clause("R06-15", "R06-17", "R06-CK")
def test_restaurants_are_looked_at_daily_and_at_every_meal(app: object) -> None:
    house = make_house(on=("R06-15", "R06-17", "R06-CK"))
    house.later(days=30)  # the quarter in which the hotel was switched on is over
    run(house)
    assert [one.place_id for one in made(house, "R06-15")] == [house.places["西餐厅"]]
    assert len(made(house, "R06-17")) == 3
    assert len(made(house, "R06-CK")) == 1
    house.clause("R06-17", night=True, lunch=False)
    house.later(days=1)
    run(house)
    day = house.today
    meals = [one.subject.rpartition(":")[2] for one in made(house, "R06-17") if one.starts_on == day]
    assert sorted(meals) == ["breakfast", "dinner", "night"]


@pytest.mark.clause("R06-10")
def test_a_patrol_takes_a_share_and_everybody_s_turn_comes(app: object) -> None:
    house = make_house()
    house.clause("R06-10", share=30)
    seen: list[int] = []
    for _ in range(3):
        run(house)
        run(house)
        found = [one.place_id for one in made(house, "R06-10") if one.starts_on == house.today]
        assert len(found) == 2
        seen += [one for one in found if one is not None]
        house.later(days=1)
    assert len(seen) == len(set(seen)) == 6


@pytest.mark.clause("R06-10")
def test_days_belong_to_the_hotel_not_to_midnight(app: object) -> None:
    house = make_house()
    house.clause("R06-10", share=30)
    house.later(hours=15)  # one o'clock at night
    run(house)
    assert {one.starts_on for one in made(house, "R06-10")} == {date(2026, 3, 2)}


def test_a_checklist_out_of_use_makes_nothing(app: object) -> None:
    house = make_house(on=ON)
    with house.acting():
        for code in (checklists.ROOM, checklists.PATROL, checklists.RESTAURANT):
            found = inspections.checklist_of(house.unit.id, code)
            assert found is not None
            inspections.set_active(found, False)
    run(house)
    assert made(house, "R06-7a") == made(house, "R06-10") == made(house, "R06-17") == []
    assert len(made(house, "R06-15")) == 1


@pytest.mark.clause("R06-7a", "R06-7b")
def test_a_failed_item_opens_an_order_and_blocks_the_room(app: object) -> None:
    house = make_house(on=ON)
    key = inspect(house, "0101", water="龙头滴水", tv="没有信号")
    found = {one.item_key: one for one in open_orders(house)}
    assert set(found) == {"water", "tv"}
    assert (found["water"].severity, found["water"].blocks, found["tv"].blocks) == (values.FUNCTION, True, False)
    assert "龙头滴水" in found["water"].text
    assert house.room_state("0101") == "OOO"
    rows = house.all(select(Finding).where(Finding.inspection_id == key))
    assert {one.record_id for one in rows} == {one.id for one in found.values()}


def test_the_same_defect_found_again_is_the_same_order(app: object) -> None:
    house = make_house(on=ON)
    inspect(house, "0101", tv="没有信号")
    inspect(house, "0101", tv="还是没有")
    inspect(house, "0102", tv="没有信号")
    found = open_orders(house)
    assert [one.place_id for one in found] == [house.places["0101"], house.places["0102"]]
    assert house.facts(found[0].id) == ["registered", "seen_again"]
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    house.do(found[0].id, "take", engineer)
    house.do(found[0].id, "finish", engineer, result="换线")
    house.do(found[0].id, "check", head)
    inspect(house, "0101", tv="又没有了")
    assert len(open_orders(house)) == 3


def test_what_is_dirty_goes_to_housekeeping_not_to_engineering(app: object) -> None:
    house = make_house(on=(*ON, "R06-2"))
    inspect(house, "0101", checklists.PATROL, clean="有头发", supplies="缺牙刷")
    found = {one.item_key: one.kind for one in open_orders(house)}
    assert found == {"clean": "cleaning", "supplies": "supply"}
    owners = select(Record.owner_position).where(Record.type == orders.CODE, Record.unit_id == house.unit.id)
    assert set(house.all(owners)) == {"hotel_housekeeping"}


def test_the_sample_is_the_same_however_often_it_is_asked(app: object) -> None:
    house = make_house()
    house.clause("R06-10", share=50)
    with house.acting():
        samples = {tuple(rules_orders.patrol_sample(house.unit.id)) for _ in range(3)}
    assert len(samples) == 1 and len(samples.pop()) == 3

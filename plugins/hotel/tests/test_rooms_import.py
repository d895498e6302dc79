"""The list of rooms and the front office's list of the day, taken in from spreadsheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel.importing import Row
from core.sdk import Place, transaction
from plugins.hotel import rooms, values
from plugins.hotel.importers_rooms import RoomImporter
from plugins.hotel.importers_stays import StayImporter
from plugins.hotel.models import HotelPlace, Stay

from .scene import House, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-7b",))


def run(house: House, importer: Any, rows: Sequence[dict[str, str]]) -> list[Any]:
    """Check rows and, where none is wrong, write them; return the plans."""
    names = [one.name for one in importer.columns]
    full = [Row(number, {**dict.fromkeys(names, ""), **row}) for number, row in enumerate(rows, start=2)]
    memory: dict[str, Any] = {}
    with house.acting(), transaction():
        plans = importer.check_rows(house.unit.id, full, memory)
        if not any(one.errors for one in plans):
            wanted = [one for one in plans if one.action in ("create", "update")]
            importer.apply_rows(house.unit.id, wanted, {})
            importer.finish(house.unit.id, {})
    return list(plans)


def errors(plans: Sequence[Any]) -> list[set[str]]:
    return [{name for name, _text in one.errors} for one in plans]


def stay_row(reference: str, room: str = "0101", last: str = "2026-03-05", **more: str) -> dict[str, str]:
    return {"reference": reference, "room": room, "arrives_on": "2026-03-02", "departs_on": last, **more}


def states(house: House) -> dict[str, str]:
    found = house.all(select(Stay).order_by(Stay.id))
    return {one.reference: one.state for one in found}


def test_rooms_come_with_the_tree_they_lie_in(house: House) -> None:
    rows = [
        {"code": f"8{number:02d}", "building": "B座", "floor": "8层", "room_type": "大床房", "beds": "1"}
        for number in range(1, 4)
    ]
    assert Counter(one.action for one in run(house, RoomImporter(), rows)) == {"create": 3}
    place = house.all(select(Place).where(Place.code == "B座-8层"))[0]
    assert place.kind == "floor"
    made = house.all(select(HotelPlace).where(HotelPlace.floor_id == place.id))
    assert [(one.room_type, one.state) for one in made] == [("大床房", "VC")] * 3
    assert {one.action for one in run(house, RoomImporter(), rows)} == {"same"}
    changed = run(house, RoomImporter(), [{**rows[0], "room_type": "套房"}])
    assert [one.action for one in changed] == ["update"]


def test_wrong_rooms_are_errors_of_their_rows(house: House) -> None:
    plans = run(
        house,
        RoomImporter(),
        [
            {"code": "901", "beds": "-1"},
            {"code": "902", "category": "游泳池"},
            {"code": "903"},
            {"code": "903"},
            {"code": "904", "category": "餐饮"},
        ],
    )
    assert errors(plans) == [{"beds"}, {"category"}, set(), {"code"}, set()]


def test_the_list_of_the_day_makes_stays_and_moves_rooms(house: House) -> None:
    first = [stay_row("A1", state="入住"), stay_row("A2", "0102"), stay_row("A3", "")]
    assert [one.action for one in run(house, StayImporter(), first)] == ["create"] * 3
    assert states(house) == {"A1": "in_house", "A2": "expected", "A3": "expected"}
    assert house.room_state("0101") == values.OC
    assert [one.action for one in run(house, StayImporter(), first)] == ["same"] * 3
    assert len(house.events("0101")) == 1
    second = [
        stay_row("A1", state="离店"),
        stay_row("A2", "0101", state="预抵"),
        stay_row("A3", "", state="未到"),
    ]
    plans = run(house, StayImporter(), second)
    assert [one.action for one in plans] == ["update"] * 3, errors(plans)
    assert states(house) == {"A1": "departed", "A2": "expected", "A3": "no_show"}
    assert house.room_state("0101") == values.VD


def test_a_longer_stay_is_a_change(house: House) -> None:
    run(house, StayImporter(), [stay_row("A1", state="入住")])
    plans = run(house, StayImporter(), [stay_row("A1", last="2026-03-09", state="入住")])
    assert [one.action for one in plans] == ["update"]
    assert house.all(select(Stay.departs_on))[0].isoformat() == "2026-03-09"


def test_another_room_and_more_days_in_one_row(house: House) -> None:
    run(house, StayImporter(), [stay_row("A1", state="入住")])
    run(house, StayImporter(), [stay_row("A1", "0202", last="2026-03-09", state="入住")])
    assert (house.room_state("0101"), house.room_state("0202")) == (values.VD, values.OC)
    assert house.all(select(Stay.departs_on))[0].isoformat() == "2026-03-09"


@pytest.mark.clause("R06-7b", "JD-9")
def test_rooms_that_cannot_be_had_are_errors_of_their_rows(house: House) -> None:
    house.stay("0103", days=3)
    house.order("0101")
    with house.acting(), transaction():
        rooms.block(house.places["0101"])
        rooms.close(house.places["0102"], "装修")
    plans = run(
        house,
        StayImporter(),
        [
            stay_row("B1", "0101"),
            stay_row("B2", "0102", state="入住"),
            stay_row("B3", "0103"),
            stay_row("B4", "9999"),
            stay_row("B5", "西餐厅"),
            stay_row("B6", "0201"),
            stay_row("B7", "0201"),
            stay_row("B8", "", state="入住"),
        ],
    )
    assert errors(plans) == [{"room"}] * 5 + [set(), {"room"}, {"room"}]


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (stay_row("C1", last="2026-02-30"), "departs_on"),
        (stay_row("C1", last="2026-03-01"), "departs_on"),
        (stay_row("C1", last=""), "departs_on"),
        (stay_row("C1", guests="0"), "guests"),
        (stay_row("C1", guests="二"), "guests"),
        (stay_row("C1", state="飞走"), "state"),
        (stay_row("C1", state="离店"), "reference"),
        ({**stay_row("C1"), "arrives_on": "2026-02-27"}, "arrives_on"),
        ({**stay_row("C1", state="入住"), "arrives_on": "2026-03-03"}, "arrives_on"),
    ],
)
def test_bad_cells(house: House, row: dict[str, str], field: str) -> None:
    assert errors(run(house, StayImporter(), [row])) == [{field}]


def test_a_booking_number_stands_in_a_list_once(house: House) -> None:
    plans = run(house, StayImporter(), [stay_row("D1"), stay_row("D1", "0102")])
    assert errors(plans) == [set(), {"reference"}]


def test_who_left_does_not_come_back_by_a_list(house: House) -> None:
    run(house, StayImporter(), [stay_row("E1", state="入住")])
    run(house, StayImporter(), [stay_row("E1", state="离店")])
    assert [one.action for one in run(house, StayImporter(), [stay_row("E1", state="离店")])] == ["same"]
    assert errors(run(house, StayImporter(), [stay_row("E1", state="入住")])) == [{"state"}]

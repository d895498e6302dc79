"""The state of rooms: what it follows from, who may change it, what is kept."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from core.sdk import InvalidData, Refused, transaction
from plugins.hotel import rooms, values
from plugins.hotel.models import Order
from plugins.hotel.tests.scene import codes, make_house


@pytest.mark.parametrize(
    ("occupied", "clean", "blocks", "closed", "state"),
    [
        (False, True, 0, False, "VC"),
        (False, False, 0, False, "VD"),
        (True, True, 0, False, "OC"),
        (True, False, 0, False, "OD"),
        (False, True, 1, False, "OOO"),
        (True, True, 2, False, "OOO"),
        (False, True, 1, True, "OOS"),
        (False, False, 0, True, "OOS"),
    ],
)
def test_state_follows_from_four_facts(occupied: bool, clean: bool, blocks: int, closed: bool, state: str) -> None:
    assert rooms.state_of(occupied, clean, blocks, closed) == state


def test_a_change_is_kept_with_what_was_before(app: object) -> None:
    house = make_house()
    with house.acting(), transaction():
        rooms.set_clean(house.places["0101"], clean=False, note="宠物")
        rooms.set_clean(house.places["0101"])
    found = house.events("0101")
    assert [(one.what, one.before, one.after) for one in found] == [
        ("dirtied", "VC", "VD"),
        ("cleaned", "VD", "VC"),
    ]
    assert found[0].hotel_day == house.today and found[0].actor_id == house.desk.id
    assert house.one_room("0101").cleaned_at == house.now


def test_a_room_stays_blocked_until_the_last_order_lets_it_go(app: object) -> None:
    house = make_house()
    first, second = house.order("0101"), house.order("0101")
    place = house.places["0101"]
    with house.acting(), transaction():
        rooms.block(place)
    assert house.one_room("0101").blocks == 2
    for key, state in ((first, "OOO"), (second, "VC")):
        with house.acting() as work, transaction():
            work.execute(update(Order).where(Order.id == key).values(blocks=False))
            rooms.unblock(place)
        assert house.room_state("0101") == state
    assert [one.what for one in house.events("0101")] == ["blocked", "unblocked", "unblocked"]


def test_a_restaurant_is_not_blocked(app: object) -> None:
    house = make_house()
    with house.acting(), transaction():
        assert rooms.block(house.places["西餐厅"]) is None


def test_closing_wants_a_reason_and_an_empty_room(app: object) -> None:
    house = make_house()
    house.stay("0102")
    with house.acting(), pytest.raises(InvalidData) as bad, transaction():
        rooms.close(house.places["0101"], "")
    assert "reason" in bad.value.errors
    with house.acting(), pytest.raises(Refused) as refused, transaction():
        rooms.close(house.places["0102"], "装修")
    assert codes(refused.value) == {"taken"}
    with house.acting(), transaction():
        rooms.close(house.places["0101"], "装修")
    assert house.room_state("0101") == values.OOS
    with house.acting(), transaction():
        rooms.reopen(house.places["0101"])
    assert house.room_state("0101") == values.VD


def test_a_correction_does_not_contradict_a_stay(app: object) -> None:
    house = make_house()
    house.stay("0101")
    with house.acting(), pytest.raises(InvalidData) as bad, transaction():
        rooms.correct(house.places["0101"], occupied=False, clean=True, note="看过")
    assert set(bad.value.errors) == {"occupied"}
    with house.acting(), transaction():
        rooms.correct(house.places["0101"], occupied=True, clean=False, note="看过")
    assert house.room_state("0101") == values.OD

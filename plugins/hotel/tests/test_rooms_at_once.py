"""Rooms at the same moment, in threads, on both databases: sold while being blocked, taken twice."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from core.sdk import AppError, transaction
from plugins.hotel import cleaning, cleaning_list, rooms, stays, values
from plugins.hotel.models import Cleaning, Order, RoomEvent, Stay

from .scene import House, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-7b", "R06-8"))


def together(*calls: Callable[[], Any]) -> list[str]:
    """Run all calls at the same moment; return what became of each: ``done``, or the code of the error."""
    gate = threading.Barrier(len(calls))
    results = [""] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        gate.wait()
        try:
            call()
            results[number] = "done"
        except AppError as error:
            results[number] = error.code

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return results


def sell(house: House, code: str) -> None:
    with house.acting(), transaction():
        stays.walk_in(house.unit.id, {"room": code, "departs_on": "2026-03-05"})


def block(house: House, code: str, order: int) -> None:
    with house.acting() as work, transaction():
        work.execute(update(Order).where(Order.id == order).values(blocks=True))
        rooms.block(house.places[code])


def chained(house: House, code: str) -> None:
    """The history has no gap, and its last state is the room's."""
    found = house.events(code)
    for earlier, later in itertools.pairwise(found):
        assert earlier.after == later.before
    room = house.one_room(code)
    assert found[-1].after == room.state
    assert room.state == rooms.state_of(room.occupied, room.clean, room.blocks, room.closed)


@pytest.mark.clause("R06-7b")
def test_a_room_is_sold_while_it_is_being_blocked(house: House) -> None:
    for code in ("0101", "0102", "0103"):
        order = house.order(code, blocks=False)
        done = together(partial(sell, house, code), partial(block, house, code, order))
        assert done[1] == "done"
        room = house.one_room(code)
        assert (room.state, room.blocks) == (values.OOO, 1)
        # Sold before it was blocked: the guests are in it, and it shows. After: refused.
        assert room.occupied == (done[0] == "done")
        assert done[0] in ("done", "refused")
        chained(house, code)


def test_a_room_is_taken_once(house: House) -> None:
    done = together(*[partial(sell, house, "0201")] * 3)
    assert sorted(done)[0] == "done" and Counter(done)["done"] == 1
    assert len(house.all(select(Stay.id).where(Stay.state == values.IN_HOUSE))) == 1
    chained(house, "0201")


def test_two_change_into_each_others_room(house: House) -> None:
    first, second = house.stay("0101"), house.stay("0102")

    def move(key: int, code: str) -> None:
        with house.acting(), transaction():
            stays.move(stays.get_stay(key), {"room": code})

    done = together(partial(move, first, "0102"), partial(move, second, "0103"))
    assert done[1] == "done"
    assert done[0] in ("done", "refused", "invalid")
    in_house = house.all(select(Stay.place_id).where(Stay.state == values.IN_HOUSE))
    assert len(set(in_house)) == 2


def test_the_list_is_made_once(house: House) -> None:
    for code in ("0101", "0102", "0103"):
        house.stay(code, days=3)
    house.later(days=1)

    def make() -> None:
        with house.acting():
            cleaning_list.make(house.unit.id)

    assert together(make, make, make) == ["done"] * 3
    assert len(house.all(select(Cleaning.id))) == 3
    dirtied = select(RoomEvent.id).where(RoomEvent.what == values.DIRTIED)
    assert len(house.all(dirtied)) == 3


def test_two_begin_the_same_room(house: House) -> None:
    people = [house.staff("hotel_housekeeping") for _ in range(2)]
    for one in people:
        house.allowed(one)
    house.stay("0101", days=3)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)
    key = house.all(select(Cleaning.id))[0]

    def start(user: Any) -> None:
        with house.acting(user), transaction():
            cleaning.start(cleaning.get(key))

    assert Counter(together(*(partial(start, one) for one in people))) == {"done": 1, "refused": 1}

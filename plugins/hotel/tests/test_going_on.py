"""Switching the hotel off while guests are in house; what somebody who leaves has open."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel.hooks import hooks_for
from core.sdk import perform, transaction
from core.tasks.leaving import open_items
from plugins.hotel import cleaning, cleaning_list, shifts
from plugins.hotel.models import Cleaning

from .scene import House, make_house


@pytest.fixture
def house(app: Flask) -> House:
    return make_house(on=("R06-8",))


def reasons(house: House) -> list[str]:
    with house.acting():
        told = hooks_for(frozenset({"hotel"})).unit_disabling(unit=house.unit, actor_id=house.desk.id)
        return [str(one.reason) for _plugin, found in told for one in found]


def test_guests_and_open_orders_speak_against_switching_off(house: House) -> None:
    assert reasons(house) == []
    house.stay("0101")
    house.order("0102")
    assert len(reasons(house)) == 2


def test_a_leaver_is_told_rooms_and_shifts(house: House) -> None:
    maid = house.staff("hotel_housekeeping")
    house.stay("0101", days=3)
    house.later(days=1)
    with house.acting():
        cleaning_list.make(house.unit.id)
        with transaction():
            cleaning.assign(cleaning.get(house.all(select(Cleaning.id))[0]), maid.id)
    assert _open(house, maid.id) == 1
    with house.acting(maid):
        shift = shifts.register(house.unit.id, {"department": "housekeeping", "shift": "early"}).id
        shifts.add_entry(shift, {"text": "无事"})
    assert _open(house, maid.id) == 2
    house.later(days=1)
    assert _open(house, maid.id) == 1  # the list of a day that is over binds nobody
    with house.acting(maid):
        perform(shift, "hand", {})
    assert _open(house, maid.id) == 1
    with house.acting():
        shifts.take(shift)
    assert _open(house, maid.id) == 0


def _open(house: House, user_id: int) -> int:
    with house.acting():
        found: list[Any] = [item for plugin, item in open_items(house.unit.id, user_id) if plugin == "hotel"]
        return len(found)

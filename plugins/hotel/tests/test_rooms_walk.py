"""A walk over everything that may happen to a room: the state always follows, the history has no gap."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any

from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from core.sdk import AppError, transaction
from plugins.hotel import cleaning, cleaning_list, rooms, stays, values
from plugins.hotel.models import Cleaning, Order, Stay

from .scene import House, make_house

STEPS = (
    "arrive",
    "depart",
    "move",
    "block",
    "unblock",
    "close",
    "reopen",
    "clean",
    "dirty",
    "correct",
    "list",
    "work",
    "check",
    "skip",
    "day",
)
CODES = ("0101", "0102")


def take(house: House, step: str, code: str, orders: list[int]) -> None:
    """Take one step with a room; what is refused is refused."""
    place, unit_id = house.places[code], house.unit.id
    with house.acting() as work, transaction():
        stay = work.scalars(select(Stay).where(Stay.place_id == place, Stay.state == values.IN_HOUSE)).first()
        row = work.scalars(select(Cleaning).where(Cleaning.place_id == place).order_by(Cleaning.id.desc())).first()
        last = (house.today + timedelta(days=2)).isoformat()
        if step == "arrive":
            stays.walk_in(unit_id, {"room": code, "departs_on": last, "anyway": True})
        elif step == "depart" and stay:
            stays.depart(stays.get_stay(stay.id))
        elif step == "move" and stay:
            other = next(one for one in CODES if one != code)
            stays.move(stays.get_stay(stay.id), {"room": other, "anyway": True})
        elif step == "block":
            free = [one for one in orders if one not in _blocking(work)]
            work.execute(update(Order).where(Order.id.in_(free[:1])).values(blocks=True, place_id=place))
            rooms.block(place)
        elif step == "unblock":
            mine = [one for one in _blocking(work) if work.get_one(Order, one).place_id == place]
            work.execute(update(Order).where(Order.id.in_(mine[:1])).values(blocks=False))
            rooms.unblock(place)
        elif step == "close":
            rooms.close(place, "装修")
        elif step == "reopen":
            rooms.reopen(place)
        elif step in ("clean", "dirty"):
            rooms.set_clean(place, step == "clean")
        elif step == "correct":
            rooms.correct(place, occupied=True, clean=False, note="看过")
        elif step == "list":
            cleaning_list.make(unit_id)
        elif step == "work" and row:
            cleaning.finish(row)
        elif step == "check" and row:
            cleaning.check(row)
        elif step == "skip" and row:
            cleaning.skip(row, {"why": "refused"})


def _blocking(work: Any) -> list[int]:
    return list(work.scalars(select(Order.id).where(Order.blocks).order_by(Order.id)))


def holds(house: House, code: str) -> None:
    room, events = house.one_room(code), house.events(code)
    assert room.state == rooms.state_of(room.occupied, room.clean, room.blocks, room.closed)
    chain = ["VC", *(one.after for one in events)]
    assert [one.before for one in events] == chain[:-1]
    assert chain[-1] == room.state
    in_house = house.all(select(Stay.id).where(Stay.place_id == room.place_id, Stay.state == values.IN_HOUSE))
    assert len(in_house) <= 1
    assert room.occupied or not in_house
    blocks = house.all(select(Order.id).where(Order.place_id == room.place_id, Order.blocks))
    assert room.blocks == len(blocks)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(CODES)), min_size=5, max_size=25))
def test_whatever_happens_the_state_follows_and_the_history_is_whole(
    app: Flask, steps: list[tuple[str, str]]
) -> None:
    house = make_house(on=("R06-7b", "R06-8"), rooms=2)
    orders = [house.order("0101", blocks=False) for _ in range(3)]
    for step, code in steps:
        house.later(hours=24 if step == "day" else 1)
        with contextlib.suppress(AppError):  # refused: nothing may have changed
            take(house, step, code, orders)
        for one in CODES:
            holds(house, one)

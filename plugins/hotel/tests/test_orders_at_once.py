"""Two at once: the same form, a check and a new defect, two desks that compensate. Never doubled, never lost."""

from __future__ import annotations

from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import Charge, perform
from plugins.hotel import guest, orders, values
from plugins.hotel.models import Order
from plugins.hotel.tests.scene import House
from plugins.hotel.tests.test_complaints import complain
from plugins.hotel.tests.test_orders import make, register, repaired
from plugins.hotel.tests.test_rooms_at_once import together


@pytest.fixture
def house(app: Flask) -> House:
    return make()


def test_the_same_form_sent_twice_at_once_is_one_order(app: Flask, house: House) -> None:
    def send() -> None:
        with house.acting():
            raw = {"place": "0101", "text": "灯不亮", "severity": values.FUNCTION}
            orders.register(house.unit.id, raw, key="same")

    together(send, send)
    assert len(house.all(select(Order).where(Order.unit_id == house.unit.id))) == 1
    assert house.one_room("0101").blocks == 1


@pytest.mark.clause("R06-7b")
def test_a_room_freed_while_another_defect_blocks_it_stays_blocked(app: Flask, house: House) -> None:
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    first = register(house, severity=values.FUNCTION)
    repaired(house, first, engineer)

    def check() -> None:
        with house.acting(head):
            perform(first, "check", {})

    def another() -> None:
        with house.acting():
            orders.register(house.unit.id, {"place": "0101", "text": "漏电", "severity": values.SAFETY})

    assert together(check, another) == ["done", "done"]
    assert house.one_room("0101").blocks == 1
    assert house.room_state("0101") == values.OOO


@pytest.mark.clause("JD-4")
def test_two_desks_that_compensate_at_once_give_one_amount(app: Flask, house: House) -> None:
    key = complain(house)

    def pay() -> None:
        with house.acting():
            perform(key, "compensate", {"compensation": "refund", "amount": "80", "reason": "太吵"})

    results = together(pay, pay)
    assert results.count("done") == 1
    amounts = [one.amount for one in house.all(select(Charge).where(Charge.record_id == key))]
    assert sum(amounts) == Decimal("80.00")


def test_a_code_made_twice_at_once_is_one_code(app: Flask, house: House) -> None:
    row_id = house.one_room("0101").id

    found: list[str] = []

    def code() -> None:
        with house.acting():
            found.append(guest.make_code(row_id).guest_code)

    together(code, code)
    assert found == [house.one_room("0101").guest_code] * 2

"""Work orders: who takes them, what blocks a room, who checks, what follows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, Obligation, Record, Refused, User
from plugins.hotel import orders, values
from plugins.hotel.models import Order
from plugins.hotel.tests.scene import House, clauses, codes, make_house

HOLDING = ("R06-2", "R06-7b", "R06-11", "R06-18")


def make(**given: Any) -> House:
    """A house where the regulation's clauses about orders and complaints hold, too."""
    return make_house(on=HOLDING, **given)


def register(house: House, room: str = "0101", user: User | None = None, **given: Any) -> int:
    """Register an order as somebody (default: the desk); return its id."""
    raw = {"place": room, "text": "花洒漏水", **given}
    with house.acting(user):
        return int(orders.register(house.unit.id, raw).id)


def due(house: House, key: int, clause: str) -> list[Obligation]:
    """Return the obligations of a record under a clause, in order."""
    mine = select(Obligation).where(Obligation.record_id == key, Obligation.clause == clause)
    return house.all(mine.order_by(Obligation.id))


def repaired(house: House, key: int, engineer: User) -> None:
    house.do(key, "take", engineer)
    house.do(key, "finish", engineer, result="换了垫圈", cost="12.50")


@pytest.mark.clause("R06-7b")
@pytest.mark.parametrize(
    ("severity", "state"), [(values.SAFETY, "OOO"), (values.FUNCTION, "OOO"), (values.MINOR, "VC")]
)
def test_a_defect_of_safety_or_use_blocks_the_room(app: object, severity: str, state: str) -> None:
    house = make()
    key = register(house, severity=severity)
    assert house.room_state("0101") == state
    assert ("blocked" in house.facts(key)) is (state == "OOO")


@pytest.mark.clause("R06-7b")
def test_the_unit_may_say_that_nothing_blocks(app: object) -> None:
    house = make()
    house.clause("R06-7b", blocks=False)
    register(house, severity=values.SAFETY)
    assert house.room_state("0101") == "VC"


def test_a_restaurant_is_not_blocked_and_what_wants_no_repair_blocks_nothing(app: object) -> None:
    house = make()
    register(house, "西餐厅", severity=values.SAFETY)
    register(house, severity=values.SAFETY, kind="cleaning")
    assert house.room_state("0101") == "VC"


@pytest.mark.clause("R06-7b", "JD-10")
def test_a_room_is_free_once_somebody_else_has_checked(app: object) -> None:
    house = make()
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    key = register(house, severity=values.FUNCTION)
    repaired(house, key, engineer)
    assert house.room_state("0101") == "OOO"
    house.do(key, "check", head)
    assert house.room_state("0101") == "VC"
    assert house.state(key) == values.CLOSED
    assert house.facts(key)[-3:] == ["checked", "unblocked", "closed"]
    assert [one.what for one in house.events("0101")] == ["blocked", "unblocked"]


@pytest.mark.clause("JD-10")
def test_who_repaired_neither_checks_nor_frees_the_room(app: object) -> None:
    house = make()
    key = register(house, severity=values.FUNCTION)
    repaired(house, key, house.desk)
    for step, given in (("check", {}), ("unblock", {"reason": "没事"})):
        with pytest.raises(Refused) as refused:
            house.do(key, step, None, **given)
        assert clauses(refused.value) == {"JD-10"}
    house.clause("JD-10", holds=False)
    house.do(key, "check")
    assert house.room_state("0101") == "VC"


def test_a_room_with_two_defects_waits_for_both(app: object) -> None:
    house = make()
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    keys = [register(house, severity=values.FUNCTION) for _ in range(2)]
    assert house.one_room("0101").blocks == 2
    for key, state in zip(keys, ("OOO", "VC"), strict=True):
        repaired(house, key, engineer)
        house.do(key, "check", head)
        assert house.room_state("0101") == state


def test_what_is_not_in_order_goes_back_and_the_room_stays_blocked(app: object) -> None:
    house = make()
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    key = register(house, severity=values.FUNCTION)
    repaired(house, key, engineer)
    house.do(key, "not_accept", head, reason="还在漏")
    assert (house.state(key), house.room_state("0101")) == (values.ASSIGNED, "OOO")
    house.do(key, "finish", engineer, result="换了软管")
    house.do(key, "check", head)
    row = house.all(select(Order).where(Order.id == key))[0]
    assert (row.redone, row.blocks, row.checked_by) == (1, False, head.id)


def test_cancelling_and_letting_go_free_the_room(app: object) -> None:
    house = make()
    head = house.staff("dept_manager")
    first = register(house, severity=values.FUNCTION)
    house.do(first, "cancel", head, reason="看错房间")
    second = register(house, severity=values.FUNCTION)
    house.do(second, "unblock", head, reason="备用花洒可用")
    assert house.room_state("0101") == "VC"
    house.do(second, "block", head, reason="还是不行")
    assert house.room_state("0101") == "OOO"
    with pytest.raises(Refused) as refused:
        house.do(second, "block", head, reason="还是不行")
    assert codes(refused.value) == {"not_concerned"}


def test_repairs_are_for_engineering_or_for_whom_they_were_given_to(app: object) -> None:
    house = make()
    maid, desk = house.staff("hotel_housekeeping"), house.staff("hotel_front_desk")
    repair, cleaning = register(house), register(house, kind="cleaning")
    with pytest.raises(Refused) as refused:
        house.do(repair, "take", maid)
    assert codes(refused.value) == {"not_yours"}
    house.do(cleaning, "take", maid)
    house.do(repair, "assign", desk, assignee=str(maid.id))
    house.do(repair, "finish", maid, result="拧紧了")
    with pytest.raises((Refused, NotAllowed)):
        house.do(repair, "check", maid)


def test_an_order_is_given_only_to_people_of_the_unit(app: object) -> None:
    house, other = make(), make_house()
    key = register(house)
    with pytest.raises(Refused) as refused:
        house.do(key, "assign", None, assignee=str(other.staff("hotel_engineering").id))
    assert codes(refused.value) == {"not_staff"}


@pytest.mark.clause("R06-2")
def test_orders_go_to_the_team_of_their_kind_and_category(app: object) -> None:
    house = make()
    owner = {}
    for name, room, kind in (("a", "0101", "repair"), ("b", "0101", "cleaning"), ("c", "西餐厅", "supply")):
        key = register(house, room, kind=kind)
        owner[name] = house.all(select(Record.owner_position).where(Record.id == key))[0]
    assert owner == {"a": "hotel_engineering", "b": "hotel_housekeeping", "c": "hotel_catering"}


@pytest.mark.clause("JD-1", "R06-7b")
def test_the_clocks_run_day_and_night(app: object) -> None:
    house = make()
    house.later(hours=13)  # eleven at night
    key = register(house)
    assert due(house, key, "JD-1")[0].due_at == house.now + timedelta(minutes=30)
    assert due(house, key, "R06-7b")[0].due_at == house.now + timedelta(hours=24)
    house.later(minutes=20)
    house.do(key, "respond", house.staff("hotel_engineering"))
    assert due(house, key, "JD-1")[0].state == "met"
    with pytest.raises(Refused):
        house.do(key, "respond")


@pytest.mark.clause("R06-7b")
def test_a_repair_that_was_not_accepted_has_its_time_anew(app: object) -> None:
    house = make()
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    key = register(house)
    repaired(house, key, engineer)
    house.later(hours=30)
    house.do(key, "not_accept", head, reason="还在漏")
    first, second = due(house, key, "R06-7b")
    assert first.state == "met"
    assert (second.state, second.due_at) == ("open", house.now + timedelta(hours=24))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"place": "9999"}, "place"),
        ({"place": ""}, "place"),
        ({"text": ""}, "text"),
        ({"severity": "huge"}, "severity"),
        ({"kind": "party"}, "kind"),
        ({"source": "guest"}, "source"),
    ],
)
def test_a_bad_order_is_answered_beside_the_field(app: object, given: dict[str, str], field: str) -> None:
    house = make()
    with pytest.raises(InvalidData) as bad:
        register(house, **given)
    assert set(bad.value.errors) == {field}


def test_the_same_form_twice_is_one_order(app: object) -> None:
    house = make()
    raw = {"place": "0101", "text": "灯不亮", "severity": values.FUNCTION}
    with house.acting():
        keys = {orders.register(house.unit.id, raw, key="k1").id for _ in range(2)}
    assert len(keys) == 1
    assert house.one_room("0101").blocks == 1


def test_another_unit_sees_nothing(app: object) -> None:
    house, other = make(), make_house()
    other.place("0909", "room", "1F")
    with pytest.raises(InvalidData):
        register(house, "0909")

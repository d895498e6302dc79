"""Guests' complaints: taken down, answered, compensated by who may, solved the same hotel day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.rules.approval_models import Approval
from core.sdk import Charge, InvalidData, Record, Refused, User, approvals
from plugins.hotel import complaints, orders, values
from plugins.hotel.models import Complaint
from plugins.hotel.tests.scene import House, clauses, codes
from plugins.hotel.tests.test_orders import due, make


def complain(house: House, room: str = "0101", **given: Any) -> int:
    """Take a complaint down at the desk; return its id."""
    raw = {"place": room, "channel": "desk", "text": "隔壁太吵", "contact": "分机 8101", **given}
    with house.acting():
        return int(complaints.register(house.unit.id, raw).id)


def pay(house: House, key: int, amount: str, kind: str = "refund", user: User | None = None) -> None:
    house.do(key, "compensate", user, compensation=kind, amount=amount, reason="一夜没睡")


def detail(house: House, key: int) -> Complaint:
    found: Complaint = house.all(select(Complaint).where(Complaint.id == key))[0]
    return found


def money(house: House, key: int) -> list[tuple[str, str, Decimal, str]]:
    mine = select(Charge).where(Charge.record_id == key).order_by(Charge.id)
    return [(one.clause, one.payer, one.amount, one.state) for one in house.all(mine)]


def asked(house: House, key: int) -> Approval:
    found: Approval = house.all(select(Approval).where(Approval.record_id == key).order_by(Approval.id.desc()))[0]
    return found


def solve(house: House, key: int) -> None:
    house.do(key, "solve", None, solution="换到安静的房间", cause="noise")


@pytest.mark.clause("R06-11", "R06-18", "JD-2b")
@pytest.mark.parametrize(
    ("room", "category", "clause"),
    [("0101", "", "R06-11"), ("西餐厅", "", "R06-18"), ("", "meeting", "JD-2b"), ("", "other", "JD-2b")],
)
@pytest.mark.parametrize(
    ("hour", "ends"),
    # Moments in China: ten in the morning, and three at night, which is still the hotel day before.
    [(2, datetime(2026, 3, 2, 22, tzinfo=UTC)), (19, datetime(2026, 3, 2, 22, tzinfo=UTC))],
)
def test_a_complaint_is_due_by_the_end_of_its_hotel_day(
    app: object, room: str, category: str, clause: str, hour: int, ends: datetime
) -> None:
    house = make()
    house.now = datetime(2026, 3, 2, hour, tzinfo=UTC)
    key = complain(house, room, category=category)
    assert [one.due_at for one in due(house, key, clause)] == [ends]
    others = {"R06-11", "R06-18", "JD-2b"} - {clause}
    assert not any(due(house, key, one) for one in others)


@pytest.mark.clause("JD-2")
def test_the_guest_is_answered_within_half_an_hour(app: object) -> None:
    house = make()
    key = complain(house)
    house.later(minutes=31)
    house.do(key, "answer", None, note="马上换房")
    answered = due(house, key, "JD-2")[0]
    assert (answered.due_at, answered.state) == (house.now - timedelta(minutes=1), "late")


@pytest.mark.clause("R06-11")
def test_open_again_it_is_due_anew(app: object) -> None:
    house = make()
    key = complain(house)
    solve(house, key)
    house.do(key, "close", None, satisfied="yes")
    house.later(days=1)
    house.do(key, "reopen", None, reason="又吵了")
    first, second = due(house, key, "R06-11")
    assert (first.state, second.state) == ("met", "open")
    assert second.due_at == first.due_at + timedelta(days=1)


@pytest.mark.clause("JD-4")
def test_the_desk_decides_up_to_its_limit(app: object) -> None:
    house = make()
    key = complain(house)
    pay(house, key, "200")
    assert money(house, key) == [("JD-4", "company", Decimal("200.00"), "proposed")]
    assert house.facts(key) == ["registered", "asked", "compensated"]


@pytest.mark.clause("JD-4")
@pytest.mark.parametrize(
    ("amount", "position"), [("200.01", "dept_manager"), ("1000", "dept_manager"), ("1000.01", "gm")]
)
def test_above_it_somebody_agrees_first(app: object, amount: str, position: str) -> None:
    house = make()
    head = house.staff(position)
    key = complain(house)
    pay(house, key, amount)
    assert money(house, key) == []
    assert asked(house, key).position == position
    with pytest.raises(Refused) as refused:
        pay(house, key, "1")
    assert codes(refused.value) == {"undecided"}
    with house.acting(head):
        approvals.agree(asked(house, key).id)
    assert money(house, key) == [("JD-4", "company", Decimal(amount).quantize(Decimal("0.01")), "proposed")]
    assert detail(house, key).compensation == "refund"


@pytest.mark.clause("JD-4")
def test_what_was_not_agreed_to_costs_nothing(app: object) -> None:
    house = make()
    head = house.staff("dept_manager")
    key = complain(house)
    pay(house, key, "500")
    solve(house, key)
    with pytest.raises(Refused) as refused:
        house.do(key, "close")
    assert codes(refused.value) == {"undecided"}
    with house.acting(head):
        approvals.reject(asked(house, key).id, "太多")
    house.do(key, "close")
    assert money(house, key) == []
    assert detail(house, key).amount is None


@pytest.mark.clause("JD-4")
def test_nothing_is_paid_twice(app: object) -> None:
    house = make()
    key = complain(house)
    pay(house, key, "100")
    with pytest.raises(Refused) as refused:
        pay(house, key, "100")
    assert clauses(refused.value) == {"JD-4"}
    pay(house, key, "150")
    assert money(house, key) == [("JD-4", "company", Decimal("150.00"), "proposed")]
    solve(house, key)
    house.do(key, "close")
    assert money(house, key)[0][3] == "posted"
    house.do(key, "reopen", None, reason="还不满意")
    pay(house, key, "180")
    amounts = [one[2] for one in money(house, key)]
    assert sum(amounts) == Decimal("180.00")
    house.do(key, "compensate", None, compensation="none", reason="客人不要了")
    assert sum(one[2] for one in money(house, key)) == 0


@pytest.mark.clause("JD-4")
@pytest.mark.parametrize(
    ("kind", "amount"), [("refund", ""), ("refund", "0"), ("refund", "-1"), ("refund", "1.005"), ("none", "5")]
)
def test_a_bad_amount_is_answered_beside_it(app: object, kind: str, amount: str) -> None:
    house = make()
    key = complain(house)
    with pytest.raises(InvalidData) as bad:
        pay(house, key, amount, kind)
    assert set(bad.value.errors) == {"amount"}
    assert money(house, key) == []


@pytest.mark.clause("JD-4")
def test_without_the_clause_no_money_is_given(app: object) -> None:
    house = make(off=("JD-4",))
    key = complain(house)
    with pytest.raises(InvalidData):
        pay(house, key, "50")
    house.do(key, "compensate", None, compensation="gift", reason="果盘")
    assert detail(house, key).compensation == "gift"


@pytest.mark.clause("R06-2")
def test_a_complaint_goes_to_the_team_of_its_category(app: object) -> None:
    house = make()
    found = []
    for room, category in (("0101", ""), ("西餐厅", ""), ("0101", "meeting")):
        key = complain(house, room, category=category)
        found += house.all(select(Record.owner_position).where(Record.id == key))
    assert found == ["hotel_housekeeping", "hotel_catering", "hotel_front_desk"]


def test_an_order_for_a_guest_stays_until_the_guest_was_told(app: object) -> None:
    house = make()
    engineer, head = house.staff("hotel_engineering"), house.staff("dept_manager")
    key = complain(house)
    found = []
    for _ in range(2):
        with house.acting():
            raw = {"place": "0101", "text": "空调响", "severity": values.FUNCTION}
            found.append(orders.register(house.unit.id, raw, complaint_id=key).id)
        house.do(found[-1], "take", engineer)
        house.do(found[-1], "finish", engineer, result="换了风机")
        house.do(found[-1], "check", head)
    assert house.room_state("0101") == "VC"
    assert house.state(found[0]) == values.CHECKED_STATE
    house.do(found[0], "tell", None)
    assert house.state(found[0]) == values.CLOSED
    solve(house, key)
    house.do(key, "close")
    assert house.state(found[1]) == values.CLOSED


def test_how_to_reach_the_guest_stands_in_no_fact(app: object) -> None:
    house = make()
    key = complain(house, contact="13800001111")
    record = house.all(select(Record).where(Record.id == key))[0]
    assert "138" not in record.title
    assert detail(house, key).contact == "13800001111"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"place": "", "category": ""}, "category"),
        ({"place": "9999"}, "place"),
        ({"channel": "guest"}, "channel"),
        ({"text": ""}, "text"),
        ({"contact": "1" * 81}, "contact"),
    ],
)
def test_a_bad_complaint_is_answered_beside_the_field(app: object, given: dict[str, str], field: str) -> None:
    house = make()
    with pytest.raises(InvalidData) as bad:
        complain(house, **given)
    assert set(bad.value.errors) == {field}

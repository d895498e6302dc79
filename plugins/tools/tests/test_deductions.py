"""Deductions from pay: the limit of each month, the contract's clause, several months, never more than owed."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel.audit import Audit
from core.records.models import Idempotency, RefusalLog
from core.sdk import Fact, InvalidData, NotAllowed, Refused, perform
from plugins.tools import deductions, settling, values
from plugins.tools.deductions import limit_of
from plugins.tools.models import Deduction

from .scene import Place, clauses, make_place
from .test_incidents import lost_and_owed, owed

CONTRACT = "劳动合同第十二条"


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def deduct(place: Place, key: int, amount: str, month: str = "2026-03", *, token: str = "", **more: Any) -> int:
    raw = {"month": month, "amount": amount, "contract_clause": CONTRACT, "wage": "5000", "minimum_wage": "2490"}
    with place.acting(place.finance):
        return deductions.enter(key, {**raw, **more}, key=token).id


@pytest.mark.clause("GJ-2")
@pytest.mark.parametrize(
    ("wage", "minimum", "most"),
    [
        ("5000", "2490", "1000.00"),
        ("3000", "2490", "510.00"),
        ("3112.50", "2490", "622.50"),
        ("2490", "2490", "0.00"),
        ("2000", "2490", "0.00"),
        ("3333.33", "0", "666.66"),
    ],
)
def test_the_limit_is_a_fifth_and_leaves_the_minimum(wage: str, minimum: str, most: str) -> None:
    assert limit_of(Decimal(wage), Decimal(minimum), Decimal(20)) == Decimal(most)


money = st.decimals(Decimal(0), Decimal(99999), places=2)


@given(wage=money, minimum=money, rate=st.decimals(Decimal(0), Decimal(100), places=1))
def test_the_limit_never_breaks_the_law(wage: Decimal, minimum: Decimal, rate: Decimal) -> None:
    most = limit_of(wage, minimum, rate)
    assert 0 <= most <= wage / 5
    assert most == 0 or wage - most >= minimum


@pytest.mark.clause("GJ-2")
def test_above_the_limit_is_refused_and_at_it_accepted(place: Place) -> None:
    _, key = lost_and_owed(place, "1500.00")
    with pytest.raises(Refused) as refused:
        deduct(place, key, "1000.01")
    assert clauses(refused.value) == {"GJ-2"}
    deduct(place, key, "1000.00")
    assert owed(place, key) == Decimal("500.00")
    with pytest.raises(Refused):
        deduct(place, key, "0.01")
    place.later(days=31)
    deduct(place, key, "500.00", "2026-04")
    assert place.state(key) == values.CLOSED


@pytest.mark.clause("GJ-2")
def test_without_a_clause_of_the_contract_nothing_is_deducted(place: Place) -> None:
    _, key = lost_and_owed(place)
    with pytest.raises(Refused) as refused:
        deduct(place, key, "10", contract_clause="")
    assert clauses(refused.value) == {"GJ-2"}


@pytest.mark.clause("GJ-2")
def test_a_lower_rate_of_the_unit_counts_and_off_there_is_no_limit(place: Place) -> None:
    place.clause("GJ-2", rate="10")
    _, key = lost_and_owed(place, "1500.00")
    with pytest.raises(Refused):
        deduct(place, key, "500.01")
    deduct(place, key, "500.00")
    place.without("GJ-2")
    deduct(place, key, "800.00")
    assert owed(place, key) == Decimal("200.00")


def test_two_incidents_share_the_limit_of_a_month(place: Place) -> None:
    _, first = lost_and_owed(place, "900.00")
    _, second = lost_and_owed(place, "900.00")
    deduct(place, first, "900.00")
    with pytest.raises(Refused):
        deduct(place, second, "100.01")
    deduct(place, second, "100.00")


def test_sums_are_never_above_what_is_owed(place: Place) -> None:
    _, key = lost_and_owed(place)
    deduct(place, key, "100")
    with pytest.raises(InvalidData) as bad:
        deduct(place, key, "68.01")
    assert "amount" in bad.value.errors
    deduct(place, key, "68.00")
    assert place.state(key) == values.CLOSED
    with pytest.raises(Refused):
        deduct(place, key, "1")


@pytest.mark.parametrize(
    ("field", "given_value"),
    [
        ("month", "2026-13"),
        ("month", "2026-04"),
        ("month", "三月"),
        ("amount", "0"),
        ("amount", "-5"),
        ("amount", "1.005"),
        ("wage", ""),
        ("minimum_wage", ""),
    ],
)
def test_a_deduction_that_does_not_fit_says_where(place: Place, field: str, given_value: str) -> None:
    _, key = lost_and_owed(place)
    with pytest.raises(InvalidData) as bad:
        deduct(place, key, **{"amount": "10", field: given_value})
    assert field in bad.value.errors


def test_a_retry_deducts_once(place: Place) -> None:
    _, key = lost_and_owed(place)
    first = deduct(place, key, "50", token="k1")
    assert deduct(place, key, "50", token="k1") == first
    assert owed(place, key) == Decimal("118.00")


def test_only_who_handles_money_deducts_and_only_what_was_agreed_to(place: Place) -> None:
    _, key = lost_and_owed(place)
    raw = {"month": "2026-03", "amount": "1", "contract_clause": "x", "wage": "5000", "minimum_wage": "1"}
    with place.acting(place.ann), pytest.raises(NotAllowed):
        deductions.enter(key, raw)
    with place.acting(place.manager):
        perform(key, "rejudge", {"reason": "再看"})
    with pytest.raises(Refused):
        deduct(place, key, "10")


def test_money_taken_off_pay_goes_back_when_the_tool_is_found(place: Place) -> None:
    tool, key = lost_and_owed(place)
    deduct(place, key, "100.00")
    place.bring_back(place.ann, tool)
    assert (place.state(key), place.state(tool)) == (values.REFUND, values.IN_STORE)
    with place.acting(place.finance):
        assert settling.to_refund(key) == Decimal("100.00")
        perform(key, "refund", {"receipt": "TK-2"})
    assert place.state(key) == values.CLOSED


def undo(place: Place, deduction: int, reason: str = "录错月份", **more: Any) -> None:
    with place.acting(place.finance):
        deductions.take_back(deduction, {"reason": reason}, **more)


@pytest.mark.clause("GJ-2")
def test_a_deduction_entered_wrongly_is_taken_back_and_counts_no_more(place: Place) -> None:
    _, key = lost_and_owed(place, "1500.00")
    row = deduct(place, key, "1000.00")
    undo(place, row)
    assert (owed(place, key), place.state(key)) == (Decimal("1500.00"), values.CHARGED)
    assert place.facts(key)[-1] == "deduction_undone"
    deduct(place, key, "1000.00")  # the month's limit is free again
    (kept,) = place.all(select(Deduction).where(Deduction.id == row))
    assert (kept.undone_by, kept.undone_reason, kept.undone_at) == (place.finance.id, "录错月份", place.now)
    assert any("录错月份" in str(one.__dict__) for one in place.all(select(Audit)))
    with pytest.raises(Refused) as again:
        undo(place, row)
    assert [one.code for one in again.value.refusals] == ["undone"]


def test_taking_the_last_deduction_back_opens_what_it_settled(place: Place) -> None:
    tool, key = lost_and_owed(place)
    deduct(place, key, "100.00")
    last = deduct(place, key, "68.00")
    assert (place.state(key), place.state(tool)) == (values.CLOSED, values.SCRAPPED)
    undo(place, last, key="u1")
    undo(place, last, key="u1")  # a retry
    assert (place.state(key), owed(place, key)) == (values.CHARGED, Decimal("68.00"))
    with place.acting(place.finance):
        perform(key, "settle", {"receipt": "SJ-9"})
    with pytest.raises(Refused) as settled:
        undo(place, place.all(select(Deduction.id).order_by(Deduction.id))[0])
    assert [one.code for one in settled.value.refusals] == ["settled"]


def test_only_who_handles_money_takes_a_deduction_back_and_says_why(place: Place) -> None:
    _, key = lost_and_owed(place)
    row = deduct(place, key, "10")
    for who in (place.ann, place.keeper):
        with place.acting(who), pytest.raises(NotAllowed):
            deductions.take_back(row, {"reason": "x"})
    with pytest.raises(InvalidData) as bad:
        undo(place, row, " ")
    assert "reason" in bad.value.errors


def test_no_wage_is_kept_anywhere(place: Place) -> None:
    _, key = lost_and_owed(place, "900.00")
    strange = {"wage": "4321.09", "minimum_wage": "2123.45"}
    deduct(place, key, "10.00", token="k2", **strange)
    with pytest.raises(Refused):
        deduct(place, key, "880.00", **strange)
    kept = [
        *(str(one.data) for one in place.all(select(Fact))),
        *(str(one.__dict__) for one in place.all(select(Deduction))),
        *(one.text for one in place.all(select(RefusalLog))),
        *(str(one.answer) for one in place.all(select(Idempotency))),
        *(str(one.__dict__) for one in place.all(select(Audit))),
    ]
    assert kept
    assert not [one for one in kept if "4321" in one or "2123.45" in one or "864.2" in one]


def test_two_at_once_do_not_take_more_than_is_owed(app: Flask) -> None:
    place = make_place()
    _, key = lost_and_owed(place)
    found: list[str] = []

    def take() -> None:
        with app.app_context():
            try:
                deduct(place, key, "100.00")
                found.append("done")
            except InvalidData:
                found.append("too much")

    workers = [threading.Thread(target=take) for _ in range(2)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert sorted(found) == ["done", "too much"]
    with place.acting(place.finance):
        assert settling.deducted(key) == Decimal("100.00")

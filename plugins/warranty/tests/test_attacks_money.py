"""Money attacked: what a hostile, careless or hurried person tries with quotes, receipts and invoices."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.kernel.errors import InvalidData, Refused
from core.sdk import charges, clock
from plugins.warranty import receipts, values
from plugins.warranty.tests.scene_money import NOVEMBER, Place, make_place
from plugins.warranty.tests.scene_quotes import (
    MONDAY,
    SHORT,
    TOTAL,
    VISIT,
    WAIVER,
    Desk,
    make_desk,
)
from plugins.warranty.tests.test_invoices import ask, issue
from plugins.warranty.tests.test_receipts import FINISH

ZERO = Decimal("0.00")
LONGER = {**VISIT, "days": "5"}


@pytest.fixture
def desk(app: Any) -> Any:
    with clock.frozen(MONDAY):
        yield make_desk(app)


@pytest.fixture
def place(app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield make_place()


def refused(call: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        call()
    return [one.code for one in caught.value.refusals]


def closed(desk: Desk) -> int:
    key = desk.solved()
    for step in FINISH[FINISH.index("solve") + 1 :]:
        desk.do(key, step)
    return key


# --- nobody owes what they did not agree to --------------------------------------------------------


def test_a_quote_after_posting_does_not_raise_what_is_owed(desk: Desk) -> None:
    key = closed(desk)
    desk.do(key, "reopen")
    assert refused(lambda: desk.do(key, "warranty:quote", LONGER)) == ["posted"]
    assert desk.total(key).payable == TOTAL
    assert desk.quote(key).state == values.CONSENTED


def test_what_was_dropped_after_posting_is_not_posted_again_by_a_quote(desk: Desk) -> None:
    key = closed(desk)
    desk.do(key, "reopen")
    desk.decide(key, "in_warranty")
    assert desk.total(key).payable == ZERO
    desk.decide(key, "out_of_warranty")
    assert refused(lambda: desk.do(key, "warranty:quote", VISIT)) == ["posted"]
    assert desk.total(key).payable == ZERO


@pytest.mark.parametrize("told", [False, True])
def test_consent_is_not_noted_on_a_line_past_its_quote(desk: Desk, told: bool) -> None:
    key = desk.told() if told else desk.quoted()
    row = next(one for one in desk.charges(key) if one.amount)
    with desk.acting(), pytest.raises(Refused) as caught:
        charges.move(row.id, "consent")
    assert [one.clause for one in caught.value.refusals] == [row.clause]
    assert {one.state for one in desk.charges(key)} == {"quoted"}


def test_a_further_quote_that_is_refused_leaves_nothing_agreed_to(desk: Desk) -> None:
    key = desk.consented()
    desk.do(key, "warranty:quote", SHORT)
    assert {one.state for one in desk.charges(key) if one.state != "void"} == {"quoted"}
    desk.do(key, "warranty:send", {"by": "phone"})
    desk.do(key, "warranty:refuse", {"reason": "太贵"})
    with desk.acting(), pytest.raises(InvalidData):
        receipts.register(desk.unit.id, {"case_id": key, "amount": "1", "means": "cash"})


@pytest.mark.clause(WAIVER)
@pytest.mark.parametrize("how", ["void", "waive"])
def test_nobody_serves_for_nothing_past_the_position_of_the_clause(desk: Desk, how: str) -> None:
    key = desk.refused()
    rows = [one for one in desk.charges(key) if one.amount]
    with desk.acting():
        done: list[str] = []
        for row in rows:
            try:
                if how == "void":
                    charges.move(row.id, "void", "算了")
                else:
                    charges.ask_waiver(row.id, "算了")
                done.append("done")
            except Refused as bad:
                done += [one.code for one in bad.refusals]
    for one in desk.approvals(key):
        with pytest.raises(Refused) if one.id == desk.approvals(key)[-1].id else clock.frozen(MONDAY):
            desk.decide_on(desk.office.staff(one.position), one.id)
    assert desk.total(key).payable > 0 and desk.quote(key).total > 0
    assert "consent" in refused(lambda: desk.do(key, "assign"))


def test_a_decision_as_free_takes_back_what_was_posted_before_a_cancelling(desk: Desk) -> None:
    key = closed(desk)
    desk.do(key, "reopen")
    desk.do(key, "cancel", {"reason": "误报"})
    desk.do(key, "reopen")
    desk.decide(key, "in_warranty")
    assert desk.total(key).payable == ZERO


@pytest.mark.parametrize("plan", [{"means": "workshop"}, {"means": "part_only"}])
def test_an_emptier_plan_is_no_answer_to_a_refusal(desk: Desk, plan: dict[str, Any]) -> None:
    key = desk.refused()
    desk.do(key, "warranty:cost", plan)
    for step in ("assign", "depart"):
        assert "consent" in refused(lambda step=step: desk.do(key, step))


def test_nobody_sets_out_for_a_plan_without_days(desk: Desk) -> None:
    key = desk.case()
    for step in ("warranty:quote", "warranty:cost"):
        with pytest.raises(InvalidData) as bad:
            desk.do(key, step, {"means": "on_site", "days": "0"})
        assert set(bad.value.errors) == {"days"}


# --- invoices --------------------------------------------------------------------------------------


@pytest.mark.clause("R15-11b")
def test_a_case_whose_invoice_was_taken_back_is_not_archived_as_invoiced(place: Place) -> None:
    place.office.clause("R15-11b")
    key = place.case("60")
    place.office.do(key, *FINISH)
    paper = ask(place, key)
    issue(place, paper)
    place.do(paper, "take_back", {"red_number": "26332000000087654321", "reason": "抬头错误"})
    assert refused(lambda: place.do(key, "close")) == ["no_invoice"]
    again = ask(place, key)
    place.do(again, "cancel", {"reason": "又错"})
    assert refused(lambda: place.do(key, "close")) == ["no_invoice"]


def test_a_red_invoice_is_not_older_than_its_invoice(place: Place) -> None:
    key = place.case("60")
    paper = ask(place, key)
    issue(place, paper)
    with pytest.raises(InvalidData) as bad:
        place.do(
            paper,
            "take_back",
            {"red_number": "26332000000087654321", "reason": "抬头错误", "red_on": "2026-11-15"},
        )
    assert set(bad.value.errors) == {"red_on"}


# --- odd numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["NaN", "-1", "1e999", "Infinity", "sNaN", "-0.01", "99999999999999", "1e-9"])
@pytest.mark.parametrize("name", ["days", "nights", "travel", "freight", "hours", "lodging_actual", "people"])
def test_odd_numbers_of_a_plan_are_told_beside_their_field(sqlite_app: Any, name: str, odd: str) -> None:
    with clock.frozen(MONDAY):
        desk = make_desk(sqlite_app)
        key = desk.case()
        for step in ("warranty:quote", "warranty:cost"):
            with pytest.raises(InvalidData):
                desk.do(key, step, {**VISIT, name: odd})
        assert desk.charges(key) == []

"""What an agent pays for a case: S24 in both its halves, contract rates, and what becomes of a wrong decision."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.kernel.errors import InvalidData, Refused
from plugins.agents.tests import scene
from plugins.agents.tests.scene import JOB, JOB_TOTAL, Place

TARIFF, PARTS = "R18-5.2.1.3", "R18-5.2.1.4"
FEE, NOTICE = "R18-5.1.2b", "R18-5.1.2"
S24 = [("travel", 330), ("lodging", 150), ("meals", 100), ("allowance", 400), ("material", 300)]


@pytest.fixture
def place(app: Any) -> Place:
    return scene.make_place()


def refused(place: Place, key: int, step: str, given: Any = None) -> set[str]:
    """Take a step that is refused; return the clauses against it."""
    with pytest.raises(Refused) as error:
        place.do(key, step, given)
    return {one.clause for one in error.value.refusals}


def refused_to_close(place: Place, key: int) -> set[str]:
    with pytest.raises(Refused) as error:
        place.close(key)
    return {one.clause for one in error.value.refusals}


def sold(place: Place, **columns: Any) -> tuple[int, int]:
    """A case in warranty about an item an agent sold, the agent told; return (case, agent)."""
    agent = place.agent()
    place.item(agent=agent, **columns)
    key = place.case()
    place.notify(key)
    return key, agent


@pytest.mark.clause("R18-5.1.2b")
def test_the_agent_pays_by_the_tariff_and_the_customer_nothing(place: Place) -> None:
    """S24 (b)."""
    key, agent = sold(place)
    place.solve(key)
    place.bill(key)
    assert place.lines(key) == [(code, FEE, Decimal(amount)) for code, amount in S24]
    assert place.owes(key) == JOB_TOTAL
    assert {(one.payer_ref, one.state) for one in place.charges(key, "agent")} == {(place.code_of(agent), "posted")}
    assert place.lines(key, "customer") == [("free", FEE, Decimal("0.00"))]
    assert place.charges(key, "company") == []
    row = place.bill_of(key)
    assert row is not None and (row.agent_id, row.clause) == (agent, FEE)
    assert [one["clause"] for one in row.lines] == [TARIFF] * 4 + [PARTS]
    place.close(key)
    assert place.state(key) == "closed"


@pytest.mark.clause("R18-5.1.2b")
def test_the_same_work_on_what_we_sold_ourselves_charges_no_agent(place: Place) -> None:
    place.agent()
    place.item(sold_class="own")
    key = place.case()
    place.solve(key)
    assert refused(place, key, "agents:bill", JOB) == {""}
    place.do(key, "warranty:cost", JOB)
    assert place.owes(key, "company") == JOB_TOTAL
    assert place.charges(key, "agent") == []
    place.close(key)


@pytest.mark.clause("R18-5.1.2b")
def test_where_the_clause_is_off_the_cost_is_ours(place: Place) -> None:
    place.clause(FEE, holds=False)
    key, _agent = sold(place)
    place.solve(key)
    place.do(key, "warranty:cost", JOB)
    assert place.owes(key, "company") == JOB_TOTAL
    assert place.charges(key, "agent") == []


@pytest.mark.clause("R18-5.1.2b")
def test_the_case_is_not_closed_before_it_was_billed_or_somebody_said_why_not(place: Place) -> None:
    key, _agent = sold(place)
    place.solve(key)
    assert FEE in refused_to_close(place, key)
    place.do(key, "agents:nothing", {"reason": "代理商已自行维修"})
    place.do(key, "close")
    assert place.charges(key, "agent") == []


@pytest.mark.clause("R18-5.1.2b")
def test_our_own_cost_is_not_booked_for_what_an_agent_bears(place: Place) -> None:
    key, _agent = sold(place)
    assert FEE in refused(place, key, "warranty:cost", JOB)
    place.solve(key)
    place.do(key, "agents:nothing", {"reason": "代理合同免收"})
    place.do(key, "warranty:cost", JOB)
    assert place.owes(key, "company") == JOB_TOTAL


def test_misuse_of_what_an_agent_sold_is_paid_by_the_customer(place: Place) -> None:
    place.item(agent=place.agent())
    key = place.case(cause="misuse")
    assert refused(place, key, "assign") >= {"R18-7.2.4a"}
    place.do(key, "warranty:quote", JOB)
    assert place.owes(key, "customer") == JOB_TOTAL
    assert place.charges(key, "agent") == []
    assert refused(place, key, "agents:bill", JOB)


def test_an_inquiry_is_billed_to_nobody(place: Place) -> None:
    place.item(agent=place.agent())
    key = place.case(nature="inquiry", cause="")
    assert refused(place, key, "agents:bill", JOB)


def test_an_unknown_seller_is_named_first_and_is_then_the_seller(place: Place) -> None:
    agent = place.agent()
    item = place.item()
    key = place.case()
    with pytest.raises(Refused) as error:
        place.do(key, "agents:bill", JOB)
    assert {one.code for one in error.value.refusals} & {"agent_unknown", "no_state", "state"}
    place.do(key, "agents:name", {"agent": place.code_of(agent), "document": "XS-1"})
    place.notify(key)
    place.solve(key)
    place.bill(key)
    assert place.owes(key) == JOB_TOTAL
    with place.acting():
        from plugins.agents.sellers import seller_of

        known = seller_of(item)
        assert known is not None and (known.agent_id, known.source) == (agent, "case")


def test_who_is_named_must_be_on_file_and_of_the_kind_the_class_says(place: Place) -> None:
    place.item()
    key = place.case()
    partner = place.agent("partner")
    for given in ({"agent": "没有这家"}, {"agent": place.code_of(partner)}):
        with pytest.raises(InvalidData) as error:
            place.do(key, "agents:name", given)
        assert "agent" in error.value.errors


@pytest.mark.clause("R18-5.1.3")
def test_the_contract_goes_before_the_tariff_and_what_it_leaves_is_ours(place: Place) -> None:
    key, agent = sold(place)
    place.contract(agent, ("receivable", "per_visit", "300"), ("receivable", "part_percent", "80"))
    place.solve(key)
    place.bill(key, visits="2")
    assert place.lines(key) == [("per_visit", FEE, Decimal("600.00")), ("material", FEE, Decimal("240.00"))]
    assert place.owes(key, "company") == Decimal("440.00")  # 980 - 600, 300 - 240
    assert place.owes(key) + place.owes(key, "company") == JOB_TOTAL


@pytest.mark.clause("R18-5.1.3")
def test_where_the_notice_goes_before_the_contract_the_tariff_holds(place: Place) -> None:
    place.clause("R18-5.1.3", precedence="notice")
    key, agent = sold(place)
    place.contract(agent, ("receivable", "per_visit", "300"))
    place.solve(key)
    place.bill(key)
    assert place.owes(key) == JOB_TOTAL


@pytest.mark.clause("R18-5.1.3")
@pytest.mark.parametrize(("wanted", "owed"), [("tariff", "1280.00"), ("last_terms", "600.00"), ("refuse", "")])
def test_after_the_contract_ran_out_the_clause_says_what_holds(place: Place, wanted: str, owed: str) -> None:
    from datetime import date

    place.clause("R18-5.1.3", after_expiry=wanted)
    key, agent = sold(place)
    place.contract(agent, ("receivable", "per_case", "300"), ends_on=date(2025, 10, 31))
    place.solve(key)
    if not owed:
        assert FEE in refused(place, key, "agents:bill", {**JOB, "visits": "1"})
        return
    place.bill(key)
    assert place.owes(key) == Decimal(owed)


# --- what changes it afterwards --------------------------------------------------------------------


def test_a_bill_typed_again_amends_what_is_open_and_adjusts_what_is_posted(place: Place) -> None:
    key, _agent = sold(place)
    for step in ("assign", "depart", "arrive"):
        place.do(key, step)
    place.bill(key)
    place.bill(key, travel="400")
    assert place.owes(key) == JOB_TOTAL + 70
    assert all(one.adjusts_id is None for one in place.charges(key))
    place.do(key, "solve")
    before = {one.id: one.amount for one in place.charges(key)}
    place.bill(key)
    after = place.charges(key)
    assert place.owes(key) == JOB_TOTAL
    assert {one.id: one.amount for one in after if one.id in before} == before
    assert [one.amount for one in after if one.adjusts_id is not None] == [Decimal("-70.00")]


def test_a_decision_revised_to_paid_takes_the_bill_back_by_adjusting_lines(place: Place) -> None:
    key, _agent = sold(place)
    place.solve(key)
    place.bill(key)
    before = {one.id: (one.amount, one.state) for one in place.charges(key, "agent")}
    place.decide(key, "misuse")
    after = place.charges(key, "agent")
    assert {one.id: (one.amount, one.state) for one in after if one.id in before} == before
    assert place.owes(key) == 0
    assert {one.state for one in after} == {"posted"}
    assert "bill_changed" in place.kinds(key)
    row = place.bill_of(key)
    assert row is not None and row.billed_at is None
    place.decide(key, "in_warranty")
    assert FEE in refused_to_close(place, key)
    place.bill(key)
    assert place.owes(key) == JOB_TOTAL


def test_a_case_borne_by_an_agent_after_all_takes_our_booked_cost_back(place: Place) -> None:
    place.item(agent=place.agent())
    key = place.case(product_class="4.1")
    place.solve(key)
    place.do(key, "warranty:cost", JOB)
    assert place.owes(key, "company") == JOB_TOTAL
    place.set_class(key, "4.2")
    place.bill(key)
    assert place.owes(key, "company") == 0
    assert place.owes(key) == JOB_TOTAL
    assert all(one.state == "posted" for one in place.charges(key, "company"))


def test_another_agent_named_moves_what_is_posted_to_them(place: Place) -> None:
    key, first = sold(place)
    place.solve(key)
    place.bill(key)
    second = place.agent()
    place.do(key, "agents:name", {"agent": place.code_of(second), "reason": "销售单据更正"})
    owed = {name: Decimal(0) for name in (place.code_of(first), place.code_of(second))}
    for one in place.charges(key, "agent"):
        owed[one.payer_ref] += one.amount
    assert owed == {place.code_of(first): Decimal(0), place.code_of(second): JOB_TOTAL}
    assert place.kinds(key).count("bill_changed") == 1
    row = place.bill_of(key)
    assert row is not None and row.agent_id == second


def test_another_agent_named_while_it_is_open_changes_the_lines_themselves(place: Place) -> None:
    key, _first = sold(place)
    for step in ("assign", "depart", "arrive"):
        place.do(key, step)
    place.bill(key)
    second = place.agent()
    place.do(key, "agents:name", {"agent": place.code_of(second), "reason": "销售单据更正"})
    assert {one.payer_ref for one in place.charges(key, "agent")} == {place.code_of(second)}
    assert place.owes(key) == JOB_TOTAL


def test_reworked_and_billed_again_the_difference_is_adjusted(place: Place) -> None:
    key, _agent = sold(place)
    place.solve(key)
    place.bill(key)
    place.do(key, "rework")
    place.do(key, "solve")
    place.bill(key, travel="660")
    assert place.owes(key) == JOB_TOTAL + 330
    assert sum(one.adjusts_id is not None for one in place.charges(key, "agent")) == 1


def test_a_cancelled_case_owes_nothing(place: Place) -> None:
    key, _agent = sold(place)
    for step in ("assign", "depart", "arrive"):
        place.do(key, step)
    place.bill(key)
    place.do(key, "cancel")
    assert place.charges(key, "agent") == []


def test_bad_plans_are_told_beside_their_field(place: Place) -> None:
    key, _agent = sold(place)
    place.solve(key)
    for given, name in (
        ({"parts": "P-99, 1"}, "parts"),
        ({"nights": "9"}, "nights"),
        ({"visits": "0"}, "visits"),
        ({"travel": "-1"}, "travel"),
    ):
        with pytest.raises(InvalidData) as error:
            place.bill(key, **given)
        assert name in error.value.errors
    assert place.charges(key, "agent") == []

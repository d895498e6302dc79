"""What a partner bears, and what its parts cost: classes 4.2 and 4.3 of R19, and R13's 4.3."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.kernel.errors import Refused
from core.sdk import Record, clock
from plugins.agents import bearing
from plugins.agents.tests import scene
from plugins.agents.tests.scene import JOB, JOB_TOTAL, Place
from plugins.warranty import calculator, plans
from plugins.warranty import services as warranty

FEE, CONTRACT, OUT, HANDLING = "R19-5.1.2b", "R19-5.1.3", "R19-5.2.2.5", "R19-5.2.2.3b"
OLD = {"purchased_on": "2019-10-01"}  # out of warranty


@pytest.fixture
def place(app: Any) -> Place:
    made = scene.make_place(scene.PLAT_K)
    # Asked for and agreed to elsewhere: these tests are about money.
    made.clause("R19-5.2.2.1", holds=False)
    made.part("YG-24", "2400.00")
    made.part("ZB-01", "1000.00")
    return made


def refused(place: Place, key: int, step: str, given: Any) -> set[str]:
    with pytest.raises(Refused) as error:
        place.do(key, step, given)
    return {one.clause for one in error.value.refusals}


def case_of(place: Place, sold_class: str, **columns: Any) -> int:
    place.item(sold_class=sold_class, **columns)
    return place.case()


# --- in warranty ---------------------------------------------------------------------------------


@pytest.mark.clause("R19-5.1.2b")
def test_the_only_partner_pays_for_its_product_that_we_sold(place: Place) -> None:
    partner = place.agent("partner")
    key = case_of(place, "partner")
    place.notify(key)
    place.solve(key)
    place.bill(key)
    owed = place.charges(key, "partner")
    assert {(one.clause, one.payer_ref, one.state) for one in owed} == {(FEE, place.code_of(partner), "posted")}
    assert place.owes(key, "partner") == JOB_TOTAL
    assert place.owes(key, "customer") == 0


@pytest.mark.clause("R19-5.1.2b")
def test_where_the_clause_is_off_nobody_else_pays(place: Place) -> None:
    place.clause(FEE, holds=False)
    place.agent("partner")
    key = case_of(place, "partner")
    place.notify(key)
    place.solve(key)
    assert refused(place, key, "agents:bill", JOB) == {""}
    place.do(key, "warranty:cost", JOB)
    assert place.owes(key, "company") == JOB_TOTAL


@pytest.mark.clause("R19-5.1.2b")
def test_of_two_partners_none_is_guessed(place: Place) -> None:
    place.agent("partner")
    second = place.agent("partner")
    item = place.item(sold_class="partner")
    key = place.case()
    with place.acting() as work:
        assert bearing.agent_of(work.get_one(Record, key)) is None
    place.sold_by(item, second)
    with place.acting() as work:
        found = bearing.agent_of(work.get_one(Record, key))
        assert found is not None and found.id == second


def test_parts_the_partner_supplied_itself_are_not_on_its_bill(place: Place) -> None:
    place.agent("partner")
    key = case_of(place, "partner")
    place.notify(key)
    place.solve(key)
    place.bill(key, parts="YG-24, 1, 合作方\nP-1, 1")
    assert place.owes(key, "partner") == JOB_TOTAL
    assert [one.amount for one in place.charges(key, "partner") if one.code == "material"] == [Decimal("300.00")]


@pytest.mark.clause("R19-5.1.3")
def test_what_the_partner_sold_itself_goes_by_contract_only(place: Place) -> None:
    partner = place.agent("partner")
    key = case_of(place, "partner_sold")
    place.solve(key)
    assert CONTRACT in refused(place, key, "agents:bill", {**JOB, "visits": "1"})
    assert CONTRACT in refused(place, key, "warranty:cost", JOB)
    place.contract(partner, ("receivable", "per_visit", "1000"))
    place.bill(key)
    # Parts of class 4.3 go with its surcharge, here as for a customer.
    assert place.lines(key, "partner") == [
        ("per_visit", CONTRACT, Decimal("1000.00")),
        ("material", CONTRACT, Decimal("330.00")),
    ]


@pytest.mark.clause("R19-5.1.3")
def test_where_the_contracts_clause_is_off_the_cost_is_ours(place: Place) -> None:
    place.clause(CONTRACT, holds=False)
    place.agent("partner")
    key = case_of(place, "partner_sold")
    place.solve(key)
    place.do(key, "warranty:cost", JOB)
    assert place.charges(key, "partner") == []


# --- out of warranty -----------------------------------------------------------------------------


@pytest.mark.clause("R19-5.2.2.5")
def test_out_of_warranty_the_partner_pays_where_its_contract_says_so(place: Place) -> None:
    partner = place.agent("partner")
    place.contract(partner, out_payer="partner")
    key = case_of(place, "partner_sold", **OLD)
    assert OUT in refused(place, key, "warranty:quote", JOB)
    place.solve(key)  # no consent of the customer is asked for
    place.bill(key)
    # 330 + 200 + 2 x 100 + 2 x 300, and the part with the surcharge of class 4.3.
    assert place.owes(key, "partner") == Decimal("1660.00")
    assert {one.clause for one in place.charges(key, "partner")} == {OUT}
    assert place.owes(key, "customer") == 0


@pytest.mark.clause("R19-5.2.2.5")
def test_out_of_warranty_the_customer_pays_where_no_contract_says_otherwise(place: Place) -> None:
    partner = place.agent("partner")
    place.contract(partner)
    key = case_of(place, "partner_sold", **OLD)
    assert refused(place, key, "agents:bill", JOB)
    place.do(key, "warranty:quote", JOB)
    assert place.owes(key, "customer") == Decimal("1660.00")


@pytest.mark.clause("R19-5.2.2.5")
def test_after_that_contract_ran_out_nobody_is_billed_before_there_is_a_new_one(place: Place) -> None:
    partner = place.agent("partner")
    place.contract(partner, out_payer="partner", ends_on=date(2025, 10, 31))
    key = case_of(place, "partner_sold", **OLD)
    place.solve(key)
    assert OUT in refused(place, key, "agents:bill", {**JOB, "visits": "1"})
    place.clause(OUT, after_expiry="last_terms")
    place.bill(key)
    assert place.owes(key, "partner") == Decimal("1660.00")


@pytest.mark.clause("R13-5.2.2.5")
@pytest.mark.parametrize("holds", [True, False])
def test_r13_says_the_same_of_its_class_of_the_partner(app: Any, holds: bool) -> None:
    place = scene.make_place(scene.HEAT)
    place.clause("R13-5.2.2.1", holds=False)
    place.clause("R13-5.2.2.5", holds=holds)
    partner = place.agent("partner")
    place.contract(partner, ("receivable", "per_case", "900"), out_payer="partner")
    key = case_of(place, "partner_sold", **OLD)
    with place.acting() as work:
        found = bearing.bearer_of(work.get_one(Record, key))
        assert (found.clause if found else "") == ("R13-5.2.2.5" if holds else "")


# --- parts of a partner --------------------------------------------------------------------------


def quoted(place: Place, parts: str, **columns: Any) -> list[tuple[str, str, Decimal]]:
    """Quote parts of what the partner sold, out of warranty; return the customer's lines."""
    key = case_of(place, "partner_sold", **{**OLD, **columns})
    place.do(key, "warranty:quote", {"means": "workshop", "parts": parts})
    return place.lines(key, "customer")


@pytest.mark.clause("R19-5.2.2.3b")
def test_a_part_of_the_partner_costs_the_customer_the_fee_only(place: Place) -> None:
    place.agent("partner")
    assert quoted(place, "YG-24, 1, 合作方") == [("handling", HANDLING, Decimal("240.00"))]


@pytest.mark.clause("R19-5.2.2.3b")
def test_where_the_clause_is_off_its_part_is_a_part_like_others(place: Place) -> None:
    place.clause(HANDLING, holds=False)
    assert quoted(place, "YG-24, 1, 合作方") == [("material", "R19-5.2.2.3a", Decimal("2640.00"))]


@pytest.mark.clause("R19-5.2.2.3b")
def test_with_the_fee_on_all_parts_our_own_brings_it_too(place: Place) -> None:
    place.clause(HANDLING, base="all_parts")
    assert quoted(place, "ZB-01, 1") == [
        ("material", "R19-5.2.2.3a", Decimal("1100.00")),
        ("handling", HANDLING, Decimal("100.00")),
    ]


@pytest.mark.clause("R19-5.2.2.3b")
def test_what_the_contract_says_of_the_fee_goes_before_the_clause(place: Place) -> None:
    partner = place.agent("partner")
    place.contract(partner, handling_rate=Decimal("5"), handling_base="all_parts")
    assert quoted(place, "YG-24, 1, 合作方\nZB-01, 1") == [
        ("material", "R19-5.2.2.3a", Decimal("1100.00")),
        ("handling", HANDLING, Decimal("170.00")),
    ]


@pytest.mark.clause("R13-5.2.2.3b")
@pytest.mark.parametrize("holds", [True, False])
def test_r13_takes_the_same_fee(app: Any, holds: bool) -> None:
    place = scene.make_place(scene.HEAT)
    place.part("YG-24", "2400.00")
    place.clause("R13-5.2.2.1", holds=False)
    place.clause("R13-5.2.2.3b", holds=holds)
    found = {(code, clause) for code, clause, _amount in quoted(place, "YG-24, 1, 合作方")}
    assert (("handling", "R13-5.2.2.3b") in found) is holds
    assert (("material", "R13-5.2.2.3a") in found) is not holds


def test_calculator_quote_and_consent_agree_about_the_fee(place: Place) -> None:
    place.agent("partner")
    key = case_of(place, "partner_sold", **OLD)
    given = {"means": "workshop", "parts": "YG-24, 1, 合作方\nZB-01, 1"}
    place.do(key, "warranty:quote", given)
    place.do(key, "warranty:send", {"by": "phone"})
    with place.acting() as work:
        asked = {"serial": scene.SERIAL, **given}
        answer = calculator.work_out(place.unit.id, asked, clock.now())
        told = [(one.code, one.clause, one.price) for one in plans.charged(answer.lines)]
        lines = warranty.lines_for(work.get_one(Record, key), given, clock.now())
        assert told == [(one.code, one.clause, one.price) for one in plans.charged(lines)]
    assert [(code, clause) for code, clause, _price in told] == [
        (c, k) for c, k, _a in place.lines(key, "customer")
    ]
    place.do(key, "warranty:consent", {"means": "phone", "who": "马林"})
    assert {one.state for one in place.charges(key, "customer")} == {"consented"}


def test_a_changed_fee_is_a_changed_price_for_the_consent(place: Place) -> None:
    partner = place.agent("partner")
    key = case_of(place, "partner_sold", **OLD)
    place.do(key, "warranty:quote", {"means": "workshop", "parts": "YG-24, 1, 合作方"})
    place.do(key, "warranty:send", {"by": "phone"})
    place.contract(partner, handling_rate=Decimal("20"))
    with pytest.raises(Refused) as error:
        place.do(key, "warranty:consent", {"means": "phone", "who": "马林"})
    assert [one.code for one in error.value.refusals] == ["price_changed"]

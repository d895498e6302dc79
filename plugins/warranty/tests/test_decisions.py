"""Coverage of cases: papers, the decision before all handling, admission, the look before the repair, limits."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.rules import approvals
from core.sdk import Fact, InvalidData, NotAllowed, Record, Refused, ask
from plugins.warranty import decisions, prices, values
from plugins.warranty.tests.scene_coverage import (
    DESK,
    HEAD,
    PAPERS,
    add_case,
    add_item,
    at,
    classify,
    decide,
    happened,
    history,
    make_shop,
    now,
    obligation,
    step,
)
from tests.casework import refusals
from tests.helpers import as_system, in_scope

MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 09:00 in the unit's zone
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
LATER = MONDAY + HOUR
R07 = ("R07-3.1", "R07-3.2", "R07-4.2", "R07-6.1", "R07-6.2")
BOUGHT = {"purchased_on": "2025-06-01"}
PLAN = {"plan": "上门更换"}


@pytest.fixture(autouse=True)
def _database(app):
    return app


def clauses_of(error: Refused) -> set[str]:
    return {one.clause for one in error.refusals}


def named(shop, key, name):
    """The clauses that stand against a step now, apart from its state."""
    with in_scope(shop.unit, DESK, shop.desk) as work:
        answers = ask(work.get_one(Record, key))
        found = next(one for one in answers if one.transition.name == name)
        return {one.clause for one in found.refusals if one.clause}


# --- papers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clause", "needs"),
    [
        pytest.param("R07-3.2", {}, marks=pytest.mark.clause("R07-3.2")),
        pytest.param("R07-4.2", {}, marks=pytest.mark.clause("R07-4.2")),
    ],
)
def test_in_warranty_and_assigned_only_with_the_papers(clause, needs):
    shop = make_shop("R07-3.1", clause)
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", papers=["proof"])
    assert named(shop, key, "assign") == {clause}
    with pytest.raises(Refused) as refused:
        decide(shop, LATER, key)
    assert clauses_of(refused.value) == {clause}
    assert now(shop, key).coverage is None
    assert refusals(key)[-1] == ("warranty:decide", "papers", clause)
    step(shop, LATER, key, "claim", papers=["card"])
    assert now(shop, key).claim.papers == ["proof", "card"]
    assert decide(shop, LATER, key).result == values.IN_WARRANTY
    assert named(shop, key, "assign") == set()


@pytest.mark.clause("R07-3.2")
def test_which_papers_the_parameters_say():
    shop = make_shop("R07-3.1", "R07-3.2", **{"R07-3.2": {"proof": True, "card": False}})
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", papers=["proof"])
    assert now(shop, key).claim.complete_at == LATER
    assert decide(shop, LATER, key).result == values.IN_WARRANTY


def test_without_the_clauses_nobody_asks_for_papers():
    shop = make_shop("R07-3.1")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    assert decide(shop, LATER, key).result == values.IN_WARRANTY


def test_out_of_warranty_needs_no_papers():
    shop = make_shop(*R07)
    add_item(shop, purchased_on="2024-01-01")
    key = add_case(shop, MONDAY)
    found = decide(shop, LATER, key)
    assert (found.result, found.clause, found.covered_until) == (values.OUT, "R07-6.2", date(2025, 1, 1))
    assert not named(shop, key, "assign") & {"R07-3.2", "R07-4.2"}


@pytest.mark.clause("R07-3.2")
def test_lost_papers_need_other_evidence_and_the_position_of_the_clause():
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    head = shop.staff("service_leader")
    key = add_case(shop, MONDAY)
    for raw, field in (
        ({"lost": "1", "papers": ["serial"]}, "reason"),
        ({"lost": "1", "papers": [], "reason": "搬家遗失"}, "papers"),
    ):
        with pytest.raises(InvalidData) as bad:
            step(shop, LATER, key, "claim", **raw)
        assert list(bad.value.errors) == [field]
    step(shop, LATER, key, "claim", lost="1", papers=["serial", "sales_record"], reason="搬家遗失")
    claim = now(shop, key).claim
    assert claim.complete_at is None and claim.lost
    with pytest.raises(Refused):
        decide(shop, LATER, key)
    with clock.frozen(LATER + HOUR), shop.acting(head) as work:
        asked = approvals.fetch_approval(claim.approval_id)
        assert (asked.position, asked.clause) == ("service_leader", "R07-3.2")
        approvals.agree(asked.id, "")
        work.commit()
    assert now(shop, key).claim.complete_at == LATER + HOUR
    assert decide(shop, LATER + 2 * HOUR, key).result == values.IN_WARRANTY


def test_papers_that_turn_up_take_the_request_back():
    shop = make_shop(*R07)
    add_item(shop, **BOUGHT)
    shop.staff("service_leader")
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", lost="1", papers=["serial"], reason="搬家遗失")
    step(shop, LATER, key, "claim", **PAPERS)
    claim = now(shop, key).claim
    assert claim.complete_at == LATER
    with as_system() as work:
        assert work.get_one(approvals.Approval, claim.approval_id).state == approvals.WITHDRAWN


# --- review --------------------------------------------------------------------------------------


@pytest.mark.clause("R07-3.5")
def test_the_review_clock_begins_with_the_complete_papers():
    shop = make_shop(*R07, "R07-3.5")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "claim", papers=["proof"])
    assert obligation(key, "R07-3.5") is None
    tuesday = MONDAY + DAY
    step(shop, tuesday, key, "claim", papers=["card"])
    # Two working days after the complete papers: Thursday, 24:00 in the unit's zone.
    assert obligation(key, "R07-3.5")[:2] == ("open", datetime(2026, 3, 5, 15, 59, 59, tzinfo=UTC))
    decide(shop, tuesday + HOUR, key)
    assert obligation(key, "R07-3.5").state == "met"


@pytest.mark.clause("R07-5.1")
def test_the_review_is_aimed_at_four_working_hours():
    shop = make_shop("R07-5.1")
    key = add_case(shop, MONDAY)
    step(shop, MONDAY, key, "claim")  # nobody asks for papers here: the application is complete at once
    state, due, target = obligation(key, "R07-5.1")
    assert (state, target) == ("open", MONDAY + 4 * HOUR + HOUR)  # 09:00 to 12:00, 13:00 to 14:00
    assert due == datetime(2026, 3, 4, 15, 59, 59, tzinfo=UTC)


# --- deciding ------------------------------------------------------------------------------------


def test_the_end_day_is_inside_and_the_next_is_not():
    shop = make_shop(*R07)
    add_item(shop, purchased_on="2024-03-12")
    for day, result in ((12, values.IN_WARRANTY), (13, values.OUT)):
        moment = datetime(2025, 3, day, 2, 0, tzinfo=UTC)
        key = add_case(shop, moment, contact_phone=f"1311235534{day % 10}")
        step(shop, moment, key, "claim", **PAPERS)
        found = decide(shop, moment, key)
        assert (found.result, found.covered_until) == (result, date(2025, 3, 12))


def test_the_day_of_the_report_counts_not_the_day_of_deciding():
    shop = make_shop("R07-3.1", "R07-6.1")
    add_item(shop, purchased_on="2025-03-02")
    key = add_case(shop, MONDAY)  # the last day
    assert decide(shop, MONDAY + 10 * DAY, key).result == values.IN_WARRANTY


def test_an_unknown_item_is_not_guessed_but_the_date_on_the_case_serves():
    shop = make_shop("R07-3.1", "R07-6.1")
    key = add_case(shop, MONDAY)
    with pytest.raises(Refused) as refused:
        decide(shop, LATER, key)
    assert [one.code for one in refused.value.refusals] == ["warranty.unknown"]
    assert now(shop, key).coverage is None
    with as_system() as work:
        decisions_case = work.get_one(Record, key)
        decisions.case_of(decisions_case).purchase_date = date(2025, 6, 1)
    found = decide(shop, LATER, key)
    assert (found.result, found.covered_until) == (values.IN_WARRANTY, date(2026, 6, 1))
    # Also where the item is on file without that day.
    add_item(shop)
    other = add_case(shop, MONDAY, purchase_date="2025-06-01", contact_phone="13112355345")
    assert decide(shop, LATER, other).covered_until == date(2026, 6, 1)


def test_an_item_without_its_starting_day_says_which_day_is_missing():
    shop = make_shop("R07-3.1", "R07-6.1")
    add_item(shop)
    key = add_case(shop, MONDAY)
    with pytest.raises(Refused) as refused:
        decide(shop, LATER, key)
    assert "urchase" in str(refused.value.refusals[0].text)
    # Whoever may decide otherwise may still decide, saying why.
    found = decide(shop, LATER, key, HEAD, result="in_warranty", reason="发票已核对")
    assert (found.result, found.overruled, found.reason) == (values.IN_WARRANTY, True, "发票已核对")


def test_an_item_bought_after_the_report_is_answered_clearly():
    shop = make_shop("R07-3.1", "R07-6.1")
    add_item(shop, purchased_on="2026-02-20")
    key = add_case(shop, datetime(2026, 2, 19, 2, 0, tzinfo=UTC))
    found = decide(shop, LATER, key)
    assert (found.result, found.line["why"], found.line["given"]) == (
        "out_of_warranty",
        "future",
        {"day": "2026-02-20"},
    )


def test_the_serial_of_another_unit_is_never_found():
    here, there = make_shop("R07-3.1"), make_shop("R07-3.1")
    add_item(there, **BOUGHT)
    key = add_case(here, MONDAY)
    with pytest.raises(Refused) as refused:
        decide(here, LATER, key)
    assert [one.code for one in refused.value.refusals] == ["warranty.unknown"]


def test_a_revision_needs_a_reason_and_keeps_what_was_decided_before():
    shop = make_shop("R07-3.1", "R07-6.1", "R10-2.4c")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    decide(shop, LATER, key)
    with pytest.raises(InvalidData) as bad:
        decide(shop, LATER, key, cause="misuse")
    assert list(bad.value.errors) == ["reason"]
    decide(shop, LATER, key, cause="misuse", reason="拆机发现进水")
    rows = [(one.result, one.clause, one.current, one.reason) for one in history(key)]
    assert rows == [
        ("in_warranty", "R07-6.1", False, ""),
        ("misuse", "R10-2.4c", True, "拆机发现进水"),
    ]


def test_otherwise_than_the_clauses_only_with_permission_and_reason():
    shop = make_shop("R07-3.1", "R07-6.1", "R07-6.2")
    add_item(shop, purchased_on="2024-01-01")
    key = add_case(shop, MONDAY)
    with pytest.raises(NotAllowed):
        decide(shop, LATER, key, result="in_warranty", reason="老客户")
    with pytest.raises(InvalidData) as bad:
        decide(shop, LATER, key, HEAD, result="in_warranty")
    assert list(bad.value.errors) == ["reason"]
    assert history(key) == []
    found = decide(shop, LATER, key, HEAD, result="in_warranty", reason="老客户")
    assert (found.result, found.overruled, found.clause) == ("in_warranty", True, "")
    # What the clauses say anyway is not "otherwise".
    other = add_case(shop, LATER, contact_phone="13112355345")
    assert not decide(shop, LATER, other, result="out_of_warranty").overruled


def test_deciding_after_the_work_began_is_allowed():
    shop = make_shop("R07-3.1", "R07-6.1")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "assign", assignee_id=shop.technician.id)
    step(shop, LATER, key, "start", plan="更换", agreed="1")
    assert decide(shop, LATER, key).result == values.IN_WARRANTY
    with in_scope(shop.unit, DESK, shop.desk) as work:
        record = work.get_one(Record, key)
        fact = work.scalars(select(Fact).where(Fact.record_id == key, Fact.kind == "coverage_decided")).one()
        assert record.state == "in_progress"
        assert fact.data == {
            "cause": "quality",
            "human_damage": False,
            "result": "in_warranty",
            "clause": "R07-6.1",
            "covered_until": "2026-06-01",
        }


def test_the_decision_keeps_cause_evidence_who_and_when():
    shop = make_shop("R07-3.1", "R07-6.1")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    found = decide(shop, MONDAY + DAY, key, evidence="照片三张", at=(LATER).isoformat())
    assert (found.evidence, found.decided_by, found.decided_at) == ("照片三张", shop.desk.id, LATER)
    assert (found.cause, found.sold_class, found.line["clause"]) == ("quality", "own", "R07-3.1")


# --- free and paid, by the clause of each unit -----------------------------------------------------

FREE = [
    "R07-6.1",
    "R09-5.3.4.1",
    "R13-5.1.1.1",
    "R17-5.1.1.1",
    "R18-5.1.1.1",
    "R19-5.1.1.1",
    "R22-1.W1a",
    "R22-1.W5",
]
PAID = ["R13-5.1.2", "R17-5.1.1.2", "R18-5.1.1.2", "R19-5.1.1.2", "R10-2.4c"]


@pytest.mark.parametrize("clause", [pytest.param(one, marks=pytest.mark.clause(one)) for one in FREE])
def test_a_fault_inside_the_term_is_free_by_the_clause_of_the_unit(clause):
    shop = make_shop("R07-3.1", clause)
    add_item(shop, **BOUGHT)
    found = decide(shop, LATER, add_case(shop, MONDAY))
    assert (found.result, found.clause) == (values.IN_WARRANTY, clause)
    assert now(shop, found.record_id).is_free


@pytest.mark.parametrize("clause", [pytest.param(one, marks=pytest.mark.clause(one)) for one in PAID])
def test_improper_use_is_paid_for_by_the_clause_of_the_unit(clause):
    shop = make_shop("R07-3.1", clause)
    add_item(shop, **BOUGHT)
    found = decide(shop, LATER, add_case(shop, MONDAY), cause="misuse")
    assert (found.result, found.clause) == (values.MISUSE, clause)
    assert not now(shop, found.record_id).is_free


# --- the split comes first -----------------------------------------------------------------------


@pytest.mark.clause("R13-5", "R17-5", "R18-5", "R19-5")
@pytest.mark.parametrize("clause", ["R13-5", "R17-5", "R18-5", "R19-5"])
def test_nothing_is_planned_assigned_or_quoted_before_the_decision(clause):
    shop = make_shop("R07-3.1", clause)
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    for name in ("plan", "assign", "warranty:quote"):
        assert clause in named(shop, key, name), name
    with pytest.raises(Refused) as refused:
        step(shop, LATER, key, "plan", **PLAN)
    assert clauses_of(refused.value) == {clause}
    decide(shop, LATER, key)
    for name in ("plan", "assign", "warranty:quote"):
        assert clause not in named(shop, key, name), name
    step(shop, LATER, key, "plan", **PLAN)


@pytest.mark.clause("R13-5")
def test_questions_need_no_decision():
    shop = make_shop("R13-5", "R17-7.2.2a")
    key = add_case(shop, MONDAY, nature="inquiry")
    assert named(shop, key, "plan") == set()


@pytest.mark.clause("R17-7.2.2a", "R18-7.2.2a", "R19-7.2.2a")
@pytest.mark.parametrize("clause", ["R17-7.2.2a", "R18-7.2.2a", "R19-7.2.2a"])
def test_the_first_look_is_at_the_warranty(clause):
    shop = make_shop("R07-3.1", clause)
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    with pytest.raises(Refused) as refused:
        step(shop, LATER, key, "plan", **PLAN)
    assert clauses_of(refused.value) == {clause}
    decide(shop, LATER, key)
    step(shop, LATER, key, "plan", **PLAN)


@pytest.mark.clause("R13-5.1", "R17-5.1", "R18-5.1", "R19-5.1")
@pytest.mark.parametrize(
    ("clause", "own", "served", "not_served"),
    [
        ("R13-5.1", "R13-4.1", "4.1", "4.3"),
        ("R17-5.1", "R17-4.1", "4.1", "4.2"),
        ("R18-5.1", "R18-4.1", "4.2", "4.3"),
        ("R19-5.1", "R19-4.1", "4.3", "4.4"),
    ],
)
def test_in_warranty_only_for_the_classes_of_the_clause(clause, own, served, not_served):
    shop = make_shop("R07-3.1", own, clause)
    add_item(shop, **BOUGHT)
    for number, result in ((served, values.IN_WARRANTY), (not_served, values.EXCLUDED)):
        key = add_case(shop, MONDAY, nature="", contact_phone=f"1311235534{number[-1]}")
        with at(shop, LATER):
            classify(key, product_class=number)
        found = decide(shop, LATER, key)
        assert (found.result, found.product_class) == (result, number)
        # Nor may somebody decide it into the warranty.
        if result == values.EXCLUDED:
            assert found.clause == clause
            with pytest.raises(Refused) as refused:
                decide(shop, LATER, key, HEAD, result="in_warranty", reason="老客户")
            assert clauses_of(refused.value) == {clause}


def test_the_class_follows_from_who_sold_the_item():
    shop = make_shop("R07-3.1", "R18-4.1", "R18-5.1", "R18-5.1.1.1")
    add_item(shop, sold_class="agent", **BOUGHT)
    found = decide(shop, LATER, add_case(shop, MONDAY))
    assert (found.product_class, found.result) == ("4.2", values.IN_WARRANTY)
    with in_scope(shop.unit, DESK, shop.desk) as work:
        assert decisions.product_class_of(work.get_one(Record, found.record_id)) == "4.2"


def test_a_competitors_product_is_excluded():
    shop = make_shop("R07-3.1", "R19-4.1", "R19-4.4", "R19-5.1")
    add_item(shop, sold_class="competitor", **BOUGHT)
    found = decide(shop, LATER, add_case(shop, MONDAY))
    assert (found.result, found.product_class) == (values.EXCLUDED, "4.4")


@pytest.mark.parametrize(
    "clause", [pytest.param(one, marks=pytest.mark.clause(one)) for one in ("R13-5.2.1", "R18-5.2.1", "R19-5.2.1")]
)
def test_both_classes_get_the_same_service_out_of_warranty(clause):
    from plugins.warranty.tests.scene_prices import add_tariff
    from plugins.warranty.tests.scene_prices import make_shop as make_prices

    day = date(2026, 7, 2)
    for held, alike in ((clause, True), ("", False)):
        unit = make_prices("R13-5.2.1.3b", *([held] if held else []))
        add_tariff(unit, product_class="4.1", lodging_amount="180")
        with in_scope(unit, DESK):
            both = [prices.prices_for(unit.id, one, day)["lodging"].amount for one in ("4.1", "4.2")]
        assert both[0] == Decimal(180)
        assert (both[1] == both[0]) is alike


# --- admission for want of an answer ---------------------------------------------------------------

CALL = datetime(2025, 10, 18, 6, 0, 0, tzinfo=UTC)  # a Saturday, 14:00
ADMISSION = [
    ("R22-1.W1e", "W", 30),
    ("R22-1.R5", "R", 3),
]


@pytest.mark.clause("R22-1.W1e", "R22-1.R5")
@pytest.mark.parametrize(("clause", "variant", "minutes"), ADMISSION)
def test_an_answer_in_the_last_second_is_in_time_and_one_second_later_it_is_admitted(clause, variant, minutes):
    shop = make_shop("R07-3.1", "R22-1.W1e", "R22-1.R5")
    shop.set("tender.variant", variant)
    add_item(shop, **BOUGHT)
    for place, more in enumerate((0, 1)):
        key = add_case(shop, CALL, nature="", contact_phone=f"1311235534{place}")
        happened(shop, CALL + HOUR, key, "responded", CALL + minutes * MINUTE + timedelta(seconds=more))
        found = now(shop, key).coverage
        assert (found is not None) is bool(more)
        if found is not None:
            assert (found.result, found.clause, found.to_review) == (values.DEEMED, clause, True)
            assert found.decided_by is None


@pytest.mark.parametrize(("clause", "variant", "minutes"), ADMISSION)
def test_arriving_too_late_admits_as_well(clause, variant, minutes):
    shop = make_shop("R07-3.1", clause)
    shop.set("tender.variant", variant)
    add_item(shop, **BOUGHT)
    for place, (late, deemed) in enumerate(((30, False), (31, True))):
        key = add_case(shop, CALL, nature="", contact_phone=f"1311235534{place}")
        happened(shop, CALL + MINUTE, key, "responded")
        happened(shop, CALL + late * MINUTE, key, "arrived")
        assert (now(shop, key).coverage is not None) is deemed


def test_only_the_clause_of_the_variant_counts():
    shop = make_shop("R22-1.W1e", "R22-1.R5")
    shop.set("tender.variant", "W")
    key = add_case(shop, CALL, nature="")
    happened(shop, CALL + 10 * MINUTE, key, "responded")
    assert now(shop, key).coverage is None


@pytest.mark.clause("R22-1.R5")
def test_a_later_finding_of_misuse_leaves_it_free_and_to_be_looked_at():
    shop = make_shop("R07-3.1", "R22-1.R5", "R22-1.W5")
    add_item(shop, **BOUGHT)
    key = add_case(shop, CALL, nature="")
    happened(shop, CALL + 4 * MINUTE, key, "responded")
    with at(shop, CALL + HOUR):
        classify(key)
    found = decide(shop, CALL + HOUR, key, cause="misuse", human_damage="1")
    assert (found.result, found.clause, found.cause, found.to_review) == ("deemed", "R22-1.R5", "misuse", True)
    # Somebody who may has looked at it again.
    found = decide(shop, CALL + HOUR, key, HEAD, cause="misuse", result="misuse", reason="复核：客户拆机")
    assert (found.result, found.to_review) == (values.MISUSE, False)


def test_without_any_answer_it_is_worked_out_at_the_moment_of_deciding():
    shop = make_shop("R07-3.1", "R22-1.R5", "R22-1.W1a")
    add_item(shop, **BOUGHT)
    for minutes, result in ((3, values.IN_WARRANTY), (4, values.DEEMED)):
        key = add_case(shop, CALL, contact_phone=f"1311235534{minutes}")
        assert decide(shop, CALL + minutes * MINUTE, key).result == result


def test_an_answer_in_time_entered_later_takes_the_admission_back():
    shop = make_shop("R07-3.1", "R22-1.R5", "R22-4.4b")
    add_item(shop, **BOUGHT)
    key = add_case(shop, CALL, nature="")
    happened(shop, CALL + HOUR, key, "contacted")
    assert now(shop, key).coverage.result == values.DEEMED
    assert obligation(key, "R22-4.4b").state == "open"
    happened(shop, CALL + 2 * HOUR, key, "responded", CALL + MINUTE)
    assert now(shop, key).coverage is None
    assert [one.current for one in history(key)] == [False]
    assert obligation(key, "R22-4.4b").state == "void"


def test_what_comes_in_writing_or_is_no_fault_admits_nothing():
    shop = make_shop("R22-1.R5")
    for channel, nature in (("email", "repair"), ("phone", "inquiry")):
        key = add_case(
            shop, CALL, nature=nature, channel=channel, contact_phone=f"131123553{len(channel)}{len(nature)}"
        )
        happened(shop, CALL + HOUR, key, "responded")
        assert now(shop, key).coverage is None


# --- the look before the repair --------------------------------------------------------------------


@pytest.mark.clause("R25-3.2.16")
def test_no_repair_begins_or_ends_before_the_look():
    shop = make_shop("R25-3.2.16")
    key = add_case(shop, MONDAY)
    step(shop, LATER, key, "assign", assignee_id=shop.technician.id)
    for name in ("start", "solve"):
        assert "R25-3.2.16" in named(shop, key, name)
    with pytest.raises(InvalidData) as bad:
        step(shop, LATER, key, "inspect", parts_complete="1", human_damage="1", finding="外壳撬痕")
    assert list(bad.value.errors) == ["told"]
    with pytest.raises(InvalidData) as bad:
        step(shop, LATER, key, "inspect", told="1")
    assert list(bad.value.errors) == ["finding"]
    step(shop, LATER, key, "inspect", parts_complete="1", human_damage="1", finding="外壳撬痕", told="1")
    claim = now(shop, key).claim
    assert claim.inspected_at == LATER and claim.inspection["human_damage"] and claim.complete_at is None
    step(shop, LATER, key, "start", plan="更换", agreed="1")


@pytest.mark.clause("R25-3.2.16")
def test_the_look_is_about_repairs_only():
    shop = make_shop("R25-3.2.16")
    key = add_case(shop, MONDAY, nature="complaint")
    step(shop, LATER, key, "assign", assignee_id=shop.technician.id)
    assert named(shop, key, "start") == set()


# --- until when ------------------------------------------------------------------------------------


@pytest.mark.clause("R01-5.3")
@pytest.mark.parametrize(
    ("number", "address", "days"),
    [
        ("", "浙江省杭州市文三路1号", 5),
        ("4.1", "江苏省南京市1号", 10),
        ("4.2", "浙江省宁波市1号", 7),
        ("4.3", "江苏省南京市1号", 12),
        ("4.1", "", 5),
    ],
)
def test_repaired_in_time_by_class_and_region(number, address, days):
    given = {"region": "浙江 上海", "in_42": 7, "away_43": 12}
    shop = make_shop("R01-5.3", **{"R01-5.3": given})
    key = add_case(shop, MONDAY, nature="", address_text=address)
    with at(shop, LATER):
        classify(key, product_class=number)
    state, due, _target = obligation(key, "R01-5.3")
    weeks = {5: date(2026, 3, 9), 7: date(2026, 3, 11), 10: date(2026, 3, 16), 12: date(2026, 3, 18)}
    last = datetime(weeks[days].year, weeks[days].month, weeks[days].day, 15, 59, 59, tzinfo=UTC)
    assert (state, due) == ("open", last)


@pytest.mark.clause("R01-5.3")
def test_only_repairs_and_replacements_have_that_limit():
    shop = make_shop("R01-5.3")
    assert obligation(add_case(shop, MONDAY, nature="complaint"), "R01-5.3") is None
    key = add_case(shop, MONDAY, nature="replacement", contact_phone="13112355345")
    step(shop, LATER, key, "assign", assignee_id=shop.technician.id)
    step(shop, LATER, key, "start", plan="更换", agreed="1")
    step(shop, LATER + DAY, key, "solve", **shop.usual("solve"))
    assert obligation(key, "R01-5.3").state == "met"


@pytest.mark.clause("R22-4.4b")
def test_in_warranty_it_is_settled_the_day_of_the_report_whenever_that_was_decided():
    shop = make_shop("R07-3.1", "R07-6.1", "R10-2.4c", "R22-4.4b")
    add_item(shop, **BOUGHT)
    key = add_case(shop, MONDAY)
    assert obligation(key, "R22-4.4b") is None
    decide(shop, MONDAY + DAY, key)
    assert obligation(key, "R22-4.4b")[:2] == ("open", datetime(2026, 3, 2, 15, 59, 59, tzinfo=UTC))
    decide(shop, MONDAY + DAY, key, cause="misuse", reason="进水")
    assert obligation(key, "R22-4.4b").state == "void"
    decide(shop, MONDAY + DAY, key, cause="quality", reason="复核")
    assert obligation(key, "R22-4.4b").state == "open"


@pytest.mark.clause("R22-4.4b")
def test_out_of_warranty_there_is_no_such_limit():
    shop = make_shop("R07-3.1", "R22-4.4b")
    add_item(shop, purchased_on="2024-01-01")
    key = add_case(shop, MONDAY)
    decide(shop, LATER, key)
    assert obligation(key, "R22-4.4b") is None
    add_item(shop, "RB18A-2302-00002", **BOUGHT)
    key = add_case(shop, MONDAY, serial_text="RB18A-2302-00002", contact_phone="13112355345")
    decide(shop, MONDAY, key)
    step(shop, LATER, key, "assign", assignee_id=shop.technician.id)
    step(shop, LATER, key, "start", plan="更换", agreed="1")
    step(shop, LATER, key, "solve", **shop.usual("solve"))
    assert obligation(key, "R22-4.4b").state == "met"

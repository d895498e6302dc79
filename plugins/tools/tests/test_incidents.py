"""Incidents: reported, judged, approved, agreed to by the person, settled, found again; who may do what."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.records.models import Notice
from core.rules.charge_models import Charge, Penalty
from core.sdk import (
    InvalidData,
    NotAllowed,
    NotFound,
    Obligation,
    Refused,
    User,
    approvals,
    penalties,
    perform,
    session,
)
from plugins.tools import incidents, judging, settling, values
from plugins.tools.models import Incident

from .scene import Place, clauses, codes, make_place

PROFILE = "tool-custody"


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place()


def only(place: Place, *kept: str) -> None:
    """Leave on only these of the clauses about compensation."""
    from plugins.tools.compensation import CLAUSES

    place.without(*(one for one in CLAUSES if one not in kept))
    for one in kept:
        place.clause(one)


def report(place: Place, tool: int, kind: str = values.LOSS, by: User | None = None, **more: Any) -> int:
    with place.acting(by):
        raw = {"kind": kind, "tool": tool, "what": "说明", **more}
        return incidents.report(place.unit.id, raw).id


def judge(place: Place, key: int, cause: str = values.CARELESS, user: User | None = None, **more: Any) -> None:
    who = user.id if user else None
    with place.acting(place.manager):
        perform(key, "judge", {"cause": cause, "user": who, "judgement": "查明", **more})


def approve(place: Place, key: int, user: User | None = None, *, yes: bool = True) -> None:
    approval = detail(place, key).approval_id
    with place.acting(user or decider(place)):
        approvals.agree(approval, "同意") if yes else approvals.reject(approval, "太多")


def decider(place: Place) -> User:
    """Somebody of the position that R35-6.2 names, who did not judge."""
    if "decider" not in place.kinds:
        place.kinds["decider"] = place.staff("dept_manager", "另一位经理").id
    with place.acting() as work:
        found = work.get_one(User, place.kinds["decider"])
        work.expunge(found)
        return found


def detail(place: Place, key: int) -> Incident:
    return place.all(select(Incident).where(Incident.id == key))[0]


def charges_of(place: Place, key: int) -> list[Charge]:
    return place.all(select(Charge).where(Charge.record_id == key).order_by(Charge.id))


def owed(place: Place, key: int) -> Decimal:
    with place.acting(place.finance):
        return settling.left(key)


def agree(place: Place, key: int, user: User | None = None, how: str = values.CASH) -> None:
    with place.acting(user or place.ann):
        perform(key, "agree_to_pay", {"settlement": how})


def lost_and_owed(place: Place, price: str = "168.00", how: str = values.CASH) -> tuple[int, int]:
    """A tool that Ann lost and agreed to pay; return (tool, incident)."""
    only(place, "R35-6.2")
    tool = place.tool(price=Decimal(price))
    place.issue(place.ann, tool)
    place.later(hours=1)
    key = report(place, tool, by=place.ann)
    judge(place, key, user=place.ann)
    approve(place, key)
    agree(place, key, how=how)
    return tool, key


# --- reporting -----------------------------------------------------------------------------------


def test_a_holder_reports_a_defect_and_the_tool_is_not_given_out(place: Place) -> None:
    tool = place.tool(maintainer_id=place.bob.id)
    place.issue(place.ann, tool)
    key = report(place, tool, values.DEFECT, place.ann)
    assert (place.state(key), place.state(tool)) == (values.REPORTED, values.DEFECTIVE)
    assert place.facts(key)[:3] == ["registered", "occurred", "reported"]
    told = place.all(select(Notice.user_id).where(Notice.record_id == key))
    assert {place.bob.id, place.keeper.id} <= set(told)


def test_who_does_not_hold_it_reports_nothing(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    with pytest.raises(InvalidData) as bad:
        report(place, tool, values.DEFECT, place.bob)
    assert list(bad.value.errors) == ["tool"]
    with pytest.raises(InvalidData) as bad:
        report(place, tool, values.BREACH, place.ann, breach=values.PRIVATE_USE, user=place.bob.id)
    assert list(bad.value.errors) == ["kind"]


def test_a_tool_that_was_offered_only_is_not_theirs_to_report(place: Place) -> None:
    tool = place.tool()
    place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with pytest.raises(InvalidData):
        report(place, tool, by=place.ann)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"what": ""}, "what"),
        ({"happened_at": "2026-03-02T23:00"}, "happened_at"),
        ({"happened_at": "2026-03-01T23:00"}, "happened_at"),
        ({"tool": "没有这个"}, "tool"),
        ({"kind": values.BREACH}, "breach"),
    ],
)
def test_a_report_that_does_not_fit_says_where(place: Place, raw: dict[str, Any], field: str) -> None:
    tool = place.tool()
    given = {"tool": tool, "kind": values.LOSS, "what": "说明", **raw}
    with place.acting(), pytest.raises(InvalidData) as bad:
        incidents.report(place.unit.id, given)
    assert field in bad.value.errors
    assert place.state(tool) == values.IN_STORE


def test_a_tool_is_lost_once(place: Place) -> None:
    tool = place.tool()
    report(place, tool)
    with pytest.raises(Refused) as refused:
        report(place, tool)
    assert codes(refused.value) == {"lost"}


def test_a_retry_reports_once(place: Place) -> None:
    tool = place.tool()
    raw = {"kind": values.LOSS, "tool": tool, "what": "说明"}
    with place.acting():
        first = incidents.report(place.unit.id, raw, key="k1").id
        assert incidents.report(place.unit.id, raw, key="k1").id == first


def test_another_units_tool_is_not_found(place: Place) -> None:
    other = make_place()
    tool = other.tool()
    with pytest.raises(NotFound):
        report(place, tool)


@pytest.mark.clause("R32-7.1")
@pytest.mark.parametrize(("minutes", "state"), [(59, "met"), (61, "late")])
def test_an_accident_is_reported_within_the_hour(place: Place, minutes: int, state: str) -> None:
    place.clause("R32-7.1")
    tool = place.tool()
    at = place.now
    place.later(minutes=minutes)
    key = report(place, tool, values.ACCIDENT, happened_at=at.isoformat(), injured=True, secured=True)
    found = place.all(select(Obligation).where(Obligation.record_id == key, Obligation.clause == "R32-7.1"))
    assert [one.state for one in found] == [state]
    assert place.state(tool) == values.DEFECTIVE
    row = detail(place, key)
    assert row.injured
    assert row.secured


# --- judging -------------------------------------------------------------------------------------


@pytest.mark.clause("R35-6.2")
def test_a_lost_tool_costs_its_price_once_approved_and_agreed_to(place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool(price=Decimal("168.00"))
    place.issue(place.ann, tool)
    place.later(hours=1)
    key = report(place, tool, by=place.ann)
    assert place.state(tool) == values.LOST
    judge(place, key, user=place.ann)
    row = detail(place, key)
    assert (row.clause, row.amount) == ("R35-6.2", Decimal("168.00"))
    (line,) = charges_of(place, key)
    assert (line.payer, line.payer_ref, line.amount) == ("employee", f"user:{place.ann.id}", Decimal("168.00"))
    with pytest.raises(Refused) as refused:
        agree(place, key)
    assert "undecided" in codes(refused.value)
    approve(place, key)
    agree(place, key)
    assert place.state(key) == values.CHARGED
    assert charges_of(place, key)[0].state == "posted"
    with place.acting(place.finance):
        perform(key, "settle", {"receipt": "SJ-1"})
    assert place.state(key) == values.CLOSED
    assert charges_of(place, key)[0].state == "settled"
    assert place.state(tool) == values.SCRAPPED
    assert owed(place, key) == 168  # payable, and settled


def test_without_the_clause_nobody_is_charged(place: Place) -> None:
    only(place)
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, by=place.ann)
    judge(place, key, user=place.ann)
    assert not charges_of(place, key)
    with place.acting(place.manager):
        perform(key, "close", {"result": "不赔"})
    assert (place.state(key), place.state(tool)) == (values.CLOSED, values.SCRAPPED)


@pytest.mark.clause("R15-18b")
@pytest.mark.parametrize(("cause", "amount"), [(values.CARELESS, "168.00"), (values.EXTERNAL, None)])
def test_what_no_person_caused_costs_nothing(place: Place, cause: str, amount: str | None) -> None:
    only(place, "R15-18b")
    place.kind("测线器", price=Decimal("168.00"))
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, by=place.ann)
    judge(place, key, cause, place.ann)
    assert [str(one.amount) for one in charges_of(place, key)] == ([amount] if amount else [])


def test_nobody_judges_their_own_matter(place: Place) -> None:
    tool = place.tool()
    place.issue(place.manager, tool)
    key = report(place, tool)
    with pytest.raises(Refused) as refused:
        judge(place, key, user=place.ann)
    assert codes(refused.value) == {"own_matter"}
    tool = place.tool()
    key = report(place, tool)
    with pytest.raises(Refused) as refused:
        judge(place, key, user=place.manager)
    assert codes(refused.value) == {"own_matter"}


def test_judging_needs_the_right(place: Place) -> None:
    key = report(place, place.tool())
    with place.acting(), pytest.raises(NotAllowed):
        perform(key, "judge", {"cause": values.NATURAL, "judgement": "查明"})


@pytest.mark.clause("GJ-3")
def test_a_tool_never_confirmed_is_not_charged(place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.offer(values.OPENING, place.store, place.person(place.ann), [tool])
    key = report(place, tool)
    with pytest.raises(Refused) as refused:
        judge(place, key, user=place.ann)
    assert clauses(refused.value) == {"GJ-3"}
    assert not charges_of(place, key)
    place.without("GJ-3")
    judge(place, key, user=place.ann)
    assert charges_of(place, key)


@pytest.mark.clause("GJ-3")
def test_what_happened_before_they_had_it_is_not_theirs(place: Place) -> None:
    only(place, "R35-6.3")
    tool, start = place.tool(), place.now
    place.later(hours=2)
    place.issue(place.ann, tool)
    place.later(hours=1)
    key = report(place, tool, values.DAMAGE, happened_at=(start + timedelta(hours=1)).isoformat())
    with pytest.raises(Refused) as refused:
        judge(place, key, values.MISUSE, place.ann)
    assert clauses(refused.value) == {"GJ-3"}


def test_a_price_that_is_not_known_is_asked_for(place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool(price=None)
    place.issue(place.ann, tool)
    key = report(place, tool)
    with pytest.raises(InvalidData) as bad:
        judge(place, key, user=place.ann)
    assert "price" in bad.value.errors
    assert place.state(key) == values.REPORTED
    judge(place, key, user=place.ann, price="99.90")
    assert detail(place, key).amount == Decimal("99.90")


@pytest.mark.clause("R35-7.3")
def test_a_leavers_missing_tool_costs_less_for_its_age(place: Place) -> None:
    only(place, "R35-7.3", "R35-6.2")
    tool = place.tool(price=Decimal("240.00"), bought_on=date(2025, 3, 2), life_months=24)
    place.issue(place.ann, tool)
    some_record = report(place, place.tool())  # any record stands for the clearance here
    key = report(place, tool, clearance_id=some_record)
    judge(place, key, values.UNKNOWN, place.ann)
    row = detail(place, key)
    assert (row.clause, row.amount) == ("R35-7.3", Decimal("120.00"))


def test_the_person_concerned_does_not_approve_and_objects_instead(place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, by=place.ann)
    judge(place, key, user=place.ann)
    with pytest.raises(Refused):
        approve(place, key, place.ann)
    with place.acting(place.bob), pytest.raises(Refused):
        perform(key, "object", {"reason": "不是他"})
    with place.acting(place.ann):
        perform(key, "object", {"reason": "已经还了"})
    assert place.state(key) == values.REPORTED
    assert [one.state for one in charges_of(place, key)] == ["void"]
    told = place.all(select(Notice.kind).where(Notice.record_id == key, Notice.user_id == place.manager.id))
    assert "tools.judge_again" in told
    judge(place, key, user=place.ann)
    approve(place, key)
    agree(place, key)
    assert owed(place, key) == Decimal("120.00")


def test_a_rejected_compensation_goes_back_to_judgement(place: Place) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool)
    judge(place, key, user=place.ann)
    approve(place, key, yes=False)
    assert place.state(key) == values.REPORTED
    assert not owed(place, key)


def test_what_was_agreed_to_is_asked_for_anew_when_judged_anew(place: Place) -> None:
    _, key = lost_and_owed(place)
    with place.acting(place.manager):
        perform(key, "rejudge", {"reason": "价格记错"})
    assert not owed(place, key)
    judge(place, key, user=place.ann)
    states = [(one.source, one.state) for one in charges_of(place, key) if one.adjusts_id is None]
    assert states == [("tools.incident", "posted"), ("tools.incident:2", "proposed")]
    approve(place, key)
    agree(place, key)
    assert owed(place, key) == 168


def test_the_line_goes_by_the_incidents_steps_alone(place: Place) -> None:
    from core.rules import charges

    _, key = lost_and_owed(place)
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"), pytest.raises(Refused):
        charges.move(line.id, "settle")


# --- settling ------------------------------------------------------------------------------------


@pytest.mark.clause("R35-6.2")
def test_the_same_tool_bought_settles_it(place: Place) -> None:
    tool, key = lost_and_owed(place, how=values.IN_KIND)
    place.later(hours=1)
    other_kind, fresh = place.tool("尖嘴钳"), place.tool()
    for wrong in (other_kind, tool):
        with place.acting() as work, pytest.raises(InvalidData) as bad:
            perform(key, "settle_in_kind", {"replacement": _code(work, wrong)})
        assert "replacement" in bad.value.errors
    with place.acting() as work:
        perform(key, "settle_in_kind", {"replacement": _code(work, fresh)})
    assert place.state(key) == values.CLOSED
    assert owed(place, key) == 0
    row = detail(place, key)
    assert (row.settlement, row.replacement_id) == (values.IN_KIND, fresh)
    assert place.state(tool) == values.SCRAPPED


def _code(work: Any, tool: int) -> str:
    from plugins.tools.models import Tool

    return str(work.get_one(Tool, tool).code)


def test_money_only_where_the_clause_wants_money(place: Place) -> None:
    only(place, "R15-18b")
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool)
    judge(place, key, user=place.ann)
    approve(place, key, place.staff("responsible_leader"))
    with pytest.raises(Refused) as refused:
        agree(place, key, how=values.IN_KIND)
    assert codes(refused.value) == {"in_kind"}


def test_found_before_paying_nothing_is_owed(place: Place) -> None:
    tool, key = lost_and_owed(place)
    with place.acting():
        perform(key, "found", {"reason": "在车上"})
    assert (place.state(key), place.state(tool)) == (values.CLOSED, values.ISSUED)
    assert owed(place, key) == 0


def test_found_after_paying_the_money_goes_back(place: Place) -> None:
    tool, key = lost_and_owed(place)
    with place.acting(place.finance):
        perform(key, "settle", {"receipt": "SJ-1"})
    with place.acting(), pytest.raises(Refused):
        perform(key, "found", {"reason": "在车上"})
    with place.acting():
        perform(key, "found_paid", {"reason": "在车上"})
    assert (place.state(key), place.state(tool)) == (values.REFUND, values.IN_STORE)
    assert place.holder(tool) == place.store
    lines = charges_of(place, key)
    assert [(one.amount, one.state) for one in lines] == [
        (Decimal("168.00"), "settled"),
        (Decimal("-168.00"), "posted"),
    ]
    with place.acting(place.finance):
        assert settling.to_refund(key) == Decimal("168.00")
        perform(key, "refund", {"receipt": "TK-1"})
        assert settling.to_refund(key) == 0
    assert place.state(key) == values.CLOSED
    assert {one.state for one in charges_of(place, key)} == {"settled"}
    with place.acting(), pytest.raises(Refused):
        perform(key, "found", {"reason": "又找到"})


def test_what_was_lost_and_brought_back_closes_its_incident(place: Place) -> None:
    tool, key = lost_and_owed(place)
    place.bring_back(place.ann, tool)
    assert (place.state(key), place.state(tool)) == (values.CLOSED, values.IN_STORE)
    assert owed(place, key) == 0


def test_a_defect_is_over_when_the_tool_is_sound(place: Place) -> None:
    tool = place.tool()
    key = report(place, tool, values.DEFECT)
    with place.acting():
        perform(key, "repaired", {"result": "换了弹簧"})
    assert (place.state(key), place.state(tool)) == (values.CLOSED, values.IN_STORE)
    place.issue(place.ann, tool)
    key = report(place, tool, values.DAMAGE, place.ann)
    with place.acting():
        perform(key, "repaired", {"result": "换了弹簧"})
    assert (place.state(key), place.state(tool)) == (values.REPORTED, values.ISSUED)


def test_a_mistake_is_undone(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, by=place.ann)
    with place.acting(place.manager):
        perform(key, "cancel", {"reason": "没有丢"})
    assert (place.state(key), place.state(tool)) == (values.CANCELLED, values.ISSUED)


# --- breaches ------------------------------------------------------------------------------------


@pytest.mark.clause("R32-6.2")
@pytest.mark.clause("R33-10.1")
@pytest.mark.parametrize(
    ("breach", "off", "clause"),
    [
        (values.PRIVATE_LENDING, (), "R32-6.2"),
        (values.PRIVATE_LENDING, ("R32-6.2",), "R33-10.1"),
        (values.PRIVATE_LENDING, ("R32-6.2", "R33-10.1"), ""),
        (values.TAKEN_OUT, (), "R33-10.1"),
    ],
)
def test_a_breach_brings_a_penalty_proposal(place: Place, breach: str, off: tuple[str, ...], clause: str) -> None:
    for one in ("R32-6.2", "R33-10.1"):
        place.clause(one, one not in off)
    tool = place.tool()
    place.issue(place.ann, tool)
    key = report(place, tool, values.BREACH, breach=breach, user=place.ann.id)
    assert place.state(tool) == values.ISSUED
    judge(place, key, penalty="50")  # whom it concerns stands on the report
    found = place.all(select(Penalty).where(Penalty.record_id == key))
    expected = [(clause, place.ann.id, Decimal("50.00"), "proposed")] if clause else []
    assert [(one.clause, one.user_id, one.amount, one.state) for one in found] == expected


@pytest.mark.clause("R33-10.1")
def test_a_breach_entered_by_mistake_is_cancelled_once_its_penalty_was_dropped(place: Place) -> None:
    place.clause("R33-10.1")
    decider, tool = place.staff("service_leader"), place.tool()
    place.issue(place.ann, tool)

    def judged() -> int:
        key = report(place, tool, values.BREACH, breach=values.TAKEN_OUT, user=place.ann.id)
        judge(place, key, penalty="50")
        return key

    def cancel(key: int) -> None:
        with place.acting(place.manager):
            perform(key, "cancel", {"reason": "看错了"})

    def decide(key: int, *, drop: bool) -> None:
        row = place.all(select(Penalty.id).where(Penalty.record_id == key))[0]
        with place.acting(decider):
            penalties.drop(row, "不成立") if drop else penalties.agree(row, "属实", "50")

    dropped, agreed = judged(), judged()
    with pytest.raises(Refused) as waits:
        cancel(dropped)
    assert codes(waits.value) == {"penalty"}
    decide(dropped, drop=True)
    cancel(dropped)
    assert place.state(dropped) == values.CANCELLED
    decide(agreed, drop=False)
    with pytest.raises(Refused):
        cancel(agreed)
    assert place.state(agreed) == values.JUDGED


# --- reading -------------------------------------------------------------------------------------


def test_what_is_open_of_a_person(place: Place) -> None:
    _, key = lost_and_owed(place)
    other = place.tool()
    report(place, other)  # in the store: nobody's
    with place.acting():
        assert [one.id for one in incidents.open_of_person(place.unit.id, place.ann.id)] == [key]
        assert not incidents.open_of_person(place.unit.id, place.keeper.id)
        assert judging.payable(key) == 168
        assert session() is not None

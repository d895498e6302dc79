"""Statements are answered line by line, disputes decided, approved by other eyes, sealed, invoiced and paid."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.records.attachments import attach
from core.rules.obligation_models import Obligation
from core.sdk import Charge, session, transaction
from plugins.agents import rights, settlement, statements
from plugins.agents.models import Statement, StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import IN_DECEMBER, IN_NOVEMBER, NOVEMBER, OCTOBER, Desk, make_desk
from tests.helpers import as_system


@pytest.fixture
def desk(app: Any) -> Desk:
    """Two lines they owe and one we owe, of October; it is November."""
    made = make_desk()
    made.bill("100.00")
    made.bill("50.00")
    made.bill("30.00", payer="company")
    made.place.now = IN_NOVEMBER
    return made


def ids(desk: Desk, key: int) -> list[int]:
    return [one.id for one in desk.lines(key)]


def test_confirmed_line_by_line_it_is_agreed(desk: Desk) -> None:
    key = desk.sent()
    first, *rest = ids(desk, key)
    desk.answer(first)
    assert desk.state(key) == "sent"
    for one in rest:
        desk.answer(one)
    assert desk.state(key) == "agreed"
    assert {one.answered_by for one in desk.lines(key)} == {desk.people[0].id}


def test_nobody_but_the_agents_own_people_and_who_settles_answers(desk: Desk) -> None:
    key = desk.sent()
    line = ids(desk, key)[0]
    with pytest.raises(NotFound):
        desk.answer(line, number=1)
    with desk.acting(permissions=scene.ALL - {rights.SETTLE}), pytest.raises(NotFound):
        statements.answer_line(line, {"answer": "confirm"})
    with desk.acting():
        assert statements.answer_line(line, {"answer": "confirm"}).answered_by == desk.settler.id


def test_a_draft_is_answered_by_nobody(desk: Desk) -> None:
    line = ids(desk, desk.settled())[0]
    with pytest.raises(NotFound):
        desk.answer(line)
    with desk.acting(), pytest.raises(Refused):
        statements.answer_line(line, {"answer": "confirm"})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"answer": "maybe"},
        {"answer": "dispute"},
        {"answer": "dispute", "dispute": "错", "claimed": "1.234"},
        {"answer": "dispute", "dispute": "错", "claimed": "NaN"},
        {"answer": "dispute", "dispute": "长" * 1001},
    ],
)
def test_bad_answers_are_said_beside_the_field(desk: Desk, given: Any) -> None:
    line = ids(desk, desk.sent())[0]
    with desk.as_agent(), pytest.raises(InvalidData):
        statements.answer_line(line, given)


def test_a_dispute_allowed_makes_a_correcting_charge_on_the_same_statement(desk: Desk) -> None:
    key = desk.sent()
    first, *rest = ids(desk, key)
    desk.answer(first, "dispute", dispute="只来了一人", claimed="80")
    for one in rest:
        desk.answer(one)
    assert desk.state(key) == "disputed"
    desk.decide(first, "allow", amount="80")
    assert desk.state(key) == "agreed"
    assert desk.sums(key) == (Decimal("130.00"), Decimal("30.00"), 4)
    new = desk.lines(key)[-1]
    assert (new.amount, desk.charge(new.charge_id).adjusts_id) == (Decimal("-20.00"), desk.lines(key)[0].charge_id)


def test_a_correction_made_before_is_not_made_again(desk: Desk) -> None:
    """The case was billed anew meanwhile: the correction there is joins the statement, no second one is made."""
    key = desk.sent()
    first = desk.lines(key)[0]
    desk.adjust(first.charge_id, "80")
    desk.answer(first.id, "dispute", dispute="只来了一人", claimed="80")
    desk.decide(first.id, "allow", amount="80")
    assert desk.sums(key)[0] == Decimal("130.00")
    assert desk.settle() is None


def test_allowing_what_it_comes_to_already_is_said(desk: Desk) -> None:
    first = ids(desk, desk.sent())[0]
    desk.answer(first, "dispute", dispute="不认", claimed="0")
    with pytest.raises(InvalidData):
        desk.decide(first, "allow", amount="100")
    with pytest.raises(InvalidData):
        desk.decide(first, "allow", amount="-1")


def test_a_dispute_rejected_is_looked_at_again(desk: Desk) -> None:
    key = desk.sent()
    first, *rest = ids(desk, key)
    desk.answer(first, "dispute", dispute="不认")
    for one in rest:
        desk.answer(one)
    desk.decide(first, "reject")
    assert desk.state(key) == "sent"
    desk.answer(first)
    assert (desk.state(key), desk.sums(key)[0]) == ("agreed", Decimal("150.00"))


def test_without_their_agreement_it_ends_with_a_reason_by_who_approves(desk: Desk) -> None:
    key = desk.sent()
    first = ids(desk, key)[0]
    desk.answer(first, "dispute", dispute="不认")
    with pytest.raises(Refused):  # not before the dispute is decided
        desk.do(key, "agree", {"reason": "一直不答复"}, user=desk.approver)
    desk.decide(first, "reject")
    with pytest.raises(InvalidData):
        desk.do(key, "agree", {}, user=desk.approver)
    with desk.acting(permissions=scene.ALL - {rights.APPROVE}), pytest.raises(NotAllowed):
        statements.perform(key, "agree", {"reason": "一直不答复"})
    desk.do(key, "agree", {"reason": "一直不答复"}, user=desk.approver)
    assert desk.state(key) == "agreed"


def test_a_line_moved_away_goes_to_a_later_statement(desk: Desk) -> None:
    key = desk.sent()
    first, *rest = ids(desk, key)
    charge = desk.lines(key)[0].charge_id
    desk.answer(first, "dispute", dispute="要看旧件")
    for one in rest:
        desk.answer(one)
    desk.decide(first, "carry")
    assert (desk.state(key), desk.sums(key)) == ("agreed", (Decimal("50.00"), Decimal("30.00"), 2))
    desk.place.now = IN_DECEMBER
    later = desk.settled(NOVEMBER)
    assert [one.charge_id for one in desk.lines(later)] == [charge]


def test_only_who_settles_decides_and_only_what_is_disputed(desk: Desk) -> None:
    first = ids(desk, desk.sent())[0]
    with pytest.raises(Refused):
        desk.decide(first, "reject")
    desk.answer(first, "dispute", dispute="不认")
    with desk.acting(permissions=scene.ALL - {rights.SETTLE}), pytest.raises(NotAllowed):
        statements.decide_dispute(first, {"decision": "reject", "reason": "核对"})
    with desk.acting(), pytest.raises(InvalidData):
        statements.decide_dispute(first, {"decision": "reject"})


def test_who_made_it_or_decided_its_disputes_does_not_approve(desk: Desk) -> None:
    key = desk.sent()
    first = ids(desk, key)[0]
    desk.answer(first, "dispute", dispute="不认")
    desk.decide(first, "allow", user=desk.place.desk, amount="90")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.look_through(key)
    for nobody in (desk.settler, desk.place.desk):
        with pytest.raises(Refused):
            desk.do(key, "approve", user=nobody)
    desk.do(key, "approve", user=desk.approver)
    assert desk.state(key) == "approved"


@pytest.mark.clause("R18-5.1.2b")
def test_approved_it_falls_due_after_thirty_days_or_as_the_contract_says(desk: Desk) -> None:
    today = date(2025, 11, 10)
    assert desk.statement(desk.approved()).due_on == today + timedelta(days=30)


def test_a_contract_says_how_many_days_there_are_to_pay(desk: Desk) -> None:
    desk.place.contract(desk.agents[0], payment_days=10)
    assert desk.statement(desk.approved()).due_on == date(2025, 11, 20)


def test_a_dispute_after_approval_is_taken_up_in_the_next_period(desk: Desk) -> None:
    key = desk.approved()
    line = desk.lines(key)[0]
    with pytest.raises(Refused) as refused:
        desk.answer(line.id, "dispute", dispute="想起来了")
    assert "next period" in str(refused.value.refusals[0].text)
    with desk.acting(), pytest.raises(Refused):
        statements.carry(line.id, "再看")
    desk.adjust(line.charge_id, "60")
    assert desk.sums(key)[0] == Decimal("150.00")
    desk.place.now = IN_DECEMBER
    assert desk.sums(desk.settled(NOVEMBER))[0] == Decimal("-40.00")


def test_sealed_needs_the_scan_and_a_day_that_can_be(desk: Desk) -> None:
    key = desk.approved()
    with pytest.raises(Refused):
        desk.do(key, "seal", {"sealed_on": "2025-11-10"})
    with desk.acting():
        attach(key, "盖章件.pdf", io.BytesIO(b"%PDF-1.4"))
    for day in ("2025-11-11", "2025-11-09"):
        with pytest.raises(InvalidData):
            desk.do(key, "seal", {"sealed_on": day})
    desk.do(key, "seal", {"sealed_on": "2025-11-10"})
    assert desk.state(key) == "sealed"


def test_who_is_owed_something_has_issued_an_invoice(desk: Desk) -> None:
    key = desk.approved()
    desk.seal(key)
    with pytest.raises(InvalidData) as missing:
        desk.do(key, "invoice", {"our_invoice": "FP-001"})
    assert list(missing.value.errors) == ["their_invoice"]
    assert desk.state(key) == "sealed"


def test_paid_on_both_sides_its_charges_are_settled_and_it_can_be_closed(desk: Desk) -> None:
    key = desk.invoiced()
    with pytest.raises(Refused):
        desk.do(key, "close")
    with desk.acting(), transaction():
        row = session().get_one(Statement, key)
        row.received = row.receivable
        assert not statements.paid_up(row)
    assert [desk.charge(one.charge_id).state for one in desk.lines(key)] == ["settled", "settled", "posted"]
    desk.pay(key)
    assert desk.state(key) == "paid"
    with desk.acting(), transaction():
        row = session().get_one(Statement, key)
        row.received -= 1
        statements.paid_up(row)
    assert (desk.state(key), desk.charge(desk.lines(key)[0].charge_id).state) == ("invoiced", "posted")
    desk.pay(key)
    desk.do(key, "close")
    assert desk.state(key) == "closed"


def test_a_correction_on_the_next_statement_is_not_settled_with_this_one(desk: Desk) -> None:
    key = desk.invoiced()
    line = desk.lines(key)[0]
    desk.adjust(line.charge_id, "60")
    desk.pay(key)
    desk.place.now = IN_DECEMBER
    after = desk.lines(desk.settled(NOVEMBER))
    assert [(one.amount, desk.charge(one.charge_id).state) for one in after] == [(Decimal("-40.00"), "posted")]


def test_where_nothing_is_to_be_paid_the_invoices_end_it(desk: Desk) -> None:
    for line in desk.lines(desk.settled()):
        desk.adjust(line.charge_id, "0")
    _all_into(desk, OCTOBER)
    key = desk.settled()
    assert desk.sums(key) == (Decimal("0.00"), Decimal("0.00"), 6)
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.look_through(key)
    desk.do(key, "approve", user=desk.approver)
    desk.seal(key)
    desk.do(key, "invoice", {})
    assert desk.state(key) == "paid"


def _all_into(desk: Desk, month: str) -> None:
    with as_system() as work:
        work.execute(
            update(Charge).where(Charge.unit_id == desk.unit.id).values(month=month),
            execution_options={"audited": "test"},
        )


def test_whoever_answered_on_the_agents_word_does_not_approve(desk: Desk) -> None:
    key = desk.sent()
    first, second, third = ids(desk, key)
    with desk.acting(desk.approver):
        statements.answer_line(first, {"answer": "confirm"})
    for one in (second, third):
        desk.answer(one)
    desk.look_through(key)
    with pytest.raises(Refused) as refused:
        desk.do(key, "approve", user=desk.approver)
    assert [one.code for one in refused.value.refusals] == ["other_eyes"]
    assert desk.state(key) == "agreed"
    with desk.acting():
        statements.carry(first, "下期再结")
    desk.look_through(key)
    desk.do(key, "approve", user=desk.approver)


@pytest.mark.clause("DL-3")
def test_failed_checks_need_a_note_or_another_statement(desk: Desk) -> None:
    key = desk.settled()
    _fail(desk, ids(desk, key)[:2])
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    with pytest.raises(Refused) as refused:
        desk.do(key, "approve", user=desk.approver)
    assert refused.value.refusals[0].clause == "DL-3"
    first, second, third = ids(desk, key)
    with desk.acting():
        statements.note_check(first, "已电话核实")
        with pytest.raises(Refused):
            statements.note_check(third, "没有失败")
        with pytest.raises(InvalidData):
            statements.note_check(second, " ")
        statements.carry(second, "等旧件")
    desk.do(key, "approve", user=desk.approver)


@pytest.mark.clause("DL-3")
def test_a_unit_may_leave_old_parts_out(desk: Desk) -> None:
    key = desk.settled()
    _fail(desk, ids(desk, key)[:1], "old_part")
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.place.clause("DL-3", old_parts=False)
    desk.do(key, "approve", user=desk.approver)


def _fail(desk: Desk, keys: list[int], check: str = "notice") -> None:
    """Let these lines have failed a check, and no other."""
    with as_system() as work:
        for row in work.scalars(select(StatementLine)):
            row.checks, row.failed = {}, False
        for key in keys:
            row = work.get_one(StatementLine, key)
            row.checks, row.failed = {check: ["failed", ""]}, True


@pytest.mark.clause("DL-5")
def test_an_answer_is_due_within_a_week_of_sending(desk: Desk) -> None:
    key = desk.sent()
    found = _obligation(desk, key, "DL-5")
    assert (found.state, (found.due_at - desk.place.now).days) == ("open", 7)
    with desk.as_agent():
        statements.confirm_all(key)
    assert _obligation(desk, key, "DL-5").state == "met"


@pytest.mark.clause("R18-5.1.2b")
def test_payment_is_due_after_approval(desk: Desk) -> None:
    key = desk.approved()
    assert _obligation(desk, key, "R18-5.1.2b").state == "open"
    desk.seal(key)
    desk.do(key, "invoice", {"our_invoice": "FP-001", "their_invoice": "FP-002"})
    desk.pay(key)
    assert _obligation(desk, key, "R18-5.1.2b").state == "met"


def _obligation(desk: Desk, key: int, clause: str) -> Any:
    return desk._all(select(Obligation).where(Obligation.record_id == key, Obligation.clause == clause))[-1]


def test_checks_are_made_anew_until_it_is_approved(desk: Desk) -> None:
    key = desk.settled()
    _fail(desk, ids(desk, key))
    with desk.acting():
        settlement.check_again(key)
    assert desk.statement(key).failed_count == sum(one.failed for one in desk.lines(key))
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.look_through(key)
    desk.do(key, "approve", user=desk.approver)
    with desk.acting(), pytest.raises(Refused):
        settlement.check_again(key)

"""What happens to a case, a charge or a contract after its lines stand on a statement: sums that agree."""

from __future__ import annotations

import threading
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel.errors import InvalidData, Refused
from core.sdk import Charge, charges, perform
from plugins.agents import payments, settlement, statements
from plugins.agents.models import Payment, Statement, StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import IN_DECEMBER, IN_NOVEMBER, NOVEMBER, OCTOBER, Desk, make_desk
from tests.helpers import current

FEE = "R18-5.1.2b"


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


# --- disputes ------------------------------------------------------------------------------------


def test_a_dispute_that_is_allowed_is_never_to_their_disadvantage(desk: Desk) -> None:
    """The correcting line cannot be disputed: neither do they owe more by it, nor we less."""
    key = desk.sent()
    theirs, _other, ours = ids(desk, key)
    desk.answer(theirs, "dispute", dispute="不认")
    desk.answer(ours, "dispute", dispute="少算一次上门", claimed="60")
    with pytest.raises(InvalidData):
        desk.decide(theirs, "allow", amount="1000")
    with pytest.raises(InvalidData):
        desk.decide(ours, "allow", amount="29.99")
    desk.decide(theirs, "allow", amount="0")
    desk.decide(ours, "allow", amount="60")
    assert desk.sums(key) == (Decimal("50.00"), Decimal("60.00"), 5)


def test_a_dispute_is_decided_once(desk: Desk) -> None:
    first = ids(desk, desk.sent())[0]
    desk.answer(first, "dispute", dispute="不认")
    desk.decide(first, "allow", amount="90")
    for decision in ("allow", "reject", "carry"):
        with pytest.raises(Refused):
            desk.decide(first, decision, amount="80")
    with pytest.raises(Refused):
        desk.answer(first, "dispute", dispute="还是不认")


def test_a_line_and_what_corrects_it_are_moved_together(desk: Desk) -> None:
    key = desk.sent()
    first, second, third = ids(desk, key)
    desk.answer(first, "dispute", dispute="只来了一人")
    desk.decide(first, "allow", amount="80")
    with desk.acting():
        statements.carry(first, "等旧件")
    assert desk.sums(key) == (Decimal("50.00"), Decimal("30.00"), 2)
    desk.place.now = IN_DECEMBER
    later = desk.settled(NOVEMBER)
    assert [one.amount for one in desk.lines(later)] == [Decimal("100.00"), Decimal("-20.00")]
    correction = ids(desk, later)[1]
    with desk.acting():
        statements.carry(correction, "再等")
    assert desk.sums(later) == (Decimal("0.00"), Decimal("0.00"), 0)
    assert {second, third} == {one.id for one in desk.lines(key) if not one.released}


def test_a_rejected_line_may_still_be_moved(desk: Desk) -> None:
    key = desk.sent()
    first, *rest = ids(desk, key)
    desk.answer(first, "dispute", dispute="不认")
    for one in rest:
        desk.answer(one)
    desk.decide(first, "reject")
    with desk.acting():
        statements.carry(first, "下月再核")
    assert (desk.state(key), desk.sums(key)[0]) == ("agreed", Decimal("50.00"))


def test_a_statement_without_lines_is_not_approved(desk: Desk) -> None:
    key = desk.agreed()
    with desk.acting():
        for one in ids(desk, key):
            statements.carry(one, "下月再核")
    with pytest.raises(Refused):
        desk.do(key, "approve", user=desk.approver)
    desk.do(key, "reopen", {"reason": "没有明细"}, user=desk.approver)
    desk.do(key, "cancel", {"reason": "没有明细"})
    assert len(desk.lines(desk.settled())) == 3


def test_cancelled_with_answers_and_corrections_everything_is_billed_again_once(desk: Desk) -> None:
    key = desk.sent()
    first, second, _third = ids(desk, key)
    desk.answer(first, "dispute", dispute="只来了一人")
    desk.decide(first, "allow", amount="80")
    desk.answer(second)
    desk.do(key, "cancel", {"reason": "发错了"})
    assert desk.sums(key) == (Decimal("0.00"), Decimal("0.00"), 0)
    desk.place.now = IN_DECEMBER
    assert desk.settle(OCTOBER) is not None  # the correction is of November
    _once(desk, desk.settled(OCTOBER), desk.settled(NOVEMBER))


def _once(desk: Desk, *keys: int) -> None:
    """Every posted charge stands on one statement, and the sums are those of the charges."""
    lines = [line for key in keys for line in desk.lines(key) if not line.released]
    rows = [one for one in desk._all(select(Charge)) if one.payer_ref]
    assert sorted(one.charge_id for one in lines) == sorted(one.id for one in rows)
    assert sum(one.amount for one in lines) == sum(one.amount for one in rows)


# --- charges by hand -----------------------------------------------------------------------------


@pytest.mark.parametrize("until", ["draft", "sent", "approved", "closed"])
def test_a_charge_waived_by_hand_changes_no_statement_but_the_next(desk: Desk, until: str) -> None:
    key = {"draft": desk.settled, "sent": desk.sent, "approved": desk.approved, "closed": desk.invoiced}[until]()
    if until == "closed":
        desk.pay(key)
        desk.do(key, "close")
    charge, before = desk.lines(key)[0].charge_id, desk.sums(key)
    with desk.acting():
        if until == "closed":  # settled: corrected, not waived
            with pytest.raises(Refused):
                charges.waive(charge, "协商减免", "10")
            charges.adjust(charge, "90", "协商减免")
        else:
            charges.waive(charge, "协商减免", "10")
        with pytest.raises(Refused):
            charges.move(charge, "void", "作废")
    assert desk.sums(key) == before
    desk.place.now = IN_DECEMBER
    assert desk.sums(desk.settled(NOVEMBER))[0] == Decimal("-10.00")


def test_months_closed_in_the_core_change_no_statement(desk: Desk) -> None:
    with desk.acting():
        charges.close_month(desk.unit.id, OCTOBER)
    key = desk.sent()
    first = ids(desk, key)[0]
    desk.answer(first, "dispute", dispute="只来了一人")
    with desk.acting():
        charges.close_month(desk.unit.id, NOVEMBER)
    desk.decide(first, "allow", amount="80")
    made = desk.charge(desk.lines(key)[-1].charge_id)
    assert (made.month, made.amount, desk.sums(key)[0]) == ("2025-12", Decimal("-20.00"), Decimal("130.00"))


# --- cases ---------------------------------------------------------------------------------------


@pytest.fixture
def real(app: Any) -> tuple[Desk, int]:
    """A case that was billed in October, approved and settled in November."""
    made = make_desk()
    made.place.item(agent=made.agents[0])
    case = made.place.case()
    made.place.notify(case)
    made.place.solve(case)
    made.place.bill(case)
    made.place.now = IN_NOVEMBER
    key = made.invoiced()
    made.pay(key)
    return made, case


@pytest.mark.clause(FEE)
def test_a_decision_revised_after_it_was_paid_is_given_back_on_the_next_statement(real: tuple[Desk, int]) -> None:
    desk, case = real
    desk.place.decide(case, "misuse", "人为损坏")
    assert desk.place.owes(case) == 0
    desk.place.now = IN_DECEMBER
    key = desk.settled(NOVEMBER)
    assert desk.sums(key)[0] == -scene.JOB_TOTAL
    desk.do(key, "send")
    with desk.as_agent():
        statements.confirm_all(key)
    desk.do(key, "approve", user=desk.approver)
    desk.seal(key)
    desk.do(key, "invoice", {})
    paid = {"agent_id": desk.agents[0], "kind": "out", "amount": str(scene.JOB_TOTAL), "reference": "退款1"}
    with desk.acting():
        row = payments.register(desk.unit.id, {**paid, "paid_on": "2025-12-05"})
        assert payments.rest_of([row.id])[row.id] == 0
    assert desk.state(key) == "paid"


@pytest.mark.clause(FEE)
def test_what_was_allowed_in_a_dispute_is_not_undone_by_deciding_the_same_again(app: Any) -> None:
    desk = make_desk()
    desk.place.item(agent=desk.agents[0])
    case = desk.place.case()
    desk.place.notify(case)
    desk.place.solve(case)
    desk.place.bill(case)
    desk.place.now = IN_NOVEMBER
    key = desk.sent()
    travel = next(one for one in desk.lines(key) if one.code == "travel")
    desk.answer(travel.id, "dispute", dispute="同城不收")
    desk.decide(travel.id, "allow", amount="0")
    waived = next(one for one in desk.lines(key) if one.code == "lodging").charge_id
    desk.adjust(waived, "100")
    left = scene.JOB_TOTAL - 330 - 50
    desk.place.do(case, "warranty:decide", {"cause": "quality", "reason": "复核"})
    desk.place.do(case, "agents:name", {"agent": desk.code(), "document": "XS-1"})
    assert desk.place.owes(case) == left
    assert "bill_changed" not in desk.place.kinds(case)


@pytest.mark.clause(FEE)
def test_what_was_allowed_in_a_dispute_stands_when_the_bill_is_entered_again(app: Any) -> None:
    """Only the rest follows: two people travelled on, but the travel that was struck stays struck."""
    desk = make_desk()
    desk.place.item(agent=desk.agents[0])
    case = desk.place.case()
    desk.place.notify(case)
    desk.place.solve(case)
    desk.place.bill(case)
    desk.place.now = IN_NOVEMBER
    key = desk.sent()
    travel = next(one for one in desk.lines(key) if one.code == "travel")
    desk.answer(travel.id, "dispute", dispute="同城不收")
    desk.decide(travel.id, "allow", amount="30")
    desk.place.bill(case)
    assert desk.place.owes(case) == scene.JOB_TOTAL - 300
    desk.place.bill(case, parts="P-1, 2", travel="500")
    assert desk.place.owes(case) == scene.JOB_TOTAL - 300 + 300
    # The entry says so, and a smaller amount than was allowed still counts.
    assert "30.00" in desk.place.data_of(case, "agent_billed")["stands"]
    desk.place.bill(case, parts="P-1, 2", travel="10")
    assert desk.place.owes(case) == scene.JOB_TOTAL - 320 + 300
    desk.place.bill(case, parts="P-1, 2", travel="330")
    assert desk.place.owes(case) == scene.JOB_TOTAL - 320 + 300


@pytest.mark.clause(FEE)
def test_what_one_agent_was_allowed_is_not_allowed_to_another(app: Any) -> None:
    desk = make_desk()
    item = desk.place.item(agent=desk.agents[0])
    case = desk.place.case()
    desk.place.notify(case)
    desk.place.solve(case)
    desk.place.bill(case)
    desk.place.now = IN_NOVEMBER
    key = desk.sent()
    travel = next(one for one in desk.lines(key) if one.code == "travel")
    desk.answer(travel.id, "dispute", dispute="同城不收")
    desk.decide(travel.id, "allow", amount="0")
    assert item
    desk.place.do(case, "agents:name", {"agent": desk.code(1), "reason": "出库单查明"})
    owed = {desk.code(n): Decimal(0) for n in (0, 1)}
    for one in desk.place.charges(case, "agent"):
        owed[one.payer_ref] += one.amount
    assert owed == {desk.code(0): Decimal(0), desk.code(1): scene.JOB_TOTAL}


@pytest.mark.clause(FEE)
def test_worked_on_again_after_it_was_paid_only_the_difference_is_billed(real: tuple[Desk, int]) -> None:
    desk, case = real
    desk.place.do(case, "rework", {"reason": "客户反映未修好"})
    desk.place.do(case, "depart")
    desk.place.do(case, "arrive")
    desk.place.do(case, "solve")
    desk.place.bill(case, travel="400")
    assert desk.place.owes(case) == scene.JOB_TOTAL + 70
    desk.place.now = IN_DECEMBER
    assert desk.sums(desk.settled(NOVEMBER))[0] == Decimal("70.00")


# --- contracts -----------------------------------------------------------------------------------


def test_a_contract_for_some_series_says_when_a_statement_is_due(desk: Desk) -> None:
    desk.place.contract(desk.agents[0], series=[scene.CATEGORY], payment_days=10, netting=True)
    row = desk.statement(desk.approved())
    assert (row.due_on, row.netting) == (date(2025, 11, 20), True)


def test_of_several_contracts_the_one_for_everything_says_when(desk: Desk) -> None:
    everything = desk.place.contract(desk.agents[0], payment_days=20)
    desk.place.contract(desk.agents[0], series=[scene.CATEGORY], payment_days=10, starts_on=date(2025, 1, 1))
    over = {"ends_on": date(2025, 10, 30), "payment_days": 5}
    desk.place.contract(desk.agents[0], series=[scene.MODEL], **over)
    row = desk.statement(desk.settled())
    assert (row.contract_id, row.payment_days) == (everything, 20)


# --- at once -------------------------------------------------------------------------------------


def test_two_who_pay_the_same_agent_at_once_pay_nothing_twice(desk: Desk) -> None:
    key = desk.approved()
    failed = _at_once(desk, [lambda number=number: _pay(desk, number) for number in range(3)])
    assert not failed
    row = desk.statement(key)
    assert row.received == row.receivable == Decimal("150.00")
    with desk.acting():
        assert payments.on_account(desk.agents[0]) == {"in": Decimal("150.00")}
    assert len(desk._all(select(Payment))) == 3


def _pay(desk: Desk, number: int) -> None:
    given = {"kind": "in", "amount": "100", "paid_on": "2025-11-10", "reference": f"银行{number}"}
    payments.register(desk.unit.id, {**given, "agent_id": desk.agents[0]})


def test_the_same_transfer_entered_twice_at_once_is_entered_once(desk: Desk) -> None:
    desk.approved()
    failed = _at_once(desk, [lambda: _pay(desk, 1)] * 3)
    assert len(failed) == 2
    assert all(isinstance(one, InvalidData) for one in failed)


def test_two_contracts_started_at_once_do_not_both_hold(desk: Desk) -> None:
    keys = [desk.place.contract(desk.agents[0], state="signed") for _ in range(2)]
    failed = _at_once(desk, [lambda key=key: perform(key, "start", {}) for key in keys])
    assert [type(one) for one in failed] == [Refused]
    assert sorted(map(desk.state, keys)) == ["in_force", "signed"]


def test_a_line_is_moved_and_settled_at_once(desk: Desk) -> None:
    key = desk.sent()
    first = ids(desk, key)[0]
    desk.place.now = IN_DECEMBER
    _at_once(
        desk,
        [
            lambda: statements.carry(first, "再核"),
            lambda: settlement.settle_agent(desk.unit.id, desk.agents[0], NOVEMBER),
        ],
    )
    desk.settle(NOVEMBER)
    held = [one for one in desk._all(select(StatementLine)) if not one.released]
    assert len(held) == len({one.charge_id for one in held}) == 3
    for row in desk._all(select(Statement)):
        mine = [one.amount for one in held if one.statement_id == row.id and one.direction == "receivable"]
        assert row.receivable == sum(mine, Decimal(0))


def _at_once(desk: Desk, acts: list[Any]) -> list[BaseException]:
    """Do all at the same time, each as a user of its own thread; return what was refused."""
    app, gate = current(), threading.Barrier(len(acts))
    failed: list[BaseException] = []

    def work(act: Any) -> None:
        try:
            with app.app_context(), desk.acting():
                gate.wait(30)
                act()
        except Exception as error:  # whatever it is, the test looks at it
            failed.append(error)

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return failed

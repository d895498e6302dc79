"""Attacks on money: nobody pays twice, more than the price, for what they never had, or for themselves."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import Base
from core.rules import charges as ledger
from core.rules.charge_models import Charge
from core.rules.setting_models import IN_FORCE, ClauseSetting
from core.sdk import (
    AppError,
    Conflict,
    InvalidData,
    NotAllowed,
    Refused,
    User,
    approvals,
    lock,
    perform,
    transaction,
    uuid7,
)
from plugins.tools import deductions, judging, reports, settling, values
from plugins.tools.models import Deduction, Incident, Party, Tool
from tests.helpers import as_system, login

from .scene import Place, clauses, code_of, codes, make_place
from .scene_buying import make_shop
from .test_deductions import deduct
from .test_incidents import (
    agree,
    approve,
    charges_of,
    decider,
    detail,
    judge,
    lost_and_owed,
    only,
    owed,
    report,
)
from .test_purchase import ordered, receive


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    return make_place()


def in_ann_s_hands(place: Place, price: str | None = "168.00", **more: Any) -> int:
    tool = place.tool(price=Decimal(price) if price is not None else None, **more)
    place.issue(place.ann, tool)
    place.later(hours=1)
    return tool


def charged(place: Place, tool: int, kind: str = values.LOSS, cause: str = values.CARELESS) -> int:
    """Take an incident of Ann's from the report to her yes; return it."""
    key = report(place, tool, kind)
    judge(place, key, cause, place.ann)
    approve(place, key)
    agree(place, key)
    return key


def settle(place: Place, key: int, user: User | None = None) -> None:
    with place.acting(user or place.finance):
        perform(key, "settle", {"receipt": "SJ-1"})


def posted(place: Place, key: int) -> Decimal:
    return sum((one.amount for one in charges_of(place, key) if one.state in ledger.FIXED), Decimal(0))


# --- one tool, one payment -----------------------------------------------------------------------


def test_the_same_damage_reported_twice_is_charged_once(place: Place) -> None:
    only(place, "R35-6.3")
    tool = in_ann_s_hands(place)
    charged(place, tool, values.DAMAGE, values.MISUSE)
    again = report(place, tool, values.DAMAGE)
    with pytest.raises(Refused) as refused:
        judge(place, again, values.MISUSE, place.ann)
    assert codes(refused.value) == {"charged"}
    assert not charges_of(place, again)
    with place.acting(place.manager):
        perform(again, "cancel", {"reason": "重复"})


def test_another_damage_after_the_repair_is_charged_anew(place: Place) -> None:
    only(place, "R35-6.3")
    tool = in_ann_s_hands(place)
    first = charged(place, tool, values.DAMAGE, values.MISUSE)
    place.later(hours=1)
    with place.acting():
        perform(first, "repaired", {"result": "换了刀头"})
    place.later(hours=1)
    second = report(place, tool, values.DAMAGE)
    judge(place, second, values.MISUSE, place.ann)
    assert detail(place, second).amount == Decimal("84.00")


def test_a_damaged_tool_that_is_lost_costs_its_price_in_all(place: Place) -> None:
    only(place, "R35-6.3", "R35-6.2")
    tool = in_ann_s_hands(place)
    first = charged(place, tool, values.DAMAGE, values.MISUSE)
    second = charged(place, tool, values.LOSS)
    assert (posted(place, first), posted(place, second)) == (Decimal("84.00"), Decimal("84.00"))


def test_what_was_judged_anew_counts_once(place: Place) -> None:
    _, key = lost_and_owed(place)
    for _ in range(3):
        with place.acting(place.manager):
            perform(key, "rejudge", {"reason": "再看"})
        judge(place, key, user=place.ann)
        approve(place, key)
        agree(place, key)
    assert (posted(place, key), owed(place, key)) == (Decimal("168.00"), Decimal("168.00"))
    settle(place, key)
    assert posted(place, key) == Decimal("168.00")


# --- prices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "kind", "amount"),
    [
        ("0", values.LOSS, "0.00"),
        ("0.01", values.LOSS, "0.01"),
        ("0.01", values.DAMAGE, "0.01"),
        ("99999999.99", values.LOSS, "99999999.99"),
        ("99999999.99", values.DAMAGE, "50000000.00"),
    ],
)
def test_prices_at_the_edges(place: Place, price: str, kind: str, amount: str) -> None:
    only(place, "R35-6.2", "R35-6.3")
    tool = in_ann_s_hands(place, price)
    key = report(place, tool, kind)
    judge(place, key, values.MISUSE, place.ann)
    assert detail(place, key).amount == Decimal(amount)
    if not Decimal(amount):
        assert not charges_of(place, key)
        with place.acting(place.manager):
            perform(key, "close", {"result": "不值钱"})
        assert place.state(key) == values.CLOSED
        return
    approve(place, key)
    agree(place, key)
    assert owed(place, key) == Decimal(amount) <= Decimal(price)


def test_a_price_given_at_the_judgement_has_whole_cents(place: Place) -> None:
    only(place, "R35-6.2")
    tool = in_ann_s_hands(place, None)
    key = report(place, tool)
    with pytest.raises(InvalidData) as bad:
        judge(place, key, user=place.ann, price="0.005")
    assert "price" in bad.value.errors


def test_a_price_that_changes_later_changes_nothing(place: Place) -> None:
    tool, key = lost_and_owed(place)
    with place.acting() as work:
        work.get_one(Tool, tool).price = Decimal("999.00")
        work.commit()
    assert owed(place, key) == Decimal("168.00")
    settle(place, key)
    assert posted(place, key) == Decimal("168.00")


# --- whose day counts ----------------------------------------------------------------------------


def test_the_settings_of_the_day_of_the_loss_count(place: Place) -> None:
    only(place, "R35-6.3")
    tool = in_ann_s_hands(place, "100.00")
    key = report(place, tool, values.DAMAGE)
    place.later(days=40)
    since(place, "R35-6.3", date(2026, 4, 1), holds=True, rate="10")
    judge(place, key, values.MISUSE, place.ann)
    assert detail(place, key).amount == Decimal("50.00")


def test_a_clause_that_was_off_on_the_day_of_the_loss_charges_nothing(place: Place) -> None:
    only(place)
    tool = in_ann_s_hands(place)
    key = report(place, tool)
    place.later(days=40)
    since(place, "R35-6.2", date(2026, 4, 1), holds=True)
    judge(place, key, user=place.ann)
    assert not charges_of(place, key)


def since(place: Place, clause: str, day: date, *, holds: bool, **given: Any) -> None:
    """Set a clause of the unit from a day on; before it stays as it was."""
    with as_system() as work:
        made = ClauseSetting(unit_id=place.unit.id, clause=clause, starts_on=day, holds=holds, values=given)
        made.reason, made.open_records, made.schema = "test", "keep", 1
        made.state, made.created_at = IN_FORCE, place.now
        work.add(made)


@pytest.mark.parametrize("step", ["rejudge", "found", "cancel"])
def test_a_clause_switched_off_backwards_keeps_no_charge_alive(place: Place, step: str) -> None:
    tool = 0
    if step == "cancel":
        only(place, "R35-6.2")
        tool = in_ann_s_hands(place)
        key = report(place, tool)
        judge(place, key, user=place.ann)
    else:
        tool, key = lost_and_owed(place)
    place.without("R35-6.2")
    with place.acting(place.manager, "tools.keep"):
        perform(key, step, {"reason": "规章停用"})
    assert owed(place, key) == 0
    assert not [one for one in charges_of(place, key) if one.state not in ("void", *ledger.FIXED)]


# --- GJ-3: only what they had confirmed ------------------------------------------------------------


@pytest.mark.clause("GJ-3")
@pytest.mark.parametrize(("seconds", "theirs"), [(-1, False), (0, True), (1, True)])
def test_confirmed_a_second_before_or_after(place: Place, seconds: int, theirs: bool) -> None:
    only(place, "R35-6.2")
    tool = place.tool()
    place.later(hours=1)
    place.issue(place.ann, tool)
    at = place.now + timedelta(seconds=seconds)
    place.later(hours=1)
    key = report(place, tool, happened_at=at.isoformat())
    _charged_or_not(place, key, place.ann, theirs)


@pytest.mark.clause("GJ-3")
@pytest.mark.parametrize(("seconds", "theirs"), [(-1, True), (0, False), (1, False)])
def test_custody_that_ended_is_not_charged(place: Place, seconds: int, theirs: bool) -> None:
    only(place, "R35-6.2")
    tool = in_ann_s_hands(place)
    place.bring_back(place.ann, tool)
    at = place.now + timedelta(seconds=seconds)
    place.later(hours=1)
    key = report(place, tool, happened_at=at.isoformat())
    _charged_or_not(place, key, place.ann, theirs)


def _charged_or_not(place: Place, key: int, user: User, theirs: bool) -> None:
    if theirs:
        judge(place, key, user=user)
        assert charges_of(place, key)
        return
    with pytest.raises(Refused) as refused:
        judge(place, key, user=user)
    assert clauses(refused.value) == {"GJ-3"}
    assert not charges_of(place, key)


@pytest.mark.clause("GJ-3")
def test_a_departments_loan_is_that_of_who_said_yes_for_it(place: Place) -> None:
    only(place, "R35-6.2")
    department = place.party(values.DEPARTMENT, "工程部", place.ann)
    tool = place.tool()
    place.hand(values.LOAN, place.store, department, [tool])
    place.later(hours=1)
    with place.acting() as work:
        work.get_one(Party, department).user_id = place.bob.id  # a new head, who never saw it
        work.commit()
    key = report(place, tool)
    _charged_or_not(place, key, place.bob, False)
    _charged_or_not(place, key, place.ann, True)


# --- nobody in their own matter --------------------------------------------------------------------


def owed_by(place: Place, who: User) -> int:
    only(place, "R35-6.2")
    tool = place.tool(price=Decimal("168.00"))
    place.issue(who, tool)
    place.later(hours=1)
    key = report(place, tool)
    judge(place, key, user=who)
    approve(place, key)
    agree(place, key, who)
    return key


def test_finance_settles_and_deducts_nothing_of_their_own(place: Place) -> None:
    key = owed_by(place, place.finance)
    with pytest.raises(Refused) as refused:
        settle(place, key)
    assert codes(refused.value) == {"own_debt"}
    with pytest.raises(Refused) as refused:
        deduct(place, key, "10.00")
    assert codes(refused.value) == {"own_debt"}
    other = place.staff("finance", "另一位财务")
    settle(place, key, other)
    with place.acting():
        perform(key, "found_paid", {"reason": "找到"})
    with place.acting(place.finance), pytest.raises(Refused):
        perform(key, "refund", {"receipt": "TK-1"})
    with place.acting(other):
        perform(key, "refund", {"receipt": "TK-1"})


def test_a_keeper_names_no_replacement_of_their_own(place: Place) -> None:
    key = owed_by(place, place.keeper)
    fresh = place.tool()
    with place.acting(), pytest.raises(Refused) as refused:
        perform(key, "settle_in_kind", {"replacement": code_of(place, fresh)})
    assert codes(refused.value) == {"own_debt"}


def test_the_manager_concerned_does_not_approve_their_own(place: Place) -> None:
    only(place, "R35-6.2")
    second = decider(place)
    tool = place.tool()
    place.issue(second, tool)
    key = report(place, tool)
    judge(place, key, user=second)
    with pytest.raises((Refused, NotAllowed)):
        approve(place, key, second)
    assert [one.state for one in charges_of(place, key)] == ["proposed"]


def test_nobody_waives_their_own_debt(place: Place) -> None:
    key = owed_by(place, place.finance)
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"), pytest.raises(Refused):
        ledger.waive(line.id, "算了")
    assert owed(place, key) == Decimal("168.00")


# --- waived and corrected by hand ------------------------------------------------------------------


def test_what_was_deducted_is_not_waived(place: Place) -> None:
    _, key = lost_and_owed(place)
    deduct(place, key, "100.00")
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"):
        with pytest.raises(Refused):
            ledger.waive(line.id, "算了")
        with pytest.raises(Refused):
            ledger.adjust(line.id, "99.99", "价格记错")
        ledger.waive(line.id, "其余免去", "68.00")
    assert owed(place, key) == 0


def test_nothing_is_raised_by_hand_without_the_persons_yes(place: Place) -> None:
    _, key = lost_and_owed(place)
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"), pytest.raises(Refused):
        ledger.adjust(line.id, "1000.00", "涨价")
    assert owed(place, key) == Decimal("168.00")


def test_what_was_paid_is_not_corrected_behind_the_refund(place: Place) -> None:
    _, key = lost_and_owed(place)
    settle(place, key)
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"), pytest.raises(Refused):
        ledger.adjust(line.id, "10.00", "价格记错")
    assert posted(place, key) == Decimal("168.00")


# --- deductions ------------------------------------------------------------------------------------


@pytest.mark.clause("GJ-2")
def test_a_unit_that_sets_no_share_deducts_nothing(place: Place) -> None:
    place.clause("GJ-2", rate="0")
    _, key = lost_and_owed(place)
    with pytest.raises(Refused) as refused:
        deduct(place, key, "0.01")
    assert clauses(refused.value) == {"GJ-2"}


@pytest.mark.parametrize("month", ["2026-02", "2000-01", "2026-3", "2026-03-", "2026/03"])
def test_months_before_the_loss_and_odd_ones_are_refused(place: Place, month: str) -> None:
    _, key = lost_and_owed(place)
    with pytest.raises(InvalidData) as bad:
        deduct(place, key, "1.00", month)
    assert "month" in bad.value.errors


def test_the_same_key_for_another_amount_is_a_conflict(place: Place) -> None:
    _, key = lost_and_owed(place)
    deduct(place, key, "50", token="k1")
    with pytest.raises(Conflict):
        deduct(place, key, "60", token="k1")
    assert owed(place, key) == Decimal("118.00")


def test_what_was_paid_back_is_not_owed_again(place: Place) -> None:
    _, key = lost_and_owed(place)
    row = deduct(place, key, "168.00")
    with place.acting():
        perform(key, "found_paid", {"reason": "找到"})
    with place.acting(place.finance):
        perform(key, "refund", {"receipt": "TK-1"})
    with place.acting(place.finance), pytest.raises(Refused):
        deductions.take_back(row, {"reason": "录错"})
    assert (place.state(key), posted(place, key)) == (values.CLOSED, 0)


def test_a_refunded_incident_is_not_opened_by_the_next_loss(place: Place) -> None:
    tool, key = lost_and_owed(place)
    deduct(place, key, "168.00")
    with place.acting():
        perform(key, "found_paid", {"reason": "找到"})
    with place.acting(place.finance):
        perform(key, "refund", {"receipt": "TK-1"})
    place.later(hours=1)
    report(place, tool)
    for step in ("found", "found_paid"):
        with place.acting(), pytest.raises(Refused):
            perform(key, step, {"reason": "又找到"})


def test_no_table_log_or_session_knows_a_wage(sqlite_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Entered in the browser: refused first, accepted then; every column of every table is looked at."""
    caplog.set_level("DEBUG")
    place = make_place()
    place.now = clock.now() - timedelta(hours=3)
    _, key = lost_and_owed(place, "1900.00")
    client = login(sqlite_app.test_client(), place.finance, unit=place.unit)
    sent = {"month": f"{clock.now():%Y-%m}", "amount": "900.00", "wage": "4321.09", "minimum_wage": "3543.21"}
    sent |= {"contract_clause": "第十二条", "key": str(uuid7())}
    url = f"/p/tools/incident/{key}/deduct"
    assert client.post(url, data=sent).status_code == 422
    assert client.post(url, data={**sent, "amount": "10.00", "key": str(uuid7())}).status_code == 302
    with client.session_transaction() as kept:
        found = [str(dict(kept)), caplog.text]
    with as_system() as work:
        for table in Base.metadata.sorted_tables:
            found += [str(tuple(row)) for row in work.connection().execute(table.select())]
    assert len(place.all(select(Deduction))) == 1
    for secret in ("4321.09", "3543.21", "777.88", "864.2"):  # the wages, and the limit they make
        assert not [one for one in found if secret in one], secret


# --- buying ------------------------------------------------------------------------------------------


def test_a_price_with_parts_of_a_cent_is_paid_nowhere(sqlite_app: Flask) -> None:
    shop = make_shop()
    kind, store = shop.kind(), shop.store()
    with pytest.raises(InvalidData):
        shop.plan([{"kind": str(kind), "quantity": "1", "price": "10.005"}])
    for one in (kind, shop.parts()):
        plan = ordered(shop, [{"kind": str(one), "quantity": "2", "price": "10.00"}])
        with pytest.raises(InvalidData) as bad:
            receive(shop, plan, 0, store=store, quantity="1", price="10.005")
        assert list(bad.value.errors) == ["price"]
        assert shop.lines(plan)[0].received == 0


def test_a_cent_above_the_budget_is_not_approved(sqlite_app: Flask) -> None:
    shop = make_shop()
    line = {"kind": str(shop.kind()), "quantity": "3", "price": "33.34"}
    with pytest.raises(Refused):
        shop.do(shop.plan([line], budget="100.01"), "approve")
    within = shop.plan([line], budget="100.02")
    shop.do(within, "approve")
    assert shop.state(within) == values.APPROVED


# --- what waits is told ------------------------------------------------------------------------------


def test_closing_what_was_waived_leaves_no_request_behind(place: Place) -> None:
    only(place, "R35-6.2")
    key = report(place, in_ann_s_hands(place))
    judge(place, key, user=place.ann)
    (line,) = charges_of(place, key)
    with place.acting(place.finance, "charge.handle"):
        ledger.waive(line.id, "算了")
    with place.acting(place.manager):
        perform(key, "close", {"result": "免赔"})
    (state,) = place.all(
        select(approvals.Approval.state).where(approvals.Approval.id == detail(place, key).approval_id)
    )
    assert state not in approvals.OPEN_STATES


# --- reports -----------------------------------------------------------------------------------------


def test_the_reports_sums_are_those_of_the_charges(place: Place) -> None:
    _, paid = lost_and_owed(place, "33.33")
    settle(place, paid)
    lost_and_owed(place, "66.67")
    _, back = lost_and_owed(place, "10.01")
    settle(place, back)
    with place.acting():
        perform(back, "found_paid", {"reason": "找到"})
    rows = place.all(select(Charge).where(Charge.state != "void"))
    with place.acting(place.manager):
        (row,) = list(reports.LOSSES.rows([place.unit.id], {"from": date(2026, 1, 1), "to": date(2026, 12, 31)}))
    assert row["posted"] + row["settled"] + row["proposed"] == sum(one.amount for one in rows)
    assert row["settled"] == sum(one.amount for one in rows if one.state == "settled")


# --- the walk ----------------------------------------------------------------------------------------


class Compensation(RuleBasedStateMachine):
    """Any order of steps of one incident: what is posted, owed and deducted agrees, never above the price."""

    app: Flask

    def __init__(self) -> None:
        super().__init__()
        self.place = make_place()
        only(self.place, "R35-6.2")
        self.deciders = decider(self.place)
        self.tool = self.place.tool(price=Decimal("168.00"))
        self.place.issue(self.place.ann, self.tool)
        self.place.later(minutes=1)
        self.key = report(self.place, self.tool)
        self.paid = Decimal(0)

    def attempt(self, actor: User, step: str, /, **given: Any) -> bool:
        self.place.later(minutes=1)
        try:
            with self.place.acting(actor):
                perform(self.key, step, given)
        except AppError:
            return False
        return True

    @initialize(agreed=st.booleans())
    def begin(self, agreed: bool) -> None:
        if agreed:
            self.judge()
            self.decide(True)
            self.say_yes(values.CASH)

    @rule()
    def judge(self) -> None:
        self.attempt(self.place.manager, "judge", cause=values.CARELESS, user=self.place.ann.id, judgement="查明")

    @rule(yes=st.booleans())
    def decide(self, yes: bool) -> None:
        approval = detail(self.place, self.key).approval_id
        if approval is None:
            return
        try:
            approve(self.place, self.key, self.deciders, yes=yes)
        except AppError:
            return

    @rule(how=st.sampled_from([values.CASH, values.IN_KIND, values.FROM_PAY]))
    def say_yes(self, how: str) -> None:
        self.attempt(self.place.ann, "agree_to_pay", settlement=how)

    @rule()
    def object(self) -> None:
        self.attempt(self.place.ann, "object", reason="不是我")

    @rule()
    def judge_anew(self) -> None:
        self.attempt(self.place.manager, "rejudge", reason="再看")

    @rule(amount=st.sampled_from(["0.01", "68.00", "100.00", "168.00", "500.00"]))
    def deduct(self, amount: str) -> None:
        try:
            deduct(self.place, self.key, amount)
        except AppError:
            return

    @rule(amount=st.sampled_from(["1.00", "68.00", "168.00"]))
    def waive(self, amount: str) -> None:
        for line in charges_of(self.place, self.key):
            try:
                with self.place.acting(self.place.finance, "charge.handle"):
                    ledger.waive(line.id, "减免", amount)
            except AppError:
                continue

    @rule()
    def pay(self) -> None:
        left = owed(self.place, self.key)
        if self.attempt(self.place.finance, "settle", receipt="SJ"):
            self.paid += left

    @rule()
    def replace(self) -> None:
        self.attempt(self.place.keeper, "settle_in_kind", replacement=code_of(self.place, self.place.tool()))

    @rule(step=st.sampled_from(["found", "found_paid"]))
    def find(self, step: str) -> None:
        self.attempt(self.place.keeper, step, reason="找到")

    @rule()
    def bring_back(self) -> None:
        try:
            self.place.bring_back(self.place.ann, self.tool)
        except AppError:
            return

    @precondition(lambda self: self.place.state(self.key) == values.REFUND)
    @rule()
    def refund(self) -> None:
        with self.place.acting(self.place.finance):
            back = settling.to_refund(self.key)
        assert back == self.paid + self.deducted()
        assert self.attempt(self.place.finance, "refund", receipt="TK")

    @rule()
    def close(self) -> None:
        self.attempt(self.place.manager, "close", result="了结")

    def deducted(self) -> Decimal:
        with self.place.acting(self.place.finance):
            return settling.deducted(self.key)

    @invariant()
    def nobody_pays_too_much(self) -> None:
        rows = charges_of(self.place, self.key)
        total = sum((one.amount for one in rows if one.state in ledger.FIXED), Decimal(0))
        with self.place.acting(self.place.finance):
            payable = judging.payable(self.key)
        assert 0 <= total <= Decimal("168.00")
        assert 0 <= payable <= Decimal("168.00")
        assert self.paid + self.deducted() <= Decimal("168.00")
        state = self.place.state(self.key)
        if state in (values.REPORTED, values.CANCELLED):
            assert payable == 0
        if state == values.CHARGED:
            assert total == payable >= self.deducted()
        if state == values.CLOSED:
            assert not [one for one in rows if one.state not in ("void", "settled", "waived")]


def test_the_charges_the_debt_and_the_deductions_agree_at_each_step(sqlite_app: Flask) -> None:
    run_state_machine_as_test(
        Compensation,
        settings=settings(
            max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


# --- two at once (both databases) ----------------------------------------------------------------------


def at_once(app: Flask, *works: Any) -> list[str]:
    """Run works at the same time; return what became of each: ``done`` or the name of the refusal."""
    found: list[str] = []
    start = threading.Barrier(len(works))

    def run(work: Any) -> None:
        with app.app_context():
            start.wait()
            try:
                work()
                found.append("done")
            except AppError as error:
                found.append(type(error).__name__)
            except BaseException as error:
                found.append(repr(error))

    threads = [threading.Thread(target=run, args=(one,)) for one in works]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sorted(found)


def test_one_loss_reported_by_two_at_once_is_one_incident(app: Flask) -> None:
    place = make_place()
    tool = in_ann_s_hands(place)
    place.allowed(place.keeper), place.allowed(place.ann)
    done = at_once(
        app,
        lambda: report(place, tool, by=place.ann),
        lambda: report(place, tool, clearance_id=tool),
    )
    assert done == ["Refused", "done"]
    assert len(place.all(select(Incident).where(Incident.tool_id == tool))) == 1


def test_a_tool_brought_back_while_it_is_paid_for_ends_one_way(app: Flask) -> None:
    place = make_place()
    for _ in range(4):
        tool, key = lost_and_owed(place)
        handover = place.offer(values.RETURN, place.person(place.ann), place.store, [tool], place.ann)
        place.allowed(place.finance)
        done = at_once(
            app,
            lambda key=key: settle(place, key),
            lambda handover=handover, tool=tool: place.accept(handover, conditions={tool: values.SOUND}),
        )
        assert not [one for one in done if one not in ("done", "Refused", "Conflict")], done
        assert "done" in done
        total, state = posted(place, key), place.state(tool)
        assert (total, state) in ((Decimal("168.00"), values.SCRAPPED), (Decimal(0), values.IN_STORE)), (
            done,
            state,
        )


def test_one_new_tool_takes_the_place_of_one(app: Flask) -> None:
    place = make_place()
    _, first = lost_and_owed(place, how=values.IN_KIND)
    _, second = lost_and_owed(place, how=values.IN_KIND)
    place.later(hours=1)
    code = code_of(place, place.tool())

    def take(key: int) -> None:
        with place.acting():
            perform(key, "settle_in_kind", {"replacement": code})

    done = at_once(app, lambda: take(first), lambda: take(second))
    assert done.count("done") == 1, done


def test_two_clerks_do_not_pass_the_months_limit_with_two_incidents(app: Flask) -> None:
    place = make_place()
    _, first = lost_and_owed(place, "900.00")
    _, second = lost_and_owed(place, "900.00")
    place.allowed(place.finance)
    done = at_once(app, lambda: deduct(place, first, "600.00"), lambda: deduct(place, second, "600.00"))
    assert done == ["Refused", "done"]
    assert sum(place.all(select(Deduction.amount))) == Decimal("600.00")


def test_an_incidents_step_does_not_wait_for_its_tool(app: Flask) -> None:
    """Steps of tools take the tool and then its incidents; the other way round nobody waits."""
    place = make_place()
    tool, key = lost_and_owed(place)
    place.allowed(place.finance)
    held, tried = threading.Event(), threading.Event()

    def tools_step() -> None:
        with place.acting(), transaction():
            lock(tool)
            held.set()
            tried.wait(2)
            perform(key, "found", {"reason": "找到"})

    def incidents_step() -> None:
        held.wait(10)
        try:
            settle(place, key)
        finally:
            tried.set()

    done = at_once(app, tools_step, incidents_step)
    assert done in (["Conflict", "done"], ["Refused", "done"])
    assert (posted(place, key), place.state(tool)) == (0, values.ISSUED)

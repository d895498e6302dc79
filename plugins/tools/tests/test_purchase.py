"""Purchase plans: drafting, checking prices, approving, ordering, receiving; clauses that act on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.sdk import Conflict, InvalidData, NotAllowed, NotFound, Record, Refused, User, approvals, perform, session
from plugins.tools import purchase, purchase_flow, receipts, rights, values
from plugins.tools.models import Purchase
from tests.helpers import as_system, current

from .scene_buying import Shop, make_shop

ALL_TICKED = [code for code, _label in purchase_flow.ORDER_ITEMS]
ORDER = {"supplier": "华东工具有限公司", "checklist": ALL_TICKED}
# The clauses that would ask for more than the plan itself does.
ASKING = ("R15-19", "R32-2.1", "R32-2.2", "R35-4.4", "R35-4.9")


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield made()


@pytest.fixture
def small(sqlite_app: Flask) -> Iterator[Shop]:
    yield made()


def made() -> Shop:
    """A shop where no clause asks for agreement; a test switches on the one it is about."""
    shop = make_shop()
    shop.office.clause(*ASKING, on=False)
    return shop


def ordered(shop: Shop, lines: Any, **raw: Any) -> int:
    plan = shop.plan(lines, **raw)
    shop.do(plan, "price", note="三家比价")
    shop.do(plan, "approve")
    shop.do(plan, "order", **ORDER)
    return plan


def receive(shop: Shop, plan: int, place: int, key: str = "", **raw: Any) -> None:
    with shop.acting():
        receipts.receive(plan, shop.lines(plan)[place].id, raw, key=key)


# --- drafting ------------------------------------------------------------------------------------


def test_lines_are_typed_one_a_line(shop: Shop) -> None:
    tester, tape = shop.kind("网线测试仪二型"), shop.parts("防水胶带")
    plan = shop.plan("网线测试仪二型, 2, 180.50, 甲店 185，乙店 180.5\n防水胶带，10，3\n")
    lines = shop.lines(plan)
    assert [(one.kind_id, one.quantity, one.price) for one in lines] == [
        (tester, 2, Decimal("180.50")),
        (tape, 10, Decimal(3)),
    ]
    assert lines[0].quote == "甲店 185，乙店 180.5"
    assert purchase_flow.total(lines) == Decimal("391.00")
    with as_system() as work:
        record = work.get_one(Record, plan)
        assert record.number.startswith("CG-") and "网线测试仪二型 × 2" in record.title
        text = purchase.form_values(work.get_one(Purchase, plan))["lines"]
    with shop.acting():
        purchase.change(plan, {"lines": text})
    assert [(one.kind_id, one.quantity, one.price) for one in shop.lines(plan)] == [
        (tester, 2, Decimal("180.50")),
        (tape, 10, Decimal(3)),
    ]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"lines": "没有的东西, 1"}, "lines"),
        ({"lines": "T, 0"}, "lines"),
        ({"lines": "T, 1, 0.001"}, "lines"),
        ({"lines": "T, x"}, "lines"),
        ({"lines": "T"}, "lines"),
        ({"lines": "T, 1\n" * 101}, "lines"),
        ({"kind": "monthly"}, "period"),
        ({"kind": "monthly", "period": "2026"}, "period"),
        ({"kind": "yearly", "period": "2026-11"}, "period"),
        ({"kind": "yearly", "period": "2026-13"}, "period"),
        ({"kind": "other"}, "kind"),
        ({"budget": "1.005"}, "budget"),
        ({"budget": "-1"}, "budget"),
    ],
)
def test_what_a_draft_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    small.kind("T")
    with pytest.raises(InvalidData) as bad:
        small.plan(raw.get("lines", ""), **{name: value for name, value in raw.items() if name != "lines"})
    assert list(bad.value.errors) == [field]
    with as_system() as work:
        assert work.query(Purchase).count() == 0


def test_one_plan_for_a_month_and_for_a_year(shop: Shop) -> None:
    first = shop.plan("", kind="monthly", period="2026-10")
    shop.plan("", kind="monthly", period="2026-11")
    with pytest.raises(Refused) as refused:
        shop.plan("", kind="monthly", period="2026-10")
    with as_system() as work:
        assert work.get_one(Record, first).number in str(refused.value.texts())
    shop.do(first, "cancel", reason="重新统计")
    shop.plan("", kind="monthly", period="2026-10")


def test_two_at_once_draft_one_plan_of_a_year(app: Flask) -> None:
    shop = made()
    app_now, gate, answers = current(), threading.Barrier(2), []

    def draft() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                shop.plan("", kind="yearly", period="2027")
                answers.append("done")
            except Refused:
                answers.append("refused")

    threads = [threading.Thread(target=draft) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == ["done", "refused"]


def test_lines_one_by_one_only_while_it_is_a_draft(shop: Shop) -> None:
    tester = shop.kind()
    plan = shop.plan("")
    raw = {"kind": str(tester), "quantity": "2", "price": "10"}
    with shop.acting():
        line = purchase.save_line(plan, raw)
        purchase.save_line(plan, {**raw, "quantity": "3"}, line.id)
        other = purchase.save_line(plan, raw)
        purchase.remove_line(plan, other.id)
    assert [one.quantity for one in shop.lines(plan)] == [3]
    shop.do(plan, "price", note="已核")
    with shop.acting(), pytest.raises(Refused):
        purchase.save_line(plan, raw)
    with shop.acting(), pytest.raises(Refused):
        purchase.change(plan, {"lines": ""})
    shop.do(plan, "reopen", reason="数量不对")
    with shop.acting():
        purchase.remove_line(plan, shop.lines(plan)[0].id)
    assert not shop.lines(plan)


def test_a_line_of_another_plan_is_not_found(shop: Shop) -> None:
    tester, away = shop.kind(), made()
    plan, theirs = shop.plan(""), away.plan([{"kind": str(away.kind()), "quantity": "1"}])
    line = away.lines(theirs)[0].id
    for plan_id in (plan, theirs):
        with shop.acting(), pytest.raises(NotFound):
            purchase.save_line(plan_id, {"kind": str(tester), "quantity": "1"}, line)


def test_who_may(shop: Shop) -> None:
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "1", "price": "5"}])
    with shop.acting(permissions={"case.view", rights.VIEW, rights.KEEP}), pytest.raises(NotAllowed):
        purchase.register(shop.unit.id, {"kind": "need"})
    for permissions, step in (({rights.BUY}, "price"), ({rights.MONEY}, "order")):
        with shop.acting(permissions={"case.view", *permissions}), pytest.raises((NotAllowed, Refused)):
            perform(plan, step, {"note": "x", **ORDER})
    with shop.acting(permissions={"case.view", rights.MONEY}):
        perform(plan, "price", {"note": "价格合理"})
    assert shop.state(plan) == values.PRICED


# --- the way to an order ---------------------------------------------------------------------------


def test_nothing_is_priced_or_approved_without_lines_and_prices(shop: Shop) -> None:
    plan = shop.plan("")
    with pytest.raises(Refused):
        shop.do(plan, "price", note="x")
    with shop.acting():
        purchase.save_line(plan, {"kind": str(shop.kind()), "quantity": "1"})
    for step in ("price", "approve"):
        with pytest.raises(Refused) as refused:
            shop.do(plan, step, note="x")
        assert [one.code for one in refused.value.refusals] == ["no_price"]


def test_the_budget_holds(shop: Shop) -> None:
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "3", "price": "40"}], budget="100")
    with pytest.raises(Refused) as refused:
        shop.do(plan, "approve")
    assert [one.code for one in refused.value.refusals] == ["budget"]
    assert "120.00" in str(refused.value.texts())


def put_in_force(shop: Shop, clause: str) -> None:
    shop.office.clause_settings_gone()
    shop.office.clause(*(one for one in ASKING if one != clause), on=False)
    shop.office.clause(clause)


def agree(shop: Shop, plan: int, clause: str, position: str, amount: str) -> User:
    """Let the position of a clause agree to the plan as it stands."""
    from core.rules.approval_gate import ask_for

    leader = shop.office.staff(position)
    with shop.acting():
        approval = ask_for(plan, purchase_flow.APPROVE, clause, "请批准")
        session().commit()
        assert approval.position == position
        assert approval.amount == Decimal(amount)
    with clock.frozen(shop.now), shop.office.acting(leader):
        approvals.agree(approval.id)
        session().commit()
    return leader


@pytest.mark.clause("R15-19")
def test_finance_checks_prices_and_the_leader_agrees_before_anything_is_bought(shop: Shop) -> None:
    put_in_force(shop, "R15-19")
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "2", "price": "600", "quote": "甲店600，乙店640"}])
    with pytest.raises(Refused) as refused:
        shop.do(plan, "approve")
    assert {one.clause for one in refused.value.refusals} == {"R15-19"}
    shop.do(plan, "price", note="与报价单一致")
    with pytest.raises(Refused) as refused:
        shop.do(plan, "approve")
    assert [one.code for one in refused.value.refusals] == ["approval"]
    with pytest.raises(Refused):
        shop.do(plan, "order", **ORDER)
    agree(shop, plan, "R15-19", "responsible_leader", "1200")
    shop.do(plan, "approve")
    shop.do(plan, "order", **ORDER)
    assert shop.state(plan) == values.ORDERED


@pytest.mark.clause("R15-19")
def test_what_was_agreed_counts_no_more_once_the_plan_changed(shop: Shop) -> None:
    put_in_force(shop, "R15-19")
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "2", "price": "600"}])
    shop.do(plan, "price", note="已核")
    agree(shop, plan, "R15-19", "responsible_leader", "1200")
    shop.do(plan, "reopen", reason="换型号")
    with shop.acting():
        purchase.change(plan, {"lines": [{"kind": str(shop.kind()), "quantity": "1", "price": "100"}]})
    shop.do(plan, "price", note="已核")
    with pytest.raises(Refused) as refused:
        shop.do(plan, "approve")
    assert [one.code for one in refused.value.refusals] == ["approval"]


def test_without_the_clause_a_plan_goes_straight_to_the_order(shop: Shop) -> None:
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "2", "price": "600"}])
    shop.do(plan, "approve")
    shop.do(plan, "order", supplier="甲店")
    assert shop.state(plan) == values.ORDERED


@pytest.mark.clause("R32-2.2")
def test_an_order_weighs_quality_price_and_supplier(shop: Shop) -> None:
    put_in_force(shop, "R32-2.2")
    plan = shop.plan([{"kind": str(shop.kind()), "quantity": "2", "price": "600"}])
    shop.do(plan, "approve")
    with pytest.raises(Refused) as refused:
        shop.do(plan, "order", supplier="甲店", checklist=ALL_TICKED[:2])
    assert {one.clause for one in refused.value.refusals} == {"R32-2.2"}
    shop.do(plan, "order", **ORDER)
    assert shop.state(plan) == values.ORDERED


def test_an_order_of_tomorrow_is_refused(small: Shop) -> None:
    plan = small.plan([{"kind": str(small.kind()), "quantity": "2", "price": "600"}])
    small.do(plan, "approve")
    with pytest.raises(InvalidData) as bad:
        small.do(plan, "order", ordered_on="2026-11-03", **ORDER)
    assert list(bad.value.errors) == ["ordered_on"]


# --- receiving -----------------------------------------------------------------------------------


@pytest.mark.clause("R32-2.3")
def test_new_tools_are_registered_and_wait_for_acceptance(shop: Shop) -> None:
    kind, store = shop.kind("冲击钻", price=Decimal(500)), shop.store()
    plan = ordered(shop, [{"kind": str(kind), "quantity": "3", "price": "480.50", "what": "东成 FF-13"}])
    receive(shop, plan, 0, store=store, quantity="2", serials="S1\nS2")
    tools = shop.tools_of(kind)
    assert [(one.serial, one.price, one.model, one.supplier) for one in tools] == [
        ("S1", Decimal("480.50"), "东成 FF-13", ORDER["supplier"]),
        ("S2", Decimal("480.50"), "东成 FF-13", ORDER["supplier"]),
    ]
    assert [shop.state(one.id) for one in tools] == [values.NEW, values.NEW]
    assert (shop.state(plan), shop.lines(plan)[0].received) == (values.ORDERED, 2)
    receive(shop, plan, 0, store=store, quantity="1", result="外观、通电正常", price="470")
    last = shop.tools_of(kind)[-1]
    assert (shop.state(last.id), last.price) == (values.IN_STORE, Decimal(470))
    assert (shop.state(plan), shop.lines(plan)[0].received) == (values.RECEIVED, 3)


@pytest.mark.clause("R15-16")
def test_the_price_paid_makes_a_fixed_asset(shop: Shop) -> None:
    shop.office.clause("R15-16")
    kind, store = shop.kind(), shop.store()
    plan = ordered(shop, [{"kind": str(kind), "quantity": "2", "price": "1000"}])
    receive(shop, plan, 0, store=store, quantity="1")
    receive(shop, plan, 0, store=store, quantity="1", price="1000.01")
    assert [one.asset_class for one in shop.tools_of(kind)] == [values.LOW_VALUE, values.FIXED_ASSET]


def test_small_parts_go_into_stock(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    plan = ordered(shop, [{"kind": str(tape), "quantity": "300", "price": "3"}])
    receive(shop, plan, 0, store=store, quantity="250")
    receive(shop, plan, 0, store=store, quantity="50")
    assert shop.quantity(store, tape) == 300 == shop.sum_of_moves(store, tape)
    assert shop.state(plan) == values.RECEIVED


def test_nothing_is_received_twice_or_beyond_the_order(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    plan = ordered(shop, [{"kind": str(tape), "quantity": "10", "price": "3"}])
    for _attempt in range(2):
        receive(shop, plan, 0, key="once", store=store, quantity="6")
    assert (shop.lines(plan)[0].received, shop.quantity(store, tape)) == (6, 6)
    with pytest.raises(Conflict):
        receive(shop, plan, 0, key="once", store=store, quantity="5")
    with pytest.raises(InvalidData) as bad:
        receive(shop, plan, 0, store=store, quantity="5")
    assert list(bad.value.errors) == ["quantity"]
    receive(shop, plan, 0, store=store, quantity="4")
    with pytest.raises(Refused):
        receive(shop, plan, 0, store=store, quantity="1")
    assert shop.quantity(store, tape) == 10


def test_two_at_once_receive_no_more_than_was_ordered(app: Flask) -> None:
    shop = made()
    tape, store = shop.parts(), shop.store()
    plan = ordered(shop, [{"kind": str(tape), "quantity": "10", "price": "3"}])
    app_now, gate, answers = current(), threading.Barrier(2), []

    def take() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                receive(shop, plan, 0, store=store, quantity="7")
                answers.append("done")
            except InvalidData:
                answers.append("refused")

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == ["done", "refused"]
    assert shop.quantity(store, tape) == 7 == shop.lines(plan)[0].received


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"serials": "A\nB\nC"}, "serials"),
        ({"serials": "A\nA"}, "serials"),
        ({"store": "999999"}, "store"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": ""}, "quantity"),
    ],
)
def test_what_a_receipt_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    kind, store = small.kind(), small.store()
    plan = ordered(small, [{"kind": str(kind), "quantity": "5", "price": "3"}])
    with pytest.raises(InvalidData) as bad:
        receive(small, plan, 0, **{"store": store, "quantity": "2", **raw})
    assert list(bad.value.errors) == [field]
    assert not small.tools_of(kind) and small.lines(plan)[0].received == 0


def test_a_receipt_that_fails_half_way_leaves_nothing(shop: Shop) -> None:
    kind, store = shop.kind(), shop.store()
    shop.tool(kind, store, serial="USED-1")
    plan = ordered(shop, [{"kind": str(kind), "quantity": "2", "price": "3"}])
    with pytest.raises(InvalidData):
        receive(shop, plan, 0, store=store, quantity="2", serials="NEW-1\nUSED-1")
    assert len(shop.tools_of(kind)) == 1 and shop.lines(plan)[0].received == 0


def test_only_keepers_receive(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    plan = ordered(shop, [{"kind": str(tape), "quantity": "10", "price": "3"}])
    line = shop.lines(plan)[0].id
    with shop.acting(permissions={"case.view", rights.VIEW, rights.BUY}), pytest.raises(NotAllowed):
        receipts.receive(plan, line, {"store": store, "quantity": "1"})


def test_a_started_receipt_is_ended_not_cancelled(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    plan = ordered(shop, [{"kind": str(tape), "quantity": "10", "price": "3"}])
    receive(shop, plan, 0, store=store, quantity="1")
    with pytest.raises(Refused):
        shop.do(plan, "cancel", reason="不要了")
    shop.do(plan, "end", reason="余下缺货")
    assert shop.state(plan) == values.RECEIVED
    with pytest.raises(Refused):
        receive(shop, plan, 0, store=store, quantity="1")

"""Receipts: matched to charges, handed in, confirmed, made void; what is left rounded off; two cashiers at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.customers.services import erase_customer
from core.rules.approval_models import Approval
from core.rules.obligation_models import Obligation
from core.sdk import (
    Customer,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refused,
    approvals,
    charges,
    clock,
    open_items_of_leaver,
    perform,
)
from plugins.warranty import ledger, receipts, rights
from plugins.warranty.models import Receipt
from plugins.warranty.tests.scene_money import ALL, NOVEMBER, Place, make_place
from tests import casework
from tests.helpers import current, in_scope


@pytest.fixture
def place(app: Any) -> Any:
    with clock.frozen(NOVEMBER):
        yield make_place()


def take(place: Place, case: int, amount: Any, **values: Any) -> int:
    with place.acting():
        given = {"case_id": case, "amount": amount, "means": "cash", **values}
        return receipts.register(place.unit.id, given).id


def wrong(place: Place, key: int, amount: Any, **values: Any) -> dict[str, str]:
    with place.acting(), pytest.raises(InvalidData) as bad:
        receipts.register(place.unit.id, {"case_id": key, "amount": amount, "means": "cash", **values})
    return {name: " ".join(map(str, texts)) for name, texts in bad.value.errors.items()}


def states(place: Place, key: int) -> list[str]:
    return [one.state for one in place.charges_of(key)]


def state_of(place: Place, receipt: int) -> str:
    with place.acting() as work:
        return str(work.scalars(select(Record.state).where(Record.id == receipt)).one())


def kinds(place: Place, key: int) -> list[str]:
    with place.acting():
        return casework.kinds(key)


def test_a_payment_settles_the_oldest_charges_first(place: Place) -> None:
    key = place.case("100", "50")
    first = take(place, key, "120")
    assert states(place, key) == ["settled", "posted"]
    with place.acting():
        assert [one.amount for one in receipts.lines_of(first)] == [Decimal("100.00"), Decimal("20.00")]
    take(place, key, "30.00")
    assert states(place, key) == ["settled", "settled"]
    assert "Nothing is open" in wrong(place, key, "0.01")["amount"]


def test_only_the_chosen_charges_are_paid(place: Place) -> None:
    key = place.case("100", "50")
    second = place.charges_of(key)[1].id
    assert "50" in wrong(place, key, "60", charges=[str(second)])["amount"]
    take(place, key, "50", charges=str(second))
    assert states(place, key) == ["posted", "settled"]


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "10.005", "1e30", "99999999999", "abc", "NaN", "", None])
def test_an_impossible_amount_is_refused_beside_its_field(place: Place, amount: Any) -> None:
    key = place.case("100")
    assert set(wrong(place, key, amount)) == {"amount"}
    assert states(place, key) == ["posted"]


def test_more_than_is_owed_is_refused(place: Place) -> None:
    key = place.case("100")
    assert "100.00" in wrong(place, key, "100.01")["amount"]


def test_charges_of_others_are_not_paid(place: Place, app: Any) -> None:
    mine, others = place.case("100"), place.case("70")
    foreign = place.charges_of(others)[0].id
    for given in (foreign, 10**12, "1;2", "x"):
        assert set(wrong(place, mine, "1", charges=str(given))) == {"charges"}
    stranger = make_place()
    with stranger.acting(), pytest.raises(NotFound):
        receipts.register(stranger.unit.id, {"case_id": mine, "amount": "1", "means": "cash"})
    with stranger.acting(), pytest.raises(NotFound):
        customer = place.customer_of(mine)
        receipts.register(stranger.unit.id, {"customer_id": customer, "amount": "1", "means": "cash"})


def test_a_customer_of_another_unit_is_not_this_ones(place: Place) -> None:
    """Also for who works in both: money and invoices stay in the customer's unit."""
    other = make_place()
    customer = other.customer_of(other.case("70"))
    with in_scope([place.unit, other.unit], ALL, place.collector), pytest.raises(NotFound):
        receipts.about(place.unit.id, None, customer)


def test_from_a_customers_account_all_their_cases_are_paid(place: Place) -> None:
    key = place.case("100")
    with place.acting():
        given = {"customer_id": place.customer_of(key), "amount": "100", "means": "pos"}
        receipts.register(place.unit.id, given)
    assert states(place, key) == ["settled"]


def test_a_payment_beforehand_settles_once_posted(place: Place) -> None:
    key = place.case("100", state="consented")
    take(place, key, "100")
    assert states(place, key) == ["consented"]
    with place.acting():
        charges.move(place.charges_of(key)[0].id, "post")
    assert states(place, key) == ["settled"]


def test_what_is_posted_when_the_work_is_done_and_was_paid_is_settled(place: Place) -> None:
    key = place.case("100", state="consented")
    take(place, key, "100")
    place.office.do(key, *FINISH[:-2])
    assert states(place, key) == ["settled"]


def test_only_a_receipt_settles(place: Place) -> None:
    key = place.case("100")
    with place.acting(), pytest.raises(Refused) as refused:
        charges.move(place.charges_of(key)[0].id, "settle")
    assert "receipt" in str(refused.value)
    assert states(place, key) == ["posted"]


def test_a_waiver_of_the_rest_settles(place: Place) -> None:
    key = place.case("100")
    take(place, key, "60")
    with place.acting():
        charges.waive(place.charges_of(key)[0].id, "老客户", "40")
    assert states(place, key) == ["settled", "settled"]


def test_neither_a_proposal_nor_what_others_pay_is_collected(place: Place) -> None:
    key = place.case("100", state="proposed")
    place.charge(key, "80", payer="company", state="proposed")
    assert set(wrong(place, key, "10")) == {"amount"}


def test_who_may_not_collect_does_not(place: Place) -> None:
    key = place.case("100")
    with place.acting(permissions=ALL - {rights.COLLECT}), pytest.raises(NotAllowed):
        receipts.register(place.unit.id, {"case_id": key, "amount": "1", "means": "cash"})


def test_typed_twice_it_counts_once(place: Place) -> None:
    key = place.case("100")
    one, two = (take(place, key, "40", key="abc") for _ in range(2))
    assert one == two
    take(place, key, "10", means="wechat", reference="WX-1")
    assert "SK-" in wrong(place, key, "10", means="wechat", reference="WX-1")["reference"]


def test_a_transfer_is_with_finance_at_once(place: Place) -> None:
    key = place.case("100")
    receipt = take(place, key, "100", means="transfer", reference="T1")
    assert state_of(place, receipt) == "handed_in"
    assert kinds(place, key)[-2:] == ["money_collected", "money_handed_in"]
    place.do(receipt, "confirm")
    assert state_of(place, receipt) == "confirmed"


def test_handed_in_confirmed_and_sent_back(place: Place) -> None:
    key = place.case("100")
    receipt = take(place, key, "100")
    with pytest.raises(Refused):
        place.do(receipt, "confirm")
    place.do(receipt, "hand_in", user=place.collector)
    with place.acting(place.collector, ALL - {rights.FINANCE}), pytest.raises(NotAllowed):
        perform(receipt, "confirm", {})
    place.do(receipt, "send_back", {"reason": "少了十元"})
    assert state_of(place, receipt) == "collected"
    place.do(receipt, "hand_in")
    place.do(receipt, "confirm")
    with place.acting() as work:
        detail = work.scalars(select(Receipt).where(Receipt.id == receipt)).one()
        assert detail.confirmed_by == place.finance.id and detail.handed_in_at is not None
    assert "money_handed_in" in kinds(place, key)


def test_a_void_receipt_opens_what_it_paid(place: Place) -> None:
    key = place.case("100", "50")
    receipt = take(place, key, "150")
    with pytest.raises(InvalidData):
        place.do(receipt, "void", {"reason": " "})
    place.do(receipt, "void", {"reason": "重复录入"})
    assert states(place, key) == ["posted", "posted"]
    assert kinds(place, key)[-1] == "money_returned"
    take(place, key, "150")
    assert states(place, key) == ["settled", "settled"]


def test_a_charge_raised_after_payment_is_open_again(place: Place) -> None:
    key = place.case("100")
    take(place, key, "100")
    with place.acting():
        charges.adjust(place.charges_of(key)[0].id, "120", "漏算")
    assert states(place, key) == ["posted", "posted"]
    take(place, key, "20")
    assert states(place, key) == ["settled", "settled"]


def test_a_closed_month_takes_no_payment(place: Place) -> None:
    key = place.case("100")
    receipt = take(place, key, "40")
    with place.acting():
        charges.close_month(place.unit.id, "2026-11")
    assert "2026-11" in wrong(place, key, "10")["at"]
    with pytest.raises(Refused):
        place.do(receipt, "void", {"reason": "错"})
    with clock.frozen(NOVEMBER + timedelta(days=20)):
        assert "2026-11" in wrong(place, key, "10", at=NOVEMBER.isoformat())["at"]
        take(place, key, "10")
        place.do(receipt, "void", {"reason": "错"})


def test_times_to_come_or_before_the_case_are_refused(place: Place) -> None:
    key = place.case("100")
    for days in (1, -1):
        assert set(wrong(place, key, "10", at=(NOVEMBER + timedelta(days=days)).isoformat())) == {"at"}


# --- rounding off --------------------------------------------------------------------------------


def asked(place: Place) -> list[Approval]:
    with place.acting() as work:
        found = work.scalars(select(Approval).where(Approval.subject.startswith("warranty.rounding"))).all()
        work.expunge_all()
        return list(found)


def test_a_rest_is_rounded_off_only_when_agreed(place: Place) -> None:
    key = place.case("100.80")
    take(place, key, "100", round_off="1")
    (approval,) = asked(place)
    assert (approval.position, approval.amount) == ("service_leader", Decimal("0.80"))
    assert states(place, key) == ["posted"]
    with place.acting(place.leader):
        approvals.agree(approval.id)
    assert states(place, key) == ["settled", "settled"]
    assert sum(one.amount for one in place.charges_of(key)) == Decimal("100.00")


def test_a_rejected_rest_stays_owed(place: Place) -> None:
    key = place.case("100.80")
    take(place, key, "100", round_off="1")
    with place.acting(place.leader):
        approvals.reject(asked(place)[0].id, "照收")
    assert states(place, key) == ["posted"]
    take(place, key, "0.80")
    assert states(place, key) == ["settled"]


def test_what_was_paid_meanwhile_is_not_waived(place: Place) -> None:
    key = place.case("100.80")
    take(place, key, "100", round_off="1")
    take(place, key, "0.80")
    with place.acting(place.leader):
        approvals.agree(asked(place)[0].id)
    assert [one.amount for one in place.charges_of(key)] == [Decimal("100.80")]


def test_more_than_the_unit_allows_is_not_rounded_off(place: Place) -> None:
    key = place.case("101.01")
    assert "1.01" in wrong(place, key, "100", round_off="1")["round_off"]
    assert not asked(place) and states(place, key) == ["posted"]


# --- clauses -------------------------------------------------------------------------------------


def test_money_is_collected_for_work_done(place: Place) -> None:
    key = place.case("60")
    take(place, key, "60")
    assert states(place, key) == ["settled"] and "money_collected" in kinds(place, key)


def limits(place: Place, receipt: int) -> dict[str, tuple[str, Any]]:
    with place.acting() as work:
        rows = work.scalars(select(Obligation).where(Obligation.record_id == receipt)).all()
        return {one.clause: (one.state, one.due_at) for one in rows}


@pytest.mark.clause("R15-11c")
def test_money_goes_to_finance_the_same_working_day(place: Place) -> None:
    place.office.clause("R15-11c", limit="0")
    receipt = take(place, place.case("60"), "60")
    state, due = limits(place, receipt)["R15-11c"]
    assert state == "open" and due.date() == NOVEMBER.date()
    place.do(receipt, "hand_in")
    assert limits(place, receipt)["R15-11c"][0] == "met"
    late = take(place, place.case("60"), "60")
    with clock.frozen(NOVEMBER + timedelta(days=2)):
        place.do(late, "hand_in")
    assert limits(place, late)["R15-11c"][0] == "late"
    transfer = take(place, place.case("60"), "60", means="transfer")
    assert limits(place, transfer)["R15-11c"][0] == "met"
    with place.acting() as work:
        row = work.scalars(
            select(Obligation).where(Obligation.record_id == late, Obligation.clause == "R15-11c")
        ).one()
        assert row.responsible_id == work.get_one(Receipt, late).collector_id  # who took it, not finance


@pytest.mark.clause("R29-2.2a")
def test_a_case_is_not_archived_while_its_money_is_in_hand(place: Place) -> None:
    place.office.clause("R29-2.2a")
    place.office.clause("R15-11b", on=False)
    key = place.case("60")
    receipt = take(place, key, "60")
    place.office.do(key, *FINISH)
    with place.acting(), pytest.raises(Refused) as refused:
        perform(key, "close", {})
    assert [one.clause for one in refused.value.refusals] == ["R29-2.2a"]
    assert limits(place, receipt)["R29-2.2a"][0] == "open"
    place.do(receipt, "hand_in")
    place.do(key, "close")
    assert state_of(place, key) == "closed"


FINISH = ("classify", "plan", "assign", "accept", "start", "solve", "send_result", "confirm")


def test_of_an_erased_customer_nobody_is_named_and_the_sums_stay(place: Place) -> None:
    key = place.case("100")
    receipt = take(place, key, "100", payer_name="张三")
    with place.acting() as work:
        customer = work.get_one(Customer, place.customer_of(key))
        erase_customer(customer, "本人要求")
        work.commit()
        detail = work.scalars(select(Receipt).where(Receipt.id == receipt)).one()
        assert (detail.payer_name, detail.amount) == ("", Decimal("100.00"))


# --- at once -------------------------------------------------------------------------------------


def test_two_cashiers_at_once_do_not_collect_twice(place: Place) -> None:
    key = place.case("100")
    gate, answers = threading.Barrier(2), []

    def cashier() -> None:
        gate.wait()
        try:
            with clock.frozen(NOVEMBER):
                answers.append(take(place, key, "100"))
        except InvalidData as bad:
            answers.append(bad)

    both = [threading.Thread(target=cashier) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert sorted(isinstance(one, InvalidData) for one in answers) == [False, True], answers
    with place.acting():
        (owed,) = ledger.of_record(key)
        assert owed.paid == owed.payable == Decimal("100.00")
    assert current.app is not None


# --- a collector who leaves ----------------------------------------------------------------------


def test_who_leaves_is_asked_for_the_money_in_their_hands(place: Place) -> None:
    key = place.case("100", "50")
    cash = take(place, key, "120")
    take(place, key, "30", means="transfer", reference="T-1")
    with place.acting() as work:
        number = work.get_one(Record, cash).number
        collector = work.scalars(select(Receipt.collector_id).where(Receipt.id == cash)).one()

    def waiting() -> list[str]:
        with place.acting():
            found = open_items_of_leaver(place.unit.id, collector or 0)
            return [str(item.text) for plugin, item in found if plugin == "warranty"]

    assert len(waiting()) == 1
    assert number in waiting()[0]
    with place.acting():
        perform(cash, "hand_in")
    assert waiting() == []

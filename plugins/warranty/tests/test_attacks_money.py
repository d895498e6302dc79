"""Money attacked: what a hostile, careless or hurried person tries with quotes, receipts and invoices."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel.errors import AppError, InvalidData, Refused
from core.records.models import Attachment
from core.sdk import Record, approvals, charges, clock, perform
from plugins.warranty import invoices, ledger, receipts, rights, statements, values
from plugins.warranty.tests.scene_money import NOVEMBER, Place, make_place
from plugins.warranty.tests.scene_prices import add_part
from plugins.warranty.tests.scene_quotes import (
    AGREED,
    ALL,
    MONDAY,
    SHORT,
    SHORT_TOTAL,
    TOTAL,
    VISIT,
    WAIVER,
    Desk,
    a_second_person,
    make_desk,
)
from plugins.warranty.tests.test_invoices import ask, issue
from plugins.warranty.tests.test_quotes import together
from plugins.warranty.tests.test_receipts import FINISH
from tests.api_scene import Asker, token_of
from tests.helpers import login, make_user, switch_off, switch_on

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


# --- who may look ----------------------------------------------------------------------------------


def test_quotes_are_told_only_to_who_may_see_their_cases(app: Any, desk: Desk) -> None:
    desk.told()
    key = desk.quotes(desk.told())[0].id

    def ask_for(*permissions: str) -> Asker:
        return Asker(app, token_of(make_user(desk.unit, ("api.use", *permissions)), units=[desk.unit]))

    stranger, reader = ask_for(rights.VIEW), ask_for(rights.VIEW, "case.view")
    assert reader.get(f"/warranty/quotes/{key}").json["total"] == "1730.00"
    assert len(reader.get("/warranty/quotes").json["items"]) == 2
    assert stranger.get(f"/warranty/quotes/{key}").status_code == 404
    assert stranger.get("/warranty/quotes").json.get("items", []) == []


def test_the_file_of_an_invoice_is_opened_only_by_who_may_see_invoices(app: Any, place: Place) -> None:
    paper = ask(place, place.case("60"))
    user = make_user(place.unit, ALL)
    client = login(app.test_client(), user)
    given = {"invoice_number": "26332000000012345678", "file": (io.BytesIO(b"%PDF-1.4 x"), "fp.pdf")}
    page = client.get(f"/admin/record/{paper}").text
    version = re.search(r'name="version"[^>]*value="(\d+)"', page)
    answer = client.post(
        f"/admin/record/{paper}/do/issue", data={**given, "version": version[1] if version else ""}
    )
    assert answer.status_code == 302, answer.text[-2000:]
    with place.acting() as work:
        file = work.scalars(select(Attachment).where(Attachment.record_id == paper)).one().id
    with client.get(f"/admin/record/file/{file}") as opened:
        assert opened.status_code == 200
    other = login(app.test_client(), make_user(place.unit, ("case.view", "attachment.view")))
    assert other.get(f"/admin/record/{paper}").status_code == 200
    assert other.get(f"/admin/record/file/{file}").status_code == 403


# --- approvals -------------------------------------------------------------------------------------


def test_an_answer_to_an_old_question_changes_nothing(desk: Desk) -> None:
    gm = desk.office.staff("gm")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    old = desk.approvals(key)[0].id
    desk.do(key, "warranty:quote", SHORT)
    with pytest.raises(AppError):
        desk.decide_on(gm, old)
    assert desk.total(key).waived == ZERO and desk.quote(key).state == values.DRAFT


@pytest.mark.clause(WAIVER)
def test_nobody_agrees_to_their_own_waiver(desk: Desk) -> None:
    gm = desk.office.staff("gm")
    key = desk.refused()
    with desk.acting(gm):
        perform(key, "warranty:ask_waiver", {"reason": "熟人"})
    assert refused(lambda: desk.decide_on(gm, desk.approvals(key)[0].id)) == ["own"]
    assert desk.total(key).waived == ZERO


def test_a_waiver_and_a_further_quote_at_once_leave_one_truth(desk: Desk) -> None:
    gm, other = desk.office.staff("gm"), a_second_person(desk)
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    approval = desk.approvals(key)[0].id
    answers = together(
        lambda: desk.decide_on(gm, approval), lambda: desk.do(key, "warranty:quote", SHORT, user=other)
    )
    assert all(one is None or isinstance(one, AppError) for one in answers), answers
    assert len([one for one in answers if one is not None]) <= 1, answers
    now, found = desk.quote(key), desk.total(key)
    # Waived first: of the further quote only what the waiver did not cover, line by line, is left to pay.
    assert now.total == found.payable and found.payable in (ZERO, SHORT_TOTAL, Decimal("50.00"))
    assert (now.state == values.WAIVED) == (found.payable == ZERO)


# --- money beforehand, cancelling, at once -----------------------------------------------------------


def owes(desk: Desk, key: int) -> Decimal:
    with desk.acting() as work:
        customer = work.scalars(select(Record.customer_id).where(Record.id == key)).one()
        return statements.balance_of(customer or 0, [desk.unit.id])


def test_money_paid_beforehand_is_neither_lost_nor_counted_twice(desk: Desk) -> None:
    key = desk.consented()
    with desk.acting():
        receipts.register(desk.unit.id, {"case_id": key, "amount": "1000", "means": "transfer"})
    assert owes(desk, key) == Decimal("-1000.00")
    desk.do(key, "cancel", {"reason": "不修了"})
    assert owes(desk, key) == Decimal("-1000.00")
    desk.do(key, "reopen")
    for step, given in (("quote", VISIT), ("send", {"by": "phone"}), ("consent", AGREED)):
        desk.do(key, f"warranty:{step}", given)
    desk.at_work(key)
    desk.do(key, "solve")
    assert owes(desk, key) == TOTAL - 1000
    with desk.acting():
        for amount, fine in (("730.01", False), ("730", True), ("0.01", False)):
            given = {"case_id": key, "amount": amount, "means": "transfer"}
            if fine:
                receipts.register(desk.unit.id, given)
                continue
            with pytest.raises(InvalidData):
                receipts.register(desk.unit.id, given)
    assert owes(desk, key) == ZERO
    assert {one.state for one in desk.charges(key) if one.state != "void"} == {"settled"}


def test_an_invoice_and_a_waiver_at_once_never_come_to_more_than_is_owed(place: Place) -> None:
    key = place.case("100")
    (row,) = place.charges_of(key)

    def lower() -> None:
        with clock.frozen(NOVEMBER), place.acting(place.leader, ALL):
            charges.adjust(row.id, "40", "算错")

    def bill() -> None:
        with clock.frozen(NOVEMBER):
            ask(place, key)

    answers = together(lower, bill)
    assert all(one is None or isinstance(one, AppError) for one in answers), answers
    with place.acting():
        (owed,) = ledger.of_record(key)
        assert owed.invoiced <= owed.payable, (owed.invoiced, owed.payable)


def test_a_receipt_made_void_twice_at_once_is_taken_back_once(place: Place) -> None:
    key = place.case("100")
    with place.acting():
        paper = receipts.register(place.unit.id, {"case_id": key, "amount": "100", "means": "cash"}).id

    def void() -> None:
        with clock.frozen(NOVEMBER):
            place.do(paper, "void", {"reason": "重复"})

    def pay() -> None:
        with clock.frozen(NOVEMBER), place.acting():
            receipts.register(place.unit.id, {"case_id": key, "amount": "100", "means": "cash"})

    answers = together(void, void, pay)
    assert all(one is None or isinstance(one, AppError) for one in answers), answers
    customer = place.customer_of(key)
    with place.acting():
        (owed,) = ledger.of_record(key)
        assert owed.paid in (ZERO, Decimal("100.00"))
        assert (owed.charge.state == "settled") == (owed.paid == 100)
        assert statements.balance_of(customer, [place.unit.id]) == Decimal("100.00") - owed.paid


def test_with_a_receipt_made_void_its_rounding_is_off(place: Place) -> None:
    key = place.case("100")
    with place.acting():
        given = {"case_id": key, "amount": "99.50", "means": "cash", "round_off": True}
        paper = receipts.register(place.unit.id, given).id
    place.do(paper, "void", {"reason": "假币"})
    with place.acting() as work:
        asked = work.scalars(select(approvals.Approval.id)).all()[-1]
    with place.acting(place.leader, ALL | {"approval.view"}):
        approvals.agree(asked)
    with place.acting():
        (owed,) = ledger.of_record(key)
        assert (owed.payable, owed.paid) == (Decimal("100.00"), ZERO)


def test_what_was_agreed_to_is_posted_though_the_plugin_was_off_when_the_work_was_done(desk: Desk) -> None:
    key = desk.consented()
    desk.at_work(key)
    switch_off(desk.unit, "warranty")
    desk.do(key, "solve")
    switch_on(desk.unit, "warranty")
    for step in FINISH[FINISH.index("solve") + 1 :]:
        desk.do(key, step)
    assert {one.state for one in desk.charges(key)} == {"posted"}
    assert owes(desk, key) == TOTAL


@pytest.mark.parametrize(
    "odd", ["NaN", "-5", "0", "0.001", "1e400", "Infinity", "99999999999.99", "1,5", "abc", "0x10"]
)
def test_odd_amounts_of_receipts_and_invoices_are_told(sqlite_app: Any, odd: str) -> None:
    with clock.frozen(NOVEMBER):
        place = make_place()
        key = place.case("100")
        with place.acting():
            for call, more in (
                (receipts.register, {"means": "cash"}),
                (invoices.request, {"buyer": "某公司", "rate": "13"}),
            ):
                with pytest.raises(InvalidData) as bad:
                    call(place.unit.id, {"case_id": key, "amount": odd, **more})
                assert set(bad.value.errors) == {"amount"}
            for rate in ("NaN", "-1", "31", "13.001"):
                with pytest.raises(InvalidData) as bad:
                    invoices.request(place.unit.id, {"case_id": key, "buyer": "某公司", "rate": rate})
                assert set(bad.value.errors) == {"rate"}
            for chosen in ("999999999999999999999", "-1", "1 or 1=1", [True], ["x"], "１；２"):
                with pytest.raises(InvalidData) as bad:
                    receipts.register(
                        place.unit.id, {"case_id": key, "amount": "1", "means": "cash", "charges": chosen}
                    )
                assert set(bad.value.errors) == {"charges"}


def test_shares_of_a_line_add_up_to_the_cent(sqlite_app: Any) -> None:
    """Whatever the parts and prices, the statement, the quote and the sum of the receipts agree."""
    with clock.frozen(MONDAY):
        desk = make_desk(sqlite_app)
        add_part(desk.unit, "C-1", price="0.07")
        add_part(desk.unit, "C-2", price="33.33")
        key = desk.told({**VISIT, "travel": "0.05", "parts": "C-1,0.333\nC-2,2.999"})
        shown = sum(Decimal(one["amount"]) for one in desk.quote(key).lines)
        assert desk.quote(key).total == shown == desk.total(key).payable
        desk.do(key, "warranty:consent", AGREED)
        desk.at_work(key)
        desk.do(key, "solve")
        assert owes(desk, key) == shown
        with desk.acting():
            for amount in ("0.01", "0.02", str(shown - Decimal("0.03"))):
                receipts.register(desk.unit.id, {"case_id": key, "amount": amount, "means": "transfer"})
        assert owes(desk, key) == ZERO
        assert {one.state for one in desk.charges(key)} == {"settled"}

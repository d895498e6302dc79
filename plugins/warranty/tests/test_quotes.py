"""Quotes, consent, refusal, waiver, posting: through the steps that people take."""

from __future__ import annotations

import io
import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.customers.services import erase_customer
from core.kernel.audit import Audit
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.records.attachments import attach
from core.records.models import Attachment
from core.sdk import Customer, Record, approvals, charges, clock, perform, session, transaction
from plugins.warranty import quotes, values
from plugins.warranty.tests.scene_prices import add_tariff
from plugins.warranty.tests.scene_quotes import (
    AGREED,
    ALL,
    MONDAY,
    R17,
    SHORT,
    SHORT_TOTAL,
    TOTAL,
    VISIT,
    WAIVER,
    Desk,
    a_second_person,
    make_desk,
)
from tests.casework import shape
from tests.helpers import in_scope, login, make_unit, make_user

ZERO = Decimal("0.00")


@pytest.fixture(autouse=True)
def on_monday() -> Any:
    with clock.frozen(MONDAY):
        yield


@pytest.fixture
def desk(app: Any) -> Desk:
    return make_desk(app)


@pytest.fixture
def one_desk(sqlite_app: Any) -> Desk:
    return make_desk(sqlite_app)


def refused(call: Any) -> list[str]:
    with pytest.raises(Refused) as caught:
        call()
    return [one.code for one in caught.value.refusals]


def beside(call: Any) -> set[str]:
    with pytest.raises(InvalidData) as caught:
        call()
    return set(caught.value.errors)


# --- quoting -------------------------------------------------------------------------------------


def test_a_quote_has_a_number_its_lines_with_clause_and_reason_and_a_last_day(desk: Desk) -> None:
    key = desk.quoted({**VISIT, "provided": ["lodging"]})
    quote = desk.quote(key)
    assert quote.number == f"BJ-{desk.unit.code}-202603-0001"
    assert (quote.state, quote.total) == (values.DRAFT, TOTAL - 300)
    assert quote.valid_until is not None and quote.valid_until.isoformat() == "2026-03-17"  # 15 days
    assert {one["clause"] for one in quote.lines} == {"R17-5.2.3"}
    told = {one["code"]: (one["amount"], one["why"]) for one in quote.lines}
    assert told == {
        "travel": ("680.00", ""),
        "lodging": ("0.00", "provided"),
        "meals": ("150.00", ""),
        "allowance": ("600.00", ""),
    }
    assert {one.state for one in desk.charges(key)} == {"quoted"}
    assert quote.plan["days"] == "3" and quote.basis["lines"]
    assert desk.state(key) == "warranty:quoted"
    assert desk.kinds(key)[-2:] == ["paused", "fee_quoted"]


def test_numbers_run_per_unit_and_month(one_desk: Desk) -> None:
    first, second = one_desk.quoted(), one_desk.quoted()
    with clock.frozen(MONDAY + timedelta(days=31)):
        third = one_desk.quoted()
    found = [one_desk.quote(key).number.partition(one_desk.unit.code)[2] for key in (first, second, third)]
    assert found == ["-202603-0001", "-202603-0002", "-202604-0001"]


def test_before_the_decision_nothing_is_quoted(desk: Desk) -> None:
    key = desk.case("")
    before = shape(key)
    assert refused(lambda: desk.do(key, "warranty:quote", VISIT)) == ["undecided"]
    assert shape(key) == before


def test_where_the_customer_pays_nothing_nothing_is_quoted(desk: Desk) -> None:
    free = desk.case("in_warranty")
    assert beside(lambda: desk.do(free, "warranty:quote", VISIT)) == {"means"}
    remote = desk.case()
    assert beside(lambda: desk.do(remote, "warranty:quote", {"means": "remote"})) == {"means"}
    assert desk.quotes(free) == desk.quotes(remote) == []


def test_a_further_quote_replaces_the_one_before(desk: Desk) -> None:
    key = desk.told()
    desk.do(key, "warranty:quote", SHORT)
    before, now = desk.quotes(key)
    assert (before.state, before.current) == (values.REPLACED, False)
    assert (now.state, now.current, now.total) == (values.DRAFT, True, SHORT_TOTAL)
    assert desk.total(key).payable == SHORT_TOTAL
    # The clocks have stood still since the first.
    assert desk.kinds(key).count("paused") == 1
    # The customer is asked about the whole of it anew.
    desk.do(key, "warranty:send", {"by": "phone"})
    desk.do(key, "warranty:consent", AGREED)
    desk.do(key, "warranty:quote", VISIT)
    states = {one.code: one.state for one in desk.charges(key)}
    assert states == dict.fromkeys(("travel", "lodging", "meals", "allowance"), "quoted")
    assert desk.kinds(key).count("paused") == 2
    assert set(refused(lambda: desk.do(key, "assign"))) >= {"state"}


def test_the_cover_decides_not_who_asks(desk: Desk) -> None:
    other = make_unit()
    key = desk.quoted()
    quote = desk.quote(key)
    with desk.acting():
        assert quotes.get_quote(str(quote.id)).number == quote.number
    with in_scope(other, ("case.view",)), pytest.raises(NotFound):
        quotes.get_quote(quote.id)
    with in_scope(desk.unit, ()), pytest.raises(NotFound):
        quotes.get_quote(quote.id)


# --- telling and answering -----------------------------------------------------------------------


def test_telling_issues_the_paper_and_puts_it_on_the_case(desk: Desk) -> None:
    key = desk.told()
    quote = desk.quote(key)
    assert (quote.state, quote.sent_by_means, quote.sent_at) == (values.SENT, "phone", MONDAY)
    with desk.acting() as work:
        files = work.scalars(select(Attachment).where(Attachment.record_id == key)).all()
        assert [(one.kind, one.media_type) for one in files] == [("document", "application/pdf")]
    sent = desk.facts(key)[-1]
    assert (sent.kind, sent.data["by"], sent.data["quote"]) == ("quote_sent", "phone", quote.number)
    # Told again by other means it is the same paper, and was told when it was told first.
    with clock.frozen(MONDAY + timedelta(hours=1)):
        desk.do(key, "warranty:send", {"by": "wechat"})
        with desk.acting() as work:
            assert len(work.scalars(select(Attachment).where(Attachment.record_id == key)).all()) == 1
    assert desk.quote(key).sent_at == MONDAY


def test_consent_locks_the_prices_and_goes_on_with_the_case(desk: Desk) -> None:
    key = desk.consented()
    quote = desk.quote(key)
    assert (quote.state, quote.means, quote.answered_by, quote.total) == (values.CONSENTED, "phone", "马林", TOTAL)
    assert {one.state for one in desk.charges(key)} == {"consented"}
    assert desk.state(key) == "classified"
    assert desk.kinds(key)[-2:] == ["resumed", "consented"]
    # Who agreed is personal: it stands in the quote, not in the facts.
    assert not any("马林" in str(one.data) or "马林" in one.note for one in desk.facts(key)[3:])
    desk.at_work(key)


def test_nobody_agrees_to_what_they_were_not_told(desk: Desk) -> None:
    key = desk.quoted()
    assert refused(lambda: desk.do(key, "warranty:consent", AGREED)) == ["not_told"]
    assert refused(lambda: desk.do(key, "warranty:refuse", {"reason": "太贵"})) == ["not_told"]
    with clock.frozen(MONDAY + timedelta(hours=2)):
        desk.do(key, "warranty:send", {"by": "phone"})
        early = {**AGREED, "at": "2026-03-02T11:00"}
        assert beside(lambda: desk.do(key, "warranty:consent", early)) == {"at"}
        assert beside(lambda: desk.do(key, "warranty:refuse", {"reason": "太贵", "at": early["at"]})) == {"at"}
        desk.do(key, "warranty:consent", {**AGREED, "at": "2026-03-02T12:00"})


def test_a_lapsed_quote_is_worked_out_again(desk: Desk) -> None:
    key = desk.told()
    held = desk.quote(key).id
    with clock.frozen(MONDAY + timedelta(days=15, hours=13)), desk.acting():  # the last day, late in the evening
        assert not quotes.is_lapsed(quotes.get_quote(held))
    with clock.frozen(MONDAY + timedelta(days=16)):
        assert refused(lambda: desk.do(key, "warranty:consent", AGREED)) == ["lapsed"]
        assert refused(lambda: desk.do(key, "warranty:send", {"by": "phone"})) == ["lapsed"]
        desk.do(key, "warranty:quote", VISIT)
        assert [one.state for one in desk.quotes(key)] == [values.LAPSED, values.DRAFT]
        desk.do(key, "warranty:send", {"by": "phone"})
        desk.do(key, "warranty:consent", AGREED)


def test_a_price_that_changed_in_between_is_noticed(desk: Desk) -> None:
    key = desk.told()
    add_tariff(desk.unit, "2026-03-04", allowance_amount="220")
    with clock.frozen(MONDAY + timedelta(days=1)):
        assert desk.quote(key).state == values.SENT
    with clock.frozen(MONDAY + timedelta(days=3)):
        assert refused(lambda: desk.do(key, "warranty:consent", AGREED)) == ["price_changed"]
        assert refused(lambda: desk.do(key, "warranty:send", {"by": "phone"})) == ["price_changed"]
        desk.do(key, "warranty:quote", VISIT)
        assert desk.quote(key).total == TOTAL + 60
        desk.do(key, "warranty:send", {"by": "phone"})
        desk.do(key, "warranty:consent", AGREED)
        assert desk.total(key).payable == TOTAL + 60


def test_a_decision_that_changed_in_between_is_noticed(one_desk: Desk) -> None:
    key = one_desk.told()
    one_desk.decide(key, "misuse")
    assert refused(lambda: one_desk.do(key, "warranty:consent", AGREED)) == ["price_changed"]


def test_consent_in_writing_is_shown_by_something(desk: Desk) -> None:
    key = desk.told()
    signed = {"means": "signature", "who": "马林"}
    assert beside(lambda: desk.do(key, "warranty:consent", signed)) == {"evidence"}
    with desk.acting():
        attach(key, "同意.txt", io.BytesIO("同意报价".encode()))
    desk.do(key, "warranty:consent", signed)
    other = desk.told()
    desk.do(other, "warranty:consent", {**signed, "evidence": "签字单存档 2026-031"})
    assert desk.quote(other).evidence == "签字单存档 2026-031"


def test_a_refusal_needs_a_reason_and_leads_nowhere_by_itself(desk: Desk) -> None:
    key = desk.told()
    assert beside(lambda: desk.do(key, "warranty:refuse", {})) == {"reason"}
    desk.do(key, "warranty:refuse", {"reason": "太贵"})
    assert (desk.quote(key).state, desk.quote(key).reason) == (values.REFUSED, "太贵")
    assert desk.state(key) == "classified"
    assert set(refused(lambda: desk.do(key, "assign"))) == {"consent"}
    desk.do(key, "warranty:quote", SHORT)  # a cheaper plan leads on
    desk.do(key, "warranty:send", {"by": "phone"})
    desk.do(key, "warranty:consent", AGREED)
    desk.at_work(key)


def test_with_the_customer_who_agreed_is_forgotten(desk: Desk) -> None:
    key = desk.told()
    desk.do(key, "warranty:consent", {**AGREED, "evidence": "来电 13112355344"})
    with desk.acting() as work:
        customer = work.scalars(select(Customer).join(Record).where(Record.id == key)).one()
        erase_customer(customer, "客户要求")
        logged = work.scalars(select(Audit.after).where(Audit.subject_type == "warranty_quote")).all()
        work.commit()
    quote = desk.quote(key)
    assert (quote.state, quote.answered_by, quote.evidence) == (values.CONSENTED, "", "")
    assert logged and "马林" not in str(logged) and "13112355344" not in str(logged)


# --- waiver --------------------------------------------------------------------------------------


@pytest.mark.clause("R17-7.2.4b")
def test_only_the_general_manager_lets_a_customer_be_served_who_refuses(desk: Desk) -> None:
    gm, leader = desk.office.staff("gm"), desk.office.staff("service_leader")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    (approval,) = desk.approvals(key)
    assert (approval.clause, approval.position, approval.amount) == (WAIVER, "gm", TOTAL)
    assert refused(lambda: desk.do(key, "warranty:ask_waiver", {"reason": "再问"})) == ["asked"]
    assert refused(lambda: desk.decide_on(leader, approval.id)) == ["wrong_role"]
    assert set(refused(lambda: desk.do(key, "assign"))) == {"consent"}
    desk.decide_on(gm, approval.id)
    found = desk.total(key)
    assert (found.charged, found.waived, found.payable) == (TOTAL, TOTAL, ZERO)
    assert (desk.quote(key).state, desk.quote(key).total) == (values.WAIVED, ZERO)
    assert desk.kinds(key)[-1] == "fees_waived"
    desk.at_work(key)
    desk.do(key, "solve")
    assert desk.total(key).payable == ZERO


@pytest.mark.clause("R17-7.2.4b")
def test_a_rejected_waiver_leaves_the_refusal(desk: Desk) -> None:
    gm = desk.office.staff("gm")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    desk.decide_on(gm, desk.approvals(key)[0].id, agreed=False)
    assert desk.quote(key).state == values.REFUSED and desk.total(key).waived == ZERO
    assert set(refused(lambda: desk.do(key, "assign"))) == {"consent"}
    desk.do(key, "warranty:ask_waiver", {"reason": "客户很重要"})  # may be asked again
    assert len(desk.approvals(key)) == 2


@pytest.mark.parametrize(
    "clause",
    [
        pytest.param("R18-7.2.4b", marks=pytest.mark.clause("R18-7.2.4b")),
        pytest.param("R19-7.2.4b", marks=pytest.mark.clause("R19-7.2.4b")),
    ],
)
def test_the_position_of_the_units_own_clause_is_asked(sqlite_app: Any, clause: str) -> None:
    desk = make_desk(sqlite_app, clause, *R17[:-1], position="deputy_gm")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    (approval,) = desk.approvals(key)
    assert (approval.clause, approval.position) == (clause, "deputy_gm")
    desk.decide_on(desk.office.staff("deputy_gm"), approval.id)
    assert desk.quote(key).state == values.WAIVED


def test_without_a_clause_no_fees_are_waived(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app, *R17[:-1])
    key = desk.refused()
    assert beside(lambda: desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})) == {"reason"}


def test_a_waiver_is_asked_for_only_after_a_refusal(one_desk: Desk) -> None:
    key = one_desk.consented()
    with pytest.raises(Refused) as caught:
        one_desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    assert WAIVER in {one.clause for one in caught.value.refusals}


def test_a_further_quote_takes_the_question_back(one_desk: Desk) -> None:
    key = one_desk.refused()
    one_desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    one_desk.do(key, "warranty:quote", SHORT)
    assert one_desk.approvals(key)[0].state == "withdrawn"


# --- reductions ----------------------------------------------------------------------------------


def test_a_reduction_is_agreed_to_by_the_position_of_the_line_and_shown_at_once(desk: Desk) -> None:
    leader = desk.office.staff("service_leader")
    key = desk.told()
    (row,) = [one for one in desk.charges(key) if one.code == "allowance"]
    with desk.acting():
        asked = charges.ask_waiver(row.id, "淡季优惠", "100")
        assert asked is not None and asked.position == "service_leader"
        session().commit()
    desk.decide_on(leader, desk.approvals(key)[0].id)
    held = desk.quote(key).id
    assert desk.quote(key).total == TOTAL - 100
    with desk.acting():
        assert quotes.payable(key) == TOTAL - 100
        shown = quotes.lines_now(quotes.get_quote(held))
        assert sum(Decimal(one["amount"]) for one in shown) == TOTAL - 100
    desk.do(key, "warranty:consent", AGREED)
    assert desk.quote(key).total == TOTAL - 100


@pytest.mark.clause("R13-5.2.1.3d")
def test_nothing_is_lowered_below_what_the_tariff_allows(app: Any) -> None:
    table = ("R13-5.2.1.3d", "R13-5.2.1.3a", "R13-5.2.1.3b", "R13-5.2.1.3c")
    desk = make_desk(app, *table, least="150")
    key = desk.told()
    (row,) = [one for one in desk.charges(key) if one.code == "allowance"]
    assert row.clause == "R13-5.2.1.3d" and row.amount == 600  # three days, at least 450
    with desk.acting():
        with pytest.raises(Refused) as caught:
            charges.ask_waiver(row.id, "淡季优惠", "150.01")
        assert "450.00" in str(caught.value.refusals[0].text)
        assert charges.ask_waiver(row.id, "淡季优惠", "150.00") is not None


def test_the_units_own_tariff_says_how_low_a_line_may_go(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app)
    add_tariff(desk.unit, "2026-02-01", allowance_least="180")
    key = desk.told()
    (row,) = [one for one in desk.charges(key) if one.code == "allowance"]
    with desk.acting():
        with pytest.raises(Refused):
            charges.ask_waiver(row.id, "淡季优惠", "61")  # three days, at least 540
        assert charges.ask_waiver(row.id, "淡季优惠", "60") is not None


def test_what_was_agreed_to_stays_when_prices_change(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app)
    key = desk.consented()
    add_tariff(desk.unit, "2026-03-04", allowance_amount="220")
    with clock.frozen(MONDAY + timedelta(days=3)):
        desk.at_work(key)
        desk.do(key, "solve")
        assert desk.total(key).payable == TOTAL


def test_what_is_served_free_by_decision_may_go_below_the_tariff(sqlite_app: Any) -> None:
    table = ("R13-5.2.1.3d", "R13-5.2.1.3a", "R13-5.2.1.3b", "R13-5.2.1.3c")
    desk = make_desk(sqlite_app, *table, WAIVER, least="150")
    gm = desk.office.staff("gm")
    key = desk.refused()
    desk.do(key, "warranty:ask_waiver", {"reason": "老客户"})
    desk.decide_on(gm, desk.approvals(key)[0].id)
    assert desk.total(key).payable == ZERO
    posted = desk.solved()
    desk.decide(posted, "in_warranty")  # put right, not lowered
    assert desk.total(posted).payable == ZERO


# --- without payment -----------------------------------------------------------------------------


def test_help_on_the_telephone_needs_no_quote(desk: Desk) -> None:
    key = desk.case()
    assert set(refused(lambda: desk.do(key, "assign"))) == {"consent"}
    desk.do(key, "warranty:cost", {"means": "remote"})
    assert desk.facts(key)[-1].data == {"means": "remote", "owed": "0.00"}
    desk.do(key, "assign")
    assert set(refused(lambda: desk.do(key, "depart"))) == {"consent"}  # nobody sets out for it
    desk.do(key, "start")
    desk.do(key, "solve")
    assert desk.total(key).payable == ZERO


def test_a_decision_after_the_booking_asks_anew(one_desk: Desk) -> None:
    key = one_desk.case("in_warranty")
    one_desk.do(key, "warranty:cost", VISIT)
    one_desk.do(key, "assign")
    one_desk.decide(key, "misuse")
    assert set(refused(lambda: one_desk.do(key, "depart"))) == {"consent"}


def test_where_everything_is_free_nothing_is_asked(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app, "R03-7.1", *R17)
    key = desk.case()
    desk.at_work(key)


# --- posting and taking back ---------------------------------------------------------------------


def test_what_was_agreed_to_is_posted_when_the_work_is_done(desk: Desk) -> None:
    key = desk.consented()
    desk.at_work(key)
    assert {one.state for one in desk.charges(key)} == {"consented"}
    desk.do(key, "solve")
    assert {one.state for one in desk.charges(key)} == {"posted"}
    desk.do(key, "warranty:cost", {**VISIT, "travel": "700"})
    assert {one.state for one in [*desk.charges(key), *desk.charges(key, "company")]} == {"posted"}
    assert desk.total(key).payable == TOTAL
    with desk.acting(), transaction():  # again, nothing more happens
        quotes.post_charges(session().get_one(Record, key))
    assert desk.total(key).payable == TOTAL


def test_our_own_cost_is_posted_when_the_work_is_done(desk: Desk) -> None:
    key = desk.case("in_warranty")
    desk.at_work(key)
    desk.do(key, "warranty:cost", VISIT)
    assert desk.total(key, "company").payable == TOTAL
    assert [one.state for one in desk.charges(key, "company")] == ["proposed"] * 4
    desk.do(key, "solve")
    assert [one.state for one in desk.charges(key, "company")] == ["posted"] * 4


def test_decided_as_free_after_all_the_quote_and_its_charges_are_taken_back(desk: Desk) -> None:
    for key in (desk.told(), desk.consented(), desk.refused()):
        desk.decide(key, "in_warranty")
        assert desk.total(key).payable == ZERO
        assert [(one.state, one.current) for one in desk.quotes(key)] == [(values.REPLACED, False)]
        assert desk.state(key) == "classified"
        assert {one.state for one in desk.charges(key)} == {"void"}
        desk.at_work(key)


def test_posted_charges_are_taken_back_by_adjusting_lines(desk: Desk) -> None:
    key = desk.solved()
    desk.decide(key, "in_warranty")
    assert desk.total(key).payable == ZERO
    rows = desk.charges(key)
    assert {one.state for one in rows} == {"posted"}
    assert sum(one.amount for one in rows if one.adjusts_id) == -TOTAL
    desk.decide(key, "in_warranty")  # again, nothing more happens
    assert len(desk.charges(key)) == len(rows)


def test_a_cancelled_case_owes_nothing_and_is_quoted_anew(desk: Desk) -> None:
    key = desk.refused()
    desk.do(key, "cancel")
    assert desk.total(key).payable == ZERO
    desk.do(key, "reopen")
    assert set(refused(lambda: desk.do(key, "assign"))) == {"consent"}
    desk.do(key, "warranty:quote", VISIT)
    assert desk.total(key).payable == TOTAL


# --- compensation --------------------------------------------------------------------------------


@pytest.mark.clause("R07-7.3")
def test_compensation_is_borne_by_the_company_once_agreed_to(app: Any) -> None:
    desk = make_desk(app, "R07-7.3", *R17)
    gm, leader = desk.office.staff("gm"), desk.office.staff("service_leader")
    key = desk.solved()
    asked = {"amount": "800.00", "reason": "修坏主板"}
    desk.do(key, "warranty:compensate", asked)
    (approval,) = desk.approvals(key)
    assert (approval.position, approval.clause) == ("gm", "R07-7.3")
    assert refused(lambda: desk.do(key, "warranty:compensate", asked)) == ["asked"]
    assert refused(lambda: desk.decide_on(leader, approval.id)) == ["wrong_role"]
    assert desk.total(key, "company").payable == ZERO
    desk.decide_on(gm, approval.id, amount=Decimal("500.00"))  # decided case by case
    (row,) = desk.charges(key, "company")
    assert (row.clause, row.code, row.amount, row.state) == ("R07-7.3", "compensation", 500, "posted")
    assert desk.total(key).payable == TOTAL and desk.kinds(key)[-1] == "compensated"


@pytest.mark.clause("R07-7.3")
def test_compensation_that_is_rejected_or_not_provided_for_costs_nothing(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app, "R07-7.3", *R17)
    gm = desk.office.staff("gm")
    key = desk.case()
    assert beside(lambda: desk.do(key, "warranty:compensate", {"amount": "0", "reason": "x"})) == {"amount"}
    assert beside(lambda: desk.do(key, "warranty:compensate", {"amount": "0.001", "reason": "x"})) == {"amount"}
    desk.do(key, "warranty:compensate", {"amount": "1", "reason": "x"})
    desk.decide_on(gm, desk.approvals(key)[0].id, agreed=False)
    assert desk.charges(key, "company") == []
    other = make_desk(sqlite_app)
    held = other.case()
    assert beside(lambda: other.do(held, "warranty:compensate", {"amount": "1", "reason": "x"})) == {"amount"}


# --- many hands ----------------------------------------------------------------------------------


def test_the_same_click_twice_is_one_quote(desk: Desk) -> None:
    key = desk.case()
    for _ in range(2):
        desk.do(key, "warranty:quote", VISIT, key="click-1")
    assert len(desk.quotes(key)) == 1
    desk.do(key, "warranty:send", {"by": "phone"})
    for _ in range(2):
        desk.do(key, "warranty:consent", AGREED, key="click-2")
    assert desk.kinds(key).count("consented") == 1


def test_whoever_saw_an_older_case_is_told(desk: Desk) -> None:
    key = desk.told()
    seen = shape(key)["record"]["version"]
    desk.do(key, "warranty:quote", SHORT)
    with pytest.raises(Conflict):
        desk.do(key, "warranty:consent", AGREED, version=seen)
    assert desk.quote(key).state == values.DRAFT


def together(*calls: Any) -> list[Any]:
    gate = threading.Barrier(len(calls))
    found: list[Any] = [None] * len(calls)

    def run(place: int, call: Any) -> None:
        gate.wait()
        try:
            call()
        except Exception as bad:
            found[place] = bad

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found


def test_two_who_answer_for_the_customer_at_once(desk: Desk) -> None:
    key, other = desk.told(), a_second_person(desk)
    answers = together(
        lambda: desk.do(key, "warranty:consent", AGREED),
        lambda: desk.do(key, "warranty:refuse", {"reason": "太贵"}, user=other),
    )
    assert sorted(type(one).__name__ for one in answers) == ["NoneType", "Refused"]
    held = desk.quote(key).state
    assert held in (values.CONSENTED, values.REFUSED)
    assert desk.kinds(key).count("resumed") == 1
    assert {one.state for one in desk.charges(key)} == {"consented" if held == values.CONSENTED else "quoted"}


def test_two_who_quote_at_once_leave_one_quote(desk: Desk) -> None:
    key, other = desk.case(), a_second_person(desk)
    answers = together(
        lambda: desk.do(key, "warranty:quote", VISIT),
        lambda: desk.do(key, "warranty:quote", SHORT, user=other),
    )
    assert answers == [None, None]
    held = [one for one in desk.quotes(key) if one.current]
    assert len(desk.quotes(key)) == 2 and len(held) == 1
    assert desk.total(key).payable == held[0].total
    assert desk.kinds(key).count("paused") == 1


def test_an_assignee_of_our_staff_tells_and_notes_consent(one_desk: Desk) -> None:
    """Whoever sees cases needs no right to money for the case in their hands."""
    key = one_desk.case()
    one_desk.do(key, "warranty:cost", {"means": "remote"})
    one_desk.do(key, "assign")
    with one_desk.office.on_the_road("case.view"):
        perform(key, "warranty:quote", VISIT)
        perform(key, "warranty:send", {"by": "paper"})
        perform(key, "warranty:consent", {"means": "signature", "who": "马林", "evidence": "维修单上签字"})
    assert one_desk.quote(key).state == values.CONSENTED


def test_an_assignee_of_another_company_neither_quotes_nor_notes_consent(one_desk: Desk) -> None:
    key = one_desk.case()
    one_desk.do(key, "warranty:cost", {"means": "remote"})
    one_desk.do(key, "assign")
    with one_desk.office.on_the_road(), pytest.raises(NotAllowed):
        perform(key, "warranty:quote", VISIT)
    assert one_desk.quotes(key) == []
    with one_desk.office.on_the_road("case.view"):
        perform(key, "warranty:quote", VISIT)
    with one_desk.office.on_the_road(), pytest.raises(NotAllowed):
        perform(key, "warranty:send", {"by": "paper"})
    with one_desk.office.on_the_road("case.view"):
        perform(key, "warranty:send", {"by": "paper"})
    with one_desk.office.on_the_road(), pytest.raises(NotAllowed):
        perform(key, "warranty:consent", {"means": "signature", "who": "马林", "evidence": "维修单上签字"})
    assert one_desk.quote(key).state == values.SENT


def test_quotes_that_wait_stand_against_switching_off(one_desk: Desk) -> None:
    one_desk.quoted()
    one_desk.told()
    one_desk.consented()
    gone = one_desk.told()
    one_desk.do(gone, "cancel")
    with one_desk.acting():
        assert quotes.waiting(one_desk.unit.id) == 2


def test_every_amount_of_a_charge_is_in_its_quote(one_desk: Desk) -> None:
    key = one_desk.quoted()
    assert sum(one.amount for one in one_desk.charges(key)) == one_desk.quote(key).total == TOTAL
    assert approvals.handlers[quotes.WAIVER_SUBJECT] is quotes.waiver_decided


# --- on the screens --------------------------------------------------------------------------------


def test_from_quote_to_work_on_the_case_page(sqlite_app: Any) -> None:
    desk = make_desk(sqlite_app)
    key = desk.case()
    client = login(sqlite_app.test_client(), make_user(desk.unit, ALL, locale="en"), unit=desk.unit)
    page = f"/admin/record/{key}/"

    def do(step: str, **given: str) -> Any:
        assert "<form" in client.get(f"{page}do/{step}").text
        return client.post(f"{page}do/{step}", data={"version": str(shape(key)["record"]["version"]), **given})

    wrong = do("warranty:quote", means="remote")
    assert wrong.status_code == 422 and "book our own cost instead" in wrong.text
    assert do("warranty:quote", **VISIT).status_code == 302
    early = do("warranty:consent", **AGREED)
    assert early.status_code in (409, 422) and "has not been told the fees yet" in early.text
    assert do("warranty:send", by="wechat").status_code == 302
    bare = do("warranty:consent", means="wechat", who="马林")
    assert bare.status_code == 422 and "put the file on the case first" in bare.text
    assert do("warranty:consent", means="wechat", who="马林", evidence="微信 3月2日").status_code == 302
    assert desk.quote(key).state == values.CONSENTED
    shown = client.get(page.rstrip("/"))
    assert shown.status_code == 200 and desk.quote(key).number in shown.text
    desk.at_work(key)

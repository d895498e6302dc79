"""Charges: worked out once, amended while open, never changed once posted, and always adding up."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.kernel.audit import Audit
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.records.models import Record
from core.rules import approvals, charges
from core.rules.approval_models import WAITING, Approval
from core.rules.charge_models import (
    CONSENTED,
    POSTED,
    PROPOSED,
    QUOTED,
    SETTLED,
    VOID,
    WAIVED,
    Charge,
)
from core.rules.kinds import Line
from core.rules.money import yuan
from tests.casework import ALL, make_office, reading
from tests.helpers import in_scope, make_unit, make_user
from tests.money_scene import QUOTE, VISIT, acting, holder, money_clauses

NOVEMBER = datetime(2026, 11, 16, 2, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 3, 2, tzinfo=UTC)


@pytest.fixture
def office(app):
    with money_clauses(app), clock.frozen(NOVEMBER):
        yield make_office()


def line(amount, payer="customer", quantity=1, code="labour", ref=""):
    return Line(code, {"zh": "人工费", "en": "Labour"}, payer, Decimal(quantity), Decimal(amount), ref)


def record_of(key):
    return session().get_one(Record, key)


def propose(office, key, *lines, source="test", clause=VISIT):
    with office.at_desk():
        rows = charges.propose(record_of(key), clause, source, lines, {"hours": Decimal("1.5")})
        return [row.id for row in rows]


def move(office, charge_id, *names):
    with office.at_desk():
        for name in names:
            charges.move(charge_id, name, "写错了")


def rows(key):
    with reading() as work:
        found = work.scalars(select(Charge).where(Charge.record_id == key).order_by(Charge.id)).all()
        work.expunge_all()
        return found


def total(key, payer="customer"):
    with reading():
        return {one.payer: one for one in charges.totals(key)}.get(payer, charges.Total(payer))


# --- amounts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("0.005", "0.01"), ("1.004999", "1.00"), ("-0.005", "-0.01"), ("-0.001", "0.00"), ("1e3", "1000.00")],
)
def test_yuan_rounds_half_up(given_, expected):
    found = yuan(given_)
    assert (str(found), found.is_signed()) == (expected, expected.startswith("-"))


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "sNaN", "1e999999", "1000000000000", 1.5, True, None, "一百"])
def test_what_is_no_amount_is_refused(sqlite_app, bad):
    with sqlite_app.app_context(), pytest.raises(InvalidData):
        yuan(bad)


def test_a_line_is_rounded_once_and_by_itself(office):
    key = office.new_case()
    propose(office, key, line("0.335", quantity="1.5"), line("0.005"))
    # 0.5025 -> 0.50, 0.005 -> 0.01: never the sum first
    assert [row.amount for row in rows(key)] == [Decimal("0.50"), Decimal("0.01")]
    assert total(key).payable == Decimal("0.51")


@pytest.mark.parametrize(
    "wrong",
    [
        line("NaN"),
        line("-1"),
        line("1", quantity="-1"),
        line("1.00001"),
        line("1", quantity="0.0001"),
        line("9999999999.9999", quantity="999999999"),
        line("1", payer="nobody"),
    ],
)
def test_a_wrong_line_leaves_nothing_behind(office, wrong):
    key = office.new_case()
    with pytest.raises(InvalidData):
        propose(office, key, line("5"), wrong)
    assert rows(key) == []


# --- working out -------------------------------------------------------------------------------------


def test_proposing_again_with_the_same_changes_nothing(office):
    key = office.new_case()
    first = propose(office, key, line("100"), line("20", payer="company"))
    before = [(row.id, row.version, row.state) for row in rows(key)]
    assert propose(office, key, line("100"), line("20", payer="company")) == first
    assert [(row.id, row.version, row.state) for row in rows(key)] == before


def test_it_keeps_what_it_was_worked_out_from(office):
    key = office.new_case()
    propose(office, key, line("100"))
    row = rows(key)[0]
    assert row.inputs["values"] == {"price": "400"}
    assert row.inputs["given"] == {"hours": "1.5"}
    assert (row.inputs["settings"], row.inputs["schema"], row.clause) == ([], 1, VISIT)
    assert row.inputs["label"] == {"zh": "人工费", "en": "Labour"}


def test_an_open_line_is_amended_and_the_audit_trail_shows_it(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    move(office, charge, "quote")
    propose(office, key, line("120"))
    row = rows(key)[0]
    assert (row.id, row.amount, row.state) == (charge, Decimal("120.00"), QUOTED)
    with reading() as work:
        entries = select(Audit).where(Audit.subject_type == "core_charge", Audit.action == "change")
        changes = [(e.before.get("amount"), e.after.get("amount")) for e in work.scalars(entries)]
    assert ("100.00", "120.00") in changes


def test_consent_was_given_to_another_amount(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    move(office, charge, "quote", "consent")
    assert rows(key)[0].state == CONSENTED
    propose(office, key, line("120"))
    assert rows(key)[0].state == QUOTED


def test_a_line_that_is_no_longer_asked_for_is_taken_back_and_may_come_again(office):
    key = office.new_case()
    propose(office, key, line("100"), line("20"))
    propose(office, key, line("100"))
    assert [row.state for row in rows(key)] == [PROPOSED, VOID]
    assert total(key).payable == 100
    propose(office, key, line("100"), line("20"))
    assert [row.state for row in rows(key)] == [PROPOSED, PROPOSED]


def test_what_a_person_voided_stays_void(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    move(office, charge, "void")
    propose(office, key, line("130"))
    row = rows(key)[0]
    assert (row.state, row.amount, row.reason) == (VOID, Decimal("100.00"), "写错了")


def test_where_the_clause_is_off_nothing_is_proposed(office):
    key = office.new_case()
    assert propose(office, key, line("100"), clause="R01-93") == []
    assert rows(key) == []


def test_an_unknown_clause_is_a_mistake_of_the_caller(office):
    with pytest.raises(LookupError):
        propose(office, office.new_case(), line("1"), clause="R99-1")


# --- fee rules of steps ------------------------------------------------------------------------------


def ready(office):
    key = office.new_case()
    office.do(key, "contact", "classify")
    return key


def test_a_step_brings_its_charges(office):
    key = ready(office)
    office.do(key, ("plan", {"plan": "上门2次"}))
    row = rows(key)[0]
    assert (row.amount, row.payer, row.clause, row.state) == (Decimal("800.00"), "customer", VISIT, PROPOSED)
    assert row.inputs["given"]["fact"]


def test_the_step_taken_again_works_it_out_anew(office):
    key = ready(office)
    office.do(key, ("plan", {"plan": "上门2次"}), ("plan", {"plan": "上门3次"}))
    assert [row.amount for row in rows(key)] == [Decimal("1200.00")]
    office.do(key, ("plan", {"plan": "电话指导"}))
    assert [row.state for row in rows(key)] == [VOID]


# --- life --------------------------------------------------------------------------------------------


def test_the_usual_life(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    for name, state in (("quote", QUOTED), ("consent", CONSENTED), ("post", POSTED), ("settle", SETTLED)):
        move(office, charge, name)
        assert rows(key)[0].state == state
    found = total(key)
    assert (found.charged, found.payable, found.settled, found.left) == (100, 100, 100, 0)
    assert rows(key)[0].month == "2026-11"


@pytest.mark.parametrize("payer", ["customer", "employee"])
def test_whoever_pays_from_their_own_pocket_is_asked_first(office, payer):
    key = office.new_case()
    charge = propose(office, key, line("100", payer=payer))[0]
    with pytest.raises(Refused) as refused:
        move(office, charge, "post")
    assert refused.value.refusals[0].clause == VISIT
    assert rows(key)[0].state == PROPOSED


@pytest.mark.parametrize("payer", ["agent", "partner", "company"])
def test_others_need_no_consent(office, payer):
    key = office.new_case()
    charge = propose(office, key, line("100", payer=payer))[0]
    move(office, charge, "post")
    assert rows(key)[0].state == POSTED


def test_a_void_line_adds_nothing(office):
    key = office.new_case()
    first, _second = propose(office, key, line("100"), line("30"))
    move(office, first, "void")
    assert total(key).payable == 30


def test_steps_that_do_not_fit_are_refused(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    for name in ("consent", "settle"):
        with pytest.raises(Refused):
            move(office, charge, name)
    move(office, charge, "quote", "consent", "post")
    for name in ("void", "quote", "post"):
        with pytest.raises(Refused):
            move(office, charge, name)
    with pytest.raises(InvalidData):
        move(office, charge, "explode")


def test_voiding_needs_a_reason(office):
    charge = propose(office, office.new_case(), line("100"))[0]
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        charges.move(charge, "void", "  ")
    assert "reason" in bad.value.errors


def test_who_was_slower_is_told(office):
    charge = propose(office, office.new_case(), line("100"))[0]
    with office.at_desk():
        version = charges.move(charge, "quote").version
        with pytest.raises(Conflict):
            charges.move(charge, "consent", version=version - 1)


def test_nobody_without_the_permission_moves_money(office):
    charge = propose(office, office.new_case(), line("100"))[0]
    with in_scope(office.unit, ALL - {"charge.handle"}, office.desk), pytest.raises(NotAllowed):
        charges.move(charge, "quote")
    with in_scope(make_unit(), ALL, make_user()), pytest.raises(NotFound):
        charges.move(charge, "quote")


def test_a_plugin_moves_all_lines_of_a_source_at_once(office):
    key = office.new_case()
    propose(office, key, line("100"), line("20"))
    propose(office, key, line("7"), source="other")
    with in_scope(office.unit, (), office.technician):
        assert len(charges.advance(record_of(key), "quote", "test")) == 2
    assert [row.state for row in rows(key)] == [QUOTED, QUOTED, PROPOSED]


# --- once posted -------------------------------------------------------------------------------------


def posted(office, key, amount="100"):
    charge = propose(office, key, line(amount))[0]
    move(office, charge, "quote", "consent", "post")
    return charge


def test_a_corrected_fact_gives_an_adjusting_line_in_the_open_month(office):
    key = office.new_case()
    charge = posted(office, key)
    with clock.frozen(DECEMBER):
        propose(office, key, line("130"))
        propose(office, key, line("130"))
        original, adjusting = rows(key)
        assert (original.amount, original.month) == (Decimal("100.00"), "2026-11")
        assert (adjusting.amount, adjusting.month, adjusting.state) == (Decimal("30.00"), "2026-12", POSTED)
        assert adjusting.adjusts_id == charge
        propose(office, key, line("90"))
        assert [row.amount for row in rows(key)] == [100, 30, -40]
    assert total(key).payable == 90


def test_a_posted_line_with_another_payer_is_moved_over(office):
    key = office.new_case()
    posted(office, key)
    propose(office, key, line("100", payer="agent", ref="A7"))
    assert total(key).payable == 0
    assert total(key, "agent").payable == 100


def test_a_posted_line_that_is_no_longer_asked_for_is_reversed(office):
    key = office.new_case()
    posted(office, key)
    propose(office, key)
    assert [row.amount for row in rows(key)] == [100, -100]
    assert total(key).payable == 0


def test_a_person_corrects_a_posted_line_with_a_reason(office):
    key = office.new_case()
    charge = posted(office, key)
    with office.at_desk():
        with pytest.raises(InvalidData):
            charges.adjust(charge, "80", "")
        with pytest.raises(InvalidData):
            charges.adjust(charge, "-1", "算错")
        charges.adjust(charge, "80", "少装一个件")
    assert [(row.amount, row.reason) for row in rows(key)] == [(100, ""), (-20, "少装一个件")]


def test_no_program_changes_a_posted_line(office):
    key = office.new_case()
    charge = posted(office, key)
    with office.at_desk(), pytest.raises(RuntimeError, match="never changes"), transaction() as work:
        work.get_one(Charge, charge).amount = Decimal(1)
    assert rows(key)[0].amount == 100


# --- months ------------------------------------------------------------------------------------------


def close(office, month):
    with office.at_desk():
        charges.close_month(office.unit.id, month)


def test_a_closed_month_takes_nothing_more(office):
    key = office.new_case()
    posted(office, key)
    close(office, "2026-11")
    propose(office, key, line("130"))
    posted_again = propose(office, key, line("7", payer="company"), source="late")[0]
    move(office, posted_again, "post")
    assert [row.month for row in rows(key)] == ["2026-11", "2026-12", "2026-12"]
    with reading():
        assert charges.month_totals(office.unit.id, "2026-11") == {"customer": Decimal("100.00")}
        found = charges.month_totals(office.unit.id, "2026-12")
    assert found == {"customer": Decimal("30.00"), "company": Decimal("7.00")}


def test_closing_a_month_closes_those_before(office):
    close(office, "2026-11")
    for month in ("2026-11", "2026-03"):
        with pytest.raises(InvalidData) as bad:
            close(office, month)
        assert "closed already" in str(bad.value.texts()[0])


@pytest.mark.parametrize("month", ["2026-12", "2026-13", "", "202611", "2026-1", "二月"])
def test_a_month_that_cannot_be_closed(office, month):
    with pytest.raises(InvalidData):
        close(office, month)


def test_december_is_followed_by_january(office):
    key = office.new_case()
    with clock.frozen(DECEMBER):
        close(office, "2026-12")
        charge = propose(office, key, line("7", payer="company"))[0]
        move(office, charge, "post")
    assert rows(key)[0].month == "2027-01"


def test_the_month_is_that_of_the_units_zone(office):
    key = office.new_case()
    charge = propose(office, key, line("7", payer="company"))[0]
    with clock.frozen(datetime(2026, 11, 30, 16, 30, tzinfo=UTC)):  # 00:30 on 1 December in Shanghai
        move(office, charge, "post")
    assert rows(key)[0].month == "2026-12"


def test_only_who_handles_charges_closes_a_month(office):
    with in_scope(office.unit, {"charge.view"}, office.technician), pytest.raises(NotAllowed):
        charges.close_month(office.unit.id, "2026-10")


# --- waiving -----------------------------------------------------------------------------------------


def test_a_waived_charge_stays_visible(office):
    key = office.new_case()
    charge = propose(office, key, line("1730"))[0]
    with office.at_desk():
        charges.waive(charge, "老客户")
    kept, waiver = rows(key)
    assert (kept.amount, kept.state, waiver.amount, waiver.state) == (1730, WAIVED, -1730, WAIVED)
    assert (waiver.adjusts_id, waiver.reason) == (charge, "老客户")
    found = total(key)
    assert (found.charged, found.waived, found.payable) == (1730, 1730, 0)


def test_a_part_may_be_waived_and_goes_along(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    with office.at_desk():
        charges.waive(charge, "优惠", "30")
    move(office, charge, "quote", "consent", "post")
    assert [(row.amount, row.state, row.month) for row in rows(key)] == [
        (100, POSTED, "2026-11"),
        (-30, POSTED, "2026-11"),
    ]
    assert total(key).payable == 70


def test_waived_is_never_more_than_charged(office):
    key = office.new_case()
    charge = propose(office, key, line("100"))[0]
    with office.at_desk():
        charges.waive(charge, "优惠")
    propose(office, key, line("60"))
    assert [row.amount for row in rows(key)] == [60, -60]
    propose(office, key, line("80"))
    assert [(row.amount, row.state) for row in rows(key)] == [(80, PROPOSED), (-60, PROPOSED)]
    assert total(key).payable == 20


def test_a_waived_posted_line_is_corrected_without_owing_anybody(office):
    key = office.new_case()
    charge = posted(office, key)
    with office.at_desk():
        charges.waive(charge, "优惠", "100")
    propose(office, key, line("70"))
    assert total(key).payable == 0
    assert rows(key)[0].amount == 100


@pytest.mark.parametrize("amount", ["0", "-5", "100.01", "NaN"])
def test_an_amount_that_cannot_be_waived(office, amount):
    charge = propose(office, office.new_case(), line("100"))[0]
    with office.at_desk(), pytest.raises(InvalidData) as bad:
        charges.waive(charge, "优惠", amount)
    assert "amount" in bad.value.errors


def test_a_waiver_by_the_position_its_clause_names(office):
    manager = holder(office, "gm")
    key = office.new_case()
    charge = propose(office, key, line("1730"), clause=QUOTE)[0]
    with office.at_desk():
        with pytest.raises(Refused):
            charges.waive(charge, "客户拒付")
        asked = charges.ask_waiver(charge, "客户拒付")
        assert (asked.state, asked.position, asked.amount) == (WAITING, "gm", 1730)
        asked_id = asked.id
    assert total(key).payable == 1730
    with acting(office, office.technician), pytest.raises(Refused):
        approvals.agree(asked_id)
    with acting(office, manager):
        approvals.agree(asked_id)
    kept, waiver = rows(key)
    assert (kept.amount, waiver.amount, waiver.approval_id) == (1730, -1730, asked_id)
    assert total(key).payable == 0


def test_a_rejected_waiver_changes_nothing(office):
    manager = holder(office, "gm")
    key = office.new_case()
    charge = propose(office, key, line("1730"), clause=QUOTE)[0]
    with office.at_desk():
        asked_id = charges.ask_waiver(charge, "客户拒付").id
    with acting(office, manager):
        approvals.reject(asked_id, "不行")
    assert [(row.amount, row.state) for row in rows(key)] == [(1730, PROPOSED)]
    with reading() as work:
        assert work.get_one(Approval, asked_id).state == "rejected"


# --- whatever happens, it adds up ----------------------------------------------------------------------

AMOUNTS = st.sampled_from(["0", "0.01", "19.99", "100", "250.5"])
OPERATIONS = st.one_of(
    st.tuples(st.just("propose"), st.lists(AMOUNTS, max_size=3), st.sampled_from(["customer", "company"])),
    st.tuples(st.just("move"), st.integers(0, 4), st.sampled_from(sorted(charges.MOVES))),
    st.tuples(st.just("waive"), st.integers(0, 4), st.one_of(st.none(), AMOUNTS)),
    st.tuples(st.just("adjust"), st.integers(0, 4), AMOUNTS),
    st.tuples(st.just("close"), st.sampled_from(["2026-10", "2026-11"])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPERATIONS, max_size=12))
def test_sums_always_balance_and_posted_never_changes(sqlite_office, operations):
    office = sqlite_office
    key = office.new_case()
    frozen: dict[int, tuple] = {}
    for one in operations:
        with suppress(AppError):
            _do(office, key, one)
        found = rows(key)
        for row in found:
            as_posted = (row.amount, row.month, row.payer, row.quantity, row.price)
            if row.id in frozen:
                assert as_posted == frozen[row.id], one
            if row.state in (POSTED, SETTLED):
                frozen[row.id] = as_posted
        standing = [row for row in found if row.state != VOID]
        with reading():
            sums = charges.totals(key)
        assert sum(one.payable for one in sums) == sum(row.amount for row in standing)
        assert all(one.payable >= 0 and one.waived >= 0 for one in sums)
        assert all(row.amount == yuan(row.amount) for row in found)
        for row in standing:
            if row.state == WAIVED and row.adjusts_id is None:
                parts = [p.amount for p in standing if p.adjusts_id == row.id]
                assert row.amount + sum(parts) == 0


@pytest.fixture
def sqlite_office(sqlite_app):
    with money_clauses(sqlite_app), clock.frozen(NOVEMBER):
        yield make_office()


def _do(office, key, one):
    name, *rest = one
    ids = [row.id for row in rows(key)]
    with office.at_desk():
        if name == "propose":
            charges.propose(record_of(key), VISIT, "test", [line(a, payer=rest[1]) for a in rest[0]])
        elif name == "close":
            charges.close_month(office.unit.id, rest[0])
        elif rest[0] < len(ids):
            call = {"move": charges.move, "waive": _waive, "adjust": _adjust}[name]
            call(ids[rest[0]], rest[1], "理由") if name == "move" else call(ids[rest[0]], rest[1])


def _waive(charge, amount):
    charges.waive(charge, "理由", amount)


def _adjust(charge, amount):
    charges.adjust(charge, amount, "理由")


# --- for services that settle with a payer ---------------------------------------------------------


def test_a_service_corrects_what_one_payer_owes_and_no_other(office):
    key = office.new_case()
    [one] = propose(office, key, line("100", "agent", ref="A"))
    with office.at_desk(), transaction():
        charges.move(one, "post")
        charges.propose(record_of(key), VISIT, "test", [line("100", "agent", ref="B")])
    with in_scope(office.unit, (), office.desk), transaction():
        moved = charges.lines_of(key)[-1]
        assert (moved.payer_ref, moved.amount) == ("B", Decimal("100.00"))
        made = charges.correct(moved, Decimal("-30"), "复核")
        assert (made.payer_ref, made.amount, made.adjusts_id) == ("B", Decimal("-30.00"), one)
        assert charges.correct(moved, Decimal(0), "复核") is None
        for change, reason in (("-71", "复核"), ("-1", " "), ("NaN", "复核")):
            with pytest.raises(InvalidData):
                charges.correct(moved, Decimal(change), reason)


def test_a_line_is_settled_without_its_corrections_where_these_are_paid_apart(office):
    key = office.new_case()
    [one] = propose(office, key, line("100", "agent", ref="A"))
    with office.at_desk(), transaction():
        charges.move(one, "post")
        charges.adjust(one, "60", "复核")
        row, part = charges.lines_of(key)
        charges.settle(row, alone=True)
        assert (row.state, part.state) == (SETTLED, POSTED)
        charges.unsettle(row, alone=True)
        charges.settle(row)
        assert (row.state, part.state) == (SETTLED, SETTLED)

"""Excusing a lateness, and steps that need an agreement: nothing counts until the right person has agreed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from sqlalchemy import select

from core.cases.services import register_case
from core.kernel import clock
from core.kernel.errors import InvalidData, NotAllowed, NotFound, Refused
from core.kernel.manifest import PluginError
from core.records import attachments
from core.records.engine import ask as possible
from core.records.engine import perform
from core.records.models import Fact, Record
from core.rules import approval_gate, approvals, excuses
from core.rules.approval_models import REJECTED, Approval
from core.rules.kinds import ApprovalRule
from core.rules.obligation_models import EXCUSED, LATE, OPEN, Obligation
from core.rules.registry import EXTENSION, Registry, build
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import ClauseSetting
from core.users.models import Position
from tests.approvers import acting, held, make_company, told
from tests.casework import INTAKE, reading, refusals
from tests.helpers import as_system, make_unit, make_user

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday 10:00 in Shanghai
CLAUSE = "R01-5.2b"  # first response within 24 hours


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


@pytest.fixture
def company(app):
    with clock.frozen(NOW):
        found = make_company()
        found.add("desk", "dispatcher")
        yield found


def new_case(company) -> int:
    with acting(company.desk):
        return register_case(company.branch.id, dict(INTAKE)).id


def late_case(company) -> int:
    key = new_case(company)
    with clock.frozen(at(26)), acting(company.desk):
        perform(key, "contact", {})
    return key


def obligation(record_id: int) -> Obligation:
    with reading() as work:
        mine = (Obligation.record_id == record_id, Obligation.clause == CLAUSE)
        return work.scalars(select(Obligation).where(*mine)).one()


def ask(company, record_id, who="desk", reason="台风封路", evidence=None) -> int:
    with acting(company.people[who]):
        return excuses.ask_excuse(obligation(record_id).id, reason, evidence).id


def facts(record_id, kind):
    with reading() as work:
        return work.scalars(select(Fact).where(Fact.record_id == record_id, Fact.kind == kind)).all()


def test_an_agreed_excuse_shows_apart_from_met_and_from_late(company):
    case = late_case(company)
    before = obligation(case)
    assert (before.state, before.late_seconds) == (LATE, 7200)
    with clock.frozen(at(27)):
        key = ask(company, case)
        assert (held(key).subject, held(key).clause) == (f"excuse:{before.root_fact_id}:{CLAUSE}", CLAUSE)
        assert obligation(case).state == LATE
        with acting(company.leader):
            approvals.agree(key, "情况属实")
    found = obligation(case)
    assert (found.state, found.late_seconds, found.id) == (EXCUSED, 7200, before.id)
    (fact,) = facts(case, "excused")
    assert fact.data == {"clause": CLAUSE, "root": before.root_fact_id, "approval": key}
    assert (fact.note, found.excuse_fact_id) == ("台风封路", fact.id)


def test_a_rejected_or_withdrawn_excuse_changes_nothing(company):
    case = late_case(company)
    with clock.frozen(at(27)):
        key = ask(company, case)
        with acting(company.leader):
            approvals.reject(key, "没有证据")
        assert (held(key).state, obligation(case).state) == (REJECTED, LATE)
        again = ask(company, case)
        with acting(company.desk):
            approvals.withdraw(again)
    assert again != key
    assert (obligation(case).state, facts(case, "excused")) == (LATE, [])


def test_a_lifted_excuse_is_late_again(company):
    case = late_case(company)
    with clock.frozen(at(27)):
        key = ask(company, case)
        with acting(company.leader):
            approvals.agree(key)
    with clock.frozen(at(28)), acting(company.leader):
        with pytest.raises(InvalidData):
            excuses.lift(obligation(case).id, " ")
        excuses.lift(obligation(case).id, "照片是旧的")
    assert (obligation(case).state, len(facts(case, "excuse_lifted"))) == (LATE, 1)
    with clock.frozen(at(28)), acting(company.leader), pytest.raises(Refused):
        excuses.lift(obligation(case).id, "再来一次")


def test_what_is_overdue_can_be_excused_and_what_is_in_time_cannot(company):
    case = new_case(company)
    with clock.frozen(at(23)), pytest.raises(Refused) as caught:
        ask(company, case)
    assert [(one.code, one.clause) for one in caught.value.refusals] == [("excuse", CLAUSE)]
    with clock.frozen(at(25)):
        key = ask(company, case)
        assert obligation(case).state == OPEN
        with acting(company.leader):
            approvals.agree(key)
    assert obligation(case).state == EXCUSED


@pytest.mark.parametrize("who", ["clerk", "worker"])
def test_only_some_may_ask_for_it(company, who):
    case = late_case(company)
    with clock.frozen(at(27)):
        if who == "clerk":
            assert held(ask(company, case, who)).asked_by == company.clerk.id
        else:
            with pytest.raises(NotAllowed):
                ask(company, case, who)


def test_a_reason_and_a_file_of_the_record_are_needed(company):
    case, other = late_case(company), new_case(company)
    with clock.frozen(at(27)):
        with pytest.raises(InvalidData) as caught:
            ask(company, case, reason="  ")
        assert list(caught.value.errors) == ["reason"]
        with acting(company.desk):
            mine = attachments.attach(case, "路况.txt", BytesIO(b"closed")).id
            theirs = attachments.attach(other, "别的.txt", BytesIO(b"other")).id
        for bad in (theirs, "x", 10**9):
            with pytest.raises(InvalidData) as caught:
                ask(company, case, evidence=bad)
            assert list(caught.value.errors) == ["evidence"]
        key = ask(company, case, evidence=str(mine))
    assert held(key).data["evidence"] == {"id": mine, "name": "路况.txt"}


def test_another_units_obligation_is_not_there(company):
    case = late_case(company)
    with reading() as work:
        position = work.scalars(select(Position).where(Position.code == "service_leader")).one()
    stranger = make_user(make_unit(), position=position)
    for call in (excuses.ask_excuse, excuses.lift):
        with clock.frozen(at(27)), acting(stranger), pytest.raises(NotFound):
            call(obligation(case).id, "理由")


def test_the_unit_says_who_decides(company):
    company.set("rules.excuse_position", "gm")
    case = late_case(company)
    with clock.frozen(at(27)):
        key = ask(company, case)
        with acting(company.leader), pytest.raises(Refused):
            approvals.agree(key)
        with acting(company.gm):
            approvals.agree(key)
    assert obligation(case).state == EXCUSED


def test_it_is_asked_once_and_carried_out_once(company):
    case = late_case(company)
    with clock.frozen(at(27)):
        key = ask(company, case)
        assert ask(company, case) == key
        for _ in range(2):
            with acting(company.leader):
                approvals.agree(key)
        with pytest.raises(Refused):
            ask(company, case)  # it is excused already
    assert len(facts(case, "excused")) == 1


def test_what_is_no_longer_there_is_not_excused(company):
    """A fact entered later took the lateness away while its excuse was waiting."""
    case = new_case(company)
    with clock.frozen(at(25)):
        key = ask(company, case)
        with acting(company.desk):
            perform(case, "classify", {"nature": "repair", "urgency": "urgent"})
        with acting(company.leader), pytest.raises(Refused):
            approvals.agree(key)
        with acting(company.leader):
            approvals.reject(key, "已不适用")
    assert (held(key).state, facts(case, "excused")) == (REJECTED, [])


# --- steps that need an agreement --------------------------------------------------------------------


@pytest.fixture
def cancelling(app, monkeypatch):
    """Cancelling needs the general manager, for as much as the case's chasing calls (an amount for the test)."""
    plain = app.extensions[EXTENSION]
    needed = ApprovalRule(
        clause="R01-4.4",
        step="case.cancel",
        title={"zh": "取消工单", "en": "Cancel the case"},
        position="gm",
        wanted=lambda step, _: step.record.priority < 5,
        amount=lambda step, _: Decimal(step.record.chase_count * 100) or None,
    )
    monkeypatch.setitem(app.extensions, EXTENSION, Registry((*plain.rules, needed)))


def cancel(company, case):
    with acting(company.desk):
        perform(case, "cancel", {"reason": "客户自行解决"})


def ask_cancel(company, case, who="desk", step="case.cancel", clause="R01-4.4"):
    with acting(company.people[who]):
        return approval_gate.ask_for(case, step, clause, "客户要求").id


def wanted(company, case):
    with acting(company.desk) as work:
        record = work.scalars(select(Record).where(Record.id == case)).one()
        return [(one.step, one.position, one.state, one.can_ask) for one in approval_gate.wanted_for(record)]


def test_a_step_waits_for_its_agreement(company, cancelling):
    case = new_case(company)
    assert wanted(company, case) == [("case.cancel", "gm", "", True)]
    with pytest.raises(Refused) as caught:
        cancel(company, case)
    assert [(one.code, one.clause) for one in caught.value.refusals] == [("approval", "R01-4.4")]
    assert "General manager" in str(caught.value)
    assert refusals(case) == [("cancel", "approval", "R01-4.4")]
    key = ask_cancel(company, case)
    assert held(key).subject == f"case.cancel:{case}:R01-4.4"
    assert held(key).title.startswith("取消工单 GD-")
    assert told(company.gm) == ["approval.asked"]
    assert wanted(company, case) == [("case.cancel", "gm", "waiting", False)]
    with pytest.raises(Refused):
        cancel(company, case)
    with acting(company.leader), pytest.raises(Refused):
        approvals.agree(key)
    with acting(company.gm):
        approvals.agree(key)
    with acting(company.desk) as work:
        record = work.scalars(select(Record).where(Record.id == case)).one()
        assert {one.transition.name for one in possible(record) if one.allowed} >= {"cancel"}
    cancel(company, case)
    with reading() as work:
        assert work.scalar(select(Record.state).where(Record.id == case)) == "cancelled"


def test_an_agreement_counts_for_once(company, cancelling):
    case = new_case(company)
    key = ask_cancel(company, case)
    with acting(company.gm):
        approvals.agree(key)
    cancel(company, case)
    with acting(company.desk):
        perform(case, "reopen", {"reason": "又坏了"})
    with pytest.raises(Refused):
        cancel(company, case)
    assert ask_cancel(company, case) != key


def test_a_rejected_one_may_be_asked_again(company, cancelling):
    case = new_case(company)
    key = ask_cancel(company, case)
    with acting(company.gm):
        approvals.reject(key, "先联系客户")
    with pytest.raises(Refused):
        cancel(company, case)
    assert wanted(company, case) == [("case.cancel", "gm", "rejected", True)]
    assert ask_cancel(company, case) != key


def test_more_money_than_was_agreed_needs_asking_again(company, cancelling):
    case = new_case(company)
    with acting(company.desk):
        perform(case, "chase", {})
    key = ask_cancel(company, case)
    assert held(key).amount == 100
    with acting(company.gm):
        approvals.agree(key)
    with acting(company.desk):
        perform(case, "chase", {})
    with pytest.raises(Refused):
        cancel(company, case)
    assert wanted(company, case) == [("case.cancel", "gm", "", True)]
    again = ask_cancel(company, case)
    assert (again != key, held(again).amount) == (True, 200)
    with acting(company.gm):
        approvals.agree(again)
    cancel(company, case)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"step": "case.nonsense", "position": "gm"}, "there is no step"),
        ({"step": "nonsense.cancel", "position": "gm"}, "there is no record type"),
        ({"step": "case.cancel"}, "does not say which position decides"),
        ({"step": "case.cancel", "position_from": "who"}, "the clause has no parameter who"),
    ],
)
def test_a_rule_that_cannot_work_stops_the_start(app, given, why):
    wrong = ApprovalRule(clause="R01-4.4", title={"zh": "取消", "en": "Cancel"}, **given)
    with app.app_context(), pytest.raises(PluginError, match=why):
        build([("", wrong)], current_rulebook())


def test_only_who_may_take_the_step_asks_and_only_for_what_is_wanted(company, cancelling):
    case = new_case(company)
    with pytest.raises(NotAllowed):
        ask_cancel(company, case, "clerk")
    for step, clause in (("case.assign", "R01-4.4"), ("case.cancel", "R01-9"), ("nonsense", "")):
        with pytest.raises(NotFound):
            ask_cancel(company, case, step=step, clause=clause)
    with pytest.raises(NotFound):
        ask_cancel(company, 10**9)


def test_a_clause_that_is_off_asks_nobody(company, cancelling):
    with as_system() as work:
        work.add(
            ClauseSetting(
                unit_id=company.hq.id,
                clause="R01-4.4",
                starts_on=NOW.date(),
                holds=False,
                created_at=NOW,
            )
        )
    case = new_case(company)
    assert wanted(company, case) == []
    cancel(company, case)


def test_a_record_that_the_rule_does_not_want_asks_nobody(company, cancelling):
    case = new_case(company)
    with as_system() as work:
        work.scalars(select(Record).where(Record.id == case)).one().priority = 5
    assert wanted(company, case) == []
    cancel(company, case)
    with reading() as work:
        assert work.scalar(select(Approval.id)) is None

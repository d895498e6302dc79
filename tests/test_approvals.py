"""Approvals: asked once, decided once by whom the clause wants, and never by who asked."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.errors import Conflict, InvalidData, NotAllowed, NotFound, Refused
from core.rules import approvals, approvers
from core.rules.approval_models import AGREED, REJECTED, RETURNED, WAITING, WITHDRAWN, Delegation
from core.users.models import Position, UserPosition
from tests.approvers import CLAUSE, acting, held, make_company, steps, told
from tests.casework import reading
from tests.helpers import as_system, current, make_unit, make_user

NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday 10:00 in Shanghai
TODAY = date(2026, 11, 16)


@pytest.fixture
def company(app):
    with clock.frozen(NOW):
        yield make_company()


@pytest.fixture
def calls():
    """The approvals a handler was called with, as (state, amount)."""
    seen = []
    approvals.handlers["thing"] = lambda approval: seen.append((approval.state, approval.amount))
    yield seen
    del approvals.handlers["thing"]


def ask(company, who="clerk", *, subject="thing:1", position="service_leader", **more):
    with acting(company.people[who]):
        values = {"clause": CLAUSE, "title": "减免差旅费", "reason": "老客户", **more}
        return approvals.ask(company.branch.id, subject=subject, position=position, **values).id


def as_(company, who, call, *given, **named):
    with acting(company.people[who]):
        return call(*given, **named)


def refusal(caught):
    return [(one.code, one.clause) for one in caught.value.refusals]


# --- the plain way -----------------------------------------------------------------------------------


def test_asked_agreed_and_told(company, calls):
    key = ask(company, amount=Decimal("128.50"), data={"old": 1})
    assert told(company.leader) == ["approval.asked"]
    assert (held(key).state, held(key).asked_by, held(key).amount) == (WAITING, company.clerk.id, Decimal("128.50"))
    with clock.frozen(NOW + timedelta(hours=1)):
        as_(company, "leader", approvals.agree, key, "同意")
    found = held(key)
    assert (found.state, found.decided_by, found.decided_at) == (
        AGREED,
        company.leader.id,
        NOW + timedelta(hours=1),
    )
    assert steps(key) == [("asked", company.clerk.id, "老客户"), ("agreed", company.leader.id, "同意")]
    assert calls == [(AGREED, Decimal("128.50"))]
    assert told(company.clerk) == ["approval.agreed"]


def test_rejecting_needs_a_reason_and_is_told(company, calls):
    key = ask(company)
    with pytest.raises(InvalidData) as caught:
        as_(company, "leader", approvals.reject, key, "  ")
    assert list(caught.value.errors) == ["reason"]
    assert (held(key).state, calls) == (WAITING, [])
    as_(company, "leader", approvals.reject, key, "金额不对")
    assert (held(key).state, calls) == (REJECTED, [(REJECTED, None)])
    assert told(company.clerk) == ["approval.rejected"]


def test_sent_back_completed_and_agreed(company, calls):
    key = ask(company)
    as_(company, "leader", approvals.send_back, key, "缺照片")
    assert held(key).state == RETURNED
    with pytest.raises(Refused):
        as_(company, "leader", approvals.agree, key)
    with pytest.raises(NotAllowed):
        as_(company, "leader", approvals.ask_again, key, "我来补")
    as_(company, "clerk", approvals.ask_again, key, "照片已补", {"photo": 3})
    found = held(key)
    assert (found.state, found.reason, found.data["photo"]) == (WAITING, "照片已补", 3)
    as_(company, "leader", approvals.agree, key)
    assert [name for name, *_ in steps(key)] == ["asked", "returned", "asked", "agreed"]
    assert calls == [(AGREED, None)]


def test_the_asker_may_withdraw_until_it_is_decided(company, calls):
    key = ask(company)
    with pytest.raises(NotAllowed):
        as_(company, "leader", approvals.withdraw, key)
    as_(company, "clerk", approvals.withdraw, key, "不需要了")
    as_(company, "clerk", approvals.withdraw, key)  # a second click
    assert (held(key).state, calls) == (WITHDRAWN, [(WITHDRAWN, None)])
    with pytest.raises(Conflict):
        as_(company, "leader", approvals.agree, key)
    decided = ask(company)
    assert decided != key
    as_(company, "leader", approvals.agree, decided)
    with pytest.raises(Conflict):
        as_(company, "clerk", approvals.withdraw, decided)
    assert held(decided).state == AGREED


def test_the_same_open_subject_is_asked_once(company):
    first = ask(company)
    assert ask(company, reason="再问一次") == first
    assert ask(company, "worker") == first
    assert told(company.leader) == ["approval.asked"]
    assert ask(company, subject="thing:2") != first
    as_(company, "leader", approvals.agree, first)
    assert ask(company) != first


def test_a_key_answers_a_retry_even_after_the_decision(company):
    first = ask(company, key="k1")
    as_(company, "leader", approvals.agree, first)
    assert ask(company, key="k1") == first
    assert ask(company, key="k2") != first


def test_two_people_asking_at_once_ask_one_thing(company):
    found = at_once(partial(ask, company, "clerk"), partial(ask, company, "worker"), partial(ask, company, "gm"))
    assert len(set(found)) == 1 and isinstance(found[0], int), found
    assert [name for name, *_ in steps(found[0])] == ["asked"]


def test_a_decided_one_never_changes(company, calls):
    key = ask(company)
    as_(company, "leader", approvals.agree, key)
    before = vars(held(key)).copy()
    as_(company, "leader", approvals.agree, key, "再点一次")
    for call in (
        partial(approvals.reject, key, "反悔"),
        partial(approvals.send_back, key, "反悔"),
        partial(approvals.pass_on, key, position="gm", reason="反悔"),
    ):
        with pytest.raises(Conflict):
            as_(company, "leader", call)
    after = vars(held(key)).copy()
    del before["_sa_instance_state"], after["_sa_instance_state"]
    assert (after, len(calls), len(steps(key))) == (before, 1, 2)


def test_who_saw_an_older_version_decides_nothing(company):
    key = ask(company)
    seen = held(key).version
    as_(company, "leader", approvals.send_back, key, "缺照片")
    as_(company, "clerk", approvals.ask_again, key, "金额改为三千")
    with pytest.raises(Conflict):
        as_(company, "leader", approvals.agree, key, version=seen)
    assert held(key).state == WAITING
    as_(company, "leader", approvals.agree, key, version=held(key).version)


def test_what_a_failing_handler_refuses_is_not_decided(company):
    def refuse(_):
        raise InvalidData({"amount": "no"})

    approvals.handlers["bad"] = refuse
    try:
        key = ask(company, subject="bad:1")
        with pytest.raises(InvalidData):
            as_(company, "leader", approvals.agree, key)
    finally:
        del approvals.handlers["bad"]
    assert (held(key).state, held(key).decided_by, len(steps(key))) == (WAITING, None, 1)


# --- who may -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["leader", "worker"])
def test_the_wrong_role_is_refused_and_told_who_is_wanted(company, calls, who):
    """S20 (b): the service head where the general manager is wanted."""
    key = ask(company, position="gm")
    with pytest.raises(Refused) as caught:
        as_(company, who, approvals.agree, key)
    assert refusal(caught) == [("wrong_role", CLAUSE)]
    assert "General manager" in str(caught.value)
    assert (held(key).state, calls) == (WAITING, [])


def test_a_position_that_reaches_below_decides_there(company):
    key = ask(company, position="gm")
    as_(company, "gm", approvals.agree, key)
    assert held(key).state == AGREED


def test_a_position_that_does_not_reach_below_decides_only_in_its_unit(company):
    company.add("desk", "dispatcher", company.hq)
    key = ask(company, position="dispatcher")
    with acting(company.desk), pytest.raises(NotFound):
        approvals.agree(key)
    assert held(key).state == WAITING


def test_positions_are_dated_by_the_units_day(company):
    key = ask(company)
    company.leaves("leader", TODAY)
    # 23:59 in Shanghai
    with clock.frozen(datetime(2026, 11, 16, 15, 59, tzinfo=UTC)), acting(company.leader):
        assert approvals.count_inbox(company.leader.id) == 1
    with clock.frozen(datetime(2026, 11, 16, 16, 0, tzinfo=UTC)), acting(company.gm):
        assert [one.id for one in approvals.nobody_decides([company.branch.id])] == [key]
    with clock.frozen(datetime(2026, 11, 16, 16, 0, tzinfo=UTC)), acting(company.leader), pytest.raises(NotFound):
        approvals.agree(key)


def test_nobody_approves_their_own_request(company, calls):
    key = ask(company, "leader")
    with pytest.raises(Refused) as caught:
        as_(company, "leader", approvals.agree, key)
    assert refusal(caught) == [("own", CLAUSE)]
    with pytest.raises(Refused):
        as_(company, "leader", approvals.pass_on, key, position="after_sales_admin", reason="替我办")
    assert (held(key).state, calls) == (WAITING, [])


def test_one_may_approve_ones_own_where_the_unit_allows_it(company):
    company.set("approvals.own", True)
    key = ask(company, "leader")
    with acting(company.leader):
        assert approvals.count_inbox(company.leader.id) == 1
    as_(company, "leader", approvals.agree, key)
    assert held(key).state == AGREED


def test_another_units_approval_is_not_there(company):
    key = ask(company)
    stranger = make_user(make_unit(), position=_position("service_leader"))
    for call in (approvals.fetch_approval, approvals.agree, approvals.withdraw):
        with acting(stranger), pytest.raises(NotFound):
            call(key)
    for bad in ("x", "", "-1", str(10**30), None):
        with acting(company.leader), pytest.raises(NotFound):
            approvals.agree(bad)


def test_colleagues_without_a_part_in_it_do_not_see_it(company):
    key = ask(company)
    with acting(company.worker), pytest.raises(NotAllowed):
        approvals.fetch_approval(key)
    for who in ("clerk", "leader", "gm"):
        assert as_(company, who, approvals.fetch_approval, key).id == key


def _position(code):
    with reading() as work:
        return work.scalars(select(Position).where(Position.code == code)).one()


# --- amounts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["49.99", "500.01", "100.001", None])
def test_an_amount_is_chosen_only_inside_its_bounds(company, amount):
    key = ask(company, data={"least": "50", "most": "500"})
    with pytest.raises(InvalidData) as caught:
        as_(company, "leader", approvals.agree, key, amount=Decimal(amount) if amount else None)
    assert list(caught.value.errors) == ["amount"]
    assert (held(key).state, held(key).amount) == (WAITING, None)


@pytest.mark.parametrize("amount", ["50", "275.5", "500"])
def test_the_bounds_belong_to_it(company, calls, amount):
    key = ask(company, data={"least": Decimal(50), "most": Decimal(500)})
    as_(company, "leader", approvals.agree, key, amount=Decimal(amount))
    assert calls == [(AGREED, Decimal(amount))]


def test_a_given_amount_is_not_changed_by_the_decider(company):
    key = ask(company, amount=Decimal(100))
    with pytest.raises(InvalidData):
        as_(company, "leader", approvals.agree, key, amount=Decimal(99))
    assert held(key).amount == 100


# --- passing on --------------------------------------------------------------------------------------


def test_passed_on_to_a_position(company):
    key = ask(company)
    as_(company, "leader", approvals.pass_on, key, position="gm", reason="超出权限")
    assert told(company.gm) == ["approval.asked"]
    with pytest.raises(Refused):
        as_(company, "leader", approvals.agree, key)
    as_(company, "gm", approvals.agree, key)
    assert [name for name, *_ in steps(key)] == ["asked", "passed", "agreed"]


def test_passed_on_to_one_person_and_taken_back(company):
    other = company.add("other", "service_leader")
    key = ask(company)
    as_(company, "leader", approvals.pass_on, key, user_id=company.worker.id, reason="他在现场")
    for who in ("leader", "other"):
        with pytest.raises(Refused):
            as_(company, who, approvals.agree, key)
    with acting(company.worker):
        assert [one.id for one, _ in approvals.inbox(company.worker.id)] == [key]
    as_(company, "other", approvals.pass_on, key, user_id=other.id, reason="他休假了")
    as_(company, "other", approvals.agree, key)
    assert held(key).decided_by == other.id


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "position"),
        ({"position": "gm", "user_id": 1}, "position"),
        ({"position": "no_such"}, "position"),
        ({"position": "finance"}, "position"),
        ({"user_id": 10**9}, "user_id"),
    ],
)
def test_passing_on_to_nobody_is_refused_beside_the_field(company, given, field):
    key = ask(company)
    with pytest.raises(InvalidData) as caught:
        as_(company, "leader", approvals.pass_on, key, reason="转", **given)
    assert list(caught.value.errors) == [field]
    assert (held(key).position, held(key).user_id) == ("service_leader", None)


def test_it_is_never_passed_on_to_who_asked(company):
    key = ask(company)
    with pytest.raises(InvalidData):
        as_(company, "leader", approvals.pass_on, key, user_id=company.clerk.id, reason="转")
    with pytest.raises(InvalidData):  # the only holder is who asked
        as_(company, "leader", approvals.pass_on, key, position="after_sales_admin", reason="转")


# --- nobody left -------------------------------------------------------------------------------------


def test_what_nobody_can_decide_is_told_to_leaders_who_pass_it_on(company):
    key = ask(company, position="finance")
    assert told(company.gm) == ["approval.nobody"]
    assert told(company.leader) == ["approval.nobody"]
    with acting(company.leader):
        assert [one.id for one in approvals.nobody_decides([company.branch.id])] == [key]
    with pytest.raises(Refused):
        as_(company, "worker", approvals.pass_on, key, position="gm", reason="没人")
    as_(company, "leader", approvals.pass_on, key, position="gm", reason="财务岗空缺")
    with acting(company.leader):
        assert approvals.nobody_decides([company.branch.id]) == []
    as_(company, "gm", approvals.agree, key)


def test_a_deleted_position_leaves_it_waiting_for_a_leader(company):
    with as_system() as work:
        work.add(Position(code="special", title="特批", permissions=["approval.view"]))
    key = ask(company, position="special")
    with as_system() as work:
        work.delete(work.scalars(select(Position).where(Position.code == "special")).one())
    with pytest.raises(Refused) as caught:
        as_(company, "leader", approvals.agree, key)
    assert refusal(caught) == [("wrong_role", CLAUSE)]
    with acting(company.gm):
        assert [one.id for one in approvals.nobody_decides([company.branch.id])] == [key]
    as_(company, "gm", approvals.pass_on, key, user_id=company.leader.id, reason="岗位已撤销")
    as_(company, "leader", approvals.agree, key)


def test_a_leader_passes_on_only_what_nobody_can_decide_and_never_their_own(company):
    key = ask(company, position="gm")
    with pytest.raises(Refused):
        as_(company, "leader", approvals.pass_on, key, user_id=company.leader.id, reason="我来")
    own = ask(company, "leader", subject="thing:2", position="finance")
    with pytest.raises(Refused):
        as_(company, "leader", approvals.pass_on, own, position="after_sales_admin", reason="我来")


def test_no_position_at_all_is_refused(company):
    with pytest.raises(InvalidData):
        ask(company, position="")


# --- standing in -------------------------------------------------------------------------------------


def stand_in(company, away, to, first=TODAY, last=TODAY, unit=None, **more):
    with acting(company.people[away]):
        where = (unit or company.branch).id
        return approvers.delegate(where, company.people[to].id, first, last, **more).id


def test_a_stand_in_decides_on_their_days_only(company):
    stand_in(company, "leader", "worker", date(2026, 11, 17), date(2026, 11, 18))
    key = ask(company)
    for moment, allowed in (
        (datetime(2026, 11, 16, 15, 59, tzinfo=UTC), False),
        (datetime(2026, 11, 18, 16, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 16, 16, 0, tzinfo=UTC), True),
    ):
        with clock.frozen(moment), acting(company.worker):
            assert approvals.count_inbox(company.worker.id) == allowed
            if not allowed:
                with pytest.raises(Refused):
                    approvals.agree(key)
    with clock.frozen(datetime(2026, 11, 18, 15, 59, tzinfo=UTC)):
        as_(company, "worker", approvals.agree, key)
    assert (held(key).decided_by, held(key).decided_for) == (company.worker.id, company.leader.id)


def test_a_stand_in_of_one_position_takes_no_other(company):
    with as_system() as work:
        other = work.scalars(select(Position).where(Position.code == "dispatcher")).one()
        work.add(
            UserPosition(
                user_id=company.leader.id,
                unit_id=company.branch.id,
                position_id=other.id,
                valid_from=date(2020, 1, 1),
            )
        )
    stand_in(company, "leader", "worker", position="dispatcher")
    wrong, right = ask(company), ask(company, subject="thing:2", position="dispatcher")
    with pytest.raises(Refused):
        as_(company, "worker", approvals.agree, wrong)
    as_(company, "worker", approvals.agree, right)
    assert held(right).decided_for == company.leader.id


def test_a_stand_in_gets_what_was_passed_on_in_person(company):
    key = ask(company, position="gm")
    as_(company, "gm", approvals.pass_on, key, user_id=company.leader.id, reason="转")
    stand_in(company, "leader", "worker")
    as_(company, "worker", approvals.agree, key)
    assert held(key).decided_for == company.leader.id


def test_nobody_approves_their_own_through_a_stand_in(company):
    stand_in(company, "leader", "worker")
    mine = ask(company, "worker")
    with pytest.raises(Refused) as caught:
        as_(company, "worker", approvals.agree, mine)
    assert refusal(caught) == [("own", CLAUSE)]
    theirs = ask(company, "leader", subject="thing:2")
    with pytest.raises(Refused):
        as_(company, "worker", approvals.agree, theirs)
    with acting(company.worker):
        assert approvals.count_inbox(company.worker.id) == 0
    with acting(company.gm):
        assert {one.id for one in approvals.nobody_decides([company.branch.id])} == {mine, theirs} - {mine}


def test_a_leader_above_has_somebody_below_stand_in(company):
    stand_in(company, "gm", "leader", unit=company.branch)
    key = ask(company, position="gm")
    assert told(company.leader) == ["approval.asked"]
    as_(company, "leader", approvals.agree, key)
    assert held(key).decided_for == company.gm.id


def test_an_ended_one_holds_no_more(company):
    key = ask(company)
    row = stand_in(company, "leader", "worker")
    with acting(company.clerk), pytest.raises(NotAllowed):
        approvers.end_delegation(row)
    as_(company, "leader", approvers.end_delegation, row)
    as_(company, "worker", approvers.end_delegation, row)
    with pytest.raises(Refused):
        as_(company, "worker", approvals.agree, key)


def test_a_stand_in_of_a_stand_in_is_refused(company):
    stand_in(company, "leader", "worker")
    with pytest.raises(InvalidData) as caught:
        stand_in(company, "worker", "clerk")
    assert list(caught.value.errors) == ["first_day"]
    with pytest.raises(InvalidData) as caught:
        stand_in(company, "gm", "leader", unit=company.branch)
    assert list(caught.value.errors) == ["to_user_id"]
    stand_in(company, "worker", "clerk", TODAY + timedelta(days=1), TODAY + timedelta(days=1))


def test_powers_are_never_handed_on_even_if_rows_say_so(company):
    """Two rows that were written at the same moment do not make a chain."""
    with as_system() as work:
        for away, to in (("leader", "worker"), ("worker", "clerk")):
            work.add(
                Delegation(
                    unit_id=company.branch.id,
                    from_user_id=company.people[away].id,
                    to_user_id=company.people[to].id,
                    first_day=TODAY,
                    last_day=TODAY,
                    created_at=NOW,
                )
            )
    key = ask(company, "gm")
    with pytest.raises(Refused):
        as_(company, "clerk", approvals.agree, key)
    as_(company, "worker", approvals.agree, key)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"last": TODAY - timedelta(days=1), "first": TODAY}, "last_day"),
        ({"last": TODAY - timedelta(days=1), "first": TODAY - timedelta(days=2)}, "last_day"),
        ({"last": TODAY + timedelta(days=400)}, "last_day"),
        ({"position": "gm"}, "position"),
        ({"to": "leader"}, "to_user_id"),
        ({"to": "outsider"}, "to_user_id"),
    ],
)
def test_impossible_stand_ins_are_refused_beside_the_field(company, more, field):
    company.people["outsider"] = make_user(make_unit(), position=_position("gm"))
    with pytest.raises(InvalidData) as caught:
        stand_in(company, "leader", **{"to": "worker", **more})
    assert list(caught.value.errors) == [field]


# --- reminders ---------------------------------------------------------------------------------------


def test_reminders_come_once_a_day_after_the_units_hours(company):
    company.set("approvals.remind_hours", 4)
    key = ask(company)
    sent = []
    for hours in (3, 4, 4, 20, 28, 28):
        moment = NOW + timedelta(hours=hours)
        with clock.frozen(moment), current().app_context(), system_scope("test"):
            sent.append(approvals.remind_due(moment))
    assert sent == [0, 1, 0, 0, 1, 0]
    assert told(company.leader, "approval.reminder") == ["approval.reminder"] * 2
    as_(company, "leader", approvals.agree, key)
    later = NOW + timedelta(days=9)
    with clock.frozen(later), current().app_context(), system_scope("test"):
        assert approvals.remind_due(later) == 0


def test_a_reminder_does_not_disturb_who_is_deciding(company):
    key = ask(company)
    version = held(key).version
    later = NOW + timedelta(days=2)
    with clock.frozen(later), current().app_context(), system_scope("test"):
        assert approvals.remind_due(later) == 1
    as_(company, "leader", approvals.agree, key, version=version)


# --- at the same moment ------------------------------------------------------------------------------


def at_once(*calls):
    """Run calls in threads at the same moment; return their results or what they raised."""
    gate = threading.Barrier(len(calls))
    results = [None] * len(calls)

    def run(place, call):
        with clock.frozen(NOW):
            gate.wait()
            try:
                results[place] = call()
            except Exception as error:
                results[place] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return results


def test_of_two_deciders_at_once_one_decides(company, calls):
    company.add("second", "service_leader")
    for number in range(4):
        key = ask(company, subject=f"thing:{number}")
        before = len(calls)
        results = at_once(
            partial(as_, company, "leader", approvals.agree, key),
            partial(as_, company, "second", approvals.reject, key, "不行"),
        )
        assert Counter(type(one).__name__ for one in results) == {"Approval": 1, "Conflict": 1}, results
        assert len(calls) == before + 1
        assert [name for name, *_ in steps(key)] == ["asked", held(key).state]


def test_a_double_click_decides_once(company, calls):
    key = ask(company)
    results = at_once(*[partial(as_, company, "leader", approvals.agree, key)] * 3)
    assert {type(one).__name__ for one in results} == {"Approval"}
    assert (len(calls), len(steps(key))) == (1, 2)


# --- every path --------------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """Whatever people try in whatever order: decided once, by somebody entitled, never by who asked."""

    people = ("gm", "leader", "second", "clerk", "worker")
    who = st.sampled_from(people)

    @initialize(asker=who, position=st.sampled_from(["gm", "service_leader", "after_sales_admin"]))
    def begin(self, asker, position):
        self.company = make_company()
        self.company.add("second", "service_leader")
        self.decided = []
        self.asker = asker
        approvals.handlers["life"] = lambda approval: self.decided.append(approval.state)
        self.key = ask(self.company, asker, subject="life:1", position=position)
        self.frozen = None

    def attempt(self, who, call, *given, **named):
        before = held(self.key)
        entitled = self.entitled(who, before)
        try:
            as_(self.company, who, call, self.key, *given, **named)
        except (Refused, Conflict, InvalidData, NotAllowed):
            after = held(self.key)
            assert (after.state, after.version) == (before.state, before.version)
            return False, entitled, before
        return True, entitled, before

    def entitled(self, who, approval):
        user = self.company.people[who]
        if user.id == approval.asked_by:
            return False
        if approval.user_id is not None:
            return approval.user_id == user.id
        holding = {"gm": "gm", "leader": "service_leader", "second": "service_leader", "clerk": "after_sales_admin"}
        return holding.get(who) == approval.position

    @rule(who=who, agrees=st.booleans())
    def decide(self, who, agrees):
        call = (approvals.agree, "好") if agrees else (approvals.reject, "不好")
        done, entitled, before = self.attempt(who, *call)
        if done and before.state == WAITING:
            assert entitled
            assert held(self.key).decided_by == self.company.people[who].id != before.asked_by
        elif done:
            assert before.decided_by == self.company.people[who].id  # a second click
        else:
            assert not (entitled and before.state == WAITING)

    @rule(who=who)
    def give_back(self, who):
        done, entitled, before = self.attempt(who, approvals.send_back, "缺")
        assert done == (entitled and before.state == WAITING)

    @rule(who=who)
    def complete(self, who):
        done, _, before = self.attempt(who, approvals.ask_again, "补了")
        assert done == (who == self.asker and before.state == RETURNED)

    @rule(who=who, to=who)
    def hand_to_person(self, who, to):
        done, _, before = self.attempt(who, approvals.pass_on, user_id=self.company.people[to].id, reason="转")
        assert not (done and (to == self.asker or who == self.asker or before.state != WAITING))

    @rule(who=who, to=st.sampled_from(["gm", "service_leader", "finance"]))
    def hand_to_position(self, who, to):
        done, _, before = self.attempt(who, approvals.pass_on, position=to, reason="转")
        assert not (done and (to == "finance" or who == self.asker or before.state != WAITING))

    @rule(who=who)
    def take_back(self, who):
        done, _, before = self.attempt(who, approvals.withdraw)
        assert done == (who == self.asker and before.state in (WAITING, RETURNED, WITHDRAWN))

    @invariant()
    def decided_at_most_once(self):
        if not hasattr(self, "key"):
            return
        found = held(self.key)
        final = found.state in (AGREED, REJECTED, WITHDRAWN)
        assert self.decided == ([found.state] if final else [])
        if final:
            kept = (found.state, found.decided_by, found.decided_at, found.version)
            assert self.frozen in (None, kept)
            self.frozen = kept
        if found.state in (AGREED, REJECTED):
            assert found.decided_by != found.asked_by

    def teardown(self):
        approvals.handlers.pop("life", None)


def test_no_path_decides_twice_or_lets_the_asker_decide(sqlite_app):
    limits = settings(
        max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with clock.frozen(NOW):
        run_state_machine_as_test(Life, settings=limits)

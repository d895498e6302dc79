"""Penalty proposals: from breaches and by hand, the person's word, the decision; nothing is ever deducted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import Base, session, system_scope, transaction
from core.kernel.errors import Conflict, InvalidData, NotFound, Refused
from core.records.engine import record_fact
from core.records.models import Notice, Record
from core.rules import approvals, obligations, penalties, ticks
from core.rules.approval_models import WAITING, Approval
from core.rules.charge_models import AGREED, DROPPED, PENALTY_STATES, PROPOSED, WITHDRAWN, Penalty
from core.units.settings import set_setting
from tests.casework import ALL, make_office, reading
from tests.helpers import current, in_scope, make_unit, make_user
from tests.money_scene import BROKEN, DAILY, FINE, OPEN, RANGE, acting, holder, money_clauses

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai


def at(days: float) -> datetime:
    return MONDAY + timedelta(days=days)


@pytest.fixture
def scene(app):
    """The office with a service leader who decides."""

    def begin(*clauses):
        stack.enter_context(money_clauses(app, *clauses))
        office = make_office()
        return office, holder(office, "service_leader", "售后主管")

    from contextlib import ExitStack

    with ExitStack() as stack:
        yield begin


def late_case(office, days=2.0):
    """Register a case on Monday and answer it ``days`` later; its limit was a day. The technician has it."""
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "classify", "assign")
    with clock.frozen(at(days)), office.at_desk():
        record_fact(key, "contacted")
    return key


def announced(office, days=1.5):
    """Register a case on Monday and announce its breach ``days`` later, while nobody has answered."""
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "classify", "assign")
    with clock.frozen(at(days)):
        announce(key)
    return key


def announce(key):
    from core.rules.obligation_models import Obligation

    with current().app_context(), system_scope("test"), transaction() as work:
        found = work.scalars(
            select(Obligation).where(Obligation.record_id == key, Obligation.clause == BROKEN)
        ).one()
        obligations.announce(key, BROKEN, found.root_fact_id)


def rows(key):
    with reading() as work:
        mine = select(Penalty).where(Penalty.record_id == key).order_by(Penalty.id)
        found = work.scalars(mine).all()
        work.expunge_all()
        return found


def one(key):
    (found,) = rows(key)
    return found


def propose(office, key, clause, amount=None, reason="", source="test", user=None, **inputs):
    with office.at_desk():
        row = penalties.propose(
            session().get_one(Record, key),
            clause,
            source,
            (user or office.technician).id,
            amount=amount,
            reason=reason,
            inputs=inputs,
        )
        return row.id if row else None


def notices(user):
    with reading() as work:
        return [n.kind for n in work.scalars(select(Notice).where(Notice.user_id == user.id).order_by(Notice.id))]


# --- from breaches -----------------------------------------------------------------------------------


def test_a_breach_brings_a_proposal_that_waits_for_a_decision(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    row = one(key)
    assert (row.clause, row.broken, row.state, row.amount) == (FINE, BROKEN, PROPOSED, Decimal("50.00"))
    assert row.user_id == office.technician.id
    assert row.inputs["values"] == {"amount": "50"}
    with reading() as work:
        asked = work.get_one(Approval, row.approval_id)
    assert (asked.state, asked.position, asked.amount, asked.subject) == (
        WAITING,
        "service_leader",
        50,
        f"penalty:{row.id}",
    )
    # Nobody asked in person: whoever's step brought it to light may decide, if their position does.
    assert asked.asked_by is None
    assert "penalty.proposed" in notices(office.technician)
    assert "approval.asked" in notices(leader)


def test_in_time_no_proposal(scene):
    office, _leader = scene(FINE)
    assert rows(late_case(office, days=0.9)) == []


def test_where_the_clause_is_off_no_proposal(scene):
    office, _leader = scene()
    assert rows(late_case(office)) == []


def test_every_clause_that_answers_a_breach_proposes_once(scene):
    office, _leader = scene(FINE, RANGE)
    key = late_case(office)
    with clock.frozen(at(3)):
        announce(key)
    assert [row.clause for row in rows(key)] == [FINE, RANGE]
    _fixed, range_ = rows(key)
    assert (range_.amount, range_.least, range_.most) == (None, 50, 500)


def test_by_the_day_it_grows_up_to_the_cap(scene):
    office, _leader = scene(DAILY)
    key = announced(office)  # due Tuesday 10:00
    assert one(key).amount == 0  # late, though not yet by a day
    for days, amount in ((2, 10), (3, 20), (4, 30), (9, 30)):
        with clock.frozen(at(days)):
            with reading() as work:
                row = work.scalars(select(Penalty)).one()
                assert penalties.amount_now(row) == amount
            with current().app_context(), system_scope("test"):
                assert "penalties" in ticks.tick().done
                assert penalties.grow() == 0
        row = one(key)
        assert row.amount == amount
        with reading() as work:
            assert work.get_one(Approval, row.approval_id).amount == amount


def test_by_the_day_it_stops_growing_when_it_is_done(scene):
    office, leader = scene(DAILY)
    key = announced(office)
    with clock.frozen(at(3)), office.at_desk():
        record_fact(key, "contacted")
    with clock.frozen(at(9)), acting(office, leader):
        penalties.agree(one(key).id)
    assert (one(key).amount, one(key).state) == (20, AGREED)


def test_deciding_takes_the_amount_of_that_day(scene):
    office, leader = scene(DAILY)
    key = announced(office)
    with clock.frozen(at(3)), acting(office, leader):
        penalties.agree(one(key).id)
    with clock.frozen(at(9)), current().app_context(), system_scope("test"):
        assert penalties.grow() == 0
    assert one(key).amount == 20


def test_a_withdrawn_breach_withdraws_what_is_undecided_visibly(scene):
    office, _leader = scene(FINE)
    key = late_case(office)
    approval_id = one(key).approval_id
    with clock.frozen(at(3)), office.at_desk(), transaction():
        record_fact(key, "contacted", at=at(0.5))
    row = one(key)
    assert row.state == WITHDRAWN
    assert row.inputs["breach_withdrawn"]
    with reading() as work:
        assert work.get_one(Approval, approval_id).state == "withdrawn"
    assert "penalty.withdrawn" in notices(office.technician)


def test_what_was_decided_stays_and_is_marked(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    with clock.frozen(at(2.5)), acting(office, leader):
        penalties.agree(one(key).id)
    with clock.frozen(at(3)), office.at_desk(), transaction():
        record_fact(key, "contacted", at=at(0.5))
    row = one(key)
    assert (row.state, row.amount) == (AGREED, 50)
    assert row.inputs["breach_withdrawn"]


# --- by hand -----------------------------------------------------------------------------------------


def test_a_fixed_amount_is_not_the_cost_of_the_damage(scene):
    office, _leader = scene(FINE)
    key = office.new_case()
    propose(office, key, FINE, cost="260")
    assert one(key).amount == 50
    with pytest.raises(InvalidData) as bad:
        propose(office, key, FINE, amount="260", reason="损失", source="second")
    assert "amount" in bad.value.errors
    propose(office, key, FINE, source="second")
    assert sum(row.amount for row in rows(key)) == 100


@pytest.mark.parametrize(
    ("amount", "fine"), [("49", False), ("49.99", False), ("50", True), ("500", True), ("501", False)]
)
def test_an_amount_inside_the_range_with_a_reason(scene, amount, fine):
    office, _leader = scene(RANGE)
    key = office.new_case()
    if not fine:
        with pytest.raises(InvalidData) as bad:
            propose(office, key, RANGE, amount=amount, reason="未经同意返回")
        assert "amount" in bad.value.errors
        assert rows(key) == []
        return
    with pytest.raises(InvalidData) as bad:
        propose(office, key, RANGE, amount=amount)
    assert "reason" in bad.value.errors
    propose(office, key, RANGE, amount=amount, reason="未经同意返回")
    row = one(key)
    assert (row.amount, row.reason) == (Decimal(amount), "未经同意返回")
    assert row.inputs["given"]["proposed_by"] == office.desk.id


def test_proposing_again_does_not_double_it(scene):
    office, leader = scene(RANGE)
    key = office.new_case()
    first = propose(office, key, RANGE, amount="60", reason="一")
    assert propose(office, key, RANGE, amount="60", reason="一") == first
    assert propose(office, key, RANGE, amount="80", reason="二") == first
    assert one(key).amount == 80
    with acting(office, leader):
        penalties.agree(first, "属实")
    assert propose(office, key, RANGE, amount="90", reason="三") == first
    assert (one(key).amount, one(key).state) == (80, AGREED)


def test_a_clause_that_is_off_or_has_no_rule(scene):
    office, _leader = scene()
    key = office.new_case()
    assert propose(office, key, FINE) is None
    with pytest.raises(LookupError):
        propose(office, key, BROKEN)


# --- deciding ----------------------------------------------------------------------------------------


def test_agreeing_within_the_range(scene):
    office, leader = scene(RANGE)
    key = late_case(office)
    penalty = one(key).id
    with acting(office, leader):
        for amount in (None, "49", "500.01", "60.001"):
            with pytest.raises(InvalidData) as bad:
                penalties.agree(penalty, "属实", amount)
            assert "amount" in bad.value.errors
        with pytest.raises(InvalidData) as bad:
            penalties.agree(penalty, "", "60")
        assert "reason" in bad.value.errors
        penalties.agree(penalty, "属实", "60")
    row = one(key)
    assert (row.state, row.amount, row.reason, row.decided_by) == (AGREED, 60, "属实", leader.id)
    assert "penalty.agreed" in notices(office.technician)


def test_dropping_needs_a_reason(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    with acting(office, leader):
        with pytest.raises(InvalidData):
            penalties.drop(one(key).id, " ")
        penalties.drop(one(key).id, "客户电话停机")
    assert (one(key).state, one(key).reason, one(key).amount) == (DROPPED, "客户电话停机", 50)


def test_the_decision_may_come_from_the_inbox(scene):
    office, leader = scene(RANGE)
    key = late_case(office)
    with acting(office, leader):
        approvals.agree(one(key).approval_id, "属实", Decimal("77.5"))
    assert (one(key).state, one(key).amount) == (AGREED, Decimal("77.50"))


def test_the_wrong_position_decides_nothing(scene):
    office, _leader = scene(FINE)
    key = late_case(office)
    with office.at_desk(), pytest.raises(Refused) as refused:
        penalties.agree(one(key).id)
    assert refused.value.refusals[0].clause == FINE
    assert one(key).state == PROPOSED


def test_nobody_decides_on_a_proposal_about_themselves(scene):
    office, leader = scene(FINE)
    other = holder(office, "service_leader")
    key = office.new_case()
    penalty = propose(office, key, FINE, user=leader)
    with acting(office, leader):
        assert not penalties.may_decide(session().get_one(Penalty, penalty))
        for decide in (penalties.agree, penalties.drop):
            with pytest.raises(Refused):
                decide(penalty, "不同意")
    assert one(key).state == PROPOSED
    with acting(office, other):
        assert penalties.may_decide(session().get_one(Penalty, penalty))
        penalties.drop(penalty, "情有可原")


def test_the_only_decider_is_not_left_with_their_own(scene):
    office, leader = scene(FINE)
    key = office.new_case()
    propose(office, key, FINE, user=leader)
    with reading() as work:
        assert work.get_one(Approval, one(key).approval_id).position == "gm"


def test_who_decides_is_set_per_unit(scene):
    office, _leader = scene(FINE)
    with office.at_desk(), transaction():
        set_setting(session().merge(office.unit), "penalty.position", "gm")
    key = late_case(office)
    with reading() as work:
        assert work.get_one(Approval, one(key).approval_id).position == "gm"


def test_twice_is_once(scene):
    office, leader = scene(FINE)
    other = holder(office, "service_leader")
    key = late_case(office)
    with acting(office, leader):
        penalties.agree(one(key).id)
    with acting(office, other), pytest.raises((Refused, Conflict)):
        penalties.drop(one(key).id, "太晚")
    assert one(key).state == AGREED


def test_a_proposal_about_nobody_can_only_be_dropped(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    with current().app_context(), system_scope("test"), transaction() as work:
        work.scalars(select(Penalty)).one().user_id = None
    with acting(office, leader):
        with pytest.raises(Refused):
            penalties.agree(one(key).id)
        penalties.drop(one(key).id, "无人负责")
    assert one(key).state == DROPPED


def test_an_open_amount_is_decided_case_by_case(scene):
    office, leader = scene(OPEN)
    key = office.new_case()
    penalty = propose(office, key, OPEN)
    with acting(office, leader):
        with pytest.raises(InvalidData):
            penalties.agree(penalty, "属实")
        penalties.agree(penalty, "属实", "123.45")
    assert one(key).amount == Decimal("123.45")


# --- the person's word -------------------------------------------------------------------------------


def test_the_person_may_say_something_until_it_is_decided(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    penalty = one(key).id
    with office.on_the_road():
        penalties.state(penalty, " 客户电话停机，\r\n三次未接 ")
        with pytest.raises(InvalidData):
            penalties.state(penalty, "  ")
        with pytest.raises(InvalidData):
            penalties.state(penalty, "长" * 2001)
    assert one(key).statement == "客户电话停机，\n三次未接"
    with reading() as work:
        told = [fact["value"] for fact in work.get_one(Approval, one(key).approval_id).data["facts"]]
    assert told == ["师傅", one(key).statement]
    with acting(office, leader):
        penalties.agree(penalty)
    with office.on_the_road(), pytest.raises(Refused):
        penalties.state(penalty, "再说一句")


def test_nobody_speaks_for_somebody_else(scene):
    office, leader = scene(FINE)
    key = late_case(office)
    for user in (leader, office.desk):
        with acting(office, user), pytest.raises(NotFound):
            penalties.state(one(key).id, "他没错")


def test_who_may_see_a_proposal(scene):
    office, leader = scene(FINE)
    penalty = one(late_case(office)).id
    nobody = make_user(office.unit)
    with in_scope(office.unit, (), office.technician):
        assert penalties.fetch_visible(penalty).id == penalty
    with in_scope(office.unit, {"penalty.view"}, nobody):
        assert penalties.fetch_visible(penalty).id == penalty
    with in_scope(office.unit, {"approval.view"}, leader):
        assert penalties.fetch_visible(penalty).id == penalty
    with in_scope(office.unit, (), nobody), pytest.raises(NotFound):
        penalties.fetch_visible(penalty)
    with in_scope(make_unit(), ALL, make_user()), pytest.raises(NotFound):
        penalties.fetch_visible(penalty)


# --- never a deduction ---------------------------------------------------------------------------------


def test_nothing_is_ever_deducted(scene):
    """An agreed proposal is no charge, and there is no state in which anything would have been taken."""
    office, leader = scene(FINE)
    key = late_case(office)
    with acting(office, leader):
        penalties.agree(one(key).id)
    with reading() as work:
        assert work.execute(Base.metadata.tables["core_charge"].select()).all() == []
    assert set(PENALTY_STATES) == {"proposed", "agreed", "dropped", "withdrawn"}

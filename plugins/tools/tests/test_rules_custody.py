"""The clauses that stand before a hand-over, and the times by which tools are back: acting, and switched off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.obligation_models import LATE, MET, OPEN, Obligation
from core.sdk import Refused, User, approvals, session, transaction
from plugins.tools import applications, handovers, permits, rules_custody, values
from plugins.tools.models import Kind
from plugins.tools.tests.scene import Place, clauses, code_of, drawn, make_place

KIT_KIND, POWER, SPECIAL, CONSUMABLE = "剥线钳", "电动螺丝刀", "网线钳", "鞋套"


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    """A unit where clauses hold as shipped; tests switch on what they are about."""
    return make_place()


@pytest.fixture
def tools_unit(sqlite_app: Flask) -> Iterator[Place]:
    """A unit with R32, R33 and R35 at once."""
    yield make_place("BU-TOOLS", strict=True)


def against(place: Place, kind: str, giver: int, taker: int, tools: Sequence[int], **more: Any) -> set[str]:
    """Return the clauses that refuse an offer; none where it went through (it is withdrawn again)."""
    try:
        key = place.offer(kind, giver, taker, tools, **more)
    except Refused as refused:
        return clauses(refused)
    with place.acting():
        handovers.withdraw(key, "只是试一试")
    return set()


def issuing(place: Place, *tools: int, to: User | None = None, kind: str = values.ISSUE, **more: Any) -> set[str]:
    return against(place, kind, place.store, place.person(to or place.ann), tools, **more)


def permit(place: Place, kind: str, what: str = values.USE_PERMIT, **more: Any) -> None:
    with place.acting(), transaction():
        given = {"user_id": str(place.ann.id), "kind_id": kind, "what": what, "basis": "培训 2026-01"}
        permits.grant(place.unit.id, {**given, **more})


def granted(place: Place, kind: str, who: User | None = None, **raw: Any) -> int:
    """Apply as somebody and have whoever decides agree; return the application."""
    who = who or place.ann
    with place.acting(who):
        key = applications.register(place.unit.id, {"kind": kind, "reason": "工作需要", **raw}).id
        found = session().get(applications.Application, key)
        assert found is not None
        approval = found.approval_id
    if approval is not None:
        with place.acting(place.staff(position_of(place, key))):
            approvals.agree(approval)
    assert place.state(key) == values.GRANTED
    return key


def position_of(place: Place, application: int) -> str:
    wanted = select(approvals.Approval.position).where(approvals.Approval.record_id == application)
    return str(place.all(wanted)[0])


# --- who may get what ----------------------------------------------------------------------------


@pytest.mark.clause("R33-2.1")
def test_a_power_tool_goes_to_who_holds_the_permit_on_the_day(place: Place) -> None:
    tool = place.tool(POWER)
    assert issuing(place, tool) == set()
    place.clause("R33-2.1")
    assert issuing(place, tool) == {"R33-2.1"} == issuing(place, tool, kind=values.USE)
    permit(place, POWER, ends_on="2026-03-02")
    assert issuing(place, tool) == set()
    assert issuing(place, tool, to=place.bob) == {"R33-2.1"}
    place.later(days=1)
    assert issuing(place, tool) == {"R33-2.1"}
    # Other kinds need none.
    assert issuing(place, place.tool(KIT_KIND)) == set()


@pytest.mark.clause("R15-17")
def test_special_tools_are_kept_by_registered_people_only(place: Place) -> None:
    place.clause("R15-17")
    tool = place.tool(SPECIAL)
    assert issuing(place, tool) == {"R15-17"}
    assert issuing(place, tool, kind=values.USE) == set()
    permit(place, SPECIAL)
    assert issuing(place, tool) == {"R15-17"}
    permit(place, SPECIAL, values.KEEP_PERMIT)
    assert issuing(place, tool) == set()
    assert issuing(place, place.tool(KIT_KIND), to=place.bob) == set()


@pytest.mark.clause("R32-2.3", "R32-5.3")
def test_what_was_not_accepted_or_is_defective_is_not_given_out(place: Place) -> None:
    place.with_clauses("R32-2.3", "R32-5.3")
    new, broken = place.tool(state=values.NEW), place.tool(state=values.DEFECTIVE)
    assert issuing(place, new) == {"R32-2.3"} == issuing(place, new, kind=values.USE)
    assert issuing(place, broken) == {"R32-5.3"}
    assert issuing(place, new, broken) == {"R32-2.3", "R32-5.3"}
    repairer = place.party(values.REPAIRER, "永康维修")
    assert against(place, values.REPAIR, place.store, repairer, [broken]) == set()


@pytest.mark.clause("GJ-1")
def test_what_is_not_calibrated_stays_in_the_store(place: Place) -> None:
    over, last_day = place.tool(calibrate_on=date(2026, 3, 1)), place.tool(calibrate_on=date(2026, 3, 2))
    assert issuing(place, over) == {"GJ-1"} == issuing(place, over, kind=values.USE)
    assert issuing(place, last_day) == set()
    repairer = place.party(values.REPAIRER, "计量所")
    assert against(place, values.REPAIR, place.store, repairer, [over]) == set()
    # It comes back although its calibration ran out meanwhile.
    place.issue(place.ann, last_day)
    place.later(days=3)
    place.bring_back(place.ann, last_day)
    assert place.holder(last_day) == place.store
    place.without("GJ-1")
    assert issuing(place, over) == set()


# --- sets, old for new -----------------------------------------------------------------------------


@pytest.mark.clause("R35-4.1", "R35-4.4")
def test_beyond_the_set_of_one_person_it_takes_a_granted_application(tools_unit: Place) -> None:
    place = tools_unit
    first, second = place.tool(KIT_KIND), place.tool(KIT_KIND)
    assert issuing(place, first) == set()
    assert issuing(place, first, second) == {"R35-4.4"}
    place.issue(place.ann, first)
    assert issuing(place, second) == {"R35-4.4"}
    assert issuing(place, second, to=place.bob) == set()
    key = granted(place, values.A_ADDITIONAL, kind_id=KIT_KIND)
    assert position_of(place, key) == "dept_manager"
    assert issuing(place, second, application_id=key) == set()
    # Two sets for each where the unit says so.
    place.clause("R35-4.1", sets=2)
    assert issuing(place, second) == set()
    place.clause("R35-4.1")
    place.without("R35-4.4")
    assert issuing(place, second) == set()


@pytest.mark.clause("R35-5.1")
def test_what_is_in_no_set_is_applied_for(tools_unit: Place) -> None:
    place = tools_unit
    tool = place.tool("红外测温仪")
    assert issuing(place, tool) == {"R35-5.1"}
    # For a job it is taken and brought back.
    assert issuing(place, tool, kind=values.USE) == set()
    key = granted(place, values.A_NEW, kind_id="红外测温仪")
    assert issuing(place, tool, application_id=key) == set()
    place.without("R35-5.1")
    assert issuing(place, tool) == set()


@pytest.mark.clause("R35-4.3", "R35-5.2")
def test_the_old_one_comes_back_before_the_new_one_goes_out(tools_unit: Place) -> None:
    place = tools_unit
    old, new = place.tool(KIT_KIND), place.tool(KIT_KIND)
    place.issue(place.ann, old)
    place.step(old, "report_defect")
    assert issuing(place, new) == {"R35-4.3"}
    key = granted(place, values.A_REPLACE, tool=code_of(place, old))
    assert position_of(place, key) == "dept_manager"
    assert issuing(place, new, application_id=key) == {"R35-4.3"}
    place.bring_back(place.ann, old)
    assert issuing(place, new, application_id=key) == set()
    place.hand(values.ISSUE, place.store, place.person(place.ann), [new], application_id=key)
    assert place.state(key) == values.FULFILLED


@pytest.mark.clause("R35-4.3")
def test_a_lost_one_cannot_come_back_and_does_not_stand_in_the_way(tools_unit: Place) -> None:
    place = tools_unit
    old, new = place.tool(KIT_KIND), place.tool(KIT_KIND)
    place.issue(place.ann, old)
    place.step(old, "lose")
    assert issuing(place, new) == set()


@pytest.mark.clause("R33-3.2")
def test_wear_parts_go_out_on_an_application_supplies_of_the_set_without(tools_unit: Place) -> None:
    place = tools_unit
    wear, supply = place.parts("钻头"), place.parts(CONSUMABLE)
    to = place.person(place.ann)
    assert against(place, values.ISSUE, place.store, to, [], parts=[(wear, "1")]) == {"R33-3.2"}
    assert against(place, values.ISSUE, place.store, to, [], parts=[(supply, "2")]) == set()
    key = granted(place, values.A_WEAR_PART, kind_id="钻头")
    assert position_of(place, key) == "service_leader"
    asked = against(place, values.ISSUE, place.store, to, [], parts=[(wear, "1")], application_id=key)
    assert asked == set()


# --- loans ---------------------------------------------------------------------------------------


@pytest.mark.clause("R33-6.1")
def test_a_loan_is_applied_for_beforehand(tools_unit: Place) -> None:
    place = tools_unit
    tool = place.tool(KIT_KIND)
    due = (place.now + timedelta(days=2)).isoformat()
    assert issuing(place, tool, kind=values.LOAN, due_at=due) == {"R33-6.1"}
    key = granted(place, values.A_BORROW, kind_id=KIT_KIND, due_at="2026-03-04 18:00")
    assert position_of(place, key) == "service_leader"
    assert issuing(place, tool, kind=values.LOAN, due_at=due, application_id=key) == set()
    place.without("R33-6.1")
    assert issuing(place, tool, kind=values.LOAN, due_at=due) == set()


def lending(place: Place, tool: int, **more: Any) -> set[str]:
    return against(
        place, values.LEND, place.person(place.ann), place.person(place.bob), [tool], user=place.ann, **more
    )


@pytest.mark.clause("R33-2.2", "R35-4.6")
def test_lending_on_never_or_with_an_agreement(tools_unit: Place) -> None:
    place = tools_unit
    tool = place.tool(KIT_KIND)
    place.issue(place.ann, tool)
    # One application answers both clauses; nobody asks twice.
    assert lending(place, tool) == {"R33-2.2", "R35-4.6"}
    raw = {"tool": code_of(place, tool), "due_at": "2026-03-04 18:00", "to_user_id": place.bob.id}
    key = granted(place, values.A_LEND, **raw)
    assert position_of(place, key) == "dept_manager"
    assert lending(place, tool, application_id=key) == set()
    place.clause("R33-2.2", lending="never")
    assert lending(place, tool, application_id=key) == {"R33-2.2"}
    with place.acting(place.ann), pytest.raises(Refused) as refused:
        applications.register(place.unit.id, {"kind": values.A_LEND, "reason": "再借", **raw})
    assert clauses(refused.value) == {"R33-2.2"}
    place.without("R33-2.2", "R35-4.6")
    assert lending(place, tool) == set()


@pytest.mark.clause("R33-2.2")
def test_where_r33_stands_alone_its_position_decides_on_lending(place: Place) -> None:
    place.clause("R33-2.2", lending="with_approval")
    tool = place.tool(KIT_KIND)
    place.issue(place.ann, tool)
    raw = {"tool": code_of(place, tool), "due_at": "2026-03-04 18:00", "to_user_id": place.bob.id}
    assert position_of(place, granted(place, values.A_LEND, **raw)) == "service_leader"


@pytest.mark.clause("R35-4.8a")
def test_another_department_borrows_from_the_store_and_somebody_signs(place: Place) -> None:
    place.clause("R35-4.8a")
    tool = place.tool(KIT_KIND)
    nobody, sales = place.party(values.DEPARTMENT, "市场部"), place.party(values.DEPARTMENT, "销售部", place.bob)
    assert against(place, values.LOAN, place.store, nobody, [tool]) == {"R35-4.8a"}
    assert against(place, values.LOAN, place.store, sales, [tool]) == set()
    place.without("R35-4.8a")
    assert against(place, values.LOAN, place.store, nobody, [tool]) == set()


@pytest.mark.clause("R35-4.8b")
def test_the_keeper_says_how_it_came_back(place: Place) -> None:
    place.clause("R35-4.8b")
    tool = place.tool(KIT_KIND)
    place.issue(place.ann, tool)
    key = place.offer(values.RETURN, place.person(place.ann), place.store, [tool], user=place.ann)
    with pytest.raises(Refused) as refused:
        place.accept(key)
    assert clauses(refused.value) == {"R35-4.8b"} and place.holder(tool) == place.person(place.ann)
    place.accept(key, conditions={tool: values.DAMAGED})
    assert place.holder(tool) == place.store and place.state(tool) == values.DEFECTIVE


@pytest.mark.clause("GJ-4")
def test_on_the_keepers_device_it_takes_the_persons_pin_and_name(place: Place) -> None:
    tool = place.tool(KIT_KIND)
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with pytest.raises(Refused) as refused:
        place.accept(key)  # the keeper, for Ann
    assert clauses(refused.value) == {"GJ-4"} and place.holder(tool) == place.store
    place.accept(key, pin_of=place.ann, signature=drawn())
    assert place.holder(tool) == place.person(place.ann)


# --- checklists -----------------------------------------------------------------------------------


@pytest.mark.clause("R32-4.1", "R33-5", "R35-4.2", "R35-3.2", "R15-18a")
def test_who_takes_a_tool_confirms_how_it_is_used(place: Place) -> None:
    wanted = {"R32-4.1", "R33-5", "R35-4.2", "R35-3.2", "R15-18a"}
    place.with_clauses(*wanted)
    tool = place.tool(KIT_KIND)
    key = place.offer(values.ISSUE, place.store, place.person(place.ann), [tool])
    with pytest.raises(Refused) as refused:
        place.accept(key, place.ann, ticks={})
    assert clauses(refused.value) == wanted and place.holder(tool) == place.store
    place.without("R33-5", "R35-3.2")
    with pytest.raises(Refused) as refused:
        place.accept(key, place.ann, ticks={"use_manual": ["manual", "checked"], "use_correct": ["correct"]})
    assert clauses(refused.value) == {"R32-4.1", "R35-4.2", "R15-18a"}
    place.accept(key, place.ann)
    assert place.holder(tool) == place.person(place.ann)


@pytest.mark.clause("R33-3.1", "R35-4.5", "R33-4.1")
def test_what_comes_back_is_clean_tidy_and_in_its_place(place: Place) -> None:
    wanted = {"R33-3.1", "R35-4.5", "R33-4.1"}
    tool = place.tool(KIT_KIND)
    place.issue(place.ann, tool)
    place.with_clauses(*wanted)
    key = place.offer(values.RETURN, place.person(place.ann), place.store, [tool], user=place.ann)
    with pytest.raises(Refused) as refused:
        place.accept(key, conditions={tool: values.SOUND}, ticks={"back_clean": ["clean"]})
    assert clauses(refused.value) == wanted - {"R33-3.1"}
    place.accept(key, conditions={tool: values.SOUND})
    assert place.holder(tool) == place.store


# --- times ---------------------------------------------------------------------------------------


def owed(place: Place, tool: int) -> list[Obligation]:
    return place.all(select(Obligation).where(Obligation.record_id == tool).order_by(Obligation.id))


@pytest.mark.clause("R33-4.2", "R33-6.2")
@pytest.mark.parametrize(("kind", "clause"), [(values.USE, "R33-4.2"), (values.LOAN, "R33-6.2")])
def test_back_by_the_time_set_or_late(place: Place, kind: str, clause: str) -> None:
    place.clause(clause)
    tool, taker = place.tool(KIT_KIND), place.person(place.ann)
    due = place.now + timedelta(hours=5)
    place.hand(kind, place.store, taker, [tool], due_at=due.isoformat())
    (row,) = owed(place, tool)
    assert (row.clause, row.state, row.due_at, row.responsible_id) == (clause, OPEN, due, place.ann.id)
    place.later(hours=6)
    place.bring_back(place.ann, tool)
    (row,) = owed(place, tool)
    assert (row.state, row.late_seconds) == (LATE, 3600)
    # The next time counts by itself, and leaves the first as it was.
    place.later(minutes=1)
    place.hand(kind, place.store, taker, [tool], due_at=(place.now + timedelta(hours=2)).isoformat())
    place.later(hours=2)
    place.bring_back(place.ann, tool)
    assert [one.state for one in owed(place, tool)] == [LATE, MET]


@pytest.mark.clause("R33-4.2", "R33-6.2")
def test_more_time_moves_the_limit(place: Place) -> None:
    place.with_clauses("R33-4.2", "R33-6.2")
    tool, taker = place.tool(KIT_KIND), place.person(place.ann)
    place.hand(values.LOAN, place.store, taker, [tool], due_at=(place.now + timedelta(hours=5)).isoformat())
    later = place.now + timedelta(hours=30)
    place.later(hours=1)
    place.step(tool, "extend", due_at=later.isoformat())
    (row,) = owed(place, tool)
    assert (row.clause, row.state, row.due_at) == ("R33-6.2", OPEN, later)
    place.later(hours=28)
    place.bring_back(place.ann, tool)
    assert [one.state for one in owed(place, tool)] == [MET]


@pytest.mark.clause("R33-6.2")
def test_the_grace_of_a_unit_is_added(place: Place) -> None:
    place.clause("R33-6.2", grace=2)
    tool = place.tool(KIT_KIND)
    due = place.now + timedelta(hours=5)
    place.hand(values.LOAN, place.store, place.person(place.ann), [tool], due_at=due.isoformat())
    assert [one.due_at for one in owed(place, tool)] == [due + timedelta(hours=2)]


@pytest.mark.clause("R32-4.3")
def test_after_use_it_is_back_by_the_end_of_the_day(place: Place) -> None:
    place.clause("R32-4.3")
    tool = place.tool(KIT_KIND)
    due = (place.now + timedelta(days=3)).isoformat()
    place.hand(values.USE, place.store, place.person(place.ann), [tool], due_at=due)
    assert owed(place, tool) == []
    place.later(hours=3)
    place.step(tool, "end_use")
    (row,) = owed(place, tool)
    assert row.state == OPEN and row.responsible_id == place.ann.id
    assert row.due_at == datetime(2026, 3, 2, 16, tzinfo=UTC) - timedelta(seconds=1)
    place.later(days=1)
    place.bring_back(place.ann, tool)
    assert [one.state for one in owed(place, tool)] == [LATE]


def test_a_term_of_nothing_known_is_over_the_same_day() -> None:
    read = {"lent_at": None, "due_at": None}
    assert rules_custody.until_due({"grace": 0}, read).unit == "day"


# --- first day -----------------------------------------------------------------------------------


@pytest.mark.clause("R33-2.1", "R35-5.1", "GJ-1")
def test_confirming_an_existing_list_is_no_issue(tools_unit: Place) -> None:
    place = tools_unit
    tool = place.tool(POWER, calibrate_on=date(2025, 1, 1))
    assert issuing(place, tool, kind=values.OPENING) == set()


@pytest.mark.clause("R35-1")
def test_a_new_unit_has_the_eleven_kinds_in_its_standard_set(place: Place) -> None:
    assert len(place.all(select(Kind.id).where(Kind.unit_id == place.unit.id))) == 11
    with place.acting():
        assert sorted(rules_custody.standard_set(place.unit.id).values()) == [1] * 11

"""Applications: who decides by which clause, never oneself; granted, carried out, taken back."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.records.models import Notice
from core.rules.approval_models import Approval
from core.sdk import Conflict, InvalidData, NotAllowed, NotFound, Refused, User, approvals, transaction
from plugins.tools import application_rows, applications, values
from plugins.tools.models import Application, Tool
from tests.helpers import as_system

from .scene import Place, clauses, codes, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place("tools", strict=True)


@pytest.fixture
def lite(sqlite_app: Flask) -> Place:
    return make_place("tools", strict=True)


def apply(place: Place, user: User | None = None, **raw: Any) -> int:
    """Apply as somebody (default: Ann) for a cable tester for work; return the application's id."""
    if raw.get("kind") in applications.WITH_DUE:
        raw.setdefault("due_at", (place.now + timedelta(days=2)).isoformat())
    if "tool" not in raw:
        raw.setdefault("kind_id", str(place.kind()))
    with place.acting(user or place.ann):
        return applications.register(place.unit.id, {"kind": values.A_NEW, "reason": "现场要用", **raw}).id


def approval_of(place: Place, key: int) -> Approval:
    found: Approval = place.all(select(Approval).where(Approval.record_id == key))[0]
    return found


def decide(place: Place, key: int, user: User, agree: bool = True) -> None:
    asked = approval_of(place, key)
    with place.acting(user):
        approvals.agree(asked.id) if agree else approvals.reject(asked.id, "不需要")


def held(place: Place, user: User) -> int:
    """Put a tool into somebody's hands; return its id."""
    return place.tool(holder=place.person(user), state=values.ISSUED)


def code_of(place: Place, tool: int) -> str:
    return str(place.all(select(Tool.code).where(Tool.id == tool))[0])


def granted(place: Place, user: User, **raw: Any) -> int:
    """Return an application that was granted by whoever may."""
    key = apply(place, user, **raw)
    asked = approval_of(place, key)
    decide(place, key, place.manager if asked.position == "dept_manager" else place.staff(asked.position))
    return key


def find(place: Place, user: User, kinds: tuple[str, ...], kind: str = "测线器", **more: Any) -> int | None:
    with place.acting():
        found = application_rows.find_granted(place.unit.id, user.id, place.kind(kind), kinds, **more)
        return found.id if found else None


# --- who decides ---------------------------------------------------------------------------------


@pytest.mark.clause("R35-5.1")
def test_a_new_tool_is_granted_by_the_manager(place: Place) -> None:
    key = apply(place)
    asked = approval_of(place, key)
    assert (asked.position, asked.clause, asked.state) == ("dept_manager", "R35-5.1", approvals.WAITING)
    assert place.state(key) == values.ASKED
    assert find(place, place.ann, (values.A_NEW,)) is None
    decide(place, key, place.manager)
    assert place.state(key) == values.GRANTED
    assert find(place, place.ann, (values.A_NEW,)) == key
    assert place.facts(key) == ["registered", "granted"]


def test_a_rejected_application_grants_nothing(place: Place) -> None:
    key = apply(place)
    decide(place, key, place.manager, agree=False)
    assert place.state(key) == values.REJECTED
    assert find(place, place.ann, (values.A_NEW,)) is None


@pytest.mark.parametrize(
    ("kind", "clause", "position"),
    [
        pytest.param(values.A_NEW, "R35-5.1", "dept_manager", marks=pytest.mark.clause("R35-5.1")),
        pytest.param(values.A_ADDITIONAL, "R35-4.4", "dept_manager", marks=pytest.mark.clause("R35-4.4")),
        pytest.param(values.A_WEAR_PART, "R33-3.2", "service_leader", marks=pytest.mark.clause("R33-3.2")),
        pytest.param(values.A_BORROW, "R33-6.1", "service_leader", marks=pytest.mark.clause("R33-6.1")),
    ],
)
def test_each_kind_goes_to_the_position_of_its_clause(lite: Place, kind: str, clause: str, position: str) -> None:
    asked = approval_of(lite, apply(lite, kind=kind))
    assert (asked.clause, asked.position) == (clause, position)
    lite.clause(clause, position="quality_dept")
    assert approval_of(lite, apply(lite, lite.bob, kind=kind)).position == "quality_dept"
    lite.without(clause)
    free = apply(lite, lite.bob, kind=kind)
    assert lite.state(free) == values.GRANTED
    assert lite.all(select(Approval).where(Approval.record_id == free)) == []


@pytest.mark.clause("R35-5.2")
@pytest.mark.clause("R35-4.3")
def test_old_for_new_names_the_old_one_in_ones_own_hands(lite: Place) -> None:
    old, other = held(lite, lite.ann), lite.tool()
    with pytest.raises(InvalidData) as bad:
        apply(lite, kind=values.A_REPLACE, tool=code_of(lite, other))
    assert set(bad.value.errors) == {"tool"}
    key = apply(lite, kind=values.A_REPLACE, tool=code_of(lite, old))
    assert approval_of(lite, key).clause == "R35-5.2"
    with pytest.raises(Refused) as again:
        apply(lite, kind=values.A_REPLACE, tool=code_of(lite, old))
    assert codes(again.value) == {"asked"}


@pytest.mark.clause("R35-4.3")
def test_without_its_own_clause_old_for_new_waits_for_the_manager_all_the_same(lite: Place) -> None:
    old = held(lite, lite.ann)
    lite.without("R35-5.2")
    asked = approval_of(lite, apply(lite, kind=values.A_REPLACE, tool=code_of(lite, old)))
    assert (asked.clause, asked.position) == ("R35-4.3", "dept_manager")


@pytest.mark.clause("R35-4.6")
@pytest.mark.clause("R33-2.2")
def test_lending_on_is_asked_for_only_where_it_can_be_allowed(lite: Place) -> None:
    tool = held(lite, lite.ann)
    raw = {"kind": values.A_LEND, "tool": code_of(lite, tool), "to_user_id": lite.bob.id}
    lite.clause("R33-2.2", lending="never")
    with pytest.raises(Refused) as never:
        apply(lite, **raw)
    assert clauses(never.value) == {"R33-2.2"}
    with lite.acting(lite.ann):
        assert values.A_LEND not in dict(applications.kinds_offered(lite.unit.id))
    lite.clause("R33-2.2", lending="with_approval")
    asked = approval_of(lite, apply(lite, **raw))
    assert (asked.clause, asked.position) == ("R35-4.6", "dept_manager")


@pytest.mark.clause("R33-9.2")
def test_taking_out_is_asked_of_the_supervisor(lite: Place) -> None:
    tool = held(lite, lite.ann)
    asked = approval_of(lite, apply(lite, kind=values.A_TAKE_OUT, tool=code_of(lite, tool)))
    assert (asked.clause, asked.position) == ("R33-9.2", "service_leader")


# --- nobody decides on their own ---------------------------------------------------------------------


def test_nobody_decides_what_they_applied_for_or_get(place: Place) -> None:
    own = apply(place, place.manager)
    with pytest.raises(Refused):
        decide(place, own, place.manager)
    # The keeper applies for the manager: it is about the manager, who does not decide it either.
    theirs = apply(place, place.keeper, user_id=place.manager.id)
    with pytest.raises(Refused):
        decide(place, theirs, place.manager)
    assert place.state(own) == place.state(theirs) == values.ASKED
    second = place.staff("dept_manager")
    decide(place, own, second)
    assert place.state(own) == values.GRANTED
    decide(place, theirs, second)
    with as_system() as work:
        told = select(Notice.user_id).where(Notice.kind == "tools.applied", Notice.record_id == theirs)
        assert list(work.scalars(told)) == [place.manager.id]


def test_only_a_keeper_applies_for_somebody_else(place: Place) -> None:
    with pytest.raises(NotAllowed):
        apply(place, place.ann, user_id=place.bob.id)
    key = apply(place, place.keeper, user_id=place.bob.id)
    with place.acting(place.ann), pytest.raises(NotFound):
        application_rows.fetch_application(key)
    with place.acting(place.bob):
        assert application_rows.fetch_application(key).id == key


# --- carrying out --------------------------------------------------------------------------------


def test_it_is_carried_out_in_parts_and_never_beyond(place: Place) -> None:
    key = granted(place, place.ann, quantity="3")
    with place.acting() as work, transaction():
        row = work.scalars(select(Application).where(Application.id == key)).one()
        applications.use(row, 2)
        assert row.record.state == values.GRANTED
    with place.acting() as work, transaction():
        row = work.scalars(select(Application).where(Application.id == key)).one()
        with pytest.raises(Refused) as more:
            applications.use(row, 2)
        assert codes(more.value) == {"used_up"}
        assert row.fulfilled == 2
        applications.use(row, 1)
    assert place.state(key) == values.FULFILLED
    assert find(place, place.ann, (values.A_NEW,)) is None
    with place.acting() as work, transaction(), pytest.raises(Refused):
        applications.use(work.scalars(select(Application).where(Application.id == key)).one(), 1)


def test_two_at_once_use_the_last_one_once(place: Place) -> None:
    key = granted(place, place.ann)
    ready, answers = threading.Barrier(2), []

    def go() -> None:
        with place.acting() as work:
            row = work.scalars(select(Application).where(Application.id == key)).one()
            work.commit()
            ready.wait(10)
            try:
                applications.use(row, 1)
                work.commit()
            except (Refused, Conflict):
                work.rollback()
                answers.append("refused")
            else:
                answers.append("used")

    threads = [threading.Thread(target=go) for _one in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert sorted(answers) == ["refused", "used"]
    assert place.all(select(Application.fulfilled).where(Application.id == key)) == [1]


def test_the_first_kind_named_is_found_first_and_a_past_loan_never(lite: Place) -> None:
    new = granted(lite, lite.ann)
    more = granted(lite, lite.ann, kind=values.A_ADDITIONAL)
    loan = granted(lite, lite.ann, kind=values.A_BORROW)
    assert find(lite, lite.ann, (values.A_ADDITIONAL, values.A_NEW)) == more
    assert find(lite, lite.ann, (values.A_NEW, values.A_ADDITIONAL)) == new
    assert find(lite, lite.bob, (values.A_NEW, values.A_ADDITIONAL)) is None
    assert find(lite, lite.ann, (values.A_NEW,), kind="剥线钳") is None
    assert find(lite, lite.ann, (values.A_BORROW,)) == loan
    lite.later(days=3)
    assert find(lite, lite.ann, (values.A_BORROW,)) is None


# --- taking back ---------------------------------------------------------------------------------


def test_taking_back_ends_the_approval_and_theirs_only(place: Place) -> None:
    key = apply(place)
    with place.acting(place.bob, "case.view"), pytest.raises(NotFound):
        applications.withdraw(key)
    with place.acting(place.ann):
        applications.withdraw(key, "不用了")
    assert place.state(key) == values.CANCELLED
    assert approval_of(place, key).state == approvals.WITHDRAWN
    with pytest.raises(Conflict):
        decide(place, key, place.manager)


def test_the_asker_takes_the_approval_back_from_the_inbox(lite: Place) -> None:
    key = apply(lite)
    asked = approval_of(lite, key)
    with lite.acting(lite.ann):
        approvals.withdraw(asked.id)
    assert lite.state(key) == values.CANCELLED


# --- what is entered -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"reason": " "}, "reason"),
        ({"kind_id": "没有的"}, "kind_id"),
        ({"quantity": "0"}, "quantity"),
        ({"quantity": "101"}, "quantity"),
        ({"kind": values.A_BORROW, "due_at": "2026-03-01T08:00"}, "due_at"),
        ({"kind": values.A_BORROW, "due_at": ""}, "due_at"),
        ({"kind": values.A_TAKE_OUT, "tool": "没有的"}, "tool"),
        ({"kind": values.A_REPLACE}, "tool"),
        ({"department": "没有的"}, "department"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_field(lite: Place, raw: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidData) as bad:
        apply(lite, **raw)
    assert field in bad.value.errors
    assert lite.all(select(Application)) == []


def test_a_retry_with_the_same_key_asks_once(lite: Place) -> None:
    raw = {"kind": values.A_NEW, "kind_id": str(lite.kind()), "reason": "现场要用"}
    with lite.acting(lite.ann):
        first = applications.register(lite.unit.id, raw, key="k1").id
        assert applications.register(lite.unit.id, raw, key="k1").id == first
    assert len(lite.all(select(Approval))) == 1


@pytest.mark.clause("R33-6.1")
def test_a_department_borrows_through_its_own_person(lite: Place) -> None:
    theirs = lite.party(values.DEPARTMENT, "生产部", lite.bob)
    raw = {"kind": values.A_BORROW, "department": "生产部"}
    with pytest.raises(NotAllowed):
        apply(lite, lite.ann, user_id=lite.bob.id, **raw)
    key = apply(lite, lite.bob, **raw)
    row = lite.all(select(Application).where(Application.id == key))[0]
    assert (row.department_id, row.user_id) == (theirs, lite.bob.id)

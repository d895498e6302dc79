"""What a holder says of a tool in their hands: use ended, taken out, brought in again, more time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import InvalidData, Obligation, Record, Refused, User, approvals, perform
from plugins.tools import applications, values
from plugins.tools.models import Tool
from tests import casework

from .scene import Place, clauses, codes, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place("tools")


@pytest.fixture
def lite(sqlite_app: Flask) -> Place:
    return make_place("tools")


def lent(place: Place, user: User, kind: str = values.USE, **more: Any) -> int:
    """Give a tool to somebody for a job; return its id."""
    tool = place.tool()
    place.hand(kind, place.store, place.person(user), [tool], **more)
    return tool


def issued(place: Place, user: User) -> int:
    return place.tool(holder=place.person(user), state=values.ISSUED)


def step(place: Place, tool: int, name: str, user: User, **given: Any) -> None:
    """Take a step as somebody, with no more than their positions allow."""
    with place.acting(user):
        perform(tool, name, given)


def row(place: Place, tool: int) -> Tool:
    found: Tool = place.all(select(Tool).where(Tool.id == tool))[0]
    return found


def due(place: Place, tool: int, clause: str) -> list[tuple[str, datetime | None]]:
    mine = select(Obligation).where(Obligation.record_id == tool, Obligation.clause == clause)
    return [(one.state, one.due_at) for one in place.all(mine.order_by(Obligation.id))]


# --- use ended -----------------------------------------------------------------------------------


@pytest.mark.clause("R32-4.3")
def test_the_end_of_use_starts_the_time_to_bring_it_back(place: Place) -> None:
    tool = lent(place, place.ann)
    assert due(place, tool, "R32-4.3") == []
    step(place, tool, "end_use", place.ann)
    assert row(place, tool).used_until == place.now
    [(state, limit)] = due(place, tool, "R32-4.3")
    assert state == "open"
    assert limit is not None and limit.date() == place.now.date()
    with pytest.raises(Refused) as twice:
        step(place, tool, "end_use", place.ann)
    assert "used" in codes(twice.value)
    place.later(hours=1)
    place.bring_back(place.ann, tool)
    assert [one for one, _limit in due(place, tool, "R32-4.3")] == ["met"]
    assert row(place, tool).used_until is None


def test_only_the_holder_or_a_keeper_says_that_use_ended(lite: Place) -> None:
    tool = lent(lite, lite.ann)
    with pytest.raises(Refused) as other:
        step(lite, tool, "end_use", lite.bob)
    assert codes(other.value) == {"not_theirs"}
    with pytest.raises(Refused):
        step(lite, tool, "end_use", lite.manager)
    step(lite, tool, "end_use", lite.keeper)
    assert lite.facts(tool)[-1] == "use_ended"


def test_use_does_not_end_before_it_began(lite: Place) -> None:
    tool = lent(lite, lite.ann)
    with pytest.raises(InvalidData):
        step(lite, tool, "end_use", lite.keeper, at=(lite.now - timedelta(minutes=30)).isoformat())


# --- taken out -----------------------------------------------------------------------------------


def permission(place: Place, user: User, tool: int) -> int:
    """Let the supervisor grant that somebody takes a tool out; return the application's id."""
    until = (place.now + timedelta(days=1)).isoformat()
    raw = {"kind": values.A_TAKE_OUT, "tool": row(place, tool).code, "due_at": until, "reason": "去客户处"}
    with place.acting(user):
        key = applications.register(place.unit.id, raw).id
    asked = place.all(select(approvals.Approval).where(approvals.Approval.record_id == key))[0]
    with place.acting(place.staff("service_leader")):
        approvals.agree(asked.id)
    return key


@pytest.mark.clause("R33-9.2")
def test_a_tool_leaves_with_a_permission_that_counts_once(place: Place) -> None:
    tool = issued(place, place.ann)
    with pytest.raises(Refused) as without:
        step(place, tool, "take_out", place.ann)
    assert clauses(without.value) == {"R33-9.2"}
    assert not row(place, tool).outside
    key = permission(place, place.ann, tool)
    step(place, tool, "take_out", place.ann, note="去客户处")
    assert row(place, tool).outside
    assert place.state(key) == values.FULFILLED
    step(place, tool, "bring_in", place.ann)
    assert not row(place, tool).outside
    with pytest.raises(Refused):
        step(place, tool, "take_out", place.ann)


@pytest.mark.clause("R33-9.2")
def test_a_permission_is_for_its_tool_and_its_time(lite: Place) -> None:
    tool, other = issued(lite, lite.ann), issued(lite, lite.ann)
    permission(lite, lite.ann, tool)
    with pytest.raises(Refused):
        step(lite, other, "take_out", lite.ann)
    lite.later(days=2)
    with pytest.raises(Refused):
        step(lite, tool, "take_out", lite.ann)


@pytest.mark.clause("R33-9.2")
def test_on_a_field_trip_the_number_of_ones_own_open_case_is_enough(place: Place) -> None:
    tool = issued(place, place.ann)
    key = place.office.new_case()
    with place.acting(place.keeper, *casework.ALL) as work:
        number = work.get_one(Record, key).number
    with pytest.raises(Refused) as foreign:
        step(place, tool, "take_out", place.ann, case=number)
    assert clauses(foreign.value) == {"R33-9.2"}
    _assign(place, key, place.ann)
    step(place, tool, "take_out", place.ann, case=number.lower())
    assert row(place, tool).outside


def _assign(place: Place, key: int, user: User) -> None:
    from tests.helpers import as_system

    with as_system() as work:
        work.get_one(Record, key).assignee_id = user.id


@pytest.mark.clause("R33-9.2")
def test_where_the_clause_is_off_the_holder_just_says_so(lite: Place) -> None:
    tool = issued(lite, lite.ann)
    lite.without("R33-9.2")
    with pytest.raises(Refused):
        step(lite, tool, "take_out", lite.bob)
    step(lite, tool, "take_out", lite.ann)
    assert row(lite, tool).outside


def test_what_is_in_the_store_again_is_not_outside(lite: Place) -> None:
    tool = issued(lite, lite.ann)
    lite.without("R33-9.2")
    step(lite, tool, "take_out", lite.ann)
    lite.bring_back(lite.ann, tool)
    assert not row(lite, tool).outside
    with pytest.raises(Refused):
        step(lite, tool, "bring_in", lite.keeper)


# --- more time -----------------------------------------------------------------------------------


@pytest.mark.clause("R33-6.2")
@pytest.mark.clause("R33-6.1")
def test_more_time_is_given_by_who_grants_loans_and_moves_the_limit(place: Place) -> None:
    place.without("R33-6.1")
    tool = lent(place, place.ann, values.LOAN)
    place.clause("R33-6.1")
    leader = place.staff("service_leader")
    until = place.now + timedelta(days=4)
    for nobody in (place.ann, place.bob, place.keeper):
        with pytest.raises(Refused) as no:
            step(place, tool, "extend", nobody, due_at=until.isoformat())
        assert codes(no.value) == {"no_keeper"}
    assert due(place, tool, "R33-6.2") == [("open", place.now + timedelta(days=1))]
    step(place, tool, "extend", leader, due_at=until.isoformat())
    assert row(place, tool).due_at == until
    assert due(place, tool, "R33-6.2") == [("open", until)]


def test_nobody_gives_themselves_more_time(lite: Place) -> None:
    lite.without("R33-6.1")
    tool = lent(lite, lite.keeper, values.LOAN)
    later = (lite.now + timedelta(days=3)).isoformat()
    with pytest.raises(Refused):
        step(lite, tool, "extend", lite.keeper, due_at=later)
    step(lite, tool, "extend", lite.manager, due_at=later)


@pytest.mark.parametrize("hours", [-1, 23])
def test_more_time_is_more(lite: Place, hours: int) -> None:
    lite.without("R33-6.1")
    tool = lent(lite, lite.ann, values.LOAN)
    with pytest.raises(InvalidData) as bad:
        step(lite, tool, "extend", lite.keeper, due_at=(lite.now + timedelta(hours=hours)).isoformat())
    assert set(bad.value.errors) == {"due_at"}

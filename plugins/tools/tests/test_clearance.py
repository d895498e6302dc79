"""Clearance: a live sheet, hand-over to the successor or the store, missing tools, and who may sign what."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.records.models import Notice
from core.sdk import InvalidData, NotAllowed, NotFound, OpenItem, Record, Refused, User, open_items_of_leaver
from core.users.models import UserPosition
from plugins.tools import clearance, clearance_sheet, values
from plugins.tools.models import Clearance, Handover, Incident
from tests.helpers import as_system

from .scene import Place, clauses, codes, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place("tools")


@pytest.fixture
def lite(sqlite_app: Flask) -> Place:
    return make_place("tools")


def begin(place: Place, who: User, user: User | None = None, **raw: Any) -> int:
    """Begin the clearance of somebody as the keeper; return its id."""
    given = {"kind": values.LEAVER, "user_id": who.id, "last_day": "2026-03-31", **raw}
    with place.acting(user):
        return clearance.begin(place.unit.id, given).id


def settle(place: Place, key: int, user: User | None = None) -> None:
    with place.acting(user):
        clearance.settle(key)


def hand(place: Place, key: int, to: Any, user: User | None = None, **more: Any) -> int:
    with place.acting(user) as work:
        return clearance.hand_all(work.get_one(Record, key), to, **more).id


def back(place: Place, key: int, *tools: int) -> None:
    """Bring everything back to the store: the person says yes, then the keeper, who looked at each."""
    batch = hand(place, key, place.store)
    place.accept(batch, place.ann, side="giver")
    place.accept(batch, side="taker", conditions=dict.fromkeys(tools, values.SOUND))


def missing(place: Place, key: int, *tools: int, what: str = "说不清放在哪里") -> list[int]:
    with place.acting() as work:
        return [one.id for one in clearance.report_missing(work.get_one(Record, key), tools, what)]


def sheet(place: Place, key: int) -> clearance_sheet.Sheet:
    with place.acting() as work:
        return clearance_sheet.sheet(work.get_one(Record, key))


# --- returning -----------------------------------------------------------------------------------


@pytest.mark.clause("R35-7.1")
def test_a_leaver_is_cleared_when_everything_is_back(place: Place) -> None:
    first, second = place.tool(), place.tool()
    place.issue(place.ann, first, second)
    key = begin(place, place.ann)
    with pytest.raises(Refused) as still:
        settle(place, key)
    assert clauses(still.value) == {"R35-7.1"}
    batch = hand(place, key, place.store)
    with pytest.raises(Refused):
        settle(place, key)
    place.accept(batch, place.ann, side="giver")
    place.accept(batch, side="taker", conditions={first: values.SOUND, second: values.WORN})
    assert place.holder(first) == place.holder(second) == place.store
    settle(place, key)
    assert place.state(key) == values.SETTLED
    [row] = place.all(select(Clearance).where(Clearance.id == key))
    assert [one["open"] for one in row.closing] == [False]


@pytest.mark.clause("R35-7.2")
def test_a_change_of_post_goes_by_its_own_clause(lite: Place) -> None:
    lite.issue(lite.ann, lite.tool())
    key = begin(lite, lite.ann, kind=values.POST_CHANGE)
    with pytest.raises(Refused) as still:
        settle(lite, key)
    assert clauses(still.value) == {"R35-7.2"}
    lite.without("R35-7.2")
    settle(lite, key)
    assert lite.state(key) == values.SETTLED


@pytest.mark.clause("R35-7.1")
def test_where_the_clause_is_off_tools_do_not_keep_a_leavers_sheet_open(lite: Place) -> None:
    lite.issue(lite.ann, lite.tool())
    key = begin(lite, lite.ann)
    lite.without("R35-7.1")
    settle(lite, key)
    [row] = lite.all(select(Clearance).where(Clearance.id == key))
    assert [one["open"] for one in row.closing] == [True]


def test_an_open_offer_to_the_person_keeps_the_sheet_open(lite: Place) -> None:
    offer = lite.offer(values.ISSUE, lite.store, lite.person(lite.ann), [lite.tool()])
    key = begin(lite, lite.ann)
    assert [one.id for one in sheet(lite, key).handovers] == [offer]
    with pytest.raises(Refused):
        settle(lite, key)


def test_small_parts_in_hands_are_on_the_sheet_and_go_along(lite: Place) -> None:
    ann = lite.person(lite.ann)
    tape = lite.parts("胶布", "4", holder=ann)
    key = begin(lite, lite.ann)
    with pytest.raises(Refused):
        settle(lite, key)
    back(lite, key)
    assert lite.has(lite.store, tape) == 4
    settle(lite, key)


# --- the successor -------------------------------------------------------------------------------


@pytest.mark.clause("R35-7.2")
def test_all_goes_to_the_successor_at_once_when_both_say_yes(place: Place) -> None:
    tools = place.tools(3)
    place.issue(place.ann, *tools)
    key = begin(place, place.ann, kind=values.POST_CHANGE, successor_id=place.bob.id)
    batch = hand(place, key, clearance.TO_SUCCESSOR)
    [row] = place.all(select(Handover).where(Handover.id == batch))
    assert (row.kind, row.lines_count, row.clearance_id) == (values.TRANSFER, 3, key)
    bob = place.person(place.bob)
    place.accept(batch, place.ann, side="giver")
    assert all(place.holder(tool) != bob for tool in tools)
    place.accept(batch, place.bob, side="taker")
    assert all(place.holder(tool) == bob for tool in tools)
    settle(place, key)


def test_item_by_item_to_whom_it_suits(lite: Place) -> None:
    one, two = lite.tools(2)
    lite.issue(lite.ann, one, two)
    key = begin(lite, lite.ann, successor_id=lite.bob.id)
    first = hand(lite, key, clearance.TO_SUCCESSOR, tool_ids=[one])
    second = hand(lite, key, str(lite.store), tool_ids=[two])
    with pytest.raises(InvalidData):
        hand(lite, key, lite.store, tool_ids=[one])
    with pytest.raises(InvalidData):
        hand(lite, key, lite.store)
    kinds = {row.id: row.kind for row in lite.all(select(Handover).where(Handover.clearance_id == key))}
    assert kinds == {first: values.TRANSFER, second: values.RETURN}


def test_without_a_successor_nothing_is_handed_to_one(lite: Place) -> None:
    lite.issue(lite.ann, lite.tool())
    key = begin(lite, lite.ann)
    with pytest.raises(InvalidData) as bad:
        hand(lite, key, clearance.TO_SUCCESSOR)
    assert set(bad.value.errors) == {"successor_id"}
    with lite.acting() as work:
        clearance.set_successor(work.get_one(Record, key), lite.bob.id)
        with pytest.raises(InvalidData):
            clearance.set_successor(work.get_one(Record, key), lite.ann.id)
    hand(lite, key, clearance.TO_SUCCESSOR)


# --- what is missing -----------------------------------------------------------------------------


@pytest.mark.clause("R35-7.3")
def test_missing_tools_are_reported_to_manager_and_finance(place: Place) -> None:
    back_tool, gone = place.tools(2)
    place.issue(place.ann, back_tool, gone)
    key = begin(place, place.ann)
    [incident] = missing(place, key, gone)
    assert place.state(gone) == values.LOST
    [row] = place.all(select(Incident).where(Incident.id == incident))
    assert (row.clearance_id, row.kind) == (key, values.LOSS)
    with as_system() as work:
        wanted = select(Notice.user_id).where(Notice.kind == "tools.missing", Notice.unit_id == place.unit.id)
        assert set(work.scalars(wanted)) == {place.manager.id, place.finance.id}
    [kept] = place.all(select(Clearance).where(Clearance.id == key))
    assert set(kept.informed[0]["names"]) == {"经理", "财务"}
    assert "informed" in place.facts(key)
    with pytest.raises(InvalidData):
        missing(place, key, gone)
    # The batch leaves the lost one out; the sheet stays open because of it.
    back(place, key, back_tool)
    with pytest.raises(Refused):
        settle(place, key)


@pytest.mark.clause("R35-7.3")
def test_where_the_clause_is_off_a_loss_is_reported_but_nobody_is_told_by_it(lite: Place) -> None:
    tool = lite.tool()
    lite.issue(lite.ann, tool)
    lite.without("R35-7.3")
    key = begin(lite, lite.ann)
    missing(lite, key, tool)
    [kept] = lite.all(select(Clearance).where(Clearance.id == key))
    assert kept.informed[0]["names"] == []


# --- signing -------------------------------------------------------------------------------------


@pytest.mark.clause("GJ-5")
def test_only_a_manager_who_is_not_the_person_signs_for_open_items(place: Place) -> None:
    place.issue(place.ann, place.tool())
    key = begin(place, place.ann)
    with place.acting(), pytest.raises(Refused) as keeper:
        clearance.leave_open(key, "先走")
    assert clauses(keeper.value) == {"GJ-5"}
    with place.acting(place.ann), pytest.raises(NotAllowed):
        clearance.leave_open(key, "先走")
    with place.acting(place.manager):
        clearance.leave_open(key, "已约定分期赔偿")
    assert place.state(key) == values.WITH_OPEN_ITEMS
    [row] = place.all(select(Clearance).where(Clearance.id == key))
    assert [one["open"] for one in row.closing] == [True]


@pytest.mark.clause("GJ-5")
def test_a_manager_who_leaves_signs_nothing_about_themselves(lite: Place) -> None:
    lite.issue(lite.manager, lite.tool())
    key = begin(lite, lite.manager)
    with lite.acting(lite.manager):
        with pytest.raises(Refused) as own:
            clearance.leave_open(key, "先走")
        assert codes(own.value) == {"own"}
        with pytest.raises(Refused):
            clearance.settle(key)
    lite.without("GJ-5")
    with lite.acting():
        clearance.leave_open(key, "总经理口头同意")


def test_with_nothing_open_there_is_nothing_to_sign(lite: Place) -> None:
    key = begin(lite, lite.ann)
    with lite.acting(lite.manager), pytest.raises(Refused) as nothing:
        clearance.leave_open(key, "先走")
    assert codes(nothing.value) == {"nothing_open"}
    settle(lite, key)


# --- beginning -----------------------------------------------------------------------------------


def test_one_at_a_time_and_never_ones_own(place: Place) -> None:
    key = begin(place, place.ann)
    with pytest.raises(Refused) as again:
        begin(place, place.ann)
    assert codes(again.value) == {"open"}
    with pytest.raises(Refused):
        begin(place, place.keeper)
    with place.acting() as work:
        from core.sdk import perform

        perform(key, "cancel", {"reason": "不走了"})
        assert work.get_one(Record, key).state == values.CANCELLED
    begin(place, place.ann)


def test_who_may_begin_and_see(lite: Place) -> None:
    with pytest.raises(NotAllowed):
        begin(lite, lite.ann, lite.bob)
    key = begin(lite, lite.ann)
    with lite.acting(lite.ann):
        assert clearance.fetch_clearance(key).id == key
    with lite.acting(lite.bob), pytest.raises(NotFound):
        clearance.fetch_clearance(key)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"last_day": ""}, "last_day"),
        ({"user_id": 987654321}, "user_id"),
        ({"successor_id": 987654321}, "successor_id"),
        ({"kind": "holiday"}, "kind"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_field(lite: Place, raw: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidData) as bad:
        begin(lite, lite.ann, **raw)
    assert set(bad.value.errors) == {field}


def test_who_left_before_and_still_holds_a_tool_is_cleared_too(place: Place) -> None:
    tool = place.tool()
    place.issue(place.ann, tool)
    with as_system() as work:
        for one in work.scalars(select(UserPosition).where(UserPosition.user_id == place.ann.id)):
            one.valid_to = date(2026, 2, 1)
    key = begin(place, place.ann)
    place.step(hand(place, key, place.store), "withdraw")
    with pytest.raises(InvalidData):
        begin(place, place.bob, successor_id=place.ann.id)


# --- what others wait for ------------------------------------------------------------------------


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, OpenItem]]:
    """What other plugins wait for, as the core collects it."""
    found: list[tuple[str, OpenItem]] = []
    monkeypatch.setattr(clearance_sheet, "open_items_of_leaver", lambda _unit, _user: found)
    return found


def test_other_plugins_keep_the_sheet_open_too(lite: Place, others: list[tuple[str, OpenItem]]) -> None:
    key = begin(lite, lite.ann)
    others += [("tools", OpenItem("我们自己的")), ("warranty", OpenItem("收款未上交", "/r/1"))]
    assert [item.text for _plugin, item in sheet(lite, key).others] == ["收款未上交"]
    with pytest.raises(Refused) as still:
        settle(lite, key)
    assert codes(still.value) == {"others_open"}
    others.clear()
    settle(lite, key)


def test_others_hear_of_our_open_items(lite: Place) -> None:
    tool = lite.tool()
    lite.issue(lite.ann, tool)
    lite.offer(values.ISSUE, lite.store, lite.person(lite.ann), [lite.tool()])
    with lite.acting():
        told = [str(item.text) for plugin, item in open_items_of_leaver(lite.unit.id, lite.ann.id) if plugin]
        assert len(told) == 2
        assert open_items_of_leaver(lite.unit.id, lite.bob.id) == []

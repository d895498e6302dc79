"""Counts: what is expected, what is found, what moves meanwhile, who signs, and what follows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.schedules import Period, Subject, Wanted
from core.sdk import (
    Fact,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refused,
    ScheduleRule,
    local_day,
    perform,
    transaction,
)
from core.tasks.services import create_task
from plugins.tools import count_flow, count_rows, counts, stock, values
from plugins.tools.models import Count, CountLine, Custody, Incident, StockMove, Tool

from .scene import Place, clauses, codes, make_place


@pytest.fixture
def place(app: Flask) -> Place:
    made = make_place()
    made.clause("R35-4.7")
    made.without("R28-4.4")
    return made


def begin(place: Place, party: int = 0) -> int:
    with place.acting():
        return counts.begin(place.unit.id, {"party": party or place.store}).id


def found(room: Place, key: int, /, *tools: int | str, **raw: Any) -> None:
    with room.acting() as work:
        for one in tools:
            what = one if isinstance(one, str) else work.scalars(select(Tool).where(Tool.id == one)).one()
            counts.count_one(key, what, raw)


def results(place: Place, key: int) -> dict[int, str]:
    """Return the results of a count by tool id."""
    rows = place.all(select(CountLine).where(CountLine.count_id == key, CountLine.tool_id.is_not(None)))
    return {row.tool_id: row.result for row in rows}


def line_of(place: Place, key: int, tool: int) -> CountLine:
    return place.all(select(CountLine).where(CountLine.count_id == key, CountLine.tool_id == tool))[0]


def closed(place: Place, key: int, *, rest: bool = False, **given: Any) -> None:
    place.step(key, "sign", rest_missing=rest)
    place.step(key, "check", place.manager, **given)


def incidents_of(place: Place, key: int) -> list[tuple[int, str]]:
    lines = select(CountLine.id).where(CountLine.count_id == key)
    rows = place.all(select(Incident).where(Incident.count_line_id.in_(lines)).order_by(Incident.id))
    return [(row.tool_id, row.kind) for row in rows]


def refusal_of(call: Callable[..., Any], *args: Any, **more: Any) -> Refused:
    with pytest.raises(Refused) as bad:
        call(*args, **more)
    return bad.value


# --- what is expected ------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.3", "R33-7.1")
def test_what_the_ledger_says_is_expected(place: Place) -> None:
    here, other, lost = place.tool(), place.tool(holder=place.other_store), place.tool(state=values.LOST)
    tape = place.parts(quantity="12")
    key = begin(place)
    assert results(place, key) == {here: values.EXPECTED}
    (parts,) = place.all(select(CountLine).where(CountLine.count_id == key, CountLine.kind_id == tape))
    assert parts.expected == 12
    assert {other, lost}.isdisjoint(results(place, key))


def test_counting_the_same_store_again_goes_on_with_the_same_count(place: Place) -> None:
    place.tool()
    first = begin(place)
    assert begin(place) == first
    found(place, first, *results(place, first))
    closed(place, first)
    assert begin(place) != first


def test_what_cannot_be_counted_is_said(place: Place) -> None:
    with place.acting():
        for party in (place.store, place.party(values.REPAIRER)):
            with pytest.raises(InvalidData) as bad:
                counts.begin(place.unit.id, {"party": party})
            assert set(bad.value.errors) == {"party"}
        for nothing in (10**9, "x"):
            with pytest.raises((InvalidData, NotFound)):
                counts.begin(place.unit.id, {"party": nothing})
    with place.acting(place.ann), pytest.raises(NotAllowed):
        counts.begin(place.unit.id, {"party": place.store})


def test_another_units_count_is_not_there(place: Place) -> None:
    place.tool()
    key = begin(place)
    other = make_place()
    with other.acting():
        for call in (count_rows.get, lambda one: counts.count_one(one, "GJ1")):
            with pytest.raises(NotFound):
                call(key)


# --- counting -----------------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.3")
def test_found_by_number_in_any_writing_and_twice_is_once(place: Place) -> None:
    tool = place.tool(serial="SN-77")
    key = begin(place)
    (code,) = place.all(select(Tool.code).where(Tool.id == tool))
    found(place, key, code.lower(), f" {code} ", "SN-77", tool)
    assert results(place, key) == {tool: values.FOUND}
    with place.acting(), pytest.raises(InvalidData) as bad:
        counts.count_one(key, "没有这个号")
    assert "没有这个号" in str(bad.value.texts()[0])


def test_what_was_not_expected_says_who_has_it(place: Place) -> None:
    here, hers, lost = place.tool(), place.tool(), place.tool(state=values.LOST)
    place.issue(place.ann, hers)
    key = begin(place)
    found(place, key, here, hers, lost)
    assert results(place, key) == {here: values.FOUND, hers: values.EXTRA, lost: values.EXTRA}
    with place.acting():
        lines = count_rows.different(key)
        assert {one.tool_id for one in lines} == {hers, lost}
        assert count_rows.holders(lines)[hers] == "安师傅"


def test_entered_by_mistake_is_taken_back(place: Place) -> None:
    here, hers = place.tool(), place.tool()
    place.issue(place.ann, hers)
    key = begin(place)
    found(place, key, here, hers, condition=values.DAMAGED, place="B2")
    with place.acting():
        for tool in (here, hers):
            counts.take_back(key, line_of(place, key, tool).id)
    assert results(place, key) == {here: values.EXPECTED}
    line = line_of(place, key, here)
    assert (line.condition, line.place, line.counted, line.by_id) == ("", "", None, None)
    with place.acting(), pytest.raises(NotFound):
        counts.take_back(key, 10**9)


def test_a_line_of_another_count_is_not_there(place: Place) -> None:
    first, second = place.tool(), place.tool(holder=place.other_store)
    one, two = begin(place), begin(place, place.other_store)
    with place.acting(), pytest.raises(NotFound):
        counts.mark_missing(one, line_of(place, two, second).id)
    assert results(place, two) == {second: values.EXPECTED} and results(place, one) == {first: values.EXPECTED}


# --- moving meanwhile ---------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.3")
def test_what_is_handed_over_while_counting_is_no_difference(place: Place) -> None:
    given, back, stays, away = place.tools(4)
    place.issue(place.ann, back)
    key = begin(place)
    place.issue(place.bob, given)  # went out
    place.bring_back(place.ann, back)  # came in, and is scanned
    place.issue(place.bob, away)
    place.bring_back(place.bob, away)  # went out and came back: the ledger has it here
    found(place, key, stays, back)
    with place.acting():
        assert count_rows.unmoved(count_rows.get(key)) == 0
    closed(place, key)
    assert results(place, key) == {
        given: values.MOVED,
        away: values.MOVED,
        stays: values.FOUND,
        back: values.MOVED,
    }
    assert incidents_of(place, key) == []


def test_found_before_it_went_out_stays_found(place: Place) -> None:
    tool = place.tool()
    key = begin(place)
    found(place, key, tool)
    place.issue(place.ann, tool)
    closed(place, key)
    assert results(place, key) == {tool: values.FOUND} and place.state(tool) == values.ISSUED


def test_missing_that_was_handed_over_before_the_check_is_no_loss(place: Place) -> None:
    tool, other = place.tools(2)
    key = begin(place)
    found(place, key, other)
    place.step(key, "sign", rest_missing=True)
    assert results(place, key)[tool] == values.MISSING
    place.issue(place.ann, tool)
    place.step(key, "check", place.manager)
    assert results(place, key)[tool] == values.MOVED
    assert place.state(tool) == values.ISSUED and incidents_of(place, key) == []


def test_what_waits_to_be_confirmed_is_with_that_person(place: Place) -> None:
    tool, here, later = place.tools(3)
    place.offer(values.OPENING, place.store, place.person(place.ann), [tool])
    key = begin(place)
    assert results(place, key) == {here: values.EXPECTED, later: values.EXPECTED}
    place.offer(values.OPENING, place.store, place.person(place.bob), [later])
    with place.acting():
        assert codes(refusal_of(counts.mark_missing, key, line_of(place, key, later).id)) == {"waits"}
    found(place, key, here)
    closed(place, key)
    assert results(place, key)[later] == values.MOVED and place.state(later) == values.IN_STORE
    # Counted with that person it is no difference either.
    mine = place.tool()
    place.issue(place.ann, mine)
    hers = begin(place, place.person(place.ann))
    found(place, hers, mine, tool)
    assert results(place, hers) == {mine: values.FOUND, tool: values.MOVED}


# --- signing -------------------------------------------------------------------------------------------


def test_what_was_not_scanned_is_missing_only_when_said(place: Place) -> None:
    tool, other = place.tools(2)
    key = begin(place)
    found(place, key, other)
    assert codes(refusal_of(place.step, key, "sign")) == {"left"}
    assert results(place, key)[tool] == values.EXPECTED
    place.step(key, "sign", rest_missing=True)
    assert results(place, key)[tool] == values.MISSING
    assert place.state(key) == values.COUNTED
    for call in (counts.count_one, counts.mark_missing):
        with place.acting():
            assert codes(refusal_of(call, key, "x")) == {"state"}


@pytest.mark.clause("R35-4.7")
def test_two_people_sign(place: Place) -> None:
    tool = place.tool()
    key = begin(place)
    found(place, key, tool)
    place.step(key, "sign")
    with place.acting(place.keeper, "tools.decide"):
        assert clauses(refusal_of(perform, key, "check", {})) == {"R35-4.7"}
    with place.acting(place.ann), pytest.raises(NotAllowed):
        perform(key, "check", {})
    place.step(key, "check", place.manager)
    (count,) = place.all(select(Count).where(Count.id == key))
    assert (count.keeper_by, count.manager_by) == (place.keeper.id, place.manager.id)
    assert place.state(key) == values.CLOSED


@pytest.mark.clause("R35-4.7")
def test_where_the_clause_does_not_hold_one_person_may_do_both(place: Place) -> None:
    place.without("R35-4.7")
    tool = place.tool()
    key = begin(place)
    found(place, key, tool)
    place.step(key, "sign")
    place.step(key, "check")
    assert place.state(key) == values.CLOSED


def test_sent_back_it_is_counted_again(place: Place) -> None:
    tool, other = place.tools(2)
    key = begin(place)
    found(place, key, other)
    place.step(key, "sign", rest_missing=True)
    place.step(key, "recount", reason="柜子后面再找找")
    assert results(place, key) == {tool: values.EXPECTED, other: values.FOUND}
    found(place, key, tool)
    closed(place, key)
    assert incidents_of(place, key) == []
    place.tool()
    again = begin(place)
    place.step(again, "cancel", reason="弄错了")
    assert place.state(again) == values.CANCELLED and incidents_of(place, again) == []


# --- what follows ----------------------------------------------------------------------------------------


@pytest.mark.clause("R32-3.3")
def test_missing_becomes_a_loss_and_broken_a_defect(place: Place) -> None:
    gone, broken, fine = place.tools(3)
    key = begin(place)
    found(place, key, fine)
    found(place, key, broken, condition=values.INCOMPLETE, note="少一个头")
    with place.acting():
        counts.mark_missing(key, line_of(place, key, gone).id, "柜里没有")
    place.step(key, "sign")
    assert incidents_of(place, key) == []  # only when a second person has looked
    place.step(key, "check", place.manager)
    assert sorted(incidents_of(place, key)) == sorted([(gone, values.LOSS), (broken, values.DEFECT)])
    assert (place.state(gone), place.state(broken), place.state(fine)) == (
        values.LOST,
        values.DEFECTIVE,
        values.IN_STORE,
    )
    (what,) = place.all(select(Incident.what).where(Incident.tool_id == gone))
    assert "柜里没有" in what
    # The next count neither looks for it nor reports it again.
    after = begin(place)
    assert gone not in results(place, after)
    found(place, after, broken, condition=values.INCOMPLETE)
    found(place, after, fine)
    closed(place, after)
    assert incidents_of(place, after) == []


def test_what_a_person_misses_is_their_loss(place: Place) -> None:
    tool, other = place.tools(2)
    place.issue(place.ann, tool, other)
    key = begin(place, place.person(place.ann))
    found(place, key, other)
    closed(place, key, rest=True)
    (incident,) = place.all(select(Incident).where(Incident.tool_id == tool))
    assert incident.holder_id == place.person(place.ann) and incident.kind == values.LOSS


def test_a_lost_tool_found_is_back(place: Place) -> None:
    tool, other = place.tools(2)
    key = begin(place)
    found(place, key, other)
    closed(place, key, rest=True)
    assert place.state(tool) == values.LOST
    again = begin(place)
    found(place, again, tool, other)
    closed(place, again)
    assert place.state(tool) == values.IN_STORE
    states = place.all(
        select(Record.state).join(Incident, Incident.id == Record.id).where(Incident.tool_id == tool)
    )
    assert states == [values.CLOSED]


def test_what_is_not_in_use_is_settled_by_hand(place: Place) -> None:
    new, retired, fine = place.tool(state=values.NEW), place.tool(state=values.RETIRED), place.tool()
    key = begin(place)
    found(place, key, fine)
    closed(place, key, rest=True)
    assert results(place, key)[new] == results(place, key)[retired] == values.MISSING
    assert incidents_of(place, key) == []


def test_small_parts_are_corrected_on_top_of_what_moved(place: Place) -> None:
    tape = place.parts(quantity="10")
    gloves = place.kind("手套", category=values.CONSUMABLE)
    key = begin(place)
    with place.acting():
        counts.count_parts(key, {"kind": tape, "counted": "7"})
        counts.count_parts(key, {"kind": tape, "counted": "8"})  # counted again: this holds
        counts.count_parts(key, {"kind": gloves, "counted": "3.5"})
        for bad in (
            {"counted": "-1"},
            {"counted": "1.234"},
            {"counted": "x"},
            {"kind": place.kind(), "counted": "1"},
        ):
            with pytest.raises(InvalidData):
                counts.count_parts(key, {"kind": tape, **bad})
    place.hand(values.ISSUE, place.store, place.person(place.ann), (), parts=[(tape, "4")])
    assert place.has(place.store, tape) == 6
    closed(place, key)
    assert place.has(place.store, tape) == Decimal(4)  # two fewer than the ledger thought
    assert place.has(place.store, gloves) == Decimal("3.5")
    whys = place.all(select(StockMove.quantity).where(StockMove.why == stock.COUNTED).order_by(StockMove.id))
    assert whys == [Decimal(2), Decimal("3.5")]


def test_parts_nobody_counted_are_left_alone(place: Place) -> None:
    tape, tool = place.parts(quantity="10"), place.tool()
    key = begin(place)
    found(place, key, tool)
    closed(place, key)
    assert place.has(place.store, tape) == 10


def test_a_wrong_place_is_a_difference_and_moves_nothing(place: Place) -> None:
    shelf = place.shelf("A1")
    tool = place.tool(place_id=shelf)
    key = begin(place)
    found(place, key, tool, place="B7")
    closed(place, key)
    with place.acting():
        assert count_rows.differences(key) == 1
    (kept,) = place.all(select(Tool.place_id).where(Tool.id == tool))
    assert kept == shelf


@pytest.mark.clause("R32-3.3", "R35-4.7", "R33-7.1")
@pytest.mark.parametrize("clause", count_flow.TASK_CLAUSES)
def test_a_closed_count_finishes_the_months_work(place: Place, clause: str) -> None:
    tool = place.tool()
    with place.acting(place.manager, "task.lead"), transaction():
        subjects = counts.stores_to_count(place.unit.id)
        stores = {count_flow.subject_of(one) for one in (place.other_store, place.store)}
        subjects = [one for one in counts.stores_to_count(place.unit.id) if one[0] in stores]
        today = local_day(place.unit.id)
        rule = ScheduleRule(clause=clause, title="盘点")
        tasks = [
            create_task(Wanted(rule, place.unit.id, Subject(*one), Period(today, today, today))).id
            for one in subjects
        ]
    key = begin(place)
    found(place, key, tool)
    closed(place, key)
    assert [place.state(one) for one in tasks] == ["open", "done"]
    (note,) = place.all(select(Fact.note).where(Fact.record_id == tasks[1], Fact.kind == "finished"))
    (number,) = place.all(select(Record.number).where(Record.id == key))
    assert number in note


@pytest.mark.clause("R28-4.4")
def test_facilities_are_looked_at_when_it_is_time(place: Place) -> None:
    place.clause("R28-4.4", True)
    tool = place.tool()
    key = begin(place)
    found(place, key, tool)
    place.step(key, "sign")
    assert clauses(refusal_of(place.step, key, "check", place.manager)) == {"R28-4.4"}
    place.step(key, "check", place.manager, facilities=["sound", "enough"])
    place.later(days=30)
    soon = begin(place)
    found(place, soon, tool)
    closed(place, soon)  # not six months yet
    place.later(days=200)
    late = begin(place)
    found(place, late, tool)
    place.step(late, "sign")
    assert clauses(refusal_of(place.step, late, "check", place.manager)) == {"R28-4.4"}


# --- two at once -----------------------------------------------------------------------------------------


def test_two_count_while_a_third_hands_over_and_no_line_is_lost(place: Place) -> None:
    tools = place.tools(12)
    ann = place.person(place.ann)
    key = begin(place)
    errors: list[BaseException] = []

    def run(call: Callable[[int], Any], wanted: list[int]) -> None:
        try:
            for one in wanted:
                call(one)
        except BaseException as bad:  # shown by the test
            errors.append(bad)

    def scan(one: int) -> None:
        with place.acting() as work:
            tool = work.scalars(select(Tool).where(Tool.id == one)).one()
            counts.count_one(key, tool)

    def issue(one: int) -> None:
        place.hand(values.ISSUE, place.store, ann, [one])

    jobs = [(scan, tools[:8]), (scan, tools[4:8][::-1]), (issue, tools[6:])]
    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert errors == []
    found_now = results(place, key)
    assert set(found_now) == set(tools) and all(found_now[one] == values.FOUND for one in tools[:6])
    closed(place, key)
    end = results(place, key)
    assert all(end[one] in (values.FOUND, values.MOVED) for one in tools[6:8])
    assert all(end[one] == values.MOVED for one in tools[8:])
    held = place.all(select(Custody.party_id).where(Custody.tool_id.in_(tools), Custody.ends_at.is_(None)))
    assert sorted(held) == sorted([place.store] * 6 + [ann] * 6)

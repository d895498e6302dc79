"""Recurring work by the clauses: one piece for each store and month, whatever number of texts asks for it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.rules import obligation_models as owed
from core.rules import schedules
from core.sdk import Record, Refused, transaction
from core.tasks.models import Task
from plugins.tools import care, incidents, parties, purchase, values
from plugins.tools.tests.scene import Place, clauses, code_of, make_place
from tests.helpers import as_system


@pytest.fixture
def place(sqlite_app: Flask) -> Place:
    """A unit that begins in March: work recurs from the first whole month on."""
    made = make_place()
    made.now = datetime(2026, 4, 1, 1, tzinfo=UTC)
    return made


def due(place: Place) -> Counter[str]:
    """Create the recurring work that is due now; return what there is of our clauses, by clause."""
    with clock.frozen(place.now), as_system():
        schedules.create_due(place.unit.id)
    return Counter(one.clause for one in tasks(place))


def tasks(place: Place, clause: str = "") -> list[Task]:
    mine = select(Task).where(Task.unit_id == place.unit.id).order_by(Task.id)
    return place.all(mine.where(Task.clause == clause) if clause else mine)


COUNTS = ("R35-4.7", "R32-3.3", "R33-7.1")


@pytest.mark.clause("R35-4.7", "R32-3.3", "R33-7.1")
def test_three_texts_ask_for_one_count_of_each_store_a_month(place: Place) -> None:
    place.with_clauses(*COUNTS)
    found = due(place)
    stores = {f"store:{place.store}", f"store:{place.other_store}"}
    assert stores <= {one.subject for one in tasks(place, "R35-4.7")}
    assert set(found) & set(COUNTS) == {"R35-4.7"}
    again = due(place)
    assert again == found
    place.later(days=30)  # May
    assert due(place)["R35-4.7"] == 2 * found["R35-4.7"]


@pytest.mark.clause("R32-3.3", "R33-7.1")
@pytest.mark.parametrize(("held", "asks"), [(("R32-3.3", "R33-7.1"), "R32-3.3"), (("R33-7.1",), "R33-7.1")])
def test_each_text_asks_where_no_other_does(place: Place, held: tuple[str, ...], asks: str) -> None:
    assert not set(due(place)) & set(COUNTS)
    place.with_clauses(*held)
    assert set(due(place)) & set(COUNTS) == {asks}


@pytest.mark.clause("R33-7.1")
def test_a_check_that_comes_oftener_is_asked_for_beside_a_rarer_count(place: Place) -> None:
    place.clause("R32-3.3", interval=3)
    place.clause("R33-7.1", interval=1)
    assert set(due(place)) & set(COUNTS) == {"R32-3.3", "R33-7.1"}


@pytest.mark.clause("R32-2.1", "R35-4.9")
def test_the_year_is_gone_over_in_december_and_losses_every_month(place: Place) -> None:
    place.with_clauses("R32-2.1", "R35-4.9")
    found = due(place)
    assert (found["R32-2.1"], found["R35-4.9"]) == (0, 1)
    place.now = datetime(2027, 11, 30, 1, tzinfo=UTC)
    assert due(place)["R32-2.1"] == 0
    place.later(days=1)
    assert due(place)["R32-2.1"] == 1
    (task,) = tasks(place, "R32-2.1")
    assert task.due_on == date(2027, 12, 31)
    place.now = datetime(2028, 12, 1, 1, tzinfo=UTC)
    assert due(place)["R32-2.1"] == 2


@pytest.mark.clause("R32-2.1", "R35-4.9")
def test_the_plan_that_carries_it_out_finds_the_task(place: Place) -> None:
    place.with_clauses("R32-2.1", "R35-4.9")
    place.now = datetime(2027, 12, 1, 1, tzinfo=UTC)
    due(place)
    with place.acting(place.manager, "task.view", "task.handle", "task.lead"):
        assert purchase.finish_task(place.unit.id, "R32-2.1", "2027 年计划")
        assert purchase.finish_task(place.unit.id, "R35-4.9", "11 月")
        assert not purchase.finish_task(place.unit.id, "R32-2.1", "2027 年计划")


@pytest.mark.clause("R05-3.1b", "R32-5.1", "R28-5.3", "R33-8.1")
def test_care_is_asked_for_by_piece_by_person_or_for_the_unit(place: Place) -> None:
    place.with_clauses("R05-3.1b", "R32-5.1", "R28-5.3", "R33-8.1")
    place.without("R28-4.4")
    place.now = datetime(2027, 1, 1, 1, tzinfo=UTC)
    found = due(place)
    # Nothing there yet: only the yearly review.
    assert [found[one] for one in ("R05-3.1b", "R32-5.1", "R28-5.3", "R33-8.1")] == [0, 0, 0, 1]
    machine = place.tool("台钻", state=values.IN_STORE)
    place.kind("台钻", category=values.EQUIPMENT)
    found = due(place)
    assert (found["R05-3.1b"], found["R28-5.3"], found["R32-5.1"]) == (1, 1, 0)
    assert [one.subject for one in tasks(place, "R05-3.1b")] == [care.subject_of_tool(machine)]
    # A named maintainer looks after it every three months: the tests of R28-5.3 are part of that.
    place.now = datetime(2027, 7, 1, 1, tzinfo=UTC)
    place.tool("万用表", maintainer_id=place.bob.id)
    found = due(place)
    assert [one.subject for one in tasks(place, "R32-5.1")] == [care.subject_of_person(place.bob.id)]
    assert found["R28-5.3"] == 1


@pytest.mark.clause("R32-5.2")
def test_maintenance_has_its_three_parts_or_as_many_as_the_unit_says(place: Place) -> None:
    tool = place.tool(maintainer_id=place.keeper.id)
    place.step(tool, "maintain", parts_done=["cleaned"], result="sound")
    place.clause("R32-5.2")
    with pytest.raises(Refused) as refused:
        place.step(tool, "maintain", parts_done=["cleaned", "tested"], result="sound")
    assert clauses(refused.value) == {"R32-5.2"}
    place.step(tool, "maintain", parts_done=["cleaned", "lubricated", "tested"], result="sound")
    # A repair is no maintenance, and a unit may want fewer parts.
    place.step(tool, "maintain", what=values.REPAIR_DONE, parts_done=[], result="sound")
    place.clause("R32-5.2", least=2)
    place.step(tool, "maintain", parts_done=["cleaned", "tested"], result="sound")


# --- retirement ------------------------------------------------------------------------------------


def retire(place: Place, tool: int, why: str) -> set[str]:
    """Try to retire a tool; return the clauses that want an agreement first, none where it is done."""
    try:
        place.step(tool, "retire", why=why, reason="年检")
    except Refused as refused:
        return clauses(refused)
    return set()


@pytest.mark.clause("R35-5.3", "R33-8.1")
def test_an_end_is_confirmed_once_by_whom_its_reason_names(place: Place) -> None:
    tool = place.tool()
    place.with_clauses("R35-5.3", "R33-8.1")
    assert retire(place, tool, "life") == {"R35-5.3"} == retire(place, tool, "worn")
    assert retire(place, tool, "irreparable") == {"R33-8.1"}
    place.without("R35-5.3")
    assert retire(place, tool, "life") == {"R33-8.1"}
    place.without("R33-8.1")
    assert retire(place, tool, "life") == set()


@pytest.mark.clause("R33-8.2")
def test_nothing_goes_to_the_scrap_heap_without_an_agreement(place: Place) -> None:
    place.clause("R33-8.2")
    tool = place.tool(state=values.RETIRED)
    with place.acting(), transaction():
        heap = parties.scrap_heap(place.unit.id).id
    with pytest.raises(Refused) as refused:
        place.offer(values.DISPOSE, place.store, heap, [tool])
    assert clauses(refused.value) == {"R33-8.2"}
    place.without("R33-8.2")
    place.offer(values.DISPOSE, place.store, heap, [tool])


# --- faults and accidents ------------------------------------------------------------------------------


def report(place: Place, kind: str, **more: Any) -> int:
    tool = place.tool()
    place.issue(place.ann, tool)
    place.later(hours=5)
    with place.acting(place.ann):
        raw = {"kind": kind, "tool": code_of(place, tool), "what": "冒烟", **more}
        return incidents.report(place.unit.id, raw).id


def terms(place: Place, key: int) -> dict[str, str]:
    rows = place.all(select(owed.Obligation).where(owed.Obligation.record_id == key))
    return {one.clause: one.state for one in rows}


@pytest.mark.clause("R32-7.1")
def test_an_accident_is_reported_within_the_hour_and_the_superior_told(place: Place) -> None:
    place.with_clauses("R32-7.1")
    key = report(place, values.ACCIDENT, happened_at="2026-04-01 13:30")
    assert terms(place, key) == {"R32-7.1": owed.MET}
    other = report(place, values.ACCIDENT, happened_at="2026-04-01 17:30")
    assert terms(place, other) == {"R32-7.1": owed.LATE}
    assert "R32-7.1" not in terms(place, report(place, values.DEFECT))


@pytest.mark.clause("R33-3.3", "R33-7.2")
def test_a_fault_is_reported_and_then_seen_to_within_the_working_day(place: Place) -> None:
    place.with_clauses("R33-3.3", "R33-7.2")
    key = report(place, values.DEFECT)
    assert terms(place, key) == {"R33-3.3": owed.MET, "R33-7.2": owed.OPEN}
    place.later(hours=1)
    place.step(key, "judge", place.manager, cause=values.NATURAL, judgement="自然磨损")
    assert terms(place, key)["R33-7.2"] == owed.MET
    place.now = datetime(2026, 4, 3, 1, tzinfo=UTC)
    late = report(place, values.DAMAGE, happened_at="2026-04-03 09:30")
    place.later(days=2)
    place.step(late, "judge", place.manager, cause=values.NATURAL, judgement="自然磨损")
    assert terms(place, late) == {"R33-3.3": owed.MET, "R33-7.2": owed.LATE}
    assert terms(place, report(place, values.LOSS)) == {}


@pytest.mark.clause("R35-3.1", "R32-5.3")
def test_the_keeper_gets_what_happens_the_engineers_what_is_defective(place: Place) -> None:
    def owner(key: int) -> str:
        return str(place.all(select(Record.owner_position).where(Record.id == key))[0])

    assert owner(report(place, values.LOSS)) == ""
    place.with_clauses("R35-3.1")
    assert owner(report(place, values.LOSS)) == "warehouse" == owner(report(place, values.DEFECT))
    place.with_clauses("R32-5.3")
    assert owner(report(place, values.LOSS)) == "warehouse"
    assert owner(report(place, values.DEFECT)) == "engineering"

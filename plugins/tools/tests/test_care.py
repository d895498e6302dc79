"""Care of tools: what was done, when the next one is due, what a defect found means, what is beyond its life."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.schedules import Period, Subject, Wanted
from core.sdk import (
    InvalidData,
    NotAllowed,
    Record,
    Refused,
    ScheduleRule,
    User,
    add_months,
    local_day,
    perform,
    transaction,
)
from core.tasks.services import create_task
from plugins.tools import care, values
from plugins.tools.models import Incident, Service, Tool

from .scene import Place, clauses, make_place

PARTS = ["cleaned", "lubricated", "tested"]
DONE: dict[str, Any] = {"what": values.MAINTENANCE, "result": care.SOUND, "parts_done": PARTS}
PASSED = {"certificate": "JZ-2026-7", "result": care.SOUND, "by": "市计量院"}


@pytest.fixture
def place(app: Flask) -> Place:
    return make_place()


def do(place: Place, tool: int, name: str = "maintain", user: User | None = None, **given: Any) -> None:
    with place.acting(user):
        perform(tool, name, {**(DONE if name == "maintain" else PASSED), **given})


def services(place: Place, tool: int) -> list[Service]:
    return place.all(select(Service).where(Service.tool_id == tool).order_by(Service.id))


def one(place: Place, tool: int) -> Tool:
    return place.all(select(Tool).where(Tool.id == tool))[0]


def refusal_of(call: Callable[..., Any], *args: Any, **more: Any) -> Refused:
    with pytest.raises(Refused) as bad:
        call(*args, **more)
    return bad.value


def today(place: Place) -> date:
    with place.acting():
        return local_day(place.unit.id)


# --- maintenance -----------------------------------------------------------------------------------


@pytest.mark.clause("R32-5.2")
def test_maintenance_has_three_parts(place: Place) -> None:
    place.clause("R32-5.2")
    tool = place.tool()
    against = refusal_of(do, place, tool, parts_done=["cleaned"])
    assert clauses(against) == {"R32-5.2"}
    assert services(place, tool) == []
    do(place, tool)
    (row,) = services(place, tool)
    assert (row.what, row.parts_done, row.sound, row.entered_by) == (
        values.MAINTENANCE,
        PARTS,
        True,
        place.keeper.id,
    )
    place.clause("R32-5.2", least=1)  # some tools need no oil
    do(place, tool, parts_done=["cleaned"])
    place.without("R32-5.2")
    do(place, tool, parts_done=[])
    assert len(services(place, tool)) == 3


@pytest.mark.clause("R32-5.1")
def test_the_next_one_comes_by_the_kind_else_by_the_clause(place: Place) -> None:
    place.clause("R32-5.1")
    day = today(place)
    plain, own, named = place.tool(), place.tool("电钻"), place.tool(maintainer_id=place.ann.id)
    place.kind("电钻", maintain_months=2)
    for tool in (plain, own, named):
        do(place, tool)
    dates = [one(place, tool).maintain_on for tool in (plain, own, named)]
    assert dates == [None, add_months(day, 2), add_months(day, 3)]
    do(place, plain, next_on=(day + timedelta(days=40)).isoformat(), done_on=(day - timedelta(days=3)).isoformat())
    assert one(place, plain).maintain_on == day + timedelta(days=40)


@pytest.mark.clause("R28-5.3")
def test_instruments_are_tested_every_half_year(place: Place) -> None:
    place.clause("R28-5.3")
    place.without("R32-5.1")
    tool = place.tool("万用表")
    place.kind("万用表", category=values.TEST)
    do(place, tool)
    assert one(place, tool).maintain_on == add_months(today(place), 6)
    place.without("R28-5.3")
    do(place, tool)
    assert one(place, tool).maintain_on is None


@pytest.mark.clause("R32-5.1")
def test_the_named_maintainer_may_and_a_stranger_may_not(place: Place) -> None:
    tool = place.tool(maintainer_id=place.ann.id)
    do(place, tool, user=place.ann)
    assert len(services(place, tool)) == 1
    with place.acting(place.bob), pytest.raises((NotAllowed, Refused)):
        perform(tool, "maintain", DONE)
    with place.acting(place.bob), pytest.raises((NotAllowed, Refused)):
        perform(tool, "calibrate", PASSED)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"done_on": "2030-01-01"}, "done_on"),
        ({"done_on": "2020-01-01"}, "done_on"),  # before it was bought
        ({"next_on": "2026-01-06"}, "next_on"),
        ({"result": care.DEFECT}, "fault"),
        ({"result": ""}, "result"),
        ({"cost": "-1"}, "cost"),
        ({"cost": "1.005"}, "cost"),
        ({"what": "cooking"}, "what"),
        ({"parts_done": ["painted"]}, "parts_done"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_field(sqlite_app: Flask, given: dict[str, Any], field: str) -> None:
    place = make_place()
    tool = place.tool()
    with pytest.raises(InvalidData) as bad:
        do(place, tool, **given)
    assert set(bad.value.errors) == {field}
    assert services(place, tool) == []


# --- not sound, repaired -----------------------------------------------------------------------------


@pytest.mark.clause("R32-5.3")
def test_a_defect_found_is_reported_at_once(place: Place) -> None:
    kept, mine = place.tool(), place.tool(maintainer_id=place.ann.id)
    do(place, kept, result=care.DEFECT, fault="绝缘破损")
    assert place.state(kept) == values.DEFECTIVE
    (incident,) = place.all(select(Incident).where(Incident.tool_id == kept))
    assert (incident.kind, incident.what) == (values.DEFECT, "绝缘破损")
    # A maintainer who reports nothing else marks it all the same.
    do(place, mine, user=place.ann, result=care.DEFECT, fault="打不开")
    assert place.state(mine) == values.DEFECTIVE
    do(place, kept, result=care.DEFECT, fault="还是坏的")  # known already: no second report
    assert len(place.all(select(Incident.id).where(Incident.tool_id == kept))) == 1


def test_a_repair_makes_it_sound_where_it_is(place: Place) -> None:
    here, hers = place.tools(2)
    place.issue(place.ann, hers)
    for tool in (here, hers):
        do(place, tool, result=care.DEFECT, fault="松动")
        do(place, tool)  # cleaned, but nobody said it was repaired
        assert place.state(tool) == values.DEFECTIVE
        do(place, tool, what=values.REPAIR_DONE, cost="35.50", by="李记五金")
    assert (place.state(here), place.state(hers)) == (values.IN_STORE, values.ISSUED)
    assert services(place, here)[-1].cost == Decimal("35.50")
    states = place.all(select(Record.state).join(Incident, Incident.id == Record.id))
    assert set(states) == {values.CLOSED}


# --- calibration ---------------------------------------------------------------------------------------


@pytest.mark.clause("GJ-1")
def test_a_calibration_holds_until_its_day_and_gates_the_issue(place: Place) -> None:
    day = today(place)
    place.clause("GJ-1")
    place.kind("测线仪", category=values.TEST, calibrate_months=12)
    tool = place.tool("测线仪", calibrate_on=day - timedelta(days=1))
    assert clauses(refusal_of(place.issue, place.ann, tool)) == {"GJ-1"}
    do(place, tool, "calibrate")
    assert one(place, tool).calibrate_on == add_months(day, 12)
    (row,) = services(place, tool)
    assert (row.what, row.certificate, row.by) == (values.CALIBRATION, "JZ-2026-7", "市计量院")
    place.issue(place.ann, tool)
    assert place.state(tool) == values.ISSUED


def test_a_calibration_failed_is_none(place: Place) -> None:
    day = today(place)
    tool = place.tool(calibrate_on=day - timedelta(days=1))
    with pytest.raises(InvalidData) as bad:
        do(place, tool, "calibrate")  # its kind has no interval
    assert set(bad.value.errors) == {"next_on"}
    with pytest.raises(InvalidData):
        do(place, tool, "calibrate", certificate="")
    do(place, tool, "calibrate", result=care.DEFECT, fault="误差超限")
    assert one(place, tool).calibrate_on == day - timedelta(days=1)
    assert place.state(tool) == values.DEFECTIVE


# --- recurring work ------------------------------------------------------------------------------------


def _task(place: Place, clause: str, subject: tuple[str, str, int | None]) -> int:
    with place.acting(place.manager, "task.lead"), transaction():
        day = local_day(place.unit.id)
        rule = ScheduleRule(clause=clause, title="保养")
        return create_task(Wanted(rule, place.unit.id, Subject(*subject), Period(day, day, day))).id


@pytest.mark.clause("R05-3.1b")
def test_an_overhaul_finishes_the_work_of_its_piece(place: Place) -> None:
    place.clause("R05-3.1b")
    place.kind("压接机", category=values.EQUIPMENT)
    first, second = place.tool("压接机"), place.tool("压接机")
    place.tool()
    with place.acting():
        subjects = care.equipment(place.unit.id)
    assert [key for key, _title, _customer in subjects] == [f"tool:{first}", f"tool:{second}"]
    tasks = [_task(place, "R05-3.1b", subject) for subject in subjects]
    do(place, first, what=values.OVERHAUL)
    assert [place.state(task) for task in tasks] == ["done", "open"]
    assert one(place, first).maintain_on == add_months(today(place), 6)


@pytest.mark.clause("R32-5.1")
def test_a_maintainers_round_is_done_when_nothing_is_due(place: Place) -> None:
    day = today(place)
    tools = [place.tool(maintainer_id=place.ann.id, maintain_on=day) for _ in range(2)]
    with place.acting():
        subjects = care.maintainers(place.unit.id)
    assert subjects == [(f"user:{place.ann.id}", "安师傅", None)]
    task = _task(place, "R32-5.1", subjects[0])
    do(place, tools[0], user=place.ann)
    assert place.state(task) == "open"
    do(place, tools[1], user=place.ann)
    assert place.state(task) == "done"


# --- due, old --------------------------------------------------------------------------------------------


def test_what_is_due_soon_is_listed_first_things_first(place: Place) -> None:
    day = today(place)
    late, soon, far = (place.tool(maintain_on=day + timedelta(days=days)) for days in (-3, 20, 60))
    gone = place.tool(maintain_on=day)
    with place.acting(place.manager):
        perform(gone, "cancel", {"reason": "登记错了"})
    with place.acting():
        assert [tool.id for tool in care.due(place.unit.id, Tool.maintain_on)] == [late, soon]
        assert far in [tool.id for tool in care.due(place.unit.id, Tool.maintain_on, 90)]
        assert care.due(place.unit.id, Tool.calibrate_on) == []


@pytest.mark.clause("R33-8.1")
def test_what_is_beyond_its_life_is_reviewed(place: Place) -> None:
    place.clause("R35-5.3", life=24)
    place.kind("长命", life_months=120)
    place.kind("永久", life_months=0)
    old = place.now.date() - timedelta(days=365 * 3)
    plain, young = place.tool(bought_on=old), place.tool()
    place.tool("长命", bought_on=old), place.tool("永久", bought_on=old)
    own = place.tool("长命", bought_on=old, life_months=12)
    place.tool(bought_on=old, state=values.RETIRED)
    with place.acting():
        found = care.old_tools(place.unit.id)
        assert {tool.id for tool in found} == {plain, own} and young not in found
        assert care.life_ends(found[0]) == add_months(old, 24)
    place.without("R35-5.3")
    with place.acting():
        assert {tool.id for tool in care.old_tools(place.unit.id)} == {own}

"""Checklists' versions, and plans: once for each place and period, at present only."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from core.inspections import plans
from core.inspections import services as inspections
from core.inspections.models import Inspection, InspectionPlan
from core.kernel import clock
from core.kernel.database import session, transaction
from core.kernel.errors import Conflict, InvalidData, NotFound
from core.places import services as places
from core.rules.schedules import Interval, nth
from tests.helpers import make_unit
from tests.inspection_scene import checklist, desk, room

PLAN = {"title": "每周", "checklist": "room", "every": "1", "every_unit": "week", "starts_on": "2026-05-04"}


def wrong(*names: str) -> Any:
    return pytest.raises(InvalidData, check=lambda error: set(error.errors) == set(names))


def test_drafts_and_versions(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(unit):
        held = inspections.create_checklist(unit.id, {"code": "A-1", "title": "甲"})
        with wrong("code"):
            inspections.create_checklist(unit.id, {"code": "A-1", "title": "乙"})
        with wrong("code", "title"):
            inspections.create_checklist(unit.id, {"code": "", "title": ""})
        with wrong("use"):
            inspections.create_checklist(unit.id, {"code": "x", "title": "x", "use": "nobody.knows"})
        with wrong("items"):
            inspections.publish(held)
        draft = inspections.save_draft(held, [], version=0)
        with wrong("items"):
            inspections.publish(held)
        seen = draft.version
        inspections.save_draft(held, [{"label": "床"}], version=seen)
        with pytest.raises(Conflict):
            inspections.save_draft(held, [{"label": "灯"}], version=seen)
        with pytest.raises(Conflict):
            inspections.publish(held, version=seen)
        assert inspections.publish(held).number == 1
        inspections.save_draft(held, [{"label": "灯"}])
        assert [(one.number, one.state) for one in inspections.versions_of(held.id)] == [
            (2, "draft"),
            (1, "published"),
        ]
        inspections.drop_draft(held)
        assert inspections.draft_of(held.id) is None
        changed = inspections.change_checklist(held, {"title": "丙", "code": "other"})
        assert (changed.code, changed.title) == ("A-1", "丙")
    with desk(other), pytest.raises(NotFound):
        inspections.get_checklist(held.id)


def planned(unit: Any, **more: str) -> InspectionPlan:
    return inspections.create_plan(unit.id, {**PLAN, **more})


def run(unit: Any, day: date) -> int:
    with clock.frozen(datetime(day.year, day.month, day.day, 4, tzinfo=UTC)):
        return inspections.open_due(unit.id)


def test_a_plan_opens_once_for_each_room_and_period(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        checklist(unit)
        room(unit, "F8", kind="floor")
        for code in ("801", "802"):
            room(unit, code, "F8")
        room(unit, "901")
        with transaction():
            places.close_place(room(unit, "803", "F8"))
        planned(unit, place="F8", place_kind="room")
        assert [run(unit, date(2026, 5, day)) for day in (3, 4, 10, 11)] == [0, 2, 0, 2]
        rows = session().scalars(select(Inspection).order_by(Inspection.id)).all()
        assert {one.due_on for one in rows} == {date(2026, 5, 10), date(2026, 5, 17)}
        # A standstill of months is made up for with the present period only.
        assert run(unit, date(2026, 9, 1)) == 2
        assert session().scalar(select(func.count()).select_from(Inspection)) == 6


def test_a_plan_of_the_unit_and_of_one_place_and_their_end(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        held = checklist(unit)
        room(unit)
        whole, one = planned(unit, ends_on="2026-05-20"), planned(unit, place="801", every_unit="month")
        assert run(unit, date(2026, 5, 19)) == 2
        assert run(unit, date(2026, 5, 25)) == 0
        assert session().scalar(select(Inspection.due_on).where(Inspection.plan_id == whole.id)) == date(
            2026, 5, 20
        )
        inspections.close_plan(one)
        assert run(unit, date(2026, 6, 4)) == 0
        plans.set_active(one, True)
        inspections.set_active(held, False)
        assert run(unit, date(2026, 6, 4)) == 0


def test_wrong_plans(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    with desk(other):
        checklist(other, code="theirs")
        room(other, "T")
    with desk(unit):
        checklist(unit)
        with wrong("checklist", "place", "ends_on", "every", "every_unit"):
            planned(unit, checklist="theirs", place="T", every="0", every_unit="hour", ends_on="yesterday")
        with wrong("ends_on"):
            planned(unit, ends_on="2026-05-03")
        plan = planned(unit)
        with pytest.raises(Conflict):
            inspections.change_plan(plan, PLAN, version=plan.version + 1)
    with desk(other), pytest.raises(NotFound):
        inspections.get_plan(plan.id)


@given(
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(1, 60),
    st.sampled_from(["day", "week", "month", "year"]),
    st.integers(0, 4000),
)
def test_every_day_lies_in_one_period_and_periods_follow_each_other(
    anchor: date, every: int, unit: str, after: int
) -> None:
    plan = InspectionPlan(starts_on=anchor, every=every, every_unit=unit, ends_on=None)
    day = anchor + timedelta(days=after)
    period = plans.period_on(plan, day)
    assert period is not None and period.first <= day <= period.last
    following = plans.period_on(plan, period.last + timedelta(days=1))
    assert following is not None and following.first == period.last + timedelta(days=1)
    numbers = (nth(anchor, Interval(every, unit), number) for number in range(after + 2))
    assert period.first in numbers
    assert plans.period_on(plan, anchor - timedelta(days=1)) is None

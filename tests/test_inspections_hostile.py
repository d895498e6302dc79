"""Inspections and places in clumsy or hostile hands: two at once, strangers, odd letters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from core.inspections import services as inspections
from core.inspections.models import Inspection
from core.kernel import clock
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData
from core.places import services as places
from tests.helpers import make_unit, make_user
from tests.inspection_scene import checklist, desk, room
from tests.test_inspections import at_once, wrong
from tests.test_inspections_plans import planned


def test_an_inspection_is_given_to_nobody_of_another_unit(app: Flask) -> None:
    unit, other = make_unit(), make_unit()
    stranger = make_user(other, {inspections.FILL})
    with desk(unit):
        checklist(unit)
        with wrong("assignee_id"):
            inspections.register(unit.id, {"checklist": "room", "assignee_id": stranger.id})


def test_a_code_that_grows_in_capitals_is_too_long(app: Flask) -> None:
    unit = make_unit()
    with desk(unit), transaction():
        with wrong("code"):
            places.create_place(unit.id, {"code": "ß" * 30, "kind": "room"})
        row = {"kind": "room", "prefix": "ß" * 25, "first": "1", "last": "2"}
        with wrong("prefix"):
            places.create_row(unit.id, row)
        assert places.tree(unit.id) == []


def test_codes_with_hidden_characters_find_no_checklist_and_no_place(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        checklist(unit)
        room(unit)
        with wrong("checklist", "place"):
            planned(unit, checklist="ro\x00m", place="80\x002")


def test_a_plan_is_made_for_no_closed_place(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        checklist(unit)
        place = room(unit)
        plan = planned(unit, place="801")
        with transaction():
            places.close_place(place)
        with wrong("place"):
            planned(unit, place="801")
        again = {"checklist": "room", "every": "1", "every_unit": "week", "starts_on": "2026-05-04"}
        assert inspections.change_plan(plan, {**again, "title": "x", "place": "801"}).title == "x"


def test_two_runners_open_each_place_once(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        checklist(unit)
        for code in ("801", "802", "803"):
            room(unit, code)
        planned(unit, place_kind="room")

    def run() -> int:
        with desk(unit):
            return inspections.open_due(unit.id)

    with clock.frozen(datetime(2026, 5, 5, 4, tzinfo=UTC)):
        assert sum(at_once(3, run)) == 3
    with desk(unit):
        assert session().scalar(select(func.count()).select_from(Inspection)) == 3


def test_two_who_make_the_same_checklist_at_once(app: Flask) -> None:
    unit = make_unit()

    def make() -> str:
        with desk(unit):
            return inspections.create_checklist(unit.id, {"code": "A", "title": "甲"}).code

    answers = at_once(2, make)
    assert answers.count("A") == 1
    assert [set(one.errors) for one in answers if isinstance(one, InvalidData)] == [{"code"}], answers


def test_two_who_throw_a_draft_away_at_once(app: Flask) -> None:
    unit = make_unit()
    with desk(unit):
        held = checklist(unit)
        inspections.save_draft(held, [{"label": "灯"}])

    def drop() -> Any:
        with desk(unit):
            inspections.drop_draft(inspections.get_checklist(held.id))
            return None

    assert [one for one in at_once(3, drop) if one is not None] == []

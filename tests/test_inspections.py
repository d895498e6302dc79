"""Checklists and inspections: services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.inspections import services as inspections
from core.inspections.models import Finding
from core.kernel.database import ScopedSession, session, transaction
from core.kernel.errors import InvalidData
from core.places import services as places
from core.places.models import Place
from core.records.models import Record
from core.units.models import Unit
from tests.helpers import in_scope, make_unit, make_user

ALL = {
    inspections.VIEW,
    inspections.FILL,
    inspections.MANAGE,
    places.VIEW,
    places.EDIT,
    "case.view",
}
ITEMS: list[dict[str, Any]] = [
    {"key": "bed", "kind": "check", "label": "床", "label_en": "Bed", "opens": True, "severity": "safety"},
    {
        "key": "fridge",
        "kind": "number",
        "label": "冰箱温度",
        "least": "0",
        "most": "8",
        "measure": "°C",
        "weight": 2,
    },
    {"key": "note", "kind": "text", "label": "备注", "required": False},
]


@contextmanager
def desk(unit: Unit, permissions: set[str] | None = None, actor: Any = None) -> Iterator[ScopedSession]:
    with in_scope(unit, ALL if permissions is None else permissions, actor) as work:
        yield work


def room(unit: Unit, code: str = "801") -> Place:
    with transaction():
        return places.create_place(unit.id, {"code": code, "kind": "room"})


def test_a_round_from_a_checklist_to_a_case(app: Flask) -> None:
    unit = make_unit()
    user = make_user()
    with desk(unit, actor=user):
        place = room(unit)
        checklist = inspections.define(unit.id, "room", "客房检查", "", ITEMS, title_en="Room check")
        assert inspections.define(unit.id, "room", "别的", "", ITEMS).id == checklist.id
        made = inspections.open_inspection(unit.id, checklist, place_id=place.id)
        assert inspections.open_inspection(unit.id, checklist, place_id=place.id).id == made.id
        assert made.number.startswith("JC-")
        inspections.save(made.id, {"bed": "fail", "bed.note": "坏了"})
        assert made.state == "doing"
        with pytest.raises(InvalidData) as bad:
            inspections.finish(made.id)
        assert set(bad.value.errors) == {"fridge"}
        inspections.finish(made.id, {"fridge": "5 °C"})
        detail = inspections.get_inspection(str(made.id))
        assert (detail.score, detail.failed, made.state) == (Decimal("66.67"), 1, "done")
        finding = session().scalars(select(Finding)).one()
        case = session().get_one(Record, finding.record_id)
        assert (case.type, case.priority, case.title) == ("case", 1, "床 · 801")
        assert inspections.of_place(place.id) == [detail]
        assert [one.id for one in inspections.open_findings(place.id)] == [finding.id]

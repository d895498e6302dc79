"""What tests of inspections share: a unit's places, a checklist, somebody to fill it in."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image
from werkzeug.datastructures import FileStorage

from core.inspections import services as inspections
from core.inspections.models import Checklist
from core.kernel.database import ScopedSession, transaction
from core.places import services as places
from core.places.models import Place
from core.records.models import Record
from core.units.models import Unit
from tests.helpers import in_scope

ALL = {inspections.VIEW, inspections.FILL, inspections.MANAGE, places.VIEW, places.EDIT, "case.view"}
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


def room(unit: Unit, code: str = "801", parent: str = "", **more: Any) -> Place:
    with transaction():
        return places.create_place(unit.id, {"code": code, "kind": "room", "parent": parent, **more})


def checklist(
    unit: Unit, items: list[dict[str, Any]] | None = None, code: str = "room", use: str = ""
) -> Checklist:
    return inspections.define(unit.id, code, "客房检查", use, items or ITEMS, title_en="Room check")


def opened(unit: Unit, items: list[dict[str, Any]] | None = None, **how: Any) -> Record:
    with transaction():
        return inspections.open_inspection(unit.id, checklist(unit, items), **how)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(out, "PNG")
    return out.getvalue()


def photo(content: bytes | None = None, name: str = "photo.png") -> FileStorage:
    return FileStorage(io.BytesIO(png() if content is None else content), filename=name)


def drawn() -> str:
    return "data:image/png;base64," + base64.b64encode(png()).decode()

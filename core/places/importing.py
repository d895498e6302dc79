"""The importer of places (场所清单): the place around is named by its code and stands further up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import search
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.fields import clean
from core.kernel.importing import CREATE, SAME, UPDATE, Importer, Plan, Row
from core.kernel.sheets import Column

from . import services
from .models import AREA, BIN, BUILDING, DEEPEST, FLOOR, ROOM, SHELF, SITE, Place

AT_ONCE = 500
KIND_WORDS = {
    SITE: ("场地", "园区", "院区", "site"),
    BUILDING: ("楼", "楼栋", "楼宇", "大楼", "建筑", "building"),
    FLOOR: ("层", "楼层", "floor"),
    AREA: ("区域", "厅", "大厅", "区", "hall", "area", "hall or area"),
    ROOM: ("房间", "客房", "房", "room"),
    SHELF: ("货架", "陈列", "架", "展柜", "shelf", "display", "shelf or display"),
    BIN: ("货位", "库位", "仓位", "bin", "bin position"),
}
_KINDS = {word: kind for kind, words in KIND_WORDS.items() for word in (kind, *words)}
_CHECKED = tuple(one for one in services.FIELDS if one.name not in ("parent", "kind"))


@dataclass
class _Known:
    """A place on file, or an earlier row of the file (``id`` 0), as far as rows are judged by it."""

    id: int
    parent: str
    depth: int
    active: bool
    values: dict[str, Any]


class PlaceImporter(Importer):
    """Places from a spreadsheet. A code on file already is changed (empty cells change nothing), never moved."""

    key = "places"
    title = _l("Places")
    permission = services.EDIT
    columns = (
        Column(
            "code",
            _l("Place code"),
            ("编号", "编码", "房号", "场所编号", "货位号", "code", "number"),
            required=True,
        ),
        Column("name", _l("Name"), ("名称", "场所名称", "房间名称", "name")),
        Column("kind", _l("Kind"), ("类型", "种类", "类别", "kind", "type"), required=True),
        Column(
            "parent",
            _l("Lies in (code)"),
            ("上级编号", "所属", "上级", "位于", "所在", "parent", "parent code", "lies in"),
            help=_l("The code of the place around it, on file or further up in the list"),
        ),
        Column("name_en", _l("Name in English"), ("英文名", "英文名称", "name in english")),
        Column("sort", _l("Order in the list"), ("排序", "顺序", "order")),
        Column("note", _l("Note"), ("备注", "说明", "note")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        """See ``Importer``. One statement for the whole file."""
        known: dict[str, _Known] = memory.get("known") or memory.setdefault("known", _on_file(unit_id))
        lines: dict[str, int] = memory.setdefault("lines", {})
        return [_plan(row, known, lines) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        """See ``Importer``."""
        for plan in plans:
            if plan.action == CREATE:
                services.create_place(unit_id, plan.values)
            elif plan.action == UPDATE and plan.target:
                services.change_place(services.get_place(plan.target), plan.values)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """See ``Importer``: the search index follows."""
        search.remove(services.SEARCH_KIND, removed.get(Place.__tablename__, ()))
        ids = restored.get(Place.__tablename__, ())
        for start in range(0, len(ids), AT_ONCE):
            services.reindex(session().scalars(select(Place).where(Place.id.in_(ids[start : start + AT_ONCE]))))


def _on_file(unit_id: int) -> dict[str, _Known]:
    rows = session().scalars(select(Place).where(Place.unit_id == unit_id)).all()
    codes = {one.id: one.code for one in rows}
    names = ("kind", *(one.name for one in _CHECKED))
    return {
        one.code: _Known(
            one.id,
            codes.get(one.parent_id or 0, ""),
            one.depth,
            one.active,
            {name: getattr(one, name) for name in names},
        )
        for one in rows
    }


def _plan(row: Row, known: dict[str, _Known], lines: dict[str, int]) -> Plan:
    cells = {one.name: row.values.get(one.name, "") for one in PlaceImporter.columns}
    code, parent = services.tidy_code(cells["code"]), services.tidy_code(cells["parent"])
    plan = Plan(row.line, CREATE, label=" ".join(one for one in (code, cells["name"]) if one))
    errors: dict[str, Any] = {}
    given = _read(cells, errors)
    earlier = lines.setdefault(code, row.line) if code else row.line
    if earlier != row.line:
        errors["code"] = _l("This code stands in line %(line)d already", line=earlier)
    held = known.get(code)
    if held is not None and held.id:
        _judge_change(plan, given, parent, held, errors)
    else:
        depth = _judge_parent(code, parent, known, errors)
        plan.values = {**given, "code": code, "parent": parent}
        if not errors:
            known[code] = _Known(0, parent, depth, True, {})
    plan.errors = list(errors.items())
    return plan


def _read(cells: Mapping[str, str], errors: dict[str, Any]) -> dict[str, Any]:
    """Return what a row says of a place itself."""
    kind = _KINDS.get(cells["kind"].strip().casefold(), "")
    if not cells["kind"]:
        errors["kind"] = _l("The kind is missing")
    elif not kind:
        errors["kind"] = _l("No kind of place is called “%(name)s”", name=cells["kind"])
    try:
        given = clean(_CHECKED, cells)
    except InvalidData as bad:
        errors |= {name: texts[0] for name, texts in bad.errors.items()}
        return {}
    return {**given, "kind": kind}


def _judge_parent(code: str, parent: str, known: Mapping[str, _Known], errors: dict[str, Any]) -> int:
    """Return how deep a new place lies."""
    if not parent:
        return 0
    around = known.get(parent)
    if parent == code:
        errors["parent"] = _l("A place cannot lie in itself")
    elif around is None:
        errors["parent"] = _l("There is no place %(code)s on file, nor further up in the list", code=parent)
    elif not around.active:
        errors["parent"] = _l("This place is closed")
    elif around.depth + 1 >= DEEPEST:
        errors["parent"] = _l("Places lie at most %(count)d deep", count=DEEPEST)
    return around.depth + 1 if around else 0


def _judge_change(plan: Plan, given: Mapping[str, Any], parent: str, held: _Known, errors: dict[str, Any]) -> None:
    if parent and parent != held.parent:
        errors["parent"] = _l("It lies in %(code)s; move it on its page", code=held.parent or "—")
    new = {name: value for name, value in given.items() if value not in (None, "") and value != held.values[name]}
    new.pop("code", None)
    plan.action, plan.target, plan.values = (UPDATE if new else SAME), held.id, new

"""Screens of the file: kinds of tools and sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g
from flask_babel import lazy_gettext as _l
from sqlalchemy import or_

from core.sdk import (
    Field,
    label_of,
)
from core.sdk_web import (
    Filter,
    ListColumn,
    ListSpec,
    Ordering,
    among,
    page_url,
)

from . import kinds, screens_file, values
from .models import Kind, Kit
from .rights import KEEP

KINDS = ListSpec(
    name="tools.kinds",
    title=_l("Kinds of tools"),
    model=Kind,
    columns=(
        ListColumn(
            "name",
            _l("Name"),
            kinds.kind_label,
            link=lambda k: screens_file.details_url("tools_kind", k),
            card="title",
        ),
        ListColumn("code", _l("Code"), lambda k: k.code, "code"),
        ListColumn("category", _l("Category"), lambda k: label_of(values.CATEGORIES, k.category)),
        ListColumn("price", _l("Usual price (yuan)"), lambda k: k.price, "money"),
        ListColumn("life", _l("Service life (months)"), lambda k: k.life_months, "number"),
        ListColumn("permit", _l("Needs a permit"), lambda k: k.needs_permit, "bool"),
        ListColumn("maintain", _l("Maintained every (months)"), lambda k: k.maintain_months or None, "number"),
        ListColumn("calibrate", _l("Calibrated every (months)"), lambda k: k.calibrate_months or None, "number"),
        ListColumn("active", _l("State"), screens_file.use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Kind.id,)),),
    filters=(Filter("category", _l("Category"), "choice", among(Kind.category), values.CATEGORIES),),
    quick=screens_file.in_use(Kind.active),
    search=lambda s, text, _c: s.where(
        or_(*(one.contains(text, autoescape=True) for one in (Kind.name, Kind.name_en, Kind.code)))
    ),
    search_hint=_l("Number or name"),
)


class KindView(screens_file.FileView):
    """Kinds of tools."""

    title = _l("Kinds of tools")
    icon = "columns"
    create_label = _l("New kind")
    delete_permission = KEEP
    details_template = "tools/file_kind.html"
    lookup_columns = (Kind.name, Kind.code)

    def list_spec(self) -> ListSpec:
        return KINDS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.with_active(kinds.KIND_FIELDS, row)

    def create(self, values: dict[str, Any]) -> Any:
        return kinds.save_kind(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        kinds.save_kind(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        kinds.delete_kind(row)

    def details(self, row: Any) -> dict[str, Any]:
        counted = row.category == values.CONSUMABLE
        return {
            **super().details(row),
            "badge": screens_file.use_badge(row),
            "tools_url": "" if counted else page_url("tools_tool.index_view", f_kind=row.id),
            "new_url": page_url("tools_tool.create_view", kind=row.id)
            if row.active and not counted and self.allowed(KEEP, row)
            else "",
        }


KITS = ListSpec(
    name="tools.kits",
    title=_l("Tool sets"),
    model=Kit,
    columns=(
        ListColumn(
            "name",
            _l("Name"),
            lambda k: k.name,
            link=lambda k: screens_file.details_url("tools_kit", k),
            card="title",
        ),
        ListColumn("lines", _l("What belongs to it"), lambda k: k.__dict__.get("_said", "")),
        ListColumn("standard", _l("Standard set"), lambda k: k.standard, "bool"),
        ListColumn("active", _l("State"), screens_file.use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Kit.id,)),),
    quick=screens_file.in_use(Kit.active),
    search=lambda s, text, _c: s.where(Kit.name.contains(text, autoescape=True)),
    search_hint=_l("Name"),
    prepare=lambda rows: _say_lines(rows),
)


def _say_lines(rows: Sequence[Any]) -> None:
    held = kinds.lines_of([row.id for row in rows])
    for row in rows:
        said = (f"{kinds.kind_label(one.kind)} × {one.quantity}" for one in held.get(row.id, ()))
        row.__dict__["_said"] = "、".join(said)


class KitView(screens_file.FileView):
    """Sets of tools."""

    title = _l("Tool sets")
    icon = "columns"
    create_label = _l("New set")
    delete_permission = KEEP

    def list_spec(self) -> ListSpec:
        return KITS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.with_active(kinds.KIT_FIELDS, row)

    def form_values(self, row: Any) -> dict[str, Any]:
        lines = kinds.lines_text(kinds.lines_of([row.id]).get(row.id, []))
        return {"name": row.name, "standard": row.standard, "lines": lines, "active": row.active}

    def create(self, values: dict[str, Any]) -> Any:
        return kinds.save_kit(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        kinds.save_kit(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        kinds.delete_kit(row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        KindView(Kind, endpoint="tools_kind", url="tools/kinds"),
        KitView(Kit, endpoint="tools_kit", url="tools/kits"),
    ]

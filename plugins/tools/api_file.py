"""API: kinds, tools, stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Record, session

from . import custody, file, forms, kinds, parties
from .models import Kind, Party, Place, Tool
from .rights import KEEP, VIEW

KIND_NAMES = (
    "code",
    "name",
    "name_en",
    "category",
    "measure",
    "life_months",
    "needs_permit",
    "maintain_months",
    "calibrate_months",
    "low_stock",
    "note",
    "active",
    "version",
)
TOOL_NAMES = (
    "code",
    "name",
    "model",
    "serial",
    "maker",
    "supplier",
    "bought_on",
    "asset_class",
    "life_months",
    "maintain_on",
    "calibrate_on",
    "condition",
    "due_at",
    "note",
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_kinds(), _tools(), _stores()]


def _kinds() -> ApiResource:
    return ApiResource(
        path="kinds",
        title=_l("Kinds of tools"),
        model=Kind,
        permission=VIEW,
        write_permission=KEEP,
        read={
            **dict.fromkeys(KIND_NAMES, "string"),
            **dict.fromkeys(
                ("life_months", "maintain_months", "calibrate_months", "low_stock", "version"), "integer"
            ),
            "needs_permit": "boolean",
            "active": "boolean",
            "price": "money",
        },
        show=lambda rows: [_plain(row, KIND_NAMES) | {"price": _money(row.price)} for row in rows],
        filters={"code": Kind.code, "name": Kind.name, "category": Kind.category, "active": Kind.active},
        fields=(*kinds.KIND_FIELDS, forms.ACTIVE),
        create=lambda unit_id, given: kinds.save_kind(unit_id, {**given, "active": True}),
        change=_change_kind,
    )


def _plain(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _money(amount: Any) -> str | None:
    return None if amount is None else f"{amount:.2f}"


def _change_kind(row: Kind, given: Mapping[str, Any]) -> Kind:
    held = {one.name: getattr(row, one.name) for one in (*kinds.KIND_FIELDS, forms.ACTIVE)}
    return kinds.save_kind(row.unit_id, {**held, **given}, row)


def _tools() -> ApiResource:
    return ApiResource(
        path="tools",
        title=_l("Tools"),
        model=Tool,
        permission=VIEW,
        write_permission=KEEP,
        read={
            **dict.fromkeys(TOOL_NAMES, "string"),
            "life_months": "integer",
            "bought_on": "date",
            "maintain_on": "date",
            "calibrate_on": "date",
            "due_at": "moment",
            "price": "money",
            "kind": "string",
            "state": "string",
            "place": "string",
            "holder": "string",
            "holder_kind": "string",
            "held_since": "moment",
            "version": "integer",
        },
        show=_show_tools,
        filters={
            "code": Tool.code,
            "serial": Tool.serial,
            "asset_class": Tool.asset_class,
            "kind_id": Tool.kind_id,
            "place_id": Tool.place_id,
        },
        fields=file.FIELDS,
        create=_register,
        change=_edit,
    )


def _register(unit_id: int, given: Mapping[str, Any]) -> Tool:
    return file.get_tool(file.register(unit_id, given).id)


def _edit(row: Tool, given: Mapping[str, Any]) -> Tool:
    held = {one.name: getattr(row, one.name) for one in file.PLAIN_FIELDS if one.name != "maintainer"}
    held |= {"code": row.code, "kind": str(row.kind_id), "maintainer": str(row.maintainer_id or "")}
    file.edit(row.record, {**held, **given})
    if "place" in given:
        file.relocate(row.record, given)
    return row


def _show_tools(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per tool; kinds, places, states and holders in a statement each."""
    held = custody.spells([row.id for row in rows])
    names = parties.party_names([one.party for one in held.values()])
    kinds = _codes(Kind.id, Kind.name, {row.kind_id for row in rows})
    places = _codes(Place.id, Place.name, {row.place_id for row in rows if row.place_id})
    states = _codes(Record.id, Record.state, {row.id for row in rows})
    found: list[Mapping[str, Any]] = []
    for row in rows:
        spell = held.get(row.id)
        found.append(
            {
                **_plain(row, TOOL_NAMES),
                "price": _money(row.price),
                "kind": kinds.get(row.kind_id, ""),
                "state": states.get(row.id, ""),
                "place": places.get(row.place_id, ""),
                "holder": str(names.get(spell.party_id, "")) if spell else "",
                "holder_kind": spell.party.kind if spell else "",
                "held_since": spell.starts_at if spell else None,
                "version": row.version,
            }
        )
    return found


def _codes(key: Any, value: Any, ids: set[int]) -> dict[int, str]:
    return {row[0]: row[1] for row in session().execute(select(key, value).where(key.in_(ids)))} if ids else {}


def _stores() -> ApiResource:
    return ApiResource(
        path="holders",
        title=_l("Holders of tools"),
        model=Party,
        permission=VIEW,
        read={
            "kind": "string",
            "name": "string",
            "keeper": "string",
            "contact": "string",
            "active": "boolean",
            "version": "integer",
        },
        show=_show_parties,
        filters={"kind": Party.kind, "active": Party.active},
    )


def _show_parties(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    names = parties.party_names(rows)
    keepers = parties.user_names({row.user_id for row in rows if row.user_id})
    return [
        {
            **_plain(row, ("kind", "contact", "active", "version")),
            "name": str(names[row.id]),
            "keeper": keepers.get(row.user_id or 0, ""),
        }
        for row in rows
    ]

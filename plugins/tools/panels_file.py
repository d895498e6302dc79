"""Boxes on a tool's page: what it is, who has it since when, what it needs. And tools in the one search box."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Hit,
    InvalidData,
    Panel,
    Record,
    clock,
    detail_of,
    label_of,
    local_day,
    may,
    search,
    session,
)
from core.sdk_web import page_url

from . import custody, file, flow, handover_rows, kinds, parties, values
from .models import Custody, Tool
from .rights import KEEP, VIEW

MOST_SPELLS = 50
SOON = timedelta(days=14)


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a tool's page; nobody from outside sees anything of it (R33-9.1)."""
    tool = detail_of(record) if record.type == flow.CODE else None
    if tool is None or not may(VIEW, record.unit_id):
        return []
    spells = list(custody.history(tool.id, MOST_SPELLS + 1))
    names = parties.party_names([one.party for one in spells])
    may_keep = record.is_open and may(KEEP, record.unit_id)
    context = {
        "warnings": _warnings(record, tool),
        "open": _open(tool),
        "facts": _facts(tool),
        "spells": [_spell(one, names) for one in spells[:MOST_SPELLS]],
        "more": len(spells) > MOST_SPELLS,
        "edit_url": url_for("tools_tool.edit_view", id=record.id) if may_keep else "",
        "place_url": url_for("tools.tool_place", tool_id=record.id) if may_keep else "",
        "label_url": page_url("labels.index", form="tools.tool", id=record.id),
    }
    return [Panel("tool", _l("Tool"), "tools/file_panel.html", context, 5)]


def find_tools(unit: Any, text: str, limit: int) -> list[Hit]:
    """Find tools by label, number or serial number, else by their words; each says what it is and who has it."""
    try:
        found = [file.find_tool(unit.id, text)]
    except InvalidData:
        ids = [one.entity_id for one in search.search(frozenset({unit.id}), flow.CODE, text, limit)]
        wanted = select(Tool).where(Tool.id.in_(ids)).options(joinedload(Tool.kind)).order_by(Tool.id.desc())
        found = list(session().scalars(wanted)) if ids else []
    held = custody.spells([one.id for one in found])
    names = parties.party_names([one.party for one in held.values()])
    return [
        Hit(one.code, f"{one.name} · {names[held[one.id].party_id]}" if one.id in held else one.name, _url(one))
        for one in found
    ]


def _url(tool: Tool) -> str:
    return page_url("record.page", record_id=tool.id)


def _facts(tool: Tool) -> list[tuple[Any, Any]]:
    place = tool.place.name if tool.place else ""
    asset = label_of(values.ASSET_CLASSES, tool.asset_class)
    return [
        (_l("Tool number"), tool.code),
        (_l("Kind of tool"), kinds.kind_label(tool.kind)),
        (_l("Category"), label_of(values.CATEGORIES, tool.kind.category)),
        (_l("Brand and model"), tool.model),
        (_l("Serial number"), tool.serial),
        (_l("Maker"), tool.maker),
        (_l("Supplier"), tool.supplier),
        (_l("Price with tax (yuan)"), tool.price),
        (_l("Bought on"), tool.bought_on),
        (
            _l("Asset class"),
            _l("%(label)s (clause %(clause)s)", label=asset, clause=file.FIXED_ASSET_CLAUSE) if asset else "",
        ),
        (_l("Place"), place),
        (_l("Condition of tools"), label_of(values.CONDITIONS, tool.condition)),
        (_l("Service life (months)"), tool.life_months or tool.kind.life_months or _l("As the clause says")),
        (_l("Maintainer"), tool.maintainer.name if tool.maintainer else ""),
        (_l("Next maintenance"), tool.maintain_on),
        (_l("Calibrated until"), tool.calibrate_on),
        (_l("Note"), tool.note),
    ]


def _warnings(record: Record, tool: Tool) -> list[Any]:
    if not record.is_open:
        return []
    today, found = local_day(record.unit_id), []
    found += _care(
        tool.maintain_on, today, _l("Maintenance was due on %(day)s"), _l("Maintenance is due on %(day)s")
    )
    found += _care(
        tool.calibrate_on,
        today,
        _l("The calibration ran out on %(day)s"),
        _l("The calibration runs out on %(day)s"),
    )
    if tool.due_at is not None and tool.due_at < clock.now() and record.state == values.ON_LOAN:
        found.append(_l("It was to be back already"))
    if tool.outside:
        found.append(_l("It was taken out of the premises"))
    return found


def _care(day: date | None, today: date, over: Any, soon: Any) -> list[Any]:
    if day is None or day > today + SOON:
        return []
    return [(over if day < today else soon) % {"day": day.isoformat()}]


def _spell(one: Custody, names: Mapping[int, Any]) -> dict[str, Any]:
    return {
        "holder": names.get(one.party_id, ""),
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "how": label_of(values.HANDOVER_KINDS, one.how) if one.how else _l("By registration"),
        "url": page_url("record.page", record_id=one.handover_id) if one.handover_id else "",
    }


def _open(tool: Tool) -> dict[str, Any] | None:
    """The hand-over that reserves the tool at present."""
    line = handover_rows.open_of_tool(tool.id)
    if line is None:
        return None
    offered = line.handover
    names = parties.party_names([offered.giver, offered.taker])
    return {
        "number": offered.record.number,
        "url": page_url("record.page", record_id=offered.id),
        "kind": label_of(values.HANDOVER_KINDS, offered.kind),
        "giver": names[offered.giver_id],
        "taker": names[offered.taker_id],
    }

"""API: counts, what was found at them, and the care of tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Choices, Field, InvalidData, Record, session

from . import care, count_rows, counts, file, kinds, parties, stock, values
from .models import Count, CountLine, Kind, Party, Service, Tool
from .rights import KEEP, MAINTAIN, VIEW

_TOOL = Field("tool", "text", _l("Tool"), max_length=200, help=_l("Its number, serial number or label"))
# What one call says of a count: a tool found, a tool missing, or an amount of small parts.
_SAID = (
    _TOOL,
    Field("missing", "bool", _l("Missing at the count")),
    *counts.LINE_FIELDS,
    Field("kind", "text", _l("Kind of tool"), max_length=80),
    Field("counted", "decimal", _l("Counted amount"), minimum=Decimal(0), maximum=counts.MOST_COUNTED),
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_counts(), _lines(), _care()]


# --- counts ------------------------------------------------------------------------------------------


def _counts() -> ApiResource:
    begin = tuple(Field(one.name, one.kind, one.label, max_length=one.max_length) for one in counts.FIELDS)
    return ApiResource(
        path="counts",
        title=_l("Counts of tools"),
        model=Count,
        permission=VIEW,
        write_permission=KEEP,
        read={
            "number": "string",
            "state": "string",
            "party": "string",
            "begun_at": "moment",
            "counted_at": "moment",
            "checked_at": "moment",
            "found": "integer",
            "missing": "integer",
            "extra": "integer",
            "left": "integer",
        },
        show=_show_counts,
        filters={"party_id": Count.party_id},
        fields=(*begin, *_SAID),
        create=lambda unit_id, given: count_rows.get(counts.begin(unit_id, given).id),
        change=_say,
    )


def _say(row: Count, given: Mapping[str, Any]) -> Count:
    """Enter a tool as found or missing, or an amount of small parts."""
    if given.get("kind"):
        kind = kinds.find_kind(row.unit_id, given["kind"])
        if kind is None:
            raise InvalidData({"kind": _l("There is no such kind of tool")})
        counts.count_parts(row.id, {**given, "kind": kind.id})
        return row
    raw = {name: given[name] for name in ("condition", "place", "note") if name in given}
    if not given.get("missing"):
        counts.count_one(row.id, str(given.get("tool") or ""), raw)
        return row
    tool = file.find_tool(row.unit_id, given.get("tool"))
    mine = select(CountLine.id).where(CountLine.count_id == row.id, CountLine.tool_id == tool.id)
    counts.mark_missing(row.id, session().scalar(mine), str(raw.get("note") or ""))
    return row


def _show_counts(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per count; records, parties and numbers of lines in a statement each."""
    ids = [row.id for row in rows]
    records = {one.id: one for one in session().scalars(select(Record).where(Record.id.in_(ids)))}
    holders = session().scalars(select(Party).where(Party.id.in_({row.party_id for row in rows})))
    names, numbers = parties.party_names(holders), count_rows.progress_of(ids)
    return [
        {
            "number": records[row.id].number,
            "state": records[row.id].state,
            "party": str(names[row.party_id]),
            "begun_at": row.begun_at,
            "counted_at": row.keeper_at,
            "checked_at": row.manager_at,
            **{
                name: numbers.get(row.id, {}).get(code, 0)
                for name, code in (
                    ("found", values.FOUND),
                    ("missing", values.MISSING),
                    ("extra", values.EXTRA),
                    ("left", values.EXPECTED),
                )
            },
        }
        for row in rows
    ]


def _lines() -> ApiResource:
    return ApiResource(
        path="count-lines",
        title=_l("Lines of counts"),
        model=CountLine,
        permission=VIEW,
        read={
            "count_id": "integer",
            "tool": "string",
            "kind": "string",
            "result": "string",
            "expected": "number",
            "counted": "number",
            "condition": "string",
            "place": "string",
            "note": "string",
            "at": "moment",
        },
        show=_show_lines,
        filters={"count_id": CountLine.count_id, "result": CountLine.result},
    )


def _show_lines(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    codes = _codes({row.tool_id for row in rows if row.tool_id is not None})
    wanted = select(Kind.id, Kind.name).where(Kind.id.in_({row.kind_id for row in rows if row.kind_id is not None}))
    kinds = {row.id: row.name for row in session().execute(wanted)}
    return [
        {
            "count_id": row.count_id,
            "tool": codes.get(row.tool_id, ""),
            "kind": kinds.get(row.kind_id, ""),
            "result": row.result,
            "expected": stock.as_number(row.expected),
            "counted": stock.as_number(row.counted),
            "condition": row.condition,
            "place": row.place,
            "note": row.note,
            "at": row.at,
        }
        for row in rows
    ]


def _codes(tool_ids: set[int]) -> dict[int, str]:
    wanted = select(Tool.id, Tool.code).where(Tool.id.in_(tool_ids))
    return {row.id: row.code for row in session().execute(wanted)}


# --- care ----------------------------------------------------------------------------------------------


def _what() -> Choices:
    return values.SERVICES


def _care() -> ApiResource:
    given = {one.name: one for one in (*care.CALIBRATE_FIELDS, *care.MAINTAIN_FIELDS)}
    plain = [
        Field(one.name, one.kind, one.label, choices=one.choices, max_length=one.max_length, minimum=one.minimum)
        for one in given.values()
        if one.name != "what"
    ]
    return ApiResource(
        path="care",
        title=_l("Care of tools"),
        model=Service,
        permission=VIEW,
        write_permission=MAINTAIN,
        read={
            "tool": "string",
            "what": "string",
            "done_on": "date",
            "by": "string",
            "parts_done": "string",
            "sound": "boolean",
            "cost": "money",
            "certificate": "string",
            "next_on": "date",
            "note": "string",
        },
        show=_show_care,
        filters={"what": Service.what, "done_on": Service.done_on, "sound": Service.sound},
        fields=(_TOOL, Field("what", "choice", _l("What was done to it"), True, _what), *plain),
        create=_enter,
    )


def _enter(unit_id: int, given: Mapping[str, Any]) -> Service:
    try:
        tool = file.find_tool(unit_id, given.get("tool"))
    except InvalidData as bad:
        raise InvalidData({"tool": bad.texts()}) from None
    return care.record(tool, {name: value for name, value in given.items() if name != "tool"})


def _show_care(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    codes = _codes({row.tool_id for row in rows})
    return [
        {
            "tool": codes.get(row.tool_id, ""),
            "what": row.what,
            "done_on": row.done_on,
            "by": row.by,
            "parts_done": "、".join(row.parts_done or ()),
            "sound": row.sound,
            "cost": row.cost,
            "certificate": row.certificate,
            "next_on": row.next_on,
            "note": row.note,
        }
        for row in rows
    ]

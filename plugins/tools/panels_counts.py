"""Boxes of counts (what differs, who signed) and of the care of a tool."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Panel, Record, detail_of, label_of, may, session
from core.sdk_web import page_url

from . import care, count_rows, counts, flow, parties, stock, values
from .models import Count, CountLine, Incident, Tool
from .rights import DECIDE, KEEP, VIEW

MOST_SERVICES = 10


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page."""
    if not any(may(one, record.unit_id) for one in (VIEW, KEEP, DECIDE)):
        return []
    if record.type == counts.CODE:
        return [_count(record)]
    if record.type == flow.CODE:
        return _care(record)
    return []


def _count(record: Record) -> Panel:
    count: Count = detail_of(record)
    found = count_rows.progress(count.id)
    lines = count_rows.different(count.id)
    people = parties.user_names({one for one in (count.keeper_by, count.manager_by) if one is not None})
    keeps = record.state == values.COUNTING and may(KEEP, record.unit_id)
    context = {
        "facts": [
            (_l("What is counted"), parties.party_name(count.party)),
            (_l("Counted and signed by"), people.get(count.keeper_by or 0)),
            (_l("Checked and signed by"), people.get(count.manager_by or 0)),
            (_l("Note"), count.note),
        ],
        "progress": [(label, found[code]) for code, label in values.COUNT_RESULTS if found.get(code)],
        "lines": line_rows(lines),
        "more": len(lines) >= count_rows.MOST_SHOWN,
        "settled": record.state == values.CLOSED,
        "count_url": url_for("tools.count", record_id=record.id) if keeps else "",
    }
    return Panel("tools_count", _l("Count"), "tools/count_panel.html", context, 5)


def line_rows(lines: Any) -> list[dict[str, Any]]:
    """Return lines of a count as pages show them: what it is, what differs, who holds it, the incident of it."""
    holders, incidents = count_rows.holders(lines), _incidents([one.id for one in lines])
    return [
        {
            "row": one,
            "code": one.tool.code if one.tool else one.kind.code,
            "name": one.tool.name if one.tool else one.kind.name,
            "url": page_url("record.page", record_id=one.tool_id) if one.tool_id else "",
            "result": label_of(values.COUNT_RESULTS, one.result),
            "tone": tone_of(one),
            "what": what_differs(one),
            "holder": holders.get(one.tool_id or 0, ""),
            "incident": incidents.get(one.id),
        }
        for one in lines
    ]


def tone_of(line: CountLine) -> str:
    """Return the colour of a line: bad where something is missing or broken."""
    if line.result == values.MISSING or line.condition in count_rows.BROKEN:
        return "bad"
    if line.result == values.EXTRA or line.place:
        return "warn"
    return "neutral" if line.result in (values.EXPECTED, values.MOVED) else "good"


def what_differs(line: CountLine) -> list[Any]:
    """Say in words what is different about a line, beside its result."""
    found: list[Any] = []
    if line.kind_id is not None and line.counted is not None and line.counted != line.expected:
        found.append(_l("%(counted)s counted, %(expected)s in the ledger", **_amounts(line)))
    if line.condition in count_rows.BROKEN:
        found.append(label_of(values.CONDITIONS, line.condition))
    if line.place:
        belongs = line.tool.place.name if line.tool is not None and line.tool.place is not None else "—"
        found.append(_l("lay at %(place)s, belongs to %(belongs)s", place=line.place, belongs=belongs))
    return found


def _amounts(line: CountLine) -> dict[str, str]:
    counted = Decimal(0) if line.counted is None else line.counted
    return {"counted": stock.plain_number(counted), "expected": stock.plain_number(line.expected)}


def _incidents(line_ids: list[int]) -> dict[int, tuple[str, str]]:
    """Return (number, address) of the incidents that lines became, by line id."""
    if not line_ids:
        return {}
    wanted = select(Incident.count_line_id, Record.number, Record.id).join(Record, Record.id == Incident.id)
    rows = session().execute(wanted.where(Incident.count_line_id.in_(line_ids)))
    return {row.count_line_id: (row.number, page_url("record.page", record_id=row.id)) for row in rows}


def _care(record: Record) -> list[Panel]:
    tool: Tool = detail_of(record)
    services = care.services_of(tool.id, MOST_SERVICES)
    if not services and tool.maintain_on is None and tool.calibrate_on is None:
        return []
    maintainer = tool.maintainer
    context = {
        "facts": [
            (_l("Maintainer"), maintainer.name if maintainer is not None else ""),
            (_l("Next maintenance"), tool.maintain_on),
            (_l("Calibrated until"), tool.calibrate_on),
            (_l("Service life ends on"), care.life_ends(tool)),
        ],
        "file_url": url_for("tools.care_file", tool_id=tool.id) if care.may_care(tool) else "",
        "services": [(one, label_of(values.SERVICES, one.what)) for one in services],
    }
    return [Panel("tools_care", _l("Care"), "tools/care_panel.html", context, 40)]

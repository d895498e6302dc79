"""Boxes on the pages of incidents, and of tools: what happened to them, how they are disposed of."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import Panel, Record, approvals, detail_of, label_of, may, session
from core.sdk_web import page_url, state_badge

from . import deductions, disposal, flow, incidents, judging, parties, settling, values, web_incidents
from .models import Incident, Tool
from .rights import KEEP, MONEY, VIEW

MOST = 20


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page; nobody from outside sees anything of it (R33-9.1)."""
    if record.type not in (incidents.CODE, flow.CODE) or not may(VIEW, record.unit_id):
        return []
    detail = detail_of(record)
    if isinstance(detail, Incident):
        return [Panel("incident", _l("Incident"), "tools/incident_panel.html", context_of(record, detail), 5)]
    return [*_happened(detail), *_disposal(record, detail)] if isinstance(detail, Tool) else []


def context_of(record: Record, detail: Incident) -> dict[str, Any]:
    """Return what the box of an incident shows."""
    charged = record.state == values.CHARGED
    return {
        "detail": detail,
        "facts": _facts(detail),
        "tool_url": page_url("record.page", record_id=detail.tool_id),
        "reckoning": web_incidents.reckoning_of(record.id),
        "left": settling.left(record.id) if charged else None,
        "refund": settling.to_refund(record.id) if record.state == values.REFUND else None,
        "in_kind": charged and judging.may_be_in_kind(record, detail),
        "deductions": deductions.of_incident(record.id),
        "undo": deductions.may_be_undone(record, detail),
        "deduct_url": url_for("tools.incident_deduct", record_id=record.id)
        if charged and may(MONEY, record.unit_id)
        else "",
        "replacement": session().get(Tool, detail.replacement_id) if detail.replacement_id else None,
    }


def _facts(detail: Incident) -> list[tuple[Any, Any]]:
    clearance = session().get(Record, detail.clearance_id) if detail.clearance_id else None
    return [
        (_l("Kind"), label_of(values.INCIDENT_KINDS, detail.kind)),
        (_l("Which rule was broken"), label_of(values.BREACHES, detail.breach) if detail.breach else ""),
        (_l("Held by"), parties.party_name(detail.holder) if detail.holder else ""),
        (_l("Place of the event"), detail.where),
        (_l("What exactly"), detail.what),
        (_l("Somebody is hurt"), _l("Yes") if detail.injured else ""),
        (_l("Use was stopped and the site secured"), _l("Yes") if detail.secured else ""),
        (_l("Cause"), label_of(values.CAUSES, detail.cause) if detail.cause else ""),
        (_l("Who answers"), detail.user.name if detail.user else ""),
        (_l("Judgement"), detail.judgement),
        (_l("How it is settled"), label_of(values.SETTLEMENTS, detail.settlement) if detail.settlement else ""),
        (_l("Clearance"), clearance.number if clearance is not None else ""),
    ]


# --- on a tool -----------------------------------------------------------------------------------


def _happened(tool: Tool) -> list[Panel]:
    rows = incidents.of_tool(tool.id, MOST)
    report_url = url_for("tools.incident_new", tool=tool.id) if tool.record.is_open else ""
    if not rows:
        return []
    context = {
        "rows": rows,
        "kind": lambda one: label_of(values.INCIDENT_KINDS, one.kind),
        "state": lambda one: state_badge(one.record),
        "url": lambda one: page_url("record.page", record_id=one.id),
        "report_url": report_url,
    }
    return [Panel("incidents", _l("Incidents"), "tools/incidents_of_tool.html", context, 40)]


def _disposal(record: Record, tool: Tool) -> list[Panel]:
    """How a retired tool goes: asked for, agreed to, with which proof."""
    if record.state not in (values.RETIRED, values.SCRAPPED):
        return []
    asked = approvals.latest(record.unit_id, f"{disposal.SUBJECT}:{tool.id}")
    retired = record.state == values.RETIRED
    keeps = retired and may(KEEP, record.unit_id)
    open_now = asked is not None and asked.state in approvals.OPEN_STATES
    agreed = disposal.agreed_for(record.unit_id, tool.id) is not None
    wanted = disposal.needs_agreement(record.unit_id)
    if asked is None and not retired:
        return []
    context = {
        "asked": asked,
        "how": label_of(disposal.WAYS, asked.data.get("how")) if asked is not None else "",
        "buyer": asked.data.get("buyer") if asked is not None else "",
        "words": approvals.STATE_WORDS[asked.state] if asked is not None else "",
        "ask_url": url_for("tools.disposal_ask", tool_id=tool.id)
        if keeps and wanted and not open_now and not agreed
        else "",
        "do_url": url_for("tools.disposal_do", tool_id=tool.id) if keeps and (agreed or not wanted) else "",
        "print_url": page_url("printing.index", subject=flow.CODE, id=tool.id),
    }
    return [Panel("disposal", _l("Disposal"), "tools/disposal_panel.html", context, 12)]

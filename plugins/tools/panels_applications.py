"""Boxes on the pages of applications and clearances, and the reminders on the page of a tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import Panel, Record, User, detail_of, fetch, label_of, may, session
from core.sdk_web import page_url

from . import application_rows, applications, clearance, clearance_sheet, flow, parties, reminders, values
from .models import Application, Clearance, Party
from .rights import CLEAR, DECIDE, KEEP, VIEW

SHOWN = 10


def of_record(record: Record) -> list[Panel]:
    """Return the boxes for the page of a record; nobody from outside sees anything of them (R33-9.1)."""
    make = _MAKERS.get(record.type)
    if make is None or not any(may(right, record.unit_id) for right in (VIEW, KEEP, DECIDE, CLEAR)):
        return []
    detail = detail_of(record)
    return make(record, detail) if detail is not None else []


def _application(record: Record, detail: Application) -> list[Panel]:
    context = {
        "detail": detail,
        "kind": applications.kind_words(detail.kind),
        "department": _department(detail),
        "to": _name(detail.to_user_id),
        "tool_url": page_url("record.page", record_id=detail.tool_id) if detail.tool_id else "",
        "card_url": url_for("tools.card", user_id=detail.user_id) if may(VIEW, record.unit_id) else "",
    }
    return [Panel("application", _l("Application"), "tools/application_panel.html", context, 5)]


def _department(detail: Application) -> Any:
    return parties.party_name(fetch(Party, detail.department_id)) if detail.department_id is not None else ""


def _name(user_id: int | None) -> str:
    found = session().get(User, user_id) if user_id is not None else None
    return found.name if found is not None else ""


def _clearance(record: Record, detail: Clearance) -> list[Panel]:
    found = clearance_sheet.sheet(record)
    counts = (
        (_l("Tools in their hands"), len(found.tools)),
        (_l("Small parts in their hands"), len(found.parts)),
        (_l("Waiting for a yes"), len(found.handovers)),
        (_l("Not settled"), len(found.incidents)),
        (_l("Open elsewhere"), len(found.others)),
    )
    context = {
        "detail": detail,
        "kind": label_of(values.CLEARANCE_KINDS, detail.kind),
        "counts": [one for one in counts if one[1]],
        "closed": record.state != values.OPEN,
        "sheet_url": url_for("tools.clearance", clearance_id=record.id),
        "never_blocked": clearance.NEVER_BLOCKED,
    }
    return [Panel("clearance", _l("Clearance"), "tools/clearance_panel.html", context, 5)]


def _reminders(record: Record, _detail: Any) -> list[Panel]:
    sent = reminders.of_tool(record.id, SHOWN)
    if not sent:
        return []
    return [Panel("reminders", _l("Reminders sent"), "tools/reminders_panel.html", {"sent": sent}, 60)]


_MAKERS: Mapping[str, Callable[[Record, Any], list[Panel]]] = {
    application_rows.CODE: _application,
    clearance.CODE: _clearance,
    flow.CODE: _reminders,
}

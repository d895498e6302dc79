"""The box on a hand-over's page: what is handed over, and who said yes when and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import Panel, Record, User, detail_of, label_of, may, session
from core.sdk_web import page_url

from . import parties, sides, values
from .handover_flow import CODE
from .models import Handover, HandoverLine, Tool
from .rights import CLEAR, KEEP, VIEW
from .screens_handovers import state_badge

LINES = 200
LINE_TONES = {values.ACCEPTED_LINE: "good", values.REFUSED_LINE: "bad", values.OPEN_LINE: "warn"}


@dataclass(frozen=True)
class Yes:
    """A side's yes in words: whose, when, by which means, and the picture of the signature."""

    label: Any
    party: Any
    by: str
    at: datetime | None
    means: Any
    signature_url: str


def of_record(record: Record) -> list[Panel]:
    """Return the box of a hand-over's page; nobody from outside sees anything of it (R33-9.1)."""
    if record.type != CODE or not any(may(right, record.unit_id) for right in (VIEW, KEEP, CLEAR)):
        return []
    detail = detail_of(record)
    if detail is None:
        return []
    return [Panel("handover", _l("Hand-over of tools"), "tools/handover_panel.html", context_of(record, detail), 5)]


def context_of(record: Record, detail: Handover) -> dict[str, Any]:
    """Return what the box shows."""
    lines = lines_of(detail.id, LINES + 1)
    linked = (
        (_l("Application"), detail.application_id),
        (_l("Clearance"), detail.clearance_id),
        (_l("Incident"), detail.incident_id),
    )
    return {
        "kind": label_of(values.HANDOVER_KINDS, detail.kind),
        "state": state_badge(record.state),
        "sides": sides_of(detail),
        "due_at": detail.due_at,
        "purpose": detail.purpose,
        "links": [(label, page_url("record.page", record_id=key)) for label, key in linked if key is not None],
        "lines": [_line(one) for one in lines[:LINES]],
        "more": len(lines) > LINES,
        "accept_url": url_for("tools.accept", record_id=record.id) if record.state == values.OFFERED else "",
        "print_url": page_url("printing.index", subject=CODE, id=record.id),
    }


def lines_of(handover_id: int, limit: int) -> list[HandoverLine]:
    """Return the lines of a hand-over in order, with their tools and kinds."""
    mine = select(HandoverLine).where(HandoverLine.handover_id == handover_id).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool).joinedload(Tool.kind), joinedload(HandoverLine.kind))
    return list(session().scalars(mine.options(*whole).limit(limit)))


def sides_of(detail: Handover) -> list[Yes]:
    """Return both sides with what they said."""
    names = parties.party_names([detail.giver, detail.taker])
    ids = [one for one in (detail.giver_by, detail.taker_by) if one is not None]
    people: Mapping[int, str] = {
        row.id: row.name for row in session().scalars(select(User).where(User.id.in_(ids)))
    }
    said = (
        (_l("Giver"), detail.giver_id, detail.giver_by, detail.giver_means, detail.giver_signature_id),
        (_l("Taken over by"), detail.taker_id, detail.taker_by, detail.taker_means, detail.taker_signature_id),
    )
    return [
        Yes(
            label,
            names.get(party_id, ""),
            people.get(by or 0, ""),
            sides.said(detail, side),
            label_of(values.MEANS, means),
            page_url("record.file", attachment_id=picture) if picture is not None else "",
        )
        for side, (label, party_id, by, means, picture) in zip(sides.SIDES, said, strict=True)
    ]


def _line(one: HandoverLine) -> dict[str, Any]:
    tool = one.tool
    return {
        "code": tool.code if tool is not None else "",
        "name": tool.name if tool is not None else one.kind.name,
        "url": page_url("record.page", record_id=tool.id) if tool is not None else "",
        "quantity": f"{one.quantity.normalize():f}",
        "measure": one.kind.measure,
        "condition": label_of(values.CONDITIONS, one.condition) if tool is not None else "",
        "state": (label_of(values.LINE_STATES, one.state), LINE_TONES.get(one.state, "neutral")),
        "reason": one.reason,
    }

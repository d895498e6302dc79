"""Clearance of leavers and of people who change post (R35-7)."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, OpenItem, RecordType, State, make_workflow

from . import values
from .models import Clearance

CODE = "tools_clearance"
STATES = tuple(
    State(code, label, {values.OPEN: "open", values.CANCELLED: "cancelled"}.get(code, "closed"))
    for code, label in values.CLEARANCE_STATES
)
FACT_KINDS = (FactKind("registered", _l("Clearance begun"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Clearance"), "LZ", Clearance, WORKFLOW)


def open_items(unit_id: int, user_id: int) -> list[OpenItem]:
    """Return what a person still holds or owes (what ``leaving`` answers for this plugin)."""
    return []

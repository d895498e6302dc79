"""Counts (盘点) of what a party holds, by two people."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, RecordType, State, make_workflow

from . import values
from .models import Count

CODE = "tools_count"
STATES = tuple(
    State(code, label, {values.CLOSED: "closed", values.CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.COUNT_STATES
)
FACT_KINDS = (FactKind("registered", _l("Count begun"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Count"), "PD", Count, WORKFLOW)

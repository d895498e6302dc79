"""Applications: new, additional, old for new, wear parts, borrowing, lending on, taking out."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, RecordType, State, make_workflow

from . import values
from .models import Application

CODE = "tools_application"
STATES = tuple(
    State(
        code,
        label,
        {values.ASKED: "open", values.GRANTED: "open", values.FULFILLED: "closed"}.get(code, "cancelled"),
    )
    for code, label in values.APPLICATION_STATES
)
FACT_KINDS = (FactKind("registered", _l("Applied for"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Application"), "SQ", Application, WORKFLOW)

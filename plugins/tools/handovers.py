"""Hand-overs (交接单): offered by one side, accepted by both, nothing moves before."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, RecordType, State, make_workflow

from . import values
from .models import Handover

CODE = "tools_handover"
STATES = tuple(
    State(code, label, {values.OFFERED: "open", values.DONE: "closed"}.get(code, "cancelled"))
    for code, label in values.HANDOVER_STATES
)
FACT_KINDS = (FactKind("registered", _l("Hand-over offered"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Hand-over"), "JJ", Handover, WORKFLOW)

"""Purchase plans (采购计划): needs, prices, approval, order, receipt."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, RecordType, State, make_workflow

from . import values
from .models import Purchase

CODE = "tools_purchase"
STATES = tuple(
    State(code, label, {values.RECEIVED: "closed", values.CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.PURCHASE_STATES
)
FACT_KINDS = (FactKind("registered", _l("Purchase plan drafted"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Purchase plan"), "CG", Purchase, WORKFLOW)

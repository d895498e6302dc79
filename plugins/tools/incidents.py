"""Incidents: defects, damage, losses, accidents, breaches; who answers for them."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _l

from core.sdk import Blocker, Charge, Fact, FactKind, Record, RecordType, State, make_workflow

from . import values
from .models import Incident

CODE = "tools_incident"
STATES = tuple(
    State(code, label, {values.CLOSED: "closed", values.CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.INCIDENT_STATES
)
FACT_KINDS = (FactKind("registered", _l("Incident reported"), 0),)
TRANSITIONS = ()
WORKFLOW = make_workflow(STATES[0].code, STATES, TRANSITIONS, FACT_KINDS)
TYPE = RecordType(CODE, _l("Incident"), "SG", Incident, WORKFLOW)


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Follow the steps of other records of this plugin."""


def charge_changed(charge: Charge) -> None:
    """Keep the incident in step with its charge."""


def moving(charge: Charge, step: str) -> list[Blocker]:
    """Say what stands against moving a compensation's line by hand."""
    return []

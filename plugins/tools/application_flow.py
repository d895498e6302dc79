"""The steps of an application: asked, granted or rejected, carried out, taken back."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    FactKind,
    Field,
    Guard,
    State,
    Step,
    Transition,
    approvals,
    current_scope,
    make_workflow,
    may,
)

from . import flow, values
from .rights import KEEP, OWN


def _not_theirs(step: Step) -> Any:
    """Only who gets it, or a keeper, takes an application back."""
    if current_scope().actor_id == step.detail.user_id or may(KEEP, step.record.unit_id):
        return None
    return _l("Only who applied, or a keeper, may take it back")


def _take_back(step: Step) -> None:
    if step.detail.approval_id is not None:
        approvals.lapse(step.detail.approval_id, str(step.values.get("reason") or ""))


_OPEN = frozenset({values.ASKED})
_GRANTED = frozenset({values.GRANTED})
_REASON = Field("reason", "long", _l("Reason"), max_length=500)
_APPROVAL = (Field("approval", "int", _l("Approval")), _REASON)
STATES = tuple(
    State(
        code,
        label,
        {values.ASKED: "open", values.GRANTED: "open", values.FULFILLED: "closed"}.get(code, "cancelled"),
    )
    for code, label in values.APPLICATION_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Applied for"), 0),
    FactKind("granted", _l("Application granted"), 30),
    FactKind("rejected", _l("Application rejected"), 31),
    FactKind("used", _l("Part of it carried out"), 40),
    FactKind("fulfilled", _l("Application carried out"), 50),
    FactKind("withdrawn", _l("Application taken back"), 90),
)


def _follows(
    name: str, label: Any, sources: frozenset[str], target: str | None, fact: str, fields: tuple[Field, ...]
) -> Transition:
    kept = tuple(one.name for one in fields if one is not _REASON)
    note = "reason" if _REASON in fields else ""
    return Transition(name, label, sources, target, flow.BY_SERVICE, fact, fields, kept=kept, note=note)


_CARRIED_OUT = (
    Field("quantity", "int", _l("Quantity")),
    Field("handover", "text", _l("Hand-over of tools"), max_length=60),
)
TRANSITIONS = (
    _follows("grant", _l("Grant"), _OPEN, values.GRANTED, "granted", _APPROVAL),
    _follows("reject", _l("Reject"), _OPEN, values.REJECTED, "rejected", _APPROVAL),
    _follows("lapse", _l("Taken back by the asker"), _OPEN, values.CANCELLED, "withdrawn", _APPROVAL),
    _follows("use_part", _l("Carry out a part"), _GRANTED, None, "used", _CARRIED_OUT),
    _follows("fulfil", _l("Carry out"), _GRANTED, values.FULFILLED, "fulfilled", _CARRIED_OUT),
    Transition(
        "withdraw",
        _l("Take the application back"),
        _OPEN | _GRANTED,
        values.CANCELLED,
        OWN,
        "withdrawn",
        (_REASON,),
        (Guard("not_theirs", _not_theirs),),
        apply=_take_back,
        note="reason",
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(values.ASKED, STATES, TRANSITIONS, FACT_KINDS)

"""The steps of a quality objection (质量异议, R02-11): raised, decided, carried out."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, State, Step, Transition, make_workflow

from . import values
from .rights import QUALITY, STOCK
from .values import CANCELLED, CLOSED, DECIDED, RAISED

CODE = "store_objection"
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
RELEASE, SCRAP = "release", "scrap"


def _decide(step: Step) -> None:
    step.detail.decision = step.values["decision"]


def _reopen(step: Step) -> None:
    step.detail.decision = ""


def _settle(step: Step) -> None:
    from .objections import carry_out

    step.detail.outcome = step.values["outcome"]
    carry_out(step)


def _cancel(step: Step) -> None:
    from .objections import let_go

    let_go(step.detail)


def _never_in_stock(step: Step) -> Any:
    if step.detail.lot_id is not None:
        return None
    return _l("These pieces were never taken into stock: decide what happens to them")


STATES = tuple(
    State(code, label, {CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.OBJECTION_STATES
)
FACT_KINDS = (
    FactKind(
        "registered",
        _l("Objection raised"),
        0,
        words=(("quantity", _l("Pieces"), ()), ("found_at", _l("Where it was found"), values.FOUND_AT)),
    ),
    FactKind("decided", _l("Objection decided"), 20, words=(("decision", _l("Decision"), values.DECISIONS),)),
    FactKind("reopened", _l("To be decided anew"), 25),
    FactKind("settled", _l("Decision carried out"), 60),
    FactKind("cancelled", _l("Objection withdrawn"), 92),
)
TRANSITIONS = (
    Transition(
        "decide",
        _l("Decide on the objection"),
        frozenset({RAISED}),
        DECIDED,
        QUALITY,
        "decided",
        (
            Field("decision", "choice", _l("Decision"), True, values.DECISIONS),
            Field("reason", "long", _l("What was found"), True, max_length=500),
        ),
        apply=_decide,
        kept=("decision",),
        note="reason",
        tone="primary",
        weight=10,
    ),
    Transition(
        "settle",
        _l("Carry the decision out"),
        frozenset({DECIDED}),
        CLOSED,
        STOCK,
        "settled",
        (
            Field(
                "outcome",
                "long",
                _l("What was done"),
                True,
                max_length=500,
                help=_l("Return note, proof of destruction, who released it"),
            ),
        ),
        apply=_settle,
        note="outcome",
        tone="primary",
        weight=20,
    ),
    Transition(
        "reopen",
        _l("Decide anew"),
        frozenset({DECIDED}),
        RAISED,
        QUALITY,
        "reopened",
        (REASON,),
        apply=_reopen,
        note="reason",
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Withdraw the objection"),
        frozenset({RAISED}),
        CANCELLED,
        QUALITY,
        "cancelled",
        (REASON,),
        (Guard("never_in_stock", _never_in_stock),),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(RAISED, STATES, TRANSITIONS, FACT_KINDS)

"""The states and steps of a guest's complaint (宾客投诉): answered, compensated, solved, closed."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, State, Step, Transition, make_workflow

from . import compensation, values
from .rights import DESK
from .values import ANSWERED, CANCELLED, CLOSED, OPEN, SOLVED

CODE = "hotel_complaint"
STATES = tuple(
    State(code, label, {SOLVED: "solved", CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.COMPLAINT_STATES
)
FACT_KINDS = (
    FactKind(
        "registered",
        _l("Complaint entered"),
        0,
        words=(("channel", _l("Came by way of"), values.CHANNELS), ("category", _l("Category"), values.CATEGORIES)),
    ),
    FactKind("answered", _l("Guest answered"), 10),
    *compensation.FACT_KINDS.values(),
    FactKind("solved", _l("Complaint solved"), 40),
    FactKind("reopened", _l("Complaint open again"), 45),
    FactKind("closed", _l("Complaint closed"), 90),
    FactKind("cancelled", _l("Complaint cancelled"), 92),
)
_GOING = frozenset({OPEN, ANSWERED})
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


def _answer(step: Step) -> None:
    step.detail.answered_at = step.at


def _solve(step: Step) -> None:
    detail = step.detail
    detail.answered_at = detail.answered_at or step.at
    detail.solution, detail.cause = step.values["solution"], step.values["cause"]


def _close(step: Step) -> None:
    compensation.post(step.record)
    said = step.values["satisfied"]
    step.detail.satisfied = None if said is None else said == "yes"


def _reopen(step: Step) -> None:
    step.detail.satisfied = False


def _undecided(step: Step) -> Any:
    return _l("A compensation waits for an agreement") if compensation.waiting(step.record) else None


def _compensated(step: Step) -> Any:
    if step.detail.compensation in ("", compensation.NONE):
        return None
    return _l("The guest was compensated; close the complaint instead")


_NOT_UNDECIDED = Guard("undecided", _undecided)
TRANSITIONS = (
    Transition(
        "answer",
        _l("The guest was answered"),
        frozenset({OPEN}),
        ANSWERED,
        DESK,
        "answered",
        (Field("note", "long", _l("What was said"), True, max_length=500),),
        apply=_answer,
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "compensate",
        _l("Compensate the guest"),
        frozenset({OPEN, ANSWERED, SOLVED}),
        None,
        DESK,
        "asked",
        compensation.FIELDS,
        (_NOT_UNDECIDED,),
        apply=compensation.decide,
        kept=("compensation", "amount"),
        note="reason",
        help=_l("Up to a limit the desk decides; above it whoever the clause names"),
        weight=20,
    ),
    Transition(
        "solve",
        _l("The complaint is solved"),
        _GOING,
        SOLVED,
        DESK,
        "solved",
        (
            Field("solution", "long", _l("How it was solved"), True, max_length=1000),
            Field("cause", "choice", _l("Cause"), True, values.CAUSES),
        ),
        apply=_solve,
        kept=("cause",),
        note="solution",
        tone="primary",
        weight=30,
    ),
    Transition(
        "close",
        _l("Close"),
        frozenset({SOLVED}),
        CLOSED,
        DESK,
        "closed",
        (
            Field(
                "satisfied",
                "choice",
                _l("Is the guest content"),
                choices=(("yes", _l("Content")), ("no", _l("Not content"))),
                help=_l("Empty: not asked"),
            ),
        ),
        (_NOT_UNDECIDED,),
        apply=_close,
        kept=("satisfied",),
        tone="primary",
        help=_l("The guest was told"),
        weight=40,
    ),
    Transition(
        "reopen",
        _l("Open it again"),
        frozenset({SOLVED, CLOSED}),
        ANSWERED,
        DESK,
        "reopened",
        (_REASON,),
        apply=_reopen,
        note="reason",
        weight=50,
    ),
    Transition(
        "cancel",
        _l("Entered by mistake"),
        _GOING,
        CANCELLED,
        DESK,
        "cancelled",
        (_REASON,),
        (_NOT_UNDECIDED, Guard("compensated", _compensated)),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(OPEN, STATES, TRANSITIONS, FACT_KINDS)

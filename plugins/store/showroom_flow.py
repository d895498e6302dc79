"""The steps of a showroom task (展厅任务): done with its result, or not needed after all."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, State, Step, Transition, accounts, make_workflow, notify

from . import values
from .rights import DISPLAY
from .values import CANCELLED, DONE, OPEN

CODE = "store_showroom"


def works_here(unit_id: int, user_id: object) -> bool:
    """Tell whether somebody works in a unit, so that a task may be theirs."""
    return user_id in {user.id for user in accounts.staff_of(unit_id)}


def _stranger(step: Step) -> Any:
    if works_here(step.record.unit_id, step.values.get("assignee_id")):
        return None
    return _l("This person does not work in the unit")


def _assign(step: Step) -> None:
    step.record.assignee_id = step.values["assignee_id"]
    notify(step.record, "assigned", [step.record.assignee_id])


def _done(step: Step) -> None:
    step.detail.result = step.values["result"] or ""


STATES = tuple(
    State(code, label, {DONE: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.SHOWROOM_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Showroom task set"), 0),
    FactKind("assigned", _l("Showroom task given to somebody"), 10),
    FactKind("finished", _l("Showroom task done"), 50),
    FactKind("cancelled", _l("Showroom task cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "assign",
        _l("Give to"),
        frozenset({OPEN}),
        None,
        DISPLAY,
        "assigned",
        (Field("assignee_id", "user", _l("Assignee"), True),),
        (Guard("stranger", _stranger, needs_form=True),),
        apply=_assign,
        kept=("assignee_id",),
        weight=20,
    ),
    Transition(
        "finish",
        _l("Done"),
        frozenset({OPEN}),
        DONE,
        DISPLAY,
        "finished",
        (Field("result", "long", _l("What was done"), max_length=2000),),
        apply=_done,
        note="result",
        assignee_may=True,
        tone="primary",
        weight=10,
    ),
    Transition(
        "cancel",
        _l("Cancel the task"),
        frozenset({OPEN}),
        CANCELLED,
        DISPLAY,
        "cancelled",
        (Field("reason", "long", _l("Reason"), True, max_length=500),),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(OPEN, STATES, TRANSITIONS, FACT_KINDS)

"""The task's states and steps: open, then done or cancelled."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.kernel.fields import Field
from core.records.engine import Step
from core.records.models import CANCELLED, CLOSED, OPEN
from core.records.services import notify
from core.records.workflow import FactKind, Guard, State, Transition, make_workflow
from core.users.services import staff_of

HANDLE, LEAD = "task.handle", "task.lead"

STATES = (
    State("open", _l("To be done"), OPEN),
    State("done", _l("Done"), CLOSED),
    State("cancelled", _l("Task cancelled"), CANCELLED),
)
FACT_KINDS = (
    FactKind("registered", _l("Task created"), 0),
    FactKind("assigned", _l("Task assigned"), 50),
    FactKind("finished", _l("Task done"), 70),
    FactKind("cancelled", _l("Task cancelled"), 92),
)
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


def _worker_here(step: Step) -> Any:
    if step.values.get("assignee_id") in {user.id for user in staff_of(step.record.unit_id)}:
        return None
    return _l("This person does not work in the unit")


def _assign(step: Step) -> None:
    step.record.assignee_id = step.values["assignee_id"]
    notify(step.record, "assigned", [step.record.assignee_id])


def _finish(step: Step) -> None:
    step.detail.result = step.values["result"]


TRANSITIONS = (
    Transition(
        "finish",
        _l("Done"),
        frozenset({"open"}),
        "done",
        HANDLE,
        "finished",
        (
            Field("result", "long", _l("What came of it"), True, max_length=4000),
            Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time")),
        ),
        apply=_finish,
        note="result",
        assignee_may=True,
        tone="primary",
        weight=10,
    ),
    Transition(
        "assign",
        _l("Assign the task"),
        frozenset({"open"}),
        None,
        LEAD,
        "assigned",
        (
            Field("assignee_id", "user", _l("Assignee"), True),
            Field("reason", "long", _l("Remark"), max_length=500),
        ),
        (Guard("stranger", _worker_here, needs_form=True),),
        _assign,
        kept=("assignee_id",),
        note="reason",
        weight=20,
    ),
    Transition(
        "cancel",
        _l("Cancel the task"),
        frozenset({"open"}),
        "cancelled",
        LEAD,
        "cancelled",
        (REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)
TASK_WORKFLOW = make_workflow("open", STATES, TRANSITIONS, FACT_KINDS)

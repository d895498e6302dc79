"""The inspection's states and steps: open, being filled in, then done, skipped or cancelled."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData
from core.kernel.fields import Field
from core.records.engine import Step
from core.records.models import CANCELLED, CLOSED, OPEN
from core.records.services import notify
from core.records.workflow import FactKind, Guard, State, Transition, make_workflow
from core.users.services import staff_of

from . import checklists, items
from .models import ChecklistVersion, Finding, Inspection

VIEW, FILL, MANAGE = "inspection.view", "inspection.fill", "inspection.manage"

STATES = (
    State("open", _l("Inspection to be done"), OPEN),
    State("doing", _l("Being filled in"), OPEN),
    State("done", _l("Inspected"), CLOSED),
    State("skipped", _l("Left out"), CANCELLED),
    State("cancelled", _l("Inspection cancelled"), CANCELLED),
)
FACT_KINDS = (
    FactKind("registered", _l("Inspection planned"), 0),
    FactKind("assigned", _l("Inspection assigned"), 50),
    FactKind("begun", _l("Inspection begun"), 55, backdatable=False),
    FactKind(
        "finished",
        _l("Inspection finished"),
        70,
        backdatable=False,
        words=(("score", _l("Score"), ()), ("failed", _l("Failed items"), ())),
    ),
    FactKind("skipped", _l("Inspection left out"), 91),
    FactKind("cancelled", _l("Inspection cancelled"), 92),
)
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_GOING = frozenset({"open", "doing"})


def version_of(inspection: Inspection) -> ChecklistVersion | None:
    """Return the version an inspection was begun with, else the one it would begin with now."""
    if inspection.version_id is None:
        return checklists.published_version(inspection.checklist_id)
    return session().scalars(select(ChecklistVersion).where(ChecklistVersion.id == inspection.version_id)).one()


def _worker_here(step: Step) -> Any:
    if step.values.get("assignee_id") in {user.id for user in staff_of(step.record.unit_id)}:
        return None
    return _l("This person does not work in the unit")


def _assign(step: Step) -> None:
    step.record.assignee_id = step.values["assignee_id"]
    notify(step.record, "assigned", [step.record.assignee_id])


def _has_version(step: Step) -> Any:
    if step.record.state != "open" or version_of(step.detail) is not None:
        return None
    return _l("The checklist has no published version yet")


def _begin(step: Step) -> None:
    version = version_of(step.detail)
    if version is None:  # taken away since the guard looked: cannot be, versions stay
        raise InvalidData({"checklist": _l("The checklist has no published version yet")})
    step.detail.version_id = version.id
    step.detail.begun_at, step.detail.begun_by = step.at, current_scope().actor_id


def _complete(step: Step) -> Any:
    if step.record.state != "doing":
        return None
    version = version_of(step.detail)
    left = items.missing(version.items, step.detail.answers) if version else {}
    return _l("Answers or photos are still missing: %(count)d", count=len(left)) if left else None


def _finish(step: Step) -> None:
    """Work out score and findings; what findings open follows once the fact is written (``findings.follow_up``)."""
    inspection = step.detail
    version = version_of(inspection)
    asked = version.items if version else []
    failing = items.failed(asked, inspection.answers)
    inspection.score = items.score(asked, inspection.answers)
    inspection.failed = len(failing)
    inspection.finished_at, inspection.finished_by = step.at, current_scope().actor_id
    session().add_all(_finding(step, item) for item in failing)
    step.values["score"], step.values["failed"] = inspection.score, inspection.failed


def _finding(step: Step, item: Any) -> Finding:
    inspection = step.detail
    answer = inspection.answers[item["key"]]
    return Finding(
        unit_id=inspection.unit_id,
        inspection_id=inspection.id,
        checklist_id=inspection.checklist_id,
        place_id=inspection.place_id,
        item_key=item["key"],
        item=item["label"],
        item_en=item["label_en"],
        severity=item["severity"],
        note=answer.get("note", ""),
        found_at=step.at,
        found_by=answer.get("by") or current_scope().actor_id,
    )


TRANSITIONS = (
    Transition(
        "begin",
        _l("Begin"),
        frozenset({"open"}),
        "doing",
        FILL,
        "begun",
        guards=(Guard("no_version", _has_version),),
        apply=_begin,
        assignee_may=True,
        tone="primary",
        weight=10,
    ),
    Transition(
        "finish",
        _l("Finish the inspection"),
        frozenset({"doing"}),
        "done",
        FILL,
        "finished",
        guards=(Guard("incomplete", _complete),),
        apply=_finish,
        kept=("score", "failed"),
        assignee_may=True,
        tone="primary",
        weight=11,
    ),
    Transition(
        "assign",
        _l("Assign the inspection"),
        _GOING,
        None,
        MANAGE,
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
        "skip",
        _l("Leave out"),
        _GOING,
        "skipped",
        FILL,
        "skipped",
        (REASON,),
        note="reason",
        assignee_may=True,
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Cancel the inspection"),
        _GOING,
        "cancelled",
        MANAGE,
        "cancelled",
        (REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)
INSPECTION_WORKFLOW = make_workflow("open", STATES, TRANSITIONS, FACT_KINDS)

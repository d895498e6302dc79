"""Forms of the record page: a step's own, call attempts, facts, next actions. All from ``Field`` lists."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask_babel import lazy_gettext as _l

from core.cases.services import CALL_FIELDS
from core.cases.workflow import fields_now
from core.kernel.fields import Field
from core.records.engine import flow_of, sees_inside
from core.records.models import Record
from core.records.workflow import Transition
from core.rules.routing import suggestion
from core.users.services import staff_of

from .lists import with_staff

__all__ = ["CALL_FIELDS", "COMMENT_FIELDS", "fact_fields", "new_key", "remind_fields", "step_fields"]

COMMENT_FIELDS = (
    Field("text", "long", _l("Comment"), True, max_length=4000),
    Field("visible", "bool", _l("Customer may see this")),
)


def new_key() -> str:
    """Return a fresh key that makes a form's retry harmless."""
    return uuid.uuid4().hex


def step_fields(record: Record, step: Transition) -> list[Field]:
    """Return the fields a step asks for just now: the unit's staff in pickers, the position clauses name chosen."""
    fields = fields_now(record, step) if record.type == "case" else list(step.fields)
    named = _suggested(record, step) if any(one.name == "position" for one in fields) else ""
    fields = [replace(one, default=named) if one.name == "position" and named else one for one in fields]
    return with_staff(fields, record.unit_id)


def _suggested(record: Record, step: Transition) -> str:
    return suggestion(record, "register" if step.name == "forward" else step.name)


def fact_fields(record: Record) -> Sequence[Field]:
    """Return the form that enters what happened, for the kinds staff may enter by themselves."""
    kinds = [
        (kind.code, kind.label)
        for kind in flow_of(record).fact_kinds.values()
        if kind.enterable and kind.code != "call_attempt"
    ]
    return (
        Field("kind", "choice", _l("What happened"), True, kinds),
        Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time")),
        Field("note", "long", _l("Remark"), max_length=2000),
        Field("visible", "bool", _l("Customer may see this")),
    )


def remind_fields(record: Record, actor_id: int) -> Sequence[Field]:
    """Return the form that sets a next action, for oneself unless somebody else is chosen."""
    people = [user for user in staff_of(record.unit_id) if user.id == actor_id or sees_inside(record)]
    staff: list[tuple[str, Any]] = [(str(user.id), user.name) for user in people]
    return (
        Field("text", "text", _l("What to do next"), True, max_length=200),
        Field("due_at", "moment", _l("When"), True),
        Field("user_id", "user", _l("For whom"), choices=staff, default=str(actor_id)),
    )

"""Evaluations of service agents (R22-1.X4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Unit,
    clean,
    clock,
    current_scope,
    label_of,
    local_day,
    may,
    open_task,
    perform,
    require,
    session,
)

from . import file, values
from .models import Evaluation
from .rights import KEEP

CLAUSE = "R22-1.X4"
KINDS = (values.SERVICE, values.AGENT)  # agents may serve as well
EARLIEST = date(2000, 1, 1)
MEANS: Choices = (("visit", _l("Visit")), ("phone", _l("Telephone")), ("questionnaire", _l("Questionnaire")))
_LOWEST, _HIGHEST = Decimal(1), Decimal(5)
_SCALE = _l("From 1 (bad) to 5 (very good)")


def _score(name: str, label: Any, required: bool = True, **options: Any) -> Field:
    return Field(name, "int", label, required, minimum=_LOWEST, maximum=_HIGHEST, **{"help": _SCALE, **options})


SCORES = (
    _score("awareness", _l("Awareness of service")),
    _score("attitude", _l("Attitude")),
    _score("skill", _l("Level of skill")),
    _score("quality", _l("Quality of service")),
    _score(
        "satisfaction",
        _l("Satisfaction of their customers"),
        False,
        help=_l("From 1 (bad) to 5 (very good), as their customers say; empty if nobody was asked"),
    ),
)


def fields(unit_id: int) -> tuple[Field, ...]:
    """Return the form of an evaluation."""
    return (
        Field("agent_id", "choice", _l("Service agent"), True, file.agent_choices(unit_id, KINDS)),
        Field("on", "date", _l("Date"), True),
        Field("means", "choice", _l("Means"), True, MEANS),
        *SCORES,
        Field("finding", "long", _l("What the evaluation found"), max_length=2000),
    )


def subject_of(code: str) -> str:
    """Return what the recurring task of an agent is known by."""
    return f"agent:{code}"


def register(unit_id: int, raw: Mapping[str, Any]) -> Evaluation:
    """Enter an evaluation (``KEEP``): agent_id, on, means, scores from 1 to 5, finding.

    The agent's oldest task of R22-1.X4 that is still to be done and had begun by then is done with it.

    Raises:
        NotAllowed, InvalidData: no such agent, an impossible day or score, or it is on file already.
    """
    require(KEEP, unit_id)
    given = clean(fields(unit_id), raw)
    _require_day(unit_id, given["on"])
    agent = file.get_agent(given["agent_id"])
    _require_new(agent.id, given)
    scores = {one.name: given[one.name] for one in SCORES}
    evaluation = Evaluation(
        unit_id=unit_id,
        agent_id=agent.id,
        on=given["on"],
        means=given["means"],
        finding=given["finding"] or "",
        entered_at=clock.now(),
        entered_by=current_scope().actor_id,
        **scores,
    )
    session().add(evaluation)
    session().flush()
    _finish_task(evaluation, agent.code)
    return evaluation


def _require_day(unit_id: int, day: date) -> None:
    if day > local_day(unit_id):
        raise InvalidData({"on": _l("This date lies in the future")})
    if day < EARLIEST:
        raise InvalidData({"on": _l("This date is too long ago")})


def _require_new(agent_id: int, given: Mapping[str, Any]) -> None:
    """The same form sent twice is one evaluation."""
    same = Evaluation.agent_id == agent_id, Evaluation.on == given["on"], Evaluation.means == given["means"]
    mine = Evaluation.entered_by == current_scope().actor_id
    if session().scalars(select(Evaluation.id).where(*same, mine).limit(1)).first() is not None:
        raise InvalidData({"on": _l("You have entered an evaluation of this day already")})


def _finish_task(evaluation: Evaluation, code: str) -> None:
    task = open_task(evaluation.unit_id, CLAUSE, subject_of(code), evaluation.on)
    if task is None:
        return
    result = _(
        "Evaluated by %(means)s: %(scores)s", means=label_of(MEANS, evaluation.means), scores=_told(evaluation)
    )
    perform(task.id, "finish", {"result": result}, at=_moment(evaluation), permitted=True)


def _told(evaluation: Evaluation) -> str:
    told = [f"{one.label} {value}" for one in SCORES if (value := getattr(evaluation, one.name)) is not None]
    return "、".join(told)


def _moment(evaluation: Evaluation) -> datetime | None:
    """Return when the task was done: noon of the day, where the actor may enter what happened earlier."""
    if evaluation.on == local_day(evaluation.unit_id) or not may("case.backdate", evaluation.unit_id):
        return None
    unit = session().get_one(Unit, evaluation.unit_id)
    return datetime.combine(evaluation.on, time(12), ZoneInfo(unit.timezone))

"""The release of a product for sale (上市放行, R02-4): its papers are collected, then quality releases it."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, State, Step, Transition, clock, current_scope, make_workflow

from . import values
from .rights import QUALITY
from .values import CANCELLED, DRAFT, RELEASED, WITHDRAWN

CODE = "store_release"
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


def _release(step: Step) -> None:
    step.detail.released_at, step.detail.released_by = step.at, current_scope().actor_id


def _ended(step: Step) -> None:
    step.detail.ended_at = clock.now()


def _category(code: str) -> str:
    return {CANCELLED: "cancelled", WITHDRAWN: "closed", RELEASED: "closed"}.get(code, "open")


STATES = tuple(State(code, label, _category(code)) for code, label in values.RELEASE_STATES)
# A paper is told by its kind and its number; its id says nothing to people.
_PAPER = (("kind", _l("Kind of paper"), values.PAPERS), ("paper", "", ()))
FACT_KINDS = (
    FactKind("registered", _l("Release begun"), 0),
    FactKind("paper", _l("Paper entered"), 10, words=_PAPER),
    FactKind("struck", _l("Paper struck out"), 11, words=_PAPER),
    FactKind("released", _l("Released for sale"), 30),
    FactKind("withdrawn", _l("Withdrawn from sale"), 90),
    FactKind("cancelled", _l("Release cancelled"), 92),
)


def _note() -> tuple[Any, ...]:
    return (Field("note", "long", _l("What was checked"), max_length=500),)


TRANSITIONS = (
    Transition(
        "release",
        _l("Release for sale"),
        frozenset({DRAFT}),
        RELEASED,
        QUALITY,
        "released",
        _note(),
        apply=_release,
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "withdraw",
        _l("Withdraw from sale"),
        frozenset({RELEASED}),
        WITHDRAWN,
        QUALITY,
        "withdrawn",
        (REASON,),
        apply=_ended,
        note="reason",
        tone="danger",
        weight=80,
    ),
    Transition(
        "cancel",
        _l("Cancel the release"),
        frozenset({DRAFT}),
        CANCELLED,
        QUALITY,
        "cancelled",
        (REASON,),
        apply=_ended,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)

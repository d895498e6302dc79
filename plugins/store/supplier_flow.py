"""The life of a supplier (R02-7a, R05-2.1): a candidate is assessed, buys are made from qualified ones only."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, State, Step, Transition, holds, local_day, make_workflow

from . import values
from .rights import BUY
from .values import CANDIDATE, ENDED, QUALIFIED, SUSPENDED

CODE = "store_supplier"
# A permission that nobody holds: services perform these steps with ``permitted=True``.
BY_SERVICE = "store.by_service"
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_POINTS: dict[str, Any] = {"minimum": Decimal(0), "maximum": Decimal(100)}
ASSESS_FIELDS = (
    *(Field(code, "int", label, True, help=_l("0 to 100 points"), **_POINTS) for code, label in values.CRITERIA),
    Field("verdict", "choice", _l("Verdict"), True, values.VERDICTS),
    Field("on", "date", _l("Assessed on"), help=_l("Leave empty for today")),
    Field("valid_until", "date", _l("Next assessment by"), help=_l("Leave empty for the interval of the clause")),
    Field("note", "long", _l("What was found"), max_length=2000),
)


def _assess(step: Step) -> None:
    from .suppliers import keep_assessment

    keep_assessment(step)


def _own_assessment(step: Step) -> Any:
    """A supplier that was never assessed, or whose assessment ran out, is not taken up again without one."""
    if not holds(step.record.unit_id, "R02-7b"):
        return None
    until = step.detail.qualified_until
    if until is not None and until >= local_day(step.record.unit_id):
        return None
    return _l("Assess the supplier first: there is no valid assessment")


STATES = tuple(State(code, label, "closed" if code == ENDED else "open") for code, label in values.SUPPLIER_STATES)
FACT_KINDS = (
    FactKind("registered", _l("Supplier registered"), 0),
    FactKind("changed", _l("Details corrected"), 10, backdatable=False),
    FactKind(
        "assessed",
        _l("Supplier assessed"),
        20,
        words=(("score", _l("Score"), ()), ("valid_until", _l("Next assessment by"), ())),
    ),
    FactKind("qualified", _l("Qualified by an assessment"), 21),
    FactKind("refused", _l("Not qualified by an assessment"), 21),
    FactKind("suspended", _l("Suspended"), 30),
    FactKind("resumed", _l("Taken up again"), 31),
    FactKind("ended", _l("No longer a supplier"), 90),
    FactKind("reopened", _l("A candidate again"), 91),
)
TRANSITIONS = (
    Transition(
        "assess",
        _l("Assess"),
        frozenset({CANDIDATE, QUALIFIED, SUSPENDED}),
        None,
        BUY,
        "assessed",
        ASSESS_FIELDS,
        apply=_assess,
        kept=("verdict", "on", "score", "valid_until"),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "qualify", _l("Qualify"), frozenset({CANDIDATE, QUALIFIED, SUSPENDED}), QUALIFIED, BY_SERVICE, "qualified"
    ),
    Transition(
        "refuse",
        _l("Do not qualify"),
        frozenset({CANDIDATE, QUALIFIED, SUSPENDED}),
        SUSPENDED,
        BY_SERVICE,
        "refused",
    ),
    Transition(
        "suspend",
        _l("Suspend the supplier"),
        frozenset({QUALIFIED}),
        SUSPENDED,
        BUY,
        "suspended",
        (REASON,),
        note="reason",
        weight=40,
    ),
    Transition(
        "resume",
        _l("Take the supplier up again"),
        frozenset({SUSPENDED}),
        QUALIFIED,
        BUY,
        "resumed",
        (REASON,),
        (Guard("no_assessment", _own_assessment, clause="R02-7b"),),
        note="reason",
        weight=30,
    ),
    Transition(
        "end",
        _l("Buy no more from it"),
        frozenset({CANDIDATE, QUALIFIED, SUSPENDED}),
        ENDED,
        BUY,
        "ended",
        (REASON,),
        note="reason",
        tone="danger",
        weight=90,
    ),
    Transition(
        "reopen",
        _l("A candidate again"),
        frozenset({ENDED}),
        CANDIDATE,
        BUY,
        "reopened",
        (REASON,),
        note="reason",
        weight=60,
    ),
)
WORKFLOW = make_workflow(CANDIDATE, STATES, TRANSITIONS, FACT_KINDS)

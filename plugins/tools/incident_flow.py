"""The states and steps of an incident, from the report to the settlement, and who may take them.

What a step writes is in ``judging`` (who answers, what it costs, does the person agree) and ``settling`` (paid,
replaced, found again, repaired).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    NOT_CONCERNED,
    FactKind,
    Field,
    Guard,
    State,
    Step,
    Transition,
    current_scope,
    make_workflow,
)

from . import judging, settling, values
from .flow import BY_SERVICE
from .rights import DECIDE, KEEP, MAINTAIN, MONEY, OWN
from .values import CANCELLED, CHARGED, CLOSED, JUDGED, REFUND, REPORTED

STATES = tuple(
    State(code, label, {CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.INCIDENT_STATES
)
FACT_KINDS = (
    FactKind(
        "registered",
        _l("Incident entered"),
        0,
        words=(("kind", _l("Kind"), values.INCIDENT_KINDS), ("tool", _l("Tool"), ())),
    ),
    FactKind("occurred", _l("Happened"), 1),
    FactKind("reported", _l("Reported to the superior"), 2),
    FactKind("judged", _l("Judged"), 20),
    FactKind("compensation_agreed", _l("Compensation approved"), 25),
    FactKind("sent_back", _l("Judgement not approved"), 26),
    FactKind("objected", _l("The person objects"), 30),
    FactKind("agreed", _l("The person agrees to pay"), 35),
    FactKind("reopened", _l("Judged anew"), 38),
    FactKind("repaired", _l("Inspected or repaired: sound again"), 40),
    FactKind(
        "deducted", _l("Deducted from pay"), 45, words=(("month", _l("Month"), ()), ("amount", _l("Amount"), ()))
    ),
    FactKind(
        "deduction_undone",
        _l("Deduction taken back"),
        46,
        words=(("month", _l("Month"), ()), ("amount", _l("Amount"), ())),
    ),
    FactKind("settled", _l("Settled"), 50),
    FactKind("found", _l("Found again"), 60),
    FactKind("refunded", _l("Paid back"), 65),
    FactKind("closed", _l("Incident closed"), 90),
    FactKind("cancelled", _l("Entered by mistake"), 92),
)

# --- conditions ----------------------------------------------------------------------------------


def _not_yourself(step: Step) -> Any:
    """Nobody judges what they answer for: neither the holder nor whom the form names."""
    actor = current_scope().actor_id
    if actor is None:
        return None
    holder = step.detail.holder
    if holder is not None and holder.user_id == actor and holder.kind != values.STORE:
        return judging.OWN_MATTER
    return judging.OWN_MATTER if step.detail.user_id == actor else None


def _not_named(step: Step) -> Any:
    actor = current_scope().actor_id
    return judging.OWN_MATTER if actor is not None and step.values.get("user") == actor else None


def _only_the_person(step: Step) -> Any:
    actor = current_scope().actor_id
    if actor is not None and step.detail.user_id == actor:
        return None
    return _l("Only the person who is to pay says this")


def _is_a_loss(step: Step) -> Any:
    return None if step.detail.kind == values.LOSS else _l("Nothing was reported lost here")


def _is_to_mend(step: Step) -> Any:
    return None if step.detail.kind not in (values.LOSS, values.BREACH) else _l("There is nothing to repair here")


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_RECEIPT = Field("receipt", "text", _l("Number of the receipt"), True, max_length=60)
_NOT_SELF = (Guard("own_matter", _not_yourself), Guard("own_matter", _not_named, needs_form=True))
_NOT_THEIRS = Guard("own_debt", settling.own_debt)
_PERSON = Guard(NOT_CONCERNED, _only_the_person)
_LOST = Guard(NOT_CONCERNED, _is_a_loss)
JUDGE_FIELDS = (
    Field(
        "cause",
        "choice",
        _l("Cause"),
        choices=values.CAUSES,
        help=_l("Not for breaches of the rules"),
    ),
    Field("user", "user", _l("Who answers"), help=_l("Empty: nobody")),
    Field("judgement", "long", _l("Judgement"), True, max_length=2000),
    Field(
        "price",
        "decimal",
        _l("Original price"),
        minimum=Decimal(0),
        maximum=Decimal("9999999.99"),
        help=_l("Only where the tool's file has none"),
    ),
    Field("bought_on", "date", _l("Bought on"), help=_l("Only where the tool's file has none")),
    Field(
        "penalty",
        "decimal",
        _l("Penalty (yuan)"),
        minimum=Decimal(0),
        maximum=Decimal("9999999.99"),
        help=_l("Proposed for a breach of the rules; the clause's position decides"),
    ),
)
TRANSITIONS = (
    Transition(
        "judge",
        _l("Judge"),
        frozenset({REPORTED}),
        JUDGED,
        DECIDE,
        "judged",
        JUDGE_FIELDS,
        _NOT_SELF,
        apply=judging.judge,
        kept=("cause",),
        note="judgement",
        tone="primary",
        help=_l("Says why it happened and who answers; what it costs is worked out by the clause in force"),
        weight=10,
    ),
    Transition(
        "agree_to_pay",
        _l("Agree to the compensation"),
        frozenset({JUDGED}),
        CHARGED,
        OWN,
        "agreed",
        (
            Field(
                "settlement",
                "choice",
                _l("How it is settled"),
                True,
                values.SETTLEMENTS,
                default=values.CASH,
            ),
        ),
        (_PERSON, Guard("undecided", judging.undecided)),
        apply=judging.agree_to_pay,
        kept=("settlement",),
        tone="primary",
        weight=15,
    ),
    Transition(
        "object",
        _l("Object"),
        frozenset({JUDGED}),
        REPORTED,
        OWN,
        "objected",
        (_REASON,),
        (_PERSON,),
        apply=judging.take_back,
        note="reason",
        help=_l("It goes back to whoever judges, with what you say"),
        weight=20,
    ),
    Transition(
        "rejudge",
        _l("Judge anew"),
        frozenset({JUDGED, CHARGED}),
        REPORTED,
        DECIDE,
        "reopened",
        (_REASON,),
        (_NOT_SELF[0], Guard("deducted", settling.deducted_already)),
        apply=judging.take_back,
        note="reason",
        weight=50,
    ),
    Transition(
        "send_back",
        _l("Send the judgement back"),
        frozenset({JUDGED}),
        REPORTED,
        BY_SERVICE,
        "sent_back",
        (_REASON,),
        apply=judging.take_back,
        note="reason",
    ),
    Transition(
        "settle",
        _l("Enter the payment"),
        frozenset({CHARGED}),
        CLOSED,
        MONEY,
        "settled",
        (_RECEIPT,),
        (_NOT_THEIRS, Guard("nothing_left", settling.nothing_left)),
        apply=settling.paid,
        kept=("receipt",),
        help=_l("All that is left was paid"),
        tone="primary",
        weight=25,
    ),
    Transition(
        "settle_in_kind",
        _l("The same tool was bought"),
        frozenset({CHARGED}),
        CLOSED,
        KEEP,
        "settled",
        (
            Field(
                "replacement",
                "text",
                _l("Number of the new tool"),
                True,
                max_length=60,
                help=_l("Registered and accepted before"),
            ),
        ),
        (_NOT_THEIRS, Guard("not_in_kind", settling.not_in_kind), Guard("deducted", settling.deducted_already)),
        apply=settling.in_kind,
        kept=("replacement",),
        weight=30,
    ),
    Transition(
        "settle_from_pay",
        _l("Deducted from pay"),
        frozenset({CHARGED}),
        CLOSED,
        BY_SERVICE,
        "settled",
        apply=settling.from_pay,
    ),
    Transition(
        "undo_deduction",
        _l("Take a deduction back"),
        frozenset({CHARGED, CLOSED}),
        CHARGED,
        BY_SERVICE,
        "deduction_undone",
        (_REASON, Field("month", "text", _l("Month")), Field("amount", "text", _l("Amount"))),
        apply=settling.owed_again,
        kept=("month", "amount"),
        note="reason",
    ),
    Transition(
        "repaired",
        _l("Sound again"),
        frozenset({REPORTED, JUDGED, CHARGED, CLOSED}),
        None,
        MAINTAIN,
        "repaired",
        (Field("result", "long", _l("What was inspected or repaired"), True, max_length=500),),
        (Guard(NOT_CONCERNED, _is_to_mend), Guard("not_defective", settling.not_defective)),
        apply=settling.mend,
        note="result",
        weight=35,
    ),
    Transition(
        "mended",
        _l("Closed: the tool is sound again"),
        frozenset({REPORTED}),
        CLOSED,
        BY_SERVICE,
        "closed",
    ),
    Transition(
        "found",
        _l("Found again"),
        frozenset({REPORTED, JUDGED, CHARGED, CLOSED}),
        CLOSED,
        KEEP,
        "found",
        (_REASON,),
        (_LOST, Guard(NOT_CONCERNED, settling.was_paid), Guard("still_there", settling.not_lost)),
        apply=settling.found,
        note="reason",
        help=_l("Nothing is owed for it any more"),
        weight=40,
    ),
    Transition(
        "found_paid",
        _l("Found again: pay back"),
        frozenset({CHARGED, CLOSED}),
        REFUND,
        KEEP,
        "found",
        (_REASON,),
        (_LOST, Guard(NOT_CONCERNED, settling.was_not_paid), Guard("still_there", settling.not_lost)),
        apply=settling.found,
        note="reason",
        help=_l("What was paid for it is paid back"),
        weight=41,
    ),
    Transition(
        "refund",
        _l("Enter the repayment"),
        frozenset({REFUND}),
        CLOSED,
        MONEY,
        "refunded",
        (_RECEIPT,),
        (_NOT_THEIRS,),
        apply=settling.refund,
        kept=("receipt",),
        tone="primary",
        weight=42,
    ),
    Transition(
        "close",
        _l("Close"),
        frozenset({REPORTED, JUDGED, CHARGED}),
        CLOSED,
        DECIDE,
        "closed",
        (Field("result", "long", _l("How it ended"), True, max_length=500),),
        (_NOT_SELF[0], Guard("open", settling.still_open)),
        apply=settling.close,
        note="result",
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Entered by mistake"),
        frozenset({REPORTED, JUDGED}),
        CANCELLED,
        DECIDE,
        "cancelled",
        (_REASON,),
        (_NOT_SELF[0], Guard("penalty", settling.penalty_proposed)),
        apply=settling.cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(REPORTED, STATES, TRANSITIONS, FACT_KINDS)

"""The steps of a purchase plan (R15-19): drafted with quotes, prices checked, approved, ordered, received."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    FactKind,
    Field,
    Guard,
    InvalidData,
    Record,
    State,
    Step,
    Transition,
    approvals,
    local_day,
    make_workflow,
    money_math,
    session,
)

from . import values
from .flow import BY_SERVICE
from .models import PurchaseLine
from .rights import BUY, MONEY
from .values import APPROVED, CANCELLED, DRAFT, ORDERED, PRICED, RECEIVED

CODE = "tools_purchase"
APPROVE = f"{CODE}.approve"
# What is weighed before an order (R32-2.2).
ORDER_ITEMS = (
    ("quality", _l("Quality weighed")),
    ("price", _l("Prices compared")),
    ("regular", _l("A regular supplier")),
)


# --- what the steps look at ------------------------------------------------------------------------


def lines_of(purchase_id: int) -> Sequence[PurchaseLine]:
    """Return the lines of a plan, as entered."""
    wanted = select(PurchaseLine).where(PurchaseLine.purchase_id == purchase_id)
    return session().scalars(wanted.order_by(PurchaseLine.id)).all()


def total(lines: Sequence[PurchaseLine]) -> Decimal:
    """Return what the lines cost together, in yuan; those without a price count as nothing."""
    parts = [money_math.times(Decimal(one.quantity), one.price) for one in lines if one.price is not None]
    return sum(parts, money_math.ZERO)


def amount_of(step: Step, _said: Any = None) -> Decimal:
    """Return what a plan costs, for whoever is asked to approve it."""
    return total(lines_of(step.record.id))


def _no_lines(step: Step) -> Any:
    return None if lines_of(step.record.id) else _l("Enter first what is to be bought")


def _no_price(step: Step) -> Any:
    missing = sum(1 for one in lines_of(step.record.id) if one.price is None)
    if not missing:
        return None
    return _l("%(count)d lines have no price yet; get an offer first", count=missing)


def _not_priced(step: Step) -> Any:
    """R15-19: finance looks at the prices before the leader approves."""
    return _l("Finance checks the prices first") if step.record.state == DRAFT else None


def _over_budget(step: Step) -> Any:
    budget, cost = step.detail.budget, amount_of(step)
    if budget is None or cost <= budget:
        return None
    return _l("It costs %(cost)s yuan, the budget is %(budget)s", cost=cost, budget=budget)


def _something_came(step: Step) -> Any:
    if not any(one.received for one in lines_of(step.record.id)):
        return None
    return _l("Some of it has been received; end the order instead")


# --- what the steps do -----------------------------------------------------------------------------


def forget_agreements(record: Record, reason: Any) -> None:
    """Let what was agreed or asked about a plan lapse: it was about other lines."""
    wanted = select(approvals.Approval.id, approvals.Approval.subject, approvals.Approval.state).where(
        approvals.Approval.record_id == record.id, approvals.Approval.subject.startswith(f"{APPROVE}:")
    )
    for key, subject, state in session().execute(wanted).all():
        if state in approvals.OPEN_STATES:
            approvals.lapse(key, str(reason))
        given = approvals.agreed(record.unit_id, subject)
        if given is not None and given.id == key:
            approvals.use(given)


def _reopen(step: Step) -> None:
    forget_agreements(step.record, _l("The plan is being changed"))


def _cancel(step: Step) -> None:
    forget_agreements(step.record, _l("The plan was cancelled"))


def _order(step: Step) -> None:
    day = step.values["ordered_on"] or local_day(step.record.unit_id)
    if day > local_day(step.record.unit_id):
        raise InvalidData({"ordered_on": _l("This date lies in the future")})
    step.detail.supplier, step.detail.ordered_on = step.values["supplier"], day


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_LINES = Guard("no_lines", _no_lines)
_PRICES = Guard("no_price", _no_price)
STATES = tuple(
    State(code, label, {RECEIVED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.PURCHASE_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Purchase plan drafted"), 0),
    FactKind("changed", _l("Plan changed"), 10),
    FactKind("priced", _l("Prices checked by finance"), 20),
    FactKind("reopened", _l("Back to the draft"), 25),
    FactKind("approved", _l("Purchase approved"), 30),
    FactKind("ordered", _l("Ordered"), 40, words=(("supplier", _l("Supplier"), ()),)),
    FactKind("delivered", _l("Delivery received"), 50, words=(("what", _l("What came"), ()),)),
    FactKind("received", _l("All received"), 60),
    FactKind("ended", _l("The rest does not come"), 61),
    FactKind("cancelled", _l("Purchase cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "price",
        _l("Check the prices"),
        frozenset({DRAFT}),
        PRICED,
        MONEY,
        "priced",
        (Field("note", "long", _l("What was checked"), True, max_length=500),),
        (_LINES, _PRICES),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "approve",
        _l("Approve the purchase"),
        frozenset({DRAFT, PRICED}),
        APPROVED,
        BUY,
        "approved",
        (Field("note", "long", _l("Note"), max_length=500),),
        (_LINES, _PRICES, Guard("not_priced", _not_priced, clause="R15-19"), Guard("budget", _over_budget)),
        note="note",
        tone="primary",
        weight=20,
    ),
    Transition(
        "order",
        _l("Order"),
        frozenset({APPROVED}),
        ORDERED,
        BUY,
        "ordered",
        (
            Field("supplier", "text", _l("Supplier"), True, max_length=120),
            Field("ordered_on", "date", _l("Ordered on"), help=_l("Leave empty for today")),
            Field("checklist", "many", _l("Looked at before ordering"), choices=ORDER_ITEMS, clause="R32-2.2"),
        ),
        apply=_order,
        kept=("supplier", "checklist"),
        tone="primary",
        weight=30,
    ),
    Transition(
        "finish",
        _l("All received"),
        frozenset({ORDERED}),
        RECEIVED,
        BY_SERVICE,
        "received",
    ),
    Transition(
        "end",
        _l("The rest does not come"),
        frozenset({ORDERED}),
        RECEIVED,
        BUY,
        "ended",
        (_REASON,),
        note="reason",
        weight=50,
    ),
    Transition(
        "reopen",
        _l("Back to the draft"),
        frozenset({PRICED, APPROVED}),
        DRAFT,
        BUY,
        "reopened",
        (_REASON,),
        apply=_reopen,
        note="reason",
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Cancel the purchase"),
        frozenset({DRAFT, PRICED, APPROVED, ORDERED}),
        CANCELLED,
        BUY,
        "cancelled",
        (_REASON,),
        (Guard("came", _something_came),),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)

"""The steps of purchase plans (R02-8) and purchase orders (R02-6, R05-2.1, R02-7b)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import FactKind, Field, Guard, Record, State, Step, Transition, make_workflow, money_math, session

from . import values
from .models import OrderLine, PlanLine, Receiving
from .rights import BUY, DECIDE
from .supplier_flow import BY_SERVICE
from .values import APPROVED, CANCELLED, DONE, DRAFT, ORDERED, RECEIVED

PLAN, ORDER = "store_plan", "store_order"
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


# --- orders ----------------------------------------------------------------------------------------


def order_lines(order_id: int) -> Sequence[OrderLine]:
    """Return the lines of an order, as entered."""
    return session().scalars(select(OrderLine).where(OrderLine.order_id == order_id).order_by(OrderLine.id)).all()


def total(lines: Sequence[OrderLine]) -> Decimal:
    """Return what the lines cost together, in yuan; those without a price count as nothing."""
    parts = [money_math.times(Decimal(one.quantity), one.price) for one in lines if one.price is not None]
    return sum(parts, money_math.ZERO)


def _no_lines(step: Step) -> Any:
    return None if order_lines(step.record.id) else _l("Enter first what is to be bought")


def _something_came(step: Step) -> Any:
    if any(one.received for one in order_lines(step.record.id)):
        return _l("Some of it has been received; end the order instead")
    return None


def _on_its_way(step: Step) -> Any:
    mine = (
        select(Record.number)
        .join(Receiving, Receiving.id == Record.id)
        .where(Receiving.order_id == step.record.id, Record.state.in_((values.EXPECTED, values.RECEIVED)))
    )
    number = session().scalar(mine.limit(1))
    return _l("Delivery %(number)s is still open; inspect or cancel it first", number=number) if number else None


ORDER_STATES = tuple(
    State(code, label, {RECEIVED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.ORDER_STATES
)
ORDER_FACTS = (
    FactKind("registered", _l("Purchase order drafted"), 0),
    FactKind("changed", _l("Order changed"), 10),
    FactKind("ordered", _l("Ordered"), 40),
    FactKind("delivered", _l("Delivery inspected"), 50, words=(("what", _l("What was accepted"), ()),)),
    FactKind("received", _l("All received"), 60),
    FactKind("ended", _l("The rest does not come"), 61),
    FactKind("cancelled", _l("Purchase order cancelled"), 92),
)
ORDER_STEPS = (
    Transition(
        "order",
        _l("Order"),
        frozenset({DRAFT}),
        ORDERED,
        BUY,
        "ordered",
        guards=(Guard("no_lines", _no_lines),),
        tone="primary",
        weight=10,
    ),
    Transition("finish", _l("All received"), frozenset({ORDERED}), RECEIVED, BY_SERVICE, "received"),
    Transition(
        "end",
        _l("The rest does not come"),
        frozenset({ORDERED}),
        RECEIVED,
        BUY,
        "ended",
        (REASON,),
        (Guard("on_its_way", _on_its_way),),
        note="reason",
        weight=50,
    ),
    Transition(
        "cancel",
        _l("Cancel the order"),
        frozenset({DRAFT, ORDERED}),
        CANCELLED,
        BUY,
        "cancelled",
        (REASON,),
        (Guard("came", _something_came), Guard("on_its_way", _on_its_way)),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
ORDER_FLOW = make_workflow(DRAFT, ORDER_STATES, ORDER_STEPS, ORDER_FACTS)


# --- plans -----------------------------------------------------------------------------------------


def plan_lines(plan_id: int) -> Sequence[PlanLine]:
    """Return the lines of a plan, as entered."""
    return session().scalars(select(PlanLine).where(PlanLine.plan_id == plan_id).order_by(PlanLine.id)).all()


def _nothing_planned(step: Step) -> Any:
    if any(one.quantity for one in plan_lines(step.record.id)):
        return None
    return _l("The plan buys nothing yet: enter the quantities first")


def _ordered(step: Step) -> Any:
    if any(one.order_id for one in plan_lines(step.record.id)):
        return _l("Orders have been drafted from this plan")
    return None


PLAN_STATES = tuple(
    State(code, label, {DONE: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.PLAN_STATES
)
PLAN_FACTS = (
    FactKind("registered", _l("Purchase plan drafted"), 0),
    FactKind("changed", _l("Plan changed"), 10),
    FactKind("approved", _l("Purchase plan approved"), 30),
    FactKind("ordered", _l("Orders drafted"), 40, words=(("orders", _l("Orders"), ()),)),
    FactKind("done", _l("Plan carried out"), 60),
    FactKind("reopened", _l("Back to the draft"), 25),
    FactKind("cancelled", _l("Plan cancelled"), 92),
)
PLAN_STEPS = (
    Transition(
        "approve",
        _l("Approve the plan"),
        frozenset({DRAFT}),
        APPROVED,
        DECIDE,
        "approved",
        (Field("note", "long", _l("Note"), max_length=500),),
        (Guard("nothing", _nothing_planned),),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "finish",
        _l("Plan carried out"),
        frozenset({APPROVED}),
        DONE,
        BUY,
        "done",
        (Field("note", "long", _l("Note"), max_length=500),),
        note="note",
        weight=40,
    ),
    Transition(
        "reopen",
        _l("Back to the draft"),
        frozenset({APPROVED}),
        DRAFT,
        BUY,
        "reopened",
        (REASON,),
        (Guard("ordered", _ordered),),
        note="reason",
        weight=60,
    ),
    Transition(
        "cancel",
        _l("Cancel the plan"),
        frozenset({DRAFT, APPROVED}),
        CANCELLED,
        BUY,
        "cancelled",
        (REASON,),
        (Guard("ordered", _ordered),),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
PLAN_FLOW = make_workflow(DRAFT, PLAN_STATES, PLAN_STEPS, PLAN_FACTS)

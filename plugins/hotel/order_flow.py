"""The states and steps of a work order (D9), and what each of them writes.

A defect that blocks the room is named by the row (``blocks``); ``rooms`` counts those rows, so the row is written
before the room is told. Steps with the permission ``BY_SERVICE`` follow from others; nobody takes them by hand.
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
    Record,
    State,
    Step,
    Transition,
    accounts,
    current_scope,
    make_workflow,
    may,
    notify,
    session,
)

from . import rooms, values
from .models import Order
from .notices_orders import AGAIN
from .rights import CHECK, DESK, REPAIR, REPORT
from .values import ASSIGNED, CANCELLED, CHECKED_STATE, CLOSED, DONE, OPEN

CODE = "hotel_order"
BY_SERVICE = "hotel.by_service"
REPAIR_KIND = "repair"
MOST_YUAN = Decimal("9999999.99")
STATES = tuple(
    State(code, label, {CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.ORDER_STATES
)
FACT_KINDS = (
    FactKind(
        "registered",
        _l("Order entered"),
        0,
        words=(
            ("source", _l("Source"), values.SOURCES),
            ("severity", _l("How serious"), values.SEVERITIES),
            ("kind", _l("Kind of work"), values.ORDER_KINDS),
        ),
    ),
    FactKind("blocked", _l("Room blocked by a defect"), 2),
    FactKind("seen_again", _l("Seen again"), 5),
    FactKind("assigned", _l("Order assigned"), 10),
    FactKind("responded", _l("Somebody is there or answered"), 15),
    FactKind("done", _l("Work done"), 30),
    FactKind("not_accepted", _l("Not accepted: to be done again"), 35),
    FactKind("checked", _l("Checked"), 40),
    FactKind("unblocked", _l("Room free again"), 42),
    FactKind("told", _l("Guest told"), 45),
    FactKind("closed", _l("Order closed"), 90),
    FactKind("cancelled", _l("Order cancelled"), 92),
)
_WORKING = frozenset({OPEN, ASSIGNED})
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


# --- conditions ----------------------------------------------------------------------------------


def _may_do(step: Step) -> Any:
    """Repairs are for those who repair, or who were given the order; all other work for every team."""
    if step.detail.kind != REPAIR_KIND or may(REPAIR, step.record.unit_id):
        return None
    if step.record.assignee_id is not None and step.record.assignee_id == current_scope().actor_id:
        return None
    return _l("Repairs are for engineering, or for whom the order was given to")


def _not_mine_yet(step: Step) -> Any:
    if step.record.assignee_id is None or step.record.assignee_id != current_scope().actor_id:
        return None
    return _l("You have it already")


def _works_here(step: Step) -> Any:
    if step.values["assignee"] in {one.id for one in accounts.staff_of(step.record.unit_id)}:
        return None
    return _l("This person does not work in the unit")


def _not_responded(step: Step) -> Any:
    return None if step.detail.responded_at is None else _l("This was entered already")


def _is_blocking(step: Step) -> Any:
    return None if step.detail.blocks else _l("This order blocks no room")


def _can_block(step: Step) -> Any:
    if step.detail.blocks:
        return _l("This order blocks the room already")
    if rooms.find_room(step.detail.place_id) is None:
        return _l("Only guest rooms are blocked")
    return None


def _for_a_guest(step: Step) -> Any:
    return None if step.detail.complaint_id is not None else _l("No guest waits for an answer here")


# --- what steps write ------------------------------------------------------------------------------


def _take(step: Step) -> None:
    step.record.assignee_id = current_scope().actor_id


def _assign(step: Step) -> None:
    step.record.assignee_id = step.values["assignee"]
    notify(step.record, "assigned", [step.record.assignee_id], step.record.title)


def _respond(step: Step) -> None:
    step.detail.responded_at = step.at


def _finish(step: Step) -> None:
    detail = step.detail
    detail.responded_at = detail.responded_at or step.at
    detail.done_at, detail.done_by = step.at, current_scope().actor_id
    detail.result, detail.cost = step.values["result"], step.values["cost"]


def _not_accept(step: Step) -> None:
    step.detail.redone += 1
    step.detail.done_at = None
    if step.record.assignee_id is not None:
        notify(step.record, AGAIN, [step.record.assignee_id], step.record.title)


def _check(step: Step) -> None:
    step.detail.checked_at, step.detail.checked_by = step.at, current_scope().actor_id


def _unblock(step: Step) -> None:
    let_go(step.record, step.detail, step.values["reason"])


def let_go(record: Record, detail: Order, note: str = "") -> None:
    """An order blocks its room no more; the room is free once no other order blocks it."""
    detail.blocks = False
    session().flush()
    rooms.unblock(detail.place_id, record, note)


def _block(step: Step) -> None:
    step.detail.blocks = True
    session().flush()
    rooms.block(step.detail.place_id, step.record, step.values["reason"])


TRANSITIONS = (
    Transition(
        "take",
        _l("Take it on"),
        _WORKING,
        ASSIGNED,
        REPORT,
        "assigned",
        guards=(Guard("not_yours", _may_do), Guard("taken", _not_mine_yet)),
        apply=_take,
        tone="primary",
        weight=10,
    ),
    Transition(
        "assign",
        _l("Assign"),
        _WORKING,
        ASSIGNED,
        DESK,
        "assigned",
        (Field("assignee", "user", _l("Assignee"), True),),
        (Guard("not_staff", _works_here, needs_form=True),),
        apply=_assign,
        kept=("assignee",),
        weight=15,
    ),
    Transition(
        "respond",
        _l("Somebody is there"),
        _WORKING,
        None,
        REPORT,
        "responded",
        (Field("note", "long", _l("Note"), max_length=500),),
        (Guard("not_yours", _may_do), Guard("entered", _not_responded)),
        apply=_respond,
        note="note",
        assignee_may=True,
        weight=20,
    ),
    Transition(
        "finish",
        _l("Done"),
        frozenset({ASSIGNED}),
        DONE,
        REPORT,
        "done",
        (
            Field("result", "long", _l("What was done"), True, max_length=1000),
            Field("cost", "decimal", _l("Cost (yuan)"), minimum=Decimal(0), maximum=MOST_YUAN),
        ),
        (Guard("not_yours", _may_do),),
        apply=_finish,
        note="result",
        tone="primary",
        assignee_may=True,
        weight=25,
    ),
    Transition(
        "check",
        _l("Checked: in order"),
        frozenset({DONE}),
        CHECKED_STATE,
        CHECK,
        "checked",
        (Field("note", "long", _l("Note"), max_length=500),),
        apply=_check,
        note="note",
        tone="primary",
        help=_l("A room that the defect blocked may be sold again"),
        weight=30,
    ),
    Transition(
        "not_accept",
        _l("Not in order"),
        frozenset({DONE}),
        ASSIGNED,
        CHECK,
        "not_accepted",
        (_REASON,),
        apply=_not_accept,
        note="reason",
        weight=35,
    ),
    Transition(
        "tell",
        _l("The guest was told"),
        frozenset({CHECKED_STATE}),
        None,
        DESK,
        "told",
        (Field("note", "long", _l("Note"), max_length=500),),
        (Guard(NOT_CONCERNED, _for_a_guest),),
        note="note",
        tone="primary",
        weight=40,
    ),
    Transition("close", _l("Close"), frozenset({CHECKED_STATE}), CLOSED, BY_SERVICE, "closed"),
    Transition(
        "block",
        _l("Block the room"),
        frozenset({OPEN, ASSIGNED, DONE}),
        None,
        CHECK,
        "blocked",
        (_REASON,),
        (Guard(NOT_CONCERNED, _can_block),),
        apply=_block,
        note="reason",
        help=_l("It is not sold until this was repaired and checked"),
        weight=60,
    ),
    Transition(
        "unblock",
        _l("Let the room go"),
        frozenset({OPEN, ASSIGNED, DONE}),
        None,
        CHECK,
        "unblocked",
        (_REASON,),
        (Guard(NOT_CONCERNED, _is_blocking),),
        apply=_unblock,
        note="reason",
        help=_l("It may be sold although this is not repaired; say why"),
        weight=65,
    ),
    Transition(
        "cancel",
        _l("Entered by mistake"),
        frozenset({OPEN, ASSIGNED}),
        CANCELLED,
        CHECK,
        "cancelled",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(OPEN, STATES, TRANSITIONS, FACT_KINDS)

"""The steps of a delivery (D10): expected, arrived, inspected and counted, put on the shelf (R02-9, R02-10)."""

from __future__ import annotations

from collections.abc import Sequence

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import FactKind, Field, State, Step, Transition, clock, current_scope, make_workflow, session

from . import values
from .models import ReceivingLine
from .rights import RECEIVE, STOCK
from .values import CANCELLED, CHECKED, EXPECTED, RECEIVED

CODE = "store_receiving"
REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
NOTE = Field("delivery_note", "text", _l("Number of the delivery note"), max_length=60)
AS_EXPECTED = "as_expected"


def lines_of(receiving_id: int) -> Sequence[ReceivingLine]:
    """Return the lines of a delivery, as entered."""
    wanted = select(ReceivingLine).where(ReceivingLine.receiving_id == receiving_id)
    return session().scalars(wanted.order_by(ReceivingLine.id)).all()


def _arrive(step: Step) -> None:
    from .receiving import note_delivery

    note_delivery(step.detail, step.values["delivery_note"] or step.detail.delivery_note)
    step.detail.arrived_at = step.at


def _check(step: Step) -> None:
    from .accepting import accept

    step.detail.checked_at, step.detail.checked_by = clock.now(), current_scope().actor_id
    accept(step)


def _shelve(step: Step) -> None:
    from .accepting import shelve

    shelve(step)


def _cancel(step: Step) -> None:
    step.detail.void = True


STATES = tuple(
    State(code, label, {CHECKED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.RECEIVING_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Delivery entered"), 0),
    FactKind("changed", _l("Delivery changed"), 10),
    FactKind("arrived", _l("Goods arrived"), 20),
    FactKind("counted", _l("Lines inspected"), 25, words=(("lines", _l("Lines"), ()),)),
    FactKind(
        "checked",
        _l("Inspected and counted"),
        30,
        words=(
            ("accepted", _l("Pieces accepted"), ()),
            ("refused", _l("Pieces refused"), ()),
            ("stopped", _l("Pieces of stopped batches, held"), ()),
        ),
    ),
    FactKind("shelved", _l("Put on sale"), 40, words=(("lots", _l("Batches in stock"), ()),)),
    FactKind("cancelled", _l("Delivery cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "arrive",
        _l("Goods arrived"),
        frozenset({EXPECTED}),
        RECEIVED,
        RECEIVE,
        "arrived",
        (NOTE, Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))),
        apply=_arrive,
        kept=("delivery_note",),
        tone="primary",
        weight=10,
    ),
    Transition(
        "check",
        _l("Finish inspecting the delivery"),
        frozenset({RECEIVED}),
        CHECKED,
        RECEIVE,
        "checked",
        (
            Field(
                AS_EXPECTED,
                "bool",
                _l("All other lines: counted as expected, quality good"),
                help=_l("Lines that were inspected one by one stay as they are"),
            ),
            Field("note", "long", _l("Note"), max_length=500),
        ),
        apply=_check,
        kept=(AS_EXPECTED, "accepted", "refused", "stopped"),
        note="note",
        tone="primary",
        weight=20,
    ),
    Transition(
        "shelve",
        _l("Put on sale"),
        frozenset({RECEIVED, CHECKED}),
        None,
        STOCK,
        "shelved",
        apply=_shelve,
        kept=("lots",),
        weight=30,
    ),
    Transition(
        "cancel",
        _l("Cancel the delivery"),
        frozenset({EXPECTED, RECEIVED}),
        CANCELLED,
        RECEIVE,
        "cancelled",
        (REASON,),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(EXPECTED, STATES, TRANSITIONS, FACT_KINDS)

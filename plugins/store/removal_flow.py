"""The steps of taking a batch off the shelf (下架, R02-15): near its last day, after it, or stopped."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FactKind, Field, Guard, InvalidData, State, Step, Transition, clock, make_workflow, session

from . import lots, values
from .models import Lot
from .rights import STOCK
from .values import CANCELLED, OPEN, REMOVED

CODE = "store_removal"
# Services take these steps with ``permitted=True``; nobody has the permission.
BY_SERVICE = "store.by_service"
NEAR, OVER, STOPPED = "near", "expired", "stopped"
PROMOTE, RETURN, SCRAP, HOLD = "promote", "return", "scrap", "hold"


def _remove(step: Step) -> None:
    """Carry out where the pieces go; what stays in stock does not stay on sale unless it is sold off."""
    detail, where = step.detail, step.values["removed_to"]
    lot = lots.lock_lot(detail.lot_id)
    free = lot.stock - lot.held
    pieces = free if step.values["removed"] is None else step.values["removed"]
    if pieces > free:
        raise InvalidData({"removed": lots.too_many(free)})
    if detail.reason != NEAR and pieces < free:
        text = _l("All %(number)s pieces leave the shelf; a difference is entered by a count", number=free)
        raise InvalidData({"removed": text})
    if where in (RETURN, SCRAP) and pieces:
        lots.write_off(lot.id, pieces, where, record_id=step.record.id)
    elif where == HOLD:
        lots.take_off(lot.id)
    detail.removed, detail.removed_to, detail.ended_at = pieces, where, clock.now()
    step.values["removed"] = pieces


def _cancel(step: Step) -> None:
    step.detail.ended_at = clock.now()


def _sold_off(step: Step) -> Any:
    if step.values.get("removed_to") != PROMOTE or step.detail.reason == NEAR:
        return None
    return _l("Only goods before their last day are sold off")


def _sent_away(step: Step) -> Any:
    if step.values.get("removed_to") not in (RETURN, SCRAP) or step.detail.reason != STOPPED:
        return None
    return _l("A stopped batch is sealed until quality has decided on it")


def _still_there(step: Step) -> Any:
    """What has expired or was stopped leaves the shelf; only of the others somebody may say that it need not."""
    lot = session().get(Lot, step.detail.lot_id)
    if step.detail.reason == NEAR or lot is None or lot.stock == 0:
        return None
    return _l("This batch has to leave the shelf")


STATES = tuple(
    State(code, label, {REMOVED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.REMOVAL_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("To be taken off the shelf"), 0, words=(("why", _l("Why"), values.REMOVAL_REASONS),)),
    FactKind(
        "removed",
        _l("Taken off the shelf"),
        60,
        words=(("removed", _l("Pieces"), ()), ("removed_to", _l("Where to"), values.REMOVED_TO)),
    ),
    FactKind("gone", _l("Nothing of it is left"), 61),
    FactKind("cancelled", _l("Removal not needed"), 92),
)
TRANSITIONS = (
    Transition(
        "remove",
        _l("Taken off the shelf"),
        frozenset({OPEN}),
        REMOVED,
        STOCK,
        "removed",
        (
            Field("removed_to", "choice", _l("Where to"), True, values.REMOVED_TO),
            Field(
                "removed",
                "int",
                _l("Pieces"),
                minimum=Decimal(0),
                maximum=Decimal(lots.MOST),
                help=_l("Leave empty for all there are"),
            ),
            Field("note", "long", _l("Note"), max_length=500),
        ),
        (Guard("sold_off", _sold_off, needs_form=True), Guard("sealed", _sent_away, needs_form=True)),
        apply=_remove,
        kept=("removed", "removed_to"),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "gone",
        _l("Nothing of it is left"),
        frozenset({OPEN}),
        REMOVED,
        BY_SERVICE,
        "gone",
        apply=_cancel,
        weight=80,
    ),
    Transition(
        "cancel",
        _l("Not needed"),
        frozenset({OPEN}),
        CANCELLED,
        STOCK,
        "cancelled",
        (Field("reason", "long", _l("Reason"), True, max_length=500),),
        (Guard("still_there", _still_there),),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(OPEN, STATES, TRANSITIONS, FACT_KINDS)

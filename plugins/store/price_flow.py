"""The steps of a price change (调价单, R02-18): proposed; whoever has authority agrees; then public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    FactKind,
    Field,
    Guard,
    Record,
    State,
    Step,
    Transition,
    approvals,
    current_scope,
    holds,
    local_day,
    make_workflow,
    session,
)

from . import values
from .models import Price, PriceLine
from .rights import DECIDE, PRICE
from .values import APPROVED, CANCELLED, DRAFT

CODE = "store_price_change"
APPROVE = f"{CODE}.approve"
AUTHORITY, NOT_PAST = "R02-18", "MD-3"


def lines_of(change_id: int) -> Sequence[PriceLine]:
    """Return the lines of a price change, as entered."""
    wanted = select(PriceLine).where(PriceLine.change_id == change_id)
    return session().scalars(wanted.order_by(PriceLine.id)).all()


def _no_lines(step: Step) -> Any:
    return None if lines_of(step.record.id) else _l("Enter first what is to have a new price")


def _no_authority(step: Step) -> Any:
    """Where no clause names who agrees, only who decides on prices may make them public."""
    unit_id = step.record.unit_id
    if holds(unit_id, AUTHORITY, step.at) or current_scope().may(DECIDE, unit_id):
        return None
    return _l("Somebody who decides on prices makes them public")


def begins_in_the_past(step: Step, _said: Any = None) -> Any:
    """MD-3: return why a price change is too late to be agreed to, or None."""
    today = local_day(step.record.unit_id, step.at)
    if step.detail.starts_on >= today:
        return None
    return _l("The prices were to begin on %(day)s; that day is over. Change the draft.", day=step.detail.starts_on)


def forget_agreements(record: Record, reason: Any) -> None:
    """Let what was agreed or asked about a price change lapse: it was about other prices."""
    wanted = select(approvals.Approval.id, approvals.Approval.subject, approvals.Approval.state).where(
        approvals.Approval.record_id == record.id, approvals.Approval.subject.startswith(f"{APPROVE}:")
    )
    for key, subject, state in session().execute(wanted).all():
        if state in approvals.OPEN_STATES:
            approvals.lapse(key, str(reason))
        given = approvals.agreed(record.unit_id, subject)
        if given is not None and given.id == key:
            approvals.use(given)


def _publish(step: Step) -> None:
    """The prices are public from now on and hold from their day."""
    change = step.detail
    change.approved_at = step.at
    session().add_all(
        Price(
            unit_id=change.unit_id,
            model_id=line.model_id,
            price=line.price,
            starts_on=change.starts_on,
            change_id=change.id,
            published_at=step.at,
        )
        for line in lines_of(change.id)
    )
    session().flush()


def _cancel(step: Step) -> None:
    forget_agreements(step.record, _l("The price change was cancelled"))


STATES = tuple(
    State(code, label, {APPROVED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.PRICE_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("New prices proposed"), 0, words=(("lines", _l("Products priced anew"), ()),)),
    FactKind("changed", _l("Proposed prices changed"), 10),
    FactKind("approved", _l("Prices made public"), 30),
    FactKind("cancelled", _l("Price change cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "approve",
        _l("Make the prices public"),
        frozenset({DRAFT}),
        APPROVED,
        PRICE,
        "approved",
        (Field("note", "long", _l("Note"), max_length=500),),
        (Guard("no_lines", _no_lines), Guard("no_authority", _no_authority)),
        apply=_publish,
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "cancel",
        _l("Cancel the price change"),
        frozenset({DRAFT}),
        CANCELLED,
        PRICE,
        "cancelled",
        (Field("reason", "long", _l("Reason"), True, max_length=500),),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)

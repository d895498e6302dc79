"""What clauses ask of records and by when, what is owed, and what waits for somebody's approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import current_scope, fetch
from core.kernel.errors import NotFound
from core.kernel.fields import Field, clean
from core.kernel.i18n import current_locale
from core.rules import approvals, approvers, charges
from core.rules.approval_models import STATES as APPROVAL_STATES
from core.rules.approval_models import Approval
from core.rules.charge_models import CHARGE_WORDS, PAYERS, Charge
from core.rules.obligation_models import OPEN, STATES, Obligation
from core.users.permissions import units_where

from ..common import OF_RECORD, person, record_ref, seen_records, unit_code, visible
from ..door import caller
from ..operations import Body, Operation
from ..paging import Order
from ..reading import Param
from ..serving import Reply, body, matched, narrowed, once, page, query
from ..shapes import Shape, form_schema, out, typed

OBLIGATION: Shape = {
    "id": "integer",
    "record": "#record_ref",
    "unit": "string",
    "clause": "string",
    "state": "string",
    "overdue": "boolean",
    "start_at": "moment",
    "due_at": "moment?",
    "target_at": "moment?",
    "ended_at": "moment?",
    "late_seconds": "integer",
    "late_days": "integer",
    "responsible": "#person",
    "position": "string",
    "provisional": "boolean",
}
CHARGE: Shape = {
    "id": "integer",
    "record": "#record_ref",
    "unit": "string",
    "clause": "string",
    "code": "string",
    "label": "string",
    "payer": "string",
    "payer_ref": "string",
    "quantity": "money",
    "price": "money",
    "amount": "money",
    "state": "string",
    "month": "string",
    "adjusts": "integer?",
    "reason": "string",
    "created_at": "moment",
    "version": "integer",
}
APPROVAL: Shape = {
    "id": "integer",
    "record": "#record_ref",
    "unit": "string",
    "clause": "string",
    "subject": "string",
    "title": "string",
    "reason": "string",
    "amount": "money?",
    "position": "string",
    "state": "string",
    "asked_by": "#person",
    "asked_at": "moment",
    "due_at": "moment?",
    "decided_by": "#person",
    "decided_at": "moment?",
    "may_decide": "boolean",
    "version": "integer",
}
SHAPES: Mapping[str, Shape] = {"obligation": OBLIGATION, "charge": CHARGE, "approval": APPROVAL}

# --- obligations -----------------------------------------------------------------------------------

_OF_RECORD_HELP = _l("The uid of a record: only what belongs to it")


def _of(column: Any) -> Any:
    return lambda statement, uid: statement.where(column == visible(str(uid)).id)


LATEST = Order("obligations", (Obligation.start_at, Obligation.id))
OBLIGATION_FILTERS = (
    Param("record", "uid", _OF_RECORD_HELP, narrow=_of(Obligation.record_id)),
    Param("state", "choice", _l("State"), STATES, lambda s, v: s.where(Obligation.state == v)),
    Param("clause", "string", _l("Clause"), most=40, narrow=lambda s, v: s.where(Obligation.clause == v)),
    Param("due_from", "moment", _l("Due then or later"), narrow=lambda s, v: s.where(Obligation.due_at >= v)),
    Param("due_to", "moment", _l("Due before"), narrow=lambda s, v: s.where(Obligation.due_at < v)),
)


def list_obligations() -> dict[str, Any]:
    """Return a page of obligations of the records one may see, those begun last first."""
    statement = select(Obligation).options(
        joinedload(Obligation.record).options(OF_RECORD), joinedload(Obligation.responsible)
    )
    condition = seen_records()
    if condition is not None:
        statement = statement.join(Obligation.record).where(condition)
    return page(
        "obligations", narrowed(statement, OBLIGATION_FILTERS), LATEST, _obligations, OBLIGATION, Obligation.id
    )


def _obligations(rows: Sequence[Any]) -> list[dict[str, Any]]:
    now = clock.now()
    return [
        {
            "id": one.id,
            "record": record_ref(one.record),
            "unit": unit_code(one.unit_id),
            "clause": one.clause,
            "state": one.state,
            "overdue": one.state == OPEN and one.due_at is not None and one.due_at < now,
            "start_at": out(one.start_at),
            "due_at": out(one.due_at),
            "target_at": out(one.target_at),
            "ended_at": out(one.ended_at),
            "late_seconds": one.late_seconds,
            "late_days": one.late_days,
            "responsible": person(one.responsible),
            "position": one.position,
            "provisional": one.provisional,
        }
        for one in rows
    ]


# --- charges ---------------------------------------------------------------------------------------

CHARGES = Order("charges", (Charge.id,))
CHARGE_FILTERS = (
    Param("record", "uid", _OF_RECORD_HELP, narrow=_of(Charge.record_id)),
    Param(
        "state", "choice", _l("State"), tuple(c for c, _w in CHARGE_WORDS), lambda s, v: s.where(Charge.state == v)
    ),
    Param("payer", "choice", _l("Payer"), tuple(c for c, _w in PAYERS), lambda s, v: s.where(Charge.payer == v)),
    Param("month", "string", _l("Posting month"), most=7, narrow=lambda s, v: s.where(Charge.month == v)),
    Param("clause", "string", _l("Clause"), most=40, narrow=lambda s, v: s.where(Charge.clause == v)),
)


def list_charges() -> dict[str, Any]:
    """Return a page of charges, the newest first."""
    shown = select(Charge).where(Charge.unit_id.in_(units_where(charges.VIEW)))
    statement = narrowed(shown.options(joinedload(Charge.record).options(OF_RECORD)), CHARGE_FILTERS)
    return page("charges", statement, CHARGES, lambda rows: [_charge(one) for one in rows], CHARGE, Charge.id)


def get_charge(id: str) -> Reply:
    """Return one charge."""
    row = fetch(Charge, id)
    if not may(charges.VIEW, row.unit_id):
        raise NotFound()
    return Reply(_charge(row), version=row.version)


def _charge(one: Charge) -> dict[str, Any]:
    texts = ("clause", "code", "label", "payer", "payer_ref", "state", "month", "reason")
    return {
        "id": one.id,
        "record": record_ref(one.record),
        "unit": unit_code(one.unit_id),
        **{name: getattr(one, name) for name in texts},
        "quantity": out(one.quantity),
        "price": out(one.price),
        "amount": out(one.amount),
        "adjusts": one.adjusts_id,
        "created_at": out(one.created_at),
        "version": one.version,
    }


# --- approvals -------------------------------------------------------------------------------------

APPROVALS = Order("approvals", (Approval.id,))
INBOX, ASKED = "inbox", "asked"
VIEWS = Param(
    "view", "choice", _l("What waits for one's decision, what one asked for; else all one may see"), (INBOX, ASKED)
)
APPROVAL_FILTERS = (
    VIEWS,
    Param("record", "uid", _OF_RECORD_HELP, narrow=_of(Approval.record_id)),
    Param("state", "choice", _l("State"), APPROVAL_STATES, lambda s, v: s.where(Approval.state == v)),
)
REASON = Field("reason", "long", _l("Reason"), max_length=approvals.LONGEST_REASON)
NEEDED = Field("reason", "long", _l("Reason"), True, max_length=approvals.LONGEST_REASON)
AMOUNT = Field("amount", "decimal", _l("Amount (yuan)"), minimum=Decimal(0), maximum=Decimal("999999999999.99"))
DECISIONS: Mapping[str, tuple[Field, ...]] = {
    "agree": (REASON, AMOUNT),
    "reject": (NEEDED,),
    "send-back": (NEEDED,),
}


def list_approvals() -> dict[str, Any]:
    """Return a page of approvals, the newest first: all one may see, what waits for one, or what one asked for."""
    statement = select(Approval).options(
        joinedload(Approval.record).options(OF_RECORD), joinedload(Approval.asker), joinedload(Approval.decider)
    )
    powers = _powers()
    view = query().get("view", "")
    shown = narrowed(statement.where(_shown(view, powers)), APPROVAL_FILTERS)
    return page(
        "approvals", shown, APPROVALS, lambda rows: [_approval(one, powers) for one in rows], APPROVAL, Approval.id
    )


def _shown(view: str, powers: approvers.Powers) -> Any:
    mine = Approval.asked_by == powers.user_id
    waiting = approvers.waiting_for(powers) & Approval.unit_id.in_(units_where(approvers.VIEW))
    if view == ASKED:
        return mine
    if view == INBOX:
        own = Approval.asked_by.is_(None) | (Approval.asked_by != powers.user_id)
        return waiting & own
    return or_(mine, waiting, Approval.unit_id.in_(units_where(approvers.ALL)))


def _powers() -> approvers.Powers:
    actor = caller().actor
    return approvers.powers_of(actor.id, {unit: actor.positions[unit] for unit in actor.units})


def get_approval(id: str) -> Reply:
    """Return one approval."""
    return _approval_reply(_one(id))


def _one(id: object) -> Approval:
    return approvals.fetch_approval(id)


def _approval_reply(row: Approval, *, replayed: bool = False) -> Reply:
    return Reply(_approval(row, _powers()), version=row.version, replayed=replayed)


def _approval(one: Approval, powers: approvers.Powers) -> dict[str, Any]:
    said = one.data.get("title")
    words: Mapping[str, str] = said if isinstance(said, dict) else {}
    allowed = one.state == "waiting" and may(approvers.VIEW, one.unit_id) and approvers.right(one, powers)[0]
    return {
        "id": one.id,
        "record": record_ref(one.record),
        "unit": unit_code(one.unit_id),
        "clause": one.clause,
        "subject": one.subject,
        "title": str(words.get(current_locale()) or one.title),
        "reason": one.reason,
        "amount": out(one.amount),
        "position": one.position,
        "state": one.state,
        "asked_by": person(one.asker),
        "asked_at": out(one.asked_at),
        "due_at": out(one.due_at),
        "decided_by": person(one.decider),
        "decided_at": out(one.decided_at),
        "may_decide": bool(allowed and current_scope().actor_id),
        "version": one.version,
    }


def decide(id: str, decision: str) -> Reply:
    """Agree, reject or send back."""
    fields = DECISIONS.get(decision)
    if fields is None:
        raise NotFound()
    row = _one(id)
    values = clean(fields, typed(fields, body()))

    def act() -> Approval:
        with matched(row.version) as version:
            if decision == "agree":
                return approvals.agree(row.id, values["reason"] or "", values["amount"], version=version)
            settle = approvals.reject if decision == "reject" else approvals.send_back
            return settle(row.id, values["reason"], version=version)

    made, replayed = once(row.unit_id, body(), act, lambda _ref: row, lambda one: one.id)
    return _approval_reply(made, replayed=replayed)


def _decision_schema() -> dict[str, Any]:
    return form_schema((REASON, AMOUNT))


def operations() -> Sequence[Operation]:
    """Return the operations on obligations, charges and approvals."""
    money, due = _l("Approvals and money"), _l("Obligations")
    return [
        Operation(
            "list_obligations",
            "GET",
            "/obligations",
            _l("List obligations"),
            due,
            list_obligations,
            "case.read",
            OBLIGATION,
            True,
            OBLIGATION_FILTERS,
        ),
        Operation(
            "list_charges",
            "GET",
            "/charges",
            _l("List charges"),
            money,
            list_charges,
            "charge.read",
            CHARGE,
            True,
            CHARGE_FILTERS,
        ),
        Operation(
            "get_charge",
            "GET",
            "/charges/{id}",
            _l("Read a charge"),
            money,
            get_charge,
            "charge.read",
            CHARGE,
            versioned=True,
        ),
        Operation(
            "list_approvals",
            "GET",
            "/approvals",
            _l("List approvals"),
            money,
            list_approvals,
            "approval.read",
            APPROVAL,
            True,
            APPROVAL_FILTERS,
        ),
        Operation(
            "get_approval",
            "GET",
            "/approvals/{id}",
            _l("Read an approval"),
            money,
            get_approval,
            "approval.read",
            APPROVAL,
            versioned=True,
        ),
        Operation(
            "decide_approval",
            "POST",
            "/approvals/{id}/{decision}",
            _l("Agree, reject or send back"),
            money,
            decide,
            "approval.write",
            APPROVAL,
            body=Body(_decision_schema, needed=False, example={"reason": "同意"}),
            versioned=True,
            guarded=True,
            keyed=True,
            parts={"decision": tuple(DECISIONS)},
            help=_l("A reason is needed to reject or send back; an amount where the approval leaves it open."),
        ),
    ]

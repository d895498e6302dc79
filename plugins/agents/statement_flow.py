"""The states and steps of a statement (结算单), from draft to closing, and what each step writes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Attachment,
    Fact,
    FactKind,
    Field,
    Guard,
    InvalidData,
    Record,
    RecordType,
    State,
    Step,
    Transition,
    calendar_for,
    current_scope,
    deadline,
    effective,
    holds,
    local_day,
    make_workflow,
    session,
)

from . import file, values
from .models import Agent, Statement, StatementLine
from .rights import APPROVE, FINANCE, SETTLE
from .statement_sums import refresh, release_all

CODE = "agents_statement"
DRAFT, SENT, DISPUTED, AGREED, APPROVED, SEALED, INVOICED, PAID, CLOSED, CANCELLED = (
    "draft",
    "sent",
    "disputed",
    "agreed",
    "approved",
    "sealed",
    "invoiced",
    "paid",
    "closed",
    "cancelled",
)
# The states in which lines may still be moved, and those in which payments count.
BEFORE_APPROVAL = (DRAFT, SENT, DISPUTED, AGREED)
OWED_STATES = (APPROVED, SEALED, INVOICED, PAID)
# Under which clause a statement falls due, by the kind of agent; the first that holds.
DUE_CLAUSES = {
    values.AGENT: ("R18-5.1.2b", "R19-5.1.2b"),
    values.PARTNER: ("R19-5.1.2b", "R18-5.1.2b"),
    values.SERVICE: ("R18-5.1.2b", "R19-5.1.2b"),
}
DAYS_TO_PAY = 30  # where neither a contract nor a clause says
COMPLETED, DECIDED = "completed", "dispute_decided"
# Steps that follow from answers and payments. Nobody holds their permission: services take them (``permitted``).
_FOLLOWS = ""


OWN_COMPANY = _l("Nobody decides about a statement of their own company")


# --- conditions ----------------------------------------------------------------------------------


def _has_lines(step: Step) -> Any:
    return None if step.detail.line_count else _l("There is no line on it")


def _nothing_disputed(step: Step) -> Any:
    count = step.detail.disputed_count
    return _l("%(count)d disputes are not decided yet", count=count) if count else None


def _own_company(step: Step) -> Any:
    return OWN_COMPANY if file.is_party(step.detail.agent_id) else None


def _other_eyes(step: Step) -> Any:
    """Whoever made a statement, decided its disputes or answered on the agent's word does not approve it."""
    actor = current_scope().actor_id
    if actor is None:
        return None
    if step.detail.made_by == actor:
        return _l("Whoever made a statement does not approve it")
    # What was made by itself on its settlement day is answered for by who sent it.
    kinds = (COMPLETED, DECIDED) if step.detail.made_by is not None else (COMPLETED, DECIDED, "sent")
    worked_on = select(Fact.kind).where(
        Fact.record_id == step.record.id, Fact.kind.in_(kinds), Fact.actor_id == actor
    )
    kind = session().scalar(worked_on.limit(1))
    if kind == "sent":
        return _l("Whoever sent a statement that was made by itself does not approve it")
    if kind == COMPLETED:
        return _l("Whoever made a statement does not approve it")
    if kind:
        return _l("Whoever decided a dispute does not approve the statement")
    answered = select(StatementLine.id).where(
        StatementLine.statement_id == step.record.id, StatementLine.answered_by == actor, ~StatementLine.released
    )
    if session().scalar(answered.limit(1)) is not None:
        return _l("Whoever answered for the agent does not approve the statement")
    return None


def _has_scan(step: Step) -> Any:
    held = select(Attachment.id).where(Attachment.record_id == step.record.id)
    if session().scalar(held.limit(1)) is not None:
        return None
    return _l("Attach the scan that both sides sealed first")


# --- what the steps write ------------------------------------------------------------------------


def _send(step: Step) -> None:
    step.detail.drafting, step.detail.sent_at = False, step.at


def _answered(step: Step) -> None:
    step.detail.answered_at = step.at


def _approve(step: Step) -> None:
    detail = step.detail
    detail.approved_at, detail.approved_by = step.at, current_scope().actor_id
    detail.due_on = due_day(step.record.unit_id, detail, step.at)


def _seal(step: Step) -> None:
    day = step.values["sealed_on"]
    if day > local_day(step.record.unit_id):
        raise InvalidData({"sealed_on": _l("This date lies in the future")})
    if day < local_day(step.record.unit_id, step.record.received_at):
        raise InvalidData({"sealed_on": _l("This is before the statement was made")})


def _invoice(step: Step) -> None:
    """Who is owed something has issued an invoice for it."""
    detail, errors = step.detail, {}
    for name, amount in (("our_invoice", detail.receivable), ("their_invoice", detail.payable)):
        given = step.values.get(name) or ""
        if amount > 0 and not given:
            errors[name] = _l("Please fill this in")
        setattr(detail, name, given)
    if errors:
        raise InvalidData(errors)


def _cancel(step: Step) -> None:
    """Its lines are free for another statement."""
    step.detail.drafting = False
    release_all(step.detail)
    refresh(step.detail)


def due_clause(unit_id: int, kind: str) -> str:
    """Return the clause in force under which a statement of this kind of agent falls due, '' where none is."""
    return next((one for one in DUE_CLAUSES.get(kind, ()) if holds(unit_id, one)), "")


def due_day(unit_id: int, detail: Statement, at: Any) -> date:
    """Return the day by which a statement approved at ``at`` is to be paid: by contract, clause, or thirty days."""
    day = local_day(unit_id, at)
    if detail.payment_days is not None:
        return day + timedelta(detail.payment_days)
    if not detail.clause or not holds(unit_id, detail.clause, at):
        return day + timedelta(DAYS_TO_PAY)
    term = effective(unit_id, detail.clause, at).term("due")
    return deadline(term, at, calendar_for(unit_id)).day or day


# --- the workflow --------------------------------------------------------------------------------

_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
STATES = (
    State(DRAFT, _l("Draft"), "open"),
    State(SENT, _l("Sent, to be answered"), "open"),
    State(DISPUTED, _l("Disputes to be decided"), "open"),
    State(AGREED, _l("Agreed with them"), "open"),
    State(APPROVED, _l("Approved, to be sealed"), "open"),
    State(SEALED, _l("Sealed by both sides"), "open"),
    State(INVOICED, _l("Invoiced, to be paid"), "open"),
    State(PAID, _l("Paid in full"), "open"),
    State(CLOSED, _l("Settled and closed"), "closed"),
    State(CANCELLED, _l("Cancelled"), "cancelled"),
)
FACT_KINDS = (
    FactKind("registered", _l("Statement made"), 0, words=(("period", _l("Period"), ()),)),
    FactKind(COMPLETED, _l("Lines added"), 5, words=(("count", _l("Number of lines"), ()),)),
    FactKind("sent", _l("Sent to the agent"), 20),
    FactKind("lines_confirmed", _l("Lines confirmed"), 25, words=(("count", _l("Number of lines"), ()),)),
    FactKind("line_carried", _l("Line moved to a later statement"), 27, words=(("line", "", ()),)),
    FactKind(
        DECIDED,
        _l("Dispute decided"),
        28,
        words=(("line", "", ()), ("decision", _l("Decision"), values.LINE_STATES)),
    ),
    FactKind("answered", _l("Answered with disputes"), 30),
    FactKind("returned", _l("Sent back to be looked at again"), 32),
    FactKind("agreed", _l("Every line agreed"), 35),
    FactKind("agreed_without", _l("Ended without their agreement"), 36),
    FactKind("reopened", _l("Returned by the approver"), 37),
    FactKind("approved", _l("Statement approved"), 40),
    FactKind("sealed", _l("Sealed by both sides"), 50),
    FactKind("invoiced", _l("Invoices entered"), 60),
    FactKind("paid", _l("Paid in full"), 70),
    FactKind("unpaid", _l("A payment was taken back"), 75),
    FactKind("closed", _l("Statement closed"), 90),
    FactKind("cancelled", _l("Statement cancelled"), 92),
)


def _step(
    name: str,
    label: Any,
    sources: Iterable[str],
    target: str,
    permission: str,
    fact: str,
    *fields: Field,
    **more: Any,
) -> Transition:
    if any(one.name == "reason" for one in fields):
        more["note"] = "reason"
    return Transition(name, label, frozenset(sources), target, permission, fact, fields, **more)


TRANSITIONS = (
    _step(
        "send",
        _l("Send to the agent"),
        (DRAFT,),
        SENT,
        SETTLE,
        "sent",
        guards=(Guard("lines", _has_lines),),
        apply=_send,
        tone="primary",
        weight=10,
    ),
    _step(
        "all_answered",
        _l("All lines answered"),
        (SENT,),
        DISPUTED,
        _FOLLOWS,
        "answered",
        apply=_answered,
        weight=95,
    ),
    _step("look_again", _l("Rejected, to be answered again"), (DISPUTED,), SENT, _FOLLOWS, "returned", weight=95),
    _step(
        "all_agreed",
        _l("All lines agreed"),
        (SENT, DISPUTED),
        AGREED,
        _FOLLOWS,
        "agreed",
        apply=_answered,
        weight=95,
    ),
    _step(
        "agree",
        _l("End without their agreement"),
        (SENT, DISPUTED),
        AGREED,
        APPROVE,
        "agreed_without",
        _REASON,
        guards=(
            Guard("own_company", _own_company),
            Guard("lines", _has_lines),
            Guard("disputes", _nothing_disputed),
        ),
        weight=40,
    ),
    _step("reopen", _l("Return to be looked at again"), (AGREED,), SENT, APPROVE, "reopened", _REASON, weight=45),
    _step(
        "approve",
        _l("Approve the statement"),
        (AGREED,),
        APPROVED,
        APPROVE,
        "approved",
        guards=(
            Guard("own_company", _own_company),
            Guard("lines", _has_lines),
            Guard("other_eyes", _other_eyes),
            Guard("disputes", _nothing_disputed),
        ),
        apply=_approve,
        tone="primary",
        weight=20,
    ),
    _step(
        "seal",
        _l("Enter the sealed statement"),
        (APPROVED,),
        SEALED,
        SETTLE,
        "sealed",
        Field("sealed_on", "date", _l("Sealed by both sides on"), True),
        guards=(Guard("scan", _has_scan),),
        apply=_seal,
        kept=("sealed_on",),
        tone="primary",
        weight=25,
    ),
    _step(
        "invoice",
        _l("Enter the invoices"),
        (SEALED,),
        INVOICED,
        FINANCE,
        "invoiced",
        Field("our_invoice", "text", _l("Our invoice"), max_length=60, help=_l("Needed where they owe us")),
        Field("their_invoice", "text", _l("Their invoice"), max_length=60, help=_l("Needed where we owe them")),
        apply=_invoice,
        kept=("our_invoice", "their_invoice"),
        tone="primary",
        weight=30,
    ),
    _step("paid", _l("Paid in full"), (INVOICED,), PAID, _FOLLOWS, "paid", weight=95),
    _step("unpaid", _l("A payment was taken back"), (PAID,), INVOICED, _FOLLOWS, "unpaid", weight=95),
    _step("close", _l("Close the statement"), (PAID,), CLOSED, FINANCE, "closed", _AT, tone="primary", weight=35),
    _step(
        "cancel",
        _l("Cancel the statement"),
        (DRAFT, SENT, DISPUTED),
        CANCELLED,
        SETTLE,
        "cancelled",
        _REASON,
        apply=_cancel,
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)


def _search_text(record: Record, detail: Statement) -> str:
    agent = session().get(Agent, detail.agent_id)
    return "\n".join((record.number, detail.period, agent.code if agent else "", agent.name if agent else ""))


STATEMENT = RecordType(CODE, _l("Statement of an agent"), "DZ", Statement, WORKFLOW, _search_text)
TYPES: list[RecordType] = [STATEMENT]


def waiting_lines(statement_id: int) -> Any:
    """Select the lines that still count and that nobody answered (again)."""
    return select(StatementLine.id).where(
        StatementLine.statement_id == statement_id,
        ~StatementLine.released,
        StatementLine.state.in_((values.OPEN, values.REJECTED)),
    )

"""The box of a statement on its record's page, and the tiles of settlement."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import has_request_context, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select

from core.sdk import Panel, Record, Tile, detail_of, label_of, local_day, may, read_id, session
from core.sdk_web import page_url

from . import payments, sheets_lines, statements, values
from .models import Contract, Statement, StatementLine
from .rights import APPROVE, FINANCE, SETTLE, VIEW
from .screens_file import agent_url
from .screens_statements import due_badge, payment_badge, payment_url
from .values import OWED_BY_US, OWED_TO_US

LINES = 25
RESULT_TONES = {values.GOOD: "good", values.BAD: "bad", values.UNCHECKED: "neutral"}
LINE_TONES = {
    values.OPEN: "neutral",
    values.CONFIRMED: "good",
    values.DISPUTED: "warn",
    values.ALLOWED: "info",
    values.REJECTED: "warn",
    values.CARRIED: "neutral",
}
# The usual order, with the states in which each part is the next, and those after it.
ORDER = (
    (_l("Reconcile"), (statements.DRAFT, statements.SENT, statements.DISPUTED, statements.AGREED)),
    (_l("Seal by both sides"), (statements.APPROVED,)),
    (_l("Exchange invoices"), (statements.SEALED,)),
    (_l("Pay"), (statements.INVOICED,)),
)
NEXT = {
    statements.DRAFT: _l("Look at the checks that failed, then send the statement to the agent"),
    statements.SENT: _l("The agent confirms or disputes the lines"),
    statements.DISPUTED: _l("Decide the disputes"),
    statements.AGREED: _l("Somebody else than who made it approves it"),
    statements.APPROVED: _l("Print it, let both sides seal it, attach the scan and enter the day"),
    statements.SEALED: _l("Exchange invoices and enter their numbers"),
    statements.INVOICED: _l("Enter the payments"),
    statements.PAID: _l("Paid in full; it can be closed"),
}


@dataclass(frozen=True)
class Check:
    """What an automatic check found, in words."""

    label: Any
    result: Any
    tone: str
    detail: str


@dataclass(frozen=True)
class Side:
    """One direction of a statement: its gross sum, what was paid, what is open (yuan)."""

    label: Any
    gross: Decimal
    paid: Decimal

    @property
    def rest(self) -> Decimal:
        return self.gross - self.paid


def of_record(record: Record) -> list[Panel]:
    """What a statement says, what is open, and what is next."""
    if record.type != statements.CODE or not may(VIEW, record.unit_id):
        return []
    detail = detail_of(record)
    if detail is None:
        return []
    return [Panel("statement", _l("Statement of an agent"), "agents/statement_panel.html", context_of(detail), 5)]


def context_of(detail: Statement) -> dict[str, Any]:
    """Return what the box shows."""
    after = _after()
    page = statements.lines_of(detail.id, after, LINES + 1)
    may_settle, may_finance = may(SETTLE, detail.unit_id), may(FINANCE, detail.unit_id)
    state = detail.record.state
    return {
        "detail": detail,
        "agent": detail.agent,
        "agent_url": agent_url(detail.agent),
        "contract": _contract(detail.contract_id),
        "sides": sides_of(detail),
        "difference": detail.receivable - detail.payable,
        "due": due_badge(detail),
        "order": _order(state),
        "next": NEXT.get(state, ""),
        "lines": page[:LINES],
        "first": not after,
        "more": page[LINES - 1].id if len(page) > LINES else 0,
        "line_url": lambda line: url_for("agents.line", line_id=line.id),
        "record_url": lambda line: page_url("record.page", record_id=line.record_id),
        "label": sheets_lines.label_text,
        "direction": lambda line: label_of(values.DIRECTIONS, line.direction),
        "checks": checks_of,
        "state": lambda line: (label_of(values.LINE_STATES, line.state), LINE_TONES.get(line.state, "neutral")),
        "payments": payments.payments_of(detail.id),
        "payment_url": payment_url,
        "payment_badge": payment_badge,
        "kind": lambda payment: label_of(values.PAYMENT_KINDS, payment.kind),
        "sheet_url": url_for("agents.statement_sheet", statement_id=detail.id) if may_settle else "",
        "answers_url": url_for("agents.statement_answers", statement_id=detail.id)
        if may_settle and state == statements.SENT
        else "",
        "confirm_url": url_for("agents.statement_confirm", statement_id=detail.id)
        if may_settle and state == statements.SENT
        else "",
        "check_url": url_for("agents.statement_check", statement_id=detail.id)
        if may_settle and state in statements.BEFORE_APPROVAL
        else "",
        "print_url": page_url("printing.index", subject=statements.CODE, id=detail.id),
        "pay_url": url_for("agents.payment_new", statement=detail.id)
        if may_finance and state in payments.PAYABLE and any(one.rest for one in sides_of(detail))
        else "",
    }


def _after() -> int:
    return (read_id(request.args.get("lines", "")) or 0) if has_request_context() else 0


def _contract(contract_id: int | None) -> tuple[str, str] | None:
    if contract_id is None:
        return None
    record = session().scalars(
        select(Record).join(Contract, Contract.id == Record.id).where(Record.id == contract_id)
    )
    found = record.first()
    return (found.number, page_url("record.page", record_id=found.id)) if found else None


def sides_of(detail: Statement) -> list[Side]:
    """Return both directions, gross."""
    return [
        Side(label_of(values.DIRECTIONS, OWED_TO_US), detail.receivable, detail.received),
        Side(label_of(values.DIRECTIONS, OWED_BY_US), detail.payable, detail.paid),
    ]


def checks_of(line: StatementLine) -> list[Check]:
    """Return what the automatic checks of a line found, in the order of the list."""
    found = []
    for code, label in values.CHECKS:
        result, *rest = line.checks.get(code, ("",))
        if result:
            tone = RESULT_TONES.get(result, "neutral")
            found.append(Check(label, label_of(values.RESULTS, result), tone, str(rest[0]) if rest else ""))
    return found


def _order(state: str) -> list[tuple[Any, Any, str]]:
    """Return (part, how far, tone) of the usual order."""
    places = {one: place for place, (_label, states) in enumerate(ORDER) for one in states}
    if state == statements.CANCELLED:
        return []
    here = places.get(state, len(ORDER))
    words = []
    for place, (label, _states) in enumerate(ORDER):
        how, tone = (_("later"), "neutral") if place > here else (_("now"), "info")
        words.append((label, _("done"), "good") if place < here else (label, how, tone))
    return words


# --- the first page ------------------------------------------------------------------------------


def tiles(unit: Any, _actor_id: int) -> list[Tile]:
    """Statements that wait for us, and what is overdue."""
    found = []
    if may(SETTLE, unit.id) and (count := _count(unit.id, statements.DISPUTED)):
        url = url_for("agents_statements.index_view", quick="disputed")
        found.append(Tile("agents_disputed", _l("Statements with disputes to decide"), count, url, "warn"))
    if may(APPROVE, unit.id) and (count := _count(unit.id, statements.AGREED)):
        url = url_for("agents_statements.index_view", f_state=statements.AGREED)
        found.append(Tile("agents_agreed", _l("Statements to be approved"), count, url, "warn"))
    if (may(SETTLE, unit.id) or may(FINANCE, unit.id)) and (count := _overdue(unit.id)):
        url = url_for("agents_statements.index_view", quick="overdue")
        found.append(Tile("agents_overdue", _l("Statements whose payment is overdue"), count, url, "bad"))
    return found


def _count(unit_id: int, state: str) -> int:
    wanted = select(func.count()).where(
        Record.unit_id == unit_id, Record.type == statements.CODE, Record.state == state
    )
    return session().scalar(wanted) or 0


def _overdue(unit_id: int) -> int:
    wanted = (
        select(func.count(Statement.id))
        .join(Record, Record.id == Statement.id)
        .where(
            Statement.unit_id == unit_id,
            Statement.due_on < local_day(unit_id),
            Record.state.in_(payments.PAYABLE),
            or_(Statement.receivable != Statement.received, Statement.payable != Statement.paid),
        )
    )
    return session().scalar(wanted) or 0

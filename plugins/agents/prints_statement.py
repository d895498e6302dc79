"""The statement on paper (结算单): every line, both sums gross, what is offset and who pays what until when."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import NotFound, PrintForm, Record, detail_of, label_of, money_math, rmb, session

from . import sheets_lines, statements, values
from .models import Agent, Statement, StatementLine
from .rights import VIEW
from .values import OWED_BY_US, OWED_TO_US

FORM = "agents.statement"
# Signs that every font of ours has; the paper says below what they mean.
MARKS = {values.GOOD: "√", values.BAD: "×", values.UNCHECKED: "○"}
# The paper goes to the other side as well: "they" would be read both ways.
SIDES = {OWED_TO_US: _l("Owed by the agent to us"), OWED_BY_US: _l("Owed by us to the agent")}
ZERO = money_math.ZERO


def paper(record: Record) -> dict[str, Any]:
    """Return what the statement of an agent says on paper.

    Raises:
        NotFound: the record is none.
    """
    detail = detail_of(record)
    if not isinstance(detail, Statement):
        raise NotFound()
    agent = session().scalars(select(Agent).where(Agent.id == detail.agent_id)).one()
    lines = list(sheets_lines.counted(detail.id))
    return {
        "number": record.number,
        "state": str(statements.STATEMENT.workflow.states[record.state].label),
        "agent": agent.name,
        "agent_code": agent.code,
        "period": detail.period,
        "contract": _contract_number(detail),
        "due": detail.due_on.isoformat() if detail.due_on else "",
        "sides": [
            _side(OWED_TO_US, detail.receivable, lines),
            _side(OWED_BY_US, detail.payable, lines),
        ],
        "sums": [[str(label), *_figures(amount)] for label, amount in _sums(detail)],
        "payments": _payments(detail, agent.name),
        "our_invoice": detail.our_invoice,
        "their_invoice": detail.their_invoice,
    }


def _contract_number(detail: Statement) -> str:
    return session().scalar(select(Record.number).where(Record.id == detail.contract_id)) or ""


def _figures(amount: Decimal) -> tuple[str, str]:
    """Return an amount in figures and in capitals."""
    return f"{amount:,.2f}", rmb(amount)


def _side(direction: str, gross: Decimal, lines: Sequence[StatementLine]) -> dict[str, Any]:
    mine = [one for one in lines if one.direction == direction]
    figures, words = _figures(gross)
    return {
        "title": str(SIDES[direction]),
        "gross": figures,
        "words": words,
        "lines": [[str(place), *_line(one)] for place, one in enumerate(mine, 1)],
    }


def _line(one: StatementLine) -> list[str]:
    label = sheets_lines.label_text(one)
    if one.state in (values.DISPUTED, values.REJECTED):
        label = f"{label}\n{label_of(values.LINE_STATES, one.state)}"
    return [one.record.number, label, one.clause, f"{one.amount:,.2f}", _checks(one)]


def _checks(one: StatementLine) -> str:
    found = [(one.checks.get(code, [""])[0], label) for code, label in values.CHECKS]
    return "\n".join(f"{MARKS[result]} {label}" for result, label in found if result in MARKS)


# --- who pays what -------------------------------------------------------------------------------


def to_pay(detail: Statement) -> tuple[Decimal, Decimal, Decimal]:
    """Return (offset, what they pay, what we pay) of both gross sums. A sum below zero is paid by the other side;
    without an agreement nothing is offset."""
    theirs = max(detail.receivable, ZERO) + max(-detail.payable, ZERO)
    ours = max(detail.payable, ZERO) + max(-detail.receivable, ZERO)
    offset = min(theirs, ours) if detail.netting else ZERO
    return offset, theirs - offset, ours - offset


def _sums(detail: Statement) -> list[tuple[Any, Decimal]]:
    offset, theirs, ours = to_pay(detail)
    return [
        (SIDES[OWED_TO_US], detail.receivable),
        (SIDES[OWED_BY_US], detail.payable),
        (_l("Offset by agreement"), offset),
        (_l("To be paid by the agent"), theirs),
        (_l("To be paid by us"), ours),
    ]


def _payments(detail: Statement, agent: str) -> list[str]:
    """Return who pays how much until when, a sentence each."""
    _offset, theirs, ours = to_pay(detail)
    day = detail.due_on.isoformat() if detail.due_on else _("the agreed day after approval")
    told = []
    if theirs:
        told.append(
            _("%(agent)s pays us %(amount)s yuan by %(day)s", agent=agent, amount=f"{theirs:,.2f}", day=day)
        )
    if ours:
        told.append(_("We pay %(agent)s %(amount)s yuan by %(day)s", agent=agent, amount=f"{ours:,.2f}", day=day))
    return told or [_("Nothing is to be paid")]


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code=FORM,
            title=_l("Statement of an agent"),
            subject=statements.CODE,
            template="agents/statement.typ",
            data=paper,
            permission=VIEW,
            seal="business",
        )
    ]

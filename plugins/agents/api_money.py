"""Statements and payments over the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Field, InvalidData, Record, session

from . import file, payments
from .models import Agent, Payment, PaymentLine, Statement, StatementLine
from .rights import FINANCE, VIEW

_AGENT = Field("agent", "text", _l("Agent or partner"), True, max_length=120, help=_l("Number or name in the file"))
_STATEMENT = Field("statement", "text", _l("Number of the statement"), max_length=40)
PAYMENT_FIELDS = (_AGENT, _STATEMENT, *payments.FIELDS)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_statements(), _lines(), _payments()]


def _statements() -> ApiResource:
    return ApiResource(
        path="statements",
        title=_l("Statements of agents"),
        model=Statement,
        permission=VIEW,
        read={
            "id": "integer",
            "number": "string",
            "agent": "string",
            "period": "string",
            "state": "string",
            "receivable": "money",
            "payable": "money",
            "received": "money",
            "paid": "money",
            "line_count": "integer",
            "failed_count": "integer",
            "disputed_count": "integer",
            "netting": "boolean",
            "due_on": "date",
            "sent_at": "moment",
            "approved_at": "moment",
            "our_invoice": "string",
            "their_invoice": "string",
            "lines": "string",
        },
        show=_show_statements,
        filters={"period": Statement.period},
    )


def _show_statements(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("id", "period", "receivable", "payable", "received", "paid", "line_count", "failed_count")
    more = ("disputed_count", "netting", "due_on", "sent_at", "approved_at", "our_invoice", "their_invoice")
    heads, codes = _heads([row.id for row in rows]), _codes([row.agent_id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in (*plain, *more)},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "agent": codes[row.agent_id],
            "lines": f"/api/v1/agents/statement-lines?statement={row.id}",
        }
        for row in rows
    ]


def _lines() -> ApiResource:
    return ApiResource(
        path="statement-lines",
        title=_l("Lines of statements"),
        model=StatementLine,
        permission=VIEW,
        read={
            "id": "integer",
            "statement": "integer",
            "case": "string",
            "charge": "integer",
            "clause": "string",
            "label": "string",
            "direction": "string",
            "amount": "money",
            "checks": "object",
            "failed": "boolean",
            "state": "string",
            "dispute": "string",
            "claimed": "money",
            "answer": "string",
            "released": "boolean",
        },
        show=_show_lines,
        filters={
            "statement": StatementLine.statement_id,
            "state": StatementLine.state,
            "failed": StatementLine.failed,
        },
    )


def _show_lines(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("id", "clause", "label", "direction", "amount", "failed", "state", "dispute", "claimed", "answer")
    heads = _heads([row.record_id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in (*plain, "released", "checks")},
            "statement": row.statement_id,
            "charge": row.charge_id,
            "case": heads[row.record_id].number,
        }
        for row in rows
    ]


def _payments() -> ApiResource:
    return ApiResource(
        path="payments",
        title=_l("Payments of agents"),
        model=Payment,
        permission=VIEW,
        write_permission=FINANCE,
        read={
            "id": "integer",
            "agent": "string",
            "kind": "string",
            "amount": "money",
            "on_account": "money",
            "paid_on": "date",
            "reference": "string",
            "note": "string",
            "void": "boolean",
            "void_reason": "string",
            "entered_at": "moment",
            "lines": "objects",
        },
        show=_show_payments,
        filters={"kind": Payment.kind, "reference": Payment.reference, "void": Payment.void},
        fields=PAYMENT_FIELDS,
        create=_create,
    )


def _show_payments(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("id", "kind", "amount", "paid_on", "reference", "note", "void", "void_reason", "entered_at")
    keys = [row.id for row in rows]
    codes, rests = _codes([row.agent_id for row in rows]), payments.rest_of(keys)
    lines: dict[int, list[PaymentLine]] = defaultdict(list)
    for one in payments.lines_of(keys):
        lines[one.payment_id].append(one)
    heads = _heads([one.statement_id for found in lines.values() for one in found])
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "agent": codes[row.agent_id],
            "on_account": rests[row.id],
            "lines": [
                {"statement": heads[one.statement_id].number, "direction": one.direction, "amount": one.amount}
                for one in lines[row.id]
            ],
        }
        for row in rows
    ]


def _heads(ids: Sequence[int]) -> dict[int, Record]:
    wanted = select(Record).where(Record.id.in_(set(ids)))
    return {row.id: row for row in session().scalars(wanted)}


def _codes(ids: Sequence[int]) -> dict[int, str]:
    found = session().execute(select(Agent.id, Agent.code).where(Agent.id.in_(set(ids))))
    return {row.id: row.code for row in found}


def _create(unit_id: int, given: Mapping[str, Any]) -> Payment:
    """Enter a payment of the agent and statement that are named by their numbers.

    Raises:
        InvalidData: no such agent or statement here.
    """
    agent = file.find_agent(unit_id, given.get("agent"))
    if agent is None:
        raise InvalidData({"agent": _l("There is no such agent here")})
    about = {"agent_id": agent.id, "statement_id": None}
    if given.get("statement"):
        wanted = (
            select(Statement.id)
            .join(Record, Record.id == Statement.id)
            .where(
                Statement.unit_id == unit_id, Statement.agent_id == agent.id, Record.number == given["statement"]
            )
        )
        about["statement_id"] = session().scalar(wanted)
        if about["statement_id"] is None:
            raise InvalidData({"statement": _l("There is no statement of this number with the agent")})
    return payments.register(unit_id, {**given, **about})

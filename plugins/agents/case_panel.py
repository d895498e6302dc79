"""The box of a case that agents have to do with: who bears it and why, notice, request, bill, what is next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Column, Panel, Record, current_locale, label_of, local_day, may, session
from plugins.products import services as products

from . import bearing, billing, notices, rates, requests, sellers, values
from .bearing import Bearer
from .models import Agent, CaseAgent, Contract, Seller, Statement, StatementLine
from .rights import HANDLE, VIEW
from .workflow import TRANSITIONS

TEMPLATE = "agents/case_panel.html"
CASE_LIST = "cases"
PAYERS = {bearing.AGENT: _l("Agent"), bearing.PARTNER: _l("Partner"), billing.COMPANY: _l("Our company")}
_STEPS = {one.name.partition(":")[2]: one for one in TRANSITIONS}


def of_case(record: Record) -> list[Panel]:
    """Return the box of a case, nothing where no agent or partner has to do with it."""
    if record.type != "case" or not may(VIEW, record.unit_id):
        return []
    bearer, row, agent = bearing.bearer_of(record), billing.bill_of(record), bearing.agent_of(record)
    if not (bearer or row or agent or bearing.sold_class_of(record) in sellers.KIND_OF):
        return []
    request = requests.request_of(record)
    told = notices.notice_of(record) if agent is not None else None
    context = {
        "record": record,
        "bearer": bearer,
        "payer": PAYERS.get(bearer.payer) if bearer else "",
        "agent": agent,
        "notice": told,
        "means": label_of(values.NOTICE_MEANS, told.means) if told else "",
        "request": request,
        "form": label_of(values.REQUEST_FORMS, request.form) if request else "",
        "contract": _contract(record, bearer, row),
        "bill": row,
        "lines": _lines(row) if row is not None else [],
        "sum": _sum(row.lines, bearer.payer) if row is not None and bearer is not None else None,
        "statements": _statements(record),
        "steps": _next(record, bearer, agent, told is not None),
    }
    return [Panel("agent", _l("Agent or partner"), TEMPLATE, context, 18)]


def _contract(record: Record, bearer: Bearer | None, row: CaseAgent | None) -> Mapping[str, Any] | None:
    """Return the contract a case is or was billed by, with its last day."""
    key = row.contract_id if row is not None and row.billed_at is not None else None
    key = key or (bearer.terms.contract_id if bearer is not None else None)
    held = session().get(Contract, key) if key is not None else None
    if held is None:
        return None
    last = min((one for one in (held.ends_on, held.ended_on) if one is not None), default=None)
    over = last is not None and last < local_day(record.unit_id)
    return {"id": held.id, "number": held.record.number, "name": held.name, "until": last, "over": over}


def _lines(row: CaseAgent) -> list[Mapping[str, Any]]:
    return [
        {
            "label": one["label"].get(current_locale()) or one["label"]["zh"],
            "payer": PAYERS.get(one["payer"], one["payer"]),
            "quantity": one["quantity"],
            "price": Decimal(one["price"]),
            "amount": Decimal(one["amount"]),
            "why": label_of(rates.WHYS, one["why"]) if one["why"] else "",
            "clause": one["clause"],
        }
        for one in row.lines
    ]


def _sum(lines: Iterable[Mapping[str, Any]], payer: str) -> Decimal:
    return sum((Decimal(one["amount"]) for one in lines if one["payer"] == payer), Decimal("0.00"))


def _statements(record: Record) -> list[Mapping[str, Any]]:
    """Return the statements lines of a case stand on, oldest first."""
    found = (
        select(Record.id, Record.number, Statement.period)
        .join(Statement, Statement.id == Record.id)
        .join(StatementLine, StatementLine.statement_id == Statement.id)
        .where(StatementLine.record_id == record.id, ~StatementLine.released)
        .distinct()
        .order_by(Record.id)
    )
    return [{"id": key, "number": number, "period": period} for key, number, period in session().execute(found)]


def _next(record: Record, bearer: Bearer | None, agent: Agent | None, told: bool) -> list[tuple[Any, str]]:
    """Return the steps that lead on, as (label, address); the page itself says what stands against the others."""
    if not may(HANDLE, record.unit_id):
        return []
    wanted: list[str] = []
    if agent is None:
        wanted.append("name")
    elif bearer is not None and bearer.needs_notice and not told:
        wanted.append("notify")
    if agent is not None and bearer is not None and not billing.is_settled(record):
        wanted += ["bill", "nothing"]
    steps = [_STEPS[name] for name in wanted]
    return [
        (one.label, url_for("record.do", record_id=record.id, step=one.name))
        for one in steps
        if record.state in one.sources
    ]


# --- the list of cases ---------------------------------------------------------------------------


def columns(list_name: str) -> list[Column]:
    """Return the agent of each case, for the list of cases."""
    return [Column("agent", _l("Agent"), of_rows)] if list_name == CASE_LIST else []


def of_rows(rows: Sequence[Any]) -> Mapping[int, Any]:
    """Return the agents' names of cases by id, in two statements for a page: billed or named, else the seller."""
    ids = [row.id for row in rows]
    if not ids:
        return {}
    entered = (
        select(CaseAgent.record_id, Agent.name)
        .join(Agent, Agent.id == CaseAgent.agent_id)
        .where(CaseAgent.record_id.in_(ids))
    )
    linked = products.ProductRecord
    sold = (
        select(linked.record_id, Agent.name)
        .join(Seller, (Seller.item_id == linked.item_id) & Seller.current)
        .join(Agent, Agent.id == Seller.agent_id)
        .where(linked.record_id.in_(ids))
    )
    return {key: name for statement in (sold, entered) for key, name in session().execute(statement)}

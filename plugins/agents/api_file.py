"""Agents, contracts and sellers over the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import ApiResource, Record, session

from . import contracts, file
from .models import Agent, Contract
from .rights import KEEP, VIEW

AGENT_NAMES = (
    "code",
    "name",
    "kind",
    "level",
    "regions",
    "phone",
    "email",
    "address",
    "tax_number",
    "note",
    "active",
    "version",
)
CONTRACT_NAMES = (
    "name",
    "series",
    "regions",
    "starts_on",
    "ends_on",
    "signed_on",
    "ended_on",
    "currency",
    "handling_base",
    "out_payer",
    "netting",
    "settlement_day",
    "payment_days",
    "clawback_days",
)


def resources() -> list[ApiResource]:
    """Return the collections."""
    return [_agents(), _contracts()]


# --- agents and contracts ------------------------------------------------------------------------


def _agents() -> ApiResource:
    return ApiResource(
        path="agents",
        title=_l("Agents and partners"),
        model=Agent,
        permission=VIEW,
        write_permission=KEEP,
        read={
            **dict.fromkeys(AGENT_NAMES, "string"),
            "active": "boolean",
            "version": "integer",
        },
        show=lambda rows: [_plain(row, AGENT_NAMES) for row in rows],
        filters={"code": Agent.code, "name": Agent.name, "kind": Agent.kind, "active": Agent.active},
        fields=(*file.FIELDS, file.ACTIVE),
        create=_create_agent,
        change=_change_agent,
    )


def _plain(row: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return columns of a row; lists of names as the text they are entered as."""
    found = {name: getattr(row, name) for name in names}
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in found.items()}


def _create_agent(unit_id: int, given: Mapping[str, Any]) -> Agent:
    return file.save_agent(unit_id, {**given, "active": True})


def _change_agent(row: Agent, given: Mapping[str, Any]) -> Agent:
    held = {one.name: getattr(row, one.name) for one in (*file.FIELDS, file.ACTIVE)}
    return file.save_agent(row.unit_id, {**held, **given}, row)


def _contracts() -> ApiResource:
    return ApiResource(
        path="contracts",
        title=_l("Agent contracts"),
        model=Contract,
        permission=VIEW,
        read={
            "number": "string",
            "agent": "string",
            "state": "string",
            "name": "string",
            "series": "string",
            "regions": "string",
            "starts_on": "date",
            "ends_on": "date",
            "signed_on": "date",
            "ended_on": "date",
            "currency": "string",
            "handling_rate": "string",
            "handling_base": "string",
            "out_payer": "string",
            "netting": "boolean",
            "settlement_day": "integer",
            "payment_days": "integer",
            "clawback_days": "integer",
            "rates": "objects",
        },
        show=_show_contracts,
        filters={"starts_on": Contract.starts_on, "ends_on": Contract.ends_on},
    )


def _show_contracts(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    """One mapping per contract, with its record, agent and rates in a statement each."""
    ids = [row.id for row in rows]
    records = {one.id: one for one in session().scalars(select(Record).where(Record.id.in_(ids)))}
    wanted = select(Agent.id, Agent.code).where(Agent.id.in_({row.agent_id for row in rows}))
    codes = {row.id: row.code for row in session().execute(wanted)}
    rates = contracts.rates_of(ids)
    return [
        {
            **_plain(row, CONTRACT_NAMES),
            "handling_rate": None if row.handling_rate is None else f"{row.handling_rate:f}",
            "number": records[row.id].number,
            "state": records[row.id].state,
            "agent": codes[row.agent_id],
            "rates": [
                {
                    "direction": one.direction,
                    "basis": one.basis,
                    "nature": one.nature,
                    "amount": f"{one.amount:.2f}",
                }
                for one in rates.get(row.id, ())
            ],
        }
        for row in rows
    ]

"""Boxes about agents: contract, seller of an item, tiles."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Panel, Record, Tile, detail_of, label_of, local_day, may, session, setting
from core.sdk_web import page_url

from . import contract_form, contracts, values
from .models import Agent, Contract, Rate
from .rights import KEEP, VIEW
from .settings import CONTRACT_WARN_DAYS

MOST_COUNTED = 100


def of_record(record: Record) -> list[Panel]:
    """The box of a contract: what was agreed, its rates, and what does not go together."""
    detail = detail_of(record) if record.type == contracts.CODE else None
    if detail is None or not may(VIEW, record.unit_id):
        return []
    may_change = record.state == contracts.DRAFT and may(KEEP, record.unit_id)
    context = {
        "detail": detail,
        "agent": detail.agent,
        "agent_url": page_url("agents_agent.details_view", id=detail.agent_id),
        "facts": _facts(detail),
        "rates": _rate_rows(contracts.rates_of([record.id]).get(record.id, [])),
        "who": [label for _code, label in values.DIRECTIONS],
        "warnings": _warnings(record, detail),
        "shared": [
            (one.number, other.agent.name, page_url("record.page", record_id=one.id))
            for one, other in _others(record, detail)
        ],
        "edit_url": url_for("agents_contract.edit_view", id=record.id) if may_change else "",
    }
    return [Panel("contract", _l("Agent contract"), "agents/contract.html", context, 5)]


def _others(record: Record, detail: Contract) -> list[tuple[Record, Contract]]:
    if record.state in contracts.OVER:
        return []
    return contracts.others_in_region(detail)


def _facts(detail: Contract) -> list[tuple[Any, Any]]:
    fee = "" if detail.handling_rate is None else f"{detail.handling_rate:f}%"
    return [
        (_l("Name of the contract"), detail.name),
        (_l("Product series"), "、".join(detail.series or ()) or _l("All")),
        (_l("Regions"), "、".join(detail.regions or detail.agent.regions or ())),
        (_l("Valid from"), detail.starts_on),
        (_l("Valid until"), detail.ends_on),
        (_l("Signed on"), detail.signed_on),
        (_l("Ended on"), detail.ended_on),
        (_l("Currency"), label_of(values.CURRENCIES, detail.currency)),
        (_l("Handling fee"), fee or _l("As the clause says")),
        (_l("Handling fee on"), label_of(values.HANDLING_BASES, detail.handling_base) or _l("As the clause says")),
        (_l("Out of warranty paid by"), label_of(values.OUT_PAYERS, detail.out_payer)),
        (_l("Amounts are offset"), _l("Yes") if detail.netting else _l("No")),
        (_l("Settlement day"), detail.settlement_day),
        (_l("Days to pay"), _l("As the clause says") if detail.payment_days is None else detail.payment_days),
        (
            _l("Days in which a repeated repair is taken back"),
            _l("As the clause says") if detail.clawback_days is None else detail.clawback_days,
        ),
    ]


def _rate_rows(rates: list[Rate]) -> list[tuple[Any, list[tuple[Decimal, str] | None]]]:
    """Return a row for each kind of rate agreed: its label, and by direction (amount, kind of number) or None."""
    held = {(one.direction, one.basis, one.nature): one.amount for one in rates}
    rows = []
    for basis, nature, label in contract_form.RATE_LABELS:
        cells: list[tuple[Any, str] | None] = []
        for direction, _who in values.DIRECTIONS:
            amount = held.get((direction, basis, nature))
            cells.append(
                None if amount is None else (amount, "percent" if basis in contract_form.PERCENTS else "money")
            )
        if any(one is not None for one in cells):
            rows.append((label, cells))
    return rows


def _warnings(record: Record, detail: Contract) -> list[Any]:
    today, found = local_day(record.unit_id), []
    if record.state == contracts.IN_FORCE and detail.ends_on is not None:
        if detail.ends_on < today:
            found.append(_l("Run out on %(day)s, and not ended yet", day=detail.ends_on))
        elif detail.ends_on <= _warn_until(record.unit_id, today):
            found.append(_l("Ends on %(day)s", day=detail.ends_on))
    other = contracts.overlapping(record, detail) if record.state in (contracts.DRAFT, contracts.SIGNED) else None
    if other is not None:
        number = other[0].number
        found.append(_l("Contract %(number)s holds for the same products and days", number=number))
    gone = contracts.gone_series(record.unit_id, [detail]) if record.state not in contracts.OVER else {}
    if gone:
        names = "、".join(gone[detail.id])
        found.append(
            _l("Names a series that does not exist (any more), so it does not count for it: %(names)s", names=names)
        )
    if record.state in (contracts.DRAFT, contracts.SIGNED) and not detail.agent.active:
        found.append(_l("This agent is out of use"))
    return found


def _warn_until(unit_id: int, today: date) -> date:
    return today + timedelta(days=int(setting(unit_id, CONTRACT_WARN_DAYS)))


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Contracts that end soon, and those that ran out without being ended."""
    if not may(VIEW, unit.id):
        return []
    today = local_day(unit.id)
    in_force = (
        select(Contract.id)
        .join(Record, Record.id == Contract.id)
        .join(Agent, Agent.id == Contract.agent_id)
        .where(Contract.unit_id == unit.id, Record.state == contracts.IN_FORCE, Agent.active)
    )
    soon = in_force.where(Contract.ends_on >= today, Contract.ends_on <= _warn_until(unit.id, today))
    over = in_force.where(Contract.ends_on < today)
    found = [
        _tile("agents_soon", _l("Agent contracts that end soon"), soon, "soon", "warn"),
        _tile("agents_over", _l("Agent contracts that ran out"), over, "over", "bad"),
    ]
    return [one for one in found if one is not None]


def _tile(code: str, title: Any, wanted: Any, quick: str, tone: str) -> Tile | None:
    count = len(session().scalars(wanted.limit(MOST_COUNTED)).all())
    if not count:
        return None
    return Tile(code, title, count, url_for("agents_contract.index_view", quick=quick), tone)

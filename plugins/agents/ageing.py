"""What agents and we owe each other, by how long it is overdue. Summed in the database, in whole cents."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import case, func, or_, select

from core.sdk import Record, local_day, money_math, session

from . import payments
from .models import Agent, Statement
from .values import OWED_BY_US, OWED_TO_US, PAID_TO, RECEIVED_FROM

ZERO = money_math.ZERO
# Up to how many days after the due day an amount counts to a bucket; the last has no end.
DAYS = (0, 30, 60, 90)
BUCKETS = (
    _l("Not due yet"),
    _l("1–30 days late"),
    _l("31–60 days late"),
    _l("61–90 days late"),
    _l("More than 90 days late"),
)
MOST_AGENTS = 1000


def _none() -> list[Decimal]:
    return [ZERO] * len(BUCKETS)


@dataclass
class AgentAgeing:
    """A line of the list: what is open by direction and bucket, and what is on account (yuan)."""

    agent_id: int
    code: str
    name: str
    owed: dict[str, list[Decimal]] = field(default_factory=lambda: {OWED_TO_US: _none(), OWED_BY_US: _none()})
    on_account: dict[str, Decimal] = field(default_factory=lambda: {RECEIVED_FROM: ZERO, PAID_TO: ZERO})

    def total(self, direction: str) -> Decimal:
        return sum(self.owed[direction], ZERO)


def ageing_of(unit_id: int, today: date | None = None) -> list[AgentAgeing]:
    """Return what is open of the approved statements of a unit by agent, and what is on account."""
    bucket = _bucket(today or local_day(unit_id))
    rows = (
        select(
            Agent.id,
            Agent.code,
            Agent.name,
            bucket.label("bucket"),
            func.sum(money_math.cents(Statement.receivable) - money_math.cents(Statement.received)),
            func.sum(money_math.cents(Statement.payable) - money_math.cents(Statement.paid)),
        )
        .join(Statement, Statement.agent_id == Agent.id)
        .join(Record, Record.id == Statement.id)
        .where(
            Agent.unit_id == unit_id,
            Statement.unit_id == unit_id,
            Record.state.in_(payments.PAYABLE),
            or_(Statement.receivable != Statement.received, Statement.payable != Statement.paid),
        )
        .group_by(Agent.id, Agent.code, Agent.name, bucket)
        .order_by(Agent.code)
    )
    found: dict[int, AgentAgeing] = {}
    for agent_id, code, name, place, receivable, payable in session().execute(rows):
        one = found.setdefault(agent_id, AgentAgeing(agent_id, code, name))
        one.owed[OWED_TO_US][place] += money_math.from_cents(receivable)
        one.owed[OWED_BY_US][place] += money_math.from_cents(payable)
    _add_on_account(unit_id, found)
    return sorted(found.values(), key=lambda one: one.code)[:MOST_AGENTS]


def _bucket(today: date) -> Any:
    """The place of a due day among ``BUCKETS``; without one it is not due."""
    ends = [(Statement.due_on >= today - timedelta(days=days), place) for place, days in enumerate(DAYS)]
    return case((Statement.due_on.is_(None), 0), *ends, else_=len(DAYS))


def _add_on_account(unit_id: int, found: dict[int, AgentAgeing]) -> None:
    for agent_id, code, name, kind, rest in payments.held_on_account(unit_id):
        one = found.setdefault(agent_id, AgentAgeing(agent_id, code, name))
        one.on_account[kind] = rest


def totals_of(rows: list[AgentAgeing]) -> AgentAgeing:
    """Add up the list."""
    whole = AgentAgeing(0, "", "")
    for one in rows:
        for direction, amounts in one.owed.items():
            whole.owed[direction] = [a + b for a, b in zip(whole.owed[direction], amounts, strict=True)]
        for kind, rest in one.on_account.items():
            whole.on_account[kind] += rest
    return whole

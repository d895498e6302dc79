"""Clauses about classes, requests of partners, currency, pay of service agents and recurring work.

The numbers of the classes 4.2 and 4.3 are the parameters of R18-4.2, R19-4.2 and R19-4.3; where none of them holds
the family of these regulations counts as ever. R13-5.2.2 and R19-5.2.2 say which class is served out of warranty on
a partner's request only. What contracts decide is worked out in ``bearing``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import GateRule, Rule, ScheduleRule, ServiceRule, Step, session
from plugins.products import services as products

from . import bearing, evaluations, orders, requests, values
from .models import Agent, Contract, Statement

# By the sold classes of the product file.
products.counted_by.update(
    {
        bearing.SOLD_BY_AGENT: ("R18-4.2",),
        bearing.OF_PARTNER: ("R19-4.2",),
        bearing.SOLD_BY_PARTNER: ("R19-4.3",),
    }
)
# Nothing of the service itself begins before the request is agreed to, and no price is told either.
SERVING = ("assign", "depart", "arrive", "start", "solve", "warranty:quote")

_FILE, _CASE = _l("Product file"), _l("Agent of a case")


def _requested(clause: str) -> Callable[[Step, Any], Any]:
    return lambda step, _values: requests.against(step.record, clause, step.at)


def _paid_in(step: Step, given: Any) -> Any:
    """R14-5.8.1: contracts in another currency are not signed, statements of such are not invoiced."""
    wanted, used = str(given["currency"]).strip().upper(), _currency_of(step.detail)
    if not wanted or used == wanted:
        return None
    return _l("Fees are settled in %(wanted)s, this is in %(used)s", wanted=_words(wanted), used=_words(used))


def _currency_of(detail: Contract | Statement) -> str:
    """Return the currency of a contract, or of a statement; without a contract that is ours."""
    if isinstance(detail, Contract):
        return detail.currency
    contract = session().get(Contract, detail.contract_id) if detail.contract_id is not None else None
    return contract.currency if contract is not None else values.CNY


def _words(currency: str) -> Any:
    return dict(values.CURRENCIES).get(currency, currency)


def active_service_agents(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return key and name of every service agent in use, for recurring work (R22-1.X4)."""
    mine = Agent.unit_id == unit_id, Agent.kind == values.SERVICE, Agent.active
    found = session().execute(select(Agent.code, Agent.name).where(*mine).order_by(Agent.code))
    return [(evaluations.subject_of(row.code), row.name, None) for row in found]


_CLASSES: tuple[Rule, ...] = tuple(
    ServiceRule(
        clause=one,
        does="routing",
        place="products.class_number",
        words=(_FILE, _l("Product class of an item and its cases")),
    )
    for one in ("R18-4.2", "R19-4.2", "R19-4.3")
)
_REQUESTS: tuple[Rule, ...] = (
    *(
        GateRule(clause=clause, step=f"case.{step}", check=_requested(clause), code="request", inside=True)
        for clause in requests.CLAUSES
        for step in SERVING
    ),
    *(
        ServiceRule(
            clause=clause,
            does="approval",
            place="agents.requests",
            words=(_CASE, _l("Enter the partner's request")),
        )
        for clause in requests.CLAUSES
    ),
    *(
        ServiceRule(
            clause=group,
            does="routing",
            place="agents.requests",
            words=(_CASE, _l("Which class a partner asks for in writing")),
        )
        for group in requests.CLAUSES.values()
    ),
)
_CONTRACTS: tuple[Rule, ...] = (
    *(
        ServiceRule(
            clause=one,
            does="routing",
            place="agents.bearing",
            words=(_CASE, _l("Whose contract decides who pays, and how much")),
        )
        for one in (bearing.AGENT_CONTRACT, bearing.PARTNER_CONTRACT, *bearing.OUT_CONTRACTS)
    ),
    ServiceRule(
        clause="R18-5.2.2",
        does="routing",
        place="agents.bearing",
        words=(_CASE, _l("Out of warranty the customer pays, whoever sold it")),
    ),
)
_CURRENCY: tuple[Rule, ...] = (
    *(
        GateRule(clause="R14-5.8.1", step=step, check=_paid_in, code="currency")
        for step in ("agents_contract.sign", "agents_contract.start", "agents_statement.invoice")
    ),
    ServiceRule(
        clause="R14-5.8.1", does="fee", place="agents.contracts", words=(_l("Agent contract"), _l("Currency"))
    ),
)
_PAY: tuple[Rule, ...] = (
    ServiceRule(
        clause=orders.OWED,
        does="fee",
        place="agents.orders",
        words=(_l("Orders to service agents"), _l("What we owe for an order")),
    ),
    ServiceRule(
        clause=orders.TAKEN_BACK,
        does="fee",
        place="agents.orders",
        words=(_l("Orders to service agents"), _l("Take back what we owe")),
    ),
)
_RECURRING: tuple[Rule, ...] = (
    ScheduleRule(clause="R14-5.8.2", title=_l("Make the statements of last month for agents")),
    ScheduleRule(clause=evaluations.CLAUSE, title=_l("Evaluate the service agent"), subjects=active_service_agents),
)

RULES: list[Rule] = [*_CLASSES, *_REQUESTS, *_CONTRACTS, *_CURRENCY, *_PAY, *_RECURRING]

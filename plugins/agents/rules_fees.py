"""Clauses about what agents and partners pay.

A case that somebody else bears is billed by the step ``agents:bill``; each clause gives the lines if it is the one
the case is billed under. Until then our own cost is not booked and the case is not closed. What a partner's parts
cost the customer is a line of warranty's quote, under the clause of the handling fee.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import FeeRule, GateRule, Line, Record, Refused, Rule, Step, effective, holds, local_day
from plugins.products import services as products
from plugins.warranty import services as warranty

from . import bearing, billing, contracts, values
from .models import Agent

QUOTE, COST, CLOSE = "case.warranty:quote", "case.warranty:cost", "case.close"
HANDLING_FEES = ("R19-5.2.2.3b", "R13-5.2.2.3b")
PLUGIN = "agents"

_NOT_OURS = _l(
    "An agent or partner bears this case: work out what they pay instead, or say why nothing is collected"
)
_NOT_THEIRS = _l("The partner pays for this case by contract: work out what they pay instead")
_UNBILLED = _l("Work out what the agent or partner pays first, or say why nothing is collected")


# --- billing -------------------------------------------------------------------------------------


def _billed(clause: str) -> Callable[[Step, Any], list[Line]]:
    def lines(step: Step, _values: Any) -> list[Line]:
        bill = billing.of_step(step)
        return billing.lines_of(step.record, bill) if bill.bearer.clause == clause else []

    return lines


def _borne(clause: str, reason: Any) -> Callable[[Step, Any], Any]:
    """Refuse while somebody bears the case under a clause, unless nothing is collected from them."""
    return lambda step, _values: reason if _is_borne(step, clause) and not billing.is_waived(step.record) else None


def _unbilled(clause: str) -> Callable[[Step, Any], Any]:
    return lambda step, _values: (
        _UNBILLED if _is_borne(step, clause) and not billing.is_settled(step.record) else None
    )


def _is_borne(step: Step, clause: str) -> bool:
    bearer = bearing.bearer_of(step.record, step.at)
    return bearer is not None and bearer.clause == clause


def borne_by_others(record: Record) -> bool:
    """Tell warranty whether somebody else than the customer and us pays for a case."""
    return bearing.bearer_of(record) is not None and not billing.is_waived(record)


# --- parts a partner supplies --------------------------------------------------------------------


def partner_terms(
    unit_id: int, product_class: str, at: datetime, record: Record | None, item: Any
) -> warranty.PartnerTerms | None:
    """Say by which fee the customer pays for parts of a partner (R19-5.2.2.3b, R13-5.2.2.3b), None where by none.

    The clause is about what the partner itself sold; what its contract in force says of rate and base goes before
    the clause's own.
    """
    if not product_class or products.class_number(unit_id, bearing.SOLD_BY_PARTNER) != product_class:
        return None
    clause = next((one for one in HANDLING_FEES if holds(unit_id, one, at)), "")
    if not clause:
        return None
    said = effective(unit_id, clause, at).values
    terms = _contract(unit_id, at, record, item)
    rate = said["rate"] if terms.handling_rate is None else terms.handling_rate
    return warranty.PartnerTerms(clause, rate, terms.handling_base or said["base"])


def _contract(unit_id: int, at: datetime, record: Record | None, item: Any) -> values.Terms:
    agent = bearing.agent_of(record) if record is not None else bearing.partner_of(unit_id, item)
    if agent is None:
        return values.Terms()
    day = local_day(unit_id, record.received_at if record is not None else at)
    return _terms(agent, day, bearing.series_of_item(bearing.item_of(record) if record is not None else item))


def _terms(agent: Agent, day: Any, series: Any) -> values.Terms:
    try:
        return contracts.terms_of(agent, day, series)
    except Refused:
        return values.Terms()


def _partner_fee(clause: str) -> Callable[[Step, Any], list[Line]]:
    def lines(step: Step, _values: Any) -> list[Line]:
        mine = (one for one in warranty.lines_of_step(step) if one.clause == clause)
        return [
            Line(one.code, one.label, one.payer, one.quantity, one.price)
            for one in mine
            if one.payer == billing.CUSTOMER
        ]

    return lines


warranty.partner_terms[PLUGIN] = partner_terms
warranty.others_bear[PLUGIN] = borne_by_others

RULES: list[Rule] = [
    *(FeeRule(clause=one, step=billing.STEP, lines=_billed(one)) for one in bearing.CLAUSES),
    *(FeeRule(clause=one, step=QUOTE, lines=_partner_fee(one)) for one in HANDLING_FEES),
    *(GateRule(clause=one, step=COST, check=_borne(one, _NOT_OURS), code="borne") for one in bearing.CLAUSES),
    *(
        GateRule(clause=one, step=QUOTE, check=_borne(one, _NOT_THEIRS), code="borne")
        for one in bearing.OUT_CONTRACTS
    ),
    *(GateRule(clause=one, step=CLOSE, check=_unbilled(one), code="unbilled") for one in bearing.CLAUSES),
]

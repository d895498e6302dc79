"""The clauses about purchase and applications: who agrees to what, once.

A plan needs the agreement its clause names: by need the department manager's (R35-4.4; given already where it
carries out a granted application), of a month's losses R35-4.9's, of a year R32-2.1's. R15-19 adds the leader.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import ApprovalRule, ChecklistRule, RoutingRule, Rule, ServiceRule, Step

from . import applications, purchase_flow, values
from .purchase import ADDITIONAL, MONTH_CLAUSE, YEAR_CLAUSE

LEADER = "R15-19"
_TITLE = _l("Purchase of tools")


def _by_need(step: Step, _said: Mapping[str, Any]) -> bool:
    """The manager has agreed to what a granted application asks for."""
    return step.detail.kind == values.BY_NEED and step.detail.application_id is None


def _monthly(step: Step, _said: Mapping[str, Any]) -> bool:
    return bool(step.detail.kind == values.MONTHLY)


def _yearly(step: Step, _said: Mapping[str, Any]) -> bool:
    return bool(step.detail.kind == values.YEARLY)


def _agreement(clause: str, wanted: Any = None) -> ApprovalRule:
    return ApprovalRule(
        clause=clause,
        step=purchase_flow.APPROVE,
        title=_TITLE,
        position_from="position",
        wanted=wanted,
        amount=purchase_flow.amount_of,
    )


def _turn(name: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], str]:
    return lambda _read, said: str(said[name])


# The clauses by which an application is decided; those that are gates as well stand with the gates of hand-overs.
APPLYING = ("R33-3.2", "R33-6.1", "R35-4.4", "R35-5.1", "R35-5.2")
RULES: list[Rule] = [
    # Whose turn it is: finance checks the prices of what was drafted, then the leader agrees.
    RoutingRule(clause=LEADER, step=f"{purchase_flow.CODE}.register", position=_turn("checks")),
    RoutingRule(clause=LEADER, step=f"{purchase_flow.CODE}.price", position=_turn("position")),
    _agreement(LEADER),
    _agreement(ADDITIONAL, _by_need),
    _agreement(MONTH_CLAUSE, _monthly),
    _agreement(YEAR_CLAUSE, _yearly),
    ChecklistRule(clause="R32-2.2", step=f"{purchase_flow.CODE}.order", items=purchase_flow.ORDER_ITEMS),
    *(
        ServiceRule(
            clause=one, does="approval", place=applications.SUBJECT, words=(_l("Application"), _l("Decision"))
        )
        for one in APPLYING
    ),
]

"""The clauses about what is charged and what is free.

All lines of a plan are worked out together (``pricing``), once for a step; each clause then gives those that stand
under it: what somebody else pays at the step ``warranty:quote``, what the company bears at ``warranty:cost``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import ApprovalRule, FeeRule, GateRule, Line, Rule, Step, label_of

from . import decisions, plans, pricing, values
from .fee_clauses import ALL_FREE, CLAUSES, SHEETS
from .values import PricedLine

QUOTE, COST = "case.warranty:quote", "case.warranty:cost"
OTHER_WORK = ("R13-5.2.3.1", "R19-5.2.3.1")


def _fee(clause: str, step_name: str, chosen: Callable[[Sequence[PricedLine]], list[PricedLine]]) -> FeeRule:
    def lines(step: Step, _values: Any) -> list[Line]:
        mine = (one for one in chosen(plans.of_step(step).lines) if one.clause == clause)
        return [Line(one.code, one.label, one.payer, one.quantity, one.price) for one in mine]

    return FeeRule(clause=clause, step=step_name, lines=lines)


def _all_free(step: Step, _values: Any) -> Any:
    """R03-7.1: where the company pays for everything nothing is quoted."""
    item = plans.products.item_of_record(step.record)
    category = plans.category_of(item)
    if plans.policy_of(step.record.unit_id, category, step.at) != values.FREE:
        return None
    return _l("The company bears all cost of service; nothing is charged to the customer")


def cost_sheet(given: Any, terms: Any) -> Any:
    """Return what is wrong with the price of work on a competitor's product, None where it is in order.

    All eight items of cost are given, zero among them, and the profit is at least the clause's; exactly as much
    passes (R13-5.2.3.2, R19-5.2.3.2).
    """
    missing = [code for code, _label in values.COMPETITOR_COSTS if given.get(f"cost_{code}") is None]
    if missing:
        words = "、".join(str(label_of(values.COMPETITOR_COSTS, code)) for code in missing)
        return _l("Not on the cost sheet yet: %(items)s", items=words)
    if given.get("price") is None:
        return _l("The price asked is missing")
    costs = [given[f"cost_{code}"] for code, _label in values.COMPETITOR_COSTS]
    least = pricing.least_price(costs, Decimal(terms["profit"]), terms["basis"])
    if given["price"] >= least:
        return None
    return _l(
        "With a profit of %(profit)s percent the price is at least %(least)s yuan",
        profit=terms["profit"],
        least=least,
    )


def _check_sheet(step: Step, terms: Any) -> Any:
    return cost_sheet(step.values, terms) if decisions.is_competitor(step.record) else None


def _other_work(step: Step, _values: Any) -> bool:
    return step.values.get("work") != values.ARM_MACHINING and decisions.is_competitor(step.record)


RULES: list[Rule] = [
    *(_fee(clause, QUOTE, plans.charged) for clause in CLAUSES),
    *(_fee(clause, COST, plans.borne) for clause in CLAUSES),
    GateRule(clause=ALL_FREE[0], step=QUOTE, check=_all_free),
    *(GateRule(clause=one, step=QUOTE, check=_check_sheet, needs_form=True) for one in SHEETS),
    *(
        ApprovalRule(
            clause=one,
            step=QUOTE,
            title=_l("Work on a competitor's product beyond the arm"),
            position_from="position",
            wanted=_other_work,
            needs_form=True,
        )
        for one in OTHER_WORK
    ),
]

"""What a plan costs whom: a pure calculation. Every line names the clause that asks for it, or makes it free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .values import Plan, Price, PricedLine


@dataclass(frozen=True)
class Basis:
    """What the calculation rests on, beside the plan; ``clauses``: values of those in force, by id."""

    result: str  # of the coverage decision
    product_class: str = "4.1"
    sold_class: str = "own"
    category: str = ""
    is_competitor: bool = False
    policy: str = "paid_out_of_warranty"
    prices: Mapping[str, Price] = field(default_factory=dict)  # by values.TARIFF_ITEMS
    # Part prices of a contract, tax and freight included.
    agreed: Mapping[str, Decimal] = field(default_factory=dict)
    agreed_clause: str = ""
    clauses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decision_clause: str = ""


def work_out(plan: Plan, basis: Basis) -> list[PricedLine]:
    """Return every line of a plan, what the customer pays and what the company bears, in a fixed order.

    Raises:
        InvalidData: beside the plan's field: a part without finance's price, a price under the least allowed.
    """
    raise NotImplementedError


def total(lines: list[PricedLine], payer: str) -> Decimal:
    """Return what a payer owes, each line rounded half up to 0.01 first."""
    raise NotImplementedError

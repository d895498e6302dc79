"""The clauses about who sets prices, and their yearly adjustment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import GateRule, Rule, ScheduleRule

STEP = "warranty.price"  # asked by every service that writes a price
FINANCE_CLAUSES = ("R17-3.5", "R18-3.5", "R19-3.5")
YEARLY_CLAUSES = ("R13-5.2.1.3e", "R17-5.2.3e", "R18-5.2.1.3e", "R19-5.2.1.3e")
REPORT = "warranty_tariff.index_view"


@dataclass(frozen=True)
class PriceAct:
    """What the rules see of somebody who writes a price: whether it comes from finance."""

    from_finance: bool


def _from_finance(act: Any, _values: Any) -> Any:
    """Refuse a price that does not come from finance (R17-3.5, R18-3.5, R19-3.5)."""
    return None if act.from_finance else _l("Prices come from finance; ask them for this one")


RULES: list[Rule] = [
    *(GateRule(clause=one, step=STEP, check=_from_finance, code="not_finance") for one in FINANCE_CLAUSES),
    # A task for finance every period; the unit itself is what it is about.
    *(ScheduleRule(clause=one, title=_l("Go over the tariff and prepare the next one")) for one in YEARLY_CLAUSES),
]

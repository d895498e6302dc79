"""Part of the plugin: products, releases, suppliers, purchase and receiving: what it contributes to each hook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.sdk import Part

from . import orders, plans, receiving, releases, rules_supply, suppliers


def _after_step(record: Any, transition: str, facts: Sequence[Any]) -> None:
    suppliers.after_step(record, transition, facts)
    plans.after_step(record, transition)


PART = Part(
    record_types=(suppliers.TYPE, releases.TYPE, plans.PLAN_TYPE, orders.ORDER_TYPE, receiving.TYPE),
    rules=rules_supply.RULES,
    record_transitioned=_after_step,
)

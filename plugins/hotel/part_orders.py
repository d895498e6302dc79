"""Part of the plugin: what it contributes to each hook."""

from __future__ import annotations

from core.sdk import Part

from . import checklists, complaints, orders, rules_orders

PART = Part(
    record_types=(orders.TYPE, complaints.TYPE),
    rules=rules_orders.RULES,
    inspection_uses=checklists.USES,
    unit_enabled=lambda unit: checklists.set_up(unit.id),
    record_transitioned=orders.after_step,
)

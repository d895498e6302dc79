"""Part of the plugin: prices, displays and the showroom, stock counts: what it contributes to each hook."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import InspectionUse, Part

from . import checklists, count_flow, prices, rules_prices, showroom, stock_counts

PART = Part(
    record_types=(prices.TYPE, showroom.TYPE, stock_counts.TYPE),
    rules=rules_prices.RULES,
    inspection_uses=(
        InspectionUse(showroom.DISPLAY_LIST, _l("Upkeep of displays"), opens=showroom.open_task_of),
        InspectionUse(showroom.CONDUCT_LIST, _l("Conduct in the store"), opens=showroom.open_task_of),
    ),
    unit_enabled=checklists.seed,
    record_transitioned=count_flow.after_step,
)

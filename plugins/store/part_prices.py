"""Part of the plugin: prices, displays and the showroom, stock counts: what it contributes to each hook."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import InspectionUse, Part

from . import (
    api_prices,
    checklists,
    count_flow,
    importers_prices,
    panels_prices,
    prices,
    prints_prices,
    reports_prices,
    rules_prices,
    screens_prices,
    showroom,
    stock_counts,
    web_prices,
)

PART = Part(
    record_types=(prices.TYPE, showroom.TYPE, stock_counts.TYPE),
    rules=rules_prices.RULES,
    inspection_uses=(
        InspectionUse(showroom.DISPLAY_LIST, _l("Upkeep of displays"), opens=showroom.open_task_of),
        InspectionUse(showroom.CONDUCT_LIST, _l("Conduct in the store"), opens=showroom.open_task_of),
    ),
    views=screens_prices.views,
    add_routes=web_prices.add_routes,
    importers=importers_prices.importers,
    print_forms=prints_prices.forms,
    reports=reports_prices.reports,
    api_resources=api_prices.resources,
    unit_enabled=checklists.seed,
    record_transitioned=count_flow.after_step,
    record_panels=panels_prices.of_record,
    dashboard_tiles=panels_prices.tiles,
)

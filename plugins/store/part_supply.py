"""Part of the plugin: products, releases, suppliers, purchase and receiving: what it contributes to each hook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Part, SearchSource

from . import (
    api_supply,
    importers_supply,
    orders,
    panels_supply,
    plans,
    prints_supply,
    receiving,
    releases,
    reports_supply,
    rights,
    rules_supply,
    screens_supply,
    suppliers,
    web_supply,
)


def _after_step(record: Any, transition: str, facts: Sequence[Any]) -> None:
    suppliers.after_step(record, transition, facts)
    plans.after_step(record, transition)


PART = Part(
    record_types=(suppliers.TYPE, releases.TYPE, plans.PLAN_TYPE, orders.ORDER_TYPE, receiving.TYPE),
    rules=rules_supply.RULES,
    search_sources=(SearchSource("store_suppliers", _l("Suppliers"), rights.VIEW, panels_supply.find_suppliers),),
    views=screens_supply.views,
    add_routes=web_supply.add_routes,
    importers=importers_supply.importers,
    print_forms=prints_supply.forms,
    reports=reports_supply.reports,
    api_resources=api_supply.resources,
    record_transitioned=_after_step,
    record_panels=panels_supply.of_record,
    dashboard_tiles=panels_supply.tiles,
)

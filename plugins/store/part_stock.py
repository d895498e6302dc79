"""Part of the plugin: batches in stock, outgoing goods, objections, removals: what it contributes to each hook."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

from core.sdk import Job, Part, Periodic, SearchSource

from . import (
    api_stock,
    closing,
    issues,
    objections,
    panels_stock,
    prints_stock,
    removals,
    reports_stock,
    rights,
    rules_stock,
    screens_stock,
    stopping,
    web_stock,
)

stopping.connect()


def _jobs() -> list[Job | Periodic]:
    forget = Periodic(
        "store.forget_phones", _l("Forget phones of buyers who are not on file"), issues.forget_phones, hour=3
    )
    return [*removals.jobs(), forget]


PART = Part(
    record_types=(issues.TYPE, objections.TYPE, removals.TYPE),
    rules=rules_stock.RULES,
    jobs=_jobs,
    views=screens_stock.views,
    add_routes=web_stock.add_routes,
    api_resources=api_stock.resources,
    print_forms=prints_stock.forms,
    reports=reports_stock.reports,
    unit_disabling=closing.unit_disabling,
    record_panels=panels_stock.of_record,
    detail_panels=panels_stock.of_thing,
    customer_panels=panels_stock.of_customer,
    search_sources=(SearchSource("store_lots", _l("Batches in stock"), rights.VIEW, panels_stock.find_lots),),
    dashboard_tiles=screens_stock.tiles,
)

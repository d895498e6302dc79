"""Catering, meetings, shifts and facilities: what this part of the plugin contributes to each hook."""

from __future__ import annotations

from core.sdk import Part

from . import (
    api_service,
    food,
    meetings,
    panels_service,
    prints_service,
    reports_service,
    rules_service,
    samples,
    screens_catering,
    screens_service,
    shifts,
    web_service,
)

PART = Part(
    record_types=(food.TYPE, meetings.TYPE, shifts.TYPE),
    rules=rules_service.RULES,
    views=lambda: [*screens_service.views(), *screens_catering.views()],
    add_routes=web_service.add_routes,
    print_forms=prints_service.forms,
    reports=reports_service.reports,
    api_resources=api_service.resources,
    jobs=samples.declared,
    record_panels=panels_service.of_record,
    dashboard_tiles=lambda unit, actor_id: [
        *screens_service.tiles(unit, actor_id),
        *screens_catering.tiles(unit, actor_id),
    ],
)

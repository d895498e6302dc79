"""Orders, complaints, checks and guests' codes: what this part of the plugin contributes to each hook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint

from core.sdk import Fact, Part, Record

from . import (
    api_orders,
    checklists,
    compensation,
    complaints,
    orders,
    panels_orders,
    prints_orders,
    reports_orders,
    retention,
    rules_orders,
    screens_orders,
    web_guest,
    web_orders,
)


def _add_routes(blueprint: Blueprint) -> None:
    web_orders.add_routes(blueprint)
    web_guest.add_routes(blueprint)


def _set_up(unit: Any) -> None:
    checklists.set_up(unit.id)


def _follow(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    orders.after_step(record, transition, facts)
    compensation.after_step(record, transition, facts)


PART = Part(
    record_types=(orders.TYPE, complaints.TYPE),
    rules=rules_orders.RULES,
    inspection_uses=checklists.USES,
    views=screens_orders.views,
    add_routes=_add_routes,
    print_forms=prints_orders.forms,
    reports=reports_orders.reports,
    api_resources=api_orders.resources,
    jobs=retention.declared,
    unit_enabled=_set_up,
    record_transitioned=_follow,
    record_panels=panels_orders.of_record,
    dashboard_tiles=screens_orders.tiles,
)

"""Rooms, stays, cleaning: what this part of the plugin contributes to each hook."""

from __future__ import annotations

from flask import Blueprint
from flask_babel import lazy_gettext as _l

from core.sdk import Part, SearchSource

from . import (
    api_rooms,
    cleaning_list,
    importers_rooms,
    importers_stays,
    prints_rooms,
    reports_rooms,
    rules_rooms,
    screens_rooms,
    web_cleaning,
    web_rooms,
)
from .rights import VIEW


def _add_routes(blueprint: Blueprint) -> None:
    web_rooms.add_routes(blueprint)
    web_cleaning.add_routes(blueprint)


PART = Part(
    rules=rules_rooms.RULES,
    search_sources=(SearchSource("hotel_rooms", _l("Guest rooms"), VIEW, screens_rooms.find_rooms),),
    views=screens_rooms.views,
    add_routes=_add_routes,
    importers=lambda: [*importers_rooms.importers(), *importers_stays.importers()],
    print_forms=prints_rooms.forms,
    reports=reports_rooms.reports,
    api_resources=api_rooms.resources,
    jobs=cleaning_list.declared,
    dashboard_tiles=screens_rooms.tiles,
)

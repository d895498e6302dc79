"""Hook implementations of the hotel: what its parts contribute, gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint
from flask_babel import lazy_gettext as _l

from core.hookspecs import hookimpl
from core.sdk import (
    AdminEntry,
    ApiResource,
    Badge,
    Blocker,
    Charge,
    Fact,
    Importer,
    InspectionUse,
    Job,
    OpenItem,
    Panel,
    Periodic,
    Permission,
    PrintForm,
    Record,
    RecordType,
    Report,
    Rule,
    SearchSource,
    SettingSpec,
    Tile,
    Unit,
)

from . import going_on, menu, part_orders, part_rooms, part_service, rights
from . import settings as own_settings

MENU = _l("Hotel")
PARTS = (part_rooms.PART, part_orders.PART, part_service.PART)
LEADERS = ("gm", "deputy_gm", "branch_head", "dept_manager", "service_leader", "responsible_leader")
TEAMS = ("hotel_front_desk", "hotel_housekeeping", "hotel_engineering", "hotel_catering")


@hookimpl
def permissions() -> list[Permission]:
    desk = (*LEADERS, "hotel_front_desk")
    return [
        Permission(
            rights.VIEW,
            _l("See rooms, orders, complaints and catering"),
            MENU,
            (*LEADERS, *TEAMS, "quality_dept", "finance", "system_admin"),
        ),
        Permission(rights.DESK, _l("Work at the desk: arrivals, complaints, meetings"), MENU, desk),
        Permission(rights.CLEAN, _l("Clean rooms"), MENU, (*LEADERS, "hotel_housekeeping")),
        Permission(
            rights.HOUSEKEEPING,
            _l("Lead housekeeping: plan, hand out, check"),
            MENU,
            LEADERS,
        ),
        Permission(
            rights.REPORT, _l("Report defects and hand shifts over"), MENU, (*LEADERS, *TEAMS, "quality_dept")
        ),
        Permission(
            rights.REPAIR, _l("Take and repair work orders"), MENU, (*LEADERS, "hotel_engineering", "engineering")
        ),
        Permission(rights.CHECK, _l("Check what was repaired and free rooms"), MENU, LEADERS),
        Permission(rights.CATERING, _l("Keep the records of the kitchen"), MENU, (*LEADERS, "hotel_catering")),
        Permission(
            rights.SETUP, _l("Set up rooms, facilities and codes for guests"), MENU, (*LEADERS, "system_admin")
        ),
    ]


@hookimpl
def settings() -> list[SettingSpec]:
    return own_settings.SPECS


@hookimpl
def record_types() -> list[RecordType]:
    return [one for part in PARTS for one in part.record_types]


@hookimpl
def rules() -> list[Rule]:
    return [one for part in PARTS for one in part.rules]


@hookimpl
def inspection_uses() -> list[InspectionUse]:
    return [one for part in PARTS for one in part.inspection_uses]


@hookimpl
def admin_views() -> list[AdminEntry]:
    return menu.entries([view for part in PARTS for view in part.views()], MENU)


@hookimpl
def blueprints() -> list[Blueprint]:
    made = Blueprint("hotel", __name__, static_folder="static", static_url_path="/static")
    for part in PARTS:
        part.add_routes(made)
    return [made]


@hookimpl
def importers() -> list[Importer]:
    return [one for part in PARTS for one in part.importers()]


@hookimpl
def search_sources() -> list[SearchSource]:
    return [one for part in PARTS for one in part.search_sources]


@hookimpl
def print_forms() -> list[PrintForm]:
    return [one for part in PARTS for one in part.print_forms()]


@hookimpl
def reports() -> list[Report]:
    return [one for part in PARTS for one in part.reports()]


@hookimpl
def api_resources() -> list[ApiResource]:
    return [one for part in PARTS for one in part.api_resources()]


@hookimpl
def jobs() -> list[Job | Periodic]:
    return [one for part in PARTS for one in part.jobs()]


@hookimpl
def unit_enabled(unit: Unit) -> None:
    for part in PARTS:
        part.unit_enabled(unit)


@hookimpl
def unit_disabling(unit: Unit) -> list[Blocker]:
    return going_on.blockers(unit.id)


@hookimpl
def leaving(unit: Unit, user_id: int) -> list[OpenItem]:
    return going_on.of_person(unit.id, user_id)


@hookimpl
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    for part in PARTS:
        part.record_transitioned(record, transition, facts)


@hookimpl
def charge_changed(charge: Charge) -> None:
    for part in PARTS:
        part.charge_changed(charge)


@hookimpl
def record_panels(record: Record) -> list[Panel]:
    return [one for part in PARTS for one in part.record_panels(record)]


@hookimpl
def detail_panels(subject: str, row: Any) -> list[Panel]:
    return [one for part in PARTS for one in part.detail_panels(subject, row)]


@hookimpl
def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:
    return {key: badge for part in PARTS for key, badge in part.badges(subject, rows).items()}


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return [one for part in PARTS for one in part.dashboard_tiles(unit, actor_id)]

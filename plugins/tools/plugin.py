"""Hook implementations of tool custody: thin, each calls a service or a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import Blueprint
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.hookspecs import hookimpl
from core.sdk import (
    AdminEntry,
    ApiResource,
    Blocker,
    Charge,
    Fact,
    Importer,
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

from . import (
    acceptance,
    api_applications,
    api_counts,
    api_file,
    api_handovers,
    api_incidents,
    api_purchase,
    applications,
    care,
    clearance,
    clearance_sheet,
    counts,
    file,
    handovers,
    incidents,
    kinds,
    menu,
    panels_accept,
    panels_applications,
    panels_counts,
    panels_file,
    panels_handover,
    panels_more,
    panels_purchase,
    prints_handover,
    prints_labels,
    prints_more,
    purchase,
    readers,
    refusing,
    reminders,
    rights,
    rules_buying,
    rules_care,
    rules_custody,
    rules_leaving,
    rules_money,
    rules_work,
    screens_applications,
    screens_counts,
    screens_desk,
    screens_handovers,
    screens_holders,
    screens_incidents,
    screens_kinds,
    screens_permits,
    screens_purchase,
    screens_tools,
    web_applications,
    web_counts,
    web_desk,
    web_file,
    web_incidents,
    web_own,
    web_purchase,
)
from . import importers as own_importers
from . import reports as own_reports
from . import settings as own_settings

MENU = _l("Tools")
LEADERS = ("gm", "deputy_gm", "service_leader", "branch_head", "dept_manager", "responsible_leader")
KEEPERS = ("warehouse",)
OFFICE = ("after_sales_admin", "engineering", "system_admin", "quality_dept", "finance", "procurement")
STAFF = (
    *LEADERS,
    *KEEPERS,
    *OFFICE,
    "after_sales",
    "reception",
    "dispatcher",
    "field_staff",
    "repair_centre",
    "technical_office",
    "quality_inspection",
    "production",
    "development",
    "logistics",
    "sales",
    "store_head",
    "hotel_engineering",
    "project_manager",
    "safety_supervisor",
)


@hookimpl
def permissions() -> list[Permission]:
    seeing = (*LEADERS, *KEEPERS, *OFFICE)
    return [
        Permission(rights.VIEW, _l("See tools, the custody ledger and people's cards"), MENU, seeing),
        Permission(rights.OWN, _l("See and confirm the tools in one's own hands"), MENU, STAFF),
        Permission(
            rights.KEEP, _l("Keep tools: register, issue, take back, count"), MENU, (*KEEPERS, "engineering")
        ),
        Permission(
            rights.BUY, _l("Plan and order tools"), MENU, (*LEADERS, *KEEPERS, "procurement", "after_sales_admin")
        ),
        Permission(rights.DECIDE, _l("Judge incidents, check counts, dispose of tools"), MENU, LEADERS),
        Permission(
            rights.MAINTAIN,
            _l("Maintain and calibrate tools"),
            MENU,
            (*KEEPERS, "engineering", "repair_centre", "production", "service_leader", "dept_manager"),
        ),
        Permission(rights.MONEY, _l("Enter how compensation is settled"), MENU, ("finance",)),
        Permission(rights.VIEW_MONEY, _l("See deductions from pay"), MENU, ("finance",)),
        Permission(
            rights.CLEAR,
            _l("Clear people who leave or change post"),
            MENU,
            (*LEADERS, *KEEPERS, "after_sales_admin", "system_admin"),
        ),
    ]


@hookimpl
def settings() -> list[SettingSpec]:
    return own_settings.SPECS


@hookimpl
def record_types() -> list[RecordType]:
    personal = (handovers.TYPE, applications.TYPE, incidents.TYPE, clearance.TYPE)
    kept = [replace(one, readers=readers.READERS, concerns=readers.concerns) for one in personal]
    shared = (file.TYPE, counts.TYPE, purchase.TYPE)
    return [*(replace(one, readers=readers.STAFF) for one in shared), *kept]


@hookimpl
def rules() -> list[Rule]:
    return [
        *rules_custody.RULES,
        *rules_care.RULES,
        *rules_money.RULES,
        *rules_buying.RULES,
        *rules_leaving.RULES,
        *rules_work.RULES,
    ]


@hookimpl
def admin_views() -> list[AdminEntry]:
    views = [
        *screens_desk.views(),
        *screens_tools.views(),
        *screens_handovers.views(),
        *screens_applications.views(),
        *screens_incidents.views(),
        *screens_counts.views(),
        *screens_purchase.views(),
        *screens_kinds.views(),
        *screens_holders.views(),
        *screens_permits.views(),
    ]
    return menu.entries(views, MENU)


@hookimpl
def blueprints() -> list[Blueprint]:
    made = Blueprint("tools", __name__, static_folder="static", static_url_path="/static")
    for part in (web_file, web_desk, web_own, web_applications, web_incidents, web_counts, web_purchase):
        part.add_routes(made)
    return [made]


@hookimpl
def importers() -> list[Importer]:
    return own_importers.importers()


@hookimpl
def search_sources() -> list[SearchSource]:
    return [SearchSource("tools", MENU, rights.VIEW, panels_file.find_tools)]


@hookimpl
def print_forms() -> list[PrintForm]:
    return [*prints_labels.forms(), *prints_handover.forms(), *prints_more.forms()]


@hookimpl
def reports() -> list[Report]:
    return own_reports.reports()


@hookimpl
def api_resources() -> list[ApiResource]:
    return [
        *api_file.resources(),
        *api_handovers.resources(),
        *api_applications.resources(),
        *api_incidents.resources(),
        *api_counts.resources(),
        *api_purchase.resources(),
    ]


@hookimpl
def jobs() -> list[Job | Periodic]:
    return reminders.declared()


@hookimpl
def unit_enabled(unit: Unit) -> None:
    kinds.set_up(unit.id)


@hookimpl
def unit_disabling(unit: Unit) -> list[Blocker]:
    return [Blocker(text) for text in handovers.still_going_on(unit.id)]


@hookimpl
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    acceptance.after_step(record, transition, facts)
    incidents.after_step(record, transition, facts)
    if record.type == file.TYPE.code:
        care.after_step(record, transition, facts)
        if transition == "lose":
            refusing.leave(record.id, str(_("The tool was reported lost")))
    purchase.after_step(record, transition)


@hookimpl
def charge_changed(charge: Charge) -> None:
    incidents.charge_changed(charge)


@hookimpl
def charge_moving(charge: Charge, step: str) -> list[Blocker]:
    return incidents.moving(charge, step)


@hookimpl
def leaving(unit: Unit, user_id: int) -> list[OpenItem]:
    return clearance_sheet.open_items(unit.id, user_id)


@hookimpl
def record_panels(record: Record) -> list[Panel]:
    return [
        *panels_accept.of_record(record),
        *panels_file.of_record(record),
        *panels_handover.of_record(record),
        *panels_more.of_record(record),
        *panels_counts.of_record(record),
        *panels_purchase.of_record(record),
        *panels_applications.of_record(record),
    ]


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return [*screens_desk.tiles(unit, actor_id), *screens_counts.tiles(unit, actor_id)]

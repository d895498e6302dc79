"""Hook implementations of agents and settlement: thin, each calls a service or a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint
from flask_babel import lazy_gettext as _l

from core.hookspecs import hookimpl
from core.sdk import (
    AdminEntry,
    ApiResource,
    Blocker,
    Charge,
    Column,
    Fact,
    Importer,
    Job,
    Panel,
    Periodic,
    Permission,
    PrintForm,
    Record,
    RecordType,
    Report,
    Rule,
    SettingSpec,
    Tile,
    Unit,
    WorkflowExtension,
)

from . import (
    api_file,
    api_money,
    api_old_parts,
    api_sellers,
    billing,
    case_panel,
    contracts,
    importers_file,
    importers_sellers,
    old_parts,
    orders,
    panels_file,
    panels_seller,
    panels_statement,
    prints_notice,
    prints_statement,
    rebilling,
    rights,
    rules_classes,
    rules_fees,
    rules_notice,
    rules_payments,
    rules_settlement,
    screens_contracts,
    screens_file,
    screens_more,
    screens_own,
    screens_sellers,
    screens_statements,
    sellers,
    settlement,
    statements,
    web_file,
    web_orders,
    web_own,
    web_settle,
    workflow,
)
from . import reports as own_reports
from . import settings as own_settings

MENU = _l("Agents and settlement")
LEADERS = ("gm", "deputy_gm", "service_leader", "branch_head", "dept_manager")
DESK = ("after_sales", "after_sales_admin", "reception", "dispatcher", "repair_centre", "technical_office")
FINANCE = ("finance",)
OTHERS = ("quality_leader", "responsible_leader", "quality_dept", "sales", "warehouse", "system_admin")


@hookimpl
def permissions() -> list[Permission]:
    everyone = (*LEADERS, *DESK, *FINANCE, *OTHERS)
    return [
        Permission(rights.VIEW, _l("See agents, contracts and statements"), MENU, everyone),
        Permission(
            rights.KEEP,
            _l("Keep agents, contracts and sellers"),
            MENU,
            ("service_leader", "after_sales_admin", "branch_head", "sales"),
        ),
        Permission(
            rights.HANDLE,
            _l("Tell agents, enter requests, bill cases to agents"),
            MENU,
            (*LEADERS, *DESK, "quality_dept"),
        ),
        Permission(
            rights.SETTLE,
            _l("Make and review statements"),
            MENU,
            ("after_sales_admin", "service_leader", "branch_head", "finance"),
        ),
        Permission(
            rights.APPROVE, _l("Approve statements"), MENU, ("gm", "deputy_gm", "service_leader", "branch_head")
        ),
        Permission(rights.FINANCE, _l("Enter invoices and payments of agents"), MENU, FINANCE),
        Permission(rights.OWN, _l("See one's own agent's cases and statements"), MENU, ("agent",)),
    ]


@hookimpl
def settings() -> list[SettingSpec]:
    return own_settings.SPECS


@hookimpl
def record_types() -> list[RecordType]:
    return [*contracts.TYPES, *statements.TYPES]


@hookimpl
def workflow_extensions() -> list[WorkflowExtension]:
    return [workflow.CASE]


@hookimpl
def rules() -> list[Rule]:
    return [
        *rules_classes.RULES,
        *rules_notice.RULES,
        *rules_fees.RULES,
        *rules_settlement.RULES,
        *rules_payments.RULES,
    ]


@hookimpl
def admin_views() -> list[AdminEntry]:
    views = [
        *screens_own.views(),
        *screens_file.views(),
        *screens_contracts.views(),
        *screens_sellers.views(),
        *screens_statements.views(),
        *screens_more.views(),
    ]
    return [AdminEntry(view, MENU, weight) for weight, view in enumerate(views, start=80)]


@hookimpl
def blueprints() -> list[Blueprint]:
    made = Blueprint("agents", __name__)
    for part in (web_file, web_settle, web_own, web_orders):
        part.add_routes(made)
    return [made]


@hookimpl
def importers() -> list[Importer]:
    return [*importers_file.importers(), *importers_sellers.importers()]


@hookimpl
def print_forms() -> list[PrintForm]:
    return [*prints_notice.forms(), *prints_statement.forms()]


@hookimpl
def reports() -> list[Report]:
    return own_reports.reports()


@hookimpl
def api_resources() -> list[ApiResource]:
    return [*api_file.resources(), *api_money.resources(), *api_sellers.resources(), *api_old_parts.resources()]


@hookimpl
def jobs() -> list[Job | Periodic]:
    return [*settlement.declared(), *sellers.jobs_of(), *rebilling.declared()]


@hookimpl
def unit_disabling(unit: Unit) -> list[Blocker]:
    return []


@hookimpl
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    if record.type == "case":
        orders.follow(record, transition, facts)
        billing.after_step(record, transition, facts)
        old_parts.follow(record, transition, facts)
    statements.after_step(record, transition)


@hookimpl
def charge_moving(charge: Charge, step: str) -> list[Blocker]:
    return statements.moving(charge, step)


@hookimpl
def record_panels(record: Record) -> list[Panel]:
    return [
        *panels_file.of_record(record),
        *panels_statement.of_record(record),
        *case_panel.of_case(record),
        *orders.of_case(record),
        *old_parts.of_case(record),
    ]


@hookimpl
def detail_panels(subject: str, row: Any) -> list[Panel]:
    return panels_seller.detail_panels(subject, row)


@hookimpl
def list_columns(list_name: str) -> list[Column]:
    return case_panel.columns(list_name)


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return [*screens_own.tiles(unit), *panels_file.tiles(unit, actor_id), *panels_statement.tiles(unit, actor_id)]

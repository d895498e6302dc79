"""Hook implementations of the product file: thin, each calls a service or a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from flask import Blueprint
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.hookspecs import hookimpl
from core.sdk import (
    AdminEntry,
    ApiResource,
    Blocker,
    Column,
    Customer,
    Event,
    Fact,
    FormSection,
    Importer,
    Panel,
    Periodic,
    Permission,
    PrintForm,
    Record,
    Report,
    Rule,
    SearchSource,
    Tile,
    Unit,
)

from . import admin, api, cli, panels, rights, services, web
from . import importers as tables
from . import reports as own_reports
from . import rules as own_rules

MENU = _l("Product file")
OFFICE = ("after_sales", "after_sales_admin", "dept_manager", "store_head", "product_management", "warehouse")
QUALITY = ("quality_leader", "quality_inspection", "quality_dept", "warehouse", "service_leader", "gm")
READERS = (
    "gm",
    "deputy_gm",
    "quality_leader",
    "service_leader",
    "responsible_leader",
    "branch_head",
    "reception",
    "dispatcher",
    "field_staff",
    "repair_centre",
    "quality_inspection",
    "quality_dept",
    "technical_office",
    "finance",
    "sales",
    "engineering",
    # Whoever switches the plugin on sees what it brings.
    "system_admin",
)


@hookimpl
def permissions() -> list[Permission]:
    return [
        Permission(services.VIEW, _l("See products and items"), MENU, (*OFFICE, *READERS)),
        Permission(services.EDIT, _l("Change products and items"), MENU, OFFICE),
        Permission(services.IMPORT, _l("Import products and items"), MENU, OFFICE),
        Permission(rights.QUALITY, _l("Enter inspections, stop and release batches"), MENU, QUALITY),
    ]


@hookimpl
def rules() -> list[Rule]:
    return own_rules.RULES


@hookimpl
def admin_views() -> list[AdminEntry]:
    return [AdminEntry(view, MENU, weight) for weight, view in enumerate(admin.views(), start=40)]


@hookimpl
def blueprints() -> list[Blueprint]:
    return [web.blueprint()]


@hookimpl
def cli_commands() -> list[click.Command]:
    return [cli.check]


@hookimpl
def importers() -> list[Importer]:
    return tables.all_importers()


@hookimpl
def jobs() -> list[Periodic]:
    return [Periodic("products.link", _l("Link open cases to items imported later"), services.link_waiting, hour=4)]


@hookimpl
def search_sources() -> list[SearchSource]:
    return [SearchSource("items", _l("Items"), services.VIEW, panels.find_items)]


@hookimpl
def reports() -> list[Report]:
    return [own_reports.ITEMS]


@hookimpl
def print_forms() -> list[PrintForm]:
    return [
        PrintForm(
            code="products.item",
            title=_l("Label of an item: serial number, model, QR"),
            subject="products:item",
            template="",
            data=panels.item_label,
            permission=services.VIEW,
            label=True,
            find=services.get_item,
        ),
        PrintForm(
            code="products.file",
            title=_l("Product file sheet"),
            subject="products:item",
            template="products/product_file.typ",
            data=panels.item_sheet,
            permission=services.VIEW,
            find=services.get_item,
        ),
    ]


@hookimpl
def api_resources() -> list[ApiResource]:
    return api.resources()


@hookimpl
def unit_enabled(unit: Unit) -> None:
    services.seed_categories(unit.id, unit.locale)


@hookimpl
def unit_disabling(unit: Unit) -> list[Blocker]:
    count = services.open_records(unit.id)
    if not count:
        return []
    return [Blocker(_("%(count)d open cases are about items of the product file", count=count))]


@hookimpl
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    if transition in ("register", "fact:edited"):
        services.link_by_serial(record)
    elif transition == "classify":
        services.fill_class(record)


@hookimpl
def event_committed(event: Event) -> None:
    if event.topic == "record.close":
        services.served(event.payload.get("record_id"), event.unit_id)


@hookimpl
def record_panels(record: Record) -> list[Panel]:
    return panels.of_record(record)


@hookimpl
def customer_panels(customer: Customer) -> list[Panel]:
    return panels.of_customer(customer)


@hookimpl
def case_form_sections(unit: Any) -> list[FormSection]:
    return panels.form_sections(unit.id)


@hookimpl
def list_columns(list_name: str) -> list[Column]:
    return panels.columns(list_name)


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return panels.tiles(unit.id)

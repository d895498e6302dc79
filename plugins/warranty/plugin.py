"""Hook implementations of warranty and fees: thin, each calls a service or a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask import Blueprint, has_request_context
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.hookspecs import hookimpl
from core.sdk import (
    AdminEntry,
    ApiResource,
    Badge,
    Blocker,
    Charge,
    Column,
    Customer,
    Event,
    Fact,
    Importer,
    OpenItem,
    Panel,
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
from core.sdk_web import page_url

from . import (
    api_money,
    api_prices,
    api_terms,
    calculator,
    claims,
    contracts,
    decisions,
    events,
    importers_prices,
    importers_terms,
    invoices,
    lookup,
    panels,
    panels_money,
    prints,
    prints_money,
    prints_prices,
    quotes,
    receipts,
    reports_cover,
    rights,
    rules_consent,
    rules_contracts,
    rules_coverage,
    rules_fees,
    rules_money,
    rules_prices,
    rules_terms,
    screens_contracts,
    screens_money,
    screens_prices,
    screens_terms,
    web_money,
    workflow,
)
from . import reports as own_reports
from . import settings as own_settings

MENU = _l("Warranty and fees")
LEADERS = ("gm", "deputy_gm", "service_leader", "branch_head", "dept_manager", "store_head")
DESK = ("after_sales", "after_sales_admin", "reception", "dispatcher", "repair_centre", "technical_office")
FIELD = ("field_staff",)
FINANCE = ("finance",)
OTHERS = ("quality_leader", "responsible_leader", "quality_dept", "quality_inspection", "sales", "warehouse")
# Whoever switches the plugin on sees what it brings.
ADMIN = ("system_admin",)


@hookimpl
def permissions() -> list[Permission]:
    everyone = (*LEADERS, *DESK, *FIELD, *FINANCE, *OTHERS, *ADMIN)
    return [
        Permission(rights.VIEW, _l("See warranty and prices"), MENU, everyone),
        Permission(rights.HANDLE, _l("Decide coverage, quote and record consent"), MENU, (*LEADERS, *DESK, *FIELD)),
        Permission(
            rights.DECIDE_OTHERWISE,
            _l("Decide coverage otherwise than the clauses"),
            MENU,
            ("gm", "service_leader"),
        ),
        Permission(rights.TERMS, _l("Set warranty terms"), MENU, ("service_leader", "after_sales_admin")),
        Permission(rights.PRICE, _l("Set prices"), MENU, FINANCE),
        Permission(rights.COLLECT, _l("Collect money"), MENU, (*LEADERS, *DESK, *FIELD, *FINANCE, "sales")),
        Permission(rights.MONEY, _l("See receipts and invoices"), MENU, (*LEADERS, *DESK, *FINANCE)),
        Permission(rights.FINANCE, _l("Confirm money handed in, issue invoices"), MENU, FINANCE),
        Permission(rights.CONTRACT, _l("Keep service contracts"), MENU, ("service_leader", "sales", "branch_head")),
    ]


@hookimpl
def settings() -> list[SettingSpec]:
    return own_settings.SPECS


@hookimpl
def record_types() -> list[RecordType]:
    return [*receipts.TYPES, *invoices.TYPES, *contracts.TYPES]


@hookimpl
def workflow_extensions() -> list[WorkflowExtension]:
    return [workflow.CASE]


@hookimpl
def rules() -> list[Rule]:
    return [
        *rules_terms.RULES,
        *rules_coverage.RULES,
        *rules_prices.RULES,
        *rules_fees.RULES,
        *rules_consent.RULES,
        *rules_money.RULES,
        *rules_contracts.RULES,
    ]


@hookimpl
def admin_views() -> list[AdminEntry]:
    views = [
        *screens_terms.views(),
        *calculator.views(),
        *screens_prices.views(),
        *screens_money.views(),
        *screens_contracts.views(),
    ]
    return [AdminEntry(view, MENU, weight) for weight, view in enumerate(views, start=60)]


@hookimpl
def blueprints() -> list[Blueprint]:
    made = Blueprint("warranty", __name__)
    for part in (lookup, calculator, web_money):
        part.add_routes(made)
    return [made]


@hookimpl
def importers() -> list[Importer]:
    return [*importers_terms.importers(), *importers_prices.importers()]


@hookimpl
def print_forms() -> list[PrintForm]:
    return [*prints.forms(), *prints_prices.forms(), *prints_money.forms()]


@hookimpl
def reports() -> list[Report]:
    return [*own_reports.reports(), reports_cover.ENDING]


@hookimpl
def api_resources() -> list[ApiResource]:
    return [*api_terms.resources(), *api_prices.resources(), *api_money.resources()]


@hookimpl
def unit_disabling(unit: Unit) -> list[Blocker]:
    count = quotes.waiting(unit.id)
    if not count:
        return []
    return [Blocker(_("%(count)d quotes wait for the customer's consent", count=count))]


@hookimpl
def record_transitioned(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    if transition == "warranty:quote":
        quotes.after_quote(record, facts)
    elif transition in ("solve", "confirm", "close", "warranty:cost"):  # the later ones, should we have been off
        quotes.post_charges(record)
        receipts.settle_paid(record)
    elif transition == "cancel":
        quotes.cancelled(record)
        claims.cancelled(record)
    if transition == "solve":
        events.repaired(record)
    elif transition == "warranty:decide":
        events.follow_decision(record)
    if record.type == "case":
        decisions.after_fact(record, transition)


@hookimpl
def event_committed(event: Event) -> None:
    if event.topic == "products.exchanged":
        events.exchanged_elsewhere(event.unit_id, event.payload)


@hookimpl
def charge_lowering(charge: Charge, amount: Decimal, waived: bool) -> list[Blocker]:
    return [*(quotes.lowering(charge, amount) if waived else ()), *invoices.lowering(charge, amount)]


@hookimpl
def charge_moving(charge: Charge, step: str) -> list[Blocker]:
    return [*quotes.moving(charge, step), *receipts.moving(charge, step)]


@hookimpl
def charge_changed(charge: Charge) -> None:
    quotes.follow(charge)
    receipts.follow(charge)


@hookimpl
def leaving(unit: Unit, user_id: int) -> list[OpenItem]:
    held = receipts.in_hand_of(unit.id, user_id)
    found = []
    for one in held:
        url = page_url("record.page", record_id=one.id) if has_request_context() else ""
        found.append(OpenItem(_("Money collected and not handed in: %(number)s", number=one.record.number), url))
    return found


@hookimpl
def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:
    return lookup.badges(subject, rows)


@hookimpl
def detail_panels(subject: str, row: Any) -> list[Panel]:
    return lookup.detail_panels(subject, row)


@hookimpl
def record_panels(record: Record) -> list[Panel]:
    return [*panels.of_record(record), *panels_money.of_record(record)]


@hookimpl
def customer_panels(customer: Customer) -> list[Panel]:
    return panels.of_customer(customer)


@hookimpl
def list_columns(list_name: str) -> list[Column]:
    return [*panels.columns(list_name), *lookup.columns(list_name)]


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return panels.tiles(unit, actor_id)

"""Hook implementations of the store: what its parts contribute, gathered."""

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

from . import closing, menu, part_prices, part_stock, part_supply, rights
from . import settings as own_settings

MENU = _l("Store")
PARTS = (part_supply.PART, part_stock.PART, part_prices.PART)
LEADERS = ("gm", "deputy_gm", "branch_head", "dept_manager", "store_head", "responsible_leader")
STAFF = ("sales", "warehouse", "procurement", "product_management", "after_sales", "after_sales_admin", "reception")


@hookimpl
def permissions() -> list[Permission]:
    seeing = (
        *LEADERS,
        *STAFF,
        "quality_dept",
        "quality_inspection",
        "quality_leader",
        "finance",
        "logistics",
        "system_admin",
    )
    return [
        Permission(rights.VIEW, _l("See goods, batches, prices and suppliers"), MENU, seeing),
        Permission(
            rights.SELL, _l("Enter outgoing goods"), MENU, (*LEADERS, "sales", "warehouse", "after_sales_admin")
        ),
        Permission(rights.BUY, _l("Keep suppliers, plan and order goods"), MENU, (*LEADERS, "procurement")),
        Permission(
            rights.RECEIVE,
            _l("Receive and inspect deliveries"),
            MENU,
            (*LEADERS, "procurement", "warehouse", "quality_inspection"),
        ),
        Permission(
            rights.QUALITY,
            _l("Release products, decide on objections"),
            MENU,
            (*LEADERS, "product_management", "quality_dept", "quality_leader"),
        ),
        Permission(
            rights.STOCK, _l("Keep the stock: shelves, removals, counts"), MENU, (*LEADERS, "warehouse", "sales")
        ),
        Permission(rights.PRICE, _l("Propose prices"), MENU, (*LEADERS, "sales", "product_management")),
        Permission(rights.DECIDE, _l("Decide on prices and differences of counts"), MENU, LEADERS),
        Permission(
            rights.DISPLAY, _l("Carry out showroom tasks"), MENU, (*LEADERS, "sales", "warehouse", "after_sales")
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
    made = Blueprint("store", __name__, static_folder="static", static_url_path="/static")
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
    return [one for part in PARTS for one in part.unit_disabling(unit)]


@hookimpl
def leaving(unit: Unit, user_id: int) -> list[OpenItem]:
    return closing.open_items(unit, user_id)


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
def customer_panels(customer: Any) -> list[Panel]:
    return [one for part in PARTS for one in part.customer_panels(customer)]


@hookimpl
def badges(subject: str, rows: Sequence[Any]) -> Mapping[int, Badge]:
    return {key: badge for part in PARTS for key, badge in part.badges(subject, rows).items()}


@hookimpl
def dashboard_tiles(unit: Any, actor_id: int) -> list[Tile]:
    return [one for part in PARTS for one in part.dashboard_tiles(unit, actor_id)]

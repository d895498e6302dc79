"""Screens of products, suppliers, releases, plans, orders and deliveries: lists and forms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import g, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager

from core.sdk import Field, Record, local_day
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    QuickFilter,
    UnitModelView,
    among,
    page_url,
)
from plugins.products import services as products

from . import goods, orders, plans, receiving, releases, suppliers, values
from .listing import (
    PLUGIN,
    RecordView,
    badge_of,
    heads,
    in_state,
    made,
    newest,
    number,
    record_url,
    said_on_form,
    search_of,
    state,
)
from .models import Plan, Product, PurchaseOrder, Receiving, Release, Supplier
from .rights import BUY, QUALITY, RECEIVE, VIEW

SOON_DAYS = 60
TONES = {
    values.DRAFT: "neutral",
    values.CANDIDATE: "neutral",
    values.QUALIFIED: "good",
    values.SUSPENDED: "warn",
    values.ENDED: "bad",
    values.RELEASED: "good",
    values.WITHDRAWN: "bad",
    values.CANCELLED: "bad",
    values.APPROVED: "info",
    values.DONE: "good",
    values.ORDERED: "info",
    values.EXPECTED: "neutral",
    values.CHECKED: "good",
}


def supplier_field(one: Field, held: int | None = None) -> Field:
    """Let a supplier be chosen from the register."""
    choices = goods.supplier_choices(g.unit.id, held)
    return Field(one.name, "choice", one.label, one.required, choices, help=one.help)


# --- products ------------------------------------------------------------------------------------


PRODUCTS = ListSpec(
    name="store.products",
    title=_l("Products of the store"),
    model=Product,
    base=lambda: select(Product).join(Product.model).options(contains_eager(Product.model)),
    columns=(
        ListColumn("code", _l("Model"), lambda p: p.model.code, "code", link=lambda p: _sheet_url(p), card="title"),
        ListColumn("name", _l("Product name"), lambda p: p.model.name),
        ListColumn("barcode", _l("Bar code"), lambda p: p.barcode, "code"),
        ListColumn("shelf", _l("Shelf life (days)"), lambda p: p.shelf_days or "", "number"),
        ListColumn("reorder_at", _l("Order again at"), lambda p: p.reorder_at or "", "number", card="hide"),
        ListColumn("reorder_to", _l("Order up to"), lambda p: p.reorder_to or "", "number", card="hide"),
        ListColumn("measure", _l("Counted in"), lambda p: p.measure, card="hide"),
        ListColumn(
            "active",
            _l("In use"),
            lambda p: (_l("In use"), "good") if p.active else (_l("Not in use"), "neutral"),
            "badge",
            card="badge",
            export=lambda p: str(_l("In use") if p.active else _l("Not in use")),
        ),
    ),
    orderings=newest(Product),
    filters=(Filter("active", _l("In use"), "bool", lambda s, yes, _c: s.where(Product.active.is_(yes))),),
    quick=(
        QuickFilter("no_barcode", _l("Without bar code"), lambda s, _c: s.where(Product.barcode == "")),
        QuickFilter("dated", _l("With a shelf life"), lambda s, _c: s.where(Product.shelf_days.is_not(None))),
    ),
    search=lambda s, text, c: s.where(_named(text)),
    search_hint=_l("Bar code, model or name"),
    empty=_l("No product yet. Enter the models in the product file first, then their sheets here."),
)


def _named(text: str) -> Any:
    model, plain = products.Model, text.strip()[:60]
    return or_(
        Product.barcode == goods.tidy_code(plain),
        model.code.istartswith(plain, autoescape=True),
        model.name.icontains(plain, autoescape=True),
    )


def _sheet_url(row: Product) -> str:
    return page_url("store_products.details_view", id=row.id)


class ProductView(UnitModelView):
    """Products as the store sells them (商品资料): bar code, shelf life, when to order again."""

    plugin = PLUGIN
    title = _l("Products of the store")
    icon = "box"
    create_label = _l("New product sheet")
    permission = VIEW
    create_permission = BUY
    edit_permission = BUY
    export_permission = VIEW
    subject = "store:product"

    def list_spec(self) -> ListSpec:
        return PRODUCTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return goods.fields_for(g.unit.id, row)

    def form_values(self, row: Any) -> dict[str, Any]:
        return goods.form_values(row)

    def new_values(self) -> dict[str, Any]:
        return {"active": True}

    def create(self, values: dict[str, Any]) -> Any:
        return goods.save(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        goods.save(row.unit_id, values, row)

    def details(self, row: Any) -> dict[str, Any]:
        facts = super().details(row)["facts"]
        name = goods.names_of([row.model_id]).get(row.model_id, "")
        return {"facts": [(_l("Model"), name), *facts]}


# --- suppliers -----------------------------------------------------------------------------------

supplier_badge = badge_of(values.SUPPLIER_STATES, **TONES)


def qualified(row: Supplier) -> tuple[Any, str]:
    """Return (label, tone) of how long a supplier's assessment is good for."""
    until = row.qualified_until
    if until is None:
        return (_l("Never assessed"), "neutral") if row.score is None else (_l("No valid assessment"), "bad")
    today = local_day(row.unit_id)
    tone = "bad" if until < today else "warn" if until <= today + timedelta(days=SOON_DAYS) else "good"
    return until.isoformat(), tone


def _due(statement: Select[Any], context: ListContext) -> Select[Any]:
    soon = context.today() + timedelta(days=SOON_DAYS)
    return statement.where(Record.state.in_((values.QUALIFIED, values.SUSPENDED)), Supplier.qualified_until <= soon)


def _over(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(
        Record.state.in_((values.QUALIFIED, values.SUSPENDED)), Supplier.qualified_until < context.today()
    )


class SupplierView(RecordView):
    """The register of suppliers (供应商库, R02-7a)."""

    title = _l("Suppliers")
    icon = "users"
    create_label = _l("New supplier")
    create_permission = BUY
    edit_permission = BUY
    fields = suppliers.FIELDS
    spec = ListSpec(
        name="store.suppliers",
        title=_l("Suppliers"),
        model=Supplier,
        base=heads(Supplier),
        columns=(
            ListColumn("name", _l("Name of the supplier"), lambda s: s.name, link=record_url, card="title"),
            ListColumn("number", _l("Number"), lambda s: s.record.number, "code", card="hide"),
            state(supplier_badge),
            ListColumn("supplies", _l("What it supplies"), lambda s: s.supplies),
            ListColumn("score", _l("Score"), lambda s: s.score if s.score is not None else "", "number"),
            ListColumn(
                "until", _l("Next assessment by"), qualified, "badge", export=lambda s: str(qualified(s)[0])
            ),
            ListColumn("contact", _l("Contact person"), lambda s: s.contact, card="hide"),
            ListColumn("phone", _l("Phone"), lambda s: s.phone, card="hide"),
            ListColumn("licence_until", _l("Licence valid until"), lambda s: s.licence_until, "date", card="hide"),
        ),
        orderings=newest(Supplier),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.SUPPLIER_STATES),),
        quick=(
            QuickFilter("due", _l("To be assessed soon"), _due),
            QuickFilter("over", _l("Assessment overdue"), _over),
            QuickFilter("new", _l("Not assessed yet"), in_state(values.CANDIDATE)),
        ),
        search=search_of(Supplier, suppliers.CODE),
        search_hint=_l("Name, code or what it supplies"),
        empty=_l("No supplier yet. Enter the first one, or import the register."),
    )

    def form_values(self, row: Any) -> dict[str, Any]:
        return suppliers.form_values(row)

    def create(self, values: dict[str, Any]) -> Any:
        return made(Supplier, suppliers.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: suppliers.change(row.id, values))


# --- releases ------------------------------------------------------------------------------------

release_badge = badge_of(values.RELEASE_STATES, **TONES)


class ReleaseView(RecordView):
    """Products released for sale and their papers (上市放行, R02-4)."""

    title = _l("Releases for sale")
    icon = "check"
    create_label = _l("New release")
    create_permission = QUALITY
    fields = releases.FIELDS
    spec = ListSpec(
        name="store.releases",
        title=_l("Releases for sale"),
        model=Release,
        base=heads(Release),
        columns=(
            number(),
            ListColumn("product", _l("Product"), lambda r: r.record.title),
            state(release_badge),
            ListColumn("released_at", _l("Released for sale at"), lambda r: r.released_at, "moment"),
            ListColumn("ended_at", _l("Ended at"), lambda r: r.ended_at, "moment", card="hide"),
        ),
        orderings=newest(Release),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.RELEASE_STATES),),
        quick=(QuickFilter("draft", _l("To be released"), in_state(values.DRAFT)),),
        search=search_of(Release, releases.CODE),
        search_hint=_l("Number, product or paper"),
        empty=_l("No release yet. Begin one for each product and enter its papers."),
    )

    def new_values(self) -> dict[str, Any]:
        return {"model": request.args.get("model", "")}

    def create(self, values: dict[str, Any]) -> Any:
        return made(Release, releases.register, values)


# --- plans and orders ------------------------------------------------------------------------------

plan_badge = badge_of(values.PLAN_STATES, **TONES)
order_badge = badge_of(values.ORDER_STATES, **TONES, received="good")
receiving_badge = badge_of(values.RECEIVING_STATES, **TONES, received="warn")


class PlanView(RecordView):
    """Purchase plans from sales and stock (采购计划, R02-8)."""

    title = _l("Purchase plans")
    icon = "chart"
    create_label = _l("New purchase plan")
    create_permission = BUY
    edit_permission = BUY
    spec = ListSpec(
        name="store.plans",
        title=_l("Purchase plans"),
        model=Plan,
        base=heads(Plan),
        columns=(
            number(),
            ListColumn("month", _l("Month"), lambda p: f"{p.month:%Y-%m}"),
            state(plan_badge),
            ListColumn("note", _l("Note"), lambda p: p.note, card="hide"),
        ),
        orderings=newest(Plan),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.PLAN_STATES),),
        quick=(QuickFilter("open", _l("Under way"), in_state(values.DRAFT, values.APPROVED)),),
        search=search_of(Plan, plans.PLAN),
        empty=_l("No purchase plan yet. A new one proposes what is short, by sales and stock."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return plans.FIELDS if row is None else plans.FIELDS[1:]

    def form_values(self, row: Any) -> dict[str, Any]:
        return plans.form_values(row)

    def new_values(self) -> dict[str, Any]:
        return {"month": plans.next_month(g.unit.id)}

    def create(self, values: dict[str, Any]) -> Any:
        return made(Plan, plans.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: plans.change(row.id, {**values, "lines": values["lines"] or ""}))


class OrderView(RecordView):
    """Purchase orders (采购订单, R02-6)."""

    title = _l("Purchase orders")
    icon = "inbox"
    create_label = _l("New purchase order")
    create_permission = BUY
    edit_permission = BUY
    spec = ListSpec(
        name="store.orders",
        title=_l("Purchase orders"),
        model=PurchaseOrder,
        base=heads(PurchaseOrder),
        columns=(
            number(),
            ListColumn("what", _l("What is to be bought"), lambda o: o.record.title),
            state(order_badge),
            ListColumn("expected_on", _l("Expected on"), lambda o: o.expected_on, "date"),
            ListColumn("drafted", _l("Drafted at"), lambda o: o.record.received_at, "moment", card="hide"),
        ),
        orderings=newest(PurchaseOrder),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.ORDER_STATES),),
        quick=(
            QuickFilter("open", _l("Under way"), in_state(values.DRAFT, values.ORDERED)),
            QuickFilter("to_come", _l("To be received"), in_state(values.ORDERED)),
        ),
        search=search_of(PurchaseOrder, orders.ORDER),
        search_hint=_l("Number, supplier or product"),
        empty=_l("No purchase order yet. Draft one, or let a plan draft them."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        held = row.supplier_id if row is not None else None
        return [supplier_field(orders.FIELDS[0], held), *orders.FIELDS[1:]]

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**orders.form_values(row), "supplier": str(row.supplier_id)}

    def create(self, values: dict[str, Any]) -> Any:
        return made(PurchaseOrder, orders.register, {**values, "lines": values["lines"] or ""})

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: orders.change(row.id, {**values, "lines": values["lines"] or ""}))


class ReceivingView(RecordView):
    """Deliveries and their inspection (到货验货, R02-9)."""

    title = _l("Deliveries")
    icon = "inbox"
    create_label = _l("New delivery")
    create_permission = RECEIVE
    edit_permission = RECEIVE
    spec = ListSpec(
        name="store.receivings",
        title=_l("Deliveries"),
        model=Receiving,
        base=heads(Receiving),
        columns=(
            number(),
            ListColumn("what", _l("What was delivered"), lambda r: r.record.title),
            state(receiving_badge),
            ListColumn("note", _l("Number of the delivery note"), lambda r: r.delivery_note, "code"),
            ListColumn("expected_on", _l("Expected on"), lambda r: r.expected_on, "date", card="hide"),
            ListColumn("arrived_at", _l("Arrived at"), lambda r: r.arrived_at, "moment"),
            ListColumn("checked_at", _l("Inspected at"), lambda r: r.checked_at, "moment", card="hide"),
        ),
        orderings=newest(Receiving),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.RECEIVING_STATES),),
        quick=(
            QuickFilter("to_inspect", _l("To be inspected"), in_state(values.RECEIVED)),
            QuickFilter("expected", _l("Delivery expected"), in_state(values.EXPECTED)),
        ),
        search=search_of(Receiving, receiving.CODE),
        search_hint=_l("Number, delivery note, supplier, product or batch"),
        empty=_l("No delivery yet. Enter what arrives, or expect it from an order."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        held = row.supplier_id if row is not None else None
        supplier, order, *rest = receiving.FIELDS
        fields = [supplier_field(supplier, held), order, *rest]
        return fields if row is None else [one for one in fields if one.name != "arrived"]

    def new_values(self) -> dict[str, Any]:
        return {"arrived": True, "order": request.args.get("order", "")}

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**receiving.form_values(row), "supplier": str(row.supplier_id)}

    def create(self, values: dict[str, Any]) -> Any:
        return made(Receiving, receiving.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        if receiving.form_values(row)["lines"] == (values["lines"] or ""):
            values = {name: value for name, value in values.items() if name != "lines"}
        said_on_form(lambda: receiving.change(row.id, values))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        ReceivingView(Receiving, endpoint="store_receivings", url="store/receivings"),
        OrderView(PurchaseOrder, endpoint="store_orders", url="store/orders"),
        PlanView(Plan, endpoint="store_plans", url="store/plans"),
        SupplierView(Supplier, endpoint="store_suppliers", url="store/suppliers"),
        ProductView(Product, endpoint="store_products", url="store/products"),
        ReleaseView(Release, endpoint="store_releases", url="store/releases"),
    ]

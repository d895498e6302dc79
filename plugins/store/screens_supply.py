"""Screens of products, suppliers, releases, plans, orders and deliveries: lists and forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager

from core.sdk import AppError, Choices, Field, InvalidData, Record, label_of, local_day, search, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    page_url,
)
from plugins.products import services as products

from . import goods, orders, plans, receiving, releases, suppliers, values
from .models import Plan, Product, PurchaseOrder, Receiving, Release, Supplier
from .rights import BUY, QUALITY, RECEIVE, VIEW

PLUGIN = "store"
SEARCH_LIMIT = 500
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


def record_url(row: Any) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=row.id)


def badge_of(states: Choices, **tones: str) -> Callable[[Any], tuple[Any, str]]:
    """Return what tells (label, tone) of the state of a row's record."""

    def badge(row: Any) -> tuple[Any, str]:
        state = row.record.state
        return label_of(states, state), tones.get(state) or TONES.get(state, "neutral")

    return badge


def _heads(model: Any) -> Any:
    return lambda: select(model).join(model.record).options(contains_eager(model.record))


def _search(model: Any, code: str) -> Any:
    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        found = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in found]))

    return find


def _in_state(*states: str) -> Any:
    return lambda statement, _context: statement.where(Record.state.in_(states))


def _number() -> ListColumn:
    return ListColumn("number", _l("Number"), lambda row: row.record.number, "code", link=record_url, card="title")


def _state(badge: Any) -> ListColumn:
    return ListColumn("state", _l("State"), badge, "badge", card="badge", export=lambda row: str(badge(row)[0]))


def _newest(model: Any) -> tuple[Ordering, ...]:
    return (
        Ordering("newest", _l("Newest first"), (model.id,)),
        Ordering("oldest", _l("Oldest first"), (model.id,), descending=False),
    )


class _RecordView(UnitModelView):
    """A list of records with a form to begin one; the page of each is its record's."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    spec: ListSpec
    fields: Sequence[Field] = ()

    def list_spec(self) -> ListSpec:
        return self.spec

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.fields

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the record."""
        return redirect(record_url(self.get_one(request.args.get("id"))))


def said_on_form(call: Any) -> Any:
    """Let what a service refuses stand over the form."""
    try:
        return call()
    except AppError as bad:
        if not hasattr(bad, "refusals"):
            raise
        raise InvalidData({"": [str(one.text) for one in bad.refusals]}) from None


def _made(model: Any, call: Callable[[int, Mapping[str, Any]], Record], given: Mapping[str, Any]) -> Any:
    return session().get(model, said_on_form(lambda: call(g.unit.id, given)).id)


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
            lambda p: (_l("In use"), "good") if p.active else (_l("Out of use"), "neutral"),
            "badge",
            card="badge",
            export=lambda p: str(_l("In use") if p.active else _l("Out of use")),
        ),
    ),
    orderings=_newest(Product),
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

supplier_badge = badge_of(values.SUPPLIER_STATES)


def qualified(row: Supplier) -> tuple[Any, str]:
    """Return (label, tone) of how long a supplier's assessment is good for."""
    until = row.qualified_until
    if until is None:
        return _l("Never assessed"), "neutral"
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


class SupplierView(_RecordView):
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
        base=_heads(Supplier),
        columns=(
            ListColumn("name", _l("Name of the supplier"), lambda s: s.name, link=record_url, card="title"),
            ListColumn("number", _l("Number"), lambda s: s.record.number, "code", card="hide"),
            _state(supplier_badge),
            ListColumn("supplies", _l("What it supplies"), lambda s: s.supplies),
            ListColumn("score", _l("Score"), lambda s: s.score if s.score is not None else "", "number"),
            ListColumn(
                "until", _l("Next assessment by"), qualified, "badge", export=lambda s: str(qualified(s)[0])
            ),
            ListColumn("contact", _l("Contact person"), lambda s: s.contact, card="hide"),
            ListColumn("phone", _l("Phone"), lambda s: s.phone, card="hide"),
            ListColumn("licence_until", _l("Licence valid until"), lambda s: s.licence_until, "date", card="hide"),
        ),
        orderings=_newest(Supplier),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.SUPPLIER_STATES),),
        quick=(
            QuickFilter("due", _l("To be assessed soon"), _due),
            QuickFilter("over", _l("Assessment overdue"), _over),
            QuickFilter("new", _l("Not assessed yet"), _in_state(values.CANDIDATE)),
        ),
        search=_search(Supplier, suppliers.CODE),
        search_hint=_l("Name, code or what it supplies"),
        empty=_l("No supplier yet. Enter the first one, or import the register."),
    )

    def form_values(self, row: Any) -> dict[str, Any]:
        return suppliers.form_values(row)

    def create(self, values: dict[str, Any]) -> Any:
        return _made(Supplier, suppliers.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: suppliers.change(row.id, values))


# --- releases ------------------------------------------------------------------------------------

release_badge = badge_of(values.RELEASE_STATES)


class ReleaseView(_RecordView):
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
        base=_heads(Release),
        columns=(
            _number(),
            ListColumn("product", _l("Product"), lambda r: r.record.title),
            _state(release_badge),
            ListColumn("released_at", _l("Released at"), lambda r: r.released_at, "moment"),
            ListColumn("ended_at", _l("Ended at"), lambda r: r.ended_at, "moment", card="hide"),
        ),
        orderings=_newest(Release),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.RELEASE_STATES),),
        quick=(QuickFilter("draft", _l("To be released"), _in_state(values.DRAFT)),),
        search=_search(Release, releases.CODE),
        search_hint=_l("Number, product or paper"),
        empty=_l("No release yet. Begin one for each product and enter its papers."),
    )

    def new_values(self) -> dict[str, Any]:
        return {"model": request.args.get("model", "")}

    def create(self, values: dict[str, Any]) -> Any:
        return _made(Release, releases.register, values)


# --- plans and orders ------------------------------------------------------------------------------

plan_badge = badge_of(values.PLAN_STATES)
order_badge = badge_of(values.ORDER_STATES, received="good")
receiving_badge = badge_of(values.RECEIVING_STATES, received="warn")


class PlanView(_RecordView):
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
        base=_heads(Plan),
        columns=(
            _number(),
            ListColumn("month", _l("Month"), lambda p: f"{p.month:%Y-%m}"),
            _state(plan_badge),
            ListColumn("note", _l("Note"), lambda p: p.note, card="hide"),
        ),
        orderings=_newest(Plan),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.PLAN_STATES),),
        quick=(QuickFilter("open", _l("Under way"), _in_state(values.DRAFT, values.APPROVED)),),
        search=_search(Plan, plans.PLAN),
        empty=_l("No purchase plan yet. A new one proposes what is short, by sales and stock."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return plans.FIELDS if row is None else plans.FIELDS[1:]

    def form_values(self, row: Any) -> dict[str, Any]:
        return plans.form_values(row)

    def new_values(self) -> dict[str, Any]:
        return {"month": plans.next_month(g.unit.id)}

    def create(self, values: dict[str, Any]) -> Any:
        return _made(Plan, plans.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: plans.change(row.id, {**values, "lines": values["lines"] or ""}))


class OrderView(_RecordView):
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
        base=_heads(PurchaseOrder),
        columns=(
            _number(),
            ListColumn("what", _l("What is to be bought"), lambda o: o.record.title),
            _state(order_badge),
            ListColumn("expected_on", _l("Expected on"), lambda o: o.expected_on, "date"),
            ListColumn("drafted", _l("Drafted at"), lambda o: o.record.received_at, "moment", card="hide"),
        ),
        orderings=_newest(PurchaseOrder),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.ORDER_STATES),),
        quick=(
            QuickFilter("open", _l("Under way"), _in_state(values.DRAFT, values.ORDERED)),
            QuickFilter("to_come", _l("To be received"), _in_state(values.ORDERED)),
        ),
        search=_search(PurchaseOrder, orders.ORDER),
        search_hint=_l("Number, supplier or product"),
        empty=_l("No purchase order yet. Draft one, or let a plan draft them."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        held = row.supplier_id if row is not None else None
        return [supplier_field(orders.FIELDS[0], held), *orders.FIELDS[1:]]

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**orders.form_values(row), "supplier": str(row.supplier_id)}

    def create(self, values: dict[str, Any]) -> Any:
        return _made(PurchaseOrder, orders.register, {**values, "lines": values["lines"] or ""})

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: orders.change(row.id, {**values, "lines": values["lines"] or ""}))


class ReceivingView(_RecordView):
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
        base=_heads(Receiving),
        columns=(
            _number(),
            ListColumn("what", _l("What was delivered"), lambda r: r.record.title),
            _state(receiving_badge),
            ListColumn("note", _l("Number of the delivery note"), lambda r: r.delivery_note, "code"),
            ListColumn("expected_on", _l("Expected on"), lambda r: r.expected_on, "date", card="hide"),
            ListColumn("arrived_at", _l("Arrived at"), lambda r: r.arrived_at, "moment"),
            ListColumn("checked_at", _l("Inspected at"), lambda r: r.checked_at, "moment", card="hide"),
        ),
        orderings=_newest(Receiving),
        filters=(Filter("state", _l("State"), "choice", among(Record.state), values.RECEIVING_STATES),),
        quick=(
            QuickFilter("to_inspect", _l("To be inspected"), _in_state(values.RECEIVED)),
            QuickFilter("expected", _l("Expected"), _in_state(values.EXPECTED)),
        ),
        search=_search(Receiving, receiving.CODE),
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
        return _made(Receiving, receiving.register, values)

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

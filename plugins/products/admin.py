"""Back-office screens: items, models, batches and categories of a unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from flask import g, request, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import joinedload, selectinload

from core.sdk import Choices, Field, Record
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    label_action,
    page_url,
)

from . import fields, services
from .models import Batch, Category, Flag, Item, Model

PLUGIN = "products"
UNKNOWN = ""
_CLASS_TONES = {fields.OWN: "good", fields.AGENT: "info", UNKNOWN: "warn"}


def class_badge(sold_class: str) -> tuple[Any, str]:
    """Return (label, tone) of an item's class."""
    label = fields.label_of(fields.SOLD_CLASSES, sold_class) if sold_class else _l("To be settled")
    return label, _CLASS_TONES[sold_class]


def item_url(item: Item) -> str:
    """Return the address of an item's page."""
    return url_for("products_item.details_view", id=item.id)


def record_url(record: Record) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=record.id)


class ProductsView(UnitModelView):
    """What the screens of this plugin share."""

    plugin = PLUGIN
    permission = services.VIEW
    create_permission = services.EDIT
    edit_permission = services.EDIT
    export_permission = services.VIEW


# --- items -----------------------------------------------------------------------------------


def _models_here() -> Choices:
    return services.model_choices(g.unit.id)


def _by_class(statement: Select[Any], values: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(Item.sold_class.in_(["" if v == "none" else v for v in values]))


def _by_purchase(statement: Select[Any], span: Any, context: ListContext) -> Select[Any]:
    zone = ZoneInfo(context.timezone)
    start, end = (moment.astimezone(zone).date() if moment else None for moment in span)
    if start:
        statement = statement.where(Item.purchased_on >= start)
    return statement.where(Item.purchased_on < end) if end else statement


def _in_doubt(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(exists().where(Flag.item_id == Item.id, Flag.settled_at.is_(None)))


def _find_items(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    return statement.where(Item.id.in_(services.search_ids(units, text, 500)))


def _set_class(item: Item, values: dict[str, Any]) -> None:
    services.set_sold_class(item, values["sold_class"])


def _class_field() -> Sequence[Field]:
    return [Field("sold_class", "choice", _l("Sold by"), required=True, choices=fields.SOLD_CLASSES)]


def _proof(item: Item) -> Any:
    return fields.label_of(fields.PROOFS, item.proof)


def _doubts(item: Item) -> str:
    return "; ".join(fields.flag_text(flag) for flag in item.open_flags)


ITEMS = ListSpec(
    name="products.items",
    title=_l("Items"),
    model=Item,
    base=lambda: select(Item).options(
        joinedload(Item.model, innerjoin=True), joinedload(Item.customer), selectinload(Item.open_flags)
    ),
    columns=(
        ListColumn(
            "serial", _l("Serial number"), lambda i: i.serial, "code", "serial", link=item_url, card="title"
        ),
        ListColumn("model", _l("Model"), lambda i: i.model.code, "code"),
        ListColumn("product", _l("Product name"), lambda i: i.model.name),
        ListColumn("customer", _l("Customer"), services.customer_name),
        ListColumn("sold_class", _l("Sold by"), lambda i: class_badge(i.sold_class), "badge", card="badge"),
        ListColumn("channel", _l("Sales channel"), lambda i: fields.label_of(fields.CHANNELS, i.channel)),
        ListColumn("purchased_on", _l("Purchased on"), lambda i: i.purchased_on, "date"),
        ListColumn("proof", _l("Proof of purchase"), _proof, card="hide", visible=False),
        ListColumn("produced_on", _l("Produced on"), lambda i: i.produced_on, "date", card="hide", visible=False),
        ListColumn("last_service_on", _l("Last service"), lambda i: i.last_service_on, "date", visible=False),
        ListColumn("doubt", _l("To be checked"), _doubts),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Item.id,)),
        Ordering("serial", _l("Serial number"), (Item.serial, Item.id), descending=False),
    ),
    filters=(
        Filter(
            "model",
            _l("Model"),
            "choice",
            lambda s, values, _c: s.where(Item.model_id.in_([int(v) for v in values])),
            _models_here,
        ),
        Filter("class", _l("Sold by"), "choice", _by_class, (*fields.SOLD_CLASSES, ("none", _l("To be settled")))),
        Filter("channel", _l("Sales channel"), "choice", among(Item.channel), fields.CHANNELS),
        Filter("purchased", _l("Purchased on"), "dates", _by_purchase),
    ),
    quick=(
        QuickFilter("doubt", _l("To be checked"), _in_doubt),
        QuickFilter("undated", _l("No purchase date"), lambda s, _c: s.where(Item.purchased_on.is_(None))),
        QuickFilter("ownerless", _l("No customer"), lambda s, _c: s.where(Item.customer_id.is_(None))),
    ),
    actions=(
        BulkAction("class", _l("Settle who sold it"), _set_class, permission=services.EDIT, fields=_class_field),
        label_action("products.item", services.VIEW),
    ),
    search=_find_items,
    search_hint=_l("Any part of the serial number, model or product name"),
    empty=_l("No items yet. Import the product file or add the first item."),
)


class ItemView(ProductsView):
    """Serial-numbered products (设备台账)."""

    title = _l("Items")
    icon = "box"
    create_label = _l("New item")
    details_template = "products/item.html"
    lookup_columns = (Item.serial,)

    def list_spec(self) -> ListSpec:
        return ITEMS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        models = services.models_with(g.unit.id if row is None else row.unit_id, row)
        return fields.item_fields(models, services.customer_name(row) if row is not None else "")

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "batch": row.batch.number if row.batch else ""}

    def new_values(self) -> dict[str, Any]:
        return {"serial": fields.tidy_serial(request.args.get("serial", ""))[:60]}

    def create(self, values: dict[str, Any]) -> Any:
        return services.save_item(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        services.save_item(row.unit_id, values, row)

    def details(self, row: Any) -> dict[str, Any]:
        item = services.get_item(row.id)
        records = services.records_of_item(item)
        customer = services.customer_name(item)
        return {
            "item": item,
            "model_url": model_url(item.model),
            "customer": customer,
            "customer_url": page_url("customers.details_view", id=item.customer_id) if customer else "",
            "flags": [*services.flags_of_item(item), *services.flags_of_model(item.model)],
            "context": {"earlier": records, "record_url": record_url},
            "last_service": services.last_service(item, records),
            "labels": fields,
            "badge": class_badge(item.sold_class),
        }

    def lookup_detail(self, row: Any) -> str:
        return str(row.model)


# --- models ----------------------------------------------------------------------------------


def model_url(model: Model) -> str:
    """Return the address of a model's page."""
    return url_for("products_model.details_view", id=model.id)


def _categories_here() -> Choices:
    return services.category_choices(g.unit.id)


MODELS = ListSpec(
    name="products.models",
    title=_l("Models"),
    model=Model,
    base=lambda: select(Model).options(joinedload(Model.category), selectinload(Model.key_parts)),
    columns=(
        ListColumn("code", _l("Model"), lambda m: m.code, "code", "code", link=model_url, card="title"),
        ListColumn("name", _l("Product name"), lambda m: m.name),
        ListColumn("category", _l("Category"), lambda m: m.category.name if m.category else ""),
        ListColumn("warranty_months", _l("Warranty (months)"), lambda m: m.warranty_months, "number"),
        ListColumn("price", _l("List price (yuan)"), lambda m: m.price, "money"),
        ListColumn("key_parts", _l("Key parts"), lambda m: "、".join(part.name for part in m.key_parts)),
        ListColumn("active", _l("In use"), lambda m: m.active, "bool", card="hide", visible=False),
    ),
    orderings=(
        Ordering("code", _l("Model"), (Model.code, Model.id), descending=False),
        Ordering("newest", _l("Newest first"), (Model.id,)),
    ),
    filters=(
        Filter(
            "category",
            _l("Category"),
            "choice",
            lambda s, values, _c: s.where(Model.category_id.in_([int(v) for v in values])),
            _categories_here,
        ),
    ),
    quick=(
        QuickFilter(
            "doubt",
            _l("To be checked"),
            lambda s, _c: s.where(exists().where(Flag.model_id == Model.id, Flag.settled_at.is_(None))),
        ),
    ),
    search=lambda s, text, _c: s.where(
        Model.code.icontains(text, autoescape=True) | Model.name.contains(text, autoescape=True)
    ),
    search_hint=_l("Model or product name"),
    empty=_l("No models yet. Import the product file or add the first model."),
)


class ModelView(ProductsView):
    """Product models with their key parts (型号)."""

    title = _l("Models")
    icon = "list"
    create_label = _l("New model")
    details_template = "products/model.html"
    lookup_columns = (Model.code, Model.name)

    def list_spec(self) -> ListSpec:
        return MODELS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return fields.model_fields(services.categories_with(g.unit.id if row is None else row.unit_id, row))

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "key_parts": fields.show_key_parts(row.key_parts)}

    def create(self, values: dict[str, Any]) -> Any:
        return services.save_model(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        services.save_model(row.unit_id, values, row)

    def details(self, row: Any) -> dict[str, Any]:
        return {
            "flags": services.flags_of_model(row),
            "item_count": services.count_items(row),
            "items_url": url_for("products_item.index_view", f_model=row.id),
            "labels": fields,
        }


# --- batches and categories --------------------------------------------------------------------


def batch_url(batch: Batch) -> str:
    """Return the address of a batch's page."""
    return url_for("products_batch.details_view", id=batch.id)


BATCHES = ListSpec(
    name="products.batches",
    title=_l("Batches"),
    model=Batch,
    base=lambda: select(Batch).options(joinedload(Batch.model, innerjoin=True)),
    columns=(
        ListColumn(
            "number", _l("Batch number"), lambda b: b.number, "code", "number", link=batch_url, card="title"
        ),
        ListColumn("model", _l("Model"), lambda b: str(b.model)),
        ListColumn("produced_on", _l("Produced on"), lambda b: b.produced_on, "date"),
        ListColumn("note", _l("Note"), lambda b: b.note, card="hide"),
    ),
    orderings=(
        Ordering("number", _l("Batch number"), (Batch.number, Batch.id)),
        Ordering("newest", _l("Newest first"), (Batch.id,)),
    ),
    filters=(
        Filter(
            "model",
            _l("Model"),
            "choice",
            lambda s, values, _c: s.where(Batch.model_id.in_([int(v) for v in values])),
            _models_here,
        ),
    ),
    search=lambda s, text, _c: s.where(Batch.number.startswith(text, autoescape=True)),
    search_hint=_l("Batch number"),
    empty=_l("No batches yet. They are made when items name them."),
)


class BatchView(ProductsView):
    """Production batches (批次)."""

    title = _l("Batches")
    icon = "inbox"
    create_label = _l("New batch")
    delete_permission = services.EDIT
    details_template = "products/batch.html"

    def list_spec(self) -> ListSpec:
        return BATCHES

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return fields.batch_fields(services.models_with(g.unit.id if row is None else row.unit_id, row))

    def create(self, values: dict[str, Any]) -> Any:
        return services.save_batch(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        services.save_batch(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        services.delete_batch(row)

    def details(self, row: Any) -> dict[str, Any]:
        items = services.items_of_batch(row)
        return {"items": [(item, item_url(item), services.customer_name(item)) for item in items]}


def category_url(category: Category) -> str:
    """Return the address of a category's page."""
    return url_for("products_category.details_view", id=category.id)


CATEGORIES = ListSpec(
    name="products.categories",
    title=_l("Product categories"),
    model=Category,
    columns=(
        ListColumn("name", _l("Category"), lambda c: c.name, link=category_url, card="title"),
        ListColumn("sort", _l("Order in lists"), lambda c: c.sort, "number"),
        ListColumn("active", _l("In use"), lambda c: c.active, "bool", card="badge"),
    ),
    orderings=(Ordering("sort", _l("Order in lists"), (Category.sort, Category.id), descending=False),),
    empty=_l("No categories yet."),
)


class CategoryView(ProductsView):
    """Product categories (类别)."""

    title = _l("Product categories")
    icon = "columns"
    create_label = _l("New category")
    delete_permission = services.EDIT

    def list_spec(self) -> ListSpec:
        return CATEGORIES

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return fields.category_fields()

    def create(self, values: dict[str, Any]) -> Any:
        return services.save_category(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        services.save_category(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        services.delete_category(row)

    def after_save(self, row: Any) -> str:
        return str(self.get_url(".index_view"))


def views() -> list[ProductsView]:
    """Make the screens of this plugin, in menu order. New ones for each application."""
    return [
        ItemView(Item, endpoint="products_item", url="products/items"),
        ModelView(Model, endpoint="products_model", url="products/models"),
        BatchView(Batch, endpoint="products_batch", url="products/batches"),
        CategoryView(Category, endpoint="products_category", url="products/categories"),
    ]

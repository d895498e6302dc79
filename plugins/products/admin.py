"""Back-office screens: items, models, batches and categories of a unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue as Answer
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, exists, select
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.orm.exc import StaleDataError

from core.sdk import Choices, Conflict, Field, InvalidData, Record, Refused, local_day, transaction
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
    badges_of,
    form_from_fields,
    label_action,
    page_url,
)

from . import fields, history, product_file, services, shipping
from .models import Batch, Category, Flag, Item, Model
from .rights import QUALITY

PLUGIN = "products"
UNKNOWN = ""
_CLASS_TONES = {
    fields.OWN: "good",
    fields.AGENT: "info",
    fields.PARTNER: "info",
    fields.PARTNER_SOLD: "neutral",
    fields.COMPETITOR: "bad",
    UNKNOWN: "warn",
}


def class_badge(sold_class: str) -> tuple[Any, str]:
    """Return (label, tone) of an item's class."""
    label = fields.label_of(fields.SOLD_CLASSES, sold_class) if sold_class else _l("To be settled")
    return label, _CLASS_TONES.get(sold_class, "neutral")


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

    def act(
        self,
        row: Any,
        permission: str,
        title: Any,
        wanted: Sequence[Field],
        run: Callable[[dict[str, Any]], object],
        *,
        values: dict[str, Any] | None = None,
        note: Any = "",
    ) -> Answer:
        """Show the form of something done to a row, or do it; what does not go through is said in the form."""
        self.need(permission, row)
        form = form_from_fields(wanted, values, timezone=g.unit.timezone)
        status = 200
        if request.method == "POST":
            status = 422
            if form.validate_on_submit():
                try:
                    with transaction():
                        run(form.cleaned)
                except (InvalidData, Refused, Conflict) as bad:
                    form.show(bad)
                    status = bad.status
                except StaleDataError:
                    form.show(Conflict())
                    status = Conflict.status
                else:
                    flash(_("Saved."), "good")
                    return redirect(self.row_url(row))
        page = self.render(
            "products/action.html", form=form, row=row, title=title, note=note, back=self.row_url(row)
        )
        return page, status


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
        ListColumn("delivered_on", _l("Delivered on"), lambda i: i.delivered_on, "date", visible=False),
        ListColumn("handed_over_on", _l("Handed over on"), lambda i: i.handed_over_on, "date", visible=False),
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

    subject = "products:item"

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
        return _beside_the_day(lambda: services.save_item(g.unit.id, values))

    def update(self, row: Any, values: dict[str, Any]) -> None:
        _beside_the_day(lambda: services.save_item(row.unit_id, values, row))

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
            "marks": badges_of(self.subject, [item]).get(item.id, []),
            "number": services.class_number(item.unit_id, item.sold_class),
            "used_by": services.user_name(item),
            "missing": product_file.missing_of(item),
            "entries": product_file.entries_of(item),
            "ratings": product_file.ratings_of(item, services.EARLIER_SHOWN),
            "parts": history.parts_of(item),
            "given_for": history.predecessors(item),
            "replaced_by": history.successors(item),
            "inspections": shipping.inspections_of(item),
            "item_url": item_url,
            "may": {
                "edit": self.allowed(services.EDIT, item),
                "inspect": self.allowed(QUALITY, item),
            },
        }

    # what is done to an item

    @expose("/deliver/", methods=("GET", "POST"))
    def deliver_view(self) -> Answer:
        """Deliver an item: what its file opens with (R17-9.1, R18-9.1)."""
        item = services.get_item(self.get_one(request.args.get("id")).id)
        inside = history.parts_in(item) or item.model.key_parts
        values = {
            "delivered_on": local_day(item.unit_id),
            "customer_id": item.customer_id,
            "used_by": item.used_by,
            "first_use": item.first_use,
            "parts": fields.show_item_parts(inside),
        }
        wanted = product_file.delivery_fields(item, services.customer_name(item))
        return self.act(
            item,
            services.EDIT,
            _("Deliver"),
            wanted,
            lambda given: product_file.deliver_item(item, given),
            values=values,
        )

    @expose("/entry/", methods=("GET", "POST"))
    def entry_view(self) -> Answer:
        """Add an entry to the file of an item."""
        item = self.get_one(request.args.get("id"))
        return self.act(
            item,
            services.EDIT,
            _("New entry of the product file"),
            fields.entry_fields(),
            lambda given: product_file.add_entry(item, given),
            values={"on": local_day(item.unit_id), "kind": request.args.get("kind", "")},
        )

    @expose("/entry-delete/", methods=("POST",))
    def entry_delete_view(self) -> Answer:
        """Take an entry out that was made by mistake."""
        with transaction():
            item = product_file.remove_entry(request.form.get("entry"))
        flash(_("Deleted."), "good")
        return redirect(self.row_url(item))

    @expose("/part/", methods=("GET", "POST"))
    def part_view(self) -> Answer:
        """Write down that a key part was taken out and another one fitted."""
        item = services.get_item(self.get_one(request.args.get("id")).id)
        return self.act(
            item,
            services.EDIT,
            _("Key part replaced"),
            fields.part_fields(history.part_names(item)),
            lambda given: _swap(item, given),
            values={"on": local_day(item.unit_id)},
        )

    @expose("/exchange/", methods=("GET", "POST"))
    def exchange_view(self) -> Answer:
        """Write down that an item was exchanged for another one."""
        item = self.get_one(request.args.get("id"))
        return self.act(
            item,
            services.EDIT,
            _("Exchanged for another item"),
            fields.exchange_fields(),
            lambda given: _exchange(item, given),
            values={"on": local_day(item.unit_id)},
        )

    @expose("/inspect/", methods=("GET", "POST"))
    def inspect_view(self) -> Answer:
        """Enter an inspection of an item (R05-1.2, R05-3.2)."""
        item = self.get_one(request.args.get("id"))
        return self.act(
            item,
            QUALITY,
            _("New inspection"),
            fields.inspection_fields(),
            lambda given: shipping.inspect(item, given),
            values={"stage": shipping.FINAL},
        )

    def lookup_detail(self, row: Any) -> str:
        return str(row.model)


def _beside_the_day(run: Callable[[], Any]) -> Any:
    """In a form, a delivery that is refused is said beside its day."""
    try:
        return run()
    except Refused as bad:
        raise InvalidData({"delivered_on": bad.texts()}) from None


def _swap(item: Item, given: dict[str, Any]) -> None:
    services.swap_part(
        item,
        given["part"],
        given["old_serial"] or "",
        given["new_serial"] or "",
        given["on"],
        part_model=given["part_model"] or "",
        batch=given["batch"] or "",
        origin=given["origin"] or "",
    )


def _exchange(item: Item, given: dict[str, Any]) -> None:
    fresh = services.find_item(item.unit_id, given["serial"])
    if fresh is None:
        raise InvalidData({"serial": _l("No item with this serial number")})
    services.replace_item(item, fresh, given["on"])


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
        ListColumn("category", _l("Product category"), lambda m: m.category.name if m.category else ""),
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
            _l("Product category"),
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


def hold_badge(batch: Batch) -> tuple[Any, str] | str:
    """Return (label, tone) of a stopped batch; '' for one that may ship."""
    if batch.held_at is None:
        return ""
    return (_l("Stopped and sealed"), "warn") if batch.sealed_at else (_l("Stopped, not sealed yet"), "bad")


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
        ListColumn("held", _l("State"), hold_badge, "badge", card="badge"),
        ListColumn("held_at", _l("Stopped at"), lambda b: b.held_at, "moment", card="hide", visible=False),
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
    quick=(
        QuickFilter("held", _l("Stopped"), lambda s, _c: s.where(Batch.held_at.is_not(None))),
        QuickFilter(
            "unsealed",
            _l("Stopped, not sealed yet"),
            lambda s, _c: s.where(Batch.held_at.is_not(None), Batch.sealed_at.is_(None)),
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
    subject = "products:batch"

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
        return {
            "items": [(item, item_url(item), services.customer_name(item)) for item in items],
            "labels": fields,
            "badge": hold_badge(row),
            "sealing": shipping.sealing_of(row),
            "inspections": shipping.inspections_of(row),
            "may": {"quality": self.allowed(QUALITY, row)},
        }

    # what is done to a batch

    @expose("/hold/", methods=("GET", "POST"))
    def hold_view(self) -> Answer:
        """Stop a batch: nothing of it ships from now on (R09-5.2.4c)."""
        batch = self.get_one(request.args.get("id"))
        return self.act(
            batch,
            QUALITY,
            _("Stop this batch"),
            fields.hold_fields(),
            lambda given: shipping.hold_batch(batch, given["reason"]),
            note=_("Nothing of it ships until it is released. What is still here is set apart and sealed at once."),
        )

    @expose("/release/", methods=("GET", "POST"))
    def release_view(self) -> Answer:
        """Let a stopped batch go."""
        batch = self.get_one(request.args.get("id"))
        return self.act(
            batch,
            QUALITY,
            _("Release this batch"),
            fields.hold_fields(),
            lambda given: shipping.release_batch(batch, given["reason"]),
        )

    @expose("/seal/", methods=("POST",))
    def seal_view(self) -> Answer:
        """Say that what is here of a stopped batch is set apart and sealed."""
        batch = self.get_one(request.form.get("id"))
        try:
            with transaction():
                shipping.seal_batch(batch)
        except Refused as bad:
            flash(_("; ").join(map(str, bad.texts())), "bad")
        else:
            flash(_("Saved."), "good")
        return redirect(self.row_url(batch))

    @expose("/inspect/", methods=("GET", "POST"))
    def inspect_view(self) -> Answer:
        """Enter an inspection of a batch (R05-1.2, R05-3.2)."""
        batch = self.get_one(request.args.get("id"))
        return self.act(
            batch,
            QUALITY,
            _("New inspection"),
            fields.inspection_fields(),
            lambda given: shipping.inspect(batch, given),
            values={"stage": shipping.FINAL},
        )


def category_url(category: Category) -> str:
    """Return the address of a category's page."""
    return url_for("products_category.details_view", id=category.id)


CATEGORIES = ListSpec(
    name="products.categories",
    title=_l("Product categories"),
    model=Category,
    columns=(
        ListColumn("name", _l("Product category"), lambda c: c.name, link=category_url, card="title"),
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

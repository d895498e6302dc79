"""What the product file offers to other systems: models and items, read and written through the same services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import ApiResource, Field, may

from . import fields, services
from .models import Item, Model

_MODEL_ID = Field("model_id", "int", _l("Model"), required=True)
_CATEGORY_ID = Field("category_id", "int", _l("Category"))
MODEL_FIELDS = tuple(_CATEGORY_ID if one.name == "category_id" else one for one in fields.model_fields(()))
ITEM_FIELDS = tuple(_MODEL_ID if one.name == "model_id" else one for one in fields.item_fields(()))


def resources() -> list[ApiResource]:
    """Return both collections."""
    shared: dict[str, Any] = {"permission": services.VIEW, "write_permission": services.EDIT}
    return [
        ApiResource(
            path="models",
            title=_l("Models"),
            model=Model,
            read={
                "code": "string",
                "name": "string",
                "category_id": "integer",
                "category": "string",
                "warranty_months": "integer",
                "price": "money",
                "key_parts": "string",
                "note": "string",
                "active": "boolean",
                "version": "integer",
            },
            show=_models,
            filters={"code": Model.code, "category_id": Model.category_id, "active": Model.active},
            fields=MODEL_FIELDS,
            create=services.save_model,
            change=_change_model,
            **shared,
        ),
        ApiResource(
            path="items",
            title=_l("Items"),
            model=Item,
            read={
                "serial": "string",
                "model_id": "integer",
                "model": "string",
                "batch": "string",
                "customer": "uid",
                "sold_class": "string",
                "channel": "string",
                "seller": "string",
                "proof": "string",
                "produced_on": "date",
                "purchased_on": "date",
                "delivered_on": "date",
                "handed_over_on": "date",
                "used_by": "string",
                "first_use": "boolean",
                "class_number": "string",
                "replaced_by": "string",
                "last_service_on": "date",
                "note": "string",
                "active": "boolean",
                "version": "integer",
            },
            show=_items,
            filters={"serial": Item.serial, "model_id": Item.model_id, "sold_class": Item.sold_class},
            fields=ITEM_FIELDS,
            create=services.save_item,
            change=_change_item,
            **shared,
        ),
    ]


def _models(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("code", "name", "category_id", "warranty_months", "price", "note", "active", "version")
    loaded = services.models_in_full([row.id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "category": _name(loaded[row.id].category),
            "key_parts": fields.show_key_parts(loaded[row.id].key_parts),
        }
        for row in rows
    ]


def _items(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("serial", "model_id", "sold_class", "channel", "seller", "proof", "produced_on", "purchased_on")
    more = (
        "delivered_on",
        "handed_over_on",
        "used_by",
        "first_use",
        "last_service_on",
        "note",
        "active",
        "version",
    )
    loaded = services.items_in_full([row.id for row in rows])
    given = services.serials_of([row.replaced_by_id for row in rows if row.replaced_by_id])
    return [
        {
            **{name: getattr(row, name) for name in (*plain, *more)},
            "model": loaded[row.id].model.code,
            "batch": _name(loaded[row.id].batch),
            "customer": _customer(loaded[row.id]),
            "used_by": services.user_name(row),
            "class_number": services.class_number(row.unit_id, row.sold_class),
            "replaced_by": given.get(row.replaced_by_id),
        }
        for row in rows
    ]


def _name(thing: Any) -> str | None:
    return None if thing is None else str(thing)


def _customer(item: Item) -> Any:
    return item.customer.uid if item.customer and may("customer.view", item.unit_id) else None


def _change_model(row: Model, given: Mapping[str, Any]) -> Model:
    present = {one.name: getattr(row, one.name) for one in MODEL_FIELDS if one.name != "key_parts"}
    parts = {"key_parts": fields.show_key_parts(row.key_parts)}
    return services.save_model(row.unit_id, {**present, **parts, **given}, row)


def _change_item(row: Item, given: Mapping[str, Any]) -> Item:
    present = {one.name: getattr(row, one.name) for one in ITEM_FIELDS if one.name != "batch"}
    batch = {"batch": row.batch.number if row.batch else None}
    return services.save_item(row.unit_id, {**present, **batch, **given}, row)

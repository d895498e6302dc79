"""What the product file adds to the core's pages: boxes, a column, a tile, search results, the look-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import Badge, Column, Customer, FormSection, Hit, Panel, Record, Tile, current_scope, local_day
from core.sdk_web import badges_of

from . import fields, history, product_file, services, shipping
from .admin import class_badge, item_url, record_url
from .models import Item, ItemPart
from .rights import QUALITY

CASE_LIST = "cases"
SUBJECT = "products:item"  # what other plugins know items by, for their marks


def of_record(record: Record) -> list[Panel]:
    """The item a case is about: model, purchase, class, proof, and earlier cases of the same serial number."""
    if not current_scope().may(services.VIEW, record.unit_id):
        return []
    item = services.item_of_record(record)
    if item is None:
        return _unknown(record)
    context = {
        "item": item,
        "url": item_url(item),
        "badge": class_badge(item.sold_class),
        "number": services.class_number(item.unit_id, item.sold_class),
        "marks": badges_of(SUBJECT, [item]).get(item.id, []),
        "earlier": services.records_of_item(item, before=record),
        "flags": services.flags_of_item(item),
        "labels": fields,
        "warnings": _warnings(record, item),
        "record_url": record_url,
    }
    return [Panel("item", _l("Item"), "products/record_panel.html", context, 20)]


def _unknown(record: Record) -> list[Panel]:
    serial = services.serial_of(record)
    if not serial:
        return []
    may = current_scope().may(services.EDIT, record.unit_id)
    new_url = url_for("products_item.create_view", serial=serial) if may else ""
    context = {"serial": serial, "new_url": new_url}
    return [Panel("item", _l("Item"), "products/unknown_panel.html", context, 20)]


def _warnings(record: Record, item: Any) -> list[str]:
    """Say what does not fit between case and item; staff decide what it means."""
    found = []
    if item.customer_id and record.customer_id and item.customer_id != record.customer_id:
        found.append(_("The item belongs to another customer"))
    if item.purchased_on and item.purchased_on > local_day(record.unit_id, record.received_at):
        found.append(_("Bought after this case was received"))
    if not item.purchased_on:
        found.append(_("No purchase date is known"))
    if item.batch is not None and item.batch.held_at:
        found.append(_("Its batch is stopped: %(reason)s", reason=item.batch.hold_reason))
    if item.replaced_by_id:
        found.append(_("This item was exchanged for another one"))
    return found


def of_customer(customer: Customer) -> list[Panel]:
    """The items of a customer, newest first."""
    if not current_scope().may(services.VIEW, customer.unit_id):
        return []
    items = services.items_of_customer(customer.id)
    if not items:
        return []
    marks = badges_of(SUBJECT, items)
    context = {
        "items": [(item, item_url(item), class_badge(item.sold_class), marks.get(item.id, [])) for item in items],
        "more": len(items) >= services.ITEMS_SHOWN,
    }
    return [Panel("items", _l("Items of this customer"), "products/customer_panel.html", context, 30)]


def form_sections(unit_id: int) -> list[FormSection]:
    """The look-up under the serial number of the case form; saving links the case and the item."""
    if not current_scope().may(services.VIEW, unit_id):
        return []
    return [FormSection("lookup", _l("Item"), (), _link, "products/form_section.html")]


def _link(record: Record, _values: Mapping[str, Any]) -> None:
    services.link_by_serial(record)


def columns(list_name: str) -> list[Column]:
    """The model of each case's item."""
    return [Column("model", _l("Model"), _models)] if list_name == CASE_LIST else []


def _models(rows: Sequence[Any]) -> Mapping[int, str]:
    return services.model_codes([row.id for row in rows])


def tiles(unit_id: int) -> list[Tile]:
    """How many items wait for somebody to settle a contradiction; stopped batches that nobody has sealed."""
    found = []
    if current_scope().may(services.EDIT, unit_id) and (count := services.items_in_doubt(unit_id)):
        url = url_for("products_item.index_view", quick="doubt")
        found.append(Tile("flags", _l("Items to be checked"), count, url, "warn"))
    if current_scope().may(QUALITY, unit_id) and (count := shipping.count_open_holds(unit_id)):
        url = url_for("products_batch.index_view", quick="unsealed")
        found.append(Tile("unsealed", _l("Stopped batches to be sealed"), count, url, "bad"))
    return found


def find_items(unit: Any, text: str, limit: int) -> list[Hit]:
    """Find items by any part of the serial number, model or product name, and by the number of a key part."""
    found = services.search_items(unit.id, text, limit)
    marks = badges_of(SUBJECT, found)
    hits = [Hit(item.serial, _detail(item, marks.get(item.id, [])), item_url(item)) for item in found]
    shown = {item.id for item in found}
    for part, item in history.items_with_part(unit.id, text, max(limit - len(hits), 0)):
        if item.id not in shown:
            shown.add(item.id)
            hits.append(Hit(item.serial, _part_detail(part, item), item_url(item)))
    return hits


def _part_detail(part: ItemPart, item: Item) -> str:
    gone = _("taken out on %(day)s", day=part.removed_on.isoformat()) if part.removed_on else ""
    return " · ".join(text for text in (str(item.model), part.name, part.serial, gone) if text)


def _detail(item: Any, marks: Sequence[Badge] = ()) -> str:
    said = (str(item.model), services.customer_name(item), *(str(mark.label) for mark in marks))
    return " · ".join(part for part in said if part)


def item_sheet(item: Item) -> dict[str, Any]:
    """Return what the product file sheet (设备档案) of an item says. Of its owner only the customer number."""
    return {
        "serial": item.serial,
        "model": item.model.code,
        "name": item.model.name,
        "category": str(item.model.category or ""),
        "batch": str(item.batch or ""),
        "sold": str(fields.label_of(fields.SOLD_CLASSES, item.sold_class)) if item.sold_class else "",
        "channel": str(fields.label_of(fields.CHANNELS, item.channel)) if item.channel else "",
        "seller": item.seller,
        "customer": item.customer.number if item.customer else "",
        "produced": _day(item.produced_on),
        "bought": _day(item.purchased_on),
        "served": _day(item.last_service_on),
        "delivered": _day(item.delivered_on),
        "handed_over": _day(item.handed_over_on),
        "number": services.class_number(item.unit_id, item.sold_class),
        "own_parts": [
            [
                part.name,
                part.part_model,
                part.serial,
                part.batch,
                str(fields.label_of(fields.ORIGINS, part.origin)) if part.origin else "",
                _day(part.fitted_on),
                _day(part.removed_on),
            ]
            for part in history.parts_of(item)
        ],
        "entries": [
            [
                str(fields.label_of(fields.ENTRY_KINDS, one.kind)),
                _day(one.on),
                one.text,
                str(one.score) if one.score else "",
            ]
            for one in product_file.entries_of(item)
        ],
        "warranty": item.model.warranty_months,
        "note": item.note,
        "parts": [
            [part.name, part.part_model, str(fields.label_of(fields.ORIGINS, part.origin)) if part.origin else ""]
            for part in item.model.key_parts
        ],
        "records": [
            [record.number, _day(local_day(record.unit_id, record.received_at)), record.title]
            for record in services.records_of_item(item)
        ],
    }


def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


def item_label(item: Item) -> dict[str, Any]:
    """Return what stands on the label of an item, and the page its QR leads to; nothing of its owner."""
    return {
        "number": item.serial,
        "kind": item.model.code,
        "lines": [item.model.name],
        "url": item_url(item),
    }

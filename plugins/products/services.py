"""What may be done with products. Called alike by screens, importer and CLI; flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy.orm import contains_eager, joinedload, selectinload

from core.sdk import (
    OPEN_CATEGORIES,
    Case,
    Choices,
    InvalidData,
    Record,
    Refusal,
    Refused,
    clean,
    clock,
    current_scope,
    fetch,
    local_day,
    require,
    search,
    session,
    transaction,
)

from . import fields, history, product_file
from .classes import class_number, competitor_numbers, counted_by, is_competitor, sold_class_of
from .fields import tidy_serial
from .history import first_deliveries, part_names, parts_in, parts_of, replace_item, swap_part
from .models import Batch, Category, Flag, Item, ItemPart, KeyPart, Model, ProductRecord
from .product_file import deliver_item
from .rights import EDIT, IMPORT, VIEW
from .shipping import hold_batch, lock_batches, on_batch_stopped, release_batch, require_shipping

# What other plugins may use as well as everything below.
__all__ = [
    "EDIT",
    "IMPORT",
    "VIEW",
    "Batch",
    "Item",
    "ItemPart",
    "Model",
    "class_number",
    "competitor_numbers",
    "counted_by",
    "deliver_item",
    "first_deliveries",
    "hold_batch",
    "is_competitor",
    "lock_batches",
    "on_batch_stopped",
    "part_names",
    "parts_in",
    "parts_of",
    "release_batch",
    "replace_item",
    "require_shipping",
    "sold_class_of",
    "swap_part",
    "tidy_serial",
]

SEARCH_KIND = "productsitem"
CASE_TYPE = "case"
EARLIER_SHOWN, ITEMS_SHOWN = 10, 20
CHUNK = 500  # values in one IN list
# Stored data, not screen text: the unit renames them as it likes.
STARTER_CATEGORIES = {
    "zh": ("家用电器", "采暖产品", "电子产品", "办公设备", "工业设备", "其他"),
    "en": ("Household appliances", "Heating products", "Electronics", "Office equipment", "Industrial", "Other"),
}


# --- reading ---------------------------------------------------------------------------------


def find_item(unit_id: int, serial: object) -> Item | None:
    """Return the unit's item of this serial number (any spelling), or None. One indexed select."""
    wanted = fields.tidy_serial(serial)
    if not wanted:
        return None
    return session().scalars(_with_names().where(Item.unit_id == unit_id, Item.serial == wanted)).first()


def items_by_serial(unit_id: int, serials: Iterable[object]) -> dict[str, Item]:
    """Return the unit's items of these serial numbers (any spelling), by serial number; a few hundred at a time."""
    wanted = sorted({fields.tidy_serial(one) for one in serials} - {""})
    found: dict[str, Item] = {}
    for start in range(0, len(wanted), CHUNK):
        some = _with_names().where(Item.unit_id == unit_id, Item.serial.in_(wanted[start : start + CHUNK]))
        found |= {item.serial: item for item in session().scalars(some)}
    return found


def get_item(raw_id: object) -> Item:
    """Return an item by an id from a request, with model, batch and customer.

    Raises:
        NotFound: no such item in the scope.
    """
    return fetch(Item, raw_id, query=_with_names())


def _with_names() -> Any:
    return select(Item).options(
        joinedload(Item.model, innerjoin=True).joinedload(Model.category),
        joinedload(Item.batch),
        joinedload(Item.customer),
    )


def search_items(unit_id: int, text: str, limit: int) -> list[Item]:
    """Return items whose serial number, model or product name holds ``text``, newest first. Flat in size."""
    ids = search_ids(frozenset({unit_id}), text, limit)
    found = (
        select(Item)
        .options(joinedload(Item.model, innerjoin=True), joinedload(Item.customer))
        .where(Item.id.in_(ids), Item.unit_id == unit_id)
        .order_by(Item.id.desc())
    )
    return list(session().scalars(found)) if ids else []


def search_ids(units: frozenset[int], text: str, limit: int) -> list[int]:
    """Return ids of items of ``units`` that hold ``text``, newest first."""
    return [hit.entity_id for hit in search.search(units, SEARCH_KIND, text, limit)]


def index_items(items: Sequence[Item], *, fresh: bool = False) -> None:
    """Make items findable by any part of serial number, model and product name; call after a flush."""
    words = [(item.id, item.unit_id, f"{item.serial} {item.model.code} {item.model.name}") for item in items]
    search.put_many(SEARCH_KIND, words, fresh=fresh)


def reindex_items(removed: Sequence[int], changed: Sequence[int]) -> None:
    """Take removed items out of the search index and index changed ones anew."""
    search.remove(SEARCH_KIND, removed)
    for start in range(0, len(changed), CHUNK):
        some = select(Item).where(Item.id.in_(changed[start : start + CHUNK])).options(joinedload(Item.model))
        index_items(list(session().scalars(some)))


def customer_name(item: Item) -> str:
    """Return the name of an item's customer; '' for none, and for who may not see customers."""
    if item.customer is None or not current_scope().may("customer.view", item.unit_id):
        return ""
    return item.customer.name


def user_name(item: Item) -> str:
    """Return who uses an item; '' for nobody known, and for who may not see customers."""
    return item.used_by if current_scope().may("customer.view", item.unit_id) else ""


def items_of_customer(customer_id: int, limit: int = ITEMS_SHOWN) -> list[Item]:
    """Return the newest items of a customer, with their models."""
    found = (
        select(Item)
        .options(joinedload(Item.model, innerjoin=True))
        .where(Item.customer_id == customer_id)
        .order_by(Item.id.desc())
        .limit(limit)
    )
    return list(session().scalars(found))


def items_of_batch(batch: Batch, limit: int = ITEMS_SHOWN) -> list[Item]:
    """Return the newest items of a batch, with their customers."""
    found = select(Item).options(joinedload(Item.customer)).where(Item.batch_id == batch.id)
    return list(session().scalars(found.order_by(Item.id.desc()).limit(limit)))


def count_items(model: Model, cap: int = 10_000) -> int:
    """Count the items of a model, up to ``cap``."""
    capped = select(Item.id).where(Item.model_id == model.id).limit(cap).subquery()
    return session().scalar(select(func.count()).select_from(capped)) or 0


def item_of_record(record: Record) -> Item | None:
    """Return the item a record is about: that of the serial number on a case, else the linked one."""
    serial = serial_of(record)
    if serial:
        return find_item(record.unit_id, serial)
    linked = _with_names().join(ProductRecord, ProductRecord.item_id == Item.id)
    return session().scalars(linked.where(ProductRecord.record_id == record.id)).first()


def serial_of(record: Record) -> str:
    """Return the serial number as it stands on a case; '' for other records."""
    return session().scalar(select(Case.serial_text).where(Case.id == record.id)) or ""


class ItemRecord(NamedTuple):
    """A record that is about an item."""

    item_id: int
    record_id: int
    number: str
    received_at: datetime


def item_ids_of_records(record_ids: Sequence[int]) -> dict[int, int]:
    """Return the items that records are linked to, by record id. One select, of columns only."""
    if not record_ids:
        return {}
    # Without the items' own table: joined, one of the databases begins with all items of the unit.
    linked = select(ProductRecord.record_id, ProductRecord.item_id).where(ProductRecord.record_id.in_(record_ids))
    return {row.record_id: row.item_id for row in session().execute(linked)}


def records_of_items(item_ids: Sequence[int], since: datetime) -> list[ItemRecord]:
    """Return the records linked to items that were received since a moment, oldest first. One select."""
    if not item_ids:
        return []
    linked = (
        select(ProductRecord.item_id, Record.id, Record.number, Record.received_at)
        .join(Record, Record.id == ProductRecord.record_id)
        .where(ProductRecord.item_id.in_(item_ids), Record.received_at >= since)
        .order_by(Record.received_at, Record.id)
    )
    return [ItemRecord(*row) for row in session().execute(linked)]


def records_of_item(item: Item, *, before: Record | None = None, limit: int = EARLIER_SHOWN) -> list[Record]:
    """Return records about an item, newest first: linked ones and cases that carry its serial number.

    ``before``: only those received before this record, and not itself. Who may not see cases gets their own only.
    """
    linked = select(ProductRecord.record_id).where(ProductRecord.item_id == item.id)
    typed = select(Case.id).where(Case.unit_id == item.unit_id, Case.serial_text == item.serial)
    found = select(Record).where(or_(Record.id.in_(linked), Record.id.in_(typed)), Record.unit_id == item.unit_id)
    if before is not None:
        found = found.where(Record.id != before.id, Record.received_at <= before.received_at)
    if not current_scope().may("case.view", item.unit_id):
        found = found.where(Record.assignee_id == current_scope().actor_id)
    newest = found.order_by(Record.received_at.desc(), Record.id.desc()).limit(limit)
    return list(session().scalars(newest))


def models_in_full(ids: Sequence[int]) -> dict[int, Model]:
    """Return models by id with category and key parts, in two selects for a whole page."""
    whole = select(Model).options(joinedload(Model.category), selectinload(Model.key_parts))
    return {one.id: one for one in session().scalars(whole.where(Model.id.in_(ids)))}


def items_in_full(ids: Sequence[int]) -> dict[int, Item]:
    """Return items by id with model, batch and customer, in one select for a whole page."""
    return {one.id: one for one in session().scalars(_with_names().where(Item.id.in_(ids)))}


def serials_of(ids: Sequence[int]) -> dict[int, str]:
    """Return the serial numbers of items by id, in one select for a whole page."""
    if not ids:
        return {}
    found = session().execute(select(Item.id, Item.serial).where(Item.id.in_(ids)))
    return {row.id: row.serial for row in found}


def model_codes(ids: Sequence[int]) -> dict[int, str]:
    """Return the model of each record's item by record id, for a list column. Two selects for a whole page."""
    if not ids:
        return {}
    linked = (
        select(ProductRecord.record_id, Model.code)
        .join(Item, Item.id == ProductRecord.item_id)
        .join(Model, Model.id == Item.model_id)
        .where(ProductRecord.record_id.in_(ids), ProductRecord.unit_id == Item.unit_id)
    )
    typed = (
        select(Case.id, Model.code)
        .join(Item, (Item.unit_id == Case.unit_id) & (Item.serial == Case.serial_text))
        .join(Model, Model.id == Item.model_id)
        .where(Case.id.in_(ids), Case.serial_text != "")
    )
    return {key: code for statement in (linked, typed) for key, code in session().execute(statement)}


def category_choices(unit_id: int) -> Choices:
    """Return the unit's categories in use, for a form."""
    rows = select(Category.id, Category.name).where(Category.unit_id == unit_id, Category.active)
    return [(str(key), name) for key, name in session().execute(rows.order_by(Category.sort, Category.id))]


def model_choices(unit_id: int) -> Choices:
    """Return the unit's models in use, for a form."""
    rows = select(Model.id, Model.code, Model.name).where(Model.unit_id == unit_id, Model.active)
    return [(str(key), f"{code} {name}") for key, code, name in session().execute(rows.order_by(Model.code))]


def series_known(unit_id: int, names: Sequence[str]) -> dict[str, str]:
    """Return those of ``names`` that are categories or models of the unit: case-folded, with their own spelling."""
    if not names:
        return {}
    wanted = {one.casefold() for one in names}
    categories = session().scalars(select(Category.name).where(Category.unit_id == unit_id))
    codes = session().scalars(
        select(Model.code).where(
            Model.unit_id == unit_id, func.lower(Model.code).in_([one.lower() for one in names])
        )
    )
    found = {code.casefold(): code for code in codes}
    return found | {name.casefold(): name for name in categories if name.casefold() in wanted}


# --- categories, models, batches ---------------------------------------------------------------


def save_category(unit_id: int, raw: Mapping[str, Any], category: Category | None = None) -> Category:
    """Create or change a category.

    Raises:
        NotAllowed, InvalidData: wrong input or a name that exists.
    """
    require(EDIT, unit_id)
    values = clean(fields.category_fields(), raw)
    _refuse_taken(Category, unit_id, {"name": values["name"]}, category)
    values["sort"] = 100 if values["sort"] is None else values["sort"]
    return _store(category or Category(unit_id=unit_id), values)


def delete_category(category: Category) -> None:
    """Delete a category no model belongs to.

    Raises:
        NotAllowed. Refused: models belong to it; those are given another one first, or it is taken out of use.
    """
    require(EDIT, category.unit_id)
    if session().scalar(select(Model.id).where(Model.category_id == category.id).limit(1)):
        text = _l("Models belong to this category. Give them another one first, or take the category out of use.")
        raise Refused([Refusal("products.category_used", text)])
    session().delete(category)
    session().flush()


def delete_batch(batch: Batch) -> None:
    """Delete a batch no item belongs to; raises as ``delete_category`` does."""
    require(EDIT, batch.unit_id)
    if session().scalar(select(Item.id).where(Item.batch_id == batch.id).limit(1)):
        raise Refused([Refusal("products.batch_used", _l("Items belong to this batch; it stays."))])
    session().delete(batch)
    session().flush()


def save_model(unit_id: int, raw: Mapping[str, Any], model: Model | None = None) -> Model:
    """Create or change a product model with its key parts; settles its open contradictions.

    Raises: as ``save_category``.
    """
    require(EDIT, unit_id)
    values = clean(fields.model_fields(categories_with(unit_id, model)), raw)
    parts = fields.read_key_parts(values.pop("key_parts"))
    _refuse_taken(Model, unit_id, {"code": values["code"]}, model)
    values |= {"category_id": _number(values["category_id"]), "note": values["note"] or ""}
    kept = _store(model or Model(unit_id=unit_id), values)
    set_key_parts(kept, parts)
    settle_flags(model_id=kept.id)
    return kept


def categories_with(unit_id: int, model: Model | None) -> Choices:
    """The unit's categories, and the one the model already has even if no longer in use."""
    choices = list(category_choices(unit_id))
    held = model.category if model is not None else None
    if held is not None and str(held.id) not in {code for code, _ in choices}:
        choices.append((str(held.id), held.name))
    return choices


def set_key_parts(model: Model, parts: Sequence[Mapping[str, str]]) -> None:
    """Make the model's key parts exactly ``parts`` (name, part_model, origin), in this order."""
    held = [(part.name, part.part_model, part.origin) for part in model.key_parts]
    wanted = [(part["name"], part.get("part_model", ""), part.get("origin", "")) for part in parts]
    if held == wanted:
        return
    model.key_parts = [
        KeyPart(unit_id=model.unit_id, name=name, part_model=code, origin=origin, sort=place)
        for place, (name, code, origin) in enumerate(wanted)
    ]
    session().flush()


def save_batch(unit_id: int, raw: Mapping[str, Any], batch: Batch | None = None) -> Batch:
    """Create or change a batch. Raises: as ``save_category``."""
    require(EDIT, unit_id)
    values = clean(fields.batch_fields(models_with(unit_id, batch)), raw)
    values |= {"model_id": int(values["model_id"]), "note": values["note"] or ""}
    _refuse_taken(Batch, unit_id, {"number": values["number"], "model_id": values["model_id"]}, batch)
    if batch is not None and batch.model_id != values["model_id"] and _has_items(batch):
        raise InvalidData({"model_id": _l("Items of this batch belong to the present model")})
    return _store(batch or Batch(unit_id=unit_id), values)


def _has_items(batch: Batch) -> bool:
    return session().scalar(select(Item.id).where(Item.batch_id == batch.id).limit(1)) is not None


def batch_of(unit_id: int, model_id: int, number: str) -> Batch | None:
    """Return the model's batch of this number, made if it is new; None for an empty number."""
    if not number:
        return None
    found = select(Batch).where(Batch.unit_id == unit_id, Batch.model_id == model_id, Batch.number == number)
    held = session().scalars(found).first()
    return held or _store(Batch(unit_id=unit_id), {"model_id": model_id, "number": number})


# --- items -----------------------------------------------------------------------------------


def save_item(unit_id: int, raw: Mapping[str, Any], item: Item | None = None) -> Item:
    """Register or change an item. Settling its class by hand closes its open contradictions.

    Raises: as ``save_category``.
    """
    require(EDIT, unit_id)
    values = clean(fields.item_fields(models_with(unit_id, item)), raw)
    values["serial"] = fields.read_serial(values["serial"])
    values["model_id"] = int(values["model_id"])
    # What was given in exchange keeps the dates of the purchase, which may be older than itself.
    produced = None if item is not None and history.stands_for(item) else values["produced_on"]
    errors = date_errors(produced, values["purchased_on"], local_day(unit_id))
    if errors := errors | fields.delivery_errors(values, local_day(unit_id)):
        raise InvalidData(errors)
    product_file.refuse_foreign_customer(unit_id, values["customer_id"])
    _refuse_taken(Item, unit_id, {"serial": values["serial"]}, item)
    batch = batch_of(unit_id, values["model_id"], values.pop("batch") or "")
    values["batch_id"] = batch.id if batch else None
    for name in ("sold_class", "channel", "seller", "proof", "note", "used_by"):
        values[name] = values[name] or ""
    days = (item.delivered_on, item.handed_over_on) if item is not None else (None, None)
    kept = _store(item or Item(unit_id=unit_id, created_at=clock.now()), values)
    session().refresh(kept, ["model", "batch", "customer"])
    _check_delivery(kept, days)
    index_items([kept])
    if kept.sold_class:
        settle_flags(item_id=kept.id)
    return kept


def _check_delivery(item: Item, before: tuple[date | None, date | None]) -> None:
    """A day of delivery that is new here is a delivery: what holds for ``deliver_item`` holds for it."""
    delivered = item.delivered_on if item.delivered_on != before[0] else None
    handed_over = item.handed_over_on if item.handed_over_on != before[1] else None
    if delivered and before[0] is None:
        here = {"customer_id": item.customer_id, "used_by": item.used_by}
        if missing := product_file.missing_at_delivery(item, here):
            raise InvalidData(missing)
    product_file.refuse_delivery(item, delivered, handed_over)


def set_sold_class(item: Item, sold_class: str) -> None:
    """Say by hand who sold an item, or that it is a competitor's; closes its open contradictions.

    Raises:
        NotAllowed, InvalidData: none of ``fields.SOLD_CLASSES``.
    """
    require(EDIT, item.unit_id)
    if sold_class not in dict(fields.SOLD_CLASSES):
        raise InvalidData({"sold_class": _l("Please choose one of the list")})
    item.sold_class = sold_class
    session().flush()
    settle_flags(item_id=item.id)


def models_with(unit_id: int, holder: Item | Batch | None) -> Choices:
    """The unit's models, and the one the item or batch already has even if no longer in use."""
    choices = list(model_choices(unit_id))
    held = holder.model if holder is not None else None
    if held is not None and str(held.id) not in {code for code, _ in choices}:
        choices.append((str(held.id), str(held)))
    return choices


def date_errors(produced: date | None, purchased: date | None, latest: date) -> dict[str, Any]:
    """Return what is wrong with the two dates of an item, by field name."""
    errors = {}
    if produced and purchased and purchased < produced:
        errors["purchased_on"] = _l("Bought before it was made")
    for name, day in (("produced_on", produced), ("purchased_on", purchased)):
        if day and day > latest:
            errors[name] = _l("This date lies in the future")
    return errors


# --- records ---------------------------------------------------------------------------------


def link_record(record: Record, item: Item) -> None:
    """Say that a record is about an item; saying it again, or of another item, replaces the link.

    Raises:
        InvalidData: the item belongs to another unit than the record.
    """
    if item.unit_id != record.unit_id:
        raise InvalidData({"serial": _l("No item with this serial number")})
    held = session().scalars(select(ProductRecord).where(ProductRecord.record_id == record.id)).first()
    if held is None:
        session().add(ProductRecord(record_id=record.id, unit_id=record.unit_id, item_id=item.id))
    elif held.item_id != item.id:
        held.item_id = item.id
    session().flush()


def link_by_serial(record: Record) -> Item | None:
    """Make a case's link follow its serial number: to the unit's item of that number, or none if it has none."""
    if record.type != CASE_TYPE:
        return None
    item = find_item(record.unit_id, serial_of(record))
    held = session().scalars(select(ProductRecord).where(ProductRecord.record_id == record.id)).first()
    before = held.item if held is not None else None
    if item is not None:
        link_record(record, item)
    elif held is not None:
        session().delete(held)
        session().flush()
    if item is not before or before is None:
        _follow_class(record, before, item)
    return item


def fill_class(record: Record) -> None:
    """Give a case without a product class that of its item (R13-4.1, R13-4.2, R17-4.1, R18-4.1, R19-4.1 ...)."""
    if record.type == CASE_TYPE:
        _follow_class(record, None, item_of_record(record))


def _follow_class(record: Record, before: Item | None, item: Item | None) -> None:
    """What a case took over from its item goes with the item; what somebody chose otherwise stays."""
    case = session().get(Case, record.id)
    taken = class_number(record.unit_id, before.sold_class) if before is not None else ""
    if case is None or case.product_class not in ("", taken):
        return
    case.product_class = class_number(record.unit_id, item.sold_class)[:10] if item is not None else ""
    session().flush()


def link_waiting(unit_id: int) -> int:
    """Link open cases whose item came into the file after them; return how many. Recurring work of each unit."""
    linked = select(ProductRecord.record_id).where(ProductRecord.record_id == Record.id).exists()
    waiting = (
        select(Record, Item)
        .join(Case, Case.id == Record.id)
        .join(Item, (Item.unit_id == Record.unit_id) & (Item.serial == Case.serial_text))
        .where(Record.unit_id == unit_id, Record.category.in_(OPEN_CATEGORIES), Case.serial_text != "", ~linked)
        .order_by(Record.id)
        .limit(CHUNK)
    )
    with transaction():
        found = session().execute(waiting).all()
        for record, item in found:
            link_record(record, item)
            _follow_class(record, None, item)
    return len(found)


def served(record_id: object, unit_id: int | None) -> None:
    """Remember on its item when a closed record ended. Told twice or late, it changes nothing.

    Called from the outbox, whose scope reaches every unit: hence the unit in every look-up.
    """
    if unit_id is None:
        return
    with transaction():
        record = session().scalars(select(Record).where(Record.id == record_id, Record.unit_id == unit_id)).first()
        item = item_of_record(record) if record is not None else None
        if record is None or item is None:
            return
        day = local_day(unit_id, record.closed_at)
        if item.last_service_on is None or item.last_service_on < day:
            item.last_service_on = day


def last_service(item: Item, records: Sequence[Record]) -> date | None:
    """Return the last day an item was served: the remembered one, or that of ``records`` (imported history)."""
    closed = max((record.closed_at for record in records if record.closed_at), default=None)
    if closed is None:
        return item.last_service_on
    day = local_day(item.unit_id, closed)
    return max(day, item.last_service_on or day)


def open_records(unit_id: int) -> int:
    """Count open records that are linked to items of the unit."""
    found = (
        select(func.count())
        .select_from(ProductRecord)
        .join(Record, Record.id == ProductRecord.record_id)
        .where(ProductRecord.unit_id == unit_id, Record.unit_id == unit_id, Record.category.in_(OPEN_CATEGORIES))
    )
    return session().scalar(found) or 0


# --- contradictions --------------------------------------------------------------------------


def flag_model(model: Model, code: str, detail: str) -> None:
    """Keep a contradiction of a model for somebody to settle; the same one is kept once."""
    _flag(model.unit_id, Flag.model_id, [(model.id, code, detail)])


def flag_items(unit_id: int, found: Sequence[tuple[int, str, str]]) -> None:
    """Keep contradictions of items, as (item id, code, detail).

    The same one is kept once: what somebody has settled is not raised again by the same source.
    """
    _flag(unit_id, Flag.item_id, found)


def _flag(unit_id: int, owner: Any, found: Sequence[tuple[int, str, str]]) -> None:
    wanted = list(dict.fromkeys((key, code, detail[:300]) for key, code, detail in found))
    held: set[tuple[int, str, str]] = set()
    for start in range(0, len(wanted), CHUNK):
        ids = {key for key, _, _ in wanted[start : start + CHUNK]}
        rows = select(owner, Flag.code, Flag.detail).where(Flag.unit_id == unit_id, owner.in_(ids))
        held |= {(row[0], row[1], row[2]) for row in session().execute(rows)}
    moment = clock.now()
    session().add_all(
        Flag(unit_id=unit_id, code=code, detail=detail, found_at=moment, **{owner.key: key})
        for key, code, detail in wanted
        if (key, code, detail) not in held
    )
    session().flush()


def settle_flags(*, model_id: int | None = None, item_id: int | None = None) -> None:
    """Mark the open contradictions of a model or an item as settled by the present actor."""
    of = Flag.model_id == model_id if model_id else Flag.item_id == item_id
    _settle(select(Flag).where(of, Flag.settled_at.is_(None)))


def settle_customers(unit_id: int, item_ids: Sequence[int]) -> None:
    """Settle "customer not found" of items whose customer has been found since."""
    open_ones = select(Flag).where(
        Flag.unit_id == unit_id, Flag.code == "customer_unknown", Flag.settled_at.is_(None)
    )
    for start in range(0, len(item_ids), CHUNK):
        _settle(open_ones.where(Flag.item_id.in_(item_ids[start : start + CHUNK])))


def _settle(found: Any) -> None:
    for one in session().scalars(found):
        one.settled_at, one.settled_by = clock.now(), current_scope().actor_id
    session().flush()


@dataclass(frozen=True)
class Finding:
    """One line of ``check``: what is contradictory, and about which model or serial number."""

    code: str
    subject: str
    detail: str


def check(unit_id: int) -> Iterable[Finding]:
    """Yield the open contradictions of a unit, oldest first."""
    found = (
        select(Flag)
        .outerjoin(Flag.model)
        .outerjoin(Flag.item)
        .options(contains_eager(Flag.model), contains_eager(Flag.item))
        .where(Flag.unit_id == unit_id, Flag.settled_at.is_(None))
        .order_by(Flag.id)
    )
    for one in session().scalars(found):
        yield Finding(one.code, one.item.serial if one.item else one.model.code if one.model else "", one.detail)


def items_in_doubt(unit_id: int) -> int:
    """Count the items of a unit with open contradictions."""
    found = select(func.count(func.distinct(Flag.item_id))).where(
        Flag.unit_id == unit_id, Flag.settled_at.is_(None)
    )
    return session().scalar(found) or 0


def flags_of_model(model: Model) -> list[Flag]:
    """Return the open contradictions of a model."""
    found = select(Flag).where(Flag.unit_id == model.unit_id, Flag.model_id == model.id, Flag.settled_at.is_(None))
    return list(session().scalars(found.order_by(Flag.id)))


def flags_of_item(item: Item) -> list[Flag]:
    """Return the open contradictions of an item."""
    found = select(Flag).where(Flag.unit_id == item.unit_id, Flag.item_id == item.id, Flag.settled_at.is_(None))
    return list(session().scalars(found.order_by(Flag.id)))


# --- start -----------------------------------------------------------------------------------


def seed_categories(unit_id: int, locale: str = "zh") -> None:
    """Give a unit a first set of categories (R07-2); running again adds nothing a unit has or renamed."""
    if session().scalar(select(Category.id).where(Category.unit_id == unit_id).limit(1)) is not None:
        return
    for place, name in enumerate(STARTER_CATEGORIES.get(locale[:2], STARTER_CATEGORIES["zh"])):
        session().add(Category(unit_id=unit_id, name=name, sort=10 * (place + 1)))
    session().flush()


# --- inside ----------------------------------------------------------------------------------


def _store(row: Any, values: Mapping[str, Any]) -> Any:
    for name, value in values.items():
        setattr(row, name, value)
    session().add(row)
    session().flush()
    return row


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _refuse_taken(model: Any, unit_id: int, unique: Mapping[str, Any], row: Any) -> None:
    taken = select(model.id).where(model.unit_id == unit_id, *(getattr(model, k) == v for k, v in unique.items()))
    found = session().scalar(taken)
    if found is not None and (row is None or found != row.id):
        raise InvalidData({next(iter(unique)): _l("This already exists in this unit")})

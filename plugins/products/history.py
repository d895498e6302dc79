"""What becomes of an item: exchanged for another one, key parts taken out and fitted. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.sdk import InvalidData, Record, local_day, normalise, publish, session

from . import fields, shipping
from .models import Item, ItemPart

MOST_IN_CHAIN = 50


# --- exchange ----------------------------------------------------------------------------------


def replace_item(item: Item, new_item: Item, on: date) -> Item:
    """Say that ``new_item`` was given for ``item`` on a day; it takes over customer, class and dates.

    Said again it changes nothing. The caller has asked for the permission of its own action.

    Raises:
        InvalidData: the same item, one of another unit or customer, one that stands for another or that would
            close a circle, a day in the future. Refused: a clause forbids that the new item leaves
            (R05-1.2, R09-5.2.4c).
    """
    if item.replaced_by_id == new_item.id:
        return new_item
    _refuse_exchange(item, new_item, on)
    shipping.require_shipping(new_item, on)
    item.replaced_by_id = new_item.id
    item.active = False
    new_item.customer_id = item.customer_id or new_item.customer_id
    for name in ("sold_class", "channel", "seller", "proof", "used_by", "purchased_on", "handed_over_on"):
        setattr(new_item, name, getattr(item, name) or getattr(new_item, name))
    new_item.delivered_on = on
    session().flush()
    told = {"item_id": item.id, "new_item_id": new_item.id, "on": on.isoformat()}
    publish("products.exchanged", item.unit_id, told, key=f"products.exchanged:{item.id}:{new_item.id}")
    session().refresh(new_item, ["customer"])
    return new_item


def _refuse_exchange(item: Item, new_item: Item, on: date) -> None:
    wrong = _wrong_exchange(item, new_item)
    if wrong:
        raise InvalidData({"serial": wrong})
    if on > local_day(item.unit_id):
        raise InvalidData({"on": _l("This date lies in the future")})


def _wrong_exchange(item: Item, new_item: Item) -> object:
    if item.unit_id != new_item.unit_id:
        return _l("No item with this serial number")
    if item.id == new_item.id:
        return _l("An item cannot stand for itself")
    if item.replaced_by_id is not None:
        return _l("This item was exchanged for another one already")
    if new_item.customer_id and new_item.customer_id != item.customer_id:
        return _l("The item belongs to another customer")
    # Only from what was given for the new item can the way lead back here.
    if item.id in {one.id for one in successors(new_item)}:
        return _l("This item was given away in exchange before; it cannot come back for a later one")
    if stands_for(new_item) is not None:
        return _l("This item stands for another one already")
    return None


def stands_for(item: Item) -> Item | None:
    """Return the item that this one was given for, if any."""
    found = select(Item).where(Item.replaced_by_id == item.id, Item.unit_id == item.unit_id)
    return session().scalars(found).first()


def first_deliveries(ids: Sequence[int]) -> dict[int, date]:
    """Return when the customer first got what these items stand for, by item id; only of items given in exchange.

    One select for each length of the chain, whatever the number of items.
    """
    found: dict[int, date] = {}
    below = {key: key for key in ids}  # an item in the chain: the one that was asked for
    for _step in range(MOST_IN_CHAIN):
        rows = (
            session()
            .execute(
                select(Item.id, Item.replaced_by_id, Item.delivered_on).where(Item.replaced_by_id.in_(list(below)))
            )
            .all()
            if below
            else ()
        )
        below = {row.id: below[row.replaced_by_id] for row in rows}
        found |= {below[row.id]: row.delivered_on for row in rows if row.delivered_on is not None}
    return found


def successors(item: Item) -> list[Item]:
    """Return what was given for an item, and for that one, in this order."""
    found: list[Item] = []
    seen = {item.id}
    while item.replaced_by_id is not None and item.replaced_by_id not in seen and len(found) < MOST_IN_CHAIN:
        following = session().get(Item, item.replaced_by_id)
        if following is None:
            break
        found.append(following)
        seen.add(following.id)
        item = following
    return found


def predecessors(item: Item) -> list[Item]:
    """Return what an item was given for, and that one before, in this order."""
    found: list[Item] = []
    seen = {item.id}
    while len(found) < MOST_IN_CHAIN:
        before = stands_for(item)
        if before is None or before.id in seen:
            break
        found.append(before)
        seen.add(before.id)
        item = before
    return found


# --- key parts ---------------------------------------------------------------------------------


def swap_part(
    item: Item,
    name: str,
    old_serial: str,
    new_serial: str,
    on: date,
    record: Record | None = None,
    *,
    part_model: str = "",
    batch: str = "",
    origin: str = "",
) -> ItemPart:
    """Keep that a key part of an item was taken out and another one fitted; return the new one.

    ``old_serial`` may be '' (not readable any more), and so may ``new_serial`` (a part without a number). Model and
    origin of the old one hold for the new one unless given. The same fitting of the same record is kept once.

    Raises:
        InvalidData: no name, a day in the future or before the old part was fitted, the same number again, a record
            of another unit, a number that sits in another item.
    """
    name, old, fresh = normalise(name)[:60], fields.tidy_serial(old_serial), fields.tidy_serial(new_serial)
    if kept := _same_fitting(item, name, fresh, on, record):
        return kept
    leaving = _leaving(item, name, old)
    if errors := _wrong_swap(item, name, old, fresh, on, record, leaving):
        raise InvalidData(errors)
    if leaving is None:
        leaving = ItemPart(unit_id=item.unit_id, item_id=item.id, name=name, serial=old)
    leaving.serial = leaving.serial or old
    leaving.removed_on = on
    leaving.record_id = record.id if record else leaving.record_id
    made = ItemPart(
        unit_id=item.unit_id,
        item_id=item.id,
        name=name,
        serial=fresh,
        part_model=part_model or leaving.part_model or "",
        batch=batch,
        origin=origin or leaving.origin or "",
        fitted_on=on,
        record_id=record.id if record else None,
    )
    session().add_all([leaving, made])
    session().flush()
    return made


def _same_fitting(item: Item, name: str, serial: str, on: date, record: Record | None) -> ItemPart | None:
    found = select(ItemPart).where(
        ItemPart.item_id == item.id,
        ItemPart.unit_id == item.unit_id,
        ItemPart.name == name,
        ItemPart.serial == serial,
        ItemPart.fitted_on == on,
        ItemPart.record_id == (record.id if record else None),
        ItemPart.removed_on.is_(None),
    )
    return session().scalars(found).first()


def _leaving(item: Item, name: str, serial: str) -> ItemPart | None:
    """The part that is in the item: by its number, else the only one of its name."""
    inside = [part for part in parts_in(item) if (part.serial == serial if serial else part.name == name)]
    if serial and not inside:
        # Its number was never written down.
        inside = [part for part in parts_in(item) if part.name == name and not part.serial]
    return inside[0] if len(inside) == 1 else None


def _wrong_swap(
    item: Item, name: str, old: str, fresh: str, on: date, record: Record | None, leaving: ItemPart | None
) -> dict[str, object]:
    errors: dict[str, object] = {}
    if not name:
        errors["part"] = _l("Please fill this in")
    if record is not None and record.unit_id != item.unit_id:
        errors["part"] = _l("No item with this serial number")
    if on > local_day(item.unit_id):
        errors["on"] = _l("This date lies in the future")
    elif leaving is not None and leaving.fitted_on and on < leaving.fitted_on:
        errors["on"] = _l("The part was fitted later than that")
    if max(len(old), len(fresh)) > 60:
        errors["new_serial"] = _l("At most %(count)d characters", count=60)
    elif fresh and fresh == old:
        errors["new_serial"] = _l("This is the number of the part that was taken out")
    elif fresh and _sits_elsewhere(item, name, fresh):
        errors["new_serial"] = _l("A part of this number sits in an item already")
    return errors


def _sits_elsewhere(item: Item, name: str, serial: str) -> bool:
    found = select(ItemPart.id).where(
        ItemPart.unit_id == item.unit_id,
        ItemPart.serial == serial,
        ItemPart.name == name,
        ItemPart.removed_on.is_(None),
    )
    return session().scalar(found.limit(1)) is not None


def parts_of(item: Item) -> list[ItemPart]:
    """Return the key parts an item has or had, what is inside first."""
    found = select(ItemPart).where(ItemPart.item_id == item.id, ItemPart.unit_id == item.unit_id)
    rows = session().scalars(found.order_by(ItemPart.id))
    return sorted(rows, key=lambda one: (one.removed_on is not None, one.id))


def parts_in(item: Item) -> list[ItemPart]:
    """Return the key parts that are inside an item now."""
    return [part for part in parts_of(item) if part.removed_on is None]


def part_names(item: Item) -> list[str]:
    """Return the names of an item's key parts: those of its model, and what was written down of its own."""
    own = [part.name for part in parts_in(item)]
    return list(dict.fromkeys([*(part.name for part in item.model.key_parts), *own]))


def items_with_part(unit_id: int, serial: str, limit: int) -> list[tuple[ItemPart, Item]]:
    """Return the items of a unit in which a key part of this serial number sits or sat, newest first."""
    wanted = fields.tidy_serial(serial)
    if len(wanted) < 3 or limit < 1:
        return []
    found = (
        select(ItemPart)
        .options(joinedload(ItemPart.item, innerjoin=True).joinedload(Item.model))
        .where(
            ItemPart.unit_id == unit_id,
            or_(ItemPart.serial == wanted, ItemPart.serial.startswith(wanted, autoescape=True)),
        )
        .order_by(ItemPart.id.desc())
        .limit(limit)
    )
    return [(part, part.item) for part in session().scalars(found)]

"""The file of a delivered item (R17-9.1, R18-9.1): delivery, entries, what is missing. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from core.sdk import (
    Case,
    Customer,
    Field,
    InvalidData,
    Record,
    Refusal,
    Refused,
    add_months,
    clean,
    clock,
    current_scope,
    effective,
    fetch,
    holds,
    local_day,
    require,
    session,
)

from . import fields, history, shipping
from .models import FileEntry, Item, ItemPart, ProductRecord
from .rights import EDIT

FILE_CLAUSES = ("R17-9.1", "R18-9.1")
STATE, USER, SATISFACTION, TRACKING, SERVICE, AGREEMENT = (
    "state",
    "user",
    "satisfaction",
    "tracking",
    "service",
    "agreement",
)
# In the order of the clauses; their parameter says how many of them a unit wants.
PARTS = (STATE, USER, SATISFACTION, TRACKING, SERVICE, AGREEMENT)
TRACKED_EVERY = 12  # months
SHOWN = 50


class Rated(NamedTuple):
    """What a customer gave for a case of the item."""

    record: Record
    score: int


class Missing(NamedTuple):
    """What the file of an item still lacks: the part of the file, and what of it."""

    part: str
    text: Any


# --- what a unit wants -------------------------------------------------------------------------


def wanted_parts(unit_id: int) -> dict[str, str]:
    """Return the parts a product file has in a unit, each with the clause that asks for it (R17-9.1, R18-9.1)."""
    found: dict[str, str] = {}
    for clause in FILE_CLAUSES:
        if holds(unit_id, clause):
            for part in PARTS[: int(effective(unit_id, clause).values["items"])]:
                found.setdefault(part, clause)
    return found


def missing_of(item: Item) -> list[Missing]:
    """Return what the file of a delivered item still lacks, part by part; nothing where no clause wants one."""
    wanted = wanted_parts(item.unit_id)
    if not wanted or item.delivered_on is None:
        return []
    entries = entries_of(item, limit=None)  # also what later entries have pushed off the page
    lacks = {
        STATE: lambda: _missing_state(item, entries),
        USER: lambda: _missing_user(item),
        SATISFACTION: lambda: _missing_survey(item, entries),
        TRACKING: lambda: _missing_tracking(item, entries),
        # The service record keeps itself: it is the list of the item's cases.
        SERVICE: list,
        AGREEMENT: lambda: _missing_agreement(item, entries),
    }
    return [Missing(part, text) for part in wanted for text in lacks[part]()]


def _missing_state(item: Item, entries: Sequence[FileEntry]) -> list[Any]:
    kinds = {one.kind for one in entries}
    found: list[Any] = []
    if "original" not in kinds:
        found.append(_l("State as made"))
    if "delivered" not in kinds:
        found.append(_l("State on delivery"))
    inside = {part.name: part for part in history.parts_in(item)}
    for name in history.part_names(item):
        part = inside.get(name)
        if part is None or not (part.part_model and part.batch and part.origin):
            found.append(_l("Key part %(name)s: model, batch, domestic or foreign", name=name))
    return found


def _missing_user(item: Item) -> list[Any]:
    found: list[Any] = []
    if item.customer_id is None:
        found.append(_l("Using unit"))
    if not item.used_by:
        found.append(_l("Used by"))
    return found


def _missing_survey(item: Item, entries: Sequence[FileEntry]) -> list[Any]:
    if any(one.kind == "survey" for one in entries) or ratings_of(item, 1):
        return []
    return [_l("Satisfaction survey")]


def _missing_tracking(item: Item, entries: Sequence[FileEntry]) -> list[Any]:
    """Every year: nothing is missing in the first one, nor within a year of the last entry."""
    days = [one.on for one in entries if one.kind == "tracking"]
    since = max([*days, item.delivered_on or local_day(item.unit_id)])
    if add_months(since, TRACKED_EVERY) > local_day(item.unit_id):
        return []
    return [
        _l("Yearly quality tracking, last on %(day)s", day=max(days)) if days else _l("Yearly quality tracking")
    ]


def _missing_agreement(item: Item, entries: Sequence[FileEntry]) -> list[Any]:
    today = local_day(item.unit_id)
    valid = [one for one in entries if one.kind == "agreement" and (one.until is None or one.until >= today)]
    return [] if valid else [_l("Technical agreement: service promises, agreed prices of spares")]


# --- entries -----------------------------------------------------------------------------------


def entries_of(item: Item, limit: int | None = SHOWN) -> list[FileEntry]:
    """Return the entries of an item's file, newest first."""
    found = select(FileEntry).where(FileEntry.item_id == item.id, FileEntry.unit_id == item.unit_id)
    return list(session().scalars(found.order_by(FileEntry.on.desc(), FileEntry.id.desc()).limit(limit)))


def add_entry(item: Item, raw: Mapping[str, Any]) -> FileEntry:
    """Add an entry to an item's file.

    Raises:
        NotAllowed. InvalidData: a day in the future, a survey without a score from 1 to 5, no text.
    """
    require(EDIT, item.unit_id)
    values = clean(fields.entry_fields(), raw)
    if errors := _wrong_entry(values, local_day(item.unit_id)):
        raise InvalidData(errors)
    return _keep_entry(item, **values)


def _wrong_entry(values: Mapping[str, Any], today: date) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    kind = values["kind"]
    if values["on"] > today:
        errors["on"] = _l("This date lies in the future")
    if kind == "survey" and values["score"] is None:
        errors["score"] = _l("Please fill this in")
    if kind != "survey" and values["score"] is not None:
        errors["score"] = _l("Only a survey has a score")
    if kind != "survey" and not values["text"]:
        errors["text"] = _l("Please fill this in")
    if values["until"] and kind != "agreement":
        errors["until"] = _l("Only an agreement ends")
    elif values["until"] and values["until"] < values["on"]:
        errors["until"] = _l("This is before it begins")
    return errors


def _keep_entry(
    item: Item, kind: str, on: date, text: str | None, score: int | None = None, until: date | None = None
) -> FileEntry:
    made = FileEntry(
        unit_id=item.unit_id,
        item_id=item.id,
        kind=kind,
        on=on,
        text=text or "",
        score=score,
        until=until,
        created_at=clock.now(),
        created_by=current_scope().actor_id,
    )
    session().add(made)
    session().flush()
    return made


def remove_entry(entry_id: object) -> Item:
    """Take an entry out that was made by mistake; the audit trail keeps that it was there. Return its item.

    Raises:
        NotFound, NotAllowed.
    """
    entry = fetch(FileEntry, entry_id)
    require(EDIT, entry.unit_id)
    item = entry.item
    session().delete(entry)
    session().flush()
    return item


def ratings_of(item: Item, limit: int = SHOWN) -> list[Rated]:
    """Return what customers gave for the cases of an item, newest first: satisfaction as it was told to us."""
    linked = select(ProductRecord.record_id).where(ProductRecord.item_id == item.id)
    found = (
        select(Record, Case.rating)
        .join(Case, Case.id == Record.id)
        .where(
            Record.unit_id == item.unit_id,
            Case.rating.is_not(None),
            or_(Case.serial_text == item.serial, Case.id.in_(linked)),
        )
        .order_by(Record.received_at.desc(), Record.id.desc())
        .limit(limit)
    )
    return [Rated(record, score or 0) for record, score in session().execute(found)]


# --- delivery ----------------------------------------------------------------------------------

_PART_OF = {"customer_id": USER, "used_by": USER, "original": STATE, "delivered": STATE, "agreement": AGREEMENT}


def delivery_fields(item: Item, customer: str = "") -> list[Field]:
    """Return the form of an item's delivery; what clauses of its unit want is marked as needed."""
    wanted = wanted_parts(item.unit_id)
    return [
        replace(one, options={**one.options, "needed": True}) if _PART_OF.get(one.name) in wanted else one
        for one in fields.delivery_fields(customer)
    ]


def deliver_item(item: Item, raw: Mapping[str, Any]) -> Item:
    """Deliver an item (``fields.delivery_fields``): its dates, who uses it, its state and key parts, the agreement.

    What a clause of the unit wants on file at delivery is asked for (R17-9.1, R18-9.1).

    Raises:
        NotAllowed. InvalidData: dates that do not fit, a field that a clause wants. Refused: delivered already; no
            passed inspection (R05-1.2, R05-3.2); its batch is stopped (R09-5.2.4c).
    """
    require(EDIT, item.unit_id)
    values = clean(fields.delivery_fields(), raw)
    parts = fields.read_item_parts(values["parts"])
    shipping.lock_row(item)
    if item.delivered_on is not None:
        text = _l("This item was delivered on %(day)s already", day=item.delivered_on.isoformat())
        raise Refused([Refusal("products.delivered", text)])
    errors = {**missing_at_delivery(item, values, parts), **fields.delivery_errors(values, _day_here(item))}
    if errors:
        raise InvalidData(errors)
    refuse_foreign_customer(item.unit_id, values["customer_id"])
    refuse_delivery(item, values["delivered_on"], values["handed_over_on"])
    for name in ("delivered_on", "handed_over_on", "customer_id", "first_use"):
        setattr(item, name, values[name] or getattr(item, name))
    item.used_by = values["used_by"] or item.used_by
    session().flush()
    _keep_papers(item, values)
    _keep_parts(item, parts, values["delivered_on"])
    session().refresh(item, ["customer"])
    return item


def _day_here(item: Item) -> date:
    return local_day(item.unit_id)


def refuse_foreign_customer(unit_id: int, customer_id: int | None) -> None:
    """Pass if a customer is one of the unit, or none is given.

    Raises:
        InvalidData: under ``customer_id``.
    """
    if customer_id is None:
        return
    known = select(Customer.id).where(Customer.id == customer_id, Customer.unit_id == unit_id)
    if session().scalar(known) is None:
        raise InvalidData({"customer_id": _l("Please choose one of the list")})


def refuse_delivery(item: Item, delivered_on: date | None, handed_over_on: date | None) -> None:
    """Pass if an item may be delivered and handed over on these days; raises Refused as ``deliver_item`` does."""
    if delivered_on is not None:
        shipping.require_shipping(item, delivered_on)
    if handed_over_on is not None:
        shipping.require_acceptance(item, handed_over_on)


def missing_at_delivery(
    item: Item, values: Mapping[str, Any], parts: Sequence[Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Return a message for each field of ``values`` that a clause wants at delivery and that is empty."""
    wanted = wanted_parts(item.unit_id)
    found = {
        name: _l("Please fill this in (clause %(clause)s)", clause=wanted[part])
        for name, part in _PART_OF.items()
        if part in wanted and name in values and not (values[name] or getattr(item, name, None))
    }
    if STATE in wanted and parts is not None and _parts_lacking(item, parts):
        found["parts"] = _l(
            "Of each key part its model, batch and origin (clause %(clause)s)", clause=wanted[STATE]
        )
    return found


def _parts_lacking(item: Item, parts: Sequence[Mapping[str, str]]) -> bool:
    """Whether a key part of the model is not among ``parts`` with its model, batch and origin."""
    known = {one["name"] for one in parts if one["part_model"] and one["batch"] and one["origin"]}
    return not {part.name for part in item.model.key_parts} <= known or len(known) < len({p["name"] for p in parts})


def _keep_papers(item: Item, values: Mapping[str, Any]) -> None:
    on = values["delivered_on"]
    for kind in ("original", "delivered", "agreement"):
        if values[kind]:
            until = values["agreement_until"] if kind == "agreement" else None
            _keep_entry(item, kind, on, values[kind], until=until)


def _keep_parts(item: Item, parts: Sequence[Mapping[str, str]], on: date) -> None:
    inside = {(part.name, part.serial): part for part in history.parts_in(item)}
    for one in parts:
        held = inside.get((one["name"], one["serial"]))
        if held is None:
            session().add(ItemPart(unit_id=item.unit_id, item_id=item.id, **one))
            continue
        for name in ("part_model", "batch", "origin"):
            setattr(held, name, one[name] or getattr(held, name))
    session().flush()

"""What changes an item's cover: parts replaced, repairs, extensions, exchanges. Flushes, never commits.

What a clause gives is fixed when the event is kept: its term, its days and its name stand in the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from core.sdk import (
    Case,
    Fact,
    InvalidData,
    Record,
    Refusal,
    Refused,
    Step,
    clock,
    current_scope,
    effective,
    fetch,
    local_day,
    normalise,
    require,
    session,
    setting,
    transaction,
)
from plugins.products import services as products

from . import cover, rights, settings, standing, values
from .models import Coverage, ItemEvent
from .terms import covered_until, term_of_scope

REPLACED, REPAIRED, EXTENDED, EXCHANGED, AGREED, IN_REPAIR = (code for code, _label in values.EVENTS)
# What a contract agrees may begin before the sale or later than today.
_ANY_DAY = (AGREED,)
_TEXTS = {"part": 60, "old_serial": 60, "new_serial": 60, "fault": 120, "clause": 40}
_AGAIN = "~"  # between a source and how often it was kept before
_REPAIRS = ("repair", "replacement", "")  # natures of cases that end with something repaired


def add_event(
    item: Any,
    kind: str,
    on: date,
    *,
    source: str,
    record: Record | None = None,
    again: bool = False,
    **columns: Any,
) -> ItemEvent:
    """Keep that something happened to an item; the same ``source`` again is the same event.

    One that was withdrawn stays so, unless it is to be kept ``again``: then as a further row.
    What ``columns`` do not say of months, days and clause, the clauses in force on the day do.

    Raises:
        InvalidData: a day in the future or before the item's first day, an unknown kind, an item of another unit
            than the record.
    """
    held = _held(item, source)
    kept = next((one for one in held if one.withdrawn_at is None), None)
    if kept is not None or (held and not again):
        return kept or held[-1]
    if errors := _wrong(item, kind, on, record):
        raise InvalidData(errors)
    texts = {name: normalise(str(columns.pop(name, "") or ""))[:most] for name, most in _TEXTS.items()}
    given = {**columns, **{name: text for name, text in texts.items() if text}}
    row = ItemEvent(
        unit_id=item.unit_id,
        item_id=item.id,
        kind=kind,
        on=on,
        source=f"{source}{_AGAIN}{len(held)}" if held else source,
        record_id=record.id if record else None,
        created_at=clock.now(),
        created_by=current_scope().actor_id,
        **{**_given_by_clauses(item, kind, on, given), **given},
    )
    session().add(row)
    session().flush()
    return row


def _held(item: Any, source: str) -> list[ItemEvent]:
    """Return what was kept from a source, oldest first."""
    repeated = ItemEvent.source.startswith(f"{source}{_AGAIN}", autoescape=True)
    found = select(ItemEvent).where(ItemEvent.item_id == item.id, or_(ItemEvent.source == source, repeated))
    return list(session().scalars(found.order_by(ItemEvent.id)))


def withdraw_event(event_id: object, reason: str) -> ItemEvent:
    """Take back an event entered by mistake; it stays visible.

    Raises:
        NotFound, NotAllowed. InvalidData: no reason.
    """
    row = fetch(ItemEvent, event_id)
    require(rights.TERMS, row.unit_id)
    reason = normalise(reason)[:500]
    if not reason:
        raise InvalidData({"reason": _l("Please fill this in")})
    if row.withdrawn_at is None:
        row.withdrawn_at, row.withdrawn_why = clock.now(), reason
        session().flush()
    return row


def extend(item: Any, on: date, *, source: str, record: Record | None = None, reason: str = "") -> ItemEvent:
    """Extend an item's term after a failed final-month service (R22-1.W6b), once for each ``source``.

    Raises:
        Refused: no clause extends here, or on that day no warranty of the set ran. InvalidData: as ``add_event``.
    """
    kept = next((one for one in _held(item, source) if one.withdrawn_at is None), None)
    if kept is not None:
        return kept
    if not _clause(item.unit_id, "R22-1.W6b", on).holds:
        text = _l("No clause in force here extends a warranty")
        raise Refused([Refusal("warranty.no_extension", text, "R22-1.W6b")])
    running = [line for line in cover.cover_of(item) if line.scope == values.SET and line.covers(on)]
    if not any(line.action == values.REPAIR for line in running):
        text = _l("On this day no warranty of the complete set ran that could be extended")
        raise Refused([Refusal("warranty.nothing_to_extend", text, "R22-1.W6b")])
    return add_event(item, EXTENDED, on, source=source, record=record, again=True, reason=reason)


def replace_part_step(step: Step) -> None:
    """A part was replaced: its own line begins (R22-1.W4), the product file knows both numbers of a key part.

    Raises:
        InvalidData: the case is about no item on file; what the product file refuses.
    """
    record, given = step.record, step.values
    item, on = _item_of(record, "part"), local_day(record.unit_id, step.at)
    part, old, new = (given.get(name) or "" for name in ("part", "old_serial", "new_serial"))
    add_event(
        item,
        REPLACED,
        on,
        source=_source(record, "part"),
        record=record,
        part=part,
        old_serial=old,
        new_serial=new,
        **_unless_paid(record),
    )
    # Ordinary parts are no key parts of the item because they were replaced once.
    if _named(part, products.part_names(item)):
        products.swap_part(item, part, old, new, on, record)


def exchange_step(step: Step) -> None:
    """An item was exchanged for another: the new one's cover, and which number stands for which (SB-7).

    Raises:
        InvalidData: an unknown serial number; what the product file refuses.
    """
    record, serial = step.record, step.values.get("new_serial") or ""
    item, on = _item_of(record, "new_serial"), local_day(record.unit_id, step.at)
    new_item = products.find_item(record.unit_id, serial)
    if new_item is None:
        raise InvalidData({"new_serial": _l("No item with this serial number")})
    exchange(
        item, new_item, on, source=_source(record, "exchange"), record=record, reason=step.values.get("reason")
    )


def exchange(
    item: Any, new_item: Any, on: date, *, source: str, record: Record | None = None, reason: str | None = None
) -> ItemEvent:
    """Keep that ``new_item`` was given for ``item``; return the event of the new one.

    It keeps what the first one still had, and its statutory term begins anew where SB-7 says so.

    Raises:
        InvalidData: under ``new_serial``, what the product file refuses; as ``add_event``.
    """
    if item.replaced_by_id == new_item.id and (kept := _exchange_of(item, new_item)) is not None:
        return kept
    left = covered_until(cover.cover_of(item))
    try:
        products.replace_item(item, new_item, on)
    except InvalidData as bad:
        texts = [text for texts in bad.errors.values() for text in texts]
        raise InvalidData({"new_serial": texts}) from None
    told = {"record": record, "old_serial": item.serial, "new_serial": new_item.serial, "reason": reason or ""}
    add_event(item, EXCHANGED, on, source=f"{source}:old", **told, clause="", until=None)
    return add_event(new_item, EXCHANGED, on, source=f"{source}:new", **told, until=left, **_anew(new_item, on))


def _exchange_of(item: Any, new_item: Any, *, withdrawn: bool = False) -> ItemEvent | None:
    """Return what was kept of this exchange at the item that was given."""
    found = select(ItemEvent).where(
        ItemEvent.item_id == new_item.id, ItemEvent.kind == EXCHANGED, ItemEvent.old_serial == item.serial
    )
    rows = session().scalars(found.order_by(ItemEvent.id))
    return next((one for one in rows if withdrawn or one.withdrawn_at is None), None)


def exchanged_elsewhere(unit_id: int | None, told: Mapping[str, Any]) -> None:
    """An exchange was entered in the product file: keep what it changes of the cover (SB-7).

    Called from the outbox, at least once; what was kept or withdrawn meanwhile stays as it is.
    """
    if unit_id is None:
        return
    with transaction():
        both = products.items_in_full([told["item_id"], told["new_item_id"]])
        item, new_item = both.get(told["item_id"]), both.get(told["new_item_id"])
        if item is None or new_item is None or {item.unit_id, new_item.unit_id} != {unit_id}:
            return
        on = date.fromisoformat(told["on"])
        gone = item.replaced_by_id != new_item.id or _exchange_of(item, new_item, withdrawn=True) is not None
        if not gone and not (_wrong(item, EXCHANGED, on, None) or _wrong(new_item, EXCHANGED, on, None)):
            exchange(item, new_item, on, source=f"file:{item.id}")


def extend_step(step: Step) -> None:
    """The last service before the end failed: the item's term is extended, once for a case (R22-1.W6b).

    Raises:
        InvalidData: the case is about no item on file. Refused: as ``extend``.
    """
    record = step.record
    item, on = _item_of(record, "reason"), local_day(record.unit_id, step.at)
    extend(item, on, source=f"record:{record.id}:extended", record=record, reason=step.values.get("reason") or "")
    until = covered_until(cover.cover_of(item))
    step.values["until"] = until.isoformat() if until else ""


def follow_decision(record: Record) -> None:
    """A decision was made or revised: what repair and replaced parts gave under the one before follows it."""
    item, now = products.item_of_record(record), standing.standing_of(record)
    before = session().scalars(
        select(Coverage)
        .where(Coverage.record_id == record.id, Coverage.current.is_(False))
        .order_by(Coverage.id.desc())
        .limit(1)
    )
    earlier = before.first()
    if item is None or (earlier is not None and (earlier.result in values.FREE_RESULTS) == now.is_free):
        return
    why = str(_l("The coverage decision was revised"))
    given = select(ItemEvent).where(
        ItemEvent.record_id == record.id,
        ItemEvent.item_id == item.id,
        ItemEvent.kind.in_((REPLACED, REPAIRED, IN_REPAIR)),
        ItemEvent.withdrawn_at.is_(None),
    )
    for row in session().scalars(given.order_by(ItemEvent.id)).all():
        if row.kind == REPLACED:
            _replace_again(item, row, record, why)
        elif not now.is_free:
            row.withdrawn_at, row.withdrawn_why = clock.now(), why
    session().flush()
    if now.is_free and record.category in ("solved", "closed"):
        repaired(record, again=True)


def _replace_again(item: Any, row: ItemEvent, record: Record, why: str) -> None:
    row.withdrawn_at, row.withdrawn_why = clock.now(), why
    session().flush()
    add_event(
        item,
        REPLACED,
        row.on,
        source=row.source.partition(_AGAIN)[0],
        record=record,
        again=True,
        part=row.part,
        old_serial=row.old_serial,
        new_serial=row.new_serial,
        **_unless_paid(record),
    )


def repaired(record: Record, *, again: bool = False) -> None:
    """A case was solved: repaired goods keep their free repair (R07-7.1). Called when it is.

    The time in repair is kept as well, so that the statutory term may leave it out (SB-6).
    """
    item = products.item_of_record(record) if record.type == "case" else None
    done = _solved(record) if item is not None else None
    case = session().scalars(select(Case).where(Case.id == record.id)).first() if done is not None else None
    if item is None or done is None or case is None or case.nature not in _REPAIRS:
        return
    on = max(local_day(record.unit_id, done.at), _first_day(item) or date.min)
    now = standing.standing_of(record)
    part = now.coverage.part if now.coverage is not None else ""
    if not _is_in_warranty(item, now, on, part):
        return
    source = f"record:{record.id}:solved:{done.seq}"
    fault = case.description.strip().partition("\n")[0]
    add_event(item, REPAIRED, on, source=source, record=record, again=again, part=part, fault=fault)
    came = max(local_day(record.unit_id, record.received_at), _first_day(item) or date.min)
    if on > came:
        add_event(item, IN_REPAIR, came, source=f"{source}:days", record=record, again=again, until=on)


# --- what clauses give ------------------------------------------------------------------------


def _given_by_clauses(item: Any, kind: str, on: date, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return months, days and clause of an event as the clauses in force on its day say."""
    if kind == REPLACED:
        return _of_replaced(item, on, given)
    if kind == REPAIRED:
        return _of_repaired(item, on, given)
    if kind == EXTENDED:
        found = _clause(item.unit_id, "R22-1.W6b", on)
        return {"months": int(found.values["extension"]), "clause": found.clause.id} if found.holds else {}
    if kind == IN_REPAIR:
        return _of_time(item, on, given)
    return {}


def _of_replaced(item: Any, on: date, given: Mapping[str, Any]) -> dict[str, Any]:
    """R22-1.W4: a whole term for that part; a unit may give it by its setting as well (E04)."""
    if given.get("months") == 0:
        return {}
    by_clause = _clause(item.unit_id, "R22-1.W4", on).holds
    if not by_clause and setting(item.unit_id, settings.REPAIRED_COVER) != settings.FULL_RESTART:
        return {}
    months = term_of_scope(cover.facts_of(item), cover.rules_for(item), given.get("part", ""))
    return {"months": months, "clause": "R22-1.W4" if by_clause else ""}


def _of_repaired(item: Any, on: date, given: Mapping[str, Any]) -> dict[str, Any]:
    found = _clause(item.unit_id, "R07-7.1", on)
    if not found.holds:
        return {}
    months = term_of_scope(cover.facts_of(item), cover.rules_for(item), given.get("part", ""))
    return {"clause": found.clause.id, "days": int(found.values["least"]), "months": months}


def _of_time(item: Any, on: date, given: Mapping[str, Any]) -> dict[str, Any]:
    found = _clause(item.unit_id, "SB-6", on)
    until = given.get("until")
    if not found.holds or not found.values["counted_out"] or until is None:
        return {}
    return {"clause": found.clause.id, "days": (until - on).days}


def _anew(item: Any, on: date) -> dict[str, Any]:
    found = _clause(item.unit_id, "SB-7", on)
    return {"clause": found.clause.id} if found.holds and found.values["anew"] else {}


def _unless_paid(record: Record) -> dict[str, Any]:
    """A part that the customer pays for is sold, not replaced under the warranty: no term of this clause."""
    now = standing.standing_of(record)
    return {"months": 0} if now.is_decided and not now.is_free else {}


def _clause(unit_id: int, clause: str, on: date) -> Any:
    return effective(unit_id, clause, cover.moment_in(unit_id, on))


# --- inside -----------------------------------------------------------------------------------


def _wrong(item: Any, kind: str, on: date, record: Record | None) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    if kind not in dict(values.EVENTS):
        errors["kind"] = _l("Please choose one of the list")
    if record is not None and record.unit_id != item.unit_id:
        errors["serial"] = _l("No item with this serial number")
    if kind in _ANY_DAY:
        return errors
    first = _first_day(item)
    if on > local_day(item.unit_id):
        errors["on"] = _l("This date lies in the future")
    elif first is not None and on < first:
        errors["on"] = _l("On this day the item was not sold yet")
    return errors


def _first_day(item: Any) -> date | None:
    known = [day for day in (item.purchased_on, item.handed_over_on, item.delivered_on) if day]
    return min(known, default=None)


def _item_of(record: Record, field: str) -> Any:
    item = products.item_of_record(record)
    if item is None:
        raise InvalidData({field: _l("The case is about no item on file. Register the item first.")})
    return item


def _source(record: Record, what: str) -> str:
    return f"record:{record.id}:{what}:{record.fact_seq}"


def _named(part: str, names: list[str]) -> bool:
    return normalise(part).casefold() in {name.strip().casefold() for name in names}


def _solved(record: Record) -> Fact | None:
    """Return the fact that ended the work last."""
    found = select(Fact).where(Fact.record_id == record.id, Fact.kind == "solved")
    return session().scalars(found.order_by(Fact.seq.desc()).limit(1)).first()


def _is_in_warranty(item: Any, now: standing.Standing, on: date, part: str) -> bool:
    """As it was decided; where nothing was, by the lines of the item on the day."""
    if now.is_decided:
        return now.is_free
    return any(
        line.covers(on) and (not line.part or line.part == part) and line.action == values.REPAIR
        for line in cover.cover_of(item)
    )

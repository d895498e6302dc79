"""Work orders (维修工单): from inspections, patrols, complaints, staff, or guests by the code in the room.

A defect that touches safety or use blocks a guest room at once (R06-7b). What a guest reports without signing in
blocks nothing: a supervisor does, once somebody looked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from core.sdk import (
    OPEN_CATEGORIES,
    Fact,
    Field,
    Finding,
    Inspection,
    InvalidData,
    Place,
    Record,
    RecordType,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    effective,
    fetch,
    inspections,
    link_records,
    lock,
    perform,
    places,
    publish,
    remember_answer,
    session,
    tell_of_fact,
    transaction,
)

from . import order_flow, rooms, values
from .models import HotelPlace, Order
from .order_flow import CODE, WORKFLOW
from .rights import REPORT, VIEW

DEFECT_CLAUSE = "R06-7b"
# The role of the link from an order to the complaint it serves.
FOR_COMPLAINT = "hotel_complaint"
_BY_HAND = tuple(one for one in values.SOURCES if one[0] in (values.STAFF, values.PATROL))
PLACE = Field("place", "text", _l("Place"), True, max_length=200, help=_l("Scan or type its code, such as 0801"))
FIELDS = (
    PLACE,
    Field("kind", "choice", _l("Kind of work"), choices=values.ORDER_KINDS, default=order_flow.REPAIR_KIND),
    Field("item_key", "choice", _l("What is concerned"), choices=values.DEFECTS),
    Field(
        "severity",
        "choice",
        _l("How serious"),
        choices=values.SEVERITIES,
        default=values.MINOR,
        help=_l("A danger, or what does not work, blocks a guest room until it was repaired and checked"),
    ),
    Field("text", "long", _l("What is wrong, what is to be done"), True, max_length=2000),
    Field("source", "choice", _l("Source"), choices=_BY_HAND, default=values.STAFF),
)


# --- registering ---------------------------------------------------------------------------------


def register(
    unit_id: int,
    raw: Mapping[str, Any],
    *,
    finding: Finding | None = None,
    complaint_id: int | None = None,
    source: str = "",
    permission: str = REPORT,
    key: str = "",
) -> Record:
    """Register an order: ``FIELDS`` (``place``: an id as a number, else its code or a scanned label).

    ``source`` says where it comes from, if not what the form says. It goes to the team of its category or kind
    (R06-2); 30 minutes to answer (JD-1) and 24 hours to repair (R06-7b) begin.

    Raises:
        NotAllowed: the actor lacks ``permission``. NotFound: no such complaint here.
        InvalidData: beside the field; the place is unknown or closed.
    """
    given = clean(FIELDS, raw)
    with transaction():
        before = answered_before(unit_id, key, "hotel.order", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        place = read_place(unit_id, raw.get("place"))
        complaint = lock(complaint_id) if complaint_id is not None else None
        detail = _detail(place, given, source or (values.COMPLAINT if complaint is not None else ""))
        if finding is not None:
            detail.finding_id, detail.item_key = finding.id, finding.item_key
        detail.complaint_id = complaint.id if complaint is not None else None
        record = _create(unit_id, detail, place, permission)
        if complaint is not None:
            link_records(record.id, complaint.id, FOR_COMPLAINT)
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _detail(place: Place, given: Mapping[str, Any], source: str) -> Order:
    return Order(
        place_id=place.id,
        category=category_of(place),
        source=source or given["source"] or values.STAFF,
        kind=given["kind"] or order_flow.REPAIR_KIND,
        severity=given["severity"] or values.MINOR,
        item_key=given["item_key"] or "",
        text=given["text"],
        reported_at=clock.now(),
    )


def _create(unit_id: int, detail: Order, place: Place, permission: str) -> Record:
    detail.blocks = _blocks(unit_id, detail)
    said = {"source": detail.source, "severity": detail.severity, "kind": detail.kind}
    facts: list[tuple[str, Mapping[str, Any]]] = [("registered", said)]
    if detail.blocks:
        facts.append(("blocked", {}))

    def then(made: Record) -> None:
        session().flush()
        if detail.blocks:
            rooms.block(place.id, made)

    return create_record(
        TYPE,
        unit_id,
        detail,
        title=f"{place.code} {' '.join(detail.text.split())}"[:120],
        customer_id=None,
        received_at=detail.reported_at,
        permission=permission,
        facts=facts,
        priority=PRIORITY[detail.severity],
        then=then,
    )


PRIORITY = {values.SAFETY: 1, values.FUNCTION: 2, values.MINOR: 3}


def _blocks(unit_id: int, detail: Order) -> bool:
    """Tell whether a new order blocks its room (R06-7b): not by the word of somebody nobody knows."""
    if detail.severity not in values.BLOCKING or detail.kind != order_flow.REPAIR_KIND:
        return False
    if detail.source == values.GUEST or rooms.find_room(detail.place_id) is None:
        return False
    found = effective(unit_id, DEFECT_CLAUSE)
    return bool(found.holds and found.values["blocks"])


def read_place(unit_id: int, given: object, name: str = "place") -> Place:
    """Return the place that a form or a program names: an id as a number, else its code or a scanned label.

    Raises:
        NotFound: an id of another unit. InvalidData: under ``name``: unknown, or no longer in use.
    """
    if isinstance(given, int):
        place: Place | None = fetch(Place, given)
    else:
        place = places.by_code(unit_id, str(given or "").strip())
    if place is None or place.unit_id != unit_id:
        raise InvalidData({name: _l("There is no such place here")})
    if not place.active:
        raise InvalidData({name: _l("This place is no longer in use")})
    return place


def category_of(place: Place) -> str:
    """Return the category of a place: its own, else that of the nearest one around it the hotel knows."""
    line = [int(one) for one in place.path.split("/") if one]
    known = select(HotelPlace.place_id, HotelPlace.category).where(HotelPlace.place_id.in_(line))
    found = {one.place_id: one.category for one in session().execute(known)}
    return next((found[one] for one in reversed(line) if one in found), values.OTHER)


# --- from inspections ------------------------------------------------------------------------------


def from_finding(inspection: Inspection, finding: Finding) -> Record | None:
    """Open an order for a failed item (R06-7a, R06-10); the same defect that is open already is not opened again.

    None where the inspection has no place: there is nothing to send somebody to.
    """
    if finding.place_id is None:
        return None
    again = open_defect(finding.place_id, finding.item_key)
    if again is not None:
        return _found_again(again, finding)
    raw = {
        "place": finding.place_id,
        "severity": finding.severity,
        "text": "\n".join(one for one in (finding.item, finding.note) if one),
        "kind": KIND_OF_ITEM.get(finding.item_key, order_flow.REPAIR_KIND),
    }
    source = values.PATROL if inspection.clause in PATROLS else values.INSPECTION
    return register(inspection.unit_id, raw, finding=finding, source=source, permission=inspections.FILL)


PATROLS = ("R06-10", "R06-17")
# Items whose failure wants no repair.
KIND_OF_ITEM = {"clean": "cleaning", "supplies": "supply", "linen": "supply"}


def open_defect(place_id: int, item_key: str) -> Order | None:
    """Return the open order about the same thing at a place, the newest one; None where nothing says what it is."""
    if not item_key:
        return None
    wanted = _open().where(Order.place_id == place_id, Order.item_key == item_key).order_by(Order.id.desc())
    return session().scalars(wanted.limit(1)).first()


def _found_again(order: Order, finding: Finding) -> Record:
    """The defect is known: the order keeps that it was seen again; one that is worse now blocks the room."""
    record = lock(order.id)
    note = "\n".join(one for one in (finding.item, finding.note) if one)
    fact = append_fact(record, WORKFLOW.fact_kinds["seen_again"], at=clock.now(), note=note)
    if PRIORITY[finding.severity] < PRIORITY[order.severity]:
        order.severity = finding.severity
    session().flush()
    if not order.blocks and _blocks(order.unit_id, order):
        order.blocks = True
        blocked = append_fact(record, WORKFLOW.fact_kinds["blocked"], at=clock.now())
        session().flush()
        rooms.block(order.place_id, record)
        tell_of_fact(record, blocked)
    tell_of_fact(record, fact)
    return record


# --- reading -------------------------------------------------------------------------------------


def _open() -> Select[Order]:
    return (
        select(Order)
        .join(Order.record)
        .where(Record.category.in_(OPEN_CATEGORIES))
        .options(contains_eager(Order.record))
    )


def of_place(place_id: int, limit: int = 20) -> Sequence[Order]:
    """Return the newest orders of a place."""
    mine = select(Order).where(Order.place_id == place_id).order_by(Order.reported_at.desc(), Order.id.desc())
    return session().scalars(mine.limit(limit)).all()


def open_of_place(place_id: int, limit: int = 20) -> Sequence[Order]:
    """Return the orders of a place that are still open, the oldest first."""
    return session().scalars(_open().where(Order.place_id == place_id).order_by(Order.id).limit(limit)).all()


def of_complaint(complaint_id: int) -> Sequence[Order]:
    """Return the orders that a complaint led to."""
    return session().scalars(select(Order).where(Order.complaint_id == complaint_id).order_by(Order.id)).all()


# --- following -----------------------------------------------------------------------------------


def after_step(record: Record, transition: str, _facts: Sequence[Fact]) -> None:
    """What was checked frees its room, and closes by itself where no guest waits; a complaint that is closed closes
    its orders.
    """
    if record.type == CODE and transition in ("check", "cancel"):
        _free(record)
    if record.type == CODE and transition in ("check", "tell"):
        detail = session().get_one(Order, record.id)
        if transition == "tell" or detail.complaint_id is None or not _waits(detail.complaint_id):
            perform(record.id, "close", permitted=True)
    if record.type == "hotel_complaint" and transition in ("close", "cancel"):
        for one in of_complaint(record.id):
            if one.record.state == values.CHECKED_STATE:
                perform(one.id, "close", permitted=True)


def _free(record: Record) -> None:
    detail = session().get_one(Order, record.id)
    if not detail.blocks:
        return
    order_flow.let_go(record, detail)
    fact = append_fact(record, WORKFLOW.fact_kinds["unblocked"], at=clock.now())
    session().flush()
    tell_of_fact(record, fact)


def _waits(complaint_id: int) -> bool:
    """Tell whether the guest of a complaint still waits for an answer about it."""
    state = session().scalar(select(Record.state).where(Record.id == complaint_id))
    return state not in (values.CLOSED, values.CANCELLED)


def search_text(record: Record, detail: Any) -> str:
    """Return the words an order is found by."""
    return "\n".join((record.number, record.title))


TYPE = RecordType(
    CODE,
    _l("Work order"),
    "GX",
    Order,
    WORKFLOW,
    search_text,
    intake=FIELDS,
    register=register,
    files=REPORT,
    readers=(VIEW, REPORT),
    concerns=lambda record, user_id: record.assignee_id == user_id,
)

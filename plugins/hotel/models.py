"""Tables of the hotel. Money owed is the core's charges; checks and patrols are the core's inspections."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.sdk import Base, BigId, Json, Place, Record, UnitScoped, UtcDateTime

from . import values

_PLACE, _NOTE, _STATE = _l("Place"), _l("Note"), _l("State")
_DETAIL = (["id", "unit_id"], ["core_record.id", "core_record.unit_id"])


def _only(condition: str, postgresql: str = "") -> dict[str, Any]:
    """Options of an index over the rows of a condition, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(postgresql or condition)}


# --- rooms ---------------------------------------------------------------------------------------


class HotelPlace(UnitScoped, Base):
    """What the hotel knows of a place: its category, and of a guest room its state.

    ``state`` follows from ``occupied``, ``clean``, ``blocks`` (open orders that block it) and ``closed`` (taken out
    of service by decision); ``rooms.state_of`` works it out and ``rooms`` alone writes it. ``floor_id`` is the
    place the board groups by. ``guest_code`` stands in the QR for guests; '' where there is none.
    """

    __tablename__ = "hotel_place"
    __audited__ = True
    __audit_words__ = {
        "": _l("Hotel place"),
        "place_id": _PLACE,
        "category": (_l("Category"), values.CATEGORIES),
        "room_type": _l("Room type"),
        "beds": _l("Beds"),
        "closed": _l("Out of service"),
        "closed_reason": _l("Why it is out of service"),
        "closed_until": _l("Out of service until"),
    }
    __audit_mask__ = frozenset({"guest_code"})
    __table_args__ = (
        UniqueConstraint("place_id"),
        Index("ix_hotel_place_board", "unit_id", "category", "floor_id", "place_id"),
        Index("ix_hotel_place_state", "unit_id", "category", "state"),
        Index("uq_hotel_place_code", "guest_code", unique=True, **_only("guest_code <> ''")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("core_place.id"))
    floor_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    category: Mapped[str] = mapped_column(String(14), default=values.ROOMS)
    room_type: Mapped[str] = mapped_column(String(40), default="")
    beds: Mapped[int] = mapped_column(default=1)
    occupied: Mapped[bool] = mapped_column(default=False)
    clean: Mapped[bool] = mapped_column(default=True)
    blocks: Mapped[int] = mapped_column(default=0)
    closed: Mapped[bool] = mapped_column(default=False)
    closed_reason: Mapped[str] = mapped_column(String(200), default="")
    closed_until: Mapped[date | None] = mapped_column()
    state: Mapped[str] = mapped_column(String(4), default=values.VC)
    state_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    dnd_on: Mapped[date | None] = mapped_column()  # the hotel day of 请勿打扰
    cleaned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deep_cleaned_on: Mapped[date | None] = mapped_column()
    guest_code: Mapped[str] = mapped_column(String(40), default="")
    version: Mapped[int] = mapped_column(default=1)

    place: Mapped[Place] = relationship(lambda: Place, foreign_keys=[place_id], lazy="joined", innerjoin=True)
    floor: Mapped[Place | None] = relationship(lambda: Place, foreign_keys=[floor_id], lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}


class RoomEvent(UnitScoped, Base):
    """A change of a room's state (房态变更): append-only. ``hotel_day`` ends in the morning."""

    __tablename__ = "hotel_event"
    __table_args__ = (
        Index("ix_hotel_event_place", "place_id", "at", "id"),
        Index("ix_hotel_event_day", "unit_id", "hotel_day", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("core_place.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    hotel_day: Mapped[date] = mapped_column()
    what: Mapped[str] = mapped_column(String(12))
    before: Mapped[str] = mapped_column(String(4), default="")
    after: Mapped[str] = mapped_column(String(4), default="")
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    note: Mapped[str] = mapped_column(String(300), default="")


class Stay(UnitScoped, Base):
    """A stay from one hotel day to another. No names: ``reference`` is the front office's booking number."""

    __tablename__ = "hotel_stay"
    __audited__ = True
    __audit_label__ = "reference"
    __audit_words__ = {
        "": _l("Stay"),
        "reference": _l("Booking number"),
        "place_id": _PLACE,
        "arrives_on": _l("Arrival"),
        "departs_on": _l("Departure"),
        "state": (_STATE, values.STAY_STATES),
    }
    __table_args__ = (
        Index("uq_hotel_stay_reference", "unit_id", "reference", unique=True, **_only("reference <> ''")),
        Index("uq_hotel_stay_in_house", "place_id", unique=True, **_only("state = 'in_house'")),
        Index("ix_hotel_stay_arrivals", "unit_id", "state", "arrives_on", "id"),
        Index("ix_hotel_stay_place", "place_id", "arrives_on"),
        CheckConstraint("departs_on >= arrives_on", name="days"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    reference: Mapped[str] = mapped_column(String(40), default="")
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    arrives_on: Mapped[date] = mapped_column()
    departs_on: Mapped[date] = mapped_column()
    guests: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(10), default=values.EXPECTED)
    arrived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    departed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    source: Mapped[str] = mapped_column(String(10), default="hand")
    note: Mapped[str] = mapped_column(String(300), default="")
    version: Mapped[int] = mapped_column(default=1)

    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}


class Cleaning(UnitScoped, Base):
    """One room to be cleaned on one hotel day. Times and people are stamped by the server."""

    __tablename__ = "hotel_cleaning"
    __table_args__ = (
        UniqueConstraint("place_id", "hotel_day", "kind"),
        Index("ix_hotel_cleaning_day", "unit_id", "hotel_day", "state", "place_id"),
        Index("ix_hotel_cleaning_person", "unit_id", "assignee_id", "hotel_day"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    place_id: Mapped[int] = mapped_column(ForeignKey("core_place.id"))
    hotel_day: Mapped[date] = mapped_column()
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(8), default=values.TODO)
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    begun_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    tries: Mapped[int] = mapped_column(default=0)  # how often somebody stood before a closed door
    skip: Mapped[str] = mapped_column(String(10), default="")
    note: Mapped[str] = mapped_column(String(300), default="")
    version: Mapped[int] = mapped_column(default=1)

    place: Mapped[Place] = relationship(lambda: Place, lazy="joined", innerjoin=True)
    __mapper_args__ = {"version_id_col": version}


# --- work orders, complaints -----------------------------------------------------------------------


class Order(UnitScoped, Base):
    """Details of a work order (维修工单). ``item_key``: the same defect again; ``blocks``: the room is not sold."""

    __tablename__ = "hotel_order"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_hotel_order_place", "place_id", "reported_at", "id"),
        Index("ix_hotel_order_repeat", "unit_id", "place_id", "item_key", "reported_at"),
        Index("ix_hotel_order_blocks", "unit_id", "place_id", **_only("blocks = 1", "blocks")),
        Index("ix_hotel_order_time", "unit_id", "reported_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    place_id: Mapped[int] = mapped_column(ForeignKey("core_place.id"))
    category: Mapped[str] = mapped_column(String(14))
    source: Mapped[str] = mapped_column(String(12))
    kind: Mapped[str] = mapped_column(String(10), default="repair")
    severity: Mapped[str] = mapped_column(String(10), default=values.MINOR)
    item_key: Mapped[str] = mapped_column(String(40), default="")
    text: Mapped[str] = mapped_column(Text)
    blocks: Mapped[bool] = mapped_column(default=False)
    finding_id: Mapped[int | None] = mapped_column(ForeignKey("core_finding.id"), unique=True)
    complaint_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"), index=True)
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    responded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    result: Mapped[str] = mapped_column(Text, default="")
    cost: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    redone: Mapped[int] = mapped_column(default=0)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record] = relationship(
        lambda: Record, foreign_keys=[id], primaryjoin=lambda: Record.id == Order.id, lazy="joined", innerjoin=True
    )
    place: Mapped[Place] = relationship(lambda: Place, lazy="raise_on_sql")


class Complaint(UnitScoped, Base):
    """Details of a guest's complaint (宾客投诉). ``contact`` is emptied when it is no longer needed.

    ``day_ends``: when the hotel day ends, in seconds after midnight, as it was set when the complaint came.
    """

    __tablename__ = "hotel_complaint"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_hotel_complaint_place", "place_id", "reported_at"),
        Index("ix_hotel_complaint_cause", "unit_id", "reported_at", "cause"),
        Index("ix_hotel_complaint_contact", "unit_id", "id", **_only("contact <> ''")),
        CheckConstraint("amount IS NULL OR amount >= 0", name="amount"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    category: Mapped[str] = mapped_column(String(14))
    channel: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(Text)
    contact: Mapped[str] = mapped_column(String(80), default="")
    cause: Mapped[str] = mapped_column(String(10), default="")
    reported_at: Mapped[datetime] = mapped_column(UtcDateTime)
    day_ends: Mapped[int] = mapped_column(default=21600)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    solution: Mapped[str] = mapped_column(Text, default="")
    compensation: Mapped[str] = mapped_column(String(10), default="")
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    satisfied: Mapped[bool | None] = mapped_column()

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")


# --- catering ------------------------------------------------------------------------------------


class Food(UnitScoped, Base):
    """Details of a receipt of food (食材验收)."""

    __tablename__ = "hotel_food"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL), Index("ix_hotel_food_list", "unit_id", "arrived_at", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    supplier: Mapped[str] = mapped_column(String(120))
    delivery_note: Mapped[str] = mapped_column(String(60), default="")
    arrived_at: Mapped[datetime] = mapped_column(UtcDateTime)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)
    lines: Mapped[list[FoodLine]] = relationship(
        lambda: FoodLine, lazy="raise_on_sql", order_by=lambda: FoodLine.id, viewonly=True
    )


class FoodLine(UnitScoped, Base):
    """One ingredient of a receipt. ``verdict``: accepted or refused, '' until looked at; degrees in °C."""

    __tablename__ = "hotel_food_line"
    __table_args__ = (
        Index("ix_hotel_food_line_food", "food_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    food_id: Mapped[int] = mapped_column(ForeignKey("hotel_food.id"))
    item: Mapped[str] = mapped_column(String(80))
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 3))
    measure: Mapped[str] = mapped_column(String(10), default="")
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    made_on: Mapped[date | None] = mapped_column()
    expires_on: Mapped[date | None] = mapped_column()
    storage: Mapped[str] = mapped_column(String(8), default=values.AMBIENT)
    degrees: Mapped[Decimal | None] = mapped_column(Numeric(4, 1))
    papers: Mapped[bool] = mapped_column(default=False)
    looks_good: Mapped[bool] = mapped_column(default=False)
    verdict: Mapped[str] = mapped_column(String(10), default="")
    note: Mapped[str] = mapped_column(String(200), default="")


class Processing(UnitScoped, Base):
    """An entry of the processing log (加工记录, R06-14): never changed; a wrong one is struck out with a reason."""

    __tablename__ = "hotel_processing"
    __table_args__ = (Index("ix_hotel_processing_list", "unit_id", "at", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    hotel_day: Mapped[date] = mapped_column()
    meal: Mapped[str] = mapped_column(String(10))
    step: Mapped[str] = mapped_column(String(10))
    dish: Mapped[str] = mapped_column(String(80))
    degrees: Mapped[Decimal | None] = mapped_column(Numeric(4, 1))
    fine: Mapped[bool] = mapped_column(default=True)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    note: Mapped[str] = mapped_column(String(300), default="")
    struck_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    struck_reason: Mapped[str] = mapped_column(String(200), default="")


class Sample(UnitScoped, Base):
    """A food sample that is kept (食品留样). ``grams`` of one dish; not thrown away before ``keep_until``."""

    __tablename__ = "hotel_sample"
    __audited__ = True
    __audit_label__ = "dish"
    __audit_words__ = {
        "": _l("Food sample"),
        "dish": _l("Dish"),
        "grams": _l("Grams"),
        "keep_until": _l("Kept until"),
    }
    __table_args__ = (
        Index("ix_hotel_sample_list", "unit_id", "kept_at", "id"),
        Index("ix_hotel_sample_due", "unit_id", "keep_until", **_only("disposed_at IS NULL")),
        CheckConstraint("grams > 0", name="grams"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    hotel_day: Mapped[date] = mapped_column()
    meal: Mapped[str] = mapped_column(String(10))
    dish: Mapped[str] = mapped_column(String(80))
    grams: Mapped[int] = mapped_column()
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kept_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    keep_until: Mapped[datetime] = mapped_column(UtcDateTime)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    disposed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disposed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    note: Mapped[str] = mapped_column(String(200), default="")
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


# --- meetings, shifts, facilities ------------------------------------------------------------------


class Meeting(UnitScoped, Base):
    """Details of a meeting (会议). ``inspection_id`` is the checklist of its preparation."""

    __tablename__ = "hotel_meeting"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_hotel_meeting_place", "place_id", "starts_at"),
        Index("ix_hotel_meeting_list", "unit_id", "starts_at", "id"),
        CheckConstraint("ends_at > starts_at", name="times"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    place_id: Mapped[int] = mapped_column(ForeignKey("core_place.id"))
    booked_at: Mapped[datetime] = mapped_column(UtcDateTime)  # when its time was set, last
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime] = mapped_column(UtcDateTime)
    people: Mapped[int] = mapped_column(default=1)
    layout: Mapped[str] = mapped_column(String(10), default="theatre")
    wishes: Mapped[str] = mapped_column(Text, default="")
    inspection_id: Mapped[int | None] = mapped_column(ForeignKey("core_inspection.id"), index=True)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)
    place: Mapped[Place] = relationship(lambda: Place, lazy="raise_on_sql")


class Shift(UnitScoped, Base):
    """Details of a shift in the hand-over book (交接班). ``entries``: [{"text", "open", "carried", "at", "by"}]."""

    __tablename__ = "hotel_shift"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        UniqueConstraint("unit_id", "department", "hotel_day", "shift"),
        Index("ix_hotel_shift_list", "unit_id", "hotel_day", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    department: Mapped[str] = mapped_column(String(14))
    shift: Mapped[str] = mapped_column(String(8))
    hotel_day: Mapped[date] = mapped_column()
    entries: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    giver_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    handed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taker_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class Facility(UnitScoped, Base):
    """A facility (设施设备): lift, boiler, air conditioning. ``every_months`` 0: not serviced at intervals."""

    __tablename__ = "hotel_facility"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Facility"),
        "code": _l("Code"),
        "name": _l("Name"),
        "place_id": _PLACE,
        "every_months": _l("Serviced every (months)"),
        "active": _l("In use"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "code"),
        Index("ix_hotel_facility_due", "unit_id", "next_on", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(80))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    maker: Mapped[str] = mapped_column(String(80), default="")
    serial: Mapped[str] = mapped_column(String(60), default="")
    contractor: Mapped[str] = mapped_column(String(120), default="")
    every_months: Mapped[int] = mapped_column(default=0)
    last_on: Mapped[date | None] = mapped_column()
    next_on: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}


class FacilityService(UnitScoped, Base):
    """A service of a facility (维保记录)."""

    __tablename__ = "hotel_facility_service"
    __audited__ = True
    __audit_words__ = {"": _l("Service of a facility"), "facility_id": _l("Facility"), "on": _l("Date")}
    __table_args__ = (Index("ix_hotel_facility_service", "facility_id", "on", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    facility_id: Mapped[int] = mapped_column(ForeignKey("hotel_facility.id"))
    on: Mapped[date] = mapped_column()
    what: Mapped[str] = mapped_column(String(300))
    cost: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)

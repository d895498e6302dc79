"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from core.sdk import Place, Record, Unit, User, clock, session, uuid7
from plugins.hotel import values
from plugins.hotel.models import (
    Cleaning,
    Complaint,
    Facility,
    FacilityService,
    Food,
    FoodLine,
    HotelPlace,
    Meeting,
    Order,
    Processing,
    RoomEvent,
    Sample,
    Shift,
    Stay,
)
from tests.contract import PluginContract

# Ids that mean the same to every list of ours: an address with one shows the same thing everywhere.
_ids = itertools.count(900_001)
_STEP = 1_000_000
_RECORDS = (
    ("hotel_order", values.OPEN),
    ("hotel_complaint", values.OPEN),
    ("hotel_food", values.RECEIVED),
    ("hotel_meeting", values.PLANNED),
    ("hotel_shift", values.WRITING),
)
_DAY = date(2026, 1, 1)


class TestContract(PluginContract):
    name = "hotel"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        return [_stay_with_everything(unit, key) for key in itertools.islice(_ids, count)]


def _stay_with_everything(unit: Unit, key: int) -> Stay:
    """Add a stay with one row of each of the plugin's lists, each with a room and a person of its own."""
    work, of = session(), {"unit_id": unit.id}
    user = User(username=f"contract-{key}", name=f"某人 {key}", password_hash="x")
    place = Place(id=key, code=f"R{key}", name=f"客房 {key}", kind="room", path=f"/{key}/", depth=0, **of)
    work.add_all((user, place))
    work.flush()
    records = [_record(unit, key + number * _STEP, kind, state) for number, (kind, state) in enumerate(_RECORDS)]
    work.add_all(records)
    work.flush()
    stay = Stay(id=key, reference=f"YD{key}", place_id=key, arrives_on=_DAY, departs_on=_DAY, **of)
    room = HotelPlace(id=key, place_id=key, guest_code=f"code{key}", **of)
    work.add_all((stay, room))
    work.flush()
    _add_rooms(key, user.id, of)
    _add_records(key, of, *(one.id for one in records))
    _add_house(key, user.id, of)
    return stay


def _add_rooms(key: int, user_id: int, of: dict[str, int]) -> None:
    now = clock.now()
    session().add_all(
        (
            RoomEvent(id=key, place_id=key, at=now, hotel_day=_DAY, what=values.CLEANED, actor_id=user_id, **of),
            Cleaning(
                id=key, place_id=key, hotel_day=_DAY, kind=values.STAYOVER, assignee_id=user_id, note="客房", **of
            ),
        )
    )
    session().flush()


def _add_records(
    key: int, of: dict[str, int], order: int, complaint: int, food: int, meeting: int, shift: int
) -> None:
    now = clock.now()
    said = {"place_id": key, "category": values.ROOMS, "reported_at": now, "text": f"灯不亮 {key}"}
    times = {"booked_at": now, "starts_at": now, "ends_at": now + timedelta(hours=1)}
    # A shift stands once in the book of a day: each row has a day of its own.
    day = _DAY + timedelta(days=key % 1000)
    session().add_all(
        (
            Order(id=order, source=values.STAFF, **said, **of),
            Complaint(id=complaint, channel="desk", **said, **of),
            Food(id=food, supplier=f"供应商 {key}", arrived_at=now, place_id=key, **of),
            Meeting(id=meeting, place_id=key, **times, **of),
            Shift(id=shift, department="front_desk", shift="early", hotel_day=day, entries=[], **of),
        )
    )
    session().flush()
    session().add(FoodLine(id=key, food_id=food, item=f"牛奶 {key}", quantity=Decimal(1), **of))
    session().flush()


def _add_house(key: int, user_id: int, of: dict[str, int]) -> None:
    now, meal = clock.now(), {"hotel_day": _DAY, "meal": values.LUNCH, "dish": f"红烧肉 {key}"}
    session().add_all(
        (
            Processing(id=key, at=now, entered_at=now, step="cook", by_id=user_id, **meal, **of),
            Sample(id=key, grams=130, kept_at=now, keep_until=now + timedelta(hours=48), **meal, **of),
            Facility(id=key, code=f"DT{key}", name=f"电梯 {key}", place_id=key, **of),
        )
    )
    session().flush()
    session().add(FacilityService(id=key, facility_id=key, on=_DAY, what="保养", at=now, **of))
    session().flush()


def _record(unit: Unit, key: int, kind: str, state: str) -> Record:
    now = clock.now()
    given = {"number": f"N-{key}", "title": f"酒店 {key}", "state": state, "category": "open"}
    return Record(id=key, unit_id=unit.id, uid=uuid7(), type=kind, received_at=now, entered_at=now, **given)

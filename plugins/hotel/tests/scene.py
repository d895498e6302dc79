"""What the tests of the hotel set up: a house of two floors with its people, rooms ready for guests.

Everything happens at ``house.now``, which a test moves as it likes. What people do goes through the services; the
file (places, rooms) is put straight into the tables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from core.kernel import clock
from core.rules.setting_models import ClauseSetting
from core.sdk import Fact, Place, Record, Refused, Unit, User, perform, uuid7
from core.users.models import Position, UserPosition
from plugins.hotel import rights, values
from plugins.hotel.models import HotelPlace, Order, RoomEvent, Stay
from tests import casework
from tests.helpers import as_system, in_scope, switch_on

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten in the morning in China
OWN_RIGHTS = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = casework.ALL | OWN_RIGHTS
_numbers = itertools.count(1)


@dataclass
class House:
    """A unit with the hotel on: building "主楼" with floors 1 and 2, rooms 0101-0103 and 0201-0203, a restaurant.

    ``desk`` may do everything. Ids of places by code in ``places``.
    """

    office: casework.Office
    now: datetime = MONDAY
    places: dict[str, int] = field(default_factory=dict)
    rights: dict[int, frozenset[str]] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    @property
    def desk(self) -> User:
        return self.office.desk

    @property
    def today(self) -> date:
        """The hotel day (in China, from six in the morning)."""
        return (self.now + timedelta(hours=2)).date()

    def later(self, **more: float) -> datetime:
        """Let time pass (as ``timedelta``); return the new moment."""
        self.now += timedelta(**more)
        return self.now

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = None) -> Iterator[Any]:
        """Work as somebody with what they may do (default: the desk, everything), at ``house.now``."""
        if permissions is None:
            permissions = ALL if user is None or user.id == self.desk.id else self.allowed(user)
        with clock.frozen(self.now), in_scope(self.unit, permissions, user or self.desk) as work:
            yield work

    def allowed(self, user: User) -> frozenset[str]:
        """Return what somebody's positions allow."""
        if user.id not in self.rights:
            with as_system() as work:
                held = select(Position).join(UserPosition).where(UserPosition.user_id == user.id)
                self.rights[user.id] = frozenset(one for row in work.scalars(held) for one in row.permissions)
        return self.rights[user.id]

    def staff(self, position: str) -> User:
        """Add somebody who holds a position as it is shipped (``hotel_housekeeping`` ...)."""
        return self.office.staff(position)

    def clause(self, name: str, holds: bool = True, **given: Any) -> None:
        """Set a clause of the unit, in force since long ago."""
        with as_system() as work:
            held = select(ClauseSetting).where(ClauseSetting.unit_id == self.unit.id, ClauseSetting.clause == name)
            for row in work.scalars(held):
                work.delete(row)
        self.office.clause(name, on=holds, **given)

    # --- the file, straight into the tables -------------------------------------------------------

    def place(self, code: str, kind: str = "room", parent: str = "", name: str = "") -> int:
        """Put a place into the tree; return its id."""
        around = self.places.get(parent)
        with as_system() as work:
            above = work.get_one(Place, around) if around else None
            row = Place(unit_id=self.unit.id, code=code, name=name or code, kind=kind, parent_id=around)
            row.depth = above.depth + 1 if above else 0
            work.add(row)
            work.flush()
            row.path = f"{above.path if above else '/'}{row.id}/"
            self.places[code] = row.id
            return row.id

    def room(self, code: str, parent: str = "1F", **columns: Any) -> int:
        """Put a guest room on file (``columns`` of ``HotelPlace``), vacant and clean; return the place's id."""
        return self.hotel_place(code, parent, values.ROOMS, **columns)

    def hotel_place(self, code: str, parent: str, category: str, kind: str = "room", **columns: Any) -> int:
        """Put a place on file that the hotel knows; return the place's id."""
        place_id = self.places.get(code) or self.place(code, kind, parent)
        given = {"room_type": "标间", "beds": 2, **columns} if category == values.ROOMS else columns
        row = HotelPlace(unit_id=self.unit.id, place_id=place_id, category=category, **given)
        row.floor_id = self.places.get(parent)
        self.add(row)
        return place_id

    def stay(self, code: str, days: int = 1, *, state: str = values.IN_HOUSE, starts: int = 0) -> int:
        """Put a stay straight into the tables (the room is occupied if it is under way); return its id."""
        first = self.today + timedelta(days=starts)
        row = Stay(
            unit_id=self.unit.id, reference=f"B{next(_numbers):05d}", place_id=self.places[code], state=state
        )
        row.arrives_on, row.departs_on = first, first + timedelta(days=days)
        if state == values.IN_HOUSE:
            row.arrived_at = self.now
            with as_system() as work:
                room = work.scalars(select(HotelPlace).where(HotelPlace.place_id == self.places[code])).one()
                room.occupied, room.state = True, values.OC if room.clean else values.OD
        return self.add(row)

    def record(self, type_: str, detail: Any, state: str, title: str, category: str = "open") -> int:
        """Put a record with its details straight into the tables; return its id."""
        with clock.frozen(self.now), as_system() as work:
            record = Record(
                unit_id=self.unit.id,
                uid=uuid7(),
                type=type_,
                number=f"{type_[:12]}-{next(_numbers):05d}",
                title=title,
                state=state,
                category=category,
                received_at=self.now,
                entered_at=self.now,
                fact_seq=1,
            )
            work.add(record)
            work.flush()
            detail.id, detail.unit_id = record.id, self.unit.id
            first = {"seq": 1, "kind": "registered", "at": self.now, "entered_at": self.now}
            work.add_all([detail, Fact(record_id=record.id, unit_id=self.unit.id, **first, note="", data={})])
            return int(record.id)

    def order(self, code: str, *, blocks: bool = True, state: str = values.OPEN) -> int:
        """Put a work order straight into the tables; the room does not know of it yet. Return its id."""
        detail = Order(place_id=self.places[code], category=values.ROOMS, source=values.STAFF, text="灯不亮")
        detail.blocks, detail.reported_at, detail.severity = blocks, self.now, values.FUNCTION
        return self.record("hotel_order", detail, state, f"{code} 灯不亮")

    def add(self, row: Any) -> int:
        """Put a row into the tables; return its id."""
        with as_system() as work:
            work.add(row)
            work.flush()
            return int(row.id)

    # --- what people do, what there is --------------------------------------------------------------

    def do(self, key: int, step: str, user: User | None = None, **given: Any) -> None:
        """Take a step of a record as somebody (default: the desk)."""
        with self.acting(user):
            perform(key, step, given)

    def state(self, key: int) -> str:
        """Return the state of a record."""
        with as_system() as work:
            return str(work.get_one(Record, key).state)

    def room_state(self, code: str) -> str:
        """Return the state of a room (``VC`` ...)."""
        return str(self.one_room(code).state)

    def one_room(self, code: str) -> HotelPlace:
        """Return what the hotel knows of a place, detached."""
        found: HotelPlace = self.all(select(HotelPlace).where(HotelPlace.place_id == self.places[code]))[0]
        return found

    def events(self, code: str) -> list[RoomEvent]:
        """Return what happened to a room, in order."""
        return self.all(select(RoomEvent).where(RoomEvent.place_id == self.places[code]).order_by(RoomEvent.id))

    def facts(self, key: int) -> list[str]:
        """Return the kinds of a record's facts, in order."""
        return self.all(select(Fact.kind).where(Fact.record_id == key).order_by(Fact.seq))

    def all(self, statement: Any) -> list[Any]:
        """Return what a select finds, detached."""
        with as_system() as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows


def codes(refused: Refused) -> set[str]:
    """Return the codes of what was refused."""
    return {one.code for one in refused.refusals}


def clauses(refused: Refused) -> set[str]:
    """Return the clauses that refused."""
    return {one.clause for one in refused.refusals if one.clause}


def make_house(code: str = "", *, on: tuple[str, ...] = (), off: tuple[str, ...] = (), rooms: int = 3) -> House:
    """A unit with the hotel on; clauses hold as shipped but for those named ``on`` and ``off``."""
    with clock.frozen(MONDAY):
        office = casework.make_office(code)
        switch_on(office.unit, "hotel")
    house = House(office)
    house.place("主楼", "building")
    for floor in (1, 2):
        house.place(f"{floor}F", "floor", "主楼", f"{floor}层")
        for number in range(1, rooms + 1):
            house.room(f"{floor:02d}{number:02d}", f"{floor}F")
    house.hotel_place("西餐厅", "1F", values.CATERING, "area")
    for one in on:
        house.clause(one)
    for one in off:
        house.clause(one, holds=False)
    return house

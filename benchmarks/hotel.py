"""A hotel's year: the board, a room's page, the dashboard and the list of inspections beside raw SQL of the same rows.

Six hundred rooms, each inspected, cleaned and changing its state about once a day; one inspection in fifty finds
something that becomes a work order. The same is measured at a hundredth of the history first: what is flat stays flat.
"""
# SQL composed from constants only; it reads best unbroken.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from core.inspections.models import Checklist, ChecklistVersion, Finding, Inspection
from core.kernel import clock
from core.kernel.database import db, system_scope, transaction
from core.kernel.ids import uuid7
from core.places.models import Place
from core.records.models import Record
from core.units.models import Unit
from core.units.switches import enable
from plugins.hotel import values
from plugins.hotel.models import Cleaning, Complaint, HotelPlace, Order, RoomEvent

from .lists import Row
from .scene import Scene, signed_in
from .tools import best, page

ROOMS, FLOORS = 600, 30
FIRST = 1_000_000  # of every id: beside what the plugin sets up by itself
SOME = 5000
FOUND_EVERY, COMPLAINED_EVERY, OPEN_LAST = 50, 200, 40
BOARD, ROOM = "/p/hotel/board", "/p/hotel/rooms/{}"
DASHBOARD, INSPECTIONS = "/admin/hotel/dashboard/", "/admin/inspections/"

_BOARD = "SELECT p.code, h.state, h.room_type, f.name FROM hotel_place h JOIN core_place p ON p.id = h.place_id JOIN core_place f ON f.id = h.floor_id WHERE h.unit_id = :unit AND h.category = 'rooms' ORDER BY h.floor_id, h.place_id"
_ROOM = "SELECT at, what, before, after FROM hotel_event WHERE place_id = :place ORDER BY at DESC, id DESC LIMIT 20"
_OPEN = "SELECT h.floor_id, count(*) FROM core_record r JOIN hotel_order o ON o.id = r.id JOIN hotel_place h ON h.place_id = o.place_id WHERE r.unit_id = :unit AND r.type = 'hotel_order' AND r.category IN ('open', 'paused') GROUP BY h.floor_id"
_INSPECTIONS = "SELECT r.id, r.number, r.title, i.score, i.failed FROM core_record r JOIN core_inspection i ON i.id = r.id WHERE r.unit_id = :unit AND r.type = 'inspection' ORDER BY r.received_at DESC, r.id DESC LIMIT 51"


def measure(place: Scene, inspections: int) -> Iterator[Row]:
    """Fill the unit and measure; rows are (what, ours, raw SQL, unit)."""
    fill(place, inspections)
    client = signed_in(place)
    name = f"{inspections:,} inspections"
    wanted = (
        ("board of 600 rooms", BOARD, _BOARD),
        ("page of a room", ROOM.format(FIRST + FLOORS), _ROOM),
        ("dashboard", DASHBOARD, _OPEN),
        ("first page of inspections", INSPECTIONS, _INSPECTIONS),
    )
    for what, path, statement in wanted:
        raw = best(place, lambda statement=statement: _raw(place, statement))
        yield f"{what}, {name}", best(place, lambda path=path: page(client, path)), raw, "ms"


def _raw(place: Scene, statement: str) -> None:
    given = {"unit": place.unit_id, "place": FIRST + FLOORS}
    with place.app.app_context(), db.engine.connect() as conn:
        conn.execute(text(statement), {name: one for name, one in given.items() if f":{name}" in statement}).all()


def fill(place: Scene, inspections: int) -> None:
    """Put rooms and a history of so many inspections, as many cleanings and changes of state into the unit."""
    days = max(1, inspections // ROOMS)
    begun = datetime.combine(clock.now().date() - timedelta(days=days), datetime.min.time(), UTC)
    with place.app.app_context(), system_scope("benchmark") as work, transaction():
        enable(work.get_one(Unit, place.unit_id), "hotel", with_dependencies=True)
        work.flush()
        _fill_rooms(work, place.unit_id)
        work.add(Checklist(id=FIRST, unit_id=place.unit_id, code="bench", title="客房巡检"))
        work.flush()
        work.add(
            ChecklistVersion(
                id=FIRST, unit_id=place.unit_id, checklist_id=FIRST, number=1, items=[], state="published"
            )
        )
        work.flush()
        for first in range(0, inspections, SOME):
            _fill_history(work, place.unit_id, range(first, min(first + SOME, inspections)), begun, inspections)
    if place.kind == "postgresql":
        with (
            place.app.app_context(),
            db.engine.connect() as conn,
            conn.execution_options(isolation_level="AUTOCOMMIT"),
        ):
            conn.execute(text("VACUUM ANALYZE"))


def _fill_rooms(work: Any, unit_id: int) -> None:
    mine = {"unit_id": unit_id}
    floors = [
        {
            **mine,
            "id": FIRST + n,
            "kind": "floor",
            "code": f"BF{n}",
            "name": f"{n}层",
            "path": f"/{FIRST + n}/",
            "sort": n,
        }
        for n in range(FLOORS)
    ]
    work.execute(insert(Place), floors)
    rooms = []
    for n in range(ROOMS):
        floor, key = FIRST + n % FLOORS, FIRST + FLOORS + n
        code = f"B{n % FLOORS:02}{n // FLOORS:02}"
        rooms.append(
            {
                **mine,
                "id": key,
                "parent_id": floor,
                "kind": "room",
                "code": code,
                "name": code,
                "path": f"/{floor}/{key}/",
                "depth": 1,
            }
        )
    work.execute(insert(Place), rooms)
    states = (values.VC, values.VD, values.OC, values.OD)
    work.execute(
        insert(HotelPlace),
        [
            {
                **mine,
                "id": one["id"],
                "place_id": one["id"],
                "floor_id": one["parent_id"],
                "state": states[n % 4],
                "occupied": n % 4 > 1,
                "clean": n % 2 == 0,
                "room_type": "标准间",
            }
            for n, one in enumerate(rooms)
        ],
    )


def _fill_history(work: Any, unit_id: int, numbers: range, begun: datetime, total: int) -> None:
    mine, heads, details, events, cleanings, findings, orders, complaints = (
        {"unit_id": unit_id},
        [],
        [],
        [],
        [],
        [],
        [],
        [],
    )
    for n in numbers:
        room, day = FIRST + FLOORS + n % ROOMS, begun + timedelta(days=n // ROOMS, minutes=n % 1000)
        heads.append(_head(unit_id, FIRST + n, "inspection", f"JC{n:07}", day, "done", "closed"))
        details.append(
            {
                **mine,
                "id": FIRST + n,
                "checklist_id": FIRST,
                "version_id": FIRST,
                "place_id": room,
                "starts_on": day.date(),
                "due_on": day.date(),
                "begun_at": day,
                "finished_at": day,
                "answers": {},
                "score": 95,
                "failed": int(n % FOUND_EVERY == 0),
                "subject": f"place:{room}",
            }
        )
        events.append(
            {
                **mine,
                "place_id": room,
                "at": day,
                "hotel_day": day.date(),
                "what": "cleaned",
                "before": "VD",
                "after": "VC",
            }
        )
        cleanings.append(_cleaning(unit_id, room, day.date(), n))
        if n % FOUND_EVERY == 0:
            key, still = 2 * FIRST + n, total - n <= OPEN_LAST * FOUND_EVERY
            heads.append(
                _head(
                    unit_id,
                    key,
                    "hotel_order",
                    f"GX{n:07}",
                    day,
                    "open" if still else "closed",
                    "open" if still else "closed",
                )
            )
            findings.append(
                {
                    **mine,
                    "id": key,
                    "inspection_id": FIRST + n,
                    "checklist_id": FIRST,
                    "place_id": room,
                    "item_key": f"item{n % 7}",
                    "item": "水龙头",
                    "found_at": day,
                    "record_id": key,
                }
            )
            orders.append(
                {
                    **mine,
                    "id": key,
                    "place_id": room,
                    "category": "rooms",
                    "source": "inspection",
                    "severity": "minor",
                    "item_key": f"item{n % 7}",
                    "text": "水龙头滴水",
                    "reported_at": day,
                    "finding_id": key,
                }
            )
        if n % COMPLAINED_EVERY == 0:
            key = 3 * FIRST + n
            heads.append(_head(unit_id, key, "hotel_complaint", f"KS{n:07}", day, "closed", "closed"))
            complaints.append(
                {
                    **mine,
                    "id": key,
                    "place_id": room,
                    "category": "rooms",
                    "channel": "desk",
                    "text": "太吵",
                    "cause": "noise",
                    "reported_at": day,
                }
            )
    for model, rows in (
        (Record, heads),
        (Inspection, details),
        (Finding, findings),
        (Order, orders),
        (Complaint, complaints),
        (RoomEvent, events),
        (Cleaning, cleanings),
    ):
        if rows:
            work.execute(insert(model), rows)


def _head(
    unit_id: int, key: int, kind: str, number: str, at: datetime, state: str, category: str
) -> dict[str, Any]:
    return {
        "unit_id": unit_id,
        "id": key,
        "uid": uuid7(),
        "type": kind,
        "number": number,
        "title": "测试",
        "state": state,
        "category": category,
        "received_at": at,
        "entered_at": at,
        "closed_at": at if category == "closed" else None,
        "fact_seq": 1,
        "priority": 3,
        "owner_position": "",
        "resume_state": "",
    }


def _cleaning(unit_id: int, room: int, day: date, number: int) -> dict[str, Any]:
    # Several of one room and day only where the numbers run on faster than the days.
    return {
        "unit_id": unit_id,
        "place_id": room,
        "hotel_day": day,
        "kind": values.CLEANINGS[number // ROOMS % 4][0],
        "state": values.PASSED,
    }

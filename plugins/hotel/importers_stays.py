"""Taking over the front office's list of the day: who arrives, stays and leaves, by booking number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Importer,
    InvalidData,
    Place,
    Plan,
    Refused,
    Row,
    SheetColumn,
    normalise,
    places,
    require_clause,
    session,
)

from . import days, room_file, rooms, stays, values
from .importers_rooms import CHUNK, NUMBER, places_of, read_date
from .models import HotelPlace, Stay
from .rights import DESK

_WORDS = {
    values.EXPECTED: ("expected", "预订", "预抵", "预离", "订房", "待入住", "booked", "reserved", ""),
    values.IN_HOUSE: ("in house", "in_house", "入住", "已入住", "在住", "住店", "arrived", "checked in"),
    values.GONE: ("departed", "离店", "已离店", "退房", "已退房", "checked out"),
    values.NO_SHOW: ("no show", "no_show", "未到", "未入住", "应到未到"),
    values.CANCELLED: ("cancelled", "canceled", "取消", "已取消"),
}
# From each state, what a list may bring a stay to; the way is gone step by step.
_WAY = {
    values.EXPECTED: {values.EXPECTED, values.IN_HOUSE, values.NO_SHOW, values.CANCELLED},
    values.IN_HOUSE: {values.IN_HOUSE, values.GONE},
}


@dataclass
class _Day:
    """What is known while a list is judged, in plain values."""

    today: date
    found: dict[str, Stay] = field(default_factory=dict)
    codes: dict[str, Place] = field(default_factory=dict)
    known: dict[int, HotelPlace] = field(default_factory=dict)
    # Stays that have not ended, by room: (first day, last day, booking number). What the list says comes on top.
    taken: dict[int, list[tuple[date, date, str]]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    refused: dict[int, Any] = field(default_factory=dict)
    in_house: dict[int, str] = field(default_factory=dict)


class StayImporter(Importer):
    """The front office's list of the day (预抵预离): a row for each stay, known by its booking number.

    The same list again changes nothing. A row that cannot be so (an unknown, blocked, closed or taken room) is an
    error of that row.
    """

    key = "hotel-stays"
    title = _l("Arrivals and departures of the day")
    permission = DESK
    columns = (
        SheetColumn(
            "reference",
            _l("Booking number"),
            ("预订号", "订单号", "确认号", "单号", "booking", "reservation", "confirmation"),
            required=True,
        ),
        SheetColumn("room", _l("Room"), ("房号", "房间号", "房间", "room", "room number")),
        SheetColumn("arrives_on", _l("Arrival"), ("抵店日期", "入住日期", "到店日期", "到达", "arrival"), True),
        SheetColumn("departs_on", _l("Departure"), ("离店日期", "退房日期", "预离日期", "departure"), True),
        SheetColumn("guests", _l("Guests"), ("人数", "客人数", "guests", "persons")),
        SheetColumn(
            "state",
            _l("State"),
            ("状态", "住店状态", "status"),
            help=_l("Expected, in house, departed, did not come or cancelled; empty: expected"),
        ),
        SheetColumn("note", _l("Note"), ("备注", "说明", "note")),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        book: _Day = memory.get("book") or memory.setdefault("book", _open_day(unit_id))
        references = [normalise(one.values.get("reference", "")) for one in rows]
        book.found |= _stays(unit_id, references)
        book.codes |= places_of(unit_id, [one.values.get("room", "") for one in rows])
        missing = [one.id for one in book.codes.values() if one.id not in book.known]
        book.known |= room_file.known(missing)
        return [_stay_plan(row, book, unit_id) for row in rows]

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        for plan in plans:
            bring(unit_id, plan.values, stays.IMPORT)


def bring(unit_id: int, given: Mapping[str, Any], source: str) -> Stay:
    """Bring a stay, known by its booking number, to what a list says: days, room, state; new where it is unknown.

    Raises:
        as the services of ``stays``.
    """
    stay = stays.by_reference(unit_id, given["reference"])
    if stay is None:
        stay = stays.expect(unit_id, given, source=source)
    return bring_stay(stays.get_stay(stay.id), given)


def bring_stay(stay: Stay, given: Mapping[str, Any]) -> Stay:
    """Bring a stay to what is said of it (``room``, ``arrives_on``, ``departs_on``, ``state``), step by step.

    Raises:
        InvalidData: under ``state``: no way leads there. Else as the services of ``stays``.
    """
    wanted = given.get("state") or values.EXPECTED
    if wanted != stay.state and wanted not in _WAY.get(stay.state, ()):
        raise InvalidData({"state": _l("The stay is: %(state)s", state=dict(values.STAY_STATES)[stay.state])})
    if wanted in (values.EXPECTED, values.IN_HOUSE) and stay.state in _WAY:
        _reschedule(stay, given)
        code = places.tidy_code(given.get("room"))
        if code and room_file.read_room(stay.unit_id, code).place_id != stay.place_id:
            stays.move(stay, {"room": code, "anyway": True})
    step = _STEPS.get((stay.state, wanted))
    return step(stay) if step is not None else stay


def _reschedule(stay: Stay, given: Mapping[str, Any]) -> None:
    first, last = (date.fromisoformat(str(given[name])) for name in ("arrives_on", "departs_on"))
    moved = stay.state == values.EXPECTED and first != stay.arrives_on
    if moved or last != stay.departs_on:
        raw = {"arrives_on": first.isoformat() if moved else None, "departs_on": last.isoformat()}
        stays.extend(stay, raw)


_STEPS: Mapping[tuple[str, str], Callable[[Stay], Stay]] = {
    (values.EXPECTED, values.IN_HOUSE): lambda stay: stays.arrive(stay, {"anyway": True}),
    (values.EXPECTED, values.NO_SHOW): stays.no_show,
    (values.EXPECTED, values.CANCELLED): stays.cancel,
    (values.IN_HOUSE, values.GONE): stays.depart,
}


def _open_day(unit_id: int) -> _Day:
    book = _Day(days.hotel_day(unit_id))
    under_way = (values.EXPECTED, values.IN_HOUSE)
    wanted = select(Stay).where(
        Stay.unit_id == unit_id, Stay.state.in_(under_way), Stay.departs_on >= book.today - timedelta(days=60)
    )
    for one in session().scalars(wanted):
        if one.place_id is not None:
            book.taken.setdefault(one.place_id, []).append((one.arrives_on, one.departs_on, one.reference))
            if one.state == values.IN_HOUSE:
                book.in_house[one.place_id] = one.reference
    return book


def _stays(unit_id: int, references: Collection[str]) -> dict[str, Stay]:
    wanted = sorted({one for one in references if one})
    found: dict[str, Stay] = {}
    for start in range(0, len(wanted), CHUNK):
        some = select(Stay).where(Stay.unit_id == unit_id, Stay.reference.in_(wanted[start : start + CHUNK]))
        found |= {one.reference: one for one in session().scalars(some)}
    return found


def _stay_plan(row: Row, book: _Day, unit_id: int) -> Plan:
    cells = {one.name: normalise(row.values.get(one.name, "")) for one in StayImporter.columns}
    errors: dict[str, Any] = {}
    reference = cells["reference"]
    line = book.seen.setdefault(reference, row.line)
    if line != row.line:
        errors["reference"] = _l("Line %(line)d has this booking number already", line=line)
    elif len(reference) > 40:
        errors["reference"] = _l("At most %(count)d characters", count=40)
    span = _span(cells, errors)
    guests = cells["guests"] or "1"
    if not NUMBER.fullmatch(guests) or not 1 <= int(guests) <= stays.MOST_GUESTS:
        errors["guests"] = _l("From 1 to %(most)s", most=stays.MOST_GUESTS)
    state = _state(cells["state"], errors)
    room = _room(cells["room"], book, errors)
    plan = Plan(row.line, "create", label=reference)
    there = book.found.get(reference)
    if not errors and span is not None:
        said = _Said(reference, state, *span, room, there)
        _judge(plan, said, book, unit_id, errors)
    plan.errors = list(errors.items())
    if not errors and span is not None:
        plan.values = {
            "reference": reference,
            "room": room.place.code if room else "",
            "arrives_on": span[0].isoformat(),
            "departs_on": span[1].isoformat(),
            "guests": guests,
            "state": state,
            "note": cells["note"][:300],
        }
    return plan


def _span(cells: Mapping[str, str], errors: dict[str, Any]) -> tuple[date, date] | None:
    found: list[date] = []
    for name in ("arrives_on", "departs_on"):
        try:
            day = read_date(cells[name])
        except InvalidData as bad:
            errors[name] = bad.texts()[0]
            continue
        if day is None:
            errors[name] = _l("Please fill this in")
        else:
            found.append(day)
    if len(found) < 2:
        return None
    if found[1] < found[0]:
        errors["departs_on"] = _l("The departure is before the arrival")
    elif found[1] - found[0] > timedelta(days=stays.LONGEST):
        errors["departs_on"] = _l("At most %(count)d days", count=stays.LONGEST)
    return found[0], found[1]


def _state(text: str, errors: dict[str, Any]) -> str:
    for code, words in _WORDS.items():
        if text.lower() in words or text == str(dict(values.STAY_STATES)[code]):
            return code
    errors["state"] = _l("Please choose one of the list")
    return ""


def _room(text: str, book: _Day, errors: dict[str, Any]) -> HotelPlace | None:
    code = places.tidy_code(text)
    if not code:
        return None
    place = book.codes.get(code)
    room = book.known.get(place.id) if place is not None else None
    if place is None:
        errors["room"] = _l("There is no place of this code")
    elif room is None or room.category != values.ROOMS:
        errors["room"] = _l("%(place)s is no guest room", place=code)
    elif not place.active:
        errors["room"] = _l("%(place)s is no longer in use", place=code)
    else:
        return room
    return None


# --- judging a row that reads well -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    """What a row says, beside the stay that is there already."""

    reference: str
    state: str
    first: date
    last: date
    room: HotelPlace | None
    there: Stay | None

    @property
    def place_id(self) -> int | None:
        if self.room is not None:
            return self.room.place_id
        return self.there.place_id if self.there is not None else None

    @property
    def arrives(self) -> bool:
        """Whether guests take a room by this row."""
        return self.state == values.IN_HOUSE and (self.there is None or self.there.state == values.EXPECTED)

    @property
    def moves(self) -> bool:
        """Whether the stay gets a room, or another one."""
        return self.there is None or self.there.place_id != self.place_id


def _judge(plan: Plan, said: _Said, book: _Day, unit_id: int, errors: dict[str, Any]) -> None:
    """Say what becomes of a row: new, changed, the same, or why it cannot be."""
    if said.there is None:
        if said.state not in (values.EXPECTED, values.IN_HOUSE):
            errors["reference"] = _l("There is no stay of this booking number")
        elif said.first < book.today:
            errors["arrives_on"] = _l("This day is over")
    else:
        plan.action, plan.target = _becomes(said, said.there, book, errors), said.there.id
    if errors or plan.action == "same":
        return
    if said.state in (values.NO_SHOW, values.CANCELLED, values.GONE):
        _leaves(said, book)
    else:
        _take(said, book, unit_id, errors)


def _becomes(said: _Said, there: Stay, book: _Day, errors: dict[str, Any]) -> str:
    """Return what a row does to a stay that is there: update or same."""
    if there.state not in _WAY:
        if said.state != there.state:
            errors["state"] = _l("The stay is: %(state)s", state=dict(values.STAY_STATES)[there.state])
        return "same"
    if said.state not in _WAY[there.state]:
        errors["state"] = _l("The stay is: %(state)s", state=dict(values.STAY_STATES)[there.state])
    if said.state in (values.EXPECTED, values.IN_HOUSE) and said.last < book.today:
        errors["departs_on"] = _l("This day is over")
    as_it_is = (there.departs_on, there.place_id, there.state)
    if there.state == values.EXPECTED and there.arrives_on != said.first:
        if said.first < book.today:
            errors["arrives_on"] = _l("This day is over")
        return "update"
    return "same" if as_it_is == (said.last, said.place_id, said.state) else "update"


def _leaves(said: _Said, book: _Day) -> None:
    """The room of a stay that ends by the list is free for the rows after it."""
    there = said.there
    if there is None or there.place_id is None:
        return
    book.taken[there.place_id] = [one for one in book.taken.get(there.place_id, []) if one[2] != said.reference]
    if book.in_house.get(there.place_id) == said.reference:
        del book.in_house[there.place_id]


def _take(said: _Said, book: _Day, unit_id: int, errors: dict[str, Any]) -> None:
    """Check that a stay can have its room on its days, and keep that it has."""
    if said.place_id is None:
        if said.state == values.IN_HOUSE:
            errors["room"] = _l("Choose the room")
        return
    if said.arrives and said.first > book.today:
        errors["arrives_on"] = _l("They are expected on %(day)s", day=said.first.isoformat())
        return
    reason = _why_not(said, said.place_id, book, unit_id)
    if reason:
        errors["room"] = reason
        return
    _leaves(said, book)
    book.taken.setdefault(said.place_id, []).append((said.first, said.last, said.reference))
    if said.state == values.IN_HOUSE:
        book.in_house[said.place_id] = said.reference


def _why_not(said: _Said, place_id: int, book: _Day, unit_id: int) -> Any:
    room = said.room or rooms.room_of(place_id)
    code = room.place.code
    if (said.arrives or said.moves) and said.first <= book.today:
        refused = _refusal(room, book, unit_id)
        if refused:
            return refused
    takes = said.arrives or (said.moves and said.state == values.IN_HOUSE)
    if takes and book.in_house.get(place_id, said.reference) != said.reference:
        return _l("%(place)s is occupied", place=code)
    for first, last, other in book.taken.get(place_id, []):
        nights = max(said.last, said.first + timedelta(days=1))
        if other != said.reference and first < nights and max(last, first + timedelta(days=1)) > said.first:
            days_ = {"first": first.isoformat(), "last": last.isoformat()}
            return _l("%(place)s is taken from %(first)s to %(last)s", place=code, **days_)
    return ""


def _refusal(room: HotelPlace, book: _Day, unit_id: int) -> Any:
    """Return why a room is not sold now (R06-7b, JD-9), asked once for each room of a list."""
    if room.place_id not in book.refused:
        try:
            require_clause(rooms.SELL, unit_id, room)
            book.refused[room.place_id] = ""
        except Refused as bad:
            book.refused[room.place_id] = bad.texts()[0]
    return book.refused[room.place_id]


def importers() -> list[Importer]:
    """Return what can be taken over from spreadsheets."""
    return [StayImporter()]

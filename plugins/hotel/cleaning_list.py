"""The list of a hotel day: which rooms are cleaned, and by whom. Harmless to make again, or twice at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from core.sdk import (
    InvalidData,
    Job,
    Periodic,
    User,
    accounts,
    effective,
    places,
    require,
    session,
    setting,
    transaction,
)

from . import days, room_file, rooms, stays, values
from .cleaning import DAILY, DEEP_CLEAN, OPEN, WAITING
from .models import Cleaning, HotelPlace, RoomEvent
from .rights import CLEAN, HOUSEKEEPING
from .settings import DEEP_PER_DAY

MOST_PEOPLE = 100


# --- making the list -------------------------------------------------------------------------------------


def morning(unit_id: int) -> int:
    """Do what a hotel day begins with: rooms that were moved in the tree get their floor, then the list is made."""
    with transaction():
        room_file.follow_moves(unit_id)
    return make(unit_id)


def make(unit_id: int) -> int:
    """Make the list of the present hotel day, in a transaction of its own; return how many rooms came onto it.

    Whoever was in house when the day began gets the room cleaned (R06-8), a guest who leaves today after
    departure; empty dirty rooms are on it; so are those whose deep cleaning is due (R06-9), some a day. Occupied
    rooms count as dirty from then on. What was left of earlier days is dropped: this list has those rooms again.
    """
    try:
        with transaction():
            return _make(unit_id)
    except IntegrityError:  # another runner made it at this moment
        with transaction():
            return _make(unit_id)


def _make(unit_id: int) -> int:
    day = days.hotel_day(unit_id)
    _drop_earlier(unit_id, day)
    found = room_file.guest_rooms(unit_id)
    # Locked before the list has them: who lets guests leave locks the room first, and then writes on the list.
    rooms.lock_rooms([one.place_id for one in found])
    there = _kinds_of(unit_id, day)
    wanted = _wanted(unit_id, day, found)
    new = [(one, kind) for one, kind in wanted if kind not in there.get(one.place_id, ())]
    for one, kind in new:
        session().add(Cleaning(unit_id=unit_id, place_id=one.place_id, hotel_day=day, kind=kind))
    session().flush()
    slept_in = [one.place_id for one, kind in new if one.occupied and one.clean and kind != values.DEEP]
    for place_id in slept_in:
        rooms.set_clean(place_id, clean=False)
    return len(new)


def _wanted(unit_id: int, day: date, found: Sequence[HotelPlace]) -> list[tuple[HotelPlace, str]]:
    fit = [one for one in found if not one.closed]
    wanted: list[tuple[HotelPlace, str]] = []
    if effective(unit_id, DAILY).holds:
        guests, came = stays.guests_of(unit_id), _came_today(unit_id, day)
        for one in fit:
            stay = guests.get(one.place_id)
            if one.occupied and one.place_id not in came:
                leaves = stay is not None and stay.departs_on <= day
                wanted.append((one, values.DEPARTURE if leaves else values.STAYOVER))
            elif not one.occupied and not one.clean and not one.blocks:
                wanted.append((one, values.DEPARTURE))
    return wanted + [(one, values.DEEP) for one in _deep(unit_id, day, fit)]


def _came_today(unit_id: int, day: date) -> set[int]:
    """Return the rooms that guests took in the course of a hotel day: they are clean already."""
    came = (values.ARRIVED, values.MOVED, values.CORRECTED)
    wanted = select(RoomEvent.place_id).where(
        RoomEvent.unit_id == unit_id, RoomEvent.hotel_day == day, RoomEvent.what.in_(came)
    )
    return set(session().scalars(wanted))


def _deep(unit_id: int, day: date, fit: Sequence[HotelPlace]) -> list[HotelPlace]:
    """Choose today's deep cleanings: those due, the longest ago first, empty rooms before others; some a day."""
    said = effective(unit_id, DEEP_CLEAN)
    if not said.holds or not fit:
        return []
    interval = max(1, int(Decimal(said.values["interval"])))
    due = [one for one in fit if not one.deep_cleaned_on or one.deep_cleaned_on + timedelta(days=interval) <= day]
    due.sort(key=lambda one: (one.occupied, one.deep_cleaned_on or date.min))
    most = int(setting(unit_id, DEEP_PER_DAY)) or -(-len(fit) // interval)
    chosen = select(Cleaning.place_id).where(
        Cleaning.unit_id == unit_id, Cleaning.hotel_day == day, Cleaning.kind == values.DEEP
    )
    on_list = set(session().scalars(chosen))
    return [one for one in due if one.place_id not in on_list][: max(0, most - len(on_list))]


def _kinds_of(unit_id: int, day: date) -> dict[int, set[str]]:
    """Return what is on the list of a day already; a room has one cleaning of the daily kinds."""
    daily = {values.DEPARTURE, values.STAYOVER}
    found: dict[int, set[str]] = {}
    wanted = select(Cleaning.place_id, Cleaning.kind).where(Cleaning.unit_id == unit_id, Cleaning.hotel_day == day)
    for place_id, kind in session().execute(wanted):
        found.setdefault(place_id, set()).update(daily if kind in daily else {kind})
    return found


def _drop_earlier(unit_id: int, day: date) -> None:
    left = update(Cleaning).where(
        Cleaning.unit_id == unit_id, Cleaning.state.in_(WAITING), Cleaning.hotel_day < day
    )
    left = left.where(Cleaning.hotel_day >= day - timedelta(days=60))
    session().execute(
        left.values(state=values.DROPPED, version=Cleaning.version + 1),
        execution_options={"synchronize_session": False},
    )


def declared() -> list[Job | Periodic]:
    """Return the work outside requests."""
    return [
        Periodic("hotel.morning", _l("Make the list of rooms to be cleaned"), morning, timedelta(minutes=20)),
    ]


# --- handing out -----------------------------------------------------------------------------------------


def points(unit_id: int) -> dict[str, int]:
    """Return the workload of each kind of cleaning (parameters of R06-8)."""
    said = effective(unit_id, DAILY).values
    return {kind: int(said[kind]) for kind, _label in values.CLEANINGS}


def share_out(loads: Sequence[int], held: Sequence[int]) -> list[int]:
    """Divide work in a row among people so that each gets a run of neighbours and all about the same.

    ``loads`` are the points of each piece in the order of the house, ``held`` what each person has already.
    Returns the number of the person for each piece.
    """
    total = Decimal(sum(loads) + sum(held)) / len(held)
    rooms_left = [max(Decimal(0), total - one) for one in held]
    scale = Decimal(sum(loads)) / (sum(rooms_left) or 1)
    ends, so_far = [], Decimal(0)
    for one in rooms_left:
        so_far += one * scale
        ends.append(so_far)
    answer, passed = [], Decimal(0)
    for load in loads:
        middle = passed + Decimal(load) / 2
        passed += load
        answer.append(next((number for number, end in enumerate(ends) if middle <= end), len(held) - 1))
    return answer


def hand_out(unit_id: int, user_ids: Collection[int], *, anew: bool = False) -> int:
    """Hand the rooms of the day out to people evenly by workload (R06-8, ``HOUSEKEEPING``); return how many.

    Only what nobody has yet; ``anew``: all that was not begun. Neighbouring rooms go to the same person.

    Raises:
        NotAllowed. InvalidData: nobody chosen, or somebody who does not clean rooms here.
    """
    require(HOUSEKEEPING, unit_id)
    people = sorted(set(user_ids))
    if not people:
        raise InvalidData({"people": _l("Choose who works today")})
    if len(people) > MOST_PEOPLE or set(people) - accounts.who_may(CLEAN, unit_id, people):
        raise InvalidData({"people": _l("Somebody chosen does not clean rooms here")})
    with transaction():
        rows = _lock_open(unit_id, days.hotel_day(unit_id))
        free = [one for one in rows if one.state in WAITING and (anew or one.assignee_id is None)]
        if not free:
            return 0
        weigh, taken = points(unit_id), {one.id for one in free}
        held = dict.fromkeys(people, 0)
        for one in rows:
            if one.id not in taken and one.assignee_id in held:
                held[one.assignee_id] += weigh[one.kind]
        in_order = in_order_of_house(free)
        numbers = share_out([weigh[one.kind] for one in in_order], list(held.values()))
        for one, number in zip(in_order, numbers, strict=True):
            one.assignee_id = people[number]
        session().flush()
        return len(free)


def _lock_open(unit_id: int, day: date) -> list[Cleaning]:
    wanted = select(Cleaning).where(
        Cleaning.unit_id == unit_id, Cleaning.hotel_day == day, Cleaning.state != values.DROPPED
    )
    wanted = wanted.order_by(Cleaning.id).with_for_update(of=Cleaning)
    return list(session().scalars(wanted.execution_options(populate_existing=True)))


def in_order_of_house(rows: Iterable[Cleaning]) -> list[Cleaning]:
    """Return cleanings as one walks through the house: by the tree of places."""
    found = list(rows)
    place_order = {one.id: number for number, one in enumerate(places.in_order({r.place for r in found}))}
    return sorted(found, key=lambda one: (place_order[one.place_id], one.id))


def housekeepers(unit_id: int) -> list[User]:
    """Return the people of the unit who clean rooms, by name; those who lead come last."""
    staff = accounts.staff_of(unit_id)
    able = accounts.who_may(CLEAN, unit_id, [one.id for one in staff])
    leading = accounts.who_may(HOUSEKEEPING, unit_id, able)
    return sorted((one for one in staff if one.id in able), key=lambda one: (one.id in leading, one.name))


# --- reading ---------------------------------------------------------------------------------------------


def of_day(unit_id: int, day: date, assignee_id: int | None = None) -> list[Cleaning]:
    """Return the list of a day in the order of the house, without what was dropped; of one person alone."""
    wanted = select(Cleaning).where(
        Cleaning.unit_id == unit_id, Cleaning.hotel_day == day, Cleaning.state != values.DROPPED
    )
    if assignee_id is not None:
        wanted = wanted.where(Cleaning.assignee_id == assignee_id)
    return in_order_of_house(session().scalars(wanted.options(joinedload(Cleaning.place))))


def of_room(place_id: int, limit: int = 20) -> Sequence[Cleaning]:
    """Return the cleanings of a room, the latest first."""
    mine = select(Cleaning).where(Cleaning.place_id == place_id, Cleaning.state != values.DROPPED)
    return session().scalars(mine.order_by(Cleaning.hotel_day.desc(), Cleaning.id.desc()).limit(limit)).all()


def loads_of(rows: Iterable[Cleaning], weigh: Mapping[str, int]) -> dict[int | None, tuple[int, int, int]]:
    """Return by person (None: nobody yet) how many rooms, how many of them are done, and the points."""
    found: dict[int | None, tuple[int, int, int]] = {}
    for one in rows:
        count, done, load = found.get(one.assignee_id, (0, 0, 0))
        found[one.assignee_id] = (count + 1, done + (one.state not in OPEN), load + weigh.get(one.kind, 0))
    return found


def names_of(user_ids: Iterable[int | None]) -> dict[int, str]:
    """Return the names of people by id, in one statement."""
    ids: set[Any] = {one for one in user_ids if one is not None}
    wanted = select(User.id, User.name).where(User.id.in_(ids))
    return {row.id: row.name for row in session().execute(wanted)} if ids else {}

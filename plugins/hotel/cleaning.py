"""The work on one room's cleaning: begin, finish, do not disturb, skip, check. Services flush, never commit.

Times and people are stamped here. The rows of a cleaning and of its room are locked in that order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    NotAllowed,
    NoticeKind,
    Refusal,
    Refused,
    accounts,
    clean,
    clock,
    current_scope,
    declare_notices,
    effective,
    fetch,
    label_of,
    may,
    open_task,
    perform,
    require,
    require_clause,
    session,
    tell_people,
)

from . import days, room_file, rooms, values
from .models import Cleaning, HotelPlace
from .rights import CLEAN, DESK, HOUSEKEEPING

SKIP = "hotel.skip"  # the gate asked before a room is skipped
DAILY, DEEP_CLEAN, DND_CLAUSE, DND_DAYS_CLAUSE = "R06-8", "R06-9", "JD-6", "JD-6b"
OPEN = (values.TODO, values.DOING, values.REDO)
WAITING = (values.TODO, values.REDO)
NOTE = Field("note", "text", _l("Note"), max_length=300)
SKIP_FIELDS: tuple[Field, ...] = (Field("why", "choice", _l("Why"), True, values.SKIPS), NOTE)
REASON = Field("note", "text", _l("What is to be done again"), True, max_length=300)
EXTRA_FIELDS: tuple[Field, ...] = (
    Field("room", "text", _l("Room"), True, max_length=40),
    Field("note", "text", _l("What is wanted"), max_length=300),
)
DND_NOTICE = "hotel.dnd"

declare_notices(
    NoticeKind(
        DND_NOTICE,
        _l("Do not disturb for days: please look after the guest"),
        _l("Hotel"),
        urgent=True,
        page="hotel.board",
    )
)


@dataclass(frozen=True)
class Skipping:
    """What the gate of a skipped room looks at."""

    room: HotelPlace
    dnd: bool
    tries: int


def get(raw_id: object) -> Cleaning:
    """Return a cleaning by an id that came from a request.

    Raises:
        NotFound: no such cleaning, or of another unit.
    """
    return fetch(Cleaning, raw_id)


def subject_of(place_id: int) -> str:
    """Return the key under which recurring work is about a room."""
    return f"place:{place_id}"


# --- the steps -------------------------------------------------------------------------------------------


def start(row: Cleaning) -> Cleaning:
    """Begin to clean a room (``CLEAN``); whoever does has it from now on.

    Raises:
        NotAllowed. Refused: it was begun or done already, or the guest of a departure is still there.
    """
    _may_work(row)
    lock(row, *WAITING)
    if row.kind == values.DEPARTURE and rooms.room_of(row.place_id).occupied:
        text = _l("The guest of %(place)s has not left yet", place=row.place.code)
        raise Refused([Refusal("occupied", text)])
    actor = current_scope().actor_id
    row.state, row.begun_at, row.begun_by, row.assignee_id = values.DOING, clock.now(), actor, actor
    row.skip = ""
    session().flush()
    return row


def finish(row: Cleaning, raw: Mapping[str, Any] | None = None) -> Cleaning:
    """Say that a room is clean (``CLEAN``); one that was not begun counts as begun now.

    Raises:
        NotAllowed. InvalidData: too long a note. Refused: it is done already; the guest is still there.
    """
    given = clean((NOTE,), raw or {})
    if row.state in WAITING:
        start(row)
    _may_work(row)
    lock(row, values.DOING)
    row.state, row.done_at, row.done_by = values.DONE, clock.now(), current_scope().actor_id
    row.note = given["note"] or row.note
    if not _left_meanwhile(row):
        rooms.set_clean(row.place_id, note=str(_label(row)))
    _complete(row.unit_id, row.hotel_day)
    return row


def _left_meanwhile(row: Cleaning) -> bool:
    """Tell whether the guests left while their room was cleaned: what they left behind is a cleaning of its own."""
    if row.kind != values.STAYOVER:
        return False
    left = _of_day(row.place_id, days.hotel_day(row.unit_id), values.DEPARTURE)
    return left is not None and left.state in OPEN


def knock(row: Cleaning) -> Cleaning:
    """Keep that somebody stood before a door that says "do not disturb" (``CLEAN``), with the time.

    Raises:
        NotAllowed. Refused: the room is being cleaned or done.
    """
    _may_work(row)
    lock(row, *WAITING)
    row.tries += 1
    rooms.note_dnd(row.place_id, row.hotel_day, str(_("Try %(number)d", number=row.tries)))
    return row


def skip(row: Cleaning, raw: Mapping[str, Any]) -> Cleaning:
    """Skip a room today (``SKIP_FIELDS``, ``CLEAN``): do not disturb only after the tries of JD-6.

    After do not disturb on several days running those named by JD-6b are told.

    Raises:
        NotAllowed. InvalidData: no reason. Refused: naming JD-6; or it is being cleaned or done.
    """
    given = clean(SKIP_FIELDS, raw)
    _may_work(row)
    lock(row, *WAITING, values.DOING)
    room = rooms.lock_room(row.place_id)
    require_clause(SKIP, row.unit_id, Skipping(room, given["why"] == values.DND, row.tries))
    row.state, row.skip, row.note = values.SKIPPED, given["why"], given["note"] or ""
    row.done_at, row.done_by = clock.now(), current_scope().actor_id
    session().flush()
    if row.skip == values.DND:
        rooms.note_dnd(row.place_id, row.hotel_day, row.note)
        _tell_of_dnd(row)
    _complete(row.unit_id, row.hotel_day)
    return row


def take_up(row: Cleaning) -> Cleaning:
    """Put a room that was skipped on the list again (``CLEAN``): the guest opened the door after all.

    Raises:
        NotAllowed. Refused: it was not skipped, or its day is over.
    """
    _may_work(row)
    lock(row, values.SKIPPED)
    if row.hotel_day != days.hotel_day(row.unit_id):
        raise Refused([Refusal("day_over", _l("The day of this list is over"))])
    row.state, row.skip, row.done_at, row.done_by = values.TODO, "", None, None
    session().flush()
    return row


def check(row: Cleaning, raw: Mapping[str, Any] | None = None) -> Cleaning:
    """Pass a cleaned room after looking (``HOUSEKEEPING``); a deep cleaning thereby meets its task (R06-9).

    Raises:
        NotAllowed. Refused: it is not done, or was checked already.
    """
    given = clean((NOTE,), raw or {})
    require(HOUSEKEEPING, row.unit_id)
    lock(row, values.DONE)
    row.state, row.checked_at, row.checked_by = values.PASSED, clock.now(), current_scope().actor_id
    row.note = given["note"] or row.note
    if rooms.lock_room(row.place_id).clean:  # it may have been used since
        rooms.set_clean(row.place_id, what=values.CHECKED, note=str(_label(row)))
    if row.kind == values.DEEP:
        _met(row)
    _complete(row.unit_id, row.hotel_day)
    return row


def redo(row: Cleaning, raw: Mapping[str, Any]) -> Cleaning:
    """Have a cleaned room done again (``HOUSEKEEPING``): ``note`` says what; the room is dirty again.

    Raises:
        NotAllowed. InvalidData: nothing said. Refused: it is not done, or was passed already.
    """
    given = clean((REASON,), raw)
    require(HOUSEKEEPING, row.unit_id)
    lock(row, values.DONE)
    row.state, row.note = values.REDO, given["note"]
    row.checked_at, row.checked_by = clock.now(), current_scope().actor_id
    row.done_at = row.done_by = None
    rooms.set_clean(row.place_id, clean=False, note=given["note"])
    return row


def assign(row: Cleaning, user_id: int | None) -> Cleaning:
    """Give a room to somebody, or to nobody (``HOUSEKEEPING``).

    Raises:
        NotAllowed. Refused: it is being cleaned or done; the person may not clean rooms here.
    """
    require(HOUSEKEEPING, row.unit_id)
    lock(row, *WAITING)
    if user_id is not None and user_id not in accounts.who_may(CLEAN, row.unit_id, [user_id]):
        raise Refused([Refusal("person", _l("This person does not clean rooms here"))])
    row.assignee_id = user_id
    session().flush()
    return row


def add_extra(unit_id: int, raw: Mapping[str, Any]) -> Cleaning:
    """Put a room on today's list beside the plan (``EXTRA_FIELDS``, ``HOUSEKEEPING`` or ``DESK``): it is dirty.

    Raises:
        NotAllowed. InvalidData: under ``room``: no such room, or an extra cleaning of it waits already.
    """
    if not may(DESK, unit_id):
        require(HOUSEKEEPING, unit_id)
    given = clean(EXTRA_FIELDS, raw)
    room = room_file.read_room(unit_id, given["room"])
    return _add(room, values.EXTRA, given["note"] or "")


def after_departure(room: HotelPlace) -> Cleaning | None:
    """Put a room whose guests left on the day's list; a cleaning during their stay is dropped."""
    day = days.hotel_day(room.unit_id)
    other = _of_day(room.place_id, day, values.STAYOVER)
    if other is not None and other.state in WAITING:
        other.state = values.DROPPED
        session().flush()
    if not effective(room.unit_id, DAILY).holds:
        return None
    return _add(room, values.DEPARTURE, "")


def drop(row: Cleaning) -> Cleaning:
    """Take a room off the list (``HOUSEKEEPING``).

    Raises:
        NotAllowed. Refused: it is being cleaned or done.
    """
    require(HOUSEKEEPING, row.unit_id)
    lock(row, *WAITING)
    row.state = values.DROPPED
    session().flush()
    _complete(row.unit_id, row.hotel_day)
    return row


# --- inside ----------------------------------------------------------------------------------------------


def _add(room: HotelPlace, kind: str, note: str) -> Cleaning:
    """Put a room on today's list, or on it again: a room may be left twice in a day."""
    day = days.hotel_day(room.unit_id)
    lock_today(room.unit_id, room.place_id)
    locked = rooms.lock_room(room.place_id)
    row = _of_day(room.place_id, day, kind)
    if row is None:
        row = Cleaning(unit_id=room.unit_id, place_id=room.place_id, hotel_day=day, kind=kind)
        session().add(row)
    row.state, row.note, row.skip, row.tries = values.TODO, note, "", 0
    row.begun_at = row.begun_by = row.done_at = row.done_by = row.checked_at = row.checked_by = None
    session().flush()
    if locked.clean:
        rooms.set_clean(room.place_id, clean=False, note=note)
    return row


def lock_today(unit_id: int, place_id: int) -> None:
    """Lock what today's list has of a room, before the room itself is locked: nobody waits in circles."""
    mine = Cleaning.place_id == place_id, Cleaning.hotel_day == days.hotel_day(unit_id)
    session().execute(select(Cleaning.id).where(*mine).order_by(Cleaning.id).with_for_update(of=Cleaning)).all()


def _of_day(place_id: int, day: date, kind: str) -> Cleaning | None:
    wanted = select(Cleaning).where(Cleaning.place_id == place_id, Cleaning.hotel_day == day, Cleaning.kind == kind)
    return session().scalars(wanted.with_for_update(of=Cleaning)).first()


def _may_work(row: Cleaning) -> None:
    if not may(CLEAN, row.unit_id) and not may(HOUSEKEEPING, row.unit_id):
        raise NotAllowed(CLEAN)


def lock(row: Cleaning, *states: str) -> None:
    """Lock a cleaning and read it anew.

    Raises:
        Refused: it is in none of ``states`` any more.
    """
    wanted = select(Cleaning).where(Cleaning.id == row.id).with_for_update(of=Cleaning)
    session().scalars(wanted.execution_options(populate_existing=True)).one()
    if row.state not in states:
        label = dict(values.CLEANING_STATES)[row.state]
        text = _l("%(place)s: %(state)s", place=row.place.code, state=label)
        raise Refused([Refusal("cleaning_state", text)])


def _label(row: Cleaning) -> Any:
    return label_of(values.CLEANINGS, row.kind)


def _met(row: Cleaning) -> None:
    """R06-9: the room was deep-cleaned; its task is done."""
    rooms.room_of(row.place_id).deep_cleaned_on = row.hotel_day
    session().flush()
    task = open_task(row.unit_id, DEEP_CLEAN, subject_of(row.place_id), row.hotel_day)
    if task is not None:
        text = _("Deep-cleaned and checked on %(day)s", day=row.hotel_day.isoformat())
        perform(task.id, "finish", {"result": text}, permitted=True)


def _complete(unit_id: int, day: date) -> None:
    """R06-8: when nothing of a day's list is left to be done its task is done, too."""
    session().flush()
    left = select(Cleaning.id).where(
        Cleaning.unit_id == unit_id, Cleaning.hotel_day == day, Cleaning.state.in_(OPEN)
    )
    if session().scalar(left.limit(1)) is not None:
        return
    task = open_task(unit_id, DAILY, "unit", day)
    if task is not None:
        text = _("All rooms on the list of %(day)s are done", day=day.isoformat())
        perform(task.id, "finish", {"result": text}, permitted=True)


def _tell_of_dnd(row: Cleaning) -> None:
    """JD-6b: after so many days running of "do not disturb" somebody looks after the guest."""
    found = effective(row.unit_id, DND_DAYS_CLAUSE)
    if not found.holds:
        return
    wanted = int(found.values["days"])
    since = row.hotel_day - timedelta(days=wanted - 1)
    skipped = select(Cleaning.hotel_day).where(
        Cleaning.place_id == row.place_id, Cleaning.hotel_day >= since, Cleaning.skip == values.DND
    )
    if len(set(session().scalars(skipped))) < wanted:
        return
    people = [one for one, _name in accounts.holders(found.values["tells"], row.unit_id)]
    tell_people(row.unit_id, DND_NOTICE, people, f"{row.place.code} · {wanted}")

"""Meetings (会议): a hall has one at a time (JD-11), and is prepared by its checklist before it begins (JD-7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    FactKind,
    Field,
    Guard,
    Inspection,
    InvalidData,
    Place,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
    answered_before,
    clean,
    clock,
    create_record,
    fetch,
    inspections,
    lock,
    make_workflow,
    perform,
    publish,
    remember_answer,
    require,
    require_clause,
    session,
    transaction,
    unit_facts,
)

from . import house, values
from .models import HotelPlace, Meeting
from .rights import DESK, VIEW
from .values import CANCELLED, HELD, PLANNED, READY

CODE, BOOK, CLAUSE, PREPARED = "hotel_meeting", "hotel.meeting_book", "JD-11", "JD-7"
CHECKLIST = "hotel.meeting"
LONGEST = timedelta(days=14)
LATEST_ENTRY = timedelta(hours=12)
_WHEN = (
    Field("starts_at", "moment", _l("Begins"), True),
    Field("ends_at", "moment", _l("Ends"), True),
)
_HALL = house.place_field(_l("Hall"), True)
FIELDS = (
    Field("title", "text", _l("Name of the meeting"), True, max_length=120),
    _HALL,
    *_WHEN,
    Field("people", "int", _l("People"), minimum=Decimal(1), maximum=Decimal(10000), default=10),
    Field("layout", "choice", _l("Layout"), choices=values.LAYOUTS, default="theatre"),
    Field("wishes", "long", _l("Wishes"), max_length=2000),
)
MOVE_FIELDS = (_HALL, *_WHEN)


class Booking(NamedTuple):
    """A meeting somebody wants in a hall, and the nearest other one: how many minutes lie between them."""

    hall: str
    minutes: int | None
    number: str


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Book a hall (``DESK``): ``FIELDS``. The checklist of its preparation is opened with it.

    Raises:
        NotAllowed. InvalidData: beside the field. Refused: the hall is taken then (JD-11).
    """
    require(DESK, unit_id)
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    starts, ends = _read_times(given)
    hall = house.need_place(unit_id, given["place"], (values.MEETING,))
    with transaction():
        before = answered_before(unit_id, key, "hotel.meeting", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        _require_free(hall, starts, ends)
        detail = Meeting(
            place_id=hall.id,
            booked_at=clock.now(),
            starts_at=starts,
            ends_at=ends,
            people=given["people"] or 1,
            layout=given["layout"] or "theatre",
            wishes=given["wishes"] or "",
        )
        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=f"{given['title']} · {hall.name}",
            customer_id=None,
            received_at=clock.now(),
            permission=DESK,
            facts=[("registered", {})],
        )
        _open_checklist(record, detail)
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _read_times(given: Mapping[str, Any]) -> tuple[datetime, datetime]:
    starts, ends = given["starts_at"], given["ends_at"]
    if ends <= starts:
        raise InvalidData({"ends_at": _l("It ends after it begins")})
    if ends - starts > LONGEST:
        raise InvalidData({"ends_at": _l("A meeting lasts two weeks at most")})
    if starts < clock.now() - LATEST_ENTRY:
        raise InvalidData({"starts_at": _l("This time has passed already")})
    return starts, ends


def _require_free(hall: Place, starts: datetime, ends: datetime, but: int = 0) -> None:
    """Refuse a hall that is taken; who books it waits for who is booking it at the same moment.

    Raises:
        Refused: another meeting overlaps, or lies nearer than JD-11 allows.
    """
    session().execute(select(HotelPlace.id).where(HotelPlace.place_id == hall.id).with_for_update())
    near = timedelta(days=1)
    others = (
        select(Meeting, Record.number)
        .join(Record, Record.id == Meeting.id)
        .where(Meeting.place_id == hall.id, Meeting.id != but, Record.state.in_((PLANNED, READY)))
        .where(Meeting.starts_at < ends + near, Meeting.ends_at > starts - near)
    )
    for other, number in session().execute(others.order_by(Meeting.starts_at)).all():
        between = max(other.starts_at - ends, starts - other.ends_at)
        minutes = int(between.total_seconds() // 60)
        require_clause(BOOK, hall.unit_id, Booking(hall.name, minutes, number))
        if minutes < 0:  # whatever clauses hold: one hall, one meeting
            text = _l("%(hall)s is taken then by %(number)s", hall=hall.name, number=number)
            raise Refused([Refusal("taken", text)])


def too_near(booking: Any, said: Mapping[str, Any]) -> Any:
    """JD-11: return why a hall cannot be booked beside another meeting, or None."""
    if booking.minutes is None or booking.minutes >= int(said["gap"]):
        return None
    if booking.minutes < 0:
        return _l("%(hall)s is taken then by %(number)s", hall=booking.hall, number=booking.number)
    return _l(
        "Only %(minutes)d minutes lie between this and %(number)s; %(gap)d are needed to prepare the hall",
        minutes=booking.minutes,
        number=booking.number,
        gap=int(said["gap"]),
    )


# --- preparation -----------------------------------------------------------------------------------


def _open_checklist(record: Record, detail: Meeting) -> None:
    """Open the checklist of the preparation, where the unit uses one."""
    checklist = inspections.checklist_of(record.unit_id, CHECKLIST)
    if checklist is None or not checklist.active or inspections.published_version(checklist.id) is None:
        return
    made = inspections.open_inspection(
        record.unit_id,
        checklist,
        place_id=detail.place_id,
        subject=f"meeting:{record.id}",
        subject_text=record.title,
        due_on=_due_day(record.unit_id, detail),
        clause=PREPARED,
        position="hotel_front_desk",
        permission=DESK,
    )
    detail.inspection_id = made.id
    session().flush()


def _due_day(unit_id: int, detail: Meeting) -> date:
    return max(_day(unit_id, detail.starts_at), _day(unit_id, clock.now()))


def _day(unit_id: int, moment: datetime) -> date:
    return clock.day_in(unit_facts(unit_id).timezone, moment)


def prepared(inspection: Inspection) -> None:
    """A preparation was gone through: the hall is ready unless something failed."""
    if inspection.failed:
        return
    found = session().scalars(select(Meeting).where(Meeting.inspection_id == inspection.id)).first()
    if found is not None and lock(found.id).state == PLANNED:
        perform(found.id, "ready", {}, permitted=True)


def _drop_checklist(step: Step) -> None:
    """A meeting that is cancelled needs no preparation any more."""
    detail: Meeting = step.detail
    _cancel_checklist(detail, str(step.values.get("reason") or ""))


def _cancel_checklist(detail: Meeting, reason: str) -> None:
    if detail.inspection_id is None:
        return
    checked = session().get(Record, detail.inspection_id)
    if checked is not None and checked.category == "open":
        perform(checked.id, "cancel", {"reason": reason}, permitted=True)


def _prepare_anew(record: Record, detail: Meeting) -> None:
    """A meeting has another hall or time: its checklist is of that hall, due on that day.

    One that is open for the same hall and day goes on; a hall that was ready is to be looked at again.
    """
    held = session().get(Inspection, detail.inspection_id) if detail.inspection_id is not None else None
    wanted = (detail.place_id, _due_day(record.unit_id, detail), "open")
    if held is not None and (held.place_id, held.due_on, held.record.category) == wanted:
        return
    _cancel_checklist(detail, str(_("The meeting has another hall or time")))
    _open_checklist(record, detail)


# --- steps -----------------------------------------------------------------------------------------


def _move(step: Step) -> None:
    detail: Meeting = step.detail
    hall = house.need_place(step.record.unit_id, step.values["place"], (values.MEETING,))
    starts, ends = _read_times(step.values)
    _require_free(hall, starts, ends, but=detail.id)
    head = step.record.title.rpartition(" · ")[0] or step.record.title
    step.record.title = f"{head} · {hall.name}"[:200]
    detail.place_id, detail.starts_at, detail.ends_at = hall.id, starts, ends
    detail.booked_at = clock.now()
    session().flush()
    _prepare_anew(step.record, detail)


def _has_begun(step: Step) -> Any:
    return None if step.detail.starts_at <= clock.now() else _l("The meeting has not begun yet")


_PLANNED, _GOING = frozenset({PLANNED}), frozenset({PLANNED, READY})
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
WORKFLOW = make_workflow(
    PLANNED,
    tuple(
        State(code, label, {PLANNED: "open", READY: "open", HELD: "closed"}.get(code, "cancelled"))
        for code, label in values.MEETING_STATES
    ),
    (
        Transition("ready", _l("The hall is ready"), _PLANNED, READY, DESK, "ready", tone="primary", weight=10),
        Transition(
            "hold",
            _l("The meeting is over"),
            _GOING,
            HELD,
            DESK,
            "held",
            guards=(Guard("not_begun", _has_begun),),
            weight=20,
        ),
        Transition(
            "move", _l("Other hall or time"), _GOING, PLANNED, DESK, "moved", MOVE_FIELDS, apply=_move, weight=30
        ),
        Transition(
            "cancel",
            _l("Cancel the meeting"),
            _GOING,
            CANCELLED,
            DESK,
            "cancelled",
            (_REASON,),
            apply=_drop_checklist,
            note="reason",
            tone="danger",
            weight=90,
        ),
    ),
    (
        FactKind("registered", _l("Meeting registered"), 0),
        FactKind("moved", _l("Other hall or time"), 10),
        FactKind("ready", _l("Room prepared"), 20),
        FactKind("held", _l("Meeting over"), 90),
        FactKind("cancelled", _l("Meeting cancelled"), 92),
    ),
)


def search_text(record: Record, detail: Meeting) -> str:
    """Return the words a meeting is found by."""
    return "\n".join(part for part in (record.number, record.title, detail.wishes) if part)


TYPE = RecordType(
    CODE, _l("Meeting"), "HY", Meeting, WORKFLOW, search_text, intake=FIELDS, register=register, readers=(VIEW,)
)

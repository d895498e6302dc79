"""Showroom tasks: samples that come and go (R24-1.4), exhibits repaired and cared for (R24-1.6), and displays.

Displays are places of the kind shelf: they are kept up by an inspection at an interval (R02-14) and changed each
season by a task; what an inspection finds becomes a task, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select

from core.sdk import (
    OPEN_CATEGORIES,
    Field,
    Finding,
    Inspection,
    InvalidData,
    NotFound,
    Place,
    Record,
    RecordType,
    Unit,
    Wanted,
    answered_before,
    clean,
    clock,
    create_record,
    fetch,
    inspections,
    label_of,
    local_day,
    notify,
    places,
    publish,
    remember_answer,
    require,
    session,
    speaking,
    transaction,
)

from . import values
from .models import Showroom
from .rights import DISPLAY
from .showroom_flow import CODE, WORKFLOW, works_here

UPKEEP, CONDUCT = "R02-14", "R02-CK"
DISPLAY_LIST, CONDUCT_LIST = "store.display", "store.conduct"
SEASON = "season"  # the subject of the change of season: all displays together
SAMPLES = ("receive", "deliver", "dismantle", "install")
CARE = ("repair", "maintain")
MOST_DISPLAYS = 500
FIELDS = (
    Field("kind", "choice", _l("Kind of task"), True, values.SHOWROOM_KINDS),
    Field("place_id", "user", _l("Display or place")),
    Field("text", "long", _l("What is to be done"), True, max_length=2000),
    Field("due_on", "date", _l("To be done by"), help=_l("Left empty: today")),
    Field("assignee_id", "user", _l("Assignee")),
)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Set a showroom task (``FIELDS``, permission ``DISPLAY``).

    Raises:
        NotAllowed. InvalidData: beside the field: a day that is over, a place or a person that is not here.
    """
    require(DISPLAY, unit_id)
    given = clean(FIELDS, raw)
    today = local_day(unit_id)
    due = given["due_on"] or today
    errors: dict[str, Any] = {}
    if due < today:
        errors["due_on"] = _l("This day is over")
    if given["assignee_id"] and not works_here(unit_id, given["assignee_id"]):
        errors["assignee_id"] = _l("This person does not work in the unit")
    place = _place(unit_id, given["place_id"], errors)
    if errors:
        raise InvalidData(errors)
    with transaction():
        held = answered_before(unit_id, key, "store.showroom", raw)
        if held:
            return session().get_one(Record, held["record"])
        detail = Showroom(kind=given["kind"], place_id=place, text=given["text"], starts_on=today, due_on=due)
        record = _make(unit_id, detail, clock.now(), assignee_id=given["assignee_id"])
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _place(unit_id: int, raw: object, errors: dict[str, Any]) -> int | None:
    if not raw:
        return None
    mine: Select[Any] = select(Place).where(Place.unit_id == unit_id)
    try:
        found: Place = fetch(Place, raw, query=mine)
    except NotFound:
        errors["place_id"] = _l("There is no such place here")
        return None
    if not found.active:
        errors["place_id"] = _l("This place is closed")
    return found.id


def _make(
    unit_id: int, detail: Showroom, at: datetime, *, assignee_id: int | None = None, permission: str = DISPLAY
) -> Record:
    facts: list[tuple[str, Mapping[str, Any]]] = [("registered", {"kind": detail.kind})]
    if assignee_id:
        facts.append(("assigned", {"assignee_id": assignee_id}))
    record = create_record(
        TYPE,
        unit_id,
        detail,
        title=_title(unit_id, detail),
        customer_id=None,
        received_at=at,
        permission=permission,
        facts=facts,
        assignee_id=assignee_id,
    )
    if assignee_id:
        notify(record, "assigned", [assignee_id])
    publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    return record


def _title(unit_id: int, detail: Showroom) -> str:
    """Name a task in the unit's language: kind, place, the beginning of what is to be done."""
    with speaking(session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"):
        kind = str(label_of(values.SHOWROOM_KINDS, detail.kind))
    place = places.full_names(unit_id, [detail.place_id]).get(detail.place_id or 0, "")
    text = detail.text.partition("\n")[0]
    return " · ".join(part for part in (kind, place, text) if part)[:200]


# --- recurring work ----------------------------------------------------------------------------------


def displays(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the displays that are kept up, as subjects; none where nobody checks displays here (R02-14)."""
    if not _checked_by(unit_id, DISPLAY_LIST):
        return []
    wanted = select(Place.id).where(Place.unit_id == unit_id, Place.kind == "shelf", Place.active)
    return [(f"place:{key}", "", None) for key in session().scalars(wanted.order_by(Place.id).limit(MOST_DISPLAYS))]


def season(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the change of season as a subject, where there is a display to change (R02-14)."""
    wanted = select(Place.id).where(Place.unit_id == unit_id, Place.kind == "shelf", Place.active)
    return [(SEASON, "", None)] if session().scalar(wanted.limit(1)) is not None else []


def whole_store(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the store as the subject of its checklist of conduct (R02-CK)."""
    return [("unit", "", None)] if _checked_by(unit_id, CONDUCT_LIST) else []


def _checked_by(unit_id: int, code: str) -> bool:
    found = inspections.checklist_of(unit_id, code)
    return found is not None and found.active and inspections.published_version(found.id) is not None


def make_season(wanted: Wanted) -> Record:
    """Set the task of a change of season (``ScheduleRule.make``)."""
    unit_id, period = wanted.unit_id, wanted.period
    with speaking(session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"):
        text = str(_("Change all displays for the season"))
    detail = Showroom(
        kind="season",
        text=text,
        clause=wanted.rule.clause,
        subject=wanted.subject.key,
        starts_on=period.first,
        due_on=period.due,
    )
    return _make(unit_id, detail, clock.now())


# --- what an inspection finds --------------------------------------------------------------------------


def open_task_of(inspection: Inspection, finding: Finding) -> Record | None:
    """Set a task for what is wrong with a display (hook ``inspection_uses``); one that is open already stays it."""
    unit_id, today = inspection.unit_id, local_day(inspection.unit_id)
    subject = f"finding:{inspection.place_id or 0}:{finding.item_key}"[:60]
    mine = (
        select(Record)
        .join(Showroom, Showroom.id == Record.id)
        .where(Showroom.unit_id == unit_id, Showroom.subject == subject, Record.category.in_(OPEN_CATEGORIES))
    )
    held = session().scalars(mine.limit(1)).first()
    if held is not None:
        return held
    text = "\n".join(part for part in (finding.item, finding.note, inspection.record.number) if part)
    detail = Showroom(
        kind="maintain", place_id=inspection.place_id, text=text, subject=subject, starts_on=today, due_on=today
    )
    return _make(unit_id, detail, clock.now(), permission=inspections.FILL)


def get(record_id: object) -> Showroom:
    """Fetch a showroom task of the units one works in.

    Raises:
        NotFound.
    """
    return fetch(Showroom, record_id)


def overdue(unit_id: int, day: date) -> Any:
    """Return the condition on ``Showroom`` joined to its record: still open after its day."""
    return (Showroom.unit_id == unit_id) & (Showroom.due_on < day) & Record.category.in_(OPEN_CATEGORIES)


def search_text(record: Record, detail: Showroom) -> str:
    """Return the words a showroom task is found by."""
    return "\n".join(part for part in (record.number, record.title, detail.text[:500], detail.result[:500]) if part)


TYPE = RecordType(
    CODE,
    _l("Showroom task"),
    "ZT",
    Showroom,
    WORKFLOW,
    search_text,
    intake=FIELDS,
    register=register,
    concerns=lambda record, user_id: record.assignee_id == user_id,
)

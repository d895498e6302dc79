"""Opening inspections: on demand, for a plugin, or for a recurring clause; the same one is never open twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData
from core.kernel.fields import Field, clean
from core.kernel.i18n import speaking
from core.kernel.ids import read_id
from core.places import services as places
from core.places.models import Place
from core.records.engine import answered_before, create_record, register_done, remember_answer
from core.records.models import OPEN_CATEGORIES, Record
from core.records.services import notify
from core.records.types import RecordType
from core.rules.obligations import current_position
from core.rules.responsible import holder
from core.rules.schedules import Wanted, midnight
from core.units.facts import local_day
from core.units.models import Unit
from core.users.services import staff_of

from . import checklists, items
from .models import Checklist, Inspection
from .workflow import FILL, INSPECTION_WORKFLOW, MANAGE, VIEW

INTAKE = (
    Field("checklist", "text", _l("Inspection checklist"), True, max_length=40, help=_l("Its code")),
    Field("place", "text", _l("Place or room"), max_length=40, help=_l("Its code")),
    Field("subject_text", "text", _l("What it is about"), max_length=200),
    Field("due_on", "date", _l("Due day")),
    Field("assignee_id", "user", _l("Assignee")),
)


def search_text(record: Record, inspection: Inspection) -> str:
    """The words an inspection is found by: number, title (checklist and place), what it is about."""
    parts = (record.number, record.title, inspection.subject_text, inspection.clause)
    return "\n".join(part for part in parts if part)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Open an inspection from a form: ``INTAKE``; checklist and place by their codes.

    Raises:
        InvalidData: beside the fields.
        NotAllowed: the actor may not fill in inspections in the unit.
    """
    require(FILL, unit_id)
    with transaction():
        stored = answered_before(unit_id, key, "inspection.register", raw)
        if stored:
            return session().scalars(select(Record).where(Record.id == stored["record"])).one()
        values = clean(INTAKE, raw)
        errors: dict[str, Any] = {}
        checklist = checklists.checklist_of(unit_id, values["checklist"])
        if checklist is None:
            errors["checklist"] = _l("There is no such checklist here")
        place = places.by_code(unit_id, values["place"]) if values["place"] else None
        if values["place"] and place is None:
            errors["place"] = _l("There is no such place here")
        if values["assignee_id"] and values["assignee_id"] not in {user.id for user in staff_of(unit_id)}:
            errors["assignee_id"] = _l("This person does not work in the unit")
        if errors or checklist is None:
            raise InvalidData(errors)
        record = open_inspection(
            unit_id,
            checklist,
            place_id=place.id if place else None,
            subject_text=values["subject_text"] or "",
            due_on=values["due_on"],
            assignee_id=values["assignee_id"],
        )
        remember_answer(unit_id, key, {"record": record.id})
        return record


INSPECTION = RecordType(
    "inspection",
    _l("Inspection round"),
    "JC",
    Inspection,
    INSPECTION_WORKFLOW,
    search_text,
    intake=INTAKE,
    register=register,
    readers=(VIEW, FILL, MANAGE),
    concerns=lambda record, user_id: record.assignee_id == user_id,
)


def open_inspection(
    unit_id: int,
    checklist: Checklist,
    *,
    place_id: int | None = None,
    subject: str = "",
    subject_text: str = "",
    starts_on: date | None = None,
    due_on: date | None = None,
    clause: str = "",
    plan_id: int | None = None,
    assignee_id: int | None = None,
    position: str = "",
    permission: str = FILL,
    customer_id: int | None = None,
    received_at: datetime | None = None,
) -> Record:
    """Open an inspection; one of the same checklist, place, subject, clause and first day that is still open is
    answered again.

    ``starts_on`` and ``due_on`` are days of the unit's zone (default: today, and the first day). ``position`` is
    who should do it where ``assignee_id`` names nobody.

    Raises:
        InvalidData: a checklist out of use or without a published version, a place that is closed or elsewhere, an
            end before the beginning.
        NotAllowed: the actor lacks ``permission`` in the unit.
    """
    require(permission, unit_id)
    first = starts_on or local_day(unit_id)
    last = due_on or first
    with transaction():
        checklists.locked(checklist.id)  # two at once: the second sees what the first opened
        _check(unit_id, checklist, place_id, first, last)
        detail = Inspection(
            checklist_id=checklist.id,
            place_id=place_id,
            subject=subject[:60],
            subject_text=subject_text[:200],
            clause=clause,
            plan_id=plan_id,
            starts_on=first,
            due_on=last,
            answers={},
        )
        found = _open_already(unit_id, detail)
        if found is not None:
            return found
        if assignee_id is None and position:
            assignee_id = holder(unit_id, position, first)
        facts: list[tuple[str, Mapping[str, Any]]] = [("registered", {})]
        if assignee_id:
            facts.append(("assigned", {"assignee_id": assignee_id}))
        record = create_record(
            INSPECTION,
            unit_id,
            detail,
            title=_title(unit_id, checklist, place_id, subject_text),
            customer_id=customer_id,
            received_at=received_at or clock.now(),
            permission=permission,
            facts=facts,
            assignee_id=assignee_id,
            then=lambda made: setattr(made, "owner_position", position or made.owner_position),
        )
        if assignee_id:
            notify(record, "assigned", [assignee_id])
        register_done(record)
        return record


def _check(unit_id: int, checklist: Checklist, place_id: int | None, first: date, last: date) -> None:
    errors: dict[str, Any] = {}
    if checklist.unit_id != unit_id:
        errors["checklist"] = _l("There is no such checklist here")
    elif not checklist.active:
        errors["checklist"] = _l("This checklist is out of use")
    elif checklists.published_version(checklist.id) is None:
        errors["checklist"] = _l("The checklist has no published version yet")
    if place_id is not None:
        active = session().scalar(select(Place.active).where(Place.id == place_id, Place.unit_id == unit_id))
        if active is None:
            errors["place"] = _l("There is no such place here")
        elif not active:
            errors["place"] = _l("This place is closed")
    if last < first:
        errors["due_on"] = _l("This lies before the first day")
    if errors:
        raise InvalidData(errors)


def _open_already(unit_id: int, wanted: Inspection) -> Record | None:
    found = (
        select(Record)
        .join(Inspection, Inspection.id == Record.id)
        .where(
            Inspection.unit_id == unit_id,
            Inspection.subject == wanted.subject,
            Inspection.starts_on == wanted.starts_on,
            Inspection.checklist_id == wanted.checklist_id,
            Inspection.clause == wanted.clause,
            Inspection.finished_at.is_(None),
            Record.category.in_(OPEN_CATEGORIES),
        )
        .order_by(Record.id)
    )
    here = Inspection.place_id.is_(None) if wanted.place_id is None else Inspection.place_id == wanted.place_id
    return session().scalars(found.where(here).limit(1)).first()


def _title(unit_id: int, checklist: Checklist, place_id: int | None, subject_text: str) -> str:
    """Return an inspection's title: checklist, place and what it is about, in the unit's language."""
    with speaking(session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"):
        name = items.in_words({"title": checklist.title, "title_en": checklist.title_en}, "title")
        place = places.full_names(unit_id, [place_id]).get(place_id, "") if place_id else ""
    return " · ".join(part for part in (name, place, subject_text) if part)


# --- recurring clauses -------------------------------------------------------------------------------


def maker(code: str) -> Callable[[Wanted], Record]:
    """Return what opens the inspections of a recurring clause by a checklist's code (``ScheduleRule.make``).

    A subject's key ``place:12`` or ``place:12:lunch`` sets the place.

    The maker raises:
        InvalidData: the unit has no such checklist in use.
    """

    def make(wanted: Wanted) -> Record:
        unit_id, period, clause = wanted.unit_id, wanted.period, wanted.rule.clause
        checklist = checklists.checklist_of(unit_id, code)
        if checklist is None:
            raise InvalidData({"checklist": _l("There is no such checklist here")})
        return open_inspection(
            unit_id,
            checklist,
            place_id=place_of(wanted.subject.key),
            subject=wanted.subject.key,
            subject_text=wanted.subject.text,
            starts_on=period.first,
            due_on=period.due,
            clause=clause,
            position=current_position(clause),
            customer_id=wanted.subject.customer_id,
            received_at=midnight(unit_id, period.first),
        )

    return make


def place_of(subject: str) -> int | None:
    """Return the id of the place that a subject's key names, or None."""
    kind, _colon, rest = subject.partition(":")
    return read_id(rest.partition(":")[0]) if kind == "place" else None

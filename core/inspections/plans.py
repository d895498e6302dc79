"""Plans: inspections that recur because the unit wants them, once for each place and period."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.exc import StaleDataError

from core.kernel.access import require
from core.kernel.database import fetch, session, transaction
from core.kernel.errors import Conflict, InvalidData
from core.kernel.fields import Field, clean, normalise
from core.places import services as places
from core.places.models import KINDS, Place
from core.rules import ticks
from core.rules.clocks import DAYS, MONTH, WEEK, YEAR
from core.rules.schedules import Interval, Period, begin_of, due_periods, midnight
from core.units.facts import local_day
from core.users.models import Position

from . import checklists
from .models import Checklist, Inspection, InspectionPlan
from .opening import open_inspection

MANAGE = "inspection.manage"
EVERY_UNITS = ((DAYS, _l("days")), (WEEK, _l("weeks")), (MONTH, _l("months")), (YEAR, _l("years")))
MOST_PLACES = 2000


def position_choices() -> list[tuple[str, str]]:
    """Return the positions there are, in the reader's language."""
    return [
        (one.code, str(one)) for one in session().scalars(select(Position).order_by(Position.sort, Position.id))
    ]


FIELDS = (
    Field("title", "text", _l("Name"), True, max_length=120),
    Field("checklist", "text", _l("Inspection checklist"), True, max_length=40),
    Field("place", "text", _l("Place or room"), max_length=40, help=_l("Empty: the whole unit")),
    Field("place_kind", "choice", _l("Every place of this kind in it"), choices=KINDS),
    Field("every", "int", _l("Every"), True, minimum=Decimal(1), maximum=Decimal(999), default=1),
    Field("every_unit", "choice", _l("Unit of time"), True, EVERY_UNITS, default=WEEK),
    Field("starts_on", "date", _l("First day"), True),
    Field("ends_on", "date", _l("Last day")),
    Field("position", "choice", _l("Position that does it"), choices=position_choices),
)


def get_plan(raw_id: object) -> InspectionPlan:
    """Fetch a plan by an id from a request.

    Raises:
        NotFound: none, or another unit's.
    """
    return fetch(InspectionPlan, raw_id, query=with_names())


def with_names() -> Any:
    """Return the statement that reads plans with their checklists and places."""
    return select(InspectionPlan).options(joinedload(InspectionPlan.checklist), joinedload(InspectionPlan.place))


def create_plan(unit_id: int, raw: Mapping[str, Any]) -> InspectionPlan:
    """Create a plan: ``FIELDS``, checklist and place by their codes.

    Raises:
        InvalidData: beside the fields.
        NotAllowed: the actor may not plan inspections in the unit.
    """
    require(MANAGE, unit_id)
    with transaction() as work:
        made = InspectionPlan(unit_id=unit_id, **_values(unit_id, raw))
        work.add(made)
        work.flush()
        return made


def change_plan(plan: InspectionPlan, raw: Mapping[str, Any], *, version: int | None = None) -> InspectionPlan:
    """Change a plan; what it opened stays.

    Raises:
        InvalidData, NotAllowed: as ``create_plan``.
        Conflict: somebody else changed it since ``version``.
    """
    require(MANAGE, plan.unit_id)
    with transaction():
        if version is not None and version != plan.version:
            raise Conflict()
        for name, value in _values(plan.unit_id, raw, plan.place_id).items():
            setattr(plan, name, value)
        _flush()
        session().expire(plan, ["checklist", "place"])
        return plan


def close_plan(plan: InspectionPlan) -> None:
    """End a plan; what it opened stays to be done.

    Raises:
        NotAllowed: the actor may not plan inspections in the unit.
    """
    set_active(plan, False)


def set_active(plan: InspectionPlan, active: bool) -> None:
    """Take a plan out of use, or back into it.

    Raises:
        NotAllowed: the actor may not plan inspections in the unit.
    """
    require(MANAGE, plan.unit_id)
    with transaction():
        plan.active = active
        _flush()


def _flush() -> None:
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None


def _values(unit_id: int, raw: Mapping[str, Any], held: int | None = None) -> dict[str, Any]:
    """Read a plan's form; ``held`` is the place it has already, to which nothing can be objected."""
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    try:
        values = clean(FIELDS, raw)
    except InvalidData as bad:
        errors |= bad.errors
    checklist = checklists.checklist_of(unit_id, normalise(str(raw.get("checklist") or "")))
    if checklist is None:
        errors.setdefault("checklist", _l("There is no such checklist here"))
    code = str(raw.get("place") or "").strip()
    place = places.by_code(unit_id, code) if code else None
    if code and place is None:
        errors.setdefault("place", _l("There is no such place here"))
    elif place is not None and not place.active and place.id != held:
        errors.setdefault("place", _l("This place is closed"))
    if values and values["ends_on"] and values["ends_on"] < values["starts_on"]:
        errors["ends_on"] = _l("This lies before the first day")
    if errors or checklist is None:
        raise InvalidData(errors)
    named = {"title", "every", "every_unit", "starts_on", "ends_on"}
    return {
        **{name: values[name] for name in named},
        "place_kind": values["place_kind"] or "",
        "position": values["position"] or "",
        "checklist_id": checklist.id,
        "place_id": place.id if place else None,
    }


# --- opening what is due -------------------------------------------------------------------------


def period_on(plan: InspectionPlan, day: date) -> Period | None:
    """Return the period of a plan that a day lies in; None before its first day and after its last."""
    if day < plan.starts_on or (plan.ends_on is not None and day > plan.ends_on):
        return None
    interval = Interval(plan.every, plan.every_unit)
    first = begin_of(plan.starts_on, interval, day)
    return due_periods(plan.starts_on, interval, first, first)[0]


def open_due(unit_id: int) -> int:
    """Open what the unit's plans ask for in the present period and is not there yet; return how much.

    Each is a transaction of its own; the index over plan, subject and first day makes it unique, so any number of
    runners may do this at once. What a standstill missed is left out.
    """
    today = local_day(unit_id)
    plans = select(InspectionPlan).where(InspectionPlan.unit_id == unit_id, InspectionPlan.active)
    return sum(_open(plan, today) for plan in session().scalars(plans.order_by(InspectionPlan.id)).all())


def _open(plan: InspectionPlan, today: date) -> int:
    period = period_on(plan, today)
    checklist = session().scalars(select(Checklist).where(Checklist.id == plan.checklist_id)).one()
    if period is None or not checklist.active or checklists.published_version(checklist.id) is None:
        return 0
    done = set(_opened(plan, period))
    return sum(
        _open_one(plan, checklist, period, place) for place in places_of(plan) if _subject(place) not in done
    )


def _opened(plan: InspectionPlan, period: Period) -> list[str]:
    found = select(Inspection.subject).where(Inspection.plan_id == plan.id, Inspection.starts_on == period.first)
    return list(session().scalars(found))


def _subject(place_id: int | None) -> str:
    return f"place:{place_id}" if place_id else "unit"


def places_of(plan: InspectionPlan) -> list[int | None]:
    """Return the places a plan is about by their ids; None for the unit itself. Closed ones are left out."""
    if not plan.place_kind:
        if plan.place_id is None:
            return [None]
        return list(session().scalars(select(Place.id).where(Place.id == plan.place_id, Place.active)))
    wanted = select(Place.id).where(Place.unit_id == plan.unit_id, Place.kind == plan.place_kind, Place.active)
    if plan.place_id is not None:
        around = session().scalars(select(Place).where(Place.id == plan.place_id)).one()
        wanted = wanted.where(places.within(around))
    return list(session().scalars(wanted.order_by(Place.id).limit(MOST_PLACES)))


def _open_one(plan: InspectionPlan, checklist: Checklist, period: Period, place_id: int | None) -> int:
    subject = _subject(place_id)
    with transaction():
        checklists.locked(checklist.id)
        if subject in _opened(plan, period):
            return 0
        open_inspection(
            plan.unit_id,
            checklist,
            place_id=place_id,
            subject=subject,
            starts_on=period.first,
            due_on=min(period.due, plan.ends_on or period.due),
            plan_id=plan.id,
            position=plan.position,
            received_at=midnight(plan.unit_id, period.first),
        )
        return 1


WORK = ticks.Work("inspections.plans", lambda: ticks.in_each_unit("inspections.plans", open_due), ticks.A_WHILE)

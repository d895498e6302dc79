"""The clauses about work orders, complaints, inspections and patrols."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    DeadlineRule,
    GateRule,
    Place,
    RoutingRule,
    Rule,
    ScheduleRule,
    ServiceRule,
    Step,
    Term,
    current_scope,
    effective,
    inspections,
    period_of,
    session,
)

from . import checklists, compensation, complaint_flow, days, order_flow, retention, values
from .models import HotelPlace

ORDER, COMPLAINT = order_flow.CODE, complaint_flow.CODE
MOST_ROOMS = 5000
Subjects = list[tuple[str, str, int | None]]


# --- who gets it (R06-2) ---------------------------------------------------------------------------


def _team(read: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """Repairs go to one team whatever the category, all else to that of the category."""
    if read.get("kind") == order_flow.REPAIR_KIND:
        return str(said["repair"])
    return str(said[read["category"]])


def _told(read: Mapping[str, Any], said: Mapping[str, Any]) -> list[str]:
    return [_team(read, said)]


# --- deadlines -----------------------------------------------------------------------------------


def solved_within(said: Mapping[str, Any], read: Mapping[str, Any]) -> Term:
    """Return the term of a complaint: 0 days end with the hotel day, which runs until the morning.

    What comes after the morning begins a hotel day that ends on the next morning (``cutoff``).
    """
    ends = int(read["day_ends"])
    return Term(Decimal(said["limit"]), "day", until=ends, cutoff=ends)


def _complaint(clause: str, *categories: str) -> DeadlineRule:
    return DeadlineRule(
        clause=clause,
        record_type=COMPLAINT,
        start=("registered",),
        meet=("solved",),
        restart=("reopened",),
        pause=(),
        resume=(),
        reads=("category", "day_ends"),
        applies=lambda read: read["category"] in categories,
        term=solved_within,
    )


# --- two people (JD-10) ----------------------------------------------------------------------------


def _who_repaired(step: Step, _said: Mapping[str, Any]) -> Any:
    done_by = step.detail.done_by
    if done_by is None or done_by != current_scope().actor_id:
        return None
    return _l("Who repaired does not check it; somebody else does")


# --- what recurs -----------------------------------------------------------------------------------


def _places(unit_id: int, category: str) -> list[Place]:
    known = HotelPlace.unit_id == unit_id, HotelPlace.category == category, ~HotelPlace.closed
    wanted = select(Place).join(HotelPlace, HotelPlace.place_id == Place.id).where(*known, Place.active)
    return list(session().scalars(wanted.order_by(Place.id).limit(MOST_ROOMS)))


def _each(category: str, code: str) -> Any:
    """Return what answers every place of a category; none while the checklist is out of use."""

    def subjects(unit_id: int) -> Subjects:
        if not checklists.in_use(unit_id, code):
            return []
        return [(f"place:{one.id}", "", None) for one in _places(unit_id, category)]

    return subjects


def patrol_sample(unit_id: int) -> Subjects:
    """Return the rooms of the present patrol (R06-10): a share of all, one after the other, so that every room's
    turn comes. The same however often it is asked in a period.
    """
    if not checklists.in_use(unit_id, checklists.PATROL):
        return []
    number, begins = period_of(unit_id, PATROL_CLAUSE, days.hotel_day(unit_id))
    rooms = _places(unit_id, values.ROOMS)
    share = int(effective(unit_id, PATROL_CLAUSE).values["share"])
    size = -(-len(rooms) * share // 100)
    first = number * size % len(rooms) if rooms else 0
    chosen = (rooms * 2)[first : first + size]
    # The day is part of the key: a room that was not looked at yesterday has missed nothing.
    return [(f"place:{one.id}:{begins:%Y%m%d}", "", None) for one in chosen]


PATROL_CLAUSE = "R06-10"
MEALS_CLAUSE = "R06-17"


def _meals(unit_id: int) -> Subjects:
    """Return every restaurant at every meal that the clause names."""
    if not checklists.in_use(unit_id, checklists.RESTAURANT):
        return []
    said = effective(unit_id, MEALS_CLAUSE).values
    meals = [(code, label) for code, label in values.MEALS if said[code]]
    return [
        (f"place:{one.id}:{code}", str(label), None)
        for one in _places(unit_id, values.CATERING)
        for code, label in meals
    ]


def _conduct(unit_id: int) -> Subjects:
    return [("unit", "", None)] if checklists.in_use(unit_id, checklists.CONDUCT) else []


def _recurring(clause: str, title: Any, code: str, subjects: Any, carries: str = "") -> ScheduleRule:
    return ScheduleRule(
        clause=clause,
        title=title,
        subjects=subjects,
        carries=carries,
        makes="inspection",
        make=inspections.maker(code),
        today=days.hotel_day,
        most=MOST_ROOMS,
    )


_SCHEDULES: tuple[Rule, ...] = (
    _recurring("R06-7a", _l("Room inspection"), checklists.ROOM, _each(values.ROOMS, checklists.ROOM)),
    _recurring(PATROL_CLAUSE, _l("Room patrol"), checklists.PATROL, patrol_sample),
    _recurring(
        "R06-15",
        _l("Hygiene of restaurants and kitchens"),
        checklists.HYGIENE,
        _each(values.CATERING, checklists.HYGIENE),
        "checklist",
    ),
    _recurring(MEALS_CLAUSE, _l("Restaurant patrol"), checklists.RESTAURANT, _meals),
    _recurring("R06-CK", _l("Conduct, item by item"), checklists.CONDUCT, _conduct, "checklist"),
)
RULES: list[Rule] = [
    RoutingRule(clause="R06-2", step=f"{ORDER}.register", reads=("kind", "category"), position=_team, tells=_told),
    RoutingRule(clause="R06-2", step=f"{COMPLAINT}.register", reads=("category",), position=_team, tells=_told),
    DeadlineRule(
        clause="JD-1",
        record_type=ORDER,
        start=("registered",),
        meet=("responded", "done"),
        pause=(),
        resume=(),
    ),
    DeadlineRule(
        clause="R06-7b",
        record_type=ORDER,
        start=("registered",),
        meet=("done",),
        restart=("not_accepted",),
        pause=(),
        resume=(),
        reads=("kind",),
        applies=lambda read: read["kind"] == order_flow.REPAIR_KIND,
    ),
    DeadlineRule(
        clause="JD-2",
        record_type=COMPLAINT,
        start=("registered",),
        meet=("answered", "solved"),
        pause=(),
        resume=(),
    ),
    _complaint("R06-11", values.ROOMS),
    _complaint("R06-18", values.CATERING),
    _complaint("JD-2b", values.MEETING, values.ENTERTAINMENT, values.OTHER),
    ServiceRule(
        clause=compensation.CLAUSE,
        does="approval",
        place="hotel.compensation",
        words=(_l("Guest complaint"), _l("Compensate the guest")),
    ),
    ServiceRule(
        clause=retention.CLAUSE,
        does="record",
        place="hotel.retention",
        words=(_l("Guest complaint"), _l("How to reach the guest")),
    ),
    GateRule(clause="JD-10", step=f"{ORDER}.check", check=_who_repaired, code="same_person"),
    GateRule(clause="JD-10", step=f"{ORDER}.unblock", check=_who_repaired, code="same_person"),
    *_SCHEDULES,
]

"""Facilities of the house (设施设备): what there is, how often each is serviced, and its services (JD-5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from core.sdk import (
    Conflict,
    Field,
    InvalidData,
    Refusal,
    Refused,
    add_months,
    answered_before,
    clean,
    clock,
    current_scope,
    fetch,
    local_day,
    open_task,
    perform,
    places,
    remember_answer,
    require,
    session,
    transaction,
)

from . import house
from .models import Facility, FacilityService
from .rights import REPAIR, SETUP

CLAUSE = "JD-5"
FIELDS = (
    Field("code", "text", _l("Code"), True, max_length=40),
    Field("name", "text", _l("Name"), True, max_length=80),
    house.place_field(_l("Place")),
    Field("maker", "text", _l("Maker and model"), max_length=80),
    Field("serial", "text", _l("Serial number"), max_length=60),
    Field("contractor", "text", _l("Who services it"), max_length=120),
    Field(
        "every_months",
        "int",
        _l("Serviced every (months)"),
        minimum=Decimal(0),
        maximum=Decimal(120),
        default=0,
        help=_l("0: not at intervals"),
    ),
    Field("last_on", "date", _l("Last serviced")),
    Field("note", "long", _l("Note"), max_length=2000),
)
SERVICE_FIELDS = (
    Field("on", "date", _l("Date"), help=_l("Empty: today")),
    Field("what", "text", _l("What was done"), True, max_length=300),
    Field("cost", "decimal", _l("Cost (yuan)"), minimum=Decimal(0), maximum=Decimal(10000000)),
)


def subject_of(facility_id: int) -> str:
    """Return the key by which recurring work knows a facility."""
    return f"facility:{facility_id}"


def create(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Facility:
    """Put a facility on file (``SETUP``): ``FIELDS``.

    Raises:
        NotAllowed. InvalidData: beside the field; the code is taken.
    """
    require(SETUP, unit_id)
    columns = _columns(unit_id, raw)
    with transaction():
        before = answered_before(unit_id, key, "hotel.facility", dict(raw))
        if before is not None:
            return fetch(Facility, before["facility"])
        made = Facility(unit_id=unit_id, **columns)
        _save(made)
        remember_answer(unit_id, key, {"facility": made.id})
        return made


def change(facility: Facility, raw: Mapping[str, Any], *, version: int | None = None) -> Facility:
    """Change what stands on file of a facility (``SETUP``): those of ``FIELDS`` that are given.

    Raises:
        NotAllowed, Conflict. InvalidData: beside the field.
    """
    require(SETUP, facility.unit_id)
    if version is not None and version != facility.version:
        raise Conflict()
    held = {one.name: getattr(facility, one.name, None) for one in FIELDS if one.name != "place"}
    held["place"] = places.get_place(facility.place_id).code if facility.place_id else ""
    columns = _columns(facility.unit_id, {**held, **raw})
    with transaction():
        for name, value in columns.items():
            setattr(facility, name, value)
        _save(facility)
        return facility


def set_active(facility: Facility, active: bool) -> None:
    """Take a facility out of use or into use again (``SETUP``)."""
    require(SETUP, facility.unit_id)
    with transaction():
        facility.active = active
        session().flush()
        if not active:
            _finish_tasks(facility, local_day(facility.unit_id), str(_("Taken out of use")))


def _columns(unit_id: int, raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean(FIELDS, raw)
    place = house.find_place(unit_id, given.pop("place"))
    last = given["last_on"]
    if last is not None and last > local_day(unit_id):
        raise InvalidData({"last_on": _l("This day has not come yet")})
    texts = {name: given[name] or "" for name in ("maker", "serial", "contractor", "note")}
    every = given["every_months"] or 0
    return {
        **given,
        **texts,
        "every_months": every,
        "place_id": place.id if place is not None else None,
        "next_on": _next(unit_id, last, every),
    }


def _next(unit_id: int, last: date | None, every: int) -> date | None:
    if not every:
        return None
    return add_months(last, every) if last is not None else local_day(unit_id)


def _save(facility: Facility) -> None:
    work = session()
    try:
        with work.begin_nested():
            work.add(facility)
            work.flush()
    except IntegrityError:
        raise InvalidData({"code": _l("This code is taken")}) from None
    except StaleDataError:
        raise Conflict() from None


# --- servicing -----------------------------------------------------------------------------------------


def serve(facility_id: object, raw: Mapping[str, Any], *, key: str = "") -> FacilityService:
    """Enter a service of a facility (``REPAIR``): ``SERVICE_FIELDS``; what was due is done (JD-5).

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field; in the future. Refused: it is out of use.
    """
    with transaction():
        facility = house.fetch_locked(Facility, facility_id)
        require(REPAIR, facility.unit_id)
        unit_id, given = facility.unit_id, clean(SERVICE_FIELDS, raw)
        before = answered_before(unit_id, key, f"hotel.serve:{facility.id}", dict(raw))
        if before is not None:
            return fetch(FacilityService, before["service"])
        if not facility.active:
            raise Refused([Refusal("inactive", _l("This facility is out of use"))])
        today = local_day(unit_id)
        on = given["on"] or today
        if on > today:
            raise InvalidData({"on": _l("This day has not come yet")})
        cost = given["cost"]
        made = FacilityService(
            unit_id=unit_id,
            facility_id=facility.id,
            on=on,
            what=given["what"],
            cost=None if cost is None else cost.quantize(Decimal("0.01")),
            by_id=current_scope().actor_id,
            at=clock.now(),
        )
        session().add(made)
        if facility.last_on is None or on >= facility.last_on:
            facility.last_on, facility.next_on = on, _next(unit_id, on, facility.every_months)
        session().flush()
        if facility.next_on is None or facility.next_on > today:
            _finish_tasks(facility, today, given["what"])
        remember_answer(unit_id, key, {"service": made.id})
        return made


def _finish_tasks(facility: Facility, day: date, result: str) -> None:
    while (task := open_task(facility.unit_id, CLAUSE, subject_of(facility.id), day)) is not None:
        perform(task.id, "finish", {"result": result}, permitted=True)


def due(unit_id: int) -> list[Facility]:
    """Return the facilities of a unit that are to be serviced."""
    today = local_day(unit_id)
    wanted = select(Facility).where(Facility.unit_id == unit_id, Facility.next_on <= today, Facility.active)
    return list(session().scalars(wanted.order_by(Facility.next_on, Facility.id)))


def subjects(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return what recurring work is made of: the facilities due."""
    return [(subject_of(one.id), f"{one.code} {one.name}", None) for one in due(unit_id)]


def services_of(facility_id: int, limit: int = 50) -> list[FacilityService]:
    """Return the newest services of a facility."""
    wanted = select(FacilityService).where(FacilityService.facility_id == facility_id)
    return list(
        session().scalars(wanted.order_by(FacilityService.on.desc(), FacilityService.id.desc()).limit(limit))
    )

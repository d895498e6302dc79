"""The processing log of the kitchen (加工记录, R06-14): entries are never changed; a wrong one is struck out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    Field,
    InvalidData,
    Refusal,
    Refused,
    answered_before,
    clean,
    clock,
    current_scope,
    effective,
    fetch,
    remember_answer,
    require,
    session,
    transaction,
    unit_facts,
)

from . import days, house, values
from .models import Processing
from .rights import CATERING

CLAUSE = "R06-14"
# How long ago an entry may lie.
LATEST = timedelta(days=2)
AT_LEAST, AT_MOST = ("cook", "hold"), ("cool",)
FIELDS = (
    Field("at", "moment", _l("When"), help=_l("Empty: now")),
    Field("meal", "choice", _l("Meal"), True, values.MEALS),
    Field("step", "choice", _l("Step"), True, values.PROCESSING),
    Field("dish", "text", _l("Dish"), True, max_length=80),
    Field("degrees", "decimal", _l("Temperature (℃)"), minimum=Decimal(-60), maximum=Decimal(300)),
    house.place_field(_l("Kitchen")),
    Field("note", "text", _l("Note"), max_length=300, help=_l("Where a temperature is not right: what was done")),
)


def log(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Processing:
    """Enter a step of processing (``CATERING``): ``FIELDS``.

    A temperature outside what R06-14 asks for makes the entry one that is not fine, and wants a note.

    Raises:
        NotAllowed. InvalidData: beside the field: in the future, too long ago, a note that is missing.
    """
    require(CATERING, unit_id)
    given = clean(FIELDS, raw, timezone=unit_facts(unit_id).timezone)
    now = clock.now()
    at = given["at"] or now
    if at > now:
        raise InvalidData({"at": _l("This time has not come yet")})
    if at < now - LATEST:
        raise InvalidData({"at": _l("At most two days ago")})
    degrees = _rounded(given["degrees"])
    fine = is_fine(unit_id, given["step"], degrees)
    if not fine and not given["note"]:
        raise InvalidData({"note": _l("The temperature is not right (R06-14): please say what was done")})
    place = house.find_place(unit_id, given["place"])
    with transaction():
        before = answered_before(unit_id, key, "hotel.processing", dict(raw))
        if before is not None:
            return fetch(Processing, before["processing"])
        made = Processing(
            unit_id=unit_id,
            at=at,
            entered_at=now,
            hotel_day=days.hotel_day(unit_id, at),
            meal=given["meal"],
            step=given["step"],
            dish=given["dish"],
            degrees=degrees,
            fine=fine,
            place_id=place.id if place is not None else None,
            by_id=current_scope().actor_id,
            note=given["note"] or "",
        )
        session().add(made)
        session().flush()
        remember_answer(unit_id, key, {"processing": made.id})
        return made


def _rounded(degrees: Decimal | None) -> Decimal | None:
    return None if degrees is None else degrees.quantize(Decimal("0.1"))


def is_fine(unit_id: int, step: str, degrees: Decimal | None) -> bool:
    """Tell whether a temperature is as R06-14 asks for in a unit; what was not measured counts as fine."""
    said = effective(unit_id, CLAUSE)
    if degrees is None or not said.holds:
        return True
    if step in AT_LEAST:
        return degrees >= Decimal(said.values[step])
    return degrees <= Decimal(said.values[step]) if step in AT_MOST else True


def strike(entry_id: object, reason: str) -> Processing:
    """Strike a wrong entry out (``CATERING``); it stays readable.

    Raises:
        NotFound, NotAllowed. InvalidData: no reason. Refused: it is struck out already.
    """
    with transaction():
        entry = house.fetch_locked(Processing, entry_id)
        require(CATERING, entry.unit_id)
        said = clean((Field("reason", "text", _l("Reason"), True, max_length=200),), {"reason": reason})
        if entry.struck_at is not None:
            raise Refused([Refusal("struck", _l("This entry is struck out already"))])
        entry.struck_at, entry.struck_reason = clock.now(), said["reason"]
        session().flush()
        return entry

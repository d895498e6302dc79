"""Food samples (食品留样, JD-3): how much is kept of a dish, how long, and that it is thrown away only after."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select

from core.sdk import (
    Field,
    NoticeKind,
    Periodic,
    Refusal,
    Refused,
    accounts,
    answered_before,
    clean,
    clock,
    current_scope,
    declare_notices,
    effective,
    fetch,
    remember_answer,
    require,
    require_clause,
    session,
    tell_people,
    transaction,
)

from . import days, house, values
from .models import Sample
from .rights import CATERING

CLAUSE = "JD-3"
KEEP, DISPOSE = "hotel.sample_keep", "hotel.sample_dispose"
USUAL_HOURS = 48
DUE = "hotel.samples_due"
CATERERS = "hotel_catering"
FIELDS = (
    Field("meal", "choice", _l("Meal"), True, values.MEALS),
    Field("dish", "text", _l("Dish"), True, max_length=80),
    Field("grams", "int", _l("Grams"), True, minimum=Decimal(1), maximum=Decimal(10000)),
    house.place_field(_l("Kept in")),
    Field("note", "text", _l("Note"), max_length=200),
)

declare_notices(
    NoticeKind(DUE, _l("Food samples may be thrown away"), _l("Hotel"), "digest", page="hotel_samples.index_view")
)


class Thrown(NamedTuple):
    """A sample that somebody wants to throw away; ``hours`` it was kept."""

    sample: Sample
    hours: Decimal


def keep(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Sample:
    """Enter a sample (``CATERING``): ``FIELDS``; the server stamps when and by whom.

    Raises:
        NotAllowed. InvalidData: beside the field. Refused: less than the clause asks for (JD-3).
    """
    require(CATERING, unit_id)
    given = clean(FIELDS, raw)
    place = house.find_place(unit_id, given["place"])
    with transaction():
        before = answered_before(unit_id, key, "hotel.sample", dict(raw))
        if before is not None:
            return fetch(Sample, before["sample"])
        require_clause(KEEP, unit_id, given["grams"])
        now = clock.now()
        made = Sample(
            unit_id=unit_id,
            hotel_day=days.hotel_day(unit_id),
            meal=given["meal"],
            dish=given["dish"],
            grams=given["grams"],
            kept_at=now,
            kept_by=current_scope().actor_id,
            keep_until=now + timedelta(hours=hours(unit_id)),
            place_id=place.id if place is not None else None,
            note=given["note"] or "",
        )
        session().add(made)
        session().flush()
        remember_answer(unit_id, key, {"sample": made.id})
        return made


def hours(unit_id: int) -> int:
    """Return how many hours a sample is kept in a unit."""
    said = effective(unit_id, CLAUSE)
    return int(said.values["hours"]) if said.holds else USUAL_HOURS


def dispose(sample_id: object, note: str = "", *, version: int | None = None) -> Sample:
    """Enter that a sample was thrown away (``CATERING``); entered already, nothing changes.

    Raises:
        NotFound, NotAllowed. Refused: it is to be kept longer (JD-3), or somebody else changed it meanwhile.
    """
    with transaction():
        sample = house.fetch_locked(Sample, sample_id)
        require(CATERING, sample.unit_id)
        if sample.disposed_at is not None:
            return sample
        if version is not None and version != sample.version:
            raise Refused([Refusal("changed", _l("Somebody else changed this meanwhile; please look again"))])
        now = clock.now()
        kept = Decimal((now - sample.kept_at).total_seconds()) / 3600
        require_clause(DISPOSE, sample.unit_id, Thrown(sample, kept))
        sample.disposed_at, sample.disposed_by = now, current_scope().actor_id
        sample.note = (f"{sample.note} {note}".strip())[:200]
        session().flush()
        return sample


def due(unit_id: int) -> Select[Any]:
    """Select the samples of a unit that may be thrown away and were not."""
    held = Sample.unit_id == unit_id, Sample.disposed_at.is_(None), Sample.keep_until <= clock.now()
    return select(Sample).where(*held)


def remind(unit_id: int) -> None:
    """Tell the kitchen once a day how many samples may be thrown away."""
    number = session().scalar(select(func.count()).select_from(due(unit_id).limit(500).subquery())) or 0
    if number:
        people = [user_id for user_id, _name in accounts.holders(CATERERS, unit_id)]
        with transaction():
            tell_people(unit_id, DUE, people, _("%(count)d samples may be thrown away", count=number))


def declared() -> list[Periodic]:
    """Return the recurring work."""
    return [Periodic("hotel.samples", _l("Remind of food samples"), remind, hour=9)]

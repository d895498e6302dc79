"""Who may use which kind of tool (R33-2.1), and who keeps special ones (R15-17)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from core.sdk import (
    Field,
    InvalidData,
    Refusal,
    Refused,
    clean,
    current_scope,
    fetch,
    local_day,
    may,
    read_id,
    require,
    session,
)

from . import forms, kinds, values
from .models import Permit
from .rights import DECIDE, KEEP

FIELDS = (
    Field("user_id", "text", _l("Employee"), True, max_length=60),
    Field("kind_id", "text", _l("Kind of tool"), True, max_length=80),
    Field("what", "choice", _l("What it allows"), True, values.PERMITS, default=values.USE_PERMIT),
    Field("starts_on", "date", _l("Valid from"), help=_l("Leave empty for today")),
    Field("ends_on", "date", _l("Valid until"), help=_l("Leave empty for a permit without an end")),
    Field(
        "basis",
        "text",
        _l("Training or paper"),
        True,
        max_length=200,
        help=_l("When and by whom the person was trained, or the number of the certificate"),
    ),
)
END_FIELDS = (
    Field(
        "ended_on", "date", _l("Taken back on"), help=_l("Leave empty for today; it does not hold from this day")
    ),
    Field("reason", "text", _l("Reason"), True, max_length=300),
)


def _may_grant(unit_id: int) -> None:
    if not may(DECIDE, unit_id):
        require(KEEP, unit_id)


def grant(unit_id: int, raw: Mapping[str, Any]) -> Permit:
    """Let a person of the staff use a kind of tool, or keep one of special tools (``KEEP`` or ``DECIDE``).

    Raises:
        NotAllowed, InvalidData: beside the field: not of the staff, unknown kind, days in the wrong order, a permit
        that holds on one of these days already, or a registered keeper for tools that are not special.
    """
    _may_grant(unit_id)
    given = clean(FIELDS, raw)
    errors: dict[str, Any] = {}
    try:
        user_id = forms.staff_id(unit_id, given["user_id"], "user_id")
    except InvalidData as bad:
        user_id, errors = 0, dict(bad.errors)
    kind = kinds.find_kind(unit_id, given["kind_id"])
    if kind is None or not kind.active:
        errors["kind_id"] = _l("There is no such kind of tool here")
    elif given["what"] == values.KEEP_PERMIT and kind.category != values.SPECIAL:
        errors["what"] = _l("Only special tools have registered keepers")
    starts_on = given["starts_on"] or local_day(unit_id)
    if given["ends_on"] is not None and given["ends_on"] < starts_on:
        errors["ends_on"] = _l("This is before it begins")
    if errors or kind is None:
        raise InvalidData(errors)
    made = Permit(
        unit_id=unit_id,
        user_id=user_id,
        kind_id=kind.id,
        what=given["what"],
        starts_on=starts_on,
        ends_on=given["ends_on"],
        basis=given["basis"],
        granted_by=current_scope().actor_id,
    )
    if _overlaps(made):
        raise InvalidData({"user_id": _l("This person has such a permit on these days already")})
    session().add(made)
    session().flush()
    return made


def _overlaps(made: Permit) -> bool:
    held = select(Permit).where(
        Permit.unit_id == made.unit_id,
        Permit.user_id == made.user_id,
        Permit.kind_id == made.kind_id,
        Permit.what == made.what,
        or_(Permit.ends_on.is_(None), Permit.ends_on >= made.starts_on),
        or_(Permit.ended_on.is_(None), Permit.ended_on > made.starts_on),
    )
    if made.ends_on is not None:
        held = held.where(Permit.starts_on <= made.ends_on)
    return session().scalars(held.limit(1)).first() is not None


def end(permit: Permit, raw: Mapping[str, Any]) -> Permit:
    """Take a permit back (``KEEP`` or ``DECIDE``): ``END_FIELDS``.

    Raises:
        NotAllowed, InvalidData: a day to come, or before it began. Refused: it was taken back already.
    """
    _may_grant(permit.unit_id)
    if permit.ended_on is not None:
        raise Refused([Refusal("tools.permit_ended", _l("This permit was taken back already"))])
    given = clean(END_FIELDS, raw)
    today = local_day(permit.unit_id)
    day = given["ended_on"] or max(today, permit.starts_on)
    if given["ended_on"] is not None and day > today:
        raise InvalidData({"ended_on": _l("This date lies in the future")})
    if day < permit.starts_on:
        raise InvalidData({"ended_on": _l("This is before it begins")})
    permit.ended_on, permit.reason = day, given["reason"]
    session().flush()
    return permit


def get(raw_id: object) -> Permit:
    """Return a permit by an id from a request (raises NotFound)."""
    return fetch(Permit, read_id(raw_id) or 0)


def holds_on(permit: Permit, day: date) -> bool:
    """Tell whether a permit holds on a day."""
    ended = permit.ended_on is not None and permit.ended_on <= day
    return permit.starts_on <= day and (permit.ends_on is None or day <= permit.ends_on) and not ended


def holds(user_id: int, kind_id: int, what: str, day: date) -> bool:
    """Tell whether a person has a permit for a kind of tool on a day (R33-2.1, R15-17)."""
    mine = select(Permit).where(Permit.user_id == user_id, Permit.kind_id == kind_id, Permit.what == what)
    return any(holds_on(one, day) for one in session().scalars(mine))

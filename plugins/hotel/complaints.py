"""Guests' complaints (宾客投诉): taken down, answered, solved within the hotel day (R06-11, R06-18, JD-2, JD-2b).

``contact`` is how a guest may be reached. It stands in one column only: in no fact, notice, list, search or file,
and is emptied when it is no longer needed (JD-12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from core.sdk import (
    OPEN_CATEGORIES,
    Field,
    InvalidData,
    Place,
    Record,
    RecordType,
    answered_before,
    clean,
    clock,
    create_record,
    fetch,
    publish,
    remember_answer,
    session,
    transaction,
)

from . import days, orders, values
from .complaint_flow import CODE, WORKFLOW
from .models import Complaint
from .rights import DESK, VIEW

_BY_HAND = tuple(one for one in values.CHANNELS if one[0] != values.GUEST)
FIELDS = (
    Field("place", "text", _l("Place"), max_length=200, help=_l("Scan or type its code, such as 0801")),
    Field(
        "category",
        "choice",
        _l("Category"),
        choices=values.CATEGORIES,
        help=_l("Empty: that of the place"),
        clause="R06-2",
    ),
    Field("channel", "choice", _l("Came by way of"), True, _BY_HAND),
    Field("text", "long", _l("What the guest says"), True, max_length=2000),
    Field(
        "contact",
        "text",
        _l("How to reach the guest"),
        max_length=80,
        help=_l("Only if the guest wishes an answer; it is deleted some time after the complaint ended"),
    ),
)


def register(
    unit_id: int, raw: Mapping[str, Any], *, channel: str = "", permission: str = DESK, key: str = ""
) -> Record:
    """Take a complaint down: ``FIELDS`` (``place``: an id as a number, else its code or a scanned label).

    The clocks begin: answered within 30 minutes, day and night (JD-2), solved by the end of the hotel day.

    Raises:
        NotAllowed: the actor lacks ``permission``.
        InvalidData: beside the field; the place is unknown, or neither place nor category is given.
    """
    wanted = [one for one in FIELDS if not (channel and one.name == "channel")]
    given = clean(wanted, raw)
    with transaction():
        before = answered_before(unit_id, key, "hotel.complaint", dict(raw))
        if before is not None:
            return fetch(Record, before["record"])
        place = orders.read_place(unit_id, raw.get("place")) if raw.get("place") else None
        record = _create(unit_id, _detail(unit_id, given, place, channel), place, permission)
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _detail(unit_id: int, given: Mapping[str, Any], place: Place | None, channel: str) -> Complaint:
    category = given["category"] or (orders.category_of(place) if place is not None else "")
    if not category:
        raise InvalidData({"category": _l("Give the place, or the category")})
    ends = days.day_ends(unit_id)
    return Complaint(
        place_id=place.id if place is not None else None,
        category=category,
        channel=channel or given["channel"],
        text=given["text"],
        contact=given["contact"] or "",
        reported_at=clock.now(),
        day_ends=ends.hour * 3600 + ends.minute * 60,
    )


def _create(unit_id: int, detail: Complaint, place: Place | None, permission: str) -> Record:
    return create_record(
        TYPE,
        unit_id,
        detail,
        title=" ".join((place.code if place is not None else "", *detail.text.split())).strip()[:120],
        customer_id=None,
        received_at=detail.reported_at,
        permission=permission,
        facts=[("registered", {"channel": detail.channel, "category": detail.category})],
        priority=2,
    )


# --- reading -------------------------------------------------------------------------------------


def _open() -> Select[Complaint]:
    return (
        select(Complaint)
        .join(Complaint.record)
        .where(Record.category.in_(OPEN_CATEGORIES))
        .options(contains_eager(Complaint.record))
    )


def of_place(place_id: int, limit: int = 20) -> Sequence[Complaint]:
    """Return the newest complaints about a place."""
    mine = select(Complaint).where(Complaint.place_id == place_id).order_by(Complaint.reported_at.desc())
    return session().scalars(mine.limit(limit)).all()


def open_of_place(place_id: int, limit: int = 20) -> Sequence[Complaint]:
    """Return the complaints about a place that are still open, the oldest first."""
    mine = _open().where(Complaint.place_id == place_id).order_by(Complaint.id)
    return session().scalars(mine.limit(limit)).all()


def search_text(record: Record, detail: Any) -> str:
    """Return the words a complaint is found by; never how the guest is reached."""
    return "\n".join((record.number, record.title))


TYPE = RecordType(
    CODE,
    _l("Guest complaint"),
    "KS",
    Complaint,
    WORKFLOW,
    search_text,
    intake=FIELDS,
    register=register,
    files=VIEW,
    readers=(VIEW, DESK),
    concerns=lambda record, user_id: record.assignee_id == user_id,
)

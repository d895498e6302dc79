"""What guests report by the code in their room (扫码报修), without signing in; the codes themselves.

A code says which room it hangs in and nothing else: the page shows no state, no names, nothing that others
reported. What comes in is an order or a complaint, once for each form.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import false, select

from core.sdk import (
    Field,
    Place,
    Record,
    Refusal,
    Refused,
    clean,
    fetch,
    require,
    session,
    transaction,
)

from . import complaints, orders, values
from .models import HotelPlace
from .rights import REPORT, SETUP

# Small letters and digits that are not mistaken for others; 31 ** 14 codes.
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"
LENGTH = 14
COMPLAINT = "complaint"
ABOUT = (
    ("repair", _l("Something does not work")),
    ("cleaning", _l("Please clean")),
    ("supply", _l("Something is missing")),
    (COMPLAINT, _l("I am not content")),
    ("other", _l("Something else")),
)
FIELDS = (
    Field("about", "choice", _l("What is it about?"), True, ABOUT),
    Field("text", "long", _l("Please tell us"), True, max_length=500),
    Field(
        "contact",
        "text",
        _l("How may we reach you?"),
        max_length=80,
        help=_l("Only if you wish an answer. Used for nothing else, and deleted some time after"),
    ),
)


# --- reporting -----------------------------------------------------------------------------------


def place_of(code: str) -> Place:
    """Return the place of a code, inside the unit's scope.

    Raises:
        NotFound: there is none (any more).
    """
    row = session().scalars(_by_code(code)).first()
    return fetch(Place, row.place_id if row is not None else None)


def unit_of(parts: Mapping[str, Any]) -> int | None:
    """Return the unit of the code in an address, None where nothing has this code or the place is closed."""
    row = session().scalars(_by_code(str(parts.get("code", "")))).first()
    return row.unit_id if row is not None and row.place.active else None


def _by_code(code: str) -> Any:
    if not set(code) <= set(LETTERS):  # never one of ours; databases do not take every character, either
        return select(HotelPlace).where(false())
    known = HotelPlace.guest_code == code, HotelPlace.guest_code != ""
    return select(HotelPlace).where(*known).limit(1)


def report(place: Place, raw: Mapping[str, Any], *, key: str) -> Record:
    """Take down what a guest says, as a complaint or an order; the same form (``key``) again changes nothing.

    Raises:
        InvalidData: beside the field: nothing said, too long, not one of the list.
    """
    given = clean(FIELDS, raw)
    said = {"place": place.id, "text": given["text"]}
    if given["about"] == COMPLAINT:
        return complaints.register(
            place.unit_id,
            {**said, "contact": given["contact"]},
            channel=values.GUEST,
            permission=REPORT,
            key=key,
        )
    # An order keeps nothing of the guest: housekeeping comes to the room anyway.
    return orders.register(
        place.unit_id, {**said, "kind": given["about"]}, source=values.GUEST, permission=REPORT, key=key
    )


# --- codes ---------------------------------------------------------------------------------------


def make_code(row_id: object, *, renew: bool = False) -> HotelPlace:
    """Give a place its code for guests (``SETUP``); one that is there stays, unless it is renewed.

    A new code makes the one on the wall worthless, which is what renewing is for.

    Raises:
        NotFound, NotAllowed. Refused: the place is no longer in use.
    """
    with transaction():
        row = _locked(row_id)
        if not row.place.active:
            raise Refused([Refusal("gone", _l("%(place)s is no longer in use", place=row.place.code))])
        if not row.guest_code or renew:
            row.guest_code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        return row


def revoke_code(row_id: object) -> HotelPlace:
    """Take a place's code for guests away (``SETUP``): whoever scans it finds nothing.

    Raises:
        NotFound, NotAllowed.
    """
    with transaction():
        row = _locked(row_id)
        if row.guest_code:
            row.guest_code = ""
        return row


def find_row(row_id: object) -> HotelPlace | None:
    """Return a place that has a code, for its label."""
    row: HotelPlace = fetch(HotelPlace, row_id)
    return row if row.guest_code else None


def _locked(row_id: object) -> HotelPlace:
    row: HotelPlace = fetch(HotelPlace, row_id)
    require(SETUP, row.unit_id)
    wanted = select(HotelPlace).where(HotelPlace.id == row.id).with_for_update(of=HotelPlace)
    return session().scalars(wanted.execution_options(populate_existing=True)).one()

"""Who speaks for a side of a hand-over: the person themselves, by PIN on the keeper's device, or a paper (GJ-4).

Nobody says yes for somebody else, whatever their position: a store speaks through whoever may keep tools.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import (
    InvalidData,
    NotAllowed,
    Record,
    Refusal,
    Refused,
    clock,
    current_scope,
    holds,
    keep_file,
    may,
    pins,
    put_file,
    read_signature,
    require,
)

from . import values
from .models import Handover, Party
from .parties import party_name
from .rights import KEEP, OWN
from .values import BY_PIN, ON_PAPER, OWN_DEVICE

GIVER, TAKER = "giver", "taker"
SIDES = (GIVER, TAKER)
BOTH_SIDES = "GJ-4"  # the clause by which both sides accept, with PIN and signature on the keeper's device
PEOPLE = (values.PERSON, values.DEPARTMENT)


@dataclass(frozen=True)
class Word:
    """How somebody says yes: ``proof`` of a PIN, a drawn ``signature`` (data URL), the number of a ``paper``."""

    proof: pins.Proof | None = None
    signature: str = ""
    means: str = ""
    paper: str = ""


@dataclass(frozen=True)
class Voice:
    """A side's yes or no: whose it is and by which means."""

    user_id: int | None
    means: str


def party_of(handover: Handover, side: str) -> Party:
    """Return the party of a side."""
    return handover.giver if side == GIVER else handover.taker


def said(handover: Handover, side: str) -> Any:
    """Return when a side said yes, or None."""
    return handover.giver_at if side == GIVER else handover.taker_at


def voice(party: Party, word: Word, side: str = "") -> Voice:
    """Return who speaks for a party now; as the receiver (``side``) nobody does for a person who left.

    Raises:
        NotAllowed: a store, or a paper of people outside, without ``KEEP``.
        Refused: the actor is not the person, and no PIN of theirs proves they are here (GJ-4).
        InvalidData: ``paper`` or ``signature`` is missing.
    """
    actor = current_scope().actor_id
    if party.kind == values.STORE:
        require(KEEP, party.unit_id)
        return Voice(actor, OWN_DEVICE)
    if party.kind in PEOPLE and word.means != ON_PAPER:
        return _of_person(party, word, actor)
    if party.kind == values.PERSON and (side == TAKER or not has_left(party)):
        raise Refused([_not_yours(party)])
    require(KEEP, party.unit_id)
    if not word.paper.strip():
        raise InvalidData({"paper": _l("Please enter the number of the paper they signed")})
    return Voice(actor, ON_PAPER)


def _of_person(party: Party, word: Word, actor: int | None) -> Voice:
    if word.proof is None:
        if actor is None or party.user_id != actor:
            raise Refused([_not_yours(party)])
        require(OWN, party.unit_id)
        return Voice(actor, OWN_DEVICE)
    if word.proof.user_id != party.user_id:
        raise Refused([_not_yours(party)])
    if not (may(KEEP, party.unit_id) or may(OWN, party.unit_id)):
        raise NotAllowed(KEEP)
    return Voice(word.proof.user_id, BY_PIN)


def has_left(party: Party) -> bool:
    """Tell whether a person can neither sign in nor type a PIN any more: what they left behind goes by a paper."""
    return party.kind == values.PERSON and (party.user is None or not party.user.active)


def require_signature(unit_id: int, how: Voice, word: Word) -> None:
    """On somebody else's device the PIN alone is not enough: the name is drawn, too (GJ-4).

    Raises:
        InvalidData: beside ``signature``.
    """
    if how.means == BY_PIN and not word.signature and holds(unit_id, BOTH_SIDES):
        raise InvalidData({"signature": _l("Please sign in the box")})


def _not_yours(party: Party) -> Refusal:
    text = _l("Only %(name)s can say this: signed in, or here with their own PIN", name=party_name(party))
    return Refusal("not_yours", text, BOTH_SIDES)


def keep_signature(record: Record, side: str, text: str) -> int | None:
    """Keep a drawn signature with the locked record of a hand-over; return the attachment's id.

    Raises:
        InvalidData: beside ``signature``.
    """
    if not text:
        return None
    try:
        name = f"{side}-{clock.now():%Y%m%d-%H%M%S}.png"
        kept = keep_file(name, io.BytesIO(read_signature(text)))
    except InvalidData:
        raise InvalidData({"signature": _l("Please sign in the box")}) from None
    return put_file(record, kept, kind="signature").id


def keeps(party: Party) -> bool:
    """Tell whether a party is a store the actor may speak for."""
    return party.kind == values.STORE and may(KEEP, party.unit_id)


def speaks_for(party: Party, user_id: int | None) -> bool:
    """Tell whether somebody is the person (or a department's signer) that a party is."""
    return user_id is not None and party.kind in PEOPLE and party.user_id == user_id

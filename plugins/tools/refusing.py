"""Saying no to a hand-over, to all of it or line by line, and taking an offer back: nothing moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Fact,
    InvalidData,
    NotAllowed,
    Record,
    Refusal,
    Refused,
    answered_before,
    current_scope,
    label_of,
    lock,
    may,
    notify,
    perform,
    remember_answer,
    session,
    transaction,
)

from . import sides, values
from .handover_rows import fetch_handover, locked, open_of_tool
from .models import Handover, HandoverLine
from .rights import CLEAR, KEEP
from .sides import GIVER, TAKER, Word
from .values import REFUSED_LINE


def refuse(
    record_id: object,
    reason: str,
    *,
    line_ids: Iterable[int] | None = None,
    proof: Any = None,
    key: str = "",
) -> Record:
    """Refuse a hand-over or some of its lines, for either side: what is refused stays where it is.

    Raises:
        NotFound. InvalidData: beside ``reason`` or ``lines``.
        Refused: decided already, or the actor speaks for neither side.
    """
    reason = _reason(reason)
    raw = {"reason": reason, "lines": line_ids and sorted(line_ids), "proof": proof and proof.user_id}
    with transaction():
        seen = fetch_handover(record_id)
        if answered_before(seen.unit_id, key, f"tools.refuse:{seen.id}", raw):
            return seen
        record, handover, lines = locked(seen.id)
        require_offered(record)
        _require_a_side(handover, Word(proof))
        named = {line.id for line in lines} if line_ids is None else set(line_ids)
        refuse_some(record, lines, None, dict.fromkeys(named, reason))
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def withdraw(record_id: object, reason: str) -> Record:
    """Take an offer back: who offered it, or a keeper (at a clearance or transfer whoever clears people, too).

    Raises:
        NotFound. NotAllowed. InvalidData: beside ``reason``. Refused: decided already.
    """
    reason = _reason(reason)
    with transaction():
        record, handover, lines = locked(fetch_handover(record_id).id)
        require_offered(record)
        clearing = handover.kind == values.TRANSFER or handover.clearance_id is not None
        allowed = may(KEEP, record.unit_id) or (clearing and may(CLEAR, record.unit_id))
        if not (allowed or _offered_by_actor(record)):
            raise NotAllowed(KEEP)
        for line in lines:
            line.state = values.WITHDRAWN
        perform(record.id, "withdraw", {"reason": reason}, permitted=True)
        _tell(record, handover, "tools.withdrawn", reason)
        return record


def leave(tool_id: int, reason: str) -> None:
    """Take a tool that is gone off the open hand-over it stands on: its line is refused, the others wait on.

    The tool's record is locked by the step that follows from; whoever accepts waits for it.
    """
    line = open_of_tool(tool_id)
    if line is None:
        return
    record = lock(line.handover_id)
    mine = HandoverLine.handover_id == record.id, HandoverLine.state == values.OPEN_LINE
    wanted = select(HandoverLine).where(*mine).options(joinedload(HandoverLine.handover))
    lines = session().scalars(wanted.execution_options(populate_existing=True)).all()
    gone = [one.id for one in lines if one.tool_id == tool_id]
    refuse_some(record, lines, None, dict.fromkeys(gone, reason))


def _reason(text: str) -> str:
    text = (text or "").strip()
    if not text:
        raise InvalidData({"reason": _l("Please say why")})
    return text[:300]


def refuse_some(
    record: Record, lines: Sequence[HandoverLine], accepted: Iterable[int] | None, refused: Mapping[int, str]
) -> list[HandoverLine]:
    """Refuse the lines that are named or not accepted; return what is left open."""
    taken = {line.id for line in lines} - set(refused) if accepted is None else set(accepted)
    if not {*taken, *refused} <= {line.id for line in lines} or taken & set(refused):
        raise InvalidData({"lines": _l("Please choose lines of this hand-over that are still open")})
    gone = [line for line in lines if line.id not in taken]
    if not gone:
        return list(lines)
    for line in gone:
        line.state, line.reason = REFUSED_LINE, (refused.get(line.id) or "").strip()[:300]
    session().flush()
    words = "; ".join(dict.fromkeys(line.reason for line in gone if line.reason))
    step = "refuse_lines" if taken else "refuse"
    perform(record.id, step, {"reason": words[:300]}, permitted=True)
    _tell(record, gone[0].handover, "tools.refused", words)
    return [line for line in lines if line.id in taken]


def require_offered(record: Record) -> None:
    """Pass while a hand-over waits.

    Raises:
        Refused: it was decided: handed over, refused or withdrawn.
    """
    if record.state != values.OFFERED:
        state = label_of(values.HANDOVER_STATES, record.state)
        text = _l("%(number)s was decided already: %(state)s", number=record.number, state=state)
        raise Refused([Refusal("decided", text)])


def _require_a_side(handover: Handover, word: Word) -> None:
    """Pass if the actor (or a PIN) speaks for one of the sides."""
    against: Refused | None = None
    for side in (TAKER, GIVER):
        party = sides.party_of(handover, side)
        if party.kind in (values.REPAIRER, values.SCRAP):
            continue
        try:
            sides.voice(party, word)
        except Refused as refused:
            against = against or refused
        except NotAllowed:
            continue
        else:
            return
    raise against or NotAllowed(KEEP)


def _tell(record: Record, handover: Handover, kind: str, text: str) -> None:
    who = {handover.giver.user_id, handover.taker.user_id, _offerer(record)}
    notify(record, kind, [one for one in who if one is not None], text)


def _offerer(record: Record) -> int | None:
    first = select(Fact.actor_id).where(Fact.record_id == record.id, Fact.seq == 1)
    return session().scalar(first)


def _offered_by_actor(record: Record) -> bool:
    actor = current_scope().actor_id
    return actor is not None and _offerer(record) == actor

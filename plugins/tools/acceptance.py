"""Both sides of a hand-over say yes, line by line if they like; with the second yes everything moves at once.

The records of the tools are locked in the order of their ids before anything is looked at, then the hand-over:
two at once wait for each other, and the second meets what the first one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Fact,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refusal,
    Refused,
    answered_before,
    clock,
    current_scope,
    fetch,
    label_of,
    lock,
    may,
    notify,
    perform,
    remember_answer,
    require_clause,
    session,
    transaction,
)

from . import applications, custody, flow, sides, stock, values
from .handover_flow import CODE, step_of_taker
from .models import Application, Handover, HandoverLine, Party, Tool
from .plan import ACCEPT, Plan
from .rights import CLEAR, KEEP, VIEW
from .sides import GIVER, SIDES, TAKER, Voice, Word
from .values import ACCEPTED_LINE, OPEN_LINE, REFUSED_LINE

CHUNK = 500
_BROKEN = (values.DAMAGED, values.INCOMPLETE)
Conditions = Mapping[int, str]


# --- saying yes ----------------------------------------------------------------------------------


def accept(
    record_id: object,
    *,
    side: str = "",
    line_ids: Iterable[int] | None = None,
    refused: Mapping[int, str] | None = None,
    proof: Any = None,
    signature: str = "",
    means: str = "",
    paper: str = "",
    conditions: Conditions | None = None,
    ticks: Mapping[str, Sequence[str]] | None = None,
    key: str = "",
) -> Record:
    """Say yes for a side (``''``: the one that is missing); when both did, the tools move in this transaction.

    ``line_ids`` are the lines accepted (None: all that ``refused`` does not name); the others are refused and stay
    where they were. ``proof`` is a PIN's (``pins.prove``, outside a transaction), ``signature`` a PNG's data URL.
    ``conditions`` are by tool id as the receiver saw them, ``ticks`` the items ticked by field.

    Raises:
        NotFound: no hand-over of this unit, or none of the actor's business.
        NotAllowed, InvalidData: beside ``signature``, ``paper``, ``lines``, ``conditions``.
        Refused: every reason at once: decided already, not theirs to say (GJ-4), not in the giver's hands, clauses.
    """
    word = Word(proof, signature, means, paper)
    raw = {"side": side, "lines": line_ids and sorted(line_ids), "refused": refused, "ticks": ticks}
    raw |= {"word": asdict(word), "conditions": conditions}
    with transaction():
        seen = fetch_handover(record_id)
        if answered_before(seen.unit_id, key, f"tools.accept:{seen.id}", raw):
            return seen
        record, handover, lines = locked(seen.id)
        chosen = side or _missing(handover)
        _require_open(record, handover, chosen)
        how = sides.voice(sides.party_of(handover, chosen), word)
        sides.require_signature(record.unit_id, how, word)
        with session().begin_nested():
            left = _refuse_some(record, lines, line_ids, refused or {})
            if left:
                say(record, handover, left, chosen, how, word, conditions=conditions, ticks=ticks)
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def say(
    record: Record,
    handover: Handover,
    lines: Sequence[HandoverLine],
    side: str,
    how: Voice,
    word: Word,
    *,
    conditions: Conditions | None = None,
    ticks: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Enter a side's yes for open lines of a locked hand-over, and hand over when it was the second one.

    Raises:
        Refused: every reason at once. InvalidData: beside ``conditions`` or ``signature``.
    """
    at = clock.now()
    _note_conditions(lines, conditions or {})
    last = sides.said(handover, TAKER if side == GIVER else GIVER) is not None
    against: list[Refusal] = []
    if side == TAKER or last:
        plan = plan_of(handover, lines, at, conditions if side == TAKER else _conditions(lines))
        against = reasons_against(plan, ACCEPT, record)
    step = "agree" if side == GIVER else step_of_taker(handover.kind)
    try:
        perform(record.id, step, {"means": how.means, "paper": word.paper, **(ticks or {})}, permitted=True)
    except Refused as more:
        against += more.refusals
    if against:
        raise Refused(against)
    kept = sides.keep_signature(record, side, word.signature)
    _enter(handover, side, how, at, kept)
    if last:
        _hand_over(record, handover, lines, at)


def _enter(handover: Handover, side: str, how: Voice, at: datetime, signature_id: int | None) -> None:
    if side == GIVER:
        handover.giver_by, handover.giver_at, handover.giver_means = how.user_id, at, how.means
        handover.giver_signature_id = signature_id
    else:
        handover.taker_by, handover.taker_at, handover.taker_means = how.user_id, at, how.means
        handover.taker_signature_id = signature_id
    session().flush()


def _missing(handover: Handover) -> str:
    return GIVER if handover.giver_at is None and handover.taker_at is not None else TAKER


def _require_open(record: Record, handover: Handover, side: str) -> None:
    if side not in SIDES:
        raise InvalidData({"side": _l("Please choose one of the list")})
    require_offered(record)
    if sides.said(handover, side) is not None:
        raise Refused([Refusal("said", _l("This side has said yes already; the other one is still to answer"))])


def require_offered(record: Record) -> None:
    """Pass while a hand-over waits.

    Raises:
        Refused: it was decided: handed over, refused or withdrawn.
    """
    if record.state != values.OFFERED:
        state = label_of(values.HANDOVER_STATES, record.state)
        text = _l("%(number)s was decided already: %(state)s", number=record.number, state=state)
        raise Refused([Refusal("decided", text)])


def _note_conditions(lines: Sequence[HandoverLine], conditions: Conditions) -> None:
    by_tool = {line.tool_id: line for line in lines}
    for tool_id, code in conditions.items():
        if label_of(values.CONDITIONS, code) is code:
            raise InvalidData({"conditions": _l("Please choose one of the list")})
        if tool_id in by_tool:
            by_tool[tool_id].condition = code


def _conditions(lines: Sequence[HandoverLine]) -> dict[int, str]:
    return {line.tool_id: line.condition for line in lines if line.tool_id is not None}


# --- what stands against it ----------------------------------------------------------------------


def plan_of(
    handover: Handover, lines: Sequence[HandoverLine], at: datetime, conditions: Conditions | None = None
) -> Plan:
    """Return a hand-over as gates see it, with what is left of its lines."""
    application = None
    if handover.application_id is not None:
        mine = select(Application).where(Application.id == handover.application_id)
        application = session().scalars(mine).first()
    return Plan(
        unit_id=handover.unit_id,
        kind=handover.kind,
        giver=handover.giver,
        taker=handover.taker,
        at=at,
        tools=[line.tool for line in lines if line.tool is not None],
        parts=[(line.kind, line.quantity) for line in lines if line.tool_id is None],
        due_at=handover.due_at,
        application=application,
        clearance_id=handover.clearance_id,
        conditions=dict(conditions or {}),
    )


def reasons_against(plan: Plan, name: str, record: Record | None = None) -> list[Refusal]:
    """Return every reason against a plan: clauses, tools the giver does not hold, states that do not allow it."""
    against: list[Refusal] = []
    try:
        require_clause(name, plan.unit_id, plan, record)
    except Refused as refused:
        against = list(refused.refusals)
    told = bool(against)
    held = custody.spells(tool.id for tool in plan.tools)
    for tool in plan.tools:
        spell = held.get(tool.id)
        if spell is None or spell.party_id != plan.giver.id:
            against.append(Refusal("not_held", custody.not_held_text(tool, plan.giver, spell)))
        elif plan.at < spell.starts_at:
            text = _l("%(tool)s came to its present holder later than this", tool=tool.code)
            against.append(Refusal("order", text))
        state = tool.record.state
        if state in flow.WORKFLOW.transitions[step_of_tool(plan, tool)].sources:
            continue
        # Of a tool that waits for its acceptance or is defective a clause says it better.
        if not (told and state in (values.NEW, values.DEFECTIVE)):
            label = label_of(values.TOOL_STATES, state)
            text = _l("Not possible with %(tool)s: its state is “%(state)s”", tool=tool.code, state=label)
            against.append(Refusal("state", text))
    return against


_STEPS = {
    values.ISSUE: "issue",
    values.OPENING: "issue",
    values.USE: "take",
    values.LOAN: "lend",
    values.LEND: "lend_on",
    values.TRANSFER: "hand_on",
    values.MOVE: "move",
    values.REPAIR: "send_repair",
    values.DISPOSE: "dispose",
}


def step_of_tool(plan: Plan, tool: Tool) -> str:
    """Return the step that a tool takes when a plan is carried out."""
    defective = tool.record.state == values.DEFECTIVE
    if plan.kind == values.RETURN:
        if plan.taker.kind == values.PERSON:  # back to the colleague who lent it on
            return "hand_on" if defective else "give_back"
        return "return_defective" if defective else "return"
    if plan.kind == values.REPAIRED:
        return "come_back_defective" if plan.conditions.get(tool.id) in _BROKEN else "come_back"
    return _STEPS[plan.kind]


# --- handing over --------------------------------------------------------------------------------


def _hand_over(record: Record, handover: Handover, lines: Sequence[HandoverLine], at: datetime) -> None:
    plan = plan_of(handover, lines, at, _conditions(lines))
    for line in sorted(lines, key=lambda one: (one.tool_id or 0, one.kind_id)):
        if line.tool is None:
            stock.move(line.kind, plan.giver, plan.taker, line.quantity, stock.HANDED, handover=handover)
        else:
            _move(record, handover, plan, line, line.tool)
        line.state = ACCEPTED_LINE
    session().flush()
    if plan.application is not None:
        quantity = sum(int(line.quantity) for line in lines if line.kind_id == plan.application.kind_id)
        if quantity:
            applications.use(plan.application, quantity, record)
    perform(record.id, "complete", {}, permitted=True)


def _move(record: Record, handover: Handover, plan: Plan, line: HandoverLine, tool: Tool) -> None:
    given: dict[str, Any] = {"handover": record.number}
    if plan.due_at is not None:
        given["due_at"] = plan.due_at
    perform(tool.id, step_of_tool(plan, tool), given, permitted=True)
    custody.move(tool, plan.giver, plan.taker, plan.at, plan.kind, handover)
    tool.condition = line.condition
    # What comes back broken is not given out again before somebody looked at it (R32-5.3).
    if plan.kind == values.RETURN and line.condition in _BROKEN and tool.record.state == values.IN_STORE:
        note = str(label_of(values.CONDITIONS, line.condition))
        perform(tool.id, "report_defect", {"handover": record.number, "note": note}, permitted=True)


# --- refusing and withdrawing ----------------------------------------------------------------------


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
        _refuse_some(record, lines, None, dict.fromkeys(named, reason))
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def withdraw(record_id: object, reason: str) -> Record:
    """Take an offer back: who offered it, or a keeper (of a transfer whoever clears people, too).

    Raises:
        NotFound. NotAllowed. InvalidData: beside ``reason``. Refused: decided already.
    """
    reason = _reason(reason)
    with transaction():
        record, handover, lines = locked(fetch_handover(record_id).id)
        require_offered(record)
        if not (may(KEEP, record.unit_id) or may(CLEAR, record.unit_id) or _offered_by_actor(record)):
            raise NotAllowed(KEEP)
        for line in lines:
            line.state = values.WITHDRAWN
        perform(record.id, "withdraw", {"reason": reason}, permitted=True)
        _tell(record, handover, "tools.withdrawn", reason)
        return record


def _reason(text: str) -> str:
    text = (text or "").strip()
    if not text:
        raise InvalidData({"reason": _l("Please say why")})
    return text[:300]


def _refuse_some(
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


# --- finding and locking ---------------------------------------------------------------------------


def fetch_handover(record_id: object) -> Record:
    """Fetch a hand-over the actor may see: their own, or with a permission to see tools.

    Raises:
        NotFound: no such one, or none of theirs.
    """
    record = fetch(Record, record_id)
    if record.type != CODE or not _concerns(record):
        raise NotFound()
    return record


def _concerns(record: Record) -> bool:
    if any(may(right, record.unit_id) for right in (VIEW, KEEP, CLEAR)):
        return True
    actor = current_scope().actor_id
    ends = select(Party.id).join(Handover, Party.id.in_((Handover.giver_id, Handover.taker_id)))
    mine = ends.where(Handover.id == record.id, Party.user_id == actor, Party.kind.in_(sides.PEOPLE))
    return actor is not None and session().scalars(mine.limit(1)).first() is not None


def lock_tools(tool_ids: Iterable[int]) -> None:
    """Lock the records of tools in the order of their ids, a few hundred a statement."""
    ids = sorted(set(tool_ids))
    for start in range(0, len(ids), CHUNK):
        wanted = select(Record).where(Record.id.in_(ids[start : start + CHUNK])).order_by(Record.id)
        session().scalars(wanted.with_for_update().execution_options(populate_existing=True)).all()


def locked(record_id: int) -> tuple[Record, Handover, list[HandoverLine]]:
    """Lock a hand-over's tools and then itself; return it, its details and its open lines, as they are now."""
    mine = HandoverLine.handover_id == record_id
    lock_tools(one for one in session().scalars(select(HandoverLine.tool_id).where(mine)) if one is not None)
    record = lock(record_id)
    fresh = {"populate_existing": True}
    detail = select(Handover).where(Handover.id == record_id).execution_options(**fresh)
    handover = session().scalars(detail.options(joinedload(Handover.giver), joinedload(Handover.taker))).one()
    wanted = select(HandoverLine).where(mine, HandoverLine.state == OPEN_LINE).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool).joinedload(Tool.kind), joinedload(HandoverLine.kind))
    lines = session().scalars(wanted.options(*whole).execution_options(**fresh)).all()
    return record, handover, list(lines)

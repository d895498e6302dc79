"""Both sides of a hand-over say yes, line by line if they like; with the second yes everything moves at once.

The records of the tools are locked in the order of their ids before anything is looked at, then the hand-over:
two at once wait for each other, and the second meets what the first one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from math import ceil
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Fact,
    InvalidData,
    Record,
    Refusal,
    Refused,
    answered_before,
    append_fact,
    clock,
    current_scope,
    label_of,
    perform,
    remember_answer,
    session,
    transaction,
)

from . import applications, custody, flow, sides, stock, values
from .handover_flow import CODE, CONFIRM, side_of_actor, step_of_taker, ticks_wanted
from .handover_reasons import BROKEN, plan_of, reasons_against, step_of_tool
from .handover_rows import fetch_handover, locked
from .models import Handover, HandoverLine, Tool
from .plan import ACCEPT, Plan
from .refusing import refuse_some, require_offered
from .sides import GIVER, SIDES, TAKER, Voice, Word
from .values import ACCEPTED_LINE

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
        chosen = side or _missing(handover, word)
        _require_open(record, handover, chosen)
        how = sides.voice(sides.party_of(handover, chosen), word, chosen)
        sides.require_signature(record.unit_id, how, word)
        with session().begin_nested():
            left = refuse_some(record, lines, line_ids, refused or {})
            if left:
                say(record, handover, left, chosen, how, word, conditions=conditions, ticks=ticks)
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Carry out the word somebody gave by the step ``confirm`` of a hand-over (the hook of the plugin).

    Raises: as ``accept``.
    """
    if record.type != CODE or transition != CONFIRM:
        return
    handover = session().get_one(Handover, record.id)
    given = facts[0].data
    side = side_of_actor(handover)
    ticks: dict[str, list[str]] = {}
    if given.get("keeps_rules") and side == TAKER:
        for name, code, _words in ticks_wanted(record.unit_id, handover.kind):
            ticks.setdefault(name, []).append(code)
    tools = select(HandoverLine.tool_id).where(
        HandoverLine.handover_id == record.id, HandoverLine.tool_id.is_not(None)
    )
    seen = {key: given["condition"] for key in session().scalars(tools) if given.get("condition") and key}
    accept(record.id, side=side, conditions=seen or None, ticks=ticks)


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
    if side == TAKER:  # who brings it back does not say how it came back
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


def _missing(handover: Handover, word: Word) -> str:
    """Return the side that is still to say yes; where both are, the one that whoever speaks now is."""
    missing = [one for one in (TAKER, GIVER) if sides.said(handover, one) is None]
    speaker = word.proof.user_id if word.proof is not None else current_scope().actor_id
    theirs = (one for one in missing if sides.speaks_for(sides.party_of(handover, one), speaker))
    return next(theirs, missing[0] if missing else TAKER)


def _require_open(record: Record, handover: Handover, side: str) -> None:
    if side not in SIDES:
        raise InvalidData({"side": _l("Please choose one of the list")})
    require_offered(record)
    if sides.said(handover, side) is not None:
        raise Refused([Refusal("said", _l("This side has said yes already; the other one is still to answer"))])


def _note_conditions(lines: Sequence[HandoverLine], conditions: Conditions) -> None:
    by_tool = {line.tool_id: line for line in lines}
    for tool_id, code in conditions.items():
        if label_of(values.CONDITIONS, code) is code:
            raise InvalidData({"conditions": _l("Please choose one of the list")})
        if tool_id in by_tool:
            by_tool[tool_id].condition = code


def _conditions(lines: Sequence[HandoverLine]) -> dict[int, str]:
    return {line.tool_id: line.condition for line in lines if line.tool_id is not None}


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
        quantity = sum(ceil(line.quantity) for line in lines if line.kind_id == plan.application.kind_id)
        if quantity:
            applications.use(plan.application, quantity, record)
    perform(record.id, "complete", {}, permitted=True)


def _move(record: Record, handover: Handover, plan: Plan, line: HandoverLine, tool: Tool) -> None:
    given: dict[str, Any] = {"handover": record.number}
    if plan.due_at is not None:
        given["due_at"] = plan.due_at
        # Who took it answers for bringing it back in time.
        who = {"assignee_id": plan.taker.user_id}
        append_fact(tool.record, flow.WORKFLOW.fact_kinds["assigned"], at=plan.at, data=who)
    perform(tool.id, step_of_tool(plan, tool), given, permitted=True)
    custody.move(tool, plan.giver, plan.taker, plan.at, plan.kind, handover)
    tool.condition = line.condition
    # What comes back broken is not given out again before somebody looked at it (R32-5.3).
    if plan.kind == values.RETURN and line.condition in BROKEN and tool.record.state == values.IN_STORE:
        note = str(label_of(values.CONDITIONS, line.condition))
        perform(tool.id, "report_defect", {"handover": record.number, "note": note}, permitted=True)

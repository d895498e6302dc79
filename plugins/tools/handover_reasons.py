"""What stands against a hand-over, all of it at once: clauses, who holds a tool, its state, what is reserved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from core.sdk import Record, Refusal, Refused, label_of, require_clause, session

from . import custody, flow, parties, values
from .handover_rows import open_lines
from .models import Application, Custody, Handover, HandoverLine, Stock, Tool
from .plan import OFFER, Plan

BROKEN = (values.DAMAGED, values.INCOMPLETE)


def against_offer(plan: Plan) -> list[Refusal]:
    """Return every reason against offering a plan."""
    own = (*_reserved(plan), *_not_lenders(plan), *_opened(plan), *_short(plan))
    return [*reasons_against(plan, OFFER), *own]


def plan_of(
    handover: Handover, lines: Sequence[HandoverLine], at: datetime, conditions: Mapping[int, str] | None = None
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
        return "come_back_defective" if plan.conditions.get(tool.id) in BROKEN else "come_back"
    return _STEPS[plan.kind]


def _reserved(plan: Plan) -> list[Refusal]:
    """Name the tools that stand on another open hand-over."""
    lines = open_lines(tool.id for tool in plan.tools)
    return [
        Refusal(
            "reserved",
            _l(
                "%(tool)s is on hand-over %(number)s, which is still open",
                tool=tool.code,
                number=lines[tool.id].handover.record.number,
            ),
        )
        for tool in plan.tools
        if tool.id in lines
    ]


def _not_lenders(plan: Plan) -> list[Refusal]:
    """A return to a person goes to whoever lent the tool on, nobody else."""
    if plan.kind != values.RETURN or plan.taker.kind == values.STORE:
        return []
    now, before = aliased(Custody), aliased(Custody)
    ids = [tool.id for tool in plan.tools]
    wanted = (
        select(before.tool_id)
        .join(now, and_(now.tool_id == before.tool_id, now.seq == before.seq + 1))
        .where(before.tool_id.in_(ids), now.ends_at.is_(None))
        .where(now.how == values.LEND, before.party_id == plan.taker.id)
    )
    lent = set(session().scalars(wanted))
    who = parties.party_name(plan.taker)
    return [
        Refusal(
            "not_lender",
            _l("%(tool)s was not lent on by %(name)s; bring it back to the store", tool=tool.code, name=who),
        )
        for tool in plan.tools
        if tool.id not in lent
    ]


def _opened(plan: Plan) -> list[Refusal]:
    """An existing list is confirmed once: a tool that moved since it was entered goes out by an issue."""
    if plan.kind != values.OPENING:
        return []
    return [
        Refusal("opened", _l("%(tool)s was handed over before; give it out as usual", tool=tool.code))
        for tool in plan.tools
        if tool.custody_seq > 1
    ]


def _short(plan: Plan) -> list[Refusal]:
    """Name the small parts of which the giver has less."""
    if not plan.parts:
        return []
    mine = select(Stock.kind_id, Stock.quantity).where(Stock.party_id == plan.giver.id)
    has: dict[int, Decimal] = {row.kind_id: row.quantity for row in session().execute(mine)}
    return [
        Refusal(
            "short",
            _l(
                "%(giver)s has %(quantity)s of %(kind)s, not more",
                giver=parties.party_name(plan.giver),
                quantity=has.get(kind.id, Decimal(0)),
                kind=kind.name,
            ),
        )
        for kind, quantity in plan.parts
        if has.get(kind.id, Decimal(0)) < quantity
    ]

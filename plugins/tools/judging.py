"""Who answers for an incident and what it costs them: worked out, approved, and agreed to by the person.

The amount is a line of the core's charges that waits for the clause's position, then for the person's own yes.
Whoever objects sends it back to whoever judges. Nobody is charged for a tool they never confirmed (GJ-3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import and_, func, or_, select

from core.sdk import (
    Charge,
    Conflict,
    Fact,
    InvalidData,
    Line,
    Record,
    Refusal,
    Refused,
    Step,
    User,
    accounts,
    append_fact,
    approvals,
    charges,
    clock,
    current_scope,
    effective,
    holds,
    label_of,
    local_day,
    lock,
    money_math,
    notify,
    penalties,
    perform,
    require_clause,
    session,
    tell_of_fact,
)

from . import compensation, file, values
from .compensation import Figures, Missing, Owed, Terms
from .models import Custody, Handover, Incident, Party, Tool

# The source of the charges, the subject of the approvals, the name under which the gates are asked.
SOURCE, SUBJECT, CHARGE = "tools.incident", "tools.compensation", "tools.charge"
LENDING, BREACHES = "R32-6.2", "R33-10.1"
LIFE_CLAUSE = "R35-5.3"
GENERAL_MANAGER = "gm"
# Facts of a tool after which a new damage is another one.
SOUND_AGAIN = ("repaired",)
OWN_MATTER = _l("Nobody judges what they answer for themselves")
_MISSING = {
    "price": _l("The tool's file has no price; enter what it cost"),
    "bought_on": _l("The tool's file does not say when it was bought; enter the day"),
}


@dataclass(frozen=True)
class Charging:
    """Somebody is to pay for a tool: what the gates of ``CHARGE`` look at."""

    tool: Tool
    user_id: int
    at: datetime


# --- judging -------------------------------------------------------------------------------------


def judge(step: Step) -> None:
    """Keep the judgement; propose the compensation or the penalty it leads to.

    Raises:
        InvalidData: a cause or person is missing, or a figure the clause needs.
        Refused: the person never confirmed that they hold the tool (GJ-3).
    """
    detail, given = step.detail, step.values
    named = detail.user_id if detail.kind == values.BREACH else None  # a breach names them from the start
    detail.judgement, detail.user_id = given["judgement"], given["user"] or named
    detail.clause, detail.amount, detail.agreed_at, detail.settlement = "", None, None, ""
    require_staff(step.record.unit_id, detail.user_id)
    if detail.kind == values.BREACH:
        _propose_penalty(step)
        return
    detail.cause = given["cause"] or ""
    if not detail.cause:
        raise InvalidData({"cause": _l("Please fill this in")})
    if detail.cause in compensation.BY_PEOPLE and detail.user_id is None:
        raise InvalidData({"user": _l("Say who it was")})
    owed = work_out(step.record, detail, given) if detail.user_id is not None else None
    if owed is not None and detail.user_id is not None:
        _propose(step.record, detail, owed, detail.user_id)


def require_staff(unit_id: int, user_id: int | None) -> None:
    """Pass if who answers works here, or is known here as a holder (a leaver whose last day is over).

    Raises:
        InvalidData: under ``user``.
    """
    if user_id is None or any(one.id == user_id for one in accounts.staff_of(unit_id)):
        return
    held = select(Party.id).where(Party.unit_id == unit_id, Party.user_id == user_id)
    if session().scalar(held.limit(1)) is None:
        raise InvalidData({"user": _l("This person does not work in the unit")})


def terms_of(unit_id: int, at: datetime) -> Terms:
    """Return what the clauses about compensation in force in a unit at a moment say."""
    return Terms(
        {one: effective(unit_id, one, at).values for one in compensation.CLAUSES if holds(unit_id, one, at)}
    )


def work_out(record: Record, detail: Incident, given: Any) -> Owed | None:
    """Work out what an incident costs who answers for it, by the clauses as they were when it happened.

    ``given``: ``price`` and ``bought_on`` where the tool's file has none.

    Raises:
        InvalidData: beside the figure that is missing.
    """
    tool = detail.tool
    figures = Figures(
        price=tool.price if tool.price is not None else _whole_cents(given.get("price")),
        current_price=tool.kind.price,
        bought_on=tool.bought_on or given.get("bought_on"),
        life_months=file.life_of(tool, _clause_life(record.unit_id, detail.happened_at)),
    )
    day = local_day(record.unit_id, detail.happened_at)
    terms, leaving = terms_of(record.unit_id, detail.happened_at), detail.clearance_id is not None
    try:
        return compensation.work_out(terms, figures, day, detail.kind, detail.cause, leaving=leaving)
    except Missing as missing:
        raise InvalidData({missing.name: _MISSING[missing.name]}) from None


def _whole_cents(price: Decimal | None) -> Decimal | None:
    return None if price is None else money_math.exact(price, "price")


def _clause_life(unit_id: int, at: datetime) -> int:
    return int(effective(unit_id, LIFE_CLAUSE, at).values["life"])


# --- the proposal --------------------------------------------------------------------------------


def _propose(record: Record, detail: Incident, owed: Owed, user_id: int) -> None:
    owed = _less_what_is_charged(record, detail, owed)
    detail.clause, detail.amount = owed.clause, owed.amount
    if not owed.amount:
        return
    require_clause(CHARGE, record.unit_id, Charging(detail.tool, user_id, detail.happened_at), record)
    line = Line(
        detail.kind,
        _l("Compensation: %(code)s %(name)s", code=detail.tool.code, name=detail.tool.name),
        "employee",
        Decimal(1),
        owed.amount,
        payer_ref=f"user:{user_id}",
    )
    charges.propose(record, owed.clause, _free_source(record.id), [line], owed.inputs, at=detail.happened_at)
    _ask(record, detail, owed)
    notify(record, "tools.judged", [user_id], detail.tool.code)


def _less_what_is_charged(record: Record, detail: Incident, owed: Owed) -> Owed:
    """A tool is charged for once: what is charged for it already, and was not mended since, counts.

    Raises:
        Refused: the same damage is charged under another incident. Conflict: the tool is being worked on.
    """
    hold_tool(detail.tool)
    others = _unmended(detail)
    charged = sum((payable(one.id) for one in others), Decimal(0))
    if not charged:
        return owed
    if detail.kind != values.LOSS:
        numbers = ", ".join(one.record.number for one in others if payable(one.id))
        text = _l(
            "%(tool)s is charged for already and was not repaired since: %(numbers)s",
            tool=detail.tool.code,
            numbers=numbers,
        )
        raise Refused([Refusal("charged", text, owed.clause)])
    price = Decimal(owed.inputs.get("price") or 0)
    amount = max(min(owed.amount, price - charged), Decimal("0.00"))
    return replace(owed, amount=amount, inputs={**owed.inputs, "charged": charged})


def _unmended(detail: Incident) -> Sequence[Incident]:
    """Return the other incidents of a tool after which nobody made it sound again."""
    mended = select(func.max(Fact.at)).where(Fact.record_id == detail.tool_id, Fact.kind.in_(SOUND_AGAIN))
    since = session().scalar(mended.where(Fact.at <= detail.happened_at))
    others = select(Incident).where(Incident.tool_id == detail.tool_id, Incident.id != detail.id)
    if since is not None:
        others = others.where(Incident.happened_at > since)
    return session().scalars(others.order_by(Incident.id)).all()


def hold_tool(tool: Tool) -> None:
    """Lock a tool while its incident is locked. Steps of tools take the tool first, and then its incidents: nobody
    waits here, so nobody waits in circles.

    Raises:
        Conflict: somebody else works on the tool.
    """
    mine = select(Record.id).where(Record.id == tool.id).with_for_update(skip_locked=True)
    if session().scalar(mine) is None:
        raise Conflict(_l("Somebody is working on %(tool)s at this moment; please try again", tool=tool.code))
    session().refresh(tool.record)


def _ask(record: Record, detail: Incident, owed: Owed) -> None:
    """Put the amount before the clause's position; who is concerned never decides."""
    unit_id, tool = record.unit_id, detail.tool
    found = effective(unit_id, owed.clause, detail.happened_at)
    position = penalties.decided_by_position(unit_id, found.clause, found.values)
    if {user_id for user_id, _name in accounts.holders(position, unit_id)} == {detail.user_id}:
        position = GENERAL_MANAGER
    name = session().scalar(select(User.name).where(User.id == detail.user_id)) or "—"
    asked = approvals.ask(
        unit_id,
        clause=owed.clause,
        subject=f"{SUBJECT}:{record.id}",
        title={
            "zh": f"工具赔偿：{tool.code} {tool.name}",
            "en": f"Compensation for a tool: {tool.code} {tool.name}",
        },
        position=position,
        reason=detail.judgement,
        amount=owed.amount,
        record=record,
        data={
            "about": detail.user_id,
            "facts": [
                {"label": {"zh": "当事人", "en": "Person concerned"}, "value": name},
                {"label": {"zh": "原因", "en": "Cause"}, "value": charges.both_languages(_cause(detail))},
            ],
        },
    )
    detail.approval_id = asked.id


def _cause(detail: Incident) -> Any:
    return label_of(values.CAUSES, detail.cause)


def unconfirmed(asked: Charging, _values: Any = None) -> Any:
    """Return why somebody cannot be charged for a tool (GJ-3), None where they had confirmed to hold it then.

    A spell of custody begins with the person's own yes: what was entered in their name and never confirmed is none.
    A department's tools are those of whoever said yes for it, by themselves and not by a keeper with a paper.
    """
    themselves = and_(Handover.taker_by == asked.user_id, Handover.taker_means != values.ON_PAPER)
    theirs = or_(
        and_(Party.kind == values.PERSON, Party.user_id == asked.user_id),
        and_(Party.kind == values.DEPARTMENT, themselves),
    )
    mine = (
        select(Custody.id)
        .join(Party, Party.id == Custody.party_id)
        .outerjoin(Handover, Handover.id == Custody.handover_id)
        .where(Custody.tool_id == asked.tool.id, Custody.starts_at <= asked.at)
        .where(or_(Custody.ends_at.is_(None), Custody.ends_at > asked.at))
        .where(theirs)
    )
    if session().scalar(mine.limit(1)) is not None:
        return None
    return _l("This person had not confirmed that they hold %(tool)s when it happened", tool=asked.tool.code)


# --- penalties -----------------------------------------------------------------------------------


def _propose_penalty(step: Step) -> None:
    """A breach brings a penalty proposal (R32-6.2 private lending, R33-10.1 others); its position decides."""
    record, detail = step.record, step.detail
    if detail.user_id is None:
        raise InvalidData({"user": _l("Say who it was")})
    lent = detail.breach == values.PRIVATE_LENDING and holds(record.unit_id, LENDING)
    detail.clause = LENDING if lent else BREACHES
    try:
        made = penalties.propose(
            record,
            detail.clause,
            SOURCE,
            detail.user_id,
            amount=step.values["penalty"],
            reason=detail.judgement,
            inputs={"breach": detail.breach, "tool": detail.tool.code},
        )
    except InvalidData as bad:
        raise InvalidData({"penalty": [one for texts in bad.errors.values() for one in texts]}) from None
    if made is None:
        detail.clause = ""


# --- decided -------------------------------------------------------------------------------------


def compensation_decided(approval: approvals.Approval) -> None:
    """Agreed: the person is asked. Rejected or taken back: whoever judges looks at it again (a handler)."""
    if approval.record_id is None:
        return
    record = lock(approval.record_id)
    detail = session().get(Incident, record.id)
    if detail is None or detail.approval_id != approval.id or record.state != values.JUDGED:
        return
    if approval.state != approvals.AGREED:
        said = approvals.steps_of(approval)[-1].reason or str(_l("The request was taken back"))
        perform(record.id, "send_back", {"reason": said[:500]}, permitted=True)
        return
    advance(record, "quote")
    _enter(record, "compensation_agreed", {"approval": approval.id})
    if detail.user_id is not None:
        notify(record, "tools.to_pay", [detail.user_id], detail.tool.code)


approvals.handlers[SUBJECT] = compensation_decided


def _enter(record: Record, kind: str, data: dict[str, Any]) -> None:
    """Write a fact that no step brings."""
    from .incident_flow import WORKFLOW  # it names the steps' functions above

    fact = append_fact(record, WORKFLOW.fact_kinds[kind], at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)


# --- the person's word ---------------------------------------------------------------------------


def lines_of(record_id: int) -> Sequence[Charge]:
    """Return the lines of an incident's compensation that stand (one, unless it was judged anew)."""
    mine = select(Charge).where(Charge.record_id == record_id, Charge.source.startswith(SOURCE))
    standing = mine.where(Charge.state != charges.VOID, Charge.adjusts_id.is_(None)).order_by(Charge.id)
    return session().scalars(standing).all()


def advance(record: Record, name: str) -> None:
    """Take a step with every line of an incident that can take it."""
    for source in {row.source for row in lines_of(record.id)}:
        charges.advance(record, name, source)


def _free_source(record_id: int) -> str:
    """A line that was posted is never asked for again under the same name: the person says yes to each anew."""
    posted = sum(row.state in charges.FIXED for row in lines_of(record_id))
    return f"{SOURCE}:{posted + 1}" if posted else SOURCE


def payable(record_id: int) -> Decimal:
    """Return what an incident's compensation comes to in yuan, less what was waived."""
    return sum((charges.payable_of(row) for row in lines_of(record_id)), Decimal(0))


def undecided(step: Step) -> Any:
    """Return why the person cannot say yes yet: the clause's position has not, or there is nothing to pay."""
    rows = lines_of(step.record.id)
    if not rows or not payable(step.record.id):
        return _l("There is nothing to pay")
    if any(row.state == charges.PROPOSED for row in rows):
        return _l("The compensation has not been approved yet")
    return None


def agree_to_pay(step: Step) -> None:
    """The person says yes, and how they will settle it; the line is posted.

    Raises:
        Refused: the clause wants money, and the same tool bought does not do.
    """
    detail = step.detail
    if step.values["settlement"] == values.IN_KIND and not may_be_in_kind(step.record, detail):
        raise Refused([Refusal("in_kind", NO_KIND, detail.clause)])
    detail.settlement, detail.agreed_at = step.values["settlement"], step.at
    advance(step.record, "consent")
    advance(step.record, "post")


NO_KIND = _l("Under this clause the price is paid; another tool does not take its place")


def may_be_in_kind(record: Record, detail: Incident) -> bool:
    """Tell whether the clause lets the same tool bought take the place of the money (R35-6.2)."""
    if not detail.clause or detail.kind != values.LOSS:
        return False
    return bool(effective(record.unit_id, detail.clause, detail.happened_at).values.get("in_kind"))


def take_back(step: Step) -> None:
    """What was judged does not stand: nothing is owed, nothing waits for approval."""
    withdraw_lines(step.record, step.detail, str(_l("It is judged anew")))
    step.detail.agreed_at, step.detail.settlement, step.detail.amount = None, "", None
    judge_id = _judge_of(step.record)
    if judge_id is not None and judge_id != current_scope().actor_id:
        notify(step.record, "tools.judge_again", [judge_id], step.detail.tool.code)


def _judge_of(record: Record) -> int | None:
    mine = select(Fact.actor_id).where(Fact.record_id == record.id, Fact.kind == "judged")
    return session().scalar(mine.order_by(Fact.seq.desc()).limit(1))


def withdraw_lines(record: Record, detail: Incident, reason: str) -> None:
    """Take an incident's lines back (a posted one by an adjusting line) and what waits for approval with them."""
    for row in lines_of(record.id):
        charges.take_back(record, row.source)
    forget_request(detail, reason)


def forget_request(detail: Incident, reason: str) -> None:
    """Let what still waits for the clause's position lapse."""
    if detail.approval_id is not None:
        approvals.lapse(detail.approval_id, reason)

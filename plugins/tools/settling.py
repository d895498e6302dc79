"""How an incident ends: paid, replaced by the same tool, deducted from pay, repaired, found again, given up.

A tool that was compensated for or given up leaves the books; what turns up later comes back to them, and what was
paid for it is paid back.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    OPEN_CATEGORIES,
    Charge,
    Fact,
    InvalidData,
    Record,
    Refusal,
    Refused,
    Step,
    charges,
    clock,
    current_scope,
    money_math,
    notify,
    penalties,
    perform,
    session,
)

from . import custody, file, judging, parties, values
from .models import Deduction, Incident, Party, Tool

ZERO = Decimal("0.00")
MOST_SPELLS = 200
OWN_DEBT = _l("Nobody enters for themselves what becomes of their own debt")


# --- what is owed --------------------------------------------------------------------------------


def deducted(incident_id: int) -> Decimal:
    """Return what was deducted from pay for an incident so far, in yuan."""
    mine = select(money_math.cents(Deduction.amount)).where(
        Deduction.incident_id == incident_id, Deduction.undone_at.is_(None)
    )
    return money_math.from_cents(sum(session().scalars(mine)))


def left(incident_id: int) -> Decimal:
    """Return what is still owed for an incident, in yuan: payable less what was deducted."""
    return judging.payable(incident_id) - deducted(incident_id)


def own_debt(step: Step) -> Any:
    """Refuse whoever owes it: nobody enters their own payment, replacement or refund."""
    return OWN_DEBT if owes(step.detail) else None


def owes(detail: Incident) -> bool:
    """Tell whether the actor is who answers for an incident."""
    actor = current_scope().actor_id
    return actor is not None and detail.user_id == actor


def against_change(detail: Incident, charge: Charge) -> Any:
    """Return why a line of a compensation may not be what somebody waived or corrected it to by hand."""
    if owes(detail):
        return OWN_DEBT
    if charge.state == charges.SETTLED:
        return _l("What was settled is not changed any more")
    owed = judging.payable(detail.id)
    if owed > (detail.amount or ZERO):
        return _l("More than the person was asked for is charged by judging it anew")
    if owed < deducted(detail.id):
        return _l("A part of it was deducted from pay already")
    return None


def nothing_left(step: Step) -> Any:
    """Refuse a payment where nothing is owed."""
    return None if left(step.record.id) > 0 else _l("Nothing of it is left to pay")


def deducted_already(step: Step) -> Any:
    """Refuse what would undo money that was taken off somebody's pay."""
    return _l("A part of it was deducted from pay already") if deducted(step.record.id) else None


def not_in_kind(step: Step) -> Any:
    """Refuse another tool where the clause wants the price."""
    return None if judging.may_be_in_kind(step.record, step.detail) else judging.NO_KIND


def still_open(step: Step) -> Any:
    """Return why an incident cannot be closed: it is not judged, or something is owed."""
    record, detail = step.record, step.detail
    if record.state == values.REPORTED:
        if detail.kind != values.DEFECT:
            return _l("Somebody judges it first")
        broken = detail.tool.record.state in (values.DEFECTIVE, values.IN_REPAIR)
        return _l("The tool is not repaired yet") if broken else None
    return _l("The compensation is not settled yet") if left(record.id) > 0 else None


def penalty_proposed(step: Step) -> Any:
    """Refuse to call a breach a mistake while a penalty proposal stands; a dropped one stands in nobody's way."""
    states = {one.state for one in penalties.of_record(step.record.id)}
    if penalties.AGREED in states:
        return _l("The penalty was agreed to; the breach stays as it was judged")
    if penalties.PROPOSED in states:
        return _l("A penalty was proposed; whoever decides it drops it first")
    return None


# --- settled -------------------------------------------------------------------------------------


def paid(step: Step) -> None:
    """The rest was paid (the receipt is on the fact): the line is settled, a lost tool leaves the books."""
    _settle_lines(step.record)
    step.detail.settlement = values.CASH
    _give_up(step.record, step.detail)


def from_pay(step: Step) -> None:
    """The whole was deducted from pay."""
    _settle_lines(step.record)
    step.detail.settlement = values.FROM_PAY
    _give_up(step.record, step.detail)


def owed_again(step: Step) -> None:
    """A deduction was taken back: what it had settled is owed again; the lost tool stays off the books."""
    for row in judging.lines_of(step.record.id):
        charges.unsettle(row)


def in_kind(step: Step) -> None:
    """The same tool was bought: what was owed is waived under the clause that allows it (R35-6.2).

    Raises:
        InvalidData: under ``replacement``: unknown, of another kind, not accepted, there before, used already.
    """
    record, detail = step.record, step.detail
    new = _replacement(record, detail, step.values["replacement"])
    step.values["replacement"] = new.code
    detail.replacement_id, detail.settlement = new.id, values.IN_KIND
    for row in judging.lines_of(record.id):
        if charges.payable_of(row) > 0:
            charges.waived(row, str(_l("The same tool was bought: %(code)s", code=new.code)))
    _settle_lines(record)
    _give_up(record, detail)


def _replacement(record: Record, detail: Incident, text: str) -> Tool:
    try:
        new = file.find_tool(record.unit_id, text)
    except InvalidData as bad:
        raise InvalidData({"replacement": bad.texts()}) from None
    used = select(Incident.id).where(Incident.replacement_id == new.id, Incident.id != record.id)
    reason: Any = None
    judging.hold_tool(new)
    if new.id == detail.tool_id or new.record.entered_at < detail.happened_at:
        reason = _l("This tool was there before it happened")
    elif new.kind_id != detail.tool.kind_id:
        reason = _l("This is a tool of another kind")
    elif new.record.state != values.IN_STORE:
        reason = _l("This tool has not been accepted into the store")
    elif session().scalar(used.limit(1)) is not None:
        reason = _l("This tool took the place of another one already")
    if reason is not None:
        raise InvalidData({"replacement": reason})
    return new


def _settle_lines(record: Record) -> None:
    for row in judging.lines_of(record.id):
        charges.settle(row)


def close(step: Step) -> None:
    """Nobody pays (any more): a tool that is lost leaves the books."""
    _settle_lines(step.record)
    judging.forget_request(step.detail, str(_l("The incident was closed")))
    _give_up(step.record, step.detail)


def _give_up(record: Record, detail: Incident) -> None:
    """Write off a lost tool: nobody holds it any more."""
    tool = detail.tool
    judging.hold_tool(tool)
    if detail.kind != values.LOSS or tool.record.state != values.LOST:
        return
    perform(tool.id, "write_off", {"handover": record.number}, permitted=True)
    held = custody.spell(tool.id)
    if held is not None:
        custody.move(tool, held.party, parties.scrap_heap(record.unit_id), clock.now(), values.DISPOSE)


# --- repaired ------------------------------------------------------------------------------------


def not_defective(step: Step) -> Any:
    """Refuse to mend what is not broken, or at the repairer."""
    if step.detail.tool.record.state == values.DEFECTIVE:
        return None
    return _l("The tool is not marked defective")


def mend(step: Step) -> None:
    """The tool may be used again, where it is: in the store or with its holder."""
    judging.hold_tool(step.detail.tool)
    _sound_again(step.record, step.detail.tool, step.values["result"])
    step.detail.tool.condition = values.SOUND


def _sound_again(record: Record, tool: Tool, note: str = "") -> None:
    name = "mend" if _in_store(tool) else "mend_issued"
    perform(tool.id, name, {"handover": record.number, "note": note}, permitted=True)


def _in_store(tool: Tool) -> bool:
    held = custody.spell(tool.id)
    return held is None or held.party.kind == values.STORE


# --- found again ---------------------------------------------------------------------------------


def was_paid(step: Step) -> Any:
    """Keep ``found`` for what nothing was paid for."""
    return _l("Something was paid for it, which is paid back") if money_received(step.record, step.detail) else None


def was_not_paid(step: Step) -> Any:
    """Keep ``found_paid`` for what something was paid for."""
    return None if money_received(step.record, step.detail) else _l("Nothing was paid for it")


def money_received(record: Record, detail: Incident) -> Decimal:
    """Return what was paid or deducted for an incident, in yuan."""
    taken = deducted(record.id)
    if record.state == values.CLOSED and detail.settlement == values.CASH:
        return judging.payable(record.id)
    return taken


def to_refund(incident_id: int) -> Decimal:
    """Return what is to be paid back for a tool that was found again, in yuan."""
    settled = [row for row in judging.lines_of(incident_id) if row.state == charges.SETTLED]
    if not settled:
        return deducted(incident_id)
    parts = (part for row in settled for part in charges.parts_of(row) if part.state == charges.POSTED)
    return -sum((part.amount for part in parts), ZERO)


def not_lost(step: Step) -> Any:
    """What was settled is opened only for a tool that this incident took off the books."""
    record, tool = step.record, step.detail.tool
    if record.state != values.CLOSED:
        return None
    gone = select(Fact).where(Fact.record_id == tool.id, Fact.kind == "disposed").order_by(Fact.seq.desc()).limit(1)
    last = session().scalars(gone).first()
    if tool.record.state == values.SCRAPPED and last is not None and last.data.get("handover") == record.number:
        return None
    return _l("This tool is not lost")


def found(step: Step) -> None:
    """It turned up: back on the books, nothing owed any more; what was paid is told to be paid back."""
    record, detail = step.record, step.detail
    judging.hold_tool(detail.tool)
    judging.withdraw_lines(record, detail, str(_l("The tool was found again")))
    bring_back(record, detail.tool)
    if detail.user_id is not None:
        notify(record, "tools.found", [detail.user_id], detail.tool.code)
    if record.state == values.CLOSED:
        _settle_lines(record)


def bring_back(record: Record, tool: Tool) -> None:
    """Put a lost or written-off tool back on the books: with its holder, or in the store."""
    if tool.record.state not in (values.LOST, values.SCRAPPED):
        return
    if tool.record.state == values.LOST and not _in_store(tool):
        perform(tool.id, "find", {"handover": record.number}, permitted=True)
        return
    perform(tool.id, "find_in_store", {"handover": record.number}, permitted=True)
    held = custody.spell(tool.id)
    if held is not None and held.party.kind != values.STORE:
        custody.move(tool, held.party, _store_of(tool), clock.now(), values.RETURN)


def _store_of(tool: Tool) -> Party:
    before = (one.party for one in custody.history(tool.id, MOST_SPELLS) if one.party.kind == values.STORE)
    found_one = next(before, None) or next(iter(parties.stores(tool.unit_id)), None)
    if found_one is None:
        raise Refused([Refusal("no_store", _l("There is no store to put it into"))])
    return found_one


def refund(step: Step) -> None:
    """What was paid went back to the person (the receipt is on the fact)."""
    _settle_lines(step.record)


def cancel(step: Step) -> None:
    """It never happened: nothing is owed and the tool is as it was, unless something else is open about it."""
    record, detail = step.record, step.detail
    judging.hold_tool(detail.tool)
    judging.withdraw_lines(record, detail, str(_l("It was entered by mistake")))
    if detail.kind == values.BREACH or _others_open(record, detail.tool_id):
        return
    if detail.tool.record.state == values.LOST:
        bring_back(record, detail.tool)
    elif detail.tool.record.state == values.DEFECTIVE:
        _sound_again(record, detail.tool)


def _others_open(record: Record, tool_id: int) -> bool:
    others = (
        select(Record.id)
        .join(Incident, Incident.id == Record.id)
        .where(Incident.tool_id == tool_id, Record.id != record.id, Record.category.in_(OPEN_CATEGORIES))
    )
    return session().scalar(others.limit(1)) is not None

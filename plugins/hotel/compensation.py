"""What a guest is compensated with (JD-4): decided by the desk up to a limit, above it by whoever the clause names.

The amount is one charge that the company bears. Decided anew, the whole amount counts, not a further one: the line
is amended, or corrected by an adjusting line once it was posted. So nothing is paid twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Fact,
    FactKind,
    Field,
    InvalidData,
    Line,
    Record,
    Refusal,
    Refused,
    Step,
    append_fact,
    approvals,
    charges,
    clock,
    detail_of,
    effective,
    label_of,
    lock,
    money_math,
    notify,
    session,
    tell_of_fact,
)

from . import notices_orders, values
from .models import Complaint

CLAUSE = "JD-4"
SUBJECT = "hotel_complaint_compensation"
SOURCE = "hotel_complaint.compensate"
LINE = "hotel_compensation"
NONE = "none"
COMPANY = "company"
# What is given in money; of the others an amount says what they cost, where that is known.
IN_MONEY = ("discount", "refund", "voucher")
MOST = Decimal("999999.99")
FIELDS = (
    Field("compensation", "choice", _l("Compensation to the guest"), True, values.COMPENSATIONS),
    Field(
        "amount",
        "decimal",
        _l("Amount (yuan)"),
        lambda raw: raw.get("compensation") in IN_MONEY,
        minimum=Decimal(0),
        maximum=MOST,
        help=_l("All together for this complaint; for a gift or a better room what it costs, if known"),
    ),
    Field("reason", "long", _l("Why"), True, max_length=500),
)
_WORDS = (("compensation", _l("Compensation to the guest"), values.COMPENSATIONS), ("amount", _l("Amount"), ()))
FACT_KINDS = {
    one.code: one
    for one in (
        FactKind("asked", _l("Compensation proposed"), 20, words=_WORDS),
        FactKind("refused", _l("Compensation not agreed to"), 22, words=_WORDS),
        FactKind("compensated", _l("Guest compensated"), 25, words=_WORDS),
    )
}


def decide(step: Step) -> None:
    """See what a compensation needs, and ask whoever decides about it (the step ``compensate``).

    Raises:
        InvalidData: beside ``amount``: none where money is given, money for nothing, parts of a cent, or the unit
            has no clause that says who decides.
        Refused: it is that already.
    """
    record, given = step.record, step.values
    kind = given["compensation"]
    amount = _amount(kind, given["amount"])
    _require_a_change(step.detail, kind, amount)
    found = effective(record.unit_id, CLAUSE, step.at)
    if amount and not found.holds:
        raise InvalidData({"amount": _l("No clause says who decides about money for guests here")})
    position = decider(found.values, amount) if found.holds else ""
    if not position:
        return  # granted as soon as the step is taken (``after_step``)
    approvals.ask(
        record.unit_id,
        clause=CLAUSE,
        subject=f"{SUBJECT}:{record.id}",
        title={"zh": f"宾客补偿：{record.number}", "en": f"Compensation of a guest: {record.number}"},
        position=position,
        reason=given["reason"],
        amount=amount,
        record=record,
        data={"compensation": kind},
    )


def after_step(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Grant what the desk itself may decide, once the step was taken (the hook of the plugin)."""
    if record.type != "hotel_complaint" or transition != "compensate" or waiting(record):
        return
    said = facts[0].data
    grant(record, detail_of(record), said["compensation"], money_math.exact(said.get("amount") or 0))


def _amount(kind: str, given: Decimal | None) -> Decimal:
    amount = money_math.exact(given) if given is not None else money_math.ZERO
    if kind == NONE and amount:
        raise InvalidData({"amount": _l("Nothing costs nothing; choose what the guest gets")})
    if kind in IN_MONEY and not amount > 0:
        raise InvalidData({"amount": _l("Please enter an amount above 0")})
    return amount


def _require_a_change(detail: Complaint, kind: str, amount: Decimal) -> None:
    if detail.compensation == kind and (detail.amount or money_math.ZERO) == amount:
        raise Refused([Refusal("same", _l("The guest was compensated with this already"), CLAUSE)])


def decider(said: Mapping[str, Any], amount: Decimal) -> str:
    """Return the position that decides about an amount; '' where the desk does."""
    if amount <= Decimal(said["free"]):
        return ""
    return str(said["position"] if amount <= Decimal(said["top"]) else said["top_position"])


def grant(record: Record, detail: Complaint, kind: str, amount: Decimal, approval_id: int | None = None) -> None:
    """Keep what the guest gets, and the money as a line that the company bears; the record is locked."""
    detail.compensation, detail.amount = kind, amount or None
    label = label_of(values.COMPENSATIONS, kind)
    lines = [Line(LINE, label, COMPANY, Decimal(1), amount)] if amount else []
    if lines or any(one.source == SOURCE for one in charges.lines_of(record.id)):
        charges.propose(record, CLAUSE, SOURCE, lines, {"compensation": kind, "approval": approval_id})
    _enter(record, "compensated", kind, amount)


def decided(approval: approvals.Approval) -> None:
    """The position agreed or did not (a handler of approvals)."""
    if approval.record_id is None or approval.state not in (approvals.AGREED, approvals.REJECTED):
        return
    record = lock(approval.record_id)
    kind, amount = str(approval.data.get("compensation", "")), approval.amount or money_math.ZERO
    if approval.state == approvals.AGREED:
        grant(record, detail_of(record), kind, amount, approval.id)
    else:
        _enter(record, "refused", kind, amount)
    if approval.asked_by is not None:
        notify(record, notices_orders.COMPENSATION, [approval.asked_by], record.title)


approvals.handlers[SUBJECT] = decided


def waiting(record: Record) -> bool:
    """Tell whether a compensation of this complaint waits for somebody's agreement."""
    subject = f"{SUBJECT}:{record.id}"
    mine = approvals.Approval.unit_id == record.unit_id, approvals.Approval.subject == subject
    open_ones = select(approvals.Approval.id).where(*mine, approvals.Approval.state.in_(approvals.OPEN_STATES))
    return session().scalars(open_ones.limit(1)).first() is not None


def post(record: Record) -> None:
    """The complaint is closed: what the company bears is posted. Again, nothing more happens."""
    charges.advance(record, "post", SOURCE)


def _enter(record: Record, kind: str, compensation: str, amount: Decimal) -> None:
    """Write a fact that no step of its own brings."""
    data = {"compensation": compensation, **({"amount": f"{amount:.2f}"} if amount else {})}
    fact = append_fact(record, FACT_KINDS[kind], at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)

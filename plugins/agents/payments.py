"""Payments between agents and us, matched to statements, oldest first; offset only where a contract says so (DL-4).

A side of a statement can be below zero (more was taken back than became due): then the other one pays it back, and
the matching line is negative as well. So each line moves its side towards zero and never past it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    Refusal,
    Refused,
    Unit,
    clean,
    clock,
    current_scope,
    fetch,
    local_day,
    lock,
    money_math,
    require,
    require_clause,
    session,
    transaction,
)

from . import contracts, statements, values
from .models import Agent, Contract, Payment, PaymentLine, Statement
from .rights import FINANCE
from .values import OFFSET, OWED_BY_US, OWED_TO_US, PAID_TO, RECEIVED_FROM

ZERO = money_math.ZERO
# Statements that can be paid: agreed to by both and not closed.
PAYABLE = (statements.APPROVED, statements.SEALED, statements.INVOICED)
# So many open statements of an agent are matched at a time; 500 are forty years of months.
MOST_OPEN = 500
OFFSET_STEP = "agents.offset"
_SIDE = {RECEIVED_FROM: OWED_TO_US, PAID_TO: OWED_BY_US}
_OTHER = {OWED_TO_US: OWED_BY_US, OWED_BY_US: OWED_TO_US}

FIELDS = (
    Field("kind", "choice", _l("Kind"), True, values.PAYMENT_KINDS),
    Field(
        "amount",
        "decimal",
        _l("Amount (yuan)"),
        True,
        minimum=Decimal("0.01"),
        maximum=Decimal("9999999999.99"),
    ),
    Field("paid_on", "date", _l("Paid on"), True),
    Field(
        "reference",
        "text",
        _l("Reference"),
        True,
        max_length=80,
        help=_l("Number of the transfer or of the agreement; it is entered once only"),
    ),
    Field("note", "text", _l("Note"), max_length=300),
)
REASON = Field("reason", "long", _l("Reason"), True, max_length=300)


@dataclass(frozen=True)
class Offset:
    """What the clause about offsetting looks at (DL-4): does a contract in force on that day agree to it?"""

    netting: bool


@dataclass(frozen=True)
class Open:
    """What is open on one side of a statement; ``sign`` -1: the side is below zero, and is paid back."""

    statement: Statement
    direction: str
    rest: Decimal
    sign: int


# --- entering ------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any]) -> Payment:
    """Enter a payment (``FINANCE``): agent_id, kind, amount, paid_on, reference, note, and statement_id, without
    which it goes to the statements approved first. What none takes stays on account.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field; a reference that was entered already. Refused: offset
        without agreement (DL-4).
    """
    require(FINANCE, unit_id)
    given = _read(unit_id, raw)
    with transaction():
        agent = _locked_agent(unit_id, raw.get("agent_id"))
        _check_reference(agent, given)
        rows = _payable(agent, raw.get("statement_id") or None)
        if given["kind"] == OFFSET:
            rows = _agreed_by(rows, given["paid_on"])
            _check_offset(agent, given, rows)
        payment = Payment(
            unit_id=unit_id,
            agent_id=agent.id,
            kind=given["kind"],
            amount=given["amount"],
            paid_on=given["paid_on"],
            reference=given["reference"],
            note=given["note"] or "",
            entered_at=clock.now(),
            entered_by=current_scope().actor_id,
        )
        session().add(payment)
        session().flush()
        for side in _sides_of(payment.kind):
            _match(payment, open_on(rows, side), payment.amount)
        return payment


def _read(unit_id: int, raw: Mapping[str, Any]) -> dict[str, Any]:
    zone = session().scalar(select(Unit.timezone).where(Unit.id == unit_id)) or "UTC"
    given = clean(FIELDS, raw, timezone=zone)
    given["amount"] = money_math.exact(given["amount"])
    given["reference"] = " ".join(given["reference"].split())
    if given["paid_on"] > local_day(unit_id):
        raise InvalidData({"paid_on": _l("This date lies in the future")})
    if given["paid_on"].year < 2000:
        raise InvalidData({"paid_on": _l("This date is too far away")})
    return given


def _locked_agent(unit_id: int, raw_id: object) -> Agent:
    """Return an agent of the unit; whoever enters payments of the same one waits here."""
    agent = fetch(Agent, raw_id)
    if agent.unit_id != unit_id:
        raise NotFound()
    return statements.lock_agent(agent.id)


def _check_reference(agent: Agent, given: Mapping[str, Any]) -> None:
    """The same transfer is not entered twice, however its letters are written."""
    twin = select(Payment.paid_on).where(
        Payment.agent_id == agent.id,
        Payment.kind == given["kind"],
        Payment.void.is_(False),
        or_(
            Payment.reference == given["reference"],
            func.lower(Payment.reference) == given["reference"].lower(),
        ),
    )
    day = session().scalar(twin.limit(1))
    if day is not None:
        raise InvalidData({"reference": _l("Already entered, paid on %(day)s", day=day.isoformat())})


def _agreed_by(rows: Sequence[Statement], day: date) -> list[Statement]:
    """Return the statements that were approved by a day: an agreement that ended before is not reached back for."""
    return [one for one in rows if one.approved_at and local_day(one.unit_id, one.approved_at) <= day]


def _check_offset(agent: Agent, given: Mapping[str, Any], rows: Sequence[Statement]) -> None:
    require_clause(OFFSET_STEP, agent.unit_id, Offset(may_offset(agent.id, given["paid_on"])))
    most = most_offset(rows)
    if not most:
        raise InvalidData({"amount": _l("Nothing that was approved by that day is open on both sides")})
    if given["amount"] > most:
        raise InvalidData({"amount": _l("At most %(most)s yuan are open on both sides", most=f"{most:,.2f}")})


def may_offset(agent_id: int, day: date) -> bool:
    """Tell whether a contract in force on a day agrees that amounts are offset."""
    held = (
        select(Contract.id)
        .join(Record, Record.id == Contract.id)
        .where(
            Contract.agent_id == agent_id,
            Contract.netting.is_(True),
            Record.state.in_((contracts.IN_FORCE, contracts.ENDED)),
            Contract.starts_on <= day,
            or_(Contract.ends_on.is_(None), Contract.ends_on >= day),
            or_(Contract.ended_on.is_(None), Contract.ended_on >= day),
        )
    )
    return session().scalar(held.limit(1)) is not None


# --- matching ------------------------------------------------------------------------------------


def open_on(rows: Iterable[Statement], side: str) -> list[Open]:
    """Return what a payment of one side can pay: what is open there, and what the other side is below zero."""
    found = []
    for one in rows:
        rest = rests_of(one)
        if rest[side] > 0:
            found.append(Open(one, side, rest[side], 1))
        if rest[_OTHER[side]] < 0:
            found.append(Open(one, _OTHER[side], -rest[_OTHER[side]], -1))
    return found


def rests_of(statement: Statement) -> dict[str, Decimal]:
    """Return what is open by direction (yuan); below zero: it is to be paid back."""
    return {
        OWED_TO_US: statement.receivable - statement.received,
        OWED_BY_US: statement.payable - statement.paid,
    }


def most_offset(rows: Sequence[Statement]) -> Decimal:
    """Return how much could be offset: what is open on both sides."""
    return min(sum((one.rest for one in open_on(rows, side)), ZERO) for side in (OWED_TO_US, OWED_BY_US))


def open_statements(agent_id: int) -> list[Statement]:
    """Return the statements of an agent that can be paid and are not settled, the first approved first."""
    wanted = (
        select(Statement)
        .join(Statement.record)
        .where(
            Statement.agent_id == agent_id,
            Record.state.in_(PAYABLE),
            or_(Statement.receivable != Statement.received, Statement.payable != Statement.paid),
        )
        .order_by(Statement.approved_at, Statement.id)
        .limit(MOST_OPEN)
    )
    return list(session().scalars(wanted))


def _payable(agent: Agent, statement_id: object) -> list[Statement]:
    """Lock the statements a payment may go to, and read them as they are by now."""
    if statement_id is None:
        return _fresh([one.id for one in open_statements(agent.id)])
    chosen = fetch(Statement, statement_id)
    if chosen.agent_id != agent.id:
        raise NotFound()
    rows = _fresh([chosen.id])
    if not rows:
        raise InvalidData({"statement_id": _l("Only an approved statement can be paid")})
    return rows


def _fresh(ids: Iterable[int]) -> list[Statement]:
    keys = sorted(set(ids))
    states = {key: lock(key).state for key in keys}
    wanted = select(Statement).where(Statement.id.in_([key for key in keys if states[key] in PAYABLE]))
    rows = session().scalars(
        wanted.order_by(Statement.approved_at, Statement.id).execution_options(populate_existing=True)
    )
    return list(rows)


def _sides_of(kind: str) -> tuple[str, ...]:
    return (OWED_TO_US, OWED_BY_US) if kind == OFFSET else (_SIDE[kind],)


def _match(payment: Payment, rows: Sequence[Open], amount: Decimal) -> Decimal:
    """Spread an amount over what is open, in its order; return what was taken."""
    rest, held = amount, {(one.statement_id, one.direction): one for one in lines_of([payment.id])}
    touched: list[Statement] = []
    for one in rows:
        share = min(rest, one.rest)
        if share <= 0:
            break
        line = held.get((one.statement.id, one.direction))
        if line is None:
            line = PaymentLine(
                unit_id=payment.unit_id,
                payment_id=payment.id,
                statement_id=one.statement.id,
                direction=one.direction,
                amount=ZERO,
            )
            session().add(line)
        line.amount += one.sign * share
        touched.append(one.statement)
        rest -= share
    session().flush()
    _recount(touched)
    return amount - rest


def match_rest(agent: Agent) -> Decimal:
    """Let open statements take what is on account, the oldest payment first; return how many yuan they took."""
    with transaction():
        statements.lock_agent(agent.id)
        waiting = _with_rest(agent.id)
        if not waiting:
            return ZERO
        rows = _fresh([one.id for one in open_statements(agent.id)])
        return sum((_match(one, open_on(rows, _SIDE[one.kind]), rest) for one, rest in waiting), ZERO)


def _with_rest(agent_id: int) -> list[tuple[Payment, Decimal]]:
    matched = _matched().subquery()
    used = func.coalesce(matched.c.cents, 0)
    rows = (
        select(Payment, money_math.cents(Payment.amount) - used)
        .outerjoin(matched, matched.c.payment_id == Payment.id)
        .where(
            Payment.agent_id == agent_id,
            Payment.void.is_(False),
            Payment.kind != OFFSET,
            money_math.cents(Payment.amount) > used,
        )
        .order_by(Payment.paid_on, Payment.id)
    )
    return [(payment, money_math.from_cents(rest)) for payment, rest in session().execute(rows)]


def _recount(rows: Iterable[Statement]) -> None:
    """Bring what statements have received and paid to what their matching says, and say so where one is settled."""
    found = {one.id: one for one in rows}
    sums: dict[tuple[int, str], int] = defaultdict(int)
    wanted = (
        select(PaymentLine.statement_id, PaymentLine.direction, func.sum(money_math.cents(PaymentLine.amount)))
        .join(Payment, Payment.id == PaymentLine.payment_id)
        .where(PaymentLine.statement_id.in_(list(found)), Payment.void.is_(False))
        .group_by(PaymentLine.statement_id, PaymentLine.direction)
    )
    for key, direction, total in session().execute(wanted):
        sums[key, direction] = int(total)
    for key in sorted(found):
        one = found[key]
        one.received = money_math.from_cents(sums[key, OWED_TO_US])
        one.paid = money_math.from_cents(sums[key, OWED_BY_US])
        session().flush()
        statements.paid_up(one)


# --- taking back ---------------------------------------------------------------------------------


def void(payment_id: object, reason: str) -> Payment:
    """Take a payment back (``FINANCE``): what it paid is open again; it stays visible.

    Raises:
        NotFound, NotAllowed. InvalidData: no reason. Refused: taken back already; a statement it paid is closed.
    """
    payment = fetch(Payment, payment_id)
    require(FINANCE, payment.unit_id)
    given = clean([REASON], {"reason": reason})
    with transaction():
        statements.lock_agent(payment.agent_id)
        session().refresh(payment)
        if payment.void:
            raise Refused([Refusal("void", _l("This payment was taken back already"))])
        keys = sorted({one.statement_id for one in lines_of([payment.id])})
        closed = [record.number for record in map(lock, keys) if record.state == statements.CLOSED]
        if closed:
            raise Refused([Refusal("closed", _l("%(number)s is closed", number=closed[0]))])
        payment.void, payment.void_reason = True, given["reason"]
        session().flush()
        wanted = select(Statement).where(Statement.id.in_(keys)).execution_options(populate_existing=True)
        _recount(session().scalars(wanted).all())
        return payment


# --- reading -------------------------------------------------------------------------------------


def lines_of(payment_ids: Iterable[int]) -> list[PaymentLine]:
    """Return how payments were matched."""
    wanted = select(PaymentLine).where(PaymentLine.payment_id.in_(list(payment_ids)))
    return list(session().scalars(wanted.order_by(PaymentLine.id)))


def payments_of(statement_id: int, limit: int = 100) -> list[tuple[Payment, PaymentLine]]:
    """Return what was paid on a statement, those taken back too."""
    wanted = (
        select(Payment, PaymentLine)
        .join(PaymentLine, PaymentLine.payment_id == Payment.id)
        .where(PaymentLine.statement_id == statement_id)
        .order_by(PaymentLine.id)
        .limit(limit)
    )
    return [(payment, line) for payment, line in session().execute(wanted)]


def matched_by(payment_id: int) -> list[tuple[Statement, PaymentLine]]:
    """Return what a payment paid, in the order it was matched."""
    wanted = (
        select(Statement, PaymentLine)
        .join(PaymentLine, PaymentLine.statement_id == Statement.id)
        .where(PaymentLine.payment_id == payment_id)
        .order_by(PaymentLine.id)
    )
    return [(statement, line) for statement, line in session().execute(wanted)]


def _matched() -> Any:
    """Cents of each payment that statements took. An offset counts on both sides, and is never on account."""
    total = func.sum(func.abs(money_math.cents(PaymentLine.amount))).label("cents")
    return select(PaymentLine.payment_id, total).group_by(PaymentLine.payment_id)


def rest_of(payment_ids: Sequence[int]) -> dict[int, Decimal]:
    """Return what of payments is still on account (yuan); nothing of those taken back or offset."""
    matched = _matched().where(PaymentLine.payment_id.in_(payment_ids)).subquery()
    rest = money_math.cents(Payment.amount) - func.coalesce(matched.c.cents, 0)
    rows = (
        select(Payment.id, rest)
        .outerjoin(matched, matched.c.payment_id == Payment.id)
        .where(Payment.id.in_(payment_ids), Payment.void.is_(False), Payment.kind != OFFSET)
    )
    found = {key: money_math.from_cents(cents) for key, cents in session().execute(rows)}
    return {key: found.get(key, ZERO) for key in payment_ids}


def on_account(agent_id: int) -> dict[str, Decimal]:
    """Return what of an agent's payments no statement took, by kind (yuan)."""
    return {kind: rest for _id, _code, _name, kind, rest in _on_account(Payment.agent_id == agent_id)}


def held_on_account(unit_id: int) -> list[tuple[int, str, str, str, Decimal]]:
    """Return (agent, its number, name, kind, yuan) of what is on account in a unit."""
    return _on_account(Payment.unit_id == unit_id)


def _on_account(condition: Any) -> list[tuple[int, str, str, str, Decimal]]:
    matched = _matched().join(Payment, Payment.id == PaymentLine.payment_id).where(condition).subquery()
    rest = func.sum(money_math.cents(Payment.amount) - func.coalesce(matched.c.cents, 0))
    rows = (
        select(Agent.id, Agent.code, Agent.name, Payment.kind, rest)
        .join(Payment, Payment.agent_id == Agent.id)
        .outerjoin(matched, matched.c.payment_id == Payment.id)
        .where(condition, Payment.void.is_(False), Payment.kind != OFFSET)
        .group_by(Agent.id, Agent.code, Agent.name, Payment.kind)
        .having(rest != 0)
    )
    return [(*one[:4], money_math.from_cents(one[4])) for one in session().execute(rows)]

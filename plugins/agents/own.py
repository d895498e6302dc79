"""What people of an agent see: their agent's cases, orders and statements, and nothing of anybody else's.

Every look-up begins with ``mine()``: the agents whose contact the present user is. What is not theirs is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import (
    Charge,
    Fact,
    NotFound,
    Record,
    Transition,
    ask,
    charges,
    current_scope,
    detail_of,
    fetch,
    session,
)
from plugins.products import services as products

from . import file, statements, values
from .models import Agent, CaseAgent, Notice, Order, Payment, PaymentLine, Seller, Statement, StatementLine

STEPS = ("accept", "depart", "arrive", "start", "resume", "solve", "send_result", "confirm", "wait", "decline")
_NOT_NOW = ("state", "permission")  # refusals that no waiting mends
IN_HANDS = (values.PASSED, values.ACCEPTED)
THEIRS = ("agent", "partner", "company")  # payers under whose charges an agent's number stands
_SERVICE = ("departed", "arrived", "started", "solved", "confirmed")


def mine() -> tuple[int, ...]:
    """Return the ids of the agents the present user belongs to, in all their units."""
    return tuple(one for agents in file.agents_of_actor().values() for one in agents)


# --- cases ---------------------------------------------------------------------------------------


def is_theirs() -> ColumnElement[bool]:
    """Return the condition of a case of the user's agents.

    It was named on it or has it in hand; or, while no other agent is named, it was told of it or sold the item.
    """
    agents = mine()
    named = select(CaseAgent.record_id).where(CaseAgent.agent_id.in_(agents))
    told = select(Notice.record_id).where(Notice.agent_id.in_(agents))
    in_hand = select(Order.record_id).where(Order.agent_id.in_(agents), is_kept())
    link = products.ProductRecord
    sold = (
        select(link.record_id)
        .join(Seller, and_(Seller.item_id == link.item_id, Seller.current))
        .where(Seller.agent_id.in_(agents))
    )
    other = exists().where(CaseAgent.record_id == Record.id, CaseAgent.agent_id.is_not(None))
    return and_(
        Record.type == "case",
        or_(
            Record.id.in_(named),
            Record.id.in_(in_hand),
            and_(or_(Record.id.in_(told), Record.id.in_(sold)), ~other),
        ),
    )


def is_kept() -> ColumnElement[bool]:
    """Return the condition of an order that is in their hands or was done by them."""
    return or_(and_(Order.current, Order.state.in_(IN_HANDS)), Order.state == values.DONE)


def find_case(raw_id: object) -> Record:
    """Return a case of the user's agents (raises NotFound)."""
    record = fetch(Record, raw_id)
    found = session().scalars(select(Record.id).where(Record.id == record.id, is_theirs())).first()
    if found is None:
        raise NotFound()
    return record


def among(record_ids: Sequence[int]) -> set[int]:
    """Return those of some cases that are of the user's agents."""
    return set(session().scalars(select(Record.id).where(Record.id.in_(record_ids), is_theirs())))


@dataclass(frozen=True)
class OwnCase:
    """What the page of a case shows them. ``customer`` only while an order of it is in their hands.

    ``held``: steps of the work that wait for something else, each with the reasons.
    """

    record: Record
    case: Any
    item: Any
    orders: Sequence[Order]
    notices: Sequence[Notice]
    dates: Sequence[tuple[str, datetime]]
    lines: Sequence[Charge]
    customer: str
    in_hands: bool
    steps: Sequence[Transition]
    held: Sequence[tuple[Transition, Sequence[Any]]]

    @property
    def total(self) -> Decimal:
        """What they owe us (yuan) less what we owe them."""
        return sum((-one.amount if one.payer == "company" else one.amount for one in self.lines), Decimal("0.00"))


def case_page(raw_id: object) -> OwnCase:
    """Gather what the page of one of their cases shows (raises NotFound)."""
    record = find_case(raw_id)
    agents = mine()
    orders = (
        select(Order)
        .where(Order.record_id == record.id, Order.agent_id.in_(agents), is_kept())
        .options(joinedload(Order.contact), joinedload(Order.agent))
        .order_by(Order.id.desc())
    )
    rows = session().scalars(orders).all()
    told = select(Notice).where(Notice.record_id == record.id, Notice.agent_id.in_(agents)).order_by(Notice.id)
    steps, held = steps_of(record)
    in_hands = any(one.current and one.state in IN_HANDS for one in rows)
    return OwnCase(
        record=record,
        case=detail_of(record),
        item=products.item_of_record(record),
        orders=rows,
        notices=session().scalars(told).all(),
        dates=_dates(record),
        lines=_lines(record, agents),
        customer=record.customer.name if in_hands and record.customer else "",
        in_hands=in_hands,
        steps=steps,
        held=held,
    )


def _dates(record: Record) -> list[tuple[str, datetime]]:
    found = select(Fact.kind, Fact.at).where(Fact.record_id == record.id, Fact.kind.in_(_SERVICE))
    return [(row.kind, row.at) for row in session().execute(found.order_by(Fact.at, Fact.seq).limit(100))]


def _lines(record: Record, agents: Sequence[int]) -> Sequence[Charge]:
    """Return what is posted of a case between them and us."""
    codes = session().scalars(select(Agent.code).where(Agent.id.in_(agents), Agent.unit_id == record.unit_id)).all()
    found = select(Charge).where(
        Charge.record_id == record.id,
        Charge.payer.in_(THEIRS),
        Charge.payer_ref.in_(codes),
        Charge.state.in_((charges.POSTED, charges.SETTLED)),
    )
    return session().scalars(found.order_by(Charge.id)).all()


def steps_of(record: Record) -> tuple[list[Transition], list[tuple[Transition, Sequence[Any]]]]:
    """Return the steps of the work that the user may take now, and those that wait for something, with the reasons;
    none for whoever is not the assignee."""
    if record.assignee_id is None or record.assignee_id != current_scope().actor_id:
        return [], []
    answers = {one.transition.name: one for one in ask(record)}
    known = [answers[name] for name in STEPS if name in answers]
    held = [one for one in known if one.refusals and not any(it.code in _NOT_NOW for it in one.refusals)]
    waiting: list[tuple[Transition, Sequence[Any]]] = [
        (one.transition, list(dict.fromkeys(str(it.text) for it in one.refusals))) for one in held
    ]
    return [one.transition for one in known if one.allowed], waiting


# --- statements ----------------------------------------------------------------------------------


def statements_of() -> Select[Any]:
    """Select the statements of the user's agents that were sent to them, with their records."""
    return (
        select(Statement)
        .join(Statement.record)
        .where(Statement.agent_id.in_(mine()), Record.state.not_in(statements.HIDDEN))
        .options(contains_eager(Statement.record))
    )


def find_statement(raw_id: object) -> Statement:
    """Return a statement that was sent to the user's agent (raises NotFound)."""
    found = fetch(Statement, raw_id)
    file.require_own(found.agent_id)
    if found.record.state in statements.HIDDEN:
        raise NotFound()
    return found


def find_line(raw_id: object) -> tuple[StatementLine, Statement]:
    """Return a line of a statement that was sent to the user's agent (raises NotFound)."""
    line = fetch(StatementLine, raw_id)
    return line, find_statement(line.statement_id)


def payments_of(statement: Statement) -> Sequence[tuple[Payment, PaymentLine]]:
    """Return the payments matched to a statement."""
    found = (
        select(Payment, PaymentLine)
        .join(PaymentLine, PaymentLine.payment_id == Payment.id)
        .where(PaymentLine.statement_id == statement.id, Payment.agent_id == statement.agent_id, ~Payment.void)
        .order_by(Payment.paid_on, Payment.id)
        .limit(200)
    )
    return [(row[0], row[1]) for row in session().execute(found)]


# --- orders --------------------------------------------------------------------------------------


def orders_of() -> Select[Any]:
    """Select the orders that are in their hands or were done by them, with case and technician."""
    return (
        select(Order)
        .where(Order.agent_id.in_(mine()), is_kept())
        .options(joinedload(Order.record), joinedload(Order.contact), joinedload(Order.agent))
    )

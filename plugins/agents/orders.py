"""Orders in the hands of service agents (转派单): they follow the case's steps; what we owe for them (DL-1, DL-2).

A case is passed on by assigning it to a technician of a service agent: gates and time limits are those of the case.
The order tells whose hands it is in. The same agent's order goes on when another of its people takes over, and when
the case is worked on again: what we owe is worked out when it is done first, so that it is never owed twice. Work
that was sent back and is then given to somebody else, refused or cancelled is owed no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Charge,
    Fact,
    Field,
    InvalidData,
    Line,
    Panel,
    Record,
    Refusal,
    Refused,
    append_fact,
    charges,
    clean,
    clock,
    detail_of,
    effective,
    fetch,
    holds,
    local_day,
    lock,
    may,
    money_math,
    require,
    session,
    tell_of_fact,
    transaction,
)
from plugins.products import services as products
from plugins.warranty import services as warranty

from . import bearing, contracts, rates, values
from .models import Agent, Contact, Contract, Order
from .rights import SETTLE, VIEW
from .values import ACCEPTED, DECLINED, DONE, PASSED, WITHDRAWN

OWED, TAKEN_BACK = "DL-1", "DL-2"
OUR_FAULT = "repair"  # cause of a coverage decision: a faulty repair before
IN_HANDS = (PASSED, ACCEPTED)
ASSIGNABLE = ("classified", "planned", "assigned")  # states of a case in which somebody is looked for
SERVING = (values.SERVICE, values.AGENT)
_HOUR, _THOUSANDTH = Decimal(60), Decimal("0.001")
_MOST = Decimal("999999999.99")
VISIT_FIELDS = (
    Field("visits", "int", _l("Visits"), True, minimum=Decimal(1), maximum=Decimal(99)),
    Field("reason", "long", _l("Reason"), max_length=300),
)
TAKE_BACK_FIELDS = (
    Field(
        "amount",
        "decimal",
        _l("Amount to take back (yuan)"),
        minimum=Decimal("0.01"),
        maximum=_MOST,
        help=_l("Leave empty for all of it"),
    ),
    Field("reason", "long", _l("Reason"), True, max_length=500),
)


# --- following the case --------------------------------------------------------------------------


def follow(record: Record, transition: str, facts: Sequence[Fact]) -> None:
    """Follow a case (a part of the hook ``record_transitioned``): assigned to an agent's technician it becomes an
    order, which is accepted, declined and done with the case; done, what we owe for it is charged and posted."""
    if transition == "warranty:decide":
        _mark_repeated(record)
    follower = _FOLLOWERS.get(transition)
    if follower is None:
        return
    order = current_of(record)
    if order is not None or transition == "assign":
        follower(record, order, facts)
        session().flush()


def _assigned(record: Record, order: Order | None, facts: Sequence[Fact]) -> None:
    contact = technician_of(record.unit_id, record.assignee_id)
    at = facts[0].at
    if order is not None and contact is not None and order.agent_id == contact.agent_id:
        order.contact_id, order.state, order.passed_at = contact.id, PASSED, at
        order.answered_at = order.done_at = None
        return
    if order is not None:
        _let_go(record, order)
    if contact is None:
        return
    session().add(
        Order(
            unit_id=record.unit_id,
            record_id=record.id,
            agent_id=contact.agent_id,
            contact_id=contact.id,
            state=PASSED,
            passed_at=at,
        )
    )
    session().flush()
    _tell(record, contact.agent, at)


def _let_go(record: Record, order: Order) -> None:
    """The order is in their hands no more; what was done stays done."""
    order.current = False
    if order.state != DONE:
        order.state = WITHDRAWN
        _owe_nothing(record, order)
    session().flush()


def _accepted(_record: Record, order: Order, facts: Sequence[Fact]) -> None:
    if order.state == PASSED:
        order.state, order.answered_at = ACCEPTED, facts[0].at


def _declined(record: Record, order: Order, facts: Sequence[Fact]) -> None:
    order.state, order.answered_at, order.reason = DECLINED, facts[0].at, facts[0].note
    order.current = False
    _owe_nothing(record, order)


def _solved(record: Record, order: Order, facts: Sequence[Fact]) -> None:
    order.state, order.done_at = DONE, facts[0].at
    order.answered_at = order.answered_at or facts[0].at
    if not lines_of(order):
        _owe(record, order)


def _reworked(_record: Record, order: Order, _facts: Sequence[Fact]) -> None:
    """Back to work: it is not done, but what was owed for it is not owed a second time."""
    if order.state == DONE:
        order.state, order.done_at = ACCEPTED, None


def _cancelled(record: Record, order: Order, _facts: Sequence[Fact]) -> None:
    _let_go(record, order)


_FOLLOWERS: Mapping[str, Callable[[Record, Any, Sequence[Fact]], None]] = {
    "assign": _assigned,
    "accept": _accepted,
    # Whoever sets out has taken it on.
    "depart": _accepted,
    "arrive": _accepted,
    "start": _accepted,
    "decline": _declined,
    "solve": _solved,
    "rework": _reworked,
    "cancel": _cancelled,
}


def _tell(record: Record, agent: Agent, at: Any) -> None:
    from .workflow import FACT_KINDS  # its steps call services that know orders

    kind = next(one for one in FACT_KINDS if one.code == "passed_on")
    fact = append_fact(record, kind, at=at, data={"agent": agent.name})
    session().flush()
    tell_of_fact(record, fact)


# --- reading -------------------------------------------------------------------------------------


def technician_of(unit_id: int, user_id: int | None) -> Contact | None:
    """Return the technician of a serving agent that a user is in a unit; None for our own people."""
    if user_id is None:
        return None
    found = (
        select(Contact)
        .join(Agent, Agent.id == Contact.agent_id)
        .where(Contact.unit_id == unit_id, Contact.user_id == user_id, Contact.active)
        .where(Contact.role == values.TECHNICIAN, Agent.active, Agent.kind.in_(SERVING))
        .options(joinedload(Contact.agent))
    )
    return session().scalars(found).first()


def current_of(record: Record) -> Order | None:
    """Return the order that a case is, or was last, passed on by; None where it is our own people's."""
    return session().scalars(select(Order).where(Order.record_id == record.id, Order.current)).first()


def history_of(record_id: int) -> Sequence[Order]:
    """Return the orders of a case with agent and person, the newest first."""
    found = select(Order).where(Order.record_id == record_id).order_by(Order.id.desc())
    return session().scalars(found.options(joinedload(Order.agent), joinedload(Order.contact)).limit(50)).all()


def get(raw_id: object) -> Order:
    """Return an order by an id from a request (raises NotFound)."""
    return fetch(Order, raw_id)


def source_of(order: Order) -> str:
    """Name what an order brings among the charges of its case."""
    return f"agents:order:{order.id}"


def lines_of(order: Order) -> list[Charge]:
    """Return what we owe for an order, with everything that corrects it."""
    mine = select(Charge).where(Charge.record_id == order.record_id, Charge.source == source_of(order))
    base = session().scalars(mine.where(Charge.state != charges.VOID).order_by(Charge.id)).all()
    parts = [part for row in base for part in charges.parts_of(row) if part.state != charges.VOID]
    return [*base, *parts]


def owed_for(order: Order) -> Decimal:
    """Return what we owe for an order (yuan), after all corrections."""
    return sum((one.amount for one in lines_of(order)), Decimal("0.00"))


def refunded_of(order: Order) -> Decimal:
    """Return what the customer was given back or waived on the case since the order was done (yuan)."""
    if order.done_at is None:
        return Decimal("0.00")
    lowered = select(func.sum(Charge.amount)).where(
        Charge.record_id == order.record_id,
        Charge.payer == "customer",
        Charge.amount < 0,
        Charge.state.in_((charges.POSTED, charges.SETTLED)),
        Charge.created_at >= order.done_at,
    )
    return -Decimal(session().scalar(lowered) or 0)


def suggestions(record: Record, limit: int = 5) -> list[tuple[Agent, list[Contact]]]:
    """Return serving agents whose regions hold the address of a case, with the technicians who have a sign-in."""
    address = str(getattr(detail_of(record), "address_text", "") or "")
    if not address:
        return []
    serving = select(Agent).where(Agent.unit_id == record.unit_id, Agent.active, Agent.kind.in_(SERVING))
    agents = session().scalars(serving.order_by(Agent.kind.desc(), Agent.code)).all()
    near = [one for one in agents if any(place in address for place in one.regions or ())][:limit]
    people = (
        select(Contact)
        .where(Contact.agent_id.in_([one.id for one in near]), Contact.active, Contact.user_id.is_not(None))
        .where(Contact.role == values.TECHNICIAN)
        .order_by(Contact.id)
    )
    by_agent: dict[int, list[Contact]] = {}
    for one in session().scalars(people) if near else ():
        by_agent.setdefault(one.agent_id, []).append(one)
    return [(one, by_agent[one.id]) for one in near if one.id in by_agent]


# --- what we owe (DL-1) --------------------------------------------------------------------------


def _owe(record: Record, order: Order) -> None:
    """Charge what the contract of the day it was passed on gives; without a rate it waits on the work list."""
    lines = _priced(record, order)
    if not lines:
        order.contract_id = None
    charges.propose(record, OWED, source_of(order), lines, {"order": order.id, "visits": order.visits})
    charges.advance(record, "post", source_of(order))


def _priced(record: Record, order: Order) -> list[Line]:
    day = local_day(record.unit_id, order.passed_at)
    try:
        terms = contracts.terms_of(order.agent, day, bearing.series_of(record), values.NO_SERVICE)
    except Refused:
        return []
    case = detail_of(record)
    hours = (Decimal(case.service_minutes or 0) / _HOUR).quantize(_THOUSANDTH, ROUND_HALF_UP)
    order.contract_id = terms.contract_id
    return [
        Line(one.code, one.label, "company", one.quantity, one.price, order.agent.code)
        for one in rates.owed(terms, case.nature, hours, order.visits)
    ]


def _owe_nothing(record: Record, order: Order) -> None:
    if lines_of(order):
        charges.propose(record, OWED, source_of(order), [], {"order": order.id})


def work_out(order_id: object, raw: Mapping[str, Any]) -> Order:
    """Work out anew what we owe for a done order, by its ``visits`` and the contract as it is now (``SETTLE``).

    Raises:
        NotFound, NotAllowed, InvalidData. Refused: it is not done, its pay was taken back, or the clause is off.
    """
    with transaction():
        order, record = _locked(order_id)
        given = clean(VISIT_FIELDS, raw)
        _refuse_unless_done(order)
        if order.taken_back_at is not None:
            raise Refused([Refusal("order", _l("What was paid for it was taken back"), TAKEN_BACK)])
        if not holds(order.unit_id, OWED):
            raise Refused([Refusal("order", _l("The clause about their pay is not in force"), OWED)])
        order.visits = given["visits"]
        _owe(record, order)
        session().flush()
        return order


# --- taking back (DL-2) --------------------------------------------------------------------------


def _mark_repeated(record: Record) -> None:
    """Mark the order done last on the same item, where this case is decided as a faulty repair within its days."""
    marked = select(Order).where(Order.repeated_id == record.id, Order.taken_back_at.is_(None))
    for order in session().scalars(marked):
        order.repeated_id = None
    coverage = warranty.standing_of(record).coverage
    item = bearing.item_of(record)
    if coverage is None or coverage.cause != OUR_FAULT or item is None or not holds(record.unit_id, TAKEN_BACK):
        return
    earlier = [one.id for one in products.records_of_item(item, before=record)]
    done = (
        select(Order)
        .where(Order.record_id.in_(earlier), Order.state == DONE, Order.done_at <= record.received_at)
        .order_by(Order.done_at.desc(), Order.id.desc())
    )
    last = session().scalars(done.limit(1)).first()
    if last is not None and last.taken_back_at is None and _within(last, record):
        last.repeated_id = record.id
    session().flush()


def _within(order: Order, later: Record) -> bool:
    days = days_of(order)
    done = local_day(order.unit_id, order.done_at)
    return local_day(order.unit_id, later.received_at) - done <= timedelta(days=days)


def days_of(order: Order) -> int:
    """Return the days in which a repeated fault takes the pay of an order back: the contract's or the clause's.

    The contract it is paid by; where none pays yet, the one of the day it was passed on.
    """
    contract = session().get(Contract, order.contract_id) if order.contract_id else None
    agreed = contract.clawback_days if contract is not None else _terms(order).clawback_days
    return agreed if agreed is not None else int(effective(order.unit_id, TAKEN_BACK).values["days"])


def _terms(order: Order) -> values.Terms:
    record = session().get_one(Record, order.record_id)
    return contracts.terms_of(order.agent, local_day(order.unit_id, order.passed_at), bearing.series_of(record))


def take_back(order_id: object, raw: Mapping[str, Any]) -> Order:
    """Take back what we owe for a done order, or an ``amount`` of it, with the ``reason`` (``SETTLE``, DL-2).

    For orders that a later case marked, and by hand for any other. The posted line stays; a correcting one
    stands in the open month, and so on the agent's next statement.

    Raises:
        NotFound, NotAllowed, InvalidData. Refused: it is not done, nothing is owed for it, or the clause is off.
    """
    with transaction():
        order, _record = _locked(order_id)
        given = clean(TAKE_BACK_FIELDS, raw)
        _refuse_unless_done(order)
        if not holds(order.unit_id, TAKEN_BACK):
            raise Refused([Refusal("order", _l("The clause about taking back is not in force"), TAKEN_BACK)])
        owed = owed_for(order)
        if owed <= 0:
            raise Refused([Refusal("order", _l("Nothing is owed for this order"), TAKEN_BACK)])
        wanted = money_math.exact(given["amount"]) if given["amount"] is not None else owed
        if wanted > owed:
            raise InvalidData({"amount": _l("Between 0.01 and %(most)s", most=owed)})
        _lower(order, wanted, given["reason"])
        order.taken_back_at = clock.now()
        session().flush()
        return order


def _lower(order: Order, wanted: Decimal, reason: str) -> None:
    """Take an amount off the lines of an order, one after the other."""
    for row in lines_of(order):
        if row.adjusts_id is not None:
            continue
        less = min(wanted, charges.payable_of(row))
        if less > 0:
            charges.correct(row, -less, reason)
            wanted -= less


def _locked(order_id: object) -> tuple[Order, Record]:
    order = get(order_id)
    require(SETTLE, order.unit_id)
    record = lock(order.record_id)
    session().refresh(order)
    return order, record


def _refuse_unless_done(order: Order) -> None:
    if order.state != DONE:
        raise Refused([Refusal("order", _l("The work of this order is not done"))])


# --- the box of a case ---------------------------------------------------------------------------


def of_case(record: Record) -> list[Panel]:
    """The box of a case that is or was passed on, and of the agents near it while somebody is to be found."""
    if record.type != "case" or not may(VIEW, record.unit_id):
        return []
    rows = history_of(record.id)
    near = suggestions(record) if record.state in ASSIGNABLE and may("case.assign", record.unit_id) else []
    if not rows and not near:
        return []
    from .screens_orders import order_badge, order_url

    context = {"rows": rows, "near": near, "badge": order_badge, "url": order_url, "owed": owed_for}
    return [Panel("orders", _l("Orders to service agents"), "agents/order_case.html", context, 24)]

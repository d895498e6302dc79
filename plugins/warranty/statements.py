"""What customers owe: statements (对账单) and ageing, to the cent what the core's charges and the receipts say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select, union_all

from core.sdk import Charge, Customer, Record, charges, current_scope, local_day, session

from . import ledger, receipts
from .ledger import BOOKED, CUSTOMER, ZERO, Owed, cents, yuan_of
from .models import Receipt, ReceiptLine
from .rights import MONEY

CHARGED, ADJUSTED, WAIVED, RECEIVED, RETURNED = "charged", "adjusted", "waived", "received", "returned"
KINDS = {
    CHARGED: _l("Charge"),
    ADJUSTED: _l("Correction"),
    WAIVED: _l("Waiver"),
    RECEIVED: _l("Payment"),
    RETURNED: _l("Payment made void"),
}
# Up to how many days after posting a charge counts to a bucket; the last has no end.
DAYS = (30, 60, 90)
BUCKETS = (_l("0–30 days"), _l("31–60 days"), _l("61–90 days"), _l("Over 90 days"))
MOST_CUSTOMERS = 500


@dataclass(frozen=True)
class Entry:
    """A line of a statement. ``amount`` above zero: the customer owes more; ``balance`` after it."""

    day: date
    kind: str
    record_id: int
    number: str
    text: str
    amount: Decimal
    balance: Decimal = ZERO


@dataclass(frozen=True)
class Ageing:
    """What is open, by how long ago it was posted; ``credit``: paid beforehand or too much (negative)."""

    buckets: tuple[Decimal, ...] = (ZERO,) * len(BUCKETS)
    credit: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return sum(self.buckets, ZERO) + self.credit


@dataclass(frozen=True)
class Statement:
    """A customer's account from the first to the last day, both inside."""

    first: date
    last: date
    opening: Decimal
    entries: tuple[Entry, ...]
    ageing: Ageing

    def sum_of(self, *kinds: str) -> Decimal:
        return sum((one.amount for one in self.entries if one.kind in kinds), ZERO)

    @property
    def charged(self) -> Decimal:
        return self.sum_of(CHARGED, ADJUSTED)

    @property
    def waived(self) -> Decimal:
        return -self.sum_of(WAIVED)

    @property
    def received(self) -> Decimal:
        return -self.sum_of(RECEIVED, RETURNED)

    @property
    def closing(self) -> Decimal:
        return self.opening + sum((one.amount for one in self.entries), ZERO)


@dataclass
class CustomerAgeing:
    """A line of the unit's ageing list."""

    customer_id: int
    number: str
    name: str
    total: Decimal
    buckets: list[Decimal] = field(default_factory=lambda: [ZERO] * len(BUCKETS))

    @property
    def credit(self) -> Decimal:
        return self.total - sum(self.buckets, ZERO)


def money_units() -> frozenset[int]:
    """Return the units in which the actor sees receipts and invoices."""
    return frozenset(unit for unit, codes in current_scope().permissions.items() if MONEY in codes)


# --- one customer --------------------------------------------------------------------------------


def statement_of(customer_id: int, unit_ids: Iterable[int], first: date, last: date) -> Statement:
    """Return a customer's account in these units: what stood before, each line of the period, what is open now."""
    units = list(unit_ids)
    every = sorted(_entries(customer_id, units), key=lambda one: (one.day, one.amount < 0, one.record_id))
    opening = sum((one.amount for one in every if one.day < first), ZERO)
    balance, shown = opening, []
    for one in every:
        if first <= one.day <= last:
            balance += one.amount
            shown.append(replace(one, balance=balance))
    return Statement(first, last, opening, tuple(shown), ageing_of(customer_id, units))


def _entries(customer_id: int, units: Sequence[int]) -> list[Entry]:
    rows = (
        select(Charge, Record.number)
        .join(Record, Record.id == Charge.record_id)
        .where(
            Record.customer_id == customer_id,
            Charge.unit_id.in_(units),
            Charge.payer == CUSTOMER,
            Charge.state.in_(BOOKED),
        )
        .order_by(Charge.id)
    )
    found = [
        Entry(
            ledger.booked_on(row),
            _kind(row),
            row.record_id,
            number,
            str(charges.label_of(row)),
            Decimal(row.amount),
        )
        for row, number in session().execute(rows)
    ]
    return [*found, *_payments(customer_id, units)]


def _kind(row: Charge) -> str:
    if charges.is_waiver(row):
        return WAIVED
    return CHARGED if row.adjusts_id is None else ADJUSTED


def _payments(customer_id: int, units: Sequence[int]) -> list[Entry]:
    """A void receipt stays where it was and is taken back on the day it became void: past statements stay true."""
    rows = (
        select(Record, Receipt.amount, Receipt.reference)
        .join(Receipt, Receipt.id == Record.id)
        .where(Record.customer_id == customer_id, Record.unit_id.in_(units), Record.type == receipts.CODE)
        .order_by(Record.id)
    )
    found = []
    for record, amount, reference in session().execute(rows):
        day = local_day(record.unit_id, record.received_at)
        found.append(Entry(day, RECEIVED, record.id, record.number, reference, -amount))
        if record.state == receipts.VOID:
            back = local_day(record.unit_id, record.closed_at)
            found.append(Entry(max(day, back), RETURNED, record.id, record.number, reference, amount))
    return found


def balance_of(customer_id: int, unit_ids: Iterable[int]) -> Decimal:
    """Return what a customer owes by now; below zero: they have paid beforehand."""
    return sum((one.amount for one in _entries(customer_id, list(unit_ids))), ZERO)


def ageing_of(customer_id: int, unit_ids: Iterable[int]) -> Ageing:
    """Return what a customer owes by now, by the age of the charges."""
    units = list(unit_ids)
    buckets = [ZERO] * len(BUCKETS)
    for one in ledger.of_customer(customer_id, units):
        if one.charge.state in BOOKED and one.rest > 0 and any(x.state == ledger.POSTED for x in one.lines):
            buckets[_bucket(one)] += one.rest
    return Ageing(tuple(buckets), balance_of(customer_id, units) - sum(buckets, ZERO))


def _bucket(one: Owed) -> int:
    return bucket_for(ledger.booked_on(one.charge), local_day(one.charge.unit_id))


def bucket_for(posted: date, today: date) -> int:
    """Return the place of a charge posted on a day among ``BUCKETS``."""
    age = (today - posted).days
    return next((place for place, most in enumerate(DAYS) if age <= most), len(DAYS))


# --- a unit --------------------------------------------------------------------------------------


def ageing_list(unit_id: int, most: int = MOST_CUSTOMERS) -> list[CustomerAgeing]:
    """Return who owes most in a unit, in a fixed number of statements; customers who owe nothing are left out."""
    both = union_all(_owed_by_customer(unit_id), _paid_by_customer(unit_id)).subquery()
    total = func.sum(both.c.cents)
    top = (
        select(both.c.customer, total.label("total"), Customer.number, Customer.name)
        .join(Customer, Customer.id == both.c.customer)
        .group_by(both.c.customer, Customer.number, Customer.name)
        .having(total != 0)
        .order_by(total.desc(), both.c.customer)
        .limit(most)
    )
    found = {
        key: CustomerAgeing(key, number, name, yuan_of(amount))
        for key, amount, number, name in session().execute(top)
    }
    for customer_id, rest, posted in _open_charges(unit_id, list(found)):
        found[customer_id].buckets[bucket_for(posted, local_day(unit_id))] += rest
    return list(found.values())


def total_of(unit_id: int) -> Decimal:
    """Return what all customers owe in a unit together."""
    both = union_all(_owed_by_customer(unit_id), _paid_by_customer(unit_id)).subquery()
    return yuan_of(session().scalar(select(func.sum(both.c.cents)).where(both.c.customer.is_not(None))))


def _owed_by_customer(unit_id: int) -> Any:
    return (
        select(Record.customer_id.label("customer"), cents(Charge.amount).label("cents"))
        .join(Record, Record.id == Charge.record_id)
        .where(Charge.unit_id == unit_id, Charge.payer == CUSTOMER, Charge.state.in_(BOOKED))
    )


def _paid_by_customer(unit_id: int) -> Any:
    return (
        select(Record.customer_id.label("customer"), (-cents(Receipt.amount)).label("cents"))
        .join(Record, Record.id == Receipt.id)
        .where(Receipt.unit_id == unit_id, Record.state != receipts.VOID)
    )


def _open_charges(unit_id: int, customers: Sequence[int]) -> list[tuple[int, Decimal, date]]:
    """Return (customer, rest, day of posting) of the charges that are not paid; settled ones are not read."""
    if not customers:
        return []
    still = select(func.coalesce(Charge.adjusts_id, Charge.id)).where(
        Charge.unit_id == unit_id, Charge.state == ledger.POSTED
    )
    root = func.coalesce(Charge.adjusts_id, Charge.id)
    sums = select(root, func.sum(cents(Charge.amount))).where(
        Charge.unit_id == unit_id, Charge.payer == CUSTOMER, Charge.state.in_(BOOKED), root.in_(still)
    )
    paid = (
        select(ReceiptLine.charge_id, func.sum(cents(ReceiptLine.amount)))
        .join(Record, Record.id == ReceiptLine.receipt_id)
        .where(ReceiptLine.unit_id == unit_id, Record.state != receipts.VOID, ReceiptLine.charge_id.in_(still))
    )
    owed_of = _by_key(sums.group_by(root))
    paid_of = _by_key(paid.group_by(ReceiptLine.charge_id))
    wanted = set(customers)
    roots = (
        select(Charge, Record.customer_id)
        .join(Record, Record.id == Charge.record_id)
        .where(Charge.unit_id == unit_id, Charge.adjusts_id.is_(None), Charge.id.in_(still))
    )
    found = []
    for row, customer_id in session().execute(roots):
        rest = yuan_of(owed_of.get(row.id, 0) - paid_of.get(row.id, 0))
        if customer_id in wanted and row.state in BOOKED and rest > 0:
            found.append((customer_id, rest, ledger.booked_on(row)))
    return found


def _by_key(statement: Any) -> dict[int, int]:
    return {int(key): int(total or 0) for key, total in session().execute(statement)}


# --- money in hand -------------------------------------------------------------------------------


@dataclass(frozen=True)
class InHand:
    """Money collected and not handed in: all of it, what came in today, what is overdue."""

    total: Decimal = ZERO
    today: Decimal = ZERO
    overdue: Decimal = ZERO
    waiting: Decimal = ZERO  # handed in, for finance to confirm


def in_hand(unit_id: int, collector_id: int | None, now: Any) -> InHand:
    """Return the money in hand of a unit, or of one collector."""
    rows = (
        select(Record.state, Receipt.amount, Record.received_at, Record.next_due_at)
        .join(Receipt, Receipt.id == Record.id)
        .where(
            Record.unit_id == unit_id,
            Record.type == receipts.CODE,
            Record.category == "open",
            Record.state.in_((receipts.COLLECTED, receipts.HANDED_IN)),
        )
    )
    if collector_id is not None:
        rows = rows.where(Receipt.collector_id == collector_id)
    sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
    day = local_day(unit_id, now)
    for state, amount, received, due in session().execute(rows):
        if state == receipts.HANDED_IN:
            sums["waiting"] += amount
            continue
        sums["total"] += amount
        sums["today"] += amount if local_day(unit_id, received) == day else ZERO
        sums["overdue"] += amount if due is not None and due < now else ZERO
    return InHand(**sums)

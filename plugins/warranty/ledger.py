"""What customers owe line by line: the core's charges beside what was received and what is on invoices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import aliased, contains_eager

from core.sdk import Charge, InvalidData, Record, charges, local_day, lock, money_math, normalise, read_id, session

from .models import InvoiceLine, ReceiptLine

CUSTOMER = "customer"
CONSENTED, POSTED, SETTLED, VOID = "consented", "posted", "settled", "void"
BOOKED = (POSTED, SETTLED)
PAYABLE = (CONSENTED, *BOOKED)
ZERO = money_math.ZERO
cents, yuan_of = money_math.cents, money_math.from_cents
MOST_LINES = 200


@dataclass
class Owed:
    """A charge with the lines that correct or waive it, as far as the customer pays them."""

    charge: Charge
    number: str
    customer_id: int | None
    lines: list[Charge] = field(default_factory=list)
    paid: Decimal = ZERO
    invoiced: Decimal = ZERO

    @property
    def id(self) -> int:
        return self.charge.id

    @property
    def payable(self) -> Decimal:
        return sum((one.amount for one in self.lines if one.payer == CUSTOMER), ZERO)

    @property
    def rest(self) -> Decimal:
        """What is still to be paid; below zero: more was paid than is owed by now."""
        return self.payable - self.paid

    @property
    def to_invoice(self) -> Decimal:
        return self.payable - self.invoiced


def of_record(record_id: int, *, fresh: bool = False) -> list[Owed]:
    """Return the charges of a record, oldest first. ``fresh``: as the database has them by now."""
    return _owed(Charge.record_id == record_id, fresh)


def of_customer(customer_id: int, unit_ids: Iterable[int], *, fresh: bool = False) -> list[Owed]:
    """Return the charges of a customer in these units, oldest first."""
    return _owed((Record.customer_id == customer_id) & Charge.unit_id.in_(list(unit_ids)), fresh)


def of_charges(ids: Iterable[int], *, fresh: bool = False) -> list[Owed]:
    """Return these charges, oldest first; ids of lines that go with another one are left out."""
    wanted = list(ids)
    return _owed(Charge.id.in_(wanted) | Charge.adjusts_id.in_(wanted), fresh) if wanted else []


def _owed(condition: Any, fresh: bool) -> list[Owed]:
    rows = (
        select(Charge)
        .join(Charge.record)
        .where(condition, Charge.state != VOID)
        .options(contains_eager(Charge.record))
        .order_by(Charge.id)
        .execution_options(populate_existing=fresh)
    )
    found: dict[int, Owed] = {}
    for row in session().scalars(rows):
        if row.adjusts_id is None:
            found[row.id] = Owed(row, row.record.number, row.record.customer_id)
        if (row.adjusts_id or row.id) in found:
            found[row.adjusts_id or row.id].lines.append(row)
    _add_paid(found, condition)
    _add_invoiced(found, condition)
    return list(found.values())


def _add_paid(found: dict[int, Owed], condition: Any) -> None:
    receipt = aliased(Record)
    rows = (
        select(ReceiptLine.charge_id, ReceiptLine.amount)
        .join(Charge, Charge.id == ReceiptLine.charge_id)
        .join(Charge.record)
        .join(receipt, receipt.id == ReceiptLine.receipt_id)
        .where(condition, receipt.state != VOID)
    )
    for key, amount in session().execute(rows):
        if key in found:
            found[key].paid += amount


def _add_invoiced(found: dict[int, Owed], condition: Any) -> None:
    invoice = aliased(Record)
    rows = (
        select(InvoiceLine.charge_id, InvoiceLine.amount, InvoiceLine.red)
        .join(Charge, Charge.id == InvoiceLine.charge_id)
        .join(Charge.record)
        .join(invoice, invoice.id == InvoiceLine.invoice_id)
        .where(condition, invoice.state != "cancelled")
    )
    for key, amount, red in session().execute(rows):
        if key in found:
            found[key].invoiced += amount - red


def to_pay(rows: Iterable[Owed]) -> list[Owed]:
    """Keep what can be paid: posted or consented to, with something left."""
    return [one for one in rows if one.charge.state in PAYABLE and one.rest > 0]


def to_invoice(rows: Iterable[Owed]) -> list[Owed]:
    """Keep what can go on an invoice: posted, and not on one already."""
    return [one for one in rows if one.charge.state in BOOKED and one.to_invoice > 0]


def chosen_ids(given: Any) -> list[int]:
    """Read the charges a form names: a list, or numbers separated by commas; none: all that fit.

    Raises:
        InvalidData: under ``charges``.
    """
    if given in (None, "", []):
        return []
    parts = given if isinstance(given, list | tuple) else normalise(str(given)).replace("，", ",").split(",")
    ids = [read_id(str(one).strip()) for one in parts if str(one).strip()]
    if None in ids or len(ids) > MOST_LINES:
        raise InvalidData({"charges": _l("Please choose charges that are open here")})
    return list(dict.fromkeys(one for one in ids if one is not None))


def pick(rows: Sequence[Owed], ids: Sequence[int]) -> list[Owed]:
    """Return the chosen ones among those that fit, all where none is chosen.

    Raises:
        InvalidData: under ``charges``: one that is not among them.
    """
    if set(ids) - {one.id for one in rows}:
        raise InvalidData({"charges": _l("Please choose charges that are open here")})
    return [one for one in rows if not ids or one.id in ids][:MOST_LINES]


def spread(amount: Decimal, rests: Sequence[tuple[Owed, Decimal]]) -> list[tuple[Owed, Decimal]]:
    """Spread an amount over what is open, oldest first; it must fit.

    Raises:
        InvalidData: under ``amount``: more than is open.
    """
    most = sum((rest for _one, rest in rests), ZERO)
    if not most:
        raise InvalidData({"amount": _l("Nothing is open here")})
    if amount > most:
        raise InvalidData({"amount": _l("This is more than is open: %(most)s yuan", most=most)})
    shares = []
    for one, rest in rests:
        share = min(rest, amount)
        if share > 0:
            shares.append((one, share))
            amount -= share
    return shares


def lock_records(rows: Iterable[Owed], *more: int) -> None:
    """Lock the records of charges, and others, in the order of their ids."""
    for key in sorted({one.charge.record_id for one in rows} | set(more)):
        lock(key)


def booked_on(row: Charge) -> date:
    """Return the day a posted line counts on: that of posting, or the first of the month it went into."""
    day = local_day(row.unit_id, row.posted_at or row.created_at)
    return day if day.strftime("%Y-%m") == row.month else date.fromisoformat(f"{row.month}-01")


def check_month(unit_id: int, day: date, name: str) -> None:
    """Pass if the books of a day's month are open.

    Raises:
        InvalidData: under ``name``.
    """
    month = day.strftime("%Y-%m")
    if month <= charges.closed_until(unit_id):
        raise InvalidData({name: _l("%(month)s is closed", month=month)})

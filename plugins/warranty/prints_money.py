"""Papers: receipt (收款收据, which is no invoice) and statement of account (对账单)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Customer, NotFound, PrintForm, Record, Unit, User, detail_of, label_of, local_day, rmb, session

from . import receipts, statements, values
from .panels_money import paid_lines
from .rights import MONEY

# A printed statement covers the present month and so many before it.
MONTHS_BEFORE = 11


def receipt_paper(record: Record) -> dict[str, Any]:
    """Return what the receipt says; the paper goes to who paid, so their name stands in full."""
    detail = detail_of(record)
    if detail is None or not receipts.may_see(record, detail):
        raise NotFound()
    collector = select(User.name).where(User.id == detail.collector_id)
    return {
        "number": record.number,
        "received": _moment(record),
        "payer": detail.payer_name or (record.customer.name if record.customer else ""),
        "amount": f"¥{detail.amount:,.2f}",
        "words": rmb(detail.amount),
        "means": str(label_of(values.RECEIPT_MEANS, detail.means)),
        "reference": detail.reference,
        "collector": session().scalar(collector) or "",
        "void": record.state == receipts.VOID,
        "lines": [[row.record.number, label, f"{amount:,.2f}"] for label, row, amount in paid_lines(record.id)],
    }


def _moment(record: Record) -> str:
    zone = session().scalar(select(Unit.timezone).where(Unit.id == record.unit_id)) or "UTC"
    at: datetime = record.received_at
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


def statement_paper(customer: Customer) -> dict[str, Any]:
    """Return what the statement says: the last twelve months, and what is open by its age."""
    last = local_day(customer.unit_id)
    found = statements.statement_of(customer.id, statements.money_units(), first_day(last), last)
    return {
        "customer": customer.name,
        "number": customer.number,
        "first": found.first.isoformat(),
        "last": found.last.isoformat(),
        "opening": f"{found.opening:,.2f}",
        "charged": f"{found.charged:,.2f}",
        "waived": f"{found.waived:,.2f}",
        "received": f"{found.received:,.2f}",
        "closing": f"{found.closing:,.2f}",
        "words": rmb(found.closing) if found.closing >= 0 else "",
        "lines": [
            [
                one.day.isoformat(),
                one.number,
                f"{statements.KINDS[one.kind]} {one.text}".strip(),
                f"{one.amount:,.2f}",
                f"{one.balance:,.2f}",
            ]
            for one in found.entries
        ],
        "ageing": [
            *(
                [str(label), f"{amount:,.2f}"]
                for label, amount in zip(statements.BUCKETS, found.ageing.buckets, strict=True)
            ),
            [str(_l("Paid beforehand")), f"{found.ageing.credit:,.2f}"],
        ],
    }


def first_day(last: date) -> date:
    """Return the first day of a printed statement that ends on a day."""
    months = last.year * 12 + last.month - 1 - MONTHS_BEFORE
    return date(months // 12, months % 12 + 1, 1)


def forms() -> list[PrintForm]:
    """Return them for the hook."""
    return [
        PrintForm(
            code="warranty.receipt",
            title=_l("Receipt for money"),
            subject=receipts.CODE,
            template="warranty/receipt.typ",
            data=receipt_paper,
            permission=MONEY,
            seal="finance",
        ),
        PrintForm(
            code="warranty.statement",
            title=_l("Statement of account"),
            subject="customer",
            template="warranty/statement.typ",
            data=statement_paper,
            permission=MONEY,
            seal="finance",
        ),
    ]

"""Boxes about money on the pages of records and customers, and the tiles of the first page."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload, lazyload

from core.sdk import (
    Charge,
    Customer,
    Panel,
    Record,
    Tile,
    User,
    charges,
    clock,
    detail_of,
    label_of,
    may,
    rmb,
    session,
)
from core.sdk_web import page_url

from . import invoices, ledger, receipts, statements, values
from .models import Invoice, InvoiceLine, Receipt, ReceiptLine
from .rights import COLLECT, FINANCE, MONEY

_RECEIPT_OF: Any = cast(Any, Record).warranty_receipt
_INVOICE_OF: Any = cast(Any, Record).warranty_invoice
_TONES = {"collected": "warn", "handed_in": "info", "confirmed": "good", "requested": "info", "issued": "good"}


def state_badge(record: Record) -> tuple[Any, str]:
    """Return (label, tone) of the state of a receipt or an invoice request."""
    flow = receipts.WORKFLOW if record.type == receipts.CODE else invoices.WORKFLOW
    state = flow.states.get(record.state)
    return (state.label if state else record.state), _TONES.get(record.state, "neutral")


def yuan(amount: Decimal) -> str:
    """Show an amount on a tile."""
    return f"¥{amount:,.2f}"


def of_record(record: Record) -> list[Panel]:
    """What a receipt or an invoice says, and what became of a case's money."""
    if record.type == receipts.CODE:
        return _of_receipt(record)
    if record.type == invoices.CODE:
        return _of_invoice(record)
    return _of_case(record)


def _of_receipt(record: Record) -> list[Panel]:
    detail = detail_of(record)
    if detail is None or not receipts.may_see(record, detail):
        return []
    context = {
        "detail": detail,
        "words": rmb(detail.amount),
        "means": label_of(values.RECEIPT_MEANS, detail.means),
        "collector": _name(detail.collector_id),
        "confirmer": _name(detail.confirmed_by),
        "lines": paid_lines(record.id),
        "charge_url": _charge_url,
    }
    return [Panel("receipt", _l("Receipt"), "warranty/money_receipt.html", context, 5)]


def _of_invoice(record: Record) -> list[Panel]:
    if not invoices.may_see(record):
        return []
    detail = invoices.detail(record)
    context = {
        "detail": detail,
        "tax": invoices.tax_part(detail.amount, detail.rate),
        "lines": invoiced_lines(record.id),
        "charge_url": _charge_url,
    }
    return [Panel("invoice", _l("Invoice request"), "warranty/money_invoice.html", context, 5)]


def _of_case(record: Record) -> list[Panel]:
    may_collect = may(COLLECT, record.unit_id)
    if not may_collect and not may(MONEY, record.unit_id):
        return []
    owed = ledger.of_record(record.id)
    papers = _papers_of(record)
    if not papers and not owed:
        return []
    to_pay = sum((one.rest for one in ledger.to_pay(owed)), ledger.ZERO)
    ask = may_collect and bool(ledger.to_invoice(owed)) and record.customer_id
    if not papers and to_pay <= 0 and not ask:
        return []
    context = {
        "to_pay": to_pay,
        "papers": papers,
        "badge": state_badge,
        "collect_url": url_for("warranty.receipt_new", case=record.id) if may_collect and to_pay > 0 else "",
        "invoice_url": url_for("warranty.invoice_new", case=record.id) if ask else "",
        "record_url": _record_url,
    }
    return [Panel("money", _l("Receipts and invoices"), "warranty/money_case.html", context, 45)]


def _papers_of(record: Record) -> list[tuple[Record, Decimal | None]]:
    """Return the receipts and invoices of a case with their amounts, as far as the actor may see those."""
    mine = Charge.record_id == record.id
    paid = select(ReceiptLine.receipt_id).join(Charge, Charge.id == ReceiptLine.charge_id).where(mine)
    billed = select(InvoiceLine.invoice_id).join(Charge, Charge.id == InvoiceLine.charge_id).where(mine)
    at_case = select(Receipt.id).where(Receipt.case_id == record.id)
    rows = (
        select(Record)
        .where(Record.id.in_(paid) | Record.id.in_(billed) | Record.id.in_(at_case))
        .options(
            joinedload(_RECEIPT_OF).options(lazyload(Receipt.record)),
            joinedload(_INVOICE_OF).options(lazyload(Invoice.record)),
        )
        .order_by(Record.id)
        .limit(100)
        .execution_options(populate_existing=True)
    )
    return [(one, _amount(one)) for one in session().scalars(rows)]


def _amount(record: Record) -> Decimal | None:
    found: Any = record
    receipt, invoice = found.warranty_receipt, found.warranty_invoice
    if receipt is not None:
        return Decimal(receipt.amount) if receipts.may_see(record, receipt) else None
    return Decimal(invoice.amount) if invoice is not None and invoices.may_see(record) else None


def paid_lines(receipt_id: int) -> Sequence[tuple[str, Charge, Decimal]]:
    """Return what a receipt pays, as (label, charge, amount)."""
    rows = (
        select(Charge, ReceiptLine.amount)
        .join(ReceiptLine, ReceiptLine.charge_id == Charge.id)
        .where(ReceiptLine.receipt_id == receipt_id)
        .options(joinedload(Charge.record))
        .order_by(ReceiptLine.id)
    )
    return [(str(charges.label_of(row)), row, amount) for row, amount in session().execute(rows)]


def invoiced_lines(invoice_id: int) -> Sequence[tuple[str, Charge, Decimal, Decimal]]:
    """Return what is on an invoice, as (label, charge, amount, taken back)."""
    rows = (
        select(Charge, InvoiceLine.amount, InvoiceLine.red)
        .join(InvoiceLine, InvoiceLine.charge_id == Charge.id)
        .where(InvoiceLine.invoice_id == invoice_id)
        .options(joinedload(Charge.record))
        .order_by(InvoiceLine.id)
    )
    return [(str(charges.label_of(row)), row, amount, red) for row, amount, red in session().execute(rows)]


def _name(user_id: int | None) -> str:
    return session().scalar(select(User.name).where(User.id == user_id)) or "" if user_id else ""


def _record_url(record: Record) -> str:
    return page_url("record.page", record_id=record.id)


def _charge_url(charge: Charge) -> str:
    return page_url("record.page", record_id=charge.record_id)


# --- customers and the first page ----------------------------------------------------------------


def of_customer(customer: Customer) -> list[Panel]:
    """What a customer owes, and since when."""
    if not may(MONEY, customer.unit_id):
        return []
    units = statements.money_units()
    ageing = statements.ageing_of(customer.id, units)
    may_collect = may(COLLECT, customer.unit_id)
    context = {
        "ageing": ageing,
        "buckets": list(zip(statements.BUCKETS, ageing.buckets, strict=True)),
        "statement_url": url_for("warranty.statement", customer_id=customer.id),
        "collect_url": url_for("warranty.receipt_new", customer=customer.id)
        if may_collect and ageing.total > 0
        else "",
        "invoice_url": url_for("warranty.invoice_new", customer=customer.id) if may_collect else "",
    }
    return [Panel("money", _l("Account"), "warranty/money_customer.html", context, 40)]


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Money collected and not handed in, for its collector and for finance; quotes without an answer."""
    found: list[Tile] = []
    if may(FINANCE, unit.id):
        held = statements.in_hand(unit.id, None, clock.now())
        found += _held(held, "")
        if held.waiting:
            url = url_for("warranty_receipts.index_view", quick="to_confirm")
            found.append(Tile("to_confirm", _l("Money to be confirmed"), yuan(held.waiting), url, "warn"))
    elif may(COLLECT, unit.id):
        found += _held(statements.in_hand(unit.id, actor_id, clock.now()), "mine")
    return [*found, *_quotes(unit)]


def _held(held: statements.InHand, quick: str) -> list[Tile]:
    found = []
    if held.total:
        url = url_for("warranty_receipts.index_view", quick=quick or "in_hand")
        found.append(Tile("in_hand", _l("Collected, not handed in"), yuan(held.total), url, "warn"))
    if held.today:
        url = url_for("warranty_receipts.index_view", quick=quick or "in_hand")
        found.append(Tile("in_hand_today", _l("Of it collected today"), yuan(held.today), url))
    if held.overdue:
        url = url_for("warranty_receipts.index_view", quick="overdue")
        found.append(Tile("in_hand_late", _l("Overdue to be handed in"), yuan(held.overdue), url, "bad"))
    return found


def _quotes(unit: Any) -> list[Tile]:
    from . import quotes, rights
    from .workflow import QUOTED

    if not may(rights.HANDLE, unit.id):
        return []
    count = quotes.waiting(unit.id)
    if not count:
        return []
    url = url_for("cases.index_view", f_state=QUOTED)
    return [Tile("quotes", _l("Quotes without an answer"), count, url, "warn")]

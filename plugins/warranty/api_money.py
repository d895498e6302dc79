"""Collections of the API: quotes, receipts, invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import ApiResource, Customer, Field, InvalidData, Record, may, session

from . import invoices, receipts
from .models import Invoice, InvoiceLine, Quote, Receipt, ReceiptLine
from .rights import COLLECT, MONEY, VIEW

_CASE = Field("case", "text", _l("Number of the case"), max_length=40)
_CUSTOMER = Field("customer", "customer", _l("Customer"))
_CHARGES = next(one for one in receipts.ABOUT if one.name == "charges")
RECEIPT_FIELDS = (_CASE, _CUSTOMER, _CHARGES, *receipts.FIELDS)
INVOICE_FIELDS = (_CASE, _CUSTOMER, _CHARGES, *(replace(one) for one in invoices.FIELDS))


def resources() -> list[ApiResource]:
    """Return them for the hook."""
    return [
        ApiResource(
            path="quotes",
            title=_l("Quotes"),
            model=Quote,
            permission=VIEW,
            read={
                "number": "string",
                "case": "string",
                "state": "string",
                "current": "boolean",
                "total": "money",
                "lines": "objects",
                "valid_until": "date",
                "quoted_at": "moment",
                "sent_at": "moment",
                "answered_at": "moment",
                "means": "string",
                "version": "integer",
            },
            show=_quotes,
            filters={"number": Quote.number, "state": Quote.state, "current": Quote.current},
            also="case.view",
        ),
        ApiResource(
            path="receipts",
            title=_l("Receipts"),
            model=Receipt,
            permission=MONEY,
            write_permission=COLLECT,
            read={
                "number": "string",
                "state": "string",
                "amount": "money",
                "means": "string",
                "reference": "string",
                "payer_name": "string",
                "customer": "uid",
                "received_at": "moment",
                "handed_in_at": "moment",
                "confirmed_at": "moment",
                "lines": "objects",
            },
            show=_receipts,
            filters={"means": Receipt.means, "reference": Receipt.reference},
            fields=RECEIPT_FIELDS,
            create=_create_receipt,
        ),
        ApiResource(
            path="invoices",
            title=_l("Invoice requests"),
            model=Invoice,
            permission=MONEY,
            write_permission=COLLECT,
            read={
                "number": "string",
                "state": "string",
                "buyer": "string",
                "tax_number": "string",
                "rate": "string",
                "amount": "money",
                "tax": "money",
                "customer": "uid",
                "invoice_number": "string",
                "issued_on": "date",
                "red_number": "string",
                "red_amount": "money",
                "red_on": "date",
                "lines": "objects",
            },
            show=_invoices,
            filters={"invoice_number": Invoice.invoice_number, "tax_number": Invoice.tax_number},
            fields=INVOICE_FIELDS,
            create=_create_invoice,
        ),
    ]


def _quotes(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    plain = ("number", "state", "current", "total", "valid_until", "quoted_at", "sent_at", "answered_at", "means")
    numbers = _numbers([row.record_id for row in rows])
    return [
        {
            **{name: getattr(row, name) for name in (*plain, "version")},
            "lines": row.lines,
            "case": numbers[row.record_id],
        }
        for row in rows
    ]


def _numbers(ids: Sequence[int]) -> dict[int, str]:
    found = session().execute(select(Record.id, Record.number).where(Record.id.in_(ids)))
    return dict(found.all())  # type: ignore[arg-type]


def _heads(ids: Sequence[int]) -> dict[int, Record]:
    wanted = select(Record).where(Record.id.in_(ids)).options(joinedload(Record.customer))
    return {row.id: row for row in session().scalars(wanted)}


def _customer(record: Record) -> Any:
    customer: Customer | None = record.customer
    return customer.uid if customer is not None and may("customer.view", record.unit_id) else None


def _receipts(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads = _heads([row.id for row in rows])
    lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in session().scalars(select(ReceiptLine).where(ReceiptLine.receipt_id.in_(list(heads)))):
        lines[one.receipt_id].append({"charge": one.charge_id, "amount": one.amount})
    plain = ("amount", "means", "reference", "payer_name", "handed_in_at", "confirmed_at")
    return [
        {
            **{name: getattr(row, name) for name in plain},
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "customer": _customer(heads[row.id]),
            "received_at": heads[row.id].received_at,
            "lines": lines[row.id],
        }
        for row in rows
    ]


def _invoices(rows: Sequence[Any]) -> list[Mapping[str, Any]]:
    heads = _heads([row.id for row in rows])
    lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in session().scalars(select(InvoiceLine).where(InvoiceLine.invoice_id.in_(list(heads)))):
        lines[one.invoice_id].append({"charge": one.charge_id, "amount": one.amount, "red": one.red})
    plain = ("buyer", "tax_number", "rate", "amount", "invoice_number", "issued_on", "red_number", "red_on")
    return [
        {
            **{name: getattr(row, name) for name in (*plain, "red_amount")},
            "tax": invoices.tax_part(row.amount, row.rate),
            "number": heads[row.id].number,
            "state": heads[row.id].state,
            "customer": _customer(heads[row.id]),
            "lines": lines[row.id],
        }
        for row in rows
    ]


def _create_receipt(unit_id: int, given: Mapping[str, Any]) -> Receipt:
    made = receipts.register(unit_id, _about(unit_id, given))
    return session().scalars(select(Receipt).where(Receipt.id == made.id)).one()


def _create_invoice(unit_id: int, given: Mapping[str, Any]) -> Invoice:
    return invoices.detail(invoices.request(unit_id, _about(unit_id, given)))


def _about(unit_id: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Put the id of the case where its number stands.

    Raises:
        InvalidData: no such case in the unit.
    """
    rest = {name: value for name, value in given.items() if name not in ("case", "customer")}
    rest["customer_id"] = given.get("customer")
    number = given.get("case")
    if not number:
        return rest
    found = select(Record.id).where(Record.unit_id == unit_id, Record.type == "case", Record.number == number)
    case_id = session().scalar(found)
    if case_id is None:
        raise InvalidData({"case": _l("There is no case of this number here")})
    return {**rest, "case_id": case_id}

"""Pages of collecting, of asking for an invoice, and of a customer's statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    AppError,
    Customer,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    charges,
    clean,
    current_scope,
    fetch,
    label_of,
    local_day,
    may,
    require,
    session,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url

from . import invoices, ledger, receipts, statements
from .rights import COLLECT, MONEY

PERIOD = (
    Field("first", "date", _l("From")),
    Field("last", "date", _l("To")),
)


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/warranty/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/receipt/new", "receipt_new", receipt_new, methods=both)
    blueprint.add_url_rule("/invoice/new", "invoice_new", invoice_new, methods=both)
    blueprint.add_url_rule("/statement/<customer_id>", "statement", statement)


# --- collecting and invoicing --------------------------------------------------------------------


def receipt_new() -> ResponseReturnValue:
    """Register money received for a case (``case``) or from a customer (``customer``), R15-11b."""
    case, customer_id = _about()
    rows = receipts.open_of(g.unit.id, case, customer_id)
    whole = sum((one.rest for one in rows), ledger.ZERO)
    fields = [_choice(rows, lambda one: one.rest), *receipts.FIELDS] if rows else []
    return _page(
        _l("Collect money"),
        fields,
        {"amount": whole, "charges": [str(one.id) for one in rows]},
        receipts.register,
        case,
        customer_id,
        _l("Nothing is open to be paid here"),
    )


def invoice_new() -> ResponseReturnValue:
    """Ask for an invoice over charges of a case or a customer."""
    case, customer_id = _about()
    rows = invoices.open_of(g.unit.id, case, customer_id)
    fields = [_choice(rows, lambda one: one.to_invoice), *invoices.FIELDS] if rows else []
    values = {**invoices.first_values(g.unit.id, customer_id), "charges": [str(one.id) for one in rows]}
    return _page(
        _l("Ask for an invoice"),
        fields,
        values,
        invoices.request,
        case,
        customer_id,
        _l("Nothing posted is without an invoice here"),
    )


def _about() -> tuple[Record | None, int | None]:
    require(COLLECT, g.unit.id)
    case_id, customer_id = request.args.get("case", ""), request.args.get("customer", "")
    if not case_id and customer_id and not may("customer.view", g.unit.id):
        raise NotAllowed("customer.view")
    try:
        return receipts.about(g.unit.id, case_id, "" if case_id else customer_id)
    except InvalidData:
        raise NotFound() from None


def _choice(rows: Sequence[ledger.Owed], rest: Callable[[ledger.Owed], Any]) -> Field:
    choices = [
        (str(one.id), f"{one.number} · {charges.label_of(one.charge)} · ¥{rest(one):,.2f}")
        for one in rows[: ledger.MOST_LINES]
    ]
    return Field("charges", "many", _l("Charges"), True, choices)


def _page(
    title: Any,
    fields: Sequence[Field],
    values: Mapping[str, Any],
    call: Callable[[int, Mapping[str, Any]], Record],
    case: Record | None,
    customer_id: int | None,
    empty: Any,
) -> ResponseReturnValue:
    form = form_from_fields(fields, values, timezone=g.unit.timezone)
    status = 200
    if request.method == "POST":
        status = 422
        if fields and form.validate_on_submit():
            made = _made(form, call, case, customer_id)
            if made is not None:
                flash(_("Saved."), "good")
                return redirect(page_url("record.page", record_id=made.id))
    customer = session().scalars(select(Customer).where(Customer.id == customer_id)).first()
    page = render_template(
        "warranty/money_form.html",
        title=title,
        form=form,
        case=case,
        customer=customer.name if customer and may("customer.view", g.unit.id) else "",
        key=request.form.get("key") or uuid7().hex,
        back=_back(case, customer_id),
        empty="" if fields else empty,
    )
    return page, status


def _made(
    form: FieldsForm,
    call: Callable[[int, Mapping[str, Any]], Record],
    case: Record | None,
    customer_id: int | None,
) -> Record | None:
    """Run the service in one transaction; None: it refused, and the form says why."""
    about = {"case_id": case.id} if case else {"customer_id": customer_id}
    try:
        with transaction():
            return call(g.unit.id, {**form.cleaned, **about, "key": request.form.get("key", "")[:80]})
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return None


def _back(case: Record | None, customer_id: int | None) -> str:
    if case is not None:
        return page_url("record.page", record_id=case.id)
    return page_url("customers.details_view", id=customer_id)


# --- the statement -------------------------------------------------------------------------------


def statement(customer_id: str) -> ResponseReturnValue:
    """Show a customer's account (对账单) of a period, by default of this year."""
    customer = fetch(Customer, customer_id)
    if not (may(MONEY, customer.unit_id) and may("customer.view", customer.unit_id)):
        raise NotFound()
    first, last, form = _period(customer.unit_id)
    found = statements.statement_of(customer.id, statements.money_units(), first, last)
    printable = current_scope().may(MONEY, customer.unit_id)
    return render_template(
        "warranty/statement.html",
        customer=customer,
        found=found,
        form=form,
        kinds=statements.KINDS,
        buckets=list(zip(statements.BUCKETS, found.ageing.buckets, strict=True)),
        label_of=label_of,
        record_url=lambda one: page_url("record.page", record_id=one.record_id),
        customer_url=page_url("customers.details_view", id=customer.id),
        collect_url=url_for("warranty.receipt_new", customer=customer.id) if may(COLLECT, g.unit.id) else "",
        print_url=page_url("printing.index", subject="customer", id=customer.id) if printable else "",
    )


def _period(unit_id: int) -> tuple[date, date, FieldsForm]:
    """Read the period from the address; what is malformed or turned round counts as absent."""
    today = local_day(unit_id)
    first, last = date(today.year, 1, 1), today
    try:
        given = clean(PERIOD, {one.name: request.args.get(one.name) for one in PERIOD})
        first, last = given["first"] or first, given["last"] or last
    except InvalidData:
        flash(_("Please enter a date such as 2026-01-31"), "warn")
    if first > last:
        flash(_("The period ends before it begins"), "warn")
        first, last = last, first
    fields = [replace(one) for one in PERIOD]
    return first, last, form_from_fields(fields, {"first": first, "last": last}, fresh=True)

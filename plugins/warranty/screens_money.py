"""Screens of receipts, hand-in, invoices and ageing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import g, url_for
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload, lazyload

from core.sdk import Customer, Field, Record, User, clock, current_scope, may, perform, search
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    Screen,
    among,
    between,
    page_url,
)

from . import invoices, receipts, statements, values
from .models import Invoice, Receipt
from .panels_money import state_badge
from .rights import COLLECT, FINANCE, MONEY

PLUGIN = "warranty"
RECEIPT_OF: Any = cast(Any, Record).warranty_receipt
INVOICE_OF: Any = cast(Any, Record).warranty_invoice
_NAMED = (joinedload(Record.customer).load_only(Customer.name), joinedload(Record.assignee).load_only(User.name))
SEARCH_LIMIT = 500


def record_url(record: Record) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=record.id)


def _receipts() -> Select[Any]:
    """Whoever does not see all receipts sees the own ones."""
    own = Receipt.collector_id == current_scope().actor_id
    return (
        select(Record)
        .join(RECEIPT_OF)
        .where(Record.type == receipts.CODE, Record.unit_id.in_(statements.money_units()) | own)
        .options(contains_eager(RECEIPT_OF).options(lazyload(Receipt.record)), *_NAMED)
    )


def _invoices() -> Select[Any]:
    return (
        select(Record)
        .join(INVOICE_OF)
        .where(Record.type == invoices.CODE)
        .options(contains_eager(INVOICE_OF).options(lazyload(Invoice.record)), *_NAMED)
    )


def _find(code: str) -> Callable[[Select[Any], str, ListContext], Select[Any]]:
    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        found = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(Record.id.in_([one.entity_id for one in found]))

    return find


def _quick(key: str, label: Any, *conditions: Callable[[ListContext], Any]) -> QuickFilter:
    return QuickFilter(key, label, lambda s, context: s.where(*(one(context) for one in conditions)))


def _in_hand(_context: ListContext) -> Any:
    return Record.state == receipts.COLLECTED


def _mine(context: ListContext) -> Any:
    return Receipt.collector_id == context.actor_id


def _overdue(_context: ListContext) -> Any:
    return Record.next_due_at < clock.now()


def _step(code: str, label: Any, permission: str) -> BulkAction:
    return BulkAction(code, label, lambda row, _values: perform(row.id, code, {}), permission)


def _state_choices(workflow: Any) -> list[tuple[str, Any]]:
    return [(one.code, one.label) for one in workflow.states.values()]


NUMBER = ListColumn("number", _l("Number"), lambda r: r.number, "code", link=record_url, card="title")
CUSTOMER = ListColumn("customer", _l("Customer"), lambda r: r.customer.name if r.customer else "")
STATE = ListColumn(
    "state", _l("State"), state_badge, "badge", card="badge", export=lambda r: str(state_badge(r)[0])
)
ORDERINGS = (
    Ordering("received", _l("Newest first"), (Record.received_at, Record.id)),
    Ordering("oldest", _l("Oldest first"), (Record.received_at, Record.id), descending=False),
)

RECEIPTS = ListSpec(
    name="warranty.receipts",
    title=_l("Receipts"),
    model=Record,
    base=_receipts,
    columns=(
        NUMBER,
        CUSTOMER,
        ListColumn("amount", _l("Amount"), lambda r: r.warranty_receipt.amount, "money"),
        STATE,
        ListColumn(
            "means",
            _l("Means of payment"),
            lambda r: dict(values.RECEIPT_MEANS).get(r.warranty_receipt.means, r.warranty_receipt.means),
        ),
        ListColumn("collector", _l("Collected by"), lambda r: r.assignee.name if r.assignee else ""),
        ListColumn("received", _l("Collected at"), lambda r: r.received_at, "moment", order="received"),
        ListColumn("due", _l("To be handed in by"), lambda r: r.next_due_at, "moment"),
        ListColumn("title", _l("What it is about"), lambda r: r.title, card="hide"),
        ListColumn("reference", _l("Reference"), lambda r: r.warranty_receipt.reference, "code", visible=False),
    ),
    orderings=ORDERINGS,
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), lambda: _state_choices(receipts.WORKFLOW)),
        Filter("means", _l("Means of payment"), "choice", among(Receipt.means), values.RECEIPT_MEANS),
        Filter("received", _l("Collected at"), "dates", between(Record.received_at)),
    ),
    quick=(
        _quick("in_hand", _l("Not handed in"), _in_hand),
        _quick("mine", _l("Mine, not handed in"), _in_hand, _mine),
        _quick("overdue", _l("Overdue to be handed in"), _in_hand, _overdue),
        _quick("to_confirm", _l("To be confirmed"), lambda _c: Record.state == receipts.HANDED_IN),
    ),
    actions=(
        _step("hand_in", _l("Hand in the money"), COLLECT),
        _step("confirm", _l("Confirm the money"), FINANCE),
    ),
    search=_find(receipts.CODE),
    search_hint=_l("Number or reference"),
    empty=_l("No receipts yet. Money is collected from the page of a case or of a customer."),
)

INVOICES = ListSpec(
    name="warranty.invoices",
    title=_l("Invoice requests"),
    model=Record,
    base=_invoices,
    columns=(
        NUMBER,
        ListColumn("buyer", _l("Buyer's name"), lambda r: r.warranty_invoice.buyer),
        ListColumn("amount", _l("Amount with tax"), lambda r: r.warranty_invoice.amount, "money"),
        STATE,
        ListColumn("invoice_number", _l("Invoice number"), lambda r: r.warranty_invoice.invoice_number, "code"),
        ListColumn("issued_on", _l("Day of the invoice"), lambda r: r.warranty_invoice.issued_on, "date"),
        ListColumn("received", _l("Asked for at"), lambda r: r.received_at, "moment", order="received"),
        ListColumn("red", _l("Amount taken back"), lambda r: r.warranty_invoice.red_amount or None, "money"),
        ListColumn("title", _l("What it is about"), lambda r: r.title, card="hide"),
        ListColumn("tax_number", _l("Tax number"), lambda r: r.warranty_invoice.tax_number, "code", visible=False),
    ),
    orderings=ORDERINGS,
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), lambda: _state_choices(invoices.WORKFLOW)),
        Filter("received", _l("Asked for at"), "dates", between(Record.received_at)),
    ),
    quick=(_quick("requested", _l("To be invoiced"), lambda _c: Record.state == invoices.REQUESTED),),
    actions=(
        BulkAction(
            "cancel",
            _l("Cancel the request"),
            lambda row, given: perform(row.id, "cancel", given),
            COLLECT,
            fields=lambda: [Field("reason", "long", _l("Reason"), True, max_length=500)],
        ),
    ),
    search=_find(invoices.CODE),
    search_hint=_l("Number or invoice number"),
    empty=_l("No invoice was asked for yet. Ask for one on the page of a case or of a customer."),
)


class ReceiptScreen(ListScreen):
    """Receipts of the unit (收款单); whoever does not see all of them sees the own ones."""

    plugin = PLUGIN
    permission = COLLECT
    export_permission = MONEY
    icon = "inbox"

    def list_spec(self) -> ListSpec:
        return RECEIPTS

    def row_url(self, row: Any) -> str:
        return record_url(row)


class InvoiceScreen(ListScreen):
    """Invoice requests of the unit (开票申请)."""

    plugin = PLUGIN
    permission = MONEY
    export_permission = MONEY
    icon = "list"

    def list_spec(self) -> ListSpec:
        return INVOICES

    def row_url(self, row: Any) -> str:
        return record_url(row)


class AgeingScreen(Screen):
    """Who owes what since when (应收账龄)."""

    plugin = PLUGIN
    permission = MONEY
    icon = "columns"

    @expose("/")
    def index_view(self) -> Any:
        """Show the customers that owe most."""
        rows = statements.ageing_list(g.unit.id)
        page: str = self.render(
            "warranty/ageing.html",
            rows=rows,
            labels=statements.BUCKETS,
            total=statements.total_of(g.unit.id),
            most=statements.MOST_CUSTOMERS,
            names=may("customer.view", g.unit.id),
            statement_url=lambda row: url_for("warranty.statement", customer_id=row.customer_id),
        )
        return page


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        ReceiptScreen(name=_l("Receipts"), endpoint="warranty_receipts", url="/admin/warranty/receipts"),
        InvoiceScreen(name=_l("Invoice requests"), endpoint="warranty_invoices", url="/admin/warranty/invoices"),
        AgeingScreen(name=_l("What customers owe"), endpoint="warranty_ageing", url="/admin/warranty/ageing"),
    ]

"""Screens of service contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Customer, Field, InvalidData, NotFound, Record, Refused, fetch, local_day, may, search, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    page_url,
)

from . import contracts
from .models import Contract
from .rights import CONTRACT, VIEW

PLUGIN = "warranty"
SEARCH_LIMIT = 500
_TONES = {
    contracts.DRAFT: "neutral",
    contracts.SIGNED: "info",
    contracts.IN_FORCE: "good",
    contracts.CANCELLED: "bad",
}


def record_url(row: Contract) -> str:
    """Return the address of a contract's page, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(row: Contract) -> tuple[Any, str]:
    """Return (label, tone) of a contract's state."""
    state = contracts.WORKFLOW.states.get(row.record.state)
    return (state.label if state else row.record.state), _TONES.get(row.record.state, "neutral")


def _base() -> Select[Any]:
    customer = joinedload(Record.customer).load_only(Customer.name)
    return select(Contract).join(Contract.record).options(contains_eager(Contract.record).options(customer))


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, contracts.CODE, text, SEARCH_LIMIT)
    return statement.where(Contract.id.in_([one.entity_id for one in found]))


def _running_out(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Record.state == contracts.IN_FORCE, Contract.ends_on < local_day(context.unit_id))


def _customer(row: Contract) -> str:
    return row.record.customer.name if row.record.customer else ""


CONTRACTS = ListSpec(
    name="warranty.contracts",
    title=_l("Service contracts"),
    model=Contract,
    base=_base,
    columns=(
        ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=record_url, card="title"),
        ListColumn("name", _l("Name of the contract"), lambda c: c.name),
        ListColumn("customer", _l("Customer"), _customer),
        ListColumn("state", _l("State"), state_badge, "badge", card="badge"),
        ListColumn("signed_on", _l("Signed on"), lambda c: c.signed_on, "date"),
        ListColumn("starts_on", _l("Valid from"), lambda c: c.starts_on, "date"),
        ListColumn("ends_on", _l("Valid until"), lambda c: c.ends_on, "date"),
        ListColumn("free_months", _l("Free repair (months)"), lambda c: c.free_months, "number", card="hide"),
        ListColumn("prices", _l("Agreed prices (number)"), lambda c: len(c.prices or {}), "number", card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Contract.id,)),),
    filters=(
        Filter(
            "state",
            _l("State"),
            "choice",
            among(Record.state),
            lambda: [(one.code, one.label) for one in contracts.STATES],
        ),
    ),
    quick=(
        QuickFilter("in_force", _l("In force"), lambda s, _c: s.where(Record.state == contracts.IN_FORCE)),
        QuickFilter("over", _l("In force, but run out"), _running_out),
    ),
    search=_find,
    search_hint=_l("Number, name or customer"),
    empty=_l("No service contracts yet. Draft the first one."),
)


def _name_of(raw_id: str) -> str:
    """Return the name of the customer that a form begins with, as far as the actor may see it."""
    try:
        found = fetch(Customer, raw_id) if raw_id and may("customer.view", g.unit.id) else None
    except NotFound:
        found = None
    return found.name if found is not None and found.unit_id == g.unit.id else ""


class ContractView(UnitModelView):
    """Service contracts: list and draft; the page of each is its record's."""

    plugin = PLUGIN
    title = _l("Service contracts")
    icon = "case"
    create_label = _l("New contract")
    permission = VIEW
    create_permission = CONTRACT
    edit_permission = CONTRACT
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return CONTRACTS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        if row is not None:
            return contracts.FIELDS
        name = _name_of(request.args.get("customer", ""))
        return (replace(contracts.CUSTOMER, options={"text": name}), *contracts.FIELDS)

    def form_values(self, row: Any) -> dict[str, Any]:
        serials = "\n".join(item.serial for item in contracts.items_of(row.id))
        return {**super().form_values(row), "serials": serials, "prices": contracts.show_prices(row.prices or {})}

    def new_values(self) -> dict[str, Any]:
        return {"customer_id": request.args.get("customer", "")}

    def create(self, values: dict[str, Any]) -> Any:
        record = contracts.register(g.unit.id, values)
        return session().get(Contract, record.id)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            contracts.change(row.id, values)
        except Refused as bad:
            raise InvalidData({"": bad.texts()}) from None

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the contract's record."""
        return redirect(record_url(self.get_one(request.args.get("id"))))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [ContractView(Contract, endpoint="warranty_contract", url="warranty/contracts")]

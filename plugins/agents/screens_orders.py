"""Screens of orders passed to service agents and of old parts, for our staff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, request, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Field, Record, label_of
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    between,
    page_url,
)

from . import old_parts, values
from .models import Agent, OldPart, Order
from .rights import HANDLE, VIEW
from .screens_own import order_badge

PLUGIN = "agents"


def record_url(record_id: int) -> str:
    """Return the address of a case."""
    return page_url("record.page", record_id=record_id)


# --- orders --------------------------------------------------------------------------------------


def order_url(order: Order) -> str:
    """Return the address of an order's page."""
    return url_for("agents.order", order_id=order.id)


def _orders() -> Select[Any]:
    return (
        select(Order)
        .join(Order.agent)
        .options(contains_eager(Order.agent), joinedload(Order.record), joinedload(Order.contact))
    )


def _of_order(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    numbered = select(Record.id).where(Record.number == text.upper())
    return statement.where(
        Order.record_id.in_(numbered) | Agent.name.contains(text, autoescape=True) | (Agent.code == text.upper())
    )


def _without_rate(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Order.state == values.DONE, Order.contract_id.is_(None))


def _to_take_back(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Order.repeated_id.is_not(None), Order.taken_back_at.is_(None))


def _what_next(order: Order) -> tuple[Any, str]:
    """Say what there is to be looked at: no rate, a repeated fault, pay taken back."""
    if order.taken_back_at is not None:
        return _l("Pay taken back"), "neutral"
    if order.repeated_id is not None:
        return _l("Failed again"), "bad"
    if order.state == values.DONE and order.contract_id is None:
        return _l("No rate agreed"), "warn"
    return "", "neutral"


ORDERS = ListSpec(
    name="agents.orders",
    title=_l("Orders to service agents"),
    model=Order,
    base=_orders,
    columns=(
        ListColumn("number", _l("Case"), lambda o: o.record.number, "code", link=order_url, card="title"),
        ListColumn("agent", _l("Service agent"), lambda o: o.agent.name),
        ListColumn("state", _l("State"), order_badge, "badge", card="badge", export=lambda o: order_badge(o)[0]),
        ListColumn("technician", _l("Technician"), lambda o: o.contact.name),
        ListColumn("passed", _l("Passed on at"), lambda o: o.passed_at, "moment", order="newest"),
        ListColumn("answered", _l("Answered at"), lambda o: o.answered_at, "moment"),
        ListColumn("done", _l("Done at"), lambda o: o.done_at, "moment"),
        ListColumn("next", _l("To be looked at"), _what_next, "badge", export=lambda o: _what_next(o)[0]),
        ListColumn("reason", _l("Reason"), lambda o: o.reason, card="hide", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Order.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(Order.state), values.ORDER_STATES),
        Filter("passed", _l("Passed on at"), "dates", between(Order.passed_at)),
    ),
    quick=(
        QuickFilter("waiting", _l("To be accepted"), lambda s, _c: s.where(Order.state == values.PASSED)),
        QuickFilter("in_hands", _l("Under way"), lambda s, _c: s.where(Order.state == values.ACCEPTED)),
        QuickFilter("no_rate", _l("No rate agreed"), _without_rate),
        QuickFilter("repeated", _l("Failed again"), _to_take_back),
    ),
    search=_of_order,
    search_hint=_l("Case number, or number or name of the agent"),
    empty=_l("No orders yet. Assign a case to a technician of a service agent: it is then passed on."),
)


class OrderScreen(ListScreen):
    """Cases passed to service agents (转派单), with the work lists of pay."""

    plugin = PLUGIN
    model = Order
    permission = VIEW
    export_permission = VIEW
    icon = "send"

    def list_spec(self) -> ListSpec:
        return ORDERS

    def row_url(self, row: Any) -> str:
        return order_url(row)


# --- old parts -----------------------------------------------------------------------------------

_TONES = {values.EXPECTED: "warn", values.RECEIVED: "good", values.MISSING: "bad", values.EXEMPT: "neutral"}


def part_badge(row: OldPart) -> tuple[Any, str]:
    """Return (label, tone) of the state of an old part."""
    return label_of(values.OLD_PART_STATES, row.state), _TONES.get(row.state, "neutral")


def part_url(row: OldPart) -> str:
    """Return the address of an old part's page."""
    return url_for("agents_old_parts.details_view", id=row.id)


def _parts() -> Select[Any]:
    return select(OldPart).join(OldPart.record).options(contains_eager(OldPart.record))


def _of_part(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(
        (Record.number == text.upper()) | (OldPart.serial == text) | OldPart.part.contains(text, autoescape=True)
    )


def _in_state(state: str) -> QuickFilter:
    return QuickFilter(
        state, label_of(values.OLD_PART_STATES, state), lambda s, _c: s.where(OldPart.state == state)
    )


OLD_PARTS = ListSpec(
    name="agents.old_parts",
    title=_l("Old parts"),
    model=OldPart,
    base=_parts,
    columns=(
        ListColumn("part", _l("Part"), lambda p: p.part, link=part_url, card="title"),
        ListColumn("state", _l("State"), part_badge, "badge", card="badge", export=lambda p: part_badge(p)[0]),
        ListColumn("case", _l("Case"), lambda p: p.record.number, "code", link=lambda p: record_url(p.record_id)),
        ListColumn("serial", _l("Serial number"), lambda p: p.serial, "code"),
        ListColumn("quantity", _l("Quantity"), lambda p: p.quantity, "number"),
        ListColumn("received", _l("Handed in on"), lambda p: p.received_on, "date"),
        ListColumn("place", _l("Place"), lambda p: p.place),
        ListColumn("note", _l("Note"), lambda p: p.note, card="hide", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (OldPart.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(OldPart.state), values.OLD_PART_STATES),
        Filter("received", _l("Handed in on"), "dates", between(OldPart.received_on)),
    ),
    quick=tuple(_in_state(code) for code, _label in values.OLD_PART_STATES),
    actions=(
        BulkAction(
            "hand_in",
            _l("Handed in"),
            lambda row, given: old_parts.hand_in(row, given),
            HANDLE,
            fields=lambda: list(old_parts.HAND_IN_FIELDS),
        ),
    ),
    search=_of_part,
    search_hint=_l("Part, serial number or case number"),
    empty=_l("No old parts yet. They come by themselves when a part is replaced on a case of an agent."),
)


class OldPartView(UnitModelView):
    """The register of old parts (旧件)."""

    plugin = PLUGIN
    title = _l("Old parts")
    icon = "inbox"
    permission = VIEW
    create_permission = HANDLE
    edit_permission = HANDLE
    export_permission = VIEW
    create_label = _l("New old part")

    def list_spec(self) -> ListSpec:
        return OLD_PARTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return old_parts.FIELDS if row is not None else (old_parts.NUMBER, *old_parts.FIELDS)

    def new_values(self) -> dict[str, Any]:
        return {"case": request.args.get("case", "")}

    def create(self, values: dict[str, Any]) -> Any:
        return old_parts.register(old_parts.case_of(g.unit.id, values["case"]), values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        old_parts.change(row, values)

    def details(self, row: Any) -> dict[str, Any]:
        shown = super().details(row)
        return {**shown, "facts": [(_l("Case"), row.record.number), *shown["facts"]]}


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        OrderScreen(name=ORDERS.title, endpoint="agents_orders", url="/admin/agents/orders"),
        OldPartView(OldPart, endpoint="agents_old_parts", url="agents/old-parts"),
    ]

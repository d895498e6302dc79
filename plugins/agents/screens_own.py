"""The lists of agents' own people: their cases, their orders, their statements."""

from __future__ import annotations

from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager, lazyload

from core.sdk import OPEN_CATEGORIES, Case, Record, Tile, label_of, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
    state_badge,
)

from . import own, statements, values
from .models import Order, Statement
from .rights import OWN

PLUGIN = "agents"
CAP = 99
_CASE_OF: Any = Record.case  # type: ignore[attr-defined]


def case_url(record: Record) -> str:
    return url_for("agents.own_case", record_id=record.id)


def order_badge(order: Order) -> tuple[Any, str]:
    """Return (label, tone) of the state of an order."""
    tones = {values.PASSED: "warn", values.ACCEPTED: "info", values.DONE: "good"}
    return label_of(values.ORDER_STATES, order.state), tones.get(order.state, "neutral")


def _cases() -> Select[Any]:
    return (
        select(Record)
        .join(_CASE_OF)
        .where(own.is_theirs())
        .options(contains_eager(_CASE_OF).options(lazyload(Case.record)))
    )


def _by_number(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where((Record.number == text.upper()) | (Case.serial_text == text))


RECORD_STATE = ListColumn(
    "state", _l("State"), state_badge, "badge", card="badge", export=lambda r: state_badge(r)[0]
)
CASES = ListSpec(
    name="agents.own_cases",
    title=_l("My cases"),
    model=Record,
    base=_cases,
    columns=(
        ListColumn("number", _l("Number"), lambda r: r.number, "code", link=case_url, card="title"),
        ListColumn(
            "state", _l("State"), state_badge, "badge", card="badge", export=lambda r: str(state_badge(r)[0])
        ),
        ListColumn("serial", _l("Serial number"), lambda r: r.case.serial_text, "code"),
        ListColumn("product", _l("Product model"), lambda r: r.case.product_text),
        ListColumn("title", _l("Fault"), lambda r: r.title),
        ListColumn("received", _l("Received at"), lambda r: r.received_at, "moment", order="received"),
    ),
    orderings=(Ordering("received", _l("Newest first"), (Record.received_at, Record.id)),),
    filters=(Filter("received", _l("Received at"), "dates", between(Record.received_at)),),
    quick=(QuickFilter("open", _l("Open"), lambda s, _c: s.where(Record.category.in_(OPEN_CATEGORIES))),),
    search=_by_number,
    search_hint=_l("Whole case number or serial number"),
    empty=_l("No cases concern your company so far."),
)


def _order_url(order: Order) -> str:
    return case_url(order.record)


def _due(order: Order) -> Any:
    return order.record.next_due_at if order.state in own.IN_HANDS else None


ORDERS = ListSpec(
    name="agents.own_orders",
    title=_l("My orders"),
    model=Order,
    base=own.orders_of,
    columns=(
        ListColumn(
            "number",
            _l("Number"),
            lambda o: o.record.number,
            "code",
            link=lambda o: case_url(o.record),
            card="title",
        ),
        ListColumn(
            "state", _l("State"), order_badge, "badge", card="badge", export=lambda o: str(order_badge(o)[0])
        ),
        ListColumn("title", _l("Fault"), lambda o: o.record.title),
        ListColumn("technician", _l("Technician"), lambda o: o.contact.name),
        ListColumn(
            "due", _l("Next due"), lambda o: o.record.next_due_at if o.state in own.IN_HANDS else None, "moment"
        ),
        ListColumn("passed", _l("Passed on at"), lambda o: o.passed_at, "moment", order="newest"),
        ListColumn("done", _l("Done at"), lambda o: o.done_at, "moment"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Order.id,)),),
    filters=(Filter("state", _l("State"), "choice", among(Order.state), values.ORDER_STATES),),
    quick=(
        QuickFilter("waiting", _l("To be accepted"), lambda s, _c: s.where(Order.state == values.PASSED)),
        QuickFilter("in_hands", _l("Under way"), lambda s, _c: s.where(Order.state == values.ACCEPTED)),
    ),
    empty=_l("No orders were passed to your company so far."),
)


def statement_url(statement: Statement) -> str:
    return url_for("agents.own_statement", statement_id=statement.id)


def _statement_badge(statement: Statement) -> tuple[Any, str]:
    return state_badge(statement.record)


STATEMENTS = ListSpec(
    name="agents.own_statements",
    title=_l("My statements"),
    model=Statement,
    base=own.statements_of,
    columns=(
        ListColumn("number", _l("Number"), lambda s: s.record.number, "code", link=statement_url, card="title"),
        ListColumn("state", _l("State"), _statement_badge, "badge", card="badge"),
        ListColumn("period", _l("Period"), lambda s: s.period, "code"),
        # Read by the agent, hence the other way round than for staff.
        ListColumn("receivable", _l("You owe us (yuan)"), lambda s: s.receivable, "money"),
        ListColumn("payable", _l("We owe you (yuan)"), lambda s: s.payable, "money"),
        ListColumn("lines", _l("Lines"), lambda s: s.line_count, "number"),
        ListColumn("sent", _l("Sent at"), lambda s: s.sent_at, "moment", order="newest"),
        ListColumn("due", _l("Due on"), lambda s: s.due_on, "date"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Statement.id,)),),
    quick=(QuickFilter("to_answer", _l("To be answered"), lambda s, _c: s.where(Record.state == statements.SENT)),),
    empty=_l("No statement was sent to your company so far."),
)


class _Own(ListScreen):
    """A list for people of an agent; nobody else has it in the menu."""

    plugin = PLUGIN
    permission = OWN
    on_bottom_bar = True

    def is_visible(self) -> bool:
        return bool(own.mine())


class OwnCaseScreen(_Own):
    icon = "list"

    def list_spec(self) -> ListSpec:
        return CASES

    def row_url(self, row: Any) -> str:
        return case_url(row)


class OwnOrderScreen(_Own):
    icon = "wrench"

    def list_spec(self) -> ListSpec:
        return ORDERS

    def row_url(self, row: Any) -> str:
        return case_url(row.record)


class OwnStatementScreen(_Own):
    icon = "inbox"

    def list_spec(self) -> ListSpec:
        return STATEMENTS

    def row_url(self, row: Any) -> str:
        return statement_url(row)


def tiles(unit: Any) -> list[Tile]:
    """What waits for an agent's own people: orders to be accepted, statements to be answered."""
    if not own.mine() or not g.actor:
        return []
    waiting = own.orders_of().where(Order.unit_id == unit.id, Order.state == values.PASSED)
    to_answer = own.statements_of().where(Statement.unit_id == unit.id, Record.state == statements.SENT)
    orders = Tile(
        "own_orders",
        _l("Orders to be accepted"),
        _count(waiting, Order.id),
        url_for("agents_own_orders.index_view", quick="waiting"),
        "warn",
    )
    sent = Tile(
        "own_statements",
        _l("Statements to be answered"),
        _count(to_answer, Statement.id),
        url_for("agents_own_statements.index_view", quick="to_answer"),
        "warn",
    )
    return [one for one in (orders, sent) if one.value]


def _count(found: Select[Any], column: Any) -> int:
    some = found.options(lazyload("*")).with_only_columns(column).order_by(None).limit(CAP).subquery()
    return int(session().scalar(select(func.count()).select_from(some)) or 0)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        OwnCaseScreen(name=CASES.title, endpoint="agents_own_cases", url="/admin/agents/own/cases"),
        OwnOrderScreen(name=ORDERS.title, endpoint="agents_own_orders", url="/admin/agents/own/orders"),
        OwnStatementScreen(
            name=STATEMENTS.title, endpoint="agents_own_statements", url="/admin/agents/own/statements"
        ),
    ]

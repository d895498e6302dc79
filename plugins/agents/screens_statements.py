"""Screens of statements, payments and ageing, for our staff."""

from __future__ import annotations

from typing import Any

from flask import g, url_for
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Record, label_of, local_day, may, normalise, search
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    Screen,
    among,
    page_url,
)

from . import ageing, payments, statement_flow, statements, values
from .models import Agent, Payment, Statement
from .rights import FINANCE, SETTLE, VIEW

PLUGIN = "agents"
SEARCH_LIMIT = 500
# States in which the next step is ours, and those of a statement that is not paid in full.
OURS = (statements.DRAFT, statements.DISPUTED, statements.AGREED, statements.APPROVED, statements.SEALED)
TONES = {
    statements.DRAFT: "neutral",
    statements.SENT: "info",
    statements.DISPUTED: "warn",
    statements.AGREED: "info",
    statements.APPROVED: "info",
    statements.SEALED: "info",
    statements.INVOICED: "warn",
    statements.PAID: "good",
    statements.CLOSED: "good",
    statements.CANCELLED: "neutral",
}
_AGENT = joinedload(Statement.agent).load_only(Agent.code, Agent.name)


# --- statements ----------------------------------------------------------------------------------


def statement_url(row: Statement) -> str:
    """Return the address of a statement, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(row: Statement) -> tuple[Any, str]:
    """Return (label, tone) of a statement's state."""
    state = statement_flow.WORKFLOW.states.get(row.record.state)
    return (state.label if state else row.record.state), TONES.get(row.record.state, "neutral")


def due_badge(row: Statement) -> tuple[Any, str] | None:
    """Return when a statement that is not paid is due; None where it is not to be paid now."""
    if row.due_on is None or row.record.state not in payments.PAYABLE:
        return None
    late = (local_day(row.unit_id) - row.due_on).days
    return (_l("%(days)d days late", days=late), "bad") if late > 0 else (row.due_on.isoformat(), "neutral")


def _statements() -> Select[Any]:
    return select(Statement).join(Statement.record).options(contains_eager(Statement.record), _AGENT)


def _find_statement(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, statements.CODE, text, SEARCH_LIMIT)
    return statement.where(Statement.id.in_([one.entity_id for one in found]))


def _agents_called(text: str, context: ListContext) -> Select[Any]:
    """Select the agents whose number or name holds a text."""
    wanted = normalise(text)
    units = context.units or frozenset({context.unit_id})
    named = or_(Agent.code.icontains(wanted, autoescape=True), Agent.name.icontains(wanted, autoescape=True))
    return select(Agent.id).where(Agent.unit_id.in_(units), named)


def _of_agent(column: Any) -> Any:
    return lambda statement, text, context: statement.where(column.in_(_agents_called(text, context)))


def _unpaid(statement: Select[Any], _context: Any = None) -> Select[Any]:
    return statement.where(
        Record.state.in_(payments.PAYABLE),
        or_(Statement.receivable != Statement.received, Statement.payable != Statement.paid),
    )


def _overdue(statement: Select[Any], context: ListContext) -> Select[Any]:
    return _unpaid(statement).where(Statement.due_on < context.today())


STATEMENTS = ListSpec(
    name="agents.statements",
    title=_l("Statements of agents"),
    model=Statement,
    base=_statements,
    columns=(
        ListColumn("number", _l("Number"), lambda s: s.record.number, "code", link=statement_url, card="title"),
        ListColumn("agent", _l("Agent"), lambda s: s.agent.name),
        ListColumn("period", _l("Period"), lambda s: s.period),
        ListColumn(
            "state", _l("State"), state_badge, "badge", card="badge", export=lambda s: str(state_badge(s)[0])
        ),
        ListColumn("receivable", _l("They owe us"), lambda s: s.receivable, "money"),
        ListColumn("payable", _l("We owe them"), lambda s: s.payable, "money"),
        ListColumn("received", _l("Received so far"), lambda s: s.received, "money", card="hide"),
        ListColumn("paid", _l("Paid so far"), lambda s: s.paid, "money", card="hide"),
        ListColumn("lines", _l("Statement lines"), lambda s: s.line_count, "number", card="hide"),
        ListColumn("failed", _l("Checks failed"), lambda s: s.failed_count or None, "number"),
        ListColumn("disputed", _l("Disputed"), lambda s: s.disputed_count or None, "number"),
        ListColumn("due", _l("Due on"), lambda s: s.due_on, "date"),
        ListColumn("code", _l("Number of the agent"), lambda s: s.agent.code, "code", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Statement.id,)),
        Ordering("oldest", _l("Oldest first"), (Statement.id,), descending=False),
    ),
    filters=(
        Filter(
            "state",
            _l("State"),
            "choice",
            among(Record.state),
            lambda: [(one.code, one.label) for one in statement_flow.WORKFLOW.states.values()],
        ),
        Filter("period", _l("Period (2026-01)"), "text", lambda s, text, _c: s.where(Statement.period == text)),
        Filter("agent", _l("Agent"), "text", _of_agent(Statement.agent_id)),
    ),
    quick=(
        QuickFilter("ours", _l("Waits for us"), lambda s, _c: s.where(Record.state.in_(OURS))),
        QuickFilter("disputed", _l("Disputed"), lambda s, _c: s.where(Statement.disputed_count > 0)),
        QuickFilter("overdue", _l("Payment overdue"), _overdue),
        QuickFilter("unpaid", _l("Not paid in full"), _unpaid),
    ),
    search=_find_statement,
    search_hint=_l("Number, period or agent"),
    empty=_l("No statement yet. Statements are made from the lines of a month that is over."),
)


class StatementScreen(ListScreen):
    """Statements of the unit (结算单)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Make the statements of a month")
    icon = "list"

    def list_spec(self) -> ListSpec:
        return STATEMENTS

    def row_url(self, row: Any) -> str:
        return statement_url(row)

    def create_url(self) -> str:
        return url_for("agents.statements_make") if may(SETTLE, g.unit.id) else ""


# --- payments ------------------------------------------------------------------------------------


def payment_url(row: Payment) -> str:
    """Return the address of a payment's page."""
    return url_for("agents.payment", payment_id=row.id)


def payment_badge(row: Payment) -> tuple[Any, str]:
    """Return (label, tone): whether a payment counts."""
    return (_l("Taken back"), "bad") if row.void else (_l("Entered"), "good")


def _kind(row: Payment) -> Any:
    return label_of(values.PAYMENT_KINDS, row.kind)


PAYMENTS = ListSpec(
    name="agents.payments",
    title=_l("Payments of agents"),
    model=Payment,
    base=lambda: select(Payment).options(joinedload(Payment.agent).load_only(Agent.code, Agent.name)),
    columns=(
        ListColumn("reference", _l("Reference"), lambda p: p.reference, "code", link=payment_url, card="title"),
        ListColumn("agent", _l("Agent"), lambda p: p.agent.name),
        ListColumn("kind", _l("Kind"), _kind, export=lambda p: str(_kind(p))),
        ListColumn("amount", _l("Amount"), lambda p: p.amount, "money"),
        ListColumn("paid_on", _l("Paid on"), lambda p: p.paid_on, "date"),
        ListColumn(
            "state", _l("State"), payment_badge, "badge", card="badge", export=lambda p: str(payment_badge(p)[0])
        ),
        ListColumn("entered", _l("Entered at"), lambda p: p.entered_at, "moment", card="hide"),
        ListColumn("note", _l("Note"), lambda p: p.note, card="hide", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Payment.id,)),
        Ordering("oldest", _l("Oldest first"), (Payment.id,), descending=False),
    ),
    filters=(
        Filter("kind", _l("Kind"), "choice", among(Payment.kind), values.PAYMENT_KINDS),
        Filter("agent", _l("Agent"), "text", _of_agent(Payment.agent_id)),
        Filter("void", _l("Taken back"), "bool", lambda s, wanted, _c: s.where(Payment.void.is_(wanted))),
    ),
    search=lambda s, text, _c: s.where(Payment.reference.icontains(normalise(text), autoescape=True)),
    search_hint=_l("Reference"),
    empty=_l("No payment yet. Payments are entered on the page of a statement."),
)


class PaymentScreen(ListScreen):
    """Payments between agents and us (收付款)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Enter a payment")
    icon = "inbox"

    def list_spec(self) -> ListSpec:
        return PAYMENTS

    def row_url(self, row: Any) -> str:
        return payment_url(row)

    def create_url(self) -> str:
        return url_for("agents.payment_new") if may(FINANCE, g.unit.id) else ""


# --- ageing --------------------------------------------------------------------------------------


class AgeingScreen(Screen):
    """What agents and we owe each other, by how long it is overdue (代理商账龄)."""

    plugin = PLUGIN
    permission = VIEW
    icon = "columns"

    @expose("/")
    def index_view(self) -> Any:
        """Show both directions by agent."""
        rows = ageing.ageing_of(g.unit.id)
        page: str = self.render(
            "agents/ageing.html",
            rows=rows,
            whole=ageing.totals_of(rows),
            labels=ageing.BUCKETS,
            directions=values.DIRECTIONS,
            kinds={values.OWED_TO_US: values.RECEIVED_FROM, values.OWED_BY_US: values.PAID_TO},
            may_match=may(FINANCE, g.unit.id),
            day=local_day(g.unit.id),
        )
        return page


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        StatementScreen(
            name=_l("Statements of agents"), endpoint="agents_statements", url="/admin/agents/statements"
        ),
        PaymentScreen(name=_l("Payments of agents"), endpoint="agents_payments", url="/admin/agents/payments"),
        AgeingScreen(name=_l("Ageing of agents"), endpoint="agents_ageing", url="/admin/agents/ageing"),
    ]

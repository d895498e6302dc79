"""Screens of purchase plans, of stock by quantity and of a month's losses and wear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import AppError, Field, InvalidData, Record, label_of, local_day, may, read_id, search, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    Screen,
    UnitModelView,
    among,
    between,
    page_url,
)

from . import holders, kinds, parties, purchase, statistics, stock, values
from .models import Kind, Party, Purchase, Stock, StockMove
from .rights import BUY, KEEP, VIEW

PLUGIN = "tools"
SEARCH_LIMIT = 500
TONES = {
    values.DRAFT: "neutral",
    values.PRICED: "info",
    values.APPROVED: "info",
    values.ORDERED: "warn",
    values.RECEIVED: "good",
    values.CANCELLED: "bad",
}


# --- purchase plans ------------------------------------------------------------------------------


def purchase_url(row: Purchase) -> str:
    """Return the address of a plan's page, which is its record's."""
    return page_url("record.page", record_id=row.id)


def purchase_badge(row: Purchase) -> tuple[Any, str]:
    """Return (label, tone) of a plan's state."""
    return label_of(values.PURCHASE_STATES, row.record.state), TONES.get(row.record.state, "neutral")


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, purchase.CODE, text, SEARCH_LIMIT)
    return statement.where(Purchase.id.in_([one.entity_id for one in found]))


def _in_state(*states: str) -> Any:
    return lambda statement, _context: statement.where(Record.state.in_(states))


PURCHASES = ListSpec(
    name="tools.purchases",
    title=_l("Purchase plans"),
    model=Purchase,
    base=lambda: select(Purchase).join(Purchase.record).options(contains_eager(Purchase.record)),
    columns=(
        ListColumn("number", _l("Number"), lambda p: p.record.number, "code", link=purchase_url, card="title"),
        ListColumn("what", _l("What is to be bought"), lambda p: p.record.title),
        ListColumn("kind", _l("Kind"), lambda p: label_of(values.PURCHASE_KINDS, p.kind)),
        ListColumn("period", _l("Period"), lambda p: p.period),
        ListColumn(
            "state",
            _l("State"),
            purchase_badge,
            "badge",
            card="badge",
            export=lambda p: str(purchase_badge(p)[0]),
        ),
        ListColumn("supplier", _l("Supplier"), lambda p: p.supplier),
        ListColumn("budget", _l("Budget (yuan)"), lambda p: p.budget, "money", card="hide"),
        ListColumn("ordered_on", _l("Ordered on"), lambda p: p.ordered_on, "date", card="hide"),
        ListColumn(
            "drafted", _l("Drafted at"), lambda p: p.record.received_at, "moment", visible=False, card="hide"
        ),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Purchase.id,)),
        Ordering("oldest", _l("Oldest first"), (Purchase.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.PURCHASE_STATES),
        Filter("kind", _l("Kind"), "choice", among(Purchase.kind), values.PURCHASE_KINDS),
        Filter("period", _l("Period"), "text", lambda s, text, _c: s.where(Purchase.period == text.strip())),
    ),
    quick=(
        QuickFilter(
            "open", _l("Under way"), _in_state(values.DRAFT, values.PRICED, values.APPROVED, values.ORDERED)
        ),
        QuickFilter("to_price", _l("Prices to be checked"), _in_state(values.DRAFT)),
        QuickFilter("to_come", _l("To be received"), _in_state(values.ORDERED)),
    ),
    search=_find,
    search_hint=_l("Number, tool or supplier"),
    empty=_l("No purchase plan yet. Draft the first one, or let a month's losses propose it."),
)


class PurchaseView(UnitModelView):
    """Purchase plans (采购计划): list, draft and change; the page of each is its record's."""

    plugin = PLUGIN
    title = _l("Purchase plans")
    icon = "inbox"
    create_label = _l("New purchase plan")
    permission = VIEW
    create_permission = BUY
    edit_permission = BUY
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return PURCHASES

    def row_url(self, row: Any) -> str:
        return purchase_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return purchase.FIELDS if row is None else purchase.FIELDS[1:]

    def form_values(self, row: Any) -> dict[str, Any]:
        return purchase.form_values(row)

    def create(self, values: dict[str, Any]) -> Any:
        return session().get(Purchase, _said_on_form(lambda: purchase.register(g.unit.id, values)).id)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        _said_on_form(lambda: purchase.change(row.id, values))

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the plan's record."""
        return redirect(purchase_url(self.get_one(request.args.get("id"))))


def _said_on_form(call: Any) -> Any:
    """Let what a service refuses stand over the form."""
    try:
        return call()
    except AppError as bad:
        if not hasattr(bad, "refusals"):
            raise
        raise InvalidData({"": [str(one.text) for one in bad.refusals]}) from None


# --- stock ---------------------------------------------------------------------------------------


def _of_kind(column: Any) -> Any:
    """Narrow a list to kinds chosen by id."""
    return lambda s, codes, _c: s.where(column.in_([read_id(one) or 0 for one in codes]))


def _counted_kinds() -> Any:
    return kinds.kind_choices(g.unit.id, counted=True)


def stock_url(row: Stock) -> str:
    """Return where a quantity is used up or counted, '' for whoever may not."""
    return url_for("tools.stock_count", stock_id=row.id) if may(KEEP, row.unit_id) else ""


def _low(row: Stock) -> tuple[Any, str]:
    if row.party.kind == values.STORE and row.quantity < row.kind.low_stock:
        return _l("Too few"), "bad"
    return (_l("None left"), "neutral") if not row.quantity else (_l("There"), "good")


STOCK = ListSpec(
    name="tools.stock",
    title=_l("Stock of small parts"),
    model=Stock,
    base=lambda: (
        select(Stock)
        .join(Stock.kind)
        .join(Stock.party)
        .options(contains_eager(Stock.kind), contains_eager(Stock.party).joinedload(Party.user))
    ),
    columns=(
        ListColumn("kind", _l("Kind of tool"), lambda s: kinds.kind_label(s.kind), link=stock_url, card="title"),
        ListColumn("party", _l("Held by"), lambda s: parties.party_name(s.party)),
        ListColumn("quantity", _l("Quantity"), lambda s: stock.plain_number(s.quantity), "number"),
        ListColumn("measure", _l("Counted in"), lambda s: s.kind.measure, card="hide"),
        ListColumn("least", _l("At least in the stores"), lambda s: s.kind.low_stock or "", "number", card="hide"),
        ListColumn("state", _l("State"), _low, "badge", card="badge", export=lambda s: str(_low(s)[0])),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Stock.id,)),),
    filters=(
        Filter("kind", _l("Kind of tool"), "choice", _of_kind(Stock.kind_id), _counted_kinds),
        Filter(
            "store",
            _l("Tool store"),
            "choice",
            _of_kind(Stock.party_id),
            lambda: holders.store_choices(g.unit.id),
        ),
    ),
    quick=(
        QuickFilter("there", _l("In stock"), lambda s, _c: s.where(Stock.quantity > 0)),
        QuickFilter(
            "low",
            _l("Too few"),
            lambda s, _c: s.where(Party.kind == values.STORE, Stock.quantity < Kind.low_stock),
        ),
    ),
    empty=_l("No small parts yet. Enter what is there at the start, or receive a purchase."),
)


class StockScreen(ListScreen):
    """Small parts by holder (耗材库存)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Enter a value at the start")
    icon = "columns"

    def list_spec(self) -> ListSpec:
        return STOCK

    def row_url(self, row: Any) -> str:
        return stock_url(row)

    def create_url(self) -> str:
        return url_for("tools.stock_start") if may(KEEP, g.unit.id) else ""


def _end(name: str) -> Any:
    def show(row: StockMove) -> Any:
        party = getattr(row, name)
        return parties.party_name(party) if party is not None else ""

    return show


MOVES = ListSpec(
    name="tools.stock_moves",
    title=_l("Moves of small parts"),
    model=StockMove,
    base=lambda: select(StockMove).options(
        joinedload(StockMove.kind),
        joinedload(StockMove.giver).joinedload(Party.user),
        joinedload(StockMove.taker).joinedload(Party.user),
    ),
    columns=(
        ListColumn("kind", _l("Kind of tool"), lambda m: kinds.kind_label(m.kind), card="title"),
        ListColumn("why", _l("Why"), lambda m: label_of(stock.REASONS, m.why), card="badge"),
        ListColumn("quantity", _l("Quantity"), lambda m: stock.plain_number(m.quantity), "number"),
        ListColumn("giver", _l("Giver"), _end("giver")),
        ListColumn("taker", _l("Taken over by"), _end("taker")),
        ListColumn("at", _l("When"), lambda m: m.at, "moment"),
        ListColumn("note", _l("Note"), lambda m: m.note, card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (StockMove.id,)),
        Ordering("oldest", _l("Oldest first"), (StockMove.id,), descending=False),
    ),
    filters=(
        Filter("kind", _l("Kind of tool"), "choice", _of_kind(StockMove.kind_id), _counted_kinds),
        Filter("why", _l("Why"), "choice", among(StockMove.why), stock.REASONS),
        Filter("at", _l("When"), "dates", between(StockMove.at)),
    ),
    empty=_l("Nothing has moved yet."),
)


class MovesScreen(ListScreen):
    """How small parts moved (耗材收发记录)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "list"

    def list_spec(self) -> ListSpec:
        return MOVES


# --- losses and wear -----------------------------------------------------------------------------


class StatisticsScreen(Screen):
    """Losses and wear of a month (遗失和损耗统计, R35-4.9), and what they propose to buy."""

    plugin = PLUGIN
    permission = VIEW
    icon = "chart"

    @expose("/")
    def index_view(self) -> ResponseReturnValue:
        """Show the figures of a month (``month``, else this one)."""
        asked, problem = request.args.get("month", ""), ""
        this_month = f"{local_day(g.unit.id):%Y-%m}"
        try:
            month = statistics.read_month(g.unit.id, asked or this_month)
        except InvalidData as bad:
            month, problem = this_month, " ".join(str(one) for one in bad.errors.values())
        rows = statistics.of_month(g.unit.id, month)
        before = purchase.plan_of(g.unit.id, values.MONTHLY, month)
        page: str = self.render(
            "tools/statistics.html",
            month=month,
            problem=problem,
            rows=[row for row in rows if row.happened or row.missing],
            plain=stock.plain_number,
            kind_label=kinds.kind_label,
            before=before,
            before_url=page_url("record.page", record_id=before.id) if before is not None else "",
            submit_url=url_for("tools.statistics_submit") if may(BUY, g.unit.id) and before is None else "",
            year_url=url_for("tools.year_draft") if may(BUY, g.unit.id) else "",
            clause=statistics.MONTH_CLAUSE,
        )
        return page


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        PurchaseView(Purchase, endpoint="tools_purchase", url="tools/purchases"),
        StockScreen(name=_l("Stock of small parts"), endpoint="tools_stock", url="/admin/tools/stock"),
        MovesScreen(name=_l("Moves of small parts"), endpoint="tools_stock_moves", url="/admin/tools/stock-moves"),
        StatisticsScreen(name=_l("Losses and wear"), endpoint="tools_statistics", url="/admin/tools/statistics"),
    ]

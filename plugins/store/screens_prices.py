"""Lists of prices, price changes, showroom tasks and stock counts, with the forms that begin one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import OPEN_CATEGORIES, Choices, Field, Record, accounts, label_of, local_day, may, places, session
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
)
from plugins.products import services as products

from . import goods, prices, showroom, stock_counts, values
from .listing import (
    PLUGIN,
    RecordView,
    badge_of,
    heads,
    in_state,
    made,
    newest,
    number,
    record_url,
    said_on_form,
    search_of,
    state,
)
from .models import Price, PriceChange, Product, Showroom, StockCount
from .rights import DISPLAY, PRICE, STOCK, VIEW

_COUNT_TONES = {values.COUNTING: "info", values.COUNTED: "warn", values.CLOSED: "good"}


# --- public prices -----------------------------------------------------------------------------------


def price_url(row: Price) -> str:
    """Return where the prices of a product are shown through time."""
    return url_for("store.price_history", model_id=row.model_id)


def _named(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    model, plain = products.Model, text.strip()[:60]
    coded = select(Product.model_id).where(
        Product.unit_id == Price.unit_id, Product.barcode == goods.tidy_code(plain), Product.barcode != ""
    )
    found = select(model.id).where(
        model.unit_id == Price.unit_id,
        or_(model.code.istartswith(plain, autoescape=True), model.name.icontains(plain, autoescape=True)),
    )
    return statement.where(or_(Price.model_id.in_(coded), Price.model_id.in_(found)))


def _prepare(rows: Sequence[Price]) -> None:
    """Read what the products of a page are called, and which prices count today, in two statements."""
    g.store_price_names = goods.names_of(row.model_id for row in rows)
    g.store_prices_now = in_force_of(rows)


def standing_of(row: Price) -> tuple[Any, str]:
    """Return (label, tone): public now, to come, or over."""
    if row.starts_on > local_day(row.unit_id):
        return _l("To come"), "info"
    return (_l("Public price"), "good") if row.id in g.store_prices_now else (_l("Former price"), "neutral")


def in_force_of(rows: Sequence[Price]) -> frozenset[int]:
    """Return the ids of those prices that count today."""
    if not rows:
        return frozenset()
    ids = [row.id for row in rows]
    wanted = select(Price.id).where(Price.id.in_(ids), prices.in_force(rows[0].unit_id, local_day(rows[0].unit_id)))
    return frozenset(session().scalars(wanted))


PRICES = ListSpec(
    name="store.prices",
    title=_l("Prices of the store"),
    model=Price,
    base=lambda: select(Price),
    columns=(
        ListColumn(
            "product",
            _l("Product"),
            lambda p: g.store_price_names.get(p.model_id, ""),
            link=price_url,
            card="title",
        ),
        ListColumn("price", _l("Price (yuan)"), lambda p: p.price, "money"),
        ListColumn("starts_on", _l("Begins on"), lambda p: p.starts_on, "date"),
        ListColumn(
            "standing", _l("State"), standing_of, "badge", card="badge", export=lambda p: str(standing_of(p)[0])
        ),
        ListColumn("published", _l("Made public at"), lambda p: p.published_at, "moment", card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Price.id,)),
        Ordering("oldest", _l("Oldest first"), (Price.id,), descending=False),
    ),
    filters=(Filter("starts_on", _l("Begins on"), "dates", between(Price.starts_on)),),
    quick=(
        QuickFilter("now", _l("Public price"), lambda s, c: s.where(prices.in_force(c.unit_id, c.today()))),
        QuickFilter("coming", _l("To come"), lambda s, c: s.where(Price.starts_on > c.today())),
    ),
    search=_named,
    search_hint=_l("Bar code, model or name"),
    prepare=_prepare,
    empty=_l("No price is public yet. Propose new prices, or import a price list."),
)


class PriceScreen(ListScreen):
    """Public prices with their history (公布价格, R02-18)."""

    plugin = PLUGIN
    model = Price
    permission = VIEW
    export_permission = VIEW
    icon = "yuan"
    create_label = _l("Propose new prices")

    def list_spec(self) -> ListSpec:
        return PRICES

    def create_url(self) -> str:
        return url_for("store_price_changes.create_view") if may(PRICE, g.unit.id) else ""

    def row_url(self, row: Any) -> str:
        return price_url(row)


# --- price changes -----------------------------------------------------------------------------------

change_badge = badge_of(values.PRICE_STATES)


class PriceChangeView(RecordView):
    """Requests for new prices (调价单, R02-18)."""

    title = _l("Price changes")
    icon = "edit"
    create_label = _l("Propose new prices")
    create_permission = PRICE
    edit_permission = PRICE
    fields = prices.FIELDS
    spec = ListSpec(
        name="store.price_changes",
        title=_l("Price changes"),
        model=PriceChange,
        base=heads(PriceChange),
        columns=(
            number(),
            ListColumn("what", _l("New prices"), lambda c: c.record.title),
            state(change_badge),
            ListColumn("starts_on", _l("Begins on"), lambda c: c.starts_on, "date"),
            ListColumn("reason", _l("Reason"), lambda c: c.reason),
            ListColumn("approved_at", _l("Made public at"), lambda c: c.approved_at, "moment", card="hide"),
        ),
        orderings=newest(PriceChange),
        filters=(
            Filter("state", _l("State"), "choice", among(Record.state), values.PRICE_STATES),
            Filter("starts_on", _l("Begins on"), "dates", between(PriceChange.starts_on)),
        ),
        quick=(QuickFilter("open", _l("To be agreed to"), in_state(values.DRAFT)),),
        search=search_of(PriceChange, prices.CODE),
        search_hint=_l("Number, product or reason"),
        empty=_l("No price change yet. Propose new prices; they are public once agreed to."),
    )

    def form_values(self, row: Any) -> dict[str, Any]:
        return prices.form_values(row)

    def create(self, values: dict[str, Any]) -> Any:
        return made(PriceChange, prices.register, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        said_on_form(lambda: prices.change(row.id, {**values, "lines": values["lines"] or ""}))


# --- the showroom --------------------------------------------------------------------------------------

task_badge = badge_of(values.SHOWROOM_STATES, open="info", done="good")


def place_choices(unit_id: int) -> Choices:
    """Return the places of a unit to choose from, displays as well as halls."""
    return places.choices(unit_id)


def people(unit_id: int) -> Choices:
    """Return who works in a unit."""
    return [(str(one.id), one.name) for one in accounts.staff_of(unit_id)]


def as_choice(one: Field, choices: Choices) -> Field:
    """Let a place or a person be chosen from a list."""
    return Field(one.name, "choice", one.label, one.required, choices, help=one.help)


def _late(row: Showroom) -> str:
    return "bad" if row.record.category in OPEN_CATEGORIES and row.due_on < local_day(row.unit_id) else ""


def _name_places(rows: Sequence[Any]) -> None:
    g.store_places = places.full_names(g.unit.id, [row.place_id for row in rows])


def _place(row: Any) -> str:
    return g.store_places.get(row.place_id, "")


def _mine(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Record.assignee_id == context.actor_id, Record.category.in_(OPEN_CATEGORIES))


class ShowroomView(RecordView):
    """Tasks of the showroom and of displays (展厅任务, R24-1.4, R24-1.6, R02-14)."""

    title = _l("Showroom tasks")
    icon = "layers"
    create_label = _l("New showroom task")
    create_permission = DISPLAY
    spec = ListSpec(
        name="store.showroom",
        title=_l("Showroom tasks"),
        model=Showroom,
        base=heads(Showroom),
        columns=(
            number(),
            ListColumn("kind", _l("Kind of task"), lambda t: label_of(values.SHOWROOM_KINDS, t.kind)),
            ListColumn("text", _l("What is to be done"), lambda t: t.text),
            ListColumn("place", _l("Display or place"), _place),
            state(task_badge),
            ListColumn("due", _l("To be done by"), lambda t: t.due_on, "date"),
            ListColumn("result", _l("What was done"), lambda t: t.result, card="hide"),
        ),
        orderings=newest(Showroom),
        filters=(
            Filter("state", _l("State"), "choice", among(Record.state), values.SHOWROOM_STATES),
            Filter("kind", _l("Kind of task"), "choice", among(Showroom.kind), values.SHOWROOM_KINDS),
            Filter("due", _l("To be done by"), "dates", between(Showroom.due_on)),
        ),
        quick=(
            QuickFilter("open", _l("To be done"), in_state(values.OPEN)),
            QuickFilter("mine", _l("Mine"), _mine),
            QuickFilter("late", _l("Overdue"), lambda s, c: s.where(showroom.overdue(c.unit_id, c.today()))),
        ),
        search=search_of(Showroom, showroom.CODE),
        search_hint=_l("Number, place or words of the task"),
        prepare=_name_places,
        row_tone=_late,
        empty=_l("No showroom task yet. Displays get theirs by themselves once they are on file as places."),
    )

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        chosen: Mapping[str, Any] = {"place_id": place_choices, "assignee_id": people}
        return [
            as_choice(one, chosen[one.name](g.unit.id)) if one.name in chosen else one for one in showroom.FIELDS
        ]

    def create(self, values: dict[str, Any]) -> Any:
        return made(Showroom, showroom.register, values)


# --- stock counts ----------------------------------------------------------------------------------------

count_badge = badge_of(values.COUNT_STATES, **_COUNT_TONES)


def count_url(row: StockCount) -> str:
    """Return where a count is worked at: the counting page while it is open, for who may count; else its record."""
    if row.record.state == values.COUNTING and may(STOCK, row.unit_id):
        return url_for("store.count", count_id=row.id)
    return record_url(row)


def _counts() -> Select[Any]:
    return (
        select(StockCount)
        .join(StockCount.record)
        .options(contains_eager(StockCount.record), joinedload(StockCount.place))
    )


def _progress(rows: Sequence[StockCount]) -> None:
    _name_places(rows)
    g.store_counts = stock_counts.progress([row.id for row in rows])


def _lines(row: StockCount) -> str:
    whole, done, _differing = g.store_counts.get(row.id, (0, 0, 0))
    return f"{done} / {whole}"


class CountScreen(ListScreen):
    """Stock counts (盘点, R24-1.9)."""

    plugin = PLUGIN
    model = StockCount
    permission = VIEW
    export_permission = VIEW
    icon = "list"
    create_label = _l("Begin a stock count")
    spec = ListSpec(
        name="store.counts",
        title=_l("Stock counts"),
        model=StockCount,
        base=_counts,
        columns=(
            ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=count_url, card="title"),
            state(count_badge),
            ListColumn("place", _l("What is counted"), lambda c: _place(c) or _l("All stock")),
            ListColumn("begun", _l("Begun at"), lambda c: c.begun_at, "moment"),
            ListColumn("lines", _l("Batches counted"), _lines),
            ListColumn(
                "differences", _l("Differences"), lambda c: g.store_counts.get(c.id, (0, 0, 0))[2], "number"
            ),
        ),
        orderings=newest(StockCount),
        filters=(
            Filter("state", _l("State"), "choice", among(Record.state), values.COUNT_STATES),
            Filter("begun", _l("Begun at"), "dates", between(StockCount.begun_at)),
        ),
        quick=(
            QuickFilter("open", _l("Being counted"), in_state(values.COUNTING)),
            QuickFilter("to_decide", _l("Differences to be decided"), in_state(values.COUNTED)),
        ),
        search=search_of(StockCount, stock_counts.CODE),
        search_hint=_l("Number or place"),
        prepare=_progress,
        empty=_l("No stock count yet. Begin one; goods may go on being sold meanwhile."),
    )

    def list_spec(self) -> ListSpec:
        return self.spec

    def create_url(self) -> str:
        return url_for("store.count_new") if may(STOCK, g.unit.id) else ""

    def row_url(self, row: Any) -> str:
        return count_url(row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        PriceScreen(name=PRICES.title, endpoint="store_prices", url="store/prices"),
        PriceChangeView(PriceChange, endpoint="store_price_changes", url="store/price-changes"),
        ShowroomView(Showroom, endpoint="store_showroom", url="store/showroom"),
        CountScreen(name=CountScreen.spec.title, endpoint="store_counts", url="store/counts"),
    ]

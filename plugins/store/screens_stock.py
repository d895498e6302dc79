"""Screens of the stock: batches, outgoing goods, objections, removals, and the page that answers a scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager

from core.sdk import OPEN_CATEGORIES, Record, Tile, label_of, local_day, may, places, search, session
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
    label_action,
    page_url,
)

from . import finding, goods, issue_flow, lots, objection_flow, removal_flow, shelf, suppliers, values
from .models import Issue, Lot, Objection, Removal, Supplier
from .rights import QUALITY, SELL, STOCK, VIEW
from .screens_supply import badge_of, record_url

PLUGIN = "store"
SEARCH_LIMIT = 500
SOON_DAYS = 30
CAP = 1000
LOT_TONES = {
    values.ON_SALE: "good",
    values.ACCEPTED: "info",
    values.QUARANTINE: "neutral",
    values.HELD: "bad",
    values.EXPIRED: "bad",
}


def lot_url(row: Lot) -> str:
    """Return the address of a batch's quality file."""
    return url_for("store.lot", lot_id=row.id)


def lot_badge(row: Lot) -> tuple[Any, str]:
    """Return (label, tone) of a batch's state; one past its last day is shown so before any job has run."""
    state = row.state
    if state in (values.ON_SALE, values.ACCEPTED) and lots.is_over(row):
        state = values.EXPIRED
    return label_of(values.LOT_STATES, state), LOT_TONES.get(state, "neutral")


def _prepare_lots(rows: Sequence[Lot]) -> None:
    """Read what the page names beside the batches: products, suppliers and places, one select each."""
    g.store_names = goods.names_of([one.model_id for one in rows])
    keys = {one.supplier_id for one in rows if one.supplier_id is not None}
    found = session().execute(select(Supplier.id, Supplier.name).where(Supplier.id.in_(keys))) if keys else ()
    g.store_suppliers = {row[0]: row[1] for row in found}
    ids = {one.place_id for one in rows if one.place_id is not None}
    g.store_places = places.full_names(rows[0].unit_id, ids) if ids else {}


def _of_product(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    model_id = goods.find_models(context.unit_id, [text]).get(text)
    return statement.where(Lot.model_id == (model_id or 0))


def _of_supplier(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    found = suppliers.by_name(context.unit_id, text)
    return statement.where(Lot.supplier_id == (found.id if found is not None else 0))


def _searched(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    _model, rows = finding.lots_for(context.unit_id, text)
    return statement.where(Lot.id.in_([one.id for one in rows]))


def _soon(statement: Select[Any], context: ListContext) -> Select[Any]:
    today = local_day(context.unit_id)
    here = Lot.state.in_((values.ON_SALE, values.ACCEPTED))
    return statement.where(here, Lot.last_day >= today, Lot.last_day <= today + timedelta(days=SOON_DAYS))


def _over(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Lot.state.in_(lots.IN_STOCK), Lot.last_day < local_day(context.unit_id))


LOTS = ListSpec(
    name="store.lots",
    title=_l("Batches in stock"),
    model=Lot,
    base=lambda: select(Lot),
    columns=(
        ListColumn("number", _l("Batch number"), lambda r: r.number, "code", link=lot_url, card="title"),
        ListColumn("product", _l("Product"), lambda r: g.store_names.get(r.model_id, "")),
        ListColumn("state", _l("State"), lot_badge, "badge", card="badge", export=lambda r: str(lot_badge(r)[0])),
        ListColumn("stock", _l("Pieces in stock"), lambda r: r.stock, "number"),
        ListColumn("held", _l("Set apart"), lambda r: r.held or None, "number", card="hide"),
        ListColumn("last_day", _l("Last day of sale"), lambda r: r.last_day, "date"),
        ListColumn("made_on", _l("Produced on"), lambda r: r.made_on, "date", card="hide", visible=False),
        ListColumn("supplier", _l("Supplier"), lambda r: g.store_suppliers.get(r.supplier_id, ""), card="hide"),
        ListColumn("place", _l("Place"), lambda r: g.store_places.get(r.place_id, ""), card="hide"),
        ListColumn(
            "created", _l("Taken into stock at"), lambda r: r.created_at, "moment", card="hide", visible=False
        ),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Lot.id,)),
        Ordering("oldest", _l("Oldest first"), (Lot.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Lot.state), values.LOT_STATES),
        Filter("product", _l("Bar code or model"), "text", _of_product),
        Filter("supplier", _l("Name of the supplier"), "text", _of_supplier),
    ),
    quick=(
        QuickFilter("here", _l("In stock"), lambda s, _c: s.where(Lot.state.in_(lots.IN_STOCK))),
        QuickFilter("accepted", _l("Not on sale yet"), lambda s, _c: s.where(Lot.state == values.ACCEPTED)),
        QuickFilter("soon", _l("Expires within 30 days"), _soon),
        QuickFilter("over", _l("Expired"), _over),
        QuickFilter("held", _l("Held"), lambda s, _c: s.where(Lot.state == values.HELD)),
    ),
    actions=(
        BulkAction(
            "on_sale", _l("Put on sale"), permission=STOCK, run=lambda row, _given: shelf.put_on_sale(row.id)
        ),
        label_action(finding.LABEL, VIEW),
    ),
    search=_searched,
    search_hint=_l("Label, batch number, bar code or model"),
    prepare=_prepare_lots,
    empty=_l("No batch yet. They come with deliveries that were inspected."),
)


class LotScreen(ListScreen):
    """Batches in stock with their quality files (批次)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "box"

    def list_spec(self) -> ListSpec:
        return LOTS

    def row_url(self, row: Any) -> str:
        return lot_url(row)


def _heads(model: Any) -> Any:
    return lambda: select(model).join(model.record).options(contains_eager(model.record))


def _search(model: Any, code: str) -> Any:
    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        found = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in found]))

    return find


def _number() -> ListColumn:
    return ListColumn("number", _l("Number"), lambda row: row.record.number, "code", link=record_url, card="title")


def _state(badge: Any) -> ListColumn:
    return ListColumn("state", _l("State"), badge, "badge", card="badge", export=lambda row: str(badge(row)[0]))


def _newest(model: Any) -> tuple[Ordering, ...]:
    return (
        Ordering("newest", _l("Newest first"), (model.id,)),
        Ordering("oldest", _l("Oldest first"), (model.id,), descending=False),
    )


def _is_open(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.category.in_(OPEN_CATEGORIES))


ISSUES = ListSpec(
    name="store.issues",
    title=_l("Outgoing goods"),
    model=Issue,
    base=_heads(Issue),
    columns=(
        _number(),
        ListColumn("what", _l("Goods"), lambda r: r.record.title),
        ListColumn("kind", _l("Kind"), lambda r: label_of(values.ISSUE_KINDS, r.kind)),
        _state(badge_of(values.ISSUE_STATES, issued="good", taken_back="neutral")),
        ListColumn("receipt", _l("Number of the receipt"), lambda r: r.receipt, "code"),
        ListColumn("at", _l("Went out at"), lambda r: r.record.received_at, "moment"),
    ),
    orderings=_newest(Issue),
    filters=(
        Filter("kind", _l("Kind"), "choice", among(Issue.kind), values.ISSUE_KINDS),
        Filter("state", _l("State"), "choice", among(Record.state), values.ISSUE_STATES),
    ),
    search=_search(Issue, issue_flow.CODE),
    search_hint=_l("Number, receipt or product"),
    empty=_l("Nothing has gone out yet. Scan what leaves the store."),
)


def found_text(row: Objection) -> Any:
    """Return where an objection came up."""
    return label_of(values.FOUND_AT, row.found_at)


OBJECTIONS = ListSpec(
    name="store.objections",
    title=_l("Quality objections"),
    model=Objection,
    base=_heads(Objection),
    columns=(
        _number(),
        ListColumn("what", _l("Product"), lambda r: r.record.title),
        _state(badge_of(values.OBJECTION_STATES, raised="bad", decided="warn", closed="good")),
        ListColumn("quantity", _l("Pieces"), lambda r: r.quantity, "number"),
        ListColumn("found", _l("Where it was found"), found_text),
        ListColumn("decision", _l("Decision"), lambda r: label_of(values.DECISIONS, r.decision)),
        ListColumn("at", _l("Raised at"), lambda r: r.record.received_at, "moment"),
    ),
    orderings=_newest(Objection),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.OBJECTION_STATES),
        Filter("found", _l("Where it was found"), "choice", among(Objection.found_at), values.FOUND_AT),
        Filter("decision", _l("Decision"), "choice", among(Objection.decision), values.DECISIONS),
    ),
    quick=(
        QuickFilter("open", _l("Open"), _is_open),
        QuickFilter("decide", _l("To be decided"), lambda s, _c: s.where(Record.state == values.RAISED)),
    ),
    search=_search(Objection, objection_flow.CODE),
    search_hint=_l("Number, product, batch or problem"),
    empty=_l("No objection yet. Whoever finds faulty goods raises one; the pieces are set apart at once."),
)


REMOVALS = ListSpec(
    name="store.removals",
    title=_l("Removals from the shelf"),
    model=Removal,
    base=_heads(Removal),
    columns=(
        _number(),
        ListColumn("what", _l("Goods"), lambda r: r.record.title),
        _state(badge_of(values.REMOVAL_STATES, open="warn", removed="good")),
        ListColumn("reason", _l("Why"), lambda r: label_of(values.REMOVAL_REASONS, r.reason)),
        ListColumn("due", _l("To be done by"), lambda r: r.due_on, "date"),
        ListColumn("removed", _l("Pieces"), lambda r: r.removed, "number", card="hide"),
        ListColumn("to", _l("Where to"), lambda r: label_of(values.REMOVED_TO, r.removed_to), card="hide"),
    ),
    orderings=_newest(Removal),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.REMOVAL_STATES),
        Filter("reason", _l("Why"), "choice", among(Removal.reason), values.REMOVAL_REASONS),
    ),
    quick=(QuickFilter("open", _l("Open"), _is_open),),
    search=_search(Removal, removal_flow.CODE),
    search_hint=_l("Number, product or batch"),
    empty=_l("Nothing to take off the shelf. Tasks come by themselves as batches near their last day."),
)


class _RecordScreen(ListScreen):
    """A list of records with a page of the plugin to begin one."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    spec: ListSpec
    new_page = ""

    def list_spec(self) -> ListSpec:
        return self.spec

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for(self.new_page)


class IssueScreen(_RecordScreen):
    """Outgoing goods (出库)."""

    spec, new_page, icon = ISSUES, "store.issue_new", "send"
    create_label, create_permission = _l("Enter outgoing goods"), SELL
    on_bottom_bar = bottom_first = True


class ObjectionScreen(_RecordScreen):
    """Quality objections (质量异议)."""

    spec, new_page, icon = OBJECTIONS, "store.objection_new", "flag"
    create_label, create_permission = _l("Raise an objection"), STOCK


class RemovalScreen(_RecordScreen):
    """Removals from the shelf (下架)."""

    spec, new_page, icon = REMOVALS, "store.removal_new", "clock"
    create_label, create_permission = _l("Take a batch off the shelf"), STOCK


class CheckScreen(Screen):
    """Scan to check (扫码核查): leads to the page."""

    plugin = PLUGIN
    permission = VIEW
    icon = "scan"
    on_bottom_bar = bottom_first = True

    def is_active(self) -> bool:
        return request.endpoint in ("store.check", "store.lot", "store.stopped")

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Lead to the page."""
        return redirect(url_for("store.check"))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        CheckScreen(name=_l("Scan to check"), endpoint="store_check", url="/admin/store/check"),
        IssueScreen(name=_l("Outgoing goods"), endpoint="store_issues", url="/admin/store/issues"),
        LotScreen(name=_l("Batches in stock"), endpoint="store_lots", url="/admin/store/lots"),
        RemovalScreen(name=_l("Removals from the shelf"), endpoint="store_removals", url="/admin/store/removals"),
        ObjectionScreen(name=_l("Quality objections"), endpoint="store_objections", url="/admin/store/objections"),
    ]


# --- numbers for the dashboard --------------------------------------------------------------------------


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return what waits: batches to take off the shelf, objections to decide on, batches held."""
    if not may(VIEW, unit.id):
        return []
    found = []
    if may(STOCK, unit.id):
        number = _count(select(Removal.id).where(Removal.unit_id == unit.id, Removal.ended_at.is_(None)))
        url = page_url("store_removals.index_view", quick="open")
        found.append(Tile("store_removals", _l("To be taken off the shelf"), number, url, "warn" if number else ""))
    if may(QUALITY, unit.id):
        raised = select(Record.id).where(
            Record.unit_id == unit.id, Record.type == objection_flow.CODE, Record.state == values.RAISED
        )
        number = _count(raised)
        url = page_url("store_objections.index_view", quick="decide")
        found.append(Tile("store_objections", _l("Objections to decide on"), number, url, "warn" if number else ""))
    held = _count(select(Lot.id).where(Lot.unit_id == unit.id, Lot.state == values.HELD))
    if held:
        url = page_url("store_lots.index_view", quick="held")
        found.append(Tile("store_held", _l("Batches held"), held, url, "bad"))
    return found


def _count(statement: Select[Any]) -> int:
    return session().scalar(select(func.count()).select_from(statement.limit(CAP).subquery())) or 0

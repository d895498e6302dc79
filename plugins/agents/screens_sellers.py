"""Screens of who sold what: the work list of unknown sellers, and everything that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    AppError,
    Choices,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    label_of,
    may,
    session,
    transaction,
)
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    form_from_fields,
    page_url,
)
from plugins.products import services as products

from . import file, sellers, values
from .models import Agent, Seller
from .rights import KEEP, VIEW
from .screens_file import PLUGIN, agent_url

Item = products.Item
# What a page of rows was found to go with, kept in the rows (``ListSpec.prepare``).
_MEANT, _ITEM, _HOLDERS = "agents_meant", "agents_item", "agents_holders"
_CLASS_TONES = {sellers.SOLD.AGENT: "info", sellers.SOLD.PARTNER: "info", sellers.SOLD.PARTNER_SOLD: "neutral"}


def item_url(item: Any) -> str:
    """Return the address of an item's page, '' where there is none."""
    return page_url("products_item.details_view", id=item.id) if item is not None else ""


def class_badge(item: Any) -> tuple[Any, str]:
    """Return (label, tone) of how an item was sold."""
    if not item.sold_class:
        return _l("Class not settled"), "warn"
    label = label_of(sellers.SOLD.SOLD_CLASSES, item.sold_class)
    return label, _CLASS_TONES.get(item.sold_class, "neutral")


def agent_by_code(unit_id: int, kinds: Sequence[str] = ()) -> Choices:
    """Return the agents in use by number, for forms that ``set_seller`` reads."""
    return [(label.partition(" ")[0], label) for _key, label in file.agent_choices(unit_id, kinds)]


def seller_fields(unit_id: int, kinds: Sequence[str], present: Seller | None = None) -> list[Field]:
    """Return the form of a seller: the agents to choose from, the present one among them."""
    choices = list(agent_by_code(unit_id, kinds))
    if present is not None and present.agent.code not in {code for code, _label in choices}:
        choices.append((present.agent.code, f"{present.agent.code} {present.agent.name}"))
    chosen = Field("agent", "choice", _l("Agent or partner"), True, choices)
    return [chosen, *sellers.FIELDS[1:]]


# --- whose seller nobody knows -------------------------------------------------------------------


def _find_meant(rows: Sequence[Any]) -> None:
    meant = sellers.meant_by(rows)
    for row in rows:
        row.__dict__[_MEANT] = meant.get(row.id)


def _meant(item: Any) -> Any:
    agent = item.__dict__.get(_MEANT)
    return agent.code if agent is not None else ""


def _of(*classes: str) -> Any:
    return lambda statement, _context: statement.where(Item.sold_class.in_(classes))


def _search_items(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    return statement.where(Item.id.in_(products.search_ids(units, text, 500)))


def _bulk_fields() -> Sequence[Field]:
    return seller_fields(g.unit.id, (values.AGENT, values.PARTNER))


def _set(item: Any, given: dict[str, Any]) -> None:
    sellers.set_seller(item, given, values.BY_HAND)


def _take_over(item: Any, _given: dict[str, Any]) -> None:
    if not sellers.take_over([item]):
        raise InvalidData({"seller": _l("The text names no agent on file of this kind, or the seller is known")})


UNKNOWN = ListSpec(
    name="agents.unknown_sellers",
    title=_l("Sellers to be found out"),
    model=Item,
    base=lambda: sellers.unknown(
        select(Item).options(joinedload(Item.model, innerjoin=True), joinedload(Item.customer))
    ),
    columns=(
        ListColumn("serial", _l("Serial number"), lambda i: i.serial, "code", link=item_url, card="title"),
        ListColumn("model", _l("Model"), lambda i: i.model.code, "code"),
        ListColumn("product", _l("Product name"), lambda i: i.model.name, card="hide"),
        ListColumn("customer", _l("Customer"), products.customer_name),
        ListColumn("sold_class", _l("Sold by"), class_badge, "badge", card="badge"),
        ListColumn("text", _l("Seller in the product file"), lambda i: i.seller),
        ListColumn("meant", _l("Agent with exactly this name"), _meant, "code"),
        ListColumn("purchased_on", _l("Purchased on"), lambda i: i.purchased_on, "date", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Item.id,)),),
    quick=(
        QuickFilter("agent", _l("Sold by an agent"), _of(sellers.SOLD.AGENT)),
        QuickFilter("partner", _l("Of a partner"), _of(sellers.SOLD.PARTNER, sellers.SOLD.PARTNER_SOLD)),
        QuickFilter("unsettled", _l("Class to be settled first"), _of("")),
        QuickFilter("text", _l("The file names somebody"), lambda s, _c: s.where(Item.seller != "")),
    ),
    actions=(
        BulkAction("set", _l("Set the seller"), _set, permission=KEEP, fields=_bulk_fields),
        BulkAction(
            "take_over",
            _l("Take over from the file's text"),
            _take_over,
            permission=KEEP,
            confirm=_l("Only texts that are exactly the number or name of an agent on file are taken over."),
        ),
    ),
    search=_search_items,
    search_hint=_l("Any part of the serial number, model or product name"),
    empty=_l("Of every item sold by an agent or partner it is known who sold it."),
    prepare=_find_meant,
)


class UnknownSellerScreen(ListScreen):
    """Items of agents and partners of which nobody knows who sold them: work, never a guess."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "search"
    list_template = "agents/unknown_sellers.html"

    def list_spec(self) -> ListSpec:
        return UNKNOWN

    def row_url(self, row: Any) -> str:
        return item_url(row)

    @expose("/take-over/", methods=("POST",))
    def take_over_view(self) -> Any:
        """Take over all texts that name an agent exactly, in the background."""
        run = sellers.start_take_over(g.unit.id)
        if run is None:
            flash(_("No item on the list says who sold it"), "warn")
            return redirect(url_for(".index_view"))
        return redirect(url_for("jobs.run_view", id=run.id))


# --- who sold what -------------------------------------------------------------------------------


def _find_items(rows: Sequence[Any]) -> None:
    """Read the items of a page, and whose region those lie in that are used outside their agent's."""
    items = products.items_in_full([row.item_id for row in rows])
    outside = [row for row in rows if row.outside and row.item_id in items]
    places = sellers.places_of(items[row.item_id].customer_id for row in outside)
    agents = {unit: sellers.agents_with_regions(unit) for unit in {row.unit_id for row in outside}}
    for row in rows:
        row.__dict__[_ITEM] = items.get(row.item_id)
        row.__dict__[_HOLDERS] = []
    for row in outside:
        place = places.get(items[row.item_id].customer_id or 0, ())
        row.__dict__[_HOLDERS] = sellers.holders_of(place, agents[row.unit_id])


def _item(row: Any) -> Any:
    return row.__dict__.get(_ITEM)


def _serial(row: Any) -> str:
    item = _item(row)
    return item.serial if item is not None else ""


def _model(row: Any) -> str:
    item = _item(row)
    return item.model.code if item is not None else ""


def _standing(row: Seller) -> tuple[Any, str]:
    if not row.current:
        return _l("Corrected since"), "neutral"
    return (_l("Outside the region"), "warn") if row.outside else (_l("Known"), "good")


def _holders(row: Any) -> str:
    return "、".join(agent.name for agent in row.__dict__.get(_HOLDERS, ()))


def _agents() -> Choices:
    """All agents of the unit: what those out of use sold stays theirs."""
    wanted = select(Agent.id, Agent.code, Agent.name).where(Agent.unit_id == g.unit.id).order_by(Agent.code)
    return [(str(one.id), f"{one.code} {one.name}") for one in session().execute(wanted)]


def _by_agent(statement: Select[Any], codes: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(Seller.agent_id.in_([int(code) for code in codes]))


def _search_sellers(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    return statement.where(Seller.item_id.in_(products.search_ids(units, text, 500)))


SELLERS = ListSpec(
    name="agents.sellers",
    title=_l("Sellers of items"),
    model=Seller,
    base=lambda: select(Seller).options(joinedload(Seller.agent, innerjoin=True)),
    columns=(
        ListColumn("serial", _l("Serial number"), _serial, "code", link=lambda r: item_url(_item(r)), card="title"),
        ListColumn("model", _l("Model"), _model, "code"),
        ListColumn("agent", _l("Agent"), lambda r: r.agent.name, link=lambda r: agent_url(r.agent)),
        ListColumn("state", _l("State"), _standing, "badge", card="badge"),
        ListColumn("holders", _l("Whose region it is"), _holders),
        ListColumn("sold_on", _l("Sold on"), lambda r: r.sold_on, "date"),
        ListColumn("document", _l("Sales record"), lambda r: r.document),
        ListColumn("source", _l("Known from"), lambda r: label_of(values.SOURCES, r.source), card="hide"),
        ListColumn("reason", _l("Reason"), lambda r: r.reason, card="hide"),
        ListColumn("entered_at", _l("Entered at"), lambda r: r.entered_at, "moment", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Seller.id,)),),
    filters=(
        Filter("agent", _l("Agent"), "choice", _by_agent, _agents),
        Filter("source", _l("Known from"), "choice", among(Seller.source), values.SOURCES),
    ),
    quick=(
        QuickFilter("current", _l("Known"), lambda s, _c: s.where(Seller.current)),
        QuickFilter("outside", _l("Outside the region"), lambda s, _c: s.where(Seller.outside, Seller.current)),
        QuickFilter("earlier", _l("Corrected since"), lambda s, _c: s.where(~Seller.current)),
    ),
    search=_search_sellers,
    search_hint=_l("Any part of the serial number, model or product name"),
    empty=_l("Of no item it is known yet who sold it. Take a file in, or work through the unknown sellers."),
    prepare=_find_items,
)


class SellerScreen(ListScreen):
    """Who sold what, with what was corrected; and the form that says so for one item."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "list"

    def list_spec(self) -> ListSpec:
        return SELLERS

    def row_url(self, row: Any) -> str:
        return str(page_url("products_item.details_view", id=row.item_id))

    @expose("/set/", methods=("GET", "POST"))
    def set_view(self) -> Any:
        """Say who sold an item, or correct it."""
        item = products.get_item(request.args.get("item"))
        if not may(VIEW, item.unit_id):
            raise NotFound()
        if not may(KEEP, item.unit_id):
            raise NotAllowed(KEEP)
        held = sellers.seller_of(item.id)
        kind = sellers.KIND_OF.get(item.sold_class)
        form = form_from_fields(
            seller_fields(item.unit_id, (kind,) if kind else (), held), _held_values(held), timezone=g.unit.timezone
        )
        status = 200
        if request.method == "POST":
            status = 422
            if form.validate_on_submit() and _went_through(form, item):
                flash(_("Saved."), "good")
                return redirect(item_url(item))
        page = self.render("agents/seller_form.html", form=form, item=item, held=held, back=item_url(item))
        return page, status


def _held_values(held: Seller | None) -> dict[str, Any]:
    if held is None:
        return {}
    return {"agent": held.agent.code, "sold_on": held.sold_on, "document": held.document}


def _went_through(form: Any, item: Any) -> bool:
    try:
        with transaction():
            sellers.set_seller(item, form.cleaned, values.BY_HAND)
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return False
    return True


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        UnknownSellerScreen(
            name=_l("Sellers to be found out"),
            endpoint="agents_unknown_sellers",
            url="/admin/agents/unknown-sellers",
        ),
        SellerScreen(name=_l("Sellers of items"), endpoint="agents_sellers", url="/admin/agents/sellers"),
    ]

"""Lists of orders and complaints, the codes for guests, the dashboard, and numbers for the start page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import g, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import OPEN_CATEGORIES, Place, Record, Tile, User, clock, current_scope, label_of, search, session
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
    label_action,
    page_url,
    state_badge,
)

from . import complaint_flow, dashboard, guest, order_flow, values
from .models import Complaint, HotelPlace, Order
from .rights import CHECK, DESK, REPORT, SETUP, VIEW

PLUGIN = "hotel"
SEARCH_LIMIT = 500
CAP = 99
LATE = ("late", _l("Late"))


def record_url(row: Any) -> str:
    """Return the address of an order or complaint, which is its record's."""
    return page_url("record.page", record_id=row.id)


def _state(row: Any) -> tuple[Any, str]:
    return state_badge(row.record)


def _find(code: str, model: Any) -> Any:
    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        found = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in found]))

    return find


def _at_place(model: Any) -> Any:
    """Filter by the code of a place: the place itself and all below."""

    def narrow(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        paths = select(Place.path).where(Place.unit_id.in_(units), Place.code == text.strip().upper())
        below = or_(*[Place.path.startswith(one) for one in session().scalars(paths)] or [Place.id < 0])
        return statement.where(model.place_id.in_(select(Place.id).where(Place.unit_id.in_(units), below)))

    return narrow


def _open(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.category.in_(OPEN_CATEGORIES))


def _mine(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Record.assignee_id == context.actor_id, Record.category.in_(OPEN_CATEGORIES))


def _late(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.next_due_at < clock.now(), Record.category.in_(OPEN_CATEGORIES))


def _base(model: Any) -> Any:
    def base() -> Select[Any]:
        return (
            select(model)
            .join(model.record)
            .options(
                contains_eager(model.record).joinedload(Record.assignee).load_only(User.name),
                joinedload(model.place),
            )
        )

    return base


def _person(row: Any) -> str:
    return row.record.assignee.name if row.record.assignee is not None else ""


_ORDERINGS = {
    model: (
        Ordering("newest", _l("Newest first"), (model.id,)),
        Ordering("oldest", _l("Oldest first"), (model.id,), descending=False),
    )
    for model in (Order, Complaint)
}
ORDERS = ListSpec(
    name="hotel.orders",
    title=_l("Work orders"),
    model=Order,
    base=_base(Order),
    columns=(
        ListColumn("number", _l("Number"), lambda o: o.record.number, "code", link=record_url),
        ListColumn("title", _l("What is wrong"), lambda o: o.record.title, link=record_url, card="title"),
        ListColumn("state", _l("State"), _state, "badge", card="badge", export=lambda o: str(_state(o)[0])),
        ListColumn("place", _l("Place"), lambda o: o.place.code),
        ListColumn("kind", _l("Kind of work"), lambda o: label_of(values.ORDER_KINDS, o.kind)),
        ListColumn("severity", _l("How serious"), lambda o: label_of(values.SEVERITIES, o.severity)),
        ListColumn("blocks", _l("Blocks the room"), lambda o: o.blocks, "bool"),
        ListColumn("source", _l("Source"), lambda o: label_of(values.SOURCES, o.source), card="hide"),
        ListColumn("person", _l("Assignee"), _person),
        ListColumn("reported", _l("Reported at"), lambda o: o.reported_at, "moment"),
        ListColumn("due", _l("Due"), lambda o: o.record.next_due_at, "moment"),
        ListColumn("cost", _l("Cost (yuan)"), lambda o: o.cost, "money", card="hide"),
    ),
    orderings=_ORDERINGS[Order],
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.ORDER_STATES),
        Filter("severity", _l("How serious"), "choice", among(Order.severity), values.SEVERITIES),
        Filter("kind", _l("Kind of work"), "choice", among(Order.kind), values.ORDER_KINDS),
        Filter("source", _l("Source"), "choice", among(Order.source), values.SOURCES),
        Filter("category", _l("Category"), "choice", among(Order.category), values.CATEGORIES),
        Filter("place", _l("Place"), "text", _at_place(Order)),
        Filter("reported", _l("Reported at"), "dates", between(Order.reported_at)),
    ),
    quick=(
        QuickFilter("open", _l("Open"), _open),
        QuickFilter("mine", _l("Mine"), _mine),
        QuickFilter("late", LATE[1], _late),
        QuickFilter("check", _l("Waiting for the check"), lambda s, _c: s.where(Record.state == values.DONE)),
        QuickFilter("blocking", _l("Blocks the room"), lambda s, _c: s.where(Order.blocks)),
    ),
    search=_find(order_flow.CODE, Order),
    search_hint=_l("Number, room or a word of it"),
    empty=_l("No work order yet. Report the first defect."),
)
COMPLAINTS = ListSpec(
    name="hotel.complaints",
    title=_l("Guest complaints"),
    model=Complaint,
    base=_base(Complaint),
    columns=(
        ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=record_url),
        ListColumn("title", _l("What is wrong"), lambda c: c.record.title, link=record_url, card="title"),
        ListColumn("state", _l("State"), _state, "badge", card="badge", export=lambda c: str(_state(c)[0])),
        ListColumn("place", _l("Place"), lambda c: c.place.code if c.place is not None else ""),
        ListColumn("category", _l("Category"), lambda c: label_of(values.CATEGORIES, c.category)),
        ListColumn("channel", _l("Came by way of"), lambda c: label_of(values.CHANNELS, c.channel), card="hide"),
        ListColumn("cause", _l("Cause"), lambda c: label_of(values.CAUSES, c.cause) if c.cause else ""),
        ListColumn("reported", _l("Reported at"), lambda c: c.reported_at, "moment"),
        ListColumn("due", _l("Due"), lambda c: c.record.next_due_at, "moment"),
        ListColumn("amount", _l("Compensation to the guest"), lambda c: c.amount, "money"),
    ),
    orderings=_ORDERINGS[Complaint],
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.COMPLAINT_STATES),
        Filter("category", _l("Category"), "choice", among(Complaint.category), values.CATEGORIES),
        Filter("cause", _l("Cause"), "choice", among(Complaint.cause), values.CAUSES),
        Filter("channel", _l("Came by way of"), "choice", among(Complaint.channel), values.CHANNELS),
        Filter("place", _l("Place"), "text", _at_place(Complaint)),
        Filter("reported", _l("Reported at"), "dates", between(Complaint.reported_at)),
    ),
    quick=(
        QuickFilter("open", _l("Open"), _open),
        QuickFilter("late", LATE[1], _late),
        QuickFilter("solved", _l("To be closed"), lambda s, _c: s.where(Record.state == values.SOLVED)),
    ),
    search=_find(complaint_flow.CODE, Complaint),
    search_hint=_l("Number, room or a word of it"),
    empty=_l("No complaint yet."),
)


class OrderScreen(ListScreen):
    """Work orders of the hotel (维修工单)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Report a defect")
    icon = "wrench"

    def list_spec(self) -> ListSpec:
        return ORDERS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("hotel.order_new") if current_scope().may(REPORT, g.unit.id) else ""


class ComplaintScreen(ListScreen):
    """Guests' complaints (宾客投诉)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Take a complaint down")
    icon = "flag"

    def list_spec(self) -> ListSpec:
        return COMPLAINTS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("hotel.complaint_new") if current_scope().may(DESK, g.unit.id) else ""


# --- codes for guests ------------------------------------------------------------------------------


def _code_state(row: HotelPlace) -> tuple[Any, str]:
    return (_l("Has a code"), "good") if row.guest_code else (_l("No code"), "neutral")


def _called(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    wanted = text.strip()
    called = or_(Place.code == wanted.upper(), Place.name.icontains(wanted, autoescape=True))
    return statement.where(called)


CODES = ListSpec(
    name="hotel.guest_codes",
    title=_l("Codes for guests"),
    model=HotelPlace,
    base=lambda: select(HotelPlace).join(HotelPlace.place).options(contains_eager(HotelPlace.place)),
    columns=(
        ListColumn("place", _l("Place"), lambda h: h.place.code, "code", card="title"),
        ListColumn("name", _l("Name"), lambda h: h.place.name),
        ListColumn("category", _l("Category"), lambda h: label_of(values.CATEGORIES, h.category)),
        ListColumn(
            "state",
            _l("Code for guests"),
            _code_state,
            "badge",
            card="badge",
            export=lambda h: str(_code_state(h)[0]),
        ),
    ),
    orderings=(Ordering("oldest", _l("Oldest first"), (HotelPlace.id,), descending=False),),
    filters=(Filter("category", _l("Category"), "choice", among(HotelPlace.category), values.CATEGORIES),),
    quick=(
        QuickFilter("with", _l("Has a code"), lambda s, _c: s.where(HotelPlace.guest_code != "")),
        QuickFilter("without", _l("No code"), lambda s, _c: s.where(HotelPlace.guest_code == "")),
    ),
    actions=(
        BulkAction("make", _l("Make codes"), lambda row, _v: guest.make_code(row.id), SETUP),
        label_action("hotel.guest", SETUP),
        replace(label_action("hotel.guest_poster", SETUP), key="posters", label=_l("Print posters")),
        BulkAction(
            "renew",
            _l("Renew codes"),
            lambda row, _v: guest.make_code(row.id, renew=True),
            SETUP,
            confirm=_l("What hangs on the wall leads nowhere then; print and hang the new ones"),
        ),
        BulkAction(
            "revoke",
            _l("Take codes away"),
            lambda row, _v: guest.revoke_code(row.id),
            SETUP,
            confirm=_l("Whoever scans what hangs on the wall finds nothing then"),
        ),
    ),
    search=_called,
    search_hint=_l("Code or name of a place"),
    empty=_l("No room on file yet."),
)


class CodeScreen(ListScreen):
    """Codes by which guests report from their room (扫码报修)."""

    plugin = PLUGIN
    permission = SETUP
    icon = "scan"

    def list_spec(self) -> ListSpec:
        return CODES

    def row_url(self, row: Any) -> str:
        return url_for("hotel.room", room_id=row.id)


# --- dashboard -----------------------------------------------------------------------------------


class DashboardScreen(Screen):
    """Open defects by floor, blocked rooms, defects that come back, causes of complaints, what is late."""

    plugin = PLUGIN
    permission = VIEW
    icon = "chart"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Show it."""
        shown = dashboard.read(g.unit.id)
        return render_template("hotel/dashboard.html", shown=shown, record_url=record_url, values=values)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        OrderScreen(name=_l("Work orders"), endpoint="hotel_orders", url="/admin/hotel/orders"),
        ComplaintScreen(name=_l("Guest complaints"), endpoint="hotel_complaints", url="/admin/hotel/complaints"),
        DashboardScreen(name=_l("Hotel dashboard"), endpoint="hotel_dashboard", url="/admin/hotel/dashboard"),
        CodeScreen(name=_l("Codes for guests"), endpoint="hotel_guest_codes", url="/admin/hotel/guest-codes"),
    ]


# --- the start page ------------------------------------------------------------------------------


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return what waits for the actor; nothing where they may not see orders."""
    scope = current_scope()
    found: list[Tile] = []
    if scope.may(REPORT, unit.id):
        mine = _of(unit.id, order_flow.CODE).where(Record.assignee_id == actor_id)
        found.append(_tile("hotel_mine", _l("My work orders"), mine, "hotel_orders", "mine", "warn"))
    if scope.may(CHECK, unit.id):
        done = _of(unit.id, order_flow.CODE).where(Record.state == values.DONE)
        found.append(_tile("hotel_check", _l("Repairs to check"), done, "hotel_orders", "check", "warn"))
    if scope.may(VIEW, unit.id):
        overdue = Record.next_due_at < clock.now()
        late = _of(unit.id, order_flow.CODE).where(overdue)
        found.append(_tile("hotel_late", _l("Work orders that are late"), late, "hotel_orders", "late", "bad"))
    if scope.may(DESK, unit.id):
        waiting = _of(unit.id, complaint_flow.CODE)
        found.append(_tile("hotel_complaints", _l("Open complaints"), waiting, "hotel_complaints", "open", "bad"))
    return [one for one in found if one.value]


def _of(unit_id: int, code: str) -> Select[Any]:
    mine = Record.unit_id == unit_id, Record.type == code, Record.category.in_(OPEN_CATEGORIES)
    return select(Record.id).where(*mine)


def _tile(code: str, title: Any, found: Select[Any], endpoint: str, quick: str, tone: str) -> Tile:
    some = found.limit(CAP).subquery()
    count = int(session().scalar(select(func.count()).select_from(some)) or 0)
    return Tile(code, title, count, url_for(f"{endpoint}.index_view", quick=quick), tone)

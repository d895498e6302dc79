"""Screens of rooms: the doors to board, cleaning and phone; stays; the set-up of what the hotel knows of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import (
    Field,
    Hit,
    Place,
    Tile,
    current_scope,
    label_of,
    label_uid,
    places,
    session,
)
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    Screen,
    UnitModelView,
    among,
    form_from_fields,
    label_action,
    went_through,
)

from . import cleaning, cleaning_list, days, room_file, stays, values, web_rooms
from .models import HotelPlace, Stay
from .rights import CLEAN, DESK, HOUSEKEEPING, SETUP, VIEW

PLUGIN = "hotel"
SEARCH_LIMIT = 500
STAY_TONES = {
    values.EXPECTED: "info",
    values.IN_HOUSE: "good",
    values.GONE: "neutral",
    values.NO_SHOW: "warn",
    values.CANCELLED: "neutral",
}


class _Door(Screen):
    """An entry of the menu that leads to a page of the plugin, and stays marked on it."""

    plugin = PLUGIN
    page = ""
    pages: tuple[str, ...] = ()

    def is_active(self) -> bool:
        return request.endpoint in self.pages

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Lead to the page."""
        return redirect(url_for(self.page))


class BoardScreen(_Door):
    permission = VIEW
    icon = "columns"
    on_bottom_bar = True
    page, pages = "hotel.board", ("hotel.board", "hotel.room", "hotel.room_step")


class CleaningScreen(_Door):
    permission = VIEW
    icon = "star"
    page, pages = "hotel.cleaning", ("hotel.cleaning",)


class PhoneScreen(_Door):
    permission = CLEAN
    icon = "phone"
    on_bottom_bar = True
    page, pages = "hotel.phone", ("hotel.phone",)


# --- stays -----------------------------------------------------------------------------------------------


def _stays() -> Select[Any]:
    return select(Stay).options(joinedload(Stay.place))


def _find_stay(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    """By the beginning of the booking number, or the code of the room."""
    code = places.tidy_code(text)
    rooms = select(Place.id).where(Place.unit_id == context.unit_id, Place.code == code)
    return statement.where(Stay.reference.startswith(text.strip(), autoescape=True) | Stay.place_id.in_(rooms))


def _arriving(statement: Select[Any], context: ListContext) -> Select[Any]:
    day = days.hotel_day(context.unit_id)
    return statement.where(Stay.state == values.EXPECTED, Stay.arrives_on <= day)


def _leaving(statement: Select[Any], context: ListContext) -> Select[Any]:
    day = days.hotel_day(context.unit_id)
    return statement.where(Stay.state == values.IN_HOUSE, Stay.departs_on <= day)


def _stay_url(stay: Stay) -> str:
    return url_for("hotel_stays.details_view", id=stay.id)


STAYS = ListSpec(
    name="hotel.stays",
    title=_l("Stays"),
    model=Stay,
    base=_stays,
    columns=(
        ListColumn("reference", _l("Booking number"), lambda s: s.reference or "—", "code", link=_stay_url),
        ListColumn("room", _l("Room"), lambda s: s.place.code if s.place else "", link=_stay_url, card="title"),
        ListColumn(
            "state",
            _l("State"),
            lambda s: (label_of(values.STAY_STATES, s.state), STAY_TONES[s.state]),
            "badge",
            card="badge",
        ),
        ListColumn("arrives", _l("Arrival"), lambda s: s.arrives_on, "date", "arrives"),
        ListColumn("departs", _l("Departure"), lambda s: s.departs_on, "date"),
        ListColumn("guests", _l("Guests"), lambda s: s.guests, "number"),
        ListColumn("arrived", _l("Arrived at"), lambda s: s.arrived_at, "moment", visible=False),
        ListColumn("departed", _l("Departed at"), lambda s: s.departed_at, "moment", visible=False),
        ListColumn("note", _l("Note"), lambda s: s.note, card="hide"),
    ),
    orderings=(
        Ordering("arrives", _l("By arrival"), (Stay.arrives_on, Stay.id), descending=False),
        Ordering("newest", _l("Newest first"), (Stay.id,)),
    ),
    filters=(Filter("state", _l("State"), "choice", among(Stay.state), values.STAY_STATES),),
    quick=(
        QuickFilter("arriving", _l("Arriving today"), _arriving),
        QuickFilter("house", _l("In house"), lambda s, _c: s.where(Stay.state == values.IN_HOUSE)),
        QuickFilter("leaving", _l("Leaving today"), _leaving),
        QuickFilter("expected", _l("Expected"), lambda s, _c: s.where(Stay.state == values.EXPECTED)),
    ),
    actions=(
        BulkAction("arrive", _l("Let them arrive"), lambda s, raw: stays.arrive(s, {}), permission=DESK),
        BulkAction("depart", _l("Let them leave"), lambda s, raw: stays.depart(s), permission=DESK),
    ),
    search=_find_stay,
    search_hint=_l("Booking number or room"),
    empty=_l("No stays yet. Enter one, or take the front office's list of the day in."),
)


class StayView(UnitModelView):
    """Stays: list, entry, and a page with what can be done."""

    plugin = PLUGIN
    title = _l("Stays")
    icon = "calendar"
    create_label = _l("Enter a stay")
    permission = VIEW
    create_permission = DESK
    export_permission = VIEW
    details_template = "hotel/stay.html"

    def list_spec(self) -> ListSpec:
        return STAYS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return stays.FIELDS

    def new_values(self) -> dict[str, Any]:
        return {"room": request.args.get("room", "")[:40], "arrives_on": days.hotel_day(g.unit.id)}

    def create(self, values: dict[str, Any]) -> Any:
        return stays.expect(g.unit.id, values)

    def get_one(self, id: Any) -> Any:
        return super().get_one(stays.get_stay(id).id)

    def details(self, row: Any) -> dict[str, Any]:
        stay = stays.get_stay(row.id)
        room = room_file.known([stay.place_id]).get(stay.place_id) if stay.place_id else None
        facts = [
            (_l("Room"), stay.place.code if stay.place else ""),
            (_l("State"), label_of(values.STAY_STATES, stay.state)),
            (_l("Arrival"), stay.arrives_on),
            (_l("Departure"), stay.departs_on),
            (_l("Guests"), stay.guests),
            (_l("Note"), stay.note),
        ]
        room_url = web_rooms.room_url(room) if room else ""
        title = stay.reference or _("Stay without a number")
        return {"facts": facts, "buttons": web_rooms.stay_buttons(stay), "room_url": room_url, "stay_title": title}


# --- the set-up ------------------------------------------------------------------------------------------


def _known() -> Select[Any]:
    return select(HotelPlace).join(HotelPlace.place).options(contains_eager(HotelPlace.place))


def _find_place(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    code = places.tidy_code(text)
    return statement.where(
        Place.code.startswith(code, autoescape=True) | Place.name.startswith(text, autoescape=True)
    )


def _place_url(row: HotelPlace) -> str:
    if row.category == values.ROOMS:
        return web_rooms.room_url(row)
    return url_for("hotel_places.edit_view", id=row.id)


PLACES = ListSpec(
    name="hotel.places",
    title=_l("Rooms and other places"),
    model=HotelPlace,
    base=_known,
    columns=(
        ListColumn("code", _l("Code"), lambda p: p.place.code, "code", "code", link=_place_url, card="title"),
        ListColumn("name", _l("Name"), lambda p: p.place.name),
        ListColumn("category", _l("Category"), lambda p: label_of(values.CATEGORIES, p.category)),
        ListColumn("type", _l("Room type"), lambda p: p.room_type),
        ListColumn("beds", _l("Beds"), lambda p: p.beds if p.category == values.ROOMS else None, "number"),
        ListColumn(
            "state",
            _l("State"),
            lambda p: web_rooms.room_badge(p) if p.category == values.ROOMS else ("—", "neutral"),
            "badge",
            card="badge",
        ),
        ListColumn("deep", _l("Deep cleaning"), lambda p: p.deep_cleaned_on, "date", visible=False),
    ),
    orderings=(
        Ordering(
            "code", _l("By code"), (Place.code, HotelPlace.id), False, read=lambda row: (row.place.code, row.id)
        ),
        Ordering("newest", _l("Newest first"), (HotelPlace.id,)),
    ),
    filters=(
        Filter("category", _l("Category"), "choice", among(HotelPlace.category), values.CATEGORIES),
        Filter("state", _l("State"), "choice", among(HotelPlace.state), values.ROOM_STATES),
    ),
    actions=(label_action("hotel.room", VIEW),),
    search=_find_place,
    search_hint=_l("Beginning of the code or name"),
    empty=_l("The hotel knows no places yet. Add places, then take all rooms of a floor in at once."),
)


class PlaceView(UnitModelView):
    """What the hotel knows of places: one by one, or all rooms below a place."""

    plugin = PLUGIN
    title = _l("Rooms and other places")
    icon = "unit"
    create_label = _l("Take a place in")
    permission = VIEW
    create_permission = SETUP
    edit_permission = SETUP
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return PLACES

    def row_url(self, row: Any) -> str:
        return _place_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return room_file.FIELDS if row is None else room_file.FIELDS[1:]

    def form_values(self, row: Any) -> dict[str, Any]:
        return {"category": row.category, "room_type": row.room_type, "beds": row.beds}

    def create(self, values: dict[str, Any]) -> Any:
        return room_file.add(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        room_file.change(row, values)

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the room, or to the form of another place."""
        return redirect(_place_url(self.get_one(request.args.get("id"))))

    @expose("/below/", methods=("GET", "POST"))
    def below_view(self) -> ResponseReturnValue:
        """Take all rooms below a place in at once."""
        self.need(SETUP)
        start = {"place": request.args.get("place", "")[:40], "category": values.ROOMS, "beds": 1}
        form = form_from_fields(room_file.BELOW_FIELDS, start, timezone=g.unit.timezone)
        made: list[HotelPlace] = []
        if went_through(form, lambda: made.extend(room_file.add_below(g.unit.id, form.cleaned))):
            flash(_("%(count)d rooms were taken in.", count=len(made)), "good")
            return redirect(self.get_url(".index_view"))
        page = self.render("hotel/below.html", form=form, back=self.get_url(".index_view"))
        return page, 422 if request.method == "POST" else 200


def views() -> list[Any]:
    """Return the screens."""
    return [
        BoardScreen(name=_l("Room board"), endpoint="hotel_board", url="hotel/board"),
        CleaningScreen(name=_l("Cleaning"), endpoint="hotel_cleaning", url="hotel/cleaning"),
        StayView(Stay, endpoint="hotel_stays", url="hotel/stays"),
        PhoneScreen(name=_l("My rooms today"), endpoint="hotel_phone", url="hotel/phone"),
        PlaceView(HotelPlace, endpoint="hotel_places", url="hotel/places"),
    ]


# --- search, the dashboard -------------------------------------------------------------------------------


def find_rooms(unit: Any, text: str, limit: int) -> list[Hit]:
    """Find guest rooms by the beginning of their code, or by the link of a label."""
    wanted = select(HotelPlace).join(HotelPlace.place).options(contains_eager(HotelPlace.place))
    wanted = wanted.where(HotelPlace.unit_id == unit.id, HotelPlace.category == values.ROOMS)
    code = places.tidy_code(text)
    if label_uid(text) is not None or not code:
        return []
    found = session().scalars(
        wanted.where(Place.code.startswith(code, autoescape=True)).order_by(Place.code).limit(limit)
    )
    return [
        Hit(one.place.code, f"{label_of(values.ROOM_STATES, one.state)} · {one.room_type}", web_rooms.room_url(one))
        for one in found
    ]


def tiles(unit: Any, _actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard."""
    scope, found = current_scope(), []
    if scope.may(DESK, unit.id):
        coming = len(stays.arrivals(unit.id, days.hotel_day(unit.id)))
        url = url_for("hotel_stays.index_view", quick="arriving")
        found.append(Tile("hotel_arrivals", _l("Arrivals today"), coming, url))
    if scope.may(VIEW, unit.id):
        by_state = _by_state(unit.id)
        dirty = by_state.get(values.VD, 0)
        found.append(
            Tile("hotel_dirty", _l("Empty dirty rooms"), dirty, url_for("hotel.board", state=values.VD), "warn")
        )
    if scope.may(HOUSEKEEPING, unit.id):
        rows = cleaning_list.of_day(unit.id, days.hotel_day(unit.id))
        done = sum(one.state == values.DONE for one in rows)
        url = url_for("hotel.cleaning", state=values.DONE)
        found.append(Tile("hotel_to_check", _l("Cleaned rooms to be checked"), done, url, "warn"))
    elif scope.may(CLEAN, unit.id):
        mine = cleaning_list.of_day(unit.id, days.hotel_day(unit.id), _actor_id)
        left = sum(one.state in cleaning.OPEN for one in mine)
        found.append(Tile("hotel_mine", _l("My rooms today"), left, url_for("hotel.phone")))
    return [one for one in found if one.value]


def _by_state(unit_id: int) -> dict[str, int]:
    counted = (
        select(HotelPlace.state, func.count())
        .where(HotelPlace.unit_id == unit_id, HotelPlace.category == values.ROOMS)
        .group_by(HotelPlace.state)
    )
    return {row[0]: row[1] for row in session().execute(counted)}

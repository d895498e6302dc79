"""Screens of meetings, the hand-over book and facilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Field, Place, Record, Tile, current_scope, label_of, local_day, places, search, session
from core.sdk_web import (
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
    check_version,
    form_from_fields,
    form_key,
    page_url,
    went_through,
)

from . import facilities, house, meetings, shifts, values
from .models import Facility, Meeting, Shift
from .rights import DESK, REPAIR, REPORT, SETUP, VIEW

PLUGIN = "hotel"
SEARCH_LIMIT = 500
CAP = 100
TONES = {
    values.PLANNED: "warn",
    values.READY: "good",
    values.HELD: "neutral",
    values.WRITING: "info",
    values.HANDED: "warn",
    values.TAKEN: "good",
    values.RECEIVED: "warn",
    values.ACCEPTED: "good",
    values.REFUSED: "bad",
}


def record_url(row: Any) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=row.id)


def found_by_words(model: Any, code: str) -> Any:
    """Return the search of a list of records: by number and words."""

    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        hits = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in hits]))

    return find


def state_column(choices: Any) -> ListColumn:
    """Return the column of a record's state."""

    def badge(row: Any) -> tuple[Any, str]:
        return label_of(choices, row.record.state), TONES.get(row.record.state, "neutral")

    return ListColumn("state", _l("State"), badge, "badge", card="badge", export=lambda r: str(badge(r)[0]))


def in_state(*states: str) -> Any:
    """Return a quick filter's condition: records in one of some states."""
    return lambda statement, _context: statement.where(Record.state.in_(states))


# --- meetings --------------------------------------------------------------------------------------


def _meetings() -> Select[Any]:
    whole = contains_eager(Meeting.record), joinedload(Meeting.place)
    return select(Meeting).join(Meeting.record).options(*whole)


MEETINGS = ListSpec(
    name="hotel.meetings",
    title=_l("Meetings"),
    model=Meeting,
    base=_meetings,
    columns=(
        ListColumn("number", _l("Number"), lambda m: m.record.number, "code", link=record_url),
        ListColumn("title", _l("Name of the meeting"), lambda m: m.record.title, link=record_url, card="title"),
        ListColumn("hall", _l("Hall"), lambda m: m.place.name, card="hide"),
        ListColumn("starts", _l("Begins"), lambda m: m.starts_at, "moment", "starts"),
        ListColumn("ends", _l("Ends"), lambda m: m.ends_at, "moment"),
        ListColumn("people", _l("People"), lambda m: m.people, "number"),
        ListColumn("layout", _l("Layout"), lambda m: label_of(values.LAYOUTS, m.layout), card="hide"),
        state_column(values.MEETING_STATES),
    ),
    orderings=(
        Ordering("starts", _l("Latest begin first"), (Meeting.starts_at, Meeting.id)),
        Ordering("soon", _l("Next first"), (Meeting.starts_at, Meeting.id), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.MEETING_STATES),
        Filter("starts", _l("Begins"), "dates", between(Meeting.starts_at)),
    ),
    quick=(
        QuickFilter("planned", _l("To be prepared"), in_state(values.PLANNED)),
        QuickFilter("ready", _l("Room prepared"), in_state(values.READY)),
    ),
    search=found_by_words(Meeting, meetings.CODE),
    search_hint=_l("Number or title"),
    empty=_l("No meetings yet."),
)


class MeetingScreen(ListScreen):
    """Meetings in the house's halls."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_permission = DESK
    create_label = _l("Book a hall")
    icon = "calendar"

    def list_spec(self) -> ListSpec:
        return MEETINGS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("hotel.meeting_new") if current_scope().may(DESK, g.unit.id) else ""


# --- the hand-over book ----------------------------------------------------------------------------


def _shifts() -> Select[Any]:
    return select(Shift).join(Shift.record).options(contains_eager(Shift.record))


def _still_open(row: Shift) -> int:
    return sum(bool(one["open"]) for one in row.entries)


SHIFTS = ListSpec(
    name="hotel.shifts",
    title=_l("Hand-over book"),
    model=Shift,
    base=_shifts,
    columns=(
        ListColumn("number", _l("Number"), lambda s: s.record.number, "code", link=record_url),
        ListColumn("title", _l("Shift"), lambda s: s.record.title, link=record_url, card="title"),
        ListColumn("day", _l("Hotel day"), lambda s: s.hotel_day, "date", card="hide"),
        ListColumn("entries", _l("Entries"), lambda s: len(s.entries), "number"),
        ListColumn("open", _l("Still to be done"), _still_open, "number"),
        ListColumn("handed", _l("Handed over at"), lambda s: s.handed_at, "moment", card="hide"),
        ListColumn("taken", _l("Taken over at"), lambda s: s.taken_at, "moment", card="hide"),
        state_column(values.SHIFT_STATES),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Shift.id,)),
        Ordering("oldest", _l("Oldest first"), (Shift.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.SHIFT_STATES),
        Filter("department", _l("Department"), "choice", among(Shift.department), values.DEPARTMENTS),
        Filter("day", _l("Hotel day"), "dates", between(Shift.hotel_day)),
    ),
    quick=(
        QuickFilter("writing", _l("Shift under way"), in_state(values.WRITING)),
        QuickFilter("handed", _l("To be taken over"), in_state(values.HANDED)),
    ),
    search=found_by_words(Shift, shifts.CODE),
    search_hint=_l("Words of an entry"),
    empty=_l("The book is empty. Begin your shift."),
)


class ShiftScreen(ListScreen):
    """The hand-over book of the departments (交接班)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Begin a shift")
    icon = "clock"

    def list_spec(self) -> ListSpec:
        return SHIFTS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("hotel.shift_new") if current_scope().may(REPORT, g.unit.id) else ""


# --- facilities ------------------------------------------------------------------------------------


def _facilities() -> Select[Any]:
    return select(Facility).options(joinedload(Facility.place))


def _is_due(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Facility.next_on <= local_day(context.unit_id), Facility.active)


def _facility_url(row: Facility) -> str:
    return url_for("hotel_facilities.details_view", id=row.id)


def _facility_badge(row: Facility) -> tuple[Any, str]:
    if not row.active:
        return _l("No longer used"), "neutral"
    late = row.next_on is not None and row.next_on <= local_day(row.unit_id)
    return (_l("To be serviced"), "bad") if late else (_l("In use"), "good")


FACILITIES = ListSpec(
    name="hotel.facilities",
    title=_l("Facilities"),
    model=Facility,
    base=_facilities,
    columns=(
        ListColumn("code", _l("Code"), lambda f: f.code, "code", link=_facility_url),
        ListColumn("name", _l("Name"), lambda f: f.name, link=_facility_url, card="title"),
        ListColumn("place", _l("Place"), lambda f: f.place.name if f.place else ""),
        ListColumn("every", _l("Serviced every (months)"), lambda f: f.every_months or None, "number"),
        ListColumn("last", _l("Last serviced"), lambda f: f.last_on, "date"),
        ListColumn("next", _l("To be serviced by"), lambda f: f.next_on, "date"),
        ListColumn("contractor", _l("Who services it"), lambda f: f.contractor, card="hide"),
        ListColumn("state", _l("State"), _facility_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Facility.id,)),),
    quick=(
        QuickFilter("due", _l("To be serviced"), _is_due),
        QuickFilter("active", _l("In use"), lambda s, _c: s.where(Facility.active)),
        QuickFilter("ended", _l("No longer used"), lambda s, _c: s.where(~Facility.active)),
    ),
    search=lambda s, text, _c: s.where(
        Facility.name.contains(text, autoescape=True) | (Facility.code == text.strip())
    ),
    search_hint=_l("Code or name"),
    empty=_l("No facilities yet: lifts, boilers, air conditioning and the like."),
)


class FacilityView(UnitModelView):
    """Facilities: list, file, and their services."""

    plugin = PLUGIN
    title = _l("Facilities")
    icon = "tool"
    create_label = _l("Put a facility on file")
    permission = VIEW
    create_permission = SETUP
    edit_permission = SETUP
    export_permission = VIEW
    details_template = "hotel/facility.html"

    def list_spec(self) -> ListSpec:
        return FACILITIES

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        if row is None:
            return facilities.FIELDS
        return (*facilities.FIELDS, Field("active", "bool", _l("In use")))

    def form_values(self, row: Any) -> dict[str, Any]:
        held = {one.name: getattr(row, one.name) for one in facilities.FIELDS if one.name != "place"}
        place = places.get_place(row.place_id).code if row.place_id else ""
        return {**held, "place": place, "active": row.active}

    def create(self, values: dict[str, Any]) -> Any:
        return facilities.create(g.unit.id, values, key=form_key())

    def update(self, row: Any, values: dict[str, Any]) -> None:
        active = bool(values.pop("active", True))
        facilities.change(row, values)
        if active != row.active:
            facilities.set_active(row, active)

    def details(self, row: Any) -> dict[str, Any]:
        place = places.full_names(row.unit_id, [row.place_id]).get(row.place_id or 0, "")
        return {
            "facility": row,
            "place": place,
            "badge": _facility_badge(row),
            "services": facilities.services_of(row.id),
            "serve_url": self.get_url(".serve_view", id=row.id) if self._may_serve(row) else "",
        }

    def _may_serve(self, row: Facility) -> bool:
        return bool(row.active and self.allowed(REPAIR, row))

    @expose("/serve/", methods=("GET", "POST"))
    def serve_view(self) -> ResponseReturnValue:
        """Enter a service."""
        row = self.get_one(request.args.get("id"))
        self.need(REPAIR)
        form = form_from_fields(facilities.SERVICE_FIELDS, timezone=g.unit.timezone)

        def save() -> None:
            check_version(row, request.form.get("version"))
            facilities.serve(row.id, form.cleaned)

        if went_through(form, save):
            flash(_("Saved."), "good")
            return redirect(_facility_url(row))
        page = self.render(
            "hotel/form.html",
            title=_l("Enter a service"),
            about=f"{row.code} {row.name}",
            form=form,
            version=request.form.get("version") or row.version,
            back=_facility_url(row),
        )
        return page, 422 if request.method == "POST" else 200


def hall_fields(fields: Sequence[Field], unit_id: int) -> list[Field]:
    """Return fields of which the hall is chosen from those there are."""
    return chosen_place(fields, unit_id, (values.MEETING,))


def chosen_place(fields: Sequence[Field], unit_id: int, categories: tuple[str, ...]) -> list[Field]:
    """Return fields of which the place is chosen from those of some categories."""
    offered = house.place_choices(unit_id, categories)
    return [
        replace(one, kind="choice", choices=offered, help="") if one.name == "place" and offered else one
        for one in fields
    ]


def views() -> list[Any]:
    """Return the screens."""
    return [
        MeetingScreen(name=_l("Meetings"), endpoint="hotel_meetings", url="/admin/hotel/meetings"),
        ShiftScreen(name=_l("Hand-over book"), endpoint="hotel_shifts", url="/admin/hotel/shifts"),
        FacilityView(Facility, endpoint="hotel_facilities", url="hotel/facilities"),
    ]


# --- the dashboard -----------------------------------------------------------------------------------


def capped(wanted: Select[Any]) -> int:
    """Count what a select finds, up to ``CAP``."""
    return int(session().scalar(select(func.count()).select_from(wanted.limit(CAP).subquery())) or 0)


def tiles(unit: Any, _actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard: meetings to prepare, shifts to take, facilities due."""
    scope, found = current_scope(), []
    if scope.may(DESK, unit.id):
        url = url_for("hotel_meetings.index_view", quick="planned")
        found.append(
            Tile("hotel_meetings", _l("Meetings to prepare"), _open(unit.id, meetings.CODE, values.PLANNED), url)
        )
    if scope.may(REPORT, unit.id):
        url = url_for("hotel_shifts.index_view", quick="handed")
        waiting = _open(unit.id, shifts.CODE, values.HANDED)
        found.append(Tile("hotel_shifts", _l("Shifts to take over"), waiting, url, "warn"))
    if scope.may(REPAIR, unit.id):
        url = url_for("hotel_facilities.index_view", quick="due")
        wanted = select(Facility.id).where(Facility.unit_id == unit.id, Facility.next_on <= local_day(unit.id))
        late = capped(wanted.where(Facility.active))
        found.append(Tile("hotel_facilities", _l("Facilities to service"), late, url, "bad"))
    return [one for one in found if one.value]


def _open(unit_id: int, code: str, state: str) -> int:
    return capped(select(Record.id).where(Record.unit_id == unit_id, Record.type == code, Record.state == state))


def place_name(place: Place | None) -> str:
    """Return what a place is called, '' for none."""
    return place.name if place is not None else ""

"""The board of rooms, a room's page, and what the desk does there: arrivals, departures, closing, correcting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    NotAllowed,
    NotFound,
    current_scope,
    inspections,
    label_of,
    places,
    require,
    session,
    uuid7,
)
from core.sdk_web import form_from_fields, page_url, state_badge, went_through

from . import board, cleaning, cleaning_list, days, room_file, rooms, stays, values
from .models import HotelPlace, Order, Stay
from .rights import DESK, HOUSEKEEPING, SETUP, VIEW

TONES = {
    values.VC: "good",
    values.VD: "warn",
    values.OC: "info",
    values.OD: "paused",
    values.OOO: "bad",
    values.OOS: "neutral",
}
REASON = Field("reason", "text", _l("Reason"), True, max_length=200)
CLOSE_FIELDS = (REASON, Field("until", "date", _l("Out of service until"), help=_l("Only to be remembered")))
CORRECT_FIELDS = (
    Field("occupied", "bool", _l("Guests are in it")),
    Field("clean", "bool", _l("It is clean")),
    Field("note", "text", _l("What was seen"), True, max_length=300),
)
NO_FIELDS: tuple[Field, ...] = ()
SHOWN = 30


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/hotel/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/board", "board", show_board)
    blueprint.add_url_rule("/rooms/<room_id>", "room", show_room)
    blueprint.add_url_rule("/rooms/<room_id>/<room_step>", "room_step", room_step, methods=both)
    blueprint.add_url_rule("/stays/<stay_id>/<stay_step>", "stay_step", stay_step, methods=both)


def require_here(permission: str) -> None:
    """Ask for a permission in the present unit.

    Raises:
        NotAllowed: it is not held.
    """
    if not current_scope().may(permission, g.unit.id):
        raise NotAllowed(permission)


def room_url(room: HotelPlace) -> str:
    """Return the address of a room's page."""
    return url_for("hotel.room", room_id=room.id)


def room_badge(room: HotelPlace) -> tuple[Any, str]:
    """Return (label, tone) of a room's state."""
    return label_of(values.ROOM_STATES, room.state), TONES[room.state]


# --- the board -------------------------------------------------------------------------------------------


def show_board() -> ResponseReturnValue:
    """Show the rooms by floor, narrowed as the address says."""
    require_here(VIEW)
    asked = {name: request.args.get(name, "")[:40] for name in ("state", "mark", "floor", "room_type", "find")}
    found = board.load(g.unit.id, **asked)
    return render_template(
        "hotel/board.html",
        board=found,
        asked=asked,
        narrowed=any(asked.values()),
        states=values.ROOM_STATES,
        tones=TONES,
        marks=board.MARKS,
        link=lambda **change: url_for("hotel.board", **{k: v for k, v in {**asked, **change}.items() if v}),
        new_stay_url=page_url("hotel_stays.create_view"),
        setup_url=page_url("hotel_places.below_view"),
    )


# --- a room ----------------------------------------------------------------------------------------------


def show_room(room_id: str) -> ResponseReturnValue:
    """Show a room: its state, guests, cleanings, orders, inspections, and what happened."""
    require_here(VIEW)
    room = _here(room_file.get(room_id))
    if room.category != values.ROOMS:
        raise NotFound()
    unit_id, place_id = room.unit_id, room.place_id
    day = days.hotel_day(unit_id)
    known = stays.of_room(place_id, SHOWN)
    events = rooms.events_of(place_id, SHOWN)
    cleanings = cleaning_list.of_room(place_id, SHOWN)
    people = [one.actor_id for one in events] + [one.done_by for one in cleanings]
    page = render_template(
        "hotel/room.html",
        room=room,
        badge=room_badge(room),
        where=places.full_name(room.place),
        day=day,
        stay=next((one for one in known if one.state == values.IN_HOUSE), None),
        expected=[one for one in reversed(known) if one.state == values.EXPECTED],
        past=[one for one in known if one.state in (values.GONE, values.NO_SHOW)][:10],
        events=events,
        cleanings=cleanings[:10],
        orders=_orders(place_id),
        inspections=inspections.of_place(place_id, 10),
        names=cleaning_list.names_of(people),
        buttons=_buttons(room),
        stay_label=dict(values.STAY_STATES),
        state_label=dict(values.ROOM_STATES),
        event_label=dict(values.ROOM_EVENTS),
        cleaning_label=dict(values.CLEANINGS),
        cleaning_state=dict(values.CLEANING_STATES),
        record_badge=state_badge,
        desk=current_scope().may(DESK, unit_id),
        label_url=page_url("labels.index", form="hotel.room", id=room.id),
        key=str(uuid7()),
        panels=g.unit.hooks.detail_panels(subject="hotel:room", row=room),
    )
    return page


def _here(row: Any) -> Any:
    """Let a row pass that belongs to the present unit.

    Raises:
        NotFound: it belongs to another one.
    """
    if row.unit_id != g.unit.id:
        raise NotFound()
    return row


def _orders(place_id: int) -> Sequence[Order]:
    mine = select(Order).where(Order.place_id == place_id).options(joinedload(Order.record))
    return session().scalars(mine.order_by(Order.reported_at.desc(), Order.id.desc()).limit(10)).all()


@dataclass(frozen=True)
class Step:
    """Something done with a room or a stay: its form, who may, when it is offered, what carries it out."""

    label: Any
    permission: str
    run: Callable[[Any, Mapping[str, Any]], object]
    fields: Sequence[Field] = NO_FIELDS
    offered: Callable[[Any], bool] = lambda _row: True
    mark: str = ""
    tone: str = ""
    note: Any = ""


def _walk_in(room: HotelPlace, raw: Mapping[str, Any]) -> object:
    return stays.walk_in(room.unit_id, {**raw, "room": room.place.code}, key=request.form.get("key", "")[:60])


def _correct(room: HotelPlace, raw: Mapping[str, Any]) -> object:
    return rooms.correct(
        room.place_id, occupied=bool(raw["occupied"]), clean=bool(raw["clean"]), note=raw["note"] or ""
    )


def _free(room: HotelPlace) -> bool:
    return not room.occupied and not room.closed and not room.blocks


ROOM_STEPS: Mapping[str, Step] = {
    "arrive": Step(
        _l("Guests arrive"),
        DESK,
        _walk_in,
        (stays.DEPARTS, stays.GUESTS, stays.REFERENCE, stays.NOTE, stays.ANYWAY),
        _free,
        "plus",
        "primary",
        _l("For guests who were not expected. For an expected stay choose it below."),
    ),
    "extra": Step(
        _l("Have it cleaned"),
        HOUSEKEEPING,
        lambda room, raw: cleaning.add_extra(room.unit_id, {**raw, "room": room.place.code}),
        (Field("note", "text", _l("What is wanted"), max_length=300),),
        lambda room: not room.closed,
        "star",
    ),
    "close": Step(
        _l("Take out of service"),
        SETUP,
        lambda room, raw: rooms.close(room.place_id, raw["reason"], raw["until"]),
        CLOSE_FIELDS,
        lambda room: not room.closed and not room.occupied,
        "pause",
        "danger",
    ),
    "reopen": Step(
        _l("Put into service"),
        SETUP,
        lambda room, raw: rooms.reopen(room.place_id),
        NO_FIELDS,
        lambda room: bool(room.closed),
        "check",
        "primary",
        _l("It counts as dirty until it is cleaned."),
    ),
    "correct": Step(
        _l("Correct the state"),
        HOUSEKEEPING,
        _correct,
        CORRECT_FIELDS,
        mark="edit",
        note=_l("After somebody looked. It stands in the history with the reason."),
    ),
}
STAY_STEPS: Mapping[str, Step] = {
    "arrive": Step(
        _l("Let them arrive"),
        DESK,
        stays.arrive,
        stays.ARRIVE_FIELDS,
        lambda stay: stay.state == values.EXPECTED,
        "check",
        "primary",
    ),
    "depart": Step(
        _l("Let them leave"),
        DESK,
        lambda stay, _raw: stays.depart(stay),
        NO_FIELDS,
        lambda stay: stay.state == values.IN_HOUSE,
        "exit",
        "primary",
        _l("The room is empty and dirty from now on, and on the cleaning list."),
    ),
    "move": Step(
        _l("Change room"),
        DESK,
        stays.move,
        stays.MOVE_FIELDS,
        lambda stay: stay.state in (values.EXPECTED, values.IN_HOUSE),
        "right",
    ),
    "extend": Step(
        _l("Change the days"),
        DESK,
        stays.extend,
        stays.EXTEND_FIELDS,
        lambda stay: stay.state in (values.EXPECTED, values.IN_HOUSE),
        "clock",
    ),
    "no_show": Step(
        _l("They did not come"),
        DESK,
        lambda stay, _raw: stays.no_show(stay),
        NO_FIELDS,
        lambda stay: stay.state == values.EXPECTED,
        "cross",
    ),
    "cancel": Step(
        _l("Cancel the stay"),
        DESK,
        lambda stay, _raw: stays.cancel(stay),
        NO_FIELDS,
        lambda stay: stay.state == values.EXPECTED,
        "cross",
        "danger",
    ),
}


def _buttons(room: HotelPlace) -> list[tuple[str, Step]]:
    may = current_scope().may
    return [
        (url_for("hotel.room_step", room_id=room.id, room_step=name), one)
        for name, one in ROOM_STEPS.items()
        if one.offered(room) and may(one.permission, room.unit_id)
    ]


def stay_buttons(stay: Stay) -> list[tuple[str, Step]]:
    """Return what can be done with a stay, as (address, step)."""
    may = current_scope().may
    return [
        (url_for("hotel.stay_step", stay_id=stay.id, stay_step=name), one)
        for name, one in STAY_STEPS.items()
        if one.offered(stay) and may(one.permission, stay.unit_id)
    ]


def room_step(room_id: str, room_step: str) -> ResponseReturnValue:
    """Show the form of something done with a room, or do it."""
    step = ROOM_STEPS.get(room_step) or abort(404)
    require_here(step.permission)
    room = _here(room_file.get(room_id))
    start = {"occupied": room.occupied, "clean": room.clean}
    return _take(step, room, start, room.place.code, room_url(room))


def stay_step(stay_id: str, stay_step: str) -> ResponseReturnValue:
    """Show the form of something done with a stay, or do it."""
    step = STAY_STEPS.get(stay_step) or abort(404)
    require_here(step.permission)
    stay = _here(stays.get_stay(stay_id))
    room = rooms.find_room(stay.place_id)
    code = room.place.code if room else ""
    start = {"room": code if stay_step == "arrive" else "", "departs_on": stay.departs_on}
    about = " · ".join(one for one in (code, stay.reference) if one) or stay.arrives_on.isoformat()
    back = room_url(room) if room else page_url("hotel_stays.index_view")
    return _take(step, stay, start, about, back)


def _take(step: Step, row: Any, start: Mapping[str, Any], about: str, back: str) -> ResponseReturnValue:
    form = form_from_fields(step.fields, dict(start), timezone=g.unit.timezone)

    def run() -> None:
        require(step.permission, row.unit_id)
        step.run(row, form.cleaned)

    if went_through(form, run):
        flash(_("%(about)s: %(done)s.", about=about, done=step.label), "good")
        return redirect(back)
    page = render_template(
        "hotel/step.html",
        step=step,
        form=form,
        about=about,
        back=back,
        rooms=_free_rooms() if "room" in {one.name for one in step.fields} else (),
        key=request.form.get("key") or str(uuid7()),
    )
    return page, 422 if request.method == "POST" else 200


def _free_rooms() -> list[HotelPlace]:
    """Return the rooms that could be given to guests now, clean ones first."""
    found = [one for one in room_file.guest_rooms(g.unit.id) if _free(one)]
    return sorted(found, key=lambda one: not one.clean)

"""Cleaning: the list of the day for those who lead, and the phone page for those who clean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from core.sdk import (
    AppError,
    NotAllowed,
    NotFound,
    current_scope,
    may,
    places,
    read_id,
    transaction,
)
from core.sdk_web import by_pin, page_url

from . import cleaning, cleaning_checks, cleaning_list, days, room_file, values
from .models import Cleaning
from .rights import CLEAN, HOUSEKEEPING, VIEW
from .web_rooms import require_here

TONES = {
    values.TODO: "neutral",
    values.DOING: "info",
    values.DONE: "warn",
    values.PASSED: "good",
    values.REDO: "bad",
    values.SKIPPED: "paused",
    values.DROPPED: "neutral",
}
BACK_DAYS = 60
LEADING = ("check", "redo", "assign", "drop")


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/hotel/``)."""
    post = ("POST",)
    blueprint.add_url_rule("/cleaning", "cleaning", show_list)
    blueprint.add_url_rule("/cleaning/make", "cleaning_make", make_list, methods=post)
    blueprint.add_url_rule("/cleaning/hand-out", "cleaning_hand_out", hand_out, methods=post)
    blueprint.add_url_rule("/cleaning/<cleaning_id>/<do>", "cleaning_step", list_step, methods=post)
    blueprint.add_url_rule("/phone", "phone", by_pin(show_phone))
    blueprint.add_url_rule("/phone/<cleaning_id>/<do>", "phone_step", by_pin(phone_step), methods=post)


def _assign(row: Cleaning, raw: Mapping[str, Any]) -> object:
    return cleaning.assign(row, read_id(raw.get("user", "")))


# What a button of either page does.
STEPS: Mapping[str, Callable[[Cleaning, Mapping[str, Any]], object]] = {
    "start": lambda row, _raw: cleaning.start(row),
    "finish": cleaning.finish,
    "knock": lambda row, _raw: cleaning.knock(row),
    "skip": cleaning.skip,
    "take_up": lambda row, _raw: cleaning.take_up(row),
    "check": cleaning.check,
    "redo": cleaning.redo,
    "assign": _assign,
    "drop": lambda row, _raw: cleaning.drop(row),
}


def _do(cleaning_id: str, do: str) -> bool:
    """Do what a button says; what is wrong is flashed.

    Raises:
        NotFound, NotAllowed: pages of their own.
    """
    run = STEPS.get(do) or abort(404)
    try:
        with transaction():
            row = cleaning.get(cleaning_id)
            if row.unit_id != g.unit.id:
                raise NotFound()
            run(row, {name: request.form.get(name, "")[:400] for name in ("note", "why", "user")})
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
        return False
    return True


# --- the list of the day -----------------------------------------------------------------------------------


def show_list() -> ResponseReturnValue:
    """Show the list of a hotel day by person, with hand-out and checks for those who lead."""
    require_here(VIEW)
    unit_id = g.unit.id
    today = days.hotel_day(unit_id)
    day = _day(request.args.get("day", ""), today)
    rows = cleaning_list.of_day(unit_id, day)
    weigh = cleaning_list.points(unit_id)
    people = cleaning_list.housekeepers(unit_id)
    asked = {name: request.args.get(name, "")[:20] for name in ("who", "state")}
    shown = [one for one in rows if _wanted(one, **asked)]
    names = cleaning_list.names_of([*(one.assignee_id for one in rows), *(one.checked_by for one in rows)])
    rooms = room_file.known(one.place_id for one in rows)
    return render_template(
        "hotel/cleaning.html",
        day=day,
        today=today,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1) if day < today else None,
        rows=shown,
        total=len(rows),
        rooms=rooms,
        loads=cleaning_list.loads_of(rows, weigh),
        counts={code: sum(one.state == code for one in rows) for code, _label in values.CLEANING_STATES},
        people=people,
        names={**names, **{one.id: one.name for one in people}},
        asked=asked,
        tones=TONES,
        kind_label=dict(values.CLEANINGS),
        state_label=dict(values.CLEANING_STATES),
        states=[one for one in values.CLEANING_STATES if one[0] != values.DROPPED],
        skip_label=dict(values.SKIPS),
        leads=may(HOUSEKEEPING, unit_id),
        link=lambda **change: url_for(
            "hotel.cleaning", **{k: v for k, v in {"day": day, **asked, **change}.items() if v}
        ),
        phone_url=page_url("hotel.phone"),
    )


def _wanted(row: Cleaning, who: str, state: str) -> bool:
    if state and row.state != state:
        return False
    return not who or str(row.assignee_id or 0) == who


def _day(text: str, today: date) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return today
    return min(max(day, today - timedelta(days=BACK_DAYS)), today)


def make_list() -> ResponseReturnValue:
    """Make the list of today at once, instead of waiting for the morning's work."""
    require_here(HOUSEKEEPING)
    made = cleaning_list.make(g.unit.id)
    flash(_("%(count)d rooms came onto the list.", count=made), "good")
    return redirect(url_for("hotel.cleaning"))


def hand_out() -> ResponseReturnValue:
    """Hand the rooms out to those ticked."""
    require_here(HOUSEKEEPING)
    chosen = [one for raw in request.form.getlist("people")[:200] if (one := read_id(raw)) is not None]
    try:
        count = cleaning_list.hand_out(g.unit.id, chosen, anew=request.form.get("anew") == "1")
    except NotAllowed:
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
    else:
        flash(_("%(count)d rooms were handed out.", count=count), "good")
    return redirect(url_for("hotel.cleaning"))


def list_step(cleaning_id: str, do: str) -> ResponseReturnValue:
    """Take a step with a room of the list; ``inspect`` opens the check by the list and leads there."""
    if do == "inspect":
        return _inspect(cleaning_id)
    require_here(HOUSEKEEPING if do in LEADING else CLEAN)
    if _do(cleaning_id, do):
        flash(_("Saved."), "good")
    row = cleaning.get(cleaning_id)
    return redirect(url_for("hotel.cleaning", day=row.hotel_day, _anchor=f"c{row.id}"))


def _inspect(cleaning_id: str) -> ResponseReturnValue:
    require_here(HOUSEKEEPING)
    row = cleaning.get(cleaning_id)
    if row.unit_id != g.unit.id:
        raise NotFound()
    try:
        with transaction():
            record_id = cleaning_checks.open_check(row).id
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
        return redirect(url_for("hotel.cleaning"))
    return redirect(url_for("record.page", record_id=record_id))


# --- the phone ---------------------------------------------------------------------------------------------


def show_phone() -> ResponseReturnValue:
    """Show a housekeeper the rooms of the day: one's own, or with ``all`` everybody's."""
    unit_id, me = g.unit.id, g.actor.id
    if not may(CLEAN, unit_id):
        return _nobody()
    day = days.hotel_day(unit_id)
    everything = request.args.get("all") == "1"
    rows = cleaning_list.of_day(unit_id, day, None if everything else me)
    order = {values.DOING: 0, values.REDO: 1, values.TODO: 2}
    rows.sort(key=lambda one: order.get(one.state, 3))
    return render_template(
        "hotel/phone.html",
        day=day,
        rows=rows,
        left=sum(one.state in cleaning.OPEN for one in rows),
        everything=everything,
        rooms=room_file.known(one.place_id for one in rows),
        where=places.full_names(unit_id, {one.place.parent_id for one in rows}),
        names=cleaning_list.names_of(one.assignee_id for one in rows),
        me=me,
        tones=TONES,
        kind_label=dict(values.CLEANINGS),
        state_label=dict(values.CLEANING_STATES),
        room_state=dict(values.ROOM_STATES),
        skips=values.SKIPS,
        skip_label=dict(values.SKIPS),
        waiting=cleaning.WAITING,
        report_url=page_url("hotel.order_new"),
    )


def _nobody() -> ResponseReturnValue:
    """On a shared device nobody has typed their PIN yet; elsewhere the permission is missing."""
    url = page_url("auth.colleague")
    if not url or not current_scope().may("device.share", g.unit.id):
        raise NotAllowed(CLEAN)
    return redirect(url)


def phone_step(cleaning_id: str, do: str) -> ResponseReturnValue:
    """Take a step with a room on the phone."""
    if do not in STEPS or do in LEADING:
        abort(404)
    if not may(CLEAN, g.unit.id):
        return _nobody()
    _do(cleaning_id, do)
    everything = "1" if request.form.get("all") == "1" else None
    return redirect(url_for("hotel.phone", all=everything, _anchor=f"c{read_id(cleaning_id)}"))

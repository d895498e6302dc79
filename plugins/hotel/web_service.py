"""Pages of catering, meetings and shifts: booking a hall, receiving food, writing in the book, taking over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    InvalidData,
    NotAllowed,
    NotFound,
    accounts,
    current_scope,
    fetch,
    pins,
    read_id,
    release,
    require,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, by_pin, form_from_fields, page_url, went_through

from . import food, meetings, shifts, values
from .models import Food, FoodLine, Shift
from .rights import CATERING, DESK, REPORT
from .screens_service import chosen_place, hall_fields

ROWS = 8
_LINE_NAMES = tuple(one.name for one in food.LINE_FIELDS)


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/hotel/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/meeting/new", "meeting_new", meeting_new, both),
        ("/shift/new", "shift_new", shift_new, both),
        ("/shift/<shift_id>/entry", "shift_entry", shift_entry, post),
        ("/shift/<shift_id>/settle", "shift_settle", shift_settle, post),
        ("/shift/<shift_id>/take", "shift_take", shift_take, both),
        ("/food/new", "food_new", food_new, both),
        ("/food/<food_id>/line/<food_line_id>", "food_line", food_line, post),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _key() -> str:
    return request.form.get("key", "")[:60]


def _page(title: Any, form: FieldsForm, back: str, note: Any = "", **more: Any) -> ResponseReturnValue:
    template = more.pop("template", "hotel/form.html")
    key = request.form.get("key") or uuid7().hex
    page = render_template(template, title=title, form=form, back=back, note=note, key=key, **more)
    return page, 422 if request.method == "POST" else 200


def _record_url(record_id: int) -> str:
    return page_url("record.page", record_id=record_id)


# --- meetings --------------------------------------------------------------------------------------


def meeting_new() -> ResponseReturnValue:
    """Book a hall."""
    require(DESK, g.unit.id)
    form = form_from_fields(hall_fields(meetings.FIELDS, g.unit.id), timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(meetings.register(g.unit.id, form.cleaned, key=_key()))):
        flash(_("%(number)s is booked.", number=made[0].number), "good")
        return redirect(_record_url(made[0].id))
    return _page(_l("Book a hall"), form, url_for("hotel_meetings.index_view"))


# --- the hand-over book ----------------------------------------------------------------------------


@by_pin
def shift_new() -> ResponseReturnValue:
    """Begin a shift."""
    require(REPORT, g.unit.id)
    form = form_from_fields(shifts.FIELDS, timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(shifts.register(g.unit.id, form.cleaned, key=_key()))):
        return redirect(_record_url(made[0].id))
    note = _l("What the last shift left open stands in the new one.")
    return _page(_l("Begin a shift"), form, url_for("hotel_shifts.index_view"), note)


def _shift(shift_id: str) -> Shift:
    row = fetch(Shift, shift_id)
    if not current_scope().may(REPORT, row.unit_id):
        raise NotFound()
    return row


@by_pin
def shift_entry(shift_id: str) -> ResponseReturnValue:
    """Write something into the book."""
    row = _shift(shift_id)
    raw = {"text": request.form.get("text", "")[:2000], "open": request.form.get("open", "")}
    _said(lambda: shifts.add_entry(row.id, raw, key=_key()))
    return redirect(_record_url(row.id))


@by_pin
def shift_settle(shift_id: str) -> ResponseReturnValue:
    """Mark an entry as done."""
    row = _shift(shift_id)
    place = read_id(request.form.get("entry", ""))
    _said(lambda: shifts.settle_entry(row.id, (place or 0) - 1))
    return redirect(_record_url(row.id))


def _said(call: Any) -> None:
    """Run a service in one transaction; what is refused is said on the next page."""
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
    else:
        flash(_("Saved."), "good")


@by_pin
def shift_take(shift_id: str) -> ResponseReturnValue:
    """Take a shift over, or let a colleague do so on this device with their PIN."""
    row = _shift(shift_id)
    staff = [one for one in accounts.staff_names(row.unit_id) if one[0] != row.giver_id]
    error: AppError | None = None
    if request.method == "POST":
        try:
            _take(row)
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            error = bad
        else:
            flash(_("The shift is taken over."), "good")
            return redirect(_record_url(row.id))
    page = render_template(
        "hotel/shift_take.html",
        shift=row,
        staff=staff,
        mine=row.giver_id != g.actor.id,
        errors=[str(one) for one in error.texts()] if error else [],
        back=_record_url(row.id),
        key=uuid7().hex,
    )
    return page, 422 if error else 200


def _take(row: Shift) -> None:
    key, chosen = row.id, read_id(request.form.get("taker", ""))
    if chosen is None:
        with transaction():
            shifts.take(key, key=_key())
        return
    release()  # a PIN is checked outside every transaction
    proof = pins.prove(chosen, request.form.get("pin", "")[:20], request.remote_addr or "")
    with transaction():
        shifts.take(key, proof=proof, key=_key())


# --- food ------------------------------------------------------------------------------------------


def food_new() -> ResponseReturnValue:
    """Receive food, ingredient by ingredient."""
    require(CATERING, g.unit.id)
    fields = chosen_place(food.FIELDS, g.unit.id, (values.CATERING,))
    form = form_from_fields(fields, timezone=g.unit.timezone)
    rows, made = _rows(request.form), []
    wrong: list[str] = []

    def save() -> None:
        try:
            made.append(food.register(g.unit.id, {**form.cleaned, "lines": rows}, key=_key()))
        except InvalidData as bad:
            wrong.extend(str(one) for one in bad.errors.pop("lines", ()))
            if bad.errors or not wrong:
                raise
            raise InvalidData({}) from None

    if went_through(form, save):
        flash(_("%(number)s is entered. Now judge what arrived.", number=made[0].number), "good")
        return redirect(_record_url(made[0].id))
    back = url_for("hotel_foods.index_view")
    return _page(
        _l("Receive food"),
        form,
        back,
        template="hotel/food_form.html",
        rows=[*rows, *({} for _row in range(max(ROWS - len(rows), 1)))],
        storages=values.STORAGES,
        wrong=wrong,
    )


def _rows(given: Mapping[str, Any]) -> Sequence[dict[str, str]]:
    """Read the rows of the form that say something; ``name-3`` is a field of the third."""
    found = []
    for number in range(food.MOST_LINES):
        row = {name: str(given.get(f"{name}-{number}", ""))[:300] for name in _LINE_NAMES}
        if row["item"].strip() or row["quantity"].strip():
            found.append(row)
    return found


def food_line(food_id: str, food_line_id: str) -> ResponseReturnValue:
    """Accept or refuse one ingredient."""
    receipt, line = fetch(Food, food_id), fetch(FoodLine, food_line_id)
    if line.food_id != receipt.id or not current_scope().may(CATERING, receipt.unit_id):
        raise NotFound()
    note = request.form.get("note", "")[:200]
    _said(lambda: food.judge(line.id, request.form.get("verdict", "")[:20], note))
    return redirect(_record_url(receipt.id))

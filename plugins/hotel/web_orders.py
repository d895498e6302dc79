"""Pages of orders and complaints: the forms that register them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Attachment,
    Field,
    NotAllowed,
    NotFound,
    Place,
    Record,
    fetch,
    fetch_visible,
    keep_file,
    lock,
    may,
    put_file,
    session,
    uuid7,
)
from core.sdk_web import FieldsForm, by_pin, form_from_fields, page_url, went_through

from . import complaints, orders
from .models import Complaint
from .rights import DESK, REPORT

MOST_FILES = 10
PHOTOS = Field("photos", "photos", _l("Photos"), options={"accept": "image/*,video/mp4,.heic"})


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/hotel/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/order/new", "order_new", order_new, methods=both)
    blueprint.add_url_rule("/complaint/new", "complaint_new", complaint_new, methods=both)
    blueprint.add_url_rule("/complaint/<record_id>/order", "complaint_order", complaint_order, methods=both)


@by_pin
def order_new() -> ResponseReturnValue:
    """Report a defect or other work, with photos; made for a phone. ``?place=`` is the id of a place."""
    if not may(REPORT, g.unit.id):
        raise NotAllowed(REPORT)
    return _register_order(_l("Report a defect"), _place_code(), None)


def complaint_order(record_id: str) -> ResponseReturnValue:
    """Open an order for a complaint; the guest is told when it is done."""
    record = fetch_visible(record_id)
    if record.type != complaints.CODE:
        raise NotFound()
    if not may(REPORT, record.unit_id):
        raise NotAllowed(REPORT)
    detail = fetch(Complaint, record.id)
    place = session().get(Place, detail.place_id) if detail.place_id is not None else None
    return _register_order(
        _l("Order for a complaint"), place.code if place is not None else "", record, detail.text
    )


def _register_order(title: Any, place: str, complaint: Record | None, text: str = "") -> ResponseReturnValue:
    fields: Sequence[Field] = [*orders.FIELDS, PHOTOS]
    if complaint is not None:
        fields = [one for one in fields if one.name != "source"]
    form = form_from_fields(fields, {"place": place, "text": text}, timezone=g.unit.timezone)
    made: list[Record] = []

    def send() -> None:
        raw = {name: one for name, one in form.cleaned.items() if name != PHOTOS.name}
        complaint_id = complaint.id if complaint is not None else None
        made.append(
            _with_photos(form, lambda: orders.register(g.unit.id, raw, complaint_id=complaint_id, key=_key()))
        )

    if went_through(form, send):
        flash(_("%(number)s was registered.", number=made[0].number), "good")
        return redirect(page_url("record.page", record_id=made[0].id))
    back = page_url("record.page", record_id=complaint.id) if complaint else page_url("hotel_orders.index_view")
    return _form_page(title, form, back)


def complaint_new() -> ResponseReturnValue:
    """Take a guest's complaint down, with photos."""
    if not may(DESK, g.unit.id):
        raise NotAllowed(DESK)
    form = form_from_fields([*complaints.FIELDS, PHOTOS], {"place": _place_code()}, timezone=g.unit.timezone)
    made: list[Record] = []

    def send() -> None:
        raw = {name: one for name, one in form.cleaned.items() if name != PHOTOS.name}
        made.append(_with_photos(form, lambda: complaints.register(g.unit.id, raw, key=_key())))

    if went_through(form, send):
        flash(_("%(number)s was registered.", number=made[0].number), "good")
        return redirect(page_url("record.page", record_id=made[0].id))
    return _form_page(_l("Take a complaint down"), form, page_url("hotel_complaints.index_view"))


def _with_photos(form: FieldsForm, register: Any) -> Record:
    """Look at the photos, register, put the photos to the record; a retry does not bring them twice."""
    kept = [keep_file(one.filename or "", one.stream) for one in (form.cleaned["photos"] or [])[:MOST_FILES]]
    record: Record = register()
    mine = select(Attachment.id).where(Attachment.record_id == record.id).limit(1)
    if session().scalar(mine) is None:
        for one in kept:
            put_file(lock(record.id), one, kind="photo")
    return record


def _place_code() -> str:
    """Return the code of the place that a link names by its id, '' where it names none."""
    raw = request.args.get("place", "")
    return fetch(Place, raw).code if raw else ""


def _key() -> str:
    return request.form.get("key", "")[:60]


def _form_page(title: Any, form: FieldsForm, back: str) -> ResponseReturnValue:
    key = request.form.get("key") or str(uuid7())
    page = render_template("hotel/order_form.html", title=title, form=form, back=back, key=key)
    return page, 422 if request.method == "POST" else 200

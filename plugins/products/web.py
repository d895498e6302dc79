"""Addresses outside the back office, mounted at /p/products/ and gated by the core."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, jsonify, redirect, request, url_for
from flask.typing import ResponseReturnValue

from core.sdk import NotFound, current_scope, customer_summary, require
from core.sdk_web import badges_of

from . import fields, services
from .models import Item
from .panels import SUBJECT


def blueprint() -> Blueprint:
    """Build the plugin's blueprint; a new one for each application."""
    made = Blueprint("products", __name__)
    made.add_url_rule("/lookup", view_func=lookup)
    made.add_url_rule("/s/<path:serial>", view_func=by_serial)
    return made


def lookup() -> ResponseReturnValue:
    """Answer what the case form needs to know of a serial number of the current unit.

    ``{"found": false}`` for anything unknown here, also for serial numbers of other units.
    """
    require(services.VIEW, g.unit.id)
    item = services.find_item(g.unit.id, request.args.get("serial", "")[:200])
    return jsonify(_answer(item) if item is not None else {"found": False})


def by_serial(serial: str) -> ResponseReturnValue:
    """Lead to an item's page: the address for a sticker on the product."""
    require(services.VIEW, g.unit.id)
    item = services.find_item(g.unit.id, serial)
    if item is None:
        raise NotFound()
    return redirect(url_for("products_item.details_view", id=item.id))


def _answer(item: Item) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "found": True,
        "id": item.id,
        "serial": item.serial,
        "model": item.model.code,
        "product": item.model.name,
        "text": str(item.model),
        "purchased_on": item.purchased_on.isoformat() if item.purchased_on else "",
        "sold_class": str(fields.label_of(fields.SOLD_CLASSES, item.sold_class)),
        "url": url_for("products_item.details_view", id=item.id),
        "marks": [
            {"label": str(mark.label), "tone": mark.tone} for mark in badges_of(SUBJECT, [item]).get(item.id, [])
        ],
    }
    if item.customer is not None and current_scope().may("customer.view", item.unit_id):
        answer["customer"] = customer_summary(item.customer)
        answer["take_url"] = url_for("cases.new", customer=item.customer_id)
    return answer

"""The page of an order for our staff: whose hands it is in, what we owe for it, taking it back (DL-1, DL-2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import AppError, Field, NotAllowed, NotFound, Record, charges, may, session, transaction
from core.sdk_web import FieldsForm, form_from_fields

from . import orders, values
from .models import Order
from .rights import SETTLE, VIEW
from .screens_orders import order_url, record_url
from .screens_own import order_badge


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/agents/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/order/<order_id>", "order", order)
    blueprint.add_url_rule("/order/<order_id>/work-out", "order_work_out", order_work_out, methods=both)
    blueprint.add_url_rule("/order/<order_id>/take-back", "order_take_back", order_take_back, methods=both)


def order(order_id: str) -> ResponseReturnValue:
    """Show an order with the lines we owe for it."""
    row = _visible(order_id)
    done = row.state == values.DONE
    return render_template(
        "agents/order.html",
        row=row,
        badge=order_badge(row),
        case_url=record_url(row.record_id),
        again=row.repeated,
        again_url=record_url(row.repeated_id) if row.repeated_id else "",
        days=orders.days_of(row),
        lines=orders.lines_of(row),
        owed=orders.owed_for(row),
        refunded=orders.refunded_of(row),
        label=charges.label_of,
        may_settle=done and may(SETTLE, row.unit_id),
    )


def order_work_out(order_id: str) -> ResponseReturnValue:
    """Work out anew what we owe: with other visits, or by a contract that was entered since."""
    row = _to_settle(order_id)
    return _form(row, _("Work out the pay"), orders.VISIT_FIELDS, {"visits": row.visits}, orders.work_out)


def order_take_back(order_id: str) -> ResponseReturnValue:
    """Take back what we owe, or a part of it."""
    row = _to_settle(order_id)
    return _form(row, _("Take back the pay"), orders.TAKE_BACK_FIELDS, {}, orders.take_back)


def _visible(order_id: str) -> Order:
    row = orders.get(order_id)
    if not may(VIEW, row.unit_id):
        raise NotFound()
    return row


def _to_settle(order_id: str) -> Order:
    row = _visible(order_id)
    if not may(SETTLE, row.unit_id):
        raise NotAllowed(SETTLE)
    return row


def _form(
    row: Order,
    title: str,
    fields: Sequence[Field],
    given: Mapping[str, Any],
    call: Callable[[object, Mapping[str, Any]], object],
) -> ResponseReturnValue:
    form = form_from_fields(fields, given, timezone=g.unit.timezone)
    status = 200
    if request.method == "POST":
        status = 422
        if form.validate_on_submit() and _done(form, lambda: call(row.id, form.cleaned)):
            flash(_("Saved."), "good")
            return redirect(order_url(row))
    record = session().get_one(Record, row.record_id)
    page = render_template(
        "agents/order_form.html",
        title=title,
        form=form,
        record=record,
        owed=orders.owed_for(row),
        back=order_url(row),
        owed_label=_l("What we owe now"),
    )
    return page, status


def _done(form: FieldsForm, call: Callable[[], object]) -> bool:
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        form.show(bad)
        return False
    return True

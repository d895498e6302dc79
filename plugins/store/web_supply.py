"""Pages of papers, of plans turned into orders, and of the inspection of a delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    fetch,
    keep_file,
    may,
    perform,
    require,
    transaction,
    uuid7,
)
from core.sdk_web import form_from_fields, form_key, went_through

from . import goods, inspecting, plans, receiving, releases, values
from .models import Paper, Plan, Receiving, ReceivingLine, Release
from .pages import form_page, record_url
from .receiving_flow import AS_EXPECTED, lines_of
from .rights import BUY, QUALITY, RECEIVE, VIEW

FILE = Field("file", "photos", _l("File of the paper"), help=_l("A photo or a PDF"))
_TYPES = {"counted": "numeric", "accepted": "numeric", "refused": "numeric", "shelf_days": "numeric"}
_DATES = ("made_on", "best_before")


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/store/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/release/<release_id>/paper", "paper_new", paper_new, both),
        ("/paper/<paper_id>/strike", "paper_strike", paper_strike, post),
        ("/plan/<plan_id>/orders", "plan_orders", plan_orders, post),
        ("/delivery/<delivery_id>/inspect", "inspect", inspect, both),
        ("/delivery/<delivery_id>/line", "delivery_line", line_new, both),
        ("/delivery-line/<delivery_line_id>/remove", "delivery_line_remove", line_remove, post),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _one(model: Any, raw_id: object, permission: str) -> Any:
    """Return a row of a unit where one may see the store and do this.

    Raises:
        NotFound, NotAllowed.
    """
    row = fetch(model, raw_id)
    if not may(VIEW, row.unit_id):
        raise NotFound()
    require(permission, row.unit_id)
    return row


def _flashed(call: Callable[[], Any]) -> Any:
    """Run a service that has no form; what it refuses is said on the next page."""
    try:
        with transaction():
            found = call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(" ".join(str(one) for one in bad.texts()), "bad")
        return None
    flash(_("Saved."), "good")
    return found


# --- papers ----------------------------------------------------------------------------------------


def paper_new(release_id: str) -> ResponseReturnValue:
    """Enter a paper of a product, with its file."""
    release = _one(Release, release_id, QUALITY)
    form = form_from_fields([*releases.PAPER_FIELDS, FILE], timezone=g.unit.timezone)

    def save() -> None:
        given = dict(form.cleaned)
        files = given.pop("file") or []
        if len(files) > 1:
            raise InvalidData({"file": _l("One file a paper")})
        kept = keep_file(files[0].filename, files[0].stream) if files else None
        releases.add_paper(release.id, given, file=kept, key="" if files else form_key())

    back = record_url(release.id)
    if went_through(form, save):
        flash(_("Saved."), "good")
        return redirect(back)
    return form_page(_l("Enter a paper"), form, back, release.record.title)


def paper_strike(paper_id: str) -> ResponseReturnValue:
    """Strike a paper out."""
    paper = _one(Paper, paper_id, QUALITY)
    release_id = paper.release_id
    _flashed(lambda: releases.strike_paper(release_id, paper.id))
    return redirect(record_url(release_id))


# --- plans -----------------------------------------------------------------------------------------


def plan_orders(plan_id: str) -> ResponseReturnValue:
    """Draft the orders of a plan."""
    plan = _one(Plan, plan_id, BUY)
    key = plan.id
    _flashed(lambda: plans.make_orders(key))
    return redirect(record_url(key))


# --- the inspection of a delivery ----------------------------------------------------------------------


def inspect(delivery_id: str) -> ResponseReturnValue:
    """Count and judge the lines of a delivery; save, or save and finish."""
    delivery = _one(Receiving, delivery_id, RECEIVE)
    back, errors, problems = record_url(delivery.id), {}, []
    if delivery.record.state != values.RECEIVED:
        return redirect(back)
    if request.method == "POST":
        try:
            with transaction():
                done = _save(delivery.id)
        except (NotFound, NotAllowed):
            raise
        except InvalidData as bad:
            errors = bad.errors
            problems = [text for name, texts in errors.items() if "." not in name for text in texts]
        except AppError as bad:
            problems = list(bad.texts())
        else:
            flash(_("Saved."), "good")
            return redirect(back if done else request.path)
    page = render_template("store/inspect.html", **_inspection(delivery, errors, problems), back=back)
    return page, 422 if request.method == "POST" else 200


def _save(delivery_id: int) -> bool:
    """Keep what was typed; tell whether the inspection is finished."""
    rows = [one for one in (_typed(line) for line in lines_of(delivery_id)) if one]
    if rows:
        inspecting.inspect(delivery_id, rows)
    if request.form.get("do") != "finish":
        return False
    perform(delivery_id, "check", {AS_EXPECTED: request.form.get(AS_EXPECTED, "")}, key=form_key())
    return True


def _typed(line: ReceivingLine) -> dict[str, Any]:
    """Return what was typed of a line; nothing where it was not counted and its dates stayed."""
    names = [one.name for one in inspecting.RESULT_FIELDS]
    found = {name: request.form.get(f"{line.id}.{name}", "").strip() for name in names}
    changed = any(found[name] and found[name] != str(getattr(line, name) or "") for name in names)
    if not changed:
        return {}
    if not found["counted"] and request.form.get(AS_EXPECTED) and not found["accepted"]:
        found["counted"] = str(line.expected)
    return {"id": line.id, **found}


def _inspection(delivery: Receiving, errors: Mapping[str, Any], problems: Any) -> dict[str, Any]:
    lines = lines_of(delivery.id)
    models = {one.model_id for one in lines}
    names, sheets = goods.names_of(models), goods.sheets_of(delivery.unit_id, models)

    def value(line: ReceivingLine, name: str) -> Any:
        typed = request.form.get(f"{line.id}.{name}")
        held = getattr(line, name) if typed is None else typed
        return "" if held is None else held

    return {
        "delivery": delivery,
        "lines": lines,
        "names": names,
        "codes": goods.codes_of(delivery.unit_id, models),
        "sheets": sheets,
        "fields": inspecting.RESULT_FIELDS,
        "value": value,
        "modes": _TYPES,
        "dates": _DATES,
        "errors": errors,
        "problems": problems,
        "as_expected": AS_EXPECTED,
        "clauses": (inspecting.COUNT_CLAUSE, inspecting.FILE_CLAUSE),
        "key": request.form.get("key") or uuid7().hex,
    }


def line_new(delivery_id: str) -> ResponseReturnValue:
    """Add a line to a delivery: a further batch, or what stood on no note."""
    delivery = _one(Receiving, delivery_id, RECEIVE)
    form = form_from_fields(receiving.LINE_FIELDS, timezone=g.unit.timezone)
    back = record_url(delivery.id)
    if went_through(form, lambda: receiving.add_line(delivery.id, form.cleaned)):
        flash(_("Saved."), "good")
        return redirect(back)
    return form_page(_l("Add a line"), form, back, delivery.record.number)


def line_remove(delivery_line_id: str) -> ResponseReturnValue:
    """Take a line out of a delivery."""
    line = _one(ReceivingLine, delivery_line_id, RECEIVE)
    delivery_id = line.receiving_id
    _flashed(lambda: receiving.remove_line(delivery_id, line.id))
    return redirect(record_url(delivery_id))

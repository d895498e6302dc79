"""Pages of the stock: scan to check, the quality file of a batch, outgoing goods, objections, stopped batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
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
    label_of,
    may,
    require,
    scan,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, form_key, page_url, went_through
from plugins.products import services as products

from . import check, finding, goods, issues, objections, removals, shelf, stopping, trace, values
from .models import Issue, Lot
from .pages import form_page, record_url
from .rights import QUALITY, RECEIVE, SELL, STOCK, VIEW

ADD, PHOTO = "add", "photo"  # what the buttons of the entry say beside the one that lets the goods out


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/store/``)."""
    get, both, post = ("GET",), ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/check", "check", check_page, both),
        ("/lot/<lot_id>", "lot", lot_page, get),
        ("/lot/<lot_id>/on-sale", "lot_on_sale", lot_on_sale, post),
        ("/lot/<lot_id>/off-sale", "lot_off_sale", lot_off_sale, post),
        ("/lot/<lot_id>/place", "lot_place", lot_place, both),
        ("/issue/new", "issue_new", issue_new, both),
        ("/issue/<issue_id>/back", "issue_back", issue_back, both),
        ("/objection/new", "objection_new", objection_new, both),
        ("/removal/new", "removal_new", removal_new, both),
        ("/batch/<batch_id>", "stopped", stopped_page, get),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _need(permission: str) -> None:
    require(VIEW, g.unit.id)
    require(permission, g.unit.id)


# --- scan to check -------------------------------------------------------------------------------------


def check_page() -> ResponseReturnValue:
    """Tell of a scanned code whether it may be sold; a photo is read and leads to the answer."""
    require(VIEW, g.unit.id)
    errors: Sequence[Any] = ()
    if request.method == "POST":
        try:
            return redirect(url_for("store.check", code=_code_of_photo()))
        except InvalidData as bad:
            errors = bad.texts()
    code = request.args.get("code", "").strip()
    answer = check.look(g.unit.id, code) if code and not errors else None
    return render_template(
        "store/check.html", answer=answer, code=code, errors=errors, words=check, lot_url=lot_url, **_may()
    ), (422 if errors else 200)


def _code_of_photo() -> str:
    photo = request.files.get("photo")
    if photo is None or not photo.filename:
        raise InvalidData({"photo": _l("Please choose a photo")})
    found = scan.read_photo(photo.stream)
    if not found:
        raise InvalidData({"photo": _l("No code was found in the photo. Hold it closer and straight.")})
    return found[0].ours or found[0].text


def _may() -> dict[str, bool]:
    return {
        "may_sell": may(SELL, g.unit.id),
        "may_stock": may(STOCK, g.unit.id),
        "may_object": any(may(one, g.unit.id) for one in objections.ANYBODY),
    }


def lot_url(lot: Lot) -> str:
    """Return the address of a batch's quality file."""
    return url_for("store.lot", lot_id=lot.id)


# --- a batch ---------------------------------------------------------------------------------------------


def lot_page(lot_id: str) -> ResponseReturnValue:
    """Show the quality file of a batch: where from, how it stands, what moved, who has it."""
    lot = trace.lot_of(lot_id)
    answer = check.look(lot.unit_id, f"{finding.LABEL}~{lot.id}")
    return render_template(
        "store/lot.html",
        file=trace.of_lot(lot),
        answer=answer.lots[0],
        state=check.state_label(lot),
        place=shelf.place_name(lot),
        names_shown=trace.names_shown(lot.unit_id),
        kinds=dict(values.MOVEMENTS),
        issue_kinds=dict(values.ISSUE_KINDS),
        reasons=dict(values.REMOVAL_REASONS),
        record_url=record_url,
        customer_url=lambda key: page_url("customers.details_view", id=key),
        supplier_url=record_url,
        batch_url=url_for("store.stopped", batch_id=lot.batch_id) if lot.batch_id else "",
        label_url=page_url("labels.index", form=finding.LABEL, id=lot.id, back=request.full_path),
        print_url=page_url("printing.index", subject="store:lot", id=lot.id),
        movement_url=lambda moved: record_url(moved.record_id) if moved.record_id else "",
        on_sale=lot.state == values.ON_SALE,
        accepted=lot.state in (values.ACCEPTED, values.QUARANTINE),
        back=page_url("store_lots.index_view"),
        **_may(),
    )


def _flashed(call: Callable[[], Any]) -> None:
    try:
        with transaction():
            call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(" ".join(str(one) for one in bad.texts()), "bad")
        return
    flash(_("Saved."), "good")


def lot_on_sale(lot_id: str) -> ResponseReturnValue:
    """Put a batch on sale."""
    lot = trace.lot_of(lot_id)
    _flashed(lambda: shelf.put_on_sale(lot.id))
    return redirect(lot_url(lot))


def lot_off_sale(lot_id: str) -> ResponseReturnValue:
    """Take a batch off the shelf."""
    lot = trace.lot_of(lot_id)
    _flashed(lambda: shelf.take_off(lot.id))
    return redirect(lot_url(lot))


def lot_place(lot_id: str) -> ResponseReturnValue:
    """Say where a batch lies."""
    lot = trace.lot_of(lot_id)
    require(STOCK, lot.unit_id)
    first = {"place_id": str(lot.place_id or "")}
    form = form_from_fields(shelf.place_fields(lot.unit_id), first, timezone=g.unit.timezone)
    if went_through(form, lambda: shelf.place(lot.id, form.cleaned)):
        flash(_("Saved."), "good")
        return redirect(lot_url(lot))
    return form_page(_l("Say where it lies"), form, lot_url(lot), lot.number)


# --- outgoing goods --------------------------------------------------------------------------------------


def issue_new() -> ResponseReturnValue:
    """Enter outgoing goods: every scan adds a line, then all go out together."""
    _need(SELL)
    if request.form.get("do") in (ADD, PHOTO):
        return _scanned(request.form["do"])
    first = {"kind": values.SALE, "lines": request.args.get("code", "")}
    form = form_from_fields(issues.FIELDS, first, timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(issues.register(g.unit.id, form.cleaned, key=form_key()))):
        flash(_("%(number)s: the goods went out.", number=made[0].number), "good")
        return redirect(record_url(made[0].id))
    lines = request.form.get("lines", "") if request.method == "POST" else first["lines"]
    return _issue_page(form, lines), 422 if request.method == "POST" else 200


def _scanned(pressed: str) -> ResponseReturnValue:
    """Add what was scanned to the lines and show the form anew; the same code again counts one more."""
    given = {one.name: request.form.get(one.name, "") for one in issues.FIELDS}
    errors: Sequence[Any] = ()
    try:
        code = _code_of_photo() if pressed == PHOTO else request.form.get("scan", "").strip()
        if code and check.look(g.unit.id, code).verdict == check.UNKNOWN:
            raise InvalidData({"scan": _l("“%(code)s” is not known here", code=code[:40])})
        given["lines"] = one_more(given["lines"], code)
    except InvalidData as bad:
        errors = bad.texts()
    form = form_from_fields(issues.FIELDS, given, timezone=g.unit.timezone, fresh=True)
    return _issue_page(form, given["lines"], errors)


def _issue_page(form: FieldsForm, lines: str, errors: Sequence[Any] = ()) -> str:
    return render_template(
        "store/issue.html",
        form=form,
        errors=errors,
        answers=_answers(lines),
        lot_url=lot_url,
        key=request.form.get("key") or uuid7().hex,
        back=page_url("store_issues.index_view"),
    )


def one_more(lines: str, code: str) -> str:
    """Return the lines with one more piece of a code."""
    rows = goods.split_lines(lines, ("code", "pieces"))
    if not code:
        return lines
    for row in rows:
        if row["code"] == code:
            pieces = row.get("pieces") or "1"
            row["pieces"] = str(int(pieces) + 1) if pieces.isascii() and pieces.isdigit() else pieces
            break
    else:
        rows.append({"code": code, "pieces": "1"})
    return "\n".join(", ".join((row["code"], row.get("pieces") or "1")) for row in rows)


def _answers(lines: str) -> list[tuple[str, check.Answer]]:
    """Look at each line as it stands, so that what is stopped is seen before anything goes out."""
    rows = goods.split_lines(lines, ("code", "pieces"))[: issues.MOST_LINES]
    return [(row.get("pieces") or "1", check.look(g.unit.id, row["code"])) for row in rows if row.get("code")]


def issue_back(issue_id: str) -> ResponseReturnValue:
    """Take pieces back."""
    found = fetch(Issue, issue_id)
    if not may(VIEW, found.unit_id):
        raise NotFound()
    require(SELL, found.unit_id)
    line, *rest = issues.BACK_FIELDS
    choose = Field(line.name, "choice", line.label, True, _lines_out(found.id))
    form = form_from_fields([choose, *rest], {"quantity": 1}, timezone=g.unit.timezone)
    if went_through(form, lambda: issues.take_back(found.id, form.cleaned, key=form_key())):
        flash(_("Saved."), "good")
        return redirect(record_url(found.id))
    return form_page(_l("Take goods back"), form, record_url(found.id), found.record.number)


def _lines_out(issue_id: int) -> list[tuple[str, str]]:
    rows = [one for one in issues.lines_of(issue_id) if one.taken_back < one.quantity]
    held = {one.id: one for one in trace.lots_by_id([one.lot_id for one in rows])}
    names = goods.names_of([one.model_id for one in held.values()])
    return [
        (
            str(one.id),
            f"{names[held[one.lot_id].model_id]} · {held[one.lot_id].number} × {one.quantity - one.taken_back}",
        )
        for one in rows
    ]


# --- objections, removals ----------------------------------------------------------------------------------


def objection_new() -> ResponseReturnValue:
    """Raise an objection."""
    require(VIEW, g.unit.id)
    if not _may()["may_object"]:
        raise NotAllowed(QUALITY if may(RECEIVE, g.unit.id) else STOCK)
    first = {"lot": request.args.get("lot", ""), "quantity": 1, "found_at": "shelf"}
    form = form_from_fields(objections.FIELDS, first, timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(objections.register(g.unit.id, form.cleaned, key=form_key()))):
        flash(_("The pieces are set apart."), "good")
        return redirect(record_url(made[0].id))
    note = _l("The pieces are set apart at once: nobody can sell them any more.")
    return form_page(_l("Raise an objection"), form, page_url("store_objections.index_view"), note)


def removal_new() -> ResponseReturnValue:
    """Ask for a batch to be taken off the shelf."""
    _need(STOCK)
    first = {"lot": request.args.get("lot", ""), "reason": "near"}
    form = form_from_fields(removals.FIELDS, first, timezone=g.unit.timezone)
    made: list[Any] = []
    if went_through(form, lambda: made.append(removals.register(g.unit.id, form.cleaned, key=form_key()))):
        flash(_("Saved."), "good")
        return redirect(record_url(made[0].id))
    return form_page(_l("Take a batch off the shelf"), form, page_url("store_removals.index_view"))


# --- a batch that was stopped --------------------------------------------------------------------------------


def stopped_page(batch_id: str) -> ResponseReturnValue:
    """Show all there is of a batch: in stock, on its way, with customers."""
    batch = fetch(products.Batch, batch_id)
    require(VIEW, batch.unit_id)
    rows = stopping.lots_of(batch.id)
    buyers = stopping.buyers([one.id for one in rows])
    return render_template(
        "store/stopped.html",
        batch=batch,
        name=goods.names_of([batch.model_id]).get(batch.model_id, ""),
        lots=rows,
        state=lambda lot: label_of(values.LOT_STATES, lot.state),
        coming=stopping.coming(batch.unit_id, batch.model_id, batch.number),
        buyers=buyers,
        sold=sum(one.pieces for one in buyers),
        here=sum(one.stock for one in rows),
        names_shown=trace.names_shown(batch.unit_id),
        issue_kinds=dict(values.ISSUE_KINDS),
        lot_url=lot_url,
        record_url=record_url,
        customer_url=lambda key: page_url("customers.details_view", id=key),
        batch_url=page_url("products_batch.details_view", id=batch.id),
    )

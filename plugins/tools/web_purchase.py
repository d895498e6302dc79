"""Pages of purchase plans, of what arrives, of stock and of a month's statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    AppError,
    Field,
    NotAllowed,
    NotFound,
    Record,
    fetch,
    local_day,
    may,
    require,
    session,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url, went_through

from . import holders, kinds, parties, purchase, receipts, statistics, stock, values
from .models import Party, Purchase, PurchaseLine, Stock
from .rights import BUY, KEEP, VIEW

YEAR = Field("year", "int", _l("Year"), True, minimum=Decimal(2000), maximum=Decimal(2199))


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both, post = ("GET", "POST"), ("POST",)
    for rule, name, view, methods in (
        ("/purchase/<purchase_id>/line", "purchase_line_new", line_new, both),
        ("/purchase-line/<line_id>", "purchase_line", line_edit, both),
        ("/purchase-line/<line_id>/remove", "purchase_line_remove", line_remove, post),
        ("/purchase-line/<line_id>/receive", "purchase_receive", line_receive, both),
        ("/application/<application_id>/purchase", "application_purchase", from_application, post),
        ("/stock/start", "stock_start", stock_start, both),
        ("/stock/<stock_id>/count", "stock_count", stock_count, both),
        ("/stock/<stock_id>/use", "stock_use", stock_use, both),
        ("/statistics/submit", "statistics_submit", statistics_submit, post),
        ("/statistics/year", "year_draft", year_draft, both),
    ):
        blueprint.add_url_rule(rule, name, view, methods=methods)


def _page(title: Any, form: FieldsForm, back: str, note: Any = "", links: Any = ()) -> ResponseReturnValue:
    page = render_template(
        "tools/purchase_form.html",
        title=title,
        form=form,
        back=back,
        note=note,
        links=links,
        key=request.form.get("key") or uuid7().hex,
    )
    return page, 422 if request.method == "POST" else 200


def _key() -> str:
    return request.form.get("key", "")[:60]


def _record_url(key: int) -> str:
    return page_url("record.page", record_id=key)


# --- lines of a plan -----------------------------------------------------------------------------


def _line_fields(line: PurchaseLine | None) -> list[Field]:
    """Let kinds be chosen from the list; one out of use stays choosable where the line has it."""
    choices = list(kinds.kind_choices(g.unit.id))
    if line is not None and str(line.kind_id) not in {key for key, _name in choices}:
        choices.append((str(line.kind_id), kinds.kind_label(line.kind)))
    first, *rest = purchase.LINE_FIELDS
    return [replace(first, kind="choice", choices=choices), *rest]


def _plan(purchase_id: object, permission: str) -> Purchase:
    found = fetch(Purchase, purchase_id)
    if not may(VIEW, found.unit_id):
        raise NotFound()
    require(permission, found.unit_id)
    return found


def _line(line_id: str, permission: str) -> PurchaseLine:
    found = fetch(PurchaseLine, line_id)
    _plan(found.purchase_id, permission)
    return found


def line_new(purchase_id: str) -> ResponseReturnValue:
    """Add a line to a draft."""
    plan = _plan(purchase_id, BUY)
    form = form_from_fields(_line_fields(None), timezone=g.unit.timezone)
    if went_through(form, lambda: purchase.save_line(plan.id, form.cleaned)):
        flash(_("Saved."), "good")
        return redirect(_record_url(plan.id))
    return _page(_l("Add a line"), form, _record_url(plan.id), plan.record.number)


def line_edit(line_id: str) -> ResponseReturnValue:
    """Change a line of a draft."""
    line = _line(line_id, BUY)
    first = {one.name: getattr(line, one.name, None) for one in purchase.LINE_FIELDS}
    form = form_from_fields(_line_fields(line), {**first, "kind": str(line.kind_id)}, timezone=g.unit.timezone)
    plan_id = line.purchase_id
    if went_through(form, lambda: purchase.save_line(plan_id, form.cleaned, line.id)):
        flash(_("Saved."), "good")
        return redirect(_record_url(plan_id))
    return _page(_l("Change the line"), form, _record_url(plan_id), kinds.kind_label(line.kind))


def line_remove(line_id: str) -> ResponseReturnValue:
    """Take a line out of a draft."""
    line = _line(line_id, BUY)
    plan_id = line.purchase_id
    _flashed(lambda: purchase.remove_line(plan_id, line.id))
    return redirect(_record_url(plan_id))


def _flashed(call: Callable[[], Any]) -> Any:
    """Run a service that has no form; what it refuses is said on the next page."""
    try:
        with transaction():
            found = call()
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        texts = bad.texts() if hasattr(bad, "texts") else [bad.title]
        flash(" ".join(str(one) for one in texts), "bad")
        return None
    flash(_("Saved."), "good")
    return found


def line_receive(line_id: str) -> ResponseReturnValue:
    """Take in what came of a line."""
    line = _line(line_id, KEEP)
    plan_id, rest = line.purchase_id, line.quantity - line.received
    fields = [replace(receipts.FIELDS[0], kind="choice", choices=holders.store_choices(g.unit.id))]
    more = receipts.FIELDS[1:]
    fields += more[:1] if line.kind.category == values.CONSUMABLE else more
    first = {"quantity": rest, "price": line.price, "model": line.what}
    form = form_from_fields(fields, first, timezone=g.unit.timezone)
    if went_through(form, lambda: receipts.receive(plan_id, line.id, form.cleaned, key=_key())):
        flash(_("Saved."), "good")
        return redirect(_record_url(plan_id))
    note = _(
        "%(kind)s: %(rest)s of %(whole)s are still to come",
        kind=kinds.kind_label(line.kind),
        rest=rest,
        whole=line.quantity,
    )
    return _page(_l("Receive"), form, _record_url(plan_id), note)


def from_application(application_id: str) -> ResponseReturnValue:
    """Draft the plan of a granted application."""
    record = fetch(Record, application_id)
    made = _flashed(lambda: purchase.from_application(record.id))
    return redirect(_record_url(made.id if made is not None else record.id))


# --- stock ---------------------------------------------------------------------------------------


def stock_start() -> ResponseReturnValue:
    """Enter what there is at the start."""
    require(KEEP, g.unit.id)
    party, kind, *rest = stock.USE_FIELDS
    fields = [
        replace(party, kind="choice", choices=_holders()),
        replace(kind, kind="choice", choices=kinds.kind_choices(g.unit.id, counted=True)),
        *rest,
    ]
    form = form_from_fields(fields, timezone=g.unit.timezone)
    if went_through(form, lambda: stock.start(g.unit.id, form.cleaned, key=_key())):
        flash(_("Saved."), "good")
        return redirect(page_url("tools_stock.index_view"))
    return _page(_l("Enter a value at the start"), form, page_url("tools_stock.index_view"))


def _holders() -> list[tuple[str, Any]]:
    """Stores first, then the people who hold or held something."""
    people = select(Party).where(Party.unit_id == g.unit.id, Party.kind == values.PERSON, Party.active)
    found = session().scalars(people.options(joinedload(Party.user)).order_by(Party.name)).all()
    return [*holders.store_choices(g.unit.id), *((str(one.id), parties.party_name(one)) for one in found)]


def _stock(stock_id: str) -> Stock:
    wanted: Any = select(Stock).options(joinedload(Stock.party), joinedload(Stock.kind))
    row = fetch(Stock, stock_id, query=wanted)
    if not may(VIEW, row.unit_id):
        raise NotFound()
    require(KEEP, row.unit_id)
    return row


def stock_count(stock_id: str) -> ResponseReturnValue:
    """Enter how much was counted of a quantity."""
    row = _stock(stock_id)
    about = {"party": row.party_id, "kind": row.kind_id}
    form = form_from_fields(stock.COUNT_FIELDS[2:], {"counted": row.quantity}, timezone=g.unit.timezone)
    if went_through(form, lambda: stock.count(row.unit_id, {**form.cleaned, **about}, key=_key())):
        flash(_("Saved."), "good")
        return redirect(page_url("tools_stock.index_view"))
    links = [(url_for("tools.stock_use", stock_id=row.id), _l("Enter what was used up"))]
    return _page(_l("Enter what was counted"), form, page_url("tools_stock.index_view"), _about(row), links)


def stock_use(stock_id: str) -> ResponseReturnValue:
    """Enter that a quantity was used up."""
    row = _stock(stock_id)
    about = {"party": row.party_id, "kind": row.kind_id}
    form = form_from_fields(stock.USE_FIELDS[2:], timezone=g.unit.timezone)
    if went_through(form, lambda: stock.use_up(row.unit_id, {**form.cleaned, **about}, key=_key())):
        flash(_("Saved."), "good")
        return redirect(page_url("tools_stock.index_view"))
    return _page(_l("Enter what was used up"), form, page_url("tools_stock.index_view"), _about(row))


def _about(row: Stock) -> str:
    return str(
        _(
            "%(kind)s with %(holder)s: %(quantity)s",
            kind=kinds.kind_label(row.kind),
            holder=parties.party_name(row.party),
            quantity=stock.plain_number(row.quantity),
        )
    )


# --- statistics ----------------------------------------------------------------------------------


def statistics_submit() -> ResponseReturnValue:
    """Report a month's losses and wear to the manager."""
    month = request.form.get("month", "")
    back = page_url("tools_statistics.index_view", month=month)
    found: list[Record | None] = []
    try:
        with transaction():
            found.append(statistics.submit(g.unit.id, month))
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        texts = bad.texts() if hasattr(bad, "texts") else [bad.title]
        flash(" ".join(str(one) for one in texts), "bad")
        return redirect(back)
    made = found[0]
    if made is None:
        flash(_("Nothing is missing: there is nothing to buy."), "good")
        return redirect(back)
    flash(_("Reported; the purchase plan is drafted."), "good")
    return redirect(_record_url(made.id))


def year_draft() -> ResponseReturnValue:
    """Draft the plan of a year from what the last twelve months took."""
    require(BUY, g.unit.id)
    form = form_from_fields([YEAR], {"year": local_day(g.unit.id).year + 1}, timezone=g.unit.timezone)
    made: list[Record] = []
    if went_through(form, lambda: made.append(statistics.draft_year(g.unit.id, form.cleaned["year"]))):
        flash(_("Saved."), "good")
        return redirect(_record_url(made[0].id))
    note = _("What is missing, and what the last twelve months took, is proposed; the draft can be changed.")
    return _page(_l("Draft the plan of a year"), form, page_url("tools_statistics.index_view"), note)

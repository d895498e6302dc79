"""Pages of prices through time, of the price list of a day, and of stock counts."""

from __future__ import annotations

from datetime import date
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
    Record,
    local_day,
    may,
    perform,
    require,
    transaction,
    uuid7,
)
from core.sdk_web import form_from_fields, page_url, went_through

from . import goods, prices, stock_counts, values
from .models import StockCount
from .rights import PRICE, STOCK, VIEW
from .screens_prices import as_choice, in_force_of, place_choices, standing_of

SIGN, LINE = "sign", "line"


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/store/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/price/<model_id>", "price_history", price_history)
    blueprint.add_url_rule("/price-list", "price_list", price_list)
    blueprint.add_url_rule("/count/new", "count_new", count_new, methods=both)
    blueprint.add_url_rule("/count/<count_id>", "count", count, methods=both)
    blueprint.add_url_rule("/count/<count_id>/reason/<line_id>", "count_reason", count_reason, methods=both)


# --- prices ------------------------------------------------------------------------------------------


def price_history(model_id: str) -> str:
    """Show the prices of a product, past, present and to come."""
    require(VIEW, g.unit.id)
    model = goods.model_of(g.unit.id, model_id)
    rows = prices.history(g.unit.id, model.id)
    g.store_prices_now = in_force_of(rows)
    return render_template(
        "store/price_history.html",
        title=f"{model.code} {model.name}",
        rows=[(row, standing_of(row)) for row in rows],
        change_url=lambda row: page_url("record.page", record_id=row.change_id),
        propose_url=url_for("store_price_changes.create_view") if may(PRICE, g.unit.id) else "",
    )


def price_list() -> str:
    """Show the public price list of a day (``day``, else today), as it hangs in the store."""
    require(VIEW, g.unit.id)
    asked, problem = request.args.get("day", "").strip(), ""
    day = local_day(g.unit.id)
    try:
        day = date.fromisoformat(asked) if asked else day
    except ValueError:
        problem = _("This is not a day such as 2026-11-30")
    return render_template(
        "store/price_list.html",
        day=day,
        problem=problem,
        rows=prices.price_list(g.unit.id, day),
        most=prices.MOST_LINES,
        unit=g.unit,
    )


# --- stock counts --------------------------------------------------------------------------------------


def count_new() -> ResponseReturnValue:
    """Begin a count, or go on with the one that is under way."""
    require(STOCK, g.unit.id)
    fields = [as_choice(one, place_choices(g.unit.id)) for one in stock_counts.FIELDS]
    form = form_from_fields(fields, timezone=g.unit.timezone)
    key, found = request.form.get("key", "")[:60], list[Record]()
    if went_through(form, lambda: found.append(stock_counts.begin(g.unit.id, form.cleaned, key=key))):
        return redirect(url_for("store.count", count_id=found[0].id))
    page = render_template(
        "store/supply_form.html",
        title=_("Begin a stock count"),
        form=form,
        back=url_for("store_counts.index_view"),
        note=_("Goods may go on being sold meanwhile: what moves after a batch was counted is no difference."),
        key=key or uuid7().hex,
    )
    return page, 422 if request.method == "POST" else 200


def count(count_id: str) -> ResponseReturnValue:
    """Show a count under way and take one scan or one press of a button; once signed, its record shows it."""
    require(STOCK, g.unit.id)
    found = stock_counts.get(count_id)
    if found.record.state != values.COUNTING:
        return redirect(page_url("record.page", record_id=found.id))
    if request.method != "POST":
        return _page(found)
    if request.form.get("do") == SIGN:
        return _sign(found)
    errors: dict[str, Any] = {}
    said: Any = ""
    try:
        with transaction():
            said = _counted(found)
    except InvalidData as bad:
        errors = dict(bad.errors)
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        errors = {"code": list(bad.texts())}
    return _page(found, errors, said, 422 if errors else 200)


def _counted(found: StockCount) -> Any:
    """Enter a scan, or the number typed beside a line (``do`` is ``line ID``); return what there is to tell."""
    name, _space, line_id = request.form.get("do", "").partition(" ")
    if name == LINE:
        given = request.form.get(f"counted-{line_id}"), request.form.get(f"reason-{line_id}", "")
        line = stock_counts.count_line(found.id, line_id, *given)
    else:
        raw = {one.name: request.form.get(one.name, "") for one in stock_counts.LINE_FIELDS}
        line = stock_counts.count_one(found.id, raw)
    if line.counted == line.expected:
        return _l("%(count)d pieces, as expected.", count=line.counted)
    return _l("%(count)d pieces; %(expected)d were expected.", count=line.counted, expected=line.expected)


def _sign(found: StockCount) -> ResponseReturnValue:
    raw = {"rest_missing": bool(request.form.get("rest_missing")), "note": request.form.get("sign_note", "")}
    try:
        perform(found.id, "sign", raw, key=request.form.get("key", "")[:60])
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        return _page(found, {"sign": list(bad.texts())}, status=bad.status)
    flash(_("Counted. Differences need a reason and somebody's agreement before they are booked."), "good")
    return redirect(page_url("record.page", record_id=found.id))


def count_reason(count_id: str, line_id: str) -> ResponseReturnValue:
    """Say why a batch of a signed count differs."""
    require(STOCK, g.unit.id)
    found = stock_counts.get(count_id)
    line = stock_counts.line(found.id, line_id)
    form = form_from_fields([stock_counts.REASON], {"reason": line.reason}, timezone=g.unit.timezone)
    back = page_url("record.page", record_id=found.id)
    if went_through(form, lambda: stock_counts.explain(found.id, line.id, form.cleaned["reason"])):
        flash(_("Saved."), "good")
        return redirect(back)
    page = render_template(
        "store/supply_form.html",
        title=_("Reason of the difference"),
        form=form,
        back=back,
        note=_("Expected: %(expected)d, counted: %(counted)d", expected=line.expected, counted=line.counted or 0),
        key=uuid7().hex,
    )
    return page, 422 if request.method == "POST" else 200


def _page(
    found: StockCount, errors: dict[str, Any] | None = None, said: Any = "", status: int = 200
) -> ResponseReturnValue:
    whole, done, differing = stock_counts.progress([found.id]).get(found.id, (0, 0, 0))
    page = render_template(
        "store/count.html",
        count=found,
        errors=errors or {},
        said=said,
        whole=whole,
        done=done,
        left=whole - done,
        differing=differing,
        rest=stock_counts.still_to_count(found.id),
        different=stock_counts.different(found.id),
        most=stock_counts.MOST_SHOWN,
        key=uuid7().hex,
    )
    return page, status

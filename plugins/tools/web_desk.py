"""The keeper's desk: one page with one scan box, a list that grows with every scan, and two ways to hand over.

The list lies in the form itself, so the page works without scripts and two desks never mix; with ``desk.js`` a scan
does not reload the page. What is offered is accepted on ``web_accept``'s page: here or on their phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, abort, flash, g, redirect, render_template, request, url_for
from flask import session as browser
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import (
    AppError,
    Field,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    current_scope,
    read_id,
    scan,
    transaction,
    uuid7,
)
from core.sdk_web import FieldsForm, form_from_fields, page_url

from . import desk, handovers, parties, stock, values, web_accept
from .models import Party
from .rights import KEEP

CONDITIONS = values.CONDITIONS
LAST_STORE = "tools_store"
DUE = Field("due_at", "moment", _l("Back by"))
PURPOSE = Field("purpose", "text", _l("Purpose or note"), max_length=300)
# What the page's buttons say (``do``): the first one of the form answers Enter, which a scan gun sends.
ADD, PHOTO, PART, FILL, EMPTY, OFFER, SIGN = "add", "photo", "part", "fill", "empty", "offer", "sign"


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/desk/", "desk", show, methods=both, defaults={"mode": desk.ISSUE})
    blueprint.add_url_rule("/desk/<mode>", "desk_mode", show, methods=both)
    web_accept.add_routes(blueprint)


def require_here(permission: str) -> None:
    """Ask for a permission in the present unit.

    Raises:
        NotAllowed: it is not held.
    """
    if not current_scope().may(permission, g.unit.id):
        raise NotAllowed(permission)


def show(mode: str) -> ResponseReturnValue:
    """Show the desk, take one scan or one press of a button, or hand over."""
    require_here(KEEP)
    found = desk.mode_of(mode)
    if found is None:
        abort(404)
    basket = _basket(found)
    if request.method != "POST":
        return _page(basket, _form_of(basket))
    return _pressed(basket)


def _pressed(basket: desk.Basket) -> ResponseReturnValue:
    what = request.form.get("do", ADD)
    if what in (OFFER, SIGN):
        return _hand_over(basket, form_from_fields(_fields(basket), timezone=g.unit.timezone), what)
    notes: list[tuple[str, Any]] = []
    errors: dict[str, list[Any]] = {}
    try:
        notes = _change(basket, what)
    except InvalidData as bad:
        errors = bad.errors
    return _page(basket, _form_of(basket), errors, notes)


def _change(basket: desk.Basket, what: str) -> list[tuple[str, Any]]:
    """Do what a button says to the list; return what there is to tell, as (tone, text)."""
    if what.startswith("drop "):
        basket.drop(what.removeprefix("drop "))
    elif what == EMPTY:
        basket.tool_ids, basket.parts, basket.receiver = [], {}, ""
    elif what == PART:
        desk.add_part(basket, read_id(request.form.get("part", "")), _number(request.form.get("quantity", "")))
    elif what == FILL:
        return _filled(basket)
    elif what == PHOTO:
        return [("good", _added(basket, text)) for text in _codes_of_photo()]
    elif request.form.get("scan", "").strip():
        return [("good", _added(basket, request.form["scan"]))]
    return []


def _added(basket: desk.Basket, text: str) -> Any:
    tool = desk.add(basket, text)
    return _l("%(tool)s is on the list.", tool=f"{tool.code} {tool.name}")


def _filled(basket: desk.Basket) -> list[tuple[str, Any]]:
    before = len(basket.tool_ids) + len(basket.parts)
    short = desk.fill(basket, read_id(request.form.get("kit", "")))
    told: list[tuple[str, Any]] = []
    if short:
        told.append(("warn", _l("Not enough in the store: %(kinds)s", kinds="、".join(short))))
    if not short and len(basket.tool_ids) + len(basket.parts) == before:
        told.append(("info", _l("Nothing is missing: they hold the whole set.")))
    return told


def _codes_of_photo() -> list[str]:
    sent = request.files.get("photo")
    if sent is None or not sent.filename:
        raise InvalidData({"photo": _l("Choose or take a photo first.")})
    codes = scan.read_photo(sent.stream)
    if not codes:
        raise InvalidData({"photo": _l("No code was found in the photo.")})
    return [one.text for one in codes]


# --- what the form holds --------------------------------------------------------------------------


def _basket(mode: desk.Mode) -> desk.Basket:
    """Read the basket from the form; the store is the first one unless chosen."""
    given = request.form
    stores = parties.stores(g.unit.id)
    chosen = _chosen_store(stores)
    basket = desk.Basket(g.unit.id, mode, chosen, (given.get("receiver") or request.args.get("to", ""))[:30])
    if basket.receiver not in dict(desk.receivers(g.unit.id, mode)):
        basket.receiver = ""
    basket.tool_ids = _ids("tool")
    codes = dict(CONDITIONS)
    seen = {one: given.get(f"condition-{one}", "") for one in basket.tool_ids}
    basket.conditions = {one: code for one, code in seen.items() if code in codes}
    basket.parts = {one: amount for one in _ids("parts") if (amount := _number(given.get(f"parts-{one}", "")))}
    return basket


def _chosen_store(stores: Sequence[Party]) -> int | None:
    """Return the store chosen in the form, else the one last worked in here, one's own, or any."""
    known = {store.id for store in stores}
    for raw in (request.form.get("store", ""), str(browser.get(LAST_STORE, ""))):
        if (one := read_id(raw)) in known:
            browser[LAST_STORE] = str(one)
            return one
    own = [store.id for store in stores if store.user_id == g.actor.id]
    return next(iter([*own, *(store.id for store in stores)]), None)


def _ids(name: str) -> list[int]:
    found = [read_id(raw) for raw in request.form.getlist(name)[: desk.MOST]]
    return list(dict.fromkeys(one for one in found if one is not None))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip()[:12])
    except InvalidOperation:
        return None
    # "1e99999999" is short to write, but as a quantity it has a hundred million digits.
    return number if number.is_finite() and number > 0 and -3 < number.adjusted() < 7 else None


def _fields(basket: desk.Basket) -> Sequence[Field]:
    mode, found = basket.mode, []
    stores = parties.stores(g.unit.id)
    if len(stores) > 1:
        label = _l("Into the store") if mode.takes_back else _l("From the store")
        found.append(Field("store", "choice", label, choices=[(str(one.id), one.name) for one in stores]))
    if mode.receivers or mode.takes_back:
        label = _l("Brought back by") if mode.takes_back else _l("Receives")
        help_ = (
            _l("The first tool scanned says who; choose it only to begin with small parts")
            if mode.takes_back
            else ""
        )
        found.append(Field("receiver", "choice", label, choices=desk.receivers(g.unit.id, mode), help=help_))
    if mode.with_due:
        found.append(DUE)
    return [*found, PURPOSE]


def _form_of(basket: desk.Basket) -> FieldsForm:
    """Draw the fields again as the basket has them now: a scan may have chosen the store or the holder."""
    given = form_from_fields(_fields(basket), timezone=g.unit.timezone)
    for one, drawn in given.visible():
        if one.name == "store":
            drawn.data = str(basket.store_id or "")
        elif one.name == "receiver":
            drawn.data = basket.receiver
    return given


# --- handing over --------------------------------------------------------------------------------


def _hand_over(basket: desk.Basket, form: FieldsForm, what: str) -> ResponseReturnValue:
    """Offer what is on the list; with ``sign`` the page where they accept it here follows."""
    errors: dict[str, list[Any]] = {}
    if basket.empty:
        errors["scan"] = [_l("Scan something first: the list is empty")]
    elif form.validate_on_submit():
        try:
            made = _offer(basket, form)
        except (NotFound, NotAllowed):
            raise
        except InvalidData as bad:
            errors = _beside(form, bad)
        except AppError as bad:
            form.problems += bad.texts()
        else:
            return _offered(basket, made, what)
    return _page(basket, form, errors, status=422)


def _beside(form: FieldsForm, bad: InvalidData) -> dict[str, list[Any]]:
    """Put the messages of the fields of the form beside them; return the others, by name."""
    own = {one.name for one in form.fields_}
    form.show(InvalidData({name: texts for name, texts in bad.errors.items() if name in own}))
    return {
        name if name in ("scan", "part") else "list": texts for name, texts in bad.errors.items() if name not in own
    }


def _offer(basket: desk.Basket, form: FieldsForm) -> Record:
    with transaction():
        kind, giver, taker = desk.ends(basket)
        due_at = form.cleaned.get("due_at")
        raw = {
            "kind": kind,
            "giver_id": giver.id,
            "taker_id": taker.id,
            "tools": basket.tool_ids,
            "parts": [(one, str(quantity)) for one, quantity in basket.parts.items()],
            "due_at": due_at.isoformat() if due_at else None,
            "purpose": form.cleaned["purpose"] or "",
            "conditions": basket.conditions,
            "ticks": web_accept.read_ticks(handovers.ticks_wanted(g.unit.id, kind)),
        }
        return handovers.offer(g.unit.id, raw, key=request.form.get("key", "")[:60])


def _offered(basket: desk.Basket, made: Record, what: str) -> ResponseReturnValue:
    mode = basket.mode.code
    if made.state == values.DONE:  # between one's own stores there is nobody left to ask
        flash(_("%(number)s is handed over.", number=made.number), "good")
        return redirect(url_for("tools.desk_mode", mode=mode))
    if what == SIGN:
        return redirect(url_for("tools.accept", record_id=made.id, desk=mode))
    flash(_("%(number)s is offered. They confirm it on their own phone.", number=made.number), "good")
    return redirect(url_for("tools.desk_mode", mode=mode))


# --- the page ------------------------------------------------------------------------------------


def _page(
    basket: desk.Basket,
    form: FieldsForm,
    errors: dict[str, list[Any]] | None = None,
    notes: Sequence[tuple[str, Any]] = (),
    status: int = 200,
) -> ResponseReturnValue:
    mode = basket.mode
    waiting = desk.waiting(g.unit.id, 12)
    names = parties.party_names([party for one in waiting for party in (one.giver, one.taker)])
    modes = [one for one in desk.MODES if one.code != desk.MOVE or len(parties.stores(g.unit.id)) > 1]
    page = render_template(
        "tools/desk.html",
        basket=basket,
        mode=mode,
        modes=modes,
        form=form,
        errors=errors or {},
        notes=notes,
        lines=desk.lines_of(basket),
        parts=desk.parts_of(basket),
        small_parts=desk.small_parts(g.unit.id),
        kits=desk.kits(g.unit.id) if mode.code == desk.KIT else (),
        conditions=CONDITIONS,
        condition_label=dict(CONDITIONS),
        by_paper=mode.kind in (values.REPAIR, values.DISPOSE, values.MOVE),
        waiting=waiting,
        names=names,
        store_url=page_url("tools_store.create_view"),
        party_name=parties.party_name,
        plain=stock.plain_number,
        ticks=handovers.ticks_wanted(g.unit.id, values.RETURN) if mode.takes_back else (),
        kind_label=dict(values.HANDOVER_KINDS),
        key=request.form.get("key") if errors else str(uuid7()),
    )
    return page, status

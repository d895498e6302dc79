"""One's own tools, made for a phone; and the card of a person, for those who may see tools."""

from __future__ import annotations

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
    current_scope,
    fetch,
    may,
    perform,
    pins,
    read_id,
    transaction,
    uuid7,
)
from core.sdk_web import page_url, state_badge

from . import card, handovers, parties, stock, values, web_accept
from .models import Application, Handover, Party
from .prints_handover import LOANS_SUBJECT, PERSON_SUBJECT
from .rights import CLEAR, KEEP, OWN, VIEW

MOST = 100


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    blueprint.add_url_rule("/own", "own", own)
    blueprint.add_url_rule("/own/return", "own_return", own_return, methods=("POST",))
    blueprint.add_url_rule("/own/back/<tool_id>", "own_back", own_back, methods=("POST",))
    blueprint.add_url_rule("/own/lend/<application_id>", "own_lend", own_lend, methods=("POST",))
    blueprint.add_url_rule("/own/used/<tool_id>", "own_used", own_used, methods=("POST",))
    blueprint.add_url_rule("/person/<user_id>", "card", person)


def _require(permission: str) -> None:
    if not current_scope().may(permission, g.unit.id):
        raise NotAllowed(permission)


def own() -> ResponseReturnValue:
    """Show what is in one's name, what waits for one's word, and what one can do about it."""
    _require(OWN)
    return _own_page()


def _own_page(errors: dict[str, Any] | None = None, status: int = 200) -> ResponseReturnValue:
    me = g.actor.id
    party = parties.held_as(g.unit.id, me)
    waiting = handovers.waiting_for(me, g.unit.id)
    page = render_template(
        "tools/own.html",
        held=card.held(party),
        parts=stock.of_party(party.id) if party else (),
        waiting=[(one, _about(one, me)) for one in waiting],
        applications=card.applications_of(g.unit.id, me, 10),
        incidents=card.incidents_of(g.unit.id, me, 10),
        stores=parties.stores(g.unit.id),
        state=state_badge,
        plain=stock.plain_number,
        kind_label=dict(values.HANDOVER_KINDS),
        application_label=dict(values.APPLICATION_KINDS),
        incident_label=dict(values.INCIDENT_KINDS),
        has_pin=bool(pins.with_pin([me])),
        pin_url=page_url("auth.pin_page"),
        on_loan=values.ON_LOAN,
        party_name=parties.party_name,
        may_lend=lambda one: one.kind == values.A_LEND and one.record.state == values.GRANTED and one.tool_id,
        apply_url=page_url("tools.application_new"),
        apply_for=lambda tool: page_url("tools.application_new", tool=tool.code),
        prints=_prints(party),
        incident_url=lambda one: url_for("tools.incident", record_id=one.id),
        report_url=lambda tool: page_url("tools.incident_new", tool=tool.id),
        errors=errors or {},
        key=str(uuid7()),
    )
    return page, status


def _about(handover: Handover, user_id: int) -> str:
    """Name the other side of a hand-over, as seen by one of the two."""
    mine_is_taker = handover.taker.user_id == user_id and handover.taker_at is None
    return str(parties.party_name(handover.giver if mine_is_taker else handover.taker))


def own_return() -> ResponseReturnValue:
    """Offer the chosen tools back to a store; the keeper looks at them and takes them in."""
    _require(OWN)
    ids = [one for raw in request.form.getlist("tool")[:MOST] if (one := read_id(raw)) is not None]
    if not ids:
        return _own_page({"tools": [_l("Choose the tools you bring back")]}, 422)
    try:
        record = _offer_back(ids)
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        return _own_page({"tools": bad.texts()}, bad.status)
    text = _(
        "%(number)s: bring them to the store; the keeper looks at them and takes them in.", number=record.number
    )
    flash(text, "good")
    return redirect(url_for("tools.own"))


def _offer_back(tool_ids: list[int]) -> Record:
    stores = parties.stores(g.unit.id)
    chosen = read_id(request.form.get("store", "")) or (stores[0].id if stores else None)
    if chosen not in {store.id for store in stores}:
        raise InvalidData({"store": _l("Choose the tool store")})
    with transaction():
        giver = parties.person(g.unit.id, g.actor.id)
        raw = {"kind": values.RETURN, "giver_id": giver.id, "taker_id": chosen, "tools": tool_ids}
        return handovers.offer(g.unit.id, raw, key=request.form.get("key", "")[:60])


def own_back(tool_id: str) -> ResponseReturnValue:
    """Offer a tool back to the colleague who lent it on."""
    _require(OWN)
    number = read_id(tool_id) or 0
    lender = card.lenders([number]).get(number)
    if lender is None:
        raise NotFound()
    raw = {"kind": values.RETURN, "giver_user_id": g.actor.id, "taker_id": lender.id, "tools": [number]}
    return _offered(raw)


def own_lend(application_id: str) -> ResponseReturnValue:
    """Offer a tool to a colleague, as the application to lend it on was granted (R33-2.2, R35-4.6)."""
    _require(OWN)
    wanted = fetch(Application, application_id)
    lendable = wanted.user_id == g.actor.id and wanted.kind == values.A_LEND and wanted.tool_id is not None
    if not lendable:
        raise NotFound()
    raw = {
        "kind": values.LEND,
        "giver_user_id": g.actor.id,
        "taker_user_id": wanted.to_user_id,
        "tools": [wanted.tool_id],
        "due_at": wanted.due_at.isoformat() if wanted.due_at else None,
        "application_id": wanted.id,
    }
    return _offered(raw)


def _offered(raw: dict[str, Any]) -> ResponseReturnValue:
    """Offer a hand-over between colleagues and come back to one's own page."""
    try:
        with transaction():
            record = handovers.offer(g.unit.id, raw, key=request.form.get("key", "")[:60])
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        return _own_page({"tools": bad.texts()}, bad.status)
    text = _("%(number)s is offered. They confirm it on their own phone.", number=record.number)
    flash(text, "good")
    return redirect(url_for("tools.own"))


def own_used(tool_id: str) -> ResponseReturnValue:
    """Enter that the use of a tool is over; it is to be cleaned and brought back the same day (R32-4.3)."""
    _require(OWN)
    party = parties.held_as(g.unit.id, g.actor.id)
    mine = {str(one.tool.id): one.tool for one in card.held(party)}
    if tool_id not in mine:
        raise NotFound()
    try:
        with transaction():
            perform(mine[tool_id].id, "end_use", {})
    except (NotFound, NotAllowed):
        raise
    except AppError as bad:
        flash(_("; ").join(str(one) for one in bad.texts()), "bad")
    else:
        flash(_("Use ended. Clean it and bring it back to its place today."), "good")
    return redirect(url_for("tools.own"))


# --- a person's card -----------------------------------------------------------------------------


def person(user_id: str) -> ResponseReturnValue:
    """Show what a person holds and held, what waits for them, what they may use, asked for and answer for."""
    _require(VIEW)
    number = read_id(user_id)
    if number is None:
        raise NotFound()
    found = card.of_person(g.unit.id, number)
    keeps = current_scope().may(KEEP, g.unit.id)
    return render_template(
        "tools/card.html",
        card=found,
        waiting=[(one, _about(one, number)) for one in found.waiting],
        has_pin=bool(pins.with_pin([number])),
        keeps=keeps,
        best_way=lambda one: web_accept.best_way(one, g.actor.id),
        desk_url=url_for("tools.desk_mode", mode="issue", to=f"user:{number}") if keeps else "",
        back_url=url_for("tools.desk_mode", mode="return", to=f"user:{number}") if keeps else "",
        prints=_prints(found.party),
        clear_url=page_url("tools.clearance_new", user=number) if may(CLEAR, g.unit.id) else "",
        state=state_badge,
        plain=stock.plain_number,
        kind_label=dict(values.HANDOVER_KINDS),
        permit_label=dict(values.PERMITS),
        condition_label=dict(values.CONDITIONS),
        application_label=dict(values.APPLICATION_KINDS),
        incident_label=dict(values.INCIDENT_KINDS),
    )


def _prints(party: Party | None) -> list[tuple[Any, str]]:
    """Return what can be printed of somebody's tools, as (label, page): 工具领用清单, 借用记录."""
    if party is None:
        return []
    forms = ((_l("Issue list"), PERSON_SUBJECT), (_l("Record of loans"), LOANS_SUBJECT))
    return [(label, page_url("printing.index", subject=subject, id=party.id)) for label, subject in forms]

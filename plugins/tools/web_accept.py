"""Saying yes or no to a hand-over: the person on their own device, or on the keeper's with PIN and signature.

One page for all of it; what it asks for follows from who looks and whose word is missing. ``refused`` lines stay
where they were. A PIN is proved before any transaction begins, so wrong tries count whatever comes after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    AppError,
    InvalidData,
    NotAllowed,
    NotFound,
    Record,
    Refusal,
    Refused,
    may,
    pins,
    qr_svg,
    read_id,
    release,
    session,
    transaction,
    uuid7,
)
from core.sdk_web import back_to, state_badge

from . import desk, handovers, parties, sides, stock, values
from .models import Handover, HandoverLine, Party, Tool
from .rights import KEEP
from .values import OFFERED

# How the page says yes for a side: as oneself, for one's store, by somebody's PIN, by a paper; or not at all.
OWN_WAY, STORE_WAY, PIN_WAY, PAPER_WAY, NO_WAY = "own", "store", "pin", "paper", ""
_RANK = (OWN_WAY, STORE_WAY, PIN_WAY, PAPER_WAY, NO_WAY)
MOST_BESIDES = 20
ACCEPT, REFUSE, WITHDRAW = "accept", "refuse", "withdraw"
CONDITION_KINDS = (values.RETURN, values.REPAIRED)


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/tools/``)."""
    blueprint.add_url_rule("/accept/<record_id>", "accept", accept, methods=("GET", "POST"))
    blueprint.add_url_rule("/accept/<record_id>/qr", "accept_qr", accept_qr)


@dataclass(frozen=True)
class Seen:
    """A hand-over as the page shows it: the side whose word is asked for now, and the way it can be said here."""

    record: Record
    handover: Handover
    lines: Sequence[HandoverLine]
    side: str
    way: str
    others: Sequence[str]
    # What waits for the same person besides: one PIN and one signature may answer it all.
    besides: Sequence[Handover] = ()

    @property
    def party(self) -> Party:
        return sides.party_of(self.handover, self.side)

    @property
    def open_lines(self) -> Sequence[HandoverLine]:
        return [line for line in self.lines if line.state == values.OPEN_LINE]

    @property
    def ticks(self) -> Sequence[tuple[str, str, Any]]:
        """What the receiver reads and ticks; the giver has nothing to tick."""
        if self.way == NO_WAY:
            return ()
        taking = [self.handover.kind] if self.side == sides.TAKER else []
        taking += [one.kind for one in self.besides if _side_of(one, self.party.user_id) == sides.TAKER]
        found = (item for kind in taking for item in handovers.ticks_wanted(self.record.unit_id, kind))
        return list({(field, code): (field, code, words) for field, code, words in found}.values())


def _side_of(handover: Handover, user_id: int | None) -> str:
    """Return the side of a hand-over that waits for a person's word."""
    mine = handover.taker_at is None and sides.speaks_for(handover.taker, user_id)
    return sides.TAKER if mine else sides.GIVER


def way_of(party: Party, actor_id: int | None) -> str:
    """Return how the actor can say yes for a party, here and now ('' if they cannot)."""
    if sides.speaks_for(party, actor_id):
        return OWN_WAY
    if not may(KEEP, party.unit_id):
        return NO_WAY
    if party.kind == values.STORE:
        return STORE_WAY
    return PIN_WAY if party.kind in sides.PEOPLE and party.user_id is not None else PAPER_WAY


def missing_sides(handover: Handover) -> list[str]:
    """Return the sides that have not said yes yet."""
    return [one for one in sides.SIDES if sides.said(handover, one) is None]


def best_way(handover: Handover, actor_id: int | None) -> str:
    """Return the nearest way in which the actor can say yes for a side that is missing ('' if there is none)."""
    ways = [way_of(sides.party_of(handover, one), actor_id) for one in missing_sides(handover)]
    return min(ways, key=_RANK.index, default=NO_WAY)


def _load(record_id: str) -> Seen:
    record = handovers.fetch_handover(record_id)
    wanted = select(Handover).where(Handover.id == record.id)
    handover = session().scalars(wanted.options(joinedload(Handover.giver), joinedload(Handover.taker))).one()
    mine = select(HandoverLine).where(HandoverLine.handover_id == record.id).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool).joinedload(Tool.kind), joinedload(HandoverLine.kind))
    lines = session().scalars(mine.options(*whole)).all()
    missing = missing_sides(handover) if record.state == OFFERED else []
    actor = g.actor.id if g.actor else None
    ways = {one: way_of(sides.party_of(handover, one), actor) for one in missing}
    asked = request.values.get("side", "")
    side = asked if asked in ways else min(missing, key=lambda one: _RANK.index(ways[one]), default="")
    way = ways.get(side, NO_WAY)
    if way == PIN_WAY and _on_paper(sides.party_of(handover, side)):
        way = PAPER_WAY
    others = [one for one in missing if one != side]
    return Seen(record, handover, lines, side, way, others, _besides(handover, side, way))


def _besides(handover: Handover, side: str, way: str) -> Sequence[Handover]:
    """Return the other hand-overs that wait for the person whose word is given here."""
    user_id = sides.party_of(handover, side).user_id if way in (OWN_WAY, PIN_WAY) else None
    if user_id is None:
        return ()
    return [one for one in handovers.waiting_for(user_id, handover.unit_id, MOST_BESIDES) if one.id != handover.id]


def _on_paper(party: Party) -> bool:
    """Another department may have signed a paper instead of typing a PIN; whoever has left can do nothing else."""
    return sides.has_left(party) or (
        party.kind == values.DEPARTMENT and request.values.get("means") == values.ON_PAPER
    )


# --- the page ------------------------------------------------------------------------------------


def accept(record_id: str) -> ResponseReturnValue:
    """Show a hand-over with what is asked of whom, or take their yes or no."""
    seen = _load(record_id)
    if request.method != "POST":
        return _page(seen)
    what = request.form.get("do", ACCEPT)
    try:
        record = {REFUSE: _refuse, WITHDRAW: _withdraw}.get(what, _accept)(seen)
    except (NotFound, NotAllowed):
        raise
    except Refused as bad:
        return _page(_load(record_id), refusals=bad.refusals, status=409)
    except InvalidData as bad:
        return _page(_load(record_id), errors=bad.errors, status=422)
    except AppError as bad:
        return _page(_load(record_id), refusals=[Refusal(bad.code, bad.message)], status=bad.status)
    _tell(record)
    return redirect(_next(seen))


def accept_qr(record_id: str) -> ResponseReturnValue:
    """Draw the QR that leads the person's own phone to this page; there they sign in as themselves."""
    record = handovers.fetch_handover(record_id)
    drawn = qr_svg(url_for("tools.accept", record_id=record.id, _external=True))
    return Response(drawn, mimetype="image/svg+xml", headers={"Cache-Control": "no-store"})


def _accept(seen: Seen) -> Record:
    key, side, refused = seen.record.id, seen.side, _refused_lines(seen)
    given: dict[str, Any] = {
        "line_ids": [line.id for line in seen.open_lines if line.id not in refused],
        "refused": refused,
        "signature": request.form.get("signature", ""),
        "means": values.ON_PAPER if seen.way == PAPER_WAY else "",
        "paper": request.form.get("paper", "").strip()[:120],
        "conditions": _conditions(seen),
        "ticks": read_ticks(seen.ticks),
    }
    proof, sent = _proof(seen), request.form.get("key", "")
    with transaction():
        made = handovers.accept(key, side=side, proof=proof, key=sent[:60], **given)
        for one in _chosen_besides(seen):
            word: dict[str, Any] = {"proof": proof, "signature": given["signature"], "ticks": given["ticks"]}
            theirs = _side_of(one, seen.party.user_id)
            if theirs == sides.GIVER:  # the giver has nothing to tick
                word["ticks"] = None
            _tell(handovers.accept(one.id, side=theirs, key=f"{sent[:38]}-{one.id}" if sent else "", **word))
        return made


def _chosen_besides(seen: Seen) -> Sequence[Handover]:
    chosen = {read_id(one) for one in request.form.getlist("besides")}
    return [one for one in seen.besides if one.id in chosen]


def _refuse(seen: Seen) -> Record:
    key, reason = seen.record.id, request.form.get("reason", "")
    proof = _proof(seen)
    with transaction():
        return handovers.refuse(key, reason, proof=proof, key=request.form.get("key", "")[:60])


def _withdraw(seen: Seen) -> Record:
    with transaction():
        return handovers.withdraw(seen.record.id, request.form.get("reason", ""))


def _proof(seen: Seen) -> pins.Proof | None:
    """Check the PIN where one is asked for.

    Raises:
        InvalidData: under ``pin``: none, wrong, or too many tries.
    """
    if seen.way != PIN_WAY:
        return None
    given = request.form.get("pin", "").strip()
    if not given:
        raise InvalidData({"pin": _l("Please type your PIN")})
    user_id = seen.party.user_id or 0
    release()
    try:
        return pins.prove(user_id, given, request.remote_addr or "")
    except InvalidData:
        raise
    except AppError as locked:
        raise InvalidData({"pin": locked.message}) from locked


def _refused_lines(seen: Seen) -> dict[int, str]:
    """Return the lines that were not ticked, with why.

    Raises:
        InvalidData: under ``line-ID``: a reason is missing.
    """
    taken = {read_id(one) for one in request.form.getlist("take")}
    refused = {
        line.id: (request.form.get(f"reason-{line.id}", "").strip() or request.form.get("reason", "").strip())[:300]
        for line in seen.open_lines
        if line.id not in taken
    }
    without = {f"line-{one}": _l("Please say why") for one, reason in refused.items() if not reason}
    if without:
        raise InvalidData(without)
    return refused


def _conditions(seen: Seen) -> dict[int, str] | None:
    """Return the conditions the receiving store saw, by tool id; None where nobody is asked for them."""
    if not _asks_condition(seen):
        return None
    known = dict(values.CONDITIONS)
    given = {line.tool_id: request.form.get(f"condition-{line.id}", "") for line in seen.open_lines if line.tool_id}
    return {tool_id: code for tool_id, code in given.items() if code in known}


def _asks_condition(seen: Seen) -> bool:
    return seen.side == sides.TAKER and seen.way == STORE_WAY and seen.handover.kind in CONDITION_KINDS


def read_ticks(wanted: Sequence[tuple[str, str, Any]]) -> dict[str, list[str]]:
    """Return the items ticked in the form by field; ``tick_all`` stands for every one of them."""
    ticked = set(request.form.getlist("tick"))
    everything = request.form.get("tick_all") == "1"
    found: dict[str, list[str]] = {}
    for field, code, _words in wanted:
        if everything or f"{field}:{code}" in ticked:
            found.setdefault(field, []).append(code)
    return found


def _tell(record: Record) -> None:
    if record.state == OFFERED:
        flash(
            _("%(number)s: your yes is entered; the other side is still to answer.", number=record.number), "good"
        )
    elif record.state == values.DONE:
        flash(_("%(number)s is handed over.", number=record.number), "good")
    else:
        state = dict(values.HANDOVER_STATES).get(record.state, record.state)
        flash(_("%(number)s: %(state)s", number=record.number, state=state), "info")


def _next(seen: Seen) -> str:
    """Go back to the desk it was signed at, to one's own tools, or to the hand-over."""
    mode = desk.mode_of(request.values.get("desk", ""))
    if mode is not None and may(KEEP, g.unit.id):
        return url_for("tools.desk_mode", mode=mode.code)
    if seen.way == OWN_WAY:
        return url_for("tools.own")
    return back_to(url_for("record.page", record_id=seen.record.id))


def _page(
    seen: Seen,
    errors: Mapping[str, Any] | None = None,
    refusals: Sequence[Refusal] = (),
    status: int = 200,
) -> ResponseReturnValue:
    handover, decided = seen.handover, seen.record.state != OFFERED
    mode = desk.mode_of(request.values.get("desk", ""))
    party = seen.party if seen.side else handover.taker
    keeps = may(KEEP, seen.record.unit_id)
    page = render_template(
        "tools/accept.html",
        seen=seen,
        plain=stock.plain_number,
        record=seen.record,
        handover=handover,
        state=state_badge(seen.record),
        kind=dict(values.HANDOVER_KINDS)[handover.kind],
        giver=parties.party_name(handover.giver),
        taker=parties.party_name(handover.taker),
        who=parties.party_name(party),
        decided=decided,
        ticks=seen.ticks,
        besides=[(one, dict(values.HANDOVER_KINDS)[one.kind]) for one in seen.besides],
        is_return=handover.kind == values.RETURN,
        asks_condition=_asks_condition(seen),
        conditions=values.CONDITIONS,
        condition_label=dict(values.CONDITIONS),
        line_label=dict(values.LINE_STATES),
        no_pin=seen.way == PIN_WAY and not pins.with_pin([party.user_id or 0]),
        may_paper=keeps and party.kind == values.DEPARTMENT and seen.way == PIN_WAY,
        may_withdraw=keeps and not decided,
        mode=mode.code if mode is not None and keeps else "",
        back=url_for("tools.desk_mode", mode=mode.code) if mode is not None and keeps else "",
        errors=errors or {},
        refusals=refusals,
        key=request.form.get("key") if errors else str(uuid7()),
    )
    return page, status

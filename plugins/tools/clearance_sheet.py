"""What is open with a person who leaves or changes post, looked up live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import has_request_context, url_for
from flask_babel import gettext as _
from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    OpenItem,
    Record,
    detail_of,
    open_items_of_leaver,
    session,
)

from . import custody, handover_rows, incidents, parties, stock, values
from .models import Handover, HandoverLine, Incident, Party, Stock, Tool

PLUGIN = "tools"


@dataclass(frozen=True)
class Held:
    """A tool in the person's hands; ``line`` is the open hand-over it stands on, if any."""

    tool: Tool
    line: HandoverLine | None

    @property
    def lost(self) -> bool:
        return self.tool.record.state == values.LOST


@dataclass(frozen=True)
class Sheet:
    """What is open with a person: our own things, and ``others`` as (plugin, item)."""

    tools: Sequence[Held]
    parts: Sequence[Stock]
    handovers: Sequence[Handover]
    incidents: Sequence[Incident]
    others: Sequence[tuple[str, OpenItem]]

    @property
    def ours(self) -> bool:
        """Whether anything of tool custody is open."""
        return bool(self.tools or self.parts or self.handovers or self.incidents)

    @property
    def is_open(self) -> bool:
        return self.ours or bool(self.others)


def sheet_of(unit_id: int, user_id: int) -> Sheet:
    """Return what is open with a person in a unit now. It asks no permission."""
    others = [one for one in open_items_of_leaver(unit_id, user_id) if one[0] != PLUGIN]
    return own_sheet(unit_id, user_id, others)


def sheet(record: Record) -> Sheet:
    """Return what is open with the person of a clearance."""
    return sheet_of(record.unit_id, detail_of(record).user_id)


def own_sheet(unit_id: int, user_id: int, others: Sequence[tuple[str, OpenItem]] = ()) -> Sheet:
    party, answers = parties.held_as(unit_id, user_id), incidents.open_of_person(unit_id, user_id)
    if party is None:
        return Sheet((), (), (), answers, others)
    tools = custody.held_by(party.id)
    lines = handover_rows.open_lines(tool.id for tool in tools)
    held = [Held(tool, lines.get(tool.id)) for tool in tools]
    return Sheet(held, stock.of_party(party.id), _waiting(party), answers, others)


def _waiting(party: Party) -> Sequence[Handover]:
    """Return the hand-overs from or to a person that are not decided."""
    wanted = (
        select(Handover)
        .join(Record, Record.id == Handover.id)
        .where(or_(Handover.giver_id == party.id, Handover.taker_id == party.id))
        .where(Record.state == values.OFFERED)
        .options(joinedload(Handover.giver), joinedload(Handover.taker))
        .order_by(Handover.id)
    )
    return session().scalars(wanted).all()


def open_items(unit_id: int, user_id: int) -> list[OpenItem]:
    """Return what a person still holds or owes (what ``leaving`` answers for this plugin)."""
    found = own_sheet(unit_id, user_id)
    card = url_for("tools.card", user_id=user_id) if has_request_context() else ""
    items = []
    if found.tools:
        items.append(OpenItem(_("%(count)d tools in their hands", count=len(found.tools)), card))
    if found.parts:
        items.append(OpenItem(_("%(count)d kinds of small parts in their hands", count=len(found.parts)), card))
    if found.handovers:
        items.append(OpenItem(_("%(count)d hand-overs that wait for a yes", count=len(found.handovers)), card))
    for one in found.incidents:
        url = url_for("record.page", record_id=one.id) if has_request_context() else ""
        text = _("Not settled: %(number)s, %(tool)s", number=one.record.number, tool=one.tool.code)
        items.append(OpenItem(text, url))
    return items


def lines_of(found: Sheet) -> list[str]:
    """Return a sheet's open items in words, as they are kept when the clearance is closed."""
    return [
        *(f"{one.tool.code} {one.tool.name}" for one in found.tools),
        *(
            f"{one.kind.name} × {stock.plain_number(one.quantity)} {one.kind.measure}".strip()
            for one in found.parts
        ),
        *(one.record.number for one in found.handovers),
        *(f"{one.record.number} {one.tool.code}" for one in found.incidents),
        *(str(item.text) for _plugin, item in found.others),
    ]


def handed(record: Record) -> Sequence[Handover]:
    """Return the hand-overs of a clearance, with parties and lines, the newest first."""
    mine = select(Handover).where(Handover.clearance_id == record.id)
    whole = joinedload(Handover.giver), joinedload(Handover.taker)
    return session().scalars(mine.options(*whole).order_by(Handover.id.desc()).limit(200)).all()

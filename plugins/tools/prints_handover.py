"""Printed forms: a hand-over (交接单), a person's list of tools (工具领用清单), what was borrowed (借用记录)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import aliased, joinedload

from core.sdk import (
    Attachment,
    NotFound,
    PrintForm,
    Record,
    User,
    current_scope,
    detail_of,
    fetch,
    file_path,
    label_of,
    local_day,
    may,
    session,
    unit_facts,
)

from . import custody, kinds, parties, sides, stock, values
from .handover_flow import CODE
from .models import Custody, Handover, HandoverLine, Party, Tool
from .rights import OWN, VIEW

HANDOVER, PERSON, LOANS = "tools.handover", "tools.person", "tools.loans"
# Words of one's own for what is printed: the id is that of a party.
PERSON_SUBJECT, LOANS_SUBJECT = "tools:person", "tools:loans"
MOST_LINES = 1000
LENT = (values.USE, values.LOAN, values.LEND)


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code=HANDOVER,
            title=_l("Hand-over of tools"),
            subject=CODE,
            template="tools/handover.typ",
            data=handover_paper,
            permission=VIEW,
            files=signatures,
        ),
        PrintForm(
            code=PERSON,
            title=_l("List of tools issued to a person"),
            subject=PERSON_SUBJECT,
            template="tools/person.typ",
            data=person_paper,
            permission=OWN,
            find=find_party,
        ),
        PrintForm(
            code=LOANS,
            title=_l("Record of loans"),
            subject=LOANS_SUBJECT,
            template="tools/loans.typ",
            data=loans_paper,
            permission=OWN,
            find=find_party,
        ),
    ]


def find_party(party_id: object) -> Party:
    """Find whose list is printed: one's own, or anybody's with the permission to see tools.

    Raises:
        NotFound: no such party, or not for this actor.
    """
    party = fetch(Party, party_id)
    if may(VIEW, party.unit_id) or sides.speaks_for(party, current_scope().actor_id):
        return party
    raise NotFound()


def _moment(unit_id: int, at: datetime | None) -> str:
    """Write a moment as the unit's clocks show it."""
    return at.astimezone(ZoneInfo(unit_facts(unit_id).timezone)).strftime("%Y-%m-%d %H:%M") if at else ""


def _yuan(amount: Any) -> str:
    return "" if amount is None else f"{amount:,.2f}"


# --- 交接单 --------------------------------------------------------------------------------------


def handover_paper(record: Record) -> dict[str, Any]:
    """Return what a hand-over says on paper: both sides, every line, who said yes when and how.

    Raises:
        NotFound: the record is none.
    """
    detail = detail_of(record)
    if not isinstance(detail, Handover):
        raise NotFound()
    wanted = select(HandoverLine).where(HandoverLine.handover_id == detail.id).order_by(HandoverLine.id)
    whole = (joinedload(HandoverLine.tool), joinedload(HandoverLine.kind))
    lines = session().scalars(wanted.options(*whole).limit(MOST_LINES)).all()
    return {
        "number": record.number,
        "kind": str(label_of(values.HANDOVER_KINDS, detail.kind)),
        "state": str(label_of(values.HANDOVER_STATES, record.state)),
        "due": _moment(record.unit_id, detail.due_at),
        "purpose": detail.purpose,
        "sides": [_side(detail, side) for side in sides.SIDES],
        "lines": [[str(place), *_line(one)] for place, one in enumerate(lines, 1)],
    }


def _line(one: HandoverLine) -> list[str]:
    tool = one.tool
    state = str(label_of(values.LINE_STATES, one.state))
    return [
        tool.code if tool is not None else "",
        f"{tool.name} {tool.model}".strip() if tool is not None else str(kinds.kind_label(one.kind)),
        f"{one.quantity.normalize():f} {one.kind.measure}".strip(),
        str(label_of(values.CONDITIONS, one.condition)) if tool is not None else "",
        f"{state}\n{one.reason}" if one.reason else state,
    ]


def _side(detail: Handover, side: str) -> dict[str, Any]:
    """``picture``: the file of the drawn signature; ``id`` its attachment (0: none)."""
    giver = side == sides.GIVER
    by, means = (detail.giver_by, detail.giver_means) if giver else (detail.taker_by, detail.taker_means)
    picture = _kept(detail.giver_signature_id if giver else detail.taker_signature_id)
    who = session().scalars(select(User.name).where(User.id == by)).first() if by is not None else None
    return {
        "title": str(_l("Giver") if giver else _l("Taken over by")),
        "party": str(parties.party_name(sides.party_of(detail, side))),
        "by": who or "",
        "at": _moment(detail.unit_id, sides.said(detail, side)),
        "means": str(label_of(values.MEANS, means)),
        "id": picture,
        "picture": f"{side}-{detail.id}.png" if picture else "",
    }


def _kept(attachment_id: int | None) -> int:
    """Return the id of a signature whose picture is still in the store, else 0."""
    wanted = select(Attachment).where(Attachment.id == attachment_id)
    row = session().scalars(wanted).first() if attachment_id is not None else None
    return row.id if row is not None and file_path(row).exists() else 0


def signatures(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the pictures of the signatures of a hand-over, by the names that its paper gives them."""
    wanted = {one["id"]: one["picture"] for one in data["sides"] if one["id"]}
    rows = session().scalars(select(Attachment).where(Attachment.id.in_(wanted))) if wanted else ()
    return {wanted[row.id]: file_path(row).read_bytes() for row in rows}


# --- 工具领用清单 --------------------------------------------------------------------------------


def person_paper(party: Party) -> dict[str, Any]:
    """Return what is in somebody's hands today: each tool with its price and the day it came, small parts below."""
    held = custody.held_by(party.id, MOST_LINES)
    spells = custody.spells(one.id for one in held)
    lines = [
        [
            tool.code,
            f"{tool.name} {tool.model}".strip(),
            _yuan(tool.price),
            local_day(party.unit_id, spells[tool.id].starts_at).isoformat(),
            str(label_of(values.CONDITIONS, tool.condition)),
            _moment(party.unit_id, tool.due_at),
        ]
        for tool in held
    ]
    return {
        "person": str(parties.party_name(party)),
        "day": local_day(party.unit_id).isoformat(),
        "count": str(len(held)),
        "worth": _yuan(sum(tool.price for tool in held if tool.price is not None)),
        "lines": [[str(place), *one] for place, one in enumerate(lines, 1)],
        "parts": [
            [str(kinds.kind_label(one.kind)), f"{one.quantity.normalize():f} {one.kind.measure}".strip()]
            for one in stock.of_party(party.id)
        ],
    }


# --- 借用记录 ------------------------------------------------------------------------------------


def loans_paper(party: Party) -> dict[str, Any]:
    """Return what somebody borrowed or took for a job, the latest first, and when it was back (R35-4.8a)."""
    offered = aliased(Handover)
    wanted = (
        select(Custody, offered.due_at, offered.purpose, Record.number)
        .join(offered, offered.id == Custody.handover_id)
        .join(Record, Record.id == offered.id)
        .where(Custody.party_id == party.id, Custody.how.in_(LENT))
        .options(joinedload(Custody.tool).joinedload(Tool.kind))
        .order_by(Custody.starts_at.desc(), Custody.id.desc())
        .limit(MOST_LINES)
    )
    lines = [
        [
            spell.tool.code,
            spell.tool.name,
            _moment(party.unit_id, spell.starts_at),
            _moment(party.unit_id, due_at),
            _moment(party.unit_id, spell.ends_at),
            f"{number}\n{purpose}" if purpose else number,
        ]
        for spell, due_at, purpose, number in session().execute(wanted)
    ]
    return {
        "borrower": str(parties.party_name(party)),
        "contact": party.contact,
        "day": local_day(party.unit_id).isoformat(),
        "lines": [[str(place), *one] for place, one in enumerate(lines, 1)],
    }

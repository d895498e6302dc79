"""Printed forms: retirement and disposal (报废单), a count (盘点表), what a leaver hands in (工具缴回清单)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Fact,
    NotFound,
    PrintForm,
    Record,
    Refusal,
    Refused,
    User,
    approvals,
    detail_of,
    label_of,
    session,
    unit_facts,
)

from . import clearance, clearance_sheet, count_rows, counts, disposal, file, flow, kinds, parties, stock, values
from .models import Clearance, Count, CountLine, Handover, HandoverLine, Tool
from .rights import VIEW

RETIREMENT, COUNT, CLEARANCE = "tools.retirement", "tools.count", "tools.clearance"
MOST_LINES = 2000
WHY = next(one for one in flow.OWN_STEPS if one.name == "retire").fields[0]
# Subjects of the approvals that a retirement may have needed.
_RETIRED_BY = ("R35-5.3", "R33-8.1")


def forms() -> list[PrintForm]:
    """Return the forms."""
    return [
        PrintForm(
            code=RETIREMENT,
            title=_l("Retirement of a tool"),
            subject=flow.CODE,
            template="tools/retirement.typ",
            data=retirement_paper,
            permission=VIEW,
            seal="company",
        ),
        PrintForm(
            code=COUNT,
            title=_l("Count of tools"),
            subject=counts.CODE,
            template="tools/count.typ",
            data=count_paper,
            permission=VIEW,
        ),
        PrintForm(
            code=CLEARANCE,
            title=_l("Tools handed in"),
            subject=clearance.CODE,
            template="tools/clearance.typ",
            data=clearance_paper,
            permission=VIEW,
        ),
    ]


# --- 报废单 ---------------------------------------------------------------------------------------


def retirement_paper(record: Record) -> dict[str, Any]:
    """Return what the paper of a retired tool says: what it was, why, who agreed, how it went, with which proof.

    Raises:
        NotFound: the record is no tool. Refused: the tool is not retired.
    """
    tool = detail_of(record)
    if not isinstance(tool, Tool):
        raise NotFound()
    retired = _last(record.id, "retired")
    if retired is None:
        raise Refused([Refusal("not_retired", _l("This tool has not been retired"))])
    asked = approvals.latest(record.unit_id, f"{disposal.SUBJECT}:{tool.id}")
    gone = _disposed(tool)
    return {
        "code": tool.code,
        "name": tool.name,
        "kind": kinds.kind_label(tool.kind),
        "model": tool.model,
        "serial": tool.serial,
        "price": "" if tool.price is None else f"{tool.price:,.2f}",
        "bought": _day(tool.bought_on),
        "asset": str(label_of(values.ASSET_CLASSES, tool.asset_class)),
        "store": file.home_of(tool).name,
        "retired": _moment(record, retired.at),
        "retired_by": _name(retired.actor_id),
        "why": str(label_of(WHY.choice_list(), retired.data.get("why"))),
        "reason": retired.note,
        "confirmed": [_agreement(record, one) for one in _agreements(record)],
        "way": str(label_of(disposal.WAYS, asked.data.get("how"))) if asked is not None else "",
        "buyer": str(asked.data.get("buyer") or "") if asked is not None else "",
        "agreed": [_agreement(record, asked)] if asked is not None and asked.state == approvals.AGREED else [],
        "disposed": _moment(record, gone[0].at) if gone else "",
        "handover": gone[1].record.number if gone else "",
        "proof": gone[1].purpose if gone else "",
    }


def _agreements(record: Record) -> list[approvals.Approval]:
    found = [approvals.latest(record.unit_id, f"{flow.CODE}.retire:{record.id}:{one}") for one in _RETIRED_BY]
    return [one for one in found if one is not None and one.state == approvals.AGREED]


def _agreement(record: Record, one: approvals.Approval) -> list[str]:
    return [one.clause, _name(one.decided_by), _moment(record, one.decided_at)]


def _disposed(tool: Tool) -> tuple[Fact, Handover] | None:
    """Return the fact of a tool's disposal and the hand-over to the scrap heap that brought it, if any."""
    fact = _last(tool.id, "disposed")
    mine = (
        select(Handover)
        .join(HandoverLine, HandoverLine.handover_id == Handover.id)
        .where(HandoverLine.tool_id == tool.id, Handover.kind == values.DISPOSE)
        .where(HandoverLine.state == values.ACCEPTED_LINE)
        .order_by(Handover.id.desc())
        .limit(1)
    )
    made = session().scalars(mine).first()
    return (fact, made) if fact is not None and made is not None else None


def _last(record_id: int, kind: str) -> Fact | None:
    mine = select(Fact).where(Fact.record_id == record_id, Fact.kind == kind)
    return session().scalars(mine.order_by(Fact.seq.desc()).limit(1)).first()


# --- 盘点表 ---------------------------------------------------------------------------------------


def count_paper(record: Record) -> dict[str, Any]:
    """Return what a count says on paper: every line, what differs, who counted and who checked.

    Raises:
        NotFound: the record is none.
    """
    detail = detail_of(record)
    if not isinstance(detail, Count):
        raise NotFound()
    lines = count_rows.lines_of(detail.id, limit=MOST_LINES)
    return {
        "party": str(parties.party_name(detail.party)),
        "begun": _moment(record, detail.begun_at),
        "state": str(label_of(values.COUNT_STATES, record.state)),
        "keeper": _signed(record, detail.keeper_by, detail.keeper_at),
        "manager": _signed(record, detail.manager_by, detail.manager_at),
        "progress": [
            [str(label), str(count_rows.progress(detail.id).get(code, 0))] for code, label in values.COUNT_RESULTS
        ],
        "different": str(count_rows.differences(detail.id)),
        "note": detail.note,
        "lines": [[str(place), *_count_line(one)] for place, one in enumerate(lines, 1)],
    }


def _count_line(one: CountLine) -> list[str]:
    if one.tool is not None:
        place = one.place or (one.tool.place.name if one.tool.place else "")
        what = [one.tool.code, f"{one.tool.name} {one.tool.model}".strip(), place]
    else:
        what = ["", kinds.kind_label(one.kind) if one.kind is not None else "", one.place]
    condition = str(label_of(values.CONDITIONS, one.condition)) if one.condition else ""
    result = str(label_of(values.COUNT_RESULTS, one.result))
    return [
        *what,
        _plain(one.expected),
        _plain(one.counted),
        result,
        "\n".join(x for x in (condition, one.note) if x),
    ]


# --- 工具缴回清单 ---------------------------------------------------------------------------------


def clearance_paper(record: Record) -> dict[str, Any]:
    """Return what a clearance says on paper: what was handed in to whom, what is still open, what is missing.

    Raises:
        NotFound: the record is none.
    """
    detail = detail_of(record)
    if not isinstance(detail, Clearance):
        raise NotFound()
    still = (
        clearance_sheet.lines_of(clearance_sheet.sheet(record))
        if record.is_open
        else [str(one) for one in detail.closing]
    )
    return {
        "person": detail.user.name,
        "kind": str(label_of(values.CLEARANCE_KINDS, detail.kind)),
        "last_day": _day(detail.last_day),
        "successor": detail.successor.name if detail.successor else "",
        "state": str(label_of(values.CLEARANCE_STATES, record.state)),
        "handed": _handed(record),
        "open": still,
        "note": detail.note,
        "never_blocked": str(clearance.NEVER_BLOCKED),
    }


def _handed(record: Record) -> list[list[str]]:
    """Return the lines handed over with a clearance: number, tool, to whom, condition, state."""
    mine = (
        select(HandoverLine)
        .join(Handover, Handover.id == HandoverLine.handover_id)
        .where(Handover.clearance_id == record.id)
        .order_by(HandoverLine.id)
        .limit(MOST_LINES)
        .options(
            joinedload(HandoverLine.tool),
            joinedload(HandoverLine.kind),
            joinedload(HandoverLine.handover).joinedload(Handover.taker),
        )
    )
    lines = session().scalars(mine).all()
    names = parties.party_names({one.handover.taker_id: one.handover.taker for one in lines}.values())
    return [[str(place), *_handed_line(one, names)] for place, one in enumerate(lines, 1)]


def _handed_line(one: HandoverLine, names: Mapping[int, Any]) -> list[str]:
    name = one.tool.name if one.tool is not None else one.kind.name
    return [
        one.tool.code if one.tool is not None else "",
        f"{name} × {stock.plain_number(one.quantity)}" if one.tool is None else name,
        str(names[one.handover.taker_id]),
        str(label_of(values.CONDITIONS, one.condition)),
        f"{label_of(values.LINE_STATES, one.state)}\n{one.handover.record.number}",
    ]


# --- words ---------------------------------------------------------------------------------------


def _signed(record: Record, user_id: int | None, at: datetime | None) -> str:
    return f"{_name(user_id)} {_moment(record, at)}" if at is not None else _("Not signed yet")


def _name(user_id: int | None) -> str:
    return session().scalar(select(User.name).where(User.id == user_id)) or "" if user_id is not None else ""


def _moment(record: Record, at: datetime | None) -> str:
    if at is None:
        return ""
    return at.astimezone(ZoneInfo(unit_facts(record.unit_id).timezone)).strftime("%Y-%m-%d %H:%M")


def _day(day: Any) -> str:
    return day.isoformat() if day is not None else ""


def _plain(quantity: Decimal | None) -> str:
    return "" if quantity is None else stock.plain_number(quantity)

"""The custody ledger (工具台账, R32-3.2): who holds which tool since when. The one place that writes ``Custody``.

Functions flush, they never commit, and ask no permission: the service that moves a tool did. A tool's record is
locked before its spell changes, so two at once wait for each other; the unique open spell makes two holders
impossible whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from core.sdk import Record, Refusal, Refused, session

from . import values
from .models import Custody, Handover, Party, Tool
from .parties import party_name

CHUNK = 500
# Few rows by an index of tools or parties: see ``core.kernel.database``.
NARROW = {"narrow": True}


def begin(tool: Tool, party: Party, at: datetime, how: str = "", handover: Handover | None = None) -> Custody:
    """Enter the first spell of a tool that was registered: a store holds it from now on."""
    return _open(tool, party, at, how, handover)


def move(
    tool: Tool, giver: Party, taker: Party, at: datetime, how: str, handover: Handover | None = None
) -> Custody:
    """End the giver's spell and begin the taker's. The tool's record must be locked (``core.sdk.lock``).

    Raises:
        Refused: the giver does not hold the tool; it moved later than ``at``.
    """
    held = spell(tool.id)
    if held is None or held.party_id != giver.id:
        raise Refused([Refusal("not_held", not_held_text(tool, giver, held))])
    if at < held.starts_at:
        text = _l("%(tool)s came to its present holder later than this", tool=tool.code)
        raise Refused([Refusal("order", text)])
    held.ends_at = at
    session().flush()
    return _open(tool, taker, at, how, handover)


def not_held_text(tool: Tool, giver: Party, held: Custody | None) -> Any:
    """Say why a giver cannot give a tool."""
    if held is None:
        return _l("Nobody holds %(tool)s", tool=tool.code)
    return _l(
        "%(giver)s does not hold %(tool)s: it is with %(holder)s",
        giver=party_name(giver),
        tool=tool.code,
        holder=party_name(held.party),
    )


def _open(tool: Tool, party: Party, at: datetime, how: str, handover: Handover | None) -> Custody:
    tool.custody_seq += 1
    made = Custody(
        unit_id=tool.unit_id,
        tool_id=tool.id,
        seq=tool.custody_seq,
        party_id=party.id,
        starts_at=at,
        how=how,
        handover_id=handover.id if handover is not None else None,
    )
    session().add(made)
    session().flush()
    return made


# --- reading -------------------------------------------------------------------------------------


def spell(tool_id: int) -> Custody | None:
    """Return the open spell of a tool, with its party."""
    mine = select(Custody).where(Custody.tool_id == tool_id, Custody.ends_at.is_(None))
    return session().scalars(mine.options(joinedload(Custody.party))).first()


def spells(tool_ids: Iterable[int]) -> Mapping[int, Custody]:
    """Return the open spells of tools by tool id, a few hundred a select."""
    ids: list[int] = sorted(set(tool_ids))
    found: dict[int, Custody] = {}
    for start in range(0, len(ids), CHUNK):
        mine = select(Custody).where(Custody.tool_id.in_(ids[start : start + CHUNK]), Custody.ends_at.is_(None))
        mine = mine.options(joinedload(Custody.party)).execution_options(**NARROW)
        found |= {one.tool_id: one for one in session().scalars(mine)}
    return found


def history(tool_id: int, limit: int = 200) -> Sequence[Custody]:
    """Return the spells of a tool, the latest first."""
    mine = select(Custody).where(Custody.tool_id == tool_id).order_by(Custody.seq.desc()).limit(limit)
    return session().scalars(mine.options(joinedload(Custody.party))).all()


def held_by(party_id: int, limit: int = 1000) -> Sequence[Tool]:
    """Return the tools a party holds now, with their records and kinds, in the order of their numbers' rows."""
    wanted = (
        select(Tool)
        .join(Custody, Custody.tool_id == Tool.id)
        .where(Custody.party_id == party_id, Custody.ends_at.is_(None))
        .options(joinedload(Tool.kind), joinedload(Tool.place))
        .order_by(Custody.tool_id)
        .limit(limit)
    )
    return session().scalars(wanted).all()


def balance(party_id: int) -> int:
    """Return how many tools a party holds now."""
    mine = select(func.count()).where(Custody.party_id == party_id, Custody.ends_at.is_(None))
    return session().scalar(mine) or 0


def balance_at(party_id: int, at: datetime) -> int:
    """Return how many tools a party held at a moment: came by then and left later."""
    mine = select(func.count()).select_from(Custody).where(Custody.party_id == party_id, Custody.starts_at <= at)
    return session().scalar(mine.where((Custody.ends_at.is_(None)) | (Custody.ends_at > at))) or 0


def held_of_kind(party_id: int, kind_id: int) -> int:
    """Return how many usable tools of a kind a party holds (lost and defective ones do not count)."""
    wanted = (
        select(func.count())
        .select_from(Custody)
        .join(Tool, Tool.id == Custody.tool_id)
        .join(Record, Record.id == Tool.id)
        .where(Custody.party_id == party_id, Custody.ends_at.is_(None), Tool.kind_id == kind_id)
        .where(Record.state.not_in((values.LOST, values.DEFECTIVE)))
    )
    return session().scalar(wanted) or 0


def kinds_held(party_id: int) -> Mapping[int, int]:
    """Return how many tools of each kind a party holds now, by kind id."""
    wanted = (
        select(Tool.kind_id, func.count())
        .join(Custody, Custody.tool_id == Tool.id)
        .where(Custody.party_id == party_id, Custody.ends_at.is_(None))
        .group_by(Tool.kind_id)
    )
    return {row[0]: row[1] for row in session().execute(wanted)}


def of_kind_in(store_id: int, kind_id: int, limit: int = 50) -> Sequence[Tool]:
    """Return tools of a kind that a store may give out, the oldest first."""
    wanted = (
        select(Tool)
        .join(Custody, Custody.tool_id == Tool.id)
        .join(Record, Record.id == Tool.id)
        .where(Custody.party_id == store_id, Custody.ends_at.is_(None))
        .where(Tool.kind_id == kind_id, Record.state == values.IN_STORE)
        .order_by(Tool.id)
        .limit(limit)
    )
    return session().scalars(wanted).all()

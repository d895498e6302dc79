"""Counts and their lines as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Choices,
    NotFound,
    fetch,
    may,
    session,
)

from . import custody, parties, values
from .models import Count, CountLine, Custody, Handover, HandoverLine, Party, Place, Tool
from .rights import DECIDE, KEEP, VIEW
from .values import EXPECTED, EXTRA, MISSING

MOST_LINES, MOST_SHOWN, MOST_SUBJECTS, CHUNK = 20_000, 300, 300, 500
BROKEN = (values.DAMAGED, values.INCOMPLETE)


def open_lines(tool_ids: Iterable[int]) -> dict[int, HandoverLine]:
    """Return the lines of hand-overs that wait for a yes, by tool id."""
    ids, found = sorted(set(tool_ids)), {}
    for start in range(0, len(ids), CHUNK):
        mine = HandoverLine.tool_id.in_(ids[start : start + CHUNK]), HandoverLine.state == values.OPEN_LINE
        whole = joinedload(HandoverLine.handover).joinedload(Handover.taker)
        for line in session().scalars(select(HandoverLine).where(*mine).options(whole)):
            if line.tool_id is not None:
                found[line.tool_id] = line
    return found


def waiting_text(line: HandoverLine) -> Any:
    """Say of a tool on a hand-over whose yes it waits for."""
    record = line.handover.record
    name = parties.party_name(line.handover.taker)
    return _l("Waits for acceptance by %(name)s: %(number)s", name=name, number=record.number)


def get(record_id: object) -> Count:
    """Fetch a count for whoever may see tools.

    Raises:
        NotFound: malformed, another unit's, no count.
    """
    wanted: Select[Any] = select(Count).options(joinedload(Count.party))
    count = fetch(Count, record_id, query=wanted)
    if not any(may(one, count.unit_id) for one in (VIEW, KEEP, DECIDE)):
        raise NotFound()
    return count


def line(count_id: int, line_id: object) -> CountLine:
    """Fetch a line of a count, with its tool.

    Raises:
        NotFound: malformed, or a line of another count.
    """
    mine: Select[Any] = select(CountLine).where(CountLine.count_id == count_id).options(joinedload(CountLine.tool))
    return fetch(CountLine, line_id, query=mine)


def progress(count_id: int) -> Mapping[str, int]:
    """Return how many lines of a count have each result."""
    return progress_of([count_id]).get(count_id, {})


def progress_of(count_ids: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """Return how many lines of counts have each result, by count id."""
    mine = select(CountLine.count_id, CountLine.result, func.count()).where(CountLine.count_id.in_(count_ids))
    found: dict[int, dict[str, int]] = {}
    for row in session().execute(mine.group_by(CountLine.count_id, CountLine.result)):
        found.setdefault(row[0], {})[row[1]] = row[2]
    return found


def unmoved(count: Count) -> int:
    """Return how many tools are still to be counted and, as the ledger says, still there."""
    mine = (
        select(func.count())
        .select_from(CountLine)
        .join(Custody, Custody.tool_id == CountLine.tool_id)
        .outerjoin(
            HandoverLine,
            (HandoverLine.tool_id == CountLine.tool_id) & (HandoverLine.state == values.OPEN_LINE),
        )
        .where(CountLine.count_id == count.id, CountLine.result == EXPECTED, HandoverLine.id.is_(None))
        .where(Custody.ends_at.is_(None), Custody.party_id == count.party_id, Custody.seq == CountLine.seq)
    )
    return session().scalar(mine) or 0


def _is_difference() -> Any:
    amount = CountLine.kind_id.is_not(None) & (CountLine.counted != CountLine.expected)
    broken = CountLine.condition.in_(BROKEN)
    return or_(CountLine.result.in_((MISSING, EXTRA)), amount, broken, CountLine.place != "")


def differences(count_id: int) -> int:
    """Return how many lines differ: missing, not expected, damaged, in a wrong place, another quantity."""
    mine = select(func.count()).select_from(CountLine).where(CountLine.count_id == count_id, _is_difference())
    return session().scalar(mine) or 0


def different(count_id: int, limit: int = MOST_SHOWN) -> Sequence[CountLine]:
    """Return the lines that differ, with their tools and kinds."""
    return _lines(CountLine.count_id == count_id, _is_difference(), limit=limit)


def lines_of(count_id: int, results: Sequence[str] = (), limit: int = MOST_SHOWN) -> Sequence[CountLine]:
    """Return lines of a count in order (of these results; all where none is named), with tools and kinds."""
    wanted = [CountLine.count_id == count_id]
    if results:
        wanted.append(CountLine.result.in_(results))
    return _lines(*wanted, limit=limit)


def _lines(*conditions: Any, limit: int) -> Sequence[CountLine]:
    whole = (
        joinedload(CountLine.tool).joinedload(Tool.place),
        joinedload(CountLine.tool).joinedload(Tool.kind),
        joinedload(CountLine.kind),
    )
    wanted = select(CountLine).where(*conditions).order_by(CountLine.id).limit(limit)
    return session().scalars(wanted.options(*whole)).all()


def still_to_find(count_id: int) -> Sequence[CountLine]:
    """Return what is still to be counted, by place and number; of very many the first few hundred."""
    found = lines_of(count_id, (EXPECTED,))
    return sorted(found, key=_by_place)


def _by_place(line: CountLine) -> tuple[bool, str, str]:
    tool = line.tool
    if tool is None:
        return True, "", line.kind.code if line.kind else ""
    return False, tool.place.name if tool.place else "", tool.code


def latest_lines(count_id: int, limit: int = 8) -> Sequence[CountLine]:
    """Return what was entered last, the newest first."""
    mine = CountLine.count_id == count_id, CountLine.at.is_not(None)
    whole = (joinedload(CountLine.tool).joinedload(Tool.place), joinedload(CountLine.kind))
    wanted = select(CountLine).where(*mine).order_by(CountLine.at.desc(), CountLine.id.desc()).limit(limit)
    return session().scalars(wanted.options(*whole)).all()


def holders(lines: Sequence[CountLine]) -> Mapping[int, Any]:
    """Return who holds tools of lines as the ledger says, as names by tool id."""
    spells = custody.spells(one.tool_id for one in lines if one.tool_id is not None)
    names = parties.party_names({one.party.id: one.party for one in spells.values()}.values())
    return {tool_id: names[one.party_id] for tool_id, one in spells.items()}


def party_choices(unit_id: int) -> Choices:
    """Return what can be counted: the stores, and the people who hold something."""
    holds = select(Custody.id).where(Custody.party_id == Party.id, Custody.ends_at.is_(None)).exists()
    people = (
        select(Party)
        .where(Party.unit_id == unit_id, Party.kind == values.PERSON, holds)
        .order_by(Party.name)
        .limit(MOST_SUBJECTS)
    )
    found = [*parties.stores(unit_id), *session().scalars(people)]
    names = parties.party_names(found)
    return [(str(one.id), names[one.id]) for one in found]


def places_of(party_id: int) -> Sequence[str]:
    """Return the names of the places of a store, to choose where a tool lay."""
    mine = select(Place.name).where(Place.store_id == party_id, Place.active).order_by(Place.name)
    return session().scalars(mine.limit(MOST_SUBJECTS)).all()

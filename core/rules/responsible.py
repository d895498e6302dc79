"""Who answers for an obligation: the assignee at its limit, else a holder of the clause's position or the head."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select

from core.kernel.database import session
from core.units.facts import unit_facts
from core.users.models import Position, UserPosition

from .kinds import Happened

# Who heads a unit, the first that somebody holds.
HEADS = ("service_leader", "branch_head", "store_head", "bank_supervisor", "dept_manager", "gm")


class Held(NamedTuple):
    """Who holds which position in a unit, and from when to when."""

    unit_id: int
    position: str
    user_id: int
    first_day: date
    last_day: date | None


def responsible(
    unit_id: int,
    position: str,
    facts: Sequence[Happened],
    *,
    start: datetime,
    due: datetime | None,
    end: Happened | None,
    zone: ZoneInfo | None = None,
) -> int | None:
    """Return the user who answers at the limit or the end, whichever came first; None where nobody is to be found.

    It looks at the facts (in order) only, never at the time of day: so it is the same whenever it is worked out.
    """
    in_time = end is not None and (due is None or end.at <= due)
    for fact in reversed(facts):
        if fact.kind not in ASSIGNMENTS or not _counts(fact, end if in_time else None, due):
            continue
        if fact.kind == ASSIGNED and fact.data.get("assignee_id") is not None:
            found: int | None = fact.data["assignee_id"]
            return found
        break  # refused, or taken away
    moment = min(end.at, due or end.at) if end else due or start
    zone = zone or ZoneInfo(unit_facts(unit_id).timezone)
    return on_duty(unit_id, position, moment.astimezone(zone).date())


ASSIGNED, DECLINED = "assigned", "declined"
ASSIGNMENTS = frozenset({ASSIGNED, DECLINED})


def _counts(fact: Happened, end: Happened | None, due: datetime | None) -> bool:
    """Tell whether a fact came before the end (given where that was in time), else not after the limit."""
    if end is not None:
        return fact.key <= end.key
    return due is None or fact.at <= due


def on_duty(unit_id: int, position: str, day: date) -> int | None:
    """Return who answers where nobody is assigned: a holder of the position, else the head of the unit."""
    kept: dict[Any, int | None] = session().info.setdefault("on_duty", {})
    key = (unit_id, position, day)
    if key not in kept:
        found = holder(unit_id, position, day) if position else None
        kept[key] = found if found is not None else head_of(unit_id, day)
    return kept[key]


def holder(unit_id: int, position: str, day: date) -> int | None:
    """Return who has held a position longest on a day, in the unit itself or else the nearest one above."""
    return _first(_held(unit_facts(unit_id).line).get(position, ()), day)


def head_of(unit_id: int, day: date) -> int | None:
    """Return who heads a unit on a day."""
    held = _held(unit_facts(unit_id).line)
    found = (_first(held.get(position, ()), day) for position in HEADS)
    return next((one for one in found if one is not None), None)


def _first(held: Sequence[Held], day: date) -> int | None:
    for one in held:
        if one.first_day <= day and (one.last_day is None or day <= one.last_day):
            return one.user_id
    return None


def _held(line: tuple[int, ...]) -> dict[str, list[Held]]:
    """Return by position who ever held it in these units, those of the last unit first; kept with the session."""
    kept: dict[tuple[int, ...], dict[str, list[Held]]] = session().info.setdefault("position_holders", {})
    if line not in kept:
        rows = session().execute(
            select(
                UserPosition.unit_id,
                Position.code,
                UserPosition.user_id,
                UserPosition.valid_from,
                UserPosition.valid_to,
            )
            .join(Position, Position.id == UserPosition.position_id)
            .where(UserPosition.unit_id.in_(line))
            .order_by(UserPosition.valid_from, UserPosition.id)
        )
        found: dict[str, list[Held]] = {}
        for row in sorted(map(Held._make, rows), key=lambda one: -line.index(one.unit_id)):
            found.setdefault(row.position, []).append(row)
        kept[line] = found
    return kept[line]

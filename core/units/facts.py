"""The few facts of a unit that nearly every action needs: read once per session, never kept longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import session

from .models import Unit


@dataclass(frozen=True)
class UnitFacts:
    """Code, time zone (IANA name) and the ids from the root of the tree down to the unit itself."""

    code: str
    timezone: str
    line: tuple[int, ...]

    @property
    def path(self) -> str:
        """The ids from the root as ``Unit.path`` has them: what begins so is the unit or lies below it."""
        return "/" + "".join(f"{one}/" for one in self.line)


def unit_facts(unit_id: int) -> UnitFacts:
    """Return the facts of a unit; a request that knows them already has put them there (``know``)."""
    known: dict[int, UnitFacts] = session().info.setdefault("unit_facts", {})
    if unit_id not in known:
        found = session().execute(select(Unit.code, Unit.timezone, Unit.path).where(Unit.id == unit_id)).one()
        know(unit_id, found.code, found.timezone, found.path)
    return known[unit_id]


def local_day(unit_id: int, moment: datetime | None = None) -> date:
    """Return the calendar day of an aware moment (default: now) in the unit's time zone."""
    return clock.day_in(unit_facts(unit_id).timezone, moment)


def know(unit_id: int, code: str, timezone: str, path: str) -> None:
    """Keep what this session has already read of a unit."""
    line = tuple(int(part) for part in path.split("/") if part)
    session().info.setdefault("unit_facts", {})[unit_id] = UnitFacts(code, timezone, line)


def forget() -> None:
    """Drop what was kept: a unit has changed in this session."""
    session().info.pop("unit_facts", None)

"""What the tests of the file set up: a unit with the plugin on, a keeper, two technicians."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from core.kernel import clock
from core.sdk import Record, Unit, User, session
from plugins.tools import file, parties, rights
from plugins.tools.models import Custody, Kind, Party, Tool
from tests import casework
from tests.helpers import as_system, in_scope, make_unit, make_user, switch_on

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten in the morning in China
OWN_RIGHTS = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = casework.ALL | OWN_RIGHTS
GIVEN = {"kind": "剥线钳", "price": "120.00", "bought_on": "2026-01-05", "model": "世达 91108"}


@dataclass
class Room:
    """A tool room and its people. ``with room.acting():`` works as the keeper."""

    unit: Unit
    keeper: User
    first: User
    second: User

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = ALL) -> Iterator[Any]:
        """Work as somebody in the unit."""
        with in_scope(self.unit, permissions, user or self.keeper) as work:
            yield work

    def clause(self, *clauses: str, on: bool = True, **values: Any) -> None:
        """Say what clauses say in the unit from today on."""
        casework.Office(self.unit, self.keeper, self.first).clause(*clauses, on=on, **values)

    def tool(self, *, accepted: bool = True, **raw: Any) -> int:
        """Register a tool, accepted unless said otherwise; return its id."""
        with self.acting():
            if accepted:
                return file.register_accepted(self.unit.id, {**GIVEN, **raw}, "外观、功能完好").id
            return file.register(self.unit.id, {**GIVEN, **raw}).id

    def one(self, key: int) -> Tool:
        """Return a tool, detached."""
        with self.acting() as work:
            found = work.scalars(select(Tool).where(Tool.id == key)).one()
            work.expunge(found)
            return found

    def state(self, key: int) -> str:
        """Return the state of a record."""
        with self.acting() as work:
            return work.scalars(select(Record.state).where(Record.id == key)).one()

    def kind(self, name: str) -> int:
        """Return the id of a kind by its name."""
        with self.acting() as work:
            return work.scalars(select(Kind.id).where(Kind.unit_id == self.unit.id, Kind.name == name)).one()

    def store(self) -> int:
        """Return the id of the first store."""
        with self.acting() as work:
            mine = select(Party.id).where(Party.unit_id == self.unit.id, Party.kind == "store")
            return work.scalars(mine.order_by(Party.id)).first() or 0

    def give(self, key: int, party_id: int, how: str = "issue") -> None:
        """Put a tool into somebody's hands straight in the tables, where hand-overs are not what is tested."""
        with as_system() as work:
            tool = work.scalars(select(Tool).where(Tool.id == key)).one()
            held = work.scalars(select(Custody).where(Custody.tool_id == key, Custody.ends_at.is_(None))).one()
            held.ends_at = clock.now()
            work.flush()
            tool.custody_seq += 1
            work.add(
                Custody(
                    unit_id=tool.unit_id,
                    tool_id=key,
                    seq=tool.custody_seq,
                    party_id=party_id,
                    starts_at=clock.now(),
                    how=how,
                )
            )
            tool.record.state = "issued" if how == "issue" else tool.record.state

    def person(self, user: User) -> int:
        """Return the party of a person of the staff."""
        with self.acting():
            found = parties.person(self.unit.id, user.id).id
            session().commit()
            return found


def make_room(code: str = "") -> Room:
    """A unit with the plugin on, and its people."""
    unit = make_unit(code)
    switch_on(unit, "tools")
    keeper = make_user(unit, ALL, name="周保管")
    first = make_user(unit, {rights.OWN, "case.view"}, name="李师傅")
    second = make_user(unit, {rights.OWN, "case.view"}, name="王师傅")
    return Room(unit, keeper, first, second)

"""What tests of purchase, stock and statistics set up: a unit with the plugin on, kinds and holders of parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from core.kernel import clock
from core.sdk import Record, Unit, User, perform, session
from plugins.tools import file, parties, purchase, rights, stock, values
from plugins.tools.models import Kind, Party, PurchaseLine, Stock, StockMove, Tool
from tests import casework
from tests.helpers import as_system, in_scope, make_user, switch_on

MONDAY = datetime(2026, 11, 2, 2, tzinfo=UTC)  # ten in the morning in China
OWN_RIGHTS = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = casework.ALL | OWN_RIGHTS
_numbers = itertools.count(1)


@dataclass
class Shop:
    """A unit that buys tools, and its people. Everything happens at ``now``."""

    office: casework.Office
    now: datetime = MONDAY
    people: dict[str, User] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    def later(self, **more: float) -> datetime:
        """Let time pass (as ``timedelta``); return the new moment."""
        self.now += timedelta(**more)
        return self.now

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = ALL) -> Iterator[Any]:
        """Work as somebody at the present moment."""
        with clock.frozen(self.now), in_scope(self.unit, permissions, user or self.office.desk) as work:
            yield work

    def kind(self, name: str = "", category: str = values.COMMON, **columns: Any) -> int:
        """Put a kind on file; return its id."""
        number = next(_numbers)
        given = {"code": f"T{number:03d}", "name": name or f"种类{number}", "category": category, **columns}
        with as_system() as work:
            row = Kind(unit_id=self.unit.id, **given)
            work.add(row)
            work.flush()
            return row.id

    def parts(self, name: str = "", **columns: Any) -> int:
        """Put a kind kept by quantity on file."""
        return self.kind(name, values.CONSUMABLE, **columns)

    def store(self, name: str = "") -> int:
        with as_system() as work:
            number = next(_numbers)
            row = Party(unit_id=self.unit.id, kind=values.STORE, name=name or f"库房{number}")
            row.user_id = self.office.desk.id
            work.add(row)
            work.flush()
            return row.id

    def person(self, name: str = "") -> tuple[User, int]:
        """Add somebody of the unit's staff; return them and the id of their party."""
        user = make_user(self.unit, (rights.OWN,), name=name or f"师傅{next(_numbers)}")
        with self.acting():
            party = parties.person(self.unit.id, user.id)
            session().commit()
            return user, party.id

    def move(self, kind: int, giver: int | None, taker: int | None, quantity: Any, **more: Any) -> int:
        """Move a quantity; return the move's id."""
        why = more.pop("why", stock.HANDED if giver and taker else stock.BOUGHT if taker else stock.USED)
        with self.acting() as work, transaction_of(work):
            ends = [work.get_one(Party, one) if one else None for one in (giver, taker)]
            return stock.move(work.get_one(Kind, kind), *ends, quantity, why, **more).id

    def quantity(self, party: int, kind: int) -> Decimal:
        with as_system() as work:
            found = select(Stock.quantity).where(Stock.party_id == party, Stock.kind_id == kind)
            return work.scalar(found) or Decimal(0)

    def moves(self, kind: int) -> list[StockMove]:
        with as_system() as work:
            return list(work.scalars(select(StockMove).where(StockMove.kind_id == kind).order_by(StockMove.id)))

    def tool(self, kind: int, store: int, *, accepted: bool = True, **raw: Any) -> int:
        """Register a tool in a store; return its id."""
        with self.acting():
            given = {"kind": str(kind), "store": str(store), **raw}
            record = file.register(self.unit.id, given)
            if accepted:
                perform(record.id, "accept", {"result": "外观、功能完好"})
            return record.id

    def step(self, tool: int, name: str, **given: Any) -> None:
        """Take a step of a tool as a service would."""
        with self.acting():
            perform(tool, name, given, permitted=True)

    def plan(self, lines: Any, **raw: Any) -> int:
        """Draft a plan; return its id."""
        with self.acting():
            return purchase.register(self.unit.id, {"kind": values.BY_NEED, "lines": lines, **raw}).id

    def do(self, record: int, step: str, **given: Any) -> None:
        with self.acting():
            perform(record, step, given)

    def lines(self, record: int) -> list[PurchaseLine]:
        with as_system() as work:
            wanted = select(PurchaseLine).where(PurchaseLine.purchase_id == record).order_by(PurchaseLine.id)
            return list(work.scalars(wanted))

    def state(self, record: int) -> str:
        with as_system() as work:
            return work.get_one(Record, record).state

    def tools_of(self, kind: int) -> list[Tool]:
        with as_system() as work:
            return list(work.scalars(select(Tool).where(Tool.kind_id == kind).order_by(Tool.id)))

    def sum_of_moves(self, party: int, kind: int) -> Decimal:
        """Add up what came to a party less what went."""
        with as_system() as work:
            mine = StockMove.kind_id == kind
            come = select(func.sum(StockMove.quantity)).where(mine, StockMove.taker_id == party)
            gone = select(func.sum(StockMove.quantity)).where(mine, StockMove.giver_id == party)
            return Decimal(work.scalar(come) or 0) - Decimal(work.scalar(gone) or 0)


@contextmanager
def transaction_of(work: Any) -> Iterator[None]:
    from core.sdk import transaction

    with transaction():
        yield
    work.expire_all()


def make_shop(code: str = "") -> Shop:
    """A unit with the plugin on."""
    office = casework.make_office(code)
    switch_on(office.unit, "tools")
    return Shop(office)

"""An office with money to collect: a case of a customer with posted charges, a collector, finance, a leader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.sdk import Charge, Line, Record, Unit, User, charges, perform, session, transaction
from core.users.models import Position
from core.users.positions import seed_positions
from plugins.warranty import rights
from tests import casework
from tests.helpers import as_system, in_scope, make_user, switch_on

NOVEMBER = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday, ten in the morning in China
FEE = "R14-5.4.5"
EVERYTHING = frozenset(value for name, value in vars(rights).items() if name.isupper())
ALL = casework.ALL | EVERYTHING


@dataclass
class Place:
    """A unit where money is collected. ``with place.acting(place.finance):`` works as one of its people."""

    office: casework.Office
    collector: User
    finance: User
    leader: User
    counter: list[int] = field(default_factory=list)

    @property
    def unit(self) -> Unit:
        return self.office.unit

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = ALL) -> Iterator[Any]:
        with in_scope(self.unit, permissions, user or self.collector) as work:
            yield work

    def case(self, *amounts: str, state: str = "posted") -> int:
        """Register a case whose customer owes these amounts."""
        key = self.office.new_case(contact_phone=f"1311235{len(self.counter):04}")
        self.counter.append(key)
        self.charge(key, *amounts, state=state)
        return key

    def charge(self, key: int, *amounts: str, state: str = "posted", payer: str = "customer") -> list[int]:
        """Let a case owe further amounts, each from a source of its own."""
        made = []
        with self.acting(), transaction():
            for amount in amounts:
                count = session().scalars(select(Charge.id).where(Charge.record_id == key)).all()
                label = {"zh": f"人工费{len(count) + 1}", "en": f"Labour {len(count) + 1}"}
                line = Line("labour", label, payer, Decimal(1), Decimal(amount))
                row = charges.propose(session().get_one(Record, key), FEE, f"test:{len(count)}", [line])[0]
                for move in ("quote", "consent", "post"):
                    if state in ("posted", "consented" if move != "post" else ""):
                        charges.move(row.id, move)
                made.append(row.id)
        return made

    def charges_of(self, key: int) -> list[Charge]:
        with self.acting() as work:
            rows = work.scalars(select(Charge).where(Charge.record_id == key).order_by(Charge.id)).all()
            work.expunge_all()
            return list(rows)

    def do(self, key: int, step: str, values: Mapping[str, Any] | None = None, user: User | None = None) -> None:
        with self.acting(user or self.finance):
            perform(key, step, values or {})

    def customer_of(self, key: int) -> int:
        with self.acting() as work:
            found = work.scalars(select(Record.customer_id).where(Record.id == key)).one()
            assert found is not None
            return found


def make_place(code: str = "") -> Place:
    office = casework.make_office(code) if code else casework.make_office()
    switch_on(office.unit, "warranty")
    office.clause(FEE)
    with as_system() as work:
        seed_positions()
        leader = work.scalars(select(Position).where(Position.code == "service_leader")).one()
    return Place(
        office,
        make_user(office.unit, ALL, name="收款员"),
        make_user(office.unit, ALL, name="财务"),
        make_user(office.unit, position=leader, name="服务主管"),
    )

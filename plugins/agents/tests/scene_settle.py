"""What the tests of settlement set up: charges posted for agents, statements made, answered and approved."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.records.attachments import attach
from core.sdk import Charge, Line, Record, Unit, User, charges, perform, session, transaction
from plugins.agents import settlement, statements
from plugins.agents.models import Statement, StatementLine
from plugins.agents.tests import scene
from tests.helpers import make_user

FEE = "R18-5.1.2b"
OCTOBER, NOVEMBER = "2025-10", "2025-11"
IN_OCTOBER = datetime(2025, 10, 15, 2, tzinfo=UTC)
IN_NOVEMBER = datetime(2025, 11, 10, 2, tzinfo=UTC)
IN_DECEMBER = datetime(2025, 12, 5, 2, tzinfo=UTC)
_numbers = itertools.count(1)


@dataclass
class Desk:
    """A place with two agents, somebody who settles, somebody who approves, finance, and a person of each agent."""

    place: scene.Place
    agents: list[int]
    people: list[User]
    settler: User
    approver: User
    cases: list[int] = field(default_factory=list)

    @property
    def unit(self) -> Unit:
        return self.place.unit

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = scene.ALL) -> Iterator[Any]:
        with self.place.acting(user or self.settler, permissions) as work:
            yield work

    @contextmanager
    def as_agent(self, number: int = 0) -> Iterator[Any]:
        """Work as the person of an agent, who may see their own only."""
        with self.place.acting(self.people[number], {"agents.own"}) as work:
            yield work

    def code(self, number: int = 0) -> str:
        return self.place.code_of(self.agents[number])

    # --- charges -------------------------------------------------------------------------------

    def bill(self, amount: str, number: int = 0, payer: str = "agent", case: int = 0, **more: str) -> int:
        """Post a charge of an agent now, on a case of its own unless one is given; return the charge's id."""
        key = case or self.place.case(serial="", cause="")
        with self.acting(), transaction():
            line = Line(
                more.get("code", "labour"),
                {"zh": "人工费", "en": "Labour"},
                payer,
                Decimal(1),
                Decimal(amount),
                self.code(number),
            )
            record, source = session().get_one(Record, key), f"test:{next(_numbers)}"
            made = charges.propose(record, more.get("clause", FEE), source, [line])[0]
            charges.advance(record, "post", source)
            return made.id

    def adjust(self, charge: int, amount: str) -> None:
        """Correct a posted charge to what it should have come to."""
        with self.acting():
            charges.adjust(charge, Decimal(amount), "复核")

    # --- statements ----------------------------------------------------------------------------

    def settle(self, period: str = OCTOBER, number: int = 0, user: User | None = None) -> int | None:
        with self.acting(user):
            made = settlement.settle_agent(self.unit.id, self.agents[number], period)
            return made.id if made else None

    def settled(self, period: str = OCTOBER, number: int = 0) -> int:
        made = self.settle(period, number)
        assert made is not None
        return made

    def do(self, key: int, step: str, given: Mapping[str, Any] | None = None, user: User | None = None) -> None:
        with self.acting(user):
            perform(key, step, given or {})

    def sent(self, period: str = OCTOBER, number: int = 0) -> int:
        key = self.settled(period, number)
        self.do(key, "send")
        return key

    def agreed(self, period: str = OCTOBER) -> int:
        key = self.sent(period)
        with self.as_agent():
            statements.confirm_all(key)
        return key

    def look_through(self, key: int) -> None:
        """Write a note beside every line whose check failed."""
        with self.acting():
            for line in statements.lines_of(key):
                if line.failed and not line.released:
                    statements.note_check(line.id, "已核实")

    def approved(self, period: str = OCTOBER) -> int:
        key = self.agreed(period)
        self.look_through(key)
        self.do(key, "approve", user=self.approver)
        return key

    def invoiced(self, period: str = OCTOBER) -> int:
        key = self.approved(period)
        self.seal(key)
        self.do(key, "invoice", {"our_invoice": "FP-001", "their_invoice": "FP-002"})
        return key

    def seal(self, key: int) -> None:
        with self.acting():
            attach(key, "盖章件.pdf", io.BytesIO(b"%PDF-1.4 sealed"))
        self.do(key, "seal", {"sealed_on": self.place.now.date().isoformat()})

    def pay(self, key: int) -> None:
        """Let both sides be paid in full."""
        with self.acting(), transaction():
            row = session().get_one(Statement, key)
            row.received, row.paid = row.receivable, row.payable
            statements.paid_up(row)

    def answer(self, line: int, answer: str = "confirm", number: int = 0, **more: str) -> None:
        with self.as_agent(number):
            statements.answer_line(line, {"answer": answer, **more})

    def decide(self, line: int, decision: str, user: User | None = None, **more: str) -> None:
        with self.acting(user):
            statements.decide_dispute(line, {"decision": decision, "reason": "核对工单", **more})

    # --- looking -------------------------------------------------------------------------------

    def statement(self, key: int) -> Statement:
        return self._all(select(Statement).where(Statement.id == key))[0]

    def state(self, key: int) -> str:
        return self.place.state(key)

    def lines(self, key: int) -> list[StatementLine]:
        return self._all(select(StatementLine).where(StatementLine.statement_id == key).order_by(StatementLine.id))

    def line_of(self, charge: int) -> int:
        found = select(StatementLine.id).where(StatementLine.charge_id == charge, ~StatementLine.released)
        return int(self._all(found)[0])

    def sums(self, key: int) -> tuple[Decimal, Decimal, int]:
        row = self.statement(key)
        return row.receivable, row.payable, row.line_count

    def charge(self, key: int) -> Charge:
        return self._all(select(Charge).where(Charge.id == key))[0]

    def _all(self, statement: Any) -> list[Any]:
        with self.acting() as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows


def make_desk(now: datetime = IN_OCTOBER) -> Desk:
    place = scene.make_place()
    place.now = now
    agents = [place.agent(), place.agent()]
    people = [place.contact(one, role="business", name=name)[1] for one, name in zip(agents, "甲乙", strict=True)]
    return Desk(
        place,
        agents,
        people,
        make_user(place.unit, scene.ALL, name="结算员"),
        make_user(place.unit, scene.ALL, name="批准人"),
    )

"""Statements to be paid, put straight into the tables, with lines whose charges are posted on a case."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.kernel import clock
from core.sdk import Charge, Record, Unit, User, uuid7
from plugins.agents import payments, statements, values
from plugins.agents.models import Payment, PaymentLine, Statement, StatementLine
from plugins.agents.tests import scene
from plugins.agents.values import OWED_BY_US, OWED_TO_US
from tests.helpers import as_system

CLAUSE = "R18-5.1.2b"
CATEGORY = {"closed": "closed", "cancelled": "cancelled"}
_numbers = itertools.count(1)


@dataclass
class Books:
    """A place with an agent, whose statements are made by hand."""

    place: scene.Place
    agent: int
    cases: list[int] = field(default_factory=list)

    @property
    def unit(self) -> Unit:
        return self.place.unit

    @property
    def today(self) -> date:
        return (self.place.now + timedelta(hours=8)).date()

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = scene.ALL) -> Iterator[Any]:
        with self.place.acting(user, permissions) as work:
            yield work

    def contract(self, **columns: Any) -> int:
        return self.place.contract(self.agent, **columns)

    def statement(
        self, receivable: str = "0", payable: str = "0", state: str = "approved", agent: int = 0, **columns: Any
    ) -> int:
        """Put a statement of these sums into the tables (with ``lines``: as they are)."""
        number = next(_numbers)
        record = Record(
            unit_id=self.unit.id,
            uid=uuid7(),
            type=statements.CODE,
            number=f"DZ-{number:05d}",
            title="结算单",
            state=state,
            category=CATEGORY.get(state, "open"),
            received_at=self.place.now,
            entered_at=self.place.now,
        )
        given = {
            "period": f"{2000 + number // 12}-{number % 12 + 1:02d}",
            "drafting": state == "draft",
            "receivable": Decimal(receivable),
            "payable": Decimal(payable),
            "approved_at": self.place.now + timedelta(seconds=number),
            "due_on": self.today + timedelta(days=30),
            **columns,
        }
        with clock.frozen(self.place.now), as_system() as work:
            work.add(record)
            work.flush()
            work.add(Statement(id=record.id, unit_id=self.unit.id, agent_id=agent or self.agent, **given))
            work.flush()
            return record.id

    def with_lines(self, *amounts: str, state: str = "sent", payable: Sequence[str] = (), **columns: Any) -> int:
        """Put a statement with a line for each amount into the tables."""
        both = [(OWED_TO_US, Decimal(one)) for one in amounts] + [(OWED_BY_US, Decimal(one)) for one in payable]
        sums = {
            side: str(sum((amount for one, amount in both if one == side), Decimal(0)))
            for side in (OWED_TO_US, OWED_BY_US)
        }
        key = self.statement(sums[OWED_TO_US], sums[OWED_BY_US], state, line_count=len(both), **columns)
        for place, (side, amount) in enumerate(both):
            self.line(key, side, amount, place)
        return key

    def line(self, key: int, side: str, amount: Decimal, place: int = 0, **columns: Any) -> int:
        """Put a line onto a statement, with its posted charge."""
        if not self.cases:
            self.cases.append(self.place.case(serial="", cause=""))
        payer, ref = ("agent" if side == OWED_TO_US else "company"), self.place.code_of(self.agent)
        given = {"label": f"人工费{place + 1}", "label_en": f"Labour {place + 1}", "clause": CLAUSE}
        charge = Charge(
            unit_id=self.unit.id,
            record_id=self.cases[0],
            clause=CLAUSE,
            source=f"test:{next(_numbers)}",
            code="labour",
            created_at=self.place.now,
            label=given["label"],
            payer=payer,
            payer_ref=ref,
            quantity=Decimal(1),
            price=amount,
            amount=amount,
            state="posted",
            month="2025-10",
            posted_at=self.place.now,
            inputs={},
        )
        with clock.frozen(self.place.now), as_system() as work:
            work.add(charge)
            work.flush()
            row = StatementLine(
                unit_id=self.unit.id,
                statement_id=key,
                charge_id=charge.id,
                record_id=self.cases[0],
                direction=side,
                amount=amount,
                **{**given, "checks": {"notice": ["passed", ""], "old_part": ["not_checked", ""]}, **columns},
            )
            work.add(row)
            work.flush()
            return row.id

    def pay(self, amount: str, kind: str = values.RECEIVED_FROM, user: User | None = None, **given: Any) -> int:
        """Enter a payment; return its id."""
        raw = {
            "agent_id": self.agent,
            "kind": kind,
            "amount": amount,
            "paid_on": self.today.isoformat(),
            "reference": f"T-{next(_numbers)}",
            **given,
        }
        with self.acting(user):
            return payments.register(self.unit.id, raw).id

    def sides(self, key: int) -> tuple[Decimal, Decimal]:
        """Return what a statement says was received and paid."""
        with self.acting() as work:
            row = work.scalars(select(Statement).where(Statement.id == key)).one()
            return row.received, row.paid

    def state(self, key: int) -> str:
        return self.place.state(key)

    def rest(self, payment_id: int) -> Decimal:
        with self.acting():
            return payments.rest_of([payment_id])[payment_id]

    def all(self, model: Any) -> list[Any]:
        with self.acting() as work:
            rows = list(work.scalars(select(model).order_by(model.id)))
            work.expunge_all()
            return rows

    def check(self) -> None:
        """What payments say, what statements say and what is on account agree to the cent."""
        lines, rows = self.all(PaymentLine), self.all(Payment)
        for row in rows:
            mine = [abs(one.amount) for one in lines if one.payment_id == row.id]
            if row.kind == values.OFFSET:
                assert sum(mine) == 2 * row.amount
            elif not row.void:
                assert sum(mine) == row.amount - self.rest(row.id)
            else:
                assert self.rest(row.id) == 0
        good = {row.id for row in rows if not row.void}
        sums: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for line in lines:
            if line.payment_id in good:
                sums[line.statement_id, line.direction] += line.amount
        for one in self.all(Statement):
            assert (one.received, one.paid) == (sums[one.id, OWED_TO_US], sums[one.id, OWED_BY_US])
            for whole, part in ((one.receivable, one.received), (one.payable, one.paid)):
                assert min(whole, Decimal(0)) <= part <= max(whole, Decimal(0))


def make_books(code: str = "") -> Books:
    place = scene.make_place(code=code) if code else scene.make_place()
    return Books(place, place.agent())

"""What the tests of quotes set up: an office in which only some clauses hold, cases to be paid for."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from core.records.models import RefusalLog
from core.rules.approval_models import Approval
from core.rules.rulebook import current_rulebook
from core.rules.setting_models import ClauseSetting
from core.sdk import Charge, Fact, Record, Unit, User, approvals, charges, perform
from plugins.warranty import rights
from plugins.warranty.models import Quote
from tests import casework
from tests.helpers import as_system, in_scope, make_user, switch_on

MONDAY = datetime(2026, 3, 2, 2, tzinfo=UTC)  # ten in the morning in China
ALL = casework.ALL | frozenset(value for name, value in vars(rights).items() if name.isupper())
# What prices a visit, and what R17 says about consent and refusal.
PRICING = ("R17-5.2.2", "R17-5.2.3", "R17-5.2.4")
CONSENT = ("R17-5.2.5a", "R17-5.2.8", "R17-7.2.4a")
WAIVER = "R17-7.2.4b"
R17 = (*PRICING, *CONSENT, WAIVER)
# One person, three days, two nights: 680 + 300 + 150 + 600.
VISIT = {"means": "on_site", "people": "1", "days": "3", "nights": "2", "travel": "680"}
TOTAL = Decimal("1730.00")
SHORT = {**VISIT, "days": "1", "nights": "0"}  # 680 + 50 + 200
SHORT_TOTAL = Decimal("930.00")
AGREED = {"means": "phone", "who": "马林"}
_phones = itertools.count(1)


@dataclass
class Desk:
    """An office whose cases are quoted."""

    office: casework.Office

    @property
    def unit(self) -> Unit:
        return self.office.unit

    @contextmanager
    def acting(self, user: User | None = None, permissions: Any = ALL) -> Iterator[Any]:
        with in_scope(self.unit, permissions, user or self.office.desk) as work:
            yield work

    def do(self, case: int, step: str, given: Mapping[str, Any] | None = None, **options: Any) -> None:
        """Take a step of a case; names without a colon are the core's."""
        user = options.pop("user", None)
        with self.acting(user):
            perform(case, step, self.office.usual(step) if given is None else given, **options)

    def case(self, result: str = "out_of_warranty") -> int:
        """Register a case to be repaired, with its coverage decided ("" for not yet)."""
        key = self.office.new_case(contact_phone=f"139{next(_phones):08}")
        self.do(key, "classify")
        if result:
            self.decide(key, result)
        return key

    def decide(self, key: int, result: str) -> None:
        self.do(key, "warranty:decide", {"cause": "quality", "result": result, "reason": "查档案"})

    def quoted(self, plan: Mapping[str, Any] = VISIT) -> int:
        key = self.case()
        self.do(key, "warranty:quote", plan)
        return key

    def told(self, plan: Mapping[str, Any] = VISIT) -> int:
        key = self.quoted(plan)
        self.do(key, "warranty:send", {"by": "phone"})
        return key

    def refused(self) -> int:
        key = self.told()
        self.do(key, "warranty:refuse", {"reason": "太贵"})
        return key

    def consented(self) -> int:
        key = self.told()
        self.do(key, "warranty:consent", AGREED)
        return key

    def at_work(self, key: int) -> None:
        for step in ("assign", "depart", "arrive"):
            self.do(key, step)

    def solved(self) -> int:
        key = self.consented()
        self.at_work(key)
        self.do(key, "solve")
        return key

    # --- looking -------------------------------------------------------------------------------

    def quotes(self, key: int) -> list[Quote]:
        return self._all(select(Quote).where(Quote.record_id == key).order_by(Quote.id))

    def quote(self, key: int) -> Quote:
        return next(one for one in self.quotes(key) if one.current)

    def charges(self, key: int, payer: str = "customer") -> list[Charge]:
        found = select(Charge).where(Charge.record_id == key, Charge.payer == payer).order_by(Charge.id)
        return self._all(found)

    def approvals(self, key: int) -> list[Approval]:
        return self._all(select(Approval).where(Approval.record_id == key).order_by(Approval.id))

    def facts(self, key: int) -> list[Fact]:
        return self._all(select(Fact).where(Fact.record_id == key).order_by(Fact.seq))

    def kinds(self, key: int) -> list[str]:
        return [one.kind for one in self.facts(key)]

    def state(self, key: int) -> str:
        return str(self._all(select(Record).where(Record.id == key))[0].state)

    def clauses_against(self, key: int, step: str) -> set[str]:
        """Return the clauses that refused a step, as kept in evidence."""
        found = select(RefusalLog).where(RefusalLog.record_id == key, RefusalLog.transition == step)
        return {one.clause for one in self._all(found) if one.clause}

    def total(self, key: int, payer: str = "customer") -> charges.Total:
        with self.acting():
            return next((one for one in charges.totals(key) if one.payer == payer), charges.Total(payer))

    def _all(self, statement: Any) -> list[Any]:
        with self.acting() as work:
            rows = list(work.scalars(statement))
            work.expunge_all()
            return rows

    def decide_on(self, user: User, approval_id: int, agreed: bool = True, **options: Any) -> None:
        """Agree to an approval, or reject it, as one of the office's leaders."""
        with self.office.acting(user):
            if agreed:
                approvals.agree(approval_id, **options)
            else:
                approvals.reject(approval_id, "不同意")


def only(unit: Unit, *clauses: str, **values: Any) -> None:
    """Of the plugin's clauses let only these hold; ``values`` are those of the first of them."""
    book = current_rulebook().clauses
    with as_system() as work:
        work.add_all(
            ClauseSetting(
                unit_id=unit.id,
                clause=one.id,
                starts_on=date(2020, 1, 1),
                holds=one.id in clauses,
                values=values if clauses and one.id == clauses[0] else {},
                created_at=MONDAY,
                schema=one.schema,
            )
            for one in book.values()
            if one.plugin == "warranty"
        )


def make_desk(app: Any, *clauses: str, **values: Any) -> Desk:
    office = casework.make_office()
    switch_on(office.unit, "warranty")
    with app.app_context():
        only(office.unit, *(clauses or R17), **values)
    return Desk(office)


def a_second_person(desk: Desk) -> User:
    return make_user(desk.unit, ALL, name="同事")


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

"""What every plugin keeps to, for this one."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Any

from core.sdk import Record, Unit, clock, session, uuid7
from plugins.agents.models import Agent, Contact, Contract, Evaluation, OldPart, Payment, Seller, Statement
from plugins.products import services as products
from plugins.products.models import Item, Model
from tests.contract import PluginContract

# Ids that mean the same to every list of ours: an address with one shows the same thing everywhere.
_ids = itertools.count(900_001)


class TestContract(PluginContract):
    name = "agents"

    def make_rows(self, unit: Unit, count: int) -> list[Any]:
        return [self._agent_with_everything(unit, key) for key in itertools.islice(_ids, count)]

    def _agent_with_everything(self, unit: Unit, key: int) -> Agent:
        """Add an agent with one row of each of its lists."""
        agent = Agent(id=key, unit_id=unit.id, code=f"DL{key}", name=f"代理商 {key}")
        model = Model(id=key, unit_id=unit.id, code=f"M-{key}", name="空气能热泵")
        session().add_all((agent, model))
        session().flush()
        item = Item(id=key, unit_id=unit.id, serial=f"SN-{key}", model_id=key, created_at=clock.now())
        contract, statement, case = (
            self._record(unit, key + place * 1_000_000, kind)
            for place, kind in enumerate(("agents_contract", "agents_statement", "case"))
        )
        session().add_all((item, contract, statement, case))
        session().flush()
        products.index_items([item])
        of = {"unit_id": unit.id, "agent_id": key}
        today = date(2026, 1, 1)
        session().add_all(
            (
                Contact(id=key, name=f"联系人 {key}", **of),
                Contract(id=contract.id, name=f"代理合同 {key}", starts_on=today, **of),
                Statement(id=statement.id, period="2026-01", drafting=False, **of),
                Seller(id=key, item_id=key, entered_at=clock.now(), **of),
                Payment(
                    id=key,
                    kind="in",
                    amount=Decimal(10),
                    paid_on=today,
                    reference=f"R-{key}",
                    entered_at=clock.now(),
                    **of,
                ),
                Evaluation(
                    id=key,
                    on=today,
                    means="visit",
                    awareness=4,
                    attitude=4,
                    skill=4,
                    quality=4,
                    entered_at=clock.now(),
                    **of,
                ),
                OldPart(id=key, unit_id=unit.id, record_id=case.id, part=f"旧件 {key}"),
            )
        )
        session().flush()
        return agent

    def _record(self, unit: Unit, key: int, kind: str) -> Record:
        now = clock.now()
        given = {"number": f"N-{key}", "title": "代理商", "state": "draft", "category": "open"}
        return Record(id=key, unit_id=unit.id, uid=uuid7(), type=kind, received_at=now, entered_at=now, **given)

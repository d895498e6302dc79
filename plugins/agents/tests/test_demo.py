"""What the plugin adds to the demonstration, in a small one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from core.demo import fill as demo
from core.demo import people
from core.kernel import clock
from core.rules.effective import holds
from core.sdk import Charge, Record, Unit
from plugins.agents import statements, values
from plugins.agents.models import (
    Agent,
    Contact,
    Contract,
    Evaluation,
    Notice,
    Order,
    Payment,
    Seller,
    Statement,
    StatementLine,
)
from tests.casework import reading
from tests.test_demo import MOMENTS, shrink


@pytest.fixture
def filled(sqlite_app: Any, monkeypatch: Any) -> Any:
    shrink(monkeypatch, cases=30, customers=4)
    with clock.frozen(MOMENTS["morning"]), sqlite_app.app_context():
        demo.fill()
        yield sqlite_app


def test_units_that_settle_have_agents_and_their_sums_agree(filled: Any) -> None:
    with reading() as work:
        units = {unit.code: unit.id for unit in work.scalars(select(Unit))}
        settling = {units["HQ"], units["FAC"]}
        assert not holds(units["STORE"], "R18-5.1.2b") and holds(units["FAC"], "R18-5.1.2b")
        kinds = {tuple(row) for row in work.execute(select(Agent.unit_id, Agent.kind))}
        assert kinds == {(unit_id, kind) for unit_id in settling for kind, _words in values.KINDS}
        for model in (Contract, Contact, Seller, Notice, Order, Evaluation, Statement, Payment):
            assert set(work.scalars(select(model.unit_id))) <= settling, model
            assert work.scalar(select(func.count()).select_from(model)), model
        ends = work.scalars(select(Contract.ends_on).where(Contract.unit_id == units["HQ"])).all()
        today = clock.now().date()
        assert any(one and one < today for one in ends)
        assert any(one and 0 <= (one - today).days <= 30 for one in ends)
        _lines_are_charges(work)
        states = set(work.scalars(select(Record.state).where(Record.type == statements.CODE)))
        assert statements.CLOSED in states and len(states) > 1
    names = {one.username for one in people.demo_sign_ins()}
    assert {"hq.agent", "daili.hq", "daili.fac"} <= names


def _lines_are_charges(work: Any) -> None:
    """Every line says what its charge says, no charge stands twice, and statements add up."""
    rows = work.execute(select(StatementLine, Charge).join(Charge, Charge.id == StatementLine.charge_id)).all()
    kept = [(line, charge) for line, charge in rows if not line.released]
    assert kept and len({charge.id for _line, charge in kept}) == len(kept)
    assert all(line.amount == charge.amount for line, charge in kept)
    for one in work.scalars(select(Statement)):
        mine = [line for line, _charge in kept if line.statement_id == one.id]
        for side, total in ((values.OWED_TO_US, one.receivable), (values.OWED_BY_US, one.payable)):
            assert sum(line.amount for line in mine if line.direction == side) == total

"""What the plugin adds to the demonstration, in a small one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from core.demo import fill as demo
from core.kernel import clock
from core.sdk import Record, Unit, User, pins
from plugins.tools import demo as tools_demo
from plugins.tools import values
from plugins.tools.models import (
    Application,
    Clearance,
    Count,
    Custody,
    Handover,
    Incident,
    Party,
    Permit,
    Purchase,
    Stock,
    StockMove,
    Tool,
)
from tests.casework import reading
from tests.test_demo import MOMENTS, shrink


@pytest.fixture
def filled(sqlite_app: Any, monkeypatch: Any) -> Any:
    shrink(monkeypatch, cases=6, customers=3)
    with clock.frozen(MOMENTS["morning"]), sqlite_app.app_context():
        demo.fill()
        yield sqlite_app


def test_tools_stand_in_all_states_and_the_ledger_adds_up(filled: Any) -> None:
    with reading() as work:
        units = {unit.code: unit.id for unit in work.scalars(select(Unit))}
        _one_unit(work, units["HQ"])
        held = dict(
            work.execute(
                select(Custody.tool_id, func.count()).where(Custody.ends_at.is_(None)).group_by(Custody.tool_id)
            ).all()
        )
        assert set(held) == set(work.scalars(select(Tool.id))) and set(held.values()) == {1}
        for row in work.scalars(select(Stock)):
            come = select(func.sum(StockMove.quantity)).where(StockMove.kind_id == row.kind_id)
            gone = work.scalar(come.where(StockMove.giver_id == row.party_id)) or 0
            assert row.quantity == (work.scalar(come.where(StockMove.taker_id == row.party_id)) or 0) - gone


def _one_unit(work: Any, unit_id: int) -> None:
    states = _states(work, unit_id, "tools_tool")
    assert states >= {
        values.NEW,
        values.IN_STORE,
        values.ISSUED,
        values.ON_LOAN,
        values.IN_REPAIR,
        values.DEFECTIVE,
        values.LOST,
        values.RETIRED,
    }
    for model in (Application, Clearance, Count, Handover, Incident, Permit, Purchase):
        assert work.scalar(select(func.count()).select_from(model).where(model.unit_id == unit_id)), model
    stores = select(func.count()).where(Party.unit_id == unit_id, Party.kind == values.STORE)
    assert work.scalar(stores) == 2
    now = clock.now()
    due = work.scalars(select(Tool.due_at).where(Tool.unit_id == unit_id, Tool.due_at.is_not(None))).all()
    assert any(one < now for one in due) and any(one > now for one in due)
    opening = select(Handover).where(Handover.unit_id == unit_id, Handover.kind == values.OPENING)
    assert [one.record.state for one in work.scalars(opening)] == [values.OFFERED]
    assert len(_states(work, unit_id, "tools_incident")) >= 3
    assert _states(work, unit_id, "tools_purchase") >= {values.RECEIVED}
    assert len(_states(work, unit_id, "tools_count")) == 2


def _states(work: Any, unit_id: int, kind: str) -> set[str]:
    return set(work.scalars(select(Record.state).where(Record.unit_id == unit_id, Record.type == kind)))


def test_two_people_of_the_headquarters_have_a_pin(filled: Any) -> None:
    with reading() as work:
        ids = {
            name: work.scalars(select(User.id).where(User.username == name)).one()
            for name in ("hq.warehouse", "hq.field_staff")
        }
        assert pins.with_pin(list(ids.values())) == set(ids.values())
        assert pins.problem(tools_demo.PIN) is None

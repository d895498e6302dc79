"""A month's losses and wear, what they propose to buy, and the recurring work that this finishes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.kernel import clock
from core.records.models import Notice
from core.rules import schedules
from core.sdk import InvalidData, NotAllowed, Record, Refused, lock, perform, session, transaction
from core.tasks.models import Task
from core.units.models import UnitParent, UnitPlugin
from plugins.tools import custody, purchase, rights, statistics, stock, values
from plugins.tools.models import Kit, KitLine, Party, Purchase, Tool
from tests.helpers import as_system

from .scene_buying import MONDAY, Shop, make_shop

MONTH, BEFORE = "2026-11", "2026-10"
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
ASKING = ("R15-19", "R32-2.1", "R32-2.2", "R35-4.4", "R35-4.9")


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    made = make_shop()
    made.office.clause(*ASKING, on=False)
    yield made


def row_of(shop: Shop, kind: int, month: str = MONTH) -> statistics.Row:
    with shop.acting():
        return next(row for row in statistics.of_month(shop.unit.id, month) if row.kind.id == kind)


def issue(shop: Shop, tool: int, store: int, person: int) -> None:
    """Give a tool to a person, as a hand-over would."""
    with shop.acting() as work, transaction():
        lock(tool)
        perform(tool, "issue", {}, permitted=True)
        row = work.get_one(Tool, tool)
        custody.move(row, work.get_one(Party, store), work.get_one(Party, person), shop.now, values.ISSUE)


def kit(shop: Shop, **pieces: int) -> None:
    with as_system() as work:
        for one in work.scalars(select(Kit).where(Kit.unit_id == shop.unit.id)):
            one.standard = False
        made = Kit(unit_id=shop.unit.id, name="测试标配", standard=True)
        work.add(made)
        work.flush()
        work.add_all(
            KitLine(unit_id=shop.unit.id, kit_id=made.id, kind_id=int(key[1:]), quantity=count)
            for key, count in pieces.items()
        )


def test_the_figures_of_a_month_are_those_of_its_days(shop: Shop) -> None:
    kind, store = shop.kind(price=Decimal(100)), shop.store()
    tools = [shop.tool(kind, store) for _ in range(6)]
    shop.step(tools[0], "lose")
    shop.step(tools[1], "lose")
    shop.step(tools[1], "find_in_store")
    shop.step(tools[2], "report_defect")
    for tool, why in ((tools[2], "worn"), (tools[3], "life"), (tools[4], "unfit")):
        with shop.acting():
            perform(tool, "retire", {"why": why, "reason": "用旧"})
    shop.step(tools[3], "dispose")
    row = row_of(shop, kind)
    wanted = {"lost": 2, "found": 1, "defective": 1, "worn": 2, "scrapped": 1}
    assert {name: row.figures[name] for name in wanted} == wanted
    assert row.in_stores == 2
    shop.later(days=40)
    assert not row_of(shop, kind, "2026-12").happened
    assert row_of(shop, kind).figures["lost"] == 2


def test_the_month_is_that_of_the_units_zone(shop: Shop) -> None:
    """The last hour of October in China is still in UTC's October 31st; the first of November too."""
    kind, store = shop.kind(), shop.store()
    shop.now = MONDAY.replace(month=10, day=1)
    first, second = shop.tool(kind, store), shop.tool(kind, store)
    shop.now = MONDAY.replace(month=10, day=31, hour=15, minute=59)
    shop.step(first, "lose")
    shop.now = MONDAY.replace(month=10, day=31, hour=16, minute=1)
    shop.step(second, "lose")
    shop.now = MONDAY
    assert [row_of(shop, kind, month).figures["lost"] for month in (BEFORE, MONTH)] == [1, 1]


def test_small_parts_used_up_and_counted_short(shop: Shop) -> None:
    tape, store = shop.parts(low_stock=20), shop.store()
    shop.move(tape, None, store, 30)
    shop.move(tape, store, None, "10.5")
    with shop.acting():
        stock.count(shop.unit.id, {"party": store, "kind": tape, "counted": "17"})
        stock.count(shop.unit.id, {"party": store, "kind": tape, "counted": "18"})
    row = row_of(shop, tape)
    assert (row.used, row.short, row.in_stores, row.missing) == (
        Decimal("10.5"),
        Decimal("2.5"),
        Decimal(18),
        2,
    )


@pytest.mark.clause("R28-3.3")
def test_what_is_missing_to_the_least_stock_is_proposed_once(shop: Shop) -> None:
    kind, store = shop.kind("测电笔二型", price=Decimal("35.50"), low_stock=5), shop.store()
    shop.tool(kind, store)
    shop.tool(kind, store, accepted=False)
    assert row_of(shop, kind).missing == 3
    with shop.acting():
        record = statistics.submit(shop.unit.id, MONTH)
        assert record is not None
        line = shop.lines(record.id)[0]
    assert (line.kind_id, line.quantity, line.price) == (kind, 3, Decimal("35.50"))
    # It stands on a plan now: nothing more is missing.
    assert row_of(shop, kind).missing == 0
    shop.do(record.id, "cancel", reason="不买了")
    assert row_of(shop, kind).missing == 3


@pytest.mark.clause("R35-4.1")
def test_sets_with_something_lost_are_filled_up(shop: Shop) -> None:
    plier, tape, store = shop.kind("剥线钳二型"), shop.parts("防水胶带"), shop.store()
    kit(shop, **{f"k{plier}": 2, f"k{tape}": 1})
    _ann, ann = shop.person()
    _bob, bob = shop.person()
    shop.person()  # somebody without a set
    for person, count in ((ann, 2), (bob, 1)):
        for _ in range(count):
            issue(shop, shop.tool(plier, store), store, person)
    shop.move(tape, None, ann, 1, why=stock.START)
    assert (row_of(shop, plier).sets, row_of(shop, tape).sets) == (1, 1)
    with shop.acting():
        held = custody.held_by(bob)[0].id
    shop.step(held, "lose")
    assert row_of(shop, plier).sets == 2


def test_the_price_is_the_usual_one_or_the_last_paid(shop: Shop) -> None:
    kind, store = shop.kind(low_stock=9), shop.store()
    shop.tool(kind, store, price="80")
    shop.tool(kind, store, price="95.50")
    with shop.acting():
        rows = [row for row in statistics.of_month(shop.unit.id, MONTH) if row.kind.id == kind]
        assert statistics.proposal(rows)[0]["price"] == Decimal("95.50")


@pytest.mark.clause("R35-4.9")
def test_reporting_a_month_finishes_its_task_and_tells_the_manager(shop: Shop) -> None:
    shop.office.clause_settings_gone()
    shop.office.clause("R35-4.9")
    manager = shop.office.staff("dept_manager")
    kind = shop.kind(low_stock=2, price=Decimal(10))
    make_tasks(shop)
    assert states_of_tasks(shop, "R35-4.9") == ["open"]
    with shop.acting():
        record = statistics.submit(shop.unit.id, MONTH)
        assert record is not None
    assert states_of_tasks(shop, "R35-4.9") == ["done"]
    with as_system() as work:
        detail = work.get_one(Purchase, record.id)
        assert (detail.kind, detail.period) == (values.MONTHLY, MONTH)
        told = work.scalars(select(Notice.user_id).where(Notice.record_id == record.id)).all()
        assert told == [manager.id]
    with shop.acting(), pytest.raises(Refused) as refused:
        statistics.submit(shop.unit.id, MONTH)
    assert [one.clause for one in refused.value.refusals] == ["R35-4.9"]
    assert row_of(shop, kind).missing == 0
    # The purchase itself waits for the manager.
    with pytest.raises(Refused) as refused:
        shop.do(record.id, "approve")
    assert "R35-4.9" in {one.clause for one in refused.value.refusals}


@pytest.mark.clause("R35-4.9")
def test_a_month_with_nothing_missing_is_reported_without_a_plan(shop: Shop) -> None:
    shop.office.clause_settings_gone()
    shop.office.clause("R35-4.9")
    make_tasks(shop)
    with shop.acting():
        assert statistics.submit(shop.unit.id, MONTH) is None
    assert states_of_tasks(shop, "R35-4.9") == ["done"]


def test_months_that_are_none(shop: Shop) -> None:
    for month in ("2026-12", "2026-13", "", None, "11"):
        with shop.acting(), pytest.raises(InvalidData):
            statistics.submit(shop.unit.id, month)
    with shop.acting(permissions={rights.VIEW, rights.KEEP}), pytest.raises(NotAllowed):
        statistics.submit(shop.unit.id, MONTH)
    with shop.acting(permissions={rights.OWN}), pytest.raises(NotAllowed):
        statistics.of_month(shop.unit.id, MONTH)


@pytest.mark.clause("R32-2.1")
def test_the_plan_of_a_year_counts_wear_and_finishes_its_task(shop: Shop) -> None:
    shop.office.clause_settings_gone()
    shop.office.clause("R15-19", "R35-4.4", "R35-4.9", on=False)
    shop.office.clause("R32-2.1")
    tape, store = shop.parts(price=Decimal(3)), shop.store()
    shop.move(tape, None, store, 10)
    shop.move(tape, store, None, 40 - 30)
    shop.later(days=35)
    shop.now = shop.now.replace(month=12, day=20)
    make_tasks(shop, timedelta(days=60))
    with shop.acting():
        plan = statistics.draft_year(shop.unit.id, 2027).id
    assert [(one.kind_id, one.quantity) for one in shop.lines(plan)] == [(tape, 10)]
    with shop.acting(), pytest.raises(Refused):
        statistics.draft_year(shop.unit.id, 2027)
    with pytest.raises(Refused) as refused:
        shop.do(plan, "approve")
    assert {one.clause for one in refused.value.refusals} == {"R32-2.1"}
    before = states_of_tasks(shop, "R32-2.1")
    _agreed(shop, plan)
    shop.do(plan, "approve")
    after = states_of_tasks(shop, "R32-2.1")
    assert before.count("open") == after.count("open") + 1 and "done" in after


def _agreed(shop: Shop, plan: int) -> None:
    from .test_purchase import agree

    agree(shop, plan, "R32-2.1", "engineering", "30")


def make_tasks(shop: Shop, since: timedelta = timedelta(days=1)) -> None:
    """Let recurring work be made in a unit that began long ago, as the background does, over some days."""
    with as_system() as work:
        for line in work.scalars(select(UnitParent).where(UnitParent.unit_id == shop.unit.id)):
            line.valid_from = LONG_AGO.date()
        for plugin in work.scalars(select(UnitPlugin).where(UnitPlugin.unit_id == shop.unit.id)):
            plugin.changed_at = LONG_AGO
    for moment in (shop.now - since, shop.now):
        with clock.frozen(moment), as_system():
            schedules.create_due(shop.unit.id)


def states_of_tasks(shop: Shop, clause: str) -> list[str]:
    with as_system() as work:
        found = select(Record.state).join(Task, Task.id == Record.id)
        mine: Any = found.where(Task.unit_id == shop.unit.id, Task.clause == clause).order_by(Task.starts_on)
        return list(work.scalars(mine))


def test_a_granted_application_becomes_a_plan_once(shop: Shop) -> None:
    from core.sdk import uuid7
    from plugins.tools.models import Application

    kind = shop.kind(price=Decimal(60))
    user, _party = shop.person()
    with clock.frozen(shop.now), as_system() as work:
        head = Record(
            unit_id=shop.unit.id,
            uid=uuid7(),
            type="tools_application",
            number="SQ-1",
            title="增配",
            state=values.ASKED,
            category="open",
            received_at=shop.now,
            entered_at=shop.now,
        )
        work.add(head)
        work.flush()
        work.add(
            Application(
                id=head.id,
                unit_id=shop.unit.id,
                kind=values.A_ADDITIONAL,
                user_id=user.id,
                kind_id=kind,
                quantity=2,
                reason="新增班组",
            )
        )
        key = head.id
    with shop.acting(), pytest.raises(Refused):
        purchase.from_application(key)
    with as_system() as work:
        work.get_one(Record, key).state = values.GRANTED
    with shop.acting():
        plan = purchase.from_application(key).id
        session().commit()
    assert [(one.kind_id, one.quantity, one.price) for one in shop.lines(plan)] == [(kind, 2, Decimal(60))]
    with shop.acting(), pytest.raises(Refused):
        purchase.from_application(key)

"""The reports of tools, counted by hand, on both databases. Another unit's data are never in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.kernel.i18n import speaking
from core.reports import making
from core.sdk import Charge, Record, lock, perform, transaction, uuid7
from plugins.tools import custody, reports, rights, values
from plugins.tools.models import Incident, Party, Tool
from tests import helpers

from .scene_buying import Shop, make_shop

RIGHTS = {rights.VIEW, "report.view", "case.view"}
_numbers = itertools.count(1)


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    made = make_shop()
    made.office.clause("R15-19", "R35-4.4", on=False)
    yield made


def rows(report: Any, shop: Shop, **wanted: Any) -> list[dict[str, Any]]:
    with clock.frozen(shop.now), helpers.in_scope(shop.unit, RIGHTS), speaking("en"):
        return [dict(row) for row in report.rows([shop.unit.id], wanted)]


def give(shop: Shop, tool: int, store: int, person: int, step: str = "issue", **given: Any) -> None:
    """Move a tool as a hand-over would."""
    with shop.acting() as work, transaction():
        lock(tool)
        perform(tool, step, given, permitted=True)
        ends = [work.get_one(Party, one) for one in (store, person)]
        custody.move(work.get_one(Tool, tool), *ends, shop.now, values.ISSUE)


def incident(shop: Shop, tool: int, kind: str, *charges: tuple[str, str], **columns: Any) -> None:
    """Put an incident and its charges straight into the tables."""
    with helpers.as_system() as work:
        number = next(_numbers)
        state = columns.pop("state", values.REPORTED)
        at = columns.pop("at", shop.now)
        head = Record(
            unit_id=shop.unit.id,
            uid=uuid7(),
            type="tools_incident",
            number=f"SG-{number}",
            title="丢失",
            state=state,
            category="open",
            received_at=at,
            entered_at=at,
        )
        work.add(head)
        work.flush()
        work.add(Incident(id=head.id, unit_id=shop.unit.id, kind=kind, tool_id=tool, happened_at=at))
        for line, (charge_state, amount) in enumerate(charges):
            work.add(
                Charge(
                    unit_id=shop.unit.id,
                    record_id=head.id,
                    clause="R35-6.2",
                    source="tools.incident",
                    code="tool",
                    label="工具赔偿",
                    line=line,
                    payer="employee",
                    amount=Decimal(amount),
                    state=charge_state,
                    created_at=at,
                )
            )


def test_tools_by_holder_add_up(shop: Shop) -> None:
    kind, store = shop.kind("测电笔二型"), shop.store("东库")
    _user, ann = shop.person("安师傅")
    tools = [shop.tool(kind, store, price="10.10") for _ in range(5)]
    give(shop, tools[0], store, ann)
    give(shop, tools[1], store, ann, "lend", due_at=(shop.now + timedelta(hours=1)).isoformat())
    shop.step(tools[0], "report_defect")
    shop.later(hours=2)
    away = make_shop()
    away.tool(away.kind(), away.store())
    found = {row["name"]: row for row in rows(reports.CUSTODY, shop)}
    assert set(found) == {"东库", "安师傅"}
    assert found["安师傅"]["holder"] == "Person"
    mine = found["安师傅"]
    assert (mine["tools"], mine["on_loan"], mine["overdue"], mine["defective"], mine["issued"]) == (2, 1, 1, 1, 0)
    assert mine["value"] == Decimal("20.20") and found["东库"]["value"] == Decimal("30.30")
    assert found["东库"]["in_store"] == 3
    only = rows(reports.CUSTODY, shop, holder=values.PERSON)
    assert [row["name"] for row in only] == ["安师傅"]
    assert [row["tool"].split()[0] for row in rows(reports.OVERDUE, shop)] == [code_of(tools[1])]


def code_of(tool: int) -> str:
    with helpers.as_system() as work:
        return work.get_one(Tool, tool).code


def test_losses_and_compensation_by_month(shop: Shop) -> None:
    kind, store = shop.kind(), shop.store()
    tools = [shop.tool(kind, store) for _ in range(3)]
    incident(shop, tools[0], values.LOSS, ("posted", "120.50"), ("consented", "10"))
    incident(shop, tools[1], values.LOSS, ("settled", "80"), ("void", "999"))
    incident(shop, tools[1], values.DAMAGE, at=shop.now - timedelta(days=30))
    incident(shop, tools[2], values.LOSS, state=values.CANCELLED)
    found = rows(reports.LOSSES, shop, period="year")
    assert [row["month"] for row in found] == ["2026-10", "2026-11"]
    assert (found[0]["damage"], found[0]["loss"]) == (1, 0)
    assert (found[1]["loss"], found[1]["posted"], found[1]["settled"], found[1]["proposed"]) == (
        2,
        Decimal("120.50"),
        Decimal(80),
        Decimal(10),
    )


def test_tools_by_age_and_class(shop: Shop) -> None:
    shop.office.clause("R15-16")
    kind, store = shop.kind("热熔机", life_months=24), shop.store()
    for bought, price in (("2026-06-01", "500"), ("2024-11-03", "1500"), ("2023-11-02", "200"), (None, "1")):
        shop.tool(kind, store, price=price, bought_on=date.fromisoformat(bought) if bought else None)
    gone = shop.tool(kind, store, price="9")
    shop.do(gone, "cancel", reason="录错")
    found = {row["asset"]: row for row in rows(reports.AGES, shop)}
    low, fixed = found["Low-value tool"], found["Fixed asset"]
    assert [low[name] for name in ("tools", "young", "middle", "old", "unknown", "over")] == [3, 1, 0, 1, 1, 1]
    assert [fixed[name] for name in ("tools", "middle", "over")] == [1, 1, 0]
    assert (low["value"], fixed["value"]) == (Decimal(701), Decimal(1500))
    shop.later(days=1)  # two years old today: its life is over
    assert next(row for row in rows(reports.AGES, shop) if row["asset"] == "Fixed asset")["over"] == 1


def test_purchases_of_a_period(shop: Shop) -> None:
    kind = shop.kind("压线钳二型")
    plan = shop.plan([{"kind": str(kind), "quantity": "3", "price": "19.99"}])
    cancelled = shop.plan([{"kind": str(kind), "quantity": "1", "price": "1"}])
    shop.do(cancelled, "cancel", reason="不买")
    found = rows(reports.PURCHASES, shop, period="year")
    assert [(row["kind"], row["amount"], row["came"], row["state"]) for row in found] == [
        ("压线钳二型", Decimal("59.97"), Decimal(0), "Draft")
    ]
    shop.later(days=400)
    assert rows(reports.PURCHASES, shop, period="year") == []
    assert plan


def test_every_report_is_offered_and_made_with_nothing_in_it(sqlite_app: Flask) -> None:
    shop = make_shop()
    with clock.frozen(shop.now), helpers.in_scope(shop.unit, RIGHTS), speaking("zh"):
        offered = {one.code: one for one in making.usable(shop.unit.id)}
        for report in reports.reports():
            wanted = making.ask(offered[report.code], shop.unit.id, {})
            assert not [line for line in making.lines(wanted) if line.kind == making.ROW]

"""Suppliers: the register, assessments and what they allow; clauses R02-7a, R02-7b, R05-2.1, R05-2.2."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules import schedules
from core.sdk import InvalidData, NotAllowed, NotFound, Record, Refused, perform
from core.tasks.models import Task
from plugins.store import orders, rights, suppliers, values
from plugins.store.models import Assessment, Supplier
from tests.helpers import as_system, current

from .scene import ALL, Shop, clauses, make_shop

GOOD = {"quality": 90, "delivery": 80, "price": 70, "service": 85, "reputation": 95, "verdict": "qualified"}
FULL = {"name": "华东食品有限公司", "supplies": "饼干、糖果", "licence": "SC10131011500123"}


@pytest.fixture
def shop(app: Flask) -> Shop:
    return make_shop()


@pytest.fixture
def small(sqlite_app: Flask) -> Shop:
    return make_shop()


def entered(shop: Shop, **raw: Any) -> int:
    with shop.acting():
        return suppliers.register(shop.unit.id, {**FULL, **raw}).id


def detail(key: int) -> Supplier:
    with as_system() as work:
        found = work.get_one(Supplier, key)
        work.expunge(found)
        return found


def test_a_supplier_is_entered_once(shop: Shop) -> None:
    first = entered(shop, uscc="91310000607378435C", key="")
    assert shop.state(first) == values.CANDIDATE
    with shop.acting(), pytest.raises(InvalidData) as bad:
        suppliers.register(shop.unit.id, {**FULL, "name": "  华东食品有限公司 "})
    assert list(bad.value.errors) == ["name"]
    with shop.acting(), pytest.raises(InvalidData) as bad:
        suppliers.register(shop.unit.id, {**FULL, "name": "别家", "uscc": "91310000607378435C"})
    assert list(bad.value.errors) == ["uscc"]
    other = make_shop()
    assert entered(other) != first


@pytest.mark.parametrize(
    ("raw", "field"),
    [({"name": ""}, "name"), ({"uscc": "913100006073784321"}, "uscc"), ({"phone": "没有"}, "phone")],
)
def test_what_the_register_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    with small.acting(), pytest.raises(InvalidData) as bad:
        suppliers.register(small.unit.id, {**FULL, **raw})
    assert list(bad.value.errors) == [field]


def test_the_same_key_enters_one(shop: Shop) -> None:
    with shop.acting():
        first = suppliers.register(shop.unit.id, FULL, key="k1").id
    with shop.acting():
        assert suppliers.register(shop.unit.id, FULL, key="k1").id == first


def test_two_at_once_enter_one(app: Flask) -> None:
    shop = make_shop()
    app_now, gate, answers = current(), threading.Barrier(2), []

    def enter() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                entered(shop)
                answers.append("done")
            except InvalidData:
                answers.append("refused")

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(answers) == ["done", "refused"]


@pytest.mark.clause("R02-7a")
def test_the_register_asks_for_what_the_clause_wants(shop: Shop) -> None:
    shop.clause("R02-7a")
    with shop.acting(), pytest.raises(InvalidData) as bad:
        suppliers.register(shop.unit.id, {"name": "某某商行"})
    assert set(bad.value.errors) == {"supplies", "licence"}
    assert "R02-7a" in str(bad.value.texts()[0])
    shop.clause("R02-7a", holds=False)
    with shop.acting():
        suppliers.register(shop.unit.id, {"name": "某某商行"})


# --- assessments -----------------------------------------------------------------------------------


@pytest.mark.clause("R02-7b")
def test_an_assessment_qualifies_for_the_interval_of_the_clause(shop: Shop) -> None:
    shop.clause("R02-7b", interval=6)
    key = entered(shop)
    shop.do(key, "assess", **GOOD)
    assert shop.state(key) == values.QUALIFIED
    assert shop.facts(key) == ["registered", "assessed", "qualified"]
    assert detail(key).score == Decimal("84.00")
    assert detail(key).qualified_until == date(2026, 9, 2)
    with pytest.raises(InvalidData) as bad:
        shop.do(key, "assess", **GOOD, valid_until="2026-09-03")
    assert list(bad.value.errors) == ["valid_until"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"quality": 101}, "quality"),
        ({"quality": -1}, "quality"),
        ({"quality": ""}, "quality"),
        ({"on": "2026-03-03"}, "on"),
        ({"valid_until": "2026-03-02"}, "valid_until"),
        ({"verdict": "excellent"}, "verdict"),
    ],
)
def test_what_an_assessment_refuses(small: Shop, more: dict[str, Any], field: str) -> None:
    key = entered(small)
    with pytest.raises(InvalidData) as bad:
        small.do(key, "assess", **{**GOOD, **more})
    assert list(bad.value.errors) == [field]
    assert not small.all(select(Assessment).where(Assessment.supplier_id == key))


def test_an_older_assessment_comes_not_after_a_newer_one(small: Shop) -> None:
    key = entered(small)
    small.do(key, "assess", **GOOD)
    with pytest.raises(InvalidData):
        small.do(key, "assess", **GOOD, on="2026-02-01")


@pytest.mark.clause("R05-2.1")
def test_too_few_points_do_not_qualify(shop: Shop) -> None:
    shop.clause("R05-2.1", least=85)
    key = entered(shop)
    with pytest.raises(InvalidData) as bad:
        shop.do(key, "assess", **GOOD)
    assert "R05-2.1" in str(bad.value.texts()[0])
    shop.do(key, "assess", **{**GOOD, "verdict": "refused"})
    assert shop.state(key) == values.SUSPENDED
    assert detail(key).qualified_until is None


@pytest.mark.clause("R05-2.1")
def test_orders_go_to_qualified_suppliers_only(shop: Shop) -> None:
    shop.clause("R05-2.1")
    shop.clause("R02-7b", holds=False)
    model = shop.model(barcode="6901234567892")
    key = entered(shop)
    with shop.acting():
        order = orders.register(
            shop.unit.id, {"supplier": str(key), "lines": "6901234567892, 5", "standard_met": "1"}
        ).id
    with pytest.raises(Refused) as refused:
        shop.do(order, "order")
    assert clauses(refused.value) == {"R05-2.1"}
    shop.do(key, "assess", **GOOD)
    shop.do(order, "order")
    assert shop.state(order) == values.ORDERED
    assert model


@pytest.mark.clause("R02-7b")
def test_overdue_assessments_stop_new_orders(shop: Shop) -> None:
    shop.clause("R02-7b")
    shop.model(barcode="6901234567892")
    key = shop.supplier(until=shop.today)
    raw = {"supplier": str(key), "lines": "6901234567892, 5", "standard_met": "1"}
    with shop.acting():
        first, second = (orders.register(shop.unit.id, raw).id for _ in range(2))
    shop.do(first, "order")  # the last day
    shop.later(days=1)
    with pytest.raises(Refused) as refused:
        shop.do(second, "order")
    assert clauses(refused.value) == {"R02-7b"}
    assert shop.state(second) == values.DRAFT
    shop.do(key, "assess", **GOOD)
    shop.do(second, "order")


@pytest.mark.clause("R02-7b", "R05-2.2")
def test_the_recurring_assessment_is_finished_by_one(shop: Shop) -> None:
    for clause in ("R02-7b", "R05-2.2"):
        shop.clause(clause)
    key = shop.supplier("东方商行")
    shop.supplier("候选商行", state=values.CANDIDATE, until=None)
    from core.kernel import clock
    from core.kernel.database import system_scope

    with clock.frozen(shop.now), current().app_context(), system_scope("test"):
        schedules.create_due(shop.unit.id)
        schedules.create_due(shop.unit.id)
    mine = select(Task).where(Task.unit_id == shop.unit.id, Task.clause.in_(("R02-7b", "R05-2.2")))
    tasks = shop.all(mine)
    assert sorted((one.clause, one.subject) for one in tasks) == [
        ("R02-7b", f"supplier:{key}"),
        ("R05-2.2", f"supplier:{key}"),
    ]
    shop.do(key, "assess", **GOOD)
    assert {shop.state(one.id) for one in tasks} == {"done"}


def test_a_suspended_supplier_comes_back_by_an_assessment_that_is_valid(shop: Shop) -> None:
    shop.clause("R02-7b")
    key = shop.supplier(until=shop.today + timedelta(days=10))
    shop.do(key, "suspend", reason="两次送错货")
    shop.do(key, "resume", reason="已整改")
    assert shop.state(key) == values.QUALIFIED
    shop.do(key, "suspend", reason="两次送错货")
    shop.later(days=11)
    with pytest.raises(Refused) as refused:
        shop.do(key, "resume", reason="已整改")
    assert clauses(refused.value) == {"R02-7b"}
    shop.do(key, "end", reason="不再合作")
    with shop.acting():
        assert str(key) not in dict(suppliers_choices(shop))
    shop.do(key, "reopen", reason="重新合作")
    assert shop.state(key) == values.CANDIDATE


def suppliers_choices(shop: Shop) -> Any:
    from plugins.store import goods

    return goods.supplier_choices(shop.unit.id)


def test_who_may(shop: Shop) -> None:
    key = entered(shop)
    seller = shop.staff("sales")
    with shop.acting(seller), pytest.raises(NotAllowed):
        suppliers.register(shop.unit.id, {**FULL, "name": "别家"})
    with shop.acting(seller), pytest.raises(NotAllowed):
        suppliers.change(key, {"name": "改名"})
    with pytest.raises((NotAllowed, Refused)):
        shop.do(key, "assess", seller, **GOOD)
    buyer = shop.staff("procurement")
    assert rights.BUY in shop.allowed(buyer)
    shop.do(key, "assess", buyer, **GOOD)
    with make_shop().acting(permissions=ALL), pytest.raises(NotFound):
        suppliers.change(key, {"name": "改名"})


def test_a_correction_is_on_record(shop: Shop) -> None:
    key = entered(shop)
    with shop.acting():
        suppliers.change(key, {"contact": "王经理", "phone": "021-55551234"})
    assert detail(key).contact == "王经理"
    assert detail(key).supplies == FULL["supplies"]
    assert shop.facts(key)[-1] == "changed"
    other = shop.supplier("西部商行")
    with shop.acting(), pytest.raises(InvalidData):
        suppliers.change(key, {"name": "西部商行"})
    with shop.acting():
        assert perform(other, "suspend", {"reason": "x"}).state == values.SUSPENDED
    with as_system() as work:
        assert work.get_one(Record, key).title == FULL["name"]

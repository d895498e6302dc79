"""Goods from nothing; what comes back of expired and stopped batches; suspended suppliers; midnight."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import select

from core.sdk import Fact, InvalidData, Refused, perform, session
from core.units.models import Unit
from plugins.store import issues, objections, receiving, values
from plugins.store.models import Lot, Objection, ReceivingLine
from tests.helpers import as_system

from .scene import Shop, clauses, make_shop
from .test_issues import ON, lot, sell
from .test_lots import stocked
from .test_removals import objection, remove, stop, tasks, watch


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop(on=ON)


# --- goods from nothing ------------------------------------------------------------------------------------


@pytest.mark.clause("R02-9")
def test_nobody_objects_goods_into_stock(shop: Shop) -> None:
    """Only the pieces an inspection refused are objected to without a batch: else a line of a delivery that nobody
    inspected would come into stock by being objected to and released."""
    model = shop.goods()
    supplier = shop.supplier("A")
    with shop.acting():
        record = receiving.register(
            shop.unit.id,
            {"supplier": "A", "arrived": True, "lines": [{"product": _code(shop, model), "expected": 3}]},
        )
        line = session().scalars(select(ReceivingLine).where(ReceivingLine.receiving_id == record.id)).one()
        with pytest.raises(InvalidData) as bad:
            objections.register(
                shop.unit.id,
                {"receiving_line": line.id, "quantity": 900, "found_at": "receiving", "problem": "none"},
            )
    assert list(bad.value.errors) == ["lot"]
    assert not shop.all(select(Objection.id)) and supplier


def _code(shop: Shop, model_id: int) -> str:
    from plugins.products.models import Model

    return str(shop.all(select(Model.code).where(Model.id == model_id))[0])


# --- what comes back ------------------------------------------------------------------------------------------


@pytest.mark.clause("R02-15")
def test_expired_goods_that_come_back_leave_the_shelf_again(shop: Shop) -> None:
    """All of an expired batch was destroyed; a piece comes back: there is a task again, once, due the same day."""
    shop.clause("MD-1", holds=False)
    key = stocked(shop, 5, best_before=shop.today)
    record = sell(shop, f"store.lot~{key}, 2")
    shop.later(days=1)
    watch(shop)
    remove(shop, tasks(shop, key)[0], "scrap")
    with shop.acting():
        line = issues.lines_of(record.id)[0]
        for _again in range(2):
            issues.take_back(record.id, {"line": line.id, "quantity": 1, "sound": True, "note": "came back"})
    assert lot(shop, key).state == values.EXPIRED
    old, new = tasks(shop, key)
    assert (old.ended_at is not None, new.ended_at, new.reason, new.due_on) == (True, None, "expired", shop.today)
    assert watch(shop) == 0
    remove(shop, new, "scrap")
    assert (lot(shop, key).stock, lot(shop, key).state) == (0, values.GONE)


@pytest.mark.clause("R02-15")
def test_pieces_let_go_by_an_objection_leave_the_shelf_too(shop: Shop) -> None:
    """Set apart while their batch expired and left, then released: they are taken off like the others."""
    shop.clause("MD-1", holds=False)
    key = stocked(shop, 5, best_before=shop.today)
    made = objection(shop, key)
    shop.later(days=1)
    watch(shop)
    remove(shop, tasks(shop, key)[0], "scrap")
    assert (lot(shop, key).stock, lot(shop, key).held) == (2, 2)
    shop.do(made, "decide", decision="release", reason="sound")
    shop.do(made, "settle", outcome="let go")
    assert [one.ended_at is None for one in tasks(shop, key)] == [False, True]


@pytest.mark.clause("R09-5.2.4c")
def test_goods_of_a_stopped_batch_that_come_back_are_sealed(shop: Shop) -> None:
    key = stocked(shop, 5, number="L7")
    record = sell(shop, "L7, 5")
    stop(shop, key)
    assert tasks(shop, key) == []
    with shop.acting():
        line = issues.lines_of(record.id)[0]
        issues.take_back(record.id, {"line": line.id, "quantity": 1, "sound": True, "note": "recalled"})
    (task,) = tasks(shop, key)
    assert task.reason == "stopped"


@pytest.mark.clause("R09-5.2.4c")
def test_a_delivery_of_a_stopped_batch_is_held_sealed_and_said(shop: Shop) -> None:
    """S51: what was on its way when the batch was stopped is taken in as held; the delivery says so."""
    model = shop.goods()
    key = stocked(shop, 5, model_id=model, number="L7")
    shop.supplier("A")
    with shop.acting():
        record = receiving.register(
            shop.unit.id,
            {"supplier": "A", "lines": [{"product": _code(shop, model), "expected": 10, "batch": "L7"}]},
        )
    stop(shop, key)
    shop.do(record.id, "arrive")
    shop.do(record.id, "check", as_expected=True)
    (new,) = shop.all(select(Lot).where(Lot.receiving_id == record.id))
    assert (new.state, new.stock) == (values.HELD, 10)
    assert [one.reason for one in tasks(shop, new.id)] == ["stopped"]
    (fact,) = shop.all(select(Fact).where(Fact.record_id == record.id, Fact.kind == "checked"))
    assert fact.data["stopped"] == 10
    with pytest.raises(Refused):
        shop.do(record.id, "shelve")


# --- suppliers, days ---------------------------------------------------------------------------------------------


@pytest.mark.clause("R02-7a")
def test_a_suspended_supplier_brings_nothing_more(shop: Shop) -> None:
    """Suspended while its delivery is expected: nothing of it is taken in."""
    shop.clause("R02-7a")
    model = shop.goods()
    supplier = shop.supplier("A")
    with shop.acting():
        record = receiving.register(
            shop.unit.id, {"supplier": "A", "lines": [{"product": _code(shop, model), "expected": 1}]}
        )
    with shop.acting():
        perform(supplier, "suspend", {"reason": "forged papers"})
    with pytest.raises(Refused):
        shop.do(record.id, "arrive")
    assert shop.state(record.id) == values.EXPECTED


@pytest.mark.clause("R02-15")
@pytest.mark.parametrize(
    ("zone", "hour", "sold"),
    [
        ("Asia/Shanghai", 15, True),
        ("Asia/Shanghai", 16, False),
        ("Asia/Urumqi", 17, True),
        ("Asia/Urumqi", 18, False),
    ],
)
def test_the_day_ends_at_the_stores_own_midnight(shop: Shop, zone: str, hour: int, sold: bool) -> None:
    """The last day of sale is a day of the store: it ends at midnight there, wherever the server stands."""
    with as_system() as work:
        work.get_one(Unit, shop.unit.id).timezone = zone
    key = stocked(shop, 5, best_before=date(2026, 3, 2))
    shop.now = datetime(2026, 3, 2, hour, 0, tzinfo=UTC)
    if sold:
        sell(shop, f"store.lot~{key}")
        return
    with pytest.raises(Refused) as bad:
        sell(shop, f"store.lot~{key}")
    assert clauses(bad.value) == {"R02-15"}

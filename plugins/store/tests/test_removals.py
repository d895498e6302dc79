"""Shelf life: tasks near the last day and after it, made once; objections decided; stopped batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, Obligation, Refused, session
from plugins.products import services as products
from plugins.store import issues, objections, removals, stopping, values
from plugins.store.models import Lot, Movement, Objection, Removal

from .scene import Shop, make_shop
from .test_issues import ON, SALE, lot, sell
from .test_lots import stocked


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop(on=ON)


def watch(shop: Shop) -> int:
    with shop.acting():
        return removals.watch(shop.unit.id)


def tasks(shop: Shop, key: int) -> list[Removal]:
    return shop.all(select(Removal).where(Removal.lot_id == key).order_by(Removal.id))


def remove(shop: Shop, task: Removal, to: str, **more: Any) -> None:
    shop.do(task.id, "remove", removed_to=to, **more)


# --- shelf life --------------------------------------------------------------------------------------


@pytest.mark.clause("R02-15")
def test_on_the_day_after_the_last_day_there_is_a_task(shop: Shop) -> None:
    """The batch expires by itself; one task however often the job runs; due the same day; all of it leaves."""
    shop.clause("MD-1", holds=False)
    key = stocked(shop, 5, best_before=shop.today)
    assert watch(shop) == 0
    shop.later(days=1)
    assert (watch(shop), watch(shop)) == (1, 0)
    (task,) = tasks(shop, key)
    assert (task.reason, task.due_on, lot(shop, key).state) == ("expired", shop.today, values.EXPIRED)
    (limit,) = shop.all(select(Obligation).where(Obligation.record_id == task.id))
    assert limit.clause == "R02-15" and limit.due_at is not None
    assert (limit.due_at + timedelta(hours=8)).date() in (shop.today, shop.today + timedelta(days=1))
    with pytest.raises(Refused):
        remove(shop, task, "promote")
    with pytest.raises(InvalidData):
        remove(shop, task, "scrap", removed=4)
    with pytest.raises(Refused):
        shop.do(task.id, "cancel", reason="not today")
    remove(shop, task, "scrap")
    assert (lot(shop, key).stock, lot(shop, key).state) == (0, values.GONE)
    assert shop.all(select(Movement.kind).where(Movement.lot_id == key)) == ["receive", "scrap"]


@pytest.mark.clause("MD-1")
@pytest.mark.parametrize(("shelf", "warned"), [(30, 3), (180, 15), (181, 45), (720, 45)])
def test_the_longer_the_shelf_life_the_earlier_the_warning(shop: Shop, shelf: int, warned: int) -> None:
    """Bands: up to 30 days 3 before, up to 180 days 15 before, else 45 before the last day; once."""
    made_on = shop.today - timedelta(days=shelf - warned - 1)
    key = stocked(shop, 5, made_on=min(made_on, shop.today), shelf_days=shelf)
    last_day = lot(shop, key).last_day
    assert last_day is not None
    left = (last_day - shop.today).days
    shop.later(days=left - warned - 1)
    assert watch(shop) == 0
    shop.later(days=1)
    assert (watch(shop), watch(shop)) == (1, 0)
    (task,) = tasks(shop, key)
    assert task.reason == "near"
    remove(shop, task, "promote")
    assert lot(shop, key).state == values.ON_SALE
    assert watch(shop) == 0  # what was dealt with is not asked for again


@pytest.mark.clause("MD-1")
def test_a_warning_ends_when_the_batch_is_sold_out_or_expires(shop: Shop) -> None:
    first = stocked(shop, 2, best_before=shop.today + timedelta(days=1))
    other = stocked(shop, 2, best_before=shop.today + timedelta(days=1))
    assert watch(shop) == 2
    sell(shop, f"store.lot~{first}, 2")
    assert shop.state(tasks(shop, first)[0].id) == values.REMOVED
    shop.later(days=2)
    assert watch(shop) == 1
    near, over = tasks(shop, other)
    assert (shop.state(near.id), near.ended_at is not None) == (values.REMOVED, True)
    assert over.reason == "expired"


@pytest.mark.clause("R02-15")
def test_where_the_clause_is_off_nothing_expires(shop: Shop) -> None:
    shop.clause("R02-15", holds=False)
    shop.clause("MD-1", holds=False)
    key = stocked(shop, 5, best_before=shop.today - timedelta(days=1))
    assert watch(shop) == 0 and lot(shop, key).state == values.ON_SALE
    sell(shop, f"store.lot~{key}")


def test_by_hand_a_batch_is_asked_for_once(shop: Shop) -> None:
    key = stocked(shop, 5)
    given = {"lot": f"store.lot~{key}", "reason": "papers"}
    with shop.acting():
        first = removals.register(shop.unit.id, given, key="a").id
        assert removals.register(shop.unit.id, given, key="a").id == first
        with pytest.raises(InvalidData) as bad:
            removals.register(shop.unit.id, given, key="b")
        assert list(bad.value.errors) == ["lot"]
        with pytest.raises(InvalidData) as bad:
            removals.register(shop.unit.id, {"lot": "nothing", "reason": "expired"})
        assert list(bad.value.errors) == ["reason"]
    shop.do(first, "remove", removed_to="hold")
    assert lot(shop, key).state == values.ACCEPTED
    with shop.acting(permissions=frozenset({"store.view"})), pytest.raises(NotAllowed):
        removals.register(shop.unit.id, given)


# --- objections ----------------------------------------------------------------------------------------


def objection(shop: Shop, key: int, quantity: int = 2, **more: Any) -> int:
    given = {"lot": f"store.lot~{key}", "quantity": quantity, "found_at": "shelf", "problem": "leaks", **more}
    with shop.acting():
        return objections.register(shop.unit.id, given).id


@pytest.mark.clause("R02-11")
@pytest.mark.parametrize(
    ("decision", "stock", "moved"), [("scrap", 3, "scrap"), ("return", 3, "return"), ("release", 5, "")]
)
def test_an_objection_is_decided_and_carried_out(shop: Shop, decision: str, stock: int, moved: str) -> None:
    """Set apart at once; decided within two working days; then destroyed, sent back, or on sale again."""
    key = stocked(shop, 5)
    made = objection(shop, key)
    assert lot(shop, key).held == 2
    (limit,) = shop.all(select(Obligation).where(Obligation.record_id == made))
    assert limit.clause == "R02-11" and (limit.due_at + timedelta(hours=8)).date() == shop.today + timedelta(days=2)
    with pytest.raises(Refused):
        shop.do(made, "settle", outcome="sent back")
    shop.do(made, "decide", decision=decision, reason="looked at it")
    shop.do(made, "settle", outcome="done")
    assert (lot(shop, key).stock, lot(shop, key).held) == (stock, 0)
    kinds = shop.all(select(Movement.kind).where(Movement.lot_id == key))
    assert kinds == ["receive", *([moved] if moved else [])]
    assert shop.state(made) == values.CLOSED


@pytest.mark.clause("R02-11")
def test_a_withdrawn_objection_lets_the_pieces_go(shop: Shop) -> None:
    key = stocked(shop, 5)
    made = objection(shop, key)
    shop.do(made, "cancel", reason="mistake")
    assert lot(shop, key).held == 0


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"quantity": 6}, "quantity"),
        ({"quantity": 0}, "quantity"),
        ({"quantity": "x"}, "quantity"),
        ({"problem": ""}, "problem"),
        ({"found_at": "moon"}, "found_at"),
        ({"lot": ""}, "lot"),
        ({"lot": "nothing"}, "lot"),
    ],
)
def test_an_objection_that_cannot_be_is_said(shop: Shop, wrong: dict[str, Any], field: str) -> None:
    key = stocked(shop, 5)
    with pytest.raises(InvalidData) as bad:
        objection(shop, key, **wrong)
    assert list(bad.value.errors) == [field] and not shop.all(select(Objection.id))


# --- stopped batches -----------------------------------------------------------------------------------


def stop(shop: Shop, key: int) -> Any:
    with shop.acting():
        batch = products.lock_batches([lot(shop, key).batch_id or 0]).popitem()[1]
        products.hold_batch(batch, "fault confirmed")
        session().commit()
        return batch


@pytest.mark.clause("R09-5.2.4c")
def test_a_stopped_batch_is_held_at_once_and_traced(shop: Shop) -> None:
    """S51: sale, own use and exchange refused; what is here to be sealed; buyers listed; let go, it is on sale."""
    key = stocked(shop, 65, number="L7")
    for pieces, phone in ((20, "13800138000"), (5, "13800138001")):
        sell(shop, f"store.lot~{key}, {pieces}", phone=phone)
    batch = stop(shop, key)
    assert lot(shop, key).state == values.HELD
    for kind in (values.SALE, values.EXCHANGE, values.USE):
        with pytest.raises(Refused) as bad, shop.acting():
            issues.register(shop.unit.id, {**SALE, "kind": kind, "lines": "L7"})
        assert {one.clause for one in bad.value.refusals if one.code == "stopped"} == {"R09-5.2.4c"}
    (task,) = tasks(shop, key)
    assert task.reason == "stopped"
    with pytest.raises(Refused):
        remove(shop, task, "return")
    remove(shop, task, "hold")
    with shop.acting():
        buyers = stopping.buyers([key])
        assert sum(one.pieces for one in buyers) == 25
    assert lot(shop, key).stock == 40
    with shop.acting():
        products.release_batch(products.lock_batches([batch.id])[batch.id], "checked")
        session().commit()
    assert lot(shop, key).state == values.ACCEPTED  # it was taken off the shelf


def test_goods_of_a_stopped_batch_that_come_back_stay_held(shop: Shop) -> None:
    key = stocked(shop, 5, number="L7")
    record = sell(shop, "L7, 5")
    stop(shop, key)
    assert lot(shop, key).state == values.GONE
    with shop.acting():
        line = issues.lines_of(record.id)[0]
        issues.take_back(record.id, {"line": line.id, "quantity": 1, "sound": True, "note": "recalled"})
    assert shop.all(select(Lot.state).where(Lot.id == key)) == [values.HELD]

"""Stock counts: what moves meanwhile is no difference, differences are agreed to by another and booked once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules.approval_gate import ask_for
from core.rules.schedules import create_due
from core.sdk import (
    Conflict,
    InvalidData,
    NotAllowed,
    NotFound,
    Place,
    Record,
    Refused,
    User,
    approvals,
    system_scope,
    transaction,
)
from core.tasks.models import Task
from plugins.store import count_flow, lots, rights, stock_counts
from plugins.store.models import Lot, Movement, StockCount, StockCountLine
from tests.helpers import as_system, current

from .scene import BARCODES, Shop, clauses, codes, make_shop


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield make_shop(off=("MD-4",))


@pytest.fixture
def small(sqlite_app: Flask) -> Iterator[Shop]:
    yield make_shop(off=("MD-4",))


def lot(shop: Shop, pieces: int = 10, model: int = 0, number: str = "L1", place: int | None = None) -> int:
    with shop.acting(), transaction():
        made = lots.receive(shop.unit.id, model or shop.model(), pieces, number=number, place_id=place)
        return int(made.id)


def shelf(shop: Shop, code: str = "A1") -> int:
    with as_system() as work:
        row = Place(unit_id=shop.unit.id, kind="shelf", code=code, name=f"货架{code}")
        work.add(row)
        work.flush()
        row.path = f"/{row.id}/"
        return int(row.id)


def begin(shop: Shop, user: User | None = None, **raw: Any) -> int:
    with shop.acting(user):
        return int(stock_counts.begin(shop.unit.id, raw).id)


def count(shop: Shop, key: int, code: str, pieces: int, user: User | None = None, **raw: Any) -> None:
    with shop.acting(user):
        stock_counts.count_one(key, {"code": code, "counted": pieces, **raw})


def move(shop: Shop, key: int, difference: int) -> None:
    with shop.acting(), transaction():
        lots.adjust(key, difference)


def stock_of(shop: Shop, key: int) -> int:
    with as_system() as work:
        found = work.get_one(Lot, key)
        moved = work.scalars(select(Movement.quantity).where(Movement.lot_id == key)).all()
        assert sum(moved) == found.stock
        return found.stock


def test_differences_are_booked_on_top_of_what_moved_meanwhile(shop: Shop) -> None:
    one, other = lot(shop, 10), lot(shop, 5, number="L2")
    key = begin(shop)
    move(shop, one, -2)  # sold before it was counted: no difference
    count(shop, key, "L1", 7)
    move(shop, one, -3)  # and after it
    count(shop, key, "L2", 5)
    with shop.acting():
        assert [(row.lot_id, row.expected, row.counted) for row, _lot, _name in stock_counts.different(key)] == [
            (one, 8, 7)
        ]
        assert stock_counts.progress([key]) == {key: (2, 2, 1)}
    shop.do(key, "sign")
    shop.do(key, "close")
    assert (stock_of(shop, one), stock_of(shop, other), shop.state(key)) == (4, 5, "closed")
    assert shop.facts(key) == ["registered", "counted", "finished"]


def test_counted_again_it_says_what_is_so_now(shop: Shop) -> None:
    one = lot(shop, 10)
    key = begin(shop)
    count(shop, key, "L1", 1)
    count(shop, key, "L1", 10)
    shop.do(key, "sign")
    shop.do(key, "again", reason="再数一遍")
    with shop.acting():
        line = stock_counts.lines_of(key)[0][0]
        stock_counts.count_line(key, line.id, 12, "多发两件")
    shop.do(key, "sign")
    shop.do(key, "close")
    assert stock_of(shop, one) == 12


def test_what_was_not_found_is_missing_only_when_said(shop: Shop) -> None:
    one, other = lot(shop, 10), lot(shop, 5, number="L2")
    key = begin(shop)
    count(shop, key, "L1", 10)
    with pytest.raises(Refused) as refused:
        shop.do(key, "sign")
    assert codes(refused.value) == {"left"}
    shop.do(key, "sign", rest_missing=True)
    shop.do(key, "close")
    assert (stock_of(shop, one), stock_of(shop, other)) == (10, 0)


def test_a_product_is_found_by_its_bar_code_while_it_has_one_batch(shop: Shop) -> None:
    tea = shop.model(barcode=BARCODES[0])
    lot(shop, 10, tea)
    key = begin(shop)
    count(shop, key, BARCODES[0], 10)
    later = lot(shop, 4, tea, number="L9")
    count(shop, key, "L9", 4)  # came in after the count began: a line of its own
    with shop.acting():
        assert stock_counts.progress([key]) == {key: (2, 2, 0)}
    with pytest.raises(InvalidData) as bad:
        count(shop, key, BARCODES[0], 14)
    assert list(bad.value.errors) == ["code"] and "L9" in str(bad.value.texts())
    assert later


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"code": "没有的"}, "code"),
        ({"code": ""}, "code"),
        ({"code": "L1", "counted": "-1"}, "counted"),
        ({"code": "L1", "counted": "1.5"}, "counted"),
        ({"code": "L1", "counted": "x"}, "counted"),
        ({"code": "L1", "counted": "10000001"}, "counted"),
        ({"code": "L1", "counted": ""}, "counted"),
    ],
)
def test_what_counting_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    lot(small)
    key = begin(small)
    with small.acting(), pytest.raises(InvalidData) as bad:
        stock_counts.count_one(key, {"counted": "1", **raw})
    assert list(bad.value.errors) == [field]


def test_a_batch_stands_in_one_open_count_only(shop: Shop) -> None:
    with pytest.raises(InvalidData) as bad:
        begin(shop)
    assert list(bad.value.errors) == ["place_id"]
    place, empty = shelf(shop), shelf(shop, "B1")
    lot(shop, 10, place=place)
    lot(shop, 3, number="L2")
    key = begin(shop, place_id=place)
    assert begin(shop, place_id=place) == key
    with pytest.raises(Refused) as refused:
        begin(shop)
    assert codes(refused.value) == {"counted"}
    with pytest.raises(InvalidData):
        begin(shop, place_id=empty)
    with pytest.raises(InvalidData):
        begin(shop, place_id=999_999_999)
    count(shop, key, "L2", 3)  # lies there by mistake
    shop.do(key, "cancel", reason="改天再盘")
    assert begin(shop) != key


@pytest.mark.clause("MD-4")
def test_differences_are_decided_by_somebody_who_did_not_count(shop: Shop) -> None:
    shop.clause("MD-4")
    keeper, head = shop.staff("warehouse"), shop.staff("store_head")
    one = lot(shop, 10)
    key = begin(shop, keeper)
    count(shop, key, "L1", 9, keeper)
    shop.do(key, "sign", keeper)
    with pytest.raises(Refused) as refused:
        shop.do(key, "close", keeper)
    assert clauses(refused.value) == {"MD-4"} and codes(refused.value) == {"approval", "reason"}
    with shop.acting(keeper):
        stock_counts.explain(key, stock_counts.lines_of(key)[0][0].id, "破损未登记")
        asked = ask_for(key, count_flow.CLOSE, "MD-4", "少一件").id
    with shop.acting(head):
        approvals.agree(asked)
    shop.do(key, "close", keeper)
    assert stock_of(shop, one) == 9


@pytest.mark.clause("MD-4")
def test_a_head_who_counted_does_not_decide(shop: Shop) -> None:
    shop.clause("MD-4")
    keeper, head = shop.staff("warehouse"), shop.staff("store_head")
    one = lot(shop, 10)
    key = begin(shop, keeper)
    count(shop, key, "L1", 9, head, reason="破损")
    shop.do(key, "sign", keeper)
    with shop.acting(keeper):
        asked = ask_for(key, count_flow.CLOSE, "MD-4", "少一件").id
    with shop.acting(head):
        approvals.agree(asked)
    with pytest.raises(Refused) as refused:
        shop.do(key, "close", keeper)
    assert clauses(refused.value) == {"MD-4"} and codes(refused.value) == {"counted"}
    # Counted again, what was agreed to counts no more.
    shop.do(key, "again", keeper, reason="换人清点")
    count(shop, key, "L1", 8, keeper, reason="破损")
    shop.do(key, "sign", keeper)
    with pytest.raises(Refused) as refused:
        shop.do(key, "close", keeper)
    assert codes(refused.value) == {"approval"} and stock_of(shop, one) == 10


def test_without_the_clause_who_decides_books_differences(shop: Shop) -> None:
    keeper = shop.staff("warehouse")
    lot(shop, 10)
    key = begin(shop, keeper)
    count(shop, key, "L1", 9, keeper)
    shop.do(key, "sign", keeper)
    with pytest.raises(Refused) as refused:
        shop.do(key, "close", keeper)
    assert codes(refused.value) == {"no_authority"}
    shop.do(key, "close", shop.staff("store_head"))


@pytest.mark.clause("R24-1.9")
def test_the_stock_is_counted_every_month_and_the_count_is_that_work(shop: Shop) -> None:
    shop.clause("R24-1.9")
    lot(shop, 10)
    with shop.acting(), system_scope("test"):
        create_due(shop.unit.id)
        create_due(shop.unit.id)
    mine = select(Task.id).where(Task.unit_id == shop.unit.id, Task.clause == "R24-1.9")
    (task,) = shop.all(mine)
    key = begin(shop)
    count(shop, key, "L1", 10)
    shop.do(key, "sign")
    shop.do(key, "close")
    assert shop.state(task) == "done"


def test_who_may_count_and_other_units(shop: Shop) -> None:
    lot(shop, 10)
    key = begin(shop)
    with shop.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        stock_counts.begin(shop.unit.id, {})
    with shop.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        stock_counts.count_one(key, {"code": "L1", "counted": 1})
    other = make_shop()
    with other.acting(), pytest.raises(NotFound):
        stock_counts.count_one(key, {"code": "L1", "counted": 1})
    shop.do(key, "sign", rest_missing=True)
    with pytest.raises(Refused) as refused:
        count(shop, key, "L1", 3)
    assert codes(refused.value) == {"state"}


def test_pieces_set_apart_are_not_counted_away(shop: Shop) -> None:
    one = lot(shop, 10)
    with shop.acting(), transaction():
        lots.hold(one, 4)
    key = begin(shop)
    count(shop, key, "L1", 3)
    shop.do(key, "sign")
    with pytest.raises(InvalidData) as bad:
        shop.do(key, "close")
    assert list(bad.value.errors) == ["counted"] and stock_of(shop, one) == 10


@pytest.mark.parametrize("what", ["begin", "close"])
def test_two_at_once_begin_one_count_and_book_once(app: Flask, what: str) -> None:
    shop = make_shop(off=("MD-4",))
    one = lot(shop, 10)
    key = 0
    if what == "close":
        key = begin(shop)
        count(shop, key, "L1", 8)
        shop.do(key, "sign")
    app_now, gate, answers = current(), threading.Barrier(2), []

    def act() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                if what == "begin":
                    answers.append(begin(shop))
                else:
                    shop.do(key, "close")
            except (Refused, Conflict):
                answers.append("refused")

    threads = [threading.Thread(target=act) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if what == "begin":
        assert len(answers) == 2 and len(set(answers)) == 1
        assert len(shop.all(select(StockCount.id))) == 1 and len(shop.all(select(StockCountLine.id))) == 1
    else:
        assert answers == ["refused"] and stock_of(shop, one) == 8
    assert len(shop.all(select(Record.id).where(Record.type == "store_count"))) == 1

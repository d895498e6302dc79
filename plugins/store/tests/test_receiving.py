"""Deliveries: entered, arrived, inspected and counted; what comes into stock, what is refused; R02-9, R02-10."""

from __future__ import annotations

import threading
from datetime import date
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, NotFound, Refused
from plugins.products.models import Batch
from plugins.store import inspecting, orders, receiving, values
from plugins.store.models import Lot, Objection, OrderLine, ReceivingLine
from tests.helpers import current

from .scene import BARCODES, Shop, clauses, codes, make_shop

CODE = BARCODES[0]
ALWAYS = ("R02-9", "R02-10")
OTHERS = ("R02-4", "R02-6", "R02-7a", "R02-7b", "R02-18", "R05-2.1")


@pytest.fixture
def shop(app: Flask) -> Shop:
    return made()


@pytest.fixture
def small(sqlite_app: Flask) -> Shop:
    return made()


def made() -> Shop:
    return make_shop(on=ALWAYS, off=OTHERS)


def deliver(shop: Shop, lines: Any = f"{CODE}, 10", supplier: int = 0, key: str = "", **raw: Any) -> int:
    """Enter a delivery that is here."""
    raw = {"supplier": str(supplier or shop.supplier()), "lines": lines, "arrived": "1", **raw}
    with shop.acting():
        return receiving.register(shop.unit.id, raw, key=key).id


def lines(shop: Shop, key: int) -> list[ReceivingLine]:
    return shop.all(select(ReceivingLine).where(ReceivingLine.receiving_id == key).order_by(ReceivingLine.id))


def inspect(shop: Shop, key: int, place: int = 0, **raw: Any) -> None:
    with shop.acting():
        inspecting.inspect(key, [{"id": lines(shop, key)[place].id, **raw}])


def lots_of(shop: Shop, key: int) -> list[Lot]:
    return shop.all(select(Lot).where(Lot.receiving_id == key).order_by(Lot.id))


# --- the usual way ---------------------------------------------------------------------------------


@pytest.mark.clause("R02-9", "R02-10")
def test_what_was_accepted_comes_into_stock_and_the_rest_is_objected_to(shop: Shop) -> None:
    model = shop.model(barcode=CODE, shelf_days=180)
    key = deliver(shop, f"{CODE}, 10, L7, 2026-01-10", delivery_note="SH-001")
    inspect(shop, key, counted=9, refused=2, fault="包装破损")
    shop.do(key, "check")
    assert shop.state(key) == values.CHECKED
    (lot,) = lots_of(shop, key)
    assert (lot.model_id, lot.number, lot.stock, lot.made_on) == (model, "L7", 7, date(2026, 1, 10))
    assert (lot.shelf_days, lot.last_day, lot.state) == (180, date(2026, 7, 9), values.ACCEPTED)
    (batch,) = shop.all(select(Batch).where(Batch.model_id == model))
    assert (batch.number, batch.produced_on) == ("L7", date(2026, 1, 10))
    (objection,) = shop.all(select(Objection).where(Objection.unit_id == shop.unit.id))
    assert (objection.quantity, objection.found_at, objection.problem) == (2, "receiving", "包装破损")
    assert shop.facts(key) == ["registered", "arrived", "counted", "checked"]


def test_a_printed_date_beats_arithmetic(shop: Shop) -> None:
    shop.model(barcode=CODE, shelf_days=180)
    key = deliver(shop, f"{CODE}, 10, L7, 2026-01-10, , 2026-06-30")
    shop.do(key, "check", as_expected="1")
    assert lots_of(shop, key)[0].last_day == date(2026, 6, 30)


@pytest.mark.clause("R02-9")
def test_nothing_is_accepted_or_put_on_sale_without_inspection_and_count(shop: Shop) -> None:
    shop.goods(barcode=CODE)
    key = deliver(shop)
    for step in ("check", "shelve"):
        with pytest.raises(Refused) as refused:
            shop.do(key, step)
        assert clauses(refused.value) == {"R02-9"}
    assert not lots_of(shop, key)
    inspect(shop, key, counted=10)
    shop.do(key, "check")
    shop.do(key, "shelve")
    assert [one.state for one in lots_of(shop, key)] == [values.ON_SALE]


@pytest.mark.clause("R02-10")
@pytest.mark.parametrize("line", [f"{CODE}, 5", f"{CODE}, 5, L1", f"{CODE}, 5, , 2026-01-01"])
def test_dated_goods_need_number_and_dates(shop: Shop, line: str) -> None:
    shop.model(barcode=CODE, shelf_days=90)
    key = deliver(shop, line)
    with pytest.raises(Refused) as refused:
        shop.do(key, "check", as_expected="1")
    assert clauses(refused.value) == {"R02-10"}
    assert not lots_of(shop, key)
    inspect(shop, key, counted=5, batch="L1", made_on="2026-01-01")
    shop.do(key, "check")
    assert lots_of(shop, key)[0].last_day == date(2026, 4, 1)


def test_goods_without_a_shelf_life_need_no_dates(shop: Shop) -> None:
    shop.model(barcode=CODE)
    key = deliver(shop)
    shop.do(key, "check", as_expected="1")
    assert lots_of(shop, key)[0].last_day is None


# --- what cannot be --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"counted": -1}, "counted"),
        ({"counted": ""}, "counted"),
        ({"counted": "x"}, "counted"),
        ({"counted": 10, "accepted": 8, "refused": 1, "fault": "x"}, "accepted"),
        ({"counted": 10, "accepted": 11}, "accepted"),
        ({"counted": 10, "accepted": -1}, "accepted"),
        ({"counted": 10, "refused": 3}, "fault"),
        ({"counted": 10, "refused": 11, "fault": "x"}, "accepted"),
        ({"counted": 10, "made_on": "2026-03-03"}, "made_on"),
        ({"counted": 10, "made_on": "2026-02-30"}, "made_on"),
        ({"counted": 10, "shelf_days": 0}, "shelf_days"),
        ({"counted": 10, "made_on": "2026-02-01", "best_before": "2026-01-01"}, "best_before"),
        ({"counted": 10, "best_before": "2026-03-01"}, "accepted"),
        ({"counted": 10, "made_on": "2025-01-01", "shelf_days": 30}, "accepted"),
    ],
)
def test_wrong_results_are_answered_beside_the_line(small: Shop, raw: dict[str, Any], field: str) -> None:
    small.model(barcode=CODE)
    key = deliver(small)
    line = lines(small, key)[0].id
    with pytest.raises(InvalidData) as bad:
        inspect(small, key, **raw)
    assert list(bad.value.errors) == [f"{line}.{field}"]
    assert lines(small, key)[0].counted is None


def test_the_last_day_itself_is_good(small: Shop) -> None:
    small.model(barcode=CODE)
    key = deliver(small)
    inspect(small, key, counted=10, best_before="2026-03-02")
    small.do(key, "check")
    assert lots_of(small, key)[0].state == values.ACCEPTED


def test_what_nobody_looked_at_is_not_accepted_past_its_day(small: Shop) -> None:
    small.model(barcode=CODE)
    key = deliver(small, f"{CODE}, 10, L1, 2026-02-01, , 2026-03-01")
    with pytest.raises(Refused) as refused:
        small.do(key, "check", as_expected="1")
    assert codes(refused.value) == {"line"}
    inspect(small, key, counted=10, refused=10, fault="已过期")
    small.do(key, "check")
    assert not lots_of(small, key)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"lines": "没有的, 1"}, "lines"),
        ({"lines": f"{CODE}"}, "lines"),
        ({"lines": f"{CODE}, -1"}, "lines"),
        ({"lines": f"{CODE}, 1.5"}, "lines"),
        ({"lines": f"{CODE}, 1, L1, 2027-01-01"}, "lines"),
        ({"lines": f"{CODE}, 1, L1, 2026-01-01, 0"}, "lines"),
        ({"lines": f"{CODE}, 1, L1, 昨天"}, "lines"),
        ({"lines": f"{CODE}, 1\n" * 201}, "lines"),
        ({"lines": [1]}, "lines"),
        ({"lines": {"product": CODE}}, "lines"),
        ({"supplier": "没有的"}, "supplier"),
        ({"supplier": ""}, "supplier"),
        ({"supplier": "9" * 15}, "supplier"),
        ({"order": "CD-1"}, "order"),
    ],
)
def test_what_a_delivery_refuses(small: Shop, raw: dict[str, Any], field: str) -> None:
    small.model(barcode=CODE)
    given = {"supplier": str(small.supplier()), "lines": f"{CODE}, 1", "arrived": "1", **raw}
    with small.acting(), pytest.raises(InvalidData) as bad:
        receiving.register(small.unit.id, given)
    assert list(bad.value.errors) == [field]
    assert not small.all(select(ReceivingLine).where(ReceivingLine.unit_id == small.unit.id))


def test_a_delivery_note_is_received_once(shop: Shop) -> None:
    shop.model(barcode=CODE)
    mine, other = shop.supplier(), shop.supplier()
    first = deliver(shop, supplier=mine, delivery_note="SH 001")
    with pytest.raises(InvalidData) as bad:
        deliver(shop, supplier=mine, delivery_note=" ＳＨ　001 ")
    assert list(bad.value.errors) == ["delivery_note"]
    deliver(shop, supplier=other, delivery_note="SH 001")
    deliver(shop, supplier=mine)
    deliver(shop, supplier=mine)
    shop.do(first, "cancel", reason="送错门店")
    deliver(shop, supplier=mine, delivery_note="SH 001")


def test_two_at_once_receive_a_note_once(app: Flask) -> None:
    shop = made()
    shop.model(barcode=CODE)
    supplier = shop.supplier()
    assert at_once(lambda: deliver(shop, supplier=supplier, delivery_note="SH-9"), InvalidData) == ["done", "no"]


def test_two_at_once_inspect_once(app: Flask) -> None:
    shop = made()
    shop.model(barcode=CODE)
    key = deliver(shop)
    assert at_once(lambda: shop.do(key, "check", as_expected="1"), Refused) == ["done", "no"]
    assert [one.stock for one in lots_of(shop, key)] == [10]


def at_once(call: Any, refusal: type[Exception]) -> list[str]:
    app_now, gate, answers = current(), threading.Barrier(2), []

    def run() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                call()
                answers.append("done")
            except refusal:
                answers.append("no")

    threads = [threading.Thread(target=run) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return sorted(answers)


def test_the_same_request_is_received_once(shop: Shop) -> None:
    shop.model(barcode=CODE)
    supplier = shop.supplier()
    assert deliver(shop, supplier=supplier, key="k") == deliver(shop, supplier=supplier, key="k")


# --- of an order -----------------------------------------------------------------------------------


def ordered(shop: Shop, lines: str = f"{CODE}, 10, 3.5") -> int:
    raw = {"supplier": str(shop.supplier()), "lines": lines, "standard_met": "1"}
    with shop.acting():
        key = orders.register(shop.unit.id, raw).id
    shop.do(key, "order")
    return key


def of_order(shop: Shop, order: int, **raw: Any) -> int:
    with shop.acting():
        return receiving.register(shop.unit.id, {"order": str(order), "arrived": "1", **raw}).id


def test_an_order_is_finished_when_all_came(shop: Shop) -> None:
    shop.model(barcode=CODE)
    order = ordered(shop)
    first = of_order(shop, order)
    assert [one.expected for one in lines(shop, first)] == [10]
    inspect(shop, first, counted=6)
    shop.do(first, "check")
    assert shop.state(order) == values.ORDERED
    second = of_order(shop, order)
    assert [one.expected for one in lines(shop, second)] == [4]
    shop.do(second, "check", as_expected="1")
    assert shop.state(order) == values.RECEIVED
    assert shop.facts(order) == ["registered", "ordered", "delivered", "delivered", "received"]
    with pytest.raises(InvalidData):
        of_order(shop, order)


@pytest.mark.clause("R02-9")
def test_no_more_is_accepted_than_was_ordered(shop: Shop) -> None:
    shop.model(barcode=CODE)
    order = ordered(shop)
    key = of_order(shop, order, lines=f"{CODE}, 12")
    inspect(shop, key, counted=12)
    with pytest.raises(Refused) as refused:
        shop.do(key, "check")
    assert codes(refused.value) == {"over"}
    assert not lots_of(shop, key)
    shop.clause("R02-9", over="20")
    shop.do(key, "check")
    assert lots_of(shop, key)[0].stock == 12
    assert shop.state(order) == values.RECEIVED


def test_two_deliveries_at_once_do_not_exceed_the_order(app: Flask) -> None:
    shop = made()
    shop.model(barcode=CODE)
    order = ordered(shop)
    both = iter([of_order(shop, order), of_order(shop, order)])
    assert at_once(lambda: shop.do(next(both), "check", as_expected="1"), Refused) == ["done", "no"]
    (line,) = shop.all(select(OrderLine).where(OrderLine.order_id == order))
    assert line.received == 10


def test_an_order_with_an_open_delivery_is_not_ended(shop: Shop) -> None:
    shop.model(barcode=CODE)
    order = ordered(shop)
    key = of_order(shop, order)
    for step in ("end", "cancel"):
        with pytest.raises(Refused):
            shop.do(order, step, reason="不要了")
    inspect(shop, key, counted=3)
    shop.do(key, "check")
    with pytest.raises(Refused):
        shop.do(order, "cancel", reason="不要了")
    shop.do(order, "end", reason="供应商断货")
    assert shop.state(order) == values.RECEIVED


@pytest.mark.clause("R02-7a", "R02-7b")
def test_goods_of_suppliers_that_may_not_deliver_are_not_taken_in(shop: Shop) -> None:
    shop.clause("R02-7a")
    shop.clause("R02-7b")
    shop.model(barcode=CODE)
    candidate = shop.supplier(state=values.CANDIDATE)
    overdue = shop.supplier(until=date(2026, 3, 1))
    with pytest.raises(Refused) as refused:
        deliver(shop, supplier=candidate)
    assert clauses(refused.value) == {"R02-7a"}
    with pytest.raises(Refused) as refused:
        deliver(shop, supplier=overdue)
    assert clauses(refused.value) == {"R02-7b"}
    assert not shop.all(select(ReceivingLine).where(ReceivingLine.unit_id == shop.unit.id))
    key = deliver(shop, supplier=overdue, arrived="")
    assert shop.state(key) == values.EXPECTED


# --- changing, who may -------------------------------------------------------------------------------


def test_lines_change_until_they_are_counted(shop: Shop) -> None:
    shop.model(barcode=CODE)
    key = deliver(shop)
    with shop.acting():
        receiving.change(key, {"lines": f"{CODE}, 4\n{CODE}, 6"})
    assert [one.expected for one in lines(shop, key)] == [4, 6]
    with shop.acting():
        receiving.add_line(key, {"product": CODE, "expected": "1"})
        receiving.remove_line(key, lines(shop, key)[0].id)
    inspect(shop, key, counted=6)
    with shop.acting(), pytest.raises(Refused):
        receiving.change(key, {"lines": f"{CODE}, 4"})
    shop.do(key, "check", as_expected="1")
    assert [one.stock for one in lots_of(shop, key)] == [6, 1]
    with shop.acting(), pytest.raises(Refused):
        receiving.add_line(key, {"product": CODE, "expected": "1"})
    with shop.acting(), pytest.raises(Refused):
        inspecting.inspect(key, [{"id": lines(shop, key)[0].id, "counted": 1}])


def test_expected_goods_are_not_inspected(shop: Shop) -> None:
    shop.model(barcode=CODE)
    key = deliver(shop, arrived="")
    with pytest.raises(Refused) as refused:
        inspect(shop, key, counted=10)
    assert clauses(refused.value) == {"R02-9"}


def test_who_may(shop: Shop) -> None:
    shop.model(barcode=CODE)
    key = deliver(shop)
    seller, keeper = shop.staff("sales"), shop.staff("warehouse")
    line = lines(shop, key)[0].id
    with shop.acting(seller), pytest.raises(NotAllowed):
        inspecting.inspect(key, [{"id": line, "counted": 10}])
    with pytest.raises((NotAllowed, Refused)):
        shop.do(key, "check", seller, as_expected="1")
    with make_shop().acting(), pytest.raises(NotFound):
        inspecting.inspect(key, [{"id": line, "counted": 10}])
    other = deliver(shop)
    with shop.acting(), pytest.raises(NotFound):
        inspecting.inspect(other, [{"id": line, "counted": 10}])
    with shop.acting(keeper):
        inspecting.inspect(key, [{"id": line, "counted": 10, "refused": 1, "fault": "破"}])
    shop.do(key, "check", keeper)
    assert lots_of(shop, key)[0].stock == 9

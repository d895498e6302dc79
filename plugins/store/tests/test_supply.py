"""Product sheets, releases and papers, purchase plans and orders; clauses R02-4, R02-6, R02-8."""

from __future__ import annotations

import io
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.rules import schedules
from core.sdk import InvalidData, NotAllowed, NotFound, Refused, keep_file
from core.tasks.models import Task
from plugins.store import goods, orders, plans, releases, values
from plugins.store.models import Lot, Movement, OrderLine, Paper, PlanLine, Product, PurchaseOrder
from tests.helpers import current

from .scene import BARCODES, Shop, clauses, codes, make_shop

CODE, OTHER = BARCODES[:2]
PAPER = {"kind": "test", "number": "JC-2026-001", "valid_until": "2026-12-31"}


@pytest.fixture
def shop(app: Flask) -> Shop:
    return make_shop()


@pytest.fixture
def small(sqlite_app: Flask) -> Shop:
    return make_shop()


# --- bar codes, product sheets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("6901234567892", "6901234567892"),
        ("690 1234 567892", "6901234567892"),
        ("６９０１２３４５６７８９２", "6901234567892"),
        ("96385074", "96385074"),
        ("036000291452", "0036000291452"),
        ("0036000291452", "0036000291452"),
        ("", ""),
    ],
)
def test_bar_codes_are_read_as_they_are_printed(typed: str, kept: str) -> None:
    assert goods.read_barcode(typed) == kept


@pytest.mark.parametrize("typed", ["6901234567891", "690123456789", "12", "ABC", "69012345678921", "9" * 30])
def test_a_wrong_check_digit_is_told(typed: str) -> None:
    with pytest.raises(InvalidData):
        goods.read_barcode(typed)


def test_a_sheet_of_each_model(shop: Shop) -> None:
    model = shop.model(sheet=False)
    with shop.acting():
        sheet = goods.save(shop.unit.id, {"model_id": str(model), "barcode": CODE, "shelf_days": "180"})
        assert (sheet.barcode, sheet.dated, sheet.active) == (CODE, True, True)
        found = goods.find_models(shop.unit.id, [CODE, "没有的", " 690 1234567892 "])
        assert set(found.values()) == {model}
    for raw, field in (
        ({"model_id": str(model)}, "model_id"),
        ({"model_id": str(shop.model(sheet=False)), "barcode": CODE}, "barcode"),
        ({"model_id": str(shop.model(sheet=False)), "shelf_days": "0"}, "shelf_days"),
        ({"model_id": str(shop.model(sheet=False)), "shelf_days": "-5"}, "shelf_days"),
        ({"model_id": str(shop.model(sheet=False)), "reorder_at": "9", "reorder_to": "5"}, "reorder_to"),
        ({"model_id": "999999"}, "model_id"),
        ({"model_id": str(make_shop().model(sheet=False))}, "model_id"),
    ):
        with shop.acting(), pytest.raises(InvalidData) as bad:
            goods.save(shop.unit.id, raw)
        assert list(bad.value.errors) == [field]
    with shop.acting(shop.staff("sales")), pytest.raises(NotAllowed):
        goods.save(shop.unit.id, {"model_id": str(model)})


# --- papers and release ------------------------------------------------------------------------------


def begun(shop: Shop, code: str = CODE) -> int:
    with shop.acting():
        return releases.register(shop.unit.id, {"model": code}).id


@pytest.mark.clause("R02-4")
def test_without_papers_nothing_is_released(shop: Shop) -> None:
    shop.clause("R02-4")
    model = shop.model(barcode=CODE)
    key = begun(shop)
    with pytest.raises(Refused) as refused:
        shop.do(key, "release")
    assert clauses(refused.value) == {"R02-4"}
    with shop.acting():
        paper = releases.add_paper(key, PAPER).id
        releases.strike_paper(key, paper)
    with pytest.raises(Refused):
        shop.do(key, "release")
    with shop.acting():
        releases.add_paper(key, PAPER)
        assert set(releases.not_released(shop.unit.id, [model], shop.today)) == {model}
    shop.do(key, "release")
    with shop.acting():
        assert releases.not_released(shop.unit.id, [model], shop.today) == {}
        assert set(releases.not_released(shop.unit.id, [model], date(2027, 1, 1))) == {model}
        releases.add_paper(key, {**PAPER, "number": "JC-2027", "valid_until": "2027-12-31"})
        assert releases.not_released(shop.unit.id, [model], date(2027, 1, 1)) == {}
    shop.do(key, "withdraw", reason="抽检不合格")
    with shop.acting():
        assert set(releases.not_released(shop.unit.id, [model], shop.today)) == {model}
    assert begun(shop) != key


@pytest.mark.clause("R02-4")
def test_a_product_whose_papers_ran_out_before_the_release_stays(shop: Shop) -> None:
    shop.clause("R02-4")
    shop.model(barcode=CODE)
    key = begun(shop)
    with shop.acting():
        releases.add_paper(key, {**PAPER, "valid_until": "2026-03-05"})
    shop.later(days=4)
    with pytest.raises(Refused) as refused:
        shop.do(key, "release")
    assert clauses(refused.value) == {"R02-4"}


def test_one_release_a_product(shop: Shop) -> None:
    shop.model(barcode=CODE)
    first = begun(shop)
    with shop.acting(), pytest.raises(InvalidData) as bad:
        releases.register(shop.unit.id, {"model": CODE})
    assert list(bad.value.errors) == ["model"]
    shop.do(first, "cancel", reason="录错")
    begun(shop)
    with shop.acting(), pytest.raises(Refused):
        releases.add_paper(first, PAPER)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"kind": "x"}, "kind"),
        ({"number": ""}, "number"),
        ({"valid_until": "2026-03-01"}, "valid_until"),
        ({"valid_from": "2027-01-01"}, "valid_until"),
    ],
)
def test_what_a_paper_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    small.model(barcode=CODE)
    key = begun(small)
    with small.acting(), pytest.raises(InvalidData) as bad:
        releases.add_paper(key, {**PAPER, **raw})
    assert list(bad.value.errors) == [field]


def test_the_file_of_a_paper_hangs_on_its_release(small: Shop) -> None:
    small.model(barcode=CODE)
    key = begun(small)
    with small.acting(), pytest.raises(InvalidData):
        keep_file("报告.png", io.BytesIO(b"not a picture"))
    with small.acting():
        kept = keep_file("报告.pdf", io.BytesIO(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"))
        assert releases.add_paper(key, PAPER, file=kept).file_id is not None
    assert "attachment" in small.facts(key)
    assert small.all(select(Paper).where(Paper.release_id == key))[0].number == PAPER["number"]


# --- orders ----------------------------------------------------------------------------------------


def drafted(shop: Shop, **raw: Any) -> int:
    given = {"supplier": str(shop.supplier()), "lines": f"{CODE}, 5, 3.20", "standard_met": "1", **raw}
    with shop.acting():
        return orders.register(shop.unit.id, given).id


@pytest.mark.clause("R02-6")
def test_an_order_goes_out_when_the_goods_meet_the_standard(shop: Shop) -> None:
    shop.clause("R02-6")
    shop.model(barcode=CODE)
    key = drafted(shop, standard_met="")
    with pytest.raises(Refused) as refused:
        shop.do(key, "order")
    assert clauses(refused.value) == {"R02-6"}
    with shop.acting():
        orders.change(key, {"standard_met": "1"})
    shop.do(key, "order")
    assert shop.state(key) == values.ORDERED
    (line,) = shop.all(select(OrderLine).where(OrderLine.order_id == key))
    assert (line.quantity, line.price) == (5, Decimal("3.20"))
    with shop.acting(), pytest.raises(Refused):
        orders.change(key, {"note": "x"})


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"lines": "没有的, 1"}, "lines"),
        ({"lines": f"{CODE}, 0"}, "lines"),
        ({"lines": f"{CODE}, -3"}, "lines"),
        ({"lines": f"{CODE}, 1, 0.001"}, "lines"),
        ({"lines": f"{CODE}, 1\n{CODE}, 2"}, "lines"),
        ({"lines": [{"product": CODE, "quantity": "1e400"}]}, "lines"),
        ({"lines": ["x"]}, "lines"),
        ({"supplier": "没有的"}, "supplier"),
        ({"supplier": ""}, "supplier"),
        ({"expected_on": "明天"}, "expected_on"),
    ],
)
def test_what_an_order_refuses(small: Shop, raw: dict[str, Any], field: str) -> None:
    small.model(barcode=CODE)
    with pytest.raises(InvalidData) as bad:
        drafted(small, **raw)
    assert list(bad.value.errors) == [field]


def test_an_order_without_lines_goes_nowhere(small: Shop) -> None:
    key = drafted(small, lines="")
    with pytest.raises(Refused) as refused:
        small.do(key, "order")
    assert "no_lines" in codes(refused.value)


def test_suppliers_of_another_unit_are_not_found(small: Shop) -> None:
    small.model(barcode=CODE)
    away = make_shop()
    with pytest.raises(InvalidData) as bad:
        drafted(small, supplier=str(away.supplier()))
    assert list(bad.value.errors) == ["supplier"]
    mine = drafted(small)
    with away.acting(), pytest.raises(NotFound):
        orders.change(mine, {"note": "x"})


# --- plans -----------------------------------------------------------------------------------------


def sold(shop: Shop, model: int, pieces: int, stock: int, days_ago: int = 3) -> None:
    """Put a lot with stock into the tables, and a sale of the last days."""
    at = shop.now - timedelta(days=days_ago)
    lot = shop.add(
        Lot(
            unit_id=shop.unit.id,
            model_id=model,
            number="L1",
            state=values.ON_SALE,
            stock=stock,
            held=0,
            created_at=at,
        )
    )
    first = {"lot_id": lot, "model_id": model, "unit_id": shop.unit.id}
    shop.add(Movement(**first, seq=1, at=at, kind="receive", quantity=stock + pieces, stock=stock + pieces))
    shop.add(Movement(**first, seq=2, at=at, kind="sell", quantity=-pieces, stock=stock))


@pytest.mark.clause("R02-8")
def test_a_plan_is_proposed_from_sales_and_stock(shop: Shop) -> None:
    shop.clause("R02-8", days=30, cover=60)
    supplier = shop.supplier("东方商行")
    fast = shop.model("快销", barcode=CODE, supplier_id=supplier)
    low = shop.model("见底", barcode=OTHER, reorder_at=10, reorder_to=40, supplier_id=supplier)
    enough = shop.model("充足", reorder_at=5, reorder_to=20)
    old = shop.model("旧销售")
    sold(shop, fast, 30, 20)
    sold(shop, low, 0 + 1, 8)
    sold(shop, enough, 1, 50)
    sold(shop, old, 40, 0, days_ago=31)
    with shop.acting():
        key = plans.register(shop.unit.id, {"month": "2026-04"}).id
    lines = {one.model_id: one for one in shop.all(select(PlanLine).where(PlanLine.plan_id == key))}
    assert {model: one.quantity for model, one in lines.items()} == {fast: 40, low: 32}
    assert (lines[fast].in_stock, lines[fast].sold, lines[fast].supplier_id) == (20, 60, supplier)
    shop.do(key, "approve")
    with shop.acting():
        (order,) = plans.make_orders(key)
        order_id = order.id
    assert shop.state(key) == values.DONE
    ordered = shop.all(select(OrderLine).where(OrderLine.order_id == order_id))
    assert {one.model_id: one.quantity for one in ordered} == {fast: 40, low: 32}
    with shop.acting(), pytest.raises(Refused):
        plans.make_orders(key)
    assert len(shop.all(select(PurchaseOrder).where(PurchaseOrder.unit_id == shop.unit.id))) == 1
    with shop.acting():
        orders.change(order_id, {"standard_met": "1"})
    shop.do(order_id, "order")
    with shop.acting():
        assert plans.proposal(shop.unit.id) == []


@pytest.mark.clause("R02-8")
def test_the_recurring_plan_is_met_by_its_approval(shop: Shop) -> None:
    from core.kernel import clock
    from core.kernel.database import system_scope

    shop.clause("R02-8")
    shop.model(barcode=CODE)
    with clock.frozen(shop.now), current().app_context(), system_scope("test"):
        schedules.create_due(shop.unit.id)
    (task,) = shop.all(select(Task).where(Task.unit_id == shop.unit.id, Task.clause == "R02-8"))
    with shop.acting():
        key = plans.register(shop.unit.id, {"month": "2026-04", "lines": f"{CODE}, 12"}).id
    shop.do(key, "approve")
    assert shop.state(task.id) == "done"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"month": "2026"}, "month"),
        ({"month": "2026-13"}, "month"),
        ({"month": "0000-01"}, "month"),
        ({"month": ""}, "month"),
        ({"lines": "没有的, 3"}, "lines"),
        ({"lines": f"{CODE}, -1"}, "lines"),
        ({"lines": f"{CODE}, 1, 没有的商行"}, "lines"),
        ({"lines": f"{CODE}, 1\n{CODE}, 1"}, "lines"),
    ],
)
def test_what_a_plan_refuses(small: Shop, raw: dict[str, str], field: str) -> None:
    small.model(barcode=CODE)
    with small.acting(), pytest.raises(InvalidData) as bad:
        plans.register(small.unit.id, {"month": "2026-04", **raw})
    assert list(bad.value.errors) == [field]


def test_one_plan_a_month_and_only_drafts_change(shop: Shop) -> None:
    shop.model(barcode=CODE)
    with shop.acting():
        key = plans.register(shop.unit.id, {"month": "2026-04", "lines": f"{CODE}, 0"}).id
    with shop.acting(), pytest.raises(Refused):
        plans.register(shop.unit.id, {"month": "2026-04"})
    with pytest.raises(Refused) as refused:
        shop.do(key, "approve")
    assert codes(refused.value) == {"nothing"}
    with shop.acting():
        plans.change(key, {"lines": f"{CODE}, 12"})
    with pytest.raises((NotAllowed, Refused)):
        shop.do(key, "approve", shop.staff("procurement"))
    shop.do(key, "approve", shop.staff("store_head"))
    with shop.acting(), pytest.raises(Refused):
        plans.change(key, {"lines": f"{CODE}, 1"})
    with shop.acting(), pytest.raises(Refused):
        plans.make_orders(key)  # nobody to order from
    assert shop.all(select(Product).where(Product.unit_id == shop.unit.id))

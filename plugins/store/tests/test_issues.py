"""Outgoing goods: what goes out at which price, everything that stops it, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, Record, Refused, session
from plugins.store import issues, lots, values
from plugins.store.models import IssueLine, Lot, Movement, Objection

from .scene import BARCODES, Shop, clauses, codes, make_shop
from .test_lots import stocked

SALE = {"kind": values.SALE}
ON = ("R02-4", "R02-9", "R02-11", "R02-15", "R02-18", "R09-5.2.4c")


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop(on=ON)


def sell(shop: Shop, lines: Any, **more: Any) -> Record:
    with shop.acting():
        return issues.register(shop.unit.id, {**SALE, "lines": lines, **more}, key=more.pop("key", ""))


def lot(shop: Shop, key: int) -> Lot:
    return shop.all(select(Lot).where(Lot.id == key))[0]


def test_a_bar_code_takes_what_expires_first(shop: Shop) -> None:
    """Two batches of a product: the older one first, and what is missing from the newer one; at the day's price."""
    model = shop.goods(barcode=BARCODES[0], price="12.50")
    new = stocked(shop, 10, model_id=model, number="N", best_before=date(2026, 12, 1))
    old = stocked(shop, 3, model_id=model, number="O", best_before=date(2026, 6, 1))
    record = sell(shop, f"{BARCODES[0]}, 5", receipt="T-1", phone="13800138000")
    lines = shop.all(select(IssueLine).where(IssueLine.issue_id == record.id).order_by(IssueLine.id))
    assert {one.lot_id: one.quantity for one in lines} == {old: 3, new: 2}
    assert issues.total(lines) == Decimal("62.50") and lot(shop, old).state == values.GONE
    assert record.category == "closed"


def test_nothing_goes_out_where_one_line_is_stopped(shop: Shop) -> None:
    """All lines together or none; every reason is told at once."""
    good, model = stocked(shop, 5, number="G"), shop.model()
    raw = stocked(shop, 5, model_id=model, number="R", on_sale=False)
    with pytest.raises(Refused) as bad:
        sell(shop, f"store.lot~{good},1\nstore.lot~{raw},9")
    assert {"not_on_sale", "stock"} <= codes(bad.value)
    assert {"R02-4", "R02-18"} <= clauses(bad.value)
    assert lot(shop, good).stock == 5 and not shop.all(select(IssueLine))


@pytest.mark.clause("R02-15")
def test_the_last_day_is_the_last_day_of_sale(shop: Shop) -> None:
    """Sold on the last day; refused on the day after, by its clause, before any job has run."""
    key = stocked(shop, 5, made_on=date(2026, 1, 1), shelf_days=60)
    last = lot(shop, key).last_day
    assert last == date(2026, 3, 2) == shop.today
    sell(shop, f"store.lot~{key}")
    shop.later(days=1)
    with pytest.raises(Refused) as bad:
        sell(shop, f"store.lot~{key}")
    assert clauses(bad.value) == {"R02-15"}


@pytest.mark.clause("R02-9")
def test_goods_that_were_not_inspected_go_nowhere(shop: Shop) -> None:
    key = stocked(shop, 5, on_sale=False, state=values.QUARANTINE)
    with shop.acting(), pytest.raises(Refused) as bad:
        lots.put_on_sale(key)
    assert clauses(bad.value) == {"R02-9"}
    with pytest.raises(Refused) as bad:
        sell(shop, f"store.lot~{key}")
    assert clauses(bad.value) == {"R02-9"}


@pytest.mark.clause("MD-2")
def test_dated_goods_without_dates_are_not_sold(shop: Shop) -> None:
    model = shop.goods(shelf_days=90, dated=True)
    key = stocked(shop, 5, model_id=model, on_sale=False)
    with shop.acting(), pytest.raises(Refused) as bad:
        lots.put_on_sale(key)
    assert clauses(bad.value) == {"MD-2"}


@pytest.mark.clause("MD-5")
def test_pieces_of_an_objection_are_not_sold(shop: Shop) -> None:
    key = stocked(shop, 5)
    with shop.acting():
        lots.hold(key, 4)
        session().commit()
    with pytest.raises(Refused) as bad:
        sell(shop, f"store.lot~{key}, 2")
    assert "MD-5" in clauses(bad.value)


@pytest.mark.clause("R02-4")
def test_own_use_needs_no_release_and_no_price(shop: Shop) -> None:
    """What the store uses itself is no sale; what has expired is not used either."""
    key = stocked(shop, 5, model_id=shop.model(), on_sale=False)
    with shop.acting():
        made = issues.register(shop.unit.id, {"kind": values.USE, "lines": f"store.lot~{key}, 2"})
    assert shop.all(select(IssueLine.price).where(IssueLine.issue_id == made.id)) == [None]


@pytest.mark.parametrize(
    "lines",
    ["", "  \n ", "unknown, 1", "store.lot~999999999, 1", "x, 0", "x, -3", "x, 1.5", "x, ２x", [], "x\n" * 101],
)
def test_lines_that_cannot_be_are_said_beside_the_field(shop: Shop, lines: Any) -> None:
    with pytest.raises(InvalidData) as bad:
        sell(shop, lines)
    assert list(bad.value.errors) == ["lines"]


def test_who_may_not_sell_does_not(shop: Shop) -> None:
    key = stocked(shop, 5)
    with shop.acting(permissions=frozenset({"store.view"})), pytest.raises(NotAllowed):
        issues.register(shop.unit.id, {**SALE, "lines": f"store.lot~{key}"})


def test_the_same_request_sells_once(shop: Shop) -> None:
    key = stocked(shop, 5)
    with shop.acting():
        first = issues.register(shop.unit.id, {**SALE, "lines": f"store.lot~{key}"}, key="k1")
        again = issues.register(shop.unit.id, {**SALE, "lines": f"store.lot~{key}"}, key="k1")
    assert first.id == again.id and lot(shop, key).stock == 4


def test_another_units_batch_is_not_known(shop: Shop) -> None:
    other = make_shop(on=ON)
    key = stocked(other, 5, number="FOREIGN")
    for code in (f"store.lot~{key}", "FOREIGN"):
        with pytest.raises(InvalidData):
            sell(shop, code)


@pytest.mark.clause("R02-11")
def test_what_comes_back_is_sold_again_or_set_apart(shop: Shop) -> None:
    """Sound pieces go back into their batch; others with an objection; not more than went out."""
    key = stocked(shop, 5)
    record = sell(shop, f"store.lot~{key}, 3")
    line = shop.all(select(IssueLine).where(IssueLine.issue_id == record.id))[0]
    given = {"line": line.id, "quantity": 1, "sound": True, "note": "wrong colour"}
    with shop.acting():
        issues.take_back(record.id, given)
        with pytest.raises(InvalidData):
            issues.take_back(record.id, {**given, "quantity": 3})
        issues.take_back(record.id, {**given, "quantity": 2, "sound": False})
    held = shop.all(select(Objection).where(Objection.lot_id == key))
    assert [(one.quantity, one.found_at) for one in held] == [(2, "customer")]
    assert (lot(shop, key).stock, lot(shop, key).held) == (5, 2)
    assert shop.state(record.id) == values.TAKEN_BACK
    assert sum(shop.all(select(Movement.quantity).where(Movement.lot_id == key))) == 5


def test_phones_are_forgotten(shop: Shop) -> None:
    """The phone of a buyer who is not on file is kept for two years."""
    record = sell(shop, f"store.lot~{stocked(shop)}", phone="13800138000")
    shop.later(days=729)
    with shop.acting():
        assert issues.forget_phones(shop.unit.id) == 0
    shop.later(days=2)
    with shop.acting():
        assert issues.forget_phones(shop.unit.id) == 1
    assert record.type == issues.CODE

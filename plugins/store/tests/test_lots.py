"""Batches in stock: what comes in, goes out, is set apart; the sum of what moved is what there is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, Refused, session
from plugins.products import services as products
from plugins.store import lots, values
from plugins.store.models import Lot, Movement

from .scene import Shop, codes, make_shop


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop()


def stocked(shop: Shop, quantity: int = 10, *, on_sale: bool = True, **given: Any) -> int:
    """Take goods in that may be sold, and put them on sale; return the lot's id."""
    model = given.pop("model_id", None) or shop.goods()
    with shop.acting():
        lot = lots.receive(shop.unit.id, model, quantity, **given)
        if on_sale:
            lots.put_on_sale(lot.id)
        session().commit()
        return lot.id


def sum_of(shop: Shop, lot_id: int) -> tuple[Lot, list[Movement]]:
    moved = shop.all(select(Movement).where(Movement.lot_id == lot_id).order_by(Movement.seq))
    return shop.all(select(Lot).where(Lot.id == lot_id))[0], moved


def test_goods_come_in_go_out_and_come_back(shop: Shop) -> None:
    """Stock is the sum of the movements, numbered without gaps; an empty lot is gone until something comes back."""
    lot_id = stocked(shop, 5, number="B1", made_on=date(2026, 1, 1), shelf_days=180)
    with shop.acting():
        moved, price = lots.move_out({lot_id: 5}, values.SALE)[lot_id]
        session().commit()
    assert (moved.quantity, moved.stock, str(price)) == (-5, 0, "10.00")
    lot, rows = sum_of(shop, lot_id)
    assert (lot.state, lot.stock, lot.last_day) == (values.GONE, 0, date(2026, 6, 30))
    with shop.acting():
        lots.bring_back(lot_id, 2)
        session().commit()
    lot, rows = sum_of(shop, lot_id)
    assert (lot.state, lot.stock) == (values.ON_SALE, 2)
    assert [one.seq for one in rows] == [1, 2, 3] and sum(one.quantity for one in rows) == lot.stock


def test_what_is_not_there_or_set_apart_cannot_be_had(shop: Shop) -> None:
    """More than the free pieces is refused, whatever the clauses say."""
    lot_id = stocked(shop, 5)
    with shop.acting():
        lots.hold(lot_id, 3)
        with pytest.raises(Refused) as bad:
            lots.move_out({lot_id: 3}, values.SALE)
        assert "stock" in codes(bad.value)
        with pytest.raises(InvalidData):
            lots.hold(lot_id, 3)
        lots.move_out({lot_id: 2}, values.SALE)
        lots.release(lot_id, 1)
        lots.write_off(lot_id, 2, "scrap", held=True)
        session().commit()
    lot, rows = sum_of(shop, lot_id)
    assert (lot.stock, lot.held) == (1, 0) and sum(one.quantity for one in rows) == 1


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_wrong_numbers_of_pieces_are_said(shop: Shop, quantity: int) -> None:
    lot_id = stocked(shop, 5)
    with shop.acting():
        for act in (
            lambda: lots.receive(shop.unit.id, shop.goods(), quantity),
            lambda: lots.move_out({lot_id: quantity}, values.SALE),
            lambda: lots.bring_back(lot_id, quantity),
            lambda: lots.hold(lot_id, quantity),
        ):
            with pytest.raises(InvalidData) as bad:
                act()
            assert list(bad.value.errors) == ["quantity"]


def test_dates_that_cannot_be_are_said(shop: Shop) -> None:
    """A shelf life of no days, and goods made tomorrow."""
    with shop.acting():
        with pytest.raises(InvalidData) as bad:
            lots.receive(shop.unit.id, shop.goods(), 1, shelf_days=0)
        assert list(bad.value.errors) == ["shelf_days"]
        with pytest.raises(InvalidData) as bad:
            lots.receive(shop.unit.id, shop.goods(), 1, made_on=shop.today + timedelta(days=1))
        assert list(bad.value.errors) == ["made_on"]


def test_a_printed_date_beats_arithmetic(shop: Shop) -> None:
    lot_id = stocked(shop, made_on=date(2026, 1, 1), shelf_days=10, best_before=date(2026, 12, 31))
    assert sum_of(shop, lot_id)[0].last_day == date(2026, 12, 31)


@pytest.mark.clause("R09-5.2.4c")
def test_a_stopped_batch_comes_in_as_held(shop: Shop) -> None:
    """What is delivered of a stopped batch does not go on the shelf."""
    lot_id = stocked(shop, number="B7")
    with shop.acting():
        batch = products.lock_batches([session().get_one(Lot, lot_id).batch_id or 0]).popitem()[1]
        products.hold_batch(batch, "fault")
        lots.follow_batch(batch)
        model_id = session().get_one(Lot, lot_id).model_id
        more = lots.receive(shop.unit.id, model_id, 4, number="B7")
        assert more.state == values.HELD and session().get_one(Lot, lot_id).state == values.HELD
        with pytest.raises(Refused) as bad:
            lots.move_out({lot_id: 1}, values.SALE)
        assert "stopped" in codes(bad.value)
        products.release_batch(batch, "checked")
        lots.follow_batch(batch)
        assert session().get_one(Lot, lot_id).state == values.ON_SALE and more.state == values.ACCEPTED

"""Whatever happens to batches, the sum of what moved is the stock, and nothing is sold after its last day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from core.kernel import clock
from core.sdk import InvalidData, Refused, transaction
from plugins.products import services as products
from plugins.store import issues, lots, removals, values
from plugins.store.models import Lot, Movement

from .scene import Shop, make_shop
from .test_issues import ON
from .test_lots import stocked

ACTS = ("sell", "use", "back", "hold", "release", "scrap", "scrap_held", "adjust", "stop", "go", "off", "on", "day")


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield make_shop(on=ON)


def _do(shop: Shop, act: str, key: int, pieces: int) -> None:
    with shop.acting(), transaction():
        lot = lots.lock_lot(key)
        batch = products.lock_batches([lot.batch_id or 0])[lot.batch_id or 0]
        if act in ("sell", "use"):
            lots.move_out({key: pieces}, values.SALE if act == "sell" else values.USE)
        elif act == "stop":
            products.hold_batch(batch, "why")
        elif act == "go":
            products.release_batch(batch, "why")
        elif act == "day":
            removals.watch(shop.unit.id)
        else:
            {
                "back": lambda: lots.bring_back(key, pieces),
                "hold": lambda: lots.hold(key, pieces),
                "release": lambda: lots.release(key, pieces),
                "scrap": lambda: lots.write_off(key, pieces, "scrap"),
                "scrap_held": lambda: lots.write_off(key, pieces, "scrap", held=True),
                "adjust": lambda: lots.adjust(key, pieces - 3),
                "off": lambda: lots.take_off(key),
                "on": lambda: lots.put_on_sale(key),
            }[act]()


@given(walk=st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 6)), max_size=25))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_sum_of_what_moved_is_the_stock(shop: Shop, walk: list[tuple[str, int]]) -> None:
    """Any walk: numbers without gaps, each stock the sum so far, held never more, no sale after the last day."""
    key = stocked(shop, 8, number="W", best_before=shop.today + timedelta(days=3))
    for act, pieces in walk:
        if act == "day":
            shop.later(days=1)
        try:
            _do(shop, act, key, pieces)
        except (Refused, InvalidData):
            continue
    lot = shop.all(select(Lot).where(Lot.id == key))[0]
    moved = shop.all(select(Movement).where(Movement.lot_id == key).order_by(Movement.seq))
    assert [one.seq for one in moved] == list(range(1, len(moved) + 1))
    assert all(two.stock == one.stock + two.quantity for one, two in pairwise(moved))
    assert lot.stock == sum(one.quantity for one in moved) and 0 <= lot.held <= lot.stock
    assert (lot.state == values.GONE) == (lot.stock == 0)
    assert lot.last_day is not None
    sold = [one for one in moved if one.kind in ("sell", "use")]
    assert all((one.at + timedelta(hours=8)).date() <= lot.last_day for one in sold)


def _both(app: Flask, *calls: Any) -> list[Any]:
    """Run calls at the same time, each in a thread and session of its own; return what came of each."""
    found: list[Any] = [None] * len(calls)
    gate = Barrier(len(calls))

    def run(place: int) -> None:
        with app.app_context():
            gate.wait()
            try:
                found[place] = calls[place]()
            except (Refused, InvalidData) as bad:
                found[place] = bad

    threads = [Thread(target=run, args=(place,)) for place in range(len(calls))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    return found


def _sell(shop: Shop, key: int, pieces: int) -> Any:
    def call() -> int:
        with shop.acting():
            return issues.register(shop.unit.id, {"kind": values.SALE, "lines": f"store.lot~{key}, {pieces}"}).id

    return call


def _stop(shop: Shop, batch_id: int) -> Any:
    def call() -> str:
        with shop.acting():
            with transaction():
                products.hold_batch(products.lock_batches([batch_id])[batch_id], "fault")
            return "stopped"

    return call


def test_two_sales_at_once_never_sell_what_is_not_there(shop: Shop, app: Flask) -> None:
    """Five pieces, two sales of three: one goes out, the other is told that there are only two."""
    shop.now = clock.now()
    key = stocked(shop, 5)
    found = _both(app, _sell(shop, key, 3), _sell(shop, key, 3))
    assert sorted(isinstance(one, Refused) for one in found) == [False, True]
    assert shop.all(select(Lot.stock).where(Lot.id == key)) == [2]


@pytest.mark.clause("R09-5.2.4c")
def test_a_sale_while_the_batch_is_stopped_is_before_or_refused(shop: Shop, app: Flask) -> None:
    """Whoever comes first: afterwards the batch is held and nothing more of it goes out."""
    shop.now = clock.now()
    key = stocked(shop, 5, number="L7")
    batch_id = shop.all(select(Lot.batch_id).where(Lot.id == key))[0]
    sold, stopped = _both(app, _sell(shop, key, 1), _stop(shop, batch_id))
    assert stopped == "stopped"
    lot = shop.all(select(Lot).where(Lot.id == key))[0]
    assert lot.state == values.HELD and lot.stock == (5 if isinstance(sold, Refused) else 4)
    with pytest.raises(Refused), shop.acting():
        issues.register(shop.unit.id, {"kind": values.SALE, "lines": "L7"})

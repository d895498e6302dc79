"""Small parts by quantity: moves, using up, counting, starting; sums agree whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from core.sdk import Conflict, InvalidData, NotAllowed, NotFound, Refused, session, transaction
from plugins.tools import rights, stock
from plugins.tools.models import Kind, Party, Stock, StockMove
from tests.helpers import as_system, current

from .scene_buying import Shop, make_shop


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield make_shop()


@pytest.fixture
def small(sqlite_app: Flask) -> Iterator[Shop]:
    yield make_shop()


def test_a_quantity_moves_and_nobody_has_less_than_nothing(shop: Shop) -> None:
    tape, store, other = shop.parts("胶带"), shop.store("主库"), shop.store()
    shop.move(tape, None, store, 10)
    shop.move(tape, store, other, "2.5")
    assert (shop.quantity(store, tape), shop.quantity(other, tape)) == (Decimal("7.5"), Decimal("2.5"))
    with pytest.raises(Refused) as refused:
        shop.move(tape, store, other, "7.51")
    assert "主库" in str(refused.value.texts()) and "7.5" in str(refused.value.texts())
    with pytest.raises(Refused):
        shop.move(shop.parts(), store, other, 1)  # nothing of this kind was ever there
    assert (shop.quantity(store, tape), shop.quantity(other, tape)) == (Decimal("7.5"), Decimal("2.5"))
    assert len(shop.moves(tape)) == 2


def test_the_database_itself_keeps_the_rule(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    shop.move(tape, None, store, 1)
    with pytest.raises(IntegrityError), as_system() as work:
        work.execute(update(Stock).where(Stock.party_id == store).values(quantity=Decimal(-1)))
    with pytest.raises(IntegrityError), as_system() as work:
        row = StockMove(unit_id=shop.unit.id, kind_id=tape, quantity=Decimal(1), at=shop.now, why="used")
        work.add(row)  # neither from anybody nor to anybody


@pytest.mark.parametrize("quantity", [0, -1, "0.001", "1e9", "x", "NaN", 1.5])
def test_quantities_that_are_none(small: Shop, quantity: Any) -> None:
    tape, store = small.parts(), small.store()
    with pytest.raises(InvalidData) as bad:
        small.move(tape, None, store, quantity)
    assert list(bad.value.errors) == ["quantity"]
    assert not small.moves(tape)


def test_numbered_kinds_have_no_quantities(small: Shop) -> None:
    plier, store = small.kind("电缆钳"), small.store()
    with pytest.raises(InvalidData) as bad:
        small.move(plier, None, store, 1)
    assert list(bad.value.errors) == ["kind"]


def test_a_retry_with_its_key_moves_once(shop: Shop) -> None:
    tape, store, other = shop.parts(), shop.store(), shop.store()
    first = shop.move(tape, None, store, 10, key="k1")
    assert shop.move(tape, None, store, 10, key="k1") == first
    assert shop.quantity(store, tape) == 10
    shop.move(tape, store, other, 10, key="k2")
    # The retry comes when there is nothing left: it answers as before.
    shop.move(tape, store, other, 10, key="k2")
    assert shop.quantity(other, tape) == 10
    with pytest.raises(Conflict):
        shop.move(tape, None, store, 11, key="k1")


def test_using_up_is_for_keepers_and_for_ones_own(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    user, mine = shop.person()
    other, _theirs = shop.person()
    shop.move(tape, None, store, 5)
    shop.move(tape, store, mine, 3)
    raw = {"party": mine, "kind": tape, "quantity": "1", "note": "布线"}
    with shop.acting(user, {rights.OWN}):
        stock.use_up(shop.unit.id, raw)
    with shop.acting():
        stock.use_up(shop.unit.id, raw)
    for who, permissions in ((other, {rights.OWN}), (user, {rights.VIEW})):
        with shop.acting(who, permissions), pytest.raises(NotAllowed):
            stock.use_up(shop.unit.id, raw)
    assert shop.quantity(mine, tape) == 1
    last = shop.moves(tape)[-1]
    assert (last.why, last.taker_id, last.note, last.by_id) == ("used", None, "布线", shop.office.desk.id)


def test_a_count_writes_the_difference(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    shop.move(tape, None, store, 5)
    for counted, moves in (("5", 1), ("3.5", 2), ("8", 3), ("0", 4)):
        with shop.acting():
            stock.count(shop.unit.id, {"party": store, "kind": tape, "counted": counted})
        assert (shop.quantity(store, tape), len(shop.moves(tape))) == (Decimal(counted), moves)
    with shop.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        stock.count(shop.unit.id, {"party": store, "kind": tape, "counted": "1"})
    with shop.acting(), pytest.raises(InvalidData):
        stock.count(shop.unit.id, {"party": store, "kind": tape, "counted": "-1"})


def test_a_start_value_is_entered_once(shop: Shop) -> None:
    tape, store = shop.parts(), shop.store()
    raw = {"party": store, "kind": tape, "quantity": "40"}
    for _attempt in range(2):
        with shop.acting():
            stock.start(shop.unit.id, raw, key="first")
    assert shop.quantity(store, tape) == 40
    with shop.acting(), pytest.raises(Refused):
        stock.start(shop.unit.id, raw)


def test_another_unit_is_not_found(shop: Shop) -> None:
    away = make_shop()
    tape, store = shop.parts(), shop.store()
    theirs, there = away.parts(), away.store()
    for party, kind in ((there, tape), (store, theirs)):
        with shop.acting(), pytest.raises(NotFound):
            stock.use_up(shop.unit.id, {"party": party, "kind": kind, "quantity": "1"})


def test_what_a_party_has(shop: Shop) -> None:
    tape, shoes, store = shop.parts("防水胶带"), shop.parts("加厚鞋套"), shop.store()
    shop.move(tape, None, store, 2)
    shop.move(shoes, None, store, 7)
    shop.move(tape, store, None, 2)
    with shop.acting():
        assert [(one.kind.name, one.quantity) for one in stock.of_party(store)] == [("加厚鞋套", Decimal(7))]
        assert stock.quantity_of(store, shoes) == 7
    assert [stock.plain_number(Decimal(one)) for one in ("3.00", "0.50", "100")] == ["3", "0.5", "100"]


@pytest.mark.parametrize("swapped", [False, True])
def test_two_at_once_take_no_more_than_there_is(app: Flask, swapped: bool) -> None:
    """Ten times both ends at once, in both directions: nobody waits in circles, nothing is lost."""
    shop = make_shop()
    tape, one, two = shop.parts(), shop.store(), shop.store()
    shop.move(tape, None, one, 6)
    shop.move(tape, None, two, 6)
    ways = [(one, two, 5), (two, one, 5)] if swapped else [(one, two, 5), (one, two, 5)]
    app_now, gate, answers = current(), threading.Barrier(2), []

    def take(giver: int, taker: int, quantity: int) -> None:
        with app_now.app_context():
            gate.wait()
            try:
                shop.move(tape, giver, taker, quantity)
                answers.append("done")
            except Refused:
                answers.append("refused")

    threads = [threading.Thread(target=take, args=way) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == (["done", "done"] if swapped else ["done", "refused"])
    assert shop.quantity(one, tape) + shop.quantity(two, tape) == 12
    for party in (one, two):
        assert shop.quantity(party, tape) == shop.sum_of_moves(party, tape)


def test_two_at_once_with_one_key(app: Flask) -> None:
    shop = make_shop()
    tape, store = shop.parts(), shop.store()
    app_now, gate, answers = current(), threading.Barrier(2), []

    def bring() -> None:
        with app_now.app_context():
            gate.wait()
            answers.append(shop.move(tape, None, store, 5, key="once"))

    threads = [threading.Thread(target=bring) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 2 and len(set(answers)) == 1
    assert shop.quantity(store, tape) == 5


_DEEDS = st.lists(
    st.tuples(
        st.sampled_from(("come", "go", "hand", "count")),
        st.integers(0, 2),
        st.integers(0, 2),
        st.decimals(Decimal("0.01"), Decimal(20), places=2),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=_DEEDS)
def test_stock_is_always_the_sum_of_its_moves(small: Shop, deeds: list[tuple[str, int, int, Decimal]]) -> None:
    tape, ends = small.parts(), [small.store() for _ in range(3)]
    expected = dict.fromkeys(ends, Decimal(0))
    with small.acting() as work:
        kind, rows = work.get_one(Kind, tape), [work.get_one(Party, one) for one in ends]
        for deed, first, second, quantity in deeds:
            _try(deed, kind, rows[first], rows[second], quantity, expected)
    for party in ends:
        assert small.quantity(party, tape) == small.sum_of_moves(party, tape) == expected[party]


def _try(deed: str, kind: Kind, one: Party, two: Party, quantity: Decimal, expected: dict[int, Decimal]) -> None:
    """Do a deed to the stock and to what is expected of it; what is refused changes neither."""
    try:
        with transaction():
            if deed == "come":
                stock.move(kind, None, one, quantity, stock.BOUGHT)
                expected[one.id] += quantity
            elif deed == "go":
                stock.move(kind, one, None, quantity, stock.USED)
                expected[one.id] -= quantity
            elif deed == "hand":
                stock.move(kind, one, two, quantity, stock.HANDED)
                expected[one.id] -= quantity
                expected[two.id] += quantity
            else:
                stock.correct(kind, one, quantity)
                expected[one.id] = quantity
    except Refused:
        assert deed in ("go", "hand") and expected[one.id] < quantity
    session().expire_all()

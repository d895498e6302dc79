"""Prices: proposed, agreed to, public; what counts on a day; nothing of the past, nothing without authority."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.sdk import InvalidData, NotAllowed, NotFound, Refused, approvals, perform
from plugins.store import prices, rights, values
from plugins.store.models import Price, PriceChange
from tests.helpers import as_system, current

from .scene import BARCODES, Shop, clauses, codes, make_shop


@pytest.fixture
def shop(app: Flask) -> Iterator[Shop]:
    yield make_shop(off=("R02-18",))


@pytest.fixture
def small(sqlite_app: Flask) -> Iterator[Shop]:
    yield make_shop(off=("R02-18",))


def propose(shop: Shop, lines: Any, user: Any = None, **raw: Any) -> int:
    given = {"reason": "进价上调", "lines": lines, **raw}
    with shop.acting(user):
        return int(prices.register(shop.unit.id, given).id)


def public(shop: Shop, model_id: int, day: date | None = None) -> Decimal | None:
    with shop.acting():
        return prices.price_on(shop.unit.id, model_id, day or shop.today)


def test_prices_are_typed_one_a_line_and_public_when_agreed_to(shop: Shop) -> None:
    tea, cake = shop.model(barcode=BARCODES[0]), shop.model(barcode=BARCODES[1])
    shop.price(tea, "9.00")
    key = propose(shop, f"{BARCODES[0]}, 12.50\n{BARCODES[1]}，8")
    assert public(shop, tea) == Decimal("9.00") and public(shop, cake) is None
    with shop.acting():
        lines = prices.lines_of(key)
        assert [(one.model_id, one.before, one.price) for one in lines] == [
            (tea, Decimal("9.00"), Decimal("12.50")),
            (cake, None, Decimal("8.00")),
        ]
    shop.do(key, "approve")
    assert (shop.state(key), public(shop, tea), public(shop, cake)) == ("approved", Decimal("12.50"), Decimal(8))
    assert shop.facts(key) == ["registered", "approved"]


def test_the_price_of_a_day_is_the_one_that_began_last_of_one_day_the_later_one(shop: Shop) -> None:
    tea = shop.model(barcode=BARCODES[0])
    shop.price(tea, "9.00")
    coming = shop.today + timedelta(days=3)
    later = propose(shop, f"{BARCODES[0]}, 12", starts_on=coming.isoformat())
    shop.do(later, "approve")
    assert public(shop, tea) == Decimal(9) and public(shop, tea, coming) == Decimal(12)
    for price in ("10", "11"):
        shop.do(propose(shop, f"{BARCODES[0]}, {price}"), "approve")
    assert public(shop, tea) == Decimal(11)
    assert public(shop, tea, coming - timedelta(days=1)) == Decimal(11)
    with shop.acting():
        assert [one.price for one in prices.history(shop.unit.id, tea)] == [12, 11, 10, 9]
        listed = prices.price_list(shop.unit.id, shop.today)
        assert [(one[2], one[3]) for one in listed] == [(Decimal(11), shop.today)]
        assert [one[2] for one in prices.price_list(shop.unit.id, coming)] == [Decimal(12)]


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"lines": "没有的东西, 1"}, "lines"),
        ({"lines": ""}, "lines"),
        ({"lines": f"{BARCODES[0]}, 0"}, "lines"),
        ({"lines": f"{BARCODES[0]}, -1"}, "lines"),
        ({"lines": f"{BARCODES[0]}, 1.005"}, "lines"),
        ({"lines": f"{BARCODES[0]}, x"}, "lines"),
        ({"lines": f"{BARCODES[0]}"}, "lines"),
        ({"lines": f"{BARCODES[0]}, 1\n{BARCODES[0]}, 2"}, "lines"),
        ({"lines": {"product": 1}}, "lines"),
        ({"lines": ["x"]}, "lines"),
        ({"reason": ""}, "reason"),
        ({"starts_on": "2026-02-30"}, "starts_on"),
    ],
)
def test_what_a_proposal_refuses(small: Shop, raw: dict[str, Any], field: str) -> None:
    small.model(barcode=BARCODES[0])
    with pytest.raises(InvalidData) as bad:
        propose(small, **{"lines": f"{BARCODES[0]}, 5", **raw})
    assert list(bad.value.errors) == [field]
    assert small.all(select(PriceChange)) == []


@pytest.mark.clause("MD-3")
def test_no_price_begins_in_the_past(shop: Shop) -> None:
    shop.model(barcode=BARCODES[0])
    yesterday = (shop.today - timedelta(days=1)).isoformat()
    with pytest.raises(Refused) as refused:
        propose(shop, f"{BARCODES[0]}, 5", starts_on=yesterday)
    assert clauses(refused.value) == {"MD-3"}
    key = propose(shop, f"{BARCODES[0]}, 5")
    shop.later(days=1)
    with pytest.raises(Refused) as refused:
        shop.do(key, "approve")
    assert clauses(refused.value) == {"MD-3"} and shop.all(select(Price)) == []
    with shop.acting(), pytest.raises(Refused) as refused:
        prices.change(key, {"starts_on": yesterday})
    assert clauses(refused.value) == {"MD-3"}
    with shop.acting():
        prices.change(key, {"starts_on": shop.today.isoformat()})
    shop.do(key, "approve")
    assert [one.starts_on for one in shop.all(select(Price))] == [shop.today]


@pytest.mark.clause("R02-18")
def test_nobody_changes_a_price_without_authority(shop: Shop) -> None:
    shop.clause("R02-18")
    tea = shop.model(barcode=BARCODES[0])
    seller, head = shop.staff("sales"), shop.staff("store_head")
    key = propose(shop, f"{BARCODES[0]}, 5", seller)
    with pytest.raises(Refused) as refused:
        shop.do(key, "approve", seller)
    assert clauses(refused.value) == {"R02-18"} and public(shop, tea) is None
    asked = ask(shop, key, seller)
    with shop.acting(head):
        approvals.agree(asked)
    shop.do(key, "approve", seller)
    assert public(shop, tea) == Decimal(5)


@pytest.mark.clause("R02-18")
def test_what_was_agreed_to_counts_for_those_prices_only(shop: Shop) -> None:
    shop.clause("R02-18")
    tea = shop.model(barcode=BARCODES[0])
    seller, head = shop.staff("sales"), shop.staff("store_head")
    key = propose(shop, f"{BARCODES[0]}, 5", seller)
    asked = ask(shop, key, seller)
    with shop.acting(head):
        approvals.agree(asked)
    with shop.acting(seller):
        prices.change(key, {"lines": f"{BARCODES[0]}, 1"})
    with pytest.raises(Refused) as refused:
        shop.do(key, "approve", seller)
    assert clauses(refused.value) == {"R02-18"} and public(shop, tea) is None


def ask(shop: Shop, key: int, user: Any) -> int:
    from core.rules.approval_gate import ask_for

    with shop.acting(user):
        return int(ask_for(key, prices.CODE + ".approve", "R02-18", "进价上调").id)


def test_without_the_clause_who_decides_makes_prices_public(shop: Shop) -> None:
    tea = shop.model(barcode=BARCODES[0])
    seller, head = shop.staff("sales"), shop.staff("store_head")
    key = propose(shop, f"{BARCODES[0]}, 5", seller)
    with pytest.raises(Refused) as refused:
        shop.do(key, "approve", seller)
    assert codes(refused.value) == {"no_authority"}
    shop.do(key, "approve", head)
    assert public(shop, tea) == Decimal(5)


def test_a_public_price_is_not_altered(shop: Shop) -> None:
    shop.model(barcode=BARCODES[0])
    key = propose(shop, f"{BARCODES[0]}, 5")
    shop.do(key, "approve")
    with shop.acting(), pytest.raises(Refused) as refused:
        prices.change(key, {"lines": f"{BARCODES[0]}, 1"})
    assert codes(refused.value) == {"not_draft"}
    with pytest.raises(Refused):
        shop.do(key, "cancel", reason="不对")
    dropped = propose(shop, f"{BARCODES[0]}, 1")
    shop.do(dropped, "cancel", reason="不改了")
    assert (shop.state(dropped), len(shop.all(select(Price)))) == (values.CANCELLED, 1)


def test_who_may_propose_and_see(shop: Shop, app: Flask) -> None:
    shop.model(barcode=BARCODES[0])
    with shop.acting(permissions={rights.VIEW}), pytest.raises(NotAllowed):
        prices.register(shop.unit.id, {"reason": "x", "lines": f"{BARCODES[0]}, 5"})
    key = propose(shop, f"{BARCODES[0]}, 5")
    other = make_shop()
    with other.acting(), pytest.raises(NotFound):
        prices.change(key, {"reason": "y"})


def test_the_same_key_proposes_once_and_two_at_once_publish_once(app: Flask) -> None:
    shop = make_shop(off=("R02-18",))
    shop.model(barcode=BARCODES[0])
    given = {"reason": "x", "lines": f"{BARCODES[0]}, 5"}
    with shop.acting():
        first = prices.register(shop.unit.id, given, key="k1").id
    with shop.acting():
        assert prices.register(shop.unit.id, given, key="k1").id == first
    app_now, gate, answers = current(), threading.Barrier(2), []

    def approve() -> None:
        with app_now.app_context():
            gate.wait()
            try:
                with shop.acting():
                    perform(first, "approve", {})
                answers.append("done")
            except Refused:
                answers.append("refused")

    threads = [threading.Thread(target=approve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == ["done", "refused"]
    with as_system() as work:
        assert work.query(Price).count() == 1

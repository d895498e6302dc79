"""What stands against switching the store off, and what somebody who leaves has begun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.sdk import Record, perform, session
from plugins.store import plugin, stock_counts

from .scene import Shop, make_shop
from .test_issues import sell
from .test_lots import stocked


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop()


def against(shop: Shop) -> list[str]:
    with shop.acting():
        return [str(one.reason) for one in plugin.unit_disabling(shop.unit)]


def test_goods_and_open_work_speak_against_switching_off(shop: Shop) -> None:
    assert against(shop) == []
    key = stocked(shop, 2)
    assert len(against(shop)) == 1
    with shop.acting():
        count = stock_counts.begin(shop.unit.id, {})
    assert len(against(shop)) == 2 and " 1" in against(shop)[1]
    with shop.acting():
        perform(count.id, "cancel", {"reason": "mistake"})
    sell(shop, f"store.lot~{key}, 2")
    assert against(shop) == []
    assert against(make_shop()) == []


def test_who_leaves_signs_the_count_first(shop: Shop) -> None:
    """A count in which the person counted is named until it is signed; to others it is nothing."""
    stocked(shop, 2, number="B1")
    other = shop.staff("warehouse")
    with shop.acting():
        count = stock_counts.begin(shop.unit.id, {})
        assert plugin.leaving(shop.unit, shop.desk.id) == []
        stock_counts.count_one(count.id, {"code": "B1", "counted": "2"})
        (item,) = plugin.leaving(shop.unit, shop.desk.id)
        assert session().get_one(Record, count.id).number in str(item.text)
        assert plugin.leaving(shop.unit, other.id) == []
        perform(count.id, "sign")
        assert plugin.leaving(shop.unit, shop.desk.id) == []

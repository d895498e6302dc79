"""Entries of goods that cannot be: said beside the field, never read as something else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData
from plugins.store import check, objections, removals
from plugins.store.models import IssueLine

from .scene import Shop, make_shop
from .test_issues import ON, sell
from .test_lots import stocked


@pytest.fixture
def shop(app: object) -> Iterator[Shop]:
    yield make_shop(on=ON)


# --- entries that cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        "x, " + "9" * 5000,
        [{"code": "x", "pieces": 0}],
        [{"code": "x", "pieces": False}],
        [{"code": "x", "pieces": 1}, 5],
        [{"code": "x", "pieces": [1]}],
        [{"code": "x", "pieces": 1.5}],
        [{"code": {"a": 1}, "pieces": 1}],
        [{"code": "\x00", "pieces": 1}],
        [{"code": "a\ud800", "pieces": 1}],
        [{"code": "store.lot~" + "9" * 30, "pieces": 1}],
        "\x00, 1",
        {"code": "x"},
        7,
    ],
)
def test_no_entry_of_goods_is_read_as_another(shop: Shop, lines: Any) -> None:
    """What a program sends wrongly is said, not guessed: no pieces are not one piece."""
    stocked(shop, 5, number="x")
    with pytest.raises(InvalidData) as bad:
        sell(shop, lines)
    assert list(bad.value.errors) == ["lines"]
    assert not shop.all(select(IssueLine.id))


@pytest.mark.parametrize("code", ["\x00", "a\ud800", "store.lot~" + "9" * 30, "9" * 5000, "%", "'"])
def test_odd_codes_are_not_known(shop: Shop, code: str) -> None:
    stocked(shop, 5)
    with shop.acting():
        assert check.look(shop.unit.id, code).verdict == check.UNKNOWN
        for act in (
            lambda: objections.register(
                shop.unit.id, {"lot": code, "quantity": 1, "found_at": "shelf", "problem": "leaks"}
            ),
            lambda: removals.register(shop.unit.id, {"lot": code, "reason": "papers"}),
        ):
            with pytest.raises(InvalidData) as bad:
                act()
            assert list(bad.value.errors) == ["lot"]


@pytest.mark.parametrize("lot_id", [10**30, -1, 0, True])
def test_an_id_that_is_none_is_no_batch(shop: Shop, lot_id: Any) -> None:
    with shop.acting(), pytest.raises(InvalidData):
        objections.register(shop.unit.id, {"lot": lot_id, "quantity": 1, "found_at": "shelf", "problem": "leaks"})

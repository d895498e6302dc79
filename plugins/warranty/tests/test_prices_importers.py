"""Tariffs and part prices from spreadsheets: looked at first, errors by row, taken over at once, taken back."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.kernel import clock
from core.kernel import importing as files
from core.sdk import NotAllowed, session
from plugins.warranty import rights, tariffs
from plugins.warranty.models import PartPrice, Tariff
from plugins.warranty.tests.scene_prices import FINANCE, TODAY, add_part, add_tariff, make_shop, noon
from tests import helpers

PARTS = """配件编号,配件名称,单价(元),生效日期,小配件
YS-100,压缩机,"1,280.50",2026/7/1,否
FM-200,阀门,12.5,2026年7月1日,是
FM-200,阀门,13,2026-07-01,
BAD-1,坏的,1.005,2026-07-01,
BAD-2,,-3,2026-02-30,也许
"""
TARIFF = """名称,产品类别,生效日期,收费项目,价格,计费方式,最低
2027 标准,,2027-01-01,交通费,,按实际费用,
2027 标准,,2027-01-01,住宿费,160,每人每晚,
2027 标准,,2027-01-01,人员补贴,210,每人每天,150
2027 标准,4.3,2027-01-01,住宿费,220,每人每晚,
2027 标准,,2027-01-01,住宿费,170,每人每晚,
2027 标准,,2027-01-01,餐饮费,50,每小时,
2027 标准,,2027-01-01,打车费,50,,
2027 标准,,2027-01-01,人工费,50,,60
"""


def stage(unit: Any, key: str, text: str, permissions: tuple[str, ...] = FINANCE) -> int:
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, permissions) as work:
        run = files.stage(key, unit.id, io.BytesIO(text.encode()), "价格.csv")
        work.commit()
        return run.id


def check(unit: Any, run_id: int) -> tuple[dict[str, int], dict[int, set[str]]]:
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE):
        run = session().scalars(select(files.ImportRun).where(files.ImportRun.id == run_id)).one()
        counts = files.check(run)
        return counts, {one.line: {name for name, _ in one.errors} for one in files.preview_rows(run, "error")}


def take(unit: Any, key: str, text: str) -> dict[str, int]:
    run_id = stage(unit, key, text)
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE):
        return dict(files.confirm(run_id).counts)


def undo(unit: Any, run_id: int) -> None:
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE):
        files.undo(run_id)


def parts(unit: Any) -> list[tuple[str, Decimal, str, bool]]:
    with helpers.in_scope(unit, FINANCE) as work:
        rows = work.scalars(select(PartPrice).order_by(PartPrice.number, PartPrice.starts_on))
        return [(one.number, one.price, str(one.starts_on), one.small) for one in rows]


def drafts(unit: Any) -> dict[str, dict[str, Decimal]]:
    with helpers.in_scope(unit, FINANCE) as work:
        rows = work.scalars(select(Tariff).where(Tariff.state == "draft"))
        return {one.product_class: {price.item: price.amount for price in one.prices} for one in rows}


def test_part_prices_are_looked_at_row_by_row_and_written_at_once(app: Any) -> None:
    unit = make_shop()
    run_id = stage(unit, "warranty-parts", PARTS)
    counts, wrong = check(unit, run_id)
    assert (counts["create"], counts["error"]) == (2, 3)
    assert wrong == {4: {"starts_on"}, 5: {"price"}, 6: {"name", "price", "starts_on", "small"}}
    assert parts(unit) == []
    assert take(unit, "warranty-parts", PARTS)["create"] == 2
    assert parts(unit) == [
        ("FM-200", Decimal("12.50"), "2026-07-01", True),
        ("YS-100", Decimal("1280.50"), "2026-07-01", False),
    ]
    again = take(unit, "warranty-parts", PARTS)
    assert again.get("same") == 2 and "create" not in again and len(parts(unit)) == 2


def test_a_price_that_has_begun_is_not_written_over_and_a_coming_one_is_corrected(app: Any) -> None:
    unit = make_shop()
    add_part(unit, "A-1", "10", "2026-06-01")
    add_part(unit, "A-2", "10", "2026-07-01")
    text = "Part number,Part,Price (yuan),Valid from\nA-1,x,11,2026-06-01\nA-2,x,11,2026-07-01\nA-3,x,9,\n"
    counts, wrong = check(unit, stage(unit, "warranty-parts", text))
    assert (counts["update"], counts["create"], counts["error"]) == (1, 1, 1) and wrong == {2: {"starts_on"}}
    take(unit, "warranty-parts", text)
    assert [(number, price, day) for number, price, day, _ in parts(unit)] == [
        ("A-1", 10, "2026-06-01"),
        ("A-2", 11, "2026-07-01"),
        ("A-3", 9, str(TODAY)),
    ]


def test_a_tariff_arrives_as_drafts_one_for_each_class_and_day(app: Any) -> None:
    unit = make_shop()
    run_id = stage(unit, "warranty-tariffs", TARIFF)
    counts, wrong = check(unit, run_id)
    assert (counts["create"], counts["error"]) == (4, 4)
    assert wrong == {6: {"starts_on"}, 7: {"per"}, 8: {"item"}, 9: {"least"}}
    assert drafts(unit) == {}
    take(unit, "warranty-tariffs", TARIFF)
    assert drafts(unit) == {"": {"travel": 0, "lodging": 160, "allowance": 210}, "4.3": {"lodging": 220}}
    change = (
        "产品类别,生效日期,收费项目,价格,计费方式\n,2027-01-01,lodging,165,每人每晚\n4.3类,2027-01-01,餐费,90,\n"
    )
    counts = take(unit, "warranty-tariffs", change)
    assert counts["update"] == 2
    assert drafts(unit) == {
        "": {"travel": 0, "lodging": 165, "allowance": 210},
        "4.3": {"lodging": 220, "meals": 90},
    }


def test_what_is_released_is_not_written_over_by_a_file(app: Any) -> None:
    unit = make_shop()
    add_tariff(unit, "2027-01-01")
    counts, wrong = check(unit, stage(unit, "warranty-tariffs", TARIFF))
    assert counts["create"] == 1 and set(wrong) == {2, 3, 4, 6, 7, 8, 9}


def test_an_import_is_taken_back_where_nobody_changed_it_since(app: Any) -> None:
    unit = make_shop()
    first = stage(unit, "warranty-tariffs", TARIFF)
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE):
        files.confirm(first)
    second = stage(unit, "warranty-parts", PARTS)
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE):
        files.confirm(second)
    with clock.frozen(noon(TODAY)), helpers.in_scope(unit, FINANCE) as work:
        key = work.scalars(select(Tariff.id).where(Tariff.product_class == "4.3")).one()
        tariffs.release(tariffs.get_tariff(key))
        work.commit()
    undo(unit, second)
    assert parts(unit) == []
    undo(unit, first)
    assert drafts(unit) == {}
    with helpers.in_scope(unit, FINANCE) as work:
        assert [one.product_class for one in work.scalars(select(Tariff))] == ["4.3"]


@pytest.mark.parametrize("key", ["warranty-parts", "warranty-tariffs"])
def test_only_finance_imports_prices(sqlite_app: Any, key: str) -> None:
    unit = make_shop()
    with pytest.raises(NotAllowed):
        stage(unit, key, PARTS, (rights.VIEW, rights.HANDLE, rights.FINANCE))

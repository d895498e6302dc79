"""The product file, with an excerpt of the real one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from core.sdk import InvalidData, session
from plugins.products import importing, services
from plugins.products.models import Batch, Flag, Item, Model
from plugins.products.tests.scene import add_customer, staff, the_item
from tests import helpers

LATEST = date(2026, 11, 21)
# 产品档案: GK20A stands there twice with another price and key part.
MODELS = [
    {
        "code": "RB18A",
        "name": "空气能热泵",
        "warranty_months": 36.0,
        "price": 47686.05,
        "kind": "4.2",
        "part": None,
    },
    {"code": "JK32A", "name": "监控主机", "warranty_months": 36, "price": 15061.92, "kind": 4.1, "part": "主板"},
    {
        "code": "GK20A",
        "name": "高空作业平台",
        "warranty_months": 12,
        "price": 25982.78,
        "kind": "4.1",
        "part": "控制器",
    },
    {
        "code": "GK20A",
        "name": "高空作业平台",
        "warranty_months": 12,
        "price": 41198.1,
        "kind": "4.1",
        "part": "主板",
    },
]
# 出厂台账
ITEMS = [
    ("RB18A-2302-00001", "RB18A", "202302-3", "2023-02-04", "2023-04-27", "C01112", "直销", "无"),
    ("JK32A-2307-00002", "JK32A", "202307-5", "2023年7月19日", "2023年8月25日", "C00871", "代理商", "有"),
    ("GK20A-2204-00003", "GK20A", "202204-7", "2022.04.09", "2022/06/14", "C01179", "直销", "有"),
    ("RB18A-2404-00004", "RB18A", "202302-3", "2024-04-04", None, "C01112", "代理商", "有"),
]
NAMES = ("serial", "model", "batch", "produced_on", "purchased_on", "customer", "channel", "proof")


def item_rows(*changed: dict[str, Any]) -> list[importing.ItemRow]:
    given = changed or tuple({} for _ in ITEMS)
    cells = [dict(zip(NAMES, row, strict=True)) | change for row, change in zip(ITEMS, given, strict=False)]
    return [importing.read_item(one, LATEST) for one in cells]


def take_models(unit_id: int) -> None:
    importing.apply_models(unit_id, [importing.read_model(cells) for cells in MODELS])


def test_lines_are_read_as_the_file_has_them() -> None:
    first = importing.read_model(MODELS[0])
    assert (first.warranty_months, first.price, first.class_hint) == (36, Decimal("47686.05"), "4.2")
    assert importing.read_model(MODELS[1]).class_hint == "4.1"
    assert importing.read_model({"code": "X1", "name": "水壶", "kind": "家用电器"}).category == "家用电器"
    row = item_rows()[1]
    assert (row.produced_on, row.purchased_on) == (date(2023, 7, 19), date(2023, 8, 25))
    assert (row.channel, row.proof) == ("agent", "yes")


def test_every_wrong_cell_of_a_line_is_told() -> None:
    cells = {
        "serial": "=1+1",
        "model": "",
        "produced_on": "2023-02-30",
        "purchased_on": "2027-01-01",
        "channel": "邮购",
        "proof": "也许",
        "customer": "C" * 50,
    }
    with pytest.raises(InvalidData) as bad:
        importing.read_item(cells, LATEST)
    assert set(bad.value.errors) == set(cells)
    with pytest.raises(InvalidData) as bad:
        importing.read_model({"code": "", "name": "壶", "warranty_months": "一年", "price": "-3"})
    assert set(bad.value.errors) == {"code", "warranty_months", "price"}


def test_bought_before_made_is_an_error() -> None:
    with pytest.raises(InvalidData) as bad:
        importing.read_item(
            {"serial": "A-1", "model": "A", "produced_on": "2024-02-02", "purchased_on": "2024-02-01"}, LATEST
        )
    assert list(bad.value.errors) == ["purchased_on"]


@pytest.mark.parametrize(
    ("hint", "channel", "sold_class", "contradicts"),
    [
        ("4.1", "direct", "own", False),
        ("4.1", "store", "own", False),
        ("4.2", "agent", "agent", False),
        ("4.1", "agent", "", True),
        ("4.2", "direct", "", True),
        ("", "agent", "agent", False),
        ("4.2", "", "", False),
    ],
)
def test_class_belongs_to_the_item_and_is_never_guessed(
    hint: str, channel: str, sold_class: str, contradicts: bool
) -> None:
    found, contradiction = importing.class_of(hint, channel)
    assert (found, bool(contradiction)) == (sold_class, contradicts)


def test_model_listed_twice_keeps_what_agrees_and_flags_the_rest(app: Any) -> None:
    unit = helpers.make_unit()
    with staff(unit) as work:
        take_models(unit.id)
        model = work.scalars(select(Model).where(Model.code == "GK20A")).one()
        assert (model.name, model.warranty_months, model.class_hint) == ("高空作业平台", 12, "4.1")
        assert model.price is None and not model.key_parts
        flag = work.scalars(select(Flag)).one()
        assert flag.code == "model_conflict" and flag.model_id == model.id
        assert "25982.78 / 41198.10" in flag.detail and "控制器 / 主板" in flag.detail
        take_models(unit.id)
        assert len(work.scalars(select(Flag)).all()) == 1
        assert len(work.scalars(select(Model)).all()) == 3


def test_items_are_taken_over_and_contradictions_flagged(app: Any) -> None:
    unit = helpers.make_unit()
    customers = {n: add_customer(unit, n) for n in ("C01112", "C00871")}
    with staff(unit) as work:
        take_models(unit.id)
        assert importing.apply_items(unit.id, item_rows()) == (4, 0)
        classes = {i.serial: i.sold_class for i in work.scalars(select(Item))}
        assert classes == {
            "RB18A-2302-00001": "",  # an agent's model sold directly
            "JK32A-2307-00002": "",  # our own model sold by an agent
            "GK20A-2204-00003": "own",
            "RB18A-2404-00004": "agent",
        }
        found = {(f.subject, f.code) for f in services.check(unit.id)}
        assert found == {
            ("GK20A", "model_conflict"),
            ("RB18A-2302-00001", "class_conflict"),
            ("JK32A-2307-00002", "class_conflict"),
            ("GK20A-2204-00003", "customer_unknown"),
        }
        item = services.find_item(unit.id, "RB18A-2302-00001")
        assert item is not None and item.customer_id == customers["C01112"]
        assert len(work.scalars(select(Batch)).all()) == 3


def test_taking_the_file_again_changes_nothing_and_keeps_what_was_settled(app: Any) -> None:
    unit = helpers.make_unit()
    with staff(unit) as work:
        take_models(unit.id)
        importing.apply_items(unit.id, item_rows())
        services.set_sold_class(the_item(unit, "JK32A-2307-00002"), "agent")
        before = services.items_in_doubt(unit.id)
        assert importing.apply_items(unit.id, item_rows()) == (0, 4)
        assert the_item(unit, "JK32A-2307-00002").sold_class == "agent"
        assert services.items_in_doubt(unit.id) == before
        assert len(work.scalars(select(Item)).all()) == 4


def test_empty_cells_erase_nothing_and_a_known_customer_settles_its_flag(app: Any) -> None:
    unit = helpers.make_unit()
    with staff(unit):
        take_models(unit.id)
        importing.apply_items(unit.id, item_rows())
    customer = add_customer(unit, "C01179")
    with staff(unit) as work:
        importing.apply_items(
            unit.id,
            [importing.read_item({"serial": "GK20A-2204-00003", "model": "GK20A", "customer": "C01179"}, LATEST)],
        )
        item = services.find_item(unit.id, "GK20A-2204-00003")
        assert item is not None and item.customer_id == customer and item.purchased_on == date(2022, 6, 14)
        unknown = select(Flag).where(Flag.item_id == item.id, Flag.settled_at.is_(None))
        assert work.scalars(unknown).all() == []


def test_serial_listed_twice_with_other_data_is_flagged(app: Any) -> None:
    unit = helpers.make_unit()
    with staff(unit) as work:
        take_models(unit.id)
        rows = [
            *item_rows(),
            importing.read_item(dict(zip(NAMES, ITEMS[2], strict=True)) | {"purchased_on": "2022-07-01"}, LATEST),
        ]
        assert importing.apply_items(unit.id, rows) == (4, 0)
        item = services.find_item(unit.id, "GK20A-2204-00003")
        assert item is not None and item.purchased_on is None
        flag = work.scalars(select(Flag).where(Flag.code == "item_conflict")).one()
        assert "2022-06-14 / 2022-07-01" in flag.detail


def test_items_of_a_merged_customer_go_to_the_one_that_stayed(app: Any) -> None:
    unit = helpers.make_unit()
    stayed = add_customer(unit, "C00001")
    add_customer(unit, "C01112", merged_into_id=stayed)
    with staff(unit):
        take_models(unit.id)
        importing.apply_items(unit.id, item_rows()[:1])
        assert the_item(unit).customer_id == stayed


def test_number_of_statements_does_not_grow_with_the_rows(app: Any, count_queries: Any) -> None:
    unit = helpers.make_unit()
    with staff(unit):
        take_models(unit.id)
        cells = dict(zip(NAMES, ITEMS[2], strict=True)) | {"customer": ""}
        rows = [importing.read_item(cells | {"serial": f"GK20A-2204-{n:05}"}, LATEST) for n in range(120)]
        with count_queries() as few:
            importing.apply_items(unit.id, rows[:10])
        session().expire_all()
        with count_queries() as many:
            importing.apply_items(unit.id, rows[10:])
        assert sum(s.startswith("SELECT") for s in many) <= sum(s.startswith("SELECT") for s in few)

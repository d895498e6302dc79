"""A workbook like the office's own, through the core's import: check, confirm, rejected rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from flask import current_app
from sqlalchemy import select

from core.kernel import importing as files
from core.sdk import NotAllowed, session
from plugins.products import importers, services
from plugins.products.models import Flag, Item, Model
from plugins.products.tests.scene import RIGHTS, add_customer, staff
from tests import helpers

MODEL_HEAD = ("型号", "品名", "保修月数", "单价(元)", "类别", "关键件")
MODEL_ROWS = (
    ("RB18A", "空气能热泵", 36, 47686.05, "4.2", None),
    ("GK20A", "高空作业平台", 12, 25982.78, "4.1", "控制器"),
    ("GK20A", "高空作业平台", 12, 41198.1, "4.1", "主板"),
    ("JK32A", "监控主机", 36, 15061.92, "4.1", "主板"),
    (None, "没有型号", 12, 1, "4.1", None),
)
ITEM_HEAD = ("序列号", "型号", "批号", "生产日期", "购买日期", "客户编号", "销售渠道", "凭证")
ITEM_ROWS = (
    ("RB18A-2302-00001", "RB18A", "202302-3", "2023-02-04", "2023-04-27", "C01112", "直销", "无"),
    ("JK32A-2307-00002", "JK32A", "202307-5", "2023年7月19日", "2023年8月25日", "C00871", "代理商", "有"),
    ("ＧＫ20A-2204-00003", "GK20A", "202204-7", "2022.04.09", "2022/06/14", "C01179", "直销", "有"),
    ("GK20A-2204-00003", "GK20A", "202204-7", "2022.04.09", "2022/07/01", "C01179", "直销", "有"),
    ("GK20A-2204-00003", "GK20A", "202204-7", "2022.04.09", "2022/06/14", "C01179", "直销", "有"),
    ("SB32B-2301-00021", "SB32B", "202301-8", "2023-01-10", None, "C00949", "代理商", "有"),
    ("BAD DATE 1", "RB18A", "202301-8", "2023-02-30", "昨天", "C00949", "邮购", "有"),
)


@pytest.fixture
def workbook(tmp_path: Path, app: Any) -> Path:
    known = app.extensions.setdefault("importers", {})
    if "products-models" not in known:
        files.register(app, importers.all_importers())
    path = tmp_path / "products.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name, head, rows in (("产品档案", MODEL_HEAD, MODEL_ROWS), ("出厂台账", ITEM_HEAD, ITEM_ROWS)):
            sheet = book.add_worksheet(name)
            for line, row in enumerate((head, *rows)):
                sheet.write_row(line, 0, ["" if cell is None else cell for cell in row])
    return path


def stage(unit: Any, key: str, path: Path) -> int:
    with staff(unit), path.open("rb") as source:
        return files.stage(key, unit.id, source, path.name).id


def take(unit: Any, key: str, path: Path) -> files.ImportRun:
    run_id = stage(unit, key, path)
    with staff(unit):
        return files.confirm(run_id)


def test_preview_tells_per_row_what_is_wrong_and_writes_nothing(workbook: Path) -> None:
    unit = helpers.make_unit()
    take(unit, "products-models", workbook)
    run_id = stage(unit, "products-items", workbook)
    with staff(unit):
        run = session().scalars(select(files.ImportRun).where(files.ImportRun.id == run_id)).one()
        counts = files.check(run)
        assert counts["rows"] == 7 and counts["error"] == 2 and counts["create"] == 3
        wrong = {view.line: {name for name, _ in view.errors} for view in files.preview_rows(run, "error")}
        assert wrong == {7: {"model"}, 8: {"produced_on", "purchased_on", "channel"}}
        warned = {view.line: len(view.warnings) for view in files.preview_rows(run, "warning")}
        assert set(warned) == {2, 3, 4, 5, 6}
        assert session().scalars(select(Item)).all() == []


def test_both_tables_of_one_workbook_are_taken_over(workbook: Path) -> None:
    unit = helpers.make_unit()
    customer = add_customer(unit, "C01112")
    models = take(unit, "products-models", workbook)
    assert models.counts["error"] == 1
    items = take(unit, "products-items", workbook)
    assert items.counts["error"] == 2
    with staff(unit) as work:
        assert set(work.scalars(select(Model.code))) == {"RB18A", "GK20A", "JK32A"}
        disputed = work.scalars(select(Model).where(Model.code == "GK20A")).one()
        assert disputed.price is None and disputed.warranty_months == 12
        assert work.scalars(select(Item.serial).order_by(Item.serial)).all() == [
            "GK20A-2204-00003",
            "JK32A-2307-00002",
            "RB18A-2302-00001",
        ]
        first = services.find_item(unit.id, "RB18A-2302-00001")
        assert first is not None and first.customer_id == customer and first.sold_class == ""
        twice = services.find_item(unit.id, "GK20A-2204-00003")
        assert twice is not None and twice.purchased_on is None and twice.channel == "direct"
        codes = sorted(work.scalars(select(Flag.code)))
        assert codes == [
            "class_conflict",
            "class_conflict",
            "customer_unknown",
            "customer_unknown",
            "item_conflict",
            "model_conflict",
        ]


def test_taking_the_same_file_again_finds_nothing_new(workbook: Path) -> None:
    unit = helpers.make_unit()
    for number in ("C01112", "C00871", "C01179"):
        add_customer(unit, number)
    for key in ("products-models", "products-items"):
        take(unit, key, workbook)
    with staff(unit) as work:
        flags = len(work.scalars(select(Flag)).all())
    again = take(unit, "products-items", workbook)
    assert again.counts["create" if "create" in again.counts else "same"] >= 2
    with staff(unit) as work:
        assert len(work.scalars(select(Flag)).all()) == flags
        assert len(work.scalars(select(Item)).all()) == 3


def test_items_of_one_unit_do_not_know_the_models_of_another(workbook: Path) -> None:
    here, there = helpers.make_unit(), helpers.make_unit()
    take(there, "products-models", workbook)
    run = take(here, "products-items", workbook)
    assert run.counts["error"] == 7


def test_importing_needs_its_permission(workbook: Path) -> None:
    unit = helpers.make_unit()
    rights = tuple(r for r in RIGHTS if r != services.IMPORT)
    with staff(unit, rights), workbook.open("rb") as source, pytest.raises(NotAllowed):
        files.stage("products-models", unit.id, source, "products.xlsx")
    with helpers.current().app_context():
        assert "products-models" in current_app.extensions["importers"]

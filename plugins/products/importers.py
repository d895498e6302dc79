"""The two tables of the product file as importers: models, then items."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l

from core.sdk import Importer, InvalidData, Plan, Row, SheetColumn, local_day

from . import importing, services
from .importing import Held, ItemRow, ModelRow
from .models import Item, Model


class TableImporter(Importer):
    """What both have in common: lines about the same thing that disagree are taken together at the end.

    ``memory``: ``seen`` maps a key to (line, what it said as a hash), ``twice`` holds the keys whose lines
    disagree, ``kept`` their lines until ``finish``.
    """

    permission = services.IMPORT
    key_column: ClassVar[str]

    def prepare(self, unit_id: int) -> Any:
        """Return what reading the lines needs to know of the unit, asked once for many lines."""
        return None

    @abstractmethod
    def read(self, row: Row, known: Any) -> Any:
        """Check one line by itself, with what ``prepare`` said; raises InvalidData."""

    @abstractmethod
    def judge(self, unit_id: int, plans: Sequence[tuple[Plan, Any]]) -> None:
        """Set action, errors and warnings of readable lines by what the unit already has."""

    @abstractmethod
    def write(self, unit_id: int, values: Sequence[Mapping[str, Any]]) -> None:
        """Write lines; those about the same thing are given together."""

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        plans = [Plan(row.line, "create", label=row.values.get(self.key_column, "")) for row in rows]
        readable: list[tuple[Plan, Any]] = []
        known = self.prepare(unit_id)
        for row, plan in zip(rows, plans, strict=True):
            try:
                read = self.read(row, known)
            except InvalidData as bad:
                plan.errors = [(name, text) for name, texts in bad.errors.items() for text in texts]
                continue
            plan.label, plan.values = getattr(read, self.key_column), _to_json(read)
            readable.append((plan, read))
        self.judge(unit_id, readable)
        for plan, _read in readable:
            if not plan.errors:
                _note_twice(plan, memory)
        return plans

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        twice = memory.get("twice", set())
        kept = memory.setdefault("kept", [])
        kept += [plan.values for plan in plans if plan.values[self.key_column] in twice]
        self.write(unit_id, [plan.values for plan in plans if plan.values[self.key_column] not in twice])

    def finish(self, unit_id: int, memory: dict[str, Any]) -> None:
        self.write(unit_id, memory.get("kept", []))

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        services.reindex_items(removed.get(Item.__tablename__, ()), restored.get(Item.__tablename__, ()))


def _note_twice(plan: Plan, memory: dict[str, Any]) -> None:
    seen, twice = memory.setdefault("seen", {}), memory.setdefault("twice", set())
    said = hash(json.dumps(plan.values, sort_keys=True))
    line, before = seen.setdefault(plan.label, (plan.line, said))
    if line == plan.line:
        return
    plan.action = "update"
    if before == said:
        plan.action = "same"
        plan.warnings.append(_l("The same as line %(line)d", line=line))
        return
    twice.add(plan.label)
    plan.warnings.append(
        _l("Line %(line)d says otherwise: what differs stays empty until somebody settles it", line=line)
    )


def _to_json(read: ModelRow | ItemRow) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, date | Decimal) else v for k, v in vars(read).items()}


class ModelImporter(TableImporter):
    """Product models with a key part (产品档案)."""

    key = "products-models"
    title = _l("Product models")
    key_column = "code"
    columns = (
        SheetColumn("code", _l("Model"), ("型号", "规格型号", "产品型号"), required=True),
        SheetColumn("name", _l("Product name"), ("品名", "产品名称", "名称"), required=True),
        SheetColumn("warranty_months", _l("Warranty (months)"), ("保修月数", "保修期(月)", "质保月数")),
        SheetColumn("price", _l("List price (yuan)"), ("单价(元)", "单价", "价格")),
        SheetColumn("kind", _l("Category"), ("类别", "产品分类", "产品类别", "分类")),
        SheetColumn("part", _l("Key part"), ("关键件", "关键部件")),
    )

    def read(self, row: Row, known: Any) -> ModelRow:
        return importing.read_model(row.values)

    def judge(self, unit_id: int, plans: Sequence[tuple[Plan, ModelRow]]) -> None:
        held = importing.known_models(unit_id, {read.code for _, read in plans})
        for plan, read in plans:
            model = held.get(read.code)
            if model is not None:
                plan.action = "same" if _says_nothing_new(model, read) else "update"

    def write(self, unit_id: int, values: Sequence[Mapping[str, Any]]) -> None:
        importing.apply_models(unit_id, [_model_row(one) for one in values])


def _says_nothing_new(model: Model, read: ModelRow) -> bool:
    said = {name: getattr(read, name) for name in ("name", "warranty_months", "price", "class_hint")}
    parts = {part.name for part in model.key_parts}
    category = model.category.name if model.category else ""
    return _agrees(model, said) and read.part in (*parts, "") and read.category in (category, "")


def _agrees(row: Model | Item, said: Mapping[str, Any]) -> bool:
    return all(value in (None, "") or getattr(row, name) == value for name, value in said.items())


def _model_row(values: Mapping[str, Any]) -> ModelRow:
    price = values["price"]
    return ModelRow(**{**values, "price": None if price is None else Decimal(price)})


class ItemImporter(TableImporter):
    """Serial-numbered items (出厂台账)."""

    key = "products-items"
    title = _l("Items")
    key_column = "serial"
    columns = (
        SheetColumn("serial", _l("Serial number"), ("序列号", "机号", "出厂编号", "SN"), required=True),
        SheetColumn("model", _l("Model"), ("型号", "产品型号", "规格型号"), required=True),
        SheetColumn("batch", _l("Batch number"), ("批号", "批次", "生产批号")),
        SheetColumn("produced_on", _l("Produced on"), ("生产日期", "出厂日期")),
        SheetColumn("purchased_on", _l("Purchased on"), ("购买日期", "销售日期", "购机日期")),
        SheetColumn("customer", _l("Customer number"), ("客户编号", "客户号")),
        SheetColumn("channel", _l("Sales channel"), ("销售渠道", "渠道")),
        SheetColumn("seller", _l("Seller"), ("销售单位", "经销商名称", "卖方")),
        SheetColumn("proof", _l("Proof of purchase"), ("凭证", "购买凭证", "发票")),
        SheetColumn("delivered_on", _l("Delivered on"), ("交付日期", "交货日期", "发货日期")),
        SheetColumn("handed_over_on", _l("Handed over on"), ("交接日期", "验收日期", "移交日期")),
        SheetColumn("sold_class", _l("Sold by"), ("类别", "产品类别", "销售类别")),
    )

    def prepare(self, unit_id: int) -> tuple[date, dict[str, str]]:
        return local_day(unit_id), importing.known_classes(unit_id)

    def read(self, row: Row, known: Any) -> ItemRow:
        today, classes = known
        return importing.read_item(row.values, today, classes)

    def judge(self, unit_id: int, plans: Sequence[tuple[Plan, ItemRow]]) -> None:
        held = importing.look_up(unit_id, [read for _, read in plans])
        refused = importing.refused_deliveries(unit_id, [read for _, read in plans], held)
        for plan, read in plans:
            model = held.models.get(read.model)
            if model is None:
                plan.errors.append(("model", _l("This model is not on file. Import the models first.")))
                continue
            item = held.items.get(read.serial)
            if item is not None:
                plan.action = "same" if _item_agrees(item, read, held) else "update"
            plan.warnings += list(_warnings(read, model, item, held))
        for plan, read in plans:
            plan.errors += [("delivered_on", text) for text in refused.get(read.serial, ())]

    def write(self, unit_id: int, values: Sequence[Mapping[str, Any]]) -> None:
        importing.apply_items(unit_id, [_item_row(one) for one in values])


def _item_agrees(item: Item, read: ItemRow, held: Held) -> bool:
    said = {name: getattr(read, name) for name in (*importing.DAYS, "channel", "proof", "seller")}
    said["sold_class"] = "" if item.sold_class else read.sold_class
    batch = held.batches.get((item.model_id, read.batch))
    customer = held.customers.get(read.customer)
    same_links = (not read.batch or (batch is not None and batch.id == item.batch_id)) and (
        customer in (None, item.customer_id) and held.models[read.model].id == item.model_id
    )
    return same_links and _agrees(item, said)


def _warnings(read: ItemRow, model: Model, item: Item | None, held: Held) -> Iterator[Any]:
    _, contradiction = importing.class_of(model.class_hint, read.channel, read.sold_class)
    if contradiction and (item is None or not item.sold_class):
        yield _l("Model and sales channel disagree on who sold it: it stays open until somebody settles it")
    if read.customer and read.customer not in held.customers:
        yield _l("Customer %(number)s is not on file: taken over without customer", number=read.customer)
    if read.purchased_on is None and (item is None or item.purchased_on is None):
        yield _l("No purchase date")


def _item_row(values: Mapping[str, Any]) -> ItemRow:
    days = {name: date.fromisoformat(values[name]) if values[name] else None for name in importing.DAYS}
    return ItemRow(**{**values, **days})


def all_importers() -> list[Importer]:
    """Return the importers of this plugin."""
    return [ModelImporter(), ItemImporter()]

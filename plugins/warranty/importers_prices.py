"""Takes tariffs and part prices over from a spreadsheet. Tariffs arrive as drafts: finance releases them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from core.sdk import Importer, InvalidData, Plan, Row, SheetColumn, local_day, session

from . import prices, rights, tariffs, values
from .models import PartPrice, Tariff

_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T].*)?")
_YES = {"1", "true", "yes", "y", "是", "√", "小配件"}
_NO = {"", "0", "false", "no", "n", "否"}
# Words of the files, by code; small letters.
ITEM_WORDS = {
    **{code: code for code, _label in values.TARIFF_ITEMS},
    **{label[tongue].lower(): code for code, label in values.LINE_LABELS.items() for tongue in label},
    "交通": values.TRANSPORT,
    "差旅费": values.TRANSPORT,
    "住宿": values.LODGING,
    "餐费": values.MEALS,
    "餐饮": values.MEALS,
    "补贴": values.ALLOWANCE,
    "allowance": values.ALLOWANCE,
    "人工": values.LABOUR,
    "工时费": values.LABOUR,
    "handling": values.HANDLING,
    "安装": values.INSTALLATION,
}
PER_WORDS = {
    **{code: code for code, _label in values.PRICE_PER},
    "按实际费用": values.ACTUAL,
    "实际费用": values.ACTUAL,
    "按实际": values.ACTUAL,
    "实报实销": values.ACTUAL,
    "actual cost": values.ACTUAL,
    "每人每晚": values.PERSON_NIGHT,
    "人/晚": values.PERSON_NIGHT,
    "per person and night": values.PERSON_NIGHT,
    "每人每天": values.PERSON_DAY,
    "人/天": values.PERSON_DAY,
    "每人每日": values.PERSON_DAY,
    "per person and day": values.PERSON_DAY,
    "每小时": values.HOUR,
    "小时": values.HOUR,
    "per hour": values.HOUR,
    "每次": values.PIECE,
    "一次": values.PIECE,
    "次": values.PIECE,
    "once": values.PIECE,
    "百分比": values.PERCENT,
    "%": values.PERCENT,
    "percent": values.PERCENT,
}
CLASS_WORDS = {
    **{code: code for code, _label in tariffs.CLASSES},
    **{f"{code}类": code for code, _label in tariffs.CLASSES},
    **dict.fromkeys(("", "全部", "所有", "其他类别", "all", "all other classes"), ""),
}


class PriceImporter(Importer):
    """What both files have in common: rows are read by themselves, then judged by what the unit has."""

    permission = rights.PRICE

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        plans, readable = [], []
        for row in rows:
            plan = Plan(row.line, "create", label=self.label(row.values))
            plans.append(plan)
            try:
                plan.values = self.read(unit_id, row.values)
            except InvalidData as bad:
                plan.errors = [(name, text) for name, texts in bad.errors.items() for text in texts]
            else:
                readable.append(plan)
        self.judge(unit_id, readable)
        for plan in readable:
            _note_twice(plan, self.key_of(plan.values), memory)
        return plans

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        tariffs.need_finance(unit_id)
        self.write(unit_id, [plan.values for plan in plans if plan.action in ("create", "update")])

    def label(self, cells: Mapping[str, str]) -> str:
        """Return what a row is about, as the preview names it."""
        raise NotImplementedError

    def key_of(self, given: Mapping[str, Any]) -> str:
        """Return what may stand in a file only once."""
        raise NotImplementedError

    def read(self, unit_id: int, cells: Mapping[str, str]) -> dict[str, Any]:
        """Check one row by itself; plain values.

        Raises:
            InvalidData: beside each column.
        """
        raise NotImplementedError

    def judge(self, unit_id: int, plans: Sequence[Plan]) -> None:
        """Set action and errors by what the unit already has, in a few statements."""
        raise NotImplementedError

    def write(self, unit_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, in a few statements."""
        raise NotImplementedError


def _note_twice(plan: Plan, key: str, memory: dict[str, Any]) -> None:
    line = memory.setdefault("seen", {}).setdefault(key, plan.line)
    if line != plan.line:
        plan.errors.append(("starts_on", _l("Line %(line)d prices this already", line=line)))


# --- part prices ---------------------------------------------------------------------------------------


class PartImporter(PriceImporter):
    """Finance's list of part prices (配件价格)."""

    key = "warranty-parts"
    title = _l("Part prices")
    columns = (
        SheetColumn(
            "number", _l("Part number"), ("配件号", "配件编号", "料号", "物料编码", "零件号"), required=True
        ),
        SheetColumn("name", _l("Part"), ("配件", "配件名称", "名称", "品名", "物料名称"), required=True),
        SheetColumn("price", _l("Price (yuan)"), ("价格", "单价", "价格(元)", "单价(元)", "price"), required=True),
        SheetColumn("starts_on", _l("Valid from"), ("生效日期", "起始日期", "执行日期"), help=_l("Empty: today")),
        SheetColumn("small", _l("Small fitting"), ("小配件", "是否小配件")),
    )

    def label(self, cells: Mapping[str, str]) -> str:
        return cells.get("number", "")

    def key_of(self, given: Mapping[str, Any]) -> str:
        return f"{given['number']}\n{given['starts_on']}"

    def read(self, unit_id: int, cells: Mapping[str, str]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        raw: dict[str, Any] = {name: cells.get(name, "") for name in ("number", "name")}
        raw["price"] = cells.get("price", "").replace(",", "")
        raw["starts_on"] = _day(cells, "starts_on", errors) or local_day(unit_id)
        raw["small"] = _yes(cells, "small", errors)
        given = _checked(lambda: tariffs.read_part({**raw, "active": "1"}), errors)
        return {**given, "price": str(given["price"]), "starts_on": given["starts_on"].isoformat()}

    def judge(self, unit_id: int, plans: Sequence[Plan]) -> None:
        held = tariffs.held_part_prices(unit_id, {plan.values["number"] for plan in plans})
        today = local_day(unit_id)
        for plan in plans:
            row = held.get(_part_key(plan.values))
            if row is None:
                continue
            plan.action = "same" if _agrees(row, plan.values) else "update"
            if plan.action == "update" and row.starts_on < today:
                plan.errors.append(("starts_on", tariffs.TAKEN))

    def write(self, unit_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
        held = tariffs.held_part_prices(unit_id, {row["number"] for row in rows})
        work = session()
        for given in rows:
            one = held.get(_part_key(given)) or tariffs.new_part_price(unit_id)
            one.number, one.name = given["number"], given["name"]
            one.starts_on, one.price = date.fromisoformat(given["starts_on"]), Decimal(given["price"])
            one.small, one.active = given["small"], True
            work.add(one)
        work.flush()


def _part_key(given: Mapping[str, Any]) -> tuple[str, date]:
    return given["number"], date.fromisoformat(given["starts_on"])


def _agrees(row: PartPrice, given: Mapping[str, Any]) -> bool:
    held = (row.name, row.price, row.small, row.active)
    return held == (given["name"], Decimal(given["price"]), given["small"], True)


# --- tariffs -------------------------------------------------------------------------------------------


class TariffImporter(PriceImporter):
    """Tariffs (收费标准), a row for each price; rows of one class and day make one draft."""

    key = "warranty-tariffs"
    title = _l("Tariffs")
    columns = (
        SheetColumn("name", _l("Name"), ("名称", "收费标准", "标准名称")),
        SheetColumn("product_class", _l("Product class"), ("产品类别", "类别"), help=_l("Empty: all others")),
        SheetColumn("starts_on", _l("Valid from"), ("生效日期", "起始日期", "执行日期"), required=True),
        SheetColumn("ends_on", _l("Valid until"), ("失效日期", "截止日期", "终止日期")),
        SheetColumn("item", _l("Fee item"), ("收费项目", "项目", "费用项目"), required=True),
        SheetColumn("amount", _l("Price"), ("价格", "单价", "金额", "标准", "价格(元)", "单价(元)")),
        SheetColumn("per", _l("Per"), ("计费方式", "计费单位", "单位")),
        SheetColumn("least", _l("May be lowered to"), ("最低", "最低价", "最低可降至", "可降至")),
    )

    def label(self, cells: Mapping[str, str]) -> str:
        return " ".join(cells.get(name, "") for name in ("product_class", "starts_on", "item")).strip()

    def key_of(self, given: Mapping[str, Any]) -> str:
        return f"{given['product_class']}\n{given['starts_on']}\n{given['item']}"

    def read(self, unit_id: int, cells: Mapping[str, str]) -> dict[str, Any]:
        errors: dict[str, Any] = {}
        item = _word(cells, "item", ITEM_WORDS, errors)
        if item and item not in tariffs.PER_OF:
            errors["item"] = _l("Parts have a price list of their own")
        per = _word(cells, "per", {**PER_WORDS, "": ""}, errors)
        starts_on = _day(cells, "starts_on", errors)
        head: dict[str, Any] = {
            "product_class": _word(cells, "product_class", CLASS_WORDS, errors),
            "starts_on": starts_on,
            "ends_on": _day(cells, "ends_on", errors),
        }
        if starts_on is None:
            errors.setdefault("starts_on", _l("Please fill this in"))
        if errors or starts_on is None:
            raise InvalidData(errors)
        head["name"] = cells.get("name", "") or _("Tariff %(year)s", year=starts_on.year)
        line = {"amount": _number(cells, "amount"), "per": per, "least": _number(cells, "least")}
        found = tariffs.read_line(head, item, line)
        return {name: str(one) if isinstance(one, date | Decimal) else one for name, one in found.items()}

    def judge(self, unit_id: int, plans: Sequence[Plan]) -> None:
        held = _tariffs_on(unit_id, {plan.values["starts_on"] for plan in plans})
        for plan in plans:
            given = plan.values
            one = held.get((given["product_class"], given["starts_on"]))
            if one is None:
                continue
            if one.state == prices.RELEASED:
                plan.errors.append(("starts_on", _l("A released tariff begins on this day: it never changes")))
                continue
            plan.action = "same" if _is_priced(one, given) else "update"

    def write(self, unit_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
        held = _tariffs_on(unit_id, {row["starts_on"] for row in rows})
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for given in rows:
            groups.setdefault((given["product_class"], given["starts_on"]), []).append(given)
        for key, lines in groups.items():
            tariffs.take_lines(unit_id, held.get(key), lines)


def _tariffs_on(unit_id: int, days: Iterable[str]) -> dict[tuple[str, str], Tariff]:
    """Return the unit's drafts and released tariffs that begin on these days; a released one comes first."""
    found = (
        select(Tariff)
        .where(
            Tariff.unit_id == unit_id,
            Tariff.starts_on.in_(sorted(date.fromisoformat(one) for one in days)),
            Tariff.state != prices.WITHDRAWN,
        )
        .options(selectinload(Tariff.prices))
        .order_by(Tariff.state == prices.RELEASED, Tariff.id)
    )
    return {(one.product_class, one.starts_on.isoformat()): one for one in session().scalars(found)}


def _is_priced(tariff: Tariff, given: Mapping[str, Any]) -> bool:
    wanted = (given["item"], Decimal(given["amount"]), given["per"], Decimal(given["least"]))
    return wanted in {(one.item, one.amount, one.per, one.least) for one in tariff.prices}


# --- cells -----------------------------------------------------------------------------------------------


def _checked(read: Any, errors: dict[str, Any]) -> Any:
    """Return what ``read`` answers; its mistakes are told with those found before."""
    try:
        given = read()
    except InvalidData as bad:
        raise InvalidData({**bad.errors, **errors}) from None
    if errors:
        raise InvalidData(errors)
    return given


def _day(cells: Mapping[str, str], name: str, errors: dict[str, Any]) -> date | None:
    text = cells.get(name, "")
    if not text:
        return None
    found = _DAY.fullmatch(text)
    try:
        if found is not None:
            return date(*(int(part) for part in found.groups()))
    except ValueError:
        pass
    errors[name] = _l("This is not a date")
    return None


def _yes(cells: Mapping[str, str], name: str, errors: dict[str, Any]) -> bool:
    text = cells.get(name, "").lower()
    if text not in _YES | _NO:
        errors[name] = _l("Please write yes or no")
    return text in _YES


def _word(cells: Mapping[str, str], name: str, known: Mapping[str, str], errors: dict[str, Any]) -> str:
    text = cells.get(name, "").lower()
    if text not in known:
        errors[name] = _l("“%(text)s” is not known here", text=text) if text else _l("Please fill this in")
    return known.get(text, "")


def _number(cells: Mapping[str, str], name: str) -> str:
    return cells.get(name, "").replace(",", "").removesuffix("%").removesuffix("元")


def importers() -> list[Importer]:
    """Return them for the hook."""
    return [TariffImporter(), PartImporter()]

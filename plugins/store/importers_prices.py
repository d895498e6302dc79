"""Taking over price lists: they become drafts of price changes, public once somebody agrees (R02-18)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Importer, InvalidData, Plan, Record, Row, SheetColumn, local_day, normalise, search, session

from . import goods, prices, values
from .importers_supply import read_day
from .models import PriceChange, PriceLine
from .rights import PRICE

_MONEY = re.compile(r"[¥￥$元圆,，\s]|RMB|CNY|人民币", re.I)


class PriceImporter(Importer):
    """A price list (价格表): a row for each product; prices that are public or proposed already are left alone."""

    key = "store-prices"
    title = _l("Price list")
    permission = PRICE
    columns = (
        SheetColumn(
            "product",
            _l("Product"),
            ("商品", "商品编码", "型号", "条码", "条形码", "编码", "货号", "barcode", "product", "model"),
            required=True,
            help=_l("Bar code or model"),
        ),
        SheetColumn(
            "price", _l("Price (yuan)"), ("价格", "售价", "零售价", "单价", "新价", "现价", "price"), required=True
        ),
        SheetColumn(
            "starts_on",
            _l("Begins on"),
            ("生效日期", "执行日期", "开始日期", "日期", "starts on", "valid from"),
            help=_l("Left empty: today"),
        ),
    )

    def check_rows(self, unit_id: int, rows: Sequence[Row], memory: dict[str, Any]) -> list[Plan]:
        known = goods.find_models(unit_id, [row.values.get("product", "") for row in rows])
        today = memory.setdefault("today", local_day(unit_id))
        seen: dict[str, int] = memory.setdefault("seen", {})
        plans = [_plan(row, known, today, seen) for row in rows]
        _leave_alone(unit_id, [one for one in plans if not one.errors])
        return plans

    def apply_rows(self, unit_id: int, plans: Sequence[Plan], memory: dict[str, Any]) -> None:
        by_day: dict[str, list[dict[str, str]]] = memory.setdefault("by_day", {})
        for plan in plans:
            line = {"product": plan.values["product"], "price": plan.values["price"]}
            by_day.setdefault(plan.values["starts_on"], []).append(line)

    def finish(self, unit_id: int, memory: dict[str, Any]) -> None:
        """Draft a change for each day, in pieces of what one change holds."""
        for day, lines in sorted(memory.get("by_day", {}).items()):
            for start in range(0, len(lines), prices.MOST_LINES):
                some = lines[start : start + prices.MOST_LINES]
                raw = {"starts_on": day, "reason": str(_("Imported price list")), "lines": some}
                prices.register(unit_id, raw)

    def undone(
        self, unit_id: int, removed: Mapping[str, Sequence[int]], restored: Mapping[str, Sequence[int]]
    ) -> None:
        """Take what was removed out of the search index."""
        search.remove(prices.CODE, removed.get(Record.__tablename__, ()))


def _plan(row: Row, known: Mapping[str, int], today: date, seen: dict[str, int]) -> Plan:
    cells = {one.name: row.values.get(one.name, "") for one in PriceImporter.columns}
    plan = Plan(row.line, "create", label=cells["product"])
    errors: dict[str, Any] = {}
    day = today
    try:
        day = read_day(cells["starts_on"]) or today
    except InvalidData as bad:
        errors["starts_on"] = bad.texts()[0]
    if day < today:
        errors["starts_on"] = prices.not_past_text(day)
    try:
        raw = {"product": cells["product"], "price": _MONEY.sub("", normalise(cells["price"]))}
        model_id, price = prices.read_line(raw, known)
    except InvalidData as bad:
        errors |= {name: texts[0] for name, texts in bad.errors.items()}
    else:
        line = seen.setdefault(f"{model_id} {day}", row.line)
        if line != row.line:
            errors["product"] = _l("Line %(line)d prices this already", line=line)
        plan.values = {
            "product": cells["product"],
            "price": f"{price:f}",
            "starts_on": day.isoformat(),
            "model": model_id,
        }
    plan.errors = list(errors.items())
    return plan


def _leave_alone(unit_id: int, plans: Sequence[Plan]) -> None:
    """Let rows be whose price is public on their day or proposed for it; two selects for each day of a batch."""
    by_day: dict[str, list[Plan]] = defaultdict(list)
    for plan in plans:
        by_day[plan.values["starts_on"]].append(plan)
    for text, some in by_day.items():
        day, models = date.fromisoformat(text), {one.values["model"] for one in some}
        public = prices.prices_on(unit_id, models, day)
        proposed = _proposed(unit_id, models, day)
        for plan in some:
            model_id, price = plan.values["model"], Decimal(plan.values["price"])
            if public.get(model_id) == price or price in proposed.get(model_id, ()):
                plan.action = "same"


def _proposed(unit_id: int, models: set[int], day: date) -> dict[int, set[Any]]:
    wanted = (
        select(PriceLine.model_id, PriceLine.price)
        .join(PriceChange, PriceChange.id == PriceLine.change_id)
        .join(Record, Record.id == PriceChange.id)
        .where(PriceChange.unit_id == unit_id, PriceChange.starts_on == day, Record.state == values.DRAFT)
        .where(PriceLine.model_id.in_(models))
    )
    found: dict[int, set[Any]] = defaultdict(set)
    for row in session().execute(wanted):
        found[row.model_id].add(row.price)
    return found


def importers() -> list[Importer]:
    """Return them for the hook."""
    return [PriceImporter()]

"""The checklists a store begins with: upkeep of a display (R02-14), conduct in the store (R02-CK)."""

from __future__ import annotations

from typing import Any

from core.sdk import inspections

from .showroom import CONDUCT, CONDUCT_LIST, DISPLAY_LIST, UPKEEP

Item = dict[str, Any]


def _item(key: str, label: str, label_en: str, **more: Any) -> Item:
    return {"key": key, "kind": "check", "label": label, "label_en": label_en, "required": True, **more}


DISPLAY_ITEMS: tuple[Item, ...] = (
    _item("clean", "货架、展品清洁无尘", "Shelf and exhibits clean", opens=True),
    _item("sound", "展品和道具完好、稳固", "Exhibits sound and steady", severity="function", opens=True),
    _item("labels", "价签齐全，与公布价格一致", "Every price label there and as published", weight=2, opens=True),
    _item("dates", "没有过期或临期未处理的商品", "Nothing expired or near its date left", weight=2, opens=True),
    _item("held", "没有停售或有异议的商品", "Nothing stopped or objected to on display", weight=2, opens=True),
    _item("suits", "陈列贴合商品特点和顾客需要", "The display suits the goods and what buyers need", opens=True),
    _item("choose", "搭配清楚，便于挑选", "Easy to survey and to choose from"),
    _item("full", "位置利用充分，缺货已补", "Space well used, gaps filled"),
    _item("photo", "陈列照片", "Photo of the display", kind="photo", required=False),
    _item("note", "说明", "Remarks", kind="text", required=False),
)
CONDUCT_ITEMS: tuple[Item, ...] = (
    _item("careful", "服务严谨认真，质量和服务在先", "Careful service, quality and service first"),
    _item("suits", "陈列贴合商品和顾客，突出特点", "Displays suit goods and buyers and show their strong points"),
    _item("space", "空间利用合理", "Space put to good use"),
    _item("clean", "搭配协调、整洁，便于挑选", "Matched, clean and easy to choose from"),
    _item("rights", "尊重顾客权益，如实介绍", "Buyers' rights respected, goods described truly", weight=2),
    _item("prices", "明码实价，交易公平", "Open prices, honest dealing", weight=2),
    _item("complaints", "顾客意见有人受理、有记录", "Somebody takes up what buyers say, and writes it down"),
    _item("note", "说明", "Remarks", kind="text", required=False),
    _item("signature", "检查人签名", "Signature", kind="signature", required=False),
)


def seed(unit: Any) -> None:
    """Give a unit its checklists; those it has already stay as they are (hook ``unit_enabled``)."""
    for code, title, english, items, clause in (
        (DISPLAY_LIST, "陈列维护检查表", "Upkeep of a display", DISPLAY_ITEMS, UPKEEP),
        (CONDUCT_LIST, "门店规范检查表", "Conduct in the store", CONDUCT_ITEMS, CONDUCT),
    ):
        inspections.define(unit.id, code, title, code, items, title_en=english, clause=clause)

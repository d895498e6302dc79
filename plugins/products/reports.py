"""Reports of the product file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import Field, Report, ReportColumn, add_months, label_of, local_day, session

from . import services
from .fields import SOLD_CLASSES
from .models import Category, Item, Model

WITHIN, PAST, UNKNOWN = "within", "past", "unknown"


def _warranty(purchased: date | None, months: int | None, today: date) -> str:
    """Say how an item stands to the warranty period of its model, by the day it was bought."""
    if purchased is None or months is None:
        return UNKNOWN
    return WITHIN if today < add_months(purchased, months) else PAST


def _items(units: Sequence[int], values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Count items by model and class. Purchases of one day are counted by the database, the rest here."""
    today = local_day(units[0])
    found = (
        select(
            Category.name,
            Model.code,
            Model.name,
            Item.sold_class,
            Model.warranty_months,
            Item.purchased_on,
            func.count(),
        )
        .join(Model, Model.id == Item.model_id)
        .outerjoin(Category, Category.id == Model.category_id)
        .where(Item.unit_id.in_(units), Item.active)
        .group_by(Category.name, Model.code, Model.name, Item.sold_class, Model.warranty_months, Item.purchased_on)
    )
    if values.get("sold_class"):
        found = found.where(Item.sold_class == values["sold_class"])
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for category, code, name, sold_class, months, purchased, count in session().execute(found):
        key = (category or "", code, name, sold_class)
        row = rows.setdefault(key, {"items": 0, WITHIN: 0, PAST: 0, UNKNOWN: 0})
        row["items"] += count
        row[_warranty(purchased, months, today)] += count
    for (category, code, name, sold_class), counts in sorted(rows.items()):
        yield {
            "model": f"{code} {name}".strip(),
            "category": category or _("Without category"),
            "sold_class": str(label_of(SOLD_CLASSES, sold_class)) if sold_class else _("Not known"),
            **counts,
        }


ITEMS = Report(
    code="products.items",
    title=_l("Items by model and warranty"),
    permission=services.VIEW,
    columns=(
        ReportColumn("model", _l("Model")),
        ReportColumn("category", _l("Product category")),
        ReportColumn("sold_class", _l("Sold by")),
        ReportColumn("items", _l("How many"), "number", total=True),
        ReportColumn(WITHIN, _l("Within warranty"), "number", total=True),
        ReportColumn(PAST, _l("Past warranty"), "number", total=True),
        ReportColumn(UNKNOWN, _l("Warranty not known"), "number", total=True),
        ReportColumn("share", _l("Share within"), "percent", share=(WITHIN, "items")),
    ),
    rows=_items,
    filters=(Field("sold_class", "choice", _l("Sold by"), choices=SOLD_CLASSES),),
    group_by=("category", "model", "sold_class"),
    chart=("model", "items"),
    help=_l("Items in use, by the day they were bought and the warranty months of their model."),
)

"""What this plugin adds to the demonstration: models and items for the products its cases are about."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from sqlalchemy import select

from core.sdk import Record, detail_of, local_day, session

from . import product_file, services, shipping
from .models import Batch, Item, ItemPart, Model

_PRODUCT = re.compile(r"([A-Z][A-Z0-9-]+)\s+(\S.*)")
_PARTS = ("控制器,KZ-7,国产", "水泵,SB-15,国产", "主板,ZB-3,进口", "变频模块,BM-2,进口")
# Of a hundred cases so many name the serial number of their item.
_WITH_SERIAL = 70
# And of a hundred items so many come from files that contradict each other about who sold them.
_IN_DOUBT = 8
_HEATING = re.compile("炉|散热器|水泵|热泵")


def received(record: Record, rng: Random) -> None:
    """Give most cases an item with its serial number as they come in; a customer keeps theirs."""
    case = detail_of(record)
    product = _PRODUCT.fullmatch(case.product_text)
    if case.serial_text or product is None or record.customer_id is None or rng.randrange(100) >= _WITH_SERIAL:
        return
    code, name = product.groups()
    unit_id = record.unit_id
    model = session().scalars(select(Model).where(Model.unit_id == unit_id, Model.code == code)).first()
    model = model or _model(unit_id, code, name, rng)
    held = select(Item).where(Item.model_id == model.id, Item.customer_id == record.customer_id)
    item = session().scalars(held).first() or _item(record, model, rng)
    case.serial_text = item.serial
    services.link_record(record, item)


def _model(unit_id: int, code: str, name: str, rng: Random) -> Model:
    wanted = "采暖产品" if _HEATING.search(name) else "工业设备"
    raw = {
        "code": code,
        "name": name,
        "category_id": next((key for key, label in services.category_choices(unit_id) if label == wanted), None),
        "warranty_months": rng.choice(("12", "24", "36")),
        "price": f"{rng.randint(1500, 48000)}.00",
        "key_parts": "\n".join(rng.sample(_PARTS, 2)),
        "active": "1",
    }
    return services.save_model(unit_id, raw)


def _item(record: Record, model: Model, rng: Random) -> Item:
    bought = local_day(record.unit_id, record.received_at) - timedelta(days=rng.randint(20, 900))
    made = bought - timedelta(days=rng.randint(20, 200))
    delivered = bought + timedelta(days=rng.randint(1, 12))
    channel = rng.choice(("direct", "store", "agent"))
    raw: dict[str, Any] = {
        "serial": f"{model.code}-{_month(made)}-{record.id % 100_000:05}",
        "model_id": str(model.id),
        "batch": f"{made:%Y%m}-{rng.randint(1, 9)}",
        "customer_id": record.customer_id,
        "used_by": detail_of(record).contact_name or "设备管理员",
        "sold_class": "agent" if channel == "agent" else "own",
        "channel": channel,
        "seller": "华东代理商" if channel == "agent" else "",
        "proof": rng.choice(("yes", "yes", "no")),
        "produced_on": made,
        "purchased_on": bought if rng.random() < 0.95 else None,
        "delivered_on": delivered,
        "handed_over_on": delivered + timedelta(days=rng.randint(0, 6)) if rng.random() < 0.6 else None,
        "active": "1",
    }
    _inspect(services.batch_of(record.unit_id, model.id, raw["batch"]), made)
    if rng.randrange(100) >= _IN_DOUBT:
        item = services.save_item(record.unit_id, raw)
        _open_file(item, delivered, rng)
        return item
    item = services.save_item(record.unit_id, raw | {"sold_class": None})
    hint = "4.1" if channel == "agent" else "4.2"
    services.flag_items(item.unit_id, [(item.id, "class_conflict", f"{hint} / {channel}")])
    return item


def _inspect(batch: Batch | None, made: date) -> None:
    """Every batch passed its test before shipping."""
    if batch is not None and not shipping.inspections_of(batch, 1):
        at = datetime.combine(made, time(9), UTC)
        finding = "性能、外观、包装检验合格"
        shipping.inspect(batch, {"stage": "final", "result": "passed", "finding": finding, "at": at.isoformat()})


def _open_file(item: Item, delivered: date, rng: Random) -> None:
    """Most items have a product file; some of them still lack something."""
    for part in item.model.key_parts:
        session().add(
            ItemPart(
                unit_id=item.unit_id,
                item_id=item.id,
                name=part.name,
                part_model=part.part_model,
                serial=f"{part.part_model or part.name}-{item.id:05}",
                batch=f"{delivered:%Y%m}",
                origin=part.origin,
            )
        )
    session().flush()
    entries = [
        {"kind": "original", "text": "出厂检验合格，附合格证"},
        {"kind": "delivered", "text": "外观完好，随机资料齐全"},
        {"kind": "agreement", "text": "服务承诺：24 小时内上门；备件按约定价格供应"},
    ]
    for entry in entries[: rng.choice((0, 2, 2, 3, 3))]:
        product_file.add_entry(item, {**entry, "on": delivered})


def _month(day: date) -> str:
    return f"{day:%y%m}"

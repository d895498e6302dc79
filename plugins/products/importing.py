"""The product file as offices keep it (products.xlsx): a sheet of models and a sheet of items.

Sources that contradict each other are never reconciled by guessing: what agrees is taken, what does not stays
empty, and a flag keeps what each source said until somebody settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as fields_of
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Customer, Field, InvalidData, clean, clock, local_day, normalise, session

from . import fields, services, shipping
from .models import Batch, Category, Item, Model

# Words of the files, by code. Full-width and odd spaces are folded before looking.
CHANNEL_WORDS = {
    "直销": "direct",
    "代理商": "agent",
    "代理": "agent",
    "经销商": "agent",
    "门店": "store",
    "网店": "online",
    "电商": "online",
    "direct": "direct",
    "agent": "agent",
    "store": "store",
    "online": "online",
}
PROOF_WORDS = {"有": "yes", "无": "no", "没有": "no", "yes": "yes", "no": "no", "是": "yes", "否": "no"}
# R18-4.1: made and sold by the company; R18-4.2: made by the company, sold by an agent.
CLASS_WORDS = {"4.1": fields.OWN, "4.2": fields.AGENT}
_NUMBERS = {code: number for number, code in CLASS_WORDS.items()}
# What a file says of an item itself. A bare number means what the unit's clauses say (``known_classes``).
SOLD_WORDS = {
    "自产自销": fields.OWN,
    "自销": fields.OWN,
    "本公司": fields.OWN,
    "自有": fields.OWN,
    "own": fields.OWN,
    "代理": fields.AGENT,
    "代理商": fields.AGENT,
    "agent": fields.AGENT,
    "合作厂": fields.PARTNER,
    "合作厂产品": fields.PARTNER,
    "partner": fields.PARTNER,
    "合作厂自销": fields.PARTNER_SOLD,
    "合作厂销售": fields.PARTNER_SOLD,
    "partner_sold": fields.PARTNER_SOLD,
    "竞品": fields.COMPETITOR,
    "同行": fields.COMPETITOR,
    "competitor": fields.COMPETITOR,
}
DAYS = ("produced_on", "purchased_on", "delivered_on", "handed_over_on")


@dataclass(frozen=True)
class ModelRow:
    """One line of the sheet of models."""

    code: str
    name: str
    warranty_months: int | None = None
    price: Decimal | None = None
    class_hint: str = ""
    category: str = ""
    part: str = ""


@dataclass(frozen=True)
class ItemRow:
    """One line of the sheet of items; empty cells are None or ''."""

    serial: str
    model: str
    batch: str = ""
    produced_on: date | None = None
    purchased_on: date | None = None
    customer: str = ""
    channel: str = ""
    proof: str = ""
    seller: str = ""
    delivered_on: date | None = None
    handed_over_on: date | None = None
    sold_class: str = ""


@dataclass(frozen=True)
class Merged:
    """Lines about one model (or one serial number) taken together.

    ``agreed`` holds what all of them say, ``disputed`` the values of each field on which they differ.
    """

    agreed: dict[str, Any]
    disputed: dict[str, list[Any]] = field(default_factory=dict)


# --- reading one line ------------------------------------------------------------------------

_MODEL_FIELDS = (
    Field("code", "text", _l("Model"), required=True, max_length=60),
    Field("name", "text", _l("Product name"), required=True, max_length=120),
    Field("warranty_months", "int", _l("Warranty (months)"), minimum=Decimal(0), maximum=Decimal(600)),
    Field("price", "decimal", _l("List price (yuan)"), minimum=Decimal(0), maximum=Decimal("9999999999.99")),
    Field("kind", "text", _l("Product category"), max_length=60),
    Field("part", "text", _l("Key part"), max_length=60),
)


def read_model(cells: Mapping[str, Any]) -> ModelRow:
    """Check one line of the sheet of models; keys are the names of ``ModelRow``, and ``kind``.

    Files put either a category or a class (4.1, 4.2) under 类别, given here as ``kind``.

    Raises:
        InvalidData: with the message of every wrong cell.
    """
    raw = {name: _plain_number(value) for name, value in cells.items()}
    values = clean(_MODEL_FIELDS, raw)
    kind, price = values["kind"] or "", values["price"]
    is_class = kind in CLASS_WORDS
    return ModelRow(
        code=values["code"],
        name=values["name"],
        warranty_months=values["warranty_months"],
        price=None if price is None else price.quantize(Decimal("0.01")),
        class_hint=kind if is_class else "",
        category="" if is_class else kind,
        part=values["part"] or "",
    )


def known_classes(unit_id: int) -> dict[str, str]:
    """Return the words for classes in a unit's files: names, and the numbers that stand for one class there.

    Where no clause gives numbers, 4.1 and 4.2 mean what they usually do.
    """
    words = {**SOLD_WORDS, **{str(label).lower(): code for code, label in fields.SOLD_CLASSES}}
    numbers = {services.class_number(unit_id, code) for code, _ in fields.SOLD_CLASSES} - {""}
    if not numbers:
        return {**words, **CLASS_WORDS}
    found = {one.lower(): services.sold_class_of(unit_id, one) for one in numbers}
    return {**words, **{number: code for number, code in found.items() if code}}


def read_item(
    cells: Mapping[str, Any], latest: date, classes: Mapping[str, str] = MappingProxyType(SOLD_WORDS)
) -> ItemRow:
    """Check one line of the sheet of items; keys are the names of ``ItemRow``. No day after ``latest``.

    ``classes``: the words of the class column (``known_classes``).

    Raises:
        InvalidData: with the message of every wrong cell.
    """
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {
        "serial": _serial(cells, errors),
        "model": _text(cells, "model", 60, errors, required=True),
        "batch": _text(cells, "batch", 40, errors),
        "customer": _text(cells, "customer", 40, errors),
        "seller": _text(cells, "seller", 120, errors),
        "channel": _word(cells, "channel", CHANNEL_WORDS, errors),
        "proof": _word(cells, "proof", PROOF_WORDS, errors),
        "sold_class": _word(cells, "sold_class", classes, errors),
        **{name: _day(cells, name, errors) for name in DAYS},
    }
    wrong = services.date_errors(values["produced_on"], values["purchased_on"], latest)
    errors = wrong | fields.delivery_errors(values, latest) | errors
    if errors:
        raise InvalidData(errors)
    return ItemRow(**values)


def _plain_number(value: Any) -> Any:
    """Office files give 12 as 12.0 and 4.1 as the number 4.1."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else str(value)
    return value


def _text(
    cells: Mapping[str, Any], name: str, limit: int, errors: dict[str, Any], *, required: bool = False
) -> str:
    given = _plain_number(cells.get(name))
    text = normalise(str("" if given is None else given))
    if required and not text:
        errors[name] = _l("Please fill this in")
    elif len(text) > limit:
        errors[name] = _l("At most %(count)d characters", count=limit)
    return text


def _serial(cells: Mapping[str, Any], errors: dict[str, Any]) -> str:
    if not _text(cells, "serial", 200, errors, required=True):
        return ""
    try:
        return fields.read_serial(_plain_number(cells.get("serial")))
    except InvalidData as bad:
        errors["serial"] = bad.errors["serial"]
        return ""


def _word(cells: Mapping[str, Any], name: str, known: Mapping[str, str], errors: dict[str, Any]) -> str:
    text = _text(cells, name, 60, errors).lower()
    if text and text not in known:
        errors[name] = _l("“%(text)s” is not known here", text=text)
    return known.get(text, "")


def _day(cells: Mapping[str, Any], name: str, errors: dict[str, Any]) -> date | None:
    try:
        return fields.read_date(cells.get(name))
    except ValueError:
        errors[name] = _l("This is not a date")
        return None


# --- several lines about one thing -----------------------------------------------------------


def merge(rows: Iterable[Any], key: str) -> dict[str, Merged]:
    """Take lines about the same thing together, in the order of their first line."""
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(getattr(row, key), []).append(row)
    return {value: _merge_group(group) for value, group in groups.items()}


def _merge_group(rows: Sequence[Any]) -> Merged:
    agreed: dict[str, Any] = {}
    disputed: dict[str, list[Any]] = {}
    for name in (one.name for one in fields_of(rows[0])):
        said = list(dict.fromkeys(v for v in (getattr(row, name) for row in rows) if v not in (None, "")))
        if len(said) > 1:
            disputed[name] = said
        else:
            agreed[name] = said[0] if said else None
    return Merged(agreed, disputed)


def dispute_text(disputed: Mapping[str, Sequence[Any]]) -> str:
    """Say what each source said, in the words of the file: ``price: 25982.78 / 41198.10``."""
    return "; ".join(f"{name}: {' / '.join(map(str, said))}" for name, said in disputed.items())


def class_of(hint: str, channel: str, said: str = "") -> tuple[str, str]:
    """Return (class, contradiction) of an item from its model's class, its own sales channel and class (``said``).

    The class belongs to the item, so what is said of the item decides; a sales channel, or else a model's class,
    that says otherwise is a contradiction, which leaves the class empty. Without either nothing is known.
    """
    by_channel = fields.AGENT if channel == "agent" else fields.OWN
    if said:
        # A partner's or competitor's product may come by any channel.
        disputed = channel and said in (fields.OWN, fields.AGENT) and said != by_channel
        return ("", f"{_NUMBERS[said]} / {channel}") if disputed else (said, "")
    if not channel:
        return "", ""
    by_model = CLASS_WORDS.get(hint, by_channel)
    return (by_channel, "") if by_model == by_channel else ("", f"{hint} / {channel}")


# --- writing ---------------------------------------------------------------------------------


@dataclass
class Held:
    """What the unit already has of the things a set of lines names."""

    models: dict[str, Model]
    customers: dict[str, int]
    items: dict[str, Item]
    batches: dict[tuple[int, str], Batch]


def apply_models(unit_id: int, rows: Sequence[ModelRow]) -> int:
    """Create or update the models of ``rows``; return how many. Disputed fields stay empty and are flagged."""
    merged = merge(rows, "code")
    held = known_models(unit_id, merged)
    categories = {c.name: c for c in session().scalars(_of_unit(Category, unit_id))}
    for code, one in merged.items():
        model = held.get(code) or Model(unit_id=unit_id, code=code, name=code)
        _update_model(model, one, _category(unit_id, one.agreed.get("category") or "", categories))
    session().flush()
    return len(merged)


def known_models(unit_id: int, codes: Iterable[str]) -> dict[str, Model]:
    """Return the unit's models of these codes."""
    return {m.code: m for m in _rows(_of_unit(Model, unit_id), Model.code, codes)}


def _update_model(model: Model, one: Merged, category: Category | None) -> None:
    for name in ("name", "warranty_months", "price", "class_hint"):
        if one.agreed.get(name) is not None:
            setattr(model, name, one.agreed[name])
    if category is not None:
        model.category_id = category.id
    session().add(model)
    session().flush()
    disputed = dict(one.disputed)
    part, held = one.agreed.get("part"), [p.name for p in model.key_parts]
    if part and not held:
        services.set_key_parts(model, [{"name": part}])
    elif part and part not in held:
        disputed["part"] = [*held, part]
    if disputed:
        services.flag_model(model, "model_conflict", dispute_text(disputed))


def _category(unit_id: int, name: str, known: dict[str, Category]) -> Category | None:
    if name and name not in known:
        known[name] = Category(unit_id=unit_id, name=name, sort=100)
        session().add(known[name])
        session().flush()
    return known.get(name)


def look_up(unit_id: int, rows: Sequence[ItemRow]) -> Held:
    """Read what the unit has of the models, customers, items and batches that ``rows`` name; five selects."""
    models = known_models(unit_id, {row.model for row in rows})
    ids = {model.id for model in models.values()}
    numbers = {row.batch for row in rows if row.batch}
    batches = _rows(_of_unit(Batch, unit_id).where(Batch.model_id.in_(ids)), Batch.number, numbers)
    items = _rows(_of_unit(Item, unit_id), Item.serial, {row.serial for row in rows})
    return Held(
        models=models,
        customers=known_customers(unit_id, {row.customer for row in rows if row.customer}),
        items={item.serial: item for item in items},
        batches={(batch.model_id, batch.number): batch for batch in batches},
    )


def known_customers(unit_id: int, numbers: Iterable[str]) -> dict[str, int]:
    """Return the id by number; a customer that was merged away answers with the one that stayed."""
    found = select(Customer).where(Customer.unit_id == unit_id)
    return {c.number: c.merged_into_id or c.id for c in _rows(found, Customer.number, numbers)}


def apply_items(unit_id: int, rows: Sequence[ItemRow]) -> tuple[int, int]:
    """Create or update the items of ``rows`` (their models must exist); return (created, updated).

    An empty cell changes nothing. Contradictions are flagged and their fields left as they were.
    """
    held = look_up(unit_id, rows)
    merged = merge(rows, "serial")
    fresh = [serial for serial in merged if serial not in held.items]
    _make_batches(unit_id, merged.values(), held)
    for serial, one in merged.items():
        item = held.items.setdefault(serial, Item(unit_id=unit_id, serial=serial, created_at=clock.now()))
        _update_item(item, one.agreed, held)
    session().add_all(held.items[serial] for serial in merged)
    session().flush()
    wanted = [(held.items[serial], one) for serial, one in merged.items()]
    services.flag_items(unit_id, [found for item, one in wanted for found in _contradictions(item, one, held)])
    services.settle_customers(unit_id, [item.id for item, one in wanted if _customer_of(one, held)])
    new = set(fresh)
    services.index_items([held.items[serial] for serial in fresh], fresh=True)
    services.index_items([held.items[serial] for serial in merged if serial not in new])
    session().flush()
    return len(fresh), len(merged) - len(fresh)


def _make_batches(unit_id: int, merged: Iterable[Merged], held: Held) -> None:
    for one in merged:
        number, code = one.agreed.get("batch"), one.agreed.get("model")
        if not number or code not in held.models:
            continue
        key = (held.models[code].id, number)
        if key not in held.batches:
            held.batches[key] = Batch(unit_id=unit_id, model_id=key[0], number=number)
    session().add_all(held.batches.values())
    session().flush()


def _update_item(item: Item, said: Mapping[str, Any], held: Held) -> None:
    model = held.models.get(said.get("model") or "")
    if model is not None:
        item.model, item.model_id = model, model.id
    for name in (*DAYS, "channel", "proof", "seller"):
        if said.get(name) is not None:
            setattr(item, name, said[name])
    batch = held.batches.get((item.model_id, said.get("batch") or ""))
    if batch is not None:
        item.batch_id = batch.id
    item.customer_id = held.customers.get(said.get("customer") or "") or item.customer_id
    if not item.sold_class:
        item.sold_class, _ = class_of(item.model.class_hint, item.channel or "", said.get("sold_class") or "")


def refused_deliveries(unit_id: int, rows: Sequence[ItemRow], held: Held) -> dict[str, list[Any]]:
    """Return why deliveries that ``rows`` bring cannot have been, by serial number (R09-5.2.4c, R05-1.2, R05-3.2).

    What was delivered before today is taken over as it was; only from a stopped batch nothing can have left.
    """
    today = local_day(unit_id)
    found: dict[str, list[Any]] = {}
    for row in rows:
        item, model = held.items.get(row.serial), held.models.get(row.model)
        if row.delivered_on is None or (item is not None and item.delivered_on == row.delivered_on):
            continue
        batch = held.batches.get((model.id, row.batch)) if model is not None else None
        if texts := shipping.refusals_of_row(unit_id, row.serial, item, batch, row.delivered_on, today):
            found[row.serial] = texts
    return found


def _customer_of(one: Merged, held: Held) -> int | None:
    return held.customers.get(one.agreed.get("customer") or "")


def _contradictions(item: Item, one: Merged, held: Held) -> Iterator[tuple[int, str, str]]:
    if one.disputed:
        yield item.id, "item_conflict", dispute_text(one.disputed)
    _, contradiction = class_of(item.model.class_hint, item.channel, one.agreed.get("sold_class") or "")
    if contradiction and not item.sold_class:
        yield item.id, "class_conflict", contradiction
    number = one.agreed.get("customer")
    if number and number not in held.customers:
        yield item.id, "customer_unknown", number


# --- inside ----------------------------------------------------------------------------------


def _of_unit(model: Any, unit_id: int) -> Any:
    return select(model).where(model.unit_id == unit_id)


def _rows(statement: Any, column: Any, values: Iterable[str]) -> list[Any]:
    """Run ``statement`` for those of ``values``, a few hundred at a time (databases limit parameters)."""
    wanted = sorted(set(values))
    found: list[Any] = []
    for start in range(0, len(wanted), services.CHUNK):
        found += session().scalars(statement.where(column.in_(wanted[start : start + services.CHUNK])))
    return found

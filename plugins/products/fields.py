"""What staff may enter about products: the one validation behind screens, importer and CLI."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l

from core.sdk import Choices, Field, InvalidData, label_of, normalise

# What class a product is of (产品类别), the rules of which a regulation numbers for itself (4.1, 4.2 ...).
OWN, AGENT, PARTNER, PARTNER_SOLD, COMPETITOR = "own", "agent", "partner", "partner_sold", "competitor"
SOLD_CLASSES: Choices = (
    (OWN, _l("Sold by us")),
    (AGENT, _l("Sold by an agent")),
    (PARTNER, _l("Partner's product, sold by us")),
    (PARTNER_SOLD, _l("Sold by the partner")),
    (COMPETITOR, _l("Competitor's product")),
)
CHANNELS: Choices = (
    ("direct", _l("Direct sale")),
    ("agent", _l("By agent")),
    ("store", _l("In store")),
    ("online", _l("Online shop")),
)
PROOFS: Choices = (("yes", _l("Proof seen")), ("no", _l("No proof")))
ORIGINS: Choices = (("domestic", _l("domestic")), ("imported", _l("foreign")))
# Entries of a product file (R17-9.1, R18-9.1).
ENTRY_KINDS: Choices = (
    ("original", _l("State as made")),
    ("delivered", _l("State on delivery")),
    ("survey", _l("Satisfaction survey")),
    ("tracking", _l("Yearly quality tracking")),
    ("agreement", _l("Technical agreement")),
)
INSPECTION_STAGES: Choices = (
    ("incoming", _l("Incoming material")),
    ("process", _l("Production")),
    ("final", _l("Before shipping")),
)

RESULTS: Choices = (("passed", _l("Passed")), ("failed", _l("Not passed")))

_FIRST_USE = _l("The user's first product of ours, or the first trial of a new or much changed one")
_SCORE = _l("From 1 (bad) to 5 (very good), of a survey")

# What each flag means, for lists and the CLI.
FLAGS: Choices = (
    ("class_conflict", _l("Class of the model and sales channel disagree")),
    ("model_conflict", _l("Model listed twice with different data")),
    ("item_conflict", _l("Serial number listed twice with different data")),
    ("customer_unknown", _l("Customer number not found")),
)

_SERIAL = re.compile(r"[0-9A-Z][0-9A-Z\-_/.]{2,59}")
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:\s+0{1,2}:00(?::00)?)?")
_PLAIN_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})")
EARLIEST_YEAR, LATEST_YEAR = 1950, 2100
MAX_PARTS = 30


def read_serial(raw: object) -> str:
    """Bring a serial number into its one form: plain letters and digits, upper case, no spaces.

    Raises:
        InvalidData: under ``serial``, when it is no serial number.
    """
    serial = tidy_serial(raw)
    if not _SERIAL.fullmatch(serial):
        raise InvalidData({"serial": _l("A serial number has 3 to 60 letters, digits and - _ / .")})
    return serial


def tidy_serial(raw: object) -> str:
    """Like ``read_serial``, but answers anything; for look-ups, where nonsense simply finds nothing."""
    return re.sub(r"\s+", "", normalise(str(raw or ""))).replace("—", "-").replace("–", "-").upper()


def read_date(raw: object) -> date | None:
    """Read a date as office files carry it (2023-07-19, 2023/7/19, 2023.7.19, 2023年7月19日, 20230719).

    Empty is None.

    Raises:
        ValueError: anything else, an impossible day, or a year outside 1950 to 2100.
    """
    if isinstance(raw, datetime):
        return raw.date()
    if isinstance(raw, date):
        return raw
    text = normalise(str(raw if raw is not None else ""))
    if not text:
        return None
    found = _DATE.fullmatch(text) or _PLAIN_DATE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) for part in found.groups())
    if not EARLIEST_YEAR <= year <= LATEST_YEAR:
        raise ValueError(text)
    return date(year, month, day)


def category_fields() -> list[Field]:
    """Inputs of a category."""
    return [
        Field("name", "text", _l("Product category"), required=True, max_length=60),
        Field("sort", "int", _l("Order in lists"), default=100, minimum=Decimal(0), maximum=Decimal(9999)),
        Field("active", "bool", _l("In use"), default=True),
    ]


def model_fields(categories: Choices) -> list[Field]:
    """Inputs of a product model; ``categories`` are the unit's."""
    return [
        Field("code", "text", _l("Model"), required=True, max_length=60, help=_l("As printed on the name plate")),
        Field("name", "text", _l("Product name"), required=True, max_length=120),
        Field("category_id", "choice", _l("Product category"), choices=categories),
        Field("warranty_months", "int", _l("Warranty (months)"), minimum=Decimal(0), maximum=Decimal(600)),
        Field("price", "decimal", _l("List price (yuan)"), minimum=Decimal(0), maximum=Decimal("9999999999.99")),
        Field(
            "key_parts",
            "long",
            _l("Key parts"),
            help=_l("One part per line: name, its model, domestic or foreign; separated by commas"),
        ),
        Field("note", "long", _l("Note")),
        Field("active", "bool", _l("In use"), default=True),
    ]


def batch_fields(models: Choices) -> list[Field]:
    """Inputs of a batch; ``models`` are the unit's."""
    return [
        Field("model_id", "choice", _l("Model"), required=True, choices=models),
        Field("number", "text", _l("Batch number"), required=True, max_length=40),
        Field("produced_on", "date", _l("Produced on")),
        Field("note", "long", _l("Note")),
    ]


def item_fields(models: Choices, customer: str = "") -> list[Field]:
    """Inputs of an item; ``models`` are the unit's, ``customer`` is the name shown for the present one.

    The batch is typed, and made when it is new.
    """
    return [
        Field("serial", "text", _l("Serial number"), required=True, max_length=60),
        Field("model_id", "choice", _l("Model"), required=True, choices=models),
        Field("batch", "text", _l("Batch number"), max_length=40),
        Field("customer_id", "customer", _l("Customer"), options={"text": customer}),
        Field(
            "sold_class",
            "choice",
            _l("Sold by"),
            choices=SOLD_CLASSES,
            help=_l("Belongs to this item, not to its model. Leave empty while it is not certain."),
        ),
        Field("channel", "choice", _l("Sales channel"), choices=CHANNELS),
        Field("seller", "text", _l("Seller"), max_length=120),
        Field("proof", "choice", _l("Proof of purchase"), choices=PROOFS),
        Field("produced_on", "date", _l("Produced on")),
        Field("purchased_on", "date", _l("Purchased on")),
        Field("delivered_on", "date", _l("Delivered on")),
        Field("handed_over_on", "date", _l("Handed over on")),
        Field("used_by", "text", _l("Used by"), max_length=120, help=_l("Person or team that works with it")),
        Field("first_use", "bool", _l("First use"), help=_FIRST_USE),
        Field("note", "long", _l("Note")),
        Field("active", "bool", _l("In use"), default=True),
    ]


def delivery_fields(customer: str = "", lines: int = MAX_PARTS) -> list[Field]:
    """Inputs of a delivery: what the product file opens with (R17-9.1, R18-9.1)."""
    return [
        Field("delivered_on", "date", _l("Delivered on"), required=True),
        Field("handed_over_on", "date", _l("Handed over on"), help=_l("Accepted by the customer, if it was")),
        Field("customer_id", "customer", _l("Using unit"), options={"text": customer}),
        Field("used_by", "text", _l("Used by"), max_length=120, help=_l("Person or team that works with it")),
        Field("first_use", "bool", _l("First use"), help=_FIRST_USE),
        Field("original", "long", _l("State as made")),
        Field("delivered", "long", _l("State on delivery")),
        Field(
            "parts",
            "long",
            _l("Key parts"),
            max_length=lines * 250,
            help=_l(
                "One part per line: name, model, serial number, batch, domestic or foreign; separated by commas"
            ),
        ),
        Field("agreement", "long", _l("Technical agreement"), help=_l("Service promises, agreed prices of spares")),
        Field("agreement_until", "date", _l("Agreement valid until")),
    ]


def delivery_errors(values: Any, today: date) -> dict[str, Any]:
    """Return what is wrong with the days of a delivery, by field name."""
    delivered, handed_over = values["delivered_on"], values["handed_over_on"]
    errors = {
        name: _l("This date lies in the future")
        for name, day in (("delivered_on", delivered), ("handed_over_on", handed_over))
        if day and day > today
    }
    if delivered and handed_over and handed_over < delivered:
        errors["handed_over_on"] = _l("Handed over before it was delivered")
    until = values.get("agreement_until")
    if until and delivered and until < delivered:
        errors["agreement_until"] = _l("This is before it begins")
    return errors


def entry_fields() -> list[Field]:
    """Inputs of an entry of a product file."""
    return [
        Field("kind", "choice", _l("Kind"), required=True, choices=ENTRY_KINDS),
        Field("on", "date", _l("Date"), required=True),
        Field("text", "long", _l("Content of the entry")),
        Field("score", "int", _l("Satisfaction"), minimum=Decimal(1), maximum=Decimal(5), help=_SCORE),
        Field("until", "date", _l("Valid until"), help=_l("Of an agreement")),
    ]


def part_fields(names: Sequence[str]) -> list[Field]:
    """Inputs of a key part that was taken out and replaced; ``names`` are those the item has."""
    shown = "、".join(names)
    return [
        Field(
            "part",
            "text",
            _l("Key part"),
            required=True,
            max_length=60,
            help=_l("Here: %(names)s", names=shown) if shown else "",
        ),
        Field("old_serial", "text", _l("Number taken out"), max_length=60),
        Field("new_serial", "text", _l("Number fitted"), max_length=60),
        Field("part_model", "text", _l("Model of the part"), max_length=60),
        Field("batch", "text", _l("Batch number"), max_length=40),
        Field("origin", "choice", _l("Origin"), choices=ORIGINS),
        Field("on", "date", _l("Fitted on"), required=True),
    ]


def exchange_fields() -> list[Field]:
    """Inputs of an exchange of an item for another one."""
    return [
        Field("serial", "text", _l("Serial number of the item given for it"), required=True, max_length=60),
        Field("on", "date", _l("Exchanged on"), required=True),
    ]


def hold_fields() -> list[Field]:
    """Inputs of stopping or releasing a batch."""
    return [Field("reason", "long", _l("Reason"), required=True, max_length=300)]


def inspection_fields() -> list[Field]:
    """Inputs of an inspection."""
    return [
        Field("stage", "choice", _l("Stage"), required=True, choices=INSPECTION_STAGES),
        Field("result", "choice", _l("Result"), required=True, choices=RESULTS),
        Field("finding", "long", _l("Finding"), max_length=1000),
        Field("at", "moment", _l("Inspected at"), help=_l("Leave empty for the present time")),
    ]


def read_key_parts(text: str | None) -> list[dict[str, str]]:
    """Read key parts typed one per line: ``name, model, origin``.

    Raises:
        InvalidData: under ``key_parts``, naming the line.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if len(lines) > MAX_PARTS:
        raise InvalidData({"key_parts": _l("At most %(count)d key parts", count=MAX_PARTS)})
    return [_read_part(number, line) for number, line in enumerate(lines, 1)]


def _read_part(number: int, line: str) -> dict[str, str]:
    cells = [normalise(cell) for cell in re.split(r"[,，;；|\t]", line)]
    if len(cells) > 3 or not cells[0] or max(map(len, cells)) > 60:
        raise InvalidData({"key_parts": _l("Line %(number)d: write name, model, origin", number=number)})
    name, part_model, origin = (*cells, "", "")[:3]
    code = _read_origin(origin)
    if code is None:
        message = _l("Line %(number)d: the origin is domestic (国产) or foreign (进口)", number=number)
        raise InvalidData({"key_parts": message})
    return {"name": name, "part_model": part_model, "origin": code}


def read_item_parts(text: str | None) -> list[dict[str, str]]:
    """Read key parts of an item typed one per line: ``name, model, serial, batch, origin``.

    Raises:
        InvalidData: under ``parts``, naming the line.
    """
    lines = [line for line in (text or "").splitlines() if line.strip()]
    if len(lines) > MAX_PARTS:
        raise InvalidData({"parts": _l("At most %(count)d key parts", count=MAX_PARTS)})
    found = [_read_item_part(number, line) for number, line in enumerate(lines, 1)]
    if len({(one["name"], one["serial"]) for one in found}) < len(found):
        raise InvalidData({"parts": _l("The same part stands there twice")})
    return found


def _read_item_part(number: int, line: str) -> dict[str, str]:
    cells = [normalise(cell) for cell in re.split(r"[,，;；|\t]", line)]
    if len(cells) > 5 or not cells[0] or max(map(len, cells)) > 60 or len((*cells, "", "", "")[3]) > 40:
        message = _l("Line %(number)d: write name, model, serial number, batch, origin", number=number)
        raise InvalidData({"parts": message})
    name, part_model, serial, batch, origin = (*cells, "", "", "", "")[:5]
    code = _read_origin(origin)
    if code is None:
        message = _l("Line %(number)d: the origin is domestic (国产) or foreign (进口)", number=number)
        raise InvalidData({"parts": message})
    return {"name": name, "part_model": part_model, "serial": tidy_serial(serial), "batch": batch, "origin": code}


def show_item_parts(parts: Sequence[Any]) -> str:
    """The text ``read_item_parts`` reads back to the same parts; a model's key parts have no number and batch."""
    return "\n".join(
        ", ".join(
            (
                part.name,
                part.part_model,
                getattr(part, "serial", ""),
                getattr(part, "batch", ""),
                str(label_of(ORIGINS, part.origin)),
            )
        )
        for part in parts
    )


def _read_origin(text: str) -> str | None:
    known = {
        "": "",
        "国产": "domestic",
        "domestic": "domestic",
        "进口": "imported",
        "foreign": "imported",
        "imported": "imported",
    }
    return known.get(text.lower())


def show_key_parts(parts: Sequence[Any]) -> str:
    """The text ``read_key_parts`` reads back to the same parts."""
    return "\n".join(_show_part(part) for part in parts)


def _show_part(part: Any) -> str:
    cells = [part.name, part.part_model, str(label_of(ORIGINS, part.origin))]
    while cells and not cells[-1]:
        cells.pop()
    return ", ".join(cells)


_DISPUTED: Choices = (
    ("name", _l("Product name")),
    ("warranty_months", _l("Warranty (months)")),
    ("price", _l("List price (yuan)")),
    ("class_hint", _l("Class in the file")),
    ("category", _l("Product category")),
    ("part", _l("Key part")),
    ("model", _l("Model")),
    ("batch", _l("Batch number")),
    ("produced_on", _l("Produced on")),
    ("purchased_on", _l("Purchased on")),
    ("customer", _l("Customer")),
    ("channel", _l("Sales channel")),
    ("proof", _l("Proof of purchase")),
    ("seller", _l("Seller")),
)


def flag_text(flag: Any) -> str:
    """Show a flag's detail in the reader's language: what each source said."""
    return said(flag.code, flag.detail)


def said(code: str, detail: str) -> str:
    """Show the detail of a contradiction in the reader's language."""
    return "; ".join(_said(code, part) for part in detail.split("; "))


def _said(code: str, part: str) -> str:
    if code == "class_conflict":
        hint, _slash, channel = part.partition(" / ")
        return f"{hint} / {label_of(CHANNELS, channel)}"
    name, colon, values = part.partition(": ")
    return f"{label_of(_DISPUTED, name)} {values}" if colon else part

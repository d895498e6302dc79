"""What arrives of an order: numbered tools are registered and inspected, small parts go into stock. Never twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    Refusal,
    Refused,
    answered_before,
    append_fact,
    clean,
    clock,
    detail_of,
    fetch,
    local_day,
    lock,
    money_math,
    perform,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import file, stock, values
from .models import Party, Purchase, PurchaseLine
from .purchase_flow import CODE, WORKFLOW, lines_of
from .rights import KEEP

# Each tool is a record with a number; what arrives in larger lots is received in several goes.
MOST_TOOLS = 200
FIELDS = (
    Field("store", "int", _l("Into which store"), True, minimum=Decimal(1)),
    Field("quantity", "int", _l("How many came"), True, minimum=Decimal(1)),
    Field("price", "decimal", _l("Price paid (yuan)"), minimum=Decimal(0), help=_l("Leave empty for the plan's")),
    Field("model", "text", _l("Brand and model"), max_length=80),
    Field("serials", "long", _l("Serial numbers"), max_length=10_000, help=_l("One a line; may be left empty")),
    Field("place", "text", _l("Place"), max_length=80, help=_l("Shelf, cabinet or bay in the store")),
    Field(
        "result",
        "long",
        _l("What was inspected"),
        max_length=500,
        help=_l("Filled in: the tools are accepted at once. Empty: they wait for acceptance."),
    ),
)


def receive(record_id: object, line_id: object, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Take in what came of a line of an order (``FIELDS``, permission ``KEEP``; R32-2.3, R15-16).

    Tools are registered with the price paid, in the state of waiting for acceptance, or accepted where ``result``
    says what was inspected. When nothing more is to come, the plan is closed.

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field: more than is to come, serial numbers that do not fit.
        Refused: it is not ordered.
    """
    with transaction():
        record = lock(record_id)
        if record.type != CODE:
            raise NotFound()
        require(KEEP, record.unit_id)
        if answered_before(record.unit_id, key, f"tools.receive:{line_id}", raw):
            return record
        if record.state != values.ORDERED:
            raise Refused([Refusal("not_ordered", _l("Only what was ordered is received"))])
        line = _line(record, line_id)
        given = _read(record, line, raw)
        store = fetch(Party, given["store"], query=_stores(record.unit_id))
        made = _taken_in(record, line, store, given)
        line.received += given["quantity"]
        _told(record, line, given["quantity"], made)
        if all(one.received == one.quantity for one in lines_of(record.id)):
            perform(record.id, "finish", permitted=True)
        remember_answer(record.unit_id, key, {"record": record.id, "tools": made})
        return record


def _line(record: Record, line_id: object) -> PurchaseLine:
    mine: Any = select(PurchaseLine).where(PurchaseLine.purchase_id == record.id)
    return fetch(PurchaseLine, line_id, query=mine.execution_options(populate_existing=True))


def _stores(unit_id: int) -> Any:
    return select(Party).where(Party.unit_id == unit_id, Party.kind == values.STORE, Party.active)


def _read(record: Record, line: PurchaseLine, raw: Mapping[str, Any]) -> dict[str, Any]:
    given = clean(FIELDS, raw)
    errors: dict[str, Any] = {}
    rest, counted = line.quantity - line.received, line.kind.category != values.CONSUMABLE
    if given["quantity"] > rest:
        errors["quantity"] = _l("Only %(count)d are still to come", count=rest)
    elif counted and given["quantity"] > MOST_TOOLS:
        errors["quantity"] = _l("At most %(count)d at once", count=MOST_TOOLS)
    serials = [one.strip() for one in (given["serials"] or "").splitlines() if one.strip()]
    if len(serials) > given["quantity"]:
        errors["serials"] = _l("There are more serial numbers than tools")
    elif len(set(serials)) < len(serials):
        errors["serials"] = _l("A serial number stands here twice")
    if (
        session().scalar(_stores(record.unit_id).with_only_columns(Party.id).where(Party.id == given["store"]))
        is None
    ):
        errors["store"] = _l("There is no such store")
    if errors:
        raise InvalidData(errors)
    price = line.price if given["price"] is None else money_math.exact(given["price"], "price")
    return {**given, "serials": serials, "price": price}


def _taken_in(record: Record, line: PurchaseLine, store: Party, given: Mapping[str, Any]) -> list[int]:
    """Put small parts into stock, register tools one by one; return the ids of these."""
    if line.kind.category == values.CONSUMABLE:
        stock.move(line.kind, None, store, given["quantity"], stock.BOUGHT, note=record.number)
        return []
    detail: Purchase = detail_of(record)
    about = {
        "kind": line.kind_id,
        "name": line.kind.name,
        "model": given["model"] or line.what[:80],
        "price": given["price"],
        "bought_on": local_day(record.unit_id),
        "supplier": detail.supplier,
        "store": store.id,
        "place": given["place"],
        "note": record.number,
    }
    made = []
    for place in range(given["quantity"]):
        serial = given["serials"][place] if place < len(given["serials"]) else ""
        made.append(file.register(record.unit_id, {**about, "serial": serial}).id)
    if given["result"]:
        for tool_id in made:
            perform(tool_id, "accept", {"result": given["result"]})
    return made


def _told(record: Record, line: PurchaseLine, quantity: int, made: Sequence[int]) -> None:
    what = f"{line.kind.name} × {quantity}"
    data = {"what": what, "line": line.id, "quantity": quantity, "tools": list(made)}
    fact = append_fact(record, WORKFLOW.fact_kinds["delivered"], at=clock.now(), data=data)
    session().flush()
    tell_of_fact(record, fact)

"""Purchase orders (采购订单): drafted by hand or from a plan, ordered from qualified suppliers only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    fetch,
    lock,
    money_math,
    perform,
    publish,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import goods, values
from .models import OrderLine, PurchaseOrder, Supplier
from .order_flow import ORDER, ORDER_FLOW, order_lines
from .rights import BUY

MOST_LINES = 200
MOST_PRICE = Decimal("9999999.99")
LINE_NAMES = ("product", "quantity", "price")
LINES = Field(
    "lines", "long", _l("What is to be bought"), max_length=40_000, help=_l("One a line: product, quantity, price")
)
FIELDS = (
    Field("supplier", "text", _l("Supplier"), True, max_length=120),
    Field("expected_on", "date", _l("Expected on")),
    Field("standard_met", "bool", _l("The goods meet the company's standard"), clause="R02-6"),
    Field("note", "long", _l("Note"), max_length=2000),
    LINES,
)
LINE_FIELDS = (
    Field("product", "text", _l("Product"), True, max_length=80, help=_l("Bar code or model")),
    Field("quantity", "int", _l("Quantity"), True, minimum=Decimal(1), maximum=Decimal(goods.MOST_PIECES)),
    Field("price", "decimal", _l("Price (yuan)"), minimum=Decimal(0), maximum=MOST_PRICE),
)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Draft an order (``FIELDS``, permission ``BUY``); ``lines`` as text or as mappings (``LINE_FIELDS``).

    Raises:
        NotAllowed. InvalidData: beside the field; of lines under ``lines``, saying which.
    """
    require(BUY, unit_id)
    given, lines = _read(unit_id, raw)
    detail = PurchaseOrder(**given)

    def then(made: Record) -> None:
        session().add_all(OrderLine(unit_id=unit_id, order_id=made.id, **one) for one in lines)
        session().flush()

    with transaction():
        held = answered_before(unit_id, key, "store.order", raw)
        if held:
            return session().get_one(Record, held["record"])
        record = create_record(
            ORDER_TYPE,
            unit_id,
            detail,
            title=_title(given["supplier_id"], lines),
            customer_id=None,
            received_at=clock.now(),
            permission=BUY,
            facts=[("registered", {})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": ORDER})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft and replace its lines (``FIELDS``).

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it is no draft any more.
    """
    with transaction():
        record = lock(record_id)
        if record.type != ORDER:
            raise NotFound()
        require(BUY, record.unit_id)
        if record.state != values.DRAFT:
            raise Refused([Refusal("not_draft", _l("Only a draft is changed"))])
        detail: PurchaseOrder = detail_of(record)
        given, lines = _read(record.unit_id, {**form_values(detail), **raw})
        for name, value in given.items():
            setattr(detail, name, value)
        for one in order_lines(record.id):
            session().delete(one)
        session().flush()
        session().add_all(OrderLine(unit_id=record.unit_id, order_id=record.id, **one) for one in lines)
        record.title = _title(given["supplier_id"], lines)
        fact = append_fact(record, ORDER_FLOW.fact_kinds["changed"], at=clock.now())
        session().flush()
        tell_of_fact(record, fact)
        return record


# --- reading the form ----------------------------------------------------------------------------


def _read(unit_id: int, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    listed = raw.get("lines")
    text = listed if isinstance(listed, str) else None
    given = clean(FIELDS, {**raw, "lines": text})
    errors: dict[str, Any] = {}
    supplier_id = find_supplier(unit_id, given["supplier"])
    if supplier_id is None:
        errors["supplier"] = _l("There is no supplier “%(name)s” on the register", name=given["supplier"])
    lines: list[dict[str, Any]] = []
    try:
        rows = goods.split_lines(given["lines"] or "", LINE_NAMES) if listed is None or text is not None else listed
        lines = read_lines(unit_id, rows)
    except InvalidData as bad:
        errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    plain = {
        "supplier_id": supplier_id,
        "expected_on": given["expected_on"],
        "standard_met": bool(given["standard_met"]),
        "note": given["note"] or "",
    }
    return plain, lines


def find_supplier(unit_id: int, said: object) -> int | None:
    """Return the id of the supplier that is meant by an id, a name or a credit code; None for nobody."""
    from .suppliers import by_name

    text = str(said or "").strip()
    if text.isascii() and text.isdigit() and len(text) < 16:
        mine: Any = select(Supplier).where(Supplier.unit_id == unit_id)
        try:
            return int(fetch(Supplier, text, query=mine).id)
        except NotFound:
            return None
    found = by_name(unit_id, text)
    return found.id if found is not None else None


def read_lines(unit_id: int, raws: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the lines of an order: each product once.

    Raises:
        InvalidData: under ``lines``, every line that is wrong.
    """
    if not isinstance(raws, list | tuple) or not all(isinstance(one, Mapping) for one in raws):
        raise InvalidData({"lines": _l("A list of lines is expected")})
    if len(raws) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    known = goods.find_models(unit_id, [str(one.get("product") or "") for one in raws])
    found: list[dict[str, Any]] = []
    errors: list[str] = []
    seen: set[int] = set()
    for place, raw in enumerate(raws, start=1):
        try:
            found.append(_line(raw, known, seen))
        except InvalidData as bad:
            errors.append(wrong_line(place, bad))
    if errors:
        raise InvalidData({"lines": " ".join(errors)})
    return found


def wrong_line(place: int, bad: InvalidData) -> str:
    """Say what is wrong with a line of so and so."""
    words = "; ".join(str(one) for one in bad.texts())
    return _("Line %(place)d: %(words)s", place=place, words=words)


def _line(raw: Mapping[str, Any], known: Mapping[str, int], seen: set[int]) -> dict[str, Any]:
    given = clean(LINE_FIELDS, {**raw, "product": str(raw.get("product") or "")})
    model_id = known.get(str(raw.get("product") or ""))
    if model_id is None:
        raise InvalidData({"product": _l("There is no product “%(code)s”", code=given["product"])})
    if model_id in seen:
        raise InvalidData({"product": _l("“%(code)s” stands here twice", code=given["product"])})
    seen.add(model_id)
    price = money_math.exact(given["price"], "price") if given["price"] is not None else None
    return {"model_id": model_id, "quantity": given["quantity"], "price": price}


def form_values(detail: PurchaseOrder) -> dict[str, Any]:
    """Return what the form of a draft starts with."""
    lines = order_lines(detail.id)
    codes = goods.codes_of(detail.unit_id, [one.model_id for one in lines])
    texts = [
        ", ".join((codes[one.model_id], str(one.quantity), "" if one.price is None else f"{one.price:f}")).rstrip(
            ", "
        )
        for one in lines
    ]
    supplier = session().get_one(Supplier, detail.supplier_id)
    plain = {name: getattr(detail, name) for name in ("expected_on", "standard_met", "note")}
    return {**plain, "supplier": supplier.name, "lines": "\n".join(texts)}


def _title(supplier_id: int, lines: Sequence[Mapping[str, Any]]) -> str:
    supplier = session().get_one(Supplier, supplier_id)
    names = goods.names_of([one["model_id"] for one in lines])
    listed = "、".join(f"{names[one['model_id']]} × {one['quantity']}" for one in lines)
    return " ".join(part for part in (supplier.name, listed) if part)[:200]


# --- what is still to come, what has come --------------------------------------------------------------


def on_order(unit_id: int, model_ids: Iterable[int] | None = None) -> dict[int, int]:
    """Return how many pieces of each product are ordered and still to come, in one select."""
    wanted = (
        select(OrderLine.model_id, func.sum(OrderLine.quantity - OrderLine.received))
        .join(Record, Record.id == OrderLine.order_id)
        .where(OrderLine.unit_id == unit_id, Record.unit_id == unit_id, Record.state == values.ORDERED)
        .where(OrderLine.received < OrderLine.quantity)
        .group_by(OrderLine.model_id)
    )
    if model_ids is not None:
        wanted = wanted.where(OrderLine.model_id.in_(set(model_ids)))
    return {key: int(count) for key, count in session().execute(wanted)}


def to_come(order_id: int) -> dict[int, int]:
    """Return how many pieces of each product of an order are still to come."""
    return {one.model_id: max(0, one.quantity - one.received) for one in order_lines(order_id)}


def room_of(quantity: int, received: int, over: Decimal) -> int:
    """Return how many pieces of an order line may still be accepted, ``over`` per cent beyond the order."""
    return max(0, quantity + int(quantity * over / 100) - received)


def take_in(order_id: int, accepted: Mapping[int, int], number: str, over: Decimal) -> None:
    """Note what a delivery brought of an order, by product; an order of which all came is finished.

    ``over``: by how many per cent more than was ordered may be accepted. Called by the inspection of a delivery,
    which has asked for its own permission.

    Raises:
        Refused: it is not ordered (any more), or more was accepted than is to come.
    """
    with transaction():
        record = lock(order_id)
        if record.state != values.ORDERED:
            raise Refused([Refusal("not_ordered", _l("Order %(number)s is not open", number=record.number))])
        wanted = select(OrderLine).where(OrderLine.order_id == record.id)
        lines = list(session().scalars(wanted.execution_options(populate_existing=True)))
        held = {one.model_id: one for one in lines}
        for model_id, pieces in accepted.items():
            line = held.get(model_id)
            if line is None or pieces > room_of(line.quantity, line.received, over):
                raise Refused([Refusal("over", _l("More came than was ordered"))])
            line.received += pieces
        what = "、".join(
            f"{name} × {accepted[key]}" for key, name in goods.names_of(accepted).items() if accepted[key]
        )
        data = {"what": what, "delivery": number}
        fact = append_fact(record, ORDER_FLOW.fact_kinds["delivered"], at=clock.now(), data=data)
        session().flush()
        tell_of_fact(record, fact)
        if all(one.received >= one.quantity for one in lines):
            perform(record.id, "finish", permitted=True)


def _search_text(record: Record, detail: PurchaseOrder) -> str:
    return "\n".join(part for part in (record.number, record.title, detail.note[:500]) if part)


ORDER_TYPE = RecordType(
    ORDER,
    _l("Purchase order"),
    "CD",
    PurchaseOrder,
    ORDER_FLOW,
    _search_text,
    intake=FIELDS,
    register=register,
)

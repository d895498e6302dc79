"""Deliveries (到货, D10): entered or expected from an order, arrived, with their lines. Their inspection is in
``inspecting`` and ``accepting``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

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
    local_day,
    lock,
    normalise,
    perform,
    publish,
    remember_answer,
    require,
    session,
    tell_of_fact,
    transaction,
)

from . import goods, orders, values
from .models import PurchaseOrder, Receiving, ReceivingLine, Supplier
from .receiving_flow import CODE, NOTE, WORKFLOW, lines_of
from .rights import RECEIVE

MOST_LINES = 200
LINE_NAMES = ("product", "expected", "batch", "made_on", "shelf_days", "best_before")
_PIECES: dict[str, Any] = {"minimum": Decimal(0), "maximum": Decimal(goods.MOST_PIECES)}
DATE_FIELDS = (
    Field("batch", "text", _l("Batch number"), max_length=40),
    Field("made_on", "date", _l("Produced on")),
    Field(
        "shelf_days",
        "int",
        _l("Shelf life (days)"),
        minimum=Decimal(1),
        maximum=Decimal(goods.MOST_DAYS),
        help=_l("Empty: as on the product sheet"),
    ),
    Field("best_before", "date", _l("Printed best-before date"), help=_l("Beats production date plus shelf life")),
)
LINE_FIELDS = (
    Field("product", "text", _l("Product"), True, max_length=80, help=_l("Bar code or model")),
    Field("expected", "int", _l("Pieces on the delivery note"), True, **_PIECES),
    *DATE_FIELDS,
)
FIELDS = (
    Field("supplier", "text", _l("Supplier"), max_length=120, help=_l("Empty: that of the order")),
    Field("order", "text", _l("Purchase order"), max_length=40, help=_l("Number, or empty")),
    NOTE,
    Field("expected_on", "date", _l("Expected on")),
    Field("arrived", "bool", _l("The goods are here")),
    Field(
        "lines",
        "long",
        _l("What was delivered"),
        max_length=40_000,
        help=_l("One a line: product, pieces, batch number, produced on, shelf life, best before"),
    ),
)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Enter a delivery (``FIELDS``, permission ``RECEIVE``), with ``arrived`` one that is here.

    ``lines`` as text or as mappings (``LINE_FIELDS``); without them what is still to come of the order.

    Raises:
        NotAllowed. InvalidData: beside the field; of lines under ``lines``, saying which; a delivery note that was
        received already. Refused: by a clause, of a supplier that may not deliver (with ``arrived``).
    """
    require(RECEIVE, unit_id)
    given, lines = _read(unit_id, raw)
    arrived = given.pop("arrived")
    detail = Receiving(**given)

    def then(made: Record) -> None:
        session().add_all(ReceivingLine(unit_id=unit_id, receiving_id=made.id, **one) for one in lines)
        session().flush()

    with transaction():
        held = answered_before(unit_id, key, "store.receiving", raw)
        if held:
            return session().get_one(Record, held["record"])
        detail.delivery_note = ""
        note_delivery(detail, given["delivery_note"], unit_id)
        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=_title(given["supplier_id"], lines),
            customer_id=None,
            received_at=clock.now(),
            permission=RECEIVE,
            facts=[("registered", {})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        if arrived:
            perform(record.id, "arrive")
        remember_answer(unit_id, key, {"record": record.id})
        return record


def note_delivery(detail: Receiving, number: str, unit_id: int = 0) -> None:
    """Give a delivery the number of its note; deliveries of a supplier are entered one after the other.

    Raises:
        InvalidData: under ``delivery_note``: this note was received already.
    """
    lock(detail.supplier_id)
    plain = " ".join(normalise(number or "").split())
    if plain:
        wanted = (
            select(Record.number)
            .join(Receiving, Receiving.id == Record.id)
            .where(Receiving.supplier_id == detail.supplier_id, Receiving.delivery_note == plain)
            .where(Receiving.void.is_(False))
        )
        if detail.id:
            wanted = wanted.where(Receiving.id != detail.id)
        other = session().scalar(wanted.limit(1))
        if other is not None:
            text = _l("Delivery note %(note)s was entered already: %(number)s", note=plain, number=other)
            raise InvalidData({"delivery_note": text})
    detail.delivery_note = plain


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a delivery that has not been inspected: note, day and, while nothing is counted, its lines.

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it was inspected, or lines were counted.
    """
    with transaction():
        record = open_delivery(record_id)
        detail: Receiving = detail_of(record)
        given, lines = _read(record.unit_id, {**form_values(detail), **raw, "arrived": ""})
        if "lines" in raw:
            if any(one.counted is not None for one in lines_of(record.id)):
                raise Refused([Refusal("counted", _l("Lines were inspected already; change them one by one"))])
            for one in lines_of(record.id):
                session().delete(one)
            session().flush()
            session().add_all(ReceivingLine(unit_id=record.unit_id, receiving_id=record.id, **one) for one in lines)
            record.title = _title(given["supplier_id"], lines)
        detail.supplier_id, detail.order_id = given["supplier_id"], given["order_id"]
        detail.expected_on = given["expected_on"]
        note_delivery(detail, given["delivery_note"])
        told(record, "changed", {})
        return record


def open_delivery(record_id: object) -> Record:
    """Return a delivery that is not inspected yet, locked.

    Raises:
        NotFound, NotAllowed. Refused: it was inspected or cancelled.
    """
    record = lock(record_id)
    if record.type != CODE:
        raise NotFound()
    require(RECEIVE, record.unit_id)
    if record.state not in (values.EXPECTED, values.RECEIVED):
        raise Refused([Refusal("not_open", _l("This delivery was inspected or cancelled"))])
    return record


def told(record: Record, kind: str, data: Mapping[str, Any]) -> None:
    """Write a fact of a delivery that is no step."""
    fact = append_fact(record, WORKFLOW.fact_kinds[kind], at=clock.now(), data=dict(data))
    session().flush()
    tell_of_fact(record, fact)


# --- lines -----------------------------------------------------------------------------------------


def add_line(record_id: object, raw: Mapping[str, Any]) -> ReceivingLine:
    """Add a line: a further batch of a product, or something that was not on the note (``LINE_FIELDS``).

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field. Refused: it was inspected, or has too many lines.
    """
    with transaction():
        record = open_delivery(record_id)
        if len(lines_of(record.id)) >= MOST_LINES:
            raise Refused([Refusal("lines", _l("At most %(count)d lines", count=MOST_LINES))])
        known = goods.find_models(record.unit_id, [str(raw.get("product") or "")])
        given = read_line(raw, known, local_day(record.unit_id))
        row = ReceivingLine(unit_id=record.unit_id, receiving_id=record.id, **given)
        session().add(row)
        told(record, "changed", {})
        return row


def remove_line(record_id: object, line_id: object) -> None:
    """Take a line out of a delivery that is not inspected.

    Raises:
        NotFound, NotAllowed. Refused: it was inspected.
    """
    with transaction():
        record = open_delivery(record_id)
        mine: Any = select(ReceivingLine).where(ReceivingLine.receiving_id == record.id)
        session().delete(fetch(ReceivingLine, line_id, query=mine))
        told(record, "changed", {})


def read_line(raw: Mapping[str, Any], known: Mapping[str, int], today: date) -> dict[str, Any]:
    """Read a line of a delivery; ``known`` are models by what was typed.

    Raises:
        InvalidData: beside the field: no such product, dates that cannot be.
    """
    typed = str(raw.get("product") or "")
    given = clean(LINE_FIELDS, {**raw, "product": typed})
    errors = date_errors(given, today)
    if typed not in known:
        errors["product"] = _l("There is no product “%(code)s”", code=given["product"])
    if errors:
        raise InvalidData(errors)
    given.pop("product")
    return {**given, "model_id": known[typed], "batch": given["batch"] or ""}


def date_errors(given: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return what cannot be of the dates of a batch, by field."""
    made, best = given["made_on"], given["best_before"]
    errors: dict[str, Any] = {}
    if made and made > today:
        errors["made_on"] = _l("Made in the future")
    if made and best and best < made:
        errors["best_before"] = _l("This lies before the production date")
    return errors


# --- reading the form ----------------------------------------------------------------------------


def _read(unit_id: int, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    listed = raw.get("lines")
    given = clean(FIELDS, {**raw, "lines": listed if isinstance(listed, str) else None})
    errors: dict[str, Any] = {}
    order = _order(unit_id, given["order"], errors)
    supplier_id = orders.find_supplier(unit_id, given["supplier"]) if given["supplier"] else None
    if supplier_id is None and not given["supplier"]:
        supplier_id = order.supplier_id if order is not None else None
        if supplier_id is None and "order" not in errors:
            errors["supplier"] = _l("Name the supplier or the order")
    elif supplier_id is None:
        errors["supplier"] = _l("There is no supplier “%(name)s” on the register", name=given["supplier"])
    elif order is not None and supplier_id != order.supplier_id:
        errors["supplier"] = _l("The order goes to another supplier")
    lines: list[dict[str, Any]] = []
    try:
        lines = _lines(unit_id, listed, order)
    except InvalidData as bad:
        errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    plain = {
        "supplier_id": supplier_id,
        "order_id": order.id if order is not None else None,
        "delivery_note": given["delivery_note"] or "",
        "expected_on": given["expected_on"] or (order.expected_on if order is not None else None),
        "arrived": bool(given["arrived"]),
    }
    return plain, lines


def _order(unit_id: int, said: str | None, errors: dict[str, Any]) -> PurchaseOrder | None:
    text = normalise(said or "")
    if not text:
        return None
    wanted = select(PurchaseOrder).join(Record, Record.id == PurchaseOrder.id).where(Record.unit_id == unit_id)
    mine = wanted.where(Record.type == orders.ORDER, Record.number == text)
    if text.isascii() and text.isdigit() and len(text) < 16:
        mine = wanted.where(Record.type == orders.ORDER, Record.id == int(text))
    found = session().scalars(mine).first()
    if found is None:
        errors["order"] = _l("There is no order “%(number)s”", number=text)
    elif found.record.state != values.ORDERED:
        errors["order"] = _l("This order is not open: only what was ordered is received")
        return None
    return found


def _lines(unit_id: int, listed: Any, order: PurchaseOrder | None) -> list[dict[str, Any]]:
    if not listed:
        coming = orders.to_come(order.id) if order is not None else {}
        return [{"model_id": key, "expected": count} for key, count in coming.items() if count]
    raws: Sequence[Any] = goods.split_lines(listed, LINE_NAMES) if isinstance(listed, str) else listed
    if not isinstance(raws, list | tuple) or not all(isinstance(one, Mapping) for one in raws):
        raise InvalidData({"lines": _l("A list of lines is expected")})
    if len(raws) > MOST_LINES:
        raise InvalidData({"lines": _l("At most %(count)d lines", count=MOST_LINES)})
    known = goods.find_models(unit_id, [str(one.get("product") or "") for one in raws])
    today, found, errors = local_day(unit_id), [], []
    for place, raw in enumerate(raws, start=1):
        try:
            found.append(read_line(raw, known, today))
        except InvalidData as bad:
            errors.append(orders.wrong_line(place, bad))
    if errors:
        raise InvalidData({"lines": " ".join(errors)})
    return found


def form_values(detail: Receiving) -> dict[str, Any]:
    """Return what the form of a delivery starts with."""
    lines = lines_of(detail.id)
    codes = goods.codes_of(detail.unit_id, [one.model_id for one in lines])
    texts = [
        ", ".join(
            (
                codes[one.model_id],
                str(one.expected),
                one.batch,
                one.made_on.isoformat() if one.made_on else "",
                str(one.shelf_days or ""),
                one.best_before.isoformat() if one.best_before else "",
            )
        ).rstrip(", ")
        for one in lines
    ]
    supplier = session().get_one(Supplier, detail.supplier_id)
    return {
        "supplier": supplier.name,
        "order": str(detail.order_id or ""),
        "delivery_note": detail.delivery_note,
        "expected_on": detail.expected_on,
        "lines": "\n".join(texts),
    }


def _title(supplier_id: int, lines: Sequence[Mapping[str, Any]]) -> str:
    supplier = session().get_one(Supplier, supplier_id)
    names = goods.names_of([one["model_id"] for one in lines])
    listed = "、".join(
        _("%(name)s × %(count)s", name=names[one["model_id"]], count=one["expected"]) for one in lines
    )
    return " ".join(part for part in (supplier.name, listed) if part)[:200]


def _search_text(record: Record, detail: Receiving) -> str:
    batches = [one.batch for one in lines_of(detail.id) if one.batch]
    return "\n".join(part for part in (record.number, record.title, detail.delivery_note, *batches) if part)


TYPE = RecordType(
    CODE, _l("Goods delivery"), "YS", Receiving, WORKFLOW, _search_text, intake=FIELDS, register=register
)

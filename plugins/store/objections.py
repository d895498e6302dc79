"""Quality objections (质量异议, R02-11): faulty pieces are set apart at once, then decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    NotAllowed,
    Record,
    RecordType,
    Step,
    answered_before,
    clean,
    clock,
    create_record,
    may,
    publish,
    remember_answer,
    session,
    transaction,
)

from . import finding, goods, lots, removals, values
from .models import Lot, Objection, Receiving, ReceivingLine
from .objection_flow import CODE, RELEASE, SCRAP, WORKFLOW
from .rights import QUALITY, RECEIVE, SELL, STOCK

CLAUSE = "R02-11"
# Who handles goods may say that something is wrong with them.
ANYBODY = (STOCK, SELL, RECEIVE, QUALITY)
FIELDS = (
    Field("lot", "text", _l("Batch in stock"), max_length=200, help=_l("Scan the label, or type the batch number")),
    Field("quantity", "int", _l("Pieces"), True, minimum=Decimal(1), maximum=Decimal(lots.MOST)),
    Field("found_at", "choice", _l("Where it was found"), True, values.FOUND_AT),
    Field("problem", "long", _l("What is wrong"), True, max_length=1000, clause=CLAUSE),
)
_PLAIN = ("quantity", "found_at", "problem")


def register(
    unit_id: int,
    raw: Mapping[str, Any],
    *,
    key: str = "",
    permitted: bool = False,
    refused: ReceivingLine | None = None,
) -> Record:
    """Raise an objection (``FIELDS``); the pieces are set apart at once, nobody can sell them any more (R02-11).

    ``lot`` is what was scanned, or the id of a lot as a number. ``refused``: the line of a delivery whose refused
    pieces it is about; they never came into stock, so only the inspection says which they are, never a request.
    ``permitted``: the step it follows from was allowed.

    Raises:
        NotAllowed. InvalidData: beside the field: no such batch, more pieces
        than there are.
    """
    permission = next((one for one in ANYBODY if may(one, unit_id)), "")
    if not permission and not permitted:
        raise NotAllowed(STOCK)
    given = clean(FIELDS, {**raw, "lot": str(raw.get("lot") or "")})
    with transaction():
        held = answered_before(unit_id, key, "store.objection", dict(raw))
        if held:
            return session().get_one(Record, held["record"])
        detail = _of_line(refused, given) if refused is not None else _detail(unit_id, raw.get("lot"), given)
        name = goods.names_of([detail.model_id])[detail.model_id]

        def then(_record: Record) -> None:
            if detail.lot_id is not None:
                lots.hold(detail.lot_id, detail.quantity)

        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=name,
            customer_id=None,
            received_at=clock.now(),
            permission=permission,
            facts=[("registered", {"quantity": detail.quantity, "found_at": detail.found_at})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _detail(unit_id: int, lot: Any, given: Mapping[str, Any]) -> Objection:
    if not lot:
        raise InvalidData({"lot": _l("Please say which batch it is")})
    found = lots.lock_lot(finding.one_lot(unit_id, lot, "lot").id)
    if given["quantity"] > found.stock - found.held:
        raise InvalidData({"quantity": lots.too_many(found.stock - found.held)})
    return Objection(
        lot_id=found.id,
        model_id=found.model_id,
        supplier_id=found.supplier_id,
        **{name: given[name] for name in _PLAIN},
    )


def _of_line(line: ReceivingLine, given: Mapping[str, Any]) -> Objection:
    supplier = session().get_one(Receiving, line.receiving_id).supplier_id
    plain = {name: given[name] for name in _PLAIN}
    return Objection(receiving_line_id=line.id, model_id=line.model_id, supplier_id=supplier, **plain)


def carry_out(step: Step) -> None:
    """Do what was decided: back on sale, to the supplier, or destroyed (the step ``settle``).

    Pieces refused on delivery were never in stock; released ones come in now.
    """
    detail: Objection = step.detail
    if detail.lot_id is None:
        if detail.decision == RELEASE:
            taken_in = _take_in(detail)
            detail.lot_id = taken_in.id
            removals.again(taken_in)
        return
    if detail.decision == RELEASE:
        removals.again(lots.release(detail.lot_id, detail.quantity))
        return
    kind = SCRAP if detail.decision == SCRAP else "return"
    lots.write_off(detail.lot_id, detail.quantity, kind, held=True, record_id=detail.id)


def _take_in(detail: Objection) -> Lot:
    line = session().get_one(ReceivingLine, detail.receiving_line_id or 0)
    return lots.receive(
        detail.unit_id,
        detail.model_id,
        detail.quantity,
        number=line.batch,
        made_on=line.made_on,
        shelf_days=line.shelf_days,
        best_before=line.best_before,
        supplier_id=detail.supplier_id,
        receiving_id=line.receiving_id,
        record_id=detail.id,
    )


def let_go(detail: Objection) -> None:
    """Let the pieces of a withdrawn objection go (the step ``cancel``)."""
    if detail.lot_id is not None:
        removals.again(lots.release(detail.lot_id, detail.quantity))


def of_lot(lot_id: int, limit: int = 50) -> Sequence[Objection]:
    """Return the newest objections about a lot."""
    wanted = select(Objection).where(Objection.lot_id == lot_id).order_by(Objection.id.desc()).limit(limit)
    return session().scalars(wanted).all()


def of_supplier(supplier_id: int, limit: int = 50) -> Sequence[Objection]:
    """Return the newest objections about what a supplier brought."""
    wanted = select(Objection).where(Objection.supplier_id == supplier_id)
    return session().scalars(wanted.order_by(Objection.id.desc()).limit(limit)).all()


def search_text(record: Record, detail: Objection) -> str:
    """Return the words an objection is found by."""
    lot = session().get(Lot, detail.lot_id) if detail.lot_id is not None else None
    words = (record.number, record.title, lot.number if lot is not None else "", detail.problem)
    return "\n".join(one for one in words if one)


TYPE = RecordType(
    CODE,
    _l("Quality objection"),
    "ZY",
    Objection,
    WORKFLOW,
    search_text,
    intake=FIELDS,
    register=register,
)

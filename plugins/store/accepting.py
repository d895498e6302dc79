"""What follows from a finished inspection (D10): accepted pieces become batches, refused ones an objection."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import InvalidData, Refusal, Refused, Step, local_day, session

from . import goods, lots, orders, removals, values
from .inspecting import Seen, accepted_of, over_allowed, result_errors, too_many
from .models import Lot, Receiving, ReceivingLine
from .receiving_flow import lines_of


def accept(step: Step) -> None:
    """Take what was accepted into stock, a batch for each line; object to what was refused (R02-11).

    Raises:
        Refused: more than was ordered; goods past their last day that nobody looked at.
    """
    record, detail = step.record, step.detail
    lines = list(lines_of(record.id))
    _as_expected(step, lines)  # of what was not inspected the clause has spoken already
    beyond = too_many(record)
    if beyond is not None:
        raise Refused([Refusal("over", beyond)])
    if detail.order_id is not None:
        orders.take_in(detail.order_id, accepted_of(lines), record.number, over_allowed(record.unit_id))
    for line in lines:
        _take_in(step, detail, line)
    session().flush()
    step.values["accepted"] = sum(one.accepted or 0 for one in lines)
    step.values["refused"] = sum(one.refused or 0 for one in lines)


def _as_expected(step: Step, lines: list[ReceivingLine]) -> None:
    """Lines that nobody entered count as expected and sound, unless they cannot be."""
    sheets = goods.sheets_of(step.record.unit_id, [one.model_id for one in lines])
    names, today = goods.names_of([one.model_id for one in lines]), local_day(step.record.unit_id)
    wrong: list[str] = []
    for line in lines:
        if line.counted is not None:
            continue
        line.counted, line.accepted, line.refused = line.expected, line.expected, 0
        given = {name: getattr(line, name) for name in _JUDGED}
        bad = InvalidData(result_errors(Seen(given, sheets.get(line.model_id), today)))
        if bad.errors:
            texts = "; ".join(str(one) for one in bad.texts())
            wrong.append(_("%(name)s: %(text)s", name=names[line.model_id], text=texts))
    if wrong:
        raise Refused([Refusal("line", one) for one in wrong])


_JUDGED = ("counted", "accepted", "refused", "fault", "batch", "made_on", "shelf_days", "best_before")


def _take_in(step: Step, detail: Receiving, line: ReceivingLine) -> None:
    sheet = goods.sheets_of(line.unit_id, [line.model_id]).get(line.model_id)
    if line.shelf_days is None and line.made_on is not None and sheet is not None:
        line.shelf_days = sheet.shelf_days
    if line.accepted:
        lot = lots.receive(
            line.unit_id,
            line.model_id,
            line.accepted,
            number=line.batch,
            made_on=line.made_on,
            shelf_days=line.shelf_days,
            best_before=line.best_before,
            supplier_id=detail.supplier_id,
            receiving_id=detail.id,
            record_id=detail.id,
        )
        line.lot_id = lot.id
        removals.again(lot)
        if lot.state == values.HELD:
            step.values["stopped"] = step.values.get("stopped", 0) + line.accepted
    if line.refused:
        _object(step, detail, line)


def _object(step: Step, detail: Receiving, line: ReceivingLine) -> None:
    from . import objections

    raw: dict[str, Any] = {
        "found_at": "receiving",
        "problem": line.fault,
        "quantity": line.refused,
    }
    objections.register(line.unit_id, raw, permitted=True, refused=line)


def shelve(step: Step) -> None:
    """Put the batches of a delivery on sale; those that are already stay.

    Raises:
        Refused: by a clause, or nothing of it can be put on sale.
    """
    wanted = select(Lot.id).where(
        Lot.receiving_id == step.record.id, Lot.state.in_((values.ACCEPTED, values.ON_SALE))
    )
    keys = list(session().scalars(wanted.order_by(Lot.id)))
    if not keys:
        raise Refused([Refusal("nothing", _l("Nothing of this delivery can be put on sale"))])
    for key in keys:
        lots.put_on_sale(key)
    step.values["lots"] = len(keys)

"""The inspection of a delivery (验货, R02-9, R02-10): each line counted, judged, its batch and dates entered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    Record,
    Refusal,
    Refused,
    answered_before,
    clean,
    detail_of,
    effective,
    fetch,
    local_day,
    remember_answer,
    session,
    transaction,
)

from . import goods, orders, values
from .models import OrderLine, Product, Receiving, ReceivingLine
from .receiving import DATE_FIELDS, date_errors, open_delivery, told
from .receiving_flow import lines_of

COUNT_CLAUSE, FILE_CLAUSE = "R02-9", "R02-10"
_PIECES: dict[str, Any] = {"minimum": Decimal(0), "maximum": Decimal(goods.MOST_PIECES)}
# What is entered of one line. Without ``accepted`` all that was counted and not refused is accepted.
RESULT_FIELDS = (
    Field("counted", "int", _l("Pieces counted"), True, **_PIECES),
    Field("accepted", "int", _l("Pieces accepted"), help=_l("Empty: all that were not refused"), **_PIECES),
    Field("refused", "int", _l("Pieces refused"), **_PIECES),
    Field("fault", "text", _l("What is wrong with them"), max_length=200),
    *DATE_FIELDS,
)
_NAMES = tuple(one.name for one in RESULT_FIELDS)


@dataclass(frozen=True)
class Seen:
    """A line as it is judged: what was entered, the product's sheet, and what may still come of the order."""

    given: Mapping[str, Any]
    sheet: Product | None
    today: date

    @property
    def dated(self) -> bool:
        """Whether the batch needs its dates (R02-10)."""
        return self.sheet is not None and (self.sheet.dated or self.sheet.shelf_days is not None)

    @property
    def shelf_days(self) -> int | None:
        own: int | None = self.given["shelf_days"]
        return own if own is not None or self.sheet is None else self.sheet.shelf_days

    @property
    def last_day(self) -> date | None:
        return goods.last_day_of(self.given["made_on"], self.shelf_days, self.given["best_before"])


def inspect(record_id: object, raws: Sequence[Mapping[str, Any]], *, key: str = "") -> Record:
    """Enter what was counted and found of lines (``RESULT_FIELDS`` and ``id``), permission ``RECEIVE``.

    It can be done again until the inspection is finished (the step ``check``).

    Raises:
        NotFound, NotAllowed. InvalidData: under ``ID.field``: more or fewer than were counted, dates that cannot
        be, goods past their last day that are accepted. Refused: not here yet, or inspected already.
    """
    with transaction():
        record = open_delivery(record_id)
        if answered_before(record.unit_id, key, f"store.inspect:{record.id}", {"lines": list(raws)}):
            return record
        if record.state != values.RECEIVED:
            raise Refused([Refusal("not_here", _l("The goods have not arrived yet"), COUNT_CLAUSE)])
        rows = [(_line(record, one.get("id")), one) for one in raws]
        sheets = goods.sheets_of(record.unit_id, [line.model_id for line, _raw in rows])
        today = local_day(record.unit_id)
        errors: dict[str, Any] = {}
        for line, raw in rows:
            try:
                given = read_result(line, raw, sheets.get(line.model_id), today)
            except InvalidData as bad:
                errors |= {f"{line.id}.{name}": texts for name, texts in bad.errors.items()}
                continue
            for name, value in given.items():
                setattr(line, name, value)
        if errors:
            raise InvalidData(errors)
        session().flush()
        told(record, "counted", {"lines": len(rows)})
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def _line(record: Record, line_id: object) -> ReceivingLine:
    mine: Any = select(ReceivingLine).where(ReceivingLine.receiving_id == record.id)
    return fetch(ReceivingLine, line_id, query=mine)


def read_result(line: ReceivingLine, raw: Mapping[str, Any], sheet: Product | None, today: date) -> dict[str, Any]:
    """Return what is to be kept of a line.

    Raises:
        InvalidData: beside the field.
    """
    kept = {name: getattr(line, name) for name in ("batch", "made_on", "shelf_days", "best_before")}
    given = clean(RESULT_FIELDS, {**kept, **{name: raw[name] for name in _NAMES if name in raw}})
    given["batch"], given["fault"] = given["batch"] or "", given["fault"] or ""
    given["refused"] = given["refused"] or 0
    if given["accepted"] is None:
        given["accepted"] = max(0, given["counted"] - given["refused"])
    errors = result_errors(Seen(given, sheet, today))
    if errors:
        raise InvalidData(errors)
    return given


def result_errors(seen: Seen) -> dict[str, Any]:
    """Return what is wrong with the result of a line, by field."""
    given = seen.given
    errors = date_errors(given, seen.today)
    if given["accepted"] + given["refused"] != given["counted"]:
        errors["accepted"] = _l(
            "%(accepted)d accepted and %(refused)d refused are not the %(counted)d that were counted",
            accepted=given["accepted"],
            refused=given["refused"],
            counted=given["counted"],
        )
    if given["refused"] and not given["fault"]:
        errors["fault"] = _l("Say what is wrong with the refused pieces")
    if given["accepted"] and not errors and seen.last_day is not None and seen.last_day < seen.today:
        errors["accepted"] = _l("Past its last day of sale (%(day)s): refuse it", day=seen.last_day)
    return errors


# --- asked when the inspection is finished -----------------------------------------------------------


def not_inspected(record: Record, rest_as_expected: bool) -> Any:
    """Return why the inspection of a delivery is not finished, or None (R02-9: quality and count)."""
    lines = lines_of(record.id)
    if not lines:
        return _l("Enter first what was delivered")
    missing = sum(1 for one in lines if one.counted is None)
    if missing and not rest_as_expected:
        return _l("%(count)d lines have not been counted and inspected", count=missing)
    return None


def without_dates(record: Record) -> Any:
    """Return which accepted batches lack number, production date or shelf life, or None (R02-10)."""
    lines = [one for one in lines_of(record.id) if one.accepted or one.counted is None]
    sheets = goods.sheets_of(record.unit_id, [one.model_id for one in lines])
    today, lacking = local_day(record.unit_id), []
    for line in lines:
        seen = Seen({name: getattr(line, name) for name in _NAMES}, sheets.get(line.model_id), today)
        if seen.dated and (not line.batch or seen.last_day is None):
            lacking.append(line.model_id)
    if not lacking:
        return None
    names = goods.names_of(lacking)
    listed = "、".join(names[key] for key in dict.fromkeys(lacking))
    return _l("Batch number, production date and shelf life are missing: %(names)s", names=listed)


def too_many(record: Record) -> Any:
    """Return which products come to more than was ordered (and the clause lets through), or None."""
    detail: Receiving = detail_of(record)
    if detail.order_id is None:
        return None
    over = over_allowed(record.unit_id)
    wanted = select(OrderLine).where(OrderLine.order_id == detail.order_id)
    rows = session().scalars(wanted.execution_options(populate_existing=True))
    room = {one.model_id: orders.room_of(one.quantity, one.received, over) for one in rows}
    beyond = [key for key, count in accepted_of(lines_of(record.id)).items() if count > room.get(key, 0)]
    if not beyond:
        return None
    names = goods.names_of(beyond)
    listed = "、".join(_more(names[key], room.get(key, 0)) for key in beyond)
    return _l("More than was ordered: %(goods)s. Refuse what is too much.", goods=listed)


def over_allowed(unit_id: int) -> Decimal:
    """Return by how many per cent more than was ordered may be accepted (R02-9)."""
    found = effective(unit_id, COUNT_CLAUSE)
    return Decimal(str(found.values["over"])) if found.holds else Decimal(0)


def _more(name: str, room: int) -> str:
    return str(_l("%(name)s (at most %(count)d)", name=name, count=room))


def accepted_of(lines: Iterable[ReceivingLine]) -> Counter[int]:
    """Count the accepted pieces by product; a line that was not inspected counts as it was expected."""
    found: Counter[int] = Counter()
    for one in lines:
        found[one.model_id] += one.expected if one.accepted is None else one.accepted
    return +found

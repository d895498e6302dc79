"""Stock counts (盘点): of a place or of all stock, batch by batch, with a scan gun or by hand.

Goods go on being sold meanwhile. What there was of a batch is looked at, under its lock, at the moment it is
counted; what moves later is no difference. A batch stands in one open count only, so a difference is booked once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Place,
    Record,
    RecordType,
    Refusal,
    Refused,
    Unit,
    answered_before,
    clean,
    clock,
    create_record,
    current_scope,
    fetch,
    lock,
    places,
    publish,
    remember_answer,
    require,
    session,
    transaction,
)

from . import goods, lots
from .count_flow import CODE, DIFFERS, WORKFLOW
from .models import Lot, StockCount, StockCountLine
from .rights import STOCK
from .values import COUNTED, COUNTING

MOST_LINES, MOST_SHOWN = 20_000, 300
FIELDS = (Field("place_id", "user", _l("What is counted"), help=_l("Left empty: all stock")),)
LINE_FIELDS = (
    Field("code", "text", _l("Bar code or batch"), True, max_length=200),
    Field("counted", "int", _l("Counted pieces"), True, minimum=Decimal(0), maximum=Decimal(lots.MOST)),
    Field("reason", "text", _l("Reason of the difference"), max_length=200),
)
REASON = Field("reason", "text", LINE_FIELDS[2].label, True, max_length=200)


# --- beginning -------------------------------------------------------------------------------------


def begin(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Begin a count (``FIELDS``, permission ``STOCK``); of what is being counted already the answer is that count.

    Raises:
        NotAllowed. InvalidData: under ``place_id``: not here, nothing there, too much. Refused: some of it is being
        counted by another count.
    """
    require(STOCK, unit_id)
    given = clean(FIELDS, raw)
    with transaction():
        held = answered_before(unit_id, key, "store.count", raw)
        if held:
            return session().get_one(Record, held["record"])
        # Counts of a unit begin one after the other: two at once share no batch.
        session().execute(select(Unit.id).where(Unit.id == unit_id).with_for_update(key_share=True))
        place = _place(unit_id, given["place_id"])
        under_way = open_count(unit_id, place.id if place else None)
        if under_way is not None:
            return under_way
        rows = _expected(unit_id, place)
        record = _begun(unit_id, place, rows)
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _place(unit_id: int, raw: object) -> Place | None:
    if not raw:
        return None
    mine: Select[Any] = select(Place).where(Place.unit_id == unit_id)
    try:
        found: Place = fetch(Place, raw, query=mine)
    except NotFound:
        raise InvalidData({"place_id": _l("There is no such place here")}) from None
    return found


def _expected(unit_id: int, place: Place | None) -> list[tuple[int, int]]:
    """Return (lot, pieces) of what should be there.

    Raises:
        InvalidData, Refused: as ``begin``.
    """
    mine = select(Lot.id, Lot.stock).where(Lot.unit_id == unit_id, Lot.stock > 0)
    if place is not None:
        mine = mine.where(Lot.place_id.in_(select(Place.id).where(places.within(place))))
    rows = [(row.id, row.stock) for row in session().execute(mine.order_by(Lot.id).limit(MOST_LINES + 1))]
    if not rows:
        raise InvalidData({"place_id": _l("There is no stock to count")})
    if len(rows) > MOST_LINES:
        raise InvalidData(
            {"place_id": _l("At most %(count)d batches in one count; choose a place", count=MOST_LINES)}
        )
    _refuse_counted(unit_id, place)
    return rows


def _refuse_counted(unit_id: int, place: Place | None) -> None:
    """Raise Refused where a batch of the place stands in another count that is open."""
    wanted = (
        select(Record.number)
        .join(StockCountLine, StockCountLine.count_id == Record.id)
        .join(Lot, Lot.id == StockCountLine.lot_id)
        .where(Record.unit_id == unit_id, Record.type == CODE, Record.state.in_((COUNTING, COUNTED)))
    )
    if place is not None:
        wanted = wanted.where(Lot.place_id.in_(select(Place.id).where(places.within(place))))
    number = session().scalar(wanted.limit(1))
    if number is not None:
        text = _l("Some of it is being counted already: %(number)s. Close that count first.", number=number)
        raise Refused([Refusal("counted", text)])


def _begun(unit_id: int, place: Place | None, rows: Sequence[tuple[int, int]]) -> Record:
    now = clock.now()
    name = places.full_name(place) if place is not None else ""

    def then(made: Record) -> None:
        session().add_all(
            StockCountLine(unit_id=unit_id, count_id=made.id, lot_id=key, expected=pieces) for key, pieces in rows
        )
        session().flush()

    record = create_record(
        TYPE,
        unit_id,
        StockCount(place_id=place.id if place else None, begun_at=now),
        title=" · ".join(part for part in (str(_l("Stock count")), name) if part),
        customer_id=None,
        received_at=now,
        permission=STOCK,
        facts=[("registered", {"lines": len(rows)})],
        then=then,
    )
    publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    return record


def open_count(unit_id: int, place_id: int | None) -> Record | None:
    """Return the count of a place (of all stock: None) that is under way, or None."""
    mine = select(Record).join(StockCount, StockCount.id == Record.id).where(StockCount.unit_id == unit_id)
    here = StockCount.place_id.is_(None) if place_id is None else StockCount.place_id == place_id
    return session().scalars(mine.where(here, Record.state == COUNTING).limit(1)).first()


# --- counting ----------------------------------------------------------------------------------------


def count_one(record_id: object, raw: Mapping[str, Any]) -> StockCountLine:
    """Enter how many pieces of a batch lie there (``LINE_FIELDS``, permission ``STOCK``); again it corrects.

    ``code``: number of the batch, or the bar code or model of a product with one batch in the count. A batch that
    was not expected there gets a line of its own.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field. Refused: the count is signed; the batch is being
        counted elsewhere.
    """
    given = clean(LINE_FIELDS, raw)
    with transaction():
        count = _counting(record_id)
        return _said(_line_of(count, _find(count, given["code"])), given["counted"], given["reason"])


def count_line(record_id: object, line_id: object, counted: object, reason: str = "") -> StockCountLine:
    """Enter how many pieces of a line lie there; see ``count_one``.

    Raises:
        NotAllowed, NotFound, InvalidData, Refused.
    """
    given = clean(LINE_FIELDS[1:], {"counted": counted, "reason": reason})
    with transaction():
        count = _counting(record_id)
        return _said(line(count.id, line_id), given["counted"], given["reason"])


def explain(record_id: object, line_id: object, reason: str) -> StockCountLine:
    """Say why a line differs, while the count is not closed (permission ``STOCK``).

    Raises:
        NotAllowed, NotFound. InvalidData: under ``reason``. Refused: it is closed.
    """
    given = clean((REASON,), {"reason": reason})
    with transaction():
        count = _counting(record_id, COUNTING, COUNTED)
        found = line(count.id, line_id)
        found.reason = given["reason"]
        session().flush()
        return found


def _counting(record_id: object, *states: str) -> StockCount:
    record = lock(record_id)
    if record.type != CODE:
        raise NotFound()
    require(STOCK, record.unit_id)
    if record.state not in (states or (COUNTING,)):
        label = WORKFLOW.states[record.state].label
        raise Refused([Refusal("state", _l("Not possible while the state is “%(state)s”", state=label))])
    return session().get_one(StockCount, record.id)


def _find(count: StockCount, code: str) -> Lot:
    """Return the batch that was scanned or typed: of the count before others.

    Raises:
        InvalidData: under ``code``: there is none, or there are several.
    """
    plain = code.strip()
    batch = select(Lot).where(Lot.unit_id == count.unit_id, Lot.number == plain)
    found = _of_count(count, batch) or list(session().scalars(batch.limit(2)))
    if not found:
        model_id = goods.find_models(count.unit_id, [plain]).get(plain)
        if model_id is None:
            raise InvalidData({"code": _l("There is no batch or product “%(code)s”", code=plain)})
        mine = select(Lot).where(Lot.unit_id == count.unit_id, Lot.model_id == model_id)
        found = _of_count(count, mine) or list(session().scalars(mine.where(Lot.stock > 0).limit(2)))
        if not found:
            raise InvalidData({"code": _l("There is no batch of “%(code)s” in stock", code=plain)})
    if len(found) > 1:
        numbers = "、".join(one.number or f"#{one.id}" for one in found[:10])
        raise InvalidData({"code": _l("There are several batches: %(numbers)s. Enter the batch.", numbers=numbers)})
    return found[0]


def _of_count(count: StockCount, wanted: Select[Any]) -> list[Lot]:
    listed = select(StockCountLine.lot_id).where(StockCountLine.count_id == count.id)
    return list(session().scalars(wanted.where(Lot.id.in_(listed)).order_by(Lot.id).limit(11)))


def _line_of(count: StockCount, lot: Lot) -> StockCountLine:
    mine = select(StockCountLine).where(StockCountLine.count_id == count.id, StockCountLine.lot_id == lot.id)
    held = session().scalars(mine.execution_options(populate_existing=True)).first()
    if held is not None:
        return held
    elsewhere = (
        select(Record.number)
        .join(StockCountLine, StockCountLine.count_id == Record.id)
        .where(StockCountLine.lot_id == lot.id, Record.state.in_((COUNTING, COUNTED)), Record.type == CODE)
    )
    lots.lock_lot(lot.id)
    number = session().scalar(elsewhere.limit(1))
    if number is not None:
        text = _l("Some of it is being counted already: %(number)s. Close that count first.", number=number)
        raise Refused([Refusal("counted", text)])
    return StockCountLine(unit_id=count.unit_id, count_id=count.id, lot_id=lot.id, expected=0)


def _said(line: StockCountLine, counted: int, reason: str | None) -> StockCountLine:
    lot = lots.lock_lot(line.lot_id)
    line.expected, line.counted = lot.stock, counted
    line.seq = lots.last_seqs([lot.id]).get(lot.id, 0)
    line.counted_at, line.counted_by = clock.now(), current_scope().actor_id
    line.reason = (reason or line.reason or "") if counted != lot.stock else ""
    session().add(line)
    session().flush()
    return line


# --- reading -----------------------------------------------------------------------------------------


def get(record_id: object) -> StockCount:
    """Fetch a count with its place.

    Raises:
        NotFound.
    """
    wanted: Select[Any] = select(StockCount).options(joinedload(StockCount.place))
    return fetch(StockCount, record_id, query=wanted)


def line(count_id: int, line_id: object) -> StockCountLine:
    """Fetch a line of a count.

    Raises:
        NotFound: malformed, or a line of another count.
    """
    mine: Select[Any] = select(StockCountLine).where(StockCountLine.count_id == count_id)
    return fetch(StockCountLine, line_id, query=mine)


def progress(count_ids: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    """Return (lines, counted, differing) of counts by id, in one select."""
    mine = StockCountLine.count_id
    rows = session().execute(
        select(mine, func.count(), func.count(StockCountLine.counted), func.count().filter(DIFFERS))
        .where(mine.in_(count_ids))
        .group_by(mine)
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def lines_of(count_id: int, *conditions: Any, limit: int = MOST_SHOWN) -> list[tuple[StockCountLine, Lot, str]]:
    """Return lines of a count with their batches and what their products are called; two selects."""
    wanted = (
        select(StockCountLine, Lot)
        .join(Lot, Lot.id == StockCountLine.lot_id)
        .where(StockCountLine.count_id == count_id, *conditions)
        .order_by(Lot.model_id, Lot.id)
        .limit(limit)
    )
    rows = session().execute(wanted).all()
    names = goods.names_of(lot.model_id for _line, lot in rows)
    return [(line, lot, names.get(lot.model_id, "")) for line, lot in rows]


def still_to_count(count_id: int) -> list[tuple[StockCountLine, Lot, str]]:
    """Return the lines that nobody counted yet; of very many the first few hundred."""
    return lines_of(count_id, StockCountLine.counted.is_(None))


def different(count_id: int) -> list[tuple[StockCountLine, Lot, str]]:
    """Return the lines that differ."""
    return lines_of(count_id, DIFFERS)


def search_text(record: Record, _detail: StockCount) -> str:
    """Return the words a count is found by."""
    return "\n".join((record.number, record.title))


TYPE = RecordType(CODE, _l("Stock count"), "PC", StockCount, WORKFLOW, search_text, intake=FIELDS, register=begin)

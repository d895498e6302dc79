"""Outgoing goods (出库单): who got which batch at which public price; what a clause stops does not go out.

There is no till here: this is the entry that lets a batch be traced to its buyers (R02-10). All lines go out
together or none does, and every reason against any of them is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update

from core.sdk import (
    Customer,
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
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

from . import finding, goods, lots, objections, removals, standing, values
from .issue_flow import CODE, WORKFLOW
from .models import Issue, IssueLine, Lot
from .rights import SELL

MOST_LINES = 100
CHUNK = 5000
KEEP_PHONES = timedelta(days=730)  # long enough to reach who bought a batch that is stopped
FIELDS = (
    Field("kind", "choice", _l("Kind"), True, values.ISSUE_KINDS),
    Field(
        "lines",
        "long",
        _l("Goods"),
        True,
        max_length=8000,
        help=_l("One line each: label, batch number or bar code, comma, pieces"),
    ),
    Field("customer_id", "customer", _l("Customer")),
    Field("phone", "text", _l("Phone of the buyer"), max_length=30, help=_l("Where the buyer is not on file")),
    Field("receipt", "text", _l("Number of the receipt"), max_length=60),
)
BACK_FIELDS = (
    Field("line", "int", _l("Line"), True, minimum=Decimal(1)),
    Field("quantity", "int", _l("Pieces"), True, minimum=Decimal(1), maximum=Decimal(lots.MOST)),
    Field("sound", "bool", _l("Sound, may be sold again"), help=_l("Otherwise it is set apart with an objection")),
    Field("note", "long", _l("Why it comes back"), True, max_length=500),
)


class Wanted(NamedTuple):
    """A line as it was entered: what was scanned or typed, and how many pieces."""

    code: str
    pieces: int


def read_lines(text: object) -> list[Wanted]:
    """Read the lines of an entry: text as a person types it, or pairs as a program sends them.

    Raises:
        InvalidData: under ``lines``: none, too many, a number of pieces that is none.
    """
    rows = goods.split_lines(text, ("code", "pieces")) if isinstance(text, str) else _pairs(text)
    found, errors = [], []
    for number, row in enumerate(rows, start=1):
        pieces = "1" if row.get("pieces") in (None, "") else str(row["pieces"]).strip()
        if not _is_number(pieces):
            errors.append(_l("Line %(line)s: “%(pieces)s” is no number of pieces", line=number, pieces=pieces[:20]))
            continue
        found.append(Wanted(str(row.get("code") or "").strip()[: finding.LONGEST], int(pieces)))
    if len(rows) > MOST_LINES:
        errors = [_l("At most %(most)s lines at once", most=MOST_LINES)]
    if errors or not found:
        raise InvalidData({"lines": errors or [_l("Please enter at least one line")]})
    return found


def _is_number(pieces: str) -> bool:
    """Tell whether a text is a number of pieces; its length first: a very long one is not even read."""
    plain = pieces.isascii() and pieces.isdigit() and len(pieces) <= 9
    return plain and 0 < int(pieces) <= lots.MOST


def _pairs(given: Any) -> list[dict[str, Any]]:
    if not isinstance(given, list):
        raise InvalidData({"lines": _l("Please enter at least one line")})
    if not all(isinstance(one, Mapping) for one in given):
        raise InvalidData({"lines": _l("A list of lines is expected")})
    return [dict(one) for one in given]


def pick(unit_id: int, lines: Iterable[Wanted], kind: str) -> dict[int, int]:
    """Choose the batches of lines: pieces by lot id. Of a bar code what expires first goes first.

    Raises:
        InvalidData: under ``lines``: codes that nothing is known by, or no batch of it was ever here.
    """
    chosen: dict[int, int] = {}
    errors = []
    for number, line in enumerate(lines, start=1):
        model_id, rows = finding.lots_for(unit_id, line.code)
        if not rows or len({one.model_id for one in rows}) > 1:
            errors.append(_why_none(number, line, model_id, rows))
            continue
        for key, pieces in _shares(unit_id, rows, line.pieces, kind, chosen).items():
            chosen[key] = chosen.get(key, 0) + pieces
    if errors:
        raise InvalidData({"lines": errors})
    return chosen


def _why_none(number: int, line: Wanted, model_id: int | None, rows: Sequence[Lot]) -> Any:
    if rows:
        return _l("Line %(line)s: several products have a batch “%(code)s”", line=number, code=line.code[:40])
    if model_id is not None:
        return _l("Line %(line)s: nothing of “%(code)s” is in stock", line=number, code=line.code[:40])
    return _l("Line %(line)s: “%(code)s” is not known here", line=number, code=line.code[:40])


def _shares(unit_id: int, rows: Sequence[Lot], pieces: int, kind: str, chosen: Mapping[int, int]) -> dict[int, int]:
    """Share pieces among lots that may go out; where none may, the first one says why not."""
    if len(rows) == 1:
        return {rows[0].id: pieces}
    seen = standing.of(unit_id, rows, kind=kind)
    good = [one for one in rows if not lots.reasons(seen[one.id])]
    if not good:
        return {rows[0].id: pieces}
    shares: dict[int, int] = {}
    for lot in good:
        part = min(pieces, max(lot.stock - lot.held - chosen.get(lot.id, 0), 0))
        if part:
            shares[lot.id] = part
            pieces -= part
    if pieces:
        shares[good[0].id] = shares.get(good[0].id, 0) + pieces
    return shares


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Enter goods that go out (``FIELDS``, permission ``SELL``); ``lines`` may be a list of ``code``/``pieces``.

    Raises:
        NotAllowed. InvalidData: beside the field. Refused: every reason against any line (see ``lots.reasons``).
    """
    require(SELL, unit_id)
    wanted = read_lines(raw.get("lines"))
    given = clean(FIELDS, {**raw, "lines": "-"})
    with transaction():
        held = answered_before(unit_id, key, "store.issue", dict(raw))
        if held:
            return session().get_one(Record, held["record"])
        customer_id = _customer(unit_id, given["customer_id"])
        phone = "" if customer_id is not None else _phone(given["phone"])
        chosen = pick(unit_id, wanted, given["kind"])
        tasks = removals.lock_open(chosen)
        detail = Issue(kind=given["kind"], receipt=given["receipt"] or "", phone=phone)

        def then(record: Record) -> None:
            _move(record, given["kind"], chosen)

        record = create_record(
            TYPE,
            unit_id,
            detail,
            title=_title(chosen),
            customer_id=customer_id,
            received_at=clock.now(),
            permission=SELL,
            facts=[("registered", {"kind": given["kind"], "pieces": sum(chosen.values())})],
            then=then,
        )
        removals.close_gone(tasks)
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _customer(unit_id: int, customer_id: int | None) -> int | None:
    if customer_id is None:
        return None
    found = session().scalar(select(Customer.id).where(Customer.id == customer_id, Customer.unit_id == unit_id))
    if found is None:
        raise InvalidData({"customer_id": _l("This customer is not on file here")})
    return found


def _phone(text: str | None) -> str:
    if text and sum(one.isdigit() for one in text) < 5:
        raise InvalidData({"phone": _l("This is no phone number")})
    return text or ""


def _title(chosen: Mapping[int, int]) -> str:
    rows = session().execute(select(Lot.model_id).where(Lot.id.in_(list(chosen)))).scalars()
    return "、".join(sorted(goods.names_of(rows).values()))[:200]


def _move(record: Record, kind: str, chosen: Mapping[int, int]) -> None:
    moved = lots.move_out(chosen, kind, record_id=record.id, customer_id=record.customer_id)
    for key, (movement, price) in moved.items():
        line = IssueLine(unit_id=record.unit_id, issue_id=record.id, lot_id=key, quantity=-movement.quantity)
        line.price = price if kind == values.SALE else None
        session().add(line)
    session().flush()


# --- coming back -------------------------------------------------------------------------------------


def take_back(record_id: object, raw: Mapping[str, Any], *, key: str = "") -> IssueLine:
    """Take pieces of a line back into their batch (``BACK_FIELDS``, permission ``SELL``).

    What is not sound is set apart at once with an objection (R02-11).

    Raises:
        NotFound, NotAllowed. InvalidData: beside the field: more than went out.
    """
    with transaction():
        record = lock(record_id)
        if record.type != CODE:
            raise NotFound()
        require(SELL, record.unit_id)
        given = clean(BACK_FIELDS, raw)
        held = answered_before(record.unit_id, key, f"store.back:{record.id}", dict(raw))
        if held:
            return session().get_one(IssueLine, held["line"])
        mine: Any = select(IssueLine).where(IssueLine.issue_id == record.id)
        line = fetch(IssueLine, given["line"], query=mine)
        out = line.quantity - line.taken_back
        if given["quantity"] > out:
            raise InvalidData({"quantity": _l("Only %(number)s of this line are out", number=out)})
        line.taken_back += given["quantity"]
        lots.bring_back(line.lot_id, given["quantity"], record_id=record.id, customer_id=record.customer_id)
        if not given["sound"]:
            about = {"found_at": "customer", "problem": given["note"], "quantity": given["quantity"]}
            objections.register(record.unit_id, {**about, "lot": line.lot_id}, permitted=True)
        removals.again(lots.lock_lot(line.lot_id))
        _told(record, line, given)
        remember_answer(record.unit_id, key, {"line": line.id})
        return line


def _told(record: Record, line: IssueLine, given: Mapping[str, Any]) -> None:
    lot = session().get_one(Lot, line.lot_id)
    data = {"goods": f"{goods.names_of([lot.model_id])[lot.model_id]} · {lot.number}", "pieces": given["quantity"]}
    fact = append_fact(record, WORKFLOW.fact_kinds["taken_back"], at=clock.now(), data=data, note=given["note"])
    session().flush()
    tell_of_fact(record, fact)
    if all(one.taken_back == one.quantity for one in lines_of(record.id)) and record.state == values.ISSUED:
        perform(record.id, "all_back", permitted=True)


def lines_of(issue_id: int) -> Sequence[IssueLine]:
    """Return the lines of an entry, in their order."""
    return session().scalars(select(IssueLine).where(IssueLine.issue_id == issue_id).order_by(IssueLine.id)).all()


def lines_of_many(issue_ids: Sequence[int]) -> dict[int, list[IssueLine]]:
    """Return the lines of entries by entry, in one select for a whole page."""
    found: dict[int, list[IssueLine]] = {}
    if issue_ids:
        wanted = select(IssueLine).where(IssueLine.issue_id.in_(issue_ids)).order_by(IssueLine.id)
        for one in session().scalars(wanted):
            found.setdefault(one.issue_id, []).append(one)
    return found


def total(lines: Iterable[IssueLine]) -> Decimal:
    """Return what lines come to at the prices of their day (yuan)."""
    return sum(
        (money_math.times(Decimal(one.quantity), one.price) for one in lines if one.price is not None), Decimal(0)
    )


def forget_phones(unit_id: int) -> int:
    """Empty the phones of buyers who are not on file, two years after they bought; return how many."""
    before = clock.now() - KEEP_PHONES
    old = select(Record.id).where(Record.unit_id == unit_id, Record.type == CODE, Record.received_at < before)
    with transaction():
        mine = Issue.unit_id == unit_id, Issue.phone != "", Issue.id.in_(old)
        found = list(session().scalars(select(Issue.id).where(*mine).limit(CHUNK)))
        emptied = update(Issue).where(Issue.id.in_(found)).values(phone="")
        session().execute(emptied.execution_options(synchronize_session=False))
        return len(found)


def search_text(record: Record, detail: Issue) -> str:
    """Return the words an entry is found by."""
    return "\n".join(one for one in (record.number, record.title, detail.receipt) if one)


def detail(record: Record) -> Issue:
    """Return what an entry says beyond its record.

    Raises:
        NotFound: the record is none.
    """
    found = detail_of(record)
    if not isinstance(found, Issue):
        raise NotFound()
    return found


TYPE = RecordType(CODE, _l("Outgoing goods"), "CK", Issue, WORKFLOW, search_text, intake=FIELDS, register=register)

"""Counts (盘点) of what a party holds, by two people: one counts and signs, another looks at it and signs too.

What is expected is frozen when a count begins: the spells of custody there were. Tools go on moving meanwhile; what
the ledger has handed over since then is no difference. Whoever counts waits for the others at the count's record,
so two at once lose no line, and counting the same tool twice is harmless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select

from core.sdk import (
    Field,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    clean,
    clock,
    create_record,
    current_scope,
    fetch,
    lock,
    publish,
    require,
    session,
    transaction,
)

from . import count_flow, count_rows, custody, file, parties, stock, values
from .models import Count, CountLine, Custody, HandoverLine, Kind, Party, Stock, Tool
from .rights import KEEP, VIEW
from .values import COUNTED, COUNTING, EXPECTED, EXTRA, FOUND, MISSING, MOVED

CODE = "tools_count"
MOST_COUNTED = Decimal("9999999.99")
# Not looked for: known to be lost, at the repairer's, or off the books.
_NOT_EXPECTED = (values.LOST, values.IN_REPAIR, values.SCRAPPED, values.CANCELLED)
FIELDS = (
    Field("party", "user", _l("What is counted"), True, help=_l("A tool store, or what a person holds")),
    count_flow.NOTE,
)
# What is said of one tool.
LINE_FIELDS = (
    Field("condition", "choice", _l("Condition of tools"), choices=values.CONDITIONS, default=values.SOUND),
    Field("place", "text", _l("Where it lay"), max_length=80, help=_l("Only if not where it belongs")),
    Field("note", "text", _l("Note"), max_length=300),
)
_WORDS = ("place", "note")
PART_FIELDS = (
    Field("kind", "user", _l("Kind of tool"), True),
    Field("counted", "decimal", _l("Counted amount"), True, minimum=Decimal(0), maximum=MOST_COUNTED),
    Field("note", "text", _l("Note"), max_length=300),
)


# --- beginning -------------------------------------------------------------------------------------


def begin(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Begin a count of a store or of what a person holds (``FIELDS``, permission ``KEEP``).

    Of a party that is being counted already the answer is that count: two keepers count together.

    Raises:
        NotAllowed, NotFound. InvalidData: under ``party``: not countable, nothing there, too much at once.
    """
    require(KEEP, unit_id)
    given = clean(FIELDS, raw)
    with transaction():
        wanted: Select[Any] = select(Party).where(Party.unit_id == unit_id).with_for_update()
        party = fetch(Party, given["party"], query=wanted)
        if party.kind not in (values.STORE, values.PERSON):
            raise InvalidData({"party": _l("Only a tool store or a person's tools are counted")})
        under_way = open_count(party.id)
        if under_way is not None:
            return under_way
        rows = _expected(party)
        if not rows:
            raise InvalidData({"party": _l("There is nothing to count: the ledger says they hold no tools")})
        if len(rows) > count_rows.MOST_LINES:
            raise InvalidData({"party": _l("At most %(count)d lines in one count", count=count_rows.MOST_LINES)})
        return _begun(party, given["note"] or "", rows)


def _begun(party: Party, note: str, rows: Sequence[Mapping[str, Any]]) -> Record:
    now = clock.now()
    detail = Count(party_id=party.id, begun_at=now, note=note)

    def then(made: Record) -> None:
        session().add_all(CountLine(unit_id=party.unit_id, count_id=made.id, **row) for row in rows)

    record = create_record(
        TYPE,
        party.unit_id,
        detail,
        title=str(parties.party_name(party)),
        customer_id=None,
        received_at=now,
        permission=KEEP,
        facts=[("registered", {"lines": len(rows)})],
        then=then,
    )
    publish("record.registered", party.unit_id, {"record_id": record.id, "type": CODE})
    return record


def _expected(party: Party) -> list[dict[str, Any]]:
    """Return what the ledger says a party holds now; what waits to be confirmed by others is with them."""
    held = (
        select(Custody.tool_id, Custody.seq)
        .join(Record, Record.id == Custody.tool_id)
        .where(Custody.party_id == party.id, Custody.ends_at.is_(None), Record.state.not_in(_NOT_EXPECTED))
        .order_by(Custody.tool_id)
        .limit(count_rows.MOST_LINES + 1)
    )
    tools = [(row.tool_id, row.seq) for row in session().execute(held)]
    elsewhere = {
        one.tool_id for one in count_rows.open_lines([key for key, _seq in tools]).values() if _opening(one)
    }
    found: list[dict[str, Any]] = [{"tool_id": key, "seq": seq} for key, seq in tools if key not in elsewhere]
    amounts = select(Stock.kind_id, Stock.quantity).where(Stock.party_id == party.id, Stock.quantity > 0)
    parts = session().execute(amounts.order_by(Stock.kind_id))
    return found + [{"kind_id": row.kind_id, "expected": row.quantity} for row in parts]


def _opening(line: HandoverLine) -> bool:
    return line.handover.kind == values.OPENING


def open_count(party_id: int) -> Record | None:
    """Return the count of a party that is not closed yet, or None."""
    mine = select(Record).join(Count, Count.id == Record.id).where(Count.party_id == party_id)
    return session().scalars(mine.where(Record.state.in_((COUNTING, COUNTED))).limit(1)).first()


# --- counting ----------------------------------------------------------------------------------------


def count_one(record_id: object, what: Tool | str, raw: Mapping[str, Any] | None = None) -> CountLine:
    """Enter that a tool was found: itself, or what was scanned or typed; ``LINE_FIELDS`` (permission ``KEEP``).

    A tool that the ledger has elsewhere becomes a line of its own: ``EXTRA``, or ``MOVED`` when it was handed in
    meanwhile. Entered again it says what is so now.

    Raises:
        NotAllowed, NotFound. InvalidData: under ``code``: no such tool; beside the field. Refused: it was signed.
    """
    raw = raw or {}
    given = clean(LINE_FIELDS, raw)
    with transaction():
        count = _counting(record_id)
        tool = file.find_tool(count.unit_id, what) if isinstance(what, str) else what
        line = _line_of(count.id, tool.id)
        if line is None or line.result == EXTRA:
            line = line or CountLine(unit_id=count.unit_id, count_id=count.id, tool_id=tool.id)
            _place_extra(line, count, tool)
        else:
            line.result = FOUND if line.result != MOVED or _is_here(count, tool.id) else MOVED
        line.counted = Decimal(1)
        # Scanned a second time it stays as damaged as it was said to be.
        line.condition = given["condition"] or line.condition or values.SOUND
        line.place, line.note = (given[name] or "" if name in raw else getattr(line, name) or "" for name in _WORDS)
        return _said(line)


def mark_missing(record_id: object, line_id: object, note: str = "") -> CountLine:
    """Enter that a tool of the list was looked for and not found (permission ``KEEP``).

    Raises:
        NotAllowed, NotFound. Refused: it was signed; it waits to be confirmed by somebody, so it is with them.
    """
    with transaction():
        count = _counting(record_id)
        line = _fetch_line(count, line_id)
        if line.tool_id is None:
            raise NotFound()
        waits = count_rows.open_lines([line.tool_id]).get(line.tool_id)
        if waits is not None:
            raise Refused([Refusal("waits", count_rows.waiting_text(waits))])
        line.result, line.counted, line.condition, line.place = MISSING, Decimal(0), "", ""
        line.note = note.strip()[:300] or line.note
        return _said(line)


def take_back(record_id: object, line_id: object) -> CountLine | None:
    """Undo what was entered of a line: it is still to be counted; one that was not expected goes away.

    Raises:
        NotAllowed, NotFound. Refused: it was signed.
    """
    with transaction():
        line = _fetch_line(_counting(record_id), line_id)
        if line.expected == 0:
            session().delete(line)
            session().flush()
            return None
        line.result, line.counted, line.condition, line.place, line.note = EXPECTED, None, "", "", ""
        line.at, line.by_id = None, None
        session().flush()
        return line


def count_parts(record_id: object, raw: Mapping[str, Any]) -> CountLine:
    """Enter how much of a kind of small parts lies there (``PART_FIELDS``, permission ``KEEP``).

    What the ledger says is taken as it is at this moment: parts go on moving.

    Raises:
        NotAllowed, NotFound. InvalidData: beside the field. Refused: it was signed.
    """
    given = clean(PART_FIELDS, raw)
    if given["counted"] != given["counted"].quantize(Decimal("0.01")):
        raise InvalidData({"counted": _l("At most two decimals")})
    with transaction():
        count = _counting(record_id)
        kinds: Select[Any] = select(Kind).where(Kind.unit_id == count.unit_id)
        kind = fetch(Kind, given["kind"], query=kinds)
        if kind.category != values.CONSUMABLE:
            raise InvalidData({"kind": _l("Tools of this kind have numbers; they are counted one by one")})
        mine = select(CountLine).where(CountLine.count_id == count.id, CountLine.kind_id == kind.id)
        line = session().scalars(mine).first()
        if line is None:
            line = CountLine(unit_id=count.unit_id, count_id=count.id, kind_id=kind.id)
        line.expected = stock.quantity_of(count.party_id, kind.id)
        line.counted, line.result, line.note = given["counted"], FOUND, given["note"] or ""
        return _said(line)


def _counting(record_id: object) -> Count:
    """Lock a count that is under way, for a keeper.

    Raises:
        NotFound, NotAllowed. Refused: it is no longer being counted.
    """
    record = lock(record_id)
    if record.type != CODE:
        raise NotFound()
    require(KEEP, record.unit_id)
    if record.state != COUNTING:
        label = count_flow.WORKFLOW.states[record.state].label
        raise Refused([Refusal("state", _l("Not possible while the state is “%(state)s”", state=label))])
    return session().get_one(Count, record.id)


def _line_of(count_id: int, tool_id: int) -> CountLine | None:
    mine = select(CountLine).where(CountLine.count_id == count_id, CountLine.tool_id == tool_id)
    return session().scalars(mine.execution_options(populate_existing=True)).first()


def _fetch_line(count: Count, line_id: object) -> CountLine:
    mine: Select[Any] = select(CountLine).where(CountLine.count_id == count.id)
    mine = mine.execution_options(populate_existing=True)
    return fetch(CountLine, line_id, query=mine)


def _said(line: CountLine) -> CountLine:
    line.at, line.by_id = clock.now(), current_scope().actor_id
    session().add(line)
    session().flush()
    return line


def _is_here(count: Count, tool_id: int) -> bool:
    held = custody.spell(tool_id)
    return held is not None and held.party_id == count.party_id


def _place_extra(line: CountLine, count: Count, tool: Tool) -> None:
    """Say of a tool that was not expected what the ledger says of it."""
    held, waits = custody.spell(tool.id), count_rows.open_lines([tool.id]).get(tool.id)
    line.expected = Decimal(0)
    if waits is not None and waits.handover.taker_id == count.party_id:
        line.result, line.note = MOVED, str(count_rows.waiting_text(waits))[:300]
    elif held is not None and held.party_id == count.party_id and tool.record.state not in _NOT_EXPECTED:
        line.result = MOVED
    else:
        line.result = EXTRA


# --- recurring work ------------------------------------------------------------------------------------


def stores_to_count(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the stores in use, as subjects of the monthly count (R32-3.3, R35-4.7, R33-7.1)."""
    return [
        (count_flow.subject_of(one.id), one.name, None)
        for one in parties.stores(unit_id)[: count_rows.MOST_SUBJECTS]
    ]


def search_text(record: Record, detail: Count) -> str:
    """Return the words a count is found by."""
    return "\n".join((record.number, record.title))


TYPE = RecordType(
    CODE, _l("Count"), "PD", Count, count_flow.WORKFLOW, search_text, intake=FIELDS, register=begin, files=VIEW
)

"""Counts (盘点) of what a party holds, by two people: one counts and signs, another looks at it and signs too.

What is expected is frozen when a count begins: the spells of custody there were. Tools go on moving meanwhile; what
the ledger has handed over since then is no difference. Whoever counts waits for the others at the count's record,
so two at once lose no line, and counting the same tool twice is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Choices,
    Fact,
    FactKind,
    Field,
    Guard,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
    accounts,
    add_months,
    clean,
    clock,
    create_record,
    current_scope,
    fetch,
    local_day,
    lock,
    make_workflow,
    may,
    notify,
    open_task,
    perform,
    publish,
    require,
    session,
    transaction,
)

from . import care, custody, file, parties, stock, values
from .models import Count, CountLine, Custody, Handover, HandoverLine, Kind, Party, Place, Stock, Tool
from .rights import DECIDE, KEEP, VIEW
from .values import CANCELLED, CLOSED, COUNTED, COUNTING, EXPECTED, EXTRA, FOUND, MISSING, MOVED

CODE = "tools_count"
# Recurring work that a closed count carries out; the second signature is what R35-4.7 asks.
TASK_CLAUSES = ("R32-3.3", "R35-4.7", "R33-7.1")
TWO_CLAUSE, CHECK_CLAUSE = "R35-4.7", "R28-4.4"
MOST_LINES, MOST_SHOWN, MOST_SUBJECTS, MOST_LOOKED_AT, CHUNK = 20_000, 300, 300, 60, 500
MOST_COUNTED = Decimal("9999999.99")
# Not looked for: known to be lost, at the repairer's, or off the books.
_NOT_EXPECTED = (values.LOST, values.IN_REPAIR, values.SCRAPPED, values.CANCELLED)
_REPORTED = (values.IN_STORE, values.ISSUED, values.ON_LOAN, values.DEFECTIVE)
BROKEN = (values.DAMAGED, values.INCOMPLETE)
_NOTE = Field("note", "long", _l("Note"), max_length=1000)
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
FIELDS = (
    Field("party", "user", _l("What is counted"), True, help=_l("A tool store, or what a person holds")),
    _NOTE,
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
        if len(rows) > MOST_LINES:
            raise InvalidData({"party": _l("At most %(count)d lines in one count", count=MOST_LINES)})
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
        .limit(MOST_LINES + 1)
    )
    tools = [(row.tool_id, row.seq) for row in session().execute(held)]
    elsewhere = {one.tool_id for one in _open_lines([key for key, _seq in tools]).values() if _opening(one)}
    found: list[dict[str, Any]] = [{"tool_id": key, "seq": seq} for key, seq in tools if key not in elsewhere]
    amounts = select(Stock.kind_id, Stock.quantity).where(Stock.party_id == party.id, Stock.quantity > 0)
    parts = session().execute(amounts.order_by(Stock.kind_id))
    return found + [{"kind_id": row.kind_id, "expected": row.quantity} for row in parts]


def _open_lines(tool_ids: Iterable[int]) -> dict[int, HandoverLine]:
    """Return the lines of hand-overs that wait for a yes, by tool id."""
    ids, found = sorted(set(tool_ids)), {}
    for start in range(0, len(ids), CHUNK):
        mine = HandoverLine.tool_id.in_(ids[start : start + CHUNK]), HandoverLine.state == values.OPEN_LINE
        whole = joinedload(HandoverLine.handover).joinedload(Handover.taker)
        for line in session().scalars(select(HandoverLine).where(*mine).options(whole)):
            if line.tool_id is not None:
                found[line.tool_id] = line
    return found


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
        waits = _open_lines([line.tool_id]).get(line.tool_id)
        if waits is not None:
            raise Refused([Refusal("waits", _waiting_text(waits))])
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
        label = WORKFLOW.states[record.state].label
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
    held, waits = custody.spell(tool.id), _open_lines([tool.id]).get(tool.id)
    line.expected = Decimal(0)
    if waits is not None and waits.handover.taker_id == count.party_id:
        line.result, line.note = MOVED, str(_waiting_text(waits))[:300]
    elif held is not None and held.party_id == count.party_id and tool.record.state not in _NOT_EXPECTED:
        line.result = MOVED
    else:
        line.result = EXTRA


def _waiting_text(line: HandoverLine) -> Any:
    record = line.handover.record
    name = parties.party_name(line.handover.taker)
    return _l("Waits for acceptance by %(name)s: %(number)s", name=name, number=record.number)


# --- settling what moved -----------------------------------------------------------------------------


def _settle_moved(count: Count, *, missing_too: bool = False) -> None:
    """What the ledger has handed over since the count began, or has waiting for a yes, is no difference."""
    results = (EXPECTED, MISSING) if missing_too else (EXPECTED,)
    mine = select(CountLine).where(CountLine.count_id == count.id, CountLine.tool_id.is_not(None))
    lines = session().scalars(mine.where(CountLine.result.in_(results)).order_by(CountLine.tool_id)).all()
    ids = [one.tool_id for one in lines if one.tool_id is not None]
    _lock_records(ids if missing_too else ())
    spells, waiting = custody.spells(ids), _open_lines(ids)
    for line in lines:
        held = spells.get(line.tool_id or 0)
        waits = waiting.get(line.tool_id or 0)
        if held is None or held.party_id != count.party_id or held.seq != line.seq:
            line.result = MOVED
        elif waits is not None:
            line.result, line.note = MOVED, str(_waiting_text(waits))[:300]
    session().flush()


def _lock_records(ids: Sequence[int]) -> None:
    """Lock tools in the order of their ids, so that none is handed over while it becomes a loss."""
    for start in range(0, len(ids), CHUNK):
        wanted = select(Record).where(Record.id.in_(ids[start : start + CHUNK])).order_by(Record.id)
        fresh = {**custody.NARROW, "populate_existing": True}
        session().scalars(wanted.with_for_update().execution_options(**fresh)).all()


# --- signing -----------------------------------------------------------------------------------------


def _left(step: Step) -> Any:
    """Nothing becomes a loss because somebody was interrupted: what was not scanned is said to be missing."""
    if step.values.get("rest_missing"):
        return None
    left = unmoved(step.detail)
    if not left:
        return None
    return _l("%(count)d tools are not counted yet: go on, or say that they are missing", count=left)


def _sign(step: Step) -> None:
    count: Count = step.detail
    _settle_moved(count)
    mine = CountLine.count_id == count.id, CountLine.result == EXPECTED, CountLine.tool_id.is_not(None)
    for line in session().scalars(select(CountLine).where(*mine)):
        line.result, line.counted = MISSING, Decimal(0)
        line.at, line.by_id = step.at, current_scope().actor_id
    count.keeper_by, count.keeper_at = current_scope().actor_id, step.at
    session().flush()
    step.values["differences"] = differences(count.id)
    _ask_for_check(step.record)


def _ask_for_check(record: Record) -> None:
    staff = [one.id for one in accounts.staff_of(record.unit_id)]
    people = accounts.who_may(DECIDE, record.unit_id, staff) - {current_scope().actor_id}
    notify(record, "tools.counted", sorted(people), record.title)


def _same_person(step: Step) -> Any:
    """R35-4.7: keeper and manager check together; one person is not two."""
    actor = current_scope().actor_id
    if actor is not None and step.detail.keeper_by == actor:
        return _l("You counted it yourself; somebody else checks and signs")
    return None


def _check(step: Step) -> None:
    count: Count = step.detail
    count.manager_by, count.manager_at = current_scope().actor_id, step.at
    _settle_moved(count, missing_too=True)
    step.values["differences"] = differences(count.id)
    for line in lines_of(count.id, (MISSING,), MOST_LINES):
        _report_missing(step.record, line)
    for line in lines_of(count.id, (FOUND, EXTRA, MOVED), MOST_LINES):
        _follow_line(step.record, count, line)
    _finish_tasks(count, step.record)


def _report_missing(record: Record, line: CountLine) -> None:
    """A missing tool becomes an incident, whoever held it; one not in use is settled by hand."""
    from . import incidents  # it needs the steps of tools, as this module does

    tool = line.tool
    if tool is None or tool.record.state not in _REPORTED:
        return
    what = _l("Missing at the count %(number)s", number=record.number)
    incidents.report(
        record.unit_id,
        {
            "kind": values.LOSS,
            "tool": tool.id,
            "what": "\n".join(one for one in (str(what), line.note) if one),
            "count_line_id": line.id,
        },
    )


def _follow_line(record: Record, count: Count, line: CountLine) -> None:
    if line.kind_id is not None:
        _book(record, count, line)
        return
    tool = line.tool
    if tool is None:
        return
    if tool.record.state == values.LOST and line.result == EXTRA:
        _found_again(record, count, tool)
    if line.condition in BROKEN and tool.record.state in (values.IN_STORE, values.ISSUED, values.ON_LOAN):
        _report_broken(record, line, tool)


def _found_again(record: Record, count: Count, tool: Tool) -> None:
    """A lost tool lies where the ledger has it after all; one lost by somebody else comes back by a hand-over."""
    held = custody.spell(tool.id)
    if held is None or held.party_id != count.party_id:
        return
    name = "find_in_store" if held.party.kind == values.STORE else "find"
    perform(tool.id, name, {"handover": record.number}, permitted=True)


def _report_broken(record: Record, line: CountLine, tool: Tool) -> None:
    from . import incidents

    condition = dict(values.CONDITIONS)[line.condition]
    what = _l("%(condition)s at the count %(number)s", condition=condition, number=record.number)
    text = "\n".join(one for one in (str(what), line.note) if one)
    raw = {"kind": values.DEFECT, "tool": tool.id, "what": text, "count_line_id": line.id}
    incidents.report(record.unit_id, raw)


def _book(record: Record, count: Count, line: CountLine) -> None:
    """Book the difference of small parts on top of what moved since they were counted."""
    if line.counted is None or line.counted == line.expected or line.kind is None:
        return
    more, key = line.counted - line.expected, f"count:{line.id}"
    there = stock.quantity_of(count.party_id, line.kind.id)
    if more > 0:
        stock.move(line.kind, None, count.party, more, stock.COUNTED, note=record.number, key=key)
    elif there:
        stock.move(line.kind, count.party, None, min(-more, there), stock.COUNTED, note=record.number, key=key)


def _finish_tasks(count: Count, record: Record) -> None:
    """Finish the period's open work that this count carries out."""
    day, result = local_day(record.unit_id, count.begun_at), {"result": _result_text(count, record)}
    for clause in TASK_CLAUSES:
        task = open_task(record.unit_id, clause, subject_of(count.party_id), day)
        if task is not None:
            perform(task.id, "finish", result, permitted=True)


def _result_text(count: Count, record: Record) -> str:
    found = progress(count.id)
    text = _l(
        "Counted: %(number)s; found %(found)d, missing %(missing)d, not expected %(extra)d",
        number=record.number,
        found=found.get(FOUND, 0),
        missing=found.get(MISSING, 0),
        extra=found.get(EXTRA, 0),
    )
    return str(text)


def _check_items() -> Choices:
    from . import rules_care  # it names functions of this module

    return rules_care.EQUIPMENT_ITEMS


def check_wanted(step: Step) -> bool:
    """R28-4.4: with the count of a store facilities are looked at, if that was longer ago than the interval."""
    count: Count = step.detail
    if count.party.kind != values.STORE:
        return False
    months = care.clause_months(count.unit_id, CHECK_CLAUSE, "interval")
    since = add_months(local_day(count.unit_id, step.at), -months)
    wanted = (
        select(Fact.data, Fact.at)
        .join(Count, Count.id == Fact.record_id)
        .where(Count.party_id == count.party_id, Fact.kind == "checked")
        .order_by(Fact.at.desc())
        .limit(MOST_LOOKED_AT)
    )
    looked = (row.at for row in session().execute(wanted) if row.data.get("facilities"))
    return all(local_day(count.unit_id, at) <= since for at in looked)


def _recount(step: Step) -> None:
    count: Count = step.detail
    count.keeper_by = count.keeper_at = None
    for line in lines_of(count.id, (MISSING,), MOST_LINES):
        line.result, line.counted, line.at, line.by_id = EXPECTED, None, None, None


# --- the workflow ------------------------------------------------------------------------------------

STATES = tuple(
    State(code, label, {CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.COUNT_STATES
)
FACT_KINDS = (
    FactKind("registered", _l("Count begun"), 0, words=(("lines", _l("Lines"), ()),)),
    FactKind("counted", _l("Counted and signed"), 20, words=(("differences", _l("Differences"), ()),)),
    FactKind("recounted", _l("To be counted again"), 25),
    FactKind("checked", _l("Checked and signed"), 30, words=(("differences", _l("Differences"), ()),)),
    FactKind("cancelled", _l("Count cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "sign",
        _l("Finish counting and sign"),
        frozenset({COUNTING}),
        COUNTED,
        KEEP,
        "counted",
        (Field("rest_missing", "bool", _l("What was not scanned is missing")), _NOTE),
        (Guard("left", _left, needs_form=True),),
        apply=_sign,
        kept=("differences",),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "check",
        _l("Check and sign"),
        frozenset({COUNTED}),
        CLOSED,
        DECIDE,
        "checked",
        (Field("facilities", "many", _l("Facilities and equipment"), choices=_check_items), _NOTE),
        (Guard("same_person", _same_person, TWO_CLAUSE),),
        apply=_check,
        kept=("differences", "facilities"),
        note="note",
        tone="primary",
        help=_l("Missing tools become losses, damaged ones defects; small parts are corrected"),
        weight=10,
    ),
    Transition(
        "recount",
        _l("Count again"),
        frozenset({COUNTED}),
        COUNTING,
        KEEP,
        "recounted",
        (_REASON,),
        note="reason",
        help=_l("What was found stays; what is missing is looked for again"),
        weight=30,
        apply=_recount,
    ),
    Transition(
        "cancel",
        _l("Cancel the count"),
        frozenset({COUNTING, COUNTED}),
        CANCELLED,
        KEEP,
        "cancelled",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=90,
    ),
)


WORKFLOW = make_workflow(COUNTING, STATES, TRANSITIONS, FACT_KINDS)


# --- reading -----------------------------------------------------------------------------------------


def get(record_id: object) -> Count:
    """Fetch a count for whoever may see tools.

    Raises:
        NotFound: malformed, another unit's, no count.
    """
    wanted: Select[Any] = select(Count).options(joinedload(Count.party))
    count = fetch(Count, record_id, query=wanted)
    if not any(may(one, count.unit_id) for one in (VIEW, KEEP, DECIDE)):
        raise NotFound()
    return count


def line(count_id: int, line_id: object) -> CountLine:
    """Fetch a line of a count, with its tool.

    Raises:
        NotFound: malformed, or a line of another count.
    """
    mine: Select[Any] = select(CountLine).where(CountLine.count_id == count_id).options(joinedload(CountLine.tool))
    return fetch(CountLine, line_id, query=mine)


def progress(count_id: int) -> Mapping[str, int]:
    """Return how many lines of a count have each result."""
    return progress_of([count_id]).get(count_id, {})


def progress_of(count_ids: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
    """Return how many lines of counts have each result, by count id."""
    mine = select(CountLine.count_id, CountLine.result, func.count()).where(CountLine.count_id.in_(count_ids))
    found: dict[int, dict[str, int]] = {}
    for row in session().execute(mine.group_by(CountLine.count_id, CountLine.result)):
        found.setdefault(row[0], {})[row[1]] = row[2]
    return found


def unmoved(count: Count) -> int:
    """Return how many tools are still to be counted and, as the ledger says, still there."""
    mine = (
        select(func.count())
        .select_from(CountLine)
        .join(Custody, Custody.tool_id == CountLine.tool_id)
        .outerjoin(
            HandoverLine,
            (HandoverLine.tool_id == CountLine.tool_id) & (HandoverLine.state == values.OPEN_LINE),
        )
        .where(CountLine.count_id == count.id, CountLine.result == EXPECTED, HandoverLine.id.is_(None))
        .where(Custody.ends_at.is_(None), Custody.party_id == count.party_id, Custody.seq == CountLine.seq)
    )
    return session().scalar(mine) or 0


def _is_difference() -> Any:
    amount = CountLine.kind_id.is_not(None) & (CountLine.counted != CountLine.expected)
    broken = CountLine.condition.in_(BROKEN)
    return or_(CountLine.result.in_((MISSING, EXTRA)), amount, broken, CountLine.place != "")


def differences(count_id: int) -> int:
    """Return how many lines differ: missing, not expected, damaged, in a wrong place, another quantity."""
    mine = select(func.count()).select_from(CountLine).where(CountLine.count_id == count_id, _is_difference())
    return session().scalar(mine) or 0


def different(count_id: int, limit: int = MOST_SHOWN) -> Sequence[CountLine]:
    """Return the lines that differ, with their tools and kinds."""
    return _lines(CountLine.count_id == count_id, _is_difference(), limit=limit)


def lines_of(count_id: int, results: Sequence[str] = (), limit: int = MOST_SHOWN) -> Sequence[CountLine]:
    """Return lines of a count in order (of these results; all where none is named), with tools and kinds."""
    wanted = [CountLine.count_id == count_id]
    if results:
        wanted.append(CountLine.result.in_(results))
    return _lines(*wanted, limit=limit)


def _lines(*conditions: Any, limit: int) -> Sequence[CountLine]:
    whole = (
        joinedload(CountLine.tool).joinedload(Tool.place),
        joinedload(CountLine.tool).joinedload(Tool.kind),
        joinedload(CountLine.kind),
    )
    wanted = select(CountLine).where(*conditions).order_by(CountLine.id).limit(limit)
    return session().scalars(wanted.options(*whole)).all()


def still_to_find(count_id: int) -> Sequence[CountLine]:
    """Return what is still to be counted, by place and number; of very many the first few hundred."""
    found = lines_of(count_id, (EXPECTED,))
    return sorted(found, key=_by_place)


def _by_place(line: CountLine) -> tuple[bool, str, str]:
    tool = line.tool
    if tool is None:
        return True, "", line.kind.code if line.kind else ""
    return False, tool.place.name if tool.place else "", tool.code


def latest_lines(count_id: int, limit: int = 8) -> Sequence[CountLine]:
    """Return what was entered last, the newest first."""
    mine = CountLine.count_id == count_id, CountLine.at.is_not(None)
    whole = (joinedload(CountLine.tool).joinedload(Tool.place), joinedload(CountLine.kind))
    wanted = select(CountLine).where(*mine).order_by(CountLine.at.desc(), CountLine.id.desc()).limit(limit)
    return session().scalars(wanted.options(*whole)).all()


def holders(lines: Sequence[CountLine]) -> Mapping[int, Any]:
    """Return who holds tools of lines as the ledger says, as names by tool id."""
    spells = custody.spells(one.tool_id for one in lines if one.tool_id is not None)
    names = parties.party_names({one.party.id: one.party for one in spells.values()}.values())
    return {tool_id: names[one.party_id] for tool_id, one in spells.items()}


def party_choices(unit_id: int) -> Choices:
    """Return what can be counted: the stores, and the people who hold something."""
    holds = select(Custody.id).where(Custody.party_id == Party.id, Custody.ends_at.is_(None)).exists()
    people = (
        select(Party)
        .where(Party.unit_id == unit_id, Party.kind == values.PERSON, holds)
        .order_by(Party.name)
        .limit(MOST_SUBJECTS)
    )
    found = [*parties.stores(unit_id), *session().scalars(people)]
    names = parties.party_names(found)
    return [(str(one.id), names[one.id]) for one in found]


def places_of(party_id: int) -> Sequence[str]:
    """Return the names of the places of a store, to choose where a tool lay."""
    mine = select(Place.name).where(Place.store_id == party_id, Place.active).order_by(Place.name)
    return session().scalars(mine.limit(MOST_SUBJECTS)).all()


# --- recurring work ------------------------------------------------------------------------------------


def subject_of(party_id: int) -> str:
    """Return the key under which recurring work is about one store."""
    return f"store:{party_id}"


def stores_to_count(unit_id: int) -> list[tuple[str, str, int | None]]:
    """Return the stores in use, as subjects of the monthly count (R32-3.3, R35-4.7, R33-7.1)."""
    return [(subject_of(one.id), one.name, None) for one in parties.stores(unit_id)[:MOST_SUBJECTS]]


def search_text(record: Record, detail: Count) -> str:
    """Return the words a count is found by."""
    return "\n".join((record.number, record.title))


TYPE = RecordType(CODE, _l("Count"), "PD", Count, WORKFLOW, search_text, intake=FIELDS, register=begin, files=VIEW)

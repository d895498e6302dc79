"""The steps of a count: signed by who counted, checked by another, counted again; what closing one does."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Choices,
    Fact,
    FactKind,
    Field,
    Guard,
    Record,
    State,
    Step,
    Transition,
    accounts,
    add_months,
    current_scope,
    local_day,
    make_workflow,
    notify,
    open_task,
    perform,
    session,
)

from . import care, count_rows, custody, stock, values
from .models import Count, CountLine, Tool
from .rights import DECIDE, KEEP
from .values import CANCELLED, CLOSED, COUNTED, COUNTING, EXPECTED, EXTRA, FOUND, MISSING, MOVED

# Recurring work that a closed count carries out; the second signature is what R35-4.7 asks.
TASK_CLAUSES = ("R32-3.3", "R35-4.7", "R33-7.1")
TWO_CLAUSE, CHECK_CLAUSE = "R35-4.7", "R28-4.4"
MOST_LOOKED_AT = 60
_REPORTED = (values.IN_STORE, values.ISSUED, values.ON_LOAN, values.DEFECTIVE)
NOTE = Field("note", "long", _l("Note"), max_length=1000)
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)


# --- settling what moved -----------------------------------------------------------------------------


def _settle_moved(count: Count, *, missing_too: bool = False) -> None:
    """What the ledger has handed over since the count began, or has waiting for a yes, is no difference."""
    results = (EXPECTED, MISSING) if missing_too else (EXPECTED,)
    mine = select(CountLine).where(CountLine.count_id == count.id, CountLine.tool_id.is_not(None))
    lines = session().scalars(mine.where(CountLine.result.in_(results)).order_by(CountLine.tool_id)).all()
    ids = [one.tool_id for one in lines if one.tool_id is not None]
    _lock_records(ids if missing_too else ())
    spells, waiting = custody.spells(ids), count_rows.open_lines(ids)
    for line in lines:
        held = spells.get(line.tool_id or 0)
        waits = waiting.get(line.tool_id or 0)
        if held is None or held.party_id != count.party_id or held.seq != line.seq:
            line.result = MOVED
        elif waits is not None:
            line.result, line.note = MOVED, str(count_rows.waiting_text(waits))[:300]
    session().flush()


def _lock_records(ids: Sequence[int]) -> None:
    """Lock tools in the order of their ids, so that none is handed over while it becomes a loss."""
    for start in range(0, len(ids), count_rows.CHUNK):
        wanted = select(Record).where(Record.id.in_(ids[start : start + count_rows.CHUNK])).order_by(Record.id)
        fresh = {**custody.NARROW, "populate_existing": True}
        session().scalars(wanted.with_for_update().execution_options(**fresh)).all()


# --- signing -----------------------------------------------------------------------------------------


def _left(step: Step) -> Any:
    """Nothing becomes a loss because somebody was interrupted: what was not scanned is said to be missing."""
    if step.values.get("rest_missing"):
        return None
    left = count_rows.unmoved(step.detail)
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
    step.values["differences"] = count_rows.differences(count.id)
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
    step.values["differences"] = count_rows.differences(count.id)
    for line in count_rows.lines_of(count.id, (MISSING,), count_rows.MOST_LINES):
        _report_missing(step.record, line)
    for line in count_rows.lines_of(count.id, (FOUND, EXTRA, MOVED), count_rows.MOST_LINES):
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
    if line.condition in count_rows.BROKEN and tool.record.state in (
        values.IN_STORE,
        values.ISSUED,
        values.ON_LOAN,
    ):
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
    found = count_rows.progress(count.id)
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
    for line in count_rows.lines_of(count.id, (MISSING,), count_rows.MOST_LINES):
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
        (Field("rest_missing", "bool", _l("What was not scanned is missing")), NOTE),
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
        (Field("facilities", "many", _l("Facilities and equipment"), choices=_check_items), NOTE),
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


# --- recurring work ------------------------------------------------------------------------------------


def subject_of(party_id: int) -> str:
    """Return the key under which recurring work is about one store."""
    return f"store:{party_id}"

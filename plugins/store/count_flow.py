"""The steps of a stock count (盘点, R24-1.9): signed, agreed to by somebody else (MD-4), booked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.sdk import (
    Fact,
    FactKind,
    Field,
    Guard,
    Record,
    State,
    Step,
    Transition,
    approvals,
    current_scope,
    holds,
    local_day,
    make_workflow,
    open_task,
    perform,
    session,
)

from . import lots, removals, values
from .models import StockCount, StockCountLine
from .rights import DECIDE, STOCK
from .values import CANCELLED, CLOSED, COUNTED, COUNTING

CODE = "store_count"
CLOSE = f"{CODE}.close"
RECURRING, DIFFERENCES = "R24-1.9", "MD-4"
WHOLE_UNIT = "unit"  # the subject of recurring work that is about the unit itself
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
# A line whose piece number is another than what there was when it was counted.
DIFFERS = StockCountLine.counted.is_not(None) & (StockCountLine.counted != StockCountLine.expected)


# --- what the steps look at ------------------------------------------------------------------------


def different(count_id: int) -> Sequence[StockCountLine]:
    """Return the lines of a count that differ, in the order of their lots."""
    mine = select(StockCountLine).where(StockCountLine.count_id == count_id, DIFFERS)
    return session().scalars(mine.order_by(StockCountLine.lot_id)).all()


def uncounted(count_id: int) -> int:
    """Return how many lines are still to be counted."""
    mine = select(func.count()).where(StockCountLine.count_id == count_id, StockCountLine.counted.is_(None))
    return session().scalar(mine) or 0


def _left(step: Step) -> Any:
    """Nothing becomes a loss because somebody was interrupted: what was not found is said to be missing."""
    left = 0 if step.values.get("rest_missing") else uncounted(step.record.id)
    return (
        _l("%(count)d batches are not counted yet: go on, or say that they are missing", count=left)
        if left
        else None
    )


def no_reason(step: Step, _said: Any = None) -> Any:
    """MD-4: every difference has its reason before somebody is asked to agree to it."""
    open_ones = sum(1 for one in different(step.record.id) if not one.reason)
    return _l("%(count)d differences have no reason yet", count=open_ones) if open_ones else None


def has_differences(step: Step, _said: Any = None) -> bool:
    """Tell whether a count differs anywhere; where it does not, nobody has to agree."""
    return bool(different(step.record.id))


def counters(count: StockCount) -> set[int]:
    """Return who counted."""
    mine = select(StockCountLine.counted_by).where(StockCountLine.count_id == count.id).distinct()
    found = {one for one in session().scalars(mine) if one is not None}
    return found | ({count.counted_by} if count.counted_by is not None else set())


def counted_himself(step: Step, _said: Any = None) -> Any:
    """MD-4: who agreed to the differences did not count."""
    if not has_differences(step):
        return None
    given = approvals.agreed(step.record.unit_id, f"{CLOSE}:{step.record.id}:{DIFFERENCES}")
    if given is not None and given.decided_by in counters(step.detail):
        return _l("Who agreed to the differences counted as well; somebody else decides")
    return None


def _no_authority(step: Step) -> Any:
    """Where no clause names who agrees, only who decides on differences books them."""
    unit_id = step.record.unit_id
    free = holds(unit_id, DIFFERENCES, step.at) or current_scope().may(DECIDE, unit_id)
    return None if free or not has_differences(step) else _l("Somebody who decides on differences books them")


# --- what the steps do -----------------------------------------------------------------------------


def _sign(step: Step) -> None:
    mine = StockCountLine.count_id == step.record.id, StockCountLine.counted.is_(None)
    open_lines = session().scalars(select(StockCountLine).where(*mine).order_by(StockCountLine.lot_id)).all()
    rows = lots.lock_lots(one.lot_id for one in open_lines) if open_lines else {}
    seqs = lots.last_seqs(rows)
    for line in open_lines:
        line.expected, line.counted, line.seq = rows[line.lot_id].stock, 0, seqs.get(line.lot_id, 0)
        line.counted_at, line.counted_by = step.at, current_scope().actor_id
        if line.expected:
            line.reason = (step.values.get("note") or str(_("Not found at the count")))[:200]
    step.detail.counted_at, step.detail.counted_by = step.at, current_scope().actor_id
    session().flush()
    step.values["differences"] = len(different(step.record.id))


def forget_agreements(record: Record, reason: Any) -> None:
    """Let what was agreed or asked about a count lapse: it was about other numbers."""
    subject = f"{CLOSE}:{record.id}:{DIFFERENCES}"
    held = approvals.latest(record.unit_id, subject)
    if held is not None and held.state in approvals.OPEN_STATES:
        approvals.lapse(held.id, str(reason))
    given = approvals.agreed(record.unit_id, subject)
    if given is not None:
        approvals.use(given)


def _again(step: Step) -> None:
    forget_agreements(step.record, _l("It is being counted again"))
    step.detail.counted_at = step.detail.counted_by = None


def _cancel(step: Step) -> None:
    forget_agreements(step.record, _l("The count was cancelled"))


def _close(step: Step) -> None:
    """Book every difference on top of what moved since the batch was counted; the recurring work is done."""
    found = different(step.record.id)
    for line in found:
        moved = lots.adjust(line.lot_id, (line.counted or 0) - line.expected, record_id=step.record.id)
        if moved is not None and moved.quantity > 0:
            removals.again(lots.lock_lot(line.lot_id))
    step.detail.closed_by = current_scope().actor_id
    step.values["differences"] = len(found)


def after_step(record: Record, transition: str, _facts: Sequence[Fact]) -> None:
    """A closed count of the whole stock is the recurring work of its clause (hook ``record_transitioned``)."""
    if record.type != CODE or transition != "close":
        return
    count = session().get_one(StockCount, record.id)
    if count.place_id is not None:
        return
    task = open_task(record.unit_id, RECURRING, WHOLE_UNIT, local_day(record.unit_id, count.begun_at))
    if task is not None:
        said = str(_("Stock count %(number)s", number=record.number))
        perform(task.id, "finish", {"result": said}, permitted=True)


STATES = tuple(
    State(code, label, {CLOSED: "closed", CANCELLED: "cancelled"}.get(code, "open"))
    for code, label in values.COUNT_STATES
)
_DIFFERENCES = (("differences", _l("Differences"), ()),)
FACT_KINDS = (
    FactKind("registered", _l("Stock count begun"), 0, words=(("lines", _l("Batches to count"), ()),)),
    FactKind("counted", _l("Stock counted and signed"), 20, words=_DIFFERENCES),
    FactKind("recounted", _l("Counted again"), 25),
    FactKind("finished", _l("Stock count closed"), 60, words=_DIFFERENCES),
    FactKind("cancelled", _l("Stock count cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "sign",
        _l("Finish counting"),
        frozenset({COUNTING}),
        COUNTED,
        STOCK,
        "counted",
        (
            Field("rest_missing", "bool", _l("What was not counted is missing")),
            Field("note", "long", _l("Note"), max_length=200),
        ),
        (Guard("left", _left, needs_form=True),),
        apply=_sign,
        kept=("differences",),
        note="note",
        tone="primary",
        weight=10,
    ),
    Transition(
        "close",
        _l("Book the differences and close"),
        frozenset({COUNTED}),
        CLOSED,
        STOCK,
        "finished",
        (Field("note", "long", _l("Note"), max_length=500),),
        (Guard("no_authority", _no_authority),),
        apply=_close,
        kept=("differences",),
        note="note",
        tone="primary",
        weight=20,
    ),
    Transition(
        "again",
        _l("Count again"),
        frozenset({COUNTED}),
        COUNTING,
        STOCK,
        "recounted",
        (_REASON,),
        apply=_again,
        note="reason",
        weight=40,
    ),
    Transition(
        "cancel",
        _l("Cancel the count"),
        frozenset({COUNTING, COUNTED}),
        CANCELLED,
        STOCK,
        "cancelled",
        (_REASON,),
        apply=_cancel,
        note="reason",
        tone="danger",
        weight=90,
    ),
)
WORKFLOW = make_workflow(COUNTING, STATES, TRANSITIONS, FACT_KINDS)

"""Watching shelf life (R02-15, MD-1): tasks to take batches off the shelf, near their last day and right after it.

A batch expires by itself on the day after its last day; nobody needs to press anything for its sale to be refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Field,
    InvalidData,
    Job,
    Periodic,
    Record,
    RecordType,
    answered_before,
    clean,
    clock,
    create_record,
    effective,
    holds,
    local_day,
    lock,
    may,
    perform,
    publish,
    remember_answer,
    require,
    session,
    transaction,
)

from . import finding, goods, lots, values
from .models import Lot, Removal
from .removal_flow import CODE, NEAR, OVER, STOPPED, WORKFLOW
from .rights import QUALITY, RECEIVE, SELL, STOCK

CLAUSE, NEAR_CLAUSE = "R02-15", "MD-1"
CHUNK = 200
# Who moves goods by which pieces come in or back.
HANDLING = (STOCK, SELL, RECEIVE, QUALITY)
BY_HAND = tuple(one for one in values.REMOVAL_REASONS if one[0] not in (OVER, STOPPED))
FIELDS = (
    Field(
        "lot",
        "text",
        _l("Batch in stock"),
        True,
        max_length=200,
        help=_l("Scan the label, or type the batch number"),
    ),
    Field("reason", "choice", _l("Why"), True, BY_HAND),
)


def register(unit_id: int, raw: Mapping[str, Any], *, key: str = "") -> Record:
    """Ask by hand for a batch to be taken off the shelf today (``FIELDS``, permission ``STOCK``).

    Raises:
        NotAllowed. InvalidData: beside the field: no such batch, nothing of it left, or it is asked for already.
    """
    require(STOCK, unit_id)
    given = clean(FIELDS, {**raw, "lot": str(raw.get("lot") or "")})
    with transaction():
        held = answered_before(unit_id, key, "store.removal", dict(raw))
        if held:
            return session().get_one(Record, held["record"])
        lot = lots.lock_lot(finding.one_lot(unit_id, raw["lot"], "lot").id)
        if lot.stock == 0:
            raise InvalidData({"lot": _l("Nothing of this batch is left")})
        if open_of([lot.id], given["reason"]):
            raise InvalidData({"lot": _l("This batch is to be taken off the shelf already")})
        record = _make(lot, given["reason"], local_day(unit_id), STOCK)
        remember_answer(unit_id, key, {"record": record.id})
        return record


def _make(lot: Lot, reason: str, due_on: date, permission: str) -> Record:
    """Make the task of a locked lot; asked only when there is no open one."""
    name = goods.names_of([lot.model_id])[lot.model_id]
    record = create_record(
        TYPE,
        lot.unit_id,
        Removal(lot_id=lot.id, reason=reason, due_on=due_on),
        title=f"{name} · {lot.number}",
        customer_id=None,
        received_at=clock.now(),
        permission=permission,
        facts=[("registered", {"why": reason})],
    )
    publish("record.registered", lot.unit_id, {"record_id": record.id, "type": CODE})
    return record


def for_stopped(found: Iterable[Lot], permission: str) -> list[Record]:
    """Make the tasks to seal what is here of a stopped batch (R09-5.2.4c); the lots are locked."""
    rows = [one for one in found if one.state == values.HELD and one.stock > 0]
    held = {one.lot_id for one in open_of([one.id for one in rows], STOPPED)}
    return [_make(one, STOPPED, local_day(one.unit_id), permission) for one in rows if one.id not in held]


def again(lot: Lot) -> Record | None:
    """Ask for a locked lot to leave the shelf whose pieces came in, or back, expired or of a stopped batch.

    The daily watch asks once; what comes afterwards is asked for here. None where nothing of it is free, or a task
    is open.
    """
    reason = {values.EXPIRED: OVER, values.HELD: STOPPED}.get(lot.state)
    if reason is None or lot.stock <= lot.held or open_of([lot.id], reason):
        return None
    permission = next((one for one in HANDLING if may(one, lot.unit_id)), STOCK)
    return _make(lot, reason, local_day(lot.unit_id), permission)


# --- every day -----------------------------------------------------------------------------------------


def warn_days(said: Mapping[str, Any], shelf_days: int | None) -> int:
    """Return how many days before its last day goods count as near it: the longer the shelf life, the more."""
    for band in ("1", "2"):
        if shelf_days is not None and shelf_days <= int(said[f"up_to_{band}"]):
            return int(said[f"warn_{band}"])
    return int(said["warn_3"])


def shelf_of(lot: Lot) -> int | None:
    """Return the shelf life of a lot in days; from its dates where only a printed date is known."""
    if lot.shelf_days is not None:
        return lot.shelf_days
    if lot.made_on is not None and lot.last_day is not None:
        return (lot.last_day - lot.made_on).days
    return None


def watch(unit_id: int) -> int:
    """Let expire what is past its last day and make the tasks of a day; return how many were made.

    Harmless to run again, or twice at once: a lot and a reason have one open task. Each lot is its own transaction.
    """
    today = local_day(unit_id)
    made = 0
    if holds(unit_id, CLAUSE):
        made += _each(unit_id, today - timedelta(days=1), today, OVER)
    if holds(unit_id, NEAR_CLAUSE):
        said = effective(unit_id, NEAR_CLAUSE).values
        furthest = max(int(said[f"warn_{band}"]) for band in ("1", "2", "3"))
        made += _each(unit_id, today + timedelta(days=furthest), today, NEAR)
    return made


def _each(unit_id: int, until: date, today: date, reason: str) -> int:
    made, after = 0, (date.min, 0)
    while batch := _batch(unit_id, until, today, reason, after):
        for row in batch:
            made += _one(row.id, today, reason)
        after = (batch[-1].last_day, batch[-1].id)
    return made


def _batch(unit_id: int, until: date, today: date, reason: str, after: tuple[date, int]) -> Sequence[Any]:
    """Return the next lots whose last day comes by ``until`` that never had a task for it."""
    states = (
        (values.ACCEPTED, values.ON_SALE, values.EXPIRED) if reason == OVER else (values.ACCEPTED, values.ON_SALE)
    )
    asked = select(Removal.id).where(Removal.lot_id == Lot.id, Removal.reason == reason)
    day, key = after
    wanted = (
        select(Lot.id, Lot.last_day)
        .where(Lot.unit_id == unit_id, Lot.state.in_(states), Lot.last_day <= until, ~asked.exists())
        .where((Lot.last_day > day) | ((Lot.last_day == day) & (Lot.id > key)))
        .order_by(Lot.last_day, Lot.id)
        .limit(CHUNK)
    )
    if reason == NEAR:
        wanted = wanted.where(Lot.last_day >= today)
    return session().execute(wanted).all()


def _one(lot_id: int, today: date, reason: str) -> bool:
    with transaction():
        near = open_of([lot_id], NEAR) if reason == OVER else []
        for one in near:
            lock(one.id)  # records before lots, always
        lot = lots.lock_lot(lot_id)
        if lot.stock == 0 or lot.last_day is None or made_for(lot.id, reason):
            return False
        if reason == NEAR:
            said = effective(lot.unit_id, NEAR_CLAUSE).values
            if not today <= lot.last_day <= today + timedelta(days=warn_days(said, shelf_of(lot))):
                return False
        else:
            lots.expire(lot.id)
        _make(lot, reason, today, STOCK)
        for one in near:
            perform(one.id, "gone", permitted=True)
        return True


def made_for(lot_id: int, reason: str) -> bool:
    """Tell whether there ever was a task for a lot and a reason."""
    wanted = select(Removal.id).where(Removal.lot_id == lot_id, Removal.reason == reason).limit(1)
    return session().scalar(wanted) is not None


def open_of(lot_ids: Iterable[int], reason: str = "") -> Sequence[Removal]:
    """Return the open tasks of lots (for a reason), in the order of their records."""
    keys = set(lot_ids)
    if not keys:
        return []
    wanted = select(Removal).where(Removal.lot_id.in_(keys), Removal.ended_at.is_(None))
    if reason:
        wanted = wanted.where(Removal.reason == reason)
    return session().scalars(wanted.order_by(Removal.id)).all()


def lock_open(lot_ids: Iterable[int]) -> list[int]:
    """Lock the open tasks of lots, before the lots themselves; return the ids of their records."""
    found = [one.id for one in open_of(lot_ids)]
    for key in found:
        lock(key)
    return found


def close_gone(record_ids: Iterable[int]) -> None:
    """End those of the locked tasks whose lot is sold out."""
    for key in record_ids:
        detail = session().get_one(Removal, key)
        lot = session().get_one(Lot, detail.lot_id)
        if detail.ended_at is None and lot.stock == 0:
            perform(key, "gone", permitted=True)


def of_lot(lot_id: int, limit: int = 50) -> Sequence[Removal]:
    """Return the newest tasks about a lot."""
    wanted = select(Removal).where(Removal.lot_id == lot_id).order_by(Removal.id.desc()).limit(limit)
    return session().scalars(wanted).all()


def jobs() -> list[Job | Periodic]:
    """Return the work outside requests."""
    return [Periodic("store.shelf_life", _l("Watch shelf life: expired and near-expiry batches"), watch)]


def search_text(record: Record, _detail: Removal) -> str:
    """Return the words a task is found by."""
    return f"{record.number}\n{record.title}"


TYPE = RecordType(
    CODE, _l("Removal from the shelf"), "XJ", Removal, WORKFLOW, search_text, intake=FIELDS, register=register
)

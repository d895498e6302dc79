"""What may leave: inspections, stopped batches, delivery (R05-1.2, R05-3.2, R09-5.2.4c). Flushes, never commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l
from sqlalchemy import func, or_, select
from sqlalchemy import inspect as inspect_model
from sqlalchemy.orm import joinedload

from core.sdk import (
    InvalidData,
    Refusal,
    Refused,
    calendar_for,
    clean,
    clock,
    current_scope,
    deadline,
    effective,
    holds,
    label_of,
    local_day,
    require,
    require_clause,
    session,
)

from . import fields
from .models import Batch, Inspection, Item
from .rights import QUALITY

SHIP, ACCEPT = "products.ship", "products.accept"  # the steps of the gate rules
FINAL = "final"
SEAL_CLAUSE = "R09-5.2.4c"
SHOWN = 20
# Other plugins that keep goods of batches are told, in the same transaction, when a batch is stopped or let go.
_followers: list[Callable[[Batch], None]] = []


@dataclass(frozen=True)
class Goods:
    """What the gates look at: the newest inspection of each stage, and whether the batch is stopped."""

    serial: str
    on: date
    # By stage: passed or not. What was found at the item itself counts before what was found at its batch.
    inspections: Mapping[str, bool]
    held_on: date | None = None  # the day the batch was stopped
    hold_reason: str = ""
    batch: str = ""

    @property
    def failed(self) -> list[str]:
        """The stages whose newest inspection did not pass."""
        return [stage for stage, _ in fields.INSPECTION_STAGES if self.inspections.get(stage) is False]


# --- gates -------------------------------------------------------------------------------------


def require_shipping(item: Item, on: date) -> None:
    """Pass if an item may leave on a day.

    Raises:
        Refused: no passed inspection before shipping (R05-1.2, R05-3.2); its batch is stopped (R09-5.2.4c).
    """
    if item.batch is not None:
        lock_row(item.batch)  # it may be stopped this very moment
    require_clause(SHIP, item.unit_id, goods_of([item], on)[item.id])


def require_acceptance(item: Item, on: date) -> None:
    """Pass if an item may be handed over as accepted on a day (R05-3.2); raises as ``require_shipping``."""
    require_clause(ACCEPT, item.unit_id, goods_of([item], on)[item.id])


def refusals_of_row(
    unit_id: int, serial: str, item: Item | None, batch: Batch | None, on: date, today: date
) -> list[Any]:
    """Return why a delivery that a file tells of cannot have been; what lies in the past needs no inspection."""
    goods = Goods(
        serial=serial,
        on=on,
        inspections={FINAL: True} if on < today else _stages_of(item, batch),
        held_on=local_day(unit_id, batch.held_at) if batch is not None and batch.held_at else None,
        hold_reason=batch.hold_reason if batch is not None else "",
        batch=batch.number if batch is not None else "",
    )
    try:
        require_clause(SHIP, unit_id, goods)
    except Refused as bad:
        return bad.texts()
    return []


def _stages_of(item: Item | None, batch: Batch | None) -> dict[str, bool]:
    """The newest inspections of one thing. Files seldom tell of today's deliveries, so one by one will do."""
    found = _newest([item.id] if item is not None else [], [batch.id] if batch is not None else [])
    stages: dict[str, bool] = {}
    for kind in ("batch", "item"):
        stages |= {stage: passed for (one, _key, stage), passed in found.items() if one == kind}
    return stages


def goods_of(items: Sequence[Item], on: date) -> dict[int, Goods]:
    """Return what the gates need to know of items by id: two selects for any number of items."""
    batches = sorted({item.batch_id for item in items if item.batch_id is not None})
    found = _newest([item.id for item in items], batches)
    return {item.id: _goods(item, on, found) for item in items}


def _goods(item: Item, on: date, found: Mapping[tuple[str, int | None, str], bool]) -> Goods:
    stages: dict[str, bool] = {}
    for stage, _label in fields.INSPECTION_STAGES:
        passed = found.get(("item", item.id, stage))
        if passed is None and item.batch_id is not None:
            passed = found.get(("batch", item.batch_id, stage))
        if passed is not None:
            stages[stage] = passed
    batch = item.batch
    held = batch.held_at if batch is not None else None
    return Goods(
        serial=item.serial,
        on=on,
        inspections=stages,
        held_on=local_day(item.unit_id, held) if held else None,
        hold_reason=batch.hold_reason if batch is not None else "",
        batch=batch.number if batch is not None else "",
    )


def _newest(ids: Sequence[int], batches: Sequence[int]) -> dict[tuple[str, int | None, str], bool]:
    found: dict[tuple[str, int | None, str], bool] = {}
    for kind, column, wanted in (("item", Inspection.item_id, ids), ("batch", Inspection.batch_id, batches)):
        if not wanted:
            continue
        rows = select(column, Inspection.stage, Inspection.passed).where(column.in_(wanted))
        for key, stage, passed in session().execute(rows.order_by(Inspection.at, Inspection.id)):
            found[kind, key, stage] = passed
    return found


def not_tested(goods: Any, _values: Mapping[str, Any]) -> Any:
    """R05-1.2: nothing ships without a passed test before shipping."""
    if goods.inspections.get(FINAL):
        return None
    if FINAL in goods.inspections:
        return _l("%(serial)s did not pass the test before shipping", serial=goods.serial)
    return _l("%(serial)s has no passed test before shipping, nor has its batch", serial=goods.serial)


def not_passed(goods: Any, values: Mapping[str, Any]) -> Any:
    """R05-3.2: accepted only when the inspection has passed, and what failed on the way is put right."""
    if goods.failed:
        stages = "、".join(str(label_of(fields.INSPECTION_STAGES, one)) for one in goods.failed)
        return _l("%(serial)s did not pass: %(stages)s", serial=goods.serial, stages=stages)
    return not_tested(goods, values)


def is_held(goods: Any, _values: Mapping[str, Any]) -> Any:
    """R09-5.2.4c: nothing of a stopped batch leaves; what had left before it was stopped has left."""
    if goods.held_on is None or goods.on < goods.held_on:
        return None
    return _l(
        "Batch %(number)s is stopped since %(day)s: %(reason)s",
        number=goods.batch,
        day=goods.held_on.isoformat(),
        reason=goods.hold_reason,
    )


# --- stopped batches ---------------------------------------------------------------------------


def hold_batch(batch: Batch, reason: str) -> Batch:
    """Stop a batch (R09-5.2.4c): from now on nothing of it ships. Those who keep the goods seal them at once.

    Raises:
        NotAllowed. InvalidData: no reason. Refused: it is stopped already.
    """
    reason = _reason(batch, reason)
    lock_row(batch)
    if batch.held_at is not None:
        raise Refused([Refusal("products.held", _l("This batch is stopped already"))])
    batch.held_at, batch.hold_reason, batch.sealed_at = clock.now(), reason, None
    session().flush()
    _tell(batch)
    return batch


def seal_batch(batch: Batch) -> Batch:
    """Say that what had not left of a stopped batch is set apart and sealed (R09-5.2.4c); again changes nothing.

    Raises:
        NotAllowed. Refused: it is not stopped.
    """
    require(QUALITY, batch.unit_id)
    lock_row(batch)
    _require_held(batch)
    batch.sealed_at = batch.sealed_at or clock.now()
    session().flush()
    return batch


def release_batch(batch: Batch, reason: str) -> Batch:
    """Let a stopped batch go; why stays in the audit trail and at the batch.

    Raises:
        NotAllowed. InvalidData: no reason. Refused: it is not stopped.
    """
    reason = _reason(batch, reason)
    lock_row(batch)
    _require_held(batch)
    batch.held_at = batch.sealed_at = None
    batch.hold_reason = reason
    session().flush()
    _tell(batch)
    return batch


def on_batch_stopped(follow: Callable[[Batch], None]) -> None:
    """Let another plugin's service follow when a batch is stopped or let go; ``batch.held_at`` tells which.

    It is called in the same transaction, the batch locked, and sees to it itself that its plugin is switched on.
    """
    if follow not in _followers:
        _followers.append(follow)


def _tell(batch: Batch) -> None:
    for follow in _followers:
        follow(batch)


def lock_batches(ids: Iterable[int]) -> dict[int, Batch]:
    """Lock batches in the order of their ids and return them by id: none is stopped before the transaction ends."""
    keys = sorted(set(ids))
    if not keys:
        return {}
    wanted = select(Batch).where(Batch.id.in_(keys)).order_by(Batch.id).with_for_update()
    return {one.id: one for one in session().scalars(wanted.execution_options(populate_existing=True))}


def lock_row(row: Any) -> None:
    """Lock a row until the transaction ends and read it anew."""
    model = type(row)
    session().flush()
    session().execute(select(model.id).where(model.id == row.id).with_for_update())
    session().refresh(row, [one.key for one in inspect_model(model).column_attrs])


class Sealing(NamedTuple):
    """How a stopped batch stands with the time in which it is to be sealed (R09-5.2.4c; C0-T10)."""

    since: datetime
    target: datetime | None
    limit: datetime | None
    sealed_at: datetime | None
    clause: str

    @property
    def late(self) -> bool:
        """Whether it was sealed after the limit, or is not yet and the limit is over."""
        return self.limit is not None and (self.sealed_at or clock.now()) > self.limit


def sealing_of(batch: Batch) -> Sealing | None:
    """Return since when a batch is stopped, and until when it is to be sealed; None where it is not stopped.

    The clause's own target and limit, on the unit's calendar; without limits where the clause is off.
    """
    if batch.held_at is None:
        return None
    if not holds(batch.unit_id, SEAL_CLAUSE):
        return Sealing(batch.held_at, None, None, batch.sealed_at, "")
    said, calendar = effective(batch.unit_id, SEAL_CLAUSE, batch.held_at), calendar_for(batch.unit_id)
    limit = deadline(said.term("limit"), batch.held_at, calendar).at
    target = deadline(said.term("target"), batch.held_at, calendar).at
    if target is not None and limit is not None:
        target = min(target, limit)
    return Sealing(batch.held_at, target, limit, batch.sealed_at, SEAL_CLAUSE)


def _reason(batch: Batch, reason: str) -> str:
    require(QUALITY, batch.unit_id)
    return str(clean(fields.hold_fields(), {"reason": reason})["reason"])


def _require_held(batch: Batch) -> None:
    if batch.held_at is None:
        raise Refused([Refusal("products.not_held", _l("This batch is not stopped"))])


# --- inspections -------------------------------------------------------------------------------


def inspect(of: Item | Batch, raw: Mapping[str, Any]) -> Inspection:
    """Enter an inspection of an item or a batch (R05-1.2, R05-3.2). The newest of a stage counts.

    Raises:
        NotAllowed. InvalidData: no stage or result, nothing said of what failed, a time in the future.
    """
    require(QUALITY, of.unit_id)
    values = clean(fields.inspection_fields(), raw)
    passed = values["result"] == "passed"
    if not passed and not values["finding"]:
        raise InvalidData({"finding": _l("Please say what was found")})
    made = Inspection(
        unit_id=of.unit_id,
        item_id=of.id if isinstance(of, Item) else None,
        batch_id=of.id if isinstance(of, Batch) else None,
        stage=values["stage"],
        passed=passed,
        finding=values["finding"] or "",
        at=_moment(values.get("at")),
        by_id=current_scope().actor_id,
    )
    session().add(made)
    session().flush()
    return made


def _moment(at: datetime | None) -> datetime:
    now = clock.now()
    if at is not None and at > now:
        raise InvalidData({"at": _l("This time lies in the future")})
    return at or now


def inspections_of(of: Item | Batch, limit: int = SHOWN) -> list[Inspection]:
    """Return the newest inspections of a batch, or of an item and its batch."""
    if isinstance(of, Batch):
        wanted: Any = Inspection.batch_id == of.id
    else:
        wanted = Inspection.item_id == of.id
        if of.batch_id is not None:
            wanted = or_(wanted, Inspection.batch_id == of.batch_id)
    found = select(Inspection).options(joinedload(Inspection.batch)).where(wanted, Inspection.unit_id == of.unit_id)
    return list(session().scalars(found.order_by(Inspection.at.desc(), Inspection.id.desc()).limit(limit)))


def count_open_holds(unit_id: int) -> int:
    """Count the stopped batches of a unit that nobody has sealed yet."""
    found = select(func.count(Batch.id)).where(Batch.unit_id == unit_id, Batch.held_at.is_not(None))
    return session().scalar(found.where(Batch.sealed_at.is_(None))) or 0

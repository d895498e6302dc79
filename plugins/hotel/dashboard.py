"""The hotel at a glance: open defects by floor, blocked rooms, defects that come back, causes of complaints.

Every question is answered from an index and bounded: by what is open, or by the last months. How long the hotel has
kept records makes no difference.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import OPEN_CATEGORIES, Place, Record, clock, label_of, places, session

from . import complaint_flow, order_flow, values
from .models import Complaint, HotelPlace, Order

REPEAT_DAYS, CAUSE_DAYS = 90, 30
MOST = 20


class Floor(NamedTuple):
    """Open defects of a floor by how serious they are."""

    name: str
    counts: dict[str, int]
    total: int


class Repeat(NamedTuple):
    """The same defect of the same room, again and again; ``order`` is the newest."""

    place: Place
    what: Any
    times: int
    order_id: int


class Shown(NamedTuple):
    """What the dashboard shows."""

    floors: list[Floor]
    blocked: Sequence[Order]
    repeats: list[Repeat]
    causes: list[tuple[Any, int, int]]
    late: Sequence[Record]
    complaints: int


def read(unit_id: int) -> Shown:
    """Return what the dashboard of a unit shows now."""
    causes = _causes(unit_id)
    return Shown(
        _floors(unit_id),
        blocked(unit_id),
        repeats(unit_id),
        causes,
        _late(unit_id),
        sum(count for _label, count, _share in causes),
    )


def _open(code: str) -> tuple[Any, ...]:
    return (Record.type == code, Record.category.in_(OPEN_CATEGORIES))


def _floors(unit_id: int) -> list[Floor]:
    """Count open orders by floor: of a place without one, by the place around it."""
    found = (
        select(HotelPlace.floor_id, Place.parent_id, Order.severity, func.count())
        .select_from(Record)
        .join(Order, Order.id == Record.id)
        .join(Place, Place.id == Order.place_id)
        .outerjoin(HotelPlace, HotelPlace.place_id == Order.place_id)
        .where(Record.unit_id == unit_id, *_open(order_flow.CODE))
        .group_by(HotelPlace.floor_id, Place.parent_id, Order.severity)
    )
    counts: dict[int | None, Counter[str]] = defaultdict(Counter)
    for floor_id, around, severity, count in session().execute(found):
        counts[floor_id or around][severity] += count
    names = places.full_names(unit_id, counts)
    floors = [Floor(names.get(key or 0, ""), dict(one), one.total()) for key, one in counts.items()]
    return sorted(floors, key=lambda one: (-one.total, one.name))


def blocked(unit_id: int, limit: int = MOST) -> Sequence[Order]:
    """Return the orders that block rooms now, the longest first."""
    mine = (
        select(Order)
        .join(Order.record)
        .where(Order.unit_id == unit_id, Order.blocks)
        .options(contains_eager(Order.record).joinedload(Record.assignee), joinedload(Order.place))
        .order_by(Order.reported_at, Order.id)
        .limit(limit)
    )
    return session().scalars(mine).all()


def repeats(unit_id: int, days: int = REPEAT_DAYS, limit: int = MOST) -> list[Repeat]:
    """Return defects of one place that came back within some days, the most frequent first."""
    since = clock.now() - timedelta(days=days)
    count = func.count().label("count")
    found = (
        select(Order.place_id, Order.item_key, count, func.max(Order.id))
        .where(Order.unit_id == unit_id, Order.reported_at >= since, Order.item_key != "")
        .group_by(Order.place_id, Order.item_key)
        .having(func.count() > 1)
        .order_by(count.desc(), func.max(Order.id).desc())
        .limit(limit)
    )
    rows = session().execute(found).all()
    newest = {one.id: one for one in _orders([row[3] for row in rows])}
    return [Repeat(newest[key].place, words_of(newest[key]), number, key) for _place, _item, number, key in rows]


def words_of(order: Order) -> Any:
    """Return what a defect is about: the word for it, else the first line of what was written."""
    known = dict(values.DEFECTS)
    return label_of(values.DEFECTS, order.item_key) if order.item_key in known else order.text.split("\n")[0][:60]


def _orders(ids: Sequence[int]) -> Sequence[Order]:
    wanted = select(Order).where(Order.id.in_(ids)).options(joinedload(Order.place))
    return session().scalars(wanted).all() if ids else []


def _causes(unit_id: int) -> list[tuple[Any, int, int]]:
    """Return causes of the complaints of the last days as (words, number, share in per cent of the most)."""
    since = clock.now() - timedelta(days=CAUSE_DAYS)
    found = (
        select(Complaint.cause, func.count())
        .where(Complaint.unit_id == unit_id, Complaint.reported_at >= since)
        .group_by(Complaint.cause)
    )
    counts = sorted(session().execute(found).all(), key=lambda row: (-row[1], row[0]))
    most = max((count for _cause, count in counts), default=0)
    return [
        (label_of(values.CAUSES, cause) if cause else "", count, 100 * count // most) for cause, count in counts
    ]


def _late(unit_id: int) -> Sequence[Record]:
    """Return the orders and complaints that are past what is due next, the longest first."""
    mine = (
        select(Record)
        .where(
            Record.unit_id == unit_id,
            Record.type.in_((order_flow.CODE, complaint_flow.CODE)),
            Record.category.in_(OPEN_CATEGORIES),
            Record.next_due_at < clock.now(),
        )
        .options(joinedload(Record.assignee))
        .order_by(Record.next_due_at, Record.id)
        .limit(MOST)
    )
    return session().scalars(mine).all()

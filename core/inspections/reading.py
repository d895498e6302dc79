"""Looking up inspections, their findings and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from core.kernel.database import fetch, session
from core.records.engine import fetch_visible
from core.records.models import OPEN_CATEGORIES, Record

from .models import Finding, Inspection
from .opening import INSPECTION

MOST_SHOWN = 200
_HUNDREDTH = Decimal("0.01")


def get_inspection(raw_id: object) -> Inspection:
    """Fetch an inspection the actor may see, by an id from a request.

    Raises:
        NotFound: none, another unit's, or not for this actor.
    """
    record = fetch_visible(raw_id)
    return fetch(Inspection, record.id)


def newest_of(unit_id: int, subject: str) -> Inspection | None:
    """Return the inspection of a subject that was finished for the latest period, or None."""
    found = (
        select(Inspection)
        .where(Inspection.unit_id == unit_id, Inspection.subject == subject, Inspection.finished_at.is_not(None))
        .order_by(Inspection.starts_on.desc(), Inspection.id.desc())
    )
    return session().scalars(found.limit(1)).first()


def of_place(place_id: int, limit: int = 10) -> list[Inspection]:
    """Return the finished inspections of a place, the latest first, with their checklists."""
    found = (
        select(Inspection)
        .where(Inspection.place_id == place_id, Inspection.finished_at.is_not(None))
        .options(joinedload(Inspection.checklist))
        .order_by(Inspection.finished_at.desc(), Inspection.id.desc())
    )
    return list(session().scalars(found.limit(min(limit, MOST_SHOWN))))


def open_of_place(place_id: int, limit: int = 10) -> list[Inspection]:
    """Return the inspections of a place that are still to be done, the one due first in front."""
    found = (
        select(Inspection)
        .join(Record, Record.id == Inspection.id)
        .where(
            Inspection.place_id == place_id,
            Inspection.finished_at.is_(None),
            Record.category.in_(OPEN_CATEGORIES),
            Record.type == INSPECTION.code,
        )
        .options(joinedload(Inspection.checklist))
        .order_by(Inspection.due_on, Inspection.id)
    )
    return list(session().scalars(found.limit(min(limit, MOST_SHOWN))))


class Score(NamedTuple):
    """How inspections went: by ``key`` (id of the place or checklist, month ``2026-11``); None is without a place.

    ``score`` is the mean in per cent of those scored, None where none was.
    """

    key: Any
    inspections: int
    score: Decimal | None
    failed: int


def scores(unit_ids: Collection[int], since: datetime, until: datetime, by: str = "place") -> list[Score]:
    """Return how inspections went, finished from ``since`` to before ``until``: by place, checklist or month (UTC).

    Raises:
        ValueError: another ``by``.
    """
    if by not in _KEYS:
        raise ValueError(f"scores by {by}")
    return _scores(Inspection.unit_id.in_(list(unit_ids)), _KEYS[by](), since, until)


def scores_of_place(place_id: int, since: datetime, until: datetime) -> list[Score]:
    """Return how the inspections of one place went by month, as ``scores``."""
    return _scores(Inspection.place_id == place_id, _month(), since, until)


def _scores(of_whom: ColumnElement[bool], key: ColumnElement[Any], since: datetime, until: datetime) -> list[Score]:
    found = (
        select(
            key.label("key"),
            func.count().label("number"),
            func.avg(Inspection.score).label("mean"),
            func.sum(Inspection.failed).label("failing"),
        )
        .select_from(Inspection)
        .where(of_whom, Inspection.finished_at >= since, Inspection.finished_at < until)
        .group_by(key)
        .order_by(key)
    )
    return [
        Score(row.key, row.number, _rounded(row.mean), int(row.failing or 0)) for row in session().execute(found)
    ]


def _month() -> ColumnElement[Any]:
    dialect = session().get_bind().dialect.name
    if dialect == "postgresql":
        return func.to_char(func.timezone("UTC", Inspection.finished_at), "YYYY-MM")
    return func.strftime("%Y-%m", Inspection.finished_at)


_KEYS: Mapping[str, Any] = {
    "place": lambda: Inspection.place_id,
    "checklist": lambda: Inspection.checklist_id,
    "month": _month,
}


def _rounded(mean: Any) -> Decimal | None:
    return None if mean is None else Decimal(str(mean)).quantize(_HUNDREDTH, ROUND_HALF_UP)


def open_findings(place_id: int, limit: int = 20) -> list[Finding]:
    """Return the findings of a place whose record is still open, the latest first."""
    found = (
        select(Finding)
        .join(Record, Record.id == Finding.record_id)
        .where(Finding.place_id == place_id, Record.category.in_(OPEN_CATEGORIES))
        .order_by(Finding.found_at.desc(), Finding.id.desc())
    )
    return list(session().scalars(found.limit(min(limit, MOST_SHOWN))))


def repeats(unit_id: int, place_id: int, item_key: str, since: date | datetime) -> int:
    """Tell how often an item failed at a place since a moment: repeat defects."""
    found = select(func.count()).where(
        Finding.unit_id == unit_id,
        Finding.place_id == place_id,
        Finding.item_key == item_key,
        Finding.found_at >= since,
    )
    return session().scalar(found) or 0

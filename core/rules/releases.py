"""What follows when a version of a clause begins, or an official year is published: open obligations take it over.

It is done by facts (``terms_released``), so that working everything out anew gives the same. ``release_due`` is for
the tick; a change that holds from today on is released at once as far as the actor's units reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from core.kernel import clock
from core.kernel.database import current_scope, session, transaction
from core.kernel.errors import NotFound
from core.records.engine import append_fact, flow_of, follow, lock
from core.units.facts import unit_facts
from core.units.models import Unit

from . import receipts, unit_calendars
from .effective import effective, forget, versions_of
from .fold import RELEASE
from .models import CalendarYear
from .obligation_models import PENDING, Obligation
from .one_by_one import one_by_one
from .setting_models import APPLY, IN_FORCE, ClauseSetting

CHUNK = 200


def release_due(now: datetime | None = None) -> int:
    """Do everything that is due by now; return how many facts were written. Running it again changes nothing.

    People affected by new versions are told, versions that have begun are applied to open records where that was
    chosen, and open deadlines that rested on a provisional year are worked out anew once it is published. Each is a
    transaction of its own, and one that fails keeps no other waiting. Run it inside ``system_scope``.
    """
    with clock.frozen(now or clock.now()):
        receipts.tell_due()
        return one_by_one("settings", _due(), _one) + one_by_one("official years", _published(), _year)


def release_in_scope(row: ClauseSetting) -> int:
    """Apply a version that has begun to the open records in the actor's units; the tick sees to the others."""
    if row.open_records != APPLY:
        return 0
    below = _below(row.unit_id)
    mine = [one for one in below if one in current_scope().write]
    count = _release(row, mine)
    if len(mine) == len(below):
        row.released_at = clock.now()
        session().flush()
    return count


def _due() -> list[int]:
    """Return the versions that have begun and were not applied yet; a day begins first in the east."""
    soon = clock.now().date() + timedelta(days=1)
    wanted = select(ClauseSetting.id, ClauseSetting.unit_id, ClauseSetting.starts_on).where(
        ClauseSetting.state == IN_FORCE,
        ClauseSetting.open_records == APPLY,
        ClauseSetting.released_at.is_(None),
        ClauseSetting.starts_on <= soon,
    )
    rows = session().execute(wanted.order_by(ClauseSetting.starts_on, ClauseSetting.id)).all()
    return [one.id for one in rows if one.starts_on <= clock.day_in(unit_facts(one.unit_id).timezone)]


def _one(setting_id: int) -> int:
    with transaction():
        wanted = select(ClauseSetting).where(ClauseSetting.id == setting_id).with_for_update()
        row = session().scalars(wanted).one()
        if row.released_at is not None:
            return 0
        forget()
        count = _release(row, _below(row.unit_id))
        row.released_at = clock.now()
        return count


def _release(row: ClauseSetting, units: Sequence[int]) -> int:
    data = {"clause": row.clause, "setting": row.id}
    return sum(
        _append(record_id, [data])
        for record_id, found in _pending([Obligation.clause == row.clause, Obligation.unit_id.in_(units)])
        if any(_is_concerned(row, one) for one in found)
    )


def _is_concerned(row: ClauseSetting, one: Any) -> bool:
    """Tell whether an obligation's terms would be others, and for this version's sake."""
    now, frozen = effective(one.unit_id, row.clause).versions, one.terms.get("settings", [])
    if list(now) == frozen:
        return False
    line = versions_of(one.unit_id)
    before = {v.id for v in line if (v.unit_id, v.clause) == (row.unit_id, row.clause)}
    return row.id in now or not before.isdisjoint(frozen)


def _below(unit_id: int) -> list[int]:
    below = Unit.path.startswith(unit_facts(unit_id).path, autoescape=True)
    return list(session().scalars(select(Unit.id).where(below)))


def _published() -> list[int]:
    wanted = select(CalendarYear.year).where(CalendarYear.final, CalendarYear.applied_at.is_(None))
    return list(session().scalars(wanted.order_by(CalendarYear.year)))


def _year(year: int) -> int:
    """Work out anew what rested on a provisional year. Values stay as they were; only the calendar changes."""
    with transaction():
        row = session().scalars(select(CalendarYear).where(CalendarYear.year == year).with_for_update()).one()
        if row.applied_at is not None:
            return 0
        unit_calendars.forget()
        first, after = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
        near = timedelta(days=1)
        wanted: list[ColumnElement[bool]] = [
            Obligation.provisional.is_(True),
            Obligation.start_at < after + near,
            or_(Obligation.due_at.is_(None), Obligation.due_at >= first - near),
        ]
        count = 0
        for record_id, found in _pending(wanted):
            clauses = sorted({one.clause for one in found if _rests_on(one, year)})
            count += _append(record_id, [{"clause": one, "calendar": True, "year": year} for one in clauses])
        row.applied_at = clock.now()
        return count


def _rests_on(one: Any, year: int) -> bool:
    """Tell whether the year was not published when an obligation froze its calendar."""
    return year not in unit_calendars.thaw(one.terms["calendar"]).terms.final_years


def _pending(wanted: Iterable[ColumnElement[bool]]) -> Iterator[tuple[int, list[Any]]]:
    """Yield (record, its pending obligations) that fit, record by record, a chunk at a time."""
    kept = (Obligation.state.in_(PENDING), *wanted)
    last = 0
    while True:
        ids = select(Obligation.record_id).where(*kept, Obligation.record_id > last)
        chunk = session().scalars(ids.distinct().order_by(Obligation.record_id).limit(CHUNK)).all()
        if not chunk:
            return
        columns = select(Obligation.record_id, Obligation.unit_id, Obligation.clause, Obligation.terms)
        rows = columns.where(*kept, Obligation.record_id.in_(chunk)).order_by(Obligation.record_id, Obligation.id)
        for record_id, found in groupby(session().execute(rows).all(), key=lambda one: int(one.record_id)):
            yield record_id, list(found)
        last = chunk[-1]


def _append(record_id: int, facts: Sequence[dict[str, Any]]) -> int:
    """Write facts on a record and let its obligations follow; one whose plugin is off waits untouched."""
    if not facts:
        return 0
    record = lock(record_id)
    try:
        kind = flow_of(record).fact_kinds[RELEASE]
    except NotFound:
        return 0
    written = [append_fact(record, kind, at=clock.now(), data=data) for data in facts]
    session().flush()
    follow(record, written)
    return len(written)

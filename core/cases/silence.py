"""A customer who stays silent has confirmed once the days of the unit are over (R03-3.5, scenario S11)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import release, session
from core.kernel.errors import AppError
from core.records.engine import perform
from core.records.models import SOLVED, Record
from core.rules.gates import is_switched_off
from core.rules.schedules import midnight
from core.rules.ticks import in_each_unit
from core.units.facts import local_day
from core.units.settings import setting

from .models import Case

CLAUSE = "R03-3.5"
MOST = 200  # cases of one unit in one round
log = logging.getLogger(__name__)


def silent_until(unit_id: int, sent: datetime) -> datetime:
    """Return the moment the days of silence are over: the day of sending does not count, the last one does in
    full.
    """
    days: int = setting(unit_id, "case.silence_days")
    return midnight(unit_id, local_day(unit_id, sent) + timedelta(days=days + 1))


def confirm_silent(unit_id: int) -> int:
    """Confirm, without a rating, the cases of a unit whose customers stayed silent long enough; return how many.

    A case that refuses is logged and left. Run it inside ``system_scope``, outside ``transaction()``.
    """
    if not setting(unit_id, "case.silence_confirms") or is_switched_off(unit_id, CLAUSE):
        return 0
    today = midnight(unit_id, local_day(unit_id))
    days: int = setting(unit_id, "case.silence_days")
    found = (
        select(Record.id, Case.result_sent_at)
        .join(Case, Case.id == Record.id)
        .where(
            Record.unit_id == unit_id,
            Record.type == "case",
            Record.category == SOLVED,
            Record.state.in_(("solved", "answered")),
            Case.result_sent_at < today - timedelta(days=days - 1),
        )
        .order_by(Case.result_sent_at, Record.id)
        .limit(MOST)
    )
    rows = session().execute(found).all()
    release()
    now = clock.now()
    return sum(_confirm(unit_id, key, sent) for key, sent in rows if sent and silent_until(unit_id, sent) <= now)


def _confirm(unit_id: int, record_id: int, sent: datetime) -> bool:
    try:
        perform(record_id, "confirm", {"means": "silence"}, at=silent_until(unit_id, sent))
    except AppError as refused:
        log.info("case %d is not confirmed by silence: %s", record_id, refused)
        return False
    return True


def confirm_all() -> int:
    """Do so in every unit (a kind of work of the tick)."""
    return in_each_unit("silence", confirm_silent)

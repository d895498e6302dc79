"""How guests may be reached is not kept for long (JD-12): emptied some days after the complaint ended."""

from __future__ import annotations

from datetime import timedelta

from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update

from core.sdk import OPEN_CATEGORIES, Job, Periodic, Record, clock, effective, session, transaction

from .models import Complaint

CLAUSE = "JD-12"
CHUNK = 500


def empty_contacts(unit_id: int) -> int:
    """Empty what guests left to be reached, of complaints that ended long enough ago; return how many.

    Harmless to run again, or twice at once. Where the clause is off, nothing is emptied.
    """
    found = effective(unit_id, CLAUSE)
    if not found.holds:
        return 0
    before = clock.now() - timedelta(days=int(found.values["days"]))
    count = 0
    while ids := _ended(unit_id, before):
        with transaction() as work:
            gone = update(Complaint).where(Complaint.unit_id == unit_id, Complaint.id.in_(ids)).values(contact="")
            work.execute(gone, execution_options={"synchronize_session": False})
        count += len(ids)
    return count


def _ended(unit_id: int, before: object) -> list[int]:
    mine = Complaint.unit_id == unit_id, Complaint.contact != "", Record.category.not_in(OPEN_CATEGORIES)
    wanted = (
        select(Complaint.id)
        .join(Record, Record.id == Complaint.id)
        .where(*mine, Record.closed_at < before)
        .order_by(Complaint.id)
        .limit(CHUNK)
    )
    return list(session().scalars(wanted))


def declared() -> list[Job | Periodic]:
    """Return the work outside requests."""
    return [Periodic("hotel.contacts", _l("Empty how guests were reached"), empty_contacts, timedelta(hours=12))]

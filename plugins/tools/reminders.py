"""Reminders to bring tools back: to whoever holds them, before the time and after it, up to a number. They stop.

Each is logged for the spell of custody and the time it was due, once: two runners never send the same twice. When
the tool is brought back the spell is over; when more time was given the counting begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import contains_eager

from core.sdk import Job, Periodic, Record, User, clock, lock, notify, session, setting, transaction, unit_facts

from . import values
from .custody import NARROW
from .models import Custody, Party, Reminder, Tool
from .notices import DUE
from .settings import REMIND_EVERY, REMIND_LEAD, REMIND_MOST

CHUNK = 200
# A lost one is not asked for; a broken one is to be brought back all the same.
_OUT = (values.ON_LOAN, values.DEFECTIVE)


@dataclass(frozen=True)
class Terms:
    """When a unit reminds: days before, days between, how many at most."""

    lead: timedelta
    every: timedelta
    most: int


def terms_of(unit_id: int) -> Terms:
    """Return a unit's settings about reminders."""
    lead, every, most = (int(setting(unit_id, one)) for one in (REMIND_LEAD, REMIND_EVERY, REMIND_MOST))
    return Terms(timedelta(days=lead), timedelta(days=every), most)


def next_number(terms: Terms, due_at: datetime, sent: Sequence[datetime], now: datetime) -> int | None:
    """Return the number of the reminder that is to be sent now, None for none.

    ``sent`` are the moments of those sent for this due time, the earliest first; numbers count from 0.
    """
    count = len(sent)
    if count >= terms.most:
        return None
    if now < due_at:
        return count if not count and terms.lead and now >= due_at - terms.lead else None
    late = [one for one in sent if one >= due_at]
    if not late:
        return count
    return count if terms.every and now >= late[-1] + terms.every else None


def send_due(unit_id: int) -> int:
    """Remind every holder in a unit whose tool is due now; return how many reminders went out.

    Harmless to run again, or twice at once. Each reminder is its own transaction.
    """
    terms, now = terms_of(unit_id), clock.now()
    if not terms.most:
        return 0
    count, after = 0, 0
    while batch := _due(unit_id, now + terms.lead, after):
        sent = _sent([one.id for one in batch])
        for spell in batch:
            due_at = spell.tool.due_at
            if due_at is None:
                continue
            number = next_number(terms, due_at, sent.get((spell.id, due_at), ()), now)
            count += number is not None and _remind(spell, due_at, number, now)
        after = batch[-1].id
    return count


def _due(unit_id: int, until: datetime, after: int) -> Sequence[Custody]:
    """Return open spells of tools due by a moment, held by somebody who can be told."""
    wanted = (
        select(Custody)
        .join(Tool, Tool.id == Custody.tool_id)
        .join(Record, Record.id == Tool.id)
        .join(Party, Party.id == Custody.party_id)
        .where(Tool.unit_id == unit_id, Tool.due_at.is_not(None), Tool.due_at <= until)
        .where(Custody.ends_at.is_(None), Custody.id > after, Record.state.in_(_OUT))
        .where(Party.kind.in_((values.PERSON, values.DEPARTMENT)), Party.user_id.is_not(None))
        .options(contains_eager(Custody.tool).contains_eager(Tool.record))
        .options(contains_eager(Custody.party).joinedload(Party.user))
        .order_by(Custody.id)
        .limit(CHUNK)
    )
    return session().scalars(wanted).all()


def _sent(custody_ids: Sequence[int]) -> dict[tuple[int, datetime], list[datetime]]:
    found: dict[tuple[int, datetime], list[datetime]] = {}
    wanted = select(Reminder).where(Reminder.custody_id.in_(custody_ids)).order_by(Reminder.number)
    for one in session().scalars(wanted.execution_options(**NARROW)):
        found.setdefault((one.custody_id, one.due_at), []).append(one.sent_at)
    return found


def _remind(spell: Custody, due_at: datetime, number: int, now: datetime) -> bool:
    """Log a reminder and send it; False where somebody else did at this moment."""
    user = spell.party.user
    if user is None:
        return False
    tool = spell.tool
    with transaction():
        lock(tool.id)
        if _due_now(spell) != due_at or not _logged(spell, due_at, number, now, user):
            return False
        zone = ZoneInfo(unit_facts(spell.unit_id).timezone)
        text = f"{tool.code} {tool.name} · {due_at.astimezone(zone):%Y-%m-%d %H:%M}"
        notify(tool.record, DUE, [user.id], text)
    return True


def _due_now(spell: Custody) -> datetime | None:
    """Return when the tool of a spell is due as it is now, None where it was brought back meanwhile."""
    mine = select(Tool.due_at).join(Custody, Custody.tool_id == Tool.id)
    return session().scalar(mine.where(Custody.id == spell.id, Custody.ends_at.is_(None)))


def _logged(spell: Custody, due_at: datetime, number: int, now: datetime, user: User) -> bool:
    row = Reminder(unit_id=spell.unit_id, custody_id=spell.id, number=number, due_at=due_at, sent_at=now)
    row.to = user.name[:120]
    try:
        with session().begin_nested():
            session().add(row)
            session().flush()
    except IntegrityError:
        return False
    return True


def of_tool(tool_id: int, limit: int = 20) -> Sequence[Reminder]:
    """Return the latest reminders about a tool, the newest first."""
    mine = select(Reminder).join(Custody, Custody.id == Reminder.custody_id).where(Custody.tool_id == tool_id)
    return session().scalars(mine.order_by(Reminder.id.desc()).limit(limit)).all()


def declared() -> list[Job | Periodic]:
    """Return the work outside requests."""
    return [Periodic("tools.remind", _l("Remind people to bring tools back"), send_due)]

"""The hotel day (酒店日): it begins and ends in the morning, so that a night belongs to the day before."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.sdk import clock, setting, unit_facts

from .settings import DAY_ENDS


def day_ends(unit_id: int) -> time:
    """Return the time of day at which the hotel day of a unit ends and the next one begins."""
    return time.fromisoformat(str(setting(unit_id, DAY_ENDS)))


def hotel_day(unit_id: int, moment: datetime | None = None) -> date:
    """Return the hotel day of an aware moment (default: now): before the morning it is still the day before."""
    local = (moment or clock.now()).astimezone(_zone(unit_id))
    return local.date() if local.time() >= day_ends(unit_id) else local.date() - timedelta(days=1)


def begins(unit_id: int, day: date) -> datetime:
    """Return the moment a hotel day begins (UTC); the day before ends then."""
    return clock.as_utc(datetime.combine(day, day_ends(unit_id), _zone(unit_id)))


def span(unit_id: int, day: date) -> tuple[datetime, datetime]:
    """Return the first moment of a hotel day and the first one after it."""
    return begins(unit_id, day), begins(unit_id, day + timedelta(days=1))


def _zone(unit_id: int) -> ZoneInfo:
    return ZoneInfo(unit_facts(unit_id).timezone)

"""The one clock. Rehearsals and tests set it; everything else only reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

_frozen: ContextVar[datetime | None] = ContextVar("shouhou_clock", default=None)


def now() -> datetime:
    """Return the present moment, always aware and in UTC."""
    return _frozen.get() or datetime.now(UTC)


@contextmanager
def frozen(moment: datetime) -> Iterator[None]:
    """Let ``now()`` answer ``moment`` (an aware datetime) inside the block.

    Raises:
        ValueError: ``moment`` has no time zone.
    """
    token = _frozen.set(as_utc(moment))
    try:
        yield
    finally:
        _frozen.reset(token)


def as_utc(moment: datetime) -> datetime:
    """Convert an aware datetime to UTC; a naive one is refused with ValueError."""
    if moment.tzinfo is None:
        raise ValueError("naive datetime: a time zone is needed")
    return moment.astimezone(UTC)


def day_in(zone: str, moment: datetime | None = None) -> date:
    """Return the calendar day of ``moment`` (aware; default: now) in a zone, by its IANA name."""
    return (moment or now()).astimezone(ZoneInfo(zone)).date()

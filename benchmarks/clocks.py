"""Working-hours deadlines a second on one core, beside walking day by day (and beside libraries, where installed).

pandas' CustomBusinessHour and ``businesstimedelta`` are no dependencies: they are measured where they are there.
"""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.rules.calendar import OFFICE_DAY, CalendarTerms, WorkingCalendar, epoch
from core.rules.clocks import Term, deadline
from core.rules.official import OFF, WORK, shipped_days

HOURS = 12


def office() -> WorkingCalendar:
    """Build the usual calendar with the official table of some years."""
    days = shipped_days(range(2024, 2028))
    off = frozenset(one.day for one in days if one.kind == OFF)
    work = frozenset(one.day for one in days if one.kind == WORK)
    return WorkingCalendar(CalendarTerms(off=off, work=work, final_years=frozenset({2024, 2025, 2026})))


def naive(calendar: WorkingCalendar, start: datetime, seconds: int) -> datetime:
    """Work it out as one would by hand: day by day, period by period."""
    day = calendar.day_of(start)
    while True:
        for begin, end in calendar.hours_of(day):
            opening, closing = calendar.moment(day, begin), calendar.moment(day, end)
            opening = max(opening, start)
            if closing <= opening:
                continue
            length = int((closing - opening).total_seconds())
            if seconds <= length:
                return opening + timedelta(seconds=seconds)
            seconds -= length
        day += timedelta(days=1)


def measure(count: int = 300_000) -> list[tuple[str, float]]:
    """Return (what, deadlines a second), ours first."""
    calendar, term = office(), Term(HOURS, "hour", "working")
    dice = random.Random(7)
    first = datetime(2025, 1, 1, tzinfo=UTC)
    starts = [first + timedelta(seconds=dice.randrange(600 * 86_400)) for _ in range(count)]
    numbers = [epoch(one) for one in starts]
    seconds = HOURS * 3600
    for one in starts[:200]:
        if naive(calendar, one, seconds) != calendar.add(one, seconds):
            raise AssertionError(f"the two ways differ at {one}")
    some = starts[: count // 5]
    found = [
        ("working-hours deadlines", _rate(lambda one: calendar.add(one, seconds), starts)),
        ("  the same in seconds since 1970", _rate(lambda one: calendar.add_epoch(one, seconds), numbers)),
        ("  with date and provisional years", _rate(lambda one: deadline(term, one, calendar), some)),
        ("  day by day", _rate(lambda one: naive(calendar, one, seconds), starts[: count // 50])),
    ]
    for name, prepare in (("pandas", _pandas), ("businesstimedelta", _businesstimedelta)):
        try:
            ask = prepare(calendar)
        except ImportError:
            continue
        found.append((f"  {name}", _rate(ask, starts[:3000])))
    return found


def _rate(ask: Callable[[Any], object], values: list[Any]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        for one in values:
            ask(one)
        best = min(best, time.perf_counter() - begun)
    return len(values) / best


def _pandas(calendar: WorkingCalendar) -> Callable[[datetime], object]:
    pandas = importlib.import_module("pandas")
    offset = pandas.offsets.CustomBusinessHour(
        n=HOURS, start=["09:00", "13:00"], end=["12:00", "18:00"], holidays=sorted(calendar.terms.off)
    )
    return lambda one: pandas.Timestamp(one).tz_convert(calendar.zone).tz_localize(None) + offset


def _businesstimedelta(calendar: WorkingCalendar) -> Callable[[datetime], object]:
    library = importlib.import_module("businesstimedelta")
    rules = [
        library.WorkDayRule(
            start_time=(datetime.min + timedelta(seconds=begin)).time(),
            end_time=(datetime.min + timedelta(seconds=end)).time(),
            working_days=[0, 1, 2, 3, 4],
        )
        for begin, end in OFFICE_DAY
    ]
    length = library.BusinessTimeDelta(library.Rules(rules), hours=HOURS)
    return lambda one: one.astimezone(calendar.zone).replace(tzinfo=None) + length

"""Why something is due when it is: the days between the event and the limit, one by one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from .calendar import DAY, WorkingCalendar
from .clocks import WORKING, Deadline, Term

MOST_DAYS = 62


@dataclass(frozen=True)
class DayStep:
    """One day on the way: what it is (``WorkingCalendar.kind_of``), and what of the term it took.

    ``seconds`` ran on it by a term in hours; ``number`` is its place in the count of a term in days, 0 where it
    was not counted.
    """

    day: date
    kind: str
    seconds: int = 0
    number: int = 0


def steps(term: Term, start: datetime, due: Deadline, calendar: WorkingCalendar) -> tuple[list[DayStep], int]:
    """Return the days from the event to the limit, at most 62 of them, and how many were left out.

    Pauses are not taken off. While the clock is paused there are none.
    """
    if due.at is None or due.day is None:
        return [], 0
    first = calendar.day_of(start)
    count = (due.day - first).days + 1
    days = [first + timedelta(days=n) for n in range(min(count, MOST_DAYS))]
    found: list[DayStep] = []
    number = 0
    for day in days:
        kind = calendar.kind_of(day)
        if not term.by_day:
            found.append(DayStep(day, kind, _seconds(term, start, due.at, day, calendar)))
            continue
        counts = day > calendar.day_of(due.began) and (term.clock != WORKING or calendar.is_working_day(day))
        number += counts
        found.append(DayStep(day, kind, 0, number if counts else 0))
    return found, count - len(days)


def _seconds(term: Term, start: datetime, until: datetime, day: date, calendar: WorkingCalendar) -> int:
    begin = max(start, calendar.moment(day, 0))
    end = min(until, calendar.moment(day, DAY))
    if end <= begin:
        return 0
    return calendar.between(begin, end) if term.clock == WORKING else int((end - begin).total_seconds())

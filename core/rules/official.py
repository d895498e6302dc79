"""The official holidays and make-up working days that ship with the product, as the State Council's notices say.

The table in the database is seeded from here; administrators correct it and add the notices of later years.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from textwrap import shorten

OFF, WORK = "off", "work"
FIRST_SHIPPED, LAST_SHIPPED = 2004, 2027
# The last year whose notice, make-up days included, the shipped table knows.
LAST_PUBLISHED = 2026

_SUFFIX = re.compile(r"（补假）| \(observed\)")
_SWAPPED = re.compile(r"(\d{4}-\d\d-\d\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class OfficialDay:
    """One day of the table: ``off`` or ``work``, with the occasion in Chinese and English."""

    day: date
    kind: str
    name: str
    name_en: str


def shipped_days(years: Iterable[int]) -> list[OfficialDay]:
    """Return the shipped days of these years, in order, free weekends beside a holiday included."""
    import holidays

    wanted = sorted(set(years))
    # The years around: a holiday of January may have its make-up day in December.
    asked = range(min(wanted) - 1, max(wanted) + 2)
    chinese = holidays.country_holidays("CN", years=asked, language="zh_CN")
    english = holidays.country_holidays("CN", years=asked, language="en_US")
    makeup = {day for day in chinese.weekend_workdays if day.year in asked}
    found: dict[date, OfficialDay] = {}
    swapped: dict[date, tuple[str, str]] = {}
    for run in _runs(set(chinese.keys()), makeup):
        names = _names(run, chinese, english)
        for day in run:
            found[day] = OfficialDay(day, OFF, *names[day])
            if swap := _SWAPPED.search(chinese.get(day, "")):
                swapped[date.fromisoformat(swap.group(1))] = names[day]
    for day in makeup:
        name, name_en = swapped.get(day, ("", ""))
        found[day] = OfficialDay(day, WORK, f"{name}调休上班", f"Make-up working day ({name_en or 'holiday'})")
    return [found[day] for day in sorted(found) if day.year in wanted]


def _runs(off: set[date], makeup: set[date]) -> list[list[date]]:
    """Join free days, and the weekends that touch them, to holidays as notices name them (a to b off)."""
    free = set(off)
    edge = list(off)
    while edge:
        day = edge.pop()
        for beside in (day - _DAY, day + _DAY):
            if beside.weekday() >= 5 and beside not in free and beside not in makeup:
                free.add(beside)
                edge.append(beside)
    runs: list[list[date]] = []
    for day in sorted(free):
        if runs and runs[-1][-1] == day - _DAY:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _names(run: list[date], chinese: dict[date, str], english: dict[date, str]) -> dict[date, tuple[str, str]]:
    """Give each day the name of its own holiday, else of the first of the run."""
    own = {d: _plain(chinese[d], english[d]) for d in run if d in chinese and not _SWAPPED.search(chinese[d])}
    first = next(iter(own.values()), ("", ""))
    return {day: own.get(day, first) for day in run}


def _plain(chinese: str, english: str) -> tuple[str, str]:
    name = _SUFFIX.sub("", chinese)
    if name == "农历除夕":
        return "春节", "Spring Festival"
    # One anniversary is called by a whole sentence.
    return name, "Spring Festival" if name == "春节" else shorten(_SUFFIX.sub("", english), 50, placeholder=" …")

"""The calendar that the rulebook's scenarios use: C0-T5 with the official table of 2025 and 2026."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.rules.calendar import CalendarTerms, WorkingCalendar
from core.rules.official import OFF, WORK, shipped_days

SHANGHAI = ZoneInfo("Asia/Shanghai")
_DAYS = shipped_days(range(2023, 2029))


def at(text: str) -> datetime:
    """Read a time in Beijing."""
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def office(**changes: Any) -> WorkingCalendar:
    """Build the usual calendar, changed where said."""
    terms = {
        "off": frozenset(one.day for one in _DAYS if one.kind == OFF),
        "work": frozenset(one.day for one in _DAYS if one.kind == WORK),
        "final_years": frozenset({2023, 2024, 2025, 2026}),
    }
    return WorkingCalendar(CalendarTerms(**{**terms, **changes}))


OFFICE = office()

"""The period a report is about: a preset that moves along with the day, or dates of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData
from core.kernel.fields import Field
from core.rules.clocks import add_months
from core.rules.schedules import midnight
from core.units.facts import local_day

OWN = "own"
PRESETS = (
    ("yesterday", _l("Yesterday")),
    ("last_week", _l("Last week")),
    ("this_month", _l("This month")),
    ("last_month", _l("Last month")),
    ("quarter", _l("This quarter")),
    ("last_quarter", _l("Last quarter")),
    ("year", _l("This year")),
    ("last_year", _l("Last year")),
    ("12months", _l("Last 12 months")),
    (OWN, _l("Dates of my own")),
)
MOST_DAYS = 366 * 3


class Period(NamedTuple):
    """Days, both included."""

    first: date
    last: date

    def months(self) -> Iterator[Period]:
        """Yield the period month by month, the first and the last as far as they lie in it."""
        start = self.first
        while start <= self.last:
            following = add_months(start.replace(day=1), 1)
            yield Period(start, min(self.last, following - timedelta(days=1)))
            start = following


def fields(usual: str = "this_month") -> tuple[Field, ...]:
    """Return the filters that choose a period; ``usual`` is the preset unless another is chosen."""
    return (
        Field("period", "choice", _l("Period"), choices=PRESETS, default=usual),
        Field("first", "date", _l("From")),
        Field("last", "date", _l("Until")),
    )


def of(values: Mapping[str, Any], unit_id: int) -> Period:
    """Return the period of cleaned filters, as of the day it is in the unit.

    Raises:
        InvalidData: dates of one's own that are missing, the wrong way round or too far apart.
    """
    chosen = values.get("period") or ("own" if values.get("first") else "this_month")
    return _own(values) if chosen == OWN else _preset(chosen, local_day(unit_id))


def moments(period: Period, unit_id: int) -> tuple[datetime, datetime]:
    """Return the beginning of a period and the moment after its end, in the unit's zone."""
    return midnight(unit_id, period.first), midnight(unit_id, period.last + timedelta(days=1))


def _own(values: Mapping[str, Any]) -> Period:
    first, last = values.get("first"), values.get("last")
    needed = _l("Please fill this in")
    missing = {name: needed for name, value in (("first", first), ("last", last)) if value is None}
    if missing or first is None or last is None:
        raise InvalidData(missing)
    if first.year < 1950 or last.year > 2199:
        raise InvalidData({"first": _l("This date is too far away")})
    if last < first:
        raise InvalidData({"last": _l("The end lies before the beginning")})
    if (last - first).days > MOST_DAYS:
        raise InvalidData({"last": _l("At most three years at once")})
    return Period(first, last)


def _preset(code: str, today: date) -> Period:
    month = today.replace(day=1)
    quarter = month.replace(month=(today.month - 1) // 3 * 3 + 1)
    year = month.replace(month=1)
    day, monday = timedelta(days=1), today - timedelta(days=today.weekday())
    spans = {
        "yesterday": (today - day, today - day),
        "last_week": (monday - 7 * day, monday - day),
        "this_month": (month, today),
        "last_month": (add_months(month, -1), month - day),
        "quarter": (quarter, today),
        "last_quarter": (add_months(quarter, -3), quarter - day),
        "year": (year, today),
        "last_year": (year.replace(year=year.year - 1), year - day),
        "12months": (add_months(month, -11), today),
    }
    return Period(*spans[code])

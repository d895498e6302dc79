"""The working calendar: which seconds a unit works, as a value. Pure: no database, no clock of its own.

Moments go in and out aware; inside everything is whole seconds since 1970 (UTC), fractions dropped. Openings lie
in one sorted table with the time worked before each, so a deadline is two look-ups, whatever its length.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l

from core.kernel.errors import AppError

DAY = 86_400
FIRST_YEAR, LAST_YEAR = 1950, 2200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = EPOCH.toordinal()

# What a calendar takes over of the official table: nothing, the holidays, or make-up working days as well.
OWN, HOLIDAYS, ALL = "none", "holidays", "all"
OFFICIAL = (OWN, HOLIDAYS, ALL)

# (from, to) in seconds after midnight; ``to`` may lie in the next day, up to 24 hours after ``from``.
Spans = tuple[tuple[int, int], ...]
_HOUR = 3600
OFFICE_DAY: Spans = ((9 * _HOUR, 12 * _HOUR), (13 * _HOUR, 18 * _HOUR))
OFFICE_WEEK: tuple[Spans, ...] = (*([OFFICE_DAY] * 5), (), ())


class CalendarError(AppError):
    """A calendar cannot answer."""

    status = 422
    code = "calendar"


class NoWorkingTime(CalendarError):
    """The calendar has no working time there, so the clock would never end."""

    code = "no_working_time"
    title = _l("This calendar has no working time, so nothing can become due by it")


class TooFar(CalendarError):
    """The answer lies outside the years that calendars reach."""

    code = "too_far"
    title = _l(
        "This lies too far away: calendars reach from %(first)d to %(last)d", first=FIRST_YEAR, last=LAST_YEAR
    )


@dataclass(frozen=True)
class CalendarTerms:
    """All that decides a calendar. Two calendars with equal terms have equal ``version`` and answer alike (C0-T5).

    ``weekly`` holds Monday to Sunday; ``makeup`` the hours of an official make-up working day (empty: those of
    its weekday). ``overrides`` are the unit's own dated hours and go before the official table. ``final_years``
    are the years whose official table is published; what rests on any other is provisional.

    Raises:
        ValueError: hours that overlap or run longer than a day, not seven days, an unknown zone or word.
    """

    timezone: str = "Asia/Shanghai"
    weekly: tuple[Spans, ...] = OFFICE_WEEK
    makeup: Spans = OFFICE_DAY
    official: str = ALL
    overrides: tuple[tuple[date, Spans], ...] = ()
    off: frozenset[date] = frozenset()
    work: frozenset[date] = frozenset()
    final_years: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if len(self.weekly) != 7 or self.official not in OFFICIAL:
            raise ValueError("a week has seven days, and the official table is used as: " + ", ".join(OFFICIAL))
        try:
            ZoneInfo(self.timezone)
        except (LookupError, ValueError, OSError) as error:
            raise ValueError(f"no time zone {self.timezone!r}") from error
        for spans in (*self.weekly, self.makeup, *(one for _, one in self.overrides)):
            check_spans(spans)

    @cached_property
    def version(self) -> str:
        """The hash of the terms: 32 hexadecimal digits."""
        text = json.dumps(self.frozen(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def frozen(self) -> dict[str, Any]:
        """Return the terms as JSON; ``thawed`` reads them back."""
        return {
            "timezone": self.timezone,
            "weekly": [[list(span) for span in spans] for spans in self.weekly],
            "makeup": [list(span) for span in self.makeup],
            "official": self.official,
            "overrides": [
                [day.isoformat(), [list(span) for span in spans]] for day, spans in sorted(self.overrides)
            ],
            "off": [day.isoformat() for day in sorted(self.off)],
            "work": [day.isoformat() for day in sorted(self.work)],
            "final_years": sorted(self.final_years),
        }

    @classmethod
    def thawed(cls, data: Mapping[str, Any]) -> CalendarTerms:
        """Read what ``frozen`` wrote.

        Raises:
            ValueError: it was not written by ``frozen``.
        """
        try:
            return cls(
                timezone=data["timezone"],
                weekly=tuple(_spans(one) for one in data["weekly"]),
                makeup=_spans(data["makeup"]),
                official=data["official"],
                overrides=tuple((date.fromisoformat(day), _spans(spans)) for day, spans in data["overrides"]),
                off=frozenset(map(date.fromisoformat, data["off"])),
                work=frozenset(map(date.fromisoformat, data["work"])),
                final_years=frozenset(data["final_years"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a frozen calendar: {error}") from error


def check_spans(spans: Spans) -> None:
    """Pass if hours of one day are in order, do not overlap, and end within 24 hours of their beginning.

    Raises:
        ValueError: they do not fit.
    """
    before = 0
    for begin, end in spans:
        if not (before <= begin < end and begin < DAY and end <= begin + DAY):
            raise ValueError(f"hours {spans} overlap, are out of order or too long")
        before = end
    if spans and spans[-1][1] > spans[0][0] + DAY:
        raise ValueError(f"hours {spans} run into their own beginning")


def _spans(raw: Any) -> Spans:
    return tuple((int(begin), int(end)) for begin, end in raw)


@dataclass(frozen=True, slots=True)
class _Table:
    """Openings of some years. ``before[i]`` is the time worked before opening i; the last entry is the sum."""

    years: tuple[int, int]
    first: int
    last: int
    starts: list[int]
    ends: list[int]
    before: list[int]
    # Working days (ordinals) with the moment each closes.
    days: list[int]
    closes: list[int]


@dataclass
class WorkingCalendar:
    """Answers by a set of terms. Immutable to the outside; the table inside grows as far as it is asked."""

    terms: CalendarTerms = field(default_factory=CalendarTerms)

    def __post_init__(self) -> None:
        self.zone = ZoneInfo(self.terms.timezone)
        self._override = {day.toordinal(): spans for day, spans in self.terms.overrides}
        used = self.terms.official
        self._off = frozenset(day.toordinal() for day in self.terms.off) if used != OWN else frozenset()
        self._work = frozenset(day.toordinal() for day in self.terms.work) if used == ALL else frozenset()
        self._table: _Table | None = None
        self._midnights: dict[int, int] = {}
        self._usual_offset = round(_offset(self.zone, datetime(2020, 1, 1)).total_seconds())  # noqa: DTZ001

    @property
    def version(self) -> str:
        """The hash of the terms (``CalendarTerms.version``)."""
        return self.terms.version

    # --- seconds ---------------------------------------------------------------------------------

    def add(self, start: datetime, seconds: int) -> datetime:
        """Return when ``seconds`` of working time after ``start`` are over (C0-T1, T6).

        A time that ends exactly at closing is due at closing, not at the next opening. Outside working hours
        the clock starts at the next opening. Negative seconds count back, to an opening rather than the
        closing before it.

        Raises:
            NoWorkingTime, TooFar: there is no such moment.
            ValueError: ``start`` has no time zone.
        """
        return EPOCH + timedelta(seconds=self.add_epoch(epoch(start), seconds))

    def add_epoch(self, start: int, seconds: int) -> int:
        """Do as ``add``, in seconds since 1970."""
        table = self._table
        while True:
            if table is None or not table.first <= start < table.last:
                table = self._covering(start)
            starts, before = table.starts, table.before
            place = bisect_right(starts, start) - 1
            worked = 0
            if place >= 0:
                gone, length = start - starts[place], table.ends[place] - starts[place]
                worked = before[place] + (gone if gone < length else length)
            target = worked + seconds
            if seconds > 0:
                found = bisect_left(before, target) - 1
                if found < len(starts):
                    return starts[found] + target - before[found]
                table = self._further(table, +1)
            elif seconds < 0:
                if target >= 0 and starts:
                    found = bisect_right(before, target) - 1
                    return starts[found] + target - before[found]
                table = self._further(table, -1)
            elif place >= 0 and start <= table.ends[place]:
                return start
            elif place + 1 < len(starts):
                return starts[place + 1]
            else:
                table = self._further(table, +1)

    def between(self, start: datetime, end: datetime) -> int:
        """Return the working seconds from ``start`` to ``end``; negative if ``end`` comes first."""
        return self.between_epoch(epoch(start), epoch(end))

    def between_epoch(self, start: int, end: int) -> int:
        """Do as ``between``, in seconds since 1970."""
        table = self._table
        if table is None or not (table.first <= start < table.last and table.first <= end < table.last):
            self._covering(start)
            table = self._covering(end)
        return _worked(table, end) - _worked(table, start)

    def is_open(self, at: datetime) -> bool:
        """Tell whether the unit works at this moment. A closing time is no longer working time."""
        moment = epoch(at)
        table = self._covering(moment)
        place = bisect_right(table.starts, moment) - 1
        return place >= 0 and moment < table.ends[place]

    # --- days ------------------------------------------------------------------------------------

    def day_of(self, at: datetime) -> date:
        """Return the date in the calendar's time zone."""
        if at.tzinfo is None:
            raise ValueError("naive datetime: a time zone is needed")
        return at.astimezone(self.zone).date()

    def day_at(self, moment: int) -> date:
        """Do as ``day_of``, in seconds since 1970."""
        number = _EPOCH_DAY + (moment + self._usual_offset) // DAY
        known = self._midnights
        if number not in known or number + 1 not in known:
            for one in (number, number + 1):
                self._midnight(one)
        if known[number] <= moment < known[number + 1]:
            return date.fromordinal(number)
        return self.day_of(EPOCH + timedelta(seconds=moment))

    def hours_of(self, day: date) -> Spans:
        """Return the working hours that begin on this day."""
        return self._hours(day.toordinal())

    def is_working_day(self, day: date) -> bool:
        """Tell whether any working time begins on this day."""
        return bool(self.hours_of(day))

    def kind_of(self, day: date) -> str:
        """Tell what makes the day what it is: own, holiday, makeup, work or rest."""
        number = day.toordinal()
        if number in self._override:
            return "own"
        if number in self._off:
            return "holiday"
        if number in self._work:
            return "makeup"
        return "work" if self._hours(number) else "rest"

    def add_days(self, day: date, count: int) -> date:
        """Return the ``count``-th working day after ``day``; 0 is the day itself or the next working day.

        Negative counts go back.

        Raises:
            NoWorkingTime, TooFar: there is none.
        """
        number = day.toordinal()
        table = self._covering(self._midnight(number))
        while True:
            if count > 0:
                found = bisect_right(table.days, number) + count - 1
            else:
                found = bisect_left(table.days, number) + count
            if 0 <= found < len(table.days):
                return date.fromordinal(table.days[found])
            table = self._further(table, +1 if found >= 0 else -1)

    def days_between(self, after: date, until: date) -> int:
        """Count the working days after ``after`` up to and including ``until``; 0 if ``until`` is not later."""
        self._covering(self._midnight(after.toordinal()))
        table = self._covering(self._midnight(until.toordinal()))
        return max(0, bisect_right(table.days, until.toordinal()) - bisect_right(table.days, after.toordinal()))

    def closings_between(self, start: datetime, end: datetime) -> int:
        """Count the working days that close after ``start`` and not after ``end``."""
        self._covering(epoch(start))
        table = self._covering(epoch(end))
        return max(0, bisect_right(table.closes, epoch(end)) - bisect_right(table.closes, epoch(start)))

    def moment(self, day: date, seconds: int) -> datetime:
        """Return the moment ``seconds`` after midnight by the wall clock; a missing hour is its end."""
        return EPOCH + timedelta(seconds=self._instant(day.toordinal(), seconds))

    def end_of(self, day: date, *, at_close: bool = False) -> datetime:
        """Return the last second of the day, or its last closing if it has one and ``at_close`` is set (C0-T3).

        24:00 is written 23:59:59, so that its date is the day itself.
        """
        spans = self.hours_of(day) if at_close else ()
        if spans:
            return EPOCH + timedelta(seconds=self._instant(day.toordinal(), spans[-1][1], last=True))
        return EPOCH + timedelta(seconds=self._midnight(day.toordinal() + 1) - 1)

    def provisional(self, first: date, last: date) -> tuple[int, ...]:
        """Return the years from ``first`` to ``last`` without a published official table, if it is used."""
        if self.terms.official == OWN:
            return ()
        final, year = self.terms.final_years, first.year
        if year == last.year:
            return () if year in final else (year,)
        return tuple(year for year in range(first.year, last.year + 1) if year not in final)

    # --- inside ------------------------------------------------------------------------------------

    def _hours(self, number: int) -> Spans:
        own = self._override.get(number)
        if own is not None:
            return own
        if number in self._off:
            return ()
        usual = self.terms.weekly[(number - 1) % 7]
        return (self.terms.makeup or usual) if number in self._work else usual

    def _covering(self, moment: int) -> _Table:
        """Return a table that knows everything around ``moment``."""
        table = self._table
        if table is not None and table.first <= moment < table.last:
            return table
        year = (EPOCH + timedelta(seconds=moment)).astimezone(self.zone).year if abs(moment) < 1e10 else 0
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise TooFar()
        first, last = table.years if table else (year, year)
        return self._grow(min(first, year - 1), max(last, year + 1))

    def _further(self, table: _Table, direction: int) -> _Table:
        """Return a table that reaches further; each step doubles, and the years are bounded, so it always ends."""
        first, last = table.years
        width = last - first + 1
        lowest, highest = self._limits()
        if direction > 0 and last < highest:
            return self._grow(first, min(last + width, highest))
        if direction < 0 and first > lowest:
            return self._grow(max(first - width, lowest), last)
        raise TooFar() if any(self.terms.weekly) else NoWorkingTime()

    def _limits(self) -> tuple[int, int]:
        """Return the years beyond which looking for working time is vain."""
        if any(self.terms.weekly):
            return FIRST_YEAR, LAST_YEAR
        special = [date.fromordinal(number).year for number in (*self._override, *self._work)]
        return min(special, default=LAST_YEAR), max(special, default=FIRST_YEAR)

    def _grow(self, first: int, last: int) -> _Table:
        # Other threads may build the same table at the same time; each puts a whole one into place.
        self._table = table = self._build(max(first, FIRST_YEAR), min(last, LAST_YEAR))
        return table

    def _build(self, first: int, last: int) -> _Table:
        begin, stop = date(first, 1, 1).toordinal(), date(last + 1, 1, 1).toordinal()
        starts: list[int] = []
        ends: list[int] = []
        days: list[int] = []
        closes: list[int] = []
        # A night shift of the day before reaches into the first day, and one of the last day out of it.
        for number, spans in self._open_days(begin - 2, stop + 2):
            for opening, closing in spans:
                if ends and opening <= ends[-1]:
                    ends[-1] = max(ends[-1], closing)
                else:
                    starts.append(opening)
                    ends.append(closing)
            if begin <= number < stop:
                days.append(number)
                closes.append(max(spans[-1][1], closes[-1] if closes else spans[-1][1]))
        before = [0]
        for opening, closing in zip(starts, ends, strict=True):
            before.append(before[-1] + closing - opening)
        return _Table(
            (first, last), self._midnight(begin), self._midnight(stop), starts, ends, before, days, closes
        )

    def _open_days(self, begin: int, stop: int) -> Iterator[tuple[int, Spans]]:
        """Yield (day, its hours as seconds since 1970) of the working days."""
        midnights = [self._midnight(number) for number in range(begin, stop + 2)]
        for place, number in enumerate(range(begin, stop)):
            spans = self._hours(number)
            if not spans:
                continue
            midnight = midnights[place]
            if midnights[place + 2] - midnight == 2 * DAY and midnights[place + 1] - midnight == DAY:
                yield number, tuple((midnight + a, midnight + b) for a, b in spans)
            else:
                exact = ((self._instant(number, a), self._instant(number, b, last=True)) for a, b in spans)
                if kept := tuple((a, b) for a, b in exact if a < b):
                    yield number, kept

    def _midnight(self, number: int) -> int:
        known = self._midnights.get(number)
        if known is None:
            known = self._midnights[number] = self._instant(number, 0)
        return known

    def _instant(self, number: int, seconds: int, *, last: bool = False) -> int:
        """Return when the wall clock shows this time: the first or ``last`` time; a missing hour is its end."""
        more, seconds = divmod(seconds, DAY)
        wall = (number + more - _EPOCH_DAY) * DAY + seconds
        naive = datetime.fromordinal(number + more) + timedelta(seconds=seconds)
        one, other = (wall - round(_offset(self.zone, naive.replace(fold=fold)).total_seconds()) for fold in (0, 1))
        if one <= other:
            return other if last else one
        return self._transition(other, one)

    def _transition(self, early: int, late: int) -> int:
        """Return the second at which the offset changes between the two."""
        changed = self._offset_at(late)
        while early < late:
            middle = (early + late) // 2
            if self._offset_at(middle) == changed:
                late = middle
            else:
                early = middle + 1
        return late

    def _offset_at(self, moment: int) -> timedelta | None:
        return (EPOCH + timedelta(seconds=moment)).astimezone(self.zone).utcoffset()


def epoch(at: datetime) -> int:
    """Return whole seconds since 1970, fractions dropped.

    Raises:
        ValueError: ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("naive datetime: a time zone is needed")
    gone = at - EPOCH
    return gone.days * DAY + gone.seconds


@lru_cache(maxsize=256)
def compiled(terms: CalendarTerms) -> WorkingCalendar:
    """Return the calendar of these terms; its table is built once in each process."""
    return WorkingCalendar(terms)


def _worked(table: _Table, moment: int) -> int:
    place = bisect_right(table.starts, moment) - 1
    if place < 0:
        return 0
    return table.before[place] + min(moment - table.starts[place], table.ends[place] - table.starts[place])


def _offset(zone: ZoneInfo, naive: datetime) -> timedelta:
    return zone.utcoffset(naive) or timedelta(0)

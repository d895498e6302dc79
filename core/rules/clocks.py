"""Clocks of clauses: when a term that begins with an event is over, and by how much something is late.

C0-T1 to T12 of the parameters and the semantics of the feature list, as functions of values. Nothing here reads the
database or the time of day.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData

from .calendar import DAY, EPOCH, FIRST_YEAR, LAST_YEAR, TooFar, WorkingCalendar, epoch

T = TypeVar("T")

MINUTE, HOUR, DAYS, WEEK, MONTH, YEAR = "minute", "hour", "day", "week", "month", "year"
UNITS = (MINUTE, HOUR, DAYS, WEEK, MONTH, YEAR)
CALENDAR, WORKING = "calendar", "working"
CLOCKS = (CALENDAR, WORKING)
MIDNIGHT, CLOSE = "24:00", "business_close"
DAY_ENDS = (MIDNIGHT, CLOSE)
_SECONDS = {MINUTE: 60, HOUR: 3600}
_MONTHS = {MONTH: 1, YEAR: 12}
MOST = {MINUTE: 60 * 24 * 366 * 20, HOUR: 24 * 366 * 20, DAYS: 366 * 50, WEEK: 52 * 50, MONTH: 12 * 100, YEAR: 100}


def _decimal(value: object) -> Decimal:
    """Read a number; what is none becomes NaN, which every check refuses."""
    if isinstance(value, bool | float):
        value = str(value)
    try:
        return value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        return Decimal("NaN")


@dataclass(frozen=True)
class Term:
    """How long a clause gives: ``amount`` pieces of ``unit``, run by ``clock`` (C0-T1: as long as nothing else is
    said, all day and every day; ``working`` counts the working calendar's hours or days).

    0 days is the same day, or the same working day. ``day_end`` says when a last day ends (T3), ``roll`` whether a
    last day that is a rest day moves on to the next working day (T4). ``until`` is a time of day (seconds after
    midnight) that ends the last day instead; an event after ``cutoff`` counts to the next day. The last four
    concern days, weeks, months and years only.

    Raises:
        InvalidData: the parts do not fit together; under the part's name.
    """

    amount: Decimal
    unit: str
    clock: str = CALENDAR
    day_end: str = MIDNIGHT
    roll: bool = False
    until: int | None = None
    cutoff: int | None = None

    def __post_init__(self) -> None:
        wrong: dict[str, Any] = {}
        for name, value, known in (("unit", self.unit, UNITS), ("clock", self.clock, CLOCKS)):
            if value not in known:
                wrong[name] = _l("Please choose one of the list")
        if self.day_end not in DAY_ENDS:
            wrong["day_end"] = _l("Please choose one of the list")
        if not wrong and self.clock == WORKING and self.unit in _MONTHS:
            wrong["clock"] = _l("Months and years run by the calendar only")
        if not wrong:
            wrong |= self._wrong_amount()
        for name in ("until", "cutoff"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= DAY:
                wrong[name] = _l("Please enter a time such as 17:00")
        if wrong:
            raise InvalidData(wrong)

    def _wrong_amount(self) -> dict[str, Any]:
        amount = _decimal(self.amount)
        object.__setattr__(self, "amount", amount)
        if not amount.is_finite():
            return {"amount": _l("Please enter a number")}
        if amount < 0:
            return {"amount": _l("At least %(number)s", number=0)}
        if amount > MOST[self.unit]:
            return {"amount": _l("At most %(number)s", number=MOST[self.unit])}
        pieces = amount * _SECONDS.get(self.unit, 1)
        if pieces != int(pieces):
            return {"amount": _l("Please enter a whole number")}
        return {}

    @cached_property
    def by_day(self) -> bool:
        """Whether the term ends with a day and not with a second."""
        return self.unit not in _SECONDS

    @cached_property
    def seconds(self) -> int:
        """The length of a term in minutes or hours."""
        return int(self.amount * _SECONDS[self.unit])

    @property
    def days(self) -> int:
        """The number of days of a term in days or weeks; a working week has five."""
        week = 5 if self.clock == WORKING else 7
        return int(self.amount) * (week if self.unit == WEEK else 1)

    def frozen(self) -> dict[str, Any]:
        """Return the term as JSON; ``thawed`` reads it back."""
        parts = {name: getattr(self, name) for name in ("unit", "clock", "day_end", "roll", "until", "cutoff")}
        return {"amount": str(self.amount), **parts}

    @classmethod
    def thawed(cls, data: Mapping[str, Any]) -> Term:
        """Read what ``frozen`` wrote, or a term written by hand.

        Raises:
            InvalidData: something does not fit.
        """
        known = ("unit", "clock", "day_end", "roll", "until", "cutoff")
        if unknown := set(data) - {*known, "amount"}:
            raise InvalidData({name: _l("Unknown word") for name in sorted(unknown)})
        parts = {name: data[name] for name in known if name in data}
        return cls(_decimal(data.get("amount")), **{"unit": "", **parts})


@dataclass(frozen=True)
class Pause:
    """A time during which a clock stands still; no ``end`` while it lasts."""

    start: datetime
    end: datetime | None = None


class Deadline(NamedTuple):
    """When a term is over. ``at`` is the last second that is still in time (C0-T8), None while the clock is paused.

    ``day`` is its date in the calendar's zone, ``began`` the moment the clock really started, ``rolled_from`` the
    rest day it was moved from, ``paused`` the length of the pauses that counted (seconds, or days of a term by
    day), ``provisional`` the years without a published official table it rests on.
    """

    at: datetime | None
    day: date | None
    began: datetime
    rolled_from: date | None = None
    paused: int = 0
    provisional: tuple[int, ...] = ()


@dataclass(frozen=True)
class Lateness:
    """By how much something came too late: in seconds of the term's clock, and (C0-T12) in days of ``clock``."""

    late: bool
    seconds: int = 0
    days: int = 0


@dataclass(frozen=True)
class Immediately:
    """C0-T10: a target to aim at and a limit to keep; the target never lies after the limit."""

    target: Deadline
    limit: Deadline


IMMEDIATE_TARGET = Term(Decimal(30), MINUTE)
IMMEDIATE_LIMIT = Term(Decimal(0), DAYS, WORKING)


# --- when is it due ------------------------------------------------------------------------------


def deadline(term: Term, start: datetime, calendar: WorkingCalendar, pauses: Iterable[Pause] = ()) -> Deadline:
    """Return when a term that begins with an event at ``start`` is over.

    A pause counts as far as it lies between the start and the moment the term would be over by then; its length is
    measured in the term's own clock. Pauses that overlap count once.

    Raises:
        CalendarError: the calendar has no working time, or the answer lies too far away.
        ValueError: a moment has no time zone, or a pause ends before it begins.
    """
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise TooFar()
    kept = _merged(pauses) if pauses else ()
    return _by_day(term, start, calendar, kept) if term.by_day else _by_second(term, start, calendar, kept)


def immediately(
    start: datetime,
    calendar: WorkingCalendar,
    pauses: Iterable[Pause] = (),
    *,
    target: Term = IMMEDIATE_TARGET,
    limit: Term = IMMEDIATE_LIMIT,
) -> Immediately:
    """Return target and limit of something to be done at once (C0-T10). Raises as ``deadline``."""
    kept = tuple(pauses)
    last = deadline(limit, start, calendar, kept)
    aim = deadline(target, start, calendar, kept)
    if aim.at is not None and last.at is not None and aim.at > last.at:
        aim = aim._replace(at=last.at, day=last.day)
    return Immediately(aim, last)


def _by_second(term: Term, start: datetime, calendar: WorkingCalendar, pauses: Sequence[Pause]) -> Deadline:
    working = term.clock == WORKING
    begin = epoch(start)

    def due_after(seconds: int) -> int:
        return calendar.add_epoch(begin, seconds) if working else begin + seconds

    began, stopped, due = due_after(0), 0, due_after(term.seconds)
    for pause in pauses:
        since = max(epoch(pause.start), begin)
        if since >= due:
            break
        if pause.end is None:
            return Deadline(None, None, _moment(began), None, stopped)
        until = max(epoch(pause.end), since)
        stopped += calendar.between_epoch(since, until) if working else until - since
        due = due_after(term.seconds + stopped)
    day = calendar.day_at(due)
    years = calendar.provisional(calendar.day_at(begin), day) if working else ()
    return Deadline(_moment(due), day, _moment(began), None, stopped, years)


def _by_day(term: Term, start: datetime, calendar: WorkingCalendar, pauses: Sequence[Pause]) -> Deadline:
    first = _first_day(term, start, calendar)
    stopped, found = 0, _day_end(term, start, calendar, first, 0)
    for pause in pauses:
        since = max(pause.start, start)
        if found.at is None or since > found.at:
            break
        if pause.end is None:
            return found._replace(at=None, day=None, rolled_from=None, paused=stopped)
        stopped += _days_paused(term, calendar, since, max(pause.end, since))
        found = _day_end(term, start, calendar, first, stopped)
    return found


def _first_day(term: Term, start: datetime, calendar: WorkingCalendar) -> date:
    """Return the day the event counts to: its own, or the next after the cut-off (E56).

    With a cut-off and a working clock it is a working day. A term of the same working day starts, as a working
    clock does, at the next opening (T6).
    """
    day = calendar.day_of(start)
    if term.cutoff is not None:
        late = int(epoch(start) > epoch(calendar.moment(day, term.cutoff)))
        return calendar.add_days(day, late) if term.clock == WORKING else day + timedelta(days=late)
    if term.clock == CALENDAR or term.amount:
        return day
    opening = calendar.day_of(calendar.add(start, 0))
    return calendar.add_days(max(day, opening) if calendar.hours_of(opening) else day, 0)


def _day_end(term: Term, start: datetime, calendar: WorkingCalendar, first: date, extra: int) -> Deadline:
    day = _last_day(term, calendar, first, extra)
    rolled = None
    # On the day itself the hour may have passed when the event comes: then the next day ends the term.
    if _end(term, calendar, day) < start:
        by_business = term.clock == WORKING or (term.day_end == CLOSE and term.until is None)
        day = calendar.add_days(day, 1) if by_business else day + timedelta(days=1)
    if term.roll and not calendar.is_working_day(day):
        rolled, day = day, calendar.add_days(day, 0)
    at = _end(term, calendar, day)
    uses = term.clock == WORKING or term.roll or term.day_end == CLOSE
    years = calendar.provisional(first, day) if uses else ()
    began = start
    if first != calendar.day_of(start):
        midnight = calendar.moment(first, 0)
        began = calendar.add(midnight, 0) if term.clock == WORKING else midnight
    return Deadline(at, day, began, rolled, extra, years)


def _last_day(term: Term, calendar: WorkingCalendar, first: date, extra: int) -> date:
    if term.unit in _MONTHS:
        return add_months(first, int(term.amount) * _MONTHS[term.unit]) + timedelta(days=extra)
    count = term.days + extra
    if term.clock == WORKING:
        return calendar.add_days(first, count) if count else first
    return first + timedelta(days=count)


def _end(term: Term, calendar: WorkingCalendar, day: date) -> datetime:
    if term.until is not None:
        return calendar.moment(day, term.until) if term.until < DAY else calendar.end_of(day)
    return calendar.end_of(day, at_close=term.day_end == CLOSE)


def _days_paused(term: Term, calendar: WorkingCalendar, start: datetime, end: datetime) -> int:
    """Count the days lost: midnights of a calendar clock, closings of a working one.

    A day counts against the term if the clock was running when the day ended; so parts of a pause add up, and a
    pause outside working time loses nothing.
    """
    if term.clock == WORKING:
        return calendar.closings_between(start, end)
    return (calendar.day_of(end) - calendar.day_of(start)).days


def add_months(day: date, count: int) -> date:
    """Return the same date ``count`` months later, or that month's last day where the date is missing (C0-T7)."""
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(year, month + 1, min(day.day, months.monthrange(year, month + 1)[1]))


def _merged(pauses: Iterable[Pause]) -> list[Pause]:
    """Return the pauses in order, those that touch or overlap as one."""
    kept: list[Pause] = []
    for pause in sorted(pauses, key=lambda one: epoch(one.start)):
        if pause.end is not None and epoch(pause.end) < epoch(pause.start):
            raise ValueError("a pause ends before it begins")
        held = kept[-1] if kept else None
        if held is None or (held.end is not None and epoch(held.end) < epoch(pause.start)):
            kept.append(pause)
        elif held.end is not None and (pause.end is None or pause.end > held.end):
            kept[-1] = Pause(held.start, pause.end)
    return kept


def _moment(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


# --- how long, how late --------------------------------------------------------------------------


def elapsed(
    term: Term, start: datetime, end: datetime, calendar: WorkingCalendar, pauses: Iterable[Pause] = ()
) -> int:
    """Return how much of the term's clock ran from ``start`` to ``end``: seconds, or days of a term by day.

    Days are counted as ``deadline`` counts them: the day of the event not, the day of ``end`` in full. 0 where
    ``end`` is not later than ``start``. Raises as ``deadline``.
    """
    if epoch(end) <= epoch(start):
        return 0
    stopped = [Pause(max(p.start, start), min(p.end or end, end)) for p in pauses if p.start < end]
    held = [p for p in _merged(p for p in stopped if p.end and p.end >= p.start) if p.end]
    if not term.by_day:
        measure = calendar.between if term.clock == WORKING else _wall
        return measure(start, end) - sum(measure(p.start, p.end) for p in held if p.end)
    first, last = _first_day(term, start, calendar), calendar.day_of(end)
    whole = calendar.days_between(first, last) if term.clock == WORKING else max(0, (last - first).days)
    return max(0, whole - sum(_days_paused(term, calendar, p.start, p.end) for p in held if p.end))


def late_by(
    term: Term, due: Deadline | datetime, done: datetime, calendar: WorkingCalendar, *, day_unit: str = ""
) -> Lateness:
    """Return by how much ``done`` missed the limit, in the term's own clock.

    Doing it in the very second of the limit is in time (T8). ``days`` are the dates after the due date up to and
    including the day it was done (T12); ``day_unit`` "working" counts working days only, '' goes by the term.

    Raises:
        InvalidData: an unknown ``day_unit``.
    """
    if day_unit not in ("", *CLOCKS):
        raise InvalidData({"day_unit": _l("Please choose one of the list")})
    at = due.at if isinstance(due, Deadline) else due
    if at is None or epoch(done) <= epoch(at):
        return Lateness(False)
    seconds = calendar.between(at, done) if term.clock == WORKING else _wall(at, done)
    after, until = calendar.day_of(at), calendar.day_of(done)
    working = (day_unit or term.clock) == WORKING
    days = calendar.days_between(after, until) if working else (until - after).days
    return Lateness(True, seconds, days)


def warn_at(
    term: Term, due: Deadline, calendar: WorkingCalendar, share: Decimal = Decimal("0.25")
) -> datetime | None:
    """Return when to warn: when this share of the term's own clock is left; None while the clock is paused.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0 and 1")
    if due.at is None:
        return None
    if term.clock == WORKING:
        left = int(calendar.between(due.began, due.at) * share)
        return max(due.began, calendar.add(due.at, -left) if left else due.at)
    return due.at - timedelta(seconds=int(_wall(due.began, due.at) * share))


def _wall(start: datetime, end: datetime) -> int:
    return epoch(end) - epoch(start)


# --- bands ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bands:
    """What applies by a number: ``limits`` ascending, the last None for "above". E07: a limit belongs to its band.

    With ``inclusive`` off (超过, 小于: T9) it belongs to the next one.

    Raises:
        InvalidData: under ``limits``: not ascending, or no last band that takes everything.
    """

    limits: tuple[tuple[Decimal | None, Any], ...]
    inclusive: bool = True
    _numbers: tuple[Decimal, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbers = tuple(_decimal(limit) for limit, _ in self.limits if limit is not None)
        ascending = all(a < b for a, b in pairwise(numbers))
        open_end = bool(self.limits) and self.limits[-1][0] is None and len(numbers) == len(self.limits) - 1
        if not ascending or not open_end or not all(one.is_finite() for one in numbers):
            raise InvalidData({"limits": _l("Limits must ascend, and the last band must be open")})
        object.__setattr__(self, "_numbers", numbers)

    def pick(self, value: object) -> Any:
        """Return what applies to ``value`` (a distance in km, an amount ...).

        Raises:
            InvalidData: under ``value``: not a number, or negative.
        """
        number = _decimal(value)
        if not number.is_finite() or number < 0:
            raise InvalidData({"value": _l("Please enter a number")})
        for limit, (_, answer) in zip(self._numbers, self.limits, strict=False):
            if number < limit or (self.inclusive and number == limit):
                return answer
        return self.limits[-1][1]


def pick_named(table: Mapping[str, T], name: str, otherwise: str = "") -> T:
    """Return what applies by a word, such as region class or urgency; ``otherwise`` names the row for other words.

    Raises:
        InvalidData: under ``value``: the table has neither.
    """
    if name in table:
        return table[name]
    if otherwise in table:
        return table[otherwise]
    raise InvalidData({"value": _l("Please choose one of the list")})


INSIDE, OUTSIDE, REMOTE = "inside", "outside", "remote"


def region_class(region: str, home: str, remote: Iterable[str] = ()) -> str:
    """Tell where a place lies: in the home province, outside it, or on the list of remote places (E12).

    All are administrative codes (six digits); a remote one may be a beginning of one.

    Raises:
        InvalidData: under ``region``: not such a code.
    """
    if len(region) != 6 or not (region.isascii() and region.isdigit()):
        raise InvalidData({"region": _l("A region code has six digits")})
    if any(one and region.startswith(one) for one in remote):
        return REMOTE
    return INSIDE if region[:2] == home[:2] else OUTSIDE

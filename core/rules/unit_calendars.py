"""The calendars of units: found along the tree, changed by their administrators, frozen for deadlines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import after_commit, fetch, insert_once, session
from core.kernel.errors import Conflict, InvalidData, NotFound
from core.kernel.fields import Choices, Field, clean, normalise
from core.units.facts import unit_facts

from .calendar import (
    ALL,
    DAY,
    HOLIDAYS,
    OFFICE_DAY,
    OFFICE_WEEK,
    OWN,
    CalendarTerms,
    Spans,
    WorkingCalendar,
    check_spans,
    compiled,
)
from .models import Calendar, CalendarDay, CalendarOverride, CalendarSnapshot, CalendarYear
from .official import OFF

VIEW, ADMIN = "calendar.view", "calendar.admin"
MOST_DAYS = 366
MOST_SPANS = 12
WEEKDAYS = (
    _l("Monday"),
    _l("Tuesday"),
    _l("Wednesday"),
    _l("Thursday"),
    _l("Friday"),
    _l("Saturday"),
    _l("Sunday"),
)
USES: Choices = (
    (ALL, _l("Holidays off, make-up days worked")),
    (HOLIDAYS, _l("Holidays off, make-up days ignored")),
    (OWN, _l("Not used: the week as it stands")),
)
HOURS_HELP = _l("Such as 09:00-12:00 13:00-18:00; a shift over midnight as 22:00-06:00; empty means closed")
_CODE = re.compile(r"^[a-z0-9][a-z0-9-]{0,19}$")
_SPAN = re.compile(r"(\d{1,2})(?::(\d\d))?-(\d{1,2})(?::(\d\d))?")
_JOIN = str.maketrans({"：": ":", "–": "-", "—": "-", "―": "-", "~": "-", "～": "-", "至": "-", "到": "-"})

DAY_FIELDS = tuple(
    Field(f"hours_{number}", "text", name, max_length=200, help=HOURS_HELP if number == 0 else "")
    for number, name in enumerate(WEEKDAYS)
)
MAKEUP = Field(
    "makeup",
    "text",
    _l("Make-up working day"),
    max_length=200,
    help=_l("Hours of an official make-up day; empty means those of its weekday"),
)
FIELDS: tuple[Field, ...] = (
    Field("name", "text", _l("Name"), True, max_length=60),
    Field("name_en", "text", _l("English name"), max_length=80),
    Field("code", "text", _l("Code"), True, max_length=20, help=_l("Small letters, digits and hyphens")),
    Field("official", "choice", _l("Official holidays"), True, USES, default=ALL),
    *DAY_FIELDS,
    MAKEUP,
    Field("usual", "bool", _l("The usual calendar of this unit"), default=True),
    Field("active", "bool", _l("In use"), default=True),
)
OVERRIDE_FIELDS: tuple[Field, ...] = (
    Field("first_day", "date", _l("From"), True),
    Field("last_day", "date", _l("Until"), help=_l("Empty means one day")),
    Field("hours", "text", _l("Hours"), max_length=200, help=_l("Empty means closed")),
    Field("reason", "text", _l("Reason"), True, max_length=100),
)


# --- finding -------------------------------------------------------------------------------------


def calendar_for(unit_id: int, code: str = "") -> WorkingCalendar:
    """Return the calendar a unit works by: its usual one, or the one called ``code``.

    A unit without it has that of the nearest unit above; where nobody has a usual one, the week of C0-T5 holds.
    Days and hours are those of the unit's own time zone. The answer is kept as long as the session.

    Raises:
        NotFound: no unit from here upwards has a calendar called ``code``.
    """
    kept: dict[tuple[int, str], WorkingCalendar] = session().info.setdefault("calendars", {})
    if (unit_id, code) not in kept:
        kept[unit_id, code] = compiled(_terms(source_of(unit_id, code), unit_facts(unit_id).timezone))
    return kept[unit_id, code]


def source_of(unit_id: int, code: str = "") -> Calendar | None:
    """Return the row that ``calendar_for`` uses, of this unit or one above; None for the week of C0-T5.

    Raises:
        NotFound: as ``calendar_for``.
    """
    line = unit_facts(unit_id).line
    wanted = Calendar.code == code if code else Calendar.usual
    rows = session().scalars(
        select(Calendar).where(Calendar.unit_id.in_(line), Calendar.active, wanted),
        # A parent's hours hold below it even for people who may not see that unit.
        execution_options={"unscoped": "calendars are inherited"},
    )
    found = max(rows, key=lambda row: (line.index(row.unit_id), row.id), default=None)
    if found is None and code:
        raise NotFound(_l("No calendar is called %(code)s here", code=code))
    return found


def calendar_of(row: Calendar) -> WorkingCalendar:
    """Return one calendar as its own unit works by it, in use or not."""
    return compiled(_terms(row, unit_facts(row.unit_id).timezone))


def calendars_of(unit_id: int) -> Sequence[Calendar]:
    """Return the unit's own calendars, the usual one first."""
    own = select(Calendar).where(Calendar.unit_id == unit_id)
    return session().scalars(own.order_by(Calendar.usual.desc(), Calendar.active.desc(), Calendar.id)).all()


def overrides_of(row: Calendar) -> Sequence[CalendarOverride]:
    """Return the own dated hours of a calendar, the latest first."""
    own = select(CalendarOverride).where(CalendarOverride.calendar_id == row.id)
    return session().scalars(own.order_by(CalendarOverride.first_day.desc(), CalendarOverride.id)).all()


def _terms(row: Calendar | None, timezone: str) -> CalendarTerms:
    official = row.official if row else ALL
    off, work, final = _official_table() if official != OWN else _NO_TABLE
    return CalendarTerms(
        timezone=timezone,
        weekly=tuple(map(_spans, row.weekly)) if row else OFFICE_WEEK,
        makeup=_spans(row.makeup) if row else OFFICE_DAY,
        official=official,
        overrides=_expanded(row) if row else (),
        off=off,
        work=work if official == ALL else frozenset(),
        final_years=final,
    )


_Table = tuple[frozenset[date], frozenset[date], frozenset[int]]
_NO_TABLE: _Table = (frozenset(), frozenset(), frozenset())


def _official_table() -> _Table:
    """Return days off, make-up days and published years; kept as long as the session."""
    kept: dict[str, _Table] = session().info.setdefault("official_days", {})
    if "table" not in kept:
        years = session().execute(select(CalendarYear.year, CalendarYear.final, CalendarYear.digest)).all()
        key = tuple(sorted((year, digest) for year, _, digest in years))
        off, work = _days_by_digest(key)
        kept["table"] = (off, work, frozenset(year for year, final, _ in years if final))
    return kept["table"]


# Days by the years' digests: equal digests mean equal days, so this may outlive a request.
_known_days: dict[tuple[tuple[int, str], ...], tuple[frozenset[date], frozenset[date]]] = {}


def _days_by_digest(key: tuple[tuple[int, str], ...]) -> tuple[frozenset[date], frozenset[date]]:
    if key not in _known_days:
        rows = session().execute(select(CalendarDay.day, CalendarDay.kind)).all()
        off = frozenset(day for day, kind in rows if kind == OFF)
        if len(_known_days) > 8:
            _known_days.clear()
        _known_days[key] = (off, frozenset(day for day, _ in rows) - off)
    return _known_days[key]


def _expanded(row: Calendar) -> tuple[tuple[date, Spans], ...]:
    own = select(CalendarOverride.first_day, CalendarOverride.last_day, CalendarOverride.hours)
    rows = session().execute(
        own.where(CalendarOverride.calendar_id == row.id).order_by(CalendarOverride.id),
        execution_options={"unscoped": "calendars are inherited"},
    )
    days: dict[date, Spans] = {}
    for first, last, hours in rows:
        for count in range((last - first).days + 1):
            days[first + timedelta(days=count)] = _spans(hours)
    return tuple(sorted(days.items()))


def _spans(raw: Iterable[Iterable[int]]) -> Spans:
    return tuple((int(begin), int(end)) for begin, end in raw)


def forget() -> None:
    """Drop what this session has kept: calendars or the official table have changed."""
    session().info.pop("calendars", None)
    session().info.pop("official_days", None)


# --- frozen calendars ----------------------------------------------------------------------------


# Versions that a database is known to hold: none is ever taken away.
_frozen: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


def freeze(calendar: WorkingCalendar) -> str:
    """Keep a calendar's terms for good; return the version by which ``thaw`` finds them."""
    version = calendar.version
    known = _frozen.setdefault(session().get_bind(), set())
    if version in known or version in _frozen_just_now():
        return version
    if not session().scalar(select(CalendarSnapshot.version).where(CalendarSnapshot.version == version)):
        row = {"version": version, "terms": calendar.terms.frozen(), "created_at": clock.now()}
        insert_once(CalendarSnapshot, row)
    _frozen_just_now().add(version)
    if session().get_nested_transaction() is None:
        after_commit(lambda: known.add(version))
    return version


def _frozen_just_now() -> set[str]:
    """Return the versions the running (nested) transaction has seen; a rollback forgets them."""
    work = session()
    running = work.get_nested_transaction() or work.get_transaction()
    kept = work.info.get("frozen_calendars")
    if kept is None or kept[0] is not running:
        kept = work.info["frozen_calendars"] = (running, set())
    found: set[str] = kept[1]
    return found


def thaw(version: str) -> WorkingCalendar:
    """Return a frozen calendar.

    Raises:
        NotFound: none was frozen under this version.
    """
    found = _thawed(version)
    if found is None:
        _thawed.cache_clear()
        raise NotFound()
    return found


@lru_cache(maxsize=256)
def _thawed(version: str) -> WorkingCalendar | None:
    terms = session().scalar(select(CalendarSnapshot.terms).where(CalendarSnapshot.version == version))
    return compiled(CalendarTerms.thawed(terms)) if terms else None


# --- changing ------------------------------------------------------------------------------------


def save_calendar(
    unit_id: int, raw: Mapping[str, Any], row: Calendar | None = None, version: int | None = None
) -> Calendar:
    """Add a calendar to a unit (``raw`` as ``FIELDS``), or change one. What it froze before stays as it was.

    Raises:
        NotAllowed: without ``calendar.admin`` there.
        InvalidData: something does not fit; under the field's name.
        Conflict: ``version`` is given and somebody changed the calendar meanwhile.
    """
    require(ADMIN, unit_id)
    if row is not None and version is not None and version != row.version:
        raise Conflict()
    defaults = {one.name: one.default for one in FIELDS if one.default is not None} if row is None else {}
    values = clean(FIELDS, {**defaults, **raw})
    weekly, makeup = _read_week(values)
    values["code"] = values["code"].lower()
    if not _CODE.match(values["code"]):
        raise InvalidData({"code": _l("Small letters, digits and hyphens only")})
    same = select(Calendar.id).where(Calendar.unit_id == unit_id, Calendar.code == values["code"])
    if session().scalars(same.where(Calendar.id != (row.id if row else 0))).first():
        raise InvalidData({"code": _l("Another calendar of this unit has this code")})
    if row is None:
        row = Calendar(unit_id=unit_id)
        session().add(row)
    for name in ("code", "name", "official", "usual", "active"):
        setattr(row, name, values[name])
    row.name_en = values["name_en"] or ""
    row.weekly, row.makeup = [_lists(spans) for spans in weekly], _lists(makeup)
    row.changed_at = clock.now()
    session().flush()
    if row.usual:
        _only_usual(row)
    forget()
    return row


def _only_usual(row: Calendar) -> None:
    for other in calendars_of(row.unit_id):
        if other.usual and other.id != row.id:
            other.usual = False
    session().flush()


def _read_week(values: Mapping[str, Any]) -> tuple[list[Spans], Spans]:
    """Read the hours of the form; all mistakes are told at once."""
    errors: dict[str, Any] = {}
    read: dict[str, Spans] = {}
    for one in (*DAY_FIELDS, MAKEUP):
        try:
            read[one.name] = read_hours(values[one.name] or "")
        except InvalidData as bad:
            errors[one.name] = bad.errors["hours"]
    week = [read.get(one.name, ()) for one in DAY_FIELDS]
    for number, spans in enumerate(week):
        following = week[(number + 1) % 7]
        if spans and following and spans[-1][1] - DAY > following[0][0]:
            name = DAY_FIELDS[(number + 1) % 7].name
            errors.setdefault(name, _l("This overlaps the shift of the day before, which runs over midnight"))
    if not errors and not any(week):
        errors[DAY_FIELDS[0].name] = _l("A calendar needs working time on at least one day of the week")
    if errors:
        raise InvalidData(errors)
    return week, read[MAKEUP.name]


def _lists(spans: Spans) -> list[list[int]]:
    return [list(span) for span in spans]


def add_override(row: Calendar, raw: Mapping[str, Any]) -> CalendarOverride:
    """Give a calendar own hours on some days (``raw`` as ``OVERRIDE_FIELDS``).

    Raises:
        NotAllowed: without ``calendar.admin`` there.
        InvalidData: something does not fit, or the days have own hours already.
    """
    require(ADMIN, row.unit_id)
    values = clean(OVERRIDE_FIELDS, raw)
    first, last = values["first_day"], values["last_day"] or values["first_day"]
    if not 1950 < first.year < 2200:
        raise InvalidData({"first_day": _l("This date is too far away")})
    if last < first:
        raise InvalidData({"last_day": _l("The end lies before the beginning")})
    if (last - first).days >= MOST_DAYS:
        raise InvalidData({"last_day": _l("At most %(count)d days", count=MOST_DAYS)})
    spans = read_hours(values["hours"] or "")
    held = select(CalendarOverride).where(
        CalendarOverride.calendar_id == row.id,
        CalendarOverride.first_day <= last,
        CalendarOverride.last_day >= first,
    )
    if clash := session().scalars(held).first():
        told = _l("%(first)s to %(last)s have own hours already", first=clash.first_day, last=clash.last_day)
        raise InvalidData({"first_day": told})
    made = CalendarOverride(
        unit_id=row.unit_id,
        calendar_id=row.id,
        first_day=first,
        last_day=last,
        hours=_lists(spans),
        reason=values["reason"],
    )
    session().add(made)
    _touch(row)
    return made


def drop_override(row: Calendar, raw_id: object) -> None:
    """Take own dated hours back.

    Raises:
        NotAllowed: without ``calendar.admin`` there.
        NotFound: this calendar has no such override.
    """
    require(ADMIN, row.unit_id)
    found = fetch(CalendarOverride, raw_id)
    if found.calendar_id != row.id:
        raise NotFound()
    session().delete(found)
    _touch(row)


def _touch(row: Calendar) -> None:
    """Two people who add days at the same moment meet at the calendar's version."""
    row.changed_at = clock.now()
    session().flush()
    forget()


# --- hours as people write them --------------------------------------------------------------------


def read_hours(text: str) -> Spans:
    """Read "09:00-12:00 13:00-18:00"; an end before its beginning lies in the next day.

    Raises:
        InvalidData: under ``hours``: not so written, or hours overlap.
    """
    plain = re.sub(r"\s*-\s*", "-", normalise(text).translate(_JOIN))
    parts = [one for one in re.split(r"[\s,，、;；]+", plain) if one]
    if len(parts) > MOST_SPANS:
        raise InvalidData({"hours": _l("At most %(count)d periods a day", count=MOST_SPANS)})
    spans = tuple(sorted(_read_span(one) for one in parts))
    try:
        check_spans(spans)
    except ValueError:
        raise InvalidData({"hours": _l("These hours overlap")}) from None
    return spans


def _read_span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if not found:
        raise InvalidData({"hours": _l("“%(text)s” is not understood. Write 09:00-12:00", text=text[:20])})
    hours, minutes, until, and_minutes = (int(one or 0) for one in found.groups())
    begin, end = hours * 3600 + minutes * 60, until * 3600 + and_minutes * 60
    if minutes > 59 or and_minutes > 59 or begin >= DAY or end > DAY:
        raise InvalidData({"hours": _l("“%(text)s” is not a time of day", text=text[:20])})
    return begin, end if end > begin else end + DAY


def hours_text(spans: Iterable[Iterable[int]]) -> str:
    """Write hours as ``read_hours`` reads them."""
    return " ".join(f"{_time_text(begin)}-{_time_text(end)}" for begin, end in spans)


def _time_text(seconds: int) -> str:
    minutes = (seconds - DAY if seconds > DAY else seconds) // 60
    return f"{minutes // 60:02d}:{minutes % 60:02d}"

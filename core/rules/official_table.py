"""The official table in the database: seeded from what ships, corrected by administrators, extended by notices."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, select

from core.kernel import clock, sheets
from core.kernel.access import require
from core.kernel.audit import record_audit, summarised
from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData, NotFound
from core.kernel.fields import Choices, Field, clean, normalise
from core.kernel.sheets import Column
from core.units.models import Unit

from . import unit_calendars
from .models import CalendarDay, CalendarYear
from .official import FIRST_SHIPPED, LAST_PUBLISHED, LAST_SHIPPED, OFF, WORK, OfficialDay, shipped_days

KINDS: Choices = ((OFF, _l("Public holiday")), (WORK, _l("Make-up working day")))
FIRST, LAST = 1990, 2100
MOST_ROWS = 2000
FIELDS: tuple[Field, ...] = (
    Field("day", "date", _l("Date"), True),
    Field("kind", "choice", _l("Kind"), True, KINDS),
    Field("name", "text", _l("Name"), True, max_length=60),
    Field("name_en", "text", _l("English name"), max_length=80),
)
COLUMNS = (
    Column("day", _l("Date"), ("日期", "date"), required=True),
    Column("kind", _l("Kind"), ("类型", "类别", "性质", "kind"), required=True),
    Column("name", _l("Name"), ("名称", "节日", "节假日", "name")),
    Column("name_en", _l("English name"), ("英文名称", "name_en")),
)
_KIND_WORDS = {
    OFF: ("off", "holiday", "休", "休息", "放假", "节假日", "假日", "法定节假日"),
    WORK: ("work", "workday", "班", "上班", "补班", "调休", "调休上班", "工作日"),
}
_DATE = re.compile(r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?")


@dataclass(frozen=True)
class YearView:
    """A year of the table: whether it is published, and how many days of each kind it has."""

    year: int
    final: bool
    off: int
    work: int


def years() -> list[YearView]:
    """Return the years of the table, the latest first."""
    counts: dict[tuple[int, str], int] = {}
    for day, kind in session().execute(select(CalendarDay.day, CalendarDay.kind)):
        counts[day.year, kind] = counts.get((day.year, kind), 0) + 1
    rows = session().execute(select(CalendarYear.year, CalendarYear.final).order_by(CalendarYear.year.desc()))
    return [YearView(y, final, counts.get((y, OFF), 0), counts.get((y, WORK), 0)) for y, final in rows]


def days_of(year: int) -> Sequence[CalendarDay]:
    """Return the days of a year, in order."""
    wanted = CalendarDay.day.between(date(year, 1, 1), date(year, 12, 31))
    return session().scalars(select(CalendarDay).where(wanted).order_by(CalendarDay.day)).all()


def names_between(first: date, last: date) -> dict[date, tuple[str, str]]:
    """Return the names (Chinese, English) of the official days from ``first`` to ``last``."""
    wanted = select(CalendarDay).where(CalendarDay.day.between(first, last))
    return {row.day: (row.name, row.name_en) for row in session().scalars(wanted)}


def may_change() -> bool:
    """Tell whether the actor may change the table: it holds for all units, so the top one keeps it."""
    roots = session().scalars(select(Unit.id).where(Unit.parent_id.is_(None)))
    scope = current_scope()
    return scope.is_system or any(scope.may(unit_calendars.ADMIN, root) for root in roots)


def _require_top() -> None:
    if not may_change():
        require(unit_calendars.ADMIN, None)


# --- changing ------------------------------------------------------------------------------------


def seed(wanted: Iterable[int] | None = None) -> list[int]:
    """Fill in the shipped years the table does not have; return them. What is there stays, so it may run again.

    Raises:
        NotAllowed: without ``calendar.admin`` in the top unit.
    """
    _require_top()
    held = set(session().scalars(select(CalendarYear.year)))
    asked = range(FIRST_SHIPPED, LAST_SHIPPED + 1) if wanted is None else wanted
    missing = sorted({y for y in asked if FIRST_SHIPPED <= y <= LAST_SHIPPED} - held)
    if missing:
        days = shipped_days(missing)
        for year in missing:
            _replace(year, [one for one in days if one.day.year == year], final=year <= LAST_PUBLISHED)
    return missing


def save_day(raw: Mapping[str, Any]) -> CalendarDay:
    """Add a day to the table, or change it (``raw`` as ``FIELDS``).

    Raises:
        NotAllowed: without ``calendar.admin`` in the top unit.
        InvalidData: something does not fit; under the field's name.
    """
    _require_top()
    values = clean(FIELDS, raw)
    _check_year("day", values["day"])
    row = session().scalars(select(CalendarDay).where(CalendarDay.day == values["day"])).first()
    if row is None:
        row = CalendarDay(day=values["day"])
        session().add(row)
    row.kind, row.name, row.name_en = values["kind"], values["name"], values["name_en"] or ""
    _changed(values["day"].year)
    return row


def drop_day(raw: object) -> int:
    """Take a day out of the table; return its year.

    Raises:
        NotAllowed: without ``calendar.admin`` in the top unit.
        NotFound: the table has no such day.
    """
    _require_top()
    day = _read_date(str(raw or ""))
    row = session().scalars(select(CalendarDay).where(CalendarDay.day == day)).first() if day else None
    if row is None:
        raise NotFound()
    session().delete(row)
    _changed(row.day.year)
    return row.day.year


def set_final(year: int, final: bool) -> None:
    """Say whether a year's notice is out; until then deadlines that rest on the year say so.

    Raises:
        NotAllowed: without ``calendar.admin`` in the top unit.
        NotFound: the table does not have the year.
    """
    _require_top()
    row = session().scalars(select(CalendarYear).where(CalendarYear.year == year)).first()
    if row is None:
        raise NotFound()
    row.final = final
    _changed(year)


def import_table(path: Path, *, final: bool) -> dict[int, int]:
    """Read a table (.xlsx or CSV: date, kind, name) that replaces each year it names; return year -> days.

    All or nothing. ``final`` marks the years as published.

    Raises:
        NotAllowed: without ``calendar.admin`` in the top unit.
        InvalidData: under ``file``: every line that does not fit.
    """
    _require_top()
    days = _read_table(path)
    found: dict[int, list[OfficialDay]] = {}
    for one in days:
        found.setdefault(one.day.year, []).append(one)
    for year, listed in sorted(found.items()):
        _replace(year, listed, final=final)
    return {year: len(listed) for year, listed in sorted(found.items())}


def _replace(year: int, days: Sequence[OfficialDay], *, final: bool) -> None:
    before = [f"{row.day} {row.kind}" for row in days_of(year)]
    wanted = CalendarDay.day.between(date(year, 1, 1), date(year, 12, 31))
    told = {"audited": "one entry for the year"}
    session().execute(delete(CalendarDay).where(wanted), execution_options=told)
    with summarised():
        session().add_all(
            CalendarDay(day=one.day, kind=one.kind, name=one.name, name_en=one.name_en) for one in days
        )
        _changed(year, final=final)
    after = [f"{one.day} {one.kind}" for one in days]
    subject = (CalendarYear.__tablename__, year, year)
    record_audit("calendar.official", subject, {"days": before}, {"days": after, "final": final})


def _changed(year: int, *, final: bool | None = None) -> None:
    """Note that a year's days are no longer what they were."""
    session().flush()
    text = ",".join(f"{one.day}{one.kind}" for one in days_of(year))
    row = session().scalars(select(CalendarYear).where(CalendarYear.year == year)).first()
    if row is None:
        row = CalendarYear(year=year, final=False)
        session().add(row)
    if final is not None:
        row.final = final
    row.digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    row.changed_at, row.changed_by = clock.now(), current_scope().actor_id
    session().flush()
    unit_calendars.forget()


# --- reading a file --------------------------------------------------------------------------------


def _read_table(path: Path) -> list[OfficialDay]:
    sheet, header = sheets.find_table(sheets.open_sheet(path), COLUMNS)
    missing = [str(c.label) for c in COLUMNS if c.required and c.name not in header.mapping]
    if missing:
        raise InvalidData({"file": _l("These columns are missing: %(names)s", names=", ".join(missing))})
    found: dict[date, OfficialDay] = {}
    errors: list[Any] = []
    for count, (line, cells) in enumerate(sheets.data_rows(sheet, header), 1):
        if count > MOST_ROWS:
            raise InvalidData({"file": _l("At most %(count)d rows", count=MOST_ROWS)})
        try:
            one = _read_row({name: cells[at] if at < len(cells) else "" for name, at in header.mapping.items()})
        except InvalidData as bad:
            texts = [str(text) for listed in bad.errors.values() for text in listed]
            errors.append(_l("Line %(line)d: %(text)s", line=line, text="; ".join(texts)))
            continue
        if one.day in found:
            errors.append(_l("Line %(line)d: %(day)s stands there twice", line=line, day=one.day))
        found[one.day] = one
    if errors:
        raise InvalidData({"file": errors[:20]})
    if not found:
        raise InvalidData({"file": _l("The file has no rows")})
    return [found[day] for day in sorted(found)]


def _read_row(cells: Mapping[str, str]) -> OfficialDay:
    errors: dict[str, Any] = {}
    day = _read_date(cells["day"])
    if day is None:
        errors["day"] = _l("Please enter a date such as 2026-01-31")
    word = normalise(cells["kind"]).lower()
    kind = next((kind for kind, words in _KIND_WORDS.items() if word in words), "")
    if not kind:
        errors["kind"] = _l("The kind is “off” or “work” (休 or 班)")
    if errors or day is None:
        raise InvalidData(errors)
    _check_year("day", day)
    name, name_en = normalise(cells.get("name", "")), normalise(cells.get("name_en", ""))
    return OfficialDay(day, kind, name[:60], name_en[:80])


def _read_date(text: str) -> date | None:
    found = _DATE.fullmatch(normalise(text))
    try:
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def _check_year(name: str, day: date) -> None:
    if not FIRST <= day.year <= LAST:
        raise InvalidData({name: _l("The year must lie between %(first)d and %(last)d", first=FIRST, last=LAST)})

"""Working calendars of the unit, the year at a glance, "when is it due?", and the official table."""

from __future__ import annotations

import calendar as months
import tempfile
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from babel.dates import get_day_names, get_month_names
from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import get_locale, lazy_pgettext, pgettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm.exc import StaleDataError

from core.admin.categories import SETTINGS
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.views import Answer, Screen, reason_text
from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import fetch, transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field
from core.kernel.i18n import current_locale
from core.kernel.ids import read_id
from core.rules import clocks, official_table, unit_calendars
from core.rules.calendar import FIRST_YEAR, LAST_YEAR, OFFICE_DAY, OFFICE_WEEK, WorkingCalendar
from core.rules.clocks import Deadline, Term
from core.rules.explain import steps
from core.rules.models import Calendar
from core.rules.official import OFF

IMMEDIATELY = "immediately"
UNITS: Choices = (
    ("minute", _l("Minutes")),
    ("hour", lazy_pgettext("length of time", "Hours")),
    ("day", _l("Days")),
    ("week", _l("Weeks")),
    ("month", _l("Months")),
    ("year", _l("Years")),
    (IMMEDIATELY, _l("Immediately")),
)
CLOCKS: Choices = (
    ("calendar", _l("Day and night, every day")),
    ("working", _l("Working time only")),
)
DAY_ENDS: Choices = (("24:00", _l("At midnight (24:00)")), ("business_close", _l("When business closes")))
# Kind of a day -> (letter, words, tone); the letter says it without colour.
KINDS: Mapping[str, tuple[Any, Any, str]] = {
    "work": ("", _l("Working day"), ""),
    "rest": ("", _l("Rest day"), "rest"),
    "holiday": (lazy_pgettext("calendar letter", "H"), _l("Public holiday"), "bad"),
    "makeup": (lazy_pgettext("calendar letter", "W"), _l("Make-up working day"), "info"),
    "own": (lazy_pgettext("calendar letter", "O"), _l("Own hours"), "paused"),
}
FILE_HELP = _l("Columns: date, kind (off or work), name. A file replaces every year it names.")


class CalendarScreen(Screen):
    """The unit's calendars; a unit without any works by its parent's."""

    permission = unit_calendars.VIEW
    icon = "clock"
    model = Calendar

    @expose("/")
    def index(self) -> Answer:
        """Show the calendars of this unit, and which one holds."""
        source = unit_calendars.source_of(g.unit.id)
        own = unit_calendars.calendars_of(g.unit.id)
        return self.render(
            "admin/calendars.html",
            rows=[(row, _week(row)) for row in own],
            source=source,
            inherited=source is not None and source.unit_id != g.unit.id,
            inherited_week=_week(source),
            uses=dict(unit_calendars.USES),
            name_of=_name,
            today=_today(),
            gaps=unit_calendars.calendar_for(g.unit.id).provisional(_today(), _today() + timedelta(days=60)),
        )

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Add a calendar to this unit."""
        _require(g.unit.id)
        return self._form(None, _values(unit_calendars.source_of(g.unit.id), copied=True))

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        """Change a calendar."""
        row = _one(request.args.get("id"), unit_calendars.ADMIN)
        return self._form(row, _values(row))

    def _form(self, row: Calendar | None, values: dict[str, Any]) -> Answer:
        form = form_from_fields(unit_calendars.FIELDS, values)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    saved = unit_calendars.save_calendar(
                        row.unit_id if row else g.unit.id, form.cleaned, row, read_id(request.form.get("version"))
                    )
                    name = _name(saved)
            except (AppError, StaleDataError) as bad:
                _put(form, bad)
            else:
                flash(_("%(name)s was saved. What runs already keeps the hours it began with.", name=name), "good")
                return redirect(self.get_url(".index"))
        page = self.render(
            "admin/calendar_form.html",
            form=form,
            row=row,
            heading=_("Edit %(name)s", name=_name(row)) if row else _("New calendar"),
            version=request.form.get("version") or (row.version if row else ""),
            back=self.get_url(".index"),
        )
        return (page, 422) if request.method == "POST" else page

    @expose("/days/", methods=("GET", "POST"))
    def details_view(self) -> Answer:
        """Show and add own hours on dated days."""
        row = _one(request.args.get("id"), unit_calendars.VIEW)
        form = form_from_fields(unit_calendars.OVERRIDE_FIELDS, {})
        if request.method == "POST":
            _require(row.unit_id)
            if form.validate_on_submit():
                try:
                    with transaction():
                        unit_calendars.add_override(row, form.cleaned)
                except (AppError, StaleDataError) as bad:
                    _put(form, bad)
                else:
                    flash(_("Saved."), "good")
                    return redirect(self.get_url(".details_view", id=row.id))
        page = self.render(
            "admin/calendar_days.html",
            row=row,
            name=_name(row),
            form=form,
            days=[(one, unit_calendars.hours_text(one.hours)) for one in unit_calendars.overrides_of(row)],
            may_change=may(unit_calendars.ADMIN, row.unit_id),
        )
        return (page, 422) if request.method == "POST" else page

    @expose("/drop-day/", methods=("POST",))
    def drop_view(self) -> Answer:
        """Take own hours back."""
        row = _one(request.form.get("id"), unit_calendars.ADMIN)
        try:
            with transaction():
                unit_calendars.drop_override(row, request.form.get("override"))
        except StaleDataError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("The days follow the week again."), "good")
        return redirect(self.get_url(".details_view", id=row.id))

    @expose("/year/")
    def year_view(self) -> Answer:
        """Show a year of a calendar: twelve months with holidays, make-up days and own hours."""
        raw = request.args.get("id")
        row = _one(raw, unit_calendars.VIEW) if raw else unit_calendars.source_of(g.unit.id)
        held = unit_calendars.calendar_of(row) if raw and row else unit_calendars.calendar_for(g.unit.id)
        year = _year(request.args.get("year"))
        names = official_table.names_between(date(year, 1, 1), date(year, 12, 31))
        return self.render(
            "admin/calendar_year.html",
            row=row,
            raw=raw,
            name=_name(row),
            year=year,
            first=FIRST_YEAR,
            last=LAST_YEAR,
            months=_months(held, year, names),
            weekdays=_weekday_words("narrow"),
            legend=KINDS,
            working=held.days_between(date(year - 1, 12, 31), date(year, 12, 31)),
            provisional=held.provisional(date(year, 1, 1), date(year, 12, 31)),
        )

    @expose("/due/", methods=("GET", "POST"))
    def due_view(self) -> Answer:
        """Work out when something is due, and say why."""
        form = form_from_fields(_due_fields(), _due_values(), timezone=g.unit.timezone)
        results: list[dict[str, Any]] = []
        if request.method == "POST" and form.validate_on_submit():
            try:
                results = _results(form.cleaned)
            except AppError as bad:
                _put(form, bad)
        page = self.render("admin/calendar_due.html", form=form, results=results, kinds=KINDS)
        return (page, 422) if request.method == "POST" and not results else page


class OfficialDayScreen(Screen):
    """The official table, year by year. It holds for every unit, so those of the top unit keep it."""

    permission = unit_calendars.VIEW
    icon = "flag"

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Answer:
        """Show a year, add or change one day."""
        form = form_from_fields(official_table.FIELDS, {})
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    row = official_table.save_day(form.cleaned)
                    year = row.day.year
            except (InvalidData, StaleDataError) as bad:
                _put(form, bad)
            else:
                flash(_("Saved."), "good")
                return redirect(self.get_url(".index", year=year))
        page = self._page(form, [])
        return (page, 422) if request.method == "POST" else page

    @expose("/drop/", methods=("POST",))
    def drop_view(self) -> Answer:
        """Take a day out of the table."""
        with transaction():
            year = official_table.drop_day(request.form.get("day"))
        flash(_("The day follows the week again."), "good")
        return redirect(self.get_url(".index", year=year))

    @expose("/final/", methods=("POST",))
    def final_view(self) -> Answer:
        """Say whether the notice of a year is out."""
        year = _year(request.form.get("year"))
        with transaction():
            official_table.set_final(year, request.form.get("final") == "1")
        flash(_("Saved."), "good")
        return redirect(self.get_url(".index", year=year))

    @expose("/seed/", methods=("POST",))
    def seed_view(self) -> Answer:
        """Fill in the years that ship with the product."""
        with transaction():
            made = official_table.seed()
        flash(_("Years added: %(years)s", years=", ".join(map(str, made)) or "-"), "good")
        return redirect(self.get_url(".index"))

    @expose("/import/", methods=("POST",))
    def import_view(self) -> Answer:
        """Replace years by a file, all or nothing."""
        if not official_table.may_change():
            raise NotAllowed(unit_calendars.ADMIN)
        try:
            with tempfile.TemporaryDirectory() as folder, transaction():
                found = official_table.import_table(_received(Path(folder)), final=bool(request.form.get("final")))
        except InvalidData as bad:
            problems = [text for texts in bad.errors.values() for text in texts]
            return self._page(form_from_fields(official_table.FIELDS, {}, fresh=True), problems), 422
        told = "; ".join(_("%(year)d: %(count)d days", year=year, count=count) for year, count in found.items())
        flash(told, "good")
        return redirect(self.get_url(".index", year=max(found)))

    def _page(self, form: FieldsForm, problems: list[Any]) -> str:
        years = official_table.years()
        year = _year(request.args.get("year"))
        page: str = self.render(
            "admin/calendar_official.html",
            form=form,
            problems=problems,
            years=years,
            year=year,
            state=next((one for one in years if one.year == year), None),
            days=official_table.days_of(year),
            off=OFF,
            kinds=KINDS,
            english=current_locale() == "en",
            weekdays=_weekday_words("abbreviated"),
            may_change=official_table.may_change(),
            file_help=FILE_HELP,
        )
        return page


def _received(folder: Path) -> Path:
    """Put the file or the pasted text into a file for the reader."""
    given, pasted = request.files.get("file"), request.form.get("pasted", "")
    path = folder / "days"
    if given is not None and given.filename:
        given.save(path)
    elif pasted.strip():
        path.write_text(pasted, "utf-8")
    else:
        raise InvalidData({"file": _l("Please choose a file or paste rows")})
    return path


# --- calendars -----------------------------------------------------------------------------------


def _one(raw: object, permission: str) -> Calendar:
    """Look a calendar up in a unit where the actor holds the permission; others aren't there."""
    row = fetch(Calendar, raw)
    if not may(unit_calendars.VIEW, row.unit_id) and not may(permission, row.unit_id):
        raise NotFound()
    if not may(permission, row.unit_id):
        raise NotAllowed(permission)
    return row


def _require(unit_id: int) -> None:
    if not may(unit_calendars.ADMIN, unit_id):
        raise NotAllowed(unit_calendars.ADMIN)


def _name(row: Calendar | None) -> str:
    if row is None:
        return _("Usual office hours")
    return row.name_en if row.name_en and current_locale() == "en" else row.name


def _week(row: Calendar | None) -> list[tuple[Any, str]]:
    weekly: Any = row.weekly if row else OFFICE_WEEK
    return [
        (day, unit_calendars.hours_text(spans)) for day, spans in zip(unit_calendars.WEEKDAYS, weekly, strict=True)
    ]


def _values(row: Calendar | None, copied: bool = False) -> dict[str, Any]:
    """Return what the form shows; a new calendar begins with the hours that hold now."""
    weekly: Any = row.weekly if row else OFFICE_WEEK
    values: dict[str, Any] = {
        one.name: unit_calendars.hours_text(spans)
        for one, spans in zip(unit_calendars.DAY_FIELDS, weekly, strict=True)
    }
    values["makeup"] = unit_calendars.hours_text(row.makeup if row else OFFICE_DAY)
    if row is not None:
        values["official"] = row.official
    if row is not None and not copied:
        values |= {name: getattr(row, name) for name in ("name", "name_en", "code", "usual", "active")}
    return values


def _today() -> date:
    return WorkingCalendar(unit_calendars.calendar_for(g.unit.id).terms).day_of(clock.now())


def _year(raw: str | None) -> int:
    """Read a year of the address; anything else is the present one."""
    text = raw or ""
    if text.isascii() and text.isdigit() and len(text) == 4 and FIRST_YEAR <= int(text) <= LAST_YEAR:
        return int(text)
    return _today().year


def _weekday_words(width: Literal["abbreviated", "narrow"]) -> list[str]:
    """Name the days from Monday to Sunday, "narrow" or "abbreviated"."""
    names = get_day_names(width, "stand-alone", locale=get_locale())
    return [names[number] for number in range(7)]


def _months(
    held: WorkingCalendar, year: int, names: Mapping[date, tuple[str, str]]
) -> list[tuple[str, list[list[dict[str, Any] | None]]]]:
    titles = get_month_names("wide", "stand-alone", locale=get_locale())
    english = current_locale() == "en"
    found = []
    for month in range(1, 13):
        weeks = [
            [_cell(held, date(year, month, day), names, english) if day else None for day in week]
            for week in months.monthcalendar(year, month)
        ]
        found.append((titles[month], weeks))
    return found


def _cell(held: WorkingCalendar, day: date, names: Mapping[date, tuple[str, str]], english: bool) -> dict[str, Any]:
    kind = held.kind_of(day)
    letter, words, tone = KINDS[kind]
    name = names.get(day, ("", "")) if kind in ("holiday", "makeup") else ("", "")
    hours = unit_calendars.hours_text(held.hours_of(day)) or pgettext("calendar", "closed")
    title = (name[1] if english else name[0]) or words
    return {"day": day, "letter": letter, "tone": tone, "title": f"{day.isoformat()} {title} {hours}"}


# --- when is it due --------------------------------------------------------------------------------


def _due_fields() -> tuple[Field, ...]:
    times = {"attributes": {"type": "time"}}
    return (
        Field("start", "moment", _l("It happened at"), True),
        Field("amount", "decimal", _l("How many"), minimum=Decimal(0), help=_l("0 days means the same day")),
        Field("unit", "choice", lazy_pgettext("of time", "Unit"), True, UNITS),
        Field("clock", "choice", _l("Runs"), True, CLOCKS),
        Field("calendar", "choice", _l("Calendar"), choices=_calendar_choices, help=_l("Empty: the usual one")),
        Field("day_end", "choice", _l("A last day ends"), True, DAY_ENDS),
        Field("until", "text", _l("Or by this hour"), options=times),
        Field("cutoff", "text", _l("Later than this counts to the next day"), options=times),
        Field("roll", "bool", _l("A last day that is a rest day moves to the next working day")),
    )


def _calendar_choices() -> Choices:
    return [(row.code, _name(row)) for row in unit_calendars.calendars_of(g.unit.id) if row.active]


def _due_values() -> dict[str, Any]:
    now = clock.now().replace(second=0, microsecond=0)
    return {"start": now, "amount": Decimal(4), "unit": "hour", "clock": "working", "day_end": "24:00"}


def _results(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the page shows of each deadline."""
    held = unit_calendars.calendar_for(g.unit.id, values["calendar"] or "")
    start: datetime = values["start"]
    if values["unit"] == IMMEDIATELY:
        both = clocks.immediately(start, held)
        return [
            _result(_("Target"), clocks.IMMEDIATE_TARGET, start, both.target, held),
            _result(_("Limit"), clocks.IMMEDIATE_LIMIT, start, both.limit, held),
        ]
    if values["amount"] is None:
        raise InvalidData({"amount": _l("Please fill this in")})
    term = Term(
        values["amount"],
        values["unit"],
        values["clock"],
        values["day_end"],
        bool(values["roll"]),
        _time_of_day("until", values["until"]),
        _time_of_day("cutoff", values["cutoff"]),
    )
    return [_result(_("Due"), term, start, clocks.deadline(term, start, held), held)]


def _result(title: str, term: Term, start: datetime, due: Deadline, held: WorkingCalendar) -> dict[str, Any]:
    listed, left_out = steps(term, start, due, held)
    names = official_table.names_between(listed[0].day, listed[-1].day) if listed else {}
    english = current_locale() == "en"
    weekdays = _weekday_words("abbreviated")
    rows = [(one, weekdays[one.day.weekday()], names.get(one.day, ("", ""))[english]) for one in listed]
    ends_day = due.at is not None and due.at == held.end_of(held.day_of(due.at))
    return {
        "title": title,
        "term": term,
        "due": due,
        "ends_day": ends_day,
        "rows": rows,
        "left_out": left_out,
        "waited": due.began > start,
        "weekday": unit_calendars.WEEKDAYS[due.day.weekday()] if due.day else "",
    }


def _time_of_day(name: str, text: str | None) -> int | None:
    if not text:
        return None
    hours, _colon, minutes = text.partition(":")
    if not (hours.isascii() and hours.isdigit() and minutes.isascii() and minutes.isdigit() and len(text) <= 5):
        raise InvalidData({name: _l("Please enter a time such as 17:00")})
    if int(minutes) > 59:
        raise InvalidData({name: _l("Please enter a time such as 17:00")})
    return int(hours) * 3600 + int(minutes) * 60


def _put(form: FieldsForm, bad: AppError | StaleDataError) -> None:
    if isinstance(bad, InvalidData):
        form.show(bad)
    else:
        form.problems.append(reason_text(bad))


def admin_views() -> list[AdminEntry]:
    """Return the calendar screens for the menu."""
    return [
        AdminEntry(
            CalendarScreen(name=_l("Working calendars"), endpoint="calendars", url="calendars"), SETTINGS, 30
        ),
        AdminEntry(
            OfficialDayScreen(name=_l("Official holidays"), endpoint="official_days", url="official-days"),
            SETTINGS,
            31,
        ),
    ]

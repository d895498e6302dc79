"""Reports (报表): the list of those the actor may use, one on screen and as file, and who gets it regularly."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from flask import Response, current_app, flash, g, redirect, request, send_file
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.admin import charts
from core.admin.categories import WORK
from core.admin.export import attachment
from core.admin.forms import FieldsForm, form_from_fields, reason_text
from core.admin.views import Answer, Screen, may_here
from core.kernel.audit import record_audit
from core.kernel.database import reading, session, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry, Report
from core.kernel.fields import Field, label_of
from core.kernel.i18n import current_locale
from core.reports import files, making, schedules
from core.reports.making import Ask, Table
from core.reports.models import ReportSchedule
from core.reports.schedules import FILTER, MANAGE
from core.users.models import User

GROUP, BELOW = "group", "below"


@dataclass
class _Asked:
    """What the address asks for: its words as they came, and what they mean; or what does not fit."""

    report: Report
    raw: dict[str, Any]
    ask: Ask | None = None
    errors: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def below(self) -> bool:
        return self.raw.get(BELOW) == "1"

    def query(self) -> str:
        """Return the words of the address again, for links to the same view."""
        return urlencode({k: v for k, v in self.raw.items() if v not in ("", [], None)}, doseq=True)


class ReportList(Screen):
    """Reports of the core and of the unit's plugins."""

    icon = "chart"

    def is_accessible(self) -> bool:
        """Show the menu entry to whoever may see any report here."""
        return super().is_accessible() and bool(_usable())

    def _handle_view(self, name: str, **kwargs: Any) -> None:
        super()._handle_view(name, **kwargs)
        if not _usable():
            raise NotAllowed("report.view")

    @expose("/")
    def index(self) -> Answer:
        """List the reports by what brings them."""
        groups: dict[str, list[Report]] = {}
        for one in _usable():
            groups.setdefault(_group(one), []).append(one)
        return self.render("admin/report_list.html", groups=groups)

    @expose("/show/")
    def show(self) -> Answer:
        """Show a report; its filters stand in the address."""
        asked = _asked(request.args)
        found: Table | None = None
        if asked.ask is not None:
            try:
                found = making.table(asked.ask)
            except InvalidData as bad:
                asked.errors |= bad.errors
            except making.TooMuch as bad:
                asked.problem = reason_text(bad)
        return self._page(asked, found)

    def _page(self, asked: _Asked, found: Table | None) -> Answer:
        page = self.render(
            "admin/report_show.html",
            asked=asked,
            report=asked.report,
            form=_form(asked),
            table=found,
            text=lambda value, kind: making.cell_text(value, kind, g.unit.timezone),
            numbers=files.NUMBERS,
            groups=[(one.code, one.label) for one in asked.report.columns if one.code in asked.report.group_by],
            units=len(making.units_below(asked.report, g.unit.id)),
            chart=_chart(asked.report, found),
            file_types=files.FILE_TYPES,
            may_schedule=may_here(MANAGE),
        )
        return (page, 422) if asked.errors or asked.problem else page

    @expose("/file/", methods=("POST",))
    def file(self) -> Answer:
        """Send a report as workbook or PDF. Logged, hence a POST."""
        asked = _asked(request.args)
        file_type = request.form.get("type", "")
        if file_type not in dict(files.FILE_TYPES):
            raise NotFound()
        if asked.ask is None:
            return self._page(asked, None)
        target = tempfile.TemporaryFile(suffix=f".{file_type}")  # noqa: SIM115 - the response closes it
        try:
            with reading():
                count = files.write(asked.ask, file_type, target)
        except AppError as bad:
            target.close()
            flash(reason_text(bad), "bad")
            return redirect(f"{self.get_url('.show')}?{asked.query()}")
        with transaction():
            detail = {"filters": asked.query(), "rows": count}
            record_audit("export", ("list", asked.report.code), unit_id=g.unit.id, detail=detail)
        target.seek(0)
        answer = send_file(target, mimetype=files.MEDIA_TYPES[file_type])
        plain = f"{asked.report.code}.{file_type}"
        answer.headers["Content-Disposition"] = attachment(files.file_name(asked.ask, file_type), plain)
        return answer

    @expose("/chart/<size>")
    def chart(self, size: str) -> Response:
        """Draw the chart whose numbers stand, signed, in the address."""
        return charts.picture(request.args.get("d", ""), size)

    # --- who gets it regularly ----------------------------------------------------------------------

    @expose("/schedules/")
    def schedules(self) -> Answer:
        """List who gets a report regularly, and what came of the last time."""
        report = making.find(request.args.get("report"), g.unit.id)
        rows = schedules.of(report.code, g.unit.id)
        people = {user_id for row in rows for user_id in row.recipients}
        names = {one.id: one.name for one in session().scalars(select(User).where(User.id.in_(people)))}
        return self.render(
            "admin/report_schedules.html",
            report=report,
            rows=[(row, *_told(row, names), _narrowed(report, row)) for row in rows],
            smtp=bool(current_app.extensions["settings"].smtp),
        )

    @expose("/schedule/", methods=("GET", "POST"))
    def schedule(self) -> Answer:
        """Show the form of a schedule, a new one with the filters of the address, or save it."""
        report = making.find(request.args.get("report"), g.unit.id)
        held = next((r for r in schedules.of(report.code, g.unit.id) if str(r.id) == request.args.get("id")), None)
        if request.args.get("id") and held is None:
            raise NotFound()
        form = form_from_fields(_schedule_fields(report), _schedule_values(report, held), timezone=g.unit.timezone)
        status = 200
        if request.method == "POST" and form.validate_on_submit():
            try:
                schedules.save(
                    report.code,
                    g.unit.id,
                    form.raw(),
                    {
                        name.removeprefix(FILTER): value
                        for name, value in form.raw().items()
                        if name.startswith(FILTER)
                    },
                    below=bool(form.cleaned[BELOW]),
                    schedule_id=held.id if held else None,
                    version=request.form.get("version"),
                )
            except (InvalidData, Conflict) as bad:
                form.show(bad)
                status = bad.status
            else:
                flash(_("Saved."), "good")
                return redirect(self.get_url(".schedules", report=report.code))
        elif request.method == "POST":
            status = 422
        version = request.form.get("version") or getattr(held, "version", "")
        page = self.render("admin/report_schedule.html", report=report, row=held, form=form, version=version)
        return page, status

    @expose("/schedule/drop/", methods=("POST",))
    def drop(self) -> Answer:
        """Drop a schedule."""
        schedules.delete(request.form.get("id"), g.unit.id)
        flash(_("Deleted."), "good")
        return redirect(self.get_url(".schedules", report=request.form.get("report", "")))


def _usable() -> list[Report]:
    return making.usable(g.unit.id)


def _group(report: Report) -> str:
    """Name what brings a report."""
    if not report.plugin:
        return _("Cases and charges")
    return str(current_app.extensions["plugins"].get(report.plugin).title(current_locale()))


def _asked(args: Any) -> _Asked:
    """Read the address; what does not fit is told beside its field."""
    report = making.find(args.get("report"), g.unit.id)
    raw = {
        one.name: args.getlist(one.name) if one.kind == "many" else args.get(one.name, "") for one in report.filters
    }
    asked = _Asked(report, {"report": report.code, **raw, GROUP: args.get(GROUP, ""), BELOW: args.get(BELOW, "")})
    try:
        asked.ask = making.ask(report, g.unit.id, raw, group=asked.raw[GROUP], below=asked.below)
    except InvalidData as bad:
        asked.errors = bad.errors
    return asked


def _form(asked: _Asked) -> FieldsForm:
    shown = asked.ask.values if asked.ask is not None else {k: v for k, v in asked.raw.items() if v}
    form = form_from_fields(asked.report.filters, shown, timezone=g.unit.timezone, fresh=True)
    if asked.errors:
        form.show(InvalidData(asked.errors))
    return form


def _chart(report: Report, found: Table | None) -> tuple[str, str] | None:
    """Return (words for those who see no picture, signed word) of the chart, where there is something to draw."""
    if found is None or report.chart is None or not any(value for _label, value in found.chart):
        return None
    name = str(next(one.label for one in report.columns if one.code == report.chart[1]))
    told = _("; ").join(f"{label} {value}" for label, value in found.chart)
    values = [float(value) for _label, value in found.chart]
    word = charts.address(charts.NUMBERS, [label[:40] for label, _value in found.chart], [(name, values)])
    return f"{name}: {told}", word


def _schedule_fields(report: Report) -> tuple[Field, ...]:
    own = tuple(replace(one, name=f"{FILTER}{one.name}") for one in report.filters)
    groups = [(one.code, one.label) for one in report.columns if one.code in report.group_by]
    grouped = (Field(f"{FILTER}{GROUP}", "choice", _l("Group by"), choices=groups),) if groups else ()
    return (*schedules.fields(g.unit.id), *own, *grouped, Field(BELOW, "bool", _l("With the units below")))


def _schedule_values(report: Report, held: ReportSchedule | None) -> dict[str, Any]:
    names = [*(one.name for one in report.filters), GROUP]
    if held is None:
        given: Mapping[str, Any] = {name: request.args.get(name) for name in names}
        return {f"{FILTER}{k}": v for k, v in given.items() if v} | {BELOW: request.args.get(BELOW) == "1"}
    return {
        **{f"{FILTER}{name}": held.filters.get(name) or "" for name in names},
        "file_type": held.file_type,
        "cadence": held.cadence,
        "weekday": str(held.place) if held.cadence == schedules.WEEK else "1",
        "day": held.place if held.cadence == schedules.MONTH else 1,
        "at": f"{held.at:%H:%M}",
        "recipients": held.recipients,
        "active": held.active,
        BELOW: held.below,
    }


def _told(row: ReportSchedule, names: Mapping[int, str]) -> tuple[str, str, list[str]]:
    """Return when a schedule comes, to whom, and what went wrong the last time."""
    when = str(label_of(schedules.CADENCES, row.cadence))
    if row.cadence == schedules.WEEK:
        when = f"{when} · {schedules.WEEKDAYS[row.place - 1]}"
    if row.cadence == schedules.MONTH:
        when = _("%(often)s · on day %(day)d", often=when, day=row.place)
    people = _(", ").join(names.get(one, "—") for one in row.recipients)
    wrong = {**row.outcome.get("left_out", {}), **row.outcome.get("failed", {})}
    return f"{when} {row.at:%H:%M}", people, [f"{names.get(int(k), '—')}: {v}" for k, v in wrong.items()]


def _narrowed(report: Report, row: ReportSchedule) -> str:
    try:
        wanted = making.ask(report, row.unit_id, row.filters, group=str(row.filters.get(GROUP) or ""))
    except InvalidData:
        return _("The filters do not fit the report any more; please set them again.")
    return _("; ").join(f"{label}: {value}" for label, value in files.about(wanted, dated=False))


def admin_views() -> list[AdminEntry]:
    return [AdminEntry(ReportList(name=_l("Reports"), endpoint="report_list", url="/admin/report-list"), WORK, 52)]

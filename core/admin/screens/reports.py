"""The unit's report of a day, a week or a month on one page, and the cases behind its numbers."""

from __future__ import annotations

import tempfile
from datetime import date

from flask import g, request, send_file
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin import report_book, report_words
from core.admin.cases import lists
from core.admin.categories import WORK
from core.admin.export import EXCEL, attachment
from core.admin.listing import ListSpec
from core.admin.views import Answer, ListScreen, Screen
from core.kernel.audit import record_audit
from core.kernel.database import reading, transaction
from core.kernel.extensions import AdminEntry
from core.records.models import Record
from core.rules import unit_report
from core.rules.unit_report import Span, span_of
from core.units.facts import local_day

FIRST_YEAR, LAST_YEAR = 1990, 2199


class ReportScreen(Screen):
    """New, finished, late, chased, due, and the load of each person. Every number leads to its list."""

    permission = unit_report.VIEW
    icon = "chart"

    @expose("/")
    def index(self) -> Answer:
        """Show the report; ``span`` and ``day`` choose it."""
        span = _span()
        found = unit_report.report(g.unit.id, span)
        earlier, later = report_words.neighbours(span)
        return self.render(
            "admin/report.html",
            report=found,
            words=report_words,
            figures=unit_report,
            earlier=earlier,
            later=later if later <= found.today else None,
        )

    @expose("/export", methods=("POST",))
    def export(self) -> Answer:
        """Send the report as a workbook. Logged, hence a POST."""
        span = _span()
        target = tempfile.TemporaryFile(suffix=".xlsx")  # noqa: SIM115 - the response closes it
        with reading():
            report_book.write(target, unit_report.report(g.unit.id, span), g.unit.name)
        with transaction():
            detail = {"span": span.kind, "first": span.first.isoformat()}
            record_audit("export", ("list", "unit_report"), unit_id=g.unit.id, detail=detail)
        target.seek(0)
        title = _("Unit report")
        name = f"{title}-{span.first}.xlsx"
        answer = send_file(target, mimetype=EXCEL)
        answer.headers["Content-Disposition"] = attachment(name, f"report-{span.kind}-{span.first}.xlsx")
        return answer


class ReportCases(ListScreen):
    """The cases that a number of the report counts."""

    permission = "case.view"
    export_permission = "case.export"

    def is_visible(self) -> bool:
        return False

    def list_spec(self) -> ListSpec:
        return report_words.cases_spec()

    def row_url(self, row: Record) -> str:
        return lists.record_url(row)


def _span() -> Span:
    """Read the span from the address; what is malformed counts as today."""
    kind = request.args.get("span", "")
    try:
        day = date.fromisoformat(request.args.get("day", ""))
    except ValueError:
        day = local_day(g.unit.id)
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        day = local_day(g.unit.id)
    return span_of(kind if kind in unit_report.SPANS else unit_report.DAY, day)


def admin_views() -> list[AdminEntry]:
    return [
        AdminEntry(ReportScreen(name=_l("Unit report"), endpoint="reports", url="/admin/reports"), WORK, 50),
        AdminEntry(
            ReportCases(name=_l("Cases of the report"), endpoint="report_cases", url="/admin/report-cases"),
            WORK,
            51,
        ),
    ]

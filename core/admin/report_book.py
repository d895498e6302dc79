"""The unit's report as an Excel workbook: summary, people, days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask_babel import gettext as _

from core.kernel.sheets import safe_cell
from core.rules import unit_report as figures
from core.rules.unit_report import Report

from .report_words import FIGURES, TASKS, day_title, due_label, span_title


def write(target: Any, report: Report, unit_name: str) -> None:
    """Write the report into an open binary file."""
    import xlsxwriter  # slow to load, and few requests export

    book = xlsxwriter.Workbook(target, {"strings_to_formulas": False, "strings_to_urls": False})
    heading = book.add_format({"bold": True, "bg_color": "#E8ECF4"})

    def sheet(name: str, head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> None:
        page = book.add_worksheet(safe_cell(name)[:31])
        page.set_column(0, 0, 28)
        page.set_column(1, 9, 14)
        for line, row in enumerate((head, *rows)):
            for place, value in enumerate(row):
                if isinstance(value, int):
                    page.write_number(line, place, value)
                else:
                    page.write_string(line, place, safe_cell(str(value)), heading if line == 0 else None)
        page.freeze_panes(1, 0)

    labels = {**{name: label for name, (label, _tone) in FIGURES.items()}, figures.DUE: due_label(report)}
    sheet(_("Summary"), (_("Figure"), _("How many"), _("Period before")), _summary(report, unit_name, labels))
    sheet(
        _("Load of each person"),
        (_("Staff member"), *labels.values()),
        ((one.name or _("Nobody yet"), *(one.figures[name] for name in labels)) for one in report.people),
    )
    if report.days:
        counted = [figures.NEW, figures.FINISHED, figures.LATE_ONES, figures.CHASED]
        sheet(
            _("Day by day"),
            (_("Day"), *(labels[name] for name in counted)),
            ((day_title(day), *(counts[name] for name in counted)) for day, counts in report.days),
        )
    book.close()


def _summary(report: Report, unit_name: str, labels: dict[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [(_("Unit"), unit_name, ""), (_("Period"), span_title(report.span), "")]
    rows += [(label, report.totals[name], report.before.get(name, "")) for name, label in labels.items()]
    tasks = _("Recurring tasks")
    return rows + [(f"{tasks}: {label}", report.tasks[name], "") for name, label in TASKS.items()]

"""The compliance figures as an Excel workbook: what was asked, each table on a sheet, refused steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from flask_babel import gettext as _

from core.kernel.sheets import safe_cell
from core.rules.compliance import Figures

from .clauses import clause_title
from .compliance_words import Asked, chips

_SHEET_NAME = str.maketrans(dict.fromkeys("[]:*?/\\", " "))


def write(
    target: Any,
    asked: Asked,
    total: Figures,
    tables: Iterable[tuple[Any, Sequence[tuple[Any, Sequence[Any]]]]],
    refused: dict[str, int],
) -> None:
    """Write the workbook into an open binary file. ``tables``: (name of the sheet, [(heading, rows)])."""
    import xlsxwriter  # slow to load, and few requests export

    book = xlsxwriter.Workbook(target, {"strings_to_formulas": False, "strings_to_urls": False})
    heading = book.add_format({"bold": True, "bg_color": "#E8ECF4"})
    rate = book.add_format({"num_format": "0.0%"})

    def sheet(name: Any, rows: Sequence[Sequence[Any]]) -> None:
        heads = [row for row in rows if len(row) > 2 and all(isinstance(one, str) for one in row)]
        page = book.add_worksheet(safe_cell(str(name)).translate(_SHEET_NAME)[:31])
        page.set_column(0, 1, 26)
        page.set_column(2, 10, 12)
        for line, row in enumerate(rows):
            for place, value in enumerate(row):
                if isinstance(value, Decimal):
                    page.write_number(line, place, float(value), rate)
                elif isinstance(value, int):
                    page.write_number(line, place, value)
                elif value is not None:
                    page.write_string(line, place, safe_cell(str(value)), heading if row in heads else None)

    sheet(_("Summary"), [*_about(asked), *_lines([("", [_Row(_("All"), total)])])])
    for name, parts in tables:
        sheet(name, _lines(parts))
    refusals = [(key, clause_title(key), count) for key, count in refused.items()]
    sheet(_("Steps refused"), [(_("Clause"), _("Title"), _("Times")), *refusals])
    book.close()


class _Row:
    def __init__(self, label: str, figures: Figures) -> None:
        self.label, self.figures, self.clause = label, figures, ""


def _about(asked: Asked) -> list[tuple[Any, ...]]:
    question = asked.question
    rows: list[tuple[Any, ...]] = [(_("Period"), f"{question.first} – {question.last}")]
    rows += [(label, value) for label, value, _without in chips(asked)]
    return [*rows, (_("Formula"), formula()), ()]


def formula() -> str:
    """Say in a line how the rate comes about."""
    return _(
        "Rate = met in time ÷ (met in time + late). Late includes what is overdue now. Excused, running, paused "
        "and no longer needed ones count neither way."
    )


def _lines(parts: Iterable[tuple[Any, Sequence[Any]]]) -> list[tuple[Any, ...]]:
    columns = (
        _("Rate"),
        _("Met in time"),
        _("Late"),
        _("of these overdue"),
        _("Excused"),
        _("Running"),
        _("Paused"),
        _("No longer needed"),
    )
    rows: list[tuple[Any, ...]] = []
    for head, lines in parts:
        rows += [() for _one in rows[:1]]
        rows.append((head, "", *columns))
        rows += [
            (one.clause or one.label, one.label if one.clause else "", *_numbers(one.figures)) for one in lines
        ]
    return rows


def _numbers(one: Figures) -> tuple[Any, ...]:
    rate = None if one.rate is None else one.rate.quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return rate, one.met, one.late, one.overdue, one.excused, one.pending, one.paused, one.void

"""A report as a file: a workbook, or a PDF on the house's paper."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import IO, Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.documents.services import head_of
from core.documents.typeset import SHARED, compile_pdf
from core.kernel import clock, exporting
from core.kernel.exporting import ExportColumn
from core.kernel.extensions import ReportColumn
from core.kernel.i18n import current_locale
from core.units.facts import unit_facts

from . import periods
from .making import ROW, Ask, Line, cell_text, lines

XLSX, PDF = "xlsx", "pdf"
FILE_TYPES = ((XLSX, _l("Excel (.xlsx)")), (PDF, _l("PDF")))
MEDIA_TYPES = {XLSX: exporting.MIME_TYPES[exporting.XLSX], PDF: "application/pdf"}
MOST_PRINTED = 3_000
NUMBERS = ("number", "money", "percent")


def write(wanted: Ask, file_type: str, target: IO[bytes]) -> int:
    """Write a report into an open file; return the number of its lines.

    Raises:
        TooMuch, InvalidData: as ``making.lines``. NotPrintable: a character the font has not.
    """
    if file_type == PDF:
        found = list(lines(wanted, MOST_PRINTED))
        target.write(_pdf(wanted, found))
        return len(found)
    heads = [ExportColumn(one.label, one.kind, 24 if one.kind == "text" else 16) for one in wanted.columns]
    zone = unit_facts(wanted.unit_id).timezone
    return exporting.write(
        heads, (one.cells for one in lines(wanted)), exporting.XLSX, target, timezone=zone, name=title(wanted)
    )


def content(wanted: Ask, file_type: str) -> bytes:
    """Return a report as the bytes of a file. Raises as ``write``."""
    target = io.BytesIO()
    write(wanted, file_type, target)
    return target.getvalue()


def title(wanted: Ask) -> str:
    """Return the report's title in the reader's language."""
    return str(wanted.report.title)


def file_name(wanted: Ask, file_type: str) -> str:
    """Return what the file is called: title and day."""
    return f"{title(wanted)}-{clock.day_in(unit_facts(wanted.unit_id).timezone):%Y%m%d}.{file_type}"


def _pdf(wanted: Ask, found: Sequence[Line]) -> bytes:
    locale = "en" if current_locale() == "en" else "zh"
    zone = unit_facts(wanted.unit_id).timezone
    head = head_of(wanted.unit_id, wanted.report.title, locale=locale)
    head["foot"] = _("As of %(moment)s", moment=cell_text(clock.now(), "moment", zone))
    columns = wanted.columns
    data = {
        "about": about(wanted),
        "heads": [str(one.label) for one in columns],
        "numeric": [one.kind in NUMBERS for one in columns],
        "lines": list(_drawn(columns, found, zone)),
        "help": str(wanted.report.help),
        "empty": _("Nothing fits these filters."),
    }
    return compile_pdf(SHARED / "report.typ", {"lang": locale, "prints": [{"head": head, "data": data}]})


def _drawn(columns: Sequence[ReportColumn], found: Sequence[Line], zone: str) -> Iterator[dict[str, Any]]:
    for line in found:
        texts = [cell_text(value, one.kind, zone) for one, value in zip(columns, line.cells, strict=True)]
        yield {"sum": line.kind != ROW, "cells": [_blank(line, text) for text in texts]}


def _blank(line: Line, text: str) -> str:
    """A dash says that a row has no value; a sum has none to miss."""
    return "" if line.kind != ROW and text == "—" else text


def about(wanted: Ask, *, dated: bool = True) -> list[tuple[str, str]]:
    """Return (label, value) of what narrows a report: its filters, and how many units it covers.

    ``dated``: name the days a preset means now, for who reads it later.
    """
    found: list[tuple[str, str]] = []
    for one in wanted.report.filters:
        value = wanted.values.get(one.name)
        if value in (None, "", [], False):
            continue
        words = {str(code): str(label) for code, label in one.choice_list()}
        chosen = value if isinstance(value, list) else [value]
        told = [words.get(str(code), cell_text(code, one.kind, "UTC")) for code in chosen]
        if dated and one.name == "period":
            told.append(_dates(wanted))
        found.append((str(one.label), _("Yes") if value is True else _(", ").join(told)))
    if len(wanted.units) > 1:
        found.append((_("Units"), str(len(wanted.units))))
    return found


def _dates(wanted: Ask) -> str:
    first, last = periods.of(wanted.values, wanted.unit_id)
    return f"{first} – {last}"

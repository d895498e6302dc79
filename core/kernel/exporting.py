"""The one exporter: columns and an iterator of rows become .xlsx or CSV, row by row, in flat memory.

No text becomes a formula or a link. A workbook that is full goes on in a further sheet with the same heading.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from .errors import InvalidData
from .sheets import safe_cell

XLSX, CSV, CSV_GB = "xlsx", "csv", "csv-gb18030"
FILE_TYPES = {XLSX: _l("Excel (.xlsx)"), CSV: _l("CSV (UTF-8)"), CSV_GB: _l("CSV (GB18030)")}
MIME_TYPES = {
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    CSV: "text/csv; charset=utf-8",
    CSV_GB: "text/csv; charset=gb18030",
}
# What a sheet holds, its heading included, and the longest text in a cell.
SHEET_ROWS = 1_048_576
MAX_TEXT = 32_767
# Excel keeps 15 digits of a number; a longer one goes in as text, so that none is lost.
_EXACT = 10**15
_STEP = 1000
_FORMATS = {"moment": "yyyy-mm-dd hh:mm", "date": "yyyy-mm-dd", "money": "#,##0.00", "percent": "0.0%"}


@dataclass(frozen=True)
class ExportColumn:
    """A column: heading, ``kind`` (text, moment, date, money, number, percent, bool) and width in characters."""

    label: Any
    kind: str = "text"
    width: int = 18


def write(
    columns: Sequence[ExportColumn | str],
    rows: Iterable[Sequence[Any]],
    file_type: str,
    target: Path | IO[bytes],
    *,
    timezone: str = "UTC",
    name: str = "",
    progress: Callable[[int], object] | None = None,
) -> int:
    """Write a table into ``target`` (a path, or a binary file that stays open); return the number of rows.

    ``columns`` may be plain headings. Cells are None, str, bool, int, float, Decimal, date or an aware datetime,
    which is written as the wall clock of ``timezone``. ``name`` is the sheet's. ``progress(done)`` is called about
    every thousand rows and may raise to stop.

    Raises:
        InvalidData: under ``format``, another file type.
    """
    heads = [one if isinstance(one, ExportColumn) else ExportColumn(one) for one in columns]
    told = _told(_plain_rows(rows, ZoneInfo(timezone)), progress)
    if file_type == XLSX:
        return _write_xlsx(heads, told, target, name)
    if file_type not in FILE_TYPES:
        raise InvalidData({"format": _l("Please choose one of the list")})
    encoding = "gb18030" if file_type == CSV_GB else "utf-8-sig"
    if isinstance(target, Path):
        with target.open("wb") as opened:
            return _write_csv(heads, told, opened, encoding)
    return _write_csv(heads, told, target, encoding)


def suffix(file_type: str) -> str:
    """Return the ending of a file of this type, with its dot."""
    return ".xlsx" if file_type == XLSX else ".csv"


def _plain_rows(rows: Iterable[Sequence[Any]], zone: ZoneInfo) -> Iterator[list[Any]]:
    for row in rows:
        yield [one.astimezone(zone).replace(tzinfo=None) if isinstance(one, datetime) else one for one in row]


def _told(rows: Iterator[list[Any]], progress: Callable[[int], object] | None) -> Iterator[list[Any]]:
    for count, row in enumerate(rows, 1):
        yield row
        if progress and not count % _STEP:
            progress(count)


# --- Excel -----------------------------------------------------------------------------------


def _write_xlsx(
    columns: Sequence[ExportColumn], rows: Iterator[list[Any]], target: Path | IO[bytes], name: str
) -> int:
    import xlsxwriter  # slow to load, and few requests export

    count = 0
    with tempfile.TemporaryDirectory() as folder:
        # Memory stays flat because each row goes to a file at once; use_zip64: a million rows may pass 4 GB.
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "tmpdir": folder,
            "use_zip64": True,
        }
        with xlsxwriter.Workbook(str(target) if isinstance(target, Path) else target, options) as book:
            formats = {kind: book.add_format({"num_format": code}) for kind, code in _FORMATS.items()}
            kinds = [column.kind for column in columns]
            sheet = _new_sheet(book, columns, name)
            line = 0
            for row in rows:
                if line == SHEET_ROWS - 1:
                    sheet, line = _new_sheet(book, columns, ""), 0
                line += 1
                count += 1
                for place, value in enumerate(row):
                    _write_cell(sheet, line, place, value, kinds[place] if place < len(kinds) else "text", formats)
    return count


def _new_sheet(book: Any, columns: Sequence[ExportColumn], name: str) -> Any:
    sheet = book.add_worksheet(sheet_name(name) or None)
    heading = book.add_format({"bold": True, "bg_color": "#E8ECF4"})
    for place, column in enumerate(columns):
        sheet.set_column(place, place, column.width)
        sheet.write_string(0, place, safe_cell(str(column.label))[:MAX_TEXT], heading)
    sheet.freeze_panes(1, 0)
    return sheet


def sheet_name(name: str) -> str:
    """Make a text fit for the tab of a sheet."""
    return str(safe_cell("".join(" " if one in "[]:*?/\\" else one for one in name)))[:31].strip(" '")


def _write_cell(sheet: Any, line: int, place: int, value: Any, kind: str, formats: dict[str, Any]) -> None:
    if value is None or value == "":
        return
    if isinstance(value, str):
        sheet.write_string(line, place, safe_cell(value)[:MAX_TEXT])
    elif isinstance(value, bool):
        sheet.write_string(line, place, _yes_no(value))
    elif isinstance(value, datetime):
        _write_day(sheet, line, place, value, formats["moment"], f"{value:%Y-%m-%d %H:%M}")
    elif isinstance(value, date):
        _write_day(sheet, line, place, value, formats["date"], value.isoformat())
    elif _is_exact(value):
        sheet.write_number(line, place, value, formats.get(kind))
    else:
        sheet.write_string(line, place, safe_cell(str(value))[:MAX_TEXT])


def _is_exact(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and isfinite(value) and -_EXACT < value < _EXACT


def _write_day(sheet: Any, line: int, place: int, value: date, style: Any, text: str) -> None:
    if value.year < 1900:  # before Excel's calendar
        sheet.write_string(line, place, text)
    else:
        sheet.write_datetime(line, place, value, style)


def _yes_no(value: bool) -> str:
    return str(_("Yes") if value else _("No"))


# --- CSV -------------------------------------------------------------------------------------


def _write_csv(columns: Sequence[ExportColumn], rows: Iterator[list[Any]], target: IO[bytes], encoding: str) -> int:
    # Half a surrogate pair is no character in any encoding; everything else fits into both.
    text = io.TextIOWrapper(target, encoding=encoding, errors="replace", newline="")
    writer = csv.writer(text)
    writer.writerow([safe_cell(str(column.label)) for column in columns])
    count = 0
    for row in rows:
        writer.writerow([_text(value) for value in row])
        count += 1
    text.flush()
    text.detach()
    return count


def _text(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, bool):
        return _yes_no(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value)  # numbers and days; a negative number is no formula

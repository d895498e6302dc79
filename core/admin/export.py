"""A list's view as an Excel workbook: the same columns, filters and rights, in flat memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Response, send_file
from flask_babel import gettext as _

from core.kernel import clock
from core.kernel.audit import record_audit
from core.kernel.database import reading, transaction
from core.kernel.sheets import safe_cell

from .listing import (
    Args,
    ListColumn,
    ListContext,
    ListSpec,
    all_rows,
    read_state,
    visible_columns,
)

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def cell_value(column: ListColumn, row: Any, zone: ZoneInfo) -> Any:
    """Return what one cell of the workbook holds: a number, a naive local datetime, a date, or safe text."""
    value = column.export(row) if column.export else column.value(row)
    if column.kind == "badge" and not column.export:
        value = value[0] if value else ""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(zone).replace(tzinfo=None)
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, date | Decimal | int | float):
        return value
    return safe_cell(str(value)[:32_000])


def send(spec: ListSpec, args: Args, context: ListContext) -> Response:
    """Write the whole view (up to the cap) to a temporary file and send it; the export is logged."""
    state = read_state(spec, args)
    target = tempfile.TemporaryFile(suffix=".xlsx")  # noqa: SIM115 - the response closes it
    with reading():
        count = _write(target, spec, args, context)
    with transaction():
        detail = {"filters": state.query(), "rows": count}
        record_audit("export", ("list", spec.name), unit_id=context.unit_id, detail=detail)
    target.seek(0)
    day = clock.now().astimezone(ZoneInfo(context.timezone)).strftime("%Y%m%d-%H%M")
    answer = send_file(target, mimetype=EXCEL)
    answer.headers["Content-Disposition"] = attachment(f"{spec.title}-{day}.xlsx", f"{spec.name}-{day}.xlsx")
    return answer


def attachment(name: str, plain: str) -> str:
    """Return a Content-Disposition that keeps Chinese names (RFC 6266) and gives old clients ``plain``."""
    return f"attachment; filename=\"{plain.replace(chr(34), '')}\"; filename*=UTF-8''{quote(name, safe='')}"


def _write(target: Any, spec: ListSpec, args: Args, context: ListContext) -> int:
    zone = ZoneInfo(context.timezone)
    state = read_state(spec, args)
    import xlsxwriter  # slow to load, and few requests export

    book = xlsxwriter.Workbook(
        target, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheet = book.add_worksheet()
    formats = {
        "moment": book.add_format({"num_format": "yyyy-mm-dd hh:mm"}),
        "date": book.add_format({"num_format": "yyyy-mm-dd"}),
        "money": book.add_format({"num_format": "#,##0.00"}),
    }
    heading = book.add_format({"bold": True, "bg_color": "#E8ECF4"})
    count = 0
    columns: Sequence[ListColumn] = visible_columns(state, [], context)
    for place, column in enumerate(columns):
        sheet.set_column(place, place, 18)
        sheet.write_string(0, place, safe_cell(str(column.label)), heading)
    sheet.freeze_panes(1, 0)
    for rows in all_rows(state, context):
        _write_rows(sheet, count + 1, rows, visible_columns(state, rows, context), formats, zone)
        count += len(rows)
    book.close()
    return count


def _write_rows(
    sheet: Any,
    first: int,
    rows: Sequence[Any],
    columns: Sequence[ListColumn],
    formats: dict[str, Any],
    zone: ZoneInfo,
) -> None:
    for line, row in enumerate(rows, first):
        for place, column in enumerate(columns):
            _write_cell(sheet, line, place, cell_value(column, row, zone), formats, column.kind)


def _write_cell(sheet: Any, line: int, place: int, value: Any, formats: dict[str, Any], kind: str) -> None:
    if isinstance(value, datetime):
        sheet.write_datetime(line, place, value, formats["moment"])
    elif isinstance(value, date):
        sheet.write_datetime(line, place, value, formats["date"])
    elif isinstance(value, str):
        sheet.write_string(line, place, value)
    else:
        sheet.write_number(line, place, value, formats.get(kind))

"""Reads an .xls or .ods file in a process of its own, with little memory and time: what breaks there breaks alone.

Such files say how large their tables and streams are, and the reader believes them; one that lies would take the
whole server along. Run as a program it writes the number of sheets, or a sheet's rows as JSON, a line each.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import date, datetime, time
from typing import Any

MAX_CELL = 5000
MEMORY = 1536 * 1024 * 1024
SECONDS = 60


def cell_text(value: Any) -> str:
    """Write a spreadsheet value as people read it: 12.0 as 12, dates in ISO form."""
    if isinstance(value, str):
        return value[:MAX_CELL]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time.min else value.isoformat(" ", "minutes")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def trimmed(cells: list[str]) -> list[str]:
    """Drop empty cells at the end."""
    while cells and not cells[-1]:
        cells.pop()
    return cells


def main(path: str, index: int) -> None:
    """Write the number of sheets (``index`` below 0), or one sheet: [line, [cell, …]] in each line of output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    from python_calamine import CalamineWorkbook

    with CalamineWorkbook.from_path(path) as book:
        if index < 0:
            print(len(book.sheet_names))
            return
        sheet = book.get_sheet_by_index(index)
        first = (sheet.start or (0, 0))[0] + 1
        for line, cells in enumerate(sheet.iter_rows(), first):
            print(json.dumps([line, trimmed([cell_text(cell) for cell in cells])]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

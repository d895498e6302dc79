"""Spreadsheets from the office: read .xlsx, .xls, .ods and CSV safely, and find the header."""

from __future__ import annotations

import codecs
import csv
import json
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l

from .errors import InvalidData
from .fields import normalise
from .sheet_reader import MAX_CELL, cell_text, trimmed

MAX_FILE = 64 * 1024 * 1024
MAX_UNPACKED = 512 * 1024 * 1024
MAX_RATIO = 200
MAX_MEMBERS = 2000
MAX_SHEETS = 20
MAX_ROWS = 300_000
MAX_COLUMNS = 200
MAX_CELLS = 20_000_000
HEADER_WITHIN = 20
_CHUNK = 1024 * 1024
_ODS = b"application/vnd.oasis.opendocument.spreadsheet"
_PLACE = re.compile(rb"""\sr=["']([A-Z]{0,3})(\d{1,9})["']""")
_FORMULA = re.compile(rb"""<(?:\w+:)?c\s[^>]*\br=["'][A-Z]{1,3}(\d{1,7})["'][^>]*>\s*<(?:\w+:)?f[\s>/]""")
_SHEET_MARK = re.compile(rb"""<(?:\w+:)?sheet\s[^>]*\b\w+:id=["']([^"']+)["']""")
_LINK = re.compile(rb"<Relationship\s[^>]*>")
_LINK_ID = re.compile(rb"""\bId=["']([^"']+)["']""")
_LINK_TARGET = re.compile(rb"""\bTarget=["']([^"']+)["']""")
_TOTALS = frozenset({"合计", "总计", "小计", "共计", "总数", "汇总", "total", "sum", "grand total", "subtotal"})
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")

TOO_BIG = _l("The file is too large")
BOMB = _l("The file unpacks to far more than its size and was not opened")
NOT_A_SHEET = _l("This is neither a workbook (.xlsx, .xls, .ods) nor a CSV file. Save it as .xlsx and try again.")
LOCKED = _l("The file is damaged or protected. Please save it as .xlsx without a password and try again.")
DAMAGED = _l("The file is damaged and cannot be read")
EMPTY = _l("The file is empty")
NO_HEADER = _l("No row with known column names was found in the first %(count)d rows", count=HEADER_WITHIN)
TOO_MANY_ROWS = _l("The file has more than %(count)d rows. Please split it.", count=MAX_ROWS)
TOO_MANY_COLUMNS = _l("The file has more than %(count)d columns", count=MAX_COLUMNS)


@dataclass(frozen=True)
class Column:
    """A column an importer knows. ``synonyms`` are other header texts for it, as offices write them."""

    name: str
    label: Any
    synonyms: tuple[str, ...] = ()
    required: bool = False
    help: Any = ""

    def is_called(self, title: str) -> bool:
        """Tell whether a header cell names this column, by name, synonym or (translated) label."""
        wanted = _title(title)
        return bool(wanted) and wanted in {_title(self.name), _title(str(self.label)), *map(_title, self.synonyms)}


@dataclass(frozen=True)
class Header:
    """Where the header row is (1-based line) and which column is where: column name -> index."""

    line: int
    titles: tuple[str, ...]
    mapping: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """An opened file that passed the guards. ``encoding`` is '' for workbooks; ``index`` is the worksheet's place.

    ``apart``: it is read in a process of its own (.xls, .ods).
    """

    path: Path
    encoding: str = ""
    delimiter: str = ","
    index: int = 0
    apart: bool = False

    def siblings(self) -> list[Sheet]:
        """Return every worksheet of the workbook, in order; a CSV file has one.

        Raises:
            InvalidData: the file is damaged.
        """
        from python_calamine import CalamineError, CalamineWorkbook

        if self.encoding:
            return [self]
        if self.apart:
            count = int(next(self._lines(-1), "0"))
            return [replace(self, index=place) for place in range(min(count, MAX_SHEETS))]
        try:
            with CalamineWorkbook.from_path(str(self.path)) as book:
                return [replace(self, index=place) for place in range(len(book.sheet_names))]
        except (CalamineError, OSError, ValueError) as error:
            raise InvalidData({"file": DAMAGED}) from error

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield (line, cell texts), one row at a time, the line numbers as the user sees them.

        Raises:
            InvalidData: too many rows or columns, or damage met on the way.
        """
        source = self._csv() if self.encoding else self._other() if self.apart else self._xlsx()
        for line, cells in source:
            if line > MAX_ROWS:
                raise InvalidData({"file": TOO_MANY_ROWS})
            if len(cells) > MAX_COLUMNS:
                raise InvalidData({"file": TOO_MANY_COLUMNS})
            yield line, cells

    def _xlsx(self) -> Iterator[tuple[int, list[str]]]:
        from python_calamine import CalamineError, CalamineWorkbook

        try:
            with CalamineWorkbook.from_path(str(self.path)) as book:
                if self.index >= len(book.sheet_names):
                    return
                sheet = book.get_sheet_by_index(self.index)
                first = (sheet.start or (0, 0))[0] + 1
                if sheet.width > MAX_COLUMNS * 10:
                    raise InvalidData({"file": TOO_MANY_COLUMNS})
                for line, cells in enumerate(sheet.iter_rows(), first):
                    yield line, trimmed([cell_text(cell) for cell in cells])
        except (CalamineError, OSError, ValueError) as error:
            raise InvalidData({"file": DAMAGED}) from error

    def _other(self) -> Iterator[tuple[int, list[str]]]:
        for text in self._lines(self.index):
            line, cells = json.loads(text)
            yield line, cells

    def _lines(self, index: int) -> Iterator[str]:
        """Yield what the reader in a process of its own writes."""
        reader = Path(__file__).with_name("sheet_reader.py")
        program = [sys.executable, "-I", str(reader), str(self.path), str(index)]
        quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        # The program is ours, and the path names a file that we called by its hash.
        with subprocess.Popen(program, encoding="ascii", env={}, **quiet) as child:  # type: ignore[call-overload]  # noqa: S603
            try:
                yield from child.stdout
                if child.wait() != 0:
                    raise InvalidData({"file": LOCKED})
            finally:
                child.kill()

    def _csv(self) -> Iterator[tuple[int, list[str]]]:
        with self.path.open(encoding=self.encoding, newline="") as source:
            reader = csv.reader(source, delimiter=self.delimiter)
            try:
                for cells in reader:
                    yield reader.line_num, trimmed([cell[:MAX_CELL] for cell in cells])
            except (csv.Error, UnicodeDecodeError) as error:
                raise InvalidData({"file": _l("Line %(line)d cannot be read", line=reader.line_num)}) from error


# --- opening ---------------------------------------------------------------------------------


def open_sheet(path: Path, max_size: int = MAX_FILE) -> Sheet:
    """Check a file and open it by what it holds, whatever its name says.

    Raises:
        InvalidData: under ``file``: empty, too large, zip bomb, damaged, broken text, or another kind of file.
    """
    size = path.stat().st_size
    if not size:
        raise InvalidData({"file": EMPTY})
    if size > max_size:
        raise InvalidData({"file": TOO_BIG})
    with path.open("rb") as source:
        start = source.read(8)
    if start.startswith(b"PK\x03\x04"):
        return Sheet(path, apart=_check_zip(path) == "ods")
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        return Sheet(path, apart=True)
    encoding = _encoding(path)
    return Sheet(path, encoding, _delimiter(path, encoding))


def _check_zip(path: Path) -> str:
    """Refuse what is not a workbook or unpacks to too much; sizes are counted, not believed. Return xlsx or ods."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > MAX_UNPACKED:
                raise InvalidData({"file": BOMB})
            if any(m.file_size > _CHUNK and m.file_size > MAX_RATIO * m.compress_size for m in members):
                raise InvalidData({"file": BOMB})
            names = set(archive.namelist())
            kind = "xlsx" if "xl/workbook.xml" in names else "ods"
            if kind == "ods" and (not names >= {"mimetype", "content.xml"} or archive.read("mimetype") != _ODS):
                raise InvalidData({"file": NOT_A_SHEET})
            if any(m.flag_bits & 1 for m in members):
                raise InvalidData({"file": LOCKED})
            for member in members:
                _read_through(archive, member)
            return kind
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
        raise InvalidData({"file": DAMAGED}) from error


def _read_through(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Unpack a member without keeping it: the check sum fails if it is longer than it says.

    One far-away cell would make the reader lay out a table of that size, so places are looked at beforehand.
    """
    is_table = member.filename.startswith("xl/worksheets/")
    columns: set[bytes] = set()
    last_row = 0
    with archive.open(member) as source:
        tail = b""
        while chunk := source.read(_CHUNK):
            if not is_table:
                continue
            for column, row in _PLACE.findall(tail + chunk):
                columns.add(column)
                last_row = max(last_row, int(row))
            tail = chunk[-40:]
    width = max(map(_column_number, columns), default=0)
    if width > MAX_COLUMNS * 10:
        raise InvalidData({"file": TOO_MANY_COLUMNS})
    if last_row > 1_048_576 or last_row * width > MAX_CELLS:
        raise InvalidData({"file": TOO_MANY_ROWS})


def formula_rows(sheet: Sheet) -> frozenset[int]:
    """Return the rows (as the user counts them) of an .xlsx sheet that hold a formula; none of other files."""
    if sheet.encoding or sheet.apart:
        return frozenset()
    found: set[int] = set()
    with zipfile.ZipFile(sheet.path) as archive:
        member = _table_of(archive, sheet.index)
        if member is None:
            return frozenset()
        with archive.open(member) as source:
            tail = b""
            while chunk := source.read(_CHUNK):
                found.update(int(row) for row in _FORMULA.findall(tail + chunk))
                tail = chunk[-500:]
    return frozenset(found)


def _table_of(archive: zipfile.ZipFile, index: int) -> str | None:
    """Return the name of the member that holds the nth worksheet."""
    try:
        book, links = archive.read("xl/workbook.xml"), archive.read("xl/_rels/workbook.xml.rels")
    except KeyError:
        return None
    marks = _SHEET_MARK.findall(book)
    for link in _LINK.findall(links):
        mark, target = _LINK_ID.search(link), _LINK_TARGET.search(link)
        if mark and target and index < len(marks) and mark[1] == marks[index]:
            name = target[1].decode("utf-8", "replace")
            name = name[1:] if name.startswith("/") else f"xl/{name}"
            return name if name in archive.namelist() else None
    return None


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _encoding(path: Path) -> str:
    """Tell the text encoding: UTF-8 with or without mark, UTF-16 with mark, else GB18030 (Excel's in China).

    Raises:
        InvalidData: binary, or UTF-8 with broken places (named by line, never guessed).
    """
    with path.open("rb") as source:
        start = source.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, "utf-16")
    if start.startswith(codecs.BOM_UTF8):
        return _checked(path, "utf-8-sig")
    broken, whole = _utf8_faults(path)
    if not broken:
        return "utf-8"
    if broken * 20 < whole:
        raise InvalidData({"file": _l("The text is broken near line %(line)d", line=_first_bad(path, "utf-8"))})
    return _checked(path, "gb18030")


def _checked(path: Path, encoding: str) -> str:
    line = _first_bad(path, encoding)
    if line:
        raise InvalidData({"file": _l("The text is broken near line %(line)d", line=line)})
    return encoding


def _utf8_faults(path: Path) -> tuple[int, int]:
    """Count characters that are broken UTF-8 and those above ASCII that are whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    broken = whole = 0
    for chunk in _chunks(path):
        text = decoder.decode(chunk)
        bad = text.count("\ufffd")
        broken += bad
        whole += len(text) - bad - len(text.encode("ascii", "ignore"))
    return broken + decoder.decode(b"", True).count("\ufffd"), whole


def _first_bad(path: Path, encoding: str) -> int:
    """Return the line of the first byte that does not fit, 0 if all do. A NUL character fits nowhere."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for chunk in [*_chunks(path), b""]:
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            return line + chunk[: max(0, error.start)].count(b"\n")
        if "\x00" in text:
            raise InvalidData({"file": NOT_A_SHEET})
        line += text.count("\n")
    return 0


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def _delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="") as source:
        start = source.read(4000)
    if "\x00" in start:
        raise InvalidData({"file": NOT_A_SHEET})
    return max(",\t;", key=start.count)


# --- finding the table -----------------------------------------------------------------------


def find_header(sheet: Sheet, columns: Sequence[Column]) -> Header:
    """Find the header row among the first rows: the first one with the most known column names.

    Raises:
        InvalidData: under ``file``: no row names two known columns (or one, where only one is known).
    """
    best: Header | None = None
    for line, cells in sheet.rows():
        if line > HEADER_WITHIN:
            break
        mapping = match_columns(cells, columns)
        if len(mapping) > (len(best.mapping) if best else min(1, len(columns) - 1)):
            best = Header(line, tuple(cells), mapping)
    if best is None:
        raise InvalidData({"file": NO_HEADER})
    return best


def find_table(sheet: Sheet, columns: Sequence[Column]) -> tuple[Sheet, Header]:
    """Find the worksheet whose header names the most known columns, the first of equals, and that header.

    Raises:
        InvalidData: as ``find_header``, when no worksheet has one.
    """
    best: tuple[Sheet, Header] | None = None
    missing: InvalidData | None = None
    for one in sheet.siblings():
        try:
            header = find_header(one, columns)
        except InvalidData as bad:
            if DAMAGED in bad.errors["file"] or LOCKED in bad.errors["file"]:
                raise
            missing = missing or bad
            continue
        if best is None or len(header.mapping) > len(best[1].mapping):
            best = (one, header)
    if best is None:
        raise missing or InvalidData({"file": NO_HEADER})
    return best


def match_columns(titles: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
    """Match header texts to known columns; each title and each column is used once, the leftmost first."""
    mapping: dict[str, int] = {}
    for index, title in enumerate(titles):
        known = (c.name for c in columns if c.name not in mapping and c.is_called(title))
        name = next(known, None)
        if name is not None:
            mapping[name] = index
    return mapping


def data_rows(sheet: Sheet, header: Header) -> Iterator[tuple[int, list[str]]]:
    """Yield (line, cell texts) of the rows below the header, without blank rows, totals and repeated headers."""
    for line, cells in sheet.rows():
        if line <= header.line or not any(cell.strip() for cell in cells):
            continue
        if tuple(cells) == header.titles or is_total(cells):
            continue
        yield line, cells


def is_total(cells: Sequence[str]) -> bool:
    """Tell whether a row sums up the table: it starts with 合计 or the like and is mostly empty."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled or filled[0].rstrip(":：").lower().replace(" ", "") not in _TOTALS:
        return False
    return len(filled) <= 2 or all(_is_number(cell) for cell in filled[1:])


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "", 1).lstrip("-").isdigit()


def _title(text: str) -> str:
    kept = (c for c in normalise(text).lower() if c.isalnum())
    return "".join(kept)


# --- writing ---------------------------------------------------------------------------------


def safe_cell(value: Any) -> Any:
    """Make a value harmless in a spreadsheet: text that would start a formula gets an apostrophe in front."""
    if isinstance(value, str) and value.startswith(_DANGEROUS):
        return "'" + value
    return value

"""The one exporter: three kinds of file, formula-safe, flat in memory, workbooks that go on in a further sheet."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from python_calamine import CalamineWorkbook

from core.kernel import exporting
from core.kernel.errors import InvalidData
from core.kernel.exporting import CSV, CSV_GB, XLSX, ExportColumn, write

COLUMNS = (
    ExportColumn("名称"),
    ExportColumn("金额", "money"),
    ExportColumn("时间", "moment"),
    ExportColumn("日期", "date"),
    ExportColumn("率", "percent"),
)
MOMENT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
ROW: list[Any] = ["𠮷野家", Decimal("-12.50"), MOMENT, date(2026, 11, 22), Decimal("0.5")]
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")


def sheets_of(path: Path) -> list[list[list[Any]]]:
    book = CalamineWorkbook.from_path(str(path))
    return [book.get_sheet_by_index(place).to_python() for place in range(len(book.sheet_names))]


def test_numbers_stay_numbers_and_moments_are_the_wall_clock_of_the_zone(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    odd = ["x", Decimal("123456789012345678.5"), None, date(1800, 1, 1), float("nan")]
    assert write(COLUMNS, [ROW, odd], XLSX, path, timezone="Asia/Shanghai", name="a/b:c") == 2
    book = load_workbook(path)
    sheet = book.worksheets[0]
    assert (sheet.title, sheet["A2"].value, sheet["B2"].value) == ("a b c", "𠮷野家", -12.5)
    assert sheet["C2"].value == datetime(2026, 11, 22, 9, 30)
    assert (sheet["D2"].value.date(), sheet["E2"].number_format) == (date(2026, 11, 22), "0.0%")
    assert [cell.value for cell in sheet[3]] == ["x", "123456789012345678.5", None, "1800-01-01", "nan"]


@pytest.mark.parametrize(("file_type", "encoding"), [(CSV, "utf-8-sig"), (CSV_GB, "gb18030")])
def test_csv_holds_every_character_of_both_encodings(file_type: str, encoding: str) -> None:
    target = io.BytesIO()
    assert write(COLUMNS, [ROW], file_type, target, timezone="Asia/Shanghai") == 1
    lines = list(csv.reader(io.StringIO(target.getvalue().decode(encoding))))
    assert lines == [
        ["名称", "金额", "时间", "日期", "率"],
        ["𠮷野家", "-12.50", "2026-11-22 09:30", "2026-11-22", "0.5"],
    ]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData):
        write(["a"], [], "exe", tmp_path / "a")


def test_a_full_sheet_goes_on_in_the_next_under_the_same_heading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SHEET_ROWS", 4)
    assert write(["数"], ([n] for n in range(7)), XLSX, tmp_path / "a.xlsx", name="表") == 7
    found = [[row[0] for row in sheet] for sheet in sheets_of(tmp_path / "a.xlsx")]
    assert found == [["数", 0, 1, 2], ["数", 3, 4, 5], ["数", 6]]


@pytest.mark.parametrize(("file_type", "count"), [(XLSX, 20_000), (CSV_GB, 200_000)])
def test_memory_is_flat_however_many_rows(tmp_path: Path, file_type: str, count: int) -> None:
    """More rows take no more memory; a million are tried by the benchmarks."""
    seen: list[int] = []
    peaks = []
    write(["a"], [["x"]], file_type, tmp_path / "warm")
    for rows in (count // 10, count):
        tracemalloc.start()
        write(["a", "b"], ([f"客户{n}", n] for n in range(rows)), file_type, tmp_path / "a", progress=seen.append)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000
    assert seen[-1] == count


def test_progress_may_stop_the_work(tmp_path: Path) -> None:
    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(["a"], ([n] for n in range(5000)), XLSX, tmp_path / "a.xlsx", progress=stop)


texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Co", "Cn"), blacklist_characters="\ufffe\uffff"), max_size=20
)
given_rows = st.lists(
    st.lists(st.one_of(texts, st.sampled_from(["=1+1", "+1", "-1", "@x", "\t=1"])), max_size=4), max_size=6
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=given_rows)
def test_what_we_write_never_starts_a_formula_and_reads_back(rows: list[list[str]], tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    write(["甲", "乙"], rows, XLSX, path)
    for given_row, read_row in zip(rows, sheets_of(path)[0][1:], strict=False):
        for text, cell in zip(given_row, read_row, strict=False):
            assert not str(cell).startswith(DANGEROUS)
            assert str(cell).lstrip("'").strip() == text.lstrip("'").strip()
    for file_type, encoding in ((CSV, "utf-8-sig"), (CSV_GB, "gb18030")):
        out = io.BytesIO()
        write(["甲", "乙"], rows, file_type, out)
        lines = list(csv.reader(io.StringIO(out.getvalue().decode(encoding), newline="")))
        assert len(lines) == len(rows) + 1
        assert not any(cell.startswith(DANGEROUS) for line in lines for cell in line)

"""Spreadsheets from the office, good and bad."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
from pathlib import Path

import pytest
import python_calamine
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.kernel import sheets
from core.kernel.errors import InvalidData
from core.kernel.sheets import Column

DATA = Path(__file__).parent / "data"
COLUMNS = (
    Column("number", "Number", ("客户编号",)),
    Column("name", "Name", ("客户名称",), required=True),
    Column("phone", "Phone", ("电话", "联系电话")),
)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def message(path: Path) -> object:
    with pytest.raises(InvalidData) as caught:
        sheet = sheets.open_sheet(path)
        list(sheet.rows())
    return caught.value.errors["file"][0]


def table(path: Path) -> list[list[str]]:
    sheet, header = sheets.find_table(sheets.open_sheet(path), COLUMNS)
    return [cells for _line, cells in sheets.data_rows(sheet, header)]


def test_title_rows_blank_rows_and_totals_are_recognised() -> None:
    sheet = sheets.open_sheet(DATA / "customers_small.xlsx")
    header = sheets.find_header(sheet, COLUMNS)
    assert header.line == 2
    assert header.mapping == {"number": 0, "name": 1, "phone": 4}
    rows = list(sheets.data_rows(sheet, header))
    assert len(rows) == 14
    assert rows[0][0] == 3 and rows[0][1][0] == "C00001"
    assert not any("合计" in cells for _line, cells in rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_in_every_usual_encoding(tmp_path: Path, encoding: str) -> None:
    text = "客户编号,客户名称,电话\nC1,张三丰𠮷,13812345678\n合计,1\n"
    if encoding == "utf-16":
        text = text.replace("\x00", "")
    assert table(written(tmp_path / "a", text.encode(encoding))) == [["C1", "张三丰𠮷", "13812345678"]]


def test_the_sample_in_gb18030() -> None:
    assert [cells[1] for cells in table(DATA / "customers_small_gb18030.csv")][:2] == [
        "盟新科技有限公司",
        "迪摩传媒有限公司",
    ]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators(tmp_path: Path, mark: str) -> None:
    assert table(written(tmp_path / "a", f"客户编号{mark}客户名称\nC1{mark}张三\n".encode())) == [["C1", "张三"]]


def test_broken_utf8_is_told_by_line_and_never_guessed(tmp_path: Path) -> None:
    good = "客户编号,客户名称\n" + "C1,这是一位很好的客户名称\n" * 30
    path = written(tmp_path / "a", good.encode() + b"C2,\xe5\xbc,x\n")
    assert "32" in str(message(path))


def test_other_files_are_refused(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.txt", "x")
    assert message(written(tmp_path / "zip", zipped.getvalue())) == sheets.NOT_A_SHEET
    assert message(written(tmp_path / "xls", b"\xd0\xcf\x11\xe0" + b"x" * 100)) == sheets.OLD_EXCEL
    assert message(written(tmp_path / "nul", b"a,b\n\x00\x01\n")) == sheets.NOT_A_SHEET
    assert message(written(tmp_path / "none", b"")) == sheets.EMPTY


def test_a_cut_workbook_is_damaged(tmp_path: Path) -> None:
    whole = (DATA / "customers_small.xlsx").read_bytes()
    assert message(written(tmp_path / "a", whole[: len(whole) // 2])) == sheets.DAMAGED


def bomb(path: Path, size: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * size)
    return path


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    assert message(bomb(tmp_path / "a", 30_000_000)) == sheets.BOMB


def test_a_zip_bomb_that_lies_about_its_size_is_not_opened(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a", 30_000_000)
    lied = path.read_bytes().replace(struct.pack("<I", 30_000_000), struct.pack("<I", 1000))
    assert message(written(path, lied)) == sheets.DAMAGED


def test_a_lone_cell_far_away_does_not_lay_out_a_huge_table(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "客户名称")
        sheet.write(1_000_000, 1500, "x")
    assert message(path) == sheets.TOO_MANY_ROWS


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        sheets.open_sheet(written(tmp_path / "a", b"a,b\n" * 100), max_size=200)
    assert caught.value.errors["file"] == [sheets.TOO_BIG]


def test_a_file_without_known_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData) as caught:
        table(written(tmp_path / "a", b"a,b\n1,2\n"))
    assert caught.value.errors["file"] == [sheets.NO_HEADER]


def test_numbers_and_dates_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["客户编号", "客户名称", "电话"])
        sheet.write(1, 0, 12)
        sheet.write(1, 1, 1.5)
        sheet.write(1, 2, 13812345678)
        sheet.write_formula(2, 0, "=1+1", value="")
        sheet.write_string(2, 1, "=cmd()")
    assert table(path) == [["12", "1.5", "13812345678"], ["", "=cmd()"]]


texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc", "Co", "Cn"), blacklist_characters="\ufffe\uffff"), max_size=20
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.lists(st.one_of(texts, st.sampled_from(["=1+1", "+1", "-1", "@x", "\t=1"])), max_size=4), max_size=6
    )
)
def test_what_we_write_never_starts_a_formula_and_reads_back(rows: list[list[str]], tmp_path: Path) -> None:
    path, dangerous = tmp_path / "a.xlsx", ("=", "+", "-", "@", "\t")
    sheets.write_xlsx(path, ["甲", "乙"], rows)
    back = python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()[1:]
    for given_row, read_row in zip(rows, back, strict=False):
        for text, cell in zip(given_row, read_row, strict=False):
            assert not str(cell).startswith(dangerous)
            assert str(cell).lstrip("'").strip() == text.lstrip("'").strip()
    out = io.BytesIO()
    sheets.write_csv(out, ["甲", "乙"], rows)
    lines = list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"), newline="")))
    assert len(lines) == len(rows) + 1
    assert not any(cell.startswith(dangerous) for line in lines for cell in line)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_with_a_message(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "a", content)
    try:
        list(sheets.open_sheet(path).rows())
    except InvalidData as refused:
        assert refused.errors["file"]

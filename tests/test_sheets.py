"""Spreadsheets from the office, good and bad."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
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
    assert message(written(tmp_path / "xls", b"\xd0\xcf\x11\xe0" + b"x" * 100)) == sheets.LOCKED
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


def ods(path: Path, body: str, kind: str = "spreadsheet", **more: str) -> Path:
    """Write an .ods file by hand; ``body`` is the inside of its one table."""
    names = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{full}:1.0"'
        for short, full in {"office": "office", "table": "table", "text": "text"}.items()
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{more.get("doctype", "")}<office:document-content {names}>'
        f'<office:body><office:spreadsheet><table:table table:name="客户">{body}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    manifest = '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("META-INF/manifest.xml", manifest)
        archive.writestr("content.xml", content)
    return path


def row(*texts: str, more: str = "") -> str:
    cells = (f'<table:table-cell office:value-type="string"><text:p>{t}</text:p></table:table-cell>' for t in texts)
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def test_an_ods_file_is_read(tmp_path: Path) -> None:
    number = '<table:table-cell office:value-type="float" office:value="13812345678"/>'
    rest = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    body = (
        row("客户编号", "客户名称", "电话")
        + row("C1", "张三").replace("</table:table-row>", number)
        + "</table:table-row>"
    )
    assert table(ods(tmp_path / "a", body + rest)) == [["C1", "张三", "13812345678"]]


def test_an_old_excel_file_is_read_from_the_right_sheet() -> None:
    assert table(DATA / "customers_old.xls") == [
        ["C00001", "张三丰", "13812345678", "浙江省杭州市西湖区文三路1号"],
        ["C00002", "迪摩传媒有限公司", "021-52487747", "2025-03-01"],
        ["", "=1+1"],
    ]


def test_hostile_files_of_the_other_kinds_are_refused(tmp_path: Path) -> None:
    """A table of 10^12 cells takes neither memory nor time of this process; outer entities are not read."""
    head = row("客户编号", "客户名称")
    huge = row("x", more='table:number-rows-repeated="1000000000000"') + row("y")
    assert message(ods(tmp_path / "huge", head + huge)) in (sheets.LOCKED, sheets.TOO_MANY_ROWS)
    wide = head + row("x").replace(
        "<table:table-cell ", '<table:table-cell table:number-columns-repeated="900000000" '
    )
    assert message(ods(tmp_path / "wide", wide)) in (sheets.LOCKED, sheets.TOO_MANY_COLUMNS)
    outer = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(InvalidData):
        found = table(ods(tmp_path / "outer", head + row("C1", "&e;"), doctype=outer))
        assert "root:" not in str(found)
        raise InvalidData({"file": "read without the entity"})
    assert message(ods(tmp_path / "text", head, kind="text")) == sheets.NOT_A_SHEET
    whole = (DATA / "customers_old.xls").read_bytes()
    for place in range(8, 512, 72):  # some fields of the container's header says something else
        broken = whole[:place] + b"\xfe\xff\xff\x7f" + whole[place + 4 :]
        try:
            list(sheets.open_sheet(written(tmp_path / "xls", broken)).rows())
        except InvalidData as refused:
            assert refused.errors["file"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_with_a_message(content: bytes, tmp_path: Path) -> None:
    path = written(tmp_path / "a", content)
    try:
        list(sheets.open_sheet(path).rows())
    except InvalidData as refused:
        assert refused.errors["file"]


def test_rows_with_formulas_are_told_by_sheet(tmp_path: Path) -> None:
    path = tmp_path / "formulas.xlsx"
    with xlsxwriter.Workbook(path) as book:
        first, second = book.add_worksheet("a"), book.add_worksheet("b")
        first.write_row(0, 0, ["=1", "Name", 5])
        second.write_row(0, 0, ["Number", "Name"])
        second.write_formula(2, 1, "=1+1", None, 2)
        second.write_formula("C5", "=SUM(A1:A2)", book.add_format({"bold": True}), 3)
    one = sheets.open_sheet(path)
    assert [sheets.formula_rows(sheet) for sheet in one.siblings()] == [{1}, {3, 5}]
    assert not sheets.formula_rows(sheets.open_sheet(written(tmp_path / "a.csv", "甲,=1\n".encode())))

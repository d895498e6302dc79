"""Lines of a statement as a spreadsheet: given out, filled in, judged by row, taken over whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from core.sdk import InvalidData, NotFound, Refused, clock
from plugins.agents import rights, sheets_lines, statements
from plugins.agents.models import StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.scene_payments import Books, make_books

HEADS = ("明细", "工单", "金额（元）", "答复（确认或异议）", "贵方认可金额", "异议理由")


@pytest.fixture
def books(app: Any) -> Iterator[Books]:
    made = make_books()
    with clock.frozen(made.place.now):
        yield made


def lines_of(books: Books, key: int) -> list[StatementLine]:
    return [one for one in books.all(StatementLine) if one.statement_id == key]


def csv_of(*rows: Mapping[str, Any] | tuple[Any, ...]) -> io.BytesIO:
    """Write a file as an office saves it: line, case, amount, answer, their amount, reason."""
    text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in [HEADS, *rows])
    return io.BytesIO(text.encode("utf-8-sig"))


def errors(books: Books, key: int, *rows: tuple[Any, ...]) -> list[list[str]]:
    with books.acting():
        return [[str(text) for text in one.errors] for one in sheets_lines.read_answers(key, csv_of(*rows))]


def apply(books: Books, key: int, *rows: tuple[Any, ...]) -> int:
    with books.acting():
        return sheets_lines.apply_answers(key, csv_of(*rows))


def test_a_statement_goes_out_and_comes_back_answered(books: Books) -> None:
    key = books.with_lines("100.10", "-20", payable=["30"])
    with books.acting():
        given = sheets_lines.workbook(key)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(given)).get_sheet_by_index(0)
    heads, *rows = sheet.to_python()
    assert [row[5] for row in rows] == [100.1, -20, 30]
    assert "Notice before service: Check passed" in str(rows[0][6]) and "Old part handed in: Not checked" in str(
        rows[0][6]
    )
    target = io.BytesIO()
    with xlsxwriter.Workbook(target) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, heads)
        answers = [("confirm", "", ""), ("确认", "", ""), ("异议", 45.5, "少算一次上门")]
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True), 1):
            page.write_row(place, 0, [*row[:7], *answer])
    target.seek(0)
    with books.acting():
        assert [one.errors for one in sheets_lines.read_answers(key, target)] == [[], [], []]
        target.seek(0)
        assert sheets_lines.apply_answers(key, target) == 3
    found = lines_of(books, key)
    assert [one.state for one in found] == ["confirmed", "confirmed", "disputed"]
    assert (found[2].claimed, found[2].dispute) == (Decimal("45.50"), "少算一次上门")
    assert books.state(key) == "disputed"


def test_every_wrong_row_says_what_is_wrong_with_it(books: Books) -> None:
    key, other = books.with_lines("100", "50"), books.with_lines("70")
    one, two = (str(line.id) for line in lines_of(books, key))
    foreign = str(lines_of(books, other)[0].id)
    found = errors(
        books,
        key,
        (one, "", "100.00", "确认", "", ""),
        (foreign, "", "70", "确认", "", ""),
        ("x", "", "1", "确认", "", ""),
        (two, "", "50.01", "确认", "", ""),
        (one, "", "100", "确认", "", ""),
    )
    assert found[0] == []
    assert all("no such line" in texts[0] for texts in found[1:3])
    assert "amount is not that" in found[3][0] and "twice" in found[4][0]


@pytest.mark.parametrize(
    ("answer", "claimed", "reason", "word"),
    [
        ("maybe", "", "", "not known"),
        ("", "", "太多", "confirm or dispute"),
        ("异议", "50", "", "say why"),
        ("异议", "100.01", "太多", "above"),
        ("异议", "0.005", "太多", "cannot be read"),
        ("异议", "1e-3", "太多", "cannot be read"),
        ("异议", "1E+20", "太多", "cannot be read"),
        ("异议", "1_0", "太多", "cannot be read"),
        ("异议", "五十", "太多", "cannot be read"),
        ("异议", "=1+1", "太多", "formula"),
        ("异议", "", "=cmd()", "formula"),
        ("异议", "", "x" * 1001, "1000 characters"),
    ],
)
def test_answers_that_cannot_be_taken_over(books: Books, answer: str, claimed: str, reason: str, word: str) -> None:
    key = books.with_lines("100", "50")
    one, two = (str(line.id) for line in lines_of(books, key))
    rows = [(two, "", "50", "确认", "", ""), (one, "", "100", answer, claimed, reason)]
    found = errors(books, key, *rows)
    assert found[0] == [] and word in found[1][0]
    with pytest.raises(InvalidData) as bad:
        apply(books, key, *rows)
    assert list(bad.value.errors) == ["file"]
    assert {line.state for line in lines_of(books, key)} == {"open"}


def test_amounts_as_offices_write_them(books: Books) -> None:
    key = books.with_lines("1234.50")
    line = str(lines_of(books, key)[0].id)
    assert errors(books, key, (line, "", "￥1,234.50", "异议", "１２．３０", "按合同")) == [[]]
    apply(books, key, (line, "", "￥1,234.50元", "异议", "１２．３０", "按合同"))
    assert lines_of(books, key)[0].claimed == Decimal("12.30")


@pytest.mark.parametrize(
    ("word", "action"),
    [
        ("确 认", "confirm"),
        ("无异议", "confirm"),
        ("认可。", "confirm"),
        ("Confirmed.", "confirm"),
        ("有异议", "dispute"),
        ("不认可", "dispute"),
        ("DISPUTE", "dispute"),
    ],
)
def test_answers_as_people_write_them(books: Books, word: str, action: str) -> None:
    key = books.with_lines("100")
    row = (str(lines_of(books, key)[0].id), "", "100", word, "", "多算")
    with books.acting():
        assert [one.action for one in sheets_lines.read_answers(key, csv_of(row))] == [action]


def test_a_file_in_the_offices_own_encoding_with_its_rows_in_another_order(books: Books) -> None:
    key = books.with_lines("100", "50")
    one, two = (str(line.id) for line in lines_of(books, key))
    rows = [HEADS, (two, "", "50", "异议", "40", "多算了"), (one, "", "100.00", "确认", "", "")]
    text = "\n".join(",".join(row) for row in rows)
    with books.acting():
        assert sheets_lines.apply_answers(key, io.BytesIO(text.encode("gb18030"))) == 2
    found = [(line.state, line.claimed, line.dispute) for line in lines_of(books, key)]
    assert found == [("confirmed", None, ""), ("disputed", Decimal("40"), "多算了")]


def test_what_is_ours_to_pay_may_be_claimed_higher(books: Books) -> None:
    key = books.with_lines(payable=["30"])
    line = str(lines_of(books, key)[0].id)
    assert errors(books, key, (line, "", "30", "异议", "45", "少算")) == [[]]


def test_a_formula_of_a_workbook_is_not_taken_for_its_value(books: Books) -> None:
    key = books.with_lines("100", "50")
    one, two = (str(line.id) for line in lines_of(books, key))
    target = io.BytesIO()
    with xlsxwriter.Workbook(target) as book:
        page = book.add_worksheet()
        page.write_row(0, 0, HEADS)
        page.write_row(1, 0, [one, "", 100, "确认"])
        page.write_row(2, 0, [two, "", 50, "异议"])
        page.write_formula(2, 4, "=20+20", None, 40)
        page.write(2, 5, "太多")
    target.seek(0)
    with books.acting():
        found = sheets_lines.read_answers(key, target)
    assert not found[0].errors and "formula" in str(found[1].errors[0])


def test_text_that_would_be_a_formula_goes_out_harmless_and_comes_back_as_it_was(books: Books) -> None:
    key = books.with_lines("100", "50")
    one = lines_of(books, key)[0]
    for reason in ("@甲方", "-不认可", "+多算"):
        apply(books, key, (str(one.id), "", "100", "异议", "", "'" + reason))
        assert lines_of(books, key)[0].dispute == reason
        with books.acting():
            rows = CalamineWorkbook.from_filelike(io.BytesIO(sheets_lines.workbook(key))).get_sheet_by_index(0)
        assert rows.to_python()[1][9] == "'" + reason


def test_rows_left_empty_or_answered_as_before_change_nothing(books: Books) -> None:
    key = books.with_lines("100", "50")
    one, two = (str(line.id) for line in lines_of(books, key))
    rows = [(one, "", "100", "确认", "", ""), (two, "", "50", "", "", "")]
    assert apply(books, key, *rows) == 1
    assert books.state(key) == "sent"
    with pytest.raises(InvalidData):
        apply(books, key, *rows)
    assert apply(books, key, rows[0], (two, "", "50", "确认", "", "")) == 1
    assert books.state(key) == "agreed"


def test_an_earlier_answer_can_be_changed_together_with_the_last_open_one(books: Books) -> None:
    """The statement goes on only when the whole file is written."""
    key = books.with_lines("100", "50")
    one, two = (str(line.id) for line in lines_of(books, key))
    apply(books, key, (two, "", "50", "确认", "", ""))
    assert apply(books, key, (one, "", "100", "确认", "", ""), (two, "", "50", "异议", "1", "多")) == 2
    assert books.state(key) == "disputed"


def test_lines_are_answered_while_the_statement_is_sent_only(books: Books) -> None:
    for state in ("draft", "agreed", "approved", "closed"):
        key = books.with_lines("100", state=state)
        row = (str(lines_of(books, key)[0].id), "", "100", "确认", "", "")
        with pytest.raises(Refused):
            apply(books, key, row)


def test_other_files_are_refused(books: Books) -> None:
    key = books.with_lines("100")
    for data in (b"", b"PK\x03\x04nonsense", b"\x00\x01", "甲,乙\n1,2".encode(), "明细,金额\n1,2".encode()):
        with books.acting(), pytest.raises(InvalidData) as bad:
            sheets_lines.read_answers(key, io.BytesIO(data))
        assert list(bad.value.errors) == ["file"]
    with books.acting(), pytest.raises(InvalidData):
        sheets_lines.read_answers(key, io.BytesIO(b"," * (sheets_lines.MOST_FILE + 2)))


def test_strangers_see_no_statement(books: Books) -> None:
    key = books.with_lines("100")
    with books.acting(permissions=scene.ALL - {rights.SETTLE}), pytest.raises(NotFound):
        sheets_lines.workbook(key)
    with make_books("OTHER").acting(), pytest.raises(NotFound):
        sheets_lines.workbook(key)
    _contact, own = books.place.contact(books.agent)
    _contact, other = books.place.contact(books.place.agent())
    with books.acting(own, {rights.OWN}):
        assert sheets_lines.workbook(key)[:2] == b"PK"
        assert statements.lines_of(key)
    with books.acting(other, {rights.OWN}), pytest.raises(NotFound):
        sheets_lines.read_answers(key, csv_of())

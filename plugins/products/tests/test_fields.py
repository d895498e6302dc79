"""Dates and serial numbers as office files carry them."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from core.sdk import InvalidData
from plugins.products import fields


@pytest.mark.parametrize(
    "raw",
    [
        "2023-07-09",
        "2023/7/9",
        "2023.07.09",
        "2023年7月9日",
        "2023 年 7 月 9 日",
        "20230709",
        "２０２３/7/9",
        "2023-07-09 00:00:00",
        date(2023, 7, 9),
        datetime(2023, 7, 9, 0, 0),
    ],
)
def test_dates_of_office_files(raw: object) -> None:
    assert fields.read_date(raw) == date(2023, 7, 9)


@pytest.mark.parametrize("raw", ["2023-02-30", "23-7-9", "9/7/2023", "昨天", "0001-01-01", "20239999", "45000"])
def test_what_is_no_date(raw: str) -> None:
    with pytest.raises(ValueError):
        fields.read_date(raw)


def test_empty_cells_are_no_date() -> None:
    assert fields.read_date(None) is None
    assert fields.read_date("  ") is None


@pytest.mark.parametrize("raw", ["", "ab", "=HYPERLINK(1)", "序列号", "-abc", "x" * 61])
def test_what_is_no_serial(raw: str) -> None:
    with pytest.raises(InvalidData):
        fields.read_serial(raw)

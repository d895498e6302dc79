"""The statement on paper: lines, marks, both sums gross in figures and capitals, who pays what until when."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from core.kernel import clock
from core.kernel.i18n import speaking
from core.sdk import Record, documents, fetch
from plugins.agents import prints_statement
from plugins.agents.tests import scene
from plugins.agents.tests.scene_payments import Books, make_books
from tests.helpers import login, make_user

needs_reader = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext")


@pytest.fixture
def books(app: Any) -> Iterator[Books]:
    with clock.frozen(scene.MONDAY):
        yield make_books()


def said(books: Books, key: int, locale: str = "zh") -> dict[str, Any]:
    with books.acting(), speaking(locale):
        return prints_statement.paper(fetch(Record, key))


def printed(books: Books, key: int, locale: str = "zh") -> str:
    with books.acting():
        content = documents.preview(documents.form_of("agents.statement"), key, locale)
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=content, capture_output=True, check=True)
    return done.stdout.decode()


def test_both_sums_stand_gross_in_figures_and_capitals(books: Books) -> None:
    key = books.with_lines("1000.50", "-20.01", payable=["300"], state="approved")
    paper = said(books, key)
    assert [one["gross"] for one in paper["sides"]] == ["980.49", "300.00"]
    assert [one["words"] for one in paper["sides"]] == ["人民币玖佰捌拾元肆角玖分", "人民币叁佰元整"]
    first = paper["sides"][0]["lines"][0]
    assert first[3:5] == ["R18-5.1.2b", "1,000.50"]
    assert first[5].startswith("○") and "√" in first[5]
    assert [one[1] for one in paper["sums"]] == ["980.49", "300.00", "0.00", "980.49", "300.00"]
    assert len(paper["payments"]) == 2 and all(paper["due"] in one for one in paper["payments"])


def test_with_an_agreement_the_smaller_sum_is_offset(books: Books) -> None:
    key = books.with_lines("1000", payable=["300.05"], state="approved", netting=True)
    paper = said(books, key)
    assert [one[1] for one in paper["sums"]][2:] == ["300.05", "699.95", "0.00"]
    assert len(paper["payments"]) == 1 and "699.95" in paper["payments"][0]


def test_a_sum_below_zero_has_its_words_and_is_paid_by_the_other_side(books: Books) -> None:
    key = books.with_lines("-20.05", state="approved")
    paper = said(books, key)
    assert paper["sides"][0]["words"] == "人民币负贰拾元零伍分"
    assert [one[1] for one in paper["sums"]][3:] == ["0.00", "20.05"]


def test_what_was_moved_away_is_not_on_the_paper(books: Books) -> None:
    key = books.with_lines("100", state="approved")
    books.line(key, "receivable", Decimal(7), released=True, state="carried")
    assert len(said(books, key)["sides"][0]["lines"]) == 1


@needs_reader
def test_many_lines_run_over_pages_with_their_heading(books: Books) -> None:
    key = books.with_lines(*["10.01"] * 60, state="approved")
    text = printed(books, key, "en")
    pages = [one for one in text.split("\f") if one.strip()]
    assert len(pages) > 2 and sum("Clause" in one for one in pages) >= len(pages) - 1
    assert "600.60" in text and "Confirmed by the agent" in text and text.count("business seal") == 2


@needs_reader
def test_it_is_printed_in_chinese(books: Books) -> None:
    key = books.with_lines("100", state="approved")
    text = re.sub(r"\s+", "", printed(books, key))
    assert "人民币壹佰元整" in text and "代理商确认" in text and text.count("业务章") == 2 and "√" in text


def test_only_who_sees_statements_prints_them(books: Books) -> None:
    from tests.helpers import current

    key = books.with_lines("100", state="approved")
    given = {"form": "agents.statement", "id": str(key), "locale": "zh"}
    for permissions, status in ((scene.ALL, 200), (scene.ALL - {"agents.view"}, 403)):
        client = login(current().test_client(), make_user(books.unit, permissions))
        answer = client.post("/admin/printing/preview", data=given)
        assert answer.status_code in ((200,) if status == 200 else (403, 404))

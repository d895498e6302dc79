"""Statements, payments and ageing as our staff meet them; strangers and agents' people see none of it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.kernel.jobs import JobRun
from core.sdk import Record, clock
from plugins.agents import rights
from plugins.agents.models import Payment, StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.scene_payments import Books, make_books
from tests.helpers import as_system, login, make_user, switch_off


class Desk:
    """The books of a unit, and somebody of it signed in who may do everything our staff may."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.books: Books = make_books()
        self.client = self.of(scene.ALL)

    def of(self, permissions: Any, **more: Any) -> FlaskClient:
        user = make_user(self.books.unit, permissions, locale="en", **more)
        return login(self.app.test_client(), user)

    def get(self, url: str, status: int = 200, client: FlaskClient | None = None) -> str:
        answer = (client or self.client).get(url)
        assert answer.status_code == status, answer.text[-1500:]
        return answer.text

    def post(self, url: str, status: int = 302, client: FlaskClient | None = None, **form: Any) -> Any:
        answer = (client or self.client).post(url, data=form)
        assert answer.status_code == status, answer.text[-3000:]
        return answer

    def line(self, key: int, place: int = 0) -> int:
        rows = [one.id for one in self.books.all(StatementLine) if one.statement_id == key]
        return int(rows[place])

    def state_of(self, line: int) -> str:
        return str(next(one.state for one in self.books.all(StatementLine) if one.id == line))


@pytest.fixture
def desk(app: Any) -> Iterator[Desk]:
    with clock.frozen(scene.MONDAY):
        yield Desk(app)


def test_the_list_finds_what_waits_is_disputed_overdue_and_unpaid(desk: Desk) -> None:
    books = desk.books
    late = books.statement("1234.5", due_on=books.today - timedelta(days=3))
    books.statement("70", due_on=books.today)
    books.statement("80", state="sent", disputed_count=1)
    books.statement("90", state="closed", received="90")
    page = desk.get("/admin/agents/statements/")
    assert "¥1,234.50" in page and page.count("card-title") == 4
    for quick, many in (("ours", 2), ("disputed", 1), ("overdue", 1), ("unpaid", 2)):
        found = desk.get(f"/admin/agents/statements/?quick={quick}")
        assert found.count("card-title") == many, quick
    assert str(late) in desk.get("/admin/agents/statements/?quick=overdue")
    code = books.place.code_of(books.agent)
    assert desk.get(f"/admin/agents/statements/?f_agent={code}").count("card-title") == 4
    assert desk.get("/admin/agents/statements/?f_agent=DL99&f_period=2026-01").count("card-title") == 0
    assert desk.get("/admin/agents/statements/?f_state=sent").count("card-title") == 1
    with desk.client.post("/admin/agents/statements/export/", data={"format": "xlsx"}) as answer:
        assert answer.data[:2] == b"PK"


def test_the_lists_ask_as_often_for_many_rows_as_for_few(desk: Desk, count_queries: Any) -> None:
    books = desk.books

    def queries() -> int:
        with count_queries() as seen:
            desk.get("/admin/agents/statements/")
            desk.get("/admin/agents/payments/")
            desk.get("/admin/agents/ageing/")
        return len(seen)

    books.statement("10")
    books.pay("5")
    queries()
    few = queries()
    for _place in range(6):
        books.statement("10", agent=books.place.agent())
        books.pay("5")
    assert queries() == few


def test_the_box_says_sums_checks_in_words_and_what_is_next(desk: Desk) -> None:
    books = desk.books
    books.contract(netting=True)
    key = books.with_lines("100.10", "-20", payable=["30"])
    page = desk.get(f"/admin/record/{key}")
    for words in ("¥80.10", "¥30.00", "¥50.10"):
        assert words in page, words
    assert re.search(r"Check passed: [^<]*Notice before service", page)
    assert re.search(r"Not checked: [^<]*Old part handed in", page)
    assert "The agent confirms or disputes the lines" in page and "No: each side pays in full" in page
    assert "R18-5.1.2b" in page and f"/p/agents/statement/{key}/sheet" in page
    assert "Notice before service" not in desk.get(f"/admin/record/{key}", client=desk.of({"case.view"}))


def test_many_lines_are_paged(desk: Desk) -> None:
    key = desk.books.with_lines(*[str(one) for one in range(1, 31)])
    first = desk.get(f"/admin/record/{key}")
    assert first.count("/p/agents/line/") == 25
    more = re.search(r"\?lines=(\d+)#lines", first)
    assert more is not None
    second = desk.get(f"/admin/record/{key}?lines={more[1]}")
    assert second.count("/p/agents/line/") == 5 and "First page" in second
    assert desk.get(f"/admin/record/{key}?lines=abc").count("/p/agents/line/") == 25


def test_lines_are_answered_disputed_and_decided_on_their_page(desk: Desk) -> None:
    books = desk.books
    key = books.with_lines("100", "50")
    one, two = desk.line(key), desk.line(key, 1)
    address = f"/p/agents/line/{one}"
    assert 'value="answer"' in desk.get(address)
    assert "claimed" in desk.post(address, 422, act="answer", answer="dispute", claimed="1e-3", dispute="多").text
    assert "dispute" in desk.post(address, 422, act="answer", answer="dispute").text
    desk.post(address, 404, act="approve")
    desk.post(address, act="answer", answer="dispute", claimed="80", dispute="少一次上门")
    assert desk.state_of(one) == "disputed"
    desk.post(f"/p/agents/line/{two}", act="answer", answer="confirm")
    assert books.state(key) == "disputed"
    page = desk.get(address)
    assert 'value="decide"' in page and 'value="80' in page and "少一次上门" in page
    assert "reason" in desk.post(address, 422, act="decide", decision="reject").text
    desk.post(address, act="decide", decision="reject", reason="有两次到场记录")
    assert desk.state_of(one) == "rejected" and books.state(key) == "sent"
    desk.post(address, act="carry", reason="下期再议")
    assert desk.state_of(one) == "carried" and books.state(key) == "agreed"


def test_a_failed_check_gets_its_note(desk: Desk) -> None:
    books = desk.books
    key = books.statement("50", state="sent", line_count=1, failed_count=1)
    line = books.line(key, "receivable", Decimal(50), failed=True, checks={"old_part": ["failed", "KZ-7"]})
    page = desk.get(f"/p/agents/line/{line}")
    assert "Check failed" in page and "KZ-7" in page
    desk.post(f"/p/agents/line/{line}", 422, act="note", review=" ")
    desk.post(f"/p/agents/line/{line}", act="note", review="旧件随车带回")
    assert "旧件随车带回" in desk.get(f"/p/agents/line/{line}")


def test_all_lines_are_confirmed_on_their_word(desk: Desk) -> None:
    key = desk.books.with_lines("100", "50")
    desk.get(f"/p/agents/statement/{key}/confirm", 405)
    desk.post(f"/p/agents/statement/{key}/confirm")
    assert desk.books.state(key) == "agreed"


def test_answers_are_taken_in_from_a_file_after_a_look(desk: Desk) -> None:
    key = desk.books.with_lines("100", "50")
    one, two = desk.line(key), desk.line(key, 1)
    sheet = desk.client.get(f"/p/agents/statement/{key}/sheet")
    assert sheet.data[:2] == b"PK" and ".xlsx" in sheet.headers["Content-Disposition"]
    address = f"/p/agents/statement/{key}/answers"
    assert 'type="file"' in desk.get(address)

    def send(text: str, do: str, status: int) -> Any:
        return desk.post(address, status, do=do, file=(io.BytesIO(text.encode()), "答复.csv"))

    good = f"明细,金额,答复\n{one},100,确认\n{two},50,确认\n"
    assert "2 rows answered" in send(good, "check", 200).text
    assert desk.state_of(one) == "open"
    bad = send(good.replace(",50,", ",49,"), "take", 422).text
    assert "1 rows with errors" in bad and "download the sheet again" in bad and desk.state_of(one) == "open"
    assert "choose a file" in desk.post(address, 422, do="take").text
    assert "known column" in send("甲,乙\n1,2", "check", 422).text
    send(good, "take", 302)
    assert desk.books.state(key) == "agreed"


def test_payments_are_entered_shown_matched_and_taken_back(desk: Desk) -> None:
    books = desk.books
    key = books.statement("100.10", "30")
    assert f"/p/agents/payment/new?statement={key}" in desk.get(f"/admin/record/{key}")
    address = f"/p/agents/payment/new?statement={key}"
    assert 'value="100.10"' in desk.get(address)
    given: dict[str, Any] = {
        "kind": "in",
        "amount": "120.10",
        "paid_on": books.today.isoformat(),
        "reference": "T-9",
    }
    for amount in ("0.005", "1e-3", "1E+20", "-1", ""):
        assert "error-amount" in desk.post(address, 422, **{**given, "amount": amount}).text
    assert "DL-4" in desk.post(address, 422, **{**given, "kind": "offset", "amount": "1"}).text
    assert not books.all(Payment)
    desk.post(address, **given)
    assert "error-reference" in desk.post(address, 422, **given).text
    payment = books.all(Payment)[0].id
    page = desk.get(f"/p/agents/payment/{payment}")
    assert ("¥20.00" in page and "壹佰贰拾元零壹角" in page) or "壹佰贰拾元壹角" in page
    later = books.statement("15")
    assert "Match what is on account" in desk.get("/admin/agents/ageing/")
    desk.post(f"/p/agents/payments/match/{books.agent}")
    assert "15" in str(books.sides(later)[0])
    desk.post(f"/p/agents/payment/{payment}", 422, reason="")
    desk.post(f"/p/agents/payment/{payment}", reason="银行退票")
    assert books.sides(key)[0] == 0 and "Taken back" in desk.get("/admin/agents/payments/")
    assert "银行退票" in desk.get(f"/p/agents/payment/{payment}")
    new = "/p/agents/payment/new"
    assert 'name="agent_id"' in desk.get(new)
    desk.post(new, agent_id=str(books.agent), **{**given, "reference": "T-10"})
    assert len(books.all(Payment)) == 2


def test_lines_are_checked_again_until_the_statement_is_approved(desk: Desk) -> None:
    """The contract came in after the statement was made; what had been noted about its missing is dropped."""
    books = desk.books
    books.place.clause("R18-5.1.2", holds=False)
    key = books.with_lines(state="draft", payable=["60"], failed_count=1)
    line, page = desk.line(key), f"/admin/record/{key}"
    with as_system() as work:
        row = work.get_one(StatementLine, line)
        row.checks, row.failed, row.review = {"contract": ["failed", ""]}, True, "合同在途"
    assert "Check the lines again" in desk.get(page)
    url = f"/p/agents/statement/{key}/check"
    desk.post(url)
    assert "1 lines with a failed check" in desk.get(page)
    assert books.all(StatementLine)[0].checks["contract"][0] == "failed"
    books.contract()
    desk.post(url)
    assert "no check failed" in desk.get(page)
    found = books.all(StatementLine)[0]
    assert (found.checks["contract"][0], found.failed, found.review) == ("passed", False, "")
    desk.get(url, 405)
    desk.post(url, 403, client=desk.of({rights.VIEW, "case.view"}))
    desk.post(url, 404, client=desk.of({rights.OWN}))
    approved = books.with_lines("10")
    with as_system() as work:
        work.get_one(Record, approved).state = "approved"
    assert "Check the lines again" not in desk.get(f"/admin/record/{approved}")
    desk.post(f"/p/agents/statement/{approved}/check")
    assert "next period" in desk.get(f"/admin/record/{approved}")


def test_statements_of_a_month_are_made_as_watched_work(desk: Desk) -> None:
    page = desk.get("/p/agents/statements/make")
    assert 'value="2025-10"' in page
    for month in ("2025-11", "2025-13", "x", ""):
        assert "error-period" in desk.post("/p/agents/statements/make", 422, period=month).text
    answer = desk.post("/p/agents/statements/make", period="2025-10")
    with desk.books.acting() as work:
        run = work.scalars(select(JobRun)).one()
    assert str(run.id) in answer.headers["Location"]
    desk.get(answer.headers["Location"])


def test_tiles_lead_to_what_they_count(desk: Desk) -> None:
    books = desk.books
    assert "payment is overdue" not in desk.get("/admin/")
    books.statement("1", due_on=books.today - timedelta(days=1))
    books.statement("1", state="disputed", disputed_count=1)
    books.statement("1", state="agreed")
    page = desk.get("/admin/")
    for words in ("Statements with disputes to decide", "Statements to be approved", "payment is overdue"):
        assert words in page


def test_agents_people_and_strangers_see_none_of_these_pages(desk: Desk) -> None:
    books = desk.books
    key = books.with_lines("100")
    payment = books.pay("1", statement_id=books.statement("5"))
    line = desk.line(key)
    pages = [
        "/admin/agents/statements/",
        "/admin/agents/payments/",
        "/admin/agents/ageing/",
        "/p/agents/statements/make",
        f"/p/agents/statement/{key}/sheet",
        f"/p/agents/statement/{key}/answers",
        f"/p/agents/line/{line}",
        f"/p/agents/payment/{payment}",
        f"/p/agents/payment/new?statement={key}",
    ]
    posts = [f"/p/agents/statement/{key}/confirm", f"/p/agents/payments/match/{books.agent}", *pages[3:]]
    _contact, own = books.place.contact(books.agent)
    for client in (login(desk.app.test_client(), own), desk.of({"case.view"})):
        for url in (*pages, f"/admin/record/{key}"):
            answer = client.get(url)
            found = "100.00" in answer.text or "Notice before service" in answer.text
            assert answer.status_code in (403, 404) or (url.startswith("/admin/record") and not found), url
        for url in posts:
            assert client.post(url, data={"act": "answer", "answer": "confirm"}).status_code in (403, 404, 405), url
    other = make_books("OTHER")
    stranger = login(desk.app.test_client(), make_user(other.unit, scene.ALL, locale="en"))
    for url in (*pages[4:], f"/admin/record/{key}"):
        assert stranger.get(url).status_code == 404, url
    for url in posts[:2]:
        assert stranger.post(url).status_code == 404, url
    assert desk.state_of(line) == "open"
    looker = desk.of({rights.VIEW, "case.view"})
    desk.get(f"/p/agents/line/{line}", client=looker)
    desk.post(f"/p/agents/line/{line}", 404, client=looker, act="answer", answer="confirm")
    desk.post(f"/p/agents/payment/{payment}", 403, client=looker, reason="x")
    desk.get(f"/p/agents/statement/{key}/sheet", 403, client=looker)
    switch_off(books.unit, "agents")
    for url in pages:
        desk.get(url, 404)

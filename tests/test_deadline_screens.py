"""What screens tell of deadlines: on a record's page, on the phone, in lists, on the first page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from core.kernel import clock
from core.kernel.database import system_scope
from core.records.engine import record_fact
from core.rules import obligations
from tests import helpers
from tests.casework import Office, make_office

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)


@pytest.fixture
def office(app: Flask) -> Office:
    return make_office()


def at(hours: float) -> datetime:
    return MONDAY + timedelta(hours=hours)


def page_of(app: Flask, office: Office, key: int, hours: float, path: str = "/admin/record/{}") -> str:
    """Return a page as somebody who may do everything sees it so many hours later."""
    with clock.frozen(at(hours)):
        client = helpers.login(app.test_client(), office.desk)
        client.post("/language", data={"locale": "en"})
        answer = client.get(path.format(key), headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    return answer.text


@pytest.mark.clause("R01-5.2b")
def test_the_page_of_a_record_says_what_is_due_and_why(app: Flask, office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    shown = page_of(app, office, key, 1)
    assert 'id="deadlines"' in shown and "R01-5.2b" in shown
    assert "2026-11-17 10:00" in shown, "the limit in the unit's zone"
    assert "tone-info" in shown and "deadline-why" in shown
    late = page_of(app, office, key, 26.1)
    assert 'class="deadline tone-bad"' in late


def test_a_withdrawn_breach_stays_to_be_seen(app: Flask, office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
    with clock.frozen(at(26)), office.at_desk():
        record_fact(key, "contacted")
    with clock.frozen(at(27)), office.at_desk():
        record_fact(key, "contacted", at=at(3))
    with app.app_context(), system_scope("test", read_only=True), app.test_request_context():
        found = [one for one in obligations.of_record(key) if one.clause == "R01-5.2b"]
    assert [one.state for one in found] == ["met"]
    assert "2026-11-17 13:00" in page_of(app, office, key, 28), "when it was taken back"


def test_the_list_of_cases_finds_what_is_overdue_by_a_clause(app: Flask, office: Office) -> None:
    with clock.frozen(at(0)):
        early = office.new_case()
    with clock.frozen(at(20)):
        later = office.new_case()
    shown = page_of(app, office, 0, 26, "/admin/cases/?f_clause=R01-5.2b")
    assert f"/admin/record/{early}" in shown and f"/admin/record/{later}" not in shown
    assert "f_clause=" in page_of(app, office, 0, 26, "/admin/"), "the first page counts and leads there"


def test_the_phone_shows_what_runs(app: Flask, office: Office) -> None:
    with clock.frozen(at(0)):
        key = office.new_case()
        office.do(key, "contact", "classify", ("assign", {"assignee_id": office.desk.id}))
    shown = page_of(app, office, key, 1, "/my/{}")
    assert "R01-4.4" in shown and "R01-5.2b" not in shown, "what is over is on the whole record's page"


def test_the_page_costs_the_same_however_many_deadlines(
    app: Flask, office: Office, count_queries: Callable[..., Any]
) -> None:
    with clock.frozen(at(0)):
        client = helpers.login(app.test_client(), office.desk)
        few, many = office.new_case(), office.new_case()
        office.do(many, "contact", "classify", "assign")
        office.do(few, "contact", "classify", "assign")
        for hours in range(1, 8):
            with clock.frozen(at(hours)), office.at_desk():
                record_fact(many, "progress")
        client.get(f"/admin/record/{few}")
        with count_queries() as less:
            client.get(f"/admin/record/{few}")
        with count_queries() as more:
            client.get(f"/admin/record/{many}")
    assert len(more) <= len(less) + 1, "names of the facts that ended something are one statement"

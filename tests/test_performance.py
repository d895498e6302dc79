"""What keeps pages fast: few statements, indexes that serve, pieces drawn once. Times are for the benchmarks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_babel import force_locale, gettext
from sqlalchemy import Engine, event, select

from core.customers.models import Customer
from core.kernel.database import db
from tests import helpers
from tests.casework import ALL, INTAKE, Office, make_office, reading

# Of them three say who acts, one whose limits are provisional; the menu asks two for what waits for one's approval
# and three for what those who look after the unit find there: mail in quarantine, work that could not be done.
OF_A_LIST = 13
# Seven of them for the clauses: the tree, settings, calendar, official years, positions, obligations, next due.
OF_A_REGISTRATION = 22


@pytest.fixture
def office(app: Flask) -> Office:
    return make_office()


@pytest.fixture
def desk(app: Flask, office: Office) -> FlaskClient:
    return helpers.login(app.test_client(), office.desk)


def test_first_page_of_open_cases_takes_few_statements(
    desk: FlaskClient, office: Office, count_queries: Callable[..., Any]
) -> None:
    for _ in range(3):
        office.new_case()
    desk.get("/admin/cases/?quick=open")
    with count_queries() as statements:
        page = desk.get("/admin/cases/?quick=open").text
    assert page.count("data-row-link") == 3
    assert len(statements) <= OF_A_LIST, (len(statements), "\n".join(statements))


def test_registering_a_case_of_a_known_customer_takes_few_statements(
    desk: FlaskClient, office: Office, count_queries: Callable[..., Any]
) -> None:
    office.new_case()
    with reading() as work:
        customer = work.scalars(select(Customer.id)).one()
    form = {**INTAKE, "customer_name": "", "customer_id": customer, "nature": "repair", "urgency": "normal"}
    for number in range(2):
        with count_queries() as statements:
            answer = desk.post("/admin/cases/new", data={**form, "key": f"k{number}"})
        assert answer.status_code == 302, answer.text[:2000]
    assert len(statements) <= OF_A_REGISTRATION, "\n".join(statements)


# --- indexes -----------------------------------------------------------------------------------


@contextmanager
def _sent() -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def record(_conn: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", record)


@pytest.mark.parametrize(
    ("path", "index"),
    [
        ("?quick=open", "ix_core_record_open"),
        ("?quick=open&order=oldest", "ix_core_record_open"),
        ("count/?quick=chased", "ix_core_record_chased"),
        ("?f_escalated=1", "ix_core_record_escalated"),
        ("count/?quick=mine", "ix_core_record_assignee"),
        ("?quick=today", "ix_core_record_due"),
        ("?order=due", "ix_core_record_due"),
        ("", "ix_core_record_unit_received"),
    ],
)
def test_lists_of_cases_walk_an_index_made_for_them(sqlite_app: Flask, path: str, index: str) -> None:
    client = helpers.login(sqlite_app.test_client(), make_office().desk)
    with _sent() as seen:
        assert client.get(f"/admin/cases/{path}").status_code == 200
    statement, values = next((s, v) for s, v in seen if "FROM core_record" in s)
    with sqlite_app.app_context(), db.engine.connect() as conn:
        plan = [row[-1] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any(index in line for line in plan), "\n".join([statement, *plan])


# --- pieces drawn once -------------------------------------------------------------------------


def _side(page: str) -> str:
    found = re.search(r'<nav class="side-nav">(.*?)</nav>', page, re.S)
    assert found
    return found.group(1)


def test_the_side_bar_is_each_persons_own_and_marks_the_open_screen(app: Flask, office: Office) -> None:
    head = helpers.login(app.test_client(), office.desk)
    other = helpers.login(app.test_client(), helpers.make_user(office.unit, {"case.view"}))
    for _ in range(2):
        assert "/admin/customers/" in _side(head.get("/admin/cases/").text)
        assert "/admin/customers/" not in _side(other.get("/admin/cases/").text)
        marked = re.findall(r'href="([^"]+)"[^>]*aria-current="page"', _side(head.get("/admin/customers/").text))
        assert marked == ["/admin/customers/"]


def test_the_panel_of_filters_follows_language_choice_and_staff(app: Flask, office: Office) -> None:
    client = helpers.login(app.test_client(), helpers.make_user(office.unit, ALL, locale="zh"))
    english = helpers.login(app.test_client(), helpers.make_user(office.unit, ALL, locale="en"))
    assert "登记" in client.get("/admin/cases/").text
    assert "<legend>State</legend>" in english.get("/admin/cases/").text
    assert "<legend>State</legend>" not in client.get("/admin/cases/").text
    chosen = re.compile(r'value="repair" checked')
    assert chosen.search(client.get("/admin/cases/?f_nature=repair").text)
    assert not chosen.search(client.get("/admin/cases/").text)
    helpers.make_user(office.unit, name="新来的")
    assert "新来的" in client.get("/admin/cases/").text


def test_another_language_inside_a_request_is_spoken_and_left_again(app: Flask) -> None:
    with app.test_request_context("/", headers={"Accept-Language": "zh"}):
        here = gettext("Cancel")
        with force_locale("en"):
            assert gettext("Cancel") == "Cancel"
        assert gettext("Cancel") == here != "Cancel"

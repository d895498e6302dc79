"""The day, week and month report of a unit: what it counts, where its numbers lead, its workbook."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from openpyxl import load_workbook

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.errors import NotAllowed
from core.rules import schedules, unit_report
from core.rules.obligation_models import Obligation
from core.rules.unit_report import Span, span_of
from tests.casework import ALL, make_office
from tests.helpers import as_system, current, in_scope, login, make_unit, make_user

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)  # 10:00 in Shanghai
NUMBER = re.compile(r'href="(/admin/report-cases/[^"]*)"[^>]*>(?:<span[^>]*>[^<]*</span><strong>)?(\d+)<')
MALFORMED = ("span=year", "day=2026-13-40", "day=0001-01-01", "day=9999-12-31", "span=week&day=x")
WEEK = span_of("week", date(2026, 11, 18))


def at(**later: float) -> datetime:
    return MONDAY + timedelta(**later)


@pytest.fixture
def office(app):
    return make_office()


def figures(office, span: Span, moment: datetime) -> unit_report.Report:
    with clock.frozen(moment), in_scope(office.unit, {"report.view"}, office.desk):
        return unit_report.report(office.unit.id, span)


def week_of_work(office) -> dict[str, int]:
    """One case of the week before, finished in it; this week four new ones: done, late, chased twice, nobody's."""
    keys = {}
    with clock.frozen(at(days=-7)):
        keys["old"] = office.new_case()
        office.do(keys["old"], "contact", "classify", "assign", "accept", "start", "solve")
    for name in ("done", "late", "chased", "nobody"):
        with clock.frozen(MONDAY):
            keys[name] = office.new_case()
            office.do(keys[name], "contact", "classify")
            if name != "nobody":
                office.do(keys[name], "assign")
    with clock.frozen(at(days=1)):
        office.do(keys["done"], "accept", "start", "solve", "rework", "solve")
        office.do(keys["chased"], ("chase", {"reason": "还没来"}))
    with clock.frozen(at(days=2)):
        office.do(keys["chased"], ("chase", {"reason": "又催"}))
    return keys


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        ("day", "2026-11-18", "2026-11-18"),
        ("week", "2026-11-16", "2026-11-22"),
        ("month", "2026-11-01", "2026-11-30"),
    ],
)
def test_a_span_holds_a_day_and_has_neighbours(kind, first, last):
    span = span_of(kind, date(2026, 11, 18))
    assert (span.first, span.last) == (date.fromisoformat(first), date.fromisoformat(last))
    assert span.previous().last + timedelta(days=1) == span.first
    assert span.following().first - timedelta(days=1) == span.last
    assert span.previous().following() == span


@pytest.mark.clause("R28-4.5")
@pytest.mark.clause("R03-5.1")
def test_a_week_counts_each_case_once(office):
    week_of_work(office)
    found = figures(office, WEEK, at(days=3))
    assert {name: found.totals[name] for name in ("new", "finished", "chased", "open")} == {
        "new": 4,
        "finished": 1,
        "chased": 1,
        "open": 3,
    }
    assert found.before["new"] == 1 and found.before["finished"] == 1
    by_name = {one.name: one.figures for one in found.people}
    assert by_name["师傅"]["new"] == 3 and by_name["师傅"]["open"] == 2
    assert by_name[""]["open"] == 1
    assert found.people[-1].user_id is None
    days = dict(found.days)
    assert len(days) == 7
    assert days[date(2026, 11, 16)]["new"] == 4
    assert (days[date(2026, 11, 17)]["finished"], days[date(2026, 11, 17)]["chased"]) == (1, 1)
    assert days[date(2026, 11, 18)]["chased"] == 1


def test_late_is_what_was_due_in_the_period(office):
    keys = week_of_work(office)
    with current().app_context(), as_system() as work:
        due = work.query(Obligation).filter_by(record_id=keys["late"], clause="R01-4.4").one().due_at
    day = span_of("day", clock.day_in("Asia/Shanghai", due))
    before = figures(office, day, due)
    after = figures(office, day, due + timedelta(minutes=1))
    assert after.totals["late"] - before.totals["late"] == 3  # the late one, the chased one, and nobody's
    assert figures(office, day.following(), due + timedelta(days=1)).totals["late"] == 0


def test_days_begin_at_midnight_of_the_unit(office):
    with clock.frozen(datetime(2026, 11, 17, 15, 59, tzinfo=UTC)):  # 23:59
        office.new_case()
    with clock.frozen(datetime(2026, 11, 17, 16, 1, tzinfo=UTC)):  # 00:01 of the next day
        office.new_case()
    for day in (17, 18):
        assert figures(office, span_of("day", date(2026, 11, day)), at(days=4)).totals["new"] == 1


def test_tasks_are_counted_apart(office):
    with clock.frozen(at(days=-15)), current().app_context(), system_scope("test"):
        schedules.create_due(office.unit.id)
    month = span_of("month", date(2026, 11, 1))
    found = figures(office, month, at(days=3))
    assert found.totals["new"] == 0 and found.tasks["new"] == 3
    assert found.tasks["due"] == 3
    assert figures(office, month, at(days=30)).tasks["late"] == 3


def test_another_unit_and_a_missing_permission_see_nothing(office):
    week_of_work(office)
    other = make_unit()
    with in_scope(other, {"report.view"}, office.desk), clock.frozen(at(days=3)):
        assert unit_report.report(other.id, WEEK).totals["new"] == 0
    with in_scope(office.unit, {"case.view"}, office.desk), pytest.raises(NotAllowed):
        unit_report.report(office.unit.id, WEEK)


def test_the_number_of_statements_does_not_grow(office, count_queries):
    week_of_work(office)
    with clock.frozen(at(days=3)), in_scope(office.unit, {"report.view"}, office.desk), count_queries() as few:
        unit_report.report(office.unit.id, WEEK)
    with clock.frozen(at(days=1)):
        for _ in range(12):
            key = office.new_case()
            office.do(key, "contact", "classify", "assign")
    with clock.frozen(at(days=3)), in_scope(office.unit, {"report.view"}, office.desk), count_queries() as many:
        unit_report.report(office.unit.id, WEEK)
    assert len(few) == len(many) <= 11


# --- screens ---------------------------------------------------------------------------------------


def test_every_number_leads_to_the_cases_it_counts(office, client):
    week_of_work(office)
    login(client, office.desk)
    with clock.frozen(at(days=5)):
        page = client.get("/admin/reports/?span=week&day=2026-11-18").get_data(as_text=True)
        links = re.findall(
            r'href="(/admin/report-cases/[^"]*)"[^>]*>(?:<span[^>]*>[^<]*</span><strong>)?(\d+)<', page
        )
        assert len(links) > 10
        for url, count in links:
            url = url.replace("&amp;", "&")
            path, _, query = url.partition("?")
            told = client.get(f"{path}count/?{query}").get_json()["count"]
            assert told == count, url


def test_one_turns_from_week_to_week_but_not_into_the_future(office, client):
    login(client, office.desk)
    with clock.frozen(MONDAY):
        page = client.get("/admin/reports/?span=week").get_data(as_text=True)
        assert "span=week&amp;day=2026-11-15" in page and 'rel="next"' not in page
        page = client.get("/admin/reports/?span=week&day=2026-11-15").get_data(as_text=True)
        assert "span=week&amp;day=2026-11-16" in page


@pytest.mark.parametrize(
    "query", ["span=year", "day=2026-13-40", "day=0001-01-01", "day=9999-12-31", "span=week&day=x"]
)
def test_a_malformed_address_shows_today(office, client, query):
    login(client, office.desk)
    with clock.frozen(MONDAY):
        answer = client.get(f"/admin/reports/?{query}")
    assert answer.status_code == 200
    assert "2026-11-16" in answer.get_data(as_text=True)


def test_reports_need_their_permission(office, client):
    login(client, make_user(office.unit, ALL - {"report.view"}))
    assert client.get("/admin/reports/").status_code == 403
    assert client.post("/admin/reports/export").status_code == 403


def test_the_workbook_holds_the_same_numbers_and_no_formula(office, client):
    with as_system() as work:
        work.merge(office.technician).name = "=HYPERLINK(1)"
    week_of_work(office)
    login(client, office.desk)
    with clock.frozen(at(days=3)):
        answer = client.post("/admin/reports/export?span=week&day=2026-11-18")
    assert answer.status_code == 200
    book = load_workbook(io.BytesIO(answer.data))
    answer.close()
    summary, people, days = book.worksheets
    assert (4, 1) in [(row[1].value, row[2].value) for row in summary.iter_rows()]
    names = [row[0].value for row in people.iter_rows(min_row=2)]
    assert "'=HYPERLINK(1)" in names
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    assert days.max_row == 8

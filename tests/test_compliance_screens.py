"""The compliance page, the list behind its numbers, its workbook and charts; the replay page."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
from sqlalchemy import select

from core.customers.models import Customer
from core.kernel import clock
from tests.casework import INTAKE, make_office
from tests.helpers import as_system, login, make_unit, make_user

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)
SEES = ("case.view", "compliance.view", "rules.view", "rules.replay", "rules.settings")
REPLAY = "/admin/replay/?clause=R01-5.2b&run=1&first=2026-11-01&last=2026-11-30&everywhere=1"


@pytest.fixture
def office(app):
    made = make_office()
    for hours in (3, 30):
        with clock.frozen(MONDAY):
            key = made.new_case(customer_name=f"=客户{hours}", contact_phone=f"1311235534{hours % 10}")
        with clock.frozen(MONDAY + timedelta(hours=hours)):
            made.do(key, "contact")
    return made


@pytest.fixture
def now(frozen_clock):
    frozen_clock(MONDAY + timedelta(days=2))


@pytest.fixture
def manager(client, office, now):
    return login(client, make_user(office.unit, SEES))


def text(answer):
    assert answer.status_code == 200, answer.get_data(as_text=True)[:2000]
    return answer.get_data(as_text=True)


def workbook(answer):
    with answer:
        assert answer.status_code == 200
        return openpyxl.load_workbook(io.BytesIO(answer.data))


def test_the_page_shows_rate_formula_and_tables(manager):
    page = text(manager.get("/admin/compliance/?clause=R01-5.2b"))
    assert "50.0%" in page and "÷" in page
    for view in ("clauses", "people", "units", "months", "refusals"):
        assert manager.get(f"/admin/compliance/?view={view}").status_code == 200


def test_numbers_lead_to_what_they_count(manager):
    page = text(manager.get("/admin/compliance/?clause=R01-5.2b&view=months"))
    links = {one.replace("&amp;", "&") for one in re.findall(r'href="(/admin/obligations/\?[^"]+)"', page)}
    late = [one for one in links if "f_standing=late" in one]
    assert late
    for link in late:
        behind = text(manager.get(link))
        assert behind.count("data-row ") == 1 and "=客户30" in behind and "=客户3<" not in behind
    met = text(manager.get(next(one for one in links if "f_standing=met" in one)))
    assert met.count("data-row ") == 1 and "=客户3<" in met


def test_charts_are_pictures_without_scripts(manager):
    page = text(manager.get("/admin/compliance/"))
    pictures = re.findall(r'(?:src|srcset)="(/admin/compliance/chart/[^"]+)"', page)
    assert len(pictures) >= 4
    for address in pictures:
        answer = manager.get(address.replace("&amp;", "&"))
        assert answer.mimetype == "image/svg+xml" and "<svg" in text(answer) and "<script" not in text(answer)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script>" not in page and 'style="' not in page


def test_a_forged_chart_is_not_drawn(manager):
    assert manager.get("/admin/compliance/chart/wide?d=WyJsaW5lIl0.forged").status_code == 404
    page = text(manager.get("/admin/compliance/"))
    address = re.search(r'src="(/admin/compliance/chart/wide[^"]+)"', page).group(1)
    assert manager.get(address.replace("/wide", "/huge")).status_code == 404


@pytest.mark.parametrize("query", ["first=2026-11&last=2026-01", "first=x", "first=1999-01", "last=2026-99"])
def test_a_period_that_makes_no_sense_is_told(manager, query):
    page = text(manager.get(f"/admin/compliance/?{query}"))
    assert 'role="alert"' in page and "2026-09" in page


def test_odd_words_in_the_address_count_as_absent(manager):
    page = text(manager.get("/admin/compliance/?clause=R99&person=abc&position=king&view=none&below=maybe&kind=1"))
    assert "R01-5.2b" in page


def test_the_workbook_holds_every_table_and_no_formula(manager, office):
    with as_system() as work:
        for one in work.scalars(select(Customer)):
            one.name = "=1+1"
    book = workbook(manager.post("/admin/compliance/export?clause=R01-5.2b"))
    assert len(book.sheetnames) == 6
    cells = [cell for sheet in book for line in sheet.iter_rows() for cell in line]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert 0.5 in [cell.value for cell in cells]
    listed = workbook(manager.post("/admin/obligations/export/"))
    assert not [cell for line in listed.active.iter_rows() for cell in line if cell.data_type == "f"]


def test_it_needs_the_permission_and_stays_in_the_unit(client, office, now):
    other = make_unit()
    login(client, make_user(other, SEES))
    page = text(client.get("/admin/compliance/?below=1"))
    assert "50.0%" not in page
    assert "=客户" not in text(client.get(f"/admin/obligations/?units=all&f_unit={office.unit.id}"))
    assert "=客户" not in text(client.get(REPLAY))


def test_without_the_permission_there_is_nothing(client, office, now):
    login(client, make_user(office.unit, ("case.view",)))
    for path in ("/admin/compliance/", "/admin/obligations/", "/admin/replay/"):
        assert client.get(path).status_code == 403


def test_rows_cost_no_further_statements(manager, office, count_queries):
    def cost():
        manager.get("/admin/obligations/")
        with count_queries() as seen:
            text(manager.get("/admin/obligations/"))
        return len(seen)

    before = cost()
    with clock.frozen(MONDAY):
        for number in range(5):
            office.new_case(**{**INTAKE, "contact_phone": f"1391235534{number}"})
    assert cost() == before


def test_a_replay_shows_both_sides_and_its_label(manager):
    page = text(manager.get(f"{REPLAY}&p_limit=2"))
    assert "50.0% → <b>0.0%</b>" in page
    assert page.count("badge tone-paused") >= 2
    adopt = re.search(r'href="(/admin/clause-settings/[^"]+)"', page).group(1).replace("&amp;", "&")
    assert re.search(r'name="p_limit"[^>]*value="2"', text(manager.get(adopt)))


def test_the_differences_go_on_over_pages(manager, monkeypatch):
    from core.rules import replay

    monkeypatch.setattr(replay, "PAGE", 1)
    page = text(manager.get(f"{REPLAY}&p_limit=40"))
    assert "=客户30" in page
    following = re.search(r'rel="next" href="([^"]+)"', page)
    if following:
        assert "=客户" not in text(manager.get(following.group(1).replace("&amp;", "&")))


@pytest.mark.parametrize("query", ["p_limit=x", "p_limit=-4", "first=2026-12-02", "last=", "first=1900-01-01"])
def test_bad_questions_are_told_beside_the_field(manager, query):
    name, _, _value = query.partition("=")
    answer = manager.get(re.sub(rf"&{name}=[^&]*", "", REPLAY) + "&" + query)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.get_data(as_text=True)


def test_a_clause_that_cannot_be_replayed_is_told(manager):
    for clause in ("R01-4.2", "R99-1", "<b>"):
        answer = manager.get("/admin/replay/", query_string={"clause": clause})
        assert answer.status_code == 422 and 'role="alert"' in answer.get_data(as_text=True)
    assert "R01-5.2b" in text(manager.get("/admin/replay/"))
    assert text(manager.get("/admin/replay/?clause=R01-5.2b"))

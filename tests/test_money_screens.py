"""Screens of charges and penalty proposals: who sees what, errors beside fields, rows of other units."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from openpyxl import load_workbook
from sqlalchemy import select

from core.admin.format import money
from core.kernel import clock
from core.kernel.database import session
from core.records.models import Record
from core.rules import charges, penalties
from core.rules.charge_models import AGREED, DROPPED, POSTED, PROPOSED, QUOTED, VOID, Charge, Penalty
from core.rules.kinds import Line
from tests.casework import ALL, make_office, reading
from tests.helpers import login, make_unit, make_user
from tests.money_scene import FINE, QUOTE, RANGE, VISIT, holder, money_clauses

NOVEMBER = datetime(2026, 11, 16, 2, tzinfo=UTC)


@pytest.fixture
def office(sqlite_app):
    with money_clauses(sqlite_app, FINE, RANGE), clock.frozen(NOVEMBER):
        yield make_office()


@pytest.fixture
def leader(office):
    return holder(office, "service_leader", "售后主管")


def browser(app, user):
    client = login(app.test_client(), user)
    client.post("/language", data={"locale": "en"})
    return client


@pytest.fixture
def boss(sqlite_app, office):
    return browser(sqlite_app, make_user(office.unit, ALL, name="主任"))


def charge(office, amount="100", payer="customer", clause=VISIT, label="上门费", key=None, count=1):
    key = key or office.new_case()
    with office.at_desk():
        lines = [
            Line("visit", {"zh": label, "en": "Visit fee"}, payer, Decimal(1), Decimal(amount))
            for _ in range(count)
        ]
        return charges.propose(session().get_one(Record, key), clause, "test", lines)[0].id


def propose(office, clause=FINE, user=None, amount=None):
    with office.at_desk():
        record = session().get_one(Record, office.new_case())
        user = user or office.technician
        return penalties.propose(record, clause, "test", user.id, amount=amount, reason="未经同意返回").id


def row_of(model, key):
    with reading() as work:
        found = work.get_one(model, key)
        work.expunge(found)
        return found


def lines():
    with reading() as work:
        found = work.scalars(select(Charge).order_by(Charge.id)).all()
        work.expunge_all()
        return found


def text_of(answer):
    return answer.get_data(as_text=True)


def workbook(client, address):
    answer = client.post(address)
    rows = list(load_workbook(io.BytesIO(answer.data)).active.iter_rows(values_only=True))
    answer.close()
    return rows


def test_money_is_said_one_way():
    assert [money(Decimal(one)) for one in ("1234567.5", "-80", "0", "-0.01")] == [
        "¥1,234,567.50",
        "-¥80.00",
        "¥0.00",
        "-¥0.01",
    ]
    assert money(None) == ""


# --- charges -----------------------------------------------------------------------------------------


def test_the_list_filters(office, boss):
    charge(office, "1234.5")
    other = charge(office, "77", payer="agent", label="代理费")
    with office.at_desk():
        charges.move(other, "post")
    whole = text_of(boss.get("/admin/charges/"))
    assert "¥1,234.50" in whole and "¥77.00" in whole
    for word, value in (("f_state", "posted"), ("f_payer", "agent"), ("f_month", "2026-11"), ("quick", "posted")):
        found = text_of(boss.get(f"/admin/charges/?{word}={value}"))
        assert "¥77.00" in found and "¥1,234.50" not in found, word
    assert "¥77.00" not in text_of(boss.get("/admin/charges/?f_clause=R99-1"))


def test_the_list_asks_as_much_for_many_as_for_few(office, boss, count_queries):
    charge(office)
    boss.get("/admin/charges/")
    with count_queries() as few:
        boss.get("/admin/charges/")
    charge(office, count=30)
    with count_queries() as many:
        boss.get("/admin/charges/")
    assert len(many) == len(few)


def test_the_list_as_a_workbook(office, boss):
    charge(office, "1234.5")
    rows = workbook(boss, "/admin/charges/export/")
    assert [rows[1][0], rows[1][2]] == ["Visit fee", 1234.5]


def test_a_records_page_shows_lines_sums_and_steps(office, boss):
    key = office.new_case()
    first = charge(office, "100", key=key)
    with office.at_desk():
        charges.waive(first, "老客户", "30")
    page = text_of(boss.get(f"/admin/charges/record/{key}"))
    for word in ("Visit fee", "Waived: Visit fee", "-¥30.00", "¥70.00", "老客户", "Quote", "Void", VISIT):
        assert word in page, word


def test_one_click_and_its_refusal(office, boss):
    key = charge(office)
    version = row_of(Charge, key).version
    answer = boss.post("/admin/charges/move/", data={"id": key, "step": "quote", "version": version})
    assert answer.status_code == 302
    assert row_of(Charge, key).state == QUOTED
    stale = boss.post("/admin/charges/move/", data={"id": key, "step": "consent", "version": version})
    assert stale.status_code == 409
    refused = boss.post("/admin/charges/move/", data={"id": key, "step": "post"}, follow_redirects=True)
    assert "has not consented yet" in text_of(refused)
    assert row_of(Charge, key).state == QUOTED


def test_voiding_says_why_beside_the_field(office, boss):
    key = charge(office)
    answer = boss.post("/admin/charges/void/", data={"id": key, "reason": ""})
    assert answer.status_code == 422
    assert 'id="error-reason"' in text_of(answer)
    assert row_of(Charge, key).state == PROPOSED
    boss.post("/admin/charges/void/", data={"id": key, "reason": "重复"})
    assert row_of(Charge, key).state == VOID


@pytest.mark.parametrize("amount", ["", "abc", "-1", "100.01", "NaN", "1e9", "1.005"])
def test_a_wrong_waiver_is_told_beside_the_field(office, boss, amount):
    key = charge(office)
    answer = boss.post("/admin/charges/waive/", data={"id": key, "amount": amount, "reason": "优惠"})
    assert answer.status_code == 422
    assert 'id="error-amount"' in text_of(answer)
    assert len(lines()) == 1


def test_a_waiver_that_needs_an_agreement_says_so(office, boss):
    key = charge(office, clause=QUOTE)
    answer = boss.post(
        "/admin/charges/waive/", data={"id": key, "amount": "100", "reason": "客户拒付"}, follow_redirects=True
    )
    assert "An approval was asked for" in text_of(answer)
    assert len(lines()) == 1


def test_a_posted_line_is_corrected_by_another(office, boss):
    key = charge(office, payer="company")
    with office.at_desk():
        charges.move(key, "post")
    boss.post("/admin/charges/adjust/", data={"id": key, "amount": "80", "reason": "少装一件"})
    assert [(row.amount, row.state) for row in lines()] == [(100, POSTED), (-20, POSTED)]


def test_closing_a_month(office, boss):
    for month, word in (("2026-12", "not begun yet"), ("2026-1", "such as 2026-01"), ("", "Please fill this in")):
        answer = boss.post("/admin/charges/close/", data={"month": month})
        assert answer.status_code == 422
        assert word in text_of(answer)
    answer = boss.post("/admin/charges/close/", data={"month": "2026-10"}, follow_redirects=True)
    assert "2026-10 is closed." in text_of(answer)
    assert boss.post("/admin/charges/close/", data={"month": "2026-10"}).status_code == 422


def test_who_may_only_look_changes_nothing(sqlite_app, office):
    key = charge(office)
    client = browser(sqlite_app, make_user(office.unit, {"charge.view"}))
    page = client.get(f"/admin/charges/record/{row_of(Charge, key).record_id}")
    assert page.status_code == 200 and "/admin/charges/move/" not in text_of(page)
    assert client.post("/admin/charges/move/", data={"id": key, "step": "quote"}).status_code == 403
    assert client.get(f"/admin/charges/void/?id={key}").status_code == 403
    assert client.post("/admin/charges/close/", data={"month": "2026-10"}).status_code == 403
    assert row_of(Charge, key).state == PROPOSED


def test_charges_of_other_units_are_not_there(sqlite_app, office):
    key = charge(office)
    stranger = browser(sqlite_app, make_user(make_unit(), ALL))
    record_id = row_of(Charge, key).record_id
    assert stranger.get(f"/admin/charges/record/{record_id}").status_code == 404
    assert stranger.post("/admin/charges/move/", data={"id": key, "step": "quote"}).status_code == 404
    for page in ("void", "waive", "adjust"):
        assert stranger.get(f"/admin/charges/{page}/?id={key}").status_code == 404
    for bad in ("", "abc", "9" * 40, "-1"):
        assert stranger.get(f"/admin/charges/void/?id={bad}").status_code == 404
    assert "¥100.00" not in text_of(stranger.get("/admin/charges/"))


def test_a_records_own_page_shows_its_charges(sqlite_app, office, boss):
    key = charge(office)
    record_id, empty = row_of(Charge, key).record_id, office.new_case()
    assert "¥100.00" in text_of(boss.get(f"/admin/record/{record_id}"))
    assert 'id="panel-charges"' not in text_of(boss.get(f"/admin/record/{empty}"))
    client = browser(sqlite_app, make_user(office.unit, {"case.view"}))
    page = client.get(f"/admin/record/{record_id}")
    assert page.status_code == 200 and "¥100.00" not in text_of(page)


# --- penalty proposals -------------------------------------------------------------------------------


def test_the_leaders_list_and_its_workbook(sqlite_app, office, boss):
    propose(office)
    propose(office, RANGE)
    page = text_of(boss.get("/admin/penalties/"))
    assert "¥50.00" in page and "¥50.00 to ¥500.00" in page and office.technician.name in page
    assert "Nothing is deducted" in page
    assert "¥50.00 to" not in text_of(boss.get(f"/admin/penalties/?f_clause={FINE}"))
    rows = workbook(boss, "/admin/penalties/export/")
    assert {row[2] for row in rows[1:]} == {50, None}


def test_the_list_of_proposals_asks_as_much_for_many_as_for_few(office, boss, count_queries):
    propose(office)
    boss.get("/admin/penalties/")
    with count_queries() as few:
        boss.get("/admin/penalties/")
    for _ in range(6):
        propose(office)
    with count_queries() as many:
        boss.get("/admin/penalties/")
    assert len(many) == len(few)


def test_the_person_sees_only_what_is_about_them_and_may_speak(sqlite_app, office, leader):
    mine, other = propose(office), propose(office, user=leader)
    client = browser(sqlite_app, office.technician)
    page = text_of(client.get("/admin/penalty/"))
    assert f"details/?id={mine}" in page and f"details/?id={other}" not in page
    assert client.get("/admin/penalties/").status_code == 403
    assert client.get(f"/admin/penalty/details/?id={other}").status_code == 404
    shown = text_of(client.get(f"/admin/penalty/details/?id={mine}"))
    assert "What you have to say" in shown and "Agree to it" not in shown
    empty = client.post("/admin/penalty/state/", data={"id": mine, "statement": " "})
    assert empty.status_code == 422 and 'id="error-statement"' in text_of(empty)
    client.post("/admin/penalty/state/", data={"id": mine, "statement": "客户停机"})
    assert row_of(Penalty, mine).statement == "客户停机"
    assert client.post("/admin/penalty/state/", data={"id": other, "statement": "客户停机"}).status_code == 404


def test_the_leader_decides_with_amount_and_reason(sqlite_app, office, leader):
    key = propose(office, RANGE)
    client = browser(sqlite_app, leader)
    shown = text_of(client.get(f"/admin/penalty/details/?id={key}"))
    assert "Agree to it" in shown and "from 50.00 to 500.00 yuan" in shown
    for amount in ("49", "501", "", "50.005", "abc"):
        answer = client.post(
            "/admin/penalty/decide/", data={"id": key, "choice": "agree", "amount": amount, "reason": "属实"}
        )
        assert answer.status_code == 422, amount
        assert 'id="error-amount"' in text_of(answer), amount
    answer = client.post(
        "/admin/penalty/decide/", data={"id": key, "choice": "agree", "amount": "60", "reason": ""}
    )
    assert 'id="error-reason"' in text_of(answer)
    client.post("/admin/penalty/decide/", data={"id": key, "choice": "agree", "amount": "60", "reason": "属实"})
    row = row_of(Penalty, key)
    assert (row.state, row.amount, row.reason) == (AGREED, 60, "属实")
    again = client.post("/admin/penalty/decide/", data={"id": key, "choice": "drop", "reason": "算了"})
    assert again.status_code == 422
    assert row_of(Penalty, key).state == AGREED


def test_the_leader_drops_one(sqlite_app, office, leader):
    key = propose(office)
    client = browser(sqlite_app, leader)
    answer = client.post("/admin/penalty/decide/", data={"id": key, "choice": "drop", "reason": ""})
    assert answer.status_code == 422 and 'id="error-reason"' in text_of(answer)
    client.post("/admin/penalty/decide/", data={"id": key, "choice": "drop", "reason": "情有可原"})
    assert row_of(Penalty, key).state == DROPPED


def test_about_oneself_there_is_nothing_to_decide(sqlite_app, office, leader):
    key = propose(office, user=leader)
    client = browser(sqlite_app, leader)
    assert "Agree to it" not in text_of(client.get(f"/admin/penalty/details/?id={key}"))
    answer = client.post("/admin/penalty/decide/", data={"id": key, "choice": "drop", "reason": "我没错"})
    assert answer.status_code == 422
    assert row_of(Penalty, key).state == PROPOSED


def test_proposals_of_other_units_are_not_there(sqlite_app, office):
    key = propose(office)
    stranger = browser(sqlite_app, make_user(make_unit(), ALL))
    assert stranger.get(f"/admin/penalty/details/?id={key}").status_code == 404
    for page, form in (("state", {"statement": "x"}), ("decide", {"choice": "drop", "reason": "x"})):
        assert stranger.post(f"/admin/penalty/{page}/", data={"id": key, **form}).status_code == 404
    assert office.technician.name not in text_of(stranger.get("/admin/penalties/"))

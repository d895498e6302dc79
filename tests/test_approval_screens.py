"""The approval screens over HTTP: decided without opening the record, worded refusals, other units see nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from sqlalchemy import select

from core.cases.services import register_case
from core.kernel import clock
from core.records.attachments import attach
from core.records.engine import perform
from core.records.models import Record
from core.rules import approvals
from core.rules.approval_models import AGREED, REJECTED, RETURNED, WAITING, WITHDRAWN, Approval, Delegation
from core.rules.kinds import ApprovalRule
from core.rules.obligation_models import EXCUSED, LATE, Obligation
from core.rules.registry import EXTENSION, Registry
from core.users.models import Position
from tests.approvers import CLAUSE, acting, held, make_company, steps
from tests.casework import INTAKE, reading
from tests.helpers import login, make_unit, make_user
from tests.test_at_once import Browser, port, together

__all__ = ["port"]  # a fixture
HOME = "/admin/approvals/"
NOW = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday 10:00 in Shanghai


@pytest.fixture
def company(app):
    with clock.frozen(NOW):
        found = make_company()
        found.add("desk", "dispatcher")
        yield found


def browser(app, company, who):
    user = company.people[who]
    client = login(app.test_client(), user, unit=company.hq if who == "gm" else company.branch)
    return client


def ask(company, who="desk", *, subject="thing:1", position="service_leader", **more):
    with acting(company.people[who]):
        values = {"clause": CLAUSE, "title": {"zh": "费用减免", "en": "Waiver"}, "reason": "老客户", **more}
        return approvals.ask(company.branch.id, subject=subject, position=position, **values).id


def new_case(company):
    with acting(company.desk):
        return register_case(company.branch.id, dict(INTAKE)).id


def text_of(answer):
    return answer.get_data(as_text=True)


def test_the_inbox_shows_amount_clause_reason_and_papers_without_the_record(app, company):
    case = new_case(company)
    with acting(company.desk) as work:
        attach(case, "报价单.txt", BytesIO(b"1730"))
        record = work.scalars(select(Record).where(Record.id == case)).one()
        approvals.ask(
            company.branch.id,
            clause=CLAUSE,
            subject="thing:1",
            title={"zh": "费用减免", "en": "Waiver"},
            position="service_leader",
            reason="三次上门未修好",
            amount=Decimal("1730"),
            record=record,
        )
    page = text_of(browser(app, company, "leader").get(HOME))
    for expected in (
        "¥1,730.00",
        CLAUSE,
        "三次上门未修好",
        "报价单.txt",
        f"/admin/record/{case}",
        "formaction",
        "GD-",
    ):
        assert expected in page, expected
    assert 'class="dot-count">1<' in page  # in the menu and on the bottom bar
    assert "¥1,730.00" not in text_of(browser(app, company, "worker").get(HOME))


@pytest.mark.parametrize(
    ("button", "reason", "state"),
    [("agree", "", AGREED), ("reject", "不合理", REJECTED), ("send-back", "缺照片", RETURNED)],
)
def test_each_button_does_what_it_says(app, company, button, reason, state):
    key = ask(company)
    client = browser(app, company, "leader")
    answer = client.post(f"{HOME}{key}/{button}", data={"reason": reason, "version": held(key).version})
    assert (answer.status_code, answer.headers["Location"]) == (302, HOME)
    assert (held(key).state, steps(key)[-1][1:]) == (state, (company.leader.id, reason))


@pytest.mark.parametrize("button", ["reject", "send-back"])
def test_a_missing_reason_is_told_beside_the_field(app, company, button):
    key = ask(company)
    answer = browser(app, company, "leader").post(f"{HOME}{key}/{button}", data={"reason": " "})
    assert answer.status_code == 422
    assert re.search(r'id="error-reason"[^>]*>.*Please say why', text_of(answer), re.S)
    assert held(key).state == WAITING


@pytest.mark.parametrize("amount", ["", "abc", "10", "500.01"])
def test_a_wrong_amount_is_told_beside_the_field(app, company, amount):
    key = ask(company, data={"least": "50", "most": "500"})
    answer = browser(app, company, "leader").post(f"{HOME}{key}/agree", data={"amount": amount})
    assert answer.status_code == 422
    assert 'id="error-amount"' in text_of(answer)
    assert (held(key).state, held(key).amount) == (WAITING, None)


def test_the_chosen_amount_is_kept(app, company):
    key = ask(company, data={"least": "50", "most": "500"})
    assert browser(app, company, "leader").post(f"{HOME}{key}/agree", data={"amount": "120.5"}).status_code == 302
    assert held(key).amount == Decimal("120.50")


def test_the_wrong_role_is_told_who_is_wanted(app, company):
    key = ask(company, position="gm")
    answer = browser(app, company, "leader").post(f"{HOME}{key}/agree", data={})
    assert answer.status_code == 409
    assert "This waits for General manager" in text_of(answer)
    assert held(key).state == WAITING


def test_who_asked_is_told_that_nobody_approves_their_own(app, company):
    key = ask(company, "leader")
    client = browser(app, company, "leader")
    answer = client.post(f"{HOME}{key}/agree", data={})
    assert (answer.status_code, held(key).state) == (409, WAITING)
    assert "Nobody approves their own request" in text_of(answer)
    assert "formaction" not in text_of(client.get(f"{HOME}{key}"))


def test_an_old_page_decides_nothing(app, company):
    key = ask(company)
    client = browser(app, company, "leader")
    seen = held(key).version
    client.post(f"{HOME}{key}/send-back", data={"reason": "缺照片"})
    browser(app, company, "desk").post(f"{HOME}{key}/complete", data={"reason": "补了"})
    answer = client.post(f"{HOME}{key}/agree", data={"version": seen})
    assert (answer.status_code, held(key).state) == (409, WAITING)


@pytest.mark.parametrize("path", ["{}", "{}/pass-on", "{}/complete"])
def test_others_get_a_worded_403_and_other_units_a_404(app, company, path):
    key = ask(company)
    assert browser(app, company, "worker").get(HOME + path.format(key)).status_code == 403
    with reading() as work:
        position = work.scalars(select(Position).where(Position.code == "service_leader")).one()
    stranger = login(app.test_client(), make_user(make_unit(), position=position))
    assert stranger.get(HOME + path.format(key)).status_code == 404
    assert stranger.post(f"{HOME}{key}/agree", data={}).status_code == 404
    for bad in ("0", "x", "99999999999999999999"):
        assert stranger.get(HOME + path.format(bad)).status_code == 404


def test_a_whole_life_on_the_screens(app, company):
    key = ask(company)
    leader, desk, gm = (browser(app, company, who) for who in ("leader", "desk", "gm"))
    leader.post(f"{HOME}{key}/send-back", data={"reason": "缺照片"})
    assert "Sent back for more" in text_of(desk.get(f"{HOME}asked"))
    answer = desk.post(f"{HOME}{key}/complete", data={"reason": ""})
    assert (answer.status_code, held(key).state) == (422, RETURNED)
    assert desk.post(f"{HOME}{key}/complete", data={"reason": "照片已补"}).status_code == 302
    form = text_of(leader.get(f"{HOME}{key}/pass-on"))
    assert "General manager" in form
    answer = leader.post(f"{HOME}{key}/pass-on", data={"reason": "超出权限"})
    assert (answer.status_code, "error-position" in text_of(answer)) == (422, True)
    answer = leader.post(f"{HOME}{key}/pass-on", data={"position": "gm", "reason": "超出权限"})
    assert answer.status_code == 302
    # From head office, without switching the unit.
    assert "照片已补" in text_of(gm.get(HOME))
    assert gm.post(f"{HOME}{key}/agree", data={}).status_code == 302
    page = text_of(desk.get(f"{HOME}{key}"))
    for expected in ("缺照片", "照片已补", "超出权限", "Agreed"):
        assert expected in page
    assert "formaction" not in page


def test_one_withdraws_ones_own(app, company):
    key = ask(company)
    assert browser(app, company, "leader").post(f"{HOME}{key}/withdraw", data={}).status_code == 403
    assert browser(app, company, "desk").post(f"{HOME}{key}/withdraw", data={}).status_code == 302
    assert held(key).state == WITHDRAWN


def test_leaders_see_all_and_what_nobody_can_decide(app, company):
    key = ask(company, position="finance", amount=Decimal(80))
    leader = browser(app, company, "leader")
    assert "Waiver" in text_of(leader.get("/admin/approval-list/"))
    assert "Waiver" in text_of(leader.get(f"{HOME}nobody"))
    assert leader.post(f"{HOME}{key}/pass-on", data={"position": "gm", "reason": "没有财务"}).status_code == 302
    assert "Waiver" not in text_of(leader.get(f"{HOME}nobody"))
    for path in ("/admin/approval-list/", f"{HOME}nobody"):
        assert browser(app, company, "worker").get(path).status_code == 403


def test_standing_in_is_made_and_ended(app, company):
    leader = browser(app, company, "leader")
    days = {"first_day": "2026-11-16", "last_day": "2026-11-16"}
    bad = leader.post(f"{HOME}stand-ins", data={**days, "to_user_id": ""})
    assert (bad.status_code, 'id="error-to_user_id"' in text_of(bad)) == (422, True)
    bad = leader.post(f"{HOME}stand-ins", data={"to_user_id": company.worker.id, **days, "last_day": "2020-01-01"})
    assert (bad.status_code, 'id="error-last_day"' in text_of(bad)) == (422, True)
    good = leader.post(f"{HOME}stand-ins", data={**days, "to_user_id": company.worker.id, "reason": "出差"})
    assert good.status_code == 302
    key = ask(company)
    worker = browser(app, company, "worker")
    assert "In place of leader" in text_of(worker.get(HOME))
    assert "出差" in text_of(worker.get(f"{HOME}stand-ins"))
    assert "出差" not in text_of(browser(app, company, "clerk").get(f"{HOME}stand-ins"))
    assert worker.post(f"{HOME}{key}/agree", data={}).status_code == 302
    assert held(key).decided_for == company.leader.id
    with reading() as work:
        row = work.scalar(select(Delegation.id))
    assert browser(app, company, "clerk").post(f"{HOME}stand-ins/{row}/end").status_code == 403
    assert leader.post(f"{HOME}stand-ins/{row}/end").status_code == 302
    assert "出差" not in text_of(leader.get(f"{HOME}stand-ins"))


def test_an_excuse_is_asked_for_and_taken_back_on_screen(app, company):
    with clock.frozen(NOW - timedelta(days=3)):
        case = new_case(company)
    with clock.frozen(NOW - timedelta(days=1)), acting(company.desk):
        perform(case, "contact", {})
    row = _obligation(case)
    assert row.state == LATE
    desk = browser(app, company, "desk")
    url = f"{HOME}excuse/{row.id}"
    assert "Evidence" in text_of(desk.get(url))
    answer = desk.post(url, data={"reason": ""})
    assert (answer.status_code, 'id="error-reason"' in text_of(answer)) == (422, True)
    assert desk.post(url, data={"reason": "台风"}).headers["Location"] == f"/admin/record/{case}"
    with reading() as work:
        key = work.scalar(select(Approval.id))
    assert browser(app, company, "leader").post(f"{HOME}{key}/agree", data={}).status_code == 302
    assert _obligation(case).state == EXCUSED
    assert browser(app, company, "leader").post(f"{url}/lift", data={"reason": "查无此事"}).status_code == 302
    assert _obligation(case).state == LATE
    assert browser(app, company, "worker").get(url).status_code == 403
    assert desk.get(f"{HOME}excuse/999999").status_code == 404


def _obligation(case):
    with reading() as work:
        return work.scalars(select(Obligation).where(Obligation.record_id == case)).first()


def test_a_steps_agreement_is_asked_for_on_screen(app, company, monkeypatch):
    plain = app.extensions[EXTENSION]
    needed = ApprovalRule(clause=CLAUSE, step="case.cancel", title={"zh": "取消", "en": "Cancel"}, position="gm")
    monkeypatch.setitem(app.extensions, EXTENSION, Registry((*plain.rules, needed)))
    case = new_case(company)
    desk = browser(app, company, "desk")
    given = {"record_id": case, "step": "case.cancel", "clause": CLAUSE}
    assert "General manager" in text_of(desk.get(f"{HOME}ask", query_string=given))
    answer = desk.post(f"{HOME}ask", data={**given, "reason": "客户要求", "key": "k"})
    assert answer.headers["Location"] == f"/admin/record/{case}"
    again = desk.post(f"{HOME}ask", data={**given, "reason": "客户要求", "key": "k"})
    assert again.status_code == 302
    with reading() as work:
        (row,) = work.scalars(select(Approval)).all()
    assert (row.subject, row.position) == (f"case.cancel:{case}:{CLAUSE}", "gm")
    for wrong in ({"step": "case.assign"}, {"record_id": "x"}, {"clause": ""}):
        assert desk.post(f"{HOME}ask", data={**given, **wrong, "reason": "x"}).status_code == 404


def test_the_inbox_costs_the_same_for_few_and_many(app, company, count_queries):
    client = browser(app, company, "leader")
    counts = []
    for more in (2, 20):
        for number in range(more):
            ask(company, subject=f"thing:{more}{number}")
        client.get(HOME)
        with count_queries() as seen:
            assert "Waiver" in text_of(client.get(HOME))
        counts.append(len(seen))
    assert counts[0] == counts[1]


def test_notices_lead_to_the_approvals(app, company):
    ask(company)
    assert f'href="{HOME}"' in text_of(browser(app, company, "leader").get("/admin/inbox/"))
    assert "Waiting for my approval" in text_of(browser(app, company, "leader").get("/admin/"))


def test_of_two_browsers_at_once_one_decides(port, company):
    company.add("second", "service_leader")
    one, two = Browser(port, company.leader), Browser(port, company.second)
    for number in range(3):
        key = ask(company, subject=f"thing:{number}")
        form = {"reason": "看过了", "version": held(key).version}
        answers = together(
            lambda key=key, form=form: one.send(f"{HOME}{key}/agree", form),
            lambda key=key, form=form: two.send(f"{HOME}{key}/reject", form),
        )
        assert sorted(status for status, _ in answers) == [302, 409]
        assert [name for name, *_ in steps(key)] == ["asked", held(key).state]


def test_a_clause_setting_says_what_would_change(app, company):
    ask(company, data={"starts_on": "2026-12-01", "holds": True, "values": {"limit": 7}})
    page = text_of(browser(app, company, "leader").get(HOME))
    assert "5 working days → 7 working days" in page
    assert "2026-12-01" in page

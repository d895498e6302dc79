"""What the other side must never learn or change: by address, by sheet, by message, by a reason for waiting."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from typing import Any

import openpyxl
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.mail import intake
from core.records.attachments import attach
from core.records.models import Notice as InboxEntry
from core.records.models import RefusalLog
from core.sdk import NotAllowed, NotFound, Record, Refused, clock, perform
from core.users.models import Position, UserPosition
from plugins.agents import file, own, sheets_lines, statements, values
from plugins.agents.models import Contact, StatementLine
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import IN_DECEMBER, Desk, make_desk
from plugins.agents.tests.test_own_pages import ADDRESS, NAME, OWN, PHONE, Team, client_of, team
from tests.casework import SOLVED
from tests.helpers import as_system, make_user

__all__ = ["team"]
FOREIGN = "GD-OTHER-202510-0007"


@pytest.fixture
def desk(app: Any) -> Desk:
    return make_desk()


def sent(desk: Desk, *amounts: str) -> int:
    for one in amounts or ("100",):
        desk.bill(one)
    desk.place.now = IN_DECEMBER
    return desk.sent()


def sheet_text(content: bytes) -> str:
    rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)
    return "\n".join(" ".join(str(cell) for cell in row if cell is not None) for row in rows)


# --- the sheet -----------------------------------------------------------------------------------


def test_the_sheet_for_the_agent_leaves_out_what_the_checks_found_of_others(app: Any, desk: Desk) -> None:
    key = sent(desk)
    with as_system() as work:
        line = work.scalars(select(StatementLine).where(StatementLine.statement_id == key)).one()
        line.checks = {values.CHECKS[0][0]: [values.BAD, FOREIGN]}
    answer = client_of(app, desk.people[0]).get(f"/p/agents/own/statement/{key}/sheet")
    theirs = sheet_text(answer.data)
    assert FOREIGN not in theirs and "同一设备重复计费" in theirs
    assert "贵方应付" in theirs and "对方应付" not in theirs
    with desk.acting():
        assert FOREIGN in sheet_text(sheets_lines.workbook(key))


def test_a_draft_and_a_cancelled_statement_are_not_there_for_the_agent(desk: Desk) -> None:
    charge = desk.bill("100")
    desk.place.now = IN_DECEMBER
    key = desk.settled()
    line = desk.line_of(charge)
    calls: tuple[Any, ...] = (
        lambda: sheets_lines.workbook(key),
        lambda: sheets_lines.read_answers(key, io.BytesIO(b"")),
        lambda: statements.answer_line(line, {"answer": "confirm"}),
        lambda: statements.confirm_all(key),
        lambda: own.find_statement(key),
    )
    for step in ("", "send", "cancel"):
        if step:
            desk.do(key, step, {"reason": "重做"} if step == "cancel" else None)
        if step == "send":
            continue
        for call in calls:
            with desk.as_agent(), pytest.raises(NotFound):
                call()


# --- cases ---------------------------------------------------------------------------------------


def test_a_line_leads_to_its_case_only_where_the_case_is_theirs(app: Any, desk: Desk) -> None:
    key = sent(desk, "100", "50")
    first, second = (one.record_id for one in desk.lines(key))
    with as_system() as work:
        from plugins.agents.models import CaseAgent

        work.add(CaseAgent(unit_id=desk.unit.id, record_id=first, agent_id=desk.agents[0]))
    client = client_of(app, desk.people[0])
    page = client.get(f"/p/agents/own/statement/{key}").text
    assert f"/p/agents/own/case/{first}" in page and client.get(f"/p/agents/own/case/{first}").status_code == 200
    assert f"/p/agents/own/case/{second}" not in page
    assert client.get(f"/p/agents/own/case/{second}").status_code == 404


def test_whoever_was_told_by_mistake_loses_the_case_when_another_is_named(app: Any, team: Team) -> None:
    wrong, right = team.place.agent(), team.place.agent()
    _c, person = team.place.contact(wrong, role=values.BUSINESS, name="误告")
    team.place.item(agent=wrong)
    key = team.place.case()
    team.place.notify(key)
    client = client_of(app, person)
    assert client.get(f"/p/agents/own/case/{key}").status_code == 200
    team.place.do(key, "agents:name", {"agent": team.place.code_of(right), "reason": "发货单有误"})
    assert client.get(f"/p/agents/own/case/{key}").status_code == 404


def test_reopened_the_case_is_not_in_their_hands_until_it_is_assigned_anew(app: Any, team: Team) -> None:
    key = team.passed()
    team.step(key, "accept")
    team.place.do(key, "cancel", {"reason": "客户撤回"})
    client = client_of(app, team.technician)
    for reopened in (False, True):
        if reopened:
            team.place.do(key, "reopen", {"reason": "客户又来电"})
        for address in (f"/admin/record/{key}", f"/my/{key}", "/my/", "/admin/", f"/p/agents/own/case/{key}"):
            page = client.get(address).text
            assert NAME not in page and PHONE not in page and ADDRESS not in page, (reopened, address)
    team.place.do(key, "assign", {"assignee_id": team.technician.id})
    assert ADDRESS in client.get(f"/p/agents/own/case/{key}").text


def test_of_a_case_they_solved_nothing_of_the_customer_is_left(app: Any, team: Team) -> None:
    key = team.passed()
    for step, given in (("accept", None), ("depart", None), ("arrive", None), ("solve", SOLVED)):
        team.step(key, step, given)
    client = client_of(app, team.technician)
    for address in (f"/admin/record/{key}", f"/my/{key}", "/my/", "/admin/", f"/p/agents/own/case/{key}"):
        page = client.get(address).text
        assert NAME not in page and PHONE not in page and ADDRESS not in page, address


# --- words that reach them -----------------------------------------------------------------------


def test_what_another_party_writes_is_not_told_to_an_outsider(team: Team) -> None:
    key = team.passed()
    with team.place.acting() as work:
        record = work.get_one(Record, key)
        intake._tell(record, "按合同只付八百元", "comment")
        intake._tell(record, "请下午再来", "customer_reply")
        work.commit()
        told = select(InboxEntry.text).where(
            InboxEntry.user_id == team.technician.id, InboxEntry.kind != "assigned"
        )
        assert list(work.scalars(told)) == ["请下午再来"]


def held_up(team: Team) -> tuple[int, str]:
    """A case of an item that an agent sold, in the hands of another's technician; then the seller turns out to be
    a third one, whom nobody told."""
    seller, third = team.place.agent(name="甲经销公司"), team.place.agent(name="乙经销公司")
    team.place.item(agent=seller)
    key = team.place.case()
    team.place.notify(key)
    team.place.do(key, "assign", {"assignee_id": team.technician.id})
    team.place.do(key, "agents:name", {"agent": team.place.code_of(third), "reason": "发货单有误"})
    return key, "乙经销公司"


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_why_a_step_waits_is_told_without_our_affairs(app: Any, team: Team, locale: str) -> None:
    key, other = held_up(team)
    client = client_of(app, team.technician)
    client.post("/language", data={"locale": locale})
    pages = [
        client.get(f"/p/agents/own/case/{key}"),
        client.get(f"/admin/record/{key}"),
        client.get(f"/my/{key}"),
        client.post(f"/my/{key}/do/depart", data={}),
        client.post(f"/admin/record/{key}/do/depart", data={}),
    ]
    # What was refused is kept with its reason, for our staff.
    for page in (*pages, client.get(f"/admin/record/{key}")):
        assert other not in page.text and "甲经销公司" not in page.text
        assert "R18-5.1.2" not in page.text
    for page in (pages[0], pages[1], pages[3]):
        assert "联系派单人员" in page.text or "ask there" in page.text
    assert team.place.state(key) == "assigned"
    # Our own staff are told, and the evidence says what it was.
    assert other in client_of(app, team.place.desk).get(f"/admin/record/{key}").text
    kept = team.place._all(select(RefusalLog.text).where(RefusalLog.record_id == key))
    assert kept and all(other in one for one in kept)


def test_a_reason_that_they_can_mend_is_told_as_it_is(app: Any, team: Team) -> None:
    key = team.passed()
    team.step(key, "accept")
    with team.place.acting(team.technician, OWN), pytest.raises(Refused) as refused:
        perform(key, "solve", SOLVED)
    assert any("“" in str(one.text) for one in refused.value.refusals)


# --- people on both sides, people who left -------------------------------------------------------


def end_position(user_id: int, unit_id: int) -> None:
    with as_system() as work:
        for row in work.scalars(select(UserPosition).where(UserPosition.user_id == user_id)):
            if row.unit_id == unit_id:
                row.valid_to = clock.now().date() - timedelta(days=1)


def test_after_their_position_ended_nothing_is_left_even_of_a_case_in_their_hands(app: Any, team: Team) -> None:
    key = team.passed()
    client = client_of(app, team.technician)
    assert client.get(f"/my/{key}").status_code == 200
    with team.place.acting():
        contact = file.contacts_of(team.agent)[0]
    end_position(contact.user_id, team.place.unit.id)
    for address in (f"/my/{key}", f"/admin/record/{key}", f"/p/agents/own/case/{key}"):
        answer = client.get(address)
        assert answer.status_code in (302, 403, 404) and NAME not in answer.text, address


def test_staff_who_are_contacts_too_do_not_sit_on_both_sides(desk: Desk) -> None:
    key = sent(desk)
    both = make_user(desk.unit, scene.ALL, name="两头")
    with as_system() as work:
        work.add(
            Contact(
                unit_id=desk.unit.id, agent_id=desk.agents[0], name="两头", role=values.BUSINESS, user_id=both.id
            )
        )
    line = desk.lines(key)[0].id
    desk.answer(line, "dispute", dispute="多算", claimed="80")
    with desk.acting(both), pytest.raises(NotAllowed):
        statements.decide_dispute(line, {"decision": "allow", "amount": "80", "reason": "同意"})
    desk.decide(line, "allow", amount="80")
    desk.look_through(key)
    with desk.acting(both), pytest.raises(Refused):
        perform(key, "approve", {})
    desk.do(key, "approve", user=desk.approver)


def test_a_contact_of_two_units_sees_each_with_its_own_agent_only(app: Any) -> None:
    one, two = make_desk(), make_desk()
    mine, theirs = sent(one), sent(two)
    user = one.people[0]
    with as_system() as work:
        held = select(UserPosition).where(UserPosition.user_id == user.id)
        first = work.scalars(held).first()
        assert first is not None
        position = work.get_one(Position, first.position_id)
        work.add(
            UserPosition(user_id=user.id, unit_id=two.unit.id, position_id=position.id, valid_from=first.valid_from)
        )
        work.flush()
        # In the second unit they are with the second agent, to whom nothing was sent.
        row = Contact(
            unit_id=two.unit.id, agent_id=two.agents[1], name="兼任", role=values.BUSINESS, user_id=user.id
        )
        work.add(row)
    client = client_of(app, user)
    assert client.get(f"/p/agents/own/statement/{mine}").status_code == 200
    assert client.get(f"/p/agents/own/statement/{theirs}").status_code == 404
    foreign = two.lines(theirs)[0].id
    assert client.post(f"/p/agents/own/line/{foreign}", data={"answer": "confirm"}).status_code == 404


# --- the paper -----------------------------------------------------------------------------------


def test_they_get_the_paper_of_their_own_statement_in_their_language(app: Any, desk: Desk) -> None:
    key = sent(desk, "100", "50")
    client = client_of(app, desk.people[0])
    page = client.get(f"/p/agents/own/statement/{key}").text
    assert f"/p/agents/own/statement/{key}/pdf" in page
    answer = client.post(f"/p/agents/own/statement/{key}/pdf")
    assert answer.status_code == 200 and answer.mimetype == "application/pdf" and answer.data[:4] == b"%PDF"
    assert client_of(app, desk.people[1]).post(f"/p/agents/own/statement/{key}/pdf").status_code == 404
    # The ways of our own staff to paper stay shut.
    assert client.get(f"/admin/printing/?subject=agents_statement&id={key}").status_code in (403, 404)
    given = {"form": "agents.statement", "id": key, "locale": "zh"}
    for way in ("preview", "issue"):
        assert client.post(f"/admin/printing/{way}", data=given).status_code in (403, 404), way


def test_a_draft_has_no_paper_for_them(app: Any, desk: Desk) -> None:
    desk.bill("100")
    desk.place.now = IN_DECEMBER
    key = desk.settled()
    assert client_of(app, desk.people[0]).post(f"/p/agents/own/statement/{key}/pdf").status_code == 404


def test_they_see_how_far_their_statement_is(app: Any, desk: Desk) -> None:
    sent_key = sent(desk)
    with desk.as_agent():
        statements.confirm_all(sent_key)
    desk.look_through(sent_key)
    desk.do(sent_key, "approve", user=desk.approver)
    desk.seal(sent_key)
    client = client_of(app, desk.people[0])
    page = client.get(f"/p/agents/own/statement/{sent_key}").text
    row = desk.statement(sent_key)
    assert "双方已盖章" in page and str(row.due_on) in page
    # The scan itself is among our papers.
    with desk.acting():
        held = attach(sent_key, "内部.pdf", io.BytesIO(b"%PDF-1.4 x")).id
    assert client.get(f"/admin/record/file/{held}").status_code == 404
    assert client.get(f"/admin/record/{sent_key}").status_code == 404


# --- words of their forms ------------------------------------------------------------------------


@pytest.mark.parametrize("locale", ["zh", "en"])
def test_the_form_of_an_answer_speaks_to_them(app: Any, desk: Desk, locale: str) -> None:
    key = sent(desk)
    line = desk.lines(key)[0].id
    client: FlaskClient = client_of(app, desk.people[0])
    client.post("/language", data={"locale": locale})
    page = client.get(f"/p/agents/own/line/{line}").text
    assert "对方认可金额" not in page and "their account" not in page and "they dispute" not in page
    assert ("贵方认可金额" in page) or ("your account" in page)
    bad = client.post(f"/p/agents/own/line/{line}", data={"answer": "dispute", "claimed": "1e3x"})
    assert bad.status_code == 422 and len(re.findall(r'aria-invalid="true"', bad.text)) >= 1

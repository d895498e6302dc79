"""What people of an agent see on their own pages and on the core's, and what they do there."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from core.records.attachments import attach
from core.records.services import comment, notify, remind, watch
from core.sdk import Fact, NotAllowed, NotFound, Record, User, perform, transaction
from plugins.agents import own, statements, values
from plugins.agents.tests import scene
from plugins.agents.tests.scene_settle import make_desk
from tests.api_scene import Asker, token_of
from tests.casework import SOLVED
from tests.helpers import login

NAME, PHONE, ADDRESS = "盟新科技有限公司", "13112355344", "文三路1号"
OWN = {"agents.own"}


@dataclass
class Team:
    """A service agent with a technician and a business contact, and another agent with one person."""

    place: scene.Place
    agent: int
    technician: User
    business: User
    other: int
    stranger: User

    def case(self, **changes: Any) -> int:
        self.place.item(sold_class="own")
        return self.place.case(**changes)

    def passed(self) -> int:
        key = self.case()
        self.place.do(key, "assign", {"assignee_id": self.technician.id})
        return key

    def step(self, key: int, name: str, given: Any = None) -> None:
        with self.place.acting(self.technician, OWN):
            perform(key, name, given or {})

    def number(self, key: int) -> str:
        return str(self.place._all(select(Record.number).where(Record.id == key))[0])


@pytest.fixture
def team(app: Any) -> Team:
    place = scene.make_place()
    agent, other = place.agent(values.SERVICE), place.agent(values.SERVICE)
    _c, technician = place.contact(agent, name="甲方师傅")
    _c, business = place.contact(agent, role=values.BUSINESS, name="甲方业务")
    _c, stranger = place.contact(other, name="乙方师傅")
    return Team(place, agent, technician, business, other, stranger)


def client_of(app: Any, user: User) -> FlaskClient:
    return login(app.test_client(), user)


# --- cases and orders ----------------------------------------------------------------------------


def test_a_case_in_their_hands_shows_the_customer_and_leads_to_the_steps(app: Any, team: Team) -> None:
    key = team.passed()
    client = client_of(app, team.technician)
    assert team.number(key) in client.get("/admin/agents/own/orders/?quick=waiting").text
    assert team.number(key) in client.get("/admin/agents/own/cases/").text
    page = client.get(f"/p/agents/own/case/{key}").text
    assert NAME in page and ADDRESS in page
    assert f"/my/{key}/do/accept" in page and f"/my/{key}/do/decline" in page
    assert client.post(f"/my/{key}/do/accept", data={}).status_code == 302
    for step, given in (("depart", {}), ("arrive", {}), ("solve", SOLVED)):
        assert client.post(f"/my/{key}/do/{step}", data=given).status_code == 302, step
    assert team.place.state(key) == "solved"
    done = client.get(f"/p/agents/own/case/{key}").text
    assert team.number(key) in done
    assert NAME not in done and ADDRESS not in done and PHONE not in done


def test_a_business_contact_sees_the_order_and_takes_no_step(app: Any, team: Team) -> None:
    key = team.passed()
    client = client_of(app, team.business)
    page = client.get(f"/p/agents/own/case/{key}")
    assert page.status_code == 200 and NAME in page.text
    assert "/do/accept" not in page.text
    assert client.get(f"/admin/record/{key}").status_code == 404
    assert client.post(f"/my/{key}/do/accept", data={}).status_code == 404


def test_taken_away_the_case_is_gone_from_their_pages(app: Any, team: Team) -> None:
    key = team.passed()
    team.place.do(key, "assign", {"assignee_id": team.stranger.id})
    for user in (team.technician, team.business):
        client = client_of(app, user)
        for address in (f"/p/agents/own/case/{key}", f"/admin/record/{key}", f"/my/{key}"):
            assert client.get(address).status_code == 404, address
        assert team.number(key) not in client.get("/admin/agents/own/cases/").text
        assert team.number(key) not in client.get("/admin/agents/own/orders/").text


def test_the_seller_sees_the_case_but_not_the_customer_unless_another_is_named(app: Any, team: Team) -> None:
    seller, other = team.place.agent(), team.place.agent()
    _c, person = team.place.contact(seller, role=values.BUSINESS, name="销售方")
    _c, named = team.place.contact(other, role=values.BUSINESS, name="另一方")
    team.place.item(agent=seller)
    key = team.place.case()
    page = client_of(app, person).get(f"/p/agents/own/case/{key}")
    assert page.status_code == 200
    assert scene.SERIAL in page.text and NAME not in page.text and ADDRESS not in page.text
    assert client_of(app, named).get(f"/p/agents/own/case/{key}").status_code == 404
    code = team.place.code_of(other)
    team.place.do(key, "agents:name", {"agent": code, "reason": "合同另行约定"})
    assert client_of(app, named).get(f"/p/agents/own/case/{key}").status_code == 200
    assert client_of(app, person).get(f"/p/agents/own/case/{key}").status_code == 404


def test_out_of_use_a_contact_sees_nothing_any_more(app: Any, team: Team) -> None:
    key = team.passed()
    from plugins.agents.models import Contact
    from tests.helpers import as_system

    with as_system() as work:
        work.scalars(select(Contact).where(Contact.user_id == team.business.id)).one().active = False
    client = client_of(app, team.business)
    assert client.get(f"/p/agents/own/case/{key}").status_code == 404
    assert team.number(key) not in client.get("/admin/agents/own/cases/").text


def test_after_signing_in_they_find_their_pages_and_nothing_else(app: Any, team: Team) -> None:
    team.passed()
    page = client_of(app, team.technician).get("/admin/").text
    for wanted in ("/admin/agents/own/cases/", "/admin/agents/own/orders/", "/admin/agents/own/statements/"):
        assert wanted in page
    assert "quick=waiting" in page
    for hidden in (
        '"/admin/cases/"',
        '"/admin/customers/"',
        '"/admin/agents/orders/"',
        '"/admin/agents/old-parts/"',
    ):
        assert hidden not in page
    staff = login(app.test_client(), team.place.desk).get("/admin/").text
    assert "/admin/agents/own/" not in staff


# --- the core's own pages ------------------------------------------------------------------------

SECRET = "内部备注勿外传"


def test_the_record_shows_an_outsider_what_is_theirs_only(app: Any, team: Team) -> None:
    key = team.passed()
    with team.place.acting():
        comment(key, SECRET)
        comment(key, "客户可见的话", visible_to_customer=True)
        ours = attach(key, f"{SECRET}.txt", io.BytesIO(b"secret\n")).id
        remind(key, f"{SECRET}提醒", team.place.later(days=1))
    with team.place.acting(team.technician, OWN):
        comment(key, "师傅自己的话")
        theirs = attach(key, "现场.txt", io.BytesIO(b"mine\n")).id
    client = client_of(app, team.technician)
    for address in (f"/admin/record/{key}", f"/my/{key}"):
        page = client.get(address)
        assert page.status_code == 200
        assert SECRET not in page.text and "data-name=" not in page.text, address
    page = client.get(f"/admin/record/{key}").text
    assert "师傅自己的话" in page and "客户可见的话" in page and "现场.txt" in page
    with client.get(f"/admin/record/file/{theirs}") as answer:
        assert answer.status_code == 200
    assert client.get(f"/admin/record/file/{ours}").status_code == 404
    desk = login(app.test_client(), team.place.desk).get(f"/admin/record/{key}").text
    assert SECRET in desk and "师傅自己的话" in desk


def test_an_outsider_follows_nothing_asks_nobody_and_prints_nothing(app: Any, team: Team) -> None:
    key = team.passed()
    with team.place.acting(team.technician, OWN):
        with pytest.raises(NotAllowed):
            watch(key)
        with pytest.raises(NotAllowed):
            remind(key, "请您处理", team.place.later(days=1), team.place.desk.id)
    client = client_of(app, team.technician)
    assert client.post(f"/admin/record/{key}/watch", data={"on": "1"}).status_code == 403
    assert "前台" not in client.get(f"/admin/record/{key}/remind").text
    assert client.get(f"/admin/printing/?subject=case&id={key}").status_code in (403, 404)
    assert client.get(f"/admin/labels/?id={key}").status_code in (403, 404)
    assert client.get(f"/admin/mail/reply/{key}").status_code in (403, 404)


def test_steps_that_are_not_theirs_show_no_form(app: Any, team: Team) -> None:
    key = team.passed()
    client = client_of(app, team.technician)
    for step in (
        "assign",
        "classify",
        "warranty:quote",
        "warranty:decide",
        "warranty:cost",
        "agents:bill",
        "cancel",
    ):
        for answer in (
            client.get(f"/admin/record/{key}/do/{step}"),
            client.post(f"/admin/record/{key}/do/{step}", data={}),
        ):
            assert answer.status_code in (403, 404), (step, answer.status_code)


def test_staff_who_are_assigned_still_see_the_whole_record(app: Any, team: Team) -> None:
    key = team.case()
    with team.place.acting():
        comment(key, SECRET)
    from tests.helpers import make_user

    ours = make_user(team.place.unit, {"case.view", "case.handle"}, name="自家师傅")
    team.place.do(key, "assign", {"assignee_id": ours.id})
    assert SECRET in client_of(app, ours).get(f"/admin/record/{key}").text


def test_mentioned_they_are_told_but_see_no_other_comments(app: Any, team: Team) -> None:
    key = team.passed()
    with team.place.acting(), transaction() as work:
        notify(work.get_one(Record, key), "mention", [team.technician.id], "请尽快联系")
        comment(key, SECRET)
    text = client_of(app, team.technician).get("/admin/inbox/").text
    assert SECRET not in text


def test_the_api_gives_outsiders_no_records(app: Any, team: Team) -> None:
    key = team.passed()
    with team.place.acting() as work:
        uid = work.get_one(Record, key).uid
    asker = Asker(app, token_of(team.technician))
    for address in (
        f"/cases/{uid}",
        f"/records/{uid}/facts",
        f"/records/{uid}/attachments",
        f"/records/{uid}/comments",
    ):
        assert asker.get(address).status_code in (403, 404), address
    assert asker.get("/cases").json.get("items", []) == []


# --- statements ----------------------------------------------------------------------------------


def test_a_statement_is_seen_when_it_was_sent_and_answered_line_by_line(app: Any) -> None:
    desk = make_desk()
    one, two = desk.bill("100"), desk.bill("50")
    desk.place.now = scene.MONDAY.replace(month=12)
    key = desk.settled()
    client = client_of(app, desk.people[0])
    number = desk.place._all(select(Record.number).where(Record.id == key))[0]
    assert client.get(f"/p/agents/own/statement/{key}").status_code == 404
    assert number not in client.get("/admin/agents/own/statements/").text
    desk.do(key, "send")
    assert number in client.get("/admin/agents/own/statements/?quick=to_answer").text
    page = client.get(f"/p/agents/own/statement/{key}").text
    assert "100.00" in page and "50.00" in page
    first, second = desk.line_of(one), desk.line_of(two)
    bad = client.post(f"/p/agents/own/line/{first}", data={"answer": "dispute"})
    assert bad.status_code == 422
    sent = {"answer": "dispute", "claimed": "80", "dispute": "工时多算"}
    assert client.post(f"/p/agents/own/line/{first}", data=sent).status_code == 302
    assert client.post(f"/p/agents/own/line/{second}", data={"answer": "confirm"}).status_code == 302
    assert desk.state(key) == "disputed"
    assert "工时多算" in client.get(f"/p/agents/own/statement/{key}").text
    desk.decide(first, "allow", amount="80")
    assert desk.state(key) == "agreed"
    after = client.post(f"/p/agents/own/line/{second}", data=sent)
    assert after.status_code == 422
    assert desk.state(key) == "agreed"


def test_all_is_confirmed_with_one_click(app: Any) -> None:
    desk = make_desk()
    desk.bill("100")
    desk.bill("50")
    desk.place.now = scene.MONDAY.replace(month=12)
    key = desk.sent()
    client = client_of(app, desk.people[0])
    assert client.post(f"/p/agents/own/statement/{key}/confirm").status_code == 302
    assert desk.state(key) == "agreed"
    assert {one.state for one in desk.lines(key)} == {values.CONFIRMED}


def test_the_sheet_goes_out_and_comes_back(app: Any) -> None:
    desk = make_desk()
    charge = desk.bill("100")
    desk.place.now = scene.MONDAY.replace(month=12)
    key = desk.sent()
    client = client_of(app, desk.people[0])
    out = client.get(f"/p/agents/own/statement/{key}/sheet")
    assert out.status_code == 200 and out.data[:2] == b"PK"
    line = desk.line_of(charge)
    text = f"明细,金额（元）,答复（确认或异议）,贵方认可金额,异议理由\n{line},100,异议,90,少一次上门\n".encode(
        "utf-8-sig"
    )

    def sheet(content: bytes, go: str) -> Any:
        return {"file": (io.BytesIO(content), "答复.csv"), "go": go}

    address = f"/p/agents/own/statement/{key}/upload"
    looked = client.post(address, data=sheet(text, "0"))
    assert looked.status_code == 200 and "少一次上门" in looked.text
    assert desk.lines(key)[0].state == values.OPEN
    wrong = client.post(address, data=sheet(text.replace(b",100,", b",99,"), "1"))
    assert wrong.status_code == 422
    assert desk.lines(key)[0].state == values.OPEN
    assert client.post(address, data=sheet(text, "1")).status_code == 302
    assert desk.lines(key)[0].state == values.DISPUTED


def test_another_agents_statement_is_not_there_by_address_form_or_sheet(app: Any) -> None:
    desk = make_desk()
    mine, theirs = desk.bill("100", 0), desk.bill("70", 1)
    desk.place.now = scene.MONDAY.replace(month=12)
    key, foreign = desk.sent(number=0), desk.sent(number=1)
    line = desk.line_of(theirs)
    client = client_of(app, desk.people[0])
    content = f"明细,金额（元）,答复（确认或异议）\n{line},70,确认\n".encode("utf-8-sig")
    base = f"/p/agents/own/statement/{foreign}"
    for address in (base, f"{base}/sheet", f"{base}/upload", f"/p/agents/own/line/{line}"):
        assert client.get(address).status_code == 404, address
    assert client.post(f"{base}/confirm").status_code == 404
    assert client.post(f"/p/agents/own/line/{line}", data={"answer": "confirm"}).status_code == 404
    sent = {"file": (io.BytesIO(content), "a.csv"), "go": "1"}
    assert client.post(f"{base}/upload", data=sent).status_code == 404
    # A line of theirs in a sheet for one's own statement is a row with an error.
    sent = {"file": (io.BytesIO(content), "a.csv"), "go": "1"}
    assert client.post(f"/p/agents/own/statement/{key}/upload", data=sent).status_code == 422
    with desk.as_agent(0):
        for call in (
            lambda: statements.answer_line(line, {"answer": "confirm"}),
            lambda: statements.confirm_all(foreign),
            lambda: own.find_statement(foreign),
        ):
            with pytest.raises(NotFound):
                call()
    assert {one.state for one in desk.lines(foreign)} == {values.OPEN}
    case = desk.place._all(select(Fact.record_id).limit(1))
    assert case
    assert desk.line_of(mine)


def test_malformed_ids_are_not_found(app: Any, team: Team) -> None:
    client = client_of(app, team.technician)
    for bad in ("abc", "-1", "0", "²", "1" + "0" * 30):
        for address in (f"/p/agents/own/case/{bad}", f"/p/agents/own/statement/{bad}", f"/p/agents/own/line/{bad}"):
            assert client.get(address).status_code == 404, address

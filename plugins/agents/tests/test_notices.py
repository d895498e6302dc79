"""The agent is told before service begins, with proof; until then nobody is sent (R18-5.1.2, R19-5.1.2)."""

from __future__ import annotations

import io
import shutil
import subprocess
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from sqlalchemy import select

from core.customers.models import Customer
from core.documents import services as documents
from core.jobs import runner
from core.kernel import clock, outbox
from core.kernel.errors import InvalidData, NotAllowed, Refused
from core.kernel.i18n import speaking
from core.mail import intake, outgoing
from core.mail.models import Mail, Mailbox
from core.records.attachments import attach, path_of_hash
from core.sdk import Record, perform, session, transaction
from plugins.agents import notices, prints_notice, rights, values
from plugins.agents.models import Agent, Contact, Notice, Seller
from plugins.warranty.tests.test_quote_mail import mail_server, with_mailbox
from tests.helpers import as_system, current
from tests.mails import letter

from .scene import ALL, EQUIP, PLAT_K, SERIAL, Place, make_place

AGENT_MAIL = "li@agent.cn"
CALLED = {"means": "phone", "to": "李经理", "evidence": "通话 13800000000"}
MAILED = {"means": "email"}


def _words_of(pdf: bytes) -> str:
    """Return what a PDF says, on one line; '' where poppler is not installed."""
    assert pdf[:4] == b"%PDF"
    if not shutil.which("pdftotext"):
        return ""
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


def _sold(profile: str = EQUIP, sold_class: str = "agent", kind: str = values.AGENT) -> tuple[Place, int]:
    """A unit whose item was sold by somebody on file; return it with the id of who."""
    place = make_place(profile)
    agent = place.agent(kind, email=AGENT_MAIL)
    place.item(sold_class=sold_class, agent=agent)
    return place, agent


def _notices(place: Place, key: int) -> list[Notice]:
    return list(place._all(select(Notice).where(Notice.record_id == key).order_by(Notice.id)))


def _refused(place: Place, key: int, step: str, given: Any = None) -> list[str]:
    with pytest.raises(Refused) as no:
        place.do(key, step, given)
    return [str(text) for text in no.value.texts()]


# --- nobody is sent before -----------------------------------------------------------------------


@pytest.mark.clause("R18-5.1.2")
def test_nobody_is_sent_before_the_agent_was_told(app: Any) -> None:
    place, _agent = _sold()
    key = place.case()
    (why,) = _refused(place, key, "assign")
    assert "has not been told" in why or "尚未通知" in why
    assert place.against(key, "assign") == {"R18-5.1.2"}
    place.do(key, "agents:notify", CALLED)
    place.do(key, "assign")
    assert place.state(key) == "assigned"


@pytest.mark.clause("R19-5.1.2")
def test_nobody_is_sent_before_the_partner_was_told(app: Any) -> None:
    place, _partner = _sold(PLAT_K, "partner", values.PARTNER)
    key = place.case()
    _refused(place, key, "assign")
    assert place.against(key, "assign") == {"R19-5.1.2"}
    place.do(key, "agents:notify", CALLED)
    place.do(key, "assign")


@pytest.mark.clause("R18-5.1.2")
@pytest.mark.parametrize(
    "begun", [("assign", "start"), ("assign", "depart"), ("depart", "arrive"), ("arrive", "solve")]
)
def test_whoever_was_sent_goes_no_further_while_the_right_agent_is_not_told(
    app: Any, begun: tuple[str, str]
) -> None:
    place, first = _sold()
    key = place.case()
    place.do(key, "agents:notify", CALLED)
    last, next_step = begun
    for step in ("assign", "depart", "arrive"):
        place.do(key, step)
        if step == last:
            break
    # Only now it turns out who really sold it.
    place.sold_by(_item(first), place.agent())
    assert "R18-5.1.2" in _clauses(place, key, next_step)
    place.do(key, "agents:notify", CALLED)
    place.do(key, next_step)


def _item(agent: int) -> int:
    with as_system() as work:
        return work.scalars(select(Seller.item_id).where(Seller.agent_id == agent)).one()


def _clauses(place: Place, key: int, step: str, given: Any = None) -> set[str]:
    _refused(place, key, step, given)
    return place.against(key, step)


@pytest.mark.clause("R18-5.1.2")
@pytest.mark.clause("R19-5.1.2")
@pytest.mark.parametrize("case", ["own", "out of warranty", "clause off", "class 4.3"])
def test_who_need_not_be_told_holds_nobody_up(app: Any, case: str) -> None:
    place = make_place(PLAT_K if case == "class 4.3" else EQUIP)
    agent = place.agent(values.PARTNER if case == "class 4.3" else values.AGENT)
    if case == "class 4.3":
        place.contract(agent)
        place.item(sold_class="partner_sold", agent=agent)
        for one in ("R19-5.2.2.1", "R13-5.2.2.1"):
            place.clause(one, holds=False)
    else:
        place.item(sold_class="own" if case == "own" else "agent", agent=None if case == "own" else agent)
    if case == "clause off":
        place.clause("R18-5.1.2", holds=False)
    key = place.case()
    if case == "out of warranty":
        place.decide(key, "out_of_warranty")
        with pytest.raises(Refused):  # by the clauses about consent, not by these
            place.do(key, "assign")
        assert not place.against(key, "assign") & {"R18-5.1.2", "R19-5.1.2"}
        return
    place.do(key, "assign")
    assert place.state(key) == "assigned"


@pytest.mark.clause("R18-5.1.2")
def test_where_nobody_knows_the_seller_it_is_said_first(app: Any) -> None:
    place = make_place()
    place.item()
    key = place.case()
    (why,) = _refused(place, key, "agents:notify", CALLED)
    assert why == "请先说明由谁销售" or "who sold" in why
    assert _clauses(place, key, "assign") == {"R18-5.1.2"}
    assert _notices(place, key) == []


@pytest.mark.clause("R18-5.1.2")
def test_another_seller_found_later_is_told_anew(app: Any) -> None:
    place, first = _sold()
    key = place.case()
    place.do(key, "agents:notify", CALLED)
    second = place.agent(name="华南设备有限公司")
    place.sold_by(_item(first), second)
    (why,) = _refused(place, key, "assign")
    assert "华南设备有限公司" in why
    place.do(key, "agents:notify", CALLED)
    place.do(key, "assign")
    assert [one.agent_id for one in _notices(place, key)] == [first, second]
    with place.acting():
        now = notices.notice_of(session().get_one(Record, key))
        assert now is not None and now.agent_id == second


@pytest.mark.clause("R18-5.1.2")
def test_a_notice_counts_from_its_own_time(app: Any) -> None:
    place, _agent = _sold()
    key = place.case()
    received = place.now
    place.later(hours=3)
    told = received + timedelta(hours=1)
    place.do(key, "agents:notify", {**CALLED, "at": told.isoformat()})
    assert _notices(place, key)[0].told_at == told
    place.do(key, "assign")
    early = {"at": (told - timedelta(minutes=30)).isoformat()}
    assert "R18-5.1.2" in _clauses(place, key, "depart", early)
    place.do(key, "depart", {"at": told.isoformat()})


def test_a_time_before_the_case_or_ahead_is_said(app: Any) -> None:
    place, _agent = _sold()
    key = place.case()
    for wrong in (place.now - timedelta(days=2), place.now + timedelta(hours=2)):
        with pytest.raises(InvalidData) as bad:
            place.do(key, "agents:notify", {**CALLED, "at": wrong.isoformat()})
        assert set(bad.value.errors) == {"at"}


# --- proof ---------------------------------------------------------------------------------------


def test_what_was_not_sent_from_here_needs_something_that_shows_it(app: Any) -> None:
    place, agent = _sold()
    key = place.case()
    with pytest.raises(InvalidData) as bad:
        place.do(key, "agents:notify", {"means": "fax"})
    assert set(bad.value.errors) == {"evidence"}
    with place.acting(), transaction():
        # A paper of ours shows nothing; what was put on the case does.
        documents.issue(notices.FORM, key, "zh")
    with pytest.raises(InvalidData):
        place.do(key, "agents:notify", {"means": "fax"})
    with place.acting(), transaction():
        attach(key, "传真.pdf", io.BytesIO(b"%PDF-1.4\n%%EOF\n"))
    place.do(key, "agents:notify", {"means": "fax"})
    (one,) = _notices(place, key)
    assert (one.agent_id, one.means) == (agent, "fax")
    fact = place.kinds(key)
    assert "agent_notified" in fact


def test_who_may_not_handle_agents_tells_nobody(app: Any) -> None:
    place, _agent = _sold()
    key = place.case()
    with place.acting(permissions=ALL - {rights.HANDLE}), pytest.raises(NotAllowed):
        perform(key, "agents:notify", CALLED)


@pytest.mark.clause("R18-5.1.2")
def test_by_e_mail_the_notice_goes_out_as_a_pdf(app: Any) -> None:
    place, _agent = _sold()
    with_mailbox(place.office)
    key = place.case()
    with mail_server(app) as sink:
        place.do(key, "agents:notify", MAILED)
        with current().app_context():
            outbox.deliver_pending(runner.deliver)
    ((to, raw),) = sink.mails
    assert to == [AGENT_MAIL]
    mail = message_from_bytes(raw, policy=policy.default)
    (paper,) = mail.iter_attachments()
    said = _words_of(paper.get_content())
    assert not said or (SERIAL in said and "R18-5.1.2" in said)
    (one,) = _notices(place, key)
    assert (one.to, one.document_id is not None, one.mail_id is not None) == (AGENT_MAIL, True, True)
    place.do(key, "assign")
    # It is no word to the customer: their clock of our answer does not stop, and they see nothing of it.
    assert "responded" not in place.kinds(key) and "progress" not in place.kinds(key)
    with place.acting():
        assert AGENT_MAIL not in outgoing.addresses_for(session().get_one(Record, key))


def test_what_the_agent_answers_is_not_the_customers(app: Any) -> None:
    place, _agent = _sold()
    with_mailbox(place.office)
    key = place.case()
    with mail_server(app):
        place.do(key, "agents:notify", MAILED)
        with current().app_context():
            outbox.deliver_pending(runner.deliver)
    with as_system() as work:
        sent = work.scalars(select(Mail).where(Mail.record_id == key)).one()
        box = work.scalars(select(Mailbox).where(Mailbox.unit_id == place.unit.id)).one()
        answer = letter(
            "收到，请贵方处理。", "回复：服务通知", f"李 <{AGENT_MAIL}>", In_Reply_To=f"<{sent.message_id}>"
        )
        into = intake.Box(box.id, place.unit.id, (box.address,))
    with current().app_context():
        assert intake.take(into, answer, clock.now()) == "reply"
    assert "customer_reply" not in place.kinds(key)
    with place.acting():
        assert AGENT_MAIL not in outgoing.addresses_for(session().get_one(Record, key))


@pytest.mark.parametrize(
    ("address", "to", "box"),
    [("", "", True), (AGENT_MAIL, "somebody@else.cn", True), (AGENT_MAIL, "", False)],
    ids=["none on file", "another address", "no mailbox"],
)
def test_what_cannot_be_mailed_is_said_beside_the_field(app: Any, address: str, to: str, box: bool) -> None:
    place, agent = _sold()
    if box:
        with_mailbox(place.office)
    key = place.case()
    with as_system() as work:
        work.get_one(Agent, agent).email = address
        # The customer's address is none of the agent's.
        work.get_one(Customer, work.get_one(Record, key).customer_id).email = "customer@customer.cn"
    with mail_server(app) as sink, pytest.raises(InvalidData) as wrong:
        place.do(key, "agents:notify", {**MAILED, "to": to})
    assert set(wrong.value.errors) == {"to"}
    assert _notices(place, key) == [] and sink.mails == []


def test_a_contact_on_file_may_be_written_to(app: Any) -> None:
    place, agent = _sold()
    with_mailbox(place.office)
    contact, _user = place.contact(agent, values.BUSINESS)
    with as_system() as work:
        work.get_one(Contact, contact).email = "wang@agent.cn"
    key = place.case()
    with mail_server(app):
        place.do(key, "agents:notify", {**MAILED, "to": "Wang@Agent.cn"})
    assert _notices(place, key)[0].to == "wang@agent.cn"


@pytest.mark.clause("R18-5.1.2")
def test_an_e_mail_that_did_not_arrive_told_nobody(app: Any) -> None:
    place, _agent = _sold()
    with_mailbox(place.office)
    key = place.case()
    with mail_server(app):
        place.do(key, "agents:notify", MAILED)
    with as_system() as work:
        work.scalars(select(Mail).where(Mail.record_id == key)).one().state = outgoing.FAILED
    assert "R18-5.1.2" in _clauses(place, key, "assign")
    place.do(key, "agents:notify", CALLED)
    place.do(key, "assign")


def test_an_e_mail_goes_out_now_whatever_time_is_typed(app: Any) -> None:
    place, _agent = _sold()
    with_mailbox(place.office)
    key = place.case()
    earlier = place.now
    place.later(hours=5)
    with mail_server(app), pytest.raises(InvalidData) as bad:
        place.do(key, "agents:notify", {**MAILED, "at": earlier.isoformat()})
    assert set(bad.value.errors) == {"at"}


# --- the paper -----------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_notice_prints_in_both_languages(app: Any, language: str) -> None:
    place, agent = _sold()
    key = place.case(description="平台升不起来")
    with place.acting(), transaction():
        paper = documents.issue(notices.FORM, key, language)
        said = _words_of(path_of_hash(paper.sha256).read_bytes())
    with place.acting(), speaking(language):
        data = prints_notice.notice_paper(session().get_one(Record, key))
    with as_system() as work:
        name = work.get_one(Agent, agent).name
    assert (data["agent"], data["serial"], data["fault"]) == (name, SERIAL, "平台升不起来")
    assert (data["clause"], data["fee_clause"], data["in_warranty"]) == ("R18-5.1.2", "R18-5.1.2b", True)
    if said:
        said = said.replace(" ", "")
        for text in (name, SERIAL, "平台升不起来", "R18-5.1.2", "R18-5.1.2b"):
            assert text in said
        assert ("拟安排的服务" if language == "zh" else "Plannedservice") in said


def test_no_notice_of_a_case_whose_agent_nobody_knows(app: Any) -> None:
    place = make_place()
    place.item()
    key = place.case()
    with place.acting(), pytest.raises(Refused), transaction():
        documents.issue(notices.FORM, key, "zh")

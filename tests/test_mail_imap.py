"""Against a real IMAP server (dovecot), and replies against a real SMTP one."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from aiosmtpd.controller import Controller
from flask import Flask
from sqlalchemy import select

from core.jobs.runner import run_once
from core.kernel import clock, jobs
from core.kernel.database import transaction
from core.kernel.errors import InvalidData, NotAllowed
from core.mail import fetching, intake, judge, mailboxes, outgoing, store
from core.records.models import Notice
from tests import imap_server
from tests.helpers import as_system, current, in_scope, make_user
from tests.imap_server import ImapServer
from tests.mails import CUSTOMER, MailOffice, letter, mailbox, make_mail_office

USER = "service"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImapServer]:
    if imap_server.dovecot() is None:
        pytest.skip(imap_server.MISSING)
    with imap_server.running(tmp_path_factory.mktemp("imap")) as found:
        yield found


@pytest.fixture
def post(sqlite_app: Flask, server: ImapServer, request: pytest.FixtureRequest) -> Iterator[MailOffice]:
    """An office whose mailbox lies on the server, under a name of its own."""
    with allowed(sqlite_app):
        user = request.node.name[:40]
        yield make_mail_office(server.port, "127.0.0.1", username=user)


class allowed:
    """Let the application reach this machine, and send through ``smtp``."""

    def __init__(self, app: Flask, smtp: str = "") -> None:
        self.app, self.smtp = app, smtp

    def __enter__(self) -> None:
        self.before = self.app.extensions["settings"]
        self.app.extensions["settings"] = replace(self.before, outgoing_allow=("127.0.0.1",), smtp=self.smtp)

    def __exit__(self, *_: object) -> None:
        self.app.extensions["settings"] = self.before


def check(post: MailOffice) -> fetching.Checked:
    with current().app_context():
        done = fetching.check(post.office.unit.id, post.mailbox_id)
    assert done is not None
    return done


def user_of(post: MailOffice) -> str:
    return mailbox(post.mailbox_id).username


def test_mails_are_fetched_once_and_stay_on_the_server(post: MailOffice, server: ImapServer) -> None:
    user = user_of(post)
    for number in range(3):
        server.deliver(user, letter(f"第{number}封", subject=f"报修{number}"))
    server.deliver(user, b"\x00\xff broken")
    done = check(post)
    assert (done.error, done.counts) == ("", {"case": 3, "quarantined": 1})
    assert [one.title for one in post.records()] == ["报修0", "报修1", "报修2"]
    assert check(post).counts == {}
    row = mailbox(post.mailbox_id)
    assert row.last_uid == 4 and row.uid_validity and row.checked_at and row.busy_until is None and row.version == 1
    assert len(server.files(user)) == 4 and all(name.endswith("S") for name in server.files(user))
    server.deliver(user, letter("又一封", subject="又一封"))
    # The server numbers its mails anew: those taken before make nothing more.
    server.renumber(user)
    assert check(post).counts == {"duplicate": 4, "case": 1}
    assert mailbox(post.mailbox_id).uid_validity != row.uid_validity
    assert check(post).counts == {}


def test_it_dies_between_mails_and_goes_on_where_it_was(post: MailOffice, server: ImapServer) -> None:
    user = user_of(post)
    for number in range(4):
        server.deliver(user, letter(f"第{number}封", subject=f"报修{number}"))
    real = intake.take
    taken: list[str] = []

    def take(*args: Any, **options: Any) -> str:
        if len(taken) == 2:
            raise KeyboardInterrupt  # as if the process were killed after the mail was fetched
        taken.append(real(*args, **options))
        return taken[-1]

    with mock.patch.object(fetching, "take", take), pytest.raises(KeyboardInterrupt):
        check(post)
    with current().app_context():  # whoever died holds it for a while; nobody else takes it meanwhile
        assert fetching.check(post.office.unit.id, post.mailbox_id) is None
    with clock.frozen(clock.now() + timedelta(minutes=6)):
        assert check(post).counts == {"case": 2}
    assert [one.title for one in post.records()] == ["报修0", "报修1", "报修2", "报修3"]
    # Died after the mail was taken but before that was noted: it comes again and makes nothing.
    server.deliver(user, letter("第五封", subject="报修5"))
    note = fetching._note
    silent = mock.patch.object(fetching, "_note", lambda *a, **k: "last_uid" in k or note(*a, **k))
    with silent, clock.frozen(clock.now() + timedelta(minutes=12)):
        assert check(post).counts == {"case": 1}
    with clock.frozen(clock.now() + timedelta(minutes=13)):
        assert check(post).counts == {"duplicate": 1}
    assert len(post.records()) == 5


def test_what_lay_there_before_and_what_is_too_large(post: MailOffice, server: ImapServer) -> None:
    user = user_of(post)
    server.deliver(user, letter("旧邮件", subject="旧"))
    with as_system() as work:
        row = work.merge(mailbox(post.mailbox_id))
        row.since = clock.now() + timedelta(hours=1)
    assert check(post).counts == {}
    with as_system() as work:
        row = work.merge(mailbox(post.mailbox_id))
        row.since = clock.now() - timedelta(days=1)
    server.deliver(user, letter("很大", subject="很大", files=(("a.bin", b"x" * 5000, "application/zip"),)))
    with mock.patch.object(judge, "MOST_BYTES", 4000):
        assert check(post).counts == {"quarantined": 1}
    last = post.last()
    assert (last.reason, last.subject, last.sender) == ("head_only", "很大", CUSTOMER)
    assert last.size < 2000


def test_one_mailbox_that_fails_says_why_and_the_others_go_on(post: MailOffice, server: ImapServer) -> None:
    unit = post.office.unit
    with post.office.at_desk(), transaction():
        usual = {
            "name": "坏邮箱",
            "address": "b@example.cn",
            "host": "127.0.0.1",
            "port": server.port,
            "security": "none",
            "username": "b",
            "password": "wrong",
            "folder": "INBOX",
            "since": None,
            "acknowledge": False,
            "active": True,
        }
        wrong = mailboxes.save_mailbox(unit.id, usual).id
        folder = mailboxes.save_mailbox(unit.id, {**usual, "password": "imap-secret", "folder": "没有"}).id
        dead = mailboxes.save_mailbox(unit.id, {**usual, "port": 1}).id
        tls = mailboxes.save_mailbox(unit.id, {**usual, "security": "ssl"}).id
        starttls = mailboxes.save_mailbox(unit.id, {**usual, "security": "starttls"}).id
    server.deliver(user_of(post), letter())
    with current().app_context():
        fetching.check_unit(unit.id)
    assert len(post.records()) == 1
    assert "refuses the user name or password" in mailbox(wrong).error
    assert "There is no folder" in mailbox(folder).error
    assert "cannot be reached" in mailbox(dead).error
    assert "No secure connection" in mailbox(tls).error
    assert mailbox(starttls).error
    assert mailbox(post.mailbox_id).error == ""
    with current().app_context():
        assert fetching.try_out(fetching.access_of(mailbox(post.mailbox_id))) == 1


def test_inner_hosts_are_out_of_reach(sqlite_app: Flask, server: ImapServer) -> None:
    post = make_mail_office(server.port, "127.0.0.1")
    assert "inner network" in check(post).error
    usual = {
        "name": "内网",
        "address": "b@example.cn",
        "port": 143,
        "security": "none",
        "username": "b",
        "password": "x",
        "folder": "INBOX",
        "since": None,
        "acknowledge": False,
        "active": True,
    }
    for host in ("127.0.0.1", "localhost", "10.0.0.1", "[::1]", "0x7f.1", "169.254.169.254"):
        with post.office.at_desk(), pytest.raises(InvalidData) as bad, transaction():
            mailboxes.save_mailbox(post.office.unit.id, {**usual, "host": host})
        assert "host" in bad.value.errors, host
    with in_scope(post.office.unit, {"mail.view"}), pytest.raises(NotAllowed), transaction():
        mailboxes.save_mailbox(post.office.unit.id, {**usual, "host": "imap.example.com"})


def test_a_kept_password_is_not_sent_to_another_server(post: MailOffice, server: ImapServer) -> None:
    row = mailbox(post.mailbox_id)
    values = {
        name: getattr(row, name)
        for name in ("name", "address", "host", "port", "security", "username", "folder", "acknowledge", "active")
    }
    values |= {"since": None, "password": None}
    with post.office.at_desk() as work, transaction():
        mailboxes.save_mailbox(row.unit_id, {**values, "name": "新名"}, work.merge(row))
    with post.office.at_desk() as work, pytest.raises(InvalidData) as bad, transaction():
        mailboxes.save_mailbox(row.unit_id, {**values, "port": 1143}, work.merge(mailbox(row.id)))
    assert "password" in bad.value.errors


# --- replies --------------------------------------------------------------------------------------


class Receiver:
    """Takes mails; ``answer`` is what it says to each."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], Any]] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.got.append((envelope.mail_from, envelope.rcpt_tos, message))
        return self.answer


@pytest.fixture
def smtp() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    control = Controller(receiver, hostname="127.0.0.1", port=imap_server.free_port())
    control.start()
    try:
        yield receiver, f"smtp://127.0.0.1:{control.port}"
    finally:
        control.stop()


def run_jobs(moment: datetime | None = None) -> None:
    with clock.frozen(moment or clock.now()):
        run_once(current(), tidy=False)


def test_a_conversation_goes_back_and_forth(app: Flask, smtp: tuple[Receiver, str]) -> None:
    receiver, address = smtp
    with allowed(app, address):
        post = make_mail_office(acknowledge=True)
        assert post.take(letter(Message_ID="<first@customer.cn>")) == "case"
        record = post.records()[0]
        run_jobs()
        ((sender, to, told),) = receiver.got
        assert (sender, to) == ("service@example.cn", [CUSTOMER])
        assert told["Auto-Submitted"] == "auto-replied" and record.number in told["Subject"]
        assert record.number in told.get_content() and told["In-Reply-To"] == "<first@customer.cn>"
        # An acknowledgement by machine is no response of ours.
        assert "responded" not in [one.kind for one in post.facts(record.id)]

        with post.office.at_desk():
            with pytest.raises(InvalidData):
                outgoing.reply(record.id, "x@evil.cn", "您好")
            with pytest.raises(InvalidData):
                outgoing.reply(record.id, CUSTOMER, " ")
            for _again in range(2):
                mail = outgoing.reply(record.id, CUSTOMER, "明天上门，方便吗？\n\n--\n客服", key="k1")
            assert mail.state == "pending"
        with in_scope(post.office.unit, {"case.view"}, make_user(post.office.unit)), pytest.raises(NotAllowed):
            outgoing.reply(record.id, CUSTOMER, "您好")
        assert post.facts(record.id)[-1].kind != "progress"  # told only once it has gone
        run_jobs()
        run_jobs()
        assert len(receiver.got) == 2
        sent = receiver.got[1][2]
        assert "first@customer.cn" in sent["References"] and sent["X-Shouhou"]
        assert sent["From"].addresses[0].addr_spec == "service@example.cn"
        kinds = [(one.kind, one.actor_id, one.visible_to_customer) for one in post.facts(record.id)][-2:]
        assert kinds == [("responded", post.office.desk.id, False), ("progress", post.office.desk.id, True)]
        assert post.facts(record.id)[-1].note.startswith("明天上门，方便吗？")

        # The customer answers from elsewhere, a program leaving all but the id out: it is ours, so it is theirs.
        back = letter("可以", subject="好", sender="na@home.cn", In_Reply_To=str(sent["Message-ID"]))
        assert post.take(back) == "reply"
        assert post.facts(record.id)[-1].data["unknown_sender"] is True
        # Our own mail in our own mailbox, and one that goes round.
        assert post.take(sent.as_bytes()) == intake.DUPLICATE
        sent.replace_header("Message-ID", "<changed@on.the.way>")
        assert post.take(sent.as_bytes()) == "ignored"
        with app.app_context(), mock.patch.object(outgoing.smtp.Post, "pass_on") as again:
            outgoing.send(jobs.Work("x", record.unit_id, {"mail": mail.id}))
            assert not again.called


def test_what_cannot_be_sent_is_shown_and_sent_again(sqlite_app: Flask, smtp: tuple[Receiver, str]) -> None:
    receiver, address = smtp
    with allowed(sqlite_app, address):
        post = make_mail_office()
        post.take(letter(Message_ID="<first@customer.cn>"))
        record = post.records()[0]
        receiver.answer = "550 no such user"
        with post.office.at_desk():
            mail = outgoing.reply(record.id, CUSTOMER, "您好").id
        run_jobs()
        assert (post.last().state, post.last().reason) == ("failed", "not_sent: 550 no such user")
        with as_system() as work:
            told = work.scalars(select(Notice).where(Notice.kind == "mail_failed")).one()
            assert told.user_id == post.office.desk.id
        receiver.answer = "250 OK"
        with post.office.at_desk(), transaction():
            outgoing.send_again(mail)
        # For a while the server does not want it: the job comes again by itself.
        receiver.answer = "451 later"
        run_jobs()
        assert post.last().state == "failed"
        receiver.answer = "250 OK"
        run_jobs(clock.now() + timedelta(minutes=10))
        assert post.last().state == "sent" and post.facts(record.id)[-1].kind == "progress"
        # It comes back undelivered all the same.
        bounce = (
            b"From: MAILER-DAEMON@mx.cn\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nsorry\r\n--b\r\n"
            b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <"
            + post.last().message_id.encode()
            + b">\r\n--b--\r\n"
        )
        assert post.take(bounce) == "ignored"
        row = next(one for one in post.mails() if one.id == mail)
        assert (row.state, row.reason) == ("failed", "returned")


def test_a_mail_kept_is_the_mail_sent(sqlite_app: Flask, smtp: tuple[Receiver, str]) -> None:
    import io

    receiver, address = smtp
    with allowed(sqlite_app, address):
        post = make_mail_office()
        trick = b"Subject: =?utf-8?B?YQpCY2M6IHhAZXZpbC5jbg==?="  # a line break and a header of its own
        post.take(letter(subject="x", Message_ID="<first@customer.cn>").replace(b"Subject: x", trick))
        record = post.records()[0]
        with post.office.at_desk():
            with pytest.raises(InvalidData):
                outgoing.reply(record.id, CUSTOMER, "附件", [("a.exe", io.BytesIO(b"MZ\x90\x00" * 50))])
            outgoing.reply(record.id, CUSTOMER, "附件", [("说明.txt", io.BytesIO("步骤一".encode()))])
        run_jobs()
        (_sender, to, sent) = receiver.got[0]
        assert to == [CUSTOMER] and sent["Bcc"] is None
        assert [part.get_filename() for part in sent.iter_attachments()] == ["说明.txt"]
        with current().app_context():
            kept = judge.judge(store.read(post.last().sha256))
        assert kept.said == "附件" and kept.files[0].content.decode() == "步骤一"
        assert datetime.now(UTC) - post.last().at < timedelta(minutes=5)

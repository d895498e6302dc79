"""A quote is mailed to the customer from the step that tells it, with the paper attached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from sqlalchemy import select

from core.customers.models import Customer
from core.jobs import runner
from core.kernel import outbox
from core.kernel.errors import InvalidData
from core.kernel.secrets import seal
from core.mail.models import Mail, Mailbox
from core.sdk import Record, clock
from plugins.warranty import values
from tests.helpers import as_system, current

from . import scene_quotes

CUSTOMER = "li.na@customer.cn"


class Sink:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append((envelope.rcpt_tos, envelope.content))
        return "250 OK"


@contextmanager
def mail_server(app: Any) -> Iterator[Sink]:
    sink = Sink()
    server = Controller(sink, hostname="127.0.0.1", port=scene_quotes.free_port())
    server.start()
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, smtp=f"smtp://127.0.0.1:{server.port}?from=box@example.cn")
    try:
        yield sink
    finally:
        app.extensions["settings"] = before
        server.stop()


def with_mailbox(desk: scene_quotes.Desk) -> None:
    with as_system() as work:
        work.add(
            Mailbox(
                unit_id=desk.unit.id,
                name="客服邮箱",
                address="service@example.cn",
                host="imap.example.cn",
                port=993,
                username="service",
                security="none",
                password=seal("secret"),
                folder="INBOX",
                acknowledge=False,
                since=clock.now(),
            )
        )


def write_down_address(key: int, address: str = CUSTOMER) -> None:
    with as_system() as work:
        record = work.get_one(Record, key)
        work.get_one(Customer, record.customer_id).email = address


def mails(key: int) -> list[Mail]:
    with as_system() as work:
        rows = list(work.scalars(select(Mail).where(Mail.record_id == key)))
        work.expunge_all()
        return rows


def test_the_quote_goes_out_as_a_pdf(app: Any) -> None:
    desk = scene_quotes.make_desk(app, *scene_quotes.R17)
    with_mailbox(desk)
    key = desk.quoted()
    write_down_address(key)
    with mail_server(app) as sink:
        desk.do(key, "warranty:send", {"by": "email"})
        with current().app_context():
            outbox.deliver_pending(runner.deliver)
    ((to, raw),) = sink.mails
    assert to == [CUSTOMER]
    mail = message_from_bytes(raw, policy=policy.default)
    (paper,) = mail.iter_attachments()
    assert paper.get_content_type() == "application/pdf"
    assert paper.get_content()[:4] == b"%PDF"
    words = mail.get_body(("plain",)).get_content()
    quote = desk.quote(key)
    assert quote.number in words and "1,730.00" in words
    assert (quote.state, quote.sent_by_means) == (values.SENT, "email")
    told = next(one for one in desk.facts(key) if one.kind == "quote_sent")
    assert CUSTOMER not in str(told.data) + told.note


@pytest.mark.parametrize(
    ("address", "to", "box"),
    [("", "", True), (CUSTOMER, "somebody@else.cn", True), (CUSTOMER, "", False)],
    ids=["none on file", "another address", "no mailbox"],
)
def test_what_cannot_be_mailed_is_said_and_nothing_is_told(app: Any, address: str, to: str, box: bool) -> None:
    desk = scene_quotes.make_desk(app, *scene_quotes.R17)
    if box:
        with_mailbox(desk)
    key = desk.quoted()
    write_down_address(key, address)
    with mail_server(app) as sink, pytest.raises(InvalidData) as wrong:
        desk.do(key, "warranty:send", {"by": "email", "to": to})
    assert set(wrong.value.errors) == {"to"}
    assert desk.quote(key).state == values.DRAFT
    assert sink.mails == [] and mails(key) == []

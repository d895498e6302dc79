"""Mails for tests: built as programs build them, and an office with a mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

from sqlalchemy import select

from core.kernel import clock
from core.kernel.database import system_scope
from core.kernel.secrets import seal
from core.mail import intake
from core.mail.models import Mail, Mailbox
from core.records.models import Fact, Record
from tests.casework import Office, make_office, reading
from tests.helpers import as_system, current

BOX = "service@example.cn"
AT = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
CUSTOMER = "li.na@customer.cn"


def letter(
    text: str = "空调不制冷，请尽快处理。",
    subject: str = "空调报修",
    sender: str = f"李娜 <{CUSTOMER}>",
    files: tuple[tuple[str, bytes, str], ...] = (),
    **headers: str,
) -> bytes:
    """Return a mail; ``headers`` with _ for -."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, BOX, subject
    message["Date"] = "Fri, 20 Nov 2026 10:30:00 +0800"
    if "Message_ID" not in headers:
        message["Message-ID"] = f"<{abs(hash((text, subject, sender)))}@customer.cn>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    for name, content, media in files:
        main, _slash, sub = media.partition("/")
        message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


@dataclass
class MailOffice:
    """An office and its mailbox. ``take(raw)`` takes a mail in as if it had just been fetched."""

    office: Office
    mailbox_id: int

    @property
    def box(self) -> intake.Box:
        return intake.Box(self.mailbox_id, self.office.unit.id, (BOX,))

    def take(self, raw: bytes, arrived: datetime | None = None) -> str:
        with current().app_context():
            return intake.take(self.box, raw, arrived or clock.now() - timedelta(minutes=1))

    def mails(self) -> list[Mail]:
        with reading() as work:
            found = select(Mail).where(Mail.unit_id == self.office.unit.id).order_by(Mail.id)
            rows = list(work.scalars(found))
            work.expunge_all()
            return rows

    def last(self) -> Mail:
        return self.mails()[-1]

    def records(self) -> list[Record]:
        with reading() as work:
            rows = list(
                work.scalars(select(Record).where(Record.unit_id == self.office.unit.id).order_by(Record.id))
            )
            work.expunge_all()
            return rows

    def facts(self, record_id: int) -> list[Fact]:
        with reading() as work:
            rows = list(work.scalars(select(Fact).where(Fact.record_id == record_id).order_by(Fact.seq)))
            work.expunge_all()
            return rows


def make_mail_office(port: int = 993, host: str = "imap.example.cn", **values: object) -> MailOffice:
    """Make an office with a mailbox (not signed in to unless ``port`` names a server)."""
    office = make_office()
    given = {
        "username": "service",
        "security": "none",
        "acknowledge": False,
        "since": clock.now() - timedelta(days=365),
        **values,
    }
    with as_system() as work:
        box = Mailbox(
            unit_id=office.unit.id,
            name="客服邮箱",
            address=BOX,
            host=host,
            port=port,
            password=seal("imap-secret"),
            folder="INBOX",
            **given,
        )
        work.add(box)
        work.flush()
        return MailOffice(office, box.id)


def mailbox(mailbox_id: int) -> Mailbox:
    """Return a mailbox as it stands."""
    with current().app_context(), system_scope("test", read_only=True) as work:
        row = work.scalars(select(Mailbox).where(Mailbox.id == mailbox_id)).one()
        work.expunge_all()
        return row

"""Tables of mailboxes and of every mail that came in or went out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Record
from core.users.models import User


class Mailbox(UnitScoped, Base):
    """An IMAP mailbox whose mails become cases and replies of its unit."""

    __tablename__ = "core_mailbox"
    __audited__ = True
    __audit_mask__ = frozenset({"password"})
    __audit_skip__ = frozenset({"version", "uid_validity", "last_uid", "busy_until", "checked_at", "error"})
    __audit_label__ = "name"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    # The address customers write to; replies go out under it.
    address: Mapped[str] = mapped_column(String(200))
    host: Mapped[str] = mapped_column(String(200))
    port: Mapped[int] = mapped_column(default=993)
    # ssl, starttls or none
    security: Mapped[str] = mapped_column(String(10), default="ssl")
    username: Mapped[str] = mapped_column(String(200))
    password: Mapped[str] = mapped_column(Text)  # sealed
    folder: Mapped[str] = mapped_column(String(100), default="INBOX")
    # Whether the sender of a new case is told its number.
    acknowledge: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    # What arrived earlier stays where it is and becomes nothing.
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    uid_validity: Mapped[int] = mapped_column(BigInteger, default=0)
    last_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    # Until when somebody is fetching from it; others leave it alone meanwhile.
    busy_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(String(500), default="")
    version: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Mail(UnitScoped, Base):
    """One mail: what became of it and why. The mail itself is kept by its hash, whatever happens to it."""

    __tablename__ = "core_mail"
    __table_args__ = (
        UniqueConstraint("mailbox_id", "message_id"),
        Index("ix_core_mail_unit", "unit_id", "id"),
        Index("ix_core_mail_record", "record_id", "id"),
        Index("ix_core_mail_message", "message_id"),
        Index("ix_core_mail_sender", "mailbox_id", "sender", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    mailbox_id: Mapped[int] = mapped_column(ForeignKey("core_mailbox.id"))
    # The Message-ID; of a mail without one a hash of its content.
    message_id: Mapped[str] = mapped_column(String(255))
    direction: Mapped[str] = mapped_column(String(3), default="in")
    references: Mapped[list[Any]] = mapped_column(Json, default=list)
    sender: Mapped[str] = mapped_column(String(320), default="")
    recipients: Mapped[list[Any]] = mapped_column(Json, default=list)
    subject: Mapped[str] = mapped_column(String(400), default="")
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    # in: case, reply, ignored, quarantined; out: pending, sent, failed
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str] = mapped_column(String(300), default="")
    sha256: Mapped[str] = mapped_column(String(64), default="")
    size: Mapped[int] = mapped_column(default=0)
    # Who wrote it, of those that go out; nobody: the system.
    author_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # To, or from, somebody who is not the customer: an agent, a supplier. Nothing of it counts as theirs.
    other_party: Mapped[bool] = mapped_column(default=False)

    mailbox: Mapped[Mailbox] = relationship()
    record: Mapped[Record | None] = relationship()
    author: Mapped[User | None] = relationship()

    def __str__(self) -> str:
        return self.subject or self.message_id

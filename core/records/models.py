"""Tables every record type shares."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.customers.models import Customer
from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.units.models import Unit
from core.users.models import User

# State categories. A record counts as open while its category is one of OPEN_CATEGORIES.
OPEN, PAUSED, SOLVED, CLOSED, CANCELLED = "open", "paused", "solved", "closed", "cancelled"
CATEGORIES = (OPEN, PAUSED, SOLVED, CLOSED, CANCELLED)
OPEN_CATEGORIES = (OPEN, PAUSED)


_OPEN = "category IN ('open', 'paused')"
_LAST = ("received_at", "id")  # the order of lists


def _partial(name: str, where: str, *columns: str) -> Index:
    """Return an index of the rows of which ``where`` is true; a query must say the same to use it."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Record(UnitScoped, Base):
    """The numbered head of anything staff handle. Details live in the type's own table."""

    __tablename__ = "core_record"
    __table_args__ = (
        UniqueConstraint("unit_id", "type", "number"),
        UniqueConstraint("id", "unit_id"),
        Index("ix_core_record_list", "unit_id", "category", "received_at", "id"),
        # Lists are of one type; of another, tools say, there may be a hundred times as many.
        Index("ix_core_record_type", "unit_id", "type", "category", "received_at", "id"),
        Index("ix_core_record_unit_received", "unit_id", "received_at", "id"),
        _partial("ix_core_record_open", _OPEN, "unit_id", "received_at", "id"),
        Index("ix_core_record_received", "received_at", "id"),
        _partial("ix_core_record_due", "next_due_at IS NOT NULL", "unit_id", "next_due_at", "id"),
        # Partial, as imported records have no assignee: the rows that count look as few to the planner as they are.
        _partial(
            "ix_core_record_assignee",
            "assignee_id IS NOT NULL",
            "assignee_id",
            "unit_id",
            "category",
            "received_at",
            "id",
        ),
        _partial("ix_core_record_chased", "chase_count > 0", "unit_id", "type", "category", *_LAST),
        _partial("ix_core_record_escalated", "escalated <> ''", "unit_id", "type", *_LAST),
        Index("ix_core_record_customer", "customer_id", "received_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True)
    type: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(60))
    category: Mapped[str] = mapped_column(String(10))
    stage_id: Mapped[int | None] = mapped_column(ForeignKey("core_stage.id"))
    # The state to go back to when a pause ends.
    resume_state: Mapped[str] = mapped_column(String(60), default="")
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("core_customer.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    owner_position: Mapped[str] = mapped_column(String(40), default="")
    priority: Mapped[int] = mapped_column(default=3)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    chase_count: Mapped[int] = mapped_column(default=0)
    escalated: Mapped[str] = mapped_column(String(20), default="")
    fact_seq: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=1)

    customer: Mapped[Customer | None] = relationship(foreign_keys=customer_id)
    assignee: Mapped[User | None] = relationship(foreign_keys=assignee_id)
    unit: Mapped[Unit] = relationship(foreign_keys="Record.unit_id")
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.number} {self.title}"

    @property
    def is_open(self) -> bool:
        return self.category in OPEN_CATEGORIES


class Fact(UnitScoped, Base):
    """What happened, when (``at``), entered when, by whom. Never edited; corrected by a later fact."""

    __tablename__ = "core_fact"
    __table_args__ = (
        UniqueConstraint("record_id", "seq"),
        Index("ix_core_fact_unit_kind_at", "unit_id", "kind", "at"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    seq: Mapped[int] = mapped_column()
    kind: Mapped[str] = mapped_column(String(60))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # Who may read it on the timeline: staff only, or the customer too.
    visible_to_customer: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    actor: Mapped[User | None] = relationship(foreign_keys=actor_id)


class RefusalLog(UnitScoped, Base):
    """A transition that was refused: kept as evidence, naming code and clause."""

    __tablename__ = "core_refusal"
    __table_args__ = (
        Index("ix_core_refusal_record", "record_id", "id"),
        Index("ix_core_refusal_clause", "unit_id", "clause", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    transition: Mapped[str] = mapped_column(String(60))
    code: Mapped[str] = mapped_column(String(60))
    clause: Mapped[str] = mapped_column(String(40), default="")
    text: Mapped[str] = mapped_column(String(400))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))


class Link(UnitScoped, Base):
    """A link from one record to another, named by its role."""

    __tablename__ = "core_link"
    __table_args__ = (
        UniqueConstraint("from_id", "to_id", "role"),
        Index("ix_core_link_to", "to_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    from_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    to_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    role: Mapped[str] = mapped_column(String(40))


class Attachment(UnitScoped, Base):
    """A file of a record, stored by content hash. Never served inline unless its type is safe."""

    __tablename__ = "core_attachment"
    __table_args__ = (Index("ix_core_attachment_record", "record_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(80))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    kind: Mapped[str] = mapped_column(String(20), default="file")
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    actor: Mapped[User | None] = relationship(foreign_keys=actor_id)


class Watcher(UnitScoped, Base):
    """A user who follows a record."""

    __tablename__ = "core_watcher"

    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), primary_key=True, index=True)


class Reminder(UnitScoped, Base):
    """A next action somebody set for themselves or another on a record."""

    __tablename__ = "core_reminder"
    __table_args__ = (Index("ix_core_reminder_user", "user_id", "done_at", "due_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    text: Mapped[str] = mapped_column(String(200))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record] = relationship()


class Notice(UnitScoped, Base):
    """An entry of a user's inbox: assigned, chased, mentioned, watched."""

    __tablename__ = "core_notice"
    __table_args__ = (
        Index("ix_core_notice_user", "user_id", "read_at", "id"),
        _partial("ix_core_notice_untold", "told_at IS NULL", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    kind: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(300), default="")
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When the room of notices took it up for e-mail, robots and digests.
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    record: Mapped[Record | None] = relationship()


class Idempotency(UnitScoped, Base):
    """The first answer to a request key; a retry gets it again and creates nothing."""

    __tablename__ = "core_idempotency"
    __table_args__ = (Index("ix_core_idempotency_at", "at"),)

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    actor_id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(80), primary_key=True)
    action: Mapped[str] = mapped_column(String(80))
    fingerprint: Mapped[str] = mapped_column(String(64))
    answer: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    at: Mapped[datetime] = mapped_column(UtcDateTime)

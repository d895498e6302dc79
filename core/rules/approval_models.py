"""Tables of approvals: what is asked of a position, every step taken with it, and who stands in for whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Date, ForeignKey, Index, Numeric, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Record
from core.users.models import User

WAITING, RETURNED, AGREED, REJECTED, WITHDRAWN = "waiting", "returned", "agreed", "rejected", "withdrawn"
STATES = (WAITING, RETURNED, AGREED, REJECTED, WITHDRAWN)
STATE_WORDS: Mapping[str, Any] = {
    WAITING: _l("Waiting for approval"),
    RETURNED: _l("Sent back for more"),
    AGREED: _l("Agreed"),
    REJECTED: _l("Rejected"),
    WITHDRAWN: _l("Withdrawn"),
}
_OPEN = "state IN ('waiting', 'returned')"


class Approval(UnitScoped, Base):
    """Something one person wants and a position decides, because a clause says so.

    ``subject`` names what it is about as ``kind:key`` (``setting:12``, ``penalty:5``, ``case.dispatch:88``): who
    asked for it registers a function that is called with the decision. ``position`` is who decides; ``user_id``
    narrows it to one person (passed on). ``data`` is what the inbox shows without opening the record.
    """

    __tablename__ = "core_approval"
    __audited__ = True
    __audit_skip__ = frozenset({"version", "reminded_at"})
    __audit_label__ = "title"
    __audit_words__ = MappingProxyType(
        {
            "": _l("Approval"),
            "clause": _l("Clause"),
            "subject": _l("What it is about"),
            "record_id": _l("Record"),
            "title": _l("What is asked"),
            "reason": _l("Reason"),
            "amount": _l("Amount (yuan)"),
            "position": _l("Decided by"),
            "user_id": _l("Passed on to"),
            "state": (_l("State"), STATE_WORDS),
            "data": _l("Further data"),
            "asked_by": _l("Asked by"),
            "asked_at": _l("Asked at"),
            "due_at": _l("Due at"),
            "decided_by": _l("Decided"),
            "decided_at": _l("Decided at"),
            "decided_for": _l("In whose place"),
        }
    )
    __table_args__ = (
        Index("ix_core_approval_inbox", "unit_id", "state", "position", "asked_at", "id"),
        Index("ix_core_approval_subject", "unit_id", "subject", "id"),
        # The same open subject is not asked twice, also not by two people at once.
        Index(
            "ux_core_approval_open",
            "unit_id",
            "subject",
            unique=True,
            sqlite_where=text(_OPEN),
            postgresql_where=text(_OPEN),
        ),
        Index("ix_core_approval_state", "state", "asked_at", "id"),
        Index("ix_core_approval_record", "record_id", "id"),
        Index("ix_core_approval_asker", "asked_by", "asked_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    clause: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(80))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    title: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text, default="")
    amount: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    position: Mapped[str] = mapped_column(String(40))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    state: Mapped[str] = mapped_column(String(10), default=WAITING)
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reminded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Whom the decider stood in for, where there was a delegation.
    decided_for: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    record: Mapped[Record | None] = relationship()
    asker: Mapped[User | None] = relationship(foreign_keys=asked_by)
    decider: Mapped[User | None] = relationship(foreign_keys=decided_by)
    __mapper_args__ = {"version_id_col": version}


class ApprovalStep(UnitScoped, Base):
    """One step taken with an approval: asked, sent back, asked again, passed on, agreed, rejected, withdrawn."""

    __tablename__ = "core_approval_step"
    __table_args__ = (Index("ix_core_approval_step", "approval_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    approval_id: Mapped[int] = mapped_column(ForeignKey("core_approval.id"))
    name: Mapped[str] = mapped_column(String(20))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    to_position: Mapped[str] = mapped_column(String(40), default="")
    to_user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    reason: Mapped[str] = mapped_column(Text, default="")

    actor: Mapped[User | None] = relationship(foreign_keys=actor_id)
    to_user: Mapped[User | None] = relationship(foreign_keys=to_user_id)


class Delegation(UnitScoped, Base):
    """From one day to another somebody decides in a colleague's place, in one unit."""

    __tablename__ = "core_delegation"
    __audited__ = True
    __audit_words__ = MappingProxyType(
        {
            "": _l("Standing in"),
            "from_user_id": _l("Away"),
            "to_user_id": _l("Stands in"),
            "position": _l("In which position"),
            "first_day": _l("First day"),
            "last_day": _l("Last day"),
            "reason": _l("Reason"),
            "ended_at": _l("Ended at"),
            "created_at": _l("Entered at"),
        }
    )
    __table_args__ = (Index("ix_core_delegation_to", "to_user_id", "last_day"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    from_user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    to_user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    # '' stands for every position of the one who delegates.
    position: Mapped[str] = mapped_column(String(40), default="")
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    reason: Mapped[str] = mapped_column(String(200), default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    from_user: Mapped[User] = relationship(foreign_keys=from_user_id)
    to_user: Mapped[User] = relationship(foreign_keys=to_user_id)

"""Tables of who wants to be told what, of robots, and of what was sent to whom."""

from __future__ import annotations

from datetime import datetime, time
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Notice
from core.users.models import User

PENDING, SENT, FAILED, VOID = "pending", "sent", "failed", "void"


class NoticePreference(Base):
    """How one kind of notice reaches a person, or by default the holders of a position (``user_id`` NULL)."""

    __tablename__ = "core_notice_preference"
    __global__ = "a person's or a position's own, whatever the unit"
    __table_args__ = (UniqueConstraint("user_id", "position", "kind", "channel"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    position: Mapped[str] = mapped_column(String(40), default="")
    kind: Mapped[str] = mapped_column(String(40))
    channel: Mapped[str] = mapped_column(String(20))
    # now, always (in quiet hours too), digest or off
    mode: Mapped[str] = mapped_column(String(10))


class NoticeHabits(Base):
    """A person's quiet hours (in their unit's time zone; across midnight too) and the hour of their digest."""

    __tablename__ = "core_notice_habits"
    __global__ = "a person's own, whatever the unit"

    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"), primary_key=True)
    quiet_from: Mapped[time | None] = mapped_column()
    quiet_to: Mapped[time | None] = mapped_column()
    digest_at: Mapped[time] = mapped_column(default=time(8, 0))


class Robot(UnitScoped, Base):
    """A group robot (WeCom, DingTalk ...) or address of a unit that notices of some kinds are told to."""

    __tablename__ = "core_robot"
    __audited__ = True
    __audit_mask__ = frozenset({"address"})
    __audit_skip__ = frozenset({"version", "next_at"})
    __audit_label__ = "name"
    __audit_words__ = MappingProxyType({"kinds": _l("Told of")})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    # wecom, dingtalk, feishu or webhook
    kind: Mapped[str] = mapped_column(String(20))
    # Sealed (core.kernel.secrets): whoever knows it can write into the group.
    address: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[Any]] = mapped_column(Json, default=list)
    locale: Mapped[str] = mapped_column(String(10), default="zh")
    active: Mapped[bool] = mapped_column(default=True)
    # Groups take so many messages a minute and no more: before this moment nobody sends another.
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Delivery(UnitScoped, Base):
    """One message on its way, or sent: to whom, by which channel, what it said. Unique by ``key``."""

    __tablename__ = "core_delivery"
    __table_args__ = (
        Index("ix_core_delivery_unit", "unit_id", "id"),
        Index("ix_core_delivery_user", "user_id", "id"),
        Index("ix_core_delivery_created", "unit_id", "created_at"),
        Index(
            "ix_core_delivery_due",
            "next_try_at",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("core_notice.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    robot_id: Mapped[int | None] = mapped_column(ForeignKey("core_robot.id"))
    kind: Mapped[str] = mapped_column(String(40))
    # email, digest or robot
    channel: Mapped[str] = mapped_column(String(20))
    # Masked: the log needs to say where to, not to be an address book.
    address: Mapped[str] = mapped_column(String(200), default="")
    subject: Mapped[str] = mapped_column(String(300), default="")
    body: Mapped[str] = mapped_column(Text, default="")
    # pending, sent, failed (given up) or void (not needed any more)
    state: Mapped[str] = mapped_column(String(10), default="pending")
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User | None] = relationship()
    robot: Mapped[Robot | None] = relationship()
    notice: Mapped[Notice | None] = relationship(Notice)

    def __str__(self) -> str:
        return self.subject or self.kind

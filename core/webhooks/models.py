"""Tables of webhooks and of every delivery to them."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime


class Webhook(UnitScoped, Base):
    """An address that is told of a unit's events of some topics (``record.*``, ``record.registered``)."""

    __tablename__ = "core_webhook"
    __audited__ = True
    __audit_mask__ = frozenset({"secret"})
    __audit_label__ = "name"
    __audit_skip__ = frozenset({"version", "failures"})
    __audit_words__ = MappingProxyType(
        {
            "": _l("Webhook"),
            "url": _l("Address"),
            "secret": _l("Secret"),
            "topics": _l("Told of"),
            "failures": _l("Given up in a row"),
            "created_by": _l("Added by"),
        }
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    url: Mapped[str] = mapped_column(String(500))
    # Sealed (core.kernel.secrets); signs every delivery.
    secret: Mapped[str] = mapped_column(Text)
    topics: Mapped[list[Any]] = mapped_column(Json, default=list)
    active: Mapped[bool] = mapped_column(default=True)
    # Deliveries given up in a row; many switch it off.
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(UnitScoped, Base):
    """One event for one webhook, once however often the event comes; the log that can be sent again."""

    __tablename__ = "core_webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_key"),
        Index("ix_core_webhook_delivery_unit", "unit_id", "id"),
        Index(
            "ix_core_webhook_delivery_due",
            "next_try_at",
            "id",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("core_webhook.id"))
    event_key: Mapped[str] = mapped_column(String(120))
    topic: Mapped[str] = mapped_column(String(60))
    payload: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    # pending, sent or failed (given up)
    state: Mapped[str] = mapped_column(String(10), default="pending")
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime)
    status: Mapped[int | None] = mapped_column()
    answer: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    webhook: Mapped[Webhook] = relationship()

    def __str__(self) -> str:
        return str(self.payload.get("id", self.topic))

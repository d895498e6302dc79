"""Tables of clause settings: versions by effective date, who has read them, the profile a unit started with."""

from __future__ import annotations

from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Date, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.users.models import User

# Life of a version: it counts only ``in_force`` and from its first day on.
WAITING, IN_FORCE, REFUSED, WITHDRAWN = "waiting", "in_force", "refused", "withdrawn"
# What becomes of obligations that are open when a version begins.
KEEP, APPLY = "keep", "apply"
OPEN_RECORDS = {KEEP: _l("Keep their terms"), APPLY: _l("Take over the new terms")}
STATE_WORDS = {
    WAITING: _l("waits for agreement"),
    IN_FORCE: _l("in force"),
    REFUSED: _l("not agreed to"),
    WITHDRAWN: _l("withdrawn"),
}


class ClauseSetting(UnitScoped, Base):
    """One version of what a unit sets for a clause, from ``starts_on`` (a day of the unit's zone) on.

    ``holds`` switches the clause on or off, None inherits; ``values`` holds only the parameters set here (JSON as
    ``plain`` writes it), all others are inherited. A version holds until the next one begins. Never rewritten.
    """

    __tablename__ = "core_clause_setting"
    __audited__ = True
    __audit_label__ = "clause"
    __audit_skip__ = frozenset({"told_at", "released_at"})
    __audit_words__ = MappingProxyType(
        {
            "": _l("Clause setting"),
            "clause": _l("Clause"),
            "starts_on": _l("In force from"),
            "holds": _l("On or off"),
            "values": _l("Values"),
            "schema": _l("Shape of the values"),
            "reason": _l("Reason"),
            "open_records": (_l("Records that are open then"), OPEN_RECORDS),
            "state": (_l("State"), STATE_WORDS),
            "approval_id": _l("Approval"),
            "created_at": _l("Entered at"),
            "created_by": _l("Set by"),
        }
    )
    __table_args__ = (Index("ix_core_clause_setting_clause", "unit_id", "clause", "starts_on"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    clause: Mapped[str] = mapped_column(String(40))
    starts_on: Mapped[date] = mapped_column(Date)
    holds: Mapped[bool | None] = mapped_column()
    values: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    # The number of the parameters' shape when it was written; an upgrade function reads older ones.
    schema: Mapped[int] = mapped_column(default=1)
    reason: Mapped[str] = mapped_column(Text, default="")
    open_records: Mapped[str] = mapped_column(String(10), default=KEEP)
    state: Mapped[str] = mapped_column(String(10), default=IN_FORCE)
    approval_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # When the people affected were told, and when open records took over the terms (see ``releases.py``).
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    author: Mapped[User | None] = relationship(foreign_keys=created_by)


class ClauseReceipt(UnitScoped, Base):
    """Somebody has read a version of a clause setting."""

    __tablename__ = "core_clause_receipt"
    __table_args__ = (UniqueConstraint("setting_id", "user_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    setting_id: Mapped[int] = mapped_column(ForeignKey("core_clause_setting.id"))
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    read_at: Mapped[datetime] = mapped_column(UtcDateTime)

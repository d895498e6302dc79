"""Tables of obligations: what a clause asks of a record, derived from its facts, and breaches once announced."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Fact, Record
from core.users.models import User

# ``open`` with a limit in the past is overdue: that is worked out, never stored.
OPEN, PAUSED, MET, LATE, VOID, EXCUSED = "open", "paused", "met", "late", "void", "excused"
STATES = (OPEN, PAUSED, MET, LATE, VOID, EXCUSED)
PENDING = (OPEN, PAUSED)

_PENDING = "state IN ('open', 'paused')"
_RUNNING = "state = 'open'"
_LATE = "state IN ('open', 'late')"


class Obligation(UnitScoped, Base):
    """One thing a clause asks of one record, from one fact on; its key is (record, clause, root fact).

    ``start_at`` is the time of the root fact, ``month`` its month in the unit's zone (``2026-11``). ``due_at`` is
    the last second in time (C0-T8), None while paused. ``ended_at`` is when it was met, or ended without (late,
    void). ``late_seconds`` counts by the clause's own clock, ``late_days`` by C0-T12. ``terms`` is what it froze:
    parameter values, setting versions, rule version, term, calendar version (see ``terms.py``).
    """

    __tablename__ = "core_obligation"
    __table_args__ = (
        UniqueConstraint("record_id", "clause", "root_fact_id"),
        # The compliance page reads only this index.
        Index("ix_core_obligation_figures", "unit_id", "month", "clause", "state", "responsible_id", "due_at"),
        Index("ix_core_obligation_clause", "unit_id", "clause", "start_at", "id"),
        Index("ix_core_obligation_start", "unit_id", "start_at", "id"),
        Index(
            "ix_core_obligation_due",
            "due_at",
            "id",
            sqlite_where=text(_RUNNING),
            postgresql_where=text(_RUNNING),
        ),
        Index(
            "ix_core_obligation_warn",
            "warn_at",
            sqlite_where=text(_RUNNING + " AND warned_at IS NULL"),
            postgresql_where=text(_RUNNING + " AND warned_at IS NULL"),
        ),
        # What was or is late in a span of days, for the day and week report.
        Index(
            "ix_core_obligation_late",
            "unit_id",
            "due_at",
            sqlite_where=text(_LATE),
            postgresql_where=text(_LATE),
        ),
        Index(
            "ix_core_obligation_pending",
            "unit_id",
            "responsible_id",
            "due_at",
            sqlite_where=text(_PENDING),
            postgresql_where=text(_PENDING),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    clause: Mapped[str] = mapped_column(String(40))
    root_fact_id: Mapped[int] = mapped_column(ForeignKey("core_fact.id"))
    state: Mapped[str] = mapped_column(String(10))
    month: Mapped[str] = mapped_column(String(7))
    start_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # C0-T10: what to aim at before the limit.
    target_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    end_fact_id: Mapped[int | None] = mapped_column(ForeignKey("core_fact.id"))
    excuse_fact_id: Mapped[int | None] = mapped_column(ForeignKey("core_fact.id"))
    late_seconds: Mapped[int] = mapped_column(default=0)
    late_days: Mapped[int] = mapped_column(default=0)
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    position: Mapped[str] = mapped_column(String(40), default="")
    # The limit rests on a year whose official table is not published yet.
    provisional: Mapped[bool] = mapped_column(default=False)
    terms: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)

    record: Mapped[Record] = relationship()
    responsible: Mapped[User | None] = relationship(foreign_keys=responsible_id)
    excuse: Mapped[Fact | None] = relationship(foreign_keys=excuse_fact_id)


class Breach(UnitScoped, Base):
    """A breach that was announced. A fact entered later may withdraw it; the row stays."""

    __tablename__ = "core_breach"
    __table_args__ = (
        UniqueConstraint("record_id", "clause", "root_fact_id"),
        Index("ix_core_breach_unit", "unit_id", "clause", "announced_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    clause: Mapped[str] = mapped_column(String(40))
    root_fact_id: Mapped[int] = mapped_column(ForeignKey("core_fact.id"))
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    responsible_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    announced_at: Mapped[datetime] = mapped_column(UtcDateTime)
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    withdrawn_fact_id: Mapped[int | None] = mapped_column(ForeignKey("core_fact.id"))

    record: Mapped[Record] = relationship()
    responsible: Mapped[User | None] = relationship(foreign_keys=responsible_id)

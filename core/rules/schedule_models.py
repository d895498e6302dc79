"""Table of recurring work: what was created for which subject and period, once however often the job runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.kernel.database import Base, UnitScoped, UtcDateTime


class ScheduleRun(UnitScoped, Base):
    """The record made for one clause, subject (``unit``, ``customer:5``) and period (its first day)."""

    __tablename__ = "core_schedule_run"
    # The newest periods of a clause are found without reading the years before.
    __table_args__ = (Index("ix_core_schedule_run_period", "unit_id", "clause", "period", "subject"),)

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    clause: Mapped[str] = mapped_column(String(40), primary_key=True)
    subject: Mapped[str] = mapped_column(String(60), primary_key=True)
    period: Mapped[str] = mapped_column(String(20), primary_key=True)
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

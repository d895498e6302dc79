"""The table of reports that are sent by e-mail regularly."""

from __future__ import annotations

from datetime import datetime, time
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime


class ReportSchedule(UnitScoped, Base):
    """A report sent to colleagues every day, week or month, made with the rights of each of them."""

    __tablename__ = "core_report_schedule"
    __audited__ = True
    __audit_skip__ = frozenset({"version", "next_run_at", "last_run_at", "outcome"})
    __audit_words__ = MappingProxyType(
        {
            "": _l("Scheduled report"),
            "report": _l("Report"),
            "filters": _l("Filter"),
            "file_type": _l("File"),
            "cadence": _l("How often"),
            "place": _l("On which day"),
            "at": _l("At"),
            "recipients": _l("Recipients"),
            "next_run_at": _l("Next time"),
            "last_run_at": _l("Last time"),
            "outcome": _l("What came of it"),
            "created_by": _l("Added by"),
        }
    )
    __table_args__ = (Index("ix_core_report_schedule_due", "active", "next_run_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    report: Mapped[str] = mapped_column(String(60))
    filters: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    below: Mapped[bool] = mapped_column(default=False)
    # xlsx or pdf
    file_type: Mapped[str] = mapped_column(String(10), default="xlsx")
    # day, week (weekday 1-7) or month (day 1-28)
    cadence: Mapped[str] = mapped_column(String(10))
    place: Mapped[int] = mapped_column(default=1)
    at: Mapped[time] = mapped_column(default=time(8, 0))
    recipients: Mapped[list[Any]] = mapped_column(Json, default=list)
    active: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    next_run_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What came of the last time: {"sent": user ids, "left_out": {user id: why}, "error": text}.
    outcome: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    __mapper_args__ = {"version_id_col": version}

"""Tables of the rules room: calendars of units, the official table, and the calendars that deadlines froze."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime

from .calendar import ALL


class CalendarDay(Base):
    """One day of the official table: ``off`` (a holiday) or ``work`` (a make-up working day)."""

    __tablename__ = "core_calendar_day"
    __global__ = "official holidays hold for the whole country"
    __audited__ = True
    __audit_label__ = "name"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(String(4))
    name: Mapped[str] = mapped_column(String(60), default="")
    name_en: Mapped[str] = mapped_column(String(80), default="")


class CalendarYear(Base):
    """A year of the official table. ``final`` once the notice is out; ``digest`` changes with the days."""

    __tablename__ = "core_calendar_year"
    __global__ = "official holidays hold for the whole country"
    __audited__ = True
    __audit_skip__ = frozenset({"digest", "changed_at", "changed_by", "applied_at"})
    __audit_label__ = "year"

    year: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    final: Mapped[bool] = mapped_column(default=False)
    digest: Mapped[str] = mapped_column(String(32), default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # When open deadlines that rested on the provisional year were worked out anew.
    applied_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Calendar(UnitScoped, Base):
    """Working hours of a unit; units below use them as long as they have none of their own.

    ``weekly`` holds Monday to Sunday as lists of [from, to] in seconds after midnight, ``makeup`` the hours of an
    official make-up day; ``official`` is none, holidays or all.
    """

    __tablename__ = "core_calendar"
    __audited__ = True
    __audit_skip__ = frozenset({"version", "changed_at"})
    __audit_label__ = "name"
    __table_args__ = (UniqueConstraint("unit_id", "code"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(60))
    name_en: Mapped[str] = mapped_column(String(80), default="")
    weekly: Mapped[list[Any]] = mapped_column(Json, default=lambda: [[] for _ in range(7)])
    makeup: Mapped[list[Any]] = mapped_column(Json, default=list)
    official: Mapped[str] = mapped_column(String(10), default=ALL)
    usual: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class CalendarOverride(UnitScoped, Base):
    """Own hours of a calendar on some days (none: closed); they go before the official table."""

    __tablename__ = "core_calendar_override"
    __audited__ = True
    __audit_label__ = "reason"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("core_calendar.id"), index=True)
    first_day: Mapped[date] = mapped_column(Date)
    last_day: Mapped[date] = mapped_column(Date)
    hours: Mapped[list[Any]] = mapped_column(Json, default=list)
    reason: Mapped[str] = mapped_column(String(100))


class CalendarSnapshot(Base):
    """A calendar as some deadline froze it; the key is the hash of the content, so it never changes."""

    __tablename__ = "core_calendar_snapshot"
    __global__ = "addressed by content; holds hours and days of nobody in particular"

    version: Mapped[str] = mapped_column(String(32), primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

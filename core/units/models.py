"""Tables of the organisation tree."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, Numeric, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime


class Unit(Base):
    """A node of the organisation tree (机构). ``path`` holds the ids from the root, as ``/1/4/``."""

    __tablename__ = "core_unit"
    __global__ = "the tree itself; lists show only units inside the scope"
    __audited__ = True
    __audit_label__ = "code"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(20), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    name_en: Mapped[str] = mapped_column(String(100), default="")
    kind: Mapped[str] = mapped_column(String(20), default="company")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"), index=True)
    path: Mapped[str] = mapped_column(String(400), default="", index=True)
    timezone: Mapped[str] = mapped_column(String(40), default="Asia/Shanghai")
    locale: Mapped[str] = mapped_column(String(10), default="zh")
    phone: Mapped[str] = mapped_column(String(40), default="")
    region_code: Mapped[str] = mapped_column(String(6), default="")
    address: Mapped[str] = mapped_column(String(200), default="")
    latitude: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    longitude: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class UnitParent(Base):
    """Who was whose parent from which day on (the tree is dated, so old settings resolve as then)."""

    __tablename__ = "core_unit_parent"
    __global__ = "the tree's own history"
    __table_args__ = (UniqueConstraint("unit_id", "valid_from"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("core_unit.id"))
    valid_from: Mapped[date] = mapped_column()


class UnitPlugin(Base):
    """The switch of one plugin in one unit. Read with the unit in every request, never cached."""

    __tablename__ = "core_unit_plugin"
    __global__ = "switches are read before the scope is known; changed by administrators only"
    __audited__ = True
    __audit_label__ = "plugin"

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    plugin: Mapped[str] = mapped_column(String(40), primary_key=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # When it was switched on for the first time: switching it off for a while changes nothing of that.
    first_on_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Setting(UnitScoped, Base):
    """One setting of a unit: strict, declared by its room with a default (see ``settings.py``)."""

    __tablename__ = "core_setting"
    __audited__ = True
    __table_args__ = (UniqueConstraint("unit_id", "room", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    room: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(60))
    value: Mapped[Any] = mapped_column(Json)


class Stage(UnitScoped, Base):
    """A unit's own label inside a state, with a flag that pauses the clock. Nothing more."""

    __tablename__ = "core_stage"
    __audited__ = True
    __table_args__ = (
        UniqueConstraint("unit_id", "record_type", "state", "label"),
        Index("ix_core_stage_lookup", "unit_id", "record_type", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_type: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(60))
    label: Mapped[str] = mapped_column(String(40))
    pauses_clock: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)

"""The tree of places. A place belongs to one unit; plugins add what they know of it in side tables."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, UnitScoped

SITE, BUILDING, FLOOR, AREA, ROOM, SHELF, BIN = "site", "building", "floor", "area", "room", "shelf", "bin"
KINDS = (
    (SITE, _l("Site")),
    (BUILDING, _l("Building")),
    (FLOOR, _l("Floor")),
    (AREA, _l("Hall or area")),
    (ROOM, _l("Room")),
    (SHELF, _l("Shelf or display")),
    (BIN, _l("Bin position")),
)
DEEPEST = 8


class Place(UnitScoped, Base):
    """A building, floor, room, hall, shelf or bin. ``code`` is what stands on its label, unique in the unit.

    ``path`` holds the ids from the root down to itself (``/12/45/``), so one condition finds it and
    all below. A place that is no longer used is closed (``active`` false), never deleted.
    """

    __tablename__ = "core_place"
    __audited__ = True
    __audit_skip__ = frozenset({"version", "path", "depth"})
    __audit_label__ = "code"
    __audit_words__ = {
        "": _l("Place or room"),
        "code": _l("Place code"),
        "name": _l("Name"),
        "kind": (_l("Kind"), KINDS),
        "parent_id": _l("Lies in"),
        "active": _l("In use"),
        "note": _l("Note"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "code"),
        Index("ix_core_place_path", "unit_id", "path"),
        Index("ix_core_place_parent", "parent_id", "sort", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    kind: Mapped[str] = mapped_column(String(12))
    code: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(80))
    name_en: Mapped[str] = mapped_column(String(80), default="")
    path: Mapped[str] = mapped_column(String(200), default="")
    depth: Mapped[int] = mapped_column(default=0)
    sort: Mapped[int] = mapped_column(default=100)
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    parent: Mapped[Place | None] = relationship(lambda: Place, remote_side=lambda: Place.id, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.code} {self.name}" if self.name != self.code else self.code

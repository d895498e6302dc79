"""Tables of checklists and inspections. An inspection's head is a ``Record`` of type ``inspection``."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import Date, ForeignKey, ForeignKeyConstraint, Index, Numeric, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.places.models import Place
from core.records.models import Record

# What an item asks for.
CHECK, NUMBER, CHOICE, TEXT, PHOTO, SIGNATURE = "check", "number", "choice", "text", "photo", "signature"
ITEM_KINDS = (
    (CHECK, _l("Pass, fail or not applicable")),
    (NUMBER, _l("Number with bounds")),
    (CHOICE, _l("One of several answers")),
    (TEXT, _l("Text")),
    (PHOTO, _l("Photo")),
    (SIGNATURE, _l("Signature")),
)
PASS, FAIL, NOT_APPLICABLE = "pass", "fail", "na"
VERDICTS = ((PASS, _l("Pass")), (FAIL, _l("Fail")), (NOT_APPLICABLE, _l("Not applicable")))
# How serious a failed item is.
MINOR, FUNCTION, SAFETY = "minor", "function", "safety"
SEVERITIES = ((MINOR, _l("Small defect")), (FUNCTION, _l("Does not work")), (SAFETY, _l("Danger")))

DRAFT, PUBLISHED = "draft", "published"
VERSION_STATES = ((DRAFT, _l("Draft")), (PUBLISHED, _l("Published")))


def _only(condition: str) -> dict[str, Any]:
    """Options of an index over the rows of a condition, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


class Checklist(UnitScoped, Base):
    """A checklist (检查表) of a unit. ``use`` is what it is for: the code of an ``InspectionUse``, '' for anything.

    ``clause`` is the clause it carries out, '' for none.
    """

    __tablename__ = "core_checklist"
    __audited__ = True
    __audit_label__ = "title"
    __audit_words__ = {
        "": _l("Inspection checklist"),
        "code": _l("Code"),
        "title": _l("Name"),
        "title_en": _l("The same in English"),
        "use": _l("What it is for"),
        "clause": _l("Clause"),
        "active": _l("In use"),
    }
    __table_args__ = (UniqueConstraint("unit_id", "code"), Index("ix_core_checklist_use", "unit_id", "use", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(40))
    title: Mapped[str] = mapped_column(String(120))
    title_en: Mapped[str] = mapped_column(String(120), default="")
    use: Mapped[str] = mapped_column(String(40), default="")
    clause: Mapped[str] = mapped_column(String(40), default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.title


class ChecklistVersion(UnitScoped, Base):
    """A version of a checklist; once published its items never change. ``items``: see items.py."""

    __tablename__ = "core_checklist_version"
    __audited__ = True
    __audit_words__ = {
        "": _l("Version of a checklist"),
        "checklist_id": _l("Inspection checklist"),
        "number": _l("Version"),
        "state": (_l("State"), VERSION_STATES),
        "items": _l("Items to look at"),
        "published_at": _l("Moment of publication"),
        "published_by": _l("Who published it"),
    }
    __table_args__ = (
        UniqueConstraint("checklist_id", "number"),
        Index("uq_core_checklist_draft", "checklist_id", unique=True, **_only("state = 'draft'")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    checklist_id: Mapped[int] = mapped_column(ForeignKey("core_checklist.id"))
    number: Mapped[int] = mapped_column()
    items: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(10), default=DRAFT)
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    published_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    checklist: Mapped[Checklist] = relationship(lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}


class InspectionPlan(UnitScoped, Base):
    """Inspections that recur because the unit wants them: a checklist, where, how often, who.

    ``place_kind``: '' for the place itself, else every place of that kind in and below it (the whole unit where no
    place is named). The first period begins on ``starts_on``; every ``every`` pieces of ``every_unit``.
    """

    __tablename__ = "core_inspection_plan"
    __audited__ = True
    __audit_label__ = "title"
    __audit_words__ = {
        "": _l("Inspection plan"),
        "title": _l("Name"),
        "checklist_id": _l("Inspection checklist"),
        "place_id": _l("Place or room"),
        "every": _l("Every"),
        "active": _l("In use"),
    }
    __table_args__ = (Index("ix_core_inspection_plan_list", "unit_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(120))
    checklist_id: Mapped[int] = mapped_column(ForeignKey("core_checklist.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    place_kind: Mapped[str] = mapped_column(String(12), default="")
    every: Mapped[int] = mapped_column(default=1)
    every_unit: Mapped[str] = mapped_column(String(8), default="week")
    starts_on: Mapped[date] = mapped_column(Date)
    ends_on: Mapped[date | None] = mapped_column(Date)
    position: Mapped[str] = mapped_column(String(40), default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    checklist: Mapped[Checklist] = relationship(lazy="raise_on_sql")
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}


class Inspection(UnitScoped, Base):
    """Details of an inspection.

    ``version_id`` is bound when somebody begins (the newest published one by then) and stays. ``answers``: item key
    -> {"verdict", "value", "note", "file" (attachment id), "at", "by"}, stamped by the server. ``subject`` says
    what it is about beside its place (``store_lot:12``, ``meal:lunch``), ``subject_text`` in words. ``clause`` and
    ``plan_id`` say why it recurs, ``starts_on`` and ``due_on`` its period in days of the unit's zone. ``score``:
    the share of weights passed, in per cent; None where nothing was scored.
    """

    __tablename__ = "core_inspection"
    __table_args__ = (
        ForeignKeyConstraint(["id", "unit_id"], ["core_record.id", "core_record.unit_id"]),
        Index(
            "uq_core_inspection_plan",
            "plan_id",
            "subject",
            "starts_on",
            unique=True,
            **_only("plan_id IS NOT NULL"),
        ),
        Index("ix_core_inspection_place", "place_id", "finished_at", "id"),
        Index("ix_core_inspection_checklist", "unit_id", "checklist_id", "finished_at"),
        Index("ix_core_inspection_subject", "unit_id", "subject", "starts_on", "id"),
        Index("ix_core_inspection_due", "unit_id", "due_on", "id", **_only("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    checklist_id: Mapped[int] = mapped_column(ForeignKey("core_checklist.id"))
    version_id: Mapped[int | None] = mapped_column(ForeignKey("core_checklist_version.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    subject: Mapped[str] = mapped_column(String(60), default="")
    subject_text: Mapped[str] = mapped_column(String(200), default="")
    clause: Mapped[str] = mapped_column(String(40), default="")
    plan_id: Mapped[int | None] = mapped_column(ForeignKey("core_inspection_plan.id"))
    starts_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    begun_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    answers: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    score: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    failed: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True, viewonly=False)
    checklist: Mapped[Checklist] = relationship(lazy="raise_on_sql")
    checklist_version: Mapped[ChecklistVersion | None] = relationship(lazy="raise_on_sql")
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")


class Finding(UnitScoped, Base):
    """A failed item of a finished inspection, frozen as it was asked. ``record_id``: the record it opened."""

    __tablename__ = "core_finding"
    __table_args__ = (
        UniqueConstraint("inspection_id", "item_key"),
        Index("ix_core_finding_place", "unit_id", "place_id", "item_key", "found_at"),
        Index("ix_core_finding_list", "unit_id", "found_at", "id"),
        Index("ix_core_finding_record", "record_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    inspection_id: Mapped[int] = mapped_column(ForeignKey("core_inspection.id"))
    checklist_id: Mapped[int] = mapped_column(ForeignKey("core_checklist.id"))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    item_key: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(String(200))
    item_en: Mapped[str] = mapped_column(String(200), default="")
    severity: Mapped[str] = mapped_column(String(10), default=MINOR)
    note: Mapped[str] = mapped_column(String(500), default="")
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    found_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))

    inspection: Mapped[Inspection] = relationship(lambda: Inspection, lazy="raise_on_sql")
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")


# Lists page over core_record and take the inspection's fields along in the same statement. Record itself must not
# know of inspections.
Record.__mapper__.add_property(
    "inspection",
    relationship(
        Inspection,
        primaryjoin=Record.id == foreign(Inspection.id),
        uselist=False,
        viewonly=True,
        lazy="raise",
        innerjoin=False,
    ),
)

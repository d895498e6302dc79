"""The task's own fields; its head is a ``Record`` of type ``task``."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Date, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.kernel.database import Base, BigId, UnitScoped
from core.records.models import Record


class Task(UnitScoped, Base):
    """Details of a task: the clause that asks for it, whom or what it is about, its period, what came of it.

    ``starts_on`` and ``due_on`` are days of the unit's zone, both inside the period. ``subject`` is the key of the
    schedule (``unit``, ``customer:5``), ``subject_text`` what people call it. ``note`` tells what staff should know
    beforehand: earlier periods that were left out, say.
    """

    __tablename__ = "core_task"
    __table_args__ = (
        ForeignKeyConstraint(["id", "unit_id"], ["core_record.id", "core_record.unit_id"]),
        Index("ix_core_task_clause", "unit_id", "clause", "starts_on"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    clause: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(60))
    subject_text: Mapped[str] = mapped_column(String(200), default="")
    starts_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    note: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True, viewonly=False)


# Lists page over core_record and take the task's fields along in the same statement.
setattr(  # noqa: B010 - Record itself must not know of tasks
    Record,
    "task",
    relationship(
        Task, primaryjoin=Record.id == foreign(Task.id), uselist=False, viewonly=True, lazy="raise", innerjoin=False
    ),
)

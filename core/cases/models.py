"""The case's own fields; its head is a ``Record`` of type ``case``."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ForeignKeyConstraint, Index, Numeric, String, Text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.kernel.database import Base, BigId, UnitScoped, UtcDateTime
from core.records.models import Record


class Case(UnitScoped, Base):
    """Details of a case. Times are business times; the facts are the authority, these serve lists."""

    __tablename__ = "core_case"
    __table_args__ = (
        ForeignKeyConstraint(["id", "unit_id"], ["core_record.id", "core_record.unit_id"]),
        Index("ix_core_case_serial", "unit_id", "serial_text"),
        Index("ix_core_case_caller", "unit_id", "contact_digits"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(String(20))
    nature: Mapped[str] = mapped_column(String(20), default="")
    urgency: Mapped[str] = mapped_column(String(20), default="")
    severity: Mapped[str] = mapped_column(String(20), default="")
    description: Mapped[str] = mapped_column(Text)
    fault_cause: Mapped[str] = mapped_column(String(300), default="")  # as the customer tells it
    fault_type: Mapped[str] = mapped_column(String(20), default="")
    impact: Mapped[str] = mapped_column(String(20), default="")
    product_class: Mapped[str] = mapped_column(String(10), default="")
    purchase_date: Mapped[date | None] = mapped_column()
    product_text: Mapped[str] = mapped_column(String(120), default="")
    serial_text: Mapped[str] = mapped_column(String(60), default="")
    contact_name: Mapped[str] = mapped_column(String(60), default="")
    contact_phone: Mapped[str] = mapped_column(String(30), default="")
    contact_digits: Mapped[str] = mapped_column(String(20), default="")
    address_text: Mapped[str] = mapped_column(String(300), default="")
    distance_km: Mapped[Decimal | None] = mapped_column(Numeric(7, 1))
    plan: Mapped[str] = mapped_column(Text, default="")
    agreed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the customer agreed to the plan
    quotation: Mapped[str] = mapped_column(String(300), default="")
    contract: Mapped[str] = mapped_column(String(300), default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    cause: Mapped[str] = mapped_column(Text, default="")
    process: Mapped[str] = mapped_column(Text, default="")
    parts_used: Mapped[str] = mapped_column(String(300), default="")
    test_result: Mapped[str] = mapped_column(String(300), default="")
    service_minutes: Mapped[int | None] = mapped_column()  # from the work's beginning to its end
    result_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_by: Mapped[str] = mapped_column(String(20), default="")
    rating: Mapped[int | None] = mapped_column()
    rating_comment: Mapped[str] = mapped_column(String(400), default="")
    # Codes of what is odd about an imported history (order of events, unknown serial ...), comma-separated.
    history_flags: Mapped[str] = mapped_column(String(200), default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True, viewonly=False)


# Lists page over core_record and take the case's fields along in the same statement.
setattr(  # noqa: B010 - Record itself must not know of cases
    Record,
    "case",
    relationship(
        Case, primaryjoin=Record.id == foreign(Case.id), uselist=False, viewonly=True, lazy="raise", innerjoin=False
    ),
)

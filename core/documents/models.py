"""Tables of documents that were made and of the seals they got."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Attachment, Record
from core.users.models import User

# Kinds of seals (公章, 合同章, 财务章, 业务章), and the states of a line of their register.
SEALS = (
    ("company", _l("Company seal")),
    ("contract", _l("Contract seal")),
    ("finance", _l("Finance seal")),
    ("business", _l("Business seal")),
)
WANTED, SEALED, FILED, VOID = "wanted", "sealed", "filed", "void"
SEAL_STATES = (
    (WANTED, _l("To be sealed")),
    (SEALED, _l("Sealed, scan missing")),
    (FILED, _l("Scan filed")),
    (VOID, _l("Void")),
)


class Document(UnitScoped, Base):
    """One printed form as it was made: its PDF by hash, and the data it was made from.

    Never changed, a later version follows it; emptied when the customer is erased.
    """

    __tablename__ = "core_document"
    __table_args__ = (
        UniqueConstraint("unit_id", "number", "version"),
        Index("ix_core_document_subject", "subject", "subject_id", "id"),
        Index("ix_core_document_unit", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    form: Mapped[str] = mapped_column(String(60))
    title: Mapped[str] = mapped_column(String(200))
    # A record type's code, "customer" or a plugin's own word, with the id of that thing.
    subject: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int] = mapped_column(BigId)
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"), index=True)
    # Whose personal data it may hold: what is printed of a customer goes when they are erased.
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("core_customer.id"), index=True)
    number: Mapped[str] = mapped_column(String(40))
    version: Mapped[int] = mapped_column(default=1)
    locale: Mapped[str] = mapped_column(String(10))
    seal: Mapped[str] = mapped_column(String(20), default="")
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column()
    attachment_id: Mapped[int | None] = mapped_column(ForeignKey("core_attachment.id"))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record | None] = relationship()
    attachment: Mapped[Attachment | None] = relationship(foreign_keys=attachment_id)
    actor: Mapped[User | None] = relationship(foreign_keys=actor_id)


class SealUse(UnitScoped, Base):
    """A line of the register of seals (用印登记): which seal on which document, who put it, the scan."""

    __tablename__ = "core_seal_use"
    __audited__ = True
    __audit_mask__ = frozenset({"scan_name"})
    __audit_words__ = MappingProxyType(
        {
            "": _l("Use of a seal"),
            "seal": (_l("Kind of seal"), SEALS),
            "state": (_l("State"), SEAL_STATES),
            "document_id": _l("Document"),
            "copies": _l("Copies"),
            "purpose": _l("Used for"),
            "asked_at": _l("Asked at"),
            "asked_by": _l("Asked by"),
            "sealed_at": _l("Sealed at"),
            "sealed_by": _l("Sealed by"),
            "scan_sha256": _l("Content of the scan"),
            "scan_name": _l("Stamped scan"),
            "scan_id": _l("Stamped scan"),
            "reason": _l("Reason"),
        }
    )
    __table_args__ = (Index("ix_core_seal_use_unit", "unit_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("core_document.id"), index=True)
    seal: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(10), default=WANTED)
    copies: Mapped[int] = mapped_column(default=1)
    purpose: Mapped[str] = mapped_column(String(200), default="")
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    sealed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sealed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    scan_sha256: Mapped[str] = mapped_column(String(64), default="")
    scan_name: Mapped[str] = mapped_column(String(200), default="")
    scan_id: Mapped[int | None] = mapped_column(ForeignKey("core_attachment.id"))
    reason: Mapped[str] = mapped_column(String(200), default="")
    version: Mapped[int] = mapped_column(default=1)

    document: Mapped[Document] = relationship()
    __mapper_args__ = {"version_id_col": version}

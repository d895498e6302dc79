"""Tables of the customer file (客户档案)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, Numeric, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.kernel.database import Base, BigId, UnitScoped, UtcDateTime


class Customer(UnitScoped, Base):
    """A person or company served by a unit. Merging keeps the losing row as an alias."""

    __tablename__ = "core_customer"
    __audited__ = True
    __audit_mask__ = frozenset({"identity_cipher", "name", "email", "wechat", "note", "service_plan"})
    __audit_label__ = "number"
    __table_args__ = (
        UniqueConstraint("unit_id", "number"),
        UniqueConstraint("id", "unit_id"),
        Index("ix_core_customer_unit_id_id", "unit_id", "id"),
        Index("ix_core_customer_name", "unit_id", "name"),
        Index("ix_core_customer_company_code", "unit_id", "company_code"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    uid: Mapped[UUID] = mapped_column(unique=True)
    number: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(10), default="person")
    company_code: Mapped[str] = mapped_column(String(18), default="")
    email: Mapped[str] = mapped_column(String(200), default="")
    wechat: Mapped[str] = mapped_column(String(60), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    service_plan: Mapped[str] = mapped_column(Text, default="")
    # Why the file is worth a second look, e.g. a province that contradicts its city (comma-separated codes).
    warnings: Mapped[str] = mapped_column(String(200), default="")
    # Identity number, encrypted under a key of this customer only; erasing destroys the key.
    identity_cipher: Mapped[bytes | None] = mapped_column(LargeBinary)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("core_customer.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    phones: Mapped[list[CustomerPhone]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", order_by="CustomerPhone.id"
    )
    addresses: Mapped[list[CustomerAddress]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", order_by="CustomerAddress.id"
    )
    contacts: Mapped[list[CustomerContact]] = relationship(
        back_populates="customer", cascade="all, delete-orphan", order_by="CustomerContact.id"
    )
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class CustomerKey(UnitScoped, Base):
    """The data key of one customer, itself encrypted under the deployment's key."""

    __tablename__ = "core_customer_key"

    customer_id: Mapped[int] = mapped_column(ForeignKey("core_customer.id"), primary_key=True)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)


class CustomerPhone(UnitScoped, Base):
    """A phone number: ``digits`` normalised for look-up, ``display`` as staff read it."""

    __tablename__ = "core_customer_phone"
    __audited__ = True
    __audit_mask__ = frozenset({"digits", "display"})
    __table_args__ = (Index("ix_core_customer_phone_digits", "unit_id", "digits"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("core_customer.id"), index=True)
    digits: Mapped[str] = mapped_column(String(20))
    display: Mapped[str] = mapped_column(String(30))
    label: Mapped[str] = mapped_column(String(20), default="")

    customer: Mapped[Customer] = relationship(back_populates="phones")


class CustomerAddress(UnitScoped, Base):
    """A postal address. ``region_code`` is the six-digit county (or city, province) code."""

    __tablename__ = "core_customer_address"
    __audited__ = True
    __audit_mask__ = frozenset({"detail", "latitude", "longitude"})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("core_customer.id"), index=True)
    label: Mapped[str] = mapped_column(String(20), default="")
    province: Mapped[str] = mapped_column(String(30), default="")
    city: Mapped[str] = mapped_column(String(30), default="")
    county: Mapped[str] = mapped_column(String(30), default="")
    region_code: Mapped[str] = mapped_column(String(6), default="")
    detail: Mapped[str] = mapped_column(String(200), default="")
    postcode: Mapped[str] = mapped_column(String(10), default="")
    latitude: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    longitude: Mapped[Decimal | None] = mapped_column(Numeric(9, 6))
    # Road kilometres from the unit's service point when typed by staff, else straight line from coordinates.
    distance_km: Mapped[Decimal | None] = mapped_column(Numeric(7, 1))

    customer: Mapped[Customer] = relationship(back_populates="addresses")

    def __str__(self) -> str:
        parts = [self.province, self.city if self.city != self.province else "", self.county, self.detail]
        return "".join(p for p in parts if p)


class CustomerContact(UnitScoped, Base):
    """A person to talk to at a customer."""

    __tablename__ = "core_customer_contact"
    __audited__ = True
    __audit_mask__ = frozenset({"name", "phone", "email"})

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("core_customer.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    role: Mapped[str] = mapped_column(String(40), default="")
    phone: Mapped[str] = mapped_column(String(30), default="")
    email: Mapped[str] = mapped_column(String(200), default="")

    customer: Mapped[Customer] = relationship(back_populates="contacts")

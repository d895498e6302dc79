"""Tables of the product file (产品档案)."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, Numeric, String, Text, UniqueConstraint, and_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.sdk import Base, BigId, Customer, Record, UnitScoped, UtcDateTime

from . import fields

_CATEGORY, _MODEL, _BATCH, _ITEM = _l("Product category"), _l("Model"), _l("Batch"), _l("Item")


class Category(UnitScoped, Base):
    """A product category of a unit (类别), e.g. wall-hung boilers."""

    __tablename__ = "products_category"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _CATEGORY,
    }
    __table_args__ = (UniqueConstraint("unit_id", "name"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(60))
    sort: Mapped[int] = mapped_column(default=100)
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Model(UnitScoped, Base):
    """A product model (型号). Whether a product is own or agent-sold belongs to the item, not here."""

    __tablename__ = "products_model"
    __audited__ = True
    __audit_label__ = "code"
    __audit_words__ = {
        "": _MODEL,
        "category_id": _CATEGORY,
        "name": _l("Product name"),
        "code": _MODEL,
        "warranty_months": _l("Warranty (months)"),
        "price": _l("List price (yuan)"),
        "class_hint": _l("Class in the file"),
    }
    __table_args__ = (UniqueConstraint("unit_id", "code"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(120))
    category_id: Mapped[int | None] = mapped_column(ForeignKey("products_category.id"), index=True)
    warranty_months: Mapped[int | None] = mapped_column()
    # Yuan. Empty when the source contradicts itself.
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    # What a file says about the class of this model ("4.1", "4.2"): evidence for its items, never their class.
    class_hint: Mapped[str] = mapped_column(String(20), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    category: Mapped[Category | None] = relationship()
    key_parts: Mapped[list[KeyPart]] = relationship(
        lambda: KeyPart,
        back_populates="model",
        cascade="all, delete-orphan",
        order_by=lambda: (KeyPart.sort, KeyPart.id),
    )
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class KeyPart(UnitScoped, Base):
    """A key part (关键件) of a model: what it is, its own model and whether it is imported (R17-9.1)."""

    __tablename__ = "products_key_part"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Key part"),
        "model_id": _MODEL,
        "part_model": _l("Model of the part"),
        "origin": (_l("Origin"), fields.ORIGINS),
    }

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    part_model: Mapped[str] = mapped_column(String(60), default="")
    origin: Mapped[str] = mapped_column(String(10), default="")
    sort: Mapped[int] = mapped_column(default=0)

    model: Mapped[Model] = relationship(back_populates="key_parts")


class Batch(UnitScoped, Base):
    """A production batch (批次) of one model; ``number`` is the printed batch number (批号)."""

    __tablename__ = "products_batch"
    __audited__ = True
    __audit_label__ = "number"
    __audit_words__ = {
        "": _BATCH,
        "model_id": _MODEL,
        "number": _l("Batch number"),
        "produced_on": _l("Produced on"),
        "held_at": _l("Stopped at"),
        "hold_reason": _l("Why it was stopped"),
        "sealed_at": _l("Sealed off at"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "model_id", "number"),
        Index("ix_products_batch_model", "model_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    number: Mapped[str] = mapped_column(String(40))
    produced_on: Mapped[date | None] = mapped_column()
    # A stopped batch (停售停用): nothing of it ships until it is released.
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hold_reason: Mapped[str] = mapped_column(String(300), default="")
    sealed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # set apart and sealed (隔离封存)
    note: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(default=1)

    model: Mapped[Model] = relationship()
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.number


class Item(UnitScoped, Base):
    """One serial-numbered product (设备). A serial is unique in its unit and kept in upper case without spaces."""

    __tablename__ = "products_item"
    __audited__ = True
    __audit_label__ = "serial"
    __audit_mask__ = frozenset({"used_by"})
    __audit_words__ = {
        "": _ITEM,
        "serial": _l("Serial number"),
        "model_id": _MODEL,
        "batch_id": _BATCH,
        "sold_class": (_l("Sold by"), fields.SOLD_CLASSES),
        "channel": (_l("Sales channel"), fields.CHANNELS),
        "seller": _l("Seller"),
        "proof": (_l("Proof of purchase"), fields.PROOFS),
        "produced_on": _l("Produced on"),
        "purchased_on": _l("Purchased on"),
        "delivered_on": _l("Delivered on"),
        "handed_over_on": _l("Handed over on"),
        "first_use": _l("First use"),
        "used_by": _l("Used by"),
        "replaced_by_id": _l("Replaced by"),
        "last_service_on": _l("Last service"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "serial"),
        Index("ix_products_item_unit_id_id", "unit_id", "id"),
        Index("ix_products_item_sold_class", "unit_id", "sold_class", "id"),
        Index("ix_products_item_customer", "customer_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    serial: Mapped[str] = mapped_column(String(60))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"), index=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("products_batch.id"), index=True)
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("core_customer.id"))
    # "own", "agent", or empty while nobody knows or the sources contradict each other.
    sold_class: Mapped[str] = mapped_column(String(12), default="")
    channel: Mapped[str] = mapped_column(String(10), default="")
    seller: Mapped[str] = mapped_column(String(120), default="")
    # Proof of purchase: "yes", "no", or empty when not asked yet.
    proof: Mapped[str] = mapped_column(String(10), default="")
    produced_on: Mapped[date | None] = mapped_column()
    purchased_on: Mapped[date | None] = mapped_column()
    delivered_on: Mapped[date | None] = mapped_column()
    handed_over_on: Mapped[date | None] = mapped_column()
    # The user's first use of a product of ours, or first trial of a new one (R09-3.3).
    first_use: Mapped[bool] = mapped_column(default=False)
    used_by: Mapped[str] = mapped_column(String(120), default="")
    # The item that was given for this one, where it was exchanged.
    replaced_by_id: Mapped[int | None] = mapped_column(ForeignKey("products_item.id"), index=True)
    last_service_on: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    model: Mapped[Model] = relationship()
    batch: Mapped[Batch | None] = relationship()
    customer: Mapped[Customer | None] = relationship()
    open_flags: Mapped[list[Flag]] = relationship(
        lambda: Flag,
        viewonly=True,
        primaryjoin=lambda: and_(Flag.item_id == Item.id, Flag.settled_at.is_(None)),
        order_by=lambda: Flag.id,
    )
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.serial


class ItemPart(UnitScoped, Base):
    """A key part in one item (关键件): its number, batch and origin, when it was fitted and taken out (R17-9.1)."""

    __tablename__ = "products_item_part"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Key part of an item"),
        "item_id": _ITEM,
        "name": _l("Key part"),
        "part_model": _l("Model of the part"),
        "serial": _l("Serial number"),
        "batch": _l("Batch number"),
        "origin": (_l("Origin"), fields.ORIGINS),
        "fitted_on": _l("Fitted on"),
        "removed_on": _l("Taken out on"),
    }
    __table_args__ = (
        Index("ix_products_item_part_item", "item_id", "id"),
        Index("ix_products_item_part_serial", "unit_id", "serial"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"))
    name: Mapped[str] = mapped_column(String(60))
    part_model: Mapped[str] = mapped_column(String(60), default="")
    serial: Mapped[str] = mapped_column(String(60), default="")
    batch: Mapped[str] = mapped_column(String(40), default="")
    origin: Mapped[str] = mapped_column(String(10), default="")
    fitted_on: Mapped[date | None] = mapped_column()
    removed_on: Mapped[date | None] = mapped_column()
    # The record that took it out, or fitted it; none for what the factory fitted.
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))

    item: Mapped[Item] = relationship()


class FileEntry(UnitScoped, Base):
    """An entry of an item's product file (档案记录): state as made or delivered, survey, tracking, agreement.

    ``kind`` is one of ``fields.ENTRY_KINDS``; ``score`` is 1 to 5 of a survey; ``until`` ends an agreement.
    """

    __tablename__ = "products_entry"
    __audited__ = True
    # What people say of themselves and others may stand in there.
    __audit_mask__ = frozenset({"text"})
    __audit_words__ = {
        "": _l("Entry of the product file"),
        "item_id": _ITEM,
        "kind": (_l("Kind"), fields.ENTRY_KINDS),
        "on": _l("Date"),
        "text": _l("Content of the entry"),
        "score": _l("Satisfaction"),
        "until": _l("Valid until"),
    }
    __table_args__ = (Index("ix_products_entry_item", "item_id", "kind", "on", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"))
    kind: Mapped[str] = mapped_column(String(20))
    on: Mapped[date] = mapped_column()
    text: Mapped[str] = mapped_column(Text, default="")
    score: Mapped[int | None] = mapped_column()
    until: Mapped[date | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    item: Mapped[Item] = relationship()
    __mapper_args__ = {"version_id_col": version}


class Inspection(UnitScoped, Base):
    """An inspection of a batch or an item: incoming material, production, before shipping (R05-1.2, R05-3.2)."""

    __tablename__ = "products_inspection"
    __audited__ = True
    __audit_words__ = {
        "": _l("Inspection"),
        "item_id": _ITEM,
        "batch_id": _BATCH,
        "stage": (_l("Stage"), fields.INSPECTION_STAGES),
        "passed": _l("Passed"),
        "finding": _l("Finding"),
        "at": _l("Inspected at"),
    }
    __table_args__ = (
        Index("ix_products_inspection_item", "item_id", "stage", "id"),
        Index("ix_products_inspection_batch", "batch_id", "stage", "id"),
        Index("ix_products_inspection_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("products_item.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("products_batch.id"))
    stage: Mapped[str] = mapped_column(String(20))
    passed: Mapped[bool] = mapped_column()
    finding: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    item: Mapped[Item | None] = relationship()
    batch: Mapped[Batch | None] = relationship()


class ProductRecord(UnitScoped, Base):
    """Side table of ``core_record``: which item a record is about."""

    __tablename__ = "products_record"
    __table_args__ = (Index("ix_products_record_item", "item_id", "record_id"),)

    record_id: Mapped[int] = mapped_column(
        ForeignKey("core_record.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"))

    record: Mapped[Record] = relationship()
    item: Mapped[Item] = relationship()


class Flag(UnitScoped, Base):
    """A contradiction found in a source (待核对): kept until somebody settles it, never guessed away.

    ``detail`` holds what each source said, in the words of the file.
    """

    __tablename__ = "products_flag"
    __audited__ = True
    __audit_words__ = {
        "": _l("To be checked"),
        "model_id": _MODEL,
        "item_id": _ITEM,
        "code": (_l("What was found"), fields.FLAGS),
        "found_at": _l("Found at"),
        "settled_at": _l("Settled at"),
        "settled_by": _l("Settled by"),
    }
    __table_args__ = (Index("ix_products_flag_open", "unit_id", "settled_at", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("products_model.id"), index=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("products_item.id"), index=True)
    code: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(String(300), default="")
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    model: Mapped[Model | None] = relationship()
    item: Mapped[Item | None] = relationship()

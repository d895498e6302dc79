"""Tables of the store: what it knows of products beyond the product file, whose models and batches they are."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.sdk import Base, BigId, Place, Record, UnitScoped, UtcDateTime
from plugins.products import services as _products

from . import values

_PRODUCT, _SUPPLIER, _LOT, _NOTE = _l("Product"), _l("Supplier"), _l("Batch in stock"), _l("Note")
_DETAIL = (["id", "unit_id"], ["core_record.id", "core_record.unit_id"])


def _only(condition: str, postgresql: str = "") -> dict[str, Any]:
    """Options of an index over the rows of a condition, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(postgresql or condition)}


# --- products as the store sells them ----------------------------------------------------------------


class Product(UnitScoped, Base):
    """What the store knows of a model: bar code, shelf life, when to order again.

    ``shelf_days``: None for goods without a shelf life. ``dated``: a batch of it needs its production date.
    ``reorder_at`` and ``reorder_to`` are pieces in stock.
    """

    __tablename__ = "store_product"
    __audited__ = True
    __audit_label__ = "barcode"
    __audit_words__ = {
        "": _PRODUCT,
        "model_id": _l("Model"),
        "barcode": _l("Bar code"),
        "shelf_days": _l("Shelf life (days)"),
        "reorder_at": _l("Order again at"),
        "reorder_to": _l("Order up to"),
        "supplier_id": _l("Usual supplier"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "model_id"),
        Index("uq_store_product_barcode", "unit_id", "barcode", unique=True, **_only("barcode <> ''")),
        Index("ix_store_product_list", "unit_id", "id"),
        CheckConstraint("shelf_days IS NULL OR shelf_days > 0", name="shelf"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    barcode: Mapped[str] = mapped_column(String(14), default="")
    measure: Mapped[str] = mapped_column(String(10), default="")
    shelf_days: Mapped[int | None] = mapped_column()
    dated: Mapped[bool] = mapped_column(default=False)
    reorder_at: Mapped[int] = mapped_column(default=0)
    reorder_to: Mapped[int] = mapped_column(default=0)
    supplier_id: Mapped[int | None] = mapped_column(ForeignKey("store_supplier.id"))
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    model: Mapped[_products.Model] = relationship(lambda: _products.Model, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.barcode or f"#{self.model_id}"


class Release(UnitScoped, Base):
    """Details of the release of a product for sale (上市放行, R02-4): its papers stand in ``Paper``."""

    __tablename__ = "store_release"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("uq_store_release_model", "unit_id", "model_id", unique=True, **_only("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # withdrawn or cancelled

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class Paper(UnitScoped, Base):
    """A compliance paper of a product (合规文件): its file hangs on the release's record."""

    __tablename__ = "store_paper"
    __audited__ = True
    __audit_label__ = "number"
    __audit_words__ = {
        "": _l("Paper of a product"),
        "kind": (_l("Kind of paper"), values.PAPERS),
        "number": _l("Number"),
        "valid_until": _l("Valid until"),
    }
    __table_args__ = (
        Index("ix_store_paper_release", "release_id", "id"),
        Index("ix_store_paper_until", "unit_id", "valid_until", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    release_id: Mapped[int] = mapped_column(ForeignKey("store_release.id"))
    kind: Mapped[str] = mapped_column(String(12))
    number: Mapped[str] = mapped_column(String(60))
    issuer: Mapped[str] = mapped_column(String(120), default="")
    valid_from: Mapped[date | None] = mapped_column()
    valid_until: Mapped[date | None] = mapped_column()
    file_id: Mapped[int | None] = mapped_column(ForeignKey("core_attachment.id"))
    struck_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# --- suppliers -----------------------------------------------------------------------------------


class Supplier(UnitScoped, Base):
    """Details of a supplier (供应商). ``qualified_until``: the day by which the next assessment is due (R02-7b)."""

    __tablename__ = "store_supplier"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        UniqueConstraint("unit_id", "name"),
        Index("uq_store_supplier_uscc", "unit_id", "uscc", unique=True, **_only("uscc <> ''")),
        Index("ix_store_supplier_due", "unit_id", "qualified_until", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(120))
    uscc: Mapped[str] = mapped_column(String(18), default="")
    contact: Mapped[str] = mapped_column(String(60), default="")
    phone: Mapped[str] = mapped_column(String(30), default="")
    address: Mapped[str] = mapped_column(String(200), default="")
    supplies: Mapped[str] = mapped_column(String(200), default="")
    licence: Mapped[str] = mapped_column(String(60), default="")
    licence_until: Mapped[date | None] = mapped_column()
    qualified_until: Mapped[date | None] = mapped_column()
    score: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class Assessment(UnitScoped, Base):
    """An assessment of a supplier (供应商评价): points 0 to 100 by criterion, append-only."""

    __tablename__ = "store_assessment"
    __audited__ = True
    __audit_words__ = {
        "": _l("Assessment of a supplier"),
        "supplier_id": _SUPPLIER,
        "score": _l("Score"),
        "verdict": (_l("Verdict"), values.VERDICTS),
    }
    __table_args__ = (Index("ix_store_assessment_supplier", "supplier_id", "on", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("store_supplier.id"))
    on: Mapped[date] = mapped_column()
    quality: Mapped[int] = mapped_column()
    delivery: Mapped[int] = mapped_column()
    price: Mapped[int] = mapped_column()
    service: Mapped[int] = mapped_column()
    reputation: Mapped[int] = mapped_column()
    score: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    verdict: Mapped[str] = mapped_column(String(12))
    valid_until: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))


# --- purchase ------------------------------------------------------------------------------------


class Plan(UnitScoped, Base):
    """Details of a purchase plan (采购计划, R02-8), usually of a month (its first day)."""

    __tablename__ = "store_plan"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL), Index("ix_store_plan_month", "unit_id", "month", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    month: Mapped[date] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class PlanLine(UnitScoped, Base):
    """A product of a plan: what there was when it was made, what is proposed, what is wanted (pieces)."""

    __tablename__ = "store_plan_line"
    __table_args__ = (UniqueConstraint("plan_id", "model_id"), CheckConstraint("quantity >= 0", name="quantity"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("store_plan.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    in_stock: Mapped[int] = mapped_column(default=0)
    on_order: Mapped[int] = mapped_column(default=0)
    sold: Mapped[int] = mapped_column(default=0)
    proposed: Mapped[int] = mapped_column(default=0)
    quantity: Mapped[int] = mapped_column(default=0)
    supplier_id: Mapped[int | None] = mapped_column(ForeignKey("store_supplier.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("store_order.id"))
    note: Mapped[str] = mapped_column(String(200), default="")


class PurchaseOrder(UnitScoped, Base):
    """Details of a purchase order (采购订单). ``standard_met``: the goods meet the company's standard (R02-6)."""

    __tablename__ = "store_order"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL), Index("ix_store_order_supplier", "supplier_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("store_supplier.id"))
    expected_on: Mapped[date | None] = mapped_column()
    standard_met: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(
        lambda: Record,
        foreign_keys=[id],
        primaryjoin=lambda: Record.id == PurchaseOrder.id,
        lazy="joined",
        innerjoin=True,
    )


class OrderLine(UnitScoped, Base):
    """A product of an order; ``received`` grows as deliveries are accepted (pieces). Prices in yuan."""

    __tablename__ = "store_order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "model_id"),
        Index("ix_store_order_line_model", "unit_id", "model_id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("received >= 0", name="received"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("store_order.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    quantity: Mapped[int] = mapped_column()
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    received: Mapped[int] = mapped_column(default=0)


class Receiving(UnitScoped, Base):
    """Details of a delivery and its inspection (验货, R02-9). One delivery note of a supplier is received once."""

    __tablename__ = "store_receiving"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index(
            "uq_store_receiving_note",
            "supplier_id",
            "delivery_note",
            unique=True,
            **_only("delivery_note <> '' AND void = 0", "delivery_note <> '' AND NOT void"),
        ),
        Index("ix_store_receiving_order", "order_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("store_supplier.id"))
    order_id: Mapped[int | None] = mapped_column(ForeignKey("store_order.id"))
    delivery_note: Mapped[str] = mapped_column(String(60), default="")
    expected_on: Mapped[date | None] = mapped_column()
    arrived_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    void: Mapped[bool] = mapped_column(default=False)  # the delivery was cancelled

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class ReceivingLine(UnitScoped, Base):
    """A batch of a delivery. ``counted``, ``accepted`` and ``refused`` are None until inspected (pieces)."""

    __tablename__ = "store_receiving_line"
    __table_args__ = (
        Index("ix_store_receiving_line", "receiving_id", "id"),
        CheckConstraint("expected >= 0", name="expected"),
        CheckConstraint("counted IS NULL OR counted >= 0", name="counted"),
        CheckConstraint(
            "accepted IS NULL OR (accepted >= 0 AND refused >= 0 AND accepted + refused = counted)", name="sum"
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    receiving_id: Mapped[int] = mapped_column(ForeignKey("store_receiving.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    expected: Mapped[int] = mapped_column()
    batch: Mapped[str] = mapped_column(String(40), default="")
    made_on: Mapped[date | None] = mapped_column()
    shelf_days: Mapped[int | None] = mapped_column()
    best_before: Mapped[date | None] = mapped_column()  # printed on the goods; beats arithmetic
    counted: Mapped[int | None] = mapped_column()
    accepted: Mapped[int | None] = mapped_column()
    refused: Mapped[int | None] = mapped_column()
    fault: Mapped[str] = mapped_column(String(200), default="")
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("store_lot.id"))


# --- batches in stock ------------------------------------------------------------------------------


class Lot(UnitScoped, Base):
    """A batch in the store's stock with its quality file (产品质量档案, R02-10).

    ``last_day`` is the last day it may be sold: the printed ``best_before``, else ``made_on`` plus ``shelf_days``;
    None for goods without a shelf life. ``stock`` pieces are here, ``held`` of them set apart by objections; the
    sum of its movements is ``stock``. ``place_id``: shelf or bin. ``lots`` alone writes stock and state.
    """

    __tablename__ = "store_lot"
    __audited__ = True
    __audit_label__ = "number"
    __audit_words__ = {
        "": _LOT,
        "number": _l("Batch number"),
        "made_on": _l("Produced on"),
        "shelf_days": _l("Shelf life (days)"),
        "best_before": _l("Printed best-before date"),
        "last_day": _l("Last day of sale"),
        "state": (_l("State"), values.LOT_STATES),
        "place_id": _l("Place"),
    }
    __table_args__ = (
        Index("ix_store_lot_batch", "batch_id", "id"),
        Index("ix_store_lot_model", "unit_id", "model_id", "state", "last_day", "id"),
        Index("ix_store_lot_shelf", "unit_id", "state", "last_day", "id"),
        Index("ix_store_lot_number", "unit_id", "number", "id"),
        Index("ix_store_lot_supplier", "supplier_id", "id"),
        Index("ix_store_lot_place", "place_id", "id"),
        CheckConstraint("stock >= 0", name="stock"),
        CheckConstraint("held >= 0 AND held <= stock", name="held"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("products_batch.id"))
    number: Mapped[str] = mapped_column(String(40))
    made_on: Mapped[date | None] = mapped_column()
    shelf_days: Mapped[int | None] = mapped_column()
    best_before: Mapped[date | None] = mapped_column()
    last_day: Mapped[date | None] = mapped_column()
    supplier_id: Mapped[int | None] = mapped_column(ForeignKey("store_supplier.id"))
    receiving_id: Mapped[int | None] = mapped_column(ForeignKey("store_receiving.id"), index=True)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    state: Mapped[str] = mapped_column(String(10), default=values.ACCEPTED)
    stock: Mapped[int] = mapped_column(default=0)
    held: Mapped[int] = mapped_column(default=0)
    on_sale_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1)

    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.number


class Movement(UnitScoped, Base):
    """A movement of a lot's stock: append-only, ``quantity`` signed (pieces), ``seq`` without gaps in a lot."""

    __tablename__ = "store_movement"
    __table_args__ = (
        UniqueConstraint("lot_id", "seq"),
        Index("ix_store_movement_model", "unit_id", "model_id", "kind", "at"),
        Index("ix_store_movement_record", "record_id"),
        Index("ix_store_movement_customer", "customer_id", "at"),
        CheckConstraint("quantity <> 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("store_lot.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    seq: Mapped[int] = mapped_column()
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(10))
    quantity: Mapped[int] = mapped_column()
    stock: Mapped[int] = mapped_column()  # after it
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("core_customer.id"))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))


class Issue(UnitScoped, Base):
    """Details of outgoing goods (出库单): who got what is in its lines and in ``Movement``."""

    __tablename__ = "store_issue"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10), default=values.SALE)
    receipt: Mapped[str] = mapped_column(String(60), default="")  # number of the till's receipt
    phone: Mapped[str] = mapped_column(String(30), default="")  # of a buyer who is no customer on file

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class IssueLine(UnitScoped, Base):
    """Pieces of a lot that went out, at the published price of the day (yuan); ``taken_back`` of them came back."""

    __tablename__ = "store_issue_line"
    __table_args__ = (
        Index("ix_store_issue_line", "issue_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("taken_back >= 0 AND taken_back <= quantity", name="taken_back"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    issue_id: Mapped[int] = mapped_column(ForeignKey("store_issue.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("store_lot.id"), index=True)
    quantity: Mapped[int] = mapped_column()
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    taken_back: Mapped[int] = mapped_column(default=0)


class Objection(UnitScoped, Base):
    """Details of a quality objection (质量异议, R02-11): ``quantity`` pieces of a lot are set apart at once."""

    __tablename__ = "store_objection"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_store_objection_lot", "lot_id", "id"),
        Index("ix_store_objection_supplier", "supplier_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("store_lot.id"))
    receiving_line_id: Mapped[int | None] = mapped_column(ForeignKey("store_receiving_line.id"), unique=True)
    supplier_id: Mapped[int | None] = mapped_column(ForeignKey("store_supplier.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    quantity: Mapped[int] = mapped_column()
    found_at: Mapped[str] = mapped_column(String(10))
    problem: Mapped[str] = mapped_column(Text)
    decision: Mapped[str] = mapped_column(String(10), default="")
    outcome: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class Removal(UnitScoped, Base):
    """Details of a task to take a lot off the shelf (下架, R02-15). One open task a lot and reason."""

    __tablename__ = "store_removal"
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("uq_store_removal_open", "lot_id", "reason", unique=True, **_only("ended_at IS NULL")),
        Index("ix_store_removal_lot", "lot_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    lot_id: Mapped[int] = mapped_column(ForeignKey("store_lot.id"))
    reason: Mapped[str] = mapped_column(String(10))
    due_on: Mapped[date] = mapped_column()
    removed: Mapped[int | None] = mapped_column()
    removed_to: Mapped[str] = mapped_column(String(10), default="")
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


# --- prices --------------------------------------------------------------------------------------


class PriceChange(UnitScoped, Base):
    """Details of a request for new prices (调价单, R02-18); they hold from the beginning of ``starts_on``."""

    __tablename__ = "store_price_change"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    starts_on: Mapped[date] = mapped_column()
    reason: Mapped[str] = mapped_column(Text)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)


class PriceLine(UnitScoped, Base):
    """A new price of a request; ``before`` is what was public when it was entered (yuan)."""

    __tablename__ = "store_price_line"
    __table_args__ = (UniqueConstraint("change_id", "model_id"), CheckConstraint("price > 0", name="price"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    change_id: Mapped[int] = mapped_column(ForeignKey("store_price_change.id"))
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    before: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))


class Price(UnitScoped, Base):
    """A public price of a product from a day on (yuan). Never changed; the newest of a day counts."""

    __tablename__ = "store_price"
    __table_args__ = (
        UniqueConstraint("change_id", "model_id"),
        Index("ix_store_price_model", "unit_id", "model_id", "starts_on", "id"),
        Index("ix_store_price_list", "unit_id", "id"),
        CheckConstraint("price > 0", name="price"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("products_model.id"))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    starts_on: Mapped[date] = mapped_column()
    change_id: Mapped[int] = mapped_column(ForeignKey("store_price_change.id"))
    published_at: Mapped[datetime] = mapped_column(UtcDateTime)


# --- showroom, counts ------------------------------------------------------------------------------


class Showroom(UnitScoped, Base):
    """Details of a showroom task (展厅任务, R24-1.4, R24-1.6, R02-14). ``clause`` is that of a recurring one."""

    __tablename__ = "store_showroom"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL), Index("ix_store_showroom_due", "unit_id", "due_on", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    text: Mapped[str] = mapped_column(Text, default="")
    clause: Mapped[str] = mapped_column(String(40), default="")
    subject: Mapped[str] = mapped_column(String(60), default="")
    starts_on: Mapped[date] = mapped_column()
    due_on: Mapped[date] = mapped_column()
    result: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")


class StockCount(UnitScoped, Base):
    """Details of a stock count (盘点, R24-1.9) of a place, or of all stock where none is named."""

    __tablename__ = "store_count"
    __table_args__ = (ForeignKeyConstraint(*_DETAIL),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    place_id: Mapped[int | None] = mapped_column(ForeignKey("core_place.id"))
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    counted_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=True)
    place: Mapped[Place | None] = relationship(lambda: Place, lazy="raise_on_sql")


class StockCountLine(UnitScoped, Base):
    """A lot of a count. ``seq`` is the lot's last movement when it was counted: later ones are no difference."""

    __tablename__ = "store_count_line"
    __table_args__ = (
        UniqueConstraint("count_id", "lot_id"),
        CheckConstraint("counted IS NULL OR counted >= 0", name="counted"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    count_id: Mapped[int] = mapped_column(ForeignKey("store_count.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("store_lot.id"), index=True)
    expected: Mapped[int] = mapped_column()
    counted: Mapped[int | None] = mapped_column()
    seq: Mapped[int] = mapped_column(default=0)
    counted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    counted_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    reason: Mapped[str] = mapped_column(String(200), default="")

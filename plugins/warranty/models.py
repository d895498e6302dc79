"""Tables of warranty and fees. Amounts owed stand in the core's charges; nothing here repeats them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Numeric, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.sdk import Base, BigId, Json, Record, UnitScoped, UtcDateTime
from plugins.products import services as _products  # noqa: F401 - its tables are there before ours refer to them

from . import values

_RECORD, _ITEM, _CLAUSE, _REASON = _l("Record"), _l("Item"), _l("Clause"), _l("Reason")
_DETAIL = (["id", "unit_id"], ["core_record.id", "core_record.unit_id"])


# --- terms and what happened to items ------------------------------------------------------------


class Term(UnitScoped, Base):
    """A unit's own warranty term (保修期规定) beside those of the clauses: of a class, category, model or key part.

    It holds for items whose term begins from ``valid_from`` to ``valid_to`` (both inside). Months, or days.
    """

    __tablename__ = "warranty_term"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Warranty term"),
        "name": _l("Name"),
        "scope": (_l("What is covered"), values.SCOPES),
        "start": (_l("Counted from"), values.STARTS),
        "action": (_l("What is owed"), values.ACTIONS),
        "months": _l("Term (months)"),
        "sold_class": _l("Product class"),
        "category_id": _l("Product category"),
        "model_id": _l("Model"),
        "part": _l("Key part"),
        "valid_from": _l("Valid from"),
        "valid_to": _l("Valid until"),
    }
    __table_args__ = (Index("ix_warranty_term_unit", "unit_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[str] = mapped_column(String(12), default=values.SET)
    start: Mapped[str] = mapped_column(String(12), default=values.PURCHASE)
    action: Mapped[str] = mapped_column(String(12), default=values.REPAIR)
    months: Mapped[int] = mapped_column(default=12)
    sold_class: Mapped[str] = mapped_column(String(12), default="")
    category_id: Mapped[int | None] = mapped_column(ForeignKey("products_category.id"), index=True)
    model_id: Mapped[int | None] = mapped_column(ForeignKey("products_model.id"), index=True)
    part: Mapped[str] = mapped_column(String(60), default="")
    valid_from: Mapped[date | None] = mapped_column()
    valid_to: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    # The product file's own classes, by name: a plugin does not import another's models.
    category: Mapped[Any] = relationship("products.models.Category", viewonly=True)
    model: Mapped[Any] = relationship("products.models.Model", viewonly=True)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class ItemEvent(UnitScoped, Base):
    """Something that changes an item's cover (``values.EVENTS``): part replaced, repaired, extended, exchanged ...

    Never changed; one entered by mistake is withdrawn with a reason. ``source`` keeps a retry from doubling it.
    """

    __tablename__ = "warranty_event"
    __audited__ = True
    __audit_words__ = {
        "": _l("Change of a warranty"),
        "item_id": _ITEM,
        "kind": (_l("What happened"), values.EVENTS),
        "on": _l("Date"),
        "part": _l("Part"),
        "months": _l("Term (months)"),
        "until": _l("Until"),
        "clause": _CLAUSE,
        "record_id": _RECORD,
        "reason": _REASON,
        "withdrawn_at": _l("Withdrawn at"),
    }
    __table_args__ = (
        Index("ix_warranty_event_item", "item_id", "on", "id"),
        Index("ix_warranty_event_record", "record_id"),
        UniqueConstraint("item_id", "source"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"))
    kind: Mapped[str] = mapped_column(String(12))
    on: Mapped[date] = mapped_column()
    part: Mapped[str] = mapped_column(String(60), default="")
    old_serial: Mapped[str] = mapped_column(String(60), default="")
    new_serial: Mapped[str] = mapped_column(String(60), default="")
    fault: Mapped[str] = mapped_column(String(120), default="")
    months: Mapped[int] = mapped_column(default=0)
    days: Mapped[int] = mapped_column(default=0)
    until: Mapped[date | None] = mapped_column()
    action: Mapped[str] = mapped_column(String(12), default=values.REPAIR)
    clause: Mapped[str] = mapped_column(String(40), default="")
    source: Mapped[str] = mapped_column(String(80))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    withdrawn_why: Mapped[str] = mapped_column(Text, default="")


class Coverage(UnitScoped, Base):
    """A coverage decision of a record (保修判定). A revision is a further row; the latest is ``current``."""

    __tablename__ = "warranty_coverage"
    __audited__ = True
    __audit_words__ = {
        "": _l("Coverage decision"),
        "record_id": _RECORD,
        "item_id": _ITEM,
        "result": (_l("Result"), values.RESULTS),
        "cause": (_l("Cause"), values.CAUSES),
        "clause": _CLAUSE,
        "reason": _REASON,
        "decided_at": _l("Coverage decided at"),
        "decided_by": _l("Decided by whom"),
    }
    __table_args__ = (
        Index("ix_warranty_coverage_record", "record_id", "id"),
        Index("ix_warranty_coverage_list", "unit_id", "id"),
        Index(
            "ix_warranty_coverage_review",
            "unit_id",
            "id",
            sqlite_where=text("current AND to_review"),
            postgresql_where=text("current AND to_review"),
        ),
        Index(
            "uq_warranty_coverage_current",
            "record_id",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    item_id: Mapped[int | None] = mapped_column(ForeignKey("products_item.id"))
    current: Mapped[bool] = mapped_column(default=True)
    result: Mapped[str] = mapped_column(String(20))
    cause: Mapped[str] = mapped_column(String(20), default="")
    # The failed part, where one is known: its own line may cover it.
    part: Mapped[str] = mapped_column(String(60), default="")
    product_class: Mapped[str] = mapped_column(String(10), default="")
    sold_class: Mapped[str] = mapped_column(String(12), default="")
    human_damage: Mapped[bool] = mapped_column(default=False)
    # The line that covers, or the last that did: scope, clause, end; and why nothing does.
    line: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    covered_until: Mapped[date | None] = mapped_column()
    clause: Mapped[str] = mapped_column(String(40), default="")
    evidence: Mapped[str] = mapped_column(Text, default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    # Decided otherwise than the rules would, by a person with a reason; or forced and to be looked at again.
    overruled: Mapped[bool] = mapped_column(default=False)
    to_review: Mapped[bool] = mapped_column(default=False)
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record] = relationship()


class Claim(UnitScoped, Base):
    """A warranty application of a case (维修申请): which papers were shown, and whether they are complete."""

    __tablename__ = "warranty_claim"
    __audited__ = True
    __audit_words__ = {
        "": _l("Warranty application"),
        "papers": _l("Papers shown"),
        "complete_at": _l("Complete at"),
    }

    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"), primary_key=True, autoincrement=False)
    papers: Mapped[list[str]] = mapped_column(Json, default=list)
    lost: Mapped[bool] = mapped_column(default=False)
    lost_reason: Mapped[str] = mapped_column(Text, default="")
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    filed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    complete_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The look at the goods before repair (R25-3.2.16).
    inspected_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    inspection: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


# --- prices --------------------------------------------------------------------------------------


class Tariff(UnitScoped, Base):
    """A version of a unit's fee table (收费标准) for one product class, from a day on. In force, it never changes.

    ``product_class`` is a class number of the regulations (4.1 ...), '' for all that have none of their own.
    """

    __tablename__ = "warranty_tariff"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Tariff"),
        "name": _l("Name"),
        "product_class": _l("Product class"),
        "starts_on": _l("Valid from"),
        "ends_on": _l("Valid until"),
        "state": _l("State"),
    }
    __table_args__ = (
        Index("ix_warranty_tariff_unit", "unit_id", "product_class", "starts_on"),
        Index("ix_warranty_tariff_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    product_class: Mapped[str] = mapped_column(String(10), default="")
    starts_on: Mapped[date] = mapped_column()
    ends_on: Mapped[date | None] = mapped_column()
    state: Mapped[str] = mapped_column(String(10), default="draft")  # draft, released, withdrawn
    note: Mapped[str] = mapped_column(Text, default="")
    copied_from: Mapped[int | None] = mapped_column(ForeignKey("warranty_tariff.id"))
    # The next one, where its beginning set ``ends_on``: withdrawn, it gives the days back.
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("warranty_tariff.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    released_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    prices: Mapped[list[TariffPrice]] = relationship(
        lambda: TariffPrice,
        back_populates="tariff",
        cascade="all, delete-orphan",
        order_by=lambda: TariffPrice.id,
    )
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class TariffPrice(UnitScoped, Base):
    """One price of a tariff: yuan per ``per``, or percent."""

    __tablename__ = "warranty_tariff_price"
    __audited__ = True
    __audit_words__ = {
        "": _l("Price of a tariff"),
        "tariff_id": _l("Tariff"),
        "item": (_l("Fee item"), values.TARIFF_ITEMS),
        "per": (_l("Per"), values.PRICE_PER),
        "amount": _l("Price"),
        "least": _l("May be lowered to"),
    }
    __table_args__ = (UniqueConstraint("tariff_id", "item"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tariff_id: Mapped[int] = mapped_column(ForeignKey("warranty_tariff.id"))
    item: Mapped[str] = mapped_column(String(20))
    per: Mapped[str] = mapped_column(String(20))
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    least: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(0))

    tariff: Mapped[Tariff] = relationship(back_populates="prices")


class PartPrice(UnitScoped, Base):
    """Finance's price of a part (配件价格) from a day on. The latest that has begun holds."""

    __tablename__ = "warranty_part_price"
    __audited__ = True
    __audit_label__ = "number"
    __audit_words__ = {
        "": _l("Part price"),
        "number": _l("Part number"),
        "name": _l("Part"),
        "price": _l("Price"),
        "starts_on": _l("Valid from"),
        "small": _l("Small fitting"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "number", "starts_on"),
        Index("ix_warranty_part_price_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    number: Mapped[str] = mapped_column(String(60))
    name: Mapped[str] = mapped_column(String(120))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    starts_on: Mapped[date] = mapped_column()
    small: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Quote(UnitScoped, Base):
    """A quote of a record (报价单). Its lines are the record's charges; here stands what was told and answered.

    ``plan`` is what it was worked out from, ``lines`` a copy of the lines as they were told, ``basis`` the versions
    of prices (tariffs, part prices, clause settings) that consent locks.
    """

    __tablename__ = "warranty_quote"
    __audited__ = True
    __audit_label__ = "number"
    __audit_mask__ = frozenset({"answered_by", "evidence"})
    __audit_words__ = {
        "": _l("Quote"),
        "record_id": _RECORD,
        "number": _l("Number"),
        "state": (_l("State"), values.QUOTE_STATES),
        "total": _l("Total"),
        "valid_until": _l("Valid until"),
        "answered_at": _l("Answered at"),
        "means": (_l("How it was confirmed"), values.CONSENT_MEANS),
        "evidence": _l("Evidence"),
        "reason": _REASON,
    }
    __table_args__ = (
        Index("ix_warranty_quote_record", "record_id", "id"),
        Index("ix_warranty_quote_list", "unit_id", "id"),
        Index(
            "ix_warranty_quote_waiting",
            "unit_id",
            "state",
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
        UniqueConstraint("unit_id", "number"),
        Index(
            "uq_warranty_quote_current",
            "record_id",
            unique=True,
            sqlite_where=text("current"),
            postgresql_where=text("current"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    number: Mapped[str] = mapped_column(String(40))
    current: Mapped[bool] = mapped_column(default=True)
    state: Mapped[str] = mapped_column(String(10), default=values.DRAFT)
    total: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    plan: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    basis: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    valid_until: Mapped[date | None] = mapped_column()
    quoted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    quoted_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_by_means: Mapped[str] = mapped_column(String(20), default="")
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_by: Mapped[str] = mapped_column(String(60), default="")  # who of the customer's
    means: Mapped[str] = mapped_column(String(20), default="")
    evidence: Mapped[str] = mapped_column(String(300), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    version: Mapped[int] = mapped_column(default=1)

    record: Mapped[Record] = relationship()
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.number


# --- receipts and invoices: records with a number, a state and a timeline --------------------------


class Receipt(UnitScoped, Base):
    """Details of a receipt (收款单): money taken from a customer, matched to charges, handed in to finance."""

    __tablename__ = "warranty_receipt"
    __audited__ = True
    __audit_mask__ = frozenset({"payer_name"})
    __audit_words__ = {
        "": _l("Receipt"),
        "amount": _l("Amount"),
        "means": (_l("Means of payment"), values.RECEIPT_MEANS),
        "payer_name": _l("Paid by"),
        "reference": _l("Reference"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_warranty_receipt_collector", "collector_id", "id"),
        Index("ix_warranty_receipt_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    means: Mapped[str] = mapped_column(String(12))
    payer_name: Mapped[str] = mapped_column(String(120), default="")
    reference: Mapped[str] = mapped_column(String(80), default="")
    collector_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    # The case it was taken at, if at one.
    case_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"), index=True)
    handed_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    record: Mapped[Record] = relationship(foreign_keys=id, lazy="joined", innerjoin=True, viewonly=False)


class ReceiptLine(UnitScoped, Base):
    """How much of a receipt pays which charge."""

    __tablename__ = "warranty_receipt_line"
    __audited__ = True
    __audit_words__ = {
        "": _l("Matching of a receipt"),
        "receipt_id": _l("Receipt"),
        "charge_id": _l("Charge"),
        "amount": _l("Amount"),
    }
    __table_args__ = (UniqueConstraint("receipt_id", "charge_id"), Index("ix_warranty_receipt_line", "charge_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("warranty_receipt.id"))
    charge_id: Mapped[int] = mapped_column(ForeignKey("core_charge.id"))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))


class Invoice(UnitScoped, Base):
    """Details of an invoice request (开票申请): what the tax platform is to issue, and the number finance enters.

    ``amount`` includes tax; ``rate`` in percent. A red invoice (红字发票) takes back ``red_amount`` of it.
    """

    __tablename__ = "warranty_invoice"
    __audited__ = True
    __audit_mask__ = frozenset({"buyer", "tax_number", "mailbox", "address", "bank"})
    __audit_label__ = "invoice_number"
    __audit_words__ = {
        "": _l("Invoice request"),
        "buyer": _l("Buyer"),
        "tax_number": _l("Tax number"),
        "mailbox": _l("E-mail address for the invoice"),
        "rate": _l("Tax rate"),
        "amount": _l("Amount with tax"),
        "invoice_number": _l("Invoice number"),
        "red_number": _l("Red invoice number"),
        "red_amount": _l("Amount taken back"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_warranty_invoice_number", "unit_id", "invoice_number"),
        Index("ix_warranty_invoice_red", "unit_id", "red_number"),
        Index("ix_warranty_invoice_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    buyer: Mapped[str] = mapped_column(String(120))
    tax_number: Mapped[str] = mapped_column(String(30), default="")
    mailbox: Mapped[str] = mapped_column(String(120), default="")
    address: Mapped[str] = mapped_column(String(200), default="")
    bank: Mapped[str] = mapped_column(String(120), default="")
    content: Mapped[str] = mapped_column(String(120), default="")
    rate: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    invoice_number: Mapped[str] = mapped_column(String(40), default="")
    issued_on: Mapped[date | None] = mapped_column()
    red_number: Mapped[str] = mapped_column(String(40), default="")
    red_on: Mapped[date | None] = mapped_column()
    red_amount: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(foreign_keys=id, lazy="joined", innerjoin=True, viewonly=False)


class InvoiceLine(UnitScoped, Base):
    """How much of a charge is on an invoice; ``red`` of it was taken back."""

    __tablename__ = "warranty_invoice_line"
    __audited__ = True
    __audit_words__ = {
        "": _l("Line of an invoice"),
        "invoice_id": _l("Invoice request"),
        "charge_id": _l("Charge"),
        "amount": _l("Amount"),
        "red": _l("Amount taken back"),
    }
    __table_args__ = (UniqueConstraint("invoice_id", "charge_id"), Index("ix_warranty_invoice_line", "charge_id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    invoice_id: Mapped[int] = mapped_column(ForeignKey("warranty_invoice.id"))
    charge_id: Mapped[int] = mapped_column(ForeignKey("core_charge.id"))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    red: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))


# --- service contracts ---------------------------------------------------------------------------


class Contract(UnitScoped, Base):
    """Details of a service contract (服务合同、服务计划): what is promised to a customer (R22-0.1, R10-3.1b)."""

    __tablename__ = "warranty_contract"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Service contract"),
        "name": _l("Name"),
        "content": _l("Service content"),
        "form": _l("Form of service"),
        "free_months": _l("Free repair (months)"),
        "solve_within": _l("Time to solve"),
        "repairer": _l("Who repairs"),
        "place": _l("Where"),
        "starts_on": _l("Valid from"),
        "ends_on": _l("Valid until"),
        "prices": _l("Agreed prices"),
    }
    __table_args__ = (ForeignKeyConstraint(*_DETAIL), Index("ix_warranty_contract_list", "unit_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(120))
    content: Mapped[str] = mapped_column(Text, default="")
    form: Mapped[str] = mapped_column(String(200), default="")
    free_months: Mapped[int | None] = mapped_column()
    solve_within: Mapped[str] = mapped_column(String(100), default="")
    repairer: Mapped[str] = mapped_column(String(100), default="")
    place: Mapped[str] = mapped_column(String(200), default="")
    training: Mapped[str] = mapped_column(Text, default="")
    extras: Mapped[str] = mapped_column(Text, default="")
    starts_on: Mapped[date | None] = mapped_column()
    ends_on: Mapped[date | None] = mapped_column()
    # Engineers and service agents for quality tracking (R22-1.7), by name as the contract has them.
    engineers: Mapped[str] = mapped_column(String(300), default="")
    agents: Mapped[str] = mapped_column(String(300), default="")
    # Bid or agreed prices that stay, tax and freight included (R14-5.4.3, R14-5.4.5): {part number: "12.50"}.
    prices: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    signed_on: Mapped[date | None] = mapped_column()

    record: Mapped[Record] = relationship(foreign_keys=id, lazy="joined", innerjoin=True, viewonly=False)

    @property
    def version(self) -> int:
        """What a form was opened with: that of the record, which every change touches."""
        return self.record.version

    def __str__(self) -> str:
        return self.name


class ContractItem(UnitScoped, Base):
    """An item that a contract is about."""

    __tablename__ = "warranty_contract_item"
    __table_args__ = (Index("ix_warranty_contract_item", "item_id"),)

    contract_id: Mapped[int] = mapped_column(ForeignKey("warranty_contract.id"), primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"), primary_key=True)


# Lists page over core_record and take the details along in the same statement.
for _name, _model in (
    ("warranty_receipt", Receipt),
    ("warranty_invoice", Invoice),
    ("warranty_contract", Contract),
):
    setattr(
        Record,
        _name,
        relationship(
            _model,
            primaryjoin=Record.id == foreign(_model.id),
            uselist=False,
            viewonly=True,
            lazy="raise",
            innerjoin=False,
        ),
    )

"""Tables of agents and settlement. Amounts owed are the core's charges; here: who is meant, what was agreed."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Numeric, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.sdk import Base, BigId, Json, Record, UnitScoped, User, UtcDateTime
from plugins.products import services as _products  # noqa: F401 - its tables are there before ours refer to them

from . import values

_RECORD, _ITEM, _CLAUSE, _REASON, _AGENT = _l("Record"), _l("Item"), _l("Clause"), _l("Reason"), _l("Agent")
_AMOUNT, _STATE, _NOTE = _l("Amount"), _l("State"), _l("Note")
_DETAIL = (["id", "unit_id"], ["core_record.id", "core_record.unit_id"])


def _only(condition: str) -> dict[str, Any]:
    """Options of an index over the rows of a condition, on either database.

    One of them finds it only where the condition is written as in the query: a flag is compared with a number.
    """
    name = condition.removeprefix("NOT ")
    as_number = condition if " " in name else f"{name} = {int(name == condition)}"
    return {"sqlite_where": text(as_number), "postgresql_where": text(condition)}


# --- the file ------------------------------------------------------------------------------------


class Agent(UnitScoped, Base):
    """An agent, partner or service agent of a unit. ``code`` never changes: it is the payer's key of charges."""

    __tablename__ = "agents_agent"
    __audited__ = True
    __audit_label__ = "name"
    __audit_mask__ = frozenset({"bank", "tax_number"})
    __audit_words__ = {
        "": _AGENT,
        "code": _l("Number"),
        "name": _l("Name"),
        "kind": (_l("Kind"), values.KINDS),
        "level": (_l("Level"), values.LEVELS),
        "regions": _l("Regions"),
        "email": _l("E-mail address"),
        "phone": _l("Phone"),
        "address": _l("Address"),
        "active": _l("In use"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "code"),
        UniqueConstraint("unit_id", "name"),
        Index("ix_agents_agent_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(10), default=values.AGENT)
    level: Mapped[str] = mapped_column(String(10), default="")
    # Names of provinces, cities ...; an address that contains one lies in the region.
    regions: Mapped[list[str]] = mapped_column(Json, default=list)
    email: Mapped[str] = mapped_column(String(120), default="")
    phone: Mapped[str] = mapped_column(String(30), default="")
    address: Mapped[str] = mapped_column(String(200), default="")
    tax_number: Mapped[str] = mapped_column(String(30), default="")
    bank: Mapped[str] = mapped_column(String(160), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Contact(UnitScoped, Base):
    """A person of an agent. With a user they sign in, and see their agent's pages only."""

    __tablename__ = "agents_contact"
    __audited__ = True
    __audit_mask__ = frozenset({"name", "phone", "email"})
    __audit_words__ = {
        "": _l("Contact of an agent"),
        "agent_id": _AGENT,
        "name": _l("Name"),
        "role": (_l("Role"), values.ROLES),
        "user_id": _l("User"),
        "active": _l("In use"),
    }
    __table_args__ = (
        Index("ix_agents_contact_agent", "agent_id", "id"),
        Index("uq_agents_contact_user", "unit_id", "user_id", unique=True, **_only("user_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    name: Mapped[str] = mapped_column(String(60))
    role: Mapped[str] = mapped_column(String(12), default=values.BUSINESS)
    phone: Mapped[str] = mapped_column(String(30), default="")
    email: Mapped[str] = mapped_column(String(120), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    agent: Mapped[Agent] = relationship()
    user: Mapped[User | None] = relationship()
    __mapper_args__ = {"version_id_col": version}


class Contract(UnitScoped, Base):
    """Details of a contract with an agent (代理合同). What was signed does not change any more.

    ``series``: names of product categories or codes of models; empty for all. ``settlement_day`` of the month.
    """

    __tablename__ = "agents_contract"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Agent contract"),
        "agent_id": _AGENT,
        "name": _l("Name of the contract"),
        "series": _l("Product series"),
        "regions": _l("Regions"),
        "starts_on": _l("Valid from"),
        "ends_on": _l("Valid until"),
        "signed_on": _l("Signed on"),
        "currency": (_l("Currency"), values.CURRENCIES),
        "handling_rate": _l("Handling fee (percent)"),
        "handling_base": (_l("Handling fee on"), values.HANDLING_BASES),
        "out_payer": (_l("Out of warranty paid by"), values.OUT_PAYERS),
        "netting": _l("Amounts are offset"),
        "settlement_day": _l("Settlement day"),
        "payment_days": _l("Days to pay"),
        "clawback_days": _l("Days in which a repeated repair is taken back"),
        "terms": _l("Other terms"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_agents_contract_agent", "agent_id", "starts_on"),
        Index("ix_agents_contract_list", "unit_id", "id"),
        Index("ix_agents_contract_end", "unit_id", "ends_on", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    name: Mapped[str] = mapped_column(String(120))
    series: Mapped[list[str]] = mapped_column(Json, default=list)
    regions: Mapped[list[str]] = mapped_column(Json, default=list)
    starts_on: Mapped[date] = mapped_column()
    ends_on: Mapped[date | None] = mapped_column()
    signed_on: Mapped[date | None] = mapped_column()
    # The day it was ended before its time; it holds until then, that day included.
    ended_on: Mapped[date | None] = mapped_column()
    currency: Mapped[str] = mapped_column(String(3), default=values.CNY)
    handling_rate: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))
    handling_base: Mapped[str] = mapped_column(String(14), default="")
    out_payer: Mapped[str] = mapped_column(String(10), default=values.CUSTOMER_PAYS)
    netting: Mapped[bool] = mapped_column(default=False)
    settlement_day: Mapped[int] = mapped_column(default=5)
    payment_days: Mapped[int | None] = mapped_column()
    clawback_days: Mapped[int | None] = mapped_column()
    terms: Mapped[str] = mapped_column(Text, default="")

    agent: Mapped[Agent] = relationship()
    record: Mapped[Record] = relationship(foreign_keys=id, lazy="joined", innerjoin=True, viewonly=False)


class Rate(UnitScoped, Base):
    """A rate of a contract: yuan or percent, for cases of one nature or of any ('')."""

    __tablename__ = "agents_rate"
    __audited__ = True
    __audit_words__ = {
        "": _l("Rate of a contract"),
        "contract_id": _l("Agent contract"),
        "direction": (_l("Who owes"), values.DIRECTIONS),
        "basis": (_l("Counted by"), values.RATE_BASES),
        "nature": _l("Nature of the case"),
        "amount": _AMOUNT,
    }
    __table_args__ = (UniqueConstraint("contract_id", "direction", "basis", "nature"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contract_id: Mapped[int] = mapped_column(ForeignKey("agents_contract.id"))
    direction: Mapped[str] = mapped_column(String(10))
    basis: Mapped[str] = mapped_column(String(16))
    nature: Mapped[str] = mapped_column(String(20), default="")
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))


# --- who sold what, who was told what ------------------------------------------------------------


class Seller(UnitScoped, Base):
    """Which agent sold an item (销售方). A correction is a further row with a reason; the latest is ``current``."""

    __tablename__ = "agents_seller"
    __audited__ = True
    __audit_words__ = {
        "": _l("Seller of an item"),
        "item_id": _ITEM,
        "agent_id": _AGENT,
        "sold_on": _l("Sold on"),
        "document": _l("Sales record"),
        "source": (_l("Known from"), values.SOURCES),
        "reason": _REASON,
    }
    __table_args__ = (
        Index("ix_agents_seller_agent", "agent_id", "id"),
        Index("ix_agents_seller_list", "unit_id", "id"),
        Index("uq_agents_seller_current", "item_id", unique=True, **_only("current")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("products_item.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    sold_on: Mapped[date | None] = mapped_column()
    document: Mapped[str] = mapped_column(String(80), default="")
    source: Mapped[str] = mapped_column(String(10), default=values.BY_HAND)
    # Where the item is used lies outside the agent's regions: entered all the same, and shown.
    outside: Mapped[bool] = mapped_column(default=False)
    current: Mapped[bool] = mapped_column(default=True)
    reason: Mapped[str] = mapped_column(String(300), default="")
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    agent: Mapped[Agent] = relationship()


class CaseAgent(UnitScoped, Base):
    """What a case has to do with an agent: who was named, and how its service was billed to them."""

    __tablename__ = "agents_case"
    __audited__ = True
    __audit_words__ = {
        "": _l("Agent of a case"),
        "record_id": _RECORD,
        "agent_id": _AGENT,
        "billed_at": _l("Billed at"),
        "nothing_because": _l("Nothing is billed because"),
    }
    __table_args__ = (Index("ix_agents_case_agent", "agent_id", "record_id"),)

    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"), primary_key=True, autoincrement=False)
    # Whom it is billed to; named by hand where no item or no seller says so.
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agents_agent.id"))
    named: Mapped[bool] = mapped_column(default=False)
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("agents_contract.id"))
    clause: Mapped[str] = mapped_column(String(40), default="")
    # The plan that was typed, and the priced lines it came to, with why.
    plan: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    billed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    nothing_because: Mapped[str] = mapped_column(String(300), default="")
    version: Mapped[int] = mapped_column(default=1)

    agent: Mapped[Agent | None] = relationship()
    __mapper_args__ = {"version_id_col": version}


class Notice(UnitScoped, Base):
    """That an agent was told before service (服务通知, R18-5.1.2, R19-5.1.2), how, and what shows it."""

    __tablename__ = "agents_notice"
    __audited__ = True
    __audit_mask__ = frozenset({"to", "evidence"})
    __audit_words__ = {
        "": _l("Notice to an agent"),
        "record_id": _RECORD,
        "agent_id": _AGENT,
        "means": (_l("How they were told"), values.NOTICE_MEANS),
        "told_at": _l("Told at"),
    }
    __table_args__ = (
        Index("ix_agents_notice_record", "record_id", "id"),
        Index("ix_agents_notice_agent", "agent_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    means: Mapped[str] = mapped_column(String(10))
    to: Mapped[str] = mapped_column(String(120), default="")
    evidence: Mapped[str] = mapped_column(String(300), default="")
    document_id: Mapped[int | None] = mapped_column(ForeignKey("core_document.id"))
    # The e-mail that told them: one that did not arrive told nobody.
    mail_id: Mapped[int | None] = mapped_column(ForeignKey("core_mail.id"))
    told_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    agent: Mapped[Agent] = relationship()


class Request(UnitScoped, Base):
    """A partner's request for service (书面请求, R13-5.2.2.1, R19-5.2.2.1). The latest of a case is ``current``."""

    __tablename__ = "agents_request"
    __audited__ = True
    __audit_words__ = {
        "": _l("Request of a partner"),
        "record_id": _RECORD,
        "agent_id": _AGENT,
        "form": (_l("Form of the request"), values.REQUEST_FORMS),
        "number": _l("Number of the letter"),
        "dated_on": _l("Dated"),
    }
    __table_args__ = (
        Index("ix_agents_request_agent", "agent_id", "id"),
        Index("uq_agents_request_current", "record_id", unique=True, **_only("current")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    form: Mapped[str] = mapped_column(String(8))
    number: Mapped[str] = mapped_column(String(60), default="")
    dated_on: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    clause: Mapped[str] = mapped_column(String(40), default="")
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    agreed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    current: Mapped[bool] = mapped_column(default=True)
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    agent: Mapped[Agent] = relationship()


class Order(UnitScoped, Base):
    """A case that is in the hands of an agent's technician (转派单). It follows the case's own steps."""

    __tablename__ = "agents_order"
    __audited__ = True
    __audit_words__ = {
        "": _l("Order to a service agent"),
        "record_id": _RECORD,
        "agent_id": _AGENT,
        "state": (_STATE, values.ORDER_STATES),
        "reason": _REASON,
    }
    __table_args__ = (
        Index("ix_agents_order_agent", "agent_id", "id"),
        Index("ix_agents_order_list", "unit_id", "id"),
        Index("uq_agents_order_current", "record_id", unique=True, **_only("current")),
        Index("ix_agents_order_repeated", "repeated_id", **_only("repeated_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    contact_id: Mapped[int] = mapped_column(ForeignKey("agents_contact.id"))
    state: Mapped[str] = mapped_column(String(10), default=values.PASSED)
    current: Mapped[bool] = mapped_column(default=True)
    passed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")
    # What we owe for it by which contract; None: no rate of a contract says so, somebody must look.
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("agents_contract.id"))
    visits: Mapped[int] = mapped_column(default=1)
    # A later case of the same item that was decided as a faulty repair inside the days of DL-2.
    repeated_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    taken_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    agent: Mapped[Agent] = relationship()
    contact: Mapped[Contact] = relationship()
    record: Mapped[Record] = relationship(foreign_keys=record_id)
    repeated: Mapped[Record | None] = relationship(foreign_keys=repeated_id)


class OldPart(UnitScoped, Base):
    """A part taken out on a case, to be handed in (旧件): a plain register until a fuller one exists."""

    __tablename__ = "agents_old_part"
    __audited__ = True
    __audit_label__ = "part"
    __audit_words__ = {
        "": _l("Old part"),
        "record_id": _RECORD,
        "part": _l("Part"),
        "serial": _l("Serial number"),
        "quantity": _l("Quantity"),
        "state": (_STATE, values.OLD_PART_STATES),
        "received_on": _l("Handed in on"),
        "place": _l("Place"),
        "note": _NOTE,
    }
    __table_args__ = (
        Index("ix_agents_old_part_record", "record_id", "id"),
        Index("ix_agents_old_part_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    part: Mapped[str] = mapped_column(String(120))
    serial: Mapped[str] = mapped_column(String(60), default="")
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 3), default=Decimal(1))
    state: Mapped[str] = mapped_column(String(10), default=values.EXPECTED)
    received_on: Mapped[date | None] = mapped_column()
    place: Mapped[str] = mapped_column(String(60), default="")
    note: Mapped[str] = mapped_column(String(300), default="")
    version: Mapped[int] = mapped_column(default=1)

    record: Mapped[Record] = relationship()
    __mapper_args__ = {"version_id_col": version}


# --- statements ----------------------------------------------------------------------------------


class Statement(UnitScoped, Base):
    """Details of a statement (结算单): what an agent and we owe each other for a month, both gross.

    ``receivable`` and ``payable`` (yuan) are the sums of its lines by direction, those moved away left out.
    """

    __tablename__ = "agents_statement"
    __audited__ = True
    __audit_label__ = "period"
    __audit_words__ = {
        "": _l("Statement of an agent"),
        "agent_id": _AGENT,
        "period": _l("Period"),
        "receivable": _l("They owe us (yuan)"),
        "payable": _l("We owe them (yuan)"),
        "due_on": _l("Due on"),
        "netting": _l("Amounts are offset"),
        "our_invoice": _l("Our invoice"),
        "their_invoice": _l("Their invoice"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_agents_statement_list", "unit_id", "id"),
        Index("ix_agents_statement_agent", "agent_id", "period", "id"),
        # One at a time that still takes lines up, so that two runs never make two.
        Index("uq_agents_statement_draft", "agent_id", "period", unique=True, **_only("drafting")),
        Index("ix_agents_statement_due", "unit_id", "due_on", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    period: Mapped[str] = mapped_column(String(7))
    drafting: Mapped[bool] = mapped_column(default=True)
    receivable: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))
    payable: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))
    line_count: Mapped[int] = mapped_column(default=0)
    failed_count: Mapped[int] = mapped_column(default=0)
    disputed_count: Mapped[int] = mapped_column(default=0)
    netting: Mapped[bool] = mapped_column(default=False)
    contract_id: Mapped[int | None] = mapped_column(ForeignKey("agents_contract.id"))
    # The clause under which it falls due ('': none does), and the days to pay where the contract says so.
    clause: Mapped[str] = mapped_column(String(40), default="")
    payment_days: Mapped[int | None] = mapped_column()
    made_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    due_on: Mapped[date | None] = mapped_column()
    # Paid so far, by direction; what is offset counts to both.
    received: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))
    paid: Mapped[Decimal] = mapped_column(Numeric(14, 2), default=Decimal(0))
    our_invoice: Mapped[str] = mapped_column(String(60), default="")
    their_invoice: Mapped[str] = mapped_column(String(60), default="")

    agent: Mapped[Agent] = relationship()
    record: Mapped[Record] = relationship(foreign_keys=id, lazy="joined", innerjoin=True, viewonly=False)


class StatementLine(UnitScoped, Base):
    """A charge on a statement: on one at most, unless it was moved away (``released``)."""

    __tablename__ = "agents_line"
    __audited__ = True
    __audit_words__ = {
        "": _l("Line of a statement"),
        "statement_id": _l("Statement of an agent"),
        "charge_id": _l("Charge"),
        "amount": _AMOUNT,
        "state": (_STATE, values.LINE_STATES),
        "dispute": _l("Why they dispute it"),
        "claimed": _l("Amount by their account"),
        "answer": _l("Our answer"),
        "review": _l("Note on the checks"),
    }
    __table_args__ = (
        Index("ix_agents_line_statement", "statement_id", "id"),
        Index("ix_agents_line_record", "record_id", "id"),
        # What was billed for an item before.
        Index("ix_agents_line_item", "item_id", **_only("item_id IS NOT NULL")),
        Index("uq_agents_line_charge", "charge_id", unique=True, **_only("NOT released")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("agents_statement.id"))
    charge_id: Mapped[int] = mapped_column(ForeignKey("core_charge.id"))
    # Of the charge, frozen with the statement: case, clause, what for, who owes, yuan (negative for corrections).
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    clause: Mapped[str] = mapped_column(String(40))
    # What was billed for the first time; '' for corrections. The same work on the same item is looked at twice.
    code: Mapped[str] = mapped_column(String(40), default="")
    label: Mapped[str] = mapped_column(String(200))
    label_en: Mapped[str] = mapped_column(String(200), default="")
    direction: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    item_id: Mapped[int | None] = mapped_column(ForeignKey("products_item.id"))
    # {check: [result, detail]} in ``values.CHECKS``.
    checks: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    failed: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(10), default=values.OPEN)
    dispute: Mapped[str] = mapped_column(Text, default="")
    claimed: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    answer: Mapped[str] = mapped_column(Text, default="")
    # What whoever looked at a failed check found.
    review: Mapped[str] = mapped_column(String(300), default="")
    answered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    released: Mapped[bool] = mapped_column(default=False)

    statement: Mapped[Statement] = relationship()
    record: Mapped[Record] = relationship()


class Payment(UnitScoped, Base):
    """A payment between an agent and us, matched to statements by ``PaymentLine``; the rest is kept on account."""

    __tablename__ = "agents_payment"
    __audited__ = True
    __audit_words__ = {
        "": _l("Payment of an agent"),
        "agent_id": _AGENT,
        "kind": (_l("Kind"), values.PAYMENT_KINDS),
        "amount": _AMOUNT,
        "paid_on": _l("Paid on"),
        "reference": _l("Reference"),
        "void_reason": _REASON,
    }
    __table_args__ = (
        Index("ix_agents_payment_list", "unit_id", "id"),
        Index("ix_agents_payment_agent", "agent_id", "id"),
        # The same transfer is never entered twice.
        Index("uq_agents_payment_reference", "agent_id", "kind", "reference", unique=True, **_only("NOT void")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    kind: Mapped[str] = mapped_column(String(8))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    paid_on: Mapped[date] = mapped_column()
    reference: Mapped[str] = mapped_column(String(80))
    note: Mapped[str] = mapped_column(String(300), default="")
    void: Mapped[bool] = mapped_column(default=False)
    void_reason: Mapped[str] = mapped_column(String(300), default="")
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    agent: Mapped[Agent] = relationship()
    __mapper_args__ = {"version_id_col": version}


class PaymentLine(UnitScoped, Base):
    """How much of a payment belongs to which statement, on which side."""

    __tablename__ = "agents_payment_line"
    __audited__ = True
    __audit_words__ = {
        "": _l("Matching of a payment"),
        "payment_id": _l("Payment of an agent"),
        "statement_id": _l("Statement of an agent"),
        "direction": (_l("Who owes"), values.DIRECTIONS),
        "amount": _AMOUNT,
    }
    __table_args__ = (
        UniqueConstraint("payment_id", "statement_id", "direction"),
        Index("ix_agents_payment_line_statement", "statement_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("agents_payment.id"))
    statement_id: Mapped[int] = mapped_column(ForeignKey("agents_statement.id"))
    direction: Mapped[str] = mapped_column(String(10))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))


# --- quality of service agents -------------------------------------------------------------------


class Evaluation(UnitScoped, Base):
    """A look at a service agent by visit, phone or questionnaire (R22-1.X4): scores from 1 to 5."""

    __tablename__ = "agents_evaluation"
    __audited__ = True
    __audit_words__ = {
        "": _l("Evaluation of an agent"),
        "agent_id": _AGENT,
        "on": _l("Date"),
        "means": _l("Means"),
        "awareness": _l("Awareness of service"),
        "attitude": _l("Attitude"),
        "skill": _l("Level of skill"),
        "quality": _l("Quality of service"),
        "satisfaction": _l("Satisfaction of their customers"),
    }
    __table_args__ = (
        Index("ix_agents_evaluation_agent", "agent_id", "on"),
        Index("ix_agents_evaluation_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    agent_id: Mapped[int] = mapped_column(ForeignKey("agents_agent.id"))
    on: Mapped[date] = mapped_column()
    means: Mapped[str] = mapped_column(String(16))
    awareness: Mapped[int] = mapped_column()
    attitude: Mapped[int] = mapped_column()
    skill: Mapped[int] = mapped_column()
    quality: Mapped[int] = mapped_column()
    satisfaction: Mapped[int | None] = mapped_column()
    finding: Mapped[str] = mapped_column(Text, default="")
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    agent: Mapped[Agent] = relationship()

"""Tables of money: charges of every kind, and penalty proposals, which the suite never deducts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import ForeignKey, Index, Numeric, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from core.kernel.database import Base, BigId, Json, UnitScoped, UtcDateTime
from core.records.models import Record
from core.users.models import User

from .obligation_models import Obligation

PROPOSED, QUOTED, CONSENTED, WAIVED, POSTED, SETTLED, VOID = (
    "proposed",
    "quoted",
    "consented",
    "waived",
    "posted",
    "settled",
    "void",
)
CHARGE_STATES = (PROPOSED, QUOTED, CONSENTED, WAIVED, POSTED, SETTLED, VOID)
CHARGE_WORDS = (
    (PROPOSED, _l("Proposed")),
    (QUOTED, _l("Quoted")),
    (CONSENTED, _l("Consented to")),
    (WAIVED, _l("Waived")),
    (POSTED, _l("Posted")),
    (SETTLED, _l("Settled")),
    (VOID, _l("Void")),
)

CUSTOMER, AGENT, PARTNER, COMPANY, EMPLOYEE = "customer", "agent", "partner", "company", "employee"
PAYERS = (
    (CUSTOMER, _l("Customer")),
    (AGENT, _l("Agent")),
    (PARTNER, _l("Partner")),
    (COMPANY, _l("Our company")),
    (EMPLOYEE, _l("Employee")),
)

# Penalty proposals (考核建议).
AGREED, DROPPED, WITHDRAWN = "agreed", "dropped", "withdrawn"
PENALTY_STATES = (PROPOSED, AGREED, DROPPED, WITHDRAWN)
PENALTY_WORDS = (
    (PROPOSED, _l("Undecided")),
    (AGREED, _l("Agreed")),
    (DROPPED, _l("Dropped")),
    (WITHDRAWN, _l("Withdrawn")),
)

_MONEY_WORDS = {
    "clause": _l("Clause"),
    "source": _l("Worked out from"),
    "amount": _l("Amount"),
    "reason": _l("Reason"),
    "inputs": _l("Worked out from"),
    "approval_id": _l("Approval"),
    "record_id": _l("Record"),
    "created_by": _l("Added by"),
}


class Charge(UnitScoped, Base):
    """One line of money that somebody owes for a record, with the clause and the inputs it was worked out from.

    ``amount`` is in yuan, rounded half up to 0.01; negative only in lines that adjust another (``adjusts_id``) or
    waive. ``month`` is the posting month (``2026-11``) of a posted line, which never changes again.
    """

    __tablename__ = "core_charge"
    __audited__ = True
    __audit_label__ = "label"
    __audit_words__ = MappingProxyType(
        {
            **_MONEY_WORDS,
            "": _l("Charge"),
            "state": (_l("State"), CHARGE_WORDS),
            "payer": (_l("Payer"), PAYERS),
            "payer_ref": _l("Payer's key"),
            "label": _l("What for"),
            "line": _l("Line"),
            "quantity": _l("Quantity"),
            "price": _l("Price"),
            "month": _l("Posting month"),
            "posted_at": _l("Posted at"),
            "adjusts_id": _l("Adjusts line"),
        }
    )
    __table_args__ = (
        Index("ix_core_charge_list", "unit_id", "id"),
        Index("ix_core_charge_record", "record_id", "id"),
        Index("ix_core_charge_unit", "unit_id", "state", "id"),
        Index("ix_core_charge_month", "unit_id", "month", "payer", "id"),
        # What is to be settled with one payer.
        Index(
            "ix_core_charge_payer",
            "unit_id",
            "payer_ref",
            "id",
            sqlite_where=text("payer_ref <> ''"),
            postgresql_where=text("payer_ref <> ''"),
        ),
        # A line is worked out once, however often the step that makes it is tried.
        UniqueConstraint("record_id", "source", "line"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    clause: Mapped[str] = mapped_column(String(40))
    # Who worked it out, and which line of its it is: together the key that keeps a retry from doubling it.
    source: Mapped[str] = mapped_column(String(80))
    line: Mapped[int] = mapped_column(default=1)
    code: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(String(200))
    payer: Mapped[str] = mapped_column(String(20))
    # Key of the payer in its own room ('' for the record's customer).
    payer_ref: Mapped[str] = mapped_column(String(60), default="")
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 3), default=Decimal(1))
    price: Mapped[Decimal] = mapped_column(Numeric(14, 4), default=Decimal(0))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 2))
    state: Mapped[str] = mapped_column(String(10), default=PROPOSED)
    adjusts_id: Mapped[int | None] = mapped_column(ForeignKey("core_charge.id"))
    month: Mapped[str] = mapped_column(String(7), default="")
    posted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    reason: Mapped[str] = mapped_column(Text, default="")
    # Parameter values and setting versions, and what they were applied to.
    inputs: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    record: Mapped[Record] = relationship()
    adjusts: Mapped[Charge | None] = relationship(remote_side=id)
    __mapper_args__ = {"version_id_col": version}


class ClosedMonth(UnitScoped, Base):
    """A month of a unit's charges that is closed: corrections go as adjusting lines into an open one."""

    __tablename__ = "core_closed_month"
    __audited__ = True
    __audit_label__ = "month"
    __audit_words__ = MappingProxyType(
        {
            "": _l("Closed month"),
            "month": _l("Closed month"),
            "closed_at": _l("Closed at"),
            "closed_by": _l("Closed by"),
        }
    )

    unit_id: Mapped[int] = mapped_column(ForeignKey("core_unit.id"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))


class Penalty(UnitScoped, Base):
    """A penalty proposal (考核建议) from a breach. It waits for a decision; nothing is ever deducted here.

    ``amount`` in yuan is what the clause comes to, or what was chosen inside ``least`` and ``most``.
    """

    __tablename__ = "core_penalty"
    __audited__ = True
    __audit_label__ = "clause"
    __audit_words__ = MappingProxyType(
        {
            **_MONEY_WORDS,
            "": _l("Penalty proposal"),
            "state": (_l("State"), PENALTY_WORDS),
            "broken": _l("Broken clause"),
            "least": _l("At least"),
            "most": _l("At most"),
            "position": _l("Position"),
            "statement": _l("Statement of the person"),
            "statement_at": _l("Stated at"),
            "decided_at": _l("Decided at"),
            "decided_by": _l("Who decided"),
            "root_fact_id": _l("Follows from"),
        }
    )
    __table_args__ = (
        UniqueConstraint("record_id", "clause", "source"),
        Index("ix_core_penalty_list", "unit_id", "created_at", "id"),
        Index("ix_core_penalty_unit", "unit_id", "state", "created_at", "id"),
        Index("ix_core_penalty_user", "user_id", "created_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    record_id: Mapped[int] = mapped_column(ForeignKey("core_record.id"))
    clause: Mapped[str] = mapped_column(String(40))
    # What it follows from: ``breach:17``, or what a service named.
    source: Mapped[str] = mapped_column(String(80))
    broken: Mapped[str] = mapped_column(String(40), default="")
    # With record and ``broken`` the key of the obligation, whose lateness grows while it is open.
    root_fact_id: Mapped[int | None] = mapped_column(ForeignKey("core_fact.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    position: Mapped[str] = mapped_column(String(40), default="")
    amount: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    least: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    most: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    state: Mapped[str] = mapped_column(String(10), default=PROPOSED)
    statement: Mapped[str] = mapped_column(Text, default="")
    statement_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(Text, default="")
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    inputs: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    record: Mapped[Record] = relationship()
    user: Mapped[User | None] = relationship(foreign_keys=user_id)
    decider: Mapped[User | None] = relationship(foreign_keys=decided_by)
    obligation: Mapped[Obligation | None] = relationship(
        primaryjoin=lambda: (
            (Obligation.record_id == foreign(Penalty.record_id))
            & (Obligation.clause == foreign(Penalty.broken))
            & (Obligation.root_fact_id == foreign(Penalty.root_fact_id))
        ),
        viewonly=True,
        uselist=False,
    )
    __mapper_args__ = {"version_id_col": version}

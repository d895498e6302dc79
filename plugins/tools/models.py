"""Tables of tool custody. Who holds a tool stands in ``Custody`` alone; amounts owed are the core's charges."""

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

from core.sdk import Base, BigId, Json, Record, UnitScoped, User, UtcDateTime

from . import values

_TOOL, _PERSON, _PLACE, _KIND, _PARTY = _l("Tool"), _l("Employee"), _l("Place"), _l("Kind of tool"), _l("Held by")
_NAME, _NOTE, _STATE, _ACTIVE = _l("Name"), _l("Note"), _l("State"), _l("In use")
_PRICE, _QUANTITY, _REASON, _AMOUNT = _l("Price"), _l("Quantity"), _l("Reason"), _l("Amount")
_DETAIL = (["id", "unit_id"], ["core_record.id", "core_record.unit_id"])

# A record joins flat: nested, SQLite would build a table of all tools first. SQLAlchemy's types know flags only.
_FLAT: Any = "unnested"


def _only(condition: str) -> dict[str, Any]:
    """Options of an index over the rows of a condition, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# --- the file ------------------------------------------------------------------------------------


class Kind(UnitScoped, Base):
    """A kind of tool (cable tester, wire stripper ...). ``life_months``: 0 for no end of life.

    ``needs_permit``: only who was trained gets one (R33-2.1). ``low_stock``: fewer in the stores are pointed out.
    Of a kind with category ``consumable`` quantities are kept (``Stock``), no numbered tools.
    """

    __tablename__ = "tools_kind"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _KIND,
        "code": _l("Code"),
        "name": _NAME,
        "category": (_l("Category"), values.CATEGORIES),
        "price": _PRICE,
        "life_months": _l("Service life (months)"),
        "needs_permit": _l("Needs a permit"),
        "maintain_months": _l("Maintained every (months)"),
        "calibrate_months": _l("Calibrated every (months)"),
        "active": _ACTIVE,
        "measure": _l("Counted in"),
        "low_stock": _l("At least in the stores"),
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "code"),
        UniqueConstraint("unit_id", "name"),
        Index("ix_tools_kind_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    code: Mapped[str] = mapped_column(String(30))
    name: Mapped[str] = mapped_column(String(80))
    name_en: Mapped[str] = mapped_column(String(80), default="")
    category: Mapped[str] = mapped_column(String(12), default=values.COMMON)
    measure: Mapped[str] = mapped_column(String(10), default="")
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    life_months: Mapped[int | None] = mapped_column()  # None: as the clause says
    needs_permit: Mapped[bool] = mapped_column(default=False)
    maintain_months: Mapped[int] = mapped_column(default=0)
    calibrate_months: Mapped[int] = mapped_column(default=0)
    low_stock: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class Kit(UnitScoped, Base):
    """A set of tools (个人标配): ``standard`` is what each technician gets one of (R35-4.1)."""

    __tablename__ = "tools_kit"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {"": _l("Tool set"), "name": _NAME, "standard": _l("Standard set"), "active": _ACTIVE}
    __table_args__ = (UniqueConstraint("unit_id", "name"), Index("ix_tools_kit_list", "unit_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    standard: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    lines: Mapped[list[KitLine]] = relationship(
        back_populates="kit", cascade="all, delete-orphan", order_by="KitLine.id", lazy="raise_on_sql"
    )
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name


class KitLine(UnitScoped, Base):
    """So many of a kind belong to a set."""

    __tablename__ = "tools_kit_line"
    __table_args__ = (UniqueConstraint("kit_id", "kind_id"), CheckConstraint("quantity > 0", name="quantity"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kit_id: Mapped[int] = mapped_column(ForeignKey("tools_kit.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"), index=True)
    quantity: Mapped[int] = mapped_column(default=1)

    kit: Mapped[Kit] = relationship(back_populates="lines")
    kind: Mapped[Kind] = relationship()


class Party(UnitScoped, Base):
    """Who can hold tools: a store with its named keeper, a person, another department, a repairer, the scrap heap.

    A person has one party in a unit. ``user_id`` of a store is its keeper, of a department who signs for it.
    """

    __tablename__ = "tools_party"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {
        "": _l("Holder of tools"),
        "kind": (_l("What it is"), values.PARTY_KINDS),
        "name": _NAME,
        "user_id": _l("Keeper or person"),
        "contact": _l("Contact"),
        "active": _ACTIVE,
    }
    __table_args__ = (
        UniqueConstraint("unit_id", "kind", "name"),
        Index("uq_tools_party_person", "unit_id", "user_id", unique=True, **_only("kind = 'person'")),
        Index("ix_tools_party_list", "unit_id", "kind", "id"),
        Index("ix_tools_party_user", "user_id", "kind"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind: Mapped[str] = mapped_column(String(12))
    # Of a person their user's name with the user's id, which keeps it unique: ``party_name`` shows the name alone.
    name: Mapped[str] = mapped_column(String(120))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    contact: Mapped[str] = mapped_column(String(120), default="")
    active: Mapped[bool] = mapped_column(default=True)
    version: Mapped[int] = mapped_column(default=1)

    user: Mapped[User | None] = relationship()
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return self.name.rpartition(" #")[0] if self.kind == values.PERSON else self.name


class Place(UnitScoped, Base):
    """A shelf, cabinet or bay of a store (R32-3.1, R33-4.1)."""

    __tablename__ = "tools_place"
    __audited__ = True
    __audit_label__ = "name"
    __audit_words__ = {"": _PLACE, "store_id": _l("Tool store"), "name": _NAME, "active": _ACTIVE}
    __table_args__ = (UniqueConstraint("store_id", "name"), Index("ix_tools_place_list", "unit_id", "id"))

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    store_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    name: Mapped[str] = mapped_column(String(80))
    active: Mapped[bool] = mapped_column(default=True)

    store: Mapped[Party] = relationship()

    def __str__(self) -> str:
        return self.name


class Permit(UnitScoped, Base):
    """A person may use a kind of tool after training (R33-2.1), or keep special ones personally (R15-17)."""

    __tablename__ = "tools_permit"
    __audited__ = True
    __audit_words__ = {
        "": _l("Permit"),
        "user_id": _PERSON,
        "kind_id": _KIND,
        "what": (_l("What it allows"), values.PERMITS),
        "starts_on": _l("Valid from"),
        "ends_on": _l("Valid until"),
        "basis": _l("Training or paper"),
        "ended_on": _l("Taken back on"),
        "reason": _REASON,
        "granted_by": _l("Given by"),
    }
    __table_args__ = (
        Index("ix_tools_permit_list", "unit_id", "id"),
        Index("ix_tools_permit_person", "user_id", "kind_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    what: Mapped[str] = mapped_column(String(8), default=values.USE_PERMIT)
    starts_on: Mapped[date] = mapped_column()
    ends_on: Mapped[date | None] = mapped_column()  # the last day it holds
    basis: Mapped[str] = mapped_column(String(200), default="")
    ended_on: Mapped[date | None] = mapped_column()  # taken back: it does not hold from this day on
    reason: Mapped[str] = mapped_column(String(300), default="")
    granted_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    version: Mapped[int] = mapped_column(default=1)

    user: Mapped[User] = relationship(foreign_keys=user_id)
    kind: Mapped[Kind] = relationship()
    __mapper_args__ = {"version_id_col": version}

    def __str__(self) -> str:
        return f"{self.user.name} · {self.kind.name}"


class Tool(UnitScoped, Base):
    """Details of one numbered tool; its head is a record of type ``tools_tool``.

    ``code`` is the number on the tool, unique in the unit (R32-3.2); the record has the same number. ``price``
    is the original price with tax, in yuan. ``place_id``: where it belongs in a store. ``due_at``: by when it is
    to be back, while on loan or taken for a job; ``lent_at``: since when. ``custody_seq``: of the latest spell.
    """

    __tablename__ = "tools_tool"
    __audited__ = True
    __audit_label__ = "code"
    __audit_words__ = {
        "": _TOOL,
        "code": _l("Tool number"),
        "kind_id": _KIND,
        "name": _NAME,
        "model": _l("Brand and model"),
        "serial": _l("Serial number"),
        "price": _PRICE,
        "bought_on": _l("Bought on"),
        "asset_class": (_l("Asset class"), values.ASSET_CLASSES),
        "place_id": _PLACE,
        "life_months": _l("Service life (months)"),
        "maintainer_id": _l("Maintainer"),
        "maintain_on": _l("Next maintenance"),
        "calibrate_on": _l("Calibrated until"),
        "maker": _l("Maker"),
        "supplier": _l("Supplier"),
        "condition": (_l("Condition of tools"), values.CONDITIONS),
        "lent_at": _l("Lent at"),
        "due_at": _l("Back by"),
        "borrowed": _l("Borrowed"),
        "used_until": _l("Use ended at"),
        "outside": _l("Taken out"),
        "custody_seq": _l("Changes of holder"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        UniqueConstraint("unit_id", "code"),
        Index("ix_tools_tool_list", "unit_id", "id"),
        Index("ix_tools_tool_kind", "unit_id", "kind_id", "id"),
        Index("ix_tools_tool_serial", "unit_id", "serial", **_only("serial <> ''")),
        Index("ix_tools_tool_place", "place_id", "id"),
        Index("ix_tools_tool_maintain", "unit_id", "maintain_on", "id", **_only("maintain_on IS NOT NULL")),
        Index("ix_tools_tool_calibrate", "unit_id", "calibrate_on", "id", **_only("calibrate_on IS NOT NULL")),
        Index("ix_tools_tool_due", "unit_id", "due_at", "id", **_only("due_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(String(40))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    name: Mapped[str] = mapped_column(String(120))
    model: Mapped[str] = mapped_column(String(80), default="")
    serial: Mapped[str] = mapped_column(String(60), default="")
    maker: Mapped[str] = mapped_column(String(80), default="")
    supplier: Mapped[str] = mapped_column(String(120), default="")
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    bought_on: Mapped[date | None] = mapped_column()
    asset_class: Mapped[str] = mapped_column(String(12), default="")
    life_months: Mapped[int | None] = mapped_column()  # None: as its kind or the clause says
    place_id: Mapped[int | None] = mapped_column(ForeignKey("tools_place.id"))
    condition: Mapped[str] = mapped_column(String(10), default=values.SOUND)
    maintainer_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    maintain_on: Mapped[date | None] = mapped_column()
    calibrate_on: Mapped[date | None] = mapped_column()  # the last day the calibration holds
    lent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    borrowed: Mapped[bool] = mapped_column(default=False)  # a loan (R33-6.2), not taken for a job (R33-4.2)
    used_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # use ended, not brought back yet (R32-4.3)
    outside: Mapped[bool] = mapped_column(default=False)  # taken out of the premises
    custody_seq: Mapped[int] = mapped_column(default=0)
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False)
    kind: Mapped[Kind] = relationship()
    place: Mapped[Place | None] = relationship(lambda: Place)
    maintainer: Mapped[User | None] = relationship()

    def __str__(self) -> str:
        return f"{self.code} {self.name}"

    @property
    def version(self) -> int:
        """The version of its record, which every step and correction raises: forms compare it."""
        return self.record.version


# --- the custody ledger ----------------------------------------------------------------------------


class Custody(UnitScoped, Base):
    """A spell of custody (工具台账): a party holds a tool until the next hand-over. Rows are closed, never changed.

    One open spell a tool (``ends_at`` empty): two holders at once are impossible. ``seq`` counts a tool's spells.
    """

    __tablename__ = "tools_custody"
    __table_args__ = (
        UniqueConstraint("tool_id", "seq"),
        Index("uq_tools_custody_holder", "tool_id", unique=True, **_only("ends_at IS NULL")),
        # SQLite has no statistics: the more columns are known, the sooner it takes an index. With ``ends_at`` this
        # one beats those of all that a party ever held, with ``unit_id`` they beat the ledger of the whole unit.
        Index("ix_tools_custody_held", "party_id", "ends_at", "unit_id", "tool_id", **_only("ends_at IS NULL")),
        Index("ix_tools_custody_party", "party_id", "unit_id", "starts_at", "id"),
        Index("ix_tools_custody_ledger", "unit_id", "id"),
        Index("ix_tools_custody_of_party", "party_id", "unit_id", "id"),
        Index("ix_tools_custody_how", "unit_id", "how", "id"),
        Index("ix_tools_custody_began", "unit_id", "starts_at"),
        CheckConstraint("ends_at IS NULL OR ends_at >= starts_at", name="order"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tool_id: Mapped[int] = mapped_column(ForeignKey("tools_tool.id"))
    seq: Mapped[int] = mapped_column()
    party_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The hand-over that began it (None: registered), and why.
    handover_id: Mapped[int | None] = mapped_column(ForeignKey("tools_handover.id"))
    how: Mapped[str] = mapped_column(String(12), default="")  # kind of hand-over; '' for the registration

    party: Mapped[Party] = relationship()
    tool: Mapped[Tool] = relationship()


class Handover(UnitScoped, Base):
    """Details of a hand-over between two parties (交接单), accepted by both; its record is a ``tools_handover``.

    ``giver_by``/``taker_by``: who said yes for each side, when and how; nothing has moved before both did.
    ``application_id``: what it carries out. ``clearance_id``: the clearance it belongs to.
    """

    __tablename__ = "tools_handover"
    __audited__ = True
    __audit_words__ = {
        "": _l("Hand-over of tools"),
        "kind": (_l("Kind"), values.HANDOVER_KINDS),
        "giver_id": _l("Giver"),
        "taker_id": _l("Taken over by"),
        "due_at": _l("Back by"),
        "purpose": _l("Used for"),
        "giver_by": _l("Giver's yes by"),
        "giver_at": _l("Giver's yes at"),
        "giver_means": (_l("Giver's yes by which means"), values.MEANS),
        "taker_by": _l("Receiver's yes by"),
        "taker_at": _l("Receiver's yes at"),
        "taker_means": (_l("Receiver's yes by which means"), values.MEANS),
        "giver_signature_id": _l("Giver's signature"),
        "taker_signature_id": _l("Receiver's signature"),
        "application_id": _l("Application"),
        "clearance_id": _l("Clearance"),
        "incident_id": _l("Incident"),
        "lines_count": _l("Lines"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_handover_list", "unit_id", "id"),
        Index("ix_tools_handover_giver", "giver_id", "unit_id", "id"),
        Index("ix_tools_handover_taker", "taker_id", "unit_id", "id"),
        Index("ix_tools_handover_to_give", "giver_id", "giver_at", "unit_id", "id", **_only("giver_at IS NULL")),
        Index("ix_tools_handover_to_take", "taker_id", "taker_at", "unit_id", "id", **_only("taker_at IS NULL")),
        Index("ix_tools_handover_clearance", "clearance_id", "id", **_only("clearance_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(12))
    giver_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    taker_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    purpose: Mapped[str] = mapped_column(String(300), default="")
    giver_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    giver_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    giver_means: Mapped[str] = mapped_column(String(8), default="")
    taker_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    taker_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    taker_means: Mapped[str] = mapped_column(String(8), default="")
    # Drawn signatures, as attachments of the record.
    giver_signature_id: Mapped[int | None] = mapped_column(ForeignKey("core_attachment.id"))
    taker_signature_id: Mapped[int | None] = mapped_column(ForeignKey("core_attachment.id"))
    application_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    clearance_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    lines_count: Mapped[int] = mapped_column(default=0)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False, foreign_keys=[id])
    giver: Mapped[Party] = relationship(foreign_keys=giver_id)
    taker: Mapped[Party] = relationship(foreign_keys=taker_id)
    lines: Mapped[list[HandoverLine]] = relationship(
        back_populates="handover", order_by="HandoverLine.id", lazy="raise_on_sql"
    )


class HandoverLine(UnitScoped, Base):
    """A tool (or a quantity of small parts) on a hand-over. A tool stands on one open line at a time."""

    __tablename__ = "tools_handover_line"
    __table_args__ = (
        Index(
            "uq_tools_handover_line_open", "tool_id", unique=True, **_only("state = 'open' AND tool_id IS NOT NULL")
        ),
        UniqueConstraint("handover_id", "tool_id"),
        Index("ix_tools_handover_line", "handover_id", "id"),
        Index("ix_tools_handover_line_tool", "tool_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    handover_id: Mapped[int] = mapped_column(ForeignKey("tools_handover.id"))
    tool_id: Mapped[int | None] = mapped_column(ForeignKey("tools_tool.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(1))
    state: Mapped[str] = mapped_column(String(10), default=values.OPEN_LINE)
    condition: Mapped[str] = mapped_column(String(10), default=values.SOUND)
    note: Mapped[str] = mapped_column(String(300), default="")
    reason: Mapped[str] = mapped_column(String(300), default="")  # why it was refused

    handover: Mapped[Handover] = relationship(back_populates="lines")
    tool: Mapped[Tool | None] = relationship()
    kind: Mapped[Kind] = relationship()


class Stock(UnitScoped, Base):
    """How much of a kind kept by quantity a party has; never below nothing."""

    __tablename__ = "tools_stock"
    __table_args__ = (
        UniqueConstraint("party_id", "kind_id"),
        Index("ix_tools_stock_list", "unit_id", "id"),
        CheckConstraint("quantity >= 0", name="quantity"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    party_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(0))

    party: Mapped[Party] = relationship()
    kind: Mapped[Kind] = relationship()


class StockMove(UnitScoped, Base):
    """A quantity moved; both ends but where it came in (bought, counted more) or went (used up, counted less)."""

    __tablename__ = "tools_stock_move"
    __table_args__ = (
        Index("ix_tools_stock_move_list", "unit_id", "id"),
        Index("ix_tools_stock_move_kind", "kind_id", "unit_id", "id"),
        Index("ix_tools_stock_move_gone", "unit_id", "why", "at"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("giver_id IS NOT NULL OR taker_id IS NOT NULL", name="ends"),
        Index("uq_tools_stock_move_key", "unit_id", "key", unique=True, **_only("key <> ''")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    giver_id: Mapped[int | None] = mapped_column(ForeignKey("tools_party.id"))
    taker_id: Mapped[int | None] = mapped_column(ForeignKey("tools_party.id"))
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(String(12))  # bought, handover, used, counted, start
    handover_id: Mapped[int | None] = mapped_column(ForeignKey("tools_handover.id"))
    note: Mapped[str] = mapped_column(String(300), default="")
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    key: Mapped[str] = mapped_column(String(60), default="")  # keeps a retry from moving it twice

    kind: Mapped[Kind] = relationship()
    giver: Mapped[Party | None] = relationship(foreign_keys=giver_id)
    taker: Mapped[Party | None] = relationship(foreign_keys=taker_id)


class Reminder(UnitScoped, Base):
    """A reminder to bring a tool back, as it was sent; the log that tells when to stop."""

    __tablename__ = "tools_reminder"
    __table_args__ = (
        UniqueConstraint("custody_id", "due_at", "number"),
        Index("ix_tools_reminder_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    custody_id: Mapped[int] = mapped_column(ForeignKey("tools_custody.id"))
    number: Mapped[int] = mapped_column()  # counted for each time it is due: given more time, it begins anew
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    to: Mapped[str] = mapped_column(String(120), default="")

    custody: Mapped[Custody] = relationship()


# --- applications, incidents, counts, services -----------------------------------------------------


class Application(UnitScoped, Base):
    """Details of an application (领用、以旧换新、借用、外带申请); its record is a ``tools_application``.

    ``user_id`` is who gets the tool. ``tool_id``: the one meant, or the old one that is to come back (``replace``).
    """

    __tablename__ = "tools_application"
    __audited__ = True
    __audit_words__ = {
        "": _l("Application"),
        "kind": (_l("What is applied for"), values.APPLICATION_KINDS),
        "user_id": _PERSON,
        "kind_id": _KIND,
        "quantity": _QUANTITY,
        "reason": _REASON,
        "clause": _l("Clause"),
        "department_id": _l("Other department"),
        "tool_id": _TOOL,
        "fulfilled": _l("Carried out"),
        "due_at": _l("Back by"),
        "to_user_id": _l("Lent on to"),
        "approval_id": _l("Approval"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_application_list", "unit_id", "id"),
        Index("ix_tools_application_person", "user_id", "unit_id", "id"),
        Index("ix_tools_application_tool", "tool_id", "unit_id", "id", **_only("tool_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(12))
    clause: Mapped[str] = mapped_column(String(40), default="")
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    department_id: Mapped[int | None] = mapped_column(ForeignKey("tools_party.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    tool_id: Mapped[int | None] = mapped_column(ForeignKey("tools_tool.id"))
    quantity: Mapped[int] = mapped_column(default=1)
    fulfilled: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    to_user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))  # lent on to whom
    reason: Mapped[str] = mapped_column(Text, default="")
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False, foreign_keys=[id])
    kind_of_tool: Mapped[Kind] = relationship(foreign_keys=kind_id)
    user: Mapped[User] = relationship(foreign_keys=user_id)
    tool: Mapped[Tool | None] = relationship(foreign_keys=tool_id)


class Incident(UnitScoped, Base):
    """Details of what happened to a tool: defect, damage, loss, accident, breach (``tools_incident``).

    ``user_id``: who answers, as judged. ``amount`` and ``clause`` are what was worked out; the debt is the core's
    charge. ``agreed_at``: the person said yes to pay. ``replacement_id``: the tool bought in its stead.
    """

    __tablename__ = "tools_incident"
    __audited__ = True
    __audit_words__ = {
        "": _l("Incident"),
        "kind": (_l("Kind"), values.INCIDENT_KINDS),
        "cause": (_l("Cause"), values.CAUSES),
        "user_id": _l("Who answers"),
        "judgement": _l("Judgement"),
        "settlement": (_l("How it is settled"), values.SETTLEMENTS),
        "breach": (_l("Which rule was broken"), values.BREACHES),
        "tool_id": _TOOL,
        "holder_id": _PARTY,
        "happened_at": _l("When it happened"),
        "where": _l("Place of the event"),
        "what": _l("What exactly"),
        "injured": _l("Somebody is hurt"),
        "secured": _l("Use was stopped and the site secured"),
        "clause": _l("Clause"),
        "amount": _AMOUNT,
        "approval_id": _l("Approval"),
        "agreed_at": _l("Agreed at"),
        "replacement_id": _l("The same tool bought"),
        "clearance_id": _l("Clearance"),
        "count_line_id": _l("Line of a count"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_incident_list", "unit_id", "id"),
        Index("ix_tools_incident_tool", "tool_id", "unit_id", "id"),
        Index("ix_tools_incident_holder", "holder_id", "unit_id", "id"),
        Index("ix_tools_incident_person", "user_id", "unit_id", "id", **_only("user_id IS NOT NULL")),
        Index("ix_tools_incident_clearance", "clearance_id", "id", **_only("clearance_id IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(10))
    breach: Mapped[str] = mapped_column(String(12), default="")
    tool_id: Mapped[int] = mapped_column(ForeignKey("tools_tool.id"))
    holder_id: Mapped[int | None] = mapped_column(ForeignKey("tools_party.id"))  # who held it when it happened
    happened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    where: Mapped[str] = mapped_column(String(120), default="")
    what: Mapped[str] = mapped_column(Text, default="")
    injured: Mapped[bool] = mapped_column(default=False)
    secured: Mapped[bool] = mapped_column(default=False)  # use stopped, site secured (R32-7.1)
    cause: Mapped[str] = mapped_column(String(10), default="")
    user_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    judgement: Mapped[str] = mapped_column(Text, default="")
    clause: Mapped[str] = mapped_column(String(40), default="")
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("core_approval.id"))
    settlement: Mapped[str] = mapped_column(String(8), default="")
    agreed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replacement_id: Mapped[int | None] = mapped_column(ForeignKey("tools_tool.id"))
    clearance_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))
    count_line_id: Mapped[int | None] = mapped_column(ForeignKey("tools_count_line.id"), unique=True)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False, foreign_keys=[id])
    tool: Mapped[Tool] = relationship(foreign_keys=tool_id)
    holder: Mapped[Party | None] = relationship()
    user: Mapped[User | None] = relationship()


class Deduction(UnitScoped, Base):
    """A part of a compensation taken off a month's pay. The limit was looked at and is not kept: no wages."""

    __tablename__ = "tools_deduction"
    __audited__ = True
    __audit_words__ = {
        "": _l("Deduction from pay"),
        "month": _l("Month"),
        "amount": _AMOUNT,
        "contract_clause": _l("Clause of the employment contract"),
        "undone_at": _l("Taken back on"),
        "undone_reason": _l("Reason"),
        "incident_id": _l("Incident"),
        "entered_by": _l("Entered by"),
        "entered_at": _l("Entered at"),
        "undone_by": _l("Undone by"),
    }
    __table_args__ = (
        Index("ix_tools_deduction_person", "user_id", "month"),
        Index("ix_tools_deduction_list", "unit_id", "id"),
        CheckConstraint("amount > 0", name="amount"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("tools_incident.id"), index=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    month: Mapped[str] = mapped_column(String(7))
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    contract_clause: Mapped[str] = mapped_column(String(120))
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    key: Mapped[str] = mapped_column(String(60), default="")
    # One entered wrongly is taken back with a reason; it stays to be seen and counts no more.
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    undone_reason: Mapped[str] = mapped_column(String(500), default="")

    incident: Mapped[Incident] = relationship()
    user: Mapped[User] = relationship(foreign_keys=user_id)


class Service(UnitScoped, Base):
    """Something done to a tool: maintenance, calibration, overhaul, repair; when the next one is due."""

    __tablename__ = "tools_service"
    __audited__ = True
    __audit_words__ = {
        "": _l("Care of a tool"),
        "what": (_l("Kind"), values.SERVICES),
        "done_on": _l("Done on"),
        "sound": _l("Sound"),
        "cost": _l("Cost"),
        "next_on": _l("Next one"),
        "certificate": _l("Certificate"),
        "tool_id": _TOOL,
        "by": _l("Done by"),
        "parts_done": _l("Parts of maintenance"),
        "entered_by": _l("Entered by"),
        "entered_at": _l("Entered at"),
    }
    __table_args__ = (
        Index("ix_tools_service_tool", "tool_id", "unit_id", "id"),
        Index("ix_tools_service_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    tool_id: Mapped[int] = mapped_column(ForeignKey("tools_tool.id"))
    what: Mapped[str] = mapped_column(String(12))
    done_on: Mapped[date] = mapped_column()
    by: Mapped[str] = mapped_column(String(120), default="")
    parts_done: Mapped[list[str]] = mapped_column(Json, default=list)
    sound: Mapped[bool] = mapped_column(default=True)
    cost: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    certificate: Mapped[str] = mapped_column(String(80), default="")
    next_on: Mapped[date | None] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    entered_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    entered_at: Mapped[datetime] = mapped_column(UtcDateTime)

    tool: Mapped[Tool] = relationship()


class Count(UnitScoped, Base):
    """Details of a count (盘点) of what one party holds; its record is a ``tools_count``.

    Signed by who counted (``keeper_by``) and then by a second person (``manager_by``; R35-4.7).
    """

    __tablename__ = "tools_count"
    __audited__ = True
    __audit_words__ = {
        "": _l("Count"),
        "party_id": _PARTY,
        "keeper_by": _l("Counted and signed by"),
        "manager_by": _l("Checked by"),
        "begun_at": _l("Begun at"),
        "keeper_at": _l("Counted and signed at"),
        "manager_at": _l("Checked and signed at"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_count_party", "party_id", "unit_id", "id"),
        Index("ix_tools_count_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    party_id: Mapped[int] = mapped_column(ForeignKey("tools_party.id"))
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime)
    keeper_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    keeper_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    manager_by: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    manager_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text, default="")

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False)
    party: Mapped[Party] = relationship()


class CountLine(UnitScoped, Base):
    """A tool (or a quantity) to be found at a count; ``seq`` is the spell of custody it was expected by."""

    __tablename__ = "tools_count_line"
    __table_args__ = (
        UniqueConstraint("count_id", "tool_id"),
        Index("ix_tools_count_line", "count_id", "result", "id"),
        Index("ix_tools_count_line_tool", "tool_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    count_id: Mapped[int] = mapped_column(ForeignKey("tools_count.id"))
    tool_id: Mapped[int | None] = mapped_column(ForeignKey("tools_tool.id"))
    kind_id: Mapped[int | None] = mapped_column(ForeignKey("tools_kind.id"))
    seq: Mapped[int] = mapped_column(default=0)
    expected: Mapped[Decimal] = mapped_column(Numeric(12, 2), default=Decimal(1))
    counted: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    result: Mapped[str] = mapped_column(String(10), default=values.EXPECTED)
    condition: Mapped[str] = mapped_column(String(10), default="")
    place: Mapped[str] = mapped_column(String(80), default="")  # where it lay, if not where it belongs
    note: Mapped[str] = mapped_column(String(300), default="")
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    by_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))

    tool: Mapped[Tool | None] = relationship()
    kind: Mapped[Kind | None] = relationship()


# --- purchase, clearance ---------------------------------------------------------------------------


class Purchase(UnitScoped, Base):
    """Details of a purchase plan (采购计划, ``tools_purchase``). ``period``: '2026-11' or '2026'."""

    __tablename__ = "tools_purchase"
    __audited__ = True
    __audit_words__ = {
        "": _l("Purchase plan"),
        "kind": (_l("Kind"), values.PURCHASE_KINDS),
        "period": _l("Period"),
        "budget": _l("Budget"),
        "supplier": _l("Supplier"),
        "reason": _REASON,
        "ordered_on": _l("Ordered on"),
        "application_id": _l("Application"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_purchase_period", "unit_id", "kind", "period"),
        Index("ix_tools_purchase_list", "unit_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(8), default=values.BY_NEED)
    period: Mapped[str] = mapped_column(String(7), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    budget: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    supplier: Mapped[str] = mapped_column(String(120), default="")
    ordered_on: Mapped[date | None] = mapped_column()
    application_id: Mapped[int | None] = mapped_column(ForeignKey("core_record.id"))

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False, foreign_keys=[id])
    lines: Mapped[list[PurchaseLine]] = relationship(
        back_populates="purchase", order_by="PurchaseLine.id", lazy="raise_on_sql", cascade="all, delete-orphan"
    )

    @property
    def version(self) -> int:
        """What a form was opened with: every change is on the timeline, which the record's version counts."""
        return self.record.version


class PurchaseLine(UnitScoped, Base):
    """So many of a kind at a price (yuan, with tax); ``received`` were registered or taken into stock."""

    __tablename__ = "tools_purchase_line"
    __table_args__ = (
        Index("ix_tools_purchase_line", "purchase_id", "id"),
        CheckConstraint("quantity > 0", name="quantity"),
        CheckConstraint("received >= 0 AND received <= quantity", name="received"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    purchase_id: Mapped[int] = mapped_column(ForeignKey("tools_purchase.id"))
    kind_id: Mapped[int] = mapped_column(ForeignKey("tools_kind.id"))
    what: Mapped[str] = mapped_column(String(120), default="")
    quantity: Mapped[int] = mapped_column(default=1)
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    quote: Mapped[str] = mapped_column(String(300), default="")  # who offered it at what price
    received: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(String(300), default="")

    purchase: Mapped[Purchase] = relationship(back_populates="lines")
    kind: Mapped[Kind] = relationship()


class Clearance(UnitScoped, Base):
    """Details of a clearance (工具缴回、变更手续): one person, one leaving or change of post (``tools_clearance``).

    What is open is looked up live; ``closing`` keeps what it was when it was settled or the person left.
    """

    __tablename__ = "tools_clearance"
    __audited__ = True
    __audit_words__ = {
        "": _l("Clearance"),
        "kind": (_l("Kind"), values.CLEARANCE_KINDS),
        "user_id": _PERSON,
        "successor_id": _l("Successor"),
        "last_day": _l("Last day"),
        "informed": _l("Who was told of missing tools"),
        "closing": _l("What was open at the end"),
    }
    __table_args__ = (
        ForeignKeyConstraint(*_DETAIL),
        Index("ix_tools_clearance_list", "unit_id", "id"),
        Index("ix_tools_clearance_person", "user_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(12), default=values.LEAVER)
    user_id: Mapped[int] = mapped_column(ForeignKey("core_user.id"))
    successor_id: Mapped[int | None] = mapped_column(ForeignKey("core_user.id"))
    last_day: Mapped[date] = mapped_column()
    note: Mapped[str] = mapped_column(Text, default="")
    informed: Mapped[list[Any]] = mapped_column(Json, default=list)
    closing: Mapped[list[Any]] = mapped_column(Json, default=list)

    record: Mapped[Record] = relationship(lazy="joined", innerjoin=_FLAT, viewonly=False)
    user: Mapped[User] = relationship(foreign_keys=user_id)
    successor: Mapped[User | None] = relationship(foreign_keys=successor_id)

"""The words of warranty and fees, and the plain values its rules work on. Nothing here reads the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.sdk import Choices

# --- what a case is decided to be (保修判定) -----------------------------------------------------

IN_WARRANTY, MISUSE, OUT, EXCLUDED, DEEMED = "in_warranty", "misuse", "out_of_warranty", "excluded", "deemed"
RESULTS: Choices = (
    (IN_WARRANTY, _l("In warranty")),
    (MISUSE, _l("Misuse")),
    (OUT, _l("Out of warranty")),
    (EXCLUDED, _l("Product class not covered")),
    (DEEMED, _l("Deemed admission")),
)
FREE_RESULTS = (IN_WARRANTY, DEEMED)  # the customer pays nothing
TONES = {IN_WARRANTY: "good", DEEMED: "info", MISUSE: "warn", OUT: "warn", EXCLUDED: "bad"}
CAUSES: Choices = (
    ("quality", _l("Product quality")),
    ("misuse", _l("Improper use, care or storage")),
    ("wear", _l("Normal wear")),
    ("outside", _l("Outside cause")),
    ("repair", _l("Our own faulty repair")),
    ("unknown", _l("Not known yet")),
)
PROOF, CARD, SERIAL, INVOICE, SALES_RECORD = "proof", "card", "serial", "invoice", "sales_record"
# Papers of a warranty application (R07-3.2), and what may stand in for lost ones.
PAPERS: Choices = (
    (PROOF, _l("Proof of purchase")),
    (CARD, _l("Warranty card")),
    (SERIAL, _l("Serial number on the item")),
    (INVOICE, _l("Invoice")),
    (SALES_RECORD, _l("Our sales record")),
)

# --- warranty lines (保修行) ---------------------------------------------------------------------

SET, KEY_PART, PART, REPAIRED, CONTRACT, STATUTORY = "set", "key_part", "part", "repaired", "contract", "statutory"
SCOPES: Choices = (
    (SET, _l("Complete set")),
    (KEY_PART, _l("Key part")),
    (PART, _l("Replaced part")),
    (REPAIRED, _l("Repaired fault")),
    (CONTRACT, _l("Agreed by contract")),
    (STATUTORY, _l("Statutory")),
)
REPAIR, EXCHANGE, RETURN = "repair", "exchange", "return"
ACTIONS: Choices = ((REPAIR, _l("Free repair")), (EXCHANGE, _l("Exchange")), (RETURN, _l("Return")))
PURCHASE, HANDOVER, DELIVERY = "purchase", "handover", "delivery"
STARTS: Choices = ((PURCHASE, _l("Purchase")), (HANDOVER, _l("Hand-over")), (DELIVERY, _l("Delivery")))
# What happened to an item that changes its cover.
EVENTS: Choices = (
    ("replaced", _l("Part replaced")),
    ("repaired", _l("Repaired")),
    ("extended", _l("Warranty extended")),
    ("exchanged", _l("Exchanged")),
    ("agreed", _l("Agreed by contract")),
    ("in_repair", _l("Time in repair")),
)


@dataclass(frozen=True)
class ItemFacts:
    """What warranty needs to know of an item. Days are days of the unit."""

    serial: str = ""
    sold_class: str = ""
    category: str = ""
    model: str = ""
    model_months: int | None = None
    purchased_on: date | None = None
    handed_over_on: date | None = None
    delivered_on: date | None = None
    # Names of the key parts, with the day each was fitted where it was fitted later.
    key_parts: tuple[str, ...] = ()
    has_proof: bool | None = None


@dataclass(frozen=True)
class TermRule:
    """One rule of how long what is covered: from a clause (``clause``) or the unit's own table (``source``).

    Empty selectors mean: any. ``start`` is the event the term begins with; ``part`` names one key part.
    """

    months: int
    scope: str = SET
    start: str = PURCHASE
    action: str = REPAIR
    clause: str = ""
    source: str = ""
    sold_class: str = ""
    category: str = ""
    model: str = ""
    part: str = ""
    # Days instead of months (statutory return and exchange).
    days: int = 0


@dataclass(frozen=True)
class EventFacts:
    """Something that happened to an item. ``months`` is the length a new or longer term has, where it has one."""

    kind: str
    on: date
    part: str = ""
    fault: str = ""
    months: int = 0
    days: int = 0
    until: date | None = None
    clause: str = ""
    source: str = ""
    action: str = REPAIR


@dataclass(frozen=True)
class WarrantyLine:
    """A line of cover of an item: what, from which day to which (both inside), under which clause.

    ``ends_on`` None: it has not begun, because its starting day is not known (``missing`` says which day).
    """

    scope: str
    starts_on: date | None
    ends_on: date | None
    clause: str = ""
    source: str = ""
    action: str = REPAIR
    part: str = ""
    fault: str = ""
    missing: str = ""

    def covers(self, day: date) -> bool:
        """Tell whether a day lies inside the line."""
        return self.starts_on is not None and self.ends_on is not None and self.starts_on <= day <= self.ends_on


# --- money ---------------------------------------------------------------------------------------

ON_SITE, WORKSHOP, REMOTE, DELIVERED_PART = "on_site", "workshop", "remote", "part_only"
MEANS_OF_SERVICE: Choices = (
    (ON_SITE, _l("On site")),
    (WORKSHOP, _l("In the workshop")),
    (REMOTE, _l("By telephone or remotely")),
    (DELIVERED_PART, _l("Supply of parts only")),
)
TRANSPORT, LODGING, MEALS, ALLOWANCE = "travel", "lodging", "meals", "allowance"
LABOUR, HANDLING, FREIGHT, INSTALLATION = "labour", "handling", "freight", "installation"
MATERIAL, COMPETITOR_WORK, COMPENSATION = "material", "competitor", "compensation"
# What a tariff prices (收费项目). Parts have their own price list.
TARIFF_ITEMS: Choices = (
    (TRANSPORT, _l("Travel")),
    (LODGING, _l("Lodging")),
    (MEALS, _l("Meals")),
    (ALLOWANCE, _l("Staff allowance")),
    (LABOUR, _l("Labour")),
    (HANDLING, _l("Handling fee")),
    (FREIGHT, _l("Freight")),
    (INSTALLATION, _l("Installation fee")),
)
LINE_LABELS = {
    TRANSPORT: {"zh": "交通费", "en": "Travel"},
    LODGING: {"zh": "住宿费", "en": "Lodging"},
    MEALS: {"zh": "餐饮费", "en": "Meals"},
    ALLOWANCE: {"zh": "人员补贴", "en": "Staff allowance"},
    LABOUR: {"zh": "人工费", "en": "Labour"},
    HANDLING: {"zh": "手续费", "en": "Handling fee"},
    FREIGHT: {"zh": "运费", "en": "Freight"},
    INSTALLATION: {"zh": "安装费", "en": "Installation"},
    MATERIAL: {"zh": "配件费", "en": "Part"},
    COMPETITOR_WORK: {"zh": "竞品加工", "en": "Work on a competitor's product"},
    COMPENSATION: {"zh": "维修赔偿", "en": "Compensation for a faulty repair"},
}
ACTUAL, PERSON_NIGHT, PERSON_DAY, HOUR, PIECE, PERCENT = (
    "actual",
    "person_night",
    "person_day",
    "hour",
    "piece",
    "percent",
)
PRICE_PER: Choices = (
    (ACTUAL, _l("Actual cost")),
    (PERSON_NIGHT, _l("Per person and night")),
    (PERSON_DAY, _l("Per person and day")),
    (HOUR, _l("Per hour")),
    (PIECE, _l("Once")),
    (PERCENT, _l("Percent")),
)
# What the customer may provide instead of paying for it.
PROVIDED: Choices = ((TRANSPORT, _l("Transport")), (LODGING, _l("Place to stay")), (MEALS, _l("Food")))

FREE, PAID, MATERIAL_ONLY, PARTIAL_MATERIAL, AUTO = (
    "free",
    "paid_out_of_warranty",
    "material_only",
    "partial_material",
    "auto",
)
POLICIES: Choices = (
    (AUTO, _l("As the clauses in force say")),
    (FREE, _l("Everything free of charge")),
    (PAID, _l("Paid out of warranty")),
    (MATERIAL_ONLY, _l("Only material is charged")),
    (PARTIAL_MATERIAL, _l("Part of the material is charged")),
)
COMPETITOR_COSTS: Choices = (
    ("survey", _l("Survey")),
    ("design", _l("Design")),
    ("travel", _l("Travel")),
    ("material", _l("Material")),
    ("machining", _l("Machining")),
    ("tooling", _l("Tooling")),
    ("management", _l("Management fee")),
    ("tax", _l("Tax")),
)
ARM_MACHINING, OTHER_WORK = "arm", "other"
COMPETITOR_WORKS: Choices = ((ARM_MACHINING, _l("Machining of the working arm")), (OTHER_WORK, _l("Other work")))


@dataclass(frozen=True)
class Price:
    """A price of a tariff, in yuan (``percent``: of the base). ``clause`` is where it comes from."""

    amount: Decimal
    per: str
    clause: str
    least: Decimal = Decimal(0)


@dataclass(frozen=True)
class PartnerTerms:
    """How parts that a partner supplies are charged: not as ours, but by a handling fee of ``rate`` percent.

    ``base``: of the partner's parts only (``partner_parts``) or of every part (``all_parts``), at finance's price.
    """

    clause: str
    rate: Decimal
    base: str = "partner_parts"


@dataclass(frozen=True)
class PlanPart:
    """A part of a plan. ``price`` is finance's price, None while finance has given none."""

    number: str
    name: str
    quantity: Decimal
    price: Decimal | None
    partner: bool = False  # supplied by the partner, not by us
    small: bool = False  # a small fitting (小配件)


@dataclass(frozen=True)
class Plan:
    """What is to be done for a case, as far as money depends on it."""

    means: str = ON_SITE
    people: int = 1
    days: Decimal = Decimal(1)
    nights: Decimal = Decimal(0)
    travel: Decimal = Decimal(0)
    lodging_actual: Decimal = Decimal(0)
    hours: Decimal = Decimal(0)
    freight: Decimal = Decimal(0)
    provided: frozenset[str] = frozenset()
    parts: tuple[PlanPart, ...] = ()
    work: str = ""  # of a competitor's product
    costs: dict[str, Decimal] = field(default_factory=dict)  # by COMPETITOR_COSTS
    price: Decimal | None = None  # asked for work on a competitor's product


@dataclass(frozen=True)
class PricedLine:
    """A line of money as the calculation gives it; ``clause`` says why it is asked, or why it is free."""

    code: str
    clause: str
    label: dict[str, str]
    payer: str
    quantity: Decimal
    price: Decimal
    why: str = ""


# --- quotes, receipts, invoices ------------------------------------------------------------------

DRAFT, SENT, CONSENTED, REFUSED, WAIVED, REPLACED, LAPSED = (
    "draft",
    "sent",
    "consented",
    "refused",
    "waived",
    "replaced",
    "lapsed",
)
QUOTE_STATES: Choices = (
    (DRAFT, _l("To be told")),
    (SENT, _l("Told to the customer")),
    (CONSENTED, _l("Customer agreed")),
    (REFUSED, _l("Customer refused")),
    (WAIVED, _l("Free by decision")),
    (REPLACED, _l("Replaced by a newer one")),
    (LAPSED, _l("Lapsed")),
)
SETTLED_QUOTES = (CONSENTED, WAIVED)  # the work may go on
CONSENT_MEANS: Choices = (
    ("phone", _l("Telephone")),
    ("wechat", _l("WeChat")),
    ("email", _l("By e-mail")),
    ("signature", _l("Signature")),
    ("seal", _l("Signature and seal")),
    ("portal", _l("Portal")),
)
BY_EMAIL = "email"
SENT_MEANS: Choices = (
    ("phone", _l("Telephone")),
    ("wechat", _l("WeChat")),
    (BY_EMAIL, _l("By e-mail, sent from here")),
    ("paper", _l("On paper")),
    ("portal", _l("Portal")),
    ("other", _l("In another way")),
)
CASH, TRANSFER, WECHAT, ALIPAY, POS, CHEQUE = "cash", "transfer", "wechat", "alipay", "pos", "cheque"
RECEIPT_MEANS: Choices = (
    (CASH, _l("Cash")),
    (TRANSFER, _l("Bank transfer")),
    (WECHAT, _l("WeChat Pay")),
    (ALIPAY, _l("Alipay")),
    (POS, _l("Card")),
    (CHEQUE, _l("Cheque")),
)
# Straight to the company's account: nobody has it in hand.
TO_ACCOUNT = (TRANSFER,)

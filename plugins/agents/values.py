"""The words of agents and settlement, and the plain values its rules work on. Nothing here reads the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from flask_babel import lazy_gettext as _l

from core.sdk import Choices

# --- agents --------------------------------------------------------------------------------------

AGENT, PARTNER, SERVICE = "agent", "partner", "service"
KINDS: Choices = (
    (AGENT, _l("Agent")),
    (PARTNER, _l("Partner")),
    (SERVICE, _l("Service agent")),
)
LEVELS: Choices = (("general", _l("General agent")), ("first", _l("First level")), ("second", _l("Second level")))
BUSINESS, FINANCE, TECHNICIAN = "business", "finance", "technician"
ROLES: Choices = (
    (BUSINESS, _l("Business contact")),
    (FINANCE, _l("Finance contact")),
    (TECHNICIAN, _l("Technician")),
)

# --- contracts -----------------------------------------------------------------------------------

# Who owes an amount: they owe us, or we owe them.
OWED_TO_US, OWED_BY_US = "receivable", "payable"
DIRECTIONS: Choices = ((OWED_TO_US, _l("They owe us")), (OWED_BY_US, _l("We owe them")))
TARIFF_PERCENT, PER_VISIT, PER_CASE, PER_HOUR, PART_PERCENT = (
    "tariff_percent",
    "per_visit",
    "per_case",
    "per_hour",
    "part_percent",
)
# What a rate counts: ``PART_PERCENT`` is of the price of parts, ``TARIFF_PERCENT`` of the rest by the tariff.
RATE_BASES: Choices = (
    (TARIFF_PERCENT, _l("Percent of the tariff")),
    (PER_VISIT, _l("Per visit")),
    (PER_CASE, _l("Per case")),
    (PER_HOUR, _l("Per hour of work")),
    (PART_PERCENT, _l("Percent of the price of parts")),
)
PARTNER_PARTS, ALL_PARTS = "partner_parts", "all_parts"
HANDLING_BASES: Choices = ((PARTNER_PARTS, _l("Parts the partner supplies")), (ALL_PARTS, _l("All parts")))
CUSTOMER_PAYS, PARTNER_PAYS = "customer", "partner"
OUT_PAYERS: Choices = ((CUSTOMER_PAYS, _l("The customer")), (PARTNER_PAYS, _l("The partner")))
CNY = "CNY"
CURRENCIES: Choices = (
    (CNY, _l("Renminbi")),
    ("USD", _l("US dollar")),
    ("KRW", _l("Korean won")),
    ("EUR", _l("Euro")),
)
# What holds after a contract ran out and before the next one (parameter ``after_expiry``).
BY_TARIFF, LAST_TERMS, NO_SERVICE = "tariff", "last_terms", "refuse"
AFTER_EXPIRY: Choices = (
    (BY_TARIFF, _l("The tariff")),
    (LAST_TERMS, _l("The terms of the last contract")),
    (NO_SERVICE, _l("Nothing: a new contract first")),
)
CONTRACT_FIRST, NOTICE_FIRST = "contract", "notice"  # parameter ``precedence`` of R18-5.1.3 (E20)


@dataclass(frozen=True)
class RateTerm:
    """One rate of a contract: ``amount`` in yuan, or percent; ``nature`` of the case, '' for any."""

    direction: str
    basis: str
    amount: Decimal
    nature: str = ""


@dataclass(frozen=True)
class Terms:
    """What a contract says about money on a day; without one (``contract_id`` None) the tariff holds.

    ``expired``: the contract ran out and its terms go on holding because the clause says so.
    """

    contract_id: int | None = None
    contract_number: str = ""
    rates: tuple[RateTerm, ...] = ()
    handling_rate: Decimal | None = None  # percent; None: the clause's
    handling_base: str = ""
    out_payer: str = CUSTOMER_PAYS
    netting: bool = False
    payment_days: int | None = None
    settlement_day: int | None = None  # of the month; None: no contract says
    clawback_days: int | None = None
    expired: bool = False


# --- sellers, notices, requests ------------------------------------------------------------------

BY_HAND, BY_IMPORT, BY_CASE = "hand", "import", "case"
SOURCES: Choices = (
    (BY_HAND, _l("Entered by hand")),
    (BY_IMPORT, _l("From a file")),
    (BY_CASE, _l("Named on a case")),
)
EMAIL = "email"
NOTICE_MEANS: Choices = (
    (EMAIL, _l("By e-mail, sent from here")),
    ("wechat", _l("WeChat")),
    ("phone", _l("Telephone")),
    ("fax", _l("Fax")),
    ("letter", _l("Letter")),
)
WRITTEN, SPOKEN = "written", "spoken"
REQUEST_FORMS: Choices = ((WRITTEN, _l("In writing")), (SPOKEN, _l("By telephone only")))

# --- orders passed to a service agent ------------------------------------------------------------

PASSED, ACCEPTED, DECLINED, DONE, WITHDRAWN = "passed", "accepted", "declined", "done", "withdrawn"
ORDER_STATES: Choices = (
    (PASSED, _l("Passed on")),
    (ACCEPTED, _l("Accepted")),
    (DECLINED, _l("Declined")),
    (DONE, _l("Done")),
    (WITHDRAWN, _l("Taken back")),
)

# --- statements ----------------------------------------------------------------------------------

OPEN, CONFIRMED, DISPUTED, ALLOWED, REJECTED, CARRIED = (
    "open",
    "confirmed",
    "disputed",
    "allowed",
    "rejected",
    "carried",
)
LINE_STATES: Choices = (
    (OPEN, _l("Not answered")),
    (CONFIRMED, _l("Confirmed by them")),
    (DISPUTED, _l("Disputed")),
    (ALLOWED, _l("Dispute allowed")),
    (REJECTED, _l("Dispute rejected")),
    (CARRIED, _l("Moved to a later statement")),
)
# Automatic checks of a line, with what came of each.
SERIAL_TWICE, OUTSIDE_TERM, OLD_PART, NOTICE, CONTRACT, REGION, REPEATED = (
    "serial_twice",
    "outside_term",
    "old_part",
    "notice",
    "contract",
    "region",
    "repeated",
)
CHECKS: Choices = (
    (SERIAL_TWICE, _l("Same item billed twice")),
    (OUTSIDE_TERM, _l("Inside the warranty term")),
    (OLD_PART, _l("Old part handed in")),
    (NOTICE, _l("Notice before service")),
    (CONTRACT, _l("Contract in force")),
    (REGION, _l("Region of the agent")),
    (REPEATED, _l("Repaired again soon after")),
)
GOOD, BAD, UNCHECKED = "passed", "failed", "not_checked"
RESULTS: Choices = ((GOOD, _l("Check passed")), (BAD, _l("Check failed")), (UNCHECKED, _l("Not checked")))

# Old parts (旧件).
EXPECTED, RECEIVED, MISSING, EXEMPT = "expected", "received", "missing", "exempt"
OLD_PART_STATES: Choices = (
    (EXPECTED, _l("To be handed in")),
    (RECEIVED, _l("Handed in")),
    (MISSING, _l("Not found")),
    (EXEMPT, _l("Need not be handed in")),
)

# Payments.
RECEIVED_FROM, PAID_TO, OFFSET = "in", "out", "offset"
PAYMENT_KINDS: Choices = (
    (RECEIVED_FROM, _l("Received from them")),
    (PAID_TO, _l("Paid to them")),
    (OFFSET, _l("Offset by agreement")),
)


@dataclass(frozen=True)
class LineFacts:
    """What the checks of a statement's line look at. Days are days of the unit."""

    direction: str
    code: str
    item_id: int | None = None
    received_on: date | None = None
    region: str = ""  # address of the customer, as far as it is known
    needs_cover: bool = False  # it is billed because the term covers it
    covered: bool | None = None  # decided as free, and the term covers the day; None: not known
    needs_notice: bool = False
    notified: bool = False
    needs_contract: bool = False
    has_contract: bool = False
    regions: tuple[str, ...] = ()  # of the agent or its contract
    parts: bool = False  # the line is about parts that were replaced
    old_parts: tuple[str, ...] = ()  # states of the old parts of the case
    adjusts: bool = False
    billed_before: str = ""  # number of another case with the same item and work
    repeated_by: str = ""  # number of a later case of the same item inside the days of the clause
    needs_rest: bool = False  # work that is taken back when it fails again soon
    may_still_fail: bool = False  # the days of the clause are not over yet

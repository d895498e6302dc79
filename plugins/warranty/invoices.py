"""Invoice requests (开票申请) and red invoices. The suite issues none: it asks, and keeps what finance enters.

An invoice goes out for what was collected by rule (R15-11b).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import (
    Blocker,
    Charge,
    Customer,
    Fact,
    FactKind,
    Field,
    InvalidData,
    Record,
    RecordType,
    State,
    Step,
    Transition,
    Unit,
    answered_before,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    fetch,
    local_day,
    make_workflow,
    may,
    money_math,
    normalise,
    on_customer_erased,
    publish,
    read_company_code,
    remember_answer,
    require,
    session,
    setting,
    tell_of_fact,
    transaction,
)

from . import ledger, workflow
from .models import Invoice, InvoiceLine
from .receipts import about
from .rights import COLLECT, FINANCE, MONEY
from .settings import TAX_RATE

CODE = "warranty_invoice"
REQUESTED, ISSUED, RED, CANCELLED = "requested", "issued", "red", "cancelled"
MOST = Decimal("9999999999.99")
TAX_NUMBER = re.compile(r"^(?:[0-9A-Z]{15}|[0-9A-Z]{18}|[0-9A-Z]{20})$")
MAILBOX = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
_BAD_TAX_NUMBER = _l("A tax number has 15, 18 or 20 digits and letters")
_WRONG_CHECK = _l("The last character does not fit: please check the tax number")

FIELDS = (
    Field("buyer", "text", _l("Buyer's name"), True, max_length=120),
    Field("tax_number", "text", _l("Tax number"), max_length=30, help=_l("Not needed for a private person")),
    Field("mailbox", "text", _l("E-mail address for the invoice"), max_length=120),
    Field("address", "text", _l("Buyer's address and telephone"), max_length=200),
    Field("bank", "text", _l("Buyer's bank and account"), max_length=120),
    Field("content", "text", _l("What is invoiced"), max_length=120),
    Field("rate", "decimal", _l("Tax rate (percent)"), minimum=Decimal(0), maximum=Decimal(30)),
    Field(
        "amount",
        "decimal",
        _l("Amount with tax (yuan)"),
        minimum=Decimal("0.01"),
        maximum=MOST,
        help=_l("Empty: all of the chosen charges"),
    ),
    Field("note", "long", _l("Remark"), max_length=500),
)
ABOUT = (
    Field("case_id", "int", _l("Case")),
    Field("customer_id", "int", _l("Customer")),
    Field("charges", "text", _l("Charges"), max_length=2000, help=_l("Numbers, separated by commas; empty: all")),
    Field("key", "text", _l("Key of the request"), max_length=80),
)


# --- sums and numbers ----------------------------------------------------------------------------


def tax_part(amount: Decimal, rate: Decimal) -> Decimal:
    """Return the tax in an amount that includes it, rounded half up to 0.01."""
    return money_math.yuan(amount * rate / (100 + rate))


def read_tax_number(text: str) -> str:
    """Check a tax number; return it in plain upper case. Of 18 characters the last one checks the others.

    Raises:
        InvalidData: under ``tax_number``.
    """
    number = re.sub(r"[\s-]", "", normalise(text)).upper()
    if not TAX_NUMBER.match(number):
        raise InvalidData({"tax_number": _BAD_TAX_NUMBER})
    if len(number) == 18:
        try:
            read_company_code(number)
        except InvalidData:
            raise InvalidData({"tax_number": _WRONG_CHECK}) from None
    return number


# --- asking for one ------------------------------------------------------------------------------


def request(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Ask finance for an invoice over posted charges of one customer (R15-11b); ``key`` makes a retry harmless.

    Raises:
        NotAllowed: the actor collects no money here.
        InvalidData: beside the field: on an invoice already, too much, a wrong tax number ...
    """
    require(COLLECT, unit_id)
    given = clean((*FIELDS, *ABOUT), {**raw, "charges": None})
    given["tax_number"] = read_tax_number(given["tax_number"]) if given["tax_number"] else ""
    if given["mailbox"] and not MAILBOX.match(given["mailbox"]):
        raise InvalidData({"mailbox": _l("Please enter an e-mail address such as name@example.com")})
    rate = given["rate"] if given["rate"] is not None else Decimal(str(setting(unit_id, TAX_RATE)))
    given["rate"] = money_math.exact(rate, "rate")
    given["amount"] = None if given["amount"] is None else money_math.exact(given["amount"])
    ids = ledger.chosen_ids(raw.get("charges"))
    with transaction():
        told = {name: str(value) for name, value in raw.items() if name != "key"}
        before = answered_before(unit_id, given["key"] or "", "warranty.invoice", told)
        if before:
            return fetch(Record, before["record"])
        record = _request(unit_id, given, ids)
        remember_answer(unit_id, given["key"] or "", {"record": record.id})
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        return record


def _request(unit_id: int, given: dict[str, Any], ids: Sequence[int]) -> Record:
    case, customer_id = about(unit_id, given["case_id"], given["customer_id"])
    if customer_id is None:
        raise InvalidData({"customer_id": _l("Please name the customer of the case first")})
    ledger.lock_records(open_of(unit_id, case, customer_id), *([case.id] if case else []))
    chosen = ledger.pick(open_of(unit_id, case, customer_id, fresh=True), ids)
    rests = [(one, one.to_invoice) for one in chosen]
    whole = sum((rest for _one, rest in rests), ledger.ZERO)
    shares = ledger.spread(given["amount"] or whole, rests)
    kept = {name: given[name] or "" for name in ("buyer", "mailbox", "address", "bank", "content", "note")}
    detail = Invoice(
        **kept, tax_number=given["tax_number"], rate=given["rate"], amount=given["amount"] or whole, red_amount=0
    )

    def then(record: Record) -> None:
        record.owner_position = "finance"
        session().add_all(
            InvoiceLine(unit_id=unit_id, invoice_id=record.id, charge_id=one.id, amount=share, red=Decimal(0))
            for one, share in shares
        )
        _tell_cases(record, {one.charge.record_id for one, _share in shares})

    return create_record(
        INVOICE,
        unit_id,
        detail,
        title=_title(unit_id, case),
        customer_id=customer_id,
        received_at=clock.now(),
        permission=COLLECT,
        facts=[("registered", {})],
        then=then,
    )


def open_of(
    unit_id: int, case: Record | None, customer_id: int | None, *, fresh: bool = False
) -> list[ledger.Owed]:
    """Return what can be invoiced of a case, or of a customer in a unit, oldest first."""
    if case is not None:
        return ledger.to_invoice(ledger.of_record(case.id, fresh=fresh))
    return ledger.to_invoice(ledger.of_customer(customer_id or 0, [unit_id], fresh=fresh))


def first_values(unit_id: int, customer_id: int | None) -> dict[str, Any]:
    """Return what the form starts with: the customer's name and code, the usual rate."""
    customer = session().scalars(select(Customer).where(Customer.id == customer_id)).first()
    values: dict[str, Any] = {"rate": Decimal(str(setting(unit_id, TAX_RATE)))}
    if customer is None or not may("customer.view", unit_id):
        return values
    return {**values, "buyer": customer.name, "tax_number": customer.company_code}


def _tell_cases(record: Record, keys: set[int]) -> None:
    kind = next(one for one in workflow.FACT_KINDS if one.code == "invoice_asked")
    session().flush()
    for key in sorted(keys):
        case = session().get_one(Record, key)
        if case.type == "case":
            fact = append_fact(case, kind, at=max(clock.now(), case.received_at), data={"invoice": record.id})
            session().flush()
            tell_of_fact(case, fact)


def _title(unit_id: int, case: Record | None) -> str:
    locale = session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"
    with force_locale("en" if locale == "en" else "zh_Hans_CN"):
        return _("Invoice for %(number)s", number=case.number) if case else _("Invoice for a customer")


# --- what finance enters -------------------------------------------------------------------------


def _issue(step: Step) -> None:
    number = step.values["invoice_number"].upper()
    _check_number(step.record, number, "invoice_number")
    step.detail.invoice_number = number
    step.detail.issued_on = _day(step, "issued_on")


def _check_number(record: Record, number: str, name: str) -> None:
    """The number of an invoice, blue or red, comes once in a unit.

    Raises:
        InvalidData: under ``name``.
    """
    if not re.fullmatch(r"[0-9A-Z-]{6,40}", number):
        raise InvalidData({name: _l("An invoice number has at least 6 digits and letters")})
    # Whoever enters the same number at this moment waits here.
    session().execute(select(Unit.id).where(Unit.id == record.unit_id).with_for_update(key_share=True))
    twin = select(Record.number).join(Invoice, Invoice.id == Record.id).where(Invoice.unit_id == record.unit_id)
    same = (Invoice.invoice_number == number) | (Invoice.red_number == number)
    found = session().scalar(twin.where(same).limit(1))
    if found is not None:
        raise InvalidData({name: _l("This number is on %(number)s already", number=found)})


def _day(step: Step, name: str) -> date:
    today = local_day(step.record.unit_id)
    day: date = step.values[name] or today
    if day > today:
        raise InvalidData({name: _l("This day lies in the future")})
    return day


def _take_back(step: Step) -> None:
    """Keep a red invoice over all or a part; what it takes back may be lowered or invoiced again."""
    detail: Invoice = step.detail
    amount = money_math.exact(step.values["red_amount"] or detail.amount, "red_amount")
    if amount > detail.amount:
        raise InvalidData({"red_amount": _l("At most %(number)s", number=detail.amount)})
    number = step.values["red_number"].upper()
    _check_number(step.record, number, "red_number")
    day = _day(step, "red_on")
    if detail.issued_on is not None and day < detail.issued_on:
        raise InvalidData({"red_on": _l("The invoice is of %(day)s", day=detail.issued_on)})
    detail.red_number, detail.red_amount, detail.red_on = number, amount, day
    rows = lines_of(step.record.id)
    ledger.lock_records(ledger.of_charges([one.charge_id for one in rows]))
    chosen = ledger.chosen_ids(step.values["charges"])
    if set(chosen) - {one.charge_id for one in rows}:
        raise InvalidData({"charges": _l("Please choose charges of this invoice")})
    first = [one for one in rows if one.charge_id in chosen]
    # Those named first, then the latest.
    for one in [*first, *(row for row in reversed(rows) if row not in first)]:
        one.red = min(one.amount, amount)
        amount -= one.red


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
STATES = (
    State(REQUESTED, _l("To be invoiced"), "open"),
    State(ISSUED, _l("Invoiced"), "closed"),
    State(RED, _l("Taken back by a red invoice"), "closed"),
    State(CANCELLED, _l("Invoice request cancelled"), "cancelled"),
)
FACT_KINDS = (
    FactKind("registered", _l("Invoice asked for"), 0),
    FactKind("issued", _l("Invoice issued"), 60),
    FactKind("taken_back", _l("Red invoice issued"), 70),
    FactKind("cancelled", _l("Invoice request cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "issue",
        _l("Enter the invoice"),
        frozenset({REQUESTED}),
        ISSUED,
        FINANCE,
        "issued",
        (
            Field("invoice_number", "text", _l("Invoice number"), True, max_length=40),
            Field("issued_on", "date", _l("Day of the invoice"), help=_l("Leave empty for today")),
            Field("file", "photos", _l("Invoice as a file")),
        ),
        apply=_issue,
        tone="primary",
        weight=10,
    ),
    Transition(
        "take_back",
        _l("Enter a red invoice"),
        frozenset({ISSUED}),
        RED,
        FINANCE,
        "taken_back",
        (
            Field("red_number", "text", _l("Red invoice number"), True, max_length=40),
            Field(
                "red_amount",
                "decimal",
                _l("Amount taken back (yuan)"),
                minimum=Decimal("0.01"),
                maximum=MOST,
                help=_l("Empty: the whole invoice"),
            ),
            Field(
                "charges",
                "text",
                _l("Charges"),
                max_length=200,
                help=_l("Numbers of the charges it is about first, separated by commas"),
            ),
            Field("red_on", "date", _l("Day of the red invoice"), help=_l("Leave empty for today")),
            _REASON,
        ),
        apply=_take_back,
        note="reason",
        tone="danger",
        weight=30,
    ),
    Transition(
        "cancel",
        _l("Cancel the request"),
        frozenset({REQUESTED}),
        CANCELLED,
        COLLECT,
        "cancelled",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(REQUESTED, STATES, TRANSITIONS, FACT_KINDS)


def forget_buyers(customer_ids: Sequence[int]) -> None:
    """Drop how erased customers were reached; buyer and tax number stay, since the books must keep invoices."""
    rows = select(Invoice).join(Record, Record.id == Invoice.id).where(Record.customer_id.in_(customer_ids))
    for one in session().scalars(rows):
        one.mailbox = one.address = one.bank = ""


on_customer_erased(forget_buyers)


# --- reading -------------------------------------------------------------------------------------


def lines_of(invoice_id: int) -> Sequence[InvoiceLine]:
    """Return what is on an invoice."""
    wanted = select(InvoiceLine).where(InvoiceLine.invoice_id == invoice_id)
    return session().scalars(wanted.order_by(InvoiceLine.id)).all()


def lowering(charge: Charge, amount: Decimal) -> list[Blocker]:
    """An invoiced line comes to less only with its red invoice: what stands against it."""
    on_invoices = (
        select(Record.number, InvoiceLine.amount - InvoiceLine.red)
        .join(InvoiceLine, InvoiceLine.invoice_id == Record.id)
        .where(InvoiceLine.charge_id == charge.id, Record.state != CANCELLED)
        .order_by(Record.id)
    )
    held = [(number, left) for number, left in session().execute(on_invoices) if left > 0]
    found = ledger.of_charges([charge.id])
    if not held or not found or amount <= found[0].to_invoice:
        return []
    text = _(
        "%(amount)s yuan of it are on %(number)s: enter a red invoice or cancel the request first",
        amount=sum((left for _number, left in held), ledger.ZERO),
        number="、".join(number for number, _left in held),
    )
    return [Blocker(text)]


def is_settled(record_id: int) -> bool:
    """Tell whether an invoice over a record's charges was asked for and stands, or none is wanted (R15-11b)."""
    asked = (
        select(Record.id)
        .join(InvoiceLine, InvoiceLine.invoice_id == Record.id)
        .join(Charge, Charge.id == InvoiceLine.charge_id)
        .where(Charge.record_id == record_id, Record.state != CANCELLED, InvoiceLine.red < InvoiceLine.amount)
    )
    declined = select(Fact.id).where(Fact.record_id == record_id, Fact.kind == "invoice_declined")
    return any(session().scalar(one.limit(1)) is not None for one in (asked, declined))


def may_see(record: Record) -> bool:
    """Tell whether the actor may see what is on an invoice."""
    return may(MONEY, record.unit_id)


def detail(record: Record) -> Invoice:
    """Return the details of an invoice request."""
    found: Invoice = detail_of(record)
    return found


def search_text(record: Record, found: Invoice) -> str:
    """The words an invoice is found by; not the buyer's bank or mailbox."""
    parts = (record.number, record.title, found.invoice_number, found.red_number)
    return "\n".join(one for one in parts if one)


INVOICE = RecordType(
    CODE,
    _l("Invoice request"),
    "KP",
    Invoice,
    WORKFLOW,
    search_text,
    intake=(*FIELDS, *ABOUT),
    register=request,
    files=MONEY,
)
TYPES: list[RecordType] = [INVOICE]

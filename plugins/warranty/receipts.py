"""Receipts (收款单): money taken, matched to charges, handed in to finance (R15-11b, R15-11c, R29-2.2a)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from core.sdk import (
    Blocker,
    Charge,
    Customer,
    FactKind,
    Field,
    Guard,
    InvalidData,
    NotFound,
    Record,
    RecordType,
    State,
    Step,
    Transition,
    Unit,
    answered_before,
    append_fact,
    approvals,
    charges,
    clean,
    clock,
    create_record,
    current_scope,
    detail_of,
    fetch,
    fetch_visible,
    local_day,
    lock,
    make_workflow,
    may,
    money_math,
    on_customer_erased,
    publish,
    remember_answer,
    require,
    session,
    setting,
    tell_of_fact,
    transaction,
)

from . import ledger, values, workflow
from .models import Receipt, ReceiptLine
from .rights import COLLECT, FINANCE, MONEY
from .settings import ROUNDING_MOST

CODE = "warranty_receipt"
COLLECTED, HANDED_IN, CONFIRMED, VOID = "collected", "handed_in", "confirmed", "void"
ROUNDING = "warranty.rounding"
# Who agrees to what is rounded off.
ROUNDING_POSITION = "service_leader"
CLOCK_SLACK = timedelta(minutes=5)

REQUIRED = _l("Please fill this in")
AMOUNT = Field(
    "amount",
    "decimal",
    _l("Amount received (yuan)"),
    True,
    minimum=Decimal("0.01"),
    maximum=Decimal("9999999999.99"),
)
FIELDS = (
    AMOUNT,
    Field("means", "choice", _l("Means of payment"), True, values.RECEIPT_MEANS),
    Field("payer_name", "text", _l("Paid by"), max_length=120),
    Field("reference", "text", _l("Reference"), max_length=80, help=_l("Number of the transfer, slip or cheque")),
    Field("at", "moment", _l("Collected at"), help=_l("Leave empty for the present time")),
    Field("round_off", "bool", _l("Ask for the rest to be rounded off")),
)
# Beside the form: what it is about. Screens fill these in themselves.
ABOUT = (
    Field("case_id", "int", _l("Case")),
    Field("customer_id", "int", _l("Customer")),
    Field("charges", "text", _l("Charges"), max_length=2000, help=_l("Numbers, separated by commas; empty: all")),
    Field("key", "text", _l("Key of the request"), max_length=80),
)


# --- the workflow --------------------------------------------------------------------------------


def _month_is_open(step: Step) -> Any:
    unit_id = step.record.unit_id
    if local_day(unit_id).strftime("%Y-%m") <= charges.closed_until(unit_id):
        return _l("This month is closed")
    return None


def _hand_in(step: Step) -> None:
    step.detail.handed_in_at = step.at
    _tell_cases(step.record, step.detail, "money_handed_in", step.at)


def _send_back(step: Step) -> None:
    step.detail.handed_in_at = None


def _confirm(step: Step) -> None:
    step.detail.confirmed_at, step.detail.confirmed_by = step.at, current_scope().actor_id


def _void(step: Step) -> None:
    """What the receipt paid is open again. The lines stay, so that one sees what was taken back."""
    session().flush()
    ids = [one.charge_id for one in lines_of(step.record.id)]
    ledger.lock_records(ledger.of_charges(ids))
    _settle(ledger.of_charges(ids, fresh=True))
    _tell_cases(step.record, step.detail, "money_returned", step.at)


_AT = Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time"))
_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
STATES = (
    State(COLLECTED, _l("Collected, not handed in"), "open"),
    State(HANDED_IN, _l("Handed in, to be confirmed"), "open"),
    State(CONFIRMED, _l("With finance"), "closed"),
    State(VOID, _l("Void"), "cancelled"),
)
FACT_KINDS = (
    FactKind("registered", _l("Money collected"), 0),
    FactKind("assigned", _l("Who collected it"), 1),
    FactKind("handed_in", _l("Money handed in"), 50),
    FactKind("sent_back", _l("Not received by finance"), 55),
    FactKind("confirmed", _l("Confirmed by finance"), 60),
    FactKind("voided", _l("Receipt made void"), 92),
)
TRANSITIONS = (
    Transition(
        "hand_in",
        _l("Hand in the money"),
        frozenset({COLLECTED}),
        HANDED_IN,
        COLLECT,
        "handed_in",
        (_AT,),
        apply=_hand_in,
        tone="primary",
        assignee_may=True,
        weight=10,
    ),
    Transition(
        "confirm",
        _l("Confirm the money"),
        frozenset({HANDED_IN}),
        CONFIRMED,
        FINANCE,
        "confirmed",
        (_AT,),
        apply=_confirm,
        tone="primary",
        weight=20,
    ),
    Transition(
        "send_back",
        _l("Send back as not received"),
        frozenset({HANDED_IN}),
        COLLECTED,
        FINANCE,
        "sent_back",
        (_REASON,),
        apply=_send_back,
        note="reason",
        weight=30,
    ),
    Transition(
        "void",
        _l("Make void"),
        frozenset({COLLECTED, HANDED_IN, CONFIRMED}),
        VOID,
        FINANCE,
        "voided",
        (_REASON,),
        (Guard("closed_month", _month_is_open),),
        apply=_void,
        note="reason",
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(COLLECTED, STATES, TRANSITIONS, FACT_KINDS)


# --- registering ---------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Register money received, matched to what it pays, oldest first (R15-11b). What goes to the company's account
    is handed in at once; anything else waits in the collector's name until it is (R15-11c).

    ``key`` makes a retry harmless. With ``round_off`` the rest of the chosen charges is put to the service leader.

    Raises:
        NotAllowed: the actor collects no money here.
        InvalidData: beside the field: not owed, too much, a closed month, a time to come ...
    """
    require(COLLECT, unit_id)
    given = clean((*FIELDS, *ABOUT), {**raw, "charges": None}, timezone=_zone(unit_id))
    given["amount"] = money_math.exact(given["amount"])
    ids = ledger.chosen_ids(raw.get("charges"))
    with transaction():
        told = {name: str(value) for name, value in raw.items() if name != "key"}
        before = answered_before(unit_id, given["key"] or "", "warranty.receipt", told)
        if before:
            return fetch(Record, before["record"])
        record = _register(unit_id, given, ids)
        remember_answer(unit_id, given["key"] or "", {"record": record.id})
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
        return record


def _register(unit_id: int, given: dict[str, Any], ids: Sequence[int]) -> Record:
    case, customer_id = about(unit_id, given["case_id"], given["customer_id"])
    at = _moment(unit_id, given["at"], case)
    ledger.lock_records(_open_of(unit_id, case, customer_id, fresh=False), *([case.id] if case else []))
    chosen = ledger.pick(_open_of(unit_id, case, customer_id, fresh=True), ids)
    shares = ledger.spread(given["amount"], [(one, one.rest) for one in chosen])
    _check_reference(unit_id, customer_id, given)
    detail = Receipt(
        amount=given["amount"],
        means=given["means"],
        payer_name=given["payer_name"] or "",
        reference=given["reference"] or "",
        collector_id=current_scope().actor_id,
        case_id=case.id if case else None,
    )

    def then(record: Record) -> None:
        if given["means"] in values.TO_ACCOUNT:
            record.state = HANDED_IN
            detail.handed_in_at = at
        session().add_all(
            ReceiptLine(unit_id=unit_id, receipt_id=record.id, charge_id=one.id, amount=share)
            for one, share in shares
        )
        session().flush()
        _settle(ledger.of_charges([one.id for one, _share in shares], fresh=True))
        kinds = ["money_collected", *(["money_handed_in"] if record.state == HANDED_IN else [])]
        for kind in kinds:
            _tell_cases(record, detail, kind, at)
        if given["round_off"]:
            _ask_rounding(unit_id, [one.id for one in chosen])

    facts: list[tuple[str, Mapping[str, Any]]] = [("registered", {})]
    if detail.collector_id is not None:
        # Whoever took the money answers for handing it in.
        facts.append(("assigned", {"assignee_id": detail.collector_id}))
    if given["means"] in values.TO_ACCOUNT:
        facts.append(("handed_in", {}))
    return create_record(
        RECEIPT,
        unit_id,
        detail,
        title=_title(unit_id, case),
        customer_id=customer_id,
        received_at=at,
        permission=COLLECT,
        facts=facts,
        assignee_id=current_scope().actor_id,
        then=then,
    )


def about(unit_id: int, case_id: object, customer_id: object) -> tuple[Record | None, int | None]:
    """Return the record and the customer that money or an invoice is about, as far as the actor sees them.

    Raises:
        InvalidData: neither is named, they do not belong together, or the record is another unit's.
        NotFound: nothing of that id here.
    """
    case = fetch_visible(case_id) if case_id else None
    if case is not None and case.unit_id != unit_id:
        raise InvalidData({"case_id": _l("This record belongs to another unit")})
    if case is None and not customer_id:
        raise InvalidData({"customer_id": REQUIRED})
    if case is not None:
        if customer_id and int(str(customer_id)) != case.customer_id:
            raise InvalidData({"customer_id": _l("The case is another customer's")})
        return case, case.customer_id
    customer = fetch(Customer, customer_id)
    if customer.unit_id != unit_id:  # also one that the actor may see, as a customer of another unit
        raise NotFound()
    return None, customer.id


def open_of(unit_id: int, case: Record | None, customer_id: int | None) -> list[ledger.Owed]:
    """Return what can be paid of a case, or of a customer in a unit, oldest first."""
    return _open_of(unit_id, case, customer_id, fresh=False)


def _open_of(unit_id: int, case: Record | None, customer_id: int | None, *, fresh: bool) -> list[ledger.Owed]:
    if case is not None:
        return ledger.to_pay(ledger.of_record(case.id, fresh=fresh))
    return ledger.to_pay(ledger.of_customer(customer_id or 0, [unit_id], fresh=fresh))


def _moment(unit_id: int, given: datetime | None, case: Record | None) -> datetime:
    now = clock.now()
    at = given or now
    if at > now + CLOCK_SLACK:
        raise InvalidData({"at": _l("This time lies in the future")})
    at = min(at, now)
    if case is not None and at < case.received_at:
        # Forms know minutes only.
        if at < case.received_at.replace(second=0, microsecond=0):
            raise InvalidData({"at": _l("This is before the request was received")})
        at = case.received_at
    if now - at > CLOCK_SLACK and not may("case.backdate", unit_id):
        raise InvalidData({"at": _l("Your position does not allow entering what happened earlier")})
    ledger.check_month(unit_id, local_day(unit_id, at), "at")
    return at


def _check_reference(unit_id: int, customer_id: int | None, given: Mapping[str, Any]) -> None:
    """The same transfer or slip is not registered twice.

    Raises:
        InvalidData: under ``reference``.
    """
    if not given["reference"] or given["means"] == values.CASH:
        return
    twin = (
        select(Record.number)
        .join(Receipt, Receipt.id == Record.id)
        .where(
            Record.customer_id == customer_id,
            Record.unit_id == unit_id,
            Record.state != VOID,
            Receipt.means == given["means"],
            Receipt.reference == given["reference"],
        )
    )
    number = session().scalar(twin.limit(1))
    if number is not None:
        raise InvalidData({"reference": _l("Already registered as %(number)s", number=number)})


def _title(unit_id: int, case: Record | None) -> str:
    with _in_words_of(unit_id):
        return _("Payment for %(number)s", number=case.number) if case else _("Payment of a customer")


def _in_words_of(unit_id: int) -> AbstractContextManager[Any]:
    """What is kept is in the language of the unit, whoever writes it."""
    locale = session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"
    return force_locale("en" if locale == "en" else "zh_Hans_CN")


def _zone(unit_id: int) -> str:
    return session().scalar(select(Unit.timezone).where(Unit.id == unit_id)) or "UTC"


# --- what follows from it ------------------------------------------------------------------------


def _settle(rows: Iterable[ledger.Owed]) -> None:
    """A posted charge is settled when receipts cover it, and open again when they no longer do."""
    for one in rows:
        states = {line.state for line in one.lines}
        if one.rest <= 0 and one.paid > 0 and ledger.POSTED in states and one.charge.state in ledger.BOOKED:
            charges.settle(one.charge)
        elif one.rest > 0 and one.charge.state == ledger.SETTLED:
            charges.unsettle(one.charge)


def settle_paid(record: Record) -> None:
    """What was paid beforehand is settled once it is posted."""
    _settle(one for one in ledger.of_record(record.id) if one.paid > 0)


def moving(charge: Charge, step: str) -> list[Blocker]:
    """What a customer owes is settled by receipts, not by hand."""
    if step != "settle" or charge.payer != ledger.CUSTOMER or not charge.amount:
        return []
    return [Blocker(_l("Register a receipt for it: that settles what was paid"))]


def follow(charge: Charge) -> None:
    """A line changed by itself: is it paid now, or open again?"""
    for one in ledger.of_charges([charge.adjusts_id or charge.id]):
        _settle([one])


def lines_of(receipt_id: int) -> Sequence[ReceiptLine]:
    """Return what a receipt pays."""
    wanted = select(ReceiptLine).where(ReceiptLine.receipt_id == receipt_id)
    return session().scalars(wanted.order_by(ReceiptLine.id)).all()


def _tell_cases(record: Record, detail: Receipt, kind: str, at: datetime) -> None:
    """Write on each record that the money is about what became of it: which receipt, never how much."""
    paid = select(Charge.record_id).join(ReceiptLine, ReceiptLine.charge_id == Charge.id)
    keys = set(session().scalars(paid.where(ReceiptLine.receipt_id == record.id)))
    known = {one.code: one for one in workflow.FACT_KINDS}
    for key in sorted(keys | ({detail.case_id} if detail.case_id else set())):
        case = lock(key)
        if case.type == "case":
            fact = append_fact(case, known[kind], at=max(at, case.received_at), data={"receipt": record.id})
            session().flush()
            tell_of_fact(case, fact)


# --- rounding off --------------------------------------------------------------------------------


def _ask_rounding(unit_id: int, ids: Sequence[int]) -> None:
    """Put the small rest of charges to the service leader; nothing is waived before they agree."""
    rows = [one for one in ledger.of_charges(ids, fresh=True) if one.rest > 0]
    rest = sum((one.rest for one in rows), ledger.ZERO)
    most = Decimal(str(setting(unit_id, ROUNDING_MOST)))
    if rest > most:
        text = _l("%(rest)s yuan are left; at most %(most)s may be rounded off", rest=rest, most=most)
        raise InvalidData({"round_off": text})
    with _in_words_of(unit_id):
        reason = _("Rounding off when the money was collected")
    for one in rows:
        label = charges.both_languages(one.charge.inputs.get("label") or one.charge.label)
        approvals.ask(
            unit_id,
            clause=one.charge.clause,
            subject=f"{ROUNDING}:{one.id}",
            title={"zh": f"抹零：{label['zh']}", "en": f"Rounding off: {label['en']}"},
            position=ROUNDING_POSITION,
            reason=reason,
            amount=one.rest,
            record=session().get_one(Record, one.charge.record_id),
        )


def rounding_decided(approval: Any) -> None:
    """Waive what was agreed to, as far as it is still open (a handler of approvals)."""
    if approval.state != "agreed":
        return
    row = fetch(Charge, approval.subject.partition(":")[2])
    lock(row.record_id)
    found = ledger.of_charges([row.id], fresh=True)
    amount = found[0].rest if found else ledger.ZERO
    # More than was asked about: the payment itself was taken back, so there is no rest to round off.
    if 0 < amount <= approval.amount and row.state in ledger.PAYABLE:
        charges.waived(row, approval.reason, amount, approval_id=approval.id)
        _settle(ledger.of_charges([row.id], fresh=True))


approvals.handlers[ROUNDING] = rounding_decided


def forget_payers(customer_ids: Sequence[int]) -> None:
    """Drop who paid from the receipts of erased customers; the sums stay."""
    rows = select(Receipt).join(Record, Record.id == Receipt.id).where(Record.customer_id.in_(customer_ids))
    for one in session().scalars(rows.where(Receipt.payer_name != "")):
        one.payer_name = ""


on_customer_erased(forget_payers)


# --- reading -------------------------------------------------------------------------------------


def may_see(record: Record, detail: Receipt | None = None) -> bool:
    """Tell whether the actor may see the amounts of a receipt: by permission, or as its collector."""
    if may(MONEY, record.unit_id):
        return True
    found = detail if detail is not None else detail_of(record)
    return found is not None and found.collector_id is not None and found.collector_id == current_scope().actor_id


def unsettled_of(record_id: int) -> bool:
    """Tell whether money collected on a record is still in somebody's hands (R29-2.2a)."""
    held = select(Record.id).join(Receipt, Receipt.id == Record.id).where(Record.state == COLLECTED)
    paid = select(ReceiptLine.receipt_id).join(Charge, Charge.id == ReceiptLine.charge_id)
    mine = (Receipt.case_id == record_id) | Receipt.id.in_(paid.where(Charge.record_id == record_id))
    return session().scalar(held.where(mine).limit(1)) is not None


def in_hand_of(unit_id: int, user_id: int, limit: int = 50) -> Sequence[Receipt]:
    """Return what somebody collected and has not handed in, the oldest first. It asks no permission."""
    mine = Receipt.unit_id == unit_id, Receipt.collector_id == user_id, Record.state == COLLECTED
    wanted = select(Receipt).join(Receipt.record).where(*mine).options(contains_eager(Receipt.record))
    return session().scalars(wanted.order_by(Receipt.id).limit(limit)).all()


def search_text(record: Record, detail: Receipt) -> str:
    """The words a receipt is found by; neither who paid nor how much."""
    return "\n".join(one for one in (record.number, record.title, detail.reference) if one)


RECEIPT = RecordType(
    CODE,
    _l("Receipt"),
    "SK",
    Receipt,
    WORKFLOW,
    search_text,
    intake=(*FIELDS, *ABOUT),
    register=register,
    files=MONEY,
)
TYPES: list[RecordType] = [RECEIPT]

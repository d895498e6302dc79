"""Intake, editing, chasing and look-up of cases: plain functions behind every door."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.customers.models import Customer
from core.customers.phones import digits_of
from core.customers.services import create_customer, on_erase, winner
from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import session, transaction
from core.kernel.errors import Conflict, InvalidData
from core.kernel.fields import Field, clean
from core.kernel.ids import uuid7
from core.records.engine import (
    CLOCK_SLACK,
    answered_before,
    append_fact,
    create_record,
    detail_of,
    flow_of,
    follow,
    index,
    lock,
    perform,
    record_fact,
    register_done,
    tell_of_fact,
)
from core.records.models import Fact, Record
from core.records.types import RecordType
from core.rules import gates
from core.rules.effective import holds
from core.units.facts import unit_facts
from core.units.settings import setting
from core.users.services import actor_positions

from . import vocabulary as words
from .models import Case
from .rules import who
from .workflow import (
    CASE_WORKFLOW,
    FAULT_TYPE,
    IMPACT,
    PRODUCT_CLASS,
    SEVERITY,
    nature_field,
    received_time,
    urgency_field,
)

REGISTER = "case.register"


def _needs_new_customer(raw: Mapping[str, Any]) -> bool:
    return not raw.get("customer_id")


INTAKE_FIELDS: tuple[Field, ...] = (
    Field("customer_id", "customer", _l("Customer")),
    Field("customer_name", "text", _l("New customer's name"), _needs_new_customer, max_length=120),
    Field("contact_name", "text", _l("Contact person"), max_length=60, clause="R34-4.1.3"),
    Field("contact_phone", "text", _l("Telephone"), True, max_length=30, clause="R34-4.1.3"),
    Field("address_text", "text", _l("Address"), max_length=300, clause="R15-6"),
    Field("channel", "choice", _l("Channel"), True, words.CHANNELS, default="phone", clause="R01-4.1"),
    nature_field(False),
    urgency_field(False),
    SEVERITY,
    Field("product_text", "text", _l("Product model"), max_length=120, clause="R34-4.1.3"),
    Field("serial_text", "text", _l("Serial number"), max_length=60),
    PRODUCT_CLASS,
    Field("purchase_date", "date", _l("Date of purchase"), clause="R15-6"),
    Field("fault_cause", "text", _l("Cause as the customer tells it"), max_length=300, clause="R15-6"),
    FAULT_TYPE,
    IMPACT,
    Field("description", "long", _l("What is wrong"), True, max_length=4000, clause="R34-4.1.3"),
    Field(
        "received_at",
        "moment",
        _l("Received at"),
        help=_l("When the customer made contact; leave empty for the present time"),
    ),
)
_BY_STEPS = ("nature", "urgency", "severity", "product_class", "fault_type", "impact")
EDIT_FIELDS = tuple(
    f for f in INTAKE_FIELDS if f.name not in ("customer_id", "customer_name", "received_at", *_BY_STEPS)
)
# Shown in the form that registers a case only where a clause of the unit wants them.
ON_DEMAND = {
    "purchase_date": ("R15-6",),
    "fault_cause": ("R15-6",),
    "fault_type": ("R27-2.2.2",),
    "impact": ("R27-2.2.2",),
    "product_class": ("R13-6.1", "R17-6.1", "R18-6.1", "R19-6.1"),
}


def intake_fields(unit_id: int) -> list[Field]:
    """Return the form that registers a case in a unit: what its clauses want is there, and marked as needed."""
    unsure = {"nature": None, who.TAKEN_BY: _taken_by(unit_id)}
    wanted = gates.wanted_fields(REGISTER, unit_id, unsure)
    shown = [
        one
        for one in INTAKE_FIELDS
        if one.name not in ON_DEMAND or any(holds(unit_id, clause) for clause in ON_DEMAND[one.name])
    ]
    return [replace(one, options={**one.options, "needed": True}) if one.name in wanted else one for one in shown]


def _taken_by(unit_id: int) -> str:
    """Say who takes the request in, where a clause of the unit asks for it; else ''."""
    if not any(holds(unit_id, clause) for clause in who.ASKING):
        return ""
    return who.taken_by(actor_positions(unit_id))


def search_text(record: Record, case: Case) -> str:
    """The words a case is found by: number, problem, product, serial, contact and customer."""
    customer = record.customer.name if record.customer else ""
    parts = (
        record.number,
        record.title,
        case.product_text,
        case.serial_text,
        case.contact_name,
        case.contact_digits,
        customer,
        case.description[:500],
    )
    return "\n".join(p for p in parts if p)


def _register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    return register_case(unit_id, raw)


CASE = RecordType(
    "case", _l("Case"), "GD", Case, CASE_WORKFLOW, search_text, intake=INTAKE_FIELDS, register=_register
)


def register_case(
    unit_id: int,
    raw: Mapping[str, Any],
    *,
    key: str = "",
    after: Callable[[Record], None] | None = None,
    in_writing: bool = False,
) -> Record:
    """Register a case; clauses R34-4.1.2 (unique number), R34-4.1.3 and R15-6 (what must be known).

    ``key`` makes a retry or double click answer the first case again. ``after`` runs in the same
    transaction with the new record (plugins' form sections). ``in_writing``: nobody is on the line to be asked;
    what a letter or mail leaves out stays empty, and the first fact names it for whoever asks.

    Raises:
        InvalidData: with a message per field.
        NotAllowed: the actor may not register cases in the unit.
    """
    require("case.create", unit_id)
    with transaction():
        uid = uuid7()
        stored = answered_before(unit_id, key, "case.register", raw, {"uid": uid.hex})
        if stored:
            return session().scalars(select(Record).where(Record.uid == UUID(stored["uid"]))).one()
        taken_by = _taken_by(unit_id)
        values, to_ask = _intake_values(unit_id, raw, taken_by, in_writing=in_writing)
        received = received_time(values["received_at"], clock.now(), setting(unit_id, "case.backdate_days"))
        customer = _customer_of(unit_id, values)
        urgency = values["urgency"] or ""
        record = create_record(
            CASE,
            unit_id,
            _case_from(values, customer),
            title=title_of(values["description"]),
            customer_id=customer.id,
            received_at=received,
            permission="case.create",
            facts=_first_facts(values, taken_by, later=received < clock.now() - CLOCK_SLACK, to_ask=to_ask),
            priority=words.PRIORITY.get(urgency, 3),
            uid=uid,
            then=lambda record: _complete(record, after),
        )
        register_done(record)
        return record


CONTACT = ["contact_name", "contact_phone", "address_text"]


def forget_contacts(customer_ids: Sequence[int]) -> None:
    """Take the contact's name, phone and address off the cases of erased customers, and out of the search index.

    What staff wrote in free text (descriptions, notes) stays: it is the record of the work.
    """
    of_them = select(Record.id).where(Record.type == CASE.code, Record.customer_id.in_(list(customer_ids)))
    for record_id in sorted(session().scalars(of_them)):
        record = lock(record_id)
        case = detail_of(record)
        case.contact_name = case.contact_phone = case.contact_digits = case.address_text = ""
        append_fact(record, CASE_WORKFLOW.fact_kinds["edited"], at=clock.now(), data={"fields": CONTACT})
        index(record, case)


on_erase(forget_contacts)


def _intake_values(
    unit_id: int, raw: Mapping[str, Any], taken_by: str, *, in_writing: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Read the form; what the unit's clauses want is asked for like what the form itself needs, all at once.

    Answers the values and, of a message ``in_writing``, the fields it leaves open.

    Raises:
        InvalidData: with a message per field.
    """
    fields = [replace(f, required=False) if in_writing and f.name in _TO_ASK else f for f in INTAKE_FIELDS]
    errors: dict[str, Any] = {}
    values: dict[str, Any] = {}
    try:
        values = clean(fields, raw, timezone=unit_facts(unit_id).timezone)
    except InvalidData as bad:
        errors = dict(bad.errors)
    given = values or {name: value.strip() if isinstance(value, str) else value for name, value in raw.items()}
    wanted = gates.missing_fields(REGISTER, unit_id, {**given, who.TAKEN_BY: taken_by})
    if in_writing and not errors:
        empty = {*wanted, *(name for name in _TO_ASK if not values[name])}
        return values, [one.name for one in INTAKE_FIELDS if one.name in empty]
    errors = {**errors, **wanted}
    if errors:
        raise InvalidData(errors)
    return values, []


_TO_ASK = ("contact_phone",)


def _complete(record: Record, after: Callable[[Record], None] | None) -> None:
    """Note when a request was entered that came in earlier (R01-4.1), and do what the form's other parts want."""
    if record.received_at < record.entered_at - CLOCK_SLACK:
        fact = append_fact(record, CASE_WORKFLOW.fact_kinds["logged"], at=record.entered_at)
        session().flush()
        follow(record, [fact])
    if after:
        after(record)


def _first_facts(
    values: Mapping[str, Any], taken_by: str, *, later: bool, to_ask: Sequence[str] = ()
) -> list[tuple[str, Mapping[str, Any]]]:
    """Registered, and classified or assessed at once where that is known (R01-4.2, R27-2.2.2)."""
    by: dict[str, Any] = {who.TAKEN_BY: taken_by} if taken_by else {}
    if later:
        by["entered_later"] = True
    if to_ask:
        by["to_ask"] = list(to_ask)
    facts: list[tuple[str, Mapping[str, Any]]] = [("registered", {"channel": values["channel"], **by})]
    if values["nature"] and values["urgency"]:
        names = ("nature", "urgency", "severity", "product_class")
        facts.append(("classified", {n: values[n] for n in names if values[n]}))
    if values["fault_type"] and values["impact"]:
        facts.append(("assessed", {n: values[n] for n in ("fault_type", "impact")}))
    return facts


def _customer_of(unit_id: int, values: Mapping[str, Any]) -> Customer:
    if not values["customer_id"]:
        return _new_customer(unit_id, values)
    customer = winner(session().scalars(select(Customer).where(Customer.id == values["customer_id"])).first())
    if customer is None or customer.unit_id != unit_id:
        raise InvalidData({"customer_id": _l("This customer is not on file here")})
    return customer


def _new_customer(unit_id: int, values: Mapping[str, Any]) -> Customer:
    given = {
        "name": values["customer_name"],
        "contact_name": values["contact_name"] or "",
        "phone": values["contact_phone"] or "",
        "address": values["address_text"] or "",
    }
    try:
        return create_customer(unit_id, given)
    except InvalidData as bad:
        raise InvalidData({_OF_CUSTOMER.get(name, name): texts for name, texts in bad.errors.items()}) from None


_OF_CUSTOMER = {"name": "customer_name", "phone": "contact_phone", "address": "address_text"}


def _case_from(values: Mapping[str, Any], customer: Customer) -> Case:
    return Case(
        channel=values["channel"],
        nature=values["nature"] or "",
        urgency=values["urgency"] or "",
        severity=values["severity"] or "",
        description=values["description"],
        fault_cause=values["fault_cause"] or "",
        fault_type=values["fault_type"] or "",
        impact=values["impact"] or "",
        product_class=values["product_class"] or "",
        purchase_date=values["purchase_date"],
        product_text=values["product_text"] or "",
        serial_text=(values["serial_text"] or "").upper(),
        contact_name=values["contact_name"] or customer.name[:60],
        contact_phone=values["contact_phone"] or "",
        contact_digits=digits_of(values["contact_phone"] or ""),
        address_text=values["address_text"] or "",
    )


def title_of(description: str) -> str:
    """Return a case's title: the first line of what is wrong, at most 80 characters."""
    first = description.strip().splitlines()[0] if description.strip() else ""
    return first[:80]


def edit_case(record_id: object, raw: Mapping[str, Any], *, version: int | None = None) -> Record:
    """Correct a case's details; what changed is on the timeline by field name, never by value.

    Raises:
        Conflict: somebody else changed the record since ``version``.
        NotAllowed, InvalidData: nothing is changed.
    """
    with transaction() as work:
        record = lock(record_id)
        require("case.edit", record.unit_id)
        if version is not None and version != record.version:
            raise Conflict()
        case = detail_of(record)
        values = clean(EDIT_FIELDS, {"nature": case.nature, **raw})
        values["serial_text"] = (values["serial_text"] or "").upper()
        changed = [n for n, v in values.items() if (v or "") != (getattr(case, n) or "")]
        if not changed:
            return record
        wanted = gates.missing_fields(REGISTER, record.unit_id, {**values, "nature": case.nature})
        emptied = {name: text for name, text in wanted.items() if name in changed}
        if emptied:
            raise InvalidData(emptied)
        for name in changed:
            setattr(case, name, values[name] or (None if name == "purchase_date" else ""))
        case.contact_digits = digits_of(case.contact_phone)
        record.title = title_of(case.description)
        fact = append_fact(record, flow_of(record).fact_kinds["edited"], at=clock.now(), data={"fields": changed})
        work.flush()
        tell_of_fact(record, fact)
        index(record, case)
        return record


# --- chasing and calls -----------------------------------------------------------------------


def chase(record_id: object, said: str = "", *, key: str = "") -> Record:
    """Add a chasing call (催单): counted, told to the assignee, moving no clock."""
    return perform(record_id, "chase", {"reason": said}, key=key)


CALL_FIELDS = (
    Field("result", "choice", _l("What happened"), True, words.CALL_RESULTS),
    Field("call_back_at", "moment", _l("Call back at")),
    Field("reason", "long", _l("Remark"), max_length=500),
    Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time")),
)


def call_attempt(record_id: object, raw: Mapping[str, Any], *, timezone: str) -> Fact:
    """Record a call that did not reach the customer: evidence, but not a contact."""
    values = clean(CALL_FIELDS, raw, timezone=timezone)
    data = {"result": values["result"]}
    if values["call_back_at"]:
        data["call_back_at"] = values["call_back_at"].isoformat()
    return record_fact(record_id, "call_attempt", at=values["at"], data=data, note=values["reason"] or "")

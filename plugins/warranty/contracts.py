"""Service contracts and plans (服务合同、服务计划): what is promised to a customer, for what, at which prices.

A contract is drafted, signed, put in force, and ended. What was signed does not change any more: for other terms a
further contract is made (R14-5.4.6). Services flush, never commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import or_, select

from core.sdk import (
    Customer,
    FactKind,
    Field,
    Guard,
    InvalidData,
    Record,
    RecordType,
    Refusal,
    Refused,
    State,
    Step,
    Transition,
    append_fact,
    clean,
    clock,
    create_record,
    detail_of,
    holds,
    local_day,
    lock,
    make_workflow,
    normalise,
    publish,
    require,
    session,
    tell_of_fact,
    transaction,
)
from plugins.products import services as products

from . import events
from .models import Contract, ContractItem
from .rights import CONTRACT

CODE = "warranty_contract"
DRAFT, SIGNED, IN_FORCE, ENDED, CANCELLED = "draft", "signed", "in_force", "ended", "cancelled"
MOST_ITEMS, MOST_PRICES = 200, 500
SERVICE_CONTENT, PLAN_CLAUSE = "R10-3.1b", "R22-0.1"
_SEPARATORS = re.compile(r"[\s,，;；、]+")
_NAMES = re.compile(r"[,，;；、\n]+")
_PRICE = re.compile(r"(.+?)\s*[=＝:：\t]\s*(\S+)")
_MOST_PRICE = Decimal("9999999999.99")

AS_DRAFTED = _l("Left empty, what the draft says stays")
# What the plan says: content, form, free repair term, time to solve, repairer's name and place (R22-0.1), and
# training and quality measures, other goods and services given free (R22-0.2).
PLAN_FIELDS = (
    Field("content", "long", _l("Service content"), max_length=4000),
    Field("form", "text", _l("Form of service"), max_length=200),
    Field("free_months", "int", _l("Free repair (months)"), minimum=Decimal(0), maximum=Decimal(600)),
    Field("solve_within", "text", _l("Time to solve"), max_length=100),
    Field("repairer", "text", _l("Who repairs"), max_length=100),
    Field("place", "text", _l("Where"), max_length=200),
    Field("training", "long", _l("Training and quality measures"), max_length=2000),
    Field("extras", "long", _l("Other goods or services given free"), max_length=2000),
)
PLAN = tuple(one.name for one in PLAN_FIELDS)
FIELDS = (
    Field("name", "text", _l("Name of the contract"), True, max_length=120),
    *PLAN_FIELDS,
    Field(
        "serials", "long", _l("Items of the contract"), max_length=14_000, help=_l("Serial numbers, one per line")
    ),
    Field(
        "prices",
        "long",
        _l("Agreed prices"),
        max_length=40_000,
        help=_l("One part per line: part number = price in yuan, tax and freight included"),
    ),
)
CUSTOMER = Field("customer_id", "customer", _l("Customer"), True)


# --- the workflow --------------------------------------------------------------------------------


def _as_drafted(step: Step) -> None:
    """What the form leaves empty is as the draft has it, for the clauses that look at it after this."""
    for one in step.transition.fields:
        if step.values.get(one.name) in (None, "") and hasattr(step.detail, one.name):
            step.values[one.name] = getattr(step.detail, one.name)


def _keep(step: Step, names: Iterable[str]) -> None:
    for name in names:
        value = step.values.get(name)
        setattr(step.detail, name, value if name == "free_months" or value is not None else "")


def _sign(step: Step) -> None:
    if step.values["signed_on"] > local_day(step.record.unit_id):
        raise InvalidData({"signed_on": _l("This date lies in the future")})
    step.detail.signed_on = step.values["signed_on"]
    _keep(step, PLAN)


def _start(step: Step) -> None:
    """The contract's free repair begins for every item of it."""
    starts, ends = step.values["starts_on"], step.values["ends_on"]
    if ends is not None and ends < starts:
        raise InvalidData({"ends_on": _l("This is before it begins")})
    step.detail.starts_on, step.detail.ends_on = starts, ends
    _keep(step, ("engineers", "agents"))
    if not step.detail.free_months:
        return
    for item in items_of(step.record.id):
        events.add_event(
            item,
            events.AGREED,
            starts,
            months=step.detail.free_months,
            source=f"contract:{step.record.id}",
            clause=_promised_by(step.record.unit_id, step.at),
        )


def _promised_by(unit_id: int, at: datetime) -> str:
    """Return the clause in force that has a contract say its terms, '' where none does."""
    return next((one for one in (PLAN_CLAUSE, SERVICE_CONTENT) if holds(unit_id, one, at)), "")


def people(text: str | None) -> list[str]:
    """Return the names in a list of people, each once."""
    return list(dict.fromkeys(one for one in (normalise(part) for part in _NAMES.split(text or "")) if one))


_REASON = Field("reason", "long", _l("Reason"), True, max_length=500)
_DRAFTED = Guard("draft", _as_drafted, needs_form=True)
STATES = (
    State(DRAFT, _l("Draft"), "open"),
    State(SIGNED, _l("Signed"), "open"),
    State(IN_FORCE, _l("In force"), "open"),
    State(ENDED, _l("Contract ended"), "closed"),
    State(CANCELLED, _l("Contract cancelled"), "cancelled"),
)
FACT_KINDS = (
    FactKind("registered", _l("Contract drafted"), 0),
    FactKind("changed", _l("Draft changed"), 10),
    FactKind("signed", _l("Contract signed"), 40),
    FactKind("started", _l("Contract in force"), 50),
    FactKind("ended", _l("Contract ended"), 90),
    FactKind("cancelled", _l("Contract cancelled"), 92),
)
TRANSITIONS = (
    Transition(
        "sign",
        _l("Sign"),
        frozenset({DRAFT}),
        SIGNED,
        CONTRACT,
        "signed",
        (Field("signed_on", "date", _l("Signed on"), True), *PLAN_FIELDS),
        (_DRAFTED,),
        apply=_sign,
        tone="primary",
        help=AS_DRAFTED,
        weight=10,
    ),
    Transition(
        "start",
        _l("Put in force"),
        frozenset({SIGNED}),
        IN_FORCE,
        CONTRACT,
        "started",
        (
            Field("starts_on", "date", _l("Valid from"), True),
            Field("ends_on", "date", _l("Valid until"), help=_l("Leave empty for a contract without an end")),
            Field(
                "engineers",
                "text",
                _l("Engineers for quality tracking"),
                max_length=300,
                help=_l("Names, separated by commas"),
            ),
            Field(
                "agents",
                "text",
                _l("Service agents for quality tracking"),
                max_length=300,
                help=_l("Names, separated by commas"),
            ),
        ),
        (_DRAFTED,),
        apply=_start,
        tone="primary",
        weight=20,
    ),
    Transition(
        "end",
        _l("End the contract"),
        frozenset({IN_FORCE}),
        ENDED,
        CONTRACT,
        "ended",
        (_REASON,),
        note="reason",
        help=_l("What was promised for its items until then stays as it is"),
        weight=30,
    ),
    Transition(
        "cancel",
        _l("Cancel the contract"),
        frozenset({DRAFT, SIGNED}),
        CANCELLED,
        CONTRACT,
        "cancelled",
        (_REASON,),
        note="reason",
        tone="danger",
        weight=70,
    ),
)
WORKFLOW = make_workflow(DRAFT, STATES, TRANSITIONS, FACT_KINDS)


# --- drafting ------------------------------------------------------------------------------------


def register(unit_id: int, raw: Mapping[str, Any]) -> Record:
    """Draft a contract with a customer (``FIELDS`` and ``CUSTOMER``).

    Raises:
        NotAllowed: the actor keeps no contracts here.
        InvalidData: beside the field: an unknown customer, serial number or a price that is none.
    """
    require(CONTRACT, unit_id)
    given = clean((CUSTOMER, *FIELDS), raw)
    customer = _customer_of(unit_id, given["customer_id"])
    items, prices = _read(unit_id, customer.id, given)
    detail = Contract(name=given["name"], prices=prices, **_plan_of(given))

    def then(made: Record) -> None:
        _set_items(made, items)

    with transaction():
        record = create_record(
            CONTRACT_TYPE,
            unit_id,
            detail,
            title=given["name"],
            customer_id=customer.id,
            received_at=clock.now(),
            permission=CONTRACT,
            facts=[("registered", {})],
            then=then,
        )
        publish("record.registered", unit_id, {"record_id": record.id, "type": CODE})
    return record


def change(record_id: object, raw: Mapping[str, Any]) -> Record:
    """Change a draft; which fields were changed is on the timeline, what they said in the audit trail.

    Raises:
        NotFound, NotAllowed. InvalidData: as ``register``. Refused: it was signed already.
    """
    with transaction():
        record = lock(record_id)
        require(CONTRACT, record.unit_id)
        if record.state != DRAFT:
            text = _l("What was signed does not change any more; draft a further contract")
            raise Refused([Refusal("warranty.signed", text)])
        given, detail = clean(FIELDS, raw), detail_of(record)
        items, prices = _read(record.unit_id, record.customer_id, given)
        wanted = {"name": given["name"], "prices": prices, **_plan_of(given)}
        changed = [name for name, value in wanted.items() if getattr(detail, name) != value]
        if _set_items(record, items):
            changed.append("serials")
        if not changed:
            return record
        for name in changed:
            if name != "serials":
                setattr(detail, name, wanted[name])
        record.title = given["name"][:200]
        fact = append_fact(record, WORKFLOW.fact_kinds["changed"], at=clock.now(), data={"fields": changed})
        session().flush()
        tell_of_fact(record, fact)
        return record


def _customer_of(unit_id: int, customer_id: int) -> Customer:
    found = (
        session().scalars(select(Customer).where(Customer.id == customer_id, Customer.unit_id == unit_id)).first()
    )
    if found is not None and found.merged_into_id is not None:
        found = session().get(Customer, found.merged_into_id)
    if found is None:
        raise InvalidData({"customer_id": _l("This customer is not on file here")})
    return found


def _plan_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] if name == "free_months" else given[name] or "" for name in PLAN}


def _read(unit_id: int, customer_id: int | None, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    errors: dict[str, Any] = {}
    items: list[Any] = []
    prices: dict[str, str] = {}
    try:
        items = _read_items(unit_id, customer_id, given["serials"])
    except InvalidData as bad:
        errors |= bad.errors
    try:
        prices = {number: str(price) for number, price in read_prices(given["prices"]).items()}
    except InvalidData as bad:
        errors |= bad.errors
    if errors:
        raise InvalidData(errors)
    return items, prices


def _read_items(unit_id: int, customer_id: int | None, text: str | None) -> list[Any]:
    """Return the unit's items of the serial numbers typed; those of other units are as unknown as any."""
    typed = list(dict.fromkeys(products.tidy_serial(one) for one in _SEPARATORS.split(text or "") if one))
    if len(typed) > MOST_ITEMS:
        raise InvalidData({"serials": _l("At most %(count)d items", count=MOST_ITEMS)})
    known = products.items_by_serial(unit_id, typed)
    found = []
    for serial in typed:
        item = known.get(serial)
        if item is None:
            raise InvalidData({"serials": _l("No item with serial number %(serial)s in this unit.", serial=serial)})
        if item.customer_id is not None and item.customer_id != customer_id:
            raise InvalidData({"serials": _l("%(serial)s belongs to another customer", serial=serial)})
        found.append(item)
    return found


def read_prices(text: str | None) -> dict[str, Decimal]:
    """Read agreed prices typed one per line: ``part number = price`` (R14-5.4.3, R14-5.4.5).

    Raises:
        InvalidData: under ``prices``, naming the line.
    """
    lines = [(place, line.strip()) for place, line in enumerate((text or "").splitlines(), 1) if line.strip()]
    if len(lines) > MOST_PRICES:
        raise InvalidData({"prices": _l("At most %(count)d prices", count=MOST_PRICES)})
    found: dict[str, Decimal] = {}
    for place, line in lines:
        number, price = _read_price(place, line)
        if number in found:
            raise _bad_line(place, _l("this part has a price already"))
        found[number] = price
    return found


def _read_price(place: int, line: str) -> tuple[str, Decimal]:
    cells = _PRICE.fullmatch(normalise(line))
    number = cells.group(1).strip() if cells else ""
    if cells is None or not 0 < len(number) <= 60:
        raise _bad_line(place, _l("write part number = price"))
    try:
        price = Decimal(cells.group(2).removeprefix("¥").replace(",", ""))
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or not 0 <= price <= _MOST_PRICE or price != price.quantize(Decimal("0.01")):
        raise _bad_line(place, _l("a price in yuan has at most two places"))
    return number, price.quantize(Decimal("0.01"))


def _bad_line(place: int, why: Any) -> InvalidData:
    return InvalidData({"prices": _l("Line %(number)d: %(why)s", number=place, why=why)})


def show_prices(prices: Mapping[str, str]) -> str:
    """The text that ``read_prices`` reads back to the same prices."""
    return "\n".join(f"{number} = {price}" for number, price in prices.items())


def _set_items(record: Record, items: Sequence[Any]) -> bool:
    """Make the contract's items exactly these; tell whether that changed anything."""
    held = {row.item_id: row for row in session().scalars(_rows_of(record.id))}
    wanted = {item.id for item in items}
    for key, row in held.items():
        if key not in wanted:
            session().delete(row)
    session().add_all(
        ContractItem(unit_id=record.unit_id, contract_id=record.id, item_id=key)
        for key in sorted(wanted - held.keys())
    )
    session().flush()
    return wanted != held.keys()


def _rows_of(record_id: int) -> Any:
    return select(ContractItem).where(ContractItem.contract_id == record_id)


# --- reading -------------------------------------------------------------------------------------


def items_of(record_id: int) -> list[Any]:
    """Return the items a contract is about, by serial number, with model and customer. One select."""
    ids = session().scalars(select(ContractItem.item_id).where(ContractItem.contract_id == record_id)).all()
    return sorted(products.items_in_full(ids).values(), key=lambda one: one.serial) if ids else []


def contracts_of(customer_id: int, limit: int = 20) -> list[tuple[Record, Contract]]:
    """Return the newest contracts with a customer."""
    found = (
        select(Record, Contract)
        .join(Contract, Contract.id == Record.id)
        .where(Record.type == CODE, Record.customer_id == customer_id)
        .order_by(Record.id.desc())
        .limit(limit)
    )
    return [(record, detail) for record, detail in session().execute(found)]


def agreed_prices(record: Record, at: datetime) -> Mapping[str, Decimal]:
    """Return the part prices that contracts with the record's customer keep, by part number (R14-5.4.3, R14-5.4.5).

    Those in force on the day; a contract that names items holds for these only. Where two name a part, the one that
    began later holds.
    """
    if record.customer_id is None:
        return {}
    day = local_day(record.unit_id, at)
    found = [one for one in _in_force(record.unit_id, record.customer_id, day) if one.prices]
    about = _items_by_contract([one.id for one in found])
    item = products.item_of_record(record) if about else None
    prices: dict[str, Decimal] = {}
    for one in found:
        if one.id not in about or (item is not None and item.id in about[one.id]):
            prices |= {number: Decimal(price) for number, price in one.prices.items()}
    return prices


def _in_force(unit_id: int, customer_id: int, day: date) -> list[Contract]:
    found = (
        select(Record, Contract)
        .join(Contract, Contract.id == Record.id)
        .where(
            Record.type == CODE,
            Record.unit_id == unit_id,
            Record.customer_id == customer_id,
            Record.state.in_((IN_FORCE, ENDED)),
            Contract.starts_on <= day,
            or_(Contract.ends_on.is_(None), Contract.ends_on >= day),
        )
        .order_by(Contract.starts_on, Contract.id)
    )
    rows = session().execute(found).all()
    # One that was ended early held until the day it was.
    return [one for record, one in rows if record.closed_at is None or day < local_day(unit_id, record.closed_at)]


def _items_by_contract(ids: Sequence[int]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    if ids:
        for row in session().scalars(select(ContractItem).where(ContractItem.contract_id.in_(ids))):
            found.setdefault(row.contract_id, set()).add(row.item_id)
    return found


def _search_text(record: Record, detail: Contract) -> str:
    customer = record.customer.name if record.customer else ""
    return "\n".join(part for part in (record.number, detail.name, customer) if part)


CONTRACT_TYPE = RecordType(
    CODE,
    _l("Service contract"),
    "HT",
    Contract,
    WORKFLOW,
    _search_text,
    intake=(CUSTOMER, *FIELDS),
    register=register,
)
TYPES: list[RecordType] = [CONTRACT_TYPE]

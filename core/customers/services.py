"""What staff do with the customer file: register, change, find, merge, look at personal data, erase."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Table, select
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from core.kernel import clock, import_changes, search
from core.kernel.audit import record_audit
from core.kernel.database import current_scope, session
from core.kernel.errors import Conflict, InvalidData, Refusal, Refused
from core.kernel.fields import Field, normalise
from core.kernel.ids import uuid7
from core.kernel.numbering import draw
from core.kernel.repoint import repoint
from core.kernel.scope import Units
from core.units.models import Unit
from core.users.permissions import require

from . import identity
from .models import Customer, CustomerAddress, CustomerContact, CustomerKey, CustomerPhone
from .phones import Phone, digits_of, read_phones
from .regions import WARNINGS, coordinates, distance_km, split_address

PERSON, COMPANY = "person", "company"
CUSTOMER_KINDS = ((PERSON, _l("Person")), (COMPANY, _l("Company")))
SEARCH_KIND = "customer"
COUNTER = "customer"

CUSTOMER_FIELDS: tuple[Field, ...] = (
    Field("name", "text", _l("Customer name"), required=True, max_length=120),
    Field("kind", "choice", _l("Customer kind"), choices=CUSTOMER_KINDS, default=PERSON),
    Field("phone", "text", _l("Phone"), max_length=200, help=_l("Several numbers separated by 、")),
    Field("service_number", "bool", _l("This unusual number is right"), help=_l("Such as 95588")),
    Field("company_code", "text", _l("Unified social credit code"), max_length=30),
    Field("identity", "text", _l("Identity number"), max_length=30, help=_l("Kept encrypted")),
    Field("email", "text", _l("E-mail"), max_length=200),
    Field("wechat", "text", _l("WeChat"), max_length=60),
    Field("note", "long", _l("Note"), max_length=2000),
    Field(
        "service_plan",
        "long",
        _l("Service plan"),
        max_length=2000,
        clause="R31-5.2",
        help=_l("What this customer uses and how it is looked after"),
    ),
)
ADDRESS_FIELDS: tuple[Field, ...] = (
    Field("address", "text", _l("Address"), max_length=300, help=_l("With province, city and county")),
    Field("label", "text", _l("Label"), max_length=20),
    Field("postcode", "text", _l("Postcode"), max_length=10),
    Field(
        "distance_km",
        "decimal",
        _l("Distance (km)"),
        minimum=Decimal(0),
        maximum=Decimal(20000),
        help=_l("Road distance if known; otherwise the straight line is used"),
    ),
)
CONTACT_FIELDS: tuple[Field, ...] = (
    Field("name", "text", _l("Contact name"), required=True, max_length=60),
    Field("role", "text", _l("Role"), max_length=40),
    Field("phone", "text", _l("Phone"), max_length=60),
    Field("email", "text", _l("E-mail"), max_length=200),
)


@dataclass(frozen=True)
class Duplicate:
    """An existing customer that may be the same. ``reason``: phone, company_code or name_region."""

    customer: Customer
    reason: str


REASONS = {
    "number": _l("Same customer number"),
    "phone": _l("Same phone number"),
    "company_code": _l("Same unified social credit code"),
    "name_region": _l("Same name and region"),
}


# --- writing ---------------------------------------------------------------------------------


def create_customer(unit_id: int, values: Mapping[str, Any]) -> Customer:
    """Register a customer from cleaned CUSTOMER_FIELDS, ADDRESS_FIELDS and ``contact_name``. Draws the number.

    Raises:
        NotAllowed: without ``customer.create``. InvalidData: phone, code or identity number is wrong.
    """
    require("customer.create", unit_id)
    checked = _checked(values)
    customer = Customer(
        uid=uuid7(), unit_id=unit_id, number="", created_at=clock.now(), **_plain_columns(values, checked)
    )
    customer.phones = [_phone_row(unit_id, phone) for phone in checked["phones"]]
    if values.get("contact_name"):
        customer.contacts = [CustomerContact(unit_id=unit_id, name=values["contact_name"])]
    if values.get("address"):
        customer.addresses = [_address_row(unit_id, values)]
    _collect_warnings(customer)
    customer.number = format_number(draw(unit_id, COUNTER))
    session().add(customer)
    session().flush()
    if checked["identity"]:
        identity.store_identity(customer, checked["identity"])
        session().flush()
    reindex(customer)
    return customer


def update_customer(customer: Customer, values: Mapping[str, Any], version: int | None = None) -> Customer:
    """Change a customer; only the keys present in ``values`` are touched. ``version`` is the one the form showed.

    Raises:
        NotAllowed: without ``customer.edit``. Conflict: changed by somebody else meanwhile. InvalidData.
        Refused: merged into another.
    """
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    checked = _checked(values)
    for name, value in _plain_columns(values, checked).items():
        if name in values:
            setattr(customer, name, value)
    if "phone" in values:
        _set_phones(customer, checked["phones"])
    if checked["identity"]:
        identity.store_identity(customer, checked["identity"])
    _save(customer)
    return customer


def add_address(customer: Customer, values: Mapping[str, Any], version: int | None = None) -> CustomerAddress:
    """Add an address from cleaned ADDRESS_FIELDS; region, code, coordinates and distance are worked out."""
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    row = _address_row(customer.unit_id, values)
    customer.addresses.append(row)
    _save(customer)
    return row


def update_address(row: CustomerAddress, values: Mapping[str, Any], version: int | None = None) -> CustomerAddress:
    """Change an address from cleaned ADDRESS_FIELDS."""
    customer = row.customer
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    for name, value in _address_values(customer.unit_id, values).items():
        setattr(row, name, value)
    _save(customer)
    return row


def add_contact(customer: Customer, values: Mapping[str, Any], version: int | None = None) -> CustomerContact:
    """Add a contact from cleaned CONTACT_FIELDS."""
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    row = CustomerContact(unit_id=customer.unit_id, **_contact_values(values))
    customer.contacts.append(row)
    _save(customer)
    return row


def update_contact(row: CustomerContact, values: Mapping[str, Any], version: int | None = None) -> CustomerContact:
    """Change a contact from cleaned CONTACT_FIELDS."""
    customer = row.customer
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    for name, value in _contact_values(values).items():
        setattr(row, name, value)
    _save(customer)
    return row


def remove_part(row: CustomerAddress | CustomerContact, version: int | None = None) -> None:
    """Remove an address or a contact from its customer."""
    customer = row.customer
    require("customer.edit", customer.unit_id)
    _start_change(customer, version)
    rows: list[Any] = customer.addresses if isinstance(row, CustomerAddress) else customer.contacts
    rows.remove(row)
    _save(customer)


def erase_customer(customer: Customer, reason: str) -> None:
    """Erase the person: destroy the identity key, drop name, phones, addresses, contacts. Number and records stay.

    Raises:
        NotAllowed: without ``customer.erase``. InvalidData: no reason given.
    """
    require("customer.erase", customer.unit_id)
    reason = normalise(reason)[:200]
    if not reason:
        raise InvalidData({"reason": _l("Please say why.")})
    _start_change(customer, None)
    aliases = session().scalars(select(Customer).where(Customer.merged_into_id == customer.id)).all()
    for forget in _erasers:  # while it still stands here whose things they are
        forget([customer.id, *(one.id for one in aliases)])
    for one in (customer, *aliases):
        _forget(one)
    record_audit("customer.erased", customer, detail={"reason": reason})
    _save(customer)


# What rooms above keep of a person; each takes the ids of erased customers.
_erasers: list[Callable[[Sequence[int]], None]] = []


def on_erase(forget: Callable[[Sequence[int]], None]) -> None:
    """Let a room above erase what it keeps of a person, in the same transaction."""
    _erasers.append(forget)


def _forget(customer: Customer) -> None:
    import_changes.forget([customer, *customer.phones, *customer.addresses, *customer.contacts])
    identity.destroy_key(customer)
    customer.phones, customer.addresses, customer.contacts = [], [], []
    customer.name = str(_("Erased"))
    customer.service_plan = ""
    customer.email = customer.wechat = customer.note = customer.company_code = customer.warnings = ""


def reindex(customer: Customer) -> None:
    """Bring the search index up to date with the customer; a merged one leaves it."""
    reindex_many([customer])


def reindex_many(customers: Sequence[Customer]) -> None:
    """The same for a batch (at most a few thousand), in a fixed number of statements."""
    search.remove(SEARCH_KIND, [c.id for c in customers if c.merged_into_id is not None])
    kept = [c for c in customers if c.merged_into_id is None]
    merged = select(Customer.merged_into_id, Customer.number).where(
        Customer.merged_into_id.in_([c.id for c in kept])
    )
    aliases: dict[int | None, list[str]] = {}
    for winner_id, number in session().execute(merged) if kept else ():
        aliases.setdefault(winner_id, []).append(number)
    search.put_many(SEARCH_KIND, [(c.id, c.unit_id, _search_words(c, aliases.get(c.id, ()))) for c in kept])


def _search_words(customer: Customer, aliases: Iterable[str]) -> str:
    contacts = [part for c in customer.contacts for part in (c.name, digits_of(c.phone))]
    phones = [p.digits for p in customer.phones]
    words = [customer.number, customer.name, *phones, *contacts, customer.company_code, *aliases]
    return " ".join(dict.fromkeys(word for word in words if word))


def format_number(value: int) -> str:
    """Write a customer number: C00001."""
    return f"C{value:05d}"


def _start_change(customer: Customer, version: int | None) -> None:
    if customer.merged_into_id is not None:
        raise Refused([Refusal("customer.merged", _l("This customer was merged into another one"))])
    if version is not None and customer.version != version:
        raise Conflict()
    # Phones and addresses belong to the customer: changing them makes an open form stale too.
    flag_modified(customer, "warnings")


def _save(customer: Customer) -> None:
    _collect_warnings(customer)
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None
    reindex(customer)


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Check what needs more than its kind; collect all errors."""
    errors: dict[str, Any] = {}
    found: dict[str, Any] = {"phones": (), "company_code": "", "identity": ""}
    reading = read_phones(values.get("phone") or "", service=bool(values.get("service_number")))
    found["phones"] = reading.phones
    if reading.errors:
        errors["phone"] = [reason for _text, reason in reading.errors]
    for key, check in (("company_code", identity.read_company_code), ("identity", identity.read_resident_id)):
        try:
            found[key] = check(values[key]) if values.get(key) else ""
        except InvalidData as bad:
            errors |= bad.errors
    if values.get("email") and not valid_email(values["email"]):
        errors["email"] = BAD_EMAIL
    if errors:
        raise InvalidData(errors)
    return found


BAD_EMAIL = _l("This is not an e-mail address")


def valid_email(text: str) -> bool:
    """Tell whether text can be an e-mail address; whether it exists only a mail can tell."""
    name, at, host = text.rpartition("@")
    return bool(name and at and "." in host[1:-1]) and not any(c.isspace() or c in ",;<>" for c in text)


_COMPANY_NAME = re.compile(r"(?:公司|集团|厂|学校|银行|中心|事务所|合作社|商行|经营部|超市|.{2}[院局店社所])$")


def likely_kind(name: str) -> str:
    """Tell by its name whether a customer is a company or a person, where nobody said so."""
    return COMPANY if _COMPANY_NAME.search(name) else PERSON


def _plain_columns(values: Mapping[str, Any], checked: Mapping[str, Any]) -> dict[str, Any]:
    texts = {key: values.get(key) or "" for key in ("name", "email", "wechat", "note", "service_plan")}
    return {
        **texts,
        "kind": values.get("kind") or likely_kind(texts["name"]),
        "company_code": checked["company_code"],
    }


def _phone_row(unit_id: int, phone: Phone) -> CustomerPhone:
    return CustomerPhone(unit_id=unit_id, digits=phone.digits, display=phone.display[:30])


def _set_phones(customer: Customer, phones: Iterable[Phone]) -> None:
    wanted = {phone.digits: phone for phone in phones}
    for row in list(customer.phones):
        phone = wanted.pop(row.digits, None)
        if phone is None:
            customer.phones.remove(row)
        else:
            row.display = phone.display[:30]
    customer.phones.extend(_phone_row(customer.unit_id, phone) for phone in wanted.values())


def _contact_values(values: Mapping[str, Any]) -> dict[str, str]:
    reading = read_phones(values.get("phone") or "", service=True)
    if reading.errors:
        raise InvalidData({"phone": [reason for _text, reason in reading.errors]})
    display = "、".join(p.display for p in reading.phones)[:30]
    return {key: values.get(key) or "" for key in ("name", "role", "email")} | {"phone": display}


def _address_row(unit_id: int, values: Mapping[str, Any]) -> CustomerAddress:
    return CustomerAddress(unit_id=unit_id, **_address_values(unit_id, values))


def _address_values(unit_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    unit = session().scalars(select(Unit).where(Unit.id == unit_id)).one()
    return {
        "label": values.get("label") or "",
        "postcode": values.get("postcode") or "",
        **address_columns(values.get("address") or "", service_point(unit), values.get("distance_km"))[0],
    }


def address_columns(
    text: str, start: tuple[float, float] | None, typed_km: Decimal | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Split address text into the columns of ``CustomerAddress``, and codes of warnings.

    Coordinates are the region's. ``distance_km`` is ``typed_km``, the road distance staff know, else the straight
    line from ``start``.
    """
    region = split_address(text)
    place = coordinates(region.code) if region.code else None
    distance = distance_km(start, place) if start and place and typed_km is None else typed_km
    columns = {
        "province": region.province,
        "city": region.city,
        "county": region.county,
        "region_code": region.code,
        "detail": region.detail[:200],
        "latitude": Decimal(str(place[0])) if place else None,
        "longitude": Decimal(str(place[1])) if place else None,
        "distance_km": distance,
    }
    return columns, region.warnings


def is_narrow(region_code: str) -> bool:
    """Tell whether a region is a city or county: only then does the same name in it mean anything."""
    return bool(region_code) and not region_code.endswith("0000")


def service_point(unit: Unit) -> tuple[float, float] | None:
    """Return (latitude, longitude) of the unit: its own coordinates, else those of its region."""
    if unit.latitude is not None and unit.longitude is not None:
        return float(unit.latitude), float(unit.longitude)
    return coordinates(unit.region_code) if unit.region_code else None


def _collect_warnings(customer: Customer) -> None:
    found = {code for row in customer.addresses for code in split_address(str(row)).warnings}
    warnings = ",".join(sorted(found))
    if customer.warnings != warnings:
        customer.warnings = warnings


def warning_texts(customer: Customer) -> list[Any]:
    """Return why the file is worth a second look, as lazy texts."""
    return [WARNINGS[code] for code in customer.warnings.split(",") if code in WARNINGS]


# --- finding ---------------------------------------------------------------------------------


def lookup(units: Units, text: str, limit: int = 20) -> list[dict[str, Any]]:
    """Find customers by name, number or any part of a phone, newest first, as small dicts for a pick list.

    Keys: id, number, name, kind, phone, address, text. Phones are masked unless the actor may see personal data.
    """
    found = search.search(units, SEARCH_KIND, text, limit)
    by_id = {c.id: c for c in _load([hit.entity_id for hit in found])}
    return [summary(by_id[hit.entity_id]) for hit in found if hit.entity_id in by_id]


def merged_into(customer: Customer) -> Sequence[Customer]:
    """Return the customers that were merged into this one, the oldest first."""
    found = select(Customer).where(Customer.merged_into_id == customer.id).order_by(Customer.id)
    return session().scalars(found).all()


def winner(customer: Customer | None) -> Customer | None:
    """Follow a merged customer to the one that took it over."""
    while customer is not None and customer.merged_into_id is not None:
        customer = session().scalars(select(Customer).where(Customer.id == customer.merged_into_id)).first()
    return customer


def find_duplicates(unit_id: int, values: Mapping[str, Any], exclude_id: int | None = None) -> list[Duplicate]:
    """Find customers of the unit that may be the same: phone, company code, or name and region.

    ``values`` as typed: name, phone, company_code, address.
    """
    phones = [p.digits for p in read_phones(values.get("phone") or "", service=True).phones]
    code = normalise(values.get("company_code") or "").upper()
    name, region = normalise(values.get("name") or ""), split_address(values.get("address") or "").code
    queries = []
    if phones:
        by_phone = select(CustomerPhone.customer_id).where(
            CustomerPhone.unit_id == unit_id, CustomerPhone.digits.in_(phones)
        )
        queries.append(("phone", by_phone))
    if code:
        queries.append(("company_code", select(Customer.id).where(_in(unit_id), Customer.company_code == code)))
    if name and is_narrow(region):
        by_name = (
            select(Customer.id)
            .join(CustomerAddress, CustomerAddress.customer_id == Customer.id)
            .where(_in(unit_id), Customer.name == name, CustomerAddress.region_code == region)
        )
        queries.append(("name_region", by_name))
    reasons: dict[int, str] = {}
    for reason, query in queries:
        for key in session().scalars(query.limit(20)):
            reasons.setdefault(key, reason)
    reasons.pop(exclude_id or 0, None)
    return [Duplicate(c, reasons[c.id]) for c in _load(list(reasons))]


def _in(unit_id: int) -> Any:
    return Customer.unit_id == unit_id


def _load(ids: Sequence[int]) -> list[Customer]:
    """Load customers in the order of ``ids``, in a fixed number of statements; merged ones are left out."""
    if not ids:
        return []
    statement = (
        select(Customer)
        .where(Customer.id.in_(ids), Customer.merged_into_id.is_(None))
        .options(selectinload(Customer.phones), selectinload(Customer.addresses))
    )
    found = {c.id: c for c in session().scalars(statement)}
    return [found[key] for key in dict.fromkeys(ids) if key in found]


# --- personal data ---------------------------------------------------------------------------


def summary(customer: Customer) -> dict[str, Any]:
    """Return a customer as a small dict for lists; how to reach them is masked without ``customer.pii``."""
    full = current_scope().may("customer.pii", customer.unit_id)
    phone = customer.phones[0].display if customer.phones else ""
    address = str(customer.addresses[0]) if customer.addresses else ""
    shown_phone = phone if full else identity.mask_phone(phone)
    return {
        "id": customer.id,
        "number": customer.number,
        "name": customer.name,
        "kind": customer.kind,
        "phone": shown_phone,
        "address": address if full else identity.mask_address(address),
        "email": customer.email if full else identity.mask_name(customer.email),
        "wechat": customer.wechat if full else identity.mask_name(customer.wechat),
        "text": " ".join(part for part in (customer.number, customer.name, shown_phone) if part),
    }


def reveal_identity(customer: Customer, purpose: str) -> str:
    """Return the identity number in full and log who looked, and why. For a POST only.

    Raises:
        NotAllowed: without ``customer.pii``. InvalidData: no purpose given.
    """
    require("customer.pii", customer.unit_id)
    if not purpose.strip():
        raise InvalidData({"purpose": _l("Please say what you need it for")})
    record_audit("customer.identity_revealed", customer, detail={"purpose": normalise(purpose)[:200]})
    return identity.open_identity(customer)


# --- merging ---------------------------------------------------------------------------------


def merge_customers(winning: Customer, losing: Customer, version: int | None = None) -> Customer:
    """Merge ``losing`` into ``winning``: phones, addresses, contacts and every record move.

    The loser stays as an alias, so its number still finds the winner.

    Raises:
        NotAllowed: without ``customer.merge``. Conflict: ``winning`` was changed meanwhile.
        Refused: the same customer, one of another unit, or one already merged.
    """
    require("customer.merge", winning.unit_id)
    _refuse_odd_pair(winning, losing)
    _start_change(winning, version)
    _start_change(losing, None)
    unit_id, winning_id, losing_id = winning.unit_id, winning.id, losing.id
    _take_over(winning, losing)
    _move_parts(winning, losing)
    own = {m.__tablename__ for m in (CustomerPhone, CustomerAddress, CustomerContact, CustomerKey)}
    moved = repoint(cast(Table, Customer.__table__), losing_id, winning_id, unit_id, skip=own)
    losing.merged_into_id = winning_id
    record_audit("customer.merged", winning, detail={"from": losing.number, "moved": moved})
    reindex(losing)
    _save(winning)
    return winning


def _refuse_odd_pair(winning: Customer, losing: Customer) -> None:
    if winning.id == losing.id:
        raise Refused([Refusal("customer.same", _l("A customer cannot be merged with itself"))])
    if winning.unit_id != losing.unit_id:
        raise Refused([Refusal("customer.unit", _l("Only customers of the same unit can be merged"))])


def _take_over(winning: Customer, losing: Customer) -> None:
    """Fill what the winner lacks."""
    for name in ("email", "wechat", "company_code"):
        if not getattr(winning, name):
            setattr(winning, name, getattr(losing, name))
    if losing.note and losing.note not in winning.note:
        winning.note = f"{winning.note}\n{losing.note}".strip()
    winning.service_plan = winning.service_plan or losing.service_plan
    number = identity.open_identity(losing)
    if number and not winning.identity_cipher:
        identity.store_identity(winning, number)


def _move_parts(winning: Customer, losing: Customer) -> None:
    """Move phones, addresses and contacts the winner does not have; equal ones stay with the loser."""
    have = {p.digits for p in winning.phones}
    for phone in [p for p in losing.phones if p.digits not in have]:
        phone.customer = winning
    places = {str(a) for a in winning.addresses}
    for address in [a for a in losing.addresses if str(a) not in places]:
        address.customer = winning
    people = {(c.name, c.phone) for c in winning.contacts}
    for contact in [c for c in losing.contacts if (c.name, c.phone) not in people]:
        contact.customer = winning
    session().flush()

"""The customer file. How to reach somebody is masked in every answer but the one that is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from core.customers import identity, services
from core.customers.models import Customer, CustomerPhone
from core.customers.phones import digits_of
from core.kernel import search
from core.kernel.access import may, require
from core.kernel.database import transaction
from core.kernel.errors import NotFound, Refusal, Refused
from core.kernel.fields import Field, clean
from core.users.permissions import units_where

from ..common import customer_of, unit_code
from ..door import unit_to_write
from ..operations import Body, Operation
from ..paging import Order
from ..reading import Param
from ..serving import Reply, body, matched, narrowed, once, page, read_on
from ..shapes import Shape, form_schema, out, typed

VIEW, READ, WRITE, PII = "customer.view", "customer.read", "customer.write", "customer.pii"
SEARCHED = 500
CONTACT_PERSON: Shape = {"name": "string", "role": "string", "phone": "string", "email": "string"}
CUSTOMER: Shape = {
    "uid": "uid",
    "number": "string",
    "name": "string",
    "kind": "string",
    "unit": "string",
    "phones": ["string"],
    "email": "string",
    "wechat": "string",
    "company_code": "string",
    "addresses": ["string"],
    "contacts": ["#contact_person"],
    "note": "string",
    "service_plan": "string",
    "merged_into": "uid?",
    "masked": "boolean",
    "created_at": "moment",
    "version": "integer",
}
REVEALED: Shape = {**CUSTOMER, "identity": "string"}
SHAPES: Mapping[str, Shape] = {"customer": CUSTOMER, "contact_person": CONTACT_PERSON}
NEWEST = Order("customers", (Customer.id,))
NEW = (
    *services.CUSTOMER_FIELDS,
    services.ADDRESS_FIELDS[0],
    Field("contact_name", "text", _l("Contact person"), max_length=60),
    Field("anyway", "bool", _l("Add, even if somebody on file may be the same")),
)
CHANGES = services.CUSTOMER_FIELDS
# What one may not see one cannot correct.
PERSONAL = frozenset({"phone", "identity", "email", "wechat"})
REVEAL = (Field("purpose", "text", _l("What it is needed for"), True, max_length=200),)
EXAMPLE = {"name": "盟新科技有限公司", "phone": "13112355344", "address": "浙江省杭州市西湖区文三路1号"}
PARTS = (selectinload(Customer.phones), selectinload(Customer.addresses), selectinload(Customer.contacts))


def _found(statement: Any, text: str) -> Any:
    hits = search.search(units_where(VIEW), services.SEARCH_KIND, text, SEARCHED) if units_where(VIEW) else []
    return statement.where(Customer.id.in_([hit.entity_id for hit in hits]))


def _by_phone(statement: Any, text: str) -> Any:
    of_phone = select(CustomerPhone.customer_id).where(CustomerPhone.digits == digits_of(text))
    return statement.where(Customer.id.in_(of_phone))


FILTERS = (
    Param("q", "string", _l("Name, number or any part of the phone"), most=60, narrow=_found),
    Param("phone", "string", _l("The whole phone number"), most=30, narrow=_by_phone),
    Param("number", "string", _l("Customer number"), narrow=lambda s, v: s.where(Customer.number == v)),
    Param(
        "kind",
        "choice",
        _l("Customer kind"),
        tuple(code for code, _label in services.CUSTOMER_KINDS),
        lambda s, v: s.where(Customer.kind == v),
    ),
    Param(
        "created_from", "moment", _l("Added then or later"), narrow=lambda s, v: s.where(Customer.created_at >= v)
    ),
)


def list_customers() -> dict[str, Any]:
    """Return a page of customers, the newest first."""
    shown = select(Customer).where(Customer.unit_id.in_(units_where(VIEW)), Customer.merged_into_id.is_(None))
    statement = narrowed(shown.options(*PARTS), FILTERS)
    return page("customers", statement, NEWEST, lambda rows: [_out(one) for one in rows], CUSTOMER, Customer.id)


def _one(uid: str) -> Customer:
    found = customer_of(uid)
    if found is None or not may(VIEW, found.unit_id):
        raise NotFound()
    return found


def get_customer(uid: str) -> Reply:
    """Return one customer, masked."""
    return _reply(_one(uid))


def _reply(row: Customer, **more: Any) -> Reply:
    winner = services.winner(row) if row.merged_into_id else None
    return Reply({**_out(row), "merged_into": out(winner.uid) if winner else None}, version=row.version, **more)


def _out(row: Customer, *, full: bool = False) -> dict[str, Any]:
    phone, name, place = (
        (str, str, str) if full else (identity.mask_phone, identity.mask_name, identity.mask_address)
    )
    return {
        "uid": str(row.uid),
        "number": row.number,
        "name": row.name,
        "kind": row.kind,
        "unit": unit_code(row.unit_id),
        "phones": [phone(one.display) for one in row.phones],
        "email": name(row.email),
        "wechat": name(row.wechat),
        "company_code": row.company_code,
        "addresses": [place(str(one)) for one in row.addresses],
        "contacts": [
            {"name": name(c.name), "role": c.role, "phone": phone(c.phone), "email": name(c.email)}
            for c in row.contacts
        ],
        "note": row.note,
        "service_plan": row.service_plan,
        "merged_into": None,
        "masked": not full,
        "created_at": out(row.created_at),
        "version": row.version,
    }


def create_customer() -> Reply:
    """Put a customer on file in the unit of the request."""
    unit = unit_to_write()
    require("customer.create", unit.id)
    values = clean(NEW, typed(NEW, body()))  # no default kind: the name tells

    def act() -> Customer:
        if not values["anyway"] and may(VIEW, unit.id):
            _refuse_doubles(unit.id, values)
        return services.create_customer(unit.id, values)

    row, replayed = once(unit.id, body(), act, _one, lambda made: str(made.uid))
    return _reply(row, status=201, location=f"/api/v1/customers/{row.uid}", replayed=replayed)


def _refuse_doubles(unit_id: int, values: Mapping[str, Any]) -> None:
    """Refuse what looks like somebody on file already, naming them.

    Raises:
        Refused
    """
    found = services.find_duplicates(unit_id, values)
    if found:
        raise Refused([Refusal("customer.double", _said(one)) for one in found])


def _said(one: services.Duplicate) -> Any:
    reason = services.REASONS[one.reason]
    return _l("%(number)s may be the same customer: %(reason)s", number=one.customer.number, reason=reason)


def change_customer(uid: str) -> Reply:
    """Change a customer; what is not named stays, null empties."""
    row = _one(uid)
    require("customer.edit", row.unit_id)
    given = typed(CHANGES, body())
    if PERSONAL & set(body()):
        require(PII, row.unit_id)
    named = [one for one in CHANGES if one.name in body()]
    values = clean(named, given)
    if values.get("kind", "") is None:
        del values["kind"]
    with matched(row.version) as version, transaction():
        services.update_customer(row, values, version)
    read_on()
    return _reply(row)


def reveal_customer(uid: str) -> Reply:
    """Return a customer in full, identity number too; purpose and look-up are kept in the audit trail."""
    row = _one(uid)
    values = clean(REVEAL, typed(REVEAL, body()))
    with transaction():
        number = services.reveal_identity(row, values["purpose"])
    read_on()
    return Reply({**_out(row, full=True), "identity": number})


def operations() -> Sequence[Operation]:
    """Return the operations on customers."""
    tag = _l("Customers")
    return [
        Operation(
            "list_customers",
            "GET",
            "/customers",
            _l("List customers"),
            tag,
            list_customers,
            READ,
            CUSTOMER,
            True,
            FILTERS,
        ),
        Operation(
            "create_customer",
            "POST",
            "/customers",
            _l("Add a customer"),
            tag,
            create_customer,
            WRITE,
            CUSTOMER,
            body=Body(lambda: form_schema(NEW), example=EXAMPLE),
            versioned=True,
            made=True,
            keyed=True,
            help=_l("Who may be on file already is refused, naming the customer, unless anyway is true."),
        ),
        Operation(
            "get_customer",
            "GET",
            "/customers/{uid}",
            _l("Read a customer"),
            tag,
            get_customer,
            READ,
            CUSTOMER,
            versioned=True,
        ),
        Operation(
            "change_customer",
            "PATCH",
            "/customers/{uid}",
            _l("Change a customer"),
            tag,
            change_customer,
            WRITE,
            CUSTOMER,
            body=Body(lambda: form_schema(CHANGES, partial=True), example={"note": "上午联系"}),
            versioned=True,
            guarded=True,
        ),
        Operation(
            "reveal_customer",
            "POST",
            "/customers/{uid}/reveal",
            _l("Read a customer in full"),
            tag,
            reveal_customer,
            PII,
            REVEALED,
            body=Body(lambda: form_schema(REVEAL), example={"purpose": "上门服务"}),
            help=_l("Who looked, and for what, is kept in the audit trail."),
        ),
    ]

"""What several resources share: look-ups that fail closed, and how units, people and customers are named."""

from __future__ import annotations

from typing import Any

from flask import g
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import joinedload, load_only

from core.customers.models import Customer
from core.kernel.access import may
from core.kernel.database import current_scope, session
from core.kernel.errors import InvalidData, NotFound
from core.records.engine import kept_from, read_by_some
from core.records.models import Record
from core.users.models import User
from core.users.permissions import units_where

from .door import caller
from .shapes import Shape, read_uid

VIEW = "case.view"
PERSON: Shape = {"id": "integer", "name": "string"}
CUSTOMER_REF: Shape = {"uid": "uid", "number": "string", "name": "string"}
RECORD_REF: Shape = {"uid": "uid", "type": "string", "number": "string"}
REASON: Shape = {"code": "string", "text": "string", "clause": "string"}

# What a record's head says of people, in the same statement.
HEAD = (
    joinedload(Record.customer).load_only(Customer.uid, Customer.number, Customer.name, Customer.unit_id),
    joinedload(Record.assignee).load_only(User.id, User.name),
)
OF_RECORD = load_only(Record.uid, Record.type, Record.number, Record.unit_id)


def visible(uid: str, type_code: str = "") -> Record:
    """Return a record by its uid, if the actor may see it.

    Raises:
        NotFound: malformed, missing, foreign, of another type, or not for this actor: all alike.
    """
    key = read_uid(uid)
    if key is None:
        raise NotFound()
    found = session().scalars(select(Record).where(Record.uid == key).options(*HEAD)).first()
    if found is None or (type_code and found.type != type_code) or not may(VIEW, found.unit_id):
        raise NotFound()
    if kept_from(found):
        raise NotFound()
    return found


def seen_records() -> ColumnElement[bool] | None:
    """Return the condition that the actor may see a record beyond its being in scope; None: no more is needed.

    An assignee who may not see cases has pages that leave out what is not for them; here are whole records. Of
    types that only some read a list has nothing for the others.
    """
    scope, units = current_scope(), units_where(VIEW)
    conditions = read_by_some(units)
    if units != scope.read:
        conditions.append(Record.unit_id.in_(units))
    return and_(*conditions) if conditions else None


def customer_of(uid: object) -> Customer | None:
    """Return a customer by the uid in a form, within the scope; None where there is none."""
    key = read_uid(uid)
    if key is None:
        return None
    return session().scalars(select(Customer).where(Customer.uid == key)).first()


def with_ids(fields: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Put ids where a form names customers by uid and units by code.

    Raises:
        InvalidData: a name that leads nowhere in the scope.
    """
    from flask_babel import lazy_gettext as _l

    found = dict(given)
    for one in fields:
        if one.name not in found or one.kind not in ("customer", "unit"):
            continue
        if one.kind == "customer":
            customer = customer_of(found[one.name])
            key = customer.id if customer and may("customer.view", customer.unit_id) else None
        else:
            key = next((unit.id for unit in caller().actor.tree if unit.code == found[one.name]), None)
        if key is None:
            raise InvalidData({one.name: _l("Please choose one of the list")})
        found[one.name] = key
    return found


def unit_code(unit_id: int) -> str:
    """Return the code of one of the caller's units."""
    if "api_codes" not in g:
        g.api_codes = {unit.id: unit.code for unit in caller().actor.tree}
    codes: dict[int, str] = g.api_codes
    return codes.get(unit_id, "")


def person(user: User | None) -> dict[str, Any] | None:
    """Name a colleague."""
    return None if user is None else {"id": user.id, "name": user.name}


def customer_ref(customer: Customer | None) -> dict[str, Any] | None:
    """Name a customer, to who may see customers in its unit."""
    if customer is None or not may("customer.view", customer.unit_id):
        return None
    return {"uid": str(customer.uid), "number": customer.number, "name": customer.name}


def record_ref(record: Record | None) -> dict[str, Any] | None:
    """Name a record."""
    return None if record is None else {"uid": str(record.uid), "type": record.type, "number": record.number}

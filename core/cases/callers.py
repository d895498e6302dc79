"""Who calls: customers by name, number or any part of a phone, and what they have open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from core.customers.models import Customer, CustomerPhone
from core.customers.phones import digits_of
from core.kernel import search
from core.kernel.access import may
from core.kernel.database import session
from core.records.models import OPEN_CATEGORIES, Record

from .models import Case
from .services import CASE

SHORTEST = 2  # characters; one alone would match half the file

SHOWN = (selectinload(Customer.phones), selectinload(Customer.addresses), selectinload(Customer.contacts))


@dataclass(frozen=True)
class Caller:
    """What is known of a calling number: the customers it belongs to and their open cases, newest first."""

    customers: Sequence[Customer]
    open_cases: Sequence[Record]


def find_caller(unit_id: int, text: str, limit: int = 10) -> Caller:
    """Find who calls by the whole number: customers with it, and open cases of theirs or with that contact.

    Fewer than 4 digits find nobody.
    """
    digits = digits_of(text)
    if len(digits) < 4:
        return Caller((), ())
    work = session()
    found = select(CustomerPhone.customer_id).where(
        CustomerPhone.unit_id == unit_id, CustomerPhone.digits == digits
    )
    ids = set(work.scalars(found.limit(50)))
    customers = list(
        work.scalars(select(Customer).where(Customer.id.in_(ids), Customer.merged_into_id.is_(None)).limit(limit))
    )
    same_number = select(Case.id).where(Case.unit_id == unit_id, Case.contact_digits == digits).limit(50)
    by_contact = set(work.scalars(same_number))
    cases = (
        select(Record)
        .options(joinedload(Record.customer), joinedload(Record.assignee))
        .where(
            Record.unit_id == unit_id,
            Record.type == CASE.code,
            Record.category.in_(OPEN_CATEGORIES),
            Record.customer_id.in_([c.id for c in customers]) | Record.id.in_(by_contact),
        )
        .order_by(Record.received_at.desc(), Record.id.desc())
        .limit(limit)
    )
    return Caller(customers, list(work.scalars(cases)))


def look_up(unit_id: int, text: str, limit: int = 10) -> Caller:
    """Find customers by name, number or any part of a phone, and the open cases of all of them, newest first.

    Who may not see customers finds cases by the whole number only.
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return Caller((), ())
    known = find_caller(unit_id, text, limit)
    customers: dict[int, Customer] = {}
    if may("customer.view", unit_id):
        customers = {one.id: one for one in known.customers}
        hits = search.search(frozenset({unit_id}), "customer", text, limit)
        customers |= _customers([hit.entity_id for hit in hits if hit.entity_id not in customers])
    cases = {one.id: one for one in known.open_cases} | _open_cases(list(customers), limit)
    newest = sorted(cases.values(), key=lambda one: (one.received_at, one.id), reverse=True)
    return Caller(list(customers.values())[:limit], newest[:limit])


def _customers(ids: list[int]) -> dict[int, Customer]:
    if not ids:
        return {}
    found = select(Customer).where(Customer.id.in_(ids), Customer.merged_into_id.is_(None))
    rows = session().scalars(found.options(*SHOWN))
    by_id = {row.id: row for row in rows}
    return {key: by_id[key] for key in ids if key in by_id}


def _open_cases(customer_ids: list[int], limit: int) -> dict[int, Record]:
    if not customer_ids:
        return {}
    found = (
        select(Record)
        .options(joinedload(Record.customer), joinedload(Record.assignee))
        .where(Record.customer_id.in_(customer_ids), Record.type == CASE.code, Record.category.in_(OPEN_CATEGORIES))
        .order_by(Record.received_at.desc(), Record.id.desc())
        .limit(limit)
    )
    return {row.id: row for row in session().scalars(found)}

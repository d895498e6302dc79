"""The core's own forms: service record of a case (售后服务记录, R11-F), customer file (顾客信息, R31-5.2)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.cases import vocabulary as words
from core.cases.models import Case
from core.customers.models import Customer
from core.kernel.database import session
from core.kernel.errors import NotFound
from core.kernel.extensions import PrintForm
from core.kernel.fields import Choices, label_of
from core.kernel.money_words import rmb
from core.places import services as places
from core.places.models import KINDS, Place
from core.records.engine import detail_of
from core.records.models import Fact, Record
from core.records.types import known_states, words_of
from core.rules import charges
from core.rules.charge_models import CUSTOMER as PAID_BY_CUSTOMER
from core.rules.charge_models import PROPOSED, VOID
from core.units.facts import unit_facts

from .services import CUSTOMER, PRINT

# What the customer saw of the work, in the words of the timeline.
VISIT = ("responded", "contacted", "departed", "arrived", "started", "solved", "result_sent", "confirmed")
MOST_FACTS, MOST_CASES = 40, 30
PLACE = "place"


def case_record(record: Record) -> dict[str, Any]:
    """Return what the service record says. Personal data stands in full: the paper goes to that customer."""
    case = detail_of(record)
    if not isinstance(case, Case):
        raise NotFound()
    customer = record.customer
    return {
        "number": record.number,
        "state": _state(record),
        "received": _moment(record, record.received_at),
        "assignee": record.assignee.name if record.assignee else "",
        "customer": customer.name if customer else "",
        "customer_number": customer.number if customer else "",
        "contact": case.contact_name,
        "phone": case.contact_phone,
        "address": case.address_text,
        "product": case.product_text,
        "serial": case.serial_text,
        "bought": case.purchase_date.isoformat() if case.purchase_date else "",
        "channel": _word(words.CHANNELS, case.channel),
        "nature": _word(words.NATURES, case.nature),
        "urgency": _word(words.URGENCIES, case.urgency),
        "description": case.description,
        "as_told": case.fault_cause,
        "facts": _visit(record),
        "answer": case.answer,
        "plan": case.plan,
        "cause": case.cause,
        "process": case.process,
        "parts": case.parts_used,
        "test": case.test_result,
        "minutes": case.service_minutes,
        "charges": _charges(record),
        "confirmed_by": _word(words.CONFIRMATIONS, case.confirmed_by),
        "rating": _word(words.RATINGS, str(case.rating)) if case.rating else "",
        "comment": case.rating_comment,
    }


def _word(choices: Choices, code: str) -> str:
    return str(label_of(choices, code)) if code else ""


def _state(record: Record) -> str:
    state = known_states(record.type).get(record.state)
    return str(state.label if state else record.state)


def _moment(record: Record, moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.astimezone(ZoneInfo(unit_facts(record.unit_id).timezone)).strftime("%Y-%m-%d %H:%M")


def _visit(record: Record) -> list[dict[str, str]]:
    kinds = words_of(record.type).fact_kinds
    found = select(Fact).where(Fact.record_id == record.id, Fact.kind.in_(VISIT)).options(joinedload(Fact.actor))
    rows = list(session().scalars(found.order_by(Fact.at.desc(), Fact.seq.desc()).limit(MOST_FACTS)))
    return [
        {
            "at": _moment(record, row.at),
            "what": str(kinds[row.kind].label),
            "who": row.actor.name if row.actor else "",
        }
        for row in reversed(rows)
    ]


def _what(row: charges.Charge) -> str:
    label = charges.label_of(row)
    return _("%(what)s (waived)", what=label) if charges.is_waiver(row) else str(label)


def _charges(record: Record) -> dict[str, Any]:
    """Return what the customer was told they owe: neither proposals nor what others pay."""
    rows = [
        one
        for one in charges.lines_of(record.id)
        if one.payer == PAID_BY_CUSTOMER and one.state not in (PROPOSED, VOID)
    ]
    total = sum((one.amount for one in rows), Decimal("0.00"))
    lines = [
        {
            "what": _what(one),
            "quantity": f"{one.quantity.normalize():f}" if not one.adjusts_id else "",
            "price": f"{one.price:,.2f}" if not one.adjusts_id else "",
            "amount": f"{one.amount:,.2f}",
        }
        for one in rows
    ]
    return {"lines": lines, "total": f"{total:,.2f}", "words": rmb(total)}


def customer_file(customer: Customer) -> dict[str, Any]:
    """Return what the customer file says; the identity number is never printed."""
    cases = (
        select(Record)
        .where(Record.customer_id == customer.id)
        .order_by(Record.received_at.desc(), Record.id.desc())
        .limit(MOST_CASES)
    )
    return {
        "number": customer.number,
        "name": customer.name,
        "kind": _("Company") if customer.kind == "company" else _("Person"),
        "code": customer.company_code,
        "phones": "\n".join(f"{one.display} {one.label}".strip() for one in customer.phones),
        "email": customer.email,
        "wechat": customer.wechat,
        "note": customer.note,
        "plan": customer.service_plan,
        "addresses": [[one.label, str(one), one.postcode] for one in customer.addresses],
        "contacts": [[one.name, one.role, one.phone, one.email] for one in customer.contacts],
        "records": [[one.number, _moment(one, one.received_at), one.title, _state(one)] for one in _all(cases)],
    }


def _all(statement: Any) -> list[Record]:
    return list(session().scalars(statement))


def place_label(place: Place) -> dict[str, Any]:
    """Return what stands on the label of a place: its code, what it is, its name and what it lies in."""
    around = places.around(place)
    name = places.name_of(place)
    lines = [name] if name != place.code else []
    if around:
        lines.append(places.BETWEEN.join(places.name_of(one) for one in around))
    return {
        "number": place.code,
        "kind": str(label_of(KINDS, place.kind)),
        "lines": lines,
        "url": url_for("places.details_view", id=place.id),
    }


def core_forms() -> list[PrintForm]:
    """Return the forms of this module."""
    return [
        PrintForm(
            code="case_record",
            title=_l("After-sales service record"),
            subject="case",
            template="case_record.typ",
            data=case_record,
            permission=PRINT,
            seal="business",
        ),
        PrintForm(
            code="customer_file",
            title=_l("Customer information"),
            subject=CUSTOMER,
            template="customer_file.typ",
            data=customer_file,
            permission="customer.pii",
        ),
        PrintForm(
            code=PLACE,
            title=_l("Label of a place: code, name, QR"),
            subject=PLACE,
            template="",
            data=place_label,
            permission=places.VIEW,
            label=True,
            find=places.get_place,
        ),
    ]

"""The box of a service contract on its record's page, and the contracts of a customer."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l

from core.sdk import Customer, Panel, Record, detail_of, local_day, may
from core.sdk_web import page_url

from . import contracts
from .rights import CONTRACT, VIEW

SHOWN = 20


def of_contract(record: Record) -> list[Panel]:
    """What a contract says, its items and its prices."""
    detail = detail_of(record) if record.type == contracts.CODE else None
    if detail is None or not may(VIEW, record.unit_id):
        return []
    may_change = record.state == contracts.DRAFT and may(CONTRACT, record.unit_id)
    over = detail.ends_on is not None and detail.ends_on < local_day(record.unit_id)
    context = {
        "detail": detail,
        "items": [
            (one, page_url("products_item.details_view", id=one.id)) for one in contracts.items_of(record.id)
        ],
        "prices": [(number, Decimal(price)) for number, price in (detail.prices or {}).items()],
        "edit_url": url_for("warranty_contract.edit_view", id=record.id) if may_change else "",
        "over": over and record.state == contracts.IN_FORCE,
        "people": contracts.people,
    }
    return [Panel("contract", _l("Service contract"), "warranty/contract.html", context, 5)]


def of_customer(customer: Customer) -> list[Panel]:
    """The contracts with a customer, and a way to draft another one."""
    if not may(VIEW, customer.unit_id):
        return []
    found = contracts.contracts_of(customer.id, SHOWN)
    may_draft = may(CONTRACT, customer.unit_id)
    if not found and not may_draft:
        return []
    context = {
        "contracts": [(record, detail, _state(record), _url(record)) for record, detail in found],
        "new_url": url_for("warranty_contract.create_view", customer=customer.id) if may_draft else "",
    }
    return [Panel("contracts", _l("Service contracts"), "warranty/customer_contracts.html", context, 45)]


def _state(record: Record) -> Any:
    state = contracts.WORKFLOW.states.get(record.state)
    return state.label if state else record.state


def _url(record: Record) -> str:
    return page_url("record.page", record_id=record.id)

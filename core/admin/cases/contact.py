"""The customer's personal data on a record: masked unless the actor needs it or asked, logged, to see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core.cases.models import Case
from core.customers.identity import mask_address, mask_name, mask_phone
from core.kernel.database import current_scope
from core.records.engine import sees_inside
from core.records.models import Record


@dataclass(frozen=True)
class Contact:
    """Whom to talk to and where. ``masked``: the texts are; ``may_reveal``: the actor may ask for the full ones."""

    name: str
    phone: str
    digits: str
    address: str
    masked: bool
    may_reveal: bool

    @property
    def map_url(self) -> str:
        """A link that the phone opens in its own map; nothing is loaded from elsewhere."""
        return f"geo:0,0?q={quote(self.address)}" if self.address and not self.masked else ""


def customer_name(record: Record) -> str:
    """Name a record's customer: to an outsider masked as soon as there is nothing more to be done for them."""
    if record.customer is None:
        return ""
    return record.customer.name if record.is_open or sees_inside(record) else mask_name(record.customer.name)


def contact_of(record: Record, case: Any, *, revealed: bool = False) -> Contact | None:
    """Return the case's contact. The assignee of an open record sees it in full, others masked until they ask.

    ``revealed``: the look-up was just logged by ``core.cases.contact.reveal_contact``.
    """
    if not isinstance(case, Case):
        return None
    scope = current_scope()
    full = revealed or (record.is_open and record.assignee_id == scope.actor_id)
    name, phone, address = case.contact_name, case.contact_phone, case.address_text
    if not full:
        name, phone, address = mask_name(name), mask_phone(phone), mask_address(address)
    return Contact(
        name=name,
        phone=phone,
        digits=case.contact_digits if full else "",
        address=address,
        masked=not full,
        may_reveal=not full and scope.may("customer.pii", record.unit_id),
    )

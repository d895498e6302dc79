"""What mailboxes keep of a person is erased with the person."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from core.customers.models import Customer, CustomerContact
from core.customers.services import on_erase
from core.kernel.database import after_commit, session
from core.records.models import Record

from . import store
from .intake import customer_by_address
from .models import Mail


def forget_mails(customer_ids: Sequence[int]) -> None:
    """Take addresses, subjects and the mails themselves off the records of erased customers.

    Mails of theirs that became nothing (ignored, put aside) go the same way. What was put on the timeline stays,
    as staff's own notes do: it is the record of the work.
    """
    of_them = select(Record.id).where(Record.customer_id.in_(list(customer_ids)))
    rows = list(session().scalars(select(Mail).where(Mail.record_id.in_(of_them))))
    for row in (*rows, *_beside(customer_ids)):
        _drop_later(row.sha256)
        row.sender = row.subject = row.sha256 = ""
        row.recipients = []


def _beside(customer_ids: Sequence[int]) -> list[Mail]:
    """Return the mails that the customers sent and that belong to no record."""
    wanted = list(customer_ids)
    people = select(Customer.unit_id, Customer.email).where(Customer.id.in_(wanted))
    contacts = select(CustomerContact.unit_id, CustomerContact.email).where(CustomerContact.customer_id.in_(wanted))
    known = {(row.unit_id, row.email) for one in (people, contacts) for row in session().execute(one)}
    found: list[Mail] = []
    for unit_id, email in known:
        address = email.strip().lower()
        owner = customer_by_address(unit_id, address) if address else None
        if owner is not None and owner.id in wanted:  # else it is somebody else's, too
            own = (Mail.unit_id == unit_id, Mail.sender == address, Mail.record_id.is_(None))
            found += session().scalars(select(Mail).where(*own))
    return found


def _drop_later(sha256: str) -> None:
    """Drop a mail from the disk once that is sure, unless another mailbox keeps the same one."""

    def drop() -> None:
        store.drop(sha256)

    kept = session().scalar(select(func.count()).select_from(Mail).where(Mail.sha256 == sha256)) or 0
    if sha256 and kept <= 1:
        after_commit(drop)


on_erase(forget_mails)

"""What mailboxes keep of a person is erased with the person."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from core.customers.services import on_erase
from core.kernel.database import after_commit, session
from core.records.models import Record

from . import store
from .models import Mail


def forget_mails(customer_ids: Sequence[int]) -> None:
    """Take addresses, subjects and the mails themselves off the records of erased customers.

    What was put on the timeline stays, as staff's own notes do: it is the record of the work.
    """
    of_them = select(Record.id).where(Record.customer_id.in_(list(customer_ids)))
    rows = list(session().scalars(select(Mail).where(Mail.record_id.in_(of_them))))
    for row in rows:
        _drop_later(row.sha256)
        row.sender = row.subject = row.sha256 = ""
        row.recipients = []


def _drop_later(sha256: str) -> None:
    """Drop a mail from the disk once that is sure, unless another mailbox keeps the same one."""

    def drop() -> None:
        store.drop(sha256)

    kept = session().scalar(select(func.count()).select_from(Mail).where(Mail.sha256 == sha256)) or 0
    if sha256 and kept <= 1:
        after_commit(drop)


on_erase(forget_mails)

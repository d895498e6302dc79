"""Billed cases whose item turns out to be sold by somebody else: they are billed anew (R18-5.1.2b, R19-5.1.2b).

A posted line never changes: what the former agent owed and what the other one owes are correcting lines of the open
month, and so stand on the next statement of each.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Job, Periodic, Work, jobs, lock, session, transaction
from plugins.products import services as products

from . import bearing, billing
from .models import CaseAgent, Seller

JOB = "agents.bill_anew"
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
CHUNK = 500


def billed_cases(item_ids: Sequence[int]) -> list[int]:
    """Return the cases of items that were billed by who sold the item; two selects for a few hundred items."""
    found: set[int] = set()
    linked = {one.record_id for one in products.records_of_items(item_ids, _EVER)}
    for start in range(0, len(linked), CHUNK):
        some = sorted(linked)[start : start + CHUNK]
        billed = select(CaseAgent.record_id).where(
            CaseAgent.record_id.in_(some), CaseAgent.billed_at.is_not(None), ~CaseAgent.named
        )
        found.update(session().scalars(billed))
    return sorted(found)


def lock_cases(item_ids: Sequence[int]) -> None:
    """Lock the billed cases of items. Before the items: a step of a case holds the case first as well."""
    for key in billed_cases(item_ids):
        lock(key)


def follow(item_ids: Sequence[int], but: Collection[int] = ()) -> None:
    """Bill the cases of items anew, by who sold them now; those of ``but`` follow by themselves."""
    for key in billed_cases(item_ids):
        if key not in but:
            record = lock(key)
            bearing.forget(record)
            billing.follow(record)


def follow_later(unit_id: int, item_ids: Sequence[int]) -> None:
    """Bill the cases of many items anew after the present transaction, each by itself (an import, say)."""
    if billed_cases(item_ids):
        jobs.enqueue(JOB, unit_id, {"items": list(item_ids)}, in_own_name=False)


def follow_unknown(unit_id: int) -> None:
    """Look at the billed cases again whose item has no seller any more: what it was said by was undone."""
    known = select(Seller.id).where(Seller.item_id == products.ProductRecord.item_id, Seller.current).exists()
    billed = (
        select(products.ProductRecord.item_id)
        .join(CaseAgent, CaseAgent.record_id == products.ProductRecord.record_id)
        .where(CaseAgent.unit_id == unit_id, CaseAgent.billed_at.is_not(None), ~CaseAgent.named, ~known)
    )
    items = sorted(set(session().scalars(billed)))
    for start in range(0, len(items), CHUNK):
        follow_later(unit_id, items[start : start + CHUNK])


def follow_all(work: Work) -> None:
    """Bill the cases of items anew, an item a transaction (the job); done again, nothing changes any more."""
    for item_id in work.payload["items"]:
        with transaction():
            follow([int(item_id)])


def declared() -> list[Job | Periodic]:
    """Return the background work on cases that are billed anew."""
    return [Job(JOB, _l("Bill cases anew whose seller is another one"), follow_all)]

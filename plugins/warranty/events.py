"""What changes an item's cover: parts replaced, repairs, extensions, exchanges. Flushes, never commits."""

from __future__ import annotations

from datetime import date
from typing import Any

from core.sdk import Record, Step

from .models import ItemEvent


def add_event(
    item: Any,
    kind: str,
    on: date,
    *,
    source: str,
    record: Record | None = None,
    **columns: Any,
) -> ItemEvent:
    """Keep that something happened to an item; the same ``source`` again is the same event.

    Raises:
        InvalidData: a day in the future, an unknown kind, an item of another unit than the record.
    """
    raise NotImplementedError


def withdraw_event(event_id: object, reason: str) -> ItemEvent:
    """Take back an event entered by mistake; it stays visible.

    Raises:
        NotFound, NotAllowed. InvalidData: no reason.
    """
    raise NotImplementedError


def extend(item: Any, on: date, *, source: str, record: Record | None = None, reason: str = "") -> ItemEvent:
    """Extend an item's term after a failed final-month service (R22-1.W6b), once for each ``source``."""
    raise NotImplementedError


def replace_part_step(step: Step) -> None:
    """A part was replaced: its own line begins (R22-1.W4), the product file knows both numbers."""
    raise NotImplementedError


def exchange_step(step: Step) -> None:
    """An item was exchanged for another: the new one's cover, and which number stands for which (SB-7)."""
    raise NotImplementedError


def repaired(record: Record) -> None:
    """A case was solved: repaired goods keep their free repair (R07-7.1). Called when it is."""
    raise NotImplementedError

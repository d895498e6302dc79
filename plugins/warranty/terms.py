"""How long what is covered: pure functions of an item's days, the terms that hold and what happened since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from .values import EventFacts, ItemFacts, TermRule, WarrantyLine


def lines(
    item: ItemFacts, rules: Sequence[TermRule], events: Sequence[EventFacts], *, full_restart: bool = False
) -> list[WarrantyLine]:
    """Return every line of cover of an item, in order of scope and start (R07-3.1, R22-2.8a, R22-1.W4 ...).

    ``full_restart``: a repaired fault gets a whole new term, not what is left of it (E04).
    """
    raise NotImplementedError


def best(found: Sequence[WarrantyLine], day: date, *, part: str = "", fault: str = "") -> WarrantyLine | None:
    """Return the line that covers a day best for the customer (the one ending last), or None.

    ``part`` lets the line of that part count; a line of another part never does.
    """
    raise NotImplementedError


def covered_until(found: Sequence[WarrantyLine]) -> date | None:
    """Return the last day the complete item is covered for free repair; None where nothing is known."""
    raise NotImplementedError

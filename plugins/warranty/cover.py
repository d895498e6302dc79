"""The cover of items: terms of clauses and of the unit, joined with what is on file. Reads; ``events`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from .values import EventFacts, ItemFacts, TermRule, WarrantyLine


def facts_of(item: Any) -> ItemFacts:
    """Return what the terms need of an item of the product file (model and category loaded)."""
    raise NotImplementedError


def rules_of(unit_id: int, on: date | None = None) -> list[TermRule]:
    """Return the terms that hold in a unit for what is sold on a day: of clauses in force and of its own table."""
    raise NotImplementedError


def events_of(item_ids: Sequence[int]) -> Mapping[int, list[EventFacts]]:
    """Return what happened to items, oldest first, in one statement; withdrawn entries are left out."""
    raise NotImplementedError


def cover_of(item: Any) -> list[WarrantyLine]:
    """Return the lines of cover of one item."""
    return cover_of_many([item])[item.id]


def cover_of_many(items: Sequence[Any]) -> dict[int, list[WarrantyLine]]:
    """Return the lines of cover by item id, in a fixed number of statements."""
    raise NotImplementedError

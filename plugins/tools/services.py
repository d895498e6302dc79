"""What other plugins may use of tool custody: who holds what. They read; a hand-over alone moves a tool."""

from __future__ import annotations

from collections.abc import Sequence

from . import custody, parties, values
from .models import Party, Tool

__all__ = ["held_by_user", "holder_of", "user_holds"]


def holder_of(tool_id: int) -> Party | None:
    """Return who holds a tool of the scope now, or None for a tool that is not there."""
    held = custody.spell(tool_id)
    return held.party if held is not None else None


def held_by_user(unit_id: int, user_id: int, limit: int = 1000) -> Sequence[Tool]:
    """Return the tools that are in a person's hands in a unit, with their records and kinds."""
    party = parties.held_as(unit_id, user_id)
    return custody.held_by(party.id, limit) if party is not None else []


def user_holds(tool_id: int, user_id: int) -> bool:
    """Tell whether a tool is in a person's hands now."""
    party = holder_of(tool_id)
    return party is not None and party.kind == values.PERSON and party.user_id == user_id

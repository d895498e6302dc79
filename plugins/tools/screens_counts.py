"""Screens of counts and of care that is due."""

from __future__ import annotations

from typing import Any

from core.sdk import Tile


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return []


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard."""
    return []

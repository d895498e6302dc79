"""Screens of incidents and deductions."""

from __future__ import annotations

from typing import Any


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return []

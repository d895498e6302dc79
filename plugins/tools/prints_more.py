"""Printed forms of disposal (报废单), counts and clearances."""

from __future__ import annotations

from core.sdk import PrintForm


def forms() -> list[PrintForm]:
    """Return the forms."""
    return []

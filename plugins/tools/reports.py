"""Reports of tool custody."""

from __future__ import annotations

from core.sdk import Report


def reports() -> list[Report]:
    """Return the reports."""
    return []

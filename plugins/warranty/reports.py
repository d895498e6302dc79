"""Reports: fees, cost of free service, waivers."""

from __future__ import annotations

from core.sdk import Report


def reports() -> list[Report]:
    """Return them for the hook."""
    return []

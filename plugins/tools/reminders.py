"""Reminders to bring tools back, which stop."""

from __future__ import annotations

from core.sdk import Job, Periodic


def declared() -> list[Job | Periodic]:
    """Return the work outside requests."""
    return []

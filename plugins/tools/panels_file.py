"""Boxes on a tool's page."""

from __future__ import annotations

from core.sdk import Panel, Record


def of_record(record: Record) -> list[Panel]:
    """Return the boxes of a record's page."""
    return []

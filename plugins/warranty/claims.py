"""Warranty applications: which papers were shown, and the look at the goods before repair."""

from __future__ import annotations

from core.sdk import Record, Step


def asks_for_papers(record: Record) -> bool:
    """Tell whether the unit wants proof or card (R07-3.2)."""
    raise NotImplementedError


def file_step(step: Step) -> None:
    """Keep the papers shown so far; when they are complete the review clock begins (R07-3.5)."""
    raise NotImplementedError


def inspect_step(step: Step) -> None:
    """Keep what was found before the repair (R25-3.2.16).

    Raises:
        InvalidData: something does not fit, and the customer was not told.
    """
    raise NotImplementedError

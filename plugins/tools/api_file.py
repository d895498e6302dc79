"""API: kinds, tools, stores."""

from __future__ import annotations

from core.sdk import ApiResource


def resources() -> list[ApiResource]:
    """Return the collections."""
    return []

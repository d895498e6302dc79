"""Papers: quote and repair sheet."""

from __future__ import annotations

from core.sdk import PrintForm


def forms() -> list[PrintForm]:
    """Return them for the hook."""
    return []

"""Papers: the notice of fees."""

from __future__ import annotations

from core.sdk import PrintForm


def forms() -> list[PrintForm]:
    """Return them for the hook."""
    return []

"""Collections of the API: quotes, receipts, invoices."""

from __future__ import annotations

from core.sdk import ApiResource


def resources() -> list[ApiResource]:
    """Return them for the hook."""
    return []

"""Invoice requests and red invoices."""

from __future__ import annotations

from decimal import Decimal

from core.sdk import Blocker, Charge, RecordType

TYPES: list[RecordType] = []


def lowering(charge: Charge, amount: Decimal) -> list[Blocker]:
    """An invoiced line comes to less only with its red invoice: what stands against it."""
    return []

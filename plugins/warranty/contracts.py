"""Service contracts and plans."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from core.sdk import Record, RecordType

TYPES: list[RecordType] = []


def agreed_prices(record: Record, at: datetime) -> Mapping[str, Decimal]:
    """Return the part prices that a contract with the record's customer keeps, by part number (R14-5.4.3)."""
    return {}

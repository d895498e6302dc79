"""Identifiers: time-ordered UUIDs for the outside, safe reading of integers from requests."""

from __future__ import annotations

import secrets
import time
import uuid

MAX_ID = 2**63 - 1


def uuid7() -> uuid.UUID:
    """Return a UUID version 7: 48 bits of milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def read_id(raw: object) -> int | None:
    """Read a positive database id from request text; anything else (abc, 1e9, 10**30) is None."""
    text = str(raw)
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return None
    number = int(text)
    return number if 0 < number <= MAX_ID else None

"""What a hand-over is about, before anything moves: gates look at it when offered and when accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from .models import Application, Kind, Party, Tool

# Names under which the gates of hand-overs are asked (``gates.require_clause``).
OFFER, ACCEPT = "tools.offer", "tools.accept"


@dataclass(frozen=True)
class Plan:
    """A hand-over as gates see it. ``parts``: kinds by quantity; ``conditions`` by tool id, as the receiver saw."""

    unit_id: int
    kind: str
    giver: Party
    taker: Party
    at: datetime
    tools: Sequence[Tool] = ()
    parts: Sequence[tuple[Kind, Decimal]] = ()
    due_at: datetime | None = None
    application: Application | None = None
    clearance_id: int | None = None
    conditions: Mapping[int, str] = field(default_factory=dict)

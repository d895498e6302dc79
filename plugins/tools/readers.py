"""Who reads what concerns single people: hand-overs, applications, incidents, clearances; and who reads the rest.

How tools are used is not told to outsiders (R33-9.1): who has nothing to do with tools reads no record of them.
Whoever works with tools reads them all; of the others, who may see cases or not, each those of their own.
"""

from __future__ import annotations

from core.sdk import Record, detail_of

from . import incidents, sides
from .models import Application, Clearance, Handover, Incident
from .rights import BUY, CLEAR, DECIDE, KEEP, MAINTAIN, MONEY, OWN, VIEW

READERS = (VIEW, KEEP, DECIDE, MAINTAIN, MONEY, CLEAR)
# Tools, counts and purchases: whoever has to do with tools at all.
STAFF = (*READERS, OWN, BUY)


def concerns(record: Record, user_id: int) -> bool:
    """Tell whether a record is somebody's own: they give or take, asked or get, held or answer, leave or follow."""
    detail = detail_of(record)
    if isinstance(detail, Handover):
        return any(sides.speaks_for(one, user_id) for one in (detail.giver, detail.taker))
    if isinstance(detail, Application):
        return user_id in (detail.user_id, detail.to_user_id)
    if isinstance(detail, Incident):
        return incidents.concerns(detail, user_id)
    return isinstance(detail, Clearance) and user_id in (detail.user_id, detail.successor_id)

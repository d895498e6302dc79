"""The box by which a person finds from a hand-over's page to saying yes or no to it.

Whoever may see tools has the whole hand-over in a box of its own (``panels_handover``).
"""

from __future__ import annotations

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import Panel, Record, current_scope, may, session

from . import handovers, parties, sides, values, web_accept
from .models import Handover
from .rights import CLEAR, KEEP, VIEW


def of_record(record: Record) -> list[Panel]:
    """Return the box of a hand-over that still waits for somebody who sees nothing else of it here."""
    seen = any(may(right, record.unit_id) for right in (VIEW, KEEP, CLEAR))
    if record.type != handovers.CODE or record.state != values.OFFERED or seen:
        return []
    wanted = select(Handover).where(Handover.id == record.id)
    handover = session().scalars(wanted.options(joinedload(Handover.giver), joinedload(Handover.taker))).one()
    waits = [sides.party_of(handover, one) for one in web_accept.missing_sides(handover)]
    way = web_accept.best_way(handover, current_scope().actor_id)
    context = {
        "names": [parties.party_name(one) for one in waits],
        "url": url_for("tools.accept", record_id=record.id) if way else "",
    }
    return [Panel("tools_accept", _l("Confirmation"), "tools/accept_panel.html", context, 4)]

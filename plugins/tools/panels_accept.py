"""The box on a hand-over's page that leads to saying yes or no to it."""

from __future__ import annotations

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import Panel, Record, current_scope, session

from . import handovers, parties, sides, values, web_accept
from .models import Handover


def of_record(record: Record) -> list[Panel]:
    """Return the box of a hand-over that still waits for somebody."""
    if record.type != handovers.CODE or record.state != values.OFFERED:
        return []
    wanted = select(Handover).where(Handover.id == record.id)
    handover = session().scalars(wanted.options(joinedload(Handover.giver), joinedload(Handover.taker))).one()
    waits = [sides.party_of(handover, one) for one in web_accept.missing_sides(handover)]
    way = web_accept.best_way(handover, current_scope().actor_id)
    context = {
        "names": [parties.party_name(one) for one in waits],
        "url": url_for("tools.accept", record_id=record.id) if way else "",
        "own": way == web_accept.OWN_WAY,
    }
    return [Panel("tools_accept", _l("Confirmation"), "tools/accept_panel.html", context, 4)]

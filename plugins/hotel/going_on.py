"""What is still going on in a house: what speaks against switching it off, and what a leaver leaves behind."""

from __future__ import annotations

from flask import has_request_context
from flask_babel import gettext as _
from sqlalchemy import func, select

from core.sdk import OPEN_CATEGORIES, Blocker, OpenItem, Record, session
from core.sdk_web import page_url

from . import cleaning, complaints, days, order_flow, shifts, values
from .models import Cleaning, Shift, Stay


def blockers(unit_id: int) -> list[Blocker]:
    """Say what speaks against switching the hotel off in a unit: guests in house, open orders and complaints."""
    staying = select(func.count()).where(Stay.unit_id == unit_id, Stay.state == values.IN_HOUSE)
    guests = session().scalar(staying) or 0
    orders, told = _open(unit_id, order_flow.CODE), _open(unit_id, complaints.CODE)
    found = []
    if guests:
        found.append(Blocker(_("Guests are in house: %(count)d stays under way", count=guests)))
    if orders:
        found.append(Blocker(_("%(count)d work orders are open", count=orders)))
    if told:
        found.append(Blocker(_("%(count)d complaints of guests are open", count=told)))
    return found


def _open(unit_id: int, code: str) -> int:
    mine = Record.unit_id == unit_id, Record.type == code, Record.category.in_(OPEN_CATEGORIES)
    return int(session().scalar(select(func.count()).select_from(Record).where(*mine)) or 0)


def of_person(unit_id: int, user_id: int) -> list[OpenItem]:
    """Say what somebody who leaves has open beside records in their name: rooms to be cleaned, their shifts."""
    found = []
    rooms = _rooms_of(unit_id, user_id)
    if rooms:
        found.append(OpenItem(_("Rooms to be cleaned, handed out to them: %(count)d", count=rooms)))
    wanted = select(Record.id, Record.number, Record.title).join(Shift, Shift.id == Record.id)
    held = Record.type == shifts.CODE, Record.category.in_(OPEN_CATEGORIES), Shift.giver_id == user_id
    for row in session().execute(wanted.where(Record.unit_id == unit_id, *held).order_by(Record.id)):
        url = page_url("record.page", record_id=row.id) if has_request_context() else ""
        text = _("Shift not handed over: %(number)s (%(title)s)", number=row.number, title=row.title)
        found.append(OpenItem(text, url))
    return found


def _rooms_of(unit_id: int, user_id: int) -> int:
    """Count the rooms of today's list that somebody has; lists of days that are over bind nobody."""
    mine = Cleaning.unit_id == unit_id, Cleaning.assignee_id == user_id
    today = Cleaning.hotel_day >= days.hotel_day(unit_id), Cleaning.state.in_(cleaning.OPEN)
    return int(session().scalar(select(func.count()).select_from(Cleaning).where(*mine, *today)) or 0)

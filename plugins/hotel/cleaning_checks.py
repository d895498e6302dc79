"""A cleaned room checked by the list ``hotel.clean``: without a defect it is passed, else it is done again."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.sdk import Inspection, Record, Refusal, Refused, inspections, label_of, may, require, session

from . import cleaning, values
from .models import Cleaning
from .rights import HOUSEKEEPING

CHECKLIST = "hotel.clean"
_SUBJECT = "cleaning:"


def open_check(row: Cleaning) -> Record:
    """Open the check of a cleaned room by the list (``HOUSEKEEPING``); one that is open is answered again.

    Raises:
        NotAllowed. Refused: the room is not cleaned yet or was checked; the unit has no such checklist.
    """
    require(HOUSEKEEPING, row.unit_id)
    cleaning.lock(row, values.DONE)
    checklist = inspections.checklist_of(row.unit_id, CHECKLIST)
    if checklist is None:
        raise Refused([Refusal("no_checklist", _l("There is no checklist for cleaned rooms"))])
    label = str(label_of(values.CLEANINGS, row.kind))
    subject = f"{_SUBJECT}{row.id}"
    return inspections.open_inspection(
        row.unit_id, checklist, place_id=row.place_id, subject=subject, subject_text=label, permission=HOUSEKEEPING
    )


def after_inspection(inspection: Inspection) -> None:
    """Pass the room of a finished check, or have it done again, where its cleaning still waits for that."""
    if not inspection.subject.startswith(_SUBJECT) or not may(HOUSEKEEPING, inspection.unit_id):
        return
    key = int(inspection.subject.removeprefix(_SUBJECT))
    row = session().scalars(select(Cleaning).where(Cleaning.id == key)).first()
    if row is None or row.state != values.DONE:
        return
    if inspection.failed:
        cleaning.redo(row, {"note": _("%(count)d defects found by the check", count=inspection.failed)})
    else:
        cleaning.check(row)

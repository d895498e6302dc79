"""What follows from a finished inspection: each failed item that asks for it opens a record, once."""

from __future__ import annotations

from sqlalchemy import select

from core.cases.models import Case
from core.cases.services import CASE
from core.kernel import clock
from core.kernel.database import session
from core.kernel.i18n import speaking
from core.places import services as places
from core.records import ports
from core.records.engine import Step, create_record, link_records, register_done
from core.records.models import Record
from core.units.models import Unit

from . import items
from .models import FUNCTION, MINOR, SAFETY, Checklist, Finding, Inspection
from .uses import use_of
from .workflow import FILL, version_of

# Of the case a failed item opens: its priority (1 first), urgency and how serious it is.
PRIORITY = {SAFETY: 1, FUNCTION: 2, MINOR: 3}
URGENCY = {SAFETY: "urgent", FUNCTION: "normal", MINOR: "normal"}
# The role of the link from what was opened to its inspection.
OPENED_BY = "inspection"


def follow_up(step: Step) -> None:
    """Open what the findings of a finished inspection ask for, and let its use know (an effect of every step)."""
    if step.kind.code != "inspection" or step.transition.name != "finish":
        return
    inspection: Inspection = step.detail
    checklist = session().scalars(select(Checklist).where(Checklist.id == inspection.checklist_id)).one()
    use = use_of(checklist.use, inspection.unit_id) if checklist.use else None
    version = version_of(inspection)
    opening = {one["key"] for one in version.items if one["opens"]} if version else set()
    for finding in findings_of(inspection.id):
        if finding.item_key in opening and finding.record_id is None:
            _open(use.opens(inspection, finding) if use and use.opens else open_case(inspection, finding), finding)
    if use is not None and use.finished is not None:
        use.finished(inspection)


ports.effects.append(follow_up)


def _open(record: Record | None, finding: Finding) -> None:
    if record is None:
        return
    finding.record_id = record.id
    session().flush()
    link_records(record.id, finding.inspection_id, OPENED_BY)


def findings_of(inspection_id: int) -> list[Finding]:
    """Return the findings of an inspection, in the order they were written."""
    found = select(Finding).where(Finding.inspection_id == inspection_id).order_by(Finding.id)
    return list(session().scalars(found))


def open_case(inspection: Inspection, finding: Finding) -> Record:
    """Open a repair case for a failed item; its title names the item and the place.

    Whoever may fill in the inspection may cause it, whether or not they register cases.
    """
    unit_id = inspection.unit_id
    place = places.full_names(unit_id, [inspection.place_id]).get(inspection.place_id or 0, "")
    with speaking(session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"):
        said = items.in_words({"label": finding.item, "label_en": finding.item_en})
    title = " · ".join(part for part in (said, place or inspection.subject_text) if part)
    urgency = URGENCY[finding.severity]
    record = create_record(
        CASE,
        unit_id,
        Case(
            channel="visit",
            nature="repair",
            urgency=urgency,
            description="\n".join(part for part in (title, finding.note, inspection.record.number) if part),
            address_text=place[:300],
        ),
        title=title,
        customer_id=None,
        received_at=clock.now(),
        permission=FILL,
        facts=[("registered", {"channel": "visit"}), ("classified", {"nature": "repair", "urgency": urgency})],
        priority=PRIORITY[finding.severity],
    )
    register_done(record)
    return record

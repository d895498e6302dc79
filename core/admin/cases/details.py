"""The fields card of a record: label and value pairs of its own details, without personal data."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext as _

from core.admin.inspections import panels
from core.cases import vocabulary as vocab
from core.cases.models import Case
from core.cases.workflow import position_choices
from core.inspections.models import Inspection
from core.kernel.fields import label_of
from core.records.engine import sees_inside
from core.records.models import Record
from core.tasks.models import Task

from .task_details import task_pairs
from .words import unit_name

Pairs = list[tuple[Any, Any]]


def pairs_of(record: Record, detail: Any) -> Pairs:
    """Return (label, value) for the fields card. Other types than the case show what every record has."""
    pairs: Pairs = _case_pairs(record, detail) if isinstance(detail, Case) else []
    if isinstance(detail, Task):
        pairs = task_pairs(record, detail)
    if isinstance(detail, Inspection):
        pairs = panels.pairs_of(record, detail)
    return [*pairs, *_common_pairs(record)]


def _case_pairs(record: Record, case: Case) -> Pairs:
    pairs: Pairs = [
        (_("Nature"), label_of(vocab.NATURES, case.nature)),
        (_("Urgency"), label_of(vocab.URGENCIES, case.urgency)),
        (_("Severity"), label_of(vocab.SEVERITIES, case.severity)),
        (_("Channel"), label_of(vocab.CHANNELS, case.channel)),
        (_("Product model"), case.product_text),
        (_("Serial number"), case.serial_text),
    ]
    # The unit's own affairs; what is empty is not shown.
    ours = case if sees_inside(record) else None
    later = [
        (_("Product class"), case.product_class),
        (_("Date of purchase"), case.purchase_date),
        (_("Cause as the customer tells it"), case.fault_cause),
        (_("Type of fault"), label_of(vocab.FAULT_TYPES, case.fault_type)),
        (_("Impact"), label_of(vocab.IMPACTS, case.impact)),
        (_("Distance (km)"), case.distance_km),
        (_("Solution plan"), case.plan),
        (_("Agreed with the customer at"), case.agreed_at),
        (_("Quotation"), ours and ours.quotation),
        (_("Contract"), ours and ours.contract),
        (_("Answer"), case.answer),
        (_("Cause"), case.cause),
        (_("What was done"), case.process),
        (_("Parts used"), case.parts_used),
        (_("Test result"), case.test_result),
        (_("Duration of service"), _duration(case.service_minutes)),
        (_("Result sent at"), case.result_sent_at),
        (_("How it was confirmed"), label_of(vocab.CONFIRMATIONS, case.confirmed_by)),
        (_("Rating"), label_of(vocab.RATINGS, str(case.rating)) if case.rating else ""),
        (_("Customer's words"), case.rating_comment),
        (_("Doubtful points in the history"), ours and _flags(ours.history_flags)),
    ]
    # What comes later in a case's life is shown once it is there; what is asked at intake always.
    return [(_("Description"), case.description), *pairs, *(pair for pair in later if pair[1] not in (None, ""))]


def _duration(minutes: int | None) -> str:
    if minutes is None:
        return ""
    hours, rest = divmod(minutes, 60)
    return _("%(hours)d h %(minutes)d min", hours=hours, minutes=rest)


def _flags(codes: str) -> str:
    return _("; ").join(str(vocab.HISTORY_FLAGS.get(code, code)) for code in codes.split(",") if code)


def _position(code: str) -> Any:
    return label_of(position_choices(), code) if code else ""


def _common_pairs(record: Record) -> Pairs:
    inside = sees_inside(record)
    pairs: Pairs = [
        (_("Received at"), record.received_at),
        (_("Entered at"), record.entered_at),
        (_("Archived at"), record.closed_at),
        (_("Responsible position"), _position(record.owner_position) if inside else ""),
        (_("Escalated to"), label_of(vocab.LEVELS, record.escalated) if inside else ""),
        (_("Unit"), unit_name(record.unit)),
    ]
    return [pair for pair in pairs if pair[1] not in (None, "")]

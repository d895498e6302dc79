"""How states, categories and other codes look on screens: (label, tone) of badges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.format import span
from core.kernel import clock
from core.kernel.fields import Choices
from core.kernel.i18n import current_locale
from core.records.models import CANCELLED, CLOSED, OPEN, PAUSED, SOLVED, Record
from core.records.types import known_states, record_type, record_types

CATEGORIES: Choices = (
    (OPEN, _l("Open")),
    (PAUSED, _l("Paused")),
    (SOLVED, _l("Solved")),
    (CLOSED, _l("Archived")),
    (CANCELLED, _l("Cancelled")),
)
CATEGORY_TONES = {OPEN: "info", PAUSED: "paused", SOLVED: "good", CLOSED: "neutral", CANCELLED: "neutral"}
DUE_SOON_SECONDS = 4 * 3600


def state_label(record: Record) -> Any:
    """Name a record's state; one whose plugin is gone shows its code."""
    state = known_states(record.type).get(record.state)
    return state.label if state else record.state


def unit_name(unit: Any) -> str:
    """Name a unit in the reader's language."""
    return str(unit.name_en if current_locale() == "en" and unit.name_en else unit.name)


def state_badge(record: Record) -> tuple[Any, str]:
    return state_label(record), CATEGORY_TONES.get(record.category, "neutral")


def type_label(record: Record) -> Any:
    kind = record_type(record.type)
    return kind.title if kind else record.type


def type_choices() -> Choices:
    return [(kind.code, kind.title) for kind in record_types()]


def state_choices(types: Iterable[str]) -> Choices:
    """List the states of these record types once each, in the order of their workflows."""
    found: dict[str, Any] = {}
    for code in types:
        for state in known_states(code).values():
            found.setdefault(state.code, state.label)
    return list(found.items())


def due_badge(record: Record) -> tuple[str, str, str] | None:
    """Say when the next time limit of an open record falls due, or by how much it is overdue."""
    if record.next_due_at is None or not record.is_open:
        return None
    left = int((record.next_due_at - clock.now()).total_seconds())
    if left < 0:
        return _("Overdue by %(time)s", time=span(-left)), "bad", "warn"
    return _("%(time)s left", time=span(left)), "warn" if left < DUE_SOON_SECONDS else "neutral", "clock"


def chase_badge(record: Record) -> tuple[str, str] | None:
    """Show how often the customer chased."""
    return (_("Chased %(count)d×", count=record.chase_count), "warn") if record.chase_count else None


def marks_badge(record: Record) -> tuple[str, str] | None:
    """Show in one badge that a record is urgent or was escalated, and how often the customer chased."""
    chased = chase_badge(record)
    urgent = record.priority == 1
    parts = [
        _("Urgent") if urgent else "",
        _("Escalated") if record.escalated else "",
        chased[0] if chased else "",
    ]
    text = " · ".join(part for part in parts if part)
    return (text, "bad" if record.escalated or urgent else "warn") if text else None

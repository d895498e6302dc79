"""The fields card of a recurring task."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import gettext as _
from markupsafe import Markup

from core.admin.clauses import draw_clause
from core.kernel.access import may
from core.records.models import Record
from core.rules import unit_report
from core.rules.kinds import ScheduleRule
from core.rules.registry import current_rules
from core.tasks.models import Task


def task_pairs(record: Record, task: Task) -> list[tuple[Any, Any]]:
    """Return what is asked, under which clause, by when, and what came of it."""
    pairs = [
        (_("What is to be done"), record.title),
        (_("Clause"), draw_clause(task.clause)),
        (_("About"), task.subject_text),
        (_("Period"), f"{task.starts_on} – {task.due_on}"),
        (_("Note"), task.note),
        (_("Report"), _report(record, task)),
        (_("What came of it"), task.result),
    ]
    return [pair for pair in pairs if pair[1] not in (None, "")]


def _report(record: Record, task: Task) -> Any:
    """Lead to the report a task is about, for whoever may see it."""
    rules = current_rules().for_clause(task.clause)
    place = next((one.report for one in rules if isinstance(one, ScheduleRule) and one.report), "")
    if not place or not may(unit_report.VIEW, record.unit_id):
        return ""
    url = url_for(place, span=unit_report.MONTH, day=task.starts_on)
    return Markup('<a href="{}">{}</a>').format(url, _("Open the report"))

"""Boxes of inspections: on the record's own page, and on the page of a place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from markupsafe import Markup

from core.admin.clauses import draw_clause
from core.inspections import items
from core.inspections import services as inspections
from core.inspections.models import Checklist, Inspection
from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import session
from core.kernel.extensions import Panel
from core.places import services as places
from core.places.models import Place
from core.records.engine import may_act
from core.records.models import Record

from . import lines

SHOWN = 8
MONTHS = 12


def pairs_of(record: Record, inspection: Inspection) -> list[tuple[Any, Any]]:
    """Return what an inspection is about and how it went, for the fields card."""
    checklist = session().get_one(Checklist, inspection.checklist_id)
    pairs: list[tuple[Any, Any]] = [
        (_("Inspection checklist"), checklist_title(checklist)),
        (_("Place or room"), place_link(inspection)),
        (_("About"), inspection.subject_text),
        (_("Clause"), draw_clause(inspection.clause) if inspection.clause else ""),
        (_("Due day"), inspection.due_on),
        (_("Begun at"), inspection.begun_at),
        (_("Finished at"), inspection.finished_at),
    ]
    return [pair for pair in pairs if pair[1] not in (None, "")]


def checklist_title(checklist: Checklist) -> str:
    """Return a checklist's title in the reader's language."""
    return items.in_words({"title": checklist.title, "title_en": checklist.title_en}, "title")


def place_link(inspection: Inspection) -> Any:
    """Return the full name of an inspection's place, leading to its page where there is one."""
    if inspection.place_id is None:
        return ""
    name = places.full_names(inspection.unit_id, [inspection.place_id]).get(inspection.place_id, "")
    return Markup('<a href="{}">{}</a>').format(url_for("inspections.place", place_id=inspection.place_id), name)


def answers_box(record: Record, inspection: Inspection) -> Markup:
    """Draw the answers of an inspection with photos and what failures opened."""
    version = inspections.version_of(inspection)
    findings = inspections.findings_of(inspection.id)
    opened = lines.opened_by(findings)
    by_key = {one.item_key: opened[one.record_id] for one in findings if one.record_id in opened}
    shown = lines.lines_of(inspection, version.items if version else [], by_key)
    html = render_template(
        "inspection/_answers.html",
        record=record,
        inspection=inspection,
        version=version,
        lines=shown,
        score=lines.score_badge(inspection),
        may_fill=record.is_open and may_act(record, inspections.FILL),
        may_see=may_act(record, "attachment.view"),
    )
    return Markup(html)  # noqa: S704 - a template's own, escaped output


def of_place(place: Place) -> Panel:
    """Return the panel of a place: last inspections, what is to be done, open findings, score over time."""
    findings = inspections.open_findings(place.id)
    now = clock.now()
    months = inspections.scores_of_place(place.id, now - timedelta(days=31 * MONTHS), now + timedelta(days=1))
    done, todo = inspections.of_place(place.id, SHOWN), inspections.open_of_place(place.id, SHOWN)
    return Panel(
        "inspections",
        _l("Inspection rounds"),
        "inspection/_place.html",
        {
            "place": place,
            "done": [(one, checklist_title(one.checklist), lines.score_badge(one)) for one in done],
            "todo": [(one, checklist_title(one.checklist)) for one in todo],
            "findings": [(one, lines.finding_text(one), lines.severity_badge(one)) for one in findings],
            "opened": lines.opened_by(findings),
            "months": [one for one in months if one.score is not None],
            "may_fill": may(inspections.FILL, place.unit_id),
        },
        weight=30,
    )

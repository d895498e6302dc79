"""The form of a finished inspection (检查记录): items, answers, findings, photos and signatures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.inspections import items
from core.inspections import services as inspections
from core.inspections.models import SIGNATURE, VERDICTS, Checklist, Inspection
from core.kernel.database import session
from core.kernel.errors import NotFound
from core.kernel.extensions import PrintForm
from core.kernel.fields import label_of
from core.places import services as places
from core.records.attachments import path_of
from core.records.engine import detail_of
from core.records.models import Attachment, Record
from core.units.facts import unit_facts
from core.users.models import User

from .services import PRINT

# What typst draws; other pictures are named by their files only.
DRAWN = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
MOST_PICTURES = 40


def inspection_record(record: Record) -> dict[str, Any]:
    """Return what the form says.

    Raises:
        NotFound: it is no inspection, or not begun yet.
    """
    inspection = detail_of(record)
    version = inspections.version_of(inspection) if isinstance(inspection, Inspection) else None
    if version is None or not isinstance(inspection, Inspection):
        raise NotFound()
    checklist = session().get_one(Checklist, inspection.checklist_id)
    place = places.full_names(record.unit_id, [inspection.place_id]).get(inspection.place_id or 0, "")
    findings = inspections.findings_of(inspection.id)
    opened = {one.id: one.number for one in _records({one.record_id for one in findings if one.record_id})}
    by_key = {one.item_key: opened.get(one.record_id or 0, "") for one in findings}
    return {
        "number": record.number,
        "checklist": items.in_words({"title": checklist.title, "title_en": checklist.title_en}, "title"),
        "version": version.number,
        "place": place,
        "subject": inspection.subject_text,
        "clause": inspection.clause,
        "due": inspection.due_on.isoformat(),
        "finished": _moment(record, inspection.finished_at),
        "by": _name(inspection.finished_by),
        "score": "" if inspection.score is None else str(inspection.score),
        "failed": inspection.failed,
        "lines": [_line(one, inspection.answers.get(one["key"], {}), by_key) for one in version.items],
        "pictures": _pictures(inspection, version.items),
    }


def _records(ids: set[int]) -> list[Record]:
    return list(session().scalars(select(Record).where(Record.id.in_(ids)))) if ids else []


def _line(item: Mapping[str, Any], answer: Mapping[str, Any], opened: Mapping[str, str]) -> dict[str, str]:
    verdict = answer.get("verdict", "")
    return {
        "item": items.in_words(item),
        "bounds": items.bounds_in_words(item),
        "value": items.value_in_words(item, answer.get("value", "")),
        "verdict": str(label_of(VERDICTS, verdict)) if verdict else "",
        "note": answer.get("note", ""),
        "opened": opened.get(item["key"], ""),
    }


def _pictures(inspection: Inspection, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = {int(one["file"]): key for key, one in inspection.answers.items() if one.get("file")}
    labels = {one["key"]: one for one in asked}
    rows = session().scalars(select(Attachment).where(Attachment.id.in_(wanted)).order_by(Attachment.id))
    return [
        {
            "id": row.id,
            "name": f"{row.id}.{DRAWN[row.media_type]}",
            "item": items.in_words(labels[wanted[row.id]]) if wanted[row.id] in labels else "",
            "signature": row.kind == SIGNATURE,
        }
        for row in rows
        if row.media_type in DRAWN
    ][:MOST_PICTURES]


def files_of(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the pictures that the form shows, by name."""
    found: dict[str, bytes] = {}
    for one in data["pictures"]:
        row = session().scalars(select(Attachment).where(Attachment.id == one["id"])).first()
        if row is not None and path_of(row).exists():
            found[one["name"]] = path_of(row).read_bytes()
    return found


def _moment(record: Record, moment: datetime | None) -> str:
    if moment is None:
        return ""
    return moment.astimezone(ZoneInfo(unit_facts(record.unit_id).timezone)).strftime("%Y-%m-%d %H:%M")


def _name(user_id: int | None) -> str:
    return (session().scalar(select(User.name).where(User.id == user_id)) or "") if user_id else ""


FORM = PrintForm(
    code="inspection_record",
    title=_l("Inspection record"),
    subject="inspection",
    template="inspection_record.typ",
    data=inspection_record,
    permission=PRINT,
    files=files_of,
)

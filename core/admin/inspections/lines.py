"""The answers of an inspection as lines of a page, a panel or a form on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.inspections import items
from core.inspections.models import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    SEVERITIES,
    VERDICTS,
    Finding,
    Inspection,
)
from core.kernel.database import session
from core.kernel.fields import label_of
from core.records.models import Record
from core.users.models import User

TONES = {PASS: "good", FAIL: "bad", NOT_APPLICABLE: "neutral"}
SEVERITY_TONES = {"minor": "neutral", "function": "warn", "safety": "bad"}


@dataclass(frozen=True)
class Line:
    """One item with its answer. ``badge``: label and tone of the verdict; ``opened``: what its failure opened."""

    item: Mapping[str, Any]
    label: str
    value: str
    badge: tuple[Any, str] | None
    note: str
    file: int | None
    who: str
    at: datetime | None
    opened: Record | None = None


def lines_of(
    inspection: Inspection, asked: Sequence[Mapping[str, Any]], opened: Mapping[str, Record] | None = None
) -> list[Line]:
    """Return every item with its answer so far, in order."""
    answers = inspection.answers or {}
    names = names_of({one["by"] for one in answers.values() if one.get("by")})
    return [_line(one, answers.get(one["key"], {}), names, (opened or {}).get(one["key"])) for one in asked]


def _line(item: Mapping[str, Any], answer: Mapping[str, Any], names: Mapping[int, str], opened: Any) -> Line:
    verdict = answer.get("verdict", "")
    at = answer.get("at")
    return Line(
        item=item,
        label=items.in_words(item),
        value=items.value_in_words(item, answer.get("value", "")),
        badge=(label_of(VERDICTS, verdict), TONES[verdict]) if verdict else None,
        note=answer.get("note", ""),
        file=answer.get("file") or None,
        who=names.get(answer.get("by") or 0, ""),
        at=datetime.fromisoformat(at) if at else None,
        opened=opened,
    )


def names_of(ids: set[int]) -> dict[int, str]:
    """Return the names of users by their ids, in one statement."""
    if not ids:
        return {}
    rows = session().execute(select(User.id, User.name).where(User.id.in_(ids)))
    return {row.id: row.name for row in rows}


def score_badge(inspection: Inspection) -> tuple[str, str] | None:
    """Show the score of a finished inspection; red where something failed."""
    if inspection.score is None:
        return None
    return f"{inspection.score} %", "bad" if inspection.failed else "good"


def severity_badge(finding: Finding) -> tuple[Any, str]:
    """Show how serious a finding is."""
    return label_of(SEVERITIES, finding.severity), SEVERITY_TONES[finding.severity]


def opened_by(findings: Sequence[Finding]) -> dict[int, Record]:
    """Return the records that findings opened, by their ids, in one statement."""
    ids = {one.record_id for one in findings if one.record_id}
    if not ids:
        return {}
    return {row.id: row for row in session().scalars(select(Record).where(Record.id.in_(ids)))}


def finding_text(finding: Finding) -> str:
    """Return the item that failed in the reader's words."""
    return items.in_words({"label": finding.item, "label_en": finding.item_en})

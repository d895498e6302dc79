"""Makes tasks: one for each period of a recurring clause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask_babel import force_locale, gettext
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.database import session
from core.kernel.i18n import LOCALES
from core.records.engine import create_record, register_done
from core.records.models import OPEN_CATEGORIES, Record
from core.records.services import notify
from core.records.types import RecordType
from core.rules.obligations import current_position
from core.rules.responsible import holder
from core.rules.schedules import Period, Wanted, midnight
from core.units.models import Unit

from .models import Task
from .workflow import LEAD, TASK_WORKFLOW


def search_text(record: Record, task: Task) -> str:
    """The words a task is found by: number, title, clause, whom it is about, what came of it."""
    parts = (record.number, record.title, task.clause, task.subject_text, task.result[:500])
    return "\n".join(part for part in parts if part)


TASK = RecordType("task", _l("Task"), "RW", Task, TASK_WORKFLOW, search_text)


def create_task(wanted: Wanted) -> Record:
    """Create the task of one period, for whoever holds the clause's position by then.

    It counts as received when its period begins, so its time limit is the same whenever the job runs.

    Raises:
        NotAllowed: the actor may not hand out tasks in the unit.
    """
    unit_id, period, clause = wanted.unit_id, wanted.period, wanted.rule.clause
    position = current_position(clause)
    person = holder(unit_id, position, period.first) if position else None
    facts: list[tuple[str, Mapping[str, Any]]] = [("registered", {})]
    if person:
        facts.append(("assigned", {"assignee_id": person}))
    locale = session().scalar(select(Unit.locale).where(Unit.id == unit_id)) or "zh"
    with force_locale(LOCALES.get(locale, LOCALES["zh"])):
        title, note = _title(wanted, locale), _note(wanted.skipped)
    record = create_record(
        TASK,
        unit_id,
        Task(
            clause=clause,
            subject=wanted.subject.key,
            subject_text=wanted.subject.text[:200],
            starts_on=period.first,
            due_on=period.due,
            note=note,
        ),
        title=title,
        customer_id=wanted.subject.customer_id,
        received_at=midnight(unit_id, period.first),
        permission=LEAD,
        facts=facts,
        assignee_id=person,
        then=lambda made: setattr(made, "owner_position", position),
    )
    if person:
        notify(record, "assigned", [person])
    register_done(record)
    return record


def open_task(unit_id: int, clause: str, subject: str, day: date) -> Record | None:
    """Return a subject's oldest task of a clause that had begun by a day and is still to be done, or None."""
    found = (
        select(Record)
        .join(Task, Task.id == Record.id)
        .where(Task.unit_id == unit_id, Task.clause == clause, Task.subject == subject, Task.starts_on <= day)
        .where(Record.category.in_(OPEN_CATEGORIES))
        .order_by(Task.starts_on, Task.id)
    )
    return session().scalars(found.limit(1)).first()


def _title(wanted: Wanted, locale: str) -> str:
    said = wanted.rule.title
    name = said.get(locale) or said["zh"] if isinstance(said, Mapping) else str(said)
    about = f" · {wanted.subject.text}" if wanted.subject.text else ""
    return f"{name}{about} · {label_of(wanted.period)}"


def label_of(period: Period) -> str:
    """Name a period by its days: one day, a month, a year, months or days from and to."""
    first, last = period.first, period.last
    if first == last:
        return first.isoformat()
    if first.day != 1 or not _ends_month(last):
        return f"{first.isoformat()} – {last.isoformat()}"
    if (first.year, first.month) == (last.year, last.month):
        return first.strftime("%Y-%m")
    if (first.month, last.month) == (1, 12) and first.year == last.year:
        return str(first.year)
    return f"{first.strftime('%Y-%m')} – {last.strftime('%Y-%m')}"


def _ends_month(day: date) -> bool:
    return date.fromordinal(day.toordinal() + 1).day == 1


def _note(skipped: tuple[Period, ...]) -> str:
    if not skipped:
        return ""
    return gettext(
        "%(count)d earlier periods (%(first)s to %(last)s) were left out: the background work stood still for too "
        "long.",
        count=len(skipped),
        first=skipped[0].first.isoformat(),
        last=skipped[-1].last.isoformat(),
    )

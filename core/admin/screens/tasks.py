"""Recurring tasks (周期任务): what the regulations ask for at intervals, period by period."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload, lazyload

from core.admin.cases import lists, words
from core.admin.categories import SERVICE
from core.admin.clauses import clause_title
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, QuickFilter, among
from core.admin.views import ListScreen
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices
from core.records.models import Record
from core.rules.kinds import ScheduleRule
from core.rules.registry import current_rules
from core.rules.schedules import Period
from core.tasks.models import Task
from core.tasks.services import label_of
from core.units.models import Unit
from core.users.models import User

TASK_OF: Any = cast(Any, Record).task
_NAMED = (joinedload(Record.assignee).load_only(User.name), joinedload(Record.unit).load_only(Unit.name))


@cache
def _base() -> Select[Any]:
    return (
        select(Record)
        .join(TASK_OF)
        .where(Record.type == "task")
        .options(contains_eager(TASK_OF).options(lazyload(Task.record)), *_NAMED)
    )


def _clauses() -> Choices:
    return [
        (one.clause, one.clause) for one in current_rules().rules if isinstance(one, ScheduleRule) and not one.makes
    ]


def _done(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.state == "done")


def _clause(row: Any) -> str:
    return f"{row.task.clause} {clause_title(row.task.clause)}".rstrip()


def _period(row: Any) -> str:
    return label_of(Period(row.task.starts_on, row.task.due_on, row.task.due_on))


TASKS = ListSpec(
    name="tasks",
    title=_l("Recurring tasks"),
    model=Record,
    columns=(
        lists.NUMBER,
        ListColumn("title", _l("What is to be done"), lambda row: row.title, link=lists.record_url, card="title"),
        ListColumn("clause", _l("Clause"), _clause),
        ListColumn("period", _l("Period"), _period),
        lists.ASSIGNEE,
        lists.STATE,
        lists.DUE,
        ListColumn("result", _l("What came of it"), lambda row: row.task.result[:200], visible=False, card="hide"),
        lists.UNIT,
    ),
    orderings=lists.ORDERINGS,
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), lambda: words.state_choices(("task",))),
        Filter("clause", _l("Clause"), "choice", among(Task.clause), _clauses),
        Filter("assignee", _l("Assignee"), "choice", among(Record.assignee_id), lists.staff_choices),
    ),
    quick=(
        *(one for one in lists.QUICK if one.key in ("open", "mine", "today", "overdue")),
        QuickFilter("done", _l("Done"), _done),
    ),
    base=_base,
    row_tone=lists.CASES.row_tone,
    empty=_l("No recurring tasks. They come by themselves when a period of a recurring clause begins."),
)


class TaskScreen(ListScreen):
    """The tasks of the unit; the page of each is the record's."""

    permission = "case.view"
    export_permission = "case.export"
    icon = "refresh"

    def list_spec(self) -> ListSpec:
        return TASKS

    def row_url(self, row: Any) -> str:
        return lists.record_url(row)


def admin_views() -> list[AdminEntry]:
    return [AdminEntry(TaskScreen(name=_l("Recurring tasks"), endpoint="tasks", url="/admin/tasks"), SERVICE, 30)]

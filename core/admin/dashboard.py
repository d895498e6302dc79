"""The first page: what waits for me, what waits in the unit; every number leads to the list it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import g, url_for
from flask_babel import gettext as _
from sqlalchemy import func, literal, select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.database import session
from core.kernel.extensions import Unavailable
from core.notices import kinds
from core.records.models import OPEN_CATEGORIES, Notice, Record, Reminder
from core.rules.approvers import VIEW
from core.rules.obligation_models import OPEN as RUNNING
from core.rules.obligation_models import Obligation
from core.tasks.services import TASK

from .approvals import MOST_COUNTED, waiting_count
from .cases import jobs, lists
from .listing import ListContext, filtered, read_state
from .views import list_context, may_here

CAP = 999  # a number on a tile is counted no further
SHOWN = 8


@dataclass(frozen=True)
class Number:
    """A tile. ``value`` None: the plugin that brings it failed."""

    title: Any
    value: Any
    url: str
    tone: str = ""


def numbers(context: ListContext) -> list[Number]:
    """Count what the case list's quick filters show, each up to the cap."""
    tiles = (
        ("mine", _("My open cases"), "info", ""),
        ("today", _("Due today"), "warn", ""),
        ("overdue", _("Overdue"), "bad", ""),
        ("unassigned", _("To be assigned"), "warn", "case.assign"),
        ("chased", _("Chased by customers"), "warn", ""),
        ("unconfirmed", _("Awaiting confirmation"), "info", ""),
    )
    return [
        _number(key, title, tone, context) for key, title, tone, needed in tiles if not needed or may_here(needed)
    ]


def _number(key: str, title: str, tone: str, context: ListContext) -> Number:
    state = read_state(lists.CASES, {"quick": [key]})
    ids = filtered(state, context).order_by(None).with_only_columns(Record.id).limit(CAP + 1).subquery()
    count = session().scalar(select(func.count()).select_from(ids)) or 0
    shown = f"{CAP}+" if count > CAP else str(count)
    return Number(title, shown, url_for("cases.index_view", quick=key), tone if count else "")


def approval_tiles() -> list[Number]:
    """Return the tile of what waits for the actor's decision; none for who decides nothing."""
    if not may_here(VIEW):
        return []
    count = waiting_count()
    shown = f"{count}+" if count == MOST_COUNTED else str(count)
    return [Number(_("Waiting for my approval"), shown, url_for("approvals.index"), "warn")] if count else []


def task_tiles() -> list[Number]:
    """Return the tile of the actor's open recurring tasks in this unit; none for who has none."""
    if not may_here("case.view"):
        return []
    mine = select(Record.next_due_at).where(
        Record.assignee_id == g.actor.id,
        Record.unit_id == g.unit.id,
        Record.category.in_(OPEN_CATEGORIES),
        Record.type == TASK.code,
    )
    dues = list(session().scalars(mine.limit(CAP)))
    if not dues:
        return []
    is_late = any(due is not None and due < clock.now() for due in dues)
    url = url_for("tasks.index_view", quick="mine")
    return [Number(_("My recurring tasks"), str(len(dues)), url, "bad" if is_late else "info")]


def overdue_by_clause(context: ListContext) -> list[tuple[str, int, str]]:
    """Count what is overdue in the unit by clause, the worst first: (clause, how many, where they are listed)."""
    running = Obligation.state == literal(RUNNING, literal_execute=True)
    late = select(Obligation.clause).where(Obligation.unit_id == context.unit_id, running)
    capped = late.where(Obligation.due_at < clock.now()).order_by(None).limit(CAP).subquery()
    count = func.count()
    found = (
        select(capped.c.clause, count)
        .group_by(capped.c.clause)
        .order_by(count.desc(), capped.c.clause)
        .limit(SHOWN)
    )
    return [
        (clause, number, url_for("cases.index_view", f_clause=clause))
        for clause, number in session().execute(found)
    ]


def plugin_tiles() -> list[Number]:
    """Return the tiles of the unit's plugins; one that fails is shown as unavailable."""
    found: list[Number] = []
    for plugin, offered in g.unit.hooks.dashboard_tiles(unit=g.unit, actor_id=g.actor.id):
        if isinstance(offered, Unavailable):
            found.append(Number(_("Plugin %(name)s", name=plugin), None, ""))
            continue
        found += [Number(tile.title, tile.value, tile.url, tile.tone) for tile in offered or ()]
    return found


def reminders(actor_id: int, limit: int = SHOWN) -> list[Reminder]:
    """Return a person's open next actions, soonest first, with their records."""
    found = (
        select(Reminder)
        .where(Reminder.user_id == actor_id, Reminder.done_at.is_(None))
        .options(joinedload(Reminder.record))
        .order_by(Reminder.due_at, Reminder.id)
        .limit(limit)
    )
    return list(session().scalars(found))


def notices(actor_id: int, limit: int = SHOWN, *, unread: bool = True) -> list[Notice]:
    """Return a person's inbox, newest first, with the records."""
    found = select(Notice).where(Notice.user_id == actor_id).options(joinedload(Notice.record))
    if unread:
        found = found.where(Notice.read_at.is_(None))
    return list(session().scalars(found.order_by(Notice.id.desc()).limit(limit)))


def inbox_count() -> int:
    """Count the actor's unread notices, for the bell in the top bar; 0 outside a unit."""
    actor = g.get("actor")
    if actor is None or g.get("unit") is None:
        return 0
    ids = select(Notice.id).where(Notice.user_id == actor.id, Notice.read_at.is_(None)).limit(100).subquery()
    return session().scalar(select(func.count()).select_from(ids)) or 0


def context() -> dict[str, Any]:
    """Return what the dashboard's template needs."""
    sees_cases = may_here("case.view")
    mine = jobs.my_jobs(g.actor.id, SHOWN)
    taken_on = [state for state, permission in jobs.TAKEN_ON_BY.items() if may_here(permission)]
    return {
        "numbers": [*approval_tiles(), *(numbers(list_context("case.view")) if sees_cases else [])],
        "overdue": overdue_by_clause(list_context("case.view")) if sees_cases else [],
        "tiles": [*task_tiles(), *plugin_tiles()],
        "mine": mine,
        "for_position": jobs.waiting_here(g.unit.id, taken_on, SHOWN) if sees_cases and taken_on else [],
        "reminders": reminders(g.actor.id),
        "notices": notices(g.actor.id),
        "notice_title": kinds.title,
        "now": clock.now(),
        "may_register": may_here("case.create"),
    }

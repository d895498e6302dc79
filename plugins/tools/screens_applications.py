"""Screens of applications, clearances and the reminders that were sent."""

from __future__ import annotations

from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Record, label_of, may, normalise, search
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
    page_url,
)

from . import application_rows, applications, clearance, values
from .models import Application, Clearance, Custody, Reminder, Tool
from .rights import CLEAR, KEEP, OWN, VIEW

PLUGIN = "tools"
SEARCH_LIMIT = 500
TONES = {
    values.ASKED: "warn",
    values.GRANTED: "info",
    values.FULFILLED: "good",
    values.REJECTED: "bad",
    values.OPEN: "warn",
    values.SETTLED: "good",
    values.WITH_OPEN_ITEMS: "bad",
}


def record_url(row: Any) -> str:
    """Return the address of an application's or clearance's page, which is its record's."""
    return page_url("record.page", record_id=row.id)


def application_badge(row: Application) -> tuple[Any, str]:
    """Return (label, tone) of an application's state."""
    return label_of(values.APPLICATION_STATES, row.record.state), TONES.get(row.record.state, "neutral")


def clearance_badge(row: Clearance) -> tuple[Any, str]:
    """Return (label, tone) of a clearance's state."""
    return label_of(values.CLEARANCE_STATES, row.record.state), TONES.get(row.record.state, "neutral")


def sheet_url(row: Any) -> str:
    """Return the address of a clearance's sheet, where it is worked on."""
    return url_for("tools.clearance", clearance_id=row.id)


def _found(model: Any, code: str) -> Any:
    def find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
        units = context.units or frozenset({context.unit_id})
        hits = search.search(units, code, text, SEARCH_LIMIT)
        return statement.where(model.id.in_([one.entity_id for one in hits]))

    return find


def _in_state(*states: str) -> Any:
    return lambda statement, _context: statement.where(Record.state.in_(states))


# --- applications --------------------------------------------------------------------------------


def _applications() -> Select[Any]:
    whole = joinedload(Application.kind_of_tool), joinedload(Application.user), joinedload(Application.tool)
    return select(Application).join(Application.record).options(contains_eager(Application.record), *whole)


def _quantity(row: Application) -> str:
    return f"{row.fulfilled}/{row.quantity}" if row.fulfilled else str(row.quantity)


APPLICATIONS = ListSpec(
    name="tools.applications",
    title=_l("Applications for tools"),
    model=Application,
    base=_applications,
    columns=(
        ListColumn("number", _l("Number"), lambda a: a.record.number, "code", link=record_url, card="title"),
        ListColumn("what", _l("Kind of application"), lambda a: applications.kind_words(a.kind)),
        ListColumn("user", _l("Employee"), lambda a: a.user.name),
        ListColumn("kind", _l("Kind of tool"), lambda a: a.kind_of_tool.name),
        ListColumn(
            "state",
            _l("State"),
            application_badge,
            "badge",
            card="badge",
            export=lambda a: str(application_badge(a)[0]),
        ),
        ListColumn("quantity", _l("Quantity"), _quantity, card="hide"),
        ListColumn("tool", _l("Tool"), lambda a: a.tool.code if a.tool else "", "code", card="hide"),
        ListColumn("due", _l("Back by"), lambda a: a.due_at, "moment", card="hide"),
        ListColumn("asked", _l("Applied for at"), lambda a: a.record.received_at, "moment", card="hide"),
        ListColumn("reason", _l("Reason"), lambda a: a.reason, visible=False, card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Application.id,)),
        Ordering("oldest", _l("Oldest first"), (Application.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.APPLICATION_STATES),
        Filter("kind", _l("Kind of application"), "choice", among(Application.kind), values.APPLICATION_KINDS),
        Filter("asked", _l("Applied for at"), "dates", between(Record.received_at)),
    ),
    quick=(
        QuickFilter("asked", _l("Waiting for the decision"), _in_state(values.ASKED)),
        QuickFilter("granted", _l("To be carried out"), _in_state(values.GRANTED)),
        QuickFilter(
            "mine", _l("Mine"), lambda statement, context: statement.where(Application.user_id == context.actor_id)
        ),
    ),
    search=_found(Application, application_rows.CODE),
    search_hint=_l("Number, kind of tool or person"),
    empty=_l("No application yet."),
)


class ApplicationScreen(ListScreen):
    """Applications for tools (领用、借用、外带申请)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Apply for a tool")
    icon = "inbox"

    def list_spec(self) -> ListSpec:
        return APPLICATIONS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def create_url(self) -> str:
        return url_for("tools.application_new") if may(OWN, g.unit.id) or may(KEEP, g.unit.id) else ""


# --- clearances ----------------------------------------------------------------------------------


def _clearances() -> Select[Any]:
    whole = joinedload(Clearance.user), joinedload(Clearance.successor)
    return select(Clearance).join(Clearance.record).options(contains_eager(Clearance.record), *whole)


CLEARANCES = ListSpec(
    name="tools.clearances",
    title=_l("Tool clearances"),
    model=Clearance,
    base=_clearances,
    columns=(
        ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=sheet_url, card="title"),
        ListColumn("user", _l("Employee"), lambda c: c.user.name),
        ListColumn("kind", _l("Kind of clearance"), lambda c: label_of(values.CLEARANCE_KINDS, c.kind)),
        ListColumn("last_day", _l("Last day there"), lambda c: c.last_day, "date"),
        ListColumn(
            "state",
            _l("State"),
            clearance_badge,
            "badge",
            card="badge",
            export=lambda c: str(clearance_badge(c)[0]),
        ),
        ListColumn("successor", _l("Successor"), lambda c: c.successor.name if c.successor else "", card="hide"),
        ListColumn("begun", _l("Begun at"), lambda c: c.record.received_at, "moment", card="hide"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Clearance.id,)),
        Ordering("oldest", _l("Oldest first"), (Clearance.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.CLEARANCE_STATES),
        Filter("kind", _l("Kind of clearance"), "choice", among(Clearance.kind), values.CLEARANCE_KINDS),
        Filter("last_day", _l("Last day there"), "dates", between(Clearance.last_day)),
    ),
    quick=(
        QuickFilter("open", _l("Being cleared"), _in_state(values.OPEN)),
        QuickFilter("left", _l("Left with open items"), _in_state(values.WITH_OPEN_ITEMS)),
    ),
    search=_found(Clearance, clearance.CODE),
    search_hint=_l("Number or person"),
    empty=_l("No clearance yet. One is begun when somebody leaves or changes post."),
)


class ClearanceScreen(ListScreen):
    """Clearances of leavers and of changes of post (工具缴回、变更手续)."""

    plugin = PLUGIN
    permission = CLEAR
    export_permission = CLEAR
    create_label = _l("Begin a clearance")
    icon = "check"

    def list_spec(self) -> ListSpec:
        return CLEARANCES

    def row_url(self, row: Any) -> str:
        return sheet_url(row)

    def create_url(self) -> str:
        return url_for("tools.clearance_new")


# --- reminders -----------------------------------------------------------------------------------


def _reminders() -> Select[Any]:
    whole = contains_eager(Reminder.custody).contains_eager(Custody.tool)
    return select(Reminder).join(Reminder.custody).join(Custody.tool).options(whole.joinedload(Tool.record))


def _tool_url(row: Reminder) -> str:
    return page_url("record.page", record_id=row.custody.tool_id)


REMINDERS = ListSpec(
    name="tools.reminders",
    title=_l("Reminders sent"),
    model=Reminder,
    base=_reminders,
    columns=(
        ListColumn("tool", _l("Tool"), lambda r: r.custody.tool.code, "code", link=_tool_url, card="title"),
        ListColumn("name", _l("Name"), lambda r: r.custody.tool.name),
        ListColumn("to", _l("Reminded"), lambda r: r.to),
        ListColumn("number", _l("Which one"), lambda r: r.number + 1, "number"),
        ListColumn("sent", _l("Sent at"), lambda r: r.sent_at, "moment"),
        ListColumn("due", _l("Back by"), lambda r: r.due_at, "moment"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Reminder.id,)),
        Ordering("oldest", _l("Oldest first"), (Reminder.id,), descending=False),
    ),
    filters=(Filter("sent", _l("Sent at"), "dates", between(Reminder.sent_at)),),
    search=lambda s, text, _c: s.where(Tool.code == normalise(text).upper()),
    search_hint=_l("Number of a tool"),
    empty=_l("Nobody was reminded yet."),
)


class ReminderScreen(ListScreen):
    """Reminders to bring tools back, as they were sent."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "clock"

    def list_spec(self) -> ListSpec:
        return REMINDERS

    def row_url(self, row: Any) -> str:
        return _tool_url(row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        ApplicationScreen(
            name=_l("Applications for tools"), endpoint="tools_applications", url="/admin/tools/applications"
        ),
        ClearanceScreen(name=_l("Tool clearances"), endpoint="tools_clearances", url="/admin/tools/clearances"),
        ReminderScreen(name=_l("Reminders sent"), endpoint="tools_reminders", url="/admin/tools/reminders"),
    ]

"""Screens of incidents and deductions."""

from __future__ import annotations

from typing import Any

from flask import url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import OPEN_CATEGORIES, Record, User, label_of, normalise, search
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    page_url,
)

from . import incident_flow, values
from .models import Deduction, Incident, Tool
from .rights import VIEW, VIEW_MONEY

PLUGIN = "tools"
CODE = "tools_incident"
SEARCH_LIMIT = 500
TONES = {
    values.REPORTED: "warn",
    values.JUDGED: "info",
    values.CHARGED: "warn",
    values.REFUND: "warn",
    values.CLOSED: "good",
}


def incident_url(row: Incident) -> str:
    """Return the address of an incident, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(row: Incident) -> tuple[Any, str]:
    """Return (label, tone) of an incident's state."""
    state = incident_flow.WORKFLOW.states.get(row.record.state)
    return (state.label if state else row.record.state), TONES.get(row.record.state, "neutral")


def _incidents() -> Select[Any]:
    return (
        select(Incident)
        .join(Incident.record)
        .options(
            contains_eager(Incident.record),
            joinedload(Incident.tool).load_only(Tool.code, Tool.name),
            joinedload(Incident.user).load_only(User.name),
        )
    )


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, CODE, text, SEARCH_LIMIT)
    return statement.where(Incident.id.in_([one.entity_id for one in found]))


def _of_tool(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    wanted = normalise(text)
    called = or_(Tool.code == wanted.upper(), Tool.name.icontains(wanted, autoescape=True))
    return statement.where(Incident.tool_id.in_(select(Tool.id).where(Tool.unit_id.in_(units), called)))


def _of_person(column: Any) -> Any:
    def among_called(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
        called = User.name.icontains(normalise(text), autoescape=True)
        return statement.where(column.in_(select(User.id).where(called)))

    return among_called


INCIDENTS = ListSpec(
    name="tools.incidents",
    title=_l("Incidents with tools"),
    model=Incident,
    base=_incidents,
    columns=(
        ListColumn("number", _l("Number"), lambda i: i.record.number, "code", link=incident_url, card="title"),
        ListColumn("kind", _l("Kind"), lambda i: label_of(values.INCIDENT_KINDS, i.kind)),
        ListColumn("tool", _l("Tool"), lambda i: f"{i.tool.code} {i.tool.name}"),
        ListColumn(
            "state", _l("State"), state_badge, "badge", card="badge", export=lambda i: str(state_badge(i)[0])
        ),
        ListColumn("happened", _l("When it happened"), lambda i: i.happened_at, "moment"),
        ListColumn("person", _l("Who answers"), lambda i: i.user.name if i.user else ""),
        ListColumn("cause", _l("Cause"), lambda i: label_of(values.CAUSES, i.cause), card="hide"),
        ListColumn("clause", _l("Clause"), lambda i: i.clause, "code", card="hide"),
        ListColumn("amount", _l("Amount"), lambda i: i.amount, "money"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Incident.id,)),
        Ordering("oldest", _l("Oldest first"), (Incident.id,), descending=False),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.INCIDENT_STATES),
        Filter("kind", _l("Kind"), "choice", among(Incident.kind), values.INCIDENT_KINDS),
        Filter("cause", _l("Cause"), "choice", among(Incident.cause), values.CAUSES),
        Filter("tool", _l("Tool"), "text", _of_tool),
        Filter("person", _l("Who answers"), "text", _of_person(Incident.user_id)),
    ),
    quick=(
        QuickFilter("open", _l("Open"), lambda s, _c: s.where(Record.category.in_(OPEN_CATEGORIES))),
        QuickFilter("judge", _l("To be judged"), lambda s, _c: s.where(Record.state == values.REPORTED)),
        QuickFilter(
            "money",
            _l("Waiting for settlement"),
            lambda s, _c: s.where(Record.state.in_((values.CHARGED, values.REFUND))),
        ),
    ),
    search=_find,
    search_hint=_l("Number or tool"),
    empty=_l("No incident yet. Whoever holds a tool reports what happens to it."),
)


class IncidentScreen(ListScreen):
    """Incidents of the unit (丢失损坏与事故)."""

    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    create_label = _l("Report an incident")
    icon = "flag"

    def list_spec(self) -> ListSpec:
        return INCIDENTS

    def row_url(self, row: Any) -> str:
        return incident_url(row)

    def create_url(self) -> str:
        return url_for("tools.incident_new")


DEDUCTIONS = ListSpec(
    name="tools.deductions",
    title=_l("Deductions from pay"),
    model=Deduction,
    base=lambda: select(Deduction).options(
        joinedload(Deduction.user).load_only(User.name),
        joinedload(Deduction.incident).joinedload(Incident.tool).load_only(Tool.code),
    ),
    columns=(
        ListColumn("month", _l("Month"), lambda d: d.month, card="title"),
        ListColumn("person", _l("Employee"), lambda d: d.user.name),
        ListColumn("amount", _l("Amount"), lambda d: d.amount, "money"),
        ListColumn(
            "incident",
            _l("Incident"),
            lambda d: d.incident.record.number,
            "code",
            link=lambda d: incident_url(d.incident),
        ),
        ListColumn("tool", _l("Tool"), lambda d: d.incident.tool.code, "code", card="hide"),
        ListColumn("contract", _l("Clause of the employment contract"), lambda d: d.contract_clause),
        ListColumn("entered", _l("Entered at"), lambda d: d.entered_at, "moment", card="hide"),
        ListColumn("undone", _l("Taken back on"), lambda d: d.undone_at, "moment"),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Deduction.id,)),
        Ordering("oldest", _l("Oldest first"), (Deduction.id,), descending=False),
    ),
    filters=(
        Filter("month", _l("Month"), "text", lambda s, text, _c: s.where(Deduction.month == normalise(text))),
        Filter("person", _l("Employee"), "text", _of_person(Deduction.user_id)),
    ),
    empty=_l("Nothing was deducted from pay."),
)


class DeductionScreen(ListScreen):
    """Deductions from pay (工资扣款), for those who handle money."""

    plugin = PLUGIN
    permission = VIEW_MONEY
    export_permission = VIEW_MONEY
    icon = "list"

    def list_spec(self) -> ListSpec:
        return DEDUCTIONS

    def row_url(self, row: Any) -> str:
        return incident_url(row.incident)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        IncidentScreen(name=_l("Incidents with tools"), endpoint="tools_incidents", url="/admin/tools/incidents"),
        DeductionScreen(name=_l("Deductions from pay"), endpoint="tools_deductions", url="/admin/tools/deductions"),
    ]

"""The lists of cases and of all records: columns, filters, quick filters, bulk actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, cast

from flask import g, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, literal, select
from sqlalchemy.orm import contains_eager, joinedload, lazyload, load_only

from core.admin.clauses import clause_title
from core.admin.listing import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
)
from core.admin.screens.documents import print_action
from core.admin.screens.labels import label_action
from core.admin.views import enabled_plugins
from core.cases import vocabulary
from core.cases.models import Case
from core.cases.workflow import CASE_WORKFLOW
from core.customers.models import Customer
from core.documents.services import PRINT
from core.kernel import clock, search
from core.kernel.database import session
from core.kernel.fields import Choices, Field, label_of
from core.records.engine import perform, read_by_some
from core.records.models import OPEN, PAUSED, SOLVED, Record
from core.rules.kinds import DeadlineRule
from core.rules.obligation_models import OPEN as RUNNING
from core.rules.obligation_models import Obligation
from core.rules.registry import current_rules
from core.units.models import Unit
from core.users.models import User
from core.users.permissions import units_where
from core.users.services import staff_names

from . import words

SEARCH_LIMIT = 500
CASE_OF: Any = cast(Any, Record).case


def record_url(record: Record) -> str:
    """Return the address of a record's page; lists ask for a hundred, so the pattern is built once a request."""
    if "record_url" not in g:
        g.record_url = url_for("record.page", record_id=0).removesuffix("0")
    return f"{g.record_url}{record.id}"


def staff_choices() -> Choices:
    """The staff of the current unit, for pickers; read once in a request, however often a list asks."""
    if "staff_choices" not in g:
        g.staff_choices = [(str(user_id), name) for user_id, name in staff_names(g.unit.id)]
    found: Choices = g.staff_choices
    return found


def unit_choices() -> Choices:
    """The actor's units, in the order of the tree (of use where the list shows all of them)."""
    return [(str(unit.id), words.unit_name(unit)) for unit in g.actor.tree]


# --- filters ---------------------------------------------------------------------------------


def _assigned_to(statement: Select[Any], values: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(Record.assignee_id.in_([int(v) for v in values]))


def _in_units(statement: Select[Any], values: Sequence[str], _context: ListContext) -> Select[Any]:
    return statement.where(Record.unit_id.in_([int(v) for v in values]))


def _chased(statement: Select[Any], wanted: bool, _context: ListContext) -> Select[Any]:
    return statement.where(_CHASED if wanted else Record.chase_count == 0)


def _escalated(statement: Select[Any], wanted: bool, _context: ListContext) -> Select[Any]:
    return statement.where(_ESCALATED if wanted else Record.escalated == "")


def find_ids(kind: str, text: str, context: ListContext) -> list[int]:
    """Find what the search index holds: first in the current unit, then in the actor's others."""
    here = search.search(frozenset({context.unit_id}), kind, text, SEARCH_LIMIT)
    others = context.units - {context.unit_id}
    there = search.search(frozenset(others), kind, text, SEARCH_LIMIT) if others else []
    return [found.entity_id for found in (*here, *there)]


def _find_cases(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    return statement.where(Record.id.in_(find_ids("case", text, context)))


def _find_records(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    ids = [found for code, _label in words.type_choices() for found in find_ids(code, text, context)]
    return statement.where(Record.id.in_(ids))


# --- quick filters ---------------------------------------------------------------------------

# Written out, not bound: only so do both databases see that a partial index serves.
_OPEN = Record.category.in_([literal(OPEN, literal_execute=True), literal(PAUSED, literal_execute=True)])
_CHASED = Record.chase_count > literal(0, literal_execute=True)
_ESCALATED = Record.escalated != literal("", literal_execute=True)
_RUNNING = Obligation.state == literal(RUNNING, literal_execute=True)


def _open(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(_OPEN)


def _mine(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(_OPEN, Record.assignee_id == context.actor_id)


def _due_today(statement: Select[Any], context: ListContext) -> Select[Any]:
    start = context.day_start(context.today())
    end = context.day_start(context.today() + timedelta(days=1))
    return statement.where(_OPEN, Record.next_due_at >= start, Record.next_due_at < end)


def _overdue(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(_OPEN, Record.next_due_at < clock.now())


def _unassigned(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.category == OPEN, Record.assignee_id.is_(None))


def _unconfirmed(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Record.category == SOLVED, Record.state.in_(("solved", "answered")))


def _only_chased(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(_OPEN, _CHASED)


# --- columns ---------------------------------------------------------------------------------


def _text_of(badge: Callable[[Record], tuple[Any, str] | None]) -> Callable[[Any], Any]:
    return lambda row: str((badge(row) or ("",))[0])


def _badge_column(key: str, label: Any, badge: Callable[[Record], Any], **options: Any) -> ListColumn:
    return ListColumn(key, label, badge, "badge", export=_text_of(badge), **options)


def _due(row: Record) -> tuple[str, str, str] | None:
    badge = words.due_badge(row)
    if badge is None or row.id not in g.get("provisional", ()):
        return badge
    text, tone, sign = badge
    return _("%(time)s, provisional", time=text), tone, sign


def _note_provisional(rows: Sequence[Record]) -> None:
    """Remember which of these records have a limit that rests on a year without its official table."""
    ids = [row.id for row in rows if row.next_due_at is not None]
    running = select(Obligation.record_id).where(Obligation.record_id.in_(ids), Obligation.state == RUNNING)
    g.provisional = frozenset(session().scalars(running.where(Obligation.provisional)) if ids else ())


def _overdue_by(statement: Select[Any], values: Sequence[str], _context: ListContext) -> Select[Any]:
    late = select(Obligation.record_id).where(Obligation.clause.in_(values), Obligation.due_at < clock.now())
    return statement.where(_OPEN, Record.id.in_(late.where(_RUNNING)))


def _deadline_clauses() -> Choices:
    """The clauses whose limits may be missed here, by number and title."""
    rules = current_rules().of(DeadlineRule, enabled_plugins())
    return [(code, f"{code} {clause_title(code)}".strip()) for code in sorted({one.clause for one in rules})]


def _case_word(choices: Choices, name: str) -> Callable[[Any], Any]:
    return lambda row: label_of(choices, getattr(row.case, name)) if row.case else ""


def _customer(row: Record) -> str:
    return row.customer.name if row.customer else ""


def _assignee(row: Record) -> str:
    return row.assignee.name if row.assignee else ""


NUMBER = ListColumn("number", _l("Number"), lambda row: row.number, "code", link=record_url, card="meta")
TITLE = ListColumn("title", _l("Problem"), lambda row: row.title, link=record_url, card="title")
STATE = _badge_column("state", _l("State"), words.state_badge, card="badge")
CUSTOMER = ListColumn("customer", _l("Customer"), _customer)
ASSIGNEE = ListColumn("assignee", _l("Assignee"), _assignee)
DUE = _badge_column("due", _l("Next due"), _due, card="badge", order="due")
MARKS = _badge_column("marks", _l("Marks"), words.marks_badge, card="badge")
RECEIVED = ListColumn("received", _l("Received at"), lambda row: row.received_at, "moment", order="received")
UNIT = ListColumn("unit", _l("Unit"), lambda row: words.unit_name(row.unit), visible=False)
CLOSED_AT = ListColumn("closed", _l("Archived at"), lambda row: row.closed_at, "moment", visible=False)

ORDERINGS = (
    Ordering("received", _l("Newest first"), (Record.received_at, Record.id)),
    Ordering("oldest", _l("Oldest first"), (Record.received_at, Record.id), descending=False),
    Ordering(
        "due",
        _l("Due first"),
        (Record.next_due_at, Record.id),
        descending=False,
        where=Record.next_due_at.is_not(None),
    ),
)
_UNITS = Filter("unit", _l("Unit"), "choice", _in_units, unit_choices)
_ASSIGNEES = Filter("assignee", _l("Assignee"), "choice", _assigned_to, staff_choices)
_RECEIVED = Filter("received", _l("Received at"), "dates", between(Record.received_at))
_CATEGORY = Filter("category", _l("Stage of work"), "choice", among(Record.category), words.CATEGORIES)
_BY_CLAUSE = Filter("clause", _l("Overdue by clause"), "choice", _overdue_by, _deadline_clauses)
_MARKS = (
    Filter("chased", _l("Chased by the customer"), "bool", _chased),
    Filter("escalated", _l("Escalated"), "bool", _escalated),
)
QUICK = (
    QuickFilter("open", _l("Open"), _open),
    QuickFilter("mine", _l("Mine"), _mine),
    QuickFilter("today", _l("Due today"), _due_today),
    QuickFilter("overdue", _l("Overdue"), _overdue),
    QuickFilter("unassigned", _l("To be assigned"), _unassigned),
    QuickFilter("unconfirmed", _l("Awaiting confirmation"), _unconfirmed),
    QuickFilter("chased", _l("Chased"), _only_chased),
)


@cache
def _cases() -> Select[Any]:
    return (
        select(Record)
        .outerjoin(CASE_OF)
        .where(Record.type == "case")
        .options(
            contains_eager(CASE_OF).options(lazyload(Case.record), load_only(*_CASE_SHOWN)),
            *_named(),
        )
    )


# What a line of a list can show of a case; its long texts stay in the database.
_CASE_SHOWN = (Case.nature, Case.urgency, Case.channel, Case.product_text, Case.serial_text)


def _named() -> tuple[Any, ...]:
    """Bring the names of whom and what a record belongs to, and nothing else of them."""
    return (
        joinedload(Record.customer).load_only(Customer.name),
        joinedload(Record.assignee).load_only(User.name),
        joinedload(Record.unit).load_only(Unit.name),
    )


@cache
def _all_records() -> Select[Any]:
    return select(Record).options(*_named())


def _records() -> Select[Any]:
    return _all_records().where(*read_by_some(units_where("case.view")))


# --- bulk actions ----------------------------------------------------------------------------


def _fields_of(name: str) -> Callable[[], Sequence[Field]]:
    return lambda: with_staff(CASE_WORKFLOW.transitions[name].fields)


def with_staff(fields: Sequence[Field], unit_id: int | None = None) -> list[Field]:
    """Fill the pickers of people with the staff of a unit (the current one by default)."""
    if not any(one.kind == "user" for one in fields):
        return list(fields)
    staff = [(str(user_id), name) for user_id, name in staff_names(unit_id or g.unit.id)]
    return [replace(one, choices=staff) if one.kind == "user" else one for one in fields]


def _perform(name: str) -> Callable[[Record, dict[str, Any]], object]:
    return lambda row, values: perform(row.id, name, values)


def _bulk(name: str, permission: str, confirm: Any = "") -> BulkAction:
    step = CASE_WORKFLOW.transitions[name]
    return BulkAction(name, step.label, _perform(name), permission, confirm, _fields_of(name))


CASES = ListSpec(
    name="cases",
    title=_l("Cases"),
    model=Record,
    columns=(
        NUMBER,
        TITLE,
        CUSTOMER,
        STATE,
        ListColumn("nature", _l("Nature"), _case_word(vocabulary.NATURES, "nature"), visible=False),
        ListColumn("urgency", _l("Urgency"), _case_word(vocabulary.URGENCIES, "urgency"), visible=False),
        ASSIGNEE,
        DUE,
        MARKS,
        RECEIVED,
        ListColumn("channel", _l("Channel"), _case_word(vocabulary.CHANNELS, "channel"), visible=False),
        ListColumn("product", _l("Product model"), lambda row: row.case.product_text, visible=False, card="hide"),
        ListColumn("serial", _l("Serial number"), lambda row: row.case.serial_text, "code", visible=False),
        UNIT,
        CLOSED_AT,
    ),
    orderings=ORDERINGS,
    filters=(
        _CATEGORY,
        Filter("state", _l("State"), "choice", among(Record.state), lambda: words.state_choices(("case",))),
        Filter("nature", _l("Nature"), "choice", among(Case.nature), vocabulary.NATURES),
        Filter("urgency", _l("Urgency"), "choice", among(Case.urgency), vocabulary.URGENCIES),
        Filter("channel", _l("Channel"), "choice", among(Case.channel), vocabulary.CHANNELS),
        _ASSIGNEES,
        _UNITS,
        _RECEIVED,
        _BY_CLAUSE,
        *_MARKS,
    ),
    quick=QUICK,
    actions=(
        _bulk("assign", "case.assign"),
        _bulk("classify", "case.classify"),
        _bulk("cancel", "case.cancel"),
        print_action("case", PRINT),
        label_action(),
    ),
    search=_find_cases,
    search_hint=_l("Number, problem, customer or part of a phone"),
    base=_cases,
    prepare=_note_provisional,
    row_tone=lambda row: "bad" if row.is_open and row.next_due_at and row.next_due_at < clock.now() else "",
    empty=_l("No cases yet. Register the first one when a customer calls."),
)

RECORDS = ListSpec(
    name="records",
    title=_l("All records"),
    model=Record,
    columns=(
        NUMBER,
        ListColumn("type", _l("Kind of record"), words.type_label),
        TITLE,
        CUSTOMER,
        STATE,
        ASSIGNEE,
        DUE,
        MARKS,
        RECEIVED,
        UNIT,
        CLOSED_AT,
    ),
    orderings=ORDERINGS,
    filters=(
        Filter("type", _l("Kind of record"), "choice", among(Record.type), words.type_choices),
        _CATEGORY,
        _ASSIGNEES,
        _UNITS,
        _RECEIVED,
        _BY_CLAUSE,
        *_MARKS,
    ),
    quick=tuple(one for one in QUICK if one.key != "unconfirmed"),
    actions=(label_action(),),
    search=_find_records,
    search_hint=_l("Number, problem, customer or part of a phone"),
    base=_records,
    prepare=_note_provisional,
    empty=_l("No records yet."),
)

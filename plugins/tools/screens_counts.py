"""Lists of counts, of the care of tools, of what is due and of what is beyond its life; the tiles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import OPEN_CATEGORIES, Record, Tile, current_scope, label_of, local_day, session
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

from . import care, counts, custody, kinds, parties, values
from .models import Count, Party, Service, Tool
from .rights import DECIDE, KEEP, MAINTAIN, VIEW

PLUGIN = "tools"
CAP = 99
_TONES = {values.COUNTING: "info", values.COUNTED: "warn", values.CLOSED: "good"}


def record_url(record_id: int) -> str:
    """Return the address of a record's page."""
    return page_url("record.page", record_id=record_id)


def _tool_url(tool: Tool) -> str:
    return record_url(tool.id)


# --- counts ------------------------------------------------------------------------------------------


def count_url(count: Count) -> str:
    """Return where a count is worked at: the counting page while it is open, for who may count; else its record."""
    if count.record.state == values.COUNTING and current_scope().may(KEEP, count.unit_id):
        return url_for("tools.count", record_id=count.id)
    return record_url(count.id)


def _state(count: Count) -> tuple[Any, str]:
    return label_of(values.COUNT_STATES, count.record.state), _TONES.get(count.record.state, "neutral")


def _counts() -> Select[Any]:
    return select(Count).join(Count.record).options(contains_eager(Count.record), joinedload(Count.party))


def _names(rows: Sequence[Count]) -> None:
    """Read who counted and checked, and what the parties of a page are called, in two statements."""
    people = {one for row in rows for one in (row.keeper_by, row.manager_by) if one is not None}
    g.tools_count_people = parties.user_names(people)
    g.tools_count_parties = parties.party_names({row.party.id: row.party for row in rows}.values())


def _person(user_id: int | None) -> str:
    return g.tools_count_people.get(user_id, "") if user_id is not None else ""


def _by_party(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    numbered = Record.number == text.upper()
    return statement.join(Count.party).where(or_(numbered, Party.name.startswith(text, autoescape=True)))


COUNTS = ListSpec(
    name="tools.counts",
    title=_l("Counts of tools"),
    model=Count,
    base=_counts,
    columns=(
        ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=count_url, card="title"),
        ListColumn("state", _l("State"), _state, "badge", card="badge", export=lambda c: str(_state(c)[0])),
        ListColumn("party", _l("What is counted"), lambda c: g.tools_count_parties[c.party_id]),
        ListColumn("begun", _l("Begun at"), lambda c: c.begun_at, "moment", order="newest"),
        ListColumn("keeper", _l("Counted and signed by"), lambda c: _person(c.keeper_by)),
        ListColumn("manager", _l("Checked and signed by"), lambda c: _person(c.manager_by)),
        ListColumn("checked", _l("Checked at"), lambda c: c.manager_at, "moment"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Count.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.COUNT_STATES),
        Filter("begun", _l("Begun at"), "dates", between(Count.begun_at)),
    ),
    quick=(
        QuickFilter("open", _l("Being counted"), lambda s, _c: s.where(Record.state == values.COUNTING)),
        QuickFilter("to_check", _l("To be checked"), lambda s, _c: s.where(Record.state == values.COUNTED)),
    ),
    search=_by_party,
    search_hint=_l("Number, or beginning of the name"),
    prepare=_names,
    empty=_l("Nothing was counted yet. Begin with the tool store; scan what is there."),
)


class CountScreen(ListScreen):
    """Counts of stores and of people's tools."""

    plugin = PLUGIN
    model = Count
    permission = VIEW
    export_permission = VIEW
    icon = "list"
    create_label = _l("Begin a count")

    def list_spec(self) -> ListSpec:
        return COUNTS

    def create_url(self) -> str:
        return url_for("tools.count_new") if current_scope().may(KEEP, g.unit.id) else ""

    def row_url(self, row: Any) -> str:
        return count_url(row)


# --- care ----------------------------------------------------------------------------------------------


def _sound(row: Service) -> tuple[Any, str]:
    return (_l("Sound"), "good") if row.sound else (_l("Not sound"), "bad")


def _services() -> Select[Any]:
    return select(Service).join(Service.tool).options(contains_eager(Service.tool).lazyload(Tool.record))


def _of_tool(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(or_(Tool.code == text.upper(), Tool.name.startswith(text, autoescape=True)))


def _url_of_tool(row: Service) -> str:
    return _tool_url(row.tool)


CARE = ListSpec(
    name="tools.care",
    title=_l("Care of tools"),
    model=Service,
    base=_services,
    columns=(
        ListColumn(
            "tool", _l("Tool number"), lambda s: s.tool.code, "code", link=lambda s: _tool_url(s.tool), card="title"
        ),
        ListColumn("name", _l("Tool"), lambda s: s.tool.name),
        ListColumn("what", _l("What was done to it"), lambda s: label_of(values.SERVICES, s.what)),
        ListColumn("sound", _l("Result"), _sound, "badge", card="badge", export=lambda s: str(_sound(s)[0])),
        ListColumn("done", _l("Done on"), lambda s: s.done_on, "date"),
        ListColumn("by", _l("Done by"), lambda s: s.by),
        ListColumn("certificate", _l("Certificate"), lambda s: s.certificate),
        ListColumn("cost", _l("Cost"), lambda s: s.cost, "money"),
        ListColumn("next", _l("Next one"), lambda s: s.next_on, "date"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Service.id,)),),
    filters=(
        Filter("what", _l("What was done to it"), "choice", among(Service.what), values.SERVICES),
        Filter("done", _l("Done on"), "dates", between(Service.done_on)),
    ),
    quick=(QuickFilter("unsound", _l("Not sound"), lambda s, _c: s.where(~Service.sound)),),
    search=_of_tool,
    search_hint=_l("Number of the tool, or beginning of its name"),
    empty=_l("Nothing entered yet. Maintenance and calibration are entered on the page of a tool."),
)


class CareScreen(ListScreen):
    """What was done to tools: maintenance, calibration, overhaul, repair."""

    plugin = PLUGIN
    model = Service
    permission = VIEW
    export_permission = VIEW
    icon = "wrench"

    def list_spec(self) -> ListSpec:
        return CARE

    def row_url(self, row: Any) -> str:
        return _tool_url(row.tool)


def _due(column: Any) -> Select[Any]:
    return (
        select(Tool)
        .join(Tool.record)
        .where(column.is_not(None), Record.category.in_(OPEN_CATEGORIES))
        .options(contains_eager(Tool.record), joinedload(Tool.kind), joinedload(Tool.maintainer))
    )


def _mine(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Tool.maintainer_id == context.actor_id)


def _soon(column: Any) -> Any:
    return lambda statement, context: statement.where(column <= context.today() + timedelta(days=care.SOON_DAYS))


def _over(column: Any) -> Any:
    return lambda statement, context: statement.where(column < context.today())


def _with_holders(rows: Sequence[Tool]) -> None:
    spells = custody.spells(row.id for row in rows)
    names = parties.party_names({one.party.id: one.party for one in spells.values()}.values())
    g.tools_holding = {tool_id: names[one.party_id] for tool_id, one in spells.items()}


def _holder(tool: Tool) -> Any:
    return g.tools_holding.get(tool.id, "")


def _late(name: str) -> Any:
    return lambda tool: "bad" if getattr(tool, name) < local_day(tool.unit_id) else ""


def _due_spec(name: str, title: Any, column: Any, label: Any, empty: Any) -> ListSpec:
    """Lists of what is due have the same columns; they differ in the day they go by."""
    attribute = column.key
    return ListSpec(
        name=name,
        title=title,
        model=Tool,
        base=lambda: _due(column),
        columns=(
            ListColumn("code", _l("Tool number"), lambda t: t.code, "code", link=_tool_url, card="title"),
            ListColumn("name", _l("Tool"), lambda t: t.name),
            ListColumn("kind", _l("Kind of tool"), lambda t: kinds.kind_label(t.kind)),
            ListColumn("due", label, lambda t: getattr(t, attribute), "date", order="due"),
            ListColumn("holder", _l("Held by"), _holder),
            ListColumn("maintainer", _l("Maintainer"), lambda t: t.maintainer.name if t.maintainer else ""),
        ),
        orderings=(Ordering("due", _l("Due first"), (column, Tool.id), descending=False),),
        filters=(Filter("due", label, "dates", between(column)),),
        quick=(
            QuickFilter("soon", _l("Due within 30 days"), _soon(column)),
            QuickFilter("over", _l("Overdue"), _over(column)),
            QuickFilter("mine", _l("Mine"), _mine),
        ),
        search=_of_tool,
        search_hint=_l("Number of the tool, or beginning of its name"),
        row_tone=_late(attribute),
        prepare=_with_holders,
        empty=empty,
    )


MAINTENANCE_DUE = _due_spec(
    "tools.maintenance_due",
    _l("Maintenance due"),
    Tool.maintain_on,
    _l("Next maintenance"),
    _l("No maintenance is planned. Give kinds of tools an interval."),
)
CALIBRATION_DUE = _due_spec(
    "tools.calibration_due",
    _l("Calibration due"),
    Tool.calibrate_on,
    _l("Calibrated until"),
    _l("No tool here needs calibration."),
)


class _ToolList(ListScreen):
    plugin = PLUGIN
    model = Tool
    permission = VIEW
    export_permission = VIEW
    icon = "clock"

    def row_url(self, row: Any) -> str:
        return _tool_url(row)


class MaintenanceDueScreen(_ToolList):
    """Tools by the day of their next maintenance."""

    def list_spec(self) -> ListSpec:
        return MAINTENANCE_DUE


class CalibrationDueScreen(_ToolList):
    """Instruments by the last day their calibration holds."""

    def list_spec(self) -> ListSpec:
        return CALIBRATION_DUE


# --- beyond its life -------------------------------------------------------------------------------------


def _old() -> Select[Any]:
    return (
        select(Tool)
        .join(Tool.record)
        .join(Tool.kind)
        .where(Record.category.in_(OPEN_CATEGORIES), Record.state != values.RETIRED)
        .where(care.beyond_life(g.unit.id))
        .options(contains_eager(Tool.record), contains_eager(Tool.kind))
    )


def _tool_state(tool: Tool) -> tuple[Any, str]:
    tones = {values.IN_STORE: "good", values.DEFECTIVE: "bad", values.LOST: "bad"}
    return label_of(values.TOOL_STATES, tool.record.state), tones.get(tool.record.state, "info")


def _over_since(tool: Tool) -> date | None:
    return care.life_ends(tool)


OLD = ListSpec(
    name="tools.old",
    title=_l("Beyond its service life"),
    model=Tool,
    base=_old,
    columns=(
        ListColumn("code", _l("Tool number"), lambda t: t.code, "code", link=_tool_url, card="title"),
        ListColumn("name", _l("Tool"), lambda t: t.name),
        ListColumn("kind", _l("Kind of tool"), lambda t: kinds.kind_label(t.kind)),
        ListColumn(
            "state", _l("State"), _tool_state, "badge", card="badge", export=lambda t: str(_tool_state(t)[0])
        ),
        ListColumn("bought", _l("Bought on"), lambda t: t.bought_on, "date"),
        ListColumn("over", _l("Service life ended on"), _over_since, "date"),
        ListColumn("holder", _l("Held by"), _holder),
        ListColumn("price", _l("Price"), lambda t: t.price, "money", visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Tool.id,)),),
    filters=(Filter("state", _l("State"), "choice", among(Record.state), values.TOOL_STATES),),
    search=_of_tool,
    search_hint=_l("Number of the tool, or beginning of its name"),
    prepare=_with_holders,
    empty=_l("No tool in use is beyond its service life."),
)


class OldScreen(_ToolList):
    """The review of what is to be renewed (R33-8.1)."""

    icon = "refresh"

    def list_spec(self) -> ListSpec:
        return OLD


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        CountScreen(name=COUNTS.title, endpoint="tools_counts", url="tools/counts"),
        MaintenanceDueScreen(
            name=MAINTENANCE_DUE.title, endpoint="tools_maintenance_due", url="tools/maintenance-due"
        ),
        CalibrationDueScreen(
            name=CALIBRATION_DUE.title, endpoint="tools_calibration_due", url="tools/calibration-due"
        ),
        CareScreen(name=CARE.title, endpoint="tools_care", url="tools/care"),
        OldScreen(name=OLD.title, endpoint="tools_old", url="tools/old"),
    ]


# --- the dashboard -----------------------------------------------------------------------------------------


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard: counts to go on with and to check, care that is due."""
    scope, found = current_scope(), []
    if scope.may(KEEP, unit.id):
        url = url_for("tools_counts.index_view", quick="open")
        found.append(Tile("tools_counting", _l("Counts under way"), _open(unit.id, values.COUNTING), url, "warn"))
    if scope.may(DECIDE, unit.id):
        url = url_for("tools_counts.index_view", quick="to_check")
        found.append(Tile("tools_to_check", _l("Counts to check"), _open(unit.id, values.COUNTED), url, "warn"))
    if scope.may(MAINTAIN, unit.id):
        found += _care_tiles(unit.id)
    return [one for one in found if one.value]


def _open(unit_id: int, state: str) -> int:
    wanted = select(Record.id).where(Record.unit_id == unit_id, Record.type == counts.CODE, Record.state == state)
    return _capped(wanted)


def _care_tiles(unit_id: int) -> list[Tile]:
    made, today = [], local_day(unit_id)
    for code, title, column, endpoint in (
        ("tools_maintain", _l("Maintenance overdue"), Tool.maintain_on, "tools_maintenance_due"),
        ("tools_calibrate", _l("Calibration run out"), Tool.calibrate_on, "tools_calibration_due"),
    ):
        wanted = select(Tool.id).join(Tool.record).where(Tool.unit_id == unit_id, column < today)
        number = _capped(wanted.where(Record.category.in_(OPEN_CATEGORIES)))
        made.append(Tile(code, title, number, url_for(f"{endpoint}.index_view", quick="over"), "bad"))
    return made


def _capped(wanted: Select[Any]) -> int:
    some = wanted.limit(CAP).subquery()
    return int(session().scalar(select(func.count()).select_from(some)) or 0)

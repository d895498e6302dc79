"""The keeper's desk, one's own tools and people's cards: entries of the menu, and numbers for the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Record, Tile, clock, current_scope, session
from core.sdk_web import ListColumn, ListContext, ListScreen, ListSpec, Ordering, QuickFilter, Screen

from . import custody, handovers, values
from .models import Custody, Party, Tool
from .parties import party_name, party_names
from .rights import KEEP, OWN, VIEW

PLUGIN = "tools"
CAP = 99


class _Door(Screen):
    """An entry of the menu that leads to a page of the plugin, and stays marked on it."""

    plugin = PLUGIN
    page = ""
    pages: tuple[str, ...] = ()

    def is_active(self) -> bool:
        return request.endpoint in self.pages

    @expose("/")
    def index(self) -> ResponseReturnValue:
        """Lead to the page."""
        return redirect(url_for(self.page))


class DeskScreen(_Door):
    permission = KEEP
    icon = "scan"
    on_bottom_bar = True
    page, pages = "tools.desk", ("tools.desk", "tools.desk_mode")


class OwnScreen(_Door):
    permission = OWN
    icon = "wrench"
    on_bottom_bar = True
    page, pages = "tools.own", ("tools.own",)


# --- people's cards ------------------------------------------------------------------------------


def card_url(party: Party) -> str:
    """Return the address of a person's card."""
    return url_for("tools.card", user_id=party.user_id)


def _people() -> Select[Any]:
    return select(Party).where(Party.kind == values.PERSON).options(joinedload(Party.user))


def _named(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(Party.name.startswith(text, autoescape=True))


def _count_held(rows: Sequence[Party]) -> None:
    """Count what the people of a page hold and what of it is late, in one select."""
    late = func.sum(case((Tool.due_at < clock.now(), 1), else_=0))
    wanted = (
        select(Custody.party_id, func.count(), late)
        .join(Tool, Tool.id == Custody.tool_id)
        .where(Custody.party_id.in_([row.id for row in rows]), Custody.ends_at.is_(None))
        .group_by(Custody.party_id)
        .execution_options(**custody.NARROW)
    )
    g.tools_held = {row[0]: (row[1], row[2] or 0) for row in session().execute(wanted)}


def _held(party: Party) -> int:
    found: tuple[int, int] = g.tools_held.get(party.id, (0, 0))
    return found[0]


def _late(party: Party) -> int:
    found: tuple[int, int] = g.tools_held.get(party.id, (0, 0))
    return found[1]


PEOPLE = ListSpec(
    name="tools.people",
    title=_l("People's tools"),
    model=Party,
    base=_people,
    columns=(
        ListColumn("name", _l("Employee"), party_name, link=card_url, card="title"),
        ListColumn("held", _l("Tools held"), _held, "number"),
        ListColumn("late", _l("Not back in time"), _late, "number"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Party.id,)),),
    search=_named,
    search_hint=_l("Beginning of the name"),
    prepare=_count_held,
    empty=_l("Nobody has held a tool here so far."),
)


def _tool_url(tool: Tool) -> str:
    return url_for("record.page", record_id=tool.id)


def _with_holders(rows: Sequence[Tool]) -> None:
    spells = custody.spells(row.id for row in rows)
    names = party_names([one.party for one in spells.values()])
    g.tools_holders = {tool_id: names[one.party_id] for tool_id, one in spells.items()}


def _holder(tool: Tool) -> Any:
    return g.tools_holders.get(tool.id, "")


def _lent() -> Select[Any]:
    wanted = select(Tool).join(Tool.record).where(Tool.due_at.is_not(None), Record.state == values.ON_LOAN)
    return wanted.options(contains_eager(Tool.record))


LOANS = ListSpec(
    name="tools.loans",
    title=_l("Loans"),
    model=Tool,
    base=_lent,
    columns=(
        ListColumn("code", _l("Tool number"), lambda t: t.code, "code", link=_tool_url, card="title"),
        ListColumn("name", _l("Name"), lambda t: t.name),
        ListColumn("holder", _l("Held by"), _holder),
        ListColumn("since", _l("Since"), lambda t: t.lent_at, "moment"),
        ListColumn("due", _l("Back by"), lambda t: t.due_at, "moment", order="due"),
    ),
    orderings=(Ordering("due", _l("Due first"), (Tool.due_at, Tool.id), descending=False),),
    quick=(QuickFilter("late", _l("Not back in time"), lambda s, _c: s.where(Tool.due_at < clock.now())),),
    row_tone=lambda t: "bad" if t.due_at < clock.now() else "",
    prepare=_with_holders,
    empty=_l("Nothing is on loan."),
)


class LoanScreen(ListScreen):
    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "clock"

    def list_spec(self) -> ListSpec:
        return LOANS

    def row_url(self, row: Any) -> str:
        return _tool_url(row)


class PeopleScreen(ListScreen):
    plugin = PLUGIN
    permission = VIEW
    export_permission = VIEW
    icon = "users"

    def list_spec(self) -> ListSpec:
        return PEOPLE

    def row_url(self, row: Any) -> str:
        return card_url(row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        OwnScreen(name=_l("My tools"), endpoint="tools_own", url="tools/own"),
        DeskScreen(name=_l("Keeper's desk"), endpoint="tools_desk", url="tools/desk"),
        PeopleScreen(name=PEOPLE.title, endpoint="tools_people", url="tools/people"),
        LoanScreen(name=LOANS.title, endpoint="tools_loans", url="tools/loans"),
    ]


# --- the dashboard -------------------------------------------------------------------------------


def tiles(unit: Any, actor_id: int) -> list[Tile]:
    """Return the numbers for one person's dashboard."""
    scope = current_scope()
    found: list[Tile] = []
    if scope.may(OWN, unit.id):
        found += _own_tiles(unit.id, actor_id)
    if scope.may(KEEP, unit.id):
        waiting = len(handovers.waiting_for_stores(unit.id, CAP))
        desk_url = url_for("tools.desk")
        found.append(Tile("tools_store", _l("Hand-overs that wait for the store"), waiting, desk_url, "warn"))
    if scope.may(VIEW, unit.id):
        late = _count(_overdue(unit.id))
        late_url = url_for("tools_loans.index_view", quick="late")
        found.append(Tile("tools_late", _l("Tools not back in time"), late, late_url, "bad"))
    return [one for one in found if one.value]


def _own_tiles(unit_id: int, actor_id: int) -> list[Tile]:
    url = url_for("tools.own")
    mine = _overdue(unit_id).join(Custody, Custody.tool_id == Tool.id).join(Party, Party.id == Custody.party_id)
    mine = mine.where(Custody.ends_at.is_(None), Party.user_id == actor_id, Party.kind == values.PERSON)
    return [
        Tile(
            "tools_confirm",
            _l("Tools to be confirmed by me"),
            len(handovers.waiting_for(actor_id, unit_id, CAP)),
            url,
            "warn",
        ),
        Tile("tools_mine_late", _l("Tools I have to bring back"), _count(mine), url, "bad"),
    ]


def _overdue(unit_id: int) -> Select[Any]:
    """Select the tools of a unit that should be back by now."""
    late = Tool.unit_id == unit_id, Tool.due_at.is_not(None), Tool.due_at < clock.now()
    return select(Tool.id).join(Record, Record.id == Tool.id).where(*late, Record.state == values.ON_LOAN)


def _count(found: Select[Any]) -> int:
    some = found.limit(CAP).subquery()
    return int(session().scalar(select(func.count()).select_from(some)) or 0)

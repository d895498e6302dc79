"""Screens of the file: the tools."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    Record,
    Refused,
    User,
    clock,
    label_of,
    label_uid,
    perform,
    search,
    session,
)
from core.sdk_web import (
    BulkAction,
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    label_action,
    page_url,
)

from . import custody, file, flow, forms, holders, kinds, parties, screens_file, values
from .models import Custody, Kind, Party, Tool
from .rights import KEEP, VIEW

SEARCH_LIMIT, MOST_HELD = 500, 5000
SOON_DAYS = 14
TONES = {
    values.NEW: "info",
    values.IN_STORE: "good",
    values.ON_LOAN: "warn",
    values.IN_REPAIR: "paused",
    values.DEFECTIVE: "bad",
    values.LOST: "bad",
}
_HELD = "_held_now"


def tool_url(row: Tool) -> str:
    """Return the address of a tool's page, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(state: str) -> tuple[Any, str]:
    """Return (label, tone) of a tool's state."""
    return label_of(values.TOOL_STATES, state), TONES.get(state, "neutral")


def _base() -> Select[Any]:
    loaded = contains_eager(Tool.record), joinedload(Tool.kind), joinedload(Tool.place)
    return select(Tool).join(Tool.record).options(*loaded)


def _note_holders(rows: Sequence[Any]) -> None:
    """Read who holds the tools of a page, and what they are called, in two statements."""
    held = custody.spells([row.id for row in rows])
    names = parties.party_names([one.party for one in held.values()])
    for row in rows:
        spell = held.get(row.id)
        row.__dict__[_HELD] = (spell, names.get(spell.party_id, "") if spell else "")


def _holder(row: Tool) -> Any:
    return row.__dict__.get(_HELD, (None, ""))[1]


def _since(row: Tool) -> Any:
    spell = row.__dict__.get(_HELD, (None, ""))[0]
    return spell.starts_at if spell is not None else None


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    """By the words of the search index, or the link of a label that was scanned."""
    uid = label_uid(forms.as_scanned(text))
    if uid is not None:
        return statement.where(Record.uid == uid)
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, flow.CODE, text, SEARCH_LIMIT)
    return statement.where(Tool.id.in_([one.entity_id for one in found]))


def _held_by(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    """Held by a person (name or user name), store, department or repairer of this name."""
    words = (Party.name, User.name, User.username)
    wanted = (
        select(Party.id, Party.kind)
        .outerjoin(User, User.id == Party.user_id)
        .where(or_(*(one.contains(text, autoescape=True) for one in words)))
        .where(or_(Party.kind == values.PERSON, Party.name.contains(text, autoescape=True)))
    )
    found = {row.id: row.kind for row in session().execute(wanted.limit(SEARCH_LIMIT))}
    if set(found.values()) - {values.PERSON}:
        return _with(statement, list(found))
    held = select(Custody.tool_id).where(Custody.party_id.in_(list(found)), Custody.ends_at.is_(None))
    held = held.order_by(Custody.tool_id.desc()).limit(MOST_HELD).execution_options(**custody.NARROW)
    return statement.where(Tool.id.in_(list(session().scalars(held))))


def _in_store(statement: Select[Any], ids: Any, _context: ListContext) -> Select[Any]:
    return _with(statement, [int(one) for one in ids])


def _with(statement: Select[Any], party_ids: Sequence[int]) -> Select[Any]:
    """Narrow to what parties hold, tool by tool: a store has so many that a page of the newest is soon full."""
    held = select(Custody.id).where(Custody.tool_id == Tool.id, Custody.ends_at.is_(None))
    return statement.where(held.where(Custody.party_id.in_(party_ids)).exists())


def _of_kind(statement: Select[Any], ids: Any, _context: ListContext) -> Select[Any]:
    return statement.where(Tool.kind_id.in_([int(one) for one in ids]))


def _of_category(statement: Select[Any], codes: Any, _context: ListContext) -> Select[Any]:
    return statement.where(Tool.kind_id.in_(select(Kind.id).where(Kind.category.in_(codes))))


def _due(column: Any, days: int) -> Any:
    def narrow(statement: Select[Any], context: ListContext) -> Select[Any]:
        last = context.today() + timedelta(days=days)
        return statement.where(column <= last, Record.category == "open")

    return narrow


def _overdue(statement: Select[Any], _context: ListContext) -> Select[Any]:
    return statement.where(Tool.due_at < clock.now(), Record.state == values.ON_LOAN)


def _accept(row: Tool, given: dict[str, Any]) -> None:
    """A delivery is inspected together: one word for all that is chosen."""
    perform(row.id, "accept", given)


def _accept_fields() -> Sequence[Field]:
    return flow.WORKFLOW.transitions["accept"].fields


def _kind_choices() -> Choices:
    return kinds.kind_choices(g.unit.id, counted=False)


TOOLS = ListSpec(
    name="tools.tools",
    title=_l("Tools on file"),
    model=Tool,
    base=_base,
    prepare=_note_holders,
    columns=(
        ListColumn("code", _l("Tool number"), lambda t: t.code, "code", "code", link=tool_url),
        ListColumn("name", _l("Name"), lambda t: t.name, link=tool_url, card="title"),
        ListColumn("state", _l("State"), lambda t: state_badge(t.record.state), "badge", card="badge"),
        ListColumn("kind", _l("Kind of tool"), lambda t: kinds.kind_label(t.kind)),
        ListColumn("model", _l("Brand and model"), lambda t: t.model, card="hide"),
        ListColumn("holder", _l("Held by"), _holder),
        ListColumn("since", _l("Held since"), _since, "moment", visible=False),
        ListColumn("place", _l("Place"), lambda t: t.place.name if t.place else ""),
        ListColumn("due", _l("Back by"), lambda t: t.due_at, "moment", "due"),
        ListColumn(
            "asset",
            _l("Asset class"),
            lambda t: label_of(values.ASSET_CLASSES, t.asset_class),
            card="hide",
            visible=False,
        ),
        ListColumn("price", _l("Price"), lambda t: t.price, "money", card="hide", visible=False),
        ListColumn("bought_on", _l("Bought on"), lambda t: t.bought_on, "date", card="hide", visible=False),
        ListColumn("maintain_on", _l("Next maintenance"), lambda t: t.maintain_on, "date", "maintain", card="hide"),
        ListColumn(
            "calibrate_on", _l("Calibrated until"), lambda t: t.calibrate_on, "date", "calibrate", card="hide"
        ),
        ListColumn("serial", _l("Serial number"), lambda t: t.serial, "code", card="hide", visible=False),
        ListColumn("supplier", _l("Supplier"), lambda t: t.supplier, card="hide", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Tool.id,)),
        Ordering("code", _l("By number"), (Tool.code, Tool.id), descending=False),
        Ordering("due", _l("Back soonest"), (Tool.due_at, Tool.id), False, Tool.due_at.is_not(None)),
        Ordering(
            "maintain", _l("Maintained soonest"), (Tool.maintain_on, Tool.id), False, Tool.maintain_on.is_not(None)
        ),
        Ordering(
            "calibrate",
            _l("Calibrated soonest"),
            (Tool.calibrate_on, Tool.id),
            False,
            Tool.calibrate_on.is_not(None),
        ),
    ),
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), values.TOOL_STATES),
        Filter("kind", _l("Kind of tool"), "choice", _of_kind, _kind_choices),
        Filter("category", _l("Category"), "choice", _of_category, values.CATEGORIES),
        Filter("holder", _l("Held by"), "text", _held_by),
        Filter("store", _l("In the store"), "choice", _in_store, screens_file.store_choices),
        Filter("asset", _l("Asset class"), "choice", among(Tool.asset_class), values.ASSET_CLASSES),
    ),
    quick=(
        QuickFilter("open", _l("On the books"), lambda s, _c: s.where(Record.category == "open")),
        QuickFilter("new", _l("To be inspected"), lambda s, _c: s.where(Record.state == values.NEW)),
        QuickFilter("overdue", _l("Not back in time"), _overdue),
        QuickFilter("maintain", _l("Maintenance due"), _due(Tool.maintain_on, SOON_DAYS)),
        QuickFilter("calibrate", _l("Calibration due"), _due(Tool.calibrate_on, SOON_DAYS)),
        QuickFilter(
            "trouble",
            _l("Defective or lost"),
            lambda s, _c: s.where(Record.state.in_((values.DEFECTIVE, values.LOST))),
        ),
    ),
    actions=(
        label_action("tools.tool", VIEW),
        BulkAction("accept", _l("Accept by inspection"), _accept, permission=KEEP, fields=_accept_fields),
    ),
    search=_find,
    search_hint=_l("Number, name, serial number, or scan the label"),
    empty=_l("No tools on file yet. Register the first one, or take a list in."),
)


class ToolView(UnitModelView):
    """Tools: list, registration, correction; the page of each is its record's."""

    plugin = screens_file.PLUGIN
    title = _l("Tools on file")
    icon = "case"
    create_label = _l("Register a tool")
    permission = VIEW
    create_permission = KEEP
    edit_permission = KEEP
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return TOOLS

    def row_url(self, row: Any) -> str:
        return tool_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        unit_id = g.unit.id if row is None else row.unit_id
        offered: dict[str, Choices] = {
            "kind": kinds.kind_choices(unit_id, counted=False),
            "maintainer": forms.staff_choices(unit_id),
        }
        if row is not None:
            held = (str(row.kind_id), kinds.kind_label(row.kind))
            offered["kind"] = screens_file.also(offered["kind"], held)
            if row.maintainer is not None:
                offered["maintainer"] = screens_file.also(
                    offered["maintainer"], (str(row.maintainer_id), row.maintainer.name)
                )
            return screens_file.with_chosen(file.EDIT_FIELDS, offered)
        offered |= {"store": holders.store_choices(unit_id), "place": holders.place_choices(unit_id)}
        return screens_file.with_chosen(file.FIELDS, offered)

    def form_values(self, row: Any) -> dict[str, Any]:
        held = {one.name: getattr(row, one.name) for one in file.PLAIN_FIELDS if one.name != "maintainer"}
        maintainer = str(row.maintainer_id) if row.maintainer_id else ""
        return {**held, "code": row.code, "kind": str(row.kind_id), "maintainer": maintainer}

    def new_values(self) -> dict[str, Any]:
        stores = holders.store_choices(g.unit.id)
        return {"kind": request.args.get("kind", ""), "store": stores[0][0] if len(stores) == 1 else ""}

    def create(self, values: dict[str, Any]) -> Any:
        return _tool_of(file.register(g.unit.id, values))

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            file.edit(row.record, values)
        except Refused as bad:
            raise InvalidData({"": bad.texts()}) from None

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the tool's record."""
        return redirect(tool_url(self.get_one(request.args.get("id"))))


def _tool_of(record: Record) -> Any:
    return file.get_tool(record.id)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        ToolView(Tool, endpoint="tools_tool", url="tools/tools"),
    ]

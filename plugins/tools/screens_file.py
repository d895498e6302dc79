"""Screens of the file: tools, kinds, sets, stores and permits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import aliased, contains_eager, joinedload

from core.sdk import (
    Choices,
    Field,
    InvalidData,
    NotFound,
    Record,
    Refused,
    User,
    clock,
    label_of,
    label_uid,
    perform,
    search,
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

from . import custody, file, flow, forms, holders, kinds, parties, permits, values
from .models import Custody, Kind, Kit, Party, Permit, Place, Tool
from .rights import DECIDE, KEEP, VIEW

PLUGIN = "tools"
SEARCH_LIMIT = 500
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


# --- tools ---------------------------------------------------------------------------------------


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
    held, party, user = aliased(Custody), aliased(Party), aliased(User)
    words = (party.name, user.name, user.username)
    mine = (
        select(held.tool_id)
        .join(party, party.id == held.party_id)
        .outerjoin(user, user.id == party.user_id)
        .where(held.ends_at.is_(None), or_(*(one.contains(text, autoescape=True) for one in words)))
        .where(or_(party.kind == values.PERSON, party.name.contains(text, autoescape=True)))
    )
    return statement.where(Tool.id.in_(mine))


def _in_store(statement: Select[Any], ids: Any, _context: ListContext) -> Select[Any]:
    keys = [int(one) for one in ids]
    held = select(Custody.tool_id).where(Custody.ends_at.is_(None), Custody.party_id.in_(keys))
    return statement.where(Tool.id.in_(held))


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


def _store_choices() -> Choices:
    return holders.store_choices(g.unit.id)


TOOLS = ListSpec(
    name="tools.tools",
    title=_l("Tools"),
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
        ListColumn("since", _l("Held since"), _since, "moment"),
        ListColumn("place", _l("Place"), lambda t: t.place.name if t.place else ""),
        ListColumn("due", _l("Back by"), lambda t: t.due_at, "moment", "due"),
        ListColumn(
            "asset", _l("Asset class"), lambda t: label_of(values.ASSET_CLASSES, t.asset_class), card="hide"
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
        Filter("store", _l("In the store"), "choice", _in_store, _store_choices),
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


def chosen(field: Field, choices: Choices, **more: Any) -> Field:
    """Return a field as a choice on a form."""
    return replace(field, kind="choice", choices=choices, **more)


def _with_chosen(fields: Sequence[Field], offered: Mapping[str, Choices]) -> list[Field]:
    return [chosen(one, offered[one.name]) if one.name in offered else one for one in fields]


class ToolView(UnitModelView):
    """Tools: list, registration, correction; the page of each is its record's."""

    plugin = PLUGIN
    title = _l("Tools")
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
            offered["kind"] = _also(offered["kind"], held)
            if row.maintainer is not None:
                offered["maintainer"] = _also(offered["maintainer"], (str(row.maintainer_id), row.maintainer.name))
            return _with_chosen(file.EDIT_FIELDS, offered)
        offered |= {"store": holders.store_choices(unit_id), "place": holders.place_choices(unit_id)}
        return _with_chosen(file.FIELDS, offered)

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


def _also(choices: Choices, one: tuple[str, Any]) -> Choices:
    """Return choices with what a row has now, though it is not offered to others any more."""
    return choices if one[0] in dict(choices) else [*choices, one]


# --- kinds and sets ------------------------------------------------------------------------------


def use_badge(row: Any) -> tuple[Any, str]:
    """Return (label, tone) of whether something is in use."""
    return (_l("In use"), "good") if row.active else (_l("No longer used"), "neutral")


def _in_use(column: Any) -> tuple[QuickFilter, QuickFilter]:
    return (
        QuickFilter("active", _l("In use"), lambda s, _c: s.where(column)),
        QuickFilter("ended", _l("No longer used"), lambda s, _c: s.where(~column)),
    )


KINDS = ListSpec(
    name="tools.kinds",
    title=_l("Kinds of tools"),
    model=Kind,
    columns=(
        ListColumn("name", _l("Name"), kinds.kind_label, link=lambda k: _details("tools_kind", k), card="title"),
        ListColumn("code", _l("Code"), lambda k: k.code, "code"),
        ListColumn("category", _l("Category"), lambda k: label_of(values.CATEGORIES, k.category)),
        ListColumn("price", _l("Usual price (yuan)"), lambda k: k.price, "money"),
        ListColumn("life", _l("Service life (months)"), lambda k: k.life_months, "number"),
        ListColumn("permit", _l("Needs a permit"), lambda k: k.needs_permit, "bool"),
        ListColumn("maintain", _l("Maintained every (months)"), lambda k: k.maintain_months or None, "number"),
        ListColumn("calibrate", _l("Calibrated every (months)"), lambda k: k.calibrate_months or None, "number"),
        ListColumn("active", _l("State"), use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Kind.id,)),),
    filters=(Filter("category", _l("Category"), "choice", among(Kind.category), values.CATEGORIES),),
    quick=_in_use(Kind.active),
    search=lambda s, text, _c: s.where(
        or_(*(one.contains(text, autoescape=True) for one in (Kind.name, Kind.name_en, Kind.code)))
    ),
    search_hint=_l("Number or name"),
)


def _details(endpoint: str, row: Any) -> str:
    return url_for(f"{endpoint}.details_view", id=row.id)


class FileView(UnitModelView):
    """A list of the file whose rows are put out of use by the form."""

    plugin = PLUGIN
    permission = VIEW
    create_permission = KEEP
    edit_permission = KEEP
    export_permission = VIEW

    def with_active(self, fields: Sequence[Field], row: Any | None) -> Sequence[Field]:
        return fields if row is None else (*fields, forms.ACTIVE)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        """Call the service that saves ``row``."""
        raise NotImplementedError

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            self.saved(row, values)
        except Refused as bad:
            raise InvalidData({"active": bad.texts()}) from None


class KindView(FileView):
    """Kinds of tools."""

    title = _l("Kinds of tools")
    icon = "columns"
    create_label = _l("New kind")
    delete_permission = KEEP
    details_template = "tools/file_kind.html"
    lookup_columns = (Kind.name, Kind.code)

    def list_spec(self) -> ListSpec:
        return KINDS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.with_active(kinds.KIND_FIELDS, row)

    def create(self, values: dict[str, Any]) -> Any:
        return kinds.save_kind(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        kinds.save_kind(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        kinds.delete_kind(row)

    def details(self, row: Any) -> dict[str, Any]:
        counted = row.category == values.CONSUMABLE
        return {
            **super().details(row),
            "badge": use_badge(row),
            "tools_url": "" if counted else page_url("tools_tool.index_view", f_kind=row.id),
            "new_url": page_url("tools_tool.create_view", kind=row.id)
            if row.active and not counted and self.allowed(KEEP, row)
            else "",
        }


KITS = ListSpec(
    name="tools.kits",
    title=_l("Tool sets"),
    model=Kit,
    columns=(
        ListColumn("name", _l("Name"), lambda k: k.name, link=lambda k: _details("tools_kit", k), card="title"),
        ListColumn("lines", _l("What belongs to it"), lambda k: k.__dict__.get("_said", "")),
        ListColumn("standard", _l("Standard set"), lambda k: k.standard, "bool"),
        ListColumn("active", _l("State"), use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Kit.id,)),),
    quick=_in_use(Kit.active),
    search=lambda s, text, _c: s.where(Kit.name.contains(text, autoescape=True)),
    search_hint=_l("Name"),
    prepare=lambda rows: _say_lines(rows),
)


def _say_lines(rows: Sequence[Any]) -> None:
    held = kinds.lines_of([row.id for row in rows])
    for row in rows:
        said = (f"{kinds.kind_label(one.kind)} × {one.quantity}" for one in held.get(row.id, ()))
        row.__dict__["_said"] = "、".join(said)


class KitView(FileView):
    """Sets of tools."""

    title = _l("Tool sets")
    icon = "columns"
    create_label = _l("New set")
    delete_permission = KEEP

    def list_spec(self) -> ListSpec:
        return KITS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return self.with_active(kinds.KIT_FIELDS, row)

    def form_values(self, row: Any) -> dict[str, Any]:
        lines = kinds.lines_text(kinds.lines_of([row.id]).get(row.id, []))
        return {"name": row.name, "standard": row.standard, "lines": lines, "active": row.active}

    def create(self, values: dict[str, Any]) -> Any:
        return kinds.save_kit(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        kinds.save_kit(row.unit_id, values, row)

    def delete(self, row: Any) -> None:
        kinds.delete_kit(row)


# --- stores, departments, repairers, places ----------------------------------------------------------


def _party_spec(kind: str, title: Any, endpoint: str, keeper: Any) -> ListSpec:
    def base() -> Select[Any]:
        named = joinedload(Party.user).load_only(User.name, User.username)
        return select(Party).where(Party.kind == kind).options(named)

    columns = [ListColumn("name", _l("Name"), lambda p: p.name, link=lambda p: _details(endpoint, p), card="title")]
    if keeper:
        columns.append(ListColumn("keeper", keeper, lambda p: p.user.name if p.user else ""))
    columns += [
        ListColumn("contact", _l("Contact"), lambda p: p.contact),
        ListColumn("active", _l("State"), use_badge, "badge", card="badge"),
    ]
    return ListSpec(
        name=f"tools.{kind}s",
        title=title,
        model=Party,
        base=base,
        columns=tuple(columns),
        orderings=(Ordering("newest", _l("Newest first"), (Party.id,)),),
        quick=_in_use(Party.active),
        search=lambda s, text, _c: s.where(Party.name.contains(text, autoescape=True)),
        search_hint=_l("Name"),
    )


STORES = _party_spec(values.STORE, _l("Tool stores"), "tools_store", _l("Keeper"))
DEPARTMENTS = _party_spec(values.DEPARTMENT, _l("Other departments"), "tools_department", _l("Signs for it"))
REPAIRERS = _party_spec(values.REPAIRER, _l("Repairers"), "tools_repairer", "")


class PartyView(FileView):
    """Holders of tools of one sort."""

    kind = ""
    spec: ListSpec
    fields: Sequence[Field] = ()
    icon = "users"
    details_template = "tools/file_party.html"

    def list_spec(self) -> ListSpec:
        return self.spec

    def get_one(self, id: Any) -> Any:
        row = super().get_one(id)
        if row.kind != self.kind:
            raise NotFound()
        return row

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        unit_id = g.unit.id if row is None else row.unit_id
        staff = forms.staff_choices(unit_id)
        if row is not None and row.user is not None:
            staff = _also(staff, (str(row.user_id), row.user.name))
        return self.with_active(_with_chosen(self.fields, {"user_id": staff}), row)

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "user_id": str(row.user_id) if row.user_id else ""}

    def details(self, row: Any) -> dict[str, Any]:
        return {
            **super().details(row),
            "badge": use_badge(row),
            "held": custody.balance(row.id),
            "tools_url": page_url("tools_tool.index_view", f_holder=row.name),
            "places": holders.places_of(row.id) if row.kind == values.STORE else [],
            "place_url": page_url("tools_place.create_view", store=row.id)
            if row.kind == values.STORE and row.active and self.allowed(KEEP, row)
            else "",
            "may_keep": self.allowed(KEEP, row),
        }


class StoreView(PartyView):
    """Tool stores with their keeper (R32-3.1) and places."""

    title = _l("Tool stores")
    create_label = _l("New store")
    kind, spec, fields = values.STORE, STORES, holders.STORE_FIELDS

    def create(self, values: dict[str, Any]) -> Any:
        return holders.save_store(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        holders.save_store(row.unit_id, values, row)


class DepartmentView(PartyView):
    """Other departments, which borrow."""

    title = _l("Other departments")
    create_label = _l("New department")
    kind, spec, fields = values.DEPARTMENT, DEPARTMENTS, holders.DEPARTMENT_FIELDS

    def create(self, values: dict[str, Any]) -> Any:
        return holders.save_department(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        holders.save_department(row.unit_id, values, row)


class RepairerView(PartyView):
    """Repairers."""

    title = _l("Repairers")
    create_label = _l("New repairer")
    kind, spec, fields = values.REPAIRER, REPAIRERS, holders.REPAIRER_FIELDS

    def create(self, values: dict[str, Any]) -> Any:
        return holders.save_repairer(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        holders.save_repairer(row.unit_id, values, row)


def _places() -> Select[Any]:
    return select(Place).options(joinedload(Place.store))


def _place_of_store(statement: Select[Any], ids: Any, _context: ListContext) -> Select[Any]:
    return statement.where(Place.store_id.in_([int(one) for one in ids]))


PLACES = ListSpec(
    name="tools.places",
    title=_l("Places in the stores"),
    model=Place,
    base=_places,
    columns=(
        ListColumn("name", _l("Name"), lambda p: p.name, link=lambda p: _details("tools_place", p), card="title"),
        ListColumn("store", _l("Tool store"), lambda p: p.store.name),
        ListColumn("active", _l("State"), use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Place.id,)),),
    filters=(Filter("store", _l("Tool store"), "choice", _place_of_store, _store_choices),),
    quick=_in_use(Place.active),
    search=lambda s, text, _c: s.where(Place.name.contains(text, autoescape=True)),
    search_hint=_l("Name"),
)


class PlaceView(FileView):
    """Shelves, cabinets and bays of the stores."""

    title = _l("Places in the stores")
    icon = "columns"
    create_label = _l("New place")

    def is_visible(self) -> bool:
        """Reached from the page of a store."""
        return False

    def list_spec(self) -> ListSpec:
        return PLACES

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        store, name = holders.PLACE_FIELDS
        if row is not None:
            return (name, forms.ACTIVE)
        return (chosen(store, holders.store_choices(g.unit.id)), name)

    def new_values(self) -> dict[str, Any]:
        return {"store": request.args.get("store", "")}

    def details(self, row: Any) -> dict[str, Any]:
        return {"facts": [(_l("Tool store"), row.store.name), *super().details(row)["facts"]]}

    def create(self, values: dict[str, Any]) -> Any:
        return holders.save_place(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        holders.save_place(row.unit_id, values, row)


# --- permits -------------------------------------------------------------------------------------


def _today() -> date:
    return clock.day_in(g.unit.timezone)


def permit_badge(row: Permit, today: date) -> tuple[Any, str]:
    """Return (label, tone) of whether a permit holds."""
    if permits.holds_on(row, today):
        return _l("Valid"), "good"
    if row.ended_on is not None and row.ended_on <= today:
        return _l("Permit taken back"), "bad"
    return (_l("Not yet valid"), "info") if row.starts_on > today else (_l("Run out"), "warn")


def _permits() -> Select[Any]:
    named = joinedload(Permit.user).load_only(User.name, User.username)
    return select(Permit).options(named, joinedload(Permit.kind))


def _permits_of(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    user, kind = aliased(User), aliased(Kind)
    people = select(user.id).where(
        or_(user.name.contains(text, autoescape=True), user.username.contains(text, autoescape=True))
    )
    kinds = select(kind.id).where(kind.name.contains(text, autoescape=True))
    return statement.where(or_(Permit.user_id.in_(people), Permit.kind_id.in_(kinds)))


def _valid(statement: Select[Any], context: ListContext) -> Select[Any]:
    today = context.today()
    return statement.where(
        Permit.starts_on <= today,
        or_(Permit.ends_on.is_(None), Permit.ends_on >= today),
        or_(Permit.ended_on.is_(None), Permit.ended_on > today),
    )


PERMITS = ListSpec(
    name="tools.permits",
    title=_l("Permits"),
    model=Permit,
    base=_permits,
    columns=(
        ListColumn(
            "user", _l("Employee"), lambda p: p.user.name, link=lambda p: _details("tools_permit", p), card="title"
        ),
        ListColumn("kind", _l("Kind of tool"), lambda p: kinds.kind_label(p.kind)),
        ListColumn("what", _l("What it allows"), lambda p: label_of(values.PERMITS, p.what)),
        ListColumn("starts_on", _l("Valid from"), lambda p: p.starts_on, "date"),
        ListColumn("ends_on", _l("Valid until"), lambda p: p.ends_on, "date"),
        ListColumn("state", _l("State"), lambda p: permit_badge(p, _today()), "badge", card="badge"),
        ListColumn("basis", _l("Training or paper"), lambda p: p.basis, card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Permit.id,)),),
    filters=(Filter("what", _l("What it allows"), "choice", among(Permit.what), values.PERMITS),),
    quick=(QuickFilter("valid", _l("Valid"), _valid),),
    search=_permits_of,
    search_hint=_l("Person or kind"),
    empty=_l("No permits yet. They say who was trained on which tool."),
)


class PermitView(UnitModelView):
    """Permits: who was trained on which kind of tool, and who keeps special ones."""

    plugin = PLUGIN
    title = _l("Permits")
    icon = "key"
    create_label = _l("New permit")
    permission = VIEW
    create_permission = KEEP
    export_permission = VIEW
    details_template = "tools/file_permit.html"

    def allowed(self, permission: str, row: Any | None = None) -> bool:
        """A supervisor grants permits as well as a keeper."""
        return super().allowed(permission, row) or (permission == KEEP and super().allowed(DECIDE, row))

    def list_spec(self) -> ListSpec:
        return PERMITS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        offered = {"user_id": forms.staff_choices(g.unit.id), "kind_id": kinds.kind_choices(g.unit.id)}
        return _with_chosen(permits.FIELDS, offered)

    def create(self, values: dict[str, Any]) -> Any:
        return permits.grant(g.unit.id, values)

    def details(self, row: Any) -> dict[str, Any]:
        facts = [
            (_l("Employee"), row.user.name),
            (_l("Kind of tool"), kinds.kind_label(row.kind)),
            (_l("What it allows"), label_of(values.PERMITS, row.what)),
            (_l("Valid from"), row.starts_on),
            (_l("Valid until"), row.ends_on),
            (_l("Training or paper"), row.basis),
            (_l("Taken back on"), row.ended_on),
            (_l("Reason"), row.reason),
        ]
        may_end = row.ended_on is None and self.allowed(KEEP, row)
        return {
            "facts": facts,
            "badge": permit_badge(row, _today()),
            "end_url": url_for("tools.permit_end", permit_id=row.id) if may_end else "",
        }


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        ToolView(Tool, endpoint="tools_tool", url="tools/tools"),
        KindView(Kind, endpoint="tools_kind", url="tools/kinds"),
        KitView(Kit, endpoint="tools_kit", url="tools/kits"),
        StoreView(Party, endpoint="tools_store", url="tools/stores"),
        DepartmentView(Party, endpoint="tools_department", url="tools/departments"),
        RepairerView(Party, endpoint="tools_repairer", url="tools/repairers"),
        PlaceView(Place, endpoint="tools_place", url="tools/places"),
        PermitView(Permit, endpoint="tools_permit", url="tools/permits"),
    ]

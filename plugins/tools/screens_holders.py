"""Screens of the file: stores with their places, other departments, repairers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.sdk import (
    Field,
    NotFound,
    User,
)
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    page_url,
)

from . import custody, forms, holders, screens_file, values
from .models import Party, Place
from .rights import KEEP


def _party_spec(kind: str, title: Any, endpoint: str, keeper: Any) -> ListSpec:
    def base() -> Select[Any]:
        named = joinedload(Party.user).load_only(User.name, User.username)
        return select(Party).where(Party.kind == kind).options(named)

    columns = [
        ListColumn(
            "name", _l("Name"), lambda p: p.name, link=lambda p: screens_file.details_url(endpoint, p), card="title"
        )
    ]
    if keeper:
        columns.append(ListColumn("keeper", keeper, lambda p: p.user.name if p.user else ""))
    columns += [
        ListColumn("contact", _l("Contact"), lambda p: p.contact),
        ListColumn("active", _l("State"), screens_file.use_badge, "badge", card="badge"),
    ]
    return ListSpec(
        name=f"tools.{kind}s",
        title=title,
        model=Party,
        base=base,
        columns=tuple(columns),
        orderings=(Ordering("newest", _l("Newest first"), (Party.id,)),),
        quick=screens_file.in_use(Party.active),
        search=lambda s, text, _c: s.where(Party.name.contains(text, autoescape=True)),
        search_hint=_l("Name"),
    )


STORES = _party_spec(values.STORE, _l("Tool stores"), "tools_store", _l("Keeper"))
DEPARTMENTS = _party_spec(values.DEPARTMENT, _l("Other departments"), "tools_department", _l("Signs for it"))
REPAIRERS = _party_spec(values.REPAIRER, _l("Repairers"), "tools_repairer", "")


class PartyView(screens_file.FileView):
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
            staff = screens_file.also(staff, (str(row.user_id), row.user.name))
        return self.with_active(screens_file.with_chosen(self.fields, {"user_id": staff}), row)

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "user_id": str(row.user_id) if row.user_id else ""}

    def details(self, row: Any) -> dict[str, Any]:
        return {
            **super().details(row),
            "badge": screens_file.use_badge(row),
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


# --- places ------------------------------------------------------------------------------------------


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
        ListColumn(
            "name",
            _l("Name"),
            lambda p: p.name,
            link=lambda p: screens_file.details_url("tools_place", p),
            card="title",
        ),
        ListColumn("store", _l("Tool store"), lambda p: p.store.name),
        ListColumn("active", _l("State"), screens_file.use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Place.id,)),),
    filters=(Filter("store", _l("Tool store"), "choice", _place_of_store, screens_file.store_choices),),
    quick=screens_file.in_use(Place.active),
    search=lambda s, text, _c: s.where(Place.name.contains(text, autoescape=True)),
    search_hint=_l("Name"),
)


class PlaceView(screens_file.FileView):
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
        return (screens_file.chosen(store, holders.store_choices(g.unit.id)), name)

    def new_values(self) -> dict[str, Any]:
        return {"store": request.args.get("store", "")}

    def details(self, row: Any) -> dict[str, Any]:
        return {"facts": [(_l("Tool store"), row.store.name), *super().details(row)["facts"]]}

    def create(self, values: dict[str, Any]) -> Any:
        return holders.save_place(g.unit.id, values)

    def saved(self, row: Any, values: dict[str, Any]) -> None:
        holders.save_place(row.unit_id, values, row)


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        StoreView(Party, endpoint="tools_store", url="tools/stores"),
        DepartmentView(Party, endpoint="tools_department", url="tools/departments"),
        RepairerView(Party, endpoint="tools_repairer", url="tools/repairers"),
        PlaceView(Place, endpoint="tools_place", url="tools/places"),
    ]

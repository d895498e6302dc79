"""Places (场所): the tree of buildings, floors, rooms and shelves, the page of each, labels to scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import or_

from core.admin.categories import SERVICE
from core.admin.forms import form_from_fields, went_through
from core.admin.inspections import panels as inspection_panels
from core.admin.listing import Filter, ListColumn, ListSpec, Ordering, QuickFilter, among
from core.admin.urls import back_to, page_url
from core.admin.views import Answer, UnitModelView, reason_text
from core.inspections import services as inspections
from core.kernel.database import transaction
from core.kernel.errors import AppError
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field, label_of, normalise
from core.kernel.ids import read_id
from core.places import services as places
from core.places.models import KINDS, Place

from .labels import label_action

# What the tree opens by itself: buildings with their floors, not every room of every floor.
OPEN_TO = 1
FEW = 60  # a tree of so many places stands open altogether


@dataclass
class Node:
    """A place in the tree as it is shown. ``hit``: it is one of those that were looked for."""

    place: Place
    hit: bool = False
    below: list[Node] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.below) + sum(one.count for one in self.below)


def grow(rows: Sequence[Place], text: str = "") -> list[Node]:
    """Return places in tree order as a tree; with a text those it is found in, and what is around them."""
    wanted = text.casefold()
    nodes = {one.id: Node(one, _is_hit(one, wanted)) for one in rows}
    if wanted:
        kept = {int(part) for one in nodes.values() if one.hit for part in one.place.path.split("/") if part}
        nodes = {key: one for key, one in nodes.items() if key in kept}
    roots: list[Node] = []
    for node in nodes.values():
        around = nodes.get(node.place.parent_id or 0)
        (around.below if around else roots).append(node)
    return roots


def _is_hit(place: Place, text: str) -> bool:
    return bool(text) and any(text in word.casefold() for word in (place.code, place.name, place.name_en))


def kind_label(place: Place) -> Any:
    """Return the kind of a place in words."""
    return label_of(KINDS, place.kind)


def use_badge(place: Place) -> tuple[Any, str]:
    """Return whether a place is in use, as a badge."""
    return (_l("In use"), "good") if place.active else (_l("Closed"), "neutral")


# The list serves exports and bulk actions; what people look at is the tree.
PLACES = ListSpec(
    name="places",
    title=_l("Places"),
    model=Place,
    columns=(
        ListColumn("code", _l("Place code"), lambda p: p.code, "code", card="title"),
        ListColumn("name", _l("Name"), places.name_of),
        ListColumn("kind", _l("Kind"), kind_label),
        ListColumn("note", _l("Note"), lambda p: p.note),
        ListColumn("active", _l("State"), use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Place.id,)),),
    filters=(Filter("kind", _l("Kind"), "choice", among(Place.kind), KINDS),),
    quick=(QuickFilter("all", _l("All"), lambda s, _c: s),),
    search=lambda s, text, _c: s.where(
        or_(*(one.contains(text, autoescape=True) for one in (Place.code, Place.name, Place.name_en)))
    ),
    search_hint=_l("Code or name"),
    actions=(label_action("place", places.VIEW),),
)


class PlaceView(UnitModelView):
    """The tree, the page of a place, and what is done there."""

    permission = places.VIEW
    create_permission = places.EDIT
    edit_permission = places.EDIT
    export_permission = places.VIEW
    title = _l("Places")
    icon = "map"
    subject = "place"
    create_label = _l("Add a place")
    details_template = "admin/place.html"
    lookup_columns = (Place.code, Place.name)

    def list_spec(self) -> ListSpec:
        return PLACES

    @expose("/")
    def index_view(self) -> Answer:
        """Show the tree of the present unit."""
        text = normalise(request.args.get("q", ""))[:60]
        closed = request.args.get("closed") == "1"
        rows = places.tree(g.unit.id, closed=closed)
        return self.render(
            "admin/places.html",
            roots=grow(rows, text),
            total=len(rows),
            text=text,
            closed=closed,
            open_to=99 if text or len(rows) <= FEW else OPEN_TO,
            may_edit=self.allowed(places.EDIT),
            may_import=page_url("imports.index", key="places"),
            **_words(),
        )

    # forms

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return [_parent_field(row), *(one for one in places.FIELDS if one.name != "parent")]

    def form_values(self, row: Any) -> dict[str, Any]:
        around = places.around(row)
        values = {one.name: getattr(row, one.name, None) for one in places.FIELDS}
        return {**values, "parent": around[-1].code if around else ""}

    def new_values(self) -> dict[str, Any]:
        return {"parent": request.args.get("parent", ""), "kind": request.args.get("kind", ""), "sort": 100}

    def create(self, values: dict[str, Any]) -> Any:
        return places.create_place(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        places.change_place(row, values, read_id(request.form.get("version")))

    def details(self, row: Any) -> dict[str, Any]:
        around = places.around(row)
        return {
            "around": around,
            "children": places.children(row),
            "may_edit": self.allowed(places.EDIT, row),
            "facts": [
                (_("Kind"), kind_label(row)),
                (_("Name"), row.name),
                (_("Name in English"), row.name_en),
                (_("Lies in"), places.BETWEEN.join(places.name_of(one) for one in around)),
                (_("Note"), row.note),
            ],
            "label_url": page_url("labels.index", form="place", id=row.id, back=self.row_url(row)),
            "panels": [*self._own_panels(row), *self._offered(row)],
            **_words(),
        }

    def _own_panels(self, row: Place) -> list[tuple[str, Any]]:
        return [("", [inspection_panels.of_place(row)])] if self.allowed(inspections.VIEW, row) else []

    @expose("/row/", methods=("GET", "POST"))
    def row_view(self) -> Answer:
        """Add several places at once."""
        self.need(places.EDIT)
        fields = [_parent_field(None), *(one for one in places.ROW_FIELDS if one.name != "parent")]
        form = form_from_fields(fields, {"parent": request.args.get("parent", ""), "kind": "room"})
        made: list[Place] = []
        if went_through(form, lambda: made.extend(places.create_row(g.unit.id, form.cleaned))):
            flash(_("%(count)d places were added: %(first)s to %(last)s.", **_ends(made)), "good")
            around = made[0].parent_id
            return redirect(self.get_url(".details_view", id=around) if around else self.get_url(".index_view"))
        page = self.render(
            "admin/place_row.html", form=form, row=None, version="", back=back_to(self.get_url(".index_view"))
        )
        return (page, 422) if request.method == "POST" else page

    @expose("/active/", methods=("POST",))
    def active_view(self) -> Answer:
        """Close a place, or take it into use again."""
        row = self.get_one(request.form.get("id"))
        self.need(places.EDIT, row)
        act = places.reopen_place if request.form.get("active") == "1" else places.close_place
        try:
            with transaction():
                act(row)
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("Saved."), "good")
        return redirect(self.row_url(row))

    def lookup_detail(self, row: Any) -> str:
        return str(kind_label(row))


def _ends(made: Sequence[Place]) -> dict[str, Any]:
    return {"count": len(made), "first": made[0].code, "last": made[-1].code}


def _words() -> dict[str, Any]:
    return {"kind_label": kind_label, "use_badge": use_badge, "name_of": places.name_of}


def _parent_field(row: Place | None) -> Field:
    """Return the choice of places around; not a place itself nor what lies in it."""
    return replace(
        places.PARENT,
        kind="choice",
        choices=_parents(row),
        label=_l("Lies in"),
        help=_l("Empty: it stands alone. Another one moves it with all that lies in it."),
    )


def _parents(row: Place | None) -> Choices:
    rows = places.tree(g.unit.id)
    if row is not None:
        rows = [one for one in rows if not one.path.startswith(row.path)]
        rows += [one for one in places.around(row)[-1:] if not one.active]
    names = places.full_names_of(rows)
    return [(one.code, _said(one, names)) for one in rows]


def _said(place: Place, names: Any) -> str:
    name = names[place.id]
    return str(name) if place.name == place.code else f"{name} ({place.code})"


def admin_views() -> Iterable[AdminEntry]:
    """Return the screen of places."""
    return [AdminEntry(PlaceView(Place, endpoint="places", url="places"), SERVICE, 70)]

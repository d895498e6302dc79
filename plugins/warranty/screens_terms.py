"""Screens of terms and of an item's cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, url_for
from flask.typing import ResponseReturnValue as Answer
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.sdk import Field, label_of
from core.sdk_web import Filter, ListColumn, ListSpec, Ordering, QuickFilter, Screen, UnitModelView, among

from . import cover, rights, term_table, values
from .models import Term

PLUGIN = "warranty"


def term_url(term: Term) -> str:
    """Return the address of a term's page."""
    return url_for("warranty_term.details_view", id=term.id)


def _for(term: Term) -> str:
    """Say which items a term is about."""
    said = (
        label_of(term_table.SOLD_CLASSES, term.sold_class) if term.sold_class else "",
        term.category.name if term.category else "",
        term.model.code if term.model else "",
    )
    return " · ".join(str(one) for one in said if one)


TERMS = ListSpec(
    name="warranty.terms",
    title=_l("Warranty terms"),
    model=Term,
    base=lambda: select(Term).options(joinedload(Term.category), joinedload(Term.model)),
    columns=(
        ListColumn("name", _l("Name"), lambda t: t.name, link=term_url, card="title"),
        ListColumn("scope", _l("What is covered"), lambda t: label_of(values.SCOPES, t.scope)),
        ListColumn("part", _l("Key part"), lambda t: t.part),
        ListColumn("months", _l("Term (months)"), lambda t: t.months, "number"),
        ListColumn("start", _l("Counted from"), lambda t: label_of(values.STARTS, t.start)),
        ListColumn("action", _l("What is owed"), lambda t: label_of(values.ACTIONS, t.action)),
        ListColumn("items", _l("For"), _for),
        ListColumn("valid_from", _l("Valid from"), lambda t: t.valid_from, "date"),
        ListColumn("valid_to", _l("Valid until"), lambda t: t.valid_to, "date"),
        ListColumn("active", _l("In use"), lambda t: t.active, "bool", card="hide", visible=False),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Term.id,)),
        Ordering("name", _l("Name"), (Term.name, Term.id), descending=False),
    ),
    filters=(
        Filter("scope", _l("What is covered"), "choice", among(Term.scope), term_table.SCOPES),
        Filter("class", _l("Product class"), "choice", among(Term.sold_class), term_table.SOLD_CLASSES),
    ),
    quick=(QuickFilter("active", _l("In use"), lambda s, _c: s.where(Term.active)),),
    search=lambda s, text, _c: s.where(Term.name.icontains(text, autoescape=True)),
    search_hint=_l("Name"),
    empty=_l("No terms of the unit's own. The clauses in force hold, and what stands at the models."),
)


class TermView(UnitModelView):
    """The unit's own warranty terms (保修期规定), below the clauses that hold today."""

    plugin = PLUGIN
    permission = rights.VIEW
    create_permission = rights.TERMS
    edit_permission = rights.TERMS
    export_permission = rights.VIEW
    title = _l("Warranty terms")
    icon = "clock"
    create_label = _l("New term")
    list_template = "warranty/terms.html"

    def list_spec(self) -> ListSpec:
        return TERMS

    def render(self, template: str, **context: Any) -> str:
        if template == self.list_template:
            rules = [one for one in cover.rules_of(g.unit.id) if one.clause]
            context |= {"rules": rules, "labels": values, "label_of": label_of, "every_part": cover.EVERY_PART}
        return str(super().render(template, **context))

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return term_table.fields_for(g.unit.id if row is None else row.unit_id, row)

    def form_values(self, row: Any) -> dict[str, Any]:
        held = super().form_values(row)
        return held | {name: str(held[name]) for name in ("category_id", "model_id") if held[name]}

    def new_values(self) -> dict[str, Any]:
        return {one.name: one.default for one in term_table.term_fields() if one.default is not None}

    def create(self, values: dict[str, Any]) -> Any:
        return term_table.save_term(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        term_table.save_term(row.unit_id, values, row)


class LookupScreen(Screen):
    """The entry of the menu that leads to the look-up by serial number."""

    plugin = PLUGIN
    permission = rights.VIEW
    icon = "search"

    @expose("/")
    def index(self) -> Answer:
        """Lead to the look-up page."""
        return redirect(url_for("warranty.lookup"))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        LookupScreen(name=_l("Warranty look-up"), endpoint="warranty_lookup", url="warranty/lookup"),
        TermView(Term, endpoint="warranty_term", url="warranty/terms"),
    ]

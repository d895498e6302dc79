"""Screens of terms and of an item's cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue as Answer
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Field, Record, label_of
from core.sdk_web import Filter, ListColumn, ListSpec, Ordering, QuickFilter, Screen, UnitModelView, among, page_url

from . import cover, rights, term_table, values
from .models import Coverage, Term

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


def case_url(row: Coverage) -> str:
    """Return the address of the case that was decided on."""
    return page_url("record.page", record_id=row.record_id)


def _result(row: Coverage) -> tuple[Any, str]:
    return label_of(values.RESULTS, row.result), values.TONES.get(row.result, "neutral")


DECISIONS = ListSpec(
    name="warranty.decisions",
    title=_l("Coverage decisions"),
    model=Coverage,
    base=lambda: (
        select(Coverage).join(Coverage.record).options(contains_eager(Coverage.record)).where(Coverage.current)
    ),
    columns=(
        ListColumn("number", _l("Case"), lambda c: c.record.number, "code", link=case_url, card="title"),
        ListColumn("result", _l("Result"), _result, "badge", card="badge", export=lambda c: str(_result(c)[0])),
        ListColumn("cause", _l("Cause"), lambda c: label_of(values.CAUSES, c.cause) if c.cause else ""),
        ListColumn("clause", _l("Clause"), lambda c: c.clause, "code"),
        ListColumn("covered_until", _l("Covered until"), lambda c: c.covered_until, "date"),
        ListColumn("decided_at", _l("Coverage decided at"), lambda c: c.decided_at, "moment"),
        ListColumn("to_review", _l("To be reviewed"), lambda c: c.to_review, "bool", card="hide"),
        ListColumn("overruled", _l("Decided otherwise"), lambda c: c.overruled, "bool", card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Coverage.id,)),),
    filters=(Filter("result", _l("Result"), "choice", among(Coverage.result), values.RESULTS),),
    quick=(
        QuickFilter("to_review", _l("To be reviewed"), lambda s, _c: s.where(Coverage.to_review)),
        QuickFilter("overruled", _l("Decided otherwise"), lambda s, _c: s.where(Coverage.overruled)),
    ),
    search=lambda s, text, _c: s.where(Record.number.icontains(text, autoescape=True)),
    search_hint=_l("Number"),
    empty=_l("Nothing was decided yet. Coverage is decided on the case."),
)


class DecisionView(UnitModelView):
    """What was decided on cases, above all what is to be looked at again."""

    plugin = PLUGIN
    permission = rights.VIEW
    export_permission = rights.VIEW
    title = _l("Coverage decisions")
    icon = "check"

    def list_spec(self) -> ListSpec:
        return DECISIONS

    def row_url(self, row: Any) -> str:
        return case_url(row)

    @expose("/details/")
    def details_view(self) -> Answer:
        """Lead to the case."""
        return redirect(case_url(self.get_one(request.args.get("id"))))


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
        DecisionView(Coverage, endpoint="warranty_decision", url="warranty/decisions"),
        TermView(Term, endpoint="warranty_term", url="warranty/terms"),
    ]

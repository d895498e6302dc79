"""Screens of old parts, orders and evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, request
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager

from core.sdk import Field, label_of
from core.sdk_web import Filter, ListColumn, ListContext, ListSpec, Ordering, UnitModelView, among

from . import evaluations, file, screens_orders
from .models import Agent, Evaluation
from .rights import KEEP, VIEW

PLUGIN = "agents"


# --- evaluations of service agents ---------------------------------------------------------------


def _evaluations() -> Select[Any]:
    return select(Evaluation).join(Evaluation.agent).options(contains_eager(Evaluation.agent))


def _of_agent(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(Agent.name.contains(text, autoescape=True) | (Agent.code == text.upper()))


def _score(name: str, label: Any) -> ListColumn:
    return ListColumn(name, label, lambda row: getattr(row, name), "number")


EVALUATIONS = ListSpec(
    name="agents.evaluations",
    title=_l("Evaluations of service agents"),
    model=Evaluation,
    base=_evaluations,
    columns=(
        ListColumn("agent", _l("Service agent"), lambda e: e.agent.name, card="title"),
        ListColumn("on", _l("Date"), lambda e: e.on, "date"),
        ListColumn("means", _l("Means"), lambda e: label_of(evaluations.MEANS, e.means)),
        *(_score(one.name, one.label) for one in evaluations.SCORES),
        ListColumn("finding", _l("What the evaluation found"), lambda e: e.finding, card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Evaluation.id,)),),
    filters=(Filter("means", _l("Means"), "choice", among(Evaluation.means), evaluations.MEANS),),
    search=_of_agent,
    search_hint=_l("Number or name of the agent"),
    empty=_l("No evaluations yet. Enter the first one after a visit, a call or a questionnaire."),
)


class EvaluationView(UnitModelView):
    """Evaluations of service agents (R22-1.X4): listed and entered, never changed."""

    plugin = PLUGIN
    title = _l("Evaluations of service agents")
    icon = "check"
    create_label = _l("New evaluation")
    permission = VIEW
    create_permission = KEEP
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return EVALUATIONS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return evaluations.fields(g.unit.id)

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "agent_id": str(row.agent_id)}

    def new_values(self) -> dict[str, Any]:
        return {"agent_id": request.args.get("agent", "")}

    def create(self, values: dict[str, Any]) -> Any:
        return evaluations.register(g.unit.id, values)

    def details(self, row: Any) -> dict[str, Any]:
        agent = file.get_agent(row.agent_id)
        facts = super().details(row)["facts"]
        return {"facts": [(facts[0][0], agent.name), *facts[1:]]}


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [
        *screens_orders.views(),
        EvaluationView(Evaluation, endpoint="agents_evaluation", url="agents/evaluations"),
    ]

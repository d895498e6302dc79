"""Screens of contracts with agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flask import g, redirect, request
from flask.typing import ResponseReturnValue
from flask_admin import expose
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Field, InvalidData, Record, Refused, read_id, search, session, setting
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    page_url,
)

from . import contract_form, contracts, file
from .models import Agent, Contract
from .rights import KEEP, VIEW
from .settings import CONTRACT_WARN_DAYS

PLUGIN = "agents"
SEARCH_LIMIT = 500
TONES = {
    contracts.DRAFT: "neutral",
    contracts.SIGNED: "info",
    contracts.IN_FORCE: "good",
    contracts.CANCELLED: "bad",
}


def record_url(row: Contract) -> str:
    """Return the address of a contract's page, which is its record's."""
    return page_url("record.page", record_id=row.id)


def state_badge(row: Contract) -> tuple[Any, str]:
    """Return (label, tone) of a contract's state."""
    state = contracts.WORKFLOW.states.get(row.record.state)
    return (state.label if state else row.record.state), TONES.get(row.record.state, "neutral")


def _note_gone(rows: Sequence[Contract]) -> None:
    """Remember which of these contracts name a series that does not exist: renamed since, say."""
    by_unit: dict[int, list[Contract]] = {}
    for row in rows:
        if row.record.state not in contracts.OVER:
            by_unit.setdefault(row.unit_id, []).append(row)
    g.gone_series = {key for unit_id, held in by_unit.items() for key in contracts.gone_series(unit_id, held)}


def series_badge(row: Contract) -> tuple[Any, str] | None:
    """Return (label, tone) where a contract names a series that does not exist, else None."""
    gone = row.id in g.get("gone_series", ())
    return (_l("Names a series that does not exist"), "warn") if gone else None


def _base() -> Select[Any]:
    named = joinedload(Contract.agent).load_only(Agent.name, Agent.code)
    return select(Contract).join(Contract.record).options(contains_eager(Contract.record), named)


def _find(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    units = context.units or frozenset({context.unit_id})
    found = search.search(units, contracts.CODE, text, SEARCH_LIMIT)
    return statement.where(Contract.id.in_([one.entity_id for one in found]))


def _of_agent(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    """An agent by its id (from a link), number or name; none of that name: none of its contracts."""
    key = read_id(text)
    if key is not None:
        return statement.where(Contract.agent_id == key)
    found = file.find_agent(context.unit_id, text)
    return statement.where(Contract.agent_id == (found.id if found else 0))


def _ends_soon(statement: Select[Any], context: ListContext) -> Select[Any]:
    last = context.today() + timedelta(days=int(setting(context.unit_id, CONTRACT_WARN_DAYS)))
    return statement.where(
        Record.state == contracts.IN_FORCE, Contract.ends_on >= context.today(), Contract.ends_on <= last
    )


def _run_out(statement: Select[Any], context: ListContext) -> Select[Any]:
    return statement.where(Record.state == contracts.IN_FORCE, Contract.ends_on < context.today())


CONTRACTS = ListSpec(
    name="agents.contracts",
    title=_l("Agent contracts"),
    model=Contract,
    base=_base,
    columns=(
        ListColumn("number", _l("Number"), lambda c: c.record.number, "code", link=record_url, card="title"),
        ListColumn("name", _l("Name of the contract"), lambda c: c.name),
        ListColumn("agent", _l("Agent"), lambda c: f"{c.agent.code} {c.agent.name}"),
        ListColumn("state", _l("State"), state_badge, "badge", card="badge"),
        ListColumn("series", _l("Product series"), lambda c: "、".join(c.series or ()) or _l("All")),
        ListColumn("gone", _l("Series to be looked at"), series_badge, "badge"),
        ListColumn("starts_on", _l("Valid from"), lambda c: c.starts_on, "date"),
        ListColumn("ends_on", _l("Valid until"), contracts.last_day, "date"),
        ListColumn("signed_on", _l("Signed on"), lambda c: c.signed_on, "date", visible=False, card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Contract.id,)),),
    filters=(
        Filter(
            "state",
            _l("State"),
            "choice",
            among(Record.state),
            lambda: [(one.code, one.label) for one in contracts.STATES],
        ),
        Filter("agent", _l("Agent"), "text", _of_agent),
    ),
    quick=(
        QuickFilter("in_force", _l("In force"), lambda s, _c: s.where(Record.state == contracts.IN_FORCE)),
        QuickFilter("soon", _l("Ends soon"), _ends_soon),
        QuickFilter("over", _l("Run out"), _run_out),
    ),
    search=_find,
    search_hint=_l("Number, name or agent"),
    prepare=_note_gone,
    empty=_l("No contracts with agents yet. Draft the first one."),
)


class ContractView(UnitModelView):
    """Contracts with agents: list and draft; the page of each is its record's."""

    plugin = PLUGIN
    title = _l("Agent contracts")
    icon = "case"
    create_label = _l("New contract")
    permission = VIEW
    create_permission = KEEP
    edit_permission = KEEP
    export_permission = VIEW

    def list_spec(self) -> ListSpec:
        return CONTRACTS

    def row_url(self, row: Any) -> str:
        return record_url(row)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        if row is not None:
            return contract_form.FIELDS
        chosen = replace(contract_form.AGENT, kind="choice", choices=file.agent_choices(g.unit.id), help="")
        return (chosen, *contract_form.FIELDS)

    def form_values(self, row: Any) -> dict[str, Any]:
        return contracts.form_values(row.record, row)

    def new_values(self) -> dict[str, Any]:
        return {"agent_id": request.args.get("agent", "")}

    def create(self, values: dict[str, Any]) -> Any:
        record = contracts.register(g.unit.id, values)
        return session().get(Contract, record.id)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            contracts.change(row.id, values)
        except Refused as bad:
            raise InvalidData({"": bad.texts()}) from None

    @expose("/details/")
    def details_view(self) -> ResponseReturnValue:
        """Lead to the contract's record."""
        return redirect(record_url(self.get_one(request.args.get("id"))))


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    return [ContractView(Contract, endpoint="agents_contract", url="agents/contracts")]

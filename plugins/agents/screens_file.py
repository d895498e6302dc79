"""Screens of agents and their people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import g, url_for
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload

from core.sdk import Field, InvalidData, Refused, User, label_of, may, session
from core.sdk_web import (
    Filter,
    ListColumn,
    ListContext,
    ListScreen,
    ListSpec,
    Ordering,
    QuickFilter,
    UnitModelView,
    among,
    page_url,
)

from . import contracts, file, values
from .models import Agent, Contact
from .rights import KEEP, VIEW

PLUGIN = "agents"
MOST_LOOKED_AT = 5000
KIND_TONES = {values.AGENT: "info", values.PARTNER: "good", values.SERVICE: "neutral"}


def agent_url(agent: Agent) -> str:
    """Return the address of an agent's page."""
    return url_for("agents_agent.details_view", id=agent.id)


def kind_badge(agent: Agent) -> tuple[Any, str]:
    """Return (label, tone) of what an agent is."""
    return label_of(values.KINDS, agent.kind), KIND_TONES.get(agent.kind, "neutral")


def _use_badge(row: Agent | Contact) -> tuple[Any, str]:
    return (_l("In use"), "good") if row.active else (_l("No longer used"), "neutral")


def regions_text(row: Agent) -> str:
    return "、".join(row.regions or ())


def _find(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    columns = (Agent.name, Agent.code, Agent.phone)
    return statement.where(or_(*(column.contains(text, autoescape=True) for column in columns)))


def _in_region(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    """Narrow to agents of a region. They are hundreds at most, and each database spells lists differently."""
    units = context.units or frozenset({context.unit_id})
    rows = select(Agent.id, Agent.regions).where(Agent.unit_id.in_(units)).limit(MOST_LOOKED_AT)
    found = session().execute(rows)
    wanted = [row.id for row in found if any(text in one or one in text for one in row.regions or ())]
    return statement.where(Agent.id.in_(wanted))


AGENTS = ListSpec(
    name="agents.agents",
    title=_l("Agents and partners"),
    model=Agent,
    columns=(
        ListColumn("code", _l("Agent number"), lambda a: a.code, "code", "code", link=agent_url),
        ListColumn("name", _l("Name"), lambda a: a.name, link=agent_url, card="title"),
        ListColumn("kind", _l("Kind"), kind_badge, "badge", card="badge"),
        ListColumn("level", _l("Level"), lambda a: label_of(values.LEVELS, a.level)),
        ListColumn("regions", _l("Regions"), regions_text),
        ListColumn("phone", _l("Phone"), lambda a: a.phone),
        ListColumn("email", _l("E-mail address"), lambda a: a.email, visible=False, card="hide"),
        ListColumn("address", _l("Address"), lambda a: a.address, visible=False, card="hide"),
        ListColumn("active", _l("State"), _use_badge, "badge", card="hide"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Agent.id,)),),
    filters=(
        Filter("kind", _l("Kind"), "choice", among(Agent.kind), values.KINDS),
        Filter("level", _l("Level"), "choice", among(Agent.level), values.LEVELS),
        Filter("region", _l("Region"), "text", _in_region),
    ),
    quick=(
        QuickFilter("active", _l("In use"), lambda s, _c: s.where(Agent.active)),
        QuickFilter("ended", _l("No longer used"), lambda s, _c: s.where(~Agent.active)),
    ),
    search=_find,
    search_hint=_l("Number, name or phone"),
    empty=_l("No agents on file yet. Add the first one, or take a file in."),
)


class AgentView(UnitModelView):
    """Agents and partners: list, form, and the page of each with its people and contracts."""

    plugin = PLUGIN
    title = _l("Agents and partners")
    icon = "users"
    create_label = _l("New agent")
    permission = VIEW
    create_permission = KEEP
    edit_permission = KEEP
    export_permission = VIEW
    subject = "agents:agent"
    details_template = "agents/agent.html"
    lookup_columns = (Agent.name, Agent.code)

    def list_spec(self) -> ListSpec:
        return AGENTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return file.FIELDS if row is None else (*file.FIELDS, file.ACTIVE)

    def form_values(self, row: Any) -> dict[str, Any]:
        return {**super().form_values(row), "regions": regions_text(row)}

    def create(self, values: dict[str, Any]) -> Any:
        return file.save_agent(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        try:
            file.save_agent(row.unit_id, values, row)
        except Refused as bad:
            raise InvalidData({"active": bad.texts()}) from None

    def details(self, row: Any) -> dict[str, Any]:
        may_keep = self.allowed(KEEP, row)
        may_admit = may(file.USER_ADMIN, row.unit_id)
        return {
            **super().details(row),
            "badge": kind_badge(row),
            "people": [_person(one, may_keep, may_admit) for one in file.contacts_of(row.id)],
            "contracts": [_contract(record, one) for record, one in contracts.contracts_of(row.id)],
            "may_admit": may_admit,
            "contact_url": url_for("agents.contact_new", agent_id=row.id) if may_keep and row.active else "",
            "contract_url": _contract_url(row) if may_keep and row.active else "",
            "statements_url": page_url("agents_statements.index_view", f_agent=row.code),
        }


def _person(contact: Contact, may_keep: bool, may_admit: bool) -> dict[str, Any]:
    return {
        "row": contact,
        "role": label_of(values.ROLES, contact.role),
        "username": contact.user.username if contact.user is not None else "",
        "edit_url": url_for("agents.contact_edit", contact_id=contact.id) if may_keep else "",
        "sign_in_url": sign_in_url(contact) if may_admit else "",
    }


def sign_in_url(contact: Contact) -> str:
    """Return where somebody gets their sign-in, '' where they have one or are out of use."""
    if not (contact.active and contact.agent.active) or contact.user_id is not None:
        return ""
    return url_for("agents.contact_sign_in", contact_id=contact.id)


def _contract(record: Any, contract: Any) -> dict[str, Any]:
    state = contracts.WORKFLOW.states.get(record.state)
    return {
        "number": record.number,
        "name": contract.name,
        "url": page_url("record.page", record_id=record.id),
        "state": state.label if state else record.state,
        "starts_on": contract.starts_on,
        "last": contracts.last_day(contract),
    }


def _contract_url(row: Agent) -> str:
    return page_url("agents_contract.create_view", agent=row.id)


# --- their people, for whoever gives rights -----------------------------------------------------------


def _people() -> Select[Any]:
    named = joinedload(Contact.user).load_only(User.username, User.name, User.active)
    return select(Contact).join(Contact.agent).options(contains_eager(Contact.agent), named).where(Contact.active)


PEOPLE = ListSpec(
    name="agents.people",
    title=_l("Sign-ins of agents' people"),
    model=Contact,
    base=_people,
    columns=(
        ListColumn("name", _l("Full name"), lambda c: c.name, link=sign_in_url, card="title"),
        ListColumn("agent", _l("Agent"), lambda c: f"{c.agent.code} {c.agent.name}"),
        ListColumn("role", _l("Role"), lambda c: label_of(values.ROLES, c.role)),
        ListColumn("username", _l("User name"), lambda c: c.user.username if c.user else "", "code"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Contact.id,)),),
    filters=(Filter("role", _l("Role"), "choice", among(Contact.role), values.ROLES),),
    quick=(
        QuickFilter("without", _l("Without a sign-in"), lambda s, _c: s.where(Contact.user_id.is_(None))),
        QuickFilter("with", _l("With a sign-in"), lambda s, _c: s.where(Contact.user_id.is_not(None))),
    ),
    search=lambda s, text, _c: s.where(
        or_(Contact.name.contains(text, autoescape=True), Agent.name.contains(text, autoescape=True))
    ),
    search_hint=_l("Name or agent"),
    empty=_l("No people of agents on file."),
)


class PeopleView(ListScreen):
    """Who of the agents' people signs in: for those who give rights, who need not see agents otherwise."""

    plugin = PLUGIN
    permission = file.USER_ADMIN
    model = Contact
    icon = "key"

    def list_spec(self) -> ListSpec:
        return PEOPLE


def views() -> list[Any]:
    """Return the screens, in the order of the menu."""
    people = PeopleView(name=_l("Sign-ins of agents' people"), endpoint="agents_people", url="agents/people")
    return [AgentView(Agent, endpoint="agents_agent", url="agents/agents"), people]

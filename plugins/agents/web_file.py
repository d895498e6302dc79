"""Pages beside the file: people of agents, and sign-ins of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, flash, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.sdk import Field, NotFound, may
from core.sdk_web import FieldsForm, check_version, form_from_fields, went_through

from . import file
from .models import Agent, Contact
from .rights import KEEP, VIEW
from .screens_file import agent_url


def add_routes(blueprint: Blueprint) -> None:
    """Add the pages to the plugin's blueprint (mounted at ``/p/agents/``)."""
    both = ("GET", "POST")
    blueprint.add_url_rule("/contact/new/<agent_id>", "contact_new", contact_new, methods=both)
    blueprint.add_url_rule("/contact/<contact_id>", "contact_edit", contact_edit, methods=both)
    blueprint.add_url_rule("/contact/<contact_id>/sign-in", "contact_sign_in", contact_sign_in, methods=both)


def contact_new(agent_id: str) -> ResponseReturnValue:
    """Add a person of an agent."""
    agent = file.get_agent(agent_id)
    _need(KEEP, agent.unit_id)
    form = form_from_fields(file.CONTACT_FIELDS, timezone=g.unit.timezone)
    if went_through(form, lambda: file.save_contact(agent, form.cleaned)):
        flash(_("Saved."), "good")
        return redirect(agent_url(agent))
    return _page(_l("New contact"), form, agent)


def contact_edit(contact_id: str) -> ResponseReturnValue:
    """Change a person of an agent, or take them out of use."""
    contact = file.get_contact(contact_id)
    _need(KEEP, contact.unit_id)
    fields: Sequence[Field] = (*file.CONTACT_FIELDS, file.ACTIVE)
    values = {one.name: getattr(contact, one.name) for one in fields}
    form = form_from_fields(fields, values, timezone=g.unit.timezone)

    def save() -> None:
        check_version(contact, request.form.get("version"))
        file.save_contact(contact.agent, form.cleaned, contact)

    if went_through(form, save):
        flash(_("Saved."), "good")
        _warn_of_orders(contact)
        return redirect(agent_url(contact.agent))
    return _page(contact.name, form, contact.agent, contact)


def _warn_of_orders(contact: Contact) -> None:
    count = 0 if contact.active else file.orders_in_hands(contact.id)
    if count:
        flash(_("%(count)d orders are still in their hands: assign these cases to others", count=count), "warn")


def contact_sign_in(contact_id: str) -> ResponseReturnValue:
    """Give a contact a sign-in of their own; the first password is shown once, on the next page."""
    contact = file.get_contact(contact_id)
    _need(file.USER_ADMIN, contact.unit_id)
    form = form_from_fields(file.SIGN_IN_FIELDS, timezone=g.unit.timezone)
    given: list[Any] = []
    if went_through(form, lambda: given.extend(file.give_sign_in(contact.id, form.cleaned))):
        user, password = given
        if password:
            return render_template(
                "admin/user_password.html", row=user, password=password, back=_back(contact.agent)
            )
        flash(_("%(name)s may sign in here now", name=user.name), "good")
        return redirect(_back(contact.agent))
    return _page(_("Sign-in of %(name)s", name=contact.name), form, contact.agent, label=_l("Give a sign-in"))


def _need(permission: str, unit_id: int) -> None:
    if not may(permission, unit_id):
        raise NotFound()


def _back(agent: Agent) -> str:
    """Return the agent's page, or the list of people for those who give rights and see no agents."""
    return agent_url(agent) if may(VIEW, agent.unit_id) else url_for("agents_people.index_view")


def _page(
    title: Any, form: FieldsForm, agent: Agent, contact: Contact | None = None, label: Any = ""
) -> ResponseReturnValue:
    page = render_template(
        "agents/contact.html",
        title=title,
        form=form,
        agent=agent,
        version=request.form.get("version") or (contact.version if contact else ""),
        signs_in=contact is not None and contact.user_id is not None,
        label=label or _("Save"),
        back=_back(agent),
    )
    return page, 422 if request.method == "POST" else 200

"""The form that registers a case: core fields, plugins' sections, files; all saved together or not at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import g, render_template, request
from flask_babel import lazy_gettext as _l
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from core.admin.forms import FieldsForm, form_from_fields
from core.cases.services import intake_fields, register_case
from core.customers.models import Customer
from core.customers.services import summary
from core.kernel.database import current_scope, fetch
from core.kernel.errors import NotFound
from core.kernel.extensions import FormSection, Unavailable
from core.kernel.fields import Field
from core.records.attachments import attach
from core.records.models import Record

log = logging.getLogger(__name__)

FILES = Field("files", "photos", _l("Photos and files"))
# Shown as big buttons, in this order.
BUTTONS = ("channel", "nature", "urgency", "severity")


@dataclass(frozen=True)
class Section:
    """A plugin's part of the form. Its fields carry the plugin's name in front, so that no two plugins collide."""

    plugin: str
    section: FormSection
    fields: Sequence[Field]

    @property
    def prefix(self) -> str:
        return f"{self.plugin}-"

    def values(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        return {one.name: cleaned[self.prefix + one.name] for one in self.section.fields}


def sections() -> tuple[list[Section], list[str]]:
    """Return the parts of the unit's plugins, and the names of plugins whose part failed."""
    found: list[Section] = []
    failed: list[str] = []
    for plugin, offered in g.unit.hooks.case_form_sections(unit=g.unit):
        if isinstance(offered, Unavailable):
            failed.append(plugin)
            continue
        for one in offered or ():
            fields = [replace(f, name=f"{plugin}-{f.name}") for f in one.fields]
            found.append(Section(plugin, one, fields))
    return found, failed


def build(parts: Sequence[Section]) -> FieldsForm:
    """Build the form, filled from the address (``customer``, ``phone``) when it is opened."""
    own = [one for part in parts for one in part.fields]
    return form_from_fields(
        (*map(_marked, intake_fields(g.unit.id)), *own, FILES), _start(), timezone=g.unit.timezone
    )


def _marked(one: Field) -> Field:
    """Mark what is needed in the usual case, though not in all, with a star."""
    return replace(one, options={**one.options, "needed": True}) if callable(one.required) else one


def _start() -> dict[str, Any]:
    values: dict[str, Any] = {"urgency": "normal", "contact_phone": request.args.get("phone", "")[:30]}
    customer = chosen(request.args.get("customer"))
    if customer:
        known = found(customer)
        values |= {"customer_id": customer.id, "contact_name": known["contact"]}
        values |= {
            field: known[key]
            for field, key in (("contact_phone", "phone"), ("address_text", "address"))
            if "*" not in known[key]
        }
    return values


def found(customer: Customer) -> dict[str, Any]:
    """Return a customer as the caller box shows it, with whom to talk to ('' unknown or masked)."""
    shown = summary(customer)
    contact = customer.contacts[0].name if customer.contacts else customer.name
    company_alone = customer.kind == "company" and not customer.contacts
    may_know = current_scope().may("customer.pii", customer.unit_id)
    return shown | {"contact": "" if company_alone or not may_know else contact[:60]}


def chosen(raw_id: object) -> Customer | None:
    """Return the customer the form stands on; None for none, malformed and foreign ids alike."""
    query: Any = select(Customer).options(selectinload(Customer.phones), selectinload(Customer.addresses))
    query = query.options(selectinload(Customer.contacts))
    try:
        customer = fetch(Customer, raw_id, query=query.where(Customer.unit_id == g.unit.id)) if raw_id else None
    except NotFound:
        return None
    return customer


def save(form: FieldsForm, parts: Sequence[Section], key: str) -> Record:
    """Register the case with what plugins and files add, in the caller's transaction."""
    raw = {name: value for name, value in form.raw().items() if name != FILES.name}

    def after(record: Record) -> None:
        for part in parts:
            part.section.save(record, part.values(form.cleaned))
        for upload in form.cleaned[FILES.name] or ():
            attach(record.id, upload.filename or "", upload.stream)

    return register_case(g.unit.id, raw, key=key, after=after)


def drawn(parts: Sequence[Section], form: FieldsForm) -> list[tuple[Section, Markup | None, list[Any]]]:
    """Render the parts: (part, its own template or None, (field, widget) pairs). A failing template is left out."""
    pairs = {one.name: (one, widget) for one, widget in form.visible()}
    return [(part, _template(part, form), [pairs[one.name] for one in part.fields]) for part in parts]


def _template(part: Section, form: FieldsForm) -> Markup | None:
    if not part.section.template:
        return None
    try:
        html = render_template(part.section.template, section=part.section, form=form, prefix=part.prefix)
    except Exception:
        # A plugin's decoration must never stop a call from being registered.
        log.exception("case form section of %s failed", part.plugin)
        return None
    return Markup(html)  # noqa: S704 - a template's own, escaped output

"""Starter profiles (制度模板): what there is, what one would change in a unit, and applying it."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin import clause_words as words
from core.admin.cases.words import unit_name
from core.admin.categories import SETTINGS
from core.admin.clauses import plugin_title, said
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.views import Answer, Screen
from core.kernel.database import current_scope, fetch, transaction
from core.kernel.errors import AppError, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field
from core.rules import profiles, settings
from core.units.facts import local_day
from core.units.models import Unit
from core.units.settings import SettingSpec
from core.users import positions

FIELDS = (
    Field(
        "starts_on",
        "date",
        _l("In force from"),
        True,
        help=_l("Today at the earliest; a unit without records and settings may begin earlier"),
    ),
)


class ProfileScreen(Screen):
    """The profiles, for the current unit or another one the actor sets clauses for."""

    permission = settings.CHANGE
    icon = "flag"

    @expose("/")
    def index(self) -> Answer:
        """List the profiles there are."""
        unit = _unit(request.args.get("unit"))
        return self.render(
            "admin/profiles/list.html",
            unit=unit,
            unit_name=unit_name(unit),
            profiles=list(profiles.current_profiles().values()),
            said=said,
        )

    @expose("/<code>/", methods=("GET", "POST"))
    def profile(self, code: str) -> Answer:
        """Show what a profile would change in a unit; a POST applies it."""
        unit, chosen = _unit(request.values.get("unit")), profiles.find_profile(code)
        form = form_from_fields(FIELDS, {"starts_on": local_day(unit.id)})
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    done = profiles.apply(unit, chosen, form.cleaned["starts_on"])
            except AppError as bad:
                form.show(bad)
            else:
                flash(_done_words(done, unit), "good" if done else "info")
                return redirect(self.get_url(".profile", code=chosen.name, unit=unit.id))
        page = self._page(unit, chosen, form)
        return (page, 422) if request.method == "POST" else page

    def _page(self, unit: Unit, chosen: profiles.Profile, form: FieldsForm) -> str:
        titles = dict(positions.choices())
        found = profiles.preview(unit, chosen)
        return str(
            self.render(
                "admin/profiles/profile.html",
                unit=unit,
                unit_name=unit_name(unit),
                profile=chosen,
                found=found,
                values=[row for c, d in found.valued for row in words.changes([d], titles, of=c)],
                settings=[_setting_words(one) for one in found.settings],
                form=form,
                said=said,
                plugin_title=plugin_title,
            )
        )


def choices() -> Choices:
    """Return the profiles for a field of a form."""
    return [(one.name, said(one.title)) for one in profiles.current_profiles().values()]


def _unit(raw_id: object) -> Unit:
    """Look up a unit the actor sets clauses for; without an id the current one."""
    unit = fetch(Unit, raw_id or g.unit.id)
    if not current_scope().may(settings.CHANGE, unit.id):
        raise NotFound()
    return unit


def _done_words(done: profiles.Preview, unit: Unit) -> str:
    if not done:
        return _("Nothing to change: %(name)s has this profile already.", name=unit_name(unit))
    return _(
        "The profile was applied to %(name)s: %(clauses)d clauses, %(plugins)d plugins, %(settings)d settings.",
        name=unit_name(unit),
        clauses=len(done.clauses),
        plugins=len(done.plugins),
        settings=len(done.settings),
    )


def _setting_words(change: profiles.SettingChange) -> tuple[Any, str, str]:
    return (
        change.spec.field.label,
        _said_setting(change.spec, change.before),
        _said_setting(change.spec, change.after),
    )


def _said_setting(spec: SettingSpec, value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    return str(dict(spec.field.choice_list()).get(value, value))


def admin_views() -> list[AdminEntry]:
    """Return the profiles for the menu."""
    return [
        AdminEntry(ProfileScreen(name=_l("Starter profiles"), endpoint="profiles", url="profiles"), SETTINGS, 16)
    ]

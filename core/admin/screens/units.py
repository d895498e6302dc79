"""Units (机构): the tree, their data, their place in it, and their settings."""

from __future__ import annotations

from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from core.admin.cases.words import unit_name
from core.admin.categories import SETTINGS
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.urls import back_to
from core.admin.views import Answer, Screen, reason_text
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import AppError, InvalidData, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices, Field
from core.kernel.ids import read_id
from core.rules import settings as clause_settings
from core.units import services, settings
from core.units.models import Unit
from core.users.permissions import units_where

from . import profiles

INHERIT = "inherit"
PROFILE = Field(
    "profile",
    "choice",
    _l("Starter profile"),
    choices=profiles.choices,
    help=_l("The kind of company whose regulations it works by; you see what changes before it does"),
)


class UnitScreen(Screen):
    """The organisation tree, as far as the actor manages it."""

    permission = services.ADMIN
    icon = "unit"

    @expose("/")
    def index(self) -> Answer:
        """Show the tree."""
        units = _managed()
        shallowest = min((u.path.count("/") for u in units), default=0)
        return self.render(
            "admin/units.html",
            rows=[(unit, unit.path.count("/") - shallowest) for unit in units],
            kind_label=services.kind_label,
            zones=dict(services.TIMEZONES),
            unit_name=unit_name,
            set_clauses=units_where(clause_settings.CHANGE),
        )

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Add a unit below one the actor manages; with a profile, go on to what that would change."""
        fields = [_parent_field(None), *services.FIELDS, PROFILE]
        form = form_from_fields(fields, {"parent": request.args.get("parent")})
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    values = dict(form.cleaned)
                    profile = values.pop("profile")
                    unit = services.create_unit(values, _one(values.pop("parent")))
            except AppError as bad:
                form.show(bad)
            else:
                flash(
                    _(
                        "%(name)s was added. Give people positions there so that they can work in it.",
                        name=unit_name(unit),
                    ),
                    "good",
                )
                if profile:
                    return redirect(self.get_url("profiles.profile", code=profile, unit=unit.id))
                return redirect(self.get_url(".index"))
        return self._form(form, None)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        """Change a unit's data."""
        unit = _one(request.args.get("id"))
        values = {one.name: getattr(unit, one.name) for one in services.FIELDS}
        form = form_from_fields(services.FIELDS, values)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    services.change_unit(unit, form.cleaned, read_id(request.form.get("version")))
            except (AppError, StaleDataError) as bad:
                form.show(bad)
            else:
                flash(_("Saved."), "good")
                return redirect(self.get_url(".index"))
        return self._form(form, unit)

    @expose("/move/", methods=("GET", "POST"))
    def move_view(self) -> Answer:
        """Put a unit, with everything below it, under another one."""
        unit = _one(request.args.get("id"))
        form = form_from_fields([_parent_field(unit)], {"parent": unit.parent_id})
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    services.move_unit(unit, _one(form.cleaned["parent"]))
            except AppError as bad:
                form.show(bad)
            else:
                flash(_("%(name)s was moved.", name=unit_name(unit)), "good")
                return redirect(self.get_url(".index"))
        return self._form(form, unit, _("Move %(name)s", name=unit_name(unit)))

    @expose("/active/", methods=("POST",))
    def active_view(self) -> Answer:
        """Close a unit or open it again."""
        unit = _one(request.form.get("id"))
        try:
            with transaction():
                services.set_active(unit, request.form.get("active") == "1")
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("Saved."), "good")
        return redirect(self.get_url(".index"))

    def _form(self, form: FieldsForm, unit: Unit | None, heading: Any = "") -> Answer:
        page = self.render(
            "admin/unit_form.html",
            form=form,
            row=unit,
            heading=heading or (_("Edit %(name)s", name=unit_name(unit)) if unit else _("New unit")),
            version=request.form.get("version") or (unit.version if unit else ""),
            back=back_to(self.get_url(".index")),
        )
        return (page, 422) if request.method == "POST" else page


class SettingScreen(Screen):
    """The settings of the current unit: own value, or what is inherited from above."""

    permission = settings.CHANGE
    icon = "settings"

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Answer:
        """Show and change the settings."""
        unit = session().scalars(select(Unit).where(Unit.id == g.unit.id)).one()
        views = settings.settings_of(unit.id)
        problems: dict[str, list[Any]] = {}
        if request.method == "POST":
            try:
                with transaction():
                    _save(unit, views)
            except InvalidData as bad:
                problems = bad.errors
            else:
                flash(_("Saved."), "good")
                return redirect(self.get_url(".index"))
        page = self.render(
            "admin/settings.html",
            groups=_groups(views, problems),
            unit=unit,
            unit_name=unit_name(unit),
            names=_names(views),
            problems=problems,
        )
        return (page, 422) if problems else page


def _managed() -> list[Unit]:
    ids = units_where(services.ADMIN)
    return [unit for unit in services.tree(with_closed=True) if unit.id in ids]


def _one(raw_id: object) -> Unit:
    """Look a unit up that the actor manages; others aren't there."""
    unit = fetch(Unit, raw_id)
    if not current_scope().may(services.ADMIN, unit.id):
        raise NotFound()
    return unit


def _parent_field(moving: Unit | None) -> Field:
    def choices() -> Choices:
        possible = [u for u in _managed() if u.active and not (moving and u.path.startswith(moving.path))]
        return [(str(u.id), f"{'　' * (u.path.count('/') - 2)}{unit_name(u)}") for u in possible]

    return Field("parent", "choice", _l("Belongs to"), True, choices)


def _save(unit: Unit, views: list[settings.SettingView]) -> None:
    """Set what was typed; an emptied or unticked "own value" goes back to inheriting. All errors are collected."""
    errors: dict[str, Any] = {}
    for view in views:
        name = view.spec.name
        raw: Any = request.form.getlist(name) if view.spec.field.kind == "many" else request.form.get(name)
        if view.spec.field.kind == "bool":
            raw = "1" if raw else "0"
        try:
            settings.set_setting(unit, name, raw if request.form.get(f"own.{name}") else None)
        except InvalidData as bad:
            errors |= bad.errors
    if errors:
        raise InvalidData(errors)


def _groups(views: list[settings.SettingView], problems: dict[str, list[Any]]) -> list[tuple[Any, list[Any]]]:
    """Return (group, [(view, field, form field)]) for the template."""
    form = form_from_fields(
        [v.spec.field for v in views], {v.spec.name: v.value for v in views}, timezone=g.unit.timezone
    )
    form.show(InvalidData(problems))
    pairs = {one.name: wtf for one, wtf in form.visible()}
    groups: dict[str, tuple[Any, list[Any]]] = {}
    for view in views:
        held = groups.setdefault(str(view.spec.group), (view.spec.group, []))
        held[1].append((view, view.spec.field, pairs[view.spec.name]))
    return list(groups.values())


def _names(views: list[settings.SettingView]) -> dict[int, str]:
    """Return the names of the units values are inherited from, as far as the actor may know them."""
    ids = {v.source_id for v in views if v.source_id}
    return {u.id: unit_name(u) for u in session().scalars(select(Unit).where(Unit.id.in_(ids)))} if ids else {}


def admin_views() -> list[AdminEntry]:
    """Return the unit screens for the menu."""
    return [
        AdminEntry(UnitScreen(name=_l("Units"), endpoint="units", url="units"), SETTINGS, 10),
        AdminEntry(SettingScreen(name=_l("Unit settings"), endpoint="unit_settings", url="settings"), SETTINGS, 20),
    ]

"""Base views on Flask-Admin: gated by plugin and permission, scoped, and without rules of their own.

Flask-Admin commits and swallows errors in its stock create, update and delete; here each calls one
service inside one ``transaction()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, abort, flash, g, jsonify, redirect, request, url_for
from flask_admin import BaseView, expose
from flask_admin.contrib.sqla import ModelView
from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response as BaseResponse

from core.kernel.database import current_scope, db, fetch, release, session, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.exporting import FILE_TYPES
from core.kernel.fields import Field, label_of
from core.kernel.ids import uuid7
from core.kernel.switches import is_enabled
from core.users.permissions import units_where

from . import export, saved_views
from .format import cell
from .forms import FieldsForm, form_from_fields, reason_text
from .listing import (
    DATE_WORDS,
    BulkAction,
    ListContext,
    ListSpec,
    Page,
    all_rows,
    count_text,
    load_page,
    read_state,
)
from .urls import back_to, local_path

BULK_CAP = 1000
Answer = str | BaseResponse | tuple[str, int]


def enabled_plugins() -> frozenset[str]:
    """Return the plugins switched on in the current unit (none outside a unit)."""
    return frozenset(getattr(g.get("unit"), "enabled", ()))


def may_here(permission: str) -> bool:
    """Tell whether the actor holds ``permission`` in the current unit ('' is always held)."""
    unit = getattr(g, "unit", None)
    return not permission or (unit is not None and current_scope().may(permission, unit.id))


def form_key() -> str:
    """Return the idempotency key of the form that was sent: the same form again makes nothing twice."""
    return request.form.get("key", "")[:60]


class Gated(BaseView):
    """A screen of one plugin ('' for the core) that needs one permission in the current unit ('' for none).

    Where the plugin is off, every address answers 404; where the permission is missing, 403.
    """

    plugin: str = ""
    permission: str = ""
    icon: str = ""
    # Whether the phone's bottom bar has it (the first three that say so).
    on_bottom_bar: Any = False
    # Before the core's own there: what a plugin's people have in hand all day, a scanner for instance.
    bottom_first: bool = False

    def is_accessible(self) -> bool:
        """Tell whether the menu may offer this screen."""
        return self._switched_on() and may_here(self.permission)

    def is_active(self) -> bool:
        """Tell whether the present request is for this screen."""
        return request.blueprint == self.endpoint

    def _switched_on(self) -> bool:
        return not self.plugin or is_enabled(self.plugin)

    def _handle_view(self, name: str, **kwargs: Any) -> None:
        if not self._switched_on():
            raise NotFound()
        if not may_here(self.permission):
            raise NotAllowed(self.permission)

    def _run_view(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # The stock version calls the view a second time when it raised a TypeError of its own.
        return fn(self, *args, **kwargs)


class Screen(Gated):
    """Base of screens that aren't about one model: ``@expose("/")`` a method and render a template."""


@dataclass(frozen=True)
class Refused:
    """One row of a bulk action that did not go through, and why."""

    label: str
    reason: str
    url: str


def list_context(permission: str = "") -> ListContext:
    """Return who looks at a list; ``permission`` limits "all my units" to those where it is held."""
    return ListContext(
        actor_id=g.actor.id,
        unit_id=g.unit.id,
        timezone=g.unit.timezone,
        hooks=getattr(g.unit, "hooks", None),
        units=frozenset(
            u for u, codes in current_scope().permissions.items() if not permission or permission in codes
        ),
    )


class ListScreen(Gated):
    """A screen whose front page is a list. Subclasses give ``list_spec()``."""

    list_template = "admin/list.html"
    export_permission = ""
    create_label: Any = ""

    def list_spec(self) -> ListSpec:
        """Return what the list shows; called for each request, so keep it cheap (a module constant)."""
        raise NotImplementedError

    def create_url(self) -> str:
        """Return where the "new" button leads, or '' to show none."""
        return ""

    def list_context(self) -> ListContext:
        return list_context(self.permission)

    def list_args(self) -> dict[str, list[str]]:
        return request.args.to_dict(flat=False)

    def load(self, spec: ListSpec, context: ListContext) -> Page:
        """Load the page asked for; a screen that reads in another scope overrides this."""
        return load_page(spec, self.list_args(), context)

    @expose("/")
    def index_view(self) -> Answer:
        """Show one page of the list."""
        spec = self.list_spec()
        context = self.list_context()
        page = self.load(spec, context)
        return self.render(
            self.list_template,
            page=page,
            spec=spec,
            actions=[a for a in spec.actions if may_here(a.permission)],
            views=saved_views.views_for(spec.name, context.actor_id, context.unit_id),
            may_share=may_here("view.share"),
            date_words=DATE_WORDS,
            many_units=spec.by_unit() and len(context.units) > 1,
            create_url=self.create_url(),
            create_label=self.create_label or _("New"),
            may_export=bool(self.export_permission) and may_here(self.export_permission),
            file_types=FILE_TYPES,
        )

    @expose("/count/")
    def count_view(self) -> Answer:
        """Answer the capped number of rows; asked for after the page is shown."""
        return jsonify(count=count_text(self.list_spec(), self.list_args(), self.list_context()))

    @expose("/export/", methods=("POST",))
    def export_view(self) -> Answer:
        """Send the view as a file: same columns, filters and rights; a long one is written by a job. Logged."""
        context, spec, args = self.export_context(), self.list_spec(), self.list_args()
        file_type = export.checked_type(request.form.get("format"))
        with self.export_scope():
            if not export.is_long(spec, args, context):
                return export.send(spec, args, context, file_type)
        release()
        return redirect(url_for("jobs.run_view", id=export.start(self, spec, args, g.unit.id, file_type).id))

    def export_context(self) -> ListContext:
        """Return who exports, limited to where they may.

        Raises:
            NotAllowed: nowhere.
        """
        if not self.export_permission or not may_here(self.export_permission):
            raise NotAllowed(self.export_permission)
        seen = self.list_context()
        return replace(seen, units=seen.units & units_where(self.export_permission))

    def export_scope(self) -> AbstractContextManager[Any]:
        """Return the scope an export reads in; a list of the whole deployment overrides this."""
        return nullcontext()

    @expose("/saved/", methods=("POST",))
    def saved_view(self) -> Answer:
        """Save, pin or drop a saved view (常用筛选)."""
        spec = self.list_spec()
        try:
            with transaction():
                self._change_saved_views(spec)
        except InvalidData as bad:
            flash(reason_text(bad), "bad")
        return redirect(f"{self.get_url('.index_view')}?{request.query_string.decode('ascii', 'ignore')}")

    def _change_saved_views(self, spec: ListSpec) -> None:
        form = request.form
        if form.get("drop"):
            saved_views.drop(form["drop"], g.actor.id)
        elif form.get("pin"):
            saved_views.toggle_pin(form["pin"], g.actor.id)
        else:
            state = read_state(spec, self.list_args())
            unit_id = g.unit.id if form.get("shared") and may_here("view.share") else None
            saved_views.save(spec.name, form.get("name", ""), state.query(), g.actor.id, unit_id)

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Answer:
        """Run a bulk action on the chosen rows, each in its own transaction, and report row by row."""
        spec = self.list_spec()
        action = next((a for a in spec.actions if a.key == request.form.get("action")), None)
        if action is None:
            raise NotFound()
        if not may_here(action.permission):
            raise NotAllowed(action.permission)
        back = local_path(request.form.get("back"), self.get_url(".index_view"))
        ids = self._chosen_ids(spec)
        if not ids:
            flash(_("Choose at least one row first."), "warn")
            return redirect(back)
        if action.page is not None:
            answer: Answer = action.page(ids)
            return answer
        form = form_from_fields(action.fields(), timezone=g.unit.timezone)
        given = bool(action.fields()) and request.form.get("go") == "1"
        if action.fields() and not (given and form.validate_on_submit()):
            return self.render("admin/bulk_form.html", action=action, ids=ids, form=form, back=back, spec=spec)
        done, failed = self._run_each(spec, action, ids, form.cleaned)
        if not failed:
            flash(_("%(label)s: %(count)d rows done.", label=action.label, count=done), "good")
            return redirect(back)
        return self.render("admin/bulk_report.html", action=action, done=done, failed=failed, back=back, spec=spec)

    def _chosen_ids(self, spec: ListSpec) -> list[str]:
        if request.form.get("all") != "1":
            return list(dict.fromkeys(request.form.getlist("id")))[:BULK_CAP]
        state = read_state(spec, self.list_args())
        return [str(row.id) for rows in all_rows(state, self.list_context(), cap=BULK_CAP) for row in rows]

    def _run_each(
        self, spec: ListSpec, action: BulkAction, ids: Sequence[str], values: Mapping[str, Any]
    ) -> tuple[int, list[Refused]]:
        done, failed = 0, []
        for raw_id in ids:
            label, url = str(raw_id), ""
            try:
                with transaction():
                    row = self.row_for_action(spec, action, raw_id)
                    label, url = str(row), self.row_url(row)
                    action.run(row, dict(values))
                done += 1
            except (AppError, StaleDataError) as bad:
                failed.append(Refused(label, reason_text(bad), url))
        return done, failed

    def row_for_action(self, spec: ListSpec, action: BulkAction, raw_id: object) -> Any:
        """Look up one row, scoped, and check the action's permission in the row's own unit."""
        row = fetch(spec.model, raw_id)
        unit_id = getattr(row, "unit_id", g.unit.id)
        if self.permission and not current_scope().may(self.permission, unit_id):
            raise NotFound()
        if action.permission and not current_scope().may(action.permission, unit_id):
            raise NotAllowed(action.permission)
        return row

    def row_url(self, row: Any) -> str:
        """Return the address of a row's page, or ''."""
        return ""


class UnitModelView(ListScreen, ModelView):
    """Screens of one model with a ``unit_id``: list, details, create, edit, delete, look-up.

    A subclass gives ``list_spec()``, ``form_fields(row)`` and the services ``create(values)``,
    ``update(row, values)``, ``delete(row)``; a permission left '' means: not offered.
    """

    title: Any = ""
    create_permission = ""
    edit_permission = ""
    delete_permission = ""
    form_template = "admin/form.html"
    details_template = "admin/details.html"
    # What other plugins know these things by (``detail_panels``); '' where they add nothing to the page.
    subject = ""
    # Columns searched by prefix in look-ups, the first of which is shown.
    lookup_columns: Sequence[Any] = ()

    def __init__(self, model: type[Any], name: Any = None, endpoint: str | None = None, **kwargs: Any) -> None:
        super().__init__(model, db, name=name or self.title, endpoint=endpoint, **kwargs)

    def _refresh_cache(self) -> None:
        """Nothing to scaffold: columns and forms are our own data (a sixth of a second saved at start)."""
        self._search_supported = False

    def scaffold_auto_joins(self) -> list[Any]:
        return []

    # what subclasses give

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        """Return the fields of the form, for a new row (None) or an existing one."""
        raise NotImplementedError

    def form_values(self, row: Any) -> dict[str, Any]:
        """Return what the edit form starts with; by default the attributes of the fields' names."""
        return {one.name: getattr(row, one.name, None) for one in self.form_fields(row)}

    def create(self, values: dict[str, Any]) -> Any:
        """Call the service that creates a row in ``g.unit`` and return it."""
        raise NotImplementedError

    def update(self, row: Any, values: dict[str, Any]) -> None:
        """Call the service that changes a row."""
        raise NotImplementedError

    def delete(self, row: Any) -> None:
        """Call the service that deletes a row."""
        raise NotImplementedError

    def details(self, row: Any) -> dict[str, Any]:
        """Return what the details template needs beside ``row``; by default the form's fields as facts."""
        values = self.form_values(row)
        return {"facts": [(one.label, _fact(one, values.get(one.name))) for one in self.form_fields(row)]}

    def after_save(self, row: Any) -> str:
        """Return where to go after creating or changing a row."""
        return self.row_url(row)

    # rights

    def allowed(self, permission: str, row: Any | None = None) -> bool:
        """Tell whether the actor may do this here, or to this row in its own unit."""
        unit_id = getattr(row, "unit_id", None) if row is not None else g.unit.id
        return bool(permission) and current_scope().may(permission, unit_id or g.unit.id)

    def need(self, permission: str, row: Any | None = None) -> None:
        if not self.allowed(permission, row):
            raise NotAllowed(permission)

    def create_url(self) -> str:
        return str(self.get_url(".create_view")) if self.allowed(self.create_permission) else ""

    def row_url(self, row: Any) -> str:
        return str(self.get_url(".details_view", id=row.id))

    def get_one(self, id: Any) -> Any:
        """Look a row up inside the scope; one of a unit where the actor may not see it isn't there at all.

        Raises:
            NotFound: malformed, missing or foreign.
        """
        row = fetch(self.model, id)
        unit_id = getattr(row, "unit_id", None)
        if self.permission and unit_id is not None and not current_scope().may(self.permission, unit_id):
            raise NotFound()
        return row

    # pages

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show one row."""
        row = self.get_one(request.args.get("id"))
        return self.render(
            self.details_template,
            row=row,
            edit_url=self.get_url(".edit_view", id=row.id) if self.allowed(self.edit_permission, row) else "",
            delete_url=self.get_url(".delete_view") if self.allowed(self.delete_permission, row) else "",
            back=self.get_url(".index_view"),
            **{"panels": self._offered(row), **self.details(row)},
        )

    def _offered(self, row: Any) -> Any:
        return g.unit.hooks.detail_panels(subject=self.subject, row=row) if self.subject else []

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Show the form of a new row, or create it."""
        self.need(self.create_permission)
        form = form_from_fields(self.form_fields(None), self.new_values(), timezone=g.unit.timezone)
        if request.method == "POST" and form.validate_on_submit():
            try:
                with transaction():
                    row = self.create(form.cleaned)
            except InvalidData as bad:
                form.show(bad)
            else:
                flash(_("Saved."), "good")
                return redirect(self.after_save(row))
        return self._form_page(form, None)

    def new_values(self) -> dict[str, Any]:
        """Return what the form of a new row starts with."""
        return {}

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        """Show the form of a row, or change it. Who comes second is told, and nothing is overwritten."""
        row = self.get_one(request.args.get("id"))
        self.need(self.edit_permission, row)
        form = form_from_fields(self.form_fields(row), self.form_values(row), timezone=g.unit.timezone)
        if request.method != "POST" or not form.validate_on_submit():
            return self._form_page(form, row)
        try:
            with transaction():
                check_version(row, request.form.get("version"))
                self.update(row, form.cleaned)
        except InvalidData as bad:
            form.show(bad)
        except (StaleDataError, Conflict):
            form.problems.append(Conflict.title)
            return self._form_page(form, row, 409)
        else:
            flash(_("Saved."), "good")
            return redirect(self.after_save(row))
        return self._form_page(form, row)

    def _form_page(self, form: FieldsForm, row: Any | None, status: int = 422) -> Answer:
        page = self.render(
            self.form_template,
            form=form,
            row=row,
            version=request.form.get("version") or getattr(row, "version", ""),
            key=(form_key() or uuid7().hex) if row is None else "",
            back=back_to(self.row_url(row) if row is not None else self.get_url(".index_view")),
            **self.form_context(row),
        )
        return (page, status) if request.method == "POST" else page

    def form_context(self, row: Any | None) -> dict[str, Any]:
        """Return what the form template needs beside form and row."""
        return {}

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> Answer:
        """Delete one row; the page asks first."""
        row = self.get_one(request.form.get("id"))
        self.need(self.delete_permission, row)
        if request.form.get("confirmed") != "1":
            return self._ask_first(row)
        try:
            with transaction():
                self.delete(row)
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(self.row_url(row))
        flash(_("Deleted."), "good")
        return redirect(self.get_url(".index_view"))

    @expose("/ajax/update/", methods=("POST",))
    def ajax_update(self) -> Response:
        """Flask-Admin's editing in the list goes round our services: not offered."""
        abort(404)

    @expose("/export/<export_type>/")
    def export(self, export_type: str) -> Response:
        """Flask-Admin's own export is neither safe nor logged: not offered."""
        abort(404)

    def _ask_first(self, row: Any) -> Answer:
        """Without our script there is no dialog: ask on a page of its own."""
        return self.render(
            "admin/confirm.html",
            question=_("Delete %(name)s? This cannot be undone.", name=row),
            answer=_("Delete"),
            fields={"id": row.id},
            back=self.row_url(row),
        )

    @expose("/ajax/lookup/")
    def ajax_lookup(self) -> Response:
        """Answer up to ten rows whose name begins with the typed text, inside the scope."""
        if not self.lookup_columns:
            abort(404)
        typed = request.args.get("q", "").strip()[:60]
        statement = select(self.model).where(self.model.unit_id == g.unit.id)
        if typed:
            matches = [column.startswith(typed, autoescape=True) for column in self.lookup_columns]
            statement = statement.where(matches[0] if len(matches) == 1 else matches[0] | matches[1])
        rows = session().scalars(statement.order_by(self.model.id.desc()).limit(10))
        return jsonify([{"id": row.id, "text": str(row), "detail": self.lookup_detail(row)} for row in rows])

    def lookup_detail(self, row: Any) -> str:
        """Return the second line of a look-up's answer."""
        return ""


def check_version(row: Any, given: object) -> None:
    """Compare the version a form was opened with.

    Raises:
        Conflict: somebody has changed the row since.
    """
    held = getattr(row, "version", None)
    if held is not None and given not in (None, "") and str(given) != str(held):
        raise Conflict()


def _fact(one: Field, value: Any) -> Any:
    """Say a field's value on a page where nothing is typed."""
    if one.kind == "many":
        return _(", ").join(str(label_of(one.choice_list(), code)) for code in value or ())
    if one.kind in ("choice", "unit", "user") and value not in (None, ""):
        return label_of(one.choice_list(), str(value))
    return cell(value, one.kind)

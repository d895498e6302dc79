"""Checklists with their versions, and the plans by which inspections recur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_

from core.admin.categories import SETTINGS
from core.admin.forms import FieldsForm, reason_text
from core.admin.inspections import editing, lines, panels
from core.admin.listing import ListColumn, ListSpec, Ordering, QuickFilter
from core.admin.views import Answer, UnitModelView
from core.inspections import checklists, items, plans, uses
from core.inspections import services as inspections
from core.inspections.models import (
    ITEM_KINDS,
    SEVERITIES,
    VERSION_STATES,
    Checklist,
    ChecklistVersion,
    InspectionPlan,
)
from core.kernel.database import transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.kernel.ids import read_id
from core.places.models import KINDS

MANAGE = inspections.MANAGE


def _use_badge(row: Any) -> tuple[Any, str]:
    return (_("In use"), "good") if row.active else (_("Out of use"), "neutral")


def _in_use(column: Any) -> Sequence[QuickFilter]:
    return (
        QuickFilter("active", _l("In use"), lambda s, _c: s.where(column)),
        QuickFilter("closed", _l("Out of use"), lambda s, _c: s.where(column.is_(False))),
    )


CHECKLISTS = ListSpec(
    name="checklists",
    title=_l("Checklists"),
    model=Checklist,
    columns=(
        ListColumn(
            "title",
            _l("Name"),
            panels.checklist_title,
            link=lambda row: url_for("checklists.details_view", id=row.id),
            card="title",
        ),
        ListColumn("code", _l("Code"), lambda row: row.code, "code"),
        ListColumn("use", _l("What it is for"), lambda row: uses.title_of(row.use) if row.use else ""),
        ListColumn("clause", _l("Clause"), lambda row: row.clause, "code"),
        ListColumn("active", _l("State"), _use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Checklist.id,)),),
    quick=_in_use(Checklist.active),
    search=lambda s, text, _c: s.where(
        or_(*(one.contains(text, autoescape=True) for one in (Checklist.title, Checklist.title_en, Checklist.code)))
    ),
    search_hint=_l("Code or title"),
    empty=_l("No checklists yet. Make one, add its items and publish it."),
)


class ChecklistScreen(UnitModelView):
    """Checklists: what they are called, their items as a draft, published versions."""

    title = _l("Checklists")
    permission = inspections.VIEW
    create_permission = edit_permission = MANAGE
    icon = "list"
    create_label = _l("New checklist")
    details_template = "inspection/checklist.html"

    def list_spec(self) -> ListSpec:
        return CHECKLISTS

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        fields = checklists.fields_of(g.unit.id if row is None else row.unit_id)
        if row is None:
            return fields
        active = Field("active", "bool", _l("In use"))
        return [*(checklists.with_choice(one, row.use) for one in fields if one.name != "code"), active]

    def create(self, values: dict[str, Any]) -> Any:
        return inspections.create_checklist(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        inspections.change_checklist(row, values)
        inspections.set_active(row, bool(values["active"]))

    def details(self, row: Any) -> dict[str, Any]:
        versions = inspections.versions_of(row.id)
        wanted = read_id(request.args.get("version", ""))
        shown = next((one for one in versions if one.number == wanted), versions[0] if versions else None)
        before = next((one for one in versions if shown and one.number == shown.number - 1), None)
        return {
            "facts": [
                (_("Code"), row.code),
                (_("Name"), row.title),
                (_("The same in English"), row.title_en),
                (_("What it is for"), uses.title_of(row.use) if row.use else _("Anything")),
                (_("Clause"), row.clause),
                (_("State"), _use_badge(row)[0]),
            ],
            "versions": [(one, label_of(VERSION_STATES, one.state)) for one in versions],
            "shown": shown,
            "asked": [_asked(one) for one in shown.items] if shown else [],
            "differences": _differences(before, shown) if before and shown else [],
            "before": before,
            "names": lines.names_of({one.published_by for one in versions if one.published_by}),
            "may_manage": self.allowed(MANAGE, row),
        }

    @expose("/items/", methods=("GET", "POST"))
    def items_view(self) -> Answer:
        """Edit the items of the next version. Every button sends the rows; nothing is lost on the way."""
        row = self.get_one(request.args.get("id"))
        self.need(MANAGE, row)
        draft = inspections.draft_of(row.id)
        if request.method != "POST":
            held = draft or inspections.published_version(row.id)
            return self._editor(row, list(held.items) if held else [{}], draft)
        rows = editing.rows_sent()
        action = request.form.get("do", "save")
        if action not in ("save", "publish"):
            return self._editor(row, editing.changed(rows, action), draft)
        form = editing.form_of(rows)
        try:
            with transaction():
                saved = inspections.save_draft(row, rows, version=_version_sent())
                if action == "publish":
                    inspections.publish(row)
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            _tell(form, bad)
            return self._editor(row, rows, draft, form, 409 if isinstance(bad, Conflict) else 422)
        flash(
            _("Version %(number)s published.", number=saved.number) if action == "publish" else _("Saved."), "good"
        )
        return redirect(self.row_url(row))

    def _editor(
        self,
        row: Checklist,
        rows: list[Any],
        draft: ChecklistVersion | None,
        form: FieldsForm | None = None,
        status: int = 200,
    ) -> Answer:
        form = form or editing.form_of(rows)
        # After a conflict the reader has been told: sending again is meant for the draft as it is now.
        now = draft.version if draft else 0
        shown = self.render(
            "inspection/editor.html",
            row=row,
            title=panels.checklist_title(row),
            form=form,
            rows=editing.drawn(rows, form),
            seen=now if status == 409 else request.form.get("version", now),
            back=self.row_url(row),
        )
        return (shown, status) if status != 200 else shown

    @expose("/publish/", methods=("POST",))
    def publish_view(self) -> Answer:
        """Publish the draft."""
        return self._do(lambda row: inspections.publish(row, version=_version_sent()), _("Published."))

    @expose("/drop/", methods=("POST",))
    def drop_view(self) -> Answer:
        """Throw the draft away."""
        return self._do(inspections.drop_draft, _("The draft is gone."))

    def _do(self, call: Any, said: str) -> Answer:
        row = self.get_one(request.form.get("id"))
        self.need(MANAGE, row)
        try:
            with transaction():
                call(row)
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(said, "good")
        return redirect(self.row_url(row))


def _version_sent() -> int | None:
    text = request.form.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _tell(form: FieldsForm, bad: AppError) -> None:
    """Put messages beside their rows; those of a row's key, which has no input, stand on top."""
    if isinstance(bad, InvalidData):
        bad = InvalidData({name.removesuffix(".key"): texts for name, texts in bad.errors.items()})
    form.show(bad)


def _asked(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": items.in_words(item),
        "kind": label_of(ITEM_KINDS, item["kind"]),
        "bounds": items.bounds_in_words(item),
        "answers": _(", ").join(items.in_words(one) for one in item["answers"]),
        "severity": label_of(SEVERITIES, item["severity"]) if item["kind"] in items.JUDGED else "",
        "item": item,
    }


_PARTS = {one.name: one.label for one in editing.FIELDS}


def _differences(before: ChecklistVersion, shown: ChecklistVersion) -> list[tuple[str, str, str]]:
    """Return what changed from the version before, as (item, what happened, which parts)."""
    found = []
    for one in items.compare(before.items, shown.items):
        label = items.in_words(one.now or one.was or {})
        parts = _(", ").join(str(_PARTS.get(name, name)) for name in one.parts)
        said = _("New") if one.was is None else _("Taken off the list") if one.now is None else ""
        said = said or (_("Changed") if one.parts else _("Moved in the list"))
        found.append((label, said, parts))
    return found


# --- plans -----------------------------------------------------------------------------------------


def _base() -> Select[Any]:
    found: Select[Any] = plans.with_names()
    return found


def _every(row: InspectionPlan) -> str:
    return f"{row.every} {label_of(plans.EVERY_UNITS, row.every_unit)}"


def _where(row: InspectionPlan) -> str:
    place = str(row.place) if row.place else _("The whole unit")
    kind = str(label_of(KINDS, row.place_kind)) if row.place_kind else ""
    return f"{place} · {kind}" if kind else place


PLANS = ListSpec(
    name="inspection_plans",
    title=_l("Inspection plans"),
    model=InspectionPlan,
    base=_base,
    columns=(
        ListColumn(
            "title",
            _l("Name"),
            lambda row: row.title,
            link=lambda row: url_for("inspection_plans.details_view", id=row.id),
            card="title",
        ),
        ListColumn("checklist", _l("Inspection checklist"), lambda row: panels.checklist_title(row.checklist)),
        ListColumn("where", _l("Where it is done"), _where),
        ListColumn("every", _l("Every"), _every),
        ListColumn("starts", _l("First day"), lambda row: row.starts_on, "date"),
        ListColumn("ends", _l("Last day"), lambda row: row.ends_on, "date"),
        ListColumn("active", _l("State"), _use_badge, "badge", card="badge"),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (InspectionPlan.id,)),),
    quick=_in_use(InspectionPlan.active),
    search=lambda s, text, _c: s.where(InspectionPlan.title.contains(text, autoescape=True)),
    search_hint=_l("Name"),
    empty=_l("No plans yet. A plan opens inspections by itself, once for each place and period."),
)


class PlanScreen(UnitModelView):
    """Plans of recurring inspections."""

    title = _l("Inspection plans")
    permission = inspections.VIEW
    create_permission = edit_permission = MANAGE
    icon = "refresh"
    create_label = _l("New plan")

    def list_spec(self) -> ListSpec:
        return PLANS

    def get_one(self, id: Any) -> Any:
        super().get_one(id)
        return inspections.get_plan(id)

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return plans.FIELDS if row is None else (*plans.FIELDS, Field("active", "bool", _l("In use")))

    def form_values(self, row: Any) -> dict[str, Any]:
        held = super().form_values(row)
        return {**held, "checklist": row.checklist.code, "place": row.place.code if row.place else ""}

    def create(self, values: dict[str, Any]) -> Any:
        return inspections.create_plan(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        inspections.change_plan(row, values)
        plans.set_active(row, bool(values["active"]))


def admin_views() -> list[AdminEntry]:
    return [
        AdminEntry(ChecklistScreen(Checklist, endpoint="checklists", url="/admin/checklists"), SETTINGS, 40),
        AdminEntry(
            PlanScreen(InspectionPlan, endpoint="inspection_plans", url="/admin/inspection-plans"), SETTINGS, 41
        ),
    ]

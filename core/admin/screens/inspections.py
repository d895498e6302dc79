"""Inspections: the list, starting one, filling one in on a phone, the findings, those of a place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

from flask import flash, g, jsonify, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, or_, select
from sqlalchemy.orm import contains_eager, joinedload, lazyload

from core.admin.cases import lists, words
from core.admin.cases.forms import new_key
from core.admin.categories import SERVICE
from core.admin.forms import form_from_fields, reason_text
from core.admin.inspections import filling, lines, panels
from core.admin.listing import (
    Filter,
    ListColumn,
    ListContext,
    ListSpec,
    Ordering,
    QuickFilter,
    among,
    between,
)
from core.admin.urls import back_to
from core.admin.views import Answer, ListScreen, may_here
from core.inspections import services as inspections
from core.inspections.models import SEVERITIES, Checklist, Finding, Inspection
from core.inspections.opening import INTAKE
from core.kernel.access import may
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Choices
from core.places import services as places
from core.records.engine import detail_of, fetch_visible, may_act
from core.records.models import OPEN_CATEGORIES, Record
from core.units.models import Unit
from core.users.models import User
from core.users.shared import by_pin

INSPECTION_OF: Any = cast(Any, Record).inspection


@cache
def _base() -> Select[Any]:
    return (
        select(Record)
        .join(INSPECTION_OF)
        .where(Record.type == inspections.INSPECTION.code)
        .options(
            contains_eager(INSPECTION_OF).options(
                lazyload(Inspection.record),
                joinedload(Inspection.checklist).load_only(Checklist.title, Checklist.title_en),
            ),
            joinedload(Record.assignee).load_only(User.name),
            joinedload(Record.unit).load_only(Unit.name),
        )
    )


def _open(statement: Select[Any]) -> Select[Any]:
    return statement.where(Record.category.in_(OPEN_CATEGORIES), Inspection.finished_at.is_(None))


def _name_places(rows: Sequence[Any]) -> None:
    """Give the rows of a page the full names of their places."""
    names: dict[int, str] = {}
    for unit_id in {row.unit_id for row in rows}:
        names |= places.full_names(unit_id, [place_id_of(row) for row in rows if row.unit_id == unit_id])
    for row in rows:
        row.__dict__["_place"] = names.get(place_id_of(row) or 0, "")


def place_id_of(row: Any) -> int | None:
    """Return the place of a row of inspections or findings."""
    detail: Any = row if isinstance(row, Finding) else row.inspection
    found: int | None = detail.place_id
    return found


def _place(row: Any) -> str:
    return str(row.__dict__.get("_place", ""))


def _about(row: Any) -> str:
    return _place(row) or row.inspection.subject_text


def _checklists() -> Choices:
    rows = session().scalars(select(Checklist).where(Checklist.unit_id == g.unit.id).order_by(Checklist.code))
    return [(str(one.id), panels.checklist_title(one)) for one in rows]


def _by_checklist(column: Any) -> Any:
    return lambda statement, codes, _context: statement.where(column.in_([int(code) for code in codes]))


def _failed(row: Any) -> tuple[str, str] | None:
    count = row.inspection.failed
    return (str(count), "bad") if count else None


def fill_url(row: Any) -> str:
    """Return the address of the form of an inspection."""
    return url_for("inspections.fill", record_id=row.id)


INSPECTIONS = ListSpec(
    name="inspections",
    title=_l("Inspection rounds"),
    model=Record,
    columns=(
        lists.NUMBER,
        ListColumn(
            "checklist",
            _l("Inspection checklist"),
            lambda row: panels.checklist_title(row.inspection.checklist),
            link=lists.record_url,
            card="title",
        ),
        ListColumn("place", _l("Place or subject"), _about),
        ListColumn("due", _l("Due day"), lambda row: row.inspection.due_on, "date"),
        lists.STATE,
        ListColumn("score", _l("Score"), lambda row: lines.score_badge(row.inspection), "badge", card="badge"),
        ListColumn("failed", _l("Failed items"), _failed, "badge", card="hide"),
        lists.ASSIGNEE,
        ListColumn("finished", _l("Finished at"), lambda row: row.inspection.finished_at, "moment", visible=False),
        lists.UNIT,
    ),
    orderings=lists.ORDERINGS,
    filters=(
        Filter("state", _l("State"), "choice", among(Record.state), lambda: words.state_choices(("inspection",))),
        Filter(
            "checklist", _l("Inspection checklist"), "choice", _by_checklist(Inspection.checklist_id), _checklists
        ),
        Filter("assignee", _l("Assignee"), "choice", among(Record.assignee_id), lists.staff_choices),
        Filter("finished", _l("Finished at"), "dates", between(Inspection.finished_at)),
    ),
    quick=(
        QuickFilter("open", _l("Open"), lambda s, _c: _open(s)),
        QuickFilter("mine", _l("Mine"), lambda s, c: _open(s).where(Record.assignee_id == c.actor_id)),
        QuickFilter("due", _l("Due by today"), lambda s, c: _open(s).where(Inspection.due_on <= c.today())),
        QuickFilter("late", _l("Late"), lambda s, c: _open(s).where(Inspection.due_on < c.today())),
        QuickFilter("failed", _l("With failures"), lambda s, _c: s.where(Inspection.failed > 0)),
    ),
    search=lambda s, text, context: _search(s, text, context),
    search_hint=_l("Number, checklist or place"),
    base=_base,
    prepare=_name_places,
    empty=_l("No inspections yet. Start one, or let a plan open them."),
)


def _search(statement: Select[Any], text: str, context: ListContext) -> Select[Any]:
    return statement.where(Record.id.in_(lists.find_ids("inspection", text, context)))


class InspectionScreen(ListScreen):
    """The inspections of the unit; the page of each is the record's."""

    permission = inspections.VIEW
    export_permission = "case.export"
    create_label = _l("Start an inspection")
    icon = "check"

    def list_spec(self) -> ListSpec:
        return INSPECTIONS

    def row_url(self, row: Any) -> str:
        return lists.record_url(row)

    def create_url(self) -> str:
        return str(self.get_url(".new")) if may_here(inspections.FILL) else ""

    @expose("/new", methods=("GET", "POST"))
    @by_pin
    def new(self) -> Answer:
        """Choose checklist and place; ``place`` comes from the page or label of a place."""
        if not may_here(inspections.FILL):
            raise NotAllowed(inspections.FILL)
        fields = [replace(one, **_choices_of(one.name)) for one in INTAKE if one.name != "assignee_id"]
        place = places.by_code(g.unit.id, request.args.get("place", ""))
        form = form_from_fields(fields, {"place": place.code if place else ""}, timezone=g.unit.timezone)
        status = 200
        if request.method == "POST":
            status = 422
            if form.validate_on_submit():
                try:
                    with transaction():
                        raw = {name: value for name, value in form.raw().items() if value}
                        key = request.form.get("key", "")[:80]
                        record = inspections.register(g.unit.id, raw, key=key)
                    return redirect(fill_url(record))
                except (InvalidData, Conflict) as bad:
                    form.show(bad)
        shown = self.render(
            "inspection/new.html",
            form=form,
            place=place,
            key=new_key() if status == 422 else request.form.get("key") or new_key(),
            back=back_to(self.get_url(".index_view")),
        )
        return (shown, status) if status != 200 else shown

    @expose("/<record_id>/fill", methods=("GET", "POST"))
    @by_pin
    def fill(self, record_id: str) -> Answer:
        """Fill an inspection in: what is right is kept, what is wrong is said beside its item."""
        record = fetch_visible(record_id)
        inspection = detail_of(record)
        if not isinstance(inspection, Inspection):
            raise NotFound()
        if not may_act(record, inspections.FILL):
            raise NotAllowed(inspections.FILL)
        if not record.is_open:
            return redirect(lists.record_url(record))
        sent = filling.Sent()
        if request.method == "POST":
            sent = filling.take(record.id, inspection)
            if request.form.get("auto"):
                answer = jsonify(sent.told())
                answer.status_code = sent.status
                return answer
            if sent.status == 200:
                return redirect(self._after(record, sent))
        return self._fill_page(record, inspection, sent)

    def _after(self, record: Record, sent: filling.Sent) -> str:
        if not sent.finished:
            flash(_("Saved."), "good")
            return fill_url(record)
        flash(_("Inspection %(number)s finished.", number=record.number), "good")
        return lists.record_url(record)

    def _fill_page(self, record: Record, inspection: Inspection, sent: filling.Sent) -> Answer:
        version = inspections.version_of(inspection)
        if version is None:
            flash(_("The checklist has no published version yet"), "bad")
            return redirect(lists.record_url(record))
        seen = record.version if sent.status != 200 else request.form.get("version") or record.version
        shown = self.render(
            "inspection/fill.html",
            record=record,
            inspection=inspection,
            version=version,
            rows=filling.rows_of(inspection, version.items, sent),
            sent=sent,
            place=places.full_names(record.unit_id, [inspection.place_id]).get(inspection.place_id or 0, ""),
            title=panels.checklist_title(session().get_one(Checklist, inspection.checklist_id)),
            key=new_key(),
            seen=seen,
        )
        return (shown, sent.status) if sent.status != 200 else shown

    @expose("/place/<place_id>")
    @by_pin
    def place(self, place_id: str) -> Answer:
        """Show the inspections of a place: what its label may lead to."""
        place = places.get_place(place_id)
        if not may(inspections.VIEW, place.unit_id):
            raise NotFound()
        shown = [("", [panels.of_place(place)])]
        return self.render("inspection/place.html", place=place, name=places.full_name(place), panels=shown)

    @expose("/<record_id>/skip", methods=("GET", "POST"))
    @by_pin
    def skip(self, record_id: str) -> Answer:
        """Leave an inspection out, with the reason."""
        record = fetch_visible(record_id)
        form = form_from_fields(inspections.INSPECTION.workflow.transitions["skip"].fields)
        if request.method == "POST" and form.validate_on_submit():
            try:
                inspections.skip(record.id, form.cleaned["reason"], key=request.form.get("key", "")[:80])
            except (NotFound, NotAllowed):
                raise
            except AppError as bad:
                form.problems.append(reason_text(bad))
            else:
                flash(_("Left out."), "good")
                return redirect(lists.record_url(record))
        shown = self.render("inspection/skip.html", form=form, record=record, key=new_key())
        return (shown, 422) if request.method == "POST" else shown


def _choices_of(name: str) -> dict[str, Any]:
    if name != "checklist":
        return {}
    found = select(Checklist).where(Checklist.unit_id == g.unit.id, Checklist.active).order_by(Checklist.code)
    usable = [(one.code, panels.checklist_title(one)) for one in session().scalars(found)]
    return {"kind": "choice", "choices": usable, "help": ""}


# --- findings --------------------------------------------------------------------------------------


def _record_of(row: Any) -> str:
    opened = row.__dict__.get("_record")
    return opened.number if opened else ""


def _record_link(row: Any) -> str:
    opened = row.__dict__.get("_record")
    return lists.record_url(opened) if opened else ""


def _prepare_findings(rows: Sequence[Any]) -> None:
    _name_places(rows)
    opened = lines.opened_by(rows)
    for row in rows:
        row.__dict__["_record"] = opened.get(row.record_id)


def _still_open(statement: Select[Any], _context: ListContext) -> Select[Any]:
    opened = select(Record.id).where(Record.id == Finding.record_id, Record.category.in_(OPEN_CATEGORIES))
    return statement.where(opened.exists())


FINDINGS = ListSpec(
    name="findings",
    title=_l("Findings"),
    model=Finding,
    columns=(
        ListColumn(
            "item",
            _l("What failed"),
            lines.finding_text,
            link=lambda row: url_for("record.page", record_id=row.inspection_id),
            card="title",
        ),
        ListColumn("place", _l("Place or room"), _place),
        ListColumn("severity", _l("How serious"), lines.severity_badge, "badge", card="badge"),
        ListColumn("note", _l("Remark"), lambda row: row.note),
        ListColumn("found", _l("Found at"), lambda row: row.found_at, "moment", order="newest"),
        ListColumn("record", _l("Opened record"), _record_of, "code", link=_record_link),
    ),
    orderings=(
        Ordering("newest", _l("Newest first"), (Finding.found_at, Finding.id)),
        Ordering("oldest", _l("Oldest first"), (Finding.found_at, Finding.id), descending=False),
    ),
    filters=(
        Filter("severity", _l("How serious"), "choice", among(Finding.severity), SEVERITIES),
        Filter("checklist", _l("Inspection checklist"), "choice", _by_checklist(Finding.checklist_id), _checklists),
        Filter("found", _l("Found at"), "dates", between(Finding.found_at)),
    ),
    quick=(
        QuickFilter("open", _l("Record still open"), _still_open),
        QuickFilter("none", _l("Nothing opened"), lambda s, _c: s.where(Finding.record_id.is_(None))),
    ),
    search=lambda s, text, _c: s.where(
        or_(*(one.contains(text, autoescape=True) for one in (Finding.item, Finding.item_en, Finding.note)))
    ),
    search_hint=_l("Item or remark"),
    prepare=_prepare_findings,
    empty=_l("Nothing has failed yet."),
)


class FindingScreen(ListScreen):
    """What failed in finished inspections."""

    permission = inspections.VIEW
    export_permission = "case.export"
    icon = "warn"

    def list_spec(self) -> ListSpec:
        return FINDINGS

    def row_url(self, row: Any) -> str:
        return url_for("record.page", record_id=row.inspection_id)


def admin_views() -> list[AdminEntry]:
    return [
        AdminEntry(
            InspectionScreen(name=_l("Inspection rounds"), endpoint="inspections", url="/admin/inspections"),
            SERVICE,
            32,
        ),
        AdminEntry(FindingScreen(name=_l("Findings"), endpoint="findings", url="/admin/findings"), SERVICE, 33),
    ]

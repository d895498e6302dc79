"""Cases: the list, the form that registers one while the customer is on the phone, correcting one."""

from __future__ import annotations

from typing import Any

from flask import flash, g, jsonify, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.cases import forms, intake, lists, page, words
from core.admin.categories import SERVICE
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import ListSpec
from core.admin.views import Answer, ListScreen, may_here
from core.cases.callers import look_up
from core.cases.models import Case
from core.cases.services import EDIT_FIELDS, edit_case
from core.customers.paste import read_pasted
from core.kernel.database import current_scope
from core.kernel.errors import NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.ids import read_id
from core.records.engine import detail_of, unit_zone
from core.records.models import Record

from .records import Trouble, attempt

FOUND = 6  # people and cases shown under the caller box
PERSONAL = frozenset({"contact_name", "contact_phone", "address_text"})


class CaseScreen(ListScreen):
    """The list of cases and what starts from it."""

    permission = "case.view"
    export_permission = "case.export"
    create_label = _l("Register a case")
    icon = "case"
    on_bottom_bar = True

    def list_spec(self) -> ListSpec:
        return lists.CASES

    def row_url(self, row: Any) -> str:
        return lists.record_url(row)

    def create_url(self) -> str:
        return str(self.get_url(".new")) if may_here("case.create") else ""

    # --- intake

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> Answer:
        """Register a case. A double click or retry under the same key answers the first case again."""
        _need("case.create")
        parts, failed = intake.sections()
        form = intake.build(parts)
        trouble: Trouble | None = None
        if request.method == "POST":
            trouble = Trouble(422)
            if form.validate_on_submit():
                made: list[Record] = []
                key = request.form.get("key", "")[:80]
                trouble = attempt(form, lambda: made.append(intake.save(form, parts, key)))
                if trouble is None:
                    flash(_("Case %(number)s registered.", number=made[0].number), "good")
                    return redirect(self.get_url("record.page", record_id=made[0].id, drop="intake"))
        return self._intake_page(form, parts, failed, trouble)

    def _intake_page(
        self, form: FieldsForm, parts: list[intake.Section], failed: list[str], trouble: Trouble | None
    ) -> Answer:
        conflict = trouble is not None and trouble.status == 409
        customer = intake.chosen(request.form.get("customer_id") or request.args.get("customer"))
        shown = self.render(
            "case/new.html",
            form=form,
            pairs={one.name: (one, widget) for one, widget in form.visible()},
            buttons=intake.BUTTONS,
            parts=intake.drawn(parts, form),
            failed=failed,
            customer=customer,
            trouble=trouble,
            key=forms.new_key() if conflict else request.form.get("key") or forms.new_key(),
            query=request.args.get("q", request.args.get("phone", ""))[:60],
        )
        return (shown, trouble.status) if trouble else shown

    @expose("/caller")
    def caller(self) -> Answer:
        """Answer, as a fragment, who a number or name may be: first their open cases, then the customers."""
        _need("case.create")
        text = request.args.get("q", "")[:60]
        found = look_up(g.unit.id, text, FOUND)
        cases = [(one, words.state_badge(one), forms.new_key()) for one in found.open_cases]
        return self.render(
            "case/_caller.html",
            text=text,
            cases=cases,
            customers=[intake.found(one) for one in found.customers],
            may_chase=may_here("case.chase"),
        )

    @expose("/split", methods=("POST",))
    def split(self) -> Answer:
        """Split a pasted chat line into name, phone and address. Writes nothing; a POST keeps it out of logs."""
        _need("case.create")
        found = read_pasted(request.form.get("text", ""))
        return jsonify(
            customer_name=found.name,
            contact_name=found.name,
            contact_phone=found.phones[0] if found.phones else "",
            address_text=found.address,
            description=found.rest,
        )

    # --- correcting

    @expose("/<record_id>/edit", methods=("GET", "POST"))
    def edit(self, record_id: str) -> Answer:
        """Correct a case's details. Who comes second is told, and nothing is overwritten."""
        record = page.load(record_id)
        case = detail_of(record)
        if not isinstance(case, Case):
            raise NotFound()
        if not current_scope().may("case.edit", record.unit_id):
            raise NotAllowed("case.edit")
        held = {one.name: getattr(case, one.name) for one in EDIT_FIELDS}
        open_names = current_scope().may("customer.pii", record.unit_id)
        fields = [one for one in EDIT_FIELDS if open_names or one.name not in PERSONAL]
        form = form_from_fields(fields, held, timezone=unit_zone(record))
        trouble: Trouble | None = None
        if request.method == "POST":
            trouble = Trouble(422)
            if form.validate_on_submit():
                version = read_id(request.form.get("version", ""))
                trouble = attempt(form, lambda: edit_case(record_id, {**held, **form.raw()}, version=version))
                if trouble is None:
                    flash(_("Saved."), "good")
                    return redirect(lists.record_url(record))
        shown = self.render(
            "record/form.html",
            record=record,
            form=form,
            title=_("Save"),
            about="",
            trouble=trouble or Trouble(),
            key="",
            version=record.version
            if trouble and trouble.status == 409
            else request.form.get("version") or record.version,
            back=lists.record_url(record),
        )
        return (shown, trouble.status) if trouble else shown


def _need(permission: str) -> None:
    if not may_here(permission):
        raise NotAllowed(permission)


def admin_views() -> list[AdminEntry]:
    return [AdminEntry(CaseScreen(name=_l("Cases"), endpoint="cases", url="/admin/cases"), SERVICE, 10)]

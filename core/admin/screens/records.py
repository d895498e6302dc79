"""The page of one record of any type, its steps and small forms, its files; the list of all records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, flash, g, redirect, request, send_file
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.cases import forms, lists, page
from core.admin.cases.deadlines import DAY_KINDS, deadlines_of
from core.admin.cases.mails import mails_of, may_write
from core.admin.cases.money import agreements_of, penalties_of
from core.admin.categories import SERVICE
from core.admin.export import attachment as disposition
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import ListSpec
from core.admin.urls import back_to, local_path
from core.admin.views import Answer, ListScreen, Screen, reason_text
from core.cases.contact import reveal_contact
from core.cases.field_work import perform_with_files
from core.cases.services import call_attempt
from core.kernel.database import transaction
from core.kernel.errors import AppError, Conflict, InvalidData, NotAllowed, NotFound, Refusal, Refused
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.kernel.ids import read_id
from core.records import services
from core.records.attachments import INLINE, attach, open_attachment
from core.records.engine import ask, fetch_visible, flow_of, record_fact, sees_inside, unit_zone
from core.records.models import Record

from .charges import charges_of

VISIBLE_WORDS = {True: True, False: None}  # unticked: as the kind of fact says


@dataclass
class Trouble:
    """What went wrong with a sent form, for its page: refusals with clauses, or one message."""

    status: int = 200
    refusals: Sequence[Refusal] = ()
    message: Any = ""


def attempt(form: FieldsForm, call: Callable[[], object]) -> Trouble | None:
    """Run one service in one transaction. None: done. Else the trouble, to show with the form as it was typed.

    Lets NotFound and NotAllowed through to their error pages.
    """
    try:
        with transaction():
            call()
    except InvalidData as bad:
        form.show(bad)
        return Trouble(422)
    except Refused as refused:
        return Trouble(409, refused.refusals, refused.title)
    except Conflict as conflict:
        return Trouble(409, (), conflict.message)
    return None


class RecordList(ListScreen):
    """All records of all types (全部单据)."""

    permission = "case.view"
    export_permission = "case.export"
    icon = "list"

    def list_spec(self) -> ListSpec:
        return lists.RECORDS

    def row_url(self, row: Any) -> str:
        return lists.record_url(row)


class RecordScreen(Screen):
    """One record. Who may see it is decided by the record's own unit, hence no permission of the screen itself."""

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> Answer:
        return redirect(self.get_url("records.index_view"))

    @expose("/<record_id>")
    def page(self, record_id: str) -> Answer:
        """Show a record. ``before``: continue the timeline below that fact."""
        return self._page(page.load(record_id))

    def _page(self, record: Record, *, revealed: bool = False) -> Answer:
        before = read_id(request.args.get("before", ""))
        shown = page.context(record, before=before, revealed=revealed)
        return self.render(
            "record/page.html",
            key=forms.new_key(),
            deadlines=deadlines_of(record),
            day_kinds=DAY_KINDS,
            wanted=agreements_of(record),
            charges=charges_of(record),
            penalties=penalties_of(record),
            mails=mails_of(record),
            may_write=may_write(record),
            **shown,
        )

    # --- steps

    @expose("/<record_id>/do/<step>", methods=("GET", "POST"))
    def do(self, record_id: str, step: str) -> Answer:
        """Show the form of a step, or perform it."""
        record = page.load(record_id)
        found = flow_of(record).transitions.get(step)
        if found is None:
            raise NotFound()
        if not sees_inside(record):
            _require_own_step(record, step)
        form = form_from_fields(forms.step_fields(record, found), timezone=unit_zone(record))
        if request.method != "POST":
            against = next((one.refusals for one in ask(record) if one.transition.name == step), ())
            told = Trouble(200, against, Refused.title if against else "")
            return self._form(record, form, found.label, found.help, told)
        trouble = Trouble(422)
        if form.validate_on_submit():
            problem = attempt(form, lambda: perform_sent(record_id, step, form))
            if problem is None:
                flash(_("%(step)s: done.", step=found.label), "good")
                return redirect(self._back(record))
            trouble = problem
        return self._form(record, form, found.label, found.help, trouble)

    # --- small forms

    @expose("/<record_id>/comment", methods=("GET", "POST"))
    def comment(self, record_id: str) -> Answer:
        """Write a comment."""

        def save(form: FieldsForm) -> object:
            return services.comment(record_id, form.cleaned["text"], visible_to_customer=form.cleaned["visible"])

        return self._small(record_id, lambda _record: forms.COMMENT_FIELDS, _("Comment"), save)

    @expose("/<record_id>/call", methods=("GET", "POST"))
    def call(self, record_id: str) -> Answer:
        """Record a call that did not reach the customer."""

        def save(form: FieldsForm) -> object:
            return call_attempt(record_id, form.raw(), timezone=form.timezone_)

        return self._small(record_id, lambda _record: forms.CALL_FIELDS, _("Call attempt"), save)

    @expose("/<record_id>/fact", methods=("GET", "POST"))
    def fact(self, record_id: str) -> Answer:
        """Enter what happened, also later than it did."""

        def save(form: FieldsForm) -> object:
            given = form.cleaned
            return record_fact(
                record_id,
                given["kind"],
                at=given["at"],
                note=given["note"] or "",
                visible=VISIBLE_WORDS[given["visible"]],
            )

        return self._small(record_id, forms.fact_fields, _("Add what happened"), save)

    @expose("/<record_id>/remind", methods=("GET", "POST"))
    def remind(self, record_id: str) -> Answer:
        """Set a next action."""

        def save(form: FieldsForm) -> object:
            return services.remind(record_id, form.cleaned["text"], form.cleaned["due_at"], form.cleaned["user_id"])

        return self._small(
            record_id, lambda record: forms.remind_fields(record, g.actor.id), _("Add a reminder"), save
        )

    @expose("/<record_id>/files", methods=("GET", "POST"))
    def files(self, record_id: str) -> Answer:
        """Add files: chosen, dropped, pasted or photographed."""

        def save(form: FieldsForm) -> object:
            uploads = form.cleaned["file"]
            return [attach(record_id, one.filename or "", one.stream) for one in uploads]

        fields = (Field("file", "photos", _l("Files"), True),)
        return self._small(record_id, lambda _record: fields, _("Add files"), save)

    def _small(
        self,
        record_id: str,
        fields: Callable[[Record], Sequence[Field]],
        title: str,
        save: Callable[[FieldsForm], object],
    ) -> Answer:
        record = page.load(record_id)
        form = form_from_fields(fields(record), timezone=unit_zone(record))
        if request.method != "POST":
            return self._form(record, form, title)
        trouble = Trouble(422)
        if form.validate_on_submit():
            problem = attempt(form, lambda: save(form))
            if problem is None:
                return redirect(self._after_small(record))
            trouble = problem
        return self._form(record, form, title, "", trouble)

    def _after_small(self, record: Record) -> str:
        if request.endpoint != "record.comment":
            return self._back(record)
        # The page then drops the draft the browser kept of the comment.
        return str(self.get_url(".page", record_id=record.id, drop=f"comment-{record.id}"))

    def _form(
        self, record: Record, form: FieldsForm, title: Any, about: Any = "", trouble: Trouble | None = None
    ) -> Answer:
        trouble = trouble or Trouble()
        conflict = trouble.status == 409
        shown = self.render(
            "record/form.html",
            record=record,
            form=form,
            title=title,
            about=about,
            trouble=trouble,
            # After a conflict the user has been told: sending again is meant for the record as it is now.
            key=forms.new_key() if conflict else request.form.get("key") or forms.new_key(),
            version=record.version if conflict else request.form.get("version") or record.version,
            back=self._back(record),
        )
        return (shown, trouble.status) if trouble.status != 200 else shown

    def _back(self, record: Record) -> str:
        return back_to(lists.record_url(record))

    # --- one click

    @expose("/<record_id>/watch", methods=("POST",))
    def watch(self, record_id: str) -> Answer:
        """Follow a record, or stop."""
        with transaction():
            services.watch(record_id, request.form.get("on") == "1")
        return redirect(self.get_url(".page", record_id=record_id))

    @expose("/<record_id>/stage", methods=("POST",))
    def stage(self, record_id: str) -> Answer:
        """Put the unit's own label on a record, or take it off."""
        with transaction():
            services.set_stage(record_id, request.form.get("stage") or None)
        return redirect(self.get_url(".page", record_id=record_id))

    @expose("/<record_id>/reveal", methods=("POST",))
    def reveal(self, record_id: str) -> Answer:
        """Show personal data in full; the look-up is in the audit trail."""
        with transaction():
            reveal_contact(record_id)
        return self._page(page.load(record_id), revealed=True)

    @expose("/reminder/<reminder_id>/done", methods=("POST",))
    def reminder_done(self, reminder_id: str) -> Answer:
        """Tick a next action off."""
        with transaction():
            services.finish_reminder(reminder_id)
        return redirect(local_path(request.form.get("back"), self.get_url("admin.index")))

    # --- files

    @expose("/file/<attachment_id>")
    def file(self, attachment_id: str) -> Response:
        """Send a file: safe pictures may show in the page, all else is a download."""
        row, path = open_attachment(attachment_id)
        if not path.exists():
            raise NotFound()
        answer = send_file(path, mimetype=row.media_type, conditional=True, max_age=0)
        if row.media_type not in INLINE or request.args.get("save"):
            answer.headers["Content-Disposition"] = disposition(row.name, "file")
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer

    @expose("/<record_id>/paste", methods=("POST",))
    def paste(self, record_id: str) -> Answer:
        """Take files sent by the page's script (dropped or pasted); answer in JSON."""
        uploads = [one for one in request.files.getlist("file") if one.filename]
        try:
            with transaction():
                found = fetch_visible(record_id).id
                for one in uploads:
                    attach(found, one.filename or "", one.stream)
        except AppError as bad:
            return {"error": reason_text(bad)}, bad.status  # type: ignore[return-value]
        return {"count": len(uploads)}  # type: ignore[return-value]


def _require_own_step(record: Record, name: str) -> None:
    """Pass if the step is an outsider's: forms of others name staff and prices."""
    against = next((one.refusals for one in ask(record) if one.transition.name == name), ())
    if any(one.code == "permission" for one in against):
        raise NotAllowed(flow_of(record).transitions[name].permission)


def plain_words(form: FieldsForm) -> dict[str, Any]:
    """Return what was sent with files by their names: a retry sends the same files as new objects."""
    photos = {one.name for one in form.fields_ if one.kind == "photos"}
    return {key: [up.filename for up in value] if key in photos else value for key, value in form.raw().items()}


def perform_sent(record_id: str, name: str, form: FieldsForm) -> object:
    """Perform a step with what the request sent: words, files, a drawn signature, key and version."""
    raw = form.raw()
    files = [(one.name, upload) for one in form.fields_ if one.kind == "photos" for upload in raw[one.name]]
    drawn = next((raw[one.name] for one in form.fields_ if one.kind == "signature" and raw[one.name]), "")
    return perform_with_files(
        record_id,
        name,
        plain_words(form),
        files,
        signature=drawn,
        tapped=request.form.get("tapped", ""),
        key=request.form.get("key", "")[:80],
        version=read_id(request.form.get("version", "")),
    )


def admin_views() -> list[AdminEntry]:
    """The list of all records, and the page of one."""
    return [
        AdminEntry(RecordList(name=_l("All records"), endpoint="records", url="/admin/records"), SERVICE, 30),
        AdminEntry(RecordScreen(name=_l("Record"), endpoint="record", url="/admin/record"), SERVICE, 99),
    ]

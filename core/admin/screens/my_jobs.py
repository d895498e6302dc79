"""My jobs (我的任务): made for a phone held in one hand, on a network that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import flash, g, redirect, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from core.admin.cases import forms, jobs, page, words
from core.admin.cases.contact import contact_of
from core.admin.cases.deadlines import deadlines_of, pending
from core.admin.cases.details import pairs_of
from core.admin.categories import WORK
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.views import Answer, Screen
from core.cases.field_work import once, tapped_at
from core.cases.services import call_attempt
from core.kernel.errors import NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field
from core.records.attachments import INLINE, attach
from core.records.engine import detail_of, flow_of, record_fact, unit_zone
from core.records.models import Record
from core.records.workflow import Transition

from .records import Trouble, attempt, perform_sent, plain_words

PHOTOS = Field("photos", "photos", _l("Photos"), options={"accept": "image/*,video/mp4,audio/*,.heic"})
SIGNATURE = Field("signature", "signature", _l("Customer's signature"))
SmallForm = tuple[str, Any, Sequence[Field]]
# Small forms beside the steps: (end point, title, fields).
CALL: SmallForm = ("call", _l("Call attempt"), forms.CALL_FIELDS)
CONTACTED: SmallForm = (
    "contacted",
    _l("Record the contact"),
    (
        Field("at", "moment", _l("When it happened"), help=_l("Leave empty for the present time")),
        Field("note", "long", _l("What was agreed"), max_length=500),
    ),
)
PICTURES: SmallForm = ("photos", _l("Photos"), (replace(PHOTOS, required=True),))
CONTACTS = (CONTACTED, CALL)
# Steps that a technician backs with pictures.
WITH_PHOTOS = frozenset({"arrive", "solve", "wait", "decline", "finish"})


class JobScreen(Screen):
    """The jobs assigned to the signed-in person, in every unit of theirs. Nobody else's are here."""

    icon = "wrench"
    on_bottom_bar = True

    @expose("/")
    def index(self) -> Answer:
        """List the jobs as cards, those due first."""
        return self.render("my/jobs.html", jobs=jobs.my_jobs(_me()))

    @expose("/<record_id>")
    def job(self, record_id: str) -> Answer:
        """Show one job with its big buttons."""
        record = jobs.load(record_id)
        detail = detail_of(record)
        steps = jobs.big_steps(record)
        formed = {step.name: fields for step, _tone in steps if (fields := _fields(record, step))}
        return self.render(
            "my/job.html",
            record=record,
            steps=steps,
            is_visit=jobs.is_visit(record),
            formed=formed,
            held=list(self._held(record, steps, formed)),
            trouble=Trouble(),
            state=words.state_badge(record),
            due=words.due_badge(record),
            deadlines=pending(deadlines_of(record)),
            contact=contact_of(record, detail),
            pairs=pairs_of(record, detail),
            files=page.files_of(record),
            inline=INLINE,
            key=forms.new_key(),
        )

    def _held(
        self, record: Record, steps: Sequence[tuple[Transition, str]], formed: Mapping[str, Sequence[Field]]
    ) -> Iterator[tuple[str, Any, FieldsForm, str]]:
        """Give the forms a job may need, as (address, title, form, key): they lie in its page and open offline."""
        zone = unit_zone(record)
        for step, _tone in steps:
            if step.name in formed:
                url = self.get_url(".do", record_id=record.id, step=step.name)
                yield url, step.label, form_from_fields(formed[step.name], timezone=zone), forms.new_key()
        for name, title, fields in (*(CONTACTS if jobs.is_visit(record) else ()), PICTURES):
            url = self.get_url(f".{name}", record_id=record.id)
            yield url, title, form_from_fields(fields, timezone=zone), forms.new_key()

    @expose("/<record_id>/do/<step>", methods=("GET", "POST"))
    def do(self, record_id: str, step: str) -> Answer:
        """Show a step's form, or perform it. No version is asked for: on the road the state alone decides."""
        record = jobs.load(record_id)
        found = flow_of(record).transitions.get(step)
        if found is None or step not in (*jobs.STEPS, *jobs.TASK_STEPS):
            raise NotFound()
        form = form_from_fields(_fields(record, found), timezone=unit_zone(record))
        if request.method != "POST":
            return self._form(record, form, found.label)
        trouble: Trouble | None = Trouble(422)
        if form.validate_on_submit():
            trouble = attempt(form, lambda: perform_sent(record_id, step, form))
        if trouble is None:
            flash(_("%(step)s: done.", step=found.label), "good")
            return redirect(self._next(record))
        return self._form(record, form, found.label, trouble)

    @expose("/<record_id>/call", methods=("GET", "POST"))
    def call(self, record_id: str) -> Answer:
        """Record a call that did not reach the customer."""
        return self._fact(record_id, CALL, call_attempt_of)

    @expose("/<record_id>/contacted", methods=("GET", "POST"))
    def contacted(self, record_id: str) -> Answer:
        """Record that the customer was reached."""
        return self._fact(record_id, CONTACTED, contacted_of)

    @expose("/<record_id>/photos", methods=("GET", "POST"))
    def photos(self, record_id: str) -> Answer:
        """Add photos, videos or voice notes."""
        return self._fact(record_id, PICTURES, photos_of)

    def _fact(self, record_id: str, small: SmallForm, save: Any) -> Answer:
        record = jobs.load(record_id)
        name, title, fields = small
        form = form_from_fields(fields, timezone=unit_zone(record))
        if request.method != "POST":
            return self._form(record, form, title)
        trouble: Trouble | None = Trouble(422)
        if form.validate_on_submit():
            key = request.form.get("key", "")[:80]
            trouble = attempt(form, lambda: once(record, name, plain_words(form), key, lambda: save(record, form)))
        if trouble is None:
            flash(_("%(step)s: done.", step=title), "good")
            return redirect(self._next(record))
        return self._form(record, form, title, trouble)

    def _form(self, record: Record, form: FieldsForm, title: Any, trouble: Trouble | None = None) -> Answer:
        trouble = trouble or Trouble()
        shown = self.render(
            "my/form.html",
            record=record,
            form=form,
            title=title,
            trouble=trouble,
            key=forms.new_key() if trouble.status == 409 else request.form.get("key") or forms.new_key(),
        )
        return (shown, trouble.status) if trouble.status != 200 else shown

    def _next(self, record: Record) -> str:
        """Back to the job while it is still mine, else to the list."""
        if record.assignee_id == _me() and record.state != "confirmed":
            return str(self.get_url(".job", record_id=record.id))
        return str(self.get_url(".index"))


def _me() -> int | None:
    return g.actor.id if g.actor else None


def _fields(record: Record, step: Transition) -> list[Field]:
    fields = forms.step_fields(record, step)
    if step.name == "confirm":
        return [*fields, SIGNATURE]
    return [*fields, PHOTOS] if step.name in WITH_PHOTOS else fields


def _tapped(record: Record) -> datetime | None:
    return tapped_at(record, request.form.get("tapped", ""))


def call_attempt_of(record: Record, form: FieldsForm) -> object:
    given = {**form.raw(), "at": form.cleaned["at"] or _tapped(record)}
    return call_attempt(record.id, given, timezone=form.timezone_)


def contacted_of(record: Record, form: FieldsForm) -> object:
    at = form.cleaned["at"] or _tapped(record)
    return record_fact(record.id, "contacted", at=at, note=form.cleaned["note"] or "")


def photos_of(record: Record, form: FieldsForm) -> object:
    return [attach(record.id, one.filename or "", one.stream, kind="photo") for one in form.cleaned["photos"]]


def admin_views() -> list[AdminEntry]:
    return [AdminEntry(JobScreen(name=_l("My jobs"), endpoint="my", url="/my"), WORK, 5)]

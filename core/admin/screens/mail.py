"""E-mail: mailboxes of the unit, every mail that came or went, those put aside, replies to customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flask import Response, flash, g, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, func, select
from sqlalchemy.orm import joinedload

from core.admin.cases import forms, page
from core.admin.cases.mails import (
    DIRECTIONS,
    STATES,
    VIEW,
    address_key,
    other_side,
    reply_fields,
    state_badge,
)
from core.admin.categories import CONNECTIONS, SERVICE
from core.admin.export import attachment as disposition
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen, Screen, UnitModelView, may_here, reason_text
from core.kernel.access import may, require
from core.kernel.database import fetch, release, session, transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.mail import fetching, intake, judge, mailboxes, outgoing, store
from core.mail.models import Mail, Mailbox
from core.mail.reasons import reason_words
from core.mail.scope import own_mark
from core.records.engine import may_read, unit_zone
from core.records.models import Record

from .records import Trouble, attempt

MOST_COUNTED = 99
PII = "customer.pii"
# --- mailboxes ------------------------------------------------------------------------------------


def _health(row: Mailbox) -> tuple[Any, str]:
    if not row.active:
        return _("Not in use"), "neutral"
    if row.error:
        return _("Cannot be read"), "bad"
    return (_("Works"), "good") if row.checked_at else (_("Not fetched yet"), "info")


MAILBOXES = ListSpec(
    name="mailboxes",
    title=_l("Mailboxes"),
    model=Mailbox,
    columns=(
        ListColumn(
            "name",
            _l("Name of the mailbox"),
            lambda row: row.name,
            link=lambda row: url_for("mailboxes.details_view", id=row.id),
            card="title",
        ),
        ListColumn("health", _l("State"), _health, "badge", card="badge"),
        ListColumn("address", _l("E-mail address"), lambda row: row.address),
        ListColumn("host", _l("Mail server (IMAP)"), lambda row: f"{row.host}:{row.port}"),
        ListColumn("checked", _l("Last looked into"), lambda row: row.checked_at, "moment"),
        ListColumn("error", _l("Trouble"), lambda row: row.error),
    ),
    orderings=(Ordering("id", _l("Newest first"), (Mailbox.id,)),),
    empty=_l("No mailbox yet. Set one up, and its mails become cases and replies."),
)


class MailboxScreen(UnitModelView):
    """Mailboxes: set up, changed, tried out, switched off."""

    title = _l("Mailboxes")
    permission = create_permission = edit_permission = mailboxes.ADMIN
    icon = "settings"
    create_label = _l("New mailbox")
    details_template = "admin/mailbox.html"

    def list_spec(self) -> ListSpec:
        return MAILBOXES

    def form_fields(self, row: Any | None) -> Sequence[Field]:
        return mailboxes.mailbox_fields(row)

    def form_values(self, row: Any) -> dict[str, Any]:
        names = (one.name for one in self.form_fields(row))
        return {name: getattr(row, name) for name in names if name != "password"}

    def create(self, values: dict[str, Any]) -> Any:
        return mailboxes.save_mailbox(g.unit.id, values)

    def update(self, row: Any, values: dict[str, Any]) -> None:
        mailboxes.save_mailbox(row.unit_id, values, row)

    def details(self, row: Any) -> dict[str, Any]:
        facts = super().details(row)["facts"]
        labels = {one.label for one in self.form_fields(row) if one.name == "password"}
        return {"facts": [pair for pair in facts if pair[0] not in labels], "health": _health(row)}

    @expose("/test/", methods=("POST",))
    def test_view(self) -> Answer:
        """Sign in to a mailbox now and say what came of it."""
        row = self.get_one(request.form.get("id"))
        access, back = fetching.access_of(row), self.row_url(row)
        release()  # the mail server may take its time
        try:
            count = fetching.try_out(access)
        except AppError as bad:
            flash(reason_text(bad), "bad")
        else:
            flash(_("The mailbox can be read; the folder holds %(count)d mails.", count=count), "good")
        return redirect(back)


# --- mails ----------------------------------------------------------------------------------------


def mail_url(row: Mail) -> str:
    """Return the address of a mail's page."""
    return url_for("mails.details_view", id=row.id)


def _base() -> Select[Any]:
    return select(Mail).options(joinedload(Mail.record), joinedload(Mail.mailbox))


def _title(row: Mail) -> str:
    return row.subject or _("(none)")


def _record_url(row: Mail) -> str:
    return url_for("record.page", record_id=row.record_id) if row.record_id else ""


def _by_words(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    numbered = select(Record.id).where(Record.number == text.upper())
    words = Mail.subject.contains(text, autoescape=True)
    return statement.where(words | (Mail.sender == text.lower()) | Mail.record_id.in_(numbered))


MAILS = ListSpec(
    name="mails",
    title=_l("E-mails"),
    model=Mail,
    base=_base,
    columns=(
        ListColumn("subject", _l("E-mail subject"), _title, link=mail_url, card="title"),
        ListColumn("state", _l("State"), state_badge, "badge", card="badge"),
        ListColumn("direction", _l("Direction"), lambda m: label_of(DIRECTIONS, m.direction)),
        ListColumn("other", _l("Sender or receiver"), other_side),
        ListColumn("at", _l("Time"), lambda m: m.at, "moment"),
        ListColumn("record", _l("Record"), lambda m: m.record.number if m.record else "", "code", link=_record_url),
        ListColumn("reason", _l("Reason"), lambda m: reason_words(m.reason) if m.state != "sent" else ""),
        ListColumn("mailbox", _l("Mailbox"), lambda m: m.mailbox.name, visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Mail.id,)),),
    filters=(
        Filter("state", _l("State"), "choice", among(Mail.state), STATES),
        Filter("direction", _l("Direction"), "choice", among(Mail.direction), DIRECTIONS),
        Filter("at", _l("Time"), "dates", between(Mail.at)),
    ),
    quick=(
        QuickFilter("aside", _l("Put aside"), lambda s, _c: s.where(Mail.state == "quarantined")),
        QuickFilter("failed", _l("Not delivered"), lambda s, _c: s.where(Mail.state == "failed")),
    ),
    search=_by_words,
    search_hint=_l("Words of the subject, address or record number"),
    empty=_l("No e-mails yet. Once a mailbox is set up, what arrives there is listed here with what became of it."),
)
NUMBER = Field("number", "text", _l("Record number"), True, max_length=40)


class MailScreen(ListScreen):
    """Every mail of the unit; those put aside wait here for somebody to look."""

    model = Mail
    permission = VIEW
    icon = "inbox"

    def list_spec(self) -> ListSpec:
        return MAILS

    def row_url(self, row: Mail) -> str:
        return mail_url(row)

    def waiting_count(self) -> int:
        """Return how many mails wait for somebody to look."""
        if "mails_waiting" not in g:
            aside = (
                select(Mail.id).where(Mail.unit_id == g.unit.id, Mail.state == "quarantined").limit(MOST_COUNTED)
            )
            g.mails_waiting = session().scalar(select(func.count()).select_from(aside.subquery())) or 0
        return int(g.mails_waiting)

    def one(self, raw_id: object) -> Mail:
        """Fetch a mail of a unit whose mails the actor may see.

        Raises:
            NotFound.
        """
        row = fetch(Mail, raw_id, query=_base())
        if not may(VIEW, row.unit_id):
            raise NotFound()
        return row

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show one mail, as text."""
        return self._page(self.one(request.args.get("id")))

    def _page(self, row: Mail, form: FieldsForm | None = None) -> Answer:
        raw = store.read(row.sha256)
        seen = judge.judge(raw, own_mark()) if raw else None
        handles = may(intake.HANDLE, row.unit_id) and row.direction == "in"
        aside = handles and row.state in (intake.QUARANTINED, intake.IGNORED)
        suggested = intake.NUMBER.search(row.subject.upper())
        if aside and form is None:
            form = form_from_fields((NUMBER,), {"number": suggested.group(0) if suggested else ""})
        shown = self.render(
            "admin/mail.html",
            row=row,
            seen=seen,
            state=state_badge(row),
            reason=reason_words(row.reason) if row.reason and row.state not in ("sent", "pending") else "",
            other=other_side(row),
            aside=aside,
            form=form if aside else None,
            downloads=bool(seen) and may(PII, row.unit_id),
            resend=row.state == outgoing.FAILED and row.reason != "returned" and handles_out(row),
            back=self.get_url(".index_view"),
        )
        return (shown, 422) if request.method == "POST" else shown

    @expose("/take/", methods=("POST",))
    def take_view(self) -> Answer:
        """Register a case from a mail that was put aside."""
        row = self.one(request.form.get("id"))
        return self._done(row, lambda: intake.take_as_case(row.id), _("A case was registered from the e-mail."))

    @expose("/attach/", methods=("POST",))
    def attach_view(self) -> Answer:
        """Put a mail that was put aside on a record."""
        row = self.one(request.form.get("id"))
        form = form_from_fields((NUMBER,))
        if not form.validate_on_submit():
            return self._page(row, form)
        try:
            with transaction():
                record = intake.attach_to(row.id, form.cleaned["number"])
        except InvalidData as bad:
            form.show(bad)
            return self._page(row, form)
        flash(_("The e-mail stands on the timeline of %(number)s now.", number=record.number), "good")
        return redirect(url_for("record.page", record_id=record.id))

    @expose("/ignore/", methods=("POST",))
    def ignore_view(self) -> Answer:
        """Say that nothing is to become of a mail."""
        row = self.one(request.form.get("id"))
        return self._done(row, lambda: intake.put_aside(row.id), _("The e-mail is ignored; it stays on file."))

    @expose("/again/", methods=("POST",))
    def again_view(self) -> Answer:
        """Send a mail once more that the mail server did not take."""
        row = self.one(request.form.get("id"))
        return self._done(row, lambda: outgoing.send_again(row.id), _("The e-mail is sent again."))

    def _done(self, row: Mail, call: Callable[[], object], said: str) -> Answer:
        try:
            with transaction():
                made = call()
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            flash(reason_text(bad), "bad")
            return redirect(mail_url(row))
        flash(said, "good")
        return redirect(url_for("record.page", record_id=made.id) if isinstance(made, Record) else mail_url(row))

    @expose("/raw/")
    def raw_view(self) -> Response:
        """Send the mail itself, as a file; no browser opens it. Addresses stand in it in full."""
        row = self.one(request.args.get("id"))
        require(PII, row.unit_id)
        raw = store.read(row.sha256)
        if not raw:
            raise NotFound()
        answer = Response(raw, mimetype="application/octet-stream")
        name = f"{row.subject[:60] or row.id}.eml".replace("/", "_")
        answer.headers["Content-Disposition"] = disposition(name, f"mail-{row.id}.eml")
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
        return answer


def handles_out(row: Mail) -> bool:
    """Tell whether the actor may send a mail again."""
    return may_read(row.record, "case.handle") if row.record else may(intake.HANDLE, row.unit_id)


# --- writing to the customer ----------------------------------------------------------------------


class ReplyScreen(Screen):
    """Writing to a record's customer. Who may is decided by the record's own unit."""

    def is_visible(self) -> bool:
        return False

    @expose("/")
    def index(self) -> Answer:
        return redirect(url_for("mails.index_view") if may_here(VIEW) else url_for("records.index_view"))

    @expose("/<record_id>", methods=("GET", "POST"))
    def reply(self, record_id: str) -> Answer:
        """Show the form, or send what was written."""
        record = page.load(record_id)
        if not may_read(record, "case.handle"):
            raise NotAllowed("case.handle")
        fields = reply_fields(record)
        form = form_from_fields(fields, timezone=unit_zone(record))
        if request.method == "POST" and form.validate_on_submit():
            trouble = attempt(form, lambda: self._send(record, form))
            if trouble is None:
                flash(_("The e-mail is on its way."), "good")
                return redirect(url_for("record.page", record_id=record.id))
        if not outgoing.addresses_for(record):
            why = _("There is no e-mail address on file for this customer; add one to the customer first.")
            form.problems.append(why)
        shown = self.render(
            "record/form.html",
            record=record,
            form=form,
            title=_("Reply to the customer (e-mail)"),
            about=_("The e-mail goes out from the unit's mailbox; once sent it stands on the timeline."),
            trouble=Trouble(),
            key=request.form.get("key") or forms.new_key(),
            version=record.version,
            back=url_for("record.page", record_id=record.id),
        )
        return (shown, 422) if request.method == "POST" else shown

    def _send(self, record: Record, form: FieldsForm) -> None:
        known = {address_key(one): one for one in outgoing.addresses_for(record)}
        to = known.get(form.cleaned["to"], "")
        files = [(one.filename or "", one.stream) for one in form.cleaned["files"] or ()]
        outgoing.reply(record.id, to, form.cleaned["text"], files, key=request.form.get("key", "")[:70])


def admin_views() -> list[AdminEntry]:
    """Mails, their mailboxes, and the form of a reply."""
    mails = MailScreen(name=_l("E-mails"), endpoint="mails", url="/admin/mails")
    return [
        AdminEntry(mails, SERVICE, 35),
        AdminEntry(MailboxScreen(Mailbox, endpoint="mailboxes", url="/admin/mailboxes"), CONNECTIONS, 40),
        AdminEntry(ReplyScreen(name=_l("Reply"), endpoint="mail_reply", url="/admin/reply"), SERVICE, 99),
    ]

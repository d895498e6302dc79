"""Printing: a form previewed and issued for one thing or a selection, the documents there are, their PDFs."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from flask import Response, flash, g, redirect, render_template, request, send_file, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.admin.categories import SERVICE
from core.admin.export import attachment
from core.admin.forms import FieldsForm, form_from_fields, reason_text
from core.admin.listing import BulkAction, Filter, ListColumn, ListContext, ListSpec, Ordering, among, between
from core.admin.urls import back_to
from core.admin.views import Answer, ListScreen, Screen
from core.documents import batch, case_file, seals, services
from core.documents.models import SEALS, Document
from core.documents.typeset import NotPrintable
from core.kernel.access import may
from core.kernel.database import transaction
from core.kernel.errors import AppError, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry, PrintForm
from core.kernel.fields import Choices, Field, label_of
from core.kernel.i18n import LOCALES, current_locale
from core.records.models import Record

from .seals import send_scan, state_badge

LANGUAGES: Choices = (("zh", "中文"), ("en", "English"))
# The frame of our own page may show the PDF, and the PDF may load nothing at all.
PDF_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
ASK = (
    Field("seal", "choice", _l("Kind of seal"), True, choices=SEALS),
    Field("copies", "int", _l("Copies"), True, minimum=Decimal(1), maximum=Decimal(seals.MOST_COPIES), default=1),
    Field("purpose", "text", _l("Used for"), max_length=200),
)


def framed(answer: Response) -> Response:
    """Let our own pages show an answer in a frame."""
    answer.headers["Content-Security-Policy"] = PDF_POLICY
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return answer


def document_url(row: Document) -> str:
    """Return the address of a document's page."""
    return url_for("printing.document", document_id=row.id)


class PrintScreen(Screen):
    """Prints. Who may is decided by the form, in the unit of what it is printed for."""

    icon = "print"

    def is_visible(self) -> bool:
        """Reached from pages and lists."""
        return False

    @expose("/")
    def index(self) -> Answer:
        """Offer the forms of one thing: ``subject`` says what it is, ``id`` which, ``form`` which to begin with."""
        return self._page(request.args.get("subject", ""), request.args.get("id", ""), request.args.get("form", ""))

    def _page(self, subject: str, raw_id: str, code: str = "", bad: AppError | None = None) -> Answer:
        usable, found = services.printable(subject, raw_id)
        chosen = next((one for one in usable if one.code == code), usable[0])
        documents = services.documents_of(found.kind, found.id)
        page = self.render(
            "admin/printing.html",
            subject=found,
            kind=subject,
            name=_name_of(found),
            usable=usable,
            chosen=chosen,
            languages=LANGUAGES,
            locale=_locale(request.values.get("locale", "")),
            documents=documents,
            titles={one.code: one.title for one in services.forms()},
            uses=_uses_by_document(documents),
            seal_badge=state_badge,
            seals=dict(SEALS),
            document_url=document_url,
            bad=reason_text(bad) if bad else "",
            back=back_to(_page_of(found)),
        )
        return (page, bad.status) if bad else page

    @expose("/preview", methods=("POST",))
    def preview(self) -> Answer:
        """Answer the PDF as it would be issued now, for the frame or a tab. The look-up is logged, hence a POST."""
        form = services.form_of(request.form.get("form", ""))
        locale = _locale(request.form.get("locale", ""))
        try:
            content = services.preview(form, request.form.get("id"), locale, request.url_root)
        except NotPrintable as bad:
            return framed(Response(render_template("admin/print_failed.html", reason=reason_text(bad)), bad.status))
        return _pdf(content)

    @expose("/issue", methods=("POST",))
    def issue(self) -> Answer:
        """Issue a form and show the document."""
        given = request.form
        locale = _locale(given.get("locale", ""))
        if given.get("form") == case_file.FORM:
            return self._in_background(given.get("id"), locale)
        try:
            with transaction():
                row = services.issue(given.get("form", ""), given.get("id"), locale, request.url_root)
        except (NotFound, NotAllowed):
            raise
        except AppError as bad:
            return self._page(given.get("subject", ""), given.get("id", ""), given.get("form", ""), bad)
        flash(_("%(number)s, version %(version)d", number=row.number, version=row.version), "good")
        return redirect(document_url(row))

    def _in_background(self, record_id: object, locale: str) -> Answer:
        """Make a case file, whose pictures take their time, as a piece of work with a page of its own."""
        page = url_for("printing.document", document_id=0).removesuffix("0")
        with transaction():
            run = case_file.start(record_id, locale, request.url_root, page)
        return redirect(url_for("jobs.run_view", id=run.id))

    @expose("/many", methods=("POST",))
    def many(self) -> Answer:
        """Begin to print a selection."""
        locale = _locale(request.form.get("locale", ""))
        with transaction():
            run = batch.start_many(
                request.form.get("form", ""), request.form.getlist("id"), locale, g.unit.id, request.url_root
            )
        return redirect(url_for("jobs.run_view", id=run.id))

    # --- documents

    @expose("/document/<document_id>")
    def document(self, document_id: str) -> Answer:
        """Show a document: its PDF, its versions, the seals on it."""
        return self._document(services.fetch_document(document_id))

    def _document(self, row: Document, ask: FieldsForm | None = None) -> Answer:
        failed = ask is not None
        newest = services.newest_of(row)
        page = self.render(
            "admin/document.html",
            row=row,
            record=row.record,
            newest=newest,
            versions=services.versions_of(row),
            uses=seals.uses_of([row.id]),
            seal_badge=state_badge,
            seals=dict(SEALS),
            language=label_of(LANGUAGES, row.locale),
            document_url=document_url,
            ask=ask or form_from_fields(ASK, {"seal": row.seal or "company", "copies": 1}),
            failed=failed,
            may_ask=newest == row.version and bool(row.sha256),
            keeper=_keeps_seals(row),
        )
        return (page, 422) if failed else page

    @expose("/document/<document_id>/pdf")
    def pdf(self, document_id: str) -> Answer:
        """Send a document's PDF: shown in the browser, or with ``save`` as a download."""
        row, path = services.open_document(document_id)
        answer = send_file(path, mimetype="application/pdf", conditional=True, max_age=0)
        name = services.file_name(row)
        disposition = attachment(name, "document.pdf")
        if not request.args.get("save"):
            disposition = "inline" + disposition.removeprefix("attachment")
        answer.headers["Content-Disposition"] = disposition
        answer.headers["Cache-Control"] = "private, no-cache"
        return framed(answer)

    @expose("/document/<document_id>/seal", methods=("POST",))
    def ask_seal(self, document_id: str) -> Answer:
        """Ask for a seal on a document."""
        row = services.fetch_document(document_id)
        form = form_from_fields(ASK)
        if form.validate_on_submit():
            given = form.cleaned
            try:
                with transaction():
                    seals.ask_for(row.id, given["seal"], given["copies"], given["purpose"] or "")
            except AppError as bad:
                form.show(bad)
            else:
                flash(_("The seal is asked for."), "good")
                return redirect(document_url(row))
        return self._document(row, form)

    @expose("/scan/<use_id>")
    def scan(self, use_id: str) -> Answer:
        """Send the scan of a stamped paper."""
        return send_scan(use_id)


def _locale(asked: str) -> str:
    return asked if asked in LOCALES else current_locale()


def _pdf(content: bytes) -> Response:
    answer = Response(content, mimetype="application/pdf")
    answer.headers["Content-Disposition"] = "inline; filename=preview.pdf"
    return framed(answer)


def _name_of(subject: services.Subject) -> str:
    if subject.record is not None:
        return f"{subject.record.number} {subject.record.title}"
    return str(subject.thing)


def _page_of(subject: services.Subject) -> str:
    if subject.record is not None:
        return url_for("record.page", record_id=subject.id)
    if subject.kind == services.CUSTOMER:
        return url_for("customers.details_view", id=subject.id)
    return url_for("admin.index")


def _uses_by_document(documents: Sequence[Document]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for use in seals.uses_of([row.id for row in documents]):
        found.setdefault(use.document_id, []).append(use)
    return found


def _keeps_seals(row: Document) -> bool:
    return may(seals.HANDLE, row.unit_id)


# --- a selection -----------------------------------------------------------------------------


def print_action(subject: str, permission: str) -> BulkAction:
    """Return the bulk action of a list that prints a form for the chosen rows, as one PDF."""
    return BulkAction("print", _l("Print"), permission=permission, page=lambda ids: ask_many(subject, ids))


def ask_many(subject: str, ids: Sequence[str]) -> str:
    """Draw the page that asks which form of a selection is to be printed, and in which language.

    Raises:
        NotFound: there is no form for these things here.
    """
    usable: list[PrintForm] = services.forms_for(subject, g.unit.id)
    if not usable:
        raise NotFound()
    return render_template(
        "admin/printing_many.html",
        usable=usable,
        ids=ids,
        most=batch.MOST,
        languages=LANGUAGES,
        locale=current_locale(),
        back=back_to(""),
    )


# --- the list --------------------------------------------------------------------------------


def _base() -> Select[Any]:
    return select(Document).options(joinedload(Document.record), joinedload(Document.actor))


def _by_number(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    wanted = text.upper()
    of_record = select(Record.id).where(Record.number == wanted)
    return statement.where((Document.number == wanted) | Document.record_id.in_(of_record))


def _form_choices() -> Choices:
    return [(one.code, one.title) for one in services.forms()]


def _record_page(row: Document) -> str:
    return url_for("record.page", record_id=row.record_id) if row.record_id else ""


DOCUMENTS = ListSpec(
    name="documents",
    title=_l("Issued documents"),
    model=Document,
    base=_base,
    columns=(
        ListColumn("number", _l("Number"), lambda d: d.number, "code", link=document_url, card="title"),
        ListColumn("title", _l("Form"), lambda d: d.title),
        ListColumn("version", _l("Version"), lambda d: d.version, "number"),
        ListColumn(
            "record", _l("Record"), lambda d: d.record.number if d.record else "", "code", link=_record_page
        ),
        ListColumn("locale", _l("Language"), lambda d: label_of(LANGUAGES, d.locale)),
        ListColumn("at", _l("Issued at"), lambda d: d.at, "moment", order="newest"),
        ListColumn("actor", _l("Issued by"), lambda d: d.actor.name if d.actor else ""),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (Document.id,)),),
    filters=(
        Filter("form", _l("Form"), "choice", among(Document.form), _form_choices),
        Filter("locale", _l("Language"), "choice", among(Document.locale), LANGUAGES),
        Filter("at", _l("Issued at"), "dates", between(Document.at)),
    ),
    search=_by_number,
    search_hint=_l("Number of the document or the record"),
    empty=_l("No documents yet. Print a form from a case or a customer."),
)


class DocumentList(ListScreen):
    """All documents of the unit."""

    model = Document
    permission = services.SEE
    export_permission = services.SEE
    icon = "print"

    def list_spec(self) -> ListSpec:
        return DOCUMENTS

    def row_url(self, row: Document) -> str:
        return document_url(row)


def admin_views() -> list[AdminEntry]:
    """The list of documents, and the pages that print."""
    return [
        AdminEntry(
            DocumentList(name=_l("Issued documents"), endpoint="documents", url="/admin/documents"), SERVICE, 70
        ),
        AdminEntry(PrintScreen(name=_l("Print"), endpoint="printing", url="/admin/printing"), SERVICE, 99),
    ]

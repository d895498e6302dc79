"""The register of seals (用印登记): what waits for a seal, what was sealed, the scans filed."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from flask import Response, flash, redirect, request, send_file, url_for
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from core.admin.categories import SERVICE
from core.admin.export import attachment
from core.admin.forms import FieldsForm, form_from_fields
from core.admin.listing import Filter, ListColumn, ListContext, ListSpec, Ordering, QuickFilter, among, between
from core.admin.views import Answer, ListScreen
from core.documents import seals
from core.documents.models import FILED, SEAL_STATES, SEALED, SEALS, VOID, WANTED, Document, SealUse
from core.kernel.database import session, transaction
from core.kernel.errors import AppError, NotAllowed, NotFound
from core.kernel.extensions import AdminEntry
from core.kernel.fields import Field, label_of
from core.records.attachments import INLINE
from core.users.models import User

TONES = {WANTED: "warn", SEALED: "info", FILED: "good", VOID: "neutral"}
MARK = (
    Field("copies", "int", _l("Copies"), True, minimum=Decimal(1), maximum=Decimal(seals.MOST_COPIES)),
    Field("purpose", "text", _l("Used for"), True, max_length=200),
)
SCAN = (Field("file", "photos", _l("Scan of the stamped paper"), True, help=_l("A picture or a PDF")),)
STRIKE = (Field("reason", "text", _l("Reason"), True, max_length=200),)


def state_badge(use: SealUse) -> tuple[Any, str]:
    """Return how the state of a line looks: label and tone."""
    return label_of(SEAL_STATES, use.state), TONES[use.state]


def use_url(use: SealUse) -> str:
    """Return the address of a line's page."""
    return url_for("seals.details_view", id=use.id)


def _document_url(use: SealUse) -> str:
    return url_for("printing.document", document_id=use.document_id)


def _by_number(statement: Select[Any], text: str, _context: ListContext) -> Select[Any]:
    return statement.where(SealUse.document_id.in_(select(Document.id).where(Document.number == text.upper())))


SPEC = ListSpec(
    name="seals",
    title=_l("Register of seals"),
    model=SealUse,
    base=lambda: select(SealUse).options(joinedload(SealUse.document).joinedload(Document.record)),
    columns=(
        ListColumn("seal", _l("Kind of seal"), lambda u: label_of(SEALS, u.seal), link=use_url, card="title"),
        ListColumn("state", _l("State"), state_badge, "badge", card="badge"),
        ListColumn("document", _l("Document"), lambda u: u.document.number, "code", link=_document_url),
        ListColumn("title", _l("Form"), lambda u: u.document.title),
        ListColumn("version", _l("Version"), lambda u: u.document.version, "number", card="hide"),
        ListColumn("copies", _l("Copies"), lambda u: u.copies, "number"),
        ListColumn("purpose", _l("Used for"), lambda u: u.purpose),
        ListColumn("asked", _l("Asked at"), lambda u: u.asked_at, "moment", order="newest"),
        ListColumn("sealed", _l("Sealed at"), lambda u: u.sealed_at, "moment"),
        ListColumn("reason", _l("Reason"), lambda u: u.reason, visible=False),
    ),
    orderings=(Ordering("newest", _l("Newest first"), (SealUse.id,)),),
    filters=(
        Filter("seal", _l("Kind of seal"), "choice", among(SealUse.seal), SEALS),
        Filter("state", _l("State"), "choice", among(SealUse.state), SEAL_STATES),
        Filter("asked", _l("Asked at"), "dates", between(SealUse.asked_at)),
        Filter("sealed", _l("Sealed at"), "dates", between(SealUse.sealed_at)),
    ),
    quick=(
        QuickFilter("wanted", _l("To be sealed"), lambda s, _c: s.where(SealUse.state == WANTED)),
        QuickFilter("missing", _l("Scan missing"), lambda s, _c: s.where(SealUse.state == SEALED)),
    ),
    search=_by_number,
    search_hint=_l("Number of the document"),
    empty=_l("No seal was asked for yet. Issuing a form with a seal puts a line here."),
)


class SealScreen(ListScreen):
    """The register, and the page of one line with what its keeper does."""

    model = SealUse
    permission = seals.HANDLE
    export_permission = seals.HANDLE
    icon = "key"

    def list_spec(self) -> ListSpec:
        return SPEC

    def row_url(self, row: SealUse) -> str:
        return use_url(row)

    @expose("/details/")
    def details_view(self) -> Answer:
        """Show one line with the forms for its next steps."""
        return self._page(seals.fetch_use(request.args.get("id")))

    @expose("/sealed/", methods=("POST",))
    def sealed_view(self) -> Answer:
        """Note that the seal was put on."""
        return self._do("mark", MARK, lambda use, given: seals.mark_sealed(use, given["copies"], given["purpose"]))

    @expose("/scan/", methods=("POST",))
    def scan_view(self) -> Answer:
        """File the scan of the stamped paper."""

        def save(use: int, given: Mapping[str, Any]) -> object:
            upload = given["file"][0]
            return seals.file_scan(use, upload.filename or "", upload.stream)

        return self._do("scan", SCAN, save)

    @expose("/void/", methods=("POST",))
    def void_view(self) -> Answer:
        """Strike a line out."""
        return self._do("strike", STRIKE, lambda use, given: seals.void(use, given["reason"]))

    def _do(self, name: str, fields: tuple[Field, ...], call: Callable[[int, Mapping[str, Any]], object]) -> Answer:
        use = seals.fetch_use(request.form.get("id"))
        form = form_from_fields(fields)
        if form.validate_on_submit():
            try:
                with transaction():
                    call(use.id, form.cleaned)
            except (NotFound, NotAllowed):
                raise
            except AppError as bad:
                form.show(bad)
            else:
                flash(_("Saved."), "good")
                return redirect(use_url(use))
        return self._page(seals.fetch_use(use.id), {name: form})

    def _page(self, use: SealUse, failed: Mapping[str, FieldsForm] | None = None) -> Answer:
        failed = failed or {}
        start = {"copies": use.copies, "purpose": use.purpose}
        forms = {
            "mark": failed.get("mark") or form_from_fields(MARK, start, fresh=bool(failed)),
            "scan": failed.get("scan") or form_from_fields(SCAN, fresh=bool(failed)),
            "strike": failed.get("strike") or form_from_fields(STRIKE, fresh=bool(failed)),
        }
        people = {key for key in (use.asked_by, use.sealed_by) if key}
        found = session().execute(select(User.id, User.name).where(User.id.in_(people)))
        names = {row.id: row.name for row in found}
        page = self.render(
            "admin/seal_use.html",
            row=use,
            document=use.document,
            badge=state_badge(use),
            seal=label_of(SEALS, use.seal),
            names=names,
            newest=seals.newest_of(use.document),
            back=self.get_url(".index_view"),
            **forms,
        )
        return (page, 422) if failed else page


def send_scan(use_id: object) -> Response:
    """Send a scan: a picture shows in the page, a PDF is a download."""
    use, path = seals.open_scan(use_id)
    kind = mimetypes.guess_type(use.scan_name)[0] or "application/octet-stream"
    answer = send_file(path, mimetype=kind, conditional=True, max_age=0)
    if kind not in INLINE:
        answer.headers["Content-Disposition"] = attachment(use.scan_name, "scan")
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer


def admin_views() -> list[AdminEntry]:
    """The register of seals."""
    screen = SealScreen(name=_l("Register of seals"), endpoint="seals", url="/admin/seals")
    return [AdminEntry(screen, SERVICE, 75)]

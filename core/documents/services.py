"""Forms printed: previewed as they would be, issued with a number, a version, and the data they were made from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from core.customers.models import Customer
from core.customers.services import winner
from core.kernel import clock
from core.kernel.access import may
from core.kernel.audit import record_audit
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.kernel.extensions import PrintForm
from core.kernel.i18n import LOCALES, speaking
from core.kernel.ids import read_id
from core.kernel.numbering import draw
from core.records.attachments import guard, keep, path_of_hash, put
from core.records.engine import fetch_visible, lock, may_read
from core.records.models import Attachment, Record
from core.records.types import record_type
from core.units.facts import local_day, unit_facts
from core.units.models import Unit
from core.units.settings import setting
from core.units.switches import enabled_plugins

from . import labels
from . import settings as _declared  # noqa: F401 - declares what the head says
from .models import VOID, WANTED, Document, SealUse
from .typeset import SHARED, compile_pdf, plain, qr_svg

CUSTOMER, ANY_RECORD = "customer", "record"
PRINT, SEE = "document.print", "document.view"
SERIES, PREFIX = "document", "WD"
PERSONAL = "customer.pii"
KIND = "document"  # of the attachment on the record's timeline
VERSIONS_SHOWN = 50


@dataclass(frozen=True)
class Subject:
    """The thing a form is printed for. ``record`` is set where it is one."""

    form: PrintForm
    thing: Any
    record: Record | None

    @property
    def unit_id(self) -> int:
        return int(self.thing.unit_id)

    @property
    def id(self) -> int:
        return int(self.thing.id)

    @property
    def customer_id(self) -> int | None:
        """Whose personal data a print of it may hold."""
        if isinstance(self.thing, Customer):
            return self.thing.id
        found: int | None = getattr(self.thing, "customer_id", None)
        return found

    @property
    def kind(self) -> str:
        """What ``Document.subject`` says of it."""
        return self.record.type if self.record is not None else self.form.subject


# --- forms -----------------------------------------------------------------------------------


def forms() -> list[PrintForm]:
    """Return every declared form but the labels, the core's first."""
    declared: Sequence[PrintForm] = current_app.extensions.get("print_forms", ())
    return [one for one in declared if not one.label]


def form_of(code: str) -> PrintForm:
    """Return a form by its code.

    Raises:
        NotFound: none of that code.
    """
    found = next((one for one in forms() if one.code == code), None)
    if found is None:
        raise NotFound()
    return found


def forms_for(subject: str, unit_id: int) -> list[PrintForm]:
    """Return the forms that fit a subject (a record type's code, ``customer``, a plugin's word) in a unit."""
    enabled = enabled_plugins(unit_id)
    wanted = {subject, ANY_RECORD} if record_type(subject) else {subject}
    return [one for one in forms() if one.subject in wanted and (not one.plugin or one.plugin in enabled)]


def offered(thing: Any, subject: str) -> list[PrintForm]:
    """Return the forms that the actor may print for a thing they see."""
    return [one for one in forms_for(subject, thing.unit_id) if _may_print(one, thing)]


def _may_print(form: PrintForm, thing: Any) -> bool:
    return may_read(thing, form.permission) if isinstance(thing, Record) else may(form.permission, thing.unit_id)


def printable(subject: str, subject_id: object) -> tuple[list[PrintForm], Subject]:
    """Return the forms the actor may print of a thing, and the thing.

    Raises:
        NotFound: no such thing here, or nothing to print of it. NotAllowed: none of its forms.
    """
    usable: list[PrintForm] = []
    found: Subject | None = None
    refused: NotAllowed | None = None
    kinds = {subject, ANY_RECORD} if record_type(subject) else {subject}
    for form in forms():
        if form.subject not in kinds:
            continue
        try:
            found = subject_of(form, subject_id)
            usable.append(form)
        except NotAllowed as bad:
            refused = bad
        except NotFound:  # of a plugin that is off in its unit; where the thing is missing, all of them say so
            continue
    if found is None:
        raise refused or NotFound()
    return usable, found


def subject_of(form: PrintForm, subject_id: object, *, locked: bool = False) -> Subject:
    """Find what a form is to be printed for, as far as the actor may see it and print this form of it.

    Raises:
        NotFound: no such thing here, or the form's plugin is off in its unit. NotAllowed: not this form.
    """
    thing = _find(form, subject_id)
    if form.plugin and form.plugin not in enabled_plugins(thing.unit_id):
        raise NotFound()
    if not _may_print(form, thing):
        raise NotAllowed(form.permission)
    if isinstance(thing, Record):
        return Subject(form, lock(thing.id) if locked else thing, thing)
    return Subject(form, thing, None)


def _find(form: PrintForm, subject_id: object) -> Any:
    if form.subject == ANY_RECORD or record_type(form.subject):
        record = fetch_visible(subject_id)
        if form.subject not in (ANY_RECORD, record.type):
            raise NotFound()
        return record
    if form.subject == CUSTOMER:
        found = winner(fetch(Customer, subject_id))
        if found is None or not may("customer.view", found.unit_id):
            raise NotFound()
        return found
    key = read_id(subject_id)
    thing = form.find(key) if form.find is not None and key is not None else None
    if thing is None:
        raise NotFound()
    return thing


def template_of(form: PrintForm) -> Path:
    """Return the typst file of a form."""
    if not form.plugin:
        return SHARED / form.template
    return cast(Path, current_app.extensions["plugins"].get(form.plugin).folder) / "templates" / form.template


# --- what is printed -------------------------------------------------------------------------


def head_of(unit_id: int, title: Any, *, seal: str = "", address: str = "", locale: str = "zh") -> dict[str, Any]:
    """Return the head of a paper of a unit for the frame. ``address``: what the QR leads to, '' for none."""
    unit = session().get(Unit, unit_id)
    names = (unit.name, unit.name_en or unit.name) if unit is not None else ("", "")
    own = {key: setting(unit_id, f"documents.{key}") or "" for key in _HEAD}
    english = locale == "en"
    company = (own["company_name_en"] or own["company_name"]) if english else own["company_name"]
    return {
        "title": str(title),
        "company": company or names[english],
        "address": (own["address_en"] if english else "") or own["address"] or (unit.address if unit else ""),
        "phone": own["phone"] or (unit.phone if unit else ""),
        "seal": seal,
        "link": address,
    }


_HEAD = ("company_name", "company_name_en", "address", "address_en", "phone")


def typeset(form: PrintForm, locale: str, prints: Sequence[Mapping[str, Any]]) -> bytes:
    """Make one PDF of a form for several things; each of ``prints`` has ``head`` and ``data``.

    Raises:
        NotPrintable: a character the font has not.
    """
    drawn = [{**one, "head": {**one["head"], "qr": _qr(one["head"].get("link", ""))}} for one in prints]
    files: dict[str, bytes] = {}
    for one in prints if form.files is not None else ():
        files.update(cast(Any, form.files)(one["data"]))
    return compile_pdf(template_of(form), {"lang": locale, "prints": drawn}, files)


def _qr(address: str) -> str:
    return qr_svg(address) if address else ""


def _content(subject: Subject, locale: str, base: str) -> dict[str, Any]:
    """Ask the form for its data, in the language of the print, as plain JSON."""
    form = subject.form
    with speaking(locale):
        head = head_of(subject.unit_id, form.title, seal=form.seal, address=_address(subject, base), locale=locale)
        found: dict[str, Any] = plain({"head": head, "data": form.data(subject.thing)})
    return found


def _address(subject: Subject, base: str) -> str:
    if not (base or current_app.extensions["settings"].base_url):
        return ""
    if subject.record is not None:
        return labels.link(labels.code_of(subject.record.uid), base)
    if subject.form.subject == CUSTOMER:
        return ""  # no page of a customer is opened from paper
    # The label of the same kind of thing knows its page.
    enabled = enabled_plugins(subject.unit_id)
    label = next((one for one in labels.forms_for(subject.form.subject, enabled) if one.find), None)
    return labels.link(f"{label.code}~{subject.id}", base) if label else ""


def _checked_locale(locale: str) -> str:
    if locale not in LOCALES:
        raise InvalidData({"locale": _l("Please choose one of the list")})
    return locale


def preview(form: PrintForm, subject_id: object, locale: str, base: str = "") -> bytes:
    """Return the PDF as it would be issued now, marked as a draft and kept nowhere. The look-up is logged.

    Raises:
        NotFound, NotAllowed: as ``subject_of``. NotPrintable: a character the font has not.
    """
    _checked_locale(locale)
    with transaction():
        subject = subject_of(form, subject_id)
        made = _content(subject, locale, base)
        with speaking(locale):
            made["head"]["foot"] = _("Preview, not issued")
        return _shown(subject, locale, made)


def hand_out(form_code: str, record: Record, locale: str) -> bytes:
    """Return the PDF of a record's form as things stand, kept nowhere, for people who do not see records.

    The caller has made sure that the actor may have it. It leads to no page of ours. The look-up is logged.

    Raises:
        NotFound: no such form for this record here. NotPrintable: a character the font has not.
    """
    _checked_locale(locale)
    form = form_of(form_code)
    if form not in forms_for(record.type, record.unit_id):
        raise NotFound()
    with transaction():
        subject = Subject(form, record, record)
        made = _content(subject, locale, "")
        with speaking(locale):
            made["head"] |= {"foot": _("As of %(day)s", day=local_day(record.unit_id).isoformat()), "link": ""}
        return _shown(subject, locale, made)


def _shown(subject: Subject, locale: str, made: dict[str, Any]) -> bytes:
    content = typeset(subject.form, locale, [made])
    _log("document.previewed", subject, {"form": subject.form.code, "locale": locale})
    return content


def _log(action: str, subject: Subject, detail: dict[str, Any]) -> None:
    target = (subject.kind, subject.id)
    record_audit(action, target, unit_id=subject.unit_id, detail=detail)


# --- issuing ---------------------------------------------------------------------------------


def issue(form_code: str, subject_id: object, locale: str, base: str = "") -> Document:
    """Issue a form: a number, the PDF in the store and on the record's timeline, the data it was made from.

    Unchanged data answers the document there is; changed data makes the next version of the same number. A form
    with a seal gets a line in the register of seals. ``base``: where the deployment is reached, for the QR.

    Raises:
        NotFound, NotAllowed: as ``subject_of``. NotPrintable: a character the font has not; nothing is kept.
    """
    _checked_locale(locale)
    form = form_of(form_code)
    with transaction() as work:
        subject = subject_of(form, subject_id, locked=True)
        year = f"{local_day(subject.unit_id).year}"
        if subject.record is None:
            # Whoever else issues something here waits for this line: no thing gets two first versions.
            draw(subject.unit_id, SERIES, year, count=0)
        made = _content(subject, locale, base)
        latest = _latest(subject, locale)
        if latest is not None and _same(latest.data, made):
            return latest
        version = latest.version + 1 if latest else 1
        number = latest.number if latest else _draw_number(subject.unit_id, year)
        row = _make(subject, locale, made, number, version)
        work.flush()
        if latest is not None:
            _supersede(latest, row)
        if form.seal:
            work.add(_wanted(row, form.seal))
        _log("document.issued", subject, {"form": form.code, "number": number, "version": version})
        work.flush()
        return row


def _make(subject: Subject, locale: str, made: dict[str, Any], number: str, version: int) -> Document:
    now = clock.now()
    with speaking(locale):
        made["head"] |= {"number": number, "version": version, "foot": _foot(subject.unit_id, version, now)}
    content = typeset(subject.form, locale, [made])
    kept = keep(_file_name(made["head"]["title"], number, version), io.BytesIO(content))
    row = Document(
        unit_id=subject.unit_id,
        form=subject.form.code,
        title=made["head"]["title"][:200],
        subject=subject.kind,
        subject_id=subject.id,
        record_id=subject.record.id if subject.record else None,
        customer_id=subject.customer_id,
        number=number,
        version=version,
        locale=locale,
        seal=subject.form.seal,
        data=made,
        sha256=kept.sha256,
        size=kept.size,
        at=now,
        actor_id=current_scope().actor_id,
    )
    if subject.record is not None:
        row.attachment_id = put(subject.record, kept, kind=KIND).id
    session().add(row)
    return row


def _same(held: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Tell whether a paper would say the same: its number, and the address it is reached under, aside."""
    aside = ("number", "version", "foot", "link")
    heads = [{key: value for key, value in one.get("head", {}).items() if key not in aside} for one in (held, made)]
    return heads[0] == heads[1] and held.get("data") == made.get("data")


def _draw_number(unit_id: int, year: str) -> str:
    """Numbers run per unit and year in the unit's zone: WD-HQ-2026-0001."""
    return f"{PREFIX}-{unit_facts(unit_id).code}-{year}-{draw(unit_id, SERIES, year):04d}"


def _foot(unit_id: int, version: int, at: datetime) -> str:
    day = local_day(unit_id, at).isoformat()
    return _("Version %(version)d, issued %(day)s", version=version, day=day)


def _file_name(title: str, number: str, version: int) -> str:
    return f"{title}-{number}-v{version}.pdf"


def file_name(row: Document) -> str:
    """Return what the download of a document is called."""
    return _file_name(row.title, row.number, row.version)


def _latest(subject: Subject, locale: str) -> Document | None:
    found = select(Document).where(
        Document.subject == subject.kind,
        Document.subject_id == subject.id,
        Document.unit_id == subject.unit_id,
        Document.form == subject.form.code,
        Document.locale == locale,
        Document.sha256 != "",
    )
    return session().scalars(found.order_by(Document.id.desc()).limit(1)).first()


def _wanted(row: Document, seal: str, copies: int = 1, purpose: str = "") -> SealUse:
    return SealUse(
        unit_id=row.unit_id,
        document_id=row.id,
        seal=seal,
        copies=copies,
        purpose=purpose,
        asked_at=clock.now(),
        asked_by=current_scope().actor_id,
    )


def _supersede(earlier: Document, row: Document) -> None:
    """Take back what the earlier version still waits for; a seal that is on it stays in the register."""
    waiting = select(SealUse).where(SealUse.document_id == earlier.id, SealUse.state == WANTED)
    for use in session().scalars(waiting):
        use.state = VOID
        use.reason = str(_("Replaced by version %(version)d", version=row.version))


# --- documents there are ---------------------------------------------------------------------


def newest_of(row: Document) -> int:
    """Return the highest version of a document's number."""
    same = select(Document.version).where(Document.unit_id == row.unit_id, Document.number == row.number)
    return session().scalars(same.order_by(Document.version.desc()).limit(1)).one()


def versions_of(row: Document) -> list[Document]:
    """Return every version of a document's number, newest first."""
    return _listed((Document.unit_id == row.unit_id) & (Document.number == row.number))


def documents_of(subject: str, subject_id: int) -> list[Document]:
    """Return what was issued for a thing (a customer: with those merged into it), newest first."""
    if subject == CUSTOMER:
        return _listed((Document.subject == CUSTOMER) & (Document.customer_id == subject_id))
    return _listed((Document.subject == subject) & (Document.subject_id == subject_id))


def _listed(condition: ColumnElement[bool]) -> list[Document]:
    found = select(Document).where(condition).options(joinedload(Document.actor))
    return list(session().scalars(found.order_by(Document.id.desc()).limit(VERSIONS_SHOWN)))


def fetch_document(document_id: object) -> Document:
    """Find a document whose subject the actor may see, and its files too.

    Raises:
        NotFound: no such document in the scope, or not for this actor.
        NotAllowed: of a record they see: they may neither print its form nor see personal data in full.
    """
    row = fetch(Document, document_id)
    if row.record_id is None:
        if not may(_permission_of(row), row.unit_id):
            raise NotFound()
        return row
    record = fetch_visible(row.record_id)
    if not may_read(record, "attachment.view"):
        raise NotFound()
    require_paper(row, record)
    return row


def _permission_of(row: Document) -> str:
    """A form that is not installed any more leaves its papers to whoever may see all documents of the unit."""
    form = next((one for one in forms() if one.code == row.form), None)
    return form.permission if form is not None else SEE


def require_paper(row: Document | None, record: Record) -> None:
    """Pass if the actor may read a document of a record: on paper stands in full what screens mask.

    ``in_full`` in its data: it holds other papers, for whose sake printing its own form is not enough.

    Raises:
        NotAllowed: they may neither print its form nor see personal data in full.
    """
    if may(PERSONAL, record.unit_id):
        return
    holds_papers = row is not None and row.data.get("data", {}).get("in_full")
    if row is not None and not holds_papers and may_read(record, _permission_of(row)):
        return
    raise NotAllowed(PERSONAL)


def _guard_paper(file: Attachment, record: Record) -> None:
    made = select(Document).where(Document.attachment_id == file.id)
    require_paper(session().scalars(made).first(), record)


guard(KIND, _guard_paper)


def open_document(document_id: object) -> tuple[Document, Path]:
    """Find a document and its PDF.

    Raises:
        NotFound: as ``fetch_document``, or it was erased with its customer.
    """
    row = fetch_document(document_id)
    path = path_of_hash(row.sha256)
    if not row.sha256 or not path.exists():
        raise NotFound()
    return row, path

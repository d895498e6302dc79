"""The case file (案卷): what a case left behind as one PDF, its pictures and PDFs on pages at the end.

What the pages say is told by the screens' own words (``core.admin.cases.case_file``). Here stands what goes behind
them: files of the case, brought into a form that can be set, and the work of making a big one.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import jobs
from core.kernel.access import require
from core.kernel.database import reading, session, transaction
from core.kernel.jobs import Job, JobRun, Work
from core.records.attachments import attachments_of, path_of
from core.records.engine import fetch_visible
from core.records.models import Attachment

from .models import Document
from .services import file_name, issue, open_document

FORM = "case_file"
PERMISSION = "case.export"
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp"})
PDF = "application/pdf"
EDGE = 1600  # pixels of a picture's longer side: sharp on A4, a tenth of the bytes
MAX_PIXELS = 64_000_000
MAX_PDF_BYTES = 20 * 1024 * 1024
MOST_PDF_PAGES = 40
MOST_PAGES = 300
# Resident identity numbers wherever they stand in a text; the code of a company has letters before its end.
_IDENTITY = re.compile(r"(?<![0-9A-Za-z])([1-9]\d{2})\d{11}(\d{3}[\dXx])(?![0-9A-Za-z])")


def masked(text: str) -> str:
    """Hide identity numbers in a text: 330***********1234."""
    return _IDENTITY.sub(lambda found: f"{found[1]}***********{found[2]}", text)


# --- files behind the pages ------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """A file as it can be set: its bytes, of which kind, and how many pages it takes. ``pages`` 0: it cannot."""

    content: bytes
    kind: str
    pages: int


_UNREADABLE = Page(b"", "", 0)
_kept: ContextVar[dict[str, Page] | None] = ContextVar("case_file_pages", default=None)


@contextmanager
def kept() -> Iterator[dict[str, Page]]:
    """Prepare each file once inside the block: a big case file is told, set and issued from the same."""
    held: dict[str, Page] = {}
    token = _kept.set(held)
    try:
        yield held
    finally:
        _kept.reset(token)


def prepared(one: Attachment) -> Page:
    """Bring a file into a form that can be set; one that is damaged, too large or of another kind has no pages."""
    held = _kept.get()
    if held is not None and one.sha256 in held:
        return held[one.sha256]
    page = _prepare(one)
    if held is not None:
        held[one.sha256] = page
    return page


def _prepare(one: Attachment) -> Page:
    path = path_of(one)
    if not path.exists():
        return _UNREADABLE
    if one.media_type in PICTURES:
        return _picture(path.read_bytes())
    if one.media_type == PDF and one.size <= MAX_PDF_BYTES:
        return _pdf(path.read_bytes())
    return _UNREADABLE


def _picture(content: bytes) -> Page:
    """Turn a photo upright, make it smaller, and leave out what a camera writes beside it (the place, say)."""
    from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin

    _known = WebPImagePlugin  # Pillow knows WebP once this is imported
    try:
        photo: Any = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP"))
        if photo.size[0] * photo.size[1] > MAX_PIXELS:
            return _UNREADABLE
        photo.draft("RGB", (EDGE, EDGE))
        photo.thumbnail((EDGE, EDGE))
        photo = ImageOps.exif_transpose(photo)
        paper = Image.new("RGB", photo.size, "white")
        paper.paste(photo, mask=photo.convert("RGBA").getchannel("A") if _see_through(photo) else None)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, UnidentifiedImageError):
        return _UNREADABLE
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        return _UNREADABLE
    out = io.BytesIO()
    paper.save(out, "JPEG", quality=82, optimize=True)
    return Page(out.getvalue(), "jpg", 1)


def _see_through(photo: Any) -> bool:
    return photo.mode in ("RGBA", "LA", "PA") or "transparency" in photo.info


def _pdf(content: bytes) -> Page:
    """Count the pages of a PDF by setting them: one that cannot be set, or is too long, is only listed."""
    with _Reader(content) as reader:
        count = reader.count()
        if not 0 < count <= MOST_PDF_PAGES or not reader.can_set(1, count):
            return _UNREADABLE
    return Page(content, "pdf", count)


class _Reader:
    """Sets pages of one PDF, to see whether they can be set."""

    _SOURCE = b"""#set page(width: 100mm, height: 100mm, margin: 0mm)
#for number in range(int(sys.inputs.first), int(sys.inputs.last) + 1) {
  image("one.pdf", page: number, width: 90mm, height: 90mm, fit: "contain")
}"""

    def __init__(self, content: bytes) -> None:
        import typst

        self._folder = tempfile.TemporaryDirectory(prefix="read-")
        (Path(self._folder.name) / "one.pdf").write_bytes(content)
        self._compiler = typst.Compiler(root=self._folder.name, ignore_system_fonts=True)

    def __enter__(self) -> _Reader:
        return self

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    def count(self) -> int:
        """Find the last page that can be set; one more than ``MOST_PDF_PAGES`` stands for any larger number."""
        good, bad, probe = 0, MOST_PDF_PAGES + 2, 1
        while bad - good > 1:
            if self.can_set(probe, probe):
                good = probe
            else:
                bad = probe
            galloping = bad > MOST_PDF_PAGES + 1
            probe = min(2 * probe, MOST_PDF_PAGES + 1) if galloping else (good + bad) // 2
        return good

    def can_set(self, first: int, last: int) -> bool:
        """Tell whether these pages can be set."""
        try:
            pages = {"first": str(first), "last": str(last)}
            self._compiler.compile(self._SOURCE, format="pdf", sys_inputs=pages)
        except BaseException as bad:
            # A broken file may end the reader in a panic, which is no Exception.
            if type(bad).__name__ in ("TypstError", "PanicException"):
                return False
            raise
        return True


def files_of(data: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the bytes of the files that the data of a case file names, for the typesetter."""
    wanted = {one["sha256"]: one["file"] for one in data.get("appendix", ())}
    if not wanted:
        return {}
    rows = session().scalars(
        select(Attachment).where(Attachment.record_id == data["record_id"], Attachment.sha256.in_(wanted))
    )
    return {wanted[one.sha256]: prepared(one).content for one in rows}


def own_papers(record_id: int) -> set[int]:
    """Return the attachments that are case files themselves: a case file holds no earlier one."""
    found = select(Document.attachment_id).where(Document.record_id == record_id, Document.form == FORM)
    return {key for key in session().scalars(found) if key is not None}


def appendix(files: Sequence[Attachment]) -> list[dict[str, Any]]:
    """Return what goes on pages of its own at the end, numbered; files that cannot be set are left out."""
    found: list[dict[str, Any]] = []
    pages = 0
    for one in files:
        if one.media_type not in PICTURES and one.media_type != PDF:
            continue
        page = prepared(one)
        if not page.pages or pages + page.pages > MOST_PAGES:
            continue
        pages += page.pages
        found.append(
            {
                "no": len(found) + 1,
                "attachment": one.id,
                "name": one.name,
                "sha256": one.sha256,
                "file": f"{one.sha256}.{page.kind}",
                "kind": page.kind,
                "pages": page.pages,
            }
        )
    return found


# --- making one ------------------------------------------------------------------------------


def start(record_id: object, locale: str, base: str = "", page: str = "") -> JobRun:
    """Begin to make the case file of a case; its progress is on the page of the work.

    ``base``: where the deployment is reached, for the QR. ``page``: the address of a document's page but its id.

    Raises:
        NotFound: no such case for this actor. NotAllowed: they may not take cases out.
    """
    record = fetch_visible(record_id)
    require(PERMISSION, record.unit_id)
    payload = {"record": record.id, "locale": locale, "base": base, "page": page}
    return jobs.start(MAKE.name, record.unit_id, payload, _("Case file %(number)s", number=record.number))


def _make(work: Work) -> Mapping[str, Any]:
    """Make and issue one. Unchanged data answers the document there is: a second run doubles nothing."""
    given = work.payload
    with reading():
        record = fetch_visible(given["record"])
        own = own_papers(record.id)
        files = [one for one in attachments_of(record.id) if one.id not in own]
        for one in files:
            session().expunge(one)
    with kept():
        for place, one in enumerate(files):
            work.progress(place, len(files) + 1, _("Files"))
            prepared(one)
        work.progress(len(files), len(files) + 1, _("Setting the pages"))
        with transaction():
            row = issue(FORM, given["record"], given["locale"], given["base"])
        _row, path = open_document(row.id)
        made = jobs.keep_result(path, file_name(row))
        return {**made, "url": f"{given['page']}{row.id}"} if given["page"] else made


MAKE = Job("documents.case_file", _l("Case file"), _make)

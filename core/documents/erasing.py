"""When a customer's personal data is erased, what was printed of them goes too: data, PDFs and stamped scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import delete, or_, select

from core.customers.services import on_erase
from core.kernel import jobs
from core.kernel.database import session, system_scope
from core.kernel.jobs import Job, Work
from core.records.attachments import path_of_hash
from core.records.models import Attachment, Record

from .models import Document, SealUse
from .seals import SCAN
from .services import KIND


def forget_documents(customer_ids: Sequence[int]) -> None:
    """Empty the documents of erased customers and of their records; numbers, versions and seals stay known.

    The files go in a job after the commit: should it fail it is tried again, until they are gone.
    """
    work = session()
    records = select(Record.id).where(Record.customer_id.in_(list(customer_ids)))
    of_them = or_(Document.record_id.in_(records), Document.customer_id.in_(list(customer_ids)))
    rows = list(work.scalars(select(Document).where(of_them)))
    if not rows:
        return
    uses = list(work.scalars(select(SealUse).where(SealUse.document_id.in_([row.id for row in rows]))))
    hashes = {row.sha256 for row in rows} | {use.scan_sha256 for use in uses}
    files = [key for key in (*(row.attachment_id for row in rows), *(use.scan_id for use in uses)) if key]
    for row in rows:
        row.data, row.sha256, row.size, row.attachment_id = {}, "", 0, None
    for use in uses:
        use.scan_sha256, use.scan_name, use.scan_id = "", "", None
    work.flush()
    if files:
        work.execute(delete(Attachment).where(Attachment.id.in_(files), Attachment.kind.in_((KIND, SCAN))))
    drop_files(rows[0].unit_id, hashes - {""})


def drop_files(unit_id: int, hashes: Iterable[str]) -> None:
    """Let files be deleted after the present transaction, unless something else still has the same content."""
    wanted = sorted(hashes)
    if wanted:
        jobs.enqueue(DROP_FILES.name, unit_id, {"sha256": wanted}, in_own_name=False)


def _drop_files(work: Work) -> Mapping[str, Any]:
    with system_scope("files of erased documents", read_only=True) as opened:
        wanted = set(work.payload["sha256"])
        for column in (Attachment.sha256, Document.sha256, SealUse.scan_sha256):
            wanted -= set(opened.scalars(select(column).where(column.in_(wanted))))
    for digest in wanted:
        path_of_hash(digest).unlink(missing_ok=True)
        jobs.drop_result(digest)  # a case file lies there, too, for its starter to fetch
    return {"count": len(wanted)}


DROP_FILES = Job("documents.drop_files", _l("Delete erased documents"), _drop_files)
on_erase(forget_documents)

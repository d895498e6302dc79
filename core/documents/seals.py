"""The register of seals (用印登记): asked for, put on by its keeper, its scan filed; or void with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotFound, Refusal, Refused
from core.kernel.fields import normalise
from core.records.attachments import INLINE, Kept, guard, keep, path_of_hash, put
from core.records.engine import lock
from core.records.models import Attachment, Record

from .models import FILED, SEALED, SEALS, VOID, WANTED, Document, SealUse
from .services import fetch_document, newest_of, require_paper

HANDLE = "seal.handle"
SCAN = "stamped"  # kind of the attachment
SCAN_TYPES = INLINE | {"application/pdf"}
MOST_COPIES = 99


def ask_for(document_id: object, seal: str, copies: int = 1, purpose: str = "") -> SealUse:
    """Ask for a seal on a document the actor may open.

    Raises:
        NotFound: no such document. InvalidData: no such seal, or too many copies. Refused: an earlier version, or
        this seal is asked for already.
    """
    with transaction() as work:
        row = fetch_document(document_id)
        if seal not in dict(SEALS):
            raise InvalidData({"seal": _l("Please choose one of the list")})
        # Whoever else asks for a seal on it waits here: a double click puts one line into the register.
        work.execute(select(Document.id).where(Document.id == row.id).with_for_update())
        _refuse_superseded(row)
        if any(use.seal == seal and use.state == WANTED for use in uses_of([row.id])):
            raise Refused([Refusal("waiting", _l("This seal is asked for already"))])
        use = SealUse(
            unit_id=row.unit_id,
            document_id=row.id,
            seal=seal,
            copies=_copies(copies),
            purpose=normalise(purpose)[:200],
            asked_at=clock.now(),
            asked_by=current_scope().actor_id,
        )
        work.add(use)
        work.flush()
        return use


def fetch_use(use_id: object) -> SealUse:
    """Find a line of the register that the actor keeps.

    Raises:
        NotFound: no such line in the scope. NotAllowed: without ``seal.handle`` there.
    """
    use = fetch(SealUse, use_id)
    require(HANDLE, use.unit_id)
    return use


def mark_sealed(use_id: object, copies: int, purpose: str) -> SealUse:
    """Note that the seal was put on: on how many copies, and for what.

    Raises:
        NotFound, NotAllowed: as ``fetch_use``. InvalidData: no purpose, or a number of copies out of bounds.
        Refused: it is not waited for, or the document has a later version by now.
    """
    with transaction() as work:
        use = _at(fetch_use(use_id), WANTED)
        _refuse_superseded(use.document)
        said = normalise(purpose)[:200]
        if not said:
            raise InvalidData({"purpose": _l("Please say what the document is for")})
        use.copies, use.purpose = _copies(copies), said
        use.state, use.sealed_at, use.sealed_by = SEALED, clock.now(), current_scope().actor_id
        work.flush()
        return use


def file_scan(use_id: object, name: str, stream: IO[bytes]) -> SealUse:
    """Attach the scan of the stamped paper; with a record it stands on its timeline too.

    Raises:
        NotFound, NotAllowed: as ``fetch_use``. InvalidData: neither a picture nor a PDF, or a file as ``attach``
        refuses it. Refused: the seal is not on the paper yet.
    """
    with transaction() as work:
        use = _at(fetch_use(use_id), SEALED)
        kept = keep(name, stream)
        if kept.media_type not in SCAN_TYPES:
            raise InvalidData({"file": _l("A scan is a picture or a PDF")})
        use.scan_sha256, use.scan_name, use.state = kept.sha256, kept.name, FILED
        if use.document.record_id is not None:
            use.scan_id = _on_timeline(use.document.record_id, kept)
        work.flush()
        return use


def _on_timeline(record_id: int, kept: Kept) -> int:
    return put(lock(record_id), kept, kind=SCAN).id


def void(use_id: object, reason: str) -> SealUse:
    """Strike a line out, with the reason; a line with its scan stays as it is.

    Raises:
        NotFound, NotAllowed: as ``fetch_use``. InvalidData: no reason. Refused: filed or void already.
    """
    with transaction() as work:
        use = _at(fetch_use(use_id), WANTED, SEALED)
        said = normalise(reason)[:200]
        if not said:
            raise InvalidData({"reason": _l("Please say why.")})
        use.state, use.reason = VOID, said
        work.flush()
        return use


def open_scan(use_id: object) -> tuple[SealUse, Path]:
    """Find the scan of a line: for keepers of seals, and for who may open the document.

    Raises:
        NotFound: no scan, or not for this actor.
    """
    use = fetch(SealUse, use_id)
    if not current_scope().may(HANDLE, use.unit_id):
        fetch_document(use.document_id)
    path = path_of_hash(use.scan_sha256)
    if not use.scan_sha256 or not path.exists():
        raise NotFound()
    return use, path


def _guard_scan(file: Attachment, record: Record) -> None:
    """The scan of a paper is for whoever may read the paper, and for the keepers of seals."""
    if current_scope().may(HANDLE, record.unit_id):
        return
    of_use = select(Document).join(SealUse, SealUse.document_id == Document.id).where(SealUse.scan_id == file.id)
    require_paper(session().scalars(of_use).first(), record)


guard(SCAN, _guard_scan)


def uses_of(document_ids: list[int]) -> list[SealUse]:
    """Return the lines of some documents, oldest first, in one statement."""
    found = select(SealUse).where(SealUse.document_id.in_(document_ids)).order_by(SealUse.id)
    return list(session().scalars(found)) if document_ids else []


def _at(use: SealUse, *states: str) -> SealUse:
    if use.state not in states:
        raise Refused([Refusal("state", _l("This line of the register is closed or not at this step"))])
    return use


def _refuse_superseded(row: Document) -> None:
    newest = newest_of(row)
    if newest != row.version:
        text = _l(
            "Version %(old)d was replaced by version %(new)d; only the newest gets a seal.",
            old=row.version,
            new=newest,
        )
        raise Refused([Refusal("superseded", text)])


def _copies(copies: int) -> int:
    if not 1 <= copies <= MOST_COPIES:
        raise InvalidData({"copies": _l("1 to %(count)d copies", count=MOST_COPIES)})
    return copies

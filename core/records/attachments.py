"""Files of records: stored by content hash, their type read from the bytes, never from the name."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from core.kernel import clock
from core.kernel.database import current_scope, fetch, session, transaction
from core.kernel.errors import InvalidData, NotAllowed, NotFound
from core.kernel.fields import normalise
from core.kernel.settings import Settings

from .engine import append_fact, fetch_visible, flow_of, lock, may_act, require_act, sees_inside
from .models import Attachment, Record
from .types import record_type

MAX_BYTES = 50 * 1024 * 1024
CHUNK = 256 * 1024

# Types taken, each with the endings its name may carry. What may be shown in the page is INLINE.
TYPES: dict[str, tuple[str, ...]] = {
    "image/jpeg": ("jpg", "jpeg"),
    "image/png": ("png",),
    "image/gif": ("gif",),
    "image/webp": ("webp",),
    "image/heic": ("heic", "heif"),
    "application/pdf": ("pdf",),
    "video/mp4": ("mp4", "m4v"),
    "video/quicktime": ("mov",),
    "audio/mpeg": ("mp3",),
    "audio/mp4": ("m4a",),
    "audio/x-m4a": ("m4a",),
    "audio/amr": ("amr",),
    "audio/ogg": ("ogg", "opus"),
    "audio/x-wav": ("wav",),
    "application/zip": ("zip",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("xlsx",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("docx",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ("pptx",),
    "application/msword": ("doc",),
    "application/vnd.ms-excel": ("xls",),
    "text/plain": ("txt", "csv", "log"),
}
INLINE = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
OFFICE_IN_ZIP = ("xlsx", "docx", "pptx")


def folder() -> Path:
    """Return the folder of stored files."""
    settings: Settings = current_app.extensions["settings"]
    return settings.data_dir / "attachments"


def path_of(attachment: Attachment) -> Path:
    """Return where an attachment's bytes lie, by their hash."""
    return path_of_hash(attachment.sha256)


@dataclass(frozen=True)
class Kept:
    """A file in the store: its name made safe, its type read from the content."""

    name: str
    media_type: str
    size: int
    sha256: str


def attach(record_id: object, name: str, stream: IO[bytes], *, kind: str = "file", note: str = "") -> Attachment:
    """Store a file and put it on a record's timeline. The same content is stored once.

    Raises:
        InvalidData: empty, over 50 MB, a type not taken, or content that belies the name.
        NotAllowed: the actor may neither add attachments nor is the record's assignee.
    """
    clean_name = safe_name(name)
    stored, digest, size = _store(stream)
    try:
        taken = Kept(clean_name, sniff(stored, clean_name), size, digest)
        with transaction():
            record = lock(record_id)
            require_act(record, "attachment.add")
            row = put(record, taken, kind=kind, note=note)
            # Kept before the commit: a row never points at a file that is not there.
            _keep(stored, digest)
            return row
    finally:
        stored.unlink(missing_ok=True)


def put(record: Record, kept: Kept, *, kind: str = "file", note: str = "") -> Attachment:
    """Put a stored file on a locked record's timeline, whoever asks: the caller has checked what they may do."""
    row = Attachment(
        record_id=record.id,
        unit_id=record.unit_id,
        name=kept.name,
        media_type=kept.media_type,
        size=kept.size,
        sha256=kept.sha256,
        kind=kind,
        at=clock.now(),
        actor_id=current_scope().actor_id,
    )
    with transaction() as work:
        work.add(row)
        work.flush()
        append_fact(
            record,
            flow_of(record).fact_kinds["attachment"],
            at=clock.now(),
            data={"attachment": row.id, "kind": kind, "name": kept.name},
            note=note,
        )
    return row


def keep(name: str, stream: IO[bytes]) -> Kept:
    """Check a file and store it by its hash, for ``put`` or a row of one's own in the same transaction.

    Raises:
        InvalidData: as ``attach``.
    """
    clean_name = safe_name(name)
    stored, digest, size = _store(stream)
    try:
        found = Kept(clean_name, sniff(stored, clean_name), size, digest)
        _keep(stored, digest)
        return found
    finally:
        stored.unlink(missing_ok=True)


def path_of_hash(digest: str) -> Path:
    """Return where the content of a hash lies."""
    return folder() / digest[:2] / digest


def open_attachment(attachment_id: object) -> tuple[Attachment, Path]:
    """Find an attachment of a record the actor may see.

    Raises:
        NotFound: no such attachment in the scope, or the actor may not view its record or any files.
        NotAllowed: files of its kind need more (``guard``).
    """
    row = fetch(Attachment, attachment_id)
    record = fetch_visible(row.record_id)
    if not may_act(record, "attachment.view"):
        raise NotFound()
    if not sees_inside(record) and row.actor_id != current_scope().actor_id:
        raise NotFound()
    kind = record_type(record.type)
    if kind is not None and kind.files and not may_act(record, kind.files):
        raise NotAllowed(kind.files)
    if row.kind in _guards:
        _guards[row.kind](row, record)
    return row, path_of(row)


# Who opens files of a kind that a room above makes: by kind, what raises where they may not.
_guards: dict[str, Callable[[Attachment, Record], None]] = {}


def guard(kind: str, check: Callable[[Attachment, Record], None]) -> None:
    """Let a room above decide who opens the files it makes: ``check`` raises where the actor may not."""
    _guards[kind] = check


def safe_name(name: str) -> str:
    """Keep the last part of a file name, without control characters or path separators."""
    last = re.sub(r"[\n\t]", "", re.split(r"[\\/]", normalise(name))[-1]).strip(". ")
    stem, dot, ending = last.rpartition(".")
    if not dot:
        return last[:200] or "file"
    return f"{stem[:180]}.{ending[:10]}"


def sniff(path: Path, name: str) -> str:
    """Read a file's type from its content and check that the name's ending agrees.

    Raises:
        InvalidData: a type that is not taken, or an ending that says something else.
    """
    import filetype

    ending = name.rpartition(".")[2].lower()
    guess = filetype.guess(str(path))
    media_type = guess.mime if guess else _text_type(path)
    if media_type == "application/zip" and ending in OFFICE_IN_ZIP:
        media_type = next(t for t, endings in TYPES.items() if ending in endings)
    if media_type is None or media_type not in TYPES:
        raise InvalidData({"file": _l("Files of this kind are not accepted")})
    if ending not in TYPES[media_type]:
        raise InvalidData(
            {
                "file": _l(
                    "The content is not what the name “%(name)s” says (it is %(type)s)", name=name, type=media_type
                )
            }
        )
    return media_type


def _text_type(path: Path) -> str | None:
    """Plain text in UTF-8 or GB18030 without NUL bytes counts as text; markup a browser may run does not."""
    with path.open("rb") as file:
        head = file.read(CHUNK)
    if b"\0" in head or re.match(rb"\s*(<!doctype|<html|<svg|<script|<\?xml|#!)", head, re.I):
        return None
    for encoding in ("utf-8", "gb18030"):
        try:
            head.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start > len(head) - 4 and len(head) == CHUNK:
                return "text/plain"  # a character cut in half at the end of the sample
            continue
        return "text/plain"
    return None


def _store(stream: IO[bytes]) -> tuple[Path, str, int]:
    """Copy the stream into the attachments folder under a temporary name, counting and hashing."""
    folder().mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(prefix="in-", dir=folder())
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise InvalidData({"file": _l("The file is larger than %(size)d MB", size=MAX_BYTES >> 20)})
                digest.update(chunk)
                target.write(chunk)
        if not size:
            raise InvalidData({"file": _l("The file is empty")})
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, digest.hexdigest(), size


def _keep(stored: Path, digest: str) -> None:
    final = folder() / digest[:2] / digest
    final.parent.mkdir(exist_ok=True)
    if not final.exists():
        os.replace(stored, final)


def attachments_of(record_id: int) -> list[Attachment]:
    """Return a record's files, oldest first."""
    found = select(Attachment).where(Attachment.record_id == record_id).options(joinedload(Attachment.actor))
    found = found.order_by(Attachment.id)
    return list(session().scalars(found))

"""Files of records: listed, uploaded as multipart/form-data, downloaded as what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import IO, Any

from flask import Response, request, send_file
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.exceptions import UnsupportedMediaType

from core.kernel.errors import InvalidData, NotFound
from core.records.attachments import attach, open_attachment
from core.records.engine import may_act
from core.records.models import Attachment

from ..common import PERSON, person, visible
from ..operations import Operation
from ..paging import Order
from ..serving import Reply, once, page
from ..shapes import Shape, out

ATTACHMENT: Shape = {
    "id": "integer",
    "name": "string",
    "media_type": "string",
    "size": "integer",
    "sha256": "string",
    "kind": "string",
    "at": "moment",
    "actor": "#person",
}
SHAPES: Mapping[str, Shape] = {"attachment": ATTACHMENT, "person": PERSON}
OLDEST = Order("attachments", (Attachment.id,), descending=False)
KINDS = ("file", "photo")
READ, WRITE = "attachment.read", "attachment.write"
CHUNK = 256 * 1024
MOST_NOTE = 500


def list_attachments(uid: str) -> dict[str, Any]:
    """Return the files of a record, the oldest first."""
    row = visible(uid)
    if not may_act(row, "attachment.view"):
        raise NotFound()
    files = select(Attachment).where(Attachment.record_id == row.id).options(joinedload(Attachment.actor))
    return page("attachments", files, OLDEST, lambda rows: [_out(one) for one in rows], ATTACHMENT, Attachment.id)


def _out(one: Attachment) -> dict[str, Any]:
    texts = ("id", "name", "media_type", "size", "sha256", "kind")
    return {**{name: getattr(one, name) for name in texts}, "at": out(one.at), "actor": person(one.actor)}


def get_attachment(id: str) -> dict[str, Any]:
    """Return what is known of a file."""
    return _out(open_attachment(id)[0])


def download_attachment(id: str) -> Response:
    """Send a file's bytes, to be kept and not to be shown."""
    row, path = open_attachment(id)
    if not path.exists():
        raise NotFound()
    sent = send_file(path, mimetype=row.media_type, as_attachment=True, download_name=row.name, etag=row.sha256)
    sent.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return sent


def upload_attachment(uid: str) -> Reply:
    """Put a file on a record."""
    row = visible(uid)
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType()
    kind, note = _words()
    sent = request.files.getlist("file")
    if len(sent) != 1 or set(request.files) != {"file"}:
        raise InvalidData({"file": _l("Send one file, under the name file")})
    stream: IO[bytes] = sent[0].stream
    name = sent[0].filename or ""
    raw = {"name": name, "kind": kind, "note": note, "sha256": _digest(stream)}

    def act() -> Attachment:
        return attach(row.id, name, stream, kind=kind, note=note)

    made, replayed = once(row.unit_id, raw, act, lambda key: open_attachment(key)[0], lambda one: one.id)
    return Reply(_out(made), 201, location=f"/api/v1/attachments/{made.id}", replayed=replayed)


def _words() -> tuple[str, str]:
    """Read what is said of the file.

    Raises:
        InvalidData
    """
    errors: dict[str, Any] = {
        name[:80]: _l("There is no such field") for name in set(request.form) - {"kind", "note"}
    }
    kind, note = request.form.get("kind", "file"), request.form.get("note", "").strip()
    if kind not in KINDS:
        errors["kind"] = _l("Please choose one of the list")
    if len(note) > MOST_NOTE:
        errors["note"] = _l("At most %(count)d characters", count=MOST_NOTE)
    if errors:
        raise InvalidData(errors)
    return kind, note


def _digest(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    stream.seek(0)
    return digest.hexdigest()


UPLOAD_SCHEMA = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "kind": {"type": "string", "enum": list(KINDS), "default": "file"},
        "note": {"type": "string", "maxLength": MOST_NOTE},
    },
    "additionalProperties": False,
}


def operations() -> Sequence[Operation]:
    """Return the operations on files."""
    tag = _l("Attachments")
    return [
        Operation(
            "list_attachments",
            "GET",
            "/records/{uid}/attachments",
            _l("List the files of a record"),
            tag,
            list_attachments,
            READ,
            ATTACHMENT,
            True,
        ),
        Operation(
            "upload_attachment",
            "POST",
            "/records/{uid}/attachments",
            _l("Upload a file"),
            tag,
            upload_attachment,
            WRITE,
            ATTACHMENT,
            upload=True,
            made=True,
            keyed=True,
            help=_l("At most 50 MB. The type is read from the content, never from the name."),
        ),
        Operation(
            "get_attachment",
            "GET",
            "/attachments/{id}",
            _l("Read what is known of a file"),
            tag,
            get_attachment,
            READ,
            ATTACHMENT,
        ),
        Operation(
            "download_attachment",
            "GET",
            "/attachments/{id}/content",
            _l("Download a file"),
            tag,
            download_attachment,
            READ,
            download=True,
        ),
    ]

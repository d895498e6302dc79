"""What technicians do on the phone beside the plain steps: files with a step, the customer's signature."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from flask_babel import lazy_gettext as _l

from core.kernel import clock
from core.kernel.access import may
from core.kernel.database import transaction
from core.kernel.errors import InvalidData
from core.records.attachments import attach
from core.records.engine import CLOCK_SLACK, answered_before, lock, perform, remember_answer
from core.records.models import Record

MAX_SIGNATURE = 400_000  # characters of the data URL; a drawn name has some 20,000
BELIEVED = timedelta(hours=12)
_PREFIX = "data:image/png;base64,"


class Upload(Protocol):
    """A file of a request, as far as storing it needs."""

    filename: str | None
    stream: Any


def read_signature(text: str) -> bytes:
    """Return the PNG of a drawn signature sent as a data URL.

    Raises:
        InvalidData: beside ``signature``.
    """
    if not text.startswith(_PREFIX) or len(text) > MAX_SIGNATURE:
        raise InvalidData({"signature": _l("Please let the customer sign")})
    try:
        return base64.b64decode(text[len(_PREFIX) :], validate=True)
    except ValueError:  # also what lies outside ASCII
        raise InvalidData({"signature": _l("Please let the customer sign")}) from None


def tapped_at(record: Record, text: str) -> datetime | None:
    """Return when a button was pressed without a network whose request came later; None: it counts as now.

    What a phone says (ISO 8601 with a zone) is believed for half a day, not before the request was received, and
    only from who may enter what happened earlier. Never raises: the work done must not be refused for its clock.
    """
    try:
        at = clock.as_utc(datetime.fromisoformat(text[:40]))
    except ValueError:
        return None
    late = CLOCK_SLACK < clock.now() - at <= BELIEVED
    return at if late and at >= record.received_at and may("case.backdate", record.unit_id) else None


def perform_with_files(
    record_id: object,
    name: str,
    raw: Mapping[str, Any],
    files: Sequence[tuple[str, Upload]] = (),
    *,
    signature: str = "",
    tapped: str = "",
    key: str = "",
    version: int | None = None,
) -> Record:
    """Perform a step and store what comes with it, all or nothing: files as (kind, upload), a drawn signature.

    ``tapped``: see ``tapped_at``; a time given in ``raw`` goes before it.
    A retry under the same ``key`` changes nothing and stores nothing twice.

    Raises:
        as ``perform`` and ``attach``.
    """
    drawn = read_signature(signature) if signature else b""
    with transaction():
        row = lock(record_id)
        if answered_before(row.unit_id, key, f"perform:{name}:{row.id}", raw):
            return row
        record = perform(record_id, name, raw, at=tapped_at(row, tapped), key=key, version=version)
        for kind, upload in files:
            attach(record.id, upload.filename or "", upload.stream, kind=kind)
        if drawn:
            stamp = clock.now().strftime("%Y%m%d-%H%M%S")
            attach(record.id, f"signature-{stamp}.png", io.BytesIO(drawn), kind="signature")
        return record


def once(record: Record, action: str, raw: Mapping[str, Any], key: str, call: Callable[[], object]) -> None:
    """Do what is no step (a fact, files) once under ``key``: a retry of the same input changes nothing.

    Raises:
        Conflict: the key was used for something else. And what ``call`` raises.
    """
    with transaction():
        if answered_before(record.unit_id, key, f"{action}:{record.id}", raw):
            return
        call()
        remember_answer(record.unit_id, key, {"record": record.id})

"""Filling in an inspection: begin, keep answers as they come, finish, leave out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from core.cases.field_work import read_signature
from core.kernel import clock
from core.kernel.database import current_scope, session, transaction
from core.kernel.errors import Conflict, InvalidData, NotFound, Refusal, Refused
from core.kernel.ids import read_id
from core.records.attachments import Kept, keep, put
from core.records.engine import answered_before, detail_of, lock, perform, remember_answer, require_act
from core.records.models import Attachment, Record

from . import items
from .models import PHOTO, SIGNATURE, Inspection
from .workflow import FILL, version_of

PICTURES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp", "image/heic"})
TYPE = "inspection"
_NO_PICTURE = _l("This file is no picture")


def begin(record_id: object, *, key: str = "", version: int | None = None) -> Record:
    """Begin an inspection with the checklist's newest published version.

    Raises:
        as ``perform``.
    """
    return perform(_id_of(record_id), "begin", {}, key=key, version=version)


def save(record_id: object, raw: Mapping[str, Any], *, key: str = "", version: int | None = None) -> Record:
    """Keep answers so far: ``KEY`` (a code, number, text, drawn signature), ``KEY.note``, ``KEY.file``.

    ``KEY.file`` is an uploaded picture or the id of one that the inspection has already; an empty part takes that
    part of the answer away, what is not named stays. An inspection not begun yet is begun. Each answer that changes
    is stamped with the server's time and the actor. ``version`` is the record version the page was opened with.

    Raises:
        InvalidData: beside each item; nothing is kept then.
        NotAllowed, Refused: the actor may not fill it in, or it is over.
        Conflict: somebody else filled in something since ``version``.
    """
    with transaction():
        record = _locked(record_id)
        if answered_before(record.unit_id, key, f"inspection.save:{record.id}", _plain(raw)):
            return record
        if version is not None and version != record.version:
            raise Conflict()
        if record.state == "open":
            perform(record.id, "begin", {})
        require_act(record, FILL)
        if record.state != "doing":
            raise Refused([Refusal("state", _l("This inspection is over"))])
        _keep_answers(record, detail_of(record), raw)
        remember_answer(record.unit_id, key, {"record": record.id})
        return record


def finish(
    record_id: object, raw: Mapping[str, Any] | None = None, *, key: str = "", version: int | None = None
) -> Record:
    """Finish an inspection, keeping what ``raw`` answers first, as ``save`` does; all or nothing.

    Raises:
        InvalidData: beside each item that still lacks its answer, photo or signature.
        and as ``save`` and ``perform``.
    """
    raw = raw or {}
    with transaction():
        record = _locked(record_id)
        if answered_before(record.unit_id, key, f"inspection.finish:{record.id}", _plain(raw)):
            return record
        if raw or record.state == "open":
            save(record.id, raw, version=version)
            version = None
        inspection = detail_of(record)
        asked = version_of(inspection)
        left = items.missing(asked.items, inspection.answers) if asked and record.state == "doing" else {}
        if left:
            raise InvalidData(left)
        done = perform(record.id, "finish", {}, version=version)
        remember_answer(record.unit_id, key, {"record": record.id})
        return done


def skip(record_id: object, reason: str, *, key: str = "", version: int | None = None) -> Record:
    """Leave an inspection out, with the reason.

    Raises:
        as ``perform``.
    """
    return perform(_id_of(record_id), "skip", {"reason": reason}, key=key, version=version)


def _id_of(record_id: object) -> object:
    """Return the id of an inspection's record.

    Raises:
        NotFound: it is no inspection.
    """
    key = record_id if isinstance(record_id, int) else read_id(record_id)
    if key is None or session().scalar(select(Inspection.id).where(Inspection.id == key)) is None:
        raise NotFound()
    return key


def _locked(record_id: object) -> Record:
    return lock(_id_of(record_id))


def _plain(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return input as a request key remembers it: of a file its name."""
    return {name: str(getattr(value, "filename", value)) for name, value in raw.items()}


# --- answers ---------------------------------------------------------------------------------------


def _keep_answers(record: Record, inspection: Inspection, raw: Mapping[str, Any]) -> None:
    version = version_of(inspection)
    given = items.sort_input(version.items if version else [], raw)
    errors: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for one in given:
        parts[one.item["key"]] = _clean_parts(record, one, errors)
    if errors:
        raise InvalidData(errors)
    answers = {key: dict(answer) for key, answer in (inspection.answers or {}).items()}
    changed = False
    for one in given:
        changed |= _answer(record, one.item, parts[one.item["key"]], answers)
    if not changed:
        return
    inspection.answers = answers
    # Somebody else's page is out of date now, though no fact was written.
    flag_modified(record, "title")
    try:
        session().flush()
    except StaleDataError:
        raise Conflict() from None


def _clean_parts(record: Record, one: items.Given, errors: dict[str, Any]) -> dict[str, Any]:
    """Read what was given for an item; what is wrong goes into ``errors`` by input name."""
    item, found = one.item, dict[str, Any]()
    key = item["key"]
    for name, value in one.parts.items():
        try:
            if name == items.NOTE:
                found[name] = items.clean_note(item, value)
            elif name == items.FILE:
                found[name] = _file(record, f"{key}.{items.FILE}", value)
            elif item["kind"] in (PHOTO, SIGNATURE):
                found |= _picture(record, item, value)
            else:
                found["value"] = items.clean_value(item, value)
        except InvalidData as bad:
            errors |= bad.errors
    return found


def _picture(record: Record, item: Mapping[str, Any], value: Any) -> dict[str, Any]:
    """Read the answer of a photo or signature item that is given as its value."""
    key = item["key"]
    if item["kind"] == SIGNATURE and isinstance(value, str) and value.startswith("data:"):
        try:
            drawn = read_signature(value)
        except InvalidData as bad:
            raise InvalidData({key: bad.texts()}) from None
        stamp = clock.now().strftime("%Y%m%d-%H%M%S")
        return {items.FILE: _kept(key, f"signature-{stamp}.png", io.BytesIO(drawn))}
    found = _file(record, key, value)
    # An empty field beside an upload says nothing; taking a picture away is done by its ``.file``.
    return {} if found is None else {items.FILE: found}


def _file(record: Record, name: str, value: Any) -> Kept | int | None:
    """Read a picture: an upload, or the id of one that lies with the inspection; None for nothing.

    Raises:
        InvalidData: no picture, or one that lies elsewhere.
    """
    if hasattr(value, "stream"):
        return _kept(name, value.filename or "", value.stream) if value.filename else None
    if value is None or str(value).strip() == "":
        return None
    key = read_id(str(value).strip())
    held = select(Attachment).where(Attachment.id == key, Attachment.record_id == record.id)
    row = session().scalars(held).first() if key else None
    if row is None:
        raise InvalidData({name: _l("This picture is not one of this inspection")})
    if row.media_type not in PICTURES:
        raise InvalidData({name: _NO_PICTURE})
    return row.id


def _kept(name: str, filename: str, stream: Any) -> Kept:
    try:
        kept = keep(filename, stream)
    except InvalidData as bad:
        raise InvalidData({name: bad.texts()}) from None
    if kept.media_type not in PICTURES:
        raise InvalidData({name: _NO_PICTURE})
    return kept


def _answer(record: Record, item: Mapping[str, Any], parts: Mapping[str, Any], answers: dict[str, Any]) -> bool:
    """Write an item's answer where it differs from what stands; tell whether it did."""
    key = item["key"]
    was = answers.get(key, {})
    now = {name: was.get(name, "") for name in ("value", "note", "file")}
    now |= {name: value for name, value in parts.items() if name in ("value", "note")}
    if items.FILE in parts:
        given = parts[items.FILE]
        kind = SIGNATURE if item["kind"] == SIGNATURE else PHOTO
        now["file"] = put(record, given, kind=kind).id if isinstance(given, Kept) else given or ""
    if all(now[name] == was.get(name, "") for name in now):
        return False
    if not any(now.values()):
        answers.pop(key, None)
        return True
    stamp = {"at": clock.now().isoformat(), "by": current_scope().actor_id}
    answers[key] = {**now, "verdict": items.judge(item, now["value"]), **stamp}
    return True

"""The form of an inspection as a phone sends it: what is right is kept, what is wrong is told beside its item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import request
from flask_babel import gettext as _

from core.admin.forms import reason_text
from core.inspections import items
from core.inspections import services as inspections
from core.inspections.models import CHECK, CHOICE, PHOTO, SIGNATURE, VERDICTS, Inspection
from core.kernel.database import transaction
from core.kernel.errors import AppError, InvalidData, NotAllowed, NotFound, Refused
from core.kernel.ids import read_id

# Before the names of inputs: an item's key may be any word, also one that the form itself uses.
INPUT = "q."


@dataclass
class Sent:
    """What came of a sent form. ``errors``: messages by input name; ``typed``: what was wrong, as it was typed."""

    status: int = 200
    version: int = 0
    finished: bool = False
    message: str = ""
    errors: dict[str, list[Any]] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        """Return it as the page's script reads it."""
        errors = {name: _("; ").join(map(str, texts)) for name, texts in self.errors.items()}
        return {"version": self.version, "message": self.message, "errors": errors}

    def of(self, key: str) -> list[Any]:
        """Return the messages of an item and its parts."""
        names = (key, f"{key}.{items.NOTE}", f"{key}.{items.FILE}")
        return [text for name in names for text in self.errors.get(name, ())]


@dataclass(frozen=True)
class Row:
    """An item of the form: what is asked, its answer so far, and what is wrong with what was sent."""

    item: Mapping[str, Any]
    label: str
    bounds: str
    choices: Sequence[tuple[str, Any]]
    value: str
    note: str
    file: int | None
    verdict: str
    wants_photo: str
    errors: list[Any]


def rows_of(inspection: Inspection, asked: Sequence[Mapping[str, Any]], sent: Sent) -> list[Row]:
    """Return the items of the form with what was answered or, where that was wrong, typed."""
    answers = inspection.answers or {}
    return [_row(one, answers.get(one["key"], {}), sent) for one in asked]


def _row(item: Mapping[str, Any], answer: Mapping[str, Any], sent: Sent) -> Row:
    key, note = item["key"], f"{item['key']}.{items.NOTE}"
    return Row(
        item=item,
        label=items.in_words(item),
        bounds=items.bounds_in_words(item),
        choices=_choices(item),
        value=sent.typed.get(key, answer.get("value", "")),
        note=sent.typed.get(note, answer.get("note", "")),
        file=answer.get("file") or None,
        verdict=answer.get("verdict", ""),
        wants_photo=item["photo"] or (items.ALWAYS if item["kind"] == PHOTO else ""),
        errors=sent.of(key),
    )


def _choices(item: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    if item["kind"] == CHECK:
        return VERDICTS
    if item["kind"] == CHOICE:
        return [(one["code"], items.in_words(one)) for one in item["answers"]]
    return ()


def take(record_id: int, inspection: Inspection) -> Sent:
    """Keep the answers of the request, and finish where it says so.

    What is right is kept even where something else is wrong: photos need not be taken again.

    Raises:
        NotFound, NotAllowed: pages of their own.
    """
    version = inspections.version_of(inspection)
    asked = version.items if version else []
    raw = _input(asked)
    sent = Sent()
    seen = read_id(request.form.get("version", ""))
    key = request.form.get("key", "")[:80]
    _try(sent, lambda: inspections.save(record_id, raw, key=key, version=seen))
    if sent.status == 422 and sent.errors:
        sent.typed = {name: str(raw[name]) for name in sent.errors if isinstance(raw.get(name), str)}
        wrong = {name.partition(".")[0] for name in sent.errors}
        rest = {name: _again(value) for name, value in raw.items() if name.partition(".")[0] not in wrong}
        _try(Sent(), lambda: inspections.save(record_id, rest, version=seen))
        return sent
    if sent.status == 409:
        sent.typed = {name: value for name, value in raw.items() if isinstance(value, str)}
        return sent
    if request.form.get("do") == "finish":
        _try(sent, lambda: inspections.finish(record_id))
        sent.finished = sent.status == 200
    return sent


def _try(sent: Sent, call: Any) -> None:
    try:
        with transaction():
            record = call()
        sent.version = record.version
    except (NotFound, NotAllowed):
        raise
    except InvalidData as bad:
        sent.status, sent.errors, sent.message = 422, bad.errors, _("Please check the marked fields")
    except Refused as bad:
        sent.status, sent.message = 409, reason_text(bad)
    except AppError as bad:
        sent.status, sent.message = bad.status, reason_text(bad)


def _input(asked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the inputs of the items in the request; files and signatures left empty say nothing."""
    found: dict[str, Any] = {}
    for item in asked:
        key, kind = item["key"], item["kind"]
        for name in (key, f"{key}.{items.NOTE}"):
            value = request.form.get(f"{INPUT}{name}")
            if value is not None and (value or kind not in (PHOTO, SIGNATURE)):
                found[name] = value
        upload = request.files.get(f"{INPUT}{key}.{items.FILE}")
        if upload is not None and upload.filename:
            found[f"{key}.{items.FILE}"] = upload
    return found


def _again(value: Any) -> Any:
    """A file that was read once is read from its beginning."""
    if hasattr(value, "stream"):
        value.stream.seek(0)
    return value

"""Labels with a QR: a plain link ``<base_url>/q/<code>`` that any phone camera opens.

The code of a record is its ``uid`` in 26 letters and digits; that of a plugin's thing names its form and its id
(``PLUGIN.item~12``). A code gives no right: whoever opens it sees what they may see anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from flask import current_app
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.access import may
from core.kernel.database import session
from core.kernel.errors import InvalidData, NotFound
from core.kernel.extensions import PrintForm
from core.kernel.fields import Choices
from core.kernel.ids import read_id
from core.kernel.settings import Settings
from core.records.engine import fetch_visible, may_read
from core.records.models import Record
from core.records.types import record_type, record_types
from core.units.models import Unit
from core.units.switches import enabled_plugins

from . import scan
from .typeset import SHARED, compile_pdf, qr_svg

RECORD = "record"  # the form that fits records of every type
MOST = 1000
MOST_COPIES = 20
MOST_LINES = 3
# Crockford's: no I, L, O, U, so that a code read aloud or typed from paper is not mistaken.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_AS_MEANT = str.maketrans("ILO", "110")
_THING = re.compile(r"([a-z][a-z0-9_.:-]{0,59})~([0-9]{1,19})")


@dataclass(frozen=True)
class Size:
    """A kind of paper, in millimetres: ``columns`` by ``rows`` labels on a page; a roll has one."""

    code: str
    title: Any
    page_width: float
    page_height: float
    width: float
    height: float
    columns: int = 1
    rows: int = 1
    left: float = 0
    top: float = 0

    @property
    def places(self) -> int:
        """How many labels a page holds."""
        return self.columns * self.rows


SIZES: tuple[Size, ...] = (
    Size("a4-24", _l("A4 sheet, 3 × 8 labels of 70 × 37 mm"), 210, 297, 70, 37, 3, 8, 0, 0.5),
    Size("a4-10", _l("A4 sheet, 2 × 5 labels of 105 × 57 mm"), 210, 297, 105, 57, 2, 5, 0, 6),
    Size("roll-50", _l("Label roll 50 × 30 mm"), 50, 30, 50, 30),
    Size("roll-60", _l("Label roll 60 × 40 mm"), 60, 40, 60, 40),
)


def size_choices() -> Choices:
    """Return the kinds of paper as (code, title)."""
    return [(one.code, one.title) for one in SIZES]


def size_of(code: str) -> Size:
    """Return a kind of paper.

    Raises:
        InvalidData: under ``size``.
    """
    found = next((one for one in SIZES if one.code == code), None)
    if found is None:
        raise InvalidData({"size": _l("Please choose one of the list")})
    return found


# --- codes -----------------------------------------------------------------------------------


def code_of(uid: UUID) -> str:
    """Write a record's ``uid`` as it stands in links: 26 letters and digits."""
    return "".join(_LETTERS[uid.int >> 5 * place & 31] for place in range(25, -1, -1))


def uid_of(code: str) -> UUID | None:
    """Read what ``code_of`` wrote, or a plain UUID; None if it is neither."""
    text = code.strip().upper().translate(_AS_MEANT)
    if len(text) == 26 and all(letter in _LETTERS for letter in text):
        value = 0
        for letter in text:
            value = value << 5 | _LETTERS.index(letter)
        return UUID(int=value) if value < 1 << 128 else None
    try:
        return UUID(code.strip()) if len(code.strip()) in (32, 36) else None
    except ValueError:
        return None


def label_uid(text: str) -> UUID | None:
    """Return the ``uid`` of the record that a scanned text is the link or the code of; None for anything else."""
    return uid_of(scan.understand(text).ours or text)


def link(code: str, base: str) -> str:
    """Return the link that stands in a QR. ``base``: where the deployment is reached, if no setting says so."""
    settings: Settings = current_app.extensions["settings"]
    return f"{(settings.base_url or base).rstrip('/')}/q/{code}"


def full_address(path: str, base: str = "") -> str:
    """Return the full address of a path of this site, as it stands in a QR; ``base`` as for ``link``."""
    settings: Settings = current_app.extensions["settings"]
    return f"{(settings.base_url or base).rstrip('/')}{path}"


@dataclass(frozen=True)
class Target:
    """Where a code leads: to a record, or to the page (a path of this site) of a plugin's thing."""

    record: Record | None = None
    url: str = ""


def target(code: str) -> Target:
    """Find what a code stands for.

    Raises:
        NotFound: malformed, unknown, of another unit, or not for this actor: the four look alike.
    """
    uid = uid_of(code)
    if uid is not None:
        found = session().scalars(select(Record.id).where(Record.uid == uid)).first()
        return Target(record=fetch_visible(found or 0))
    match = _THING.fullmatch(code)
    form = label_form(match[1]) if match else None
    if match is None or form is None or form.find is None:
        raise NotFound()
    url = str(form.data(_thing(form, match[2])).get("url", ""))
    if not url.startswith("/") or url.startswith("//"):
        raise NotFound()
    return Target(url=url)


# --- forms -----------------------------------------------------------------------------------


def _record_data(record: Record) -> Mapping[str, Any]:
    kind = record_type(record.type)
    return {"number": record.number, "kind": str(kind.title if kind else record.type)}


RECORD_LABEL = PrintForm(
    code=RECORD,
    title=_l("Label with number and QR"),
    subject="record",
    template="label.typ",
    data=_record_data,
    permission="case.view",
    label=True,
)


def label_forms() -> list[PrintForm]:
    """Return every declared label, the core's first."""
    declared: Sequence[PrintForm] = current_app.extensions.get("print_forms", ())
    return [RECORD_LABEL, *(form for form in declared if form.label)]


def label_form(code: str) -> PrintForm | None:
    """Return a label by its code."""
    return next((form for form in label_forms() if form.code == code), None)


def forms_for(subject: str, enabled: frozenset[str]) -> list[PrintForm]:
    """Return the labels that fit a subject where these plugins are on; any record type has at least one."""
    wanted = {subject, "record"} if record_type(subject) else {subject}
    return [one for one in label_forms() if one.subject in wanted and (not one.plugin or one.plugin in enabled)]


def _is_of_records(form: PrintForm) -> bool:
    return form.subject == "record" or form.subject in {kind.code for kind in record_types()}


def _thing(form: PrintForm, raw_id: object) -> Any:
    """Look up a plugin's thing, as far as the actor may see it and the plugin is on there."""
    key = read_id(raw_id)
    thing = form.find(key) if form.find is not None and key is not None else None
    if thing is None or not may(form.permission, thing.unit_id) or not _is_on(form, thing.unit_id):
        raise NotFound()
    return thing


def _records(form: PrintForm, wanted: Sequence[str]) -> list[Record]:
    """Look up records, all in one statement."""
    keys = [read_id(one) for one in wanted]
    held = {row.id: row for row in session().scalars(select(Record).where(Record.id.in_([k for k in keys if k])))}
    found = [held[key] for key in keys if key in held]
    on = {unit_id: _is_on(form, unit_id) for unit_id in {row.unit_id for row in found}}
    seen = [
        row for row in found if may_read(row, "case.view") and may_read(row, form.permission) and on[row.unit_id]
    ]
    if len(seen) < len(keys) or any(form.subject not in ("record", row.type) for row in seen):
        raise NotFound()
    return seen


def _is_on(form: PrintForm, unit_id: int) -> bool:
    return not form.plugin or form.plugin in enabled_plugins(unit_id)


def things(code: str, ids: Sequence[object]) -> tuple[PrintForm, list[Any]]:
    """Return a label and the things it is wanted for, each once, in the order asked for.

    Raises:
        NotFound: no such label, or one of the things is not there for this actor.
        InvalidData: none, or more than a thousand.
    """
    form = label_form(code)
    if form is None:
        raise NotFound()
    wanted = list(dict.fromkeys(str(one) for one in ids))
    if not wanted:
        raise InvalidData({"id": _l("Choose at least one row first.")})
    if len(wanted) > MOST:
        raise InvalidData({"id": _l("At most %(count)d at once", count=MOST)})
    if _is_of_records(form):
        return form, list(_records(form, wanted))
    return form, [_thing(form, one) for one in wanted]


# --- printing --------------------------------------------------------------------------------


def sheet(
    form: PrintForm, found: Sequence[Any], size: Size, base: str, *, start: int = 1, copies: int = 1
) -> bytes:
    """Typeset labels as a PDF. ``start``: the first free place of a partly used sheet, counted by rows from 1.

    Raises:
        InvalidData: a place the sheet does not have, or a number of copies out of bounds.
        NotPrintable: a character that the font lacks.
    """
    start = 1 if size.places == 1 else start
    if not 1 <= start <= size.places:
        raise InvalidData({"start": _l("The sheet has places 1 to %(count)d", count=size.places)})
    if not 1 <= copies <= MOST_COPIES:
        raise InvalidData({"copies": _l("1 to %(count)d copies", count=MOST_COPIES)})
    if len(found) * copies > MOST:
        raise InvalidData({"copies": _l("At most %(count)d at once", count=MOST)})
    paper = {name: value for name, value in asdict(size).items() if name != "title"}
    data = {
        "size": paper,
        "start": start - 1,
        "copies": copies,
        "labels": list(_labels(form, found, base)),
        "lang": "en" if str(get_locale()).startswith("en") else "zh",
    }
    return compile_pdf(_template(form), data)


def _labels(form: PrintForm, found: Sequence[Any], base: str) -> Iterator[dict[str, Any]]:
    names = _unit_names({one.unit_id for one in found})
    hint = _("Scan to open")
    for one in found:
        told = form.data(one)
        code = code_of(one.uid) if isinstance(one, Record) else f"{form.code}~{one.id}"
        yield {
            "number": str(told.get("number", "")),
            "kind": str(told.get("kind", "")),
            "lines": [str(line) for line in told.get("lines", ())][:MOST_LINES],
            "unit": names.get(one.unit_id, ""),
            "qr": qr_svg(full_address(told["open"], base) if told.get("open") else link(code, base)),
            "hint": hint,
        }


def _unit_names(ids: set[int]) -> dict[int, str]:
    english = str(get_locale()).startswith("en")
    rows = session().execute(select(Unit.id, Unit.name, Unit.name_en).where(Unit.id.in_(ids)))
    return {key: name_en if english and name_en else name for key, name, name_en in rows}


def _template(form: PrintForm) -> Any:
    if not form.plugin or not form.template:
        return SHARED / "label.typ"
    installed = current_app.extensions["plugins"]
    return installed.get(form.plugin).folder / "templates" / form.template

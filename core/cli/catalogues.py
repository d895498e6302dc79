"""Catalogues: which strings of the sources are translated. Slow to import; only commands and tests need it."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

LOCALE = "zh_Hans_CN"
_METHODS = [
    ("**/tests/**", "ignore"),
    ("**/scaffold/**", "ignore"),
    ("**.py", "python"),
    ("**.html", "jinja2"),
    ("**.txt", "jinja2"),
]
_VOLATILE = tuple(
    f'"{name}: '
    for name in (
        "Report-Msgid-Bugs-To",
        "POT-Creation-Date",
        "PO-Revision-Date",
        "Last-Translator",
        "Language-Team",
        "Generated-By",
    )
)
_KEYWORDS = {
    "_": None,
    "_l": None,
    "_n": (1, 2),
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
    # One English word, two Chinese ones: the context tells them apart.
    "pgettext": ((1, "c"), 2),
    "lazy_pgettext": ((1, "c"), 2),
}


def catalogue_path(room: Path) -> Path:
    """Return where a room keeps its Chinese catalogue."""
    return room / "translations" / LOCALE / "LC_MESSAGES" / "messages.po"


def extract(folders: Iterable[Path]) -> Catalog:
    """Return the translatable strings found in the sources under ``folders``."""
    found = Catalog(locale=LOCALE)
    for folder in folders:
        for name, _line, message, comments, context in extract_from_dir(
            str(folder), method_map=_METHODS, keywords=_KEYWORDS, strip_comment_tags=True
        ):
            found.add(message, locations=[(f"{folder.name}/{name}", 0)], auto_comments=comments, context=context)
    return found


def read(path: Path) -> Catalog:
    """Read a catalogue; an empty one where there is no file yet."""
    if not path.exists():
        return Catalog(locale=LOCALE)
    with path.open("rb") as source:
        return read_po(source, locale=LOCALE)


def update(room: Path, folders: Iterable[Path]) -> tuple[int, int]:
    """Bring a room's catalogue up to its sources; return (strings, of which without translation)."""
    path = catalogue_path(room)
    catalogue = read(path)
    catalogue.update(extract(folders), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text_of(catalogue), encoding="utf-8")
    return len(catalogue), len(untranslated(catalogue))


def _text_of(catalogue: Catalog) -> str:
    """Write a catalogue without dates and line numbers: two runs over the same strings give the same file."""
    out = BytesIO()
    write_po(out, catalogue, sort_output=True, no_location=True, width=100)
    lines = out.getvalue().decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(_VOLATILE))


def untranslated(catalogue: Catalog) -> list[str]:
    """Return the strings without a translation, or with one marked fuzzy."""
    return [str(m.id) for m in catalogue if m.id and (m.fuzzy or not _complete(m.string))]


def _complete(text: object) -> bool:
    return all(text) if isinstance(text, tuple | list) else bool(text)

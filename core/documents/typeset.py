"""Typesetting: a typst template and data make a PDF. The data is passed in, never written into the source.

A template sees three things only: its own folder, the house's frame (``/print/frame.typ``) and the data. No system
font, no package from the net, no other file. What the font cannot show stops the print: a name with a hole in it
must not leave the house.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
import threading
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import current_app
from flask_babel import lazy_gettext as _l

from core.kernel import clock
from core.kernel.errors import AppError
from core.kernel.settings import ROOT, Settings

from .glyphs import glyphs_of

log = logging.getLogger(__name__)

SHARED = ROOT / "templates" / "print"
PREFERRED = "Noto Sans SC"
NAMED = 12  # so many missing characters are named; the rest is counted
# A template that asks for a package would make the compiler look for it on the net.
_PACKAGE = re.compile(r'"@[a-z]')


class NotPrintable(AppError):
    """The document cannot be printed as it is; the text says which character or part is at fault."""

    status = 422
    code = "not_printable"


def compile_pdf(template: Path, data: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> bytes:
    """Make a PDF of ``template`` (a typst file) with ``data`` as ``sys.inputs.data`` (JSON text).

    ``template`` may import ``/print/frame.typ`` and files of its own folder. Control and direction characters in
    the data are left out. The same data at the same moment gives the same bytes. Safe in threads. ``files``:
    pictures and PDFs the template shows, found as ``/files/<name>``; it then sees no other file of its folder.

    Raises:
        NotPrintable: a character that the font has not.
    """
    return _press(template.resolve(), _font_place()).print(data, int(clock.now().timestamp()), files)


def qr_svg(address: str) -> str:
    """Return a QR code of an address as SVG text, for ``qr()`` of the frame: ten times as fast as in Python."""
    import zxingcpp

    drawn: str = zxingcpp.create_barcode(address, zxingcpp.BarcodeFormat.QRCode, ec_level="M").to_svg(
        scale=1, add_quiet_zones=True
    )
    return drawn[drawn.index("<svg") :]


def missing_characters(value: Any) -> list[str]:
    """Return the characters in the strings of plain JSON that the font has not, each once, in order."""
    return _press(SHARED / "frame.typ", _font_place()).missing(plain(value))


class _Press:
    """A compiler with its files and fonts. One print at a time: the compiler is not made for several threads."""

    def __init__(self, template: Path, fonts: Path) -> None:
        import typst

        self._template = template
        source = template.read_text("utf-8")
        if _PACKAGE.search(source):
            raise ValueError(f"{template}: print templates may not use packages")
        house = {f"print/{one.name}": one.read_bytes() for one in SHARED.glob("*.typ")}
        self._files = {"main.typ": source.encode(), **house}
        found: Any = typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=False,
            font_paths=[str(fonts if fonts.is_dir() else fonts.parent)],
        )
        faces = [one for one in found.fonts() if fonts.is_dir() or Path(one.path) == fonts]
        if not faces:
            raise NotPrintable(_l("There is no font to print with; see the setting print_fonts."))
        self._families = sorted({one.family for one in faces}, key=lambda name: (name != PREFERRED, name))
        self._glyphs = frozenset().union(*(glyphs_of(Path(one.path), one.index) for one in faces))
        # Files held in memory are missing from its type hints.
        make: Any = typst.Compiler
        self._compiler = make(self._files, root=str(template.parent), font_paths=found)
        self._lock = threading.Lock()
        self._refuse(self.missing(source))

    def print(self, data: Mapping[str, Any], stamp: int, files: Mapping[str, bytes] | None = None) -> bytes:
        given = plain(data)
        self._refuse(self.missing(given))
        inputs = {"data": json.dumps(given, ensure_ascii=False), "fonts": json.dumps(self._families)}
        with self._lock:
            # The compiler forgets files held in memory after each run, so they are handed over again.
            if not files:
                return self._compile(inputs, stamp, str(self._template.parent))
            # Files held in memory are text to it: pictures lie on the disk for as long as it runs.
            with tempfile.TemporaryDirectory(prefix="print-") as root:
                (Path(root) / "files").mkdir()
                for name, content in files.items():
                    (Path(root) / "files" / name).write_bytes(content)
                return self._compile(inputs, stamp, root)

    def _compile(self, inputs: Mapping[str, str], stamp: int, root: str) -> bytes:
        import typst

        try:
            made = self._compiler.compile(self._files, format="pdf", sys_inputs=inputs, timestamp=stamp, root=root)
            return bytes(made)
        except typst.TypstError as error:
            # The data or a picture in it does not suit the template: nothing a reader of the message can mend here.
            log.exception("print template %s", self._template)
            raise NotPrintable(_l("The form could not be set; the reason is in the log.")) from error

    def missing(self, value: Any) -> list[str]:
        held: dict[str, None] = {}
        for text in _strings(value):
            if not text.isascii():
                held.update(dict.fromkeys(c for c in text if ord(c) not in self._glyphs and not _invisible(c)))
        return list(held)

    def _refuse(self, missing: Sequence[str]) -> None:
        if not missing:
            return
        named = "、".join(f"{c} (U+{ord(c):04X})" for c in missing[:NAMED])
        raise NotPrintable(
            _l(
                "The font has no sign for these characters: %(characters)s. Please replace them, or ask for a "
                "font that has them.",
                characters=named + (" …" if len(missing) > NAMED else ""),
            )
        )


def plain(value: Any) -> Any:
    """Return plain JSON without characters that show nothing or turn the direction of writing."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value
        return "".join(c for c in value if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return plain(str(value))


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


def _invisible(character: str) -> bool:
    """Tell whether a character is a break or a variation selector: no sign of its own is wanted for it."""
    return (
        character in "\n\r\t\u2028\u2029"
        or 0xFE00 <= ord(character) <= 0xFE0F
        or 0xE0100 <= ord(character) <= 0xE01EF
    )


@lru_cache(maxsize=64)
def _press(template: Path, fonts: Path) -> _Press:
    return _Press(template, fonts)


def _font_place() -> Path:
    settings: Settings = current_app.extensions["settings"]
    if settings.print_fonts:
        return (ROOT / settings.print_fonts).resolve()
    return _installed_fonts()


@lru_cache(maxsize=1)
def _installed_fonts() -> Path:
    import importlib.util

    # Its own file tells where it lies; nothing of the package is run.
    found = importlib.util.find_spec("pylopdf_fonts_zh_cn")
    if found is None or found.origin is None:
        raise NotPrintable(_l("There is no font to print with; see the setting print_fonts."))
    return Path(found.origin).parent.resolve()

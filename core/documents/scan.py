"""Reading codes in a photo: our own QR labels, and bar codes of serial numbers.

A photo comes from outside: its bytes, its kind and its pixels are limited before anything is unpacked. Of what a
code says only the code of our own links is ever followed; the address before it is not looked at.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from flask_babel import lazy_gettext as _l

from core.kernel.errors import InvalidData
from core.kernel.fields import normalise

MAX_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 64_000_000
# What is unpacked whole, whereas a JPEG is unpacked at the size that is needed.
MAX_PIXELS_WHOLE = 24_000_000
EDGE = 2400  # pixels of the longer side that are searched
MOST_CODES = 12
LONGEST = 200
_KINDS = ("JPEG", "PNG", "WEBP")
_OURS = re.compile(r"https?://[^/\s?#]+(?:/[^\s?#]*)?/q/([A-Za-z0-9_.:~-]{1,90})/?", re.I)
# Unpacking takes memory: no more than two photos at a time, whoever waits waits a second.
_turns = threading.BoundedSemaphore(2)

UNREADABLE = _l("This is not a photo that can be read. Take it as JPEG or PNG.")
TOO_LARGE = _l("The photo is too large. Take it with a smaller resolution.")


@dataclass(frozen=True)
class Code:
    """What one code in a photo says. ``ours``: the code of one of our links, or empty."""

    text: str
    ours: str = ""


def read_photo(stream: IO[bytes]) -> list[Code]:
    """Return the codes in a photo, our own labels first, each once. Empty: none was found.

    Raises:
        InvalidData: under ``photo``: empty, too large, or no photo of a kind we read.
    """
    content = stream.read(MAX_BYTES + 1)
    if not content:
        raise InvalidData({"photo": _l("The file is empty")})
    if len(content) > MAX_BYTES:
        raise InvalidData({"photo": TOO_LARGE})
    with _turns:
        texts = _texts(_unpacked(content))
    found = {code.ours or code.text: code for code in map(understand, texts) if code.text}
    return sorted(found.values(), key=lambda code: not code.ours)[:MOST_CODES]


def understand(text: str) -> Code:
    """Tell what the text of a code means."""
    plain = " ".join(normalise(text[: LONGEST * 4]).split())[:LONGEST]
    match = _OURS.fullmatch(plain)
    return Code(plain, match[1] if match else "")


def _unpacked(content: bytes) -> Any:
    """Open a photo in shades of grey, no larger than is needed to find codes.

    Raises:
        InvalidData: no photo, a damaged one, or one with more pixels than we unpack.
    """
    from PIL import Image, UnidentifiedImageError, WebPImagePlugin

    _known = WebPImagePlugin  # Pillow knows WebP once this is imported

    try:
        photo: Any = Image.open(io.BytesIO(content), formats=_KINDS)
        width, height = photo.size
        jpeg = photo.format in ("JPEG", "MPO")
        if width * height > (MAX_PIXELS if jpeg else MAX_PIXELS_WHOLE):
            raise InvalidData({"photo": TOO_LARGE})
        if jpeg:
            photo.draft("L", (EDGE, EDGE))
        grey = photo.convert("L")
        grey.thumbnail((EDGE, EDGE))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as bomb:
        raise InvalidData({"photo": TOO_LARGE}) from bomb
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as bad:
        raise InvalidData({"photo": UNREADABLE}) from bad
    return grey


def _texts(grey: Any) -> Sequence[str]:
    import zxingcpp

    kinds = zxingcpp.BarcodeFormat
    wanted = (kinds.QRCode, kinds.DataMatrix, kinds.Code128, kinds.Code39, kinds.EAN13, kinds.EAN8, kinds.UPCA)
    found = zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormats(wanted))
    return [one.text for one in found if one.valid]

"""Which characters a font file has a sign for: its ``cmap`` table, read as the OpenType format lays it down."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=16)
def glyphs_of(path: Path, index: int = 0) -> frozenset[int]:
    """Return the code points a font has signs for. ``index``: which font of a collection (.ttc).

    Reads the tables of formats 4 and 12, which every font for Chinese carries.
    """
    data = path.read_bytes()
    start = struct.unpack_from(">I", data, 12 + 4 * index)[0] if data[:4] == b"ttcf" else 0
    place = _table(data, start, b"cmap")
    held: set[int] = set()
    for number in range(struct.unpack_from(">H", data, place + 2)[0]):
        at = place + struct.unpack_from(">I", data, place + 4 + 8 * number + 4)[0]
        read = {4: _segments, 12: _groups}.get(struct.unpack_from(">H", data, at)[0])
        if read is not None:
            held.update(read(data, at))
    return frozenset(held)


def _table(data: bytes, start: int, tag: bytes) -> int:
    for number in range(struct.unpack_from(">H", data, start + 4)[0]):
        name, _check, offset, _length = struct.unpack_from(">4sIII", data, start + 12 + 16 * number)
        if name == tag:
            return int(offset)
    raise ValueError("a font without a table of characters")


def _groups(data: bytes, at: int) -> Iterator[int]:
    """Format 12: runs of code points, each with the glyph of its first; glyph 0 means there is none."""
    for number in range(struct.unpack_from(">I", data, at + 12)[0]):
        first, last, glyph = struct.unpack_from(">III", data, at + 16 + 12 * number)
        yield from range(first if glyph else first + 1, last + 1)


def _segments(data: bytes, at: int) -> Iterator[int]:
    """Format 4: segments with a shift, or with a list of glyphs behind the table."""
    count = struct.unpack_from(">H", data, at + 6)[0] // 2
    ends, starts = at + 14, at + 16 + 2 * count
    shifts, offsets = starts + 2 * count, starts + 4 * count
    for number in range(count):
        first, last = (struct.unpack_from(">H", data, base + 2 * number)[0] for base in (starts, ends))
        shift, offset = (struct.unpack_from(">H", data, base + 2 * number)[0] for base in (shifts, offsets))
        for code in range(first, last + 1):
            if offset:
                place = offsets + 2 * number + offset + 2 * (code - first)
                glyph = struct.unpack_from(">H", data, place)[0]
                found = (glyph + shift) & 0xFFFF if glyph else 0
            else:
                found = (code + shift) & 0xFFFF
            if found and code != 0xFFFF:
                yield code

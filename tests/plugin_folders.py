"""Writes throw-away plugins for tests. Each has a name of its own, since Python keeps imported modules."""

from __future__ import annotations

import itertools
from pathlib import Path

_numbers = itertools.count(1)

MANIFEST = """
name = "{name}"
version = "1.0"
core = ">=1.0,<2"
depends = [{depends}]
[title]
zh = "{name} 插件"
en = "{name} plugin"
"""


def write_plugin(folder: Path, code: str, name: str = "", depends: tuple[str, ...] = (), **files: str) -> str:
    """Write a plugin with ``code`` as its plugin.py; ``files`` are further modules by name. Returns its name."""
    name = name or f"thrown{next(_numbers)}"
    place = folder / name
    place.mkdir(parents=True)
    listed = ", ".join(f'"{one}"' for one in depends)
    (place / "manifest.toml").write_text(MANIFEST.format(name=name, depends=listed), "utf-8")
    for module, text in {"__init__": "", "plugin": code, **files}.items():
        (place / f"{module}.py").write_text(text, "utf-8")
    return name

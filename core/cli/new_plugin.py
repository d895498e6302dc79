"""``flask plugins new``: a minimal plugin that already keeps the contract."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from string import Template

import click

from core.kernel import manifest, migrations
from core.kernel.database import Base
from core.kernel.loader import room_of

SCAFFOLD = Path(__file__).parent / "scaffold"
# Scaffold file -> place in the plugin.
FILES = {
    "manifest.toml": "manifest.toml",
    "plugin.py": "plugin.py",
    "models.py": "models.py",
    "services.py": "services.py",
    "admin.py": "admin.py",
    "test_contract.py": "tests/test_contract.py",
    "messages.po": "translations/zh_Hans_CN/LC_MESSAGES/messages.po",
    "README.md": "README.md",
}


def render(name: str, title_zh: str, title_en: str) -> dict[str, str]:
    """Return the text of every file of a new plugin, by its place."""
    words = {"name": name, "title_zh": title_zh, "title_en": title_en}
    found = {
        place: Template((SCAFFOLD / f"{source}.txt").read_text("utf-8")).substitute(words)
        for source, place in FILES.items()
    }
    return {"__init__.py": "", **found}


def write(folder: Path, name: str, title_zh: str, title_en: str) -> Path:
    """Write a new plugin into ``folder`` with its first migration; return its place.

    Raises:
        ClickException: the name does not do, or something of that name is there.
    """
    if not manifest.NAME.match(name) or name in manifest.RESERVED:
        raise click.ClickException("a plugin's name is small letters and digits, without underscore")
    place = folder / name
    if place.exists():
        raise click.ClickException(f"{name} is there already")
    for path, text in render(name, title_zh, title_en).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text, "utf-8")
    _first_migration(place, name)
    return place


def _first_migration(place: Path, name: str) -> None:
    package = import_module("plugins")
    if str(place.parent) not in package.__path__:
        package.__path__.append(str(place.parent))
    import_module(f"plugins.{name}.models")
    problems: list[object] = []
    one = manifest.read(place, f"plugins.{name}", problems)
    if one is None:
        raise click.ClickException("; ".join(str(p) for p in problems))
    migrations.rewrite_first(room_of(one), Base.metadata)
    sys.modules.pop(f"plugins.{name}.models", None)

"""Loads the plugins a deployment lists. Any failure stops the start: a branch must never run without its rules."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
from flask_babel import lazy_gettext as _l

import core

from . import hooks, manifest
from .manifest import Manifest, PluginError
from .migrations import Room


@dataclass(frozen=True)
class Installed:
    """The plugins of this deployment, dependencies first; ``available`` also holds those not listed."""

    plugins: tuple[Manifest, ...]
    available: Mapping[str, Manifest]
    registry: hooks.Registry

    def get(self, name: str) -> Manifest | None:
        """Return an installed plugin's manifest, or None."""
        return next((one for one in self.plugins if one.name == name), None)

    def rooms(self) -> list[Room]:
        """Return the migration rooms of the plugins, in order."""
        return [room_of(one) for one in self.plugins]


def room_of(one: Manifest) -> Room:
    """Return the migration room of a plugin."""
    return Room(one.name, one.folder / "migrations", one.depends)


def load(folders: Sequence[Path], wanted: Sequence[str], specs: ModuleType) -> Installed:
    """Find, check, sort, import and register the wanted plugins.

    Raises:
        PluginError: with every problem found.
    """
    found, problems = manifest.discover(folders)
    # A broken manifest stops the start even if it is not listed: it may be the one somebody meant to list.
    try:
        ordered = manifest.plan(found, wanted, core.__version__)
    except PluginError as error:
        raise PluginError([*problems, *error.problems]) from None
    if problems:
        raise PluginError(problems)
    open_folders(folders)
    registry = hooks.Registry(specs)
    failures = [failure for one in ordered if (failure := _register(registry, one))]
    if failures:
        raise PluginError(failures)
    try:
        registry.manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            [_l("plugin %(name)s implements a hook that does not exist: %(why)s", **_owner(error))]
        ) from error
    return Installed(tuple(ordered), found, registry)


def _owner(error: pluggy.PluginValidationError) -> dict[str, Any]:
    return {"name": getattr(error.plugin, "__name__", "?"), "why": error}


def open_folders(folders: Sequence[Path]) -> None:
    """Let ``plugins.<name>`` be imported from every plugin folder, not only the repository's own."""
    package = import_module("plugins")
    for folder in folders:
        if str(folder) not in package.__path__:
            package.__path__.append(str(folder))


def _register(registry: hooks.Registry, one: Manifest) -> Any:
    """Import and register one plugin; return the problem, if there is one."""
    try:
        for part in ("models", "plugin"):
            if part == "plugin" or find_spec(f"{one.package}.{part}"):
                import_module(f"{one.package}.{part}")
        registry.register(one.name, sys.modules[f"{one.package}.plugin"])
    except Exception as error:  # whatever goes wrong in a plugin is reported with its name, with all the others
        return _l("plugin %(name)s cannot be loaded: %(why)s", name=one.name, why=_cause(error, one))
    return None


def _cause(error: Exception, one: Manifest) -> str:
    """Tell the error and the last place inside the plugin that led to it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(one.folder)]
    place = f" ({Path(frames[-1].filename).relative_to(one.folder)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"

"""Plugin switches: which plugins are on in which unit, and what switching one asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import func, select

from core.kernel import clock
from core.kernel.access import require
from core.kernel.database import current_scope, session
from core.kernel.errors import NotFound, Refusal, Refused
from core.kernel.extensions import Blocker
from core.kernel.hooks import hooks_for
from core.kernel.i18n import current_locale
from core.kernel.loader import Installed
from core.kernel.manifest import Manifest

from .models import Unit, UnitPlugin

SWITCH = "plugin.switch"


def installed() -> Installed:
    """Return the plugins of this deployment."""
    return cast(Installed, current_app.extensions["plugins"])


def enabled_plugins(unit_id: int) -> frozenset[str]:
    """Tell which plugins are on in a unit: read once per session (a request, a job), never kept longer."""
    known: dict[int, frozenset[str]] = session().info.setdefault("enabled_plugins", {})
    if unit_id not in known:
        chosen = select(UnitPlugin.plugin).where(UnitPlugin.unit_id == unit_id, UnitPlugin.enabled)
        known[unit_id] = frozenset(session().scalars(chosen))
    return known[unit_id]


def enabled_since(unit_id: int, plugin: str) -> datetime | None:
    """Return when a plugin that is on in a unit was switched on for the first time; None where it is off."""
    known: dict[tuple[int, str], datetime | None] = session().info.setdefault("enabled_since", {})
    if (unit_id, plugin) not in known:
        chosen = select(func.coalesce(UnitPlugin.first_on_at, UnitPlugin.changed_at)).where(
            UnitPlugin.unit_id == unit_id, UnitPlugin.plugin == plugin, UnitPlugin.enabled
        )
        known[unit_id, plugin] = session().scalar(chosen)
    return known[unit_id, plugin]


def enable(unit: Unit, plugin: str, *, with_dependencies: bool = False) -> list[str]:
    """Switch a plugin on in a unit; return the names switched on, dependencies first. Repeating changes nothing.

    Raises:
        NotFound: no such plugin is installed.
        NotAllowed: the actor may not switch plugins here.
        Refused: it needs others that are off, and ``with_dependencies`` was not given.
    """
    require(SWITCH, unit.id)
    _known(plugin)
    enabled = enabled_plugins(unit.id)
    needed = [name for name in _closure(plugin) if name not in enabled and name != plugin]
    if needed and not with_dependencies:
        names = ("、" if current_locale() == "zh" else ", ").join(_title(name) for name in needed)
        raise Refused(
            [Refusal("needs_plugins", _l("%(name)s also needs: %(names)s", name=_title(plugin), names=names))]
        )
    switched = [name for name in (*needed, plugin) if name not in enabled]
    for name in switched:
        _switch(unit, name, True)
    session().flush()
    actor = current_scope().actor_id
    for name in switched:
        hooks_for(frozenset({name})).unit_enabled(unit=unit, actor_id=actor)
    session().flush()
    return switched


def disable(unit: Unit, plugin: str, *, confirmed: bool = False) -> None:
    """Switch a plugin off in a unit. Its data stays. Repeating changes nothing.

    Raises:
        NotFound: no such plugin is installed.
        NotAllowed: the actor may not switch plugins here.
        Refused: others depend on it, the plugin names a fatal reason, or it warns and ``confirmed`` was not given.
    """
    require(SWITCH, unit.id)
    _known(plugin)
    if plugin not in enabled_plugins(unit.id):
        return
    blockers = disable_blockers(unit, plugin)
    standing = [b for b in blockers if b.fatal or not confirmed]
    if standing:
        raise Refused([Refusal("fatal" if b.fatal else "confirm", b.reason) for b in standing])
    _switch(unit, plugin, False)
    session().flush()


def disable_blockers(unit: Unit, plugin: str) -> list[Blocker]:
    """Return what stands against switching a plugin off: dependents (fatal), and what the plugin itself says."""
    enabled = enabled_plugins(unit.id)
    dependents = [one for one in installed().plugins if one.name in enabled and plugin in one.depends]
    blockers = [
        Blocker(
            _l("%(name)s needs this and is switched on; switch it off first", name=_title(one.name)), fatal=True
        )
        for one in dependents
    ]
    said = hooks_for(frozenset({plugin})).unit_disabling(unit=unit, actor_id=current_scope().actor_id)
    ours = [blocker for source in blocker_sources for blocker in source(unit.id, plugin)]
    return [*blockers, *(blocker for _, found in said for blocker in found), *ours]


# A port for rooms above: each answers what of theirs stands against switching a plugin off in a unit.
blocker_sources: list[Callable[[int, str], list[Blocker]]] = []


def _switch(unit: Unit, plugin: str, on: bool) -> None:
    """Write the switch; the audit trail follows the row by itself."""
    held = select(UnitPlugin).where(UnitPlugin.unit_id == unit.id, UnitPlugin.plugin == plugin)
    row = session().scalars(held).first()
    if row is None:
        row = UnitPlugin(unit_id=unit.id, plugin=plugin)
        session().add(row)
    row.enabled, row.changed_at, row.changed_by = on, clock.now(), current_scope().actor_id
    if on and row.first_on_at is None:
        row.first_on_at = row.changed_at
    session().info.pop("enabled_plugins", None)
    session().info.pop("enabled_since", None)


def _known(plugin: str) -> Manifest:
    found = installed().get(plugin)
    if found is None:
        raise NotFound()
    return found


def _closure(plugin: str) -> list[str]:
    """Return the plugin and everything it needs, dependencies first."""
    needed: set[str] = set()
    waiting = [plugin]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(_known(name).depends)
    return [one.name for one in installed().plugins if one.name in needed]


def _title(plugin: str) -> str:
    found = installed().get(plugin)
    return found.title(current_locale()) if found else plugin


# --- the matrix --------------------------------------------------------------------------------


@dataclass(frozen=True)
class PluginInfo:
    """A column of the plugin matrix."""

    name: str
    title: str
    summary: str
    version: str
    category: str
    depends: tuple[str, ...]
    dependents: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One switch, with the titles of dependencies that are off and of dependents that are on."""

    plugin: str
    enabled: bool
    missing: tuple[str, ...]
    needed_by: tuple[str, ...]


@dataclass(frozen=True)
class MatrixRow:
    """One unit with its switches, in the order of the columns. ``depth``: 0 for the first level shown."""

    unit: Unit
    depth: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class PluginMatrix:
    """Units by plugins, for the administrator's screen."""

    plugins: tuple[PluginInfo, ...]
    rows: tuple[MatrixRow, ...]


def plugin_matrix(unit_ids: Iterable[int] | None = None) -> PluginMatrix:
    """Return all switches of the given units (None: every unit), in two statements however many there are."""
    plugins = installed().plugins
    wanted = select(Unit).order_by(Unit.path)
    if unit_ids is not None:
        wanted = wanted.where(Unit.id.in_(list(unit_ids)))
    units = session().scalars(wanted).all()
    switches = select(UnitPlugin.unit_id, UnitPlugin.plugin).where(UnitPlugin.enabled)
    on: dict[int, set[str]] = {}
    for unit_id, name in session().execute(switches):
        on.setdefault(unit_id, set()).add(name)
    shallowest = min((unit.path.count("/") for unit in units), default=0)
    rows = [
        MatrixRow(unit, unit.path.count("/") - shallowest, _cells(plugins, frozenset(on.get(unit.id, ()))))
        for unit in units
    ]
    return PluginMatrix(tuple(_info(one, plugins) for one in plugins), tuple(rows))


def _cells(plugins: Sequence[Manifest], enabled: frozenset[str]) -> tuple[Cell, ...]:
    by_name: Mapping[str, Manifest] = {one.name: one for one in plugins}
    return tuple(
        Cell(
            one.name,
            one.name in enabled,
            tuple(by_name[n].title(current_locale()) for n in one.depends if n not in enabled),
            tuple(p.title(current_locale()) for p in plugins if p.name in enabled and one.name in p.depends),
        )
        for one in plugins
    )


def _info(one: Manifest, plugins: Sequence[Manifest]) -> PluginInfo:
    language = current_locale()
    return PluginInfo(
        one.name,
        one.title(language),
        one.summary(language),
        one.version,
        one.category,
        one.depends,
        tuple(p.name for p in plugins if one.name in p.depends),
    )

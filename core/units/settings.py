"""Settings of a unit: declared by their room with a type and a default, inherited from the parent unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from sqlalchemy import bindparam, select

from core.kernel.access import require
from core.kernel.audit import plain
from core.kernel.database import session
from core.kernel.errors import InvalidData
from core.kernel.fields import Field, clean

from .facts import unit_facts
from .models import Setting, Unit
from .switches import enabled_plugins

CHANGE = "unit.settings"


@dataclass(frozen=True)
class SettingSpec:
    """One setting. ``field.name`` is ``room.key`` (``case.silence_days``); ``field.default`` holds until set.

    ``plugin`` is '' for the core's own; a plugin's is shown where the plugin is on.
    """

    field: Field
    group: Any = ""
    plugin: str = ""

    @property
    def name(self) -> str:
        return self.field.name

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True)
class SettingView:
    """A setting as a unit has it. ``source_id`` is the unit that set it, None for the default."""

    spec: SettingSpec
    value: Any
    source_id: int | None


_declared: dict[str, SettingSpec] = {}


def declare(specs: Iterable[SettingSpec]) -> None:
    """Make settings known (at import). The same name twice with another meaning is an error.

    Raises:
        ValueError: a name is taken, or is not ``room.key``.
    """
    for spec in specs:
        if not spec.room or not spec.key:
            raise ValueError(f"a setting is named room.key, not {spec.name}")
        held = _declared.setdefault(spec.name, spec)
        if (held.field.kind, held.field.default) != (spec.field.kind, spec.field.default):
            raise ValueError(f"setting {spec.name} is declared twice")


def specs() -> list[SettingSpec]:
    """Return every declared setting, in the order of declaration."""
    return list(_declared.values())


def setting(unit_id: int, name: str) -> Any:
    """Return the unit's value: its own, else the nearest ancestor's, else the default.

    Raises:
        LookupError: no such setting is declared.
    """
    return _view(_spec(name), _stored(unit_id)).value


def settings_of(unit_id: int) -> list[SettingView]:
    """Return all settings as the unit has them, with where each value comes from."""
    stored, on = _stored(unit_id), enabled_plugins(unit_id)
    return [_view(spec, stored) for spec in specs() if not spec.plugin or spec.plugin in on]


def set_setting(unit: Unit, name: str, raw: Any) -> None:
    """Set a value for the unit and, unless they set their own, its children. None goes back to inheriting.

    Raises:
        NotAllowed: the actor may not change settings here.
        InvalidData: the value does not fit; the error stands under the setting's name.
        LookupError: no such setting is declared.
    """
    require(CHANGE, unit.id)
    spec = _spec(name)
    own = select(Setting).where(Setting.unit_id == unit.id, Setting.room == spec.room, Setting.key == spec.key)
    row = session().scalars(own).first()
    session().info.pop("settings", None)
    if raw is None:
        if row is not None:
            session().delete(row)
        session().flush()
        return
    value = clean([spec.field], {name: raw})[name]
    if value is None:
        raise InvalidData({name: _l("Please fill this in")})
    if row is None:
        row = Setting(unit_id=unit.id, room=spec.room, key=spec.key)
        session().add(row)
    row.value = plain(value)
    session().flush()


def _spec(name: str) -> SettingSpec:
    if name not in _declared:
        raise LookupError(f"no setting {name} is declared")
    return _declared[name]


_Stored = dict[str, tuple[int, Any]]


def _stored(unit_id: int) -> _Stored:
    """Return name -> (source unit, stored value) of a unit with its ancestors; kept as long as the session."""
    kept: dict[int, _Stored] = session().info.setdefault("settings", {})
    if unit_id not in kept:
        kept[unit_id] = _read(unit_id)
    return kept[unit_id]


_OF_LINE = select(Setting.unit_id, Setting.room, Setting.key, Setting.value).where(
    Setting.unit_id.in_(bindparam("line", expanding=True))
)


def _read(unit_id: int) -> _Stored:
    line = unit_facts(unit_id).line
    rows = session().execute(
        _OF_LINE,
        {"line": line},
        # An ancestor's settings hold below it even for people who may not see that unit.
        execution_options={"unscoped": "settings are inherited"},
    )
    by_depth = sorted(rows, key=lambda row: line.index(row.unit_id))
    return {f"{row.room}.{row.key}": (row.unit_id, row.value) for row in by_depth}


def _view(spec: SettingSpec, stored: _Stored) -> SettingView:
    if spec.name not in stored:
        return SettingView(spec, spec.field.default, None)
    source, value = stored[spec.name]
    try:
        return SettingView(spec, clean([spec.field], {spec.name: value})[spec.name], source)
    except InvalidData:
        # Bounds or choices became narrower with a new version: what no longer fits does not hold.
        return SettingView(spec, spec.field.default, None)

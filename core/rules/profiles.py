"""Starter profiles (制度模板): what a unit of a kind of company begins with. Read from ``profiles.toml`` at start.

A profile switches its regulations on and, unless it ``adds`` to another, those of other companies off; it sets
values of clauses and settings of the unit, and switches on the plugins it needs. What is not installed is told,
never guessed. Applying a profile again changes nothing.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from flask import current_app
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from core.kernel.access import require
from core.kernel.audit import plain
from core.kernel.database import session, transaction
from core.kernel.errors import InvalidData, NotFound
from core.kernel.fields import clean
from core.kernel.manifest import PluginError
from core.units import settings as unit_settings
from core.units.facts import local_day
from core.units.models import Unit
from core.units.switches import enable, enabled_plugins, installed
from core.users.positions import POSITIONS

from . import settings
from .clauses import LANGUAGES, Clause, Parameter, Rulebook, Words
from .coverage import IDS_FILE
from .effective import forget
from .rulebook import NAME, PROFILE, current_rulebook
from .setting_models import ClauseSetting
from .settings import Difference

FILE = Path(__file__).with_name("profiles.toml")
EXTENSION = "profiles"
_FRIENDLY = re.compile(r"^[a-z][a-z0-9-]{0,29}$")
_KEYS: Mapping[str, tuple[type, bool]] = {
    "code": (str, True),
    "name": (str, True),
    "title": (dict, True),
    "purpose": (dict, True),
    "regulations": (list, True),
    "plugins": (list, False),
    "off": (list, False),
    "adds": (bool, False),
    "value": (list, False),
    "settings": (dict, False),
}


@dataclass(frozen=True)
class Profile:
    """A starter set. ``name`` is what people type; ``values`` are (clause, parameter, value)."""

    code: str
    name: str
    title: Words = field(hash=False)
    purpose: Words = field(hash=False)
    regulations: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    off: frozenset[str] = frozenset()
    adds: bool = False
    values: tuple[tuple[str, str, Any], ...] = field(default=(), hash=False)
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def wants(self, clause: Clause) -> bool | None:
        """Tell whether a clause is to be on or off; None leaves it as it is."""
        if clause.regulation in self.regulations:
            return clause.id not in self.off
        # What belongs to no kind of company (a duty under national law, say) is the unit's own choice.
        return None if self.adds or not clause.profiles else False


@dataclass(frozen=True)
class ClauseChange:
    """What applying a profile sets for one clause: on or off (None: as it is), and values."""

    clause: Clause
    holds: bool | None
    values: Mapping[str, Any]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class SettingChange:
    """A setting of the unit that a profile changes."""

    spec: unit_settings.SettingSpec
    before: Any
    after: Any


@dataclass(frozen=True)
class Preview:
    """What applying a profile to a unit from a day on would change, and what it names that is not there.

    ``blocked`` are clauses with a version that begins on that day or later: they are left as they are.
    ``missing_clauses`` counts, for each plugin that is not installed, the clauses of the profile it would bring.
    """

    profile: Profile
    starts_on: date
    plugins: tuple[str, ...]
    missing_plugins: tuple[str, ...]
    clauses: tuple[ClauseChange, ...]
    blocked: tuple[Clause, ...]
    settings: tuple[SettingChange, ...]
    missing_settings: tuple[str, ...]
    missing_clauses: Mapping[str, int]

    @property
    def switched_on(self) -> list[Clause]:
        return [one.clause for one in self.clauses if one.holds is True]

    @property
    def switched_off(self) -> list[Clause]:
        return [one.clause for one in self.clauses if one.holds is False]

    @property
    def valued(self) -> list[tuple[Clause, Difference]]:
        """The values that change, with their clauses."""
        return [(one.clause, d) for one in self.clauses for d in one.differences if d.parameter]

    def __bool__(self) -> bool:
        return bool(self.plugins or self.clauses or self.settings)


# --- what there is ---------------------------------------------------------------------------------


def current_profiles() -> Mapping[str, Profile]:
    """Return the profiles of the running application by code."""
    return cast("Mapping[str, Profile]", current_app.extensions[EXTENSION])


def find_profile(name: str) -> Profile:
    """Return a profile by its code or by what people call it.

    Raises:
        NotFound: there is none; the message lists those there are.
    """
    wanted = name.strip().lower()
    for one in current_profiles().values():
        if wanted in (one.name, one.code.lower()):
            return one
    names = ", ".join(one.name for one in current_profiles().values())
    raise NotFound(_l("There is no profile %(name)s. There are: %(names)s", name=name[:40], names=names))


# --- applying --------------------------------------------------------------------------------------


def preview(unit: Unit, profile: Profile, starts_on: date | None = None) -> Preview:
    """Say what ``apply`` would change in a unit (from today on, unless said otherwise). Writes nothing."""
    day = starts_on or local_day(unit.id)
    on = enabled_plugins(unit.id)
    known = {one.name for one in installed().plugins}
    adding = tuple(_with_dependencies([one for one in profile.plugins if one in known], on))
    clauses, blocked = _clause_changes(unit, profile, day, on | set(adding))
    specs = {one.name: one for one in unit_settings.specs()}
    return Preview(
        profile,
        day,
        adding,
        tuple(one for one in profile.plugins if one not in known),
        tuple(clauses),
        tuple(blocked),
        tuple(_setting_changes(unit, profile, specs)),
        tuple(one for one in profile.settings if one not in specs),
        _missing_clauses(profile, current_rulebook()),
    )


def apply(unit: Unit, profile: Profile, starts_on: date | None = None, *, reason: str = "") -> Preview:
    """Give a unit a profile from a day on (default: today), all of it in one transaction; return what was changed.

    What is not installed is left out and named in the answer. Applying it twice changes nothing.

    Raises:
        NotAllowed: without ``rules.settings`` and, where they change, ``plugin.switch`` and ``unit.settings``.
        InvalidData: the day lies in the past of a unit that has records or settings already.
    """
    with transaction():
        require(settings.CHANGE, unit.id)
        found = preview(unit, profile, starts_on)
        for plugin in found.plugins:
            enable(unit, plugin, with_dependencies=True)
        forget()
        told = reason or f"{profile.title['zh']} {profile.code}"
        for one in found.clauses:
            settings.set_clause(
                unit.id, one.clause.id, one.values, starts_on=found.starts_on, reason=told, holds=one.holds
            )
        for change in found.settings:
            unit_settings.set_setting(unit, change.spec.name, profile.settings[change.spec.name])
        return found


def _with_dependencies(names: Sequence[str], on: frozenset[str]) -> list[str]:
    """Return the plugins to be switched on, those they need with them, in the order of installation."""
    wanted: set[str] = set()
    todo = list(names)
    plugins = {one.name: one for one in installed().plugins}
    while todo:
        one = todo.pop()
        if one not in wanted:
            wanted.add(one)
            todo.extend(plugins[one].depends)
    return [name for name in plugins if name in wanted and name not in on]


def _clause_changes(
    unit: Unit, profile: Profile, day: date, enabled: frozenset[str] | set[str]
) -> tuple[list[ClauseChange], list[Clause]]:
    values: dict[str, dict[str, Any]] = {}
    for clause_id, name, value in profile.values:
        values.setdefault(clause_id, {})[name] = value
    planned = _planned(unit.id, day)
    changes, blocked = [], []
    for clause in current_rulebook().in_force(enabled):
        change = _clause_change(unit.id, clause, profile.wants(clause), values.get(clause.id, {}), day)
        if change is None:
            continue
        if clause.id in planned:
            blocked.append(clause)
        else:
            changes.append(change)
    return changes, blocked


def _clause_change(
    unit_id: int, clause: Clause, wanted: bool | None, given: Mapping[str, Any], day: date
) -> ClauseChange | None:
    """Return what has to be set so that a clause says what the profile wants; None where it does already."""
    now = settings.preview(unit_id, clause, day)
    wished = settings.read_values(clause, given)
    changed = {name: value for name, value in wished.items() if plain(now.values[name]) != value}
    if wanted in (None, now.holds) and not changed:
        return None
    own_holds, own = settings.own_values(unit_id, clause, day)
    holds = own_holds if wanted in (None, now.holds) else wanted
    found = [Difference(None, now.holds, wanted)] if wanted not in (None, now.holds) else []
    found += [Difference(clause.parameter(name), now.values[name], changed[name]) for name in changed]
    return ClauseChange(clause, holds, {**own, **changed}, tuple(found))


def _planned(unit_id: int, day: date) -> set[str]:
    """Return the clauses of which the unit has a version that begins on a day or later."""
    wanted = select(ClauseSetting.clause).where(
        ClauseSetting.unit_id == unit_id,
        ClauseSetting.starts_on >= day,
        ClauseSetting.state.in_(settings.STANDING),
    )
    return set(session().scalars(wanted))


def _setting_changes(
    unit: Unit, profile: Profile, specs: Mapping[str, unit_settings.SettingSpec]
) -> Iterator[SettingChange]:
    for name, raw in profile.settings.items():
        if name in specs:
            before, after = unit_settings.setting(unit.id, name), _clean(specs[name], raw)
            if before != after:
                yield SettingChange(specs[name], before, after)


def _clean(spec: unit_settings.SettingSpec, raw: Any) -> Any:
    return clean([spec.field], {spec.name: raw})[spec.name]


def _missing_clauses(profile: Profile, book: Rulebook) -> dict[str, int]:
    """Count the clauses of a profile that no installed rulebook brings, by plugin."""
    found: dict[str, int] = {}
    for clause_id, plugin in _every_clause():
        if clause_id.partition("-")[0] in profile.regulations and clause_id not in book.clauses:
            found[plugin] = found.get(plugin, 0) + 1
    return dict(sorted(found.items()))


@lru_cache(maxsize=1)
def _every_clause() -> tuple[tuple[str, str], ...]:
    with IDS_FILE.open(encoding="utf-8", newline="") as lines:
        return tuple((row["id"], row["plugin"]) for row in csv.DictReader(lines))


# --- reading the file ------------------------------------------------------------------------------


def load(book: Rulebook, path: Path = FILE) -> dict[str, Profile]:
    """Read and check the profiles.

    Raises:
        PluginError: with every mistake, each naming its profile.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PluginError([_l("%(file)s cannot be read: %(why)s", file=path, why=error)]) from error
    entries = data.get("profile", [])
    problems: list[Any] = [_l("%(key)s is not known", key=key) for key in sorted(set(data) - {"profile"})]
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise PluginError([_l("write %(key)s as [[%(key)s]]", key="profile")])
    found: dict[str, Profile] = {}
    taken: set[str] = set()
    for entry in entries:
        wrong = list(_problems(entry, book))
        names = {str(entry.get("code")), str(entry.get("name"))}
        if names & taken:
            wrong.append(_l("it is there twice"))
        taken |= names
        label = f"{path.name} {entry.get('code', '')}".rstrip()
        problems += [_l("%(file)s: %(why)s", file=label, why=one) for one in wrong]
        if not wrong:
            found[entry["code"]] = _profile(entry)
    if problems:
        raise PluginError(problems)
    return found


def _profile(entry: Mapping[str, Any]) -> Profile:
    return Profile(
        code=entry["code"],
        name=entry["name"],
        title=entry["title"],
        purpose=entry["purpose"],
        regulations=tuple(entry["regulations"]),
        plugins=tuple(entry.get("plugins", ())),
        off=frozenset(entry.get("off", ())),
        adds=entry.get("adds", False),
        values=tuple((one["clause"], one["name"], one["value"]) for one in entry.get("value", ())),
        settings=entry.get("settings", {}),
    )


def _problems(entry: Mapping[str, Any], book: Rulebook) -> Iterator[Any]:
    ill_typed = list(_ill_typed(entry))
    yield from ill_typed
    if ill_typed:
        return
    if not PROFILE.match(entry["code"]):
        yield _l("%(name)s is not a name of a profile, like BU-GEN", name=entry["code"])
    if not _FRIENDLY.match(entry["name"]):
        yield _l("the name must be small letters, digits and -")
    for key in ("title", "purpose"):
        if set(entry[key]) != set(LANGUAGES) or not all(isinstance(v, str) and v for v in entry[key].values()):
            yield _l("%(key)s needs words in zh and en", key=key)
    for one in entry["regulations"]:
        if one not in book.regulations:
            yield _l("there is no regulation %(id)s", id=one)
    for one in entry.get("plugins", ()):
        if not isinstance(one, str) or not NAME.match(one):
            yield _l("%(name)s is not a name of a plugin", name=one)
    for one in entry.get("off", ()):
        if str(one).partition("-")[0] not in entry["regulations"]:
            yield _l("the clause %(id)s is of none of its regulations", id=one)
    for one in entry.get("value", ()):
        yield from _ill_valued(one, entry, book)
    for name, raw in entry.get("settings", {}).items():
        yield from _ill_set(name, raw)


def _ill_typed(entry: Mapping[str, Any]) -> Iterator[Any]:
    for key, (kind, needed) in _KEYS.items():
        if key not in entry:
            if needed:
                yield _l("%(key)s is missing", key=key)
        elif not isinstance(entry[key], kind):
            yield _l("%(key)s must be a %(kind)s", key=key, kind=kind.__name__)
    yield from (_l("%(key)s is not known", key=key) for key in entry if key not in _KEYS)


def _ill_valued(one: Any, entry: Mapping[str, Any], book: Rulebook) -> Iterator[Any]:
    """A value of an installed clause must be one that a unit could set; others wait for their plugin."""
    if not isinstance(one, dict) or set(one) != {"clause", "name", "value"}:
        yield _l("a value has clause, name and value")
        return
    clause_id = str(one["clause"])
    if clause_id.partition("-")[0] not in entry["regulations"]:
        yield _l("the clause %(id)s is of none of its regulations", id=clause_id)
    clause = book.clauses.get(clause_id)
    if clause is None:
        return
    parameter = next((p for p in clause.parameters if p.name == one["name"]), None)
    if parameter is None:
        yield _l("the clause has no parameter %(name)s", name=one["name"])
    elif not _fits(clause, parameter, one["value"]):
        yield _l("%(name)s cannot be %(value)s", name=f"{clause_id} {parameter.name}", value=one["value"])


def _fits(clause: Clause, parameter: Parameter, value: Any) -> bool:
    if parameter.type == "position":  # which positions there are stands in the database; those shipped are known
        return value in {one.code for one in POSITIONS}
    try:
        return bool(settings.read_values(clause, {parameter.name: value}))
    except InvalidData:
        return False


def _ill_set(name: str, raw: Any) -> Iterator[Any]:
    spec = next((one for one in unit_settings.specs() if one.name == name), None)
    if spec is None or callable(spec.field.choices):
        return
    try:
        _clean(spec, raw)
    except InvalidData:
        yield _l("%(name)s cannot be %(value)s", name=name, value=raw)

"""Plugin manifests: data, read and checked before any plugin code is imported."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

FILE = "manifest.toml"
GROUP = "shouhou.plugins"
# No underscore: the prefix "agent_" of one plugin's tables must never match those of another ("agent_billing_").
NAME = re.compile(r"^[a-z][a-z0-9]{1,29}$")
RESERVED = {"core", "tests", "plugins", "shouhou"}
_REQUIRED = {"name": str, "version": str, "core": str, "title": dict}
_OPTIONAL = {"summary": dict, "depends": list, "uses": list, "category": str}


class PluginError(Exception):
    """The plugins cannot be started; ``problems`` lists every reason, in the reader's language when shown."""

    def __init__(self, problems: Sequence[Any]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        return "\n".join(["The plugins cannot be started:", *(f"- {one}" for one in self.problems)])


@dataclass(frozen=True)
class Manifest:
    """What a plugin says of itself. ``depends`` must be installed and enabled with it; ``uses`` may be."""

    name: str
    version: str
    core: str
    titles: Mapping[str, str] = field(hash=False)
    summaries: Mapping[str, str] = field(hash=False, default_factory=dict)
    depends: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    category: str = ""
    folder: Path = Path()
    package: str = ""

    def title(self, locale: str) -> str:
        """Return the plugin's name for people."""
        return self.titles.get(locale) or self.titles["zh"]

    def summary(self, locale: str) -> str:
        """Return what the plugin does, in one sentence; '' if it does not say."""
        return self.summaries.get(locale) or self.summaries.get("zh", "")


def discover(folders: Iterable[Path]) -> tuple[dict[str, Manifest], list[Any]]:
    """Read the manifests in ``folders`` and in installed distributions; return them by name, and all problems."""
    found: dict[str, Manifest] = {}
    problems: list[Any] = []
    for folder, package in [*_in_folders(folders), *_in_distributions()]:
        manifest = read(folder, package, problems)
        if manifest is None:
            continue
        if manifest.name in found:
            other = found[manifest.name].folder
            problems.append(
                _l("%(name)s is there twice: in %(one)s and in %(two)s", name=manifest.name, one=other, two=folder)
            )
            continue
        found[manifest.name] = manifest
    return found, problems


def _in_folders(folders: Iterable[Path]) -> list[tuple[Path, str]]:
    paths = [p.parent for folder in folders for p in sorted(folder.glob(f"*/{FILE}"))]
    return [(path, f"plugins.{path.name}") for path in paths]


def _in_distributions() -> list[tuple[Path, str]]:
    found = []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        spec = find_spec(entry.value.partition(".")[0])
        places = list(spec.submodule_search_locations or ()) if spec else []
        if places:
            found.append((Path(places[0], *entry.value.split(".")[1:]), entry.value))
    return found


def read(folder: Path, package: str, problems: list[Any]) -> Manifest | None:
    """Read one manifest; append what is wrong with it to ``problems`` and return None then."""
    path = folder / FILE
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(_l("%(file)s cannot be read: %(why)s", file=path, why=error))
        return None
    wrong = [*_ill_typed(data), *_ill_valued(data, folder)]
    if wrong:
        problems.extend(_l("%(file)s: %(why)s", file=path, why=one) for one in wrong)
        return None
    return Manifest(
        name=data["name"],
        version=data["version"],
        core=data["core"],
        titles=data["title"],
        summaries=data.get("summary", {}),
        depends=tuple(data.get("depends", ())),
        uses=tuple(data.get("uses", ())),
        category=data.get("category", ""),
        folder=folder,
        package=package,
    )


def _ill_typed(data: Mapping[str, Any]) -> list[Any]:
    wrong: list[Any] = [_l("%(key)s is missing", key=key) for key in _REQUIRED if key not in data]
    for key, value in data.items():
        kind = _REQUIRED.get(key) or _OPTIONAL.get(key)
        if kind is None:
            wrong.append(_l("%(key)s is not known", key=key))
        elif not isinstance(value, kind):
            wrong.append(_l("%(key)s must be a %(kind)s", key=key, kind=kind.__name__))
    return wrong


def _ill_valued(data: Mapping[str, Any], folder: Path) -> list[Any]:
    wrong: list[Any] = []
    name = data.get("name")
    if isinstance(name, str) and (not NAME.match(name) or name in RESERVED):
        wrong.append(_l("the name %(name)s must be small letters and digits, without underscore", name=name))
    elif isinstance(name, str) and folder.name != name and "site-packages" not in folder.parts:
        wrong.append(_l("the folder must be called %(name)s like the plugin", name=name))
    title = data.get("title")
    if isinstance(title, dict):
        wrong += [_l("title.%(locale)s is missing", locale=code) for code in ("zh", "en") if not title.get(code)]
    for key, reader, errors in (("version", Version, InvalidVersion), ("core", SpecifierSet, InvalidSpecifier)):
        try:
            reader(str(data.get(key, "1")) if key == "version" else str(data.get(key, "")))
        except errors:
            wrong.append(_l("%(key)s is not a valid version", key=key))
    for key in ("depends", "uses"):
        names = data.get(key, [])
        if isinstance(names, list) and not all(isinstance(one, str) for one in names):
            wrong.append(_l("%(key)s must be a list of names", key=key))
    return wrong


def plan(found: Mapping[str, Manifest], wanted: Sequence[str], core_version: str) -> list[Manifest]:
    """Return the manifests to load, dependencies first and ties by name.

    Raises:
        PluginError: naming every missing plugin or dependency, wrong core version and cycle.
    """
    problems: list[Any] = []
    duplicates = sorted({name for name in wanted if list(wanted).count(name) > 1})
    problems += [_l("the configuration names %(name)s twice", name=name) for name in duplicates]
    problems += [
        _l("the configuration names %(name)s, which is not there", name=name)
        for name in sorted(set(wanted) - set(found))
    ]
    chosen = {name: found[name] for name in wanted if name in found}
    for name in sorted(chosen):
        problems += _unmet(chosen[name], chosen, found, core_version)
    ordered, cyclic = _sorted(chosen)
    if cyclic:
        problems.append(_l("these plugins depend on each other in a circle: %(names)s", names=" -> ".join(cyclic)))
    if problems:
        raise PluginError(problems)
    return ordered


def _unmet(
    one: Manifest, chosen: Mapping[str, Manifest], found: Mapping[str, Manifest], core_version: str
) -> list[Any]:
    problems: list[Any] = []
    if not SpecifierSet(one.core).contains(core_version, prereleases=True):
        problems.append(
            _l(
                "%(name)s needs core %(range)s, but this is %(version)s",
                name=one.name,
                range=one.core,
                version=core_version,
            )
        )
    for need in one.depends:
        if need in chosen:
            continue
        text = (
            _l("%(name)s needs %(need)s, which the configuration does not list", name=one.name, need=need)
            if need in found
            else _l("%(name)s needs %(need)s, which is not there", name=one.name, need=need)
        )
        problems.append(text)
    return problems


def _sorted(chosen: Mapping[str, Manifest]) -> tuple[list[Manifest], list[str]]:
    """Sort by dependency; what cannot be sorted contains a cycle, whose members are returned in their order."""
    waiting = dict(chosen)
    ordered: list[Manifest] = []
    while waiting:
        ready = sorted(name for name, one in waiting.items() if not any(need in waiting for need in one.depends))
        if not ready:
            return ordered, _cycle(waiting)
        ordered.append(waiting.pop(ready[0]))
    return ordered, []


def _cycle(waiting: Mapping[str, Manifest]) -> list[str]:
    """Follow dependencies from the first name until one comes again."""
    path = [min(waiting)]
    while True:
        following = min(need for need in waiting[path[-1]].depends if need in waiting)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)

"""Reads ``rulebook.toml`` of the core and of every installed plugin, and checks all of it before the start.

The format stands in docs/rulebook.md. A mistake stops the start like a broken manifest does: a branch
must never run without its rules. All mistakes are reported at once, with file and clause.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from flask import current_app
from flask_babel import lazy_gettext as _l

from core.kernel.loader import Installed
from core.kernel.manifest import PluginError
from core.users.positions import POSITIONS

from .clauses import (
    CLOCKS,
    KINDS,
    LANGUAGES,
    NUMBERS,
    TYPES,
    UNITS,
    Clause,
    Parameter,
    Regulation,
    Rulebook,
    sort_key,
)

FILE = "rulebook.toml"
CORE_FILE = Path(__file__).with_name(FILE)
EXTENSION = "rulebook"

REGULATION_ID = re.compile(r"^(?:[A-Z]{1,4}[0-9]{2,4}|[A-Z]{2,4})$")
CLAUSE_ID = re.compile(r"^([A-Z]{1,4}[0-9]{2,4}|[A-Z]{2,4})-[0-9A-Za-z.]{1,24}$")
NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
PROFILE = re.compile(r"^[A-Z]{1,4}-[A-Z0-9-]{2,20}$")

# key -> (type in the file, needed)
_Keys = Mapping[str, tuple[Any, bool]]
_REGULATION: _Keys = {
    "id": (str, True),
    "title": (dict, True),
    "company": (dict, True),
    "purpose": (dict, True),
    "profiles": (list, False),
    "on": (bool, False),
}
_CLAUSE: _Keys = {
    "id": (str, True),
    "kind": (str, True),
    "title": (dict, True),
    "text": (dict, True),
    "priority": (int, True),
    "responsible": (str, False),
    "trigger": (dict, False),
    "record": (dict, False),
    "parameter": (list, False),
    "on": (bool, False),
    "profiles": (list, False),
    "schema": (int, False),
}
_PARAMETER: _Keys = {
    "name": (str, True),
    "type": (str, True),
    "title": (dict, True),
    "default": (object, True),
    "unit": (str, False),
    "clock": (str, False),
    "minimum": (object, False),
    "maximum": (object, False),
    "choices": (dict, False),
    "help": (dict, False),
}
_TOP = {"regulation", "clause"}


def load(installed: Installed) -> Rulebook:
    """Read and check the rulebooks of the core and of every installed plugin.

    Raises:
        PluginError: with every mistake, each naming its file and clause.
    """
    files = [("", CORE_FILE)]
    files += [(one.name, one.folder / FILE) for one in installed.plugins if (one.folder / FILE).exists()]
    return read(files)


def read(files: Iterable[tuple[str, Path]]) -> Rulebook:
    """Read (plugin, file) pairs into one rulebook; the core's plugin name is ''.

    Raises:
        PluginError: with every mistake, each naming its file and clause.
    """
    reader = _Reader()
    contents = [(plugin, path, reader.contents(path)) for plugin, path in files]
    for plugin, path, data in contents:
        for entry in data.get("regulation", ()):
            reader.regulation(plugin, path, entry)
    for plugin, path, data in contents:
        for entry in data.get("clause", ()):
            reader.clause(plugin, path, entry)
    if reader.problems:
        raise PluginError(reader.problems)
    return Rulebook(
        dict(sorted(reader.regulations.items())),
        {key: reader.clauses[key] for key in sorted(reader.clauses, key=sort_key)},
    )


def current_rulebook() -> Rulebook:
    """Return the rulebook of the running application."""
    return cast(Rulebook, current_app.extensions[EXTENSION])


class _Reader:
    """Collects what is read, and every mistake on the way."""

    def __init__(self) -> None:
        self.regulations: dict[str, Regulation] = {}
        self.clauses: dict[str, Clause] = {}
        self.problems: list[Any] = []

    def contents(self, path: Path) -> dict[str, Any]:
        try:
            data = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self.problems.append(_l("%(file)s cannot be read: %(why)s", file=path, why=error))
            return {}
        for key in sorted(set(data) - _TOP):
            self._wrong(path, "", _l("%(key)s is not known", key=key))
        found = {}
        for key in _TOP & set(data):
            if isinstance(data[key], list) and all(isinstance(one, dict) for one in data[key]):
                found[key] = data[key]
            else:
                self._wrong(path, "", _l("write %(key)s as [[%(key)s]]", key=key))
        return found

    def regulation(self, plugin: str, path: Path, entry: dict[str, Any]) -> None:
        name = str(entry.get("id", ""))
        wrong = [*_ill_typed(entry, _REGULATION), *_ill_worded(entry, ("title", "company", "purpose"))]
        wrong += _ill_profiled(entry)
        if isinstance(entry.get("id"), str) and not REGULATION_ID.match(name):
            wrong.append(_l("%(id)s is not a number of a regulation, like R01", id=name))
        if name in self.regulations:
            wrong.append(_l("this regulation is there twice"))
        if wrong:
            self._wrong(path, name, *wrong)
            # Its clauses are still checked, and not reported a second time for its sake.
            entry = {"id": name}
        self.regulations.setdefault(
            name,
            Regulation(
                id=name,
                title=entry.get("title", {}),
                company=entry.get("company", {}),
                purpose=entry.get("purpose", {}),
                profiles=tuple(entry.get("profiles", ())),
                on=entry.get("on", True),
                plugin=plugin,
            ),
        )

    def clause(self, plugin: str, path: Path, entry: dict[str, Any]) -> None:
        name = str(entry.get("id", ""))
        wrong = [
            *_ill_typed(entry, _CLAUSE),
            *_ill_worded(entry, ("title", "text", "trigger", "record")),
            *_ill_profiled(entry),
            *_ill_valued(entry),
        ]
        regulation = self._regulation_of(name, wrong)
        if name in self.clauses:
            wrong.append(_l("this clause is there twice"))
        parameters = self._parameters(entry.get("parameter"), wrong)
        if wrong:
            self._wrong(path, name, *wrong)
        if wrong or regulation is None:
            return
        self.clauses[name] = Clause(
            id=name,
            regulation=regulation.id,
            kind=entry["kind"],
            title=entry["title"],
            text=entry["text"],
            priority=entry["priority"],
            responsible=entry.get("responsible", ""),
            trigger=entry.get("trigger", {}),
            record=entry.get("record", {}),
            parameters=parameters,
            on=entry.get("on", regulation.on),
            profiles=tuple(entry.get("profiles", regulation.profiles)),
            schema=entry.get("schema", 1),
            plugin=plugin,
        )

    def _regulation_of(self, name: str, wrong: list[Any]) -> Regulation | None:
        found = CLAUSE_ID.match(name)
        if not found:
            wrong.append(_l("%(id)s is not a number of a clause, like R01-4.2", id=name))
            return None
        regulation = self.regulations.get(found[1])
        if regulation is None:
            wrong.append(_l("there is no regulation %(id)s", id=found[1]))
        return regulation

    def _parameters(self, given: Any, wrong: list[Any]) -> tuple[Parameter, ...]:
        if not isinstance(given, list):
            return ()
        found: dict[str, Parameter] = {}
        for entry in given:
            if not isinstance(entry, dict):
                wrong.append(_l("write %(key)s as [[%(key)s]]", key="clause.parameter"))
                continue
            name = str(entry.get("name", ""))
            problems = _parameter_problems(entry)
            if name in found:
                problems.append(_l("it is there twice"))
            wrong += [_l("parameter %(name)s: %(why)s", name=name, why=one) for one in problems]
            if not problems:
                found[name] = _parameter(entry)
        return tuple(found.values())

    def _wrong(self, path: Path, name: str, *reasons: Any) -> None:
        place = f"{path} {name}".rstrip()
        self.problems += [_l("%(file)s: %(why)s", file=place, why=one) for one in reasons]


def _ill_typed(entry: Mapping[str, Any], keys: _Keys) -> list[Any]:
    wrong: list[Any] = [
        _l("%(key)s is missing", key=k) for k, (_, needed) in keys.items() if needed and k not in entry
    ]
    for key, value in entry.items():
        kind = keys.get(key, (None, False))[0]
        if kind is None:
            wrong.append(_l("%(key)s is not known", key=key))
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            wrong.append(_l("%(key)s must be a %(kind)s", key=key, kind=kind.__name__))
    return wrong


def _ill_worded(entry: Mapping[str, Any], keys: Iterable[str]) -> list[Any]:
    """Words need both languages; nothing else may stand in them."""
    wrong: list[Any] = []
    for key in keys:
        words = entry.get(key)
        if not isinstance(words, dict):
            continue
        for code in LANGUAGES:
            said = words.get(code)
            if not isinstance(said, str) or not said.strip():
                wrong.append(_l("%(key)s is missing", key=f"{key}.{code}"))
        wrong += [_l("%(key)s is not known", key=f"{key}.{code}") for code in sorted(set(words) - set(LANGUAGES))]
    return wrong


def _ill_profiled(entry: Mapping[str, Any]) -> list[Any]:
    names = entry.get("profiles", [])
    if not isinstance(names, list):
        return []
    return [
        _l("%(name)s is not a name of a profile, like BU-GEN", name=one)
        for one in names
        if not isinstance(one, str) or not PROFILE.match(one)
    ]


def _ill_valued(entry: Mapping[str, Any]) -> list[Any]:
    wrong: list[Any] = []
    kind, position = entry.get("kind"), entry.get("responsible", "")
    if isinstance(kind, str) and kind not in KINDS:
        wrong.append(_l("the kind %(kind)s is not known", kind=kind))
    if isinstance(position, str) and position and position not in _positions():
        wrong.append(_l("the position %(code)s is not known", code=position))
    for key, most in (("priority", 3), ("schema", 9999)):
        number = entry.get(key, 1)
        if isinstance(number, int) and not 1 <= number <= most:
            wrong.append(_l("%(key)s must lie between 1 and %(most)d", key=key, most=most))
    return wrong


def _positions() -> frozenset[str]:
    return frozenset(one.code for one in POSITIONS)


def _parameter(entry: Mapping[str, Any]) -> Parameter:
    kind = entry["type"]
    return Parameter(
        name=entry["name"],
        type=kind,
        title=entry["title"],
        default=Decimal(str(entry["default"])) if kind == "decimal" else entry["default"],
        unit=entry.get("unit", ""),
        clock=entry.get("clock", "calendar") if kind == "duration" else "",
        minimum=_bound(entry, "minimum"),
        maximum=_bound(entry, "maximum"),
        choices=entry.get("choices", {}),
        help=entry.get("help", {}),
    )


def _bound(entry: Mapping[str, Any], key: str) -> Decimal | None:
    return Decimal(str(entry[key])) if key in entry else None


def _parameter_problems(entry: Mapping[str, Any]) -> list[Any]:
    wrong = [*_ill_typed(entry, _PARAMETER), *_ill_worded(entry, ("title", "help"))]
    if isinstance(entry.get("name"), str) and not NAME.match(entry["name"]):
        wrong.append(_l("the name must be small letters, digits and _"))
    kind = entry.get("type")
    if isinstance(kind, str) and kind not in TYPES:
        wrong.append(_l("the type %(type)s is not known", type=kind))
    if wrong or kind is None:
        return wrong
    return [*_misplaced(entry), *_ill_measured(entry), *_ill_chosen(entry), *_ill_bounded(entry), *_ill_set(entry)]


def _misplaced(entry: Mapping[str, Any]) -> list[Any]:
    """Keys that mean nothing for this type."""
    allowed = {
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "clock": ("duration",),
        "choices": ("choice",),
        "unit": NUMBERS,
    }
    return [
        _l("%(key)s does not go with the type %(type)s", key=key, type=entry["type"])
        for key, types in allowed.items()
        if key in entry and entry["type"] not in types
    ]


def _ill_measured(entry: Mapping[str, Any]) -> list[Any]:
    if entry["type"] != "duration":
        return []
    wrong: list[Any] = []
    unit, clock = entry.get("unit", ""), entry.get("clock", "calendar")
    if unit not in UNITS:
        wrong.append(_l("the unit must be one of %(names)s", names=", ".join(UNITS)))
    if clock not in CLOCKS:
        wrong.append(_l("the clock must be one of %(names)s", names=", ".join(CLOCKS)))
    if clock == "working" and unit in ("month", "year"):
        wrong.append(_l("months and years run by the calendar"))
    return wrong


def _ill_chosen(entry: Mapping[str, Any]) -> list[Any]:
    if entry["type"] != "choice":
        return []
    choices = entry.get("choices")
    if not choices:
        return [_l("%(key)s is missing", key="choices")]
    wrong = [
        _l("%(key)s is missing", key=f"choices.{k}") for k, one in choices.items() if not isinstance(one, dict)
    ]
    return wrong or [
        problem for key in choices for problem in _ill_worded({f"choices.{key}": choices[key]}, [f"choices.{key}"])
    ]


def _ill_bounded(entry: Mapping[str, Any]) -> list[Any]:
    bounds = {key: entry[key] for key in ("minimum", "maximum") if key in entry}
    wrong: list[Any] = [
        _l("%(key)s must be a number", key=key) for key, value in bounds.items() if not _is_number(value)
    ]
    if not wrong and len(bounds) == 2 and Decimal(str(bounds["minimum"])) > Decimal(str(bounds["maximum"])):
        wrong.append(_l("the minimum is greater than the maximum"))
    return wrong


def _ill_set(entry: Mapping[str, Any]) -> list[Any]:
    """The default must be a value that a unit could set."""
    kind, value = entry["type"], entry["default"]
    if kind in ("int", "duration"):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif kind == "decimal":
        fits = _is_number(value)
    elif kind == "bool":
        fits = isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        return [_l("the default %(value)s is not of the type %(type)s", value=value, type=kind)]
    if kind == "choice" and value not in entry.get("choices", [value]):
        return [_l("the default %(value)s is not among the choices", value=value)]
    if kind == "position" and value and value not in _positions():
        return [_l("the position %(code)s is not known", code=value)]
    if kind == "duration" and value < 0:
        return [_l("the default %(value)s is out of bounds", value=value)]
    if kind in NUMBERS and not _ill_bounded(entry) and not _inside(entry):
        return [_l("the default %(value)s is out of bounds", value=value)]
    return []


def _inside(entry: Mapping[str, Any]) -> bool:
    value = Decimal(str(entry["default"]))
    least, most = _bound(entry, "minimum"), _bound(entry, "maximum")
    return (least is None or value >= least) and (most is None or value <= most)


def _is_number(value: Any) -> bool:
    """Numbers as TOML has them; decimals may also be written as strings, to stay exact."""
    if isinstance(value, bool):
        return False
    try:
        return Decimal(str(value)).is_finite()
    except ArithmeticError:
        return False

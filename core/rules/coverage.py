"""Which clauses the product really carries: found in what is declared, never written by hand.

A guard, a form field or a setting names its clause; so does a test (``@pytest.mark.clause``).
Rooms that declare clauses elsewhere add a function to ``sources``.
"""

from __future__ import annotations

import ast
import csv
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.kernel.fields import Field
from core.records.types import RecordType, record_type, record_types, workflow_of
from core.records.types import words_of as workflow_words
from core.units import settings

from .clauses import INFORMATION, KINDS, Rulebook
from .kinds import Rule, ServiceRule
from .registry import current_rules

IDS_FILE = Path(__file__).with_name("clause_ids.csv")
TESTED, IMPLEMENTED, PARTLY, MISSING = "tested", "implemented", "partly", "missing"
STATES = (TESTED, IMPLEMENTED, PARTLY, INFORMATION, MISSING)
# What these ask for is more than a condition or a field: only a rule of their own kind carries them out.
OWN_RULE = frozenset({"deadline", "schedule", "fee", "penalty", "approval"})


@dataclass(frozen=True)
class Binding:
    """A place of the product that carries out a clause.

    ``how``: gate, field, setting, or the kind of the clause where a rule of that kind carries it out.
    ``place`` names the step, form or setting for developers (``case.close``), ``words`` for people,
    outermost first. ``plugin`` is '' for the core.
    """

    clause: str
    how: str
    place: str
    words: tuple[Any, ...] = field(compare=False, hash=False)
    plugin: str = ""


@dataclass(frozen=True)
class Coverage:
    """How one clause stands. ``tests`` names the tests that hold it, as ``file::function``."""

    id: str
    plugin: str
    kind: str
    priority: int
    state: str
    bindings: tuple[Binding, ...]
    tests: tuple[str, ...]
    in_rulebook: bool


# Further declared bindings, for a set of enabled plugins. Asked each time; keep them cheap.
Source = Callable[[frozenset[str]], Iterable[Binding]]
sources: list[Source] = []


def register_form(place: str, words: Sequence[Any], fields: Sequence[Field]) -> None:
    """Declare a form that belongs to no step of a workflow (registering a case, say)."""
    found = [
        Binding(one.clause, "field", f"{place}.{one.name}", (*words, one.label)) for one in fields if one.clause
    ]
    sources[:] = [one for one in sources if getattr(one, "place", "") != place]
    sources.append(_Form(place, tuple(found)))


def register_places(name: str, found: Iterable[Binding]) -> None:
    """Declare places that carry out a clause by what they are: a screen, a file, a stored figure."""
    sources[:] = [one for one in sources if getattr(one, "place", "") != name]
    sources.append(_Form(name, tuple(found)))


@dataclass(frozen=True)
class _Form:
    place: str
    found: tuple[Binding, ...]

    def __call__(self, _enabled: frozenset[str]) -> Iterable[Binding]:
        return self.found


def bindings(enabled: Collection[str]) -> list[Binding]:
    """Return every declared binding where these plugins are on, each place once."""
    plugins = frozenset(enabled)
    found = [*_of_workflows(plugins), *_of_settings(plugins), *_of_rules(plugins)]
    for source in sources:
        found += source(plugins)
    return list(dict.fromkeys(found))


def _of_workflows(enabled: frozenset[str]) -> Iterator[Binding]:
    for kind in record_types():
        if not kind.plugin or kind.plugin in enabled:
            yield from _of_workflow(kind, enabled)


def _of_workflow(kind: RecordType, enabled: frozenset[str]) -> Iterator[Binding]:
    for step in workflow_of(kind.code, enabled).transitions.values():
        plugin = step.name.partition(":")[0] if ":" in step.name else kind.plugin
        place = f"{kind.code}.{step.name}"
        for guard in step.guards:
            if guard.clause:
                yield Binding(guard.clause, "gate", f"{place}.{guard.code}", (kind.title, step.label), plugin)
        for one in step.fields:
            if one.clause:
                words = (kind.title, step.label, one.label)
                yield Binding(one.clause, "field", f"{place}.{one.name}", words, plugin)


def _of_settings(enabled: frozenset[str]) -> Iterator[Binding]:
    for spec in settings.specs():
        if spec.field.clause:
            yield Binding(spec.field.clause, "setting", spec.name, (spec.group, spec.field.label))


def _of_rules(enabled: frozenset[str]) -> Iterator[Binding]:
    for rule in current_rules().of(Rule, enabled):
        yield Binding(rule.clause, rule.kind, place_of(rule), words_of_rule(rule), rule.plugin)


def place_of(rule: Rule) -> str:
    """Name the step, record type, service or report a rule belongs to, for developers."""
    for name in ("step", "record_type", "endpoint", "place"):
        if getattr(rule, name, ""):
            return str(getattr(rule, name))
    return rule.kind


def words_of_rule(rule: Rule) -> tuple[Any, ...]:
    """Name the same for people, outermost first."""
    if isinstance(rule, ServiceRule):
        return rule.words
    type_code, _, step = place_of(rule).partition(".")
    kind = record_type(type_code)
    if kind is None:
        return (KINDS[rule.kind],)
    steps = workflow_words(type_code).transitions
    return (kind.title, steps[step].label) if step in steps else (kind.title, KINDS[rule.kind])


def clauses_in_tests(folders: Iterable[Path]) -> Mapping[str, list[str]]:
    """Read which tests name a clause, without running them: clause -> ``file::function``, in order."""
    found: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("test_*.py")):
            for test in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(test, ast.FunctionDef):
                    for clause in _marks(test):
                        found[clause].append(f"{path.name}::{test.name}")
    return found


def _marks(test: ast.FunctionDef) -> Iterator[str]:
    for node in (part for mark in test.decorator_list for part in ast.walk(mark)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.clause":
            yield from (
                one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
            )


def known_ids() -> list[tuple[str, str, str, int]]:
    """Return (clause, plugin, kind, priority) of every clause of all regulations, in the order of the list."""
    with IDS_FILE.open(encoding="utf-8", newline="") as file:
        return [
            (row["id"], "" if row["plugin"] == "core" else row["plugin"], row["type"], int(row["priority"][1:]))
            for row in csv.DictReader(file)
        ]


def coverage(book: Rulebook, plugins: Collection[str], test_folders: Iterable[Path]) -> list[Coverage]:
    """Tell of every clause how it stands, with these plugins installed.

    A clause is implemented where something is bound to it that carries it out, tested where a test names it
    too, partly done where a deadline, say, has its field but no clock, information where it asks for nothing
    and an installed rulebook tells it, and missing otherwise: also where its text is told but nothing is done.
    """
    bound = defaultdict(list)
    for one in bindings(plugins):
        bound[one.clause].append(one)
    tests = clauses_in_tests(test_folders)
    listed = {key: (plugin, kind, priority) for key, plugin, kind, priority in known_ids()}
    listed |= {one.id: (one.plugin, one.kind, one.priority) for one in book.clauses.values()}
    return [
        Coverage(
            id=key,
            plugin=plugin,
            kind=kind,
            priority=priority,
            state=_state(kind, {one.how for one in bound[key]}, key in tests, key in book.clauses),
            bindings=tuple(bound[key]),
            tests=tuple(tests.get(key, ())),
            in_rulebook=key in book.clauses,
        )
        for key, (plugin, kind, priority) in listed.items()
    ]


def standing(kind: str, hows: Collection[str]) -> str:
    """Say how far a clause of this kind is carried out by what is bound to it in these ways."""
    if kind in OWN_RULE and kind not in hows:
        return PARTLY if hows else MISSING
    if hows:
        return IMPLEMENTED
    return INFORMATION if kind == INFORMATION else MISSING


def _state(kind: str, hows: Collection[str], is_tested: bool, is_told: bool) -> str:
    if is_tested:
        return PARTLY if kind in OWN_RULE and kind not in hows else TESTED
    found = standing(kind, hows)
    return MISSING if found == INFORMATION and not is_told else found

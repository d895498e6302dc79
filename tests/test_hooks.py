"""Hooks: asked of enabled plugins only, owners kept, soft failures contained, documented exactly."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import hookspecs
from core.kernel.extensions import Unavailable
from core.kernel.hooks import Registry, hookimpl

DOCS = Path(__file__).resolve().parents[1] / "docs" / "hooks.md"


def plugin(**functions):
    return SimpleNamespace(**{name: hookimpl(function) for name, function in functions.items()})


def registry(**plugins):
    made = Registry(hookspecs)
    for name, module in plugins.items():
        made.register(name, module)
    return made


def failing(list_name):
    raise RuntimeError("broken")


def answering(value):
    def list_columns(list_name):
        return [value, list_name]

    return plugin(list_columns=list_columns)


def test_only_enabled_plugins_are_asked_and_results_name_their_owner():
    made = registry(one=answering(1), two=answering(2), three=answering(3))
    bound = made.bind(frozenset({"three", "one", "gone"}))
    assert bound.list_columns(list_name="x") == [("one", [1, "x"]), ("three", [3, "x"])]
    assert made.bind(frozenset()).list_columns(list_name="x") == []


def test_equal_sets_share_a_binding_and_it_sees_no_other_set():
    made = registry(one=answering(1), two=answering(2))
    assert made.bind(frozenset({"one"})) is made.bind(frozenset(["one"]))
    assert made.bind(frozenset({"one"})) is not made.bind(frozenset({"one", "two"}))


def test_a_soft_failure_is_logged_and_leaves_the_others(caplog):
    broken = plugin(list_columns=failing)
    made = registry(one=answering(1), two=broken, three=answering(3))
    found = made.bind(frozenset({"one", "two", "three"})).list_columns(list_name="x")
    assert found == [("one", [1, "x"]), ("two", Unavailable("two", "list_columns")), ("three", [3, "x"])]
    assert "hook list_columns of plugin two failed" in caplog.text


def test_a_hard_failure_reaches_the_caller():
    def unit_enabled(unit):
        raise RuntimeError("no default data")

    made = registry(one=plugin(unit_enabled=unit_enabled))
    with pytest.raises(RuntimeError, match="no default data"):
        made.bind(frozenset({"one"})).unit_enabled(unit=1, actor_id=2)


def test_arguments_must_be_exactly_those_of_the_spec():
    bound = registry(one=answering(1)).bind(frozenset({"one"}))
    for given in ({}, {"list_name": "x", "more": 1}, {"name": "x"}):
        with pytest.raises(TypeError, match="takes exactly list_name"):
            bound.list_columns(**given)


def test_declared_hooks_are_flattened_with_their_owner():
    made = registry(one=plugin(permissions=lambda: ["a", "b"]), two=plugin(permissions=lambda: None))
    assert made.ask_once("permissions") == [("one", "a"), ("one", "b")]


def test_asking_twenty_plugins_stays_cheap():
    made = registry(**{f"p{n}": answering(n) for n in range(20)})
    bound = made.bind(frozenset(f"p{n}" for n in range(20)))
    best = min(_timed(bound) for _ in range(20))
    # The aim is 15 microseconds (benchmarks/ measures it); here only a slip by an order of magnitude fails.
    assert best < 150e-6


def _timed(bound):
    begun = time.perf_counter()
    for _ in range(100):
        bound.list_columns(list_name="x")
    return (time.perf_counter() - begun) / 100


def test_every_hook_is_documented_with_its_arguments():
    documented = dict(re.findall(r"^### `(\w+)\(([^)]*)\)`", DOCS.read_text("utf-8"), re.MULTILINE))
    real = {name: ", ".join(arguments) for name, (_, arguments) in Registry(hookspecs).specs().items()}
    assert documented == real


def test_every_hook_has_a_docstring_and_a_kind():
    for name, (kind, _) in Registry(hookspecs).specs().items():
        assert getattr(hookspecs, name).__doc__, name
        assert kind in ("declared", "hard", "soft")


def test_every_hook_is_called_somewhere():
    """Each hook has a caller in the core: one that nobody asks would be a promise not kept."""
    root = Path(hookspecs.__file__).parent
    sources = "\n".join(
        path.read_text("utf-8") for path in root.rglob("*.py") if path.name not in ("hookspecs.py", "sdk.py")
    )
    uncalled = [name for name in Registry(hookspecs).specs() if not re.search(rf"(\.{name}\()|\"{name}\"", sources)]
    assert uncalled == []
